import { describe, expect, test } from '@jest/globals'
import { mappingFor } from '../../mappings/defaults.ts'
import { compileLens } from '../../mappings/compile.ts'
import { mappingSchema } from '../../mappings/schema.ts'
import { appFields, catalogue, cellsOf, compile, lensOf } from './support.ts'

const card = compileLens(mappingFor('vdir'), catalogue, appFields('FN', 'N', 'EMAIL', 'TEL', 'ORG', 'CATEGORIES')).lens

describe('one value', () => {
  test('the spelling of the app stays where it says the same', () => {
    const lens = lensOf(
      { fields: { title: 'T', phones: { slots: ['P'] }, emails: { app: 'E', transform: { split: ';' } } } },
      'T',
      'P',
      'E',
    )
    const record = { T: ' Chief  Officer', P: '(030) 90-1820', E: 'ADA@X.org ;b@x.org' }
    const same = cellsOf({ title: 'Chief Officer', phones: ['+49 30 901820'], emails: ['b@x.org', 'ada@x.org'] })
    expect(lens.put(same, record)).toEqual({})
  })

  test('a field that the person lacks is blanked, and one that is blank already is left alone', () => {
    const lens = lensOf({ fields: { title: 'T', nickname: 'N', note: 'X' } }, 'T', 'N', 'X')
    expect(lens.put({}, { T: 'CEO', N: '', X: null })).toEqual({ T: null })
  })

  test('a part of an object or list is written, and the others stay', () => {
    const after = card.put(cellsOf({ 'name.given': 'Ada', 'name.display': 'A', department: 'R&D' }), {
      FN: 'A',
      N: { given: 'Eda', additional: 'K', 'x-phonetic': 'eda' },
      ORG: ['Acme', '', 'Lab'],
    })
    expect(after).toEqual({ N: { given: 'Ada', additional: '', 'x-phonetic': 'eda' }, ORG: ['', 'R&D', 'Lab'] })
  })

  test('what may only be read is never written, and what may only be written is still reported', () => {
    const lens = lensOf(
      { fields: { title: { app: 'T', direction: 'in' }, nickname: { app: 'N', direction: 'out', blank: 'erase' } } },
      'T',
      'N',
    )
    expect(lens.put(cellsOf({ title: 'CEO', nickname: 'Ada' }), { T: 'x', N: 'y' })).toEqual({ N: 'Ada' })
    expect(lens.get({ T: 'x', N: 'y' })).toEqual({ title: 'x', nickname: 'y' })
    expect(lens.fields.get('title')).toEqual({ direction: 'in', blank: 'keep' })
    expect(lens.fields.get('nickname')).toEqual({ direction: 'out', blank: 'erase' })
  })

  test('a text longer than the app keeps is cut once, and stays so', () => {
    const lens = lensOf({ fields: { title: 'T' } }, { name: 'T', type: 'text', writable: true, length_max: 3 })
    expect(lens.put({ title: 'Chief' }, null)).toEqual({ T: 'Chi' })
    expect(lens.put({ title: 'Chief' }, { T: 'Chi' })).toEqual({})
    expect(lens.fields.get('title')?.lossy).toBe('the app keeps at most 3 characters')
  })

  test('what cannot be read stays alive as it was typed, and is not overwritten by nothing', () => {
    const lens = lensOf({ fields: { birthday: 'B' } }, 'B')
    expect(lens.get({ B: '03/04/1985' })).toEqual({ birthday: '03/04/1985' })
    expect(lens.put({ birthday: 'in spring' }, { B: '1985-04-12' })).toEqual({})
  })

  test('a field is known where all its app fields are', () => {
    const lens = lensOf({ fields: { phones: { slots: ['A', 'B'] }, title: 'T.x' } }, 'A', 'B', 'T')
    expect(lens.knows('phones', { A: null, B: '1' })).toBe(true)
    expect(lens.knows('phones', { A: '1' })).toBe(false)
    expect(lens.knows('title', { T: null })).toBe(true)
    expect(lens.knows('note', { T: null })).toBe(false)
    expect(lens.sources.get('phones')).toEqual(['A', 'B'])
    expect(lens.appFields).toEqual(['A', 'B', 'T'])
  })
})

