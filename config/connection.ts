import type { z } from 'zod'
import type { App } from '../connectors/app.ts'
import type { BrakeLimits } from '../engine/core/brakes.ts'
import type { FieldDef } from '../engine/core/catalogue.ts'
import type { Filter } from '../engine/core/include.ts'
import type { Json, JsonObject } from '../engine/core/json.ts'
import { mappingSchema } from '../mappings/schema.ts'
import type { Checker } from './check.ts'
import { compileInclude, IncludeShape } from './include.ts'
import { besideConfig, type CheckMapping } from './mapping.ts'
import { readSource } from './read.ts'
import { brakesOver, ConnectionCommon } from './schema.ts'
import { namesFile, readSecret } from './secrets.ts'
import type { Environment, Path, Source } from './source.ts'
import { didYouMean } from './suggest.ts'
import type { ConnectionConfig } from './types.ts'

export interface ConnectionContext {
  readonly apps: ReadonlyMap<string, App>
  readonly baseDir: string
  /** The brakes of connections that say nothing else. */
  readonly brakes: BrakeLimits
  readonly check: Checker
  readonly checkMapping: CheckMapping
  readonly custom: readonly FieldDef[]
  readonly env: Environment
  readonly fields: ReadonlyMap<string, FieldDef>
  /**
   * Where a config is only tried: the connections in force. Each keeps its app, its account and its options, so that nothing that
   * was sent in leads to a secret or to another address; and only the mapping files that they name are read.
   */
  readonly inForce?: ReadonlyMap<string, Pick<ConnectionConfig, 'app' | 'options' | 'account' | 'mappingFile'>>
}

export const COMMON_NAMES = Object.keys(ConnectionCommon.shape)

/** Checks one connection; undefined when something is wrong with it, which the checker then knows. */
export async function loadConnection(name: string, context: ConnectionContext): Promise<ConnectionConfig | undefined> {
  const { check } = context
  const { source } = check
  const path = ['connections', name]
  const raw = source.at(path)
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) {
    check.value(raw, { source, base: path, schema: ConnectionCommon })
    return undefined
  }
  const errors_before = check.errors.length
  const app = findApp(raw, path, context)
  const own = Object.entries(raw).filter(([key]) => !COMMON_NAMES.includes(key))
  const shared = Object.fromEntries(Object.entries(raw).filter(([key]) => key !== 'app' && COMMON_NAMES.includes(key)))

  const common = check.value(
    { ...shared, app: app?.name ?? 'unknown' },
    { source, base: path, schema: ConnectionCommon },
  )
  const { options, account } = context.inForce
    ? asInForce(app, Object.fromEntries(own), path, context.inForce, check)
    : await asWritten(app, Object.fromEntries(own), path, context)
  const mapping = await readMapping(raw['mapping'], path, context)
  const include = readInclude(raw['include'], path, context)
  const settings = common as z.output<typeof ConnectionCommon> | undefined
  if (check.errors.length > errors_before || !settings || !app || account === undefined) return undefined
  return {
    name,
    app: app.name,
    options,
    account,
    ...mapping,
    direction: settings.direction,
    mode: settings.mode,
    include,
    deletes: settings.deletes,
    create: settings.create,
    poll_ms: settings.poll,
    rate: settings.rate ?? null,
    brakes: brakesOver(context.brakes, settings.brakes),
  }
}

interface Options {
  readonly options?: unknown
  readonly account?: string | undefined
}

async function asWritten(
  app: App | undefined,
  own: JsonObject,
  path: Path,
  context: ConnectionContext,
): Promise<Options> {
  const options = app ? await readOptions(app, own, path, context) : undefined
  return { options, account: app && options !== undefined ? accountOf(app, options, path, context) : undefined }
}

/** What the text says of the options counts for nothing, except that a name that is not one of them is a mistake. */
function asInForce(
  app: App | undefined,
  own: JsonObject,
  path: Path,
  inForce: NonNullable<ConnectionContext['inForce']>,
  check: Checker,
): Options {
  const known = inForce.get(String(path[1]))
  if (!known || (app && app.name !== known.app)) {
    const message = known ? `"${path[1]}" is another app in force` : `"${path[1]}" is not in force`
    check.report(path, 'key', message, 'Only the connections in force can be tried so; otherwise: kith backtest.')
    return {}
  }
  const names = Object.keys(Object(known.options) as object)
  for (const name of Object.keys(own)) {
    if (names.includes(name)) continue
    const advice = `${didYouMean(name, [...COMMON_NAMES, ...names])} An option that is not in force cannot be tried so.`
    check.report([...path, name], 'key', `"${name}" is no option in force`, advice.trim())
  }
  return { options: known.options, account: known.account }
}

