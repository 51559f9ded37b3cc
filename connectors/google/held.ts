import { etagOf } from './people.ts'
import type { Person } from './wire.ts'

/**
 * Persons lately read, so that a change can be made to the whole of a field without reading it again. Kept by etag: a person
 * is handed out only for exactly the revision that was read. The oldest go first.
 */
export class HeldPersons {
  readonly #bytes_max: number
  readonly #persons = new Map<string, { readonly person: Person; readonly bytes: number }>()
  #bytes = 0

  constructor(bytes_max: number) {
    this.#bytes_max = bytes_max
  }

  remember(person: Person): void {
    const id = person.resourceName
    this.forget(id)
    if (etagOf(person) === null) return
    // Two bytes for each UTF-16 unit, at most.
    const bytes = JSON.stringify(person).length * 2
    this.#persons.set(id, { person, bytes })
    this.#bytes += bytes
    for (const oldest of this.#persons.keys()) {
      if (this.#bytes <= this.#bytes_max) break
      this.forget(oldest)
    }
  }

  recall(id: string, etag: string): Person | undefined {
    const person = this.#persons.get(id)?.person
    return person && etagOf(person) === etag ? person : undefined
  }

  forget(id: string): void {
    this.#bytes -= this.#persons.get(id)?.bytes ?? 0
    this.#persons.delete(id)
  }

  /** Other fields are read from now on: what is held lacks them. */
  clear(): void {
    this.#persons.clear()
    this.#bytes = 0
  }
}
