import type { Consent } from '../core/consent.ts'
import type { KeyHolder, Link, LinkState, Neighbourhood, Store } from '../core/ports/store.ts'
import type { Database, Row } from './database.ts'
import {
  columnsOf,
  CONFLICT_COLUMNS,
  conflictFrom,
  consentFrom,
  INTENT_COLUMNS,
  intentFrom,
  LINK_COLUMNS,
  linkFrom,
  PERSON_COLUMNS,
  personFrom,
} from './rows.ts'

/**
 * One statement, and thereby one snapshot and one round trip: `asked` are the links asked for, `wanted` the people,
 * both with no more than their names: whole rows are copied once, into the answer.
 *
 * A record is suspected of being a person when it is staged and shares a key with one of the person's records, or is
 * ambiguous (or a second one) with the person among its candidates. In a settled household there are no such records, and nothing is looked
 * up for them.
 */
const NEIGHBOURHOOD = `
suspected as (
  select distinct w.id as person_id, s.connection
  from wanted w cross join lateral (
    select keys from kith.link where person_id = w.id offset 0) m
  cross join lateral unnest(m.keys) k(key) cross join lateral (
    select connection, state from kith.link where keys @> array[k.key] and state <> 'gone' offset 0) s
  where s.state = 'staged' and exists (select 1 from kith.link where state = 'staged')
  union
  select w.id, a.connection
  from wanted w cross join lateral (
    select connection from kith.link where candidates @> array[w.id] and state = 'ambiguous' offset 0) a
  where exists (select 1 from kith.link where state = 'ambiguous')
  union
  select w.id, a.connection
  from wanted w cross join lateral (
    select connection from kith.link where candidates @> array[w.id] and state = 'second' offset 0) a
  where exists (select 1 from kith.link where state = 'second')
)
select
  (select json_agg(p) from (
    select ${columnsOf('p', PERSON_COLUMNS)} from wanted w cross join lateral (
      select ${PERSON_COLUMNS} from kith.person where id = w.id offset 0) p) p) as people,
  (select json_agg(l) from (
    select ${columnsOf('l', LINK_COLUMNS)} from wanted w cross join lateral (
      select ${LINK_COLUMNS} from kith.link where person_id = w.id offset 0) l) l) as links,
  (select json_agg(l) from (
    select ${columnsOf('l', LINK_COLUMNS)} from asked a cross join lateral (
      select ${LINK_COLUMNS} from kith.link
      where connection = a.connection and record_id = a.record_id offset 0) l
    where a.person_id is null) l) as alone,
  (select json_agg(i) from (
    select ${columnsOf('i', INTENT_COLUMNS)} from wanted w cross join lateral (
      select ${INTENT_COLUMNS} from kith.intent where person_id = w.id offset 0) i) i) as intents,
  (select json_agg(c) from (
    select ${columnsOf('c', CONFLICT_COLUMNS)} from wanted w cross join lateral (
      select ${CONFLICT_COLUMNS} from kith.conflict where person_id = w.id offset 0) c) c) as conflicts,
  (select json_agg(s) from suspected s) as suspected`

const LOAD_RECORDS = {
  name: 'loadRecords',
  text: `with asked as materialized (
  select l.connection, l.record_id, l.person_id from unnest($2::text[]) r(id) cross join lateral (
    select connection, record_id, person_id from kith.link where connection = $1 and record_id = r.id offset 0) l
),
wanted as materialized (select distinct person_id as id from asked where person_id is not null),
${NEIGHBOURHOOD}`,
}

const LOAD_PEOPLE = {
  name: 'loadPeople',
  text: `with wanted as materialized (select distinct r.id from unnest($1::text[]) r(id)),
asked as materialized (select null as connection, null as record_id, null as person_id where false),
${NEIGHBOURHOOD}`,
}

const KNOWN = {
  name: 'known',
  text: `select l.record_id, l.rev, l.state, l.broken
from unnest($2::text[]) r(id) cross join lateral (
  select record_id, rev, state, failure is not null as broken from kith.link
  where connection = $1 and record_id = r.id offset 0) l`,
}

const KEY_HOLDERS = {
  name: 'keyHolders',
  text: `select k.key, l.connection, l.record_id, l.person_id, l.state
from (select distinct key from unnest($1::text[]) k(key)) k cross join lateral (
  select connection, record_id, person_id, state from kith.link
  where keys @> array[k.key] and state <> 'gone' offset 0) l
order by k.key, l.connection, l.record_id`,
}

