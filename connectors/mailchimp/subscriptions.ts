import { z } from 'zod'
import { FailureError } from '../../engine/core/failure.ts'
import type { HookTarget, Subscription, SubscriptionReport, Subscriptions } from '../app.ts'
import { HttpClient } from '../http.ts'
import type { SignIn } from '../sign-in.ts'
import type { Place } from './place.ts'

export interface AudienceOptions {
  readonly place: Place
  /** null: `signIn` has it. */
  readonly authorization: string | null
  readonly signIn: SignIn | undefined
  readonly audience: string
  readonly webhookSecret: string | undefined
  readonly webhookKey: string | undefined
  readonly now: () => number
}

/** `campaign` says nothing of a member. */
const EVENTS = ['subscribe', 'unsubscribe', 'profile', 'cleaned', 'upemail'] as const
/** What people do. What programs do (Kith is one) would come back as an echo; what others of them do is found at the next poll. */
const SOURCES = { user: true, admin: true, api: false }

const Registered = z.object({
  id: z.string().min(1),
  url: z.string(),
  events: z.record(z.string(), z.boolean()).nullish(),
  sources: z.record(z.string(), z.boolean()).nullish(),
  /** Told once, in the answer that made the webhook. */
  signing_secret: z.string().min(1).optional(),
})
type Registered = z.infer<typeof Registered>

const List = z.object({ webhooks: z.array(Registered) })

/** An audience's webhooks are kept by address; the key in it is no part of that. */
export function mailchimpSubscriptions(options: AudienceOptions): Subscriptions {
  const clientAt = (baseUrl: string): HttpClient =>
    new HttpClient({
      baseUrl,
      ...(options.authorization === null ? { signIn: options.signIn } : {}),
      authorization: () => Promise.resolve(options.authorization),
      now: options.now,
    })
  let http: { readonly basePath: string; readonly client: HttpClient } | undefined
  const ask = async (method: string, id: string | null, body?: object, signal?: AbortSignal): Promise<unknown> => {
    const basePath = await options.place.basePath(signal)
    if (http?.basePath !== basePath) http = { basePath, client: clientAt(basePath) }
    const path = `/lists/${encodeURIComponent(options.audience)}/webhooks${id === null ? '' : `/${encodeURIComponent(id)}`}`
    const { body: text } = await http.client.send({
      method,
      url: `${basePath.replace(/\/+$/, '')}${path}`,
      pattern: 'lists/{list}/webhooks',
      headers: { Accept: 'application/json', ...(body ? { 'Content-Type': 'application/json' } : {}) },
      ...(body ? { body: JSON.stringify(body) } : {}),
      write: method !== 'GET',
      signal,
    })
    try {
      return JSON.parse(text) as unknown
    } catch {
      throw unreadable()
    }
  }
  const found = async ({ url }: HookTarget, signal?: AbortSignal): Promise<Registered | undefined> =>
    parsed(List, await ask('GET', null, undefined, signal)).webhooks.find((each) => withoutQuery(each.url) === url)
  const wanted = ({ url }: HookTarget): string =>
    options.webhookKey === undefined ? url : `${url}?key=${encodeURIComponent(options.webhookKey)}`

  return {
    list: async (target, signal) => reported(await found(target, signal), target, wanted(target), options),
    sync: async (target, signal) => {
      const before = await found(target, signal)
      const stood = new Map(statesOf(before, wanted(target)).map(({ what, state }) => [what, state]))
      if ([...stood.values()].every((state) => state === 'right'))
        return reported(before, target, wanted(target), options)
      const body = {
        url: wanted(target),
        events: Object.fromEntries(EVENTS.map((name) => [name, true])),
        sources: SOURCES,
      }
      const made = parsed(
        Registered,
        before ? await ask('PATCH', before.id, body, signal) : await ask('POST', null, body, signal),
      )
      const report = reported(
        (await found(target, signal)) ?? made,
        target,
        wanted(target),
        options,
        made.signing_secret,
      )
      const did = before ? 'repaired' : 'created'
      const told = (each: Subscription): Subscription =>
        each.state === 'right' && stood.get(each.what) !== 'right' ? { ...each, did } : each
      return { ...report, subscriptions: report.subscriptions.map(told) }
    },
  }
}

function reported(
  webhook: Registered | undefined,
  { url }: HookTarget,
  wanted: string,
  { webhookSecret, webhookKey }: AudienceOptions,
  secret?: string,
): SubscriptionReport {
  const subscriptions = statesOf(webhook, wanted)
  if (secret !== undefined) return { subscriptions, byHand: [], secret: { option: 'webhookSecret', value: secret } }
  if (!webhook || webhookSecret !== undefined || webhookKey !== undefined) return { subscriptions, byHand: [] }
  return {
    subscriptions,
    byHand: [
      `Kith cannot tell Mailchimp's webhooks from forged ones yet: either delete the one to ${url} in the audience's settings (Webhooks) and run kith hooks sync again, which then is told its signing secret, if the account has those`,
      'or put a word of 16 letters or more into webhookKey: of the connection, and run kith hooks sync again',
    ],
  }
}

function statesOf(webhook: Registered | undefined, wanted: string): Subscription[] {
  return EVENTS.map((what) => {
    if (webhook?.events?.[what] !== true) return { what, state: 'missing' }
    if (webhook.url !== wanted) return { what, state: 'wrong', detail: 'its address has another key' }
    const lacks = (['user', 'admin'] as const).filter((source) => webhook.sources?.[source] !== true)
    if (lacks.length > 0) return { what, state: 'wrong', detail: `what is done by ${lacks.join(' and ')} is left out` }
    return { what, state: 'right' }
  })
}

function withoutQuery(url: string): string {
  return url.split('?', 1)[0] ?? url
}

function parsed<T>(schema: z.ZodType<T>, json: unknown): T {
  const result = schema.safeParse(json)
  if (result.success) return result.data
  throw unreadable()
}

function unreadable(): FailureError {
  const message = "Mailchimp's answer about its webhooks cannot be read"
  return new FailureError({ kind: 'transient', code: 'UNREADABLE', message })
}
