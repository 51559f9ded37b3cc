import { beforeEach, describe, expect, test } from '@jest/globals'
import { foldRecord, keepPerson, mergePeople, settleCell, tellApart, unfold } from '../../engine/core/act.ts'
import { decideApply } from '../../engine/core/apply.ts'
import { DUPLICATE, SECOND_RECORD } from '../../engine/core/people.ts'
import type { Person } from '../../engine/core/person.ts'
import { planPerson } from '../../engine/core/plan.ts'
import type { Conflict, Intent, Link, Neighbourhood } from '../../engine/core/ports/store.ts'
import type { ConnectionRules, Rules } from '../../engine/core/rules.ts'
import { settleIntent } from '../../engine/core/settle.ts'
import { Workspace } from '../../engine/core/workspace.ts'
import { memoryRules } from '../support/rules.ts'

const NOW = 1_780_000_000_000
const actor = { at_ms: NOW, by: 'ada' }
const rules = memoryRules([{ name: 'crm' }, { name: 'desk' }])
const crm = rules.connections.get('crm') as ConnectionRules

function person(id: string, title: string, at: number): Person {
  const stamp = { at, by: 'crm' }
  return { id, version: 1, state: 'live', cells: { title: { value: title, stamp, rule: 'first' } } }
}

function link(recordId: string, personId: string | null, title: string, more: Partial<Link> = {}): Link {
  const fields = Object.fromEntries(crm.lens.appFields.map((name) => [name, null]))
  return {
    connection: 'crm',
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
    ...more,
  }
}

const hood = (more: Partial<Neighbourhood> = {}): Neighbourhood => ({
  people: [person('p1', 'CTO', 9), person('p2', 'Chair', 5)],
  links: [link('c1', 'p1', 'CTO'), link('c2', 'p2', 'Chair')],
  intents: [],
  conflicts: [],
  suspected: new Map(),
  ...more,
})

function plan(ws: Workspace, using: Rules = rules): Intent[] {
  let ids = 0
  const terms = { now_ms: NOW, held: null, heldFields: new Map<string, string>(), newId: () => `i${++ids}` }
  for (const id of ws.touchedPeople) planPerson(ws, using, id, terms)
  return [...(ws.commit().intents ?? [])]
}

function apply(ws: Workspace, sightings: Parameters<typeof decideApply>[3]): void {
  const terms = {
    now_ms: NOW,
    held: null,
    heldFields: new Map<string, string>(),
    newId: () => 'n',
    deletionsHeld: null,
  }
  decideApply(ws, rules, crm, sightings, terms)
}

/** As it is committed and loaded again. */
function folded(): Workspace {
  const ws = new Workspace(hood())
  mergePeople(ws, 'p2', 'p1', actor)
  plan(ws)
  const { people = [], links = [], intents = [] } = ws.commit()
  return new Workspace({
    ...hood(),
    people,
    links: [link('c1', 'p1', 'CTO'), ...links.filter(({ recordId }) => recordId === 'c2')],
    intents,
  })
}

