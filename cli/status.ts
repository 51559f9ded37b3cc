import { PAUSE_FORGOTTEN_MS } from '../config/limits.ts'
import type { ConnectionConfig } from '../config/types.ts'
import { adviceFor } from '../engine/core/failure.ts'
import type { ConnectionCounts, ConnectionState } from '../engine/core/ports/store.ts'
import { brakeHolds, isApproved, waitingForApproval } from '../workers/approve.ts'
import { backupStanding, isOverdue, type BackupStanding } from '../workers/backup-clock.ts'
import { HEALTH_STATES } from '../engine/core/health.ts'
import { connectionLine, statusDocument } from '../workers/documents/status.ts'
import { countHealth } from '../workers/health.ts'
import type { Household } from '../workers/household.ts'
import { currentLeader } from '../workers/lead.ts'
import { pauses, type PauseNews } from '../workers/pause.ts'
import { standardTallies } from '../workers/standard-tallies.ts'
import { listeningTo } from '../workers/watches.ts'
import { holdLine } from './approve.ts'
import { EXIT_CODES, type Context, type Register } from './context.ts'
import { EXIT } from './errors.ts'
import { ago, clock, count, table, type Output } from './output.ts'
import { failureSentence, processOf, withHousehold } from './session.ts'

export const registerStatus: Register = (program, run) => {
  program
    .command('status')
    .description('Shows where each connection stands. Asks no app; works while the daemon runs, and without it.')
    .addHelpText(
      'after',
      `
Columns: state (live, observe, paused, failed), records kept in agreement, time since the last reading, how long past its
poll interval that is (lag), writes not answered yet, writes held, records parked.

Examples:
  kith status
  kith status --json | jq '.connections[] | select(.parked > 0)'
${EXIT_CODES}`,
    )
    .action((_options: object, command) =>
      run(command, (context) => withHousehold(context, (it) => status(context, it))),
    )
}

interface Row {
  readonly config: ConnectionConfig
  readonly state: ConnectionState | undefined
  readonly counts: ConnectionCounts | undefined
  readonly line: ReturnType<typeof connectionLine>
}

async function status({ output }: Context, household: Household): Promise<number> {
  const now_ms = Date.now()
  if (output.json) {
    const document = await statusDocument(household, now_ms)
    await output.print(document)
    return document.erasures.length > 0 ? EXIT.parked : EXIT.done
  }
  const { config, store } = household
  const states = new Map((await store.connections()).map((state) => [state.name, state]))
  const counts = await store.counts()
  const health = new Map((await countHealth(household)).map((item) => [item.connection, item.states]))
  const doors = await standardTallies(household, now_ms)
  const rows = config.connections.map((item) => row(item, states.get(item.name), counts.get(item.name)))
  const news = await pauses({ store, now: () => now_ms }, PAUSE_FORGOTTEN_MS)
  const erasures = await store.erasures({ state: 'open', limit: 1000 })
  await output.say(
    table(
      ['', 'app', 'state', 'records', 'last read', 'lag', 'pending', 'held', 'parked'],
      rows.map((it) => cells(it, now_ms)),
    ),
  )
  for (const {
    config: { name },
    state,
  } of rows) {
    if (state?.failure) await output.say(output.red(failureSentence(name, state.failure)))
  }
  for (const { name } of config.connections) {
    const { failure = null, since_ms = 0 } = (await listeningTo(store, name)) ?? {}
    if (failure === null) continue
    const told = `changes are not heard at once (${ago(since_ms, now_ms)}), only at the next poll`
    await output.say(output.yellow(`${name}: ${told}. ${failure.message}. ${adviceFor(failure)}`))
  }
  for (const one of news) await output.say(pauseLine(output, one, now_ms))
  const brakes = await brakeHolds(household)
  for (const hold of brakes) await output.say(output.yellow(holdLine(hold)))
  if (brakes.length > 0) await output.say('Let them go with: kith approve --brakes')
  const waiting = await waitingForApproval(household)
  if (waiting > 0) await output.say(`${count(waiting, 'write')} held for approval: kith plan, then kith approve`)
  else if (!(await isApproved(household))) await output.say('Not approved yet: kith plan, then kith approve')
  if (rows.some(({ line }) => line.parked > 0)) await output.say('Parked records, and why: kith parked')
  const total = (what: 'ambiguous' | 'second'): number =>
    [...counts.values()].reduce((sum, item) => sum + item[what], 0)
  if (total('ambiguous') > 0)
    await output.say(`${count(total('ambiguous'), 'record')} may be one of several people: kith review`)
  if (total('second') > 0)
    await output.say(`${count(total('second'), 'second record')} to go away once you say so: kith review --kind ending`)
  if (config.backup !== null) {
    const standing = await backupStanding(household)
    const bad = standing.failure !== null || isOverdue(standing, config.backup.every_ms, now_ms)
    await output.say(bad ? output.red(backupLine(standing, now_ms)) : backupLine(standing, now_ms))
  }
  const standing = HEALTH_STATES.map(
    (state) => [state, sum([...health.values()].map((states) => states[state]))] as const,
  )
  const told = standing.filter(([, number]) => number > 0)
  if (told.length > 0) {
    await output.say(
      `Records: ${told.map(([state, number]) => `${number.toLocaleString('en-GB')} ${state}`).join(', ')}. Why: kith health`,
    )
  }
  for (const [name, { fix, warn, hold }] of doors) {
    if (fix + warn + hold === 0) continue
    const line = `${name}: in the last day the standard repaired ${count(fix, 'value')}, warned of ${warn} and held ${hold}`
    await output.say(hold > 0 ? output.yellow(`${line}: kith review`) : `${line}: kith audit`)
  }
  if (erasures.length > 0) {
    const ids = erasures.map(({ id }) => id).join(', ')
    await output.say(output.red(`${count(erasures.length, 'erasure')} not finished (${ids}): kith forget --list`))
  }
  const leader = await currentLeader(household)
  if (leader === null) await output.say('No daemon runs: kith start')
  else
    await output.say(
      leader === 'unknown' ? 'Another Kith is at work.' : `At work: kith ${leader.command}, ${processOf(leader)}.`,
    )
  return erasures.length > 0 ? EXIT.parked : EXIT.done
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}

