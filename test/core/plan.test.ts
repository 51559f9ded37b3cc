import { Apartness } from '../../engine/core/apart.ts'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { decideApply } from '../../engine/core/apply.ts'
import { decideMatch } from '../../engine/core/match.ts'
import { planPerson, type PlanTerms } from '../../engine/core/plan.ts'
import { settleIntent } from '../../engine/core/settle.ts'
import type { Json, JsonObject } from '../../engine/core/json.ts'
import type { AppRecord } from '../../engine/core/ports/connector.ts'
import type { Intent, Link, Neighbourhood } from '../../engine/core/ports/store.ts'
import type { ConnectionRules, Rules } from '../../engine/core/rules.ts'
import { Workspace } from '../../engine/core/workspace.ts'
import { memoryRules } from '../support/rules.ts'

const NOW = 1_780_000_000_000
const EMPTY: Neighbourhood = { people: [], links: [], intents: [], conflicts: [], suspected: new Map() }

function terms(more: Partial<PlanTerms> = {}): PlanTerms {
  let ids = 0
  return { now_ms: NOW, held: null, heldFields: new Map(), newId: () => `i${++ids}`, ...more }
}

function connection(rules: Rules, name: string): ConnectionRules {
  return rules.connections.get(name) as ConnectionRules
}

const record = (id: string, fields: JsonObject, rev = '1'): AppRecord => ({ id, rev, fields, modified_ms: NOW - 1000 })

/** Hears, matches and plans records of several apps, as the workers do, without a store. */
function household(rules: Rules, records: { [app: string]: AppRecord[] }): Neighbourhood {
  const ws = new Workspace(EMPTY)
  for (const [app, list] of Object.entries(records)) {
    const sightings = list.map((item) => ({ kind: 'record' as const, record: item }))
    decideApply(ws, rules, connection(rules, app), sightings, { ...terms(), deletionsHeld: null })
  }
  const staged = (ws.commit().links ?? []).map((link) => ({ ...link, version: 1 }))
  const next = new Workspace({ ...EMPTY, links: staged })
  const holders = staged.flatMap((link) => link.keys.map((key) => ({ key, ...link })))
  let people = 0
  decideMatch(next, rules, staged, holders, {
    now_ms: NOW,
    newId: () => `p${++people}`,
    creating: new Set(),
    apart: new Apartness([]),
    barred: new Map(),
  })
  const commit = next.commit()
  return { ...EMPTY, people: commit.people ?? [], links: commit.links ?? [] }
}

function plan(rules: Rules, hood: Neighbourhood, more: Partial<PlanTerms> = {}): Intent[] {
  const ws = new Workspace(hood)
  const all = terms(more)
  for (const person of hood.people) planPerson(ws, rules, person.id, all)
  return [...(ws.commit().intents ?? [])]
}

const text = fc.constantFrom('', 'Ada', 'Grace', ' x ', 'Ünï', '👩‍🚀', '0')
const element = (prefix: string): fc.Arbitrary<Json> =>
  fc
    .uniqueArray(fc.constantFrom('1234561', '1234562', '1234563'), { maxLength: 3 })
    .map((list) => list.map((value) => ({ value: prefix === 'mail' ? `${value}@example.org` : `+4930${value}` })))
const fields: fc.Arbitrary<JsonObject> = fc.record({
  given: text,
  family: fc.constantFrom('Lovelace', 'Hopper'),
  title: text,
  note: text,
  emails: element('mail'),
  phones: element('phone'),
}) as fc.Arbitrary<JsonObject>

