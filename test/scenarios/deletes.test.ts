import { afterEach, describe, expect, test } from '@jest/globals'
import { contact } from '../support/contacts.ts'
import { TestHousehold, type YamlDocument } from '../support/household.ts'
import { human } from '../support/humans.ts'
import { Crm, idOf } from '../support/places.ts'
import { NO_BRAKES, threePlaces, type ThreePlaces } from '../support/three-places.ts'

const PEOPLE = Array.from({ length: 8 }, (_, index) => human(index))

let close: (() => Promise<void>) | undefined
afterEach(async () => {
  await close?.()
  close = undefined
})

async function begin(more: YamlDocument): Promise<ThreePlaces> {
  const world = await threePlaces({ sheet: PEOPLE }, more)
  close = world.close
  await world.home.syncApproved()
  expect(sizes(world)).toEqual([8, 8, 8])
  return world
}

function sizes({ home }: ThreePlaces): number[] {
  return home.places.map((place) => place.all().size)
}

describe('a record is deleted in the folder of vCards', () => {
  async function deleteOne(policy: string): Promise<ThreePlaces> {
    const world = await begin({ connections: { phone: { deletes: policy } } })
    world.phone.remove(idOf(world.phone, 'human3@example.org'))
    await world.home.sync()
    return world
  }

  test('unlink: the person lives on elsewhere and is not made there again, also when edited', async () => {
    const world = await deleteOne('unlink')
    expect(sizes(world)).toEqual([8, 7, 8])
    world.sheet.edit(idOf(world.sheet, 'human3@example.org'), 'title', 'Pope')
    await world.home.sync()
    expect(sizes(world)).toEqual([8, 7, 8])
    expect(world.office.all().get(idOf(world.office, 'human3@example.org'))?.title).toBe('Pope')
    expect(await world.home.plan()).toEqual([])
  })

  test('propagate: deleted everywhere, once, and nowhere made again', async () => {
    const world = await deleteOne('propagate')
    expect(sizes(world)).toEqual([7, 7, 7])
    expect(world.home.deliveries.filter(({ op }) => op === 'delete')).toHaveLength(2)
    expect(await world.home.countedSync()).toEqual({ sheet: 0, phone: 0, office: 0 })
    expect(await world.home.plan()).toEqual([])
  })

  test('ignore: made there again', async () => {
    const world = await deleteOne('ignore')
    expect(sizes(world)).toEqual([8, 8, 8])
    expect(world.phone.all().get(idOf(world.phone, 'human3@example.org'))?.family).toBe(human(3).family)
    expect(await world.home.plan()).toEqual([])
  })

  test('archive: left alone in apps that have no archive', async () => {
    const world = await deleteOne('archive')
    expect(sizes(world)).toEqual([8, 7, 8])
    expect(await world.home.plan()).toEqual([])
  })
})

test('archive: archived in an app that can, and a human can take the record back', async () => {
  const dir = TestHousehold.folder()
  const crm = new Crm('crm', PEOPLE.slice(0, 2))
  const desk = new Crm('desk', [], { archive: true })
  const more = { connections: { crm: { deletes: 'archive' } }, brakes: NO_BRAKES }
  const home = await TestHousehold.make(dir, [crm, desk], more)
  close = () => home.close().finally(() => [crm, desk].forEach((place) => place.close()))
  await home.syncApproved()
  const there = idOf(desk, 'human1@example.org')
  crm.remove(idOf(crm, 'human1@example.org'))
  await home.sync()
  expect([crm.all().size, desk.all().size]).toEqual([1, 1])
  desk.app.restore(there)
  await home.sync()
  expect(idOf(desk, 'human1@example.org')).toBeTruthy()
  expect(await home.plan()).toEqual([])
})

