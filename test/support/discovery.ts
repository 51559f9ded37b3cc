import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Json, JsonObject } from '../../engine/core/json.ts'

/**
 * Traffic held against a Google discovery document: the vendor's own description, so that client and simulator cannot agree on
 * a mistake. Unknown parameters, unknown properties, wrong types, values that are no member of an enum and output-only
 * properties in requests are found.
 */

interface Schema {
  readonly $ref?: string
  readonly type?: string
  readonly format?: string
  readonly enum?: readonly string[]
  readonly readOnly?: boolean
  readonly description?: string
  readonly properties?: { readonly [name: string]: Schema }
  readonly additionalProperties?: Schema
  readonly items?: Schema
}

interface Parameter extends Schema {
  readonly location: string
  readonly required?: boolean
  readonly repeated?: boolean
  readonly pattern?: string
}

interface Method {
  readonly id: string
  readonly httpMethod: string
  readonly path: string
  readonly flatPath?: string
  readonly parameters?: { readonly [name: string]: Parameter }
  readonly request?: { readonly $ref: string }
  readonly response?: { readonly $ref: string }
}

interface Resource {
  readonly methods?: { readonly [name: string]: Method }
  readonly resources?: { readonly [name: string]: Resource }
}

interface Document extends Resource {
  readonly parameters: { readonly [name: string]: Parameter }
  readonly schemas: { readonly [name: string]: Schema }
}

export interface Traffic {
  readonly method: string
  readonly path: string
  readonly query: readonly (readonly [string, string])[]
  readonly body: Json | undefined
  readonly status: number
  readonly answer: Json
}

const FOLDER = join(import.meta.dirname, '../../../shared/specs')

/** The document of that name under the shared specs; null where it is not there. */
export function discovery(name: string): Discovery | null {
  const file = join(FOLDER, name)
  return existsSync(file) ? new Discovery(JSON.parse(readFileSync(file, 'utf8')) as Document) : null
}

export class Discovery {
  readonly #document: Document
  readonly #methods: readonly Method[]

  constructor(document: Document) {
    this.#document = document
    this.#methods = methodsOf(document)
  }

  /**
   * What is wrong with an exchange; empty where nothing is.
   * @param sent output-only properties, as `Schema.property`, that a request may bear all the same
   */
  findings({ method, path, query, body, status, answer }: Traffic, sent: ReadonlySet<string>): string[] {
    const known = this.#methods.find((each) => each.httpMethod === method && matches(each, path))
    if (!known) return [`${method} ${path} is no method of the API`]
    const findings: string[] = []
    const say = (where: string, what: string): void => void findings.push(`${known.id} ${where}: ${what}`)
    this.#query(known, query, say)
    if (known.request) this.#check(known.request, body, 'request', { sent, say })
    else if (body !== undefined) say('request', 'has a body')
    if (known.response && status >= 200 && status <= 299)
      this.#check(known.response, answer, 'answer', { sent: null, say })
    return findings
  }

  #query(known: Method, query: Traffic['query'], say: Say): void {
    const names = new Set(query.map(([name]) => name))
    for (const [name, value] of query) {
      const parameter = known.parameters?.[name] ?? this.#document.parameters[name]
      if (!parameter || parameter.location !== 'query') say(`?${name}`, 'is no parameter')
      else this.#scalar(parameter, value, `?${name}`, say, true)
    }
    for (const [name, parameter] of Object.entries(known.parameters ?? {})) {
      const required = parameter.required === true || (parameter.description ?? '').startsWith('Required.')
      // The request mask is the older way to say personFields.
      if (parameter.location !== 'query' || name.startsWith('requestMask')) continue
      if (required && !names.has(name)) say(`?${name}`, 'is missing')
      if (!parameter.repeated && query.filter(([each]) => each === name).length > 1) say(`?${name}`, 'is repeated')
    }
  }

  #check(schema: Schema, value: Json | undefined, where: string, terms: Terms): void {
    const { say } = terms
    if (value === undefined) return
    if (schema.$ref !== undefined) {
      const named = this.#document.schemas[schema.$ref]
      if (!named) return say(where, `has no schema ${schema.$ref}`)
      return this.#object(named, schema.$ref, value, where, terms)
    }
    if (schema.type === 'array') {
      if (!Array.isArray(value)) return say(where, 'is no list')
      for (const [index, item] of value.entries()) this.#check(schema.items ?? {}, item, `${where}[${index}]`, terms)
      return
    }
    if (schema.type === 'object') return this.#object(schema, '', value, where, terms)
    this.#scalar(schema, value, where, say, false)
  }

  #object(schema: Schema, name: string, value: Json, where: string, terms: Terms): void {
    if (!isObject(value)) return terms.say(where, 'is no object')
    for (const [property, content] of Object.entries(value)) {
      const known = schema.properties?.[property] ?? schema.additionalProperties
      const at = `${where}.${property}`
      if (!known) {
        // google.protobuf.Any: whatever its @type says.
        if (schema.properties !== undefined) terms.say(at, 'is no property')
      } else if (terms.sent && known.readOnly === true && !terms.sent.has(`${name}.${property}`)) {
        terms.say(at, 'is output only')
      } else this.#check(known, content, at, terms)
    }
  }

  #scalar(schema: Schema, value: Json, where: string, say: Say, asText: boolean): void {
    const { type, format } = schema
    const given = asText && typeof value === 'string' ? readAs(type, value) : value
    const wanted = type === 'integer' || type === 'number' ? 'number' : (type ?? 'any')
    if (wanted !== 'any' && typeof given !== wanted) return say(where, `is no ${type}`)
    if (type === 'integer' && !Number.isInteger(given)) say(where, 'is no integer')
    if (schema.enum && !schema.enum.includes(String(given))) say(where, `is none of ${schema.enum.join(', ')}`)
    if (format === 'google-datetime' && !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(String(given))) {
      say(where, 'is no timestamp')
    }
    const fields = /Valid values are: (.*)$/s.exec(schema.description ?? '')?.[1]?.match(/\w+/g)
    if (format === 'google-fieldmask' && fields) {
      const unknown = String(given)
        .split(',')
        .filter((field) => !fields.includes(field))
      if (unknown.length > 0) say(where, `may not name ${unknown.join(', ')}`)
    }
  }
}

type Say = (where: string, what: string) => void

interface Terms {
  /** null in answers, which may bear what is output only. */
  readonly sent: ReadonlySet<string> | null
  readonly say: Say
}

function methodsOf(resource: Resource): Method[] {
  return [
    ...Object.values(resource.methods ?? {}),
    ...Object.values(resource.resources ?? {}).flatMap((each) => methodsOf(each)),
  ]
}

function matches({ path, flatPath }: Method, asked: string): boolean {
  const source = (flatPath ?? path).replace(/[.*+?^$()|[\]\\]/g, '\\$&').replace(/\{[^}]+\}/g, '[^/:]+')
  return new RegExp(`^/${source}$`).test(asked)
}

function readAs(type: string | undefined, text: string): Json {
  if (type === 'integer' || type === 'number') return text.trim() === '' ? text : Number(text)
  if (type === 'boolean') return text === 'true' ? true : text === 'false' ? false : text
  return text
}

function isObject(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
