import {
  fieldOf,
  isElement,
  type Catalogue,
  type CellKey,
  type Cells,
  type Element,
  type FieldDef,
} from '../engine/core/catalogue.ts'
import { isBlank, sameJson, type Json, type JsonObject } from '../engine/core/json.ts'
import { cut, type Transform } from './transforms.ts'
import { readPlace, type Draft, type Place } from './places.ts'

/** Cells being gathered. */
export type OpenCells = { [cell: CellKey]: Json }

/** One line of a mapping, made ready to run: the canonical fields it speaks of, and where the app keeps them. */
export interface Binding {
  readonly fields: readonly string[]
  readonly places: readonly Place[]
  /** Adds what the record says. */
  get(record: JsonObject, cells: OpenCells): void
  /** Writes what is wanted where the record says something else. */
  put(wanted: Wanted, draft: Draft): void
  readonly lossy?: string
}

/** What an app shall say: the cells, and the elements of each set by their keys. */
export class Wanted {
  readonly cells: Cells
  readonly #sets = new Map<string, Map<CellKey, Element>>()

  constructor(cells: Cells) {
    this.cells = cells
    for (const cell of Object.keys(cells)) {
      const value = cells[cell]
      const field = fieldOf(cell)
      if (field.length === cell.length || field.length + 1 === cell.length || !isElement(value)) continue
      const elements = this.#sets.get(field)
      if (elements) elements.set(cell, value)
      else this.#sets.set(field, new Map([[cell, value]]))
    }
  }

  elements(field: string): ReadonlyMap<CellKey, Element> {
    return this.#sets.get(field) ?? NONE
  }
}

const NONE: ReadonlyMap<CellKey, Element> = new Map()

/** One app field, or a part of one, for one canonical field. */
export function scalarBinding(
  catalogue: Catalogue,
  field: FieldDef,
  place: Place,
  transform: Transform,
  lengthMax: number | undefined,
): Binding {
  const { name } = field
  const read = (raw: Json | undefined): Json | undefined =>
    raw === undefined || isBlank(raw) ? undefined : transform.get(raw)
  const lossy =
    transform.lossy ?? (lengthMax === undefined ? undefined : `the app keeps at most ${lengthMax} characters`)
  return {
    fields: [name],
    places: [place],
    ...(lossy === undefined ? {} : { lossy }),
    get(record, cells) {
      const value = read(readPlace(record, place))
      if (value !== undefined && !isBlank(value)) cells[name] = value
    },
    put({ cells }, draft) {
      const current = draft.read(place)
      const value = cells[name]
      const wanted = catalogue.normal(field, value)
      // The app's own spelling stays where it says the same.
      if (wanted === catalogue.normal(field, read(current))) return
      if (value === undefined || wanted === '') return draft.write(place, null)
      const put = transform.put(value, current)
      if (put === undefined) return
      const fits = lengthMax !== undefined && typeof put === 'string' ? cut(put, lengthMax) : put
      if (!sameJson(fits, current)) draft.write(place, fits)
    },
  }
}
