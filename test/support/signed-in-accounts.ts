import {
  startMailchimpSimulator,
  type MailchimpSimulator,
  type SimulatorOptions as MailchimpOptions,
} from '../../connectors/mailchimp/simulator.ts'
import {
  startSalesforceSimulator,
  type SalesforceSimulator,
  type SimulatorOptions as SalesforceOptions,
} from '../../connectors/salesforce/simulator.ts'
import { AuthorizationServer } from './authorization-server.ts'

/** Behind the sign-in: what the simulators want, and nobody else is told. */
const INSIDE = 'inside-token'

export const CLIENT = { clientId: 'kith-app', clientSecret: 'app-secret-of-the-test' }
export const AUDIENCE = '9e67587f52'
export const MAILCHIMP_USER = 4242

interface SignedIn<Simulator> {
  readonly simulator: Simulator
  readonly server: AuthorizationServer
  /** Of the connection: nothing in them says where the account's API is. */
  readonly options: { readonly [option: string]: string }
  close(): Promise<void>
}

export interface MailchimpAccount extends SignedIn<MailchimpSimulator> {
  /** What its metadata say. */
  readonly metadata: { [name: string]: unknown }
}

/** A Mailchimp account that people sign in to: no PKCE, no scopes, tokens that do not run out, and metadata that name the place. */
export async function startMailchimpAccount(
  redirectUrl: string,
  options: Partial<MailchimpOptions> = {},
): Promise<MailchimpAccount> {
  const simulator = await startMailchimpSimulator({ apiKey: INSIDE, audience: AUDIENCE, ...options })
  const metadata: { [name: string]: unknown } = {}
  const server = await AuthorizationServer.start({
    ...CLIENT,
    redirectUrls: [redirectUrl],
    paths: { authorize: '/oauth2/authorize', token: '/oauth2/token' },
    pkce: false,
    refreshes: false,
    lifetime_s: 0,
    shape: ({ access_token, expires_in }) => ({ access_token, expires_in, scope: null }),
    resources: { '/oauth2/metadata': metadata },
    behind: { url: simulator.url, authorization: `Bearer ${INSIDE}` },
  })
  Object.assign(metadata, {
    dc: 'us6',
    role: 'owner',
    accountname: 'Friends',
    user_id: MAILCHIMP_USER,
    login_url: server.url,
    api_endpoint: server.url,
  })
  return {
    simulator,
    server,
    metadata,
    options: { audience: AUDIENCE, ...CLIENT, redirectUrl, loginUrl: server.url },
    close: async () => {
      await server.close()
      await simulator.close()
    },
  }
}

export interface SalesforceAccount extends SignedIn<SalesforceSimulator> {
  /** Where the org's API is, as answers to requests for tokens say it. */
  instanceUrl: string
}

/** A Salesforce org that people sign in to: PKCE, rotated refresh tokens, no word of when a token ends, and where the API is. */
export async function startSalesforceAccount(
  redirectUrl: string,
  options: Partial<SalesforceOptions> = {},
): Promise<SalesforceAccount> {
  const simulator = await startSalesforceSimulator({ accessToken: INSIDE, ...options })
  const told = { instanceUrl: '' }
  const server = await AuthorizationServer.start({
    ...CLIENT,
    redirectUrls: [redirectUrl],
    paths: {
      authorize: '/services/oauth2/authorize',
      token: '/services/oauth2/token',
      revoke: '/services/oauth2/revoke',
    },
    shape: (standard) => ({
      ...standard,
      expires_in: undefined,
      instance_url: told.instanceUrl,
      id: `https://login.salesforce.com/id/${simulator.organizationId}/005000000000001AAA`,
      issued_at: '1708058728442',
      signature: 'none that is looked at',
    }),
    behind: { url: simulator.url, authorization: `Bearer ${INSIDE}` },
  })
  told.instanceUrl = server.url
  return Object.assign(told, {
    simulator,
    server,
    options: { ...CLIENT, redirectUrl, loginUrl: server.url },
    close: async () => {
      await server.close()
      await simulator.close()
    },
  })
}
