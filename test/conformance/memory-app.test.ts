import { expect, test } from '@jest/globals'
import { MemoryApp } from '../../connectors/memory/app.ts'
import type { FaultRates } from '../../connectors/memory/faults.ts'
import { MemoryConnector } from '../../connectors/memory/index.ts'
import type { Quirks } from '../../connectors/memory/quirks.ts'
import type { Sighting } from '../../engine/core/ports/connector.ts'
import { Follower, idOf } from './follower.ts'
import { sample } from './memory.ts'

/** What the simulation leans on: that the app misbehaves as told, and in no other way. */

function world(quirks: Partial<Quirks> = {}) {
  const clock = { now_ms: 1_000_000 }
  const app = new MemoryApp({ name: 'app', now: () => clock.now_ms, quirks })
  const connector = new MemoryConnector(app)
  return { clock, app, connector, follower: new Follower(connector) }
}

async function synced(quirks: Partial<Quirks> = {}, count = 6) {
  const one = world(quirks)
  const ids = Array.from({ length: count }, (_, n) => one.app.add(sample(n)))
  await one.follower.follow()
  return { ...one, ids }
}

function copyOf(follower: Follower): unknown {
  return [...follower.records.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1))
}

function truthOf(app: MemoryApp): unknown {
  return [...app.all()].toSorted((a, b) => (a.id < b.id ? -1 : 1))
}

test.each(['double', 'late', 'reorder', 'cut'] as const)('feed lines that come %s lose nothing (I8)', async (kind) => {
  const { app, follower, ids } = await synced()
  for (const id of ids) app.edit(id, { title: `of ${id}` })
  app.remove(ids[2] ?? '')
  app.merge(ids[0] ?? '', ids[1] ?? '')
  app.faults.next({ kind })
  await follower.follow()
  for (let pass = 0; pass < 2; pass++) await follower.follow()
  expect(copyOf(follower)).toEqual(truthOf(app))
  expect((await follower.follow()).sightings).toEqual([])
})

test('late lines come in a later pass, doubled ones twice at once and once more', async () => {
  const { app, follower, ids } = await synced({}, 4)
  for (const id of ids) app.edit(id, { title: 'x' })
  app.faults.next({ kind: 'late' })
  const seen = (sightings: readonly Sighting[]) => sightings.map(idOf)
  expect(seen((await follower.follow()).sightings)).toEqual(ids.slice(2))
  expect(seen((await follower.follow()).sightings)).toEqual(ids.slice(0, 2))
  app.edit(ids[0] ?? '', { title: 'y' })
  app.faults.next({ kind: 'double' })
  expect(seen((await follower.follow()).sightings)).toEqual([ids[0], ids[0]])
  expect(seen((await follower.follow()).sightings)).toEqual([ids[0]])
  expect((await follower.follow()).sightings).toEqual([])
})

test('a lying empty listing vouches for itself, while every read still finds the record (I5)', async () => {
  const { app, follower, ids } = await synced({ deletes: 'inventory' })
  app.faults.next({ kind: 'empty' })
  const pass = await follower.follow()
  expect([pass.complete, pass.sightings, pass.gone]).toEqual([true, [], []])
  expect([...follower.records.keys()]).toEqual(ids)
})

test('a stale read answers the revision before, and a record just deleted as it was', async () => {
  const { app, connector, ids } = await synced()
  const [id = '', removed = ''] = ids
  const before = app.peek(id)
  const last = app.peek(removed)
  app.edit(id, { title: 'new' })
  app.remove(removed)
  app.faults.next({ kind: 'stale' })
  expect(await connector.read([id, removed])).toEqual([
    { kind: 'record', record: before },
    { kind: 'record', record: last },
  ])
  expect(await connector.read([id])).toEqual([{ kind: 'record', record: app.peek(id) }])
})

test('a write may be carried out in part before its answer is lost; all of it is uncertain', async () => {
  const { app, connector } = world()
  app.faults.next({ kind: 'lost', committed: 2 })
  const keys = ['a', 'b', 'c']
  const outcomes = await connector.write(keys.map((key, n) => ({ op: 'create', ref: key, key, fields: sample(n) })))
  expect(outcomes.map((one) => one.kind === 'failed' && one.failure.kind)).toEqual([
    'uncertain',
    'uncertain',
    'uncertain',
  ])
  expect([...app.all()].map(({ id }) => id)).toEqual(['a', 'b'])
})

test('a human can edit between our read and our write, and a crash passes through the connector as it is', async () => {
  const { app, connector, ids } = await synced()
  const [id = ''] = ids
  const rev = app.peek(id)?.rev ?? null
  app.onCall = ({ method }, when) => {
    if (method === 'write' && when === 'before') app.edit(id, { title: 'quicker' })
  }
  const [outcome] = await connector.write([{ op: 'update', ref: 'u', id, rev, fields: { title: 'slower' } }])
  expect(outcome).toMatchObject({ kind: 'failed', failure: { kind: 'conflict' } })

  class Crash extends Error {}
  app.onCall = (_, when) => {
    if (when === 'after') throw new Crash()
  }
  const create = { op: 'create', ref: 'c', key: 'k', fields: sample(9) } as const
  await expect(connector.write([create])).rejects.toBeInstanceOf(Crash)
  await expect(connector.read([id])).rejects.toBeInstanceOf(Crash)
  expect(app.peek('k')).toBeDefined()
})

