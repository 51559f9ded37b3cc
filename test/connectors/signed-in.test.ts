import { afterEach, describe, expect, test } from '@jest/globals'
import type { App, ConnectContext } from '../../connectors/app.ts'
import { startGoogleSimulator } from '../../connectors/google/simulator.ts'
import { startHubSpotSimulator } from '../../connectors/hubspot/simulator.ts'
import { startMailchimpSimulator } from '../../connectors/mailchimp/simulator.ts'
import { apps } from '../../connectors/registry.ts'
import { startSalesforceSimulator } from '../../connectors/salesforce/simulator.ts'
import type { SignIn } from '../../connectors/sign-in.ts'
import { startZendeskSimulator } from '../../connectors/zendesk/simulator.ts'
import { FailureError, failureFrom } from '../../engine/core/failure.ts'

const CLIENT = { clientId: 'kith', clientSecret: 'hush' }
const GOOD = 'good-token'

/** A sign-in whose first token has been withdrawn. */
class Renewing implements SignIn {
  readonly #renewed: string
  renewals = 0

  constructor(renewed: string) {
    this.#renewed = renewed
  }

  token() {
    return Promise.resolve({ value: this.renewals === 0 ? 'old-token' : this.#renewed, account: {} })
  }

  renewed(refused: string) {
    if (refused !== (this.renewals === 0 ? 'old-token' : this.#renewed)) throw new Error('not the token in use')
    this.renewals++
    return Promise.resolve({ value: this.#renewed, account: {} })
  }

  refusal(): FailureError {
    return new FailureError({ kind: 'auth', message: 'ended', advice: 'Sign in again with: kith connect it' })
  }
}

interface Account {
  readonly options: object
  close(): Promise<void>
}

const ACCOUNTS: { readonly [app: string]: () => Promise<Account> } = {
  hubspot: async () => {
    const simulator = await startHubSpotSimulator({ token: GOOD })
    return { options: { ...CLIENT, basePath: simulator.url }, close: () => simulator.close() }
  },
  google: async () => {
    const simulator = await startGoogleSimulator({ accessToken: GOOD })
    const { rootUrl, tokenUrl } = simulator
    return { options: { ...CLIENT, rootUrl, tokenUrl }, close: () => simulator.close() }
  },
  mailchimp: async () => {
    const simulator = await startMailchimpSimulator({ apiKey: GOOD })
    const options = { ...CLIENT, audience: '9e67587f52', basePath: simulator.url }
    return { options, close: () => simulator.close() }
  },
  salesforce: async () => {
    const simulator = await startSalesforceSimulator({ accessToken: GOOD })
    return { options: { ...CLIENT, instanceUrl: simulator.url }, close: () => simulator.close() }
  },
  zendesk: async () => {
    const simulator = await startZendeskSimulator({ token: GOOD })
    return { options: { ...CLIENT, subdomain: 'acme', baseUrl: simulator.url }, close: () => simulator.close() }
  },
}

const open: Account[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((account) => account.close()))
})

async function connected(name: string, signIn: SignIn) {
  const app = apps.get(name) as App
  const account = await ACCOUNTS[name]?.()
  if (!account) throw new Error(`no account for ${name}`)
  open.push(account)
  const context: ConnectContext = { connection: 'it', baseDir: '.', now: Date.now, signIn }
  return app.connect(app.options.parse(account.options), context)
}

describe('a connector with a sign-in', () => {
  test('every app that can be signed in to is tried here', () => {
    const names = [...apps.values()].filter((app) => 'oauth' in app).map(({ name }) => name)
    expect(Object.keys(ACCOUNTS).sort()).toEqual(names.sort())
  })

  test.each(Object.keys(ACCOUNTS))('%s: goes on with the renewed token', async (name) => {
    const signIn = new Renewing(GOOD)
    const connector = await connected(name, signIn)
    const report = await connector.check()
    expect(report.fields.length).toBeGreaterThan(5)
    expect(signIn.renewals).toBe(1)
    await connector.close()
  })

  test.each(Object.keys(ACCOUNTS))('%s: refused for good, it says how to sign in again', async (name) => {
    const connector = await connected(name, new Renewing('bad-token'))
    const failure = failureFrom(await connector.check().catch((error: unknown) => error))
    expect(failure).toMatchObject({ kind: 'auth', advice: 'Sign in again with: kith connect it' })
    await connector.close()
  })
})
