import { apps as registry } from '../connectors/registry.ts'
import type { App } from '../connectors/app.ts'
import type { Diagnostic } from '../config/diagnostics.ts'
import type { Config } from '../config/types.ts'
import { catalogueOf, connect, type Connected } from './connect.ts'
import { readConfig, type HouseholdOptions } from './household.ts'

/** A config, and what each of its connections answered. */
export interface Checked {
  readonly config: Config
  readonly warnings: readonly Diagnostic[]
  readonly connected: readonly Connected[]
}

/**
 * Checks a config and tries each connection. Needs no database and changes nothing.
 * @throws ConfigError for a config that cannot be used
 */
export async function checkHousehold(
  options: Pick<HouseholdOptions, 'configFile' | 'env' | 'apps'>,
  signal?: AbortSignal,
): Promise<Checked> {
  const { config, warnings } = await readConfig(options)
  const catalogue = catalogueOf(config)
  const connected = await Promise.all(
    config.connections.map(async (item) => {
      const app = (options.apps ?? registry).get(item.app) as App
      const context = { connection: item.name, baseDir: config.baseDir, now: Date.now }
      const result = await connect(app, item, catalogue, context, null, signal)
      await result.connector.close()
      return result
    }),
  )
  return { config, warnings, connected }
}
