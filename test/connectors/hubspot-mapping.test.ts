import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { HubSpotConnector } from '../../connectors/hubspot/index.ts'
import { startHubSpotSimulator } from '../../connectors/hubspot/simulator.ts'
import type { Json, JsonObject } from '../../engine/core/json.ts'
import type { AppField } from '../../engine/core/ports/connector.ts'
import { compileLens } from '../../mappings/compile.ts'
import { loadDefaultMapping } from '../../mappings/defaults.ts'
import { catalogue, cellsOf } from '../mappings/support.ts'

async function accountFields(): Promise<readonly AppField[]> {
  const simulator = await startHubSpotSimulator({ token: 'secret' })
  const context = { connection: 'crm', baseDir: '.', now: Date.now }
  const connector = new HubSpotConnector({ token: 'secret', basePath: simulator.url }, context, {})
  try {
    return (await connector.check()).fields
  } finally {
    await connector.close()
    await simulator.close()
  }
}

const { lens, problems } = compileLens(loadDefaultMapping('hubspot'), catalogue, await accountFields())

describe('the default mapping of hubspot', () => {
  test('fits the properties that every account has, both ways', () => {
    expect(problems).toEqual([])
    expect([...lens.fields].filter(([, rule]) => rule.direction !== 'both')).toEqual([])
    expect([...lens.fields.keys()].toSorted()).toEqual([
      'addresses',
      'birthday',
      'emails',
      'name.family',
      'name.given',
      'name.prefix',
      'organisation',
      'phones',
      'title',
      'urls',
    ])
    // The lifecycle stage only goes forward: it is not even read.
    for (const name of ['lifecyclestage', 'hs_lead_status']) expect(lens.appFields).not.toContain(name)
  })

  test('puts a person where a sales person looks', () => {
    const person = cellsOf({
      'name.prefix': 'Dr.',
      'name.given': 'Ada',
      'name.family': 'Lovelace',
      organisation: 'Analytical Engines',
      title: 'Countess',
      birthday: '1815-12-10',
      emails: [
        { value: 'ada@example.org', label: 'work' },
        { value: 'ada@example.net', label: 'home', pref: true },
      ],
      phones: [
        { value: '+491711234567', label: 'mobile' },
        { value: '+4930901820', label: 'work' },
      ],
      addresses: [
        { value: { street: '12 St James Sq', locality: 'London', postcode: 'SW1Y', country: 'UK' }, label: 'work' },
      ],
      urls: ['https://ada.example'],
    })
    expect(lens.put(person, null)).toEqual({
      salutation: 'Dr.',
      firstname: 'Ada',
      lastname: 'Lovelace',
      company: 'Analytical Engines',
      jobtitle: 'Countess',
      date_of_birth: '1815-12-10',
      'email.all': ['ada@example.net', 'ada@example.org'],
      phone: '+4930901820',
      mobilephone: '+491711234567',
      address: '12 St James Sq',
      city: 'London',
      zip: 'SW1Y',
      country: 'UK',
      website: 'https://ada.example',
    })
  })

  test('labels and preferences that HubSpot has no place for are no reason to write (I6)', () => {
    const held = { 'email.all': ['ada@example.org', 'ada@example.net'], phone: '030 901820' }
    const person = cellsOf({
      emails: [
        { value: 'Ada@Example.org', label: 'home', pref: false },
        { value: 'ada@example.net', label: 'work', pref: true },
      ],
      phones: [{ value: '+49 30 901820', label: 'home', pref: true }],
    })
    expect(lens.put(person, held)).toEqual({})
  })

  test('what is read and put back changes nothing, and a second put changes nothing (I1, I2)', () => {
    const text = fc.oneof(
      fc.constantFrom(null, '', ' ', 'Ada', '03/04/1985', '1985-04-12'),
      fc.string({ maxLength: 12 }),
    )
    const address = fc.constantFrom('a@x.org', 'A@X.org', 'b@x.org', 'c@x.org')
    const record = fc.record(
      Object.fromEntries(
        lens.appFields.map((name) => [
          name,
          name === 'email.all' ? fc.option(fc.array(address, { maxLength: 3 })) : text,
        ]),
      ) as { [name: string]: fc.Arbitrary<Json> },
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
