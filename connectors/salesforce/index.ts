import { createHash } from 'node:crypto'
import { z } from 'zod'
import { FailureError, failureFrom } from '../../engine/core/failure.ts'
import type { Json } from '../../engine/core/json.ts'
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
import type { App, ConnectContext, Subscriptions } from '../app.ts'
import type { HttpStats } from '../http.ts'
import { grantOption, oauthOptions, secureUrl } from '../oauth-plan.ts'
import { SalesforceClient, type Credentials, type Tuning } from './client.ts'
import { cursorFrom } from './cursor.ts'
import { Feed } from './feed.ts'
import { plural, Schema } from './fields.ts'
import { isMergeable, merge } from './merges.ts'
import { SALESFORCE_LOGIN, salesforceOAuth } from './oauth.ts'
import { findCreated, readRows, type ReadParts } from './read.ts'
import { count, queryPath } from './soql.ts'
import { channelsOf, ChangeStream, onlyHints, type StreamPatience } from './streaming.ts'
import { salesforceWebhook } from './webhook.ts'
import { Description, LIMITS, QueryAnswer, type SObject, type Subrequest } from './wire.ts'
import { Batch } from './writes.ts'

const SOBJECT: { readonly [name in 'contact' | 'lead']: SObject } = { contact: 'Contact', lead: 'Lead' }

const Options = z
  .strictObject({
    /** Kept fresh by someone else; goes with `instanceUrl`. */
    accessToken: z.string().min(1).optional(),
    /** Where the org's API is: https://acme.my.salesforce.com. A sign-in tells it by itself. */
    instanceUrl: secureUrl.optional(),
    ...oauthOptions,
    ...grantOption,
    /** Where people sign in: test.salesforce.com for a sandbox, or the org's own address, which client credentials need. */
    loginUrl: secureUrl.optional(),
    /** What people are here. New people become the first of these. */
    objects: z
      .array(z.enum(['contact', 'lead']))
      .min(1)
      .refine((objects) => new Set(objects).size === objects.length, { error: 'each of them once' })
      .default(['contact', 'lead']),
    /** A unique text field of these objects that takes Kith's own key: Kith_Key__c. */
    keyField: z
      .string()
      .regex(/^[A-Za-z]\w*__c$/, { error: "a custom field's API name, which ends in __c" })
      .optional(),
    /** Whether new records go past duplicate rules that only warn. */
    duplicateRules: z.enum(['obey', 'overrule']).default('obey'),
    /** The part of the org's API calls in 24 hours, whoever makes them, beyond which Kith waits. */
    usageMax: z.number().gt(0).max(1).default(0.8),
    /** Whether changes are heard at once: of the objects' own channels, or of a channel that the org has made. */
    changeDataCapture: z
      .union([
        z.boolean(),
        z.string().regex(/^(ChangeEvents|\w+__chn)$/, { error: 'true, or the name of a channel: Kith__chn' }),
      ])
      .default(false),
    /** Outbound messages are told from forged ones by these two. */
    organizationId: z
      .string()
      .regex(/^00D([0-9A-Za-z]{12}|[0-9A-Za-z]{15})$/, { error: "the org's id, which begins with 00D" })
      .optional(),
    webhookToken: z
      .string()
      .regex(/^[\w-]{16,}$/, { error: 'at least 16 letters, digits, - or _' })
      .optional(),
  })
  .refine(
    ({ accessToken, instanceUrl, clientId, clientSecret }) =>
      accessToken === undefined
        ? clientId !== undefined && clientSecret !== undefined
        : instanceUrl !== undefined && clientId === undefined && clientSecret === undefined,
    { error: 'give clientId and clientSecret to sign in with: kith connect; or accessToken and instanceUrl' },
  )
  .refine(
    ({ grant, loginUrl, instanceUrl }) =>
      grant !== 'client_credentials' || loginUrl !== undefined || instanceUrl !== undefined,
    { error: "client credentials need loginUrl: the org's own address, https://....my.salesforce.com" },
  )
export type SalesforceOptions = z.infer<typeof Options>

const CAPABILITIES: Capabilities = {
  deletes: 'feed',
  hints: false,
  createKey: 'search',
  precondition: false,
  times: 'record',
  readBatch_max: LIMITS.collection_max,
  writeBatch_max: LIMITS.collection_max,
  writes_concurrent_max: 2,
  archive: true,
  create: true,
  delete: true,
  merge: true,
}

/** Contacts and leads of a Salesforce org. */
export const salesforce: App<SalesforceOptions> = {
  name: 'salesforce',
  title: 'Salesforce',
  options: Options,
  secrets: ['accessToken', 'clientSecret', 'webhookToken'],
  account: (options) => `salesforce ${accountOf(options)}`,
  oauth: salesforceOAuth,
  connect: (options, context) => connectSalesforce(options, context),
  webhook: ({ organizationId, webhookToken, changeDataCapture }, { connection }) => {
    if (changeDataCapture !== false && webhookToken === undefined) return null
    if (organizationId === undefined || webhookToken === undefined) {
      throw new FailureError({
        kind: 'permanent',
        message: `${connection}: outbound messages cannot be told from forged ones without organizationId and webhookToken`,
        advice: 'Put both into kith.yaml',
      })
    }
    return salesforceWebhook({ organizationId, token: webhookToken })
  },
  subscriptions: (options) => byHandOnly(options),
}

