import { describe, expect, test } from '@jest/globals'
import { apart } from '../../engine/core/apart.ts'
import type { Person } from '../../engine/core/person.ts'
import type { Store } from '../../engine/core/ports/store.ts'
import { collect, intent, link, live, person, write } from './sample.ts'

function named(id: string, given: string, family: string, organisation?: string): Person {
  const stamp = { at: 1, by: 'crm' }
  const cell = (value: string) => ({ value, stamp, rule: 'first' as const })
  return person(id, {
    cells: {
      'name.given': cell(given),
      'name.family': cell(family),
      ...(organisation === undefined ? {} : { organisation: cell(organisation) }),
    },
  })
}

function linked(recordId: string, personId: string, keys: string[]) {
  return link(recordId, { personId, state: 'linked', keys })
}

/** Who is who: pairs that are likely, pairs that are known to be different, and second records. For both stores. */
export function describeLikely(open: () => Promise<Store>): void {
  describe('who may be whom', () => {
    test('people who share a key, a name, or an organisation and a piece of a name are likely; the strongest first', async () => {
      const store = await open()
      await write(store, {
        people: [
          named('p1', 'Zoë', 'Müller', 'Engines'),
          named('p2', 'Zoe', 'Muller', 'engines'),
          named('p3', 'Grace', 'Hopper', 'Navy'),
          named('p4', 'Grave', 'Hopper', 'Navy'),
          named('p5', 'Tom', 'Jones'),
          named('p6', 'Bob', 'Smith'),
          named('p7', 'Alan', 'Turing'),
          named('p8', 'Юлия', 'Иванова'),
          { ...named('p9', 'Alan', 'Turing'), state: 'merged', mergedInto: 'p7' },
        ],
        links: [
          linked('r5', 'p5', ['email:info@example.org', 'phone:+49301']),
          linked('r6', 'p6', ['email:info@example.org']),
          linked('r7', 'p7', ['email:alan@old.example', 'phone:+49301']),
          linked('r8', 'p8', ['email:alan@new.example']),
        ],
      })
      expect(await store.likelyPairs(100, 12)).toEqual([
        { a: 'p5', b: 'p6' },
        { a: 'p5', b: 'p7' },
        { a: 'p7', b: 'p8' },
        { a: 'p1', b: 'p2' },
        { a: 'p3', b: 'p4' },
      ])
      expect(await store.likelyPairs(2, 12)).toHaveLength(2)
    })

    test('what many share says nothing: the work is bounded', async () => {
      const store = await open()
      const people = Array.from({ length: 6 }, (_, n) => named(`p${n}`, 'Ada', 'Lovelace', 'Engines'))
      await write(store, { people })
      expect(await store.likelyPairs(100, 5)).toEqual([])
      expect(await store.likelyPairs(100, 6)).toHaveLength(15)
    })

    test('who is known to be different is kept, told by either of the two, and written once', async () => {
      const store = await open()
      const one = apart('person:p2', 'person:p1')
      const other = apart('record:crm/r1', 'person:p1')
      expect(one).toEqual({ a: 'person:p1', b: 'person:p2' })
      await write(store, { apart: [one, other] })
      await write(store, { apart: [one] })
      expect(await store.apart(['person:p1'])).toEqual([one, other])
      expect(await store.apart(['person:p2'])).toEqual([one])
      expect(await store.apart(['record:crm/r1', 'nobody'])).toEqual([other])
      expect(await store.apart([])).toEqual([])
    })

    test('what loses its compare-and-set tells nobody apart', async () => {
      const store = await open()
      await write(store, { people: [person('p1')] })
      const lost = await store.commit({ people: [person('p1')], apart: [apart('person:p1', 'person:p2')] })
      expect(lost.kind).toBe('lost')
      expect(await store.apart(['person:p1'])).toEqual([])
    })

    test('a second record is a record of the connection, and makes whoever stands suspected there', async () => {
      const store = await open()
      await store.ensureConnections([{ name: 'crm', app: 'csv', mode: 'live' }])
      await write(store, {
        people: [person('p1'), person('p2', { state: 'merged', mergedInto: 'p1' })],
        links: [
          link('r1', { personId: 'p1', state: 'linked' }),
          link('r2', { personId: 'p2', state: 'second', candidates: ['p1'], reason: 'why' }),
        ],
      })
      expect((await store.counts()).get('crm')).toMatchObject({ linked: 1, second: 1 })
      expect((await store.brakeCounts('crm', 0)).records).toBe(2)
      expect((await store.loadPeople(['p1'])).suspected).toEqual(new Map([['p1', new Set(['crm'])]]))
      expect(await store.known('crm', ['r2'])).toEqual(new Map([['r2', { rev: 'r1', state: 'second', broken: false }]]))
    })

    test('a merge comes back as it went in, through claim and delivery', async () => {
      const store = await open()
      const merge = intent('i1', {
        op: 'merge',
        recordId: 'r2',
        into: 'r1',
        fields: {},
        cells: {},
        state: 'held',
        held: 'x',
      })
      await store.ensureConnections([{ name: 'crm', app: 'csv', mode: 'live' }])
      await write(store, { people: [person('p-i1')], intents: [merge] })
      expect(await collect(store.intents({ op: 'merge' }))).toEqual([merge])
      expect(await store.release({ connection: 'crm', personId: 'p-i1', op: 'merge' }, 'x')).toBe(1)
      expect((await store.brakeCounts('crm', 0)).pending).toEqual({ create: 0, update: 0, delete: 0 })
      await live(store)
      const [claimed] = await store.claim('crm', 10, 1, 2)
      expect(claimed).toMatchObject({ op: 'merge', recordId: 'r2', into: 'r1', fields: {} })
      await write(store, { settlements: [{ intentId: 'i1', state: 'done', answer: { id: 'r1' }, now_ms: 5 }] })
      expect(await store.deliveries('p-i1', 5)).toMatchObject([{ op: 'merge', into: 'r1', fields: {} }])
    })
  })
}
