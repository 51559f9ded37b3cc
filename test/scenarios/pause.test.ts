import { afterEach, describe, expect, test } from '@jest/globals'
import {
  CLEAN_UP_GROUPS,
  WHOLE,
  type CleanUpGroup,
  type CleanUpPart,
  type CleanUpWay,
} from '../../engine/core/clean-up.ts'
import { previewCleanUp, resolveCleanUp, type CleanUpPreview, type CleanUpResolved } from '../../workers/clean-up.ts'
import { beginPause, settlePause } from '../../workers/pause.ts'
import type { Runtime } from '../../workers/runtime.ts'
import { contact } from '../support/contacts.ts'
import { TestHousehold, type YamlDocument } from '../support/household.ts'
import { human } from '../support/humans.ts'
import { Crm, idOf, type Place } from '../support/places.ts'
import { NO_BRAKES } from '../support/three-places.ts'

const PEOPLE = Array.from({ length: 100 }, (_, index) => human(index))

/** Two CRMs over the same hundred people. The first is cleaned up; the second must not hear of it before somebody decides. */
interface World {
  readonly home: TestHousehold
  readonly crm: Crm
  readonly desk: Crm
}

let world: World | undefined
afterEach(async () => {
  const { home, crm, desk } = world as World
  world = undefined
  await home.close().finally(() => [crm, desk].forEach((place) => place.close()))
})

async function begin(more: YamlDocument = {}): Promise<World> {
  const dir = TestHousehold.folder()
  const crm = new Crm('crm', PEOPLE)
  const desk = new Crm('desk', [])
  const home = await TestHousehold.make(dir, [crm, desk], {
    brakes: NO_BRAKES,
    connections: { crm: { deletes: 'propagate' } },
    ...more,
  })
  world = { home, crm, desk }
  await home.syncApproved()
  expect([crm.all().size, desk.all().size]).toEqual([100, 100])
  return world
}

async function runtime({ home }: World): Promise<Runtime> {
  return (await home.daemon()).runtime
}

async function pause(it: World): Promise<void> {
  const wish = { by: 'ada', why: 'Q3 clean-up', until_ms: null }
  expect((await beginPause(await runtime(it), 'crm', wish)).begun).toBe(true)
  expect(await settlePause(await runtime(it), 'crm')).toBe(0)
}

const at = (place: Place, index: number): string => idOf(place, `human${index}@example.org`)
const has = (place: Place, index: number): boolean =>
  [...place.all().values()].some(({ emails }) => emails.includes(`human${index}@example.org`))
const titleOf = (place: Place, index: number): string | undefined => place.all().get(at(place, index))?.title

/** 20 edited, 4 merged into 2, 6 deleted, 5 created. */
function cleanUp({ crm }: World): void {
  for (let index = 0; index < 20; index++) crm.edit(at(crm, index), 'title', `clean ${index}`)
  const [first, second] = [at(crm, 30), at(crm, 40)]
  for (const index of [31, 32]) crm.app.merge(at(crm, index), first)
  for (const index of [41, 42]) crm.app.merge(at(crm, index), second)
  for (let index = 50; index < 56; index++) crm.remove(at(crm, index))
  for (let index = 201; index < 206; index++) crm.add(human(index))
}

async function preview(it: World, way: CleanUpWay, part = WHOLE): Promise<CleanUpPreview> {
  return previewCleanUp(await runtime(it), 'crm', way, part)
}

async function resolve(it: World, way: CleanUpWay, part = WHOLE): Promise<CleanUpResolved> {
  return resolveCleanUp(await runtime(it), 'crm', { way, part, by: 'ada', why: 'looked at it' })
}

const only = (...groups: CleanUpGroup[]): CleanUpPart => ({ ...WHOLE, groups: new Set(groups) })

/** What stands in a place, by address. */
const standingIn = (place: Place): Map<string, string> =>
  new Map([...place.all().values()].map((who) => [who.emails.join(), JSON.stringify(who)]))

async function atRest(it: World): Promise<void> {
  await it.home.sync()
  await it.home.sync()
  expect(await it.home.countedSync()).toEqual({ crm: 0, desk: 0 })
  expect((await it.home.intents()).filter(({ state }) => state !== 'held')).toEqual([])
}

