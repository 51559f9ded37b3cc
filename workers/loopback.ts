import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { isLoopback } from '../connectors/oauth-plan.ts'
import { FailureError } from '../engine/core/failure.ts'

/** What the browser brought back. */
export interface BrowserAnswer {
  readonly params: URLSearchParams
  /** Tells whoever sits before the browser how it went. */
  reply(done: boolean, text: string): void
}

/** Waits on this machine for the browser to come back from the app. */
export interface Loopback {
  /** Where the browser is sent back to. */
  readonly url: string
  /** The first answer that carries `state`; others are turned away, and waited on. Rejects with the signal's reason. */
  answer(state: string, signal: AbortSignal): Promise<BrowserAnswer>
  close(): Promise<void>
}

const ANY_PORT = 'http://127.0.0.1:0/callback'

/**
 * @param redirectUrl the address to wait on, as registered with the app; null: any free port
 * @param connection for advice
 * @throws FailureError where it cannot be waited on here
 */
export async function listen(redirectUrl: string | null, connection: string): Promise<Loopback> {
  const url = new URL(redirectUrl ?? ANY_PORT)
  if (!isLoopback(url.hostname) || url.protocol !== 'http:') {
    throw new FailureError({
      kind: 'permanent',
      message: `The browser comes back to ${url.host}, which is not this machine`,
      advice: `Run: kith connect ${connection} --paste`,
    })
  }
  const server = createServer()
  await listening(server, url, connection)
  if (url.port === '0') url.port = String((server.address() as AddressInfo).port)
  return {
    url: url.href,
    answer: (state, signal) => answered(server, url, state, signal),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

async function listening(server: Server, { hostname, port }: URL, connection: string): Promise<void> {
  const host = hostname === 'localhost' ? '127.0.0.1' : hostname.replace(/^\[|\]$/g, '')
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(Number(port === '' ? 80 : port), host, resolve)
    })
  } catch (error) {
    const { code = 'unknown error' } = error as NodeJS.ErrnoException
    throw new FailureError({
      kind: 'permanent',
      code,
      message: `Port ${port === '' ? 80 : port} of this machine, where the browser is to come back to, cannot be used (${code})`,
      advice: `End the program that uses it; or register another address with the app and put it into redirectUrl: in kith.yaml; or run: kith connect ${connection} --paste`,
    })
  }
}

function answered(server: Server, url: URL, state: string, signal: AbortSignal): Promise<BrowserAnswer> {
  return new Promise((resolve, reject) => {
    const end = (): void => reject(signal.reason as Error)
    if (signal.aborted) return end()
    signal.addEventListener('abort', end, { once: true })
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      const target = new URL(request.url ?? '/', url)
      // Another host name that leads here is a page that tries its luck.
      if (request.headers.host !== url.host || target.pathname !== url.pathname) return page(response, 404, NOT_HERE)
      if (request.method !== 'GET') return page(response, 405, NOT_HERE)
      if (target.searchParams.get('state') !== state) return page(response, 400, NOT_OURS)
      signal.removeEventListener('abort', end)
      resolve({
        params: target.searchParams,
        reply: (done, text) => page(response, done ? 200 : 400, text),
      })
    })
  })
}

const NOT_HERE = 'There is nothing here.'
const NOT_OURS = 'This does not belong to the sign-in that is under way. Use the address that kith connect shows.'

function page(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, {
    'Content-Type': 'text/html; charset=utf-8',
    'Cache-Control': 'no-store',
    'Content-Security-Policy': "default-src 'none'",
    // The address holds the code.
    'Referrer-Policy': 'no-referrer',
    Connection: 'close',
  })
  response.end(`<!doctype html><meta charset="utf-8"><title>Kith</title><p>${escaped(text)}</p>\n`)
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`)
}
