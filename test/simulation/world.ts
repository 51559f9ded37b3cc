import { memoryRules } from '../support/rules.ts'
import { MemoryApp } from '../../connectors/memory/app.ts'
import { MemoryConnector } from '../../connectors/memory/index.ts'
import { CONSENT_FIELDS, type Quirks } from '../../connectors/memory/quirks.ts'
import { AppError } from '../../connectors/memory/wire.ts'
import type { Connector } from '../../engine/core/ports/connector.ts'
import type { Intent } from '../../engine/core/ports/store.ts'
import type { ConnectionRules, Policy, Rules } from '../../engine/core/rules.ts'
import { ActRefusedError } from '../../workers/acts.ts'
import { applyChunk } from '../../workers/apply.ts'
import { deliver } from '../../workers/deliver.ts'
import { pullConnection } from '../../workers/pull.ts'
import { APPROVED, type Chunk, type Queue, type Runtime } from '../../workers/runtime.ts'
import { settleHousehold } from '../../workers/settle.ts'
import { sweep } from '../../workers/sweep.ts'
import { PATIENT_ATTEMPTS } from '../../workers/apply.ts'
import { gatedStore } from './gates.ts'
import { MemoryStore } from './memory-store.ts'
import type { Random } from './random.ts'
import { Scheduler } from './scheduler.ts'

export interface AppPlan {
  readonly name: string
  readonly quirks: Partial<Quirks>
  /** Its records say whether their first address may be written to. */
  readonly consent?: boolean
  readonly rules?: Partial<Pick<ConnectionRules, 'direction' | 'deletes' | 'create'>>
}

export interface WorldPlan {
  readonly apps: readonly AppPlan[]
  readonly policies?: { readonly [field: string]: Policy }
}

/** A job of the in-process queue. */
type Job =
  | { readonly kind: 'pull' | 'deliver'; readonly connection: string }
  | { readonly kind: 'settle' }
  | { readonly kind: 'apply'; readonly chunk: Chunk; readonly attempt: number }

/** The middle of the year 2026. */
const START_MS = 1_780_000_000_000

const LEASE_MS = 30_000

/**
 * A whole world in one process: apps with humans in them, the real workers, an in-process queue, the memory store, and a
 * clock that only the world moves. Everything that happens is drawn from the seed.
 */
export class World {
  readonly random: Random
  readonly scheduler: Scheduler
  readonly store = new MemoryStore()
  readonly apps = new Map<string, MemoryApp>()
  /** Replaced when the config changes in the middle of a run. */
  rules: Rules
  readonly #plan: WorldPlan
  readonly #connectors = new Map<string, Connector>()
  #jobs: Job[] = []
  #now_ms = START_MS
  #ids = 0
  /** Writes that reached an app, by app, since the count was last reset. */
  readonly writes = new Map<string, number>()
  /** Calls of any kind, by app. */
  readonly calls = new Map<string, number>()
  /** Wakes that are lost, doubled or come late. */
  queueFaults = false
  /** `app id` of every record that a human has made; Kith has made the others. */
  readonly humanMade = new Set<string>()
  /** `app id` of every record that was ever there, and of those that a human has taken away. */
  readonly everThere = new Set<string>()
  readonly humanRemoved = new Set<string>()
  /** How often a human has merged two records, and with them maybe two people. */
  merges = 0
  /** Those of them that a human has made in an app. */
  humanMerges = 0
  /** `app id` of the records that an operator has let go away, and of those that they go into. */
  readonly approved = new Set<string>()
  /** `app id` of the records of people whom an operator has erased. */
  readonly erased = new Set<string>()
  /** Writes that reached an app after its pause was acknowledged (I10). */
  readonly wroteInPause: string[] = []

