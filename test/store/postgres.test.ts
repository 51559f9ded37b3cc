import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import pg from 'pg'
import { inspect } from 'node:util'
import { StoreUnavailableError, type Store } from '../../engine/core/ports/store.ts'
import { Database } from '../../engine/store/database.ts'
import { keyHolders, known, loadPeople, loadRecords } from '../../engine/store/load.ts'
import { migrate, StoreFormatError } from '../../engine/store/migrate.ts'
import { migrations } from '../../engine/store/migrations/index.ts'
import { claim } from '../../engine/store/outbox.ts'
import { openStore } from '../../engine/store/postgres.ts'
import { freshDatabase, type FreshDatabase } from '../support/postgres.ts'
import { collect, intent, link, live, person, write } from './sample.ts'
import { storeSuite } from './store-suite.ts'

const TABLES = [
  'connection',
  'fact',
  'person',
  'unplanned',
  'link',
  'intent',
  'delivery',
  'change',
  'conflict',
  'consent',
  'act',
  'apart',
  'tally',
  'count',
  'matching',
  'kept',
  'baseline',
  'erasure',
  'barred',
].map((table) => `kith.${table}`)

let database: FreshDatabase
let store: Store
let admin: pg.Pool

beforeAll(async () => {
  database = await freshDatabase()
  store = await openStore(database.url)
  admin = new pg.Pool({ connectionString: database.url, max: 1 })
  admin.on('error', () => undefined)
})

afterAll(async () => {
  await store.close()
  await admin.end()
  await database.drop()
})

async function empty(): Promise<Store> {
  await admin.query(`truncate ${TABLES.join(', ')} restart identity`)
  await admin.query('insert into kith.matching values (0)')
  return store
}

storeSuite(empty)

