import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { XMLParser } from 'fast-xml-parser'
import { bodyOf, SimulatorServer } from '../simulator-server.ts'

/**
 * A CardDAV server in memory, on loopback: for `kith demo`, and for the faults that a real server cannot be asked for. It
 * shares no code with the client, or both would share a mistake.
 */
export interface CardDavSimulator {
  /** The root of the server: discovery starts here. */
  readonly url: string
  /** The first address book. */
  readonly bookUrl: string
  /** The first book's cards, by file name. */
  readonly cards: ReadonlyMap<string, SimulatedCard>
  readonly faults: Faults
  /** What was asked so far. */
  readonly requests: readonly SimulatedRequest[]
  /** Puts a card as a human with another program would; returns its etag. */
  put(name: string, text: string, book?: string): string
  /** Deletes a card as a human with another program would. */
  remove(name: string, book?: string): void
  /** Forgets all sync tokens handed out so far. */
  expireTokens(): void
  close(): Promise<void>
}

export interface SimulatedCard {
  readonly text: string
  readonly etag: string
  readonly modified_ms: number
}

export interface SimulatedRequest {
  readonly method: string
  /** As sent, escapes included. */
  readonly path: string
  /** The root element of the body, without its prefix; null where there is no XML. */
  readonly report: string | null
  /** 0 until it is answered, and for good where the connection was dropped. */
  readonly status: number
}

/** What goes wrong, and in which ways the server is peculiar. All off at first; set them at any time. */
export interface Faults {
  /** Answers the next requests that fit with this status. */
  fail: { status: number; times: number; method?: string; path?: RegExp; retryAfter?: string; body?: string } | null
  /** How many requests pass before `fail` begins. */
  failAfter: number
  /** Carries out this many writes and then drops the connection. */
  lostAnswers: number
  /** Drops the connection of this many requests before doing anything. */
  droppedRequests: number
  /** Ends XML answers after this share of them; `clean` ends them as if that were all, else the connection breaks. */
  cut: { at: number; clean: boolean } | null
  /** Lists books as if they were empty. */
  emptyListing: boolean
  /** Waits before each answer. */
  slow_ms: number
  /** Stores something else than what was put, and answers without an etag. */
  rewrite: ((text: string) => string) | null
  /** The etag of a PUT's answer. */
  putEtag: 'strong' | 'weak' | 'none'
  syncCollection: boolean
  multiget: boolean
  ctag: boolean
  /** Whether reports tell getlastmodified. */
  times: boolean
  /** At most so many members in one sync-collection answer; the rest follows with 507. */
  sync_max: number
  /** How hrefs are written. */
  hrefs: 'path' | 'absolute' | 'foreign' | 'outside'
  readOnly: boolean
}

export interface SimulatorOptions {
  readonly username: string
  readonly password: string
  readonly books: readonly {
    readonly name: string
    /** The last part of its path; the name by default. */
    readonly path?: string
    readonly cards?: { readonly [name: string]: string }
  }[]
  readonly port?: number
  readonly now?: () => number
}

interface Book {
  readonly name: string
  readonly path: string
  readonly cards: Map<string, SimulatedCard>
  /** When each name last changed, deletions included. */
  readonly changes: Map<string, number>
  seq: number
  /** Tokens from before are expired. */
  floor: number
}

interface Answer {
  readonly status: number
  readonly headers?: { readonly [name: string]: string }
  readonly body?: string
}

const NAMESPACES = 'xmlns:d="DAV:" xmlns:card="urn:ietf:params:xml:ns:carddav" xmlns:cs="http://calendarserver.org/ns/"'
const xml = new XMLParser({
  removeNSPrefix: true,
  ignoreAttributes: false,
  parseTagValue: false,
  isArray: (name) => name === 'href',
})

export async function startCardDavSimulator(options: SimulatorOptions): Promise<CardDavSimulator> {
  const simulator = new Simulator(options)
  await simulator.listen(options.port ?? 0)
  return simulator
}

