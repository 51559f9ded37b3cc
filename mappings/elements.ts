import type { Catalogue, CellKey, Element, FieldDef } from '../engine/core/catalogue.ts'
import type { Json } from '../engine/core/json.ts'
import type { OpenCells } from './binding.ts'

/** The element with its cell; undefined where its value has no normal form, which is as good as blank. */
export function keyed(
  catalogue: Catalogue,
  field: FieldDef,
  element: Element,
): { key: CellKey; element: Element } | undefined {
  const key = catalogue.elementCell(field, element)
  return key.length === field.name.length + 1 ? undefined : { key, element }
}

/** Adds an element to the cells being gathered. */
export function addElement(cells: OpenCells, { key, element }: { key: CellKey; element: Element }): void {
  // The first of two that mean the same speaks for both.
  if (!Object.hasOwn(cells, key)) cells[key] = element as unknown as Json
}
