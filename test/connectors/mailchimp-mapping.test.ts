import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { connectMailchimp } from '../../connectors/mailchimp/index.ts'
import { startMailchimpSimulator } from '../../connectors/mailchimp/simulator.ts'
import type { Json, JsonObject } from '../../engine/core/json.ts'
import type { AppField } from '../../engine/core/ports/connector.ts'
import { compileLens } from '../../mappings/compile.ts'
import { loadDefaultMapping } from '../../mappings/defaults.ts'
import { catalogue, cellsOf } from '../mappings/support.ts'

async function accountFields(): Promise<readonly AppField[]> {
  const simulator = await startMailchimpSimulator({ apiKey: 'secret' })
  const connector = connectMailchimp(
    { audience: '9e67587f52', apiKey: 'secret', newMembers: 'transactional', basePath: simulator.url },
    { connection: 'newsletter', baseDir: '.', now: Date.now },
  )
  try {
    return (await connector.check()).fields
  } finally {
    await connector.close()
    await simulator.close()
  }
}

const { lens, problems } = compileLens(loadDefaultMapping('mailchimp'), catalogue, await accountFields())

describe('the default mapping of mailchimp', () => {
  test('fits the merge fields that an audience starts with, both ways, and consent by its own rules', () => {
    expect(problems).toEqual([])
    expect([...lens.fields].filter(([, rule]) => rule.direction !== 'both')).toEqual([])
    expect([...lens.fields.keys()].toSorted()).toEqual([
      'addresses',
      'birthday',
      'emails',
      'name.family',
      'name.given',
      'organisation',
      'phones',
      'tags',
    ])
  })

  test("consent is the status, which is tightened only; an opt-in is the person's own sign-up (I7)", () => {
    const [slot, ...others] = lens.consents
    expect(others).toEqual([])
    const states = ['subscribed', 'pending', 'unsubscribed', 'cleaned', 'transactional', 'archived', null]
    expect(states.map((status) => slot?.state({ status }))).toEqual([
      'subscribed',
      'pending',
      'unsubscribed',
      'bounced',
      null,
      null,
      null,
    ])
    expect(slot?.put('unsubscribed')).toEqual({ status: 'unsubscribed' })
    expect(slot?.put('complained')).toEqual({ status: 'unsubscribed' })
    for (const state of ['subscribed', 'pending'] as const) expect(slot?.put(state)).toEqual({})
    const member = {
      email_address: 'Ada@example.org',
      timestamp_opt: '2026-11-22T03:00:00+00:00',
      timestamp_signup: null,
    }
    expect([slot?.key(member), slot?.optIn_ms(member)]).toEqual(['email:ada@example.org', null])
    expect(slot?.optIn_ms({ ...member, timestamp_signup: '2026-11-22T03:00:00+00:00' })).toBe(Date.UTC(2026, 10, 22, 3))
  })

  test('puts a person where a marketer looks', () => {
    const person = cellsOf({
      'name.given': 'Ada',
      'name.family': 'Lovelace',
      organisation: 'Analytical Engines',
      birthday: '1815-12-10',
      emails: [
        { value: 'ada@example.org', label: 'work' },
        { value: 'ada@example.net', label: 'home', pref: true },
      ],
      phones: [{ value: '+4930901820', label: 'work' }],
      addresses: [
        {
          value: {
            street: '12 St James Sq',
            locality: 'London',
            region: 'Greater London',
            postcode: 'SW1Y',
            country: 'UK',
          },
        },
      ],
      tags: ['vip', 'speaker'],
    })
    expect(lens.put(person, null)).toEqual({
      FNAME: 'Ada',
      LNAME: 'Lovelace',
      COMPANY: 'Analytical Engines',
      BIRTHDAY: '12/10',
      email_address: 'ada@example.net',
      PHONE: '+4930901820',
      ADDRESS: { addr1: '12 St James Sq', city: 'London', state: 'Greater London', zip: 'SW1Y', country: 'UK' },
      tags: expect.arrayContaining(['vip', 'speaker']),
    })
  })

  test('a member stays at its address for as long as the person has it, and a year that Mailchimp lacks is no reason to write (I6)', () => {
    const held = { email_address: 'ADA@example.org', BIRTHDAY: '12/10' }
    const person = cellsOf({
      birthday: '1815-12-10',
      emails: [
        { value: 'ada@example.org', label: 'home', pref: false },
        { value: 'ada@example.net', label: 'work', pref: true },
      ],
    })
    expect(lens.put(person, held)).toEqual({})
  })

  test('what is read and put back changes nothing, and a second put changes nothing (I1, I2)', () => {
    const text = fc.oneof(fc.constantFrom(null, '', ' ', 'Ada', '12/10', '02/30'), fc.string({ maxLength: 12 }))
    const parts = ['addr1', 'addr2', 'city', 'state', 'zip', 'country']
    const address = fc.option(fc.record(Object.fromEntries(parts.map((part) => [part, text])), { requiredKeys: [] }))
    const special: { readonly [name: string]: fc.Arbitrary<Json> } = {
      email_address: fc.constantFrom('a@x.org', 'A@X.org', 'b@x.org'),
      ADDRESS: address as fc.Arbitrary<Json>,
      tags: fc.option(fc.array(fc.constantFrom('vip', 'VIP', 'speaker'), { maxLength: 3 })) as fc.Arbitrary<Json>,
    }
    const record = fc.record(Object.fromEntries(lens.appFields.map((name) => [name, special[name] ?? text])), {
      requiredKeys: [],
    }) as fc.Arbitrary<JsonObject>
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
