import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { createServer as createSocketServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterEach, describe, expect, test } from '@jest/globals'
import { retryAfter_ms } from '../../connectors/http-failures.ts'
import { HttpClient, type HttpOptions, type HttpRequest } from '../../connectors/http.ts'
import { createPacer } from '../../connectors/pacer.ts'
import { FailureError, type Failure } from '../../engine/core/failure.ts'

const closing: (() => void | Promise<void>)[] = []

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closing.push(async () => {
    const closed = new Promise((resolve) => server.close(resolve))
    server.closeAllConnections()
    await closed
  })
  return (server.address() as AddressInfo).port
}

type Handler = (request: IncomingMessage, response: ServerResponse, count: number) => void

async function serve(handler: Handler): Promise<{ url: string; requests: IncomingMessage[] }> {
  const requests: IncomingMessage[] = []
  const port = await listen(createServer((request, response) => handler(request, response, requests.push(request))))
  return { url: `http://127.0.0.1:${port}/`, requests }
}

function client(baseUrl: string, options: Partial<HttpOptions> = {}): HttpClient {
  const http = new HttpClient({
    baseUrl,
    authorization: () => Promise.resolve('Bearer s3cret'),
    retries_max: 2,
    retryPause_ms: 1,
    silence_max_ms: 5000,
    ...options,
  })
  closing.push(() => http.close())
  return http
}

const READ: HttpRequest = { method: 'GET', url: '/people/ada', pattern: '{people}/{id}', write: false }
const WRITE: HttpRequest = {
  method: 'PUT',
  url: '/people/ada',
  pattern: '{people}/{id}',
  body: 'ada@example.org',
  write: true,
}

async function failureOf(work: Promise<unknown>): Promise<Failure> {
  const error: unknown = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(FailureError)
  const { failure } = error as FailureError
  // I15: no secret, no body, no path.
  expect(JSON.stringify(failure)).not.toMatch(/s3cret|ada/)
  return failure
}

describe('an answer', () => {
  test('is read whole, unpacked, with its headers, and counted', async () => {
    const { url, requests } = await serve((_request, response) => {
      response.writeHead(200, { 'Content-Encoding': 'gzip', ETag: '"x"' }).end(gzipSync('Grüße'))
    })
    const http = client(url)
    const response = await http.send(READ)
    expect(response).toMatchObject({ status: 200, body: 'Grüße' })
    expect(response.header('ETag')).toBe('"x"')
    expect(requests[0]?.headers.authorization).toBe('Bearer s3cret')
    expect(http.stats()).toEqual({ requests: 1, retries: 0, bytesSent: 0, bytesReceived: 7 })
  })

  test('over one connection after the other request', async () => {
    const { url, requests } = await serve((_request, response) => response.end('x'))
    const http = client(url)
    for (let i = 0; i < 3; i++) await http.send(READ)
    expect(new Set(requests.map((request) => request.socket)).size).toBe(1)
  })

  test('longer than allowed is a failure: of a read permanent, of a write uncertain', async () => {
    const { url } = await serve((_request, response) => response.end('x'.repeat(2000)))
    const http = client(url, { response_max_bytes: 1000 })
    expect(await failureOf(http.send(READ))).toMatchObject({ kind: 'permanent', code: 'TOO-LONG' })
    expect(await failureOf(http.send(WRITE))).toMatchObject({ kind: 'uncertain' })
  })

  test('cut off half-way is never a shorter answer', async () => {
    const { url } = await serve((_request, response) => {
      response.writeHead(200, { 'Content-Length': 100 })
      response.write('half', () => response.destroy())
    })
    expect(await failureOf(client(url).send(READ))).toMatchObject({ kind: 'transient' })
    expect(await failureOf(client(url).send(WRITE))).toMatchObject({ kind: 'uncertain' })
  })
})

