import { z } from 'zod'
import type { JsonObject } from '../engine/core/json.ts'

/** Somebody says yes in the browser (`code`), or the client itself is the account's (`client`). */
export type Grant = 'code' | 'client'

/**
 * How one connection signs in with OAuth 2 (RFC 6749): declared by each app in its own folder, carried out by oauth.ts. All
 * addresses are https, except on this machine.
 */
export interface OAuthPlan {
  readonly grant: Grant
  readonly clientId: string
  readonly clientSecret: string
  /** Where the browser is sent; null where the grant is `client`. */
  readonly authorizeUrl: string | null
  readonly tokenUrl: string
  /** How a sign-in is ended at the app; null where it has no way but a click in its settings. */
  readonly revocation: Revocation | null
  /** What is asked for. */
  readonly scopes: readonly string[]
  /** Without these the connection cannot work; the app's people may grant less than what was asked for. */
  readonly needs: readonly string[]
  /** Whether the app's authorization server knows PKCE (RFC 7636). */
  readonly pkce: boolean
  /** Further parameters of the address that the browser is sent to, and of requests for tokens. */
  readonly authorizeParams?: { readonly [name: string]: string }
  readonly tokenParams?: { readonly [name: string]: string | number }
  /** How requests for tokens are written; `form` is the standard. */
  readonly tokenBody: 'form' | 'json'
  /** Where the client's id and secret stand in requests for tokens. */
  readonly clientAuth: 'body' | 'basic'
  /** The address that the browser comes back to, as registered with the app; null: any port of this machine will do. */
  readonly redirectUrl: string | null
  /** How long an access token is taken to be good where the app does not say. */
  readonly lifetime_ms?: number
  /**
   * Which account it is that was signed in to (`id`), and what else the connector needs to know of it. Empty where the options
   * say all of it.
   * @param answer the token endpoint's, as it came
   * @param ask reads JSON from another address of the app's, with the new token
   */
  readonly account?: (answer: JsonObject, ask: Ask) => Promise<{ readonly [name: string]: string }>
  /** What of that a renewal's answer tells anew: an account may be moved to another address. Which account it is stays. */
  readonly moved?: (answer: JsonObject) => { readonly [name: string]: string }
}

/** @throws FailureError */
export type Ask = (url: string, scheme?: string) => Promise<JsonObject>

/** `token`: as RFC 7009 has it. `delete`: a DELETE at the address, with the token to be ended. */
export interface Revocation {
  readonly kind: 'token' | 'delete'
  readonly url: string
}

/** What apps that insist on a registered address are told to register; any free port will do for the others. */
export const REDIRECT_URL = 'http://localhost:47474/callback'

/** To this machine, and over http or https. The one place where tokens and codes travel in the clear. */
export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname)
}

/** An address that secrets are sent to. */
export const secureUrl = z
  .url({ protocol: /^https?$/, error: 'an http or https address' })
  .refine((url) => URL.canParse(url) && (new URL(url).protocol === 'https:' || isLoopback(new URL(url).hostname)), {
    error: 'must be https, except on this machine',
  })

/** The options of a connection that signs in; an app adds them to its own. */
export const oauthOptions = {
  /** Of the OAuth client (app, integration) that was registered with the app. */
  clientId: z.string().min(1).optional(),
  clientSecret: z.string().min(1).optional(),
  /** The address registered with that client, where it is another than Kith's own. */
  redirectUrl: secureUrl.optional(),
}

/** For the apps whose clients can sign in by themselves. */
export const grantOption = {
  /** `client_credentials`: nobody is asked, the client signs in by itself. */
  grant: z.enum(['authorization_code', 'client_credentials']).optional(),
}
