import { Agent, request as send } from 'node:http'
import { multigetBody, NAMES, parseMultistatus, syncBody } from '../connectors/carddav/wire.ts'

/**
 * A CardDAV client that thinks nothing: it sends the requests that a sync cannot do without, as many at once as Kith does,
 * and throws the answers away. What it takes is what the server costs.
 */
export interface Account {
  readonly username: string
  readonly password: string
}

const MULTIGET_CARDS = 100
const AT_ONCE = 4

export class BareClient {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 8 })
  readonly #authorization: string

  constructor({ username, password }: Account) {
    this.#authorization = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
  }

  /** The paths of a book's cards. */
  async list(book: string): Promise<string[]> {
    const answer = await this.#send('REPORT', book, syncBody('', [NAMES.etag, NAMES.contentType]), { Depth: '0' })
    return parseMultistatus(answer.body).responses.flatMap(({ href }) => (href.endsWith('.vcf') ? [href] : []))
  }

  /** Reads cards in reports of 100, packed as Kith asks for them, and unpacks none. */
  async readAll(book: string, paths: readonly string[]): Promise<void> {
    const batches = Array.from({ length: Math.ceil(paths.length / MULTIGET_CARDS) }, (_, index) =>
      paths.slice(index * MULTIGET_CARDS, (index + 1) * MULTIGET_CARDS),
    )
    const names = [NAMES.etag, NAMES.lastModified, NAMES.addressData]
    await atOnce(batches, (batch) =>
      this.#send('REPORT', book, multigetBody(batch, names), { Depth: '1', 'Accept-Encoding': 'gzip' }),
    )
  }

  async read(card: string): Promise<string> {
    return (await this.#send('GET', card, '', {})).body
  }

  /** Puts cards: new ones, or others in the place of those that are there. */
  async putAll(book: string, cards: { readonly [file: string]: string }, only: 'new' | 'any'): Promise<void> {
    const precondition: { [header: string]: string } = only === 'new' ? { 'If-None-Match': '*' } : {}
    await atOnce(Object.entries(cards), ([file, text]) =>
      this.#send('PUT', new URL(file, book).href, text, {
        'Content-Type': 'text/vcard; charset=utf-8',
        ...precondition,
      }),
    )
  }

  close(): void {
    this.#agent.destroy()
  }

  #send(
    method: string,
    url: string,
    body: string,
    headers: { readonly [name: string]: string },
  ): Promise<{ body: string }> {
    const own = { Authorization: this.#authorization, 'Content-Length': Buffer.byteLength(body) }
    const type = method === 'PUT' ? {} : { 'Content-Type': 'application/xml; charset=utf-8' }
    return new Promise((resolve, reject) => {
      const sent = send(url, { method, agent: this.#agent, headers: { ...type, ...headers, ...own } }, (answer) => {
        const parts: Buffer[] = []
        answer.on('data', (part: Buffer) => parts.push(part))
        answer.on('error', reject)
        answer.on('end', () => {
          const status = answer.statusCode ?? 0
          if (status >= 200 && status < 300) resolve({ body: Buffer.concat(parts).toString('utf8') })
          else reject(new Error(`${method} was answered ${status}`))
        })
      })
      sent.on('error', reject)
      sent.end(body)
    })
  }
}

async function atOnce<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < items.length) await work(items[next++] as T)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, lane))
}
