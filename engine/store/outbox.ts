import type { Intent, IntentFilter, IntentState, Store } from '../core/ports/store.ts'
import type { Database, Param } from './database.ts'
import { bucketOf } from './promises.ts'
import { columnsOf, INTENT_COLUMNS, intentFrom } from './rows.ts'

/** Rows by page where a whole table is read. */
export const PAGE_ROWS = 1000

/** No write of the person is under way there. The CASE leads to the index by person, away from that of all leases. */
const ALONE = `not exists (
    select 1 from kith.intent s
    where s.person_id = i.person_id and s.connection = i.connection and case when s.state = 'sending' then true end
    offset 0)`

/**
 * Nothing is claimed where the connection's own row says that nothing may be written, whatever this process believes (I10); see
 * migrations/0007-pause.ts for the lock.
 *
 * Two workers never claim one intent: who does not get the row's lock at once passes it by. There is one open intent by
 * person and connection, so the intents found here have no rivals among each other.
 */
const CLAIM = {
  name: 'claim',
  text: `with open as materialized (
  select from kith.connection where name = $1 and mode = 'live' and pause is null for key share
), first as materialized (
  select i.id from kith.intent i
  where exists (select from open) and i.connection = $1 and i.urgent and i.state = 'pending' and i.not_before_ms <= $3 and ${ALONE}
  order by i.planned_ms, i.id limit $2
  for update of i skip locked
), next as materialized (
  select i.id from kith.intent i
  where exists (select from open) and i.connection = $1 and i.state <> 'sending' and i.state = 'pending' and not i.urgent and i.not_before_ms <= $3 and ${ALONE}
  order by i.planned_ms, i.id limit $2 - (select count(*) from first)
  for update of i skip locked
)
update kith.intent i set state = 'sending', attempts = i.attempts + 1, lease_ms = $4
where i.id = any (array(select id from first union all select id from next))
returning ${columnsOf('i', INTENT_COLUMNS)}`,
}

const CLAIM_EXPIRED = {
  name: 'claimExpired',
  text: `with next as (
  select id from kith.intent where connection = $1 and state = 'sending' and lease_ms <= $3
  order by lease_ms, planned_ms, id limit $2
  for update skip locked
)
update kith.intent i set attempts = i.attempts + 1, lease_ms = $4
where i.id = any (array(select id from next))
returning ${columnsOf('i', INTENT_COLUMNS)}`,
}

const DUE = {
  name: 'due',
  text: `with recursive outgoing as (
  (select connection from kith.intent where state <> 'sending' order by connection limit 1)
  union all
  select (select i.connection from kith.intent i where i.state <> 'sending' and i.connection > o.connection
    order by i.connection limit 1)
  from outgoing o where o.connection is not null
)
select o.connection from outgoing o where exists (
  select 1 from kith.intent i
  where i.connection = o.connection and i.state <> 'sending' and i.state = 'pending' and i.not_before_ms <= $1 and ${ALONE}
  offset 0)
union
select connection from kith.intent where state = 'sending' and lease_ms <= $1
order by connection`,
}

const BRAKE_COUNTS = {
  name: 'brakeCounts',
  text: `select 'now' as kind, what, sum(delta)::bigint as count, count(*) as rows from kith.count
where connection = $1 group by what
union all
select 'tallied', what, sum(count)::bigint, 0 from kith.tally where connection = $1 and bucket_ms >= $2 group by what`,
}

/** Rows that another worker puts together at the same time are passed over: they are in that one's sum. */
const SUM_UP = {
  name: 'sumUp',
  text: `with taken as (
  delete from kith.count where ctid = any (array(
    select ctid from kith.count where connection = $1 for update skip locked))
  returning what, delta
)
insert into kith.count (connection, what, delta) select $1, what, sum(delta) from taken group by what`,
}

/** How many rows a count may be the sum of before they are put together. */
const SUMMANDS_MAX = 200

export async function claim(
  database: Database,
  connection: string,
  limit: number,
  now_ms: number,
  leaseEnd_ms: number,
): Promise<Intent[]> {
  const { rows } = await database.run(CLAIM, [connection, limit, now_ms, leaseEnd_ms])
  return rows.map(intentFrom).sort(byPlan)
}

export async function claimExpired(
  database: Database,
  connection: string,
  limit: number,
  now_ms: number,
  leaseEnd_ms: number,
): Promise<Intent[]> {
  const { rows } = await database.run(CLAIM_EXPIRED, [connection, limit, now_ms, leaseEnd_ms])
  return rows.map(intentFrom).sort(byPlan)
}

export async function expireLeases(database: Database, connections: readonly string[]): Promise<void> {
  await database.run(
    { text: `update kith.intent set lease_ms = 0 where connection = any ($1) and state = 'sending'` },
    [connections],
  )
}

export async function due(database: Database, now_ms: number): Promise<string[]> {
  const { rows } = await database.run(DUE, [now_ms])
  return rows.map((row) => row.connection as string)
}

