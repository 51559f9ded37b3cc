import { createHmac } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, test } from '@jest/globals'
import type { HookRequest } from '../../connectors/app.ts'
import { mailchimp } from '../../connectors/mailchimp/index.ts'
import { startMailchimpSimulator } from '../../connectors/mailchimp/simulator.ts'
import { mailchimpWebhook } from '../../connectors/mailchimp/webhook.ts'

const SECRET = 'whsec-correct-horse'
const KEY = 'a-word-that-only-mailchimp-knows'
const AUDIENCE = '9e67587f52'
const NOW_MS = Date.UTC(2026, 10, 22)
const URL = 'https://kith.example/hooks/newsletter'

const form = (more: { [name: string]: string } = {}): string =>
  new URLSearchParams({
    type: 'profile',
    fired_at: '2026-11-22 00:00:00',
    'data[id]': '8a25ff1d98',
    'data[list_id]': AUDIENCE,
    'data[email]': 'ada@example.org',
    'data[merges][FNAME]': 'Ada',
    ...more,
  }).toString()

function signed(body: string, options: { secret?: string; at_ms?: number; url?: string } = {}): HookRequest {
  const at_s = Math.floor((options.at_ms ?? NOW_MS) / 1000)
  const hash = createHmac('sha256', options.secret ?? SECRET)
    .update(`${at_s}.${body}`)
    .digest('hex')
  const headers = { 'x-mailchimp-signature': `t=${at_s},v1=${hash}` }
  return { method: 'POST', url: options.url ?? URL, headers, body: Buffer.from(body) }
}

const hook = (more: { signingSecret?: string; key?: string }) =>
  mailchimpWebhook({ signingSecret: undefined, key: undefined, audience: AUDIENCE, now: () => NOW_MS, ...more })
const webhook = hook({ signingSecret: SECRET })

