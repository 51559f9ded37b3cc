import { Session } from 'node:inspector/promises'
import type { Profiler } from 'node:inspector'
import pg from 'pg'
import type { Commit, Store } from '../engine/core/ports/store.ts'
import type { Table } from './report.ts'

/** Where the time goes: calls of the store by stage, processor time by part of the house, statements in Postgres. */

/** Which stage of the route a commit belongs to. */
function commitName(commit: Commit): string {
  if (commit.settlements) return 'commit (settle)'
  if (commit.matchRound !== undefined) return 'commit (match)'
  if (commit.planned) return 'commit (plan)'
  return 'commit (apply)'
}

/** Times every call of a store; waiting for a connection of the pool counts. */
export class StoreClock {
  readonly #times = new Map<string, { calls: number; wall_ms: number }>()

  /** Puts the clock into the store's own methods. */
  constructor(store: Store) {
    const methods = store as unknown as { [name: string]: (...args: unknown[]) => unknown }
    for (const [name, method] of Object.entries(methods)) {
      if (name === 'close') continue
      methods[name] = (...args) => {
        const answer = method(...args)
        if (!(answer instanceof Promise)) return answer
        const start = performance.now()
        const label = name === 'commit' ? commitName(args[0] as Commit) : name
        return answer.finally(() => this.#add(label, performance.now() - start))
      }
    }
  }

  reset(): void {
    this.#times.clear()
  }

  table(title: string, contacts: number): Table {
    const rows = [...this.#times].sort((a, b) => b[1].wall_ms - a[1].wall_ms).slice(0, 12)
    return {
      title,
      headings: ['call', 'calls', 'ms a call', 'µs a contact'],
      rows: rows.map(([name, { calls, wall_ms }]) => [name, calls, wall_ms / calls, (wall_ms * 1000) / contacts]),
    }
  }

  #add(label: string, wall_ms: number): void {
    const sum = this.#times.get(label) ?? { calls: 0, wall_ms: 0 }
    this.#times.set(label, { calls: sum.calls + 1, wall_ms: sum.wall_ms + wall_ms })
  }
}

/**
 * The parts of the house a sample can belong to, first fit from the innermost frame outwards. Frames that fit nothing (Node's
 * own, and the libraries') belong to whoever called them.
 */
const PARTS: readonly (readonly [name: string, path: RegExp])[] = [
  ['decide: core', /\/engine\/core\//],
  ['decide: mappings', /\/mappings\//],
  ['queue (BullMQ)', /node_modules\/(bullmq|ioredis|redis-parser|msgpackr|cron-parser)\//],
  ['queue: job schemas', /\/workers\/queues\.ts|node_modules\/zod\//],
  ['app (memory)', /\/connectors\/memory\//],
  ['app (other)', /\/connectors\//],
  ['HTTP', /node_modules\/(axios|follow-redirects|p-retry)\/|node:(_http|internal\/http)/],
  ['store: rows to JSON and back', /\/engine\/store\/(commit|load|outbox|rows|reads|connections|wire|promises)\.ts/],
  ['store: database client', /node_modules\/(pg|pg-.*|postgres-.*)\/|\/engine\/store\//],
  ['workers', /\/workers\//],
  ['bench', /\/bench\//],
]

/** Processor time of this process by part, while `work` runs. */
export async function profiled(work: () => Promise<unknown>): Promise<ReadonlyMap<string, number>> {
  const session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.setSamplingInterval', { interval: 500 })
  await session.post('Profiler.start')
  await work()
  const { profile } = await session.post('Profiler.stop')
  session.disconnect()
  return partsOf(profile)
}

function partsOf({ nodes, samples = [], timeDeltas = [] }: Profiler.Profile): Map<string, number> {
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const parents = new Map(nodes.flatMap((node) => (node.children ?? []).map((child) => [child, node.id] as const)))
  const known = new Map<number, string>()
  const partOf = (id: number): string => {
    const found = known.get(id)
    if (found !== undefined) return found
    const { url = '', functionName = '' } = byId.get(id)?.callFrame ?? {}
    const parent = parents.get(id)
    const own = PARTS.find(([, path]) => path.test(url))?.[0]
    const special = ['(idle)', '(garbage collector)', '(program)'].find((name) => name === functionName)
    const part = special ?? own ?? (parent === undefined ? '(Node)' : partOf(parent))
    known.set(id, part)
    return part
  }
  const sums = new Map<string, number>()
  for (const [index, id] of samples.entries()) {
    const part = partOf(id)
    sums.set(part, (sums.get(part) ?? 0) + (timeDeltas[index] ?? 0) / 1000)
  }
  return sums
}

export function partsTable(title: string, parts: ReadonlyMap<string, number>, contacts: number): Table {
  const all = [...parts.values()].reduce((sum, part_ms) => sum + part_ms, 0)
  return {
    title,
    headings: ['part', '% of the time', 'µs a contact'],
    rows: [...parts]
      .sort((a, b) => b[1] - a[1])
      .map(([name, part_ms]) => [name, (100 * part_ms) / all, (part_ms * 1000) / contacts]),
  }
}

/** What Postgres needs to count its statements. It costs time itself, so the figures proper are taken without. */
export const STATEMENT_SETTINGS = {
  shared_preload_libraries: 'pg_stat_statements',
  'pg_stat_statements.track': 'all',
  compute_query_id: 'on',
}

export async function resetStatements(databaseUrl: string): Promise<void> {
  await ask(databaseUrl, 'create extension if not exists pg_stat_statements')
  await ask(databaseUrl, 'select pg_stat_statements_reset()')
}

export async function statementTable(title: string, databaseUrl: string, contacts: number): Promise<Table> {
  const rows = await ask(
    databaseUrl,
    `select calls, total_exec_time as total, rows, toplevel, wal_bytes, regexp_replace(left(query, 400), '\\s+', ' ', 'g') as text
     from pg_stat_statements where query not like '%pg_stat_statements%' order by total_exec_time desc limit 22`,
  )
  return {
    title,
    headings: ['statement', 'in a function', 'calls', 'ms a call', 'µs a contact', 'WAL bytes a contact'],
    rows: rows.map(({ calls, total, toplevel, wal_bytes, text }) => [
      String(text).slice(0, 78).replaceAll('|', '/'),
      toplevel === true ? '' : 'yes',
      Number(calls),
      Number(total) / Number(calls),
      (Number(total) * 1000) / contacts,
      Number(wal_bytes) / contacts,
    ]),
  }
}

async function ask(databaseUrl: string, sql: string): Promise<{ [column: string]: unknown }[]> {
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    return (await client.query<{ [column: string]: unknown }>(sql)).rows
  } finally {
    await client.end()
  }
}
