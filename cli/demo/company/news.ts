import { fieldOf } from '../../../engine/core/catalogue.ts'
import type { Change, Intent } from '../../../engine/core/ports/store.ts'
import type { Events } from '../../../workers/runtime.ts'

/** Something that the page is told as it happens. */
export type Item =
  /** A human has edited in an account. */
  | { readonly kind: 'edited'; readonly account: string; readonly record: string; readonly person: string | null }
  /** Kith has heard something of a person. */
  | { readonly kind: 'heard'; readonly person: string; readonly account: string; readonly field: string }
  /** Kith has written to an account, and it has answered. */
  | {
      readonly kind: 'written'
      readonly person: string
      readonly account: string
      readonly op: string
      readonly fields: readonly string[]
      /** Whose value it is that was written. */
      readonly from: string
      /** Since the human's edit, as far as it was made on the page. */
      readonly took_ms: number | null
    }
  | { readonly kind: 'refused'; readonly person: string; readonly account: string }

/** A human's edit is no longer the cause of what is written later than this. */
const CAUSE_MS_MAX = 30_000

/** Hands on to the page what happens in the accounts and in Kith. */
export class News {
  readonly #listeners = new Set<(item: Item) => void>()
  /** When a human last edited, by `account record` and by person. */
  readonly #edited_ms = new Map<string, number>()

  readonly events: Events = {
    read: () => undefined,
    applied: (_connection, _heard, _unchanged, changes) => changes.forEach((change) => this.#heard(change)),
    planned: () => undefined,
    settled: (intent, answer) => {
      if (answer.kind === 'failed') {
        this.#tell({ kind: 'refused', person: intent.personId, account: intent.connection })
      } else this.#written(intent)
    },
  }

  /** @returns how to listen no more */
  listen(listener: (item: Item) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** @param person whose record it is, as far as is known */
  edited(account: string, record: string, person: string | null, at_ms: number): void {
    this.#edited_ms.set(`${account} ${record}`, at_ms)
    if (person !== null) this.#edited_ms.set(person, at_ms)
    this.#tell({ kind: 'edited', account, record, person })
  }

  #heard({ personId, stamp, recordId, cell }: Change): void {
    const edited_ms = this.#edited_ms.get(`${stamp.by} ${recordId}`)
    if (edited_ms !== undefined) this.#edited_ms.set(personId, edited_ms)
    this.#tell({ kind: 'heard', person: personId, account: stamp.by, field: fieldOf(cell) })
  }

  #written({ personId, connection, op, cells }: Intent): void {
    const since_ms = Date.now() - (this.#edited_ms.get(personId) ?? 0)
    const stamps = Object.values(cells).map(({ stamp }) => stamp)
    const latest = stamps.toSorted((a, b) => b.at - a.at)[0]
    this.#tell({
      kind: 'written',
      person: personId,
      account: connection,
      op,
      fields: [...new Set(Object.keys(cells).map(fieldOf))],
      from: latest?.by ?? '',
      took_ms: since_ms < CAUSE_MS_MAX ? since_ms : null,
    })
  }

  #tell(item: Item): void {
    for (const listener of this.#listeners) listener(item)
  }
}

/** Several listeners as one. */
export function together(...all: readonly Events[]): Events {
  return {
    read: (...told) => all.forEach((events) => events.read(...told)),
    applied: (...told) => all.forEach((events) => events.applied(...told)),
    planned: (...told) => all.forEach((events) => events.planned(...told)),
    settled: (...told) => all.forEach((events) => events.settled(...told)),
  }
}
