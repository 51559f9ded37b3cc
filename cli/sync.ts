import { isApproved, prepareApproval } from '../workers/approve.ts'
import type { Household } from '../workers/household.ts'
import { Meter } from '../workers/meter.ts'
import { EXIT_CODES, type Context, type Register } from './context.ts'
import { EXIT } from './errors.ts'
import { operatorOf } from './operator.ts'
import { runHousehold } from './run.ts'
import { reportRun } from './run-report.ts'
import { leading, withHousehold } from './session.ts'
import { Tally } from './tally.ts'

interface SyncOptions {
  readonly approve?: boolean
  readonly why?: string
  readonly by?: string
}

export const registerSync: Register = (program, run) => {
  program
    .command('sync')
    .description('Reads every connection, sends what is to be sent, and ends when nothing more happens.')
    .option('--approve', 'send the first plan of a config without asking')
    .option('--why <text>', 'with --approve: why, for the record')
    .option('--by <name>', 'with --approve: who does it; otherwise the name you are logged in with')
    .addHelpText(
      'after',
      `
Examples:
  kith sync
  kith sync --approve --json | jq .connections
${EXIT_CODES}`,
    )
    .action((options: SyncOptions, command) => run(command, (context) => sync(context, options)))
}

async function sync(context: Context, options: SyncOptions): Promise<number> {
  const tally = new Tally()
  const meter = new Meter()
  const work = (household: Household): Promise<number> =>
    leading(household, 'sync', async () => {
      await prepareApproval(household)
      // What a config has not been approved for is planned whole first, and then released as it stands.
      const first = !(await isApproved(household))
      const { config } = household
      const approver =
        options.approve === true ? { by: operatorOf(options.by, context.env), why: options.why ?? '' } : null
      const approves = first && (approver !== null || config.approval === 'auto')
      await runHousehold(context, household, tally, approves ? { approver } : undefined)
      if (context.signal.aborted) return EXIT.interrupted
      return reportRun(household, tally, meter, context.output)
    })
  return withHousehold(context, work, { events: tally.events, apps: meter.apps })
}
