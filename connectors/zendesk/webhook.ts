import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Announcement, HookAnswer, HookRequest, Webhook } from '../app.ts'
import { EventSchema } from './wire.ts'

const SIGNATURE = 'x-zendesk-webhook-signature'
const TIMESTAMP = 'x-zendesk-webhook-signature-timestamp'
const INVOCATION = 'x-zendesk-webhook-invocation-id'
/** The vendor names no tolerance. */
const WINDOW_MS = 5 * 60_000
const USER_EVENT = /^zen:event-type[:/]user\./
const USER = /^zen:user:(\d{1,16})$/

/**
 * Zendesk's webhooks: base64(HMAC-SHA256(secret, timestamp + body)), see the README.
 */
export function zendeskWebhook(secret: string | undefined, now: () => number): Webhook {
  return {
    receive(request) {
      if (secret === undefined) return refused('the connection has no webhookSecret')
      const timestamp = request.headers[TIMESTAMP] ?? ''
      const at_ms = Date.parse(timestamp)
      if (Number.isNaN(at_ms) || Math.abs(now() - at_ms) > WINDOW_MS) return refused('its timestamp is not of now')
      if (!isSigned(request, secret, timestamp)) return refused('its signature is wrong')
      return { status: 200, ...meaningOf(request) }
    },
  }
}

function isSigned(request: HookRequest, secret: string, timestamp: string): boolean {
  const wanted = createHmac('sha256', secret).update(timestamp).update(request.body).digest()
  const given = Buffer.from(request.headers[SIGNATURE] ?? '', 'base64')
  return given.length === wanted.length && timingSafeEqual(given, wanted)
}

/** An event says what it is about; what a trigger or automation sends is of the account's own making, and may be of a user. */
function meaningOf(request: HookRequest): Pick<HookAnswer, 'announces' | 'eventIds'> {
  const event = EventSchema.safeParse(jsonOf(request.body))
  const { id, type, subject } = event.success ? event.data : {}
  const eventId = id ?? request.headers[INVOCATION]
  return {
    announces: typeof type !== 'string' || USER_EVENT.test(type) ? announcementOf(subject) : null,
    eventIds: eventId === undefined ? [] : [eventId],
  }
}

/** The user is read at once by id: the export withholds the newest minute. */
function announcementOf(subject: unknown): Announcement {
  const user = typeof subject === 'string' ? USER.exec(subject)?.[1] : undefined
  return user === undefined ? 'pull' : { records: [user] }
}

function jsonOf(body: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(body).toString('utf8'))
  } catch {
    return undefined
  }
}

function refused(why: string): HookAnswer {
  return { status: 401, announces: null, eventIds: [], refused: `Zendesk webhook refused: ${why}` }
}
