import { mkdirSync, readdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals'
import { backUpWhenDue } from '../../../workers/backup-clock.ts'
import { human } from '../../support/humans.ts'
import { TestHousehold } from '../../support/household.ts'
import { Crm, idOf } from '../../support/places.ts'
import { NO_BRAKES } from '../../support/three-places.ts'
import { remembered } from '../desk.ts'
import { Office, type Body } from './office.ts'

jest.setTimeout(60_000)

let office: Office
let crm: Crm
let desk: Crm
let folder: string
beforeEach(async () => {
  crm = new Crm(
    'crm',
    Array.from({ length: 5 }, (_, index) => human(index)),
  )
  desk = new Crm('desk', [])
  const dir = TestHousehold.folder()
  folder = join(dir, 'backups')
  const backup = { every: '1d', keep: 2, folder: './backups' }
  office = await Office.open([crm, desk], { brakes: NO_BRAKES, backup }, dir)
})
afterEach(async () => {
  await office.close()
  crm.close()
  desk.close()
})

const at = (place: Crm, index: number): string => idOf(place, `human${index}@example.org`)
const titles = (place: Crm): (string | undefined)[] =>
  [0, 1, 2, 3, 4].map((index) => place.all().get(at(place, index))?.title)

test('a backup is made where the config says, listed, and proven to restore; a damaged one is told', async () => {
  expect(await office.done('viewer', 'GET', '/backups')).toMatchObject({
    scheduled: { everySeconds: 86_400, keep: 2, last: null, failure: null },
    files: [],
    total: 0,
  })
  const made = await office.done('operator', 'POST', '/backups', { file: 'before-import.backup.gz' })
  expect(made).toMatchObject({ file: 'before-import.backup.gz', counts: { person: 5, link: 10 } })
  const named = await office.done('operator', 'POST', '/backups', {})
  expect(named.file).toMatch(/^kith-\d{8}T\d{6}Z\.backup\.gz$/)
  const twice = await office.call('operator', 'POST', '/backups', { file: 'before-import.backup.gz' })
  expect([twice.status, twice.body.detail]).toEqual([409, 'there is a backup of that name already'])

  const household = await office.home.open()
  if (household.config.backup) await backUpWhenDue(household, household.config.backup, remembered().log, Date.now())
  const listed = await office.done('viewer', 'GET', '/backups')
  expect(listed.scheduled.last.file).toMatch(/^kith-auto-/)
  expect(listed.files.map(({ scheduled }: Body) => scheduled).toSorted()).toEqual([false, false, true])
  expect((await office.done('viewer', 'GET', '/backups?limit=1')).files).toHaveLength(1)

  const verify = '/backups/before-import.backup.gz/verify'
  expect(await office.done('operator', 'POST', verify, {})).toMatchObject({ restores: true, counts: { person: 5 } })
  truncateSync(join(folder, 'before-import.backup.gz'), made.bytes - 100)
  const damaged = await office.done('operator', 'POST', verify, {})
  expect(damaged).toMatchObject({
    restores: false,
    fault: 'truncated',
    reason: expect.stringContaining('before-import'),
  })
  expect(damaged.reason).not.toContain(folder)
})

test('a name leads nowhere but into the folder', async () => {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, '..', 'outside.backup.gz'), 'secret')
  symlinkSync(join(folder, '..', 'outside.backup.gz'), join(folder, 'link.backup.gz'))
  const before = readdirSync(join(folder, '..')).toSorted()
  const names = ['../x.backup.gz', '/tmp/x.backup.gz', '..', 'a/b.backup.gz', 'x.gz', '.x.backup.gz', 'a\\b.backup.gz']
  for (const file of [...names, 'kith-auto-20261122T040112Z.backup.gz', 'a..b.backup.gz', 'a\u0000.backup.gz']) {
    const { status } = await office.call('operator', 'POST', '/backups', { file })
    expect([file, status]).toEqual([file, 400])
  }
  for (const file of ['../outside.backup.gz', '..%2foutside.backup.gz', 'link.backup.gz', 'nothing.backup.gz']) {
    const verify = await office.ask(office.secrets.operator, 'POST', `/backups/${encodeURIComponent(file)}/verify`, {})
    expect([file, verify.status]).toEqual([file, 404])
    const wish = { file, limit: 1 }
    const { status, body } = await office.call('viewer', 'POST', '/connections/crm/restore/preview', wish)
    expect([file, status, body.detail]).toEqual([file, 404, 'there is no such backup'])
  }
  expect(readdirSync(join(folder, '..')).toSorted()).toEqual(before)
  expect(readFileSync(join(folder, '..', 'outside.backup.gz'), 'utf8')).toBe('secret')
})

test("an app's records are brought back to a backup as it was shown, and all of it waits for a yes", async () => {
  const { file } = await office.done('operator', 'POST', '/backups', {})
  const before = titles(crm)
  for (let index = 0; index < 4; index++) crm.edit(at(crm, index), 'title', `wrong ${index}`)
  await office.home.sync()
  desk.edit(at(desk, 3), 'title', 'Dean')
  await office.home.sync()
  const ask = { file, fields: ['title'] }
  const shown = await office.done('viewer', 'POST', '/connections/crm/restore/preview', { ...ask, limit: 2 })
  expect(shown).toMatchObject({
    act: null,
    values: 3,
    created: 0,
    left: 1,
    writes: { 'crm: update': 3, 'desk: update': 3 },
    more: true,
  })
  expect(shown.people).toHaveLength(2)
  expect(titles(crm)[0]).toBe('wrong 0')

  // A clerk has mended one meanwhile.
  crm.edit(at(crm, 0), 'title', before[0] as string)
  await office.home.sync()
  const wish = { why: 'import of Monday' }
  const path = '/connections/crm/restore'
  expect(await office.call('admin', 'POST', path, { ...wish, ...ask, seen: shown.seen })).toMatchObject({
    status: 409,
    body: { detail: 'it would bring back something else by now' },
  })
  const { seen } = await office.done('viewer', 'POST', `${path}/preview`, ask)
  expect((await office.call('operator', 'POST', path, { ...wish, ...ask, seen })).status).toBe(403)
  const done = await office.done('admin', 'POST', path, { ...wish, ...ask, seen })
  expect(done).toMatchObject({ act: expect.any(String), values: 2, created: 0, left: 1 })
  await office.home.sync()
  expect(titles(desk)[1]).toBe('wrong 1')

  const { brakes, seen: held } = await office.done('viewer', 'GET', '/brakes')
  expect(brakes.map(({ reason }: Body) => reason)).toEqual(Array(2).fill('brake: brought back from a backup'))
  await office.done('operator', 'POST', '/brakes/release', { why: 'as shown', seen: held })
  await office.home.sync()
  for (const place of [crm, desk]) expect(titles(place)).toEqual([...before.slice(0, 3), 'Dean', before[4]])
  expect((await office.done('viewer', 'GET', '/acts?kind=restore')).acts).toMatchObject([
    { id: done.act, by: 'admin', why: 'import of Monday', about: { connection: 'crm' } },
  ])
  const nothing = await office.done('viewer', 'POST', `${path}/preview`, ask)
  expect(await office.done('admin', 'POST', path, { ...wish, ...ask, seen: nothing.seen })).toMatchObject({ act: null })
  expect(await office.call('viewer', 'POST', `${path}/preview`, { file, fields: ['shoes'] })).toMatchObject({
    status: 400,
  })
})
