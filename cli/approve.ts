import {
  approvePlan,
  brakeHolds,
  isApproved,
  planStanding,
  prepareApproval,
  releaseBrakes,
  waitingForApproval,
  type Approver,
  type BrakeHold,
} from '../workers/approve.ts'
import type { Household } from '../workers/household.ts'
import { staysAtWork, type Leader } from '../workers/lead.ts'
import { Meter } from '../workers/meter.ts'
import type { Context, Register } from './context.ts'
import { EXIT_CODES } from './context.ts'
import { EXIT, OperatorError } from './errors.ts'
import { operatorOf } from './operator.ts'
import { count } from './output.ts'
import { reportRun } from './run-report.ts'
import { atWork, leading, withHousehold } from './session.ts'
import { runHousehold } from './run.ts'
import { Tally } from './tally.ts'

interface ApproveOptions {
  readonly brakes?: boolean
  readonly why?: string
  readonly by?: string
}

interface Wish {
  /** One connection, whose brakes are to be let go. */
  readonly connection: string | undefined
  readonly brakes: boolean
  readonly approver: Approver
}

export const registerApprove: Register = (program, run) => {
  program
    .command('approve')
    .argument('[connection]', 'let go what the brakes of this connection hold')
    .description('Sends what the plan shows and holds for approval; with --brakes, what the brakes hold.')
    .option('--brakes', 'let go what the brakes hold, in all connections')
    .option('--why <text>', 'why, for the record')
    .option('--by <name>', 'who does it; otherwise the name you are logged in with')
    .addHelpText(
      'after',
      `
Examples:
  kith approve            send what waits for approval
  kith approve --brakes   send what a brake stopped, and believe the deletions it did not
  kith approve crm        the same, for one connection
  kith approve --why "looked through with Grace"
${EXIT_CODES}`,
    )
    .action((connection: string | undefined, { brakes, by, why }: ApproveOptions, command) =>
      run(command, (context) => {
        const approver = { by: operatorOf(by, context.env), why: why ?? '' }
        return approve(context, { connection, brakes: brakes === true || connection !== undefined, approver })
      }),
    )
}

async function approve(context: Context, options: Wish): Promise<number> {
  const tally = new Tally()
  const meter = new Meter()
  const { output } = context
  const work = async (household: Household): Promise<number> => {
    mustKnow(household, options.connection)
    await prepareApproval(household)
    const release = options.brakes
      ? () => letBrakesGo(context, household, options)
      : () => letPlanGo(context, household, options)
    const lead = async (): Promise<number> => {
      const released = await release()
      tally.planned += released
      await runHousehold(context, household, tally)
      if (context.signal.aborted) return EXIT.interrupted
      return reportRun(household, tally, meter, output, { released })
    }
    const follow = async (leader: Leader | null): Promise<number> => {
      if (!leader || !staysAtWork(leader)) throw atWork(leader)
      const released = await release()
      if (output.json) await output.print({ released, connections: {}, conflicts: [], held: false })
      await output.say('The daemon sends them: see kith status.')
      return EXIT.done
    }
    return leading(household, 'approve', lead, follow)
  }
  return withHousehold(context, work, { events: tally.events, apps: meter.apps })
}

function mustKnow({ config }: Household, connection: string | undefined): void {
  const names = config.connections.map((item) => item.name)
  if (connection === undefined || names.includes(connection)) return
  throw new OperatorError(`there is no connection named ${connection}`, `The config has: ${names.join(', ')}.`)
}

async function letPlanGo({ output }: Context, household: Household, { approver }: Wish): Promise<number> {
  const { standing } = await planStanding(household)
  if (standing !== 'present') {
    throw new OperatorError(
      standing === 'none' ? 'nothing has been planned yet' : 'the config has changed since the plan was made',
      'Look at what would be sent now with: kith plan. Then approve it.',
    )
  }
  if ((await waitingForApproval(household)) === 0) {
    await output.say('Nothing waits for approval.')
    if (!(await isApproved(household))) await approvePlan(household, approver)
    return 0
  }
  const released = await approvePlan(household, approver)
  await wake(household)
  await output.say(`${count(released, 'write')} released.`)
  const newer = await waitingForApproval(household)
  if (newer > 0) await output.say(`${count(newer, 'write')} planned since then: see kith plan, then approve them, too.`)
  return released
}

async function letBrakesGo({ output }: Context, household: Household, { connection, approver }: Wish): Promise<number> {
  const holds = await brakeHolds(household, connection)
  if (holds.length === 0) {
    await output.say('No brake holds anything.')
    return 0
  }
  for (const hold of holds) await output.say(holdLine(hold))
  // Believing a deletion plans what follows elsewhere, by the rules of every connection.
  if (household.connected.length === 0) await household.connect()
  const queues = await household.openQueues()
  try {
    const released = await releaseBrakes(household.runtime(queues), holds, approver)
    await output.say(`${count(released, 'record')} released.`)
    return released
  } finally {
    await queues.close(0)
  }
}

export function holdLine({ connection, reason, what, count: number }: BrakeHold): string {
  return `${connection}: ${count(number, what === 'deletions' ? 'deletion' : what)} held; ${reason}`
}

/** Tells a daemon that there is something to send; its sweep would find it anyway. */
async function wake(household: Household): Promise<void> {
  const queues = await household.openQueues()
  try {
    for (const { name } of household.config.connections) await queues.wakeDeliver(name)
  } finally {
    await queues.close(0)
  }
}
