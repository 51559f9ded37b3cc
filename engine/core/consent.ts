import { fieldOf, type CellKey } from './catalogue.ts'
import { sameJson, type JsonObject } from './json.ts'
import type { Person } from './person.ts'
import type { ConsentSlot, Lens } from './ports/lens.ts'
import type { Stamp } from './stamp.ts'

/**
 * Consent is not last-writer-wins. It belongs to an address and not to a record; the most restrictive state that anybody has
 * told stands, and only a proof of the person's own later opt-in loosens it (I7).
 */
export const CONSENT_STATES = ['pending', 'subscribed', 'unsubscribed', 'bounced', 'complained'] as const
export type ConsentState = (typeof CONSENT_STATES)[number]

/** How an address is written to. Its key in the ledger is the one that its records are found by: `email:ada@example.org`. */
export type Channel = 'email' | 'phone'
export const CHANNELS: readonly Channel[] = ['email', 'phone']

/** One thing that was told about an address. */
export interface ConsentEvent {
  readonly state: ConsentState
  readonly stamp: Stamp
  readonly recordId: string | null
  /** The person's own opt-in, in milliseconds, where the app knows of one. */
  readonly optIn_ms: number | null
  /** `refused`: it would have loosened what stands, without a proof. */
  readonly kind: 'applied' | 'refused'
  readonly heard_ms: number
  /** What an operator said about it. */
  readonly note?: string
}

/** What is known of one address: the present state, and how it came to be. Outlives records, people and their merges. */
export interface Consent {
  readonly key: string
  readonly state: ConsentState
  readonly stamp: Stamp
  readonly optIn_ms: number | null
  /** When a restriction was last told, whichever of them stands: only an opt-in after that counts. */
  readonly restricted_ms: number | null
  /** Newest last; the oldest go when there are more than {@link EVENTS_MAX}, never the first restriction. */
  readonly events: readonly ConsentEvent[]
  /** Compare-and-set key; 0 for an entry not yet stored. */
  readonly version: number
}

export const EVENTS_MAX = 50

const strictness = (state: ConsentState): number => CONSENT_STATES.indexOf(state)

/** Whether mail may go out in this state. Unknown is not a state: what an app does without one is its own affair. */
export function isMailable(state: ConsentState): boolean {
  return state === 'subscribed'
}

/** Whether the address must not be written to whatever else is said. */
export function isRestrictive(state: ConsentState): boolean {
  return strictness(state) >= strictness('unsubscribed')
}

/** The stricter of two states; unknown (undefined) is the least strict. */
export function strictest(a: ConsentState | undefined, b: ConsentState | undefined): ConsentState | undefined {
  if (a === undefined || b === undefined) return a ?? b
  return strictness(a) >= strictness(b) ? a : b
}

/**
 * What becomes of an entry when something is told about its address: a stricter state stands at once; a looser one only with
 * an opt-in of the person that is later than what stands. The order in which things are told does not matter (I8), but for
 * the log.
 *
 * @returns undefined where nothing new was told
 */
export function hearConsent(
  entry: Consent | undefined,
  key: string,
  event: Omit<ConsentEvent, 'kind'>,
): Consent | undefined {
  const restricts = isRestrictive(event.state)
  // A restriction from before an opt-in that is proven: the opt-in is the person's later word.
  if (entry && restricts && (entry.optIn_ms ?? 0) > event.stamp.at) return refused(entry, event)
  const restricted_ms = restricts
    ? latest(entry?.restricted_ms ?? null, event.stamp.at)
    : (entry?.restricted_ms ?? null)
  const optIn_ms = latest(entry?.optIn_ms ?? null, event.optIn_ms)
  const applied = (): Consent => ({
    key,
    state: event.state,
    stamp: event.stamp,
    optIn_ms,
    restricted_ms,
    events: kept([...(entry?.events ?? []), { ...event, kind: 'applied' }]),
    version: entry?.version ?? 0,
  })
  if (!entry || strictness(event.state) > strictness(entry.state)) return applied()
  const moved = optIn_ms !== entry.optIn_ms || restricted_ms !== entry.restricted_ms
  if (event.state === entry.state) return moved ? { ...entry, optIn_ms, restricted_ms } : undefined
  // What was never forbidden is not said more loosely for that.
  if (!isRestrictive(entry.state)) return moved ? { ...entry, optIn_ms } : undefined
  if (restricts) return moved ? { ...entry, optIn_ms, restricted_ms } : undefined
  const proven = event.optIn_ms !== null && event.optIn_ms > (entry.restricted_ms ?? entry.stamp.at)
  return proven ? applied() : refused(entry, event)
}