describe('a clean-up of a hundred records', () => {
  test('while it goes on nothing reaches that app, nobody else hears of it, and the others go on (I10)', async () => {
    const it = await begin()
    const { home, crm, desk } = it
    await pause(it)
    cleanUp(it)
    desk.edit(at(desk, 60), 'title', 'from the desk')
    desk.add(human(300))
    const before = [...crm.stamps()]
    const untouched = standingIn(desk)
    await home.sync()
    await home.sync()
    expect([...crm.stamps()]).toEqual(before)
    expect(standingIn(desk)).toEqual(untouched)
    const { whole, waiting } = await preview(it, 'release')
    expect(whole).toMatchObject({ edited: 20, merged: 4, into: 2, deleted: 6, created: 5, fields: { title: 20 } })
    expect(waiting).toBe(2)
    // A process that is started anew knows of the pause, and of all that was heard.
    await home.shut()
    await home.sync()
    expect([...crm.stamps()]).toEqual(before)
    expect((await preview(it, 'release')).whole).toEqual(whole)
    expect((await resolve(it, 'release')).ended).toBe(true)
    await atRest(it)
    expect(titleOf(crm, 60)).toBe('from the desk')
    expect(has(crm, 300)).toBe(true)
  }, 60_000)

  test('released, it goes on as what was heard: as the preview said, write for write (I11)', async () => {
    const it = await begin()
    const { home, crm, desk } = it
    await pause(it)
    cleanUp(it)
    await home.sync()
    const { following, refused, deletionsHeld } = await preview(it, 'release')
    expect({ refused, deletionsHeld }).toEqual({ refused: [], deletionsHeld: null })
    home.done.length = 0
    expect(await resolve(it, 'release')).toMatchObject({ left: 0, ended: true })
    await atRest(it)
    for (let index = 0; index < 20; index++) expect(titleOf(desk, index)).toBe(`clean ${index}`)
    for (let index = 50; index < 56; index++) expect(has(desk, index)).toBe(false)
    for (let index = 201; index < 206; index++) expect(has(desk, index)).toBe(true)
    const done = (connection: string, op: string): number =>
      home.done.filter((write) => write.connection === connection && write.op === op).length
    for (const { connection, creates, updates, deletes } of following) {
      expect([connection, done(connection, 'create'), done(connection, 'update'), done(connection, 'delete')]).toEqual([
        connection,
        creates,
        updates,
        deletes,
      ])
    }
    expect(following.map(({ connection }) => connection)).toContain('desk')
    expect(crm.all().size).toBe(95)
    const [act] = await (await home.open()).store.acts({ kind: 'resume', limit: 1 })
    expect(act).toMatchObject({ by: 'ada', why: 'looked at it', about: { way: 'release', edited: 20, deleted: 6 } })
  }, 60_000)

  test('dropped, it stays there, and nobody ever hears of it; what is edited afterwards is heard', async () => {
    const it = await begin()
    const { home, crm, desk } = it
    await pause(it)
    cleanUp(it)
    await home.sync()
    const [there, elsewhere] = [standingIn(crm), standingIn(desk)]
    expect((await preview(it, 'drop')).following).toEqual([])
    expect(await resolve(it, 'drop')).toMatchObject({ left: 0, ended: true })
    await atRest(it)
    expect(standingIn(crm)).toEqual(there)
    expect(standingIn(desk)).toEqual(elsewhere)
    const dropped = (await home.log()).filter(
      ({ kind, rule, cell }) => [kind, rule, cell].join() === 'refused,act,title',
    )
    expect(dropped.map(({ after }) => String(after)).toSorted()).toEqual(
      Array.from({ length: 20 }, (_, index) => `clean ${index}`).toSorted(),
    )
    // The record and its people are in step from here on, but for what was dropped.
    crm.edit(at(crm, 3), 'note', 'written afterwards')
    desk.edit(at(desk, 4), 'title', 'the desk knows better')
    await atRest(it)
    expect(desk.all().get(at(desk, 3))).toMatchObject({ note: 'written afterwards' })
    expect(titleOf(desk, 3)).not.toBe('clean 3')
    expect(titleOf(crm, 3)).toBe('clean 3')
    expect(titleOf(crm, 4)).toBe('the desk knows better')
    expect(has(crm, 50)).toBe(false)
  }, 60_000)

  test('reverted, the app says again what it said, and nobody else is written to', async () => {
    const it = await begin()
    const { home, crm, desk } = it
    const [there, elsewhere] = [standingIn(crm), standingIn(desk)]
    await pause(it)
    cleanUp(it)
    await home.sync()
    const { following } = await preview(it, 'revert')
    expect(following.map(({ connection }) => connection)).toEqual(['crm'])
    expect(following[0]).toMatchObject({ creates: 10, deletes: 5 })
    expect(await resolve(it, 'revert')).toMatchObject({ left: 0, ended: true })
    await atRest(it)
    expect(standingIn(crm)).toEqual(there)
    expect(standingIn(desk)).toEqual(elsewhere)
  }, 60_000)

  test('part by part: what is not decided stays pending, and the pause on', async () => {
    const it = await begin()
    const { home, crm, desk } = it
    await pause(it)
    cleanUp(it)
    crm.edit(at(crm, 0), 'note', 'also a note')
    desk.edit(at(desk, 60), 'title', 'from the desk')
    await home.sync()
    const titles = { ...WHOLE, fields: new Set(['title']) }
    expect(await resolve(it, 'drop', titles)).toMatchObject({ decided: 19, ended: false })
    expect((await preview(it, 'release')).whole).toMatchObject({ edited: 1, merged: 4, deleted: 6, created: 5 })
    const filter = { kind: 'field', field: 'note', tests: [{ op: 'contains', text: 'also' }] } as const
    expect(await resolve(it, 'release', { ...only('edits'), filter })).toMatchObject({ decided: 1, ended: false })
    expect(await resolve(it, 'revert', only('deletes', 'creates'))).toMatchObject({
      decided: 11,
      left: 4,
      ended: false,
    })
    await home.sync()
    expect(titleOf(crm, 60)).not.toBe('from the desk')
    expect(await resolve(it, 'release', only(...CLEAN_UP_GROUPS))).toMatchObject({ decided: 4, ended: true })
    await atRest(it)
    expect(desk.all().get(at(desk, 0))).toMatchObject({ note: 'also a note', title: human(0).title })
    expect(titleOf(crm, 0)).toBe('clean 0')
    for (let index = 50; index < 56; index++) expect([has(crm, index), has(desk, index)]).toEqual([true, true])
    for (let index = 201; index < 206; index++) expect([has(crm, index), has(desk, index)]).toEqual([false, false])
    expect(titleOf(crm, 60)).toBe('from the desk')
  }, 60_000)

  test('many deletions are held and named when they are released, and let go by an operator', async () => {
    const it = await begin({ brakes: { ...NO_BRAKES, deletes: { share: 0, min: 3 } } })
    const { home, crm, desk } = it
    await pause(it)
    for (let index = 50; index < 56; index++) crm.remove(at(crm, index))
    await home.sync()
    const reason = 'brake: 6 records deleted there within the window, 3 are believed'
    expect(await preview(it, 'release')).toMatchObject({ deletionsHeld: reason, following: [] })
    expect(await resolve(it, 'release')).toMatchObject({ decided: 6, ended: true })
    await home.sync()
    expect(desk.all().size).toBe(100)
    expect(await home.brakes()).toEqual([{ connection: 'crm', reason, what: 'deletions', count: 6 }])
    await home.approveBrakes()
    await home.approveBrakes()
    expect(desk.all().size).toBe(94)
  }, 60_000)

  test('what was taken back within the pause is no part of it', async () => {
    const it = await begin()
    const { home, crm, desk } = it
    await pause(it)
    const title = titleOf(crm, 1) ?? ''
    crm.edit(at(crm, 1), 'title', 'a slip')
    crm.add(contact({ given: 'Only', family: 'Briefly', emails: ['briefly@example.org'] }))
    await home.sync()
    expect((await preview(it, 'release')).whole).toMatchObject({ edited: 1, created: 1 })
    crm.edit(at(crm, 1), 'title', title)
    crm.remove(idOf(crm, 'briefly@example.org'))
    await home.sync()
    expect((await preview(it, 'release')).records).toBe(0)
    expect((await resolve(it, 'release')).ended).toBe(true)
    await atRest(it)
    expect(desk.all().size).toBe(100)
  }, 60_000)
})
