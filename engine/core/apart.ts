import type { Apart } from './ports/store.ts'

/** Two that an operator knows to be different, in the words of the store. */

export function personSubject(personId: string): string {
  return `person:${personId}`
}

export function recordSubject(connection: string, recordId: string): string {
  return `record:${connection}/${recordId}`
}

export function apart(one: string, other: string): Apart {
  return one < other ? { a: one, b: other } : { a: other, b: one }
}

/** Who is known to be different from whom, of what was asked for. */
export class Apartness {
  readonly #pairs: ReadonlySet<string>

  constructor(pairs: readonly Apart[]) {
    this.#pairs = new Set(pairs.map(keyOf))
  }

  has(one: string, other: string): boolean {
    return this.#pairs.has(keyOf(apart(one, other)))
  }

  /** Whether any of one side is known to be different from any of the other. */
  between(ones: readonly string[], others: readonly string[]): boolean {
    return ones.some((one) => others.some((other) => this.has(one, other)))
  }
}

function keyOf({ a, b }: Apart): string {
  return `${a}\n${b}`
}
