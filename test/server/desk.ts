import type { HookRequest, Webhook } from '../../connectors/app.ts'
import type { Announced, Inbox } from '../../engine/core/ports/inbox.ts'
import type { Log } from '../../workers/runtime.ts'

/** An app's webhook that believes whoever says the word, and tells what it was handed. */
export class PlainWebhook implements Webhook {
  readonly requests: HookRequest[] = []

  receive(request: HookRequest): ReturnType<Webhook['receive']> {
    this.requests.push(request)
    if (request.method === 'GET') return { status: 200, body: 'here', announces: null, eventIds: [] }
    if (request.headers['x-word'] !== 'sesame')
      return { status: 401, announces: null, eventIds: [], refused: 'the word is wrong' }
    const { event, records } = JSON.parse(Buffer.from(request.body).toString()) as { event: string; records?: string[] }
    return { status: 204, announces: records ? { records } : 'pull', eventIds: [event] }
  }
}

/** An inbox in memory, which can be made to fail. */
export class PlainInbox implements Inbox {
  readonly taken: Announced[] = []
  failing: Error | 'silence' | null = null
  readonly #seen = new Set<string>()

  async take(announced: Announced): Promise<boolean> {
    if (this.failing === 'silence') return new Promise(() => undefined)
    if (this.failing) throw this.failing
    const fresh = announced.eventIds.filter((id) => !this.#seen.has(id))
    for (const id of fresh) this.#seen.add(id)
    if (fresh.length > 0) this.taken.push(announced)
    return fresh.length > 0
  }

  waiting = (): Promise<[]> => Promise.resolve([])
  heard = (): Promise<void> => Promise.resolve()
  connections = (): Promise<[]> => Promise.resolve([])
  prune = (): Promise<number> => Promise.resolve(0)
  close = (): Promise<void> => Promise.resolve()
}

/** A log that remembers every word. */
export function remembered(): { log: Log; lines: string[] } {
  const lines: string[] = []
  const tell = (...facts: unknown[]): void => void lines.push(JSON.stringify(facts))
  return { lines, log: { info: tell, warn: tell, failure: tell } }
}
