import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import {
  CAUSES,
  causeOf,
  countedCause,
  HEALTH_STATES,
  healthOf,
  type HealthCause,
  type Place,
} from '../../engine/core/health.ts'
import type { Failure } from '../../engine/core/failure.ts'
import type { Json } from '../../engine/core/json.ts'
import { DUPLICATE, SECOND_RECORD } from '../../engine/core/people.ts'
import type { Person } from '../../engine/core/person.ts'
import type { Conflict, Intent, IntentState, Link, LinkState } from '../../engine/core/ports/store.ts'
import { Standard } from '../../engine/core/standard.ts'
import type { ConnectionRules } from '../../engine/core/rules.ts'
import { readings } from '../../mappings/readings.ts'
import { memoryRules } from '../support/rules.ts'

const REFUSED: Failure = { kind: 'permanent', message: 'the field is too long' }
const rules = memoryRules([{ name: 'crm' }])
const crm = rules.connections.get('crm') as ConnectionRules

const link = (state: LinkState, more: Partial<Link> = {}): Link => ({
  connection: 'crm',
  recordId: 'r',
  personId: 'p',
  state,
  fields: { given: 'Ada' },
  rev: '1',
  base_ms: {},
  rewrites: {},
  keys: [],
  recheck: false,
  version: 1,
  ...more,
})
const person = (
  state: Person['state'] = 'live',
  values: { [cell: string]: Json } = { 'name.given': 'Ada' },
): Person => ({
  id: 'p',
  version: 1,
  state,
  cells: Object.fromEntries(
    Object.entries(values).map(([cell, value]) => [cell, { value, stamp: { at: 1, by: 'crm' }, rule: 'first' }]),
  ),
})
const intent = (state: IntentState, more: Partial<Intent> = {}): Intent => ({
  id: 'i',
  connection: 'crm',
  personId: 'p',
  op: 'update',
  recordId: 'r',
  rev: '1',
  archive: false,
  fields: {},
  cells: {},
  state,
  released: false,
  attempts: 0,
  notBefore_ms: 0,
  planned_ms: 0,
  urgent: false,
  ...more,
})
const conflict: Conflict = {
  personId: 'p',
  cell: 'title',
  connection: 'crm',
  recordId: 'r',
  ours: null,
  theirs: 'Boss',
  open: true,
  theirsStamp: { at: 1, by: 'crm' },
}

type Change = Omit<Partial<Place>, 'connection'> & { readonly at?: Partial<Place['connection']> }

function place({ at, ...more }: Change = {}): Place {
  return {
    connection: { name: 'crm', mode: 'live', paused: false, failure: null, rules: crm, ...at },
    link: link('linked'),
    person: person(),
    intent: null,
    sending: false,
    unplanned: false,
    conflicts: [],
    suspected: false,
    ...more,
  }
}

const ruled = (more: Partial<ConnectionRules>): Partial<Place['connection']> => ({ rules: { ...crm, ...more } })
const nobody = { link: null }
const include = { kind: 'field' as const, field: 'tags', tests: [] }

