import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { announcedBy } from '../../connectors/salesforce/change-events.ts'
import { connectSalesforce, salesforce, type SalesforceConnector } from '../../connectors/salesforce/index.ts'
import { startSalesforceSimulator, type SalesforceSimulator } from '../../connectors/salesforce/simulator.ts'
import type { BayeuxMessage } from '../../connectors/salesforce/wire.ts'
import type { ConnectContext } from '../../connectors/app.ts'
import { createPacer } from '../../connectors/pacer.ts'
import { FailureError, type Failure } from '../../engine/core/failure.ts'
import type { Json } from '../../engine/core/json.ts'
import type { Listener } from '../../engine/core/ports/connector.ts'
import { until } from '../support/kithProcess.ts'

const CONTACTS = '/data/ContactChangeEvent'
const LEADS = '/data/LeadChangeEvent'
const ADA = '003Kith00000001AAA'
const GRACE = '003Kith00000002AAA'
const LEAD = '00QKith00000003AAA'

function event(replayId: number, header: object, channel = CONTACTS): BayeuxMessage {
  const ChangeEventHeader = { entityName: 'Contact', changeType: 'UPDATE', recordIds: [ADA], ...header }
  return { channel, data: { schema: 's', payload: { LastName: 'Lovelace', ChangeEventHeader }, event: { replayId } } }
}

describe('change events', () => {
  const both = (events: BayeuxMessage[]) => announcedBy(events, ['Contact', 'Lead'])

  test.each(['CREATE', 'UPDATE', 'DELETE', 'UNDELETE', 'GAP_CREATE', 'GAP_UPDATE', 'GAP_DELETE', 'GAP_UNDELETE'])(
    '%s names its records, and nothing else of it is read',
    (changeType) => {
      expect(both([event(7, { changeType, recordIds: [ADA, GRACE] })])).toEqual({
        records: [ADA, GRACE],
        pull: false,
        replayIds: { [CONTACTS]: 7 },
      })
    },
  )

  test('of one record are one, and the last of each channel is where to go on from', () => {
    const lead = event(9, { entityName: 'Lead', recordIds: [LEAD] }, LEADS)
    expect(both([event(7, {}), lead, event(8, {})])).toEqual({
      records: [ADA, LEAD],
      pull: false,
      replayIds: { [CONTACTS]: 8, [LEADS]: 9 },
    })
  })

  test.each([
    ['an overflow', event(7, { changeType: 'GAP_OVERFLOW', recordIds: undefined })],
    ['an overflow that names a stand-in', event(7, { changeType: 'GAP_OVERFLOW', recordIds: ['000000000000000AAA'] })],
    ['all records at once', event(7, { recordIds: ['003*'] })],
    ['no records', event(7, { recordIds: [] })],
    ['a header that is none', { channel: CONTACTS, data: { event: { replayId: 7 }, payload: 'AAAA' } }],
    ['no event at all', { channel: CONTACTS, data: null }],
  ])('with %s have the feed asked', (_, one) => {
    expect(both([one])).toMatchObject({ records: [], pull: true })
  })

  test.each([
    ['what Kith wrote', { changeOrigin: 'com/salesforce/api/rest/62.0;client=Kith' }],
    ['what Kith merged', { changeOrigin: 'com/salesforce/api/soap/62.0;client=Kith', changeType: 'DELETE' }],
    ['another object', { entityName: 'Account', recordIds: ['001Kith00000001AAA'] }],
    ['an overflow of another object', { entityName: 'Account', changeType: 'GAP_OVERFLOW', recordIds: undefined }],
  ])('about %s announce nothing, and are a place to go on from', (_, header) => {
    expect(both([event(7, header)])).toEqual({ records: [], pull: false, replayIds: { [CONTACTS]: 7 } })
  })

  test('of other programs are announced, whatever they call themselves', () => {
    for (const client of ['client=Kithara', 'client=Loader', ''])
      expect(both([event(7, { changeOrigin: `com/salesforce/api/rest/62.0;${client}` })]).records).toEqual([ADA])
  })

  test('of leads are none where only contacts are connected', () => {
    expect(announcedBy([event(7, { entityName: 'Lead', recordIds: [LEAD] })], ['Contact'])).toMatchObject({
      records: [],
      pull: false,
    })
  })
})

