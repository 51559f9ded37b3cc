import { join } from 'node:path'
import { afterEach, expect, jest, test } from '@jest/globals'
import { contact } from '../../support/contacts.ts'
import { TestHousehold } from '../../support/household.ts'
import { human } from '../../support/humans.ts'
import { Crm, idOf, Sheet } from '../../support/places.ts'
import { Office, type Body } from './office.ts'

jest.setTimeout(60_000)

let office: Office
let crm: Crm
afterEach(async () => {
  await office.close()
  crm.close()
})

test('data are audited, repaired as they were shown, and what follows is held until it is let go', async () => {
  const dir = TestHousehold.folder()
  crm = new Crm('crm')
  const sheet = new Sheet('sheet', join(dir, 'sheet.csv'), [
    contact({ given: 'Ada', family: 'Lovelace', emails: ['Ada <ada@example.org>'], phones: ['12'] }),
    contact({ given: 'Bob', family: 'Stone', emails: ['bob@@example'] }),
    contact({ given: 'Eva', family: 'Field', emails: ['Eva <eva@example.org>'] }),
  ])
  office = await Office.open([crm, sheet], { approval: 'auto' }, dir)
  const audited = await office.done('viewer', 'GET', '/audit')
  expect(audited).toMatchObject({ people: 3, records: { sheet: 3, crm: 3 }, notes: [] })
  const malformed = ({ findings }: Body): Body =>
    findings.find(({ rule, connection }: Body) => rule === 'emails.malformed' && connection === 'sheet')
  expect(malformed(audited)).toMatchObject({ count: 3, of: 3, fixable: 2 })
  expect(JSON.stringify(audited)).not.toContain('@')
  const valued = await office.done('viewer', 'GET', '/audit?connection=sheet&values=true&samples=1&read=10')
  expect(malformed(valued).samples).toHaveLength(1)
  expect(malformed(valued).samples[0].values[0]).toContain('@')
  expect(valued.findings.some(({ rule }: Body) => rule === 'unmapped Shoe Size')).toBe(true)
  expect((await office.call('viewer', 'GET', '/audit?samples=5000')).status).toBe(400)
  expect((await office.call('viewer', 'GET', '/audit?connection=moon')).status).toBe(404)

  const shown = await office.done('viewer', 'POST', '/audit/repair/preview', { rule: 'emails.malformed', limit: 1 })
  expect(shown).toMatchObject({ people: 2, values: 2, samples: [{ field: 'emails', rules: ['emails.malformed'] }] })
  expect(shown.writes.map(({ connection, op, count }: Body) => [connection, op, count]).toSorted()).toEqual([
    ['crm', 'update', 2],
    ['sheet', 'update', 2],
  ])
  const unknown = await office.call('viewer', 'POST', '/audit/repair/preview', { rule: 'emails.malfromed' })
  expect(unknown).toMatchObject({ status: 400, body: { advice: expect.stringContaining('emails.malformed') } })

  const repair = (body: object) =>
    office.call('operator', 'POST', '/audit/repair', { rule: 'emails.malformed', why: 'spring', ...body })
  expect((await repair({})).status).toBe(400)
  sheet.add(contact({ given: 'Cy', family: 'Late', emails: ['Cy <cy@example.org>'] }))
  await office.home.sync()
  expect(await repair({ seen: shown.seen })).toMatchObject({
    status: 409,
    body: { detail: 'what there is to repair is not what was shown any more' },
  })
  const { seen } = await office.done('viewer', 'POST', '/audit/repair/preview', { rule: 'emails.malformed' })
  const done = await repair({ seen, onBehalfOf: 'ada' })
  expect(done).toMatchObject({ status: 200, body: { act: expect.any(String), people: 3, held: 6 } })
  const { acts } = await office.done('viewer', 'GET', '/acts?kind=audit')
  expect(acts).toMatchObject([{ id: done.body.act, by: 'ada (operator)', why: 'spring' }])
  await office.home.sync()
  expect([...sheet.all().values()][0]?.emails).toEqual(['Ada <ada@example.org>'])
  await office.home.approveBrakes()
  expect([...sheet.all().values()][0]?.emails).toEqual(['ada@example.org'])
  const { seen: none } = await office.done('viewer', 'POST', '/audit/repair/preview', {})
  expect((await repair({ seen: none, rule: undefined })).body).toEqual({ act: null, people: 0, held: 0 })
})

test('refused writes are listed, tried again or given up as many as were seen, each with who and why', async () => {
  crm = new Crm(
    'crm',
    Array.from({ length: 3 }, (_, index) => human(index)),
  )
  const desk = new Crm('desk', [], { uniqueEmails: true })
  office = await Office.open([crm, desk], { approval: 'auto' })
  const [first, second, third] = [0, 1, 2].map((index) => idOf(crm, `human${index}@example.org`)) as [
    string,
    string,
    string,
  ]
  const here = [0, 1, 2].map((index) => idOf(desk, `human${index}@example.org`)) as [string, string, string]
  const addresses = (...indexes: number[]) => ({
    emails: indexes.map((index) => ({ value: `human${index}@example.org` })),
  })
  // The desk lets nobody have an address that another has.
  crm.app.edit(first, addresses(0, 2))
  crm.app.edit(second, addresses(1, 2))
  const list = (query = ''): Promise<Body> => office.done('viewer', 'GET', `/parked${query}`)
  await office.home.syncUntil(async () => (await list()).writes === 2)
  const { parked } = await list()
  const writes = parked.filter(({ op }: Body) => op === 'update')
  expect(writes).toHaveLength(2)
  expect(writes[0]).toMatchObject({ connection: 'desk', failure: { kind: 'permanent', advice: expect.any(String) } })
  expect(await list('?limit=1')).toMatchObject({ more: true, writes: 2 })
  expect(await list('?connection=crm')).toEqual({ parked: [], more: false, writes: 0 })
  expect((await list('?person=human0@example.org')).writes).toBe(1)

  const act = (what: 'retry' | 'drop', body: object) =>
    office.call('operator', 'POST', `/parked/${what}`, { why: 'mended there', ...body })
  expect((await act('retry', {})).status).toBe(400)
  expect(await act('drop', { seen: 1 })).toMatchObject({
    status: 409,
    body: { detail: '2 writes are parked by now, not 1' },
  })
  expect((await act('drop', { seen: 1, connection: 'moon' })).status).toBe(404)
  crm.app.edit(third, { emails: [{ value: 'third@example.org' }] })
  await office.home.syncUntil(() => desk.all().get(here[2])?.emails[0] === 'third@example.org')
  const retried = await act('retry', { seen: 1, person: 'human0@example.org', onBehalfOf: 'ada' })
  expect(retried).toMatchObject({ status: 200, body: { retried: 1 } })
  await office.home.syncUntil(() => desk.all().get(here[0])?.emails.length === 2)
  expect(await act('drop', { seen: 1, connection: 'desk' })).toMatchObject({ status: 200, body: { dropped: 1 } })
  expect((await list()).writes).toBe(0)
  const { acts } = await office.done('viewer', 'GET', '/acts?kind=parked')
  expect(acts).toMatchObject([
    { by: 'operator', why: 'mended there', about: { dropped: 1, connection: 'desk' } },
    { by: 'ada (operator)', about: { retried: 1, person: expect.any(String) } },
  ])
  desk.close()
})
