import { createHmac } from 'node:crypto'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { startHubSpotSimulator, type HubSpotSimulator } from '../../connectors/hubspot/simulator.ts'
import { isRefusal } from '../../connectors/hubspot/simulator-contacts.ts'
import { startMailchimpSimulator, type MailchimpSimulator } from '../../connectors/mailchimp/simulator.ts'
import { startSalesforceSimulator, type SalesforceSimulator } from '../../connectors/salesforce/simulator.ts'
import { startZendeskSimulator, type ZendeskSimulator } from '../../connectors/zendesk/simulator.ts'
import { Edge } from '../../server/edge.ts'
import { Metrics } from '../../server/metrics.ts'
import { Meter } from '../../workers/meter.ts'
import { contact } from '../support/contacts.ts'
import { TestHousehold } from '../support/household.ts'
import { until } from '../support/kithProcess.ts'
import { idOf, Sheet, type Place } from '../support/places.ts'
import { service } from '../support/postgres.ts'
import { NO_BRAKES } from '../support/three-places.ts'
import { remembered } from './desk.ts'
import { Relay, type Letter } from './relay.ts'

jest.setTimeout(60_000)

const SECRET = 'client secret'
const SECRET_PATH = 'a-secret-of-sixteen-letters'
const PORTAL = 4242
const PEOPLE = Array.from({ length: 8 }, (_, n) => ({
  email: `p${n}@example.org`,
  given: `Given${n}`,
  family: `Family${n}`,
}))

let relay: Relay
let home: TestHousehold
let edge: Edge
let sheet: Sheet
let log: ReturnType<typeof remembered>

/** A place that is only configured: it is seen through its simulator. */
function account(name: string, config: Place['config']): Place {
  const nobody = (): never => {
    throw new Error('edit the simulator')
  }
  return { name, config, all: () => new Map(), add: nobody, edit: nobody, remove: nobody, stamps: () => new Map() }
}

async function open(place: Place): Promise<void> {
  const dir = TestHousehold.folder()
  const people = PEOPLE.map((who) => contact({ given: who.given, family: who.family, emails: [who.email] }))
  sheet = new Sheet('sheet', join(dir, 'contacts.csv'), people)
  const server = { port: 0, publicUrl: relay.url }
  home = await TestHousehold.make(dir, [place, sheet], { brakes: NO_BRAKES, server })
  await home.syncApproved()
  await serve()
}

/** The edge over the household as it stands: nobody polls or sweeps, so that only hooks hasten anything. */
async function serve(): Promise<void> {
  log = remembered()
  const daemon = await home.daemon()
  const parts = { metrics: new Metrics(), meter: new Meter(), log: log.log }
  edge = (await Edge.open(await home.open(), parts)) as Edge
  edge.attach(daemon)
  relay.to(edge.url)
}

const titleOf = (email: string): string => sheet.all().get(idOf(sheet, email))?.title ?? ''
const arrives = (email: string, title: string): Promise<void> =>
  until(() => titleOf(email) === title, `${title} in the sheet`, 15_000)

beforeEach(async () => {
  relay = await Relay.open()
})
afterEach(async () => {
  await edge.close()
  await home.close()
  await relay.close()
})

/** The letter with another body, signed as HubSpot would. */
function signed(letter: Letter, body: string): Letter {
  const at = String(Date.now())
  const signature = createHmac('sha256', SECRET).update(`POST${relay.url}${letter.path}${body}${at}`).digest('base64')
  const headers = { ...letter.headers, 'x-hubspot-signature-v3': signature, 'x-hubspot-request-timestamp': at }
  return { ...letter, body: Buffer.from(body), headers }
}

