import { afterEach, describe, expect, test } from '@jest/globals'
import { connectSalesforce, salesforce, type SalesforceConnector } from '../../connectors/salesforce/index.ts'
import {
  startSalesforceSimulator,
  type SalesforceSimulator,
  type SimulatorOptions,
} from '../../connectors/salesforce/simulator.ts'
import { customField } from '../../connectors/salesforce/simulator-fields.ts'
import { OAuth } from '../../connectors/oauth.ts'
import type { Pacer } from '../../connectors/pacer.ts'
import type { SignIn } from '../../connectors/sign-in.ts'
import { FailureError, type Failure } from '../../engine/core/failure.ts'
import type { JsonObject } from '../../engine/core/json.ts'
import type { WriteOutcome, WriteRequest } from '../../engine/core/ports/connector.ts'
import { Follower, idOf, readOne } from '../conformance/follower.ts'

const TOKEN = '00D!secret'
const KEY = 'Kith_Key__c'
const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS
const unpaced: Pacer = { run: (work) => work(), cool: () => undefined }

let open: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of open) await close()
  open = []
})

interface Org {
  readonly simulator: SalesforceSimulator
  readonly org: SalesforceSimulator['org']
  readonly connector: SalesforceConnector
  /** Lets time pass. */
  readonly pass: (ms: number) => void
  readonly now: () => number
  /** Requests since the last call. */
  readonly asked: () => number
}

async function orgWith(
  options: object = {},
  simulated: Partial<SimulatorOptions> = {},
  signIn?: (url: string, now: () => number) => Promise<SignIn>,
): Promise<Org> {
  // A whole second, so that tests know which one they are in.
  let now_ms = Math.floor(Date.now() / 1000) * 1000
  const now = (): number => now_ms
  const simulator = await startSalesforceSimulator({ accessToken: TOKEN, now, ...simulated })
  const credentials = signIn
    ? { clientId: 'id', clientSecret: 'hush', grant: 'client_credentials', loginUrl: simulator.url }
    : { accessToken: TOKEN, instanceUrl: simulator.url }
  const connector = connectSalesforce(
    salesforce.options.parse({ ...credentials, ...options }),
    {
      connection: 'crm',
      baseDir: '.',
      now,
      pacer: unpaced,
      ...(signIn ? { signIn: await signIn(simulator.url, now) } : {}),
    },
    { retries_max: 0 },
  )
  open.push(
    () => connector.close(),
    () => simulator.close(),
  )
  let counted = 0
  return {
    simulator,
    org: simulator.org,
    connector,
    now,
    pass: (ms) => void (now_ms += ms),
    asked() {
      const since = simulator.traffic.length - counted
      counted = simulator.traffic.length
      return since
    },
  }
}

const create = (n: number, fields: JsonObject = {}): WriteRequest => ({
  op: 'create',
  ref: `c${n}`,
  key: `key-${n}`,
  fields: { FirstName: 'Ada', LastName: `Lovelace ${n}`, Email: `ada${n}@example.org`, ...fields },
})
const update = (id: string, fields: JsonObject, ref = 'u'): WriteRequest => ({
  op: 'update',
  ref,
  id,
  rev: null,
  fields,
})

async function one(connector: SalesforceConnector, request: WriteRequest): Promise<WriteOutcome> {
  const [outcome] = await connector.write([request])
  return outcome as WriteOutcome
}

function failureIn(outcome: WriteOutcome | undefined): Failure | undefined {
  return outcome?.kind === 'failed' ? outcome.failure : undefined
}

async function failureOf(work: Promise<unknown>): Promise<Failure> {
  const error: unknown = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (error instanceof FailureError) return error.failure
  throw new Error('expected a failure')
}

async function follow(connector: SalesforceConnector, follower = new Follower(connector)) {
  return { follower, pass: await follower.follow() }
}