describe('lists', () => {
  test('elements keep their order, their spelling and what else they hold; new ones come last', () => {
    const record = {
      FN: 'Ada',
      EMAIL: [
        { value: 'B@x.org', label: 'work', pref: true, group: 'item1' },
        { value: 'gone@x.org', label: null, pref: false },
        { value: 'a@x.org', label: 'home', pref: false },
      ],
    }
    const cells = cellsOf({
      'name.display': 'Ada',
      emails: [
        { value: 'a@x.org', label: 'work' },
        { value: 'b@x.org' },
        { value: 'd@x.org' },
        { value: 'c@x.org', pref: true },
      ],
    })
    expect(card.put(cells, record)).toEqual({
      EMAIL: [
        { value: 'B@x.org', label: 'work', pref: true, group: 'item1' },
        { value: 'a@x.org', label: 'work', pref: false },
        { value: 'c@x.org', pref: true },
        { value: 'd@x.org' },
      ],
    })
  })

  test('two elements that mean the same are one to us, and both are left to the app', () => {
    const record = {
      FN: 'a@x.org',
      EMAIL: [
        { value: 'a@x.org', label: 'home' },
        { value: 'A@x.org', label: 'work' },
      ],
    }
    expect(card.get(record)).toEqual({ 'emails:a@x.org': { value: 'a@x.org', label: 'home' } })
    expect(card.put(card.get(record), record)).toEqual({})
  })

  test('one text goes on with the separator that it uses, and leaves out what holds it', () => {
    const lens = lensOf({ fields: { tags: { app: 'T', transform: { split: [';', ' ::: '] } } } }, 'T')
    expect(lens.put(cellsOf({ tags: ['a', 'b', 'c;d'] }), { T: 'a;x' })).toEqual({ T: 'a;b' })
    expect(lens.put(cellsOf({ tags: ['a', 'b'] }), { T: 'x ::: a' })).toEqual({ T: 'a ::: b' })
    expect(lens.put(cellsOf({ tags: ['a', 'b', 'c'] }), { T: 'b ::: a' })).toEqual({ T: 'b ::: a ::: c' })
    expect(lens.put({}, { T: 'a;b' })).toEqual({ T: null })
  })
})

describe('places for one value each', () => {
  const lens = lensOf(
    { fields: { phones: { slots: [{ app: 'Work', label: 'work' }, { app: 'Home', label: 'home' }, 'Other'] } } },
    'Work',
    'Home',
    'Other',
  )

  test('an element stays in its place for as long as the person has it', () => {
    const cells = cellsOf({
      phones: [
        { value: '110', label: 'work', pref: true },
        { value: '112', label: 'home' },
      ],
    })
    expect(lens.put(cells, { Work: null, Home: '110', Other: '112' })).toEqual({})
    expect(lens.put(cells, { Work: null, Home: '110', Other: '113' })).toEqual({ Other: '112' })
  })

  test('places that are free are filled by those with their label, then in order; what finds no place is left out', () => {
    const cells = cellsOf({ phones: ['110', { value: '112', label: 'home' }, { value: '113', label: 'cell' }, '114'] })
    expect(lens.put(cells, null)).toEqual({ Work: '113', Home: '112', Other: '110' })
    expect(lens.fields.get('phones')?.lossy).toBe('the app has 3 places for it')
  })

  test('a place may have its label in an app field of its own', () => {
    const sheet = lensOf({ fields: { emails: { slots: [{ app: 'E', labelFrom: 'L' }] } } }, 'E', 'L')
    expect(sheet.get({ E: 'a@x.org', L: '* Work' })).toEqual({ 'emails:a@x.org': { value: 'a@x.org', label: 'work' } })
    const home = cellsOf({ emails: [{ value: 'a@x.org', label: 'home' }] })
    expect(sheet.put(home, { E: 'a@x.org', L: '* Work' })).toEqual({ L: 'home' })
    expect(sheet.put(home, { E: 'A@x.org', L: 'Home' })).toEqual({})
    expect(sheet.put(cellsOf({ emails: ['a@x.org'] }), { E: 'a@x.org', L: 'Work' })).toEqual({})
    expect(sheet.put({}, { E: 'a@x.org', L: 'Work' })).toEqual({ E: null, L: null })
  })

  test('an address in columns keeps to the columns there are', () => {
    const sheet = lensOf(
      { fields: { addresses: { slots: [{ app: { street: 'Street', locality: 'City' } }] } } },
      'Street',
      'City',
    )
    const cells = cellsOf({ addresses: [{ value: { street: 'Main 1', locality: 'Köln', country: 'DE' } }] })
    expect(sheet.put(cells, null)).toEqual({ Street: 'Main 1', City: 'Köln' })
    expect(sheet.put(cells, { Street: 'Main 1', City: 'Köln' })).toEqual({})
    expect(sheet.put({}, { Street: 'Main 1', City: 'Köln' })).toEqual({ Street: null, City: null })
  })
})

