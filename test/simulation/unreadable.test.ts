import { expect, test } from '@jest/globals'
import { AppError } from '../../connectors/memory/wire.ts'
import type { Link } from '../../engine/core/ports/store.ts'
import { fairWeather } from './chaos.ts'
import { Random } from './random.ts'
import { World } from './world.ts'

const contact = (given: string): { given: string; family: string; emails: { value: string }[] } => ({
  given,
  family: 'Lovelace',
  emails: [{ value: `${given.toLowerCase()}@example.org` }],
})

async function worldOf(...names: string[]): Promise<World> {
  const world = new World(new Random(1), { apps: names.map((name) => ({ name, quirks: { precondition: true } })) })
  await world.open()
  return world
}

async function rounds(world: World, count: number): Promise<void> {
  for (let round = 0; round < count; round++) {
    world.wakeAllPulls()
    await world.drain()
    await world.sweep()
    await world.drain()
    world.advance(60_000)
  }
}

test('nothing is written to an app before its first pass came through: whoever is missing may be there (I4)', async () => {
  const world = await worldOf('crm', 'desk')
  for (const given of ['Ada', 'Byron', 'Clara']) for (const name of ['crm', 'desk']) world.app(name).add(contact(given))
  const desk = world.app('desk')
  const list = desk.list.bind(desk)
  desk.list = () => Promise.reject(new AppError(503))
  await rounds(world, 3)
  expect(desk.size).toBe(3)

  desk.list = list
  await fairWeather(world)
  expect(desk.size).toBe(3)
  const links: Link[] = []
  for await (const link of world.store.links({ connection: 'desk' })) links.push(link)
  expect(links.map((link) => link.state)).toEqual(['linked', 'linked', 'linked'])
})

test('an app that cannot be read, with a record to be read again, does not keep the others waiting', async () => {
  const world = await worldOf('crm', 'desk', 'phone')
  world.app('crm').add(contact('Ada'))
  const id = world.app('desk').add(contact('Ada'))
  await rounds(world, 2)
  const { links } = await world.store.loadRecords('desk', [id])
  const mine = links.filter((link) => link.connection === 'desk').map((link) => ({ ...link, recheck: true }))
  expect(await world.store.commit({ links: mine })).toEqual({ kind: 'committed' })

  world.app('desk').revoked = true
  world.app('crm').add(contact('Byron'))
  await rounds(world, 3)
  expect(world.app('phone').size).toBe(2)
})
