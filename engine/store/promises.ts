import type { Intent, Settlement } from '../core/ports/store.ts'

/** What every store promises alike, whatever it keeps its facts in; the memory store of the simulation stands on this too. */

/** Tallies are kept by the minute. */
const TALLY_BUCKET_MS = 60_000

/** The start of the minute that a time lies in. */
export function bucketOf(at_ms: number): number {
  return at_ms - (at_ms % TALLY_BUCKET_MS)
}

/** @throws RangeError for an intent that a commit may not bring in */
export function checkOpen(intent: Intent): void {
  if (intent.state === 'sending' || intent.state === 'done') {
    throw new RangeError(`intent ${intent.id} is ${intent.state}: only open intents can be committed`)
  }
}

/** Why an intent that was being sent is held: what the app said, else it waits for approval. */
export function heldFor(settlement: Settlement): string {
  return settlement.failure?.message ?? 'approval'
}
