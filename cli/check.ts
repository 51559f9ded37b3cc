import { readSource } from '../config/read.ts'
import { ConfigError, formatDiagnostic, type Diagnostic } from '../config/diagnostics.ts'
import type { ConnectionConfig } from '../config/types.ts'
import { checkHousehold, type Checked } from '../workers/check.ts'
import type { Connected } from '../workers/connect.ts'
import { EXIT_CODES, type Context, type Register } from './context.ts'
import { EXIT } from './errors.ts'
import { count } from './output.ts'
import { failureSentence, sentence } from './session.ts'

export const registerCheck: Register = (program, run) => {
  program
    .command('check')
    .description('Validates the config and its mappings, tries each connection, and names what a mapping loses.')
    .addHelpText(
      'after',
      `
Changes nothing, and needs no database unless a connection signs in (kith connect). Problems are told as file:line:column,
with what to write instead.

Examples:
  kith check
  kith check --config work.yaml --json | jq .errors
${EXIT_CODES}`,
    )
    .action((_options: object, command) => run(command, check))
}

/** Something found, at a place in a file where there is one. */
type Finding = Pick<Diagnostic, 'message' | 'advice'> & Partial<Diagnostic> & { readonly connection?: string }

interface ConnectionFindings {
  readonly app: string
  readonly answered: boolean
  readonly summary: string | null
  readonly fields: number
  /** Canonical fields of which the app cannot keep everything, and why. */
  readonly lossy: { readonly [field: string]: string }
}

interface Findings {
  readonly connections: { readonly [name: string]: ConnectionFindings }
  readonly errors: readonly Finding[]
  readonly warnings: readonly Finding[]
}

async function check(context: Context): Promise<number> {
  const { configFile, env, output, signal } = context
  let findings: Findings
  try {
    findings = await judge(await checkHousehold({ configFile, env }, signal), context)
  } catch (error) {
    if (!output.json || !(error instanceof ConfigError)) throw error
    findings = { connections: {}, errors: error.diagnostics, warnings: [] }
  }
  if (output.json) await output.print({ ok: findings.errors.length === 0, ...findings })
  else await print(context, findings)
  return findings.errors.length > 0 ? EXIT.wrong : EXIT.done
}

async function judge({ warnings, connected }: Checked, context: Context): Promise<Findings> {
  const found: { errors: Finding[]; warnings: Finding[] } = { errors: [], warnings: [...warnings] }
  const connections: { [name: string]: ConnectionFindings } = {}
  for (const item of connected) {
    const { name, app } = item.config
    if (item.failure) {
      const message = failureSentence(name, item.failure)
      found.errors.push({ connection: name, message, advice: '' })
    }
    for (const message of item.report?.warnings ?? []) {
      found.warnings.push({ connection: name, message: `${name}: ${message}`, advice: '' })
    }
    for (const problem of await mappingProblems(item, context)) {
      found[problem.severity === 'error' ? 'errors' : 'warnings'].push(problem.finding)
    }
    connections[name] = {
      app,
      answered: item.report !== null,
      summary: item.report?.summary ?? null,
      fields: item.rules?.lens.fields.size ?? 0,
      lossy: lossyOf(item),
    }
  }
  return { connections, ...found }
}

function lossyOf({ rules }: Connected): { [field: string]: string } {
  const lossy: { [field: string]: string } = {}
  for (const [field, { lossy: why, direction }] of rules?.lens.fields ?? []) {
    if (why !== undefined && direction !== 'in') lossy[field] = why
  }
  return lossy
}

/** What the mapping of a connection says against the account's own fields, each at its place where the operator wrote it. */
async function mappingProblems(
  { config, problems }: Connected,
  { env, configFile }: Context,
): Promise<{ severity: 'error' | 'warning'; finding: Finding }[]> {
  if (problems.length === 0) return []
  const { mapping, mappingFile, name } = config
  const source =
    mapping === null || mappingFile === null ? null : (await readSource(mappingFile, env, () => true, '')).source
  const base = isInline(config, configFile) ? ['connections', name, 'mapping'] : []
  return problems.map(({ severity, path, message, advice }) => {
    const at = [...base, ...path]
    // A line of the app's default mapping has no place in a file of the operator's.
    const own = path.length > 1 && source?.at([...base, ...path.slice(0, 2)]) !== undefined
    if (source && own) return { severity, finding: { ...source.place(at), message, advice, connection: name } }
    const where = `the default mapping of ${config.app}, ${path.join('.')}`
    return { severity, finding: { message: `${name}: ${where}: ${message}`, advice, connection: name } }
  })
}

function isInline({ mappingFile }: ConnectionConfig, configFile: string): boolean {
  return mappingFile === configFile
}

async function print({ output, configFile }: Context, { connections, errors, warnings }: Findings): Promise<void> {
  for (const [name, { app, answered, summary, fields, lossy }] of Object.entries(connections)) {
    const sign = answered ? output.green('ok') : output.red('failed')
    const what = summary === null ? '' : `: ${summary}, ${count(fields, 'field')} mapped`
    await output.say(`${output.bold(name)} (${app}) ${sign}${what}`)
    for (const [field, why] of Object.entries(lossy)) await output.say(output.dim(`  loses: ${field}: ${why}`))
  }
  for (const warning of warnings) await output.say(`${output.yellow('warning')} ${line(warning)}`)
  for (const error of errors) await output.complain(`${output.red('error')} ${line(error)}`)
  if (errors.length > 0) return output.complain(`${count(errors.length, 'error')} in ${configFile}`)
  await output.say(`No errors in ${configFile}. See what would be written with: kith plan`)
}

function line(finding: Finding): string {
  const { file, line: number, column, message, advice } = finding
  if (file === undefined || number === undefined || column === undefined) return `${sentence(message)} ${advice}`.trim()
  return formatDiagnostic({ file, line: number, column, message, advice })
}
