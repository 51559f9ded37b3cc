import { createHash } from 'node:crypto'
import type { Inbox } from '../core/ports/inbox.ts'
import { Database } from './database.ts'

/**
 * Connections of its own: an app that waits for its answer does not wait behind the workers' statements. They are opened when
 * the first hook comes, so that whoever takes none has none.
 */
const POOL_SIZE = 3

/** Both tables in one statement, and so in one transaction and one round trip. */
const TAKE = {
  name: 'takeHook',
  text: `with fresh as (
  insert into kith.hook_event (connection, event, seen_ms) select $1, event, $3 from unnest($2::text[]) as e(event)
  on conflict do nothing returning 1
), named as (
  insert into kith.announced (connection, record_id, announced_ms) select $1, id, $3 from unnest($4::text[]) as r(id)
  where cardinality($2::text[]) = 0 or exists (select from fresh)
  on conflict (connection, record_id) do update set mark = excluded.mark
)
select (cardinality($2::text[]) = 0 or exists (select from fresh)) as taken`,
}
const WAITING = {
  name: 'waitingHooks',
  text: 'select record_id, mark from kith.announced where connection = $1 order by mark limit $2',
}
const HEARD = {
  name: 'heardHooks',
  text: `delete from kith.announced a using unnest($2::text[], $3::text[]) as h(record_id, mark)
where a.connection = $1 and a.record_id = h.record_id and a.mark = h.mark::bigint`,
}
const CONNECTIONS = { name: 'hookConnections', text: 'select distinct connection from kith.announced' }
const PRUNE = {
  name: 'pruneHooks',
  text: `with events as (delete from kith.hook_event where seen_ms < $1 returning 1),
records as (delete from kith.announced where announced_ms < $1 returning 1)
select (select count(*) from events) + (select count(*) from records) as pruned`,
}

/** The inbox in Postgres. The tables are those of {@link openStore}, which comes first. */
export function openInbox(url: string): Inbox {
  const database = new Database(url, POOL_SIZE)
  return {
    take: async ({ connection, eventIds, records, now_ms }) => {
      const events = ordered(eventIds.map(digest))
      const { rows } = await database.run(TAKE, [connection, events, now_ms, ordered(records)])
      return rows[0]?.['taken'] === true
    },
    waiting: async (connection, limit) => {
      const { rows } = await database.run(WAITING, [connection, limit])
      return rows.map((row) => ({ recordId: row['record_id'] as string, mark: row['mark'] as number }))
    },
    heard: async (connection, records) => {
      if (records.length === 0) return
      const ids = records.map(({ recordId }) => recordId)
      await database.run(HEARD, [connection, ids, records.map(({ mark }) => String(mark))])
    },
    connections: async () => (await database.run(CONNECTIONS)).rows.map((row) => row['connection'] as string),
    prune: async (before_ms) => Number((await database.run(PRUNE, [before_ms])).rows[0]?.['pruned'] ?? 0),
    close: () => database.close(),
  }
}

/** Each once, and in one order for all: two hooks that lock the same rows must not wait for each other. */
function ordered(texts: readonly string[]): string[] {
  return [...new Set(texts)].sort()
}

function digest(eventId: string): string {
  return createHash('sha256').update(eventId).digest('base64url').slice(0, 22)
}
