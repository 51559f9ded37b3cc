import { FailureError } from '../../engine/core/failure.ts'
import { REDIRECT_URL, secureUrl, type OAuthPlan } from '../oauth-plan.ts'

export const SALESFORCE_LOGIN = 'https://login.salesforce.com'
/** Where the org's API is, among what a sign-in tells of the account. */
export const INSTANCE_URL = 'instanceUrl'

interface Options {
  readonly accessToken?: string | undefined
  readonly instanceUrl?: string | undefined
  readonly loginUrl?: string | undefined
  readonly clientId?: string | undefined
  readonly clientSecret?: string | undefined
  readonly redirectUrl?: string | undefined
  readonly grant?: 'authorization_code' | 'client_credentials' | undefined
  readonly organizationId?: string | undefined
}

/**
 * Salesforce does not say how long its tokens last (the org's session settings do): a token is renewed when it is refused. Client
 * credentials are taken at the org's own address only, and their scopes are those of the app.
 */
export function salesforceOAuth(options: Options): OAuthPlan | null {
  const { accessToken, clientId, clientSecret, grant = 'authorization_code', redirectUrl = REDIRECT_URL } = options
  if (accessToken !== undefined || clientId === undefined || clientSecret === undefined) return null
  const byClient = grant === 'client_credentials'
  const login = options.loginUrl ?? options.instanceUrl ?? SALESFORCE_LOGIN
  const at = (path: string): string => new URL(`/services/oauth2/${path}`, login).href
  return {
    grant: byClient ? 'client' : 'code',
    clientId,
    clientSecret,
    authorizeUrl: byClient ? null : at('authorize'),
    tokenUrl: at('token'),
    revocation: { kind: 'token', url: at('revoke') },
    scopes: byClient ? [] : ['api', 'refresh_token'],
    needs: [],
    pkce: true,
    tokenBody: 'form',
    clientAuth: 'body',
    redirectUrl,
    account: ({ id, instance_url }) => Promise.resolve(accountOf(id, instance_url, options.organizationId)),
    moved: ({ instance_url }) => {
      const instance = secureUrl.safeParse(instance_url)
      return instance.success ? { [INSTANCE_URL]: new URL(instance.data).origin } : {}
    },
  }
}

/** @param identity `https://login.salesforce.com/id/<org>/<user>` */
function accountOf(identity: unknown, address: unknown, wanted: string | undefined): { [name: string]: string } {
  const [, id] = /\/id\/(00D\w{12,15})\//.exec(typeof identity === 'string' ? identity : '') ?? []
  // The last three characters of a long id only repeat, as a checksum, the case of the others.
  if (wanted !== undefined && id !== undefined && id.slice(0, 15) !== wanted.slice(0, 15)) {
    throw new FailureError({
      kind: 'auth',
      code: 'OTHER-ACCOUNT',
      message: `The org signed in to is ${id}, and organizationId: in kith.yaml says ${wanted}`,
      advice: 'Sign in again and choose that org, or correct organizationId: in kith.yaml',
    })
  }
  const instance = secureUrl.safeParse(address)
  if (!instance.success) {
    throw new FailureError({
      kind: 'transient',
      code: 'MALFORMED',
      message: "Salesforce does not say where the org's API is",
    })
  }
  return { ...(id === undefined ? {} : { id }), [INSTANCE_URL]: new URL(instance.data).origin }
}
