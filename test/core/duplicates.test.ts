import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { Apartness, apart, personSubject, recordSubject } from '../../engine/core/apart.ts'
import type { Cells } from '../../engine/core/catalogue.ts'
import { likeness, PROBABLE } from '../../engine/core/duplicates.ts'
import { areApart, keyFor } from '../../engine/core/identity.ts'
import { memoryRules } from '../support/rules.ts'

const { catalogue, match } = memoryRules([{ name: 'crm' }])

function cells(text: { [field: string]: string }): Cells {
  const { email, phone, ...rest } = text
  return {
    ...Object.fromEntries(Object.entries(rest).map(([field, value]) => [field, value])),
    ...(email === undefined ? {} : { [`emails:${email}`]: { value: email } }),
    ...(phone === undefined ? {} : { [`phones:${phone}`]: { value: phone } }),
  }
}

const ada = { 'name.given': 'Ada', 'name.family': 'Lovelace' }
const slip = { 'name.given': 'Ada', 'name.family': 'Lovelase' }
const short = { 'name.given': 'A.', 'name.family': 'Lovelace' }
const eva = { 'name.given': 'Eva', 'name.family': 'Braun' }

describe('how likely two are one human', () => {
  test.each([
    ['the same phone and the same name', { ...ada, phone: '+4930123456' }, { ...ada, phone: '+4930123456' }, true],
    ['the same phone and a short form', { ...ada, phone: '+4930123456' }, { ...short, phone: '+4930123456' }, true],
    [
      'the same phone and another name: a household',
      { ...ada, phone: '+4930123456' },
      { ...eva, phone: '+4930123456' },
      false,
    ],
    ['the same name and organisation', { ...ada, organisation: 'Engines' }, { ...ada, organisation: 'ENGINES' }, true],
    [
      'one letter apart, the same organisation',
      { ...ada, organisation: 'Engines' },
      { ...slip, organisation: 'Engines' },
      true,
    ],
    ['the same name alone', ada, ada, false],
    [
      'the same local part and a like name',
      { ...ada, email: 'ada@a.example' },
      { ...short, email: 'ada@b.example' },
      true,
    ],
    ['the local part of a role', { ...ada, email: 'info@a.example' }, { ...ada, email: 'info@b.example' }, false],
    [
      'the same address of a role, other names',
      { ...ada, email: 'info@a.example' },
      { ...eva, email: 'info@a.example' },
      false,
    ],
    ['the same address, no name to tell by', { email: 'ada@a.example' }, { ...ada, email: 'ada@a.example' }, true],
    ['the same name and birthday', { ...ada, birthday: '1815-12-10' }, { ...ada, birthday: '1815-12-10' }, true],
    [
      'the same phone and name, and other birthdays: a father and a son',
      { ...ada, phone: '+4930123456', birthday: '1815-12-10' },
      { ...ada, phone: '+4930123456', birthday: '1845-01-01' },
      false,
    ],
    [
      'everything alike, and other customer numbers',
      { ...ada, organisation: 'Engines', externalId: '1' },
      { ...ada, organisation: 'Engines', externalId: '2' },
      false,
    ],
  ])('%s', (_, one, other, probable) => {
    const { score, evidence } = likeness(cells(one), cells(other), catalogue, match)
    expect([score >= PROBABLE, score]).toEqual([probable, score])
    expect(evidence.every(({ text, weight }) => text !== '' && weight !== 0)).toBe(true)
  })

  test('is the same from either side, and never out of bounds', () => {
    const person = fc.record(
      {
        'name.given': fc.constantFrom('Ada', 'Adah', 'Eva', 'Юлия'),
        'name.family': fc.constantFrom('Lovelace', 'Lovelase', 'Braun'),
        organisation: fc.constantFrom('Engines', 'Navy'),
        birthday: fc.constantFrom('1815-12-10', '1845-01-01'),
        externalId: fc.constantFrom('1', '2'),
        email: fc.constantFrom('ada@a.example', 'ada@b.example', 'info@a.example'),
        phone: fc.constantFrom('+4930123456', '+4930999999'),
      },
      { requiredKeys: [] },
    )
    fc.assert(
      fc.property(person, person, (one, other) => {
        const [a, b] = [cells(one as { [field: string]: string }), cells(other as { [field: string]: string })]
        const there = likeness(a, b, catalogue, match)
        expect(likeness(b, a, catalogue, match).score).toBe(there.score)
        expect(there.score).toBeGreaterThanOrEqual(0)
        expect(there.score).toBeLessThanOrEqual(100)
      }),
    )
  })
})

describe('who is known to be different', () => {
  test('is told whichever of the two is named first', () => {
    const [one, other] = [personSubject('p1'), recordSubject('crm', 'r1')]
    const known = new Apartness([apart(one, other)])
    expect([known.has(one, other), known.has(other, one), known.has(one, one)]).toEqual([true, true, false])
    expect(known.between([personSubject('p9'), other], [one])).toBe(true)
    expect(known.between([personSubject('p9')], [one])).toBe(false)
  })

  test.each([
    ['ada@Example.org', 'email:ada@example.org'],
    ['030 123456', 'phone:+4930123456'],
    ['+49 30 123456', 'phone:+4930123456'],
    ['C-4711', 'externalId:C-4711'],
  ])('the config names them as people do: %s', (text, key) => {
    expect(keyFor(text, catalogue)).toBe(key)
  })

  test('a pair of the config holds both ways', () => {
    const rules = { ...match, apart: [['email:a@x.org', 'phone:+491']] as const }
    expect(areApart(rules, ['email:a@x.org'], ['phone:+491', 'phone:+492'])).toBe(true)
    expect(areApart(rules, ['phone:+491'], ['email:a@x.org'])).toBe(true)
    expect(areApart(rules, ['email:a@x.org'], ['phone:+492'])).toBe(false)
    expect(areApart(match, ['email:a@x.org'], ['phone:+491'])).toBe(false)
  })
})
