import pg from 'pg'

/** Any numbers will do, as long as they are Kith's own. */
const LEAD_KEY = 4_751_174
const AT_WORK_KEY = 4_751_175

/**
 * Makes sure that one process only leads on a database: a lock that ends with the connection that holds it, and so with the
 * process, however it ends.
 *
 * @returns how to let go, or null when another process holds the lock
 */
export async function holdLeadLock(url: string, onLost: () => void): Promise<(() => Promise<void>) | null> {
  let held = false
  const client = await connect(url, () => {
    if (held) onLost()
    held = false
  })
  if (!(await tryLock(client, LEAD_KEY))) {
    await client.end()
    return null
  }
  held = true
  return async () => {
    held = false
    await end(client)
  }
}

/**
 * Says that this process is at work, for as long as it lives.
 *
 * @param alone called when nobody else is: whatever looks under way was left behind by processes that are no more
 * @returns how to leave, and how many processes are at work at present
 */
export async function enterWork(url: string, alone: () => Promise<void>): Promise<AtWork> {
  const client = await connect(url, () => undefined)
  try {
    const first = await tryLock(client, AT_WORK_KEY)
    if (first) await alone()
    await client.query('select pg_advisory_lock_shared($1)', [AT_WORK_KEY])
    if (first) await client.query('select pg_advisory_unlock($1)', [AT_WORK_KEY])
  } catch (error) {
    await end(client)
    throw error
  }
  return {
    leave: () => end(client),
    count: async () => {
      const { rows } = await client.query<{ count: number }>(COUNT_AT_WORK, [AT_WORK_KEY])
      return rows[0]?.count ?? 1
    },
  }
}

export interface AtWork {
  leave(): Promise<void>
  count(): Promise<number>
}

const COUNT_AT_WORK = `select count(*)::int as count from pg_locks
where locktype = 'advisory' and objid = $1 and mode = 'ShareLock' and granted
  and database = (select oid from pg_database where datname = current_database())`

async function connect(url: string, onError: () => void): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, application_name: 'kith lock', keepAlive: true })
  client.on('error', onError)
  await client.connect()
  return client
}

async function tryLock(client: pg.Client, key: number): Promise<boolean> {
  const { rows } = await client.query<{ held: boolean }>('select pg_try_advisory_lock($1) as held', [key])
  return rows[0]?.held === true
}

async function end(client: pg.Client): Promise<void> {
  await client.end().catch(() => undefined)
}
