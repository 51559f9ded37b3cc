import { elementsOf } from '../engine/core/catalogue.ts'
import { valuesOf } from '../engine/core/person.ts'
import { peopleDocument } from '../workers/documents/people.ts'
import type { Household } from '../workers/household.ts'
import { listPeople } from '../workers/people-list.ts'
import { EXIT_CODES, type Context, type Register } from './context.ts'
import { EXIT } from './errors.ts'
import { wholeNumber } from './numbers.ts'
import { table } from './output.ts'
import { withHousehold } from './session.ts'
import { personName, showValue } from './words.ts'

const LIMIT = 50

export const registerPeople: Register = (program, run) => {
  program
    .command('people')
    .argument('[query]', 'a part of a name, an address, a number or an id; everybody without it')
    .description('Lists people, with the connections that have a record of them.')
    .option('--limit <number>', 'how many at most', wholeNumber, LIMIT)
    .addHelpText(
      'after',
      `
Examples:
  kith people
  kith people lovelace
  kith people @example.org --limit 500 --json
${EXIT_CODES}`,
    )
    .action((query: string | undefined, options: { limit: number }, command) =>
      run(command, (context) => withHousehold(context, (it) => people(context, it, query ?? '', options.limit))),
    )
}

async function people({ output }: Context, { store }: Household, query: string, limit: number): Promise<number> {
  const found = await listPeople(store, query, limit)
  if (output.json) {
    await output.print(peopleDocument(found))
    return EXIT.done
  }
  if (found.people.length === 0) {
    await output.say(query === '' ? 'There is nobody yet: kith plan reads the connections.' : `Nobody fits "${query}".`)
    return EXIT.done
  }
  const rows = found.people.map(({ person, connections }) => {
    const [email] = elementsOf('emails', valuesOf(person))
    const [phone] = elementsOf('phones', valuesOf(person))
    const first = [email, phone].map((element) => (element ? showValue(element.value) : ''))
    return [person.id, personName(person, person.id), ...first, connections.join(', ')]
  })
  await output.say(table(['id', 'name', 'e-mail', 'phone', 'in'], rows))
  if (found.more) await output.say(output.dim(`… and more: say more of the name, or --limit ${limit * 10}`))
  return EXIT.done
}
