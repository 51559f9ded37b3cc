import { afterEach, describe, expect, test } from '@jest/globals'
import { connectHubSpot, hubspot, type HubSpotConnector } from '../../connectors/hubspot/index.ts'
import { failureOfAnswer } from '../../connectors/hubspot/errors.ts'
import {
  startHubSpotSimulator,
  type HubSpotSimulator,
  type SimulatorOptions,
} from '../../connectors/hubspot/simulator.ts'
import { isRefusal } from '../../connectors/hubspot/simulator-contacts.ts'
import type { Pacer } from '../../connectors/pacer.ts'
import type { FailureError } from '../../engine/core/failure.ts'
import type { Json, JsonObject } from '../../engine/core/json.ts'
import type { CreateRequest, WriteOutcome, WriteRequest } from '../../engine/core/ports/connector.ts'
import { Follower, readOne } from '../conformance/follower.ts'

const TOKEN = 'pat-eu1-secret'
const MINUTE_MS = 60_000
const LISTS = 'lists.static'
const BASE = '/crm/v3/objects/contacts'
const LIST_SEARCH = 'POST /crm/v3/lists/search'
const MEMBERSHIPS = 'POST /crm/v3/lists/records/memberships/batch/read'
const SEARCH = `POST ${BASE}/search`

let open: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of open) await close()
  open = []
})

interface Account {
  readonly simulator: HubSpotSimulator
  readonly connector: HubSpotConnector
  readonly follower: Follower
  /** Another process with the same account. */
  readonly connect: (fields?: readonly string[]) => HubSpotConnector
  readonly add: (firstname: string, ...lists: string[]) => string
  readonly pass: (ms: number) => void
  readonly asked: () => { [route: string]: number }
}

async function account(
  fields: readonly string[] = ['firstname', 'email.all', LISTS],
  options: Partial<SimulatorOptions> = {},
): Promise<Account> {
  let ahead_ms = 0
  const now = (): number => Date.now() + ahead_ms
  const simulator = await startHubSpotSimulator({ token: TOKEN, now, ...options })
  const pacer: Pacer = { run: (work) => work(), cool: () => undefined }
  const connect = (selected = fields): HubSpotConnector => {
    const connector = connectHubSpot(
      { token: TOKEN, basePath: simulator.url },
      { connection: 'crm', baseDir: '.', now },
      { retries_max: 0, retryPause_ms: 1, searchLag_ms: 0, pacers: { requests: pacer, searches: pacer } },
    )
    connector.select(selected)
    open.push(() => connector.close())
    return connector
  }
  const connector = connect()
  open.push(() => simulator.close())
  let counted = 0
  return {
    simulator,
    connector,
    connect,
    follower: new Follower(connector),
    add(firstname, ...lists) {
      const result = simulator.contacts.create({ firstname }, 'CRM_UI')
      if (isRefusal(result)) throw new Error(result.message)
      for (const name of lists)
        simulator.lists.join(simulator.lists.named(name) ?? simulator.lists.add(name), result.id)
      return result.id
    },
    pass: (ms) => void (ahead_ms += ms),
    asked() {
      const routes = simulator.requests
        .slice(counted)
        .map(({ method, path }) => `${method} ${path.replace(/\?.*/, '')}`)
      counted = simulator.requests.length
      return Object.fromEntries([...Map.groupBy(routes, (route) => route)].map(([route, all]) => [route, all.length]))
    },
  }
}

const update = (id: string, lists: Json, fields: JsonObject = {}): WriteRequest => ({
  op: 'update',
  ref: `u${id}`,
  id,
  rev: null,
  fields: { ...fields, [LISTS]: lists },
})
const create = (n: number, lists: Json): CreateRequest => ({
  op: 'create',
  ref: `c${n}`,
  key: `key-${n}`,
  fields: { firstname: `Ada ${n}`, 'email.all': [`ada${n}@example.org`], [LISTS]: lists },
})
const failureOf = (outcome: WriteOutcome | undefined) => (outcome?.kind === 'failed' ? outcome.failure : undefined)
const listsIn = (outcome: WriteOutcome | undefined): Json =>
  outcome?.kind === 'written' ? (outcome.record.fields[LISTS] ?? null) : 'failed'