describe('a status', () => {
  test.each([
    [400, 'permanent', 'permanent'],
    [401, 'auth', 'auth'],
    [403, 'auth', 'auth'],
    [404, 'gone', 'gone'],
    [410, 'gone', 'gone'],
    [409, 'conflict', 'conflict'],
    [412, 'conflict', 'conflict'],
    [418, 'permanent', 'permanent'],
    [422, 'permanent', 'permanent'],
    [423, 'transient', 'transient'],
    [429, 'ratelimited', 'ratelimited'],
    [500, 'transient', 'transient'],
    [501, 'permanent', 'permanent'],
    [502, 'transient', 'uncertain'],
    [503, 'transient', 'transient'],
    [504, 'transient', 'uncertain'],
    [599, 'transient', 'transient'],
  ])('%i is %s to a read and %s to a write', async (status, ofRead, ofWrite) => {
    const { url, requests } = await serve((_request, response) => response.writeHead(status).end('ada s3cret'))
    const http = client(url, { retries_max: 0 })
    const failure = await failureOf(http.send(READ))
    expect(failure).toMatchObject({ kind: ofRead, code: String(status) })
    expect(failure.message).toContain(`GET {people}/{id} was answered ${status}`)
    expect(await failureOf(http.send(WRITE))).toMatchObject({ kind: ofWrite, code: String(status) })
    expect(requests).toHaveLength(2)
  })

  test('403 may mean the record instead of the credentials, and accepted ones are no failure', async () => {
    const { url } = await serve((_request, response) => response.writeHead(403).end('why'))
    expect(await failureOf(client(url, { forbidden: 'permanent' }).send(READ))).toMatchObject({ kind: 'permanent' })
    expect(await client(url).send({ ...READ, accept: [403] })).toMatchObject({ status: 403, body: 'why' })
  })

  test('503 with Retry-After asks for a wait', async () => {
    const { url } = await serve((_request, response) => response.writeHead(503, { 'Retry-After': '120' }).end())
    expect(await failureOf(client(url).send(READ))).toMatchObject({ kind: 'ratelimited', retryAfter_ms: 120_000 })
  })

  test('Retry-After is read as seconds or as a date, and never beyond a day', () => {
    const now_ms = Date.UTC(2024, 0, 1, 12)
    expect(retryAfter_ms('5', now_ms)).toBe(5000)
    expect(retryAfter_ms('Mon, 01 Jan 2024 12:00:07 GMT', now_ms)).toBe(7000)
    expect(retryAfter_ms('Mon, 01 Jan 2024 11:00:00 GMT', now_ms)).toBe(0)
    expect(retryAfter_ms('999999999', now_ms)).toBe(86_400_000)
    expect(retryAfter_ms('soon', now_ms)).toBeUndefined()
    expect(retryAfter_ms(undefined, now_ms)).toBeUndefined()
  })
})

describe('trying again', () => {
  test('reads are tried again after a transient failure or a short wait, writes never', async () => {
    const { url, requests } = await serve((request, response, count) => {
      if (request.method === 'PUT') response.writeHead(500).end()
      else if (count === 1) response.writeHead(500).end()
      else if (count === 2) response.writeHead(429, { 'Retry-After': '0' }).end()
      else response.end('at last')
    })
    const http = client(url)
    expect((await http.send(READ)).body).toBe('at last')
    expect(http.stats()).toMatchObject({ requests: 3, retries: 2 })
    await failureOf(http.send(WRITE))
    expect(requests).toHaveLength(4)
  })

  test('ends after a bounded number of tries, and at once for what will not change', async () => {
    const { url, requests } = await serve((_request, response, count) =>
      response.writeHead(count > 3 ? 404 : 500).end(),
    )
    const http = client(url)
    expect(await failureOf(http.send(READ))).toMatchObject({ kind: 'transient' })
    expect(requests).toHaveLength(3)
    expect(await failureOf(http.send(READ))).toMatchObject({ kind: 'gone' })
    expect(requests).toHaveLength(4)
  })

  test('is stopped by its signal', async () => {
    const { url } = await serve((_request, response) => response.writeHead(500).end())
    const stop = new AbortController()
    const sending = client(url, { retryPause_ms: 60_000 }).send({ ...READ, signal: stop.signal })
    setImmediate(() => stop.abort())
    expect(await failureOf(sending)).toMatchObject({ kind: 'transient', code: 'STOPPED' })
  })

  test('a server that asks to slow down cools the whole budget', async () => {
    const { url } = await serve((_request, response) => response.writeHead(429, { 'Retry-After': '9' }).end())
    const naps: number[] = []
    const pacer = createPacer({
      requests: 100,
      interval_ms: 1,
      concurrent_max: 5,
      now: () => 0,
      sleep: (ms, signal) => {
        naps.push(ms)
        return new Promise((resolve) => signal.addEventListener('abort', () => resolve()))
      },
    })
    const http = client(url, { pacer, retryAfter_max_ms: 0 })
    await failureOf(http.send(READ))
    const stop = new AbortController()
    const next = http.send({ ...WRITE, signal: stop.signal })
    await new Promise(setImmediate)
    stop.abort()
    expect(await failureOf(next)).toMatchObject({ kind: 'transient', code: 'STOPPED' })
    expect(naps).toEqual([9000])
    expect(http.stats().requests).toBe(1)
  })
})

