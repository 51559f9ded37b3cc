import { afterEach, describe, expect, test } from '@jest/globals'
import type { Conflict } from '../../engine/core/ports/store.ts'
import { contact, type Contact } from '../support/contacts.ts'
import { standing, TestHousehold, type YamlDocument } from '../support/household.ts'
import { Crm, idOf } from '../support/places.ts'
import { NO_BRAKES, threePlaces } from '../support/three-places.ts'

const ADA = contact({ given: 'Ada', family: 'Lovelace', title: 'Analyst', emails: ['ada@example.org'] })
const ALAN = contact({ given: 'Alan', family: 'Turing', organisation: 'Bletchley', emails: ['alan@example.org'] })

let close: (() => Promise<void>) | undefined
afterEach(async () => {
  await close?.()
  close = undefined
})

interface Trio {
  readonly home: TestHousehold
  readonly crm: Crm
  readonly desk: Crm
  readonly news: Crm
}

/** Three apps that tell when each field was changed, in agreement. */
async function trio(more: YamlDocument, people: readonly Contact[] = [ADA]): Promise<Trio> {
  const crm = new Crm('crm', people, { times: 'field' })
  const desk = new Crm('desk', [], { times: 'field' })
  const news = new Crm('news', [], { times: 'field' })
  const home = await TestHousehold.make(TestHousehold.folder(), [crm, desk, news], { brakes: NO_BRAKES, ...more })
  close = () => home.close().finally(() => [crm, desk, news].forEach((place) => place.close()))
  await home.syncApproved()
  return { home, crm, desk, news }
}

const edit = (place: Crm, ...change: [Parameters<Crm['edit']>[1], string]): void =>
  place.edit(idOf(place, 'ada@example.org'), ...change)

function adas({ home }: Trio): Contact[] {
  return home.places.map((place) => place.all().get(idOf(place, 'ada@example.org')) as Contact)
}

const titles = (world: Trio): string[] => adas(world).map(({ title }) => title)

/** Nothing left to do, and nothing done in a further pass. */
async function quiet({ home }: Trio): Promise<void> {
  expect(await home.plan()).toEqual([])
  expect(await home.countedSync()).toEqual({ crm: 0, desk: 0, news: 0 })
}

async function conflictsIn({ home }: Trio): Promise<Conflict[]> {
  const found: Conflict[] = []
  for await (const conflict of (await home.open()).store.conflicts()) found.push(conflict)
  return found
}

