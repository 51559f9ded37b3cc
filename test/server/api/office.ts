import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { ROLES, type Role } from '../../../engine/core/access.ts'
import { AdminApi, API_PREFIX } from '../../../server/admin.ts'
import { grantAccess } from '../../../workers/access.ts'
import { newId } from '../../../workers/new-id.ts'
import { TestHousehold, type YamlDocument } from '../../support/household.ts'
import type { Place } from '../../support/places.ts'
import { remembered } from '../desk.ts'

/** What it is, the description says, and every answer is held against that before anybody looks at it. */
// oxlint-disable-next-line typescript/no-explicit-any
export type Body = any

export interface Answered {
  readonly status: number
  readonly body: Body
  readonly headers: Headers
}

type Method = 'GET' | 'POST' | 'DELETE'

/** The API as programs that have read its description see it: every answer is held against the description it serves. */
export interface OpenApi {
  readonly openapi: string
  readonly paths: { readonly [path: string]: { readonly [method: string]: Operation } }
  readonly components: { readonly schemas: { readonly [name: string]: unknown } }
}

export interface Operation {
  readonly summary: string
  readonly operationId: string
  readonly tags: readonly string[]
  readonly security?: readonly { readonly token: readonly Role[] }[]
  readonly requestBody?: unknown
  readonly responses: { readonly [status: string]: { readonly content?: { readonly [type: string]: unknown } } }
}

/** A household at work with its admin API, and a token of each role named as the role. */
export class Office {
  readonly home: TestHousehold
  readonly url: string
  readonly lines: readonly string[]
  readonly api: AdminApi
  readonly secrets: { readonly [role in Role]: string }
  readonly description: OpenApi
  readonly #ajv: Ajv2020

  /** What the places hold is in agreement when it opens. */
  static async open(places: readonly Place[], more: YamlDocument = {}, dir = TestHousehold.folder()): Promise<Office> {
    const home = await TestHousehold.make(dir, places, { ...more, admin: { port: 0 } })
    await home.syncApproved()
    const household = await home.open()
    const { log, lines } = remembered()
    const api = await AdminApi.open(household, log)
    if (!api) throw new Error('the config asks for no admin API')
    api.attach(await home.daemon())
    const desk = { store: household.store, access: household.access, now: Date.now, newId }
    const made = await Promise.all(
      ROLES.map(async (role) => {
        const wish = { name: role, role, expires_ms: null, by: 'test', why: 'test' }
        return [role, (await grantAccess(desk, wish)).secret] as const
      }),
    )
    const description = (await (await fetch(`${api.url}${API_PREFIX}/openapi.json`)).json()) as OpenApi
    return new Office(home, api, lines, Object.fromEntries(made) as Office['secrets'], description)
  }

  private constructor(
    home: TestHousehold,
    api: AdminApi,
    lines: readonly string[],
    secrets: Office['secrets'],
    description: OpenApi,
  ) {
    this.home = home
    this.api = api
    this.lines = lines
    this.url = `${api.url}${API_PREFIX}`
    this.secrets = secrets
    this.description = description
    this.#ajv = new Ajv2020({ strict: false, allErrors: true })
    addFormats.default(this.#ajv)
    this.#ajv.addSchema(description as object, 'api')
  }

  /** @throws where the answer is not one that the description foresees */
  async call(role: Role | null, method: Method, path: string, body?: unknown): Promise<Answered> {
    const secret = role === null ? null : this.secrets[role]
    const answered = await this.ask(secret, method, path, body)
    this.#mustFit(method, path, answered)
    return answered
  }

  /** As {@link call}, where it must come to a good end. */
  async done(role: Role, method: Method, path: string, body?: unknown): Promise<Body> {
    const answered = await this.call(role, method, path, body)
    if (answered.status >= 300)
      throw new Error(`${method} ${path}: ${answered.status} ${JSON.stringify(answered.body)}`)
    return answered.body
  }

  /** A request as it is, with whatever for a token. */
  async ask(secret: string | null, method: Method, path: string, body?: unknown): Promise<Answered> {
    const answer = await fetch(`${this.url}${path}`, {
      method,
      headers: {
        ...(secret === null ? {} : { authorization: `Bearer ${secret}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await answer.text()
    const isJson = /json/.test(answer.headers.get('content-type') ?? '')
    return {
      status: answer.status,
      body: text === '' ? null : isJson ? JSON.parse(text) : text,
      headers: answer.headers,
    }
  }

  async close(): Promise<void> {
    await this.api.close()
    await this.home.close()
  }

  #mustFit(method: Method, path: string, { status, body, headers }: Answered): void {
    const plain = path.replace(/\?.*$/, '')
    const template = Object.keys(this.description.paths).find((one) => fits(one, `${API_PREFIX}${plain}`))
    if (template === undefined) {
      if (status === 404) return
      throw new Error(`the description knows of no ${plain}`)
    }
    const operation = this.description.paths[template]?.[method.toLowerCase()]
    if (!operation) throw new Error(`the description knows of no ${method} ${template}`)
    const key = [String(status), `${String(status)[0]}XX`].find((one) => one in operation.responses)
    if (key === undefined) throw new Error(`${method} ${template} does not foresee ${status}`)
    const type = headers.get('content-type')?.split(';')[0] ?? ''
    const described = status < 300 ? type : 'application/json'
    const fitting =
      status < 300 ? type in (operation.responses[key]?.content ?? {}) : type === 'application/problem+json'
    if (!fitting) throw new Error(`${method} ${template} answers ${status} as ${type}`)
    const place = ['paths', template, method.toLowerCase(), 'responses', key, 'content', described, 'schema']
    const pointer = place.map((part) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))).join('/')
    const check = this.#ajv.compile({ $ref: `api#/${pointer}` })
    if (!check(body)) throw new Error(`${method} ${template} ${status}: ${JSON.stringify(check.errors)}`)
  }
}

/** `/a/{id}/b` fits `/a/7/b`. A literal path comes first: more of it is told. */
function fits(template: string, path: string): boolean {
  const [wanted, given] = [template.split('/'), path.split('/')]
  return wanted.length === given.length && wanted.every((part, at) => part.startsWith('{') || part === given[at])
}
