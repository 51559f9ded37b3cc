import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Announcement, HookAnswer, HookRequest, Webhook } from '../app.ts'
import { HookBody, type HookEvent } from './wire.ts'

/** Requests that were signed longer ago, or later than now, are somebody's replay: the vendor's own limit. */
const WINDOW_MS = 5 * 60_000

/** The escapes that HubSpot undoes in the URL before it signs; all others stay. */
const UNESCAPED: { readonly [escape: string]: string } = {
  '%3A': ':',
  '%2F': '/',
  '%3F': '?',
  '%40': '@',
  '%21': '!',
  '%24': '$',
  '%27': "'",
  '%28': '(',
  '%29': ')',
  '%2A': '*',
  '%2C': ',',
  '%3B': ';',
}

export interface HookOptions {
  /** The app's client secret. */
  readonly clientSecret: string
  /** Only events of this account count; undefined: any that is signed. */
  readonly portal: string | undefined
  readonly now: () => number
}

/**
 * HubSpot's webhooks, by the signature of version 3: HMAC-SHA256 over method, URL, body and timestamp. A batch of up to 100
 * events says which contacts to look at: the search may not show them yet.
 */
export function hubspotWebhook({ clientSecret, portal, now }: HookOptions): Webhook {
  return {
    receive(request) {
      const forged = whyForged(request, clientSecret, now())
      if (forged !== null) return refuse(401, forged)
      const events = eventsOf(request.body)
      if (!events) return refuse(400, 'the body is no list of events')
      const ours = events.filter(({ portalId }) => portal === undefined || String(portalId) === portal)
      const contacts = ours.filter(({ subscriptionType }) => /^(contact|object)\./.test(subscriptionType))
      return {
        status: 204,
        announces: contacts.length > 0 ? announcementOf(contacts) : null,
        eventIds: contacts.map(eventKey),
      }
    },
  }
}

/** A merge tells of all that went into it, and of the new contact where it made one. */
function announcementOf(events: readonly HookEvent[]): Announcement {
  const ids = events.flatMap(({ objectId, primaryObjectId, mergedObjectIds, newObjectId }) => [
    objectId,
    primaryObjectId,
    ...(mergedObjectIds ?? []),
    newObjectId,
  ])
  const records = [...new Set(ids.filter((id) => id !== undefined))].map(String)
  return records.length > 0 ? { records } : 'pull'
}

/** An event's id alone is not unique, says the vendor; with its subscription and its time it is. */
function eventKey({ eventId, subscriptionId, occurredAt }: HookEvent): string {
  return `${eventId}-${subscriptionId ?? 0}-${occurredAt}`
}

function whyForged({ method, url, headers, body }: HookRequest, secret: string, now_ms: number): string | null {
  const given = headers['x-hubspot-signature-v3']
  const timestamp = headers['x-hubspot-request-timestamp']
  if (given === undefined || timestamp === undefined) return 'it has no signature of version 3'
  if (!/^\d{1,16}$/.test(timestamp)) return 'its timestamp cannot be read'
  if (Math.abs(now_ms - Number(timestamp)) > WINDOW_MS)
    return 'it was signed more than five minutes ago, or ahead of time'
  const signed = createHmac('sha256', secret)
    .update(`${method.toUpperCase()}${unescaped(url)}`)
    .update(body)
    .update(timestamp)
    .digest('base64')
  return isSame(given, signed) ? null : 'its signature is not of this app and this address'
}

function unescaped(url: string): string {
  return url.replace(/%[0-9A-Fa-f]{2}/g, (escape) => UNESCAPED[escape.toUpperCase()] ?? escape)
}

/** In constant time; the length of a right signature is no secret. */
function isSame(given: string, right: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(right)]
  return a.length === b.length && timingSafeEqual(a, b)
}

function eventsOf(body: Uint8Array): HookEvent[] | null {
  try {
    const parsed = HookBody.safeParse(JSON.parse(Buffer.from(body).toString('utf8')))
    return parsed.success ? parsed.data : null
  } catch {
    return null
  }
}

function refuse(status: number, refused: string): HookAnswer {
  return { status, announces: null, eventIds: [], refused }
}
