import { afterEach, expect, jest, test } from '@jest/globals'
import { human } from '../../support/humans.ts'
import { Crm, idOf } from '../../support/places.ts'
import { Office, type Body } from './office.ts'

jest.setTimeout(60_000)

let office: Office
let crm: Crm
let desk: Crm
afterEach(async () => {
  await office.close()
  crm.close()
  desk.close()
})

async function open(count: number, more: { readonly [key: string]: unknown }): Promise<void> {
  crm = new Crm(
    'crm',
    Array.from({ length: count }, (_, index) => human(index)),
  )
  desk = new Crm('desk', [])
  office = await Office.open([crm, desk], more)
  expect(desk.all().size).toBe(count)
}

const at = (place: Crm, index: number): string => idOf(place, `human${index}@example.org`)
const titleOf = (place: Crm, index: number): string | undefined => place.all().get(at(place, index))?.title

/** Asks for a plan, and for how it stands until it is made. */
async function planned(): Promise<Body> {
  expect((await office.call('viewer', 'POST', '/plan', {})).status).toBe(202)
  for (;;) {
    const plan = await office.done('viewer', 'GET', '/plan')
    if (!plan.planning) return plan
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

test('a plan is made, looked at page by page, and exactly that is approved, with who and why (I11)', async () => {
  await open(6, { approval: 'always' })
  for (let index = 0; index < 5; index++) crm.edit(at(crm, index), 'title', `new ${index}`)
  const plan = await planned()
  expect(plan).toMatchObject({
    standing: 'present',
    approved: false,
    approve: { writes: 5 },
    waiting: 5,
    held: true,
    summary: {
      count: 5,
      connections: [{ connection: 'desk', ops: { update: 5 }, fields: [{ field: 'title', count: 5 }] }],
    },
    ambiguous: 0,
    conflicts: 0,
    brakes: [],
  })

  const seen: Body[] = []
  for (let next: string | null = ''; next !== null;) {
    const page: Body = await office.done('viewer', 'GET', `/plan/operations?limit=2${next && `&cursor=${next}`}`)
    expect(page.operations.length).toBeLessThanOrEqual(2)
    seen.push(...page.operations)
    next = page.next
  }
  expect(seen.map(({ fields }) => String(fields[0].after)).toSorted()).toEqual(
    [0, 1, 2, 3, 4].map((index) => `new ${index}`),
  )
  expect(seen[0]).toMatchObject({ connection: 'desk', op: 'update', held: 'approval' })
  const count = async (query: string) =>
    (await office.done('viewer', 'GET', `/plan/operations?${query}`)).operations.length
  expect([
    await count('connection=crm'),
    await count('op=delete'),
    await count('held=false'),
    await count('held=true&connection=desk&op=update'),
  ]).toEqual([0, 0, 0, 5])
  expect(await office.call('viewer', 'GET', '/plan/operations?connection=moon')).toMatchObject({ status: 404 })
  expect(await office.call('viewer', 'GET', '/plan/operations?cursor=bm9uc2Vuc2U')).toMatchObject({ status: 400 })

  // Another plan with as many writes is another plan.
  crm.edit(at(crm, 0), 'title', 'newer')
  const again = await planned()
  expect(again.approve.writes).toBe(5)
  const wish = { why: 'looked through', onBehalfOf: 'grace' }
  for (const stale of [plan.approve, { ...again.approve, writes: 4 }]) {
    const refused = await office.call('operator', 'POST', '/plan/approve', { ...wish, ...stale })
    expect([refused.status, refused.body.detail]).toEqual([409, 'this is another plan by now, of 5 writes'])
  }
  expect(titleOf(desk, 1)).not.toBe('new 1')
  const done = await office.done('operator', 'POST', '/plan/approve', { ...wish, ...again.approve })
  expect(done).toEqual({ released: 5, waiting: 0 })
  await office.home.sync()
  expect([0, 1].map((index) => titleOf(desk, index))).toEqual(['newer', 'new 1'])
  const { acts } = await office.done('viewer', 'GET', '/acts?kind=approve')
  expect(acts).toMatchObject([{ by: 'grace (operator)', why: 'looked through', about: { writes: 5 } }])
})

test('an approved config with nothing to do is approved in vain, and a config that was never planned is not', async () => {
  await open(1, {})
  const { approve, approved } = await office.done('viewer', 'GET', '/plan')
  expect([approve.writes, approved]).toEqual([0, true])
  expect(await office.done('operator', 'POST', '/plan/approve', { why: 'x', ...approve })).toMatchObject({
    released: 0,
  })
  expect((await office.done('viewer', 'GET', '/acts?kind=approve')).acts).toEqual([])
  const { store } = await office.home.open()
  await store.setFact('plan', null)
  expect(await office.call('operator', 'POST', '/plan/approve', { why: 'x', ...approve })).toMatchObject({
    status: 409,
    body: { detail: 'nothing has been planned yet' },
  })
})

test('what the brakes hold is shown and let go, step by step; what nobody has seen is not', async () => {
  await open(30, { connections: { crm: { deletes: 'propagate' }, desk: { deletes: 'propagate' } } })
  for (let index = 0; index < 12; index++) crm.remove(at(crm, index))
  await office.home.sync()
  const shown = await office.done('viewer', 'GET', '/brakes?connection=crm')
  expect(shown.brakes).toMatchObject([{ connection: 'crm', what: 'deletions', count: 12 }])
  expect((await office.done('viewer', 'GET', '/brakes?connection=desk')).brakes).toEqual([])
  for (let index = 12; index < 24; index++) crm.remove(at(crm, index))
  await office.home.sync()
  const wish = { why: 'they have left', connection: 'crm' }
  expect(await office.call('operator', 'POST', '/brakes/release', { ...wish, seen: shown.seen })).toMatchObject({
    status: 409,
    body: { detail: 'the brakes hold something else by now' },
  })
  const { seen } = await office.done('viewer', 'GET', '/brakes?connection=crm')
  expect(await office.done('operator', 'POST', '/brakes/release', { ...wish, seen })).toEqual({
    released: 24,
    brakes: [],
  })
  await office.home.sync()
  // What follows elsewhere meets the brake there: nobody has seen that yet.
  expect(desk.all().size).toBe(30)
  const all = await office.done('viewer', 'GET', '/brakes')
  expect(all.brakes).toMatchObject([{ connection: 'desk', what: 'delete', count: 24 }])
  await office.done('operator', 'POST', '/brakes/release', { why: 'there, too', seen: all.seen })
  await office.home.sync()
  expect(desk.all().size).toBe(6)
  const { acts } = await office.done('viewer', 'GET', '/acts?kind=release')
  const sum = (held: Body[]): number => held.reduce((total, { count }) => total + count, 0)
  expect(acts.map(({ why, about }: Body) => [why, about.held[0].connection, sum(about.held)])).toEqual([
    ['there, too', 'desk', 24],
    ['they have left', 'crm', 24],
  ])
})
