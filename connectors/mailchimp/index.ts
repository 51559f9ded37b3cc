import { z } from 'zod'
import { FailureError } from '../../engine/core/failure.ts'
import type { Json } from '../../engine/core/json.ts'
import type {
  AppRecord,
  Capabilities,
  ConnectionReport,
  Connector,
  CreateRequest,
  FeedPage,
  ReadAnswer,
  WriteOutcome,
  WriteRequest,
} from '../../engine/core/ports/connector.ts'
import type { App, ConnectContext } from '../app.ts'
import type { HttpStats } from '../http.ts'
import { oauthOptions, secureUrl } from '../oauth-plan.ts'
import { MailchimpClient, type Tuning } from './client.ts'
import { Feed } from './feed.ts'
import { appFields, GROUPS, type Groups, type Shape } from './fields.ts'
import { mailchimpOAuth } from './oauth.ts'
import { basePathIn, Place } from './place.ts'
import { Reader } from './reader.ts'
import { LIMITS, type MergeField } from './wire.ts'
import { mailchimpSubscriptions } from './subscriptions.ts'
import { mailchimpWebhook } from './webhook.ts'
import { Batch } from './writes.ts'

const CREDENTIALS = ['apiKey', 'accessToken', 'clientId'] as const

const Options = z
  .strictObject({
    /** The audience's id, of letters and digits (Audience, Settings). */
    audience: z.string().regex(/^[a-z0-9]+$/i, { error: "the audience's id, as 9e67587f52" }),
    /** Its ending names the data centre: `...-us6`. */
    apiKey: z.string().min(1).optional(),
    accessToken: z.string().min(1).optional(),
    /** With `clientId` and `clientSecret`: of the app that people sign in to. */
    ...oauthOptions,
    /** The account's data centre, as `us6`: in place of the one that the sign-in, the token or the key tells of. */
    server: z
      .string()
      .regex(/^[a-z]{2}\d{1,3}$/, { error: 'a data centre, as us6' })
      .optional(),
    /** How people who are new to the audience are let in. */
    newMembers: z.enum(['transactional', 'pending', 'subscribed']).default('transactional'),
    /** The signing secret of the audience's webhook. */
    webhookSecret: z.string().min(1).optional(),
    /** A word in the address of the webhook, as ?key=...: for webhooks that are not signed. */
    webhookKey: z.string().min(16, { error: 'at least 16 characters' }).optional(),
    /** Where people sign in, if not at Mailchimp: for the simulator. */
    loginUrl: secureUrl.optional(),
    /** Another address of the API: the simulator, a proxy. */
    basePath: z.url({ protocol: /^https?$/, error: 'an http or https address' }).optional(),
  })
  .refine((options) => CREDENTIALS.filter((name) => options[name] !== undefined).length === 1, {
    error: 'give apiKey; or accessToken; or clientId and clientSecret, to sign in with: kith connect',
  })
  .refine(({ clientId, clientSecret }) => (clientId === undefined) === (clientSecret === undefined), {
    error: 'clientId and clientSecret go together',
  })
  .refine((options) => options.apiKey === undefined || basePathIn(options) !== undefined, {
    error: "the account's data centre is not known: give server, as us6, or the whole apiKey, which has it at its end",
  })
export type MailchimpOptions = z.output<typeof Options>

const CAPABILITIES: Capabilities = {
  deletes: 'feed',
  hints: false,
  createKey: 'search',
  precondition: false,
  times: 'record',
  readBatch_max: LIMITS.batch_max,
  writeBatch_max: LIMITS.batch_max,
  writes_concurrent_max: 2,
  archive: true,
  erase: true,
  create: true,
  // A member is an address.
  requires: ['email_address'],
  delete: true,
}

/** Members of one Mailchimp audience. */
export const mailchimp: App<MailchimpOptions> = {
  name: 'mailchimp',
  title: 'Mailchimp',
  options: Options,
  secrets: ['apiKey', 'accessToken', 'clientSecret', 'webhookSecret', 'webhookKey'],
  // An audience's id is that of no other, wherever its account is.
  account: ({ basePath, audience }) =>
    ['mailchimp', ...(basePath === undefined ? [] : [new URL(basePath).host]), audience].join(' '),
  oauth: mailchimpOAuth,
  connect: (options, context) => connectMailchimp(options, context),
  webhook: ({ webhookSecret, webhookKey, audience }, { now }) =>
    mailchimpWebhook({ signingSecret: webhookSecret, key: webhookKey, audience, now }),
  subscriptions: (options, { now, sleep, signIn }) => {
    const { audience, webhookSecret, webhookKey } = options
    const place = new Place(options, { now, sleep, signIn })
    const account = { place, authorization: authorizationOf(options), audience }
    return mailchimpSubscriptions({ ...account, signIn, webhookSecret, webhookKey, now })
  },
}

export function connectMailchimp(
  options: MailchimpOptions,
  context: ConnectContext,
  tuning: Tuning = {},
): MailchimpConnector {
  return new MailchimpConnector(options, context, tuning)
}

/** What an audience has besides what all have. */
interface Described {
  readonly mergeFields: readonly MergeField[]
  readonly groups: ReadonlyMap<string, Groups>
}

export class MailchimpConnector implements Connector {
  readonly app = 'mailchimp'
  readonly capabilities = CAPABILITIES
  readonly #options: MailchimpOptions
  readonly #client: MailchimpClient
  readonly #reader: Reader
  #selected: readonly string[] | undefined
  /** Asked once in the connector's life; by `check` anew. */
  #described: Promise<Described> | undefined

