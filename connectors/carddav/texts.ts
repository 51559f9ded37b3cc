/** The texts of cards lately read, so that read, merge and write cost no second read. The oldest go first. */
export class CardTexts {
  readonly #bytes_max: number
  readonly #cards = new Map<string, { readonly etag: string; readonly text: string }>()
  #bytes = 0

  constructor(bytes_max: number) {
    this.#bytes_max = bytes_max
  }

  /** Remembers what the server handed out under this etag. Only that: what we sent, the server may have rewritten. */
  remember(id: string, etag: string, text: string): void {
    this.forget(id)
    this.#cards.set(id, { etag, text })
    this.#bytes += size(text)
    for (const oldest of this.#cards.keys()) {
      if (this.#bytes <= this.#bytes_max) break
      this.forget(oldest)
    }
  }

  /** The text of exactly this revision. */
  recall(id: string, etag: string): string | undefined {
    const held = this.#cards.get(id)
    return held?.etag === etag ? held.text : undefined
  }

  forget(id: string): void {
    const held = this.#cards.get(id)
    if (!held) return
    this.#cards.delete(id)
    this.#bytes -= size(held.text)
  }
}

/** Bytes in memory: two for each UTF-16 unit, at most. */
function size(text: string): number {
  return text.length * 2
}