describe('FN', () => {
  test('says something only where it is not what the name spells', () => {
    expect(card.get({ FN: 'Ada Lovelace', N: { given: 'Ada', family: 'Lovelace' } })['name.display']).toBeUndefined()
    expect(card.get({ FN: 'Mum', N: { given: 'Ada', family: 'Lovelace' } })['name.display']).toBe('Mum')
    expect(card.get({ FN: 'Acme', ORG: ['Acme'] })['name.display']).toBeUndefined()
    expect(card.get({ FN: 'a@x.org', EMAIL: [{ value: 'a@x.org' }] })['name.display']).toBeUndefined()
  })

  test.each([
    ['the display name', { 'name.display': 'Mum', 'name.given': 'Ada' }, 'Mum'],
    ['the name in its parts', { 'name.given': 'Ada', 'name.family': 'King', organisation: 'Acme' }, 'Ada King'],
    ['the organisation', { organisation: 'Acme', emails: ['a@x.org'] }, 'Acme'],
    ['the first e-mail', { emails: ['b@x.org', 'a@x.org'] }, 'a@x.org'],
    ['a number', { phones: ['112'] }, '112'],
  ])('is %s', (_, values, name) => {
    expect(card.put(cellsOf(values), null)['FN']).toBe(name)
  })

  test('is put anew when the name changes, and keeps its spelling when it does not', () => {
    const record = { FN: 'Byron, Ada', N: { given: 'Ada', family: 'Byron' } }
    expect(card.put({ 'name.given': 'Ada', 'name.family': 'Byron' }, record)).toEqual({})
    expect(card.put({ 'name.given': 'Ada', 'name.family': 'King' }, record)).toEqual({
      FN: 'Ada King',
      N: { given: 'Ada', family: 'King' },
    })
    expect(card.put({ 'name.given': 'Ada', 'name.family': 'King', 'name.display': 'Mum' }, record)['FN']).toBe('Mum')
  })

  test('is never taken away: a card must have one', () => {
    expect(card.put({}, { FN: 'Bob' })).toEqual({})
  })
})

describe('the whole name in one text', () => {
  const sheet = lensOf({ fields: { name: 'Name' } }, 'Name')

  test('is read into its parts and written from them', () => {
    expect(sheet.get({ Name: 'Lovelace, Ada' })).toEqual({ 'name.given': 'Ada', 'name.family': 'Lovelace' })
    expect(sheet.put({ 'name.given': 'Ada', 'name.middle': 'King', 'name.family': 'Lovelace' }, null)).toEqual({
      Name: 'Ada King Lovelace',
    })
    expect(sheet.put({ 'name.display': 'Mum' }, null)).toEqual({ Name: 'Mum' })
  })

  test('keeps its spelling where it says the same', () => {
    expect(sheet.put({ 'name.given': 'Ada', 'name.family': 'Lovelace' }, { Name: 'Lovelace, Ada' })).toEqual({})
  })
})

