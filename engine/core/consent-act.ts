import type { Actor } from './act.ts'
import { channelOf, consentCell, hearConsent, isRestrictive, type ConsentState } from './consent.ts'
import { changeOf, type Workspace } from './workspace.ts'

/**
 * An operator's word on an address. The rules are the same as for an app's: a stricter state stands, a looser one only with
 * the person's own opt-in from after the restriction.
 *
 * @param holders the people in whose history it is told
 * @returns why it cannot be done, or null
 */
export function setConsent(
  ws: Workspace,
  key: string,
  wish: { readonly state: ConsentState; readonly optIn_ms: number | null; readonly note: string },
  actor: Actor,
  holders: readonly string[] = [],
): string | null {
  const entry = ws.consent(key)
  if (entry?.state === wish.state && (wish.optIn_ms ?? 0) <= (entry.optIn_ms ?? 0)) return `it is ${wish.state} already`
  const heard = hearConsent(entry, key, {
    state: wish.state,
    stamp: { at: actor.at_ms, by: `operator:${actor.by}` },
    recordId: null,
    optIn_ms: wish.optIn_ms,
    heard_ms: actor.at_ms,
    note: wish.note,
  })
  if (heard?.state === wish.state) {
    ws.saveConsent(heard)
    const cell = consentCell(channelOf(key))
    for (const personId of holders) {
      const origin = { personId, recordId: null, now_ms: actor.at_ms }
      ws.log(changeOf(origin, cell, entry?.state ?? null, heard.state, heard.stamp, 'applied', 'consent'))
    }
    return null
  }
  if (entry && isRestrictive(entry.state) && !isRestrictive(wish.state)) {
    const when = new Date(entry.restricted_ms ?? entry.stamp.at).toISOString()
    return wish.optIn_ms === null
      ? `${entry.state} stands, and only the person's own opt-in from after ${when} ends it`
      : `the opt-in is not from after ${when}, when ${entry.state} was told`
  }
  return `${entry?.state ?? 'nothing'} is stricter, and stands`
}
