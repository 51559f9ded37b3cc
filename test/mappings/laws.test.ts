import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { fieldOf, type Cells, type FieldDef } from '../../engine/core/catalogue.ts'
import { isBlank, type Json, type JsonObject } from '../../engine/core/json.ts'
import type { AppField } from '../../engine/core/ports/connector.ts'
import type { Lens } from '../../engine/core/ports/lens.ts'
import { compileLens } from '../../mappings/compile.ts'
import { appsWithDefaultMapping, loadDefaultMapping } from '../../mappings/defaults.ts'
import { agree } from '../../mappings/probe.ts'
import { mappingSchema } from '../../mappings/schema.ts'
import { appFields, catalogue, cellsOf } from './support.ts'

const RUNS = 150

// Few words, so that values meet: the same in two places, the same under equality, elements of one set in both sides.
const word = fc.oneof(
  fc.constantFrom(
    'Ada',
    'ada',
    'King',
    'Lovelace',
    'van der Berg',
    'Dr.',
    'Müller',
    'Mu\u0308ller',
    '山田',
    'Acme; Sons',
    ' x  y ',
  ),
  fc.string({ unit: 'grapheme', maxLength: 12 }),
)
const email = fc.constantFrom('a@x.org', 'A@X.org', 'b@x.org', 'c@x.org', 'd@x.org', 'e@x.org', 'ü@x.org')
const phone = fc.constantFrom(
  '+49 30 901820',
  '030 901820',
  '(030) 90-1820',
  '+12125552368',
  '112',
  '+49 171 1234567 ext. 5',
)
const part = fc.oneof(fc.constantFrom('', '1 Main St', 'Köln', '50667'), word)
const address = fc.record(
  { pobox: part, extended: part, street: part, locality: part, region: part, postcode: part, country: part },
  { requiredKeys: [] },
)
const date = fc.constantFrom('1985-04-12', '--12-31', '2000-02-29', '1604-01-01')
const valueOf: { readonly [type in FieldDef['type']]: fc.Arbitrary<Json> } = {
  text: word,
  multiline: word,
  email,
  phone,
  address,
  date,
  url: fc.constantFrom('https://x.org', 'https://x.org/', 'x.org/?a=1'),
  tag: word,
  number: fc.oneof(fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true })),
  boolean: fc.boolean(),
}
const label = fc.constantFrom('work', 'home', 'cell', 'Other', null)

function elementOf(field: FieldDef): fc.Arbitrary<JsonObject> {
  return fc.record({ value: valueOf[field.type], label, pref: fc.boolean() }, { requiredKeys: ['value'] })
}

/** A person's cells: any field may be blank, any set may have more elements than an app has places for. */
const person: fc.Arbitrary<Cells> = fc
  .record(
    Object.fromEntries(
      [...catalogue.fields].map((field) => [
        field.name,
        field.set ? fc.array(elementOf(field) as fc.Arbitrary<Json>, { maxLength: 8 }) : valueOf[field.type],
      ]),
    ),
    { requiredKeys: [] },
  )
  .map((values) => {
    const cells = cellsOf(values as JsonObject)
    // A person holds no blanks, and no element without a normal form.
    return Object.fromEntries(
      Object.entries(cells).filter(([cell, value]) => {
        const field = catalogue.field(fieldOf(cell))
        return field.set ? cell.length > field.name.length + 1 : !isBlank(value)
      }),
    )
  })

const text = fc.oneof(
  word,
  email,
  phone,
  date,
  fc.constantFrom(
    null,
    '',
    '  ',
    'a;b; c',
    'x ::: * y',
    '12.04.1985',
    '03/04/1985',
    '0/0/00',
    'Lovelace, Ada',
    'Jr.',
    ', ,',
  ),
)
const elements = (value: fc.Arbitrary<Json>): fc.Arbitrary<Json> =>
  fc.oneof(
    fc.constant(null),
    fc.array(
      fc.oneof(
        value,
        fc.record({ value, label: fc.oneof(label, text), pref: fc.boolean(), type: text }, { requiredKeys: ['value'] }),
      ),
      { maxLength: 4 },
    ),
  ) as fc.Arbitrary<Json>
const VCARD: { readonly [name: string]: fc.Arbitrary<Json> } = {
  FN: text,
  N: fc.oneof(
    fc.constant(null),
    fc.record(
      { family: text, given: text, additional: text, prefix: text, suffix: text, phonetic: text },
      { requiredKeys: [] },
    ),
  ) as fc.Arbitrary<Json>,
  ORG: fc.oneof(text, fc.array(text, { maxLength: 4 })) as fc.Arbitrary<Json>,
  EMAIL: elements(email),
  TEL: elements(phone),
  ADR: elements(address),
  URL: elements(valueOf.url),
  CATEGORIES: fc.oneof(fc.constant(null), fc.array(text, { maxLength: 4 })) as fc.Arbitrary<Json>,
}
const LISTS: { readonly [name: string]: fc.Arbitrary<Json> } = {
  emails: elements(email),
  phones: elements(phone),
  addresses: elements(address),
  urls: elements(valueOf.url),
  tags: elements(text),
}

