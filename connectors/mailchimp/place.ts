import { FailureError } from '../../engine/core/failure.ts'
import type { Clock } from '../clock.ts'
import { HttpClient } from '../http.ts'
import type { SignIn } from '../sign-in.ts'
import { API_URL, apiUrlIn, MAILCHIMP_LOGIN, metadataUrl } from './oauth.ts'

/** What options say of where the account's API is. */
export interface PlaceOptions {
  readonly basePath?: string | undefined
  readonly server?: string | undefined
  readonly apiKey?: string | undefined
  readonly accessToken?: string | undefined
  readonly loginUrl?: string | undefined
}

export interface PlaceContext extends Pick<Clock, 'now' | 'sleep'> {
  readonly signIn?: SignIn | undefined
  readonly silence_max_ms?: number | undefined
  readonly retries_max?: number | undefined
}

/** With its `/3.0`, as far as the options alone tell: by `basePath`, by `server`, or by the end of an API key. */
export function basePathIn({ basePath, server, apiKey }: PlaceOptions): string | undefined {
  const centre = server ?? dataCentreOf(apiKey ?? '')
  return basePath ?? (centre === undefined ? undefined : `https://${centre}.api.mailchimp.com/3.0`)
}

function dataCentreOf(apiKey: string): string | undefined {
  return /-([a-z]{2}\d{1,3})$/.exec(apiKey)?.[1]
}

/**
 * Where the account's API is. A sign-in says so, as its metadata were asked for with it; one of before that was kept, and a token
 * that was put into kith.yaml, are asked about once.
 */
export class Place {
  readonly #options: PlaceOptions
  readonly #context: PlaceContext
  /** By the token that was asked about. */
  #asked: { readonly token: string; readonly apiUrl: Promise<string> } | undefined

  constructor(options: PlaceOptions, context: PlaceContext) {
    this.#options = options
    this.#context = context
  }

  /** @throws FailureError */
  async basePath(signal: AbortSignal | undefined): Promise<string> {
    const told = basePathIn(this.#options)
    if (told !== undefined) return told
    const { value, account } = await this.#token(signal)
    return `${account[API_URL] ?? (await this.#lookedUp(value, signal))}/3.0`
  }

  async #token(signal: AbortSignal | undefined) {
    const { accessToken } = this.#options
    if (accessToken !== undefined) return { value: accessToken, account: {} as { readonly [name: string]: string } }
    const { signIn } = this.#context
    if (signIn) return await signIn.token(signal)
    throw new FailureError({ kind: 'auth', code: 'SIGN-IN', message: 'Nobody has signed in to Mailchimp yet' })
  }

  /** One request for all who wait; a failed one is tried anew by the next. */
  async #lookedUp(token: string, signal: AbortSignal | undefined): Promise<string> {
    if (this.#asked?.token !== token) this.#asked = { token, apiUrl: this.#ask(token, signal) }
    const asked = this.#asked
    try {
      return await asked.apiUrl
    } catch (error) {
      if (this.#asked === asked) this.#asked = undefined
      throw error
    }
  }

  async #ask(token: string, signal: AbortSignal | undefined): Promise<string> {
    const { now, sleep, silence_max_ms = 20_000, retries_max = 3 } = this.#context
    const url = metadataUrl(this.#options.loginUrl ?? MAILCHIMP_LOGIN)
    const http = new HttpClient({ baseUrl: url, silence_max_ms, retries_max, connections_max: 1, now, sleep })
    try {
      const headers = { Accept: 'application/json', Authorization: `OAuth ${token}` }
      const { status, body } = await http.send({
        method: 'GET',
        url,
        pattern: 'oauth2/metadata',
        headers,
        write: false,
        accept: [400, 401, 403],
        signal,
      })
      const json = jsonOf(body)
      const apiUrl = status < 400 ? apiUrlIn(json) : undefined
      if (apiUrl !== undefined) return apiUrl
      throw new FailureError(
        status >= 400 || typeof json['error'] === 'string'
          ? {
              kind: 'auth',
              code: String(status),
              message: 'Mailchimp refuses the token, and does not say where the account is',
              advice: 'Sign in again (kith connect), or put a valid accessToken into kith.yaml; then run: kith check',
            }
          : {
              kind: 'transient',
              code: 'MALFORMED',
              message: 'Mailchimp does not say where the account is',
              advice: 'Put its data centre into server: in kith.yaml, as us6; then run: kith check',
            },
      )
    } finally {
      http.close()
    }
  }
}

function jsonOf(text: string): { readonly [name: string]: unknown } {
  try {
    return Object(JSON.parse(text)) as { readonly [name: string]: unknown }
  } catch {
    return {}
  }
}
