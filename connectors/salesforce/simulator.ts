import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { bodyOf, SimulatorServer } from '../simulator-server.ts'
import { customField, type SimulatedField } from './simulator-fields.ts'
import { SimulatedMessages } from './simulator-messages.ts'
import { idOf, RequestRefusal, RowRefusal, SimulatedOrg, type SimulatedRow } from './simulator-org.ts'
import { sessionIn, soapAnswer, soapFault } from './simulator-soap.ts'
import { originOf, SimulatedStreaming } from './simulator-streaming.ts'
import { comparable, holds, MalformedQuery, parseSoql, type Query } from './simulator-soql.ts'
import { DATA_PATH, LIMITS, SOBJECTS, STREAMING_PATH, type SObject } from './wire.ts'

export interface SimulatorOptions {
  /** Accepted from the start; others are handed out at the token endpoint. */
  readonly accessToken?: string
  readonly client?: { readonly id: string; readonly secret: string }
  readonly organizationId?: string
  /** A unique text field for Kith's key. */
  readonly keyField?: string
  readonly custom?: readonly SimulatedField[]
  readonly port?: number
  readonly now?: () => number
}

/** What goes wrong, and how the org is set up. Set them at any time. */
export interface Faults {
  /** Answers the next requests with this instead of doing anything. */
  fail: { status: number; times: number; errorCode?: string; message?: string; retryAfter?: string } | null
  /** Carries out this many requests that write, and then drops the connection. */
  lostAnswers: number
  /** Carries out every plain request that creates, and drops the connection. */
  loseCreates: boolean
  /** Drops the connection of this many requests before doing anything. */
  droppedRequests: number
  /** Sends this part of the next answer. */
  cut: number | null
  slow_ms: number
  /** Every second row of the next collection is locked by somebody else. */
  partial: boolean
  /** No token is accepted any more, and none handed out. */
  revoked: boolean
  /** Rows in a page of a query. */
  page_max: number
  /** Refuses every merge with this error, as one of its records. */
  refuseMerges: string | null
  /** COUNT() takes too long. */
  countTimesOut: boolean
  usage: { used: number; total: number }
  /** Ids of rows that are sent in a shape that is none. */
  readonly unreadable: Set<string>
}

export interface Traffic {
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: unknown
  /** 0 until it is answered, and for good where the connection was dropped. */
  status: number
  answer: unknown
}

interface Answer {
  readonly status: number
  readonly json: unknown
  /** In place of `json`. */
  readonly xml?: string
  readonly headers?: { readonly [name: string]: string }
}

interface Request {
  readonly method: string
  readonly url: URL
  readonly headers: { readonly [name: string]: string | undefined }
  readonly body: unknown
}

/** What a query found, by a name that its next pages are asked for with. */
interface Results {
  readonly query: Query
  readonly deletedToo: boolean
  readonly ids: readonly string[]
}

const SUBREQUESTS_MAX = 25
const SOAP_PATH = '/services/Soap/u/'
const CHUNKS_MAX = 10

/**
 * A Salesforce org in memory, on loopback: for `kith demo`, and for the faults that a real org cannot be asked for. It shares no
 * code with the client but the shapes of answers.
 */
export async function startSalesforceSimulator(options: SimulatorOptions = {}): Promise<SalesforceSimulator> {
  const simulator = new SalesforceSimulator(options)
  await simulator.listen(options.port ?? 0)
  return simulator
}

export class SalesforceSimulator {
  readonly org: SimulatedOrg
  readonly messages = new SimulatedMessages()
  readonly streaming: SimulatedStreaming
  readonly traffic: Traffic[] = []
  readonly faults: Faults = {
    fail: null,
    lostAnswers: 0,
    loseCreates: false,
    droppedRequests: 0,
    cut: null,
    slow_ms: 0,
    partial: false,
    revoked: false,
    page_max: 2000,
    refuseMerges: null,
    countTimesOut: false,
    usage: { used: 0, total: 100_000 },
    unreadable: new Set(),
  }
  readonly organizationId: string
  readonly #options: SimulatorOptions
  readonly #server: SimulatorServer
  readonly #tokens = new Set<string>()
  readonly #locators = new Map<string, Results>()
  #issued = 0

