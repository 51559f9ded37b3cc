import type { HookAnswer, HookRequest, Webhook } from '../connectors/app.ts'
import { failureFrom } from '../engine/core/failure.ts'
import type { Inbox } from '../engine/core/ports/inbox.ts'
import { StoreUnavailableError } from '../engine/core/ports/store.ts'
import { Announcer, type Wakened } from './announcer.ts'
import type { Household } from './household.ts'
import type { Log } from './runtime.ts'

export type { HookRequest } from '../connectors/app.ts'
export type { Wakened } from './announcer.ts'

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
  readonly #announcer: Announcer
  readonly #log: Log
  readonly #webhooks: ReadonlyMap<string, Webhook>

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
    this.#announcer = new Announcer(inbox, now)
    this.#log = log
  }

  /** The connections that hooks are taken for. */
  get connections(): readonly string[] {
    return [...this.#webhooks.keys()]
  }

  /** From now on hooks wake the workers. */
  attach(wakened: Wakened): void {
    this.#announcer.attach(wakened)
  }

  /** Wakes nobody any more. */
  detach(): void {
    this.#announcer.detach()
  }

  /** Resolves as soon as the app can be answered: what it announced is then durable. */
  async receive(connection: string, request: HookRequest): Promise<HookReceipt> {
    const webhook = this.#webhooks.get(connection)
    if (!webhook) return UNKNOWN
    const { announces, eventIds, refused, ...answer } = webhook.receive(request)
    if (refused !== undefined || answer.status >= 400)
      return { outcome: 'refused', answer, records: 0, refused: refused ?? 'it cannot be read' }
    if (announces === null) return { outcome: 'ignored', answer, records: 0 }
    const records = announces === 'pull' ? 0 : announces.records.length
    try {
      const taken = await this.#announcer.take(connection, announces, eventIds)
      if (!taken) return { outcome: 'repeated', answer, records: 0 }
    } catch (error) {
      if (!(error instanceof StoreUnavailableError)) {
        const { kind, message } = failureFrom(error)
        this.#log.warn('hook not kept', { connection, kind, error: message })
      }
      return UNAVAILABLE
    }
    return { outcome: 'accepted', answer, records }
  }
}
