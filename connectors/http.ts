import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import axios, { AxiosError, type AxiosInstance, type AxiosResponse } from 'axios'
import pRetry from 'p-retry'
import { FailureError } from '../engine/core/failure.ts'
import { realSleep, type Sleep } from './clock.ts'
import { brokenExchange, failureOfStatus, oversized, refusedRedirect } from './http-failures.ts'
import type { Pacer } from './pacer.ts'
import type { SignIn } from './sign-in.ts'

export interface HttpOptions {
  /** Every request goes to this origin; paths are resolved against it. Carries no user name and no password. */
  readonly baseUrl: string
  /** The Authorization header, asked for at each request so that a token can be renewed; null for none. */
  readonly authorization?: () => Promise<string | null>
  /** In place of `authorization`: a bearer token that is renewed once when it is refused, and the request then sent again. */
  readonly signIn?: SignIn | undefined
  /** How long the server may stay silent. */
  readonly silence_max_ms?: number
  readonly connections_max?: number
  /** Longest answer that is read, unpacked; a longer one is a failure, never a part of it. */
  readonly response_max_bytes?: number
  /** What 403 means to this app: refused credentials (the default), or a refused record. */
  readonly forbidden?: 'auth' | 'permanent'
  /** How often a read is tried again, and the first pause, which then doubles. */
  readonly retries_max?: number
  readonly retryPause_ms?: number
  /** A wait longer than this, asked for by the server, is left to the caller. */
  readonly retryAfter_max_ms?: number
  readonly pacer?: Pacer
  readonly now?: () => number
  /** How to wait before a read is tried again; left out, by the machine's own timers. */
  readonly sleep?: Sleep | undefined
}

export interface HttpRequest {
  readonly method: string
  /** A path or URL; another origin than the base URL's is refused. */
  readonly url: string
  /** What errors call the resource, without personal parts: `{book}/{card}`. */
  readonly pattern: string
  readonly headers?: { readonly [name: string]: string }
  readonly body?: string
  /** Whether it changes something: then it is sent once, follows no redirect, and a lost answer is `uncertain`. */
  readonly write: boolean
  /** Statuses besides 2xx that the caller wants to see rather than get as a failure. */
  readonly accept?: readonly number[]
  readonly signal?: AbortSignal | undefined
}

export interface HttpResponse {
  readonly status: number
  readonly body: string
  /** Where the answer came from, after redirects. */
  readonly url: string
  /** The header's value, whatever its case; undefined where it is not there. */
  header(name: string): string | undefined
  /** The Set-Cookie headers. Nothing is done about them here. */
  readonly cookies: readonly string[]
}

/** Counted since the client was made; bytes are those of bodies, unpacked. */
export interface HttpStats {
  readonly requests: number
  readonly retries: number
  readonly bytesSent: number
  readonly bytesReceived: number
}

/** What `kith` calls itself to servers. */
const USER_AGENT = 'Kith'
const REDIRECTS_MAX = 5
const MEBIBYTE = 1024 * 1024
const RETRY_PAUSE_MS_MAX = 10_000

/**
 * The HTTP client of one connection. Whatever goes wrong arrives as a FailureError; its message names the method, the
 * pattern and the status, never a secret, a body or a path.
 */
export class HttpClient {
  readonly #axios: AxiosInstance
  readonly #options: HttpOptions
  readonly #agents: { readonly http: HttpAgent; readonly https: HttpsAgent }
  #base: URL
  #requests = 0
  #retries = 0
  #bytesSent = 0
  #bytesReceived = 0

  constructor(options: HttpOptions) {
    this.#options = options
    this.#base = new URL(options.baseUrl)
    const agent = { keepAlive: true, maxSockets: options.connections_max ?? 8, maxFreeSockets: 4 }
    this.#agents = { http: new HttpAgent(agent), https: new HttpsAgent(agent) }
    this.#axios = axios.create({
      httpAgent: this.#agents.http,
      httpsAgent: this.#agents.https,
      timeout: options.silence_max_ms ?? 30_000,
      transitional: { clarifyTimeoutError: true },
      maxRedirects: 0,
      maxContentLength: options.response_max_bytes ?? 64 * MEBIBYTE,
      maxBodyLength: 64 * MEBIBYTE,
      responseType: 'arraybuffer',
      validateStatus: () => true,
      transformRequest: [(data: unknown) => data],
      transformResponse: [(data: unknown) => data],
      // A proxy named in the environment is for the world outside, not for a server on this machine.
      ...(isLoopback(this.#base.hostname) ? { proxy: false as const } : {}),
    })
  }