function findApp(raw: JsonObject, path: Path, { apps, check }: ConnectionContext): App | undefined {
  const word = raw['app']
  const known = [...apps.keys()].sort()
  const list = `Known apps: ${known.join(', ')}.`
  if (word === undefined) {
    check.report(path, 'key', `"${path.join('.')}" does not say which app it is`, `Add app: <name>. ${list}`)
    return undefined
  }
  const app = typeof word === 'string' ? apps.get(word) : undefined
  if (!app && !check.source.unresolved([...path, 'app'])) {
    const hint = typeof word === 'string' ? didYouMean(word, known) : ''
    const advice = hint.startsWith('Did') ? `${hint} ${list}` : list
    check.report([...path, 'app'], 'value', 'there is no such app', advice)
  }
  return app
}

async function readOptions(app: App, own: JsonObject, path: Path, context: ConnectionContext): Promise<unknown> {
  const { baseDir, check } = context
  const { source } = check
  const filled: JsonObject = { ...own }
  let readable = true
  for (const option of app.secrets) {
    const at = [...path, option]
    const value = own[option]
    if (typeof value !== 'string' || value === '' || source.unresolved(at)) continue
    if (namesFile(source.written(at))) {
      const found = await readSecret(value, baseDir)
      if ('secret' in found) filled[option] = found.secret
      else {
        readable = false
        check.report(at, 'value', `the file of "${option}" ${found.reason}`, 'Check its path and permissions.')
      }
    } else if (!source.fromEnv(at)) {
      const advice = `Write \${${envNameFor(String(path[1]), option)}} and set that in the environment, or file:./path.`
      check.warn(at, `"${option}" is a secret and is written out in the file`, advice)
    }
  }
  const parsed = check.value(filled, {
    source,
    base: path,
    schema: app.options,
    alsoKnown: COMMON_NAMES,
    secrets: app.secrets,
  })
  return readable ? parsed : undefined
}

function envNameFor(connection: string, option: string): string {
  return `${connection}_${option}`.replace(/\W/g, '_').toUpperCase()
}

function accountOf(app: App, options: unknown, path: Path, { baseDir, check }: ConnectionContext): string | undefined {
  try {
    return app.account(options, { baseDir })
  } catch {
    // Its message may quote an option.
    check.report(path, 'key', `these options name no account of ${app.title}`, 'Check the address or path.')
    return undefined
  }
}

/** The filter; null where there is none, or where its shape is wrong and has been reported as such. */
function readInclude(written: Json | undefined, path: Path, { check, fields }: ConnectionContext): Filter | null {
  const shape = IncludeShape.safeParse(written)
  if (!shape.success) return null
  const { filter, problems } = compileInclude(shape.data, fields)
  for (const problem of problems) {
    check.report([...path, 'include', ...problem.path], problem.what, problem.message, problem.advice)
  }
  return filter
}

async function readMapping(
  written: Json | undefined,
  path: Path,
  context: ConnectionContext,
): Promise<Pick<ConnectionConfig, 'mapping' | 'mappingFile'>> {
  const { check, env } = context
  const at = [...path, 'mapping']
  const { source } = check
  if (typeof written === 'object' && written !== null && !Array.isArray(written)) {
    judgeMapping(written, source, at, context)
    return { mapping: written, mappingFile: source.file }
  }
  if (typeof written !== 'string' || written === '' || source.unresolved(at))
    return { mapping: null, mappingFile: null }
  const mappingFile = besideConfig(source.file, written)
  if (context.inForce && ![...context.inForce.values()].some((one) => one.mappingFile === mappingFile)) {
    check.report(
      at,
      'value',
      'no connection in force has this mapping file',
      'Write the mapping into the text instead.',
    )
    return { mapping: null, mappingFile: null }
  }
  const advice = `"${path.join('.')}" names this file: check the path.`
  const read = await readSource(mappingFile, env, () => true, advice)
  check.errors.push(...read.problems)
  const mapping = read.source.value ?? null
  if (read.problems.length === 0 && mapping !== null) judgeMapping(mapping, read.source, [], context)
  return { mapping, mappingFile }
}

/** First its shape, then what the mapping language says of it. */
function judgeMapping(
  document: Json,
  source: Source,
  base: Path,
  { check, checkMapping, custom }: ConnectionContext,
): void {
  if (check.value(document, { source, base, schema: mappingSchema }) === undefined) return
  for (const { path, message, advice } of checkMapping(document, custom)) {
    check.errors.push({ ...source.place([...base, ...path]), message, advice })
  }
}
