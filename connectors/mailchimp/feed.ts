import { z } from 'zod'
import { FailureError } from '../../engine/core/failure.ts'
import type { FeedPage, Sighting } from '../../engine/core/ports/connector.ts'
import type { Listing, MailchimpClient } from './client.ts'
import { memberFields, type Shape } from './fields.ts'
import { UNREADABLE, type Reader, type Seen } from './reader.ts'
import { Head } from './wire.ts'

const MINUTE_MS = 60_000
/** How long a change may take to show in a listing: the vendor does not say. */
export const OVERLAP_MS = 2 * MINUTE_MS
/** A permanent deletion that hides behind an addition in the count is found by listing everything, so often. */
const LISTING_MAX_MS = 24 * 60 * MINUTE_MS
/** What a listing that is owed may cost: one page in so many milliseconds, over time. */
const LISTING_MS_PER_PAGE = MINUTE_MS
/** How many of the latest changes a pass looks at first. */
const HEADS = 100
const HEAD_FIELDS = ['contact_id', 'status', 'last_changed']
/** A cursor names so many of the members it lately saw; beyond, they are announced twice. */
const TAIL_MAX = 500
/** Whole seconds, and some for clocks that differ: what changed so shortly before we read may have changed again since. */
const SETTLED_MS = 3000
/** Stands for the revision of an archived member. */
const ARCHIVED = '-'

const Cursor = z.strictObject({
  v: z.literal(1),
  audience: z.string(),
  /** Everything changed before was seen. */
  from_ms: z.number(),
  /** When that was, by Mailchimp's clock. */
  at_ms: z.number(),
  /** What was seen since `from_ms`, with its time and revision: the overlap shows it again. */
  tail: z.record(z.string(), z.tuple([z.number(), z.string()])),
  /** How many members a listing counts. */
  total: z.number(),
  /** Whether listings show archived members unasked: then they count them, too. */
  shown: z.boolean(),
  /** Whether all members have to be listed, when their turn comes. */
  owed: z.boolean(),
  listed_ms: z.number(),
  pages: z.number(),
})
type Cursor = z.infer<typeof Cursor>
type Tail = Cursor['tail']

/** One page of a listing, and whether it is the last. */
interface Page {
  readonly members: readonly Seen[]
  readonly total: number
  readonly serverNow_ms: number
  readonly isLast: boolean
}

/**
 * Reads an audience's changes: by a look at the latest ones, which also counts the members; and where there are any, by a
 * window since the last pass, and by another through the archived ones. Times are Mailchimp's own throughout.
 */
export class Feed {
  readonly #reader: Reader
  readonly #client: MailchimpClient
  readonly #audience: string
  readonly #signal: AbortSignal | undefined

  constructor(reader: Reader, audience: string, signal: AbortSignal | undefined) {
    this.#reader = reader
    this.#client = reader.client
    this.#audience = audience
    this.#signal = signal
  }