  constructor(options: MailchimpOptions, context: ConnectContext, tuning: Tuning) {
    this.#options = options
    this.#client = clientOf(options, context, tuning)
    this.#reader = new Reader(this.#client, (signal) => this.#shape(signal))
  }

  select(fields: readonly string[]): void {
    this.#selected = [...new Set(fields)]
  }

  stats(): HttpStats {
    return this.#client.stats()
  }

  async check(signal?: AbortSignal): Promise<ConnectionReport> {
    this.#described = undefined
    const audience = await this.#client.audience(signal)
    const { mergeFields, groups } = await this.#describe(signal)
    const count = (audience.stats?.member_count ?? 0).toLocaleString('en')
    return {
      summary: `audience '${audience.name}', ${count} subscribed members`,
      fields: appFields(mergeFields, groups),
      warnings: this.#warnings(audience.double_optin === true, mergeFields),
    }
  }

  async *pull(cursor: Json | null, signal?: AbortSignal): AsyncGenerator<FeedPage> {
    yield* new Feed(this.#reader, this.#options.audience, signal).pages(cursor)
  }

  async read(ids: readonly string[], signal?: AbortSignal): Promise<ReadAnswer[]> {
    checkBatch(ids.length)
    if (ids.length === 0) return []
    return await this.#reader.read(ids, signal)
  }

  async write(requests: readonly WriteRequest[], signal?: AbortSignal): Promise<WriteOutcome[]> {
    checkBatch(requests.length)
    if (requests.length === 0) return []
    const shape = await this.#shape(signal)
    return await new Batch(this.#reader, shape, this.#options.newMembers, signal).write(requests)
  }

  /** By the address, of which an audience has one member at most: what is there is what the create made, or stood in its way. */
  async find({ fields }: CreateRequest, signal?: AbortSignal): Promise<AppRecord[]> {
    const email = fields['email_address']
    if (typeof email !== 'string' || email.trim() === '') return []
    const seen = await this.#reader.member(email.trim(), signal)
    if (seen === null) await this.#client.audience(signal)
    return seen?.kind === 'member' ? [seen.record] : []
  }

  close(): Promise<void> {
    this.#client.close()
    return Promise.resolve()
  }

  #warnings(doubleOptin: boolean, mergeFields: readonly MergeField[]): string[] {
    const { newMembers, webhookSecret, webhookKey } = this.#options
    const american = mergeFields.filter(({ type, options }) => type === 'phone' && options?.phone_format === 'US')
    return [
      ...(newMembers === 'subscribed' && doubleOptin
        ? ['The audience asks for double opt-in, and newMembers: subscribed passes it by; take newMembers: pending']
        : []),
      ...american.map(
        ({ tag }) => `The field ${tag} takes numbers of the US only: set its format to International in Mailchimp`,
      ),
      ...(webhookSecret === undefined && webhookKey === undefined
        ? ['No webhookSecret: changes are heard at the next poll only']
        : []),
    ]
  }

  /** The fields that records are to have: those selected, or all that the audience has. */
  async #shape(signal: AbortSignal | undefined): Promise<Shape> {
    const selected = this.#selected
    if (selected && !selected.some((name) => name.startsWith(GROUPS))) return { wanted: selected, groups: new Map() }
    const { mergeFields, groups } = await this.#describe(signal)
    return { wanted: selected ?? appFields(mergeFields, groups).map(({ name }) => name), groups }
  }

  /** Asked once for all who wait; what failed is asked anew by the next. */
  async #describe(signal: AbortSignal | undefined): Promise<Described> {
    const found = (this.#described ??= this.#ask(signal))
    try {
      return await found
    } catch (error) {
      if (this.#described === found) this.#described = undefined
      throw error
    }
  }

  async #ask(signal: AbortSignal | undefined): Promise<Described> {
    const mergeFields = await this.#client.mergeFields(signal)
    const categories = await this.#client.categories(signal)
    const groups = await Promise.all(
      categories.map(async ({ id, title }): Promise<[string, Groups]> => {
        const interests = await this.#client.interests(id, signal)
        return [GROUPS + title, { title, names: new Map(interests.map((interest) => [interest.id, interest.name])) }]
      }),
    )
    return { mergeFields, groups: new Map(groups) }
  }
}

function clientOf(options: MailchimpOptions, context: ConnectContext, tuning: Tuning): MailchimpClient {
  const { now, sleep, sharers, pacer, signIn } = context
  const { silence_max_ms, retries_max } = tuning
  const place = new Place(options, { now, sleep, signIn, silence_max_ms, retries_max })
  const account = { place, audience: options.audience, authorization: authorizationOf(options) }
  return new MailchimpClient({ ...account, signIn, now, sleep, sharers, pacer, tuning })
}

/** null where somebody signs in. */
function authorizationOf({ apiKey, accessToken }: MailchimpOptions): string | null {
  if (accessToken !== undefined) return `Bearer ${accessToken}`
  return apiKey === undefined ? null : `Basic ${Buffer.from(`kith:${apiKey}`).toString('base64')}`
}

function checkBatch(size: number): void {
  if (size > LIMITS.batch_max) {
    throw new FailureError({ kind: 'bug', message: `a batch of ${size} is more than Mailchimp's ${LIMITS.batch_max}` })
  }
}
