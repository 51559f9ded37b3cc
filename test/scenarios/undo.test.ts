import { afterEach, describe, expect, test } from '@jest/globals'
import { mergePeople } from '../../engine/core/act.ts'
import type { Intent } from '../../engine/core/ports/store.ts'
import { setConsent } from '../../engine/core/consent-act.ts'
import type { Left, Undone } from '../../engine/core/undo.ts'
import { perform } from '../../workers/acts.ts'
import type { Runtime } from '../../workers/runtime.ts'
import {
  lastRun,
  performUndo,
  prepareUndo,
  previewUndo,
  undoUnderWay,
  type Undo,
  type UndoFilter,
} from '../../workers/undo.ts'
import { contact, type Contact } from '../support/contacts.ts'
import { TestHousehold, type YamlDocument } from '../support/household.ts'
import { Crm, idOf } from '../support/places.ts'
import { NO_BRAKES } from '../support/three-places.ts'

const ADA = contact({ given: 'Ada', family: 'Lovelace', title: 'Analyst', emails: ['ada@example.org'] })
const ALAN = contact({ given: 'Alan', family: 'Turing', organisation: 'Bletchley', emails: ['alan@example.org'] })

let close: (() => Promise<void>) | undefined
afterEach(async () => {
  await close?.()
  close = undefined
})

interface World {
  readonly home: TestHousehold
  readonly crm: Crm
  readonly desk: Crm
}

async function world(
  people: readonly Contact[] = [ADA, ALAN],
  more: YamlDocument = {},
  desk: readonly Contact[] = [],
): Promise<World> {
  const places = { crm: new Crm('crm', people, { times: 'field' }), desk: new Crm('desk', desk, { times: 'field' }) }
  const home = await TestHousehold.make(TestHousehold.folder(), Object.values(places), { brakes: NO_BRAKES, ...more })
  close = () => home.close().finally(() => Object.values(places).forEach((place) => place.close()))
  await home.syncApproved()
  return { home, ...places }
}

async function runtimeOf({ home }: World): Promise<Runtime> {
  return (await home.daemon()).runtime
}

interface Taken {
  readonly undo: Undo
  readonly undone: readonly Undone[]
  readonly left: readonly Left[]
  readonly writes: readonly Intent[]
}

async function prepared(it: World, filter: UndoFilter): Promise<Undo> {
  return prepareUndo(await runtimeOf(it), filter, { asked: JSON.stringify(filter), by: 'grace', why: 'mistake' })
}

async function preview(it: World, undo: Undo): Promise<Taken> {
  const parts = []
  for await (const part of previewUndo(await runtimeOf(it), undo)) parts.push(part)
  return together(undo, parts)
}

/** Takes back, having looked first: what was shown is what is done (I11). */
async function undo(it: World, filter: UndoFilter): Promise<Taken> {
  const undo = await prepared(it, filter)
  const shown = await preview(it, undo)
  const parts: Omit<Taken, 'undo'>[] = []
  await performUndo(await runtimeOf(it), undo, (part) => void parts.push(part))
  const done = together(undo, parts)
  expect(contents(done)).toEqual(contents(shown))
  return done
}

function together(undo: Undo, parts: readonly Omit<Taken, 'undo'>[]): Taken {
  return {
    undo,
    undone: parts.flatMap((part) => part.undone),
    left: parts.flatMap((part) => part.left),
    writes: parts.flatMap((part) => part.writes),
  }
}

function contents({ undone, left, writes }: Taken): unknown {
  return [
    undone,
    left,
    writes.map(({ connection, op, personId, recordId, fields, state }) => [
      connection,
      op,
      personId,
      recordId,
      fields,
      state,
    ]),
  ]
}

function who({ crm, desk }: World, email: string): Contact[] {
  return [crm, desk].map((place) => place.all().get(idOf(place, email)) as Contact)
}

async function personId(it: World, email: string): Promise<string> {
  const store = (await it.home.open()).store
  return (await store.searchPeople(email, 1))[0]?.id ?? ''
}

const editAda = (place: Crm, ...change: [Parameters<Crm['edit']>[1], string]): void =>
  place.edit(idOf(place, 'ada@example.org'), ...change)