describe('a mapping of the user beside the default one', () => {
  const own = mappingSchema.parse({ fields: { 'custom.tier': 'Tier', note: false, title: { app: 'Rank' } } })

  test('takes the place of the default lines it names; the others hold', () => {
    const { lens, problems } = compileLens(
      mappingFor('csv', own),
      catalogue,
      appFields('First Name', 'Tier', 'Notes', 'Rank', 'Title'),
    )
    expect(problems).toEqual([])
    expect(Object.fromEntries(lens.sources)).toEqual({
      'custom.tier': ['Tier'],
      title: ['Rank'],
      'name.given': ['First Name'],
      'name.prefix': ['Title'],
    })
  })

  test('stands alone where it says so, and its own lines must be there', () => {
    const alone = mappingFor('csv', { ...own, defaults: false })
    const { lens, problems } = compileLens(alone, catalogue, appFields('First Name', 'Tier'))
    expect([...lens.fields.keys()]).toEqual(['custom.tier'])
    expect(problems.map(({ path, message }) => ({ path, message }))).toEqual([
      { path: ['fields', 'title', 'app'], message: 'the account has no field named "Rank"' },
    ])
  })

  test('in a sheet, a column given to a set holds one value of it', () => {
    const mapping = mappingFor('csv', mappingSchema.parse({ defaults: false, fields: { emails: 'Contact Mail' } }))
    const { lens } = compileLens(mapping, catalogue, appFields('Contact Mail'))
    expect(lens.put(cellsOf({ emails: ['a@x.org'] }), null)).toEqual({ 'Contact Mail': 'a@x.org' })
  })

  test('an app without a default mapping is named with those that have one', () => {
    expect(() => mappingFor('fax')).toThrow(
      'no default mapping for fax; there are some for carddav, csv, google, hubspot, mailchimp, memory, salesforce, vdir, zendesk',
    )
  })
})

describe('headers of sheets', () => {
  const sourcesOf = (headers: string): { [field: string]: readonly string[] } => {
    const { lens, problems } = compileLens(mappingFor('csv'), catalogue, appFields(...headers.split('|')))
    expect(problems).toEqual([])
    return Object.fromEntries(lens.sources)
  }

  test.each([
    [
      'HubSpot',
      'Record ID|First Name|Last Name|Email|Phone Number|Mobile Phone Number|Company name|Job Title|City|State/Region|Website URL',
      {
        emails: ['Email'],
        phones: ['Mobile Phone Number', 'Phone Number'],
        organisation: ['Company name'],
        urls: ['Website URL'],
      },
    ],
    [
      'Mailchimp',
      'Email Address|First Name|Last Name|Address|Phone Number|Birthday|TAGS',
      { emails: ['Email Address'], tags: ['TAGS'] },
    ],
    [
      'Salesforce',
      'Salutation|First Name|Last Name|Title|Account Name|Mailing Street|Mailing City|Mailing Zip/Postal Code|Phone|Mobile|Email|Birthdate',
      {
        'name.prefix': ['Salutation'],
        title: ['Title'],
        organisation: ['Account Name'],
        addresses: ['Mailing City', 'Mailing Street', 'Mailing Zip/Postal Code'],
        birthday: ['Birthdate'],
      },
    ],
    [
      'Outlook',
      'Title|First Name|Last Name|Company|Job Title|Business Street|Business City|Business Phone|Home Phone|E-mail Address|E-mail 2 Address',
      { 'name.prefix': ['Title'], title: ['Job Title'], emails: ['E-mail 2 Address', 'E-mail Address'] },
    ],
    [
      'Google',
      'Name|Given Name|Family Name|E-mail 1 - Type|E-mail 1 - Value|Phone 1 - Label|Phone 1 - Value|Organization 1 - Title|Labels',
      {
        'name.display': ['Name'],
        emails: ['E-mail 1 - Type', 'E-mail 1 - Value'],
        title: ['Organization 1 - Title'],
        tags: ['Labels'],
      },
    ],
    [
      'plain',
      'first_name|SURNAME|e-mail|phone',
      { 'name.given': ['first_name'], 'name.family': ['SURNAME'], emails: ['e-mail'] },
    ],
    ['one name', 'Full Name|Email', { 'name.given': ['Full Name'], 'name.family': ['Full Name'] }],
  ])('%s: the usual columns are recognised', (_, headers, expected) => {
    expect(sourcesOf(headers)).toMatchObject(expected)
  })

  test('a header with dots in it is a header, not a path', () => {
    const { lens } = compile({ fields: { title: 'Tel. priv', note: 'A.B' } }, 'Tel. priv', 'A.B', 'A')
    expect(lens.sources.get('note')).toEqual(['A.B'])
    expect(lens.sources.get('title')).toEqual(['Tel. priv'])
  })
})
