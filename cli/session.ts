import type { Config } from '../config/types.ts'
import { failureFrom, type Failure } from '../engine/core/failure.ts'
import type { ConnectionState } from '../engine/core/ports/store.ts'
import { Household, type HouseholdOptions } from '../workers/household.ts'
import { staysAtWork, takeLead, type Leader } from '../workers/lead.ts'
import type { Log } from '../workers/runtime.ts'
import type { Context } from './context.ts'
import { OperatorError } from './errors.ts'
import { withoutPasswords } from './errors.ts'
import { clock } from './output.ts'

export { failureSentence, sentence } from '../workers/words.ts'

/** The log of a command that prints its own words: seen when details are asked for. */
export function quietLog({ debug, output }: Context): Log {
  const tell = (event: string, facts: object = {}): void => {
    if (debug) void output.complain(withoutPasswords(`${event} ${JSON.stringify(facts)}`))
  }
  return {
    info: tell,
    warn: tell,
    failure: (event, connection, { kind, message }) => tell(event, { connection, kind, message }),
  }
}

/** Opens the household, does the work and closes it again, whatever happens. */
export async function withHousehold<Result>(
  context: Context,
  work: (household: Household) => Promise<Result>,
  more: Partial<HouseholdOptions> = {},
): Promise<Result> {
  const { configFile, env } = context
  const household = await Household.open({ configFile, env, log: quietLog(context), ...more })
  try {
    return await work(household)
  } finally {
    await household.close()
  }
}

/**
 * Does work that only one process may do at a time: reading to quiet, sending.
 * @param busy what to do when another process is at it; without it, that is an error
 */
export async function leading<Result>(
  household: Household,
  command: string,
  work: () => Promise<Result>,
  busy: (leader: Leader | null) => Promise<Result> = (leader) => Promise.reject(atWork(leader)),
): Promise<Result> {
  const lead = await takeLead(household, command)
  if (lead.kind === 'theirs') return busy(lead.leader)
  try {
    return await work()
  } finally {
    await lead.release()
  }
}

/** The refusal to do what another process is doing already. */
export function atWork(leader: Leader | null): OperatorError {
  if (leader && staysAtWork(leader)) {
    return new OperatorError(
      `the daemon is at work on these data already (kith ${leader.command}, ${processOf(leader)})`,
      'It reads and sends by itself: see kith status. To do this by hand, stop the daemon first.',
    )
  }
  const who = leader ? `kith ${leader.command}, ${processOf(leader)}` : 'another process'
  return new OperatorError(`another Kith is at work on these data (${who})`, 'Wait until it is done, or stop it.')
}

export function processOf({ pid, host, since_ms }: Leader): string {
  return `process ${pid} on ${host}, since ${clock(since_ms)}`
}

/** Connections of the config that cannot be read or written now, and why. */
export function failing(
  config: Config,
  states: readonly ConnectionState[],
): { readonly name: string; readonly failure: Failure }[] {
  const byName = new Map(states.map((state) => [state.name, state]))
  return config.connections.flatMap(({ name }) => {
    const failure = byName.get(name)?.failure
    return failure ? [{ name, failure }] : []
  })
}

/** What anything thrown means to a connection, in one line. */
export function failureOf(error: unknown): Failure {
  return failureFrom(error)
}
