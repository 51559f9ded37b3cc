import type { Catalogue, CellKey } from '../engine/core/catalogue.ts'
import type { Json } from '../engine/core/json.ts'
import type { Person } from '../engine/core/person.ts'
import { ActRefusedError } from '../workers/acts.ts'
import { catalogueOf } from '../workers/connect.ts'
import { mergeDocument } from '../workers/documents/merge.ts'
import type { Household } from '../workers/household.ts'
import { mergeTwo, previewMerge, type MergePreview, type MergeWish } from '../workers/merge.ts'
import { KeepError, keptCells, type KeepChoice } from '../workers/merge-keep.ts'
import { confirm } from './ask.ts'
import { EXIT_CODES, type Context, type Register } from './context.ts'
import { EXIT, OperatorError } from './errors.ts'
import { findPerson } from './find-person.ts'
import { operatorOf } from './operator.ts'
import { clock, count, type Output } from './output.ts'
import { withHousehold } from './session.ts'
import { plain, showValue, titles } from './words.ts'

interface MergeOptions {
  readonly keep: readonly string[]
  readonly why?: string
  readonly by?: string
  readonly yes?: boolean
}

const collect = (value: string, before: readonly string[]): string[] => [...before, value]

export const registerMerge: Register = (program, run) => {
  program
    .command('merge')
    .argument('<person>', 'who stands: an e-mail address, a number, a name or an id')
    .argument('<other>', 'who is the same human, and becomes the first one')
    .description('Makes two people one, here and then in the apps: shows which value stands and why, and asks.')
    .option('--keep <field=value>', "a field's value; first and second stand for the two people's own", collect, [])
    .option('--why <text>', 'why, for the record')
    .option('--by <name>', 'who does it; otherwise the name you are logged in with')
    .option('--yes', 'do it without asking')
    .addHelpText(
      'after',
      `
Of two values the later stands; the other is kept in the log. Addresses, numbers and tags are put together. Where both have a
record in one app, the second one is merged into the first where the app can do that, else deleted, its values kept. Neither can be
undone: it waits until you let it go with kith review.

Examples:
  kith merge ada@example.org "A. Lovelace"
  kith merge ada@example.org p7k2 --keep title=first --keep organisation="Analytical Engines" --why "same person"
${EXIT_CODES}`,
    )
    .action((person: string, other: string, options: MergeOptions, command) =>
      run(command, (context) =>
        withHousehold(context, (household) => merge(context, household, person, other, options)),
      ),
    )
}

async function merge(
  context: Context,
  household: Household,
  first: string,
  second: string,
  options: MergeOptions,
): Promise<number> {
  const { output, env } = context
  const { store, config } = household
  const [winner, loser] = [await findPerson(store, first), await findPerson(store, second)]
  if (winner.id === loser.id)
    throw new OperatorError('these are one person already', 'Name two people: kith people <text>')
  const catalogue = catalogueOf(config)
  const wish: MergeWish = { winner: winner.id, loser: loser.id, keep: keepOf(catalogue, [winner, loser], options.keep) }
  // What follows in the apps is planned by the rules of every connection.
  await household.connect(undefined, context.signal)
  const queues = await household.openQueues()
  try {
    const runtime = household.runtime(queues)
    const preview = await previewMerge(runtime, wish)
    if (!output.json) await print(output, preview, titles(catalogue.fields))
    const answer = options.yes === true ? true : await confirm(context, 'Make them one?')
    if (answer !== true) {
      if (output.json) await output.print({ ...mergeDocument(preview), merged: false })
      await output.say(answer === null ? 'Nothing was done. Do it with: --yes' : 'Nothing was done.')
      return EXIT.held
    }
    const act = await mergeTwo(runtime, wish, { by: operatorOf(options.by, env), why: options.why ?? '' })
    if (output.json) await output.print({ ...mergeDocument(preview), merged: true, act: act.id })
    await output.say(`${plain(preview.loser.name)} is ${plain(preview.winner.name)} (${winner.id}) now; act ${act.id}.`)
    const waiting = preview.records.filter(({ what }) => what === 'merge' || what === 'delete')
    if (waiting.length > 0) {
      await output.say(
        `${count(waiting.length, 'second record')} to go away for good, once you say so: kith review --kind ending`,
      )
    }
    return EXIT.done
  } catch (error) {
    if (!(error instanceof ActRefusedError)) throw error
    throw new OperatorError(`they cannot be merged: ${error.message}`, 'See them with: kith why <person>')
  } finally {
    await queues.close(0)
  }
}

/** `title=first`, `title=second`, `title=Chair`. */
function keepOf(
  catalogue: Catalogue,
  people: readonly [Person, Person],
  said: readonly string[],
): { [cell: CellKey]: Json } {
  const choices = said.map((text) => {
    const [, name = '', value = ''] = /^([^=]+)=(.*)$/s.exec(text) ?? []
    return [name, choiceOf(value, catalogue.has(name) ? catalogue.field(name).type : 'text')] as const
  })
  try {
    return keptCells(catalogue, people, Object.fromEntries(choices))
  } catch (error) {
    if (!(error instanceof KeepError)) throw error
    throw new OperatorError(`--keep: ${error.message}`, error.advice)
  }
}

function choiceOf(value: string, type: string): KeepChoice {
  if (value === 'first' || value === 'second') return { of: value }
  if (value === '') return { value: null }
  if (type === 'number' && Number.isFinite(Number(value))) return { value: Number(value) }
  if (type === 'boolean' && (value === 'true' || value === 'false')) return { value: value === 'true' }
  return { value }
}

const WHY: { readonly [why in MergePreview['cells'][number]['why']]: string } = {
  only: 'only one of the two says it',
  same: 'both say so',
  later: 'the later one',
  kept: 'you chose it',
}

const WHAT: { readonly [what in MergePreview['records'][number]['what']]: string } = {
  moves: "becomes the first person's",
  merge: 'is merged into',
  delete: 'is deleted there, its values kept',
  stays: 'stays there, and is left alone: the app can neither merge nor delete it',
  asked: 'is left to you: kith review',
}

async function print(output: Output, preview: MergePreview, title: (cell: string) => string): Promise<void> {
  const { winner, loser, cells, records, writes } = preview
  await output.say(
    `${output.bold(plain(loser.name))} (${loser.id}) becomes ${output.bold(plain(winner.name))} (${winner.id})\n`,
  )
  if (preview.toldApart) await output.say(output.yellow('The two were told apart before.\n'))
  for (const { cell, winner: ours, loser: theirs, stands, why } of cells) {
    const lost = why === 'later' || why === 'kept' ? [ours, theirs].filter((one) => one && one.value !== stands) : []
    const others = lost.map((one) => `not ${showValue(one?.value)}, ${clock(one?.stamp.at ?? 0)}`)
    await output.say(`  ${title(cell)}: ${showValue(stands)}  ${output.dim([WHY[why], ...others].join('; '))}`)
  }
  if (records.length > 0) await output.say(`\n${output.bold('Records')}`)
  for (const { connection, recordId, what, into } of records) {
    await output.say(`  ${connection}  ${plain(recordId)} ${WHAT[what]}${into === undefined ? '' : ` ${plain(into)}`}`)
  }
  if (writes.length > 0) await output.say(`\n${output.bold('To be written')}`)
  for (const { connection, op, cells: planned, held } of writes) {
    const names = [...new Set(Object.keys(planned).map(title))].join(', ')
    await output.say(
      `  ${connection}  ${op}${names === '' ? '' : `: ${names}`}${held === undefined ? '' : output.yellow(`  held: ${held}`)}`,
    )
  }
  await output.say()
}