  /** Where requests go; moves to https when the server redirects there. */
  get origin(): string {
    return this.#base.origin
  }

  stats(): HttpStats {
    return {
      requests: this.#requests,
      retries: this.#retries,
      bytesSent: this.#bytesSent,
      bytesReceived: this.#bytesReceived,
    }
  }

  /**
   * Sends a request. Reads are tried again, a bounded number of times, after a transient failure or when asked to wait for
   * a short while; writes never are.
   * @throws FailureError
   */
  async send(request: HttpRequest): Promise<HttpResponse> {
    if (request.write) return await this.#once(request)
    const { retryAfter_max_ms: longest_ms = 30_000, retryPause_ms = 500, sleep = realSleep } = this.#options
    try {
      return await pRetry(() => this.#once(request), {
        retries: this.#options.retries_max ?? 3,
        // The pauses are taken below, by the connection's own clock.
        minTimeout: 0,
        signal: request.signal,
        shouldRetry: ({ error }) => isRetried(error, longest_ms),
        onFailedAttempt: async ({ error, retriesLeft, retriesConsumed }) => {
          if (retriesLeft === 0 || !isRetried(error, longest_ms)) return
          this.#retries++
          const pause_ms = Math.min(retryPause_ms * 2 ** retriesConsumed * (1 + Math.random()), RETRY_PAUSE_MS_MAX)
          await sleep((error.failure.retryAfter_ms ?? 0) + pause_ms, request.signal)
        },
      })
    } catch (error) {
      if (error instanceof FailureError) throw error
      if (request.signal?.aborted) throw stopped(request, error)
      throw error
    }
  }

  /** Ends idle and open sockets. */
  close(): void {
    this.#agents.http.destroy()
    this.#agents.https.destroy()
  }

  async #once(request: HttpRequest): Promise<HttpResponse> {
    let url = this.#resolve(request.url, request.pattern)
    for (let hops = 0; ; hops++) {
      const response = await this.#exchange(request, url)
      const location = header(response, 'location')
      if (response.status < 300 || response.status > 399 || location === undefined)
        return this.#judge(request, response, url)
      const target = URL.canParse(location, url) ? new URL(location, url) : undefined
      if (request.write || hops === REDIRECTS_MAX || !target || !this.#mayFollow(url, target)) {
        throw new FailureError(refusedRedirect(request, response.status, url, target))
      }
      // From here on everything goes over https: the next request does not carry the password in clear again.
      if (target.protocol !== this.#base.protocol) this.#base = new URL(target.origin)
      url = target
    }
  }

  /** To the same origin, or to https on the same host: credentials go nowhere else. */
  #mayFollow(from: URL, to: URL): boolean {
    if (to.origin === from.origin) return true
    const standardPorts = (from.port === '' && to.port === '') || to.port === from.port
    return from.protocol === 'http:' && to.protocol === 'https:' && to.hostname === from.hostname && standardPorts
  }

  #resolve(path: string, pattern: string): URL {
    const url = new URL(path, this.#base)
    if (url.protocol === 'http:' && this.#base.protocol === 'https:' && url.host === this.#base.host)
      url.protocol = 'https:'
    if (url.origin !== this.#base.origin) {
      throw new FailureError({ kind: 'bug', message: `${pattern} is not on the server of this connection` })
    }
    return url
  }

  async #exchange(request: HttpRequest, url: URL): Promise<AxiosResponse<Buffer>> {
    const { signIn, authorization } = this.#options
    if (!signIn) return await this.#attempt(request, url, await authorization?.())
    const { value } = await signIn.token(request.signal)
    const response = await this.#attempt(request, url, `Bearer ${value}`)
    if (response.status !== 401) return response
    // Whoever is not let in has done nothing: a write is sent again too.
    const renewed = await signIn.renewed(value, request.signal)
    const second = await this.#attempt(request, url, `Bearer ${renewed.value}`)
    if (second.status === 401) throw signIn.refusal()
    return second
  }

  async #attempt(
    request: HttpRequest,
    url: URL,
    authorization: string | null | undefined,
  ): Promise<AxiosResponse<Buffer>> {
    const headers = {
      'User-Agent': USER_AGENT,
      'Accept-Encoding': 'gzip, deflate',
      ...request.headers,
      ...(authorization ? { Authorization: authorization } : {}),
    }
    const attempt = async (): Promise<AxiosResponse<Buffer>> => {
      this.#requests++
      this.#bytesSent += request.body === undefined ? 0 : Buffer.byteLength(request.body)
      const response = await this.#axios.request<Buffer>({
        method: request.method,
        url: url.href,
        headers,
        ...(request.body === undefined ? {} : { data: Buffer.from(request.body) }),
        ...(request.signal ? { signal: request.signal } : {}),
      })
      this.#bytesReceived += response.data.length
      return response
    }
    try {
      return await (this.#options.pacer?.run(attempt, request.signal) ?? attempt())
    } catch (error) {
      throw this.#broken(request, error)
    }
  }

  #broken(request: HttpRequest, error: unknown): FailureError {
    // axios marks an aborted request as cancelled; an abort while waiting for the pacer comes as the signal's reason.
    if (request.signal?.aborted) return stopped(request, error)
    if (!(error instanceof AxiosError)) throw error
    if (error.message.startsWith('maxContentLength')) return new FailureError(oversized(request))
    return new FailureError(brokenExchange(request, error, wasSent(error)), { cause: error.cause })
  }

  #judge(request: HttpRequest, response: AxiosResponse<Buffer>, url: URL): HttpResponse {
    const { status } = response
    if ((status < 200 || status > 299) && !request.accept?.includes(status)) {
      const failure = failureOfStatus(request, status, header(response, 'retry-after'), {
        forbidden: this.#options.forbidden ?? 'auth',
        now_ms: (this.#options.now ?? Date.now)(),
      })
      if (failure.kind === 'ratelimited') this.#options.pacer?.cool(failure.retryAfter_ms ?? 1000)
      throw new FailureError(failure)
    }
    return {
      status,
      body: response.data.toString('utf8'),
      url: url.href,
      header: (name) => header(response, name.toLowerCase()),
      cookies: cookies(response),
    }
  }
}

