import { markPlanned } from './approve.ts'
import type { Daemon } from './daemon.ts'
import { applyBrakes } from './deliver.ts'
import type { Household } from './household.ts'
import { runToQuiet, type QuietOptions } from './quiet.ts'

/**
 * Reads, matches and plans to the end, and looks at the brakes as a delivery would: what is open afterwards is exactly what
 * would be sent, and what is held is what would be held. The daemon must be one that does not deliver.
 */
export async function dryRun(
  household: Household,
  daemon: Daemon,
  options: Omit<QuietOptions, 'delivered' | 'reads'> = {},
): Promise<void> {
  await runToQuiet(daemon, { ...options, delivered: false })
  if (options.signal?.aborted) return
  for (const rules of daemon.runtime.rules.connections.values()) await applyBrakes(daemon.runtime, rules)
  await markPlanned(household)
}
