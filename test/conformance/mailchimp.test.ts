import { connectMailchimp } from '../../connectors/mailchimp/index.ts'
import { startMailchimpSimulator, type SimulatorOptions } from '../../connectors/mailchimp/simulator.ts'
import { isRefusal, type MemberInput, type SimulatedMember } from '../../connectors/mailchimp/simulator-audience.ts'
import type { Pacer } from '../../connectors/pacer.ts'
import type { Json, JsonObject } from '../../engine/core/json.ts'
import type { Capabilities } from '../../engine/core/ports/connector.ts'
import { FAULTS, type World } from './harness.ts'
import { describeConnector } from './suite.ts'

const CAPABILITIES: Capabilities = {
  deletes: 'feed',
  hints: false,
  createKey: 'search',
  precondition: false,
  times: 'record',
  readBatch_max: 500,
  writeBatch_max: 500,
  writes_concurrent_max: 2,
  archive: true,
  erase: true,
  create: true,
  requires: ['email_address'],
  delete: true,
}

const KEY = '0123456789abcdef0123456789abcdef-us6'
const AUDIENCE = '9e67587f52'
const HOUR_MS = 60 * 60_000
const NAMES = ['Ada', 'Żółć', '李', "D'Arcy", 'محمد']
const CATEGORIES = [
  {
    id: 'c1',
    title: 'Topics',
    interests: [
      { id: 'i1', name: 'Engines' },
      { id: 'i2', name: 'Poetry' },
    ],
  },
]
/** The limits have tests of their own. */
const unpaced: Pacer = { run: (work) => work(), cool: () => undefined }

function sample(n: number): JsonObject {
  return {
    email_address: `person.${n}@example.org`,
    FNAME: `${NAMES[n % NAMES.length]}`,
    LNAME: n % 3 === 1 ? 'von, und; zu' : `Lovelace ${n}`,
    COMPANY: `No. ${n} "quoted"`,
    PHONE: n % 2 === 0 ? `+49 30 ${1000000 + n}` : null,
    BIRTHDAY: n % 4 === 2 ? '04/12' : null,
    ADDRESS: n % 3 === 0 ? { addr1: `${n} Main St`, city: 'Köln', state: 'NRW', zip: '50667', country: 'DE' } : null,
    tags: n % 2 === 0 ? [`tag ${n}`, 'vip'] : null,
    'groups.Topics': n % 3 === 0 ? ['Engines'] : ['Engines', 'Poetry'],
  }
}

/** The fields of a record as Mailchimp's own pages would send them. */
function typed(fields: JsonObject): MemberInput {
  const { email_address: email, tags, 'groups.Topics': topics, ...merge } = fields
  const list = (value: Json | undefined): string[] => (value ?? []) as string[]
  return {
    ...(email === undefined ? {} : { email_address: email as string }),
    ...(tags === undefined ? {} : { tags: list(tags) }),
    ...(topics === undefined
      ? {}
      : { interests: { i1: list(topics).includes('Engines'), i2: list(topics).includes('Poetry') } }),
    merge_fields: Object.fromEntries(Object.entries(merge).map(([tag, value]) => [tag, value ?? ''])),
  }
}

/** What people see of a member. */
function shown({ email, mergeFields }: SimulatedMember): JsonObject {
  const merge = ['FNAME', 'LNAME', 'COMPANY', 'PHONE', 'BIRTHDAY'].map((tag): [string, Json] => [
    tag,
    (mergeFields.get(tag) ?? null) as Json,
  ])
  return { email_address: email, ...Object.fromEntries(merge) }
}

async function start(options: Partial<SimulatorOptions>): Promise<World> {
  const simulator = await startMailchimpSimulator({
    apiKey: KEY,
    audience: AUDIENCE,
    categories: CATEGORIES,
    ...options,
  })
  const { audience, faults } = simulator
  const done = (result: ReturnType<typeof audience.add>): string => {
    if (isRefusal(result)) throw new Error(result.detail)
    return result.contactId
  }
  return {
    connector: connectMailchimp(
      { audience: AUDIENCE, apiKey: KEY, newMembers: 'transactional', basePath: simulator.url },
      { connection: 'newsletter', baseDir: '.', now: Date.now },
      { retries_max: 0, pacer: unpaced, list_max: 100 },
    ),
    human: {
      add: (fields) => done(audience.add({ status: 'subscribed', ...typed(fields) }, 'admin')),
      edit: (id, fields) => void done(audience.update(audience.get(id), typed(fields), 'admin')),
      remove: (id) => void audience.archive(id, 'admin'),
      bin: () => audience.archived().map((member) => member.contactId),
      list: () => audience.live().map((member) => ({ id: member.contactId, fields: shown(member) })),
    },
    faults: {
      loseNextAnswer: () => void (faults.lostAnswers = 1),
      rateLimit: (retryAfter_ms) => {
        const retry = retryAfter_ms === undefined ? {} : { retryAfter: String(retryAfter_ms / 1000) }
        faults.fail = { status: 429, times: 1, ...retry }
      },
      serverError: () => void (faults.fail = { status: 500, times: 1 }),
      partialFailure: () => void (faults.partial = true),
      refuseCredentials: () => void (faults.keyRevoked = true),
      // Nothing expires a cursor but its age: after a day everything is listed once more.
      expireCursor: () => simulator.advance(25 * HOUR_MS),
      truncateListing: () => void (faults.cut = 0.5),
      breakRecord: (id) => {
        audience.breakMember(id, true)
        return () => audience.breakMember(id, false)
      },
    },
    clear: () =>
      void Object.assign(faults, { lostAnswers: 0, fail: null, cut: null, keyRevoked: false, partial: false }),
    settle: () => simulator.advance(60_000),
    calls: () => simulator.requests.length,
    stop: () => simulator.close(),
  }
}

const accounts: readonly (readonly [string, Partial<SimulatorOptions>])[] = [
  ['archived members are listed only when asked for', {}],
  ['archived members are listed among the others, and a listing lags', { archivedShown: true, lag_ms: 5000 }],
]

for (const [name, options] of accounts) {
  describeConnector(`mailchimp (${name})`, {
    capabilities: CAPABILITIES,
    faults: FAULTS,
    start: () => start(options),
    sample,
    editable: 'COMPANY',
    bystander: 'FNAME',
    refused: () => ({ ...sample(1), email_address: 'no address at all', COMPANY: 'a private word' }),
    unique: true,
    many: 250,
    secrets: [KEY, Buffer.from(`kith:${KEY}`).toString('base64')],
  })
}
