import { join } from 'node:path'
import { afterEach, expect, test } from '@jest/globals'
import { backUp } from '../../workers/backup.ts'
import { ActRefusedError } from '../../workers/acts.ts'
import type { Preview } from '../../workers/bring-back.ts'
import { previewRestoreTo, restoreTo, type RestoreToWish } from '../../workers/restore-to.ts'
import { collect } from '../store/sample.ts'
import { standing } from '../support/household.ts'
import { human } from '../support/humans.ts'
import { idOf, type Place } from '../support/places.ts'
import { threePlaces, type ThreePlaces } from '../support/three-places.ts'

const COUNT = 9

let close: (() => Promise<void>) | undefined
afterEach(async () => {
  await close?.()
  close = undefined
})

const emailOf = (index: number): string => (human(index).emails[0] ?? '').toLowerCase()
const at = (place: Place, index: number): string => idOf(place, emailOf(index))

/** Everybody is everywhere, agreed, and in a backup. */
async function begin(more: { readonly [key: string]: unknown } = {}): Promise<{ world: ThreePlaces; file: string }> {
  const people = Array.from({ length: COUNT }, (_, index) => human(index))
  const world = await threePlaces({ sheet: people }, more)
  close = world.close
  await world.home.syncApproved()
  const file = join(world.home.dir, 'kith.backup.gz')
  await backUp(await world.home.open(), file)
  return { world, file }
}

function wishFor(file: string, connection: string, more: Partial<RestoreToWish> = {}): RestoreToWish {
  return { file, connection, fields: null, people: null, overEdits: false, ...more }
}

async function preview({ home }: ThreePlaces, wish: RestoreToWish): Promise<Preview[]> {
  const { runtime } = await home.daemon()
  return collect(previewRestoreTo(runtime, wish))
}

async function restore({ home }: ThreePlaces, wish: RestoreToWish) {
  const { runtime } = await home.daemon()
  return restoreTo(runtime, wish, { by: 'ada', why: 'an import went wrong' })
}

test('an import that went wrong in one app is taken back there and in the apps that followed, once it is approved', async () => {
  const { world, file } = await begin()
  const { home, sheet } = world
  const agreed = standing(home.places)
  for (let index = 0; index < COUNT; index++) sheet.edit(at(sheet, index), 'title', `Wrong ${index}`)
  sheet.edit(at(sheet, 1), 'note', '')
  await home.sync()
  const wrong = standing(home.places)
  expect(wrong).not.toEqual(agreed)
  expect(new Set(wrong.map((place) => JSON.stringify(place))).size).toBe(1)

  const shown = await preview(world, wishFor(file, 'sheet'))
  expect(shown).toHaveLength(COUNT)
  const planned = shown.flatMap(({ writes }) =>
    writes.map(({ connection, op, fields }) => ({ connection, op, fields })),
  )
  expect(planned).toHaveLength(3 * COUNT)
  // To look changes nothing.
  expect(await home.intents()).toEqual([])
  expect(standing(home.places)).toEqual(wrong)

  const done = await restore(world, wishFor(file, 'sheet'))
  expect(done).toMatchObject({ people: COUNT, created: 0, left: 0 })
  // Nothing is sent before an operator says so, however often it is looked at.
  await home.sync()
  expect(standing(home.places)).toEqual(wrong)
  const waiting = await home.intents()
  const sent = waiting.map(({ connection, op, fields }) => ({ connection, op, fields }))
  // What was shown is what waits (I11).
  const sorted = (all: readonly unknown[]): string[] => all.map((one) => JSON.stringify(one)).sort()
  expect(sorted(sent)).toEqual(sorted(planned))
  expect(new Set(waiting.map(({ held }) => held))).toEqual(new Set(['brake: brought back from a backup']))

  await home.approveBrakes()
  expect(standing(home.places)).toEqual(agreed)
  expect(await home.countedSync()).toEqual({ sheet: 0, phone: 0, office: 0 })
  // It is an act like any other, recorded once.
  const acts = await (await home.open()).store.acts({ kind: 'restore', limit: 9 })
  expect(acts.map(({ id, by, why }) => ({ id, by, why }))).toEqual([
    { id: done.act, by: 'ada', why: 'an import went wrong' },
  ])
  expect(await preview(world, wishFor(file, 'sheet'))).toEqual([])
})

