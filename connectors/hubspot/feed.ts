import { z } from 'zod'
import { FailureError } from '../../engine/core/failure.ts'
import type { FeedPage, ReadAnswer, Sighting } from '../../engine/core/ports/connector.ts'
import type { HubSpotClient } from './client.ts'
import { MERGED, mergedIds, revOf } from './fields.ts'
import { ListFeed, ListStates } from './list-feed.ts'
import { revWith, type Memberships } from './list-fields.ts'
import type { Lists } from './lists.ts'
import type { Reader } from './read.ts'
import { Head, LIMITS } from './wire.ts'

const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS
/** How long a change may take to show in the search: the vendor says "a few moments". */
export const OVERLAP_MS = 3 * MINUTE_MS
/** Archived contacts are looked through at least so often, whatever the count of contacts says. */
const SWEEP_MAX_MS = 15 * MINUTE_MS
/** A count that stays wrong for so long is not the search index lagging. */
const DOUBT_MAX_MS = 5 * MINUTE_MS
/** What a listing that is owed may cost: one request in so many milliseconds, over time. */
const LISTING_MS_PER_REQUEST = 100_000
/** Where lists are read, all contacts are listed at least so often: whatever was missed of who joined or left is found then. */
const LISTS_MAX_MS = DAY_MS
/** Archived contacts vanish after 90 days: a cursor from before could not tell what was deleted. */
const CURSOR_MAX_MS = 80 * DAY_MS
/** A cursor names so many of the records it lately saw; beyond, they are announced twice. */
const TAIL_MAX = 1000

const moments = z.record(z.string(), z.number())
const Cursor = z.strictObject({
  v: z.literal(1),
  /** Everything changed before was seen. */
  from_ms: z.number(),
  /** What was seen since `from_ms`, with its revision: the overlap shows it again. */
  tail: moments,
  /** Up to where archived contacts were looked through, and those told within the overlap before. */
  swept_ms: z.number(),
  gone: moments,
  /** How many contacts there should be; null where that is not known. */
  expected: z.number().nullable(),
  /** Since when there are more or fewer. */
  doubt_ms: z.number().nullable(),
  /** Whether all contacts have to be listed, when their turn comes. */
  owed: z.boolean(),
  listed_ms: z.number(),
  listed: z.number(),
  /** How the lists stood; null where they are not read. */
  lists: ListStates.nullable().default(null),
})
type Cursor = z.infer<typeof Cursor>

/** The cursor, if it is one of ours; anything else counts as none. */
export function cursorFrom(json: unknown): Cursor | null {
  const parsed = Cursor.safeParse(json)
  return parsed.success ? parsed.data : null
}

/** A contact as search and listing show it. */
const Seen = Head.extend({ properties: z.record(z.string(), z.string().nullable()).optional().catch(undefined) })
type Seen = z.infer<typeof Seen>

interface SearchHits {
  readonly seen: readonly Seen[]
  readonly broken: readonly Sighting[]
  readonly size: number
  readonly total: number
  readonly serverNow_ms: number
}

/**
 * Reads an account's changes: by a search for what was modified lately, which also counts the contacts; and where the count
 * does not add up, by a look through the archived ones. Times are HubSpot's own throughout.
 */
export class Feed {
  readonly #client: HubSpotClient
  readonly #reader: Reader
  readonly #lists: Lists
  readonly #listFeed: ListFeed
  readonly #signal: AbortSignal | undefined

  constructor(client: HubSpotClient, reader: Reader, lists: Lists, signal: AbortSignal | undefined) {
    this.#client = client
    this.#reader = reader
    this.#lists = lists
    this.#listFeed = new ListFeed(lists, reader, signal)
    this.#signal = signal
  }