export async function brakeCounts(
  database: Database,
  connection: string,
  since_ms: number,
): ReturnType<Store['brakeCounts']> {
  const { rows } = await database.run(BRAKE_COUNTS, [connection, bucketOf(since_ms)])
  const now = new Map<string, number>()
  const tallied: { [what: string]: number } = {}
  let summands = 0
  for (const row of rows) {
    if (row.kind === 'now') now.set(row.what as string, row.count as number)
    else tallied[row.what as string] = row.count as number
    summands += row.rows as number
  }
  if (summands > SUMMANDS_MAX) await database.run(SUM_UP, [connection])
  const count = (what: string) => now.get(what) ?? 0
  return {
    pending: { create: count('create'), update: count('update'), delete: count('delete') },
    tallied,
    records: count('records'),
  }
}

export function hold(database: Database, filter: IntentFilter, reason: string): Promise<number> {
  return move(database, `update kith.intent set state = 'held', held = $1`, 'pending', filter, [reason], 'not released')
}

export function release(database: Database, filter: IntentFilter, reason?: string): Promise<number> {
  return move(
    database,
    `update kith.intent set state = 'pending', held = null, released = true`,
    'held',
    filter,
    [reason ?? null],
    '($1::text is null or held = $1)',
  )
}

/** Attempts count anew; the last failure stays, since a write whose answer was lost must still be found out about. */
export function retryParked(database: Database, filter: IntentFilter): Promise<number> {
  return move(database, `update kith.intent set state = 'pending', attempts = 0, not_before_ms = 0`, 'parked', filter)
}

export function dropParked(database: Database, filter: IntentFilter): Promise<number> {
  return move(database, 'delete from kith.intent', 'parked', filter)
}

async function move(
  database: Database,
  action: string,
  from: IntentState,
  filter: IntentFilter,
  params: Param[] = [],
  ...also: string[]
): Promise<number> {
  if (filter.state !== undefined && filter.state !== from) return 0
  const all = [...params]
  const conditions = [`state = '${from}'`, ...also, ...intentConditions(filter, all)]
  const { count } = await database.run({ text: `${action} where ${conditions.join(' and ')}` }, all)
  return count
}

/** All but the state; the values go to the end of `params`. */
function intentConditions(filter: IntentFilter, params: Param[]): string[] {
  const conditions: string[] = []
  const wanted = { connection: filter.connection, person_id: filter.personId, op: filter.op }
  for (const [column, value] of Object.entries(wanted)) {
    if (value !== undefined) conditions.push(`${column} = $${params.push(value)}`)
  }
  if (filter.plannedUntil_ms !== undefined) conditions.push(`planned_ms <= $${params.push(filter.plannedUntil_ms)}`)
  return conditions
}

/**
 * Page by page in the order of connection, planning time and id. Each state is read along its own piece of the queue's
 * index, so that a page costs the same wherever it lies.
 */
export async function* intents(
  database: Database,
  filter: IntentFilter,
  from?: Pick<Intent, 'connection' | 'planned_ms' | 'id'>,
): AsyncIterable<Intent> {
  const states: readonly IntentState[] = filter.state === undefined ? ['held', 'pending', 'parked'] : [filter.state]
  const first = filter.connection ?? from?.connection ?? (await nextConnection(database, ''))
  if (from !== undefined && first !== undefined && first < from.connection) return
  for (let connection = first; connection !== undefined;) {
    let after: Pick<Intent, 'planned_ms' | 'id'> | undefined = from?.connection === connection ? from : undefined
    do {
      const page: Intent[] = await intentPage(database, { ...filter, connection }, states, after)
      yield* page
      after = page.length < PAGE_ROWS ? undefined : page.at(-1)
    } while (after)
    connection = filter.connection === undefined ? await nextConnection(database, connection) : undefined
  }
}

async function nextConnection(database: Database, after: string): Promise<string | undefined> {
  const next = (condition: string) =>
    `(select connection from kith.intent where ${condition} and connection > $1 order by connection limit 1)`
  const { rows } = await database.run(
    {
      text: `select min(c.connection) as next from (${next(`state <> 'sending'`)} union all ${next(`state = 'sending'`)}) c`,
    },
    [after],
  )
  return (rows[0]?.next ?? undefined) as string | undefined
}

async function intentPage(
  database: Database,
  filter: IntentFilter,
  states: readonly IntentState[],
  after: Pick<Intent, 'planned_ms' | 'id'> | undefined,
): Promise<Intent[]> {
  const params: Param[] = [PAGE_ROWS]
  const conditions = intentConditions(filter, params)
  if (after) conditions.push(`(planned_ms, id) > ($${params.push(after.planned_ms)}, $${params.push(after.id)})`)
  const branches = states.map((state) => {
    const own = [`state = '${state}'`, ...(state === 'sending' ? [] : [`state <> 'sending'`]), ...conditions]
    return `(select ${INTENT_COLUMNS} from kith.intent where ${own.join(' and ')} order by planned_ms, id limit $1)`
  })
  const text = `select ${INTENT_COLUMNS} from (${branches.join(' union all ')}) i order by planned_ms, id limit $1`
  return (await database.run({ text }, params)).rows.map(intentFrom)
}

function byPlan(a: Intent, b: Intent): number {
  return Number(b.urgent) - Number(a.urgent) || a.planned_ms - b.planned_ms || (a.id < b.id ? -1 : 1)
}
