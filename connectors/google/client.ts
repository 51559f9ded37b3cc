import type { MethodOptions, people_v1 } from 'googleapis/build/src/apis/people/index.js'
import type { z } from 'zod'
import { FailureError } from '../../engine/core/failure.ts'
import { HttpClient, type HttpStats } from '../http.ts'
import type { Clock } from '../clock.ts'
import type { Pacer } from '../pacer.ts'
import type { SignIn } from '../sign-in.ts'
import { malformed, RefusedError, refusalOf } from './errors.ts'
import {
  batchCreateSchema,
  batchGetSchema,
  batchUpdateSchema,
  connectionsSchema,
  emptySchema,
  groupSchema,
  groupsSchema,
  GROUP_PAGE_MAX,
} from './wire.ts'

export const GOOGLE_API = 'https://people.googleapis.com/'
export const GOOGLE_TOKENS = 'https://oauth2.googleapis.com/token'

export type Credentials = { readonly accessToken: string } | { readonly signIn: SignIn }

export interface ClientOptions extends Clock {
  readonly credentials: Credentials
  readonly rootUrl: string
  readonly pacer: Pacer
  readonly silence_max_ms?: number
  readonly retries_max?: number
  readonly retryPause_ms?: number
  readonly retryAfter_max_ms?: number
}

/** Nothing but the contact itself: a linked profile's fields are the other person's own, and cannot be written. */
const SOURCES = ['READ_SOURCE_TYPE_CONTACT']

type Adapter = NonNullable<MethodOptions['adapter']>

/** Statuses whose body says more than the status does. */
const TOLD = [400, 401, 403, 404, 409, 412]

/**
 * Google's own client, on Kith's own HTTP: googleapis builds requests, while limits, retries, silence, sockets, lost answers and
 * access tokens are those of every connector.
 */
export class PeopleClient {
  readonly #http: HttpClient
  /** Loaded with the first request: most processes never speak to Google. */
  readonly #open: () => Promise<people_v1.People>
  #people: Promise<people_v1.People> | undefined

  constructor({ credentials, rootUrl, ...tuning }: ClientOptions) {
    const authorised =
      'signIn' in credentials
        ? { signIn: credentials.signIn }
        : { authorization: () => Promise.resolve(`Bearer ${credentials.accessToken}`) }
    this.#http = new HttpClient({ baseUrl: rootUrl, retries_max: 2, ...tuning, ...authorised })
    this.#open = async () => {
      const { people_v1 } = await import('googleapis/build/src/apis/people/index.js')
      return new people_v1.People({ rootUrl, retry: false, adapter: this.#adapter() })
    }
  }

  /** Requests and bytes so far. */
  stats(): HttpStats {
    return this.#http.stats()
  }

  close(): void {
    this.#http.close()
  }

  async connections(params: people_v1.Params$Resource$People$Connections$List, signal?: AbortSignal) {
    return await this.#call('GET people/me/connections', connectionsSchema, false, (google) =>
      google.people.connections.list({ resourceName: 'people/me', sources: SOURCES, ...params }, options(signal)),
    )
  }

