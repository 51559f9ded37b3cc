import { afterEach, beforeEach, expect, jest, test } from '@jest/globals'
import { performUndo, prepareUndo } from '../../../workers/undo.ts'
import { human } from '../../support/humans.ts'
import { Crm, idOf } from '../../support/places.ts'
import { NO_BRAKES } from '../../support/three-places.ts'
import { Office, type Body } from './office.ts'

jest.setTimeout(60_000)

let office: Office
let crm: Crm
let desk: Crm
beforeEach(async () => {
  crm = new Crm(
    'crm',
    Array.from({ length: 4 }, (_, index) => human(index)),
  )
  desk = new Crm('desk', [])
  office = await Office.open([crm, desk], { brakes: NO_BRAKES })
})
afterEach(async () => {
  await office.close()
  crm.close()
  desk.close()
})

const at = (place: Crm, index: number): string => idOf(place, `human${index}@example.org`)
const titles = (place: Crm): (string | undefined)[] =>
  [0, 1, 2, 3].map((index) => place.all().get(at(place, index))?.title)

/** A script has rewritten everybody's title in the CRM, and it has spread. */
async function mistake(): Promise<string[]> {
  const before = titles(crm) as string[]
  for (let index = 0; index < 4; index++) crm.edit(at(crm, index), 'title', `wrong ${index}`)
  await office.home.sync()
  expect(titles(desk)).toEqual([0, 1, 2, 3].map((index) => `wrong ${index}`))
  return before
}

test('a run is taken back as it was shown, is one act with who and why, and is undone in turn (I12)', async () => {
  const before = await mistake()
  desk.edit(at(desk, 3), 'title', 'Chair of all')
  await office.home.sync()
  const ask = { run: 'last', connection: 'crm' }
  const shown = await office.done('viewer', 'POST', '/undo/preview', { ...ask, limit: 2 })
  expect(shown).toMatchObject({ people: 3, changes: 3, leftAlone: 1, more: true })
  expect(shown.undone).toHaveLength(2)
  expect(shown.left).toMatchObject([{ field: 'title', value: 'Chair of all', reason: 'edited', by: 'desk' }])
  expect(titles(desk)[0]).toBe('wrong 0')

  // Somebody says something else of one of them meanwhile: that is left, and what was shown is not what would be done.
  desk.edit(at(desk, 2), 'title', 'Dean')
  await office.home.sync()
  const wish = { why: 'a wrong script', onBehalfOf: 'ada' }
  const stale = await office.call('operator', 'POST', '/undo', { ...wish, ...ask, seen: shown.seen })
  expect([stale.status, stale.body.detail]).toEqual([409, 'it would take back something else by now'])
  const { seen } = await office.done('viewer', 'POST', '/undo/preview', ask)
  const done = await office.done('operator', 'POST', '/undo', { ...wish, ...ask, seen })
  expect(done).toMatchObject({ state: 'done', changes: 2, held: 0, act: expect.any(String) })
  await office.home.sync()
  for (const place of [crm, desk]) expect(titles(place)).toEqual([before[0], before[1], 'Dean', 'Chair of all'])
  expect((await office.done('viewer', 'GET', '/acts?kind=undo')).acts).toMatchObject([
    { id: done.act, by: 'ada (operator)', why: 'a wrong script', about: { asked: '--run last --connection crm' } },
  ])

  // The same once more does nothing; the undo itself is taken back by its act.
  const repeated = await office.call('operator', 'POST', '/undo', { ...wish, ...ask, seen })
  expect(repeated.status).toBe(409)
  const back = { act: done.act, seen: (await office.done('viewer', 'POST', '/undo/preview', { act: done.act })).seen }
  expect(await office.done('operator', 'POST', '/undo', { why: 'no', ...back })).toMatchObject({ state: 'done' })
  await office.home.sync()
  expect(titles(desk)).toEqual(['wrong 0', 'wrong 1', 'Dean', 'Chair of all'])
})

