import type { JsonObject } from '../../engine/core/json.ts'
import type { AppField } from '../../engine/core/ports/connector.ts'
import { readDate } from './dates.ts'
import { groupLabels, isPreferred, labelOf } from './labels.ts'
import type { Card, ContentLine, Version } from './lines.ts'
import { paramValues } from './lines.ts'
import { decodeText, plainValue, splitValue } from './values.ts'

/** The parts of N and ADR, in the order in which vCards write them. */
export const NAME_PARTS = ['family', 'given', 'additional', 'prefix', 'suffix'] as const
export const ADDRESS_PARTS = ['pobox', 'extended', 'street', 'locality', 'region', 'postcode', 'country'] as const

export const LIST_FIELDS: ReadonlySet<string> = new Set(['EMAIL', 'TEL', 'URL', 'ADR'])

/** What a card says about itself, and what is no text: never a field. */
export const NO_FIELDS: ReadonlySet<string> = new Set([
  'BEGIN',
  'END',
  'VERSION',
  'PHOTO',
  'LOGO',
  'SOUND',
  'KEY',
  'AGENT',
  'X-ABLABEL',
  'X-ABADR',
])

const field = (name: string, type: string, label: string, writable = true): AppField => ({
  name,
  type,
  label,
  writable,
})

/** The fields that {@link cardFields} gives of every card. */
const STANDARD: readonly AppField[] = [
  field('UID', 'text', 'Unique id', false),
  field('FN', 'text', 'Formatted name'),
  field('N', 'name: family, given, additional, prefix, suffix', 'Name'),
  field('NICKNAME', 'text', 'Nickname'),
  field('ORG', 'list: organisation, then its units', 'Organisation'),
  field('TITLE', 'text', 'Job title'),
  field('ROLE', 'text', 'Role'),
  field('BDAY', 'date', 'Birthday'),
  field('NOTE', 'text', 'Note'),
  field('EMAIL', 'list of {value, label, pref}', 'E-mail'),
  field('TEL', 'list of {value, label, pref}', 'Phone'),
  field('ADR', 'list of {value: address, label, pref}', 'Address'),
  field('URL', 'list of {value, label, pref}', 'Web page'),
  field('CATEGORIES', 'list of text', 'Categories'),
]

const STANDARD_NAMES: ReadonlySet<string> = new Set(STANDARD.map(({ name }) => name))

/** Text properties that a card may have and a mapping may name. */
const OTHERS = [
  'ANNIVERSARY',
  'GENDER',
  'IMPP',
  'KIND',
  'LANG',
  'TZ',
  'GEO',
  'RELATED',
  'MAILER',
  'SORT-STRING',
  'CLASS',
]

/** The fields of every vCard; `X-*` stands for properties of one's own, each mapped by its full name. */
export const VCARD_FIELDS: readonly AppField[] = [
  ...STANDARD,
  ...OTHERS.map((name) => field(name, 'text', name)),
  field('PRODID', 'text', 'Written by', false),
  field('REV', 'text', 'Revision time', false),
  field('X-*', 'text', 'Any property of your own'),
]

/**
 * What a card says, in app fields: texts (null for a blank), lists (empty for a blank).
 *
 * - `FN` `NICKNAME` `TITLE` `ROLE` `NOTE` `UID`: text
 * - `N`: {family, given, additional, prefix, suffix}, each a text
 * - `ORG`: the organisation and its units; `CATEGORIES`: texts
 * - `BDAY`: `YYYY-MM-DD`, `--MM-DD`, or the text as it stands where it is neither
 * - `EMAIL` `TEL` `URL` `ADR`: list of {value, label, pref}; an address is {pobox, extended, street, locality, region,
 *   postcode, country}, each a text
 * - any other property: the text of its first occurrence
 *
 * @param wanted the fields to give, all of them, blank or not; by default those above and every other text property present
 */
