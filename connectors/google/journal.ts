import { etagOf, updated_ms } from './people.ts'
import type { Person } from './wire.ts'

interface Entry {
  readonly at_ms: number
  /** What Google answered to our write; null: we deleted it, as it stood under `etag`. */
  readonly person: Person | null
  readonly etag: string | null
  readonly created: boolean
}

/**
 * Our own writes of late. Google's readers may lag behind its writers by "several minutes" (the docs of connections.list), so
 * that a listing shows a contact as it was before we wrote it, or not at all. Taken at its word that would be an edit that
 * undoes ours, or a deletion. What Google answered to the write is the newer truth until the delay is over.
 */
export class Journal {
  readonly #window_ms: number
  readonly #now: () => number
  /** In the order of writing. */
  readonly #entries = new Map<string, Entry>()

  constructor(window_ms: number, now: () => number) {
    this.#window_ms = window_ms
    this.#now = now
  }

  wrote(person: Person, created: boolean): void {
    const before = this.#live(person.resourceName)
    this.#put(person.resourceName, {
      person,
      etag: etagOf(person),
      created: created || (before?.created ?? false),
    })
  }

  deleted(id: string, etag: string | null): void {
    this.#put(id, { person: null, etag, created: false })
  }

  forget(id: string): void {
    this.#entries.delete(id)
  }

  /** The newest that is known of a person that was just read: it, or what we made of it since; null where we deleted it. */
  latest(read: Person): Person | null {
    const entry = this.#live(read.resourceName)
    if (!entry) return read
    const etag = etagOf(read)
    // Anything but what we deleted has come back: people can take contacts out of the bin.
    if (entry.person === null) return etag === null || etag === entry.etag ? null : read
    if (etag === entry.etag) return read
    const [ours, theirs] = [updated_ms(entry.person), updated_ms(read)]
    const stale = ours !== undefined && theirs !== undefined && theirs < ours
    return stale ? entry.person : read
  }

  /** The contact that we created so lately that readers may not have it yet. */
  justCreated(id: string): Person | undefined {
    const entry = this.#live(id)
    return entry?.created ? (entry.person ?? undefined) : undefined
  }

  /** All of those. */
  created(): Person[] {
    return Array.from(this.#entries.keys()).flatMap((id) => this.justCreated(id) ?? [])
  }

  #live(id: string): Entry | undefined {
    const entry = this.#entries.get(id)
    return entry && this.#now() - entry.at_ms < this.#window_ms ? entry : undefined
  }

  #put(id: string, entry: Omit<Entry, 'at_ms'>): void {
    this.#entries.delete(id)
    this.#entries.set(id, { ...entry, at_ms: this.#now() })
    for (const oldest of this.#entries.keys()) {
      if (this.#live(oldest)) break
      this.#entries.delete(oldest)
    }
  }
}
