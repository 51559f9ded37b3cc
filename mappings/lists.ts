import { elementsOf, type Catalogue, type CellKey, type Element, type FieldDef } from '../engine/core/catalogue.ts'
import { isBlank, type Json, type JsonObject } from '../engine/core/json.ts'
import type { Binding } from './binding.ts'
import { addElement, keyed } from './elements.ts'
import { readPlace, type Place } from './places.ts'
import type { Transform } from './transforms.ts'

/** How an app field that holds a whole set is taken apart and put together. */
export interface ListFormat {
  items(raw: Json): Json[]
  /** Undefined for an item that is blank or cannot be read: it stays where it is. */
  element(item: Json): Element | undefined
  /** The item with the attributes that the element speaks of; the item itself where it has them already. */
  patch(item: Json, element: Element): Json
  /** A new item; undefined where the app has no way to say the element. */
  make(element: Element): Json | undefined
  /** @param before what the app field held */
  join(items: Json[], before: Json | undefined): Json
  readonly lossy?: string
}

/** A list of `{ value, label, pref }`. What else an item holds is left alone; a bare text is read as a value. */
export const elements: ListFormat = {
  items: itemsOf,
  element(item) {
    if (typeof item === 'string' || typeof item === 'number') return { value: item }
    if (!isObject(item) || isBlank(item['value'])) return undefined
    const { label, pref } = item
    return {
      value: item['value'] ?? null,
      ...(label === undefined ? {} : { label: typeof label === 'string' && label.trim() !== '' ? label : null }),
      ...(typeof pref === 'boolean' ? { pref } : {}),
    }
  },
  patch(item, { label, pref }) {
    const before = elements.element(item)
    const changes: JsonObject = {}
    if (label !== undefined && (label ?? null) !== (before?.label ?? null)) changes['label'] = label
    if (pref !== undefined && pref !== (before?.pref ?? false)) changes['pref'] = pref
    if (Object.keys(changes).length === 0) return item
    return isObject(item) ? { ...item, ...changes } : { value: item, ...changes }
  },
  make: ({ value, label, pref }) => ({
    value,
    ...(label === undefined ? {} : { label }),
    ...(pref === undefined ? {} : { pref }),
  }),
  join: (items) => items,
}

function itemsOf(raw: Json): Json[] {
  return Array.isArray(raw) ? raw : [raw]
}

function isObject(item: Json): item is JsonObject {
  return typeof item === 'object' && item !== null && !Array.isArray(item)
}

/** A list of bare values. */
export const list: ListFormat = {
  items: itemsOf,
  element: (item) => (typeof item === 'string' || typeof item === 'number' ? { value: item } : undefined),
  patch: (item) => item,
  make: ({ value }) => (typeof value === 'object' ? undefined : value),
  join: (items) => items,
}

/** One text, its elements parted by any of the separators; the one it uses already is used on, else the first. */
export function split(separators: readonly string[]): ListFormat {
  const has = (text: string, separator: string): boolean => text.includes(separator.trim() || separator)
  return {
    items(raw) {
      let chunks = [typeof raw === 'string' ? raw : String(raw)]
      for (const separator of separators) chunks = chunks.flatMap((chunk) => chunk.split(separator.trim() || separator))
      return chunks.map((chunk) => chunk.trim()).filter(Boolean)
    },
    element: (item) => ({ value: item }),
    patch: (item) => item,
    make({ value }) {
      const text = typeof value === 'object' ? '' : String(value).trim()
      return text === '' || separators.some((separator) => has(text, separator)) ? undefined : text
    },
    join(items, before) {
      const used = separators.find((separator) => typeof before === 'string' && has(before, separator))
      return items.join(used ?? separators[0])
    },
    lossy: 'a value that holds the separator itself is left out',
  }
}

/** Elements by the key that they have after a trip through the app: a value that the app changes is found again by it. */
function byCarriedKey(
  wanted: ReadonlyMap<CellKey, Element>,
  carry: ((element: Element) => CellKey | undefined) | undefined,
): ReadonlyMap<CellKey, Element> {
  if (!carry) return wanted
  const carried = new Map<CellKey, Element>()
  for (const key of [...wanted.keys()].sort()) {
    const element = wanted.get(key)
    const found = element && carry(element)
    if (found !== undefined && !carried.has(found)) carried.set(found, element as Element)
  }
  return carried
}

/** One app field that holds the whole set. */
export function listBinding(
  catalogue: Catalogue,
  field: FieldDef,
  place: Place,
  format: ListFormat,
  each: Transform | undefined,
): Binding {
  const elementAt = (item: Json): { key: CellKey; element: Element } | undefined => {
    const element = format.element(item)
    const value = element && (each ? each.get(element.value) : element.value)
    return element && value !== undefined ? keyed(catalogue, field, { ...element, value }) : undefined
  }
  const make = (element: Element): Json | undefined => {
    const value = each ? each.put(element.value, undefined) : element.value
    return value === undefined ? undefined : format.make({ ...element, value })
  }
  const carry = (element: Element): CellKey | undefined => {
    const item = make(element)
    return item === undefined ? undefined : elementAt(item)?.key
  }
  const lossy = each?.lossy ?? format.lossy
  return {
    fields: [field.name],
    places: [place],
    ...(lossy === undefined ? {} : { lossy }),
    get(record, cells) {
      const raw = readPlace(record, place)
      if (raw === undefined || isBlank(raw)) return
      for (const item of format.items(raw)) {
        const found = elementAt(item)
        if (found) addElement(cells, found)
      }
    },
    put(wanted, draft) {
      const raw = draft.read(place)
      const left = byCarriedKey(wanted.elements(field.name), each && carry)
      const kept: Json[] = []
      const seen = new Set<CellKey>()
      let changed = false
      for (const item of raw === undefined || isBlank(raw) ? [] : format.items(raw)) {
        const key = elementAt(item)?.key
        const element = key === undefined ? undefined : left.get(key)
        if (key !== undefined && !element) {
          changed = true
          continue
        }
        // The second of two that mean the same is the app's own affair.
        const next = key === undefined || !element || seen.has(key) ? item : format.patch(item, element)
        changed ||= next !== item
        if (key !== undefined) seen.add(key)
        kept.push(next)
      }
      if (seen.size < left.size) {
        const order = new Set(elementsOf(field.name, wanted.cells))
        const keys = new Map([...left].map(([key, element]) => [element, key]))
        for (const element of order) {
          const key = keys.get(element)
          const item = key === undefined || seen.has(key) ? undefined : make(element)
          if (item === undefined) continue
          kept.push(item)
          changed = true
        }
      }
      if (changed) draft.write(place, kept.length === 0 ? null : format.join(kept, raw))
    },
  }
}
