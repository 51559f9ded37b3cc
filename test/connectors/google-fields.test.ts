import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { fieldsOf, FIELD_NAMES, type Item } from '../../connectors/google/fields.ts'
import { patchOf } from '../../connectors/google/patch.ts'
import { personSchema, type Person } from '../../connectors/google/wire.ts'
import type { Json, JsonObject } from '../../engine/core/json.ts'

const GROUPS = new Map([
  ['contactGroups/1a', 'Customers'],
  ['contactGroups/2b', 'Friends of Kith'],
])

function person(fields: JsonObject): Person {
  return personSchema.parse({ resourceName: 'people/c1', ...fields })
}

/** The person after a patch, as Google stores it: fields replaced whole. */
function patched(before: Person | null, fields: JsonObject): Person {
  const patch = patchOf(before, fields, GROUPS)
  return person({ ...(before as JsonObject | null), ...(Object.fromEntries(patch) as JsonObject) })
}

function said(one: Person): JsonObject {
  return fieldsOf(one, FIELD_NAMES, GROUPS)
}

function written(before: Person | null, fields: JsonObject, field: string): readonly Item[] | undefined {
  return new Map<string, readonly Item[]>(patchOf(before, fields, GROUPS)).get(field)
}

const FULL = person({
  names: [
    {
      givenName: 'Ada',
      familyName: 'Lovelace',
      unstructuredName: 'Ada Lovelace',
      displayName: 'Ada Lovelace',
      displayNameLastFirst: 'Lovelace, Ada',
      phoneticGivenName: 'Ay-da',
      metadata: { primary: true, sourcePrimary: true, source: { type: 'CONTACT', id: '1' } },
    },
  ],
  nicknames: [
    { value: 'Byron', type: 'MAIDEN_NAME' },
    { value: 'Countess', type: 'DEFAULT' },
  ],
  emailAddresses: [
    { value: 'ada@example.org', type: 'work', formattedType: 'Work', displayName: 'Ada (office)' },
    {
      value: 'ada@home.example',
      type: 'home',
      formattedType: 'Home',
      metadata: { sourcePrimary: true, source: { type: 'CONTACT', id: '1' } },
    },
  ],
  phoneNumbers: [{ value: '+49 30 123', canonicalForm: '+4930123', type: 'workFax', formattedType: 'Work Fax' }],
  addresses: [
    {
      streetAddress: '1 Main St',
      city: 'Köln',
      country: 'Germany',
      countryCode: 'DE',
      formattedValue: '1 Main St\nKöln\nGermany',
      type: 'home',
    },
  ],
  organizations: [
    { name: 'Old Ltd', title: 'Clerk' },
    { name: 'Acme', title: 'CTO', current: true, jobDescription: 'engines', startDate: { year: 2020 } },
  ],
  birthdays: [{ date: { month: 4, day: 12 }, text: '4/12' }],
  urls: [{ value: 'https://ada.example', type: 'homePage' }],
  biographies: [{ value: '<b>first</b>', contentType: 'TEXT_HTML' }],
  memberships: [
    { contactGroupMembership: { contactGroupId: 'myContacts', contactGroupResourceName: 'contactGroups/myContacts' } },
    { contactGroupMembership: { contactGroupId: 'starred', contactGroupResourceName: 'contactGroups/starred' } },
    { contactGroupMembership: { contactGroupId: '1a', contactGroupResourceName: 'contactGroups/1a' } },
  ],
  userDefined: [
    { key: 'Tier', value: 'Gold' },
    { key: 'Shoe', value: '38' },
    { key: 'Tier', value: 'Silver' },
  ],
  externalIds: [{ type: 'customer', value: 'K-1' }],
})