describe('kith undo', () => {
  test('takes back what one connection brought, everywhere; what was edited since is left and named (I12)', async () => {
    const it = await world()
    editAda(it.crm, 'title', 'Countess')
    editAda(it.crm, 'note', 'from crm')
    it.crm.edit(idOf(it.crm, 'alan@example.org'), 'organisation', 'Manchester')
    await it.home.sync()
    editAda(it.desk, 'note', 'edited since')
    await it.home.sync()
    const run = (await lastRun((await it.home.open()).store, 'crm')) as { connection: string; pass: number }
    const done = await undo(it, { run })
    expect(done.undone.toSorted((a, b) => (a.cell < b.cell ? -1 : 1))).toMatchObject([
      { cell: 'organisation', after: 'Bletchley' },
      { cell: 'title', before: 'Countess', after: 'Analyst' },
    ])
    expect(done.left).toMatchObject([{ cell: 'note', value: 'edited since', reason: 'edited', by: { by: 'desk' } }])
    await it.home.sync()
    expect(who(it, 'ada@example.org').map(({ title, note }) => [title, note])).toEqual(
      Array(2).fill(['Analyst', 'edited since']),
    )
    expect(who(it, 'alan@example.org').map(({ organisation }) => organisation)).toEqual(['Bletchley', 'Bletchley'])
    expect(await it.home.plan()).toEqual([])

    const again = await undo(it, { act: done.undo.id })
    expect(again.left).toEqual([])
    await it.home.sync()
    expect(who(it, 'ada@example.org').map(({ title }) => title)).toEqual(['Countess', 'Countess'])
    const acts = await (await it.home.open()).store.acts({ kind: 'undo', limit: 9 })
    expect(acts.map(({ id, by, why }) => [id, by, why])).toEqual([
      [again.undo.id, 'grace', 'mistake'],
      [done.undo.id, 'grace', 'mistake'],
    ])
  })

  test('a chain of edits goes back to before the first of them; another’s word in between is where it ends (I12)', async () => {
    const it = await world([ADA])
    for (const [place, title] of [
      [it.crm, 'One'],
      [it.desk, 'Two'],
      [it.crm, 'Three'],
      [it.crm, 'Four'],
    ] as const) {
      editAda(place, 'title', title)
      await it.home.sync()
    }
    const filter = { connection: 'crm', field: 'title', personId: await personId(it, 'ada@example.org') }
    expect((await undo(it, filter)).undone).toMatchObject([{ before: 'Four', after: 'Two' }])
    await it.home.sync()
    expect(who(it, 'ada@example.org').map(({ title }) => title)).toEqual(['Two', 'Two'])
  })

  test('an undo that is stopped is carried on, as one act, and nothing is done twice', async () => {
    const it = await world()
    const from = Date.now()
    editAda(it.crm, 'title', 'Countess')
    it.crm.edit(idOf(it.crm, 'alan@example.org'), 'title', 'Codebreaker')
    await it.home.sync()
    const runtime = await runtimeOf(it)
    const slow: Runtime = {
      ...runtime,
      rules: runtime.rules,
      connectors: runtime.connectors,
      limits: { ...runtime.limits, chunk_max: 1 },
    }
    const undo = await prepared(it, { since_ms: from })
    const died = performUndo(slow, undo, () => {
      throw new Error('killed')
    })
    await expect(died).rejects.toThrow('killed')
    const { store } = await it.home.open()
    expect(await undoUnderWay(store)).toEqual(undo)
    await expect(prepared(it, { field: 'title' })).rejects.toThrow(/not finished/)
    const carried = await prepared(it, { since_ms: from })
    expect(carried).toEqual(undo)
    const rest: Undone[] = []
    await performUndo(slow, carried, (part) => void rest.push(...part.undone))
    expect(rest).toHaveLength(1)
    expect(await undoUnderWay(store)).toBeNull()
    expect(await store.acts({ kind: 'undo', limit: 9 })).toHaveLength(1)
    expect(await store.log({ act: undo.id, limit: 9 })).toHaveLength(2)
    await it.home.sync()
    expect(who(it, 'ada@example.org').map(({ title }) => title)).toEqual(['Analyst', 'Analyst'])
    expect(who(it, 'alan@example.org').map(({ title }) => title)).toEqual(['', ''])
  })

  test('a merge of two people is split again: values and records go back to whose they were', async () => {
    const desk = contact({ given: 'Augusta', family: 'King', title: 'Countess', emails: ['king@example.org'] })
    const it = await world([ADA], { connections: { desk: { create: false }, crm: { create: false } } }, [desk])
    const runtime = await runtimeOf(it)
    const [winner, loser] = [await personId(it, 'ada@example.org'), await personId(it, 'king@example.org')]
    const { act } = await perform(
      runtime,
      { by: 'grace', why: 'the same', kind: 'merge', about: {} },
      () => runtime.store.loadPeople([winner, loser]),
      (ws, actor) => mergePeople(ws, loser, winner, actor),
    )
    await it.home.sync()
    expect([...it.desk.all().values()]).toMatchObject([
      { family: 'King', emails: expect.arrayContaining(['ada@example.org']) },
    ])
    const done = await undo(it, { act: act.id })
    expect(done.left).toEqual([])
    await it.home.sync()
    expect([...it.crm.all().values()]).toEqual([ADA])
    expect([...it.desk.all().values()]).toEqual([desk])
    const hood = await runtime.store.loadPeople([winner, loser])
    expect(hood.people.map(({ state }) => state)).toEqual(['live', 'live'])
    expect(await it.home.plan()).toEqual([])

    await undo(it, { act: done.undo.id })
    await it.home.sync()
    expect((await runtime.store.loadPeople([loser])).people).toMatchObject([{ state: 'merged', mergedInto: winner }])
    expect([...it.desk.all().values()]).toMatchObject([
      { emails: expect.arrayContaining(['ada@example.org', 'king@example.org']) },
    ])
  })

  test('people deleted everywhere live again; what is made anew waits for an operator', async () => {
    const it = await world([ADA, ALAN], { connections: { crm: { deletes: 'propagate' } } })
    const from = Date.now()
    it.crm.remove(idOf(it.crm, 'ada@example.org'))
    await it.home.sync()
    expect([it.crm.all().size, it.desk.all().size]).toEqual([1, 1])
    const done = await undo(it, { since_ms: from })
    expect(done.undone).toMatchObject([{ cell: 'person.state', before: 'deleted', after: 'live' }])
    await it.home.sync()
    expect([it.crm.all().size, it.desk.all().size]).toEqual([1, 1])
    expect(await it.home.brakes()).toMatchObject([
      { connection: 'crm', what: 'create', count: 1 },
      { connection: 'desk', what: 'create', count: 1 },
    ])
    expect(await it.home.approveBrakes()).toBe(2)
    expect(who(it, 'ada@example.org')).toEqual([ADA, ADA])
    expect(await it.home.plan()).toEqual([])
  })

  test('a record deleted in one app alone is made there again', async () => {
    const it = await world()
    it.desk.remove(idOf(it.desk, 'ada@example.org'))
    await it.home.sync()
    const run = (await lastRun((await it.home.open()).store, 'desk')) as { connection: string; pass: number }
    expect((await undo(it, { run })).undone).toMatchObject([{ cell: 'person.record', after: { connection: 'desk' } }])
    await it.home.approveBrakes()
    expect(who(it, 'ada@example.org')).toEqual([ADA, ADA])
  })

  test('people who came with what is undone are not emptied but taken out, once an operator says so', async () => {
    const it = await world([ADA])
    const from = Date.now()
    it.crm.add(ALAN)
    await it.home.sync()
    const done = await undo(it, { connection: 'crm', since_ms: from })
    expect(done.undone).toMatchObject([{ cell: 'person.state', before: 'live', after: 'deleted' }])
    await it.home.sync()
    expect([...it.desk.all().values()]).toEqual([ADA, ALAN])
    await undo(it, { act: done.undo.id })
    await it.home.sync()
    expect(await it.home.plan()).toEqual([])
    expect([...it.crm.all().values()]).toEqual([ADA, ALAN])

    await undo(it, { connection: 'crm', since_ms: from, personId: await personId(it, 'alan@example.org') })
    expect(await it.home.approveBrakes()).toBe(2)
    expect([...it.crm.all().values(), ...it.desk.all().values()]).toEqual([ADA, ADA])
  })

  test('consent goes back to what is stricter, and never to what is looser (I7)', async () => {
    const it = await world([ADA])
    const runtime = await runtimeOf(it)
    const ada = await personId(it, 'ada@example.org')
    const key = 'email:ada@example.org'
    const say = async (state: 'unsubscribed' | 'subscribed', optIn_ms: number | null): Promise<string> => {
      const { act } = await perform(
        runtime,
        { by: 'grace', why: 'asked', kind: 'consent', about: {} },
        () => runtime.store.loadPeople([ada]),
        (ws, actor) => setConsent(ws, key, { state, optIn_ms, note: '' }, actor, [ada]),
        [key],
      )
      return act.id
    }
    const restricted = await say('unsubscribed', null)
    expect(await undo(it, { act: restricted })).toMatchObject({ undone: [], left: [{ reason: 'consent' }] })
    const loosened = await say('subscribed', Date.now() + 1)
    // The memory mapping of this household keeps no consent: the addresses are asked for by name.
    expect((await runtime.store.consents([key]))[0]?.state).toBe('subscribed')
    expect((await undo(it, { act: loosened })).undone).toMatchObject([{ cell: 'consent.email', after: 'unsubscribed' }])
    expect((await runtime.store.consents([key]))[0]?.state).toBe('unsubscribed')
  })
})