describe('what it costs', () => {
  test('a first pass over 450 people of two objects is a description and their pages; a pass without changes is one call', async () => {
    const { connector, org, simulator, asked, pass } = await orgWith()
    simulator.faults.page_max = 100
    for (let n = 0; n < 250; n++) org.create('Contact', { LastName: `C ${n}` })
    for (let n = 0; n < 200; n++) org.create('Lead', { LastName: `L ${n}`, Company: 'Acme' })
    const { follower } = await follow(connector)
    // The first pages of both come with one request.
    expect(asked()).toBe(1 + 1 + 2 + 1)
    expect(follower.records.size).toBe(450)
    for (const wait_ms of [0, MINUTE_MS, 5 * MINUTE_MS]) {
      pass(wait_ms)
      expect((await follower.follow()).sightings).toEqual([])
      expect(asked()).toBe(1)
    }
    // Once more all that lies within the overlap, and then no more of it.
    pass(6 * MINUTE_MS)
    expect((await follower.follow()).sightings).toEqual([])
    expect(asked()).toBe(1 + 3 + 2)
    pass(MINUTE_MS)
    expect((await follower.follow()).sightings).toEqual([])
    expect(asked()).toBe(1)
  })

  test('among more rows than a page, an edit, a deletion and a late commit are each heard at the next pass', async () => {
    const { connector, org, simulator, pass, now } = await orgWith()
    simulator.faults.page_max = 100
    const ids = Array.from({ length: 1500 }, (_, n) => org.create('Contact', { LastName: `C ${n}` }).Id)
    const { follower } = await follow(connector)
    for (const change of [
      () => org.update(ids[3] ?? '', { Title: 'edited' }).Id,
      () => {
        org.remove(ids[4] ?? '')
        return ids[4]
      },
      () => org.create('Contact', { LastName: 'Late' }, { at_ms: now() - 3 * MINUTE_MS }).Id,
      () => org.merge(ids[5] ?? '', ids[6] ?? ''),
    ]) {
      pass(MINUTE_MS)
      await follower.follow()
      const id = change()
      const { changed, gone } = await follower.follow()
      expect([...changed, ...gone]).toContain(id)
    }
    expect([...follower.records.keys()].toSorted()).toEqual(
      org
        .living()
        .map(({ Id }) => Id)
        .toSorted(),
    )
  })

  test('200 writes of all kinds are one call, read back included, where the org has a field for the key', async () => {
    const { connector, org, asked } = await orgWith({ keyField: KEY }, { keyField: KEY })
    const ids = Array.from({ length: 100 }, (_, n) =>
      n % 2 === 0
        ? org.create('Contact', { LastName: `C ${n}` }).Id
        : org.create('Lead', { LastName: 'L', Company: 'A' }).Id,
    )
    await connector.read(ids.slice(0, 1))
    asked()
    const outcomes = await connector.write([
      ...Array.from({ length: 100 }, (_, n) => create(n)),
      ...ids.slice(0, 60).map((id, n) => update(id, { Title: `No. ${n}` }, `u${n}`)),
      ...ids.slice(60).map((id, n): WriteRequest => ({ op: 'delete', ref: `d${n}`, id, rev: null, archive: true })),
    ])
    expect(asked()).toBe(1)
    expect(outcomes.filter(({ kind }) => kind === 'written')).toHaveLength(160)
    expect(outcomes.filter(({ kind }) => kind === 'deleted')).toHaveLength(40)
  })

  test('without such a field, creates are read back by a call of their own', async () => {
    const { connector, asked } = await orgWith()
    await connector.check()
    asked()
    await connector.write(Array.from({ length: 200 }, (_, n) => create(n)))
    expect(asked()).toBe(2)
  })
})

