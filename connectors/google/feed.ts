import { z } from 'zod'
import { FailureError } from '../../engine/core/failure.ts'
import type { FeedPage, Sighting } from '../../engine/core/ports/connector.ts'
import type { PeopleClient } from './client.ts'
import { isExpiredCursor, malformed, RefusedError } from './errors.ts'
import { groupsOf, type FieldName } from './fields.ts'
import type { Groups } from './groups.ts'
import type { HeldPersons } from './held.ts'
import type { Journal } from './journal.ts'
import { parsePerson, recordOf } from './people.ts'
import type { Reader } from './reader.ts'
import type { Person } from './wire.ts'

/**
 * How far the feed was read: Google's sync token, the fields it was made for (it works with no others), and the labels by
 * resource name, so that a renamed one is noticed.
 */
const Cursor = z.strictObject({ token: z.string(), fields: z.string(), groups: z.record(z.string(), z.string()) })
export type Cursor = z.infer<typeof Cursor>

export function cursorFrom(json: unknown): Cursor | null {
  const parsed = Cursor.safeParse(json)
  return parsed.success ? parsed.data : null
}

const PATTERN = 'GET people/me/connections'
/** Members of a renamed label that are read again, at most: as many contacts as an account may have. */
const MEMBERS_MAX = 25_000
/** More pages than the largest account has: beyond them the server goes round in circles. */
const PAGES_MAX = 1000

export interface FeedParts {
  readonly client: PeopleClient
  readonly reader: Reader
  readonly groups: Groups
  readonly journal: Journal
  readonly held: HeldPersons
  /** The fields to read. */
  readonly fields: readonly FieldName[]
  /** The same as Google's mask, metadata included. */
  readonly mask: string
  readonly page_max: number
}

/** Reads the changes of one account. */
export class Feed {
  readonly #parts: FeedParts
  readonly #signal: AbortSignal | undefined

  constructor(parts: FeedParts, signal: AbortSignal | undefined) {
    this.#parts = parts
    this.#signal = signal
  }

