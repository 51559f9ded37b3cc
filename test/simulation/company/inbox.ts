import type { Announced, AnnouncedRecord, Inbox } from '../../../engine/core/ports/inbox.ts'

/** What hooks have announced, in memory. */
export class MemoryInbox implements Inbox {
  readonly #events = new Map<string, number>()
  readonly #records = new Map<string, { mark: number; readonly at_ms: number }>()
  #marks = 0

  take({ connection, eventIds, records, now_ms }: Announced): Promise<boolean> {
    const fresh = eventIds.map((id) => `${connection} ${id}`).filter((event) => !this.#events.has(event))
    if (eventIds.length > 0 && fresh.length === 0) return Promise.resolve(false)
    for (const event of fresh) this.#events.set(event, now_ms)
    for (const id of records) {
      const key = `${connection} ${id}`
      const waiting = this.#records.get(key)
      this.#records.set(key, { mark: ++this.#marks, at_ms: waiting?.at_ms ?? now_ms })
    }
    return Promise.resolve(true)
  }

  waiting(connection: string, limit: number): Promise<AnnouncedRecord[]> {
    const own = [...this.#records].flatMap(([key, { mark }]) => {
      const [name, recordId = ''] = key.split(' ')
      return name === connection ? [{ recordId, mark }] : []
    })
    return Promise.resolve(own.slice(0, limit))
  }

  heard(connection: string, records: readonly AnnouncedRecord[]): Promise<void> {
    for (const { recordId, mark } of records) {
      const key = `${connection} ${recordId}`
      if (this.#records.get(key)?.mark === mark) this.#records.delete(key)
    }
    return Promise.resolve()
  }

  connections(): Promise<string[]> {
    return Promise.resolve([...new Set([...this.#records.keys()].map((key) => key.split(' ')[0] ?? ''))])
  }

  prune(before_ms: number): Promise<number> {
    for (const [event, seen_ms] of this.#events) if (seen_ms < before_ms) this.#events.delete(event)
    for (const [key, { at_ms }] of this.#records) if (at_ms < before_ms) this.#records.delete(key)
    return Promise.resolve(0)
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}
