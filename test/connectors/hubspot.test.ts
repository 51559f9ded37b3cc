import { afterEach, describe, expect, test } from '@jest/globals'
import { connectHubSpot, hubspot } from '../../connectors/hubspot/index.ts'
import {
  startHubSpotSimulator,
  type HubSpotSimulator,
  type SimulatorOptions,
} from '../../connectors/hubspot/simulator.ts'
import { isRefusal } from '../../connectors/hubspot/simulator-contacts.ts'
import type { Pacer } from '../../connectors/pacer.ts'
import type { FailureError } from '../../engine/core/failure.ts'
import type { Connector, Sighting, WriteRequest } from '../../engine/core/ports/connector.ts'
import { Follower, idOf } from '../conformance/follower.ts'

const TOKEN = 'pat-eu1-secret'
const MINUTE_MS = 60_000

let open: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of open) await close()
  open = []
})

interface Account {
  readonly simulator: HubSpotSimulator
  readonly connector: Connector
  /** Adds a contact as a human does; returns its id. */
  readonly add: (properties: { [name: string]: string }) => string
  /** Lets time pass. */
  readonly pass: (ms: number) => void
  /** What was asked since the last call: method, path without query, and how often. */
  readonly asked: () => { [route: string]: number }
  /** How long the client held itself back. */
  readonly pauses_ms: number[]
}

