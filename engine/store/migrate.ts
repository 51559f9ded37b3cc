import type pg from 'pg'
import { translate } from './database.ts'
import { migrations } from './migrations/index.ts'

/** One number for every Kith there is: who holds it migrates, the others wait. */
const LOCK = 5_471_101

/** The database is there, and is not one that this code can work with. The message says what to do. */
export class StoreFormatError extends Error {
  override readonly name = 'StoreFormatError'
}

/**
 * Brings the database up to this code: what is missing runs in one transaction, under a lock, so that several processes
 * may start at once.
 *
 * @throws StoreFormatError when the database is newer than the code, or is not in UTF-8; nothing is changed then
 */
export async function migrate(pool: pg.Pool): Promise<void> {
  const client = await pool.connect().catch((error: unknown) => {
    throw translate(error, 'the connection')
  })
  // A connection that breaks while it is ours is reported by the statement under way.
  client.on('error', ignore)
  let broken: unknown
  try {
    await client.query('begin')
    await client.query('select pg_advisory_xact_lock($1)', [LOCK])
    const encoding = await client.query<{ encoding: string }>(
      `select current_setting('server_encoding')::text as encoding`,
    )
    if (encoding.rows[0]?.encoding !== 'UTF8') {
      throw new StoreFormatError(
        `the database is encoded in ${encoding.rows[0]?.encoding}; Kith needs one created with: encoding 'UTF8'`,
      )
    }
    await client.query('create schema if not exists kith')
    await client.query(
      'create table if not exists kith.migration (number integer primary key, name text not null, applied_at timestamptz not null default now())',
    )
    const applied = await client.query<{ number: number }>('select number from kith.migration')
    const numbers = new Set(applied.rows.map((row) => row.number))
    const known = Math.max(...migrations.map((migration) => migration.number))
    const newest = Math.max(0, ...numbers)
    if (newest > known) {
      throw new StoreFormatError(
        `the database is at format ${newest}, this Kith knows formats up to ${known}: run the newer Kith, or restore a backup made before the upgrade`,
      )
    }
    for (const migration of migrations) {
      if (numbers.has(migration.number)) continue
      await client.query(migration.sql)
      await client.query('insert into kith.migration (number, name) values ($1, $2)', [
        migration.number,
        migration.name,
      ])
    }
    await client.query('commit')
  } catch (error) {
    broken = error instanceof StoreFormatError ? error : translate(error, 'a migration')
    await client.query('rollback').catch(ignore)
    throw broken
  } finally {
    client.off('error', ignore)
    // Not handed to anyone else after a failure: its state is not known.
    client.release(broken !== undefined)
  }
}

function ignore(): void {}
