import { afterEach, beforeEach, expect, jest, test } from '@jest/globals'
import { startHubSpotSimulator, type HubSpotSimulator } from '../../../connectors/hubspot/simulator.ts'
import { human } from '../../support/humans.ts'
import { Crm, type Place } from '../../support/places.ts'
import { Office, type Body } from './office.ts'

jest.setTimeout(60_000)

const KEY = 'developer-key'
const TOKEN = 'pat-eu1-sesame'

let office: Office
let hubspot: HubSpotSimulator
let desk: Crm
afterEach(async () => {
  await office.close()
  await hubspot.close()
  desk.close()
})
beforeEach(async () => {
  hubspot = await startHubSpotSimulator({ token: TOKEN })
  desk = new Crm('desk', [human(1)])
})

async function open(more: { readonly [key: string]: unknown } = {}): Promise<void> {
  const account = { app: 'hubspot', token: TOKEN, basePath: hubspot.url, appId: '1160452', developerKey: KEY }
  // Nobody looks into it: only its entry in the config counts.
  const place = Object.assign(new Crm('crm', []), { config: account }) as Place
  office = await Office.open([place, desk], { ...more, connections: { crm: { create: false } } })
}

test('the config is checked with every connection, and the fields of an account are told; no secret is', async () => {
  await open()
  const check = await office.done('viewer', 'GET', '/check')
  expect(check).toMatchObject({
    ok: true,
    connections: { crm: { app: 'hubspot', answered: true, lossy: {} }, desk: { app: 'memory', answered: true } },
    errors: [],
  })
  const literal = check.warnings.find(({ message }: Body) => message.includes('written out in the file'))
  expect(literal).toMatchObject({ file: expect.stringContaining('kith.yaml'), line: expect.any(Number) })
  const { app, fields } = await office.done('viewer', 'GET', '/connections/crm/fields')
  expect(app).toBe('hubspot')
  expect(fields.find(({ name }: Body) => name === 'jobtitle')).toMatchObject({ mapped: true, mapsTo: ['title'] })
  expect((await office.call('viewer', 'GET', '/connections/moon/fields')).status).toBe(404)
  expect(JSON.stringify([check, fields, office.lines])).not.toContain(TOKEN)

  hubspot.faults.tokenRevoked = true
  const failed = await office.done('viewer', 'GET', '/check')
  expect([failed.ok, failed.connections.crm.answered, failed.connections.desk.answered]).toEqual([false, false, true])
  expect(failed.errors).toMatchObject([{ connection: 'crm', message: expect.stringContaining('crm failed') }])
  const fieldsThen = await office.call('viewer', 'GET', '/connections/crm/fields')
  expect([fieldsThen.status, fieldsThen.body.advice]).toEqual([409, 'See GET /check.'])
})

test('hooks are shown, and registered by an operator, who is recorded', async () => {
  await open({ server: { port: 0, publicUrl: 'https://kith.example' } })
  const states = ({ hooks }: Body): Body =>
    hooks.map(({ connection, url, failure }: Body) => [connection, url, failure])
  const listed = await office.done('viewer', 'GET', '/hooks')
  expect(states(listed)).toEqual([
    ['crm', 'https://kith.example/hooks/crm', null],
    ['desk', null, null],
  ])
  expect(listed.hooks[0].subscriptions[0]).toMatchObject({ state: 'missing' })
  expect(hubspot.developerApp.subscriptions).toEqual([])
  const synced = await office.done('operator', 'POST', '/hooks/sync', { why: 'the new proxy' })
  expect(synced.hooks[0].subscriptions[0]).toMatchObject({ state: 'right', did: 'created' })
  expect(hubspot.developerApp.targetUrl).toBe('https://kith.example/hooks/crm')
  expect(JSON.stringify([listed, synced])).not.toContain(KEY)
  expect((await office.done('viewer', 'GET', '/acts?kind=hooks')).acts).toMatchObject([
    { by: 'operator', why: 'the new proxy', about: { changed: ['crm'] } },
  ])
})

test('hooks are not registered where nobody knows the way to Kith', async () => {
  await open()
  const { status, body } = await office.call('operator', 'POST', '/hooks/sync', { why: 'x' })
  expect([status, body.detail]).toEqual([409, 'the config does not say how the apps reach Kith'])
})