describe('policies', () => {
  test('prefer: in a conflict the one that stands first in the list wins, however late the other; the loser is in the log', async () => {
    const world = await trio({ fields: { title: { prefer: ['desk', 'crm'] } } })
    edit(world.desk, 'title', 'Countess')
    await new Promise((resolve) => setTimeout(resolve, 5))
    edit(world.crm, 'title', 'Programmer')
    edit(world.news, 'title', 'Reader')
    await world.home.sync()
    expect(titles(world)).toEqual(['Countess', 'Countess', 'Countess'])
    const lost = (await world.home.log()).filter(({ kind, cell }) => kind === 'lost' && cell === 'title')
    expect(lost.map(({ after }) => String(after)).toSorted()).toEqual(['Programmer', 'Reader'])
    // Without a conflict an edit is an edit, whoever makes it.
    edit(world.news, 'title', 'Poet')
    await world.home.sync()
    expect(titles(world)).toEqual(['Poet', 'Poet', 'Poet'])
    await quiet(world)
  })

  test('owner: only the owner may change the field; others are corrected, and what they typed is in the log', async () => {
    const world = await trio({ fields: { title: { owner: 'crm' } } })
    edit(world.desk, 'title', 'Countess')
    edit(world.desk, 'note', 'goes everywhere')
    await world.home.sync()
    expect(titles(world)).toEqual(['Analyst', 'Analyst', 'Analyst'])
    expect(adas(world).map(({ note }) => note)).toEqual(Array(3).fill('goes everywhere'))
    const refused = (await world.home.log()).filter(({ kind }) => kind === 'refused')
    expect(refused).toMatchObject([{ cell: 'title', after: 'Countess', stamp: { by: 'desk' }, rule: 'owner' }])
    edit(world.crm, 'title', 'Programmer')
    await world.home.sync()
    expect(titles(world)).toEqual(['Programmer', 'Programmer', 'Programmer'])
    await quiet(world)
  })

  test('fill: a value fills a blank everywhere, and is never replaced', async () => {
    const world = await trio({ fields: { organisation: 'fill' } })
    edit(world.desk, 'organisation', 'Analytical Engines')
    await world.home.sync()
    expect(adas(world).map(({ organisation }) => organisation)).toEqual(Array(3).fill('Analytical Engines'))
    edit(world.crm, 'organisation', 'Difference Engines')
    await world.home.sync()
    expect(adas(world).map(({ organisation }) => organisation)).toEqual(Array(3).fill('Analytical Engines'))
    expect((await world.home.log())[0]).toMatchObject({ kind: 'refused', rule: 'fill', after: 'Difference Engines' })
    await quiet(world)
  })

  test('manual: a conflict waits, both keep their own; writing one of the two into both apps settles it', async () => {
    const world = await trio({ fields: { title: 'manual' } })
    edit(world.crm, 'title', 'Programmer')
    edit(world.desk, 'title', 'Countess')
    await world.home.sync()
    const conflicts = await conflictsIn(world)
    expect(conflicts).toHaveLength(1)
    expect([conflicts[0]?.ours, conflicts[0]?.theirs].map(String).toSorted()).toEqual(['Countess', 'Programmer'])
    expect(titles(world).slice(0, 2)).toEqual(['Programmer', 'Countess'])
    await quiet(world)
    edit(world.crm, 'title', 'Countess')
    edit(world.desk, 'title', 'Countess')
    await world.home.sync()
    expect(await conflictsIn(world)).toEqual([])
    expect(titles(world)).toEqual(['Countess', 'Countess', 'Countess'])
    await quiet(world)
  })
})

describe('directions', () => {
  test('in: read only; what others change is never written there, its own edits go out', async () => {
    const world = await trio({ connections: { crm: { direction: 'in' } } }, [ADA, ALAN])
    edit(world.desk, 'title', 'Countess')
    await world.home.sync()
    expect(titles(world)).toEqual(['Analyst', 'Countess', 'Countess'])
    edit(world.crm, 'note', 'from the source')
    await world.home.sync()
    expect(adas(world).map(({ note }) => note)).toEqual(Array(3).fill('from the source'))
    world.desk.add(contact({ given: 'Only', family: 'Here', emails: ['only@example.org'] }))
    await world.home.sync()
    expect(world.home.places.map((place) => place.all().size)).toEqual([2, 3, 3])
    expect(world.home.deliveries.filter(({ connection }) => connection === 'crm')).toEqual([])
    await quiet(world)
  })

  test('out: written only; what is edited there is corrected, and kept in the log (I3)', async () => {
    const world = await trio({ connections: { news: { direction: 'out' } } })
    edit(world.news, 'title', 'Reader')
    await world.home.sync()
    expect(titles(world).slice(0, 2)).toEqual(['Analyst', 'Analyst'])
    expect(titles(world)[2]).toBe('Analyst')
    edit(world.crm, 'title', 'Programmer')
    await world.home.sync()
    expect(titles(world)).toEqual(['Programmer', 'Programmer', 'Programmer'])
    await quiet(world)
  })

  test('per field: in is never written there, out is never heard from there', async () => {
    const fields = { title: { app: 'title', direction: 'in' }, note: { app: 'note', direction: 'out' } }
    const world = await trio({ connections: { desk: { mapping: { fields } } } })
    edit(world.crm, 'title', 'Programmer')
    edit(world.crm, 'note', 'one')
    await world.home.sync()
    expect(titles(world)).toEqual(['Programmer', '', 'Programmer'])
    expect(adas(world).map(({ note }) => note)).toEqual(['one', 'one', 'one'])
    edit(world.desk, 'title', 'Countess')
    edit(world.desk, 'note', 'two')
    await world.home.sync()
    expect(titles(world)).toEqual(['Countess', 'Countess', 'Countess'])
    expect(adas(world).map(({ note }) => note)).toEqual(['one', 'one', 'one'])
    await quiet(world)
  })
})

