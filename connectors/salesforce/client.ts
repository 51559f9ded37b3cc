import type { Connection } from 'jsforce/lib/connection.js'
import type { HttpRequest } from 'jsforce/lib/types/index.js'
import { z } from 'zod'
import { FailureError, type Failure } from '../../engine/core/failure.ts'
import { HttpClient, type HttpOptions, type HttpResponse, type HttpStats } from '../http.ts'
import { pacerClock, type Clock } from '../clock.ts'
import { createPacer, type Pacer } from '../pacer.ts'
import type { SignIn } from '../sign-in.ts'
import { DAILY_PAUSE_MS, failureOfAnswer, type Asked } from './errors.ts'
import { INSTANCE_URL } from './oauth.ts'
import { isSessionRefused, soapPath, versionFor } from './soap.ts'
import { API_CLIENT, API_VERSION, CompositeAnswer, DATA_PATH, QueryAnswer, type Subrequest } from './wire.ts'

/** A token that someone else keeps fresh, or a sign-in, which also knows where the org's API is. */
export type Credentials =
  | { readonly accessToken: string; readonly instanceUrl: string }
  | { readonly signIn: SignIn; readonly instanceUrl?: string | undefined }

export interface ClientOptions extends Clock {
  readonly credentials: Credentials
  /** The part of the org's API calls in 24 hours, whoever makes them, beyond which Kith waits. */
  readonly usageMax: number
  readonly pacer?: Pacer | undefined
  readonly tuning: Tuning
}

/** How the client behaves when Salesforce does not; tests make it impatient. */
export interface Tuning {
  readonly silence_max_ms?: number
  readonly retries_max?: number
  readonly retryPause_ms?: number
}

interface Call extends Asked {
  readonly signal: AbortSignal | undefined
  /** 400 is an answer too: what is wrong with it is for the caller to say. */
  readonly takes400?: boolean
}

/** The answer to one part of a composite request. */
export interface Part {
  readonly status: number
  readonly body: unknown
  /** Why there is none. */
  readonly failure?: Failure
}

export interface Composite {
  readonly parts: ReadonlyMap<string, Part>
  /** By the clock of the server. */
  readonly serverNow_ms: number
}

/** A client for requests that the org holds open. */
export interface Aside {
  readonly http: HttpClient
  /**
   * Waits for a turn in the rate budget. A place among the requests under way is not kept: one that is held open for minutes would keep
   * the others out.
   */
  turn(signal: AbortSignal): Promise<void>
  close(): void
}

/** What the org has used of its calls. */
export interface Usage {
  readonly used: number
  readonly total: number
  readonly heard_ms: number
}

/** Salesforce has no limit by the second. This one keeps a burst from taking the org's 25 places for long requests. */
const REQUESTS = 20
const CONCURRENT_MAX = 8
/** HTTP statuses that are answers rather than accidents: every one that Salesforce may give a reason with. */
const REFUSALS = Array.from({ length: 100 }, (_, n) => 400 + n)
const FAILURES = Array.from({ length: 100 }, (_, n) => 500 + n)

/** Loaded with the first request: most processes never speak to Salesforce. */
async function jsforce() {
  const [{ Connection }, { Transport }] = await Promise.all([
    import('jsforce/lib/connection.js'),
    import('./transport.ts'),
  ])
  return { Connection, Transport }
}

/**
 * Salesforce's REST API through jsforce, which writes the requests. They are sent by Kith's own HTTP client, for the limits, the
 * timeouts, the counting and the failures; what comes back is judged here, before jsforce sees it.
 */
export class SalesforceClient {
  readonly #options: ClientOptions
  readonly #pacer: Pacer
  #http: { readonly instanceUrl: string; readonly client: HttpClient } | undefined
  /** Traffic of clients for addresses that the org has moved away from. */
  #past: HttpStats = { requests: 0, retries: 0, bytesSent: 0, bytesReceived: 0 }
  readonly #asides = new Set<HttpClient>()
  #usage: Usage | undefined

  constructor(options: ClientOptions) {
    this.#options = options
    this.#pacer =
      options.pacer ??
      createPacer({
        requests: REQUESTS,
        interval_ms: 1000,
        concurrent_max: CONCURRENT_MAX,
        ...pacerClock(options),
      })
  }