describe('what a person says', () => {
  test('every field, in words that people use', () => {
    expect(said(FULL)).toEqual({
      names: { givenName: 'Ada', familyName: 'Lovelace' },
      nicknames: 'Countess',
      emailAddresses: [
        { value: 'ada@example.org', label: 'work' },
        { value: 'ada@home.example', label: 'home' },
      ],
      phoneNumbers: [{ value: '+49 30 123', label: 'work fax' }],
      addresses: [{ value: { street: '1 Main St', locality: 'Köln', country: 'Germany' }, label: 'home' }],
      organizations: { name: 'Acme', title: 'CTO' },
      birthdays: '--04-12',
      urls: [{ value: 'https://ada.example', label: 'home page' }],
      biographies: '<b>first</b>',
      memberships: ['Customers'],
      userDefined: { Tier: 'Gold', Shoe: '38' },
      externalIds: { customer: 'K-1' },
    })
  })

  test("a linked profile's fields are not the contact's", () => {
    const profile = { metadata: { source: { type: 'PROFILE', id: '9' } } }
    const linked = person({ names: [{ givenName: 'Someone', ...profile }, { givenName: 'Ada' }] })
    expect(said(linked)['names']).toEqual({ givenName: 'Ada' })
  })

  test.each([
    [{ date: { year: 1985, month: 4, day: 12 } }, '1985-04-12'],
    [{ date: { month: 4, day: 12 } }, '--04-12'],
    [{ date: { year: 0, month: 12, day: 1 } }, '--12-01'],
    [{ date: { year: 1985 } }, '1985'],
    [{ date: { year: 1985, month: 4 } }, '1985-04'],
    [{ text: 'in spring' }, 'in spring'],
  ])('the birthday %j is read as %s', (birthday: JsonObject, text) => {
    expect(said(person({ birthdays: [birthday] }))['birthdays']).toBe(text)
  })

  test('an address of one text stands as its street', () => {
    const whole = person({ addresses: [{ formattedValue: '1 Main St\nKöln' }] })
    expect(said(whole)['addresses']).toEqual([{ value: { street: '1 Main St\nKöln' }, label: null }])
  })
})

describe('what a change writes', () => {
  test('saying what is so already writes nothing (I2)', () => {
    expect([...patchOf(FULL, said(FULL), GROUPS)]).toEqual([])
  })

  test('the whole name goes where a part of it changes, the phonetic ones stay', () => {
    expect(written(FULL, { names: { givenName: 'Augusta', familyName: 'Lovelace' } }, 'names')).toEqual([
      { givenName: 'Augusta', familyName: 'Lovelace', phoneticGivenName: 'Ay-da', metadata: { sourcePrimary: true } },
    ])
  })

  test('the other nickname and the other company stay; so does what the present one has besides', () => {
    expect(written(FULL, { nicknames: null }, 'nicknames')).toEqual([{ value: 'Byron', type: 'MAIDEN_NAME' }])
    expect(written(FULL, { organizations: { name: 'Acme', title: '' } }, 'organizations')).toEqual([
      { name: 'Old Ltd', title: 'Clerk' },
      { name: 'Acme', current: true, jobDescription: 'engines', startDate: { year: 2020 } },
    ])
  })

  test('a corrected e-mail keeps its place, its label and its rank; the name beside it goes', () => {
    const fields = {
      emailAddresses: [
        { value: 'ada@new.example', label: 'work' },
        { value: 'ada@home.example', label: 'home' },
      ],
    }
    expect(written(FULL, fields, 'emailAddresses')).toEqual([
      { value: 'ada@new.example', type: 'work' },
      { value: 'ada@home.example', type: 'home', metadata: { sourcePrimary: true } },
    ])
  })

  test('an address that moves within a country keeps the code of it, and loses its old whole text', () => {
    const moved = (country: string): JsonObject => ({
      addresses: [{ value: { street: '2 Side St', locality: 'Köln', country }, label: 'home' }],
    })
    const parts = { streetAddress: '2 Side St', city: 'Köln', type: 'home' }
    expect(written(FULL, moved('Germany'), 'addresses')).toEqual([{ ...parts, country: 'Germany', countryCode: 'DE' }])
    expect(written(FULL, moved('France'), 'addresses')).toEqual([{ ...parts, country: 'France' }])
  })

  test('a birthday without its year is a date without one', () => {
    expect(written(null, { birthdays: '--02-29' }, 'birthdays')).toEqual([{ date: { year: 0, month: 2, day: 29 } }])
    expect(written(FULL, { birthdays: null }, 'birthdays')).toEqual([])
  })

  test('labels change, Starred and My contacts stay; no one is left without any group', () => {
    const groups = (fields: JsonObject, before: Person | null): unknown =>
      written(before, fields, 'memberships')?.map((item) => Object.values(item['contactGroupMembership'] as object)[0])
    expect(groups({ memberships: ['Friends of Kith'] }, FULL)).toEqual([
      'contactGroups/myContacts',
      'contactGroups/starred',
      'contactGroups/2b',
    ])
    expect(groups({ memberships: null }, FULL)).toEqual(['contactGroups/myContacts', 'contactGroups/starred'])
    const only = person({ memberships: [{ contactGroupMembership: { contactGroupResourceName: 'contactGroups/1a' } }] })
    expect(groups({ memberships: null }, only)).toEqual(['contactGroups/myContacts'])
    expect(groups({ memberships: ['customers'] }, null)).toEqual(['contactGroups/myContacts', 'contactGroups/1a'])
  })

  test('a custom field is changed beside the others; a blanked one goes, with its doubles', () => {
    expect(written(FULL, { userDefined: { Tier: '', Score: 7 } }, 'userDefined')).toEqual([
      { key: 'Shoe', value: '38' },
      { key: 'Score', value: '7' },
    ])
  })

  test.each([
    [{ birthdays: 'in spring' }, 'birthdays'],
    [{ birthdays: '1985-13-01' }, 'birthdays'],
    [{ emailAddresses: 'ada@example.org' }, 'emailAddresses'],
    [{ names: 'Ada Lovelace' }, 'names'],
    [{ names: { display: 'Ada' } }, 'names'],
    [{ addresses: [{ value: '1 Main St' }] }, 'addresses'],
    [{ memberships: ['Nowhere'] }, 'memberships'],
    [{ nonsense: 'x' }, 'nonsense'],
  ])('%j is refused by the name of the field, without its value (I15)', (fields: JsonObject, field) => {
    expect(() => patchOf(null, fields, GROUPS)).toThrow(field)
    expect(() => patchOf(null, fields, GROUPS)).not.toThrow(/spring|Ada|Main|Nowhere|1985/)
  })
})