/** Remembers what it is told, as the engine does. */
class Ear implements Listener {
  readonly told: string[][] = []
  readonly standings: (Failure | null)[] = []
  hints = 0
  placed: Json | null = null
  /** This many times, nothing can be kept; and what was the place to go on from then. */
  failing = 0
  readonly placedThen: (Json | null)[] = []

  changed(ids: readonly string[]): Promise<void> {
    if (this.failing-- > 0) {
      this.placedThen.push(this.placed)
      return Promise.reject(new Error('the database is away'))
    }
    this.told.push([...ids])
    return Promise.resolve()
  }

  place = (): Promise<Json | null> => Promise.resolve(this.placed)
  keep = (place: Json): Promise<void> => {
    this.placed = place
    return Promise.resolve()
  }

  stands = (failure: Failure | null): void => void this.standings.push(failure)

  get ids(): string[] {
    return this.told.flat()
  }

  get standing(): Failure | null | undefined {
    return this.standings.at(-1)
  }
}

describe('an org that captures changes', () => {
  let simulator: SalesforceSimulator
  let ear: Ear
  const open: SalesforceConnector[] = []
  beforeEach(async () => {
    simulator = await startSalesforceSimulator({ accessToken: 'secret', client: { id: 'id', secret: 'secret' } })
    ear = new Ear()
  })
  afterEach(async () => {
    await Promise.all(open.splice(0).map((connector) => connector.close()))
    await simulator.close()
  })

  function connect(more: object = {}, context: Partial<ConnectContext> = {}): SalesforceConnector {
    const options = salesforce.options.parse({
      ...(context.signIn ? { clientId: 'id', clientSecret: 'secret' } : { accessToken: 'secret' }),
      instanceUrl: simulator.url,
      changeDataCapture: true,
      ...more,
    })
    const whole = { connection: 'crm', baseDir: '.', now: Date.now, ...context }
    const connector = connectSalesforce(options, whole, { streamPause_ms: 1, held_max_ms: 10_000 })
    open.push(connector)
    return connector
  }

  const watch = (connector: SalesforceConnector): Promise<() => Promise<void>> => {
    if (!connector.watch) throw new Error('it cannot be watched')
    return connector.watch(() => void ear.hints++, ear)
  }
  const listening = (clients = 1): Promise<void> =>
    until(() => simulator.streaming.held === clients, `${clients} requests to be held`, 5000)
  async function listen(more: object = {}, context: Partial<ConnectContext> = {}): Promise<() => Promise<void>> {
    const stop = await watch(connect(more, context))
    await listening()
    return stop
  }
  const heard = (...ids: string[]): Promise<void> =>
    until(() => ids.every((id) => ear.ids.includes(id)), `${ids.join()} to be heard of`, 5000)
  const person = (): string => simulator.org.create('Contact', { LastName: 'King' }).Id
  const edit = (id: string, title = 'Countess'): void => void simulator.org.update(id, { Title: title })
  const asked = (what: string): string[] => simulator.streaming.asked.filter((line) => line.startsWith(what))

  test('is listened to on the channel of each object, from now on, and the feed is asked for what was before', async () => {
    person()
    await listen()
    expect(asked('/meta/subscribe')).toEqual([
      `/meta/subscribe ${CONTACTS} {"${CONTACTS}":-1}`,
      `/meta/subscribe ${LEADS} {"${LEADS}":-1}`,
    ])
    expect([ear.hints, ear.told, ear.standings]).toEqual([1, [], [null]])
  })

  test('tells of creates, edits, deletes and undeletes of people at once, and of several in one event', async () => {
    await listen()
    const id = person()
    await heard(id)
    for (const change of [() => edit(id), () => simulator.org.remove(id), () => simulator.org.undelete(id)]) {
      ear.told.length = 0
      change()
      await heard(id)
    }
    simulator.streaming.faults.merged = true
    ear.told.length = 0
    const several = [person(), person(), person()]
    await heard(...several)
    expect(ear.told).toEqual([several])
    expect(ear.hints).toBe(1)
  })

  test("does not tell Kith of Kith's own writes, and does of other programs'", async () => {
    const connector = connect()
    await watch(connector)
    await listening()
    const [written] = await connector.write([{ op: 'create', ref: '1', key: 'k', fields: { LastName: 'Lovelace' } }])
    const id = person()
    await heard(id)
    expect(written?.kind).toBe('written')
    expect(simulator.streaming.delivered).toBe(2)
    expect(ear.ids).toEqual([id])
    simulator.streaming.origin = 'com/salesforce/api/bulkapi/62.0;client=Loader'
    edit(id)
    simulator.streaming.origin = ''
    await until(() => ear.told.length === 2, 'the other program', 5000)
  })

  test('is taken up again where it was left, and what happened meanwhile is told by name', async () => {
    const stop = await listen()
    const [first, second] = [person(), person()]
    await heard(first, second)
    await stop()
    expect(simulator.streaming.clients).toBe(0)
    edit(second)
    ear.told.length = 0
    await listen({ objects: ['contact'] })
    await heard(second)
    expect([ear.ids, ear.hints]).toEqual([[second], 1])
  })

  test('whose events are no longer kept is heard from now on, and the feed is asked', async () => {
    const stop = await listen({ objects: ['contact'] })
    const id = person()
    await heard(id)
    await stop()
    edit(id)
    simulator.streaming.purge()
    ear.told.length = 0
    await listen({ objects: ['contact'] })
    expect(
      asked('/meta/subscribe')
        .slice(1)
        .map((line) => /-?\d+(?=\})/.exec(line)?.[0]),
    ).toEqual([expect.stringMatching(/^\d+$/), '-1'])
    expect([ear.ids, ear.hints, ear.standing]).toEqual([[], 2, null])
    edit(id)
    await heard(id)
  })

  test('is not asked for the events of hours: the feed tells them in fewer requests', async () => {
    const stop = await listen({ objects: ['contact'] })
    await heard(person())
    await stop()
    await listen({ objects: ['contact'] }, { now: () => Date.now() + 2 * 3_600_000 })
    expect(asked('/meta/subscribe').at(-1)).toContain(':-1')
    expect(ear.hints).toBe(2)
  })

  test('that forgets its clients is greeted anew at once, and nothing is lost', async () => {
    await listen()
    const id = person()
    await heard(id)
    ear.told.length = 0
    simulator.streaming.forgetClients()
    edit(id)
    await heard(id)
    await listening()
    expect([simulator.streaming.clients, asked('/meta/handshake').length, ear.standings]).toEqual([1, 2, [null]])
  })

  test('whose responses are lost with the events in them tells them again', async () => {
    await listen()
    await heard(person())
    simulator.streaming.faults.droppedPolls = 2
    const id = person()
    await heard(id)
    await listening()
    expect(ear.standing).toBeNull()
  })

  test('that doubles events and tells them in the wrong order names the same records', async () => {
    await listen()
    Object.assign(simulator.streaming.faults, { doubled: true, reversed: true })
    const ids = [person(), person()]
    edit(ids[0] as string)
    await heard(...ids)
    expect(new Set(ear.ids)).toEqual(new Set(ids))
  })

  test.each(['overflow', 'wildcard', 'unreadable'] as const)(
    'that names no records (%s) has the feed asked',
    async (shape) => {
      await listen()
      simulator.streaming.faults.shape = shape
      person()
      await until(() => ear.hints === 2, 'the feed to be asked', 5000)
      expect(ear.told).toEqual([])
    },
  )

  test('tells again what could not be kept; nothing is a place to go on from before it is', async () => {
    await listen()
    await heard(person())
    await until(() => ear.placed !== null, 'a place', 5000)
    const before = ear.placed
    ear.failing = 2
    const id = person()
    await heard(id)
    expect(ear.placedThen).toEqual([before, before])
    await until(() => ear.placed !== before, 'the place to be kept', 5000)
    await listening()
    expect(ear.standings.map((one) => one?.code ?? null)).toEqual([null, 'NOT-KEPT', null])
  })

  test('has a channel of its own for Kith, which may carry more than Kith asks for', async () => {
    simulator.streaming.customChannels.set('/data/Kith__chn', ['Contact', 'Lead'])
    await listen({ changeDataCapture: 'Kith__chn', objects: ['contact'] })
    simulator.org.create('Lead', { LastName: 'Lead', Company: 'Engines' })
    const id = person()
    await heard(id)
    expect(asked('/meta/subscribe')).toEqual(['/meta/subscribe /data/Kith__chn {"/data/Kith__chn":-1}'])
    expect([ear.ids, ear.hints]).toEqual([[id], 1])
  })

  test('that refuses one channel is heard on the other, and says which and what to do', async () => {
    simulator.streaming.faults.refused.add(LEADS)
    await listen()
    const id = person()
    await heard(id)
    expect(ear.standings).toEqual([expect.objectContaining({ kind: 'permanent', code: '403' })])
    expect(ear.standing?.message).toContain(LEADS)
    expect(ear.standing?.advice).toContain('Change Data Capture')
  })

  test('that refuses every channel is tried again, ever more rarely, until it does not', async () => {
    const slept: number[] = []
    const sleep = (ms: number): Promise<void> => {
      slept.push(ms)
      if (slept.length === 4) simulator.streaming.faults.refused.clear()
      return Promise.resolve()
    }
    for (const channel of [CONTACTS, LEADS]) simulator.streaming.faults.refused.add(channel)
    await listen({}, { sleep })
    expect(ear.standings.map((one) => one?.kind ?? null)).toEqual(['permanent', null])
    const pauses = slept.slice(0, 4)
    for (const [n, pause] of pauses.entries()) expect(pause).toBeGreaterThanOrEqual(0.75 * 64 * 2 ** n)
    expect(asked('/meta/handshake')).toHaveLength(5)
  })

  test('that has no place for another client says so, and is left in peace for a while', async () => {
    simulator.streaming.faults.clients_max = 0
    const slept: number[] = []
    const sleep = (ms: number): Promise<void> => {
      slept.push(ms)
      simulator.streaming.faults.clients_max = 20
      return Promise.resolve()
    }
    await listen({}, { sleep })
    expect(ear.standings).toEqual([expect.objectContaining({ kind: 'ratelimited', code: '403' }), null])
    expect(slept[0]).toBeGreaterThanOrEqual(0.75 * 15 * 60)
  })

  test('that answers at once with nothing is not asked at once again', async () => {
    simulator.streaming.faults.hold_ms = 0
    const slept: number[] = []
    let full: (() => void) | undefined
    const enough = new Promise<void>((resolve) => (full = resolve))
    const sleep = (ms: number, signal?: AbortSignal): Promise<void> => {
      slept.push(ms)
      if (slept.length < 5) return Promise.resolve()
      full?.()
      return new Promise((resolve) => signal?.addEventListener('abort', () => resolve(), { once: true }))
    }
    const stop = await watch(connect({}, { sleep }))
    await enough
    expect(slept).toEqual([1000, 1000, 1000, 1000, 1000])
    await stop()
  })

  test.each([
    ['in the answer', false],
    ['by the status', true],
  ])('that refuses the session %s is given another, once', async (_, plain401) => {
    const signIn = new Renewing(simulator)
    await signIn.renewed()
    await listen({ objects: ['contact'] }, { signIn })
    const id = person()
    await heard(id)
    simulator.streaming.faults.plain401 = plain401
    ear.told.length = 0
    simulator.expireSessions()
    edit(id)
    await heard(id)
    await listening()
    expect([ear.standings, ear.hints]).toEqual([[null], 1])
    expect(signIn.issued).toBe(2)
  })

  test('that goes on refusing the session is told of, without the token, until it takes it again (I15)', async () => {
    await listen()
    simulator.faults.revoked = true
    simulator.streaming.tokensChanged()
    await until(() => ear.standing !== null, 'the failure', 5000)
    expect(ear.standing).toMatchObject({ kind: 'auth', code: '401' })
    expect(JSON.stringify(ear.standings)).not.toMatch(/secret/)
    simulator.faults.revoked = false
    await until(() => ear.standing === null, 'it to be over', 5000)
  })

  test('that goes away and comes back is found again', async () => {
    const port = Number(new URL(simulator.url).port)
    await listen()
    await simulator.close()
    await until(() => ear.standing !== null, 'the failure', 5000)
    expect(ear.standing?.kind).toBe('transient')
    simulator = await startSalesforceSimulator({ accessToken: 'secret', port })
    await listening()
    expect(ear.standing).toBeNull()
    const id = person()
    await heard(id)
  })

  test('is let go of at once, with a request held for minutes, and its place is given back', async () => {
    const stop = await listen()
    const began_ms = Date.now()
    await stop()
    expect(Date.now() - began_ms).toBeLessThan(1000)
    expect([simulator.streaming.clients, asked('/meta/disconnect').length]).toEqual([0, 1])
    const connector = connect()
    await watch(connector)
    await listening()
    await connector.close()
    expect(simulator.streaming.clients).toBe(0)
  })

  test('that stays silent at the goodbye does not keep Kith', async () => {
    const stop = await listen()
    simulator.streaming.silent = true
    const began_ms = Date.now()
    await stop()
    expect(Date.now() - began_ms).toBeLessThan(2000)
  })

  test('holds a request without a place in the rate budget, and is counted', async () => {
    const pacer = createPacer({
      requests: 100,
      interval_ms: 1000,
      concurrent_max: 1,
      now: () => performance.now(),
      sleep: () => Promise.resolve(),
    })
    const connector = connect({}, { pacer })
    await watch(connector)
    await listening()
    // Handshake, two subscriptions, the first request and the one that is held.
    expect(connector.stats().requests).toBe(5)
    expect((await connector.check()).summary).toContain('Salesforce org')
  })

  test('wakes who only wants hints', async () => {
    const connector = connect()
    let hints = 0
    await connector.watch?.(() => void hints++)
    await listening()
    const before = hints
    person()
    await until(() => hints > before, 'a hint', 5000)
    expect(ear.told).toEqual([])
  })
})

