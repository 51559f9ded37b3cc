import { HOOK_PULL_MS } from '../config/limits.ts'
import type { Announcement } from '../connectors/app.ts'
import type { Inbox } from '../engine/core/ports/inbox.ts'
import { StoreUnavailableError } from '../engine/core/ports/store.ts'

/** Who is woken by what apps announce: the daemon. What waits in the inbox before it is there, it finds by itself. */
export interface Wakened {
  wakePull(connection: string): Promise<void>
  wakeAnnounced(connection: string): void
}

/** How long the database may take: an app gives up after some 5 seconds, and is better told to come again. */
const DURABLE_MS_MAX = 3000

/** Takes what apps announce, by a hook or over a connection held open: keeps it in the inbox, and wakes who reads it. */
export class Announcer {
  readonly #inbox: Inbox
  readonly #now: () => number
  /** When a pull was last woken, and the ones that are to be. */
  readonly #pulled_ms = new Map<string, number>()
  readonly #pulls = new Map<string, NodeJS.Timeout>()
  #wakened: Wakened | null = null

  constructor(inbox: Inbox, now: () => number = Date.now) {
    this.#inbox = inbox
    this.#now = now
  }

  attach(wakened: Wakened): void {
    this.#wakened = wakened
  }

  /** Wakes nobody any more. */
  detach(): void {
    this.#wakened = null
    for (const timer of this.#pulls.values()) clearTimeout(timer)
    this.#pulls.clear()
  }

  /**
   * Durable when it resolves.
   * @returns false where each of its events was taken before: it is not acted on again
   * @throws StoreUnavailableError among others
   */
  async take(connection: string, announces: Announcement, eventIds: readonly string[]): Promise<boolean> {
    const records = announces === 'pull' ? [] : announces.records
    const taken = await inTime(this.#inbox.take({ connection, eventIds, records, now_ms: this.#now() }))
    if (taken) this.#wake(connection, announces)
    return taken
  }

  /** A wake may be lost: the sweep finds what waits in the inbox, and each connection is polled. */
  #wake(connection: string, announces: Announcement): void {
    if (announces === 'pull') return this.#pullSoon(connection, this.#rest_ms(connection))
    this.#wakened?.wakeAnnounced(connection)
    this.#pullSoon(connection, HOOK_PULL_MS)
  }

  /** A pull costs a request of the app's budget however much led to it: there is one in a while at most. */
  #pullSoon(connection: string, delay_ms: number): void {
    if (this.#pulls.has(connection)) return
    const pull = (): void => {
      this.#pulls.delete(connection)
      this.#pulled_ms.set(connection, this.#now())
      void this.#wakened?.wakePull(connection).catch(() => undefined)
    }
    if (delay_ms <= 0) return pull()
    this.#pulls.set(connection, setTimeout(pull, delay_ms).unref())
  }

  #rest_ms(connection: string): number {
    return (this.#pulled_ms.get(connection) ?? Number.NEGATIVE_INFINITY) + HOOK_PULL_MS - this.#now()
  }
}

/** @throws StoreUnavailableError where it takes too long; it may still be done, and a repetition is then known as one */
async function inTime<Result>(work: Promise<Result>): Promise<Result> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new StoreUnavailableError('the database does not answer')), DURABLE_MS_MAX)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
