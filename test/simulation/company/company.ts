import type { Random } from '../random.ts'
import type { Account } from './account.ts'
import { googleAccount } from './google.ts'
import { hubspotAccount } from './hubspot.ts'
import { mailchimpAccount } from './mailchimp.ts'
import { salesforceAccount } from './salesforce.ts'
import { zendeskAccount } from './zendesk.ts'

/** One account of each app, in the order of the config. */
export async function openCompany(random: Random, now: () => number): Promise<Account[]> {
  return [
    await salesforceAccount(random, now),
    await hubspotAccount(random, now),
    await mailchimpAccount(random, now),
    await googleAccount(random, now),
    await zendeskAccount(random, now),
  ]
}
