import type { App, ConnectContext } from '../connectors/app.ts'
import { connectGoogle, google, type GoogleOptions } from '../connectors/google/index.ts'
import { startGoogleSimulator } from '../connectors/google/simulator.ts'
import { connectHubSpot, hubspot, type HubSpotOptions } from '../connectors/hubspot/index.ts'
import { startHubSpotSimulator } from '../connectors/hubspot/simulator.ts'
import { connectMailchimp, mailchimp, type MailchimpOptions } from '../connectors/mailchimp/index.ts'
import { startMailchimpSimulator } from '../connectors/mailchimp/simulator.ts'
import type { Pacer } from '../connectors/pacer.ts'
import { connectSalesforce, salesforce, type SalesforceOptions } from '../connectors/salesforce/index.ts'
import { startSalesforceSimulator } from '../connectors/salesforce/simulator.ts'
import { connectZendesk, zendesk, type ZendeskOptions } from '../connectors/zendesk/index.ts'
import { startZendeskSimulator } from '../connectors/zendesk/simulator.ts'
import type { Json } from '../engine/core/json.ts'

/** A call as it came in at an account. */
export interface ApiCall {
  readonly method: string
  /** Its path, without its query; ids are not taken out. */
  readonly path: string
}

/** A simulated account of one of the apps, on loopback, as fast as it can be: no limit is met. */
export interface BenchAccount {
  readonly name: string
  readonly options: { readonly [option: string]: Json }
  readonly calls: () => readonly ApiCall[]
  close(): Promise<void>
}

export interface Accounts {
  readonly apps: readonly App[]
  readonly accounts: readonly BenchAccount[]
  /** Lets time go by for the accounts and their connectors. */
  pass(ms: number): void
  addPerson(n: number): void
  close(): Promise<void>
}

const FAST: Pacer = { run: (work) => work(), cool: () => undefined }
const GOOGLE = { clientId: 'kith', clientSecret: 'hush', refreshToken: 'refresh' }
const TOKEN = 'bench'
const GIVEN = ['Ada', 'Grace', 'Alan', 'Zoë', 'Linus', 'Margaret', 'Barbara', 'Edsger', 'Katherine', 'Łukasz', '美咲']

/** Five accounts, one of each app; the people are in Salesforce. */
export async function openAccounts(): Promise<Accounts> {
  let ahead_ms = 0
  const now = (): number => Date.now() + ahead_ms
  const crm = await startSalesforceSimulator({ accessToken: TOKEN, keyField: 'Kith_Key__c', now })
  crm.faults.usage.total = Number.MAX_SAFE_INTEGER
  const sales = await startHubSpotSimulator({ token: TOKEN, now })
  const news = await startMailchimpSimulator({ apiKey: `${TOKEN}-us1`, now })
  const phones = await startGoogleSimulator({ ...GOOGLE, now })
  const desk = await startZendeskSimulator({ email: 'admin@example.com', token: TOKEN, now })
  Object.assign(desk.faults, { requests_max: 1e9, exports_max: 1e9, updates_max: 1e9 })
  const accounts: BenchAccount[] = [
    {
      name: 'salesforce',
      options: { accessToken: TOKEN, instanceUrl: crm.url, keyField: 'Kith_Key__c' },
      calls: () => crm.traffic,
      close: () => crm.close(),
    },
    {
      name: 'hubspot',
      options: { token: TOKEN, basePath: sales.url },
      calls: () => sales.requests.map(pathOnly),
      close: () => sales.close(),
    },
    {
      name: 'mailchimp',
      options: { apiKey: `${TOKEN}-us1`, audience: '9e67587f52', basePath: news.url },
      calls: () => news.requests.map(pathOnly),
      close: () => news.close(),
    },
    {
      name: 'google',
      options: { ...GOOGLE, rootUrl: phones.rootUrl, tokenUrl: phones.tokenUrl },
      // Tokens are no part of the API, and have no limit in common with it.
      calls: () => phones.exchanges.filter(({ path }) => path !== '/token'),
      close: () => phones.close(),
    },
    {
      name: 'zendesk',
      options: { subdomain: 'bench', email: 'admin@example.com', token: TOKEN, baseUrl: desk.url },
      calls: () => desk.traffic,
      close: () => desk.close(),
    },
  ]
  return {
    apps: appsOf(now),
    accounts,
    pass: (ms) => void (ahead_ms += ms),
    addPerson: (n) => {
      const who = { FirstName: GIVEN[n % GIVEN.length], LastName: `Lovelace ${n}`, Title: `Analyst ${n % 7}` }
      crm.org.create('Contact', { ...who, Email: `person.${n}@example.org`, Phone: `+4930${10_000_000 + n}` })
    },
    close: async () => {
      for (const account of accounts) await account.close()
    },
  }
}

/** The apps as they are, but for their rate budgets and the pauses between looks at a job. */
function appsOf(now: () => number): App[] {
  const ahead = (context: ConnectContext): ConnectContext => ({ ...context, now, pacer: FAST })
  return [
    { ...salesforce, connect: (options, context) => connectSalesforce(options as SalesforceOptions, ahead(context)) },
    {
      ...hubspot,
      connect: (options, context) =>
        connectHubSpot(options as HubSpotOptions, ahead(context), { pacers: { requests: FAST, searches: FAST } }),
    },
    { ...mailchimp, connect: (options, context) => connectMailchimp(options as MailchimpOptions, ahead(context)) },
    { ...google, connect: (options, context) => connectGoogle(options as GoogleOptions, ahead(context)) },
    {
      ...zendesk,
      connect: (options, context) =>
        connectZendesk(options as ZendeskOptions, ahead(context), { exports: FAST, pollPauses_ms: [5] }),
    },
  ] as App[]
}

function pathOnly({ method, path }: ApiCall): ApiCall {
  return { method, path: path.replace(/\?.*/, '') }
}
