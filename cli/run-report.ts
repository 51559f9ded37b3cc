import type { Household } from '../workers/household.ts'
import { brakeHolds, waitingForApproval } from '../workers/approve.ts'
import type { Meter } from '../workers/meter.ts'
import { conflictsOf, type ConflictLine } from '../workers/listing.ts'
import { EXIT, type ExitCode } from './errors.ts'
import { count, table, type Output } from './output.ts'
import { failing, failureSentence } from './session.ts'
import type { Tallied, Tally } from './tally.ts'
import { showValue } from './words.ts'

/** What `sync` and `approve` print when they are done. */
export interface RunReport {
  readonly connections: { readonly [name: string]: Tallied }
  readonly conflicts: readonly ConflictLine[]
  readonly held: boolean
}

/** Prints what a run did and what is left to the operator, and answers with the exit code. */
export async function reportRun(
  household: Household,
  tally: Tally,
  meter: Meter,
  output: Output,
  more: { readonly [key: string]: unknown } = {},
): Promise<ExitCode> {
  const { config, store } = household
  const counts = await store.counts()
  const rows = config.connections.map((item) => {
    return [item.name, tally.of(item, counts.get(item.name), meter.calls(item.name))] as const
  })
  const conflicts: ConflictLine[] = []
  for await (const line of conflictsOf(store)) conflicts.push(line)
  const waiting = await waitingForApproval(household)
  const brakes = await brakeHolds(household)
  const held = waiting > 0 || brakes.length > 0
  const failed = failing(config, await store.connections())
  const report: RunReport = { connections: Object.fromEntries(rows), conflicts, held }

  if (output.json) await output.print({ ...more, ...report })
  else await output.say(runTable(rows))
  for (const line of conflicts) await output.say(conflictLine(line))
  if (conflicts.length > 0)
    await output.say('Settle a conflict with kith review, or by writing one of the two values into both apps.')
  for (const { connection, reason, what, count: number } of brakes) {
    await output.say(
      output.yellow(`${connection}: ${count(number, what === 'deletions' ? 'deletion' : what)} held, ${reason}`),
    )
  }
  if (brakes.length > 0) await output.say('See them with: kith plan. Let them go with: kith approve --brakes')
  if (waiting > 0) {
    await output.say(output.yellow(`${count(waiting, 'write')} held: they wait for approval.`))
    await output.say('See them with: kith plan. Send them with: kith approve')
  }
  const parked = rows.reduce((sum, [, row]) => sum + row.parked, 0)
  if (parked > 0) await output.say(`${count(parked, 'record')} parked. See which and why with: kith parked`)
  for (const { name, failure } of failed) await output.complain(output.red(failureSentence(name, failure)))
  return failed.length > 0 ? EXIT.wrong : held ? EXIT.held : parked > 0 ? EXIT.parked : EXIT.done
}

function runTable(rows: readonly (readonly [string, Tallied])[]): string {
  const heading = ['', 'read', 'created', 'updated', 'deleted', 'unchanged', 'parked', 'calls']
  return table(
    heading,
    rows.map(([name, row]) => [
      name,
      ...[row.read, row.created, row.updated, row.deleted, row.unchanged, row.parked, row.apiCalls].map(String),
    ]),
  )
}

function conflictLine({ name, field, connection, ours, theirs }: ConflictLine): string {
  return `conflict: ${name}, ${field}: ${showValue(ours)}, but ${connection} says ${showValue(theirs)}`
}
