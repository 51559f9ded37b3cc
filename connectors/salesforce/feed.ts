import { createHash } from 'node:crypto'
import { z } from 'zod'
import type { FeedPage, ReadAnswer, Sighting } from '../../engine/core/ports/connector.ts'
import type { Composite } from './client.ts'
import { isQuiet, Window, type Cursor, type ObjectState, type SeenRow } from './cursor.ts'
import { answerFrom, idIn, type ReadParts } from './read.ts'
import { count, moment, queryPath, select } from './soql.ts'
import { QueryAnswer, Row, type SObject, type Subrequest } from './wire.ts'

/**
 * Reads an org's changes: the rows modified since, deleted ones too, and how many there are; of all objects in one request.
 * Rows come whole.
 */
export class Feed {
  readonly #parts: ReadParts
  readonly #now: () => number
  readonly #signal: AbortSignal | undefined

  constructor(parts: ReadParts, now: () => number, signal: AbortSignal | undefined) {
    this.#parts = parts
    this.#now = now
    this.#signal = signal
  }

  async *pages(cursor: Cursor | null): AsyncGenerator<FeedPage> {
    const { schema } = this.#parts
    const queries = schema.objects.map((object) =>
      cursor ? this.#changes(object, cursor.objects[object] as ObjectState, 'DESC') : this.#everything(object),
    )
    const counts = cursor ? schema.objects.map((object) => this.#count(object)) : []
    const first = await this.#parts.client.composite([...queries, ...counts], false, this.#signal)
    yield* cursor ? this.#since(cursor, first) : this.#inventory(first)
  }

  async *#since(cursor: Cursor, first: Composite): AsyncGenerator<FeedPage> {
    const { client, schema } = this.#parts
    const now_ms = this.#now()
    let next = cursor
    let told: Sighting[] = []
    for (const object of schema.objects) {
      const before = cursor.objects[object] as ObjectState
      const window = new Window(before, first.serverNow_ms)
      let page = client.partOf(first, `rows${object}`, QueryAnswer)
      // The latest come first: more than a page of them are asked for anew in the order of their times, unless nothing has changed.
      if (!page.done) {
        const latest = page.records.map((record) => this.#seen(object, record).row)
        if (isQuiet(before, latest, page.totalSize, first.serverNow_ms)) continue
        const again = await client.composite([this.#changes(object, before, 'ASC')], false, this.#signal)
        page = client.partOf(again, `rows${object}`, QueryAnswer)
      }
      told.push(...this.#take(object, page.records, window))
      while (!page.done && page.nextRecordsUrl !== undefined) {
        yield {
          sightings: mergesLast(told),
          cursor: { ...next, objects: { ...next.objects, [object]: window.midway() } },
        }
        page = await client.more(page.nextRecordsUrl, this.#signal)
        told = this.#take(object, page.records, window)
      }
      const { state, owes } = window.end(this.#counted(first, object), now_ms)
      next = { ...next, objects: { ...next.objects, [object]: state }, owed: next.owed || owes }
    }
    yield { sightings: mergesLast(told), cursor: next }
  }

  /** Everything there is. What changes while we list is heard afterwards: the place to go on from lies before the first row. */
  async *#inventory(first: Composite): AsyncGenerator<FeedPage> {
    const { client, schema } = this.#parts
    const states: { [name in SObject]?: ObjectState } = {}
    let told: Sighting[] = []
    let listed = 0
    let total = 0
    for (const object of schema.objects) {
      const window = new Window(null, first.serverNow_ms)
      let page = client.partOf(first, `rows${object}`, QueryAnswer)
      let rows = page.records.length
      total += page.totalSize
      told.push(...this.#take(object, page.records, window))
      while (!page.done && page.nextRecordsUrl !== undefined) {
        yield { sightings: told, inventory: { complete: false } }
        page = await client.more(page.nextRecordsUrl, this.#signal)
        rows += page.records.length
        told = this.#take(object, page.records, window)
      }
      listed += rows
      states[object] = window.end(rows, this.#now()).state
    }
    // Rows that were deleted under way are not handed out. Then absence proves nothing, and all is listed again.
    const complete = listed >= total
    const cursor: Cursor = { v: 1, objects: states, owed: !complete, listed_ms: this.#now(), listed }
    yield { sightings: told, cursor, inventory: { complete } }
  }

  /** The sightings of what was not seen before at this very state. */
  #take(object: SObject, records: readonly unknown[], window: Window): Sighting[] {
    return records.flatMap((record) => {
      const { answer, row } = this.#seen(object, record)
      return window.see(row) ? [answer] : []
    })
  }

  #seen(object: SObject, record: unknown): { answer: ReadAnswer; row: SeenRow } {
    const answer = answerFrom(this.#parts, object, record)
    const times = Times.parse(record)
    const row = {
      id: idIn(answer),
      at_ms: times.SystemModstamp,
      created_ms: times.CreatedDate,
      lives: answer.kind === 'record' || answer.kind === 'broken',
      hash: hashOf(record, answer),
    }
    return { answer, row }
  }

  #changes(object: SObject, { from_ms }: ObjectState, order: 'ASC' | 'DESC'): Subrequest {
    const { schema, fields } = this.#parts
    const columns = schema.columnsFor(object, fields)
    const soql = select(columns, object, `SystemModstamp >= ${moment(from_ms)}`, `SystemModstamp ${order}, Id ${order}`)
    return { method: 'GET', path: queryPath(soql, true), referenceId: `rows${object}` }
  }

  #everything(object: SObject): Subrequest {
    const { schema, fields } = this.#parts
    const soql = select(schema.columnsFor(object, fields), object, this.#living(object), 'Id')
    return { method: 'GET', path: queryPath(soql, false), referenceId: `rows${object}` }
  }

  #count(object: SObject): Subrequest {
    const path = queryPath(count(object, this.#living(object)), false)
    return { method: 'GET', path, referenceId: `count${object}` }
  }

  /** null where Salesforce did not count: too many rows for its time limit, for one. */
  #counted(composite: Composite, object: SObject): number | null {
    const part = composite.parts.get(`count${object}`)
    const parsed = part?.status === 200 ? QueryAnswer.safeParse(part.body) : undefined
    return parsed?.success === true ? parsed.data.totalSize : null
  }

  #living(object: SObject): string {
    const isContactToo = this.#parts.schema.objects.includes('Contact')
    return object === 'Lead' && isContactToo ? 'IsDeleted = false AND IsConverted = false' : 'IsDeleted = false'
  }
}

/** What a record went into is told before that it did. */
function mergesLast(sightings: readonly Sighting[]): Sighting[] {
  return sightings.toSorted((a, b) => Number(a.kind === 'merged') - Number(b.kind === 'merged'))
}

/** The times of a row; null for one that cannot be read. */
const Times = z.object({
  SystemModstamp: Row.shape.SystemModstamp.nullable().catch(null),
  CreatedDate: Row.shape.CreatedDate.nullable().catch(null),
})

/** Short: a cursor holds many of them. */
function hashOf(record: unknown, answer: ReadAnswer): string {
  if (answer.kind === 'record') return answer.record.rev ?? ''
  return createHash('sha256').update(JSON.stringify(record)).digest('base64url').slice(0, 16)
}
