import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Json, JsonObject } from '../../engine/core/json.ts'
import { bodyOf, SimulatorServer } from '../simulator-server.ts'
import { AddressBook, type Contact } from './simulator-book.ts'
import { CREATE_MAX, DELETE_MAX, GROUP_PAGE_MAX, PAGE_MAX, READ_MAX, UPDATE_MAX } from './wire.ts'

/**
 * The People API and its token endpoint in memory, on loopback: paths, shapes, limits, lag and errors as Google documents
 * them. It shares the shapes of the wire with the client and none of its code.
 */
export interface GoogleSimulator {
  readonly rootUrl: string
  readonly tokenUrl: string
  /** The account as people see it, at once. */
  readonly book: AddressBook
  readonly faults: Faults
  /** What was asked and answered so far. */
  readonly exchanges: readonly Exchange[]
  /** Mutations that were under way at once, at most: Google wants one. */
  readonly mutationsAtOnce_max: number
  /** Every access token handed out so far is refused from now on. */
  expireAccess(): void
  /** Every sync token handed out so far is too old. */
  expireSyncTokens(): void
  close(): Promise<void>
}

export interface Exchange {
  readonly method: string
  readonly path: string
  readonly query: readonly (readonly [string, string])[]
  readonly body: Json | undefined
  /** 0 where the connection was dropped. */
  readonly status: number
  readonly answer: Json
}

/** What goes wrong. All off at first; set them at any time. */
export interface Faults {
  /** Answers the next calls of the API that fit with this status. */
  fail: { http: number; status: string; times: number; reason?: string; retryAfter?: string; path?: RegExp } | null
  /** Carries out this many mutations and then drops the connection. */
  lostAnswers: number
  /** Breaks the connection in the middle of this many answers to listings. */
  brokenListings: number
  /** Ends this many listings early, as if that were all, without a token. */
  cutListings: number
  /** Every other contact of the next batch fails for the moment; the rest is written. */
  partialFailure: boolean
  /** How contacts that cannot be written are told: the batch fails and names them, fails and does not, or each has its status. */
  refusals: 'named' | 'nameless' | 'each'
  /** batchGet lags like listings do. */
  staleReads: boolean
  /** The sign-in has ended: access and refresh tokens are refused. */
  signedOut: boolean
  /** The API is refused for another reason than the token: `SERVICE_DISABLED`, `ACCESS_TOKEN_SCOPE_INSUFFICIENT`. */
  forbidden: string | null
  /** Calls that the quota of a minute allows. */
  quota: number
  /** How many more full listings may begin: they have a quota of their own. */
  fullSyncs: number
  /** Waits before each answer. */
  slow_ms: number
}

export interface SimulatorOptions {
  readonly clientId?: string
  readonly clientSecret?: string
  readonly refreshToken?: string
  /** An access token that is good from the start. */
  readonly accessToken?: string
  readonly port?: number
  readonly now?: () => number
  /** How long listings take to show a change. */
  readonly lag_ms?: number
}

const HOUR_S = 3600
const SYNC_TOKEN_LIFE_MS = 7 * 24 * 60 * 60_000
const MINUTE_MS = 60_000

export async function startGoogleSimulator(options: SimulatorOptions = {}): Promise<GoogleSimulator> {
  const simulator = new Simulator(options)
  await simulator.listen(options.port ?? 0)
  return simulator
}

/** A refusal on its way to the answer. */
class ApiError extends Error {
  readonly http: number
  readonly status: string
  readonly details: readonly JsonObject[]
  readonly retryAfter: string | undefined

  constructor(http: number, status: string, message: string, details: readonly JsonObject[] = [], retryAfter?: string) {
    super(message)
    this.http = http
    this.status = status
    this.details = details
    this.retryAfter = retryAfter
  }
}

interface Call {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly body: JsonObject
}

