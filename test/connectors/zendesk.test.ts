import { existsSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from '@jest/globals'
import { connectZendesk, zendesk, type Zendesk, type ZendeskTuning } from '../../connectors/zendesk/index.ts'
import { rowFailure } from '../../connectors/zendesk/errors.ts'
import { startZendeskSimulator, type ZendeskSimulator } from '../../connectors/zendesk/simulator.ts'
import { FailureError, type Failure } from '../../engine/core/failure.ts'
import type { Json, JsonObject } from '../../engine/core/json.ts'
import type { FeedPage, Sighting, WriteOutcome, WriteRequest } from '../../engine/core/ports/connector.ts'
import { readOpenApi } from '../support/openapi.ts'

const TOKEN = 'sesame'
const EMAIL = 'admin@acme.example'
const CONTEXT = { connection: 'desk', baseDir: '.', now: Date.now }
const SPEC = join(import.meta.dirname, '../../../shared/specs/zendesk-support/support-users.subset.json')

/** Paces nothing, and remembers the pauses it was asked for. */
class Patient {
  readonly pauses_ms: number[] = []
  runs = 0
  run<T>(work: () => Promise<T>): Promise<T> {
    this.runs++
    return work()
  }
  cool(pause_ms: number): void {
    this.pauses_ms.push(pause_ms)
  }
}

interface Desk {
  readonly simulator: ZendeskSimulator
  readonly connector: Zendesk
  readonly pacer: Patient
  readonly exports: Patient
}

const open: Desk[] = []
afterEach(async () => {
  for (const { connector, simulator } of open.splice(0)) {
    await connector.close()
    await simulator.close()
  }
})

async function start(tuning: ZendeskTuning = {}): Promise<Desk> {
  const simulator = await startZendeskSimulator({ email: EMAIL, token: TOKEN })
  const [pacer, exports] = [new Patient(), new Patient()]
  const connector = connectZendesk({ subdomain: 'acme', email: EMAIL, token: TOKEN, baseUrl: simulator.url }, CONTEXT, {
    retries_max: 0,
    pollPauses_ms: [1],
    pacer,
    exports,
    ...tuning,
  })
  const desk = { simulator, connector, pacer, exports }
  open.push(desk)
  return desk
}

async function pull(
  connector: Zendesk,
  cursor: Json | null = null,
): Promise<{ pages: FeedPage[]; sightings: Sighting[]; cursor: Json | null }> {
  const pages: FeedPage[] = []
  for await (const page of connector.pull(cursor)) pages.push(page)
  const last = pages.findLast((page) => page.cursor !== undefined)?.cursor ?? null
  return { pages, sightings: pages.flatMap((page) => page.sightings), cursor: last }
}

function create(key: string, fields: JsonObject): WriteRequest {
  return { op: 'create', ref: key, key, fields }
}

function update(id: number | string, fields: JsonObject, ref = `u${id}`): WriteRequest {
  return { op: 'update', ref, id: String(id), rev: null, fields }
}

function remove(id: number): WriteRequest {
  return { op: 'delete', ref: `d${id}`, id: String(id), rev: null, archive: false }
}

function recordIn(outcome: WriteOutcome | undefined): { id: string; fields: JsonObject } {
  if (outcome?.kind !== 'written') throw new Error(`expected a record, not ${JSON.stringify(outcome)}`)
  return outcome.record
}

function failureIn(outcome: WriteOutcome | undefined): Failure {
  if (outcome?.kind !== 'failed') throw new Error(`expected a failure, not ${JSON.stringify(outcome)}`)
  return outcome.failure
}

async function thrown(body: () => Promise<unknown>): Promise<Failure> {
  try {
    await body()
  } catch (error) {
    if (error instanceof FailureError) return error.failure
    throw error
  }
  throw new Error('expected a failure, and it went well')
}

function addresses(record: { fields: JsonObject }): string[] {
  return (record.fields['emails'] as { value: string }[]).map(({ value }) => value)
}

/** What was asked of the account since, as `METHOD path`, ids left out. */
function asked({ traffic }: ZendeskSimulator, from = 0): string[] {
  return traffic
    .slice(from)
    .map(({ method, path }) => `${method} ${path.replace('/api/v2/', '').replaceAll(/\d{3,}\w*/g, '#')}`)
}

describe('options', () => {
  test('either an API token with its address, or an OAuth token', () => {
    const right = [
      { subdomain: 'acme', email: EMAIL, token: TOKEN },
      { subdomain: 'acme', oauthToken: TOKEN, webhookSecret: 's' },
    ]
    const wrong = [
      { subdomain: 'acme' },
      { subdomain: 'acme', token: TOKEN },
      { subdomain: 'acme', email: EMAIL, token: TOKEN, oauthToken: TOKEN },
      { subdomain: 'acme.zendesk.com', oauthToken: TOKEN },
    ]
    expect(right.map((each) => zendesk.options.safeParse(each).success)).toEqual([true, true])
    expect(wrong.map((each) => zendesk.options.safeParse(each).success)).toEqual([false, false, false, false])
  })

  test('an OAuth token is sent as a bearer token', async () => {
    const simulator = await startZendeskSimulator({ token: TOKEN })
    const connector = connectZendesk({ subdomain: 'acme', oauthToken: TOKEN, baseUrl: simulator.url }, CONTEXT)
    open.push({ simulator, connector, pacer: new Patient(), exports: new Patient() })
    expect((await connector.check()).summary).toContain("'acme'")
  })

  test('who is no administrator is told so', async () => {
    const { simulator, connector } = await start()
    simulator.users.staff.role = 'agent'
    expect(await thrown(() => connector.check())).toMatchObject({ kind: 'auth', code: 'NOT-ADMIN' })
  })
})

describe('the feed', () => {
  test('a pass asks once with a start time, and then with the cursor alone', async () => {
    const { simulator, connector, exports } = await start()
    simulator.faults.page_max = 2
    for (let n = 0; n < 5; n++) simulator.users.add({ name: `Person ${n}` })
    simulator.advance(61_000)
    const first = await pull(connector)
    expect(first.sightings).toHaveLength(5)
    await pull(connector, first.cursor)
    const queries = simulator.traffic.map(({ query }) => [
      query.get('start_time'),
      query.has('cursor'),
      query.get('include'),
    ])
    expect(queries).toEqual([
      ['0', false, 'identities,organizations'],
      [null, true, 'identities,organizations'],
      [null, true, 'identities,organizations'],
      [null, true, 'identities,organizations'],
    ])
    expect(exports.runs).toBe(4)
  })

  test('what changed in the newest minute comes with a later pass', async () => {
    const { simulator, connector } = await start()
    const { cursor } = await pull(connector)
    simulator.users.add({ name: 'Ada' })
    expect((await pull(connector, cursor)).sightings).toEqual([])
    simulator.advance(61_000)
    expect((await pull(connector, cursor)).sightings).toHaveLength(1)
  })

  test('agents and administrators are no contacts; an end user who becomes one is not taken for deleted (I5)', async () => {
    const { simulator, connector } = await start()
    const { id } = simulator.users.add({ name: 'Ada' })
    simulator.advance(61_000)
    const first = await pull(connector)
    expect(first.sightings.map((one) => one.kind === 'record' && one.record.id)).toEqual([String(id)])
    simulator.users.edit(id, { role: 'agent' })
    simulator.advance(61_000)
    expect((await pull(connector, first.cursor)).sightings).toEqual([])
    expect(await connector.read([String(id)])).toMatchObject([{ kind: 'broken', failure: { code: 'STAFF' } }])
  })

  test('addresses that were asked for and did not come along are read one by one, not taken for none', async () => {
    const { simulator, connector } = await start()
    simulator.users.add({ name: 'Ada', email: 'ada@x.org', identities: [{ type: 'email', value: 'ada@home.org' }] })
    simulator.users.add({ name: 'Nobody' })
    simulator.faults.noSideloads = true
    simulator.advance(61_000)
    const { sightings } = await pull(connector)
    expect(sightings.map((one) => one.kind === 'record' && one.record.fields['emails'])).toEqual([
      [
        { value: 'ada@x.org', pref: true },
        { value: 'ada@home.org', pref: false },
      ],
      null,
    ])
    expect(asked(simulator)).toEqual(['GET incremental/users/cursor', 'GET users/#/identities'])
  })

  test('a user erased between two passes is gone as soon as someone asks', async () => {
    const { simulator, connector } = await start()
    const { id } = simulator.users.add({ name: 'Ada' })
    simulator.advance(61_000)
    const { cursor } = await pull(connector)
    simulator.users.remove(id)
    simulator.users.erase(id)
    simulator.advance(61_000)
    expect((await pull(connector, cursor)).sightings).toEqual([])
    expect(await connector.read([String(id)])).toEqual([{ kind: 'gone', id: String(id) }])
    expect(failureIn((await connector.write([update(id, { notes: 'late' })]))[0]).kind).toBe('gone')
  })

  test('only fields that are asked for are read, and nothing comes along for the others', async () => {
    const { simulator, connector } = await start()
    const organization_id = simulator.users.addOrganization('Acme')
    simulator.users.add({ name: 'Ada', notes: 'hers', organization_id })
    simulator.advance(61_000)
    connector.select(['notes', 'organization'])
    const { sightings } = await pull(connector)
    expect(sightings).toMatchObject([{ record: { fields: { notes: 'hers', organization: 'Acme' } } }])
    expect(simulator.traffic.at(-1)?.query.get('include')).toBe('organizations')
  })

  test('a deleted user whose address is taken anew by someone else was not merged', async () => {
    const { simulator, connector } = await start()
    const { id } = simulator.users.add({ name: 'Ada', email: 'ada@x.org' })
    simulator.advance(61_000)
    const { cursor } = await pull(connector)
    simulator.users.remove(id)
    simulator.advance(5000)
    simulator.users.add({ name: 'Ada again', email: 'ada@x.org' })
    simulator.advance(61_000)
    expect((await pull(connector, cursor)).sightings).toContainEqual({ kind: 'gone', id: String(id) })
  })
})

describe('writing', () => {
  test('a batch is one job per kind of write, and one read-back', async () => {
    const { simulator, connector } = await start()
    simulator.faults.jobPolls = 2
    const ids = ['a', 'b', 'c', 'd'].map((name) => simulator.users.add({ name }).id)
    const [a = 0, b = 0, c = 0, d = 0] = ids
    const outcomes = await connector.write([
      create('k1', { name: 'One', emails: [{ value: 'one@x.org', pref: true }] }),
      create('k2', { name: 'Two' }),
      update(a, { notes: 'a' }),
      update(b, { notes: 'b' }),
      remove(c),
      remove(d),
    ])
    expect(outcomes.map(({ ref, kind }) => [ref, kind])).toEqual([
      ['k1', 'written'],
      ['k2', 'written'],
      [`u${a}`, 'written'],
      [`u${b}`, 'written'],
      [`d${c}`, 'deleted'],
      [`d${d}`, 'deleted'],
    ])
    const polls = Array.from({ length: 3 }, () => 'GET job_statuses/#')
    expect(asked(simulator).map((line) => line.replace(/job_statuses.*/, 'job_statuses/#'))).toEqual([
      'POST users/create_many',
      ...polls,
      'PUT users/update_many',
      ...polls,
      'DELETE users/destroy_many',
      ...polls,
      'GET users/show_many',
    ])
  })

  test('a write by itself needs no job', async () => {
    const { simulator, connector } = await start()
    const [made] = await connector.write([create('k1', { name: 'One' })])
    const { id } = recordIn(made)
    await connector.write([update(id, { notes: 'more' })])
    await connector.write([remove(Number(id))])
    expect(asked(simulator)).toEqual([
      'POST users',
      'GET users/show_many',
      'PUT users/#',
      'GET users/show_many',
      'DELETE users/#',
    ])
  })

  test('rows that fail are settled one by one: an earlier try is recognised, a taken address is said without naming it (I4, I15)', async () => {
    const { simulator, connector } = await start()
    simulator.users.add({ name: 'Taken', email: 'taken@x.org' })
    await connector.write([create('k1', { name: 'One' })])
    const outcomes = await connector.write([
      create('k1', { name: 'One' }),
      create('k2', { name: 'Two', emails: [{ value: 'taken@x.org', pref: true }] }),
      create('k3', { name: 'Three' }),
    ])
    expect(outcomes.map(({ kind }) => kind)).toEqual(['written', 'failed', 'written'])
    expect(failureIn(outcomes[1])).toEqual({
      kind: 'permanent',
      code: 'RecordInvalid',
      message: 'Zendesk refuses the user: emails already belongs to another user',
    })
    expect(simulator.users.all().filter(({ external_id }) => external_id === 'kith:k1')).toHaveLength(1)
  })

  test('where bulk imports are off, users are made one by one', async () => {
    const { simulator, connector } = await start()
    simulator.faults.bulkImports = false
    const outcomes = await connector.write([create('k1', { name: 'One' }), create('k2', { name: 'Two' })])
    expect(outcomes.map(({ kind }) => kind)).toEqual(['written', 'written'])
    expect(asked(simulator)).toEqual(['POST users/create_many', 'POST users', 'POST users', 'GET users/show_many'])
  })

  test('a job that fails as a whole, or cannot be looked at, leaves its rows uncertain', async () => {
    const { simulator, connector } = await start()
    const batch = [create('k1', { name: 'One' }), create('k2', { name: 'Two' })]
    simulator.faults.brokenJob = 'failed'
    expect((await connector.write(batch)).map((one) => failureIn(one).kind)).toEqual(['uncertain', 'uncertain'])
    simulator.faults.fail = { status: 500, times: 1, path: /^job_statuses/ }
    expect((await connector.write(batch)).map((one) => failureIn(one).kind)).toEqual(['uncertain', 'uncertain'])
    expect((await connector.write(batch)).map(({ kind }) => kind)).toEqual(['written', 'written'])
    expect(simulator.users.all().filter(({ role }) => role === 'end-user')).toHaveLength(2)
  })

  test('a full queue of jobs is a time to wait, and nothing was done', async () => {
    const { simulator, connector } = await start()
    simulator.faults.jobsQueued = 30
    const batch = [create('k1', { name: 'One' }), create('k2', { name: 'Two' })]
    expect(await thrown(() => connector.write(batch))).toMatchObject({ kind: 'ratelimited', retryAfter_ms: 5000 })
    expect(simulator.users.all()).toHaveLength(1)
  })

  test('when the read-back fails, what was done is uncertain and never lost', async () => {
    const { simulator, connector } = await start()
    simulator.faults.fail = { status: 500, times: 1, path: /show_many/ }
    expect(failureIn((await connector.write([create('k1', { name: 'One' })]))[0]).kind).toBe('uncertain')
  })

  test('a user who is updated too often waits alone; the account goes on', async () => {
    const { simulator, connector, pacer } = await start()
    const { id } = simulator.users.add({ name: 'Ada' })
    for (let n = 0; n < 5; n++) recordIn((await connector.write([update(id, { notes: `${n}` })]))[0])
    expect(await thrown(() => connector.write([update(id, { notes: 'six' })]))).toMatchObject({ kind: 'ratelimited' })
    expect(pacer.pauses_ms).toEqual([])
    simulator.advance(60_000)
    recordIn((await connector.write([update(id, { notes: 'six' })]))[0])
  })

  test('when the minute is nearly used up, nothing is sent until it is over', async () => {
    const { simulator, connector, pacer } = await start()
    simulator.faults.requests_max = 20
    for (let n = 0; n < 9; n++) await connector.read(['1'])
    expect(pacer.pauses_ms.length).toBeGreaterThan(0)
    for (const pause_ms of pacer.pauses_ms) expect(pause_ms).toBeGreaterThan(50_000)
  })

  test('Kith tells no one that an account was made for them', async () => {
    const { simulator, connector } = await start()
    const [made] = await connector.write([create('k1', { name: 'One', emails: [{ value: 'one@x.org', pref: true }] })])
    await connector.write([update(recordIn(made).id, { emails: [{ value: 'one@x.org' }, { value: 'two@x.org' }] })])
    const sent = simulator.traffic.filter(({ method }) => method === 'POST').map(({ body }) => body as JsonObject)
    expect(sent.map((body) => (body['user'] ?? body['identity']) as JsonObject)).toEqual([
      expect.objectContaining({ skip_verify_email: true, role: 'end-user' }),
      expect.objectContaining({ skip_verify_email: true }),
    ])
  })
})

describe('addresses, numbers and names', () => {
  test('a new user comes with all addresses and numbers in one request', async () => {
    const { simulator, connector } = await start()
    const fields = {
      name: 'Ada',
      emails: [{ value: 'ada@home.org' }, { value: 'ada@work.org', pref: true }],
      phones: [{ value: '+4930901820' }, { value: '+491711234567', pref: true }],
    }
    const record = recordIn((await connector.write([create('k1', fields)]))[0])
    expect(record.fields['emails']).toEqual([
      { value: 'ada@work.org', pref: true },
      { value: 'ada@home.org', pref: false },
    ])
    expect(record.fields['phones']).toEqual([
      { value: '+491711234567', pref: true },
      { value: '+4930901820', pref: false },
    ])
    expect(asked(simulator)).toEqual(['POST users', 'GET users/show_many'])
  })

  test('another primary address is added, made primary, and only then the old one goes', async () => {
    const { simulator, connector } = await start()
    const { id } = simulator.users.add({ name: 'Ada', email: 'old@x.org' })
    const emails = [{ value: 'new@x.org', pref: true }]
    const record = recordIn((await connector.write([update(id, { emails })]))[0])
    expect(record.fields['emails']).toEqual(emails)
    expect(asked(simulator)).toEqual([
      'GET users/show_many',
      'POST users/#/identities',
      'PUT users/#/identities/#/make_primary',
      'DELETE users/#/identities/#',
      'GET users/show_many',
    ])
  })

  test('an address of another user is refused before anything else is done', async () => {
    const { simulator, connector } = await start()
    simulator.users.add({ name: 'Taken', email: 'taken@x.org' })
    const { id } = simulator.users.add({ name: 'Ada', email: 'ada@x.org' })
    const fields = { notes: 'new', emails: [{ value: 'taken@x.org', pref: true }] }
    const [outcome] = await connector.write([update(id, fields)])
    expect(failureIn(outcome)).toMatchObject({ kind: 'permanent' })
    expect(failureIn(outcome).message).not.toContain('taken@x.org')
    expect(simulator.users.find(id).notes).toBe('')
    expect(simulator.users.identitiesOf(id).map(({ value }) => value)).toEqual(['ada@x.org'])
  })

  test('a shared number is kept on the profile, and left out beside it', async () => {
    const { simulator, connector } = await start()
    simulator.users.add({ name: 'Desk', phone: '+4930901820' })
    const phones = [{ value: '+491711234567', pref: true }, { value: '+4930901820' }]
    const outcomes = await connector.write([
      create('k1', { name: 'Ada', phones }),
      create('k2', { name: 'Bo', phones: [{ value: '+4930901820', pref: true }] }),
    ])
    const values = outcomes.map((one) => recordIn(one).fields['phones'])
    expect(values).toEqual([[{ value: '+491711234567', pref: true }], [{ value: '+4930901820', pref: true }]])
  })

  test('all numbers can be taken away', async () => {
    const { simulator, connector } = await start()
    const { id } = simulator.users.add({ name: 'Ada', phone: '+4930901820' })
    simulator.users.addIdentity(id, { type: 'phone_number', value: '+491711234567' })
    const record = recordIn((await connector.write([update(id, { phones: null })]))[0])
    expect(record.fields['phones']).toBeNull()
    expect(simulator.users.identitiesOf(id)).toEqual([])
  })

  test('who has no name is called by an address, which then is no name', async () => {
    const { simulator, connector } = await start()
    const [made] = await connector.write([create('k1', { emails: [{ value: 'ada@x.org', pref: true }] })])
    const { id, fields } = recordIn(made)
    expect(simulator.users.find(Number(id)).name).toBe('ada@x.org')
    expect(fields['name']).toBeNull()
    const emails = [{ value: 'ada@new.org', pref: true }]
    const renamed = recordIn((await connector.write([update(id, { emails })]))[0])
    expect([simulator.users.find(Number(id)).name, renamed.fields['name']]).toEqual(['ada@new.org', null])
    const named = recordIn((await connector.write([update(id, { name: 'Ada' })]))[0])
    expect(named.fields['name']).toBe('Ada')
    const blank = recordIn((await connector.write([update(id, { name: null })]))[0])
    expect([blank.fields['name'], addresses(blank)]).toEqual([null, ['ada@new.org']])
  })

  test("Kith's own key is not shown as the external id, and a human's is", async () => {
    const { simulator, connector } = await start()
    const { id, fields } = recordIn((await connector.write([create('k1', { name: 'Ada' })]))[0])
    expect(fields['external_id']).toBeNull()
    simulator.users.edit(Number(id), { external_id: 'C-17' })
    expect(await connector.read([id])).toMatchObject([{ record: { fields: { external_id: 'C-17' } } }])
  })

  test('custom fields are found, and dates are dates', async () => {
    const { simulator, connector } = await start()
    simulator.users.addField({ key: 'since', type: 'date', title: 'Customer since' })
    simulator.users.addField({ key: 'boss', type: 'lookup', title: 'Boss' })
    const { fields } = await connector.check()
    expect(fields.filter(({ name }) => name.startsWith('user_fields.'))).toEqual([
      { name: 'user_fields.since', label: 'Customer since', type: 'date', writable: true },
      { name: 'user_fields.boss', label: 'Boss', type: 'lookup', writable: false },
    ])
    const [made] = await connector.write([create('k1', { name: 'Ada', 'user_fields.since': '2024-02-29' })])
    expect(recordIn(made).fields['user_fields.since']).toBe('2024-02-29')
  })

  test('tags are written as Zendesk keeps them', async () => {
    const { connector } = await start()
    const [made] = await connector.write([create('k1', { name: 'Ada', tags: ['Very Important', 'b2b'] })])
    expect(recordIn(made).fields['tags']).toEqual(['very_important', 'b2b'])
  })
})

test('the errors of rows are told apart, whatever shape they come in', () => {
  expect(rowFailure(undefined).kind).toBe('transient')
  expect(rowFailure({ error: 'RecordNotFound' }).kind).toBe('gone')
  expect(rowFailure({ error: 'DatabaseConflict', details: 'x' }).kind).toBe('transient')
  const refused = [
    { error: 'RecordInvalid', details: 'Email: ada@x.org is already being used by another user' },
    {
      error: 'RecordInvalid',
      details: { email: [{ description: 'Email: ada@x.org is already being used by another user' }] },
    },
    { status: 'Failed', errors: 'ada@x.org: no' },
  ]
  for (const row of refused) {
    expect(rowFailure(row).kind).toBe('permanent')
    expect(JSON.stringify(rowFailure(row))).not.toContain('ada')
  }
})

describe('webhooks', () => {
  const secret = 'shhh'
  const hook = zendesk.webhook?.({ subdomain: 'acme', oauthToken: TOKEN, webhookSecret: secret }, CONTEXT)

  async function signed(type = 'zen:event-type:user.name_changed') {
    const { simulator } = await start()
    const { body, headers } = simulator.hooks.request(secret, { type, userId: 7, detail: {}, event: {} })
    return { method: 'POST', url: 'https://kith.example/hooks/desk', headers, body: Buffer.from(body) }
  }

  test('a signed event of a user names the user, once per event', async () => {
    const request = await signed()
    const { id } = JSON.parse(request.body.toString()) as { id: string }
    expect(hook?.receive(request)).toEqual({ status: 200, announces: { records: ['7'] }, eventIds: [id] })
    expect(hook?.receive(request).eventIds).toEqual([id])
  })

  test('an event of something else is answered, and announces nothing', async () => {
    expect(hook?.receive(await signed('zen:event-type:organization.created')).announces).toBeNull()
  })

  test('a forged, altered, old or unsigned request is refused', async () => {
    const request = await signed()
    const { headers } = request
    const stamp = 'x-zendesk-webhook-signature-timestamp'
    const bad = [
      { ...request, body: Buffer.from(request.body.toString().replace('zen:user:7', 'zen:user:8')) },
      { ...request, headers: { ...headers, 'x-zendesk-webhook-signature': 'AAAA' } },
      { ...request, headers: { ...headers, [stamp]: new Date(Date.now() + 1).toISOString() } },
      { ...request, headers: {} },
    ]
    for (const each of bad) expect(hook?.receive(each)).toMatchObject({ status: 401, announces: null, eventIds: [] })
    const later = zendesk.webhook?.(
      { subdomain: 'acme', oauthToken: TOKEN, webhookSecret: secret },
      { ...CONTEXT, now: () => Date.now() + 6 * 60_000 },
    )
    expect(later?.receive(request).status).toBe(401)
    const without = zendesk.webhook?.({ subdomain: 'acme', oauthToken: TOKEN }, CONTEXT)
    expect(without?.receive(request).status).toBe(401)
  })

  test('the simulated account sends what is happening, and again when it is asked to', async () => {
    const { simulator } = await start()
    const statuses = [409, 200]
    const heard: unknown[] = []
    const receiver: Server = createServer((request, response) => {
      const parts: Buffer[] = []
      request.on('data', (part: Buffer) => void parts.push(part))
      request.on('end', () => {
        const headers = request.headers as { [name: string]: string }
        heard.push(hook?.receive({ method: 'POST', url: '/', headers, body: Buffer.concat(parts) }).announces)
        response.writeHead(statuses.shift() ?? 200).end()
      })
    })
    await new Promise<void>((resolve) => {
      receiver.listen(0, '127.0.0.1', resolve)
    })
    simulator.subscribe({ url: `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`, secret })
    simulator.users.add({ name: 'Ada' })
    await simulator.hooks.flushed()
    const records = [String(simulator.users.all().find(({ name }) => name === 'Ada')?.id)]
    expect([heard, simulator.hooks.sent.map(({ status }) => status)]).toEqual([
      [{ records }, { records }],
      [409, 200],
    ])
    receiver.closeAllConnections()
    await new Promise((resolve) => receiver.close(resolve))
  })
})

/** Where the vendor's description and the vendor's documentation, or practice, differ; see the README. */
const DEVIATIONS = [
  'GET /api/v2/incremental/users/cursor: query include is not described',
  'GET /api/v2/incremental/users/cursor: query start_time is missing',
  'GET /api/v2/user_fields: query page[size] is not described',
  'GET /api/v2/users/search: query include is not described',
  'GET /api/v2/users/show_many: query include is not described',
  'GET /api/v2/users/{user_id}/identities: query page[size] is not described',
  'GET /api/v2/users/{user_id}: query include is not described',
]

/** Every operation there is, against a simulated account. */
async function exercised(): Promise<ZendeskSimulator> {
  const { simulator, connector } = await start()
  const { users, faults } = simulator
  users.addField({ key: 'tier', type: 'text', title: 'Tier' })
  const organization_id = users.addOrganization('Acme')
  const { id } = users.add({ name: 'Ada', email: 'ada@x.org', organization_id })
  const bo = users.add({ name: 'Bo', email: 'bo@x.org', phone: '+4930901820' }).id
  users.mergedKeepEmail = true
  simulator.advance(61_000)
  faults.page_max = 2
  await connector.check()
  const { cursor } = await pull(connector)
  const emails = [{ value: 'new@x.org', pref: true }]
  await connector.write([create('k1', { name: 'One', phones: [{ value: '+491711234567' }], tags: ['x'] })])
  await connector.write([
    create('k2', { name: 'Two', emails: [{ value: 'two@x.org' }, { value: 'zwei@x.org' }] }),
    create('k3', { name: 'Three', 'user_fields.tier': 'gold' }),
    update(id, { emails, notes: 'n' }),
    update(bo, { details: null, tags: null, 'user_fields.tier': null }),
  ])
  await connector.write([update(id, { name: 'Ada L.', alias: 'A' })])
  const more = ['a', 'b', 'c', 'd'].map((name) => users.add({ name, email: `${name}@y.org` }).id)
  simulator.advance(61_000)
  users.merge(more[0] ?? 0, more[1] ?? 0)
  await connector.write([remove(more[2] ?? 0)])
  await connector.write([remove(more[3] ?? 0), remove(bo)])
  simulator.advance(61_000)
  await pull(connector, cursor)
  faults.noSideloads = true
  await pull(connector)
  users.erase(bo)
  await connector.read([String(id), String(bo)])
  return simulator
}

if (existsSync(SPEC)) {
  test('what the connector asks and the simulator answers is as the vendor describes it', async () => {
    const simulator = await exercised()
    const spec = readOpenApi(SPEC, { nulls: true })
    const found = new Set(simulator.traffic.flatMap((exchange) => spec.check(exchange)))
    expect([...found].toSorted()).toEqual(DEVIATIONS.toSorted())
    const operations = new Set(asked(simulator).map((line) => line.replace(/job_statuses.*/, 'job_statuses/#')))
    expect(operations.size).toBe(18)
  })
} else {
  // oxlint-disable-next-line jest/no-disabled-tests, jest/expect-expect -- said by name rather than passed in silence
  test.skip('traffic is as the vendor describes it [../shared/specs/zendesk-support is not there]', () => undefined)
}
