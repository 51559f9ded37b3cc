import { z } from 'zod'
import { FailureError } from '../../engine/core/failure.ts'
import type { FeedPage, Sighting } from '../../engine/core/ports/connector.ts'
import type { HttpClient } from '../http.ts'
import { ask } from './dav.ts'
import { bookIsThere, type Book } from './discovery.ts'
import { NAMES, preconditionsOf, propfindBody, syncBody, textOf, type DavResponse, type Multistatus } from './wire.ts'

/**
 * How far a book was read. It names the book, and the options that led there: with it a pass needs no discovery, and one that
 * was made for another url or book is not used.
 */
const Cursor = z.union([
  z.strictObject({ asked: z.string(), book: z.string(), token: z.string() }),
  z.strictObject({ asked: z.string(), book: z.string(), ctag: z.string().nullable() }),
])
export type Cursor = z.infer<typeof Cursor>

/** The cursor, if it is one of these options'; anything else counts as none. */
export function cursorFrom(json: unknown, asked: string): Cursor | null {
  const parsed = Cursor.safeParse(json)
  return parsed.success && parsed.data.asked === asked ? parsed.data : null
}

const PAGE_MAX = 500
/** A server that says "there is more" this often is going round in circles. */
const ROUNDS_MAX = 10_000

const MEMBER_PROPS = [NAMES.etag, NAMES.contentType]

/** What a feed answers by way of an exception: the token is too old, or the report is unknown. */
type Round =
  | { readonly kind: 'changes'; readonly sightings: Sighting[]; readonly token: string; readonly more: boolean }
  | { readonly kind: 'expired' }
  | { readonly kind: 'unsupported' }

/** Reads one book's changes. */
export class Feed {
  readonly #http: HttpClient
  readonly #book: Book
  readonly #asked: string
  readonly #signal: AbortSignal | undefined

  constructor(http: HttpClient, book: Book, asked: string, signal: AbortSignal | undefined) {
    this.#http = http
    this.#book = book
    this.#asked = asked
    this.#signal = signal
  }

  async *pages(cursor: Cursor | null): AsyncGenerator<FeedPage> {
    if (this.#book.sync === false || (cursor !== null && 'ctag' in cursor)) {
      yield* this.#byCtag(cursor !== null && 'ctag' in cursor ? cursor.ctag : undefined)
      return
    }
    if (cursor !== null && 'token' in cursor) {
      const done = yield* this.#since(cursor.token)
      if (done) return
    }
    const supported = yield* this.#inventory()
    if (!supported) yield* this.#byCtag(undefined)
  }

