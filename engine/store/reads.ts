import type { Act } from '../core/act.ts'
import type { JsonObject } from '../core/json.ts'
import type { Person } from '../core/person.ts'
import type { Conflict, ConnectionCounts, Link, LogEntry, Store, Unplanned } from '../core/ports/store.ts'
import type { Database, Param } from './database.ts'
import { PAGE_ROWS } from './outbox.ts'
import {
  actFrom,
  CHANGE_COLUMNS,
  CONFLICT_COLUMNS,
  conflictFrom,
  intentFrom,
  LINK_COLUMNS,
  linkFrom,
  logEntryFrom,
  PERSON_COLUMNS,
  personFrom,
} from './rows.ts'
import { searchQuery } from './search.ts'

const KNOWN_IDS = {
  name: 'knownIds',
  text: `select record_id from kith.link
where connection = $1 and record_id > $2 and state <> 'gone'
order by record_id limit $3`,
}

/** Batches of at most {@link PAGE_ROWS}, in the order of the ids. */
export async function* knownIds(database: Database, connection: string): AsyncIterable<string[]> {
  for (let after: string | undefined = ''; after !== undefined;) {
    const { rows } = await database.run(KNOWN_IDS, [connection, after, PAGE_ROWS])
    const ids = rows.map((row) => row.record_id as string)
    if (ids.length > 0) yield ids
    after = ids.length < PAGE_ROWS ? undefined : ids.at(-1)
  }
}

export async function* links(database: Database, filter: Parameters<Store['links']>[0]): AsyncIterable<Link> {
  let { after } = filter
  do {
    const params: Param[] = [PAGE_ROWS]
    const conditions: string[] = ['true']
    if (filter.connection !== undefined) conditions.push(`connection = $${params.push(filter.connection)}`)
    if (filter.state !== undefined) conditions.push(`state = $${params.push(filter.state)}`)
    if (filter.broken !== undefined) conditions.push(`failure is ${filter.broken ? 'not null' : 'null'}`)
    if (after) {
      conditions.push(`(connection, record_id) > ($${params.push(after.connection)}, $${params.push(after.recordId)})`)
    }
    const text = `select ${LINK_COLUMNS} from kith.link where ${conditions.join(' and ')} order by connection, record_id limit $1`
    const page: Link[] = (await database.run({ text }, params)).rows.map(linkFrom)
    yield* page
    after = page.length < PAGE_ROWS ? undefined : page.at(-1)
  } while (after)
}

export async function* conflicts(database: Database): AsyncIterable<Conflict> {
  let after: Conflict | undefined
  do {
    const params: Param[] = [PAGE_ROWS]
    const condition = after
      ? `where (person_id, cell, connection) > ($${params.push(after.personId)}, $${params.push(after.cell)}, $${params.push(after.connection)})`
      : ''
    const text = `select ${CONFLICT_COLUMNS} from kith.conflict ${condition} order by person_id, cell, connection limit $1`
    const page: Conflict[] = (await database.run({ text }, params)).rows.map(conflictFrom)
    yield* page
    after = page.length < PAGE_ROWS ? undefined : page.at(-1)
  } while (after)
}

const NO_COUNTS: ConnectionCounts = {
  linked: 0,
  staged: 0,
  ambiguous: 0,
  second: 0,
  missing: 0,
  erased: 0,
  broken: 0,
  pending: 0,
  sending: 0,
  held: 0,
  parked: 0,
}

/** Every connection that has a row, a record or an intent. Gone links are not counted, and are not broken either. */
export async function counts(database: Database): ReturnType<Store['counts']> {
  const { rows } = await database.run({
    text: `select name as connection, null as what, 0::bigint as count from kith.connection
union all
select connection, state, count(*) from kith.link where state not in ('gone', 'unreadable') group by connection, state
union all
select connection, 'broken', count(*) from kith.link where state <> 'gone' and failure is not null group by connection
union all
select connection, state, count(*) from kith.intent group by connection, state`,
  })
  const all = new Map<string, ConnectionCounts>()
  for (const row of rows) {
    const connection = row.connection as string
    const so_far = all.get(connection) ?? NO_COUNTS
    all.set(connection, row.what === null ? so_far : { ...so_far, [row.what as string]: row.count as number })
  }
  return all
}

export async function unplanned(database: Database, limit: number): Promise<Unplanned[]> {
  const { rows } = await database.run(
    {
      name: 'unplanned',
      text: `select u.person_id, u.mark from kith.unplanned u
where not exists (
  select from kith.intent i where i.person_id = u.person_id and case when i.state = 'sending' then true end offset 0)
order by u.person_id limit $1`,
    },
    [limit],
  )
  return rows.map((row) => ({ personId: row.person_id as string, mark: row.mark as number }))
}

