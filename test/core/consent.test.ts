import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import {
  CONSENT_STATES,
  effectiveConsent,
  EVENTS_MAX,
  hearConsent,
  isRestrictive,
  strictest,
  type Consent,
  type ConsentEvent,
  type ConsentState,
} from '../../engine/core/consent.ts'
import type { Person } from '../../engine/core/person.ts'

const KEY = 'email:ada@example.org'
type Told = Omit<ConsentEvent, 'kind'>
const told = (state: ConsentState, at: number, optIn_ms: number | null = null, by = 'news'): Told => {
  return { state, stamp: { at, by }, recordId: 'r1', optIn_ms, heard_ms: at }
}
const hearAll = (...events: Told[]): Consent | undefined =>
  events.reduce<Consent | undefined>((entry, event) => hearConsent(entry, KEY, event) ?? entry, undefined)

describe('consent (I7)', () => {
  test.each<[string, Told[], ConsentState]>([
    ['the first that is told stands', [told('subscribed', 1)], 'subscribed'],
    ['a stricter state stands at once', [told('subscribed', 5, 5), told('unsubscribed', 9)], 'unsubscribed'],
    ['a looser one does not, however late', [told('unsubscribed', 5), told('subscribed', 99)], 'unsubscribed'],
    ['a later opt-in of the person loosens', [told('unsubscribed', 5), told('subscribed', 9, 8)], 'subscribed'],
    ['an earlier opt-in does not', [told('unsubscribed', 5), told('subscribed', 9, 4)], 'unsubscribed'],
    [
      'an old restriction does not undo a later opt-in',
      [told('subscribed', 9, 8), told('unsubscribed', 5)],
      'subscribed',
    ],
    ['a restriction after the opt-in does', [told('subscribed', 9, 8), told('unsubscribed', 9)], 'unsubscribed'],
    [
      'a complaint is stricter than a bounce',
      [told('bounced', 1), told('complained', 2), told('bounced', 3)],
      'complained',
    ],
    ['a bounce is not loosened into an unsubscription', [told('bounced', 1), told('unsubscribed', 2)], 'bounced'],
  ])('%s', (_name, events, state) => {
    expect(hearAll(...events)?.state).toBe(state)
  })

  const anyTold = fc.record({
    state: fc.constantFrom(...CONSENT_STATES),
    at: fc.integer({ min: 1, max: 50 }),
    optIn: fc.option(fc.integer({ min: 1, max: 50 })),
  })

  test('whatever is told in whatever order, a restriction ends with a later opt-in only', () => {
    fc.assert(
      fc.property(fc.array(anyTold, { maxLength: 12 }), (list) => {
        const events = list.map(({ state, at, optIn }) => told(state, at, state === 'subscribed' ? optIn : null))
        const entry = hearAll(...events)
        const optIn = Math.max(0, ...events.map((event) => event.optIn_ms ?? 0))
        const isForbidden = events.some((event) => isRestrictive(event.state) && event.stamp.at >= optIn)
        const isKept = entry !== undefined && isRestrictive(entry.state)
        return isKept || !isForbidden
      }),
    )
    expect(hearAll(told('unsubscribed', 5))?.state).toBe('unsubscribed')
  })

  test('telling the same twice tells nothing new', () => {
    fc.assert(
      fc.property(fc.array(anyTold, { minLength: 1, maxLength: 8 }), (list) => {
        const events = list.map(({ state, at, optIn }) => told(state, at, optIn))
        const entry = hearAll(...events)
        const last = events.at(-1) as Told
        const again = hearConsent(hearConsent(entry, KEY, last) ?? entry, KEY, last)
        expect(again).toBeUndefined()
      }),
    )
  })

  test('the story is bounded, and keeps the first restriction', () => {
    const events = Array.from({ length: 3 * EVENTS_MAX }, (_, n) =>
      n % 2 === 0 ? told('unsubscribed', 10 * n + 1) : told('subscribed', 10 * n + 9, 10 * n + 5),
    )
    const entry = hearAll(...events)
    expect(entry?.events).toHaveLength(EVENTS_MAX)
    expect(entry?.events[0]?.stamp.at).toBe(1)
  })

  test('unknown is the least strict', () => {
    expect(strictest(undefined, 'pending')).toBe('pending')
    expect(strictest('bounced', 'subscribed')).toBe('bounced')
  })
})

describe('consent of a person', () => {
  const person = (cells: { [cell: string]: boolean }): Person => ({
    id: 'p',
    version: 1,
    state: 'live',
    cells: Object.fromEntries(
      Object.entries(cells).map(([cell, there]) => [
        cell,
        { value: there ? { value: cell } : null, stamp: { at: 1, by: 'crm' }, rule: 'edit' as const },
      ]),
    ),
  })
  const ledger = (entries: { [key: string]: Told }) => (key: string) =>
    entries[key] && hearConsent(undefined, key, entries[key])
  const OLD = 'email:old@x.org'
  const NEW = 'email:new@x.org'
  const moved = person({ 'emails:old@x.org': false, 'emails:new@x.org': true })

  test('whoever has unsubscribed is not mailed at the next address', () => {
    expect(effectiveConsent(moved, NEW, ledger({ [OLD]: told('unsubscribed', 5) }))?.state).toBe('unsubscribed')
    const restated = ledger({ [OLD]: told('unsubscribed', 5), [NEW]: told('subscribed', 9) })
    expect(effectiveConsent(moved, NEW, restated)?.state).toBe('unsubscribed')
  })

  test('an opt-in with the new address counts; a bounce stays with the old one', () => {
    const optedIn = ledger({ [OLD]: told('unsubscribed', 5), [NEW]: told('subscribed', 9, 8) })
    expect(effectiveConsent(moved, NEW, optedIn)?.state).toBe('subscribed')
    expect(effectiveConsent(moved, NEW, ledger({ [OLD]: told('bounced', 5) }))).toBeUndefined()
  })

  test('two addresses held at once have each their own', () => {
    const both = person({ 'emails:old@x.org': true, 'emails:new@x.org': true })
    expect(effectiveConsent(both, NEW, ledger({ [OLD]: told('unsubscribed', 5) }))).toBeUndefined()
  })
})
