import { createHmac } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, test } from '@jest/globals'
import type { HookRequest } from '../../connectors/app.ts'
import { startHubSpotSimulator } from '../../connectors/hubspot/simulator.ts'
import { hubspotWebhook } from '../../connectors/hubspot/webhook.ts'

const SECRET = 'client-secret'
const NOW_MS = Date.UTC(2026, 10, 22)
const event = (more = {}) => ({
  eventId: 1,
  subscriptionId: 2,
  portalId: 4242,
  occurredAt: NOW_MS,
  subscriptionType: 'contact.propertyChange',
  attemptNumber: 0,
  objectId: 7,
  propertyName: 'firstname',
  propertyValue: 'Ada',
  ...more,
})

/** A request as HubSpot signs it: over the URL with the vendor's twelve escapes undone. */
function signed(
  events: unknown,
  options: { url?: string; signedUrl?: string; at_ms?: number; secret?: string } = {},
): HookRequest {
  const { url = 'https://kith.example/hooks/crm', at_ms = NOW_MS, secret = SECRET } = options
  const { signedUrl = url } = options
  const body = JSON.stringify(events)
  const signature = createHmac('sha256', secret).update(`POST${signedUrl}${body}${at_ms}`).digest('base64')
  const headers = { 'x-hubspot-signature-v3': signature, 'x-hubspot-request-timestamp': String(at_ms) }
  return { method: 'POST', url, headers, body: Buffer.from(body) }
}

const webhook = hubspotWebhook({ clientSecret: SECRET, portal: '4242', now: () => NOW_MS })

describe("HubSpot's webhooks", () => {
  test('a signed batch names its contacts once each, with a key for each event', () => {
    const batch = [
      event(),
      event({
        eventId: 3,
        subscriptionType: 'contact.merge',
        primaryObjectId: 8,
        mergedObjectIds: [9, 7],
        newObjectId: 10,
      }),
      event({ eventId: 1, occurredAt: NOW_MS + 1 }),
    ]
    expect(webhook.receive(signed(batch))).toEqual({
      status: 204,
      announces: { records: ['7', '8', '9', '10'] },
      eventIds: [`1-2-${NOW_MS}`, `3-2-${NOW_MS}`, `1-2-${NOW_MS + 1}`],
    })
    const again = webhook.receive(signed(batch.map((one) => ({ ...one, attemptNumber: 1 }))))
    expect(again.eventIds).toEqual(webhook.receive(signed(batch)).eventIds)
  })

  test('the signature is over the address with the escapes undone that HubSpot undoes, and no others', () => {
    const url = 'https://kith.example/hooks/crm%3Aeu?a=%40b%2fc%20d%25'
    const signedUrl = 'https://kith.example/hooks/crm:eu?a=@b/c%20d%25'
    expect(webhook.receive(signed([event()], { url, signedUrl })).status).toBe(204)
    expect(webhook.receive(signed([event()], { url })).status).toBe(401)
  })

  test('a forged, altered, old or early request is refused, and says nothing of what it holds (I15)', () => {
    const good = signed([event()])
    const { 'x-hubspot-signature-v3': signature, 'x-hubspot-request-timestamp': timestamp } = good.headers
    const bad: HookRequest[] = [
      signed([event()], { secret: 'another' }),
      { ...good, body: Buffer.from(JSON.stringify([event({ objectId: 8 })])) },
      { ...good, url: 'https://kith.example/hooks/other' },
      { ...good, method: 'PUT' },
      signed([event()], { at_ms: NOW_MS - 5 * 60_000 - 1 }),
      signed([event()], { at_ms: NOW_MS + 5 * 60_000 + 1 }),
      { ...good, headers: { 'x-hubspot-request-timestamp': timestamp } },
      { ...good, headers: { 'x-hubspot-signature-v3': signature } },
      { ...good, headers: { 'x-hubspot-signature-v3': signature, 'x-hubspot-request-timestamp': 'soon' } },
      { ...good, headers: { 'x-hubspot-signature-v3': 'äöü', 'x-hubspot-request-timestamp': timestamp } },
    ]
    for (const request of bad) {
      const answer = webhook.receive(request)
      expect([answer.status, answer.announces, answer.eventIds]).toEqual([401, null, []])
      expect(JSON.stringify(answer)).not.toContain('Ada')
    }
    expect(webhook.receive(signed([event()], { at_ms: NOW_MS - 5 * 60_000 })).status).toBe(204)
  })

  test('what is signed and no list of events is refused; other accounts and objects announce nothing', () => {
    expect(webhook.receive(signed({ eventId: 1 })).status).toBe(400)
    for (const other of [event({ portalId: 1 }), event({ subscriptionType: 'deal.creation' })])
      expect(webhook.receive(signed([other]))).toEqual({ status: 204, announces: null, eventIds: [] })
    const everyone = hubspotWebhook({ clientSecret: SECRET, portal: undefined, now: () => NOW_MS })
    expect(everyone.receive(signed([event({ portalId: 1 })])).announces).toEqual({ records: ['7'] })
    expect(everyone.receive(signed([event({ objectId: undefined })])).announces).toBe('pull')
  })

  test('the simulated HubSpot signs what it sends, in batches, and sends it again until it is taken', async () => {
    const simulator = await startHubSpotSimulator({ token: 'secret' })
    const heard: string[] = []
    const receiver = hubspotWebhook({ clientSecret: SECRET, portal: undefined, now: Date.now })
    let refusals = 2
    const server = createServer((request, response) => {
      void (async () => {
        const chunks: Buffer[] = []
        for await (const chunk of request) chunks.push(chunk as Buffer)
        const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${request.url}`
        const headers = request.headers as { [name: string]: string }
        const answer = receiver.receive({ method: request.method ?? '', url, headers, body: Buffer.concat(chunks) })
        const isLate = refusals-- > 0
        if (!isLate) heard.push(...answer.eventIds)
        response.writeHead(isLate ? 503 : answer.status).end()
      })()
    })
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve)
    })
    try {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hooks/crm%3A1`
      simulator.hook({ url, clientSecret: SECRET, portalId: 1, pause_ms: 1 })
      for (let n = 0; n < 150; n++) simulator.contacts.create({ firstname: `Ada ${n}` }, 'CRM_UI')
      await simulator.hooksDelivered()
      expect(new Set(heard).size).toBe(150)
    } finally {
      await simulator.close()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    }
  })
})