describe('brakes', () => {
  const brakes = (limit: object): YamlDocument => ({ brakes: { ...NO_BRAKES, ...limit } })
  const tight = { share: 0, min: 3 }

  test('many deletions at once are held at both ends until they are let go', async () => {
    const world = await begin({ ...brakes({ deletes: tight }), connections: { phone: { deletes: 'propagate' } } })
    const { home, phone } = world
    for (let index = 0; index < 4; index++) phone.remove(idOf(phone, `human${index}@example.org`))
    await home.sync()
    expect(sizes(world)).toEqual([8, 4, 8])
    const reason = 'brake: 4 records deleted there within the window, 3 are believed'
    expect(await home.brakes()).toEqual([{ connection: 'phone', reason, what: 'deletions', count: 4 }])
    await home.shut()
    await home.sync()
    expect(sizes(world)).toEqual([8, 4, 8])
    // Believed now; what they lead to elsewhere meets the brakes there.
    await home.approveBrakes()
    expect(sizes(world)).toEqual([8, 4, 8])
    expect(
      (await home.brakes()).map(({ connection, what, count }) => `${connection} ${what} ${count}`).toSorted(),
    ).toEqual(['office delete 4', 'sheet delete 4'])
    expect(await home.approveBrakes()).toBe(8)
    expect(sizes(world)).toEqual([4, 4, 4])
    expect(await home.brakes()).toEqual([])
    expect(await home.plan()).toEqual([])
  })

  test('a few deletions are not held', async () => {
    const world = await begin({ ...brakes({ deletes: tight }), connections: { phone: { deletes: 'propagate' } } })
    for (let index = 0; index < 3; index++) world.phone.remove(idOf(world.phone, `human${index}@example.org`))
    await world.home.sync()
    expect(sizes(world)).toEqual([5, 5, 5])
  })

  test('many new records at once are held, edits go on; let go, they are all made', async () => {
    const world = await begin({})
    const { home, sheet } = world
    await home.shut()
    home.configure(brakes({ creates: tight }))
    // What the first sync made counts too: only what comes after it is new here.
    for (let index = 100; index < 104; index++) sheet.add(human(index))
    sheet.edit(idOf(sheet, 'human1@example.org'), 'title', 'Pope')
    await home.sync()
    expect(sizes(world)).toEqual([12, 8, 8])
    expect(world.office.all().get(idOf(world.office, 'human1@example.org'))?.title).toBe('Pope')
    expect(
      (await home.brakes()).map(({ connection, what, count }) => `${connection} ${what} ${count}`).toSorted(),
    ).toEqual(['office create 4', 'phone create 4'])
    expect(await home.approveBrakes()).toBe(8)
    expect(sizes(world)).toEqual([12, 12, 12])
    expect(await home.plan()).toEqual([])
  })

  test('one field changed everywhere is held; other edits go on; let go, it is written', async () => {
    const world = await begin(brakes({ field: tight }))
    const { home, sheet, office } = world
    sheet.change((rows) => rows.forEach((row) => (row['Job Title'] = 'n/a')))
    office.edit(idOf(office, 'human1@example.org'), 'note', 'an edit of somebody else')
    await home.sync()
    const titles = (): string[] => [...office.all().values()].map(({ title }) => title)
    expect(titles().filter((title) => title === 'n/a')).toEqual([])
    expect(sheet.all().get(idOf(sheet, 'human1@example.org'))?.note).toBe('an edit of somebody else')
    const reason = 'brake: title was changed in 8 records within the window, 3 are allowed'
    expect(await home.brakes()).toEqual(
      expect.arrayContaining(
        ['phone', 'office'].map((connection) => ({ connection, reason, what: 'update', count: 8 })),
      ),
    )
    await home.approveBrakes()
    expect(new Set(titles())).toEqual(new Set(['n/a']))
    expect(await home.plan()).toEqual([])
  })

  test('a record that nobody else has is still deleted by a human without anybody noticing', async () => {
    const world = await begin(brakes({}))
    world.phone.add(contact({ given: 'Only', family: 'Here', emails: ['only@example.org'] }))
    world.phone.remove(idOf(world.phone, 'only@example.org'))
    expect(await world.home.countedSync()).toEqual({ sheet: 0, phone: 0, office: 0 })
  })
})
