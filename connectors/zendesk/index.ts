import { z } from 'zod'
import { FailureError, type Failure } from '../../engine/core/failure.ts'
import type { Json } from '../../engine/core/json.ts'
import type {
  Capabilities,
  ConnectionReport,
  Connector,
  ConnectorStats,
  FeedPage,
  MergeOutcome,
  MergeRequest,
  ReadAnswer,
  WriteOutcome,
  WriteRequest,
} from '../../engine/core/ports/connector.ts'
import type { App, ConnectContext, Subscriptions } from '../app.ts'
import { HttpClient } from '../http.ts'
import { grantOption, oauthOptions } from '../oauth-plan.ts'
import { pacerClock, realSleep, type Clock, type Sleep } from '../clock.ts'
import { createPacer, type Pacer } from '../pacer.ts'
import { Api, type Call } from './api.ts'
import { Feed } from './feed.ts'
import { POLL_PAUSES_MS } from './jobs.ts'
import { zendeskOAuth } from './oauth.ts'
import { readUsers } from './reader.ts'
import { customField, STANDARD_FIELDS } from './records.ts'
import { zendeskSubscriptions } from './subscriptions.ts'
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
    /** Of the OAuth client to sign in with, in place of a token. */
    ...oauthOptions,
    ...grantOption,
    /** Where the account's API is, if not at zendesk.com: for the simulator. */
    baseUrl: z.url({ protocol: /^https?$/, error: 'an http or https address' }).optional(),
    /** Signs the account's webhooks to us. */
    webhookSecret: z.string().min(1).optional(),
  })
  .refine(
    ({ email, token, oauthToken, clientId, clientSecret }) => {
      const ways = [[email, token], [oauthToken], [clientId, clientSecret]]
      const begun = ways.filter((way) => way.some((part) => part !== undefined))
      return begun.length === 1 && begun[0]?.every((part) => part !== undefined) === true
    },
    { error: 'give email and token; or oauthToken; or clientId and clientSecret to sign in with: kith connect' },
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
  erase: true,
  create: true,
  delete: true,
  merge: true,
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
  secrets: ['token', 'oauthToken', 'clientSecret', 'webhookSecret'],
  account: ({ subdomain, baseUrl }) =>
    `zendesk ${baseUrl === undefined ? subdomain.toLowerCase() : new URL(baseUrl).href}`,
  oauth: (options) => zendeskOAuth(options, originOf(options)),
  connect: (options, context) => connectZendesk(options, context),
  webhook: ({ webhookSecret }, { now }) => zendeskWebhook(webhookSecret, now),
  subscriptions: (options, context) => connectZendesk(options, context).subscriptions(),
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
  readonly #sleep: Sleep

  constructor(options: ZendeskOptions, context: ConnectContext, tuning: ZendeskTuning) {
    const { pacer = context.pacer ?? pacerOf(REQUESTS_MAX, context), ...others } = tuning
    const { exports = pacerOf(EXPORTS_MAX, context), ...rest } = others
    const { pollPauses_ms = POLL_PAUSES_MS, ...http } = rest
    this.#options = options
    this.#pollPauses_ms = pollPauses_ms
    this.#sleep = context.sleep ?? realSleep
    const authorization = options.clientId === undefined ? authorizationOf(options) : null
    this.#http = new HttpClient({
      baseUrl: originOf(options),
      authorization: () => Promise.resolve(authorization),
      signIn: authorization === null ? context.signIn : undefined,
      connections_max: CONCURRENT_MAX,
      pacer,
      now: context.now,
      sleep: context.sleep,
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

  subscriptions(): Subscriptions {
    return zendeskSubscriptions(this.#api, this.#options.webhookSecret)
  }

  async check(signal?: AbortSignal): Promise<ConnectionReport> {
    const { user } = await this.#api.ask({ method: 'GET', path: 'users/me', pattern: 'users/me', signal }, MeSchema)
    // Credentials that are none are answered with a user who is nobody.
    if (user.id === null || user.role !== 'admin') {
      throw new FailureError({
        kind: 'auth',
        code: 'NOT-ADMIN',
        message: 'The credentials are not those of an administrator, who alone may export users',
        advice: 'Use the API token of an administrator in kith.yaml, or sign in as one; then run: kith check',
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
    return await new Batch({ api: this.#api, pollPauses_ms: this.#pollPauses_ms, sleep: this.#sleep }, signal).write(
      requests,
    )
  }

  /** Tickets and addresses of the one go over to the other, which keeps its id. End users only. */
  async merge({ ref, id, into }: MergeRequest, signal?: AbortSignal): Promise<MergeOutcome> {
    const refused = (failure: Failure): MergeOutcome => ({ ref, kind: 'failed', failure })
    const call: Call = {
      method: 'PUT',
      path: `users/${encodeURIComponent(id)}/merge`,
      pattern: 'users/{id}/merge',
      body: { user: { id: Number(into) } },
      accept: [400, 403, 404, 422],
      signal,
    }
    try {
      const response = await this.#api.send(call)
      if (response.status === 404) {
        return refused({ kind: 'gone', code: '404', message: 'One of the two users is no longer in Zendesk' })
      }
      if (response.status >= 400) {
        return refused({
          kind: 'permanent',
          code: String(response.status),
          message: 'Zendesk refuses to merge the two users',
          advice:
            'Only end users can be merged; where the account has single sign-on, neither may have an external id. Merge them in Zendesk, or run: kith parked drop',
        })
      }
      return { ref, kind: 'merged', id, into }
    } catch (error) {
      if (!(error instanceof FailureError)) throw error
      return refused(error.failure)
    }
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

function originOf({ baseUrl, subdomain }: ZendeskOptions): string {
  return baseUrl ?? `https://${subdomain}.zendesk.com`
}

function authorizationOf({ email, token, oauthToken }: ZendeskOptions): string {
  if (oauthToken !== undefined) return `Bearer ${oauthToken}`
  return `Basic ${Buffer.from(`${email}/token:${token}`).toString('base64')}`
}

function pacerOf(requests: number, clock: Clock): Pacer {
  return createPacer({
    requests,
    interval_ms: MINUTE_MS,
    concurrent_max: CONCURRENT_MAX,
    ...pacerClock(clock),
  })
}

function checkBatch(size: number, max: number): void {
  if (size > max)
    throw new FailureError({ kind: 'bug', message: `${size} users asked for at once; ${max} are allowed` })
}
