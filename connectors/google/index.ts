import { createHash } from 'node:crypto'
import { z } from 'zod'
import { FailureError } from '../../engine/core/failure.ts'
import type { Json } from '../../engine/core/json.ts'
import type {
  AppRecord,
  Capabilities,
  ConnectionReport,
  Connector,
  ConnectorStats,
  CreateRequest,
  FeedPage,
  ReadAnswer,
  WriteOutcome,
  WriteRequest,
} from '../../engine/core/ports/connector.ts'
import type { App, ConnectContext } from '../app.ts'
import { secureUrl } from '../oauth-plan.ts'
import { createPacer, type Pacer } from '../pacer.ts'
import { pacerClock } from '../clock.ts'
import { GOOGLE_API, GOOGLE_TOKENS, PeopleClient, type Credentials } from './client.ts'
import { cursorFrom, Feed } from './feed.ts'
import { APP_FIELDS, FIELD_NAMES, groupsOf, itemsOf, textOf, type FieldName } from './fields.ts'
import { Keys } from './find.ts'
import { Groups } from './groups.ts'
import { HeldPersons } from './held.ts'
import { Journal } from './journal.ts'
import { googleOAuth, signInBy } from './oauth.ts'
import { parsePerson, recordOf } from './people.ts'
import { Reader } from './reader.ts'
import { CREATE_MAX, PAGE_MAX, READ_MAX } from './wire.ts'
import { writeBatch } from './writes.ts'

const secret = z.string().min(1)

const Options = z
  .strictObject({
    clientId: z.string().min(1).optional(),
    clientSecret: secret.optional(),
    refreshToken: secret.optional(),
    accessToken: secret.optional(),
    /** Who the tokens belong to: tells several Google accounts apart when tokens are renewed. */
    account: z.string().min(1).optional(),
    /** Registered with the client, where that is one for web apps. */
    redirectUrl: secureUrl.optional(),
    rootUrl: secureUrl.optional(),
    authorizeUrl: secureUrl.optional(),
    tokenUrl: secureUrl.optional(),
  })
  .refine(
    ({ clientId, clientSecret, refreshToken, accessToken }) =>
      accessToken === undefined
        ? clientId !== undefined && clientSecret !== undefined
        : clientId === undefined && clientSecret === undefined && refreshToken === undefined,
    {
      error:
        'give clientId and clientSecret to sign in with: kith connect; or these and a refreshToken; or accessToken alone',
    },
  )
export type GoogleOptions = z.infer<typeof Options>

const CAPABILITIES: Capabilities = {
  deletes: 'feed',
  hints: false,
  createKey: 'search',
  precondition: true,
  times: 'record',
  readBatch_max: READ_MAX,
  writeBatch_max: CREATE_MAX,
  writes_concurrent_max: 1,
  archive: false,
  create: true,
  delete: true,
}

/** "Several minutes", as the docs of connections.list have it, and some more. */
const PROPAGATION_MS = 15 * 60_000
/** What Google allows one user of one project by default is 90 a minute; the rest is left to others who use the project. */
const QUOTA = { requests: 90, interval_ms: 60_000, share: 0.9, concurrent_max: 4 }
const SILENCE_MAX_MS = 60_000
const HELD_BYTES_MAX = 32 * 1024 * 1024
/** The names of custom fields that `check` shows. */
const KEYS_SHOWN_MAX = 20

/** Google Contacts, through the People API v1. */
export const google: App<GoogleOptions> = {
  name: 'google',
  title: 'Google Contacts',
  options: Options,
  secrets: ['clientSecret', 'refreshToken', 'accessToken'],
  account: (options) => `google ${options.rootUrl ?? GOOGLE_API} ${options.account ?? digest(options)}`,
  oauth: (options) => googleOAuth(options, options.tokenUrl ?? GOOGLE_TOKENS),
  connect: (options, context) => connectGoogle(options, context),
}

/** How the client behaves when Google does not; tests make it impatient. */
export interface GoogleTuning {
  readonly propagation_ms?: number
  readonly page_max?: number
  readonly silence_max_ms?: number
  readonly retries_max?: number
  readonly retryPause_ms?: number
  readonly retryAfter_max_ms?: number
  readonly pacer?: Pacer
}

export function connectGoogle(options: GoogleOptions, context: ConnectContext, tuning: GoogleTuning = {}): Google {
  return new Google(options, context, tuning)
}

export class Google implements Connector {
  readonly app = 'google'
  readonly capabilities = CAPABILITIES
  readonly #options: GoogleOptions
  readonly #client: PeopleClient
  readonly #journal: Journal
  readonly #reader: Reader
  readonly #groups: Groups
  readonly #keys: Keys
  readonly #held = new HeldPersons(HELD_BYTES_MAX)
  readonly #page_max: number
  #fields: readonly FieldName[] = FIELD_NAMES
  #mask = maskOf(FIELD_NAMES)
  /** "Mutate requests for the same user should be sent sequentially": each waits for the one before it. */
  #lastWrite: Promise<unknown> = Promise.resolve()

