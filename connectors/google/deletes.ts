import { failureFrom } from '../../engine/core/failure.ts'
import type { DeleteRequest } from '../../engine/core/ports/connector.ts'
import { RefusedError } from './errors.ts'
import { chunks, halves, MOVED, type Outcomes, type WriterParts } from './outcomes.ts'
import { etagIn, etagOf } from './people.ts'
import { DELETE_MAX } from './wire.ts'

/**
 * The deletes of one batch. Google deletes without a precondition, so the contacts are looked at just before: what is left of
 * the race is the time of one request. What is deleted lies in Google's bin for 30 days.
 */
export class Deletes {
  readonly #parts: WriterParts
  readonly #outcomes: Outcomes
  readonly #signal: AbortSignal | undefined
  /** As they stood when they were looked at. */
  readonly #etags = new Map<string, string | null>()

  constructor(parts: WriterParts, outcomes: Outcomes, signal: AbortSignal | undefined) {
    this.#parts = parts
    this.#outcomes = outcomes
    this.#signal = signal
  }

  async write(requests: readonly DeleteRequest[]): Promise<void> {
    const ids = requests.map(({ id }) => id)
    const current = await this.#parts.reader.fetch(ids, 'metadata', this.#signal)
    const doomed = requests.filter(({ ref, id, rev }) => {
      const found = current.get(id)
      const etag = found?.kind === 'person' ? etagOf(found.person) : null
      this.#etags.set(id, etag)
      if (found?.kind === 'gone') this.#outcomes.deleted(ref, id)
      else if (found?.kind === 'merged') this.#outcomes.fail(ref, MOVED)
      else if (found?.kind === 'person' && rev !== null && etag !== etagIn(rev)) this.#outcomes.fail(ref, MOVED)
      return !this.#outcomes.has(ref)
    })
    for (const part of chunks(doomed, DELETE_MAX)) await this.#send(part)
  }

  async #send(items: readonly DeleteRequest[]): Promise<void> {
    if (items.length === 0) return
    if (this.#outcomes.halted) return this.#outcomes.failAll(items, this.#outcomes.halted)
    const ids = items.map(({ id }) => id)
    try {
      await this.#parts.client.batchDelete(ids, this.#signal)
    } catch (error) {
      const { kind } = failureFrom(error)
      const told = error instanceof RefusedError && ['gone', 'permanent', 'conflict'].includes(kind)
      if (told && items.length > 1) {
        for (const half of halves(items)) await this.#send(half)
        return
      }
      // Someone else was quicker: there is nothing left to delete.
      if (!told || kind !== 'gone') return this.#outcomes.failAll(items, failureFrom(error))
    }
    for (const { ref, id } of items) {
      this.#parts.journal.deleted(id, this.#etags.get(id) ?? null)
      this.#parts.held.forget(id)
      this.#outcomes.deleted(ref, id)
    }
  }
}
