import { describe, expect, test } from '@jest/globals'
import type { Json } from '../../engine/core/json.ts'
import { dateFormat, readDate } from '../../mappings/dates.ts'
import { isSpelling, parseName } from '../../mappings/names.ts'
import { phoneNormaliser } from '../../mappings/normalise.ts'
import { makeTransform } from '../../mappings/transforms.ts'
import type { TransformSpec } from '../../mappings/schema.ts'
import { catalogue } from './support.ts'

describe('dates', () => {
  test.each([
    ['1985-04-12', '1985-04-12'],
    ['1985-04-12T00:00:00Z', '1985-04-12'],
    ['19850412', '1985-04-12'],
    ['1985/4/12', '1985-04-12'],
    ['12.04.1985', '1985-04-12'],
    ['12. 4. 1985', '1985-04-12'],
    ['25/12/1985', '1985-12-25'],
    ['12/25/1985', '1985-12-25'],
    ['05/05/1985', '1985-05-05'],
    ['12 April 1985', '1985-04-12'],
    ['Apr 12, 1985', '1985-04-12'],
    ['--04-12', '--04-12'],
    ['--0412', '--04-12'],
    ['--02-29', '--02-29'],
    ['0/0/00', null],
    ['03/04/1985', undefined],
    ['1985-02-29', undefined],
    ['1985-13-01', undefined],
    ['12.04.85', undefined],
    ['in April', undefined],
  ])('%s is read as %s', (written, read) => {
    expect(readDate(written)).toBe(read)
  })

  test('a format says which is the day, reads its own writing, and knows where it has no place for a date', () => {
    const format = dateFormat('DD/MM/YYYY')
    expect(format.read('03/04/1985')).toBe('1985-04-03')
    expect(format.write('1985-04-03')).toBe('03/04/1985')
    expect(format.write('--04-03')).toBeUndefined()
    expect(dateFormat('M/D').write('1985-04-03')).toBe('4/3')
    expect(dateFormat('M/D').read('4/3')).toBe('--04-03')
    expect(() => dateFormat('YYYY-MM')).toThrow('must name the month (MM or M) and the day')
  })
})

describe('transforms of one value', () => {
  const cases: [string, string, TransformSpec, Json, Json | undefined, Json | undefined][] = [
    // field, transform, app value, canonical value, what is put back for it into a blank field
    ['birthday', 'date as ISO', 'date', '12.04.1985', '1985-04-12', '1985-04-12'],
    [
      'birthday',
      'date in a format',
      { date: ['MM/DD/YYYY', 'YYYY'].slice(0, 1) },
      '04/12/1985',
      '1985-04-12',
      '04/12/1985',
    ],
    ['birthday', 'date that cannot be read', 'date', 'in spring', 'in spring', undefined],
    ['custom.score', 'number', 'number', ' 4.50 ', 4.5, '4.5'],
    ['custom.score', 'number that is none', 'number', 'many', 'many', undefined],
    ['custom.vip', 'boolean', 'boolean', 'Yes', true, 'true'],
    ['custom.vip', 'boolean of own words', { boolean: ['Ja', 'Nein'] }, 'nein', false, 'Nein'],
    ['title', 'upper', 'upper', 'CEO', 'CEO', 'CEO'],
    ['title', 'lower', 'lower', 'Ceo', 'Ceo', 'ceo'],
    ['title', 'truncate', { truncate: 3 }, 'abc', 'abc', 'abc'],
    ['custom.tier', 'map', { map: { '1': 'Gold', '2': 'Silver' } }, '1', 'Gold', '1'],
    ['custom.tier', 'map of a value it does not name', { map: { '1': 'Gold' } }, 'Lead', 'Lead', 'Lead'],
    ['custom.tier', 'phone', 'phone', '030 901820', '030 901820', '+4930901820'],
  ]
  test.each(cases)('%s by %s', (name, _, spec, app, ours, back) => {
    const transform = makeTransform(spec, { catalogue, field: catalogue.field(name), appField: undefined })
    expect(transform.get(app)).toEqual(ours)
    expect(transform.put(ours as Json, undefined)).toEqual(back)
  })

  test('numbers and booleans are written as the app holds them', () => {
    const score = catalogue.field('custom.score')
    const typed = makeTransform('number', {
      catalogue,
      field: score,
      appField: { name: 'n', type: 'number', writable: true },
    })
    expect(typed.put(4, undefined)).toBe(4)
    expect(typed.put(4, '3')).toBe('4')
    const vip = makeTransform('boolean', { catalogue, field: catalogue.field('custom.vip'), appField: undefined })
    expect(vip.put(true, false)).toBe(true)
  })

  test('a mapped value that the app would read as another one is not written', () => {
    const map = makeTransform({ map: { a: 'b' } }, { catalogue, field: catalogue.field('title'), appField: undefined })
    expect(map.put('a', undefined)).toBeUndefined()
  })

  test('a text is not cut in the middle of a character', () => {
    const cut = makeTransform({ truncate: 3 }, { catalogue, field: catalogue.field('title'), appField: undefined })
    expect(cut.put('ab😀c', undefined)).toBe('ab')
  })
})