  constructor(options: SimulatorOptions) {
    this.#options = options
    this.organizationId = options.organizationId ?? idOf('00D', 1)
    const key =
      options.keyField === undefined
        ? []
        : [customField(options.keyField, 'string', 64, { unique: true, externalId: true })]
    this.org = new SimulatedOrg({
      now: () => this.now(),
      custom: [...key, ...(options.custom ?? [])],
      changed: (row) => {
        this.messages.announce(row)
        this.streaming.announce(row)
      },
    })
    this.streaming = new SimulatedStreaming({
      now: () => this.now(),
      takes: (token) => !this.faults.revoked && this.#tokens.has(token),
    })
    if (options.accessToken !== undefined) this.#tokens.add(options.accessToken)
    this.#server = new SimulatorServer((request, response) => this.#serve(request, response))
  }

  get url(): string {
    return this.#server.origin
  }

  now(): number {
    return (this.#options.now ?? Date.now)()
  }

  async listen(port: number): Promise<void> {
    await this.#server.listen(port)
  }

  /** Ends all sessions that were handed out: clients have to ask for another. */
  expireSessions(): void {
    this.#tokens.clear()
    this.streaming.tokensChanged()
  }

  async close(): Promise<void> {
    this.streaming.close()
    await this.#server.close()
    await this.messages.close()
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const text = await bodyOf(request)
    const url = new URL(request.url ?? '/', this.url)
    const method = request.method ?? ''
    const isForm = url.pathname.startsWith('/services/oauth2/')
    const isSoap = url.pathname.startsWith(SOAP_PATH)
    const body: unknown = isForm ? Object.fromEntries(new URLSearchParams(text)) : isSoap ? text : jsonOf(text)
    if (url.pathname === STREAMING_PATH) return this.streaming.serve(request, response, body)
    const line: Traffic = { method, path: url.pathname, headers: request.headers, body, status: 0, answer: undefined }
    this.traffic.push(line)
    if (this.faults.slow_ms > 0) await sleep(this.faults.slow_ms, undefined, { signal: this.#server.closing })
    if (this.faults.droppedRequests > 0) {
      this.faults.droppedRequests--
      request.socket.destroy()
      return
    }
    const headers = Object.fromEntries(
      Object.entries(request.headers).map(([name, value]) => [name, Array.isArray(value) ? value.join() : value]),
    )
    const whole = { method, url, headers, body }
    this.streaming.origin = isSoap ? originOf('soap', text) : originOf('rest', headers['sforce-call-options'])
    const answer = isForm ? this.#token(whole) : isSoap ? this.#soap(text) : (this.#failure() ?? this.#answer(whole))
    this.streaming.origin = ''
    const isCreate = method === 'POST' && url.pathname.endsWith('/composite/sobjects')
    const isLost = this.faults.lostAnswers > 0 && !isForm && writes(whole)
    if (isLost) this.faults.lostAnswers--
    if (isLost || (this.faults.loseCreates && isCreate)) {
      request.socket.destroy()
      return
    }
    line.status = answer.status
    line.answer = answer.xml ?? answer.json
    this.#reply(response, answer)
  }

  #reply(response: ServerResponse, answer: Answer): void {
    const { usage } = this.faults
    usage.used++
    let body = Buffer.from(answer.xml ?? JSON.stringify(answer.json))
    if (this.faults.cut !== null) {
      body = body.subarray(0, Math.floor(body.length * this.faults.cut))
      this.faults.cut = null
    }
    response.sendDate = false
    response.writeHead(answer.status, {
      'Content-Type': answer.xml === undefined ? 'application/json;charset=UTF-8' : 'text/xml;charset=utf-8',
      'Content-Length': body.length,
      'Sforce-Limit-Info': `api-usage=${usage.used}/${usage.total}`,
      Date: new Date(this.now()).toUTCString(),
      ...answer.headers,
    })
    response.end(body)
  }

  #failure(): Answer | undefined {
    const { fail } = this.faults
    if (!fail) return
    if (--fail.times <= 0) this.faults.fail = null
    const headers = fail.retryAfter === undefined ? {} : { 'Retry-After': fail.retryAfter }
    const { errorCode = 'UNKNOWN_EXCEPTION', message = 'An unexpected error occurred.' } = fail
    return { status: fail.status, headers, json: [{ errorCode, message }] }
  }

  #token({ url, body }: Request): Answer {
    const { client_id, client_secret, grant_type, refresh_token } = Object(body) as {
      [name: string]: string | undefined
    }
    const refused = (error: string): Answer => ({ status: 400, json: { error, error_description: error } })
    if (url.pathname === '/services/oauth2/revoke') {
      this.expireSessions()
      return { status: 200, json: {} }
    }
    const { client } = this.#options
    if (!client || client_id !== client.id || client_secret !== client.secret) return refused('invalid_client')
    const isRefresh = grant_type === 'refresh_token' && refresh_token === 'simulated-refresh'
    if (this.faults.revoked || !(grant_type === 'client_credentials' || isRefresh)) return refused('invalid_grant')
    const access_token = `00D!simulated-session-${++this.#issued}`
    this.#tokens.add(access_token)
    const id = `${this.url}/id/${this.organizationId}/${idOf('005', 1)}`
    const json = {
      access_token,
      instance_url: this.url,
      id,
      token_type: 'Bearer',
      scope: 'api refresh_token',
      issued_at: String(this.now()),
    }
    return { status: 200, json }
  }

