import { cellsAt, digest, isEmail, valuesOf, type Row, type Sheet } from './sheet.ts'

/**
 * What Kith remembers of the rows that have no key yet, so that an edit made before the key is written does not look like
 * a deletion and a new person. One text per row, of fingerprints only; see docs/decisions/csv-row-identity.md.
 */
export type Memory = readonly string[]

/** Rows remembered at most, about 1 MB in the database. Beyond it a row's id rests on its e-mail address or its content alone. */
export const MEMORY_ROWS_MAX = 10_000

/** How the ids begin that Kith makes of a row's content. */
export const PROVISIONAL = 'k-'

/** A keyless row as it was. */
interface Remembered {
  readonly id: string
  readonly rev: string
  /** Fingerprints of the ids of the rows before and after it; empty at an end of the sheet. */
  readonly before: string
  readonly after: string
  readonly traits: readonly string[]
}

export interface Identified {
  /** Remembered rows that now stand under a key: a human typed one in, or another process wrote it. */
  readonly merged: readonly { readonly id: string; readonly into: string }[]
  readonly memory: Memory
  /** How many keyless rows the memory did not know: each may be a new row, or a known one that was edited out of recognition. */
  readonly fresh: number
}

/**
 * Gives every row its id: the key where it has one, else the id it was remembered under, else one made of its content.
 * Rows are recognised by the same values, then by the same e-mail address or the larger part of their cells, then, with
 * fewer cells alike, by standing between the same two rows.
 */
export function identify(sheet: Sheet, memory: Memory): Identified {
  const taken = new Set<string>()
  for (const row of sheet.rows) {
    if (row.key === '') continue
    if (taken.has(row.key)) row.trouble = 'doubled'
    taken.add(row.key)
  }
  markFirstOfDoubled(sheet.rows)
  const keyless = sheet.rows.flatMap((row, index) => (row.key === '' ? [index] : []))
  const known = memory.map(revive).filter(({ id }) => !taken.has(id))
  const left = new Set(known.map((_, index) => index))
  const open = new Set(keyless)
  const settle = (rowIndex: number, knownIndex: number): void => {
    const row = sheet.rows[rowIndex]
    const was = known[knownIndex]
    if (!row || !was) return
    row.id = was.id
    taken.add(was.id)
    open.delete(rowIndex)
    left.delete(knownIndex)
  }
  matchByRev(sheet, known, open, settle)
  const traits = new Map<number, string[]>()
  if (left.size > 0) {
    for (const [index, cells] of cellsAt(sheet, [...open])) traits.set(index, traitsOf(sheet, cells))
    matchByTraits(sheet, known, left, open, traits, settle)
  }
  for (const index of open) name(sheet.rows[index], taken)
  const merged = left.size > 0 ? matchKeyed(sheet, known, left) : []
  return {
    merged,
    memory: memoryOf(sheet, keyless.slice(0, MEMORY_ROWS_MAX)),
    fresh: open.size,
  }
}

function markFirstOfDoubled(rows: readonly Row[]): void {
  const doubled = new Set(rows.filter(({ trouble }) => trouble === 'doubled').map(({ key }) => key))
  if (doubled.size === 0) return
  for (const row of rows) if (doubled.has(row.key)) row.trouble = 'doubled'
}

type Settle = (rowIndex: number, knownIndex: number) => void

function matchByRev(sheet: Sheet, known: readonly Remembered[], open: ReadonlySet<number>, settle: Settle): void {
  const byRev = new Map<string, number[]>()
  known.forEach(({ rev }, index) => byRev.set(rev, [...(byRev.get(rev) ?? []), index]))
  for (const rowIndex of open) {
    const knownIndex = byRev.get(sheet.rows[rowIndex]?.rev ?? '')?.shift()
    if (knownIndex !== undefined) settle(rowIndex, knownIndex)
  }
}

/** Values that so many rows share (a city, a company) say nothing about who a row is; looking them all up would be slow. */
const COMMON_MIN = 50

