import { connect, type Socket } from 'node:net'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { StoreUnavailableError } from '../../engine/core/ports/store.ts'
import { healthRoutes } from '../../server/health.ts'
import { hookRoutes } from '../../server/hooks.ts'
import { Metrics } from '../../server/metrics.ts'
import { RefusalLog } from '../../server/refusals.ts'
import { ListenError, startServer, type RunningServer } from '../../server/server.ts'
import { HookDesk } from '../../workers/hooks.ts'
import { PlainInbox, PlainWebhook, remembered } from './desk.ts'

const PATIENCE = { headers_ms: 300, request_ms: 400 }

let server: RunningServer
let webhook: PlainWebhook
let inbox: PlainInbox
let told: ReturnType<typeof remembered>
let woken: string[]
let clock_ms: number
let ready: string | null

beforeEach(async () => {
  webhook = new PlainWebhook()
  inbox = new PlainInbox()
  told = remembered()
  woken = []
  clock_ms = 1_000_000
  ready = null
  const desk = new HookDesk(new Map([['crm', webhook]]), inbox, told.log, () => clock_ms)
  desk.attach({
    wakePull: async (connection) => void woken.push(`pull ${connection}`),
    wakeAnnounced: (connection) => void woken.push(`read ${connection}`),
  })
  const metrics = new Metrics()
  const store = {
    connections: async () => [],
    counts: async () => new Map(),
    keptCount: async () => 0,
  }
  server = await startServer(
    { host: '127.0.0.1', port: 0 },
    [
      hookRoutes({
        desk,
        publicUrl: () => 'https://kith.example/base',
        refusals: new RefusalLog(told.log, () => clock_ms),
        told: (...facts) => metrics.hook(...facts),
        rate: { requests: 30, per_ms: 60_000 },
      }),
      healthRoutes({ database: async () => ready }),
      metrics.routes({ store, connections: ['crm'], calls: () => 7 }),
    ],
    { patience: PATIENCE },
  )
})
afterEach(() => server.close())

const post = (path: string, body: unknown, headers: { [name: string]: string } = { 'x-word': 'sesame' }) =>
  fetch(server.url + path, { method: 'POST', headers, body: typeof body === 'string' ? body : JSON.stringify(body) })

describe('a hook', () => {
  test('is handed to its app as the bytes that came, with the address that the app knows', async () => {
    const body = '{"event": "1",\r\n "records": ["\u00e4"]} '
    const type = 'application/x-www-form-urlencoded'
    const answer = await post('/hooks/crm/key%2F1?b=%20&a=1', body, { 'x-word': 'sesame', 'content-type': type })
    expect(answer.status).toBe(204)
    const [request] = webhook.requests
    expect(Buffer.from(request?.body ?? []).toString()).toBe(body)
    expect(request).toMatchObject({ method: 'POST', url: 'https://kith.example/base/hooks/crm/key%2F1?b=%20&a=1' })
    expect(inbox.taken).toMatchObject([{ connection: 'crm', eventIds: ['1'], records: ['ä'] }])
  })

  test('that names records has them read at once; one that names none has the feed pulled, at most once in a while', async () => {
    await post('/hooks/crm', { event: '1', records: ['42'] })
    expect(woken).toEqual(['read crm'])
    woken.length = 0
    await post('/hooks/crm', { event: '2' })
    await post('/hooks/crm', { event: '3' })
    expect(woken).toEqual([])
  })

  test('that was seen before is answered and not acted on again', async () => {
    for (let n = 0; n < 3; n++) expect((await post('/hooks/crm', { event: '1', records: ['42'] })).status).toBe(204)
    expect([inbox.taken.length, woken]).toEqual([1, ['read crm']])
  })

  test('of a connection that is not there is 404, and so is every other path', async () => {
    for (const path of ['/hooks/desk', '/hooks', '/', '/hooks/__proto__', '/hooks/%00'])
      expect((await post(path, { event: '1' })).status).toBe(404)
    expect(inbox.taken).toEqual([])
  })

  test('that is forged is refused and told to the log once, without what it held (I15)', async () => {
    for (let n = 0; n < 5; n++)
      expect((await post('/hooks/crm?secret=hush', { event: 'ada@example.org' }, { 'x-word': 'please' })).status).toBe(
        401,
      )
    expect([inbox.taken, woken]).toEqual([[], []])
    expect(told.lines).toEqual([JSON.stringify(['hook refused', { connection: 'crm', reason: 'the word is wrong' }])])
    clock_ms += 61_000
    await post('/hooks/crm', {}, { 'x-word': 'please' })
    expect(told.lines[1]).toContain('"alsoBefore":4')
  })

  test('is answered 503, with when to come again, where it cannot be kept: not there, or too slow', async () => {
    inbox.failing = new StoreUnavailableError('the database cannot be reached')
    const answer = await post('/hooks/crm', { event: '1' })
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '5'])
    inbox.failing = 'silence'
    expect((await post('/hooks/crm', { event: '1' })).status).toBe(503)
    inbox.failing = null
    expect((await post('/hooks/crm', { event: '1' })).status).toBe(204)
    expect(inbox.taken).toHaveLength(1)
  })

  test('by GET is whatever the app makes of it', async () => {
    const answer = await fetch(`${server.url}/hooks/crm`)
    expect([answer.status, await answer.text()]).toEqual([200, 'here'])
    expect((await fetch(`${server.url}/hooks/crm`, { method: 'DELETE' })).status).toBe(404)
  })

  test('larger than a mebibyte is refused before it is read', async () => {
    expect((await post('/hooks/crm', 'x'.repeat(1024 * 1024 + 1))).status).toBe(413)
    expect(webhook.requests).toEqual([])
  })

  test('beyond the rate is 429, by connection: others are not held up', async () => {
    const statuses = []
    for (let n = 0; n < 32; n++) statuses.push((await post('/hooks/crm', { event: '1' })).status)
    expect(statuses.slice(0, 30)).not.toContain(429)
    expect(statuses.slice(30)).toEqual([429, 429])
    const limited = await post('/hooks/crm', { event: '1' })
    expect(Number(limited.headers.get('retry-after'))).toBeGreaterThan(0)
    expect((await post('/hooks/desk', { event: '1' })).status).toBe(404)
  })
})

