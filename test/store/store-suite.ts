import { beforeEach, describe, expect, test } from '@jest/globals'
import type { Act } from '../../engine/core/act.ts'
import type { Failure } from '../../engine/core/failure.ts'
import { countedCause } from '../../engine/core/health.ts'
import type { Json } from '../../engine/core/json.ts'
import { DUPLICATE, SECOND_RECORD } from '../../engine/core/people.ts'
import type { Person } from '../../engine/core/person.ts'
import type {
  Change,
  Commit,
  Conflict,
  FeedStep,
  Intent,
  Kept,
  Link,
  LinkState,
  Store,
  Unplanned,
} from '../../engine/core/ports/store.ts'
import { describeErasures } from './erasures.ts'
import { describeLikely } from './likely.ts'
import { collect, consent, everything, intent, link, live, person, tally, write } from './sample.ts'

const REFUSED: Failure = { kind: 'permanent', message: 'the field is too long', code: '400' }
const NOW = 1_700_000_000_000
const LEASE_END = NOW + 60_000

/**
 * What every store promises (engine/core/ports/store.ts). Postgres and the memory store of the simulation both pass, so
 * that what the simulation proves holds for the real one.
 *
 * @param open an empty store; called before each test
 */
export function storeSuite(open: () => Promise<Store>): void {
  describe('a store', () => {
    let store: Store
    beforeEach(async () => {
      store = await open()
    })

    describeLikely(async () => store)
    describeErasures(async () => store)

    describe('connections and facts', () => {
      test('a wanted connection gets a row once, and keeps what is in it', async () => {
        await store.ensureConnections([{ name: 'crm', app: 'hubspot', mode: 'observe' }])
        await store.saveConnection('crm', { mode: 'paused', held: 'too many deletions', lastRead_ms: 5 })
        await store.ensureConnections([
          { name: 'phones', app: 'carddav', mode: 'live' },
          { name: 'crm', app: 'hubspot', mode: 'live' },
        ])
        const fresh = { cursor: null, readWith: null, pass: 0, chunk: 0, scanned: false, failure: null, pause: null }
        expect(await store.connections()).toEqual([
          { ...fresh, name: 'crm', app: 'hubspot', mode: 'paused', held: 'too many deletions', lastRead_ms: 5 },
          { ...fresh, name: 'phones', app: 'carddav', mode: 'live', held: null, lastRead_ms: null },
        ])
      })

      test('a patch sets what it names, null included, and nothing else', async () => {
        await store.ensureConnections([{ name: 'crm', app: 'csv', mode: 'live' }])
        await store.saveConnection('crm', { failure: REFUSED, held: 'brake', lastRead_ms: 9 })
        await store.saveConnection('crm', { failure: null })
        await store.saveConnection('crm', {})
        expect(await store.connections()).toMatchObject([
          { failure: null, held: 'brake', lastRead_ms: 9, mode: 'live' },
        ])
      })

      test('a fact is what it was last set to', async () => {
        expect(await store.getFact('approved')).toBeNull()
        for (const value of [{ hash: 'a', list: [1, null] }, 'text', 0, false, null] satisfies Json[]) {
          await store.setFact('approved', value)
          expect(await store.getFact('approved')).toEqual(value)
        }
      })

      test('a pass of a connection that has no row is a mistake', async () => {
        await expect(store.startPass('nobody')).rejects.toThrow(RangeError)
      })
    })

    describe('pauses (I10)', () => {
      const pause = (id: string, until_ms: number | null = null) => {
        return { id, at_ms: NOW, by: 'ada', why: 'clean-up', until_ms }
      }
      const act = (id: string): Act => {
        return { id, at_ms: NOW, by: 'ada', why: 'clean-up', kind: 'pause', about: { connection: 'crm' } }
      }
      const begin = (id = 'a1', connection = 'crm') => store.beginPause(connection, pause(id), act(id))
      const state = async () => (await store.connections()).find(({ name }) => name === 'crm')
      const claim = () => store.claim('crm', 10, NOW, LEASE_END)
      const keptOf = (connection = 'crm', ids?: string[]) => collect(store.kept(connection, ids))
      const heard = (recordId: string, more: Partial<Kept> = {}): Kept => {
        const record = { id: recordId, rev: '2', fields: { given: 'Ada' } }
        return { connection: 'crm', recordId, record, end: null, heard_ms: NOW, mark: 0, ...more }
      }
      beforeEach(async () => {
        await store.ensureConnections([
          { name: 'crm', app: 'csv', mode: 'live' },
          { name: 'desk', app: 'csv', mode: 'live' },
        ])
      })

      test('nothing is claimed in a pause, nor where the connection is not live; other connections go on', async () => {
        await write(store, {
          people: [person('p1')],
          intents: [intent('i1', { personId: 'p1' }), intent('i2', { personId: 'p1', connection: 'desk' })],
        })
        expect(await begin()).toBe(true)
        expect(await claim()).toEqual([])
        expect(await store.claim('desk', 10, NOW, LEASE_END)).toMatchObject([{ id: 'i2' }])
        expect(await store.settlePause('crm', 'a1', NOW)).toBe(0)
        expect(await claim()).toEqual([])
        expect(await store.endPause('crm', 'a1')).toBe(0)
        await store.saveConnection('crm', { mode: 'observe' })
        expect(await claim()).toEqual([])
        await store.saveConnection('crm', { mode: 'live' })
        expect(await claim()).toMatchObject([{ id: 'i1' }])
      })

      test('it is acknowledged when no write is under way, and then says so', async () => {
        await write(store, { people: [person('p1')], intents: [intent('i1', { personId: 'p1' })] })
        await claim()
        await begin()
        expect(await store.settlePause('crm', 'a1', NOW)).toBe(1)
        expect(await state()).toMatchObject({ pause: { ...pause('a1'), since_ms: null } })
        // What is lost can still be found out about.
        expect(await store.claimExpired('crm', 10, LEASE_END, LEASE_END + 1)).toMatchObject([{ id: 'i1' }])
        await write(store, { settlements: [{ intentId: 'i1', state: 'pending', notBefore_ms: 0, now_ms: NOW }] })
        expect(await store.settlePause('crm', 'a1', NOW + 5)).toBe(0)
        expect(await state()).toMatchObject({ pause: { ...pause('a1'), since_ms: NOW + 5 } })
        expect(await store.settlePause('crm', 'a1', NOW + 9)).toBe(0)
        expect(await state()).toMatchObject({ pause: { since_ms: NOW + 5 } })
        expect(await store.acts({ kind: 'pause', limit: 9 })).toEqual([act('a1')])
      })

      test('of many claims and pauses at once, no claim comes after the acknowledgement', async () => {
        const people = Array.from({ length: 20 }, (_, index) => person(`p${index}`))
        await write(store, { people, intents: people.map(({ id }) => intent(`i${id}`, { personId: id })) })
        const claims = Array.from({ length: 6 }, () => store.claim('crm', 2, NOW, LEASE_END))
        const begun = begin()
        const later = Array.from({ length: 6 }, async () => {
          await begun
          return store.claim('crm', 2, NOW, LEASE_END)
        })
        await begun
        const underWay = await store.settlePause('crm', 'a1', NOW)
        const claimed = (await Promise.all(claims)).flat().length
        expect((await Promise.all(later)).flat()).toEqual([])
        // Whoever claimed at all was seen: had none been under way, the pause would stand.
        expect(underWay).toBe(claimed)
        expect(await collect(store.intents({ state: 'sending' }))).toHaveLength(claimed)
      })

      test('a connection is in one pause at a time; another one does not end it', async () => {
        expect(await Promise.all([begin('a1'), begin('a2')])).toContain(false)
        const id = (await state())?.pause?.id as string
        const other = id === 'a1' ? 'a2' : 'a1'
        expect(await store.settlePause('crm', other, NOW)).toBeNull()
        expect(await store.endPause('crm', other)).toBeNull()
        expect(await store.endPause('crm', id)).toBe(0)
        expect(await state()).toMatchObject({ pause: null })
        expect(await store.endPause('crm', id)).toBeNull()
        expect(await begin('a3', 'nobody')).toBe(false)
      })

      test('it begins and ends with a new pass, so that what is on its way is heard anew', async () => {
        const pass = await store.startPass('crm')
        await begin()
        expect(await state()).toMatchObject({ pass })
        await store.settlePause('crm', 'a1', NOW)
        expect(await state()).toMatchObject({ pass: pass + 1, chunk: 0 })
        expect(await store.commit({ feed: { connection: 'crm', pass, chunk: 1, last: true, now_ms: NOW } })).toEqual({
          kind: 'stale',
        })
        await store.endPause('crm', 'a1')
        expect(await state()).toMatchObject({ pass: pass + 2, chunk: 0 })
      })

      test('the baseline is what the records were when it was acknowledged, and goes with the pause', async () => {
        await write(store, {
          people: [person('p1')],
          links: [link('r2', { personId: 'p1', state: 'linked' }), link('r1')],
        })
        await begin()
        expect(await collect(store.baseline('crm'))).toEqual([])
        await store.settlePause('crm', 'a1', NOW)
        const [known] = (await store.loadRecords('crm', ['r2'])).links
        await write(store, { links: [{ ...(known as Link), fields: { given: 'Else' } }] })
        const baseline = await collect(store.baseline('crm'))
        expect(baseline.map(({ recordId }) => recordId)).toEqual(['r1', 'r2'])
        const { recordId, personId, state: was, fields, rev, rewrites } = known as Link
        expect(baseline[1]).toEqual({ recordId, personId, state: was, fields, rev, rewrites })
        await store.endPause('crm', 'a1')
        expect(await collect(store.baseline('crm'))).toEqual([])
      })

      test('what is kept comes back whole, in the order of hearing, and holds the pause open', async () => {
        await begin()
        await store.settlePause('crm', 'a1', NOW)
        const merged = heard('r3', { record: null, end: { kind: 'merged', into: 'r1' } })
        await write(store, { keep: [heard('r1')] })
        await write(store, { keep: [heard('r2', { end: { kind: 'gone' } }), { ...heard('x'), connection: 'desk' }] })
        await write(store, { keep: [merged] })
        const kept = await keptOf()
        expect(kept.map(({ mark: _mark, ...rest }) => rest)).toEqual(
          [heard('r1'), heard('r2', { end: { kind: 'gone' } }), merged].map(({ mark: _mark, ...rest }) => rest),
        )
        expect(await keptOf('crm', ['r3', 'nobody'])).toMatchObject([{ recordId: 'r3' }])
        expect(await store.keptCount('crm')).toBe(3)
        expect(await store.endPause('crm', 'a1')).toBe(3)
        await write(store, { keep: [{ ...(kept[0] as Kept), heard_ms: NOW + 1 }] })
        expect((await keptOf()).map(({ recordId }) => recordId)).toEqual(['r2', 'r3', 'r1'])
        await write(store, { unkeep: await keptOf() })
        expect(await store.endPause('crm', 'a1')).toBe(0)
        expect(await keptOf('desk')).toHaveLength(1)
      })

      test('what was heard anew meanwhile is neither overwritten nor decided, and takes the rest of its commit back', async () => {
        await write(store, { keep: [heard('r1'), heard('r2')] })
        const [before, other] = (await keptOf()) as [Kept, Kept]
        await write(store, { keep: [{ ...before, heard_ms: NOW + 1 }] })
        const losers: Commit[] = [
          { keep: [before], people: [person('p1')] },
          { unkeep: [before, other], people: [person('p1')] },
          { keep: [heard('r1')], people: [person('p1')] },
        ]
        for (const commit of losers) expect(await store.commit(commit)).toEqual({ kind: 'lost' })
        expect(await store.keptCount('crm')).toBe(2)
        expect((await store.loadPeople(['p1'])).people).toEqual([])
        const racers = Array.from({ length: 6 }, () => store.commit({ unkeep: [other] }))
        const kinds = (await Promise.all(racers)).map(({ kind }) => kind)
        expect(kinds.filter((kind) => kind === 'committed')).toHaveLength(1)
      })

      test('what was decided under a pause is lost when that is over, and what was decided without one when it begins', async () => {
        const under = (id: string | null): Commit => ({ under: { connection: 'crm', pause: id }, unplanned: ['p1'] })
        expect(await store.commit(under(null))).toEqual({ kind: 'committed' })
        await begin()
        // Not acknowledged yet: what is heard is heard as ever.
        expect(await store.commit(under(null))).toEqual({ kind: 'committed' })
        expect(await store.commit(under('a1'))).toEqual({ kind: 'lost' })
        await store.settlePause('crm', 'a1', NOW)
        expect(await store.commit(under(null))).toEqual({ kind: 'lost' })
        expect(await store.commit(under('a1'))).toEqual({ kind: 'committed' })
        await store.endPause('crm', 'a1')
        expect(await store.commit(under('a1'))).toEqual({ kind: 'lost' })
      })
    })

    describe('the feed', () => {
      const step = (more: Partial<FeedStep> = {}): FeedStep => {
        return { connection: 'crm', pass: 1, chunk: 1, last: false, now_ms: NOW, ...more }
      }
      const state = async () => (await store.connections())[0]
      beforeEach(async () => {
        await store.ensureConnections([{ name: 'crm', app: 'csv', mode: 'live' }])
      })

      test('chunks are applied in their order, and the cursor moves with them', async () => {
        expect(await store.startPass('crm')).toBe(1)
        expect(await store.commit({ feed: step({ chunk: 2 }) })).toEqual({ kind: 'early' })
        expect(await store.commit({ feed: step({ cursor: { token: 't1' } }) })).toEqual({ kind: 'committed' })
        expect(await state()).toMatchObject({ chunk: 1, cursor: { token: 't1' }, scanned: false, lastRead_ms: null })
        expect(await store.commit({ feed: step() })).toEqual({ kind: 'stale' })
        expect(await store.commit({ feed: step({ chunk: 3 }) })).toEqual({ kind: 'early' })
        expect(await store.commit({ feed: step({ chunk: 2 }) })).toEqual({ kind: 'committed' })
        expect(await state()).toMatchObject({ chunk: 2, cursor: { token: 't1' } })
      })

      test('the last chunk ends the pass: scanned, read with these fields, its time kept, the failure gone', async () => {
        await store.startPass('crm')
        await store.saveConnection('crm', { failure: REFUSED })
        await write(store, { feed: step({ last: true, readWith: 'a\nb' }) })
        expect(await state()).toMatchObject({ scanned: true, lastRead_ms: NOW, failure: null, readWith: 'a\nb' })
        await store.startPass('crm')
        await write(store, { feed: step({ pass: 2, last: true, now_ms: NOW + 1 }) })
        expect(await state()).toMatchObject({
          pass: 2,
          chunk: 1,
          readWith: 'a\nb',
          lastRead_ms: NOW + 1,
          scanned: true,
        })
      })

      test('a new pass makes the chunks of older ones stale, a pass not begun is early', async () => {
        await store.startPass('crm')
        await write(store, { feed: step() })
        expect(await store.startPass('crm')).toBe(2)
        expect(await store.commit({ feed: step({ chunk: 2 }) })).toEqual({ kind: 'stale' })
        expect(await store.commit({ feed: step({ pass: 3 }) })).toEqual({ kind: 'early' })
        expect(await store.commit({ feed: step({ pass: 2 }) })).toEqual({ kind: 'committed' })
        expect(await store.commit({ feed: step({ connection: 'nobody' }) })).toEqual({ kind: 'stale' })
      })

      test('a cursor that is reset is gone, one set to null too', async () => {
        await store.startPass('crm')
        await write(store, { feed: step({ cursor: 'c1' }) })
        await store.resetCursor('crm')
        expect(await state()).toMatchObject({ cursor: null, pass: 1, chunk: 1 })
        await write(store, { feed: step({ chunk: 2, cursor: [1] }) })
        await write(store, { feed: step({ chunk: 3, cursor: null }) })
        expect(await state()).toMatchObject({ cursor: null })
      })

      test('a stale or early chunk writes nothing at all', async () => {
        await store.startPass('crm')
        await write(store, { feed: step() })
        const before = await everything(store, ['p1'])
        for (const chunk of [1, 3]) {
          const commit = {
            feed: step({ chunk, cursor: 'x' }),
            people: [person('p1')],
            links: [link('1')],
            unplanned: ['p1'],
          }
          expect((await store.commit(commit)).kind).not.toBe('committed')
        }
        expect(await everything(store, ['p1'])).toEqual(before)
      })

      test('of two workers that apply one chunk at once, one commits and the other is told that it is stale', async () => {
        await store.startPass('crm')
        const results = await Promise.all(
          [1, 2, 3, 4].map((n) => store.commit({ feed: step(), changes: [change({ personId: `p${n}` })] })),
        )
        expect(results.map((result) => result.kind).sort()).toEqual(['committed', 'stale', 'stale', 'stale'])
        expect(await store.log({ limit: 10 })).toHaveLength(1)
      })
    })

    describe('people and links', () => {
      test('what was written is read back, whole, one version on', async () => {
        const ada = person('p1', { mergedInto: 'p2', state: 'merged' })
        const flips = { before: 'Eva', count: 3, since_ms: NOW }
        const back: Person = {
          ...ada,
          cells: { ...ada.cells, title: { value: 'Dr', stamp: { at: NOW, by: 'a' }, rule: 'act', flips } },
        }
        const whole = link('1', {
          personId: 'p1',
          state: 'ambiguous',
          modified_ms: NOW,
          fieldTimes_ms: { first: NOW - 1 },
          base_ms: { '*': 1, 'name.given': NOW },
          rewrites: { first: { sent: 'ADA', got: 'Ada' } },
          keys: ['email:ada@example.org', 'phone:+49301'],
          candidates: ['p1', 'p3'],
          reason: 'two people have this address',
          failure: REFUSED,
          recheck: true,
        })
        await write(store, { people: [back], links: [whole, link('2', { rev: null, keys: [], fields: {} })] })
        const hood = await store.loadRecords('crm', ['1', '2', '3'])
        expect(hood.people).toEqual([{ ...back, version: 1 }])
        expect(byRecord(hood.links)).toEqual([
          { ...whole, version: 1 },
          { ...link('2', { rev: null, keys: [], fields: {} }), version: 1 },
        ])
      })

      test('an update replaces everything: what is left out is gone', async () => {
        await write(store, {
          people: [person('p1', { state: 'merged', mergedInto: 'p2' })],
          links: [link('1', { modified_ms: 5, reason: 'x', candidates: ['p1'], failure: REFUSED })],
        })
        await write(store, {
          people: [person('p1', { version: 1 })],
          links: [link('1', { version: 1, personId: 'p1' })],
        })
        const hood = await store.loadPeople(['p1'])
        expect(hood.people).toEqual([person('p1', { version: 2 })])
        expect(hood.links).toEqual([link('1', { version: 2, personId: 'p1' })])
      })

      test('JSON comes back with its keys in the order they were written in', async () => {
        const fields = { zebra: 1, a: { y: 1.5, b: [true, null, ''] }, '10': -3, '': 'empty key' }
        await write(store, { links: [link('1', { fields })] })
        const [read] = (await store.loadRecords('crm', ['1'])).links
        expect(JSON.stringify(read?.fields)).toBe(JSON.stringify(fields))
      })

      test.each([
        ['a new person whose id is taken', { people: [person('p1')] }],
        ['a person who has moved on', { people: [person('p1', { version: 1 })] }],
        ['a person who is not there', { people: [person('p9', { version: 1 })] }],
        ['a new link whose record has one', { links: [link('1')] }],
        ['a link that has moved on', { links: [link('1', { version: 1 })] }],
        ['a link that is not there', { links: [link('9', { version: 1 })] }],
        ['a matching round that is over', { matchRound: 0 }],
      ])('a commit that names %s is lost, and nothing of it is written (I9)', async (_, losing) => {
        await store.ensureConnections([{ name: 'crm', app: 'csv', mode: 'live' }])
        await store.startPass('crm')
        await write(store, { people: [person('p1')], links: [link('1')], intents: [intent('i1', { personId: 'p1' })] })
        await write(store, {
          people: [person('p1', { version: 1 })],
          links: [link('1', { version: 1 })],
          matchRound: 0,
        })
        await write(store, { intents: [intent('i2', { personId: 'p2', planned_ms: 1 })], unplanned: ['p7'] })
        expect(await store.claim('crm', 1, NOW, LEASE_END)).toHaveLength(1)
        const before = await everything(store, ['p1', 'p2', 'p8'])
        const result = await store.commit({
          feed: { connection: 'crm', pass: 1, chunk: 1, cursor: 'c', last: true, now_ms: NOW },
          changes: [change({ personId: 'p1' })],
          conflicts: [conflict({ personId: 'p1' })],
          withdrawn: [{ personId: 'p1', connection: 'crm' }],
          intents: [intent('i3', { personId: 'p8' })],
          settlements: [{ intentId: 'i2', state: 'done', now_ms: NOW }],
          unplanned: ['p1'],
          planned: [{ personId: 'p7', mark: 1 }],
          tallies: [tally('created', 1, NOW)],
          ...losing,
          people: [person('p8'), ...('people' in losing ? losing.people : [])],
          links: [link('8'), ...('links' in losing ? losing.links : [])],
        })
        expect(result).toEqual({ kind: 'lost' })
        expect(await everything(store, ['p1', 'p2', 'p8'])).toEqual(before)
      })

      test('of many workers that write one person at once, one wins each round', async () => {
        await write(store, { people: [person('p1'), person('p2')] })
        for (let version = 1; version <= 5; version++) {
          const results = await Promise.all(
            [0, 1, 2, 3].map((worker) => {
              const both = [person('p1', { version }), person('p2', { version })]
              const people = worker % 2 === 0 ? both : both.reverse()
              return store.commit({ people, changes: [change({ personId: `w${worker}` })] })
            }),
          )
          expect(results.filter((result) => result.kind === 'committed')).toHaveLength(1)
          expect(results.filter((result) => result.kind === 'lost')).toHaveLength(3)
        }
        expect(await store.log({ limit: 100 })).toHaveLength(5)
      })

      test('of many workers that create one person and link at once, one wins (I4)', async () => {
        const results = await Promise.all(
          [1, 2, 3, 4, 5, 6].map((n) =>
            store.commit({ people: [person(`p${n}`)], links: [link('1', { personId: `p${n}` })] }),
          ),
        )
        expect(results.filter((result) => result.kind === 'committed')).toHaveLength(1)
        expect(await store.searchPeople('', 10)).toHaveLength(1)
      })

      test('a commit of nothing is committed', async () => {
        expect(await store.commit({})).toEqual({ kind: 'committed' })
        expect(await store.commit({ people: [], links: [], planned: [] })).toEqual({ kind: 'committed' })
      })

      test('what the caller does to its own list afterwards does not reach the store', async () => {
        const links = [link('1'), link('2')]
        const done = store.commit({ links })
        links.length = 0
        await done
        const hood = await store.loadRecords('crm', ['1', '2'])
        ;(hood.links as unknown[]).pop()
        expect((await store.loadRecords('crm', ['1', '2'])).links).toHaveLength(2)
      })
    })

    describe('neighbourhoods', () => {
      test('the links asked for bring their people, and these their other links, intents and conflicts', async () => {
        await live(store)
        await write(store, {
          people: [person('p1'), person('p2'), person('p3')],
          links: [
            link('1', { personId: 'p1', state: 'linked' }),
            link('2', { personId: 'p2', state: 'linked' }),
            link('a', { personId: 'p1', state: 'linked', connection: 'phones' }),
            link('b', { personId: 'p1', state: 'gone', connection: 'sheet' }),
            link('z', { personId: 'p3', state: 'linked' }),
            link('s'),
          ],
          intents: [
            intent('sent', { personId: 'p1', planned_ms: 1 }),
            intent('held', { personId: 'p1', connection: 'phones', state: 'held', held: 'approval' }),
            intent('other', { personId: 'p3', planned_ms: 9 }),
          ],
          conflicts: [conflict({ personId: 'p1' }), conflict({ personId: 'p3' })],
        })
        await store.claim('crm', 1, NOW, LEASE_END)
        await write(store, { intents: [intent('open', { personId: 'p1', failure: REFUSED })] })
        const hood = await store.loadRecords('crm', ['1', '2', 's', 'unknown', '1'])
        expect(hood.people.map((one) => one.id).sort()).toEqual(['p1', 'p2'])
        expect(byRecord(hood.links).map((one) => one.connection + one.recordId)).toEqual([
          'crm1',
          'crm2',
          'crms',
          'phonesa',
          'sheetb',
        ])
        expect(hood.intents.toSorted((a, b) => (a.id < b.id ? -1 : 1))).toEqual([
          intent('held', { personId: 'p1', connection: 'phones', state: 'held', held: 'approval' }),
          intent('open', { personId: 'p1', failure: REFUSED }),
          intent('sent', { personId: 'p1', planned_ms: 1, state: 'sending', attempts: 1 }),
        ])
        expect(hood.conflicts).toEqual([conflict({ personId: 'p1' })])
        expect(hood.suspected).toEqual(new Map())

        const people = await store.loadPeople(['p1', 'p2', 'nobody', 'p1'])
        expect(byRecord(people.links)).toEqual(byRecord(hood.links).filter((one) => one.personId !== null))
        expect(people.people.map((one) => one.id).sort()).toEqual(['p1', 'p2'])
        expect(people.intents).toHaveLength(3)
      })

      test('a person is suspected where a staged record shares a key, or an ambiguous one names it (I4)', async () => {
        await write(store, {
          people: [person('p1'), person('p2')],
          links: [
            link('1', { personId: 'p1', state: 'linked', keys: ['email:a', 'phone:1'] }),
            link('2', { personId: 'p2', state: 'linked', keys: ['email:b'] }),
            link('3', { connection: 'phones', keys: ['phone:1', 'email:x'] }),
            link('4', { connection: 'sheet', state: 'ambiguous', candidates: ['p1', 'p9'], keys: ['email:b'] }),
            link('5', { connection: 'desk', state: 'gone', keys: ['email:a'] }),
          ],
        })
        const { suspected } = await store.loadRecords('crm', ['1', '2'])
        expect(suspected).toEqual(new Map([['p1', new Set(['phones', 'sheet'])]]))
        await write(store, {
          links: [
            link('3', { connection: 'phones', keys: ['phone:1'], version: 1, personId: 'p2', state: 'linked' }),
            link('4', { connection: 'sheet', version: 1, state: 'gone', candidates: ['p1'] }),
          ],
        })
        expect((await store.loadPeople(['p1', 'p2'])).suspected).toEqual(new Map())
      })

      test('nothing asked, nothing told', async () => {
        const nothing = { people: [], links: [], intents: [], conflicts: [], suspected: new Map() }
        expect(await store.loadRecords('crm', [])).toEqual(nothing)
        expect(await store.loadRecords('crm', ['1'])).toEqual(nothing)
        expect(await store.loadPeople([])).toEqual(nothing)
        expect(await store.known('crm', [])).toEqual(new Map())
        expect(await store.keyHolders([])).toEqual([])
      })

      test('known tells revision, state and whether the record can be read', async () => {
        await write(store, {
          links: [link('1'), link('2', { rev: null, state: 'gone' }), link('3', { failure: REFUSED })],
        })
        expect(await store.known('crm', ['1', '2', '3', '4'])).toEqual(
          new Map([
            ['1', { rev: 'r1', state: 'staged', broken: false }],
            ['2', { rev: null, state: 'gone', broken: false }],
            ['3', { rev: 'r1', state: 'staged', broken: true }],
          ]),
        )
        expect(await store.known('phones', ['1'])).toEqual(new Map())
      })

      test('key holders are all records with one of the keys, gone ones left out', async () => {
        await write(store, {
          links: [
            link('1', { keys: ['email:a', 'email:b'], personId: 'p1', state: 'linked' }),
            link('2', { keys: ['email:b'] }),
            link('3', { keys: ['email:b'], state: 'gone' }),
            link('4', { keys: ['email:c'] }),
          ],
        })
        const holder = { connection: 'crm', personId: null, state: 'staged' }
        expect(await store.keyHolders(['email:b', 'email:a', 'email:zzz'])).toEqual([
          { ...holder, key: 'email:a', recordId: '1', personId: 'p1', state: 'linked' },
          { ...holder, key: 'email:b', recordId: '1', personId: 'p1', state: 'linked' },
          { ...holder, key: 'email:b', recordId: '2' },
        ])
        await write(store, { links: [link('2', { keys: ['email:d'], version: 1 })] })
        expect((await store.keyHolders(['email:b', 'email:d'])).map((one) => one.key + one.recordId)).toEqual([
          'email:b1',
          'email:d2',
        ])
      })
    })

    describe('matching and planning', () => {
      test('staged links come in the order of connection and record, from a given one on', async () => {
        await write(store, {
          links: [
            link('b'),
            link('a'),
            link('B'),
            link('a', { connection: 'apple' }),
            link('x', { state: 'linked' }),
            link('\u{1F600}'),
            link('\uFF21'),
          ],
        })
        const { links, round } = await store.staged(10)
        const names = (all: typeof links) => all.map((one) => `${one.connection}/${one.recordId}`)
        // By code point: the emoji after the fullwidth letter.
        expect(names(links)).toEqual(['apple/a', 'crm/B', 'crm/a', 'crm/b', 'crm/\uFF21', 'crm/\u{1F600}'])
        expect(round).toBe(0)
        expect(names((await store.staged(2, links[1])).links)).toEqual(['crm/a', 'crm/b'])
        expect(links[2]).toEqual(link('a', { version: 1 }))
      })

      test('of many workers that match in one round, one wins', async () => {
        for (let round = 0; round < 3; round++) {
          expect((await store.staged(1)).round).toBe(round)
          const results = await Promise.all(
            [1, 2, 3, 4].map((n) => store.commit({ matchRound: round, people: [person(`r${round}w${n}`)] })),
          )
          expect(results.map((result) => result.kind).sort()).toEqual(['committed', 'lost', 'lost', 'lost'])
        }
        expect(await store.searchPeople('', 100)).toHaveLength(3)
      })

      test('a flag for planning stays until the plan is made; writing a person raises none', async () => {
        await write(store, { people: [person('p1'), person('p2'), person('p3')] })
        expect(await store.unplanned(10)).toEqual([])
        await write(store, { unplanned: ['p3', 'p1', 'p3'] })
        await write(store, { unplanned: ['p1', 'p2'] })
        const flags = await store.unplanned(2)
        expect(flags.map((flag) => flag.personId)).toEqual(['p1', 'p2'])
        await write(store, { planned: [...flags, { personId: 'p9', mark: 1 }] })
        const [third] = await store.unplanned(10)
        expect(third?.personId).toBe('p3')
        await write(store, { planned: [third as Unplanned], unplanned: ['p3'] })
        expect((await store.unplanned(10)).map((flag) => flag.personId)).toEqual(['p3'])
        await write(store, { planned: [third as Unplanned] })
        expect((await store.unplanned(10)).map((flag) => flag.personId)).toEqual(['p3'])
        expect(await store.replanAll()).toBe(3)
        expect((await store.unplanned(10)).map((flag) => flag.personId)).toEqual(['p1', 'p2', 'p3'])
      })

      test('a person never comes to have two linked records in one connection (I4)', async () => {
        await write(store, { people: [person('p1')], links: [link('r1', { personId: 'p1', state: 'linked' })] })
        const second = link('r0', { personId: 'p1', state: 'linked' })
        expect(await store.commit({ links: [second] })).toEqual({ kind: 'lost' })
        const [first] = (await store.loadRecords('crm', ['r1'])).links
        const gone = { ...(first as Link), personId: null, state: 'gone' as const }
        expect(await store.commit({ links: [second, gone] })).toEqual({ kind: 'committed' })
      })

      test('a person with a write under way is not planned', async () => {
        await live(store)
        await write(store, { people: [person('p1')], intents: [intent('i1', { personId: 'p1' })], unplanned: ['p1'] })
        const [claimed] = await store.claim('crm', 1, NOW, NOW + 1)
        expect(await store.unplanned(10)).toEqual([])
        await write(store, { settlements: [{ intentId: claimed?.id ?? '', state: 'done', now_ms: NOW }] })
        expect(await store.unplanned(10)).toHaveLength(1)
      })

      test('a commit that rests on people it does not change is lost when one of them moved on', async () => {
        await write(store, { people: [person('p1')] })
        const [seen] = await store.searchPeople('', 1)
        await write(store, { people: [{ ...(seen as Person), version: 1 }] })
        expect(await store.commit({ seen: [{ id: 'p1', version: 1 }], unplanned: ['p1'] })).toEqual({ kind: 'lost' })
        expect(await store.unplanned(10)).toEqual([])
        expect(await store.commit({ seen: [{ id: 'p1', version: 2 }], unplanned: ['p1'] })).toEqual({
          kind: 'committed',
        })
      })

      test('a record is to be read again once no write to it or its person is under way', async () => {
        await live(store)
        await write(store, {
          links: [
            link('1', { recheck: true }),
            link('2', { recheck: true, personId: 'p2', state: 'linked' }),
            link('3', { recheck: true }),
            link('4'),
            link('2', { recheck: true, connection: 'phones', personId: 'p2', state: 'linked' }),
          ],
          intents: [
            intent('i1', { personId: 'p2', recordId: null, op: 'create' }),
            intent('i2', { personId: 'p3', recordId: '3' }),
            intent('i3', { personId: 'p1', recordId: '1', state: 'held' }),
          ],
        })
        expect(await store.rechecks(3)).toHaveLength(3)
        await store.claim('crm', 10, NOW, LEASE_END)
        const free = [
          { connection: 'crm', recordId: '1' },
          { connection: 'phones', recordId: '2' },
        ]
        expect(await store.rechecks(10)).toEqual(free)
        await write(store, { settlements: [{ intentId: 'i1', state: 'done', now_ms: NOW }] })
        expect(await store.rechecks(10)).toEqual([free[0], { connection: 'crm', recordId: '2' }, free[1]])
        await write(store, { links: [link('1', { version: 1 })] })
        expect(await store.rechecks(1)).toEqual([{ connection: 'crm', recordId: '2' }])
      })
    })

    describe('the outbox', () => {
      beforeEach(() => live(store))

      const open = () => collect(store.intents({}))
      const ids = (intents: readonly { id: string }[]) => intents.map((one) => one.id)
      const claim = (limit = 100, now_ms = NOW, connection = 'crm') => store.claim(connection, limit, now_ms, LEASE_END)

      test('a new plan takes the place of the one that is open for its person and connection, whatever its state', async () => {
        for (const state of ['held', 'pending', 'parked'] as const) {
          await write(store, {
            intents: [intent(`old-${state}`, { personId: 'p1', state, failure: REFUSED, attempts: 4 })],
          })
          await write(store, { intents: [intent(`new-${state}`, { personId: 'p1', op: 'delete', archive: true })] })
          expect(await open()).toEqual([intent(`new-${state}`, { personId: 'p1', op: 'delete', archive: true })])
        }
        await write(store, { intents: [intent('new-parked', { personId: 'p1', state: 'parked' })] })
        expect(await open()).toEqual([intent('new-parked', { personId: 'p1', state: 'parked' })])
        expect(await store.deliveries('p1', 10)).toEqual([])
      })

      test('a plan no longer wanted goes, one under way stays, and a new one in the same commit stands', async () => {
        await write(store, { intents: [intent('i1', { personId: 'p1' }), intent('i2', { personId: 'p2' })] })
        expect(await claim(1)).toHaveLength(1)
        const withdrawn = ['p1', 'p2', 'p3'].map((personId) => ({ personId, connection: 'crm' }))
        await write(store, { withdrawn, intents: [intent('i3', { personId: 'p3' })] })
        expect(ids(await open())).toEqual(['i3'])
        expect(ids(await collect(store.intents({ state: 'sending' })))).toEqual(['i1'])
      })

      test('a claim takes the oldest that are due, in their order, with one more attempt', async () => {
        await write(store, {
          intents: [
            intent('late', { planned_ms: 300 }),
            intent('b', { planned_ms: 100, attempts: 2 }),
            intent('a', { planned_ms: 100, op: 'delete' }),
            intent('first', { planned_ms: 50, op: 'create', recordId: null, rev: null }),
            intent('not-yet', { planned_ms: 1, notBefore_ms: NOW + 1 }),
            intent('held', { planned_ms: 1, state: 'held' }),
            intent('parked', { planned_ms: 1, state: 'parked' }),
            intent('elsewhere', { planned_ms: 1, connection: 'phones' }),
          ],
        })
        expect(await claim(3)).toEqual([
          intent('first', { planned_ms: 50, op: 'create', recordId: null, rev: null, state: 'sending', attempts: 1 }),
          intent('a', { planned_ms: 100, op: 'delete', state: 'sending', attempts: 1 }),
          intent('b', { planned_ms: 100, state: 'sending', attempts: 3 }),
        ])
        expect(ids(await claim())).toEqual(['late'])
        expect(await claim()).toEqual([])
        expect(ids(await claim(10, NOW + 1))).toEqual(['not-yet'])
      })

      test('nothing is claimed for a person who has a write under way in that connection (I6)', async () => {
        await write(store, { intents: [intent('i1', { personId: 'p1' })] })
        await claim()
        await write(store, {
          intents: [intent('i2', { personId: 'p1' }), intent('i3', { personId: 'p1', connection: 'phones' })],
        })
        expect(await claim()).toEqual([])
        expect(await store.due(NOW)).toEqual(['phones'])
        expect(ids(await claim(10, NOW, 'phones'))).toEqual(['i3'])
        await write(store, { settlements: [{ intentId: 'i1', state: 'done', now_ms: NOW }] })
        expect(await store.due(NOW)).toEqual(['crm'])
        expect(ids(await claim())).toEqual(['i2'])
      })

      test('workers that claim at once never share an intent, and together get them all', async () => {
        const all = Array.from({ length: 200 }, (_, n) => intent(`i${n}`, { personId: `p${n}`, planned_ms: n % 7 }))
        await write(store, { intents: all })
        const claimed: string[] = []
        const work = async () => {
          for (;;) {
            const mine = await claim(9)
            claimed.push(...ids(mine))
            // Empty only means that others hold the rest just now; what is due then is nothing.
            if (mine.length === 0 && !(await store.due(NOW)).includes('crm')) return
          }
        }
        await Promise.all([work(), work(), work(), work()])
        expect(claimed.length).toBe(200)
        expect(new Set(claimed).size).toBe(200)
      })

      test('a plan made while the old one is being claimed never leaves two to be sent (I6)', async () => {
        for (let round = 0; round < 10; round++) {
          const personId = `p${round}`
          await write(store, { intents: [intent(`old${round}`, { personId })] })
          const [claimed, result] = await Promise.all([
            claim(),
            store.commit({ intents: [intent(`new${round}`, { personId })] }),
          ])
          expect(result).toEqual({ kind: 'committed' })
          const again = await claim()
          const sent = [...ids(claimed), ...ids(again)]
          expect(sent).toHaveLength(1)
          const waiting = sent[0] === `old${round}` ? [`new${round}`] : []
          expect(ids(await collect(store.intents({ personId })))).toEqual(waiting)
        }
      })

      test('an intent that took the id of one under way is lost', async () => {
        await write(store, { intents: [intent('i1', { personId: 'p1' })] })
        await claim()
        expect(await store.commit({ intents: [intent('i1', { personId: 'p1', state: 'held' })] })).toEqual({
          kind: 'lost',
        })
        expect(await store.commit({ intents: [intent('i1', { personId: 'p2' })] })).toEqual({ kind: 'lost' })
        expect(await open()).toEqual([])
      })

      test('only open intents can be committed', async () => {
        for (const state of ['sending', 'done'] as const) {
          await expect(store.commit({ intents: [intent('i1', { state })] })).rejects.toThrow(RangeError)
        }
      })

      test('a release may stop at what was planned by a certain time', async () => {
        const held = { state: 'held' as const, held: 'approval' }
        await write(store, {
          intents: [
            intent('old', { ...held, planned_ms: 1 }),
            intent('new', { ...held, planned_ms: 2, personId: 'p2' }),
          ],
        })
        expect(await store.release({ plannedUntil_ms: 1 }, 'approval')).toBe(1)
        expect((await collect(store.intents({ state: 'held' }))).map(({ id }) => id)).toEqual(['new'])
      })

      test('leases can be let run out, in the connections named', async () => {
        await write(store, { intents: [intent('a'), intent('b', { personId: 'p2', connection: 'phones' })] })
        await store.claim('crm', 1, NOW, LEASE_END)
        await store.claim('phones', 1, NOW, LEASE_END)
        await store.expireLeases(['crm'])
        expect(await store.claimExpired('crm', 1, NOW, LEASE_END)).toHaveLength(1)
        expect(await store.claimExpired('phones', 1, NOW, LEASE_END)).toEqual([])
      })

      test('a lease that ran out is claimed anew; one that did not is left alone', async () => {
        await write(store, { intents: [intent('i1'), intent('i2'), intent('i3', { connection: 'phones' })] })
        await store.claim('crm', 1, NOW, NOW + 10)
        await store.claim('crm', 1, NOW, NOW + 20)
        await store.claim('phones', 1, NOW, NOW + 10)
        expect(await store.claimExpired('crm', 10, NOW + 9, LEASE_END)).toEqual([])
        expect(await store.due(NOW + 9)).toEqual([])
        expect(await store.due(NOW + 10)).toEqual(['crm', 'phones'])
        expect(await store.claimExpired('crm', 10, NOW + 10, LEASE_END)).toEqual([
          intent('i1', { state: 'sending', attempts: 2 }),
        ])
        expect(await store.claimExpired('crm', 10, NOW + 10, LEASE_END)).toEqual([])
        expect(ids(await store.claimExpired('crm', 1, LEASE_END, LEASE_END + 1))).toEqual(['i2'])
        expect(ids(await store.claimExpired('crm', 1, LEASE_END, LEASE_END + 1))).toEqual(['i1'])
      })

      test('two workers never find out about one lost answer at once', async () => {
        await write(store, { intents: Array.from({ length: 20 }, (_, n) => intent(`i${n}`)) })
        await store.claim('crm', 20, NOW, NOW)
        const found = await Promise.all([1, 2, 3].map(() => store.claimExpired('crm', 20, NOW, LEASE_END)))
        expect(found.flatMap(ids)).toHaveLength(20)
        expect(new Set(found.flatMap(ids)).size).toBe(20)
      })

      test('each settlement does what it says', async () => {
        const names = ['done', 'again', 'parked', 'held', 'brake', 'superseded']
        await write(store, { intents: names.map((name) => intent(name, { failure: REFUSED, released: true })) })
        await claim()
        const answer = { id: 'r9', rev: 'e2' }
        const lost: Failure = { kind: 'uncertain', message: 'no answer' }
        await write(store, {
          settlements: [
            { intentId: 'done', state: 'done', answer, now_ms: NOW },
            { intentId: 'again', state: 'pending', notBefore_ms: NOW + 5, failure: lost, now_ms: NOW },
            { intentId: 'parked', state: 'parked', failure: lost, now_ms: NOW },
            { intentId: 'held', state: 'held', now_ms: NOW },
            { intentId: 'brake', state: 'held', failure: lost, now_ms: NOW },
            { intentId: 'superseded', state: 'superseded', now_ms: NOW },
          ],
        })
        const base = { attempts: 1, released: true }
        expect(await open()).toEqual([
          intent('again', { ...base, failure: lost, notBefore_ms: NOW + 5 }),
          intent('brake', { ...base, state: 'held', held: 'no answer', failure: lost }),
          intent('held', { ...base, state: 'held', held: 'approval', failure: REFUSED }),
          intent('parked', { ...base, state: 'parked', failure: lost }),
        ])
        expect(await collect(store.intents({ state: 'sending' }))).toEqual([])
        expect(await store.deliveries('p-done', 10)).toEqual([
          { ...intent('done', { ...base, state: 'done' }), answer, settled_ms: NOW },
        ])
        expect(await store.deliveries('p-superseded', 10)).toEqual([])
      })

      test('a settlement of what is not under way any more changes nothing', async () => {
        await write(store, { intents: [intent('i1'), intent('i2', { state: 'parked' })] })
        const settlements = ['i1', 'i2', 'i3'].map((intentId) => ({ intentId, state: 'done' as const, now_ms: NOW }))
        await write(store, { settlements })
        expect(ids(await open())).toEqual(['i1', 'i2'])
        await claim()
        await write(store, { settlements })
        await write(store, { settlements: [{ intentId: 'i1', state: 'pending', now_ms: NOW }] })
        expect(ids(await open())).toEqual(['i2'])
        expect(await store.deliveries('p-i1', 10)).toHaveLength(1)
      })

      test.each(['pending', 'parked', 'held'] as const)(
        'one settled as %s gives way to a newer plan',
        async (state) => {
          await write(store, {
            intents: [intent('before', { personId: 'p1' }), intent('together', { personId: 'p2' })],
          })
          await claim()
          await write(store, { intents: [intent('new1', { personId: 'p1' })] })
          await write(store, {
            intents: [intent('new2', { personId: 'p2' })],
            settlements: ['before', 'together'].map((intentId) => ({ intentId, state, now_ms: NOW })),
          })
          expect(ids(await open())).toEqual(['new1', 'new2'])
          expect(await store.deliveries('p1', 10)).toEqual([])
          expect(ids(await claim())).toEqual(['new1', 'new2'])
        },
      )

      test('one that was done is kept although a newer plan waits; the newest delivery comes first', async () => {
        for (const n of [1, 2, 3]) {
          await write(store, { intents: [intent(`i${n}`, { personId: 'p1' })] })
          await claim()
          await write(store, {
            intents: [intent(`i${n + 1}`, { personId: 'p1' })],
            settlements: [{ intentId: `i${n}`, state: 'done', now_ms: NOW + n }],
          })
        }
        expect(ids(await store.deliveries('p1', 2))).toEqual(['i3', 'i2'])
        expect((await store.deliveries('p1', 1))[0]).toMatchObject({ answer: null, state: 'done', settled_ms: NOW + 3 })
        expect(ids(await open())).toEqual(['i4'])
      })

      test('of two settlements at once for one intent, one counts', async () => {
        await write(store, { intents: [intent('i1', { personId: 'p1' })] })
        await claim()
        await Promise.all(
          [1, 2, 3].map((n) => store.commit({ settlements: [{ intentId: 'i1', state: 'done', now_ms: NOW + n }] })),
        )
        expect(await store.deliveries('p1', 10)).toHaveLength(1)
      })

      test('a brake holds what is pending and not released; a release lets it go for good', async () => {
        await write(store, {
          intents: [
            intent('c1', { op: 'create' }),
            intent('c2', { op: 'create', released: true }),
            intent('u1'),
            intent('u2', { state: 'parked' }),
            intent('d1', { op: 'delete', connection: 'phones' }),
            intent('h1', { state: 'held', held: 'approval' }),
          ],
        })
        expect(await store.hold({ connection: 'crm', op: 'create' }, 'too many creates')).toBe(1)
        expect(await store.hold({ connection: 'crm', op: 'create' }, 'too many creates')).toBe(0)
        expect(await store.hold({ state: 'parked' }, 'nothing')).toBe(0)
        expect(ids(await claim())).toEqual(['c2', 'u1'])
        expect(await store.release({}, 'too many deletes')).toBe(0)
        expect(await store.release({ connection: 'crm' }, 'too many creates')).toBe(1)
        expect(await collect(store.intents({ op: 'create' }))).toEqual([intent('c1', { op: 'create', released: true })])
        expect(await store.hold({ connection: 'crm' }, 'too many creates')).toBe(0)
        expect(await store.hold({}, 'x')).toBe(1)
        expect(await store.release({})).toBe(2)
        expect((await open()).map((one) => [one.id, one.state, one.released])).toEqual([
          ['c1', 'pending', true],
          ['h1', 'pending', true],
          ['u2', 'parked', false],
          ['d1', 'pending', true],
        ])
      })

      test('parked ones are tried again now, or given up', async () => {
        const parked = { state: 'parked', failure: REFUSED, attempts: 7, notBefore_ms: NOW + 99 } as const
        await write(store, { intents: [intent('i1', parked), intent('i2', parked), intent('i3', { state: 'held' })] })
        expect(await store.retryParked({ personId: 'p-i1' })).toBe(1)
        expect(await claim()).toEqual([intent('i1', { state: 'sending', failure: REFUSED, attempts: 1 })])
        expect(await store.dropParked({})).toBe(1)
        expect(await store.dropParked({})).toBe(0)
        expect(await store.retryParked({})).toBe(0)
        expect(ids(await open())).toEqual(['i3'])
      })

      test('intents come in the order of connection and plan, by any filter', async () => {
        await live(store, ['a', 'z'])
        await write(store, {
          intents: [
            intent('i1', { planned_ms: 3, state: 'held' }),
            intent('i2', { planned_ms: 2 }),
            intent('i3', { planned_ms: 1, state: 'parked', op: 'create' }),
            intent('i4', { planned_ms: 9, connection: 'a', personId: 'p-i1' }),
            intent('i5', { planned_ms: 1, connection: 'z' }),
          ],
        })
        await claim(10, NOW, 'z')
        const found = async (filter: Parameters<Store['intents']>[0]) => ids(await collect(store.intents(filter)))
        expect(await found({})).toEqual(['i4', 'i3', 'i2', 'i1'])
        expect(await found({ connection: 'crm' })).toEqual(['i3', 'i2', 'i1'])
        expect(await found({ personId: 'p-i1' })).toEqual(['i4', 'i1'])
        expect(await found({ state: 'held' })).toEqual(['i1'])
        expect(await found({ state: 'sending' })).toEqual(['i5'])
        expect(await found({ state: 'done' })).toEqual([])
        expect(await found({ op: 'create', connection: 'crm', state: 'parked' })).toEqual(['i3'])
        const after = async (connection: string, planned_ms: number, id: string, filter = {}) =>
          ids(await collect(store.intents(filter, { connection, planned_ms, id })))
        expect(await after('a', 9, 'i4')).toEqual(['i3', 'i2', 'i1'])
        expect(await after('crm', 1, 'i3')).toEqual(['i2', 'i1'])
        // One that is not there any more still names its place.
        expect(await after('b', 1, 'i0')).toEqual(['i3', 'i2', 'i1'])
        expect(await after('crm', 1, 'i3', { state: 'held' })).toEqual(['i1'])
        expect(await after('crm', 3, 'i1')).toEqual([])
        expect(await after('crm', 1, 'i3', { connection: 'a' })).toEqual([])
      })
    })

    describe('counts', () => {
      test('the brakes see pending intents not released, the tallies of the window, and the records', async () => {
        await write(store, {
          links: [
            link('1'),
            link('2', { state: 'linked' }),
            link('3', { state: 'ambiguous' }),
            link('4', { state: 'missing' }),
            link('5', { state: 'gone' }),
            link('6', { state: 'unreadable' }),
            link('7', { connection: 'phones' }),
          ],
          intents: [
            intent('c1', { op: 'create' }),
            intent('c2', { op: 'create' }),
            intent('u1', { planned_ms: 1 }),
            intent('u2', { released: true }),
            intent('d1', { op: 'delete', state: 'held' }),
            intent('d2', { op: 'delete', connection: 'phones' }),
          ],
          tallies: [
            tally('created', 1, NOW),
            tally('created', 2, NOW + 1),
            tally('created', 4, NOW - 3_600_000),
            tally('field:note', 8, NOW),
            tally('created', 16, NOW, 'phones'),
          ],
        })
        await write(store, { tallies: [tally('created', 32, NOW)] })
        const seen = {
          pending: { create: 2, update: 1, delete: 0 },
          tallied: { created: 35, 'field:note': 8 },
          records: 4,
        }
        expect(await store.brakeCounts('crm', NOW - 60_000)).toEqual(seen)
        expect((await store.brakeCounts('crm', 0)).tallied).toEqual({ created: 39, 'field:note': 8 })

        await store.claim('crm', 1, NOW, LEASE_END)
        await store.hold({ connection: 'crm', op: 'create', personId: 'p-c1' }, 'x')
        await write(store, {
          links: [link('1', { version: 1, state: 'gone' }), link('6', { version: 1 }), link('2', { version: 1 })],
          withdrawn: [{ personId: 'p-c2', connection: 'crm' }],
          intents: [
            intent('d3', { op: 'delete', personId: 'p-c1' }),
            intent('u9', { released: true, personId: 'p-d1' }),
          ],
          settlements: [{ intentId: 'u1', state: 'pending', now_ms: NOW }],
        })
        const now = await store.brakeCounts('crm', NOW)
        expect(now).toMatchObject({ pending: { create: 0, update: 1, delete: 1 }, records: 4 })
        expect(await store.brakeCounts('nobody', 0)).toEqual({
          pending: { create: 0, update: 0, delete: 0 },
          tallied: {},
          records: 0,
        })
      })

      test('the brakes see the same however often things moved, and by how many at once', async () => {
        for (let n = 0; n < 60; n++) {
          await Promise.all(
            ['a', 'b', 'c', 'd'].map((who) =>
              write(store, { links: [link(`${who}${n}`)], intents: [intent(`${who}${n}`, { personId: who })] }),
            ),
          )
          if (n % 20 === 19) await Promise.all([1, 2, 3].map(() => store.brakeCounts('crm', 0)))
        }
        for (let again = 0; again < 2; again++) {
          expect(await store.brakeCounts('crm', 0)).toEqual({
            pending: { create: 0, update: 4, delete: 0 },
            tallied: {},
            records: 240,
          })
        }
      })

      test('every connection is counted, by the states of its links and intents', async () => {
        await store.ensureConnections([
          { name: 'crm', app: 'csv', mode: 'live' },
          { name: 'empty', app: 'csv', mode: 'live' },
        ])
        await write(store, {
          links: [
            link('1'),
            link('2', { state: 'linked', failure: REFUSED }),
            link('3', { state: 'gone', failure: REFUSED }),
            link('4', { state: 'unreadable', failure: REFUSED }),
            link('5', { state: 'missing' }),
            link('6', { state: 'ambiguous' }),
          ],
          intents: [
            intent('i1'),
            intent('i2', { planned_ms: 0 }),
            intent('i3', { state: 'held' }),
            intent('i4', { state: 'parked' }),
          ],
        })
        await store.claim('crm', 1, NOW, LEASE_END)
        const none = { linked: 0, staged: 0, ambiguous: 0, second: 0, erased: 0, missing: 0, broken: 0 }
        expect(await store.counts()).toEqual(
          new Map([
            [
              'crm',
              {
                ...none,
                linked: 1,
                staged: 1,
                ambiguous: 1,
                missing: 1,
                broken: 2,
                pending: 1,
                sending: 1,
                held: 1,
                parked: 1,
              },
            ],
            ['empty', { ...none, pending: 0, sending: 0, held: 0, parked: 0 }],
          ]),
        )
      })
    })

    describe('health', () => {
      test('is counted by the order of countedCause, every place once, whatever is open about it', async () => {
        const modes = { live: 'live', watch: 'observe', off: 'paused' } as const
        await store.ensureConnections(Object.entries(modes).map(([name, mode]) => ({ name, app: 'memory', mode })))
        await store.saveConnection('watch', { failure: REFUSED })
        const states: LinkState[] = [
          'linked',
          'staged',
          'ambiguous',
          'second',
          'missing',
          'unreadable',
          'gone',
          'erased',
        ]
        const opens = [
          null,
          'approval',
          'brake: x',
          'standard: y',
          DUPLICATE,
          'parked',
          'pending',
          'retry',
          'sending',
        ] as const
        const expected = new Map(Object.keys(modes).map((name) => [name, {} as { [cause: string]: number }]))
        const commit = {
          people: [] as Person[],
          links: [] as Link[],
          intents: [] as Intent[],
          conflicts: [] as Conflict[],
        }
        const unplanned: string[] = []
        const live: string[] = []
        const claimed: string[] = []
        let number = 0
        for (const connection of Object.keys(modes)) {
          for (const state of [...states, null]) {
            for (const open of opens) {
              for (const extra of ['', 'recheck', 'unplanned', 'conflict', 'broken', 'deleted'] as const) {
                // What waits under way is claimed by the store itself, which claims in a live connection only.
                if (open === 'sending' && (connection !== 'live' || state !== 'linked')) continue
                const id = `p${String(++number).padStart(4, '0')}`
                const own = state !== 'staged' && state !== 'ambiguous' && state !== 'unreadable' && state !== 'erased'
                const gone = extra === 'deleted'
                commit.people.push(person(id, { state: gone ? 'deleted' : 'live' }))
                if (!gone) live.push(id)
                const broken = extra === 'broken'
                const held = open?.includes(':') || open === 'approval' ? open : null
                const reason = state === 'ambiguous' && number % 2 === 0 ? `${SECOND_RECORD}, twice` : 'why'
                const recheck = extra === 'recheck'
                if (state !== null) {
                  const more = { connection, state, reason, recheck, personId: own ? id : null }
                  commit.links.push(link(id, { ...more, ...(broken ? { failure: REFUSED } : {}) }))
                }
                if (open === 'sending') claimed.push(id)
                const at = open === 'parked' ? 'parked' : held === null ? 'pending' : 'held'
                const attempts = open === 'retry' ? 2 : 0
                if (open !== null) {
                  const more = { connection, personId: id, recordId: id, state: at, attempts } as const
                  commit.intents.push(
                    intent(id, { ...more, ...(held === null ? {} : { held }), urgent: open === 'sending' }),
                  )
                }
                if (extra === 'unplanned') unplanned.push(id)
                const asked = extra === 'conflict'
                if (asked) commit.conflicts.push(conflict({ personId: id, connection, recordId: id }))
                const tell = (there: boolean, whose: boolean): void => {
                  const cause = countedCause({
                    link: there && state !== null ? { state, reason, recheck, broken } : null,
                    intent: open === null || open === 'sending' || !whose ? null : { state: at, attempts, held },
                    sending: open === 'sending' && whose,
                    person: whose ? (gone ? 'deleted' : 'live') : null,
                    unplanned: whose && extra === 'unplanned',
                    conflict: whose && asked,
                    connection: {
                      mode: modes[connection as keyof typeof modes],
                      paused: false,
                      failing: connection === 'watch',
                    },
                  })
                  const counts = expected.get(connection) as { [cause: string]: number }
                  counts[cause] = (counts[cause] ?? 0) + 1
                }
                const there = state !== null && state !== 'gone'
                if (there) tell(true, own)
                if (!gone && !(there && own)) tell(false, true)
                // Everybody who lives is at a place in the other connections, too.
                if (gone) continue
                for (const other of Object.keys(modes)) {
                  if (other === connection) continue
                  const counts = expected.get(other) as { [cause: string]: number }
                  const rest = other === 'off' ? 'paused' : extra === 'unplanned' ? 'planning' : 'absent'
                  counts[rest] = (counts[rest] ?? 0) + 1
                }
              }
            }
          }
        }
        await write(store, { ...commit, unplanned })
        await store.saveConnection('live', { mode: 'live' })
        expect(await store.claim('live', claimed.length, NOW, LEASE_END)).toHaveLength(claimed.length)
        const counted = await store.healthCounts()
        expect(counted.get('crm')).toBeUndefined()
        expect(Object.fromEntries(counted)).toEqual(Object.fromEntries(expected))

        const first = await store.livePeople({ limit: 2 })
        expect(first.map(({ id }) => id)).toEqual(live.slice(0, 2))
        const next = await store.livePeople({ after: first[1]?.id ?? '', limit: 10_000 })
        expect(next.map(({ id }) => id)).toEqual(live.slice(2))
        expect(next.filter((one) => one.unplanned).map(({ id }) => id)).toEqual(unplanned)
        expect(await store.livePeople({ ids: ['nobody', live[3] ?? ''], limit: 10 })).toHaveLength(1)
      })
    })

    describe('reading', () => {
      test('the change log is newest first and keeps every entry whole (I3)', async () => {
        const changes = [
          change({ personId: 'p1', before: null, after: { value: 'x', label: null }, heard_ms: 10 }),
          change({ personId: 'p1', cell: 'note', recordId: null, stamp: { at: 7, by: 'operator:ann' }, heard_ms: 20 }),
          change({ personId: 'p2', kind: 'lost', rule: 'prefer', heard_ms: 30 }),
        ]
        await write(store, { changes: changes.slice(0, 2) })
        await write(store, { changes: changes.slice(2) })
        const log = await store.log({ limit: 10 })
        expect(log).toEqual(changes.map((entry, n) => ({ ...entry, id: n + 1, act: null, pass: null })).toReversed())
        const found = async (filter: Omit<Parameters<Store['log']>[0], 'limit'>) =>
          (await store.log({ ...filter, limit: 10 })).map((entry) => entry.id)
        expect(await found({ personId: 'p1' })).toEqual([2, 1])
        expect(await found({ connection: 'crm' })).toEqual([3, 1])
        expect(await found({ cell: 'note' })).toEqual([2])
        expect(await found({ since_ms: 20 })).toEqual([3, 2])
        expect(await found({ people: ['p2', 'p3'] })).toEqual([3])
        expect(await found({ fromId: 2, beforeId: 3 })).toEqual([2])
        expect((await store.log({ limit: 1 })).map((entry) => entry.id)).toEqual([3])
      })

      test('the change log knows the pass a change was heard in, or the act that made it', async () => {
        const act = { id: 'a1', at_ms: 1, by: 'ann', why: '', kind: 'undo', about: {} }
        expect(await store.oldestLog()).toBeNull()
        await store.ensureConnections([{ name: 'crm', app: 'memory', mode: 'live' }])
        await write(store, { changes: [change({ heard_ms: 10 })] })
        await store.startPass('crm')
        await write(store, { changes: [change({ heard_ms: 20 }), change({ stamp: { at: 1, by: 'nobody' } })] })
        // An act of several commits is one act.
        await write(store, { act, changes: [change({})] })
        await write(store, { act: { ...act, at_ms: 2 }, changes: [change({})] })
        const told = (await store.log({ limit: 9 })).map((entry) => [entry.id, entry.act, entry.pass])
        expect(told).toEqual([
          [5, 'a1', null],
          [4, 'a1', null],
          [3, null, null],
          [2, null, 1],
          [1, null, 0],
        ])
        expect((await store.log({ act: 'a1', limit: 9 })).map(({ id }) => id)).toEqual([5, 4])
        expect((await store.log({ connection: 'crm', pass: 1, limit: 9 })).map(({ id }) => id)).toEqual([2])
        expect(await store.acts({ limit: 9 })).toEqual([act])
        expect(await store.oldestLog()).toBe(10)
        await store.prune(15)
        expect(await store.oldestLog()).not.toBe(10)
      })

      test('acts are kept with who and why, newest first', async () => {
        const act = (id: string, at_ms: number, kind = 'set') => {
          return { id, at_ms, by: 'ada', why: 'typo', kind, about: { cells: 2 } }
        }
        for (const one of [act('a', 1), act('c', 3, 'merge'), act('b', 2)]) await write(store, { act: one })
        expect((await store.acts({ limit: 2 })).map(({ id }) => id)).toEqual(['c', 'b'])
        expect(await store.acts({ id: 'a', limit: 9 })).toEqual([act('a', 1)])
        expect(await store.acts({ kind: 'merge', since_ms: 3, limit: 9 })).toEqual([act('c', 3, 'merge')])
      })

      test('the consent ledger keeps an entry whole, and marks everybody who holds the address (I7)', async () => {
        const entry = consent('email:ada@x.org', 'unsubscribed')
        await write(store, {
          people: [person('p1'), person('p2')],
          links: [
            link('r1', { personId: 'p1', keys: ['email:ada@x.org'] }),
            link('r2', { personId: 'p2', keys: ['email:bob@x.org'] }),
          ],
        })
        expect(await store.consents(['email:ada@x.org'])).toEqual([])
        await write(store, { consents: [entry], consentsSeen: [{ key: entry.key, version: 0 }] })
        expect(await store.consents(['email:ada@x.org', 'email:bob@x.org', 'email:ada@x.org'])).toEqual([
          { ...entry, version: 1 },
        ])
        expect((await store.unplanned(10)).map(({ personId }) => personId)).toEqual(['p1'])
      })

      test('a decision that rests on an address is lost when more was told about it meanwhile (I7)', async () => {
        const entry = consent('email:ada@x.org', 'unsubscribed')
        const seen = [{ key: entry.key, version: 0 }]
        await write(store, { consents: [entry], consentsSeen: seen })
        expect(await store.commit({ unplanned: ['p9'], consentsSeen: seen })).toEqual({ kind: 'lost' })
        expect(await store.commit({ consentsSeen: [{ key: entry.key, version: 1 }] })).toEqual({ kind: 'committed' })
        expect(await store.unplanned(10)).toEqual([])
      })

      test('of many workers that tell of one address at once, one wins each round (I7)', async () => {
        const key = 'email:ada@x.org'
        for (const version of [0, 1, 2]) {
          const results = await Promise.all(
            Array.from({ length: 6 }, () =>
              store.commit({ consents: [{ ...consent(key, 'bounced'), version }], consentsSeen: [{ key, version }] }),
            ),
          )
          expect(results.filter(({ kind }) => kind === 'committed')).toHaveLength(1)
        }
      })

      test('what tells of consent is claimed before everything older', async () => {
        await live(store)
        await write(store, {
          intents: [
            intent('old', { planned_ms: 1 }),
            intent('urgent', { planned_ms: 50, urgent: true }),
            intent('older', { planned_ms: 0 }),
          ],
        })
        const claimed = [
          ...(await store.claim('crm', 2, NOW, LEASE_END)),
          ...(await store.claim('crm', 2, NOW, LEASE_END)),
        ]
        expect(claimed.map(({ id }) => id)).toEqual(['urgent', 'older', 'old'])
      })

      test('a conflict is one by person, cell and connection: moved on while open, gone when closed', async () => {
        await write(store, {
          conflicts: [
            conflict({ personId: 'p2' }),
            conflict({ personId: 'p1', connection: 'phones' }),
            conflict({ personId: 'p1', ours: 'a' }),
          ],
        })
        await write(store, { conflicts: [conflict({ personId: 'p1', ours: null, theirs: ['b'], recordId: '2' })] })
        expect(await collect(store.conflicts())).toEqual([
          conflict({ personId: 'p1', ours: null, theirs: ['b'], recordId: '2' }),
          conflict({ personId: 'p1', connection: 'phones' }),
          conflict({ personId: 'p2' }),
        ])
        await write(store, {
          conflicts: [conflict({ personId: 'p1', open: false }), conflict({ personId: 'p9', open: false })],
        })
        expect((await store.loadPeople(['p1'])).conflicts).toEqual([conflict({ personId: 'p1', connection: 'phones' })])
        expect(await collect(store.conflicts())).toHaveLength(2)
      })

      test('people are found by name, address, number and id, whatever the case, best first', async () => {
        const stamp = { at: 1, by: 'crm' }
        const cell = (value: Json) => ({ value, stamp, rule: 'first' as const })
        await write(store, {
          people: [
            person('p1', { cells: { 'name.given': cell('Marianne'), 'name.family': cell('Ångström') } }),
            person('p2', { cells: { 'name.given': cell('Ann'), 'name.family': cell('Lee') } }),
            person('p3', { cells: { 'name.display': cell('Anna'), note: cell('ann in a note') } }),
            person('p4', {
              cells: { 'phones:+4930123': cell({ value: '030 / 123' }), organisation: cell('100% "Best"') },
            }),
            person('p5', { cells: { 'emails:zoe@x.org': cell({ value: 'Zoe@X.org' }), nickname: cell(null) } }),
            person('p6', { state: 'deleted', cells: { 'name.given': cell('Ann') } }),
            person('p7', { cells: { title: cell('crm Ann'), externalId: cell('C-77') } }),
          ],
        })
        const found = async (text: string, limit = 10) => (await store.searchPeople(text, limit)).map((one) => one.id)
        expect(await found('ANN')).toEqual(['p2', 'p3', 'p1'])
        expect(await found('  ann   lee ')).toEqual(['p2'])
        expect(await found('ångSTRÖM')).toEqual(['p1'])
        expect(await found('030 / 1')).toEqual(['p4'])
        expect(await found('+4930')).toEqual(['p4'])
        expect(await found('zoe@')).toEqual(['p5'])
        expect(await found('c-77')).toEqual(['p7'])
        expect(await found('100% "')).toEqual(['p4'])
        expect(await found('%')).toEqual(['p4'])
        expect(await found('crm')).toEqual([])
        expect(await found('p6')).toEqual(['p6'])
        expect(await found('')).toEqual(['p1', 'p2', 'p3', 'p4', 'p5', 'p7'])
        expect(await found('', 2)).toEqual(['p1', 'p2'])
        expect(await found('ann', 1)).toEqual(['p2'])
        expect((await store.searchPeople('c-77', 1))[0]).toMatchObject({ version: 1, state: 'live' })
      })

      test('pruning removes what is older, and tells how much', async () => {
        await live(store)
        await write(store, {
          changes: [change({ heard_ms: 10 }), change({ heard_ms: 20 })],
          intents: [intent('i1'), intent('i2'), intent('i3', { state: 'parked' })],
          tallies: [tally('created', 1, 60_000), tally('created', 2, 120_000)],
        })
        await store.claim('crm', 10, NOW, LEASE_END)
        await write(store, {
          settlements: [
            { intentId: 'i1', state: 'done', now_ms: 10 },
            { intentId: 'i2', state: 'done', now_ms: 20 },
          ],
        })
        expect(await store.prune(20)).toBe(2)
        expect(await store.log({ limit: 10 })).toHaveLength(1)
        expect([await store.deliveries('p-i1', 9), await store.deliveries('p-i2', 9)].map((all) => all.length)).toEqual(
          [0, 1],
        )
        expect((await store.brakeCounts('crm', 0)).tallied).toEqual({ created: 3 })
        expect(await store.prune(120_000)).toBe(2)
        expect((await store.brakeCounts('crm', 0)).tallied).toEqual({ created: 2 })
        expect(await collect(store.intents({}))).toHaveLength(1)
        expect(await store.prune(120_000)).toBe(0)
      })

      test('long lists come whole, each entry once, in order, over many pages', async () => {
        const many = Array.from({ length: 2_300 }, (_, n) => n)
        const connection = (n: number) => (n % 3 === 0 ? 'crm' : 'phones')
        await write(store, {
          links: many.map((n) =>
            link(`r${n}`, { connection: connection(n), keys: [], ...(n % 2 ? {} : { failure: REFUSED }) }),
          ),
          intents: many.map((n) =>
            intent(`i${n}`, { connection: connection(n), planned_ms: n % 5, state: n % 2 ? 'held' : 'pending' }),
          ),
          conflicts: many.map((n) => conflict({ personId: `p${n % 9}`, cell: `custom.${n}` })),
        })
        await write(store, { links: [link('gone', { state: 'gone' }), link('unreadable', { state: 'unreadable' })] })
        const links = await collect(store.links({}))
        expect(links.map((one) => one.connection + one.recordId)).toEqual(
          [...many.map((n) => `${connection(n)}r${n}`), 'crmgone', 'crmunreadable'].sort(),
        )
        const late = links.slice(1_500)
        expect(await collect(store.links({ after: links[1_499] as Link }))).toEqual(late)
        expect(await collect(store.links({ connection: 'phones', after: links[1_499] as Link }))).toEqual(
          late.filter((one) => one.connection === 'phones'),
        )
        expect(await collect(store.links({ connection: 'phones', broken: true }))).toHaveLength(
          many.filter((n) => n % 3 !== 0 && n % 2 === 0).length,
        )
        expect(await collect(store.links({ state: 'gone' }))).toHaveLength(1)
        const batches = await collect(store.knownIds('phones'))
        expect(batches.flat()).toEqual(
          many
            .filter((n) => n % 3 !== 0)
            .map((n) => `r${n}`)
            .sort(),
        )
        expect(batches.length).toBeGreaterThan(1)
        expect((await collect(store.knownIds('crm'))).flat()).not.toContain('gone')

        const expected = many
          .map((n) => ({ connection: connection(n), planned_ms: n % 5, id: `i${n}`, held: n % 2 === 1 }))
          .sort(
            (a, b) =>
              (a.connection < b.connection ? -1 : a.connection > b.connection ? 1 : 0) ||
              a.planned_ms - b.planned_ms ||
              (a.id < b.id ? -1 : 1),
          )
        expect((await collect(store.intents({}))).map((one) => one.id)).toEqual(expected.map((one) => one.id))
        expect((await collect(store.intents({ state: 'held' }))).map((one) => one.id)).toEqual(
          expected.filter((one) => one.held).map((one) => one.id),
        )
        const conflicts = await collect(store.conflicts())
        expect(new Set(conflicts.map((one) => one.cell)).size).toBe(2_300)
        expect(conflicts.map((one) => one.personId + one.cell)).toEqual(
          conflicts.map((one) => one.personId + one.cell).toSorted(),
        )
      })
    })

    test('text that a database cannot hold comes back as it was, and its neighbours with it', async () => {
      const odd = [
        'nul \0 byte',
        'high \uD83D half',
        'low \uDE00 half',
        'mark \uFFFF0000',
        '😀 whole',
        '\\u0000 spelt',
        '"\\',
      ]
      await store.ensureConnections([{ name: 'crm', app: 'csv', mode: 'live' }])
      for (const [n, text] of odd.entries()) {
        const fields = { [text]: [text, { [`in ${text}`]: text }] }
        const failure: Failure = { kind: 'permanent', message: text }
        const strange = link(`r${n}${text}`, {
          personId: `p${n}${text}`,
          state: 'linked',
          fields,
          rev: text,
          keys: [text],
          candidates: [text],
          reason: text,
          failure,
        })
        const stranger = person(`p${n}${text}`, {
          cells: { [`tags:${text}`]: { value: { value: text }, stamp: { at: 1, by: text }, rule: 'first' } },
        })
        const wish = intent(`i${n}${text}`, {
          personId: stranger.id,
          recordId: text,
          fields,
          held: text,
          state: 'held',
        })
        const said = change({ personId: stranger.id, cell: text, before: text, after: [text], recordId: text })
        const both = conflict({
          personId: stranger.id,
          cell: text,
          recordId: text,
          ours: text,
          theirs: { [text]: text },
        })
        await write(store, {
          people: [stranger, person(`plain${n}`)],
          links: [strange, link(`plain${n}`)],
          intents: [wish],
          changes: [said],
          conflicts: [both],
          unplanned: [stranger.id],
        })
        const hood = await store.loadRecords('crm', [strange.recordId, `plain${n}`])
        expect(hood.people).toEqual([{ ...stranger, version: 1 }])
        expect(byRecord(hood.links)).toEqual(byRecord([{ ...strange, version: 1 }, link(`plain${n}`, { version: 1 })]))
        expect(hood.intents).toEqual([wish])
        expect(hood.conflicts).toEqual([both])
        const flags = await store.unplanned(1)
        expect(flags).toMatchObject([{ personId: stranger.id }])
        expect(await store.log({ personId: stranger.id, limit: 1 })).toMatchObject([said])
        expect(await store.keyHolders([text])).toMatchObject([{ key: text, recordId: strange.recordId }])
        expect(await store.known('crm', [strange.recordId])).toEqual(
          new Map([[strange.recordId, { rev: text, state: 'linked', broken: true }]]),
        )
        await store.setFact(text, [text])
        expect(await store.getFact(text)).toEqual([text])
        expect(await store.release({ personId: stranger.id }, text)).toBe(1)
        expect(await store.claim('crm', 1, NOW, LEASE_END)).toMatchObject([{ id: wish.id, fields }])
        const answer = { [text]: text }
        await write(store, {
          settlements: [{ intentId: wish.id, state: 'done', answer, now_ms: NOW }],
          planned: flags,
        })
        expect(await store.deliveries(stranger.id, 1)).toMatchObject([{ answer, recordId: text }])
      }
    })
  })
}

function change(more: Partial<Change> = {}): Change {
  return {
    personId: 'p1',
    cell: 'name.given',
    before: 'Ada',
    after: 'Augusta',
    stamp: { at: 5, by: 'crm' },
    recordId: '1',
    kind: 'applied',
    rule: 'latest',
    heard_ms: 10,
    ...more,
  }
}

function conflict(more: Partial<Conflict> = {}): Conflict {
  return {
    personId: 'p1',
    cell: 'name.given',
    connection: 'crm',
    recordId: '1',
    ours: 'Ada',
    theirs: 'Augusta',
    theirsStamp: { at: 5, by: 'crm' },
    open: true,
    ...more,
  }
}

function byRecord<T extends { connection: string; recordId: string }>(links: readonly T[]): T[] {
  const key = (one: T) => `${one.connection}\n${one.recordId}`
  return links.toSorted((a, b) => (key(a) < key(b) ? -1 : 1))
}
