import { setTimeout as realTimer } from 'node:timers/promises'
import type { Clock } from '../../../connectors/clock.ts'

/** The middle of the year 2026. */
const START_MS = 1_780_000_000_000
/** What a request on loopback takes, about: whoever sleeps lets those who talk get on. */
const BREATH_MS = 1

interface Sleeper {
  readonly at_ms: number
  readonly wake: () => void
}

/**
 * One clock for the accounts, the connectors and the workers. It moves when the world says so, and when somebody sleeps: then it
 * jumps to the moment when the first of them wakes up. Nobody waits for real time.
 */
export class VirtualClock implements Clock {
  #now_ms = START_MS
  #sleepers: Sleeper[] = []
  #pumping = false
  /** How much of the time was slept. */
  slept_ms = 0

  readonly now = (): number => this.#now_ms

  readonly sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason as Error)
      const leave = (): void => {
        this.#sleepers = this.#sleepers.filter((each) => each !== sleeper)
        reject(signal?.reason as Error)
      }
      const sleeper: Sleeper = {
        at_ms: this.#now_ms + Math.ceil(Math.max(0, ms)),
        wake: () => {
          signal?.removeEventListener('abort', leave)
          resolve()
        },
      }
      signal?.addEventListener('abort', leave, { once: true })
      this.#sleepers.push(sleeper)
      void this.#pump()
    })

  advance(ms: number): void {
    this.#now_ms += ms
  }

  async #pump(): Promise<void> {
    if (this.#pumping) return
    this.#pumping = true
    for (;;) {
      await realTimer(BREATH_MS)
      const [first, ...others] = this.#sleepers.toSorted((a, b) => a.at_ms - b.at_ms)
      if (!first) break
      this.#sleepers = others
      this.slept_ms += Math.max(0, first.at_ms - this.#now_ms)
      this.#now_ms = Math.max(this.#now_ms, first.at_ms)
      first.wake()
    }
    this.#pumping = false
  }
}
