import { afterEach, describe, expect, test } from '@jest/globals'
import { performUndo, prepareUndo, type UndoFilter } from '../../workers/undo.ts'
import { TestHousehold } from '../support/household.ts'
import { human } from '../support/humans.ts'
import { Crm, idOf, type Place } from '../support/places.ts'

const PEOPLE = Array.from({ length: 60 }, (_, index) => human(index))

let home: TestHousehold
let crm: Crm
let desk: Crm
afterEach(async () => {
  await home.close()
  for (const place of [crm, desk]) place.close()
})

async function begin(brakes: object): Promise<void> {
  crm = new Crm('crm', PEOPLE)
  desk = new Crm('desk', [])
  home = await TestHousehold.make(TestHousehold.folder(), [crm, desk], { brakes })
  await home.syncApproved()
  await home.approveBrakes()
  await home.sync()
  expect([crm.all().size, desk.all().size, await home.brakes()]).toEqual([60, 60, []])
}

const at = (place: Place, index: number): string => idOf(place, `human${index}@example.org`)
const titles = (place: Place): (string | undefined)[] =>
  PEOPLE.map((_, index) => place.all().get(at(place, index))?.title)

async function drop(filter: UndoFilter): Promise<void> {
  const { runtime } = await home.daemon()
  const undo = await prepareUndo(runtime, filter, { asked: 'this', by: 'ada', why: 'a mistake' })
  await performUndo(runtime, undo)
}

/** What a brake holds is dropped by taking back what led to it. */
describe('what a brake holds, and was a mistake', () => {
  test('a field that a script rewrote everywhere: taken back, it is as before on both sides', async () => {
    await begin({ field: { share: 0.3, min: 10 } })
    const before = titles(crm)
    const since_ms = Date.now()
    for (let index = 0; index < 40; index++) crm.edit(at(crm, index), 'title', 'REDACTED')
    await home.sync()
    expect(await home.brakes()).not.toEqual([])
    await drop({ connection: 'crm', since_ms, field: 'title' })
    await home.sync()
    // What goes back to where it came from is as many writes: the same brake asks once more.
    await home.approveBrakes()
    await home.sync()
    expect(await home.brakes()).toEqual([])
    expect([titles(crm), titles(desk)]).toEqual([before, before])
  })

  test('an import that was doubled: taken back, it goes nowhere, and is taken out where it came from', async () => {
    await begin({ creates: { share: 0.2, min: 5 } })
    const since_ms = Date.now()
    for (let index = 100; index < 130; index++) crm.add(human(index))
    await home.sync()
    expect(await home.brakes()).not.toEqual([])
    expect(desk.all().size).toBeLessThan(90)
    await drop({ connection: 'crm', since_ms })
    await home.sync()
    await home.approveBrakes()
    await home.sync()
    expect(await home.brakes()).toEqual([])
    expect([crm.all().size, desk.all().size]).toEqual([60, 60])
  })
})
