import { createHmac, randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { bodyOf, SimulatorServer } from '../simulator-server.ts'
import { SimulatedDeveloperApp } from './simulator-app.ts'
import { SimulatedLists, type ListFaults } from './simulator-lists.ts'
import {
  isRefusal,
  notFound,
  SimulatedContacts,
  STANDARD_PROPERTIES,
  type ChangeEvent,
  type Refusal,
  type SimulatedContact,
  type SimulatedProperty,
} from './simulator-contacts.ts'

/**
 * HubSpot's contacts API in memory, on loopback: for `kith demo`, and for the faults that the real one cannot be asked for. It
 * shares no code with the client, or both would share a mistake.
 */
export interface HubSpotSimulator {
  readonly url: string
  /** The account as its people see it: they add, edit, archive, restore and merge there. */
  readonly contacts: SimulatedContacts
  /** Its lists, and who is in them. */
  readonly lists: SimulatedLists
  readonly faults: Faults
  /** The app whose webhooks the account sends, as its developer set it up by the API. */
  readonly developerApp: SimulatedDeveloperApp
  /** What was asked so far. */
  readonly requests: readonly SimulatedRequest[]
  /** Sends webhooks from now on. */
  hook(target: HookTarget): void
  /** Waits until every event so far was delivered, or given up. */
  hooksDelivered(): Promise<void>
  close(): Promise<void>
}

export interface SimulatedRequest {
  readonly method: string
  /** With its query. */
  readonly path: string
  readonly body: unknown
  /** 0 until it is answered, and for good where the connection was dropped. */
  status: number
  answer: unknown
}

export interface HookTarget {
  readonly url: string
  readonly clientSecret: string
  readonly portalId: number
  /** The pause before the first retry; each next one is twice as long. */
  readonly pause_ms?: number
}

/** What goes wrong. All off at first; set them at any time. */
export interface Faults extends ListFaults {
  /** Answers the next requests that fit with this status. */
  fail: { status: number; times: number; path?: RegExp; retryAfter?: string; policyName?: string } | null
  /** Carries out this many writes and then drops the connection. */
  lostAnswers: number
  /** Of the next batch write, every second input fails for the moment. */
  partial: boolean
  /** Ends bodies after this share of them, cleanly, as a proxy that gave up does. */
  cut: number | null
  /** Waits before each answer. */
  slow_ms: number
  tokenRevoked: boolean
  /** Batches are refused as a whole, whatever the trace ids. */
  noMultiStatus: boolean
  /** Results do not repeat the trace id. */
  noTraceInResults: boolean
  /** The token lacks the scope for unsubscribing. */
  subscriptionsForbidden: boolean
  /** Merged ids are passed over in batch answers, rather than answered with what they became. */
  mergedLeftOut: boolean
}

export interface SimulatorOptions {
  readonly token: string
  /** Beside the standard ones; one of the same name takes its place. */
  readonly properties?: readonly SimulatedProperty[]
  readonly now?: () => number
  readonly port?: number
  readonly searchLag_ms?: number
  readonly mergeKeepsPrimary?: boolean
  /** Requests in 10 s, and searches in 1 s. */
  readonly requests_max?: number
  readonly searches_max?: number
}

interface Answer {
  readonly status: number
  readonly headers?: { readonly [name: string]: string }
  readonly json?: unknown
}

const BASE = '/crm/v3/objects/contacts'
const HOOK_EVENTS_MAX = 100
const HOOK_ATTEMPTS_MAX = 10
const DEFAULTS = ['createdate', 'email', 'firstname', 'hs_object_id', 'lastmodifieddate', 'lastname']

export async function startHubSpotSimulator(options: SimulatorOptions): Promise<HubSpotSimulator> {
  const simulator = new Simulator(options)
  await simulator.listen(options.port ?? 0)
  return simulator
}

class Simulator implements HubSpotSimulator {
  readonly contacts: SimulatedContacts
  readonly lists: SimulatedLists
  readonly developerApp = new SimulatedDeveloperApp()
  readonly requests: SimulatedRequest[] = []
  readonly faults: Faults = {
    fail: null,
    lostAnswers: 0,
    partial: false,
    cut: null,
    slow_ms: 0,
    tokenRevoked: false,
    noMultiStatus: false,
    noTraceInResults: false,
    subscriptionsForbidden: false,
    mergedLeftOut: false,
    listsForbidden: null,
    listLag_ms: 0,
    strangers: [],
  }
  readonly #options: SimulatorOptions
  readonly #server: SimulatorServer
  /** When the requests, and the searches, of the current windows came. */
  #recent: number[] = []
  #searches: number[] = []
  #target: HookTarget | undefined
  #events: (ChangeEvent & { eventId: number; occurredAt: number })[] = []
  #nextEvent = 1
  #delivery: Promise<void> = Promise.resolve()

  constructor(options: SimulatorOptions) {
    this.#options = options
    const given = options.properties ?? []
    const names = new Set(given.map(({ name }) => name))
    this.contacts = new SimulatedContacts({
      now: options.now ?? Date.now,
      properties: [...STANDARD_PROPERTIES.filter(({ name }) => !names.has(name)), ...given],
      searchLag_ms: options.searchLag_ms ?? 0,
      mergeKeepsPrimary: options.mergeKeepsPrimary ?? false,
    })
    this.lists = new SimulatedLists(this.contacts, this.faults)
    this.contacts.onChange = (event) => this.#announce(event)
    this.#server = new SimulatorServer((request, response) => this.#serve(request, response))
  }

  async listen(port: number): Promise<void> {
    await this.#server.listen(port)
  }

  get url(): string {
    return this.#server.origin
  }

  hook(target: HookTarget): void {
    this.#target = target
  }

  async hooksDelivered(): Promise<void> {
    await this.#delivery
  }

  async close(): Promise<void> {
    await this.#server.close()
    await this.#delivery
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const raw = await bodyOf(request)
    const url = new URL(request.url ?? '/', this.url)
    const method = request.method ?? ''
    const body = raw === '' ? null : (JSON.parse(raw) as unknown)
    const record: SimulatedRequest = { method, path: url.pathname + url.search, body, status: 0, answer: null }
    this.requests.push(record)
    if (this.faults.slow_ms > 0) await sleep(this.faults.slow_ms, undefined, { signal: this.#server.closing })
    const answer =
      this.developerApp.answer(method, url, body) ??
      this.#failure(url.pathname) ??
      this.#limited(url.pathname) ??
      this.#authorised(request) ??
      this.#answer(method, url, body)
    const isWrite = /\/(create|update|archive|merge|gdpr-delete|add-and-remove)$/.test(url.pathname)
    if (isWrite && this.faults.lostAnswers > 0 && answer.status < 300) {
      this.faults.lostAnswers--
      request.socket.destroy()
      return
    }
    record.status = answer.status
    record.answer = answer.json ?? null
    this.#reply(response, answer)
  }

  #reply(response: ServerResponse, answer: Answer): void {
    const whole = Buffer.from(answer.json === undefined ? '' : JSON.stringify(answer.json))
    const body =
      this.faults.cut !== null && answer.status < 300
        ? whole.subarray(0, Math.floor(whole.length * this.faults.cut))
        : whole
    response.writeHead(answer.status, {
      ...(whole.length > 0 ? { 'Content-Type': 'application/json;charset=utf-8' } : {}),
      'Content-Length': body.length,
      Date: new Date(this.contacts.now_ms).toUTCString(),
      ...answer.headers,
    })
    response.end(body)
  }

  #failure(path: string): Answer | undefined {
    const { fail } = this.faults
    if (!fail || !(fail.path?.test(path) ?? true)) return undefined
    if (--fail.times <= 0) this.faults.fail = null
    const headers: { [name: string]: string } = fail.retryAfter === undefined ? {} : { 'Retry-After': fail.retryAfter }
    if (fail.status === 429) return tooMany(fail.policyName ?? 'TEN_SECONDLY_ROLLING', headers)
    return { ...refused({ status: fail.status, category: 'INTERNAL_ERROR', message: 'failed on purpose' }), headers }
  }

  /** Rolling windows, as the account's plan has them; searches have one of their own, and no headers. */
  #limited(path: string): Answer | undefined {
    const { now_ms } = this.contacts
    if (isSearch(path)) {
      this.#searches = this.#searches.filter((at_ms) => now_ms - at_ms < 1000)
      if (this.#searches.length >= (this.#options.searches_max ?? Number.POSITIVE_INFINITY))
        return tooMany('SECONDLY', {})
      this.#searches.push(now_ms)
      return undefined
    }
    const max = this.#options.requests_max ?? 190
    this.#recent = this.#recent.filter((at_ms) => now_ms - at_ms < 10_000)
    if (this.#options.requests_max !== undefined && this.#recent.length >= max)
      return tooMany('TEN_SECONDLY_ROLLING', {})
    this.#recent.push(now_ms)
    return undefined
  }

  #budget(): { [name: string]: string } {
    const max = this.#options.requests_max ?? 190
    return {
      'X-HubSpot-RateLimit-Max': String(max),
      'X-HubSpot-RateLimit-Remaining': String(
        this.#options.requests_max === undefined ? max : max - this.#recent.length,
      ),
      'X-HubSpot-RateLimit-Interval-Milliseconds': '10000',
      'X-HubSpot-RateLimit-Daily': '250000',
      'X-HubSpot-RateLimit-Daily-Remaining': String(250_000 - this.requests.length),
    }
  }

  #authorised(request: IncomingMessage): Answer | undefined {
    if (!this.faults.tokenRevoked && request.headers.authorization === `Bearer ${this.#options.token}`) return undefined
    const message = 'Authentication credentials not found.'
    return refused({ status: 401, category: 'INVALID_AUTHENTICATION', message })
  }

  #answer(method: string, url: URL, body: unknown): Answer {
    const answer = this.#route(method, url, Object(body) as { [name: string]: unknown })
    return isSearch(url.pathname) ? answer : { ...answer, headers: { ...this.#budget(), ...answer.headers } }
  }

  #route(method: string, url: URL, body: { [name: string]: unknown }): Answer {
    const route = `${method} ${url.pathname}`
    switch (route) {
      case 'GET /crm/v3/properties/contacts':
        return { status: 200, json: { results: [...this.contacts.properties.values()].map(propertyJson) } }
      case `GET ${BASE}`:
        return this.#list(url.searchParams)
      case `POST ${BASE}/search`:
        return this.#search(body)
      case `POST ${BASE}/batch/read`:
        return this.#batchRead(body)
      case `POST ${BASE}/batch/create`:
        return this.#batchWrite(body, 201, ({ properties }) => this.contacts.create(properties, 'INTEGRATION'))
      case `POST ${BASE}/batch/update`:
        return this.#batchWrite(body, 200, ({ id, properties }) => this.contacts.update(id, properties, 'INTEGRATION'))
      case `POST ${BASE}/batch/archive`:
        for (const { id } of inputsOf(body)) this.contacts.archive(id)
        return { status: 204 }
      case `POST ${BASE}/merge`: {
        const [primary, other] = [String(body['primaryObjectId']), String(body['objectIdToMerge'])]
        const absent = [primary, other].filter((one) => !this.contacts.live().some((contact) => contact.id === one))
        if (absent.length > 0)
          return refused({ ...notFound(absent), message: `Object not found. ${absent.join(', ')}` })
        return {
          status: 200,
          json: this.#json(this.contacts.merge(primary, other), DEFAULTS, []),
        }
      }
      case `POST ${BASE}/gdpr-delete`:
        this.contacts.gdprDelete(String(body['objectId']))
        return { status: 204 }
    }
    const ofLists = this.lists.answer(method, url, body)
    if (ofLists) return ofLists
    const subscriber = /^POST \/communication-preferences\/v4\/statuses\/([^/]+)\/unsubscribe-all$/.exec(route)?.[1]
    if (subscriber !== undefined) return this.#unsubscribeAll(decodeURIComponent(subscriber), url.searchParams)
    const id = method === 'GET' ? new RegExp(`^${BASE}/(\\d+)$`).exec(url.pathname)?.[1] : undefined
    if (id === undefined) return refused({ status: 404, category: 'OBJECT_NOT_FOUND', message: 'resource not found' })
    const contact = this.contacts.resolve(id)
    if (!contact) return refused({ ...notFound([id]), message: `Object not found. objectId are usually numeric.` })
    return { status: 200, json: this.#json(contact, ...askedFor(url.searchParams)) }
  }

  #unsubscribeAll(address: string, query: URLSearchParams): Answer {
    if (query.get('channel') !== 'EMAIL') return invalid('channel must be EMAIL')
    if (!address.includes('@')) return invalid('not an e-mail address')
    if (this.faults.subscriptionsForbidden) {
      return refused({
        status: 403,
        category: 'MISSING_SCOPES',
        message: 'This app does not have the scopes for this.',
      })
    }
    this.contacts.optOut(address)
    const results = [{ channel: 'EMAIL', status: 'UNSUBSCRIBED', subscriberIdString: address }]
    return { status: 200, json: { status: 'COMPLETE', results } }
  }

  #list(query: URLSearchParams): Answer {
    const [properties, history] = askedFor(query)
    const limit = Number(query.get('limit') ?? 10)
    const limit_max = history.length > 0 ? 50 : 100
    if (limit > limit_max) return invalid(`limit must be at most ${limit_max}`)
    const after = Number(query.get('after') ?? 0)
    const all = query.get('archived') === 'true' ? this.contacts.archived() : this.contacts.live()
    const rest = all.filter(({ id }) => Number(id) >= after).sort((a, b) => Number(a.id) - Number(b.id))
    const page = rest.slice(0, limit)
    const next = rest[limit]
    const paging = next ? { paging: { next: { after: next.id, link: `${this.url}${BASE}?after=${next.id}` } } } : {}
    return {
      status: 200,
      json: { results: page.map((contact) => this.#json(contact, properties, history)), ...paging },
    }
  }

  #search(body: { [name: string]: unknown }): Answer {
    if (JSON.stringify(body).length > 3000) return invalid('the request body is longer than 3,000 characters')
    const limit = Number(body['limit'] ?? 10)
    const after = Number(body['after'] ?? 0)
    if (limit > 200) return invalid('limit must be at most 200')
    if (after + limit > 10_000) return invalid('paging beyond 10,000 results is not possible')
    const groups = (body['filterGroups'] ?? []) as { filters: Filter[] }[]
    const sorts = (body['sorts'] ?? []) as string[]
    if (sorts.length > 1) return invalid('only one sort is possible')
    if (groups.length > 5 || groups.some(({ filters }) => filters.length > 6)) return invalid('too many filters')
    const hits = this.contacts
      .indexed()
      .filter(
        (contact) =>
          groups.length === 0 || groups.some(({ filters }) => filters.every((filter) => fits(contact, filter))),
      )
    const sorted = sortedBy(sorts[0] ?? 'hs_object_id', hits)
    const page = sorted.slice(after, after + limit)
    const properties = ((body['properties'] ?? []) as string[]).concat(DEFAULTS)
    const paging = after + limit < hits.length ? { paging: { next: { after: String(after + limit) } } } : {}
    return {
      status: 200,
      json: {
        total: hits.length,
        results: page.map((contact) => this.#json(contact, properties, [], true)),
        ...paging,
      },
    }
  }

  #batchRead(body: { [name: string]: unknown }): Answer {
    const inputs = inputsOf(body)
    const properties = ((body['properties'] ?? []) as string[]).concat(DEFAULTS)
    const history = (body['propertiesWithHistory'] ?? []) as string[]
    if (inputs.length > 100) return invalid('The maximum number of inputs supported in a batch request is 100')
    if (history.length > 0 && inputs.length > 50)
      return invalid(
        'The maximum number of inputs supported in a batch request for property histories is 50. Please reduce the number of items and try again',
      )
    const idProperty = body['idProperty'] as string | undefined
    const found = new Map<string, SimulatedContact>()
    const missing: string[] = []
    for (const { id } of inputs) {
      const contact = idProperty === undefined ? this.contacts.resolve(id) : this.contacts.byValue(idProperty, id)
      if (!contact) missing.push(id)
      else if (idProperty !== undefined || contact.id === id || !this.faults.mergedLeftOut)
        found.set(contact.id, contact)
    }
    const results = [...found.values()].map((contact) => this.#json(contact, properties, history))
    return batchAnswer(200, results, missing.length === 0 ? [] : [errorJson(notFound(missing))])
  }

  /**
   * With a trace id in every input, each is settled on its own (207); without, or where the account does not do that, the
   * first that is refused refuses all.
   */
  #batchWrite(
    body: { [name: string]: unknown },
    done: number,
    write: (input: Input) => SimulatedContact | Refusal,
  ): Answer {
    const inputs = inputsOf(body)
    if (inputs.length > 100) return invalid('The maximum number of inputs supported in a batch request is 100')
    const traced =
      inputs.every(({ objectWriteTraceId }) => objectWriteTraceId !== undefined) && !this.faults.noMultiStatus
    const results: unknown[] = []
    const errors: unknown[] = []
    const { partial } = this.faults
    this.faults.partial = false
    if (!traced) {
      const refusal = inputs.map((input) => this.#rehearse(input)).find((each) => each !== undefined)
      if (refusal) return refused(refusal)
    }
    for (const [index, input] of inputs.entries()) {
      const trace = input.objectWriteTraceId
      const named = (refusal: Refusal): unknown =>
        errorJson(
          trace === undefined ? refusal : { ...refusal, context: { ...refusal.context, objectWriteTraceId: [trace] } },
        )
      // An id that was merged away is passed over in silence.
      if (input.id !== '' && this.contacts.resolve(input.id) && this.contacts.resolve(input.id)?.id !== input.id)
        continue
      if (partial && index % 2 === 1) {
        errors.push(named({ status: 500, category: 'INTERNAL_ERROR', message: 'internal error' }))
        continue
      }
      const result = write(input)
      if (isRefusal(result)) errors.push(named(result))
      else {
        const names =
          done === 201
            ? [...result.properties.keys(), ...DEFAULTS]
            : [...Object.keys(input.properties), 'hs_object_id', 'lastmodifieddate']
        const repeated = trace === undefined || this.faults.noTraceInResults ? {} : { objectWriteTraceId: trace }
        results.push({ ...(this.#json(result, names, []) as object), ...repeated })
      }
    }
    return batchAnswer(done, results, errors)
  }

  /** Whether an input would be refused, without doing it. */
  #rehearse(input: Input): Refusal | undefined {
    if (input.id !== '' && !this.contacts.resolve(input.id)) return notFound([input.id])
    return this.contacts.refusalOf(input.id === '' ? undefined : input.id, input.properties)
  }

  #json(
    contact: SimulatedContact,
    properties: readonly string[],
    history: readonly string[],
    indexed = false,
  ): unknown {
    const iso = (at_ms: number): string => new Date(at_ms).toISOString()
    const all = new Map(contact.properties)
    all.set('createdate', iso(contact.createdAt_ms)).set('lastmodifieddate', iso(contact.updatedAt_ms))
    const names = [...new Set([...properties, 'hs_object_id', 'createdate', 'lastmodifieddate'])]
    const versions = history.map((name) => [name, contact.history.get(name) ?? []])
    return {
      id: contact.id,
      properties:
        contact.broken && !indexed
          ? ['no properties']
          : Object.fromEntries(names.map((name) => [name, all.get(name) ?? null])),
      ...(history.length === 0 ? {} : { propertiesWithHistory: Object.fromEntries(versions) }),
      createdAt: iso(contact.createdAt_ms),
      updatedAt: iso(contact.updatedAt_ms),
      archived: contact.archivedAt_ms !== null,
      ...(contact.archivedAt_ms === null ? {} : { archivedAt: iso(contact.archivedAt_ms) }),
    }
  }

  #announce(event: ChangeEvent): void {
    if (!this.#target || !this.developerApp.sends(event)) return
    this.#events.push({ ...event, eventId: this.#nextEvent++, occurredAt: this.contacts.now_ms })
    const target = this.#target
    this.#delivery = this.#delivery.then(() => this.#deliver(target))
  }

  async #deliver(target: HookTarget): Promise<void> {
    const events = this.#events.splice(0, HOOK_EVENTS_MAX)
    if (events.length === 0) return
    for (let attempt = 0; attempt < HOOK_ATTEMPTS_MAX && !this.#server.closing.aborted; attempt++) {
      const body = JSON.stringify(events.map((event) => hookJson(event, target.portalId, attempt)))
      const timestamp = String(this.contacts.now_ms)
      const signature = createHmac('sha256', target.clientSecret)
        .update(`POST${decoded(target.url)}${body}${timestamp}`)
        .digest('base64')
      const headers = {
        'Content-Type': 'application/json',
        'X-HubSpot-Signature-v3': signature,
        'X-HubSpot-Request-Timestamp': timestamp,
      }
      const answer = await fetch(target.url, { method: 'POST', headers, body, signal: this.#server.closing }).catch(
        () => null,
      )
      await answer?.arrayBuffer()
      if (answer?.ok) return
      await sleep((target.pause_ms ?? 1000) * 2 ** attempt, undefined, { signal: this.#server.closing }).catch(
        () => undefined,
      )
    }
  }
}

/** The search for lists is none of these. */
function isSearch(path: string): boolean {
  return path.endsWith('/objects/contacts/search')
}

interface Input {
  readonly id: string
  readonly properties: { readonly [name: string]: string }
  readonly objectWriteTraceId?: string
}

interface Filter {
  readonly propertyName: string
  readonly operator: string
  readonly value?: string
}

function inputsOf(body: { [name: string]: unknown }): Input[] {
  return ((body['inputs'] ?? []) as Partial<Input>[]).map((input) => ({ id: '', properties: {}, ...input }))
}

function askedFor(query: URLSearchParams): [string[], string[]] {
  const names = (key: string): string[] => query.getAll(key).flatMap((value) => value.split(','))
  const properties = names('properties')
  return [properties.length === 0 ? DEFAULTS : properties, names('propertiesWithHistory')]
}

function valueIn(contact: SimulatedContact, name: string): string {
  if (name === 'lastmodifieddate') return String(contact.updatedAt_ms)
  if (name === 'createdate') return String(contact.createdAt_ms)
  return name === 'hs_object_id' ? contact.id : (contact.properties.get(name) ?? '')
}

function fits(contact: SimulatedContact, { propertyName, operator, value = '' }: Filter): boolean {
  const held = valueIn(contact, propertyName)
  switch (operator) {
    case 'EQ':
      return held.toLowerCase() === value.toLowerCase()
    case 'GT':
      return Number(held) > Number(value)
    case 'GTE':
      return Number(held) >= Number(value)
    case 'LTE':
      return Number(held) <= Number(value)
    case 'HAS_PROPERTY':
      return held !== ''
  }
  throw new RangeError(`the simulator has no operator ${operator}`)
}

function sortedBy(sort: string, hits: readonly SimulatedContact[]): readonly SimulatedContact[] {
  // They come in this order.
  if (sort === 'lastmodifieddate') return hits
  if (sort === '-lastmodifieddate') return hits.toReversed()
  if (sort === 'hs_object_id') return hits.toSorted((a, b) => Number(a.id) - Number(b.id))
  throw new RangeError(`the simulator does not sort by ${sort}`)
}

function refused(refusal: Refusal): Answer {
  return { status: refusal.status, json: errorJson(refusal) }
}

function invalid(message: string): Answer {
  return refused({ status: 400, category: 'VALIDATION_ERROR', message })
}

function errorJson({ category, message, context }: Refusal): unknown {
  return { status: 'error', category, message, correlationId: randomUUID(), ...(context ? { context } : {}) }
}

function tooMany(policyName: string, headers: { [name: string]: string }): Answer {
  const message = `You have reached your ${policyName.toLowerCase()} limit.`
  return {
    status: 429,
    headers,
    json: { status: 'error', message, errorType: 'RATE_LIMIT', correlationId: randomUUID(), policyName },
  }
}

function batchAnswer(status: number, results: readonly unknown[], errors: readonly unknown[]): Answer {
  const at = new Date().toISOString()
  const failed = errors.length === 0 ? {} : { numErrors: errors.length, errors }
  return {
    status: errors.length === 0 ? status : 207,
    json: { status: 'COMPLETE', results, startedAt: at, completedAt: at, ...failed },
  }
}

function propertyJson({ readOnly, unique, options, ...property }: SimulatedProperty): unknown {
  return {
    ...property,
    description: '',
    groupName: 'contactinformation',
    hasUniqueValue: unique ?? false,
    calculated: false,
    options: (options ?? []).map((option) => ({ ...option, hidden: false, displayOrder: 0 })),
    modificationMetadata: { archivable: true, readOnlyDefinition: true, readOnlyValue: readOnly ?? false },
  }
}

function hookJson(
  { merge, ...event }: ChangeEvent & { eventId: number; occurredAt: number },
  portalId: number,
  attemptNumber: number,
): unknown {
  return {
    ...event,
    ...merge,
    portalId,
    appId: 1160452,
    subscriptionId: 3306804,
    attemptNumber,
    changeSource: 'CRM_UI',
  }
}

/** What HubSpot undoes in a URL before it signs. */
function decoded(url: string): string {
  return url.replace(/%(3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)/gi, (escape) => decodeURIComponent(escape))
}
