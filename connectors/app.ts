import type { z } from 'zod'
import type { Connector } from '../engine/core/ports/connector.ts'
import type { Pacer } from './pacer.ts'

/** What a connector is handed besides its options. */
export interface ConnectContext {
  /** The connection's name in kith.yaml: for messages. */
  readonly connection: string
  /** The folder that relative paths in the options are relative to: the one of kith.yaml. */
  readonly baseDir: string
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** The rate budget of the connection, where its config sets one: every request goes through it. */
  readonly pacer?: Pacer
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
  /** Opens the connection. Does no I/O yet. */
  connect(options: Options, context: ConnectContext): Connector
  /** How the app's webhooks are told from forged ones and what they announce; undefined where it sends none. */
  webhook?(options: Options, context: ConnectContext): Webhook
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

export interface HookAnswer {
  readonly status: number
  readonly headers?: { readonly [name: string]: string }
  readonly body?: string
  /** What it announces: hints that make the next pull come sooner, never the truth. null: nothing, or not believed. */
  readonly announces: 'pull' | null
  /** Stable over the app's retries: one that was seen within the replay window is answered and not acted on again. */
  readonly eventIds: readonly string[]
  /** Why it was refused, for the log; holds no secret and no personal value. */
  readonly refused?: string
}

export interface Webhook {
  /** Verifies in constant time and says what to answer. Pure: no I/O, decides by `now` of the context. */
  receive(request: HookRequest): HookAnswer
}
