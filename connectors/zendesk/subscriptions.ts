import { z } from 'zod'
import type { HookTarget, Subscription, SubscriptionReport, Subscriptions } from '../app.ts'
import type { Api } from './api.ts'
import { SigningSecretSchema, WebhookSchema, WebhooksSchema, type RegisteredWebhook } from './wire.ts'

/** What can happen to a user that a record shows. An event that the account has not is refused with the whole webhook. */
export const EVENTS = [
  'active_changed',
  'created',
  'custom_field_changed',
  'deleted',
  'details_changed',
  'external_id_changed',
  'identity_changed',
  'identity_created',
  'identity_deleted',
  'merged',
  'name_changed',
  'notes_changed',
  'tags_changed',
] as const

const PREFIX = 'zen:event-type:user.'
const NAME = 'Kith'
/** A webhook of a trigger or an automation cannot be subscribed to events, and is somebody's own. */
const OF_TRIGGERS = 'conditional_ticket_events'
const PAGES_MAX = 100

/** Webhooks are kept by address: the one that leads to us is ours, whoever made it. */
export function zendeskSubscriptions(api: Api, webhookSecret: string | undefined): Subscriptions {
  return {
    list: async ({ url }, signal) => reported(await found(api, url, signal), webhookSecret, api, signal),
    sync: async (target, signal) => {
      const before = await found(api, target.url, signal)
      const did = await mended(api, before, target, signal)
      const after = did === null ? before : await found(api, target.url, signal)
      const report = await reported(after, webhookSecret, api, signal)
      const wrong = new Set(statesOf(before).flatMap(({ what, state }) => (state === 'right' ? [] : [what])))
      const told = (each: Subscription): Subscription =>
        did !== null && wrong.has(each.what) && each.state === 'right' ? { ...each, did } : each
      return { ...report, subscriptions: report.subscriptions.map(told) }
    },
  }
}

async function found(api: Api, url: string, signal?: AbortSignal): Promise<RegisteredWebhook | undefined> {
  let after: string | undefined
  for (let page = 0; page < PAGES_MAX; page++) {
    const query = { 'page[size]': 100, 'page[after]': after }
    const answer: z.infer<typeof WebhooksSchema> = await api.ask(
      { method: 'GET', path: 'webhooks', pattern: 'webhooks', query, signal },
      WebhooksSchema,
    )
    const ours = answer.webhooks.find(
      ({ endpoint, subscriptions }) => endpoint === url && !subscriptions?.includes(OF_TRIGGERS),
    )
    if (ours) return ours
    after = answer.meta?.has_more === true ? (answer.meta.after_cursor ?? undefined) : undefined
    if (after === undefined) return undefined
  }
  return undefined
}

/** @returns what had to be done, or null */
async function mended(
  api: Api,
  webhook: RegisteredWebhook | undefined,
  { url }: HookTarget,
  signal?: AbortSignal,
): Promise<'created' | 'repaired' | null> {
  if (!webhook) {
    const body = {
      webhook: {
        name: NAME,
        description: 'Tells Kith which users have changed',
        endpoint: url,
        http_method: 'POST',
        request_format: 'json',
        status: 'active',
        subscriptions: EVENTS.map((event) => PREFIX + event),
      },
    }
    await api.ask({ method: 'POST', path: 'webhooks', pattern: 'webhooks', body, signal }, WebhookSchema)
    return 'created'
  }
  if (statesOf(webhook).every(({ state }) => state === 'right')) return null
  // Whatever else it is subscribed to stays.
  const kept = (webhook.subscriptions ?? []).filter((event) => !isWanted(event))
  const subscriptions = [...kept, ...EVENTS.map((event) => PREFIX + event)]
  const patch = { status: 'active', http_method: 'POST', request_format: 'json', subscriptions }
  const path = `webhooks/${encodeURIComponent(webhook.id)}`
  await api.send({ method: 'PATCH', path, pattern: 'webhooks/{id}', body: { webhook: patch }, signal })
  return 'repaired'
}

async function reported(
  webhook: RegisteredWebhook | undefined,
  webhookSecret: string | undefined,
  api: Api,
  signal: AbortSignal | undefined,
): Promise<SubscriptionReport> {
  const subscriptions = statesOf(webhook)
  if (!webhook) return { subscriptions, byHand: [] }
  const { signing_secret: signing } = await api.ask(
    {
      method: 'GET',
      path: `webhooks/${encodeURIComponent(webhook.id)}/signing_secret`,
      pattern: 'webhooks/{id}/signing_secret',
      signal,
    },
    SigningSecretSchema,
  )
  if (signing.secret === webhookSecret) return { subscriptions, byHand: [] }
  return { subscriptions, byHand: [], secret: { option: 'webhookSecret', value: signing.secret } }
}

function statesOf(webhook: RegisteredWebhook | undefined): Subscription[] {
  const has = new Set((webhook?.subscriptions ?? []).map(eventOf))
  const wrong = webhook && whyWrong(webhook)
  return EVENTS.map((event) => {
    const what = PREFIX + event
    if (!has.has(event)) return { what, state: 'missing' }
    return wrong === undefined ? { what, state: 'right' } : { what, state: 'wrong', detail: wrong }
  })
}

function whyWrong({ status, http_method, request_format }: RegisteredWebhook): string | undefined {
  if (status !== 'active') return 'the webhook is switched off'
  return http_method === 'POST' && request_format === 'json' ? undefined : 'the webhook does not send JSON by POST'
}

/** The vendor writes some types with a slash: zen:event-type/user.merged. */
function eventOf(type: string): string {
  return type.replace(/^zen:event-type[:/]user\./, '')
}

function isWanted(type: string): boolean {
  return (EVENTS as readonly string[]).includes(eventOf(type))
}
