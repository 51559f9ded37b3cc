import { afterAll, beforeAll, expect, test } from '@jest/globals'
import type { Inbox } from '../../engine/core/ports/inbox.ts'
import { StoreUnavailableError } from '../../engine/core/ports/store.ts'
import { openInbox } from '../../engine/store/inbox.ts'
import { freshDatabase, type FreshDatabase } from '../support/postgres.ts'

let database: FreshDatabase
/** Two processes' view of one inbox. */
let here: Inbox
let there: Inbox

beforeAll(async () => {
  database = await freshDatabase()
  here = openInbox(database.url)
  there = openInbox(database.url)
})
afterAll(async () => {
  await Promise.all([here.close(), there.close()])
  await database.drop()
})

const take = (inbox: Inbox, connection: string, eventIds: string[], records: string[], now_ms = 1000) =>
  inbox.take({ connection, eventIds, records, now_ms })
const waiting = async (connection: string): Promise<string[]> =>
  (await here.waiting(connection, 100)).map(({ recordId }) => recordId)

test('an event is taken once, whichever process is told of it, and once for each connection', async () => {
  expect(await take(here, 'once', ['a'], ['1'])).toBe(true)
  expect(await take(there, 'once', ['a'], ['1'])).toBe(false)
  expect(await take(there, 'other', ['a'], [])).toBe(true)
  const eventIds = Array.from({ length: 50 }, (_, n) => `e${n}`)
  const racers = await Promise.all(
    Array.from({ length: 20 }, (_, n) =>
      take(n % 2 ? here : there, 'race', n % 3 ? eventIds : eventIds.toReversed(), ['9']),
    ),
  )
  expect(racers.filter(Boolean)).toHaveLength(1)
  expect(await waiting('race')).toEqual(['9'])
})

test('a batch of which one event is new is acted on; one without ids always', async () => {
  await take(here, 'batch', ['a', 'b'], ['1'])
  expect(await take(here, 'batch', ['b', 'c'], ['2'])).toBe(true)
  expect(await take(here, 'batch', ['c', 'a', 'b'], ['3'])).toBe(false)
  expect([await take(here, 'batch', [], ['4']), await take(here, 'batch', [], ['4'])]).toEqual([true, true])
  expect(await waiting('batch')).toEqual(['1', '2', '4'])
})

test('a record waits until it was heard, and one that was announced again meanwhile waits on', async () => {
  await take(here, 'wait', [], ['1', '2', '2'])
  const read = await there.waiting('wait', 10)
  expect(read.map(({ recordId }) => recordId)).toEqual(['1', '2'])
  await take(here, 'wait', [], ['2'])
  await there.heard('wait', read)
  expect(await waiting('wait')).toEqual(['2'])
  expect(await here.connections()).toContain('wait')
  await here.heard('wait', await here.waiting('wait', 10))
  expect(await here.connections()).not.toContain('wait')
})

test('what is older than the window is forgotten, and then new again', async () => {
  await take(here, 'old', ['a'], ['1'], 10)
  await take(here, 'old', ['b'], ['2'], 5000)
  expect(await here.prune(500)).toBeGreaterThanOrEqual(2)
  expect(await waiting('old')).toEqual(['2'])
  expect([await take(here, 'old', ['a'], [], 5000), await take(here, 'old', ['b'], [], 5000)]).toEqual([true, false])
})

test('ids of any shape are kept apart', async () => {
  const ids = ['x'.repeat(100_000), `${'x'.repeat(99_999)}y`, 'a\0b', '\ud800', '']
  for (const id of ids)
    expect([await take(here, 'shape', [id], []), await take(here, 'shape', [id], [])]).toEqual([true, false])
})

test('a database that is not there is told as such', async () => {
  const gone = openInbox('postgres://kith@127.0.0.1:1/kith')
  await expect(take(gone, 'crm', ['a'], [])).rejects.toThrow(StoreUnavailableError)
  await gone.close()
})
