import { beforeEach, describe, expect, test } from '@jest/globals'
import { PERSON_STATE } from '../../engine/core/catalogue.ts'
import type { JsonObject } from '../../engine/core/json.ts'
import type { Connector } from '../../engine/core/ports/connector.ts'
import type { Intent, Link } from '../../engine/core/ports/store.ts'
import { WHOLE } from '../../engine/core/clean-up.ts'
import { ActRefusedError } from '../../workers/acts.ts'
import { resolveCleanUp } from '../../workers/clean-up.ts'
import { deliver } from '../../workers/deliver.ts'
import { excludedBy, forget, forgetAgain } from '../../workers/forget.ts'
import { mergeTwo } from '../../workers/merge.ts'
import { beginPause, settlePause } from '../../workers/pause.ts'
import { pullConnection } from '../../workers/pull.ts'
import type { Runtime } from '../../workers/runtime.ts'
import { settleHousehold } from '../../workers/settle.ts'
import { UNDO_DELETES } from '../../workers/undo.ts'
import { Random } from '../simulation/random.ts'
import { World } from '../simulation/world.ts'
import { collect } from '../store/sample.ts'

/**
 * What was found where pauses, erasures, undos and merges meet (test/simulation, weather `everything`): each of these is one
 * such meeting, by itself.
 */
const ADA = { given: 'Ada', family: 'Lovelace', emails: [{ value: 'ada@example.org' }] }
const WHO = { by: 'grace', why: 'asked for' }

let world: World
let runtime: Runtime
beforeEach(async () => {
  world = new World(new Random(7), {
    apps: [
      { name: 'crm', quirks: { times: 'none' } },
      { name: 'phone', quirks: { times: 'none' } },
    ],
  })
  await world.open()
  runtime = world.runtimeWithoutGates()
})

/** Everything that can happen by itself happens. */
async function rest(): Promise<void> {
  for (let round = 0; round < 4; round++) {
    world.advance(60_000)
    world.wakeAllPulls()
    await world.drain()
    await world.sweep()
    await world.drain()
  }
}

async function personOf(app: string, id: string): Promise<string> {
  const personId = (await linkOf(app, id))?.personId
  if (personId == null) throw new Error(`${app} ${id} is nobody's`)
  return personId
}

async function linkOf(app: string, id: string): Promise<Link | undefined> {
  return (await collect(world.store.links({ connection: app }))).find(({ recordId }) => recordId === id)
}

async function pause(app: string): Promise<void> {
  await beginPause(runtime, app, { by: 'grace', why: 'clean-up', until_ms: null })
  expect(await settlePause(runtime, app)).toBe(0)
}

const namesIn = (app: string): string[] => [...world.app(app).all()].map(({ fields }) => String(fields['given']))