describe('names', () => {
  test.each([
    ['Ada Lovelace', { 'name.given': 'Ada', 'name.family': 'Lovelace' }],
    ['Lovelace, Ada King', { 'name.given': 'Ada King', 'name.family': 'Lovelace' }],
    ['Ludwig van Beethoven', { 'name.given': 'Ludwig', 'name.family': 'van Beethoven' }],
    ['Dr. Ada Lovelace', { 'name.prefix': 'Dr.', 'name.given': 'Ada', 'name.family': 'Lovelace' }],
    ['Dr. Lovelace', { 'name.prefix': 'Dr.', 'name.family': 'Lovelace' }],
    ['John Smith, Jr.', { 'name.given': 'John', 'name.family': 'Smith', 'name.suffix': 'Jr.' }],
    ['John Smith III', { 'name.given': 'John', 'name.family': 'Smith', 'name.suffix': 'III' }],
    ['Ada', { 'name.given': 'Ada' }],
    ['', {}],
    [', ,', {}],
  ])('%s is taken apart', (text, parts) => {
    expect(parseName(text)).toEqual(parts)
  })

  test('the customary spellings of a name are no display name', () => {
    const parts = { 'name.prefix': 'Dr.', 'name.given': 'Ada', 'name.middle': 'King', 'name.family': 'Lovelace' }
    for (const same of [
      'Dr. Ada King Lovelace',
      'Ada Lovelace',
      'Lovelace, Ada',
      'Lovelace Ada King',
      ' Ada  Lovelace ',
    ])
      expect([same, isSpelling(same, parts)]).toEqual([same, true])
    for (const own of ['Ada', 'Mum', 'ada lovelace', 'Ada L.'])
      expect([own, isSpelling(own, parts)]).toEqual([own, false])
  })
})

describe('phone numbers', () => {
  const normaliser = phoneNormaliser('DE')
  const phone = (raw: string): string => normaliser.phone(raw)
  test.each([
    ['+49 (0)30 901820', '+4930901820'],
    ['030/901820', '+4930901820'],
    ['0049 30 901820', '+4930901820'],
    ['tel:+49-30-901820', '+4930901820'],
    ['+1 212 555 2368 ext. 12', '+12125552368;ext=12'],
    ['＋４９ ３０ ９０１８２０', '+4930901820'],
    ['12', '12'],
    ['+999 12 34', '+9991234'],
    ['030 901820 / 0171 1234567', '03090182001711234567'],
    ['Ask  Bob', 'ask bob'],
  ])('%s is %s', (raw, normal) => {
    expect(phone(raw)).toBe(normal)
    // From the cache, too.
    expect(phone(raw)).toBe(normal)
    // A normal form is its own.
    expect(phone(normal)).toBe(normal)
  })

  test('without a default region a national number stays its digits', () => {
    expect(phoneNormaliser(undefined).phone('030 / 901820')).toBe('030901820')
    expect(phoneNormaliser(undefined).phone('+49 30 901820')).toBe('+4930901820')
  })

  test('a region that is none is refused', () => {
    expect(() => phoneNormaliser('Germany')).toThrow('two-letter country code')
  })
})
