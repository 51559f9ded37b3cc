import type { ContentLine, Version } from './lines.ts'
import { paramValues } from './lines.ts'
import { decodeText, plainValue } from './values.ts'

/**
 * What people call an address or a number ("work fax"), and the two ways vCards say it: TYPE words, and Apple's X-ABLabel
 * beside the property in one group (`item1.TEL`, `item1.X-ABLabel`).
 */

/** TYPE words that say nothing about whose or what place it is. */
const NOISE = new Set([
  'pref',
  'internet',
  'x400',
  'voice',
  'text',
  'video',
  'msg',
  'textphone',
  'postal',
  'parcel',
  'dom',
  'intl',
])

const PLACES = new Set(['home', 'work', 'other'])

/** Words for a kind of device stand last: "work fax", never "fax work". Each with its TYPE word. */
const DEVICES: ReadonlyMap<string, string> = new Map([
  ['mobile', 'cell'],
  ['fax', 'fax'],
  ['pager', 'pager'],
])

/** Labels for which Apple's programs have a word of their own, translated on screen. */
const APPLE: { readonly [label: string]: string } = { other: 'Other', main: 'Main', 'home page': 'HomePage' }

/** Lower case, single spaces, `cell` as `mobile`, places before devices; null for a blank. */
export function canonicalLabel(label: string): string | null {
  const words = label
    .trim()
    .toLowerCase()
    .split(/\s+/)
    .map((word) => (word === 'cell' ? 'mobile' : word))
    .filter(Boolean)
  if (words.length === 0) return null
  return words.every((word) => PLACES.has(word) || DEVICES.has(word)) ? inOrder(words).join(' ') : words.join(' ')
}

function inOrder(words: readonly string[]): string[] {
  const rank = (word: string): number => (PLACES.has(word) ? 0 : DEVICES.has(word) ? 2 : 1)
  return [...new Set(words)].sort((a, b) => rank(a) - rank(b))
}

/** The X-ABLabel line of each group, by the group's name in lower case. */
export function groupLabels(lines: readonly ContentLine[]): ReadonlyMap<string, ContentLine> {
  const labels = new Map<string, ContentLine>()
  for (const line of lines) {
    if (line.name !== 'X-ABLABEL' || line.group === null) continue
    const group = line.group.toLowerCase()
    if (!labels.has(group)) labels.set(group, line)
  }
  return labels
}

/** The label of a property; null where it has none. */
export function labelOf(line: ContentLine, labels: ReadonlyMap<string, ContentLine>, version: Version): string | null {
  const beside = line.group === null ? undefined : labels.get(line.group.toLowerCase())
  if (beside) {
    const text = decodeText(plainValue(beside), version).trim()
    const apple = /^_\$!<(.*)>!\$_$/s.exec(text)?.[1]
    const label = canonicalLabel(apple === undefined ? text : apple.replace(/([a-z])([A-Z])/g, '$1 $2'))
    if (label !== null) return label
  }
  const words = paramValues(line, 'TYPE')
    .filter((word) => word !== '' && !NOISE.has(word))
    .map((word) => (word === 'cell' ? 'mobile' : word.replace(/^x-/, '')))
  return words.length === 0 ? null : canonicalLabel(inOrder(words).join(' '))
}

export function isPreferred(line: ContentLine): boolean {
  return paramValues(line, 'TYPE').includes('pref') || paramValues(line, 'PREF').includes('1')
}

/** Whether a TYPE word belongs to the label. */
export function isLabelWord(word: string): boolean {
  return !NOISE.has(word.toLowerCase())
}

/** The TYPE words that say a label; undefined where only an X-ABLabel can. */
export function typesFor(property: string, label: string): string[] | undefined {
  const words = label.split(' ')
  const types = words.map((word) =>
    word === 'home' || word === 'work' ? word : property === 'TEL' ? DEVICES.get(word) : undefined,
  )
  return types.every((type) => type !== undefined) ? types : undefined
}

/** The text of an X-ABLabel that says a label. */
export function labelText(label: string): string {
  const apple = Object.hasOwn(APPLE, label) ? APPLE[label] : undefined
  return apple === undefined ? label : `_$!<${apple}>!$_`
}
