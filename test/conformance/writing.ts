import { expect } from '@jest/globals'
import { isBlank, type JsonObject } from '../../engine/core/json.ts'
import type { AppRecord, Connector, WriteOutcome, WriteRequest } from '../../engine/core/ports/connector.ts'
import { essence, Follower, only, readOne } from './follower.ts'
import { fill, type World } from './harness.ts'
import type { Bench } from './suite.ts'

/** Texts that have broken someone's import before. */
const AWKWARD: readonly (readonly [string, string])[] = [
  ['emoji of several code points', 'Ada 👩🏽‍🚀 🏴󠁧󠁢󠁳󠁣󠁴󠁿'],
  ['combining characters', 'Zoe\u0308 A\u030angstro\u0308m'],
  ['right to left', 'שלום مرحبا Ada'],
  ['Chinese, Japanese and Korean', '山田 太郎 김철수 王小明'],
  ['quotes and separators', `a;b,c:d|e\\f"g'h<i>&amp;=j\tk`],
  ['what looks like markup of a card or a sheet', 'BEGIN:VCARD \\n item1.X-ABLabel: "a","b"'],
  ['what looks like a formula', '=1+2'],
  ['a sign in front', '-5 +7 @home'],
  ['a long line', `${'sehr langer Name '.repeat(11)}ende`],
  ['a text that looks like a number', '00123'],
  ['a text that looks like nothing', 'null'],
]

let keys = 0
/** A key as the engine makes them: unique, safe in a file name. */
export function freshKey(): string {
  keys += 1
  return `kith-conformance-${keys}`
}

export async function writeOne(connector: Connector, request: WriteRequest): Promise<WriteOutcome> {
  const outcomes = await connector.write([request])
  expect(outcomes.map(({ ref }) => ref)).toEqual([request.ref])
  return outcomes[0] as WriteOutcome
}

/** The record of an outcome that must be `written`. */
export function written(outcome: WriteOutcome | undefined): AppRecord {
  if (outcome?.kind !== 'written') throw new Error(`expected a written record, not ${JSON.stringify(outcome)}`)
  return outcome.record
}

export function failureKind(outcome: WriteOutcome | undefined): string | undefined {
  return outcome?.kind === 'failed' ? outcome.failure.kind : outcome?.kind
}

