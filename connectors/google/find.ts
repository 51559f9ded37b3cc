import { FailureError } from '../../engine/core/failure.ts'
import type { PeopleClient } from './client.ts'
import { malformed } from './errors.ts'
import { itemsOf, textOf } from './fields.ts'
import { parsePerson } from './people.ts'
import type { Person } from './wire.ts'

/**
 * Finding out whether a create whose answer was lost has happened.
 *
 * Each contact that we create carries our key in its clientData, which people do not see and other fields' updates leave alone.
 * searchContacts cannot look there (it matches names, addresses and numbers, by prefix, thirty at most), so all contacts are
 * listed. A key that is there proves the create. A key that is not there proves nothing before Google's delay has passed since
 * the create can last have been sent: until then the answer is "not yet".
 */
export const KEY_NAME = 'kith'

/** The key that a person carries; undefined where we did not create it. */
export function keyOf(person: Person): string | undefined {
  const item = itemsOf(person, 'clientData').find((one) => textOf(one, 'key') === KEY_NAME)
  return item && textOf(item, 'value')
}

/** One listing serves all creates that are asked about within this time. */
const LISTING_FRESH_MS = 30_000
const PAGES_MAX = 1000

interface Listing {
  /** When it was begun: what was visible then is in it. */
  readonly at_ms: number
  readonly persons: ReadonlyMap<string, readonly Person[]>
}

/** Keys whose creates are not answered yet, and the contacts that carry keys. */
export class Keys {
  readonly #client: PeopleClient
  readonly #window_ms: number
  readonly #page_max: number
  readonly #now: () => number
  /** When each was last sent; for keys of an earlier life of this program, when they were first asked about. */
  readonly #sent_ms = new Map<string, number>()
  #listing: Promise<Listing> | undefined
  #begun_ms = Number.NEGATIVE_INFINITY

  constructor(client: PeopleClient, window_ms: number, page_max: number, now: () => number) {
    this.#client = client
    this.#window_ms = window_ms
    this.#page_max = page_max
    this.#now = now
  }

  sent(key: string): void {
    this.#sent_ms.set(key, this.#now())
  }

  answered(key: string): void {
    this.#sent_ms.delete(key)
  }

  /**
   * The contacts that carry the key; empty only where that proves that the create did not happen.
   * @throws FailureError (transient) while it is too early to tell
   */
  async carrying(key: string, mask: string, signal: AbortSignal | undefined): Promise<readonly Person[]> {
    const sent_ms = this.#sent_ms.get(key) ?? this.#now()
    this.#sent_ms.set(key, sent_ms)
    const { at_ms, persons } = await this.#listed(sent_ms + this.#window_ms, mask, signal)
    const found = persons.get(key) ?? []
    if (found.length === 0 && at_ms < sent_ms + this.#window_ms) throw tooEarly(sent_ms + this.#window_ms - this.#now())
    this.answered(key)
    return found
  }

  /** A listing that is fresh, and where one is to be had by now, late enough to prove an absence. */
  async #listed(proof_ms: number, mask: string, signal: AbortSignal | undefined): Promise<Listing> {
    const now_ms = this.#now()
    const proves = this.#begun_ms >= proof_ms || now_ms < proof_ms
    if (!this.#listing || !proves || now_ms - this.#begun_ms >= LISTING_FRESH_MS) {
      this.#begun_ms = now_ms
      this.#listing = this.#list(now_ms, mask, signal)
    }
    const listing = this.#listing
    try {
      return await listing
    } catch (error) {
      if (this.#listing === listing) this.#listing = undefined
      throw error
    }
  }

  async #list(at_ms: number, mask: string, signal: AbortSignal | undefined): Promise<Listing> {
    const persons = new Map<string, Person[]>()
    let pageToken: string | undefined
    for (let pages = 0; pages < PAGES_MAX; pages++) {
      const page = await this.#client.connections(
        {
          personFields: `clientData,${mask}`,
          pageSize: this.#page_max,
          // The token is of no use here; its presence tells a whole listing from one cut short.
          requestSyncToken: true,
          ...(pageToken === undefined ? {} : { pageToken }),
        },
        signal,
      )
      for (const raw of page.connections ?? []) {
        const parsed = parsePerson(raw)
        const key = parsed?.kind === 'person' ? keyOf(parsed.person) : undefined
        if (parsed?.kind !== 'person' || key === undefined) continue
        persons.set(key, [...(persons.get(key) ?? []), parsed.person])
      }
      pageToken = page.nextPageToken
      if (pageToken !== undefined && pageToken !== '') continue
      if (page.nextSyncToken === undefined || page.nextSyncToken === '') break
      return { at_ms, persons }
    }
    throw malformed('GET people/me/connections', 'the listing does not end as it should', false)
  }
}

function tooEarly(left_ms: number): FailureError {
  return new FailureError({
    kind: 'transient',
    code: 'TOO-EARLY',
    message: `Google may take some minutes to show a new contact: whether this one was created can be told in ${Math.ceil(left_ms / 60_000)} min`,
    retryAfter_ms: Math.max(1000, left_ms),
  })
}
