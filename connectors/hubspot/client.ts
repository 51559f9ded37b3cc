import type { PublicObjectSearchRequest, RequestContext } from '@hubspot/api-client/lib/codegen/crm/contacts/index.js'
import type { z } from 'zod'
import { FailureError } from '../../engine/core/failure.ts'
import { HttpClient, type HttpResponse, type HttpStats } from '../http.ts'
import { pacerClock, type Clock } from '../clock.ts'
import { createPacer, type Pacer } from '../pacer.ts'
import type { SignIn } from '../sign-in.ts'
import { failureOfAnswer, type Asked } from './errors.ts'
import { ListsClient } from './lists-client.ts'
import { API_VERSION, BatchAnswer, Head, ListPage, PropertyList, SearchPage, type Property } from './wire.ts'

export interface ClientOptions extends Clock {
  /** Of a service key or a private app; null where `signIn` has the tokens. */
  readonly token: string | null
  readonly signIn: SignIn | undefined
  readonly basePath: string
  readonly pacer: Pacer | undefined
  readonly tuning: Tuning
}

/** How the client behaves when HubSpot does not; tests make it impatient. */
export interface Tuning {
  readonly silence_max_ms?: number
  readonly retries_max?: number
  readonly retryPause_ms?: number
  /** In place of the budgets of all requests and of searches. */
  readonly pacers?: { readonly requests: Pacer; readonly searches: Pacer }
  /** How long a new contact may take to be found by a search. */
  readonly searchLag_ms?: number
}

/**
 * Requests in 10 s that every account may make (the smallest plan's 100, less a share for the account's other programs), and
 * searches in 1 s (5). The headers of the answers hold us back further where others use the account too.
 */
const REQUESTS = 90
const REQUESTS_INTERVAL_MS = 10_000
const SEARCHES = 4
/** The part of the account's budget that is left to other programs. */
const RESERVE = 0.1
/** A wait longer than this is the engine's to sit out. */
const WAIT_MAX_MS = 12_000
/** HTTP statuses that are answers rather than accidents: every one that HubSpot may give a reason with. */
const REFUSALS = Array.from({ length: 100 }, (_, n) => 400 + n)
const FAILURES = Array.from({ length: 100 }, (_, n) => 500 + n)

export interface Call extends Asked {
  readonly signal: AbortSignal | undefined
}

/** An answer, and the clock of the server that gave it. */
export interface Answer<T> {
  readonly data: T
  readonly status: number
  readonly serverNow_ms: number
}

/** Loaded with the first request: most processes never speak to HubSpot. */
const contactsApi = () => import('@hubspot/api-client/lib/codegen/crm/contacts/index.js')
const propertiesApi = () => import('@hubspot/api-client/lib/codegen/crm/properties/index.js')
type ContactsApi = Awaited<ReturnType<typeof contactsApi>>
type Library = ReturnType<ContactsApi['wrapHttpLibrary']>

/** What the parts of the client that have files of their own ask through. */
export interface Asking {
  /** @param run calls the official client with this configuration: each of its parts has classes of its own for the same things */
  ask<T>(call: Call, form: z.ZodType<T>, run: (configuration: never) => Promise<unknown>): Promise<Answer<T>>
  /** For what the official client does not offer. @param path with its query */
  post<T>(call: Call, form: z.ZodType<T>, path: string, body: object): Promise<Answer<T>>
}

/**
 * HubSpot's API through its official client, which writes the requests. They are sent by Kith's own HTTP client, for the
 * limits, the timeouts, the counting and the failures; what comes back is judged here, before the official client sees it: its
 * exceptions quote whole bodies, it takes any JSON for an answer, and it knows no abort.
 */
export class HubSpotClient {
  readonly #http: HttpClient
  readonly #options: ClientOptions
  readonly #requests: Pacer
  readonly #searches: Pacer
  readonly lists: ListsClient

