import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/**
 * What every simulator stands on: real HTTP on loopback, and an end that leaves no socket, timer or request behind. What an app
 * answers is its own folder's business.
 */
export class SimulatorServer {
  readonly #server: Server
  readonly #closing = new AbortController()
  #port = 0

  /** @param serve answers a request; where it throws, the connection is dropped without an answer */
  constructor(serve: (request: IncomingMessage, response: ServerResponse) => Promise<void>) {
    this.#server = createServer((request, response) => {
      serve(request, response).catch(() => response.destroy())
    })
  }

  /** @param port 0 for any that is free */
  async listen(port: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(port, '127.0.0.1', resolve)
    })
    this.#port = (this.#server.address() as AddressInfo).port
  }

  /** Without a slash at its end. */
  get origin(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  /** Aborted when the simulator closes: for whatever waits meanwhile. */
  get closing(): AbortSignal {
    return this.#closing.signal
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve())
    })
    this.#closing.abort()
    this.#server.closeAllConnections()
    await closed
  }
}

export async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}
