import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import type { Tuning } from '../../connectors/mailchimp/client.ts'
import { connectMailchimp, mailchimp, type MailchimpConnector } from '../../connectors/mailchimp/index.ts'
import {
  startMailchimpSimulator,
  type MailchimpSimulator,
  type SimulatorOptions,
} from '../../connectors/mailchimp/simulator.ts'
import { isRefusal, type MemberInput, type MemberStatus } from '../../connectors/mailchimp/simulator-audience.ts'
import { FailureError } from '../../engine/core/failure.ts'
import type { Json, JsonObject } from '../../engine/core/json.ts'
import type { FeedPage, UpdateRequest, WriteOutcome } from '../../engine/core/ports/connector.ts'

const KEY = 'secret-us6'
const AUDIENCE = '9e67587f52'
const FIELDS = ['email_address', 'FNAME', 'LNAME', 'COMPANY', 'ADDRESS', 'PHONE', 'BIRTHDAY', 'tags', 'status']

let simulator: MailchimpSimulator
let connector: MailchimpConnector

async function open(options: Partial<SimulatorOptions> = {}, own: JsonObject = {}, tuning: Tuning = {}): Promise<void> {
  await close()
  simulator = await startMailchimpSimulator({ apiKey: KEY, audience: AUDIENCE, ...options })
  connector = connectMailchimp(
    mailchimp.options.parse({ audience: AUDIENCE, apiKey: KEY, basePath: simulator.url, ...own }),
    { connection: 'newsletter', baseDir: '.', now: Date.now },
    { retries_max: 0, ...tuning },
  )
  connector.select(FIELDS)
}

async function close(): Promise<void> {
  await (connector as MailchimpConnector | undefined)?.close()
  await (simulator as MailchimpSimulator | undefined)?.close()
}

beforeEach(() => open())
afterEach(() => close())

function add(email: string, more: MemberInput = {}): string {
  const result = simulator.audience.add({ email_address: email, status: 'subscribed', ...more }, 'admin')
  if (isRefusal(result)) throw new Error(result.detail)
  return result.contactId
}

const create = (fields: JsonObject, key = 'k') => ({ op: 'create' as const, ref: `c-${key}`, key, fields })
const update = (id: string, fields: JsonObject, ref = `u-${id}`): UpdateRequest => ({
  op: 'update',
  ref,
  id,
  rev: null,
  fields,
})
const remove = (id: string) => ({ op: 'delete' as const, ref: 'd', id, rev: null, archive: true })

const codes = (outcomes: readonly WriteOutcome[]): (string | undefined)[] =>
  outcomes.map((outcome) => (outcome.kind === 'failed' ? outcome.failure.code : outcome.kind))
const kinds = (outcomes: readonly WriteOutcome[]): string[] =>
  outcomes.map((outcome) => (outcome.kind === 'failed' ? outcome.failure.kind : outcome.kind))

async function pull(cursor: Json | null): Promise<{ pages: FeedPage[]; cursor: Json; ids: string[]; gone: string[] }> {
  const pages: FeedPage[] = []
  for await (const page of connector.pull(cursor)) pages.push(page)
  const sightings = pages.flatMap((page) => page.sightings)
  return {
    pages,
    cursor: pages.at(-1)?.cursor ?? null,
    ids: sightings.flatMap((sighting) => (sighting.kind === 'record' ? [sighting.record.id] : [])),
    gone: sightings.flatMap((sighting) => (sighting.kind === 'gone' ? [sighting.id] : [])),
  }
}

const sent = (method: string): { path: string; body: JsonObject }[] =>
  simulator.requests
    .filter((request) => request.method === method)
    .map(({ path, body }) => ({ path: path.replace(/\?.*/, ''), body: body as JsonObject }))
const status = (id: string): MemberStatus => simulator.audience.get(id).status

