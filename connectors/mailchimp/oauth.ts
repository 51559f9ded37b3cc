import { FailureError } from '../../engine/core/failure.ts'
import { secureUrl, type OAuthPlan } from '../oauth-plan.ts'

export const MAILCHIMP_LOGIN = 'https://login.mailchimp.com'
/** Where the account's API is, among what a sign-in tells of the account; without its `/3.0`. */
export const API_URL = 'apiUrl'
/** Mailchimp takes no `localhost`. */
const REDIRECT_URL = 'http://127.0.0.1:47474/callback'

interface Options {
  readonly apiKey?: string | undefined
  readonly accessToken?: string | undefined
  readonly clientId?: string | undefined
  readonly clientSecret?: string | undefined
  readonly redirectUrl?: string | undefined
  readonly server?: string | undefined
  readonly loginUrl?: string | undefined
}

/** Access tokens do not run out, and there is nothing to renew them with. There are no scopes, and no PKCE. */
export function mailchimpOAuth(options: Options): OAuthPlan | null {
  const { apiKey, accessToken, clientId, clientSecret, redirectUrl = REDIRECT_URL, server } = options
  if (apiKey !== undefined || accessToken !== undefined || clientId === undefined || clientSecret === undefined)
    return null
  const login = options.loginUrl ?? MAILCHIMP_LOGIN
  return {
    grant: 'code',
    clientId,
    clientSecret,
    authorizeUrl: new URL('/oauth2/authorize', login).href,
    tokenUrl: new URL('/oauth2/token', login).href,
    revocation: null,
    scopes: [],
    needs: [],
    pkce: false,
    tokenBody: 'form',
    clientAuth: 'body',
    redirectUrl,
    account: async (_, ask) => {
      const metadata = await ask(metadataUrl(login), 'OAuth')
      const { dc, user_id } = metadata
      if (typeof dc === 'string' && server !== undefined && dc !== server) {
        throw new FailureError({
          kind: 'auth',
          code: 'OTHER-ACCOUNT',
          message: `The account signed in to is at ${dc}, and server: in kith.yaml says ${server}`,
          advice: `Sign in again and choose that account, or take server: out of kith.yaml`,
        })
      }
      const apiUrl = apiUrlIn(metadata)
      return {
        ...(user_id === undefined || user_id === null ? {} : { id: String(user_id as string | number) }),
        ...(apiUrl === undefined ? {} : { [API_URL]: apiUrl }),
      }
    },
  }
}

/** What a token is good for; asked with `Authorization: OAuth <token>`. */
export function metadataUrl(login: string): string {
  return new URL('/oauth2/metadata', login).href
}

/** Where the account's API is, by its metadata: `api_endpoint`, or the data centre's name. */
export function apiUrlIn({ api_endpoint, dc }: { readonly [name: string]: unknown }): string | undefined {
  const told = secureUrl.safeParse(api_endpoint)
  if (told.success) return new URL(told.data).origin
  return typeof dc === 'string' && /^[a-z]{2}\d{1,3}$/.test(dc) ? `https://${dc}.api.mailchimp.com` : undefined
}
