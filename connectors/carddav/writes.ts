import { FailureError, failureFrom, type Failure } from '../../engine/core/failure.ts'
import type {
  AppRecord,
  CreateRequest,
  DeleteRequest,
  UpdateRequest,
  WriteOutcome,
  WriteRequest,
} from '../../engine/core/ports/connector.ts'
import type { HttpClient, HttpResponse } from '../http.ts'
import { newCard, parseCard, patchCard } from '../vcard/index.ts'
import { answerFrom, recordFrom, uidOf, type CardReader, type Fetched, type HeldCard } from './cards.ts'
import { bookIsThere, type Book } from './discovery.ts'
import { inParallel } from './parallel.ts'
import type { CardTexts } from './texts.ts'
import { NAMES, preconditionsOf } from './wire.ts'

/**
 * Writes of one batch under way at once. Servers that keep a book in files lock it for each write, so that more in flight
 * only wait there; the README has the measurement.
 */
const WRITES_AT_ONCE = 4
/** So many lost answers in a row mean that the server is away; the rest of the batch is not sent. */
const LOST_IN_A_ROW_MAX = 3

/** Done, but what the server made of the card must be read back. */
interface ReadBack {
  readonly kind: 'read-back'
  readonly ref: string
  readonly id: string
}

export interface WriterParts {
  readonly http: HttpClient
  readonly reader: CardReader
  readonly texts: CardTexts
  readonly version: '3.0' | '4.0'
}

/** One batch of writes to one book. */
export class Batch {
  readonly #parts: WriterParts
  readonly #book: Book
  readonly #signal: AbortSignal | undefined
  /** Set once something failed that would fail for every request: the rest is answered with it, unsent. */
  #halted: Failure | undefined
  #lostInARow = 0

  constructor(parts: WriterParts, book: Book, signal: AbortSignal | undefined) {
    this.#parts = parts
    this.#book = book
    this.#signal = signal
  }

  /** @throws FailureError only as long as nothing was sent */
  async write(requests: readonly WriteRequest[]): Promise<WriteOutcome[]> {
    const current = await this.#currentCards(requests)
    const results = await inParallel(requests, WRITES_AT_ONCE, (request) => this.#attempt(request, current))
    return await this.#settle(results)
  }

  /** The cards to be patched: from memory where exactly that revision was lately read, else all the others in one request. */
  async #currentCards(requests: readonly WriteRequest[]): Promise<Map<string, Fetched>> {
    const cards = new Map<string, Fetched>()
    const unknown: string[] = []
    for (const request of requests) {
      if (request.op !== 'update') continue
      const text = request.rev === null ? undefined : this.#parts.texts.recall(request.id, request.rev)
      if (text === undefined) unknown.push(request.id)
      else cards.set(request.id, { kind: 'card', id: request.id, etag: request.rev, text, modified_ms: undefined })
    }
    if (unknown.length === 0) return cards
    const read = await this.#parts.reader.fetch(this.#book, unknown, this.#signal)
    return new Map([...cards, ...read])
  }

  async #attempt(request: WriteRequest, current: ReadonlyMap<string, Fetched>): Promise<WriteOutcome | ReadBack> {
    if (this.#halted) return { ref: request.ref, kind: 'failed', failure: this.#halted }
    try {
      const outcome = await this.#one(request, current)
      this.#lostInARow = 0
      return outcome
    } catch (error) {
      const failure = failureFrom(error)
      this.#consider(failure)
      return { ref: request.ref, kind: 'failed', failure }
    }
  }

