import { expect } from '@jest/globals'
import { sameJson, type JsonObject } from '../../engine/core/json.ts'
import type { FeedPage } from '../../engine/core/ports/connector.ts'
import { Follower, idOf, only, readAll, readOne } from './follower.ts'
import { fill, type World } from './harness.ts'
import type { Bench } from './suite.ts'

/** Feed, cursor, hints, deletions. */
export function describeReading(bench: Bench): void {
  const { harness } = bench
  const { capabilities, editable, bystander, many } = harness
  const byFeed = capabilities.deletes === 'feed'

  /** The follower's copy is the app's truth, field by field. */
  async function expectAgreement(follower: Follower, world: World): Promise<void> {
    const listed = await world.human.list()
    const truth = listed.map(({ id, fields }) => [id, only(Object.keys(fields), fields)] as const)
    const copy = truth.map(([id, fields]) => [id, only(Object.keys(fields), follower.records.get(id)?.fields ?? {})])
    expect([...follower.records.keys()].toSorted()).toEqual(truth.map(([id]) => id).toSorted())
    expect(Object.fromEntries(copy)).toEqual(Object.fromEntries(truth))
  }

  bench.group('reading', () => {
    bench.test('an empty account is a complete inventory of nothing', undefined, async (world) => {
      const pass = await new Follower(world.connector).follow()
      expect(pass.sightings).toEqual([])
      expect(pass.complete).toBe(true)
    })

    bench.test(
      'a first pass brings every record there is, whole, and says so on its last page only',
      undefined,
      async (world) => {
        await fill(harness, world, many)
        const follower = new Follower(world.connector)
        const pass = await follower.follow()
        expect(pass.complete).toBe(true)
        expect(pass.pages.map((page) => page.inventory?.complete)).toEqual(
          pass.pages.map((_, at) => at === pass.pages.length - 1),
        )
        expect(follower.cursor).not.toBeNull()
        await expectAgreement(follower, world)
      },
    )

    bench.test('a quiet pass brings nothing new, and asks no more than it must (I2)', undefined, async (world) => {
      await fill(harness, world, 5)
      const follower = new Follower(world.connector)
      await follower.follow()
      const before = world.calls?.()
      const pass = await follower.follow()
      expect(pass.changed).toEqual([])
      expect(pass.gone).toEqual([])
      // An app that lists everything may also say in one word that nothing has changed.
      if (pass.inventory) expect(pass.complete).toBe(true)
      else expect(pass.sightings).toEqual([])
      if (byFeed) expect(pass.sightings).toEqual([])
      if (before !== undefined) expect((world.calls?.() ?? 0) - before).toBeLessThanOrEqual(1)
    })

    bench.test(
      'an addition, an edit and a deletion by a human are seen, and nothing else',
      undefined,
      async (world) => {
        const [edited = '', removed = '', left = ''] = await fill(harness, world, 3)
        const follower = new Follower(world.connector)
        await follower.follow()
        await world.human.edit(edited, { [editable]: 'edited by hand' })
        await world.human.remove(removed)
        const added = await world.human.add(harness.sample(7))
        await world.settle?.()
        const pass = await follower.follow()
        expect(pass.changed.toSorted()).toEqual([edited, added].toSorted())
        expect(pass.gone).toEqual([removed])
        if (byFeed) expect(pass.sightings.map(idOf)).not.toContain(left)
        await expectAgreement(follower, world)
      },
    )

    bench.test('reading twice from one cursor gives at least the same again', undefined, async (world) => {
      const [edited = '', removed = ''] = await fill(harness, world, 3)
      const follower = new Follower(world.connector)
      await follower.follow()
      const { cursor } = follower
      await world.human.edit(edited, { [editable]: 'once' })
      await world.human.remove(removed)
      await world.settle?.()
      await follower.follow()
      const again = new Follower(world.connector)
      again.cursor = cursor
      const pass = await again.follow()
      expect(pass.changed).toContain(edited)
      if (byFeed) expect(pass.gone).toContain(removed)
    })

    bench.test('every cursor on the way is a place to go on from', undefined, async (world) => {
      const follower = new Follower(world.connector)
      await follower.follow()
      await fill(harness, world, many)
      const ids = new Set((await world.human.list()).map(({ id }) => id))
      const start = follower.cursor
      const pages: FeedPage[] = []
      for await (const page of world.connector.pull(start)) pages.push(page)
      for (const [at, page] of pages.entries()) {
        if (page.cursor === undefined) continue
        const resumed = new Follower(world.connector)
        resumed.cursor = page.cursor
        const rest = await resumed.follow()
        const seen = new Set([...pages.slice(0, at + 1).flatMap((one) => one.sightings), ...rest.sightings].map(idOf))
        expect([...ids].filter((id) => !seen.has(id))).toEqual([])
      }
    })

    bench.test(
      byFeed
        ? 'a deletion is reported by the feed'
        : 'a deletion is what a complete inventory lacks, and a direct read says gone (I5)',
      undefined,
      async (world) => {
        const [removed = '', kept = ''] = await fill(harness, world, 2)
        const follower = new Follower(world.connector)
        await follower.follow()
        await world.human.remove(removed)
        await world.settle?.()
        const pass = await follower.follow()
        if (byFeed) expect(pass.sightings).toContainEqual({ kind: 'gone', id: removed })
        else {
          expect(pass.complete).toBe(true)
          expect(pass.sightings.map(idOf)).toEqual([kept])
        }
        expect(await world.connector.read([removed])).toEqual([{ kind: 'gone', id: removed }])
      },
    )

    bench.test(
      'edits, additions and deletions between pages lose nothing and invent nothing',
      undefined,
      async (world) => {
        const ids = await fill(harness, world, many)
        const follower = new Follower(world.connector)
        const meddle = async (page: number) => {
          await world.human.edit(ids[page] ?? '', { [editable]: `early ${page}` })
          await world.human.edit(ids[many - 1 - page] ?? '', { [editable]: `late ${page}` })
          await world.human.remove(ids[Math.floor(many / 2) + page] ?? '')
          await world.human.remove(await world.human.add(harness.sample(many + 10 * page)))
          await world.human.add(harness.sample(many + 10 * page + 1))
        }
        await follower.follow(async (page) => (page <= 3 ? meddle(page) : undefined))
        await world.settle?.()
        await follower.follow()
        await expectAgreement(follower, world)
      },
    )

    bench.test(
      'a merge says where the record went, never a delete plus a create',
      !harness.merges && 'the app knows no merge',
      async (world) => {
        const [loser = '', winner = '', other = ''] = await fill(harness, world, 3)
        const follower = new Follower(world.connector)
        await follower.follow()
        const stands = (await world.human.merge?.(loser, winner)) ?? ''
        await world.settle?.()
        const pass = await follower.follow()
        expect(follower.merged.get(loser)).toBe(stands)
        if (byFeed) expect(pass.sightings).toContainEqual({ kind: 'merged', id: loser, into: stands })
        expect(await world.connector.read([loser])).toEqual([{ kind: 'merged', id: loser, into: stands }])
        expect([...follower.records.keys()].toSorted()).toEqual([stands, other].toSorted())
        await expectAgreement(follower, world)
      },
    )

    bench.test(
      'a hint carries the revision that a read then has',
      !capabilities.hints && 'hints are not declared',
      async (world) => {
        await fill(harness, world, 4)
        const hints = []
        for await (const page of world.connector.pull(null))
          hints.push(...page.sightings.filter(({ kind }) => kind === 'hint'))
        expect(hints.length).toBeGreaterThan(0)
        for (const answer of await readAll(world.connector, hints.map(idOf))) {
          expect(answer.kind).toBe('record')
          if (answer.kind !== 'record') continue
          expect(hints).toContainEqual({ kind: 'hint', id: answer.record.id, rev: answer.record.rev })
        }
      },
    )

    bench.test(
      'without hints, every sighting brings its data',
      capabilities.hints && 'hints are declared',
      async (world) => {
        await fill(harness, world, 4)
        const pass = await new Follower(world.connector).follow()
        expect(pass.sightings.map(({ kind }) => kind)).toEqual(['record', 'record', 'record', 'record'])
      },
    )

    bench.test('a revision changes with every edit, and only then', undefined, async (world) => {
      const [id = '', other = ''] = await fill(harness, world, 2)
      const first = await readOne(world.connector, id)
      const untouched = await readOne(world.connector, other)
      expect((await readOne(world.connector, id)).rev).toBe(first.rev)
      await world.human.edit(id, { [editable]: 'another word' })
      const second = await readOne(world.connector, id)
      if (first.rev !== null) expect(second.rev).not.toBe(first.rev)
      expect(sameJson(second.fields[editable], 'another word')).toBe(true)
      const { rev, fields } = await readOne(world.connector, other)
      expect([rev, fields]).toEqual([untouched.rev, untouched.fields])
    })

    bench.test('the times are there as declared', undefined, async (world) => {
      const [id = ''] = await fill(harness, world, 1)
      const record = await readOne(world.connector, id)
      expect(record.modified_ms !== undefined).toBe(capabilities.times !== 'none')
      expect(record.fieldTimes_ms?.[bystander] !== undefined).toBe(capabilities.times === 'field')
      if (capabilities.times !== 'field') return
      await world.human.edit(id, { [editable]: 'at another time' })
      const later = await readOne(world.connector, id)
      expect(later.fieldTimes_ms?.[bystander]).toBe(record.fieldTimes_ms?.[bystander])
      expect(later.fieldTimes_ms?.[editable]).toBeGreaterThanOrEqual(record.fieldTimes_ms?.[editable] ?? Infinity)
    })

    bench.test(
      'a batch of reads answers each id once, in whatever order, those that are not there as gone',
      undefined,
      async (world) => {
        const ids = await fill(harness, world, 3)
        await world.human.remove(ids[1] ?? '')
        const answers = await world.connector.read(ids)
        expect(answers.map(idOf).toSorted()).toEqual(ids.toSorted())
        expect(new Map(answers.map((answer) => [idOf(answer), answer.kind]))).toEqual(
          new Map([
            [ids[0], 'record'],
            [ids[1], 'gone'],
            [ids[2], 'record'],
          ]),
        )
        expect(await world.connector.read([])).toEqual([])
      },
    )

    bench.test(
      'check names the fields and which of them can be written, changes nothing and shows no secret (I15)',
      undefined,
      async (world) => {
        await fill(harness, world, 2)
        const before: { id: string; fields: JsonObject }[] = await world.human.list()
        const report = await world.connector.check()
        const writable = report.fields.filter((field) => field.writable).map(({ name }) => name)
        expect(writable).toEqual(expect.arrayContaining([editable, bystander, ...Object.keys(harness.sample(0))]))
        expect(new Set(report.fields.map(({ name }) => name)).size).toBe(report.fields.length)
        expect(report.summary).not.toBe('')
        for (const secret of harness.secrets) expect(JSON.stringify(report)).not.toContain(secret)
        expect(await world.human.list()).toEqual(before)
      },
    )

    bench.test('an abort ends a pull, which then vouches for nothing', undefined, async (world) => {
      await fill(harness, world, many)
      const abort = new AbortController()
      const pages: FeedPage[] = []
      const pulled = async () => {
        for await (const page of world.connector.pull(null, abort.signal)) pages.push(page)
      }
      abort.abort(new Error('stop now'))
      await pulled().catch(() => undefined)
      expect(pages.filter((page) => page.inventory?.complete)).toEqual([])
    })

    bench.test('a cursor that is not one of ours is read as no cursor', undefined, async (world) => {
      const ids = await fill(harness, world, 2)
      for (const cursor of ['nonsense', 42, { v: -1 }, []]) {
        const follower = new Follower(world.connector)
        follower.cursor = cursor
        expect((await follower.follow()).complete).toBe(true)
        expect([...follower.records.keys()].toSorted()).toEqual(ids.toSorted())
      }
    })

    bench.test('a pull that its reader leaves early holds nothing up', undefined, async (world) => {
      await fill(harness, world, many)
      for await (const page of world.connector.pull(null)) {
        expect(page.sightings.length).toBeGreaterThan(0)
        break
      }
      const follower = new Follower(world.connector)
      await follower.follow()
      await expectAgreement(follower, world)
    })
  })
}
