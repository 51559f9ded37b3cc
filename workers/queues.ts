import { createPostgresBackend, DelayedError, Queue as RedisQueue, Worker as RedisWorker, withBackend } from 'bullmq'
import type { Job, JobsOptions, Processor, Queue as BullQueue, Worker as BullWorker } from 'bullmq'
import { Redis } from 'ioredis'
import { z } from 'zod'
import type { Json } from '../engine/core/json.ts'
import { EARLY_ATTEMPTS_MAX, EARLY_REST_MS } from '../config/limits.ts'
import type { Chunk, Queue } from './runtime.ts'

/**
 * The queue: BullMQ, on Redis where there is one, else on its own backend in the same Postgres. This file hides which.
 *
 * Four queues serve all connections rather than a few for each: a worker costs database connections, and the order within a
 * connection is kept by chunk numbers, claims and deduplication, never by a queue.
 */
export const QUEUE_NAMES = ['pull', 'apply', 'settle', 'deliver'] as const
export type QueueName = (typeof QUEUE_NAMES)[number]

const json = z.custom<Json>()
const failure = z.object({ kind: z.string(), message: z.string() }).loose()
const rev = z.string().nullable()
const record = z.object({ id: z.string(), rev, fields: z.record(z.string(), json) }).loose()
const sighting = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('record'), record }),
  z.object({ kind: z.literal('hint'), id: z.string(), rev }),
  z.object({ kind: z.literal('gone'), id: z.string() }),
  z.object({ kind: z.literal('merged'), id: z.string(), into: z.string() }),
  z.object({ kind: z.literal('broken'), id: z.string(), rev, failure }),
])

/** What each queue's jobs carry. A job of another shape (an older version left it behind) is dropped: the store has it all. */
export const JOBS = {
  /** `announced`: only the records that hooks have announced. */
  pull: z.strictObject({ connection: z.string(), announced: z.literal(true).optional() }),
  apply: z.object({
    connection: z.string(),
    pass: z.number().int(),
    chunk: z.number().int(),
    sightings: z.array(sighting).max(1000),
    cursor: json.optional(),
    last: z.boolean(),
    readWith: z.string().optional(),
    deletionsHeld: z.string().nullable(),
  }),
  settle: z.strictObject({}),
  deliver: z.strictObject({ connection: z.string() }),
} as const

/** Finished jobs leave nothing behind: what happened is in the store. */
const GONE: JobsOptions = { removeOnComplete: true, removeOnFail: true }

/**
 * How soon the jobs of a process that died are given to another: until then they keep their like from running. A job that is
 * given away too early is run twice, which changes nothing.
 */
const AFTER_A_DEATH = { lockDuration: 10_000, stalledInterval: 5_000 }

/** Apply jobs that may wait before `pull` does: a few megabytes of contacts. */
const APPLY_WAITING_MAX = 40
const ROOM_REST_MS = 15

export interface QueueOptions {
  readonly redisUrl?: string | undefined
  readonly databaseUrl: string
  /** Keeps installations that share a Redis apart; only letters, digits, `-` and `_`. */
  readonly installation: string
  onError(error: Error): void
}

/** A handler may ask to be called again in a moment (`early`); `attempt` counts from 1. */
export type Handlers = {
  readonly [name in QueueName]: (data: unknown, signal: AbortSignal, attempt: number) => Promise<'early' | void>
}

/** The queues of one process, to put jobs into and (once {@link Queues.work} is called) to take them out. */
export class Queues implements Queue {
  readonly #queues: { readonly [name in QueueName]: BullQueue }
  readonly #workers: BullWorker[] = []
  readonly #options: QueueOptions
  readonly #redis: Redis | undefined
  /** One for each worker, which waits on it; BullMQ leaves connections that it was handed to their owner. */
  readonly #waiting: Redis[] = []
  readonly #ending = new AbortController()
  #running = 0