async function account(options: Partial<SimulatorOptions> = {}, retries_max = 0): Promise<Account> {
  let ahead_ms = 0
  const now = (): number => Date.now() + ahead_ms
  const simulator = await startHubSpotSimulator({ token: TOKEN, now, ...options })
  const pauses_ms: number[] = []
  const pacer: Pacer = { run: (work) => work(), cool: (pause_ms) => void pauses_ms.push(pause_ms) }
  const connector = connectHubSpot(
    { token: TOKEN, basePath: simulator.url },
    { connection: 'crm', baseDir: '.', now },
    { retries_max, retryPause_ms: 1, searchLag_ms: 0, pacers: { requests: pacer, searches: pacer } },
  )
  open.push(
    () => connector.close(),
    () => simulator.close(),
  )
  let counted = 0
  return {
    simulator,
    connector,
    pauses_ms,
    add(properties) {
      const result = simulator.contacts.create(properties, 'CRM_UI')
      if (isRefusal(result)) throw new Error(result.message)
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

const BASE = '/crm/v3/objects/contacts'
const create = (n: number, fields = {}): WriteRequest => ({
  op: 'create',
  ref: `c${n}`,
  key: `key-${n}`,
  fields: { firstname: `Ada ${n}`, 'email.all': [`ada${n}@example.org`], ...fields },
})
const update = (id: string, fields: { [name: string]: string }, ref = `u${id}`): WriteRequest => ({
  op: 'update',
  ref,
  id,
  rev: null,
  fields,
})
const told = (sightings: readonly Sighting[]): string[] => sightings.map((one) => `${one.kind} ${idOf(one)}`).toSorted()

describe('what is asked of HubSpot', () => {
  test('a quiet pass is one search, and a pass after an edit one more request (I2)', async () => {
    const { connector, add, simulator, asked } = await account()
    const ids = Array.from({ length: 120 }, (_, n) => add({ firstname: `Ada ${n}` }))
    const follower = new Follower(connector)
    connector.select?.(['firstname'])
    await follower.follow()
    expect(asked()).toEqual({ [`GET ${BASE}`]: 2, [`POST ${BASE}/batch/read`]: 3 })
    await follower.follow()
    expect(asked()).toEqual({ [`POST ${BASE}/search`]: 1 })
    simulator.contacts.update(ids[3] ?? '', { firstname: 'Grace' }, 'CRM_UI')
    expect((await follower.follow()).changed).toEqual([ids[3]])
    expect(asked()).toEqual({ [`POST ${BASE}/search`]: 1, [`POST ${BASE}/batch/read`]: 1 })
  })

  test('a hundred creates are one request, a hundred updates two, a hundred deletes one', async () => {
    const { connector, asked } = await account()
    const outcomes = await connector.write(Array.from({ length: 100 }, (_, n) => create(n)))
    const ids = outcomes.map((outcome) => (outcome.kind === 'written' ? outcome.record.id : ''))
    expect(asked()).toEqual({ 'GET /crm/v3/properties/contacts': 1, [`POST ${BASE}/batch/create`]: 1 })
    await connector.write(ids.map((id) => update(id, { jobtitle: 'Countess' })))
    expect(asked()).toEqual({ [`POST ${BASE}/batch/update`]: 1, [`POST ${BASE}/batch/read`]: 1 })
    await connector.write(ids.map((id) => ({ op: 'delete', ref: id, id, rev: null, archive: true })))
    expect(asked()).toEqual({ [`POST ${BASE}/batch/archive`]: 1 })
  })

  test('only the selected fields are asked for and answered', async () => {
    const { connector, add, simulator } = await account()
    const id = add({ firstname: 'Ada', jobtitle: 'Countess', email: 'ada@example.org' })
    connector.select?.(['firstname', 'email.all'])
    const [answer] = await connector.read([id])
    expect(answer?.kind === 'record' && answer.record.fields).toEqual({
      firstname: 'Ada',
      'email.all': ['ada@example.org'],
    })
    const body = simulator.requests.at(-1)?.body as { properties: string[] }
    expect(body.properties).toEqual(['firstname', 'email', 'hs_additional_emails', 'hs_merged_object_ids'])
  })
})

describe('the change feed', () => {
  test('any number of changes comes by searches forward in time, none of them by offset: the cap of 10,000 is never met', async () => {
    const { connector, add, simulator, asked, pass } = await account()
    const follower = new Follower(connector)
    await follower.follow()
    asked()
    const { contacts } = simulator
    const ids = Array.from({ length: 2600 }, (_, n) => {
      // An import stamps thousands with one millisecond.
      contacts.frozen = n > 500 && n < 1300
      return add({ firstname: `Ada ${n}` })
    })
    const seen = new Set<string>()
    for await (const page of connector.pull(follower.cursor)) {
      for (const one of page.sightings) seen.add(idOf(one))
      follower.cursor = page.cursor ?? follower.cursor
    }
    expect(seen).toEqual(new Set(ids))
    expect(asked()[`POST ${BASE}/search`]).toBeLessThan(22)
    const searches = simulator.requests.filter(({ path }) => path.endsWith('/search'))
    expect(searches.filter(({ body }) => Object(body).after !== undefined)).toEqual([])
    // Once the import is out of the overlap, quiet is one request again.
    for (let n = 0; n < 4; n++) {
      pass(4 * MINUTE_MS)
      asked()
      for await (const page of connector.pull(follower.cursor)) follower.cursor = page.cursor ?? follower.cursor
    }
    expect(asked()).toEqual({ [`POST ${BASE}/search`]: 1 })
  })

  test('a change that the search shows minutes late is not missed', async () => {
    const { connector, add, simulator, pass } = await account({ searchLag_ms: 2 * MINUTE_MS })
    const [late, other] = [add({ firstname: 'Ada' }), add({ firstname: 'Grace' })]
    pass(10 * MINUTE_MS)
    const follower = new Follower(connector)
    await follower.follow()
    simulator.contacts.update(late, { firstname: 'Augusta' }, 'CRM_UI')
    pass(MINUTE_MS)
    simulator.contacts.update(other, { firstname: 'Hopper' }, 'CRM_UI')
    expect((await follower.follow()).changed).toEqual([])
    pass(MINUTE_MS + 1000)
    expect((await follower.follow()).changed).toEqual([late])
    pass(MINUTE_MS)
    expect((await follower.follow()).changed).toEqual([other])
  })

  test('a deletion that the count cannot show is found by the next look through the archive', async () => {
    const { connector, add, simulator, pass } = await account()
    const ids = [add({ firstname: 'Ada' }), add({ firstname: 'Grace' })]
    simulator.contacts.archive(ids[1] ?? '')
    pass(10 * MINUTE_MS)
    const follower = new Follower(connector)
    await follower.follow()
    // One goes, one comes back, and the count is the same.
    simulator.contacts.archive(ids[0] ?? '')
    simulator.contacts.restore(ids[1] ?? '')
    expect((await follower.follow()).gone).toEqual([])
    pass(16 * MINUTE_MS)
    expect((await follower.follow()).gone).toEqual([ids[0]])
  })

  test('a GDPR delete leaves no trace but the count, which has all contacts listed (I5)', async () => {
    const { connector, add, simulator, pass } = await account()
    const ids = [add({ firstname: 'Ada' }), add({ firstname: 'Grace' })]
    pass(20 * MINUTE_MS)
    const follower = new Follower(connector)
    await follower.follow()
    simulator.contacts.gdprDelete(ids[0] ?? '')
    expect((await follower.follow()).inventory).toBe(false)
    pass(6 * MINUTE_MS)
    expect((await follower.follow()).inventory).toBe(false)
    pass(16 * MINUTE_MS)
    const pass3 = await follower.follow()
    expect([pass3.complete, pass3.gone]).toEqual([true, [ids[0]]])
    const after = await follower.follow()
    expect([after.inventory, after.sightings]).toEqual([false, []])
  })

  test('a contact that people take back from the archive is found again by a listing', async () => {
    const { connector, add, simulator, pass } = await account()
    const id = add({ firstname: 'Ada' })
    const follower = new Follower(connector)
    await follower.follow()
    simulator.contacts.archive(id)
    expect((await follower.follow()).gone).toEqual([id])
    simulator.contacts.restore(id)
    pass(20 * MINUTE_MS)
    await follower.follow()
    pass(20 * MINUTE_MS)
    await follower.follow()
    pass(20 * MINUTE_MS)
    await follower.follow()
    expect([...follower.records.keys()]).toEqual([id])
  })

  test('an archived contact that was merged or taken back is not told as deleted', async () => {
    const { connector, add, simulator } = await account()
    const [primary, other, back] = [add({ firstname: 'Ada' }), add({ firstname: 'Ida' }), add({ firstname: 'Grace' })]
    const follower = new Follower(connector)
    await follower.follow()
    const { id } = simulator.contacts.merge(primary, other)
    simulator.contacts.archive(back)
    simulator.contacts.restore(back)
    const { sightings } = await follower.follow()
    expect(told(sightings)).toEqual([`hint ${id}`, `merged ${primary}`, `merged ${other}`].toSorted())
  })
})

describe('merges', () => {
  for (const mergedLeftOut of [false, true]) {
    const how = mergedLeftOut ? 'passes over a merged id in silence' : 'answers a merged id with what it became'
    test(`where a batch ${how}, reading says where it went, and writing says to read again`, async () => {
      const { connector, add, simulator } = await account()
      const [primary, other, bystander] = [
        add({ firstname: 'Ada' }),
        add({ firstname: 'Ida' }),
        add({ firstname: 'Grace' }),
      ]
      const into = simulator.contacts.merge(primary, other).id
      simulator.faults.mergedLeftOut = mergedLeftOut
      const answers = await connector.read([primary, other, bystander])
      expect(answers.slice(0, 2)).toEqual([
        { kind: 'merged', id: primary, into },
        { kind: 'merged', id: other, into },
      ])
      const outcomes = await connector.write([update(primary, { jobtitle: 'x' }), update(bystander, { jobtitle: 'y' })])
      expect(outcomes.map((one) => (one.kind === 'failed' ? one.failure.kind : one.kind))).toEqual([
        'conflict',
        'written',
      ])
    })
  }

  test('a merge of merges leads every old id to the contact that stands', async () => {
    const { connector, add, simulator } = await account()
    const ids = [add({ firstname: 'A' }), add({ firstname: 'B' }), add({ firstname: 'C' })]
    const first = simulator.contacts.merge(ids[0] ?? '', ids[1] ?? '').id
    const last = simulator.contacts.merge(first, ids[2] ?? '').id
    const answers = await connector.read([...ids, first, last])
    expect(answers.map((answer) => (answer.kind === 'merged' ? answer.into : answer.kind))).toEqual([
      last,
      last,
      last,
      last,
      'record',
    ])
  })
})

describe('writes settled one by one', () => {
  test('where an account refuses a batch as a whole, the halves are sent, and only the bad one fails', async () => {
    const { connector, simulator } = await account()
    simulator.faults.noMultiStatus = true
    const requests = Array.from({ length: 16 }, (_, n) =>
      n === 5 ? create(n, { 'email.all': ['not an address'] }) : create(n),
    )
    const outcomes = await connector.write(requests)
    expect(outcomes.filter(({ kind }) => kind === 'failed')).toEqual([
      {
        ref: 'c5',
        kind: 'failed',
        failure: {
          kind: 'permanent',
          code: 'VALIDATION_ERROR',
          message: 'HubSpot refuses the field email (INVALID_EMAIL)',
        },
      },
    ])
    expect(simulator.contacts.live()).toHaveLength(15)
  })

  test('where results do not repeat the trace id, creates are told apart by what they wrote', async () => {
    const { connector, simulator } = await account()
    simulator.faults.noTraceInResults = true
    const outcomes = await connector.write([create(1), create(2), { ...create(3), ref: 'twin' }])
    for (const outcome of outcomes) {
      const [answer] = outcome.kind === 'written' ? await connector.read([outcome.record.id]) : []
      expect(answer?.kind === 'record' && answer.record.fields['firstname']).toBe(
        { c1: 'Ada 1', c2: 'Ada 2', twin: 'Ada 3' }[outcome.ref],
      )
    }
  })

  test('an address that another contact holds parks the create, and names that contact only by its id (I15)', async () => {
    const { connector, add } = await account()
    const id = add({ email: 'main@example.org', hs_additional_emails: 'ada1@example.org' })
    const [outcome] = await connector.write([create(1)])
    expect(outcome).toMatchObject({ kind: 'failed', failure: { kind: 'permanent', code: 'CONFLICT' } })
    expect(JSON.stringify(outcome)).toContain(`The contact ${id} in HubSpot`)
    expect(JSON.stringify(outcome)).not.toContain('example.org')
  })

  test('the primary address stays, others are added and taken away; a read-only list of them is left alone', async () => {
    const { connector, add, simulator } = await account()
    const id = add({ email: 'a@example.org', hs_additional_emails: 'b@example.org' })
    const held = (): (string | undefined)[] => {
      const properties = simulator.contacts.resolve(id)?.properties
      return [properties?.get('email'), properties?.get('hs_additional_emails')]
    }
    const write = (emails: string[]) =>
      connector.write([{ op: 'update', ref: 'u', id, rev: null, fields: { 'email.all': emails } }])
    await write(['a@example.org', 'c@example.org', 'b@example.org'])
    expect(held()).toEqual(['a@example.org', 'c@example.org;b@example.org'])
    await write(['c@example.org'])
    expect(held()).toEqual(['c@example.org', undefined])

    const readOnly = {
      name: 'hs_additional_emails',
      label: 'Additional',
      type: 'enumeration',
      fieldType: 'checkbox',
      readOnly: true,
    } as const
    const other = await account({ properties: [readOnly] })
    const one = other.add({ email: 'a@example.org' })
    const [outcome] = await other.connector.write([
      { op: 'update', ref: 'u', id: one, rev: null, fields: { 'email.all': ['new@example.org', 'b@example.org'] } },
    ])
    expect(outcome?.kind === 'written' && outcome.record.fields['email.all']).toEqual(['new@example.org'])
  })

  test('a create without an address is found by a search when its answer was lost', async () => {
    const { connector, simulator } = await account()
    simulator.faults.lostAnswers = 1
    const request = {
      ...create(1),
      fields: { firstname: 'Ada', lastname: 'Lovelace', phone: '+49 30 1' },
    } as WriteRequest & { op: 'create' }
    const [outcome] = await connector.write([request])
    expect(outcome).toMatchObject({ kind: 'failed', failure: { kind: 'uncertain' } })
    expect(await connector.find?.(request)).toHaveLength(1)
    expect(await connector.find?.({ ...request, fields: { ...request.fields, lastname: 'Byron' } })).toEqual([])
  })

  test('the properties of the account are listed with their choices', async () => {
    const { connector } = await account()
    const { fields, summary } = await connector.check()
    const stage = fields.find(({ name }) => name === 'lifecyclestage')
    expect(stage).toMatchObject({ type: 'enumeration' })
    expect(stage?.options).toContainEqual({ value: 'lead', label: 'Lead' })
    expect(summary).toBe('0 contacts, 23 properties')
  })

  test('an opt-out is told by address, before anything else, and never taken back (I7)', async () => {
    const { simulator, connector, add, asked } = await account()
    const id = add({ email: 'ada@example.org', firstname: 'Ada' })
    connector.select?.(['firstname', 'email', 'email.all', 'hs_email_optout'])
    asked()
    const [both, bare, loosened] = await connector.write([
      update(id, { firstname: 'Ada B', hs_email_optout: 'true' }),
      {
        op: 'create',
        ref: 'c2',
        key: 'key-2',
        fields: { firstname: 'Bob', 'email.all': ['bob@example.org'], hs_email_optout: 'true' },
      },
      update(id, { hs_email_optout: 'false' }, 'loosened'),
    ])
    expect(both).toMatchObject({ kind: 'written', record: { fields: { firstname: 'Ada B', hs_email_optout: 'true' } } })
    expect(bare).toMatchObject({ kind: 'written' })
    expect(loosened).toMatchObject({ kind: 'failed', failure: { kind: 'permanent', code: 'NOT-LOOSENED' } })
    expect(simulator.contacts.live().map(({ properties }) => properties.get('hs_email_optout'))).toEqual([
      'true',
      'true',
    ])
    const paths = simulator.requests.map(({ path }) => path)
    const told = paths.findIndex((path) => path.includes('unsubscribe-all'))
    expect(told).toBeLessThan(paths.findIndex((path) => path.includes('batch/update')))
  })

  test('only an opt-out is one request for the address, and nothing is written to the contact', async () => {
    const { simulator, connector, add, asked } = await account()
    const id = add({ email: 'ada@example.org', firstname: 'Ada' })
    connector.select?.(['email', 'hs_email_optout'])
    asked()
    const [done] = await connector.write([update(id, { hs_email_optout: 'true' })])
    expect(done).toMatchObject({ kind: 'written', record: { fields: { hs_email_optout: 'true' } } })
    expect(Object.keys(asked()).filter((route) => route.includes('batch/update'))).toEqual([])
    expect(simulator.contacts.resolve(id)?.properties.get('hs_email_optout')).toBe('true')
  })

  test('a token that may not unsubscribe costs that contact only, and says which scope it lacks', async () => {
    const { simulator, connector, add } = await account()
    const [one, two] = [add({ email: 'ada@example.org' }), add({ email: 'bob@example.org' })]
    simulator.faults.subscriptionsForbidden = true
    const [refused, written] = await connector.write([
      update(one as string, { hs_email_optout: 'true', firstname: 'X' }),
      update(two as string, { firstname: 'Bob' }),
    ])
    expect(refused).toMatchObject({
      failure: {
        kind: 'permanent',
        code: 'MISSING_SCOPES',
        advice: expect.stringContaining('subscriptions-status-write'),
      },
    })
    expect(written).toMatchObject({ kind: 'written' })
    expect(simulator.contacts.resolve(one as string)?.properties.get('firstname')).toBeUndefined()
  })
})

describe('limits', () => {
  test('a read that is asked to wait waits as told and goes on; the pause holds everyone', async () => {
    const { connector, simulator, pauses_ms } = await account({}, 2)
    simulator.faults.fail = { status: 429, times: 1, retryAfter: '7' }
    await new Follower(connector).follow()
    expect(pauses_ms).toEqual([7000])
  })

  test('where others use the account too, the client slows down before it is refused', async () => {
    const { connector, pauses_ms, simulator } = await account({ requests_max: 12 })
    for (let n = 0; n < 11; n++) await connector.read(['1'])
    expect(pauses_ms.length).toBeGreaterThan(0)
    expect(simulator.requests.filter(({ status }) => status === 429)).toEqual([])
  })

  test("the day's limit is waited for by the hour, not by the second", async () => {
    const { connector, simulator } = await account({}, 2)
    simulator.faults.fail = { status: 429, times: 5, policyName: 'DAILY' }
    const failed = new Follower(connector).follow().catch((error: unknown) => (error as FailureError).failure)
    expect(await failed).toMatchObject({ kind: 'ratelimited', code: 'RATE_LIMIT', retryAfter_ms: 3_600_000 })
    expect(simulator.requests).toHaveLength(1)
  })

  test('a 404 for the whole of a batch has deleted nobody (I5)', async () => {
    const { connector, add, simulator } = await account()
    const id = add({ firstname: 'Ada' })
    for (const call of [() => connector.read([id]), () => connector.write([update(id, { jobtitle: 'x' })])]) {
      simulator.faults.fail = { status: 404, times: 1, path: /batch/ }
      const outcome = await call().catch((error: unknown) => (error as FailureError).failure)
      expect(JSON.stringify(outcome)).toContain('"permanent"')
    }
  })

  test('options name their secrets, and an account is known without them (I15)', () => {
    expect(hubspot.secrets).toEqual(['token', 'clientSecret', 'developerKey'])
    const options = hubspot.options.parse({ token: TOKEN })
    expect(hubspot.account(options, { baseDir: '.' })).not.toContain(TOKEN)
    expect(hubspot.account(hubspot.options.parse({ token: 'x', portal: 4242 }), { baseDir: '.' })).toContain('4242')
    expect(hubspot.options.safeParse({ token: TOKEN, tokn: 1 }).success).toBe(false)
  })
})