describe('hearing', () => {
  test('a converted lead is merged into the contact that it became', async () => {
    const { connector, org } = await orgWith()
    const lead = org.create('Lead', { LastName: 'King', Company: 'Acme', Street: '1 Main St' }).Id
    const { follower } = await follow(connector)
    const contact = org.convert(lead)
    const { pass } = await follow(connector, follower)
    expect(pass.sightings.map((sighting) => [sighting.kind, idOf(sighting)])).toEqual([
      ['record', contact],
      ['merged', lead],
    ])
    expect(follower.merged.get(lead)).toBe(contact)
    expect(follower.records.get(contact)?.fields).toMatchObject({ MailingStreet: '1 Main St', Company: 'Acme' })
    expect(await connector.read([lead])).toEqual([{ kind: 'merged', id: lead, into: contact }])
    expect(failureIn(await one(connector, update(lead, { Title: 'late' })))?.kind).toBe('conflict')
    expect((await follow(connector)).follower.records.size).toBe(1)
  })

  test('where only leads are connected, a converted one is no deletion', async () => {
    const { connector, org } = await orgWith({ objects: ['lead'] })
    const lead = org.create('Lead', { LastName: 'King', Company: 'Acme' }).Id
    const { follower } = await follow(connector)
    org.convert(lead)
    const { pass } = await follow(connector, follower)
    expect(pass.gone).toEqual([])
    expect(follower.records.has(lead)).toBe(true)
  })

  test('an object that is taken out of the config is not deleted by that (I5)', async () => {
    const { connector, org, simulator, now } = await orgWith()
    const lead = org.create('Lead', { LastName: 'King', Company: 'Acme' }).Id
    const { follower } = await follow(connector)
    const options = { accessToken: TOKEN, instanceUrl: simulator.url, objects: ['contact'] }
    const narrower = connectSalesforce(
      salesforce.options.parse(options),
      { connection: 'crm', baseDir: '.', now, pacer: unpaced },
      { retries_max: 0 },
    )
    open.unshift(() => narrower.close())
    const after = new Follower(narrower)
    after.records.set(lead, follower.records.get(lead) as never)
    after.cursor = follower.cursor
    const pass = await after.follow()
    expect([pass.complete, pass.gone]).toEqual([true, []])
    expect(await narrower.read([lead])).toMatchObject([{ kind: 'broken', failure: { code: 'NOT-CONNECTED' } }])
    const outcomes = await narrower.write([
      { op: 'delete', ref: 'd', id: lead, rev: null, archive: true },
      update(lead, { Title: 'x' }),
    ])
    expect(outcomes.map((outcome) => failureIn(outcome)?.code)).toEqual(['NOT-CONNECTED', 'NOT-CONNECTED'])
    expect(org.get(lead)?.deleted).toBe(false)
  })

  test('two edits within one second are two edits', async () => {
    const { connector, org } = await orgWith()
    const { Id } = org.create('Contact', { LastName: 'King' })
    const { follower } = await follow(connector)
    org.update(Id, { Title: 'first' })
    await follower.follow()
    org.update(Id, { Title: 'second' })
    const pass = await follower.follow()
    expect(pass.changed).toEqual([Id])
    expect(follower.records.get(Id)?.fields['Title']).toBe('second')
    expect((await follower.follow()).sightings).toEqual([])
  })

  test('what a long transaction commits late is heard', async () => {
    const { connector, org, pass, now } = await orgWith()
    org.create('Contact', { LastName: 'King' })
    const { follower } = await follow(connector)
    pass(8 * MINUTE_MS)
    await follower.follow()
    const { Id } = org.create('Contact', { LastName: 'Late' }, { at_ms: now() - 7 * MINUTE_MS })
    expect((await follower.follow()).changed).toEqual([Id])
  })

  test('a record that is taken out of the recycle bin is there again', async () => {
    const { connector, org } = await orgWith()
    const { Id } = org.create('Contact', { LastName: 'King' })
    const { follower } = await follow(connector)
    org.remove(Id)
    expect((await follower.follow()).gone).toEqual([Id])
    org.undelete(Id)
    expect((await follower.follow()).changed).toEqual([Id])
  })

  test('a record erased past the recycle bin is missed by the count, and found missing by a listing (I5)', async () => {
    const { connector, org, pass, asked } = await orgWith()
    const ids = ['A', 'B', 'C'].map((name) => org.create('Contact', { LastName: name }).Id)
    const { follower } = await follow(connector)
    pass(20 * MINUTE_MS)
    await follower.follow()
    org.erase(ids[1] ?? '')
    org.update(ids[0] ?? '', { Title: 'meanwhile' })
    expect((await follower.follow()).gone).toEqual([])
    pass(6 * MINUTE_MS)
    await follower.follow()
    asked()
    const listing = await follower.follow()
    expect([listing.complete, listing.gone]).toEqual([true, [ids[1]]])
    expect((await follower.follow()).inventory).toBe(false)
  })

  test('additions, deletions and repeats keep the count right: nothing is listed without need', async () => {
    const { connector, org, pass, simulator } = await orgWith()
    const { follower } = await follow(connector)
    const ids: string[] = []
    for (let round = 0; round < 12; round++) {
      ids.push(org.create('Contact', { LastName: `C ${round}` }).Id)
      ids.push(org.create('Lead', { LastName: `L ${round}`, Company: 'Acme' }).Id)
      if (round % 3 === 1) org.remove(ids.splice(0, 1)[0] ?? '')
      if (round % 4 === 2) org.remove(org.create('Contact', { LastName: 'short-lived' }).Id)
      if (round % 5 === 3) org.merge(ids[2] ?? '', ids[0] ?? '')
      if (round % 5 === 3) ids.splice(2, 1)
      if (round === 7) ids.push(org.convert(ids.find((id) => id.startsWith('00Q')) ?? ''))
      pass(4 * MINUTE_MS)
      expect((await follower.follow()).inventory).toBe(false)
    }
    simulator.faults.countTimesOut = true
    pass(DAY_MS)
    expect((await follower.follow()).inventory).toBe(false)
    expect([...follower.records.keys()].toSorted()).toEqual(
      org
        .living()
        .map(({ Id }) => Id)
        .toSorted(),
    )
  })

  test('the time of an edit is that of the people, not that of Salesforce touching the row', async () => {
    const { connector, org, pass, now } = await orgWith()
    const { Id } = org.create('Contact', { LastName: 'King' })
    const edited_ms = now()
    pass(MINUTE_MS)
    org.touchBySystem(Id)
    expect((await readOne(connector, Id)).modified_ms).toBe(edited_ms)
  })
})