  stats(): HttpStats {
    const open = [...(this.#http ? [this.#http.client] : []), ...this.#asides].map((client) => client.stats())
    const sum = (name: keyof HttpStats): number => [this.#past, ...open].reduce((total, one) => total + one[name], 0)
    return {
      requests: sum('requests'),
      retries: sum('retries'),
      bytesSent: sum('bytesSent'),
      bytesReceived: sum('bytesReceived'),
    }
  }

  /** undefined as long as Salesforce has not told. */
  get usage(): Usage | undefined {
    return this.#usage
  }

  close(): void {
    this.#http?.client.close()
    for (const client of this.#asides) client.close()
  }

  /**
   * A client of its own at where the org's API is now, which tries nothing again by itself. Whoever asks for it closes it.
   * @param silence_max_ms how long the org may hold a request
   */
  async aside(silence_max_ms: number, signal: AbortSignal): Promise<Aside> {
    const http = this.#newClient(await this.#instanceUrl(signal), { silence_max_ms, retries_max: 0 })
    this.#asides.add(http)
    return {
      http,
      turn: (until) => this.#pacer.run(() => Promise.resolve(), until),
      close: () => {
        this.#forget(http)
        this.#asides.delete(http)
      },
    }
  }

  /** Another session in place of one that was refused in an answer's body. @returns false where nobody can renew it */
  async renewSession(signal: AbortSignal): Promise<boolean> {
    const { credentials } = this.#options
    if (!('signIn' in credentials)) return false
    const { value } = await credentials.signIn.token(signal)
    await credentials.signIn.renewed(value, signal)
    return true
  }

  /**
   * Several requests in the order given, which the org counts as one. Each has its own answer, and its own failure.
   * @throws FailureError where the whole is refused or lost
   */
  async composite(
    requests: readonly Subrequest[],
    write: boolean,
    signal: AbortSignal | undefined,
  ): Promise<Composite> {
    const call = { pattern: 'POST composite', write, signal }
    const body = {
      allOrNone: false,
      // Where it is left to Salesforce, parts may be done in another order: a read could then come before the write.
      collateSubrequests: false,
      compositeRequest: requests.map(({ path, ...request }) => ({ ...request, url: `${DATA_PATH}${path}` })),
    }
    const { data, serverNow_ms } = await this.#ask(call, CompositeAnswer, (connection) =>
      connection.requestPost('/composite', body),
    )
    const answers = data.compositeResponse.map(
      ({ referenceId, httpStatusCode, body: answer }) =>
        [referenceId, { status: httpStatusCode, body: answer }] as const,
    )
    return { parts: new Map(answers), serverNow_ms }
  }

  /** One write that is no part of a composite request, judged as one. */
  async alone(request: Subrequest, signal: AbortSignal | undefined): Promise<Part> {
    const { method, path, body, httpHeaders } = request
    const call = { pattern: `${method} composite/sobjects`, write: true, signal, takes400: true }
    const headers = { 'content-type': 'application/json', ...httpHeaders }
    const { data, status } = await this.#ask(call, z.unknown(), (connection) =>
      connection.request({ method, url: path, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) }),
    )
    return { status, body: data }
  }

  /**
   * A SOAP call, for the little that REST cannot do. The session stands in its body, and that it has ended is told in the answer's: it
   * is renewed once, as whoever is not let in has done nothing.
   */
  async soap(call: Call, operation: string, message: object): Promise<HttpResponse> {
    const overuse = this.#overuse()
    if (overuse) throw new FailureError(overuse)
    const { credentials } = this.#options
    if (!('signIn' in credentials)) return await this.#envelope(call, operation, message, credentials.accessToken)
    const { signIn } = credentials
    const { value } = await signIn.token(call.signal)
    const answer = await this.#envelope(call, operation, message, value)
    if (!isSessionRefused(answer)) return answer
    const renewed = await signIn.renewed(value, call.signal)
    const second = await this.#envelope(call, operation, message, renewed.value)
    if (isSessionRefused(second)) throw signIn.refusal()
    return second
  }

  async #envelope(call: Call, operation: string, message: object, accessToken: string): Promise<HttpResponse> {
    const [{ Connection, Transport }, { SOAP }] = await Promise.all([jsforce(), import('jsforce/lib/soap.js')])
    const instanceUrl = 'https://salesforce.invalid'
    const version = versionFor(accessToken)
    const connection = new Connection({ instanceUrl, accessToken, version, callOptions: { client: API_CLIENT } })
    let heard: HttpResponse | undefined
    connection._transport = new Transport(async (request) => {
      heard = await this.#send(call, request)
      return null
    })
    await new SOAP(connection, { endpointUrl: `${instanceUrl}${soapPath(accessToken)}` }).invoke(operation, message)
    if (!heard) throw new FailureError({ kind: 'bug', message: `${call.pattern} was not sent` })
    return heard
  }

