import pg from 'pg'

/** Any number will do, as long as it is Kith's own. */
const LOCK_KEY = 4_751_174

/**
 * Makes sure that one daemon only runs on a database: a lock that ends with the connection that holds it, and so with the
 * process, however it ends.
 *
 * @returns how to let go, or null when another daemon holds the lock
 */
export async function holdDaemonLock(url: string, onLost: () => void): Promise<(() => Promise<void>) | null> {
  const client = new pg.Client({ connectionString: url, application_name: 'kith daemon', keepAlive: true })
  let held = false
  client.on('error', () => {
    if (held) onLost()
    held = false
  })
  await client.connect()
  const { rows } = await client.query<{ held: boolean }>('select pg_try_advisory_lock($1) as held', [LOCK_KEY])
  if (!rows[0]?.held) {
    await client.end()
    return null
  }
  held = true
  return async () => {
    held = false
    await client.end().catch(() => undefined)
  }
}