  async *pages(cursor: Cursor | null): AsyncGenerator<FeedPage> {
    const { groups, fields, mask } = this.#parts
    if (fields.includes('memberships')) await groups.refresh(this.#signal)
    if (cursor?.fields === mask) {
      const renamed = await this.#membersOfRenamed(cursor)
      if (renamed.length > 0) yield { sightings: renamed }
      const done = yield* this.#changes(cursor.token)
      if (done) return
    }
    yield* this.#inventory()
  }

  /** @returns false when the token has expired: then everything must be read */
  async *#changes(syncToken: string): AsyncGenerator<FeedPage, boolean> {
    const merged = new Set<string>()
    const gone: string[] = []
    let pageToken: string | undefined
    for (let pages = 0; pages < PAGES_MAX; pages++) {
      let page
      try {
        page = await this.#page({ syncToken, ...(pageToken === undefined ? {} : { pageToken }) })
      } catch (error) {
        if (pageToken === undefined && isUnusable(error)) return false
        throw interrupted(error, pageToken)
      }
      const sightings: Sighting[] = []
      for (const sighting of await this.#sightings(page.connections ?? [])) {
        if (sighting.kind === 'gone') gone.push(sighting.id)
        else sightings.push(sighting)
        if (sighting.kind === 'merged') merged.add(sighting.id)
      }
      const next = page.nextPageToken
      if (next === undefined || next === '') {
        // A name that lives on in another is told as deleted too, perhaps earlier: deletions are believed last.
        for (const id of gone) if (!merged.has(id)) sightings.push({ kind: 'gone', id })
        yield { sightings, cursor: this.#cursor(page.nextSyncToken) }
        return true
      }
      if (next === pageToken) throw malformed(PATTERN, 'it goes round in circles', false)
      if (sightings.length > 0) yield { sightings }
      pageToken = next
    }
    throw malformed(PATTERN, 'it does not end', false)
  }

  async *#inventory(): AsyncGenerator<FeedPage> {
    const seen = new Set<string>()
    let pageToken: string | undefined
    for (let pages = 0; pages < PAGES_MAX; pages++) {
      let page
      try {
        page = await this.#page(pageToken === undefined ? {} : { pageToken })
      } catch (error) {
        throw interrupted(error, pageToken)
      }
      const sightings = (await this.#sightings(page.connections ?? [])).filter(({ kind }) => kind !== 'gone')
      for (const sighting of sightings) seen.add(sighting.kind === 'record' ? sighting.record.id : sighting.id)
      const next = page.nextPageToken
      if (next === undefined || next === '') {
        // Vouched for by the token only: a page without one, and without a next, was cut short.
        const cursor = this.#cursor(page.nextSyncToken)
        const unseen = this.#parts.journal.created().filter(({ resourceName }) => !seen.has(resourceName))
        sightings.push(...unseen.map((person) => this.#record(person)))
        yield { sightings, cursor, inventory: { complete: true } }
        return
      }
      if (next === pageToken) throw malformed(PATTERN, 'it goes round in circles', false)
      yield { sightings, inventory: { complete: false } }
      pageToken = next
    }
    throw malformed(PATTERN, 'it does not end', false)
  }

  /** All parameters but the tokens are the same in every call: Google insists on it. */
  async #page(tokens: { syncToken?: string; pageToken?: string }) {
    return await this.#parts.client.connections(
      { personFields: this.#parts.mask, pageSize: this.#parts.page_max, requestSyncToken: true, ...tokens },
      this.#signal,
    )
  }

  async #sightings(connections: readonly unknown[]): Promise<Sighting[]> {
    const parsed = connections.map((raw) => {
      const one = parsePerson(raw)
      if (!one) throw malformed(PATTERN, 'it lists someone without a name', false)
      return one
    })
    const { fields, groups } = this.#parts
    if (fields.includes('memberships')) {
      await groups.learn(
        parsed.flatMap((one) => (one.kind === 'person' ? groupsOf(one.person) : [])),
        this.#signal,
      )
    }
    return parsed.flatMap((one) => (one.kind === 'person' ? this.#sighting(one.person) : [one]))
  }

  #sighting(person: Person): Sighting[] {
    const { journal } = this.#parts
    const id = person.resourceName
    const { deleted, previousResourceNames = [] } = person.metadata ?? {}
    if (deleted === true) {
      journal.forget(id)
      this.#parts.held.forget(id)
      return [{ kind: 'gone', id }]
    }
    const merged = previousResourceNames
      .filter((name) => name !== id)
      .map((name): Sighting => ({ kind: 'merged', id: name, into: id }))
    const latest = journal.latest(person)
    return latest === null ? merged : [...merged, this.#record(latest)]
  }

  #record(person: Person): Sighting {
    const { held, fields, groups } = this.#parts
    held.remember(person)
    return { kind: 'record', record: recordOf(person, fields, groups.names) }
  }

  /** Renaming a label changes none of its members in Google's eyes. */
  async #membersOfRenamed(cursor: Cursor): Promise<Sighting[]> {
    const { client, groups, reader, mask } = this.#parts
    const renamed = [...groups.names].filter(([id, name]) => (cursor.groups[id] ?? name) !== name)
    const members = new Set<string>()
    for (const [id] of renamed) {
      const group = await client.group(id, MEMBERS_MAX, this.#signal)
      for (const member of group.memberResourceNames ?? []) members.add(member)
    }
    const fetched = await reader.fetch([...members], mask, this.#signal)
    return [...fetched.values()].flatMap((one): Sighting[] => {
      if (one.kind === 'person') return [this.#record(one.person)]
      return one.kind === 'broken' ? [one] : []
    })
  }

  #cursor(token: string | undefined): Cursor {
    if (token === undefined || token === '') throw malformed(PATTERN, 'the sync token is missing', false)
    const { mask, fields, groups } = this.#parts
    return { token, fields: mask, groups: fields.includes('memberships') ? Object.fromEntries(groups.names) : {} }
  }
}

/** A token that Google does not take, expired or not one of this account's: everything is read anew. */
function isUnusable(error: unknown): boolean {
  if (!(error instanceof RefusedError)) return false
  const { refusal } = error
  return (
    isExpiredCursor(refusal) || (refusal.http === 400 && refusal.status === 'INVALID_ARGUMENT') || refusal.http === 410
  )
}

/** A listing that was refused on the way (its page token has run out) is begun anew with the next pass. */
function interrupted(error: unknown, pageToken: string | undefined): unknown {
  if (!(error instanceof RefusedError) || pageToken === undefined || error.refusal.http !== 400) return error
  return new FailureError({ ...error.failure, kind: 'transient' }, { cause: error })
}
