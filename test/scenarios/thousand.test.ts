import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { essence } from '../support/contacts.ts'
import { standing } from '../support/household.ts'
import { human, overlapping, sightings } from '../support/humans.ts'
import { threePlaces, type ThreePlaces } from '../support/three-places.ts'

const PEOPLE = 1000

describe('a thousand people, some of them in one place, some in two, some in all three', () => {
  let world: ThreePlaces
  const before = overlapping(PEOPLE)

  beforeAll(async () => {
    world = await threePlaces(before)
  })
  afterAll(() => world.close())

  test('are planned as they overlap: one record made for each place where each is missing', async () => {
    const plan = await world.home.plan()
    for (const place of ['sheet', 'phone', 'office'] as const) {
      const creates = plan.filter(({ connection, op }) => connection === place && op === 'create')
      expect(creates).toHaveLength(PEOPLE - before[place].length)
    }
    expect(plan.filter(({ op }) => op === 'delete')).toEqual([])
    expect(plan.filter(({ state, held }) => state !== 'held' || held !== 'approval')).toEqual([])
  }, 60_000)

  test('are one set of people in all three places after the approval, none of them twice (I1, I4)', async () => {
    await world.home.approve()
    const [sheet = [], phone = [], office = []] = standing(world.home.places)
    expect(sheet).toHaveLength(PEOPLE)
    expect(new Set(sheet.map(({ emails }) => emails[0])).size).toBe(PEOPLE)
    expect(phone).toEqual(sheet)
    expect(office).toEqual(sheet)
  }, 90_000)

  test('have lost no fact on the way, whichever place it came from', () => {
    const now = new Map([...world.office.all().values()].map((who) => [essence(who).emails[0], essence(who)]))
    for (let index = 0; index < PEOPLE; index++) {
      const { sheet, phone, office } = sightings(index)
      const all = essence(human(index))
      const who = now.get(all.emails[0])
      expect(who).toMatchObject({
        family: all.family,
        ...(sheet ? { organisation: all.organisation, phones: all.phones } : {}),
        ...(phone ? { title: all.title, birthday: all.birthday } : {}),
        ...(office ? { note: all.note, birthday: all.birthday } : {}),
      })
    }
  })

  test('leave nothing to plan, and the next pass writes nothing and asks next to nothing (I2)', async () => {
    expect(await world.home.plan()).toEqual([])
    const asked = world.office.server.requests.length
    expect(await world.home.countedSync()).toEqual({ sheet: 0, phone: 0, office: 0 })
    const requests = world.office.server.requests.slice(asked)
    expect(requests.map(({ report }) => report)).toEqual(['sync-collection'])
  }, 60_000)

  test('keep their agreement and their quiet through a restart (I2)', async () => {
    await world.home.shut()
    expect(await world.home.countedSync()).toEqual({ sheet: 0, phone: 0, office: 0 })
    expect(await world.home.plan()).toEqual([])
  }, 60_000)
})
