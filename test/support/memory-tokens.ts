import { StoreUnavailableError } from '../../engine/core/ports/store.ts'
import type { Tokens, TokenStore } from '../../engine/core/ports/tokens.ts'

/** A token store in memory, as several processes see one. */
export class MemoryTokens implements TokenStore {
  readonly kept = new Map<string, Tokens>()
  readonly faults = {
    /** Loses what this many changes decided. */
    losesChanges: 0,
    gone: false,
  }
  #turn: Promise<unknown> = Promise.resolve()

  load(connection: string): Promise<Tokens | null> {
    if (this.faults.gone) return Promise.reject(new StoreUnavailableError('gone'))
    return Promise.resolve(this.kept.get(connection) ?? null)
  }

  change(connection: string, decide: (kept: Tokens | null) => Promise<Tokens>): Promise<Tokens> {
    const turn = this.#turn.then(async () => {
      const after = await decide(await this.load(connection))
      if (this.faults.losesChanges > 0) {
        this.faults.losesChanges--
        throw new StoreUnavailableError('gone in between')
      }
      this.kept.set(connection, after)
      return after
    })
    this.#turn = turn.catch(() => undefined)
    return turn
  }

  put(connection: string, tokens: Tokens | null): Promise<void> {
    if (tokens === null) this.kept.delete(connection)
    else this.kept.set(connection, tokens)
    return Promise.resolve()
  }
}