describe('somebody is forgotten while an app is paused (I7, I10)', () => {
  test('a record of theirs that was only heard in the pause goes with them, and nothing of it is kept', async () => {
    const id = world.app('crm').add(ADA)
    await rest()
    await pause('crm')
    world.app('crm').add({ ...ADA, note: 'once more' })
    await rest()
    expect(await world.store.keptCount('crm')).toBe(1)
    await forget(runtime, await personOf('crm', id), WHO)
    expect(await world.store.keptCount('crm')).toBe(0)
    await resolveCleanUp(runtime, 'crm', { way: 'revert', part: WHOLE, ...WHO })
    await rest()
    expect([...namesIn('crm'), ...namesIn('phone')]).toEqual([])
    expect(await world.store.erasures({ state: 'done', limit: 2 })).toHaveLength(1)
    expect(world.store.dump()).not.toContain('ada@example.org')
  })

  test.each(['release', 'drop', 'revert'] as const)(
    'one that comes after they were erased takes no part, is kept nowhere, and is offered: %s',
    async (way) => {
      const id = world.app('phone').add(ADA)
      await rest()
      const { id: erasure } = await forget(runtime, await personOf('phone', id), WHO)
      await rest()
      await pause('crm')
      world.app('crm').add(ADA)
      await rest()
      expect(await world.store.keptCount('crm')).toBe(0)
      expect(world.store.dump()).not.toContain('ada@example.org')
      await resolveCleanUp(runtime, 'crm', { way, part: WHOLE, ...WHO })
      await rest()
      expect(await excludedBy(world.store, erasure)).toHaveLength(1)
      const [again] = await world.store.erasures({ id: erasure, limit: 1 })
      if (again) await forgetAgain(runtime, again, WHO)
      await rest()
      expect([...namesIn('crm'), ...namesIn('phone')]).toEqual([])
      expect(world.store.dump()).not.toContain('ada@example.org')
    },
  )

  test('what slipped into what is kept just as it began is out of it before the erasure ends, and the pause goes on', async () => {
    await world.store.saveConnection('crm', { mode: 'observe' })
    const id = world.app('phone').add(ADA)
    await rest()
    await pause('crm')
    await forget(runtime, await personOf('phone', id), WHO)
    const record = { id: 'c9', rev: '1', fields: ADA }
    await world.store.commit({ keep: [{ connection: 'crm', recordId: 'c9', record, end: null, heard_ms: 1, mark: 0 }] })
    // Without another reading of the paused app, which would tell that there is no such record.
    world.loseQueue()
    world.operate('deliver', (beside) => deliver(beside, 'phone'))
    await world.drain()
    expect(await world.store.erasures({ state: 'done', limit: 2 })).toHaveLength(1)
    expect(await world.store.keptCount('crm')).toBe(0)
    expect(world.store.dump()).not.toContain('ada@example.org')
  })
})

describe('who else has what an erased person had (I7)', () => {
  const NUMBER = '+49301234567'
  const WITH_NUMBER = { ...ADA, phones: [{ value: NUMBER, label: 'work' }] }

  test('somebody without a record just now keeps their number: it is barred together with the name only', async () => {
    const id = world.app('crm').add(WITH_NUMBER)
    await rest()
    const stamp = { at: 1, by: 'crm' }
    const cells = {
      'name.given': { value: 'Grace', stamp, rule: 'first' as const },
      [`phones:${NUMBER}`]: { value: { value: NUMBER }, stamp, rule: 'first' as const },
    }
    await world.store.commit({ people: [{ id: 'p900', version: 0, state: 'live', cells }] })
    await forget(runtime, await personOf('crm', id), WHO)
    const barred = await world.store.barred([`phone:${NUMBER}`, 'email:ada@example.org'])
    expect([...barred.keys()]).toEqual(['email:ada@example.org'])
  })

  test('a record that an operator has told apart from them is not theirs, whatever it carries', async () => {
    const id = world.app('crm').add(WITH_NUMBER)
    await rest()
    const personId = await personOf('crm', id)
    const staged: Link = {
      connection: 'crm',
      recordId: 'c9',
      personId: null,
      state: 'ambiguous',
      candidates: [],
      fields: { given: 'Юлия', phones: [{ value: NUMBER }] },
      rev: '1',
      base_ms: {},
      rewrites: {},
      keys: [`phone:${NUMBER}`],
      recheck: false,
      version: 0,
    }
    await world.store.commit({ links: [staged], apart: [{ a: `person:${personId}`, b: 'record:crm/c9' }] })
    await forget(runtime, personId, WHO)
    expect(await linkOf('crm', 'c9')).toMatchObject({ state: 'ambiguous', personId: null })
  })

  test('whoever was merged into another is not forgotten by halves', async () => {
    const [ada, grace] = [world.app('crm').add(ADA), world.app('crm').add({ given: 'Grace', family: 'Hopper' })]
    await rest()
    const [loser, winner] = [await personOf('crm', ada), await personOf('crm', grace)]
    await mergeTwo(runtime, { winner, loser, keep: {} }, WHO)
    await expect(forget(runtime, loser, WHO)).rejects.toThrow(ActRefusedError)
    expect(await world.store.erasures({ limit: 1 })).toEqual([])
  })

  test('nobody is created by an address alone that is barred, although a human has given it to them', async () => {
    const grace = world.app('crm').add({ given: 'Grace', family: 'Hopper' })
    const ada = world.app('crm').add(ADA)
    await world.store.saveConnection('phone', { mode: 'observe' })
    await rest()
    await forget(runtime, await personOf('crm', ada), WHO)
    await rest()
    world.app('crm').edit(grace, { emails: ADA.emails })
    await rest()
    await world.store.saveConnection('phone', { mode: 'live' })
    await rest()
    expect(namesIn('phone')).toEqual([])
    const [parked] = await collect(world.store.intents({ state: 'parked' }))
    expect(parked).toMatchObject({ op: 'create', connection: 'phone', failure: { kind: 'permanent' } })
    expect(JSON.stringify(parked?.failure)).not.toContain('ada')
  })
})