  #one(request: WriteRequest, current: ReadonlyMap<string, Fetched>): Promise<WriteOutcome | ReadBack> {
    if (request.op === 'create') return this.#create(request)
    if (request.op === 'delete') return this.#delete(request)
    return this.#update(request, current.get(request.id))
  }

  /** A wrong password fifty times over locks an account; a server that is away makes each of fifty wait. */
  #consider(failure: Failure): void {
    if (failure.kind === 'auth' || failure.kind === 'ratelimited') this.#halted = failure
    const answered = /^\d{3}$/.test(failure.code ?? '')
    if ((failure.kind !== 'transient' && failure.kind !== 'uncertain') || answered) {
      this.#lostInARow = 0
      return
    }
    this.#lostInARow++
    if (this.#lostInARow < LOST_IN_A_ROW_MAX) return
    this.#halted = {
      kind: 'transient',
      code: 'NOT-SENT',
      message: 'The server stopped answering; this write was not sent',
    }
  }

  /** Repeatable: the address and the UID follow from the key, and the server refuses a second one (RFC 6352 6.3.2). */
  async #create(request: CreateRequest): Promise<WriteOutcome | ReadBack> {
    const id = encodeURIComponent(`${request.key}.vcf`)
    const text = newCard(request.key, request.fields, this.#parts.version)
    const response = await this.#put(id, text, { 'If-None-Match': '*' }, [403, 409, 412]).catch((error: unknown) => {
      throw bookIsThere(error)
    })
    if (response.status === 412) return await this.#replay(request, [id])
    if (response.status === 403 || response.status === 409) {
      const conflict = preconditionsOf(response.body).get(NAMES.uidConflict)
      if (!conflict) throw refusedWrite(response)
      // The server moved our card to an address of its own choosing, and may say which.
      const named = conflict.flatMap((href) => this.#book.addresses.idOf(href) ?? [])
      const ids = named.length > 0 ? named : await this.#parts.reader.withUid(this.#book, request.key, this.#signal)
      return await this.#replay(request, ids)
    }
    const location = response.header('location')
    const given = location === undefined ? null : this.#book.addresses.idOf(new URL(location, this.#book.url).href)
    return this.#stored(request.ref, given ?? id, text, response)
  }

  /** The create was refused as a duplicate: with our UID on it, the card is ours, from an earlier try. */
  async #replay(request: CreateRequest, ids: readonly string[]): Promise<WriteOutcome> {
    const found = await this.#parts.reader.fetch(this.#book, ids, this.#signal)
    for (const card of found.values()) {
      const answer = answerFrom(card)
      if (card.kind === 'card' && answer.kind === 'record' && uidOf(parseCard(card.text)) === request.key) {
        return { ref: request.ref, kind: 'written', record: this.#remembered(card, answer.record) }
      }
    }
    const gone = ids.length > 0 && [...found.values()].every(({ kind }) => kind === 'gone')
    throw new FailureError(
      gone
        ? {
            kind: 'transient',
            code: '412',
            message: 'The server refuses the card as a duplicate, and then has none; it is created anew',
          }
        : {
            kind: 'permanent',
            code: '412',
            message: "Another card stands where this one would be created; it does not have the new card's UID",
          },
    )
  }

  async #update(request: UpdateRequest, current: Fetched | undefined): Promise<WriteOutcome | ReadBack> {
    if (!current) throw new FailureError({ kind: 'bug', message: 'a card to update was not read' })
    if (current.kind === 'gone')
      throw new FailureError({ kind: 'gone', code: '404', message: 'The card is no longer in the address book' })
    if (current.kind === 'broken') throw new FailureError(current.failure)
    if (current.etag === null) throw noEtag()
    if (request.rev !== null && opaque(request.rev) !== opaque(current.etag)) throw moved()
    const text = patchCard(current.text, request.fields)
    if (text === current.text) {
      const record = recordFrom(current, parseCard(text))
      return { ref: request.ref, kind: 'written', record: this.#remembered(current, record) }
    }
    const response = await this.#put(request.id, text, { 'If-Match': opaque(current.etag) }, [403, 404, 409, 410, 412])
    // Whether the card is gone, or the whole book, is for the next read to say.
    if ([404, 410, 412].includes(response.status)) throw moved()
    if (response.status === 403 || response.status === 409) throw refusedWrite(response)
    return this.#stored(request.ref, request.id, text, response)
  }

  async #delete(request: DeleteRequest): Promise<WriteOutcome> {
    const response = await this.#parts.http.send({
      method: 'DELETE',
      url: this.#book.addresses.pathOfCard(request.id),
      pattern: '{book}/{card}',
      ...(request.rev === null ? {} : { headers: { 'If-Match': opaque(request.rev) } }),
      write: true,
      accept: [403, 404, 409, 410, 412],
      signal: this.#signal,
    })
    this.#parts.texts.forget(request.id)
    if (response.status === 403 || response.status === 409) throw refusedWrite(response)
    // RFC 9110 13.1.1: If-Match also fails where there is nothing at all.
    if (response.status === 412) {
      const left = await this.#parts.reader.fetch(this.#book, [request.id], this.#signal)
      if (left.get(request.id)?.kind !== 'gone') throw moved()
    }
    return { ref: request.ref, kind: 'deleted', id: request.id }
  }

  #put(
    id: string,
    text: string,
    precondition: { readonly [name: string]: string },
    accept: readonly number[],
  ): Promise<HttpResponse> {
    return this.#parts.http.send({
      method: 'PUT',
      url: this.#book.addresses.pathOfCard(id),
      pattern: '{book}/{card}',
      headers: { 'Content-Type': 'text/vcard; charset=utf-8', 'Accept-Encoding': 'identity', ...precondition },
      body: text,
      write: true,
      accept,
      signal: this.#signal,
    })
  }

  /**
   * RFC 6352 6.3.2.3: a server that answers with a strong etag holds what was sent, byte for byte. Without one, or with a
   * weak one, it may have rewritten the card.
   */
  #stored(ref: string, id: string, text: string, response: HttpResponse): WriteOutcome | ReadBack {
    this.#parts.texts.forget(id)
    const etag = response.header('etag')
    if (etag === undefined || etag.startsWith('W/')) return { kind: 'read-back', ref, id }
    return { ref, kind: 'written', record: recordFrom({ id, etag, modified_ms: undefined }, parseCard(text)) }
  }

  async #settle(results: readonly (WriteOutcome | ReadBack)[]): Promise<WriteOutcome[]> {
    const ids = results.flatMap((result) => (result.kind === 'read-back' ? [result.id] : []))
    if (ids.length === 0) return results as WriteOutcome[]
    let held: ReadonlyMap<string, Fetched> = new Map()
    try {
      held = await this.#parts.reader.fetch(this.#book, ids, this.#signal)
    } catch (error) {
      // The writes are done; what the server made of them is not known. That is what `uncertain` is for.
      if (!(error instanceof FailureError)) throw error
    }
    return results.map((result) => (result.kind === 'read-back' ? this.#readBack(result, held.get(result.id)) : result))
  }

  #readBack({ ref }: ReadBack, card: Fetched | undefined): WriteOutcome {
    const answer = card && answerFrom(card)
    if (card?.kind === 'card' && answer?.kind === 'record') {
      return { ref, kind: 'written', record: this.#remembered(card, answer.record) }
    }
    const message = 'The card was written, and could not be read back'
    const kind = answer?.kind === 'gone' ? 'gone' : 'uncertain'
    return { ref, kind: 'failed', failure: { kind, code: 'READ-BACK', message } }
  }

  #remembered(card: HeldCard, record: AppRecord): AppRecord {
    if (card.etag !== null) this.#parts.texts.remember(card.id, card.etag, card.text)
    return record
  }
}