  /** @returns false when the token is no longer known: then everything must be read */
  async *#since(start: string): AsyncGenerator<FeedPage, boolean> {
    let token = start
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const heard = await this.#round(token)
      if (heard.kind !== 'changes') return false
      if (heard.more && heard.token === token) throw circling()
      const pages = chunks(heard.sightings)
      // Only the last page of an answer is a place to go on from.
      for (const page of pages.slice(0, -1)) yield { sightings: page }
      yield { sightings: pages.at(-1) ?? [], cursor: this.#cursor({ token: heard.token }) }
      if (!heard.more) return true
      token = heard.token
    }
    throw circling()
  }

  /** @returns false when the server does not know sync-collection */
  async *#inventory(): AsyncGenerator<FeedPage, boolean> {
    let token = ''
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const heard = await this.#round(token)
      if (heard.kind === 'unsupported' && round === 0) return false
      if (heard.kind !== 'changes') throw refusedListing()
      if (heard.more && heard.token === token) throw circling()
      const present = heard.sightings.filter((sighting) => sighting.kind !== 'gone' || round > 0)
      const pages = chunks(present)
      const last = heard.more ? undefined : (pages.pop() ?? [])
      // A page in the middle carries no cursor: going on from there would lose the vouching for the whole.
      for (const page of pages) yield { sightings: page, inventory: { complete: false } }
      if (last) {
        yield { sightings: last, cursor: this.#cursor({ token: heard.token }), inventory: { complete: true } }
        return true
      }
      token = heard.token
    }
    throw circling()
  }

  async #round(token: string): Promise<Round> {
    const answer = await ask(this.#http, {
      method: 'REPORT',
      url: this.#book.url,
      depth: 0,
      body: syncBody(token, MEMBER_PROPS),
      pattern: '{book}',
      accept: [400, 403, 405, 409, 410, 412, 415, 501, 507],
      signal: this.#signal,
    }).catch((error: unknown) => {
      throw bookIsThere(error)
    })
    if (answer.kind === 'refused') return this.#refusal(answer.status, answer.body, token)
    const { responses, syncToken } = answer.multistatus
    if (syncToken === null) throw incomplete('the sync token is missing')
    const more = responses.some((each) => each.status === 507 && this.#book.addresses.isSelf(each.href))
    return { kind: 'changes', sightings: this.#sightings(responses), token: syncToken, more }
  }

  #refusal(status: number, body: string, token: string): Round {
    const preconditions = preconditionsOf(body)
    if (preconditions.has(NAMES.supportedReport) || [400, 405, 415, 501].includes(status)) {
      // With a token the server knew the report once: the token is what it cannot read.
      return token === '' ? { kind: 'unsupported' } : { kind: 'expired' }
    }
    if (preconditions.has(NAMES.validSyncToken) || [409, 410, 412].includes(status)) return { kind: 'expired' }
    if (status === 507)
      throw new FailureError({
        kind: 'transient',
        code: '507',
        message: 'The server cannot list the address book for now',
      })
    throw new FailureError({
      kind: 'auth',
      code: String(status),
      message: `REPORT {book} was answered ${status}: the account may not read this address book`,
    })
  }

  /** For servers without sync-collection: the collection's tag says whether anything changed at all. */
  async *#byCtag(known: string | null | undefined): AsyncGenerator<FeedPage> {
    // Asked for before the listing: what changes in between is then listed again, never missed.
    const tag = textOf((await this.#list(0, [NAMES.ctag])).responses[0]?.props.get(NAMES.ctag))
    const cursor = this.#cursor({ ctag: tag })
    if (tag !== null && tag === known) {
      yield { sightings: [], cursor }
      return
    }
    const { responses } = await this.#list(1, MEMBER_PROPS)
    // RFC 4918 9.1: a listing has the collection itself in it. One that lacks it is not whole.
    if (!responses.some((each) => this.#book.addresses.isSelf(each.href)))
      throw incomplete('the address book itself is not in it')
    const pages = chunks(this.#sightings(responses).filter(({ kind }) => kind !== 'gone'))
    const last = pages.pop() ?? []
    for (const page of pages) yield { sightings: page, inventory: { complete: false } }
    yield { sightings: last, cursor, inventory: { complete: true } }
  }

  async #list(depth: 0 | 1, names: readonly string[]): Promise<Multistatus> {
    const answer = await ask(this.#http, {
      method: 'PROPFIND',
      url: this.#book.url,
      depth,
      body: propfindBody(names),
      pattern: '{book}',
      signal: this.#signal,
    }).catch((error: unknown) => {
      throw bookIsThere(error)
    })
    if (answer.kind === 'refused') throw refusedListing()
    return answer.multistatus
  }

  #sightings(responses: readonly DavResponse[]): Sighting[] {
    return responses.flatMap((response) => this.#sighting(response))
  }

  #sighting(response: DavResponse): Sighting[] {
    const id = this.#book.addresses.idOf(response.href)
    if (id === null) return []
    if (response.status === 404 || response.status === 410) return [{ kind: 'gone', id }]
    const type = textOf(response.props.get(NAMES.contentType))
    if (type !== null && !/^text\/(?:x-)?(?:vcard|directory)\b/i.test(type)) return []
    const rev = textOf(response.props.get(NAMES.etag))
    const trouble = response.status ?? (rev === null ? response.missing : null)
    if (trouble === null || trouble === 404 || (trouble >= 200 && trouble <= 299)) return [{ kind: 'hint', id, rev }]
    return [{ kind: 'broken', id, rev, failure: unreadable(trouble) }]
  }

  #cursor(place: { token: string } | { ctag: string | null }): Cursor {
    return { asked: this.#asked, book: this.#book.url, ...place }
  }
}

/** A card that the server lists but cannot or will not hand out. */
export function unreadable(status: number): { kind: 'permanent'; code: string; message: string } {
  return { kind: 'permanent', code: String(status), message: `The server answers ${status} for this card` }
}

function chunks(sightings: readonly Sighting[]): Sighting[][] {
  const pages: Sighting[][] = []
  for (let start = 0; start < sightings.length; start += PAGE_MAX) pages.push(sightings.slice(start, start + PAGE_MAX))
  return pages
}

function incomplete(what: string): FailureError {
  return new FailureError({
    kind: 'transient',
    code: 'INCOMPLETE',
    message: `The server's listing of the address book is not whole: ${what}; nothing of it was used`,
  })
}

function circling(): FailureError {
  return new FailureError({
    kind: 'transient',
    code: 'CIRCLING',
    message: 'The server cuts its list of changes short and does not go on from where it stopped',
  })
}

function refusedListing(): FailureError {
  return new FailureError({
    kind: 'permanent',
    code: 'NO-LISTING',
    message: 'The server refuses to list the address book',
    advice: 'Check that url: in kith.yaml is an address book that the account may read; then run: kith check',
  })
}