const EXAMPLES: readonly (readonly [HealthCause, Change])[] = [
  ['agrees', {}],
  ['agrees', { at: ruled({ direction: 'in' }) }],
  ['sending', { sending: true }],
  ['pending', { intent: intent('pending') }],
  ['retry', { intent: intent('pending', { attempts: 2, failure: REFUSED }) }],
  ['app', { intent: intent('pending'), at: { failure: REFUSED } }],
  ['app', { ...nobody, at: { rules: null } }],
  ['matching', { link: link('staged', { personId: null }), person: null }],
  ['reading', { link: link('linked', { recheck: true }) }],
  ['planning', { unplanned: true }],
  ['planning', { ...nobody, unplanned: true }],
  ['erasing', { person: person('erased') }],
  ['approval', { intent: intent('held', { held: 'approval' }) }],
  ['observe', { intent: intent('pending'), at: { mode: 'observe' } }],
  ['brake', { intent: intent('held', { held: 'brake: too many' }) }],
  ['standard', { ...nobody, intent: intent('held', { op: 'create', held: 'standard: E-mail is missing' }) }],
  ['conflict', { conflicts: [conflict] }],
  ['duplicate', { link: link('second'), person: person('merged') }],
  ['duplicate', { link: link('second'), person: person('merged'), intent: intent('held', { held: DUPLICATE }) }],
  ['deletions', { link: link('missing', { reason: 'brake: it reads empty' }) }],
  ['refused', { intent: intent('parked', { failure: REFUSED }) }],
  ['refused', { intent: intent('parked'), at: { paused: true } }],
  ['match', { link: link('ambiguous', { personId: null, reason: '2 people' }), person: null }],
  ['second', { link: link('ambiguous', { personId: null, reason: SECOND_RECORD }), person: null }],
  ['broken', { link: link('linked', { failure: REFUSED }) }],
  ['broken', { link: link('unreadable', { personId: null }), person: null }],
  ['paused', { at: { paused: true } }],
  ['paused', { at: { mode: 'paused' }, intent: intent('pending') }],
  ['erased', { link: link('erased', { personId: null }), person: null }],
  ['deleted', { person: person('deleted') }],
  ['merged', { person: person('merged') }],
  ['direction', { ...nobody, at: ruled({ direction: 'in' }) }],
  ['direction', { person: person('live', { title: 'Countess' }), at: ruled({ direction: 'in' }) }],
  ['create', { ...nobody, at: ruled({ create: false }) }],
  ['unlinked', { link: link('gone') }],
  ['dropped', { link: link('gone'), at: ruled({ deletes: 'ignore' }) }],
  ['suspected', { ...nobody, suspected: true }],
  ['include', { ...nobody, at: ruled({ include }) }],
  ['include', { person: person('live', { title: 'Countess' }), at: ruled({ include }) }],
  ['agrees', { at: ruled({ include }) }],
  ['requires', { ...nobody, at: ruled({ requires: ['emails'] }) }],
  ['nobody', { ...nobody, person: person('live', { title: 'Countess' }) }],
  ['dropped', { ...nobody }],
  ['dropped', { person: person('live', { title: 'Countess' }) }],
]

