import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { HookRequest, Webhook } from '../../../connectors/app.ts'

/** A hook that came in, with what the app's own verification makes of it there and then. */
export interface Letter {
  readonly connection: string
  readonly at_ms: number
  readonly request: HookRequest
}

/**
 * Where the accounts send their hooks: real HTTP on loopback, answered as the app expects it, so that no simulator sends again.
 * What becomes of a letter is for the world to say.
 */
export class PostOffice {
  readonly webhooks = new Map<string, Webhook>()
  readonly #now: () => number
  #letters: Letter[] = []
  readonly #server: Server
  #port = 0

  constructor(now: () => number) {
    this.#now = now
    this.#server = createServer((request, response) => {
      void bodyOf(request).then((body) => {
        const connection = /^\/hooks\/(\w+)/.exec(request.url ?? '')?.[1] ?? ''
        const headers = Object.fromEntries(
          Object.entries(request.headers).map(([name, value]) => [name, Array.isArray(value) ? value.join() : value]),
        )
        const letter = {
          connection,
          at_ms: this.#now(),
          request: { method: request.method ?? '', url: this.url + (request.url ?? ''), headers, body },
        }
        const answer = this.webhooks.get(connection)?.receive(letter.request)
        if (request.method === 'POST') this.#letters.push(letter)
        response.writeHead(answer?.status ?? 404, answer?.headers)
        response.end(answer?.body)
      })
    })
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  async open(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    this.#port = (this.#server.address() as AddressInfo).port
  }

  /** What came in since it was last asked, in one order whatever the sockets did. */
  take(): Letter[] {
    const taken = this.#letters
    this.#letters = []
    return taken.toSorted((a, b) => a.connection.localeCompare(b.connection))
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve())
    })
    this.#server.closeAllConnections()
    await closed
  }
}

/** The letter as somebody would forge it who has seen one: other words under the old signature, at another address. */
export function forged(letter: Letter): Letter {
  const { request } = letter
  const body = Buffer.concat([request.body, Buffer.from(' ')])
  return { ...letter, request: { ...request, url: `${request.url}x`, body } }
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}
