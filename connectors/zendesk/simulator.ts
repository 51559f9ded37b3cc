import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { bodyOf, SimulatorServer } from '../simulator-server.ts'
import { SimulatedHooks, type HookTarget } from './simulator-hooks.ts'
import { Refusal, SimulatedUsers, type NewUser, type SimulatedUser, type UserInput } from './simulator-users.ts'
import { SimulatedWebhooks } from './simulator-webhooks.ts'
import type { Identity } from './wire.ts'

/**
 * A Zendesk Support account in memory, on loopback: for `kith demo`, and for the faults that a real account cannot be asked
 * for. It shares no code with the client but the shapes of answers.
 */
export interface ZendeskSimulator {
  readonly url: string
  readonly users: SimulatedUsers
  readonly faults: Faults
  /** What went over the wire so far, in order. */
  readonly traffic: readonly Traffic[]
  readonly hooks: SimulatedHooks
  /** What was registered by the API. */
  readonly webhooks: SimulatedWebhooks
  /** Milliseconds since the epoch, by the account's clock. */
  now(): number
  /** Lets time go by: the newest minute is then no longer withheld, and the limits begin anew. */
  advance(ms: number): void
  /** Forgets all cursors handed out so far. */
  expireCursors(): void
  /** Sends events to this address from now on, signed. */
  subscribe(target: HookTarget): void
  close(): Promise<void>
}

export interface Traffic {
  readonly method: string
  /** As sent, without the query. */
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: IncomingMessage['headers']
  readonly body: unknown
  /** 0 until it is answered, and for good where the connection was dropped. */
  readonly status: number
  readonly answer: unknown
}

/** What goes wrong, and how the account is set up. Set them at any time. */
export interface Faults {
  /** Answers the next requests that fit with this status. */
  fail: { status: number; times: number; method?: string; path?: RegExp; retryAfter?: string; body?: string } | null
  /** Carries out this many writes and then drops the connection. */
  lostAnswers: number
  /** Drops the connection of this many requests before doing anything. */
  droppedRequests: number
  /** Ends the next list in the middle. */
  cutAnswers: number
  slow_ms: number
  /** Lets every second row of the next job fail. */
  failedRows: number
  /** How often a job is still "working" when it is looked at. */
  jobPolls: number
  /** Ends the next job in this way instead of doing it. */
  brokenJob: 'failed' | null
  /** Jobs that others have in the queue. */
  jobsQueued: number
  /** Bulk imports are off until the account's owner asks for them. */
  bulkImports: boolean
  requests_max: number
  exports_max: number
  /** Updates of one user in a minute, by the single endpoint. */
  updates_max: number
  /** How much of the newest changes the export withholds. */
  withheld_ms: number
  /** The most users in one page of the export, whatever is asked for. */
  page_max: number
  /** Whether related rows are left out of the export although they were asked for. */
  noSideloads: boolean
  /** Ids whose users are sent in a shape that is none. */
  readonly unreadable: Set<number>
}

export interface SimulatorOptions {
  /** The administrator's, whose token is accepted; a bearer token where there is no address. */
  readonly email?: string
  readonly token: string
  readonly users?: readonly NewUser[]
  readonly port?: number
  readonly now?: () => number
}

interface Answer {
  readonly status: number
  readonly headers?: { readonly [name: string]: string }
  readonly json?: unknown
}

interface Job {
  readonly id: string
  polls: number
  readonly results: readonly object[]
  readonly status: 'completed' | 'failed'
}

interface Exchange {
  readonly method: string
  /** Below `/api/v2/`, without `.json`. */
  readonly path: string
  readonly query: URLSearchParams
  readonly body: { readonly [name: string]: unknown }
}

const MINUTE_MS = 60_000
const JOBS_MAX = 30
const BATCH_MAX = 100

export async function startZendeskSimulator(options: SimulatorOptions): Promise<ZendeskSimulator> {
  const simulator = new Simulator(options)
  await simulator.listen(options.port ?? 0)
  return simulator
}

class Simulator implements ZendeskSimulator {
  readonly faults: Faults = {
    fail: null,
    lostAnswers: 0,
    droppedRequests: 0,
    cutAnswers: 0,
    slow_ms: 0,
    failedRows: 0,
    jobPolls: 0,
    brokenJob: null,
    jobsQueued: 0,
    bulkImports: true,
    requests_max: 700,
    exports_max: 10,
    updates_max: 5,
    withheld_ms: MINUTE_MS,
    page_max: 1000,
    noSideloads: false,
    unreadable: new Set(),
  }
  readonly traffic: Traffic[] = []
  readonly users: SimulatedUsers
  readonly hooks: SimulatedHooks
  readonly webhooks: SimulatedWebhooks
  readonly #authorization: string
  readonly #clock: () => number
  readonly #server: SimulatorServer
  readonly #jobs = new Map<string, Job>()
  /** Requests in the minute that began at the time given, by what they count for. */
  readonly #counts = new Map<string, { since_ms: number; count: number }>()
  #offset_ms = 0
  #epoch = 1

