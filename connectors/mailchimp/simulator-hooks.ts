import { createHmac, randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { AudienceEvent, Source } from './simulator-audience.ts'

/** A webhook of the audience. */
export interface HookTarget {
  readonly url: string
  /** undefined: made before signing existed. */
  readonly signingSecret?: string
  /** Whose changes are told; all, where they are left out. */
  readonly sources?: readonly Source[]
}

/** As the API shows it. */
export interface RegisteredTarget extends HookTarget {
  readonly id: string
  readonly events: { readonly [event: string]: boolean }
}

export interface SentHook {
  readonly type: string
  readonly status: number
}

const TRIES_MAX = 6
const ALL = { subscribe: true, unsubscribe: true, profile: true, upemail: true, cleaned: true }

/** The webhooks of a simulated audience: form-encoded, signed, sent one after the other, tried again until they are taken. */
export class SimulatedHooks {
  /** Every request that was sent, tries included. */
  readonly sent: SentHook[] = []
  /** The pause before a further try. */
  retryPause_ms = 20
  readonly #now: () => number
  readonly #audience: string
  /** By their ids. */
  readonly targets = new Map<string, RegisteredTarget>()
  readonly #closing = new AbortController()
  #queue: Promise<void> = Promise.resolve()

  constructor(audience: string, now: () => number) {
    this.#audience = audience
    this.#now = now
  }

  /** As the vendor does: the address is tried with a GET before it is taken. @throws where it answers anything but 200 */
  async subscribe(target: HookTarget, events: { readonly [event: string]: boolean } = ALL): Promise<string> {
    const response = await fetch(target.url, { signal: this.#closing.signal })
    await response.arrayBuffer()
    if (response.status !== 200) throw new Error(`We couldn't connect to the URL: it answered ${response.status}`)
    const id = randomBytes(5).toString('hex')
    this.targets.set(id, { ...target, id, events })
    return id
  }

  announce(event: AudienceEvent): void {
    for (const target of this.targets.values()) {
      if (target.events[event.type] !== true) continue
      if (target.sources && !target.sources.includes(event.source)) continue
      const body = this.body(event)
      this.#queue = this.#queue.then(() => this.#deliver(target, event.type, body)).catch(() => undefined)
    }
  }

  body({ type, data }: AudienceEvent): string {
    const fired = new Date(this.#now()).toISOString().slice(0, 19).replace('T', ' ')
    const named = Object.entries({ ...data, list_id: this.#audience }).map(([name, value]) => [`data[${name}]`, value])
    return new URLSearchParams([['type', type], ['fired_at', fired], ...(named as [string, string][])]).toString()
  }

  headers(body: string, secret: string | undefined): { [name: string]: string } {
    const type = { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' }
    if (secret === undefined) return type
    const at_s = Math.floor(this.#now() / 1000)
    const signature = createHmac('sha256', secret).update(`${at_s}.${body}`).digest('hex')
    return { ...type, 'x-mailchimp-signature': `t=${at_s},v1=${signature}` }
  }

  /** Resolves when everything announced so far was sent, or given up. */
  async flushed(): Promise<void> {
    await this.#queue
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#queue
  }

  async #deliver({ url, signingSecret }: HookTarget, type: string, body: string): Promise<void> {
    const { signal } = this.#closing
    for (let attempt = 1; attempt <= TRIES_MAX && !signal.aborted; attempt++) {
      const headers = this.headers(body, signingSecret)
      const status = await fetch(url, { method: 'POST', body, headers, signal })
        .then(async (response) => {
          await response.arrayBuffer()
          return response.status
        })
        .catch(() => 0)
      this.sent.push({ type, status })
      if (status >= 200 && status < 300) return
      await sleep(this.retryPause_ms, undefined, { signal })
    }
  }
}