/** Creates, updates, deletes, and what the outcomes say. */
export function describeWriting(bench: Bench): void {
  const { harness } = bench
  const { capabilities, editable, bystander } = harness
  const kept = (fields: JsonObject): JsonObject => harness.kept?.(fields) ?? fields
  const create = (fields: JsonObject, key = freshKey()): WriteRequest => ({
    op: 'create',
    ref: `c-${key}`,
    key,
    fields,
  })
  const update = (id: string, rev: string | null, fields: JsonObject, ref = 'u'): WriteRequest => ({
    op: 'update',
    ref,
    id,
    rev,
    fields,
  })
  const remove = (id: string, rev: string | null, ref = 'd'): WriteRequest => ({
    op: 'delete',
    ref,
    id,
    rev,
    archive: false,
  })

  function expectFields(record: AppRecord | undefined, fields: JsonObject): void {
    const names = Object.keys(fields)
    expect(only(names, record?.fields ?? {})).toEqual(only(names, kept(fields)))
  }

  async function listed(world: World): Promise<Map<string, JsonObject>> {
    const records = await world.human.list()
    return new Map(records.map(({ id, fields }) => [id, fields]))
  }

  const noCreate = !capabilities.create && 'create is not declared'
  const noDelete = !capabilities.delete && 'delete is not declared'
  const noPrecondition = !capabilities.precondition && 'no precondition is declared'

  bench.group('creating', () => {
    bench.test(
      'a created record is answered, read, pulled and seen by humans with the same fields',
      noCreate,
      async (world) => {
        const follower = new Follower(world.connector)
        await follower.follow()
        for (let n = 0; n < 6; n++) {
          const fields = harness.sample(n)
          const record = written(await writeOne(world.connector, create(fields)))
          expectFields(record, fields)
          expect(essence(await readOne(world.connector, record.id))).toEqual(essence(record))
          expect((await listed(world)).has(record.id)).toBe(true)
          await world.settle?.()
          await follower.follow()
          expect(essence(follower.records.get(record.id))).toEqual(essence(record))
        }
      },
    )

    bench.test(
      'a create repeated with its key makes no second record, and is answered with the first (I4)',
      noCreate || (capabilities.createKey !== 'id' && 'the key is not an id here'),
      async (world) => {
        const request = create(harness.sample(1))
        const first = written(await writeOne(world.connector, request))
        expect(written(await writeOne(world.connector, request)).id).toBe(first.id)
        await world.human.edit(first.id, { [editable]: 'edited by a human' })
        expect(written(await writeOne(world.connector, request)).id).toBe(first.id)
        const records = await listed(world)
        expect([...records.keys()]).toEqual([first.id])
        expect(records.get(first.id)?.[editable]).toEqual('edited by a human')
      },
    )

    bench.test(
      'a create is found again by what it wrote, and one that never happened is not (I4)',
      noCreate || (capabilities.createKey !== 'search' && 'creates are repeated here, not searched for'),
      async (world) => {
        const [done, never] = [create(harness.sample(1)), create(harness.sample(2))]
        if (done.op !== 'create' || never.op !== 'create') return
        const record = written(await writeOne(world.connector, done))
        await world.settle?.()
        expect((await world.connector.find?.(done))?.map(({ id }) => id)).toEqual([record.id])
        expect(await world.connector.find?.(never)).toEqual([])
      },
    )

    bench.test(
      'two creates of the same fields with different keys are two records',
      noCreate || (harness.unique && 'the app allows no two alike'),
      async (world) => {
        const outcomes = await world.connector.write(
          capabilities.writeBatch_max > 1
            ? [create(harness.sample(1)), create(harness.sample(1))]
            : [create(harness.sample(1))],
        )
        for (const outcome of outcomes) written(outcome)
        expect((await listed(world)).size).toBe(outcomes.length)
      },
    )
  })

  bench.group('updating', () => {
    bench.test('an update changes the named fields only', undefined, async (world) => {
      for (let n = 0; n < 4; n++) {
        const id = await world.human.add(harness.sample(n))
        const before = await readOne(world.connector, id)
        const record = written(await writeOne(world.connector, update(id, before.rev, { [editable]: 'new word' })))
        expect(record.id).toBe(id)
        expect(record.fields).toEqual({ ...before.fields, [editable]: 'new word' })
        expect(essence(await readOne(world.connector, id))).toEqual(essence(record))
      }
    })

    bench.test('every field of a sample can be changed to that of another', undefined, async (world) => {
      const id = await world.human.add(harness.sample(0))
      for (let n = 1; n < 5; n++) {
        const { rev } = await readOne(world.connector, id)
        expectFields(written(await writeOne(world.connector, update(id, rev, harness.sample(n)))), harness.sample(n))
      }
    })

    bench.test('null blanks a field, and leaves the others', harness.neverBlank, async (world) => {
      const id = await world.human.add(harness.sample(0))
      const before = await readOne(world.connector, id)
      const record = written(await writeOne(world.connector, update(id, before.rev, { [editable]: null })))
      expect(isBlank(record.fields[editable])).toBe(true)
      expect(record.fields[bystander]).toEqual(before.fields[bystander])
      const read = await readOne(world.connector, id)
      expect(isBlank(read.fields[editable])).toBe(true)
    })

    bench.test('an update whose revision is not known is written all the same', undefined, async (world) => {
      const id = await world.human.add(harness.sample(0))
      expectFields(written(await writeOne(world.connector, update(id, null, { [editable]: 'no base' }))), {
        [editable]: 'no base',
      })
    })

    bench.test('the echo of our own write has the revision and the fields of its outcome', undefined, async (world) => {
      const id = await world.human.add(harness.sample(0))
      await world.settle?.()
      const follower = new Follower(world.connector)
      await follower.follow()
      const rev = follower.records.get(id)?.rev ?? null
      const record = written(await writeOne(world.connector, update(id, rev, { [editable]: 'echo' })))
      await world.settle?.()
      const pass = await follower.follow()
      for (const sighting of pass.sightings) {
        if (sighting.kind === 'hint') expect(sighting).toEqual({ kind: 'hint', id, rev: record.rev })
        if (sighting.kind === 'record') expect(essence(sighting.record)).toEqual(essence(record))
      }
      expect(essence(follower.records.get(id))).toEqual(essence(record))
      expect((await follower.follow()).changed).toEqual([])
    })

    bench.test(
      'an update over an older revision is a conflict, and nothing of it is written (I3)',
      noPrecondition,
      async (world) => {
        const id = await world.human.add(harness.sample(0))
        const { rev } = await readOne(world.connector, id)
        await world.human.edit(id, { [editable]: 'typed by a human' })
        const outcome = await writeOne(
          world.connector,
          update(id, rev, { [editable]: 'ours', [bystander]: 'ours too' }),
        )
        expect(failureKind(outcome)).toBe('conflict')
        const after = await readOne(world.connector, id)
        expect(after.fields[editable]).toEqual('typed by a human')
        expect(after.fields[bystander]).toEqual(kept(harness.sample(0))[bystander])
        expectFields(written(await writeOne(world.connector, update(id, after.rev, { [editable]: 'merged' }))), {
          [editable]: 'merged',
        })
      },
    )

    bench.test(
      'an update over an older revision is written, and spares the fields it does not name',
      capabilities.precondition && 'a precondition is declared',
      async (world) => {
        const id = await world.human.add(harness.sample(0))
        const { rev } = await readOne(world.connector, id)
        await world.human.edit(id, { [bystander]: 'Typed' })
        const record = written(await writeOne(world.connector, update(id, rev, { [editable]: 'ours' })))
        expectFields(record, { [bystander]: 'Typed', [editable]: 'ours' })
      },
    )

    bench.test('an update of something gone is answered gone, and makes no record', undefined, async (world) => {
      const [id = ''] = await fill(harness, world, 2)
      const { rev } = await readOne(world.connector, id)
      await world.human.remove(id)
      const late = (over: string | null) => writeOne(world.connector, update(id, over, { [editable]: 'late' }))
      expect(failureKind(await late(null))).toBe('gone')
      // A server that checks the precondition first says only that it does not hold; reading again then says gone.
      expect(['gone', 'conflict']).toContain(failureKind(await late(rev)))
      expect(await world.connector.read([id])).toEqual([{ kind: 'gone', id }])
      expect((await listed(world)).size).toBe(1)
    })
  })

  bench.group('deleting', () => {
    bench.test('a deleted record is gone for readers, the feed and humans', noDelete, async (world) => {
      const [id, other] = [await world.human.add(harness.sample(0)), await world.human.add(harness.sample(1))]
      await world.settle?.()
      const follower = new Follower(world.connector)
      await follower.follow()
      const outcome = await writeOne(world.connector, remove(id, follower.records.get(id)?.rev ?? null))
      expect(outcome).toEqual({ ref: 'd', kind: 'deleted', id })
      expect(await world.connector.read([id])).toEqual([{ kind: 'gone', id }])
      await world.settle?.()
      expect((await follower.follow()).gone).toEqual([id])
      expect([...(await listed(world)).keys()]).toEqual([other])
    })

    bench.test('a delete of something gone is done', noDelete, async (world) => {
      const [id = ''] = await fill(harness, world, 2)
      const { rev } = await readOne(world.connector, id)
      await world.human.remove(id)
      for (const over of [rev, null]) {
        expect(await writeOne(world.connector, remove(id, over))).toEqual({ ref: 'd', kind: 'deleted', id })
      }
    })

    bench.test(
      'a delete over an older revision is a conflict, and the record stays (I3)',
      noDelete || noPrecondition,
      async (world) => {
        const id = await world.human.add(harness.sample(0))
        const { rev } = await readOne(world.connector, id)
        await world.human.edit(id, { [editable]: 'still wanted' })
        expect(failureKind(await writeOne(world.connector, remove(id, rev)))).toBe('conflict')
        expect((await readOne(world.connector, id)).fields[editable]).toEqual('still wanted')
      },
    )
  })

  const noErase = capabilities.erase !== true && 'erase is not declared'
  bench.group('erasing', () => {
    const erase = (id: string, rev: string | null): WriteRequest =>
      ({ ...remove(id, rev), erase: true }) as WriteRequest

    bench.test('somebody who is erased is gone for good, and the others are not (I7)', noErase, async (world) => {
      const [id = '', other = ''] = await fill(harness, world, 2)
      const { rev } = await readOne(world.connector, id)
      expect(await writeOne(world.connector, erase(id, rev))).toEqual({ ref: 'd', kind: 'deleted', id })
      expect(await world.connector.read([id])).toEqual([{ kind: 'gone', id }])
      expect(world.human.bin?.()).toEqual([])
      await world.settle?.()
      expect([...(await listed(world)).keys()]).toEqual([other])
    })

    bench.test(
      'what people have deleted before is erased from the bin too, and twice is once',
      noErase,
      async (world) => {
        const [id = ''] = await fill(harness, world, 2)
        const { rev } = await readOne(world.connector, id)
        await world.human.remove(id)
        for (const over of [rev, null]) {
          expect(await writeOne(world.connector, erase(id, over))).toEqual({ ref: 'd', kind: 'deleted', id })
          expect(world.human.bin?.()).toEqual([])
        }
      },
    )
  })

  bench.group('batches', () => {
    const single = capabilities.writeBatch_max < 3 && 'writes go one by one'

    bench.test(
      'creates, updates and deletes travel in one batch, each with its own outcome',
      noCreate || noDelete || single,
      async (world) => {
        const [kept1, doomed] = [await world.human.add(harness.sample(0)), await world.human.add(harness.sample(1))]
        const [first, second] = [await readOne(world.connector, kept1), await readOne(world.connector, doomed)]
        const outcomes = await world.connector.write([
          create(harness.sample(2), 'in-a-batch'),
          update(kept1, first.rev, { [editable]: 'in a batch' }, 'u1'),
          remove(doomed, second.rev, 'd1'),
        ])
        const byRef = new Map(outcomes.map((outcome) => [outcome.ref, outcome]))
        expect([...byRef.keys()].toSorted()).toEqual(['c-in-a-batch', 'd1', 'u1'])
        expectFields(written(byRef.get('c-in-a-batch')), harness.sample(2))
        expectFields(written(byRef.get('u1')), { [editable]: 'in a batch' })
        expect(byRef.get('d1')?.kind).toBe('deleted')
        expect((await listed(world)).size).toBe(2)
      },
    )

    bench.test('one record that cannot be written does not stop the others', noCreate || single, async (world) => {
      const gone = await world.human.add(harness.sample(0))
      await world.human.remove(gone)
      const there = await world.human.add(harness.sample(1))
      const outcomes = await world.connector.write([
        update(gone, null, { [editable]: 'too late' }, 'bad'),
        create(harness.sample(2), 'good-1'),
        update(there, null, { [editable]: 'in time' }, 'good-2'),
      ])
      expect(new Map(outcomes.map((outcome) => [outcome.ref, failureKind(outcome)]))).toEqual(
        new Map([
          ['bad', 'gone'],
          ['c-good-1', 'written'],
          ['good-2', 'written'],
        ]),
      )
    })

    bench.test(
      'data that the app refuses are permanent for that record, which names no value (I15)',
      !harness.refused && 'the app refuses nothing',
      async (world) => {
        const fields = harness.refused?.() ?? {}
        const batch = [create(fields, 'refused'), create(harness.sample(2), 'fine')].slice(
          0,
          capabilities.writeBatch_max,
        )
        const outcomes = await world.connector.write(batch)
        const bad = outcomes.find(({ ref }) => ref === 'c-refused')
        expect(failureKind(bad)).toBe('permanent')
        for (const value of Object.values(fields)) {
          if (typeof value === 'string') expect(JSON.stringify(bad)).not.toContain(value)
        }
        expect((await listed(world)).size).toBe(batch.length - 1)
      },
    )

    bench.test('the largest batch declared is written whole, and read whole', noCreate, async (world) => {
      const size = Math.min(capabilities.writeBatch_max, 1000)
      const requests = Array.from({ length: size }, (_, n) => create(harness.sample(n), `largest-${n}`))
      const outcomes = await world.connector.write(requests)
      expect(outcomes.map(({ ref }) => ref).toSorted()).toEqual(requests.map(({ ref }) => ref).toSorted())
      const ids = outcomes.map((outcome) => written(outcome).id)
      expect(new Set(ids).size).toBe(size)
      const some = ids.slice(0, Math.min(capabilities.readBatch_max, size))
      expect((await world.connector.read(some)).map(({ kind }) => kind)).toEqual(some.map(() => 'record'))
    })

    bench.test('as many writes as declared may be under way at once', noCreate, async (world) => {
      const lanes = Array.from({ length: Math.min(capabilities.writes_concurrent_max, 8) }, (_, n) => n)
      const outcomes = await Promise.all(lanes.map((n) => writeOne(world.connector, create(harness.sample(n)))))
      const ids = outcomes.map((outcome) => written(outcome).id)
      expect(new Set((await listed(world)).keys())).toEqual(new Set(ids))
    })

    bench.test('an empty batch is answered by no outcomes', undefined, async (world) => {
      expect(await world.connector.write([])).toEqual([])
    })
  })

  bench.group('exactness', () => {
    for (const [what, text] of AWKWARD) {
      bench.test(`${what} survives a write and a read`, noCreate, async (world) => {
        const fields = { ...harness.sample(1), [editable]: text }
        const { id } = written(await writeOne(world.connector, create(fields)))
        expectFields(await readOne(world.connector, id), fields)
        const { rev } = await readOne(world.connector, id)
        await writeOne(world.connector, update(id, rev, { [bystander]: 'Someone' }))
        expectFields(await readOne(world.connector, id), { [editable]: text })
        const seen = (await listed(world)).get(id) ?? {}
        expect(only([editable], seen)).toEqual(only([editable], kept({ [editable]: text })))
      })
    }

    const { multiline } = harness
    bench.test(
      'line breaks, empty lines and long texts survive a write and a read',
      noCreate || (multiline === undefined && 'the app has no field of several lines'),
      async (world) => {
        const text = `first line\nsecond; with, separators\\n\n\nafter an empty one ${'und noch ein Wort '.repeat(150)}äöü 👍`
        const fields = { ...harness.sample(1), [multiline ?? '']: text }
        const { id } = written(await writeOne(world.connector, create(fields)))
        expectFields(await readOne(world.connector, id), fields)
      },
    )
  })
}
