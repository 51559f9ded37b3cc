import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { parse } from 'csv-parse/sync'
import { contact } from '../../support/contacts.ts'
import { human } from '../../support/humans.ts'
import { Crm, idOf } from '../../support/places.ts'
import { Office, type Body } from './office.ts'

jest.setTimeout(60_000)

const PEOPLE = 12

let office: Office
let crm: Crm
let desk: Crm
beforeAll(async () => {
  crm = new Crm('crm', [
    ...Array.from({ length: PEOPLE - 1 }, (_, index) => human(index)),
    contact({ given: 'Eva', family: '=1+1', title: 'Poet', emails: ['eva@example.org'] }),
  ])
  desk = new Crm('desk')
  office = await Office.open([crm, desk], { approval: 'auto' })
  desk.edit(idOf(desk, 'eva@example.org'), 'title', 'Novelist')
  await office.home.sync()
})
afterAll(async () => {
  await office.close()
  crm.close()
  desk.close()
})

const get = (path: string): Promise<Body> => office.done('viewer', 'GET', path)
const problem = async (path: string): Promise<readonly [number, string]> => {
  const { status, body } = await office.call('viewer', 'GET', path)
  return [status, `${body.detail} ${body.advice ?? ''}`]
}

test('people are found by a part of what they are known by, and say that there are more', async () => {
  const { people, more } = await get('/people?query=eva@')
  expect([people.length, more]).toEqual([1, false])
  expect(people[0]).toMatchObject({
    name: 'Eva =1+1',
    state: 'live',
    emails: ['eva@example.org'],
    connections: ['crm', 'desk'],
  })
  expect(await get(`/people?limit=${PEOPLE - 1}`)).toMatchObject({ more: true })
  expect((await get(`/people?limit=${PEOPLE}`)).people).toHaveLength(PEOPLE)
  expect(await get('/people?query=nobody@')).toEqual({ people: [], more: false })
  expect((await problem('/people?limit=0'))[0]).toBe(400)
  expect((await problem('/people?name=eva'))[0]).toBe(400)
})

test('one person is told whole: each value, who said it, where the records stand, and what was sent where', async () => {
  const [{ id }] = (await get('/people?query=eva@')).people
  const story = await get(`/people/${id}`)
  expect(story.fields.find(({ field }: Body) => field === 'title')).toMatchObject({
    value: 'Novelist',
    connection: 'desk',
  })
  expect(story.records.map(({ connection, state }: Body) => [connection, state]).toSorted()).toEqual([
    ['crm', 'linked'],
    ['desk', 'linked'],
  ])
  expect(story.health.map(({ state }: Body) => state)).toEqual(['in-sync', 'in-sync'])
  const [sent] = story.sent
  expect(sent).toMatchObject({
    connection: 'crm',
    op: 'update',
    fields: [{ field: 'title', before: 'Poet', after: 'Novelist' }],
  })
  const title = await get(`/people/${id}?field=title`)
  expect(title.fields.map(({ field }: Body) => field)).toEqual(['title'])
  expect(await problem(`/people/${id}?field=shoe`)).toEqual([400, expect.stringContaining('there is no field shoe')])
  // By id alone: a name that one happens to have is no address.
  expect(await problem('/people/eva')).toEqual([404, expect.stringContaining('GET /people')])
})

test('whoever was merged into another is that other', async () => {
  const crmTwo = [idOf(crm, 'human1@example.org'), idOf(crm, 'human2@example.org')]
  expect(crmTwo).toHaveLength(2)
  const { store } = await office.home.open()
  const [winner] = (await get('/people?query=human1@')).people
  const [loser] = (await get('/people?query=human2@')).people
  const { people } = await store.loadPeople([loser.id])
  const [person] = people
  if (!person) throw new Error('the person is gone')
  await store.commit({ people: [{ ...person, state: 'merged', mergedInto: winner.id }] })
  expect((await get(`/people/${loser.id}`)).id).toBe(winner.id)
  const again = (await store.loadPeople([loser.id])).people[0]
  if (again) await store.commit({ people: [{ ...person, version: again.version }] })
})