/** Codes of google.rpc.Status, and the HTTP status of a call that fails with one. */
const CODES: { readonly [status: string]: readonly [code: number, http: number] } = {
  INVALID_ARGUMENT: [3, 400],
  NOT_FOUND: [5, 404],
  FAILED_PRECONDITION: [9, 400],
  UNAVAILABLE: [14, 503],
}

class Simulator implements GoogleSimulator {
  readonly faults: Faults = {
    fail: null,
    lostAnswers: 0,
    brokenListings: 0,
    cutListings: 0,
    partialFailure: false,
    refusals: 'named',
    staleReads: false,
    signedOut: false,
    forbidden: null,
    quota: Number.POSITIVE_INFINITY,
    fullSyncs: Number.POSITIVE_INFINITY,
    slow_ms: 0,
  }
  readonly book: AddressBook
  readonly exchanges: Exchange[] = []
  mutationsAtOnce_max = 0
  readonly #options: SimulatorOptions
  readonly #now: () => number
  readonly #server: SimulatorServer
  /** Access tokens, and when each ends. */
  readonly #access = new Map<string, number>()
  readonly #calls_ms: number[] = []
  #tokens = 0
  #epoch = 0
  #mutations = 0

  constructor(options: SimulatorOptions) {
    this.#options = options
    this.#now = options.now ?? Date.now
    this.book = new AddressBook(this.#now, options.lag_ms ?? 0)
    if (options.accessToken !== undefined) this.#access.set(options.accessToken, Infinity)
    this.#server = new SimulatorServer((request, response) => this.#serve(request, response))
  }

  async listen(port: number): Promise<void> {
    await this.#server.listen(port)
  }

  get rootUrl(): string {
    return `${this.#server.origin}/`
  }

  get tokenUrl(): string {
    return `${this.rootUrl}token`
  }

  expireAccess(): void {
    this.#access.clear()
  }

  expireSyncTokens(): void {
    this.#epoch += 1
  }

  async close(): Promise<void> {
    await this.#server.close()
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const text = await bodyOf(request)
    const url = new URL(request.url ?? '/', this.rootUrl)
    const method = request.method ?? ''
    if (url.pathname === '/token') {
      const [status, answer] = this.#token(new URLSearchParams(text))
      this.exchanges.push({ method, path: url.pathname, query: [], body: undefined, status, answer: {} })
      return reply(response, status, answer)
    }
    const body = text === '' ? undefined : (JSON.parse(text) as JsonObject)
    const call: Call = { method, path: url.pathname, query: url.searchParams, body: body ?? {} }
    const mutation = method !== 'GET'
    if (mutation) this.mutationsAtOnce_max = Math.max(this.mutationsAtOnce_max, ++this.#mutations)
    try {
      if (this.faults.slow_ms > 0) await sleep(this.faults.slow_ms, undefined, { signal: this.#server.closing })
      const [status, answer, headers] = this.#answered(call, request.headers.authorization)
      const lost = mutation && status < 300 && this.faults.lostAnswers > 0
      this.exchanges.push({
        method,
        path: call.path,
        query: [...url.searchParams],
        body,
        status: lost ? 0 : status,
        answer,
      })
      if (lost) {
        this.faults.lostAnswers -= 1
        request.socket.destroy()
        return
      }
      const listing = call.path.endsWith('/connections') && status === 200
      if (listing && this.faults.brokenListings > 0) {
        this.faults.brokenListings -= 1
        const whole = Buffer.from(JSON.stringify(answer))
        response.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': whole.length })
        response.write(whole.subarray(0, whole.length / 2), () => response.destroy())
        return
      }
      reply(response, status, answer, headers)
    } finally {
      if (mutation) this.#mutations -= 1
    }
  }

  #answered(call: Call, authorization: string | undefined): [number, JsonObject, { [name: string]: string }] {
    try {
      this.#admit(call, authorization)
      return [200, this.#answer(call), {}]
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      const { http, status, message, details, retryAfter } = error
      const headers: { [name: string]: string } = retryAfter === undefined ? {} : { 'Retry-After': retryAfter }
      return [http, { error: { code: http, message, status, details: [...details] } }, headers]
    }
  }

  #token(form: URLSearchParams): [number, JsonObject] {
    const { clientId, clientSecret, refreshToken } = this.#options
    if (form.get('client_id') !== clientId || form.get('client_secret') !== clientSecret) {
      return [401, { error: 'invalid_client', error_description: 'The OAuth client was not found.' }]
    }
    if (form.get('grant_type') !== 'refresh_token') return [400, { error: 'unsupported_grant_type' }]
    if (this.faults.signedOut || form.get('refresh_token') !== refreshToken) {
      return [400, { error: 'invalid_grant', error_description: 'Token has been expired or revoked.' }]
    }
    this.#tokens += 1
    const accessToken = `ya29.access-${this.#tokens}`
    this.#access.set(accessToken, this.#now() + HOUR_S * 1000)
    const scope = 'https://www.googleapis.com/auth/contacts'
    return [200, { access_token: accessToken, expires_in: HOUR_S - 1, scope, token_type: 'Bearer' }]
  }

  /** All that is looked at before the call itself. */
  #admit({ path }: Call, authorization: string | undefined): void {
    const { fail, forbidden } = this.faults
    if (this.faults.signedOut || this.#now() >= (this.#access.get(authorization?.replace(/^Bearer /, '') ?? '') ?? 0)) {
      throw new ApiError(401, 'UNAUTHENTICATED', 'Request had invalid authentication credentials.', [
        info('ACCESS_TOKEN_EXPIRED'),
      ])
    }
    if (forbidden !== null) throw new ApiError(403, 'PERMISSION_DENIED', 'Not allowed.', [info(forbidden)])
    const now_ms = this.#now()
    while ((this.#calls_ms[0] ?? now_ms) < now_ms - MINUTE_MS) this.#calls_ms.shift()
    if (this.#calls_ms.push(now_ms) > this.faults.quota) throw outOfQuota()
    if (fail && (fail.path?.test(path) ?? true)) {
      fail.times -= 1
      if (fail.times <= 0) this.faults.fail = null
      const details = fail.reason === undefined ? [] : [info(fail.reason)]
      throw new ApiError(fail.http, fail.status, 'failed on purpose', details, fail.retryAfter)
    }
  }

  #answer(call: Call): JsonObject {
    const { method, path, query, body } = call
    switch (`${method} ${path}`) {
      case 'GET /v1/people/me/connections':
        return this.#connections(query)
      case 'GET /v1/people:batchGet':
        return this.#batchGet(query)
      case 'POST /v1/people:batchCreateContacts':
        return this.#batchCreate(body)
      case 'POST /v1/people:batchUpdateContacts':
        return this.#batchUpdate(body)
      case 'POST /v1/people:batchDeleteContacts':
        return this.#batchDelete(body)
      case 'GET /v1/contactGroups':
        return this.#groups(query)
      case 'POST /v1/contactGroups':
        return this.#createGroup(body)
      default:
        if (method === 'GET' && path.startsWith('/v1/contactGroups/')) return this.#group(path.slice(4), query)
        throw new ApiError(404, 'NOT_FOUND', 'Method not found.')
    }
  }

  #connections(query: URLSearchParams): JsonObject {
    const mask = maskFrom(query.get('personFields'), 'personFields')
    const size = sizeFrom(query, PAGE_MAX, 100)
    const asked = ['personFields', 'pageSize', 'sources', 'requestSyncToken', 'sortOrder']
      .map((name) => query.getAll(name).join(','))
      .join(' ')
    const horizon = this.book.horizon()
    const sync = query.has('syncToken') ? this.#syncToken(query.get('syncToken') ?? '', asked) : null
    const page = query.has('pageToken')
      ? pageToken(query.get('pageToken') ?? '', asked)
      : { after: sync?.seq ?? 0, first: horizon, count: 0 }
    if (!sync && !query.has('pageToken') && query.get('requestSyncToken') === 'true' && this.faults.fullSyncs-- <= 0) {
      throw outOfQuota()
    }
    const end = sync ? page.first : horizon
    const lines = this.book.changes(page.after, end).filter(({ contact }) => sync !== null || contact.state !== null)
    const shown = lines.slice(0, size)
    const connections = shown.map(({ contact }) => personFrom(contact, mask, sync !== null))
    const more = lines.length > size
    if (this.faults.cutListings > 0) {
      this.faults.cutListings -= 1
      return { connections: connections.slice(0, Math.ceil(connections.length / 2)) }
    }
    const next: JsonObject = more
      ? { nextPageToken: token({ after: shown.at(-1)?.seq ?? 0, first: page.first, asked }) }
      : query.get('requestSyncToken') === 'true'
        ? {
            nextSyncToken: token({
              seq: page.first,
              full_ms: sync?.full_ms ?? this.#now(),
              epoch: this.#epoch,
              asked,
            }),
          }
        : {}
    const total = sync ? {} : { totalItems: this.book.count(end), totalPeople: this.book.count(end) }
    return { ...(connections.length > 0 ? { connections } : {}), ...next, ...total }
  }

  #syncToken(text: string, asked: string): { seq: number; full_ms: number } {
    const { seq, full_ms, epoch, asked: before } = untoken(text)
    if (typeof seq !== 'number' || typeof full_ms !== 'number') throw invalid('sync_token', 'Sync token is invalid.')
    if (before !== asked) throw invalid('sync_token', 'Request parameters do not match those of the sync token.')
    if (epoch !== this.#epoch || this.#now() - full_ms > SYNC_TOKEN_LIFE_MS) {
      throw new ApiError(
        400,
        'FAILED_PRECONDITION',
        'Sync token is expired. Clear local cache and retry call without the sync token.',
        [info('EXPIRED_SYNC_TOKEN')],
      )
    }
    return { seq, full_ms }
  }

  #batchGet(query: URLSearchParams): JsonObject {
    const mask = maskFrom(query.get('personFields'), 'personFields')
    const names = query.getAll('resourceNames')
    if (names.length === 0 || names.length > READ_MAX) throw invalid('resource_names', `Must be 1 to ${READ_MAX}.`)
    const responses = names.map((requestedResourceName): JsonObject => {
      const contact = this.book.contact(requestedResourceName, this.faults.staleReads)
      if (!contact || contact.state === null) {
        return {
          requestedResourceName,
          httpStatusCode: 404,
          status: { code: 5, message: 'Requested entity was not found.' },
        }
      }
      return { requestedResourceName, httpStatusCode: 200, status: {}, person: personFrom(contact, mask, false) }
    })
    return { responses }
  }

  #batchCreate(body: JsonObject): JsonObject {
    const contacts = (body['contacts'] ?? []) as { contactPerson: JsonObject }[]
    const mask = maskFrom(body['readMask'], 'read_mask')
    if (contacts.length === 0 || contacts.length > CREATE_MAX) throw invalid('contacts', `Must be 1 to ${CREATE_MAX}.`)
    const faults = contacts.map(({ contactPerson }) => this.book.objection(contactPerson, null))
    const refused = this.#refused(
      faults.map((fault, index) => [String(index), fault] as const),
      'Create',
    )
    const createdPeople = contacts.map(({ contactPerson }, index): JsonObject => {
      const status = refused.get(String(index))
      if (status) return { status }
      const contact = this.book.contact(this.book.add(contactPerson), false) as Contact
      return {
        httpStatusCode: 200,
        status: {},
        requestedResourceName: contact.name,
        person: personFrom(contact, mask, false),
      }
    })
    // Nothing promises the order of the request.
    return { createdPeople: refused.size === 0 ? createdPeople.toReversed() : createdPeople }
  }

  #batchUpdate(body: JsonObject): JsonObject {
    const contacts = (body['contacts'] ?? {}) as { [name: string]: JsonObject }
    const fields = maskFrom(body['updateMask'], 'update_mask')
    const mask = maskFrom(body['readMask'], 'read_mask')
    const names = Object.keys(contacts)
    if (names.length === 0 || names.length > UPDATE_MAX) throw invalid('contacts', `Must be 1 to ${UPDATE_MAX}.`)
    const changes = names.map((name) => {
      const sent = contacts[name] ?? {}
      return { name, sent, change: Object.fromEntries(fields.map((field) => [field, sent[field] ?? []])) }
    })
    const refused = this.#refused(
      changes.map(
        ({ name, sent, change }) =>
          [name, this.book.collision(name, sent) ?? this.book.objection(change, name)] as const,
      ),
      'Update',
    )
    const updateResult = Object.fromEntries(
      changes.map(({ name, change }): [string, JsonObject] => {
        const status = refused.get(name)
        if (status) return [name, { status }]
        this.book.edit(name, change)
        const contact = this.book.contact(name, false) as Contact
        return [
          name,
          { httpStatusCode: 200, status: {}, requestedResourceName: name, person: personFrom(contact, mask, false) },
        ]
      }),
    )
    return { updateResult }
  }

  /** Which contacts of a batch are not written, by name; throws where that fails the whole batch. */
  #refused(
    all: readonly (readonly [string, readonly [status: string, message: string] | undefined])[],
    op: 'Create' | 'Update',
  ): ReadonlyMap<string, JsonObject> {
    const statusOf = (status: string, message: string): JsonObject => ({ code: CODES[status]?.[0] ?? 2, message })
    const bad = all.flatMap(([name, fault]) => (fault ? [[name, fault] as const] : []))
    const [first] = bad
    const errors = new Map(bad.map(([name, fault]) => [name, statusOf(...fault)]))
    if (first && this.faults.refusals !== 'each') {
      const [status, message] = first[1]
      const type = `type.googleapis.com/google.people.v1.Batch${op}ContactsErrorDetails`
      const details =
        this.faults.refusals === 'named' ? [{ '@type': type, contactErrors: Object.fromEntries(errors) }] : []
      throw new ApiError(CODES[status]?.[1] ?? 500, status, message, details)
    }
    if (this.faults.partialFailure) {
      this.faults.partialFailure = false
      for (const [index, [name]] of all.entries()) {
        if (index % 2 === 0) errors.set(name, statusOf('UNAVAILABLE', 'The service is currently unavailable.'))
      }
    }
    return errors
  }

  #batchDelete(body: JsonObject): JsonObject {
    const names = (body['resourceNames'] ?? []) as string[]
    if (names.length === 0 || names.length > DELETE_MAX) throw invalid('resource_names', `Must be 1 to ${DELETE_MAX}.`)
    if (names.some((name) => (this.book.contact(name, false)?.state ?? null) === null)) {
      throw new ApiError(404, 'NOT_FOUND', 'Requested entity was not found.')
    }
    for (const name of names) this.book.remove(name)
    return {}
  }

  #groups(query: URLSearchParams): JsonObject {
    const size = sizeFrom(query, GROUP_PAGE_MAX, 30)
    const from = Number(query.get('pageToken') ?? '0')
    const all = this.book.groups()
    return {
      contactGroups: all.slice(from, from + size),
      totalItems: all.length,
      ...(all.length > from + size ? { nextPageToken: String(from + size) } : {}),
    }
  }

  #group(name: string, query: URLSearchParams): JsonObject {
    const group = this.book.groups().find(({ resourceName }) => resourceName === name)
    if (!group) throw new ApiError(404, 'NOT_FOUND', 'Requested entity was not found.')
    const members = this.book.members(name).slice(0, Number(query.get('maxMembers') ?? '0'))
    return { ...group, ...(members.length > 0 ? { memberResourceNames: members } : {}) }
  }

  #createGroup(body: JsonObject): JsonObject {
    const { name } = (body['contactGroup'] ?? {}) as { name?: string }
    if (name === undefined || name.trim() === '') throw invalid('contact_group.name', 'Must not be empty.')
    if (this.book.groups().some((group) => group['formattedName'] === name)) {
      throw new ApiError(409, 'ALREADY_EXISTS', `Contact group name already exists: ${name}`)
    }
    const resourceName = this.book.addGroup(name)
    return this.book.groups().find((group) => group['resourceName'] === resourceName) ?? {}
  }
}

