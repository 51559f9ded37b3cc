import { elementsOf } from '../engine/core/catalogue.ts'
import { valuesOf, type Person } from '../engine/core/person.ts'
import type { Household } from '../workers/household.ts'
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
  // One more than is shown tells whether there are more.
  const found = await store.searchPeople(query, limit + 1)
  const shown = found.slice(0, limit)
  const hood = shown.length > 0 ? await store.loadPeople(shown.map((person) => person.id)) : { links: [] }
  const links = Map.groupBy(
    hood.links.filter((link) => link.state === 'linked'),
    (link) => link.personId,
  )
  const connections = (person: Person): string[] => (links.get(person.id) ?? []).map((link) => link.connection).sort()
  if (output.json) {
    const rows = shown.map((person) => ({
      id: person.id,
      name: personName(person, person.id),
      state: person.state,
      emails: elementsOf('emails', valuesOf(person)).map((element) => element.value),
      phones: elementsOf('phones', valuesOf(person)).map((element) => element.value),
      connections: connections(person),
    }))
    await output.print({ people: rows, more: found.length > limit })
    return EXIT.done
  }
  if (shown.length === 0) {
    await output.say(query === '' ? 'There is nobody yet: kith plan reads the connections.' : `Nobody fits "${query}".`)
    return EXIT.done
  }
  const rows = shown.map((person) => {
    const [email] = elementsOf('emails', valuesOf(person))
    const [phone] = elementsOf('phones', valuesOf(person))
    const first = [email, phone].map((element) => (element ? showValue(element.value) : ''))
    return [person.id, personName(person, person.id), ...first, connections(person).join(', ')]
  })
  await output.say(table(['id', 'name', 'e-mail', 'phone', 'in'], rows))
  if (found.length > limit) await output.say(output.dim(`… and more: say more of the name, or --limit ${limit * 10}`))
  return EXIT.done
}
