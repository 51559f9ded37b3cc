import type { Address, FieldDef } from '../engine/core/catalogue.ts'
import { CONSENT_FIELDS, fieldOf, isElement, PERSON_FIELDS } from '../engine/core/catalogue.ts'
import { isBlank, type Json, type JsonObject } from '../engine/core/json.ts'
import type { Rule } from '../engine/core/person.ts'
import type { Stamp } from '../engine/core/stamp.ts'
import { because, plain } from '../workers/words.ts'
import { clock } from './output.ts'

export { nameFromCells, personName, plain, reasonInFull } from '../workers/words.ts'

/** Values, reasons and names as people read them. */

const TEXT_MAX = 70

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

/** Which connection, which rule and when: `the later edit, in phone, 2026-11-22 00:53`. */
export function reason(stamp: Stamp, rule: Rule): string {
  return `${because(stamp, rule)}${stamp.at > 0 ? `, ${clock(stamp.at)}` : ''}`
}