function backupLine({ last, failure }: BackupStanding, now_ms: number): string {
  const made = last === null ? 'No backup was made yet' : `Last backup ${ago(last.at_ms, now_ms)}: ${last.file}`
  return failure === null ? made : `BACKUP FAILED ${ago(failure.at_ms, now_ms)}: ${failure.message}. ${made}`
}

function row(config: ConnectionConfig, state: ConnectionState | undefined, counts: ConnectionCounts | undefined): Row {
  const line = connectionLine(config, state, counts)
  return { config, state, counts, line }
}

/** Loud where it is overdue, or so old that it may have been forgotten. */
function pauseLine(output: Output, { connection, pause, kept, overdue, loud }: PauseNews, now_ms: number): string {
  const age = ago(pause.at_ms, now_ms).replace(' ago', '')
  const state = pause.since_ms === null ? 'is being paused: writes are still under way' : `paused for ${age}`
  const until = overdue && pause.until_ms !== null ? `, OVERDUE since ${clock(pause.until_ms)}` : ''
  const heard = kept > 0 ? `; ${count(kept, 'record')} changed there wait` : ''
  const line = `${connection}: ${state}${until} (by ${pause.by}: ${pause.why})${heard}: kith resume ${connection}`
  return loud ? output.red(output.bold(`${overdue ? '' : 'FORGOTTEN? '}${line}`)) : output.yellow(line)
}

function cells({ config, state, counts, line }: Row, now_ms: number): string[] {
  const lastRead_ms = state?.lastRead_ms ?? null
  const late_ms = lastRead_ms === null || config.mode === 'paused' ? 0 : now_ms - lastRead_ms - config.poll_ms
  const pending = counts?.sending ? `${line.pending} (${counts.sending} being sent)` : String(line.pending)
  return [
    config.name,
    line.app,
    line.state,
    String(counts?.linked ?? 0),
    ago(lastRead_ms, now_ms),
    lastRead_ms === null ? '-' : late_ms > 0 ? ago(now_ms - late_ms, now_ms).replace(' ago', '') : '0',
    pending,
    String(line.held),
    String(line.parked),
  ]
}
