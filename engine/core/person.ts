import { fieldOf, isElement, type CellKey, type Cells } from './catalogue.ts'
import type { Json } from './json.ts'
import type { Stamp } from './stamp.ts'

/** One cell of a person: its present value, when and where that came to be, and by which rule it stands. */
export interface Cell {
  /** null: blank, or (in a set) an element that was taken away; kept for its stamp. */
  readonly value: Json
  readonly stamp: Stamp
  /** Which rule let the value in, for `kith why`. */
  readonly rule: Rule
  /** The value before this one and how often the cell went back and forth between the two: for the oscillation brake. */
  readonly flips?: { readonly before: Json; readonly count: number; readonly since_ms: number }
}

/** Why a value stands. */
export type Rule = 'first' | 'edit' | 'latest' | 'prefer' | 'owner' | 'fill' | 'same' | 'act' | 'consent' | 'standard'

/** Our golden record of one human being. */
export interface Person {
  readonly id: string
  /** Raised by one at each write: the compare-and-set key. 0 for a person not yet stored. */
  readonly version: number
  readonly cells: { readonly [cell: CellKey]: Cell }
  /**
   * `deleted` and `archived` people are taken out of the apps that still hold them; `merged` ones live on in another. All
   * are kept for their history, and none is created anywhere again. `erased` ones have asked to be forgotten: whatever is heard or
   * decided, they stay so, until every app has answered and nothing is left of them here either.
   */
  readonly state: 'live' | 'deleted' | 'archived' | 'merged' | 'erased'
  readonly mergedInto?: string
}

/** A person's present values, blanks left out: what a lens puts into an app. */
export function valuesOf(person: Person): Cells {
  const values: { [cell: CellKey]: Json } = {}
  for (const [cell, { value }] of Object.entries(person.cells)) if (value !== null) values[cell] = value
  return values
}

/** What to call a person on a screen: the display name, the parts, an address, or the id. */
export function nameOf(cells: Cells, fallback: string): string {
  const text = (cell: CellKey): string => (typeof cells[cell] === 'string' ? cells[cell] : '')
  const parts = ['name.given', 'name.middle', 'name.family'].map(text).filter(Boolean).join(' ')
  const email = Object.keys(cells).find((cell) => fieldOf(cell) === 'emails' && isElement(cells[cell]))
  return text('name.display') || parts || text('organisation') || email?.slice('emails:'.length) || fallback
}