describe('reading', () => {
  test('without a list field in the mapping nothing is asked about lists', async () => {
    const { connector, follower, add, asked } = await account(['firstname'])
    add('Ada', 'Friends')
    await follower.follow()
    await follower.follow()
    await connector.check()
    expect(Object.keys(asked()).filter((route) => route.includes('/lists'))).toEqual([])
    expect((await connector.check()).fields).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ name: LISTS, writable: true }),
        expect.objectContaining({ name: 'lists.active', writable: false }),
      ]),
    )
  })

  test('a contact has the names of its lists, static and active apart, those of companies left out', async () => {
    const { connector, simulator, add } = await account([LISTS, 'lists.active'])
    const id = add('Ada', 'Friends', 'Customers')
    simulator.lists.add('Snapshot', 'SNAPSHOT', ({ size }) => size > 0)
    simulator.lists.add('All with a name', 'DYNAMIC', (properties) => properties.has('firstname'))
    simulator.lists.join(simulator.lists.add('Companies', 'MANUAL', null, '0-2'), id)
    expect((await readOne(connector, id)).fields).toEqual({
      [LISTS]: ['Customers', 'Friends', 'Snapshot'],
      'lists.active': ['All with a name'],
    })
    expect((await connector.check()).summary).toContain(', 4 lists')
  })

  test('a first pass reads the lists of 100 contacts at once, and a quiet one is one request more than without (I2)', async () => {
    const { follower, add, asked } = await account()
    for (let n = 0; n < 120; n++) add(`Ada ${n}`, ...(n % 2 === 0 ? ['Even'] : []))
    await follower.follow()
    expect(asked()).toEqual({ [`GET ${BASE}`]: 2, [LIST_SEARCH]: 1, [MEMBERSHIPS]: 4, [`POST ${BASE}/batch/read`]: 3 })
    await follower.follow()
    expect(asked()).toEqual({ [SEARCH]: 1, [LIST_SEARCH]: 1 })
  })

  test('more than 500 lists are asked for page by page', async () => {
    const { connector, simulator, add, asked } = await account()
    for (let n = 0; n < 620; n++) simulator.lists.add(`List ${n}`)
    const id = add('Ada', 'List 610')
    expect((await readOne(connector, id)).fields[LISTS]).toEqual(['List 610'])
    expect(asked()[LIST_SEARCH]).toBe(2)
  })

  test('a list that the search for lists does not show yet is asked for by its id', async () => {
    const { connector, simulator, add } = await account()
    simulator.faults.listLag_ms = MINUTE_MS
    const id = add('Ada', 'Brand new')
    expect((await readOne(connector, id)).fields[LISTS]).toEqual(['Brand new'])
  })

  test('an answer about lists that is not whole makes no contact listless', async () => {
    const { connector, add, simulator } = await account()
    const id = add('Ada', 'Friends')
    const kind = (): Promise<unknown> => connector.read([id]).catch((error: FailureError) => error.failure.kind)
    simulator.faults.fail = { status: 500, times: 1, path: /memberships\/batch\/read/ }
    expect(await kind()).toBe('transient')
    simulator.faults.cut = 0.6
    expect(await kind()).toBe('transient')
    simulator.faults.cut = null
    expect((await readOne(connector, id)).fields[LISTS]).toEqual(['Friends'])
  })
})

