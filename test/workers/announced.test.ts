import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { startHubSpotSimulator, type HubSpotSimulator } from '../../connectors/hubspot/simulator.ts'
import type { Connector } from '../../engine/core/ports/connector.ts'
import type { ConnectionRules } from '../../engine/core/rules.ts'
import { Ear, hearAnnounced } from '../../workers/announced.ts'
import { applySightings } from '../../workers/apply.ts'
import type { Runtime } from '../../workers/runtime.ts'
import { contact } from '../support/contacts.ts'
import { TestHousehold } from '../support/household.ts'
import { idOf, Sheet, type Place } from '../support/places.ts'
import { NO_BRAKES } from '../support/three-places.ts'

const ADA = 'ada@example.org'

let crm: HubSpotSimulator
let home: TestHousehold
let sheet: Sheet
let runtime: Runtime
let adaInCrm: string

beforeEach(async () => {
  crm = await startHubSpotSimulator({ token: 'token' })
  const nobody = (): never => {
    throw new Error('edit the simulator')
  }
  const place: Place = {
    name: 'crm',
    config: { app: 'hubspot', token: 'token', basePath: crm.url },
    all: () => new Map(),
    add: nobody,
    edit: nobody,
    remove: nobody,
    stamps: () => new Map(),
  }
  const dir = TestHousehold.folder()
  sheet = new Sheet('sheet', join(dir, 'contacts.csv'), [contact({ given: 'Ada', family: 'Lovelace', emails: [ADA] })])
  home = await TestHousehold.make(dir, [place, sheet], { brakes: NO_BRAKES })
  await home.syncApproved()
  runtime = (await home.daemon()).runtime
  adaInCrm = crm.contacts.live()[0]?.id ?? ''
})
afterEach(async () => {
  await home.close()
  await crm.close()
})

const edit = (title: string): void => void crm.contacts.update(adaInCrm, { jobtitle: title }, 'CRM_UI')
const connector = (): Connector => runtime.connectors.get('crm') as Connector

/** The runtime, with another way to read by id. */
function reading(read: Connector['read']): Runtime {
  const other = new Proxy(connector(), {
    get(target, key) {
      if (key === 'read') return read
      const value = Reflect.get(target, key) as unknown
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
  return { ...runtime, connectors: new Map([...runtime.connectors, ['crm', other]]) }
}

async function announce(...records: string[]): Promise<void> {
  await (await home.open()).inbox.take({ connection: 'crm', eventIds: [], records, now_ms: Date.now() })
}

test('a reading that is older than what was heard meanwhile is no edit: it is read again (I3, I8)', async () => {
  const { inbox } = await home.open()
  const rules = runtime.rules.connections.get('crm') as ConnectionRules
  edit('Older')
  await announce(adaInCrm)
  let reads = 0
  const late = reading(async (ids, signal) => {
    const answers = await connector().read(ids, signal)
    if (++reads > 1) return answers
    // While the answer is on its way the contact is edited, and a pass hears that first.
    edit('Newer')
    await applySightings(runtime, rules, await connector().read(ids), null)
    return answers
  })
  await hearAnnounced(late, inbox, 'crm')
  expect([reads, await inbox.connections()]).toEqual([2, []])
  await home.sync()
  expect(sheet.all().get(idOf(sheet, ADA))?.title).toBe('Newer')
  expect(home.changes.filter(({ after }) => after === 'Older')).toEqual([])
})

test('what cannot be read waits on, and is heard when it can', async () => {
  const { inbox } = await home.open()
  edit('Countess')
  await announce(adaInCrm)
  const failing = reading(() => Promise.reject(new Error('no network')))
  await hearAnnounced(failing, inbox, 'crm')
  expect(await inbox.connections()).toEqual(['crm'])
  await hearAnnounced(runtime, inbox, 'crm')
  expect(await inbox.connections()).toEqual([])
})

test('a contact that an app says is gone is not gone by that, and ids of nobody make nobody (I5)', async () => {
  const { inbox, store } = await home.open()
  await announce(adaInCrm, '999', 'no id')
  const pulls: string[] = []
  const absent = reading(async (ids) => ids.map((id) => ({ kind: 'gone', id })))
  const queue = { ...absent.queue, wakePull: async (name: string) => void pulls.push(name) }
  await hearAnnounced({ ...absent, queue }, inbox, 'crm')
  expect((await store.known('crm', [adaInCrm, '999', 'no id'])).get(adaInCrm)?.state).toBe('linked')
  expect([pulls, await inbox.connections(), await store.staged(10)]).toMatchObject([['crm'], [], { links: [] }])
})

test('announcements that come while one is read go together into the next reading', async () => {
  const begun: (() => void)[] = []
  const ear = new Ear(() => new Promise((resolve) => void begun.push(resolve)))
  for (let n = 0; n < 5; n++) ear.wake('crm')
  ear.wake('desk')
  expect(begun).toHaveLength(2)
  begun[0]?.()
  await new Promise((resolve) => setImmediate(resolve))
  expect(begun).toHaveLength(3)
  const stopped = ear.stop()
  for (const end of begun) end()
  await stopped
  ear.wake('crm')
  expect(begun).toHaveLength(3)
})