  async batchGet(resourceNames: readonly string[], personFields: string, signal?: AbortSignal) {
    return await this.#call('GET people:batchGet', batchGetSchema, false, (google) =>
      google.people.getBatchGet({ resourceNames: [...resourceNames], personFields, sources: SOURCES }, options(signal)),
    )
  }

  async batchCreate(contacts: readonly people_v1.Schema$Person[], readMask: string, signal?: AbortSignal) {
    return await this.#call('POST people:batchCreateContacts', batchCreateSchema, true, (google) =>
      google.people.batchCreateContacts(
        {
          requestBody: { contacts: contacts.map((contactPerson) => ({ contactPerson })), readMask, sources: SOURCES },
        },
        options(signal),
      ),
    )
  }

  async batchUpdate(
    contacts: { readonly [resourceName: string]: people_v1.Schema$Person },
    updateMask: string,
    readMask: string,
    signal?: AbortSignal,
  ) {
    return await this.#call('POST people:batchUpdateContacts', batchUpdateSchema, true, (google) =>
      google.people.batchUpdateContacts(
        { requestBody: { contacts: { ...contacts }, updateMask, readMask, sources: SOURCES } },
        options(signal),
      ),
    )
  }

  async batchDelete(resourceNames: readonly string[], signal?: AbortSignal) {
    return await this.#call('POST people:batchDeleteContacts', emptySchema, true, (google) =>
      google.people.batchDeleteContacts({ requestBody: { resourceNames: [...resourceNames] } }, options(signal)),
    )
  }

  async groups(pageToken: string | undefined, signal?: AbortSignal) {
    return await this.#call('GET contactGroups', groupsSchema, false, (google) =>
      google.contactGroups.list(
        {
          pageSize: GROUP_PAGE_MAX,
          groupFields: 'groupType,name',
          ...(pageToken === undefined ? {} : { pageToken }),
        },
        options(signal),
      ),
    )
  }

  async group(resourceName: string, maxMembers: number, signal?: AbortSignal) {
    return await this.#call('GET contactGroups/{group}', groupSchema, false, (google) =>
      google.contactGroups.get({ resourceName, maxMembers, groupFields: 'groupType,name' }, options(signal)),
    )
  }

  async createGroup(name: string, signal?: AbortSignal) {
    return await this.#call('POST contactGroups', groupSchema, true, (google) =>
      google.contactGroups.create(
        { requestBody: { contactGroup: { name }, readGroupFields: 'groupType,name' } },
        options(signal),
      ),
    )
  }

  /** @throws FailureError; a RefusedError where Google said why */
  async #call<S extends z.ZodType>(
    pattern: string,
    schema: S,
    write: boolean,
    send: (google: people_v1.People) => Promise<{ data?: unknown }>,
  ): Promise<z.infer<S>> {
    let data: unknown
    try {
      this.#people ??= this.#open()
      data = (await send(await this.#people)).data
    } catch (error) {
      throw translated(error, pattern)
    }
    const parsed = schema.safeParse(data)
    if (!parsed.success) throw malformed(pattern, 'it lacks what the People API always says', write)
    return parsed.data
  }

  /** Sends what googleapis has made ready. Its own retries, which know nothing of lost answers, are switched off here. */
  #adapter(): Adapter {
    return async (config) => {
      config.retry = false
      config.retryConfig = { retry: 0, noResponseRetries: 0 }
      const method = (config.method ?? 'GET').toUpperCase()
      const url = new URL(String(config.url))
      const pattern = patternOf(url)
      const write = method !== 'GET'
      const response = await this.#http.send({
        method,
        url: url.href,
        pattern,
        headers: headersOf(config.headers),
        ...(config.body === undefined || config.body === null ? {} : { body: bodyOf(config.body) }),
        write,
        accept: TOLD,
        ...(config.signal ? { signal: config.signal as AbortSignal } : {}),
      })
      const data = json(response.body)
      const done = response.status >= 200 && response.status <= 299
      if (done && data === undefined) throw malformed(`${method} ${pattern}`, 'it ends too early', write)
      // gaxios empties `data` of an answer that it makes an error of: what Google said is kept beside it.
      return Object.assign(new Response(null, { status: response.status }), { config, data: data as never, said: data })
    }
  }
}

function options(signal: AbortSignal | undefined): MethodOptions {
  return signal ? { signal } : {}
}

function headersOf(headers: Iterable<readonly [string, string]>): { [name: string]: string } {
  const sent: { [name: string]: string } = {}
  for (const [name, value] of headers) sent[name] = value
  delete sent['user-agent']
  // Google packs its answers only for programs whose name says gzip.
  return { ...sent, 'User-Agent': 'Kith (gzip)' }
}

function bodyOf(body: unknown): string {
  return typeof body === 'string' ? body : String(body)
}

function json(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

/** The path without names of contacts and groups. */
function patternOf(url: URL): string {
  return url.pathname.replace(/^\/v1\//, '').replace(/^contactGroups\/[^/:]+/, 'contactGroups/{group}')
}

/** googleapis wraps what its adapter throws; what was thrown is the cause. */
function translated(error: unknown, pattern: string): Error {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof FailureError) return cause
  }
  const { response, name } = Object(error) as { response?: { status: number; said: unknown }; name?: unknown }
  if (response) return new RefusedError(refusalOf(response.status, response.said), pattern)
  return new FailureError(
    { kind: 'bug', message: `${pattern}: ${String(name)} in the Google client` },
    { cause: error },
  )
}