describe("HubSpot's hooks", () => {
  let crm: HubSpotSimulator
  beforeEach(async () => {
    crm = await startHubSpotSimulator({ token: 'token' })
    await open(
      account('crm', { app: 'hubspot', token: 'token', clientSecret: SECRET, portal: PORTAL, basePath: crm.url }),
    )
    crm.hook({ url: `${relay.url}/hooks/crm`, clientSecret: SECRET, portalId: PORTAL, pause_ms: 20 })
  })
  afterEach(() => crm.close())

  const idIn = (email: string): string => {
    const found = crm.contacts.live().find((one) => one.properties.get('email') === email)
    if (!found) throw new Error(`HubSpot has no ${email}`)
    return found.id
  }
  const edit = (email: string, title: string): void => {
    if (isRefusal(crm.contacts.update(idIn(email), { jobtitle: title }, 'CRM_UI'))) throw new Error('refused')
  }
  const searches = (): number => crm.requests.filter(({ path }) => path.endsWith('/search')).length
  /** The edits as letters, each on its own. */
  const lettersOf = async (edits: readonly (readonly [string, string])[]): Promise<Letter[]> => {
    const before = relay.letters.length
    for (const [email, title] of edits) {
      edit(email, title)
      await crm.hooksDelivered()
    }
    return relay.letters.slice(before)
  }

  test('what a hook names is in the sheet without the feed being asked', async () => {
    relay.faithful = true
    const before = searches()
    edit('p0@example.org', 'Countess')
    await arrives('p0@example.org', 'Countess')
    expect(searches()).toBe(before)
  })

  test('dropped ones are found by the cursor: nothing is lost', async () => {
    await lettersOf([
      ['p0@example.org', 'One'],
      ['p1@example.org', 'Two'],
    ])
    expect(titleOf('p0@example.org')).toBe('')
    await home.sync()
    expect(['p0', 'p1'].map((name) => titleOf(`${name}@example.org`))).toEqual(['One', 'Two'])
  })

  test('doubled and reordered ones end where the edits ended, with one write for each record at most (I6, I8)', async () => {
    const edits = PEOPLE.flatMap(({ email }, n) => [[email, `First ${n}`] as const, [email, `Last ${n}`] as const])
    const letters = await lettersOf(edits)
    home.deliveries.length = 0
    const statuses = await Promise.all(
      [...letters, ...letters.toReversed(), ...letters].map((letter) => relay.deliver(letter)),
    )
    expect([...new Set(statuses)]).toEqual([204])
    for (const [n, { email }] of PEOPLE.entries()) await arrives(email, `Last ${n}`)
    await home.sync()
    expect(PEOPLE.map(({ email }) => titleOf(email))).toEqual(PEOPLE.map((_, n) => `Last ${n}`))
    expect(home.deliveries.filter(({ connection }) => connection === 'sheet')).toHaveLength(PEOPLE.length)
    expect(home.deliveries.filter(({ connection }) => connection === 'crm')).toEqual([])
    expect(await home.countedSync()).toEqual({ crm: 0, sheet: 0 })
  })

  test('forged, altered and aged ones change nothing and ask the app nothing', async () => {
    const [letter] = (await lettersOf([['p0@example.org', 'Forged']])) as [Letter]
    const asked = crm.requests.length
    const other = Buffer.from(letter.body.toString().replace('Forged', 'Altered'))
    const old = String(Number(letter.headers['x-hubspot-request-timestamp']) - 600_000)
    const bad: Letter[] = [
      { ...letter, body: other },
      { ...letter, path: '/hooks/crm?to=elsewhere' },
      { ...letter, headers: { ...letter.headers, 'x-hubspot-signature-v3': 'AAAA' } },
      { ...letter, headers: { ...letter.headers, 'x-hubspot-request-timestamp': old } },
      { ...letter, headers: {} },
    ]
    for (const each of bad) expect(await relay.deliver(each)).toBe(401)
    expect([
      await relay.deliver({ ...letter, path: '/hooks/sheet' }),
      await relay.deliver({ ...letter, path: '/hooks/x' }),
    ]).toEqual([404, 404])
    expect(await (await home.open()).inbox.connections()).toEqual([])
    expect([crm.requests.length, titleOf('p0@example.org')]).toEqual([asked, ''])
    expect(log.lines.join()).not.toMatch(/example\.org|Forged|Given|client secret|AAAA/)
  })

  test('one that says "deleted" of a contact that is there deletes nothing; of one that is gone, the feed is asked (I5)', async () => {
    const before = relay.letters.length
    const id = idIn('p3@example.org')
    edit('p3@example.org', 'Still here')
    await crm.hooksDelivered()
    const [letter] = relay.letters.slice(before) as [Letter]
    // The app itself says so, wrongly: signed with its own secret.
    const events = JSON.parse(letter.body.toString()) as { subscriptionType: string }[]
    for (const event of events) event.subscriptionType = 'contact.deletion'
    expect(await relay.deliver(signed(letter, JSON.stringify(events)))).toBe(204)
    await arrives('p3@example.org', 'Still here')

    relay.faithful = true
    crm.contacts.archive(id)
    await crm.hooksDelivered()
    const store = (await home.open()).store
    await until(async () => (await store.known('crm', [id])).get(id)?.state === 'gone', 'the deletion', 15_000)
    expect(sheet.all().size).toBe(PEOPLE.length)
  })

  test('a restart in between forgets neither what was taken nor what was seen', async () => {
    edit('p1@example.org', 'Any')
    await home.sync()
    const [letter] = (await lettersOf([['p5@example.org', 'Countess']])) as [Letter]
    // Taken while the workers are not there yet.
    await edge.close()
    const parts = { metrics: new Metrics(), meter: new Meter(), log: log.log }
    edge = (await Edge.open(await home.open(), parts)) as Edge
    relay.to(edge.url)
    expect(await relay.deliver(letter)).toBe(204)
    expect(titleOf('p5@example.org')).toBe('')

    await edge.close()
    await home.shut()
    await serve()
    expect(await (await home.open()).inbox.connections()).toEqual(['crm'])
    expect(await relay.deliver(letter)).toBe(204)
    const asked = crm.requests.length
    await (await home.daemon()).queues.wakeAnnounced('crm')
    await arrives('p5@example.org', 'Countess')
    const reads = crm.requests.slice(asked).filter(({ path }) => path.includes('/batch/read'))
    expect(reads).toHaveLength(1)
    const { inbox } = await home.open()
    await until(async () => (await inbox.connections()).length === 0, 'an empty inbox', 10_000)
    expect(await relay.deliver(letter)).toBe(204)
    expect(await inbox.connections()).toEqual([])
  })

  test('is answered 503 while the database is down, sent again by HubSpot, and nothing is lost', async () => {
    const { databaseUrl } = await home.open()
    const name = new URL(databaseUrl).pathname.slice(1)
    const admin = new URL(databaseUrl)
    admin.pathname = '/postgres'
    await service(admin.href, `alter database ${name} with allow_connections false`)
    await service(admin.href, `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}'`)
    relay.faithful = true
    edit('p6@example.org', 'Countess')
    await until(() => relay.letters.length >= 2, 'a second attempt', 10_000)
    expect(await relay.deliver(relay.letters[0] as Letter)).toBe(503)
    expect((await fetch(`${edge.url}/readyz`)).status).toBe(503)
    await service(admin.href, `alter database ${name} with allow_connections true`)
    await crm.hooksDelivered()
    await until(
      async () => {
        await home.sync().catch(() => undefined)
        return titleOf('p6@example.org') === 'Countess'
      },
      'the edit',
      20_000,
    )
  })

  test('hooks at once with a pass over the feed, edit upon edit, leave no older reading standing (I3, I8)', async () => {
    relay.faithful = true
    const daemon = await home.daemon()
    for (let round = 0; round < 12; round++) {
      for (const { email } of PEOPLE.slice(0, 3)) edit(email, `Round ${round}`)
      await daemon.queues.wakePull('crm')
    }
    await crm.hooksDelivered()
    for (const { email } of PEOPLE.slice(0, 3)) await arrives(email, 'Round 11')
    await home.sync()
    expect(PEOPLE.slice(0, 3).map(({ email }) => titleOf(email))).toEqual(['Round 11', 'Round 11', 'Round 11'])
    for (const { email } of PEOPLE.slice(0, 3))
      expect(crm.contacts.resolve(idIn(email))?.properties.get('jobtitle')).toBe('Round 11')
  })
})