describe('consent in Mailchimp (I7)', () => {
  test('no update sends a status that it was not told to, and what the person chose meanwhile stands', async () => {
    const ids = Array.from({ length: 5 }, (_, n) => add(`p${n}@example.org`))
    await connector.read(ids)
    simulator.audience.optOut(ids[0] ?? '')
    simulator.audience.update(simulator.audience.get(ids[1] ?? ''), { status: 'unsubscribed' }, 'admin')
    const outcomes = await connector.write(ids.map((id, n) => update(id, { COMPANY: `Acme ${n}` })))
    expect(kinds(outcomes)).toEqual(ids.map(() => 'written'))
    expect(ids.map(status)).toEqual(['unsubscribed', 'unsubscribed', 'subscribed', 'subscribed', 'subscribed'])
    const [batch] = sent('POST')
    expect(batch?.body['update_existing']).toBe(true)
    for (const member of (batch?.body['members'] ?? []) as JsonObject[])
      expect(Object.keys(member)).not.toContain('status')
  })

  test('a person who unsubscribed is not subscribed again: a permanent failure of that one record, with its own code', async () => {
    const [gone, here] = [add('gone@example.org'), add('here@example.org')]
    simulator.audience.optOut(gone)
    const outcomes = await connector.write([
      update(gone, { status: 'subscribed', COMPANY: 'Acme' }),
      update(here, { status: 'unsubscribed' }),
    ])
    expect(codes(outcomes)).toEqual(['COMPLIANCE-STATE', 'written'])
    expect(kinds(outcomes)[0]).toBe('permanent')
    expect(JSON.stringify(outcomes[0])).not.toContain('gone@example.org')
    expect([status(gone), status(here)]).toEqual(['unsubscribed', 'unsubscribed'])
    expect(simulator.audience.get(gone).mergeFields.get('COMPANY')).toBeUndefined()
  })

  test('new members are let in as the option says, by default without a claim of consent', async () => {
    await connector.write([create({ email_address: 'a@example.org' })])
    expect(simulator.audience.live().map((member) => member.status)).toEqual(['transactional'])
    await open({}, { newMembers: 'pending' })
    await connector.write([
      create({ email_address: 'a@example.org' }),
      create({ email_address: 'b@example.org', status: 'unsubscribed' }, 'l'),
    ])
    expect(simulator.audience.live().map((member) => member.status)).toEqual(['pending', 'unsubscribed'])
  })

  for (const readdsArchived of [false, true]) {
    const how = readdsArchived ? 'would take back' : 'refuses'
    test(`an archived person comes back as transactional, whatever new members are let in as (a batch ${how} them)`, async () => {
      await open({ readdsArchived }, { newMembers: 'subscribed' })
      const [ada, grace] = [add('ada@example.org', { merge_fields: { FNAME: 'Ada' } }), add('grace@example.org')]
      simulator.audience.update(simulator.audience.get(ada), { status: 'unsubscribed' }, 'admin')
      for (const id of [ada, grace]) simulator.audience.archive(id, 'admin')
      const outcomes = await connector.write([
        create({ email_address: 'Ada@example.org', COMPANY: 'Engines', tags: ['vip'] }, '1'),
        create({ email_address: 'grace@example.org', status: 'unsubscribed' }, '2'),
        create({ email_address: 'new@example.org' }, '3'),
      ])
      expect(outcomes[0]).toMatchObject({
        record: { id: ada, fields: { status: 'transactional', COMPANY: 'Engines', tags: ['vip'], FNAME: 'Ada' } },
      })
      expect(kinds(outcomes)).toEqual(['written', 'written', 'written'])
      const statuses = new Map(simulator.audience.live().map((member) => [member.email.toLowerCase(), member.status]))
      expect(Object.fromEntries(statuses)).toEqual({
        'ada@example.org': 'transactional',
        'grace@example.org': 'unsubscribed',
        'new@example.org': 'subscribed',
      })
    })
  }

  test('an erased address stays out, and is told so (I7)', async () => {
    simulator.audience.deletePermanently(add('erased@example.org'))
    const outcomes = await connector.write([
      create({ email_address: 'erased@example.org' }),
      create({ email_address: 'new@example.org' }, 'l'),
    ])
    expect([codes(outcomes), kinds(outcomes)[0]]).toEqual([['FORGOTTEN', 'written'], 'permanent'])
  })

  test('what an audience knows of consent is in the records', async () => {
    connector.select(['status', 'timestamp_opt', 'ip_opt', 'unsubscribe_reason'])
    const id = add('ada@example.org')
    const [answer] = await connector.read([id])
    const fields = answer?.kind === 'record' ? answer.record.fields : {}
    expect(fields).toMatchObject({ status: 'subscribed', ip_opt: '203.0.113.10', unsubscribe_reason: null })
    expect(Date.parse(String(fields['timestamp_opt']))).toBeGreaterThan(0)
    const writable = new Map((await connector.check()).fields.map((field) => [field.name, field.writable]))
    expect([writable.get('status'), writable.get('timestamp_opt'), writable.get('ip_opt')]).toEqual([
      true,
      false,
      false,
    ])
  })
})

