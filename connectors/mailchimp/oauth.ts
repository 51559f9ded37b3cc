import { FailureError } from '../../engine/core/failure.ts'
import type { OAuthPlan } from '../oauth-plan.ts'

const LOGIN = 'https://login.mailchimp.com/oauth2'
/** Mailchimp takes no `localhost`. */
const REDIRECT_URL = 'http://127.0.0.1:47474/callback'

interface Options {
  readonly apiKey?: string | undefined
  readonly accessToken?: string | undefined
  readonly clientId?: string | undefined
  readonly clientSecret?: string | undefined
  readonly redirectUrl?: string | undefined
  readonly server?: string | undefined
}

/** Access tokens do not run out, and there is nothing to renew them with. There are no scopes, and no PKCE. */
export function mailchimpOAuth(options: Options): OAuthPlan | null {
  const { apiKey, accessToken, clientId, clientSecret, redirectUrl = REDIRECT_URL, server } = options
  if (apiKey !== undefined || accessToken !== undefined || clientId === undefined || clientSecret === undefined)
    return null
  return {
    grant: 'code',
    clientId,
    clientSecret,
    authorizeUrl: `${LOGIN}/authorize`,
    tokenUrl: `${LOGIN}/token`,
    revocation: null,
    scopes: [],
    needs: [],
    pkce: false,
    tokenBody: 'form',
    clientAuth: 'body',
    redirectUrl,
    account: async (_, ask) => {
      const { dc, user_id } = await ask(`${LOGIN}/metadata`, 'OAuth')
      if (typeof dc === 'string' && server !== undefined && dc !== server) {
        throw new FailureError({
          kind: 'auth',
          code: 'OTHER-ACCOUNT',
          message: `The account signed in to is at ${dc}, and server: in kith.yaml says ${server}`,
          advice: `Sign in again and choose that account, or write server: ${dc} into kith.yaml`,
        })
      }
      return user_id === undefined || user_id === null ? {} : { id: String(user_id as string | number) }
    },
  }
}
