import { HOOK_PULL_MS } from '../config/limits.ts'
import type { Announcement, HookAnswer, HookRequest, Webhook } from '../connectors/app.ts'
import { failureFrom } from '../engine/core/failure.ts'
import type { Inbox } from '../engine/core/ports/inbox.ts'
import { StoreUnavailableError } from '../engine/core/ports/store.ts'
import type { Household } from './household.ts'
import type { Log } from './runtime.ts'

export type { HookRequest } from '../connectors/app.ts'

/**
 * What became of a request:
 *
 * - `accepted`    believed, and durable
 * - `repeated`    each of its events was taken before: answered, and not acted on again
 * - `ignored`     answered; it announces nothing (a check of the address, an event of something else)
 * - `refused`     forged, replayed, or no request of this app's
 * - `unavailable` believed, and could not be kept: the app is to send it again
 * - `unknown`     there is no such connection, or its app sends no hooks
 */
export type HookOutcome = 'accepted' | 'repeated' | 'ignored' | 'refused' | 'unavailable' | 'unknown'

export interface HookReceipt {
  readonly outcome: HookOutcome
  readonly answer: Pick<HookAnswer, 'status' | 'headers' | 'body'>
  /** Why it was refused; holds no secret and no personal value. */
  readonly refused?: string
  readonly records: number
}

/** Who is woken by hooks: the daemon. What waits in the inbox before it is there, it finds by itself. */
export interface Wakened {
  wakePull(connection: string): Promise<void>
  wakeAnnounced(connection: string): void
}

/** How long the database may take: an app gives up after some 5 seconds, and is better told to come again. */
const DURABLE_MS_MAX = 3000
const COME_AGAIN_S = 5

const UNKNOWN: HookReceipt = { outcome: 'unknown', answer: { status: 404 }, records: 0 }
const UNAVAILABLE: HookReceipt = {
  outcome: 'unavailable',
  // Some apps come again only where they are told when.
  answer: { status: 503, headers: { 'retry-after': String(COME_AGAIN_S) } },
  records: 0,
}

/** Takes the hooks of a household's connections: verified by their apps, kept in the inbox, told to the queues. */
export class HookDesk {
  readonly #inbox: Inbox
  readonly #log: Log
  readonly #now: () => number
  readonly #webhooks: ReadonlyMap<string, Webhook>
  /** When a pull was last woken, and the ones that are to be. */
  readonly #pulled_ms = new Map<string, number>()
  readonly #pulls = new Map<string, NodeJS.Timeout>()
  #wakened: Wakened | null = null

  /** Connections whose hooks cannot be verified as they are configured are told to the log, and unknown here. */
  static of(household: Household, log: Log): HookDesk {
    const webhooks = new Map<string, Webhook>()
    for (const config of household.config.connections) {
      const { app, context } = household.appOf(config)
      try {
        const webhook = app.webhook?.(config.options, context)
        if (webhook) webhooks.set(config.name, webhook)
      } catch (error) {
        log.failure('hooks off', config.name, failureFrom(error))
      }
    }
    return new HookDesk(webhooks, household.inbox, log)
  }

  constructor(webhooks: ReadonlyMap<string, Webhook>, inbox: Inbox, log: Log, now: () => number = Date.now) {
    this.#webhooks = webhooks
    this.#inbox = inbox
    this.#log = log
    this.#now = now
  }

  /** The connections that hooks are taken for. */
  get connections(): readonly string[] {
    return [...this.#webhooks.keys()]
  }

  /** From now on hooks wake the workers. */
  attach(wakened: Wakened): void {
    this.#wakened = wakened
  }

  /** Wakes nobody any more. */
  detach(): void {
    this.#wakened = null
    for (const timer of this.#pulls.values()) clearTimeout(timer)
    this.#pulls.clear()
  }

  /** Resolves as soon as the app can be answered: what it announced is then durable. */
  async receive(connection: string, request: HookRequest): Promise<HookReceipt> {
    const webhook = this.#webhooks.get(connection)
    if (!webhook) return UNKNOWN
    const { announces, eventIds, refused, ...answer } = webhook.receive(request)
    if (refused !== undefined || answer.status >= 400)
      return { outcome: 'refused', answer, records: 0, refused: refused ?? 'it cannot be read' }
    if (announces === null) return { outcome: 'ignored', answer, records: 0 }
    const records = announces === 'pull' ? [] : announces.records
    try {
      const taken = await inTime(this.#inbox.take({ connection, eventIds, records, now_ms: this.#now() }))
      if (!taken) return { outcome: 'repeated', answer, records: 0 }
    } catch (error) {
      if (!(error instanceof StoreUnavailableError)) {
        const { kind, message } = failureFrom(error)
        this.#log.warn('hook not kept', { connection, kind, error: message })
      }
      return UNAVAILABLE
    }
    this.#wake(connection, announces)
    return { outcome: 'accepted', answer, records: records.length }
  }

  /** A wake may be lost: the sweep finds what waits in the inbox, and each connection is polled. */
  #wake(connection: string, announces: Announcement): void {
    if (announces === 'pull') return this.#pullSoon(connection, this.#rest_ms(connection))
    this.#wakened?.wakeAnnounced(connection)
    this.#pullSoon(connection, HOOK_PULL_MS)
  }

  /** A pull costs a request of the app's budget however many hooks led to it: there is one in a while at most. */
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
