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
  /** How many processes use the account at present: a rate budget is divided among them. Left out: this one alone. */
  readonly sharers?: (() => number) | undefined
}

export const realSleep: Sleep = (ms, signal) => timer(ms, undefined, signal ? { signal } : {})

/** What a rate budget goes by: the machine's steady clock, which nobody sets, unless the connection has a clock of its own. */
export function pacerClock({ now, sleep, sharers }: Clock): Pick<PacerOptions, 'now' | 'sleep' | 'sharers'> {
  const wait = sleep ?? realSleep
  return {
    now: sleep ? now : () => performance.now(),
    sleep: (ms, signal) => wait(ms, signal).catch(() => undefined),
    sharers,
  }
}
