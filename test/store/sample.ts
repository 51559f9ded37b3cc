import type { Consent, ConsentState } from '../../engine/core/consent.ts'
import type { Person } from '../../engine/core/person.ts'
import type { Commit, Intent, Link, Store, Tally } from '../../engine/core/ports/store.ts'

/** Facts for the store suite: whole ones, of which a test names only what it is about. */

export function person(id: string, more: Partial<Person> = {}): Person {
  const stamp = { at: 1_000, by: 'crm' }
  return {
    id,
    version: 0,
    state: 'live',
    cells: {
      'name.given': { value: 'Ada', stamp, rule: 'first' },
      [`emails:${id}@example.org`]: { value: { value: `${id}@Example.org`, label: 'work' }, stamp, rule: 'latest' },
      note: { value: null, stamp: { at: 1_700_000_000_123, by: 'phones' }, rule: 'edit' },
    },
    ...more,
  }
}

export function link(recordId: string, more: Partial<Link> = {}): Link {
  return {
    connection: 'crm',
    recordId,
    personId: null,
    state: 'staged',
    fields: { first: 'Ada', tags: ['x', 'y'], zip: null },
    rev: 'r1',
    base_ms: { '*': 1_000 },
    rewrites: {},
    keys: [`email:${recordId}@example.org`],
    recheck: false,
    version: 0,
    ...more,
  }
}

/** Makes the connections of the samples such as may be written to: nothing is claimed where no row says so. */
export async function live(store: Store, names: readonly string[] = ['crm', 'phones']): Promise<void> {
  await store.ensureConnections(names.map((name) => ({ name, app: 'memory', mode: 'live' as const })))
}

export function intent(id: string, more: Partial<Intent> = {}): Intent {
  return {
    id,
    connection: 'crm',
    personId: `p-${id}`,
    op: 'update',
    recordId: `r-${id}`,
    rev: 'r1',
    archive: false,
    fields: { first: 'Ada' },
    cells: { 'name.given': { before: null, after: 'Ada', stamp: { at: 1, by: 'phones' }, rule: 'latest' } },
    state: 'pending',
    released: false,
    attempts: 0,
    notBefore_ms: 0,
    planned_ms: 100,
    urgent: false,
    ...more,
  }
}

export function tally(what: string, count: number, at_ms: number, connection = 'crm'): Tally {
  return { connection, what, count, at_ms }
}

export async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const one of stream) all.push(one)
  return all
}

/** Commits what must go through. */
export async function write(store: Store, commit: Commit): Promise<void> {
  const { kind } = await store.commit(commit)
  if (kind !== 'committed') throw new Error(`the commit that prepares the test was ${kind}`)
}

/** Everything that a store says, for "nothing was written". */
export async function everything(store: Store, people: readonly string[]): Promise<unknown> {
  return {
    connections: await store.connections(),
    people: await store.searchPeople('', 1_000),
    hood: await store.loadPeople(people),
    links: await collect(store.links({})),
    intents: await collect(store.intents({})),
    sending: await collect(store.intents({ state: 'sending' })),
    conflicts: await collect(store.conflicts()),
    counts: await store.counts(),
    log: await store.log({ limit: 1_000 }),
    deliveries: await Promise.all(people.map((id) => store.deliveries(id, 100))),
    unplanned: await store.unplanned(1_000),
    round: (await store.staged(0)).round,
    brakes: await store.brakeCounts('crm', 0),
  }
}

export function consent(key: string, state: ConsentState): Consent {
  const event = {
    state,
    stamp: { at: 7, by: 'news' },
    recordId: 'r1',
    optIn_ms: null,
    kind: 'applied' as const,
    heard_ms: 9,
  }
  return { key, state, stamp: event.stamp, optIn_ms: 5, restricted_ms: 7, events: [event], version: 0 }
}