describe('the health of a record', () => {
  test.each(EXAMPLES.map(([cause, change], index) => [cause, index, change] as const))(
    '%s (%i)',
    (cause, _, change) => {
      const health = healthOf(place(change), rules)
      expect(health).toMatchObject({ cause, state: CAUSES[cause] })
    },
  )

  test('has an example of every cause', () => {
    expect(new Set(EXAMPLES.map(([cause]) => cause))).toEqual(new Set(Object.keys(CAUSES)))
  })

  test('a value that the standard holds is told from a conflict', () => {
    const check = { kind: 'allowed' as const, values: ['Countess'] }
    const asked = { id: 'title.allowed', field: 'title', part: null, check, connections: null }
    const standard = new Standard([{ ...asked, action: 'hold', otherwise: 'warn' }], readings('DE'))
    expect(healthOf(place({ conflicts: [conflict] }), { ...rules, standard })).toEqual({
      state: 'held',
      cause: 'standard',
      command: 'kith review',
      why: 'standard: Job title held as it was said there',
    })
  })

  const arbitrary: fc.Arbitrary<Place> = fc
    .record({
      link: fc.option(
        fc.record({
          state: fc.constantFrom<LinkState>(
            ...(['staged', 'linked', 'ambiguous', 'second', 'missing', 'unreadable', 'gone', 'erased'] as const),
          ),
          more: fc.record(
            { recheck: fc.boolean(), failure: fc.constant(REFUSED), reason: fc.constantFrom('x', SECOND_RECORD) },
            { requiredKeys: ['recheck'] },
          ),
        }),
      ),
      person: fc.option(
        fc.record({
          state: fc.constantFrom<Person['state']>('live', 'deleted', 'archived', 'merged', 'erased'),
          values: fc.constantFrom<{ [cell: string]: Json }>({}, { 'name.given': 'Ada' }, { title: 'x' }),
        }),
      ),
      intent: fc.option(
        fc.record({
          state: fc.constantFrom<IntentState>('held', 'pending', 'parked'),
          more: fc.record(
            {
              held: fc.constantFrom('approval', 'observe', 'brake: x', 'standard: y', DUPLICATE, 'something else'),
              attempts: fc.nat(2),
              failure: fc.constant(REFUSED),
            },
            { requiredKeys: [] },
          ),
        }),
      ),
      flags: fc.record({ sending: fc.boolean(), unplanned: fc.boolean(), suspected: fc.boolean() }),
      conflicts: fc.constantFrom([], [conflict]),
      at: fc.record({
        mode: fc.constantFrom<'live' | 'observe' | 'paused'>('live', 'observe', 'paused'),
        paused: fc.boolean(),
        failure: fc.constantFrom(null, REFUSED),
        known: fc.boolean(),
      }),
      over: fc.record(
        {
          direction: fc.constantFrom<'both' | 'in' | 'out'>('both', 'in', 'out'),
          create: fc.boolean(),
          deletes: fc.constantFrom<'unlink' | 'ignore'>('unlink', 'ignore'),
          include: fc.constantFrom(null, include),
          requires: fc.constantFrom([], ['emails']),
        },
        { requiredKeys: [] },
      ),
    })
    .map(({ link: record, person: who, intent: open, flags, conflicts, at: { known, ...at }, over }) =>
      place({
        link: record && link(record.state, record.more),
        person: who && person(who.state, who.values),
        intent: open && intent(open.state, open.more),
        ...flags,
        conflicts,
        at: { ...at, rules: known ? { ...crm, ...over } : null },
      }),
    )

  /** Nothing under way: the rules say the last word. */
  const calm = (one: Place): Place => {
    const state = one.person?.state === 'merged' ? 'merged' : 'live'
    const recheck = one.sending && one.link?.recheck === true
    const at = one.link?.state === 'gone' ? 'gone' : 'linked'
    return {
      ...one,
      person: one.person && { ...one.person, state },
      intent: null,
      sending: false,
      unplanned: false,
      connection: { ...one.connection, mode: 'live', paused: false },
      link: one.link && link(at, { recheck }),
      conflicts: [],
    }
  }

  test('is exactly one, whatever link, write, person and rules: with a sentence, and a command where something is to be done', () => {
    fc.assert(
      fc.property(fc.oneof(arbitrary, arbitrary.map(calm)), (one) => {
        const health = healthOf(one, rules)
        expect(HEALTH_STATES).toContain(health.state)
        expect(CAUSES[health.cause]).toBe(health.state)
        expect(health.why).not.toBe('')
        const itself = health.state === 'in-sync' || health.state === 'waiting'
        expect(itself || health.command !== null).toBe(true)
        // What is counted without the rules differs only where the rules say the last word.
        const facts = {
          link: one.link && { ...one.link, broken: one.link.failure !== undefined },
          intent: one.intent && { ...one.intent, held: one.intent.held ?? null },
          sending: one.sending,
          person: one.person?.state ?? null,
          unplanned: one.unplanned,
          conflict: one.conflicts.length > 0,
          connection: { ...one.connection, failing: one.connection.failure !== null },
        }
        const counted = countedCause(facts)
        const fitting: { readonly [counted: string]: readonly string[] } = {
          absent: ['excluded', 'waiting'],
          agrees: ['in-sync', 'excluded', 'waiting'],
        }
        const same = causeOf(facts) !== 'rest' || fitting[counted] === undefined
        expect(same ? [counted] : fitting[counted]).toContain(same ? health.cause : health.state)
      }),
      { numRuns: 2000 },
    )
  })
})
