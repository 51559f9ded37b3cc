import { createHash, randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

/**
 * An authorization server as strict as the strictest of the vendors': exact redirect addresses, PKCE, codes good once, refresh
 * tokens good once. Knows nothing of the client's code. What is asked with a good access token and is none of its own goes to
 * the simulator behind it.
 */
export interface AuthorizationServerOptions {
  readonly clientId: string
  readonly clientSecret: string
  /** Exact addresses; null: any port of 127.0.0.1, as Google has it for desktop apps. */
  readonly redirectUrls: readonly string[] | null
  readonly paths: {
    readonly authorize: string
    readonly token: string
    readonly revoke?: string
    readonly end?: string
  }
  readonly body?: 'form' | 'json'
  readonly pkce?: boolean
  /** Whether a refresh hands out a new refresh token, and ends the old one. Default: true. */
  readonly rotates?: boolean
  /** Seconds; 0: never, and said so. Default: 1800. */
  readonly lifetime_s?: number
  /** Whether there are refresh tokens at all. Default: true. */
  readonly refreshes?: boolean
  /** What the vendor's answers look like, made of a standard one. */
  readonly shape?: (standard: { readonly [name: string]: unknown }) => { readonly [name: string]: unknown }
  /** Where other requests go, and what they are then authorised by. */
  readonly behind?: { readonly url: string; readonly authorization: string }
  /** Other things that a good access token can ask for. */
  readonly resources?: { readonly [path: string]: unknown }
  readonly now?: () => number
}

interface Grant {
  readonly scope: string
  /** Of this sign-in, old ones too. */
  readonly refreshTokens: string[]
  accessTokens: { readonly value: string; readonly ends_ms: number }[]
  withdrawn: boolean
}

interface Code {
  readonly redirectUrl: string
  readonly challenge: string | null
  readonly scope: string
  used: boolean
}

export class AuthorizationServer {
  /** Set at any time. */
  readonly faults = {
    /** The user says no. */
    denies: false,
    /** Carries out this many requests for tokens, and drops the connection in place of the answer. */
    lostAnswers: 0,
    /** A refresh token is good again until one made from it has been used: what some vendors do against lost answers. */
    grace: false,
    /** Answers this many requests for tokens with 503. */
    unavailable: 0,
    /** Answers this many requests for tokens with a page. */
    pages: 0,
    /** Grants this in place of what was asked for. */
    grants: null as string | null,
    /** Waits before each answer to a request for tokens. */
    slow_ms: 0,
  }
  /** Requests for tokens so far, as they were written. */
  readonly asked: { readonly grant: string; readonly params: { readonly [name: string]: unknown } }[] = []
  /** Requests with a refused access token. */
  refusals = 0
  /** Refresh tokens that came a second time. */
  reused = 0
  readonly #options: AuthorizationServerOptions
  readonly #server: Server
  readonly #codes = new Map<string, Code>()
  readonly #grants: Grant[] = []

  private constructor(options: AuthorizationServerOptions) {
    this.#options = options
    this.#server = createServer((request, response) => void this.#handle(request, response))
  }

  static async start(options: AuthorizationServerOptions): Promise<AuthorizationServer> {
    const server = new AuthorizationServer(options)
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve))
    return server
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** How many tokens of this kind are good now. */
  get live(): { readonly access: number; readonly refresh: number } {
    const grants = this.#grants.filter(({ withdrawn }) => !withdrawn)
    const now_ms = this.#now()
    return {
      access: grants.flatMap(({ accessTokens }) => accessTokens.filter(({ ends_ms }) => ends_ms > now_ms)).length,
      refresh: grants.filter(({ refreshTokens }) => refreshTokens.length > 0).length,
    }
  }

  count(grant: string): number {
    return this.asked.filter((request) => request.grant === grant).length
  }

  /** Every secret that was handed out so far. */
  secrets(): string[] {
    return this.#grants.flatMap(({ accessTokens, refreshTokens }) => [
      ...accessTokens.map(({ value }) => value),
      ...refreshTokens,
    ])
  }

  /** All access tokens end now; the refresh tokens stay. */
  expireAccess(): void {
    for (const grant of this.#grants) grant.accessTokens = []
  }

  /** Somebody takes the access away in the app's settings. */
  withdraw(): void {
    for (const grant of this.#grants) grant.withdrawn = true
  }

  /**
   * Does what a browser and somebody before it do: opens the address, says yes, and follows back.
   * @returns the page that they end at
   */
  async browse(url: string): Promise<{ readonly status: number; readonly text: string; readonly address: string }> {
    const address = await this.allow(url)
    const response = await fetch(address)
    return { status: response.status, text: await response.text(), address }
  }

  /** Opens the address and says yes (or no): where the browser is sent then. */
  async allow(url: string): Promise<string> {
    const response = await fetch(url, { redirect: 'manual' })
    const location = response.headers.get('location')
    if (location === null) throw new Error(`the authorization server says: ${await response.text()}`)
    return location
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #now(): number {
    return (this.#options.now ?? Date.now)()
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', this.url)
    const { paths } = this.#options
    const body = await text(request)
    if (url.pathname === paths.authorize) return this.#authorize(url.searchParams, response)
    if (url.pathname === paths.token) return await this.#token(request, body, response)
    if (url.pathname === paths.revoke) return this.#revoke(new URLSearchParams(body), response)
    const grant = this.#grantOf(request.headers.authorization)
    if (!grant) {
      this.refusals++
      return json(response, 401, { status: 'error', category: 'EXPIRED_AUTHENTICATION', error: 'invalid_token' })
    }
    if (url.pathname === paths.end && request.method === 'DELETE') {
      grant.withdrawn = true
      response.writeHead(204).end()
      return
    }
    const resource = this.#options.resources?.[url.pathname]
    if (resource !== undefined) return json(response, 200, resource)
    await this.#forward(request, body, response)
  }

  #authorize(params: URLSearchParams, response: ServerResponse): void {
    const { clientId, redirectUrls, pkce } = this.#options
    const redirectUrl = params.get('redirect_uri') ?? ''
    const isRegistered = redirectUrls?.includes(redirectUrl) ?? new URL(redirectUrl).hostname === '127.0.0.1'
    // Nobody is sent to an address that is not the client's.
    if (params.get('client_id') !== clientId || !isRegistered) {
      response.writeHead(400).end('redirect_uri_mismatch')
      return
    }
    const back = new URL(redirectUrl)
    const state = params.get('state')
    if (state !== null) back.searchParams.set('state', state)
    const challenge = params.get('code_challenge')
    const isProven = pkce === false || (challenge !== null && params.get('code_challenge_method') === 'S256')
    if (this.faults.denies) back.searchParams.set('error', 'access_denied')
    else if (params.get('response_type') !== 'code' || !isProven) back.searchParams.set('error', 'invalid_request')
    else {
      const code = secret('code')
      const scope = this.faults.grants ?? params.get('scope') ?? ''
      this.#codes.set(code, { redirectUrl, challenge, scope, used: false })
      back.searchParams.set('code', code)
    }
    response.writeHead(302, { Location: back.href }).end()
  }

  async #token(request: IncomingMessage, body: string, response: ServerResponse): Promise<void> {
    const params = this.#paramsOf(request, body)
    if (this.faults.slow_ms > 0) await new Promise((resolve) => setTimeout(resolve, this.faults.slow_ms))
    if (this.faults.unavailable > 0) {
      this.faults.unavailable--
      return json(response, 503, {})
    }
    if (this.faults.pages > 0) {
      this.faults.pages--
      response.writeHead(200, { 'Content-Type': 'text/html' }).end('<h1>Welcome</h1>')
      return
    }
    if (params === null) return json(response, 400, { error: 'invalid_request' })
    this.asked.push({ grant: String(params['grant_type']), params })
    const [status, answer] = this.#grantFor(params)
    if (this.faults.lostAnswers > 0) {
      this.faults.lostAnswers--
      request.socket.destroy()
      return
    }
    json(response, status, answer)
  }

  #paramsOf(request: IncomingMessage, body: string): { readonly [name: string]: unknown } | null {
    const type = (request.headers['content-type'] ?? '').split(';')[0]
    if ((this.#options.body ?? 'form') === 'json') {
      return type === 'application/json' ? (JSON.parse(body) as { [name: string]: unknown }) : null
    }
    return type === 'application/x-www-form-urlencoded' ? Object.fromEntries(new URLSearchParams(body)) : null
  }

  #grantFor(params: { readonly [name: string]: unknown }): [number, object] {
    const { clientId, clientSecret } = this.#options
    if (params['client_id'] !== clientId || params['client_secret'] !== clientSecret) {
      return [401, { error: 'invalid_client', error_description: 'no such client' }]
    }
    switch (params['grant_type']) {
      case 'authorization_code':
        return this.#byCode(params)
      case 'refresh_token':
        return this.#byRefresh(String(params['refresh_token']))
      case 'client_credentials': {
        const scope = typeof params['scope'] === 'string' ? params['scope'] : ''
        const grant: Grant = { scope, refreshTokens: [], accessTokens: [], withdrawn: false }
        this.#grants.push(grant)
        return [200, this.#hand(grant, false)]
      }
      default:
        return [400, { error: 'unsupported_grant_type' }]
    }
  }

  #byCode(params: { readonly [name: string]: unknown }): [number, object] {
    const code = this.#codes.get(String(params['code']))
    const verifier = typeof params['code_verifier'] === 'string' ? params['code_verifier'] : null
    const proven =
      code?.challenge === null
        ? verifier === null
        : verifier !== null && createHash('sha256').update(verifier).digest('base64url') === code?.challenge
    if (!code || code.used || code.redirectUrl !== params['redirect_uri'] || !proven) {
      return [400, { error: 'invalid_grant', error_description: 'the code is not good' }]
    }
    code.used = true
    const grant: Grant = { scope: code.scope, refreshTokens: [], accessTokens: [], withdrawn: false }
    this.#grants.push(grant)
    return [200, this.#hand(grant, this.#options.refreshes !== false)]
  }

  #byRefresh(token: string): [number, object] {
    const grant = this.#grants.find(({ refreshTokens }) => refreshTokens.includes(token))
    const rotates = this.#options.rotates !== false
    const newest = grant?.refreshTokens.at(-1) === token
    const graced = this.faults.grace && grant?.refreshTokens.at(-2) === token
    if (grant && rotates && !newest) this.reused++
    if (!grant || grant.withdrawn || (rotates && !newest && !graced)) {
      return [400, { error: 'invalid_grant', error_description: `refresh token ${token} is invalid` }]
    }
    // As Zendesk has it: a refresh ends the access token of before, too.
    grant.accessTokens = []
    return [200, this.#hand(grant, rotates)]
  }

  #hand(grant: Grant, refreshes: boolean): object {
    const { lifetime_s = 1800, shape = (standard) => standard } = this.#options
    const access = secret('access')
    grant.accessTokens.push({ value: access, ends_ms: lifetime_s === 0 ? Infinity : this.#now() + lifetime_s * 1000 })
    const refresh = refreshes ? secret('refresh') : null
    if (refresh !== null) grant.refreshTokens.push(refresh)
    return shape({
      access_token: access,
      token_type: 'Bearer',
      expires_in: lifetime_s,
      ...(grant.scope === '' ? {} : { scope: grant.scope }),
      ...(refresh === null ? {} : { refresh_token: refresh }),
    })
  }

  #revoke(params: URLSearchParams, response: ServerResponse): void {
    const token = params.get('token') ?? ''
    for (const grant of this.#grants) {
      const access = grant.accessTokens.some(({ value }) => value === token)
      if (access || grant.refreshTokens.includes(token)) grant.withdrawn = true
    }
    response.writeHead(200).end()
  }

  #grantOf(authorization: string | undefined): Grant | undefined {
    const token = authorization?.replace(/^(Bearer|OAuth) /, '') ?? ''
    const now_ms = this.#now()
    return this.#grants.find(
      ({ accessTokens, withdrawn }) =>
        !withdrawn && accessTokens.some(({ value, ends_ms }) => value === token && ends_ms > now_ms),
    )
  }

  async #forward(request: IncomingMessage, body: string, response: ServerResponse): Promise<void> {
    const { behind } = this.#options
    if (!behind) return json(response, 404, {})
    const { 'content-type': type, accept } = request.headers
    const answer = await fetch(new URL(request.url ?? '/', behind.url), {
      method: request.method ?? 'GET',
      headers: {
        Authorization: behind.authorization,
        ...(type === undefined ? {} : { 'Content-Type': type }),
        ...(accept === undefined ? {} : { Accept: accept }),
      },
      ...(body === '' ? {} : { body }),
    })
    const { 'content-encoding': _, 'content-length': __, ...headers } = Object.fromEntries(answer.headers)
    response.writeHead(answer.status, headers).end(Buffer.from(await answer.arrayBuffer()))
  }
}

function secret(kind: string): string {
  return `${kind}-${randomBytes(18).toString('base64url')}`
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body))
}
