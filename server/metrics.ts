import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import { PAUSE_FORGOTTEN_MS } from '../config/limits.ts'
import type { Store } from '../engine/core/ports/store.ts'
import { pauses } from '../workers/pause.ts'
import type { Events } from '../workers/runtime.ts'
import type { HookFate } from './hooks.ts'
import type { Routes } from './server.ts'

/** What the gauges are read from when they are asked for. */
export interface Measured {
  readonly store: Pick<Store, 'connections' | 'counts' | 'keptCount'>
  /** The connections of the config: others in the store are not told. */
  readonly connections: readonly string[]
  /** What has been asked of each connection's app so far. */
  readonly calls: (connection: string) => number
  /** Whether the connection's changes are heard as they happen; null where nobody listens to it over a network. */
  readonly listening?: (connection: string) => Promise<boolean | null>
  readonly now?: () => number
}

/** Where most answers lie, in seconds: a hook is answered when it is durable. */
const ANSWER_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]

/**
 * Counters for Prometheus. Labels are names of the config and words of the glossary: never a record, a person or a value (I15),
 * and never what a stranger may choose.
 */
export class Metrics {
  readonly #registry = new Registry()
  readonly #hooks: Counter<'connection' | 'outcome'>
  readonly #answers: Histogram
  readonly #announced: Counter<'connection'>
  readonly #read: Counter<'connection'>
  readonly #changes: Counter<'connection' | 'kind'>
  readonly #planned: Counter<'connection' | 'op'>
  readonly #writes: Counter<'connection' | 'op' | 'outcome'>

  constructor() {
    const registers = [this.#registry]
    collectDefaultMetrics({ register: this.#registry, prefix: 'kith_' })
    this.#hooks = new Counter({
      name: 'kith_hooks_total',
      help: 'Requests to /hooks, by what became of them',
      labelNames: ['connection', 'outcome'],
      registers,
    })
    this.#answers = new Histogram({
      name: 'kith_hook_answer_seconds',
      help: 'From a hook to its answer',
      buckets: ANSWER_S,
      registers,
    })
    this.#announced = new Counter({
      name: 'kith_hook_records_total',
      help: 'Records that accepted hooks named',
      labelNames: ['connection'],
      registers,
    })
    this.#read = new Counter({
      name: 'kith_sightings_total',
      help: 'Sightings read from feeds that were not known yet',
      labelNames: ['connection'],
      registers,
    })
    this.#changes = new Counter({
      name: 'kith_changes_total',
      help: 'Entries of the change log, by what became of them',
      labelNames: ['connection', 'kind'],
      registers,
    })
    this.#planned = new Counter({
      name: 'kith_writes_planned_total',
      help: 'Writes that were planned',
      labelNames: ['connection', 'op'],
      registers,
    })
    this.#writes = new Counter({
      name: 'kith_writes_total',
      help: 'Writes that an app has answered, by the answer',
      labelNames: ['connection', 'op', 'outcome'],
      registers,
    })
  }

  /** A hook was answered. `connection`: null for one that is not in the config. */
  hook(connection: string | null, outcome: HookFate, took_ms: number, records: number): void {
    this.#hooks.inc({ connection: connection ?? 'none', outcome })
    if (took_ms > 0) this.#answers.observe(took_ms / 1000)
    if (records > 0 && connection !== null) this.#announced.inc({ connection }, records)
  }

  /** Counts what the workers of this process do, and passes it on. */
  events(beside: Events): Events {
    return {
      read: (connection, sightings, known) => {
        this.#read.inc({ connection }, sightings - known)
        beside.read(connection, sightings, known)
      },
      applied: (connection, heard, unchanged, changes) => {
        for (const { kind } of changes) this.#changes.inc({ connection, kind })
        beside.applied(connection, heard, unchanged, changes)
      },
      planned: (intents) => {
        for (const { connection, op } of intents) this.#planned.inc({ connection, op })
        beside.planned(intents)
      },
      settled: (intent, answer, settlement) => {
        const outcome = answer.kind === 'failed' ? answer.failure.kind : answer.kind
        this.#writes.inc({ connection: intent.connection, op: intent.op, outcome })
        beside.settled(intent, answer, settlement)
      },
    }
  }

  /** `GET /metrics`. */
  routes({ store, connections, calls, listening, now = Date.now }: Measured): Routes {
    const registers = [this.#registry]
    new Gauge({
      name: 'kith_app_calls',
      help: "What this process has asked of each connection's app since it was started",
      labelNames: ['connection'],
      registers,
      collect() {
        for (const connection of connections) this.set({ connection }, calls(connection))
      },
    })
    new Gauge({
      name: 'kith_records',
      help: 'Records and writes of each connection, by state',
      labelNames: ['connection', 'state'],
      registers,
      async collect() {
        for (const [connection, counts] of await store.counts()) {
          if (!connections.includes(connection)) continue
          for (const [state, count] of Object.entries(counts)) this.set({ connection, state }, count)
        }
      },
    })
    new Gauge({
      name: 'kith_listening',
      help: 'Of connections that are listened to over a network: 1 where changes are heard as they happen, 0 where that fails',
      labelNames: ['connection'],
      registers,
      async collect() {
        this.reset()
        for (const connection of connections) {
          const hears = (await listening?.(connection)) ?? null
          if (hears !== null) this.set({ connection }, hears ? 1 : 0)
        }
      },
    })
    const failing = new Gauge({
      name: 'kith_connection_failing',
      help: '1 where something keeps the connection from being read or written',
      labelNames: ['connection'],
      registers,
    })
    new Gauge({
      name: 'kith_connection_read_age_seconds',
      help: 'Since a pass over the feed last came to its end',
      labelNames: ['connection'],
      registers,
      async collect() {
        for (const { name: connection, failure, lastRead_ms } of await store.connections()) {
          if (!connections.includes(connection)) continue
          failing.set({ connection }, failure === null ? 0 : 1)
          if (lastRead_ms !== null) this.set({ connection }, Math.max(0, now() - lastRead_ms) / 1000)
        }
      },
    })
    const overdue = new Gauge({
      name: 'kith_pause_overdue',
      help: '1 where a pause is past its end, or so old that it may have been forgotten',
      labelNames: ['connection'],
      registers,
    })
    const kept = new Gauge({
      name: 'kith_pause_records',
      help: 'Records changed in a paused app that wait for a decision',
      labelNames: ['connection'],
      registers,
    })
    new Gauge({
      name: 'kith_pause_seconds',
      help: 'How long a connection has been in a pause; 0 for none',
      labelNames: ['connection'],
      registers,
      async collect() {
        const news = new Map((await pauses({ store, now }, PAUSE_FORGOTTEN_MS)).map((one) => [one.connection, one]))
        for (const connection of connections) {
          const one = news.get(connection)
          this.set({ connection }, one ? Math.max(0, now() - one.pause.at_ms) / 1000 : 0)
          overdue.set({ connection }, one?.loud === true ? 1 : 0)
          kept.set({ connection }, one?.kept ?? 0)
        }
      },
    })
    return (server) => {
      server.get('/metrics', async (_request, reply) => {
        try {
          return await reply.type(this.#registry.contentType).send(await this.#registry.metrics())
        } catch {
          return await reply.code(503).send({ error: 'the database cannot be reached' })
        }
      })
    }
  }
}
