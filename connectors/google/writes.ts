import { FailureError, failureFrom } from '../../engine/core/failure.ts'
import type { WriteOutcome, WriteRequest } from '../../engine/core/ports/connector.ts'
import { Creates } from './creates.ts'
import { Deletes } from './deletes.ts'
import { Outcomes, type WriterParts } from './outcomes.ts'
import { Updates } from './updates.ts'

/**
 * Writes one batch: one request for its updates, one for its creates, one for its deletes, one after the other.
 * @throws FailureError only where nothing was written, for one and the same reason
 */
export async function writeBatch(
  parts: WriterParts,
  requests: readonly WriteRequest[],
  signal: AbortSignal | undefined,
): Promise<WriteOutcome[]> {
  const outcomes = new Outcomes(parts)
  const updates = requests.filter((request) => request.op === 'update')
  const creates = requests.filter((request) => request.op === 'create')
  const deletes = requests.filter((request) => request.op === 'delete')
  const labelled = [...updates, ...creates]
  const changes = labelled.map(({ fields }) => fields)
  await step(outcomes, labelled, () => parts.groups.ensure(changes, signal))
  await step(outcomes, updates, () => new Updates(parts, outcomes, signal).write(updates))
  await step(outcomes, creates, () => new Creates(parts, outcomes, signal).write(creates))
  await step(outcomes, deletes, () => new Deletes(parts, outcomes, signal).write(deletes))
  const all = requests.map(({ ref }) => outcomes.of(ref))
  const { halted } = outcomes
  if (halted && all.every((outcome) => outcome.kind === 'failed' && outcome.failure === halted)) {
    throw new FailureError(halted)
  }
  return all
}

/** What fails before anything of it is sent fails for all of it. */
async function step(outcomes: Outcomes, requests: readonly WriteRequest[], work: () => Promise<void>): Promise<void> {
  const open = requests.filter(({ ref }) => !outcomes.has(ref))
  if (open.length === 0) return
  if (outcomes.halted) return outcomes.failAll(open, outcomes.halted)
  try {
    await work()
  } catch (error) {
    outcomes.failAll(open, failureFrom(error))
  }
}
