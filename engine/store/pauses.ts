import type { Act } from '../core/act.ts'
import type { Json, JsonObject } from '../core/json.ts'
import type { AppRecord } from '../core/ports/connector.ts'
import type { Baseline, Kept, LinkState, Pause } from '../core/ports/store.ts'
import type { Database, Param, Row } from './database.ts'
import { PAGE_ROWS } from './outbox.ts'
import { actRow } from './rows.ts'

/** See migrations/0007-pause.ts for what each step locks and does. */
export async function beginPause(
  database: Database,
  connection: string,
  pause: Omit<Pause, 'since_ms'>,
  act: Act,
): Promise<boolean> {
  const text = 'select kith.begin_pause($1, $2, $3) as begun'
  const { rows } = await database.run({ text }, [connection, { json: pause }, { json: actRow(act) }])
  return rows[0]?.begun as boolean
}

export async function settlePause(
  database: Database,
  connection: string,
  id: string,
  now_ms: number,
): Promise<number | null> {
  const text = 'select kith.settle_pause($1, $2, $3) as waiting'
  const { rows } = await database.run({ text }, [connection, id, now_ms])
  return (rows[0]?.waiting ?? null) as number | null
}

export async function endPause(database: Database, connection: string, id: string): Promise<number | null> {
  const { rows } = await database.run({ text: 'select kith.end_pause($1, $2) as waiting' }, [connection, id])
  return (rows[0]?.waiting ?? null) as number | null
}

const KEPT = 'connection, record_id, record, gone, merged_into, heard_ms, mark'

/** Page by page in the order of hearing: what is heard meanwhile comes at the end. */
export async function* kept(
  database: Database,
  connection: string,
  recordIds?: readonly string[],
): AsyncIterable<Kept> {
  for (let after = 0; ;) {
    const params: Param[] = [connection, after, PAGE_ROWS]
    const only = recordIds === undefined ? '' : `and record_id = any ($${params.push([...recordIds])})`
    const text = `select ${KEPT} from kith.kept where connection = $1 and mark > $2 ${only} order by mark limit $3`
    const page = (await database.run({ text }, params)).rows.map(keptFrom)
    yield* page
    const last = page.at(-1)
    if (page.length < PAGE_ROWS || !last) return
    after = last.mark
  }
}

export async function keptCount(database: Database, connection: string): Promise<number> {
  const text = 'select count(*) as count from kith.kept where connection = $1'
  return (await database.run({ text }, [connection])).rows[0]?.count as number
}

export async function* baseline(database: Database, connection: string): AsyncIterable<Baseline> {
  for (let after = ''; ;) {
    const text = `select record_id, person_id, state, fields, rev, rewrites from kith.baseline
where connection = $1 and record_id > $2 order by record_id limit $3`
    const page = (await database.run({ text }, [connection, after, PAGE_ROWS])).rows.map(baselineFrom)
    yield* page
    const last = page.at(-1)
    if (page.length < PAGE_ROWS || !last) return
    after = last.recordId
  }
}

export function keptRow({ connection, recordId, record, end, heard_ms, mark }: Kept): Row {
  const merged_into = end?.kind === 'merged' ? end.into : undefined
  return { connection, record_id: recordId, record, gone: end?.kind === 'gone', merged_into, heard_ms, mark }
}

function keptFrom(row: Row): Kept {
  const into = row.merged_into as string | null
  return {
    connection: row.connection as string,
    recordId: row.record_id as string,
    record: row.record as unknown as AppRecord | null,
    end: into !== null ? { kind: 'merged', into } : row.gone === true ? { kind: 'gone' } : null,
    heard_ms: row.heard_ms as number,
    mark: row.mark as number,
  }
}

function baselineFrom(row: Row): Baseline {
  return {
    recordId: row.record_id as string,
    personId: row.person_id as string | null,
    state: row.state as LinkState,
    fields: row.fields as JsonObject,
    rev: row.rev as string | null,
    rewrites: row.rewrites as { [field: string]: { sent: Json; got: Json } },
  }
}
