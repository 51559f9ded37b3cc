import { createHash } from 'node:crypto'
import { z } from 'zod'
import { FailureError } from '../../engine/core/failure.ts'
import type { Json, JsonObject } from '../../engine/core/json.ts'
import type {
  AppRecord,
  Capabilities,
  ConnectionReport,
  Connector,
  CreateRequest,
  FeedPage,
  MergeOutcome,
  MergeRequest,
  ReadAnswer,
  WriteOutcome,
  WriteRequest,
} from '../../engine/core/ports/connector.ts'
import type { App, ConnectContext } from '../app.ts'
import { realSleep, type Sleep } from '../clock.ts'
import type { HttpStats } from '../http.ts'
import { oauthOptions, secureUrl } from '../oauth-plan.ts'
import { HubSpotClient, type Tuning } from './client.ts'
import { cursorFrom, Feed } from './feed.ts'
import { addressesOf, ContactFields, KEY_PROPERTY, propertiesFrom } from './fields.ts'
import { LIST_FIELDS } from './list-fields.ts'
import { completed } from './list-writes.ts'
import { Lists } from './lists.ts'
import { HUBSPOT_API, hubspotOAuth } from './oauth.ts'
import { Reader } from './read.ts'
import { hubspotWebhook } from './webhook.ts'
import { hubspotSubscriptions } from './subscriptions.ts'
import { LIMITS } from './wire.ts'
import { Batch } from './writes.ts'

const Options = z
  .strictObject({
    /** Of a service key or a private app. */
    token: z.string().min(1).optional(),
    /** With `clientId`: of the app that people sign in to. Webhooks are signed with `clientSecret` in any case. */
    ...oauthOptions,
    /** The account's number: needed only where several accounts send webhooks to one app, or sign in to one. */
    portal: z.coerce.string().regex(/^\d+$/, { error: "the account's number (Hub ID)" }).optional(),
    /** The number of a legacy public app, and the developer account's API key: `kith hooks sync` can then subscribe it. */
    appId: z.coerce.string().regex(/^\d+$/, { error: "the app's number (App ID)" }).optional(),
    developerKey: z.string().min(1).optional(),
    /** Whether signing in asks for the lists too: HubSpot refuses it where the app does not have their scopes. */
    lists: z.boolean().optional(),
    basePath: z.url({ protocol: /^https?$/, error: 'an http or https address' }).default(HUBSPOT_API),
    /** Where people sign in, if not at HubSpot: for the simulator. */
    authorizeUrl: secureUrl.optional(),
  })
  .refine(
    ({ token, clientId, clientSecret }) =>
      token === undefined ? clientId !== undefined && clientSecret !== undefined : clientId === undefined,
    { error: 'give token, or clientId and clientSecret to sign in with: kith connect' },
  )
export type HubSpotOptions = z.infer<typeof Options>

const CAPABILITIES: Capabilities = {
  deletes: 'feed',
  hints: true,
  createKey: 'search',
  precondition: false,
  times: 'field',
  readBatch_max: LIMITS.batch_max,
  writeBatch_max: LIMITS.batch_max,
  writes_concurrent_max: 2,
  archive: true,
  erase: true,
  create: true,
  delete: true,
  merge: true,
}

/** How long a new contact may take to be found by a search, and how often that is tried. */
const SEARCH_LAG_MS = 10_000
const SEARCH_FILTERS_MAX = 6

/** HubSpot CRM contacts. */
export const hubspot: App<HubSpotOptions> = {
  name: 'hubspot',
  title: 'HubSpot',
  options: Options,
  secrets: ['token', 'clientSecret', 'developerKey'],
  // A token names its account to HubSpot alone; its fingerprint at least tells one token used twice.
  account: ({ token, clientId, portal, basePath }) =>
    ['hubspot', basePath, portal ?? (token === undefined ? `client ${clientId}` : digest(token))].join(' '),
  oauth: hubspotOAuth,
  connect: (options, context) => connectHubSpot(options, context),
  webhook: ({ clientSecret, portal }, { connection, now }) => {
    if (clientSecret === undefined) {
      throw new FailureError({
        kind: 'permanent',
        message: `${connection}: HubSpot's webhooks cannot be told from forged ones without the app's client secret`,
        advice: 'Put it into clientSecret: in kith.yaml',
      })
    }
    return hubspotWebhook({ clientSecret, portal, now })
  },
  subscriptions: (options, context) => hubspotSubscriptions(options, context),
}

