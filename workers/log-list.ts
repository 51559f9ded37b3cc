import type { LogEntry, Store } from '../engine/core/ports/store.ts'
import { personName } from './words.ts'

/** Which entries of the change log; each part only where it is named. */
export interface LogWish {
  readonly personId?: string
  /** Whose word it was. */
  readonly connection?: string
  readonly since_ms?: number
  /** Only older entries than this one. */
  readonly beforeId?: number
}

export interface NamedEntry {
  readonly entry: LogEntry
  /** What to call the person. */
  readonly name: string
}

/** The change log, newest first, with the names of the people. */
export async function listLog(
  store: Store,
  wish: LogWish,
  limit: number,
): Promise<{ readonly entries: readonly NamedEntry[]; readonly more: boolean }> {
  const found = await store.log({ ...wish, limit: limit + 1 })
  const shown = found.slice(0, limit)
  const ids = [...new Set(shown.map(({ personId }) => personId))]
  const { people } = ids.length > 0 ? await store.loadPeople(ids) : { people: [] }
  const known = new Map(people.map((person) => [person.id, person]))
  const entries = shown.map((entry) => ({ entry, name: personName(known.get(entry.personId), entry.personId) }))
  return { entries, more: found.length > limit }
}
