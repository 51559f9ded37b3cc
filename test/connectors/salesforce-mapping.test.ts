import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { connectSalesforce, salesforce } from '../../connectors/salesforce/index.ts'
import { startSalesforceSimulator } from '../../connectors/salesforce/simulator.ts'
import type { Json, JsonObject } from '../../engine/core/json.ts'
import type { AppField } from '../../engine/core/ports/connector.ts'
import { compileLens } from '../../mappings/compile.ts'
import { loadDefaultMapping } from '../../mappings/defaults.ts'
import { catalogue, cellsOf } from '../mappings/support.ts'

async function orgFields(objects: readonly string[]): Promise<readonly AppField[]> {
  const simulator = await startSalesforceSimulator({ accessToken: 'secret' })
  const options = salesforce.options.parse({ accessToken: 'secret', instanceUrl: simulator.url, objects })
  const connector = connectSalesforce(options, { connection: 'crm', baseDir: '.', now: Date.now })
  try {
    return (await connector.check()).fields
  } finally {
    await connector.close()
    await simulator.close()
  }
}

const mapping = loadDefaultMapping('salesforce')
const both = compileLens(mapping, catalogue, await orgFields(['contact', 'lead']))
const { lens } = both

describe('the default mapping of salesforce', () => {
  test('fits the fields that every org has, whichever objects are connected', async () => {
    expect(both.problems).toEqual([])
    expect([...lens.fields.keys()].toSorted()).toEqual([
      'addresses',
      'birthday',
      'department',
      'emails',
      'name.family',
      'name.given',
      'name.prefix',
      'organisation',
      'phones',
      'title',
    ])
    // Whose it is, how far the deal is and what sales people think of it is not even read.
    for (const name of ['OwnerId', 'Status', 'LeadSource', 'Description', 'AccountId'])
      expect(lens.appFields).not.toContain(name)
    for (const objects of [['contact'], ['lead']]) {
      const { problems } = compileLens(mapping, catalogue, await orgFields(objects))
      expect([objects, problems]).toEqual([objects, []])
    }
  })

  test('puts a person where a sales person looks', () => {
    const person = cellsOf({
      'name.prefix': 'Dr.',
      'name.given': 'Ada',
      'name.family': 'Lovelace',
      organisation: 'Analytical Engines',
      department: 'Engines',
      title: 'Countess',
      birthday: '1815-12-10',
      emails: [{ value: 'ada@example.org', label: 'work' }],
      phones: [
        { value: '+491711234567', label: 'mobile' },
        { value: '+4930901820', label: 'work' },
      ],
      addresses: [{ value: { street: '12 St James Sq', locality: 'London', postcode: 'SW1Y', country: 'UK' } }],
    })
    expect(lens.put(person, null)).toEqual({
      Salutation: 'Dr.',
      FirstName: 'Ada',
      LastName: 'Lovelace',
      Company: 'Analytical Engines',
      Department: 'Engines',
      Title: 'Countess',
      Birthdate: '1815-12-10',
      Email: 'ada@example.org',
      Phone: '+4930901820',
      MobilePhone: '+491711234567',
      MailingStreet: '12 St James Sq',
      MailingCity: 'London',
      MailingPostalCode: 'SW1Y',
      MailingCountry: 'UK',
    })
  })

  test('an opt-out and a bounce restrict, an empty box says nothing, and only restrictions are written (I7)', () => {
    const told = (record: JsonObject): unknown[] => lens.consents.map((slot) => slot.state(record))
    expect(told({ Email: 'a@x.org', HasOptedOutOfEmail: true, EmailBouncedDate: null })).toEqual(['unsubscribed', null])
    expect(told({ Email: 'a@x.org', HasOptedOutOfEmail: false, EmailBouncedDate: null })).toEqual([null, null])
    expect(told({ Email: 'a@x.org', HasOptedOutOfEmail: false, EmailBouncedDate: '2026-11-01' })).toEqual([
      null,
      'bounced',
    ])
    expect(lens.consents.map((slot) => slot.put('unsubscribed'))).toEqual([{ HasOptedOutOfEmail: true }, {}])
    expect(lens.consents.map((slot) => slot.put('subscribed'))).toEqual([{}, {}])
  })

  test('what is read and put back changes nothing, and a second put changes nothing (I1, I2)', () => {
    const text = fc.oneof(
      fc.constantFrom(null, 'Ada', '1985-04-12', 'a@x.org', 'B@x.org', '+49 30 901820'),
      fc.string({ maxLength: 12 }),
    )
    const record = fc.record(
      Object.fromEntries(lens.appFields.map((name) => [name, text])) as { [name: string]: fc.Arbitrary<Json> },
      { requiredKeys: [] },
    ) as fc.Arbitrary<JsonObject>
    fc.assert(
      fc.property(record, record, (a, b) => {
        expect(lens.put(lens.get(a), a)).toEqual({})
        const after = { ...b, ...lens.put(lens.get(a), b) }
        expect(lens.put(lens.get(a), after)).toEqual({})
      }),
      { numRuns: 150 },
    )
  })
})