describe('writing', () => {
  test('an update of a lead leaves it with its owner; a new one goes to whom the rules say', async () => {
    const { connector, org } = await orgWith({ objects: ['lead'] })
    const { Id } = org.create('Lead', { LastName: 'King', Company: 'Acme', OwnerId: '005mine' })
    org.assignedOwner = '005theirs'
    await one(connector, update(Id, { Title: 'Countess' }))
    expect(org.get(Id)?.values.get('OwnerId')).toBe('005mine')
    await one(connector, create(1))
    expect(org.living().map(({ values }) => values.get('OwnerId'))).toEqual(['005mine', '005theirs'])
  })

  test("who has no last name, or no company, gets Salesforce's own word for that, which is nobody's name", async () => {
    const { connector, org } = await orgWith({ objects: ['lead', 'contact'] })
    const outcome = await one(connector, { op: 'create', ref: 'c', key: 'k', fields: { Email: 'info@example.org' } })
    if (outcome.kind !== 'written') throw new Error('not written')
    const { id, fields } = outcome.record
    expect(fields).toMatchObject({ LastName: null, Company: null, Email: 'info@example.org' })
    expect([...(org.get(id)?.values ?? [])]).toEqual(
      expect.arrayContaining([
        ['LastName', '[not provided]'],
        ['Company', '[not provided]'],
      ]),
    )
    await one(connector, update(id, { LastName: 'King', Company: 'Acme' }))
    const blanked = await one(connector, update(id, { LastName: null, Company: ' ' }))
    expect(blanked).toMatchObject({ kind: 'written', record: { fields: { LastName: null, Company: null } } })
  })

  test('the name of an account is read, and is no field of the contact to write; a lead has a company of its own', async () => {
    const { connector, org } = await orgWith()
    const contact = org.create('Contact', { LastName: 'King', AccountId: org.addAccount('Acme') }).Id
    const lead = org.create('Lead', { LastName: 'King', Company: 'Acme' }).Id
    const outcomes = await connector.write([
      update(contact, { Company: 'Other' }, 'contact'),
      update(lead, { Company: 'Other', Birthdate: '1815-12-10' }, 'lead'),
    ])
    expect(outcomes).toMatchObject([
      { kind: 'written', record: { fields: { Company: 'Acme' } } },
      { kind: 'written', record: { fields: { Company: 'Other', Birthdate: null } } },
    ])
  })

  test('an opt-out is ticked when that is asked for, and unticked by nothing else (I7)', async () => {
    const { connector, org } = await orgWith()
    const { Id } = org.create('Contact', {
      LastName: 'King',
      HasOptedOutOfEmail: true,
      EmailBouncedDate: '2026-01-01T00:00:00Z',
    })
    await connector.write([update(Id, { HasOptedOutOfEmail: null, Title: 'a' }, '1')])
    await connector.write([update(Id, { Email: 'king@example.org', EmailBouncedDate: null }, '2')])
    expect(org.get(Id)?.values.get('HasOptedOutOfEmail')).toBe(true)
    expect(org.get(Id)?.values.get('EmailBouncedDate')).toBe('2026-01-01T00:00:00Z')
    const other = org.create('Lead', { LastName: 'King', Company: 'Acme' }).Id
    expect(await one(connector, update(other, { HasOptedOutOfEmail: true }))).toMatchObject({
      kind: 'written',
      record: { fields: { HasOptedOutOfEmail: true } },
    })
    const { fields } = await connector.check()
    const writable = (name: string): boolean | undefined => fields.find((field) => field.name === name)?.writable
    expect([writable('HasOptedOutOfEmail'), writable('EmailBouncedDate')]).toEqual([true, false])
  })

  test.each([
    ['obey', 'warn', 'DUPLICATES_DETECTED'],
    ['overrule', 'block', 'DUPLICATES_DETECTED'],
    ['overrule', 'warn', undefined],
  ] as const)('duplicate rules: %s, where the org has one that says %s', async (duplicateRules, rule, code) => {
    const { connector, org } = await orgWith({ duplicateRules })
    org.create('Contact', { LastName: 'King', Email: 'ada1@example.org' })
    org.duplicateRule = rule
    const failure = failureIn(await one(connector, create(1)))
    expect([failure?.code, failure?.kind]).toEqual([code, code && 'permanent'])
    expect(failure?.advice?.includes('merge the two')).toBe(code && true)
  })

  test('a value of the wrong kind, for which Salesforce refuses all, is refused for its own record only', async () => {
    const { connector, org } = await orgWith()
    const ids = Array.from({ length: 7 }, (_, n) => org.create('Contact', { LastName: `C ${n}` }).Id)
    const outcomes = await connector.write(
      ids.map((id, n) => update(id, { Birthdate: n === 4 ? 'in spring' : '1985-04-12' }, `u${n}`)),
    )
    expect(outcomes.map((outcome) => failureIn(outcome)?.kind ?? outcome.kind)).toEqual(
      ids.map((_, n) => (n === 4 ? 'permanent' : 'written')),
    )
    expect(JSON.stringify(outcomes[4])).not.toContain('spring')
  })

  test('a text that looks like a reference to another part of the request is only a text', async () => {
    const { connector, org } = await orgWith({ keyField: KEY }, { keyField: KEY })
    const ids = ['A', 'B'].map((name) => org.create('Contact', { LastName: name }).Id)
    const outcomes = await connector.write([
      update(ids[0] ?? '', { Title: 'see @{create[0].id}' }, 'u0'),
      update(ids[1] ?? '', { Title: 'plain' }, 'u1'),
      create(1, { Title: '@{read}' }),
      create(2),
    ])
    const titles = outcomes.map((outcome) => outcome.kind === 'written' && outcome.record.fields['Title'])
    expect(titles).toEqual(['see @{create[0].id}', 'plain', '@{read}', null])
    const again = await one(connector, create(1, { Title: '@{read}' }))
    expect(again).toMatchObject({ kind: 'written', record: { fields: { Title: '@{read}' } } })
    expect(org.living()).toHaveLength(4)
    const mixed = await connector.write([
      update(ids[0] ?? '', { Title: '@{x}', Birthdate: 'in spring' }, 'bad'),
      update(ids[1] ?? '', { Title: '@{x}' }, 'good'),
    ])
    expect(mixed.map((outcome) => failureIn(outcome)?.kind ?? outcome.kind)).toEqual(['permanent', 'written'])
  })

  test('where one of several requests is lost, what was done before it is told as done', async () => {
    const { connector, org, simulator } = await orgWith({ keyField: KEY }, { keyField: KEY })
    const { Id } = org.create('Contact', { LastName: 'King' })
    await connector.check()
    simulator.faults.loseCreates = true
    const outcomes = await connector.write([create(1, { Title: '@{x}' }), update(Id, { Title: 'done' })])
    expect(outcomes.map((outcome) => failureIn(outcome)?.kind ?? outcome.kind)).toEqual(['uncertain', 'written'])
    simulator.faults.loseCreates = false
    expect((await one(connector, create(1, { Title: '@{x}' }))).kind).toBe('written')
    expect(org.living()).toHaveLength(2)
  })

  test('a record that was merged away is a conflict, not gone', async () => {
    const { connector, org } = await orgWith()
    const [loser = '', winner = ''] = ['A', 'B'].map((name) => org.create('Contact', { LastName: name }).Id)
    org.merge(loser, winner)
    expect(failureIn(await one(connector, update(loser, { Title: 'late' })))?.kind).toBe('conflict')
  })

  test('another value that must be unique is refused, and is not taken for our own create', async () => {
    const custom = [customField('Number__c', 'string', 20, { unique: true })]
    const { connector, org } = await orgWith({ keyField: KEY }, { keyField: KEY, custom })
    org.create('Contact', { LastName: 'King', Number__c: '42' })
    expect(failureIn(await one(connector, create(1, { Number__c: '42' })))).toMatchObject({
      kind: 'permanent',
      code: 'DUPLICATE_VALUE',
    })
  })

  test('a lost create is found among people of the same address, whatever characters the name has', async () => {
    const { connector, org } = await orgWith()
    org.create('Contact', { LastName: 'Other', Email: 'shared@example.org' })
    const name = `O'Brien \\' OR LastName != '\\`
    const lost = create(1, { Email: 'shared@example.org', LastName: name })
    const outcome = await one(connector, lost)
    if (outcome.kind !== 'written' || lost.op !== 'create') throw new Error('not written')
    expect((await connector.find?.(lost))?.map(({ id }) => id)).toEqual([outcome.record.id])
    const never: WriteRequest = { op: 'create', ref: 'n', key: 'n', fields: { LastName: name, FirstName: 'Nobody' } }
    expect(await connector.find?.(never)).toEqual([])
  })
})