  async *pages(cursor: Cursor | null): AsyncGenerator<FeedPage> {
    if (this.#lists.isOn) await this.#lists.list(this.#signal)
    if (!cursor || (this.#lists.isOn && !this.#listFeed.fits(cursor.lists))) return yield* this.#inventory()
    const newest = await this.#search([], '-lastmodifieddate')
    const now_ms = newest.serverNow_ms
    const requests = Math.ceil(cursor.listed / LIMITS.list_max) * (this.#lists.isOn ? 2 : 1)
    const turn_ms = Math.max(SWEEP_MAX_MS, requests * LISTING_MS_PER_REQUEST)
    const isTurn = cursor.owed && now_ms - cursor.listed_ms >= turn_ms
    if (isTurn || now_ms - cursor.from_ms > CURSOR_MAX_MS) return yield* this.#inventory()
    const oldest = newest.seen.at(-1)
    const isWhole = newest.size < LIMITS.search_max || (oldest !== undefined && oldest.updatedAt < cursor.from_ms)
    if (isWhole) {
      const since = newest.seen.filter(({ updatedAt }) => updatedAt >= cursor.from_ms)
      return yield await this.#end(cursor, since, newest, now_ms, newest.total)
    }
    yield* this.#catchUp(cursor, now_ms)
  }

  /** Everything there is, by id: the listing is of the records themselves, with no index in between. */
  async *#inventory(): AsyncGenerator<FeedPage> {
    let start_ms: number | undefined
    let listed = 0
    const inLists = this.#lists.isOn ? this.#listFeed.inventory() : null
    const tail: { [id: string]: number } = {}
    for (let after: string | undefined; ;) {
      const { data, serverNow_ms } = await this.#client.list(after, false, LIMITS.list_max, this.#signal)
      // What changes while we list is heard from the search afterwards.
      start_ms ??= serverNow_ms
      const from_ms = start_ms - OVERLAP_MS
      const { seen, broken } = readHeads(data.results)
      listed += data.results.length
      for (const { id, updatedAt } of seen) if (updatedAt >= from_ms) tail[id] = updatedAt
      const memberships = await this.#memberships(seen)
      inLists?.add(memberships)
      const sightings = [...broken, ...this.#hints(seen, memberships)]
      const next = data.paging?.next?.after
      if (next === undefined) {
        const cursor: Cursor = {
          v: 1,
          from_ms,
          tail: capped(tail),
          swept_ms: start_ms,
          gone: {},
          expected: Object.keys(tail).length > TAIL_MAX ? null : listed,
          doubt_ms: null,
          owed: false,
          listed_ms: start_ms,
          listed,
          lists: inLists?.states(start_ms) ?? null,
        }
        yield { sightings, cursor, inventory: { complete: true } }
        return
      }
      if (next === after) throw new FailureError(circling())
      yield { sightings, inventory: { complete: false } }
      after = next
    }
  }

  /**
   * More has changed than one search shows. Each next search starts at the time of the last one's end rather than at its
   * offset: so none is longer than the vendor's 10,000 results, and what moves meanwhile shifts nothing.
   */
  async *#catchUp(cursor: Cursor, now_ms: number): AsyncGenerator<FeedPage> {
    let at_ms = cursor.from_ms
    const all: Seen[] = []
    for (;;) {
      const found = await this.#search(
        [{ propertyName: 'lastmodifieddate', operator: 'GTE', value: String(at_ms) }],
        'lastmodifieddate',
      )
      const last = found.seen.at(-1)
      if (found.size < LIMITS.search_max || !last) {
        all.push(...found.seen)
        yield await this.#end({ ...cursor, expected: null }, all, found, now_ms, null)
        return
      }
      const stuck = last.updatedAt <= at_ms
      const tied = stuck ? await this.#sameMoment(last.updatedAt) : []
      const page = [...found.seen, ...tied]
      const fresh = news(page, cursor.tail)
      const hints = this.#hints(fresh, await this.#memberships(fresh))
      const sightings = [...found.broken, ...hints, ...fresh.flatMap(merges)]
      all.push(...page.filter(({ updatedAt }) => updatedAt >= now_ms - OVERLAP_MS))
      at_ms = stuck ? last.updatedAt + 1 : last.updatedAt
      yield { sightings, cursor: { ...cursor, from_ms: Math.min(at_ms, now_ms - OVERLAP_MS), expected: null } }
    }
  }

  /** Everything modified in one millisecond (an import does that to thousands), by id. */
  async #sameMoment(moment_ms: number): Promise<Seen[]> {
    const all: Seen[] = []
    for (let after = '0'; ;) {
      const found = await this.#search(
        [
          { propertyName: 'lastmodifieddate', operator: 'EQ', value: String(moment_ms) },
          { propertyName: 'hs_object_id', operator: 'GT', value: after },
        ],
        'hs_object_id',
      )
      all.push(...found.seen)
      const last = found.seen.at(-1)
      if (found.size < LIMITS.search_max || !last || last.id === after) return all
      after = last.id
    }
  }

