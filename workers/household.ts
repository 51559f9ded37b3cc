import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { z } from 'zod'
import type { App, ConnectContext } from '../connectors/app.ts'
import { apps as registry } from '../connectors/registry.ts'
import { fingerprint } from '../config/fingerprint.ts'
import { CHUNK_MAX, COMMIT_ATTEMPTS_MAX, LEASE_MS } from '../config/limits.ts'
import { loadConfig } from '../config/load.ts'
import type { Diagnostic } from '../config/diagnostics.ts'
import type { CheckMapping } from '../config/mapping.ts'
import { tryConfig } from '../config/try.ts'
import type { Config, ConnectionConfig } from '../config/types.ts'
import { sameJson, type Json } from '../engine/core/json.ts'
import type { AppField, Connector } from '../engine/core/ports/connector.ts'
import type { AccessStore } from '../engine/core/ports/access.ts'
import type { Inbox } from '../engine/core/ports/inbox.ts'
import type { Store } from '../engine/core/ports/store.ts'
import type { Rules } from '../engine/core/rules.ts'
import { openAccess } from '../engine/store/access.ts'
import { openDatabase, type Database } from '../engine/store/embedded/database.ts'
import { enterWork, type AtWork } from '../engine/store/locks.ts'
import { openInbox } from '../engine/store/inbox.ts'
import { openStore } from '../engine/store/postgres.ts'
import { checkMapping } from '../mappings/compile.ts'
import { mappingSchema } from '../mappings/schema.ts'
import { writeCertificate } from './certificates.ts'
import { catalogueOf, connect, remember, rulesOf, type Connected } from './connect.ts'
import { Queues } from './queues.ts'
import { SignIns } from './sign-ins.ts'
import { newId } from './new-id.ts'
import type { Events, Log, Queue, Runtime } from './runtime.ts'

export interface HouseholdOptions {
  readonly configFile: string
  /** Variables of the environment: `DATABASE_URL`, `REDIS_URL`, `KITH_DATA`, and whatever the config names. */
  readonly env: { readonly [name: string]: string | undefined }
  readonly log: Log
  readonly events?: Events
  /** The apps that a config can name; tests and the demo may bring others. */
  readonly apps?: ReadonlyMap<string, App>
  /** The config is only tried on what is known: nothing of it is noted down. */
  readonly looksOnly?: boolean
}

const NO_EVENTS: Events = { read() {}, applied() {}, planned() {}, settled() {} }

/** Reads and checks a config the way every command does. @throws ConfigError */
export async function readConfig(
  options: Pick<HouseholdOptions, 'configFile' | 'env' | 'apps'>,
): Promise<{ config: Config; warnings: Diagnostic[] }> {
  return loadConfig(options.configFile, options.apps ?? registry, options.env, mappingErrors)
}

const mappingErrors: CheckMapping = (document, custom) =>
  checkMapping(mappingSchema.parse(document), custom).filter((problem) => problem.severity === 'error')

/**
 * A config with its database, opened: what every command works on. The apps are reached only after {@link Household.connect}.
 */
export class Household {
  readonly config: Config
  readonly warnings: readonly Diagnostic[]
  readonly store: Store
  /** What the apps' hooks have announced. */
  readonly inbox: Inbox
  /** Who may use the admin API. */
  readonly access: AccessStore
  readonly databaseUrl: string
  readonly fingerprint: string
  readonly signIns: SignIns
  /** How many processes are at work on these data at present: rate budgets are divided among them. */
  sharers = 1
  readonly #database: Database
  readonly #options: HouseholdOptions
  #connected: Connected[] = []

  /**
   * @throws ConfigError for a config that cannot be used
   * @throws DatabaseError for a database that cannot be opened
   */
  static async open(options: HouseholdOptions): Promise<Household> {
    const { config, warnings } = await readConfig(options)
    const dataDir = options.env['KITH_DATA'] ?? join(config.baseDir, '.kith')
    const database = await openDatabase({ databaseUrl: options.env['DATABASE_URL'], dataDir })
    try {
      const store = await openStore(database.url)
      const wanted = config.connections.map(({ name, app, mode }) => ({ name, app, mode }))
      if (options.looksOnly !== true) await store.ensureConnections(wanted)
      return new Household(options, config, warnings, database, store)
    } catch (error) {
      await database.close()
      throw error
    }
  }

