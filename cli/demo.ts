import { EXIT_CODES, type Context, type Register } from './context.ts'
import { databaseElsewhere, makeFolder, type Folder } from './demo/folder.ts'
import type { Demo as FilesDemo } from './demo/files/run.ts'
import { duration, Screen } from './demo/screen.ts'
import { EXIT, OperatorError } from './errors.ts'
import { count } from './output.ts'

interface DemoOptions {
  readonly dir?: string
  readonly watch?: boolean
  readonly files?: boolean
  readonly port?: string
}

/** What is common to both demos. */
interface Running {
  run(): Promise<Ended>
  watch(): Promise<void>
  close(): Promise<void>
}

interface Ended {
  readonly agreement: { readonly agrees: boolean }
  readonly elapsed_ms: number
}

/** One of the demos: how it is started, and what is said before people take over. */
interface Play {
  start(dir: string, screen: Screen, signal: AbortSignal): Promise<Running>
  showTurn(screen: Screen, ended: Ended): void
  readonly watches: boolean
  readonly hints: readonly (readonly [command: string, what: string])[]
}

/** The demo takes some seconds; whatever keeps it this long will not come. */
const DEMO_MS_MAX = 120_000

export const registerDemo: Register = (program, run) => {
  program
    .command('demo')
    .description(
      'Shows Kith at work on invented people: a company with five simulated accounts, side by side on a page.',
    )
    .option('--dir <folder>', 'make everything in this folder, new or empty, rather than in a temporary one')
    .option('--port <number>', 'the port of the page; any that is free where nothing is said')
    .option('--watch', 'keep running, and show every change as it happens, until Ctrl-C; what a terminal gets anyway')
    .option('--files', 'instead: a sheet, a folder of vCards and a CardDAV server')
    .addHelpText(
      'after',
      `
HubSpot, Salesforce, Mailchimp, Google Contacts and Zendesk are played by simulators on this machine. Needs no config, no
account and no network, and touches nothing outside its folder. Without a terminal it makes some edits itself, shows what
followed, and ends.

Examples:
  kith demo
  kith demo --port 8080
  kith demo --json | jq .agreement
  kith demo --files --watch
${EXIT_CODES}`,
    )
    .action((options: DemoOptions, command) => run(command, (context) => demo(context, options)))
}

async function demo(context: Context, options: DemoOptions): Promise<number> {
  const { output, signal } = context
  const play = await (options.files === true ? filesPlay(options) : companyPlay(context, options))
  const folder = await makeFolder(options.dir)
  const screen = new Screen(output)
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(tooSlow(folder)), DEMO_MS_MAX)
  let running: Running | undefined
  let ended: Ended | undefined
  try {
    running = await play.start(folder.path, screen, AbortSignal.any([signal, late.signal]))
    ended = await running.run()
    clearTimeout(timer)
    if (output.json) await output.print(ended)
    screen.say('', `From nothing to here: ${duration(ended.elapsed_ms)}.`)
    if (play.watches) {
      play.showTurn(screen, ended)
      await running.watch()
    }
  } catch (error) {
    if (!signal.aborted) throw late.signal.aborted ? (late.signal.reason as Error) : error
  } finally {
    clearTimeout(timer)
    await running?.close()
    // Half a demo is of no use to anybody; after a failure, what is in the folder helps to find its cause.
    if (signal.aborted && ended === undefined) await folder.remove()
  }
  if (ended === undefined) {
    screen.say('', 'Stopped before the end. What the demo had made is removed.')
    return EXIT.interrupted
  }
  await showFiles(screen, folder, play)
  return ended.agreement.agrees ? EXIT.done : EXIT.wrong
}

async function companyPlay(context: Context, options: DemoOptions): Promise<Play> {
  const port = portFrom(options.port)
  const { CompanyDemo } = await import('./demo/company/run.ts')
  const watches = options.watch === true || (process.stdout.isTTY === true && !context.output.json)
  let live: { page: string; api: string; config: string } | undefined
  return {
    watches,
    start: async (dir, screen, signal) => {
      const demo = await CompanyDemo.start({ dir, port, edits: !watches }, screen, signal)
      return {
        run: async () => {
          const summary = await demo.run()
          live = { page: summary.page, api: summary.api, config: summary.files.config }
          return summary
        },
        watch: () => demo.watch(),
        close: () => demo.close(),
      }
    },
    showTurn: (screen) => {
      screen.heading('Your turn')
      screen.say(
        `Open ${screen.strong(live?.page ?? '')}`,
        '',
        'Edit anybody in any account there, and watch the others follow. Changes appear below, too; Ctrl-C ends it.',
        'Be an operator in another terminal, or over HTTP with a token:',
        '',
        ...['status', 'review', 'pause newsletter --reason "clean-up"', 'tokens add me --role admin'].map(
          (command) => `  npx kith ${command} --config ${live?.config ?? ''}`,
        ),
        `  ${live?.api ?? ''}/openapi.json`,
        '',
      )
    },
    hints: watches ? [] : [['npx kith demo --watch', 'keeps running, with the accounts side by side on a page']],
  }
}

async function filesPlay(options: DemoOptions): Promise<Play> {
  if (options.port !== undefined)
    throw new OperatorError('--files has no page, and so no --port', 'Leave one of them out.')
  const { Demo } = await import('./demo/files/run.ts')
  let demo: FilesDemo | undefined
  const watches = options.watch === true
  return {
    watches,
    start: async (dir, screen, signal) => (demo = await Demo.start(dir, screen, signal)),
    showTurn: (screen) => demo?.showTurn(screen),
    hints: watches
      ? []
      : [['npx kith demo --files --watch', 'keeps running: edit the files with any program, and see what follows']],
  }
}

function portFrom(text: string | undefined): number {
  const port = Number(text ?? 0)
  if (Number.isInteger(port) && port >= 0 && port <= 65_535 && text !== '') return port
  throw new OperatorError('--port is no port', 'Give a number up to 65535, or leave it out.')
}

function tooSlow({ path }: Folder): OperatorError {
  return new OperatorError(
    `the demo did not come to its end within ${count(DEMO_MS_MAX / 1000, 'second')}`,
    `Look at ${path}/kith.log, and please report it.`,
  )
}

async function showFiles(screen: Screen, folder: Folder, { watches, hints }: Play): Promise<void> {
  const elsewhere = await databaseElsewhere(folder.path)
  const paths = [folder.path, ...(elsewhere === null ? [] : [elsewhere])].join(' ')
  screen.heading(watches ? 'Stopped; what Kith knows is still there' : 'Now you')
  for (const [command, what] of hints) screen.say(command, screen.dim(`  ${what}`))
  screen.say(
    `npx kith why "Zoë Brandt" --config ${folder.path}/kith.yaml`,
    screen.dim('  every value, where it comes from, and what lost'),
    `rm -r ${paths}`,
    screen.dim('  takes the demo away again'),
    '',
  )
}
