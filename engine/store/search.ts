import { fieldOf, isElement } from '../core/catalogue.ts'
import type { Json } from '../core/json.ts'
import { nameOf, valuesOf, type Person } from '../core/person.ts'

/** Single-valued fields that a person is looked for by; beside them go the elements of emails and phones, and the id. */
const FIELDS = new Set([
  'name.given',
  'name.middle',
  'name.family',
  'name.display',
  'nickname',
  'organisation',
  'externalId',
])
const SETS = new Set(['emails', 'phones'])

/**
 * What a person can be searched by: one item a line, a line end before the first and after the last, so that "is", "starts
 * with" and "contains" are all a search for a piece of this text.
 */
export function searchText(person: Person): string {
  const items = new Set([item(person.id)])
  const values = valuesOf(person)
  items.add(item(nameOf(values, '')))
  for (const [cell, value] of Object.entries(values)) {
    const field = fieldOf(cell)
    if (FIELDS.has(field)) items.add(item(text(value)))
    else if (SETS.has(field)) {
      items.add(item(cell.slice(field.length + 1)))
      items.add(item(isElement(value) ? text(value.value) : ''))
    }
  }
  items.delete('')
  return `\n${[...items].join('\n')}\n`
}

/** What is asked for, in the form of the items; empty when everybody is. */
export function searchQuery(query: string): string {
  return item(query)
}

function item(raw: string): string {
  return raw.normalize('NFC').replace(/\s+/g, ' ').trim().toLowerCase()
}

function text(value: Json): string {
  return typeof value === 'string' ? value : ''
}