class Simulator implements CardDavSimulator {
  readonly faults: Faults = {
    fail: null,
    failAfter: 0,
    lostAnswers: 0,
    droppedRequests: 0,
    cut: null,
    emptyListing: false,
    slow_ms: 0,
    rewrite: null,
    putEtag: 'strong',
    syncCollection: true,
    multiget: true,
    ctag: true,
    times: true,
    sync_max: Number.POSITIVE_INFINITY,
    hrefs: 'path',
    readOnly: false,
  }
  readonly requests: SimulatedRequest[] = []
  readonly #options: SimulatorOptions
  readonly #authorization: string
  readonly #home: string
  readonly #books: Book[]
  readonly #server: SimulatorServer
  #writes = 0

  constructor(options: SimulatorOptions) {
    this.#options = options
    this.#authorization = `Basic ${Buffer.from(`${options.username}:${options.password}`).toString('base64')}`
    this.#home = `/books/${encodeURIComponent(options.username)}/`
    this.#books = options.books.map(({ name, path }) => ({
      name,
      path: `${this.#home}${encodeURIComponent(path ?? name)}/`,
      cards: new Map(),
      changes: new Map(),
      seq: 0,
      floor: 0,
    }))
    for (const [index, { cards }] of options.books.entries()) {
      for (const [name, text] of Object.entries(cards ?? {})) this.#store(this.#books[index] as Book, name, text)
    }
    this.#server = new SimulatorServer((request, response) => this.#serve(request, response))
  }

  async listen(port: number): Promise<void> {
    await this.#server.listen(port)
  }

  get url(): string {
    return `${this.#server.origin}/`
  }

  get bookUrl(): string {
    return new URL(this.#bookNamed(undefined).path, this.url).href
  }

  get cards(): ReadonlyMap<string, SimulatedCard> {
    return this.#bookNamed(undefined).cards
  }

  put(name: string, text: string, book?: string): string {
    return this.#store(this.#bookNamed(book), name, text)
  }

  remove(name: string, book?: string): void {
    this.#remove(this.#bookNamed(book), name)
  }

  expireTokens(): void {
    for (const book of this.#books) book.floor = ++book.seq
  }

  async close(): Promise<void> {
    await this.#server.close()
  }

  #bookNamed(name: string | undefined): Book {
    const book = name === undefined ? this.#books[0] : this.#books.find((each) => each.name === name)
    if (!book) throw new RangeError('the simulator has no such address book')
    return book
  }

  #store(book: Book, name: string, text: string): string {
    const hash = createHash('sha256').update(`${++this.#writes} ${text}`).digest('hex').slice(0, 16)
    const modified_ms = (this.#options.now ?? Date.now)()
    book.cards.set(name, { text, etag: `"${hash}"`, modified_ms })
    this.#changed(book, name)
    return `"${hash}"`
  }

  #remove(book: Book, name: string): void {
    if (book.cards.delete(name)) this.#changed(book, name)
  }

  #changed(book: Book, name: string): void {
    book.changes.set(name, ++book.seq)
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await bodyOf(request)
    const method = request.method ?? ''
    const path = new URL(request.url ?? '/', this.url).pathname
    const index = this.requests.push({ method, path, report: rootOf(body), status: 0 }) - 1
    if (this.faults.slow_ms > 0) await sleep(this.faults.slow_ms, undefined, { signal: this.#server.closing })
    if (this.faults.droppedRequests > 0) {
      this.faults.droppedRequests--
      request.socket.destroy()
      return
    }
    const answer = this.#failure(method, path) ?? this.#answer(request, method, path, body)
    this.requests[index] = { method, path, report: rootOf(body), status: answer.status }
    if (this.faults.lostAnswers > 0 && (method === 'PUT' || method === 'DELETE') && answer.status < 300) {
      this.faults.lostAnswers--
      request.socket.destroy()
      return
    }
    this.#reply(response, answer)
  }

  #failure(method: string, path: string): Answer | undefined {
    const { fail } = this.faults
    if (!fail || (fail.method !== undefined && fail.method !== method) || !(fail.path?.test(path) ?? true))
      return undefined
    if (this.faults.failAfter > 0) {
      this.faults.failAfter--
      return undefined
    }
    if (--fail.times <= 0) this.faults.fail = null
    const retry: { [name: string]: string } = fail.retryAfter === undefined ? {} : { 'Retry-After': fail.retryAfter }
    return { status: fail.status, headers: retry, body: fail.body ?? 'failed on purpose' }
  }

  #reply(response: ServerResponse, answer: Answer): void {
    const body = Buffer.from(answer.body ?? '')
    const isXml = answer.body?.startsWith('<?xml') ?? false
    const headers = { ...(isXml ? { 'Content-Type': 'application/xml; charset=utf-8' } : {}), ...answer.headers }
    const { cut } = this.faults
    if (cut && isXml) {
      const part = body.subarray(0, Math.floor(body.length * cut.at))
      response.writeHead(answer.status, { ...headers, 'Content-Length': cut.clean ? part.length : body.length })
      if (cut.clean) response.end(part)
      else response.write(part, () => response.destroy())
      return
    }
    response.writeHead(answer.status, { ...headers, 'Content-Length': body.length })
    response.end(body)
  }

  #answer(request: IncomingMessage, method: string, path: string, body: string): Answer {
    if (path === '/.well-known/carddav') return { status: 301, headers: { Location: '/' } }
    if (request.headers.authorization !== this.#authorization) {
      return { status: 401, headers: { 'WWW-Authenticate': 'Basic realm="simulator"' } }
    }
    const book = this.#books.find((each) => path.startsWith(each.path) || `${path}/` === each.path)
    if (method === 'PROPFIND') return this.#propfind(path, book, request.headers.depth === '1', body)
    if (!book) return { status: 404 }
    const name = nameOf(path.slice(book.path.length))
    if (method === 'REPORT') return this.#report(book, body)
    if (name === null || name === '') return { status: 405 }
    if (method === 'GET') return get(book.cards.get(name))
    if (method === 'PUT') return this.#put(book, name, request, body)
    if (method === 'DELETE') return this.#delete(book, name, request)
    return { status: 405 }
  }

  #propfind(path: string, book: Book | undefined, deep: boolean, body: string): Answer {
    const asked = propsOf(body)
    if (!book) {
      if (path !== '/' && path !== this.#home) return { status: 404 }
      const children = deep && path === this.#home ? this.#books.map((each) => this.#bookResponse(each, asked)) : []
      return multistatus([this.#rootResponse(path, asked), ...children])
    }
    const name = nameOf(path.slice(book.path.length)) ?? ''
    if (name !== '') {
      const card = book.cards.get(name)
      return card ? multistatus([this.#cardResponse(book, name, card, asked, true)]) : { status: 404 }
    }
    const members = deep && !this.faults.emptyListing ? [...book.cards] : []
    const cards = members.map(([member, card]) => this.#cardResponse(book, member, card, asked, true))
    return multistatus([this.#bookResponse(book, asked), ...cards])
  }

  #rootResponse(path: string, asked: ReadonlySet<string>): string {
    return this.#response(path, asked, {
      resourcetype: path === this.#home ? '<d:collection/><d:principal/>' : '<d:collection/>',
      'current-user-principal': `<d:href>${this.#href(this.#home)}</d:href>`,
      ...(path === this.#home ? { 'addressbook-home-set': `<d:href>${this.#href(this.#home)}</d:href>` } : {}),
    })
  }

  #bookResponse(book: Book, asked: ReadonlySet<string>): string {
    const reports = [
      ...(this.faults.syncCollection ? ['d:sync-collection'] : []),
      ...(this.faults.multiget ? ['card:addressbook-multiget'] : []),
      'card:addressbook-query',
    ]
    const report = (each: string): string => `<d:supported-report><d:report><${each}/></d:report></d:supported-report>`
    const privileges = this.faults.readOnly ? ['d:read'] : ['d:read', 'd:write']
    return this.#response(book.path, asked, {
      resourcetype: '<d:collection/><card:addressbook/>',
      displayname: escape(book.name),
      'current-user-principal': `<d:href>${this.#href(this.#home)}</d:href>`,
      'supported-report-set': reports.map(report).join(''),
      'current-user-privilege-set': privileges.map((each) => `<d:privilege><${each}/></d:privilege>`).join(''),
      ...(this.faults.ctag ? { getctag: `tag-${book.seq}` } : {}),
      ...(this.faults.syncCollection ? { 'sync-token': token(book) } : {}),
    })
  }

  #cardResponse(book: Book, name: string, card: SimulatedCard, asked: ReadonlySet<string>, times: boolean): string {
    return this.#response(this.#cardPath(book, name), asked, {
      resourcetype: '',
      getetag: escape(card.etag),
      getcontenttype: name.endsWith('.vcf') ? 'text/vcard; charset=utf-8' : 'text/plain',
      'address-data': escape(card.text),
      ...(times ? { getlastmodified: new Date(card.modified_ms).toUTCString() } : {}),
    })
  }

  #response(path: string, asked: ReadonlySet<string>, known: { readonly [prop: string]: string }): string {
    const has = [...asked].filter((name) => name in known)
    const lacks = [...asked].filter((name) => !(name in known))
    const found = has.map((name) => element(name, known[name] ?? '')).join('')
    const missing = lacks.map((name) => element(name, '')).join('')
    return (
      `<d:response><d:href>${this.#href(path)}</d:href>` +
      `<d:propstat><d:prop>${found}</d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat>` +
      (missing === ''
        ? ''
        : `<d:propstat><d:prop>${missing}</d:prop><d:status>HTTP/1.1 404 Not Found</d:status></d:propstat>`) +
      '</d:response>'
    )
  }

  #href(path: string): string {
    const { hrefs } = this.faults
    if (hrefs === 'absolute') return escape(new URL(path, this.url).href)
    if (hrefs === 'foreign') return escape(`https://elsewhere.example${path}`)
    return escape(hrefs === 'outside' && path.endsWith('.vcf') ? `/somewhere/else${path}` : path)
  }

  #cardPath(book: Book, name: string): string {
    return book.path + encodeURIComponent(name)
  }

  #report(book: Book, body: string): Answer {
    const root = rootOf(body)
    if (root === 'sync-collection' && this.faults.syncCollection) return this.#sync(book, body)
    if (root === 'addressbook-multiget' && this.faults.multiget) return this.#multiget(book, body)
    if (root === 'addressbook-query') return this.#query(book, body)
    return precondition(403, '<d:supported-report/>')
  }

  #sync(book: Book, body: string): Answer {
    const given = /<[^>]*sync-token>([^<]*)</.exec(body)?.[1] ?? ''
    const since = given === '' ? 0 : Number(/^http:\/\/simulator\/sync\/(\d+)$/.exec(given)?.[1] ?? Number.NaN)
    const known = given === '' || (since >= book.floor && since <= book.seq)
    if (!known) return precondition(403, '<d:valid-sync-token/>')
    const asked = propsOf(body)
    const changed = [...book.changes]
      .filter(([name, seq]) => seq > since && (given !== '' || book.cards.has(name)))
      .sort(([, a], [, b]) => a - b)
    const page = this.faults.emptyListing ? [] : changed.slice(0, this.faults.sync_max)
    const more = !this.faults.emptyListing && page.length < changed.length
    const responses = page.map(([name]) => {
      const card = book.cards.get(name)
      if (card) return this.#cardResponse(book, name, card, asked, this.faults.times)
      return statusResponse(this.#href(this.#cardPath(book, name)), '404 Not Found')
    })
    if (more) responses.push(statusResponse(this.#href(book.path), '507 Insufficient Storage'))
    const reached = more ? (page.at(-1)?.[1] ?? since) : book.seq
    return multistatus(responses, `<d:sync-token>http://simulator/sync/${reached}</d:sync-token>`)
  }

  #multiget(book: Book, body: string): Answer {
    const asked = propsOf(body)
    const parsed = xml.parse(body) as { 'addressbook-multiget'?: { href?: string[] } }
    const responses = (parsed['addressbook-multiget']?.href ?? []).map((href) => {
      const path = new URL(href, this.url).pathname
      const name = path.startsWith(book.path) ? nameOf(path.slice(book.path.length)) : null
      const card = name === null ? undefined : book.cards.get(name)
      if (name === null || !card) return statusResponse(this.#href(path), '404 Not Found')
      return this.#cardResponse(book, name, card, asked, this.faults.times)
    })
    return multistatus(responses)
  }

  #query(book: Book, body: string): Answer {
    const uid = /<[^>]*text-match[^>]*>([^<]*)</.exec(body)?.[1] ?? ''
    const asked = propsOf(body)
    const hits = [...book.cards].filter(([, { text }]) => uidOf(text) === uid)
    return multistatus(hits.map(([name, card]) => this.#cardResponse(book, name, card, asked, this.faults.times)))
  }

  #put(book: Book, name: string, request: IncomingMessage, text: string): Answer {
    const present = book.cards.get(name)
    if (this.faults.readOnly) return precondition(403, '<d:need-privileges/>')
    if (request.headers['if-none-match'] === '*' && present) return { status: 412 }
    if (request.headers['if-match'] !== undefined && request.headers['if-match'] !== present?.etag)
      return { status: 412 }
    if (!/^BEGIN:VCARD\r?\n[\s\S]*END:VCARD\s*$/i.test(text)) return precondition(403, '<card:valid-address-data/>')
    const twin = [...book.cards].find(([other, card]) => other !== name && uidOf(card.text) === uidOf(text))
    if (twin) {
      const href = `<d:href>${this.#href(this.#cardPath(book, twin[0]))}</d:href>`
      return precondition(409, `<card:no-uid-conflict>${href}</card:no-uid-conflict>`)
    }
    const etag = this.#store(book, name, this.faults.rewrite?.(text) ?? text)
    const shown = this.faults.rewrite ? 'none' : this.faults.putEtag
    const headers = { strong: { ETag: etag }, weak: { ETag: `W/${etag}` }, none: {} }[shown]
    return { status: present ? 204 : 201, headers: headers as { [name: string]: string } }
  }

  #delete(book: Book, name: string, request: IncomingMessage): Answer {
    const present = book.cards.get(name)
    if (this.faults.readOnly) return precondition(403, '<d:need-privileges/>')
    if (request.headers['if-match'] !== undefined && request.headers['if-match'] !== present?.etag)
      return { status: 412 }
    if (!present) return { status: 404 }
    this.#remove(book, name)
    return { status: 204 }
  }
}

