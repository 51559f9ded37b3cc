import { describe, expect, test } from '@jest/globals'
import { z } from 'zod'
import { checkMapping } from '../../mappings/compile.ts'
import { mappingSchema } from '../../mappings/schema.ts'
import { probe } from '../../mappings/probe.ts'
import type { Lens } from '../../engine/core/ports/lens.ts'
import { catalogue, compile, CUSTOM } from './support.ts'

const HAS = ['Email', 'Name', 'Phone', 'Title', 'Tags', 'Street', { name: 'Id', type: 'text', writable: false }]

describe('what is wrong with a mapping is said with its place and what to do', () => {
  test.each([
    ['an unknown field', { fields: { titel: 'Title' } }, 'there is no field named titel', 'did you mean "title"?', []],
    [
      'an undeclared custom field',
      { fields: { 'custom.zzzzzzzzzz': 'Title' } },
      'there is no field named custom.zzzzzzzzzz',
      'declare custom.zzzzzzzzzz under fields: in kith.yaml',
      [],
    ],
    [
      'an app field that the account lacks',
      { fields: { title: ['Job', 'Titel'] } },
      'the account has no field named "Job" or "Titel"',
      'see kith check for the fields it has',
      ['app'],
    ],
    [
      'a misspelt app field',
      { fields: { title: { app: 'Titlee' } } },
      'the account has no field named "Titlee"',
      'did you mean "Title"?',
      ['app'],
    ],
    [
      'an unknown transform',
      { fields: { title: { app: 'Title', transform: 'uper' } } },
      'there is no transform named uper',
      'did you mean "upper"?',
      ['transform'],
    ],
    [
      'a transform of another type',
      { fields: { title: { app: 'Title', transform: 'number' } } },
      'number is for number fields, and title is a text field',
      'leave the transform out: the type of the field brings its own',
      ['transform'],
    ],
    [
      'a transform that must be told more',
      { fields: { title: { app: 'Title', transform: 'map' } } },
      'map needs to be told more',
      'write transform: { map: ... }; see docs/mappings.md',
      ['transform'],
    ],
    [
      'a date format without a day',
      { fields: { birthday: { app: 'Title', transform: { date: 'MM/YYYY' } } } },
      'the date format "MM/YYYY" must name the month (MM or M) and the day (DD or D) once',
      'see docs/mappings.md',
      ['transform'],
    ],
    [
      'a set transform on one value',
      { fields: { title: { app: 'Title', transform: { split: ';' } } } },
      'split is for sets, and title holds one value',
      'leave the transform out',
      ['transform'],
    ],
    [
      'a value transform on a set',
      { fields: { emails: { app: 'Email', transform: 'lower' } } },
      'lower is for one value, and emails is a set',
      'write each: lower for its values, and transform only for how the set is held (elements, list, split)',
      ['transform'],
    ],
    [
      'slots for one value',
      { fields: { title: { slots: ['Title'] } } },
      'title holds one value, and slots are for sets',
      'write title: { app: ... }',
      ['slots'],
    ],
    [
      'parts for something that has none',
      { fields: { phones: { slots: [{ app: { street: 'Phone' } }] } } },
      'phones have no parts',
      'name one app field',
      ['slots', 0, 'app'],
    ],
    [
      'an address in one text',
      { fields: { addresses: { slots: ['Street'] } } },
      'an address needs an app field for each part',
      'write app: { street: Street, locality: City, postcode: ZIP }',
      ['slots', 0, 'app'],
    ],
    [
      'two fields in one app field',
      { fields: { title: 'Title', nickname: 'title' } },
      'title and nickname both write the app field "Title"',
      'map each app field once; give one of the two direction: in if it is only to be read',
      ['app'],
    ],
    [
      'a part and its whole',
      { fields: { 'name.given': 'Name.given', nickname: 'Name' } },
      'name.given and nickname both write the app field "Name"',
      'map each app field once; give one of the two direction: in if it is only to be read',
      ['app'],
    ],
    [
      'a read-only app field',
      { fields: { externalId: 'Id' } },
      'externalId is to be written, and the app field "Id" is read-only',
      'add direction: in',
      [],
    ],
    [
      'a whole name beside its parts',
      { fields: { 'name.given': 'Title', name: 'Name' } },
      'name stands for all parts of a name, and parts are mapped too',
      'keep one of the two',
      [],
    ],
    [
      'a name transform elsewhere',
      { fields: { title: { app: 'Title', transform: 'fullName' } } },
      'fullName is for name, not for title',
      'map name with it',
      ['transform'],
    ],
  ])('%s', (_, mapping, message, advice, at) => {
    const { problems, lens } = compile(mapping, ...HAS)
    const last = Object.keys(mapping.fields).at(-1) ?? ''
    expect(problems).toEqual([{ path: ['fields', last, ...at], severity: 'error', message, advice }])
    // The line is left out, the rest goes on.
    expect(lens.fields.size).toBe(Object.keys(mapping.fields).length - 1)
  })

  test('two fields may read one app field where one of them writes it', () => {
    expect(
      compile({ fields: { title: 'Title', nickname: { app: 'Title', direction: 'in' } } }, ...HAS).problems,
    ).toEqual([])
  })

  test('an optional line makes do with what is there', () => {
    const { lens, problems } = compile(
      { optional: true, fields: { title: 'Rank', externalId: 'Id', phones: { slots: ['Phone', 'Fax'] } } },
      ...HAS,
    )
    expect(problems).toEqual([])
    expect(lens.fields.get('externalId')?.direction).toBe('in')
    expect([...lens.fields.keys()]).toEqual(['externalId', 'phones'])
  })

  test('a mapping can be checked without its account', () => {
    const mapping = mappingSchema.parse({ fields: { title: 'Anything', 'custom.tier': 'X', nicknam: 'Y', note: 'X' } })
    expect(checkMapping(mapping, CUSTOM).map(({ message }) => message)).toEqual([
      'there is no field named nicknam',
      'custom.tier and note both write the app field "X"',
    ])
  })
})