function header(response: AxiosResponse<Buffer>, name: string): string | undefined {
  const value: unknown = (response.headers as { [name: string]: unknown })[name]
  return typeof value === 'string' && value !== '' ? value : undefined
}

function cookies(response: AxiosResponse<Buffer>): readonly string[] {
  const value: unknown = (response.headers as { [name: string]: unknown })['set-cookie']
  return Array.isArray(value) ? value.map(String) : []
}

function isRetried(error: unknown, longest_ms: number): error is FailureError {
  if (!(error instanceof FailureError)) return false
  const { kind, code, retryAfter_ms } = error.failure
  // A certificate does not get better within seconds.
  if (kind === 'transient') return !(code?.startsWith('CERT') ?? false) && code !== 'STOPPED'
  return kind === 'ratelimited' && (retryAfter_ms ?? 0) <= longest_ms
}

/** A write that was stopped half-way may have arrived; axios has then already made a request. */
function stopped(request: HttpRequest, error: unknown): FailureError {
  const sent = request.write && error instanceof AxiosError && wasSent(error)
  return new FailureError(
    {
      kind: sent ? 'uncertain' : 'transient',
      code: 'STOPPED',
      message: `${request.method} ${request.pattern} was stopped before the answer came`,
    },
    { cause: error },
  )
}

/** Whether any of the request can have reached the server. In doubt it can. */
function wasSent(error: AxiosError): boolean {
  const cause = error.cause as { syscall?: string } | undefined
  if (cause?.syscall === 'connect' || cause?.syscall === 'getaddrinfo') return false
  const request = error.request as { socket?: unknown } | undefined
  return request !== undefined && request.socket !== null && request.socket !== undefined
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname)
}