/** Whoever is written while this runs carries a flag already, or was decided under the new rules. */
export async function replanAll(database: Database): Promise<number> {
  const { rows } = await database.run({
    text: `with flagged as (
  insert into kith.unplanned (person_id) select id from kith.person order by id
  on conflict (person_id) do update set mark = excluded.mark
)
select count(*) as count from kith.person`,
  })
  return rows[0]?.count as number
}

/**
 * Live people, and the one with exactly this id whatever became of them. First those with an item that is the text, then
 * those with one that starts with it, then the others; by id among equals.
 */
export async function searchPeople(database: Database, text: string, limit: number): Promise<Person[]> {
  const query = searchQuery(text)
  const { rows } =
    query === ''
      ? await database.run(
          { text: `select ${PERSON_COLUMNS} from kith.person where state = 'live' order by id limit $1` },
          [limit],
        )
      : await database.run(
          {
            text: `select ${PERSON_COLUMNS} from kith.person
where position($1 in search) > 0 and (state = 'live' or lower(id) = $1)
order by case when position(E'\\n' || $1 || E'\\n' in search) > 0 then 0
  when position(E'\\n' || $1 in search) > 0 then 1 else 2 end, id
limit $2`,
          },
          [query, limit],
        )
  return rows.map(personFrom)
}

export async function log(database: Database, filter: Parameters<Store['log']>[0]): Promise<LogEntry[]> {
  const params: Param[] = [filter.limit]
  const conditions: string[] = ['true']
  if (filter.personId !== undefined) conditions.push(`person_id = $${params.push(filter.personId)}`)
  if (filter.connection !== undefined) conditions.push(`stamp_by = $${params.push(filter.connection)}`)
  if (filter.cell !== undefined) conditions.push(`cell = $${params.push(filter.cell)}`)
  if (filter.since_ms !== undefined) conditions.push(`heard_ms >= $${params.push(filter.since_ms)}`)
  if (filter.until_ms !== undefined) conditions.push(`heard_ms <= $${params.push(filter.until_ms)}`)
  if (filter.rule !== undefined) conditions.push(`rule = $${params.push(filter.rule)}`)
  if (filter.people !== undefined) conditions.push(`person_id = any ($${params.push(filter.people)}::text[])`)
  if (filter.act !== undefined) conditions.push(`act = $${params.push(filter.act)}`)
  if (filter.pass !== undefined) conditions.push(`pass = $${params.push(filter.pass)}`)
  if (filter.beforeId !== undefined) conditions.push(`id < $${params.push(filter.beforeId)}`)
  if (filter.fromId !== undefined) conditions.push(`id >= $${params.push(filter.fromId)}`)
  const text = `select ${CHANGE_COLUMNS} from kith.change where ${conditions.join(' and ')} order by id desc limit $1`
  return (await database.run({ text }, params)).rows.map(logEntryFrom)
}

export async function oldestLog(database: Database): Promise<number | null> {
  const { rows } = await database.run({ text: 'select heard_ms from kith.change order by id limit 1' })
  return (rows[0]?.heard_ms as number | undefined) ?? null
}

export async function acts(database: Database, filter: Parameters<Store['acts']>[0]): Promise<Act[]> {
  const params: Param[] = [filter.limit]
  const conditions: string[] = ['true']
  if (filter.id !== undefined) conditions.push(`id = $${params.push(filter.id)}`)
  if (filter.since_ms !== undefined) conditions.push(`at_ms >= $${params.push(filter.since_ms)}`)
  if (filter.kind !== undefined) conditions.push(`kind = $${params.push(filter.kind)}`)
  const text = `select id, at_ms, actor, why, kind, about from kith.act where ${conditions.join(' and ')}
order by at_ms desc, id desc limit $1`
  return (await database.run({ text }, params)).rows.map(actFrom)
}

export async function deliveries(database: Database, personId: string, limit: number): ReturnType<Store['deliveries']> {
  const { rows } = await database.run(
    {
      text: `select id, connection, person_id, op, record_id, rev, archive, fields, cells, 'done' as state, null as held, released,
  attempts, not_before_ms, planned_ms, failure, answer, settled_ms
from kith.delivery where person_id = $1 order by number desc limit $2`,
    },
    [personId, limit],
  )
  return rows.map((row) => ({
    ...intentFrom(row),
    answer: row.answer as JsonObject | null,
    settled_ms: row.settled_ms as number,
  }))
}

/** Tallies from before that time go too, uncounted. */
export async function prune(database: Database, before_ms: number): Promise<number> {
  const changes = await database.run({ text: 'delete from kith.change where heard_ms < $1' }, [before_ms])
  const deliveries = await database.run({ text: 'delete from kith.delivery where settled_ms < $1' }, [before_ms])
  await database.run({ text: 'delete from kith.tally where bucket_ms < $1' }, [before_ms])
  return changes.count + deliveries.count
}
