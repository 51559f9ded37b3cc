import type { Address, FieldDef } from '../engine/core/catalogue.ts'
import { CONSENT_FIELDS, fieldOf, isElement, PERSON_FIELDS } from '../engine/core/catalogue.ts'
import { isBlank, type Json, type JsonObject } from '../engine/core/json.ts'
import { nameOf, valuesOf, type Person, type Rule } from '../engine/core/person.ts'
import type { Cells } from '../engine/core/catalogue.ts'
import type { Stamp } from '../engine/core/stamp.ts'
import { clock } from './output.ts'

/** Values, reasons and names as people read them. */

const TEXT_MAX = 70

/** One line, and nothing that a terminal would obey. */
export function plain(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is taken out
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]+/g, ' ').trim()
}

/** A cell's value: `ada@example.org (work)`, `12 High Street, London`, `(blank)`. */
export function showValue(value: Json | undefined): string {
  if (value === undefined || isBlank(value)) return '(blank)'
  if (!isElement(value)) return shorten(plain(textOf(value)))
  const notes = [value.label ?? '', value.pref === true ? 'preferred' : ''].filter(Boolean)
  const text = shorten(plain(textOf(value.value)))
  return notes.length > 0 ? `${text} (${plain(notes.join(', '))})` : text
}

function textOf(value: Json): string {
  if (typeof value === 'string') return value
  if (typeof value !== 'object' || value === null) return String(value)
  if (Array.isArray(value)) return value.map(textOf).join(', ')
  const { into, connection, record } = value as JsonObject
  if (typeof into === 'string') return `merged into ${into}`
  if (typeof record === 'string') return `${String(connection)} ${record}`
  const { pobox, extended, street, locality, region, postcode, country } = value as JsonObject & Address
  const parts = [pobox, extended, street, locality, region, postcode, country].filter((part) => part !== undefined)
  return parts.length > 0 ? parts.join(', ') : JSON.stringify(value)
}

function shorten(text: string): string {
  if (text.length <= TEXT_MAX) return text
  const letters = Array.from(new Intl.Segmenter().segment(text), ({ segment }) => segment)
  return letters.length > TEXT_MAX ? `${letters.slice(0, TEXT_MAX - 1).join('')}…` : text
}

/** What a field is called, by the title that the catalogue (or the config) gives it. */
export function titles(fields: Iterable<FieldDef>): (cell: string) => string {
  const known = new Map([...fields, ...CONSENT_FIELDS, ...PERSON_FIELDS].map((field) => [field.name, field.title]))
  return (cell) => known.get(fieldOf(cell)) ?? fieldOf(cell)
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

/** Which connection, which rule and when: `the later edit, in phone, 2026-11-22 00:53`. */
export function reason(stamp: Stamp, rule: Rule): string {
  return `${because(stamp, rule)}${stamp.at > 0 ? `, ${clock(stamp.at)}` : ''}`
}

/** The same for scripts, with the time in full. */
export function reasonInFull(stamp: Stamp, rule: Rule): string {
  return `${because(stamp, rule)}${stamp.at > 0 ? `, ${new Date(stamp.at).toISOString()}` : ''} (rule: ${rule})`
}

function because({ at, by }: Stamp, rule: Rule): string {
  return at === 0 ? "follows from the person's other fields" : REASONS[rule](by)
}

export function nameFromCells(cells: Cells, id: string): string {
  return plain(nameOf(cells, id))
}

export function personName(person: Person | undefined, id: string): string {
  return person ? nameFromCells(valuesOf(person), id) : id
}
