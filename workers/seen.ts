import { createHash } from 'node:crypto'

/**
 * Names what a preview has shown, so that the act after it does nothing else: the same text for the same parts in the same order. It
 * says nothing of them.
 */
export class Seen {
  readonly #hash = createHash('sha256')

  /** @param part plain data */
  add(part: unknown): void {
    this.#hash.update(`${JSON.stringify(part)}\n`)
  }

  /** Ends it: nothing can be added any more. */
  end(): string {
    return this.#hash.digest('base64url')
  }
}
