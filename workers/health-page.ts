import { healthSteps, type HealthFilter, type HealthLine, type HealthPosition } from './health.ts'
import type { Household } from './household.ts'

export type { HealthPosition } from './health.ts'

/** People, or records that are nobody's, that one page looks at: one that finds little comes to its end all the same. */
const LOOKED_MAX = 5000

export interface HealthPage {
  readonly records: readonly HealthLine[]
  /** Where the next page begins; null where there is none. */
  readonly next: HealthPosition | null
}

/**
 * A page of how records stand, in the order of {@link healthSteps}.
 *
 * @param limit how many lines end a page; the last person is told whole, so there may be a few more
 */
export async function healthPage(
  household: Household,
  filter: HealthFilter,
  { limit, after }: { readonly limit: number; readonly after: HealthPosition | null },
): Promise<HealthPage> {
  const records: HealthLine[] = []
  let looked = 0
  for await (const { lines, at } of healthSteps(household, filter, after)) {
    records.push(...lines)
    if (records.length >= limit || ++looked >= LOOKED_MAX) return { records, next: at }
  }
  return { records, next: null }
}
