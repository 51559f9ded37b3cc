import type { Apart, LikelyPair } from '../core/ports/store.ts'
import type { Database } from './database.ts'

const APART = {
  name: 'apart',
  text: `select a, b from kith.apart where a = any ($1::text[])
union
select a, b from kith.apart where b = any ($1::text[])
order by a, b`,
}

export async function apart(database: Database, subjects: readonly string[]): Promise<Apart[]> {
  if (subjects.length === 0) return []
  const { rows } = await database.run(APART, [[...new Set(subjects)]])
  return rows.map((row) => ({ a: row.a as string, b: row.b as string }))
}

/**
 * Two readings of the tables, whatever their size: each person is put into a few blocks, and only who shares a small block
 * becomes a pair. Only here does a statement look into a person's document; it is asked for by hand, not with every chunk.
 *
 * A piece of a name: a slip of the pen is in its first half or in its second, so two that are one letter apart share the
 * beginning or the end.
 */
const LIKELY = {
  text: `with holder as materialized (
  select l.person_id as id, k.key from kith.link l
  join kith.person p on p.id = l.person_id and p.state = 'live'
  cross join lateral unnest(l.keys) k(key) where l.state = 'linked'
), named as materialized (
  select p.id,
    kith.folded(concat_ws(' ', p.cells->'name.given'->>0, p.cells->'name.family'->>0, case
      when p.cells->'name.given'->>0 is null and p.cells->'name.family'->>0 is null
      then p.cells->'name.display'->>0 end)) as name,
    kith.folded(p.cells->'organisation'->>0) as organisation
  from kith.person p where p.state = 'live'
), member as (
  select 1 as rank, key as block, id from holder where key like 'email:%'
  union
  select 2, key, id from holder where key like 'phone:%'
  union
  select 3, split_part(substr(key, 7), '@', 1), id from holder where key like 'email:%'
    and length(split_part(substr(key, 7), '@', 1)) >= 3
  union
  select 4, name, id from named where length(name) >= 3
  union
  select 5, organisation || '|' || left(name, 4), id from named where length(name) >= 4 and organisation <> ''
  union
  select 6, organisation || '|' || right(name, 4), id from named where length(name) >= 4 and organisation <> ''
), block as (
  select rank, array_agg(id) as ids from member group by rank, block having count(*) between 2 and $2
)
select a, b from block cross join lateral unnest(ids) a cross join lateral unnest(ids) b
where a < b group by a, b order by min(rank), a, b limit $1`,
}

export async function likelyPairs(database: Database, limit: number, block_max: number): Promise<LikelyPair[]> {
  const { rows } = await database.run(LIKELY, [limit, block_max])
  return rows.map((row) => ({ a: row.a as string, b: row.b as string }))
}
