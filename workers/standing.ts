import type { Neighbourhood, Store } from '../engine/core/ports/store.ts'

/**
 * A neighbourhood together with those who stand for its merged people: into whom they were merged, and whose second records they
 * hold. Everybody else costs nothing.
 */
export async function withStanding(store: Store, hood: Neighbourhood): Promise<Neighbourhood> {
  for (let all = hood; ;) {
    const known = new Set(all.people.map((person) => person.id))
    const named = [
      ...all.people.flatMap((person) => person.mergedInto ?? []),
      ...all.links.flatMap((link) => (link.state === 'second' ? (link.candidates ?? []) : [])),
    ]
    const missing = [...new Set(named)].filter((id) => !known.has(id))
    const more = missing.length > 0 ? await store.loadPeople(missing) : NOTHING
    // Nobody new: whoever is named and not there is nobody.
    if (more.people.length === 0) return all
    all = together(all, more)
  }
}

const NOTHING: Neighbourhood = { people: [], links: [], intents: [], conflicts: [], suspected: new Map() }

/** Two neighbourhoods as one; of what is in both, the first's. */
export function together(one: Neighbourhood, other: Neighbourhood): Neighbourhood {
  const unseen = <Item>(ours: readonly Item[], theirs: readonly Item[], key: (item: Item) => string): Item[] => {
    const seen = new Set(ours.map(key))
    return [...ours, ...theirs.filter((item) => !seen.has(key(item)))]
  }
  return {
    people: unseen(one.people, other.people, (person) => person.id),
    links: unseen(one.links, other.links, (link) => JSON.stringify([link.connection, link.recordId])),
    intents: unseen(one.intents, other.intents, (intent) => intent.id),
    conflicts: unseen(one.conflicts, other.conflicts, (item) =>
      JSON.stringify([item.personId, item.connection, item.cell]),
    ),
    suspected: new Map([...other.suspected, ...one.suspected]),
  }
}
