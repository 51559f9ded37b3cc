import type { Lag } from './quirks.ts'
import type { Place } from './wire.ts'

/**
 * The app's change feed: which id changed at each sequence number, counted from 1. What became of the record is looked up
 * when the line is read, so a line costs one reference. Lines show only once they are older than the lag.
 */
export class ChangeFeed {
  readonly #ids: string[] = []
  readonly #calls: number[] = []
  readonly #times_ms: number[] = []
  readonly #lag: Lag
  #visible = 0
  #epoch = 0

  constructor(lag: Lag) {
    this.#lag = lag
  }

  get length(): number {
    return this.#ids.length
  }

  /** @returns the new line's sequence number */
  append(id: string, calls: number, now_ms: number): number {
    if (!isNone(this.#lag)) {
      this.#calls.push(calls)
      this.#times_ms.push(now_ms)
    }
    return this.#ids.push(id)
  }

  /** The id in the line that follows `seq`. */
  after(seq: number): string {
    return this.#ids[seq] ?? ''
  }

  /** The last line that shows by now. */
  horizon(calls: number, now_ms: number): number {
    if (isNone(this.#lag)) return this.#ids.length
    while (this.#visible < this.#ids.length) {
      const since_ms = this.#times_ms[this.#visible] ?? 0
      if (!isOver(this.#lag, calls - (this.#calls[this.#visible] ?? 0), now_ms - since_ms)) break
      this.#visible += 1
    }
    return this.#visible
  }

  place(seq: number): Place {
    return { epoch: this.#epoch, seq }
  }

  knows(place: Place): boolean {
    return place.epoch === this.#epoch && place.seq <= this.#ids.length
  }

  /** Every place handed out so far is thrown away. */
  expire(): void {
    this.#epoch += 1
  }
}

/** Whether both halves of a lag have passed. */
export function isOver(lag: Lag, calls: number, passed_ms: number): boolean {
  return calls >= lag.calls && passed_ms >= lag.time_ms
}

function isNone(lag: Lag): boolean {
  return lag.calls === 0 && lag.time_ms === 0
}
