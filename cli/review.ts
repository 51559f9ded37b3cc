import { catalogueOf } from '../workers/connect.ts'
import type { Household } from '../workers/household.ts'
import {
  findItems,
  REVIEW_KINDS,
  type ReviewFilter,
  type ReviewItem,
  type ReviewKind,
} from '../workers/review-items.ts'
import { alikeItems, decideItems, listReview } from '../workers/review-round.ts'
import { skipItem } from '../workers/review-skips.ts'
import type { Runtime } from '../workers/runtime.ts'
import { canAsk, confirm } from './ask.ts'
import { EXIT_CODES, type Context, type Register } from './context.ts'
import { EXIT, OperatorError } from './errors.ts'
import { wholeNumber } from './numbers.ts'
import { count } from './output.ts'
import { askThrough } from './review-ask.ts'
import { decisionOf, type ReviewOptions } from './review-decision.ts'
import { showRule } from './review-rule.ts'
import { itemJson, printItem } from './review-text.ts'
import { withHousehold } from './session.ts'
import { titles } from './words.ts'

const LIMIT = 20

export const registerReview: Register = (program, run) => {
  program
    .command('review')
    .argument('[what]', 'the id of one item, or: skip')
    .argument('[id]', 'with skip: the id of the item to leave for later')
    .description(
      'What waits for you: conflicts, records that may be several people, duplicates, held deletes. Decides it.',
    )
    .option('--choose <choice>', 'decide the item: one of the choices that it names')
    .option('--to <person>', 'with link or merge: which person it is, or which of the two stands')
    .option('--value <text>', 'with --choose value: the value')
    .option('--all-like [id]', 'decide all items like this one in the same way')
    .option('--rule', 'show the lines of kith.yaml that would decide such cases by themselves')
    .option('--write', 'with --rule: put them into kith.yaml')
    .option('--why <text>', 'why, for the record')
    .option('--by <name>', 'who decides; otherwise the name you are logged in with')
    .option('--yes', 'do it without asking')
    .option('--kind <kind>', `only: ${REVIEW_KINDS.join(', ')}`)
    .option('--connection <name>', 'only what is about one connection')
    .option('--limit <number>', 'how many are shown at most', wholeNumber, LIMIT)
    .option('--all', 'those left for later, too')
    .option('--list', 'only show them, also on a terminal')
    .addHelpText(
      'after',
      `
On a terminal, kith review without an id goes through them one by one. Nothing is written to an app at once: what follows
from a decision is planned and sent like any change, and what cannot be undone waits for one more yes.

Examples:
  kith review --list
  kith review 4f0c6k2m --choose theirs --why "asked her"
  kith review 4f0c6k2m --choose link --to ada@example.org
  kith review --all-like 4f0c6k2m --choose apart --yes
  kith review 4f0c6k2m --choose theirs --rule --write
  kith review skip 4f0c6k2m
${EXIT_CODES}`,
    )
    .action((what: string | undefined, id: string | undefined, options: ReviewOptions, command) =>
      run(command, (context) => withHousehold(context, (household) => review(context, household, what, id, options))),
    )
}

async function review(
  context: Context,
  household: Household,
  what: string | undefined,
  second: string | undefined,
  options: ReviewOptions,
): Promise<number> {
  const filter = filterOf(household, options)
  const alike = typeof options.allLike === 'string' ? options.allLike : undefined
  const id = what === 'skip' ? second : (what ?? alike)
  if (what === 'skip' && id === undefined)
    throw new OperatorError('say which item to leave for later', 'See: kith review')
  // Who a record says it is, is read by the mapping of its connection.
  await household.connect(undefined, context.signal)
  const queues = await household.openQueues()
  try {
    const runtime = household.runtime(queues)
    if (id === undefined) {
      if (canAsk(context) && options.list !== true) {
        return await askThrough(context, household, runtime, filter, options)
      }
      return await list(context, household, runtime, filter, options)
    }
    const item = await itemOf(runtime, id, filter)
    if (what === 'skip') return await skip(context, household, item)
    if (options.choose === undefined && options.rule !== true) return await show(context, household, item)
    return await decide(context, household, runtime, item, options, filter)
  } finally {
    await queues.close(0)
  }
}

function filterOf({ config }: Household, { kind, connection }: ReviewOptions): ReviewFilter {
  const known = REVIEW_KINDS.find((word) => word === kind)
  if (kind !== undefined && !known) {
    throw new OperatorError(`there is no kind of item called ${kind}`, `The kinds are ${REVIEW_KINDS.join(', ')}.`)
  }
  const names = config.connections.map(({ name }) => name)
  if (connection !== undefined && !names.includes(connection)) {
    throw new OperatorError(`there is no connection named ${connection}`, `The config has: ${names.join(', ')}.`)
  }
  return { ...(known ? { kind: known } : {}), ...(connection === undefined ? {} : { connection }) }
}

