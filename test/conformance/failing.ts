import { expect } from '@jest/globals'
import { adviceFor, FailureError, type Failure } from '../../engine/core/failure.ts'
import type { Connector, WriteOutcome, WriteRequest } from '../../engine/core/ports/connector.ts'
import { Follower, readOne } from './follower.ts'
import { OpenHandles } from './handles.ts'
import { fill, type World } from './harness.ts'
import type { Bench } from './suite.ts'
import { failureKind, freshKey, writeOne, written } from './writing.ts'

/** The failure that `body` throws. Anything else thrown, or nothing, fails the test. */
async function failureOf(body: () => Promise<unknown>): Promise<Failure> {
  try {
    await body()
  } catch (error) {
    if (error instanceof FailureError) return error.failure
    throw error
  }
  throw new Error('expected a failure, and it went well')
}

/** A write that fails: as a whole, or request by request. Both are allowed where no answer was lost. */
async function failedWrite(connector: Connector, requests: readonly WriteRequest[]): Promise<Failure> {
  const outcomes: WriteOutcome[] = []
  return failureOf(async () => {
    outcomes.push(...(await connector.write(requests)))
    expect(outcomes.map(({ ref }) => ref)).toEqual(requests.map(({ ref }) => ref))
    for (const outcome of outcomes) if (outcome.kind === 'failed') throw new FailureError(outcome.failure)
  })
}

async function pulled(connector: Connector): Promise<void> {
  await new Follower(connector).follow()
}