describe("a human's hand", () => {
  test('who joins and who leaves is heard in the next pass, by its id, and nobody else is read', async () => {
    const { follower, simulator, add, asked } = await account()
    const ids = Array.from({ length: 60 }, (_, n) => add(`Ada ${n}`, 'Friends'))
    const stranger = add('Grace')
    await follower.follow()
    const friends = simulator.lists.named('Friends')
    if (!friends) throw new Error('no list')
    asked()
    simulator.lists.leave(friends, ids[7] ?? '')
    simulator.lists.join(friends, stranger)
    expect(new Set((await follower.follow()).changed)).toEqual(new Set([ids[7], stranger]))
    expect(follower.records.get(ids[7] ?? '')?.fields[LISTS]).toBeNull()
    expect(follower.records.get(stranger)?.fields[LISTS]).toEqual(['Friends'])
    expect(asked()).toMatchObject({ [SEARCH]: 1, [LIST_SEARCH]: 1, [`GET /crm/v3/lists/${friends.id}/memberships`]: 1 })
    await follower.follow()
    expect(asked()).toEqual({ [SEARCH]: 1, [LIST_SEARCH]: 1 })
  })

  test('another process that goes on from the cursor hears it too', async () => {
    const { follower, simulator, add, connect } = await account()
    const id = add('Ada', 'Friends')
    await follower.follow()
    const friends = simulator.lists.named('Friends')
    if (friends) simulator.lists.leave(friends, id)
    const next = new Follower(connect())
    next.cursor = follower.cursor
    for (const [known, record] of follower.records) next.records.set(known, record)
    expect((await next.follow()).changed).toEqual([id])
  })

  test('a list that is renamed, deleted or turned into an active one is news about all its members', async () => {
    const { follower, simulator, add } = await account()
    const id = add('Ada', 'Friends')
    await follower.follow()
    const friends = simulator.lists.named('Friends')
    if (!friends) throw new Error('no list')
    simulator.lists.rename(friends, 'Old friends')
    expect((await follower.follow()).changed).toEqual([id])
    expect(follower.records.get(id)?.fields[LISTS]).toEqual(['Old friends'])
    friends.processingType = 'DYNAMIC'
    expect((await follower.follow()).changed).toEqual([id])
    friends.processingType = 'MANUAL'
    expect((await follower.follow()).changed).toEqual([id])
    simulator.lists.remove(friends)
    expect((await follower.follow()).changed).toEqual([id])
    expect(follower.records.get(id)?.fields[LISTS]).toBeNull()
  })

  test('whoever we put into a list and a human took out again before we looked is heard, a minute later (I3)', async () => {
    const { follower, connector, simulator, add, pass } = await account()
    const id = add('Ada')
    await follower.follow()
    const [outcome] = await connector.write([update(id, ['Friends'])])
    if (outcome?.kind === 'written') follower.records.set(id, outcome.record)
    const friends = simulator.lists.named('Friends')
    if (friends) simulator.lists.leave(friends, id)
    expect((await follower.follow()).changed).toEqual([])
    pass(MINUTE_MS + 1000)
    const before = follower.cursor
    expect((await follower.follow()).changed).toEqual([id])
    expect(follower.records.get(id)?.fields[LISTS]).toBeNull()
    // Read once more from the same place, it is told again.
    follower.cursor = before
    const again = await follower.follow()
    expect(again.sightings).toContainEqual({ kind: 'hint', id, rev: follower.records.get(id)?.rev ?? null })
  })

  test('answers that do not show our own write yet are no edit of a human (I6)', async () => {
    const { follower, connector, simulator, add, pass } = await account()
    const [ada, grace] = [add('Ada'), add('Grace', 'Friends')]
    await follower.follow()
    simulator.lists.lagging = true
    const changes = [update(ada, ['Friends'], { firstname: 'Ada B' }), update(grace, null)]
    for (const done of await connector.write(changes))
      if (done.kind === 'written') follower.records.set(done.record.id, done.record)
    for (let n = 0; n < 3; n++) expect((await follower.follow()).changed).toEqual([])
    expect((await readOne(connector, ada)).fields[LISTS]).toEqual(['Friends'])
    expect((await readOne(connector, grace)).fields[LISTS]).toBeNull()
    simulator.lists.lagging = false
    for (let n = 0; n < 2; n++) {
      pass(MINUTE_MS + 1000)
      expect((await follower.follow()).changed).toEqual([])
    }
    const friends = simulator.lists.named('Friends')
    if (friends) simulator.lists.leave(friends, ada)
    expect((await follower.follow()).changed).toEqual([ada])
  })

  test('in a list that is too long to remember it is found by a listing of all, when that has its turn', async () => {
    const { follower, simulator, add, pass, asked } = await account()
    const id = add('Ada', 'Everybody')
    const all = simulator.lists.named('Everybody')
    if (!all) throw new Error('no list')
    for (let n = 0; n < 2600; n++) simulator.lists.join(all, add(`Ada ${n}`))
    pass(10 * MINUTE_MS)
    await follower.follow()
    simulator.lists.leave(all, id)
    asked()
    expect((await follower.follow()).inventory).toBe(false)
    expect(asked()).toEqual({ [SEARCH]: 1, [LIST_SEARCH]: 1 })
    pass(100 * MINUTE_MS)
    const turn = await follower.follow()
    expect([turn.complete, turn.changed]).toEqual([true, [id]])
  }, 30_000)

  test('a list of some pages that changes all the time is not read in every pass, and is read in the end', async () => {
    const { follower, simulator, add, pass, asked } = await account()
    const ids = Array.from({ length: 600 }, (_, n) => add(`Ada ${n}`, 'Busy'))
    pass(10 * MINUTE_MS)
    await follower.follow()
    const busy = simulator.lists.named('Busy')
    if (!busy) throw new Error('no list')
    const pages = (): number => asked()[`GET /crm/v3/lists/${busy.id}/memberships`] ?? 0
    simulator.lists.leave(busy, ids[0] ?? '')
    expect([(await follower.follow()).changed, pages()]).toEqual([[], 0])
    simulator.lists.leave(busy, ids[1] ?? '')
    expect([(await follower.follow()).changed, pages()]).toEqual([[], 0])
    pass(MINUTE_MS)
    expect([new Set((await follower.follow()).changed), pages()]).toEqual([new Set([ids[0], ids[1]]), 3])
  })

  test('all contacts are listed once a day, whatever the lists say of themselves', async () => {
    const { follower, simulator, add, pass } = await account()
    const [id, other] = [add('Ada', 'Friends'), add('Grace')]
    await follower.follow()
    // A change that leaves no trace in the size and the times of the list.
    const friends = simulator.lists.named('Friends')
    friends?.members.delete(id)
    friends?.members.set(other, 0)
    expect((await follower.follow()).changed).toEqual([])
    pass(25 * 60 * MINUTE_MS)
    await follower.follow()
    expect((await follower.follow()).changed.toSorted()).toEqual([id, other])
  })
})

