import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Account } from './account.ts'
import { GOOGLE, openGoogle } from './google.ts'
import { HUBSPOT, openHubSpot } from './hubspot.ts'
import { MAILCHIMP, openMailchimp } from './mailchimp.ts'
import { ACCOUNTS, rosterOf, type AccountName, type Contact } from './people.ts'
import { openSalesforce, SALESFORCE } from './salesforce.ts'
import { openZendesk, ZENDESK } from './zendesk.ts'

const HOUR_MS = 3_600_000
/** The latest edit that was made before the demo began: nothing is so new that an app would still withhold it. */
const LATEST_MS = 2 * HOUR_MS

/** Who is in an account at first. `at` puts them there at the time when somebody last edited them. */
export type Filling = Contact & { at(put: () => void): void }

export interface Opened {
  /** The account's clock. */
  readonly now: () => number
  readonly people: readonly Filling[]
}

/** The company's five accounts, and the config that names them. */
export interface Company {
  readonly dir: string
  readonly config: string
  readonly accounts: readonly Account[]
  close(): Promise<void>
}

const OPEN: { readonly [name in AccountName]: (opened: Opened) => Promise<{ account: Account; url: string }> } = {
  crm: openHubSpot,
  sales: openSalesforce,
  newsletter: openMailchimp,
  phones: openGoogle,
  desk: openZendesk,
}

/** Starts the accounts on loopback, filled, and writes kith.yaml into the folder. */
export async function openCompany(dir: string): Promise<Company> {
  const roster = rosterOf()
  const opened = await Promise.all(ACCOUNTS.map((name) => OPEN[name](filling(roster[name]))))
  const urls = Object.fromEntries(ACCOUNTS.map((name, index) => [name, opened[index]?.url ?? '']))
  const accounts = opened.map(({ account }) => account)
  const config = join(dir, 'kith.yaml')
  await writeFile(config, configFor(urls as { [name in AccountName]: string }), { mode: 0o600 })
  return { dir, config, accounts, close: async () => void (await Promise.all(accounts.map((each) => each.close()))) }
}

/** Each was edited some hours after the one before, none of them today. */
function filling(contacts: readonly Contact[]): Opened {
  const started_ms = Date.now()
  let edited_ms: number | null = null
  return {
    now: () => edited_ms ?? Date.now(),
    people: contacts.map((contact, index) => ({
      ...contact,
      at: (put) => {
        edited_ms = started_ms - LATEST_MS - (contacts.length - index) * 5 * HOUR_MS
        put()
        edited_ms = null
      },
    })),
  }
}

function configFor(urls: { readonly [name in AccountName]: string }): string {
  return `# Five accounts that hold the same people. The secrets are those of the simulated accounts; yours belong into the
# environment: '\${HUBSPOT_TOKEN}'. All that is not said here has a default.
connections:
  crm:
    app: hubspot
    token: ${HUBSPOT.secrets.token}
    clientSecret: ${HUBSPOT.secrets.clientSecret}
    portal: ${HUBSPOT.portal}
    basePath: ${urls.crm}
  sales:
    app: salesforce
    objects: [contact]
    accessToken: ${SALESFORCE.secrets.accessToken}
    instanceUrl: ${urls.sales}
    keyField: Kith_Key__c
    organizationId: ${SALESFORCE.organizationId}
    webhookToken: ${SALESFORCE.secrets.webhookToken}
  newsletter:
    app: mailchimp
    audience: ${MAILCHIMP.audience}
    apiKey: ${MAILCHIMP.secrets.apiKey}
    webhookSecret: ${MAILCHIMP.secrets.webhookSecret}
    basePath: ${urls.newsletter}
    include: { emails: present } # a member is an address
  phones:
    app: google
    accessToken: ${GOOGLE.secrets.accessToken}
    rootUrl: ${urls.phones}
    poll: 1s # Google has no webhooks
  desk:
    app: zendesk
    subdomain: haldencycles
    email: ${ZENDESK.email}
    token: ${ZENDESK.secrets.token}
    webhookSecret: ${ZENDESK.secrets.webhookSecret}
    baseUrl: ${urls.desk}

region: GB # 07700 900118 is +44 7700 900118
server: { port: 0 } # where the accounts send their webhooks: any free port of this machine
admin: { port: 0 } # what operators do, over HTTP: docs/api.md
`
}