  constructor(options: GoogleOptions, context: ConnectContext, tuning: GoogleTuning) {
    const { propagation_ms = PROPAGATION_MS, page_max = PAGE_MAX, ...http } = tuning
    this.#page_max = page_max
    this.#options = options
    this.#client = new PeopleClient({
      credentials: credentialsOf(options, context, http),
      rootUrl: options.rootUrl ?? GOOGLE_API,
      now: context.now,
      sleep: context.sleep,
      pacer: context.pacer ?? createPacer({ ...QUOTA, ...pacerClock(context) }),
      silence_max_ms: SILENCE_MAX_MS,
      ...http,
    })
    this.#journal = new Journal(propagation_ms, context.now)
    this.#reader = new Reader(this.#client, this.#journal)
    this.#groups = new Groups(this.#client, context.now)
    this.#keys = new Keys(this.#client, propagation_ms, page_max, context.now)
  }

  select(fields: readonly string[]): void {
    const roots = new Set(fields.map((field) => field.split('.')[0]))
    this.#fields = FIELD_NAMES.filter((name) => roots.has(name))
    this.#mask = maskOf(this.#fields)
    this.#held.clear()
  }

  stats(): ConnectorStats {
    const { requests, bytesSent, bytesReceived } = this.#client.stats()
    return { requests, bytesSent, bytesReceived }
  }

  async check(signal?: AbortSignal): Promise<ConnectionReport> {
    const page = await this.#client.connections({ personFields: 'metadata,userDefined', pageSize: PAGE_MAX }, signal)
    await this.#groups.list(signal)
    const keys = new Set(
      (page.connections ?? []).flatMap((raw) => {
        const parsed = parsePerson(raw)
        return parsed?.kind === 'person' ? itemsOf(parsed.person, 'userDefined').map((item) => textOf(item, 'key')) : []
      }),
    )
    const shown = [...keys].filter(Boolean).sort().slice(0, KEYS_SHOWN_MAX)
    const contacts = (page.totalItems ?? page.connections?.length ?? 0).toLocaleString('en')
    const warnings =
      this.#options.accessToken === undefined
        ? []
        : ['An accessToken lasts an hour: sign in with kith connect for anything longer']
    return {
      summary: `Google Contacts, ${contacts} contacts, ${this.#groups.names.size} labels`,
      fields: APP_FIELDS.map((field) =>
        field.name === 'userDefined' && shown.length > 0
          ? { ...field, label: `${field.label}: ${shown.join(', ')}` }
          : field,
      ),
      warnings,
    }
  }

  async *pull(cursor: Json | null, signal?: AbortSignal): AsyncGenerator<FeedPage> {
    yield* new Feed(this.#parts, signal).pages(cursorFrom(cursor))
  }

  async read(ids: readonly string[], signal?: AbortSignal): Promise<ReadAnswer[]> {
    checkBatch(ids.length, READ_MAX)
    const fetched = await this.#reader.fetch(ids, this.#mask, signal)
    const answers = [...fetched.values()]
    if (this.#fields.includes('memberships')) {
      await this.#groups.learn(
        answers.flatMap((one) => (one.kind === 'person' ? groupsOf(one.person) : [])),
        signal,
      )
    }
    return answers.map((one) => {
      if (one.kind !== 'person') return one
      this.#held.remember(one.person)
      return { kind: 'record', record: recordOf(one.person, this.#fields, this.#groups.names) }
    })
  }

  async write(requests: readonly WriteRequest[], signal?: AbortSignal): Promise<WriteOutcome[]> {
    checkBatch(requests.length, CREATE_MAX)
    if (requests.length === 0) return []
    const work = (): Promise<WriteOutcome[]> => writeBatch({ ...this.#parts, keys: this.#keys }, requests, signal)
    const done = this.#lastWrite.then(work)
    this.#lastWrite = done.catch(() => undefined)
    return await done
  }

  async find(create: CreateRequest, signal?: AbortSignal): Promise<AppRecord[]> {
    const found = await this.#keys.carrying(create.key, this.#mask, signal)
    if (this.#fields.includes('memberships')) await this.#groups.learn(found.flatMap(groupsOf), signal)
    return found.map((person) => {
      // From here on it is as if the create's own answer had come.
      this.#journal.wrote(person, true)
      return recordOf(person, this.#fields, this.#groups.names)
    })
  }

  close(): Promise<void> {
    this.#client.close()
    return Promise.resolve()
  }

  get #parts() {
    return {
      client: this.#client,
      reader: this.#reader,
      groups: this.#groups,
      journal: this.#journal,
      held: this.#held,
      fields: this.#fields,
      mask: this.#mask,
      page_max: this.#page_max,
    }
  }
}

function maskOf(fields: readonly FieldName[]): string {
  return ['metadata', ...fields].sort().join(',')
}

function credentialsOf(options: GoogleOptions, context: ConnectContext, tuning: GoogleTuning): Credentials {
  const { refreshToken, accessToken } = options
  const { connection, now, sleep, signIn } = context
  if (accessToken !== undefined) return { accessToken }
  if (refreshToken === undefined && signIn) return { signIn }
  if (refreshToken === undefined) {
    throw new FailureError({
      kind: 'auth',
      message: `Nobody has signed in to Google Contacts for ${connection}`,
      advice: `Sign in with: kith connect ${connection}`,
    })
  }
  const { silence_max_ms, retries_max, retryPause_ms } = tuning
  return {
    signIn: signInBy(refreshToken, options, options.tokenUrl ?? GOOGLE_TOKENS, {
      connection,
      now,
      sleep,
      ...(silence_max_ms === undefined ? {} : { silence_max_ms }),
      ...(retries_max === undefined ? {} : { retries_max }),
      ...(retryPause_ms === undefined ? {} : { retryPause_ms }),
    }),
  }
}

/** Tells accounts apart without showing a secret: tokens are long and random, so that their digest gives nothing away. */
function digest({ clientId, refreshToken, accessToken }: GoogleOptions): string {
  return createHash('sha256')
    .update(JSON.stringify([clientId, refreshToken ?? accessToken]))
    .digest('hex')
    .slice(0, 16)
}

function checkBatch(length: number, max: number): void {
  if (length > max) throw new FailureError({ kind: 'bug', message: `a batch of ${length} is longer than ${max}` })
}