describe('the option', () => {
  const BASE = { accessToken: 't', instanceUrl: 'https://acme.my.salesforce.com' }
  const context = { connection: 'crm', baseDir: '.', now: Date.now }

  test('is off by itself: nothing is listened to', () => {
    const connector = connectSalesforce(salesforce.options.parse(BASE), context)
    expect(connector.watch).toBeUndefined()
  })

  test.each(['Kith', '/data/Kith__chn', '', 'a b__chn', 7])('is no %p', (changeDataCapture) => {
    expect(salesforce.options.safeParse({ ...BASE, changeDataCapture }).success).toBe(false)
  })

  test('needs no outbound messages beside it, and says what is left to click', async () => {
    const options = salesforce.options.parse({ ...BASE, changeDataCapture: true })
    expect(salesforce.webhook?.(options, context)).toBeNull()
    const target = { url: 'https://kith.example/hooks/crm', fields: [] }
    const { byHand } = (await salesforce.subscriptions?.(options, context).list(target)) ?? {}
    expect(byHand).toEqual(['In Setup, Change Data Capture, select Contact and Lead'])
    const own = salesforce.options.parse({ ...BASE, changeDataCapture: 'Kith__chn', objects: ['lead'] })
    expect((await salesforce.subscriptions?.(own, context).list(target))?.byHand).toEqual([
      'In Salesforce, have the channel Kith__chn carry the change events of Lead',
    ])
  })
})

/** A sign-in that gets its tokens from the simulated org. */
class Renewing {
  readonly #simulator: SalesforceSimulator
  #value = ''
  issued = 0

  constructor(simulator: SalesforceSimulator) {
    this.#simulator = simulator
  }

  token = () => Promise.resolve({ value: this.#value, account: {} })

  async renewed(): Promise<{ value: string; account: {} }> {
    const body = new URLSearchParams({ grant_type: 'client_credentials', client_id: 'id', client_secret: 'secret' })
    const answer = await fetch(`${this.#simulator.url}/services/oauth2/token`, { method: 'POST', body })
    this.#value = ((await answer.json()) as { access_token: string }).access_token
    this.issued++
    return { value: this.#value, account: {} }
  }

  refusal = (): FailureError => new FailureError({ kind: 'auth', message: 'refused' })
}
