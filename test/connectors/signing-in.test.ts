import { afterEach, describe, expect, test } from '@jest/globals'
import type { App, ConnectContext } from '../../connectors/app.ts'
import { OAuth } from '../../connectors/oauth.ts'
import { StoredSignIn } from '../../connectors/oauth-sign-in.ts'
import { apps } from '../../connectors/registry.ts'
import { failureFrom, type Failure } from '../../engine/core/failure.ts'
import type { Connector } from '../../engine/core/ports/connector.ts'
import type { Tokens } from '../../engine/core/ports/tokens.ts'
import { MemoryTokens } from '../support/memory-tokens.ts'
import {
  CLIENT,
  MAILCHIMP_USER,
  startMailchimpAccount,
  startSalesforceAccount,
  type MailchimpAccount,
  type SalesforceAccount,
} from '../support/signed-in-accounts.ts'

const REDIRECT = 'http://127.0.0.1:47474/callback'

let open: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of open) await close()
  open = []
})

/** One connection of an app, signed in to as `kith connect` does it; each `process` is one that shares the store with the others. */
class Signing {
  readonly store = new MemoryTokens()
  readonly oauth: OAuth
  readonly #app: App
  readonly #options: unknown
  readonly #account: MailchimpAccount | SalesforceAccount

  constructor(name: string, account: MailchimpAccount | SalesforceAccount, more: object = {}) {
    this.#app = apps.get(name) as App
    this.#options = this.#app.options.parse({ ...account.options, ...more })
    this.#account = account
    this.oauth = new OAuth(this.#plan, this.#context)
    open.push(() => account.close())
  }

  get #plan() {
    const plan = this.#app.oauth?.(this.#options)
    if (!plan) throw new Error('nobody signs in here')
    return plan
  }

  get #context() {
    return { connection: 'it', title: this.#app.title, now: Date.now, retryPause_ms: 1 }
  }

