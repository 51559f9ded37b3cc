import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from '@jest/globals'
import type { HookAnswer, HookRequest } from '../../connectors/app.ts'
import { salesforce } from '../../connectors/salesforce/index.ts'
import { startSalesforceSimulator } from '../../connectors/salesforce/simulator.ts'
import { salesforceWebhook } from '../../connectors/salesforce/webhook.ts'

const ORG = '00DKith00000001MAA'
const TOKEN = 'a-long-secret-in-the-path'
const hook = salesforceWebhook({ organizationId: ORG, token: TOKEN })

const notification = (id: string, record: string): string =>
  `<Notification><Id>${id}</Id><sObject xsi:type="sf:Contact" xmlns:sf="urn:sobject.enterprise.soap.sforce.com"><sf:Id>${record}</sf:Id></sObject></Notification>`

function message(organizationId: string, ...notifications: string[]): string {
  return `<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body><notifications xmlns="http://soap.sforce.com/2005/09/outbound"><OrganizationId>${organizationId}</OrganizationId><ActionId>04k1</ActionId><SessionId xsi:nil="true"/>${notifications.join('')}</notifications></soapenv:Body></soapenv:Envelope>`
}

function sent(body: string, token = TOKEN, method = 'POST'): HookRequest {
  const url = `https://kith.example.org/hooks/crm/${token}`
  return { method, url, headers: { 'content-type': 'text/xml' }, body: Buffer.from(body) }
}

describe('an outbound message', () => {
  const right = message(ORG, notification('04l1', '003Kith00000001AAA'), notification('04l2', '00QKith00000002AAA'))

  test('is acknowledged, and names the records and its notifications', () => {
    const answer = hook.receive(sent(right))
    expect(answer).toMatchObject({
      status: 200,
      headers: { 'content-type': expect.stringContaining('text/xml') },
      announces: { records: ['003Kith00000001AAA', '00QKith00000002AAA'] },
      eventIds: ['04l1', '04l2'],
    })
    expect(answer.body).toContain('<Ack>true</Ack>')
  })

  test('of an org named by its short id is taken too', () => {
    expect(hook.receive(sent(message(ORG.slice(0, 15), notification('04l1', '003Kith00000001AAA')))).status).toBe(200)
    const short = salesforceWebhook({ organizationId: ORG.slice(0, 15), token: TOKEN })
    expect(short.receive(sent(right)).status).toBe(200)
  })

  test('of other objects is acknowledged, and announces nothing', () => {
    expect(hook.receive(sent(message(ORG, notification('04l1', '001Kith00000001AAA'))))).toMatchObject({
      status: 200,
      announces: null,
      eventIds: [],
    })
  })

  test.each([
    ['another token', sent(right, 'another-secret-in-the-path'), 401],
    ['no token', { ...sent(right), url: 'https://kith.example.org/hooks/crm' }, 401],
    ['another org', sent(message('00DEvil000000001EAA', notification('04l1', '003Kith00000001AAA'))), 401],
    ['no message at all', sent('{"not": "xml"}'), 400],
    ['a message cut short', sent(right.slice(0, 300)), 400],
    [
      'too many notifications',
      sent(message(ORG, ...Array.from({ length: 101 }, (_, n) => notification(`04l${n}`, '003Kith00000001AAA')))),
      400,
    ],
    ['another method', sent(right, TOKEN, 'GET'), 405],
  ])('with %s is refused, without an Ack and without a secret in the log', (_, request, status) => {
    const answer = hook.receive(request)
    expect([answer.status, answer.announces, answer.eventIds]).toEqual([status, null, []])
    expect(answer.refused).toBeDefined()
    expect(`${answer.body ?? ''}${answer.refused ?? ''}`).not.toContain('Ack')
    expect(answer.refused).not.toContain(TOKEN)
  })

  test('with entities that grow is no message', () => {
    const bomb = `<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "${'a'.repeat(1000)}"><!ENTITY b "${'&a;'.repeat(1000)}">]>${message('&b;', notification('04l1', '003Kith00000001AAA')).slice(38)}`
    expect(hook.receive(sent(bomb)).status).toBeGreaterThanOrEqual(400)
  })

  test('needs both secrets in the config', () => {
    const options = salesforce.options.parse({ accessToken: 't', instanceUrl: 'https://acme.my.salesforce.com' })
    const context = { connection: 'crm', baseDir: '.', now: Date.now }
    expect(() => salesforce.webhook?.(options, context)).toThrow(/organizationId and webhookToken/)
  })
})

describe('outbound messages of a simulated org', () => {
  const closing: (() => Promise<void>)[] = []
  afterEach(async () => {
    for (const close of closing.splice(0)) await close()
  })

  test('are sent again until they are acknowledged, and are then known by their ids', async () => {
    const answers: HookAnswer[] = []
    let refusals = 2
    const server = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        if (refusals-- > 0) {
          response.writeHead(503).end()
          return
        }
        const url = `https://kith.example.org${request.url ?? ''}`
        const answer = hook.receive({ method: request.method ?? '', url, headers: {}, body: Buffer.concat(chunks) })
        answers.push(answer)
        response.writeHead(answer.status, answer.headers).end(answer.body)
      })
    })
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve)
    })
    const simulator = await startSalesforceSimulator({ organizationId: ORG })
    closing.push(
      () => simulator.close(),
      () => new Promise((resolve) => server.close(() => resolve())),
    )
    const { port } = server.address() as AddressInfo
    simulator.messages.subscribe({
      url: `http://127.0.0.1:${port}/hooks/crm/${TOKEN}`,
      organizationId: ORG,
      pause_ms: 1,
    })
    const ids = [
      simulator.org.create('Contact', { LastName: 'Kin<g & "sons"' }).Id,
      simulator.org.create('Contact', { LastName: 'Lovelace' }).Id,
    ]
    await simulator.messages.settled()
    expect(answers.map(({ announces }) => announces)).toEqual([{ records: ids }])
    expect([simulator.messages.sent, simulator.messages.acknowledged]).toEqual([3, 1])
  })
})
