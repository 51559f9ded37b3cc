import type { z } from 'zod'
import { FailureError, type Failure } from '../../engine/core/failure.ts'
import type { JsonObject } from '../../engine/core/json.ts'
import { HttpClient, type HttpResponse, type HttpStats } from '../http.ts'
import { pacerClock, type Clock } from '../clock.ts'
import { createPacer, type Pacer } from '../pacer.ts'
import type { SignIn } from '../sign-in.ts'
import { failureOfAnswer, type Asked } from './errors.ts'
import type { Place } from './place.ts'
import { Audience, BatchAnswer, CategoryList, InterestList, LIMITS, MembersPage, MergeFieldList } from './wire.ts'

export interface ClientOptions extends Clock {
  readonly place: Place
  /** The audience that all requests are about. */
  readonly audience: string
  /** null: `signIn` has it. */
  readonly authorization: string | null
  readonly signIn: SignIn | undefined
  readonly pacer: Pacer | undefined
  readonly tuning: Tuning
}

/** How the client behaves when Mailchimp does not; tests make it impatient. */
export interface Tuning {
  readonly silence_max_ms?: number
  readonly retries_max?: number
  readonly retryPause_ms?: number
  readonly pacer?: Pacer
  /** Members in one page of a listing. */
  readonly list_max?: number
}

/** What a listing is asked for. */
export interface Listing {
  readonly status?: 'archived'
  /** In milliseconds, cut to whole seconds. */
  readonly since_ms?: number
  readonly before_ms?: number
  readonly newestFirst?: boolean
  readonly count: number
  readonly offset?: number
  /** Names of the member's own fields, as `merge_fields`. */
  readonly fields: readonly string[]
}

/** An answer, and the clock of the server that gave it. */
export interface Answer<T> {
  readonly data: T
  readonly serverNow_ms: number
}

interface Call extends Asked {
  readonly signal: AbortSignal | undefined
}

/**
 * Seven of the ten connections that a user may have: the rest is left to the account's other programs. Mailchimp names no
 * limit in time; this one only keeps a mistake of ours small.
 */
const CONCURRENT_MAX = 7
const REQUESTS = 50
/** Mailchimp gives up after 120 s itself; a request given up earlier would go on holding its connection there. */
const SILENCE_MAX_MS = 125_000
/** A wait longer than this is the engine's to sit out. */
const WAIT_MAX_MS = 12_000
const REFUSALS = Array.from({ length: 100 }, (_, n) => 400 + n)
const FAILURES = Array.from({ length: 100 }, (_, n) => 500 + n)

/** What is used of the official client: it has no types for most of this, and those that it has are incomplete. */
interface Official {
  basePath: string
  setConfig(config: object): void
  callApi(
    path: string,
    method: string,
    pathParams: object,
    query: object,
    headers: object,
    form: object,
    body: unknown,
  ): Promise<{ data: unknown }>
  buildUrl(path: string, pathParams: object): string
  normalizeParams(params: object): { [name: string]: string | string[] }
  readonly lists: {
    [method in OfficialMethod]: (...parameters: unknown[]) => Promise<unknown>
  }
}
type OfficialMethod =
  | 'getList'
  | 'getListMembersInfo'
  | 'getListMember'
  | 'batchListMembers'
  | 'updateListMember'
  | 'updateListMemberTags'
  | 'setListMember'
  | 'deleteListMember'
  | 'deleteListMemberPermanent'
  | 'getListMergeFields'
  | 'getListInterestCategories'
  | 'listInterestCategoryInterests'

/**
 * The package's export is one client for the whole process: each call of ours has one of its own. Loaded with the first
 * request: most processes never speak to Mailchimp.
 */
async function officialClient(): Promise<Official> {
  const { default: marketing } = await import('@mailchimp/mailchimp_marketing')
  return new (marketing as unknown as { constructor: new () => Official }).constructor()
}

/**
 * Mailchimp's API through its official client, which writes the requests. They are sent by Kith's own HTTP client, for the
 * limits, the timeouts, the counting and the failures; what comes back is judged here, before the official client sees it.
 */
export class MailchimpClient {
  #http: { readonly basePath: string; readonly client: HttpClient } | undefined
  /** Traffic of clients for addresses that the account was at before. */
  #past: HttpStats = { requests: 0, retries: 0, bytesSent: 0, bytesReceived: 0 }
  readonly #options: ClientOptions
  readonly #pacer: Pacer
  readonly list_max: number

  constructor(options: ClientOptions) {
    this.#options = options
    const { tuning } = options
    this.list_max = tuning.list_max ?? LIMITS.list_max
    this.#pacer =
      tuning.pacer ??
      options.pacer ??
      createPacer({
        requests: REQUESTS,
        interval_ms: 1000,
        concurrent_max: CONCURRENT_MAX,
        ...pacerClock(options),
      })
  }