  /** The next page of a query. */
  async more(nextRecordsUrl: string, signal: AbortSignal | undefined): Promise<QueryAnswer> {
    const call = { pattern: 'GET query/{locator}', write: false, signal }
    const { data } = await this.#ask(call, QueryAnswer, (connection) => connection.requestGet(nextRecordsUrl))
    return data
  }

  /** All rows of a query that was part of a composite request: nearly always those that it answered with. */
  async rowsOf(
    composite: Composite,
    referenceId: string,
    signal: AbortSignal | undefined,
  ): Promise<readonly unknown[]> {
    let page = this.partOf(composite, referenceId, QueryAnswer)
    const rows = [...page.records]
    while (!page.done && page.nextRecordsUrl !== undefined) {
      page = await this.more(page.nextRecordsUrl, signal)
      rows.push(...page.records)
    }
    return rows
  }

  /** @throws FailureError where the part was refused, or is not of the form */
  partOf<T>(composite: Composite, referenceId: string, form: z.ZodType<T>): T {
    const part = composite.parts.get(referenceId)
    const asked = { pattern: `composite/${referenceId}`, write: false }
    if (!part) throw new FailureError(malformed(asked))
    if (part.status >= 400) {
      throw new FailureError(failureOfAnswer(asked, part.status, part.body, undefined, this.#options.now()))
    }
    const parsed = form.safeParse(part.body)
    if (parsed.success) return parsed.data
    throw new FailureError(malformed(asked))
  }

  async #ask<T>(
    call: Call,
    form: z.ZodType<T>,
    run: (connection: Connection) => Promise<unknown>,
  ): Promise<{ data: T; status: number; serverNow_ms: number }> {
    const overuse = this.#overuse()
    if (overuse) throw new FailureError(overuse)
    let heard: { answer: HttpResponse; json: unknown } | undefined
    const { Connection, Transport } = await jsforce()
    // One for each call: a connection has no place for what belongs to one request only.
    const connection = new Connection({
      instanceUrl: 'https://salesforce.invalid',
      version: API_VERSION,
      callOptions: { client: API_CLIENT },
    })
    connection._transport = new Transport(async (request) => {
      const answer = await this.#send(call, request)
      const json = parsed(call, answer)
      if (answer.status >= 400 && !(answer.status === 400 && call.takes400)) throw this.#refused(call, answer, json)
      heard = { answer, json }
      return json
    })
    await run(connection)
    if (!heard) throw new FailureError({ kind: 'bug', message: `${call.pattern} was not sent` })
    const data = form.safeParse(heard.json)
    if (!data.success) throw new FailureError(malformed(call))
    const date = Date.parse(heard.answer.header('date') ?? '')
    const serverNow_ms = Number.isNaN(date) ? this.#options.now() : date
    return { data: data.data, status: heard.answer.status, serverNow_ms }
  }

  async #send(call: Call, request: HttpRequest): Promise<HttpResponse> {
    const { pathname, search } = new URL(request.url)
    const client = await this.#clientFor(call.signal)
    const answer = await client.send({
      method: request.method,
      url: `${pathname}${search}`,
      pattern: call.pattern.slice(call.pattern.indexOf(' ') + 1),
      headers: withoutLength(request.headers),
      ...(typeof request.body === 'string' ? { body: request.body } : {}),
      write: call.write,
      accept: call.write ? [...REFUSALS, ...FAILURES] : REFUSALS,
      signal: call.signal,
    })
    this.#mindUsage(answer)
    return answer
  }

