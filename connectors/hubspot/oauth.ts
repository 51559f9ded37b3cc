import { FailureError } from '../../engine/core/failure.ts'
import { REDIRECT_URL, type OAuthPlan } from '../oauth-plan.ts'
import { CONTACT_SCOPES, LIST_SCOPES } from './errors.ts'

export const HUBSPOT_API = 'https://api.hubapi.com'
const HUBSPOT_AUTHORIZE = 'https://app.hubspot.com/oauth/authorize'

/** The vendor: v1 of these addresses ends on 2027-02-16, and v3 is an older name of the dated ones. */
const OAUTH_VERSION = '2026-03'

/** HubSpot compares them with those of the app, and refuses the sign-in where one of the app's is missing. */
const SCOPES = ['oauth', ...CONTACT_SCOPES]

interface Options {
  readonly token?: string | undefined
  readonly clientId?: string | undefined
  readonly clientSecret?: string | undefined
  readonly redirectUrl?: string | undefined
  readonly portal?: string | undefined
  readonly lists?: boolean | undefined
  readonly basePath: string
  readonly authorizeUrl?: string | undefined
}

/** Access tokens last half an hour. The refresh token stays the same until the app is uninstalled. */
export function hubspotOAuth(options: Options): OAuthPlan | null {
  const { token, clientId, clientSecret, redirectUrl = REDIRECT_URL, basePath } = options
  if (token !== undefined || clientId === undefined || clientSecret === undefined) return null
  const scopes = options.lists === true ? [...SCOPES, ...LIST_SCOPES] : SCOPES
  const at = (path: string): string => new URL(`/oauth/${OAUTH_VERSION}/${path}`, basePath).href
  return {
    grant: 'code',
    clientId,
    clientSecret,
    authorizeUrl: options.authorizeUrl ?? HUBSPOT_AUTHORIZE,
    tokenUrl: at('token'),
    revocation: { kind: 'token', url: at('token/revoke') },
    scopes,
    needs: scopes.filter((scope) => scope !== 'oauth'),
    pkce: true,
    tokenBody: 'form',
    clientAuth: 'body',
    redirectUrl,
    account: ({ hub_id }) => {
      const id = typeof hub_id === 'number' ? String(hub_id) : ''
      if (options.portal !== undefined && id !== '' && id !== options.portal) {
        throw new FailureError({
          kind: 'auth',
          code: 'OTHER-ACCOUNT',
          message: `The account signed in to is ${id}, and portal: in kith.yaml says ${options.portal}`,
          advice: 'Sign in again and choose that account, or correct portal: in kith.yaml',
        })
      }
      return Promise.resolve(id === '' ? {} : { id })
    },
  }
}
