import { existsSync } from 'node:fs'
import { mkdir, readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import * as prompts from '@clack/prompts'
import { ConnectionName } from '../config/schema.ts'
import { begin, knownApps, type KnownApp, type StarterConnection } from '../workers/beginning.ts'
import { EXIT_CODES, type Context, type Register } from './context.ts'
import { EXIT, OperatorError } from './errors.ts'

export const registerInit: Register = (program, run) => {
  program
    .command('init')
    .description(
      'Writes a first kith.yaml: asks which accounts to keep in agreement, or takes what lies in the folder.',
    )
    .option('-y, --yes', 'ask nothing: take the CSV files and folders of vCards that are there')
    .option('--force', 'overwrite a config that is there')
    .addHelpText(
      'after',
      `
Examples:
  kith init
  kith init --yes && kith check
${EXIT_CODES}`,
    )
    .action((options: { yes?: boolean; force?: boolean }, command) => run(command, (context) => init(context, options)))
}

async function init(context: Context, options: { yes?: boolean; force?: boolean }): Promise<number> {
  const { configFile, output } = context
  const force = options.force === true
  if (!force && existsSync(configFile)) throw thereAlready(configFile)
  if (options.yes !== true && (process.stdin.isTTY !== true || process.stdout.isTTY !== true)) {
    throw new OperatorError('there is no terminal to ask on', 'Write a config without questions with: kith init --yes')
  }
  const folder = dirname(configFile)
  const connections = options.yes === true ? await lyingAbout(folder) : await ask()
  if (!connections) {
    await output.complain('Nothing was written.')
    return EXIT.wrong
  }
  await write(configFile, connections, force)
  for (const {
    app,
    options: { path },
  } of connections) {
    // An address book that starts empty is a folder that is there.
    if (app === 'vdir' && typeof path === 'string') await mkdir(join(folder, path), { recursive: true })
  }
  if (output.json) await output.print({ config: configFile, connections: connections.map(({ name }) => name) })
  await output.say(`Wrote ${configFile} with ${connections.map(({ name, app }) => `${name} (${app})`).join(', ')}.`)
  const variables = connections.flatMap((item) => Object.values(item.options).flatMap(variablesIn))
  if (variables.length > 0) await output.say(`Set in the environment: ${variables.join(', ')}`)
  await output.say('Next: kith check, then kith plan')
  return EXIT.done
}

async function write(file: string, connections: readonly StarterConnection[], force: boolean): Promise<void> {
  try {
    await begin(file, connections, force)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'EEXIST') throw thereAlready(file)
    throw new OperatorError(
      `${file} cannot be written (${code ?? 'unknown error'})`,
      'Check the folder and its permissions.',
    )
  }
}

function thereAlready(file: string): OperatorError {
  return new OperatorError(`${file} is there already`, 'Edit it, or overwrite it with: kith init --force')
}

function variablesIn(value: unknown): string[] {
  return typeof value === 'string' ? [...value.matchAll(/\$\{(\w+)\}/g)].map(([, name]) => name ?? '') : []
}

/** The sheets and folders of vCards in a folder; where there are none, a sheet and a folder to begin with. */
async function lyingAbout(folder: string): Promise<StarterConnection[]> {
  const found: StarterConnection[] = []
  for (const entry of (await readdir(folder, { withFileTypes: true })).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (entry.isFile() && /\.csv$/i.test(entry.name)) found.push(connection('csv', entry.name, found))
    if (!entry.isDirectory() || entry.name.startsWith('.')) continue
    const files = await readdir(join(folder, entry.name)).catch(() => [])
    if (files.some((name) => /\.vcf$/i.test(name))) found.push(connection('vdir', entry.name, found))
  }
  return found.length > 0 ? found : [connection('vdir', 'phone', []), connection('csv', 'contacts.csv', [])]
}

function connection(app: string, path: string, others: readonly StarterConnection[]): StarterConnection {
  const usual = app === 'csv' ? 'sheet' : 'phone'
  const plain = path
    .replace(/\.csv$/i, '')
    .toLowerCase()
    .replace(/[^a-z0-9_-]+/g, '-')
    .replace(/^[^a-z]+/, '')
  const wanted = others.some(({ name }) => name === usual) ? plain.slice(0, 28) || usual : usual
  let name = wanted
  for (let number = 2; others.some((other) => other.name === name); number++) name = `${wanted}-${number}`
  return { name, app, options: { path: `./${path}` } }
}

/** Asks for the connections; undefined where the operator has had enough. */
async function ask(): Promise<StarterConnection[] | undefined> {
  prompts.intro('Which accounts shall Kith keep in agreement?')
  const connections: StarterConnection[] = []
  for (;;) {
    const added = await askOne(connections)
    if (!added) return undefined
    connections.push(added)
    const more = await prompts.confirm({ message: 'Another one?', initialValue: connections.length < 2 })
    if (prompts.isCancel(more)) return undefined
    if (more) continue
    prompts.outro('That is all for now.')
    return connections
  }
}

async function askOne(others: readonly StarterConnection[]): Promise<StarterConnection | undefined> {
  const apps = knownApps()
  const app = await prompts.select({
    message: 'App',
    options: apps.map(({ name, title }) => ({ value: name, label: title })),
  })
  if (prompts.isCancel(app)) return undefined
  const name = await prompts.text({
    message: 'A name of your own for it',
    placeholder: app === 'csv' ? 'sheet' : app === 'vdir' ? 'phone' : 'office',
    validate: (value) => {
      if (others.some((other) => other.name === value)) return 'There is one of this name already.'
      return ConnectionName.safeParse(value ?? '').error?.issues[0]?.message
    },
  })
  if (prompts.isCancel(name)) return undefined
  const options: { [option: string]: string } = {}
  for (const [option, message] of questionsFor(app)) {
    const answer = await prompts.text({
      message,
      validate: (value) => ((value ?? '') === '' ? 'Say something.' : undefined),
    })
    if (prompts.isCancel(answer)) return undefined
    options[option] = answer
  }
  for (const secret of secretsOf(apps, app))
    options[secret] = `\${${`${name}_${secret}`.replace(/\W/g, '_').toUpperCase()}}`
  return { name, app, options }
}

/** What the first config has to say of an app; secrets are left to the environment. */
function questionsFor(app: string): readonly (readonly [string, string])[] {
  if (app === 'carddav') {
    return [
      ['url', 'Address of the server, or of the address book'],
      ['username', 'User name'],
    ]
  }
  return [['path', app === 'csv' ? 'Path of the CSV file' : 'Path of the folder with the .vcf files']]
}

function secretsOf(apps: readonly KnownApp[], name: string): readonly string[] {
  return apps.find((app) => app.name === name)?.secrets ?? []
}
