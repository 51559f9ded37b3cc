import { APPLY_CONCURRENCY, DRAIN_MS_MAX, LOG_KEEP_MS, SHARERS_MS, SWEEP_MS } from '../config/limits.ts'
import { failureFrom } from '../engine/core/failure.ts'
import type { AtWork } from '../engine/store/locks.ts'
import { Ear, hearAnnounced, sweepInbox } from './announced.ts'
import { Announcer } from './announcer.ts'
import { applyChunk, PATIENT_ATTEMPTS } from './apply.ts'
import { BackupClock } from './backup-clock.ts'
import { deliver } from './deliver.ts'
import type { Household } from './household.ts'
import { pullConnection } from './pull.ts'
import type { Queues } from './queues.ts'
import type { Chunk, Runtime } from './runtime.ts'
import { settleHousehold } from './settle.ts'
import { sweep, type Schedule } from './sweep.ts'
import { Turns } from './turns.ts'
import { Watches } from './watches.ts'

export interface DaemonOptions {
  /** Poll, sweep and listen for the apps' own announcements; without it the process only works on jobs (`kith worker`). */
  readonly leads: boolean
  /** false: nothing is written anywhere by this process; `kith plan` works so. Default: true. */
  readonly delivers?: boolean
  readonly sweep_ms?: number
}

/** The workers of one process, and what wakes them. Owns their lifetimes: what it starts, `stop` ends. */
export class Daemon {
  readonly runtime: Runtime
  readonly queues: Queues
  readonly #household: Household
  readonly #schedule: Schedule
  readonly #turns = new Turns()
  readonly #ear = new Ear((connection, signal) => this.#hear(connection, signal))
  readonly #announcer: Announcer
  readonly #watches: Watches
  /** Whether this process polls, sweeps and watches. */
  #leads = false
  /** How to end what wakes the workers: watchers, the sweep. */
  readonly #unwatch: (() => Promise<void>)[] = []
  #leaveWork: () => Promise<void> = () => Promise.resolve()
  #pruned_ms = 0

