import { describe, expect, test } from '@jest/globals'
import { Apartness } from '../../engine/core/apart.ts'
import { decideApply, type ApplyTerms, type Known } from '../../engine/core/apply.ts'
import { consentKeyOf, type Consent } from '../../engine/core/consent.ts'
import { decideMatch } from '../../engine/core/match.ts'
import type { Person } from '../../engine/core/person.ts'
import type { Intent, Link, Neighbourhood } from '../../engine/core/ports/store.ts'
import type { ConnectionRules } from '../../engine/core/rules.ts'
import { bringsAddress, settleIntent } from '../../engine/core/settle.ts'
import { Workspace } from '../../engine/core/workspace.ts'
import { memoryRules } from '../support/rules.ts'

const NOW = 1_780_000_000_000
const rules = memoryRules([{ name: 'crm', consent: true }])
const crm = rules.connections.get('crm') as ConnectionRules
const stamp = { at: NOW - 5000, by: 'phone' }
const EMAILS = [{ value: 'ada@example.org' }]

const ada = (state: Person['state'] = 'live'): Person => ({
  id: 'p1',
  version: 1,
  state,
  cells: {
    'name.given': { value: 'Ada', stamp, rule: 'first' },
    'emails:ada@example.org': { value: { value: 'ada@example.org' }, stamp, rule: 'first' },
  },
})

function intent(more: Partial<Intent> = {}): Intent {
  return {
    id: 'i1',
    connection: 'crm',
    personId: 'p1',
    op: 'create',
    recordId: null,
    rev: null,
    archive: false,
    fields: { given: 'Ada', emails: EMAILS },
    cells: {},
    state: 'sending',
    released: false,
    attempts: 1,
    notBefore_ms: 0,
    planned_ms: 0,
    urgent: false,
    ...more,
  }
}

function hood(more: Partial<Neighbourhood> = {}): Neighbourhood {
  return { people: [ada()], links: [], intents: [intent()], conflicts: [], suspected: new Map(), ...more }
}

const terms: ApplyTerms = { now_ms: NOW, held: null, heldFields: new Map(), newId: () => 'n', deletionsHeld: null }
const written = { kind: 'written', record: { id: 'r1', rev: '1', fields: { given: 'Ada', emails: EMAILS } } } as const

/** What the feed told before the answer to the create came in, as the link that is stored then. */
function toldBefore(sighting: Known, creating: boolean): Link[] {
  const ws = new Workspace({ ...hood(), people: [], intents: [] })
  decideApply(ws, rules, crm, [sighting], { ...terms, creating })
  return (ws.commit().links ?? []).map((link) => ({ ...link, version: 1 }))
}

describe('a record that a human takes away between our create and its answer (I1)', () => {
  test.each<[string, Known]>([
    ['removed', { kind: 'gone', id: 'r1' }],
    ['merged into another', { kind: 'merged', id: 'r1', into: 'r2' }],
  ])('%s: the feed says so once, and the answer has the app asked what became of it', (_what, sighting) => {
    const links = toldBefore(sighting, true)
    expect(links).toMatchObject([{ recordId: 'r1', state: 'gone', personId: null, fields: {} }])
    const ws = new Workspace(hood({ links }))
    expect(settleIntent(ws, rules, crm, intent(), written, terms)?.state).toBe('done')
    expect(ws.link('crm', 'r1')).toMatchObject({ state: 'linked', personId: 'p1', recheck: true })
  })

  test('where nothing is being created, nobody remembers what was never known', () => {
    expect(toldBefore({ kind: 'gone', id: 'r1' }, false)).toEqual([])
  })

  test('a create that nobody has touched is not read again', () => {
    const ws = new Workspace(hood())
    settleIntent(ws, rules, crm, intent(), written, terms)
    expect(ws.link('crm', 'r1')).toMatchObject({ state: 'linked', recheck: false })
  })
})