describe('a person who was folded into another', () => {
  test('has a second record, whose values are the other’s or in the log, and which waits for a yes (I3, I5)', () => {
    const ws = new Workspace(hood())
    expect(mergePeople(ws, 'p2', 'p1', actor)).toBeNull()
    expect(ws.commit().changes?.filter(({ kind }) => kind === 'lost')).toMatchObject([
      { cell: 'title', after: 'Chair' },
    ])
    expect(plan(ws)).toMatchObject([
      { op: 'merge', connection: 'crm', recordId: 'c2', into: 'c1', state: 'held', held: DUPLICATE, personId: 'p2' },
    ])
  })

  test('where the app cannot merge, it is to be deleted; where it cannot delete either, nothing is written', () => {
    const without = (more: Partial<ConnectionRules>): Rules =>
      memoryRules([{ name: 'crm', rules: { canMerge: false, ...more } }])
    const one = new Workspace(hood())
    mergePeople(one, 'p2', 'p1', actor)
    expect(plan(one, without({}))).toMatchObject([{ op: 'delete', recordId: 'c2', held: DUPLICATE }])
    const other = new Workspace(hood())
    mergePeople(other, 'p2', 'p1', actor)
    expect(plan(other, without({ canDelete: false }))).toEqual([])
  })

  test('is deleted rather than merged where the app cannot merge these two, by their ids', () => {
    const asked: unknown[] = []
    const mergeable = (id: string, into: string): boolean => {
      asked.push([id, into])
      return false
    }
    const ws = new Workspace(hood())
    mergePeople(ws, 'p2', 'p1', actor)
    expect(plan(ws, memoryRules([{ name: 'crm', rules: { mergeable } }]))).toMatchObject([
      { op: 'delete', archive: true, recordId: 'c2', state: 'held', held: DUPLICATE },
    ])
    expect(asked).toEqual([['c2', 'c1']])
  })

  test('is asked about where nobody has said that the two are one: a merge heard from an app decides nothing here', () => {
    const ws = new Workspace(
      hood({
        links: [
          ...hood().links,
          link('d1', 'p1', 'x', { connection: 'desk' }),
          link('d2', 'p2', 'x', { connection: 'desk' }),
        ],
      }),
    )
    apply(ws, [{ kind: 'merged', id: 'c2', into: 'c1' }])
    expect(ws.link('desk', 'd2')).toMatchObject({ state: 'ambiguous', reason: SECOND_RECORD, candidates: ['p1'] })
  })

  test('takes conflicts that nobody can decide any more with it', () => {
    const conflict: Conflict = {
      personId: 'p2',
      cell: 'title',
      connection: 'crm',
      recordId: 'c2',
      ours: 'Chair',
      theirs: 'Boss',
      theirsStamp: { at: 7, by: 'crm' },
      open: true,
    }
    const ws = new Workspace(hood({ conflicts: [conflict] }))
    mergePeople(ws, 'p2', 'p1', actor)
    expect(ws.commit().conflicts).toEqual([{ ...conflict, open: false }])
  })
})

describe('a second record', () => {
  let ws: Workspace
  beforeEach(() => {
    ws = folded()
  })
  const record = (title: string) => ({ id: 'c2', rev: '2', fields: { ...link('c2', null, title).fields } })

  test('that is heard unchanged goes on waiting', () => {
    apply(ws, [{ kind: 'record', record: record('Chair') }])
    expect(ws.link('crm', 'c2')).toMatchObject({ state: 'second', rev: '2' })
    expect(ws.openIntent('p2', 'crm')?.op).toBe('merge')
  })

  test('that somebody works on is matched anew: nobody’s work goes away with it (I5)', () => {
    apply(ws, [{ kind: 'record', record: record('Countess') }])
    expect(ws.link('crm', 'c2')).toMatchObject({ state: 'staged', personId: null })
    expect(ws.openIntent('p2', 'crm')).toBeUndefined()
  })

  test('that is gone means nothing for the person, whatever the delete policy', () => {
    const propagate = memoryRules([{ name: 'crm', rules: { deletes: 'propagate' } }])
    const terms = {
      now_ms: NOW,
      held: null,
      heldFields: new Map<string, string>(),
      newId: () => 'n',
      deletionsHeld: null,
    }
    decideApply(ws, propagate, propagate.connections.get('crm') as ConnectionRules, [{ kind: 'gone', id: 'c2' }], terms)
    expect(ws.person('p1')?.state).toBe('live')
    expect(ws.link('crm', 'c2')).toMatchObject({ state: 'gone', personId: null })
    expect(ws.openIntent('p2', 'crm')).toBeUndefined()
  })

  test('that a human merges the other way round is the one that stands', () => {
    apply(ws, [{ kind: 'merged', id: 'c1', into: 'c2' }])
    expect(ws.link('crm', 'c2')).toMatchObject({ state: 'linked', personId: 'p1', recheck: true })
    expect(ws.link('crm', 'c1')).toMatchObject({ state: 'gone', personId: null })
  })

  test('is matched anew where the other record went away: it is the only one', () => {
    apply(ws, [{ kind: 'gone', id: 'c1' }])
    ws.touch('p2')
    plan(ws)
    expect(ws.link('crm', 'c2')).toMatchObject({ state: 'staged', personId: null })
  })

  test.each([
    ['c1', 'the record that was to stand'],
    ['c9', 'a third one'],
  ])('once merged into %s is gone, and %s is read again', (into) => {
    const intent = ws.openIntent('p2', 'crm') as Intent
    const settled = settleIntent(
      ws,
      rules,
      crm,
      { ...intent, state: 'sending' },
      { kind: 'merged', into },
      { now_ms: NOW },
    )
    expect(settled).toMatchObject({ state: 'done', answer: { id: into } })
    expect(ws.link('crm', 'c2')).toMatchObject({ state: 'gone', personId: null, reason: `merged into ${into}` })
    expect(ws.link('crm', 'c1')).toMatchObject({ state: 'linked', personId: 'p1', recheck: true })
  })

  test('is somebody’s own after all, where an operator says so; and never taken for the other again', () => {
    expect(unfold(ws, crm, 'c2')).toBeNull()
    expect(ws.link('crm', 'c2')).toMatchObject({ state: 'staged', personId: null })
    expect(ws.commit().apart).toEqual([{ a: 'person:p1', b: 'record:crm/c2' }])
    expect(unfold(ws, crm, 'c2')).toMatch(/no second one/)
  })

  test('of a page that was read before it went is not believed', () => {
    const gone = new Workspace(hood({ links: [link('c1', 'p1', 'CTO'), link('c2', null, 'Chair', { state: 'gone' })] }))
    apply(gone, [{ kind: 'record', record: record('Chair') }])
    expect(gone.link('crm', 'c2')).toMatchObject({ state: 'gone', recheck: true })
    apply(gone, [{ kind: 'record', record: record('Chair') }])
    expect(gone.link('crm', 'c2')).toMatchObject({ state: 'staged' })
  })
})