  /**
   * The last page of a pass: what is left to tell, what was archived, and where to go on.
   * @param total how many contacts there are; null where the search was not for all of them
   */
  async #end(
    cursor: Cursor,
    since: readonly Seen[],
    found: SearchHits,
    now_ms: number,
    total: number | null,
  ): Promise<FeedPage> {
    const fresh = news(since, cursor.tail)
    const merged = fresh.flatMap(merges)
    const created = fresh.filter(
      ({ id, createdAt }) => createdAt >= cursor.from_ms && cursor.tail[id] === undefined,
    ).length
    let expected = cursor.expected === null ? null : cursor.expected + created
    const adopts = expected === null
    // A merge takes two contacts and makes a third of them, or not, as the account is set: then the next pass counts anew.
    if (merged.length > 0) expected = null
    const sightings: Sighting[] = [...found.broken, ...this.#hints(fresh, await this.#memberships(fresh)), ...merged]
    let swept: { swept_ms: number; gone: { [id: string]: number } } = { swept_ms: cursor.swept_ms, gone: cursor.gone }
    if (expected === null || expected !== total || now_ms - cursor.swept_ms > SWEEP_MAX_MS) {
      const sweep = await this.#sweep(cursor, new Set(merged.map(({ id }) => id)))
      sightings.push(...sweep.sightings)
      swept = { swept_ms: now_ms, gone: sweep.gone }
      if (sweep.sightings.some(({ kind }) => kind === 'merged')) expected = null
      if (expected !== null) expected -= sweep.sightings.filter(({ kind }) => kind === 'gone').length
    }
    const from_ms = now_ms - OVERLAP_MS
    const tail: { [id: string]: number } = {}
    for (const { id, updatedAt } of since) if (updatedAt >= from_ms) tail[id] = updatedAt
    if (adopts && merged.length === 0) expected = total
    if (Object.keys(tail).length > TAIL_MAX) expected = null
    const count = judgeCount(expected, total, cursor, now_ms)
    const next: Cursor = { ...cursor, ...swept, ...count, from_ms, tail: capped(tail) }
    if (!this.#lists.isOn || !cursor.lists) return { sightings, cursor: { ...next, lists: null } }
    const told = new Set(fresh.map(({ id }) => id))
    const changes = await this.#listFeed.changes(cursor.lists, told, now_ms)
    const owed = next.owed || changes.owed || now_ms - cursor.listed_ms > LISTS_MAX_MS
    return { sightings: [...sightings, ...changes.sightings], cursor: { ...next, owed, lists: changes.states } }
  }

  /**
   * What was archived since the last look. Each is asked for before it is believed: one that was merged is archived too, and
   * one that people took back is there again (I5).
   */
  async #sweep(
    cursor: Cursor,
    merged: ReadonlySet<string>,
  ): Promise<{ sightings: Sighting[]; gone: { [id: string]: number } }> {
    const since_ms = cursor.swept_ms - OVERLAP_MS
    const gone: { [id: string]: number } = {}
    const unknown: string[] = []
    for (let after: string | undefined; ;) {
      const { data } = await this.#client.list(after, true, LIMITS.list_max, this.#signal)
      for (const { id, archivedAt = 0 } of readHeads(data.results).seen) {
        if (archivedAt < since_ms) continue
        if (cursor.gone[id] !== archivedAt && !merged.has(id)) unknown.push(id)
        gone[id] = archivedAt
      }
      const next = data.paging?.next?.after
      if (next === undefined) break
      if (next === after) throw new FailureError(circling())
      after = next
    }
    if (unknown.length === 0) return { sightings: [], gone: capped(gone) }
    const answers = await this.#reader.read(unknown, false, this.#signal)
    return { sightings: answers.map(sightingOf), gone: capped(gone) }
  }

  async #memberships(seen: readonly Seen[]): Promise<ReadonlyMap<string, Memberships>> {
    return await this.#lists.of(
      seen.map(({ id }) => id),
      this.#signal,
    )
  }

  #hints(seen: readonly Seen[], memberships: ReadonlyMap<string, Memberships>): Sighting[] {
    return seen.map(({ id, updatedAt }) => {
      const rev = revWith(revOf(updatedAt), memberships.get(id), this.#lists.fields)
      return { kind: 'hint', id, rev }
    })
  }

  async #search(
    filters: readonly { propertyName: string; operator: 'GTE' | 'GT' | 'EQ'; value: string }[],
    /** With a minus in front: the latest first. */
    sortedBy: string,
  ): Promise<SearchHits> {
    const request = {
      filterGroups: filters.length === 0 ? [] : [{ filters: [...filters] as never[] }],
      sorts: [sortedBy],
      properties: ['lastmodifieddate', MERGED],
      limit: LIMITS.search_max,
    }
    const { data, serverNow_ms } = await this.#client.search(request, this.#signal)
    return { ...readHeads(data.results), size: data.results.length, total: data.total, serverNow_ms }
  }
}