describe('Postgres itself', () => {
  const killOthers = () =>
    admin.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
    )

  test('connections that the server ends are survived by the next call, and never end the process', async () => {
    await empty()
    await write(store, { people: [person('p1')] })
    await killOthers()
    const calls = await Promise.allSettled(Array.from({ length: 12 }, () => store.loadPeople(['p1'])))
    const reasons = calls.flatMap((call) => (call.status === 'rejected' ? [call.reason as unknown] : []))
    expect(reasons.filter((reason) => !(reason instanceof StoreUnavailableError))).toEqual([])
    expect((await store.loadPeople(['p1'])).people).toHaveLength(1)
  })

  test('a call whose connection is ended in the middle says that the store is unavailable, and nothing of it is written', async () => {
    await empty()
    await write(store, { people: [person('p1')] })
    const lock = await admin.connect()
    try {
      await lock.query('begin')
      await lock.query(`select * from kith.person where id = 'p1' for update`)
      const blocked = store.commit({ links: [link('1')], people: [person('p1', { version: 1 })] })
      const outcome = blocked.then(
        () => 'committed',
        (error: unknown) => error,
      )
      const waiting = `select pid from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`
      while ((await lock.query(waiting)).rowCount === 0);
      await lock.query(`select pg_terminate_backend(w.pid) from (${waiting}) w`)
      expect(await outcome).toBeInstanceOf(StoreUnavailableError)
    } finally {
      await lock.query('rollback')
      lock.release()
    }
    expect(await collect(store.links({}))).toEqual([])
    expect(await store.commit({ people: [person('p1', { version: 1 })] })).toEqual({ kind: 'committed' })
  })

  test('a database that is not there is said to be unavailable, in words without its password', async () => {
    const gone = openStore('postgres://kith:geheim@127.0.0.1:1/kith')
    await expect(gone).rejects.toBeInstanceOf(StoreUnavailableError)
    await expect(gone).rejects.toThrow(/^the database cannot be reached$/)
  })

  test('a refused statement is told without the values in it (I15)', async () => {
    const secret = { ...person('p1'), version: 'Ada Lovelace' as unknown as number }
    const error = await store.commit({ people: [secret] }).then(
      () => null,
      (refusal: Error) => refusal,
    )
    expect(error?.message).toMatch(/^the database refused commit: SQLSTATE 22P02 /)
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('Lovelace')
  })

  test('several processes may migrate an empty database at once, and again later', async () => {
    const own = await freshDatabase({ empty: true })
    try {
      const stores = await Promise.all([1, 2, 3].map(() => openStore(own.url, { poolSize: 1 })))
      await write(stores[0] as Store, { people: [person('p1')] })
      await Promise.all(stores.map((one) => one.close()))
      const later = await openStore(own.url)
      expect(await later.searchPeople('', 9)).toHaveLength(1)
      await later.close()
      await later.close()
    } finally {
      await own.drop()
    }
  })

  test('a database newer than the code is refused, with what to do', async () => {
    const own = await freshDatabase()
    const pool = new pg.Pool({ connectionString: own.url, max: 1 })
    try {
      await pool.query(`insert into kith.migration (number, name) values (99, 'later')`)
      await expect(migrate(pool)).rejects.toBeInstanceOf(StoreFormatError)
      await expect(openStore(own.url)).rejects.toThrow(
        `the database is at format 99, this Kith knows formats up to ${migrations.length}: run the newer Kith`,
      )
    } finally {
      await pool.end()
      await own.drop()
    }
  })

  test('migrations are numbered from one on without a gap', () => {
    expect(migrations.map((migration) => migration.number)).toEqual(migrations.map((_, index) => index + 1))
  })

  test('a claim passes by what another transaction holds', async () => {
    await empty()
    await live(store)
    await write(store, { intents: [intent('i1', { planned_ms: 1 }), intent('i2', { planned_ms: 2 })] })
    const other = await admin.connect()
    try {
      await other.query('begin')
      await other.query(`select id from kith.intent where id = 'i1' for update`)
      expect((await store.claim('crm', 10, 1_000, 2_000)).map((one) => one.id)).toEqual(['i2'])
    } finally {
      await other.query('rollback')
      other.release()
    }
    expect((await store.claim('crm', 10, 1_000, 2_000)).map((one) => one.id)).toEqual(['i1'])
  })

  test('hot statements prepared while the tables are empty look rows up, and do not read tables whole', async () => {
    await empty()
    const one = new Database(database.url, 1)
    try {
      await one.run({ text: 'set plan_cache_mode = force_generic_plan' })
      await claim(one, 'crm', 10, 1, 2)
      await loadRecords(one, 'crm', ['1'])
      await loadPeople(one, ['p1'])
      await known(one, 'crm', ['1'])
      await keyHolders(one, ['email:a'])
      const calls = {
        claim: `claim('crm', 10, 1, 2)`,
        loadRecords: `"loadRecords"('crm', '{1}')`,
        loadPeople: `"loadPeople"('{p1}')`,
        known: `known('crm', '{1}')`,
        keyHolders: `"keyHolders"('{email:a}')`,
      }
      for (const [name, call] of Object.entries(calls)) {
        const { rows } = await one.run({ text: `explain execute ${call}` })
        const plan = rows.map((row) => row['QUERY PLAN'] as string)
        const joined = plan.filter((line) => /Seq Scan on|Join Filter|Hash Join|Merge Join/.test(line))
        // Only the two questions whether there is any such record at all may read an index from its start.
        const unbound = plan.filter(
          (line, at) =>
            /Index (Only )?Scan/.test(line) && !/Index Cond/.test(plan[at + 1] ?? '') && !/link_staged/.test(line),
        )
        expect({
          name,
          joined,
          unbound: unbound.filter((line) => !/ambiguous|link_candidates|link_second/.test(line)),
        }).toEqual({
          name,
          joined: [],
          unbound: [],
        })
      }
      const { rows } = await one.run({ text: `explain execute ${calls.claim}` })
      const plan = rows.map((row) => row['QUERY PLAN'] as string).join('\n')
      expect(plan).toContain('using intent_queue')
      expect(plan).not.toContain('Sort')
    } finally {
      await one.close()
    }
  })
})
