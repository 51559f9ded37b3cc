import { REDIRECT_URL, type OAuthPlan } from '../oauth-plan.ts'

const DAY_S = 24 * 60 * 60

/** Zendesk sets no end by itself yet; what is asked for must be below 2 days and 90 days. */
const LIFETIMES = { expires_in: DAY_S, refresh_token_expires_in: 89 * DAY_S }

interface Options {
  readonly subdomain: string
  readonly token?: string | undefined
  readonly oauthToken?: string | undefined
  readonly clientId?: string | undefined
  readonly clientSecret?: string | undefined
  readonly redirectUrl?: string | undefined
  readonly grant?: 'authorization_code' | 'client_credentials' | undefined
}

/**
 * A refresh ends both tokens of before: the answer is all there is. Requests for tokens are JSON, as Zendesk's pages have
 * them. Users' scopes alone would not do: exports and jobs have none of their own.
 */
export function zendeskOAuth(options: Options, origin: string): OAuthPlan | null {
  const { clientId, clientSecret, grant = 'authorization_code', redirectUrl = REDIRECT_URL } = options
  if (clientId === undefined || clientSecret === undefined) return null
  const byClient = grant === 'client_credentials'
  const at = (path: string): string => new URL(path, origin).href
  return {
    grant: byClient ? 'client' : 'code',
    clientId,
    clientSecret,
    authorizeUrl: byClient ? null : at('/oauth/authorizations/new'),
    tokenUrl: at('/oauth/tokens'),
    revocation: { kind: 'delete', url: at('/api/v2/oauth/tokens/current.json') },
    scopes: ['read', 'write'],
    needs: ['read', 'write'],
    pkce: true,
    tokenParams: byClient ? { expires_in: LIFETIMES.expires_in } : LIFETIMES,
    tokenBody: 'json',
    clientAuth: 'body',
    redirectUrl,
    account: () => Promise.resolve({ id: options.subdomain }),
  }
}