  stats(): HttpStats {
    const now = this.#http?.client.stats()
    const sum = (name: keyof HttpStats): number => this.#past[name] + (now?.[name] ?? 0)
    return {
      requests: sum('requests'),
      retries: sum('retries'),
      bytesSent: sum('bytesSent'),
      bytesReceived: sum('bytesReceived'),
    }
  }

  close(): void {
    this.#http?.client.close()
  }

  async audience(signal: AbortSignal | undefined): Promise<Audience> {
    const fields = ['id', 'name', 'double_optin', 'stats.member_count', 'stats.unsubscribe_count']
    const call = { pattern: 'GET lists/{audience}', write: false, signal }
    return (await this.#ask(call, Audience, 'getList', { fields })).data
  }

  /** One page of members, in the order of their last change. */
  async members(listing: Listing, signal: AbortSignal | undefined): Promise<Answer<MembersPage>> {
    const { since_ms, before_ms, newestFirst, fields, count, offset, status } = listing
    const call = { pattern: 'GET lists/{audience}/members', write: false, signal }
    return await this.#ask(call, MembersPage, 'getListMembersInfo', {
      fields: [...fields.map((name) => `members.${name}`), 'total_items'],
      count,
      offset: offset ?? 0,
      sort_field: 'last_changed',
      sort_dir: newestFirst === true ? 'DESC' : 'ASC',
      ...(status === undefined ? {} : { status }),
      ...(since_ms === undefined ? {} : { since_last_changed: isoSecond(since_ms) }),
      ...(before_ms === undefined ? {} : { before_last_changed: isoSecond(before_ms) }),
    })
  }

  /** One member as it stands, unread. @param who its contact id, or its address @throws `gone` where there is none */
  async member(who: string, fields: readonly string[], signal: AbortSignal | undefined): Promise<unknown> {
    const call = { pattern: 'GET lists/{audience}/members/{member}', write: false, single: true, signal }
    return (await this.#ask(call, null, 'getListMember', who, { fields: [...fields] })).data
  }

  /** At most {@link LIMITS.batch_max} members. */
  async batch(members: readonly JsonObject[], updateExisting: boolean, signal: AbortSignal | undefined) {
    const call = { pattern: 'POST lists/{audience}', write: true, signal }
    const body = { members: [...members], update_existing: updateExisting, sync_tags: false }
    return (await this.#ask(call, BatchAnswer, 'batchListMembers', body, { skip_merge_validation: true })).data
  }

  async update(id: string, body: JsonObject, signal: AbortSignal | undefined): Promise<unknown> {
    const call = { pattern: 'PATCH lists/{audience}/members/{member}', write: true, single: true, signal }
    return (await this.#ask(call, null, 'updateListMember', id, body, { skip_merge_validation: true })).data
  }

  async put(who: string, body: JsonObject, signal: AbortSignal | undefined): Promise<unknown> {
    const call = { pattern: 'PUT lists/{audience}/members/{member}', write: true, single: true, signal }
    return (await this.#ask(call, null, 'setListMember', who, body, { skip_merge_validation: true })).data
  }

  /** @param tags which are to be there, and which not; others stay as they are */
  async tag(id: string, tags: readonly { name: string; status: 'active' | 'inactive' }[], signal?: AbortSignal) {
    const call = { pattern: 'POST lists/{audience}/members/{member}/tags', write: true, single: true, signal }
    await this.#ask(call, null, 'updateListMemberTags', id, { tags: [...tags] })
  }

  async archive(id: string, signal: AbortSignal | undefined): Promise<void> {
    const call = { pattern: 'DELETE lists/{audience}/members/{member}', write: true, single: true, signal }
    await this.#ask(call, null, 'deleteListMember', id)
  }

  /** For good: Mailchimp forgets the member, and imports the address never again. */
  async deletePermanently(id: string, signal: AbortSignal | undefined): Promise<void> {
    const pattern = 'POST lists/{audience}/members/{member}/actions/delete-permanent'
    await this.#ask({ pattern, write: true, single: true, signal }, null, 'deleteListMemberPermanent', id)
  }

  async mergeFields(signal: AbortSignal | undefined) {
    const call = { pattern: 'GET lists/{audience}/merge-fields', write: false, signal }
    const fields = ['tag', 'name', 'type', 'required', 'options'].map((name) => `merge_fields.${name}`)
    return (await this.#ask(call, MergeFieldList, 'getListMergeFields', { fields, count: LIMITS.list_max })).data
      .merge_fields
  }

  async categories(signal: AbortSignal | undefined) {
    const call = { pattern: 'GET lists/{audience}/interest-categories', write: false, signal }
    return (await this.#ask(call, CategoryList, 'getListInterestCategories', { count: LIMITS.list_max })).data
      .categories
  }

  async interests(category: string, signal: AbortSignal | undefined) {
    const call = { pattern: 'GET lists/{audience}/interest-categories/{category}/interests', write: false, signal }
    const options = { count: LIMITS.list_max }
    return (await this.#ask(call, InterestList, 'listInterestCategoryInterests', category, options)).data.interests
  }

  /** @throws FailureError for everything but an answer of the form asked for */
  async #ask<T>(call: Call, form: z.ZodType<T> | null, method: OfficialMethod, ...rest: unknown[]): Promise<Answer<T>> {
    let heard: { answer: HttpResponse; json: unknown } | undefined
    const official = await officialClient()
    // Without a `server` in it: that would replace the first "server" anywhere in an address.
    official.setConfig({})
    const http = await this.#connected(call.signal)
    official.basePath = http.basePath.replace(/\/+$/, '')
    official.callApi = async (path, verb, pathParams, query, _headers, _form, body) => {
      const url = `${official.buildUrl(path, pathParams)}${queryOf(official.normalizeParams(query))}`
      const answer = await this.#send(http.client, call, verb, url, body)
      const json = parsed(call, answer)
      if (answer.status >= 400) throw this.#refused(call, answer, json)
      heard = { answer, json }
      return { data: json }
    }
    await official.lists[method](this.#options.audience, ...rest)
    if (!heard) throw new FailureError({ kind: 'bug', message: `${call.pattern} was not sent` })
    const data = form?.safeParse(heard.json)
    if (data && !data.success) throw new FailureError(malformed(call))
    const date = Date.parse(heard.answer.header('date') ?? '')
    return {
      data: (data ? data.data : heard.json) as T,
      serverNow_ms: Number.isNaN(date) ? this.#options.now() : date,
    }
  }

  async #connected(signal: AbortSignal | undefined): Promise<{ basePath: string; client: HttpClient }> {
    const { place, authorization, signIn, tuning, now, sleep } = this.#options
    const basePath = await place.basePath(signal)
    if (this.#http?.basePath === basePath) return this.#http
    this.#past = this.stats()
    this.#http?.client.close()
    const client = new HttpClient({
      baseUrl: basePath,
      ...(authorization === null ? { signIn } : {}),
      authorization: () => Promise.resolve(authorization),
      connections_max: CONCURRENT_MAX,
      silence_max_ms: tuning.silence_max_ms ?? SILENCE_MAX_MS,
      retries_max: tuning.retries_max ?? 3,
      ...(tuning.retryPause_ms === undefined ? {} : { retryPause_ms: tuning.retryPause_ms }),
      pacer: this.#pacer,
      now,
      sleep,
    })
    return (this.#http = { basePath, client })
  }

  async #send(http: HttpClient, call: Call, method: string, url: string, body: unknown): Promise<HttpResponse> {
    const retries = call.write ? 0 : (this.#options.tuning.retries_max ?? 3)
    const json = body === null || body === undefined ? undefined : JSON.stringify(body)
    for (let attempt = 0; ; attempt++) {
      const answer = await http.send({
        method,
        url,
        pattern: call.pattern.slice(call.pattern.indexOf(' ') + 1),
        headers: {
          Accept: 'application/json, application/problem+json',
          ...(json === undefined ? {} : { 'Content-Type': 'application/json' }),
        },
        ...(json === undefined ? {} : { body: json }),
        write: call.write,
        accept: call.write ? [...REFUSALS, ...FAILURES] : REFUSALS,
        signal: call.signal,
      })
      if (answer.status < 400) return answer
      const { failure } = this.#refused(call, answer, parsed(call, answer))
      if (failure.kind !== 'ratelimited') return answer
      const wait_ms = failure.retryAfter_ms ?? 1000 * 2 ** attempt
      // The pacer holds this request back with all others of the account.
      this.#pacer.cool(wait_ms)
      if (wait_ms > WAIT_MAX_MS || attempt >= retries) return answer
    }
  }

  #refused(call: Call, answer: HttpResponse, json: unknown): FailureError {
    const retryAfter = answer.header('retry-after')
    return new FailureError(failureOfAnswer(call, answer.status, json, retryAfter, this.#options.now()))
  }
}

function isoSecond(at_ms: number): string {
  return new Date(Math.floor(at_ms / 1000) * 1000).toISOString().replace('.000Z', '+00:00')
}

function queryOf(query: { readonly [name: string]: string | string[] }): string {
  const pairs = Object.entries(query).map(([name, value]): [string, string] => [name, String(value)])
  return pairs.length === 0 ? '' : `?${new URLSearchParams(pairs).toString()}`
}

function parsed(call: Call, answer: HttpResponse): unknown {
  if (answer.body === '') return null
  try {
    return JSON.parse(answer.body)
  } catch {
    // A refusal speaks through its status too; anything else was cut short on its way.
    if (answer.status >= 400) return null
    throw new FailureError(malformed(call))
  }
}

function malformed(call: Call): Failure {
  return {
    kind: call.write ? 'uncertain' : 'transient',
    code: 'MALFORMED',
    message: `The answer to ${call.pattern} is not whole, or not Mailchimp's`,
  }
}