  private constructor(household: Household, queues: Queues) {
    this.#household = household
    this.queues = queues
    this.runtime = household.runtime(queues)
    const poll_ms = new Map(household.config.connections.map(({ name, poll_ms }) => [name, poll_ms]))
    this.#schedule = { poll_ms, attempted_ms: new Map() }
    this.#announcer = new Announcer(household.inbox)
    this.#watches = new Watches({
      connected: () => household.connected,
      store: household.store,
      announcer: this.#announcer,
      wakePull: (connection) => queues.wakePull(connection),
      log: this.runtime.log,
      now: this.runtime.now,
    })
  }

  /** Starts the workers on a connected household. */
  static async start(household: Household, options: DaemonOptions): Promise<Daemon> {
    const queues = await household.openQueues()
    const daemon = new Daemon(household, queues)
    const atWork = await household.enterWork(queues)
    daemon.#leaveWork = () => atWork.leave()
    await daemon.#shareBudgets(atWork)
    await queues.work(
      {
        pull: (data, signal) => {
          const { connection, announced } = data as { connection: string; announced?: true }
          return announced ? daemon.#hear(connection, signal) : daemon.#pull(connection, signal)
        },
        apply: (data, signal, attempt) => daemon.#apply(data as Chunk, signal, attempt),
        settle: (_data, signal) => daemon.#guard('settle', settleHousehold(daemon.runtime, signal)),
        deliver: (data, signal) =>
          daemon.#guard('deliver', deliver(daemon.runtime, (data as { connection: string }).connection, signal)),
      },
      {
        applyConcurrency: APPLY_CONCURRENCY,
        except: options.delivers === false ? ['deliver'] : [],
      },
    )
    if (options.leads) {
      // Whatever was announced while nobody listened.
      for (const name of daemon.runtime.connectors.keys()) await queues.wakePull(name)
      // Nobody is read more often than a sweep comes by.
      daemon.#sweepEvery(options.sweep_ms ?? Math.min(SWEEP_MS, ...daemon.#schedule.poll_ms.values()))
      await daemon.#watch()
      daemon.#backUp()
    }
    return daemon
  }

  /** Ends watchers, lets jobs under way finish, and ends the queues. The household stays open. */
  async stop(): Promise<void> {
    await Promise.all([this.#ear.stop(), ...this.#unwatch.map((end) => end())])
    await this.queues.close(DRAIN_MS_MAX)
    // Only now: whoever starts alone after us takes what still looks under way for left behind.
    await this.#leaveWork()
  }

  /** A hook has said that something changed there: the feed is pulled. */
  wakePull(connection: string): Promise<void> {
    return this.queues.wakePull(connection)
  }

  /** A hook has named records: they are read by this process. Others find them by the sweep. */
  wakeAnnounced(connection: string): void {
    this.#ear.wake(connection)
  }

  /** Whoever comes or goes is noticed within seconds; until then the apps' own refusals are heeded. */
  async #shareBudgets(atWork: AtWork): Promise<void> {
    const look = async (): Promise<void> => {
      this.#household.sharers = await atWork.count()
    }
    await look()
    const timer = setInterval(() => void look().catch(() => undefined), SHARERS_MS)
    this.#unwatch.push(() => Promise.resolve(clearInterval(timer)))
  }

  #backUp(): void {
    const { backup } = this.#household.config
    if (backup === null) return
    const clock = new BackupClock(this.#household, backup, this.runtime.log, SWEEP_MS)
    this.#unwatch.push(() => clock.stop())
  }

  async #watch(): Promise<void> {
    this.#leads = true
    this.#announcer.attach(this)
    this.#unwatch.push(async () => {
      await this.#watches.stop()
      this.#announcer.detach()
    })
    await this.#watches.refresh()
  }

  async #pull(connection: string, signal: AbortSignal): Promise<void> {
    const broken = this.#household.connected.find((item) => item.config.name === connection && item.failure !== null)
    // An app that did not answer when it was opened may have other fields by now, or be there at last.
    if (broken) {
      await this.#household.connect(connection, signal)
      // The connector that was watched is closed.
      if (this.#leads) await this.#watches.refresh()
    }
    await this.#guard('pull', pullConnection(this.runtime, connection, signal))
  }

  #hear(connection: string, signal: AbortSignal): Promise<void> {
    return this.#guard('announced', hearAnnounced(this.runtime, this.#household.inbox, connection, signal))
  }

  async #apply(chunk: Chunk, signal: AbortSignal, attempt: number): Promise<'early' | void> {
    const patient = attempt <= PATIENT_ATTEMPTS
    const applied = await this.#turns.run(chunk, (turn) => applyChunk(this.runtime, chunk, patient, signal, turn))
    if (applied === 'early') return 'early'
  }

  /** By a clock of its own, not by a job: a queue that is emptied would take the job with it, and nobody would look (I13). */
  #sweepEvery(pause_ms: number): void {
    let timer: NodeJS.Timeout | undefined
    let underWay = Promise.resolve()
    let ended = false
    const turn = (): void => {
      underWay = this.#guard('sweep', this.#sweep()).then(() => {
        if (!ended) timer = setTimeout(turn, pause_ms)
      })
    }
    turn()
    this.#unwatch.push(async () => {
      ended = true
      clearTimeout(timer)
      await underWay
    })
  }

  async #sweep(): Promise<void> {
    await sweep(this.runtime, this.#schedule)
    const now_ms = this.runtime.now()
    await sweepInbox(this.#household.inbox, this.queues, now_ms)
    if (now_ms - this.#pruned_ms < 24 * 3_600_000) return
    this.#pruned_ms = now_ms
    await this.runtime.store.prune(now_ms - LOG_KEEP_MS)
  }

  /** A job that fails is told, and left to the sweep: what it was about is in the store. */
  async #guard(job: string, work: Promise<void>): Promise<void> {
    try {
      await work
    } catch (error) {
      const { kind, message } = failureFrom(error)
      this.runtime.log.warn('job failed', { job, kind, error: message })
    }
  }
}
