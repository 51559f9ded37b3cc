import { connectZendesk } from '../../connectors/zendesk/index.ts'
import { startZendeskSimulator, type ZendeskSimulator } from '../../connectors/zendesk/simulator.ts'
import type { UserInput } from '../../connectors/zendesk/simulator-users.ts'
import type { Json, JsonObject } from '../../engine/core/json.ts'
import type { Capabilities } from '../../engine/core/ports/connector.ts'
import { FAULTS, type World } from './harness.ts'
import { describeConnector } from './suite.ts'

const CAPABILITIES: Capabilities = {
  deletes: 'feed',
  hints: false,
  createKey: 'id',
  precondition: false,
  times: 'record',
  readBatch_max: 100,
  writeBatch_max: 100,
  writes_concurrent_max: 4,
  archive: false,
  erase: true,
  create: true,
  delete: true,
  merge: true,
}

const EMAIL = 'admin@acme.example'
const TOKEN = 'open sesame token'

/** No pauses: what a test waits for is the account's clock, which it turns itself. */
const EAGER = {
  run: <T>(work: () => Promise<T>): Promise<T> => work(),
  cool: () => undefined,
}

function sample(n: number): JsonObject {
  const given = ['Ada', 'Żółć', '李', "D'Arcy", 'محمد'][n % 5] ?? ''
  return {
    name: `${given} ${n % 3 === 1 ? 'von, und; zu' : 'Lovelace'} ${n}`,
    details: `No. ${n} "quoted"`,
    notes: n % 4 === 2 ? 'two\nlines' : null,
    emails:
      n % 3 === 0
        ? [
            { value: `person.${n}@example.org`, pref: true },
            { value: `second.${n}@example.org`, pref: false },
          ]
        : [{ value: `person.${n}@example.org`, pref: true }],
    phones: n % 2 === 0 ? [{ value: `+4930${1_000_000 + n}`, pref: true }] : null,
    tags: n % 2 === 0 ? ['vip', `tag_${n}`] : null,
    'user_fields.tier': n % 2 === 0 ? 'gold' : null,
  }
}

function inputOf(fields: JsonObject): UserInput {
  const { name, details, notes, tags, emails, phones } = fields
  const values = (list: Json | undefined): string[] =>
    (Array.isArray(list) ? list : []).map((item) => String((item as JsonObject)['value']))
  return {
    ...(name === undefined ? {} : { name: String(name ?? '') }),
    ...(details === undefined ? {} : { details: details as string | null }),
    ...(notes === undefined ? {} : { notes: notes as string | null }),
    ...(tags === undefined ? {} : { tags: (tags ?? []) as string[] }),
    ...(emails === undefined ? {} : { identities: values(emails).map((value) => ({ type: 'email', value })) }),
    ...(phones === undefined ? {} : { phone: values(phones)[0] ?? '' }),
    ...('user_fields.tier' in fields ? { user_fields: { tier: fields['user_fields.tier'] } } : {}),
  }
}

async function start(mergedKeepEmail: boolean): Promise<World> {
  const simulator = await startZendeskSimulator({ email: EMAIL, token: TOKEN })
  simulator.users.addField({ key: 'tier', type: 'text', title: 'Tier' })
  simulator.users.mergedKeepEmail = mergedKeepEmail
  Object.assign(simulator.faults, { page_max: 100, exports_max: Infinity, requests_max: 100_000, jobPolls: 1 })
  const { faults, users } = simulator
  return {
    connector: connectZendesk(
      { subdomain: 'acme', email: EMAIL, token: TOKEN, baseUrl: simulator.url },
      { connection: 'desk', baseDir: '.', now: Date.now },
      { retries_max: 0, pollPauses_ms: [1], pacer: EAGER, exports: EAGER },
    ),
    human: {
      add: (fields) => String(users.add({ name: '-', ...inputOf(fields) }).id),
      edit: (id, fields) => void users.edit(Number(id), inputOf(fields)),
      remove: (id) => void users.remove(Number(id)),
      bin: () => users.all().flatMap((user) => (user.active ? [] : [String(user.id)])),
      merge: (loser, winner) => String(users.merge(Number(loser), Number(winner)).id),
      list: () => listed(simulator),
    },
    faults: {
      loseNextAnswer: () => void (faults.lostAnswers = 1),
      rateLimit: (retryAfter_ms) => {
        const retry = retryAfter_ms === undefined ? {} : { retryAfter: String(retryAfter_ms / 1000) }
        faults.fail = { status: 429, times: 1, ...retry }
      },
      serverError: () => void (faults.fail = { status: 500, times: 1 }),
      partialFailure: () => void (faults.failedRows = 1),
      refuseCredentials: () => void (faults.fail = { status: 401, times: Infinity }),
      expireCursor: () => simulator.expireCursors(),
      truncateListing: () => void (faults.cutAnswers = 1),
      breakRecord: (id) => {
        const user = users.find(Number(id))
        faults.unreadable.add(user.id)
        users.edit(user.id, { details: 'touched' })
        return () => {
          faults.unreadable.delete(user.id)
          users.edit(user.id, { details: 'mended' })
        }
      },
    },
    clear: () => {
      Object.assign(faults, { lostAnswers: 0, fail: null, cutAnswers: 0, failedRows: 0 })
    },
    settle: () => simulator.advance(61_000),
    calls: () => simulator.traffic.length,
    stop: () => simulator.close(),
  }
}

function listed({ users }: ZendeskSimulator): { id: string; fields: JsonObject }[] {
  return users
    .all()
    .filter(({ active, role }) => active && role === 'end-user')
    .map(({ id, name, details, notes }) => ({ id: String(id), fields: { name, details, notes } }))
}

for (const [name, mergedKeepEmail] of [
  ['zendesk', false],
  ['zendesk, where a merged user still shows its address', true],
] as const) {
  describeConnector(name, {
    capabilities: CAPABILITIES,
    faults: FAULTS,
    start: () => start(mergedKeepEmail),
    sample,
    editable: 'details',
    bystander: 'name',
    multiline: 'notes',
    unique: true,
    refused: () => ({
      ...sample(1),
      details: 'someone without a right address',
      emails: [{ value: 'no address at all' }],
    }),
    merges: mergedKeepEmail,
    many: 250,
    secrets: [TOKEN, Buffer.from(`${EMAIL}/token:${TOKEN}`).toString('base64')],
  })
}
