import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { FailureError } from '../../engine/core/failure.ts'
import type { Json } from '../../engine/core/json.ts'
import type {
  Capabilities,
  ConnectionReport,
  Connector,
  ConnectorStats,
  FeedPage,
  ReadAnswer,
  WriteOutcome,
  WriteRequest,
} from '../../engine/core/ports/connector.ts'
import type { App, ConnectContext } from '../app.ts'
import { HttpClient } from '../http.ts'
import { createPacer, type Pacer } from '../pacer.ts'
import { Api } from './api.ts'
import { Feed } from './feed.ts'
import { POLL_PAUSES_MS } from './jobs.ts'
import { readUsers } from './reader.ts'
import { customField, STANDARD_FIELDS } from './records.ts'
import { zendeskWebhook } from './webhook.ts'
import { CountSchema, MeSchema, UserFieldsSchema, type UserField } from './wire.ts'
import { Batch } from './writes.ts'

const Options = z
  .strictObject({
    /** The first part of the account's address: `acme` of acme.zendesk.com. */
    subdomain: z.string().regex(/^[a-z0-9][a-z0-9-]*$/i, { error: 'the part before .zendesk.com, without dots' }),
    /** Of the administrator whose API token it is. */
    email: z.email().optional(),
    token: z.string().min(1).optional(),
    oauthToken: z.string().min(1).optional(),
    /** Where the account's API is, if not at zendesk.com: for the simulator. */
    baseUrl: z.url({ protocol: /^https?$/, error: 'an http or https address' }).optional(),
    /** Signs the account's webhooks to us. */
    webhookSecret: z.string().min(1).optional(),
  })
  .refine(
    ({ email, token, oauthToken }) =>
      oauthToken === undefined
        ? email !== undefined && token !== undefined
        : email === undefined && token === undefined,
    { error: 'either email and token, or oauthToken' },
  )
export type ZendeskOptions = z.infer<typeof Options>

const CAPABILITIES: Capabilities = {
  deletes: 'feed',
  hints: false,
  createKey: 'id',
  precondition: false,
  times: 'record',
  readBatch_max: 100,
  writeBatch_max: 100,
  writes_concurrent_max: 4,
  archive: false,
  create: true,
  delete: true,
}

const CONCURRENT_MAX = 8
const MINUTE_MS = 60_000
/** The largest plan's limit; the smaller ones' are told by the headers, and kept by holding still. */
const REQUESTS_MAX = 2500
/** Incremental exports: 10 requests in a minute, 30 with the High Volume add-on. */
const EXPORTS_MAX = 10

/** End users of a Zendesk Support account. */
export const zendesk: App<ZendeskOptions> = {
  name: 'zendesk',
  title: 'Zendesk Support',
  options: Options,
  secrets: ['token', 'oauthToken', 'webhookSecret'],
  account: ({ subdomain, baseUrl }) =>
    `zendesk ${baseUrl === undefined ? subdomain.toLowerCase() : new URL(baseUrl).href}`,
  connect: (options, context) => connectZendesk(options, context),
  webhook: ({ webhookSecret }, { now }) => zendeskWebhook(webhookSecret, now),
}

/** How the client behaves when Zendesk does not; tests make it impatient. */
export interface ZendeskTuning {
  readonly retries_max?: number
  readonly retryPause_ms?: number
  readonly retryAfter_max_ms?: number
  readonly silence_max_ms?: number
  /** The budget of all requests, and that of incremental exports within it. */
  readonly pacer?: Pacer
  readonly exports?: Pacer
  /** Pauses before each look at a job; the last one is repeated. */
  readonly pollPauses_ms?: readonly number[]
}

export function connectZendesk(options: ZendeskOptions, context: ConnectContext, tuning: ZendeskTuning = {}): Zendesk {
  return new Zendesk(options, context, tuning)
}

export class Zendesk implements Connector {
  readonly app = 'zendesk'
  readonly capabilities = CAPABILITIES
  readonly #options: ZendeskOptions
  readonly #http: HttpClient
  readonly #api: Api
  readonly #pollPauses_ms: readonly number[]