test('what others have changed since is left and named; and taken back only where that is asked for (I12)', async () => {
  const { world, file } = await begin()
  const { home, sheet, phone } = world
  const [before] = standing(home.places)
  sheet.edit(at(sheet, 2), 'title', 'Wrong')
  phone.edit(at(phone, 2), 'note', 'moved to Ghent')
  await home.sync()
  // Wrong in the sheet, then put right by hand on the phone.
  sheet.edit(at(sheet, 3), 'title', 'Wrong too')
  await home.sync()
  phone.edit(at(phone, 3), 'title', 'Right by hand')
  await home.sync()

  const shown = await preview(world, wishFor(file, 'sheet'))
  const told = shown.map(({ part }) => ({
    back: part.back.map(({ cell }) => cell),
    left: part.left.map(({ cell, by }) => `${cell} by ${by?.by ?? ''}`),
  }))
  expect(told).toHaveLength(2)
  expect(told).toEqual(
    expect.arrayContaining([
      { back: ['title'], left: ['note by phone'] },
      { back: [], left: ['title by phone'] },
    ]),
  )
  expect(await restore(world, wishFor(file, 'sheet'))).toMatchObject({ people: 1, values: 1, left: 2 })
  await home.approveBrakes()
  for (const place of home.places) {
    expect(place.all().get(at(place, 2))).toMatchObject({ note: 'moved to Ghent', title: human(2).title })
    expect(place.all().get(at(place, 3))?.title).toBe('Right by hand')
  }

  expect(await restore(world, wishFor(file, 'sheet', { overEdits: true }))).toMatchObject({ people: 2, left: 0 })
  await home.approveBrakes()
  expect(standing(home.places)).toEqual([before, before, before])
})

test('only the fields and people that are named are brought back', async () => {
  const { world, file } = await begin()
  const { home, sheet } = world
  for (const index of [0, 1]) {
    sheet.edit(at(sheet, index), 'title', 'Wrong')
    sheet.edit(at(sheet, index), 'note', 'wrong as well')
  }
  await home.sync()
  const wish = wishFor(file, 'sheet', { fields: new Set(['title']), people: [emailOf(1).toUpperCase()] })
  expect(await restore(world, wish)).toMatchObject({ people: 1, values: 1 })
  await home.approveBrakes()
  expect(sheet.all().get(at(sheet, 0))).toMatchObject({ title: 'Wrong', note: 'wrong as well' })
  expect(sheet.all().get(at(sheet, 1))).toMatchObject({ title: human(1).title, note: 'wrong as well' })
})

test('records deleted since are created again, there alone or wherever they went together; each once (I4)', async () => {
  const { world, file } = await begin({ connections: { office: { deletes: 'propagate' } } })
  const { home, sheet, phone, office } = world
  const agreed = standing(home.places)
  // Everywhere, by the policy of the office; and on the phone alone.
  office.remove(at(office, 4))
  await home.sync()
  phone.remove(at(phone, 5))
  await home.sync()
  expect(home.places.map((place) => place.all().size)).toEqual([COUNT - 1, COUNT - 2, COUNT - 1])

  const [shown] = await preview(world, wishFor(file, 'phone', { people: [emailOf(5)] }))
  expect(shown?.part.again).toEqual(['phone'])
  // A field alone creates nobody.
  expect(await restore(world, wishFor(file, 'phone', { fields: new Set(['title']) }))).toMatchObject({ created: 0 })
  expect(await restore(world, wishFor(file, 'phone'))).toMatchObject({ people: 2, created: 4 })
  await home.sync()
  expect(home.places.map((place) => place.all().size)).toEqual([COUNT - 1, COUNT - 2, COUNT - 1])
  await home.approveBrakes()
  expect(standing(home.places)).toEqual(agreed)
  expect(await restore(world, wishFor(file, 'phone'))).toMatchObject({ people: 0, created: 0 })
  expect(await home.countedSync()).toEqual({ sheet: 0, phone: 0, office: 0 })
  expect(sheet.all().size).toBe(COUNT)
})

test('newcomers since are nobody’s business, and whoever the backup alone knows is left and named', async () => {
  const { world, file } = await begin()
  const { home, sheet } = world
  sheet.add(human(30))
  await home.sync()
  expect(await preview(world, wishFor(file, 'sheet'))).toEqual([])
  // Another Kith's backup: nobody here is any of them, and no record was ever theirs.
  const other = await threePlaces({ phone: [human(40)] })
  try {
    await other.home.syncApproved()
    const foreign = join(other.home.dir, 'other.backup.gz')
    await backUp(await other.home.open(), foreign)
    const shown = await preview(world, wishFor(foreign, 'phone'))
    expect(shown.map(({ part }) => part.reason)).toEqual(['unknown'])
    expect(await restore(world, wishFor(foreign, 'phone'))).toMatchObject({ people: 0, left: 1 })
  } finally {
    await other.close()
  }
})

test('nothing is brought back to an app that is only read', async () => {
  const { world, file } = await begin()
  world.home.configure({ connections: { sheet: { direction: 'in' } } })
  await world.home.shut()
  await expect(restore(world, wishFor(file, 'sheet'))).rejects.toBeInstanceOf(ActRefusedError)
})
