import type { Consent } from '../engine/core/consent.ts'
import { consentKeys, keepsConsent } from '../engine/core/hear-consent.ts'
import type { AppRecord } from '../engine/core/ports/connector.ts'
import type { Neighbourhood } from '../engine/core/ports/store.ts'
import type { ConnectionRules } from '../engine/core/rules.ts'
import type { Runtime } from './runtime.ts'

/** What the ledger says of every address that a decision about these people and records may ask for. */
export async function consentsFor(
  { store, rules }: Pick<Runtime, 'store' | 'rules'>,
  hood: Neighbourhood,
  connection?: ConnectionRules,
  records: readonly AppRecord[] = [],
): Promise<Consent[]> {
  return keepsConsent(rules) ? store.consents(consentKeys(rules, hood, connection, records)) : []
}
