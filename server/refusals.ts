import type { Log } from '../workers/runtime.ts'

/** A flood of forged requests must not become a flood of lines: one for each connection and cause in this time. */
const QUIET_MS = 60_000

/** Tells the log of refused requests: the connection and the cause, never what they held (I15). */
export class RefusalLog {
  readonly #log: Log
  readonly #now: () => number
  readonly #since = new Map<string, { told_ms: number; untold: number }>()

  constructor(log: Log, now: () => number = Date.now) {
    this.#log = log
    this.#now = now
  }

  /** Both come from Kith itself, so that there are few of them. */
  tell(connection: string, reason: string): void {
    const key = `${connection}\n${reason}`
    const now_ms = this.#now()
    const before = this.#since.get(key)
    if (before && now_ms - before.told_ms < QUIET_MS) {
      before.untold += 1
      return
    }
    this.#since.set(key, { told_ms: now_ms, untold: 0 })
    this.#log.warn('hook refused', { connection, reason, ...(before ? { alsoBefore: before.untold } : {}) })
  }
}
