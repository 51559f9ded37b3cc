import { afterEach, expect, test } from '@jest/globals'
import { contact } from '../support/contacts.ts'
import { contents, TestHousehold, type YamlDocument } from '../support/household.ts'
import { Crm } from '../support/places.ts'
import { NO_BRAKES } from '../support/three-places.ts'
import { summarisePlan } from '../../workers/plan-summary.ts'

const PEOPLE = [
  contact({
    given: 'Ada',
    family: 'Lovelace',
    title: 'Analyst',
    organisation: 'Analytical Engines',
    note: 'one',
    emails: ['ada@example.org'],
  }),
  contact({
    given: 'Alan',
    family: 'Turing',
    title: 'Codebreaker',
    birthday: '1912-06-23',
    emails: ['alan@example.org'],
  }),
  contact({ given: 'Grace', family: 'Hopper', note: 'two', emails: ['grace@example.org'] }),
]

let close: (() => Promise<void>) | undefined
afterEach(async () => {
  await close?.()
  close = undefined
})

/** Every kind of edit of the YAML, and what it is to be planned: connection and operation. */
const EDITS: readonly (readonly [string, YamlDocument, readonly string[]])[] = [
  [
    'a field mapped anew',
    {
      connections: { desk: { mapping: { fields: { 'custom.motto': 'externalId', externalId: false } } } },
      custom: { motto: 'text' },
    },
    [],
  ],
  ['a field mapped no longer', { connections: { desk: { mapping: { fields: { note: false } } } } }, []],
  [
    'a field moved to another app field',
    { connections: { desk: { mapping: { fields: { title: 'note', note: false } } } } },
    ['desk update'],
  ],
  [
    'two fields that change places',
    { connections: { desk: { mapping: { fields: { title: 'organisation', organisation: 'title' } } } } },
    ['desk update'],
  ],
  [
    'another transform',
    {
      connections: {
        desk: {
          mapping: {
            fields: { title: { app: 'title', transform: { map: { Analyst: 'Codebreaker', Codebreaker: 'Analyst' } } } },
          },
        },
      },
    },
    ['desk update'],
  ],
  [
    'another direction of a field',
    { connections: { desk: { mapping: { fields: { title: { app: 'title', direction: 'in' } } } } } },
    [],
  ],
  ['another policy', { fields: { title: { owner: 'desk' }, note: 'manual', organisation: 'fill' } }, []],
  ['a narrower filter', { connections: { desk: { include: { title: 'present' } } } }, []],
  ['another direction of a connection', { connections: { desk: { direction: 'in' } } }, []],
  ['another delete policy, no more creating', { connections: { desk: { deletes: 'propagate', create: false } } }, []],
]

interface World {
  readonly home: TestHousehold
  readonly places: readonly Crm[]
}

async function world(): Promise<World> {
  const places = [new Crm('crm', PEOPLE, { times: 'field' }), new Crm('desk', [], { times: 'field' })]
  const home = await TestHousehold.make(TestHousehold.folder(), places, { brakes: NO_BRAKES })
  close = () => home.close().finally(() => places.forEach((place) => place.close()))
  await home.syncApproved()
  await home.shut()
  home.changes.length = 0
  return { home, places }
}

async function valuesIn({ home }: World): Promise<unknown> {
  const people = await (await home.open()).store.searchPeople('', 100)
  return people.map(({ id, cells }) => [
    id,
    Object.entries(cells).map(([cell, { value, stamp }]) => [cell, value, stamp]),
  ])
}

test.each(EDITS)(
  '%s: nobody’s value changes, and what is planned is what approve does (I11)',
  async (_kind, yaml, planned) => {
    const it = await world()
    const before = await valuesIn(it)
    const stood = it.places.map((place) => [...place.stamps()])
    await it.home.shut()
    it.home.configure({ brakes: NO_BRAKES, ...yaml })
    const plan = await it.home.plan()
    expect(it.home.changes).toEqual([])
    expect(await valuesIn(it)).toEqual(before)
    expect([...new Set(plan.map(({ connection, op }) => `${connection} ${op}`))]).toEqual(planned)
    // Nothing is sent before somebody has said yes to it.
    expect(it.places.map((place) => [...place.stamps()])).toEqual(stood)
    const summary = await summarisePlan(await it.home.open())
    expect(summary).toMatchObject({ configChanged: true, count: plan.length })
    it.home.done.length = 0
    await it.home.approve()
    expect(contents(it.home.done)).toEqual(contents(plan))
    expect(await it.home.plan()).toEqual([])
    expect(await valuesIn(it)).toEqual(before)
    // And back again: the old YAML is an edit of the YAML as well.
    await it.home.shut()
    it.home.configure({ brakes: NO_BRAKES })
    await it.home.plan()
    await it.home.approve()
    expect(it.home.changes).toEqual([])
    expect(await valuesIn(it)).toEqual(before)
    expect(await it.home.plan()).toEqual([])
  },
  60_000,
)

test('a connection taken out and brought back: nobody’s value changes, and nothing is deleted for it', async () => {
  const it = await world()
  const before = await valuesIn(it)
  await it.home.shut()
  it.home.configure({ brakes: NO_BRAKES }, ['crm'])
  expect(await it.home.plan()).toEqual([])
  await it.home.approve()
  it.places[0]?.edit([...(it.places[0]?.all().keys() ?? [])][0] ?? '', 'note', 'said meanwhile')
  await it.home.sync()
  expect(it.places[1]?.all().size).toBe(3)
  await it.home.shut()
  it.home.changes.length = 0
  it.home.configure({ brakes: NO_BRAKES })
  const plan = await it.home.plan()
  expect(it.home.changes).toEqual([])
  expect(plan.map(({ connection, op, fields }) => [connection, op, fields])).toEqual([
    ['desk', 'update', { note: 'said meanwhile' }],
  ])
  await it.home.approve()
  expect(await it.home.plan()).toEqual([])
  const values = JSON.stringify(await valuesIn(it))
  expect(values).toContain('said meanwhile')
  expect(values.length).toBeGreaterThan(JSON.stringify(before).length - 100)
}, 60_000)

test('the summary of a plan counts by connection and field, with samples', async () => {
  const it = await world()
  it.home.configure({
    brakes: NO_BRAKES,
    connections: {
      desk: {
        mapping: {
          fields: { title: { app: 'title', transform: { map: { Analyst: 'Codebreaker', Codebreaker: 'Analyst' } } } },
        },
      },
    },
  })
  await it.home.plan()
  const summary = await summarisePlan(await it.home.open())
  expect(summary.connections).toMatchObject([
    {
      connection: 'desk',
      ops: { update: 2 },
      fields: [{ field: 'title', count: 2, samples: [{ cell: 'title' }, { cell: 'title' }] }],
    },
  ])
}, 60_000)