describe('writing', () => {
  test('lists are joined and left, one request for each, those that are not there are made; and again does nothing', async () => {
    const { connector, simulator, add, asked } = await account()
    const [ada, grace] = [add('Ada', 'Friends'), add('Grace', 'Friends')]
    await connector.read([ada])
    asked()
    const requests = [update(ada, ['Customers', 'Friends']), update(grace, ['customers'], { firstname: 'Grace H' })]
    const outcomes = await connector.write(requests)
    expect(outcomes.map(listsIn)).toEqual([['Customers', 'Friends'], ['Customers']])
    expect([simulator.lists.of(ada), simulator.lists.of(grace)]).toEqual([['Customers', 'Friends'], ['Customers']])
    expect(simulator.lists.named('Customers')?.processingType).toBe('MANUAL')
    expect(Object.entries(asked()).filter(([route]) => /^(PUT|POST) .*\/(add-and-remove|lists)$/.test(route))).toEqual([
      ['POST /crm/v3/lists', 1],
      [`PUT /crm/v3/lists/${simulator.lists.named('Customers')?.id}/memberships/add-and-remove`, 1],
      [`PUT /crm/v3/lists/${simulator.lists.named('Friends')?.id}/memberships/add-and-remove`, 1],
    ])
    expect((await connector.write(requests)).map(listsIn)).toEqual([['Customers', 'Friends'], ['Customers']])
    expect(Object.keys(asked()).filter((route) => route.startsWith('PUT'))).toEqual([])
    expect(listsIn((await connector.write([update(ada, null)]))[0])).toBeNull()
    expect(simulator.lists.of(ada)).toEqual([])
  })

  test('the echo of our own write reads the list and none of its members (I6)', async () => {
    const { connector, follower, simulator, add, asked } = await account()
    const ids = Array.from({ length: 20 }, (_, n) => add(`Ada ${n}`))
    simulator.lists.add('Friends')
    await follower.follow()
    for (const outcome of await connector.write(ids.map((id) => update(id, ['Friends']))))
      if (outcome.kind === 'written') follower.records.set(outcome.record.id, outcome.record)
    asked()
    expect((await follower.follow()).changed).toEqual([])
    const friends = simulator.lists.named('Friends')?.id
    expect(asked()).toEqual({ [SEARCH]: 1, [LIST_SEARCH]: 1, [`GET /crm/v3/lists/${friends}/memberships`]: 1 })
  })

  test('a new contact is created and put into its lists', async () => {
    const { connector, simulator } = await account()
    const outcomes = await connector.write([
      create(1, ['Friends']),
      create(2, ['Friends', 'Customers']),
      create(3, null),
    ])
    expect(outcomes.map(listsIn)).toEqual([['Friends'], ['Customers', 'Friends'], null])
    for (const outcome of outcomes) {
      if (outcome.kind !== 'written') throw new Error('failed')
      const { rev, fields } = await readOne(connector, outcome.record.id)
      expect([rev, fields[LISTS]]).toEqual([outcome.record.rev, outcome.record.fields[LISTS]])
    }
    expect(simulator.lists.all.map(({ name, members }) => [name, members.size])).toEqual([
      ['Friends', 2],
      ['Customers', 1],
    ])
  })

  test('an active list takes nobody: that contact is refused before anything of it is written, the others are not', async () => {
    const { connector, simulator, add } = await account()
    const [ada, grace] = [add('Ada'), add('Grace')]
    const active = simulator.lists.add('Jans clients', 'DYNAMIC', () => false)
    const outcomes = await connector.write([
      update(ada, ['Jans clients'], { firstname: 'X' }),
      update(grace, ['Friends']),
      { ...update(grace, null), ref: 'read-only', fields: { 'lists.active': ['Jans clients'] } } as WriteRequest,
    ])
    expect(failureOf(outcomes[0])).toMatchObject({
      kind: 'permanent',
      code: 'LIST-ACTIVE',
      message: expect.stringContaining(`the list ${active.id}`),
      advice: expect.stringContaining('kith parked retry'),
    })
    expect(JSON.stringify(outcomes[0])).not.toContain('Jan')
    expect(listsIn(outcomes[1])).toEqual(['Friends'])
    expect(failureOf(outcomes[2])).toMatchObject({ kind: 'permanent', code: 'READ-ONLY' })
    expect(simulator.contacts.resolve(ada)?.properties.get('firstname')).toBe('Ada')
  })

  test('a name that HubSpot has for a list of companies is refused; one made by somebody else meanwhile is used', async () => {
    const { connector, simulator, add } = await account()
    const [ada, grace] = [add('Ada'), add('Grace')]
    simulator.lists.add('Partners', 'MANUAL', null, '0-2')
    simulator.faults.listLag_ms = MINUTE_MS
    simulator.lists.add('Friends')
    const outcomes = await connector.write([update(ada, ['Partners']), update(grace, ['Friends'])])
    expect(failureOf(outcomes[0])).toMatchObject({ kind: 'permanent', code: 'LIST-NAME' })
    expect(listsIn(outcomes[1])).toEqual(['Friends'])
    expect(simulator.lists.all).toHaveLength(2)
  })

  test('an update whose lists fail is not written, names why, and is repeated without harm', async () => {
    const { connector, simulator, add, pass } = await account()
    const ids = [add('Ada', 'Friends'), add('Grace', 'Friends')]
    const [ada = '', grace = ''] = ids
    const requests = [
      update(ada, ['Customers'], { firstname: 'Ada B' }),
      update(grace, ['Friends'], { firstname: 'G' }),
    ]
    const [friends] = simulator.lists.all
    for (const fault of [
      { fail: { status: 500, times: 1, path: /add-and-remove/ } },
      { fail: { status: 429, times: 1, path: /add-and-remove/, retryAfter: '7' } },
      { lostAnswers: 1 },
      { strangers: [ada] },
    ]) {
      // Within a minute our own write would be believed, and not what a human makes of it.
      pass(2 * MINUTE_MS)
      if (friends) for (const id of ids) simulator.lists.join(friends, id)
      simulator.lists.named('Customers')?.members.clear()
      Object.assign(simulator.faults, fault)
      const onlyLists = requests.map(({ ref }, n) => ({
        ...update(ids[n] ?? '', n === 0 ? ['Customers'] : ['Friends']),
        ref,
      }))
      const [failed, done] = await connector.write(fault.lostAnswers === 1 ? onlyLists : requests)
      expect(['transient', 'ratelimited']).toContain(failureOf(failed)?.kind)
      expect(done?.kind).toBe('written')
      Object.assign(simulator.faults, { fail: null, lostAnswers: 0, strangers: [] })
      expect(listsIn((await connector.write(requests.slice(0, 1)))[0])).toEqual(['Customers'])
      expect(simulator.lists.of(ada)).toEqual(['Customers'])
    }
  })

  test('a create whose lists fail is uncertain, and found again it is in its lists: one contact, nothing lost (I4)', async () => {
    const { connector, simulator } = await account()
    simulator.faults.fail = { status: 500, times: 1, path: /add-and-remove/ }
    const request = create(1, ['Customers', 'Friends'])
    const [outcome] = await connector.write([request])
    expect(failureOf(outcome)).toMatchObject({ kind: 'uncertain' })
    simulator.faults.fail = { status: 500, times: 1, path: /add-and-remove/ }
    const again = await connector.find(request).catch((error: FailureError) => error.failure.kind)
    expect(again).toBe('transient')
    const found = await connector.find(request)
    expect(found.map(({ fields }) => fields[LISTS])).toEqual([['Customers', 'Friends']])
    const [contact] = simulator.contacts.live()
    expect(simulator.lists.of(contact?.id ?? '')).toEqual(['Customers', 'Friends'])
    expect(simulator.contacts.live()).toHaveLength(1)
  })

  test('where making a list fails, or its answer is lost, no contact is touched, and the next attempt goes through', async () => {
    const { connector, simulator, add } = await account()
    const id = add('Ada')
    simulator.faults.fail = { status: 502, times: 1, path: /lists$/ }
    const request = update(id, ['Friends'], { firstname: 'Ada B' })
    const kind = await connector.write([request]).catch((error: FailureError) => error.failure.kind)
    expect([kind, simulator.contacts.resolve(id)?.properties.get('firstname')]).toEqual(['transient', 'Ada'])
    // It was made all the same, and the search does not show it yet.
    simulator.faults.listLag_ms = MINUTE_MS
    simulator.lists.add('Friends')
    expect((await connector.write([request])).map(listsIn)).toEqual([['Friends']])
    expect(simulator.lists.all).toHaveLength(1)
  })

  test('a list that is deleted while we write is made anew by the next attempt', async () => {
    const { connector, simulator, add } = await account()
    const id = add('Ada', 'Friends')
    const other = add('Grace')
    await connector.read([id])
    const friends = simulator.lists.named('Friends')
    if (friends) simulator.lists.remove(friends)
    const [outcome] = await connector.write([update(other, ['Friends'])])
    expect(failureOf(outcome)).toMatchObject({ kind: 'transient', code: 'LIST-GONE' })
    expect(listsIn((await connector.write([update(other, ['Friends'])]))[0])).toEqual(['Friends'])
    expect(simulator.lists.of(other)).toEqual(['Friends'])
  })
})