  constructor(random: Random, plan: WorldPlan) {
    this.random = random
    this.scheduler = new Scheduler(random)
    for (const { name, quirks, consent } of plan.apps) {
      const app = new MemoryApp({ name, now: () => this.#now_ms, quirks, fields: consent ? CONSENT_FIELDS : [] })
      app.onCall = async (call, when) => {
        if (when === 'before') {
          this.calls.set(name, (this.calls.get(name) ?? 0) + 1)
          if (call.method === 'write') this.writes.set(name, (this.writes.get(name) ?? 0) + call.size)
        }
        const asked_ms = this.#now_ms
        await this.scheduler.gate(0, `${name}.${call.method} ${when}`)
        if (call.method !== 'write' || when !== 'before') return
        // A request that was not sent in time is given up.
        if (this.#now_ms - asked_ms >= LEASE_MS / 2) throw new AppError(503)
        if (this.store.isPaused(name)) this.wroteInPause.push(`${name} at ${this.#now_ms}`)
      }
      app.subscribe(() => {
        for (const { id } of app.all()) this.everThere.add(`${name} ${id}`)
      })
      this.apps.set(name, app)
      this.#connectors.set(name, new MemoryConnector(app))
    }
    this.#plan = plan
    this.rules = memoryRules(plan.apps, plan.policies ?? {})
  }

  /** An operator edits the policies: everybody is planned anew. */
  async changePolicies(policies: { readonly [field: string]: Policy }): Promise<void> {
    this.note(`the config changes: ${JSON.stringify(policies)}`)
    this.rules = memoryRules(this.#plan.apps, policies)
    await this.store.replanAll()
  }

  /** The records that are in an app now. */
  idsOf(name: string): string[] {
    return [...this.app(name).all()].map((record) => record.id)
  }

  /**
   * Whether an edit made now may be written over unseen: a write of the record is under way after the last look, and what is left of
   * that race is the time of one request. Merges have no precondition in any app. Where operators make one person of two that have
   * little in common, whole records are written over, so that it is met in other apps without preconditions, too.
   */
  exposed(name: string, id: string): boolean {
    const op = this.store.sendingOp(name, id)
    if (op === 'merge') return true
    return op !== undefined && this.merges > this.humanMerges && !this.app(name).quirks.precondition
  }

  keepsConsent(name: string): boolean {
    return (this.rules.connections.get(name)?.lens.consents.length ?? 0) > 0
  }

  get now_ms(): number {
    return this.#now_ms
  }

  async open(): Promise<void> {
    const wanted = [...this.apps.keys()].map((name) => ({ name, app: 'memory', mode: 'live' as const }))
    await this.store.ensureConnections(wanted)
    await this.store.setFact(APPROVED, 'sim')
  }

  app(name: string): MemoryApp {
    const app = this.apps.get(name)
    if (!app) throw new RangeError(`no app ${name}`)
    return app
  }

  advance(ms: number): void {
    this.#now_ms += ms
  }

  /** The process dies, with all that it had in memory; the queue's contents may die with it. */
  crash(loseQueue: boolean): void {
    this.scheduler.crash()
    if (loseQueue) this.#jobs = []
  }

  loseQueue(): void {
    this.scheduler.trace.push('queue lost')
    this.#jobs = []
  }

  wakeAllPulls(): void {
    for (const name of this.apps.keys()) this.#push({ kind: 'pull', connection: name })
  }

  /** For what the world itself asks, in between. */
  runtimeWithoutGates(): Runtime {
    return { ...this.runtime(0), store: this.store }
  }

  async sweep(): Promise<void> {
    await sweep(this.runtimeWithoutGates(), {
      poll_ms: new Map([...this.apps.keys()].map((name) => [name, 60_000])),
      attempted_ms: new Map(),
    })
  }

  /** An operator does something beside all else: it may be overtaken, or die, at any await. */
  operate(label: string, work: (runtime: Runtime) => Promise<void>): void {
    this.note(`operator: ${label}`)
    this.scheduler.start(`operator: ${label}`, async (task) => {
      try {
        await forgiving(work(this.runtime(task)))
      } catch (error) {
        if (!(error instanceof ActRefusedError)) throw error
        this.note(`refused: ${error.message}`)
      }
    })
  }

  /** Something worth a line in the trace. */
  note(line: string): void {
    this.scheduler.trace.push(line)
  }

  /** One step: a job is begun, or a task goes on. @returns false when there is nothing to do at all */
  async step(): Promise<boolean> {
    if (this.#jobs.length > 0 && this.scheduler.running < 6 && this.random.chance(0.4)) this.#begin()
    const stepped = await this.scheduler.step()
    if (this.scheduler.failure) throw this.scheduler.failure
    if (stepped) return true
    if (this.#jobs.length === 0) return false
    this.#begin()
    return true
  }

  /** Goes on until nothing more happens by itself. */
  async drain(steps_max = 200_000): Promise<void> {
    for (let steps = 0; await this.step(); steps++)
      if (steps > steps_max) throw new Error('the world does not come to rest')
  }

  runtime(task: number): Runtime {
    const queue: Queue = {
      wakePull: async (connection) => this.#push({ kind: 'pull', connection }),
      apply: async (chunk) => this.#push({ kind: 'apply', chunk, attempt: 1 }),
      wakeSettle: async () => this.#push({ kind: 'settle' }),
      wakeDeliver: async (connection) => this.#push({ kind: 'deliver', connection }),
    }
    return {
      store: gatedStore(this.store, (label) => this.scheduler.gate(task, label)),
      rules: this.rules,
      connectors: this.#connectors,
      queue,
      now: () => this.#now_ms,
      newId: () => `p${++this.#ids}`,
      fingerprint: 'sim',
      log: { info() {}, warn() {}, failure() {} },
      events: {
        read: () => undefined,
        applied: (connection, _heard, _unchanged, changes) => {
          for (const change of changes) this.note(`${change.kind} ${connection} ${JSON.stringify(change)}`)
        },
        planned: (intents) => {
          for (const intent of intents) this.note(`plan ${brief(intent)}`)
        },
        settled: (intent, answer, settlement) =>
          this.note(`settle ${brief(intent)} ${JSON.stringify(answer)} -> ${settlement?.state ?? 'unknown'}`),
      },
      limits: { chunk_max: 8, lease_ms: LEASE_MS, mergeAttempts_max: 20 },
    }
  }

  #push(job: Job): void {
    if (this.queueFaults && this.random.chance(0.1)) return
    this.#jobs.push(job)
    if (this.queueFaults && this.random.chance(0.1)) this.#jobs.push(job)
  }

  #begin(): void {
    const [job] = this.#jobs.splice(this.random.below(this.#jobs.length), 1)
    if (!job) return
    const label =
      job.kind === 'settle'
        ? 'settle'
        : job.kind === 'apply'
          ? `apply ${job.chunk.connection}`
          : `${job.kind} ${job.connection}`
    // What BullMQ promises by deduplication: one pull of a connection, one delivery, one settling at a time.
    if (job.kind !== 'apply' && this.scheduler.runs(label)) {
      this.#jobs.push(job)
      return
    }
    this.scheduler.trace.push(`begin ${label}`)
    this.scheduler.start(label, (task) => this.#run(job, task))
  }

  async #run(job: Job, task: number): Promise<void> {
    const runtime = this.runtime(task)
    switch (job.kind) {
      case 'pull':
        return pullConnection(runtime, job.connection)
      case 'deliver':
        return deliver(runtime, job.connection)
      case 'settle':
        return forgiving(settleHousehold(runtime))
      case 'apply':
        if ((await forgiving(applyChunk(runtime, job.chunk, job.attempt <= PATIENT_ATTEMPTS))) === 'early') {
          this.#jobs.push({ ...job, attempt: job.attempt + 1 })
        }
    }
  }
}

function brief(intent: Intent): string {
  return `${intent.id} ${intent.op} ${intent.connection} ${intent.recordId ?? ''} for ${intent.personId} ${JSON.stringify(intent.fields)}`
}

/** A job that fails because an app could not be read is given up: the next pass, or the sweep, takes its place. */
async function forgiving<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work
  } catch (error) {
    if (error instanceof Error && error.name === 'FailureError') return undefined
    throw error
  }
}