describe('plan', () => {
  const rules = memoryRules([{ name: 'crm' }, { name: 'phone' }])

  test('what is planned, once written, leaves nothing to plan (I2)', () => {
    fc.assert(
      fc.property(fc.array(fields, { maxLength: 4 }), fc.array(fields, { maxLength: 4 }), (crm, phone) => {
        let hood = household(rules, {
          crm: crm.map((item, index) => record(`c${index}`, item)),
          phone: phone.map((item, index) => record(`f${index}`, item)),
        })
        const intents = plan(rules, hood)
        const ws = new Workspace({
          ...hood,
          intents: intents.map((intent) => ({ ...intent, state: 'sending' as const })),
        })
        for (const intent of intents) {
          const before = ws.link(intent.connection, intent.recordId ?? '')
          const written = { ...before?.fields, ...intent.fields }
          const answer = {
            kind: 'written' as const,
            record: record(intent.recordId ?? `new ${intent.id}`, written, '2'),
          }
          settleIntent(ws, rules, connection(rules, intent.connection), { ...intent, attempts: 1 }, answer, {
            now_ms: NOW,
          })
        }
        const commit = ws.commit()
        const links = new Map(
          [...hood.links, ...(commit.links ?? [])].map((link) => [`${link.connection} ${link.recordId}`, link]),
        )
        hood = { ...hood, links: [...links.values()] }
        expect(plan(rules, hood)).toEqual([])
      }),
      { numRuns: 200 },
    )
  })

  test('someone new is created in the other connections, and only there', () => {
    const hood = household(rules, { crm: [record('c1', { given: 'Ada', family: 'Lovelace', title: 'CTO' })] })
    expect(plan(rules, hood)).toMatchObject([
      {
        connection: 'phone',
        op: 'create',
        state: 'pending',
        fields: { given: 'Ada', family: 'Lovelace', title: 'CTO' },
      },
    ])
  })

  test('everything waits while the config is not approved', () => {
    const hood = household(rules, { crm: [record('c1', { given: 'Ada', family: 'Lovelace' })] })
    expect(plan(rules, hood, { held: 'approval' })).toMatchObject([{ state: 'held', held: 'approval' }])
  })

  test('a field behind a brake holds the write that carries it', () => {
    const hood = household(rules, { crm: [record('c1', { given: 'Ada', title: 'CTO' })] })
    const heldFields = new Map([['title', 'brake: title']])
    expect(plan(rules, hood, { heldFields })).toMatchObject([{ state: 'held', held: 'brake: title' }])
  })

  test('what an app made of our value is not sent again', () => {
    const hood = household(rules, { crm: [record('c1', { given: 'Ada', note: 'long note' })], phone: [] })
    const [intent] = plan(rules, hood)
    const ws = new Workspace({ ...hood, intents: [] })
    const answer = { kind: 'written' as const, record: record('f1', { ...intent?.fields, note: 'long' }) }
    settleIntent(ws, rules, connection(rules, 'phone'), { ...(intent as Intent), attempts: 1 }, answer, { now_ms: NOW })
    const links = [...hood.links, ...(ws.commit().links ?? [])]
    expect(links.find((link: Link) => link.connection === 'phone')?.rewrites).toEqual({
      note: { sent: 'long note', got: 'long' },
    })
    expect(plan(rules, { ...hood, links })).toEqual([])
  })
})

describe('deletions', () => {
  for (const [deletes, ops] of [
    ['unlink', []],
    ['propagate', [{ connection: 'phone', op: 'delete', archive: false }]],
    ['archive', [{ connection: 'phone', op: 'delete', archive: true }]],
    ['ignore', [{ connection: 'crm', op: 'create' }]],
  ] as const) {
    test(`policy ${deletes}`, () => {
      const rules = memoryRules([{ name: 'crm', rules: { deletes } }, { name: 'phone' }])
      const same = { given: 'Ada', family: 'Lovelace', emails: [{ value: 'ada@example.org' }] }
      const hood = household(rules, { crm: [record('c1', same)], phone: [record('f1', same)] })
      const ws = new Workspace(hood)
      decideApply(ws, rules, connection(rules, 'crm'), [{ kind: 'gone', id: 'c1' }], {
        ...terms(),
        deletionsHeld: null,
      })
      expect(ws.commit().intents ?? []).toMatchObject(ops)
      expect(ws.commit().intents).toHaveLength(ops.length)
    })
  }

  test('a deletion that the brake does not believe changes nothing but its mark', () => {
    const rules = memoryRules([{ name: 'crm', rules: { deletes: 'propagate' } }, { name: 'phone' }])
    const same = { given: 'Ada', emails: [{ value: 'ada@example.org' }] }
    const hood = household(rules, { crm: [record('c1', same)], phone: [record('f1', same)] })
    const ws = new Workspace(hood)
    decideApply(ws, rules, connection(rules, 'crm'), [{ kind: 'gone', id: 'c1' }], {
      ...terms(),
      deletionsHeld: 'brake',
    })
    const commit = ws.commit()
    expect(commit.intents).toEqual([])
    expect(commit.links).toMatchObject([{ recordId: 'c1', state: 'missing', reason: 'brake' }])
  })
})

test('a blank erases nothing, and is filled again', () => {
  const rules = memoryRules([{ name: 'crm' }, { name: 'phone' }])
  const same = { given: 'Ada', title: 'CTO', emails: [{ value: 'ada@example.org' }] }
  const hood = household(rules, { crm: [record('c1', same)], phone: [record('f1', same)] })
  const ws = new Workspace(hood)
  const blanked = record('c1', { ...same, title: null }, '2')
  decideApply(ws, rules, connection(rules, 'crm'), [{ kind: 'record', record: blanked }], {
    ...terms(),
    deletionsHeld: null,
  })
  const commit = ws.commit()
  // As they were; but whoever plans them at the same time, by the record as it was, has lost (I1).
  expect(commit.people).toEqual(hood.people)
  expect(commit.intents).toMatchObject([{ connection: 'crm', op: 'update', fields: { title: 'CTO' } }])
  expect(commit.changes).toMatchObject([{ cell: 'title', kind: 'refused' }])
})
