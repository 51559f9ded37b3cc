import type { Json } from '../core/json.ts'
import type { ConnectionState, Store } from '../core/ports/store.ts'
import type { Database, Param } from './database.ts'
import { connectionFrom } from './rows.ts'

const CONNECTIONS = {
  name: 'connections',
  text: `select name, app, mode, cursor, read_with, pass, chunk, scanned, last_read_ms, failure, held, pause, paused_ms
from kith.connection order by name`,
}
const GET_FACT = { name: 'getFact', text: 'select value from kith.fact where name = $1' }
const SET_FACT = {
  name: 'setFact',
  text: 'insert into kith.fact (name, value) values ($1, $2) on conflict (name) do update set value = excluded.value',
}

export async function ensureConnections(
  database: Database,
  wanted: readonly { name: string; app: string; mode: ConnectionState['mode'] }[],
): Promise<void> {
  await database.run(
    {
      text: `insert into kith.connection (name, app, mode)
select name, app, mode from json_to_recordset($1) as r(name text, app text, mode text) order by name on conflict do nothing`,
    },
    [{ json: wanted }],
  )
}

export async function connections(database: Database): Promise<ConnectionState[]> {
  return (await database.run(CONNECTIONS)).rows.map(connectionFrom)
}

/** @throws RangeError for a connection that has no row */
export async function startPass(database: Database, connection: string): Promise<number> {
  const { rows } = await database.run(
    {
      name: 'startPass',
      text: 'update kith.connection set pass = pass + 1, chunk = 0 where name = $1 returning pass',
    },
    [connection],
  )
  const pass = rows[0]?.pass
  if (pass === undefined) throw new RangeError(`no connection named ${connection} in the store`)
  return pass as number
}

export async function resetCursor(database: Database, connection: string): Promise<void> {
  await database.run({ text: 'update kith.connection set cursor = null where name = $1' }, [connection])
}

export async function saveConnection(
  database: Database,
  connection: string,
  patch: Parameters<Store['saveConnection']>[1],
): Promise<void> {
  const params: Param[] = [connection]
  const sets: string[] = []
  if (patch.mode !== undefined) sets.push(`mode = $${params.push(patch.mode)}`)
  if (patch.held !== undefined) sets.push(`held = $${params.push(patch.held)}`)
  if (patch.lastRead_ms !== undefined) sets.push(`last_read_ms = $${params.push(patch.lastRead_ms)}`)
  if (patch.failure !== undefined) {
    sets.push(`failure = $${params.push(patch.failure === null ? null : { json: patch.failure })}`)
  }
  if (sets.length === 0) return
  await database.run({ text: `update kith.connection set ${sets.join(', ')} where name = $1` }, params)
}

export async function getFact(database: Database, name: string): Promise<Json | null> {
  const { rows } = await database.run(GET_FACT, [name])
  return (rows[0]?.value ?? null) as Json | null
}

export async function setFact(database: Database, name: string, value: Json): Promise<void> {
  await database.run(SET_FACT, [name, { json: value }])
}
