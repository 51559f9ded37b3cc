import { z } from 'zod'
import type { App } from '../connectors/app.ts'
import { STANDARD_FIELDS } from '../engine/core/catalogue.ts'
import type { Json, JsonObject } from '../engine/core/json.ts'
import { mappingSchema } from '../mappings/schema.ts'
import { standardShape } from './standard.ts'
import {
  Admin,
  ApprovalWord,
  Backup,
  BrakesFile,
  ConnectionCommon,
  Custom,
  Match,
  policiesSchema,
  Region,
  Server,
  TOP_LEVEL,
} from './schema.ts'

/**
 * The JSON Schema of kith.yaml with the options of every app: what an editor completes and underlines by. The loader
 * knows more (which connections and custom fields there are), so a file that satisfies this one may still be wrong.
 */
export function jsonSchema(apps: ReadonlyMap<string, App>): JsonObject {
  const defs: JsonObject = {}
  const common = convert(ConnectionCommon, 'common', defs)
  defs['mapping'] = convert(mappingSchema, 'mapping', defs)
  const shared: JsonObject = {
    ...(common['properties'] as JsonObject),
    mapping: { anyOf: [{ type: 'string' }, { $ref: '#/$defs/mapping' }] },
  }
  const fields = convert(policiesSchema(STANDARD_FIELDS, null), 'fields', defs)
  const sections: { [name in keyof typeof TOP_LEVEL]: JsonObject } = {
    connections: {
      type: 'object',
      minProperties: 1,
      propertyNames: { pattern: '^[a-z][a-z0-9_-]{0,31}$' },
      additionalProperties: { anyOf: [...apps.values()].map((app) => connectionSchema(app, shared, defs)) },
    },
    fields: { ...fields, patternProperties: { '^custom\\.': (fields['properties'] as JsonObject)['title'] ?? {} } },
    custom: convert(Custom, 'custom', defs),
    match: convert(Match, 'match', defs),
    region: convert(Region, 'region', defs),
    approval: convert(ApprovalWord, 'approval', defs),
    standard: standardSchema(defs),
    brakes: convert(BrakesFile, 'brakes', defs),
    backup: convert(Backup, 'backup', defs),
    server: convert(Server, 'server', defs),
    admin: convert(Admin, 'admin', defs),
  }
  const described = Object.entries(sections).map(([name, section]) => {
    return [name, { description: TOP_LEVEL[name as keyof typeof TOP_LEVEL], ...section }]
  })
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'kith.yaml',
    type: 'object',
    properties: Object.fromEntries(described) as JsonObject,
    required: ['connections'],
    additionalProperties: false,
    $defs: defs,
  }
}

/** Custom fields are known by their beginning only. */
function standardSchema(defs: JsonObject): JsonObject {
  const shape = convert(standardShape(STANDARD_FIELDS), 'standard', defs)
  return { ...shape, patternProperties: { '^custom\\.': (shape['properties'] as JsonObject)['title'] ?? {} } }
}

/** One connection of one app: the app's options beside what every connection may say. */
function connectionSchema(app: App, shared: JsonObject, defs: JsonObject): JsonObject {
  const own = convert(app.options, app.name, defs)
  const named = { ...shared, app: { const: app.name, description: app.title } }
  const { properties, required } = own
  if (typeof properties !== 'object' || properties === null || Array.isArray(properties)) {
    // Options that are not one plain map: what they allow is left to the loader.
    return { title: app.title, type: 'object', properties: named, required: ['app'] }
  }
  return {
    title: app.title,
    type: 'object',
    properties: { ...named, ...properties },
    required: ['app', ...(Array.isArray(required) ? required : [])],
    additionalProperties: false,
  }
}

/** A zod schema as JSON Schema; what it refers to moves to the `defs` of the whole, under a name that is its own. */
function convert(schema: z.ZodType, prefix: string, defs: JsonObject): JsonObject {
  const { $schema: _, ...converted } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any', reused: 'inline' })
  const text = JSON.stringify(converted).replaceAll('"#/$defs/', `"#/$defs/${prefix}.`)
  const { $defs, ...rest } = orVariable(JSON.parse(text) as Json) as JsonObject
  for (const [name, part] of Object.entries(($defs ?? {}) as JsonObject)) defs[`${prefix}.${name}`] = part
  return rest
}

/** Numbers and truth values may come from the environment, and are text as long as they stand in the file. */
function orVariable(node: Json): Json {
  if (Array.isArray(node)) return node.map(orVariable)
  if (typeof node !== 'object' || node === null) return node
  const { type } = node
  if (type === 'number' || type === 'integer' || type === 'boolean') {
    return { anyOf: [node, { type: 'string', pattern: '\\$\\{' }] }
  }
  return Object.fromEntries(Object.entries(node).map(([key, value]) => [key, orVariable(value)]))
}