function get(card: SimulatedCard | undefined): Answer {
  if (!card) return { status: 404 }
  const modified = new Date(card.modified_ms).toUTCString()
  return {
    status: 200,
    headers: { 'Content-Type': 'text/vcard', ETag: card.etag, 'Last-Modified': modified },
    body: card.text,
  }
}

function multistatus(responses: readonly string[], tail = ''): Answer {
  const body = `<?xml version="1.0" encoding="utf-8"?>\n<d:multistatus ${NAMESPACES}>${responses.join('')}${tail}</d:multistatus>`
  return { status: 207, body }
}

function statusResponse(href: string, status: string): string {
  return `<d:response><d:href>${href}</d:href><d:status>HTTP/1.1 ${status}</d:status></d:response>`
}

function precondition(status: number, inner: string): Answer {
  return { status, body: `<?xml version="1.0" encoding="utf-8"?>\n<d:error ${NAMESPACES}>${inner}</d:error>` }
}

const CARD_PROPS = new Set(['address-data', 'addressbook-home-set'])

function element(name: string, inner: string): string {
  const prefix = CARD_PROPS.has(name) ? 'card' : name === 'getctag' ? 'cs' : 'd'
  return inner === '' ? `<${prefix}:${name}/>` : `<${prefix}:${name}>${inner}</${prefix}:${name}>`
}

function token(book: Book): string {
  return `http://simulator/sync/${book.seq}`
}

function rootOf(body: string): string | null {
  return /^(?:<\?xml[^>]*\?>)?\s*<(?:[\w-]+:)?([\w-]+)/.exec(body)?.[1] ?? null
}

function propsOf(body: string): Set<string> {
  const inner = /<(?:[\w-]+:)?prop>([\s\S]*?)<\/(?:[\w-]+:)?prop>/.exec(body)?.[1] ?? ''
  return new Set([...inner.matchAll(/<(?:[\w-]+:)?([\w-]+)/g)].map((match) => match[1] ?? ''))
}

function nameOf(segment: string): string | null {
  try {
    return decodeURIComponent(segment)
  } catch {
    return null
  }
}

function uidOf(text: string): string | undefined {
  return /^UID(?:;[^:]*)?:(.*)$/im.exec(text)?.[1]?.trim()
}

/** As a server that escapes more than it must: the client has to cope with character references. */
function escape(text: string): string {
  return text
    .replace(/&/g, '&amp;')
    .replace(/</g, '&lt;')
    .replace(/>/g, '&gt;')
    .replace(/"/g, '&quot;')
    .replace(/\r/g, '&#13;')
}