test('what is heard after the preview is not taken back by it', async () => {
  const before = await mistake()
  const ask = { connection: 'crm', since: new Date(Date.now() - 3_600_000).toISOString(), field: 'title' }
  const person = (await office.done('viewer', 'POST', '/undo/preview', ask)).undone[0].person
  const one = { ...ask, person, since: undefined, rule: 'edit' }
  const { seen, changes } = await office.done('viewer', 'POST', '/undo/preview', one)
  expect(changes).toBe(1)
  // It is of somebody else, and fits the words: it came later.
  crm.edit(at(crm, 0), 'note', 'later')
  await office.home.sync()
  expect(await office.done('operator', 'POST', '/undo', { why: 'x', ...one, seen })).toMatchObject({ changes: 1 })
  await office.home.sync()
  expect(titles(desk).filter((title, index) => title === before[index])).toHaveLength(1)
  expect(crm.all().get(at(crm, 0))?.note).toBe('later')
})

test('one that was stopped in the middle is told of, carried on, or abandoned; no other begins meanwhile', async () => {
  const before = await mistake()
  const { runtime } = await office.home.daemon()
  const wish = { asked: '--connection crm --field title', by: 'grace', why: 'by hand' }
  const stop = async (): Promise<string> => {
    const undo = await prepareUndo(runtime, { connection: 'crm', rule: 'edit' }, wish)
    const dies = performUndo({ ...runtime, limits: { ...runtime.limits, chunk_max: 1 } }, undo, () => {
      throw new Error('the process dies')
    })
    await expect(dies).rejects.toThrow('the process dies')
    return undo.id
  }
  const id = await stop()
  const told = await office.done('viewer', 'GET', '/undo')
  expect(told).toMatchObject({ undo: { id, asked: wish.asked, by: 'grace' }, underWay: false })
  const other = await office.call('viewer', 'POST', '/undo/preview', { run: 'last' })
  expect([other.status, other.body.detail]).toEqual([409, 'another undo was begun and is not finished'])
  const { seen, changes } = await office.done('viewer', 'POST', '/undo/preview', { stopped: id })
  expect(changes).toBe(3)
  expect(await office.done('operator', 'POST', '/undo', { why: 'x', stopped: id, seen })).toMatchObject({
    state: 'done',
    act: id,
    changes: 3,
  })
  expect((await office.done('viewer', 'GET', '/undo')).undo).toBeNull()
  await office.home.sync()
  expect(titles(desk)).toEqual(before)
  expect((await office.done('viewer', 'GET', '/acts?kind=undo')).acts).toHaveLength(1)

  await mistake()
  const second = await stop()
  const { abandoned } = await office.done('operator', 'POST', '/undo/abandon', { why: 'as it is' })
  expect(abandoned.id).toBe(second)
  expect(await office.done('operator', 'POST', '/undo/abandon', { why: 'again' })).toEqual({ abandoned: null })
  expect((await office.done('viewer', 'GET', '/acts?kind=abandon')).acts).toMatchObject([
    { why: 'as it is', about: { undo: second } },
  ])
})

test('what is asked wrongly is told, and nothing is begun', async () => {
  const wrong: [Body, number, RegExp][] = [
    [{}, 400, /nothing is named/],
    [{ act: 'nope' }, 404, /there is no act nope/],
    [{ run: 'nope' }, 400, /is no run/],
    [{ run: 'moon:1' }, 404, /no connection named moon/],
    [{ connection: 'moon' }, 404, /no connection named moon/],
    [{ field: 'shoes', run: 'last' }, 400, /no field named shoes/],
    [{ rule: 'moon' }, 400, /^\/rule/],
    [{ person: 'nobody at all' }, 404, /nobody here/],
    [{ since: '2h' }, 400, /^\/since/],
    [{ stopped: 'nope' }, 409, /no such undo/],
    [{ stopped: 'nope', run: 'last' }, 400, /says by itself/],
  ]
  for (const [body, status, detail] of wrong) {
    const answer = await office.call('viewer', 'POST', '/undo/preview', body)
    expect([body, answer.status, answer.body.detail]).toEqual([body, status, expect.stringMatching(detail)])
  }
  const forged = await office.call('operator', 'POST', '/undo', { why: 'x', connection: 'crm', seen: 'nonsense' })
  expect([forged.status, forged.body.detail]).toEqual([400, expect.stringContaining('/seen')])
  // Who was asked about is in no log (I15).
  expect(JSON.stringify(office.lines)).not.toContain('example.org')
})