  private constructor(
    options: HouseholdOptions,
    config: Config,
    warnings: readonly Diagnostic[],
    database: Database,
    store: Store,
  ) {
    this.#options = options
    this.config = config
    this.warnings = warnings
    this.#database = database
    this.store = store
    this.inbox = openInbox(database.url)
    this.access = openAccess(database.url)
    this.databaseUrl = database.url
    this.fingerprint = fingerprint(config)
    this.signIns = new SignIns(database.url, config, options.env)
  }

  /** Where Kith keeps what is its own, besides the database. */
  get dataDir(): string {
    return this.#options.env['KITH_DATA'] ?? join(this.config.baseDir, '.kith')
  }

  /** The folder of the certificates of erasures. */
  get certificates(): string {
    return join(this.dataDir, 'erasures')
  }

  get connected(): readonly Connected[] {
    return this.#connected
  }

  /**
   * Reaches every app, or (after a failure) the named one again. An app that does not answer keeps the fields it had; one
   * that never has is left out until it does.
   */
  async connect(only?: string, signal?: AbortSignal): Promise<readonly Connected[]> {
    const catalogue = catalogueOf(this.config)
    const wanted = this.config.connections.filter((config) => only === undefined || config.name === only)
    const opened = await Promise.all(
      wanted.map(async (config) => {
        const { app, context } = this.appOf(config)
        const remembered = await this.remembered(config.name)
        const connected = await connect(app, config, catalogue, context, remembered, signal)
        if (connected.report)
          await this.store.setFact(fieldsFact(config.name), connected.report.fields as unknown as Json)
        await this.store.saveConnection(config.name, { mode: config.mode, failure: connected.failure })
        return connected
      }),
    )
    const names = new Set(opened.map((item) => item.config.name))
    const replaced = this.#connected.filter((item) => names.has(item.config.name))
    const kept = this.#connected.filter((item) => !names.has(item.config.name))
    const order = this.config.connections.map((config) => config.name)
    this.#connected = [...kept, ...opened].sort((a, b) => order.indexOf(a.config.name) - order.indexOf(b.config.name))
    await Promise.all(replaced.map((item) => item.connector.close()))
    await this.#replanWhenRulesChanged()
    return opened
  }