test('include: only those who pass the filter are made there; one who does not any more is left as he is', async () => {
  const world = await trio({ connections: { news: { include: { title: 'present' } } } }, [ADA, ALAN])
  expect([...world.news.all().values()].map(({ given }) => given)).toEqual(['Ada'])
  world.desk.edit(idOf(world.desk, 'alan@example.org'), 'title', 'Codebreaker')
  await world.home.sync()
  expect([...world.news.all().values()].map(({ given }) => given).sort()).toEqual(['Ada', 'Alan'])
  const store = (await world.home.open()).store
  expect((await store.counts()).get('news')).toMatchObject({ linked: 2, pending: 0 })
  await quiet(world)
})

test('create: false keeps people out who are not there, and keeps those who are in agreement', async () => {
  const world = await trio({ connections: { news: { create: false } } })
  expect(world.news.all().size).toBe(0)
  world.news.add(ADA)
  await world.home.sync()
  edit(world.crm, 'title', 'Programmer')
  world.crm.add(ALAN)
  await world.home.sync()
  expect(titles(world)).toEqual(['Programmer', 'Programmer', 'Programmer'])
  expect(world.home.places.map((place) => place.all().size)).toEqual([2, 2, 1])
  await quiet(world)
})

test('modes: observe plans and holds, paused is neither read nor written; made live, both catch up', async () => {
  const world = await trio({})
  await world.home.shut()
  world.home.configure({ brakes: NO_BRAKES, connections: { desk: { mode: 'observe' }, news: { mode: 'paused' } } })
  edit(world.crm, 'title', 'Programmer')
  edit(world.news, 'note', 'heard later')
  await world.home.sync()
  expect(titles(world)).toEqual(['Programmer', 'Analyst', 'Analyst'])
  expect(adas(world).map(({ note }) => note)).toEqual(['', '', 'heard later'])
  await world.home.shut()
  world.home.configure({ brakes: NO_BRAKES })
  await world.home.sync()
  await world.home.sync()
  expect(titles(world)).toEqual(['Programmer', 'Programmer', 'Programmer'])
  expect(adas(world).map(({ note }) => note)).toEqual(Array(3).fill('heard later'))
  await quiet(world)
})

test('custom fields travel between a column, a property of the card and back', async () => {
  const world = await threePlaces(
    { sheet: [ADA] },
    {
      custom: { shoe: { type: 'text', title: 'Shoe size' } },
      connections: {
        sheet: { mapping: { fields: { 'custom.shoe': 'Shoe Size' } } },
        phone: { mapping: { fields: { 'custom.shoe': 'X-SHOE' } } },
        office: { mapping: { fields: { 'custom.shoe': 'X-SHOE-SIZE' } } },
      },
    },
  )
  close = world.close
  await world.home.syncApproved()
  expect([...world.phone.texts().values()][0]).toMatch(/^X-SHOE:36\r$/m)
  const [name, card] = [...world.office.server.cards][0] ?? ['', { text: '' }]
  expect(card.text).toMatch(/^X-SHOE-SIZE:36\r$/m)
  world.office.server.put(name, card.text.replace('X-SHOE-SIZE:36', 'X-SHOE-SIZE:37 1/2'))
  await world.home.sync()
  expect(world.sheet.rows()[0]?.['Shoe Size']).toBe('37 1/2')
  expect([...world.phone.texts().values()][0]).toMatch(/^X-SHOE:37 1\/2\r$/m)
  expect(await world.home.plan()).toEqual([])
  expect(new Set(standing(world.home.places).map((all) => JSON.stringify(all))).size).toBe(1)
})
