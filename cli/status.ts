import type { ConnectionConfig } from '../config/types.ts'
import { adviceFor, type Failure } from '../engine/core/failure.ts'
import type { ConnectionCounts, ConnectionState } from '../engine/core/ports/store.ts'
import { brakeHolds, isApproved } from '../workers/approve.ts'
import type { Household } from '../workers/household.ts'
import { currentLeader } from '../workers/lead.ts'
import { holdLine } from './approve.ts'
import { EXIT_CODES, type Context, type Register } from './context.ts'
import { EXIT } from './errors.ts'
import { ago, count, table } from './output.ts'
import { waitingForApproval } from './run-report.ts'
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

interface Line {
  readonly app: string
  readonly state: 'live' | 'observe' | 'paused' | 'failed'
  readonly lastRead: string | null
  readonly pending: number
  readonly held: number
  readonly parked: number
  readonly failure?: Pick<Failure, 'kind' | 'message'> & { readonly advice: string }
}

interface Row {
  readonly config: ConnectionConfig
  readonly state: ConnectionState | undefined
  readonly counts: ConnectionCounts | undefined
  readonly line: Line
}

async function status({ output }: Context, household: Household): Promise<number> {
  const { config, store } = household
  const states = new Map((await store.connections()).map((state) => [state.name, state]))
  const counts = await store.counts()
  const rows = config.connections.map((item) => row(item, states.get(item.name), counts.get(item.name)))
  if (output.json) {
    await output.print({ connections: Object.fromEntries(rows.map(({ config: { name }, line }) => [name, line])) })
    return EXIT.done
  }
  const now_ms = Date.now()
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
  const brakes = await brakeHolds(household)
  for (const hold of brakes) await output.say(output.yellow(holdLine(hold)))
  if (brakes.length > 0) await output.say('Let them go with: kith approve --brakes')
  const waiting = await waitingForApproval(household)
  if (waiting > 0) await output.say(`${count(waiting, 'write')} held for approval: kith plan, then kith approve`)
  else if (!(await isApproved(household))) await output.say('Not approved yet: kith plan, then kith approve')
  if (rows.some(({ line }) => line.parked > 0)) await output.say('Parked records, and why: kith parked')
  const ambiguous = [...counts.values()].reduce((sum, item) => sum + item.ambiguous, 0)
  if (ambiguous > 0)
    await output.say(`${count(ambiguous, 'record')} may be one of several people: kith plan shows them`)
  const leader = await currentLeader(household)
  if (leader === null) await output.say('No daemon runs: kith start')
  else
    await output.say(
      leader === 'unknown' ? 'Another Kith is at work.' : `At work: kith ${leader.command}, ${processOf(leader)}.`,
    )
  return EXIT.done
}

function row(config: ConnectionConfig, state: ConnectionState | undefined, counts: ConnectionCounts | undefined): Row {
  const failure = state?.failure ?? null
  const line: Line = {
    app: config.app,
    state: failure ? 'failed' : config.mode,
    lastRead: state?.lastRead_ms ? new Date(state.lastRead_ms).toISOString() : null,
    pending: (counts?.pending ?? 0) + (counts?.sending ?? 0),
    held: counts?.held ?? 0,
    parked: (counts?.parked ?? 0) + (counts?.broken ?? 0),
    ...(failure ? { failure: { kind: failure.kind, message: failure.message, advice: adviceFor(failure) } } : {}),
  }
  return { config, state, counts, line }
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
