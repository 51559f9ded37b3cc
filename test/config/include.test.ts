import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { compileInclude, IncludeShape, type IncludeDocument } from '../../config/include.ts'
import { STANDARD_FIELDS } from '../../engine/core/catalogue.ts'
import { matches, type Filter } from '../../engine/core/include.ts'
import { load } from './apps.ts'

const FIELDS = new Map(STANDARD_FIELDS.map((field) => [field.name, field]))

const ada = {
  'name.given': 'Ada',
  title: 'Chief  Engineer',
  organisation: 'Example Ltd',
  'tags:customer': { value: 'Customer' },
  'emails:ada@example.org': { value: 'Ada@Example.org' },
  'phones:+4930123456': { value: '(030) 123-456' },
  'addresses:|||berlin|||': { value: { locality: 'Berlin' } },
}

function keeps(written: unknown): boolean {
  const { filter, problems } = compileInclude(IncludeShape.parse(written) as IncludeDocument, FIELDS)
  expect(problems).toEqual([])
  return matches(filter, ada)
}

describe('an include filter', () => {
  test.each<[unknown, boolean]>([
    [{}, true],
    [{ tags: { has: 'CUSTOMER' } }, true],
    [{ tags: { has: 'cust' } }, false],
    [{ emails: 'present' }, true],
    [{ urls: 'present' }, false],
    [{ urls: 'blank' }, true],
    [{ title: { is: 'chief engineer' } }, true],
    [{ title: { in: ['Intern', 'Chief Engineer'] } }, true],
    [{ title: { in: ['Intern'] } }, false],
    [{ phones: { startsWith: '+49' } }, true],
    [{ phones: { startsWith: '(030)' } }, true],
    [{ emails: { endsWith: '@example.org' } }, true],
    [{ addresses: { contains: 'berlin' } }, true],
    [{ emails: { startsWith: 'ada', endsWith: '.com' } }, false],
    [{ tags: { has: 'customer' }, urls: 'present' }, false],
    [{ any: [{ urls: 'present' }, { emails: 'present' }] }, true],
    [{ all: [{ urls: 'present' }, { emails: 'present' }] }, false],
    [{ not: { urls: 'present' } }, true],
    [{ not: { emails: 'present', title: 'present' } }, false],
  ])('%j keeps Ada: %j', (written, expected) => expect(keeps(written)).toBe(expected))

  test('an element of a set that was taken away, or is blank, is not there', () => {
    const filter: Filter = { kind: 'field', field: 'emails', tests: [] }
    expect(matches(filter, { 'emails:x': { value: '' } })).toBe(false)
    expect(matches(filter, { 'emails:x': null })).toBe(false)
    expect(matches(filter, {})).toBe(false)
  })

  test('not, any and all keep the laws of logic', () => {
    const leaf: fc.Arbitrary<Filter> = fc.record({
      kind: fc.constant('field' as const),
      field: fc.constantFrom('title', 'tags', 'urls', 'emails'),
      tests: fc.constantFrom(
        [],
        [{ op: 'contains' as const, text: 'e' }],
        [{ op: 'in' as const, values: ['customer'] }],
      ),
    })
    const { filter } = fc.letrec<{ filter: Filter }>((tie) => ({
      filter: fc.oneof(
        { maxDepth: 4 },
        leaf,
        fc.record({ kind: fc.constant('not' as const), of: tie('filter') }),
        fc.record({
          kind: fc.constantFrom('any' as const, 'all' as const),
          of: fc.array(tie('filter'), { maxLength: 3 }),
        }),
      ),
    }))
    const not = (of: Filter): Filter => ({ kind: 'not', of })
    fc.assert(
      fc.property(filter, filter, (a, b) => {
        expect(matches(not(not(a)), ada)).toBe(matches(a, ada))
        const neither = matches({ kind: 'all', of: [not(a), not(b)] }, ada)
        expect(matches(not({ kind: 'any', of: [a, b] }), ada)).toBe(neither)
      }),
      { numRuns: 200 },
    )
  })

  test('unknown fields, tests that do not fit and tests that are not named are told at their place', async () => {
    const { errors, diagnostics } = await load(`connections:
  a:
    app: folder
    path: x
    include:
      emials: present
      tags: { is: customer }
      any:
        - title: { has: Boss }
      not: { note: {} }
`)
    expect(errors).toEqual([
      '6:7 there is no field "emials"',
      '7:15 "tags" holds several values, so "is" says nothing',
      '9:20 "title" holds one value, so "has" says nothing',
      '10:20 no test of "note" is named',
    ])
    expect(diagnostics[0]?.advice).toBe('Did you mean "emails"?')
  })

  test('a filter of the wrong shape is told where it is wrong', async () => {
    const text = (include: string) => `connections:\n  a: { app: folder, path: x, include: ${include} }\n`
    expect((await load(text('{ any: { tags: present } }'))).errors).toEqual([
      '2:46 "connections.a.include.any" must be a list, not a map',
    ])
    expect((await load(text('{ tags: { hsa: x } }'))).errors[0]).toMatch(/^2:4\d "connections.a.include.tags/)
    expect((await load(text('{ tags: customer }'))).errors[0]).toMatch(/must be present, blank, or a test/)
  })
})