export function connectSalesforce(
  options: SalesforceOptions,
  context: ConnectContext,
  tuning: Tuning & StreamPatience = {},
): SalesforceConnector {
  return new SalesforceConnector(options, context, tuning)
}

export class SalesforceConnector implements Connector {
  readonly app = 'salesforce'
  readonly capabilities: Capabilities
  /** Only where Kith has no key of its own in the records. */
  readonly find?: (create: CreateRequest, signal?: AbortSignal) => Promise<AppRecord[]>
  /** Only where changes are captured. */
  readonly watch?: NonNullable<Connector['watch']>
  readonly #options: SalesforceOptions
  readonly #streams = new Set<ChangeStream>()
  readonly #objects: readonly SObject[]
  readonly #client: SalesforceClient
  readonly #now: () => number
  #selected: readonly string[] | undefined
  /** The org's own description of its objects, read once in the connector's life; by `check` anew. */
  #schema: Promise<Schema> | undefined

  constructor(options: SalesforceOptions, context: ConnectContext, tuning: Tuning & StreamPatience) {
    const { usageMax, keyField, objects } = options
    const { now, sleep, sharers, pacer } = context
    this.#options = options
    this.#objects = objects.map((name) => SOBJECT[name])
    this.#now = now
    const credentials = credentialsOf(options, context)
    this.#client = new SalesforceClient({ credentials, usageMax, now, sleep, sharers, pacer, tuning })
    this.capabilities = keyField === undefined ? CAPABILITIES : { ...CAPABILITIES, createKey: 'id' }
    if (keyField === undefined)
      this.find = async (create, signal) => findCreated(await this.#parts(signal), create, signal)
    if (options.changeDataCapture !== false) {
      const channels = channelsOf(this.#objects, options.changeDataCapture)
      this.watch = (hint, listener = onlyHints(hint)) => {
        const parts = { client: this.#client, objects: this.#objects, channels, now, sleep, patience: tuning }
        const stream = new ChangeStream({ ...parts, hint, listener })
        this.#streams.add(stream)
        return Promise.resolve(async () => {
          this.#streams.delete(stream)
          await stream.stop()
        })
      }
    }
  }

  select(fields: readonly string[]): void {
    this.#selected = [...new Set(fields)]
  }

  stats(): HttpStats {
    return this.#client.stats()
  }

  async check(signal?: AbortSignal): Promise<ConnectionReport> {
    const counts = this.#objects.map((object): Subrequest => {
      const path = queryPath(count(object, 'IsDeleted = false'), false)
      return { method: 'GET', path, referenceId: `count${object}` }
    })
    const { schema, composite } = await this.#describe(counts, signal)
    this.#schema = Promise.resolve(schema)
    const found = this.#objects.map((object) => {
      const { totalSize } = this.#client.partOf(composite, `count${object}`, QueryAnswer)
      return `${totalSize.toLocaleString('en')} ${plural(object)}`
    })
    return {
      summary: `Salesforce org with ${found.join(' and ')}`,
      fields: schema.appFields(),
      warnings: this.#warnings(),
    }
  }

  async *pull(cursor: Json | null, signal?: AbortSignal): AsyncGenerator<FeedPage> {
    const parts = await this.#parts(signal)
    try {
      yield* new Feed(parts, this.#now, signal).pages(cursorFrom(cursor, this.#objects, this.#now()))
    } catch (error) {
      // A field that is no longer there, or no longer ours to see: the next pass asks what there is.
      if (failureFrom(error).code === 'INVALID_FIELD') this.#schema = undefined
      throw error
    }
  }

  async read(ids: readonly string[], signal?: AbortSignal): Promise<ReadAnswer[]> {
    checkBatch(ids.length)
    return ids.length === 0 ? [] : await readRows(await this.#parts(signal), ids, signal)
  }

  async write(requests: readonly WriteRequest[], signal?: AbortSignal): Promise<WriteOutcome[]> {
    checkBatch(requests.length)
    if (requests.length === 0) return []
    const parts = await this.#parts(signal)
    const overrulesDuplicates = this.#options.duplicateRules === 'overrule'
    return await new Batch({ ...parts, overrulesDuplicates, now: this.#now }, signal).write(requests)
  }

  mergeable(id: string, into: string): boolean {
    return isMergeable(id, into)
  }

  async merge(request: MergeRequest, signal?: AbortSignal): Promise<MergeOutcome> {
    return await merge(await this.#parts(signal), request, this.#now, signal)
  }

  async close(): Promise<void> {
    await Promise.all([...this.#streams].map((stream) => stream.stop()))
    this.#client.close()
  }

  async #parts(signal: AbortSignal | undefined): Promise<ReadParts> {
    const schema = await this.#knownSchema(signal)
    // Without a mapping, all that the org has.
    const fields = this.#selected ?? schema.appFields().map(({ name }) => name)
    return { client: this.#client, schema, fields }
  }

  /** One request for all who wait; a failed one is tried anew by the next. */
  async #knownSchema(signal: AbortSignal | undefined): Promise<Schema> {
    const asked = (this.#schema ??= this.#describe([], signal).then(({ schema }) => schema))
    try {
      return await asked
    } catch (error) {
      if (this.#schema === asked) this.#schema = undefined
      throw error
    }
  }

  async #describe(more: readonly Subrequest[], signal: AbortSignal | undefined) {
    const requests = this.#objects.map((object): Subrequest => {
      return { method: 'GET', path: `/sobjects/${object}/describe`, referenceId: `describe${object}` }
    })
    const composite = await this.#client.composite([...requests, ...more], false, signal)
    const descriptions = this.#objects.map((object) => this.#client.partOf(composite, `describe${object}`, Description))
    const { keyField } = this.#options
    const lacking = descriptions.filter(({ fields }) => !hasKey(fields, keyField)).map(({ name }) => name)
    if (keyField !== undefined && lacking.length > 0) throw new FailureError(noKeyField(keyField, lacking))
    return { schema: new Schema(this.#objects, descriptions, keyField), composite }
  }

  #warnings(): string[] {
    const { keyField, organizationId, webhookToken, changeDataCapture, usageMax } = this.#options
    const warnings: string[] = []
    if (keyField === undefined) {
      warnings.push('No keyField: a create whose answer is lost is found again by e-mail and last name')
    }
    if (changeDataCapture === false && (organizationId === undefined || webhookToken === undefined)) {
      warnings.push('No changeDataCapture, and no webhookToken: changes are heard at the next poll only')
    }
    const { usage } = this.#client
    if (usage && usage.used >= usage.total * usageMax) {
      warnings.push(`The org has used ${usage.used} of its ${usage.total} API calls of 24 hours: Kith waits`)
    }
    return warnings
  }
}

function credentialsOf(options: SalesforceOptions, { connection, signIn }: ConnectContext): Credentials {
  const { accessToken, instanceUrl } = options
  if (accessToken !== undefined && instanceUrl !== undefined) return { accessToken, instanceUrl }
  if (signIn) return { signIn, instanceUrl }
  throw new FailureError({
    kind: 'auth',
    message: `Nobody has signed in to Salesforce for ${connection}`,
    advice: `Sign in with: kith connect ${connection}`,
  })
}

/** The org, as far as the options name it; a sign-in may be for any. */
function accountOf({ organizationId, instanceUrl, loginUrl, clientId }: SalesforceOptions): string {
  if (organizationId !== undefined) return organizationId.slice(0, 15)
  if (instanceUrl !== undefined) return new URL(instanceUrl).host
  const client = createHash('sha256')
    .update(clientId ?? '')
    .digest('hex')
    .slice(0, 16)
  return `${new URL(loginUrl ?? SALESFORCE_LOGIN).host} client ${client}`
}

function hasKey(fields: Description['fields'], keyField: string | undefined): boolean {
  const field = fields.find(({ name }) => name === keyField)
  return field?.unique === true && field.type === 'string' && field.createable === true
}

function noKeyField(keyField: string, lacking: readonly string[]) {
  return {
    kind: 'permanent' as const,
    code: 'KEY-FIELD',
    message: `${lacking.join(' and ')} in Salesforce: no text field ${keyField} that is unique and that Kith's user may write`,
    advice: `Make ${keyField} there (Text, 64 characters, unique, external id) and let the user edit it, or take keyField: out of kith.yaml; then run: kith check`,
  }
}

/** Both ways of being told are parts of an org's setup, which its API for records does not reach. */
function byHandOnly({ objects, changeDataCapture, webhookToken }: SalesforceOptions): Subscriptions {
  const titles = objects.map((object) => SOBJECT[object])
  const report: Subscriptions['list'] = ({ url }) => {
    const messages = titles.map(
      (title) =>
        `In Setup, make an outbound message for ${title} (field Id, no session id) to ${url}/ with the webhookToken of kith.yaml at the end, and a flow that sends it whenever a ${title.toLowerCase()} is created or updated`,
    )
    const capture =
      typeof changeDataCapture === 'string'
        ? `In Salesforce, have the channel ${changeDataCapture} carry the change events of ${titles.join(' and ')}`
        : `In Setup, Change Data Capture, select ${titles.join(' and ')}`
    const captures = changeDataCapture === false ? [] : [capture]
    const byHand = captures.length > 0 && webhookToken === undefined ? captures : [...captures, ...messages]
    return Promise.resolve({ subscriptions: [], byHand })
  }
  return { list: report, sync: report }
}

function checkBatch(size: number): void {
  if (size > LIMITS.collection_max) {
    throw new FailureError({
      kind: 'bug',
      message: `a batch of ${size} is more than Salesforce's ${LIMITS.collection_max}`,
    })
  }
}
