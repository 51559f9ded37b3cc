import { z } from 'zod'
import { SOBJECTS, type SObject } from './wire.ts'

const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS

/**
 * A row has the time of the statement that wrote it, and shows when its transaction commits: a long one commits rows from before
 * what we have read. Transactions may take ten minutes (the vendor's longest for Apex in the background).
 */
export const OVERLAP_MS = 10 * MINUTE_MS
/** A count that stays wrong for so long is not a transaction on its way. */
const DOUBT_MAX_MS = 5 * MINUTE_MS
/** The recycle bin keeps rows for 15 days: a cursor from before could not tell what was deleted. */
const CURSOR_MAX_MS = 13 * DAY_MS
/** What a listing that is owed may cost: one request in so many milliseconds, over time; and never more often than this. */
const LISTING_MS_PER_REQUEST = 100_000
const LISTING_MIN_MS = 15 * MINUTE_MS
const ROWS_PER_REQUEST = 2000
/** A cursor names so many of the rows it lately saw; beyond, they are announced twice. */
const TAIL_MAX = 1000

const ObjectState = z.strictObject({
  /** Everything changed before was seen. By Salesforce's clock. */
  from_ms: z.number(),
  /** When that was read. */
  read_ms: z.number(),
  /** How many rows were seen since `from_ms`, deleted ones too; null where that is not known. */
  seen: z.int().nullable(),
  /** The latest of them: a hash of the row, after `+` where it lives and `-` where it does not. */
  tail: z.record(z.string(), z.string()),
  /** How many rows there should be; null where that is not known. */
  expected: z.number().nullable(),
  /** Since when there are more or fewer. By our clock. */
  doubt_ms: z.number().nullable(),
})
export type ObjectState = z.infer<typeof ObjectState>

export const Cursor = z.strictObject({
  v: z.literal(1),
  objects: z.partialRecord(z.enum(SOBJECTS), ObjectState),
  /** Whether everything has to be listed, when its turn comes; and when it last was, by our clock, and how much. */
  owed: z.boolean(),
  listed_ms: z.number(),
  listed: z.number(),
})
export type Cursor = z.infer<typeof Cursor>

/** The cursor, if it is one of ours and can still tell everything; anything else counts as none. */
export function cursorFrom(json: unknown, objects: readonly SObject[], now_ms: number): Cursor | null {
  const parsed = Cursor.safeParse(json)
  if (!parsed.success) return null
  const cursor = parsed.data
  const states = objects.map((object) => cursor.objects[object])
  if (Object.keys(cursor.objects).length !== objects.length) return null
  if (states.some((state) => state === undefined || now_ms - state.from_ms > CURSOR_MAX_MS)) return null
  const turn_ms = Math.max(LISTING_MIN_MS, Math.ceil(cursor.listed / ROWS_PER_REQUEST) * LISTING_MS_PER_REQUEST)
  return cursor.owed && now_ms - cursor.listed_ms >= turn_ms ? null : cursor
}

/** A row as a pass sees it. */
export interface SeenRow {
  readonly id: string
  /** null where it cannot be read: no place to go on from. */
  readonly at_ms: number | null
  readonly created_ms: number | null
  readonly lives: boolean
  readonly hash: string
}

function markOf({ lives, hash }: SeenRow): string {
  return `${lives ? '+' : '-'}${hash}`
}

/**
 * Whether nothing has changed, by the latest rows alone: after a bulk load there are more than a page of them within the overlap, and
 * reading them all again with every pass would cost as much as the load. There are as many as before, and none of the latest is new. Not
 * for ever: what a late transaction changed among those that the cursor does not name shows only when all are read again.
 *
 * @param total how many rows there are since `from_ms`
 */
export function isQuiet(state: ObjectState, latest: readonly SeenRow[], total: number, serverNow_ms: number): boolean {
  if (state.seen !== total || serverNow_ms - state.from_ms >= 2 * OVERLAP_MS) return false
  return latest.every((row) => {
    const known = state.tail[row.id]
    return known === undefined ? row.at_ms !== null && row.at_ms < state.read_ms : known === markOf(row)
  })
}

/** What a pass saw of one object, by and by. */
export class Window {
  readonly #before: ObjectState | null
  readonly #serverNow_ms: number
  readonly #tail: { [id: string]: { mark: string; at_ms: number } } = {}
  #delta = 0
  #last_ms: number

  /** @param before the state that the pass began with; null for a listing */
  constructor(before: ObjectState | null, serverNow_ms: number) {
    this.#before = before
    this.#serverNow_ms = serverNow_ms
    this.#last_ms = before?.from_ms ?? 0
  }

  /** @returns whether this is news */
  see(row: SeenRow): boolean {
    const { id, lives } = row
    const at_ms = row.at_ms ?? this.#serverNow_ms
    const created_ms = row.created_ms ?? 0
    const mark = markOf(row)
    this.#tail[id] = { mark, at_ms }
    this.#last_ms = Math.max(this.#last_ms, row.at_ms ?? 0)
    if (!this.#before) {
      this.#delta++
      return true
    }
    const known = this.#before.tail[id]
    const isNew = created_ms >= this.#before.from_ms
    if (lives) this.#delta += known === undefined ? Number(isNew) : Number(known.startsWith('-'))
    // One that was dead before the last pass, and is not remembered, was not counted then.
    else if (known === undefined) this.#delta -= Number(!isNew && at_ms >= this.#before.read_ms)
    else this.#delta -= Number(known.startsWith('+'))
    return known !== mark
  }

  /** Where to go on from when there are more rows to come. They come in the order of their times. */
  midway(): ObjectState {
    const from_ms = Math.min(this.#last_ms, this.#serverNow_ms - OVERLAP_MS)
    const { tail } = this.#kept(from_ms)
    return { from_ms, read_ms: this.#serverNow_ms, seen: null, tail, expected: null, doubt_ms: null }
  }

  /**
   * Where to go on from after the last row.
   * @param count how many live rows Salesforce counts; null where it did not
   * @returns the state, and whether everything has to be listed: the count has long not added up (rows erased from the recycle bin
   *   leave no other trace)
   */
  end(count: number | null, now_ms: number): { state: ObjectState; owes: boolean } {
    const from_ms = this.#serverNow_ms - OVERLAP_MS
    const { tail, seen } = this.#kept(from_ms)
    const state = { from_ms, read_ms: this.#serverNow_ms, seen, tail, doubt_ms: null }
    const base = this.#before ? this.#before.expected : 0
    // What no longer fits into the tail would be counted twice.
    if (seen > TAIL_MAX) return { state: { ...state, expected: null }, owes: false }
    const expected = base === null ? count : base + this.#delta
    if (expected === null || count === null || expected === count) return { state: { ...state, expected }, owes: false }
    const since_ms = this.#before?.doubt_ms ?? now_ms
    if (now_ms - since_ms < DOUBT_MAX_MS) return { state: { ...state, expected, doubt_ms: since_ms }, owes: false }
    return { state: { ...state, expected: count }, owes: true }
  }

  #kept(from_ms: number): { tail: { [id: string]: string }; seen: number } {
    const entries = Object.entries(this.#tail).filter(([, { at_ms }]) => at_ms >= from_ms)
    const latest = entries.sort(([, a], [, b]) => b.at_ms - a.at_ms).slice(0, TAIL_MAX)
    return { tail: Object.fromEntries(latest.map(([id, { mark }]) => [id, mark])), seen: entries.length }
  }
}