function matchByTraits(
  sheet: Sheet,
  known: readonly Remembered[],
  left: ReadonlySet<number>,
  open: ReadonlySet<number>,
  traits: ReadonlyMap<number, readonly string[]>,
  settle: Settle,
): void {
  const holders = new Map<string, number[]>()
  for (const index of left) {
    for (const trait of known[index]?.traits ?? []) {
      const list = holders.get(trait)
      if (list) list.push(index)
      else holders.set(trait, [index])
    }
  }
  const pairs: { row: number; was: number; score: number }[] = []
  for (const row of open) {
    const mine = traits.get(row) ?? []
    const candidates = new Set(mine.flatMap((trait) => few(holders.get(trait))))
    for (const was of candidates) {
      const score = likeness(mine, known[was]?.traits ?? [])
      if (score > 0) pairs.push({ row, was, score })
    }
  }
  pairs.sort((a, b) => b.score - a.score || a.row - b.row || a.was - b.was)
  for (const { row, was, score } of pairs) {
    if (score >= 0.5 && open.has(row) && left.has(was)) settle(row, was)
  }
  for (const { row, was } of pairs) {
    if (open.has(row) && left.has(was) && sameNeighbours(sheet, row, known[was])) settle(row, was)
  }
}

function few(list: readonly number[] | undefined): readonly number[] {
  return list && list.length < COMMON_MIN ? list : []
}

/** How much of two rows is alike, 0 to 1; more than 1 where both hold the same e-mail address. */
function likeness(a: readonly string[], b: readonly string[]): number {
  const other = new Set(b)
  const shared = a.filter((trait) => other.has(trait))
  const most = Math.max(a.length, b.length)
  if (most === 0) return 0
  return shared.length / most + (shared.some((trait) => trait.startsWith('@')) ? 1 : 0)
}

function sameNeighbours(sheet: Sheet, index: number, was: Remembered | undefined): boolean {
  const before = sheet.rows[index - 1]
  const after = sheet.rows[index + 1]
  if (!was || before?.id === '' || after?.id === '') return false
  return mark(before) === was.before && mark(after) === was.after
}

/** Remembered rows that are gone as such, and of which a keyed row says the very same. */
function matchKeyed(
  sheet: Sheet,
  known: readonly Remembered[],
  left: ReadonlySet<number>,
): { readonly id: string; readonly into: string }[] {
  const merged: { id: string; into: string }[] = []
  const wanted = new Map<string, Remembered[]>()
  for (const index of left) {
    const was = known[index]
    if (was && was.traits.length > 0) {
      wanted.set(identityOf(was.traits), [...(wanted.get(identityOf(was.traits)) ?? []), was])
    }
  }
  if (wanted.size === 0) return merged
  const keyed = sheet.rows.flatMap((row, index) => (row.key !== '' && row.trouble === undefined ? [index] : []))
  for (const [index, cells] of cellsAt(sheet, keyed)) {
    const was = wanted.get(identityOf(traitsOf(sheet, cells)))?.shift()
    if (was) merged.push({ id: was.id, into: sheet.rows[index]?.id ?? '' })
  }
  return merged
}

function identityOf(traits: readonly string[]): string {
  return [...traits].sort().join(' ')
}

/** An id for a row that was never seen before. It becomes the row's key as soon as Kith writes to the row. */
function name(row: Row | undefined, taken: Set<string>): void {
  if (!row) return
  const seeds = [...(row.mail === undefined ? [] : [row.mail]), digest(row.rev, 20)]
  for (let occurrence = 2; row.id === ''; occurrence++) {
    const id = PROVISIONAL + (seeds.shift() ?? digest(`${row.rev} ${occurrence}`, 20))
    if (taken.has(id)) continue
    row.id = id
    taken.add(id)
  }
}

/** Fingerprints of a row's values, the key left out; those of e-mail addresses begin with an @. */
function traitsOf(sheet: Sheet, cells: readonly string[]): string[] {
  return Object.entries(valuesOf(cells, sheet.columns, sheet.keyName)).flatMap(([column, value]) => {
    if (value === null || column === sheet.keyName) return []
    const trait = digest(JSON.stringify([column, value]), 6)
    return [typeof value === 'string' && isEmail(value) ? `@${trait}` : trait]
  })
}

function mark(row: Row | undefined): string {
  return row ? digest(row.id, 4) : ''
}

function memoryOf(sheet: Sheet, keyless: readonly number[]): Memory {
  const memory: string[] = []
  for (const [index, cells] of cellsAt(sheet, keyless)) {
    const row = sheet.rows[index]
    if (!row) continue
    const sides = [mark(sheet.rows[index - 1]), mark(sheet.rows[index + 1])]
    memory.push([row.id, row.rev, ...sides, traitsOf(sheet, cells).join(' ')].join(','))
  }
  return memory
}

function revive(text: string): Remembered {
  const [id = '', rev = '', before = '', after = '', traits = ''] = text.split(',')
  return { id, rev, before, after, traits: traits.split(' ').filter(Boolean) }
}
