import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { carddav, connectCardDav } from '../../connectors/carddav/index.ts'
import type { App } from '../../connectors/app.ts'
import { memory } from '../../connectors/memory/index.ts'
import { apps as registry } from '../../connectors/registry.ts'
import { connectSalesforce, salesforce } from '../../connectors/salesforce/index.ts'
import type { Failure } from '../../engine/core/failure.ts'
import type { Change, Intent, LogEntry } from '../../engine/core/ports/store.ts'
import { approvePlan, brakeHolds, releaseBrakes, type BrakeHold } from '../../workers/approve.ts'
import { Daemon } from '../../workers/daemon.ts'
import { dryRun } from '../../workers/dry-run.ts'
import { Household } from '../../workers/household.ts'
import { runToQuiet } from '../../workers/quiet.ts'
import { sorted, type Contact } from './contacts.ts'
import { PASSWORD, written, type Place } from './places.ts'
import { freshDatabase, type FreshDatabase } from './postgres.ts'

/** The apps of a household, as patient as ever, but some quicker to try again; and the memory app. */
const APPS: ReadonlyMap<string, App> = new Map<string, App>([
  ...registry,
  [memory.name, memory as unknown as App],
  [
    carddav.name,
    {
      ...(carddav as unknown as App),
      connect: (options, context) =>
        connectCardDav(options as Parameters<typeof connectCardDav>[0], context, { retryPause_ms: 5 }),
    },
  ],
  [
    salesforce.name,
    {
      ...(salesforce as unknown as App),
      connect: (options, context) =>
        connectSalesforce(options as Parameters<typeof connectSalesforce>[0], context, { streamPause_ms: 10 }),
    },
  ],
])

export interface Told {
  readonly event: string
  readonly connection?: string
  readonly failure?: Failure
}

/** One write that an app has answered. */
export interface Delivery {
  readonly connection: string
  readonly op: Intent['op']
  readonly state: string
}

/** What a write is, whatever became of it: to compare a plan with what was done. */
export type WriteContent = Pick<Intent, 'connection' | 'op' | 'personId' | 'recordId' | 'fields'>

export type YamlDocument = { readonly [key: string]: unknown }

/**
 * The real engine over some places: config, Postgres, BullMQ and connectors as a command has them, in this process. A folder
 * and a database of its own; `close` leaves neither behind.
 */
export class TestHousehold {
  readonly dir: string
  readonly places: readonly Place[]
  /** What the log was told, and what apps have answered, since the start. */
  readonly told: Told[] = []
  readonly deliveries: Delivery[] = []
  readonly done: WriteContent[] = []
  readonly changes: Change[] = []
  readonly #database: FreshDatabase
  readonly #env: { readonly [name: string]: string }
  #household: Household | undefined
  #daemon: Daemon | undefined

  /** A new folder, for places that are files; removed with the household. */
  static folder(): string {
    return mkdtempSync(join(tmpdir(), 'kith-scenario-'))
  }

  static async make(
    dir: string,
    places: readonly Place[],
    more: YamlDocument = {},
    env: { readonly [name: string]: string } = {},
  ): Promise<TestHousehold> {
    const made = new TestHousehold(dir, places, await freshDatabase(), env)
    made.configure(more)
    return made
  }

  private constructor(dir: string, places: readonly Place[], database: FreshDatabase, env: { [name: string]: string }) {
    this.dir = dir
    this.places = places
    this.#database = database
    this.#env = { DATABASE_URL: database.url, OFFICE_PASSWORD: PASSWORD, ...env }
  }

  /** Writes kith.yaml. `connections` of `more` are laid over those of the places: of all, or of those named. */
  configure(more: YamlDocument, only = this.places.map(({ name }) => name)): void {
    const over = (more['connections'] ?? {}) as { [name: string]: object }
    const connections = Object.fromEntries(
      this.places
        .filter(({ name }) => only.includes(name))
        .map((place) => [place.name, { ...place.config, ...over[place.name] }]),
    )
    // JSON is YAML.
    const document = { region: 'DE', ...more, connections }
    writeFileSync(join(this.dir, 'kith.yaml'), JSON.stringify(document, null, 2))
  }