  async signIn(): Promise<Tokens> {
    const attempt = await this.oauth.begin(REDIRECT)
    const answer = new URL(await this.#account.server.allow(attempt.url)).searchParams
    const tokens = await this.oauth.finish(attempt, answer)
    await this.store.put('it', tokens)
    return tokens
  }

  process(): Connector {
    const signIn = new StoredSignIn(this.#plan, this.store, this.#context)
    const context: ConnectContext = { connection: 'it', baseDir: '.', now: Date.now, signIn }
    const connector = this.#app.connect(this.#options, context)
    open.unshift(() => connector.close())
    return connector
  }
}

async function failureOf(work: Promise<unknown>): Promise<Failure> {
  return await work.then(
    () => {
      throw new Error('expected a failure, and it went well')
    },
    (error: unknown) => failureFrom(error),
  )
}

const ENDED = { kind: 'auth', advice: expect.stringContaining('kith connect it') }

describe('signing in to Mailchimp', () => {
  test('without PKCE and scopes, brings a token without end and where the account is: no server: is needed', async () => {
    const account = await startMailchimpAccount(REDIRECT)
    const mailchimp = new Signing('mailchimp', account)
    expect(await mailchimp.signIn()).toMatchObject({
      accessEnds_ms: null,
      refresh: null,
      account: { id: String(MAILCHIMP_USER), apiUrl: account.server.url },
    })
    expect((await mailchimp.process().check()).summary).toContain("audience 'Friends'")
    expect(account.server.asked.map(({ grant, params }) => [grant, 'code_verifier' in params])).toEqual([
      ['authorization_code', false],
    ])
  })

  test('the data centre alone says where the account is, too', async () => {
    const account = await startMailchimpAccount(REDIRECT)
    account.metadata['api_endpoint'] = undefined
    const { account: told } = await new Signing('mailchimp', account).signIn()
    expect(told).toEqual({ id: String(MAILCHIMP_USER), apiUrl: 'https://us6.api.mailchimp.com' })
  })

  test('a sign-in kept without it is asked about once, by all who wait; server: stands in its place', async () => {
    const account = await startMailchimpAccount(REDIRECT)
    const mailchimp = new Signing('mailchimp', account)
    const tokens = await mailchimp.signIn()
    await mailchimp.store.put('it', { ...tokens, account: { id: String(MAILCHIMP_USER) } })
    let asked = 0
    const { api_endpoint } = account.metadata
    Object.defineProperty(account.metadata, 'api_endpoint', {
      enumerable: true,
      configurable: true,
      get: () => (asked++, api_endpoint),
    })
    const connector = mailchimp.process()
    await Promise.all([connector.check(), connector.read(['nobody']), connector.check()])
    expect(asked).toBe(1)
    const told = new Signing('mailchimp', account, { basePath: account.simulator.url, server: 'us6' })
    await told.store.put('it', { ...tokens, account: {} })
    expect(await failureOf(told.process().check())).toMatchObject({ kind: 'auth' })
    expect(asked).toBe(1)
  })

  test('a token of kith.yaml is asked about, too; one that is no good says what to do', async () => {
    const account = await startMailchimpAccount(REDIRECT)
    const { access } = await new Signing('mailchimp', account).signIn()
    const app = apps.get('mailchimp') as App
    const connect = (accessToken: string): Connector => {
      const options = app.options.parse({
        audience: account.options['audience'],
        accessToken,
        loginUrl: account.server.url,
      })
      const connector = app.connect(options, { connection: 'it', baseDir: '.', now: Date.now })
      open.unshift(() => connector.close())
      return connector
    }
    expect((await connect(access).check()).summary).toContain("audience 'Friends'")
    const failure = await failureOf(connect('made-up').check())
    expect(failure).toMatchObject({ kind: 'auth', advice: expect.stringContaining('accessToken') })
    expect(JSON.stringify(failure)).not.toContain('made-up')
  })

  test('metadata that do not say where the account is are for another try, and say what helps', async () => {
    const account = await startMailchimpAccount(REDIRECT)
    const mailchimp = new Signing('mailchimp', account)
    Object.assign(account.metadata, { dc: 'nowhere', api_endpoint: 'http://elsewhere.example' })
    expect((await mailchimp.signIn()).account).toEqual({ id: String(MAILCHIMP_USER) })
    expect(await failureOf(mailchimp.process().check())).toMatchObject({
      kind: 'transient',
      advice: expect.stringContaining('server:'),
    })
  })

  test('a sign-in that is withdrawn cannot be renewed, and says what to run; a new one goes on', async () => {
    const account = await startMailchimpAccount(REDIRECT)
    const mailchimp = new Signing('mailchimp', account)
    const { access } = await mailchimp.signIn()
    const connector = mailchimp.process()
    await connector.check()
    account.server.withdraw()
    const failure = await failureOf(connector.check())
    expect(failure).toMatchObject(ENDED)
    expect(JSON.stringify(failure)).not.toContain(access)
    expect(account.server.count('refresh_token')).toBe(0)
    await mailchimp.signIn()
    expect((await connector.check()).summary).toContain("audience 'Friends'")
    expect(await mailchimp.oauth.revoke(await mailchimp.signIn())).toBe(false)
  })
})

describe('signing in to Salesforce', () => {
  test('with PKCE, tells the org and where its API is', async () => {
    const account = await startSalesforceAccount(REDIRECT)
    const salesforce = new Signing('salesforce', account)
    const tokens = await salesforce.signIn()
    expect(tokens).toMatchObject({
      accessEnds_ms: null,
      refresh: expect.any(String),
      scopes: ['api', 'refresh_token'],
      account: { id: account.simulator.organizationId, instanceUrl: account.server.url },
    })
    expect(account.simulator.organizationId).toMatch(/^00D\w{15}$/)
    expect((await salesforce.process().check()).summary).toBe('Salesforce org with 0 contacts and 0 leads')
    expect(account.server.asked[0]?.params).toHaveProperty('code_verifier')
  })

  test('an org whose id was told otherwise is refused', async () => {
    const account = await startSalesforceAccount(REDIRECT)
    const salesforce = new Signing('salesforce', account, { organizationId: '00D000000000009' })
    expect(await failureOf(salesforce.signIn())).toMatchObject({ kind: 'auth', code: 'OTHER-ACCOUNT' })
  })

  test('a session that ends is renewed once for all who ask, over processes, by a refresh token that is good once', async () => {
    const account = await startSalesforceAccount(REDIRECT)
    const salesforce = new Signing('salesforce', account)
    await salesforce.signIn()
    const connectors = [salesforce.process(), salesforce.process()]
    for (const connector of connectors) await connector.check()
    for (const round of [1, 2, 3]) {
      account.server.expireAccess()
      account.simulator.org.create('Contact', { LastName: `${round}` })
      const reports = await Promise.all([...connectors, ...connectors].map((connector) => connector.check()))
      expect(new Set(reports.map(({ summary }) => summary)).size).toBe(1)
      expect(account.server.count('refresh_token')).toBe(round)
    }
    expect(account.server.reused).toBe(0)
  })

  test('an org that has moved is followed, as the renewal says where to', async () => {
    const account = await startSalesforceAccount(REDIRECT)
    const salesforce = new Signing('salesforce', account)
    await salesforce.signIn()
    const connector = salesforce.process()
    await connector.check()
    // The same server by another name.
    account.instanceUrl = account.server.url.replace('127.0.0.1', 'localhost')
    account.server.expireAccess()
    await connector.check()
    expect(salesforce.store.kept.get('it')?.account).toEqual({
      id: account.simulator.organizationId,
      instanceUrl: account.instanceUrl,
    })
    expect((await connector.check()).summary).toContain('0 contacts')
  })

  test('a sign-in that is withdrawn says what to run, without a secret; a new one goes on', async () => {
    const account = await startSalesforceAccount(REDIRECT)
    const salesforce = new Signing('salesforce', account)
    await salesforce.signIn()
    const connector = salesforce.process()
    await connector.check()
    account.server.withdraw()
    const failure = await failureOf(connector.check())
    expect(failure).toMatchObject({ ...ENDED, code: 'invalid_grant' })
    for (const secret of [...account.server.secrets(), CLIENT.clientSecret])
      expect(JSON.stringify(failure)).not.toContain(secret)
    await salesforce.signIn()
    expect((await connector.check()).summary).toContain('0 contacts')
    const tokens = await salesforce.signIn()
    expect(await salesforce.oauth.revoke(tokens)).toBe(true)
    expect(await failureOf(salesforce.oauth.refresh(tokens))).toMatchObject({ code: 'invalid_grant' })
  })

  test('client credentials need nobody and no refresh token, at the address of the org alone', async () => {
    const account = await startSalesforceAccount(REDIRECT)
    const salesforce = new Signing('salesforce', account, { grant: 'client_credentials' })
    const connector = salesforce.process()
    expect((await connector.check()).summary).toContain('0 contacts')
    account.server.expireAccess()
    await connector.check()
    expect(account.server.asked.map(({ grant }) => grant)).toEqual(['client_credentials', 'client_credentials'])
    expect(salesforce.store.kept.get('it')?.account).toEqual({
      id: account.simulator.organizationId,
      instanceUrl: account.server.url,
    })
  })
})
