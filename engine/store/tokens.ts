import pg from 'pg'
import { FailureError, type Failure } from '../core/failure.ts'
import type { Tokens, TokenStore } from '../core/ports/tokens.ts'
import { translate } from './database.ts'
import { SealError, type Seal } from './seal.ts'

const LOAD = 'select sealed from kith.token where connection = $1'
const SAVE = `insert into kith.token (connection, sealed) values ($1, $2)
on conflict (connection) do update set sealed = excluded.sealed, changed_at = now()`
const DELETE = 'delete from kith.token where connection = $1'
/** Held until the transaction ends; by name, as there need not be a row yet. */
const LOCK = "select pg_advisory_xact_lock(hashtextextended('kith token ' || $1, 0))"

/**
 * How long to wait for another process that changes the same tokens, and how long this one may take over it: an app is asked
 * meanwhile, which may be slow and be asked several times.
 */
const WAIT_MS = 180_000
const LOCK_NOT_AVAILABLE = '55P03'

/**
 * Tokens in Kith's database, sealed. Every call has a connection of its own: they are rare, and one may last as long as an app
 * takes to answer, during which it must not take a place in the store's pool.
 *
 * @param unlock asked for the seal at first use, so that whoever needs no token needs no key
 */
export function openTokenStore(url: string, unlock: () => Promise<Seal>): TokenStore {
  let opened: Promise<Seal> | undefined
  const seal = (): Promise<Seal> => {
    opened ??= unlock()
    // A key that was put right since is looked for again.
    opened.catch(() => (opened = undefined))
    return opened
  }
  const using = async <T>(work: (client: pg.Client) => Promise<T>): Promise<T> => {
    const client = new pg.Client({ connectionString: url, application_name: 'kith tokens', keepAlive: true })
    client.on('error', () => undefined)
    try {
      await client.connect().catch(rethrow)
      return await work(client)
    } finally {
      await client.end().catch(() => undefined)
    }
  }
  /** Works while no other process does, and keeps all of it or nothing. */
  const alone = async <T>(connection: string, work: (client: pg.Client) => Promise<T>): Promise<T> =>
    await using(async (client) => {
      await query(client, 'begin')
      await query(client, `set local lock_timeout = ${WAIT_MS}`)
      await query(client, `set local idle_in_transaction_session_timeout = ${WAIT_MS}`)
      await query(client, LOCK, [connection])
      const result = await work(client)
      await query(client, 'commit')
      return result
    })
  return {
    load: async (connection) => {
      const key = await seal()
      return await using((client) => loaded(client, key, connection))
    },
    change: async (connection, decide) => {
      const key = await seal()
      return await alone(connection, async (client) => {
        const before = await loaded(client, key, connection)
        const after = await decide(before)
        if (after !== before) await save(client, key, connection, after)
        return after
      })
    },
    put: async (connection, tokens) => {
      const key = tokens === null ? null : await seal()
      await alone(connection, async (client) => {
        if (tokens !== null && key !== null) await save(client, key, connection, tokens)
        else await query(client, DELETE, [connection])
      })
    },
  }
}

async function save(client: pg.Client, seal: Seal, connection: string, tokens: Tokens): Promise<void> {
  await query(client, SAVE, [connection, seal.seal(JSON.stringify(tokens), nameOf(connection))])
}

async function loaded(client: pg.Client, seal: Seal, connection: string): Promise<Tokens | null> {
  const { rows } = await query<{ sealed: string }>(client, LOAD, [connection])
  const sealed = rows[0]?.sealed
  if (sealed === undefined) return null
  try {
    // Written by this code alone, and the seal says that nobody else has touched it.
    return JSON.parse(seal.open(sealed, nameOf(connection))) as Tokens
  } catch (error) {
    if (error instanceof SealError) throw new FailureError(failureOf(error, connection))
    throw error
  }
}

function failureOf({ reason }: SealError, connection: string): Failure {
  const again = `sign in again with: kith connect ${connection}`
  if (reason === 'broken') {
    const message = 'The sign-in in the database has been damaged, or belongs to another connection'
    return { kind: 'auth', code: 'BROKEN-SEAL', message, advice: `Please ${again}` }
  }
  return {
    kind: 'auth',
    code: 'WRONG-KEY',
    message: 'The sign-in was sealed with another key than the one in KITH_SECRET_KEY',
    advice: `Set KITH_SECRET_KEY to that key, or name it in KITH_SECRET_KEY_OLD; where it is lost, ${again}`,
  }
}

async function query<Row extends pg.QueryResultRow>(
  client: pg.Client,
  text: string,
  values: readonly string[] = [],
): Promise<pg.QueryResult<Row>> {
  return await client.query<Row>(text, [...values]).catch(rethrow)
}

function rethrow(error: unknown): never {
  if (error instanceof pg.DatabaseError && error.code === LOCK_NOT_AVAILABLE) {
    const message = 'Another process has been renewing the sign-in for too long'
    throw new FailureError({ kind: 'transient', code: error.code, message })
  }
  throw translate(error, 'the tokens')
}

function nameOf(connection: string): string {
  return `connection ${connection}`
}
