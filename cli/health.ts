import { HEALTH_STATES, type HealthState } from '../engine/core/health.ts'
import { countHealth, healthLines, type HealthLine } from '../workers/health.ts'
import { healthCountsDocument, healthDocument } from '../workers/documents/health.ts'
import type { Household } from '../workers/household.ts'
import { EXIT_CODES, type Context, type Register } from './context.ts'
import { EXIT, OperatorError } from './errors.ts'
import { findPerson } from './find-person.ts'
import { wholeNumber } from './numbers.ts'
import { count, printArray, table, type Output } from './output.ts'
import { sentence, withHousehold } from './session.ts'
import { plain } from './words.ts'

interface HealthOptions {
  readonly state?: string
  readonly limit: number
}

const LIMIT = 20

export const registerHealth: Register = (program, run) => {
  program
    .command('health')
    .argument('[what]', "a connection's name, or a person: an e-mail address, a number, a name or an id")
    .description('How every record stands, why, and the command that moves it on. Asks no app.')
    .option('--state <state>', `only: ${HEALTH_STATES.join(', ')}`)
    .option('--limit <number>', 'how many records are shown for each cause', wholeNumber, LIMIT)
    .addHelpText(
      'after',
      `
in-sync     it says what the person says
waiting     Kith goes on with it by itself
excluded    the rules leave it alone: include, direction, a field that the app requires, a pause
held        waits for you: approval, a brake, the standard, a conflict
parked      the app refused a write
ambiguous   it may be several people
unreadable  the app holds something that cannot be read

Without a name the records are counted in the database: what is excluded there are people without a record. With the name of a
connection each record is looked at, and those that the rules leave alone are told apart. --json lists them all.

Examples:
  kith health
  kith health crm
  kith health crm --state held --limit 100
  kith health ada@example.org
  kith health crm --json | jq -r '.records[] | select(.cause == "requires") | .person'
${EXIT_CODES}`,
    )
    .action((what: string | undefined, options: HealthOptions, command) =>
      run(command, (context) => withHousehold(context, (household) => health(context, household, what, options))),
    )
}

async function health(
  context: Context,
  household: Household,
  what: string | undefined,
  { state: word, limit }: HealthOptions,
): Promise<number> {
  const { output } = context
  const state = HEALTH_STATES.find((known) => known === word)
  if (word !== undefined && !state) {
    throw new OperatorError(`"${word}" is no state of a record`, `Say ${HEALTH_STATES.join(', ')}.`)
  }
  const only = state === undefined ? {} : { state }
  if (what === undefined && state === undefined) return overview(output, household)
  const connection = household.config.connections.find(({ name }) => name === what)?.name
  if (what !== undefined && connection === undefined) return onePerson(context, household, what, only)
  const lines = healthLines(household, { ...only, ...(connection === undefined ? {} : { connection }) })
  if (output.json) {
    await output.raw(`{\n  "connection": ${JSON.stringify(connection ?? null)},\n  "records": `)
    await printArray(output, documentsOf(lines))
    await output.raw('\n}\n')
    return EXIT.done
  }
  await byCause(output, lines, limit)
  return EXIT.done
}

async function overview(output: Output, household: Household): Promise<number> {
  const counts = await countHealth(household)
  if (output.json) {
    await output.print(healthCountsDocument(counts))
    return EXIT.done
  }
  const rows = counts.map(({ connection, states }) => [
    connection,
    ...HEALTH_STATES.map((state) => states[state].toLocaleString('en-GB')),
  ])
  await output.say(table(['', ...HEALTH_STATES], rows))
  const [first] = counts.filter(({ states }) => HEALTH_STATES.some((state) => state !== 'in-sync' && states[state] > 0))
  if (first) await output.say(output.dim(`Which, and why: kith health ${first.connection}`))
  else await output.say('Every record is in sync.')
  return EXIT.done
}

async function onePerson(
  { output }: Context,
  household: Household,
  query: string,
  only: { readonly state?: HealthState },
): Promise<number> {
  const person = await findPerson(household.store, query)
  const lines: HealthLine[] = []
  for await (const line of healthLines(household, { ...only, people: [person.id] })) lines.push(line)
  if (output.json) {
    await output.print({ person: person.id, records: lines.map(healthDocument) })
    return EXIT.done
  }
  if (lines.length === 0) await output.say('No record, and no place for one.')
  const rows = lines.map((line) => [
    line.connection,
    line.record === null ? '-' : plain(line.record),
    line.state,
    plain(line.why),
    line.command ?? '',
  ])
  if (rows.length > 0) await output.say(table(['in', 'record', 'state', 'why', 'next'], rows))
  return EXIT.done
}

async function* documentsOf(lines: AsyncIterable<HealthLine>): AsyncIterable<object> {
  for await (const line of lines) yield healthDocument(line)
}

/** One cause of one connection, and the first of its records. */
interface Group {
  readonly first: HealthLine
  readonly shown: HealthLine[]
  number: number
}

/** What is in sync is counted only; the rest is shown by cause. */
async function byCause(output: Output, lines: AsyncIterable<HealthLine>, limit: number): Promise<void> {
  const groups = new Map<string, Group>()
  let inSync = 0
  for await (const line of lines) {
    if (line.state === 'in-sync') {
      inSync++
      continue
    }
    // Writes that failed for different reasons are different groups; people who lack different fields, too.
    const key = `${line.connection}\n${line.cause}\n${line.command}\n${line.why}`
    const group = groups.get(key) ?? { first: line, shown: [], number: 0 }
    groups.set(key, group)
    group.number++
    if (group.shown.length < limit) group.shown.push(line)
  }
  if (inSync > 0) await output.say(`${output.green('in-sync')}  ${count(inSync, 'record')}`)
  const order = (group: Group): number => HEALTH_STATES.indexOf(group.first.state)
  for (const group of [...groups.values()].toSorted((a, b) => order(a) - order(b))) {
    const { first, shown, number } = group
    const next = first.command === null ? '' : `  ${output.dim(`next: ${first.command}`)}`
    await output.say(
      `${output.yellow(first.state)}  ${count(number, 'record')} in ${first.connection}: ${sentence(plain(first.why))}${next}`,
    )
    for (const { record, person, name } of shown) {
      const who = [name === null ? null : plain(name), person].filter((part) => part !== null && part !== '')
      await output.say(
        `    ${record === null ? '(no record)' : plain(record)}  ${[...new Set(who)].join('  ')}`.trimEnd(),
      )
    }
    if (number > shown.length)
      await output.say(output.dim(`    … and ${count(number - shown.length, 'more', 'more')}: --limit ${number}`))
  }
  if (inSync === 0 && groups.size === 0) await output.say('No record fits.')
}