describe('pairs that lose information', () => {
  const yearless = { app: 'Title', transform: { date: 'DD/MM' } }

  test('are found by sending values there and back, and named', () => {
    expect(compile({ fields: { birthday: yearless } }, ...HAS).problems).toEqual([
      {
        path: ['fields', 'birthday'],
        severity: 'warning',
        message: 'birthday loses information on its way to "Title" and back',
        advice: 'choose another transform, or say why that is well with lossy: "..."',
      },
    ])
  })

  test('pass where the mapping says why, where the transform does, and where nothing is ever sent', () => {
    const { problems, lens } = compile(
      { fields: { birthday: { ...yearless, lossy: 'the list has no years' } } },
      ...HAS,
    )
    expect(problems).toEqual([])
    expect(lens.fields.get('birthday')?.lossy).toBe('the list has no years')
    expect(compile({ fields: { birthday: { ...yearless, direction: 'in' } } }, ...HAS).problems).toEqual([])
    expect(compile({ fields: { nickname: { app: 'Name', transform: 'upper' } } }, ...HAS).problems).toEqual([])
  })

  test('are told from those that never settle', () => {
    const nickname = catalogue.field('nickname')
    const identity = compile({ fields: { nickname: 'Name' } }, ...HAS).lens
    expect(probe(identity, catalogue, nickname)).toBeUndefined()
    const spoilt = (spoil: (text: string) => string): Lens => ({
      ...identity,
      get: ({ Name }) => ({ nickname: spoil(String(Name)) }),
    })
    expect(
      probe(
        spoilt((text) => text.toUpperCase()),
        catalogue,
        nickname,
      ),
    ).toBe('lossy')
    expect(
      probe(
        spoilt((text) => `${text}!`),
        catalogue,
        nickname,
      ),
    ).toBe('oscillating')
  })
})

describe('values that the app lists', () => {
  const heat = {
    name: 'heat',
    type: 'picklist',
    writable: true,
    options: [
      { value: 'h1', label: 'Hot' },
      { value: 'c1', label: 'Cold' },
    ],
  }
  const warningsOf = (map: object): unknown[] =>
    compile({ fields: { 'custom.tier': { app: 'heat', transform: { map }, lossy: 'tested' } } }, heat).problems

  test('a map by the values that the app stores is right', () => {
    expect(warningsOf({ h1: 'A', c1: 'B' })).toEqual([])
  })

  test('a map by what people see, or by no value at all, is a warning that says the right one', () => {
    const at = (value: string) => ['fields', 'custom.tier', 'transform', 'map', value]
    expect(warningsOf({ hot: 'A', h2: 'B', lukewarm: 'C' })).toEqual([
      {
        path: at('hot'),
        severity: 'warning',
        message: 'custom.tier: "heat" has no value "hot"',
        advice: 'the app shows "Hot" and stores "h1": write that',
      },
      { path: at('h2'), severity: 'warning', message: expect.any(String), advice: 'did you mean "h1"?' },
      {
        path: at('lukewarm'),
        severity: 'warning',
        message: expect.any(String),
        advice: 'it has h1, c1; see kith fields',
      },
    ])
  })
})

describe('the shape of a mapping', () => {
  test('is strict', () => {
    for (const wrong of [
      { fields: { title: { app: 'T', tranform: 'date' } } },
      { fields: { title: { app: 'T', slots: ['U'] } } },
      { fields: { title: { app: 'T', transform: {} } } },
      { fields: { title: { app: 'T', transform: { split: ';', truncate: 3 } } } },
      { fields: { title: 7 } },
      { fields: {}, extra: 1 },
      {},
    ])
      expect(mappingSchema.safeParse(wrong).success).toBe(false)
  })

  test('can be handed to editors as a JSON schema with words for people', () => {
    const schema = JSON.stringify(z.toJSONSchema(mappingSchema))
    expect(schema).toContain('the first that the account has is used')
    expect(schema).toContain('"additionalProperties":false')
  })
})
