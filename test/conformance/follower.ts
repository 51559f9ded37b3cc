import { isBlank, sameJson, type Json, type JsonObject } from '../../engine/core/json.ts'
import type { AppRecord, Connector, FeedPage, ReadAnswer, Sighting } from '../../engine/core/ports/connector.ts'

export interface Pass {
  readonly pages: readonly FeedPage[]
  readonly sightings: readonly Sighting[]
  /** The pass was an inventory that vouched for itself. */
  readonly complete: boolean
  readonly inventory: boolean
  /** Records seen for the first time, or otherwise than before. */
  readonly changed: readonly string[]
  readonly gone: readonly string[]
}

/**
 * The least an engine does with a connector: it follows the feed and keeps a copy of every record, by the rules of the
 * contract alone. When the copy and the app differ, the connector broke its word.
 */
export class Follower {
  readonly records = new Map<string, AppRecord>()
  readonly broken = new Map<string, string | null>()
  readonly merged = new Map<string, string>()
  cursor: Json | null = null
  readonly #connector: Connector

  constructor(connector: Connector) {
    this.#connector = connector
  }

  /** One pass. @param between called after every page that is not the last one seen */
  async follow(between?: (page: number) => Promise<void>): Promise<Pass> {
    const pages: FeedPage[] = []
    const changed = new Set<string>()
    const gone = new Set<string>()
    const seen = new Set<string>()
    let complete = false
    let inventory = false
    for await (const page of this.#connector.pull(this.cursor)) {
      if (complete) throw new Error('a page came after the one that said complete')
      pages.push(page)
      inventory ||= page.inventory !== undefined
      complete = page.inventory?.complete ?? false
      await this.#take(page.sightings, seen, changed, gone)
      // A cursor must survive a database: it is kept as text.
      if (page.cursor !== undefined) this.cursor = JSON.parse(JSON.stringify(page.cursor)) as Json
      await between?.(pages.length)
    }
    if (complete) {
      const missing = [...this.records.keys(), ...this.broken.keys()].filter((id) => !seen.has(id))
      for (const answer of await readAll(this.#connector, missing)) this.#answer(answer, changed, gone)
    }
    const sightings = pages.flatMap((page) => page.sightings)
    return { pages, sightings, complete, inventory, changed: [...changed], gone: [...gone] }
  }

  async #take(sightings: readonly Sighting[], seen: Set<string>, changed: Set<string>, gone: Set<string>) {
    const toRead: string[] = []
    for (const sighting of sightings) {
      if (sighting.kind === 'hint') {
        seen.add(sighting.id)
        if (this.#isNews(sighting.id, sighting.rev)) toRead.push(sighting.id)
      } else {
        if (sighting.kind === 'record' || sighting.kind === 'broken') seen.add(idOf(sighting))
        this.#answer(sighting, changed, gone)
      }
    }
    for (const answer of await readAll(this.#connector, toRead)) this.#answer(answer, changed, gone)
  }

  /** A record that was mended may have the very revision that it had before it broke. */
  #isNews(id: string, rev: string | null): boolean {
    const known = this.broken.has(id) ? this.broken.get(id) : this.records.get(id)?.rev
    return known === undefined || known === null || known !== rev
  }

  #answer(answer: ReadAnswer, changed: Set<string>, gone: Set<string>): void {
    const id = idOf(answer)
    if (answer.kind === 'record') {
      const known = this.records.get(id)
      const same =
        known && (known.rev === null ? sameJson(known.fields, answer.record.fields) : known.rev === answer.record.rev)
      if (!same || this.broken.has(id)) changed.add(id)
      this.broken.delete(id)
      this.records.set(id, answer.record)
      return
    }
    if (answer.kind === 'broken') {
      if (!this.broken.has(id)) changed.add(id)
      this.broken.set(id, answer.rev)
      return
    }
    if (answer.kind === 'merged') this.merged.set(id, answer.into)
    this.records.delete(id)
    this.broken.delete(id)
    gone.add(id)
  }
}

/** Reads any number of ids, in batches of the declared size. */
export async function readAll(connector: Connector, ids: readonly string[]): Promise<ReadAnswer[]> {
  const answers: ReadAnswer[] = []
  const batch_max = connector.capabilities.readBatch_max
  const wanted = [...new Set(ids)]
  for (let at = 0; at < wanted.length; at += batch_max) {
    answers.push(...(await connector.read(wanted.slice(at, at + batch_max))))
  }
  return answers
}

export async function readOne(connector: Connector, id: string): Promise<AppRecord> {
  const [answer] = await connector.read([id])
  if (answer?.kind !== 'record') throw new Error(`expected a record for ${id}, not ${answer?.kind}`)
  return answer.record
}

export function idOf(answer: Sighting | ReadAnswer): string {
  return answer.kind === 'record' ? answer.record.id : answer.id
}

/** The named fields of `fields`, blanks as null, so that two views of one record can be compared. */
export function only(names: readonly string[], fields: JsonObject): JsonObject {
  return Object.fromEntries(
    names.toSorted().map((name) => [name, isBlank(fields[name]) ? null : (fields[name] ?? null)]),
  )
}

/** What an outcome and a later reading must agree on. Times are left out: an app need not tell them in its answer to a write. */
export function essence(record: AppRecord | undefined): Pick<AppRecord, 'id' | 'rev' | 'fields'> | undefined {
  return record && { id: record.id, rev: record.rev, fields: record.fields }
}
