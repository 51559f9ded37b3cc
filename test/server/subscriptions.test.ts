import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import type { App, HookTarget, SubscriptionReport } from '../../connectors/app.ts'
import { hubspot } from '../../connectors/hubspot/index.ts'
import { startHubSpotSimulator, type HubSpotSimulator } from '../../connectors/hubspot/simulator.ts'
import { zendesk } from '../../connectors/zendesk/index.ts'
import { startZendeskSimulator, type ZendeskSimulator } from '../../connectors/zendesk/simulator.ts'

const CONTEXT = { connection: 'crm', baseDir: '/', now: Date.now }
const TARGET: HookTarget = { url: 'https://kith.example/hooks/crm', fields: ['firstname', 'email.all'] }

function subscriptionsOf(app: App<never>, options: object) {
  const parsed = (app as unknown as App).options.parse(options)
  const found = (app as unknown as App).subscriptions?.(parsed, CONTEXT)
  if (!found) throw new Error('the app has no subscriptions')
  return found
}

const states = ({ subscriptions }: SubscriptionReport): string[] => [
  ...new Set(subscriptions.map(({ state, did }) => did ?? state)),
]

describe("HubSpot's subscriptions", () => {
  let crm: HubSpotSimulator
  beforeEach(async () => {
    crm = await startHubSpotSimulator({ token: 'token' })
  })
  afterEach(() => crm.close())

  const open = (more: object = { appId: '1160452', developerKey: 'developer-key' }) =>
    subscriptionsOf(hubspot as App<never>, { token: 'token', basePath: crm.url, ...more })

  test('are registered once, for what the mapping reads, and repaired where they were switched off', async () => {
    const app = open()
    expect(states(await app.list(TARGET))).toEqual(['missing'])
    expect(crm.developerApp.subscriptions).toEqual([])
    expect(states(await app.sync(TARGET))).toEqual(['created'])
    const { targetUrl, subscriptions } = crm.developerApp
    expect(targetUrl).toBe(TARGET.url)
    expect(subscriptions.flatMap(({ propertyName }) => propertyName ?? [])).toEqual([
      'email',
      'firstname',
      'hs_additional_emails',
    ])
    expect([states(await app.list(TARGET)), states(await app.sync(TARGET))]).toEqual([['right'], ['right']])
    const [first] = subscriptions
    if (first) first.active = false
    const one = (await app.list(TARGET)).subscriptions[0]
    expect(one).toMatchObject({ what: 'contact.creation', state: 'wrong', detail: 'it is switched off' })
    expect((await app.sync(TARGET)).subscriptions[0]).toMatchObject({ state: 'right', did: 'repaired' })
    expect(crm.developerApp.subscriptions).toHaveLength(8)
  })

  test('follow Kith to a new address, and are never taken from somebody else', async () => {
    const app = open()
    crm.developerApp.targetUrl = 'https://old.example/hooks/crm'
    await app.sync(TARGET)
    expect(crm.developerApp.targetUrl).toBe(TARGET.url)
    crm.developerApp.targetUrl = 'https://shop.example/from-hubspot'
    const report = await app.sync(TARGET)
    expect(crm.developerApp.targetUrl).toBe('https://shop.example/from-hubspot')
    expect(states(report)).toEqual(['wrong'])
    expect(report.byHand.join()).toContain('to another address')
  })

  test('of an app that has no API are told step by step', async () => {
    const { subscriptions, byHand } = await open({}).sync(TARGET)
    expect(subscriptions).toEqual([])
    expect(byHand.join('\n')).toContain('contact.propertyChange firstname')
    expect(byHand.join('\n')).toContain('"targetUrl":"https://kith.example/hooks/crm"')
    expect(crm.requests).toEqual([])
  })

  test('of a key that is refused fail with auth, and the key is in no message (I15)', async () => {
    const app = open({ appId: '1160452', developerKey: 'wrong-key' })
    await expect(app.list(TARGET)).rejects.toMatchObject({ failure: { kind: 'auth' } })
    await expect(app.list(TARGET)).rejects.not.toThrow('wrong-key')
  })
})

describe("Zendesk's subscriptions", () => {
  let desk: ZendeskSimulator
  beforeEach(async () => {
    desk = await startZendeskSimulator({ token: 'token' })
  })
  afterEach(() => desk.close())

  const open = (more: object = {}) =>
    subscriptionsOf(zendesk as App<never>, { subdomain: 'acme', oauthToken: 'token', baseUrl: desk.url, ...more })
  /** Webhooks of other programs, on more than one page. */
  const strangers = (count: number): void => {
    for (let n = 0; n < count; n++)
      desk.webhooks.create({
        name: `Other ${n}`,
        endpoint: `https://other.example/${n}`,
        http_method: 'POST',
        request_format: 'json',
        status: 'active',
        subscriptions: ['zen:event-type:user.created'],
      })
  }

  test('are registered once, with the secret that the account made, and never shown again when it is ours', async () => {
    strangers(3)
    expect(states(await open().list(TARGET))).toEqual(['missing'])
    const report = await open().sync(TARGET)
    expect(states(report)).toEqual(['created'])
    expect(report.secret).toMatchObject({ option: 'webhookSecret' })
    expect(desk.webhooks.registered).toHaveLength(4)
    expect(desk.webhooks.registered[3]).toMatchObject({ endpoint: TARGET.url, status: 'active', http_method: 'POST' })
    const again = await open({ webhookSecret: report.secret?.value }).sync(TARGET)
    expect([states(again), again.secret]).toEqual([['right'], undefined])
    expect(desk.webhooks.registered).toHaveLength(4)
  })

  test('are repaired: switched on again, what is missing added, what else is there kept', async () => {
    await open().sync(TARGET)
    const [ours] = desk.webhooks.registered
    if (!ours) throw new Error('there is none')
    ours.status = 'inactive'
    ours.subscriptions = ['zen:event-type/user.merged', 'zen:event-type:organization.created']
    const before = await open().list(TARGET)
    expect(before.subscriptions.filter(({ state }) => state === 'wrong').map(({ what }) => what)).toEqual([
      'zen:event-type:user.merged',
    ])
    expect(states(await open().sync(TARGET))).toEqual(['repaired'])
    expect(ours.status).toBe('active')
    expect(ours.subscriptions).toContain('zen:event-type:organization.created')
    expect(ours.subscriptions.filter((type) => type.endsWith('user.merged'))).toHaveLength(1)
  })

  test('leave a webhook of a trigger alone, also where it leads to us', async () => {
    desk.webhooks.create({
      name: 'Trigger',
      endpoint: TARGET.url,
      http_method: 'POST',
      request_format: 'json',
      status: 'active',
      subscriptions: ['conditional_ticket_events'],
    })
    await open().sync(TARGET)
    expect(desk.webhooks.registered.map(({ subscriptions }) => subscriptions.length)).toEqual([1, 13])
  })
})
