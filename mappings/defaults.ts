import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { mappingSchema, type Mapping } from './schema.ts'

const FOLDER = join(import.meta.dirname, 'defaults')

let byApp: ReadonlyMap<string, Mapping> | undefined

/** The apps that have a default mapping. */
export function appsWithDefaultMapping(): string[] {
  return [...shipped().keys()].sort()
}

/**
 * The mapping that a connection of the app has where its config names none.
 * @throws RangeError for an app without one
 */
export function loadDefaultMapping(app: string): Mapping {
  const mapping = shipped().get(app)
  if (!mapping)
    throw new RangeError(`no default mapping for ${app}; there are some for ${appsWithDefaultMapping().join(', ')}`)
  return mapping
}

/**
 * The app's default mapping with the user's own lines over it: each of them takes the place of the default line. A mapping that
 * says `defaults: false` stands alone; of the default only what the app is like (`open`, `values`) holds.
 *
 * @throws RangeError for an app without a default mapping, where the user has none either
 */
export function mappingFor(app: string, own?: Mapping): Mapping {
  const base = shipped().get(app)
  if (!base || !own) return own ?? loadDefaultMapping(app)
  const optional = base.optional ?? false
  const kept = Object.entries(own.defaults === false ? {} : base.fields).filter(
    ([name]) => !Object.hasOwn(own.fields, name) && !(name === 'name' && mapsName(own)),
  )
  // The default lines keep being optional, whatever the user's own are.
  const defaults = kept.map(([name, line]): [string, Mapping['fields'][string]] => {
    if (line === false) return [name, line]
    const spec = typeof line === 'string' || Array.isArray(line) ? { app: line } : line
    return [name, { ...spec, optional: spec.optional ?? optional }]
  })
  return {
    ...base,
    ...own,
    app,
    optional: own.optional ?? false,
    fields: { ...own.fields, ...Object.fromEntries(defaults) },
    // Whoever maps fields of his own has not thereby given up heeding consent: only `false` does that.
    consent: { ...optionalConsent(base), ...own.consent },
  }
}

/** The default consent fields: like the default lines, they keep being optional. */
function optionalConsent({ consent = {}, optional = false }: Mapping): NonNullable<Mapping['consent']> {
  const entries = Object.entries(consent).map(([channel, value]) => {
    const specs = Array.isArray(value) ? value : value ? [value] : []
    return [channel, specs.map((spec) => ({ ...spec, optional: spec.optional ?? optional }))]
  })
  return Object.fromEntries(entries.filter(([, specs]) => (specs as unknown[]).length > 0)) as NonNullable<
    Mapping['consent']
  >
}

/** Whether the user maps parts of the name: the default's whole-name line would then speak of the same. */
function mapsName(own: Mapping): boolean {
  return ['name.given', 'name.family'].some((part) => own.fields[part] !== undefined && own.fields[part] !== false)
}

function shipped(): ReadonlyMap<string, Mapping> {
  if (byApp) return byApp
  const found = new Map<string, Mapping>()
  for (const file of readdirSync(FOLDER).filter((name) => name.endsWith('.yaml'))) {
    const mapping = mappingSchema.parse(parse(readFileSync(join(FOLDER, file), 'utf8')))
    const apps = mapping.app === undefined ? [] : Array.isArray(mapping.app) ? mapping.app : [mapping.app]
    for (const app of apps) found.set(app, { ...mapping, app })
  }
  byApp = found
  return found
}
