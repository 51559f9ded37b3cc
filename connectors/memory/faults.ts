import type { Method } from './wire.ts'

/**
 * What can go wrong in one call. Faults are data; when they strike is decided by the caller: one by one
 * ({@link FaultPlan.next}), or by rates and a seeded source of numbers. So the same seed meets the same faults (I14).
 */
export type Fault =
  /** A write is carried out (`committed` items of it; all, where left out) and its answer is lost. */
  | { readonly kind: 'lost'; readonly committed?: number }
  | { readonly kind: 'ratelimit'; readonly retryAfter_ms?: number }
  /** 503, and nothing was done. */
  | { readonly kind: 'unavailable' }
  /** A page ends too early; a listing then does not vouch for it. */
  | { readonly kind: 'cut' }
  /** A listing shows nothing at all, from its first page on, and vouches for it: the app is lying. Reads still find every record. */
  | { readonly kind: 'empty' }
  /** A read answers from a copy that lags behind: the previous revision. */
  | { readonly kind: 'stale' }
  /** The feed has thrown away old places: the cursor is refused. */
  | { readonly kind: 'expire' }
  /** Every second item of a batch is not done (503), the others are. */
  | { readonly kind: 'partial' }
  /** Feed entries come twice in the page, and once more later. */
  | { readonly kind: 'double' }
  /** Half of the entries of a feed page come later instead. */
  | { readonly kind: 'late' }
  /** The entries of a page come in reverse. */
  | { readonly kind: 'reorder' }

export type FaultKind = Fault['kind']

const STRIKES: { readonly [kind in FaultKind]: readonly Method[] } = {
  lost: ['write'],
  ratelimit: ['check', 'changes', 'list', 'read', 'write', 'search'],
  unavailable: ['check', 'changes', 'list', 'read', 'write', 'search'],
  cut: ['changes', 'list'],
  empty: ['list'],
  stale: ['read'],
  expire: ['changes'],
  partial: ['write'],
  double: ['changes'],
  late: ['changes'],
  reorder: ['changes'],
}

const KINDS = Object.keys(STRIKES) as FaultKind[]

/** How often each fault strikes, from 0 to 1, per call that it can strike. */
export type FaultRates = { readonly [kind in FaultKind]?: number }

export class FaultPlan {
  #next: Fault[] = []
  #rates: readonly (readonly [FaultKind, number])[] = []
  #random: () => number = () => 1

  /** The next call that this fault can strike meets it. Faults asked for earlier come first. */
  next(fault: Fault): void {
    this.#next.push(fault)
  }

  /** @param random numbers from 0 up to 1, from a seed of the caller's; asked in a fixed order, once per possible fault */
  rates(rates: FaultRates, random: () => number): void {
    this.#rates = KINDS.flatMap((kind) => (rates[kind] ? [[kind, rates[kind]] as const] : []))
    this.#random = random
  }

  clear(): void {
    this.#next = []
    this.#rates = []
  }

  /** What strikes this call, if anything. */
  strike(method: Method): Fault | undefined {
    if (this.#next.length > 0) {
      const index = this.#next.findIndex((fault) => STRIKES[fault.kind].includes(method))
      if (index >= 0) return this.#next.splice(index, 1)[0]
    }
    for (const [kind, rate] of this.#rates) {
      if (STRIKES[kind].includes(method) && this.#random() < rate) return this.#drawn(kind)
    }
    return undefined
  }

  #drawn(kind: FaultKind): Fault {
    if (kind === 'ratelimit') {
      const draw = this.#random()
      return draw < 0.5 ? { kind } : { kind, retryAfter_ms: Math.ceil(draw * 2000) }
    }
    if (kind === 'lost') {
      const draw = this.#random()
      return draw < 0.5 ? { kind } : { kind, committed: Math.floor((draw - 0.5) * 8) }
    }
    return { kind }
  }
}