describe('no answer', () => {
  test('a connection dropped after the request was sent: a read is transient, a write uncertain', async () => {
    const { url } = await serve((request) => request.socket.destroy())
    expect(await failureOf(client(url).send(READ))).toMatchObject({ kind: 'transient' })
    expect(await failureOf(client(url).send(WRITE))).toMatchObject({ kind: 'uncertain' })
  })

  test('silence ends: a read is transient, a write uncertain', async () => {
    const { url } = await serve(() => undefined)
    const http = client(url, { silence_max_ms: 30, retries_max: 0 })
    expect(await failureOf(http.send(READ))).toMatchObject({ kind: 'transient', code: 'ETIMEDOUT' })
    expect(await failureOf(http.send(WRITE))).toMatchObject({ kind: 'uncertain', code: 'ETIMEDOUT' })
  })

  test('a port where nothing listens: nothing was sent, so a write is transient too', async () => {
    const idle = createSocketServer()
    await new Promise<void>((resolve) => idle.listen(0, '127.0.0.1', resolve))
    const { port } = idle.address() as AddressInfo
    await new Promise((resolve) => idle.close(resolve))
    const http = client(`http://127.0.0.1:${port}/`, { retries_max: 0 })
    expect(await failureOf(http.send(READ))).toMatchObject({ kind: 'transient', code: 'ECONNREFUSED' })
    expect(await failureOf(http.send(WRITE))).toMatchObject({ kind: 'transient', code: 'ECONNREFUSED' })
  })

  test('a write that is stopped before it is sent is not uncertain', async () => {
    const { url } = await serve((_request, response) => response.end())
    const signal = AbortSignal.abort()
    expect(await failureOf(client(url).send({ ...WRITE, signal }))).toMatchObject({
      kind: 'transient',
      code: 'STOPPED',
    })
  })
})

const openssl = spawnSync('openssl', ['version']).status === 0
const withCertificate = openssl ? describe : describe.skip

withCertificate(`a certificate${openssl ? '' : ' (skipped: the program openssl is not installed)'}`, () => {
  test('that nobody vouches for has its own advice, and is not tried again', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'kith-tls-'))
    closing.push(() => rmSync(folder, { recursive: true }))
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
    const args = [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-subj',
      '/CN=localhost',
    ]
    execFileSync('openssl', [...args, '-keyout', key, '-out', cert, '-days', '1'], { stdio: 'ignore' })
    const server = createTlsServer({ key: readFileSync(key), cert: readFileSync(cert) }, (_request, response) =>
      response.end(),
    )
    const http = client(`https://127.0.0.1:${await listen(server as unknown as Server)}/`)
    const failure = await failureOf(http.send(WRITE))
    expect(failure).toMatchObject({ kind: 'transient', advice: expect.stringContaining('NODE_EXTRA_CA_CERTS') })
    await failureOf(http.send(READ))
    expect(http.stats().retries).toBe(0)
  })
})

describe('a redirect', () => {
  test('to the same origin is followed by reads, with method and body', async () => {
    const { url, requests } = await serve((request, response) => {
      if (request.url === '/there') response.end('found')
      else response.writeHead(301, { Location: '/there' }).end()
    })
    const response = await client(url).send({ ...READ, method: 'PROPFIND', body: '<x/>' })
    expect(response).toMatchObject({ body: 'found', url: `${url}there` })
    expect(requests.map(({ method }) => method)).toEqual(['PROPFIND', 'PROPFIND'])
  })

  test('to another host or port is refused, and the credentials never go there', async () => {
    const other = await serve((_request, response) => response.end('thanks'))
    const { url } = await serve((_request, response) => response.writeHead(302, { Location: other.url }).end())
    const failure = await failureOf(client(url).send(READ))
    expect(failure).toMatchObject({ kind: 'permanent', advice: expect.stringContaining(new URL(other.url).host) })
    expect(other.requests).toHaveLength(0)
  })

  test('of a write is refused', async () => {
    const { url, requests } = await serve((_request, response) => response.writeHead(308, { Location: '/there' }).end())
    expect(await failureOf(client(url).send(WRITE))).toMatchObject({ kind: 'permanent', code: '308' })
    expect(requests).toHaveLength(1)
  })

  test('in circles ends', async () => {
    const { url, requests } = await serve((_request, response) => response.writeHead(302, { Location: '/again' }).end())
    expect(await failureOf(client(url).send(READ))).toMatchObject({ kind: 'permanent' })
    expect(requests.length).toBeLessThan(10)
  })

  test('a request for another origin than the connection is a mistake of ours, and is not sent', async () => {
    const other = await serve((_request, response) => response.end())
    const { url } = await serve((_request, response) => response.end())
    expect(await failureOf(client(url).send({ ...READ, url: other.url }))).toMatchObject({ kind: 'bug' })
    expect(other.requests).toHaveLength(0)
  })
})

test('closing ends idle sockets', async () => {
  const { url, requests } = await serve((_request, response) => response.end())
  const http = client(url)
  await http.send(READ)
  const ended = new Promise((resolve) => requests[0]?.socket.once('close', resolve))
  http.close()
  await expect(ended).resolves.toBe(false)
})
