import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals'
import { contact } from '../../support/contacts.ts'
import { TestHousehold } from '../../support/household.ts'
import { Crm, idOf, Sheet } from '../../support/places.ts'
import { Office, type Body } from './office.ts'

jest.setTimeout(90_000)

const ADA = contact({ given: 'Ada', family: 'Lovelace', emails: ['ada@example.org'], phones: ['+49 30 123456'] })
const BOB = contact({ given: 'Bob', family: 'Stone', emails: ['bob@example.org'] })

let office: Office
let crm: Crm
let sheet: Sheet
let ada: string
let erasure: string
beforeAll(async () => {
  const dir = TestHousehold.folder()
  crm = new Crm('crm', [ADA, BOB], { erase: true })
  sheet = new Sheet('sheet', join(dir, 'sheet.csv'), [ADA, BOB])
  writeFileSync(join(dir, 'old.backup.gz'), '')
  office = await Office.open([crm, sheet], { approval: 'auto', connections: { sheet: { direction: 'in' } } }, dir)
  ;[{ id: ada }] = (await office.done('viewer', 'GET', '/people?query=ada@')).people
})
afterAll(async () => {
  await office.close()
  crm.close()
})

const preview = (): Promise<Body> => office.done('viewer', 'POST', `/people/${ada}/forget/preview`)
const forget = (body: object, role: 'operator' | 'admin' = 'admin') =>
  office.call(role, 'POST', `/people/${ada}/forget`, { why: 'asked on 20 November', ...body })
const look = (id = erasure): Promise<Body> => office.done('viewer', 'GET', `/erasures/${id}`)
const addresses = (): string[] => [...crm.all().values()].flatMap(({ emails }) => emails)

test('what would go is shown, with nothing done', async () => {
  const shown = await preview()
  expect(shown).toMatchObject({
    person: { id: ada, name: 'Ada Lovelace' },
    merged: 0,
    undecided: [],
    barred: 2,
    shared: 0,
    backups: ['old.backup.gz'],
  })
  expect(shown.records.map(({ connection, how }: Body) => [connection, how]).toSorted()).toEqual([
    ['crm', 'erase'],
    ['sheet', 'by hand'],
  ])
  expect(shown.held).toMatchObject({ records: 2 })
  expect(await preview()).toEqual(shown)
  expect(await office.done('viewer', 'GET', '/erasures')).toEqual({ erasures: [], more: false })
  expect((await office.call('viewer', 'POST', '/people/nobody/forget/preview')).status).toBe(404)
})

test('nobody is erased by a lower role, without a reason, unseen, or otherwise than was shown', async () => {
  const { seen } = await preview()
  expect((await forget({ seen }, 'operator')).status).toBe(403)
  expect((await forget({ seen, why: ' ' })).status).toBe(400)
  expect((await forget({})).status).toBe(400)
  // Another address in the meantime: more is barred than was shown.
  const id = idOf(crm, 'ada@example.org')
  crm.app.edit(id, { emails: [{ value: 'ada@example.org' }, { value: 'countess@example.org' }] })
  await office.home.sync()
  expect(await forget({ seen })).toMatchObject({
    status: 409,
    body: { detail: expect.stringContaining('than what was shown') },
  })
  expect(addresses()).toContain('ada@example.org')
  expect(await office.done('viewer', 'GET', '/erasures')).toEqual({ erasures: [], more: false })
})

