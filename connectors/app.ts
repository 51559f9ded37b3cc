import type { z } from 'zod'
import type { Connector } from '../engine/core/ports/connector.ts'
import type { OAuthPlan } from './oauth-plan.ts'
import type { Clock } from './clock.ts'
import type { Pacer } from './pacer.ts'
import type { SignIn } from './sign-in.ts'

/** What a connector is handed besides its options. */
export interface ConnectContext extends Clock {
  /** The connection's name in kith.yaml: for messages. */
  readonly connection: string
  /** The folder that relative paths in the options are relative to: the one of kith.yaml. */
  readonly baseDir: string
  /** The rate budget of the connection, where its config sets one: every request goes through it. */
  readonly pacer?: Pacer
  /** What requests are authorised by, where {@link App.oauth} says that the connection signs in. */
  readonly signIn?: SignIn
}

/** An app that Kith can speak to: one line in the registry, one folder beside this file. */
export interface App<Options = unknown> {
  /** The word in `app:` of kith.yaml. */
  readonly name: string
  /** The product's name, for people. */
  readonly title: string
  /** The options of a connection, `app` itself left out. Strict: an unknown option is an error. */
  readonly options: z.ZodType<Options>
  /** Options that are secrets: a literal one in the YAML gets a warning, and none is ever shown. */
  readonly secrets: readonly string[]
  /**
   * What makes two connections the same account, although they may be configured apart: the resolved path, the URL. Used to
   * refuse one account under two names, and as part of the config's fingerprint. Holds no secret.
   */
  account(options: Options, context: Pick<ConnectContext, 'baseDir'>): string
  /**
   * How the connection signs in with OAuth; null where its options hold a key or token of its own. Left out by apps that know
   * no OAuth. The tokens come from `kith connect`, and reach the connector as {@link ConnectContext.signIn}.
   */
  oauth?(options: Options): OAuthPlan | null
  /** Opens the connection. Does no I/O yet. */
  connect(options: Options, context: ConnectContext): Connector
  /**
   * How the app's webhooks are told from forged ones and what they announce; undefined where it sends none, null where this connection
   * is not meant to get any.
   */
  webhook?(options: Options, context: ConnectContext): Webhook | null
  /** How the app is told where to send its webhooks; undefined where it sends none. Does no I/O yet. */
  subscriptions?(options: Options, context: ConnectContext): Subscriptions
}

/** A request that came to `/hooks/<connection>`, as it came: signatures are over the raw body. */
export interface HookRequest {
  readonly method: string
  /** The public address it was sent to, with path and query. */
  readonly url: string
  /** By lower-case name. */
  readonly headers: { readonly [name: string]: string | undefined }
  readonly body: Uint8Array
}

/**
 * What a hook announces: that something changed (`pull`), or which records did. Never the truth, only a hint: the feed is pulled
 * sooner, and records that are named are read by their ids meanwhile, as the feed may lag behind the hook.
 */
export type Announcement = 'pull' | { readonly records: readonly string[] }

export interface HookAnswer {
  readonly status: number
  readonly headers?: { readonly [name: string]: string }
  readonly body?: string
  /** null: nothing, or not believed. */
  readonly announces: Announcement | null
  /** Stable over the app's retries: one that was seen within the replay window is answered and not acted on again. */
  readonly eventIds: readonly string[]
  /** Why it was refused, for the log; holds no secret and no personal value. */
  readonly refused?: string
}

export interface Webhook {
  /** Verifies in constant time and says what to answer. Pure: no I/O, decides by `now` of the context. */
  receive(request: HookRequest): HookAnswer
}

/** What the app is to announce, and where to. */
export interface HookTarget {
  /** The public address of the connection's hooks: `https://kith.example.org/hooks/crm`. */
  readonly url: string
  /** The app's fields that the mapping reads. */
  readonly fields: readonly string[]
}

/** One thing that the app announces, or should. */
export interface Subscription {
  /** In the app's own words: `contact.creation`. */
  readonly what: string
  /**
   * - `right`   it is there, active, and comes to us
   * - `missing` it is not there
   * - `wrong`   it is there, and not as it should be: `detail` says how
   */
  readonly state: 'right' | 'missing' | 'wrong'
  readonly detail?: string
  /** What `sync` has just done about it. */
  readonly did?: 'created' | 'repaired'
}

export interface SubscriptionReport {
  /** What the app's API shows; empty where it shows nothing. */
  readonly subscriptions: readonly Subscription[]
  /** What a human must do in the app's own settings, one step each. Holds no secret. */
  readonly byHand: readonly string[]
  /** A secret that the app gave out and that belongs into this option of the connection: never shown, kept in a file. */
  readonly secret?: { readonly option: string; readonly value: string }
}

/** Looks after the app's subscriptions. Touches none that do not lead to us. */
export interface Subscriptions {
  /** What stands, and what should. Changes nothing. @throws FailureError */
  list(target: HookTarget, signal?: AbortSignal): Promise<SubscriptionReport>
  /** Registers what is missing and repairs what is wrong; a second time does nothing. @throws FailureError */
  sync(target: HookTarget, signal?: AbortSignal): Promise<SubscriptionReport>
}