function refused(entry: Consent, event: Omit<ConsentEvent, 'kind'>): Consent | undefined {
  const last = entry.events.at(-1)
  const told = last?.kind === 'refused' && last.state === event.state && last.stamp.by === event.stamp.by
  return told ? undefined : { ...entry, events: kept([...entry.events, { ...event, kind: 'refused' }]) }
}

function kept(events: readonly ConsentEvent[]): readonly ConsentEvent[] {
  if (events.length <= EVENTS_MAX) return events
  const first = events.findIndex((event) => event.kind === 'applied' && isRestrictive(event.state))
  const drop = first === 0 ? 1 : 0
  return events.filter((_, index) => index !== drop)
}

function latest(a: number | null, b: number | null): number | null {
  return a === null ? b : b === null ? a : Math.max(a, b)
}

/** The ledger key of a set cell (`emails:ada@example.org`), or undefined for a cell that is no address. */
export function consentKeyOf(cell: CellKey): string | undefined {
  const field = fieldOf(cell)
  if (field !== 'emails' && field !== 'phones') return undefined
  const normal = cell.slice(field.length + 1)
  return normal === '' ? undefined : `${field === 'emails' ? 'email' : 'phone'}:${normal}`
}

/** Every address that a person has or had. */
export function consentKeysOf(person: Person): string[] {
  return Object.keys(person.cells).flatMap((cell) => consentKeyOf(cell) ?? [])
}

/** The addresses that a record's consent fields speak of. */
export function slotKeysOf(lens: Lens, fields: JsonObject): string[] {
  return lens.consents.flatMap((slot) => slot.key(fields) ?? [])
}

/**
 * The state that holds for one address of a person. Where someone has given up an address that must not be written to, the
 * new one inherits that: whoever has unsubscribed has not agreed to mail by changing the address. A bounce is the old
 * address's alone.
 */
export function effectiveConsent(
  person: Person,
  key: string,
  entryOf: (key: string) => Consent | undefined,
): Consent | undefined {
  const own = entryOf(key)
  let strict = own
  for (const [cell, { value }] of Object.entries(person.cells)) {
    const former = value === null ? consentKeyOf(cell) : undefined
    if (former === undefined || former === key || channelOf(former) !== channelOf(key)) continue
    const entry = entryOf(former)
    if (!entry || (entry.state !== 'unsubscribed' && entry.state !== 'complained')) continue
    const proven = own !== undefined && (own.optIn_ms ?? 0) > (entry.restricted_ms ?? entry.stamp.at)
    if (proven) continue
    if (strictest(strict?.state, entry.state) !== strict?.state) strict = entry
  }
  return strict
}

export function channelOf(key: string): Channel {
  return key.startsWith('phone:') ? 'phone' : 'email'
}

/** The cell that stands for consent in plans and in the change log. */
export function consentCell(channel: Channel): CellKey {
  return `consent.${channel}`
}

export function isConsentCell(cell: CellKey): boolean {
  return cell.startsWith('consent.')
}

/** What is to be written so that one consent field of a record says what holds; empty where it does, or is stricter. */
export function consentPatch(slot: ConsentSlot, wanted: ConsentState, fields: JsonObject | null): JsonObject {
  if (fields === null) return slot.put(wanted)
  const present = slot.state(fields)
  const needed = isRestrictive(wanted)
    ? // An app that does not write to the address already is left with its own reason for it.
      present === null || isMailable(present)
    : wanted === 'subscribed' && present !== null && isRestrictive(present)
  if (!needed) return {}
  return Object.fromEntries(
    Object.entries(slot.put(wanted)).filter(([field, value]) => !sameJson(value, fields[field] ?? null)),
  )
}
