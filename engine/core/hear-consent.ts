import {
  consentCell,
  consentKeyOf,
  consentKeysOf,
  hearConsent,
  slotKeysOf,
  type Consent,
  type ConsentState,
} from './consent.ts'
import type { JsonObject } from './json.ts'
import type { AppRecord } from './ports/connector.ts'
import type { ConsentSlot } from './ports/lens.ts'
import type { Link, Neighbourhood } from './ports/store.ts'
import type { ConnectionRules, Rules } from './rules.ts'
import { stampOf } from './stamp.ts'
import { changeOf, type Workspace } from './workspace.ts'

/** Every address whose consent a decision about these people may ask for. */
export function consentKeys(rules: Rules, hood: Neighbourhood): string[] {
  const keys = new Set(hood.people.flatMap(consentKeysOf))
  for (const link of hood.links) {
    const lens = rules.connections.get(link.connection)?.lens
    if (lens) for (const key of slotKeysOf(lens, link.fields)) keys.add(key)
    for (const key of link.keys) keys.add(key)
  }
  return [...keys]
}

/** The same for records that are about to be heard. */
export function recordKeys({ lens }: ConnectionRules, records: readonly AppRecord[]): string[] {
  return records.flatMap(({ fields }) => [
    ...slotKeysOf(lens, fields),
    ...Object.keys(lens.get(fields)).flatMap((cell) => consentKeyOf(cell) ?? []),
  ])
}

/** Whether any connection keeps consent: without one, nothing is looked up. */
export function keepsConsent(rules: Rules): boolean {
  return [...rules.connections.values()].some(({ lens }) => lens.consents.length > 0)
}

/**
 * Hears what a record says about consent, whoever it belongs to, or may belong to: a restriction counts before it is known
 * whose record told it. Only what differs from the shadow is news.
 */
export function hearConsents(
  ws: Workspace,
  connection: ConnectionRules,
  link: Link | undefined,
  record: AppRecord,
  fields: JsonObject,
  now_ms: number,
): void {
  for (const slot of connection.lens.consents) {
    const key = slot.key(fields)
    if (key === null) continue
    const state = slot.state(fields)
    const before = link ? saidBefore(slot, key, link.fields) : undefined
    if (before && before.state === state && before.optIn_ms === slot.optIn_ms(fields)) continue
    const personId = link?.personId ?? null
    // Also for what says nothing any more: the app may have to be corrected.
    if (personId !== null && link?.state === 'linked') ws.touch(personId)
    if (state === null) continue
    const stamp = stampOf(connection.name, now_ms, before ? undefined : vendorTime(slot, record), undefined)
    const entry = ws.consent(key)
    const optIn_ms = slot.optIn_ms(fields)
    const heard = hearConsent(entry, key, {
      state,
      stamp,
      recordId: record.id,
      // A clock ahead of ours proves nothing about later.
      optIn_ms: optIn_ms === null ? null : Math.min(optIn_ms, now_ms),
      heard_ms: now_ms,
    })
    if (!heard) continue
    ws.saveConsent(heard)
    if (personId !== null) log(ws, slot, personId, record.id, entry, heard, state, now_ms)
  }
}

function log(
  ws: Workspace,
  slot: ConsentSlot,
  personId: string,
  recordId: string,
  entry: Consent | undefined,
  heard: Consent,
  said: ConsentState,
  now_ms: number,
): void {
  const kind = heard.state === said ? 'applied' : 'refused'
  const stamp = heard.events.at(-1)?.stamp ?? heard.stamp
  const origin = { personId, recordId, now_ms }
  if (entry?.state === heard.state && kind === 'applied') return
  ws.log(changeOf(origin, consentCell(slot.channel), entry?.state ?? null, said, stamp, kind, 'consent'))
}

/** What the shadow said about this very address; undefined where it spoke of another. */
function saidBefore(
  slot: ConsentSlot,
  key: string,
  shadow: JsonObject,
): { state: ConsentState | null; optIn_ms: number | null } | undefined {
  return slot.key(shadow) === key ? { state: slot.state(shadow), optIn_ms: slot.optIn_ms(shadow) } : undefined
}

/** What clocks of apps may be wrong by, when an old restriction is weighed against an opt-in elsewhere. */
const CLOCK_MARGIN_ms = 3_600_000

/**
 * When what a record says at its first reading came to be, as late as it may have been. What is heard as an edit counts from
 * when it is heard: by then nobody's earlier opt-in speaks against it any more.
 */
function vendorTime(slot: ConsentSlot, record: AppRecord): number | undefined {
  const claimed = record.fieldTimes_ms?.[slot.source] ?? record.modified_ms
  return claimed === undefined ? undefined : claimed + CLOCK_MARGIN_ms
}