const parts = (...names: string[]): fc.Arbitrary<Json> =>
  fc.oneof(
    fc.constant(null),
    fc.record(Object.fromEntries(names.map((name) => [name, text])), { requiredKeys: [] }),
  ) as fc.Arbitrary<Json>
const GOOGLE: { readonly [name: string]: fc.Arbitrary<Json> } = {
  names: parts('givenName', 'familyName', 'middleName', 'honorificPrefix', 'honorificSuffix'),
  organizations: parts('name', 'department', 'title'),
  emailAddresses: elements(email),
  phoneNumbers: elements(phone),
  addresses: elements(address),
  urls: elements(valueOf.url),
  memberships: fc.oneof(fc.constant(null), fc.array(text, { maxLength: 4 })) as fc.Arbitrary<Json>,
}

const HUBSPOT: { readonly [name: string]: fc.Arbitrary<Json> } = {
  'email.all': fc.oneof(fc.constant(null), fc.array(email, { maxLength: 4 })) as fc.Arbitrary<Json>,
}

const MAILCHIMP: { readonly [name: string]: fc.Arbitrary<Json> } = {
  ADDRESS: parts('addr1', 'addr2', 'city', 'state', 'zip', 'country'),
  tags: fc.oneof(fc.constant(null), fc.array(text, { maxLength: 4 })) as fc.Arbitrary<Json>,
}

interface Account {
  readonly name: string
  readonly app: string
  readonly fields: readonly AppField[]
  readonly own?: unknown
}

const headers = (line: string): AppField[] => appFields(...line.split('|'))

const ACCOUNTS: readonly Account[] = [
  ...['carddav', 'vdir'].map((app) => ({
    name: `${app} by default`,
    app,
    fields: headers('FN|N|NICKNAME|TITLE|ROLE|NOTE|UID|ORG|BDAY|EMAIL|TEL|URL|ADR|CATEGORIES'),
  })),
  {
    name: 'google by default',
    app: 'google',
    fields: headers(
      'names|nicknames|emailAddresses|phoneNumbers|addresses|organizations|birthdays|urls|biographies|memberships|userDefined',
    ),
  },
  {
    name: 'hubspot by default',
    app: 'hubspot',
    fields: headers(
      'salutation|firstname|lastname|company|jobtitle|date_of_birth|email.all|phone|mobilephone|address|city|state|zip|country|website',
    ),
  },
  {
    name: 'salesforce by default',
    app: 'salesforce',
    fields: headers(
      'Salutation|FirstName|MiddleName|LastName|Suffix|Company|Department|Title|Birthdate|Email|Phone|MobilePhone|HomePhone|' +
        'OtherPhone|MailingStreet|MailingCity|MailingState|MailingPostalCode|MailingCountry|OtherStreet|OtherCity|OtherState|' +
        'OtherPostalCode|OtherCountry|HasOptedOutOfEmail|EmailBouncedDate',
    ),
  },
  {
    name: 'mailchimp by default',
    app: 'mailchimp',
    fields: headers('email_address|FNAME|LNAME|ADDRESS|PHONE|BIRTHDAY|COMPANY|tags'),
  },
  {
    name: 'zendesk by default',
    app: 'zendesk',
    fields: headers('name|emails|phones|notes|organization|external_id|tags'),
  },
  {
    name: 'memory by default',
    app: 'memory',
    fields: headers('given|family|title|organisation|note|birthday|externalId|emails|phones|tags|addresses|display'),
  },
  {
    name: 'a Google sheet',
    app: 'csv',
    fields: headers(
      'First Name|Middle Name|Last Name|Name Prefix|Name Suffix|Nickname|Organization Name|Organization Title|' +
        'Organization Department|Birthday|Notes|Labels|E-mail 1 - Label|E-mail 1 - Value|E-mail 2 - Label|' +
        'E-mail 2 - Value|Phone 1 - Label|Phone 1 - Value|Phone 2 - Label|Phone 2 - Value|Address 1 - Label|' +
        'Address 1 - Street|Address 1 - City|Address 1 - PO Box|Address 1 - Region|Address 1 - Postal Code|' +
        'Address 1 - Country|Address 1 - Extended Address|Address 2 - Label|Address 2 - Street|Address 2 - City|Website 1 - Value',
    ),
  },
  {
    name: 'an Outlook sheet',
    app: 'csv',
    fields: headers(
      'Title|First Name|Middle Name|Last Name|Suffix|Company|Department|Job Title|Business Street|Business City|' +
        'Business Postal Code|Home Street|Home City|Business Phone|Home Phone|Mobile Phone|E-mail Address|E-mail 2 Address|' +
        'Birthday|Categories|Notes|Web Page',
    ),
  },
  { name: 'a sheet of one name', app: 'csv', fields: headers('Name|E-Mail|Phone|Tags|Address') },
  { name: 'a sheet of names and parts', app: 'csv', fields: headers('Name|First Name|Last Name|Email') },
  {
    name: 'a mapping with every transform',
    app: 'own',
    fields: headers('A|B|C|D|E|F|G|H|I|J|K|L|M'),
    own: {
      app: 'own',
      fields: {
        title: { app: 'A', transform: 'upper' },
        nickname: { app: 'B', transform: { truncate: 5 } },
        organisation: { app: 'C', transform: { map: { 1: 'Acme', 2: 'Other', Acme: 'Ada' } }, lossy: 'a chain' },
        birthday: { app: 'D', transform: { date: 'DD/MM/YYYY' } },
        'custom.score': 'E',
        'custom.vip': { app: 'F', transform: { boolean: ['Ja', 'Nein'] } },
        emails: { app: 'G', transform: { split: [',', '|'] }, each: 'lower' },
        phones: { slots: ['H', 'I.deep.part'], each: 'phone' },
        tags: { app: 'J.list', transform: 'list', each: 'upper' },
        name: 'K',
        department: 'L.0.x',
        note: { app: 'M', direction: 'in' },
      },
    },
  },
]