  /** The household, opened where it is not. */
  async open(): Promise<Household> {
    if (this.#household) return this.#household
    const household = await Household.open({
      configFile: join(this.dir, 'kith.yaml'),
      env: this.#env,
      apps: APPS,
      log: {
        info: (event) => void this.told.push({ event }),
        warn: (event) => void this.told.push({ event }),
        failure: (event, connection, failure) => void this.told.push({ event, connection, failure }),
      },
      events: {
        read: () => undefined,
        applied: (_connection, _heard, _unchanged, changes) => void this.changes.push(...changes),
        planned: () => undefined,
        settled: ({ connection, op, personId, recordId, fields }, _answer, settlement) => {
          this.deliveries.push({ connection, op, state: settlement?.state ?? 'unknown' })
          if (settlement?.state === 'done') this.done.push({ connection, op, personId, recordId, fields })
        },
      },
    })
    this.#household = household
    await household.connect()
    return household
  }

  /** `kith plan`: reads and plans; nothing is written. @returns what would be written, in one order for all */
  async plan(): Promise<PlannedWrite[]> {
    const household = await this.open()
    await this.#stopDaemon()
    const daemon = await Daemon.start(household, { leads: false, delivers: false })
    try {
      await dryRun(household, daemon)
    } finally {
      await daemon.stop()
    }
    return this.intents()
  }

  async intents(): Promise<PlannedWrite[]> {
    const household = await this.open()
    const found: PlannedWrite[] = []
    for await (const { connection, op, personId, recordId, fields, state, held, failure } of household.store.intents(
      {},
    ))
      found.push({ connection, op, personId, recordId, fields, state, held, failure })
    return found.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
  }

  /** `kith approve`: releases what waits for approval, and sends it. */
  async approve(): Promise<number> {
    const released = await approvePlan(await this.open())
    await this.#deliverEverywhere()
    await this.sync()
    return released
  }

  /** `kith approve --brakes`. */
  async approveBrakes(): Promise<number> {
    const daemon = await this.daemon()
    const released = await releaseBrakes(daemon.runtime, await this.brakes())
    await this.#deliverEverywhere()
    await this.sync()
    return released
  }

  async brakes(): Promise<BrakeHold[]> {
    return brakeHolds(await this.open())
  }

  /** `kith sync`: reads every connection once, and sends until nothing more happens by itself. */
  async sync(): Promise<void> {
    await runToQuiet(await this.daemon(), { delivered: true })
  }

  /** A first sync with its approval, as `kith sync --approve`. */
  async syncApproved(): Promise<void> {
    await this.plan()
    await this.approve()
  }

  /** Syncs, and answers how many records were written in each place: counted by what stands there, not by what Kith says. */
  async countedSync(): Promise<{ [place: string]: number }> {
    const before = this.places.map((place) => place.stamps())
    await this.sync()
    return Object.fromEntries(
      this.places.map((place, index) => [place.name, written(before[index] ?? new Map(), place.stamps())]),
    )
  }

  /** Syncs again and again until the fact is there; with writes that wait for a later time this takes a moment. */
  async syncUntil(fact: () => Promise<boolean> | boolean, within_ms = 15_000): Promise<void> {
    for (const end = Date.now() + within_ms; ;) {
      await this.sync()
      if (await fact()) return
      if (Date.now() > end) throw new Error(`waited in vain: ${JSON.stringify(await this.intents())}`)
    }
  }

  async daemon(): Promise<Daemon> {
    this.#daemon ??= await Daemon.start(await this.open(), { leads: false })
    return this.#daemon
  }

  /** The change log, newest first. */
  async log(): Promise<LogEntry[]> {
    return (await this.open()).store.log({ limit: 100_000 })
  }

  async failure(connection: string): Promise<Failure | null> {
    const states = await (await this.open()).store.connections()
    return states.find((state) => state.name === connection)?.failure ?? null
  }

  /** The process ends; what it knew by heart is gone, the database and the places stay. */
  async shut(): Promise<void> {
    await this.#stopDaemon()
    const household = this.#household
    this.#household = undefined
    await household?.close()
  }

  async close(): Promise<void> {
    try {
      await this.shut()
    } finally {
      await this.#database.drop()
      rmSync(this.dir, { recursive: true, force: true })
    }
  }

  async #deliverEverywhere(): Promise<void> {
    const daemon = await this.daemon()
    for (const { name } of this.places) await daemon.queues.wakeDeliver(name)
  }

  async #stopDaemon(): Promise<void> {
    const daemon = this.#daemon
    this.#daemon = undefined
    await daemon?.stop()
  }
}

/** The content of writes, in one order. */
export function contents(writes: readonly WriteContent[]): WriteContent[] {
  return writes
    .map(({ connection, op, personId, recordId, fields }) => ({ connection, op, personId, recordId, fields }))
    .sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
}

export type PlannedWrite = Pick<Intent, 'connection' | 'op' | 'personId' | 'recordId' | 'fields' | 'state'> & {
  readonly held: string | undefined
  readonly failure: Failure | undefined
}

/** What stands in each place, in one order and with what counts as the same made the same. */
export function standing(places: readonly Place[]): Contact[][] {
  return places.map((place) => sorted([...place.all().values()]))
}