  /**
   * The connections as this config maps them, by the fields that the accounts had when they last answered; only an account that
   * never has is asked. Notes nothing down.
   */
  async compile(signal?: AbortSignal): Promise<readonly Connected[]> {
    const catalogue = catalogueOf(this.config)
    const opened = await Promise.all(
      this.config.connections.map(async (config) => {
        const { app, context } = this.appOf(config)
        const fields = fieldsSchema.safeParse(await this.store.getFact(fieldsFact(config.name))).data
        return fields
          ? remember(app, config, catalogue, context, fields as AppField[])
          : connect(app, config, catalogue, context, null, signal)
      }),
    )
    await Promise.all(this.#connected.map((item) => item.connector.close()))
    this.#connected = opened
    return opened
  }

  /** The text of another config, for the same connections: only to be tried. @throws ConfigError */
  async tryConfig(text: string): Promise<Config> {
    return (await tryConfig(text, this.config, this.#options.apps ?? registry, mappingErrors)).config
  }

  /** The fields that a connection's account had when it last answered; null where it never has. */
  async remembered(name: string): Promise<readonly AppField[] | null> {
    const fields = fieldsSchema.safeParse(await this.store.getFact(fieldsFact(name))).data ?? null
    return fields as AppField[] | null
  }

  /** The app of a connection, and what it is handed besides its options. */
  appOf(config: ConnectionConfig): { readonly app: App; readonly context: ConnectContext } {
    const app = (this.#options.apps ?? registry).get(config.app) as App
    const signIn = this.signIns.of(app, config)
    return {
      app,
      context: {
        connection: config.name,
        baseDir: this.config.baseDir,
        now: Date.now,
        sharers: () => this.sharers,
        ...signIn,
      },
    }
  }

  /**
   * Says that this process works on these data. When it is the only one, writes that look under way were left by processes
   * that died: they are found out about at once. Not where a create must be searched for, as a search may lag behind.
   * Jobs that look under way are emptied out with the rest of the queue: each would keep its like from running until its
   * lock runs out, and nothing is lost with them (I13).
   */
  async enterWork(queues: Queues): Promise<AtWork> {
    return enterWork(this.databaseUrl, async () => {
      await queues.obliterate()
      const certain = this.#connected.filter(({ connector }) => connector.capabilities.createKey === 'id')
      await this.store.expireLeases(certain.map((item) => item.config.name))
    })
  }

  async openQueues(): Promise<Queues> {
    let installation = await this.store.getFact('installation')
    if (typeof installation !== 'string') {
      installation = randomUUID().slice(0, 8)
      await this.store.setFact('installation', installation)
    }
    return Queues.open({
      databaseUrl: this.databaseUrl,
      redisUrl: this.#options.env['REDIS_URL'],
      installation,
      onError: (error) => this.#options.log.warn('queue', { error: error.message }),
    })
  }

  /** What the workers work with. Rules and connectors follow a later {@link Household.connect}. */
  runtime(queue: Queue): Runtime {
    let seen: readonly Connected[] | undefined
    let rules: Rules
    let connectors: ReadonlyMap<string, Connector>
    const refresh = (): void => {
      if (seen === this.#connected) return
      seen = this.#connected
      rules = rulesOf(this.config, catalogueOf(this.config), seen)
      connectors = new Map(seen.filter((item) => item.rules).map((item) => [item.config.name, item.connector]))
    }
    return {
      store: this.store,
      get rules() {
        refresh()
        return rules
      },
      get connectors() {
        refresh()
        return connectors
      },
      queue,
      now: Date.now,
      newId,
      fingerprint: this.fingerprint,
      log: this.#options.log,
      events: this.#options.events ?? NO_EVENTS,
      keepCertificate: (certificate) => writeCertificate(this.certificates, certificate),
      limits: { chunk_max: CHUNK_MAX, lease_ms: LEASE_MS, mergeAttempts_max: COMMIT_ATTEMPTS_MAX },
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#connected.map((item) => item.connector.close().catch(() => undefined)))
    await this.inbox.close()
    await this.access.close()
    await this.store.close()
    await this.#database.close()
  }

  /**
   * Editing the YAML is no edit of a user's: everybody is planned anew under the new rules. The same where an app answers for
   * the first time, or has other fields than before: there is more, or something else, to write there now.
   */
  async #replanWhenRulesChanged(): Promise<void> {
    const before = plannedSchema.safeParse(await this.store.getFact(PLANNED_WITH)).data
    const lenses: { [name: string]: string[] } = Object.fromEntries(
      this.#connected.flatMap(({ config, rules }) => (rules ? [[config.name, [...rules.lens.appFields]]] : [])),
    )
    const same = Object.entries(lenses).every(([name, fields]) => sameJson(fields, before?.lenses[name]))
    if (before?.fingerprint === this.fingerprint && same) return
    await this.store.replanAll()
    // One that does not answer now keeps its place, so that its return alone is no reason to plan anew.
    const planned = { fingerprint: this.fingerprint, lenses: { ...before?.lenses, ...lenses } }
    await this.store.setFact(PLANNED_WITH, planned)
  }
}

const PLANNED_WITH = 'planned with'

const plannedSchema = z.object({ fingerprint: z.string(), lenses: z.record(z.string(), z.array(z.string())) })

const fieldsSchema = z.array(z.object({ name: z.string(), type: z.string(), writable: z.boolean() }).loose())

function fieldsFact(connection: string): string {
  return `fields of ${connection}`
}