test('an erasure begins, waits for whoever has not answered and says why', async () => {
  const { seen } = await preview()
  const begun = await forget({ seen, onBehalfOf: 'grace' })
  expect(begun).toMatchObject({
    status: 202,
    body: { state: 'open', by: 'grace (admin)', why: 'asked on 20 November' },
  })
  erasure = begun.body.id
  expect(await forget({ seen })).toMatchObject({ status: 409, body: { detail: 'the person is being erased already' } })
  await office.home.sync()
  expect(addresses()).toEqual(['bob@example.org'])
  const { erasures } = await office.done('viewer', 'GET', '/erasures?state=open')
  expect(erasures.map(({ id }: Body) => id)).toEqual([erasure])
  const told = await look()
  expect(told.certificate).toBeNull()
  expect(told.records.toSorted((a: Body, b: Body) => (a.connection < b.connection ? -1 : 1))).toMatchObject([
    { connection: 'crm', state: 'answered' },
    { connection: 'sheet', state: 'waiting', because: expect.stringContaining('delete it by hand') },
  ])
  expect((await office.done('viewer', 'GET', '/status')).erasures).toEqual([erasure])
  const act = (path: string, body: object = {}) =>
    office.call('admin', 'POST', `/erasures/${erasure}/${path}`, { why: 'x', ...body })
  expect((await act('lift')).status).toBe(409)
  expect((await act('again', { seen: 1 })).status).toBe(409)
  expect(await act('waive', { connection: 'crm' })).toMatchObject({
    status: 409,
    body: { detail: 'nothing of the erasure waits for crm' },
  })
})

test('a connection that is waived is not waited for: the certificate says so, and names nobody', async () => {
  const waived = await office.done('admin', 'POST', `/erasures/${erasure}/waive`, {
    connection: 'sheet',
    why: 'cut out',
  })
  expect(waived.waived).toMatchObject({ sheet: { by: 'admin', why: 'cut out' } })
  await office.home.syncUntil(async () => (await look()).state === 'done')
  const { certificate, records } = await look()
  expect(records).toEqual([])
  expect(certificate.records.map(({ connection, outcome }: Body) => [connection, outcome]).toSorted()).toEqual([
    ['crm', 'erased'],
    ['sheet', 'waived'],
  ])
  for (const text of ['ada', 'lovelace', '123456']) {
    expect(
      JSON.stringify(certificate)
        .toLowerCase()
        .replaceAll(/[0-9a-f]{32,}/g, ''),
    ).not.toContain(text)
  }
  expect((await office.call('viewer', 'GET', `/people/${ada}`)).status).toBe(404)
  const { acts } = await office.done('viewer', 'GET', '/acts?kind=forget')
  expect(acts.map(({ by, about }: Body) => [by, about])).toEqual([
    ['admin', { erasure, waived: 'sheet' }],
    ['grace (admin)', { erasure }],
  ])
})

test('added again, the person is deleted again, as many records as were seen', async () => {
  expect(readFileSync(sheet.path, 'utf8')).toContain('Lovelace')
  crm.add(ADA)
  await office.home.syncUntil(async () =>
    (await look()).addedAgain.some(({ connection }: Body) => connection === 'crm'),
  )
  const { addedAgain } = await look()
  const seen = addedAgain.length
  const again = (body: object) =>
    office.call('admin', 'POST', `/erasures/${erasure}/again`, { why: 'still wanted', ...body })
  expect(await again({ seen: seen + 1 })).toMatchObject({ status: 409 })
  const begun = await again({ seen })
  expect(begun).toMatchObject({ status: 202, body: { of: erasure, state: 'open' } })
  await office.home.syncUntil(() => !addresses().includes('ada@example.org'))
})

test('a bar that was a mistake is lifted; what is not there is told as such', async () => {
  const lifted = await office.done('admin', 'POST', `/erasures/${erasure}/lift`, { why: 'another Ada' })
  expect(lifted).toMatchObject({ state: 'lifted', lifted: { by: 'admin', why: 'another Ada' } })
  expect((await office.call('admin', 'POST', `/erasures/${erasure}/lift`, { why: 'x' })).status).toBe(409)
  expect((await office.call('viewer', 'GET', '/erasures/nothing')).status).toBe(404)
  expect((await office.call('admin', 'POST', '/erasures/nothing/lift', { why: 'x' })).status).toBe(404)
  expect((await office.call('viewer', 'GET', '/erasures?state=over')).status).toBe(400)
  for (const text of ['example.org', 'Lovelace']) expect(office.lines.join('\n')).not.toContain(text)
})
