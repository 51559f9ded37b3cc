import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadConfig } from '../../../config/load.ts'
import type { App, ConnectContext } from '../../../connectors/app.ts'
import { StoredSignIn } from '../../../connectors/oauth-sign-in.ts'
import { apps } from '../../../connectors/registry.ts'
import type { AppRecord, Connector } from '../../../engine/core/ports/connector.ts'
import type { Intent } from '../../../engine/core/ports/store.ts'
import type { Rules } from '../../../engine/core/rules.ts'
import { hearAnnounced } from '../../../workers/announced.ts'
import { applyChunk, PATIENT_ATTEMPTS } from '../../../workers/apply.ts'
import { catalogueOf, connect, rulesOf } from '../../../workers/connect.ts'
import { deliver } from '../../../workers/deliver.ts'
import { pullConnection } from '../../../workers/pull.ts'
import { APPROVED, type Chunk, type Queue, type Runtime } from '../../../workers/runtime.ts'
import { settleHousehold } from '../../../workers/settle.ts'
import { somethingUnsettled, sweep, type Schedule } from '../../../workers/sweep.ts'
import { MemoryTokens } from '../../support/memory-tokens.ts'
import { MemoryStore } from '../memory-store.ts'
import type { Random } from '../random.ts'
import type { Account } from './account.ts'
import { VirtualClock } from './clock.ts'
import { openCompany } from './company.ts'
import { watched } from './errand.ts'
import { MemoryInbox } from './inbox.ts'
import { forged, PostOffice, type Letter } from './post.ts'

type Job =
  | { readonly kind: 'pull' | 'deliver' | 'announced'; readonly connection: string }
  | { readonly kind: 'settle' }
  | { readonly kind: 'apply'; readonly chunk: Chunk; readonly attempt: number }

const MINUTE_MS = 60_000
/** A chunk that came too early is looked at again after this. */
const EARLY_REST_MS = 1000
const EARLY_ATTEMPTS_MAX = 50
/** A job that goes on and on: nothing comes to rest in so many. */
const JOBS_MAX = 5000

const NO_BRAKES = { deletes: { min: 1e9 }, creates: { min: 1e9 }, field: { min: 1e9 }, flips: 1000 }

/**
 * A company: five accounts behind real HTTP, the real connectors and workers, one clock that nobody waits for. The store and the
 * queue are those of the simulation. One job runs at a time, so that the same seed gives the same day.
 */
export class CompanyWorld {
  readonly clock = new VirtualClock()
  readonly store = new MemoryStore()
  readonly accounts = new Map<string, Account>()
  readonly trace: string[] = []
  /** Records that Kith has sent, by connection, since the count was last reset. */
  readonly writes = new Map<string, number>()
  /** Hooks by what became of them. */
  readonly hooks = { heard: 0, lost: 0, doubled: 0, late: 0, forged: 0 }
  /** What must never happen, and did. */
  readonly wrong: string[] = []
  /** How failures went by, by connection and kind: whether the weather was bad at all. */
  readonly failures = new Map<string, number>()
  /** Wakes get lost and doubled, hooks come late; humans are quicker than jobs. */
  stormy = false
  /** Lets humans act between two steps of a job. */
  interrupt: () => void = () => undefined
  rules!: Rules
  readonly #random: Random
  readonly #inbox = new MemoryInbox()
  readonly #post = new PostOffice(this.clock.now)
  readonly #connectors = new Map<string, Connector>()
  readonly #schedule: Schedule = { poll_ms: new Map(), attempted_ms: new Map() }
  readonly #dir = mkdtempSync(join(tmpdir(), 'kith-company-'))
  #jobs: Job[] = []
  #timers: { readonly at_ms: number; readonly act: () => void }[] = []
  #ids = 0

  constructor(random: Random) {
    this.#random = random
  }

