import { consentCell, consentPatch, effectiveConsent } from './consent.ts'
import type { CellKey } from './catalogue.ts'
import { sameJson, type Json, type JsonObject } from './json.ts'
import type { Person } from './person.ts'
import type { IntentCell, Link } from './ports/store.ts'
import type { ConnectionRules } from './rules.ts'
import type { Workspace } from './workspace.ts'

/** What a write has to say about consent, in the app's terms and in ours. */
export interface ConsentPlan {
  readonly fields: JsonObject
  readonly cells: { readonly [cell: CellKey]: IntentCell }
}

/**
 * What must be written so that a record says of its addresses what the ledger says.
 *
 * @param shown the record as it will be, the rest of the write included: a new address brings its own consent
 * @param link null where the record is yet to be created
 */
export function planConsent(
  ws: Workspace,
  connection: ConnectionRules,
  person: Person,
  shown: JsonObject,
  link: Pick<Link, 'rewrites'> | null,
): ConsentPlan {
  const fields: { [field: string]: Json } = {}
  const cells: { [cell: CellKey]: IntentCell } = {}
  for (const slot of connection.lens.consents) {
    const key = slot.key(shown)
    const consent = key === null ? undefined : effectiveConsent(person, key, (one) => ws.consent(one))
    if (!consent) continue
    const patch = Object.entries(consentPatch(slot, consent.state, link === null ? null : shown)).filter(
      ([field, value]) => {
        // Where the app has made of this very value what it holds now, sending it again would only go in a circle.
        const rewrite = link?.rewrites[field]
        return !rewrite || !sameJson(rewrite.sent, value) || !sameJson(rewrite.got, shown[field] ?? null)
      },
    )
    if (patch.length === 0) continue
    for (const [field, value] of patch) fields[field] = value
    cells[consentCell(slot.channel)] = {
      before: link === null ? null : slot.state(shown),
      after: consent.state,
      stamp: consent.stamp,
      rule: 'consent',
    }
  }
  return { fields, cells }
}
