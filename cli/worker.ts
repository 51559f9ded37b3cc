import { Daemon } from '../workers/daemon.ts'
import type { Household } from '../workers/household.ts'
import { EXIT_CODES, type Context, type Register } from './context.ts'
import { announce, dataOf, loggedEvents } from './daemon-report.ts'
import { EXIT } from './errors.ts'
import { processLog } from './logging.ts'
import { withHousehold } from './session.ts'
import { aborted } from './start.ts'

export const registerWorker: Register = (program, run) => {
  program
    .command('worker')
    .description('A worker process beside the daemon: takes its share of reading, merging and sending.')
    .addHelpText(
      'after',
      `
As many as you like, on as many machines as share REDIS_URL and DATABASE_URL. It does not poll by itself: kith start does.

Example:
  DATABASE_URL=postgres://... REDIS_URL=redis://... kith worker
${EXIT_CODES}`,
    )
    .action((_options: object, command) => run(command, work))
}

async function work(context: Context): Promise<number> {
  const log = processLog(context.output.json)
  const serve = async (household: Household): Promise<number> => {
    announce(log, household, dataOf(household, context.env))
    await household.connect(undefined, context.signal)
    const daemon = await Daemon.start(household, { leads: false })
    try {
      await aborted(context.signal)
      log.info('stopping')
    } finally {
      await daemon.stop()
    }
    log.info('stopped')
    return EXIT.done
  }
  return withHousehold(context, serve, { log, events: loggedEvents(log) })
}
