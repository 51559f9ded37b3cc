import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { isRefusal } from '../../connectors/mailchimp/simulator-audience.ts'
import { signIn } from '../../workers/signing-in.ts'
import { contact, type Contact } from '../support/contacts.ts'
import { TestHousehold } from '../support/household.ts'
import { idOf, Sheet, type Place } from '../support/places.ts'
import {
  startMailchimpAccount,
  startSalesforceAccount,
  type MailchimpAccount,
  type SalesforceAccount,
} from '../support/signed-in-accounts.ts'
import { NO_BRAKES } from '../support/three-places.ts'

const REDIRECT = 'http://127.0.0.1:47474/callback'

/** An account as it is looked at here: its people by their addresses. */
function placeOf(
  name: string,
  app: string,
  options: object,
  emails: () => readonly (readonly [string, string])[],
): Place {
  const never = (): never => {
    throw new Error('nobody edits here')
  }
  return {
    name,
    config: { app, ...options },
    all: () => new Map<string, Contact>(emails().map(([id, email]) => [id, contact({ emails: [email] })])),
    add: never,
    edit: never,
    remove: never,
    stamps: () => new Map(emails()),
  }
}

describe('a sheet, a newsletter and a CRM that people sign in to', () => {
  let newsletter: MailchimpAccount
  let crm: SalesforceAccount
  let sheet: Sheet
  let home: TestHousehold

  const person = (name: string): Contact =>
    contact({ given: name, family: 'Lovelace', emails: [`${name.toLowerCase()}@example.org`] })
  const addressesIn = (place: string): string[] => {
    const found = home.places.find(({ name }) => name === place)?.all() ?? new Map<string, Contact>()
    return [...found.values()].flatMap(({ emails }) => emails).toSorted()
  }
  /** As `kith connect <name> --paste`. */
  const connect = async (name: string, { server }: MailchimpAccount | SalesforceAccount) => {
    const household = await home.open()
    let url = ''
    const operator = {
      show: (address: string) => {
        url = address
        return Promise.resolve()
      },
      pasted: () => server.allow(url),
    }
    const signedIn = await signIn(household, name, operator, new AbortController().signal)
    await household.connect(name)
    return signedIn
  }

  beforeEach(async () => {
    newsletter = await startMailchimpAccount(REDIRECT)
    crm = await startSalesforceAccount(REDIRECT)
    const dir = TestHousehold.folder()
    sheet = new Sheet('sheet', join(dir, 'contacts.csv'), [person('Ada')])
    const places = [
      sheet,
      placeOf('newsletter', 'mailchimp', newsletter.options, () =>
        newsletter.simulator.audience.live().map(({ contactId, email }) => [contactId, email] as const),
      ),
      placeOf('crm', 'salesforce', crm.options, () =>
        crm.simulator.org.living().map(({ Id, values }) => [Id, String(values.get('Email'))] as const),
      ),
    ]
    const key = { KITH_SECRET_KEY: randomBytes(32).toString('base64') }
    home = await TestHousehold.make(dir, places, { brakes: NO_BRAKES }, key)
  })
  afterEach(async () => {
    await home.close()
    await newsletter.close()
    await crm.close()
  })

  test('go on from process to process; a sign-in that is withdrawn stops its connection alone, and says so', async () => {
    await home.open()
    expect(await home.failure('crm')).toMatchObject({ message: 'Nobody has signed in to Salesforce yet' })
    expect((await connect('newsletter', newsletter)).account).toMatchObject({ apiUrl: newsletter.server.url })
    expect((await connect('crm', crm)).account).toMatchObject({ instanceUrl: crm.server.url })
    await home.syncApproved()
    expect([addressesIn('newsletter'), addressesIn('crm')]).toEqual([['ada@example.org'], ['ada@example.org']])

    // Another process reads what was kept, the place of the account among it; sessions have ended meanwhile.
    await home.shut()
    crm.server.expireAccess()
    sheet.add(person('Bob'))
    await home.sync()
    expect(addressesIn('newsletter')).toEqual(['ada@example.org', 'bob@example.org'])
    expect(addressesIn('crm')).toEqual(['ada@example.org', 'bob@example.org'])
    expect([crm.server.count('refresh_token'), crm.server.reused]).toEqual([1, 0])

    newsletter.server.withdraw()
    sheet.add(person('Carl'))
    await home.syncUntil(() => addressesIn('crm').includes('carl@example.org'))
    expect(addressesIn('newsletter')).toHaveLength(2)
    expect(await home.failure('crm')).toBeNull()
    expect(await home.failure('newsletter')).toMatchObject({
      kind: 'auth',
      advice: expect.stringContaining('kith connect newsletter'),
    })

    await connect('newsletter', newsletter)
    await home.syncUntil(() => addressesIn('newsletter').length === 3)
    expect(await home.failure('newsletter')).toBeNull()

    crm.server.withdraw()
    const added = newsletter.simulator.audience.add(
      { email_address: 'dora@example.org', status: 'subscribed' },
      'admin',
    )
    if (isRefusal(added)) throw new Error(added.detail)
    newsletter.simulator.advance(61_000)
    await home.syncUntil(() => sheet.all().size === 4)
    expect(idOf(sheet, 'dora@example.org')).toBeDefined()
    expect(addressesIn('crm')).toHaveLength(3)
    expect(await home.failure('crm')).toMatchObject({
      kind: 'auth',
      advice: expect.stringContaining('kith connect crm'),
    })
    await connect('crm', crm)
    await home.syncUntil(() => addressesIn('crm').length === 4)
  })
})
