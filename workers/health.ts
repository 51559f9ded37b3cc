import {
  CAUSES,
  healthOf,
  type CountedCause,
  type Health,
  type HealthState,
  type Place,
} from '../engine/core/health.ts'
import { nameOf, valuesOf, type Person } from '../engine/core/person.ts'
import type { ConnectionState, Link, LinkState, Neighbourhood } from '../engine/core/ports/store.ts'
import type { Rules } from '../engine/core/rules.ts'
import { catalogueOf, rulesFor, rulesOf, type Connected } from './connect.ts'
import type { Household } from './household.ts'

/** People that are looked at together: the memory stays the same however many there are. */
const BATCH = 200

/** How many records of a connection stand how, counted in the database: asks no app and loads nobody. */
export interface HealthCounts {
  readonly connection: string
  /** Excluded are people who have no record there and get none. A record that the rules leave alone counts as in sync. */
  readonly states: { readonly [state in HealthState]: number }
  readonly causes: { readonly [cause in CountedCause]?: number }
}

export async function countHealth({ config, store }: Pick<Household, 'config' | 'store'>): Promise<HealthCounts[]> {
  const counted = await store.healthCounts()
  return config.connections.map(({ name }) => {
    const causes = counted.get(name) ?? {}
    const states: { -readonly [state in HealthState]: number } = {
      'in-sync': 0,
      waiting: 0,
      excluded: 0,
      held: 0,
      parked: 0,
      ambiguous: 0,
      unreadable: 0,
    }
    for (const [cause, count] of Object.entries(causes) as [CountedCause, number][]) {
      states[cause === 'absent' ? 'excluded' : CAUSES[cause]] += count
    }
    return { connection: name, states, causes }
  })
}

/** One record, or the place of a person who has none, and how it stands. */
export interface HealthLine extends Health {
  readonly connection: string
  readonly record: string | null
  readonly person: string | null
  /** What to call the person on a screen; null where nobody is known. */
  readonly name: string | null
}

export interface HealthFilter {
  readonly connection?: string
  /** Ids. */
  readonly people?: readonly string[]
  readonly state?: HealthState
}

/**
 * How every record stands, one by one: people in the order of their ids, then records that belong to nobody yet. Asks no app:
 * what its account holds is known from when it last answered.
 */
export async function* healthLines(household: Household, filter: HealthFilter = {}): AsyncIterable<HealthLine> {
  for await (const { lines } of healthSteps(household, filter, null)) yield* lines
}

/** How far a walk over all records has come: everything up to this person, or this record that is nobody's, is told. */
export type HealthPosition =
  { readonly person: string } | { readonly state: Alone; readonly connection: string; readonly record: string }

/** Somebody's records, or one that is nobody's, as far as they are wanted: there may be none. */
export interface HealthStep {
  readonly lines: readonly HealthLine[]
  readonly at: HealthPosition
}

/** The walk of {@link healthLines}, step by step, from wherever an earlier one with the same filter has come to. */
export async function* healthSteps(
  household: Household,
  filter: HealthFilter,
  from: HealthPosition | null,
): AsyncIterable<HealthStep> {
  const rules = await rememberedRules(household)
  const states = new Map((await household.store.connections()).map((state) => [state.name, state]))
  const names = household.config.connections
    .map(({ name }) => name)
    .filter((name) => filter.connection === undefined || filter.connection === name)
  const at = { rules, states, names }
  const wanted = ({ state }: Health): boolean => filter.state === undefined || filter.state === state
  if (from === null || 'person' in from) {
    for await (const { ids, hood } of peoplePages(household, filter.people, from?.person)) {
      const people = new Map(hood.people.map((person) => [person.id, person]))
      for (const [id, unplanned] of ids) {
        const person = people.get(id)
        yield { lines: person ? linesOf(at, person, hood, unplanned).filter(wanted) : [], at: { person: id } }
      }
    }
  }
  if (filter.people !== undefined) return
  for await (const link of linksAlone(household, names, from !== null && 'state' in from ? from : null)) {
    const line = lineOf(at, link.connection, { link, person: null, unplanned: false }, EMPTY)
    const { connection, recordId: record } = link
    yield { lines: wanted(line) ? [line] : [], at: { state: link.state as Alone, connection, record } }
  }
}

/** Records that are nobody's, or of somebody who was merged away. */
const ALONE = ['staged', 'ambiguous', 'second', 'unreadable', 'erased'] as const satisfies readonly LinkState[]