  constructor(options: SimulatorOptions) {
    const { email, token } = options
    this.#authorization =
      email === undefined ? `Bearer ${token}` : `Basic ${Buffer.from(`${email}/token:${token}`).toString('base64')}`
    this.#clock = options.now ?? Date.now
    this.hooks = new SimulatedHooks(() => this.now())
    this.webhooks = new SimulatedWebhooks(this.hooks)
    this.users = new SimulatedUsers(
      () => this.now(),
      () => this.url,
      (event) => this.hooks.announce(event),
    )
    this.users.addStaff(email ?? 'admin@example.com')
    for (const user of options.users ?? []) this.users.add(user)
    this.#server = new SimulatorServer((request, response) => this.#serve(request, response))
  }

  async listen(port: number): Promise<void> {
    await this.#server.listen(port)
  }

  get url(): string {
    return this.#server.origin
  }

  now(): number {
    return this.#clock() + this.#offset_ms
  }

  advance(ms: number): void {
    this.#offset_ms += ms
  }

  expireCursors(): void {
    this.#epoch++
  }

  subscribe(target: HookTarget): void {
    this.hooks.subscribe(target)
  }

  async close(): Promise<void> {
    await this.#server.close()
    await this.hooks.close()
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const text = await bodyOf(request)
    const url = new URL(request.url ?? '/', this.url)
    const method = request.method ?? ''
    const body: unknown = text === '' ? undefined : jsonOf(text)
    const line = { method, path: url.pathname, query: url.searchParams, headers: request.headers, body }
    const index = this.traffic.push({ ...line, status: 0, answer: undefined }) - 1
    if (this.faults.slow_ms > 0) await sleep(this.faults.slow_ms, undefined, { signal: this.#server.closing })
    if (this.faults.droppedRequests > 0) {
      this.faults.droppedRequests--
      request.socket.destroy()
      return
    }
    const path = url.pathname.replace(/^\/api\/v2\//, '').replace(/\.json$/, '')
    const exchange = { method, path, query: url.searchParams, body: objectOf(body) }
    const answer = this.#failure(method, path) ?? this.#limited(exchange) ?? this.#answer(request, exchange)
    if (this.faults.lostAnswers > 0 && method !== 'GET' && answer.status < 300) {
      this.faults.lostAnswers--
      request.socket.destroy()
      return
    }
    this.traffic[index] = { ...line, status: answer.status, answer: answer.json }
    this.#reply(response, answer, method)
  }

  #failure(method: string, path: string): Answer | undefined {
    const { fail } = this.faults
    if (!fail || (fail.method !== undefined && fail.method !== method) || !(fail.path?.test(path) ?? true)) return
    if (--fail.times <= 0) this.faults.fail = null
    return {
      status: fail.status,
      headers: fail.retryAfter === undefined ? {} : { 'Retry-After': fail.retryAfter },
      json: fail.body === undefined ? { error: 'Failed', description: 'failed on purpose' } : jsonOf(fail.body),
    }
  }

  /** One more of what counts for `name`; the seconds to wait where that is too many. */
  #count(name: string, max: number): number | undefined {
    const now = this.now()
    let window = this.#counts.get(name)
    if (!window || now - window.since_ms >= MINUTE_MS) {
      window = { since_ms: now, count: 0 }
      this.#counts.set(name, window)
    }
    if (window.count >= max) return Math.ceil((window.since_ms + MINUTE_MS - now) / 1000)
    window.count++
    return undefined
  }

  #limited({ method, path }: Exchange): Answer | undefined {
    const wait_s = this.#count('all', this.faults.requests_max)
    if (wait_s !== undefined) return tooMany(wait_s, 'Rate limit exceeded')
    if (path === 'incremental/users/cursor') {
      const more_s = this.#count('exports', this.faults.exports_max)
      if (more_s !== undefined) return tooMany(more_s, 'Rate limit for incremental exports exceeded')
    }
    const user = method === 'PUT' ? /^users\/(\d+)$/.exec(path)?.[1] : undefined
    if (user !== undefined) {
      const more_s = this.#count(`user ${user}`, this.faults.updates_max)
      const id = this.users.get(Number(user))?.external_id ?? ''
      const what = `You have exceeded the rate limit for updating a single unique user. user email: id: ${user} external_id: ${id}`
      if (more_s !== undefined) return tooMany(more_s, what)
    }
    return undefined
  }

