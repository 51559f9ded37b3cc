import { FailureError, failureFrom, type Failure } from '../../engine/core/failure.ts'
import type { AppRecord, ReadAnswer } from '../../engine/core/ports/connector.ts'
import type { HttpClient } from '../http.ts'
import { cardFields, parseCard, type Card } from '../vcard/index.ts'
import { ask } from './dav.ts'
import { bookIsThere, confirmBook, type Book } from './discovery.ts'
import { unreadable } from './feed.ts'
import { inParallel } from './parallel.ts'
import { multigetBody, NAMES, textOf, uidQueryBody, type DavResponse } from './wire.ts'

/** A card as the server holds it. */
export interface HeldCard {
  readonly kind: 'card'
  readonly id: string
  /** The etag as given; null where the server has none. */
  readonly etag: string | null
  readonly text: string
  readonly modified_ms: number | undefined
}

export type Fetched =
  HeldCard | { readonly kind: 'gone'; readonly id: string } | (ReadAnswer & { readonly kind: 'broken' })

const GETS_AT_ONCE = 4
/** Up to this many cards a server that tells no times in reports is asked card by card, for the sake of Last-Modified. */
const TIMED_MAX = 10
/** So many failing cards in a row mean that the server is down, not the cards. */
const BROKEN_IN_A_ROW_MAX = 3

/** Reads cards, in one request where the server can. Lives as long as the connection: it learns what the server can do. */
export class CardReader {
  readonly #http: HttpClient
  #multiget = true
  #timesInReports: boolean | undefined

  constructor(http: HttpClient) {
    this.#http = http
  }

  /**
   * Reads cards by id, one answer per id.
   * @throws FailureError for what fails as a whole
   */
  async fetch(book: Book, ids: readonly string[], signal: AbortSignal | undefined): Promise<Map<string, Fetched>> {
    const wanted = [...new Set(ids)]
    if (wanted.length === 1 || (this.#timesInReports === false && wanted.length <= TIMED_MAX)) {
      return byId(await this.#getAll(book, wanted, signal))
    }
    const found = this.#multiget ? await this.#multigetAll(book, wanted, signal) : undefined
    if (!found) return byId(await this.#getAll(book, wanted, signal))
    const cards = found.filter((each) => each.kind === 'card')
    if (cards.length > 0) this.#timesInReports = cards.some((each) => each.modified_ms !== undefined)
    const answers = byId(found)
    const lacking = wanted.filter((id) => !answers.has(id))
    const untimed = this.#timesInReports === false && cards.length <= TIMED_MAX ? cards.map(({ id }) => id) : []
    for (const card of await this.#getAll(book, [...lacking, ...untimed], signal)) answers.set(card.id, card)
    return answers
  }

  /** The ids of the cards with this UID. */
  async withUid(book: Book, uid: string, signal: AbortSignal | undefined): Promise<string[]> {
    const answer = await ask(this.#http, {
      method: 'REPORT',
      url: book.url,
      depth: 1,
      body: uidQueryBody(uid, [NAMES.etag]),
      pattern: '{book}',
      accept: [400, 403, 405, 501],
      signal,
    })
    if (answer.kind === 'refused') return []
    return answer.multistatus.responses.flatMap((response) => book.addresses.idOf(response.href) ?? [])
  }

  /** @returns undefined where the cards must be asked for one by one */
  async #multigetAll(
    book: Book,
    ids: readonly string[],
    signal: AbortSignal | undefined,
  ): Promise<Fetched[] | undefined> {
    try {
      const answer = await ask(this.#http, {
        method: 'REPORT',
        url: book.url,
        depth: 1,
        body: multigetBody(
          ids.map((id) => book.addresses.pathOfCard(id)),
          [NAMES.etag, NAMES.lastModified, NAMES.addressData],
        ),
        pattern: '{book}',
        accept: [400, 403, 405, 415, 501],
        signal,
      })
      if (answer.kind === 'refused') {
        this.#multiget = false
        return undefined
      }
      const asked = new Set(ids)
      return answer.multistatus.responses
        .flatMap((response) => fetchedFrom(response, book) ?? [])
        .filter(({ id }) => asked.has(id))
    } catch (error) {
      // One card that the server chokes on, or whose bytes are no XML, spoils the answer for all: ask for each by itself.
      const { kind, code } = failureFrom(error)
      if (kind === 'transient' && code !== undefined && /^(?:5\d\d|MALFORMED)$/.test(code)) return undefined
      throw bookIsThere(error)
    }
  }

  async #getAll(book: Book, ids: readonly string[], signal: AbortSignal | undefined): Promise<Fetched[]> {
    let inARow = 0
    const cards = await inParallel<string, Fetched>(ids, GETS_AT_ONCE, async (id) => {
      try {
        const card = await this.#get(book, id, signal)
        inARow = 0
        return card
      } catch (error) {
        const failure = failureFrom(error)
        const ofThisCard = failure.kind === 'permanent' || /^5\d\d$/.test(failure.code ?? '')
        if (!ofThisCard || ++inARow >= BROKEN_IN_A_ROW_MAX || ids.length === 1) throw error
        return { kind: 'broken', id, rev: null, failure }
      }
    })
    if (cards.some(({ kind }) => kind === 'gone')) await confirmBook(this.#http, book, signal)
    return cards
  }

  async #get(book: Book, id: string, signal: AbortSignal | undefined): Promise<Fetched> {
    const response = await this.#http.send({
      method: 'GET',
      url: book.addresses.pathOfCard(id),
      pattern: '{book}/{card}',
      // Web servers in front mark the etag of a compressed answer as weak, or add to it.
      headers: { Accept: 'text/vcard', 'Accept-Encoding': 'identity' },
      write: false,
      accept: [403, 404, 410],
      signal,
    })
    if (response.status === 404 || response.status === 410) return { kind: 'gone', id }
    if (response.status === 403) return { kind: 'broken', id, rev: null, failure: unreadable(403) }
    return {
      kind: 'card',
      id,
      etag: response.header('etag') ?? null,
      text: response.body,
      modified_ms: timeFrom(response.header('last-modified') ?? null),
    }
  }
}

