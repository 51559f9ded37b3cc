import { reviewItemDocument } from '../workers/documents/review.ts'
import { CHOICES } from '../workers/review.ts'
import type { ReviewItem, ReviewPerson } from '../workers/review-items.ts'
import type { Output } from './output.ts'
import { sentence } from './session.ts'
import { plain, showValue } from './words.ts'

/** One item for people: what it is, why it waits, the evidence, and the commands that decide it. */
export async function printItem(output: Output, item: ReviewItem, title: (cell: string) => string): Promise<void> {
  for (const line of linesOf(output, item, title)) await output.say(line)
  await output.say()
}

function linesOf(output: Output, item: ReviewItem, title: (cell: string) => string): string[] {
  const where = [item.connection, item.recordId === undefined ? undefined : plain(item.recordId)]
    .filter(Boolean)
    .join(' ')
  const lines = [
    `${output.bold(item.id)}  ${item.kind}${where === '' ? '' : `  ${where}`}${item.recordName === undefined ? '' : `  ${plain(item.recordName)}`}`,
    `  ${sentence(item.cause)}`,
  ]
  if (item.cell !== undefined) {
    const by = item.oursBy === undefined ? '' : output.dim(` (${item.oursBy.replace(/^operator:/, 'operator ')})`)
    const who = item.kind === 'flip' ? 'before' : (item.connection ?? '')
    lines.push(`  ${title(item.cell)}: ${showValue(item.ours)}${by}; ${who}: ${showValue(item.theirs)}`)
  }
  for (const person of item.people) lines.push(...personLines(output, person))
  for (const choice of item.choices) {
    lines.push(output.dim(`    ${commandFor(item, choice)}  ${CHOICES[choice] ?? ''}`))
  }
  return lines
}

function personLines(output: Output, { id, name, score, evidence = [] }: ReviewPerson): string[] {
  const likely = score === undefined ? '' : output.dim(`  ${score} of 100`)
  const reasons = evidence.map(({ text, weight }) => `${weight > 0 ? '+' : '-'} ${text}`)
  return [`  ${name === id ? id : `${plain(name)} (${id})`}${likely}`, ...reasons.map((line) => `      ${line}`)]
}

/** What is typed to choose so. */
export function commandFor(item: ReviewItem, choice: string): string {
  const which = (choice === 'link' || choice === 'merge') && item.people.length > 1 ? ' --to <id>' : ''
  const value = choice === 'value' ? ' --value <text>' : ''
  return `kith review ${item.id} --choose ${choice}${which}${value}`
}

/** The item as data, with the commands that decide it. */
export function itemJson(item: ReviewItem): object {
  const document = reviewItemDocument(item)
  return {
    ...document,
    choices: document.choices.map((choice) => ({ ...choice, command: commandFor(item, choice.choose) })),
  }
}
