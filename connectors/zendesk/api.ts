import type { z } from 'zod'
import { FailureError, type Failure } from '../../engine/core/failure.ts'
import type { Json } from '../../engine/core/json.ts'
import { retryAfter_ms } from '../http-failures.ts'
import type { HttpClient, HttpResponse } from '../http.ts'
import type { Pacer } from '../pacer.ts'
import { seenIn, sideloadsFor, type Seen } from './records.ts'
import { IdentitiesSchema, UsersSchema, type Identity, type Users } from './wire.ts'

export interface Call {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Below `/api/v2/`. */
  readonly path: string
  /** What errors call it. */
  readonly pattern: string
  readonly query?: { readonly [name: string]: string | number | undefined }
  readonly body?: Json
  readonly accept?: readonly number[]
  readonly signal?: AbortSignal | undefined
}

/** The share of the account's requests per minute that is left to its other programs. */
const RESERVE = 0.1
/** How long to hold still where Zendesk does not say when the minute is over. */
const BREATH_MS = 5000

/** Zendesk's API over HTTP: JSON both ways, whole or not at all, and no faster than its headers allow. */
export class Api {
  readonly #http: HttpClient
  readonly #pacer: Pacer
  readonly #exports: Pacer
  readonly #now: () => number
  #asked: ReadonlySet<string> | undefined

  constructor(http: HttpClient, pacer: Pacer, exports: Pacer, now: () => number) {
    this.#http = http
    this.#pacer = pacer
    this.#exports = exports
    this.#now = now
  }

  /** Records hold these fields from now on. */
  select(fields: readonly string[]): void {
    this.#asked = new Set(fields)
  }

  /** The related rows to ask for along with users; undefined for none. */
  get include(): string | undefined {
    const names = sideloadsFor(this.#asked)
    return names.length === 0 ? undefined : names.join(',')
  }

  /** @throws FailureError */
  async send(call: Call): Promise<HttpResponse> {
    const query = new URLSearchParams()
    for (const [name, value] of Object.entries(call.query ?? {}))
      if (value !== undefined) query.set(name, String(value))
    const search = query.size === 0 ? '' : `?${query}`
    const response = await this.#http.send({
      method: call.method,
      url: `/api/v2/${call.path}${search}`,
      pattern: call.pattern,
      headers: {
        Accept: 'application/json',
        ...(call.body === undefined ? {} : { 'Content-Type': 'application/json' }),
      },
      ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
      write: call.method !== 'GET',
      ...(call.accept ? { accept: call.accept } : {}),
      signal: call.signal,
    })
    this.#observe(response)
    return response
  }

  /** Sends, and reads the answer's body. @throws FailureError, also where the body is not whole */
  async ask<T>(call: Call, schema: z.ZodType<T>): Promise<T> {
    return parse(await this.send(call), call, schema)
  }

  /** The incremental exports have a limit of their own, a small one. */
  async askExport<T>(call: Call, schema: z.ZodType<T>): Promise<T | 'refused'> {
    const response = await this.#exports.run(() => this.send(call), call.signal)
    return call.accept?.includes(response.status) ? 'refused' : parse(response, call, schema)
  }

  /**
   * At most 100 users by id, or by external id, deleted ones included where Zendesk shows them.
   * @throws FailureError
   */
  async show(by: 'ids' | 'external_ids', values: readonly string[], signal?: AbortSignal): Promise<Seen[]> {
    if (values.length === 0) return []
    const answer = await this.ask(
      {
        method: 'GET',
        path: 'users/show_many',
        pattern: 'users/show_many',
        query: { [by]: values.join(','), include: this.include },
        signal,
      },
      UsersSchema,
    )
    return await this.see(answer, signal)
  }

  /** The users of an answer. Where it lacks addresses that must be there, they are read one by one. */
  async see(answer: Users, signal?: AbortSignal): Promise<Seen[]> {
    if (!sideloadsFor(this.#asked).includes('identities')) return seenIn(answer, this.#asked)
    const known = answer.identities ?? []
    const holders = new Set(known.filter(({ type }) => type === 'email').map(({ user_id }) => user_id))
    const lacking = answer.users.filter(
      (user) =>
        user['active'] !== false &&
        user['role'] === 'end-user' &&
        typeof user['email'] === 'string' &&
        user['email'] !== '' &&
        !holders.has(user.id),
    )
    const more: Identity[] = []
    for (const { id } of lacking) more.push(...(await this.identities(id, signal)))
    const given = known.filter(({ user_id }) => !more.some((each) => each.user_id === user_id))
    return seenIn({ ...answer, identities: [...given, ...more] }, this.#asked)
  }

  async identities(userId: number, signal?: AbortSignal): Promise<Identity[]> {
    const found: Identity[] = []
    let after: string | undefined
    do {
      const page: z.infer<typeof IdentitiesSchema> = await this.ask(
        {
          method: 'GET',
          path: `users/${userId}/identities`,
          pattern: 'users/{id}/identities',
          query: { 'page[size]': 100, 'page[after]': after },
          signal,
        },
        IdentitiesSchema,
      )
      found.push(...page.identities)
      after = page.meta?.has_more === true ? (page.meta.after_cursor ?? undefined) : undefined
    } while (after !== undefined)
    return found
  }

  /** The failure of a 429 that the caller wanted to see; all else waits only where the account is meant, not one user. */
  rateFailure(response: HttpResponse, one: boolean): Failure {
    const wait_ms = retryAfter_ms(response.header('retry-after'), this.#now())
    if (!one) this.#pacer.cool(wait_ms ?? 1000)
    return {
      kind: 'ratelimited',
      code: '429',
      message: one ? 'Zendesk takes no more updates of this user for now' : 'Zendesk asks to wait',
      ...(wait_ms === undefined ? {} : { retryAfter_ms: wait_ms }),
    }
  }

  #observe(response: HttpResponse): void {
    const limit = numberOf(response.header('ratelimit-limit') ?? response.header('x-rate-limit'))
    const left = numberOf(response.header('ratelimit-remaining') ?? response.header('x-rate-limit-remaining'))
    if (limit === undefined || left === undefined || left > limit * RESERVE) return
    const reset_s = numberOf(response.header('ratelimit-reset'))
    this.#pacer.cool(reset_s === undefined ? BREATH_MS : Math.min(reset_s, 60) * 1000)
  }
}

/** @throws FailureError */
export function parse<T>(response: HttpResponse, call: Call, schema: z.ZodType<T>): T {
  let json: unknown
  try {
    json = JSON.parse(response.body)
  } catch {
    throw unreadable(call, 'it is not whole')
  }
  const parsed = schema.safeParse(json)
  if (parsed.success) return parsed.data
  throw unreadable(call, `${parsed.error.issues[0]?.path.join('.') ?? 'all'} is not as expected`)
}

function unreadable(call: Call, why: string): FailureError {
  return new FailureError({
    kind: call.method === 'GET' ? 'transient' : 'uncertain',
    code: 'UNREADABLE',
    message: `Zendesk's answer to ${call.method} ${call.pattern} cannot be read: ${why}`,
  })
}

function numberOf(text: string | undefined): number | undefined {
  const number = Number(text)
  return text === undefined || !Number.isFinite(number) ? undefined : number
}
