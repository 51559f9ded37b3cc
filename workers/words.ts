import type { Cells } from '../engine/core/catalogue.ts'
import { adviceFor, type Failure } from '../engine/core/failure.ts'
import { nameOf, valuesOf, type Person, type Rule } from '../engine/core/person.ts'
import type { Stamp } from '../engine/core/stamp.ts'

/** Names and reasons as operators are told them, in words and as data. */

/** One line, and nothing that a terminal would obey. */
export function plain(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is taken out
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]+/g, ' ').trim()
}

const REASONS: { readonly [rule in Rule]: (by: string) => string } = {
  first: (by) => `first said by ${by}`,
  edit: (by) => `edited in ${by}`,
  latest: (by) => `the later edit, in ${by}`,
  prefer: (by) => `${by} is preferred`,
  owner: (by) => `${by} owns the field`,
  fill: (by) => `filled from ${by}`,
  same: (by) => `as in ${by}`,
  consent: (by) => `the strictest that was told, by ${by}`,
  standard: (by) => `spelled as the standard asks, said by ${by}`,
  act: (by) => `decided by ${by.replace(/^operator:/, '')}`,
}

/** Which connection, which rule and when, with the time in full: `the later edit, in phone, 2026-11-22T00:53:12.000Z (rule: latest)`. */
export function reasonInFull(stamp: Stamp, rule: Rule): string {
  return `${because(stamp, rule)}${stamp.at > 0 ? `, ${new Date(stamp.at).toISOString()}` : ''} (rule: ${rule})`
}

/** Which connection and which rule. */
export function because({ at, by }: Stamp, rule: Rule): string {
  return at === 0 ? "follows from the person's other fields" : REASONS[rule](by)
}

export function nameFromCells(cells: Cells, id: string): string {
  return plain(nameOf(cells, id))
}

export function personName(person: Person | undefined, id: string): string {
  return person ? nameFromCells(valuesOf(person), id) : id
}

/** `sheet failed: line 7: a quote mark is not closed. Close it, then save the file.` */
export function failureSentence(name: string, failure: Failure): string {
  return `${name} failed: ${sentence(failure.message)} ${adviceFor(failure)}`
}

export function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`
}
