import type { App } from '../connectors/app.ts'
import type { Json } from '../engine/core/json.ts'
import { COMMON_NAMES } from './connection.ts'
import { ConfigError, type Diagnostic } from './diagnostics.ts'
import { belongsToMapping, judgeConfig } from './load.ts'
import type { CheckMapping } from './mapping.ts'
import { parseSource, type Path, type Source } from './source.ts'
import type { Config } from './types.ts'

/**
 * Reads and checks the text of a config that is only tried beside the one in force, whoever sent it. Nothing of it is a secret, or
 * leads to one: no variable of the environment is filled in, no file is read but the mappings of the connections in force, and what an
 * app is reached by is what is in force, whatever the text says.
 *
 * @throws ConfigError with everything that is wrong
 */
export async function tryConfig(
  text: string,
  inForce: Config,
  apps: ReadonlyMap<string, App>,
  checkMapping: CheckMapping,
): Promise<{ config: Config; warnings: Diagnostic[] }> {
  const { source, problems } = parseSource(inForce.file, text, {}, () => false)
  if (source.value === undefined || source.value === null) throw new ConfigError(problems)
  const variables = [...variablesIn(source, source.value, [])]
  const connections = new Map(inForce.connections.map((connection) => [connection.name, connection]))
  return judgeConfig(source, [...problems, ...variables], { apps, env: {}, checkMapping, inForce: connections })
}

/** Texts that speak of the environment, where that would count. */
function* variablesIn(source: Source, value: Json, path: Path): Iterable<Diagnostic> {
  if (belongsToMapping(path) || isOption(path)) return
  if (typeof value === 'string' && value.includes('${')) {
    const message = 'variables of the environment are not filled in here'
    yield { ...source.place(path), message, advice: 'Write the value itself.' }
  }
  if (typeof value !== 'object' || value === null) return
  const parts = Array.isArray(value) ? [...value.entries()] : Object.entries(value)
  for (const [key, part] of parts) yield* variablesIn(source, part, [...path, key])
}

function isOption(path: Path): boolean {
  return path.length > 2 && path[0] === 'connections' && !COMMON_NAMES.includes(String(path[2]))
}
