import { afterEach, beforeEach, expect, jest, test } from '@jest/globals'
import { contact } from '../../support/contacts.ts'
import { Crm, idOf } from '../../support/places.ts'
import { Office, type Body } from './office.ts'

jest.setTimeout(60_000)

const ADA = contact({ given: 'Ada', family: 'Lovelace', title: 'Analyst', emails: ['ada@example.org'] })
const AUGUSTA = contact({ given: 'Augusta', family: 'King', title: 'Countess', emails: ['augusta@king.example'] })

let office: Office
let crm: Crm
let desk: Crm
beforeEach(async () => {
  crm = new Crm('crm', [ADA, AUGUSTA], { mergeInto: 'winner' })
  desk = new Crm('desk', [])
  office = await Office.open([crm, desk])
})
afterEach(async () => {
  await office.close()
  crm.close()
  desk.close()
})

test('two people are made one as it was shown; what cannot be undone in an app waits', async () => {
  const two = { first: 'ada@example.org', second: 'Augusta King', keep: { title: { of: 'second' } } }
  const shown = await office.done('viewer', 'POST', '/merge/preview', two)
  expect(shown).toMatchObject({ winner: { name: 'Ada Lovelace' }, loser: { name: 'Augusta King' }, toldApart: false })
  expect(shown.fields.find(({ field }: Body) => field === 'title')).toMatchObject({
    first: 'Analyst',
    second: 'Countess',
    stands: 'Countess',
    why: 'kept',
  })
  expect(shown.records).toMatchObject([{ connection: 'crm', what: 'merge' }, { connection: 'desk' }])
  // To look changes nothing.
  expect((await office.done('viewer', 'POST', '/merge/preview', two)).seen).toBe(shown.seen)

  const wish = { why: 'she signs both ways', onBehalfOf: 'grace' }
  desk.edit(idOf(desk, 'augusta@king.example'), 'title', 'Lady')
  await office.home.sync()
  const stale = await office.call('operator', 'POST', '/merge', { ...wish, ...two, seen: shown.seen })
  expect([stale.status, stale.body.detail]).toEqual([409, 'the two are not as they were shown'])
  const { seen } = await office.done('viewer', 'POST', '/merge/preview', two)
  const done = await office.done('operator', 'POST', '/merge', { ...wish, ...two, seen })
  expect(done).toMatchObject({ winner: { id: shown.winner.id }, act: expect.any(String) })
  await office.home.sync()
  const ada = crm.all().get(idOf(crm, 'ada@example.org'))
  expect(ada).toMatchObject({ given: 'Ada', title: 'Lady' })
  expect(ada?.emails).toContain('augusta@king.example')
  // The second records are still there: nobody has said yes to that.
  expect([crm.all().size, desk.all().size]).toEqual([2, 2])
  const { items } = await office.done('viewer', 'GET', '/review?kind=ending')
  expect(items.map(({ connection }: Body) => connection).toSorted()).toEqual(['crm', 'desk'])
  expect((await office.done('viewer', 'GET', '/acts?kind=merge')).acts).toMatchObject([
    { id: done.act, by: 'grace (operator)', why: 'she signs both ways' },
  ])
  // A request sent again finds one person: nothing is done twice.
  const ids = { first: shown.winner.id, second: shown.loser.id }
  const again = await office.call('operator', 'POST', '/merge', { ...wish, ...ids, seen })
  expect([again.status, again.body.detail]).toEqual([409, 'these are one person already'])
})

test('whom nobody knows, and what no field can be, is told', async () => {
  const two = { first: 'ada@example.org', second: 'augusta@king.example' }
  const wrong: [Body, number, RegExp][] = [
    [{ ...two, second: 'nobody at all' }, 404, /nobody here/],
    [{ ...two, second: 'Ada Lovelace' }, 409, /one person already/],
    [{ ...two, keep: { shoes: { value: '42' } } }, 400, /\/keep: there is no field named shoes/],
    [{ ...two, keep: { emails: { of: 'first' } } }, 400, /holds several values/],
    [{ ...two, keep: { title: { value: 42 } } }, 400, /title is a text/],
    [{ ...two, keep: { title: 'first' } }, 400, /^\/keep\/title/],
    [{ first: 'ada@example.org' }, 400, /^\/second/],
  ]
  for (const [body, status, detail] of wrong) {
    const answer = await office.call('viewer', 'POST', '/merge/preview', body)
    expect([body, answer.status, answer.body.detail]).toEqual([body, status, expect.stringMatching(detail)])
    expect(answer.body.detail).not.toContain('example.org')
  }
})
