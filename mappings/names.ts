import type { Cells } from '../engine/core/catalogue.ts'

/** The parts of a name, as people read them out. */
export const NAME_PARTS = ['name.prefix', 'name.given', 'name.middle', 'name.family', 'name.suffix'] as const

export type NamePart = (typeof NAME_PARTS)[number]

/** One space between words, none around them: how names are compared. */
export function squashed(text: string): string {
  return text.normalize('NFC').replace(/\s+/g, ' ').trim()
}

function part(cells: Cells, name: NamePart): string {
  const value = cells[name]
  return typeof value === 'string' ? value : ''
}

/** The parts read out in order; the empty text where there are none. */
export function spellName(cells: Cells): string {
  return squashed(NAME_PARTS.map((name) => part(cells, name)).join(' '))
}

/**
 * Whether the text is no more than the parts in one of the orders in which people write them: with or without prefix, middle
 * name and suffix, family name first or last. Such a text is no display name of its own.
 */
export function isSpelling(text: string, cells: Cells): boolean {
  const wanted = squashed(text)
  if (wanted === spellName(cells)) return true
  const [prefix, given, middle, family, suffix] = NAME_PARTS.map((name) => part(cells, name)) as [
    string,
    string,
    string,
    string,
    string,
  ]
  if (given.trim() === '' || family.trim() === '') return false
  const first = middle.trim() === '' ? [given] : [given, `${given} ${middle}`]
  const orders = first.flatMap((names) => [
    `${names} ${family}`,
    `${prefix} ${names} ${family}`,
    `${names} ${family} ${suffix}`,
    `${names} ${family}, ${suffix}`,
    `${prefix} ${names} ${family}, ${suffix}`,
    `${family}, ${names}`,
    `${family}, ${prefix} ${names}`,
    `${family} ${names}`,
  ])
  return orders.some((order) => squashed(order) === wanted)
}

const PREFIXES = new Set(['mr', 'mrs', 'ms', 'miss', 'mx', 'dr', 'prof', 'sir', 'dame', 'rev', 'herr', 'frau'])
const SUFFIXES = new Set(['jr', 'sr', 'ii', 'iii', 'iv', 'phd', 'md', 'esq', 'mba'])
const PARTICLES = new Set('van von de der den del della di da dos du la le ten ter zu bin ibn al el st'.split(' '))

/**
 * The parts of a name written as one text: `Dr. Ada King Lovelace`, `Lovelace, Ada`. A guess, and a careful one: titles are
 * taken off, the last word with its particles is the family name, all before it the given one; a single word is a given name.
 */
export function parseName(text: string): { [name in NamePart]?: string } {
  const parts: { [name in NamePart]?: string } = {}
  const [head = '', ...tail] = squashed(text).split(/\s*,\s*/)
  let words = head.split(' ').filter(Boolean)
  const after = tail.join(' ').split(' ').filter(Boolean)
  const isSuffix = (word: string | undefined): boolean => word !== undefined && SUFFIXES.has(bare(word))
  const suffix: string[] = []
  let familyFirst: string[] | undefined
  if (after.length > 0 && after.every(isSuffix)) suffix.push(...after)
  else if (after.length > 0) [familyFirst, words] = [words, after]
  const prefix: string[] = []
  while (words.length > 1 && PREFIXES.has(bare(words[0] ?? ''))) prefix.push(words.shift() ?? '')
  while (words.length > 2 && isSuffix(words.at(-1))) suffix.unshift(words.pop() ?? '')
  let family = familyFirst ?? []
  if (!familyFirst && (words.length > 1 || prefix.length > 0)) {
    let start = words.length - 1
    while (start > 1 && PARTICLES.has((words[start - 1] ?? '').toLowerCase())) start--
    ;[words, family] = [words.slice(0, start), words.slice(start)]
  }
  const found = { 'name.prefix': prefix, 'name.given': words, 'name.family': family, 'name.suffix': suffix }
  for (const [name, value] of Object.entries(found)) if (value.length > 0) parts[name as NamePart] = value.join(' ')
  return parts
}

function bare(word: string): string {
  return word.toLowerCase().replace(/\./g, '')
}
