import type { Person } from '../engine/core/person.ts'
import type { Store } from '../engine/core/ports/store.ts'

/** How often people are followed to those they were merged into: a longer chain has no end. */
const MERGES_MAX = 100

/** A person, and the connections that have a record of them. */
export interface ListedPerson {
  readonly person: Person
  readonly connections: readonly string[]
}

/** Whoever a text fits, best first; everybody for the empty one. */
export async function listPeople(
  store: Store,
  query: string,
  limit: number,
): Promise<{ readonly people: readonly ListedPerson[]; readonly more: boolean }> {
  // One more than is shown tells whether there are more.
  const found = await store.searchPeople(query, limit + 1)
  const shown = found.slice(0, limit)
  const { links } = shown.length > 0 ? await store.loadPeople(shown.map(({ id }) => id)) : { links: [] }
  const linked = Map.groupBy(
    links.filter(({ state }) => state === 'linked'),
    ({ personId }) => personId,
  )
  const people = shown.map((person) => {
    return { person, connections: (linked.get(person.id) ?? []).map(({ connection }) => connection).sort() }
  })
  return { people, more: found.length > limit }
}

/** The person of that id; one who was merged into another is that other. null: there is nobody. */
export async function personById(store: Store, id: string): Promise<Person | null> {
  for (let [wanted, turn] = [id, 0]; turn < MERGES_MAX; turn++) {
    const { people } = await store.loadPeople([wanted])
    const person = people.find((one) => one.id === wanted)
    if (!person || person.state !== 'merged' || person.mergedInto === undefined) return person ?? null
    wanted = person.mergedInto
  }
  return null
}
