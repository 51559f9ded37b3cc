/** A rate budget: everything that goes out to one account goes through it. */
export interface Pacer {
  /**
   * Runs `work` when the budget has room, in the order of the calls. Rejects with the signal's reason when it is aborted
   * while waiting; its place is then given to the next.
   */
  run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T>
  /** The app asked for a pause: nothing new starts for this long. A shorter pause never cuts a longer one. */
  cool(pause_ms: number): void
}

export interface PacerOptions {
  /** How many requests the app allows in any interval. */
  readonly requests: number
  readonly interval_ms: number
  /** How many may be under way at once. */
  readonly concurrent_max: number
  /** The part of the budget that is ours, above 0 and up to 1; the rest is left to the account's other programs. */
  readonly share?: number
  /** How many processes draw on the budget at present, this one included; each takes an equal part. */
  readonly sharers?: (() => number) | undefined
  /** Milliseconds from any fixed point, never going back. */
  readonly now: () => number
  /** Resolves after `ms`, or at once when the signal is aborted. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>
}

interface Waiter {
  readonly start: () => void
}

/**
 * A rate budget, or one process's part of it. It remembers when its last requests started, so that no window of `interval_ms`, wherever
 * it begins, holds more than the budget: a bucket that fills up while idle would let through up to twice that.
 */
export function createPacer(options: PacerOptions): Pacer {
  return new WindowPacer(options)
}

class WindowPacer implements Pacer {
  readonly #options: PacerOptions
  readonly #budget: number
  /** When the last `budget` requests started; a ring, `#next` is the oldest. */
  readonly #starts: number[]
  #next = 0
  #cooledUntil = Number.NEGATIVE_INFINITY
  #running = 0
  readonly #queue = new Set<Waiter>()
  #nap: AbortController | undefined

  constructor(options: PacerOptions) {
    const share = options.share ?? 1
    if (!(share > 0 && share <= 1)) throw new RangeError('share must be above 0 and at most 1')
    if (!(options.requests >= 1 && options.interval_ms > 0 && options.concurrent_max >= 1)) {
      throw new RangeError('a rate budget needs at least one request, one at once, and an interval')
    }
    this.#options = options
    this.#budget = Math.max(1, Math.floor(options.requests * share))
    this.#starts = Array.from({ length: this.#budget }, () => Number.NEGATIVE_INFINITY)
  }

  async run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    await this.#turn(signal)
    try {
      return await work()
    } finally {
      this.#running--
      this.#pump()
    }
  }

  cool(pause_ms: number): void {
    this.#cooledUntil = Math.max(this.#cooledUntil, this.#options.now() + pause_ms)
  }

  #turn(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason as Error)
        return
      }
      const leave = (): void => {
        this.#queue.delete(waiter)
        if (this.#queue.size === 0) this.#nap?.abort()
        reject(signal?.reason as Error)
      }
      const waiter: Waiter = {
        start: () => {
          signal?.removeEventListener('abort', leave)
          resolve()
        },
      }
      signal?.addEventListener('abort', leave, { once: true })
      this.#queue.add(waiter)
      this.#pump()
    })
  }

  #pump(): void {
    const sharers = Math.max(1, this.#options.sharers?.() ?? 1)
    const budget = Math.max(1, Math.floor(this.#budget / sharers))
    const concurrent_max = Math.max(1, Math.floor(this.#options.concurrent_max / sharers))
    for (const waiter of this.#queue) {
      if (this.#running >= concurrent_max) return
      const now = this.#options.now()
      const oldest = this.#starts[(this.#next - budget + this.#budget) % this.#budget] ?? Number.NEGATIVE_INFINITY
      const wait_ms = Math.max(oldest + this.#options.interval_ms, this.#cooledUntil) - now
      if (wait_ms > 0) {
        this.#napFor(wait_ms)
        return
      }
      this.#queue.delete(waiter)
      this.#starts[this.#next] = now
      this.#next = (this.#next + 1) % this.#budget
      this.#running++
      waiter.start()
    }
  }

  /** One nap at a time: whoever waits longer is looked at again when it ends. */
  #napFor(wait_ms: number): void {
    if (this.#nap) return
    const nap = new AbortController()
    this.#nap = nap
    void this.#options.sleep(wait_ms, nap.signal).then(() => {
      this.#nap = undefined
      this.#pump()
    })
  }
}
