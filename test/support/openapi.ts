import { readFileSync } from 'node:fs'

/**
 * Holds traffic against a vendor's OpenAPI 3.0 description: the part of it that the descriptions in ../shared/specs use.
 * What it finds is a list of short lines, without values, so that a test can name the deviations it knows of.
 */
export interface OpenApi {
  /** @returns what is wrong with the exchange; nothing where all is as described */
  check(exchange: HttpExchange): string[]
}

export interface HttpExchange {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly body: unknown
  readonly status: number
  readonly answer: unknown
}

export interface OpenApiOptions {
  /** Descriptions that are silent about null have it allowed in answers. */
  readonly nulls: boolean
}

interface Schema {
  readonly $ref?: string
  readonly type?: string
  readonly nullable?: boolean
  readonly enum?: readonly unknown[]
  readonly properties?: { readonly [name: string]: Schema }
  readonly required?: readonly string[]
  readonly items?: Schema
  readonly oneOf?: readonly Schema[]
  readonly anyOf?: readonly Schema[]
  readonly allOf?: readonly Schema[]
}

interface Parameter {
  readonly $ref?: string
  readonly name: string
  readonly in: string
  readonly required?: boolean
  readonly schema?: Schema
}

interface Content {
  readonly content?: { readonly 'application/json'?: { readonly schema?: Schema } }
}

interface Operation {
  readonly parameters?: readonly Parameter[]
  readonly requestBody?: Content & { readonly required?: boolean }
  readonly responses: { readonly [status: string]: Content }
}

type PathItem = { readonly [method: string]: Operation | undefined } & { readonly parameters?: readonly Parameter[] }

interface Document {
  readonly paths: { readonly [path: string]: PathItem }
  readonly components: { readonly [kind: string]: { readonly [name: string]: unknown } }
}

export function readOpenApi(file: string, options: OpenApiOptions): OpenApi {
  const document = JSON.parse(readFileSync(file, 'utf8')) as Document
  const paths = Object.entries(document.paths)
    // A literal path comes before one with a parameter in the same place.
    .sort(([a], [b]) => Number(a.includes('{')) - Number(b.includes('{')) || a.localeCompare(b))
    .map(([path, item]) => ({ path, item, pattern: patternOf(path) }))

  function resolve<T>(thing: T & { readonly $ref?: string }): T {
    if (thing.$ref === undefined) return thing
    const [, , kind = '', name = ''] = thing.$ref.split('/')
    const found = document.components[kind]?.[name]
    if (found === undefined) throw new Error(`${file} has no ${thing.$ref}`)
    return resolve(found as T & { readonly $ref?: string })
  }

  function problems(value: unknown, given: Schema, at: string, answer: boolean): string[] {
    const schema = resolve(given)
    if (value === null) return schema.nullable === true || (answer && options.nulls) ? [] : [`${at} is null`]
    const all = (schema.allOf ?? []).flatMap((part) => problems(value, part, at, answer))
    for (const choice of [schema.oneOf, schema.anyOf]) {
      if (!choice) continue
      const found = choice.map((part) => problems(value, part, at, answer))
      if (!found.some((list) => list.length === 0)) all.push(...(found[0] ?? []))
    }
    if (schema.enum && !schema.enum.includes(value)) all.push(`${at} is none of its values`)
    if (schema.type !== undefined && !isOf(value, schema.type)) return [...all, `${at} is not of type ${schema.type}`]
    if (Array.isArray(value)) {
      const { items } = schema
      return items ? [...all, ...value.flatMap((item) => problems(item, items, `${at}[]`, answer))] : all
    }
    if (typeof value !== 'object') return all
    const object = value as { readonly [name: string]: unknown }
    for (const name of schema.required ?? []) if (!Object.hasOwn(object, name)) all.push(`${at}.${name} is missing`)
    for (const [name, part] of Object.entries(schema.properties ?? {})) {
      if (Object.hasOwn(object, name)) all.push(...problems(object[name], part, `${at}.${name}`, answer))
    }
    return all
  }

  function parameterProblems(found: readonly Parameter[], query: URLSearchParams): string[] {
    const known = found.map(resolve).filter((parameter) => parameter.in === 'query')
    const missing = known.filter(({ name, required }) => required === true && !query.has(name))
    const unknown = [...new Set(query.keys())].filter((name) => !known.some((each) => each.name === name))
    const wrong = known.flatMap(({ name, schema }) => {
      const text = query.get(name)
      if (text === null || schema === undefined) return []
      const { type } = resolve(schema)
      const value = type === 'integer' || type === 'number' ? Number(text) : text
      return problems(value, schema, `query ${name}`, false)
    })
    return [
      ...missing.map(({ name }) => `query ${name} is missing`),
      ...unknown.map((name) => `query ${name} is not described`),
      ...wrong,
    ]
  }

  return {
    check({ method, path, query, body, status, answer }) {
      const found = paths.find(({ pattern, item }) => pattern.test(path) && item[method.toLowerCase()])
      const operation = found?.item[method.toLowerCase()]
      if (!found || !operation) return [`${method} ${path.replaceAll(/\d+/g, '{n}')} is not described`]
      const list = parameterProblems([...(found.item.parameters ?? []), ...(operation.parameters ?? [])], query)
      const sent = operation.requestBody?.content?.['application/json']?.schema
      if (operation.requestBody?.required === true && body === undefined) list.push('the body is missing')
      if (sent && body !== undefined) list.push(...problems(body, sent, 'body', false))
      // Descriptions of this kind have no word for refusals.
      if (status < 400) {
        const response = operation.responses[String(status)]
        const schema = response?.content?.['application/json']?.schema
        if (!response) list.push(`status ${status} is not described`)
        if (schema) list.push(...problems(answer, schema, 'answer', true))
      }
      return [...new Set(list)].map((problem) => `${method} ${found.path}: ${problem}`)
    },
  }
}

function patternOf(path: string): RegExp {
  return new RegExp(`^${path.replaceAll(/[.*+?^$()|[\]\\]/g, String.raw`\$&`).replaceAll(/\{\w+\}/g, '[^/]+')}$`)
}

function isOf(value: unknown, type: string): boolean {
  if (type === 'array') return Array.isArray(value)
  if (type === 'integer') return Number.isInteger(value)
  if (type === 'object') return typeof value === 'object' && value !== null && !Array.isArray(value)
  return typeof value === type
}
