import { describe, expect, test } from '@jest/globals'
import { decideApply, type ApplyTerms } from '../../engine/core/apply.ts'
import { cleanUpItems, decideCleanUp } from '../../engine/core/clean-up.ts'
import { barredKeys, isKnownAsErased } from '../../engine/core/erasure.ts'
import type { JsonObject } from '../../engine/core/json.ts'
import { decideKeep } from '../../engine/core/keep.ts'
import type { Person } from '../../engine/core/person.ts'
import type { AppRecord } from '../../engine/core/ports/connector.ts'
import type { Kept, Link, Neighbourhood } from '../../engine/core/ports/store.ts'
import type { ConnectionRules } from '../../engine/core/rules.ts'
import { Workspace } from '../../engine/core/workspace.ts'
import { memoryRules } from '../support/rules.ts'

const NOW = 1_780_000_000_000
const rules = memoryRules([{ name: 'crm', consent: true }, { name: 'phone' }])
const crm = rules.connections.get('crm') as ConnectionRules

/** Ada was erased; by this she is known again. */
const BARRED = new Map([
  ['email:ada@example.org', 'e1'],
  ['record:crm/gone', 'e1'],
])
const ADA = { given: 'Ada', family: 'Lovelace', emails: [{ value: 'ada@example.org' }] }

const terms: ApplyTerms & { barred: ReadonlyMap<string, string> } = {
  now_ms: NOW,
  held: null,
  heldFields: new Map(),
  newId: () => 'new',
  deletionsHeld: null,
  barred: BARRED,
}

const record = (id: string, fields: JsonObject, rev = '2'): AppRecord => ({ id, rev, fields, modified_ms: NOW - 1000 })

function person(id: string, given: string, more: Partial<Person> = {}): Person {
  const stamp = { at: NOW - 5000, by: 'crm' }
  const cells = {
    'name.given': { value: given, stamp, rule: 'first' as const },
    'name.family': { value: 'Hopper', stamp, rule: 'first' as const },
  }
  return { id, version: 1, state: 'live', cells, ...more }
}

function link(recordId: string, more: Partial<Link> = {}): Link {
  return {
    connection: 'crm',
    recordId,
    personId: null,
    state: 'staged',
    fields: {},
    rev: '1',
    base_ms: {},
    rewrites: {},
    keys: [],
    recheck: false,
    version: 1,
    ...more,
  }
}

function hood(more: Partial<Neighbourhood> = {}): Neighbourhood {
  return { people: [], links: [], intents: [], conflicts: [], suspected: new Map(), ...more }
}

const grace = (fields: JsonObject = { given: 'Grace', family: 'Hopper' }): Neighbourhood =>
  hood({ people: [person('p1', 'Grace')], links: [link('r1', { personId: 'p1', state: 'linked', fields })] })

test.each<[string, string[], boolean]>([
  ['every address is barred', ['email:ada@example.org', 'phone:+4930'], true],
  ['one of two addresses is their own', ['email:ada@example.org', 'email:own@example.org'], false],
  ['a number that is not barred, and no address', ['phone:+4930'], false],
  ['nothing to be known by', [], false],
])('whether somebody is known as erased: %s', (_what, keys, known) => {
  expect(isKnownAsErased(keys, {}, BARRED)).toBe(known)
})

test('what somebody else has too is barred together with the name only (I7)', () => {
  const ada = person('p1', 'Ada')
  const own = link('r1', { personId: 'p1', keys: ['email:ada@example.org', 'email:info@example.org'] })
  expect(barredKeys([ada], [own], new Set(['email:info@example.org']))).toEqual([
    'email:ada@example.org',
    'email:info@example.org\nada hopper',
    'record:crm/r1',
  ])
})

describe('a record of somebody that turns into an erased person’s (I7)', () => {
  test('is let go: nothing of it becomes anybody’s, and it is known by its id only', () => {
    const ws = new Workspace(grace())
    decideApply(ws, rules, crm, [{ kind: 'record', record: record('r1', ADA) }], terms)
    const commit = ws.commit()
    expect(commit.links).toMatchObject([{ recordId: 'r1', personId: null, state: 'erased', fields: {}, keys: [] }])
    expect(commit.people).toEqual([])
    expect(commit.changes).toEqual([])
    expect(JSON.stringify(commit)).not.toContain('Lovelace')
  })

  test('is theirs still under their own name: what humans write of others goes on as an edit', () => {
    const ws = new Workspace(grace())
    const edited = record('r1', { given: 'Grace', family: 'Hopper', emails: ADA.emails })
    decideApply(ws, rules, crm, [{ kind: 'record', record: edited }], terms)
    expect(ws.commit().links).toMatchObject([{ recordId: 'r1', personId: 'p1', state: 'linked' }])
  })

  test('leaves a record of the person who is being erased to be deleted', () => {
    const erased = hood({
      people: [person('p1', 'Grace', { state: 'erased' })],
      links: [link('r1', { personId: 'p1', state: 'linked' })],
    })
    const ws = new Workspace(erased)
    decideApply(ws, rules, crm, [{ kind: 'record', record: record('r1', ADA) }], terms)
    expect(ws.commit().links).toMatchObject([{ recordId: 'r1', personId: 'p1', state: 'linked' }])
    expect(ws.commit().intents).toMatchObject([{ op: 'delete', recordId: 'r1', erase: true }])
  })
})