export function cardFields(card: Card, wanted?: readonly string[]): JsonObject {
  const labels = groupLabels(card.lines)
  const names = wanted ?? [...STANDARD_NAMES, ...othersOf(card)]
  const fields: JsonObject = {}
  for (const name of names) fields[name] = readField(card, name.toUpperCase(), labels)
  return fields
}

function othersOf(card: Card): Set<string> {
  const names = card.lines.map(({ name }) => name)
  return new Set(names.filter((name) => name !== '' && !STANDARD_NAMES.has(name) && !NO_FIELDS.has(name)))
}

function readField(card: Card, name: string, labels: ReadonlyMap<string, ContentLine>): JsonObject[string] {
  const lines = card.lines.filter((line) => line.name === name)
  if (LIST_FIELDS.has(name)) {
    const elements = lines.map((line) => readElement(line, labels, card.version))
    return elements.filter((element) => !blankElement(element.value)) as unknown as JsonObject[]
  }
  if (name === 'CATEGORIES') return lines.flatMap((line) => readCategories(line, card.version))
  const [line] = lines
  if (name === 'ORG') return line ? readOrganisation(line, card.version) : []
  if (!line) return null
  if (name === 'N') {
    const parts = readParts(line, NAME_PARTS, card.version)
    return Object.values(parts).every((part) => part.trim() === '') ? null : parts
  }
  if (name === 'BDAY') return readBirthday(line, card.version)
  return readText(line, card.version) || null
}

/** One element of a list field as the card says it. */
export interface CardElement {
  readonly value: string | { readonly [part: string]: string }
  readonly label: string | null
  readonly pref: boolean
}

export function readElement(
  line: ContentLine,
  labels: ReadonlyMap<string, ContentLine>,
  version: Version,
): CardElement {
  const value = line.name === 'ADR' ? readParts(line, ADDRESS_PARTS, version) : readValue(line, version)
  return { value, label: labelOf(line, labels, version), pref: isPreferred(line) }
}

/** Whether an element's value says nothing: such a line is not read, and left alone. */
export function blankElement(value: CardElement['value']): boolean {
  return typeof value === 'string' ? value.trim() === '' : Object.values(value).every((part) => part.trim() === '')
}

/** vCard 4.0 may write numbers and addresses as URIs (`tel:+1-418-656-9254;ext=102`): the scheme is no part of them. */
function readValue(line: ContentLine, version: Version): string {
  const value = readText(line, version).trim()
  if (!paramValues(line, 'VALUE').includes('uri')) return value
  return line.name === 'URL' ? value : value.replace(/^(tel|mailto):/i, '')
}

export function readText(line: ContentLine, version: Version): string {
  return decodeText(plainValue(line), version)
}

export function readParts<Part extends string>(
  line: ContentLine,
  parts: readonly Part[],
  version: Version,
): { [part in Part]: string } {
  const pieces = splitValue(plainValue(line), ';')
  const entries = parts.map((part, index) => [part, decodeText(pieces[index] ?? '', version)])
  return Object.fromEntries(entries) as { [part in Part]: string }
}

export function readOrganisation(line: ContentLine, version: Version): string[] {
  return withoutTail(splitValue(plainValue(line), ';').map((unit) => decodeText(unit, version)))
}

/** Blank units at the end say nothing; one in the middle keeps its place. */
export function withoutTail(units: readonly string[]): string[] {
  return units.slice(0, units.findLastIndex((unit) => unit.trim() !== '') + 1)
}

export function readCategories(line: ContentLine, version: Version): string[] {
  const items = splitValue(plainValue(line), ',').map((item) => decodeText(item, version).trim())
  return items.filter((item) => item !== '')
}

export function readBirthday(line: ContentLine, version: Version): string | null {
  const text = readText(line, version)
  if (paramValues(line, 'VALUE').includes('text')) return text || null
  return readDate(text, omittedYear(line)) ?? (text || null)
}

export function omittedYear(line: ContentLine): string | null {
  return paramValues(line, 'X-APPLE-OMIT-YEAR')[0] ?? null
}