/** What the app's bad days look like from here. */
export function describeFailing(bench: Bench): void {
  const { harness } = bench
  const { capabilities, editable } = harness
  const create = (n: number): WriteRequest => {
    const key = freshKey()
    return { op: 'create', ref: `c-${key}`, key, fields: harness.sample(n) }
  }
  const update = (id: string, rev: string | null, word: string): WriteRequest => ({
    op: 'update',
    ref: 'u',
    id,
    rev,
    fields: { [editable]: word },
  })
  const ids = async (world: World): Promise<string[]> => (await world.human.list()).map(({ id }) => id)

  bench.group('lost answers', () => {
    bench.test(
      'a create whose answer was lost is uncertain, and ends as one record (I4)',
      bench.lacks('loseNextAnswer'),
      async (world) => {
        const request = create(1)
        await world.faults?.loseNextAnswer?.()
        expect(failureKind(await writeOne(world.connector, request))).toBe('uncertain')
        await world.clear?.()
        await world.settle?.()
        if (capabilities.createKey === 'id') {
          expect([written(await writeOne(world.connector, request)).id]).toEqual(await ids(world))
        } else if (request.op === 'create') {
          expect((await world.connector.find?.(request))?.map(({ id }) => id)).toEqual(await ids(world))
        }
        expect(await ids(world)).toHaveLength(1)
      },
    )

    bench.test(
      'an update whose answer was lost is uncertain; reading again shows what became of it',
      bench.lacks('loseNextAnswer'),
      async (world) => {
        const id = await world.human.add(harness.sample(0))
        const { rev } = await readOne(world.connector, id)
        await world.faults?.loseNextAnswer?.()
        expect(failureKind(await writeOne(world.connector, update(id, rev, 'perhaps')))).toBe('uncertain')
        await world.clear?.()
        const now = await readOne(world.connector, id)
        expect(now.fields[editable]).toBe('perhaps')
        expect(written(await writeOne(world.connector, update(id, now.rev, 'surely'))).fields[editable]).toBe('surely')
      },
    )

    bench.test(
      'a delete whose answer was lost is uncertain, and can be sent again',
      bench.lacks('loseNextAnswer') || (!capabilities.delete && 'delete is not declared'),
      async (world) => {
        const id = await world.human.add(harness.sample(0))
        const { rev } = await readOne(world.connector, id)
        const request: WriteRequest = { op: 'delete', ref: 'd', id, rev, archive: false }
        await world.faults?.loseNextAnswer?.()
        expect(failureKind(await writeOne(world.connector, request))).toBe('uncertain')
        await world.clear?.()
        expect(await writeOne(world.connector, request)).toEqual({ ref: 'd', kind: 'deleted', id })
      },
    )
  })

  bench.group('refusals', () => {
    for (const retryAfter_ms of [undefined, 7000]) {
      const title = retryAfter_ms === undefined ? 'without a time' : 'with a time'
      bench.test(
        `an app that asks to wait ${title} is ratelimited, for reads and writes, and nothing is written`,
        bench.lacks('rateLimit'),
        async (world) => {
          const id = await world.human.add(harness.sample(0))
          for (const call of [
            () => failureOf(() => pulled(world.connector)),
            () => failureOf(() => world.connector.read([id])),
            () => failedWrite(world.connector, [create(1)]),
          ]) {
            await world.faults?.rateLimit?.(retryAfter_ms)
            const failure = await call()
            expect([failure.kind, failure.retryAfter_ms]).toEqual(['ratelimited', retryAfter_ms])
            await world.clear?.()
          }
          expect(await ids(world)).toEqual([id])
          await pulled(world.connector)
        },
      )
    }

    bench.test(
      'a server error is transient for reads; a write it answers is transient or uncertain, never lost',
      bench.lacks('serverError'),
      async (world) => {
        const id = await world.human.add(harness.sample(0))
        await world.faults?.serverError?.()
        expect((await failureOf(() => pulled(world.connector))).kind).toBe('transient')
        await world.clear?.()
        await world.faults?.serverError?.()
        expect((await failureOf(() => world.connector.read([id]))).kind).toBe('transient')
        await world.clear?.()
        await world.faults?.serverError?.()
        expect(['transient', 'uncertain']).toContain((await failedWrite(world.connector, [create(1)])).kind)
        await world.clear?.()
        expect(await ids(world)).toEqual([id])
        await pulled(world.connector)
      },
    )

    bench.test(
      'a batch that fails in part says which records are written and which to try again',
      bench.lacks('partialFailure'),
      async (world) => {
        const requests = [create(1), create(2), create(3), create(4)]
        await world.faults?.partialFailure?.()
        const outcomes = await world.connector.write(requests)
        await world.clear?.()
        const failed = outcomes.filter(({ kind }) => kind === 'failed')
        const done = outcomes.filter(({ kind }) => kind === 'written')
        expect(outcomes.map(({ ref }) => ref).toSorted()).toEqual(requests.map(({ ref }) => ref).toSorted())
        expect(failed.length).toBeGreaterThan(0)
        expect(new Set(failed.map(failureKind))).toEqual(new Set(['transient']))
        expect((await ids(world)).toSorted()).toEqual(done.map((outcome) => written(outcome).id).toSorted())
        const again = await world.connector.write(requests.filter(({ ref }) => failed.some((one) => one.ref === ref)))
        expect(again.map(({ kind }) => kind)).toEqual(failed.map(() => 'written'))
        expect(await ids(world)).toHaveLength(4)
      },
    )

    bench.test(
      'refused credentials are thrown as auth, with advice and without a secret (I15)',
      bench.lacks('refuseCredentials'),
      async (world) => {
        const id = await world.human.add(harness.sample(0))
        await world.faults?.refuseCredentials?.()
        for (const call of [
          () => world.connector.check(),
          () => pulled(world.connector),
          () => world.connector.read([id]),
          () => world.connector.write([create(1)]),
        ]) {
          const failure = await failureOf(call)
          expect(failure.kind).toBe('auth')
          expect(adviceFor(failure)).not.toBe('')
          for (const secret of harness.secrets) expect(JSON.stringify(failure)).not.toContain(secret)
        }
        await world.clear?.()
        expect(await ids(world)).toEqual([id])
        await pulled(world.connector)
      },
    )
  })

  bench.group('bad readings', () => {
    bench.test(
      'an expired cursor ends in a complete inventory, from which deletions can be told (I5)',
      bench.lacks('expireCursor'),
      async (world) => {
        const removed = await world.human.add(harness.sample(0))
        const edited = await world.human.add(harness.sample(1))
        await world.settle?.()
        const follower = new Follower(world.connector)
        await follower.follow()
        await world.human.remove(removed)
        await world.human.edit(edited, { [editable]: 'while we were away' })
        await world.faults?.expireCursor?.()
        await world.settle?.()
        const pass = await follower.follow()
        expect([pass.inventory, pass.complete]).toEqual([true, true])
        expect([pass.changed, pass.gone]).toEqual([[edited], [removed]])
        await world.clear?.()
        expect((await follower.follow()).changed).toEqual([])
      },
    )

    bench.test(
      'a listing cut short never claims to be complete, and costs no record (I5)',
      bench.lacks('truncateListing'),
      async (world) => {
        await fill(harness, world, harness.many)
        const follower = new Follower(world.connector)
        await follower.follow()
        follower.cursor = null
        await world.faults?.truncateListing?.()
        try {
          expect((await follower.follow()).complete).toBe(false)
        } catch (error) {
          expect(error).toBeInstanceOf(FailureError)
        }
        expect(follower.records.size).toBe(harness.many)
        await world.clear?.()
        expect((await follower.follow()).complete).toBe(true)
        expect(follower.records.size).toBe(harness.many)
      },
    )

    bench.test(
      'a broken record is named, stops no other, and heals when it is mended',
      bench.lacks('breakRecord'),
      async (world) => {
        const broken = await world.human.add(harness.sample(0))
        const good = await world.human.add(harness.sample(1))
        await world.settle?.()
        const before = new Follower(world.connector)
        await before.follow()
        const mend = await world.faults?.breakRecord?.(broken)
        await world.settle?.()
        for (const follower of [before, new Follower(world.connector)]) {
          await follower.follow()
          expect([...follower.broken.keys()]).toEqual([broken])
          expect(follower.records.has(good)).toBe(true)
        }
        const [answer] = await world.connector.read([broken])
        expect(answer?.kind).toBe('broken')
        if (answer?.kind === 'broken') {
          expect(answer.failure.message).not.toBe('')
          for (const value of Object.values(harness.sample(0))) {
            if (typeof value === 'string') expect(answer.failure.message).not.toContain(value)
          }
        }
        const again = await before.follow()
        expect(again.changed).toEqual([])
        const outcome = failureKind(await writeOne(world.connector, update(broken, null, 'over the wreck')))
        expect(['permanent', 'conflict']).toContain(outcome)
        await mend?.()
        await world.settle?.()
        await before.follow()
        expect([...before.records.keys()].toSorted()).toEqual([broken, good].toSorted())
        expect(before.broken.size).toBe(0)
      },
    )
  })

  bench.group('closing', () => {
    bench.test('nothing is left open after close', undefined, async (world) => {
      const handles = new OpenHandles()
      await world.human.add(harness.sample(0))
      await pulled(world.connector)
      const stop = await world.connector.watch?.(() => undefined)
      await writeOne(world.connector, create(1))
      await stop?.()
      await world.connector.close()
      expect(await handles.left(2000)).toBe('')
    })
  })
}