describe('in a pause (I7, I10)', () => {
  const kept = (fields: JsonObject): Kept => {
    return { connection: 'crm', recordId: 'r1', record: record('r1', fields, '1'), end: null, heard_ms: NOW, mark: 7 }
  }

  test('a new record of somebody who was erased is not kept: it takes no part', () => {
    const ws = new Workspace(hood())
    const decided = decideKeep(ws, rules, crm, [{ kind: 'record', record: record('r1', ADA) }], [], terms)
    expect(decided).toEqual({ keep: [], unkeep: [] })
    expect(ws.commit().links).toMatchObject([{ recordId: 'r1', state: 'erased', fields: {}, reason: 'erased: e1' }])
  })

  test('what was kept of one before it was erased is kept no longer when it is heard again', () => {
    const ws = new Workspace(hood())
    const before = kept({ ...ADA, note: 'x' })
    const decided = decideKeep(ws, rules, crm, [{ kind: 'record', record: record('r1', ADA) }], [before], terms)
    expect(decided).toEqual({ keep: [], unkeep: [before] })
  })

  test('what is heard of somebody who is being erased waits for nobody’s decision', () => {
    const erased = hood({
      people: [person('p1', 'Ada', { state: 'erased' })],
      links: [link('r1', { personId: 'p1', state: 'linked' })],
    })
    for (const sighting of [
      { kind: 'record', record: record('r1', ADA) },
      { kind: 'gone', id: 'r1' },
    ] as const) {
      const ws = new Workspace(erased)
      expect(decideKeep(ws, rules, crm, [sighting], [kept(ADA)], terms).keep).toEqual([])
      expect(ws.commit().links).toMatchObject([{ recordId: 'r1', personId: 'p1' }])
    }
  })

  test('no revert makes a person of one, not even to delete it: it takes no part, and is offered to be deleted', () => {
    for (const way of ['release', 'drop', 'revert'] as const) {
      const ws = new Workspace(hood())
      const items = cleanUpItems([kept(ADA)], () => undefined)
      const { done } = decideCleanUp(ws, rules, crm, items, way, null, new Map(), terms)
      expect(done).toHaveLength(1)
      const commit = ws.commit()
      expect(commit.people).toEqual([])
      // Released, it waits to be matched, as any that is heard, and is excluded there.
      expect(commit.links).toMatchObject([
        { recordId: 'r1', personId: null, state: way === 'release' ? 'staged' : 'erased' },
      ])
    }
  })

  test('dropped, a record that a human has turned into an erased person’s is let go', () => {
    const ws = new Workspace(grace())
    const items = cleanUpItems([kept(ADA)], (id) => ws.link('crm', id))
    decideCleanUp(ws, rules, crm, items, 'drop', null, new Map(), terms)
    expect(ws.commit().links).toMatchObject([{ recordId: 'r1', personId: null, state: 'erased', fields: {} }])
  })

  test('reverted, a record that was nobody’s and was merged away is gone, and matched with nobody (I1)', () => {
    const ws = new Workspace(hood({ links: [link('r1')] }))
    const merged: Kept = { ...kept({}), record: null, end: { kind: 'merged', into: 'r2' } }
    decideCleanUp(
      ws,
      rules,
      crm,
      cleanUpItems([merged], (id) => ws.link('crm', id)),
      'revert',
      null,
      new Map(),
      terms,
    )
    expect(ws.commit().links).toMatchObject([{ recordId: 'r1', personId: null, state: 'gone' }])
  })

  test('consent that was refused while a record was nobody’s is planned back once it is somebody’s (I7)', () => {
    const said = { given: 'Grace', family: 'Hopper', emails: [{ value: 'grace@example.org' }] }
    const linked = link('r1', { personId: 'p1', state: 'linked', fields: { ...said, consent: 'unsubscribed' } })
    const ws = new Workspace(hood({ people: [person('p1', 'Grace')], links: [linked] }))
    // The box was taken out when the record was nobody's: what is kept says so, so it is no news by now.
    const before = kept({ ...said, consent: null })
    const same = record('r1', { ...said, consent: null }, '1')
    decideKeep(ws, rules, crm, [{ kind: 'record', record: same }], [before], terms)
    expect(ws.commit().links).toMatchObject([{ recordId: 'r1', fields: { consent: null } }])
    expect(ws.commit().unplanned).toEqual(['p1'])
  })
})