  #answer(request: Request): Answer {
    const token = request.headers['authorization']?.replace(/^Bearer /, '') ?? ''
    if (this.faults.revoked || !this.#tokens.has(token)) {
      return refusal(401, 'INVALID_SESSION_ID', 'Session expired or invalid')
    }
    if (!request.url.pathname.startsWith(`${DATA_PATH}/`)) {
      return refusal(404, 'NOT_FOUND', 'The requested resource does not exist')
    }
    return request.url.pathname === `${DATA_PATH}/composite` && request.method === 'POST'
      ? this.#composite(request)
      : this.#route(request)
  }

  /** Says everything that is wrong with 500 and a fault. */
  #soap(text: string): Answer {
    const refused = this.#failure()
    const [{ errorCode = '', message = '' } = {}] = (refused?.json ?? []) as { errorCode?: string; message?: string }[]
    const isSession = !this.faults.revoked && this.#tokens.has(sessionIn(text))
    const answer = refused
      ? soapFault(errorCode, message)
      : isSession
        ? soapAnswer(this.org, text, this.faults.refuseMerges)
        : soapFault('INVALID_SESSION_ID', 'Invalid Session ID found in SessionHeader: Illegal Session')
    return { ...answer, json: null }
  }

  #composite({ body, headers }: Request): Answer {
    const { compositeRequest, collateSubrequests } = Object(body) as {
      compositeRequest?: { method: string; url: string; referenceId: string; body?: unknown; httpHeaders?: object }[]
      collateSubrequests?: boolean
    }
    if (!Array.isArray(compositeRequest)) return refusal(400, 'JSON_PARSER_ERROR', 'compositeRequest is missing')
    const heavy = compositeRequest.filter(({ url }) => /\/(query|queryAll|composite\/sobjects)\b/.test(url))
    if (compositeRequest.length > SUBREQUESTS_MAX || heavy.length > LIMITS.composite_max) {
      return refusal(400, 'LIMIT_EXCEEDED', 'too many subrequests')
    }
    if (new Set(compositeRequest.map(({ referenceId }) => referenceId)).size < compositeRequest.length) {
      return refusal(400, 'INVALID_INPUT', 'duplicate referenceId')
    }
    // Where the order is left to Salesforce, it may well read before it writes.
    const order =
      collateSubrequests === false
        ? compositeRequest
        : [...compositeRequest].sort((a, b) => Number(b.method === 'GET') - Number(a.method === 'GET'))
    const answered = new Map(
      order.map(({ method, url, referenceId, body: part, httpHeaders }) => {
        const lowered = Object.entries(httpHeaders ?? {}).map(([name, value]) => [name.toLowerCase(), String(value)])
        const whole = {
          method,
          url: new URL(url, this.url),
          headers: { ...headers, ...Object.fromEntries(lowered) },
          body: part,
        }
        // What looks like a reference to another part is one; here it is to none that there is.
        const isReference = /@\{[^}]*\}/.test(JSON.stringify(part ?? null))
        const { status, json } = isReference
          ? refusal(400, 'PROCESSING_HALTED', 'Invalid reference specified.')
          : this.#route(whole)
        return [referenceId, { body: json, httpHeaders: {}, httpStatusCode: status, referenceId }]
      }),
    )
    return {
      status: 200,
      json: { compositeResponse: compositeRequest.map(({ referenceId }) => answered.get(referenceId)) },
    }
  }

  #route(request: Request): Answer {
    const { method, url } = request
    const path = url.pathname.slice(DATA_PATH.length).replace(/\/$/, '')
    try {
      const [, described] = /^\/sobjects\/(\w+)\/describe$/.exec(path) ?? []
      if (described !== undefined) return this.#describe(described)
      if (method === 'GET' && (path === '/query' || path === '/queryAll')) {
        return this.#query(url.searchParams.get('q') ?? '', path === '/queryAll')
      }
      const [, locator] = /^\/query\/(\w+-\d+)$/.exec(path) ?? []
      if (method === 'GET' && locator !== undefined) return this.#more(locator)
      if (path === '/composite/sobjects') return this.#collection(request)
      return refusal(404, 'NOT_FOUND', 'The requested resource does not exist')
    } catch (error) {
      if (error instanceof RequestRefusal) return refusal(error.status, error.errorCode, error.message)
      if (error instanceof MalformedQuery) return refusal(400, 'MALFORMED_QUERY', error.message)
      throw error
    }
  }

  #describe(name: string): Answer {
    const object = SOBJECTS.find((each) => each === name)
    if (!object) return refusal(404, 'NOT_FOUND', 'The requested resource does not exist')
    const fields = this.org
      .fields(object)
      .map(({ restricted = false, ...field }) => ({ ...field, restrictedPicklist: restricted }))
    return { status: 200, json: { name, label: name, queryable: true, createable: true, fields } }
  }

  #query(soql: string, deletedToo: boolean): Answer {
    const query = parseSoql(soql)
    const object = SOBJECTS.find((each) => each === query.object)
    if (!object) throw new RequestRefusal('INVALID_TYPE', `sObject type '${query.object}' is not supported.`)
    if (query.columns === null && this.faults.countTimesOut)
      throw new RequestRefusal('QUERY_TIMEOUT', 'Your query request was running for too long.')
    for (const column of query.columns ?? []) this.#checkColumn(object, column)
    const rows = this.org.rows(object).filter((row) => {
      return (deletedToo || !row.deleted) && (!query.where || holds(query.where, (column) => this.#value(row, column)))
    })
    rows.sort((a, b) => this.#compare(query, a, b))
    const found = query.limit === null ? rows : rows.slice(0, query.limit)
    if (query.columns === null) return { status: 200, json: { totalSize: found.length, done: true, records: [] } }
    const locator = `01gKith${this.#locators.size + 1}`
    this.#locators.set(locator, { query, deletedToo, ids: found.map(({ Id }) => Id) })
    return this.#page(locator, 0)
  }

  #more(text: string): Answer {
    const [locator = '', from = ''] = text.split('-')
    if (!this.#locators.has(locator)) return refusal(400, 'INVALID_QUERY_LOCATOR', 'invalid query locator')
    return this.#page(locator, Number(from))
  }

  /** Rows as they are now, of those that matched when the query began; rows that are no more are left out. */
  #page(locator: string, from: number): Answer {
    const { query, deletedToo, ids } = this.#locators.get(locator) as Results
    const to = from + this.faults.page_max
    const rows = ids.slice(from, to).flatMap((id) => this.org.get(id) ?? [])
    const isOver = to >= ids.length
    const shown = rows.filter((row) => deletedToo || !row.deleted).map((row) => this.#shown(row, query.columns ?? []))
    const more = isOver ? {} : { nextRecordsUrl: `${DATA_PATH}/query/${locator}-${to}` }
    return { status: 200, json: { totalSize: ids.length, done: isOver, ...more, records: shown } }
  }

  #checkColumn(object: SObject, column: string): void {
    if (column === 'Account.Name' && object === 'Contact') return
    if (this.org.fields(object).some(({ name }) => name === column)) return
    throw new RequestRefusal('INVALID_FIELD', `No such column '${column}' on entity '${object}'.`)
  }

  #compare(query: Query, a: SimulatedRow, b: SimulatedRow): number {
    for (const { column, descending } of query.orderBy) {
      const [one, other] = [comparable(this.#value(a, column)), comparable(this.#value(b, column))]
      if (one === other) continue
      const sign = one === null || (other !== null && one < other) ? -1 : 1
      return descending ? -sign : sign
    }
    return 0
  }

  #value(row: SimulatedRow, column: string): unknown {
    switch (column) {
      case 'Id':
        return row.Id
      case 'IsDeleted':
        return row.deleted
      case 'MasterRecordId':
        return row.masterId
      case 'CreatedDate':
        return new Date(row.created_ms)
      case 'LastModifiedDate':
        return new Date(row.modified_ms)
      case 'SystemModstamp':
        return new Date(row.modstamp_ms)
      case 'IsConverted':
        return row.convertedContactId !== null
      case 'ConvertedContactId':
        return row.convertedContactId
      case 'Name':
        return [row.values.get('FirstName'), row.values.get('LastName')].filter(Boolean).join(' ')
      case 'Account.Name':
        return this.org.get(String(row.values.get('AccountId')))?.values.get('Name') ?? null
      case 'IsEmailBounced':
        return (row.values.get('EmailBouncedDate') ?? null) !== null
      default:
        return row.values.get(column) ?? null
    }
  }

  #shown(row: SimulatedRow, columns: readonly string[]): object {
    const shown: { [name: string]: unknown } = {
      attributes: { type: row.object, url: `${DATA_PATH}/sobjects/${row.object}/${row.Id}` },
    }
    for (const column of columns) {
      const value = this.#value(row, column)
      if (column === 'Account.Name')
        shown['Account'] = value === null ? null : { attributes: { type: 'Account' }, Name: value }
      // Whole seconds, in a form of its own.
      else shown[column] = value instanceof Date ? `${value.toISOString().slice(0, 19)}.000+0000` : value
    }
    return this.faults.unreadable.has(row.Id)
      ? { ...shown, SystemModstamp: 'some time ago', IsDeleted: 'perhaps' }
      : shown
  }

  #collection({ method, url, headers, body }: Request): Answer {
    const { records } = Object(body) as { records?: { attributes?: { type?: string }; id?: string }[] }
    const ids = (url.searchParams.get('ids') ?? '').split(',').filter(Boolean)
    const rows = method === 'DELETE' ? ids.map((id) => ({ id })) : (records ?? [])
    if (rows.length === 0 || rows.length > LIMITS.collection_max) {
      throw new RequestRefusal('LIMIT_EXCEEDED', `cannot work on ${rows.length} records at once`)
    }
    const types = rows.map((row) => ('attributes' in row ? row.attributes?.type : undefined))
    const chunks = types.filter((type, at) => type !== types[at - 1]).length
    if (method !== 'DELETE' && (chunks > CHUNKS_MAX || types.includes(undefined))) {
      throw new RequestRefusal('INVALID_INPUT', 'every record needs a type, and they may change nine times')
    }
    const assign = headers['sforce-auto-assign']?.toUpperCase() !== 'FALSE'
    const allowSave = /allowSave=true/i.test(headers['sforce-duplicate-rule-header'] ?? '')
    const partial = this.faults.partial
    this.faults.partial = false
    // What is wrong with the request as a whole is found before anything is done.
    this.#rehearse(method, rows)
    const results = rows.map(({ id, ...row }, at) => {
      try {
        if (partial && at % 2 === 0)
          throw new RowRefusal('UNABLE_TO_LOCK_ROW', [], 'unable to obtain exclusive access to this record')
        const { attributes, ...values } = row as { attributes?: { type: SObject } }
        if (method === 'DELETE') this.org.remove(String(id))
        else if (method === 'PATCH') this.org.update(String(id), values, { assign })
        else return saved(this.org.create(attributes?.type as SObject, values, { allowSave, assign }).Id)
        return saved(String(id))
      } catch (error) {
        if (!(error instanceof RowRefusal)) throw error
        return { success: false, errors: [error.error], ...(method === 'POST' ? {} : { id }) }
      }
    })
    return { status: 200, json: results }
  }

  /** @throws RequestRefusal for a field that is none, or a value of the wrong kind */
  #rehearse(method: string, rows: readonly { attributes?: { type?: string }; id?: string }[]): void {
    if (method === 'DELETE') return
    const copy = new SimulatedOrg({ now: () => this.now(), custom: this.#customFields(), changed: () => undefined })
    for (const { attributes, id: _, ...values } of rows) {
      try {
        copy.create((attributes?.type ?? 'Contact') as SObject, values)
      } catch (error) {
        if (error instanceof RequestRefusal) throw error
      }
    }
  }

  #customFields(): SimulatedField[] {
    return this.org.fields('Contact').filter(({ name }) => name.endsWith('__c')) as SimulatedField[]
  }
}

function saved(id: string): object {
  return { id, success: true, errors: [] }
}

function refusal(status: number, errorCode: string, message: string): Answer {
  return { status, json: [{ errorCode, message }] }
}

/** Whether the request changes anything. */
function writes({ method, body }: Request): boolean {
  const { compositeRequest } = Object(body) as { compositeRequest?: { method: string }[] }
  return compositeRequest ? compositeRequest.some((part) => part.method !== 'GET') : method !== 'GET'
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
