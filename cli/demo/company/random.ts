/** A small generator of numbers that look random and are the same each time (mulberry32). */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed
  }

  /** From 0 up to 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }

  chance(share: number): boolean {
    return this.next() < share
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[Math.floor(this.next() * items.length)] as Item
  }

  /** A birthday of somebody who works. */
  date(): string {
    const two = (number: number): string => String(number).padStart(2, '0')
    const [year, month, day] = [
      1958 + Math.floor(this.next() * 44),
      1 + Math.floor(this.next() * 12),
      1 + Math.floor(this.next() * 28),
    ]
    return `${year}-${two(month)}-${two(day)}`
  }
}