describe('limits and sessions', () => {
  test('what is beyond our share of the calls of a day is left to others', async () => {
    const { connector, simulator, pass, asked } = await orgWith({ usageMax: 0.5 })
    await connector.check()
    simulator.faults.usage.used = 50_000
    expect((await connector.check()).warnings.join()).toContain('API calls')
    asked()
    pass(MINUTE_MS)
    expect(await failureOf(connector.read(['003Kith00000001AAA']))).toMatchObject({
      kind: 'ratelimited',
      code: 'API-USAGE',
      retryAfter_ms: 14 * MINUTE_MS,
    })
    expect(asked()).toBe(0)
    pass(14 * MINUTE_MS)
    simulator.faults.usage.used = 1000
    await connector.read(['003Kith00000001AAA'])
    await connector.read(['003Kith00000001AAA'])
    expect(asked()).toBe(2)
  })

  test('a day that is used up is waited out by the quarter of an hour', async () => {
    const { connector, simulator } = await orgWith()
    const message = 'TotalRequests Limit exceeded.'
    simulator.faults.fail = { status: 403, times: 1, errorCode: 'REQUEST_LIMIT_EXCEEDED', message }
    expect(await failureOf(connector.check())).toMatchObject({ kind: 'ratelimited', retryAfter_ms: 15 * MINUTE_MS })
  })

  const SIMULATED = { client: { id: 'id', secret: 'hush' } }
  /** A sign-in by client credentials, without a store. */
  const byClient = async (loginUrl: string, now: () => number): Promise<SignIn> => {
    const parsed = salesforce.options.parse({
      clientId: 'id',
      clientSecret: 'hush',
      grant: 'client_credentials',
      loginUrl,
    })
    const plan = salesforce.oauth?.(parsed)
    if (!plan) throw new Error('no plan')
    const oauth = new OAuth(plan, { connection: 'crm', title: 'Salesforce', now, retryPause_ms: 1 })
    let tokens = await oauth.byClient()
    return {
      token: () => Promise.resolve({ value: tokens.access, account: tokens.account }),
      renewed: async () => {
        tokens = await oauth.byClient()
        return { value: tokens.access, account: tokens.account }
      },
      refusal: () => oauth.ended('the app refuses a token that it has just handed out'),
    }
  }

  test('client credentials tell where the org is and which; an expired session is renewed once, for a write too', async () => {
    const { connector, simulator, org } = await orgWith({}, SIMULATED, byClient)
    await connector.check()
    simulator.expireSessions()
    const before = simulator.traffic.length
    expect((await one(connector, create(1))).kind).toBe('written')
    expect(simulator.traffic.slice(before).map(({ path, status }) => `${path.split('/').at(-1)} ${status}`)).toEqual([
      'composite 401',
      'token 200',
      'composite 200',
      'composite 200',
    ])
    expect(org.living()).toHaveLength(1)
  })

  test('a sign-in that was withdrawn is auth', async () => {
    const { connector, simulator } = await orgWith({}, SIMULATED, byClient)
    await connector.check()
    simulator.faults.revoked = true
    expect((await failureOf(connector.check())).kind).toBe('auth')
  })

  test('a key field that is not unique, or not there, is said by check', async () => {
    const { connector } = await orgWith({ keyField: 'Other__c' }, { custom: [customField('Other__c', 'string', 64)] })
    const failure = await failureOf(connector.check())
    expect(failure).toMatchObject({ kind: 'permanent', code: 'KEY-FIELD' })
    expect(failure.message).toContain('Contact and Lead')
  })
})

