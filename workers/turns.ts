/**
 * The chunks that this process has in hand. A connection's chunks are committed in order; those of one process decide side by
 * side and then wait for each other here, instead of finding out in the database that they have come too early, and deciding
 * once more. A chunk whose predecessor is in another process's hands finds out there.
 */
export class Turns {
  readonly #inHand = new Map<string, Promise<unknown>>()

  /** Runs `work`; the promise it is handed settles when the chunk before this one has come to its end in this process. */
  async run<Result>(
    { connection, pass, chunk }: { readonly connection: string; readonly pass: number; readonly chunk: number },
    work: (turn: Promise<unknown>) => Promise<Result>,
  ): Promise<Result> {
    const key = (number: number): string => `${connection}\n${pass}\n${number}`
    const before = this.#inHand.get(key(chunk - 1)) ?? Promise.resolve()
    const running = work(before)
    // Whatever became of it, the next one looks for itself.
    const ended = running.catch(() => undefined)
    this.#inHand.set(key(chunk), ended)
    try {
      return await running
    } finally {
      if (this.#inHand.get(key(chunk)) === ended) this.#inHand.delete(key(chunk))
    }
  }
}
