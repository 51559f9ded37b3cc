import { createHmac } from 'node:crypto'
import type { Certificate, Erasure, Waiver } from '../core/erasure.ts'
import type { Holdings } from '../core/ports/store.ts'
import type { Database, Param, Row } from './database.ts'

/** The hash that the database makes of a text (`kith.keyed_hash`): HMAC-SHA-256, in hex. */
export function keyedHash(key: Uint8Array, text: string): string {
  return createHmac('sha256', key).update(text, 'utf8').digest('hex')
}

export async function absorbed(database: Database, people: readonly string[]): Promise<string[]> {
  const { rows } = await database.run(
    {
      text: `with recursive merged as (
  select id from kith.person where merged_into = any ($1::text[])
  union
  select p.id from kith.person p join merged m on p.merged_into = m.id
)
select id from merged order by id`,
    },
    [[...people]],
  )
  return rows.map((row) => row.id as string)
}

const BARRED = {
  name: 'barred',
  text: `select k.key, b.erasure from (select distinct key from unnest($1::text[]) k(key)) k cross join lateral (
  select erasure from kith.barred where hash = kith.keyed_hash(k.key) order by erasure limit 1) b
where exists (select 1 from kith.barred)`,
}

export async function barred(database: Database, keys: readonly string[]): Promise<ReadonlyMap<string, string>> {
  if (keys.length === 0) return new Map()
  const { rows } = await database.run(BARRED, [[...new Set(keys)]])
  return new Map(rows.map((row) => [row.key as string, row.erasure as string]))
}

export async function barredBy(database: Database, erasure: string): Promise<string[]> {
  const { rows } = await database.run({ text: 'select hash from kith.barred where erasure = $1 order by hash' }, [
    erasure,
  ])
  return rows.map((row) => row.hash as string)
}

export async function fingerprints(database: Database, texts: readonly string[]): Promise<string[]> {
  if (texts.length === 0) return []
  const { rows } = await database.run(
    {
      text: 'select kith.keyed_hash(t.text) as hash from unnest($1::text[]) with ordinality t(text, place) order by place',
    },
    [texts],
  )
  return rows.map((row) => row.hash as string)
}

export async function erasures(
  database: Database,
  filter: { id?: string; state?: Erasure['state']; limit: number },
): Promise<Erasure[]> {
  const params: Param[] = [filter.limit]
  const conditions: string[] = ['true']
  if (filter.id !== undefined) conditions.push(`id = $${params.push(filter.id)}`)
  if (filter.state !== undefined) conditions.push(`state = $${params.push(filter.state)}`)
  const text = `select id, opened_ms, actor, why, people, state, of, waived, certificate, lifted from kith.erasure
where ${conditions.join(' and ')} order by opened_ms desc, id desc limit $1`
  return (await database.run({ text }, params)).rows.map(erasureFrom)
}

function erasureFrom(row: Row): Erasure {
  return {
    id: row.id as string,
    opened_ms: row.opened_ms as number,
    by: row.actor as string,
    why: row.why as string,
    people: row.people as string[],
    state: row.state as Erasure['state'],
    waived: row.waived as Erasure['waived'],
    ...(row.of === null ? {} : { of: row.of as string }),
    ...(row.certificate === null ? {} : { certificate: row.certificate as Certificate }),
    ...(row.lifted === null ? {} : { lifted: row.lifted as Waiver }),
  }
}

export function erasureRow({ id, opened_ms, by, why, people, of }: Erasure): Row {
  return { id, opened_ms, actor: by, why, people, of }
}

export async function waive(database: Database, erasure: string, connection: string, waiver: Waiver): Promise<boolean> {
  const { count } = await database.run(
    {
      text: `update kith.erasure set waived = (waived::jsonb || jsonb_build_object($2::text, $3::jsonb))::json
where id = $1 and state = 'open'`,
    },
    [erasure, connection, { json: waiver }],
  )
  return count > 0
}

export async function holdings(database: Database, people: readonly string[]): Promise<Holdings> {
  const { rows } = await database.run(
    {
      text: `select
  (select count(*) from kith.person p cross join lateral json_object_keys(p.cells) where p.id = any ($1)) as cells,
  (select count(*) from kith.link where person_id = any ($1)) as records,
  (select count(*) from kith.change where person_id = any ($1)) as log,
  (select count(*) from kith.delivery where person_id = any ($1)) as deliveries,
  (select count(*) from kith.conflict where person_id = any ($1)) as conflicts,
  (select count(*) from kith.apart a where exists (
    select 1 from unnest($1::text[]) p(id) where 'person:' || p.id in (a.a, a.b))) as apart,
  (select count(*) from kith.kept k where exists (
    select 1 from kith.link l where l.connection = k.connection and l.record_id = k.record_id and l.person_id = any ($1)))
    + (select count(*) from kith.baseline where person_id = any ($1)) as kept`,
    },
    [[...people]],
  )
  return rows[0] as unknown as Holdings
}

export async function purge(
  database: Database,
  erasure: string,
  certificate: Certificate,
  texts: readonly string[],
): Promise<boolean> {
  const { rows } = await database.run({ text: 'select kith.purge($1, $2, $3) as done' }, [
    erasure,
    { json: certificate },
    [...texts],
  ])
  return rows[0]?.done as boolean
}

export async function liftErasure(database: Database, erasure: string, waiver: Waiver): Promise<boolean> {
  const { rows } = await database.run({ text: 'select kith.lift_erasure($1, $2) as done' }, [erasure, { json: waiver }])
  return rows[0]?.done as boolean
}
