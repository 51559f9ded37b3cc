import { describe, expect, test } from '@jest/globals'
import { Catalogue, type Cells } from '../../engine/core/catalogue.ts'
import { compareNames, keysOf, matchRecord, type Candidate, type KeyEvidence } from '../../engine/core/identity.ts'
import type { MatchRules } from '../../engine/core/rules.ts'

const rules: MatchRules = {
  rules: [{ by: 'externalId' }, { by: 'email' }, { by: 'phone' }],
  sharedFrom: 3,
  roleAddresses: new Set(['info']),
}

const named = (given: string, family: string): Cells => ({ 'name.given': given, 'name.family': family })
const evidence = (key: string, people: string[], carriers = 1): KeyEvidence => ({ key, people, carriers })
const people = (cells: { [id: string]: Cells }, here: string[] = []): Map<string, Candidate> =>
  new Map(
    Object.entries(cells).map(([personId, value]) => [
      personId,
      { personId, cells: value, here: here.includes(personId) },
    ]),
  )

describe('names', () => {
  test.each([
    ['Ada', 'Lovelace', 'Ada', 'Lovelace', 'same'],
    ['Zoe', 'Muller', 'Zoë', 'Müller', 'same'],
    ['A.', 'Lovelace', 'Ada', 'Lovelace', 'near'],
    ['Thomas', 'Weber', 'Tobias', 'Weber', 'alike'],
    ['Jon', 'Smith', 'John', 'Smith', 'near'],
    ['Tom', 'Smith', 'Thomas', 'Smith', 'near'],
    ['Jonathan', 'Smith', 'Johnathan', 'Smith', 'same'],
    ['Lovelace', 'Ada', 'Ada', 'Lovelace', 'same'],
    ['Ada', 'Lovelace', 'William', 'Lovelace', 'alike'],
    ['Ada', 'Lovelace', 'Grace', 'Hopper', 'unlike'],
    ['Юлия', 'Иванова', 'Yulia', 'Ivanova', 'unknown'],
    ['', '', 'Ada', 'Lovelace', 'unknown'],
  ])('%s %s and %s %s', (a, b, c, d, likeness) => {
    expect(compareNames(named(a, b), named(c, d))).toBe(likeness)
  })
})

describe('matching', () => {
  const ada = named('Ada', 'Lovelace')

  test('a strong unique address links', () => {
    const match = matchRecord(
      ada,
      [evidence('email:ada@example.org', ['p1'])],
      people({ p1: named('Ada', 'King') }),
      rules,
    )
    expect(match).toEqual({ kind: 'linked', personId: 'p1', by: 'email' })
  })

  test('the same address under a contradicting name goes to an operator', () => {
    const match = matchRecord(
      ada,
      [evidence('email:ada@example.org', ['p1'])],
      people({ p1: named('Grace', 'Hopper') }),
      rules,
    )
    expect(match).toMatchObject({ kind: 'ambiguous', candidates: ['p1'] })
  })

  test('an address that many carry is nobody’s key', () => {
    const match = matchRecord(ada, [evidence('email:office@example.org', ['p1', 'p2', 'p3'], 3)], people({}), rules)
    expect(match).toEqual({ kind: 'new' })
  })

  test('a role address links only with the same name', () => {
    const info = [evidence('email:info@example.org', ['p1', 'p2'])]
    const holders = people({ p1: ada, p2: named('Grace', 'Hopper') })
    expect(matchRecord(ada, info, holders, rules)).toMatchObject({ kind: 'linked', personId: 'p1' })
    expect(matchRecord(named('Alan', 'Turing'), info, holders, rules)).toEqual({ kind: 'new' })
  })

  test('a phone number alone says nothing about a spouse, and links a like name', () => {
    const phone = [evidence('phone:+49301234567', ['p1'])]
    expect(matchRecord(named('William', 'Lovelace'), phone, people({ p1: ada }), rules)).toEqual({ kind: 'new' })
    expect(matchRecord(ada, phone, people({ p1: ada }), rules)).toMatchObject({ kind: 'linked', by: 'phone' })
    expect(matchRecord({}, phone, people({ p1: ada }), rules)).toMatchObject({ kind: 'ambiguous' })
  })

  test('a short form of a name, the same number: an operator is asked', () => {
    const phone = [evidence('phone:+49301234567', ['p1'])]
    const match = matchRecord(named('Tom', 'Smith'), phone, people({ p1: named('Thomas', 'Smith') }), rules)
    expect(match).toMatchObject({ kind: 'ambiguous', candidates: ['p1'] })
  })

  test('a second record of one person in one connection is left to an operator', () => {
    const match = matchRecord(ada, [evidence('email:ada@example.org', ['p1'], 2)], people({ p1: ada }, ['p1']), rules)
    expect(match).toMatchObject({ kind: 'ambiguous', candidates: ['p1'] })
  })

  test('several possible people are left to an operator', () => {
    const match = matchRecord(
      ada,
      [evidence('email:ada@example.org', ['p1', 'p2'])],
      people({ p1: ada, p2: ada }),
      rules,
    )
    expect(match).toMatchObject({ kind: 'ambiguous', candidates: ['p1', 'p2'] })
  })

  test('an external id stands above an address', () => {
    const both = [evidence('email:ada@example.org', ['p2']), evidence('externalId:4711', ['p1'])]
    expect(matchRecord(ada, both, people({ p1: ada, p2: ada }), rules)).toMatchObject({
      kind: 'linked',
      personId: 'p1',
    })
  })
})

test('keys are the normal forms of what a record can be found by', () => {
  const catalogue = new Catalogue({ phone: (raw) => raw.replace(/[^+\d]/g, '') })
  const cells: Cells = {
    'emails:ada@example.org': { value: 'Ada@Example.org' },
    'emails:no-address': { value: 'no-address' },
    'phones:+49301234567': { value: '+49 30 1234567' },
    'phones:110': { value: '110' },
    externalId: ' 4711 ',
  }
  expect(keysOf(cells, catalogue)).toEqual(['email:ada@example.org', 'externalId:4711', 'phone:+49301234567'])
})