describe('writing to Mailchimp', () => {
  test('creates go in one request, each settled by itself; nobody is updated by a create', async () => {
    add('taken@example.org', { merge_fields: { COMPANY: 'Kept' } })
    const addresses = ['a@example.org', 'b@fake.example', 'not an address', 'TAKEN@example.org', 'a@EXAMPLE.org']
    const outcomes = await connector.write([
      ...addresses.map((email, n) => create({ email_address: email, COMPANY: 'Ours' }, String(n))),
      create({ COMPANY: 'nobody' }, 'none'),
      create({ email_address: 'c@example.org', BIRTHDAY: '31/12' }, 'born'),
    ])
    expect(codes(outcomes)).toEqual([
      'written',
      'INVALID-EMAIL',
      'INVALID-EMAIL',
      'MEMBER-EXISTS',
      'MEMBER-EXISTS',
      'NO-EMAIL',
      'MERGE-FIELD',
    ])
    expect(outcomes[6]).toMatchObject({ failure: { message: 'Mailchimp refuses a merge field: BIRTHDAY' } })
    expect(simulator.audience.find('taken@example.org')?.mergeFields.get('COMPANY')).toBe('Kept')
    // The last one has the address of the first, and goes after it.
    expect(sent('POST').map(({ body }) => (body['members'] as Json[]).length)).toEqual([5, 1])
    expect(JSON.stringify(outcomes)).not.toContain('fake.example')
  })

  test('500 updates are one request; blanks, addresses and statuses go by themselves', async () => {
    const ids = Array.from({ length: 500 }, (_, n) => add(`p${n}@example.org`, { merge_fields: { COMPANY: 'Acme' } }))
    await connector.read(ids)
    const outcomes = await connector.write(
      ids.map((id, n) =>
        update(id, n === 0 ? { COMPANY: null } : n === 1 ? { email_address: 'new@example.org' } : { COMPANY: `${n}` }),
      ),
    )
    expect(new Set(kinds(outcomes))).toEqual(new Set(['written']))
    expect(sent('POST').map(({ body }) => (body['members'] as Json[]).length)).toEqual([498])
    expect(sent('PATCH').map(({ body }) => body)).toEqual([
      { merge_fields: { COMPANY: '' } },
      { email_address: 'new@example.org' },
    ])
    expect(simulator.audience.get(ids[0] ?? '').mergeFields.has('COMPANY')).toBe(false)
    expect(outcomes[1]).toMatchObject({ record: { id: ids[1], fields: { email_address: 'new@example.org' } } })
  })

  test('many are read by listing them, few by asking for each', async () => {
    const ids = Array.from({ length: 60 }, (_, n) => add(`p${n}@example.org`))
    simulator.audience.archive(ids[5] ?? '', 'admin')
    const answers = await connector.read(ids)
    expect(simulator.requests.map(({ path }) => path.replace(/\?.*/, ''))).toEqual([
      `/3.0/lists/${AUDIENCE}/members`,
      `/3.0/lists/${AUDIENCE}/members/${ids[5]}`,
    ])
    expect(answers.filter(({ kind }) => kind === 'gone')).toEqual([{ kind: 'gone', id: ids[5] }])
    expect(answers).toHaveLength(60)
  })

  test('tags are added with the batch and taken away one by one; those that people add meanwhile stay', async () => {
    const ids = [0, 1, 2].map((n) => add(`p${n}@example.org`, { tags: ['old'] }))
    const [first = '', second = '', third = ''] = ids
    await connector.read(ids)
    for (const id of [first, third])
      simulator.audience.tag(simulator.audience.get(id), [{ name: 'by hand', status: 'active' }])
    const outcomes = await connector.write([
      update(first, { tags: ['old', 'new'] }),
      update(second, { tags: ['OLD', 'new'], COMPANY: 'Acme' }),
      update(third, { tags: null }),
    ])

    expect(kinds(outcomes)).toEqual(['written', 'written', 'written'])
    expect(ids.map((id) => [...simulator.audience.get(id).tags.keys()])).toEqual([
      ['old', 'by hand', 'new'],
      ['old', 'new'],
      ['by hand'],
    ])
    expect(sent('POST').map(({ path }) => path)).toEqual([
      `/3.0/lists/${AUDIENCE}/members/${third}/tags`,
      `/3.0/lists/${AUDIENCE}`,
    ])
    expect(outcomes[2]).toMatchObject({ record: { fields: { tags: ['by hand'] } } })
  })

  test('an address that went to another member is that member by its id all the same', async () => {
    const [a, b] = [add('a@example.org'), add('b@example.org')]
    await connector.read([a, b])
    simulator.audience.update(simulator.audience.get(a), { email_address: 'c@example.org' }, 'user')
    const outcomes = await connector.write([update(a, { COMPANY: 'A' }), update(b, { COMPANY: 'B' })])
    expect(kinds(outcomes)).toEqual(['written', 'written'])
    expect(outcomes[0]).toMatchObject({ record: { id: a, fields: { email_address: 'c@example.org', COMPANY: 'A' } } })
    expect(simulator.audience.live()).toHaveLength(2)
  })

  test('an archiving is the delete; who bounced or has not confirmed cannot be archived, and is told so', async () => {
    const [ada, bounced, pending] = [
      add('ada@example.org'),
      add('b@example.org'),
      add('c@example.org', { status: 'pending' }),
    ]
    simulator.audience.bounce(bounced)
    expect(codes(await connector.write([remove(ada)]))).toEqual(['deleted'])
    expect(codes(await connector.write([remove(bounced)]))).toEqual(['NOT-ARCHIVABLE'])
    expect(codes(await connector.write([remove(pending)]))).toEqual(['NOT-ARCHIVABLE'])
    expect([status(ada), status(bounced), status(pending)]).toEqual(['archived', 'cleaned', 'pending'])
    expect(simulator.requests.filter(({ path }) => path.includes('delete-permanent'))).toEqual([])
  })

  test('an address that lacks a part is left as it stands, and the rest is written', async () => {
    const whole = { addr1: '1 Main St', city: 'Köln', state: 'NRW', zip: '50667', country: 'DE' }
    const [outcome] = await connector.write([create({ email_address: 'a@example.org', ADDRESS: whole })])
    expect(outcome).toMatchObject({ record: { fields: { ADDRESS: whole } } })
    const id = outcome?.kind === 'written' ? outcome.record.id : ''
    const [next] = await connector.write([
      update(id, { ADDRESS: { addr1: '2 Main St', city: 'Köln' }, COMPANY: 'Acme' }),
    ])
    expect(next).toMatchObject({ record: { fields: { ADDRESS: whole, COMPANY: 'Acme' } } })
    const [blanked] = await connector.write([update(id, { ADDRESS: null })])
    expect(blanked).toMatchObject({ record: { fields: { ADDRESS: null } } })
  })

  test('a required merge field that is not given refuses nobody', async () => {
    await open({
      mergeFields: [
        { tag: 'SHIRT', name: 'Shirt size', type: 'dropdown', required: true, options: { choices: ['S', 'L'] } },
      ],
    })
    expect(kinds(await connector.write([create({ email_address: 'a@example.org' })]))).toEqual(['written'])
    expect(codes(await connector.write([create({ email_address: 'b@example.org', SHIRT: 'XXL' })]))).toEqual([
      'MERGE-FIELD',
    ])
  })

  test('a batch that is refused whole is halved, until only the culprit is refused', async () => {
    const outcomes = await connector.write([
      create({ email_address: 'a@example.org' }, '1'),
      create({ email_address: 'b@example.org', status: 'a friend' }, '2'),
      create({ email_address: 'c@example.org' }, '3'),
    ])
    expect(kinds(outcomes)).toEqual(['written', 'permanent', 'written'])
    expect(JSON.stringify(outcomes[1])).not.toContain('a friend')
  })

  test('groups are fields by their category, written by name; a name that is no group is refused alone', async () => {
    const interests = [
      { id: 'i1', name: 'Engines' },
      { id: 'i2', name: 'Poetry' },
    ]
    await open({ categories: [{ id: 'c1', title: 'Topics', interests }] })
    connector.select(['email_address', 'groups.Topics'])
    const id = add('a@example.org', { interests: { i1: true } })
    const outcomes = await connector.write([
      update(id, { 'groups.Topics': ['poetry'] }, 'u1'),
      create({ email_address: 'b@example.org', 'groups.Topics': ['Chess'] }),
    ])
    expect(outcomes[0]).toMatchObject({ record: { fields: { 'groups.Topics': ['Poetry'] } } })
    expect(codes(outcomes)[1]).toBe('UNKNOWN-GROUP')
  })
})