  constructor(options: ClientOptions) {
    this.#options = options
    const { tuning } = options
    const timers = pacerClock(options)
    this.#requests =
      tuning.pacers?.requests ??
      options.pacer ??
      createPacer({ requests: REQUESTS, interval_ms: REQUESTS_INTERVAL_MS, concurrent_max: 8, ...timers })
    this.#searches =
      tuning.pacers?.searches ?? createPacer({ requests: SEARCHES, interval_ms: 1000, concurrent_max: 2, ...timers })
    this.#http = new HttpClient({
      baseUrl: options.basePath,
      silence_max_ms: tuning.silence_max_ms ?? 60_000,
      retries_max: tuning.retries_max ?? 3,
      ...(tuning.retryPause_ms === undefined ? {} : { retryPause_ms: tuning.retryPause_ms }),
      pacer: this.#requests,
      now: options.now,
      sleep: options.sleep,
      signIn: options.signIn,
    })
    this.lists = new ListsClient({
      ask: (call, form, run) =>
        this.#ask(call, form, (httpApi, api) => run({ ...this.#settings(api), httpApi } as never)),
      post: (call, form, path, body) =>
        this.#ask(call, form, async (library, api) => {
          const request = this.#request(api, path)
          request.setHeaderParam('Content-Type', 'application/json')
          request.setBody(JSON.stringify(body))
          return await library.send(request).toPromise()
        }),
    })
  }

  stats(): HttpStats {
    return this.#http.stats()
  }

  close(): void {
    this.#http.close()
  }

  /** One page of all contacts, or of all archived ones; ids and times only. */
  async list(after: string | undefined, archived: boolean, limit: number, signal: AbortSignal | undefined) {
    return await this.#ask({ pattern: 'GET contacts', write: false, signal }, ListPage, (httpApi, api) =>
      new api.BasicApi(this.#configuration(httpApi, api)).getPage(
        limit,
        after,
        ['hs_object_id'],
        undefined,
        undefined,
        archived,
      ),
    )
  }

  async search(request: PublicObjectSearchRequest, signal: AbortSignal | undefined) {
    const call = { pattern: 'POST contacts/search', write: false, signal }
    return await this.#searches.run(
      () =>
        this.#ask(call, SearchPage, (httpApi, api) =>
          new api.SearchApi(this.#configuration(httpApi, api)).doSearch(request),
        ),
      signal,
    )
  }

  /** @param idProperty what the ids are values of, where they are no record ids */
  async batchRead(
    ids: readonly string[],
    properties: readonly string[],
    history: boolean,
    idProperty: string | undefined,
    signal: AbortSignal | undefined,
  ) {
    const body = {
      inputs: ids.map((id) => ({ id })),
      properties: [...properties],
      propertiesWithHistory: history ? [...properties] : [],
      ...(idProperty === undefined ? {} : { idProperty }),
    }
    return await this.#ask({ pattern: 'POST contacts/batch/read', write: false, signal }, BatchAnswer, (httpApi, api) =>
      new api.BatchApi(this.#configuration(httpApi, api)).read(body, false),
    )
  }

  /** One contact as it stands, whole and unread; null where HubSpot says that there is none. */
  async read(id: string, properties: readonly string[], signal: AbortSignal | undefined): Promise<unknown> {
    try {
      const call = { pattern: 'GET contacts/{id}', write: false, single: true, signal }
      const { data } = await this.#ask(call, null, (httpApi, api) =>
        new api.BasicApi(this.#configuration(httpApi, api)).getById(id, [...properties], [...properties]),
      )
      return data
    } catch (error) {
      if (error instanceof FailureError && error.failure.kind === 'gone') return null
      throw error
    }
  }

  async batchCreate(
    inputs: readonly { properties: { [name: string]: string }; objectWriteTraceId: string }[],
    signal: AbortSignal | undefined,
  ) {
    return await this.#ask(
      { pattern: 'POST contacts/batch/create', write: true, signal },
      BatchAnswer,
      (httpApi, api) => new api.BatchApi(this.#configuration(httpApi, api)).create({ inputs: [...inputs] }),
    )
  }

  async batchUpdate(
    inputs: readonly { id: string; properties: { [name: string]: string }; objectWriteTraceId: string }[],
    signal: AbortSignal | undefined,
  ) {
    return await this.#ask(
      { pattern: 'POST contacts/batch/update', write: true, signal },
      BatchAnswer,
      (httpApi, api) => new api.BatchApi(this.#configuration(httpApi, api)).update({ inputs: [...inputs] }),
    )
  }

  async batchArchive(ids: readonly string[], signal: AbortSignal | undefined): Promise<void> {
    await this.#ask({ pattern: 'POST contacts/batch/archive', write: true, signal }, null, (httpApi, api) =>
      new api.BatchApi(this.#configuration(httpApi, api)).archive({ inputs: ids.map((id) => ({ id })) }),
    )
  }

  /** @returns the id of the contact that stands */
  async merge(primary: string, other: string, signal: AbortSignal | undefined): Promise<string> {
    const call = { pattern: 'POST contacts/merge', write: true, single: true, signal }
    const { data } = await this.#ask(call, Head, (httpApi, api) =>
      new api.BasicApi(this.#configuration(httpApi, api)).merge({ primaryObjectId: primary, objectIdToMerge: other }),
    )
    return data.id
  }

  /**
   * Deletes a contact for good, archived or not. HubSpot then takes its address from nobody any more, but from the person's own
   * hand. Doing it twice is doing it once.
   */
  async gdprDelete(id: string, signal: AbortSignal | undefined): Promise<void> {
    await this.#ask({ pattern: 'POST contacts/gdpr-delete', write: true, signal }, null, (httpApi, api) =>
      new api.BasicApi(this.#configuration(httpApi, api)).purge({ objectId: id }),
    )
  }

  /**
   * Unsubscribes an address from all e-mail of the account. Doing it twice is doing it once, so it is tried again like a reading.
   * The address stands in no message: the pattern does.
   */
  async unsubscribeAll(address: string, signal: AbortSignal | undefined): Promise<void> {
    const path = `/communication-preferences/v4/statuses/${encodeURIComponent(address)}/unsubscribe-all?channel=EMAIL`
    const request = this.#request(await contactsApi(), path)
    const call = {
      pattern: 'POST statuses/{address}/unsubscribe-all',
      write: false,
      part: true,
      // The first is that of service keys and private apps; apps from before have the other.
      scopes: ['subscriptions-status-write', 'communication_preferences.read_write'],
      signal,
    }
    const answer = await this.#send(call, request)
    if (answer.status >= 400) throw this.#refused(call, answer, parsed(call, answer))
  }

  async properties(signal: AbortSignal | undefined): Promise<Property[]> {
    const { data } = await this.#ask(
      { pattern: 'GET properties/contacts', write: false, signal },
      PropertyList,
      async (httpApi, api) => {
        const { CoreApi, createConfiguration } = await propertiesApi()
        // Each part of the official client has classes of its own for the same things.
        const settings = { ...this.#settings(api), httpApi } as unknown as Parameters<typeof createConfiguration>[0]
        return await new CoreApi(createConfiguration(settings)).getAll('contacts')
      },
    )
    return data.results
  }

  /** A POST that the official client does not write. */
  #request({ RequestContext, HttpMethod }: ContactsApi, path: string): RequestContext {
    const request = new RequestContext(new URL(path, this.#options.basePath).href, HttpMethod.POST)
    request.setHeaderParam('Authorization', `Bearer ${this.#options.token ?? ''}`)
    return request
  }

  #settings({ ServerConfiguration }: ContactsApi) {
    return {
      baseServer: new ServerConfiguration(this.#options.basePath, {}),
      // With a sign-in, the HTTP client puts its own token in the place of this one.
      authMethods: { oauth2: { accessToken: this.#options.token ?? '' } },
    }
  }

  /** A configuration for each call: the one that can be named in a call is not used by the official client (14.0.1). */
  #configuration(httpApi: Library, api: ContactsApi) {
    return api.createConfiguration({ ...this.#settings(api), httpApi })
  }

  /** @throws FailureError for everything but an answer of the form asked for */
  async #ask<T>(
    call: Call,
    form: z.ZodType<T> | null,
    run: (library: Library, api: ContactsApi) => Promise<unknown>,
  ): Promise<Answer<T>> {
    let heard: { answer: HttpResponse; json: unknown } | undefined
    const api = await contactsApi()
    const library = api.wrapHttpLibrary({
      send: async (request: RequestContext) => {
        const answer = await this.#send(call, request)
        const json = parsed(call, answer)
        if (answer.status >= 400) throw this.#refused(call, answer, json)
        heard = { answer, json }
        const body = answer.body === '' ? '' : JSON.stringify(json)
        return new api.ResponseContext(
          answer.status,
          { 'content-type': 'application/json' },
          { text: () => Promise.resolve(body), binary: () => Promise.resolve(Buffer.from(body)) },
        )
      },
    })
    await run(library, api)
    if (!heard) throw new FailureError({ kind: 'bug', message: `${call.pattern} was not sent` })
    const { answer, json } = heard
    const data = form?.safeParse(json)
    if (data && !data.success) throw new FailureError(malformed(call))
    const date = Date.parse(answer.header('date') ?? '')
    return {
      data: (data ? data.data : json) as T,
      status: answer.status,
      serverNow_ms: Number.isNaN(date) ? this.#options.now() : date,
    }
  }

  async #send(call: Call, request: RequestContext): Promise<HttpResponse> {
    const body = request.getBody()
    const retries = call.write ? 0 : (this.#options.tuning.retries_max ?? 3)
    for (let attempt = 0; ; attempt++) {
      const answer = await this.#http.send({
        method: request.getHttpMethod().toString(),
        url: versioned(request.getUrl()),
        pattern: call.pattern.slice(call.pattern.indexOf(' ') + 1),
        headers: request.getHeaders(),
        ...(typeof body === 'string' ? { body } : {}),
        write: call.write,
        accept: call.write ? [...REFUSALS, ...FAILURES] : REFUSALS,
        signal: call.signal,
      })
      this.#mindBudget(answer)
      if (answer.status !== 429) return answer
      const { retryAfter_ms } = this.#refused(call, answer, parsed(call, answer)).failure
      const wait_ms = retryAfter_ms ?? 1000 * 2 ** attempt
      // The pacer holds this request back with all others of the account.
      this.#requests.cool(wait_ms)
      if (wait_ms > WAIT_MAX_MS || attempt >= retries) return answer
    }
  }

  /** Where the account's budget runs low, others use it too: we then go slowly, before HubSpot has to say so. */
  #mindBudget(answer: HttpResponse): void {
    const [max, left, interval_ms] = ['Max', 'Remaining', 'Interval-Milliseconds'].map((name) =>
      Number(answer.header(`X-HubSpot-RateLimit-${name}`) ?? Number.NaN),
    ) as [number, number, number]
    if (left < max * RESERVE && interval_ms > 0) this.#requests.cool(Math.min(interval_ms * RESERVE, WAIT_MAX_MS))
  }

  #refused(call: Call, answer: HttpResponse, json: unknown): FailureError {
    const retryAfter = answer.header('retry-after')
    const asked = { ...call, signedIn: this.#options.signIn !== undefined }
    return new FailureError(failureOfAnswer(asked, answer.status, json, retryAfter, this.#options.now()))
  }
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

function malformed(call: Call): { kind: 'uncertain' | 'transient'; code: string; message: string } {
  return {
    kind: call.write ? 'uncertain' : 'transient',
    code: 'MALFORMED',
    message: `The answer to ${call.pattern} is not whole, or not HubSpot's`,
  }
}

/** Contacts and lists have the version behind their own name, the other parts before it. */
function versioned(url: string): string {
  if (API_VERSION === 'v3') return url
  const own = /\/crm\/v3\/(objects|lists)(?=[/?]|$)/
  return own.test(url) ? url.replace(own, `/crm/$1/${API_VERSION}`) : url.replace('/crm/v3/', `/crm/${API_VERSION}/`)
}
