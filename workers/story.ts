import { fieldOf, type CellKey } from '../engine/core/catalogue.ts'
import type { Config } from '../config/types.ts'
import type { Cell, Person } from '../engine/core/person.ts'
import type { Intent, Link, LogEntry, Store } from '../engine/core/ports/store.ts'
import { faultOf } from '../engine/core/standard.ts'
import { catalogueOf, standardOf } from './connect.ts'
import { healthLines, type HealthLine } from './health.ts'
import type { Household } from './household.ts'

/** How far back losers and writes are told. */
const LOG_MAX = 500
const DELIVERIES_MAX = 50

/** All that is known about one person, or about one field of theirs. */
export interface Story {
  readonly person: Person
  readonly cells: readonly (readonly [CellKey, Cell])[]
  /** Newest first; without what simply stands. */
  readonly losers: readonly LogEntry[]
  readonly links: readonly Link[]
  /** How each record stands, and each place without one. */
  readonly health: readonly HealthLine[]
  /** What the standard of today asks of what was said, for an entry that it repaired or held. */
  readonly asked: (entry: LogEntry) => readonly string[]
  readonly open: readonly Intent[]
  readonly sent: Awaited<ReturnType<Store['deliveries']>>
}

/** The fields that a story can be told of; `name` stands for all of its parts. */
export function storyFields(config: Config): { readonly known: readonly string[]; has(field: string): boolean } {
  const known = [...catalogueOf(config).fields].map(({ name }) => name)
  return { known, has: (field) => field === 'name' || known.includes(field) }
}

/**
 * Tells a person's story from the store. Asks no app.
 * @param field only what is about this one; see {@link storyFields}
 */
export async function storyOf(household: Household, found: Person, field?: string): Promise<Story> {
  const { store, config } = household
  // The catalogue's order is the one in which people read them.
  const order = storyFields(config).known
  const concerns = (cell: CellKey): boolean => {
    const name = fieldOf(cell)
    return field === undefined || name === field || (field === 'name' && name.startsWith('name.'))
  }
  const hood = await store.loadPeople([found.id])
  const person = hood.people.find(({ id }) => id === found.id) ?? found
  const log = await store.log({ personId: found.id, limit: LOG_MAX })
  const sent = await store.deliveries(found.id, DELIVERIES_MAX)
  const touches = (intent: Intent): boolean =>
    field === undefined || intent.op === 'delete' || intent.op === 'merge' || Object.keys(intent.cells).some(concerns)
  return {
    person,
    cells: Object.entries(person.cells)
      .filter(([cell, { value }]) => value !== null && concerns(cell))
      .sort(([a], [b]) => order.indexOf(fieldOf(a)) - order.indexOf(fieldOf(b)) || (a < b ? -1 : 1)),
    losers: log.filter((entry) => entry.kind !== 'applied' && concerns(entry.cell)),
    links: hood.links.filter((link) => link.personId === found.id),
    health: await healthOfOne(household, found.id),
    asked: askedBy(household),
    open: hood.intents.filter((intent) => intent.personId === found.id && touches(intent)),
    sent: sent.filter(touches),
  }
}

function askedBy({ config }: Household): Story['asked'] {
  const { standard } = standardOf(config)
  return ({ kind, rule, stamp, before, after, cell }) => {
    if (!standard || rule !== 'standard') return []
    const said = kind === 'repaired' ? before : after
    return standard
      .door(stamp.by)
      .unmet(cell, said)
      .map((one) => `${one.id}: it ${faultOf(one)}`)
  }
}

async function healthOfOne(household: Household, person: string): Promise<HealthLine[]> {
  const lines: HealthLine[] = []
  for await (const line of healthLines(household, { people: [person] })) lines.push(line)
  return lines
}