const CONSENT_COLUMNS = 'state, stamp_at, stamp_by, opt_in_ms, restricted_ms, events, version'

/** What is known of an address that is barred by an erasure stands under its hash. */
const CONSENTS = {
  name: 'consents',
  text: `select r.key, c.* from unnest($1::text[]) r(key) cross join lateral (
  select ${CONSENT_COLUMNS} from kith.consent where key = r.key offset 0) c
union all
select r.key, c.* from unnest($1::text[]) r(key) cross join lateral (
  select ${CONSENT_COLUMNS} from kith.consent where key = 'erased:' || kith.keyed_hash(r.key) offset 0) c
where exists (select 1 from kith.erasure)`,
}

const STAGED = {
  name: 'staged',
  text: `select ${LINK_COLUMNS} from kith.link where state = 'staged' and (connection, record_id) > ($2, $3)
order by connection, record_id limit $1`,
}

const RECHECKS = {
  name: 'rechecks',
  text: `select l.connection, l.record_id from kith.link l
where l.recheck and not exists (
  select 1 from kith.intent s
  where s.connection = l.connection and s.state = 'sending'
    and (s.record_id = l.record_id or s.person_id = l.person_id) offset 0)
order by l.connection, l.record_id limit $1`,
}

const ROUND = { name: 'round', text: 'select round from kith.matching' }

export async function loadRecords(
  database: Database,
  connection: string,
  recordIds: readonly string[],
): Promise<Neighbourhood> {
  if (recordIds.length === 0) return NOTHING
  const { rows } = await database.run(LOAD_RECORDS, [connection, [...new Set(recordIds)]])
  return neighbourhoodFrom(rows[0])
}

export async function loadPeople(database: Database, personIds: readonly string[]): Promise<Neighbourhood> {
  if (personIds.length === 0) return NOTHING
  const { rows } = await database.run(LOAD_PEOPLE, [personIds])
  return neighbourhoodFrom(rows[0])
}

export async function known(
  database: Database,
  connection: string,
  recordIds: readonly string[],
): ReturnType<Store['known']> {
  if (recordIds.length === 0) return new Map()
  const { rows } = await database.run(KNOWN, [connection, recordIds])
  return new Map(
    rows.map((row) => [
      row.record_id as string,
      { rev: row.rev as string | null, state: row.state as LinkState, broken: row.broken as boolean },
    ]),
  )
}

export async function keyHolders(database: Database, keys: readonly string[]): Promise<KeyHolder[]> {
  if (keys.length === 0) return []
  const { rows } = await database.run(KEY_HOLDERS, [keys])
  return rows.map((row) => ({
    key: row.key as string,
    connection: row.connection as string,
    recordId: row.record_id as string,
    personId: row.person_id as string | null,
    state: row.state as LinkState,
  }))
}

export async function consents(database: Database, keys: readonly string[]): Promise<Consent[]> {
  if (keys.length === 0) return []
  const { rows } = await database.run(CONSENTS, [[...new Set(keys)]])
  return rows.map(consentFrom)
}

/** The round is read first: whoever matches between the two statements makes the commit of this one lose. */
export async function staged(
  database: Database,
  limit: number,
  after = { connection: '', recordId: '' },
): Promise<{ links: Link[]; round: number }> {
  const round = (await database.run(ROUND)).rows[0]?.round as number
  const { rows } = await database.run(STAGED, [limit, after.connection, after.recordId])
  return { links: rows.map(linkFrom), round }
}

export async function rechecks(database: Database, limit: number): Promise<{ connection: string; recordId: string }[]> {
  const { rows } = await database.run(RECHECKS, [limit])
  return rows.map((row) => ({ connection: row.connection as string, recordId: row.record_id as string }))
}

const NOTHING: Neighbourhood = { people: [], links: [], intents: [], conflicts: [], suspected: new Map() }

function neighbourhoodFrom(row: Row | undefined): Neighbourhood {
  const rowsOf = (column: string): Row[] => (row?.[column] ?? []) as Row[]
  const suspected = new Map<string, Set<string>>()
  for (const one of rowsOf('suspected')) {
    const id = one.person_id as string
    const connections = suspected.get(id)
    if (connections) connections.add(one.connection as string)
    else suspected.set(id, new Set([one.connection as string]))
  }
  return {
    people: rowsOf('people').map(personFrom),
    links: [...rowsOf('links'), ...rowsOf('alone')].map(linkFrom),
    intents: rowsOf('intents').map(intentFrom),
    conflicts: rowsOf('conflicts').map(conflictFrom),
    suspected,
  }
}
