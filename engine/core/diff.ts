import { fieldOf, type Catalogue, type CellKey, type Cells } from './catalogue.ts'
import { sameJson, type Json, type JsonObject } from './json.ts'
import type { Heard } from './merge.ts'
import type { AppRecord } from './ports/connector.ts'
import type { Lens } from './ports/lens.ts'
import type { Link } from './ports/store.ts'
import type { Door } from './standard.ts'
import { stampOf } from './stamp.ts'

/** The stamp time of the value behind a cell of a shadow; undefined where there was none. */
export function baseOf(base_ms: Link['base_ms'], cell: CellKey): number | undefined {
  return base_ms[cell] ?? base_ms['*']
}

/** The mapped part of a record: all of it that is ever stored. A field that the record lacks is blank in it. */
export function mapped(lens: Lens, fields: JsonObject): JsonObject {
  const kept: { [field: string]: Json } = {}
  for (const field of lens.appFields) kept[field] = fields[field] ?? null
  return kept
}

/** Whether two readings of a record say the same in every mapped field. */
export function sameFields(lens: Lens, a: JsonObject, b: JsonObject): boolean {
  return lens.appFields.every((field) => sameJson(a[field] ?? null, b[field] ?? null))
}

/** What a record says that is new, and what it says that may not count. */
export interface Diff {
  readonly heard: readonly Heard[]
  /** Values that went blank where a blank says nothing. */
  readonly blanks: readonly Heard[]
}

/**
 * What differs between a record and its shadow, cell by cell, both read through today's lens: a change is never what differs
 * between two apps. Without a shadow (a record heard for the first time) all that it says is new, and its blanks say nothing.
 *
 * @param door the data standard, where there is one: what is repaired there counts as repaired, in the record and in the shadow, so
 *   that a new standard never looks like a user's edit
 */
export function diffRecord(
  lens: Lens,
  catalogue: Catalogue,
  link: Pick<Link, 'connection' | 'fields' | 'base_ms'> | null,
  record: Pick<AppRecord, 'fields' | 'modified_ms' | 'fieldTimes_ms'>,
  connection: string,
  now_ms: number,
  door?: Door,
): Diff {
  const read = (fields: JsonObject): Cells => {
    const cells = lens.get(fields)
    return door ? door.repaired(cells, catalogue).cells : cells
  }
  const now = read(record.fields)
  const before = link ? read(link.fields) : {}
  const heard: Heard[] = []
  const blanks: Heard[] = []
  const said = new Set(Object.keys(now).map(fieldOf))
  const vendor_ms = vendorTimes(lens, link?.fields ?? null, record)

  for (const cell of new Set([...Object.keys(now), ...Object.keys(before)])) {
    const field = fieldOf(cell)
    const known = link !== null && lens.knows(field, link.fields)
    const value = now[cell] ?? null
    const base = known ? (before[cell] ?? null) : undefined
    if (base === undefined ? value === null : catalogue.equal(cell, value, base)) continue
    const base_ms = base === undefined ? undefined : baseOf(link?.base_ms ?? {}, cell)
    const item = { cell, value, base, stamp: stampOf(connection, now_ms, vendor_ms(field), base_ms) }
    const blank = value === null && !said.has(field) && lens.fields.get(field)?.blank !== 'erase'
    ;(blank ? blanks : heard).push(item)
  }
  return { heard, blanks }
}

/** The app's own time for a field's change: of the app fields behind it that changed, else of the record. */
function vendorTimes(
  lens: Lens,
  shadow: JsonObject | null,
  record: Pick<AppRecord, 'fields' | 'modified_ms' | 'fieldTimes_ms'>,
): (field: string) => number | undefined {
  const times = record.fieldTimes_ms
  if (!times) return () => record.modified_ms
  const sources = lens.sources
  return (field) => {
    const changed = (sources.get(field) ?? []).filter(
      (name) => shadow === null || !sameJson(shadow[name] ?? null, record.fields[name] ?? null),
    )
    const known = changed.map((name) => times[name]).filter((time) => time !== undefined)
    return known.length > 0 ? Math.max(...known) : record.modified_ms
  }
}
