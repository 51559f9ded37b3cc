import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import type { StreamingFaults } from '../../connectors/salesforce/simulator-streaming.ts'
import { startSalesforceSimulator, type SalesforceSimulator } from '../../connectors/salesforce/simulator.ts'
import { Edge } from '../../server/edge.ts'
import { Metrics } from '../../server/metrics.ts'
import { Daemon } from '../../workers/daemon.ts'
import { statusDocument } from '../../workers/documents/status.ts'
import { Meter } from '../../workers/meter.ts'
import { beginPause } from '../../workers/pause.ts'
import { runToQuiet } from '../../workers/quiet.ts'
import { remembered } from '../server/desk.ts'
import { contact } from '../support/contacts.ts'
import { TestHousehold } from '../support/household.ts'
import { until } from '../support/kithProcess.ts'
import { idOf, Sheet, type Place } from '../support/places.ts'
import { NO_BRAKES } from '../support/three-places.ts'

jest.setTimeout(60_000)

const PEOPLE = Array.from({ length: 4 }, (_, n) => ({ email: `p${n}@example.org`, given: `G${n}`, family: `F${n}` }))
const EMAILS = PEOPLE.map(({ email }) => email)
const LATE_MS = 24 * 3_600_000

/** Salesforce and a sheet, and a daemon that leads: it polls once an hour, so that only what is announced hastens anything. */
describe('a daemon that listens to Salesforce', () => {
  let crm: SalesforceSimulator
  let home: TestHousehold
  let sheet: Sheet
  let leading: Daemon | undefined

  const connection = (more: object = {}): object => ({
    crm: { poll: '1h', changeDataCapture: true, ...more },
    sheet: { poll: '1h' },
  })

  beforeEach(async () => {
    crm = await startSalesforceSimulator({ accessToken: 'secret', keyField: 'Kith_Key__c' })
    const nobody = (): never => {
      throw new Error('edit the simulator')
    }
    const place: Place = {
      name: 'crm',
      config: { app: 'salesforce', accessToken: 'secret', instanceUrl: crm.url, keyField: 'Kith_Key__c' },
      all: () => new Map(),
      add: nobody,
      edit: nobody,
      remove: nobody,
      stamps: () => new Map(crm.org.living().map((row) => [row.Id, JSON.stringify([...row.values])])),
    }
    const dir = TestHousehold.folder()
    const people = PEOPLE.map(({ given, family, email }) => contact({ given, family, emails: [email] }))
    sheet = new Sheet('sheet', join(dir, 'contacts.csv'), people)
    home = await TestHousehold.make(dir, [place, sheet], { brakes: NO_BRAKES, connections: connection() })
    await home.syncApproved()
    await home.shut()
  })
  afterEach(async () => {
    await leave()
    await home.close()
    await crm.close()
  })

  /** Begins to lead, and waits until what there was is read. */
  async function lead(clients = 1): Promise<Daemon> {
    leading = await Daemon.start(await home.open(), { leads: true, sweep_ms: LATE_MS })
    await until(() => crm.streaming.held === clients, `${clients} clients`, 10_000)
    await runToQuiet(leading, { delivered: true })
    return leading
  }
  async function leave(): Promise<void> {
    const daemon = leading
    leading = undefined
    await daemon?.stop()
  }

  const rowOf = (email: string): string => {
    const found = crm.org.living().find(({ values }) => values.get('Email') === email)
    if (!found) throw new Error(`Salesforce has no ${email}`)
    return found.Id
  }
  const edit = (email: string, title: string): void => void crm.org.update(rowOf(email), { Title: title })
  const titleOf = (email: string): string => sheet.all().get(idOf(sheet, email))?.title ?? ''
  const titleIn = (email: string): unknown => crm.org.get(rowOf(email))?.values.get('Title') ?? ''
  const arrives = (email: string, title: string): Promise<void> =>
    until(() => titleOf(email) === title, `${title} in the sheet`, 15_000)
  /** Requests that read the feed. */
  const feeds = (): number =>
    crm.traffic.filter(({ body }) => /SystemModstamp(%20|\+)(%3E|>)/.test(JSON.stringify(body ?? ''))).length

  test('an edit in Salesforce is in the sheet before the feed is asked, with one write, and ours are no edits (I6)', async () => {
    const daemon = await lead()
    await until(() => feeds() > 0, 'the first pass', 10_000)
    home.deliveries.length = 0
    const before = feeds()
    edit('p0@example.org', 'Countess')
    await arrives('p0@example.org', 'Countess')
    expect(feeds()).toBe(before)
    const reads = crm.traffic.length
    const delivered = crm.streaming.delivered
    sheet.edit(idOf(sheet, 'p1@example.org'), 'title', 'Admiral')
    await until(() => titleIn('p1@example.org') === 'Admiral', 'the title in Salesforce', 15_000)
    await until(() => crm.streaming.delivered > delivered, 'the echo', 10_000)
    await runToQuiet(daemon, { delivered: true })
    expect(home.deliveries).toEqual([
      { connection: 'sheet', op: 'update', state: 'done' },
      { connection: 'crm', op: 'update', state: 'done' },
    ])
    // The echo asks for no record by its id: looking before writing, writing, and passes over the feed are all there is.
    const asked = crm.traffic.slice(reads).map(({ body }) => JSON.stringify(body ?? ''))
    expect(asked.filter((body) => body.includes('Admiral'))).toHaveLength(1)
    expect(await (await home.open()).inbox.connections()).toEqual([])
  })

  test('a delete is never believed from an event: the feed is asked, and its answer takes its way (I5)', async () => {
    await lead()
    const id = rowOf('p3@example.org')
    crm.org.remove(id)
    const { store } = await home.open()
    await until(async () => (await store.known('crm', [id])).get(id)?.state === 'gone', 'the deletion', 15_000)
    expect(sheet.all().size).toBe(PEOPLE.length)
  })

  const FAULTS: readonly (readonly [string, Partial<StreamingFaults>])[] = [
    ['lost', { droppedEvents: 5 }],
    ['lost with their responses', { droppedPolls: 2 }],
    ['doubled and in the wrong order', { doubled: true, reversed: true }],
    ['several in one', { merged: true }],
    ['gaps', { shape: 'gap' }],
    ['overflows', { shape: 'overflow' }],
    ['in a shape that is none', { shape: 'unreadable' }],
  ]

  test('events that are lost, doubled, out of order, gaps or no events at all cost nothing but time: all ends where the feed alone ends (I3, I6, I8)', async () => {
    const daemon = await lead()
    for (const [name, faults] of FAULTS) {
      home.deliveries.length = 0
      const whole = { ...crm.streaming.faults }
      Object.assign(crm.streaming.faults, faults)
      for (const email of EMAILS) edit(email, 'First')
      for (const email of EMAILS) edit(email, `Last, ${name}`)
      crm.streaming.forgetClients()
      await until(() => crm.streaming.held === 1, 'the daemon to listen again', 10_000)
      Object.assign(crm.streaming.faults, whole)
      await daemon.wakePull('crm')
      for (const email of EMAILS) await arrives(email, `Last, ${name}`)
      await runToQuiet(daemon, { delivered: true })
      expect(EMAILS.map((email) => [titleOf(email), titleIn(email)])).toEqual(
        EMAILS.map(() => [`Last, ${name}`, `Last, ${name}`]),
      )
      expect(home.deliveries.filter((delivery) => delivery.connection === 'crm')).toEqual([])
    }
    await leave()
    expect(await home.countedSync()).toEqual({ crm: 0, sheet: 0 })
  })

  test('one process listens, not those beside it that only work; it stops at once, and the next goes on where it was', async () => {
    await lead()
    const beside = await Daemon.start(await home.open(), { leads: false })
    try {
      edit('p0@example.org', 'Countess')
      await arrives('p0@example.org', 'Countess')
      expect(crm.streaming.clients).toBe(1)
    } finally {
      await beside.stop()
    }
    const began_ms = Date.now()
    await leave()
    expect(Date.now() - began_ms).toBeLessThan(5000)
    expect(crm.streaming.clients).toBe(0)
    await home.shut()
    await lead()
    const last = crm.streaming.asked.findLast((line) => line.includes('Contact'))
    expect(last).toMatch(/^\/meta\/subscribe \/data\/ContactChangeEvent .*:\d+\}$/)
  })

  test('with mode: paused nothing is listened to; in a pause the daemon listens on, and keeps what it hears (I10)', async () => {
    const daemon = await lead()
    await beginPause(daemon.runtime, 'crm', { by: 'ada', why: 'clean-up', until_ms: null })
    await daemon.runtime.store.settlePause('crm', await pauseOf(daemon), Date.now())
    edit('p0@example.org', 'Countess')
    await until(async () => (await daemon.runtime.store.keptCount('crm')) === 1, 'the edit to be kept', 15_000)
    expect(titleOf('p0@example.org')).toBe('')
    await leave()
    await home.shut()

    home.configure({ brakes: NO_BRAKES, connections: connection({ mode: 'paused' }) })
    leading = await Daemon.start(await home.open(), { leads: true, sweep_ms: LATE_MS })
    expect(crm.streaming.clients).toBe(0)
    expect(crm.streaming.held).toBe(0)
  })

  async function pauseOf(daemon: Daemon): Promise<string> {
    const state = (await daemon.runtime.store.connections()).find(({ name }) => name === 'crm')
    return state?.pause?.id ?? ''
  }

  test('that may not subscribe says so in the log, in kith status and in the metrics, polls on, and names no value (I15)', async () => {
    const server = { port: 0, publicUrl: 'https://kith.example' }
    home.configure({ brakes: NO_BRAKES, connections: connection(), server })
    const household = await home.open()
    const edge = (await Edge.open(household, {
      metrics: new Metrics(),
      meter: new Meter(),
      log: remembered().log,
    })) as Edge
    const listening = async (): Promise<unknown> =>
      (await statusDocument(household, Date.now())).connections['crm']?.listening
    const metric = async (): Promise<string | undefined> =>
      /kith_listening\{.*/.exec(await (await fetch(`${edge.url}/metrics`)).text())?.[0]
    try {
      for (const object of ['Contact', 'Lead']) crm.streaming.faults.refused.add(`/data/${object}ChangeEvent`)
      leading = await Daemon.start(household, { leads: true, sweep_ms: LATE_MS })
      await until(async () => (await listening()) !== undefined, 'the failure', 10_000)
      expect(await listening()).toMatchObject({
        failure: { kind: 'permanent', message: expect.stringContaining('/data/ContactChangeEvent') },
      })
      expect(await metric()).toBe('kith_listening{connection="crm"} 0')
      expect(home.told.filter(({ event }) => event === 'changes are not heard at once')).toHaveLength(1)
      edit('p0@example.org', 'Countess')
      await leading.wakePull('crm')
      await arrives('p0@example.org', 'Countess')
      expect(await home.failure('crm')).toBeNull()

      crm.streaming.faults.refused.clear()
      await until(() => crm.streaming.held === 1, 'it to be tried again', 10_000)
      expect(await listening()).toEqual({ since: expect.any(String) })
      expect(await metric()).toBe('kith_listening{connection="crm"} 1')
      await leave()
      expect(await listening()).toBeUndefined()
      expect(await metric()).toBeUndefined()
    } finally {
      await edge.close()
    }
  })
})