describe('an address that a record has only since our write (I7)', () => {
  const key = consentKeyOf('emails:ada@example.org') as string
  const bounced: Consent = {
    key,
    state: 'bounced',
    stamp,
    optIn_ms: null,
    restricted_ms: stamp.at,
    events: [],
    version: 1,
  }
  const shadow = { given: 'Ada', emails: null, consent: null, optedIn: null }
  const before: Link = {
    connection: 'crm',
    recordId: 'r1',
    personId: 'p1',
    state: 'linked',
    fields: shadow,
    rev: '0',
    base_ms: {},
    rewrites: {},
    keys: [],
    recheck: false,
    version: 1,
  }
  const update = intent({ op: 'update', recordId: 'r1', rev: '0', fields: { emails: EMAILS } })

  test('is planned for once more, by what was told of it while the write was under way', () => {
    expect(bringsAddress(crm, update, shadow)).toBe(true)
    const ws = new Workspace(hood({ links: [before], intents: [update] }), [bounced])
    settleIntent(ws, rules, crm, update, written, terms)
    expect(ws.commit().unplanned).toEqual(['p1'])
  })

  test('is not asked about where the write was of something else', () => {
    expect(bringsAddress(crm, intent({ op: 'update', fields: { title: 'CTO' } }), shadow)).toBe(false)
  })
})

test('a record that is to be read again is so still when it is matched as it is known (I1)', () => {
  const staged: Link = {
    connection: 'crm',
    recordId: 'r9',
    personId: null,
    state: 'staged',
    fields: { given: 'Grace' },
    rev: null,
    base_ms: {},
    rewrites: {},
    keys: [],
    recheck: true,
    version: 1,
  }
  const ws = new Workspace({ ...hood(), people: [], intents: [], links: [staged] })
  decideMatch(ws, rules, [staged], [], {
    now_ms: NOW,
    newId: () => 'p2',
    creating: new Set(),
    apart: new Apartness([]),
    barred: new Map(),
  })
  expect(ws.link('crm', 'r9')).toMatchObject({ state: 'linked', personId: 'p2', recheck: true })
})

test('somebody who lives is not deleted with whom a human merges them into in an app: that is a sign of life (I5)', () => {
  const linked = (recordId: string, personId: string, connection = 'crm'): Link => ({
    connection,
    recordId,
    personId,
    state: 'linked',
    fields: { given: 'Ada' },
    rev: '1',
    base_ms: {},
    rewrites: {},
    keys: [],
    recheck: false,
    version: 1,
  })
  const two = memoryRules([{ name: 'crm' }, { name: 'phone' }])
  const ws = new Workspace({
    ...hood({ intents: [] }),
    people: [ada(), { ...ada('deleted'), id: 'p2' }],
    links: [linked('r1', 'p1'), linked('r2', 'p2'), linked('f1', 'p1', 'phone')],
  })
  const connection = two.connections.get('crm') as ConnectionRules
  decideApply(ws, two, connection, [{ kind: 'merged', id: 'r1', into: 'r2' }], terms)
  expect(ws.person('p2')?.state).toBe('live')
  expect(ws.link('phone', 'f1')).toMatchObject({ personId: 'p2', state: 'linked' })
  expect(ws.commit().intents?.filter(({ op }) => op === 'delete')).toEqual([])
})

test('a refused write of somebody who is no more is planned anew, and does not stay for an operator (I7)', () => {
  const failed = { kind: 'failed', failure: { kind: 'permanent', message: 'no' } } as const
  for (const [state, unplanned] of [
    ['live', []],
    ['erased', ['p1']],
    ['merged', ['p1']],
  ] as const) {
    const ws = new Workspace(hood({ people: [ada(state)] }))
    expect(settleIntent(ws, rules, crm, intent(), failed, terms)?.state).toBe('parked')
    expect(ws.commit().unplanned).toEqual(unplanned)
  }
})
