import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { HookAnswer, HookRequest, Webhook } from '../app.ts'

const SIGNATURE = 'x-mailchimp-signature'
/** The vendor's own tolerance. */
const WINDOW_MS = 5 * 60_000
/** What says something of a member; `campaign` does not. */
const MEMBER_EVENTS = new Set(['subscribe', 'unsubscribe', 'profile', 'upemail', 'cleaned'])

export interface HookOptions {
  /** Comes once, in the answer that made the webhook; those made before signing existed have none. */
  readonly signingSecret: string | undefined
  /** A word in the address that only Mailchimp was told: `?key=...` */
  readonly key: string | undefined
  /** Events of other audiences are no news. */
  readonly audience: string
  readonly now: () => number
}

/**
 * Mailchimp's audience webhooks. Where a signing secret is given, nothing unsigned is believed; older hooks are not signed,
 * and only the secret in their address tells them from forged ones. An event says no more than "look again".
 */
export function mailchimpWebhook(options: HookOptions): Webhook {
  return {
    receive(request) {
      // Mailchimp tries an address with a GET before it takes it, and tells that request no secret.
      if (request.method === 'GET' || request.method === 'HEAD') return { status: 200, announces: null, eventIds: [] }
      if (request.method !== 'POST') return refused(405, 'it is no POST')
      const forged = whyForged(request, options)
      if (forged !== null) return refused(401, forged)
      return meaningOf(new URLSearchParams(Buffer.from(request.body).toString('utf8')), options.audience)
    },
  }
}

function whyForged(request: HookRequest, { signingSecret, key, now }: HookOptions): string | null {
  if (signingSecret === undefined && key === undefined) return 'the connection has neither webhookSecret nor webhookKey'
  if (key !== undefined && !isSame(keyIn(request.url), key)) return 'its address lacks the key'
  if (signingSecret === undefined) return null
  const parts = (request.headers[SIGNATURE] ?? '').split(',').map((part) => part.trim().split('='))
  const timestamp = parts.find(([name]) => name === 't')?.[1] ?? ''
  if (!/^\d{1,12}$/.test(timestamp)) return 'it is not signed'
  if (Math.abs(now() - Number(timestamp) * 1000) > WINDOW_MS)
    return 'it was signed more than five minutes ago, or ahead'
  const signed = createHmac('sha256', signingSecret).update(`${timestamp}.`).update(request.body).digest('hex')
  // Two of them while a secret is being changed.
  const given = parts.flatMap(([name, value]) => (name === 'v1' && value !== undefined ? [value] : []))
  return given.some((one) => isSame(one, signed)) ? null : 'its signature is wrong'
}

function keyIn(url: string): string {
  return URL.parse(url, 'http://localhost')?.searchParams.get('key') ?? ''
}

function meaningOf(form: URLSearchParams, audience: string): HookAnswer {
  const type = form.get('type') ?? ''
  const list = form.get('data[list_id]')
  if (!MEMBER_EVENTS.has(type) || (list !== null && list !== audience))
    return { status: 200, announces: null, eventIds: [] }
  return { status: 200, announces: 'pull', eventIds: [eventKey(type, form)] }
}

/** Deliveries have no id. The vendor: type, member and time make one. Hashed, for a bounce names its member by the address. */
function eventKey(type: string, form: URLSearchParams): string {
  const who = form.get('data[id]') ?? form.get('data[new_id]') ?? form.get('data[email]') ?? ''
  const text = [type, who, form.get('fired_at') ?? ''].join('\n')
  return createHash('sha256').update(text).digest('base64url').slice(0, 22)
}

/** In constant time, whatever the lengths. */
function isSame(given: string, right: string): boolean {
  const [a, b] = [given, right].map((text) => createHash('sha256').update(text).digest())
  return a !== undefined && b !== undefined && timingSafeEqual(a, b)
}

function refused(status: number, why: string): HookAnswer {
  return { status, announces: null, eventIds: [], refused: `Mailchimp webhook refused: ${why}` }
}
