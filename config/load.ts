import { dirname, resolve } from 'node:path'
import type { App } from '../connectors/app.ts'
import { STANDARD_FIELDS, type FieldDef } from '../engine/core/catalogue.ts'
import type { JsonObject } from '../engine/core/json.ts'
import type { Policy } from '../engine/core/rules.ts'
import { Checker } from './check.ts'
import { loadConnection, type ConnectionContext } from './connection.ts'
import { ConfigError, inReadingOrder, type Diagnostic } from './diagnostics.ts'
import { BRAKES } from './limits.ts'
import type { CheckMapping } from './mapping.ts'
import { readSource } from './read.ts'
import { readStandard } from './standard.ts'
import {
  Admin,
  ApprovalWord,
  Backup,
  BrakesFile,
  brakesOver,
  ConnectionName,
  Custom,
  Match,
  policiesSchema,
  Region,
  Server,
  TopLevel,
} from './schema.ts'
import type { Environment, Path, Source } from './source.ts'
import type { Config, ConnectionConfig } from './types.ts'

/**
 * Reads and checks kith.yaml and the mapping files it names.
 *
 * @param apps the apps there are, by the word in `app:`
 * @param env where `${NAME}` is looked up
 * @param checkMapping what the mapping language says of a mapping document; without it, mappings are taken as they are
 * @returns the config with every default filled in, and warnings: things that work and should be otherwise
 * @throws ConfigError with everything that is wrong, not only the first thing
 */
export async function loadConfig(
  path: string,
  apps: ReadonlyMap<string, App>,
  env: Environment,
  checkMapping: CheckMapping = () => [],
): Promise<{ config: Config; warnings: Diagnostic[] }> {
  const { source, problems } = await readSource(path, env, belongsToMapping, 'Write one with: kith init')
  // Without a shape there is nothing more to find out; what is not set in the environment is one problem among others.
  if (source.value === undefined || source.value === null) throw new ConfigError(problems)
  return judgeConfig(source, problems, { apps, env, checkMapping })
}

/** What a config is judged by. */
export interface Judging {
  readonly apps: ReadonlyMap<string, App>
  readonly env: Environment
  readonly checkMapping: CheckMapping
  /** The connections in force, where a config is only tried beside them: see {@link ConnectionContext.inForce}. */
  readonly inForce?: ConnectionContext['inForce']
}

/** @throws ConfigError */
export async function judgeConfig(
  source: Source,
  problems: readonly Diagnostic[],
  { apps, env, checkMapping, inForce }: Judging,
): Promise<{ config: Config; warnings: Diagnostic[] }> {
  const path = source.file
  const baseDir = dirname(resolve(path))
  const check = new Checker(source)
  const top = check.section(TopLevel, [])
  const raw = objectAt(source, [])
  const names = Object.keys(objectAt(source, ['connections']))
  for (const name of names) {
    const judged = ConnectionName.safeParse(name)
    const message = judged.error?.issues[0]?.message
    if (message !== undefined) check.report(['connections', name], 'key', message, 'Choose another name.')
  }

  // A default takes the place of a section that is wrong: the others are checked all the same.
  const custom = (raw['custom'] === undefined ? [] : check.section(Custom, ['custom'])) ?? []
  const fields = new Map([...STANDARD_FIELDS, ...custom].map((field) => [field.name, field]))
  const written = raw['fields'] === undefined ? {} : check.section(policiesSchema(fields.values(), names), ['fields'])
  const match = check.section(Match, ['match'], {})
  const region = check.section(Region, ['region'])
  const approval = check.section(ApprovalWord, ['approval'])
  const server = raw['server'] === undefined ? null : check.section(Server, ['server'])
  const admin = raw['admin'] === undefined ? null : check.section(Admin, ['admin'])
  const scheduled = raw['backup'] === undefined ? null : check.section(Backup, ['backup'])
  const brakes = brakesOver(BRAKES, raw['brakes'] === undefined ? undefined : check.section(BrakesFile, ['brakes']))

  const standard = readStandard(check, fields, names)
  const connections: ConnectionConfig[] = []
  for (const name of names) {
    const context = { apps, baseDir, brakes, check, checkMapping, custom, env, fields, ...(inForce ? { inForce } : {}) }
    const found = await loadConnection(name, context)
    if (found) connections.push(found)
  }
  refuseTwins(connections, check)

  const errors = [...problems, ...check.errors]
  if (
    errors.length > 0 ||
    !top ||
    !match ||
    region === undefined ||
    !approval ||
    server === undefined ||
    admin === undefined ||
    scheduled === undefined
  )
    throw new ConfigError(errors)
  const backup = scheduled && { ...scheduled, folder: resolve(baseDir, scheduled.folder) }
  const policies = spread((written ?? {}) as { [field: string]: Policy | undefined }, fields)
  const config: Config = {
    file: path,
    baseDir,
    connections,
    policies,
    custom,
    standard,
    match,
    region,
    approval,
    backup,
    server,
    admin,
  }
  return { config, warnings: inReadingOrder(check.warnings) }
}

/** A mapping may speak of `${...}` for itself, and reads alike inline and in a file; its path is the config's own. */
export function belongsToMapping(path: Path): boolean {
  return path.length > 3 && path[0] === 'connections' && path[2] === 'mapping'
}

/** `name` stands for the parts of the name that no policy names by themselves. */
function spread(
  written: { readonly [field: string]: Policy | undefined },
  fields: ReadonlyMap<string, FieldDef>,
): { [field: string]: Policy } {
  const policies: { [field: string]: Policy } = {}
  for (const field of fields.keys()) {
    const policy = written[field] ?? (field.startsWith('name.') ? written['name'] : undefined)
    if (policy) policies[field] = policy
  }
  return policies
}

/** One account under two names would be kept in agreement with itself, and every edit would come back. */
function refuseTwins(connections: readonly ConnectionConfig[], check: Checker): void {
  const first = new Map<string, string>()
  for (const { name, app, account } of connections) {
    const key = `${app}\n${account}`
    const twin = first.get(key)
    if (twin === undefined) {
      first.set(key, name)
      continue
    }
    const message = `"${name}" is the same account as "${twin}"`
    check.report(['connections', name], 'key', message, 'Remove one of the two, or point it elsewhere.')
  }
}

function objectAt(source: Source, path: Path): JsonObject {
  const value = source.at(path)
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {}
}
