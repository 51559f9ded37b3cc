import { describe, expect, test } from '@jest/globals'
import type { Certificate, Erasure } from '../../engine/core/erasure.ts'
import type { Kept, Link, Store } from '../../engine/core/ports/store.ts'
import { collect, consent, intent, link, person, write } from './sample.ts'

const opened = (people: readonly string[], more: Partial<Erasure> = {}): Erasure => ({
  id: 'e1',
  opened_ms: 5_000,
  by: 'grace',
  why: 'asked for by p1@example.org',
  people,
  state: 'open',
  waived: {},
  ...more,
})

const certificate = { erasure: 'e1', records: [], barred: [], purged: {} } as unknown as Certificate

/** What both stores promise of erasures (I7). */
export function describeErasures(stored: () => Promise<Store>): void {
  describe('erasures (I7)', () => {
    test('what an erasure bars is known from its first moment, and only as a hash', async () => {
      const store = await stored()
      await write(store, { erasure: { erasure: opened(['p1']), keys: ['email:p1@example.org', 'phone:+491'] } })
      expect(await store.barred(['email:p1@example.org', 'email:other@example.org', 'phone:+491'])).toEqual(
        new Map([
          ['email:p1@example.org', 'e1'],
          ['phone:+491', 'e1'],
        ]),
      )
      const [one = '', other = ''] = await store.fingerprints(['email:p1@example.org', 'phone:+491'])
      expect(await store.barredBy('e1')).toEqual([one, other].toSorted())
      expect(one).toMatch(/^[0-9a-f]{64}$/)
      expect(await store.fingerprints(['email:p1@example.org'])).toEqual([one])
    })

    test('whoever matched records without knowing of it has lost', async () => {
      const store = await stored()
      const { round } = await store.staged(10)
      await write(store, { erasure: { erasure: opened(['p1']), keys: ['email:p1@example.org'] } })
      expect(await store.commit({ matchRound: round })).toEqual({ kind: 'lost' })
    })

    test('the ledger keeps the state of a barred address under its hash, without the story', async () => {
      const store = await stored()
      const key = 'email:p1@example.org'
      await write(store, { consents: [consent(key, 'unsubscribed')], consentsSeen: [{ key, version: 0 }] })
      await write(store, { erasure: { erasure: opened(['p1']), keys: [key] } })
      const [entry] = await store.consents([key])
      expect(entry).toMatchObject({ key, state: 'unsubscribed', events: [] })
      // What is told of it from now on is kept in the same way, and compare-and-set holds.
      const seen = [{ key, version: entry?.version ?? 0 }]
      await write(store, {
        consents: [{ ...consent(key, 'complained'), version: seen[0]?.version ?? 0 }],
        consentsSeen: seen,
      })
      expect(await store.consents([key])).toMatchObject([{ state: 'complained', events: [] }])
      expect(await store.commit({ unplanned: ['p9'], consentsSeen: seen })).toEqual({ kind: 'lost' })
    })

    test('a purge leaves nothing of the people but hashes, and what was waived as a record that takes no part', async () => {
      const store = await stored()
      await write(store, {
        people: [person('p1', { state: 'erased' }), person('p2')],
        links: [
          link('r1', { personId: 'p1', state: 'gone', keys: [] }),
          link('r2', { personId: 'p1', state: 'linked', connection: 'waived' }),
          link('r3', { state: 'ambiguous', candidates: ['p1', 'p2'], keys: [] }),
          link('r4', { personId: 'p2', state: 'linked' }),
        ],
        unplanned: ['p1'],
        intents: [intent('i1', { personId: 'p1', connection: 'waived', op: 'delete', recordId: 'r2', erase: true })],
        apart: [{ a: 'person:p1', b: 'person:p2' }],
        act: { id: 'a1', at_ms: 1, by: 'grace', why: 'P1@Example.org asked', kind: 'set', about: {} },
        erasure: { erasure: opened(['p1']), keys: ['email:p1@example.org'] },
      })
      expect((await collect(store.intents({})))[0]).toMatchObject({ erase: true, fields: {} })
      expect(await store.holdings(['p1'])).toMatchObject({ cells: 3, records: 2, apart: 1 })
      expect(await store.purge('e1', certificate, ['p1@example.org'])).toBe(true)
      expect(await store.holdings(['p1'])).toEqual({
        cells: 0,
        records: 0,
        log: 0,
        deliveries: 0,
        conflicts: 0,
        apart: 0,
        kept: 0,
      })
      expect((await store.loadPeople(['p1', 'p2'])).people.map(({ id }) => id)).toEqual(['p2'])
      expect(await collect(store.intents({}))).toEqual([])
      const links = new Map((await collect(store.links({}))).map((one) => [one.recordId, one]))
      expect(links.get('r1')).toBeUndefined()
      expect(links.get('r2')).toMatchObject({
        state: 'erased',
        personId: null,
        fields: {},
        keys: [],
        reason: 'erased: e1',
      })
      expect(links.get('r3')?.state).toBe('staged')
      expect(links.get('r4')?.state).toBe('linked')
      expect((await store.acts({ limit: 5 })).map(({ why }) => why)).toEqual(['(erased)'])
      expect(await store.erasures({ limit: 5 })).toMatchObject([{ state: 'done', why: '(erased)', certificate }])
      // Once is enough.
      expect(await store.purge('e1', certificate, [])).toBe(false)
    })

    test('nothing is purged while a write of theirs is under way', async () => {
      const store = await stored()
      await store.ensureConnections([{ name: 'crm', app: 'memory', mode: 'live' }])
      await write(store, {
        people: [person('p1', { state: 'erased' })],
        intents: [intent('i1', { personId: 'p1', connection: 'crm' })],
        erasure: { erasure: opened(['p1']), keys: [] },
      })
      expect(await store.claim('crm', 1, 1e12, 2e12)).toHaveLength(1)
      expect(await store.purge('e1', certificate, [])).toBe(false)
      expect(await store.erasures({ state: 'open', limit: 1 })).toHaveLength(1)
    })

    test('a record that comes to take no part is kept nowhere else either: not by a pause, not in its baseline', async () => {
      const store = await stored()
      await store.ensureConnections([{ name: 'crm', app: 'memory', mode: 'live' }])
      await write(store, { links: [link('r1'), link('r2')] })
      const act = { id: 'a1', at_ms: 1, by: 'grace', why: 'clean-up', kind: 'pause', about: {} }
      await store.beginPause('crm', { id: 'a1', at_ms: 1, by: 'grace', why: 'clean-up', until_ms: null }, act)
      await store.settlePause('crm', 'a1', 2)
      const heard = (recordId: string): Kept => ({
        connection: 'crm',
        recordId,
        record: { id: recordId, rev: '2', fields: { first: 'Ada' } },
        end: null,
        heard_ms: 3,
        mark: 0,
      })
      await write(store, { keep: [heard('r1'), heard('r2')] })
      const kept = await collect(store.kept('crm'))
      const before = (await store.loadRecords('crm', ['r1'])).links[0] as Link
      const out = { ...before, state: 'erased' as const, fields: {}, keys: [], reason: 'erased: e1' }
      // What names its rows in the same commit is no loser for that.
      const unkeep = kept.filter(({ recordId }) => recordId === 'r1')
      await write(store, { links: [out], unkeep, under: { connection: 'crm', pause: 'a1' } })
      const left = async (): Promise<string[][]> => [
        (await collect(store.kept('crm'))).map(({ recordId }) => recordId),
        (await collect(store.baseline('crm'))).map(({ recordId }) => recordId),
      ]
      expect(await left()).toEqual([['r2'], ['r2']])
      const other = (await store.loadRecords('crm', ['r2'])).links[0] as Link
      await write(store, { links: [{ ...other, ...out, recordId: 'r2', version: other.version }] })
      expect(await left()).toEqual([[], []])
    })

    test('a lift ends one erasure’s bar, and has its records read again', async () => {
      const store = await stored()
      const key = 'email:p1@example.org'
      await write(store, { erasure: { erasure: opened([]), keys: [key] } })
      await write(store, { erasure: { erasure: opened([], { id: 'e2', opened_ms: 6_000 }), keys: [key] } })
      await write(store, { links: [link('r1', { state: 'erased', fields: {}, keys: [], reason: 'erased: e1' })] })
      const waiver = { at_ms: 7_000, by: 'grace', why: 'another Ada' }
      expect(await store.liftErasure('e1', waiver)).toBe(false)
      for (const id of ['e1', 'e2']) await store.purge(id, { ...certificate, erasure: id }, [])
      expect(await store.liftErasure('e1', waiver)).toBe(true)
      expect(await store.barred([key])).toEqual(new Map([[key, 'e2']]))
      expect(await store.rechecks(5)).toEqual([{ connection: 'crm', recordId: 'r1' }])
      expect(await store.erasures({ id: 'e1', limit: 1 })).toMatchObject([{ state: 'lifted', lifted: waiver }])
    })

    test('a connection is waived while the erasure is open, and whoever was merged into somebody is found', async () => {
      const store = await stored()
      await write(store, {
        people: [
          person('p1'),
          person('p2', { state: 'merged', mergedInto: 'p1' }),
          person('p3', { state: 'merged', mergedInto: 'p2' }),
        ],
        erasure: { erasure: opened(['p1']), keys: [] },
      })
      expect(await store.absorbed(['p1'])).toEqual(['p2', 'p3'])
      const waiver = { at_ms: 7_000, by: 'grace', why: 'by hand' }
      expect(await store.waive('e1', 'sheet', waiver)).toBe(true)
      expect((await store.erasures({ id: 'e1', limit: 1 }))[0]?.waived).toEqual({ sheet: waiver })
      await store.purge('e1', certificate, [])
      expect(await store.waive('e1', 'crm', waiver)).toBe(false)
    })
  })
}
