import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals'
import { startHubSpotSimulator, type HubSpotSimulator } from '../../../connectors/hubspot/simulator.ts'
import { human } from '../../support/humans.ts'
import { TestHousehold } from '../../support/household.ts'
import { Crm, idOf, Sheet, type Place } from '../../support/places.ts'
import { Office, type Body } from './office.ts'

jest.setTimeout(60_000)

const TOKEN = 'pat-eu1-sesame'

let office: Office
let dir: string
let sheet: Sheet
let desk: Crm
let hubspot: HubSpotSimulator
beforeAll(async () => {
  dir = TestHousehold.folder()
  mkdirSync(join(dir, 'mappings'))
  writeFileSync(join(dir, 'mappings', 'sheet.yaml'), 'fields: { title: Job Title }\n')
  writeFileSync(join(dir, 'secret.yaml'), `${TOKEN}: {}\n`)
  sheet = new Sheet(
    'sheet',
    join(dir, 'contacts.csv'),
    [0, 1, 2].map((index) => human(index)),
  )
  desk = new Crm('desk', [])
  hubspot = await startHubSpotSimulator({ token: TOKEN })
  const account = { app: 'hubspot', token: TOKEN, basePath: hubspot.url }
  const crm = Object.assign(new Crm('crm', []), { config: account }) as Place
  const connections = { sheet: { mapping: 'mappings/sheet.yaml' }, crm: { create: false } }
  office = await Office.open([sheet, desk, crm], { connections }, dir)
  for (const index of [0, 1]) desk.edit(idOf(desk, `human${index}@example.org`), 'title', `From the desk ${index}`)
  await office.home.sync()
})
afterAll(async () => {
  await office.close()
  await hubspot.close()
  desk.close()
})

/** The config in force as its owner would edit it, without a secret in it. */
function edited(more: Body, connections: Body = {}): string {
  const all: Body = {
    sheet: { app: 'csv', path: './contacts.csv', mapping: 'mappings/sheet.yaml' },
    desk: { app: 'memory', name: '${WHATEVER}' },
    crm: { app: 'hubspot', token: '${HUBSPOT_TOKEN}', basePath: 'http://203.0.113.9/', create: false },
  }
  for (const [name, one] of Object.entries(connections)) all[name] = { ...all[name], ...(one as object) }
  return JSON.stringify({ region: 'DE', ...more, connections: all })
}

test('recorded changes are replayed under the text of a config; without one, under the one in force', async () => {
  const asIs = await office.done('viewer', 'POST', '/backtest', {})
  expect(asIs).toMatchObject({ counts: { values: 0, writes: 0, outcomes: 0 }, people: 0 })
  expect(asIs.changes).toBeGreaterThan(1)
  expect(await office.done('viewer', 'POST', '/backtest', { yaml: edited({}) })).toMatchObject({ people: 0 })

  const asked = hubspot.requests.length
  const yaml = edited({ fields: { title: { owner: 'sheet' } } })
  const owned = await office.done('viewer', 'POST', '/backtest', { days: 1, yaml, limit: 1 })
  expect(owned).toMatchObject({ people: 2, counts: { values: 2, outcomes: 2 } })
  expect(owned.values).toMatchObject([
    { field: 'title', recorded: expect.stringContaining('From the desk'), rule: 'owner' },
  ])
  expect(owned.outcomes).toMatchObject([{ connection: 'desk', recorded: 'applied', instead: 'refused' }])
  // Nothing was asked, at whatever address, and nothing was changed.
  expect(hubspot.requests).toHaveLength(asked)
  expect((await office.home.intents()).length).toBe(0)
  expect((await office.done('viewer', 'GET', '/plan')).approved).toBe(true)
})

test('a text leads to no secret, no file and no address (I15)', async () => {
  const file = join(dir, 'secret.yaml')
  const wrong: [string, RegExp][] = [
    ['connections: [', /^\/yaml, line 1/],
    [edited({ region: '${OFFICE_PASSWORD}' }), /variables of the environment are not filled in/],
    [edited({ custom: { shoes: { title: '${OFFICE_PASSWORD}', type: 'text' } } }), /variables of the environment/],
    [edited({}, { desk: { mapping: 'secret.yaml' } }), /no connection in force has this mapping file/],
    [edited({}, { desk: { mapping: file } }), /no connection in force has this mapping file/],
    [edited({}, { desk: { mapping: '../../../../etc/passwd' } }), /no connection in force has this mapping file/],
    [edited({}, { moon: { app: 'csv', path: file } }), /"moon" is not in force/],
    [edited({}, { desk: { app: 'csv', path: file } }), /"desk" is another app in force/],
    [edited({}, { desk: { directon: 'in' } }), /"directon" is no option in force/],
    [edited({ fields: { shoes: { owner: 'desk' } } }), /shoes/],
  ]
  for (const [yaml, detail] of wrong) {
    const { status, body } = await office.call('viewer', 'POST', '/backtest', { yaml })
    expect([yaml, status, body.detail]).toEqual([yaml, 400, expect.stringMatching(detail)])
    expect(JSON.stringify(body)).not.toContain(TOKEN)
  }
  expect((await office.call('viewer', 'POST', '/backtest', { days: 0 })).status).toBe(400)
  const text = JSON.stringify(await office.done('viewer', 'POST', '/backtest', { yaml: edited({}) }))
  expect(text).not.toContain(TOKEN)
})
