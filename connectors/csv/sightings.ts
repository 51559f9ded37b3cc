import type { FeedPage, ReadAnswer, Sighting } from '../../engine/core/ports/connector.ts'
import type { Cursor } from './cursor.ts'
import { PROVISIONAL, type Identified } from './identity.ts'
import { troubleOf } from './rewrite.ts'
import { cellsOfRows, recordOf, type Sheet } from './sheet.ts'

const PAGE_ROWS = 500

/** A whole sheet as pages of sightings; the last one carries the cursor. */
export function* inventory(
  sheet: Sheet,
  identified: Identified,
  cursor: Cursor,
  signal: AbortSignal | undefined,
): Generator<FeedPage> {
  const merged: Sighting[] = identified.merged.map((pair) => ({ kind: 'merged', ...pair }))
  const told = new Set<string>()
  for (let from = 0; from === 0 || from < sheet.rows.length; from += PAGE_ROWS) {
    signal?.throwIfAborted()
    const to = Math.min(from + PAGE_ROWS, sheet.rows.length)
    const sightings: Sighting[] = from === 0 ? [...merged] : []
    cellsOfRows(sheet, from, to).forEach((cells, offset) => {
      const row = sheet.rows[from + offset]
      // Two rows with one key are one sighting: broken.
      if (!row || (row.trouble === 'doubled' && told.has(row.id))) return
      if (row.trouble === 'doubled') told.add(row.id)
      sightings.push(sightingOf(sheet, from + offset, cells))
    })
    const complete = to === sheet.rows.length
    yield { sightings, inventory: { complete }, ...(complete ? { cursor } : {}) }
  }
}

type RowAnswer = Extract<Sighting, { kind: 'record' | 'broken' }>

/** What a row is, as a sighting and as an answer to a read. */
export function sightingOf(sheet: Sheet, index: number, cells: readonly string[]): RowAnswer {
  const row = sheet.rows[index]
  if (!row) throw new RangeError(`no row ${index}`)
  if (row.trouble !== undefined) return { kind: 'broken', id: row.id, rev: row.rev, failure: troubleOf(sheet, row) }
  return { kind: 'record', record: recordOf(sheet, row, cells) }
}

/** What to say of an id that no row has: `gone` only where no row can be it (I5). */
export function absent(id: string, into: string | undefined, unsure: boolean): ReadAnswer {
  if (into !== undefined) return { kind: 'merged', id, into }
  if (!unsure || !id.startsWith(PROVISIONAL)) return { kind: 'gone', id }
  return {
    kind: 'broken',
    id,
    rev: null,
    failure: {
      kind: 'transient',
      message: `row ${id} has no key in the file yet: whether it was edited or deleted shows at the next pull`,
    },
  }
}
