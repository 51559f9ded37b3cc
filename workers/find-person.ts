import { fieldOf, isElement } from '../engine/core/catalogue.ts'
import { nameOf, valuesOf, type Person } from '../engine/core/person.ts'
import type { Store } from '../engine/core/ports/store.ts'

/** How many people are looked at, and named where the query fits several. */
const FOUND_MAX = 10

/**
 * Who is meant by an address, a number, a name or an id: nobody, one person, or several of whom it may be any. One who was
 * merged into another is that other.
 */
export async function peopleMeant(store: Store, query: string): Promise<Person[]> {
  const found = await store.searchPeople(query, FOUND_MAX)
  const exact = found.filter((person) => isExactly(person, query))
  const [only, ...others] = exact.length > 0 ? exact : found
  if (!only) return []
  if (others.length > 0) return [only, ...others]
  if (only.state !== 'merged' || only.mergedInto === undefined) return [only]
  return [(await store.loadPeople([only.mergedInto])).people[0] ?? only]
}

function isExactly(person: Person, query: string): boolean {
  const wanted = normal(query)
  const values = valuesOf(person)
  if (person.id === query || normal(nameOf(values, '')) === wanted) return true
  return Object.entries(values).some(([cell, value]) => {
    const field = fieldOf(cell)
    if (field !== 'emails' && field !== 'phones') return false
    return (
      normal(cell.slice(field.length + 1)) === wanted || (isElement(value) && normal(String(value.value)) === wanted)
    )
  })
}

function normal(text: string): string {
  return text.normalize('NFC').replace(/\s+/g, ' ').trim().toLowerCase()
}
