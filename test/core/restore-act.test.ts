import { describe, expect, test } from '@jest/globals'
import type { Cell, Person } from '../../engine/core/person.ts'
import type { Link, Neighbourhood } from '../../engine/core/ports/store.ts'
import { pastKeys, restorePerson, type Past } from '../../engine/core/restore-act.ts'
import type { ConnectionRules } from '../../engine/core/rules.ts'
import { Workspace } from '../../engine/core/workspace.ts'
import { memoryRules } from '../support/rules.ts'

const rules = memoryRules([{ name: 'crm' }])
const connection = rules.connections.get('crm') as ConnectionRules
const actor = { at_ms: 9_000, by: 'ada' }
const cell = (value: Cell['value'], at = 1_000): Cell => ({ value, stamp: { at, by: 'crm' }, rule: 'first' })

const then: Person = {
  id: 'p1',
  version: 1,
  state: 'live',
  cells: { title: cell('CTO'), 'emails:ada@example.org': cell({ value: 'ada@example.org' }) },
}
const now: Person = {
  ...then,
  version: 5,
  cells: { title: cell('Wrong', 2_000), 'emails:ada@example.org': cell(null, 2_000) },
}
const past: Past = { person: then, recordId: 'r1', records: [{ connection: 'crm', recordId: 'r1' }] }
const linked: Link = {
  connection: 'crm',
  recordId: 'r1',
  personId: 'p1',
  state: 'linked',
  fields: {},
  rev: '1',
  base_ms: {},
  rewrites: {},
  keys: [],
  recheck: false,
  version: 1,
}
const hood = (person: Person): Neighbourhood => {
  return { people: [person], links: [linked], intents: [], conflicts: [], suspected: new Map() }
}

function restore(person: Person, barred: readonly string[]) {
  const ws = new Workspace(hood(person))
  const keys = new Map(barred.map((key) => [key, 'e1']))
  const part = restorePerson(ws, rules, past, { connection, fields: null, overEdits: true, barred: keys }, actor)
  return { part, commit: ws.commit() }
}

describe('a restore brings nobody back who was erased (I7)', () => {
  test('what has to be looked up are the addresses and the records of then', () => {
    expect(pastKeys(past)).toEqual(['email:ada@example.org', 'record:crm/r1'])
  })

  test('not an address of theirs that somebody else had then', () => {
    const { part, commit } = restore(now, ['email:ada@example.org'])
    expect(part).toMatchObject({ back: [{ cell: 'title' }], left: [], erased: 1 })
    expect(commit.people?.[0]?.cells['emails:ada@example.org']?.value).toBeNull()
    expect(commit.people?.[0]?.cells['title']?.value).toBe('CTO')
  })

  test.each<[string, Person, string[]]>([
    ['nor anything where the record was theirs, whoever has it now', now, ['record:crm/r1']],
    ['nor anything of somebody who is being erased', { ...now, state: 'erased' }, []],
  ])('%s', (_what, person, barred) => {
    const { part, commit } = restore(person, barred)
    expect(part).toMatchObject({ back: [], left: [], again: [], reason: 'unknown' })
    expect(commit).toMatchObject({ people: [], links: [], changes: [] })
  })

  test('anybody else has back what was theirs', () => {
    expect(restore(now, []).part).toMatchObject({
      back: [{ cell: 'title' }, { cell: 'emails:ada@example.org' }],
      erased: 0,
    })
  })
})