function lensFor({ app, fields, own }: Account): Lens {
  const { lens, problems } = compileLens(
    own === undefined ? loadDefaultMapping(app) : mappingSchema.parse(own),
    catalogue,
    fields,
  )
  expect(problems).toEqual([])
  return lens
}

/** Records of the account, with a field that no one maps and fields that are absent. */
function recordOf(lens: Lens, account: Account): fc.Arbitrary<JsonObject> {
  const shapes =
    { memory: LISTS, zendesk: LISTS, csv: {}, salesforce: {}, hubspot: HUBSPOT, google: GOOGLE, mailchimp: MAILCHIMP }[
      account.app
    ] ?? VCARD
  const names = [...new Set([...lens.appFields, ...account.fields.map(({ name }) => name)])]
  return fc.record(
    Object.fromEntries([...names.map((name) => [name, shapes[name] ?? text]), ['X-OTHER', text]]) as {
      [name: string]: fc.Arbitrary<Json>
    },
    { requiredKeys: [] },
  ) as fc.Arbitrary<JsonObject>
}

test('every app with a default mapping is put to the laws', () => {
  expect(appsWithDefaultMapping()).toEqual([
    'carddav',
    'csv',
    'google',
    'hubspot',
    'mailchimp',
    'memory',
    'salesforce',
    'vdir',
    'zendesk',
  ])
  expect(new Set(ACCOUNTS.filter(({ own }) => own === undefined).map(({ app }) => app))).toEqual(
    new Set(appsWithDefaultMapping()),
  )
})

describe.each(ACCOUNTS.map((account) => [account.name, account] as const))('%s', (_, account) => {
  const lens = lensFor(account)
  const record = recordOf(lens, account)

  test('putting back what was read changes nothing (I2)', () => {
    fc.assert(
      fc.property(record, (a) => {
        expect(lens.put(lens.get(a), a)).toEqual({})
      }),
      { numRuns: RUNS },
    )
  })

  test('after a put the app says what was put, in every field that is not lossy', () => {
    fc.assert(
      fc.property(person, fc.option(record), (x, a) => {
        const after = lens.get({ ...a, ...lens.put(x, a) })
        const exact = (cells: Cells): Cells =>
          Object.fromEntries(
            Object.entries(cells).filter(([cell]) => {
              const rule = lens.fields.get(fieldOf(cell))
              return rule !== undefined && rule.lossy === undefined && rule.direction !== 'in'
            }),
          )
        const agreed = agree(catalogue, exact(after), exact(x))
        expect(agreed ? exact(x) : exact(after)).toEqual(exact(x))
        expect(agreed).toBe(true)
      }),
      { numRuns: RUNS },
    )
  })

  test('a second put changes nothing: round trips settle in one step (I1)', () => {
    fc.assert(
      fc.property(person, fc.option(record), (x, a) => {
        const after = { ...a, ...lens.put(x, a) }
        expect(lens.put(x, after)).toEqual({})
      }),
      { numRuns: RUNS },
    )
  })

  test('a put touches mapped app fields only, and says nothing that is so already', () => {
    fc.assert(
      fc.property(person, fc.option(record), (x, a) => {
        for (const [name, value] of Object.entries(lens.put(x, a))) {
          expect(lens.appFields).toContain(name)
          expect(value).not.toEqual(a?.[name])
        }
      }),
      { numRuns: RUNS },
    )
  })

  test('what is put and read is JSON: it survives a store', () => {
    fc.assert(
      fc.property(person, record, (x, a) => {
        for (const made of [lens.put(x, a), lens.get(a)]) expect(JSON.parse(JSON.stringify(made))).toEqual(made)
      }),
      { numRuns: 50 },
    )
  })
})