describe('laws of changes', () => {
  const text = fc.oneof(
    fc.constantFrom('Ada', 'Köln', ' x ', '0'),
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }),
  )
  const solid = text.filter((value) => value.trim() !== '')
  const label = fc.constantFrom('work', 'home', 'work fax', 'mobile', 'Assistant', null)
  const parts = (...names: string[]): fc.Arbitrary<Json> =>
    fc.oneof(
      fc.constant(null),
      fc.record(Object.fromEntries(names.map((name) => [name, solid])), { requiredKeys: [names[0] as string] }),
    ) as fc.Arbitrary<Json>
  const list = (value: fc.Arbitrary<Json>): fc.Arbitrary<Json> =>
    fc
      .uniqueArray(fc.record({ value, label }), { maxLength: 4, selector: (item) => JSON.stringify(item) })
      .map((items) => (items.length === 0 ? null : items)) as fc.Arbitrary<Json>
  const wanted = fc.record(
    {
      names: parts('givenName', 'familyName', 'honorificPrefix'),
      nicknames: fc.oneof(fc.constant(null), solid) as fc.Arbitrary<Json>,
      emailAddresses: list(solid as fc.Arbitrary<Json>),
      phoneNumbers: list(solid as fc.Arbitrary<Json>),
      addresses: list(parts('street', 'locality', 'country').filter((value) => value !== null)),
      organizations: parts('name', 'department', 'title'),
      birthdays: fc.constantFrom(null, '1985-04-12', '--12-31', '2000-02-29'),
      urls: list(fc.constantFrom('https://x.example', 'x.example/?a=1')),
      biographies: fc.oneof(fc.constant(null), solid) as fc.Arbitrary<Json>,
      memberships: fc.constantFrom(null, ['Customers'], ['Customers', 'Friends of Kith']),
    },
    { requiredKeys: [] },
  ) as fc.Arbitrary<JsonObject>
  /** Parts that are left out of an object stay as they are; for the laws each object names all of its parts. */
  const whole = (fields: JsonObject): JsonObject => ({
    ...fields,
    ...(fields['names']
      ? { names: { givenName: '', familyName: '', honorificPrefix: '', ...(fields['names'] as JsonObject) } }
      : {}),
    ...(fields['organizations']
      ? { organizations: { name: '', department: '', title: '', ...(fields['organizations'] as JsonObject) } }
      : {}),
  })
  const before = fc.oneof(
    fc.constant(null),
    fc.constant(FULL),
    wanted.map((fields) => patched(null, fields)),
  )

  test('after a change the person says what was wanted, and all else as before', () => {
    fc.assert(
      fc.property(before, wanted, (one, fields) => {
        const after = said(patched(one, whole(fields)))
        expect(after).toEqual({ ...said(one ?? person({})), ...fields })
      }),
    )
  })

  test('the same change again writes nothing (I1)', () => {
    fc.assert(
      fc.property(before, wanted, (one, fields) => {
        expect([...patchOf(patched(one, whole(fields)), whole(fields), GROUPS)]).toEqual([])
      }),
    )
  })
})
