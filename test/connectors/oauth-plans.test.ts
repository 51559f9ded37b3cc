import { describe, expect, test } from '@jest/globals'
import type { App } from '../../connectors/app.ts'
import type { OAuthPlan } from '../../connectors/oauth-plan.ts'
import { apps } from '../../connectors/registry.ts'

const CLIENT = { clientId: 'kith', clientSecret: 'hush' }

function app(name: string): App {
  const found = apps.get(name)
  if (!found) throw new Error(`no ${name}`)
  return found
}

function plan(name: string, options: object): OAuthPlan | null {
  const found = app(name)
  return found.oauth?.(found.options.parse(options)) ?? null
}

const noAsk = (): Promise<never> => Promise.reject(new Error('nothing is to be asked'))

describe('how each app signs in', () => {
  test('HubSpot: the dated addresses, its scopes, and the portal as the account', async () => {
    const hubspot = plan('hubspot', CLIENT)
    expect(hubspot).toMatchObject({
      grant: 'code',
      authorizeUrl: 'https://app.hubspot.com/oauth/authorize',
      tokenUrl: 'https://api.hubapi.com/oauth/2026-03/token',
      revocation: { kind: 'token', url: 'https://api.hubapi.com/oauth/2026-03/token/revoke' },
      redirectUrl: 'http://localhost:47474/callback',
    })
    expect(hubspot?.scopes).toContain('crm.objects.contacts.write')
    expect(await hubspot?.account?.({ hub_id: 62515 }, noAsk)).toEqual({ id: '62515' })
    const other = plan('hubspot', { ...CLIENT, portal: 4242 })
    expect(() => other?.account?.({ hub_id: 62515 }, noAsk)).toThrow('The account signed in to is 62515')
  })

  test('Google: offline access with consent, any port, and the number of the account from the ID token', async () => {
    const google = plan('google', CLIENT)
    expect(google).toMatchObject({
      authorizeUrl: 'https://accounts.google.com/o/oauth2/v2/auth',
      tokenUrl: 'https://oauth2.googleapis.com/token',
      authorizeParams: { access_type: 'offline', prompt: 'consent' },
      pkce: true,
      redirectUrl: null,
    })
    const claims = Buffer.from(JSON.stringify({ sub: '1098' })).toString('base64url')
    expect(await google?.account?.({ id_token: `e30.${claims}.x` }, noAsk)).toEqual({ id: '1098' })
    expect(await google?.account?.({}, noAsk)).toEqual({})
  })

  test("Zendesk: the account's own addresses, JSON, lifetimes that are asked for, and the client by itself", () => {
    expect(plan('zendesk', { subdomain: 'acme', ...CLIENT })).toMatchObject({
      grant: 'code',
      authorizeUrl: 'https://acme.zendesk.com/oauth/authorizations/new',
      tokenUrl: 'https://acme.zendesk.com/oauth/tokens',
      tokenBody: 'json',
      tokenParams: { expires_in: 86_400, refresh_token_expires_in: 7_689_600 },
      pkce: true,
    })
    expect(plan('zendesk', { subdomain: 'acme', ...CLIENT, grant: 'client_credentials' })).toMatchObject({
      grant: 'client',
      authorizeUrl: null,
      tokenParams: { expires_in: 86_400 },
    })
  })

  test('Mailchimp: no scopes, no PKCE, and the account from the metadata', async () => {
    const mailchimp = plan('mailchimp', { audience: 'aud1', server: 'us6', ...CLIENT })
    expect(mailchimp).toMatchObject({
      authorizeUrl: 'https://login.mailchimp.com/oauth2/authorize',
      tokenUrl: 'https://login.mailchimp.com/oauth2/token',
      scopes: [],
      pkce: false,
      redirectUrl: 'http://127.0.0.1:47474/callback',
    })
    const ask = (url: string, scheme?: string) => {
      expect([url, scheme]).toEqual(['https://login.mailchimp.com/oauth2/metadata', 'OAuth'])
      return Promise.resolve({ dc: 'us6', user_id: 1234 })
    }
    expect(await mailchimp?.account?.({}, ask)).toMatchObject({ id: '1234' })
  })

  test('Salesforce: at the login address, the org and where its API is from the answer', async () => {
    const salesforce = plan('salesforce', { ...CLIENT, loginUrl: 'https://acme.my.salesforce.com' })
    expect(salesforce).toMatchObject({
      authorizeUrl: 'https://acme.my.salesforce.com/services/oauth2/authorize',
      tokenUrl: 'https://acme.my.salesforce.com/services/oauth2/token',
      pkce: true,
    })
    const answer = {
      id: 'https://login.salesforce.com/id/00D000000000001AAA/005000000000001AAA',
      instance_url: 'https://acme.my.salesforce.com',
    }
    expect(await salesforce?.account?.(answer, noAsk)).toEqual({
      id: '00D000000000001AAA',
      instanceUrl: 'https://acme.my.salesforce.com',
    })
  })

  test('no app signs in where its options hold a key or token of its own', () => {
    expect(plan('hubspot', { token: 'pat', clientSecret: 'for hooks' })).toBeNull()
    expect(plan('google', { accessToken: 'ya29' })).toBeNull()
    expect(plan('google', { ...CLIENT, refreshToken: '1//' })).toBeNull()
    expect(plan('zendesk', { subdomain: 'acme', email: 'a@acme.example', token: 't' })).toBeNull()
    expect(plan('zendesk', { subdomain: 'acme', oauthToken: 't' })).toBeNull()
    expect(plan('csv', { path: 'x.csv' })).toBeNull()
  })

  test.each([
    ['hubspot', { clientId: 'kith' }],
    ['hubspot', { token: 'pat', ...CLIENT }],
    ['hubspot', {}],
    ['google', { clientId: 'kith' }],
    ['google', { accessToken: 'ya29', ...CLIENT }],
    ['zendesk', { subdomain: 'acme', clientId: 'kith' }],
    ['zendesk', { subdomain: 'acme', oauthToken: 't', ...CLIENT }],
    ['zendesk', { subdomain: 'acme' }],
  ])('%s: half of a way to sign in, or two, are refused with what to give', (name, options) => {
    const result = app(name).options.safeParse(options)
    expect(result.error?.issues[0]?.message).toContain('kith connect')
  })

  test('every secret of a client is known as one, and goes to https or to this machine only', () => {
    for (const { secrets, options } of [...apps.values()].filter((one) => 'oauth' in one)) {
      expect(secrets).toContain('clientSecret')
      const insecure = options.safeParse({ ...CLIENT, redirectUrl: 'http://kith.example.org/back' })
      expect(insecure.error?.issues.map(({ path }) => path.join('.'))).toContain('redirectUrl')
    }
  })
})
