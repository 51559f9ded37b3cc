import { createHmac, randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'

/** Where events go. */
export interface HookTarget {
  readonly url: string
  readonly secret: string
  /** As `zen:event-type:user.created`; all, where they are left out. */
  readonly events?: readonly string[]
}

export interface HookEvent {
  readonly type: string
  readonly userId: number
  readonly detail: object
  readonly event: object
}

const TRIES_MAX = 5

/** The webhooks of a simulated account: signed, sent one after the other, tried again when the other side asks for it. */
export class SimulatedHooks {
  /** Every request that was sent, tries included. */
  readonly sent: { readonly type: string; readonly status: number }[] = []
  readonly #now: () => number
  readonly #targets: HookTarget[] = []
  readonly #closing = new AbortController()
  #queue: Promise<void> = Promise.resolve()
  /** The pause before a further try where the other side names none. */
  retryPause_ms = 50

  constructor(now: () => number) {
    this.#now = now
  }

  subscribe(target: HookTarget): void {
    this.#targets.push(target)
  }

  announce(event: HookEvent): void {
    for (const target of this.#targets) {
      if (target.events && !target.events.includes(event.type)) continue
      const request = this.request(target.secret, event)
      this.#queue = this.#queue.then(() => this.#deliver(target, event.type, request)).catch(() => undefined)
    }
  }

  /** A request as it is sent for the event. */
  request(secret: string, event: HookEvent): { body: string; headers: { [name: string]: string } } {
    const time = new Date(this.#now()).toISOString()
    const body = JSON.stringify({
      type: event.type,
      account_id: 12_514_403,
      id: randomUUID(),
      time,
      zendesk_event_version: '2022-06-20',
      subject: `zen:user:${event.userId}`,
      detail: event.detail,
      event: event.event,
    })
    const signature = createHmac('sha256', secret)
      .update(time + body)
      .digest('base64')
    return {
      body,
      headers: {
        'content-type': 'application/json; charset=utf-8',
        'x-zendesk-account-id': '12514403',
        'x-zendesk-webhook-id': '01HZ0000000000000000000000',
        'x-zendesk-webhook-invocation-id': randomUUID(),
        'x-zendesk-webhook-signature': signature,
        'x-zendesk-webhook-signature-timestamp': time,
      },
    }
  }

  /** Resolves when everything announced so far was sent, or given up. */
  async flushed(): Promise<void> {
    await this.#queue
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#queue
  }

  async #deliver(target: HookTarget, type: string, request: { body: string; headers: { [name: string]: string } }) {
    const { signal } = this.#closing
    for (let attempt = 1; attempt <= TRIES_MAX && !signal.aborted; attempt++) {
      const { status, wait_ms } = await this.#post(target.url, request)
      this.sent.push({ type, status })
      // 409, and 429 or 503 with a time to wait below a minute, are tried again; so is silence.
      const again = status === 0 || status === 409 || ((status === 429 || status === 503) && wait_ms !== undefined)
      if (!again) return
      await sleep(Math.min(wait_ms ?? this.retryPause_ms, this.retryPause_ms), undefined, { signal })
    }
  }

  async #post(
    url: string,
    request: { body: string; headers: { [name: string]: string } },
  ): Promise<{ status: number; wait_ms: number | undefined }> {
    try {
      const response = await fetch(url, { method: 'POST', ...request, signal: this.#closing.signal })
      await response.arrayBuffer()
      const wait_s = Number(response.headers.get('retry-after') ?? Number.NaN)
      return { status: response.status, wait_ms: wait_s < 60 ? wait_s * 1000 : undefined }
    } catch {
      return { status: 0, wait_ms: undefined }
    }
  }
}
