import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { mergeCell, type Heard, type MergeTerms } from '../../engine/core/merge.ts'
import type { Cell } from '../../engine/core/person.ts'
import type { Policy } from '../../engine/core/rules.ts'
import { compareStamps, stampOf } from '../../engine/core/stamp.ts'

const NOW = 1_780_000_000_000
const BASE_AT = NOW - 60_000
const base: Cell = { value: 'base', stamp: { at: BASE_AT, by: 'crm' }, rule: 'first' }

function terms(policy: Policy, current: Cell | undefined): MergeTerms {
  const ownerSpoke = policy.kind === 'owner' && current?.stamp.by === policy.connection
  return { policy, ownerSpoke, now_ms: NOW, window_ms: 3_600_000, equal: (a, b) => a === b }
}

/** Hears values one after the other, the way concurrent edits of several apps arrive. */
function hearAll(start: Cell | undefined, edits: readonly Heard[], policy: Policy): Cell | undefined {
  let current = start
  for (const edit of edits) {
    const verdict = mergeCell(current, edit, terms(policy, current))
    if (verdict.kind === 'applied' || (verdict.kind === 'agreed' && verdict.cell)) current = verdict.cell
  }
  return current
}

/** Edits that several apps made over the same base, each in an app of its own, with clocks that lie. */
const concurrent = fc
  .uniqueArray(fc.constantFrom('crm', 'desk', 'phone', 'sheet'), { minLength: 2, maxLength: 4 })
  .chain((apps) =>
    fc.tuple(
      ...apps.map((by) =>
        fc
          .record({
            value: fc.constantFrom('a', 'b', 'c', null),
            vendor_ms: fc.integer({ min: BASE_AT - 90_000, max: NOW + 90_000 }),
          })
          .map(({ value, vendor_ms }): Heard => ({
            cell: 'title',
            value,
            base: 'base',
            stamp: stampOf(by, NOW, vendor_ms, BASE_AT),
          })),
      ),
    ),
  )

const policies: Policy[] = [{ kind: 'latest' }, { kind: 'prefer', order: ['desk', 'phone'] }, { kind: 'fill' }]

describe('concurrent edits end the same, whatever the order they are heard in (I8)', () => {
  for (const policy of policies) {
    test(`policy ${policy.kind}`, () => {
      fc.assert(
        fc.property(concurrent, fc.infiniteStream(fc.nat()), (edits, numbers) => {
          const shuffled = [...edits]
          for (let index = shuffled.length - 1; index > 0; index--) {
            const other = (numbers.next().value as number) % (index + 1)
            ;[shuffled[index], shuffled[other]] = [shuffled[other] as Heard, shuffled[index] as Heard]
          }
          const one = hearAll(base, edits, policy)
          const two = hearAll(base, shuffled, policy)
          expect({ value: two?.value, stamp: two?.stamp }).toEqual({ value: one?.value, stamp: one?.stamp })
        }),
        { numRuns: 500 },
      )
    })
  }
})

test('an edit over a known base stands against that base, whatever the clocks say', () => {
  fc.assert(
    fc.property(fc.integer({ min: -1e12, max: 1e12 }), (skew_ms) => {
      const edit: Heard = {
        cell: 'title',
        value: 'new',
        base: 'base',
        stamp: stampOf('desk', NOW, NOW + skew_ms, BASE_AT),
      }
      const verdict = mergeCell(base, edit, terms({ kind: 'latest' }, base))
      expect(verdict).toMatchObject({ kind: 'applied', cell: { value: 'new' } })
      expect(compareStamps(edit.stamp, base.stamp)).toBeGreaterThan(0)
      expect(edit.stamp.at).toBeLessThanOrEqual(Math.max(NOW, BASE_AT + 1))
    }),
  )
})

test('the loser of a conflict is handed back, to be kept (I3)', () => {
  const moved: Cell = { value: 'theirs', stamp: { at: NOW - 10, by: 'phone' }, rule: 'edit' }
  const edit: Heard = { cell: 'title', value: 'ours', base: 'base', stamp: { at: NOW, by: 'desk' } }
  expect(mergeCell(moved, edit, terms({ kind: 'latest' }, moved))).toMatchObject({
    kind: 'applied',
    lost: { value: 'theirs' },
  })
  const late: Heard = { ...edit, stamp: { at: NOW - 20, by: 'desk' } }
  expect(mergeCell(moved, late, terms({ kind: 'latest' }, moved))).toEqual({ kind: 'lost', rule: 'latest' })
})

describe('policies', () => {
  const edit: Heard = { cell: 'title', value: 'new', base: 'base', stamp: { at: NOW, by: 'desk' } }

  test('only the owner changes a field once it has spoken; before that, others may', () => {
    const policy: Policy = { kind: 'owner', connection: 'crm' }
    expect(mergeCell(base, edit, terms(policy, base))).toEqual({ kind: 'refused', rule: 'owner' })
    const others: Cell = { ...base, stamp: { at: BASE_AT, by: 'phone' } }
    expect(mergeCell(others, edit, terms(policy, others))).toMatchObject({ kind: 'applied' })
    const owners: Heard = { ...edit, stamp: { at: BASE_AT - 5000, by: 'crm' }, base: undefined }
    expect(mergeCell(others, owners, terms(policy, others))).toMatchObject({ kind: 'applied', cell: { rule: 'owner' } })
  })

  test('a filled field stays as it is', () => {
    expect(mergeCell(base, edit, terms({ kind: 'fill' }, base))).toEqual({ kind: 'refused', rule: 'fill' })
    const blank: Cell = { ...base, value: null }
    const fill = { ...edit, base: null }
    expect(mergeCell(blank, fill, terms({ kind: 'fill' }, blank))).toMatchObject({
      kind: 'applied',
      cell: { rule: 'fill' },
    })
  })

  test('a manual conflict moves nothing; an edit without one flows', () => {
    const moved: Cell = { ...base, value: 'elsewhere', stamp: { at: NOW - 1, by: 'phone' } }
    expect(mergeCell(moved, edit, terms({ kind: 'manual' }, moved))).toEqual({ kind: 'conflict' })
    expect(mergeCell(base, edit, terms({ kind: 'manual' }, base))).toMatchObject({ kind: 'applied' })
  })
})

describe('elements of a set', () => {
  const cell: Cell = { value: { value: '+49 30 1', label: 'work' }, stamp: base.stamp, rule: 'first' }
  const label = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b)

  test('an attribute that an app does not speak of is kept', () => {
    const edit: Heard = {
      cell: 'phones:+49301',
      value: { value: '+49301', pref: true },
      base: { value: '+49301' },
      stamp: { at: NOW, by: 'desk' },
    }
    const verdict = mergeCell(cell, edit, { ...terms({ kind: 'latest' }, cell), equal: (a, b) => label(a, b) })
    expect(verdict).toMatchObject({
      kind: 'applied',
      cell: { value: { value: '+49 30 1', label: 'work', pref: true } },
    })
  })
})

test('a value that goes back and forth is counted, within the window', () => {
  let current: Cell | undefined = base
  for (let turn = 1; turn <= 6; turn++) {
    const value: string = turn % 2 === 1 ? 'other' : 'base'
    const by = turn % 2 === 1 ? 'desk' : 'crm'
    const edit: Heard = { cell: 'title', value, base: current?.value ?? null, stamp: { at: BASE_AT + turn, by } }
    const verdict = mergeCell(current, edit, terms({ kind: 'latest' }, current))
    current = verdict.kind === 'applied' ? verdict.cell : current
  }
  expect(current?.flips?.count).toBe(5)
})
