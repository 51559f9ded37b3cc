import { z } from 'zod'
import { CHUNK_MAX } from '../config/limits.ts'
import type { Config } from '../config/types.ts'
import { replay, type Backtest } from '../engine/core/backtest.ts'
import type { JsonObject } from '../engine/core/json.ts'
import { valuesOf } from '../engine/core/person.ts'
import type { Intent, LogEntry, Neighbourhood, Store } from '../engine/core/ports/store.ts'
import type { Rules } from '../engine/core/rules.ts'
import { catalogueOf, remember, rulesOf, type Connected } from './connect.ts'
import { Household, type HouseholdOptions } from './household.ts'

export interface BacktestOptions extends HouseholdOptions {
  readonly from_ms: number
  readonly signal?: AbortSignal
}

/** What a backtest stands on: the config that is tried, and what the log cannot say of it. */
export interface BacktestGround {
  readonly config: Config
  /** The oldest entry of the log; null for an empty one. */
  readonly logFrom_ms: number | null
  /** Connections whose account's fields are not known: what came from them is not judged. */
  readonly unknown: readonly string[]
  /** App fields that this config maps and the last plan did not, by connection: nobody has read them yet. */
  readonly unread: { readonly [connection: string]: readonly string[] }
}

/** The differences of some people. */
export interface BacktestPart extends Backtest {
  readonly names: ReadonlyMap<string, JsonObject>
}

/** How much of what was sent to one person is looked at. */
const SENT_MAX = 500
const LOG_PAGE = 1000

/**
 * Replays what the log has recorded since a time under the config of a file, which need not be the one in force. Reads the
 * database and the config; asks an app only for its fields, where they were never known; writes nothing.
 */
export async function backtest<Result>(
  options: BacktestOptions,
  use: (ground: BacktestGround, parts: AsyncIterable<BacktestPart>) => Promise<Result>,
): Promise<Result> {
  const household = await Household.open({ ...options, looksOnly: true })
  try {
    const { config, store } = household
    const connected = await household.compile(options.signal)
    const rules = rulesOf(config, catalogueOf(config), connected)
    const ground = await groundOf(store, config, connected)
    return await use(ground, partsOf(store, rules, new Set(ground.unknown), options))
  } finally {
    await household.close()
  }
}

/**
 * The same on a household that is at work, of a config for the same connections. Asks no app: a connection whose account's fields
 * were never known is not judged.
 */
export async function backtestOpen<Result>(
  household: Household,
  config: Config,
  options: Pick<BacktestOptions, 'from_ms' | 'signal'>,
  use: (ground: BacktestGround, parts: AsyncIterable<BacktestPart>) => Promise<Result>,
): Promise<Result> {
  const { store } = household
  const catalogue = catalogueOf(config)
  const connected = await Promise.all(
    config.connections.map(async (item): Promise<Connected> => {
      const { app, context } = household.appOf(item)
      const fields = await household.remembered(item.name)
      if (fields) return remember(app, item, catalogue, context, fields)
      const connector = app.connect(item.options, context)
      return { config: item, connector, report: null, failure: null, problems: [], rules: null }
    }),
  )
  try {
    const ground = await groundOf(store, config, connected)
    return await use(ground, partsOf(store, rulesOf(config, catalogue, connected), new Set(ground.unknown), options))
  } finally {
    await Promise.all(connected.map(({ connector }) => connector.close()))
  }
}

const plannedSchema = z.object({ lenses: z.record(z.string(), z.array(z.string())) })

async function groundOf(store: Store, config: Config, connected: readonly Connected[]): Promise<BacktestGround> {
  const before = plannedSchema.safeParse(await store.getFact('planned with')).data?.lenses ?? {}
  const unread: { [connection: string]: string[] } = {}
  for (const { config: one, rules } of connected) {
    const read = before[one.name]
    const fresh = (rules?.lens.appFields ?? []).filter((field) => read !== undefined && !read.includes(field))
    if (fresh.length > 0) unread[one.name] = fresh
  }
  return {
    config,
    logFrom_ms: await store.oldestLog(),
    unknown: connected.filter(({ rules }) => rules === null).map(({ config: one }) => one.name),
    unread,
  }
}

async function* partsOf(
  store: Store,
  rules: Rules,
  unknown: ReadonlySet<string>,
  { from_ms, signal }: Pick<BacktestOptions, 'from_ms' | 'signal'>,
): AsyncIterable<BacktestPart> {
  const people = new Set<string>()
  for await (const entry of entries(store, { since_ms: from_ms })) people.add(entry.personId)
  const ids = [...people].sort()
  for (let start = 0; start < ids.length && signal?.aborted !== true; start += CHUNK_MAX) {
    yield await part(store, rules, unknown, ids.slice(start, start + CHUNK_MAX), from_ms)
  }
}

async function part(
  store: Store,
  rules: Rules,
  unknown: ReadonlySet<string>,
  ids: readonly string[],
  from_ms: number,
): Promise<BacktestPart> {
  const log: LogEntry[] = []
  for await (const entry of entries(store, { people: ids })) if (!unknown.has(entry.stamp.by)) log.push(entry)
  log.reverse()
  const hood = await store.loadPeople(ids)
  const byPerson = Map.groupBy(log, (entry) => entry.personId)
  const names = new Map<string, JsonObject>()
  const found: Backtest[] = []
  for (const person of hood.people) {
    names.set(person.id, valuesOf(person))
    const links = hood.links.filter((link) => link.personId === person.id && !unknown.has(link.connection))
    const sent = (await sentTo(store, hood, person.id, from_ms)).filter((one) => !unknown.has(one.connection))
    const suspected = hood.suspected.get(person.id) ?? new Set<string>()
    found.push(replay(rules, { person, links, log: byPerson.get(person.id) ?? [], sent, from_ms, suspected }))
  }
  const sum = (count: (one: Backtest) => number): number => found.reduce((total, one) => total + count(one), 0)
  return {
    names,
    changes: sum((one) => one.changes),
    unjudged: sum((one) => one.unjudged),
    fates: found.flatMap((one) => one.fates),
    values: found.flatMap((one) => one.values),
    writes: found.flatMap((one) => one.writes),
  }
}

/** What was sent since then, oldest first, and what is to be sent now. */
async function sentTo(store: Store, hood: Neighbourhood, personId: string, from_ms: number): Promise<Intent[]> {
  const settled = await store.deliveries(personId, SENT_MAX)
  const open = hood.intents.filter((intent) => intent.personId === personId)
  return [...settled.filter((one) => one.settled_ms >= from_ms).reverse(), ...open]
}

async function* entries(
  store: Store,
  filter: Omit<Parameters<Store['log']>[0], 'limit' | 'beforeId'>,
): AsyncIterable<LogEntry> {
  for (let before: number | undefined; ;) {
    const page = await store.log({ ...filter, ...(before === undefined ? {} : { beforeId: before }), limit: LOG_PAGE })
    yield* page
    before = page.at(-1)?.id
    if (before === undefined || page.length < LOG_PAGE) return
  }
}
