import { accountFields, type AccountField } from '../workers/account-fields.ts'
import { checkHousehold } from '../workers/check.ts'
import { fieldsDocument } from '../workers/documents/fields.ts'
import { EXIT_CODES, type Context, type Register } from './context.ts'
import { EXIT, OperatorError } from './errors.ts'
import { count, table } from './output.ts'
import { failureSentence } from './session.ts'

export const registerFields: Register = (program, run) => {
  program
    .command('fields <connection>')
    .description("Lists the fields of a connection's account, and which of them the mapping uses.")
    .addHelpText(
      'after',
      `
Asks the app, and changes nothing. The first column is the name to write into a mapping (docs/mappings.md); "maps to" is the
field of a person that it stands for.

Examples:
  kith fields crm
  kith fields crm --json | jq -r '.fields[] | select(.mapped == false and .writable) | .name'
${EXIT_CODES}`,
    )
    .action((name: string, _options: object, command) => run(command, (context) => fields(context, name)))
}

async function fields(context: Context, name: string): Promise<number> {
  const { configFile, env, output, signal } = context
  const { connected, config } = await checkHousehold({ configFile, env }, signal, name)
  const [item] = connected
  if (!item) {
    const names = config.connections.map((connection) => connection.name).join(', ')
    throw new OperatorError(`there is no connection named ${name}`, `There are: ${names}`)
  }
  if (!item.report) {
    const message = item.failure ? failureSentence(name, item.failure) : `${name} does not answer`
    throw new OperatorError(message, 'See: kith check')
  }
  const lines = accountFields(item.report.fields, item.rules)
  if (output.json) {
    await output.print(fieldsDocument(name, item.config.app, lines))
    return EXIT.done
  }
  const rows = lines.map((line) => [
    line.name,
    line.label ?? '',
    line.type,
    line.writable ? 'yes' : 'no',
    line.mapsTo.join(', ') || (line.mapped ? 'yes' : '-'),
    choices(line),
  ])
  await output.say(table(['field', 'label', 'type', 'writable', 'maps to', 'values'], rows))
  const used = lines.filter((line) => line.mapped).length
  await output.say(output.dim(`${count(lines.length, 'field')}, ${used} mapped`))
  return EXIT.done
}

const CHOICES = 6

function choices({ options = [] }: AccountField): string {
  const shown = options
    .slice(0, CHOICES)
    .map(({ value, label }) => (label === undefined || label === value ? value : `${value} (${label})`))
  return `${shown.join(', ')}${options.length > CHOICES ? `, … ${options.length} in all` : ''}`
}
