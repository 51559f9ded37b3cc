import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { bodyOf, SimulatorServer } from '../simulator-server.ts'
import {
  hashOf,
  isRefusal,
  SimulatedAudience,
  STANDARD_MERGE_FIELDS,
  type MemberInput,
  type Refusal,
  type SimulatedCategory,
  type SimulatedMember,
  type SimulatedMergeField,
  type Source,
} from './simulator-audience.ts'
import { SimulatedHooks, type RegisteredTarget } from './simulator-hooks.ts'

/**
 * Mailchimp's Marketing API of one audience in memory, on loopback: for `kith demo`, and for the faults that the real one
 * cannot be asked for. It shares no code with the client, or both would share a mistake.
 */
export interface MailchimpSimulator {
  /** As `basePath` takes it. */
  readonly url: string
  /** The audience as people see it: they add, edit, archive and unsubscribe there. */
  readonly audience: SimulatedAudience
  readonly hooks: SimulatedHooks
  readonly faults: Faults
  /** What was asked so far. */
  readonly requests: readonly SimulatedRequest[]
  /** How many requests were under way at once, at most. */
  readonly concurrent: number
  /** Puts the account's clock forward. */
  advance(ms: number): void
  close(): Promise<void>
}

export interface SimulatedRequest {
  readonly method: string
  /** With its query. */
  readonly path: string
  readonly body: unknown
  /** 0 until it is answered, and for good where the connection was dropped. */
  status: number
}

/** What goes wrong. All off at first; set them at any time. */
export interface Faults {
  /** Answers the next requests that fit with this status; `bare`: without JSON, as Mailchimp's edge does. */
  fail: { status: number; times: number; path?: RegExp; retryAfter?: string; bare?: boolean } | null
  /** Carries out this many writes and then drops the connection. */
  lostAnswers: number
  /** Of the next batch, every second member is not taken for the moment. */
  partial: boolean
  /** Ends bodies after this share of them, cleanly, as a proxy that gave up does. */
  cut: number | null
  /** Waits before each answer. */
  slow_ms: number
  keyRevoked: boolean
  /** The audience was deleted. */
  audienceGone: boolean
}

export interface SimulatorOptions {
  readonly apiKey: string
  readonly audience?: string
  readonly now?: () => number
  readonly port?: number
  /** Beside the standard ones; one of the same tag takes its place. */
  readonly mergeFields?: readonly SimulatedMergeField[]
  readonly categories?: readonly SimulatedCategory[]
  readonly lag_ms?: number
  /** Whether listings show archived members unasked. The vendor's documentation does not say. */
  readonly archivedShown?: boolean
  readonly readdsArchived?: boolean
  readonly doubleOptin?: boolean
}

interface Answer {
  readonly status: number
  readonly headers?: { readonly [name: string]: string }
  readonly json?: unknown
}

const CONCURRENT_MAX = 10
const COUNT_MAX = 1000
const BATCH_MAX = 500

export async function startMailchimpSimulator(options: SimulatorOptions): Promise<MailchimpSimulator> {
  const simulator = new Simulator(options)
  await simulator.listen(options.port ?? 0)
  return simulator
}

class Simulator implements MailchimpSimulator {
  readonly audience: SimulatedAudience
  readonly hooks: SimulatedHooks
  readonly requests: SimulatedRequest[] = []
  readonly faults: Faults = {
    fail: null,
    lostAnswers: 0,
    partial: false,
    cut: null,
    slow_ms: 0,
    keyRevoked: false,
    audienceGone: false,
  }
  readonly #options: SimulatorOptions
  readonly #id: string
  readonly #server: SimulatorServer
  #ahead_ms = 0
  #underWay = 0
  concurrent = 0

