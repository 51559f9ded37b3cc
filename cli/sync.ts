import { isApproved, prepareApproval } from '../workers/approve.ts'
import type { Household } from '../workers/household.ts'
import { Meter } from '../workers/meter.ts'
import { EXIT_CODES, type Context, type Register } from './context.ts'
import { EXIT } from './errors.ts'
import { runHousehold } from './run.ts'
import { reportRun } from './run-report.ts'
import { leading, withHousehold } from './session.ts'
import { Tally } from './tally.ts'

export const registerSync: Register = (program, run) => {
  program
    .command('sync')
    .description('Reads every connection, sends what is to be sent, and ends when nothing more happens.')
    .option('--approve', 'send the first plan of a config without asking')
    .addHelpText(
      'after',
      `
Examples:
  kith sync
  kith sync --approve --json | jq .connections
${EXIT_CODES}`,
    )
    .action((options: { approve?: boolean }, command) => run(command, (context) => sync(context, options)))
}

async function sync(context: Context, options: { approve?: boolean }): Promise<number> {
  const tally = new Tally()
  const meter = new Meter()
  const work = (household: Household): Promise<number> =>
    leading(household, 'sync', async () => {
      await prepareApproval(household)
      // What a config has not been approved for is planned whole first, and then released as it stands.
      const first = !(await isApproved(household))
      const approve = first && (options.approve === true || household.config.approval === 'auto')
      await runHousehold(context, household, tally, approve)
      if (context.signal.aborted) return EXIT.interrupted
      return reportRun(household, tally, meter, context.output)
    })
  return withHousehold(context, work, { events: tally.events, apps: meter.apps })
}
