import { FailureError } from '../../engine/core/failure.ts'

/** The addresses within one collection. */
export class Addresses {
  readonly #url: URL
  readonly #segments: readonly string[]

  /** @param collectionUrl absolute */
  constructor(collectionUrl: string) {
    this.#url = new URL(collectionUrl)
    this.#segments = segmentsOf(this.#url.pathname)
  }

  /**
   * A card's id: the last part of its address, in one canonical spelling; null for the collection itself and for
   * collections within it. Servers spell one address in several ways (`%7e` and `~`, `@` and `%40`), and a record that
   * changes its id would be a delete plus a create.
   * @throws FailureError for an href that is not in the collection
   */
  idOf(href: string): string | null {
    const path = pathOf(href, this.#url)
    const segments = segmentsOf(path)
    if (!this.#isWithin(segments)) throw strayHref(this.#url.host, this.#url.host)
    if (path.endsWith('/') || segments.length !== this.#segments.length + 1) return null
    const id = segments.at(-1) ?? ''
    // As an id, an escaped `..` would lead requests out of the collection.
    if (id === '.' || id === '..') throw strayHref(this.#url.host, this.#url.host)
    return id
  }

  /** Whether the href is the collection's own. */
  isSelf(href: string): boolean {
    const segments = segmentsOf(pathOf(href, this.#url))
    return segments.length === this.#segments.length && this.#isWithin(segments)
  }

  /** The path that a request names the card by. */
  pathOfCard(id: string): string {
    return this.#url.pathname + id
  }

  #isWithin(segments: readonly string[]): boolean {
    return this.#segments.every((segment, index) => segments[index] === segment)
  }
}

/** The absolute address, on the server asked, of a collection that an answer speaks of. */
export function collectionUrl(href: string, baseUrl: string): string {
  const url = new URL(baseUrl)
  const path = pathOf(href, url)
  return `${url.origin}${path.endsWith('/') ? path : `${path}/`}`
}

/**
 * The path of an href, which may be absolute (RFC 4918 8.3). Behind a proxy servers name their inner scheme and port; another
 * host is refused, as nothing that it says about its own resources is about ours.
 */
function pathOf(href: string, base: URL): string {
  // Nearly all are plain paths, ten thousand at a time; dots and blanks are left to the URL's own rules.
  if (/^\/(?!\/)[\w%~@+/-]*(?:\.[\w%~@+-]+)*$/.test(href)) return href
  const url = URL.parse(href, base)
  if (!url) throw strayHref('an address that cannot be read', base.host)
  if (url.hostname !== base.hostname) throw strayHref(url.host, base.host)
  return url.pathname
}

function segmentsOf(path: string): string[] {
  return path
    .split('/')
    .filter((segment) => segment !== '')
    .map(canonical)
}

function canonical(segment: string): string {
  // Letters, digits and these marks are spelt one way only once nothing is escaped.
  if (/^[\w.-]+$/.test(segment)) return segment
  try {
    return encodeURIComponent(decodeURIComponent(segment))
  } catch {
    // Bytes that are no UTF-8: the server's own spelling is the only one.
    return segment
  }
}

function strayHref(host: string, own: string): FailureError {
  if (host === own) {
    return new FailureError({
      kind: 'permanent',
      code: 'STRAY-HREF',
      message:
        'The server lists something that is not in the address book it was asked about; nothing of the answer was used',
      advice: 'Check url: in kith.yaml; then run: kith check',
    })
  }
  return new FailureError({
    kind: 'permanent',
    code: 'STRAY-HREF',
    message: `The server refers to another host, ${host}, where Kith does not send the credentials unasked`,
    advice: `If ${host} is right, put its address into url: in kith.yaml; then run: kith check`,
  })
}