describe("Mailchimp's change feed", () => {
  test('a pass without changes is one small request; one with changes three', async () => {
    const ids = Array.from({ length: 150 }, (_, n) => add(`p${n}@example.org`))
    simulator.advance(10 * 60_000)
    const first = await pull(null)
    expect(first.ids.toSorted()).toEqual(ids.toSorted())
    const before = simulator.requests.length
    const quiet = await pull(first.cursor)
    expect(simulator.requests.length - before).toBe(1)
    expect(quiet.pages.flatMap((page) => page.sightings)).toEqual([])
    simulator.audience.update(simulator.audience.get(ids[7] ?? ''), { merge_fields: { COMPANY: 'Acme' } }, 'user')
    const busy = await pull(quiet.cursor)
    expect(busy.ids).toEqual([ids[7]])
    expect(simulator.requests.length - before).toBe(4)
  })

  test('a second edit within the second in which the first was read is not missed', async () => {
    const at_ms = Math.floor(Date.now() / 1000) * 1000
    await open({ now: () => at_ms })
    const id = add('ada@example.org')
    const first = await pull(null)
    for (const word of ['one', 'two']) {
      simulator.audience.update(simulator.audience.get(id), { merge_fields: { COMPANY: word } }, 'user')
      expect((await pull(first.cursor)).ids).toEqual([id])
    }
    const second = await pull(first.cursor)
    simulator.audience.update(simulator.audience.get(id), { merge_fields: { COMPANY: 'three' } }, 'user')
    expect((await pull(second.cursor)).ids).toEqual([id])
    expect((await pull(second.cursor)).gone).toEqual([])
  })

  for (const archivedShown of [false, true]) {
    test(`an archived member is gone, and back when taken back (${archivedShown ? '' : 'not '}listed unasked)`, async () => {
      await open({ archivedShown })
      const [id] = [add('ada@example.org'), add('grace@example.org')]
      simulator.advance(60_000)
      let { cursor } = await pull(null)
      simulator.audience.archive(id, 'admin')
      simulator.advance(60_000)
      const gone = await pull(cursor)
      expect([gone.gone, gone.ids]).toEqual([[id], []])
      expect(await connector.read([id])).toEqual([{ kind: 'gone', id }])
      const quiet = await pull(gone.cursor)
      expect(quiet.pages.flatMap((page) => page.sightings)).toEqual([])
      ;({ cursor } = quiet)
      simulator.audience.update(simulator.audience.get(id), { status: 'subscribed' }, 'admin')
      simulator.advance(60_000)
      expect((await pull(cursor)).ids).toEqual([id])
    })
  }

  test('members that leave a listing while it is read push none of the others out of it', async () => {
    await open({}, {}, { list_max: 50 })
    const ids = Array.from({ length: 300 }, (_, n) => add(`p${n}@example.org`))
    simulator.advance(60 * 60_000)
    const seen = new Set<string>()
    let meddled = 0
    for await (const page of connector.pull(null)) {
      for (const sighting of page.sightings) if (sighting.kind === 'record') seen.add(sighting.record.id)
      // Two that were listed already get a later time, one is archived, and one deleted: all behind them move up.
      for (const id of ids.slice(meddled, meddled + 2))
        simulator.audience.update(simulator.audience.get(id), { merge_fields: { COMPANY: `${meddled}` } }, 'user')
      if (meddled < 8) simulator.audience.archive(ids[meddled + 20] ?? '', 'admin')
      if (meddled < 8) simulator.audience.deletePermanently(ids[meddled + 21] ?? '')
      meddled += 2
    }
    const live = simulator.audience.live().map(({ contactId }) => contactId)
    expect(live.filter((id) => !seen.has(id))).toEqual([])
    expect(meddled).toBeGreaterThan(8)
  })

  test('unsubscribed and bounced members are edited, not deleted', async () => {
    const [a, b] = [add('a@example.org'), add('b@example.org')]
    simulator.advance(60_000)
    const { cursor } = await pull(null)
    simulator.audience.optOut(a)
    simulator.audience.bounce(b)
    simulator.advance(60_000)
    const seen = await pull(cursor)
    expect([seen.ids.toSorted(), seen.gone]).toEqual([[a, b].toSorted(), []])
    const statuses = (await connector.read([a, b])).map(
      (answer) => answer.kind === 'record' && answer.record.fields['status'],
    )
    expect(statuses).toEqual(['unsubscribed', 'cleaned'])
  })

  test('a permanent deletion leaves no trace but the count, and brings a complete inventory (I5)', async () => {
    const ids = [add('a@example.org'), add('b@example.org'), add('c@example.org')]
    simulator.advance(5 * 60_000)
    const { cursor } = await pull(null)
    simulator.advance(5 * 60_000)
    simulator.audience.deletePermanently(ids[1] ?? '')
    const seen = await pull(cursor)
    expect(seen.pages.at(-1)?.inventory).toEqual({ complete: true })
    expect(new Set(seen.ids)).toEqual(new Set([ids[0], ids[2]]))
    expect(await connector.read([ids[1] ?? ''])).toEqual([{ kind: 'gone', id: ids[1] }])
  })

  test('a permanent deletion that an addition hides is found within a day', async () => {
    const id = add('a@example.org')
    simulator.advance(5 * 60_000)
    let { cursor } = await pull(null)
    simulator.audience.deletePermanently(id)
    add('b@example.org')
    simulator.advance(5 * 60_000)
    const hidden = await pull(cursor)
    expect(hidden.pages.map((page) => page.inventory)).toEqual([undefined])
    ;({ cursor } = hidden)
    simulator.advance(24 * 60 * 60_000)
    expect((await pull(cursor)).pages.at(-1)?.inventory).toEqual({ complete: true })
  })

  test('a member keeps its id when its address changes', async () => {
    const id = add('old@example.org')
    simulator.advance(60_000)
    const { cursor } = await pull(null)
    simulator.audience.update(simulator.audience.get(id), { email_address: 'new@example.org' }, 'user')
    simulator.advance(60_000)
    const seen = await pull(cursor)
    expect([seen.ids, seen.gone]).toEqual([[id], []])
  })
})

