import { PassThrough } from 'node:stream'
import { Transport as JsforceTransport } from 'jsforce/lib/transport.js'
import type { HttpRequest, HttpResponse } from 'jsforce/lib/types/index.js'
import { StreamPromise } from 'jsforce/lib/util/promise.js'

/**
 * Sends what jsforce writes, in our way: its own transport retries, has no limits and no abort, and its errors quote whole
 * messages. What `send` throws goes through jsforce untouched; what it returns is an answer that all is well with.
 */
export class Transport extends JsforceTransport {
  readonly #send: (request: HttpRequest) => Promise<unknown>

  constructor(send: (request: HttpRequest) => Promise<unknown>) {
    super()
    this.#send = send
  }

  override httpRequest(request: HttpRequest): StreamPromise<HttpResponse> {
    return StreamPromise.create(() => ({ stream: new PassThrough(), promise: this.#answer(request) }))
  }

  async #answer(request: HttpRequest): Promise<HttpResponse> {
    const json = await this.#send(request)
    return { statusCode: 200, headers: { 'content-type': 'application/json' }, body: JSON.stringify(json ?? null) }
  }
}
