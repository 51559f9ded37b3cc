import type { Intent, LogEntry } from '../engine/core/ports/store.ts'
import { catalogueOf } from '../workers/connect.ts'
import { storyDocument } from '../workers/documents/story.ts'
import type { Household } from '../workers/household.ts'
import { storyFields, storyOf, type Story } from '../workers/story.ts'
import { EXIT_CODES, type Context, type Register } from './context.ts'
import { EXIT, OperatorError } from './errors.ts'
import { findPerson } from './find-person.ts'
import { outcome } from './log.ts'
import { clock, type Output } from './output.ts'
import { sentence, withHousehold } from './session.ts'
import { personName, plain, reason, showValue, titles } from './words.ts'

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

async function why(
  { output }: Context,
  household: Household,
  query: string,
  field: string | undefined,
): Promise<number> {
  const fields = storyFields(household.config)
  if (field !== undefined && !fields.has(field)) {
    throw new OperatorError(`there is no field named ${field}`, `The fields are: ${fields.known.join(', ')}.`)
  }
  const story = await storyOf(household, await findPerson(household.store, query), field)
  if (output.json) await output.print(storyDocument(story))
  else await printStory(output, story, titles(catalogueOf(household.config).fields))
  return EXIT.done
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
