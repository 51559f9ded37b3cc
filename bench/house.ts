import { readFileSync } from 'node:fs'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import type { App } from '../connectors/app.ts'
import { apps as registry } from '../connectors/registry.ts'
import { memory } from '../connectors/memory/index.ts'
import type { Json } from '../engine/core/json.ts'
import { openDatabase } from '../engine/store/embedded/database.ts'
import { findCluster, prepareFolder } from '../engine/store/embedded/place.ts'
import { Daemon } from '../workers/daemon.ts'
import { Household } from '../workers/household.ts'
import { runToQuiet } from '../workers/quiet.ts'
import { APPROVED, type Events, type Log } from '../workers/runtime.ts'
import { hollow } from './hollow-app.ts'
import { hooked } from './hooked-app.ts'
import { familyCpu_ms, wall_ms } from './measure.ts'

/** A household in a folder of its own, approved and at work, with its own embedded Postgres that can be measured. */
export interface House {
  readonly household: Household
  readonly daemon: Daemon
  readonly folder: string
  /** Runs to quiet; how long that took, and what it cost Kith's own process and its Postgres. */
  quiet(): Promise<Cost>
  cost(work: () => Promise<unknown>): Promise<Cost>
  close(): Promise<void>
}

export interface Cost {
  readonly wall_ms: number
  readonly kithCpu_ms: number
  readonly postgresCpu_ms: number
}

export interface HouseOptions {
  readonly connections: { readonly [name: string]: { readonly [option: string]: Json } }
  readonly events?: Events
  readonly redisUrl?: string | undefined
  /** Settings of Postgres in the place of Kith's own. */
  readonly settings?: { readonly [name: string]: string }
  /** Polls, and listens for what the apps announce. Default: false. */
  readonly leads?: boolean
  /** In the place of apps of the same name. */
  readonly apps?: readonly App[]
  /** false: what is planned waits for {@link approvePlan}, as it does in a first sync. Default: true. */
  readonly approved?: boolean
}

export const QUIET_LOG: Log = {
  info() {},
  warn: (event, facts) => process.stderr.write(`${event} ${JSON.stringify(facts)}\n`),
  failure: (event, connection, { kind, message }) =>
    process.stderr.write(`${event} ${connection} ${kind}: ${message}\n`),
}

/** A bench edits everything at once, which is what brakes are there to stop. */
export const NO_BRAKES = {
  deletes: { min: 1_000_000_000 },
  creates: { min: 1_000_000_000 },
  field: { min: 1_000_000_000 },
  flips: 1000,
}

export const APPS: ReadonlyMap<string, App> = new Map([
  ...registry,
  ['memory', memory as App],
  ['hollow', hollow as App],
  ['hooked', hooked as App],
])

/** A temporary folder that the account of the embedded Postgres can pass through, so that its data lie here, too. */
export async function scratchFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'kith-bench-'))
  await chmod(folder, 0o711)
  return folder
}

export async function writeConfig(folder: string, connections: HouseOptions['connections']): Promise<string> {
  const file = join(folder, 'kith.yaml')
  await writeFile(file, stringify({ approval: 'auto', brakes: NO_BRAKES, connections }))
  return file
}

export async function openHouse(options: HouseOptions): Promise<House> {
  const folder = await scratchFolder()
  const dataDir = await prepareFolder(join(folder, '.kith'))
  const database = await openDatabase({ dataDir, exclusive: true, settings: options.settings ?? {} })
  const household = await Household.open({
    configFile: await writeConfig(folder, options.connections),
    env: { DATABASE_URL: database.url, REDIS_URL: options.redisUrl, KITH_DATA: dataDir },
    log: QUIET_LOG,
    apps: new Map([...APPS, ...(options.apps ?? []).map((app) => [app.name, app] as const)]),
    ...(options.events ? { events: options.events } : {}),
  })
  if (options.approved !== false) await household.store.setFact(APPROVED, household.fingerprint)
  await household.connect()
  const daemon = await Daemon.start(household, { leads: options.leads ?? false })
  const postgres = Number.parseInt(readFileSync(join(await findCluster(dataDir), 'postmaster.pid'), 'utf8'), 10)

  const cost = async (work: () => Promise<unknown>): Promise<Cost> => {
    const before = { kith: process.cpuUsage(), postgres: familyCpu_ms(postgres) }
    const took_ms = await wall_ms(work)
    const { user, system } = process.cpuUsage(before.kith)
    return {
      wall_ms: took_ms,
      kithCpu_ms: (user + system) / 1000,
      postgresCpu_ms: familyCpu_ms(postgres) - before.postgres,
    }
  }
  return {
    household,
    daemon,
    folder,
    cost,
    quiet: () => cost(() => runToQuiet(daemon, { delivered: true })),
    close: async () => {
      await daemon.stop()
      await household.close()
      await database.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
