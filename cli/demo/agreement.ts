import { outstanding } from '../../engine/core/plan.ts'
import type { AppRecord, Connector, ReadAnswer, Sighting } from '../../engine/core/ports/connector.ts'
import { valuesOf } from '../../engine/core/person.ts'
import type { Link } from '../../engine/core/ports/store.ts'
import type { Household } from '../../workers/household.ts'
import type { Runtime } from '../../workers/runtime.ts'

/** What one place holds when it is read afresh. */
export interface SideReport {
  readonly connection: string
  /** Records that are kept in agreement with a person. */
  readonly people: number
  /** Records that wait for an operator, and such that cannot be read. */
  readonly undecided: number
  readonly unreadable: number
  /** People with two records here. */
  readonly doubled: number
  /** Records that say something else than their person does. */
  readonly differing: number
}

export interface Agreement {
  readonly sides: readonly SideReport[]
  /** People who have a record everywhere. */
  readonly everywhere: number
  readonly people: number
  readonly agrees: boolean
}

/**
 * Reads every place from the beginning, past all that Kith remembers of it, and compares each record with its person.
 */
export async function compareAll(household: Household, runtime: Runtime, signal: AbortSignal): Promise<Agreement> {
  const links = await collect(runtime.store.links({}))
  const homes = new Map<string, Set<string>>()
  const sides: SideReport[] = []
  for (const { config } of household.connected) {
    const own = links.filter((link) => link.connection === config.name)
    const linked = own.filter((link) => link.state === 'linked')
    const { records, unreadable } = await readAll(runtime, config.name, linked, signal)
    const owners = linked.map((link) => link.personId as string)
    for (const id of owners) homes.set(id, (homes.get(id) ?? new Set()).add(config.name))
    sides.push({
      connection: config.name,
      people: linked.length,
      undecided: own.filter((link) => link.state === 'ambiguous').length,
      unreadable,
      doubled: owners.length - new Set(owners).size,
      differing: await differing(runtime, config.name, linked, records),
    })
  }
  const everywhere = [...homes.values()].filter((places) => places.size === sides.length).length
  const agrees = sides.every((side) => side.doubled === 0 && side.differing === 0)
  return { sides, everywhere, people: homes.size, agrees }
}

async function readAll(
  runtime: Runtime,
  name: string,
  linked: readonly Link[],
  signal: AbortSignal,
): Promise<{ records: Map<string, AppRecord>; unreadable: number }> {
  const connector = runtime.connectors.get(name)
  const records = new Map<string, AppRecord>()
  let unreadable = 0
  if (!connector) return { records, unreadable }
  const take = (sighting: Sighting | ReadAnswer): void => {
    if (sighting.kind === 'record') records.set(sighting.record.id, sighting.record)
    if (sighting.kind === 'broken') unreadable++
  }
  for await (const page of connector.pull(null, signal)) {
    page.sightings.forEach(take)
    const hints = page.sightings.filter((sighting) => sighting.kind === 'hint').map((sighting) => sighting.id)
    ;(await readByIds(connector, hints, signal)).forEach(take)
  }
  // Some listings withhold what is very new.
  const unseen = linked.map((link) => link.recordId).filter((id) => !records.has(id))
  ;(await readByIds(connector, unseen, signal)).forEach(take)
  return { records, unreadable }
}

async function readByIds(connector: Connector, ids: readonly string[], signal: AbortSignal): Promise<ReadAnswer[]> {
  const { readBatch_max } = connector.capabilities
  const answers: ReadAnswer[] = []
  for (let start = 0; start < ids.length; start += readBatch_max) {
    answers.push(...(await connector.read(ids.slice(start, start + readBatch_max), signal)))
  }
  return answers
}

/** As far as the place can say it: what Kith would still want to write there. */
async function differing(
  runtime: Runtime,
  name: string,
  links: readonly Link[],
  records: ReadonlyMap<string, AppRecord>,
): Promise<number> {
  const lens = runtime.rules.connections.get(name)?.lens
  const { people } = await runtime.store.loadPeople(links.map((link) => link.personId as string))
  const byId = new Map(people.map((person) => [person.id, person]))
  return links.filter((link) => {
    const record = records.get(link.recordId)
    const person = byId.get(link.personId as string)
    return (
      !record ||
      !person ||
      !lens ||
      Object.keys(outstanding(lens, valuesOf(person), record.fields, link.rewrites)).length > 0
    )
  }).length
}

export async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = []
  for await (const item of source) items.push(item)
  return items
}