test('the log is paged on by the ids of its entries, and is told of one person, one connection, or of late', async () => {
  const all: Body[] = (await get('/log?limit=1000')).entries
  const ids = all.map(({ id }) => id)
  expect(ids).toEqual(ids.toSorted((a, b) => b - a))
  const paged: number[] = []
  for (let before = ''; ;) {
    const { entries, more } = await get(`/log?limit=7${before}`)
    paged.push(...entries.map(({ id }: Body) => id))
    if (!more) break
    before = `&before=${paged.at(-1)}`
  }
  expect(paged).toEqual(ids)
  const [eva] = (await get('/people?query=eva@')).people
  const { entries } = await get('/log?person=eva@example.org&connection=desk')
  expect(entries).toMatchObject([
    { person: eva.id, name: 'Eva =1+1', field: 'title', before: 'Poet', after: 'Novelist' },
  ])
  const { heard } = entries[0]
  expect((await get(`/log?since=${new Date(Date.parse(heard) + 1).toISOString()}`)).entries).toEqual([])
  expect(await problem('/log?connection=moon')).toEqual([404, expect.stringContaining('no connection named moon')])
  expect((await problem('/log?since=yesterday'))[0]).toBe(400)
  // Several people may be meant: they are told by their ids alone (I15).
  const several = await office.call('viewer', 'GET', '/log?person=example.org')
  expect(several.status).toBe(409)
  expect(JSON.stringify(several.body)).not.toContain('@')
})

test('the health of every record is counted, and told page by page without a gap or a double', async () => {
  const { connections } = await get('/health')
  expect(connections.crm.states).toMatchObject({ 'in-sync': PEOPLE, held: 0 })
  const whole: Body[] = (await get('/health/records?limit=1000')).records
  expect(whole).toHaveLength(2 * PEOPLE)
  const paged: Body[] = []
  let pages = 0
  for (let cursor: string | null = ''; cursor !== null; pages++) {
    const page: Body = await get(`/health/records?limit=5${cursor === '' ? '' : `&cursor=${cursor}`}`)
    expect(page.records.length).toBeLessThanOrEqual(6)
    paged.push(...page.records)
    cursor = page.next
  }
  expect(paged).toEqual(whole)
  expect(pages).toBeGreaterThan(3)
  expect((await get('/health/records?connection=desk&limit=1000')).records).toHaveLength(PEOPLE)
  expect(await get('/health/records?state=held')).toEqual({ records: [], next: null })
  expect((await get('/health/records?person=eva@example.org')).records).toMatchObject([
    { connection: 'crm', state: 'in-sync', cause: 'agrees' },
    { connection: 'desk', state: 'in-sync' },
  ])
  expect((await problem('/health/records?state=well'))[0]).toBe(400)
  expect(await problem('/health/records?cursor=moon')).toEqual([400, expect.stringContaining('the cursor is none')])
})

test('records that are nobody’s are paged on too', async () => {
  const broken = [1, 2, 3].map((number) => crm.app.add({ given: `Broken ${number}` }))
  for (const id of broken) crm.app.breakRecord(id)
  await office.home.sync()
  const ids: string[] = []
  for (let next: string | null = ''; next !== null;) {
    const page: Body = await get(`/health/records?limit=1&state=unreadable${next === '' ? '' : `&cursor=${next}`}`)
    ids.push(...page.records.map(({ record }: Body) => record))
    next = page.next
  }
  expect(ids).toEqual(broken.toSorted())
  for (const id of broken) crm.remove(id)
  await office.home.sync()
})

test('people are exported as a CSV that no spreadsheet runs, all or those that fit', async () => {
  const { status, headers, body } = await office.call('viewer', 'GET', '/export.csv')
  expect([status, headers.get('content-type'), headers.get('content-disposition')]).toEqual([
    200,
    'text/csv; charset=utf-8',
    'attachment; filename="people.csv"',
  ])
  const rows = parse(body, { columns: true }) as Body[]
  expect(rows).toHaveLength(PEOPLE)
  expect(rows.find((row) => row['E-mail 1'] === 'eva@example.org')).toMatchObject({
    'Last name': "'=1+1",
    In: 'crm, desk',
  })
  const filter = encodeURIComponent('{"title": {"is": "Novelist"}}')
  const some = (await office.call('viewer', 'GET', `/export.csv?bom=true&filter=${filter}`)).body
  expect(parse(some, { columns: true, bom: true })).toHaveLength(1)
  expect(await problem(`/export.csv?filter=${encodeURIComponent('{"shoe": "present"}')}`)).toEqual([
    400,
    expect.stringContaining('there is no field "shoe"'),
  ])
  expect((await problem('/export.csv?filter=['))[0]).toBe(400)
})

