import type { Command } from 'commander'
import { databaseElsewhere, FolderError, makeFolder, type Folder } from './demo/folder.ts'
import { Demo, type Summary } from './demo/run.ts'
import { duration, makeScreen, type Screen } from './demo/screen.ts'

interface DemoOptions {
  readonly dir?: string
  readonly watch?: boolean
  readonly json?: boolean
}

/** The demo takes some seconds; whatever keeps it this long will not come. */
const DEMO_MS_MAX = 120_000

export function registerDemo(program: Command): void {
  program
    .command('demo')
    .description(
      'show Kith at work on invented people: a sheet, a folder of vCards and a CardDAV server, all made here',
    )
    .option('--dir <folder>', 'make everything in this folder, new or empty, rather than in a temporary one')
    .option('--watch', 'keep running at the end, and show every change as it happens, until Ctrl-C')
    .option('--json', 'print one summary for scripts instead')
    .action(async (options: DemoOptions) => {
      process.exitCode = await demo(options)
    })
}

/** @returns the exit code: 0 done, 1 it failed or cannot use the folder, 130 ended by a signal before it was done */
export async function demo(options: DemoOptions): Promise<number> {
  const screen = makeScreen(process.stdout, options.json === true)
  const interrupt = new AbortController()
  const stop = (): void => {
    // The second time it is meant: the database ends with this process in any case.
    if (interrupt.signal.aborted) process.exit(130)
    interrupt.abort(new InterruptError())
  }
  for (const signal of SIGNALS) process.on(signal, stop)
  try {
    return await inFolder(await makeFolder(options.dir), options, screen, interrupt.signal)
  } catch (error) {
    if (error instanceof InterruptError) return 130
    process.stderr.write(`kith demo: ${error instanceof Error ? error.message : String(error)}\n`)
    if (!(error instanceof FolderError)) process.stderr.write('Nothing of yours was touched.\n')
    return 1
  } finally {
    for (const signal of SIGNALS) process.off(signal, stop)
  }
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

class InterruptError extends Error {}

async function inFolder(folder: Folder, options: DemoOptions, screen: Screen, interrupt: AbortSignal): Promise<number> {
  let summary: Summary | undefined
  let running: Demo | undefined
  const inTime = new AbortController()
  const timer = setTimeout(() => inTime.abort(new Error(tooSlow(folder))), DEMO_MS_MAX)
  try {
    running = await Demo.start(folder.path, screen, AbortSignal.any([interrupt, inTime.signal]))
    summary = await running.run()
    clearTimeout(timer)
    if (options.json === true) process.stdout.write(`${JSON.stringify(summary, null, 2)}\n`)
    showEnd(screen, summary, options.watch === true)
    if (options.watch === true) await running.watch()
  } finally {
    clearTimeout(timer)
    await running?.close()
    // Half a demo is of no use to anybody, and what is in a folder after a failure helps to find its cause.
    if (interrupt.aborted && summary === undefined) await folder.remove()
  }
  await showFiles(screen, folder, options.watch === true)
  return summary.agreement.agrees ? 0 : 1
}

function tooSlow(folder: Folder): string {
  return `it did not come to its end within ${duration(DEMO_MS_MAX)}; see ${folder.path}/kith.log`
}

function showEnd(screen: Screen, summary: Summary, watch: boolean): void {
  screen.say('', `From nothing to here: ${duration(summary.elapsed_ms)}.`)
  if (!watch) return
  screen.heading('Your turn')
  screen.say(
    'Edit any of these with any program, and save. Changes appear below; Ctrl-C ends it.',
    '',
    `sheet   ${summary.files.sheet}`,
    `phone   ${summary.files.phone}`,
    `office  ${summary.files.office}`,
    screen.dim(`        or with a CardDAV program: ${summary.server}, user ada, password lovelace`),
    '',
  )
}

async function showFiles(screen: Screen, folder: Folder, watched: boolean): Promise<void> {
  const elsewhere = await databaseElsewhere(folder.path)
  const paths = [folder.path, ...(elsewhere === null ? [] : [elsewhere])].join(' ')
  const config = `--config ${folder.path}/kith.yaml`
  screen.heading(watched ? 'Stopped; everything is still there' : 'Now you')
  if (!watched)
    screen.say(
      'npx kith demo --watch',
      screen.dim('  keeps running: edit the files with any program, and see what follows'),
    )
  screen.say(
    `npx kith why "Zoe Brandt" ${config}`,
    screen.dim('  every value, where it comes from, and what lost'),
    `rm -r ${paths}`,
    screen.dim('  takes the demo away again'),
    '',
  )
}