  constructor(options: ZendeskOptions, context: ConnectContext, tuning: ZendeskTuning) {
    const { pacer = context.pacer ?? pacerOf(REQUESTS_MAX), exports = pacerOf(EXPORTS_MAX), ...rest } = tuning
    const { pollPauses_ms = POLL_PAUSES_MS, ...http } = rest
    this.#options = options
    this.#pollPauses_ms = pollPauses_ms
    const authorization = authorizationOf(options)
    this.#http = new HttpClient({
      baseUrl: options.baseUrl ?? `https://${options.subdomain}.zendesk.com`,
      authorization: () => Promise.resolve(authorization),
      connections_max: CONCURRENT_MAX,
      pacer,
      now: context.now,
      ...http,
    })
    this.#api = new Api(this.#http, pacer, exports, context.now)
  }

  select(fields: readonly string[]): void {
    this.#api.select(fields)
  }

  stats(): ConnectorStats {
    return this.#http.stats()
  }

  async check(signal?: AbortSignal): Promise<ConnectionReport> {
    const { user } = await this.#api.ask({ method: 'GET', path: 'users/me', pattern: 'users/me', signal }, MeSchema)
    // Credentials that are none are answered with a user who is nobody.
    if (user.id === null || user.role !== 'admin') {
      throw new FailureError({
        kind: 'auth',
        code: 'NOT-ADMIN',
        message: 'The credentials are not those of an administrator, who alone may export users',
        advice: 'Use the API token of an administrator in kith.yaml; then run: kith check',
      })
    }
    const fields = await this.#userFields(signal)
    const path = 'users/count'
    const { count } = await this.#api.ask(
      { method: 'GET', path, pattern: path, query: { role: 'end-user' }, signal },
      CountSchema,
    )
    const warnings: string[] = []
    if (this.#options.webhookSecret === undefined) {
      warnings.push('No webhookSecret: changes are heard at the next poll only')
    }
    return {
      summary: `Zendesk account '${this.#options.subdomain}', about ${count.value} end users`,
      fields: [...STANDARD_FIELDS, ...fields.map(customField)],
      warnings,
    }
  }

  async *pull(cursor: Json | null, signal?: AbortSignal): AsyncGenerator<FeedPage> {
    yield* new Feed(this.#api, this.#http.origin, signal).pages(cursor)
  }

  async read(ids: readonly string[], signal?: AbortSignal): Promise<ReadAnswer[]> {
    checkBatch(ids.length, CAPABILITIES.readBatch_max)
    return await readUsers(this.#api, ids, signal)
  }

  async write(requests: readonly WriteRequest[], signal?: AbortSignal): Promise<WriteOutcome[]> {
    checkBatch(requests.length, CAPABILITIES.writeBatch_max)
    return await new Batch({ api: this.#api, pollPauses_ms: this.#pollPauses_ms }, signal).write(requests)
  }

  close(): Promise<void> {
    this.#http.close()
    return Promise.resolve()
  }

  async #userFields(signal: AbortSignal | undefined): Promise<UserField[]> {
    const found: UserField[] = []
    let after: string | undefined
    do {
      const page: z.infer<typeof UserFieldsSchema> = await this.#api.ask(
        {
          method: 'GET',
          path: 'user_fields',
          pattern: 'user_fields',
          query: { 'page[size]': 100, 'page[after]': after },
          signal,
        },
        UserFieldsSchema,
      )
      found.push(...page.user_fields)
      after = page.meta?.has_more === true ? (page.meta.after_cursor ?? undefined) : undefined
    } while (after !== undefined)
    return found
  }
}

function authorizationOf({ email, token, oauthToken }: ZendeskOptions): string {
  if (oauthToken !== undefined) return `Bearer ${oauthToken}`
  return `Basic ${Buffer.from(`${email}/token:${token}`).toString('base64')}`
}

function pacerOf(requests: number): Pacer {
  return createPacer({
    requests,
    interval_ms: MINUTE_MS,
    concurrent_max: CONCURRENT_MAX,
    now: () => performance.now(),
    sleep: (ms, signal) => sleep(ms, undefined, { signal }).catch(() => undefined),
  })
}

function checkBatch(size: number, max: number): void {
  if (size > max)
    throw new FailureError({ kind: 'bug', message: `${size} users asked for at once; ${max} are allowed` })
}
