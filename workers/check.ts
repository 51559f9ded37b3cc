import { join } from 'node:path'
import { apps as registry } from '../connectors/registry.ts'
import type { App } from '../connectors/app.ts'
import type { Diagnostic } from '../config/diagnostics.ts'
import type { Config, ConnectionConfig } from '../config/types.ts'
import { openDatabase } from '../engine/store/embedded/database.ts'
import { openStore } from '../engine/store/postgres.ts'
import { catalogueOf, connect, type Connected } from './connect.ts'
import { readConfig, type Household, type HouseholdOptions } from './household.ts'
import { planOf, SignIns } from './sign-ins.ts'

/** A config, and what each of its connections answered. */
export interface Checked {
  readonly config: Config
  readonly warnings: readonly Diagnostic[]
  readonly connected: readonly Connected[]
}

type CheckOptions = Pick<HouseholdOptions, 'configFile' | 'env' | 'apps'>

/**
 * Checks a config and tries each connection. Changes nothing in any app, and needs no database unless a connection signs in:
 * its tokens are there, and are renewed where they run out.
 *
 * @param only one connection alone
 * @throws ConfigError for a config that cannot be used
 */
export async function checkHousehold(options: CheckOptions, signal?: AbortSignal, only?: string): Promise<Checked> {
  const { config, warnings } = await readConfig(options)
  const appOf = (item: ConnectionConfig): App => (options.apps ?? registry).get(item.app) as App
  const catalogue = catalogueOf(config)
  const wanted = config.connections.filter(({ name }) => only === undefined || name === only)
  const check = async (signIns: SignIns | null): Promise<Connected[]> =>
    await Promise.all(
      wanted.map(async (item) => {
        const app = appOf(item)
        const signIn = signIns?.of(app, item)
        const context = { connection: item.name, baseDir: config.baseDir, now: Date.now, ...signIn }
        const result = await connect(app, item, catalogue, context, null, signal)
        await result.connector.close()
        return result
      }),
    )
  const signsIn = wanted.some((item) => planOf(appOf(item), item) !== null)
  return { config, warnings, connected: signsIn ? await withSignIns(config, options, check) : await check(null) }
}

/** The same of a household that is open, beside its work: each connection is tried by a connector of its own. */
export async function checkOpen(household: Household, signal?: AbortSignal, only?: string): Promise<Checked> {
  const { config, warnings } = household
  const catalogue = catalogueOf(config)
  const wanted = config.connections.filter(({ name }) => only === undefined || name === only)
  const connected = await Promise.all(
    wanted.map(async (item) => {
      const { app, context } = household.appOf(item)
      const result = await connect(app, item, catalogue, context, null, signal)
      await result.connector.close()
      return result
    }),
  )
  return { config, warnings, connected }
}

async function withSignIns<Result>(
  config: Config,
  { env }: CheckOptions,
  work: (signIns: SignIns) => Promise<Result>,
): Promise<Result> {
  const dataDir = env['KITH_DATA'] ?? join(config.baseDir, '.kith')
  const database = await openDatabase({ databaseUrl: env['DATABASE_URL'], dataDir })
  try {
    // Brings the tables up to this code, where nobody has yet.
    await (await openStore(database.url)).close()
    return await work(new SignIns(database.url, config, env))
  } finally {
    await database.close()
  }
}