  /** @param json a cursor; one that is not of this audience counts as none */
  async *pages(json: unknown): AsyncGenerator<FeedPage> {
    const known = Cursor.safeParse(json)
    if (!known.success || known.data.audience !== this.#audience) return yield* this.#inventory()
    const cursor = known.data
    const { heads, total, serverNow_ms: now_ms } = await this.#newest()
    if (now_ms - cursor.listed_ms > LISTING_MAX_MS) return yield* this.#inventory()
    const shown = cursor.shown || heads.some(({ status }) => status === 'archived')
    const next: Cursor = { ...cursor, from_ms: now_ms - OVERLAP_MS, at_ms: now_ms, total, shown }
    if (!cursor.owed && total === cursor.total && holdsNothingNew(heads, cursor)) {
      yield { sightings: [], cursor: { ...next, tail: since(next.from_ms, cursor.tail) } }
      return
    }
    const archived = shown ? [] : await this.#archivedSince(cursor)
    const told = new Set(Object.keys(cursor.tail).filter((id) => cursor.tail[id]?.[1] === ARCHIVED))
    const missing = cursor.total - total - archived.filter(({ id }) => !told.has(id)).length
    const owed = cursor.owed || missing > 0
    const isTurn = now_ms - cursor.listed_ms >= cursor.pages * LISTING_MS_PER_PAGE
    if (owed && isTurn) return yield* this.#inventory()
    yield* this.#changes(cursor, { ...next, owed }, archived)
  }

  /** Everything there is. The window is closed as it began: what changes meanwhile is heard from the changes afterwards. */
  async *#inventory(): AsyncGenerator<FeedPage> {
    const shape = await this.#reader.shape(this.#signal)
    let first: Page | undefined
    let shown = false
    let pages = 0
    const tail: Tail = {}
    for await (const page of this.#window({}, shape)) {
      first ??= page
      pages++
      const from_ms = first.serverNow_ms - OVERLAP_MS
      shown ||= page.members.some(({ kind }) => kind === 'archived')
      note(page.members, from_ms, tail)
      const sightings = page.members.filter(({ kind }) => kind !== 'archived').map(sightingOf)
      if (!page.isLast) {
        yield { sightings, inventory: { complete: false } }
        continue
      }
      const cursor: Cursor = {
        v: 1,
        audience: this.#audience,
        from_ms,
        at_ms: first.serverNow_ms,
        tail: capped(tail),
        total: first.total,
        shown,
        owed: false,
        listed_ms: first.serverNow_ms,
        pages,
      }
      yield { sightings, cursor, inventory: { complete: true } }
    }
  }

  /** What changed since the cursor; the archived ones come first, so that every page is a place to go on from. */
  async *#changes(cursor: Cursor, next: Cursor, archived: readonly (Seen & { kind: 'archived' })[]) {
    const shape = await this.#reader.shape(this.#signal)
    const tail: Tail = since(next.from_ms, cursor.tail)
    const told = archived.filter((seen) => isNews(seen, cursor.tail))
    note(archived, next.from_ms, tail)
    let sightings: Sighting[] = told.map(sightingOf)
    for await (const page of this.#window({ since_ms: cursor.from_ms - 1000 }, shape)) {
      sightings.push(...page.members.filter((seen) => isNews(seen, cursor.tail)).map(sightingOf))
      note(page.members, next.from_ms, tail)
      if (page.isLast) yield { sightings, cursor: { ...next, tail: capped(tail) } } satisfies FeedPage
      else {
        const reached_ms = page.members.reduce((latest, seen) => Math.max(latest, lastChanged_ms(seen)), cursor.from_ms)
        const place: Cursor = { ...next, from_ms: Math.min(reached_ms, next.from_ms), tail: {} }
        yield { sightings, cursor: place } satisfies FeedPage
      }
      sightings = []
    }
  }

  async #archivedSince(cursor: Cursor): Promise<(Seen & { kind: 'archived' })[]> {
    const found: (Seen & { kind: 'archived' })[] = []
    const shape: Shape = { wanted: [], groups: new Map() }
    for await (const { members } of this.#window({ status: 'archived', since_ms: cursor.from_ms - 1000 }, shape)) {
      found.push(...members.filter((seen) => seen.kind === 'archived'))
    }
    return found
  }

  async #newest(): Promise<{ heads: Head[]; total: number; serverNow_ms: number }> {
    const { data, serverNow_ms } = await this.#client.members(
      { newestFirst: true, count: HEADS, fields: HEAD_FIELDS },
      this.#signal,
    )
    this.#reader.counted(data.total_items)
    const heads = data.members.map((json) => Head.safeParse(json))
    if (heads.some(({ success }) => !success)) throw malformed()
    return { heads: heads.flatMap((head) => head.data ?? []), total: data.total_items, serverNow_ms }
  }

  /**
   * A listing in the order of the last change. Where it has more than one page, the others are asked for as of the first one's
   * time: rows then only ever leave (an edit gives them a later time), and the count tells that those behind have moved up.
   */
  async *#window(range: Pick<Listing, 'since_ms' | 'status'>, shape: Shape): AsyncGenerator<Page> {
    const fields = memberFields(shape)
    let before_ms: number | undefined
    let total: number | undefined
    for (let offset = 0; ;) {
      const { data, serverNow_ms } = await this.#client.members(
        { ...range, ...(before_ms === undefined ? {} : { before_ms }), count: this.#client.list_max, offset, fields },
        this.#signal,
      )
      if (range.since_ms === undefined) this.#reader.counted(data.total_items)
      const left = (total ?? data.total_items) - data.total_items
      total = data.total_items
      if (left > 0 && offset > 0) {
        offset = Math.max(0, offset - left)
        continue
      }
      offset += data.members.length
      const isLast = offset >= total
      if (data.members.length === 0 && !isLast) throw malformed()
      yield { members: data.members.map((json) => this.#reader.see(json, shape)), total, serverNow_ms, isLast }
      if (isLast) return
      // A second back, so that nothing within the window can change without leaving it.
      before_ms ??= serverNow_ms - 1000
    }
  }
}

