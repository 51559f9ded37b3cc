import { elementsOf, fieldOf, isElement, type Catalogue, type Cells } from './catalogue.ts'
import type { MatchRules } from './rules.ts'

/** Keys longer than this are no identifiers of anybody. */
const KEY_LENGTH_MAX = 320

/**
 * What a record can be found by: `email:ada@example.org`, `phone:+4930123`, `externalId:4711`, in the normal forms of the
 * catalogue.
 */
export function keysOf(cells: Cells, catalogue: Catalogue): string[] {
  const keys: string[] = []
  for (const [cell, value] of Object.entries(cells)) {
    const field = fieldOf(cell)
    if (field === 'emails' && isElement(value) && cell.includes('@')) keys.push(`email:${cell.slice('emails:'.length)}`)
    // Short numbers are extensions and service lines.
    if (field === 'phones' && isElement(value) && cell.replace(/\D/g, '').length >= 6) {
      keys.push(`phone:${cell.slice('phones:'.length)}`)
    }
    if (field === 'externalId') keys.push(`externalId:${catalogue.normal(catalogue.field('externalId'), value)}`)
  }
  return keys.filter((key) => key.length <= KEY_LENGTH_MAX).sort()
}

/** The key that a text is: an e-mail address, a phone number, else an external id. */
export function keyFor(text: string, catalogue: Catalogue): string {
  const [prefix, field] = text.includes('@')
    ? ['email', 'emails']
    : /^[+(]?\d[\d\s()/.-]{5,}$/.test(text.trim())
      ? ['phone', 'phones']
      : ['externalId', 'externalId']
  return `${prefix}:${catalogue.normal(catalogue.field(field as string), text)}`
}

/** Whether the config says that the holders of these keys are different people. */
export function areApart({ apart = [] }: MatchRules, ours: readonly string[], theirs: readonly string[]): boolean {
  return apart.some(([a, b]) => (ours.includes(a) && theirs.includes(b)) || (ours.includes(b) && theirs.includes(a)))
}

/** Who else holds one of a record's keys. */
export interface Candidate {
  readonly personId: string
  readonly cells: Cells
  /** The person already has a record in the connection that the new record is of. */
  readonly here: boolean
}

/** One key of a record, who holds it, and how many records of a single connection do (the record itself included). */
export interface KeyEvidence {
  readonly key: string
  readonly people: readonly string[]
  readonly carriers: number
}

export type Match =
  | { readonly kind: 'linked'; readonly personId: string; readonly by: string }
  | { readonly kind: 'new' }
  | { readonly kind: 'ambiguous'; readonly candidates: readonly string[]; readonly reason: string }

/**
 * Finds out who a record is. A strong unique match links; a weak or ambiguous one goes to an operator and never merges by
 * itself; a record that nobody can be is a new person.
 */
export function matchRecord(
  cells: Cells,
  evidence: readonly KeyEvidence[],
  candidates: ReadonlyMap<string, Candidate>,
  rules: MatchRules,
): Match {
  for (const rule of rules.rules) {
    const prefix = rule.by === 'email' ? 'email:' : rule.by === 'phone' ? 'phone:' : 'externalId:'
    const keys = evidence.filter((item) => item.key.startsWith(prefix))
    // An identifier shared by many is nobody's; an external id that is shared is a mistake that an operator should see.
    const usable = keys.filter((item) => rule.by === 'externalId' || item.carriers < rules.sharedFrom)
    const people = [...new Set(usable.flatMap((item) => item.people))].sort()
    if (people.length === 0) continue

    const weak = rule.by === 'phone' || (rule.by === 'email' && usable.every((item) => isWeakAddress(item, rules)))
    const match = choose(rule.by, people, weak, cells, candidates)
    if (match) return match
  }
  return { kind: 'new' }
}

function isWeakAddress(item: KeyEvidence, rules: MatchRules): boolean {
  const local = item.key.slice('email:'.length).split('@')[0] ?? ''
  return item.carriers > 1 || rules.roleAddresses.has(local)
}

/** The match among the people that one rule found; null where the rule says nothing. */
function choose(
  by: string,
  people: readonly string[],
  weak: boolean,
  cells: Cells,
  candidates: ReadonlyMap<string, Candidate>,
): Match | null {
  const likeness = new Map(people.map((id) => [id, compareNames(cells, candidates.get(id)?.cells ?? {})]))
  const same = people.filter((id) => likeness.get(id) === 'same')
  const alike = people.filter((id) => ['same', 'near', 'alike'].includes(likeness.get(id) ?? ''))
  const named = same.length > 0 ? same : weak ? [] : alike
  const possible = by === 'externalId' ? people : weak || named.length > 0 ? named : people
  if (possible.length === 0) {
    // "Tom" and "Thomas", the same number: too like to be two people, not enough to be one.
    const near = people.filter((id) => likeness.get(id) === 'near')
    if (near.length > 0) {
      return { kind: 'ambiguous', candidates: near, reason: `the same ${wordFor(by)}, and a name that may be the same` }
    }
    // A shared number or mailbox whose holders have other names says nothing; one that has no name at all may be anybody.
    const unknown = people.filter((id) => likeness.get(id) === 'unknown')
    return unknown.length === 0
      ? null
      : { kind: 'ambiguous', candidates: unknown, reason: `the same ${wordFor(by)}, and no name to tell by` }
  }
  if (possible.length > 1) {
    return { kind: 'ambiguous', candidates: possible, reason: `${possible.length} people have the same ${wordFor(by)}` }
  }
  const id = possible[0] as string
  if (candidates.get(id)?.here) {
    return { kind: 'ambiguous', candidates: [id], reason: `a second record of the same person (same ${wordFor(by)})` }
  }
  if (by === 'email' && likeness.get(id) === 'unlike') {
    return { kind: 'ambiguous', candidates: [id], reason: `the same ${wordFor(by)}, and another name` }
  }
  return { kind: 'linked', personId: id, by }
}

function wordFor(by: string): string {
  return by === 'email' ? 'e-mail address' : by === 'phone' ? 'phone number' : 'external id'
}

/**
 * Whether two sets of names may be one human's (diacritics, small slips and the order of words forgiven): `same`
 * when all that the shorter one has is in the other, `near` when some of it is and the rest is a short form (an initial, a
 * nickname), `alike` when half of it is (a family name, or a given name, has changed; or the two are married), `unlike` when less is, `unknown` when one has no name, or the two are written in scripts that
 * cannot be compared.
 */
export function compareNames(a: Cells, b: Cells): 'same' | 'near' | 'alike' | 'unlike' | 'unknown' {
  const left = nameWords(a)
  const right = nameWords(b)
  if (left.length === 0 || right.length === 0) return 'unknown'
  if (scriptOf(left) !== scriptOf(right)) return 'unknown'
  const [few, many] = left.length <= right.length ? [left, right] : [right, left]
  const found = few.filter((word) => many.some((other) => sameWord(word, other)))
  // One shared initial is not enough.
  if (!found.some((word) => word.length > 1)) return 'unlike'
  if (found.length === few.length) return 'same'
  if (few.every((word) => many.some((other) => sameWord(word, other) || isShortForm(word, other)))) return 'near'
  return found.length * 2 >= few.length ? 'alike' : 'unlike'
}

/** The words of a name as they are compared: no case, no diacritics. */
export function nameWords(cells: Cells): string[] {
  const text = ['name.given', 'name.middle', 'name.family']
    .map((cell) => cells[cell])
    .filter((part) => typeof part === 'string')
  const display = cells['name.display']
  const all = text.length > 0 ? text.join(' ') : typeof display === 'string' ? display : ''
  return all
    .normalize('NFD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter(Boolean)
}

function scriptOf(words: readonly string[]): string {
  return /^[\p{Script=Latin}\p{N}]+$/u.test(words.join('')) ? 'latin' : 'other'
}

function sameWord(a: string, b: string): boolean {
  if (a === b) return true
  const [short, long] = a.length <= b.length ? [a, b] : [b, a]
  if (short.length >= 3 && long.startsWith(short)) return true
  return short.length >= 4 && within(short, long, short.length >= 7 ? 2 : 1)
}

/** "T." and "Tom" for "Thomas": the same first letter, and all others in their order. */
function isShortForm(a: string, b: string): boolean {
  const [short, long] = a.length <= b.length ? [a, b] : [b, a]
  if (short[0] !== long[0]) return false
  let place = -1
  return Array.from(short).every((letter) => (place = long.indexOf(letter, place + 1)) >= 0)
}

/** Whether two words are at most `slips` letters apart (put in, left out, changed). */
function within(a: string, b: string, slips: number): boolean {
  if (Math.abs(a.length - b.length) > slips) return false
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const nextRow = [i]
    for (let j = 1; j <= b.length; j++) {
      const swap = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      nextRow.push(Math.min(swap, (row[j] ?? 0) + 1, (nextRow[j - 1] ?? 0) + 1))
    }
    row = nextRow
  }
  return (row[b.length] ?? slips + 1) <= slips
}

/** Whether there is enough of a person to create a record of: a name, an organisation, an address or a number. */
export function isSomebody(cells: Cells): boolean {
  const named = ['name.given', 'name.family', 'name.display', 'nickname', 'organisation'].some(
    (cell) => cells[cell] !== undefined,
  )
  return named || elementsOf('emails', cells).length > 0 || elementsOf('phones', cells).length > 0
}