describe('a record that waits', () => {
  const waiting = (): Workspace =>
    new Workspace(hood({ links: [link('c1', 'p1', 'CTO'), link('c9', null, 'Boss', { candidates: ['p1', 'p2'] })] }))

  test('is folded into the person: what it says is theirs, and it is to go away', () => {
    const ws = waiting()
    expect(foldRecord(ws, rules, crm, 'c9', 'p1', 'n1', actor)).toBeNull()
    expect(ws.person('n1')).toMatchObject({ state: 'merged', mergedInto: 'p1' })
    expect(plan(ws)).toContainEqual(
      expect.objectContaining({ op: 'merge', recordId: 'c9', into: 'c1', personId: 'n1' }),
    )
  })

  test('is not folded into somebody who has no other record there', () => {
    expect(foldRecord(waiting(), rules, crm, 'c9', 'p2', 'n1', actor)).toMatch(/link it/)
  })

  test('is told apart from everybody it may be', () => {
    const ws = waiting()
    expect(tellApart(ws, crm, 'c9')).toBeNull()
    expect(ws.link('crm', 'c9')).toMatchObject({ state: 'staged' })
    expect(ws.commit().apart).toEqual([
      { a: 'person:p1', b: 'record:crm/c9' },
      { a: 'person:p2', b: 'record:crm/c9' },
    ])
    expect(tellApart(ws, crm, 'c9')).toMatch(/does not wait/)
  })
})

describe('what an operator settles', () => {
  const flips = { before: 'Boss', count: 9, since_ms: NOW - 1 }
  const quarrel = (): Workspace => {
    const { cells, ...rest } = person('p1', 'CTO', 9)
    return new Workspace(
      hood({ people: [{ ...rest, cells: { title: { ...(cells['title'] as Person['cells'][string]), flips } } }] }),
    )
  }

  test.each([
    ['CTO', 'the value that stands'],
    ['Boss', 'the other one'],
  ])('%s: %s ends the going back and forth', (value) => {
    const ws = quarrel()
    settleCell(ws, rules, 'p1', 'title', value, actor)
    const cell = ws.person('p1')?.cells['title']
    expect(cell).toMatchObject({ value, rule: 'act', stamp: { by: 'operator:ada' } })
    expect(cell?.flips).toBeUndefined()
  })

  test('somebody who was to be deleted stays', () => {
    const ws = new Workspace(hood({ people: [{ ...person('p1', 'CTO', 9), state: 'deleted' }] }))
    expect(keepPerson(ws, 'p1')).toBeNull()
    expect(ws.person('p1')?.state).toBe('live')
    expect(keepPerson(ws, 'p1')).toMatch(/not to be deleted/)
  })
})