/** Whether all changes since the cursor are among these, in the order that they were asked for, and known already. */
function holdsNothingNew(heads: readonly Head[], cursor: Cursor): boolean {
  const isSorted = heads.every(({ last_changed }, at) => last_changed <= (heads[at - 1]?.last_changed ?? Infinity))
  const oldest = heads.at(-1)
  const isWhole = heads.length < HEADS || (oldest !== undefined && oldest.last_changed < cursor.from_ms)
  const recent = heads.filter(({ last_changed }) => last_changed >= cursor.from_ms)
  return isSorted && isWhole && recent.every((head) => isKnown(head, cursor))
}

function isKnown({ contact_id: id, status, last_changed }: Head, { tail, at_ms }: Cursor): boolean {
  const [seen_ms, rev] = tail[id] ?? []
  const isSame = seen_ms === last_changed && (rev === ARCHIVED) === (status === 'archived')
  return isSame && last_changed + SETTLED_MS < at_ms
}

function isNews(seen: Seen, tail: Tail): boolean {
  const [known_ms, rev] = tail[idIn(seen)] ?? []
  return known_ms !== lastChanged_ms(seen) || rev !== revOf(seen)
}

/** Keeps what the overlap will show again. */
function note(members: readonly Seen[], from_ms: number, tail: Tail): void {
  for (const seen of members) {
    const at_ms = lastChanged_ms(seen)
    if (at_ms >= from_ms) tail[idIn(seen)] = [at_ms, revOf(seen)]
  }
}

function since(from_ms: number, tail: Tail): Tail {
  return Object.fromEntries(Object.entries(tail).filter(([, [at_ms]]) => at_ms >= from_ms))
}

function idIn(seen: Seen): string {
  return seen.kind === 'member' ? seen.record.id : seen.id
}

function lastChanged_ms(seen: Seen): number {
  return seen.kind === 'member' ? seen.member.last_changed : seen.lastChanged_ms
}

function revOf(seen: Seen): string {
  if (seen.kind === 'archived') return ARCHIVED
  return seen.kind === 'member' ? (seen.record.rev ?? '') : seen.rev
}

function sightingOf(seen: Seen): Sighting {
  if (seen.kind === 'archived') return { kind: 'gone', id: seen.id }
  if (seen.kind === 'member') return { kind: 'record', record: seen.record }
  return { kind: 'broken', id: seen.id, rev: seen.rev, failure: UNREADABLE }
}

/** The latest ones, where there are too many to carry along. */
function capped(tail: Tail): Tail {
  const entries = Object.entries(tail)
  if (entries.length <= TAIL_MAX) return tail
  return Object.fromEntries(entries.sort(([, [a]], [, [b]]) => b - a).slice(0, TAIL_MAX))
}

function malformed(): FailureError {
  return new FailureError({
    kind: 'transient',
    code: 'MALFORMED',
    message: "Mailchimp's listing does not come to an end, or names a member without an id",
  })
}
