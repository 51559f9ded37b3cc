import { fieldOf, type CellKey } from '../engine/core/catalogue.ts'
import type { Cell, Person } from '../engine/core/person.ts'
import type { Intent, Link, LogEntry, Store } from '../engine/core/ports/store.ts'
import { faultOf } from '../engine/core/standard.ts'
import { catalogueOf, standardOf } from '../workers/connect.ts'
import { healthLines, type HealthLine } from '../workers/health.ts'
import type { Household } from '../workers/household.ts'
import { EXIT_CODES, type Context, type Register } from './context.ts'
import { EXIT, OperatorError } from './errors.ts'
import { findPerson } from './find-person.ts'
import { entryJson, outcome } from './log.ts'
import { clock, type Output } from './output.ts'
import { sentence, withHousehold } from './session.ts'
import { personName, plain, reason, showValue, titles } from './words.ts'

/** How far back losers and writes are told. */
const LOG_MAX = 500
const DELIVERIES_MAX = 50

export const registerWhy: Register = (program, run) => {
  program
    .command('why')
    .argument('<person>', 'an e-mail address, a number, a name or an id')
    .argument('[field]', 'only this field: title, emails, name.family')
    .description(
      'Explains a person: each value, who said it when, by which rule it stands, what lost, what was sent where.',
    )
    .addHelpText(
      'after',
      `
Examples:
  kith why ada@example.org
  kith why "Ada Lovelace" title
${EXIT_CODES}`,
    )
    .action((query: string, field: string | undefined, _options: object, command) =>
      run(command, (context) => withHousehold(context, (household) => why(context, household, query, field))),
    )
}

/** All that is known about one person, or about one field of theirs. */
interface Story {
  readonly person: Person
  readonly cells: readonly (readonly [CellKey, Cell])[]
  /** Newest first; without what simply stands. */
  readonly losers: readonly LogEntry[]
  readonly links: readonly Link[]
  /** How each record stands, and each place without one. */
  readonly health: readonly HealthLine[]
  /** What the standard of today asks of what was said, for an entry that it repaired or held. */
  readonly asked: (entry: LogEntry) => readonly string[]
  readonly open: readonly Intent[]
  readonly sent: Awaited<ReturnType<Store['deliveries']>>
}

async function why(
  { output }: Context,
  household: Household,
  query: string,
  field: string | undefined,
): Promise<number> {
  const catalogue = catalogueOf(household.config)
  const fields = [...catalogue.fields].map(({ name }) => name)
  if (field !== undefined && !fields.includes(field) && field !== 'name') {
    throw new OperatorError(`there is no field named ${field}`, `The fields are: ${fields.join(', ')}.`)
  }
  const found = await findPerson(household.store, query)
  const health = await healthOfOne(household, found.id)
  const story = { ...(await tell(household.store, found, field, fields)), health, asked: askedBy(household) }
  if (output.json) await output.print(storyJson(story))
  else await printStory(output, story, titles(catalogue.fields))
  return EXIT.done
}

/** @param order the catalogue's fields, in the order in which people read them */
async function tell(
  store: Store,
  found: Person,
  field: string | undefined,
  order: readonly string[],
): Promise<Omit<Story, 'health' | 'asked'>> {
  const concerns = (cell: CellKey): boolean => {
    const name = fieldOf(cell)
    return field === undefined || name === field || (field === 'name' && name.startsWith('name.'))
  }
  const hood = await store.loadPeople([found.id])
  const person = hood.people.find(({ id }) => id === found.id) ?? found
  const log = await store.log({ personId: found.id, limit: LOG_MAX })
  const sent = await store.deliveries(found.id, DELIVERIES_MAX)
  const touches = (intent: Intent): boolean =>
    field === undefined || intent.op === 'delete' || intent.op === 'merge' || Object.keys(intent.cells).some(concerns)
  return {
    person,
    cells: Object.entries(person.cells)
      .filter(([cell, { value }]) => value !== null && concerns(cell))
      .sort(([a], [b]) => order.indexOf(fieldOf(a)) - order.indexOf(fieldOf(b)) || (a < b ? -1 : 1)),
    losers: log.filter((entry) => entry.kind !== 'applied' && concerns(entry.cell)),
    links: hood.links.filter((link) => link.personId === found.id),
    open: hood.intents.filter((intent) => intent.personId === found.id && touches(intent)),
    sent: sent.filter(touches),
  }
}

function askedBy({ config }: Household): Story['asked'] {
  const { standard } = standardOf(config)
  return ({ kind, rule, stamp, before, after, cell }) => {
    if (!standard || rule !== 'standard') return []
    const said = kind === 'repaired' ? before : after
    return standard
      .door(stamp.by)
      .unmet(cell, said)
      .map((one) => `${one.id}: it ${faultOf(one)}`)
  }
}

async function healthOfOne(household: Household, person: string): Promise<HealthLine[]> {
  const lines: HealthLine[] = []
  for await (const line of healthLines(household, { people: [person] })) lines.push(line)
  return lines
}

