import { createServer, type IncomingMessage, type Server } from 'node:http'
import { buffer } from 'node:stream/consumers'
import type { AddressInfo } from 'node:net'

/** A hook as the app sent it. */
export interface Letter {
  readonly path: string
  readonly method: string
  readonly headers: { readonly [name: string]: string }
  readonly body: Buffer
}

/**
 * A bad post office between an app and Kith: it takes every hook, says that it was delivered, and then delivers whatever a test
 * wants, as often and in whatever order.
 */
export class Relay {
  readonly letters: Letter[] = []
  readonly #server: Server
  /** Hands on at once, and answers with what Kith answers. */
  faithful = false
  #to = ''

  static async open(): Promise<Relay> {
    const relay = new Relay()
    await new Promise<void>((resolve) => relay.#server.listen(0, '127.0.0.1', resolve))
    return relay
  }

  private constructor() {
    this.#server = createServer((request, response) => {
      void this.#take(request).then((status) => response.writeHead(status).end())
    })
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  to(url: string): void {
    this.#to = url
  }

  async deliver(letter: Letter): Promise<number> {
    const { path, method, headers, body } = letter
    const answer = await fetch(this.#to + path, { method, headers, body: new Uint8Array(body) }).catch(() => null)
    await answer?.arrayBuffer()
    return answer?.status ?? 0
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  async #take(request: IncomingMessage): Promise<number> {
    const kept = Object.entries(request.headers).filter(
      ([name, value]) => typeof value === 'string' && !['host', 'connection', 'content-length'].includes(name),
    ) as [string, string][]
    const letter = {
      path: request.url ?? '',
      method: request.method ?? '',
      headers: Object.fromEntries(kept),
      body: await buffer(request),
    }
    this.letters.push(letter)
    if (!this.faithful) return 200
    return (await this.deliver(letter)) || 502
  }
}
