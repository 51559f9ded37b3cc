import { z } from 'zod'
import { PAUSE_FORGOTTEN_MS } from '../../config/limits.ts'
import type { ConnectionConfig } from '../../config/types.ts'
import { adviceFor } from '../../engine/core/failure.ts'
import { HEALTH_STATES } from '../../engine/core/health.ts'
import type { ConnectionCounts, ConnectionState } from '../../engine/core/ports/store.ts'
import { backupStanding } from '../backup-clock.ts'
import { countHealth } from '../health.ts'
import type { Household } from '../household.ts'
import { pauses } from '../pause.ts'
import { standardTallies } from '../standard-tallies.ts'
import { listeningTo } from '../watches.ts'
import { FailureDocument, Time, timeOf } from './common.ts'
import { PauseDocument, pauseDocument } from './pause.ts'

/** Where one connection stands. */
export const ConnectionDocument = z
  .object({
    app: z.string(),
    state: z.enum(['live', 'observe', 'paused', 'failed']),
    lastRead: Time.nullable(),
    pending: z.int().describe('Writes that are not answered yet.'),
    held: z.int().describe('Writes that wait for an operator.'),
    parked: z.int().describe('Writes that the app refused, and records that cannot be read.'),
    failure: FailureDocument.optional(),
    listening: z
      .object({ since: Time, failure: FailureDocument.optional() })
      .optional()
      .describe('Where changes are listened to over a network: since when they are heard as they happen, or why not.'),
    pause: PauseDocument.optional(),
    health: z.record(z.enum(HEALTH_STATES as readonly [string, ...string[]]), z.int()),
    standard: z
      .object({ fix: z.int(), warn: z.int(), hold: z.int() })
      .optional()
      .describe('What the data standard did with values heard in the last day.'),
  })
  .meta({ id: 'Connection' })

/** Where everything stands. */
export const StatusDocument = z
  .object({
    connections: z.record(z.string(), ConnectionDocument),
    backup: z
      .object({
        last: z.object({ file: z.string(), at_ms: z.number(), bytes: z.number() }).nullable(),
        failure: z.object({ message: z.string(), at_ms: z.number() }).nullable(),
      })
      .optional()
      .describe('The backups that the daemon makes, where it makes any.'),
    erasures: z.array(z.string()).describe('Erasures that are not finished.'),
  })
  .meta({ id: 'Status' })

/** A connection with what is counted of it; `line` is what of it does not depend on the other parts of the document. */
export function connectionLine(
  config: ConnectionConfig,
  state: ConnectionState | undefined,
  counts: ConnectionCounts | undefined,
): Omit<z.infer<typeof ConnectionDocument>, 'health' | 'listening' | 'pause' | 'standard'> {
  const failure = state?.failure ?? null
  return {
    app: config.app,
    state: state?.pause ? 'paused' : failure ? 'failed' : config.mode,
    lastRead: state?.lastRead_ms ? new Date(state.lastRead_ms).toISOString() : null,
    pending: (counts?.pending ?? 0) + (counts?.sending ?? 0),
    held: counts?.held ?? 0,
    parked: (counts?.parked ?? 0) + (counts?.broken ?? 0),
    ...(failure ? { failure: { kind: failure.kind, message: failure.message, advice: adviceFor(failure) } } : {}),
  }
}

/** Asks no app. */
export async function statusDocument(household: Household, now_ms: number): Promise<z.infer<typeof StatusDocument>> {
  const { config, store } = household
  const states = new Map((await store.connections()).map((state) => [state.name, state]))
  const counts = await store.counts()
  const health = new Map((await countHealth(household)).map((item) => [item.connection, item.states]))
  const doors = await standardTallies(household, now_ms)
  const news = new Map(
    (await pauses({ store, now: () => now_ms }, PAUSE_FORGOTTEN_MS)).map((one) => [one.connection, one]),
  )
  const listening = await listeningLines(household)
  const connections = config.connections.map((item) => {
    const pause = news.get(item.name)
    const door = doors.get(item.name)
    const heard = listening.get(item.name)
    const line = {
      ...connectionLine(item, states.get(item.name), counts.get(item.name)),
      ...(heard ? { listening: heard } : {}),
      ...(pause ? { pause: pauseDocument(pause) } : {}),
      health: { ...health.get(item.name) },
      ...(door ? { standard: door } : {}),
    }
    return [item.name, line] as const
  })
  return {
    connections: Object.fromEntries(connections),
    ...(config.backup === null ? {} : { backup: await backupStanding(household) }),
    erasures: (await store.erasures({ state: 'open', limit: 1000 })).map(({ id }) => id),
  }
}

/** How listening stands, of the connections that are listened to over a network. */
async function listeningLines({
  config,
  store,
}: Household): Promise<Map<string, NonNullable<z.infer<typeof ConnectionDocument>['listening']>>> {
  const found = new Map<string, NonNullable<z.infer<typeof ConnectionDocument>['listening']>>()
  for (const { name } of config.connections) {
    const standing = await listeningTo(store, name)
    if (!standing) continue
    const { failure } = standing
    found.set(name, {
      since: timeOf(standing.since_ms),
      ...(failure ? { failure: { kind: failure.kind, message: failure.message, advice: adviceFor(failure) } } : {}),
    })
  }
  return found
}