describe('permissions', () => {
  test('a token that may not read lists stops the connection and says which scope it lacks', async () => {
    const { connector, follower, simulator, add } = await account()
    const id = add('Ada', 'Friends')
    simulator.faults.listsForbidden = 'read'
    for (const call of [() => connector.check(), () => follower.follow(), () => connector.read([id])]) {
      const failure = await call().catch((error: FailureError) => error.failure)
      expect(failure).toMatchObject({
        kind: 'auth',
        code: 'MISSING_SCOPES',
        advice: 'Give the service key or private app the scope crm.lists.read; then run: kith check',
      })
    }
  })

  test('one that may not write them costs only the contacts whose lists change', async () => {
    const { connector, simulator, add } = await account()
    const [ada, grace] = [add('Ada', 'Friends'), add('Grace', 'Friends')]
    simulator.faults.listsForbidden = 'write'
    const [refused, unknown, written] = await connector.write([
      update(ada, null),
      { ...update(ada, ['New']), ref: 'new' },
      update(grace, ['Friends'], { firstname: 'G' }),
    ])
    for (const outcome of [refused, unknown])
      expect(failureOf(outcome)).toMatchObject({
        kind: 'permanent',
        code: 'MISSING_SCOPES',
        advice: 'Give the service key or private app the scope crm.lists.write; then run: kith parked retry',
      })
    expect(listsIn(written)).toEqual(['Friends'])
  })

  test.each([
    [
      false,
      'Give the service key or private app one of the scopes crm.objects.contacts.read, crm.schemas.contacts.read',
    ],
    [true, 'Add one of the scopes crm.objects.contacts.read, crm.schemas.contacts.read to the app in its settings'],
  ])(
    'a 403 names the missing scopes of the body, for an app that was signed in to (%s) and for a key',
    (signedIn, advice) => {
      const context = {
        requiredGranularScopes: [
          'crm.objects.contacts.sensitive.read.v2',
          'crm.objects.contacts.read',
          'crm.schemas.contacts.read',
        ],
      }
      const body = { status: 'error', category: 'MISSING_SCOPES', message: 'no', errors: [{ message: 'one', context }] }
      const asked = { pattern: 'GET contacts', write: false, signedIn }
      const failure = failureOfAnswer(asked, 403, body, undefined, 0)
      expect(failure).toMatchObject({ kind: 'auth', code: 'MISSING_SCOPES', advice: expect.stringContaining(advice) })
      expect(failure.advice?.includes('kith connect')).toBe(signedIn)
      const bare = failureOfAnswer(asked, 403, { status: 'error', category: 'MISSING_SCOPES' }, undefined, 0)
      expect(bare.advice).toContain('the scopes crm.objects.contacts.read, crm.objects.contacts.write')
      const lists = { ...asked, scopes: ['crm.lists.read'] }
      expect(failureOfAnswer(lists, 403, {}, undefined, 0).advice?.includes('lists: true')).toBe(signedIn)
      expect(failureOfAnswer(asked, 401, {}, undefined, 0).advice).toContain(signedIn ? 'kith connect' : 'token:')
    },
  )

  test('signing in asks for the scopes of lists where the connection says so', () => {
    const client = { clientId: 'kith', clientSecret: 'secret' }
    const scopes = (options: object): readonly string[] | undefined =>
      hubspot.oauth?.(hubspot.options.parse({ ...client, ...options }))?.needs
    expect(scopes({})).not.toContain('crm.lists.read')
    expect(scopes({ lists: true })).toEqual(expect.arrayContaining(['crm.lists.read', 'crm.lists.write']))
  })
})
