import { EXIT_CODES, type Context, type Register } from './context.ts'
import { databaseElsewhere, makeFolder, type Folder } from './demo/folder.ts'
import { Demo, type Summary } from './demo/run.ts'
import { duration, Screen } from './demo/screen.ts'
import { EXIT, OperatorError } from './errors.ts'

interface DemoOptions {
  readonly dir?: string
  readonly watch?: boolean
}

/** The demo takes some seconds; whatever keeps it this long will not come. */
const DEMO_MS_MAX = 120_000

export const registerDemo: Register = (program, run) => {
  program
    .command('demo')
    .description(
      'Shows Kith at work on invented people: a sheet, a folder of vCards and a CardDAV server, all made here.',
    )
    .option('--dir <folder>', 'make everything in this folder, new or empty, rather than in a temporary one')
    .option('--watch', 'keep running at the end, and show every change as it happens, until Ctrl-C')
    .addHelpText(
      'after',
      `
Needs no config, no server and no account, and touches nothing outside its folder.

Examples:
  kith demo
  kith demo --watch
  kith demo --dir ./try --json | jq .agreement
${EXIT_CODES}`,
    )
    .action((options: DemoOptions, command) => run(command, (context) => demo(context, options)))
}

async function demo(context: Context, options: DemoOptions): Promise<number> {
  const { output, signal } = context
  const watch = options.watch === true
  const folder = await makeFolder(options.dir)
  const screen = new Screen(output)
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(tooSlow(folder)), DEMO_MS_MAX)
  let running: Demo | undefined
  let summary: Summary | undefined
  try {
    running = await Demo.start(folder.path, screen, AbortSignal.any([signal, late.signal]))
    summary = await running.run()
    clearTimeout(timer)
    if (output.json) await output.print(summary)
    showEnd(screen, summary, watch)
    if (watch) await running.watch()
  } catch (error) {
    if (!signal.aborted) throw error
  } finally {
    clearTimeout(timer)
    await running?.close()
    // Half a demo is of no use to anybody; after a failure, what is in the folder helps to find its cause.
    if (signal.aborted && summary === undefined) await folder.remove()
  }
  if (summary === undefined) {
    screen.say('', 'Stopped before the end. What the demo had made is removed.')
    return EXIT.interrupted
  }
  await showFiles(screen, folder, watch)
  return summary.agreement.agrees ? EXIT.done : EXIT.wrong
}

function tooSlow({ path }: Folder): OperatorError {
  return new OperatorError(
    `the demo did not come to its end within ${duration(DEMO_MS_MAX)}`,
    `Look at ${path}/kith.log, and please report it.`,
  )
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
    screen.dim(`        or with a CardDAV program: ${summary.server.url}`),
    screen.dim(`        user ${summary.server.username}, password ${summary.server.password}`),
    '',
  )
}

async function showFiles(screen: Screen, folder: Folder, watched: boolean): Promise<void> {
  const elsewhere = await databaseElsewhere(folder.path)
  const paths = [folder.path, ...(elsewhere === null ? [] : [elsewhere])].join(' ')
  screen.heading(watched ? 'Stopped; everything is still there' : 'Now you')
  if (!watched) {
    screen.say(
      'npx kith demo --watch',
      screen.dim('  keeps running: edit the files with any program, and see what follows'),
    )
  }
  screen.say(
    `npx kith why "Zoë Brandt" --config ${folder.path}/kith.yaml`,
    screen.dim('  every value, where it comes from, and what lost'),
    `rm -r ${paths}`,
    screen.dim('  takes the demo away again'),
    '',
  )
}
