import { z } from 'zod'
import { FailureError } from '../../engine/core/failure.ts'
import type { Json } from '../../engine/core/json.ts'
import type { FeedPage, Sighting } from '../../engine/core/ports/connector.ts'
import type { Api } from './api.ts'
import { winnersOf } from './merges.ts'
import type { Seen } from './records.ts'
import { ExportSchema, type User } from './wire.ts'

const PATH = 'incremental/users/cursor'
/** The most that one request of the export brings. */
const PAGE_MAX = 1000
/** A server that says "there is more" this often is going round in circles. */
const PAGES_MAX = 100_000
/** How a cursor that Zendesk does not know, or no longer knows, is answered: the vendor does not say. */
const CURSOR_REFUSED = [400, 404, 410, 422]

const Cursor = z.strictObject({ account: z.string(), after: z.string().min(1) })

type Page = z.infer<typeof ExportSchema>

/** Reads the account's incremental export of users. */
export class Feed {
  readonly #api: Api
  readonly #account: string
  readonly #signal: AbortSignal | undefined

  constructor(api: Api, account: string, signal: AbortSignal | undefined) {
    this.#api = api
    this.#account = account
    this.#signal = signal
  }

  async *pages(cursor: Json | null): AsyncGenerator<FeedPage> {
    const known = Cursor.safeParse(cursor)
    if (known.success && known.data.account === this.#account) {
      const done = yield* this.#changes(known.data.after)
      if (done) return
    }
    yield* this.#inventory()
  }

  /** @returns false when the cursor is no longer known: then everything must be read */
  async *#changes(start: string): AsyncGenerator<FeedPage, boolean> {
    let after = start
    for (let count = 0; count < PAGES_MAX; count++) {
      const page = await this.#page({ cursor: after }, count === 0 ? CURSOR_REFUSED : [])
      if (page === 'refused') return false
      const next = page.after_cursor ?? after
      if (!page.end_of_stream && next === after) throw circling()
      after = next
      yield { sightings: await this.#sightings(page), cursor: { account: this.#account, after } }
      if (page.end_of_stream) return true
    }
    throw circling()
  }

  /**
   * Everything since the account began. What changed within the newest minute is withheld by the export; what was not seen
   * for that reason is read directly before anyone believes it gone, and comes with the next changes.
   */
  async *#inventory(): AsyncGenerator<FeedPage> {
    let after: string | undefined
    for (let count = 0; count < PAGES_MAX; count++) {
      const page = await this.#page(after === undefined ? { start_time: 0 } : { cursor: after }, [])
      if (page === 'refused') throw circling()
      const next = page.after_cursor ?? after
      if (!page.end_of_stream && (next === undefined || next === after)) throw circling()
      after = next
      const sightings = (await this.#sightings(page)).filter(({ kind }) => kind !== 'gone')
      if (page.end_of_stream) {
        const cursor = after === undefined ? {} : { cursor: { account: this.#account, after } }
        yield { sightings, ...cursor, inventory: { complete: true } }
        return
      }
      yield { sightings, inventory: { complete: false } }
    }
    throw circling()
  }

  async #page(
    place: { start_time: number } | { cursor: string },
    accept: readonly number[],
  ): Promise<Page | 'refused'> {
    return await this.#api.askExport(
      {
        method: 'GET',
        path: PATH,
        pattern: PATH,
        query: { ...place, per_page: PAGE_MAX, include: this.#api.include },
        accept,
        signal: this.#signal,
      },
      ExportSchema,
    )
  }

  /** Staff is no contact: it is passed over, and so is an end user who has become one of them (README). */
  async #sightings(page: Page): Promise<Sighting[]> {
    const users = await this.#api.see(page, this.#signal)
    const inactive = users.flatMap((seen) => (seen.kind === 'inactive' ? [seen.user] : []))
    const winners = await winnersOf(this.#api, inactive, users, this.#signal)
    return users.flatMap((seen) => sightingOf(seen, winners))
  }
}

function sightingOf(seen: Seen, winners: ReadonlyMap<number, number>): Sighting[] {
  if (seen.kind === 'user') return [{ kind: 'record', record: seen.record }]
  if (seen.kind === 'broken') return [{ kind: 'broken', id: seen.id, rev: null, failure: seen.failure }]
  return seen.kind === 'inactive' ? [departed(seen.user, winners)] : []
}

/** What a deactivated user means. */
export function departed(user: User, winners: ReadonlyMap<number, number>): Sighting & { kind: 'gone' | 'merged' } {
  const id = String(user.id)
  const into = winners.get(user.id)
  return into === undefined ? { kind: 'gone', id } : { kind: 'merged', id, into: String(into) }
}

function circling(): FailureError {
  return new FailureError({
    kind: 'transient',
    code: 'CIRCLE',
    message: "Zendesk's export says that there is more, and does not go on",
  })
}
