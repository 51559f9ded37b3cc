import { memoryApps } from '../connectors/memory/index.ts'
import { MemoryApp } from '../connectors/memory/app.ts'
import type { Events } from '../workers/runtime.ts'
import { openHouse, type Cost, type House } from './house.ts'
import { median } from './measure.ts'
import { memoryFields } from './people.ts'
import { openRedis } from './redis.ts'
import type { Figure, Finding, Table } from './report.ts'
import { partsTable, profiled, resetStatements, STATEMENT_SETTINGS, statementTable, StoreClock } from './stages.ts'

/**
 * (a) Contact changes a second through the whole route: two memory apps hold the same people; every person is edited in one
 * of them, and a change counts when the other app has answered the write. The queue and the database are real.
 */

export interface RouteOptions {
  readonly people: number
  readonly runs: number
  /** Whether to take the cost by stage, too: runs that count statements and samples, and are slower for it. */
  readonly stages: boolean
}

const GOAL = 5000

export async function route(options: RouteOptions): Promise<Finding> {
  const figures: Figure[] = []
  const tables: Table[] = []
  figures.push(...(await onQueue('Postgres', options, undefined)))
  const redis = await openRedis()
  if (redis) {
    try {
      figures.push(...(await onQueue('Redis', options, redis.url)))
    } finally {
      await redis.close()
    }
  }
  if (options.stages) tables.push(...(await stages(options)))
  return { title: '(a) contact changes a second, app to app, whole route, memory apps', figures, tables }
}

async function onQueue(queue: string, { people, runs }: RouteOptions, redisUrl: string | undefined): Promise<Figure[]> {
  const rig = await openRig(people, { redisUrl })
  try {
    const first = await rig.house.cost(() => rig.settled(people, () => rig.house.daemon.queues.wakePull('left')))
    await rig.house.quiet()
    // Prepared plans, warm caches, compiled code: the first round is not counted.
    await rig.round()
    const rounds: Cost[] = []
    for (let run = 0; run < runs; run++) rounds.push(await rig.round())
    const rates = rounds.map((cost) => (people * 1000) / cost.wall_ms)
    const perContact = (pick: (cost: Cost) => number): number[] => rounds.map((cost) => (pick(cost) * 1000) / people)
    const kith = perContact((cost) => cost.kithCpu_ms)
    const postgres = perContact((cost) => cost.postgresCpu_ms)
    const name = `queue on ${queue}`
    return [
      { what: `${name}: edits`, value: median(rates), unit: 'changes/s', goal: { least: GOAL }, runs: rates },
      { what: `${name}: Kith's CPU`, value: median(kith), unit: 'µs a change', runs: kith },
      { what: `${name}: Postgres' CPU`, value: median(postgres), unit: 'µs a change', runs: postgres },
      { what: `${name}: first sync`, value: (people * 1000) / first.wall_ms, unit: 'contacts/s' },
    ]
  } finally {
    await rig.close()
  }
}

async function stages({ people }: RouteOptions): Promise<Table[]> {
  const rig = await openRig(people, { settings: STATEMENT_SETTINGS })
  try {
    const clock = new StoreClock(rig.house.household.store)
    await rig.settled(people, () => rig.house.daemon.queues.wakePull('left'))
    await rig.house.quiet()
    await rig.round()
    await resetStatements(rig.house.household.databaseUrl)
    clock.reset()
    let parts: ReadonlyMap<string, number> = new Map()
    await rig.round(async (work) => {
      parts = await profiled(work)
    })
    const calls = clock.table('Calls of the store in one round (waiting included, many at once)', people)
    return [
      partsTable("Kith's process in one round of edits, by part (queue on Postgres)", parts, people),
      calls,
      await statementTable('Statements in Postgres in one round', rig.house.household.databaseUrl, people),
    ]
  } finally {
    await rig.close()
  }
}

interface Rig {
  readonly house: House
  /**
   * Edits everybody in one app, and waits until the other has answered every write. Apps take turns.
   * @param watched runs the part of the round that counts
   */
  round(watched?: (work: () => Promise<void>) => Promise<void>): Promise<Cost>
  /** Starts something, and waits until so many writes are answered. */
  settled(count: number, start: () => Promise<unknown>): Promise<void>
  close(): Promise<void>
}

export async function openRig(
  people: number,
  options: { redisUrl?: string | undefined; settings?: { readonly [name: string]: string } },
): Promise<Rig> {
  const left = new MemoryApp({ name: 'left', now: Date.now })
  const right = new MemoryApp({ name: 'right', now: Date.now })
  memoryApps.set('left', left).set('right', right)
  for (let n = 0; n < people; n++) left.add(memoryFields(n))
  const counter = new Countdown()
  const connections = { left: { app: 'memory', name: 'left' }, right: { app: 'memory', name: 'right' } }
  const house = await openHouse({ connections, events: counter.events, ...options })
  // Matching waits until every app was read once, so the empty one comes first.
  await house.daemon.queues.wakePull('right')
  const settled = async (count: number, start: () => Promise<unknown>): Promise<void> => {
    const done = counter.down(count)
    await start()
    await done
  }
  let rounds = 0
  const round: Rig['round'] = async (watched = (work) => work()) => {
    rounds += 1
    const [from, name] = rounds % 2 === 1 ? ([left, 'left'] as const) : ([right, 'right'] as const)
    const ids = await idsOf(from)
    for (const id of ids) from.edit(id, { title: `Title ${rounds}` })
    const sync = (): Promise<void> => settled(ids.length, () => house.daemon.queues.wakePull(name))
    const cost = await house.cost(() => watched(sync))
    // The echo of our own writes is heard before the next round, as in a household that is polled.
    await house.quiet()
    return cost
  }
  return {
    house,
    round,
    settled,
    close: async () => {
      await house.close()
      memoryApps.clear()
    },
  }
}

async function idsOf(app: MemoryApp): Promise<string[]> {
  const ids: string[] = []
  for (let from: number | null = 0; from !== null;) {
    const page: Awaited<ReturnType<MemoryApp['list']>> = await app.list(from)
    ids.push(...page.entries.flatMap((entry) => (entry.kind === 'record' ? [entry.record.id] : [])))
    from = page.next
  }
  return ids
}

/** Counts answered writes. */
class Countdown {
  readonly events: Events
  #left = 0
  #done: (() => void) | undefined

  constructor() {
    const settled: Events['settled'] = (_intent, answer) => {
      if (answer.kind !== 'written') return
      this.#left -= 1
      if (this.#left === 0) this.#done?.()
    }
    this.events = { read() {}, applied() {}, planned() {}, settled }
  }

  down(count: number): Promise<void> {
    this.#left = count
    return new Promise((resolve) => (this.#done = resolve))
  }
}