test('the echo of our own write comes after an older page of the same pass, and stands (I1)', async () => {
  const id = world.app('crm').add({ ...ADA, title: 'Analyst' })
  await rest()
  const known = (await linkOf('crm', id)) as Link
  const older: JsonObject = { ...known.fields, title: 'Analyst' }
  const newer: JsonObject = { ...known.fields, title: 'CTO' }
  const sighting = (rev: string, fields: JsonObject) => ({ kind: 'record' as const, record: { id, rev, fields } })
  const real = runtime.connectors.get('crm') as Connector
  const pages: Connector = Object.assign(Object.create(real) as Connector, {
    async *pull() {
      yield { sightings: [sighting('older', older)], cursor: 1 }
      // Between the pages our own write was answered.
      const link = (await linkOf('crm', id)) as Link
      await world.store.commit({ links: [{ ...link, rev: 'newer', fields: newer }] })
      yield { sightings: [sighting('newer', newer)], cursor: 2 }
    },
  })
  // The first page was heard before, and is applied only when the pass ends.
  const link = (await linkOf('crm', id)) as Link
  await world.store.commit({ links: [{ ...link, rev: 'before' }] })
  await pullConnection({ ...runtime, connectors: new Map([['crm', pages]]) }, 'crm')
  await world.drain()
  expect(await linkOf('crm', id)).toMatchObject({ rev: 'newer', fields: { title: 'CTO' } })
})

test('a record that was just being made when an undo took its person out goes away after one more look only (I5)', async () => {
  const id = world.app('crm').add(ADA)
  await rest()
  const personId = await personOf('crm', id)
  const person = (await world.store.loadPeople([personId])).people[0]
  if (!person) throw new Error('nobody')
  const act = { id: 'u1', at_ms: 1, by: 'grace', why: 'wrong', kind: 'undo', about: {} }
  const change = {
    personId,
    cell: PERSON_STATE,
    before: 'live',
    after: 'deleted',
    stamp: { at: 1, by: 'operator:grace' },
    recordId: null,
    kind: 'applied' as const,
    rule: 'act' as const,
    heard_ms: 1,
  }
  await world.store.commit({ people: [{ ...person, state: 'deleted' }], changes: [change], act, unplanned: [personId] })
  await settleHousehold(runtime)
  const waiting: Intent[] = await collect(world.store.intents({ personId }))
  const held = { op: 'delete', state: 'held', held: UNDO_DELETES }
  expect(waiting).toMatchObject([held, held])
  // Planned by somebody who did not know: it is seen just before it would be sent.
  const unheld = waiting.map(({ held: _held, ...rest }): Intent => ({ ...rest, id: `${rest.id}b`, state: 'pending' }))
  await world.store.commit({ intents: unheld })
  await rest()
  expect(await collect(world.store.intents({ personId }))).toMatchObject([held, held])
  expect([namesIn('crm'), namesIn('phone')]).toEqual([['Ada'], ['Ada']])
  await world.store.release({}, UNDO_DELETES)
  await rest()
  expect([namesIn('crm'), namesIn('phone')]).toEqual([[], []])
})
