import * as oauth from 'oauth4webapi'
import { FailureError, type Failure } from '../engine/core/failure.ts'
import type { Json, JsonObject } from '../engine/core/json.ts'
import type { Tokens } from '../engine/core/ports/tokens.ts'
import type { Clock } from './clock.ts'
import { HttpClient } from './http.ts'
import type { OAuthPlan } from './oauth-plan.ts'

export interface OAuthContext extends Pick<Clock, 'now' | 'sleep'> {
  /** The connection's name, for advice. */
  readonly connection: string
  /** The app's name, for people. */
  readonly title: string
  /** What to do when the sign-in has ended, where it does not come from `kith connect`. */
  readonly advice?: string
  readonly silence_max_ms?: number
  readonly retries_max?: number
  readonly retryPause_ms?: number
}

/** One sign-in in the browser, from the address it is sent to until it comes back. */
export interface Attempt {
  /** Where to send the browser. Holds no secret: the verifier stays here. */
  readonly url: string
  readonly state: string
  readonly redirectUrl: string
  readonly verifier: string | null
}

type Request = (options: { [oauth.allowInsecureRequests]: boolean; signal?: AbortSignal }) => Promise<Response>

/** Refusals have a body that says more than the status does. */
const TOLD = [400, 401, 403]
/** Characters of an error code that is passed on; anything else might quote something. */
const CODE = /^[\w.-]{1,60}$/

/**
 * OAuth 2 as one app has it, by its plan. The protocol is oauth4webapi's; sockets, time limits, retries and failures are those
 * of every connector. No message holds a token, a code or what the app said of them (I15).
 */
export class OAuth {
  readonly #plan: OAuthPlan
  readonly #context: OAuthContext
  readonly #server: oauth.AuthorizationServer
  readonly #client: oauth.Client

