import { approvePlan, markPlanned, type Approver } from '../workers/approve.ts'
import { Daemon } from '../workers/daemon.ts'
import type { Household } from '../workers/household.ts'
import { runToQuiet } from '../workers/quiet.ts'
import type { Context } from './context.ts'
import { Progress } from './progress.ts'
import type { Tally } from './tally.ts'

/** Connects, reads and sends until nothing more happens; with an approval, what was planned and held is sent, too. */
export async function runHousehold(
  context: Context,
  household: Household,
  tally: Tally,
  approval?: { readonly approver: Approver | null },
): Promise<void> {
  const { signal } = context
  if (household.connected.length === 0) await household.connect(undefined, signal)
  const daemon = await Daemon.start(household, { leads: false })
  const progress = new Progress(tally)
  try {
    const options = { delivered: true, signal, onProgress: progress.show }
    await runToQuiet(daemon, options)
    if (!signal.aborted) await markPlanned(household)
    if (!approval || signal.aborted) return
    tally.planned += await approvePlan(household, approval.approver)
    await runToQuiet(daemon, { ...options, reads: false })
  } finally {
    progress.end()
    await daemon.stop()
  }
}