/** A person as the API shows it under a field mask. */
function personFrom(
  { name, state, etag, updated_ms, previous }: Contact,
  mask: readonly string[],
  synced: boolean,
): JsonObject {
  const id = name.slice('people/c'.length)
  const previousResourceNames = synced && previous.length > 0 ? { previousResourceNames: [...previous] } : {}
  if (state === null)
    return { resourceName: name, etag: `%${etag}`, metadata: { deleted: true, ...previousResourceNames } }
  const source = { type: 'CONTACT', id, etag: `#${etag}=`, updateTime: new Date(updated_ms).toISOString() }
  const shown = mask.filter((field) => state[field] !== undefined).map((field) => [field, state[field]])
  return {
    resourceName: name,
    etag: `%${Buffer.from(mask.join()).toString('base64').slice(0, 6)}${etag}`,
    ...(mask.includes('metadata')
      ? { metadata: { objectType: 'PERSON', sources: [source], ...previousResourceNames } }
      : {}),
    ...(Object.fromEntries(shown) as JsonObject),
  }
}

const MASK =
  /^(?:addresses|ageRanges|biographies|birthdays|calendarUrls|clientData|coverPhotos|emailAddresses|events|externalIds|genders|imClients|interests|locales|locations|memberships|metadata|miscKeywords|names|nicknames|occupations|organizations|phoneNumbers|photos|relations|sipAddresses|skills|urls|userDefined)$/