  constructor(options: SimulatorOptions) {
    this.#options = options
    this.#id = options.audience ?? '9e67587f52'
    const given = options.mergeFields ?? []
    const tags = new Set(given.map(({ tag }) => tag))
    this.audience = new SimulatedAudience({
      now: () => this.#now(),
      mergeFields: [...STANDARD_MERGE_FIELDS.filter(({ tag }) => !tags.has(tag)), ...given],
      categories: options.categories ?? [],
      lag_ms: options.lag_ms ?? 0,
      readdsArchived: options.readdsArchived ?? false,
    })
    this.hooks = new SimulatedHooks(this.#id, () => this.#now())
    this.audience.onEvent = (event) => this.hooks.announce(event)
    this.#server = new SimulatorServer((request, response) => this.#serve(request, response))
  }

  async listen(port: number): Promise<void> {
    await this.#server.listen(port)
  }

  get url(): string {
    return `${this.#server.origin}/3.0`
  }

  advance(ms: number): void {
    this.#ahead_ms += ms
  }

  async close(): Promise<void> {
    await this.#server.close()
    await this.hooks.close()
  }

  #now(): number {
    return (this.#options.now ?? Date.now)() + this.#ahead_ms
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#underWay++
    this.concurrent = Math.max(this.concurrent, this.#underWay)
    try {
      const raw = await bodyOf(request)
      const url = new URL(request.url ?? '/', this.url)
      const method = request.method ?? ''
      const body = raw === '' ? null : (JSON.parse(raw) as unknown)
      const record: SimulatedRequest = { method, path: url.pathname + url.search, body, status: 0 }
      this.requests.push(record)
      if (this.faults.slow_ms > 0) await sleep(this.faults.slow_ms, undefined, { signal: this.#server.closing })
      const answer =
        this.#failure(url.pathname) ??
        this.#limited() ??
        this.#authorised(request) ??
        (await this.#answer(method, url, body))
      if (method !== 'GET' && this.faults.lostAnswers > 0 && answer.status < 300) {
        this.faults.lostAnswers--
        request.socket.destroy()
        return
      }
      record.status = answer.status
      this.#reply(response, answer)
    } finally {
      this.#underWay--
    }
  }

  #reply(response: ServerResponse, { status, headers, json }: Answer): void {
    const whole = Buffer.from(json === undefined ? '' : JSON.stringify(json))
    const isCut = this.faults.cut !== null && status < 300
    const body = isCut ? whole.subarray(0, Math.floor(whole.length * (this.faults.cut ?? 1))) : whole
    const type = status < 300 ? 'application/json; charset=utf-8' : 'application/problem+json; charset=utf-8'
    response.writeHead(status, {
      ...(json === undefined ? {} : { 'Content-Type': type }),
      'Content-Length': body.length,
      Date: new Date(this.#now()).toUTCString(),
      'X-Request-Id': randomUUID(),
      ...headers,
    })
    response.end(body)
  }

  #failure(path: string): Answer | undefined {
    const { fail } = this.faults
    if (!fail || !(fail.path?.test(path) ?? true)) return undefined
    if (--fail.times <= 0) this.faults.fail = null
    const headers: { [name: string]: string } = fail.retryAfter === undefined ? {} : { 'Retry-After': fail.retryAfter }
    if (fail.bare === true) return { status: fail.status, headers }
    const title = fail.status === 429 ? 'Too Many Requests' : 'Internal Server Error'
    return { ...problem(fail.status, title, 'An unexpected internal error has occurred.'), headers }
  }

  #limited(): Answer | undefined {
    if (this.#underWay <= CONCURRENT_MAX) return undefined
    return problem(429, 'Too Many Requests', 'You have exceeded the limit of 10 simultaneous connections.')
  }

  #authorised(request: IncomingMessage): Answer | undefined {
    const [scheme, credentials = ''] = (request.headers.authorization ?? '').split(' ')
    const given = scheme === 'Basic' ? Buffer.from(credentials, 'base64').toString('utf8').split(':')[1] : credentials
    if (!this.faults.keyRevoked && given === this.#options.apiKey) return undefined
    return problem(
      401,
      'API Key Invalid',
      "Your API key may be invalid, or you've attempted to access the wrong datacenter.",
    )
  }

  async #answer(method: string, url: URL, body: unknown): Promise<Answer> {
    const parts = url.pathname.split('/').slice(2).map(decodeURIComponent)
    const [root, list, kind, who, what, of] = parts
    if (root !== 'lists' || list !== this.#id || this.faults.audienceGone) return notFound()
    const json = Object(body) as { [name: string]: unknown }
    if (parts.length === 2 && method === 'GET') return this.#audienceJson()
    if (parts.length === 2 && method === 'POST') return this.#batch(json, url.searchParams)
    if (kind === 'merge-fields' && method === 'GET') {
      return {
        status: 200,
        json: { merge_fields: [...this.audience.mergeFields.values()].map(mergeFieldJson), list_id: list },
      }
    }
    if (kind === 'interest-categories' && method === 'GET') return this.#categories(who, what)
    if (kind === 'webhooks') return await this.#webhooks(method, who, json)
    if (kind !== 'members') return notFound()
    if (who === undefined && method === 'GET') return this.#list(url.searchParams)
    if (who === undefined) return notFound()
    const member = this.audience.find(who)
    if (method === 'PUT' && what === undefined) return this.#put(member, json, url.searchParams)
    if (!member) return notFound()
    if (what === undefined && method === 'GET')
      return { status: 200, json: this.#picked(this.#json(member), url.searchParams, '') }
    if (what === undefined && method === 'PATCH') return this.#patched(member, json, url.searchParams)
    if (what === undefined && method === 'DELETE') return refusedOr(this.audience.archive(member.contactId, 'api'), 204)
    if (what === 'tags' && method === 'POST') {
      this.audience.tag(member, (json['tags'] ?? []) as { name: string; status: string }[])
      return { status: 204 }
    }
    if (what === 'actions' && of === 'delete-permanent' && method === 'POST') {
      this.audience.deletePermanently(member.contactId)
      return { status: 204 }
    }
    return problem(405, 'Method Not Allowed', 'The requested method and resource are not compatible.')
  }

  #audienceJson(): Answer {
    const live = this.audience.live()
    const count = (status: string): number => live.filter((member) => member.status === status).length
    const stats = {
      member_count: count('subscribed'),
      unsubscribe_count: count('unsubscribed'),
      cleaned_count: count('cleaned'),
    }
    const doubleOptin = this.#options.doubleOptin ?? false
    return { status: 200, json: { id: this.#id, name: 'Friends', double_optin: doubleOptin, stats } }
  }

  async #webhooks(method: string, id: string | undefined, body: { [name: string]: unknown }): Promise<Answer> {
    const { targets } = this.hooks
    if (id === undefined && method === 'GET')
      return { status: 200, json: { webhooks: [...targets.values()].map(hookJson), total_items: targets.size } }
    const flags = (name: string): { [flag: string]: boolean } => (body[name] ?? {}) as { [flag: string]: boolean }
    const chosen = Object.entries(flags('sources')).flatMap(([source, is]) => (is ? [source as Source] : []))
    if (id === undefined && method === 'POST') {
      const signingSecret = randomUUID()
      const target = { url: String(body['url']), signingSecret, sources: chosen }
      const made = await this.hooks.subscribe(target, flags('events')).catch(() => null)
      if (made === null) return invalid('url', 'We could not connect to the address.')
      const hook = targets.get(made)
      // The secret stands in this answer only.
      return { status: 200, json: { ...(hook && hookJson(hook)), signing_secret: signingSecret } }
    }
    const held = targets.get(id ?? '')
    if (!held) return notFound()
    if (method === 'DELETE') return targets.delete(held.id) ? { status: 204 } : notFound()
    targets.set(held.id, { ...held, events: { ...held.events, ...flags('events') }, sources: chosen })
    return { status: 200, json: hookJson(targets.get(held.id) ?? held) }
  }

  #categories(category: string | undefined, what: string | undefined): Answer {
    if (category === undefined) {
      return {
        status: 200,
        json: { categories: this.audience.categories.map(({ id, title }) => ({ id, title, type: 'checkboxes' })) },
      }
    }
    const found = this.audience.categories.find(({ id }) => id === category)
    return found && what === 'interests' ? { status: 200, json: { interests: found.interests } } : notFound()
  }

  #list(query: URLSearchParams): Answer {
    const count = Number(query.get('count') ?? 10)
    const offset = Number(query.get('offset') ?? 0)
    if (count > COUNT_MAX) return invalid('count', 'This value should be 1000 or less.')
    const status = query.get('status')
    const [after_ms, before_ms] = ['since_last_changed', 'before_last_changed'].map((name) => timeOf(query.get(name)))
    const all = this.audience.listed().filter((member) => {
      if (status !== null ? member.status !== status : member.status === 'archived' && !this.#options.archivedShown)
        return false
      return member.lastChanged_ms > (after_ms ?? -Infinity) && member.lastChanged_ms < (before_ms ?? Infinity)
    })
    const sorted = query.get('sort_dir') === 'DESC' ? all.toReversed() : all
    const members = sorted
      .slice(offset, offset + count)
      .map((member) => this.#picked(this.#json(member), query, 'members.'))
    return { status: 200, json: { members, list_id: this.#id, total_items: all.length } }
  }

  #batch(body: { [name: string]: unknown }, query: URLSearchParams): Answer {
    const inputs = (body['members'] ?? []) as MemberInput[]
    if (inputs.length > BATCH_MAX) return invalid('members', 'This collection should contain 500 elements or less.')
    for (const [at, { status }] of inputs.entries()) {
      if (
        status !== undefined &&
        !['subscribed', 'unsubscribed', 'cleaned', 'pending', 'transactional'].includes(status)
      )
        return invalid(`members.item:${at}.status`, 'Data presented is not one of the accepted values.')
    }
    const emails = inputs.map(({ email_address: email }) => String(email).toLowerCase())
    if (new Set(emails).size < emails.length && query.get('skip_duplicate_check') !== 'true')
      return invalid('members', 'Duplicate items found in this list.')
    const skip = query.get('skip_merge_validation') === 'true'
    const limited = this.faults.partial ? emails.filter((_, at) => at % 2 === 1) : []
    this.faults.partial = false
    limited.forEach((email) => this.audience.limited.add(email))
    const fresh: unknown[] = []
    const updated: unknown[] = []
    const errors: unknown[] = []
    for (const input of inputs) {
      const there = this.audience.find(String(input.email_address))
      const isUpdate = there !== undefined && body['update_existing'] === true
      const result = isUpdate
        ? this.audience.update(there, input, 'api', skip, false)
        : this.audience.add(input, 'api', skip)
      if (isRefusal(result)) errors.push(...itemErrors(String(input.email_address), result))
      else (isUpdate ? updated : fresh).push(this.#json(result))
    }
    limited.forEach((email) => this.audience.limited.delete(email))
    const counts = { total_created: fresh.length, total_updated: updated.length, error_count: errors.length }
    return { status: 200, json: { new_members: fresh, updated_members: updated, errors, ...counts } }
  }

  #put(member: SimulatedMember | undefined, input: MemberInput, query: URLSearchParams): Answer {
    if (member) return this.#patched(member, input, query)
    return this.#written(this.audience.add(input, 'api', query.get('skip_merge_validation') === 'true'))
  }

  #patched(member: SimulatedMember, input: MemberInput, query: URLSearchParams): Answer {
    return this.#written(this.audience.update(member, input, 'api', query.get('skip_merge_validation') === 'true'))
  }

  #written(result: SimulatedMember | Refusal): Answer {
    return isRefusal(result) ? refused(result) : { status: 200, json: this.#json(result) }
  }

  #json(member: SimulatedMember): { [name: string]: unknown } {
    const iso = (at_ms: number | null): string =>
      at_ms === null ? '' : new Date(at_ms).toISOString().slice(0, 19) + '+00:00'
    const merge = [...this.audience.mergeFields.keys()].map((tag) => [tag, member.mergeFields.get(tag) ?? ''])
    const interests = this.audience.categories.flatMap((category) => category.interests)
    return {
      id: hashOf(member.email),
      email_address: member.email,
      unique_email_id: hashOf(`unique ${member.email}`).slice(0, 10),
      contact_id: member.contactId,
      web_id: member.webId,
      email_type: member.emailType,
      status: member.status,
      merge_fields: member.broken ? 'Internal error' : Object.fromEntries(merge),
      interests: Object.fromEntries(interests.map(({ id }) => [id, member.interests.has(id)])),
      ip_signup: member.timestampSignup_ms === null ? '' : '203.0.113.10',
      timestamp_signup: iso(member.timestampSignup_ms),
      ip_opt: member.timestampOpt_ms === null ? '' : '203.0.113.10',
      timestamp_opt: iso(member.timestampOpt_ms),
      last_changed: iso(member.lastChanged_ms),
      language: member.language,
      vip: member.vip,
      source: member.source,
      tags_count: member.tags.size,
      tags: [...member.tags].map(([name, id]) => ({ id, name })),
      list_id: this.#id,
    }
  }

  /** `fields`: only these, as `members.tags`. */
  #picked(json: { [name: string]: unknown }, query: URLSearchParams, prefix: string): unknown {
    const fields = query.get('fields')
    if (fields === null) return json
    const names = new Set(
      fields.split(',').flatMap((name) => (name.startsWith(prefix) ? [name.slice(prefix.length)] : [])),
    )
    return Object.fromEntries(Object.entries(json).filter(([name]) => names.has(name)))
  }
}

function hookJson({ id, url, events, sources, signingSecret }: RegisteredTarget): object {
  const told = (source: Source): boolean => sources?.includes(source) ?? true
  const shown = { user: told('user'), admin: told('admin'), api: told('api') }
  return { id, url, events, sources: shown, signing_enabled: signingSecret !== undefined }
}

function timeOf(text: string | null): number | undefined {
  return text === null ? undefined : Date.parse(text)
}

/** A batch names each wrong field by itself. */
function itemErrors(email: string, { detail, errorCode, errors }: Refusal): unknown[] {
  const error =
    errorCode === 'ERROR_CONTACT_EXISTS'
      ? `${email} is already a list member, do you want to update? please provide update_existing:true in the request body`
      : detail
  const named = (errors ?? []).map(({ field, message }) => ({ field, field_message: message }))
  return (named.length === 0 ? [{}] : named).map((more) => ({
    email_address: email,
    error,
    error_code: errorCode,
    ...more,
  }))
}

function mergeFieldJson({ required, options, ...field }: SimulatedMergeField, at: number): unknown {
  return {
    merge_id: at + 1,
    ...field,
    required: required ?? false,
    default_value: '',
    public: true,
    display_order: at + 2,
    // PHP's empty object.
    options: options ?? [],
    help_text: '',
  }
}

function refusedOr(refusal: Refusal | undefined, status: number): Answer {
  return refusal ? refused(refusal) : { status }
}

function refused({ status, title, detail, errors }: Refusal): Answer {
  const answer = problem(status, title, detail)
  return errors ? { ...answer, json: { ...(answer.json as object), errors } } : answer
}

function notFound(): Answer {
  return problem(404, 'Resource Not Found', 'The requested resource could not be found.')
}

function invalid(field: string, message: string): Answer {
  const detail = "The resource submitted could not be validated. For field-specific details, see the 'errors' array."
  return refused({
    refused: true,
    status: 400,
    title: 'Invalid Resource',
    detail,
    errorCode: 'ERROR_GENERIC',
    errors: [{ field, message }],
  })
}

function problem(status: number, title: string, detail: string): Answer {
  const type = 'https://mailchimp.com/developer/marketing/docs/errors/'
  return { status, json: { type, title, status, detail, instance: randomUUID() } }
}