  #reply(response: ServerResponse, answer: Answer, method: string): void {
    const { requests_max } = this.faults
    const window = this.#counts.get('all')
    const left = String(Math.max(0, requests_max - (window?.count ?? 0)))
    const limit = String(requests_max)
    const reset_s = window ? Math.ceil((window.since_ms + MINUTE_MS - this.now()) / 1000) : 60
    const headers = {
      'Content-Type': 'application/json; charset=utf-8',
      'X-Rate-Limit': limit,
      'X-Rate-Limit-Remaining': left,
      'ratelimit-limit': limit,
      'ratelimit-remaining': left,
      'ratelimit-reset': String(reset_s),
      ...answer.headers,
    }
    let body = answer.json === undefined ? Buffer.alloc(0) : Buffer.from(JSON.stringify(answer.json))
    if (this.faults.cutAnswers > 0 && method === 'GET') {
      this.faults.cutAnswers--
      body = body.subarray(0, Math.floor(body.length / 2))
    }
    response.writeHead(answer.status, answer.status === 204 ? headers : { ...headers, 'Content-Length': body.length })
    response.end(answer.status === 204 ? undefined : body)
  }

  #answer(request: IncomingMessage, exchange: Exchange): Answer {
    if (request.headers.authorization !== this.#authorization) {
      return { status: 401, json: { error: "Couldn't authenticate you" } }
    }
    if (!request.headers.accept?.includes('application/json')) return { status: 415 }
    try {
      return this.#route(exchange)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      return { status: error.status, json: error.body }
    }
  }

  #route({ method, path, query, body }: Exchange): Answer {
    const route = `${method} ${path.replaceAll(/(?<=^|\/)\d+(?=\/|$)/g, '{id}')}`
    const [id = 0, second = 0] = [...path.matchAll(/(?<=\/)\d+(?=\/|$)/g)].map(Number)
    switch (route) {
      case 'GET users/me':
        return { status: 200, json: { user: this.#shown(this.users.staff) } }
      case 'GET users/count': {
        const value = this.users.all().filter(({ active, role }) => active && role === query.get('role')).length
        return { status: 200, json: { count: { refreshed_at: new Date(this.now()).toISOString(), value } } }
      }
      case 'GET user_fields':
        return { status: 200, json: { user_fields: this.users.fields, next_page: null, previous_page: null } }
      case 'GET incremental/users/cursor':
        return this.#export(query)
      case 'GET users/show_many':
        return { status: 200, json: this.#list(this.#named(query), query) }
      case 'GET users/search':
        return { status: 200, json: this.#list(this.users.withEmail(query.get('query') ?? ''), query) }
      case 'GET users/{id}':
        return { status: 200, json: this.#one(this.users.find(id), query) }
      case 'POST users':
        return { status: 201, json: { user: this.#shown(this.users.add(inputOf(body['user']))) } }
      case 'PUT users/{id}':
        return { status: 200, json: { user: this.#shown(this.users.edit(id, inputOf(body['user']))) } }
      case 'DELETE users/{id}':
        return { status: 200, json: { user: this.#shown(this.users.remove(id)) } }
      case 'DELETE deleted_users/{id}': {
        const user = this.users.find(id)
        this.users.erase(id)
        return { status: 200, json: { deleted_user: this.#shown(user) } }
      }
      case 'PUT users/{id}/merge':
        return { status: 200, json: { user: this.#shown(this.users.merge(id, inputOf(body['user']).id ?? 0)) } }
      case 'GET users/{id}/identities':
        return { status: 200, json: { identities: this.users.identitiesOf(this.users.find(id).id) } }
      case 'POST users/{id}/identities':
        return { status: 201, json: { identity: this.users.addIdentity(id, identityOf(body['identity'])) } }
      case 'PUT users/{id}/identities/{id}/make_primary':
        return { status: 200, json: { identities: this.users.makePrimary(id, second) } }
      case 'DELETE users/{id}/identities/{id}':
        this.users.removeIdentity(id, second)
        return { status: 204 }
      case 'POST users/create_many':
        return this.#createMany(body)
      case 'PUT users/update_many':
        return this.#updateMany(body)
      case 'DELETE users/destroy_many':
        return this.#destroyMany(query)
      case 'GET webhooks':
        return { status: 200, json: this.webhooks.list(query.get('page[after]')) }
      case 'POST webhooks':
        return { status: 201, json: this.webhooks.create(objectOf(body['webhook'])) }
      default:
        if (path.startsWith('webhooks/')) return this.#webhook(method, path.split('/').slice(1), body)
        return path.startsWith('job_statuses/') ? this.#jobStatus(path.slice(13)) : notFound('InvalidEndpoint')
    }
  }

  #webhook(method: string, [id = '', part]: readonly string[], body: Exchange['body']): Answer {
    if (method === 'GET' && part === 'signing_secret') return { status: 200, json: this.webhooks.secret(id) }
    if (method !== 'PATCH' || part !== undefined) return notFound('InvalidEndpoint')
    this.webhooks.patch(id, objectOf(body['webhook']))
    return { status: 204 }
  }

  /** A user as it is sent, fields in the vendor's order. */
  #shown(user: SimulatedUser): object {
    const shown = this.users.shown(user)
    return this.faults.unreadable.has(user.id) ? { ...shown, name: { first: 'not', last: 'text' } } : shown
  }

  #related(users: readonly SimulatedUser[], query: URLSearchParams): object {
    const include = (query.get('include') ?? '').split(',')
    const ids = new Set(users.map(({ organization_id }) => organization_id))
    return {
      ...(include.includes('identities') ? { identities: users.flatMap(({ id }) => this.users.identitiesOf(id)) } : {}),
      ...(include.includes('organizations')
        ? { organizations: this.users.organizations.filter(({ id }) => ids.has(id)) }
        : {}),
    }
  }

  #list(users: readonly SimulatedUser[], query: URLSearchParams): object {
    const shown = users.map((user) => this.#shown(user))
    return { users: shown, ...this.#related(users, query), next_page: null, previous_page: null, count: users.length }
  }

  #one(user: SimulatedUser, query: URLSearchParams): object {
    return { user: this.#shown(user), ...this.#related([user], query) }
  }

  #named(query: URLSearchParams): SimulatedUser[] {
    const ids = listOf(query.get('ids'))
    const externals = new Set(listOf(query.get('external_ids')).map((each) => each.toLowerCase()))
    if (ids.length + externals.size > BATCH_MAX) throw new Refusal(400, 'TooManyValues')
    const byId = ids.flatMap((id) => this.users.get(Number(id)) ?? [])
    if (externals.size === 0) return byId
    return this.users.all().filter((user) => externals.has((user.external_id ?? '').toLowerCase()))
  }

  /** Everything that changed since, oldest first, the newest minute withheld. */
  #export(query: URLSearchParams): Answer {
    const cursor = query.get('cursor')
    const place = cursor === null ? this.#begin(query.get('start_time')) : this.#placeOf(cursor)
    const until_s = Math.floor((this.now() - this.faults.withheld_ms) / 1000)
    const waiting = this.users
      .all()
      .filter((user) => isAfter(user, place) && user.updated_s <= until_s)
      .sort((a, b) => a.updated_s - b.updated_s || a.id - b.id)
    const size = Math.min(Number(query.get('per_page') ?? 1000), this.faults.page_max)
    const page = waiting.slice(0, size)
    const last = page.at(-1)
    const after = last ? { s: last.updated_s, id: last.id } : place
    const after_cursor = Buffer.from(`${after.s}.${this.#epoch}||${after.id}|`).toString('base64')
    const after_url = `${this.url}/api/v2/incremental/users/cursor.json?cursor=${encodeURIComponent(after_cursor)}`
    const related = this.faults.noSideloads ? {} : this.#related(page, query)
    const end_of_stream = waiting.length <= size
    const users = page.map((user) => this.#shown(user))
    const json = { users, ...related, after_url, after_cursor, before_url: null, before_cursor: null, end_of_stream }
    return { status: 200, json }
  }

  #begin(start_time: string | null): { s: number; id: number } {
    const start_s = Number(start_time ?? Number.NaN)
    if (!Number.isInteger(start_s) || start_s > this.now() / 1000 - 60) {
      throw new Refusal(422, 'InvalidValue', { start_time: ['Too recent', 'TooRecent'] })
    }
    return { s: start_s, id: 0 }
  }

  #placeOf(cursor: string): { s: number; id: number } {
    const [, s, epoch, id] = /^(\d+)\.(\d+)\|\|(\d+)\|$/.exec(Buffer.from(cursor, 'base64').toString('latin1')) ?? []
    if (Number(epoch) !== this.#epoch) throw new Refusal(400, 'InvalidCursor')
    return { s: Number(s), id: Number(id) }
  }

  #createMany(body: Exchange['body']): Answer {
    if (!this.faults.bulkImports) return { status: 403, json: { error: 'Forbidden', description: 'Imports are off' } }
    return this.#job(arrayOf(body['users']), (user, index) => {
      const { id } = this.users.add(inputOf(user))
      return { id, index, action: 'create', status: 'Created', success: true }
    })
  }

  #updateMany(body: Exchange['body']): Answer {
    return this.#job(arrayOf(body['users']), (user) => {
      const { id = 0, ...input } = inputOf(user)
      this.users.edit(id, input)
      return { id, action: 'update', status: 'Updated', success: true }
    })
  }

  #destroyMany(query: URLSearchParams): Answer {
    return this.#job(listOf(query.get('ids')), (id) => {
      this.users.remove(Number(id))
      return { id: Number(id), action: 'delete', status: 'Deleted', success: true }
    })
  }

  /** Carries a job out at once; only its answer takes its time. */
  #job(rows: readonly unknown[], work: (row: unknown, index: number) => object): Answer {
    if (rows.length > BATCH_MAX) throw new Refusal(400, 'TooManyValues')
    const open = [...this.#jobs.values()].filter(({ polls }) => polls > 0).length
    if (open + this.faults.jobsQueued >= JOBS_MAX) return tooMany(5, 'TooManyJobs')
    const status = this.faults.brokenJob ?? 'completed'
    this.faults.brokenJob = null
    const failing = this.faults.failedRows > 0
    if (failing) this.faults.failedRows--
    const results = status === 'failed' ? [] : rows.map((row, index) => this.#row(row, index, work, failing))
    const id = `${this.#jobs.size + 1}`.padStart(32, '8b726e606741012ffc2d782bcb7848fe').slice(-32)
    const job: Job = { id, polls: this.faults.jobPolls, results, status }
    this.#jobs.set(id, job)
    return { status: 200, json: { job_status: this.#jobShown(job, 'queued') } }
  }

  #row(row: unknown, index: number, work: (row: unknown, index: number) => object, failing: boolean): object {
    const id = inputOf(row).id ?? (typeof row === 'string' ? Number(row) : undefined)
    const about = { index, ...(id === undefined ? {} : { id }), status: 'Failed', success: false }
    if (failing && index % 2 === 0) return { ...about, error: 'DatabaseConflict', details: 'Try again' }
    try {
      return work(row, index)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      return { ...about, error: error.name, details: error.sentence }
    }
  }

  #jobStatus(id: string): Answer {
    const job = this.#jobs.get(id)
    if (!job) return notFound('RecordNotFound')
    if (job.polls === 0) return { status: 200, json: { job_status: this.#jobShown(job, job.status) } }
    job.polls--
    return { status: 200, json: { job_status: this.#jobShown(job, 'working') } }
  }

  #jobShown(job: Job, status: string): object {
    const over = status === job.status
    return {
      id: job.id,
      url: `${this.url}/api/v2/job_statuses/${job.id}.json`,
      total: over ? job.results.length : null,
      progress: over ? job.results.length : null,
      status,
      message: over ? `Completed at ${new Date(this.now()).toISOString()}` : null,
      results: over && job.status === 'completed' ? job.results : null,
    }
  }
}

function isAfter(user: SimulatedUser, place: { s: number; id: number }): boolean {
  return user.updated_s > place.s || (user.updated_s === place.s && user.id > place.id)
}

function tooMany(wait_s: number, description: string): Answer {
  return {
    status: 429,
    headers: { 'Retry-After': String(wait_s) },
    json: { error: description === 'TooManyJobs' ? 'TooManyJobs' : 'APIRateLimitExceeded', description },
  }
}

function notFound(error: string): Answer {
  return { status: 404, json: { error, description: 'Not found' } }
}

function listOf(text: string | null): string[] {
  return (text ?? '').split(',').filter(Boolean)
}

function arrayOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

function objectOf(value: unknown): { readonly [name: string]: unknown } {
  return typeof value === 'object' && value !== null ? (value as { [name: string]: unknown }) : {}
}

function inputOf(value: unknown): UserInput {
  return objectOf(value) as UserInput
}

function identityOf(value: unknown): Pick<Identity, 'type' | 'value'> {
  const { type, value: text } = objectOf(value)
  return { type: String(type), value: String(text) }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
