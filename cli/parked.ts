import { adviceFor } from '../engine/core/failure.ts'
import { parkedDocument } from '../workers/documents/parked.ts'
import type { Household } from '../workers/household.ts'
import { currentLeader } from '../workers/lead.ts'
import { parkedOf, type ParkedLine } from '../workers/listing.ts'
import { newId } from '../workers/new-id.ts'
import { actOnParked, type ParkedFilter, type ParkedWish } from '../workers/parked.ts'
import { EXIT_CODES, type Context, type Register } from './context.ts'
import { EXIT, OperatorError } from './errors.ts'
import { findPerson } from './find-person.ts'
import { operatorOf } from './operator.ts'
import { count, printArray } from './output.ts'
import { sentence, withHousehold } from './session.ts'
import { plain } from './words.ts'

interface ParkedOptions {
  readonly connection?: string
  readonly person?: string
  readonly why?: string
  readonly by?: string
}

const ACTIONS = ['list', 'retry', 'drop'] as const
type Action = (typeof ACTIONS)[number]

export const registerParked: Register = (program, run) => {
  program
    .command('parked')
    .argument('[action]', 'list, retry or drop', 'list')
    .description('Writes that an app refused and records that cannot be read, each with its cause and what to do.')
    .option('--connection <name>', 'only those of one connection')
    .option('--person <email|name|id>', 'only those of one person')
    .option('--why <text>', 'with retry and drop: why, for the record')
    .option('--by <name>', 'with retry and drop: who decides; otherwise the name you are logged in with')
    .addHelpText(
      'after',
      `
retry  tries the refused writes again
drop   gives them up; the values stay in Kith and in the other apps
A record that cannot be read is read again by itself as soon as it changes in its app.

Examples:
  kith parked
  kith parked retry --connection phone
  kith parked drop --person ada@example.org --why "typed wrongly there"
${EXIT_CODES}`,
    )
    .action((action: string, options: ParkedOptions, command) =>
      run(command, (context) => withHousehold(context, (household) => parked(context, household, action, options))),
    )
}

async function parked(context: Context, household: Household, word: string, options: ParkedOptions): Promise<number> {
  const { output } = context
  const { config, store } = household
  const action = ACTIONS.find((known) => known === word)
  if (!action) throw new OperatorError(`"${word}" is nothing to do with parked records`, `Say ${ACTIONS.join(', ')}.`)
  const { connection } = options
  if (connection !== undefined && !config.connections.some(({ name }) => name === connection)) {
    throw new OperatorError(`there is no connection named ${connection}`, 'See: kith status')
  }
  const filter = {
    ...(connection === undefined ? {} : { connection }),
    ...(options.person === undefined ? {} : { personId: (await findPerson(store, options.person)).id }),
  }
  if (action !== 'list') {
    const wish = { by: operatorOf(options.by, context.env), why: options.why ?? `kith parked ${action}` }
    return change(context, household, action, filter, wish)
  }
  if (output.json) {
    await output.raw('{\n  "parked": ')
    await printArray(output, documentsOf(parkedOf(store, filter)))
    await output.raw('\n}\n')
    return EXIT.done
  }
  let number = 0
  for await (const { connection: name, op, record, name: person, cause, failure } of parkedOf(store, filter)) {
    number++
    const what = [person, record === null ? '' : plain(record)].filter(Boolean).join(', ')
    await output.say(`${output.bold(name)}  ${op} ${what}`)
    await output.say(`    ${sentence(cause)}${failure ? ` ${adviceFor(failure)}` : ''}`)
  }
  if (number === 0) await output.say('Nothing is parked.')
  return EXIT.done
}

async function* documentsOf(lines: AsyncIterable<ParkedLine>): AsyncIterable<object> {
  for await (const line of lines) yield parkedDocument(line)
}

async function change(
  { output }: Context,
  household: Household,
  action: Exclude<Action, 'list'>,
  filter: ParkedFilter,
  wish: ParkedWish,
): Promise<number> {
  const number = await actOnParked({ store: household.store, now: Date.now, newId }, action, filter, wish)
  if (output.json) await output.print({ [action === 'retry' ? 'retried' : 'dropped']: number })
  await output.say(`${count(number, 'write')} ${action === 'retry' ? 'to be tried again' : 'given up'}.`)
  if (action === 'retry' && number > 0) {
    const leader = await currentLeader(household)
    await output.say(leader === null ? 'Send them with: kith sync' : 'The daemon tries them within seconds.')
  }
  return EXIT.done
}