  static async open(options: QueueOptions): Promise<Queues> {
    const queues = new Queues(options)
    await Promise.all(QUEUE_NAMES.map((name) => queues.#queues[name].waitUntilReady()))
    return queues
  }

  private constructor(options: QueueOptions) {
    this.#options = options
    if (options.redisUrl !== undefined) {
      this.#redis = new Redis(options.redisUrl, { maxRetriesPerRequest: null, enableOfflineQueue: true })
      this.#redis.on('error', this.#onError)
    }
    const make = (name: QueueName): BullQueue => {
      const queue = this.#redis
        ? new RedisQueue(name, { connection: this.#redis, prefix: `kith-${options.installation}` })
        : new onPostgres.Queue(name, { connection: this.#postgres(2) })
      queue.on('error', this.#onError)
      return queue as BullQueue
    }
    this.#queues = {
      pull: make('pull'),
      apply: make('apply'),
      settle: make('settle'),
      deliver: make('deliver'),
    }
  }

  /** Connections that break off while they are being ended are no news. */
  readonly #onError = (error: Error): void => {
    if (!this.#ending.signal.aborted) this.#options.onError(error)
  }

  async wakePull(connection: string): Promise<void> {
    await this.#wake('pull', connection, { connection })
  }

  /** Reads the records that hooks have announced, beside whatever pass is under way: the two wait for each other in nothing. */
  async wakeAnnounced(connection: string): Promise<void> {
    await this.#wake('pull', `${connection}:announced`, { connection, announced: true })
  }

  async wakeSettle(): Promise<void> {
    await this.#wake('settle', 'settle', {})
  }

  async wakeDeliver(connection: string, delay_ms = 0): Promise<void> {
    if (delay_ms <= 0) return this.#wake('deliver', connection, { connection })
    const deduplication = { id: `${connection}:later`, ttl: delay_ms }
    await this.#queues.deliver.add('deliver', { connection }, { ...GONE, delay: delay_ms, deduplication })
  }

  async apply(chunk: Chunk): Promise<void> {
    const queue = this.#queues.apply
    while ((await queue.getWaitingCount()) >= APPLY_WAITING_MAX && !this.#ending.signal.aborted)
      await rest(ROOM_REST_MS)
    const backoff = { type: 'exponential', delay: 1000 }
    await queue.add('apply', chunk, { ...GONE, attempts: 4, backoff })
  }

  /** Starts taking jobs. `except`: jobs that this process leaves to others. */
  async work(handlers: Handlers, settings: { applyConcurrency: number; except?: readonly QueueName[] }): Promise<void> {
    const worker = (name: QueueName, concurrency: number): void => {
      if (settings.except?.includes(name)) return
      const processor: Processor = (job, token) => this.#process(name, handlers, job, token)
      const redis = this.#redis?.duplicate()
      if (redis) {
        redis.on('error', this.#onError)
        this.#waiting.push(redis)
      }
      const made = redis
        ? new RedisWorker(name, processor, {
            connection: redis,
            concurrency,
            ...AFTER_A_DEATH,
            prefix: `kith-${this.#options.installation}`,
          })
        : new onPostgres.Worker(name, processor, { connection: this.#postgres(4), concurrency, ...AFTER_A_DEATH })
      made.on('error', this.#onError)
      this.#workers.push(made as BullWorker)
    }
    worker('pull', 16)
    worker('apply', settings.applyConcurrency)
    worker('settle', 1)
    worker('deliver', 16)
    await Promise.all(this.#workers.map((made) => made.waitUntilReady()))
  }

  /** Jobs that this process has in hand: known without asking anybody. */
  get running(): number {
    return this.#running
  }

  /** Jobs that wait or run in the queues that read and apply. */
  async busy(): Promise<number> {
    const queues = [this.#queues.pull, this.#queues.apply, this.#queues.settle]
    const counts = await Promise.all(
      queues.map((queue) => queue.getJobCounts('active', 'waiting', 'delayed', 'prioritized')),
    )
    return counts.flatMap((count) => Object.values(count)).reduce((sum, count) => sum + count, 0)
  }

  async counts(): Promise<{ [name in QueueName]?: { [state: string]: number } }> {
    const entries = QUEUE_NAMES.map(async (name) => [name, await this.#queues[name].getJobCounts()] as const)
    return Object.fromEntries(await Promise.all(entries))
  }

  /** Empties every queue: nothing is lost, only delayed (I13). */
  async obliterate(): Promise<void> {
    for (const name of QUEUE_NAMES) await this.#queues[name].obliterate({ force: true })
  }

  /** Lets jobs under way come to an end, at most `drain_ms_max`, then ends all connections. */
  async close(drain_ms_max: number): Promise<void> {
    this.#ending.abort()
    const drained = Promise.all(this.#workers.map((worker) => worker.close()))
    const late = new AbortController()
    await Promise.race([
      drained,
      rest(drain_ms_max, late.signal).then(() => Promise.all(this.#workers.map((worker) => worker.close(true)))),
    ])
    late.abort()
    await Promise.all(QUEUE_NAMES.map((name) => this.#queues[name].close()))
    for (const redis of [...this.#waiting, this.#redis]) redis?.disconnect()
  }

  async #wake(name: QueueName, id: string, data: object): Promise<void> {
    // A wake that comes while its job runs must lead to another run: what it is about may be newer than what the job saw.
    await this.#queues[name].add(name, data, { ...GONE, deduplication: { id, keepLastIfActive: true } })
  }

  async #process(name: QueueName, handlers: Handlers, job: Job, token: string | undefined): Promise<void> {
    const parsed = JOBS[name].safeParse(job.data)
    if (!parsed.success) {
      this.#options.onError(new Error(`a ${name} job of an unknown shape was dropped`))
      return
    }
    this.#running += 1
    const outcome = await handlers[name](parsed.data, this.#ending.signal, job.attemptsStarted).finally(() => {
      this.#running -= 1
    })
    if (outcome !== 'early') return
    if (job.attemptsStarted > EARLY_ATTEMPTS_MAX) return
    await job.moveToDelayed(Date.now() + EARLY_REST_MS, token)
    throw new DelayedError()
  }

  /** What the queue holds may be lost (I13), so nobody waits until it is on the disk. */
  #postgres(max: number): { connectionString: string; schema: string; migrate: boolean; max: number; options: string } {
    const options = '-c synchronous_commit=off'
    return { connectionString: this.#options.databaseUrl, schema: 'bullmq', migrate: true, max, options }
  }
}

const onPostgres = withBackend(createPostgresBackend)

function rest(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    signal?.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}