  async open(): Promise<void> {
    await this.#post.open()
    for (const account of await openCompany(this.#random, this.clock.now)) this.accounts.set(account.name, account)
    const config = await this.#config()
    const tokens = new MemoryTokens()
    const connected = []
    for (const connection of config.connections) {
      const app = apps.get(connection.app) as App
      const { name } = connection
      const { now, sleep } = this.clock
      const plan = app.oauth?.(connection.options)
      const signIn = plan
        ? new StoredSignIn(plan, tokens, { connection: name, title: app.title, now, sleep })
        : undefined
      const context: ConnectContext = {
        connection: name,
        baseDir: this.#dir,
        now,
        sleep,
        ...(signIn ? { signIn } : {}),
      }
      const one = await connect(app, connection, catalogueOf(config), context, null)
      if (one.failure || !one.rules) throw new Error(`${name} cannot be opened: ${one.failure?.message}`)
      connected.push(one)
      this.#connectors.set(name, watched(one.connector, this.#watch(name)))
      const webhook = app.webhook?.(connection.options, context)
      if (webhook) this.#post.webhooks.set(name, webhook)
      await this.accounts.get(name)?.hook?.(`${this.#post.url}/hooks/${name}`)
      ;(this.#schedule.poll_ms as Map<string, number>).set(name, (3 + this.#random.below(8)) * MINUTE_MS)
    }
    this.rules = rulesOf(config, catalogueOf(config), connected)
    await this.store.ensureConnections(config.connections.map(({ name, app, mode }) => ({ name, app, mode })))
    await this.store.setFact(APPROVED, 'company')
  }

  async close(): Promise<void> {
    for (const connector of this.#connectors.values()) await connector.close()
    for (const account of this.accounts.values()) await account.close()
    await this.#post.close()
    rmSync(this.#dir, { recursive: true, force: true })
  }

  account(name: string): Account {
    const account = this.accounts.get(name)
    if (!account) throw new RangeError(`no account ${name}`)
    return account
  }

  note(line: string): void {
    this.trace.push(`${new Date(this.clock.now()).toISOString().slice(5, 19)} ${line}`)
  }

  /** The workers look at what time has made due, and all that can be done is done. */
  async work(): Promise<void> {
    await sweep(this.runtime(), this.#schedule)
    for (const connection of await this.#inbox.connections()) this.#push({ kind: 'announced', connection })
    await this.drain()
  }

  wakeAllPulls(): void {
    for (const connection of this.accounts.keys()) this.#push({ kind: 'pull', connection })
  }

  /** Runs jobs until there are none; what sleeps until later stays. */
  async drain(): Promise<void> {
    for (let count = 0; ; count++) {
      await this.#collectPost()
      const due = this.#timers.filter(({ at_ms }) => at_ms <= this.clock.now())
      this.#timers = this.#timers.filter(({ at_ms }) => at_ms > this.clock.now())
      for (const { act } of due) act()
      const [job] = this.#jobs.splice(this.#random.below(this.#jobs.length), 1)
      if (!job) return
      if (count > JOBS_MAX) throw new Error('the company does not come to rest')
      await this.#run(job)
    }
  }

  /** What is asked of the world itself, in between. */
  async atRest(): Promise<boolean> {
    return (await this.store.due(Number.MAX_SAFE_INTEGER)).length === 0 && !(await somethingUnsettled(this.runtime()))
  }

  /** All records as they stand, read through the connectors. */
  async snapshot(): Promise<Map<string, Map<string, AppRecord>>> {
    const all = new Map<string, Map<string, AppRecord>>()
    for (const [name, account] of this.accounts) {
      const connector = this.#connectors.get(name) as Connector
      const ids = account.ids()
      const records = new Map<string, AppRecord>()
      for (let start = 0; start < ids.length; start += connector.capabilities.readBatch_max) {
        for (const answer of await connector.read(ids.slice(start, start + connector.capabilities.readBatch_max)))
          if (answer.kind === 'record') records.set(answer.record.id, answer.record)
      }
      all.set(name, records)
    }
    return all
  }

  runtime(): Runtime {
    const queue: Queue = {
      wakePull: async (connection) => this.#push({ kind: 'pull', connection }),
      apply: async (chunk) => void this.#jobs.push({ kind: 'apply', chunk, attempt: 1 }),
      wakeSettle: async () => this.#push({ kind: 'settle' }),
      wakeDeliver: async (connection, delay_ms = 0) => {
        if (delay_ms <= 0) return this.#push({ kind: 'deliver', connection })
        this.#later(delay_ms, () => this.#push({ kind: 'deliver', connection }))
      },
    }
    return {
      store: this.store,
      rules: this.rules,
      connectors: this.#connectors,
      queue,
      now: this.clock.now,
      newId: () => `p${++this.#ids}`,
      fingerprint: 'company',
      log: {
        info() {},
        warn: (event, facts) => this.note(`warn ${event} ${JSON.stringify(facts)}`),
        failure: (event, connection, { kind, code, message }) => {
          const what = `${connection} ${kind}`
          this.failures.set(what, (this.failures.get(what) ?? 0) + 1)
          if (kind === 'bug') this.wrong.push(`${connection}: ${event}: ${message}`)
          this.note(`failure ${event} ${what} ${code ?? ''} ${message}`)
        },
      },
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
      limits: { chunk_max: 25, lease_ms: 2 * MINUTE_MS, mergeAttempts_max: 5 },
    }
  }

  #watch(name: string) {
    return {
      between: () => {
        if (this.stormy && this.#random.chance(0.03)) this.interrupt()
        return Promise.resolve()
      },
      wrote: (count: number) => void this.writes.set(name, (this.writes.get(name) ?? 0) + count),
    }
  }

  async #config() {
    const connections = Object.fromEntries(
      [...this.accounts.values()].map(({ name, options }) => [name, { app: name, ...options }]),
    )
    const file = join(this.#dir, 'kith.yaml')
    // JSON is YAML.
    writeFileSync(file, JSON.stringify({ region: 'DE', approval: 'auto', brakes: NO_BRAKES, connections }))
    return (await loadConfig(file, apps, {}, () => [])).config
  }

  #push(job: Job): void {
    if (this.stormy && this.#random.chance(0.05)) return
    this.#jobs.push(job)
    if (this.stormy && this.#random.chance(0.05)) this.#jobs.push(job)
  }

  #later(ms: number, act: () => void): void {
    this.#timers.push({ at_ms: this.clock.now() + ms, act })
  }

  async #run(job: Job): Promise<void> {
    const runtime = this.runtime()
    switch (job.kind) {
      case 'pull':
        return await pullConnection(runtime, job.connection)
      case 'deliver':
        return await deliver(runtime, job.connection)
      case 'announced':
        return await hearAnnounced(runtime, this.#inbox, job.connection)
      case 'settle':
        return await forgiving(settleHousehold(runtime))
      case 'apply': {
        const applied = await forgiving(applyChunk(runtime, job.chunk, job.attempt <= PATIENT_ATTEMPTS))
        if (applied === 'early' && job.attempt < EARLY_ATTEMPTS_MAX)
          this.#later(EARLY_REST_MS, () => void this.#jobs.push({ ...job, attempt: job.attempt + 1 }))
      }
    }
  }

  /** Hooks that came in: heard, or what else becomes of them in bad weather. */
  async #collectPost(): Promise<void> {
    for (const account of this.accounts.values()) await account.flushed()
    for (const letter of this.#post.take()) {
      const { connection } = letter
      const fate = this.stormy ? this.#random.next() : 1
      if (fate < 0.15) this.hooks.lost++
      else if (fate < 0.3) {
        this.hooks.late++
        this.#later(this.#random.below(8 * MINUTE_MS), () => void this.#hear(letter))
      } else {
        await this.#hear(letter)
        if (fate < 0.45) {
          this.hooks.doubled++
          await this.#hear(letter)
        }
      }
      if (this.stormy && this.#random.chance(0.1)) {
        this.hooks.forged++
        const answer = this.#post.webhooks.get(connection)?.receive(forged(letter).request)
        if (answer?.announces !== null) this.wrong.push(`a forged hook of ${connection} was believed`)
      }
    }
  }

  async #hear({ connection, at_ms, request }: Letter): Promise<void> {
    const answer = this.#post.webhooks.get(connection)?.receive(request)
    if (!answer) return
    this.note(`hook ${connection} ${answer.status} ${JSON.stringify(answer.announces)}`)
    if (answer.refused !== undefined) {
      // One that comes very late may be a replay.
      if (this.clock.now() - at_ms < 4 * MINUTE_MS)
        this.wrong.push(`a true hook of ${connection} was refused: ${answer.refused}`)
      return
    }
    if (answer.announces === null) return
    const records = answer.announces === 'pull' ? [] : answer.announces.records
    const taken = await this.#inbox.take({ connection, eventIds: answer.eventIds, records, now_ms: this.clock.now() })
    if (!taken) return
    this.hooks.heard++
    if (records.length > 0) this.#push({ kind: 'announced', connection })
    this.#push({ kind: 'pull', connection })
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