function storyJson({ person, cells, losers, links, health, open, sent, asked }: Story): object {
  const told = (entry: LogEntry): object => {
    const reasons = asked(entry)
    return reasons.length > 0 ? { ...entryJson(entry), standard: reasons } : entryJson(entry)
  }
  return {
    id: person.id,
    name: personName(person, person.id),
    state: person.state,
    fields: cells.map(([cell, { value, stamp, rule }]) => ({
      field: fieldOf(cell),
      value,
      connection: stamp.by,
      at: new Date(stamp.at).toISOString(),
      rule,
      lost: losers.filter((entry) => entry.cell === cell).map(told),
    })),
    // What lost in fields that are blank now belongs to no value.
    lost: losers.filter((entry) => !cells.some(([cell]) => cell === entry.cell)).map(told),
    records: links.map(({ connection, recordId, state, failure, reason: because, rewrites }) => ({
      connection,
      record: recordId,
      state,
      ...(failure ? { failure: failure.message } : {}),
      ...(because === undefined ? {} : { reason: because }),
      rewrites,
    })),
    health: health.map(({ connection, record, state, cause, why: because, command }) => ({
      connection,
      record,
      state,
      cause,
      why: because,
      command,
    })),
    open: open.map((intent) => ({ ...writeJson(intent), state: intent.state, held: intent.held ?? null })),
    sent: sent.map((intent) => ({
      ...writeJson(intent),
      settled: new Date(intent.settled_ms).toISOString(),
      answer: intent.answer,
    })),
  }
}

function writeJson({ connection, op, recordId, cells, failure }: Intent): object {
  const fields = Object.entries(cells).map(([cell, { before, after }]) => ({ field: fieldOf(cell), before, after }))
  return { connection, op, record: recordId, fields, ...(failure ? { failure: failure.message } : {}) }
}

async function printStory(output: Output, story: Story, title: (cell: string) => string): Promise<void> {
  const { person, cells, losers, links, health, open, sent } = story
  const state = person.state === 'live' ? '' : `  ${output.yellow(person.state)}`
  await output.say(`${output.bold(personName(person, person.id))}  ${output.dim(person.id)}${state}\n`)
  for (const [cell, { value, stamp, rule }] of cells) {
    await output.say(`${title(cell)}: ${showValue(value)}  ${output.dim(reason(stamp, rule))}`)
    for (const entry of losers.filter((item) => item.cell === cell)) await output.say(loserLine(output, entry, story))
  }
  const orphans = losers.filter((entry) => !cells.some(([cell]) => cell === entry.cell))
  for (const entry of orphans) await output.say(`${title(entry.cell)}: (blank)\n${loserLine(output, entry, story)}`)
  if (cells.length === 0 && orphans.length === 0) await output.say('No value here.')

  if (links.length > 0) await output.say(`\n${output.bold('Records')}`)
  for (const { connection, recordId, state: linkState, failure, reason: because } of links) {
    const notes = [failure?.message, because].filter((note) => note !== undefined)
    await output.say(`  ${connection}  ${plain(recordId)}  ${[linkState, ...notes].join('; ')}`)
  }
  if (health.length > 0) await output.say(`\n${output.bold('Health')}`)
  for (const { connection, state: how, why: because, command } of health) {
    const next = command === null ? '' : output.dim(`  ${command}`)
    await output.say(`  ${connection}  ${how}${how === 'in-sync' ? '' : `: ${plain(because)}`}${next}`)
  }
  if (open.length > 0) await output.say(`\n${output.bold('To be written')}`)
  for (const intent of open) {
    const because = intent.held ?? intent.failure?.message
    await output.say(
      `  ${intent.connection}  ${intent.op}: ${namesIn(intent, title)}  ${intent.state}${because === undefined ? '' : `, ${sentence(because)}`}`,
    )
  }
  if (sent.length > 0) await output.say(`\n${output.bold('Written')}`)
  for (const intent of sent) {
    const id = intent.answer?.['id']
    const answer = typeof id === 'string' ? `answered as ${plain(id)}` : 'done'
    await output.say(
      `  ${clock(intent.settled_ms)}  ${intent.connection}  ${intent.op}: ${namesIn(intent, title)}  ${output.dim(answer)}`,
    )
  }
}

function loserLine(output: Output, entry: LogEntry, { asked }: Pick<Story, 'asked'>): string {
  // What was said is what lost: for a repair that is what stood before it.
  const said = entry.kind === 'repaired' ? entry.before : entry.after
  const words = `${showValue(said)} from ${entry.stamp.by}, ${clock(entry.stamp.at)}: ${[outcome(entry), ...asked(entry)].join('; ')}`
  return `    ${output.dim(words)}`
}

function namesIn({ op, cells }: Intent, title: (cell: string) => string): string {
  const names = [...new Set(Object.keys(cells).map(title))]
  return op === 'delete' || op === 'merge' ? 'the whole record' : names.join(', ')
}