function maskFrom(mask: Json | undefined, field: string): string[] {
  const fields = typeof mask === 'string' && mask !== '' ? mask.split(',') : []
  if (fields.length === 0 || !fields.every((each) => MASK.test(each)))
    throw invalid(field, `Invalid ${field} mask path.`)
  return fields
}

function sizeFrom(query: URLSearchParams, max: number, usual: number): number {
  const size = Number(query.get('pageSize') ?? '0')
  if (!Number.isInteger(size) || size < 0 || size > max) throw invalid('page_size', `Must be 1 to ${max}.`)
  return size === 0 ? usual : size
}

function pageToken(text: string, asked: string): { after: number; first: number } {
  const { after, first, asked: before } = untoken(text)
  if (typeof after !== 'number' || typeof first !== 'number' || before !== asked) {
    throw invalid('page_token', 'Page token is invalid, or the parameters have changed.')
  }
  return { after, first }
}

function token(content: JsonObject): string {
  return Buffer.from(JSON.stringify(content)).toString('base64url')
}

function untoken(text: string): JsonObject {
  try {
    return Object(JSON.parse(Buffer.from(text, 'base64url').toString('utf8'))) as JsonObject
  } catch {
    return {}
  }
}

function info(reason: string): JsonObject {
  return { '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason, domain: 'googleapis.com' }
}

function invalid(field: string, description: string): ApiError {
  const violation = { '@type': 'type.googleapis.com/google.rpc.BadRequest', fieldViolations: [{ field, description }] }
  return new ApiError(400, 'INVALID_ARGUMENT', description, [violation])
}

function outOfQuota(): ApiError {
  const metric = "Quota exceeded for quota metric 'Critical read requests (Contact and Profile Reads)'"
  return new ApiError(429, 'RESOURCE_EXHAUSTED', metric, [info('RATE_LIMIT_EXCEEDED')])
}

function reply(
  response: ServerResponse,
  status: number,
  answer: JsonObject,
  headers: { [name: string]: string } = {},
): void {
  const body = Buffer.from(JSON.stringify(answer))
  response.writeHead(status, {
    'Content-Type': 'application/json; charset=UTF-8',
    'Content-Length': body.length,
    ...headers,
  })
  response.end(body)
}