test('an address’s consent is told, tightened at once, and loosened by a later opt-in alone (I7)', async () => {
  const path = '/consents/eva%40example.org'
  expect(await get(path)).toMatchObject({ address: 'eva@example.org', channel: 'email', state: null, events: [] })
  const say = (body: object) => office.call('operator', 'POST', path, { why: 'asked by phone', ...body })
  const said = await say({ state: 'unsubscribed', onBehalfOf: 'ada' })
  expect(said).toMatchObject({
    status: 200,
    body: {
      state: 'unsubscribed',
      by: 'operator:ada (operator)',
      events: [{ outcome: 'applied', note: 'asked by phone' }],
    },
  })
  expect(said.body.holders.map(({ connection }: Body) => connection).toSorted()).toEqual(['crm', 'desk'])
  expect(await say({ state: 'subscribed' })).toMatchObject({
    status: 409,
    body: { detail: expect.stringContaining("only the person's own opt-in") },
  })
  expect((await say({ state: 'subscribed', optedIn: '2999-01-01T00:00:00Z' })).status).toBe(400)
  expect((await say({ state: 'maybe' })).status).toBe(400)
  expect(await say({ state: 'subscribed', optedIn: new Date().toISOString() })).toMatchObject({
    body: { state: 'subscribed' },
  })
  const { acts } = await get('/acts?kind=consent')
  expect(acts[0]).toMatchObject({ by: 'operator', why: 'asked by phone', about: { state: 'subscribed' } })
  expect(await problem('/consents/eva')).toEqual([400, expect.stringContaining('neither an e-mail address')])
  expect((await get(`/consents/${'x'.repeat(240)}@example.org`)).state).toBeNull()
})

test('the log of the server has no value and no address (I15)', () => {
  for (const text of ['example.org', 'Novelist', 'Eva']) expect(office.lines.join('\n')).not.toContain(text)
})

describe('an export that is larger than what fits on the way', () => {
  const ask = (signal?: AbortSignal): Promise<Response> =>
    fetch(`${office.url}/export.csv`, {
      headers: { authorization: `Bearer ${office.secrets.viewer}` },
      ...(signal ? { signal } : {}),
    })

  beforeAll(async () => {
    const { store } = await office.home.open()
    const stamp = { at: 1, by: 'crm' }
    const note = { value: 'x'.repeat(10_000), stamp, rule: 'first' } as const
    for (let round = 0; round < 10; round++) {
      const people = Array.from({ length: 150 }, (_, index) => {
        return { id: `long-${round}-${index}`, version: 0, cells: { note }, state: 'live' } as const
      })
      await store.commit({ people })
    }
  })

  test('who hangs up in the middle of it leaves nothing behind: the next one runs to its end', async () => {
    const hangUp = new AbortController()
    const { body } = await ask(hangUp.signal)
    await body?.getReader().read()
    expect((await office.call('viewer', 'GET', '/export.csv')).status).toBe(409)
    hangUp.abort()
    let answer = await office.call('viewer', 'GET', '/export.csv')
    for (const end = Date.now() + 10_000; answer.status !== 200 && Date.now() < end;) {
      answer = await office.call('viewer', 'GET', '/export.csv')
    }
    expect(parse(answer.body, { columns: true })).toHaveLength(PEOPLE + 1500)
  })

  test('with Kith it breaks off, and is not taken for a whole file; nobody waits for who reads nothing', async () => {
    const { status, body } = await ask()
    expect(status).toBe(200)
    const reader = body?.getReader()
    await reader?.read()
    const begun = Date.now()
    await office.api.close()
    expect(Date.now() - begun).toBeLessThan(10_000)
    const drained = async (): Promise<void> => {
      while (!(await reader?.read())?.done);
    }
    await expect(drained()).rejects.toThrow(/terminated/)
  })
})
