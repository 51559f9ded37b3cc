import { ConfigError, formatDiagnostic } from '../config/diagnostics.ts'
import { checkHousehold } from '../workers/check.ts'
import { findingsOf, type Finding, type Findings } from '../workers/check-findings.ts'
import { checkDocument } from '../workers/documents/check.ts'
import { EXIT_CODES, type Context, type Register } from './context.ts'
import { EXIT } from './errors.ts'
import { count } from './output.ts'
import { sentence } from './session.ts'

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

async function check(context: Context): Promise<number> {
  const { configFile, env, output, signal } = context
  let findings: Findings
  try {
    findings = await findingsOf(await checkHousehold({ configFile, env }, signal))
  } catch (error) {
    if (!output.json || !(error instanceof ConfigError)) throw error
    findings = { connections: {}, errors: error.diagnostics, warnings: [] }
  }
  if (output.json) await output.print(checkDocument(findings))
  else await print(context, findings)
  return findings.errors.length > 0 ? EXIT.wrong : EXIT.done
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