test('a lagging feed shows a change only after so many calls and so much time, and then loses none', async () => {
  const { app, clock, follower } = world({ feedLag: { calls: 3, time_ms: 100 } })
  const id = app.add(sample(1))
  expect((await follower.follow()).sightings).toEqual([])
  app.calls += 5
  expect((await follower.follow()).sightings).toEqual([])
  clock.now_ms += 100
  expect((await follower.follow()).changed).toEqual([id])
})

test('a touch is a new revision of the same values; a write that changes nothing is none', async () => {
  const { app, follower, ids } = await synced()
  const [id = ''] = ids
  const before = app.peek(id)
  app.edit(id, { given: before?.fields['given'] ?? null })
  expect((await follower.follow()).sightings).toEqual([])
  app.touch(id)
  expect((await follower.follow()).changed).toEqual([id])
  expect(app.peek(id)?.fields).toEqual(before?.fields)
  expect(app.peek(id)?.rev).not.toBe(before?.rev)
})

test('field times move for the changed field alone, on a clock that may be wrong', async () => {
  const { app, clock } = world({ times: 'field', clockSkew_ms: -5000 })
  const id = app.add(sample(1))
  clock.now_ms += 70
  app.edit(id, { title: 'later' })
  const { modified_ms, fieldTimes_ms } = app.peek(id) ?? {}
  expect([modified_ms, fieldTimes_ms?.['title'], fieldTimes_ms?.['given']]).toEqual([995_070, 995_070, 995_000])
})

test('merges may chain, and end in a deletion', async () => {
  const { app, connector, ids } = await synced({ mergeInto: 'new' }, 3)
  const [a = '', b = '', c = ''] = ids
  const ab = app.merge(a, b)
  const abc = app.merge(ab, c)
  expect(await connector.read([a])).toEqual([{ kind: 'merged', id: a, into: abc }])
  app.remove(abc)
  expect(await connector.read([a])).toEqual([{ kind: 'gone', id: a }])
})

test('a create repeated after a human merged its record away makes no second one (I4)', async () => {
  const { app, connector } = world()
  const create = { op: 'create', ref: 'c', key: 'ours', fields: sample(1) } as const
  await connector.write([create])
  app.merge('ours', app.add(sample(2)))
  expect(await connector.write([create])).toMatchObject([
    { kind: 'failed', failure: { kind: 'permanent', code: 'merged' } },
  ])
  expect(app.size).toBe(1)
})

test('an archived record is gone for us, and a human can take it back', async () => {
  const { app, connector, follower, ids } = await synced({ archive: true }, 1)
  const [id = ''] = ids
  await connector.write([{ op: 'delete', ref: 'd', id, rev: null, archive: true }])
  expect((await follower.follow()).gone).toEqual([id])
  app.restore(id)
  expect((await follower.follow()).changed).toEqual([id])
  app.remove(id)
  expect(() => app.restore(id)).toThrow('not in the archive')
})

test('a field that is removed from the product is neither known nor writable any more', async () => {
  const { app, connector, ids } = await synced({}, 1)
  app.dropField('organisation')
  expect((await connector.check()).fields.map(({ name }) => name)).not.toContain('organisation')
  expect(app.peek(ids[0] ?? '')?.fields).not.toHaveProperty('organisation')
  const update = { op: 'update', ref: 'u', id: ids[0] ?? '', rev: null, fields: { organisation: 'x' } } as const
  expect(await connector.write([update])).toMatchObject([{ kind: 'failed', failure: { kind: 'permanent' } }])
})

test('a second record with an e-mail address that is taken is refused where addresses are unique', async () => {
  const { app, connector } = world({ uniqueEmails: true, createKey: 'search' })
  const id = app.add(sample(1))
  const create = { op: 'create', ref: 'c', key: 'k', fields: { ...sample(1), given: 'Other' } } as const
  expect(await connector.write([create])).toMatchObject([{ kind: 'failed', failure: { code: 'email-taken' } }])
  app.remove(id)
  expect(await connector.write([create])).toMatchObject([{ kind: 'written' }])
})

test('the same seed meets the same faults (I14), and no fault outlives clear', async () => {
  const rates: FaultRates = {
    lost: 0.2,
    ratelimit: 0.2,
    unavailable: 0.2,
    partial: 0.3,
    stale: 0.2,
    late: 0.3,
    double: 0.3,
  }
  const run = async (seed: number) => {
    const { app, connector } = world()
    let state = seed
    app.faults.rates(rates, () => (state = (state * 16807) % 2147483647) / 2147483647)
    const trace: unknown[] = []
    for (let n = 0; n < 60; n++) {
      const requests = [1, 2, 3].map(
        (m) => ({ op: 'create', ref: `${m}`, key: `k${n}-${m}`, fields: sample(m) }) as const,
      )
      trace.push(await connector.write(requests).catch(String))
      trace.push(await new Follower(connector).follow().then(({ sightings }) => sightings, String))
    }
    app.faults.clear()
    await new Follower(connector).follow()
    return trace
  }
  const first = await run(7)
  expect(await run(7)).toEqual(first)
  expect(await run(8)).not.toEqual(first)
})

test('what the app hands out cannot be changed by its readers, nor by what a writer does with its values later', async () => {
  const { app } = world()
  const fields = sample(1)
  const id = app.add(fields)
  const emails = app.peek(id)?.fields['emails'] as { value: string }[]
  expect(() => Object.assign(emails[0] ?? {}, { value: 'x' })).toThrow(TypeError)
  ;(fields['emails'] as { value: string }[]).push({ value: 'mine@example.org' })
  expect(app.peek(id)?.fields['emails']).toHaveLength(2)
})