export function connectHubSpot(
  options: HubSpotOptions,
  context: ConnectContext,
  tuning: Tuning = {},
): HubSpotConnector {
  return new HubSpotConnector(options, context, tuning)
}

export class HubSpotConnector implements Connector {
  readonly app = 'hubspot'
  readonly capabilities = CAPABILITIES
  readonly #client: HubSpotClient
  readonly #reader: Reader
  readonly #lists: Lists
  readonly #searchLag_ms: number
  readonly #sleep: Sleep
  #selected: readonly string[] | undefined
  /** The account's properties, read once in the connector's life; by `check` anew. */
  #account: Promise<ContactFields> | undefined
  readonly #closing = new AbortController()

  constructor(options: HubSpotOptions, context: ConnectContext, tuning: Tuning) {
    const { basePath } = options
    const token = options.token ?? null
    const signIn = token === null ? context.signIn : undefined
    this.#client = new HubSpotClient({
      token,
      signIn,
      basePath,
      now: context.now,
      sleep: context.sleep,
      sharers: context.sharers,
      pacer: context.pacer,
      tuning,
    })
    this.#lists = new Lists(this.#client, context.now)
    this.#reader = new Reader(this.#client, this.#lists, (signal) => this.#fields(signal))
    this.#sleep = context.sleep ?? realSleep
    this.#searchLag_ms = tuning.searchLag_ms ?? SEARCH_LAG_MS
  }

  select(fields: readonly string[]): void {
    this.#selected = [...new Set(fields)]
    this.#lists.select(this.#selected)
  }

  stats(): HttpStats {
    return this.#client.stats()
  }

  async check(signal?: AbortSignal): Promise<ConnectionReport> {
    this.#account = undefined
    const account = await this.#describe(signal)
    const { data } = await this.#client.search(
      { limit: 1, properties: ['hs_object_id'], filterGroups: [], sorts: [] },
      signal,
    )
    if (this.#lists.isOn) await this.#lists.list(signal)
    const lists = this.#lists.isOn ? `, ${this.#lists.selected.length} lists` : ''
    const custom = account.hasKey
      ? []
      : [
          `No unique property named ${KEY_PROPERTY}: a create whose answer is lost is found again by e-mail, or else by a search`,
        ]
    return {
      summary: `${data.total.toLocaleString('en')} contacts, ${account.properties.size} properties${lists}`,
      fields: [...account.appFields(), ...LIST_FIELDS],
      warnings: custom,
    }
  }

  async *pull(cursor: Json | null, signal?: AbortSignal): AsyncGenerator<FeedPage> {
    yield* new Feed(this.#client, this.#reader, this.#lists, signal).pages(cursorFrom(cursor))
  }

  async read(ids: readonly string[], signal?: AbortSignal): Promise<ReadAnswer[]> {
    checkBatch(ids.length)
    if (ids.length === 0) return []
    return await this.#reader.read(ids, true, signal)
  }

  async write(requests: readonly WriteRequest[], signal?: AbortSignal): Promise<WriteOutcome[]> {
    checkBatch(requests.length)
    if (requests.length === 0) return []
    const account = await this.#describe(signal)
    const fields = await this.#fields(signal)
    const parts = { client: this.#client, reader: this.#reader, lists: this.#lists, fields, account }
    return await new Batch(parts, signal).write(requests)
  }

  /** The other contact is the primary one: its values stand, and in most accounts a third contact is made of the two. */
  async merge({ ref, id, into }: MergeRequest, signal?: AbortSignal): Promise<MergeOutcome> {
    try {
      return { ref, kind: 'merged', id, into: await this.#client.merge(into, id, signal) }
    } catch (error) {
      if (!(error instanceof FailureError)) throw error
      return { ref, kind: 'failed', failure: error.failure }
    }
  }

  /**
   * By Kith's own key where the account has a place for it, else by e-mail address: both are asked of the records themselves.
   * A contact with neither is searched for by all that was sent, and once more when the index has had time to show it. What was
   * created and is not in its lists yet is put into them: a create is both.
   */
  async find(create: CreateRequest, signal?: AbortSignal): Promise<AppRecord[]> {
    return await completed(create, await this.#find(create, signal), this.#lists, signal)
  }

  async #find(create: CreateRequest, signal: AbortSignal | undefined): Promise<AppRecord[]> {
    const account = await this.#describe(signal)
    if (account.hasKey) return records(await this.#reader.byValue(KEY_PROPERTY, [create.key], signal))
    const [address] = addressesOf(create.fields)
    if (address !== undefined) return records(await this.#reader.byValue('email', [address], signal))
    const found = await this.#searchFor(create.fields, account, signal)
    if (found.length > 0 || this.#searchLag_ms === 0) return found
    await this.#sleep(this.#searchLag_ms, AbortSignal.any([this.#closing.signal, ...(signal ? [signal] : [])]))
    return await this.#searchFor(create.fields, account, signal)
  }

  close(): Promise<void> {
    this.#closing.abort()
    this.#client.close()
    return Promise.resolve()
  }

  async #searchFor(fields: JsonObject, account: ContactFields, signal: AbortSignal | undefined): Promise<AppRecord[]> {
    const sent = Object.entries(propertiesFrom(fields, account))
    const filters = sent
      .filter(([name, value]) => value !== '' && value.length <= 200 && account.properties.get(name)?.type === 'string')
      .slice(0, SEARCH_FILTERS_MAX)
      .map(([propertyName, value]) => ({ propertyName, operator: 'EQ', value }))
    if (filters.length === 0) return []
    const request = {
      filterGroups: [{ filters: filters as never[] }],
      properties: ['hs_object_id'],
      limit: 10,
      sorts: [],
    }
    const { data } = await this.#client.search(request, signal)
    const ids = data.results.flatMap((result) => z.object({ id: z.string() }).safeParse(result).data?.id ?? [])
    if (ids.length === 0) return []
    const found = records(await this.#reader.read(ids, false, signal))
    // The search looks at words and not at texts: what it finds must hold what was sent.
    return found.filter((record) => filters.every(({ propertyName, value }) => record.fields[propertyName] === value))
  }

  /** The fields that records are to have: those selected, or all properties; lists cost requests, and have to be selected. */
  async #fields(signal: AbortSignal | undefined): Promise<readonly string[]> {
    if (this.#selected) return this.#selected
    const account = await this.#describe(signal)
    return account.appFields().map(({ name }) => name)
  }

  /** One request for all who wait; a failed one is tried anew by the next. */
  async #describe(signal: AbortSignal | undefined): Promise<ContactFields> {
    const found = (this.#account ??= this.#client.properties(signal).then((list) => new ContactFields(list)))
    try {
      return await found
    } catch (error) {
      if (this.#account === found) this.#account = undefined
      throw error
    }
  }
}

function records(answers: readonly ReadAnswer[]): AppRecord[] {
  return answers.flatMap((answer) => (answer.kind === 'record' ? [answer.record] : []))
}

function digest(token: string): string {
  return createHash('sha256').update(token).digest('hex').slice(0, 16)
}

function checkBatch(size: number): void {
  if (size > LIMITS.batch_max) {
    throw new FailureError({ kind: 'bug', message: `a batch of ${size} is more than HubSpot's ${LIMITS.batch_max}` })
  }
}
