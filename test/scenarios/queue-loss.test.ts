import { describe, expect, test } from '@jest/globals'
import { Redis } from 'ioredis'
import { approvePlan } from '../../workers/approve.ts'
import { Daemon } from '../../workers/daemon.ts'
import { standing } from '../support/household.ts'
import { overlapping } from '../support/humans.ts'
import { idOf } from '../support/places.ts'
import { threePlaces, type ThreePlaces } from '../support/three-places.ts'

const PEOPLE = 210
const REDIS_URL = process.env['KITH_TEST_REDIS_URL']

/** Empties the queue again and again while a first sync runs, and then lets it come to its end. @returns how many there are */
async function loseTheQueue(world: ThreePlaces, empty: (daemon: Daemon) => Promise<void>): Promise<number> {
  const { home, office, phone } = world
  const household = await home.open()
  await approvePlan(household)
  const daemon = await Daemon.start(household, { leads: true, sweep_ms: 200 })
  try {
    const agreed = (): boolean => home.places.every((place) => place.all().size === PEOPLE)
    let emptied = 0
    for (const end = Date.now() + 40_000; !agreed() && Date.now() < end;) {
      // At first more often than a pass takes, then less and less, so that it does come to an end.
      await new Promise((resolve) => setTimeout(resolve, 20 + 10 * emptied))
      if (emptied < 20) await empty(daemon)
      emptied++
    }
    expect(emptied).toBeGreaterThan(3)
    expect(agreed()).toBe(true)
    // The sweep survives as well: an edit is still heard and carried on.
    phone.edit(idOf(phone, 'human5@example.org'), 'note', 'after the storm')
    const heard = (): boolean => office.all().get(idOf(office, 'human5@example.org'))?.note === 'after the storm'
    for (const end = Date.now() + 20_000; !heard() && Date.now() < end;)
      await new Promise((resolve) => setTimeout(resolve, 50))
    expect(heard()).toBe(true)
  } finally {
    await daemon.stop()
  }
  await home.sync()
  const [sheet = [], cards, book] = standing(home.places)
  expect(new Set(sheet.map(({ emails }) => emails[0])).size).toBe(PEOPLE)
  expect(cards).toEqual(sheet)
  expect(book).toEqual(sheet)
  expect(await home.plan()).toEqual([])
  return sheet.length
}

const QUICK = { connections: { sheet: { poll: '1s' }, phone: { poll: '1s' }, office: { poll: '1s' } } }

const what =
  'the queue is emptied again and again during a first sync: nothing is lost, nobody is there twice (I13, I4)'

test(`${what}, on Postgres`, async () => {
  const world = await threePlaces(overlapping(PEOPLE), QUICK)
  try {
    expect(await loseTheQueue(world, (daemon) => daemon.queues.obliterate())).toBe(PEOPLE)
  } finally {
    await world.close()
  }
}, 120_000)

const suite = REDIS_URL === undefined ? describe.skip : describe

suite(`on Redis${REDIS_URL === undefined ? ' (skipped: KITH_TEST_REDIS_URL is not set)' : ''}`, () => {
  test(`${what}`, async () => {
    const world = await threePlaces(overlapping(PEOPLE), QUICK, { REDIS_URL: REDIS_URL as string })
    const redis = new Redis(REDIS_URL as string)
    try {
      const household = await world.home.open()
      // Everything that this installation has there, and nothing else.
      const empty = async (): Promise<void> => {
        const keys = await redis.keys(`kith-${String(await household.store.getFact('installation'))}:*`)
        if (keys.length > 0) await redis.del(...keys)
      }
      expect(await loseTheQueue(world, empty)).toBe(PEOPLE)
    } finally {
      await world.close()
      redis.disconnect()
    }
  }, 120_000)
})