async function itemOf(runtime: Runtime, id: string, filter: ReviewFilter): Promise<ReviewItem> {
  const found = await findItems(runtime, id, filter)
  const [only, ...others] = found
  if (!only) throw new OperatorError(`nothing called ${id} waits`, 'It may be decided by now. See: kith review --list')
  if (others.length > 0) {
    throw new OperatorError(
      `${id} may be several items`,
      `Say which:\n${found.map((item) => `  ${item.id}`).join('\n')}`,
    )
  }
  return only
}

async function list(
  { output }: Context,
  household: Household,
  runtime: Runtime,
  filter: ReviewFilter,
  options: ReviewOptions,
): Promise<number> {
  const title = titles(catalogueOf(household.config).fields)
  const {
    items: shown,
    counts,
    total,
    later,
  } = await listReview(runtime, filter, {
    limit: options.limit,
    all: options.all === true,
  })
  if (output.json) {
    await output.print({ items: shown.map(itemJson), total, counts, later })
    return EXIT.done
  }
  for (const item of shown) await printItem(output, item, title)
  if (total === 0) await output.say('Nothing waits for you.')
  else {
    const words = (Object.entries(counts) as [ReviewKind, number][]).map(([kind, number]) =>
      count(number, kind, PLURALS[kind]),
    )
    await output.say(`${words.join(', ')}.`)
  }
  if (total > shown.length)
    await output.say(output.dim(`… and ${total - shown.length} more: --limit ${total}, or --kind`))
  if (later > 0) await output.say(output.dim(`${count(later, 'item')} left for later: --all shows them`))
  return EXIT.done
}

const PLURALS: { readonly [kind in ReviewKind]: string } = {
  conflict: 'conflicts',
  match: 'matches',
  second: 'second records',
  duplicate: 'probable duplicates',
  ending: 'records to end',
  delete: 'held deletes',
  deletions: 'sets of deletions',
  flip: 'fields that flip',
  incomplete: 'incomplete people',
}

async function show({ output }: Context, household: Household, item: ReviewItem): Promise<number> {
  if (output.json) await output.print(itemJson(item))
  else await printItem(output, item, titles(catalogueOf(household.config).fields))
  return EXIT.done
}

async function skip({ output }: Context, { store }: Household, item: ReviewItem): Promise<number> {
  await skipItem(store, item.id)
  if (output.json) await output.print({ skipped: item.id })
  await output.say(`Left for later: ${item.id}. It waits on; kith review --all shows it.`)
  return EXIT.done
}

async function decide(
  context: Context,
  household: Household,
  runtime: Runtime,
  item: ReviewItem,
  options: ReviewOptions,
  filter: ReviewFilter,
): Promise<number> {
  const { output } = context
  const { choose } = options
  if (choose === undefined) {
    return showRule(context, household, item, item.choices[0] as string, options)
  }
  if (!item.choices.includes(choose)) {
    throw new OperatorError(`"${choose}" is no choice for ${item.id}`, `Choose ${item.choices.join(', ')}.`)
  }
  const items =
    options.allLike === undefined || options.allLike === false ? [item] : await alikeItems(runtime, item, filter)
  if (options.rule === true && options.write === true && options.yes !== true && !canAsk(context)) {
    // Nothing is half done: without somebody to ask, neither the decision nor the rule.
    return showRule(context, household, item, choose, options)
  }
  if (items.length > 1 && options.yes !== true) {
    for (const each of items.slice(0, options.limit)) {
      await printItem(output, each, titles(catalogueOf(household.config).fields))
    }
    const answer = await confirm(context, `Decide these ${items.length} as "${choose}"?`)
    if (answer === null) {
      if (output.json) await output.print({ items: items.map(itemJson), decided: 0 })
      await output.say(`${count(items.length, 'item')} would be decided as "${choose}". Do it with: --yes`)
      return EXIT.held
    }
    if (!answer) return EXIT.held
  }
  const decision = await decisionOf(context, household, options, choose)
  const { acts, refused } = await decideItems(runtime, items, decision)
  const [first] = refused
  if (acts.length === 0 && first) {
    throw new OperatorError(`${first.id} stays as it is: ${first.why}`, 'See it as it stands with: kith review --list')
  }
  if (!output.json) {
    await output.say(`Decided: ${count(acts.length, 'item')} as "${choose}".`)
    for (const { id, why } of refused) await output.say(`  ${id} stays as it is: ${why}`)
    await output.say(output.dim('What follows is planned: see kith plan. It is sent by kith sync, or by the daemon.'))
  }
  if (options.rule === true) return showRule(context, household, item, choose, options, { acts, refused })
  if (output.json) await output.print({ decided: acts.length, acts, refused })
  return EXIT.done
}