  constructor(plan: OAuthPlan, context: OAuthContext) {
    this.#plan = plan
    this.#context = context
    this.#client = { client_id: plan.clientId }
    this.#server = {
      issuer: new URL(plan.authorizeUrl ?? plan.tokenUrl).origin,
      token_endpoint: plan.tokenUrl,
      ...(plan.authorizeUrl === null ? {} : { authorization_endpoint: plan.authorizeUrl }),
      ...(plan.revocation?.kind === 'token' ? { revocation_endpoint: plan.revocation.url } : {}),
    }
  }

  /** @param redirectUrl where the browser comes back to */
  async begin(redirectUrl: string): Promise<Attempt> {
    const { authorizeUrl, scopes, pkce, authorizeParams = {} } = this.#plan
    if (authorizeUrl === null) throw new FailureError({ kind: 'bug', message: 'this sign-in needs no browser' })
    const state = oauth.generateRandomState()
    const verifier = pkce ? oauth.generateRandomCodeVerifier() : null
    const url = new URL(authorizeUrl)
    const challenge =
      verifier === null
        ? {}
        : { code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256' }
    const params = {
      response_type: 'code',
      client_id: this.#plan.clientId,
      redirect_uri: redirectUrl,
      ...(scopes.length === 0 ? {} : { scope: scopes.join(' ') }),
      state,
      ...challenge,
      ...authorizeParams,
    }
    for (const [name, value] of Object.entries(params)) url.searchParams.set(name, value)
    return { url: url.href, state, redirectUrl, verifier }
  }

  /**
   * Exchanges what the browser brought back. The code is good once: nothing is tried again.
   * @throws FailureError where the app says no, or the answer is not to this attempt
   */
  async finish(attempt: Attempt, answer: URLSearchParams, signal?: AbortSignal): Promise<Tokens> {
    const { title } = this.#context
    let params: URLSearchParams
    try {
      params = oauth.validateAuthResponse(this.#server, this.#client, answer, attempt.state)
    } catch (error) {
      throw new FailureError(this.#notGranted(error))
    }
    const json = await this.#tokens(
      `signing in to ${title}`,
      true,
      (options) =>
        oauth.authorizationCodeGrantRequest(
          this.#server,
          this.#client,
          this.#clientAuth(),
          params,
          attempt.redirectUrl,
          attempt.verifier ?? oauth.nopkce,
          { ...options, ...this.#more() },
        ),
      signal,
    )
    return await this.#signedIn(json, signal)
  }

  /** Signs the client in by itself. @throws FailureError */
  async byClient(signal?: AbortSignal): Promise<Tokens> {
    const { title } = this.#context
    const { scopes, tokenParams = {} } = this.#plan
    const params = { ...textOf(tokenParams), ...(scopes.length === 0 ? {} : { scope: scopes.join(' ') }) }
    const json = await this.#tokens(
      `signing in to ${title}`,
      false,
      (options) => oauth.clientCredentialsGrantRequest(this.#server, this.#client, this.#clientAuth(), params, options),
      signal,
    )
    return await this.#signedIn(json, signal)
  }

  /**
   * New tokens for old ones. Where the answer is lost, the same token is sent again: an app that has made a new one by then may
   * still take it, and where it does not there is nothing that would have been better.
   * @throws FailureError, of kind `auth` where the sign-in has ended
   */
  async refresh(tokens: Tokens, signal?: AbortSignal): Promise<Tokens> {
    const { title } = this.#context
    const { refresh } = tokens
    if (refresh === null) throw this.ended('the app gave no way to renew it')
    const json = await this.#tokens(
      `renewing the sign-in to ${title}`,
      false,
      (options) =>
        oauth.refreshTokenGrantRequest(this.#server, this.#client, this.#clientAuth(), refresh, {
          ...options,
          ...this.#more(),
        }),
      signal,
    )
    // An app that hands out no other refresh token goes on taking this one.
    const { scopes } = tokens
    const renewed = this.#from(json, { ...tokens.account, ...this.#plan.moved?.(json) })
    return { ...renewed, refresh: renewed.refresh ?? refresh, scopes: renewed.scopes ?? scopes }
  }

  /**
   * Ends a sign-in at the app.
   * @returns whether the app has done so; false where it knows no such way
   * @throws FailureError
   */
  async revoke(tokens: Tokens, signal?: AbortSignal): Promise<boolean> {
    const { revocation } = this.#plan
    const what = `ending the sign-in to ${this.#context.title}`
    if (revocation === null) return false
    if (revocation.kind === 'delete') {
      await this.#ask(what, revocation.url, `Bearer ${tokens.access}`, 'DELETE', signal)
      return true
    }
    const token = tokens.refresh ?? tokens.access
    const hint = { token_type_hint: tokens.refresh === null ? 'access_token' : 'refresh_token' }
    await this.#exchange(
      what,
      false,
      async (options) => {
        const response = await oauth.revocationRequest(this.#server, this.#client, this.#clientAuth(), token, {
          ...options,
          additionalParameters: hint,
        })
        // Some say 204 where the standard has 200.
        if (response.status >= 300) await oauth.processRevocationResponse(response)
        return response
      },
      signal,
    )
    return true
  }

  /** The failure of a sign-in that is no more. */
  ended(why: string, code = 'SIGN-IN'): FailureError {
    const message = `The sign-in to ${this.#context.title} has ended: ${why}`
    return new FailureError({ kind: 'auth', code, message, advice: adviceIn(this.#context) })
  }

  async #signedIn(json: JsonObject, signal: AbortSignal | undefined): Promise<Tokens> {
    const { account, needs } = this.#plan
    const { title, connection } = this.#context
    const plain = this.#from(json, {})
    const lacking = plain.scopes === null ? [] : needs.filter((scope) => !plain.scopes?.includes(scope))
    if (lacking.length > 0) {
      throw new FailureError({
        kind: 'auth',
        code: 'SCOPE',
        message: `${title} did not grant ${lacking.join(', ')}`,
        advice: `Give the OAuth client these scopes and leave them ticked when you sign in; ${adviceToConnect(connection)}`,
      })
    }
    if (!account) return plain
    const ask = (url: string, scheme = 'Bearer'): Promise<JsonObject> =>
      this.#ask(`asking ${title} for the account`, url, `${scheme} ${plain.access}`, 'GET', signal)
    return { ...plain, account: await account(json, ask) }
  }

  #from(json: JsonObject, account: Tokens['account']): Tokens {
    const now_ms = this.#context.now()
    const { access_token, refresh_token, expires_in } = json
    // Mailchimp says 0 for a token that never runs out.
    const told_ms = typeof expires_in === 'number' && expires_in > 0 ? expires_in * 1000 : undefined
    const lifetime_ms = told_ms ?? this.#plan.lifetime_ms
    return {
      access: String(access_token),
      accessEnds_ms: lifetime_ms === undefined ? null : now_ms + lifetime_ms,
      refresh: typeof refresh_token === 'string' && refresh_token !== '' ? refresh_token : null,
      issued_ms: now_ms,
      clientId: this.#plan.clientId,
      scopes: scopesOf(json),
      account,
    }
  }

  #clientAuth(): oauth.ClientAuth {
    const { clientAuth, clientSecret } = this.#plan
    return clientAuth === 'basic' ? oauth.ClientSecretBasic(clientSecret) : oauth.ClientSecretPost(clientSecret)
  }

  #more(): { additionalParameters?: { [name: string]: string } } {
    const { tokenParams } = this.#plan
    return tokenParams ? { additionalParameters: textOf(tokenParams) } : {}
  }

  /** The token endpoint's answer, checked to be one. What differs between grants is checked by whoever asked. */
  async #tokens(what: string, once: boolean, send: Request, signal: AbortSignal | undefined): Promise<JsonObject> {
    const response = await this.#exchange(what, once, send, signal)
    try {
      const answer = await oauth.processGenericTokenEndpointResponse(this.#server, this.#client, response)
      return answer as unknown as JsonObject
    } catch (error) {
      throw new FailureError(this.#refused(what, error, response.status))
    }
  }

  async #exchange(what: string, once: boolean, send: Request, signal: AbortSignal | undefined): Promise<Response> {
    const options = {
      // Plain http is let through by the options' own check, and to this machine only.
      [oauth.allowInsecureRequests]: true,
      [oauth.customFetch]: (url: string, init: oauth.CustomFetchOptions<'POST', URLSearchParams>) =>
        this.#fetch(what, once, url, init, signal),
      ...(signal ? { signal } : {}),
    }
    try {
      return await send(options)
    } catch (error) {
      if (!(error instanceof FailureError)) throw new FailureError(this.#refused(what, error, undefined))
      const { failure } = error
      if (failure.kind !== 'uncertain') throw error
      // A code is good once: whether it was used or not, the way on is a new one.
      throw new FailureError({ ...failure, kind: 'transient', advice: adviceIn(this.#context) })
    }
  }

  async #fetch(
    what: string,
    once: boolean,
    url: string,
    { method, headers, body }: oauth.CustomFetchOptions<'POST', URLSearchParams>,
    signal: AbortSignal | undefined,
  ): Promise<Response> {
    const asJson = this.#plan.tokenBody === 'json' && url === this.#plan.tokenUrl
    const answer = await this.#send(what, once, {
      url,
      method,
      headers: asJson ? { ...headers, 'content-type': 'application/json' } : headers,
      body: asJson ? JSON.stringify({ ...Object.fromEntries(body), ...this.#plan.tokenParams }) : body.toString(),
      signal,
    })
    const said = url === this.#plan.tokenUrl ? standardised(answer.body) : answer.body
    return new Response(said === '' ? null : said, {
      status: answer.status,
      headers: { 'content-type': 'application/json' },
    })
  }

  /** JSON from an address of the app's. */
  async #ask(
    what: string,
    url: string,
    authorization: string,
    method: 'GET' | 'DELETE',
    signal: AbortSignal | undefined,
  ): Promise<JsonObject> {
    const headers = { Accept: 'application/json', Authorization: authorization }
    const { status, body } = await this.#send(what, false, { url, method, headers, signal })
    if (status >= 400) throw new FailureError(this.#refused(what, undefined, status))
    if (body === '') return {}
    try {
      const json = JSON.parse(body) as Json
      if (typeof json === 'object' && json !== null && !Array.isArray(json)) return json
    } catch {
      // Said below.
    }
    throw new FailureError(this.#refused(what, undefined, undefined))
  }

  /** A client for each: exchanges are rare, and the addresses are of several hosts. */
  async #send(
    what: string,
    once: boolean,
    request: {
      readonly url: string
      readonly method: string
      readonly headers: { readonly [name: string]: string }
      readonly body?: string
      readonly signal: AbortSignal | undefined
    },
  ) {
    const { now, sleep, silence_max_ms = 20_000, retries_max = 2, retryPause_ms = 500 } = this.#context
    const http = new HttpClient({
      baseUrl: request.url,
      silence_max_ms,
      retryPause_ms,
      retries_max,
      retryAfter_max_ms: 5000,
      connections_max: 1,
      now,
      sleep,
    })
    try {
      return await http.send({ ...request, pattern: `(${what})`, write: once, accept: TOLD })
    } finally {
      http.close()
    }
  }

  /** What the app's no to a request means. The error itself is not kept: it quotes the answer. */
  #refused(what: string, error: unknown, status: number | undefined): Failure {
    const { title } = this.#context
    const advice = adviceIn(this.#context)
    const { error: said } = Object(error) as { error?: unknown }
    const named = typeof said === 'string' && CODE.test(said) ? said : null
    if (named === null && (status ?? 0) < 400) {
      return { kind: 'transient', code: 'MALFORMED', message: `The answer to ${what} is not one that ${title} gives` }
    }
    const code = named ?? String(status)
    if (said === 'invalid_grant') {
      const message = `${title} says that the sign-in has ended: it was withdrawn, has run out, or was used already`
      return { kind: 'auth', code, message, advice }
    }
    if (said === 'invalid_client' || said === 'unauthorized_client') {
      const message = `${title} does not know the OAuth client`
      return { kind: 'auth', code, message, advice: `Check clientId and clientSecret in kith.yaml; ${advice}` }
    }
    if (said === 'temporarily_unavailable' || said === 'server_error') {
      return { kind: 'transient', code, message: `${title} cannot do it now (${what})` }
    }
    return { kind: 'auth', code, message: `${title} refuses ${what} (${code})`, advice }
  }

  /** What came back with the browser instead of a code. */
  #notGranted(error: unknown): Failure {
    const { connection, title } = this.#context
    const { error: said } = Object(error) as { error?: unknown }
    const code = typeof said === 'string' && CODE.test(said) ? said : 'NOT-OURS'
    const message =
      code === 'access_denied'
        ? `Access was not granted in ${title}`
        : code === 'NOT-OURS'
          ? `What came back is no answer to this sign-in to ${title}`
          : `${title} refuses the sign-in (${code})`
    const hint =
      code === 'invalid_scope' || code === 'redirect_uri_mismatch' || code === 'invalid_request'
        ? 'Check the redirect address and the scopes of the OAuth client; then: '
        : ''
    return { kind: 'auth', code, message, advice: `${hint}${adviceToConnect(connection)}` }
  }
}

function adviceIn({ advice, connection }: OAuthContext): string {
  return advice ?? adviceToConnect(connection)
}

export function adviceToConnect(connection: string): string {
  return `Sign in again with: kith connect ${connection}`
}

/** What was granted, as the standard says it (`scope`, one text) or as HubSpot does (`scopes`, a list). */
function scopesOf({ scope, scopes }: JsonObject): string[] | null {
  if (typeof scope === 'string') return scope.split(/[\s,]+/).filter((one) => one !== '')
  return Array.isArray(scopes) ? scopes.filter((one) => typeof one === 'string') : null
}

/** Members that are null are left out, and a token of no type is a bearer token: Mailchimp's answers are like that. */
function standardised(body: string): string {
  try {
    const json = JSON.parse(body) as Json
    if (typeof json !== 'object' || json === null || Array.isArray(json)) return body
    const said = Object.fromEntries(Object.entries(json).filter(([, value]) => value !== null))
    return JSON.stringify('access_token' in said ? { token_type: 'bearer', ...said } : said)
  } catch {
    return body
  }
}

function textOf(params: { readonly [name: string]: string | number }): { [name: string]: string } {
  return Object.fromEntries(Object.entries(params).map(([name, value]) => [name, String(value)]))
}
