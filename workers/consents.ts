import type { Consent } from '../engine/core/consent.ts'
import { consentKeys, keepsConsent, recordKeys } from '../engine/core/hear-consent.ts'
import type { AppRecord } from '../engine/core/ports/connector.ts'
import type { Neighbourhood } from '../engine/core/ports/store.ts'
import type { ConnectionRules } from '../engine/core/rules.ts'
import type { Runtime } from './runtime.ts'

/** What the ledger says of every address that a decision about these people and records may ask for. */
export async function consentsFor(
  { store, rules }: Pick<Runtime, 'store' | 'rules'>,
  hood: Neighbourhood,
  addresses: readonly string[] = [],
): Promise<Consent[]> {
  const keys = keepsConsent(rules) ? consentKeys(rules, hood) : []
  return keys.length + addresses.length > 0 ? store.consents([...keys, ...addresses]) : []
}

/** The same for records that are about to be heard, whose addresses may be new. */
export async function consentsOf(
  runtime: Pick<Runtime, 'store' | 'rules'>,
  hood: Neighbourhood,
  connection: ConnectionRules,
  records: readonly AppRecord[],
): Promise<Consent[]> {
  return keepsConsent(runtime.rules) ? consentsFor(runtime, hood, recordKeys(connection, records)) : []
}
