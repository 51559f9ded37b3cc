import { afterEach, expect, jest, test } from '@jest/globals'
import { Crm } from '../../support/places.ts'
import { Office, type Body } from './office.ts'

jest.setTimeout(60_000)

const ADA = { given: 'Ada', family: 'Lovelace', emails: [{ value: 'ada@example.org' }] }

let office: Office
let crm: Crm
let desk: Crm
afterEach(async () => {
  await office.close()
  crm.close()
  desk.close()
})

/** Ada and Bob twice in the CRM. */
async function twice(): Promise<void> {
  crm = new Crm('crm', [], { mergeInto: 'winner' })
  desk = new Crm('desk')
  const bob = { given: 'Bob', family: 'Stone', emails: [{ value: 'bob@example.org' }] }
  for (const who of [ADA, bob]) for (let time = 0; time < 2; time++) crm.app.add(who)
  office = await Office.open([crm, desk], { approval: 'auto' })
}

const list = (query = ''): Promise<Body> => office.done('viewer', 'GET', `/review${query}`)

test('an item is listed, shown, decided with who and why, and is then not waiting any more', async () => {
  await twice()
  const { items, total, counts } = await list()
  expect([total, counts]).toEqual([2, { second: 2 }])
  const [first] = items
  expect(first).toMatchObject({ kind: 'second', connection: 'crm' })
  expect(first.choices.map(({ choose }: { choose: string }) => choose)).toEqual(['merge', 'new', 'apart'])
  expect(await office.done('viewer', 'GET', `/review/${first.id}`)).toMatchObject({ item: { id: first.id } })
  const decided = await office.done('operator', 'POST', `/review/${first.id}/decide`, {
    choose: 'merge',
    why: 'the same human',
  })
  expect(decided).toMatchObject({ acts: [expect.any(String)], refused: [] })
  const { acts } = await office.done('viewer', 'GET', '/acts?limit=1')
  expect(acts[0]).toMatchObject({ id: decided.acts[0], by: 'operator', why: 'the same human' })
  await office.home.sync()
  expect((await list('?kind=second')).total).toBe(1)
  expect((await list('?kind=ending')).total).toBe(1)
  expect((await office.call('viewer', 'GET', `/review/${first.id}`)).status).toBe(404)
})

test('all alike are decided only where they are as many as were seen', async () => {
  await twice()
  const [first] = (await list()).items
  const { alike } = await office.done('viewer', 'GET', `/review/${first.id}`)
  expect(alike).toBe(2)
  const path = `/review/${first.id}/decide`
  const stale = await office.call('operator', 'POST', path, { choose: 'apart', why: 'x', alike: 7 })
  expect([stale.status, stale.body.detail]).toEqual([409, '2 items are like this one by now, not 7'])
  expect((await list()).total).toBe(2)
  const done = await office.done('operator', 'POST', path, { choose: 'apart', why: 'not the same', alike })
  expect(done.acts).toHaveLength(2)
  expect((await list('?kind=second')).total).toBe(0)
})

test('an item left for later is out of sight until it is asked for; a wrong choice names the right ones', async () => {
  await twice()
  const [first] = (await list()).items
  expect(await office.done('operator', 'POST', `/review/${first.id}/skip`, {})).toEqual({ skipped: first.id })
  expect(await list()).toMatchObject({ total: 1, later: 1 })
  expect(await list('?later=true')).toMatchObject({ total: 2, later: 0 })
  const wrong = await office.call('operator', 'POST', `/review/${first.id}/decide`, { choose: 'ours', why: 'x' })
  expect(wrong).toMatchObject({ status: 400, body: { advice: 'Choose merge, new, apart.' } })
  const rule = await office.done('viewer', 'GET', `/review/${first.id}/rule?choose=apart`)
  expect(rule).toMatchObject({ yaml: expect.stringContaining('role_addresses:'), meaning: expect.any(String) })
  expect((await office.call('viewer', 'GET', '/review?kind=moon')).status).toBe(400)
  expect((await office.call('viewer', 'GET', '/review?connection=moon')).status).toBe(404)
})