describe("Zendesk's hooks", () => {
  let desk: ZendeskSimulator

  beforeEach(async () => {
    desk = await startZendeskSimulator({ email: 'admin@example.com', token: 'token' })
    desk.faults.exports_max = 1000
    await open(
      account('desk', {
        app: 'zendesk',
        subdomain: 'acme',
        email: 'admin@example.com',
        token: 'token',
        baseUrl: desk.url,
        webhookSecret: SECRET,
      }),
    )
    desk.subscribe({ url: `${relay.url}/hooks/desk`, secret: SECRET })
  })
  afterEach(() => desk.close())

  test('an edit is heard although the export withholds the newest minute', async () => {
    relay.faithful = true
    const user = desk.users.all().find(({ name }) => name === 'Given0 Family0')
    desk.users.edit(user?.id ?? 0, { name: 'Augusta King' })
    const names = (): string[] => [...sheet.all().values()].map(({ given, family }) => `${given} ${family}`)
    await until(() => names().includes('Augusta King'), 'the name in the sheet', 15_000)
    expect(names()).not.toContain('Given0 Family0')
  })

  test('an agent whom a hook names is left alone: the feed does not tell of agents either', async () => {
    relay.faithful = true
    const before = relay.letters.length
    desk.hooks.announce({
      type: 'zen:event-type:user.name_changed',
      userId: desk.users.staff.id,
      detail: {},
      event: {},
    })
    await desk.hooks.flushed()
    await until(async () => (await (await home.open()).inbox.connections()).length === 0, 'the reading', 10_000)
    expect(relay.letters.length).toBeGreaterThan(before)
    const known = await (await home.open()).store.known('desk', [String(desk.users.staff.id)])
    expect(known.size).toBe(0)
  })
})

