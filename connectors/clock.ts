import { setTimeout as timer } from 'node:timers/promises'
import type { PacerOptions } from './pacer.ts'

/** Resolves after `ms`; rejects with the signal's reason when it is aborted before. */
export type Sleep = (ms: number, signal?: AbortSignal) => Promise<void>

/** The time that a connection goes by. */
export interface Clock {
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Waits by the same clock; left out, the machine's own timers do. A simulation brings its own and does not wait at all. */
  readonly sleep?: Sleep | undefined
}

export const realSleep: Sleep = (ms, signal) => timer(ms, undefined, signal ? { signal } : {})

/** What a rate budget goes by: the machine's steady clock, which nobody sets, unless the connection has a clock of its own. */
export function pacerClock({ now, sleep }: Clock): Pick<PacerOptions, 'now' | 'sleep'> {
  const wait = sleep ?? realSleep
  return {
    now: sleep ? now : () => performance.now(),
    sleep: (ms, signal) => wait(ms, signal).catch(() => undefined),
  }
}
