import pg from 'pg'
import { translate } from './database.ts'

/** Insufficient privilege: this user may not make databases. */
const FORBIDDEN = '42501'

/**
 * A database of its own on somebody's server, for a moment.
 *
 * @param name in small letters, digits and _
 * @returns null where the user may not make one
 * @throws StoreUnavailableError
 */
export async function makeScratch(
  url: string,
  name: string,
): Promise<{ readonly url: string; drop(): Promise<void> } | null> {
  const run = async (sql: string): Promise<void> => {
    const client = new pg.Client({ connectionString: url, application_name: 'kith scratch' })
    try {
      await client.connect()
      await client.query(sql)
    } finally {
      await client.end().catch(() => undefined)
    }
  }
  try {
    await run(`create database ${name} template template0 encoding 'UTF8'`)
  } catch (error) {
    if (error instanceof pg.DatabaseError && error.code === FORBIDDEN) return null
    throw translate(error, 'a database for the proof')
  }
  const scratch = new URL(url)
  scratch.pathname = `/${name}`
  return { url: scratch.href, drop: () => run(`drop database if exists ${name} with (force)`) }
}
