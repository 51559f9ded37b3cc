import { z } from 'zod'
import { FailureError } from '../../engine/core/failure.ts'
import type { Tokens, TokenStore } from '../../engine/core/ports/tokens.ts'
import type { OAuthContext } from '../oauth.ts'
import type { OAuthPlan } from '../oauth-plan.ts'
import { StoredSignIn } from '../oauth-sign-in.ts'
import type { SignIn } from '../sign-in.ts'

export const GOOGLE_AUTHORIZE = 'https://accounts.google.com/o/oauth2/v2/auth'
const REVOKE = 'https://oauth2.googleapis.com/revoke'
const CONTACTS = 'https://www.googleapis.com/auth/contacts'

/** The part of an ID token that says who signed in: a number of Google's own, no name and no address. */
const Claims = z.object({ sub: z.string().min(1) })

interface Options {
  readonly clientId?: string | undefined
  readonly clientSecret?: string | undefined
  readonly refreshToken?: string | undefined
  readonly accessToken?: string | undefined
  readonly redirectUrl?: string | undefined
  readonly authorizeUrl?: string | undefined
  readonly tokenUrl?: string | undefined
}

/**
 * Access tokens last an hour; the refresh token stays the same. Google hands one out only where it is asked for `offline`
 * access, and again only where it is to ask for consent. A client for desktop apps takes any port of this machine.
 */
export function googleOAuth(options: Options, tokenUrl: string): OAuthPlan | null {
  if (options.refreshToken !== undefined || options.accessToken !== undefined) return null
  return planFor(options, tokenUrl)
}

/**
 * The sign-in whose refresh token stands in kith.yaml: it stays the same, so that nothing has to be kept. One like that of
 * `kith connect` in all else: renewed shortly before it ends, once for all who wait, by the clock of the connection.
 */
export function signInBy(
  refreshToken: string,
  options: Options,
  tokenUrl: string,
  context: Omit<OAuthContext, 'title' | 'advice'>,
): SignIn {
  const plan = planFor(options, tokenUrl)
  if (!plan) throw new FailureError({ kind: 'bug', message: 'a refresh token without its client' })
  const held: Tokens = {
    access: '',
    accessEnds_ms: 0,
    refresh: refreshToken,
    issued_ms: 0,
    clientId: plan.clientId,
    scopes: null,
    account: {},
  }
  return new StoredSignIn(plan, inMemory(held), { ...context, title: 'Google Contacts', advice: ANOTHER_TOKEN })
}

const ANOTHER_TOKEN =
  "Access was withdrawn, the token lay unused for six months, the organisation's session length has run out, or the OAuth consent screen is still in testing (its sign-ins last seven days): sign in again and put the new refreshToken in place, or take refreshToken: out of kith.yaml and use kith connect; then run: kith check"

/** For one process, in which renewals are one at a time already. */
function inMemory(first: Tokens): TokenStore {
  let held: Tokens | null = first
  return {
    load: () => Promise.resolve(held),
    change: async (_connection, decide) => (held = await decide(held)),
    put: (_connection, tokens) => {
      held = tokens
      return Promise.resolve()
    },
  }
}

function planFor(options: Options, tokenUrl: string): OAuthPlan | null {
  const { clientId, clientSecret } = options
  if (clientId === undefined || clientSecret === undefined) return null
  const own = options.tokenUrl === undefined ? REVOKE : new URL('revoke', options.tokenUrl).href
  return {
    grant: 'code',
    clientId,
    clientSecret,
    authorizeUrl: options.authorizeUrl ?? GOOGLE_AUTHORIZE,
    tokenUrl,
    revocation: { kind: 'token', url: own },
    scopes: [CONTACTS, 'openid'],
    needs: [CONTACTS],
    pkce: true,
    authorizeParams: { access_type: 'offline', prompt: 'consent' },
    tokenBody: 'form',
    clientAuth: 'body',
    redirectUrl: options.redirectUrl ?? null,
    account: ({ id_token }) => {
      const payload = typeof id_token === 'string' ? (id_token.split('.')[1] ?? '') : ''
      const claims = Claims.safeParse(json(Buffer.from(payload, 'base64url').toString('utf8')))
      return Promise.resolve(claims.success ? { id: claims.data.sub } : {})
    },
  }
}

/** It came straight from Google's token endpoint, and oauth4webapi has looked at its claims. */
function json(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}