describe("Mailchimp's bad days", () => {
  const failureOf = async (work: () => Promise<unknown>): Promise<FailureError['failure']> => {
    const error: unknown = await work().catch((thrown: unknown) => thrown)
    if (error instanceof FailureError) return error.failure
    throw new Error('expected a failure')
  }

  test('a 403 without JSON is a limit; one with JSON is a right that is lacking', async () => {
    simulator.faults.fail = { status: 403, times: 1, bare: true }
    expect((await failureOf(() => pull(null))).kind).toBe('ratelimited')
    simulator.faults.fail = { status: 403, times: 1 }
    expect((await failureOf(() => pull(null))).kind).toBe('auth')
  })

  test('when the audience is gone, no member is said to be gone (I5)', async () => {
    const id = add('ada@example.org')
    simulator.faults.audienceGone = true
    for (const work of [
      () => connector.read([id]),
      () => connector.find(create({ email_address: 'ada@example.org' })),
    ]) {
      const failure = await failureOf(work)
      expect([failure.kind, failure.advice]).toEqual(['permanent', expect.stringContaining('audience:')])
    }
    expect(kinds(await connector.write([update(id, { COMPANY: 'Acme' })]))).toEqual(['permanent'])
    expect(kinds(await connector.write([remove(id)]))).toEqual(['permanent'])
  })

  test('never more than ten requests are under way at once', async () => {
    simulator.faults.slow_ms = 5
    const ids = Array.from({ length: 30 }, (_, n) => add(`p${n}@example.org`))
    await Promise.all([
      connector.write(ids.map((id) => update(id, { COMPANY: null }))),
      connector.read(ids.slice(0, 9)),
      connector.read(ids.slice(9, 18)),
    ])
    expect(simulator.concurrent).toBeLessThanOrEqual(10)
    expect(simulator.requests.filter((request) => request.status === 429)).toEqual([])
  })

  test('a create whose answer was lost is found by its address', async () => {
    simulator.faults.lostAnswers = 1
    const request = create({ email_address: 'Ada@example.org', FNAME: 'Ada' })
    expect(kinds(await connector.write([request]))).toEqual(['uncertain'])
    expect((await connector.find(request)).map(({ id }) => id)).toEqual(
      simulator.audience.live().map(({ contactId }) => contactId),
    )
    expect(await connector.find(create({ email_address: 'grace@example.org' }))).toEqual([])
  })
})