/** A fetched card as the engine's record; a text that is no card is `broken`. */
export function answerFrom(fetched: Fetched): ReadAnswer {
  if (fetched.kind !== 'card') return fetched
  try {
    return { kind: 'record', record: recordFrom(fetched, parseCard(fetched.text)) }
  } catch (error) {
    return { kind: 'broken', id: fetched.id, rev: fetched.etag, failure: failureFrom(error) }
  }
}

export function recordFrom(held: Omit<HeldCard, 'kind' | 'text'>, card: Card): AppRecord {
  const modified_ms = held.modified_ms ?? revisionTime(card)
  return {
    id: held.id,
    rev: held.etag,
    ...(modified_ms === undefined ? {} : { modified_ms }),
    fields: cardFields(card),
  }
}

/** The card's UID; null where it has none. */
export function uidOf(card: Card): string | null {
  return card.lines.find(({ name }) => name === 'UID')?.value.trim() ?? null
}

function fetchedFrom(response: DavResponse, book: Book): Fetched | null {
  const id = book.addresses.idOf(response.href)
  if (id === null) return null
  if (response.status === 404 || response.status === 410) return { kind: 'gone', id }
  const data = response.props.get(NAMES.addressData)
  const etag = textOf(response.props.get(NAMES.etag))
  if (data) {
    // XML turns CR LF into LF on the way (XML 1.0, 2.11); vCard lines end in CR LF.
    const text = data.text.replace(/\r?\n/g, '\r\n')
    return { kind: 'card', id, etag, text, modified_ms: timeFrom(textOf(response.props.get(NAMES.lastModified))) }
  }
  const trouble = response.status ?? response.missing
  // A server that knows the card but not how to put it into a report; it is asked for by itself.
  if (trouble === null || trouble === 404 || (trouble >= 200 && trouble <= 299)) return null
  return { kind: 'broken', id, rev: etag, failure: unreadable(trouble) satisfies Failure }
}

function byId(fetched: readonly Fetched[]): Map<string, Fetched> {
  return new Map(fetched.map((each) => [each.id, each]))
}

function timeFrom(text: string | null): number | undefined {
  const time = text === null ? Number.NaN : Date.parse(text)
  return Number.isNaN(time) ? undefined : time
}

/** REV (RFC 6350 6.7.4), in its short and its long spelling; without a zone it is taken for UTC. */
function revisionTime(card: Card): number | undefined {
  const value = card.lines.find(({ name }) => name === 'REV')?.value.trim() ?? ''
  const match = /^(\d{4})-?(\d\d)-?(\d\d)(?:T(\d\d):?(\d\d):?(\d\d)(\.\d+)?(Z|[+-]\d\d:?\d\d)?)?$/i.exec(value)
  if (!match) return undefined
  const [, year, month, day, hour = '00', minute = '00', second = '00', fraction = '', zone = 'Z'] = match
  const offset = /^[+-]\d{4}$/.test(zone) ? `${zone.slice(0, 3)}:${zone.slice(3)}` : zone.toUpperCase()
  const time = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}${fraction}${offset}`)
  return Number.isNaN(time) || Number(year) < 1990 ? undefined : time
}

/** Thrown where the engine asks for ids that cannot be this connector's. */
export function checkBatch(count: number, most: number): void {
  if (count > most)
    throw new FailureError({ kind: 'bug', message: `${count} records asked for at once, at most ${most} are taken` })
}
