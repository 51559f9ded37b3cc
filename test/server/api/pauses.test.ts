import { afterEach, expect, jest, test } from '@jest/globals'
import { human } from '../../support/humans.ts'
import { Crm, idOf } from '../../support/places.ts'
import { NO_BRAKES } from '../../support/three-places.ts'
import { Office } from './office.ts'

jest.setTimeout(60_000)

let office: Office
let crm: Crm
let desk: Crm
afterEach(async () => {
  await office.close()
  crm.close()
  desk.close()
})

async function open(): Promise<void> {
  crm = new Crm(
    'crm',
    Array.from({ length: 20 }, (_, index) => human(index)),
  )
  desk = new Crm('desk', [])
  office = await Office.open([crm, desk], { brakes: NO_BRAKES, connections: { crm: { deletes: 'propagate' } } })
  expect(desk.all().size).toBe(20)
}

const at = (place: Crm, index: number): string => idOf(place, `human${index}@example.org`)
const titleOf = (place: Crm, index: number): string | undefined => place.all().get(at(place, index))?.title

/** 5 edited, 1 deleted, 2 created. */
function cleanUp(): void {
  for (let index = 0; index < 5; index++) crm.edit(at(crm, index), 'title', `clean ${index}`)
  crm.remove(at(crm, 10))
  for (const index of [201, 202]) crm.add(human(index))
}

test('a clean-up over HTTP: paused, cleaned up, shown, decided part by part, and the pause ends (I10, I11)', async () => {
  await open()
  const { operator } = { operator: 'operator' as const }
  const paused = await office.done(operator, 'POST', '/connections/crm/pause', {
    why: 'Q3 clean-up',
    onBehalfOf: 'ada',
    until: '2099-01-01T00:00:00Z',
  })
  expect(paused).toMatchObject({ begun: true, acknowledged: true, by: 'ada (operator)', reason: 'Q3 clean-up' })
  expect(await office.done(operator, 'POST', '/connections/crm/pause', { why: 'again' })).toMatchObject({
    begun: false,
    reason: 'Q3 clean-up',
  })
  cleanUp()
  desk.edit(at(desk, 15), 'title', 'from the desk')
  const shown = await office.done('viewer', 'POST', '/connections/crm/resume/preview', {})
  expect(shown).toMatchObject({
    cleanUp: { edited: 5, deleted: 1, created: 2, fields: { title: 5 } },
    following: [{ connection: 'desk', creates: 2, updates: 5, deletes: 1 }],
    resolved: null,
  })
  expect(titleOf(desk, 0)).not.toBe('clean 0')
  const status = await office.done('viewer', 'GET', '/status')
  expect(status.connections.crm).toMatchObject({ state: 'paused', pause: { by: 'ada (operator)', acknowledged: true } })

  const drop = { why: 'they are a test', way: 'drop', only: ['creates'], seen: shown.seen }
  const dropped = await office.done(operator, 'POST', '/connections/crm/resume', drop)
  expect(dropped.resolved).toMatchObject({ decided: 2, left: 6, ended: false })
  const released = await office.done(operator, 'POST', '/connections/crm/resume', {
    why: 'looked at it',
    way: 'release',
    seen: shown.seen,
  })
  expect(released.resolved).toMatchObject({ decided: 6, left: 0, ended: true })
  await office.home.sync()
  await office.home.sync()
  expect([titleOf(desk, 0), titleOf(crm, 15)]).toEqual(['clean 0', 'from the desk'])
  expect(desk.all().size).toBe(19)

  const { acts } = await office.done('viewer', 'GET', '/acts?kind=resume')
  expect(acts.map(({ by, why }: { by: string; why: string }) => [by, why])).toEqual([
    ['operator', 'looked at it'],
    ['operator', 'they are a test'],
  ])
})

test('what was done after the preview is not decided by it', async () => {
  await open()
  await office.done('operator', 'POST', '/connections/crm/pause', { why: 'clean-up' })
  crm.edit(at(crm, 0), 'title', 'clean 0')
  const { seen } = await office.done('viewer', 'POST', '/connections/crm/resume/preview', { way: 'release' })
  crm.edit(at(crm, 1), 'title', 'late')
  await office.done('viewer', 'POST', '/connections/crm/resume/preview', {})
  const wish = { why: 'looked at it', way: 'release', seen }
  const { resolved } = await office.done('operator', 'POST', '/connections/crm/resume', wish)
  expect(resolved).toMatchObject({ decided: 1, left: 1, ended: false })
  await office.home.sync()
  expect([titleOf(desk, 0), titleOf(desk, 1)]).toEqual(['clean 0', 'Analyst'])
})

test('one call pauses everything; what is in no pause is not resumed; a wrong part is named', async () => {
  await open()
  const early = await office.call('operator', 'POST', '/connections/crm/resume', { why: 'x', way: 'drop', seen: 0 })
  expect([early.status, early.body.detail]).toEqual([409, 'crm is not in a pause'])
  const { connections } = await office.done('operator', 'POST', '/pause', { why: 'something is wrong' })
  expect(Object.keys(connections)).toEqual(['crm', 'desk'])
  const before = [...crm.stamps(), ...desk.stamps()]
  await office.home.sync()
  expect([...crm.stamps(), ...desk.stamps()]).toEqual(before)
  const preview = '/connections/crm/resume/preview'
  const parts: [object, RegExp][] = [
    [{ fields: ['moon'] }, /there is no field moon/],
    [{ filter: { moon: { has: 'x' } } }, /the filter: /],
    [{ only: ['edit'] }, /^\/only/],
    [{ only: [] }, /^\/only/],
  ]
  for (const [part, detail] of parts) {
    expect(await office.call('viewer', 'POST', preview, part)).toMatchObject({
      status: 400,
      body: { detail: expect.stringMatching(detail) },
    })
  }
  for (const name of ['crm', 'desk']) {
    const wish = { why: 'all is well', way: 'release', seen: 0 }
    expect((await office.done('operator', 'POST', `/connections/${name}/resume`, wish)).resolved.ended).toBe(true)
  }
  const cancel = await office.done('operator', 'POST', '/connections/crm/pause/cancel', { why: 'x' })
  expect(cancel).toEqual({ cancelled: false })
})
