import { describe, expect, test } from '@jest/globals'
import { fingerprint } from '../../config/fingerprint.ts'
import { jsonSchema } from '../../config/json-schema.ts'
import type { Config } from '../../config/types.ts'
import type { JsonObject } from '../../engine/core/json.ts'
import { APPS, load as loadWith, type Loaded } from './apps.ts'

const load = (text: string): Promise<Loaded> => loadWith(text, { PW: 'x' })

const BASE = `connections:
  phone: { app: dav, url: "https://a.example", username: ada, password: "\${PW}" }
  sheet: { app: dav, url: "https://b.example", username: ada, password: "\${PW}" }
custom: { tier: text, born: date, points: number }
`

describe('a standard that works', () => {
  test('every check is taken over, each as a rule of its own with what happens at the door', async () => {
    const { config, errors } = await load(`${BASE}standard:
  phones: { format: e164, do: fix, else: hold }
  emails:
    - { format: email, do: fix }
    - { required: true, do: hold, in: [sheet] }
  name.given: { trim: true, case: title, length: 40, do: fix }
  addresses.country: { format: country, do: fix }
  custom.tier: { allowed: [Gold, Silver], do: hold }
  custom.points: { allowed: [1, 2] }
  externalId: { pattern: 'C-\\d{4}', length: { min: 3, max: 6 }, do: warn }
`)
    expect(errors).toEqual([])
    expect(
      config?.standard.map(({ id, action, otherwise, connections }) => [id, action, otherwise, connections]),
    ).toEqual([
      ['name.given.trim', 'fix', 'warn', null],
      ['name.given.case', 'fix', 'warn', null],
      ['name.given.length', 'fix', 'warn', null],
      ['externalId.pattern', 'warn', 'warn', null],
      ['externalId.length', 'warn', 'warn', null],
      ['emails.format', 'fix', 'warn', null],
      ['emails.required', 'hold', 'warn', ['sheet']],
      ['phones.format', 'fix', 'hold', null],
      ['addresses.country.format', 'fix', 'warn', null],
      ['custom.tier.allowed', 'hold', 'warn', null],
      ['custom.points.allowed', 'warn', 'warn', null],
    ])
    const check = (id: string) => config?.standard.find((rule) => rule.id === id)?.check
    expect(config?.standard.find(({ part }) => part !== null)).toMatchObject({ field: 'addresses', part: 'country' })
    expect(check('custom.points.allowed')).toEqual({ kind: 'allowed', values: ['1', '2'] })
    expect(check('externalId.length')).toEqual({ kind: 'length', min: 3, max: 6 })
  })

  test('decides where values go: another standard wants another approval, none keeps the one of before', async () => {
    const print = async (text: string): Promise<string> => fingerprint((await load(text)).config as Config)
    const without = await print(BASE)
    const one = await print(`${BASE}standard: { phones: { format: e164, do: fix } }\n`)
    expect(one).not.toBe(without)
    expect(await print(`${BASE}standard: { phones: { format: e164, do: hold } }\n`)).not.toBe(one)
    expect(await print(`${BASE}standard: {}\n`)).toBe(without)
  })
})

describe('a standard with a mistake is told at its place, with what to write instead', () => {
  test.each<[string, string, string, string]>([
    ['phnes: { trim: true }', '6:3', '"standard" has no option "phnes"', 'Did you mean "phones"?'],
    ['custom.tir: { trim: true }', '6:3', '"standard" has no option "custom.tir"', 'Did you mean "custom.tier"?'],
    ['phones: { fromat: e164 }', '6:13', '"standard.phones" has no option "fromat"', 'Did you mean "format"?'],
    ['phones: { format: e146 }', '6:21', '"standard.phones.format" must be e164, phone', 'Did you mean "e164"?'],
    [
      'phones: { format: e164, do: mend }',
      '6:31',
      '"standard.phones.do" must be fix, warn or hold',
      'Write one of these',
    ],
    ['phones: { do: fix }', '6:11', '"standard.phones" asks for nothing', 'Write one of required, format'],
    ['phones: { format: email }', '6:21', 'email is no format of a phone field', 'Here fit: e164, phone.'],
    ['phones: { format: phone, do: fix }', '6:32', 'format: phone has no repair', 'Write do: hold'],
    ['title: { required: true, do: fix }', '6:32', 'what is missing cannot be repaired', 'Write do: hold'],
    ['title: { pattern: "(", do: hold }', '6:21', 'this is no regular expression', 'Correct it'],
    ['title: { pattern: x, do: fix }', '6:28', 'pattern has no repair', 'Write do: hold'],
    ['title: { length: { min: 5, max: 2 } }', '6:20', 'min is more than max', 'Correct'],
    ['title: { trim: true, else: hold }', '6:24', '"else" is for what fix cannot repair', 'write do: fix'],
    ['title: { trim: true, in: [phne] }', '6:29', 'there is no such connection', 'Did you mean "phone"?'],
    ['addresses: { format: country }', '6:24', 'addresses holds whole addresses', 'addresses.country'],
    [
      'addresses.contry: { format: country }',
      '6:3',
      '"standard" has no option "addresses.contry"',
      'addresses.country',
    ],
    ['custom.points: { trim: true }', '6:26', 'trim is about text, and custom.points is a number field', 'allowed'],
    ['phones: 7', '6:11', 'must be what is asked', 'Correct'],
  ])('%s', async (line, place, message, advice) => {
    const { diagnostics } = await load(`${BASE}standard:\n  ${line}\n`)
    expect(diagnostics).toHaveLength(1)
    const [found] = diagnostics
    expect(`${found?.line}:${found?.column}`).toBe(place)
    expect(found?.message).toContain(message)
    expect(found?.advice).toContain(advice)
  })
})

test('an editor knows the fields, the checks and what may happen', () => {
  const schema = jsonSchema(APPS)
  const standard = (schema['properties'] as JsonObject)['standard'] as JsonObject
  expect(Object.keys(standard['properties'] as JsonObject)).toEqual(
    expect.arrayContaining(['phones', 'addresses', 'addresses.country', 'name.given']),
  )
  expect(JSON.stringify(standard)).toContain('"enum":["fix","warn","hold"]')
  expect(Object.keys(standard['patternProperties'] as JsonObject)).toEqual(['^custom\\.'])
})