describe("Mailchimp's webhooks", () => {
  test('the address answers the GET that it is tried with, and nothing else that is not signed', () => {
    const request = { url: URL, headers: {}, body: Buffer.alloc(0) }
    expect(webhook.receive({ ...request, method: 'GET' })).toEqual({ status: 200, announces: null, eventIds: [] })
    expect(webhook.receive({ ...request, method: 'PUT' }).status).toBe(405)
    expect(webhook.receive({ ...request, method: 'POST' }).status).toBe(401)
  })

  test('a signed event announces a pull; the same event sent again has the same key, another one another', () => {
    const first = webhook.receive(signed(form()))
    expect([first.status, first.announces, first.eventIds.length]).toEqual([200, 'pull', 1])
    expect(webhook.receive(signed(form(), { at_ms: NOW_MS + 60_000 })).eventIds).toEqual(first.eventIds)
    for (const other of [{ 'data[id]': 'other' }, { type: 'unsubscribe' }, { fired_at: '2026-11-22 00:00:01' }])
      expect(webhook.receive(signed(form(other))).eventIds).not.toEqual(first.eventIds)
    expect(JSON.stringify(first)).not.toContain('ada@example.org')
  })

  test('campaigns and other audiences announce nothing', () => {
    for (const other of [{ type: 'campaign' }, { 'data[list_id]': 'another' }])
      expect(webhook.receive(signed(form(other)))).toEqual({ status: 200, announces: null, eventIds: [] })
  })

  test('a forged, altered, old, early or unsigned request is refused', () => {
    const good = signed(form())
    const bad: HookRequest[] = [
      signed(form(), { secret: 'another' }),
      { ...good, body: Buffer.from(form({ 'data[id]': 'other' })) },
      signed(form(), { at_ms: NOW_MS - 5 * 60_000 - 1000 }),
      signed(form(), { at_ms: NOW_MS + 5 * 60_000 + 1000 }),
      { ...good, headers: {} },
      { ...good, headers: { 'x-mailchimp-signature': 'v1=abc' } },
      { ...good, headers: { 'x-mailchimp-signature': `t=${NOW_MS / 1000}` } },
      { ...good, headers: { 'x-mailchimp-signature': `t=${NOW_MS / 1000},v1=äöü` } },
    ]
    for (const request of bad)
      expect(webhook.receive(request)).toMatchObject({ status: 401, announces: null, eventIds: [] })
  })

  test('while a secret is being changed, either signature will do', () => {
    const request = signed(form())
    const two = `${request.headers['x-mailchimp-signature']},v1=${'0'.repeat(64)}`
    expect(webhook.receive({ ...request, headers: { 'x-mailchimp-signature': two } }).status).toBe(200)
  })

  test('a hook from before signing is known by the key in its address; with a secret, it must be signed as well', () => {
    const unsigned = (url: string): HookRequest => ({ method: 'POST', url, headers: {}, body: Buffer.from(form()) })
    expect(hook({ key: KEY }).receive(unsigned(`${URL}?key=${KEY}`)).announces).toBe('pull')
    for (const url of [URL, `${URL}?key=`, `${URL}?key=${KEY}x`])
      expect(hook({ key: KEY }).receive(unsigned(url)).status).toBe(401)
    const both = hook({ key: KEY, signingSecret: SECRET })
    expect(both.receive(unsigned(`${URL}?key=${KEY}`)).status).toBe(401)
    expect(both.receive(signed(form(), { url: `${URL}?key=${KEY}` })).status).toBe(200)
    expect(hook({}).receive(unsigned(`${URL}?key=${KEY}`)).status).toBe(401)
  })

  test('the simulated Mailchimp signs what it sends, and sends it again until it is taken', async () => {
    const simulator = await startMailchimpSimulator({ apiKey: 'secret', audience: AUDIENCE })
    simulator.hooks.retryPause_ms = 1
    const receiver = mailchimpWebhook({ signingSecret: SECRET, key: undefined, audience: AUDIENCE, now: Date.now })
    const heard: string[] = []
    let refusals = 2
    const server = createServer((request, response) => {
      void (async () => {
        const chunks: Buffer[] = []
        for await (const chunk of request) chunks.push(chunk as Buffer)
        const headers = request.headers as { [name: string]: string }
        const answer = receiver.receive({
          method: request.method ?? '',
          url: request.url ?? '',
          headers,
          body: Buffer.concat(chunks),
        })
        const isLate = request.method === 'POST' && refusals-- > 0
        if (!isLate) heard.push(...answer.eventIds)
        response.writeHead(isLate ? 503 : answer.status).end()
      })()
    })
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve)
    })
    try {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hooks/newsletter`
      await simulator.hooks.subscribe({ url, signingSecret: SECRET, sources: ['user', 'admin'] })
      const { audience } = simulator
      const member = audience.add({ email_address: 'ada@example.org', status: 'subscribed' }, 'admin')
      if ('refused' in member) throw new Error('refused')
      audience.update(member, { email_address: 'new@example.org' }, 'user')
      audience.optOut(member.contactId)
      // Our own writes are not told.
      audience.update(member, { merge_fields: { FNAME: 'Ada' } }, 'api')
      await simulator.hooks.flushed()
      expect(simulator.hooks.sent.map(({ type, status }) => [type, status])).toEqual([
        ['subscribe', 503],
        ['subscribe', 503],
        ['subscribe', 200],
        ['upemail', 200],
        ['unsubscribe', 200],
      ])
      expect(new Set(heard).size).toBe(3)
    } finally {
      await simulator.close()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    }
  })
})

describe('kith hooks sync for Mailchimp', () => {
  const body = { announces: null, eventIds: [] }

  /** A place where Mailchimp's GET is answered. */
  async function receiving(work: (url: string) => Promise<void>): Promise<void> {
    const server = createServer((_, response) => void response.writeHead(200).end(JSON.stringify(body)))
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve)
    })
    try {
      await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}/hooks/newsletter`)
    } finally {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    }
  }

  test('makes the webhook, gives out its secret once, repairs it, and leaves those of others alone', async () => {
    const simulator = await startMailchimpSimulator({ apiKey: 'secret', audience: AUDIENCE })
    const context = { connection: 'newsletter', baseDir: '.', now: Date.now }
    const looksAfter = (own: { webhookSecret?: string; webhookKey?: string }) => {
      const options = mailchimp.options.parse({ audience: AUDIENCE, apiKey: 'secret', basePath: simulator.url, ...own })
      const subscriptions = mailchimp.subscriptions?.(options, context)
      if (!subscriptions) throw new Error('no subscriptions')
      return subscriptions
    }
    try {
      await receiving(async (url) => {
        const other = await simulator.hooks.subscribe({ url: `${url}-of-others` })
        const target = { url, fields: [] }
        const states = (all: readonly { readonly state: string; readonly did?: string }[]): string[] => [
          ...new Set(all.map(({ state, did }) => `${state} ${did ?? ''}`.trim())),
        ]
        expect(states((await looksAfter({}).list(target)).subscriptions)).toEqual(['missing'])
        const made = await looksAfter({}).sync(target)
        expect([states(made.subscriptions), made.secret?.option]).toEqual([['right created'], 'webhookSecret'])
        const known = looksAfter({ webhookSecret: made.secret?.value ?? '' })
        expect(states((await known.sync(target)).subscriptions)).toEqual(['right'])
        const ours = [...simulator.hooks.targets.values()].find((hook) => hook.url === url)
        expect(ours?.sources).toEqual(['user', 'admin'])
        if (ours) simulator.hooks.targets.set(ours.id, { ...ours, events: { ...ours.events, upemail: false } })
        const repaired = await known.sync(target)
        expect(repaired.subscriptions).toContainEqual({ what: 'upemail', state: 'right', did: 'repaired' })
        expect(repaired.secret).toBeUndefined()
        // Nobody wrote the secret down: people are told what to do, and nothing is deleted.
        const lost = await looksAfter({}).sync(target)
        expect([lost.secret, lost.byHand.length]).toEqual([undefined, 2])
        const left = [...simulator.hooks.targets.values()]
        expect([left.length, left.some(({ id }) => id === other)]).toEqual([2, true])
        // With a key of its own, the address carries it.
        simulator.hooks.targets.clear()
        await looksAfter({ webhookKey: KEY }).sync(target)
        expect([...simulator.hooks.targets.values()].map((hook) => hook.url)).toEqual([`${url}?key=${KEY}`])
      })
    } finally {
      await simulator.close()
    }
  })
})
