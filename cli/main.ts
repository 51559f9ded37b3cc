import { Command, CommanderError } from 'commander'
import { registerActs } from './acts.ts'
import { registerApprove } from './approve.ts'
import { registerAudit } from './audit.ts'
import { registerBackup } from './backup.ts'
import { registerBacktest } from './backtest.ts'
import { registerCheck } from './check.ts'
import { registerConsent } from './consent.ts'
import { registerConnect } from './connect.ts'
import { contextOf, EXIT_CODES, interruptible, type Register, type Run } from './context.ts'
import { registerDemo } from './demo.ts'
import { EXIT, explainError } from './errors.ts'
import { registerExport } from './export.ts'
import { registerFields } from './fields.ts'
import { registerHealth } from './health.ts'
import { registerForget } from './forget.ts'
import { registerHooks } from './hooks.ts'
import { registerInit } from './init.ts'
import { registerLog } from './log.ts'
import { registerMerge } from './merge.ts'
import { registerPause } from './pause.ts'
import { registerParked } from './parked.ts'
import { registerPeople } from './people.ts'
import { registerPlan } from './plan.ts'
import { registerRestore } from './restore.ts'
import { registerReview } from './review.ts'
import { registerResume } from './resume.ts'
import { registerStart } from './start.ts'
import { registerStatus } from './status.ts'
import { registerSync } from './sync.ts'
import { registerTokens } from './tokens.ts'
import { registerUndo } from './undo.ts'
import { registerWhy } from './why.ts'
import { registerWorker } from './worker.ts'

/** In the order in which a newcomer needs them. */
const COMMANDS: readonly Register[] = [
  registerDemo,
  registerInit,
  registerConnect,
  registerCheck,
  registerFields,
  registerPlan,
  registerApprove,
  registerSync,
  registerStart,
  registerWorker,
  registerHooks,
  registerStatus,
  registerHealth,
  registerAudit,
  registerPause,
  registerResume,
  registerParked,
  registerReview,
  registerMerge,
  registerWhy,
  registerConsent,
  registerForget,
  registerPeople,
  registerLog,
  registerBackup,
  registerRestore,
  registerExport,
  registerActs,
  registerUndo,
  registerBacktest,
  registerTokens,
]

/** Runs one command line and ends the process with its exit code. */
export async function main(argv: readonly string[]): Promise<void> {
  // A reader that has seen enough (head, less) is no error.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))
  const debug = (process.env['KITH_DEBUG'] ?? '') !== ''
  let code: number = EXIT.done
  const signal = interruptible()
  const run: Run = async (command, work) => {
    code = await work(contextOf(command, signal))
  }
  const program = programOf(run)
  // Sockets and timers that wait for others do not keep a process alive by themselves; a command that is not at its end does.
  setInterval(() => undefined, 2 ** 30)
  try {
    await program.parseAsync([...argv])
  } catch (error) {
    code = error instanceof CommanderError ? error.exitCode : EXIT.wrong
    // Commander has printed its own errors already.
    if (!(error instanceof CommanderError)) process.stderr.write(`${explainError(error, debug)}\n`)
  }
  if (signal.aborted && code !== EXIT.done) code = EXIT.interrupted
  await Promise.all([process.stdout, process.stderr].map((stream) => new Promise((done) => stream.write('', done))))
  process.exit(code)
}

function programOf(run: Run): Command {
  const program = new Command('kith')
    .description('Keeps the same people in agreement across apps.')
    .option('-c, --config <file>', 'the config', './kith.yaml')
    .option('--json', 'print one JSON document to standard output, everything else to standard error')
    .option('--no-color', 'no colours; NO_COLOR does the same')
    .showHelpAfterError('(kith --help, or kith <command> --help, shows how)')
    .addHelpText(
      'after',
      `
First steps:
  kith init      write a kith.yaml
  kith check     see whether every connection answers
  kith plan      see what would be written where
  kith approve   send exactly that
  kith start     keep everything in agreement from now on
${EXIT_CODES}

Data are kept in .kith beside the config, or in KITH_DATA, or in the Postgres of DATABASE_URL.`,
    )
    .exitOverride()
  for (const register of COMMANDS) register(program, run)
  return program
}