/** Whether the contacts add up; where they long have not, all must be listed (a GDPR delete leaves no trace, nor does a restore). */
function judgeCount(
  expected: number | null,
  total: number | null,
  { doubt_ms, owed }: Cursor,
  now_ms: number,
): Pick<Cursor, 'expected' | 'doubt_ms' | 'owed'> {
  if (expected === null || total === null || expected === total) return { expected, doubt_ms: null, owed }
  const since_ms = doubt_ms ?? now_ms
  if (now_ms - since_ms < DOUBT_MAX_MS) return { expected, doubt_ms: since_ms, owed }
  return { expected: total, doubt_ms: null, owed: true }
}

/** Those that were not seen at this very revision. */
function news(seen: readonly Seen[], tail: { readonly [id: string]: number }): Seen[] {
  const latest = new Map(seen.map((each) => [each.id, each]))
  return [...latest.values()].filter(({ id, updatedAt }) => tail[id] !== updatedAt)
}

function merges({ id, properties }: Seen): (Sighting & { kind: 'merged' })[] {
  return mergedIds({ id, properties: properties ?? {} }).map((loser) => ({ kind: 'merged', id: loser, into: id }))
}

function sightingOf(answer: ReadAnswer): Sighting {
  if (answer.kind !== 'record') return answer
  return { kind: 'hint', id: answer.record.id, rev: answer.record.rev }
}

/** One record that cannot be read costs no other; one without even an id makes the answer no answer. */
function readHeads(results: readonly unknown[]): { seen: Seen[]; broken: Sighting[] } {
  const seen: Seen[] = []
  const broken: Sighting[] = []
  for (const result of results) {
    const head = Seen.safeParse(result)
    if (head.success) {
      seen.push(head.data)
      continue
    }
    const id = z.object({ id: z.string().min(1) }).safeParse(result)
    if (!id.success)
      throw new FailureError({ kind: 'transient', code: 'MALFORMED', message: 'HubSpot lists a contact without an id' })
    const failure = {
      kind: 'permanent' as const,
      code: 'MALFORMED',
      message: 'HubSpot lists a contact without its times',
    }
    broken.push({ kind: 'broken', id: id.data.id, rev: null, failure })
  }
  return { seen, broken }
}

/** The latest ones, where there are too many to carry along. */
function capped(times: { [id: string]: number }): { [id: string]: number } {
  const entries = Object.entries(times)
  if (entries.length <= TAIL_MAX) return times
  return Object.fromEntries(entries.sort(([, a], [, b]) => b - a).slice(0, TAIL_MAX))
}

function circling(): { kind: 'transient'; code: string; message: string } {
  return { kind: 'transient', code: 'CIRCLE', message: "HubSpot's listing does not come to an end" }
}