/** If-Match compares strongly and would never match a weak etag (RFC 9110 13.1.1); the tag itself is sent. */
function opaque(etag: string): string {
  return etag.replace(/^W\//, '')
}

function moved(): FailureError {
  return new FailureError({
    kind: 'conflict',
    code: '412',
    message: 'The card was changed on the server since it was read',
  })
}

function noEtag(): FailureError {
  return new FailureError({
    kind: 'permanent',
    code: 'NO-ETAG',
    message: 'The server gives this card no etag; without one an edit made there meanwhile could be lost',
  })
}

/** A 403 or 409 to a write: of this card, where the server names what is wrong with it, else of all writing here. */
function refusedWrite(response: HttpResponse): FailureError {
  const named = preconditionsOf(response.body)
  const about: readonly (readonly [string, string])[] = [
    [NAMES.uidConflict, 'another card in the address book has the same UID'],
    [NAMES.validData, 'it calls the card invalid'],
    [NAMES.supportedDataOnly, "it does not take this card's vCard version"],
    [NAMES.resourceSize, 'the card is too large for it'],
  ]
  const code = String(response.status)
  const reason = about.find(([name]) => named.has(name))?.[1]
  if (reason !== undefined)
    return new FailureError({ kind: 'permanent', code, message: `The server refuses the card: ${reason}` })
  if (response.status === 409) {
    return new FailureError({
      kind: 'conflict',
      code,
      message: 'The server refuses the write: the card or the address book has changed',
    })
  }
  return new FailureError({
    kind: 'auth',
    code,
    message: 'The account may not write to this address book',
    advice: 'Give the account the right to write, or set direction: in for this connection; then run: kith check',
  })
}
