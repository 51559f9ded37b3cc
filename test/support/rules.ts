import { BRAKES } from '../../config/limits.ts'
import { Catalogue } from '../../engine/core/catalogue.ts'
import type { ConnectionRules, Policy, Rules } from '../../engine/core/rules.ts'
import type { Lens } from '../../engine/core/ports/lens.ts'
import { compileLens } from '../../mappings/compile.ts'
import { loadDefaultMapping } from '../../mappings/defaults.ts'
import { phoneNormaliser } from '../../mappings/normalise.ts'
import { CONSENT_FIELDS, FIELDS } from '../../connectors/memory/quirks.ts'

/** Brakes that never trip: for tests of anything else. */
export const NO_BRAKES = {
  ...BRAKES,
  creates: { share: 1, min: 1e9 },
  deletes: { share: 1, min: 1e9 },
  fieldShare: { share: 1, min: 1e9 },
  flips_max: 1e9,
}

const catalogue = new Catalogue(phoneNormaliser('DE'))
const lensFor = (fields: typeof FIELDS): Lens =>
  compileLens(
    loadDefaultMapping('memory'),
    catalogue,
    fields.map((field) => ({ ...field, writable: true })),
  ).lens
const plain = lensFor(FIELDS)
const consenting = lensFor([...FIELDS, ...CONSENT_FIELDS])

/** The rules of a household of memory apps with the default mapping. */
export function memoryRules(
  apps: readonly {
    name: string
    rules?: Partial<ConnectionRules>
    consent?: boolean
    quirks?: { readonly erase?: boolean }
  }[],
  policies: { readonly [field: string]: Policy } = {},
): Rules {
  const connections = apps.map(({ name, rules, consent = false, quirks }): ConnectionRules => ({
    name,
    lens: consent ? consenting : plain,
    direction: 'both',
    create: true,
    canDelete: true,
    canArchive: true,
    canMerge: true,
    canErase: quirks?.erase ?? false,
    requires: [],
    deletes: 'unlink',
    include: null,
    brakes: NO_BRAKES,
    ...rules,
  }))
  return {
    catalogue,
    connections: new Map(connections.map((connection) => [connection.name, connection])),
    policy: (field) => policies[field] ?? { kind: 'latest' },
    match: {
      rules: [{ by: 'externalId' }, { by: 'email' }, { by: 'phone' }],
      sharedFrom: 3,
      roleAddresses: new Set(['info']),
    },
  }
}
