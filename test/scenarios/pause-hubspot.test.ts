import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { startHubSpotSimulator, type HubSpotSimulator } from '../../connectors/hubspot/simulator.ts'
import { isRefusal } from '../../connectors/hubspot/simulator-contacts.ts'
import { WHOLE, type CleanUpWay } from '../../engine/core/clean-up.ts'
import { previewCleanUp, resolveCleanUp } from '../../workers/clean-up.ts'
import { beginPause, settlePause } from '../../workers/pause.ts'
import { TestHousehold } from '../support/household.ts'
import { human } from '../support/humans.ts'
import { Sheet, type Place } from '../support/places.ts'
import { NO_BRAKES } from '../support/three-places.ts'

/** A HubSpot account in which its people clean up, and a sheet that follows it. */
let simulator: HubSpotSimulator
let home: TestHousehold
let sheet: Sheet

const emailOf = (index: number): string => `human${index}@example.org`

beforeEach(async () => {
  simulator = await startHubSpotSimulator({ token: 'secret' })
  for (let index = 0; index < 100; index++) create(index)
  const dir = TestHousehold.folder()
  sheet = new Sheet('sheet', join(dir, 'contacts.csv'), [])
  home = await TestHousehold.make(dir, [account(), sheet], { brakes: NO_BRAKES })
  await home.syncApproved()
})
afterEach(async () => {
  await home.close()
  await simulator.close()
})

/** The account as a place of the household. Its people work in it below. */
function account(): Place {
  const ended = (): never => {
    throw new Error('edited in the account itself')
  }
  return {
    name: 'crm',
    config: { app: 'hubspot', token: 'secret', basePath: simulator.url, deletes: 'propagate' },
    all: () => new Map(),
    add: ended,
    edit: ended,
    remove: ended,
    stamps: () => new Map(simulator.contacts.live().map((one) => [one.id, JSON.stringify([...one.history])])),
  }
}

function create(index: number): void {
  const { given, family, title, emails } = human(index)
  const properties = { firstname: given, lastname: family, jobtitle: title, email: emails[0] ?? '' }
  expect(isRefusal(simulator.contacts.create(properties, 'CRM_UI'))).toBe(false)
}

const live = (): Map<string, string> =>
  new Map(simulator.contacts.live().map((one) => [one.properties.get('email') ?? '', one.id]))
const idOf = (index: number): string => live().get(emailOf(index)) ?? ''
const titles = (): Map<string, string> =>
  new Map(
    simulator.contacts
      .live()
      .map(({ properties }) => [properties.get('email') ?? '', properties.get('jobtitle') ?? '']),
  )
const inSheet = (): Map<string, string> =>
  new Map([...sheet.all().values()].map(({ emails, title }) => [emails[0] ?? '', title]))

async function pauseAndCleanUp(): Promise<void> {
  const { runtime } = await home.daemon()
  await beginPause(runtime, 'crm', { by: 'ada', why: 'Q3 clean-up', until_ms: null })
  expect(await settlePause(runtime, 'crm')).toBe(0)
  for (let index = 0; index < 20; index++) {
    expect(isRefusal(simulator.contacts.update(idOf(index), { jobtitle: `clean ${index}` }, 'CRM_UI'))).toBe(false)
  }
  for (const [primary, other] of [
    [30, 31],
    [32, 33],
    [34, 35],
  ] as const) {
    expect(simulator.contacts.merge(idOf(primary), idOf(other)).id).not.toBe('')
  }
  for (let index = 40; index < 46; index++) simulator.contacts.archive(idOf(index))
  for (let index = 201; index < 205; index++) create(index)
  const before = simulator.requests.length
  await home.sync()
  const changing = simulator.requests
    .slice(before)
    .filter(({ method, path }) => method !== 'GET' && !/search|read/.test(path))
  expect(changing).toEqual([])
}

async function resume(
  way: CleanUpWay,
): Promise<{ ended: boolean; preview: Awaited<ReturnType<typeof previewCleanUp>> }> {
  const { runtime } = await home.daemon()
  const preview = await previewCleanUp(runtime, 'crm', way, WHOLE)
  const { ended } = await resolveCleanUp(runtime, 'crm', { way, part: WHOLE, by: 'ada', why: 'looked at it' })
  await home.sync()
  await home.sync()
  return { ended, preview }
}

test('HubSpot is cleaned up: what was edited, merged, deleted and created is told, and released as it was told', async () => {
  expect(sheet.all().size).toBe(100)
  await pauseAndCleanUp()
  expect(inSheet().get(emailOf(0))).toBe(human(0).title)
  const { ended, preview } = await resume('release')
  expect(preview.whole).toMatchObject({ edited: 20, merged: 6, into: 3, deleted: 6, created: 4 })
  expect(ended).toBe(true)
  for (let index = 0; index < 20; index++) expect(inSheet().get(emailOf(index))).toBe(`clean ${index}`)
  for (let index = 40; index < 46; index++) expect(inSheet().has(emailOf(index))).toBe(false)
  for (let index = 201; index < 205; index++) expect(inSheet().has(emailOf(index))).toBe(true)
  expect(await home.countedSync()).toEqual({ crm: 0, sheet: 0 })
}, 60_000)

test('dropped, it stays in HubSpot, and the sheet never hears of it', async () => {
  const elsewhere = inSheet()
  await pauseAndCleanUp()
  const there = titles()
  const { ended, preview } = await resume('drop')
  expect({ ended, following: preview.following }).toEqual({ ended: true, following: [] })
  expect(inSheet()).toEqual(elsewhere)
  expect(titles()).toEqual(there)
}, 60_000)

test('reverted, HubSpot has the hundred again, each as it was', async () => {
  const before = titles()
  const elsewhere = inSheet()
  await pauseAndCleanUp()
  expect(await resume('revert')).toMatchObject({ ended: true })
  await home.syncUntil(() => simulator.contacts.live().length === 100)
  expect(titles()).toEqual(before)
  expect(inSheet()).toEqual(elsewhere)
}, 60_000)
