import { createHash } from 'node:crypto'
import { canonicalJson, type Json } from '../engine/core/json.ts'
import type { Config } from './types.ts'

/**
 * The same text for two configs that send the same values to the same places: what an approval is given for. Poll
 * intervals, rates, brakes, modes, secrets and the order in which things are written do not count.
 */
export function fingerprint(config: Config): string {
  const connections = config.connections
    .map(({ name, app, account, mapping, direction, include, deletes, create }) => {
      return { name, app, account, mapping, direction, include, deletes, create }
    })
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
  const custom = config.custom.toSorted((a, b) => (a.name < b.name ? -1 : 1))
  const { policies, match, region, standard } = config
  // Left out where there is none: an approval given before there were standards holds on.
  const asked = standard.length > 0 ? { standard } : {}
  // Plain data by contract: through JSON, so that what is left out and what is undefined are alike.
  const decisive = JSON.parse(JSON.stringify({ connections, custom, policies, match, region, ...asked })) as Json
  return createHash('sha256').update(canonicalJson(decisive)).digest('hex')
}