describe('who dawdles', () => {
  const until = async (socket: Socket): Promise<string> => {
    const answer = text(socket)
    await once(socket, 'close')
    return answer
  }
  const dial = (): Socket => {
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
    socket.on('error', () => undefined)
    return socket
  }

  test('over the headers is cut off', async () => {
    const socket = dial()
    socket.write('POST /hooks/crm HTTP/1.1\r\nHost: kith\r\nX-')
    expect(await until(socket)).toMatch(/^(HTTP\/1\.1 408|$)/)
    expect(webhook.requests).toEqual([])
  })

  test('over the body is cut off', async () => {
    const socket = dial()
    socket.write('POST /hooks/crm HTTP/1.1\r\nHost: kith\r\nContent-Length: 100\r\n\r\n{"ev')
    expect(await until(socket)).toMatch(/^(HTTP\/1\.1 408|$)/)
    expect(webhook.requests).toEqual([])
  })
})

describe('health and metrics', () => {
  test('healthz says that the process lives, readyz whether it can work', async () => {
    expect(await (await fetch(`${server.url}/healthz`)).json()).toEqual({ status: 'ok' })
    expect(await (await fetch(`${server.url}/readyz`)).json()).toEqual({ status: 'ready', database: 'ok' })
    ready = 'does not answer'
    const answer = await fetch(`${server.url}/readyz`)
    expect([answer.status, await answer.json()]).toEqual([503, { status: 'not ready', database: 'does not answer' }])
  })

  test('metrics count what became of hooks, by names of the config only (I15)', async () => {
    await post('/hooks/crm', { event: 'ada@example.org', records: ['ada'] })
    await post('/hooks/crm', { event: '2' }, { 'x-word': 'hush' })
    await post('/hooks/grace', { event: '3' })
    const page = await (await fetch(`${server.url}/metrics`)).text()
    expect(page).toContain('kith_hooks_total{connection="crm",outcome="accepted"} 1')
    expect(page).toContain('kith_hooks_total{connection="crm",outcome="refused"} 1')
    expect(page).toContain('kith_hooks_total{connection="none",outcome="unknown"} 1')
    expect(page).toContain('kith_hook_records_total{connection="crm"} 1')
    expect(page).toContain('kith_app_calls{connection="crm"} 7')
    expect(page).not.toMatch(/ada|grace|hush|sesame|example\.org/)
  })
})

test('an address that is taken says which, and what to do', async () => {
  const port = Number(new URL(server.url).port)
  const second = startServer({ host: '127.0.0.1', port }, [])
  await expect(second).rejects.toThrow(ListenError)
  await expect(second).rejects.toThrow(`127.0.0.1, port ${port}: another program listens there already`)
})