type Alone = (typeof ALONE)[number]

const EMPTY: Neighbourhood = { people: [], links: [], intents: [], conflicts: [], suspected: new Map() }

/** Those that are nobody's, by state, connection and id. */
async function* linksAlone(
  { store }: Household,
  names: readonly string[],
  from: Extract<HealthPosition, { state: Alone }> | null,
): AsyncIterable<Link> {
  for (const state of ALONE.slice(from === null ? 0 : ALONE.indexOf(from.state))) {
    const begun = from?.state === state ? from : null
    for (const connection of names.slice(begun === null ? 0 : Math.max(0, names.indexOf(begun.connection)))) {
      const after = begun?.connection === connection ? { connection, recordId: begun.record } : undefined
      yield* store.links({ connection, state, ...(after ? { after } : {}) })
    }
  }
}

/**
 * Live people page by page (or the given ones), with whether they are to be planned and all that is known of them.
 * @param begin only those after this id
 */
export async function* peoplePages(
  { store }: Pick<Household, 'store'>,
  people?: readonly string[],
  begin = '',
): AsyncIterable<{ ids: readonly (readonly [string, boolean])[]; hood: Neighbourhood }> {
  if (people !== undefined) {
    const known = new Map((await store.livePeople({ ids: people, limit: people.length })).map((one) => [one.id, one]))
    const ids = people.map((id) => [id, known.get(id)?.unplanned ?? false] as const)
    yield { ids, hood: await store.loadPeople(people) }
    return
  }
  for (let after: string | undefined = begin; after !== undefined;) {
    const page: { id: string; unplanned: boolean }[] = await store.livePeople({ after, limit: BATCH })
    const ids = page.map(({ id, unplanned }) => [id, unplanned] as const)
    yield { ids, hood: await store.loadPeople(page.map(({ id }) => id)) }
    after = page.length < BATCH ? undefined : page.at(-1)?.id
  }
}

interface At {
  readonly rules: Rules
  readonly states: ReadonlyMap<string, ConnectionState>
  readonly names: readonly string[]
}

function linesOf(at: At, person: Person, hood: Neighbourhood, unplanned: boolean): HealthLine[] {
  return at.names.flatMap((name) => {
    const own = hood.links.filter((link) => link.personId === person.id && link.connection === name)
    const there = own.filter(({ state }) => state !== 'gone')
    // Whoever is gone everywhere has no place anywhere.
    const places = there.length > 0 ? there : person.state === 'live' ? [own[0] ?? null] : []
    return places.map((link) => lineOf(at, name, { link, person, unplanned }, hood))
  })
}

function lineOf(
  { rules, states }: At,
  name: string,
  what: Pick<Place, 'link' | 'person' | 'unplanned'>,
  hood: Neighbourhood,
): HealthLine {
  const { link, person } = what
  const state = states.get(name)
  const intents = hood.intents.filter((intent) => intent.personId === person?.id && intent.connection === name)
  const place: Place = {
    ...what,
    connection: {
      name,
      mode: state?.mode ?? 'live',
      paused: (state?.pause ?? null) !== null,
      failure: state?.failure ?? null,
      rules: rules.connections.get(name) ?? null,
    },
    intent: intents.find((intent) => intent.state !== 'sending') ?? null,
    sending: intents.some((intent) => intent.state === 'sending'),
    conflicts: hood.conflicts.filter(
      (conflict) => conflict.open && conflict.personId === person?.id && conflict.connection === name,
    ),
    suspected: person !== null && (hood.suspected.get(person.id)?.has(name) ?? false),
  }
  const record = link === null || link.state === 'gone' ? null : link.recordId
  const known = person && { person: person.id, name: nameOf(valuesOf(person), person.id) }
  return { connection: name, record, person: null, name: null, ...known, ...healthOf(place, rules) }
}

/** The rules as they are with the fields that each account had when it last answered. Asks no app. */
export async function rememberedRules(household: Household): Promise<Rules> {
  const { config } = household
  const catalogue = catalogueOf(config)
  const connected: Connected[] = []
  for (const item of config.connections) {
    const fields = await household.remembered(item.name)
    if (!fields) continue
    const { app, context } = household.appOf(item)
    const connector = app.connect(item.options, context)
    const made = rulesFor(item, connector, catalogue, fields)
    await connector.close()
    connected.push({ config: item, connector, report: null, failure: null, ...made })
  }
  return rulesOf(config, catalogue, connected)
}
