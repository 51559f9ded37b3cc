import { describe, expect, test } from '@jest/globals'
import { linkRecord, mergePeople, resolveConflict, setCells } from '../../engine/core/act.ts'
import { planPerson } from '../../engine/core/plan.ts'
import type { Person } from '../../engine/core/person.ts'
import type { Conflict, Link, Neighbourhood } from '../../engine/core/ports/store.ts'
import type { ConnectionRules } from '../../engine/core/rules.ts'
import { Workspace } from '../../engine/core/workspace.ts'
import { memoryRules } from '../support/rules.ts'

const NOW = 1_780_000_000_000
const actor = { at_ms: NOW, by: 'ada' }
const rules = memoryRules([{ name: 'crm' }, { name: 'desk' }], { title: { kind: 'manual' } })

function person(id: string, title: string, at = 5): Person {
  return { id, version: 1, state: 'live', cells: { title: { value: title, stamp: { at, by: 'crm' }, rule: 'first' } } }
}

function link(connection: string, recordId: string, personId: string | null, title: string): Link {
  const fields = Object.fromEntries(
    (rules.connections.get(connection) as ConnectionRules).lens.appFields.map((name) => [name, null]),
  )
  return {
    connection,
    recordId,
    personId,
    state: personId === null ? 'ambiguous' : 'linked',
    fields: { ...fields, title },
    rev: '1',
    base_ms: { '*': 5 },
    rewrites: {},
    keys: [],
    recheck: false,
    version: 1,
  }
}

const conflict: Conflict = {
  personId: 'p1',
  cell: 'title',
  connection: 'desk',
  recordId: 'd1',
  ours: 'CTO',
  theirs: 'Chair',
  theirsStamp: { at: 7, by: 'desk' },
  open: true,
}

const hood: Neighbourhood = {
  people: [person('p1', 'CTO'), person('p2', 'CTO', NOW + 50)],
  links: [
    link('crm', 'c1', 'p1', 'CTO'),
    link('desk', 'd1', 'p1', 'Chair'),
    link('crm', 'c2', 'p2', 'CTO'),
    link('desk', 'd9', null, 'Boss'),
  ],
  intents: [],
  conflicts: [conflict],
  suspected: new Map(),
}

function planned(ws: Workspace) {
  const terms = { now_ms: NOW, held: null, heldFields: new Map<string, string>(), newId: () => 'i' }
  for (const id of ws.touchedPeople) planPerson(ws, rules, id, terms)
  return (ws.commit().intents ?? []).map(({ connection, recordId, fields }) => [connection, recordId, fields])
}

describe('what an operator does', () => {
  test('sets a value that wins over everything that stands, with who did it', () => {
    const ws = new Workspace(hood)
    setCells(ws, rules, 'p2', { title: 'Boss' }, actor)
    expect(ws.person('p2')?.cells['title']).toEqual({
      value: 'Boss',
      stamp: { at: NOW + 51, by: 'operator:ada' },
      rule: 'act',
    })
    expect(ws.commit().changes).toMatchObject([{ before: 'CTO', after: 'Boss', rule: 'act', recordId: null }])
    expect(planned(ws)).toEqual([['crm', 'c2', { title: 'Boss' }]])
  })

  test.each([
    ['ours', [['desk', 'd1', { title: 'CTO' }]]],
    ['theirs', [['crm', 'c1', { title: 'Chair' }]]],
  ] as const)('decides a conflict for %s, and the other side follows', (choice, writes) => {
    const ws = new Workspace(hood)
    expect(resolveConflict(ws, rules, conflict, choice, actor)).toBe(true)
    expect(planned(ws)).toEqual(writes)
    expect(ws.commit().conflicts).toEqual([{ ...conflict, open: false }])
    expect(resolveConflict(ws, rules, conflict, choice, actor)).toBe(false)
  })

  test('says who a record is; what it says is heard', () => {
    const ws = new Workspace(hood)
    const desk = rules.connections.get('desk') as ConnectionRules
    expect(linkRecord(ws, rules, desk, 'd9', 'p2', actor)).toBeNull()
    expect(ws.link('desk', 'd9')).toMatchObject({ state: 'linked', personId: 'p2' })
    expect(ws.commit().unplanned).toEqual(['p2'])
    expect(linkRecord(ws, rules, desk, 'd9', 'p2', actor)).toMatch(/does not wait/)
  })

  test('does not give a person two records in one connection (I4)', () => {
    const ws = new Workspace(hood)
    const desk = rules.connections.get('desk') as ConnectionRules
    expect(linkRecord(ws, rules, desk, 'd9', 'p1', actor)).toBe('the person already has the record d1 there')
    expect(ws.commit().links).toEqual([])
  })

  test('makes two people one: a second record of one connection waits, nothing is lost', () => {
    const ws = new Workspace(hood)
    expect(mergePeople(ws, 'p1', 'p2', actor)).toBeNull()
    expect(ws.person('p1')).toMatchObject({ state: 'merged', mergedInto: 'p2' })
    expect(ws.link('desk', 'd1')?.personId).toBe('p2')
    expect(ws.link('crm', 'c1')).toMatchObject({ state: 'second', personId: 'p1', candidates: ['p2'] })
    expect(mergePeople(ws, 'p1', 'p2', actor)).toBe('one of the two was merged already')
  })
})