describe('fields', () => {
  test('custom fields and picklists are told from the org, with types and values, and of which object they are', async () => {
    const values = ['hot', 'cold', 'tepid'].map((value) => {
      return { value, label: value.toUpperCase(), active: value !== 'tepid' }
    })
    const custom = [
      customField('Heat__c', 'picklist', 255, { picklistValues: values, restricted: true }),
      customField('Interests__c', 'multipicklist', 4099),
    ]
    const { connector } = await orgWith({}, { custom })
    const { fields, summary } = await connector.check()
    const told = new Map(fields.map((field) => [field.name, field]))
    expect(summary).toBe('Salesforce org with 0 contacts and 0 leads')
    expect(told.get('Heat__c')).toMatchObject({
      type: 'picklist',
      writable: true,
      options: [
        { value: 'hot', label: 'HOT' },
        { value: 'cold', label: 'COLD' },
      ],
    })
    // Not restricted, of leads only; and of both.
    expect(told.get('Industry')?.options).toContainEqual({ value: 'Banking', label: 'Banking' })
    expect(told.get('LeadSource')?.options).toHaveLength(5)
    expect(told.get('Interests__c')).toMatchObject({ type: 'multipicklist, several separated by ;' })
    expect(told.get('Title')?.options).toBeUndefined()
    expect(told.get('Birthdate')).toMatchObject({ label: 'Birthdate (contacts only)', type: 'date' })
    expect(told.get('Company')).toMatchObject({ writable: true, length_max: 255 })
    expect(told.get('MailingStreet')?.label).not.toContain('only')
    for (const name of ['Id', 'Street', 'MailingAddress', 'SystemModstamp', 'IsConverted'])
      expect(told.has(name)).toBe(false)
    const outcome = await one(connector, create(1, { Heat__c: 'lukewarm' }))
    expect(failureIn(outcome)).toMatchObject({ kind: 'permanent', code: 'INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST' })
    expect(JSON.stringify(outcome)).not.toContain('lukewarm')
  })

  test('only the mapped fields are asked for', async () => {
    const { connector, org, simulator } = await orgWith()
    org.create('Contact', { LastName: 'King', Title: 'Countess' })
    connector.select(['LastName', 'MailingStreet'])
    const { follower } = await follow(connector)
    expect([...follower.records.values()].map(({ fields }) => fields)).toEqual([
      { LastName: 'King', MailingStreet: null },
    ])
    expect(JSON.stringify(simulator.traffic.at(-1)?.body)).not.toContain('Title')
  })
})