describe('connecting to Mailchimp', () => {
  const problems = (options: JsonObject): string[] =>
    mailchimp.options.safeParse(options).error?.issues.map(({ message }) => message) ?? []

  test('the data centre comes from the key, or is named beside it; the account is that of the audience, wherever it is', () => {
    const context = { baseDir: '.' }
    const account = (options: JsonObject): string => mailchimp.account(mailchimp.options.parse(options), context)
    expect(account({ audience: 'abc', apiKey: 'x-us19' })).toBe('mailchimp abc')
    expect(account({ audience: 'abc', apiKey: 'x', server: 'us6' })).toBe('mailchimp abc')
    expect(account({ audience: 'abc', accessToken: 't' })).toBe('mailchimp abc')
    const nowhere = [expect.stringContaining('data centre is not known')]
    expect(problems({ audience: 'abc', apiKey: 'no data centre' })).toEqual(nowhere)
    expect(problems({ audience: 'abc', accessToken: 't' })).toEqual([])
    expect(problems({ audience: 'abc', clientId: 'kith', clientSecret: 'hush' })).toEqual([])
    expect(problems({ audience: 'abc', server: 'us6' })).toEqual([expect.stringContaining('give apiKey')])
    expect(problems({ audience: 'abc', server: 'us6', apiKey: 'k', accessToken: 't' })).toHaveLength(1)
    expect(problems({ audience: 'abc', server: 'us6', clientId: 'kith' })).toEqual([
      'clientId and clientSecret go together',
    ])
    expect(problems({ audience: 'abc', apiKey: 'x-us1', newMembers: 'cleaned' })).toHaveLength(1)
  })

  test('people sign in, and are told where the account is; where the config names another data centre, that is refused', async () => {
    const client = { audience: 'abc', server: 'us6', clientId: 'kith', clientSecret: 'hush' }
    const plan = mailchimp.oauth?.(mailchimp.options.parse(client))
    expect(plan).toMatchObject({ grant: 'code', pkce: false, redirectUrl: 'http://127.0.0.1:47474/callback' })
    const asked: string[] = []
    const metadata = (dc: string) => (url: string, scheme?: string) => {
      asked.push(`${scheme} ${url}`)
      return Promise.resolve({ dc, user_id: 4242 })
    }
    const apiUrl = 'https://us6.api.mailchimp.com'
    expect(await plan?.account?.({}, metadata('us6'))).toEqual({ id: '4242', apiUrl })
    expect(asked).toEqual(['OAuth https://login.mailchimp.com/oauth2/metadata'])
    await expect(plan?.account?.({}, metadata('us21'))).rejects.toThrow('is at us21, and server: in kith.yaml says us6')
    expect(mailchimp.oauth?.(mailchimp.options.parse({ audience: 'abc', apiKey: 'x-us1' }))).toBeNull()
  })

  test('a token is as good as a key', async () => {
    await open({}, { apiKey: undefined as unknown as Json, accessToken: KEY })
    expect((await connector.check()).summary).toBe("audience 'Friends', 0 subscribed members")
  })

  test('check names the merge fields with their types, and warns of what will hurt', async () => {
    const phone = { tag: 'PHONE', name: 'Phone', type: 'phone' as const, options: { phone_format: 'US' as const } }
    await open({ doubleOptin: true, mergeFields: [phone] }, { newMembers: 'subscribed' })
    const { fields, warnings } = await connector.check()
    expect(fields).toContainEqual({ name: 'BIRTHDAY', label: 'Birthday', type: 'birthday', writable: true })
    expect(fields).toContainEqual({ name: 'FNAME', label: 'First Name', type: 'text', writable: true, length_max: 255 })
    expect(warnings).toEqual([
      expect.stringContaining('newMembers: pending'),
      expect.stringContaining('PHONE'),
      expect.stringContaining('webhookSecret'),
    ])
  })
})
