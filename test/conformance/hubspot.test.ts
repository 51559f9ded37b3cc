import { connectHubSpot } from '../../connectors/hubspot/index.ts'
import { startHubSpotSimulator, type SimulatorOptions } from '../../connectors/hubspot/simulator.ts'
import { isRefusal, type SimulatedContact } from '../../connectors/hubspot/simulator-contacts.ts'
import type { Pacer } from '../../connectors/pacer.ts'
import type { Json, JsonObject } from '../../engine/core/json.ts'
import type { Capabilities } from '../../engine/core/ports/connector.ts'
import { FAULTS, type World } from './harness.ts'
import { describeConnector } from './suite.ts'

const CAPABILITIES: Capabilities = {
  deletes: 'feed',
  hints: true,
  createKey: 'search',
  precondition: false,
  times: 'field',
  readBatch_max: 100,
  writeBatch_max: 100,
  writes_concurrent_max: 2,
  archive: true,
  erase: true,
  create: true,
  delete: true,
  merge: true,
}

const TOKEN = 'pat-eu1-0123-correct-horse'
const DAY_MS = 24 * 60 * 60_000
const NAMES = ['Ada', 'Żółć', '李', "D'Arcy", 'محمد']
/** The limits have tests of their own. */
const unpaced: Pacer = { run: (work) => work(), cool: () => undefined }

function sample(n: number): JsonObject {
  return {
    firstname: `${NAMES[n % NAMES.length]}`,
    lastname: n % 3 === 1 ? 'von und zu' : `Lovelace ${n}`,
    jobtitle: `No. ${n} "quoted"`,
    message: n % 4 === 2 ? 'two\nlines' : null,
    phone: n % 2 === 0 ? `+49 30 ${1000000 + n}` : null,
    'email.all': [`person.${n}@example.org`, ...(n % 3 === 0 ? [`p${n}@example.net`] : [])],
  }
}

/** What people see of a contact. */
function shown({ properties }: SimulatedContact): JsonObject {
  return Object.fromEntries(
    ['firstname', 'lastname', 'jobtitle', 'message', 'phone'].map((name) => [name, properties.get(name) ?? null]),
  )
}

const LISTS = 'lists.static'
/** What a mapping with lists selects; without one, lists are not read. */
const SELECTED = ['firstname', 'lastname', 'jobtitle', 'message', 'phone', 'email.all', LISTS, 'lists.active']

function sampleInLists(n: number): JsonObject {
  return { ...sample(n), [LISTS]: [['Customers', 'Friends'], ['Friends'], null][n % 3] ?? null }
}

function typed(fields: JsonObject): { [name: string]: string } {
  const text = (value: Json | undefined): string => (typeof value === 'string' ? value : '')
  return Object.fromEntries(
    Object.entries(fields).flatMap(([name, value]): [string, string][] => {
      if (name === LISTS) return []
      if (name !== 'email.all') return [[name, text(value)]]
      const [primary = '', ...others] = value as string[]
      return [
        ['email', primary],
        ['hs_additional_emails', others.join(';')],
      ]
    }),
  )
}

interface Options extends Partial<SimulatorOptions> {
  readonly withLists?: boolean
}

async function start({ withLists = false, ...options }: Options): Promise<World> {
  let ahead_ms = 0
  const now = (): number => Date.now() + ahead_ms
  const simulator = await startHubSpotSimulator({ token: TOKEN, now, ...options })
  const { contacts, lists, faults } = simulator
  /** A human puts the contact into these lists, and takes it out of all others. */
  const sort = (id: string, names: Json | undefined): string => {
    if (names === undefined) return id
    const wanted = (names ?? []) as string[]
    for (const name of wanted) lists.join(lists.named(name) ?? lists.add(name), id)
    for (const list of lists.all) if (!wanted.includes(list.name)) lists.leave(list, id)
    return id
  }
  const done = (result: ReturnType<typeof contacts.create>): string => {
    if (isRefusal(result)) throw new Error(result.message)
    return result.id
  }
  const connector = connectHubSpot(
    { token: TOKEN, basePath: simulator.url },
    { connection: 'crm', baseDir: '.', now },
    { retries_max: 0, searchLag_ms: 0, pacers: { requests: unpaced, searches: unpaced } },
  )
  if (withLists) connector.select(SELECTED)
  return {
    connector,
    human: {
      add: (fields) => sort(done(contacts.create(typed(fields), 'CRM_UI')), fields[LISTS]),
      edit: (id, fields) => void sort(done(contacts.update(id, typed(fields), 'CRM_UI')), fields[LISTS]),
      remove: (id) => contacts.archive(id),
      bin: () => contacts.archived().map(({ id }) => id),
      merge: (loser, winner) => contacts.merge(winner, loser).id,
      list: () =>
        contacts.live().map((contact) => {
          const names = lists.of(contact.id)
          const inLists = withLists ? { [LISTS]: names.length === 0 ? null : names } : {}
          return { id: contact.id, fields: { ...shown(contact), ...inLists } }
        }),
    },
    faults: {
      loseNextAnswer: () => void (faults.lostAnswers = 1),
      rateLimit: (retryAfter_ms) => {
        const retry = retryAfter_ms === undefined ? {} : { retryAfter: String(retryAfter_ms / 1000) }
        faults.fail = { status: 429, times: 1, ...retry }
      },
      serverError: () => void (faults.fail = { status: 500, times: 1 }),
      partialFailure: () => void (faults.partial = true),
      refuseCredentials: () => void (faults.tokenRevoked = true),
      // Nothing expires a cursor but its age: archived contacts vanish after 90 days.
      expireCursor: () => void (ahead_ms += 81 * DAY_MS),
      truncateListing: () => void (faults.cut = 0.5),
      breakRecord: (id) => {
        contacts.breakContact(id, true)
        return () => contacts.breakContact(id, false)
      },
    },
    clear: () =>
      void Object.assign(faults, { lostAnswers: 0, fail: null, cut: null, tokenRevoked: false, partial: false }),
    // The account's clock runs ahead where many changes come in one millisecond.
    settle: () => void (ahead_ms += 2 * (options.searchLag_ms ?? 0)),
    // With lists, each pass asks how they stand, too: one request for 500 of them.
    calls: () => simulator.requests.filter(({ path }) => path !== '/crm/v3/lists/search').length,
    stop: () => simulator.close(),
  }
}

const accounts: readonly (readonly [string, Options])[] = [
  ['an account as they are', {}],
  ['with its lists mapped', { withLists: true }],
  [
    'a search that lags, merges that keep the id, a property for the key',
    {
      searchLag_ms: 5000,
      mergeKeepsPrimary: true,
      properties: [{ name: 'kith_key', label: 'Kith', type: 'string', fieldType: 'text', unique: true }],
    },
  ],
]

for (const [name, options] of accounts) {
  describeConnector(`hubspot (${name})`, {
    capabilities: CAPABILITIES,
    faults: FAULTS,
    start: () => start(options),
    sample: options.withLists ? sampleInLists : sample,
    editable: 'jobtitle',
    bystander: 'firstname',
    multiline: 'message',
    refused: () => ({ ...sample(1), 'email.all': ['no address at all'], jobtitle: 'a private word' }),
    merges: true,
    unique: true,
    many: 250,
    secrets: [TOKEN],
  })
}