  async #clientFor(signal: AbortSignal | undefined): Promise<HttpClient> {
    const instanceUrl = await this.#instanceUrl(signal)
    if (this.#http?.instanceUrl === instanceUrl) return this.#http.client
    if (this.#http) this.#forget(this.#http.client)
    const { tuning } = this.#options
    const client = this.#newClient(instanceUrl, {
      silence_max_ms: tuning.silence_max_ms ?? 120_000,
      retries_max: tuning.retries_max ?? 3,
      ...(tuning.retryPause_ms === undefined ? {} : { retryPause_ms: tuning.retryPause_ms }),
      pacer: this.#pacer,
    })
    this.#http = { instanceUrl, client }
    return client
  }

  #newClient(
    instanceUrl: string,
    patience: Pick<HttpOptions, 'silence_max_ms' | 'retries_max' | 'retryPause_ms' | 'pacer'>,
  ): HttpClient {
    const { credentials, now, sleep } = this.#options
    return new HttpClient({
      baseUrl: instanceUrl,
      ...('signIn' in credentials
        ? { signIn: credentials.signIn }
        : { authorization: () => Promise.resolve(`Bearer ${credentials.accessToken}`) }),
      ...patience,
      now,
      sleep,
    })
  }

  /** Ends a client; what it has counted stays. */
  #forget(client: HttpClient): void {
    const counted = client.stats()
    client.close()
    const sum = (name: keyof HttpStats): number => this.#past[name] + counted[name]
    this.#past = {
      requests: sum('requests'),
      retries: sum('retries'),
      bytesSent: sum('bytesSent'),
      bytesReceived: sum('bytesReceived'),
    }
  }

  async #instanceUrl(signal: AbortSignal | undefined): Promise<string> {
    const { credentials } = this.#options
    if (!('signIn' in credentials)) return credentials.instanceUrl
    const told = credentials.instanceUrl ?? (await credentials.signIn.token(signal)).account[INSTANCE_URL]
    if (told !== undefined) return told
    const advice = 'Put instanceUrl: into kith.yaml; then run: kith check'
    throw new FailureError({ kind: 'auth', message: "The sign-in does not say where the org's API is", advice })
  }

  #mindUsage(answer: HttpResponse): void {
    const [, used, total] = /api-usage=(\d+)\/(\d+)/.exec(answer.header('Sforce-Limit-Info') ?? '') ?? []
    if (used === undefined || total === undefined) return
    this.#usage = { used: Number(used), total: Number(total), heard_ms: this.#options.now() }
  }

  /** The org's calls are everybody's: beyond our share we wait, and look again with one request every quarter of an hour. */
  #overuse(): Failure | undefined {
    const { usageMax, now } = this.#options
    if (!this.#usage) return undefined
    const { used, total, heard_ms } = this.#usage
    const waited_ms = now() - heard_ms
    if (used < total * usageMax || waited_ms >= DAILY_PAUSE_MS) return undefined
    const share = `${Math.round(usageMax * 100)} %`
    return {
      kind: 'ratelimited',
      code: 'API-USAGE',
      message: `The org has used ${used} of its ${total} API calls of 24 hours; Kith leaves what is beyond ${share} to others`,
      retryAfter_ms: DAILY_PAUSE_MS - waited_ms,
    }
  }

  #refused(call: Call, answer: HttpResponse, json: unknown): FailureError {
    const retryAfter = answer.header('retry-after')
    return new FailureError(failureOfAnswer(call, answer.status, json, retryAfter, this.#options.now()))
  }
}

function parsed(call: Call, answer: HttpResponse): unknown {
  try {
    return JSON.parse(answer.body)
  } catch {
    // A refusal speaks through its status too; anything else was cut short on its way.
    if (answer.status >= 400) return null
    throw new FailureError(malformed(call))
  }
}

function malformed({ pattern, write }: Asked): Failure {
  return {
    kind: write ? 'uncertain' : 'transient',
    code: 'MALFORMED',
    message: `The answer to ${pattern} is not whole, or not Salesforce's`,
  }
}

/** The HTTP client counts by itself. */
function withoutLength(headers: { readonly [name: string]: string } = {}): { [name: string]: string } {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name.toLowerCase() !== 'content-length'))
}
