import { z } from 'zod'
import type { OAuthPlan } from '../oauth-plan.ts'

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
  const { clientId, clientSecret, refreshToken, accessToken } = options
  if (clientId === undefined || clientSecret === undefined) return null
  if (refreshToken !== undefined || accessToken !== undefined) return null
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
