import type { CountedCause } from '../core/health.ts'
import { DUPLICATE, SECOND_RECORD } from '../core/people.ts'
import type { Store } from '../core/ports/store.ts'
import { STANDARD_HOLD } from '../core/standard.ts'
import type { Database, Param } from './database.ts'

/**
 * `countedCause` of core/health.ts, in its order, over all places at once: a test holds the two against each other. The open write
 * and the one under way are two rows of one table, so that each place meets at most one of either.
 */
const CAUSE = `case
  when l.state = 'erased' then 'erased'
  when l.failure is not null or l.state = 'unreadable' then 'broken'
  when l.state = 'ambiguous' then case when starts_with(l.reason, $1) then 'second' else 'match' end
  when o.state = 'parked' then 'refused'
  when p.state = 'erased' then 'erasing'
  when c.pause is not null or c.mode = 'paused' then 'paused'
  when l.state = 'missing' then 'deletions'
  when s.id is not null then 'sending'
  when o.state = 'held' then case
    when o.held is null or o.held = 'approval' then 'approval'
    when o.held = $2 then 'duplicate'
    when starts_with(o.held, $3) then 'standard'
    when o.held = 'observe' then 'observe'
    else 'brake' end
  when o.state = 'pending' then case
    when c.mode = 'observe' then 'observe'
    when c.failure is not null then 'app'
    when o.attempts > 0 then 'retry'
    else 'pending' end
  when l.state = 'staged' then 'matching'
  when l.state = 'second' then 'duplicate'
  when l.recheck then 'reading'
  when u.person_id is not null then 'planning'
  when k.person_id is not null then 'conflict'
  when p.id is null then 'matching'
  when p.state = 'merged' then 'merged'
  when p.state <> 'live' then 'deleted'
  when l.state is null then 'absent'
  else 'agrees' end`

const HEALTH = {
  text: `with place as (
  select c.name as connection, p.id as person_id, l.record_id
  from kith.connection c cross join kith.person p
  left join kith.link l on l.connection = c.name and l.person_id = p.id and l.state <> 'gone'
  where p.state = 'live'
  union all
  select l.connection, l.person_id, l.record_id
  from kith.link l left join kith.person p on p.id = l.person_id
  where l.state <> 'gone' and p.state is distinct from 'live'
)
select t.connection, ${CAUSE} as cause, count(*) as count
from place t
join kith.connection c on c.name = t.connection
left join kith.person p on p.id = t.person_id
left join kith.link l on l.connection = t.connection and l.record_id = t.record_id
left join kith.intent o on o.connection = t.connection and o.person_id = t.person_id and o.state <> 'sending'
left join kith.intent s on s.connection = t.connection and s.person_id = t.person_id and s.state = 'sending'
left join kith.unplanned u on u.person_id = t.person_id
left join (select distinct person_id, connection from kith.conflict) k
  on k.connection = t.connection and k.person_id = t.person_id
group by 1, 2`,
}

export async function healthCounts(database: Database): ReturnType<Store['healthCounts']> {
  const all = new Map<string, { [cause in CountedCause]?: number }>()
  const { rows: known } = await database.run({ text: 'select name from kith.connection' })
  for (const { name } of known) all.set(name as string, {})
  const { rows } = await database.run(HEALTH, [SECOND_RECORD, DUPLICATE, STANDARD_HOLD])
  for (const { connection, cause, count } of rows) {
    const counts = all.get(connection as string)
    if (counts) counts[cause as CountedCause] = count as number
  }
  return all
}

export async function livePeople(
  database: Database,
  { after = '', ids, limit }: Parameters<Store['livePeople']>[0],
): ReturnType<Store['livePeople']> {
  const params: Param[] = [after, limit]
  const only = ids === undefined ? '' : `and p.id = any ($${params.push(ids)}::text[])`
  const { rows } = await database.run(
    {
      text: `select p.id, u.person_id is not null as unplanned
from kith.person p left join kith.unplanned u on u.person_id = p.id
where p.state = 'live' and p.id > $1 ${only} order by p.id limit $2`,
    },
    params,
  )
  return rows.map((row) => ({ id: row.id as string, unplanned: row.unplanned as boolean }))
}
