import { FailureError, failureFrom } from '../../engine/core/failure.ts'
import type { HttpClient } from '../http.ts'
import { ask } from './dav.ts'
import { Addresses, collectionUrl } from './hrefs.ts'
import { contains, NAMES, propfindBody, textOf, type DavResponse, type Multistatus } from './wire.ts'

/** The address book of a connection, as the server describes it. */
export interface Book {
  /** Ends with a slash. */
  readonly url: string
  readonly addresses: Addresses
  readonly name: string
  /** Whether the server says that it knows sync-collection; null where it says nothing. */
  readonly sync: boolean | null
  /** Whether we may write to it; null where the server does not say. */
  readonly writable: boolean | null
}

const COLLECTION_PROPS = [
  NAMES.resourceType,
  NAMES.displayName,
  NAMES.principal,
  NAMES.homeSet,
  NAMES.reports,
  NAMES.privileges,
]

/** Statuses that mean "not here, look elsewhere" while searching. */
const ELSEWHERE = [400, 403, 404, 405, 410, 501]

/**
 * Finds the address book. The url may be the book itself, a collection that holds books, a principal, or any page of the
 * server: then the way is the one of RFC 6764 6 (well-known address, principal, home set).
 *
 * @throws FailureError that lists the address books where one must be chosen
 */
export async function discover(
  http: HttpClient,
  options: { readonly url: string; readonly book?: string | undefined },
  signal: AbortSignal | undefined,
): Promise<Book> {
  const search = new Search(http, signal)
  const starts = [options.url, new URL('/.well-known/carddav', options.url).href, new URL('/', options.url).href]
  for (const start of new Set(starts)) {
    const books = await search.from(start)
    if (books.length > 0) return choose(books, options.book)
  }
  throw new FailureError({
    kind: 'permanent',
    code: 'NO-BOOK',
    message: 'No address book was found at the url, nor by asking the server where they are',
    advice: 'Put the address of the address book itself into url: in kith.yaml; then run: kith check',
  })
}

class Search {
  readonly #http: HttpClient
  readonly #signal: AbortSignal | undefined
  readonly #asked = new Set<string>()

  constructor(http: HttpClient, signal: AbortSignal | undefined) {
    this.#http = http
    this.#signal = signal
  }

  /** The address books found from here. What the page itself holds goes before what its user's home set holds. */
  async from(url: string): Promise<Book[]> {
    if (this.#asked.has(url)) return []
    this.#asked.add(url)
    const found = await this.#propfind(url, 0, COLLECTION_PROPS)
    const self = found?.multistatus.responses[0]
    if (!found || !self) return []
    if (isAddressBook(self)) return [bookOf(self, found.url)]
    if (contains(self.props.get(NAMES.resourceType), NAMES.collection)) {
      const books = await this.#within(found.url)
      if (books.length > 0) return books
    }
    for (const home of hrefsOf(self, NAMES.homeSet)) {
      const books = await this.#within(collectionUrl(home, found.url))
      if (books.length > 0) return books
    }
    for (const principal of hrefsOf(self, NAMES.principal)) {
      const books = await this.from(collectionUrl(principal, found.url))
      if (books.length > 0) return books
    }
    return []
  }

  async #within(url: string): Promise<Book[]> {
    const asked = `${url} within`
    if (this.#asked.has(asked)) return []
    this.#asked.add(asked)
    const found = await this.#propfind(url, 1, COLLECTION_PROPS)
    if (!found) return []
    return found.multistatus.responses.filter(isAddressBook).map((each) => bookOf(each, found.url))
  }

  async #propfind(
    url: string,
    depth: 0 | 1,
    names: readonly string[],
  ): Promise<{ url: string; multistatus: Multistatus } | undefined> {
    const answer = await ask(this.#http, {
      method: 'PROPFIND',
      url,
      depth,
      body: propfindBody(names),
      pattern: '{url}',
      accept: ELSEWHERE,
      signal: this.#signal,
    })
    return answer.kind === 'multistatus' ? answer : undefined
  }
}

function isAddressBook(response: DavResponse): boolean {
  return contains(response.props.get(NAMES.resourceType), NAMES.addressBook)
}

function hrefsOf(response: DavResponse, property: string): string[] {
  const node = response.props.get(property)
  return (node?.children ?? []).filter(({ name }) => name === NAMES.href).map(({ text }) => text.trim())
}

function bookOf(response: DavResponse, baseUrl: string): Book {
  const url = collectionUrl(response.href, baseUrl)
  const reports = response.props.get(NAMES.reports)
  const privileges = response.props.get(NAMES.privileges)
  const writing = ['DAV: all', 'DAV: write', 'DAV: write-content', 'DAV: bind']
  return {
    url,
    addresses: new Addresses(url),
    name: textOf(response.props.get(NAMES.displayName)) ?? lastSegment(url),
    sync: reports && reports.children.length > 0 ? contains(reports, NAMES.syncCollection) : null,
    writable: privileges && privileges.children.length > 0 ? writing.some((name) => contains(privileges, name)) : null,
  }
}

function lastSegment(url: string): string {
  const segment = new URL(url).pathname.split('/').filter(Boolean).at(-1) ?? '/'
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}

function choose(books: readonly Book[], wanted: string | undefined): Book {
  const only = books[0]
  if (wanted === undefined && books.length === 1 && only) return only
  const path = (book: Book): string => new URL(book.url).pathname
  const listed = books.map((book) => `'${book.name}' (${path(book)})`).join(', ')
  if (wanted === undefined) {
    throw new FailureError({
      kind: 'permanent',
      code: 'WHICH-BOOK',
      message: `The account has ${books.length} address books: ${listed}`,
      advice: 'Name one of them in kith.yaml, as book: <name>; then run: kith check',
    })
  }
  const like = wanted.toLowerCase()
  const slashed = like.endsWith('/') ? like : `${like}/`
  const hits = books.filter(
    (book) =>
      book.name.toLowerCase() === like ||
      lastSegment(book.url).toLowerCase() === like ||
      path(book).toLowerCase() === slashed,
  )
  const hit = hits[0]
  if (hits.length === 1 && hit) return hit
  throw new FailureError({
    kind: 'permanent',
    code: 'WHICH-BOOK',
    message: `${hits.length === 0 ? 'No' : 'More than one'} address book of the account goes by the name in book:. There are: ${listed}`,
    advice: 'Correct book: in kith.yaml (a name or a path from this list); then run: kith check',
  })
}

/** A book that is not there is no deleted record: the connection is configured wrongly, or the book was removed. */
export function bookIsThere(error: unknown): unknown {
  const failure = failureFrom(error)
  if (failure.kind !== 'gone') return error
  return new FailureError({
    kind: 'permanent',
    code: 'NO-BOOK',
    message: 'The address book is no longer there; no card was taken for deleted',
    advice: 'Check url: and book: in kith.yaml; then run: kith check',
  })
}

/**
 * Makes sure that the book still answers, before a card's 404 is believed: where the whole book is gone, or the server has
 * lost its way, every card is "not found" (I5).
 * @throws FailureError
 */
export async function confirmBook(http: HttpClient, book: Book, signal: AbortSignal | undefined): Promise<void> {
  const answer = await ask(http, {
    method: 'PROPFIND',
    url: book.url,
    depth: 0,
    body: propfindBody([NAMES.resourceType]),
    pattern: '{book}',
    signal,
  }).catch((error: unknown) => {
    throw bookIsThere(error)
  })
  if (answer.kind === 'multistatus' && answer.multistatus.responses.some(isAddressBook)) return
  throw bookIsThere(new FailureError({ kind: 'gone', message: '{book} is no address book' }))
}
