import { formatDuration, parseDuration_ms } from '../config/values.ts'
import { PAUSE_WAIT_MS } from '../config/limits.ts'
import type { Intent, Pause } from '../engine/core/ports/store.ts'
import { pausedDocument } from '../workers/documents/pause.ts'
import type { Household } from '../workers/household.ts'
import { beginPause, waitForPause } from '../workers/pause.ts'
import type { Runtime } from '../workers/runtime.ts'
import { EXIT_CODES, type Context, type Register } from './context.ts'
import { EXIT, OperatorError, type ExitCode } from './errors.ts'
import { operatorOf } from './operator.ts'
import { clock, count } from './output.ts'
import { withHousehold } from './session.ts'

interface PauseOptions {
  readonly all?: boolean
  readonly reason?: string
  readonly until?: string
  readonly by?: string
  readonly wait?: string
}

export const registerPause: Register = (program, run) => {
  program
    .command('pause')
    .argument('[connection]', 'the connection to which nothing is written from now on')
    .description('Stops all writing to a connection, so that people can clean up in its app. It is still heard.')
    .option('--all', 'every connection')
    .option('--reason <text>', 'why, for the record and for whoever meets the pause')
    .option('--until <time>', 'when it should be over: 2d, 4h, 2026-11-25, 2026-11-25T18:00. It does not end by itself')
    .option('--wait <duration>', `how long to wait for writes under way; ${formatDuration(PAUSE_WAIT_MS)} unless told`)
    .option('--by <name>', 'who does it; otherwise the name you are logged in with')
    .addHelpText(
      'after',
      `
It says "paused" only when no write to the connection is under way, and none can begin, in any process. From then on what
people do there is kept aside as the clean-up; other connections go on, and their changes wait. See and end it with:
kith resume <connection>. What a record says about consent counts at once, in a pause too.

Examples:
  kith pause crm --reason "Q3 clean-up" --until 3d
  kith pause --all --reason "something is wrong"
${EXIT_CODES}`,
    )
    .action((connection: string | undefined, options: PauseOptions, command) =>
      run(command, (context) => withHousehold(context, (household) => pause(context, household, connection, options))),
    )
}

/** What became of one connection. */
interface Paused {
  readonly connection: string
  readonly pause: Pause
  readonly begun: boolean
  readonly underWay: readonly Intent[]
}

async function pause(
  context: Context,
  household: Household,
  connection: string | undefined,
  options: PauseOptions,
): Promise<number> {
  const names = namesOf(household, connection, options.all === true)
  const why = options.reason?.trim() ?? ''
  if (why === '')
    throw new OperatorError('a pause needs a reason', 'Add --reason "...": whoever meets the pause reads it.')
  const wish = { by: operatorOf(options.by, context.env), why, until_ms: untilOf(options.until, Date.now()) }
  const timeout_ms = waitOf(options.wait)
  const queues = await household.openQueues()
  try {
    const runtime = household.runtime(queues)
    // First the doors are closed, all of them; only then is anybody asked what became of what is under way.
    const begun = await Promise.all(names.map((name) => beginPause(runtime, name, wish)))
    const waiting = await underWay(runtime, names)
    if (waiting > 0) await Promise.all(names.map((name) => household.connect(name, context.signal)))
    const paused = await Promise.all(
      names.map(async (name, index): Promise<Paused> => {
        const left = await waitForPause(runtime, name, { timeout_ms, signal: context.signal })
        return { connection: name, ...(begun[index] as { pause: Pause; begun: boolean }), underWay: left }
      }),
    )
    return await report(context, household, paused)
  } finally {
    await queues.close(0)
  }
}

async function underWay({ store }: Runtime, names: readonly string[]): Promise<number> {
  const counts = await store.counts()
  return names.reduce((sum, name) => sum + (counts.get(name)?.sending ?? 0), 0)
}

async function report({ output }: Context, household: Household, paused: readonly Paused[]): Promise<ExitCode> {
  const open = paused.some((one) => one.underWay.length > 0)
  if (output.json) {
    const lines = paused.map(({ connection, pause: standing, begun, underWay: left }) => {
      return [connection, pausedDocument(standing, begun, left)] as const
    })
    await output.print({ connections: Object.fromEntries(lines) })
    return open ? EXIT.held : EXIT.done
  }
  for (const { connection, pause: standing, begun, underWay: left } of paused) {
    if (!begun) await output.say(`${connection} was in a pause already, ${pauseWords(standing)}.`)
    if (left.length === 0) {
      let records = 0
      for await (const _ of household.store.baseline(connection)) records++
      await output.say(output.bold(`${connection} is paused: no write to it is under way, and none can begin.`))
      await output.say(`${count(records, 'record')} kept as they were. When you are done: kith resume ${connection}`)
      continue
    }
    await output.say(output.yellow(`${connection} is not paused yet: ${count(left.length, 'write')} under way.`))
    for (const { op, recordId, attempts } of left.slice(0, 10)) {
      await output.say(`  ${op} of ${recordId ?? 'a new record'}${attempts > 1 ? `, attempt ${attempts}` : ''}`)
    }
    await output.say(
      `No other can begin. Their answers are found out about; wait for them with: kith pause ${connection} --reason "..."`,
    )
  }
  return open ? EXIT.held : EXIT.done
}

/** `since 2026-11-20 18:00, by ada: Q3 clean-up`. */
export function pauseWords({ at_ms, by, why }: Pause): string {
  return `since ${clock(at_ms)}, by ${by}: ${why}`
}

function namesOf({ config }: Household, connection: string | undefined, all: boolean): string[] {
  const names = config.connections.map(({ name }) => name)
  if (all !== (connection === undefined)) {
    throw new OperatorError('name one connection, or say --all', `The config has: ${names.join(', ')}.`)
  }
  if (connection === undefined) return names
  mustKnow(names, connection)
  return [connection]
}

export function mustKnow(names: readonly string[], connection: string): void {
  if (names.includes(connection)) return
  throw new OperatorError(`there is no connection named ${connection}`, `The config has: ${names.join(', ')}.`)
}

/** A time to come, or a duration from now. @throws OperatorError */
export function untilOf(text: string | undefined, now_ms: number): number | null {
  if (text === undefined) return null
  const after_ms = parseDuration_ms(text)
  const at_ms = after_ms === undefined ? Date.parse(text.length === 10 ? `${text}T00:00` : text) : now_ms + after_ms
  if (!Number.isFinite(at_ms) || at_ms <= now_ms) {
    throw new OperatorError(`"${text}" is no time to come`, 'Write a duration or a time: 3d, 4h, 2026-11-25T18:00.')
  }
  return at_ms
}

function waitOf(text: string | undefined): number {
  if (text === undefined) return PAUSE_WAIT_MS
  const wait_ms = parseDuration_ms(text)
  if (wait_ms === undefined) throw new OperatorError(`"${text}" is no duration`, 'Write one as 30s or 5m.')
  return wait_ms
}