describe("Mailchimp's hooks", () => {
  const KEY = '0123456789abcdef0123456789abcdef-us6'
  const AUDIENCE = '9e67587f52'
  let news: MailchimpSimulator
  beforeEach(async () => {
    news = await startMailchimpSimulator({ apiKey: KEY, audience: AUDIENCE })
    await open(
      account('news', {
        app: 'mailchimp',
        audience: AUDIENCE,
        apiKey: KEY,
        basePath: news.url,
        webhookSecret: SECRET,
        newMembers: 'subscribed',
      }),
    )
  })
  afterEach(() => news.close())

  test('the address answers the GET that tries it; a signed form hastens the edit, a forged one is turned away', async () => {
    await news.hooks.subscribe({ url: `${edge.url}/hooks/news`, signingSecret: SECRET })
    const member = news.audience.find('p1@example.org')
    if (!member) throw new Error('no such member')
    news.audience.update(member, { merge_fields: { FNAME: 'Augusta' } }, 'user')
    news.advance(120_000)
    await news.hooks.flushed()
    expect(news.hooks.sent).toEqual([{ type: 'profile', status: 200 }])
    await until(
      () => [...sheet.all().values()].some(({ given }) => given === 'Augusta'),
      'the name in the sheet',
      15_000,
    )

    const headers = { 'content-type': 'application/x-www-form-urlencoded', 'x-mailchimp-signature': 't=1,v1=00' }
    const forged = await fetch(`${edge.url}/hooks/news`, { method: 'POST', headers, body: 'type=profile' })
    expect(forged.status).toBe(401)
  })
})

describe("Salesforce's outbound messages", () => {
  const ORG = '00D000000000001AAA'
  let crm: SalesforceSimulator
  beforeEach(async () => {
    crm = await startSalesforceSimulator({ accessToken: 'secret', organizationId: ORG, keyField: 'Kith_Key__c' })
    await open(
      account('crm', {
        app: 'salesforce',
        accessToken: 'secret',
        instanceUrl: crm.url,
        keyField: 'Kith_Key__c',
        organizationId: ORG,
        webhookToken: SECRET_PATH,
      }),
    )
  })
  afterEach(() => crm.close())

  test('a message is acknowledged in SOAP and read by its record ids; without the secret in its address it is not', async () => {
    crm.messages.subscribe({ url: `${edge.url}/hooks/crm/${SECRET_PATH}`, organizationId: ORG, pause_ms: 20 })
    const row = crm.org.living().find(({ values }) => values.get('Email') === 'p2@example.org')
    if (!row) throw new Error('no such contact')
    crm.org.update(row.Id, { Title: 'Countess' })
    await arrives('p2@example.org', 'Countess')
    await until(() => crm.messages.acknowledged > 0, 'the acknowledgement', 5000)

    const strange = await fetch(`${edge.url}/hooks/crm/wrong`, { method: 'POST', body: '<x/>' })
    expect([401, 403, 404]).toContain(strange.status)
    expect(await strange.text()).not.toContain('<Ack>true')
  })
})
