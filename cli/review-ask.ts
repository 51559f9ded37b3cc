import * as prompts from '@clack/prompts'
import { ActRefusedError } from '../workers/acts.ts'
import { catalogueOf } from '../workers/connect.ts'
import type { Household } from '../workers/household.ts'
import { CHOICES, decideItem } from '../workers/review.ts'
import { reviewItems, type ReviewFilter, type ReviewItem } from '../workers/review-items.ts'
import { skipItem, skippedItems } from '../workers/review-skips.ts'
import type { Runtime } from '../workers/runtime.ts'
import type { Context } from './context.ts'
import { EXIT } from './errors.ts'
import { count } from './output.ts'
import { decisionOf, type ReviewOptions } from './review-decision.ts'
import { printItem } from './review-text.ts'
import { plain, titles } from './words.ts'

const SKIP = 'skip'
const STOP = 'stop'

/** Goes through what waits, one by one, until there is nothing more or the operator has had enough. */
export async function askThrough(
  context: Context,
  household: Household,
  runtime: Runtime,
  filter: ReviewFilter,
  options: ReviewOptions,
): Promise<number> {
  const { output, signal } = context
  const title = titles(catalogueOf(household.config).fields)
  const skipped = options.all === true ? new Set<string>() : await skippedItems(household.store)
  let decided = 0
  for await (const item of reviewItems(runtime, filter)) {
    if (signal.aborted) return EXIT.interrupted
    if (skipped.has(item.id)) continue
    await printItem(output, item, title)
    const choice = await askChoice(item)
    if (choice === STOP) break
    if (choice === SKIP) {
      await skipItem(household.store, item.id)
      continue
    }
    const more = await askMore(item, choice)
    if (more === null) continue
    const why = await prompts.text({
      message: 'Why? (for the record; may be left out)',
      defaultValue: options.why ?? '',
    })
    if (prompts.isCancel(why)) break
    try {
      const decision = await decisionOf(context, household, { ...options, why }, choice)
      await decideItem(runtime, item, { ...decision, ...more })
      decided++
    } catch (error) {
      if (!(error instanceof ActRefusedError)) throw error
      await output.say(`It stays as it is: ${error.message}.`)
    }
  }
  await output.say(
    decided === 0
      ? 'Nothing was decided.'
      : `Decided: ${count(decided, 'item')}. What follows is planned: see kith plan.`,
  )
  return EXIT.done
}

async function askChoice(item: ReviewItem): Promise<string> {
  const choice = await prompts.select({
    message: 'What is right?',
    options: [
      ...item.choices.map((value) => ({ value, label: value, hint: CHOICES[value] ?? '' })),
      { value: SKIP, label: SKIP, hint: 'leave it for later' },
      { value: STOP, label: STOP, hint: 'that is all for now' },
    ],
  })
  return prompts.isCancel(choice) ? STOP : choice
}

/** What a choice needs besides: which person, which value. null where the operator has changed their mind. */
async function askMore(item: ReviewItem, choice: string): Promise<{ person?: string; value?: string } | null> {
  if (choice === 'value') {
    const value = await prompts.text({ message: 'The value' })
    return prompts.isCancel(value) ? null : { value }
  }
  if ((choice !== 'link' && choice !== 'merge') || item.people.length < 2) return {}
  const person = await prompts.select({
    message: item.kind === 'duplicate' ? 'Who stands?' : 'Who is it?',
    options: item.people.map(({ id, name }) => ({ value: id, label: `${plain(name)} (${id})` })),
  })
  return prompts.isCancel(person) ? null : { person }
}
