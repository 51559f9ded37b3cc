import { z } from 'zod'
import type { Json } from '../../engine/core/json.ts'
import type {
  Capabilities,
  ConnectionReport,
  Connector,
  FeedPage,
  ReadAnswer,
  WriteOutcome,
  WriteRequest,
} from '../../engine/core/ports/connector.ts'
import type { App, ConnectContext } from '../app.ts'
import { HttpClient, type HttpStats } from '../http.ts'
import type { Pacer } from '../pacer.ts'
import { VCARD_FIELDS } from '../vcard/index.ts'
import { answerFrom, CardReader, checkBatch } from './cards.ts'
import { discover, type Book } from './discovery.ts'
import { cursorFrom, Feed } from './feed.ts'
import { Addresses } from './hrefs.ts'
import { CardTexts } from './texts.ts'
import { Batch } from './writes.ts'

const Options = z.strictObject({
  url: z.url({ protocol: /^https?$/, error: 'an http or https address' }).refine(
    (url) => {
      const { username, password } = new URL(url)
      return username === '' && password === ''
    },
    { error: 'user name and password go into username: and password:, not into the url' },
  ),
  username: z.string().min(1),
  password: z.string().min(1),
  /** Which one, where the account has several address books: its name or its path. */
  book: z.string().min(1).optional(),
  /** The version in which new cards are written. Existing ones keep theirs. */
  vcard: z.enum(['3.0', '4.0']).default('3.0'),
})
export type CardDavOptions = z.infer<typeof Options>

const CAPABILITIES: Capabilities = {
  deletes: 'feed',
  hints: true,
  createKey: 'id',
  precondition: true,
  times: 'record',
  readBatch_max: 100,
  writeBatch_max: 50,
  writes_concurrent_max: 1,
  archive: false,
  create: true,
  delete: true,
}

/** A server thinks this long about a book of 10,000 cards before its first byte (43 s measured on Radicale 3.1.8). */
const SILENCE_MAX_MS = 120_000
const TEXTS_BYTES_MAX = 8 * 1024 * 1024

/** A CardDAV address book, on any server (RFC 6352). */
export const carddav: App<CardDavOptions> = {
  name: 'carddav',
  title: 'CardDAV address book',
  options: Options,
  secrets: ['password'],
  account: ({ url, username, book }) => ['carddav', new URL(url).href, username, book ?? ''].join(' '),
  connect: (options, context) => connectCardDav(options, context),
}

/** How the client behaves when the server does not; tests make it impatient. */
export interface CardDavTuning {
  readonly silence_max_ms?: number
  readonly retries_max?: number
  readonly retryPause_ms?: number
  readonly retryAfter_max_ms?: number
  readonly pacer?: Pacer
}

export function connectCardDav(options: CardDavOptions, context: ConnectContext, tuning: CardDavTuning = {}): CardDav {
  return new CardDav(options, context, tuning)
}

export class CardDav implements Connector {
  readonly app = 'carddav'
  readonly capabilities = CAPABILITIES
  readonly #options: CardDavOptions
  readonly #http: HttpClient
  readonly #reader: CardReader
  readonly #texts = new CardTexts(TEXTS_BYTES_MAX)
  /** What discovery, or a cursor, said: kept for the connector's life. */
  #book: Promise<Book> | undefined

  constructor(options: CardDavOptions, context: ConnectContext, tuning: CardDavTuning) {
    this.#options = options
    const credentials = Buffer.from(`${options.username}:${options.password}`).toString('base64')
    this.#http = new HttpClient({
      baseUrl: options.url,
      authorization: () => Promise.resolve(`Basic ${credentials}`),
      silence_max_ms: SILENCE_MAX_MS,
      retries_max: 2,
      now: context.now,
      ...(context.pacer ? { pacer: context.pacer } : {}),
      ...tuning,
    })
    this.#reader = new CardReader(this.#http)
  }

  /** Requests and bytes so far. */
  stats(): HttpStats {
    return this.#http.stats()
  }

  async check(signal?: AbortSignal): Promise<ConnectionReport> {
    this.#book = undefined
    const book = await this.#find(signal)
    const feed =
      book.sync === false ? 'changes by listing (the server has no sync-collection)' : 'changes by sync-collection'
    const warnings: string[] = []
    if (new URL(this.#http.origin).protocol === 'http:' && !isThisMachine(this.#http.origin)) {
      warnings.push('The password travels unencrypted: use https')
    }
    if (book.writable === false) {
      warnings.push('The account may only read this address book: set direction: in for this connection')
    }
    return {
      summary: `address book '${book.name}', ${feed}`,
      fields: VCARD_FIELDS,
      warnings,
    }
  }

  async *pull(cursor: Json | null, signal?: AbortSignal): AsyncGenerator<FeedPage> {
    const known = cursorFrom(cursor, this.#asked)
    // A cursor knows its book: then the pass is one request, with no discovery before it.
    if (known && URL.canParse(known.book) && new URL(known.book).origin === this.#http.origin) {
      this.#book ??= Promise.resolve(bookFrom(known.book))
    }
    const book = await this.#find(signal)
    yield* new Feed(this.#http, book, this.#asked, signal).pages(known?.book === book.url ? known : null)
  }

  async read(ids: readonly string[], signal?: AbortSignal): Promise<ReadAnswer[]> {
    checkBatch(ids.length, CAPABILITIES.readBatch_max)
    if (ids.length === 0) return []
    const fetched = await this.#reader.fetch(await this.#find(signal), ids, signal)
    return [...fetched.values()].map((card) => {
      if (card.kind === 'card' && card.etag !== null) this.#texts.remember(card.id, card.etag, card.text)
      return answerFrom(card)
    })
  }

  async write(requests: readonly WriteRequest[], signal?: AbortSignal): Promise<WriteOutcome[]> {
    checkBatch(requests.length, CAPABILITIES.writeBatch_max)
    const book = await this.#find(signal)
    const parts = {
      http: this.#http,
      reader: this.#reader,
      texts: this.#texts,
      version: this.#options.vcard,
    }
    return await new Batch(parts, book, signal).write(requests)
  }

  close(): Promise<void> {
    this.#http.close()
    return Promise.resolve()
  }

  /** What a cursor must have been made for. */
  get #asked(): string {
    return `${this.#options.url} ${this.#options.book ?? ''}`
  }

  /** One discovery for all who wait; a failed one is tried anew by the next. */
  async #find(signal: AbortSignal | undefined): Promise<Book> {
    const found = (this.#book ??= discover(this.#http, this.#options, signal))
    try {
      return await found
    } catch (error) {
      if (this.#book === found) this.#book = undefined
      throw error
    }
  }
}

function bookFrom(url: string): Book {
  return { url, addresses: new Addresses(url), name: '', sync: null, writable: null }
}

function isThisMachine(origin: string): boolean {
  return ['localhost', '127.0.0.1', '[::1]'].includes(new URL(origin).hostname)
}
