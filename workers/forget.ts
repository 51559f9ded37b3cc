import type { Act } from '../engine/core/act.ts'
import { fieldOf, isElement } from '../engine/core/catalogue.ts'
import {
  barredKeys,
  beginErasure,
  carry,
  excluder,
  keysOfPeople,
  type Certificate,
  type Erasure,
  type Waiver,
} from '../engine/core/erasure.ts'
import { compareNames } from '../engine/core/identity.ts'
import { nameOf, valuesOf, type Person } from '../engine/core/person.ts'
import type { Holdings, KeyHolder, Link, Neighbourhood, Store } from '../engine/core/ports/store.ts'
import type { Rules } from '../engine/core/rules.ts'
import { ActRefusedError, perform, record } from './acts.ts'
import type { Runtime } from './runtime.ts'

/** Who erases somebody, and on what ground. */
export type ForgetWish = Pick<Act, 'by' | 'why'>

/** Somebody with all that there is of them. */
interface Whole {
  readonly people: readonly Person[]
  readonly hood: Neighbourhood
  readonly holders: readonly KeyHolder[]
  /** Records that wait to be matched, or that an operator is asked about, and carry nothing but theirs. */
  readonly theirs: readonly Link[]
  /** Records that may be theirs, and may be another's: nobody but an operator can tell. */
  readonly undecided: readonly Link[]
}

/** One record that is to go. */
export interface DoomedRecord {
  readonly connection: string
  readonly recordId: string
  /**
   * `erase`: for good, by the app's own call. `delete`: as records are deleted there. `bin`: it was deleted before, and goes from
   * the app's bin too. `by hand`: Kith cannot delete there, or may not.
   */
  readonly how: 'erase' | 'delete' | 'bin' | 'by hand'
}

export interface ForgetPreview {
  readonly person: { readonly id: string; readonly name: string }
  /** How many people were merged into them, who go too. */
  readonly merged: number
  readonly records: readonly DoomedRecord[]
  readonly undecided: readonly Pick<Link, 'connection' | 'recordId'>[]
  readonly held: Holdings
  /** Addresses, numbers and external ids that are barred from now on. */
  readonly barred: number
  /** Those of them that others have too: they are barred together with the name only. */
  readonly shared: number
  /** Of how many of them the consent ledger knows something. */
  readonly consents: number
}

/** What forgetting somebody would do. Changes nothing. @throws ActRefusedError when there is nobody to forget */
export async function previewForget(runtime: Runtime, personId: string): Promise<ForgetPreview> {
  const { store, rules } = runtime
  const whole = await gather(store, rules, personId)
  const person = whole.people[0] as Person
  const ids = whole.people.map(({ id }) => id)
  const keys = keysOfPeople(whole.people, linksOf(whole))
  const shared = new Set(others(whole).map(({ key }) => key))
  return {
    person: { id: person.id, name: nameOf(valuesOf(person), person.id) },
    merged: ids.length - 1,
    records: [...linksOf(whole), ...whole.theirs].flatMap((link) => doomed(rules, link) ?? []),
    undecided: whole.undecided.map(({ connection, recordId }) => ({ connection, recordId })),
    held: await store.holdings(ids),
    barred: keys.length,
    shared: keys.filter((key) => shared.has(key)).length,
    consents: (await store.consents(keys)).length,
  }
}

function doomed(rules: Rules, { connection, recordId, state }: Link): DoomedRecord | null {
  const to = rules.connections.get(connection)
  if (state === 'gone') return to?.canErase && to.direction !== 'in' ? { connection, recordId, how: 'bin' } : null
  const able = to !== undefined && to.canDelete && to.direction !== 'in'
  return { connection, recordId, how: !able ? 'by hand' : to.canErase ? 'erase' : 'delete' }
}

/**
 * Begins to forget somebody: from this moment they are barred, and what every app has of them is to be deleted. Goes on by itself
 * until all have answered; see {@link tendErasures}.
 * @throws ActRefusedError when there is nobody to forget
 */
export async function forget(runtime: Runtime, personId: string, { by, why }: ForgetWish): Promise<Erasure> {
  const { store, rules } = runtime
  const id = runtime.newId()
  let whole: Whole | undefined
  let people: readonly string[] = []
  const load = async (): Promise<Neighbourhood> => {
    whole = await gather(store, rules, personId)
    return { ...whole.hood, links: [...whole.hood.links, ...whole.theirs] }
  }
  const begun = (act: Act): Erasure => ({ id, opened_ms: act.at_ms, by, why, people, state: 'open', waived: {} })
  const { act } = await perform(
    runtime,
    { by, why, kind: 'forget', about: { erasure: id } },
    load,
    (ws) => {
      const { people: all, theirs } = whole as Whole
      people = [...beginErasure(ws, all, runtime.newId), ...theirs.map((link) => carry(ws, link, runtime.newId()))]
      return null
    },
    [],
    {
      facts: (at) => {
        const all = whole as Whole
        const keys = barredKeys(all.people, [...linksOf(all), ...all.theirs], others(all))
        return { erasure: { erasure: begun(at), keys } }
      },
    },
  )
  await runtime.queue.wakeSettle()
  return begun(act)
}

/**
 * Deletes records that somebody has made anew of a person who was erased: those that an erasure excludes.
 * @throws ActRefusedError when there are none
 */
export async function forgetAgain(runtime: Runtime, erasure: Erasure, { by, why }: ForgetWish): Promise<Erasure> {
  const { store } = runtime
  if (erasure.state === 'lifted') throw new ActRefusedError('the erasure was lifted: they are records like any')
  const id = runtime.newId()
  let people: readonly string[] = []
  const begun = (act: Act): Erasure => {
    return { id, opened_ms: act.at_ms, by, why, people, state: 'open', of: erasure.id, waived: {} }
  }
  let links: readonly Link[] = []
  const { act } = await perform(
    runtime,
    { by, why, kind: 'forget', about: { erasure: id, of: erasure.id } },
    async () => {
      links = await excludedBy(store, erasure.id)
      return { people: [], links, intents: [], conflicts: [], suspected: new Map() }
    },
    (ws) => {
      people = links.map((link) => carry(ws, link, runtime.newId()))
      return links.length === 0 ? 'nobody has added the person again' : null
    },
    [],
    { facts: (at) => ({ erasure: { erasure: begun(at), keys: [] } }) },
  )
  await runtime.queue.wakeSettle()
  return begun(act)
}

/** The records that an erasure keeps out: somebody has added the person again. */
export async function excludedBy(store: Store, erasure: string): Promise<Link[]> {
  const found: Link[] = []
  for await (const link of store.links({ state: 'erased' })) if (excluder(link) === erasure) found.push(link)
  return found
}

/**
 * A connection of an open erasure is not waited for any more: an operator has deleted the record by hand, or it cannot be had.
 * @throws ActRefusedError where nothing waits for it
 */
export async function waive(
  runtime: Runtime,
  erasure: Erasure,
  connection: string,
  { by, why }: ForgetWish,
): Promise<void> {
  const waiver: Waiver = { at_ms: runtime.now(), by, why }
  if (!(await runtime.store.waive(erasure.id, connection, waiver))) {
    throw new ActRefusedError('every app has answered already')
  }
  await record(runtime, { by, why, kind: 'forget', about: { erasure: erasure.id, waived: connection } })
  await runtime.queue.wakeSettle()
}

/**
 * The bar was a mistake: whoever it kept out is like anybody again, from the next reading on. Nothing comes back by that.
 * @throws ActRefusedError where the erasure is not done
 */
export async function lift(runtime: Runtime, erasure: Erasure, { by, why }: ForgetWish): Promise<void> {
  if (erasure.state === 'lifted') throw new ActRefusedError('it was lifted before')
  if (!(await runtime.store.liftErasure(erasure.id, { at_ms: runtime.now(), by, why }))) {
    throw new ActRefusedError('it is not done yet: apps are deleting the person just now, and that cannot be undone')
  }
  await record(runtime, { by, why, kind: 'forget', about: { erasure: erasure.id, lifted: true } })
  await runtime.queue.wakeSettle()
}

/** The one erasure of that id. @throws ActRefusedError where there is none */
export async function erasureById(store: Store, id: string): Promise<Erasure> {
  const [erasure] = await store.erasures({ id, limit: 1 })
  if (!erasure) throw new ActRefusedError(`there is no erasure ${id}`)
  return erasure
}

/** Everything there is of a person. @throws ActRefusedError when there is nobody */
async function gather(store: Store, rules: Rules, personId: string): Promise<Whole> {
  const merged = await store.absorbed([personId])
  const hood = await store.loadPeople([personId, ...merged])
  const people = hood.people.toSorted((a, b) => Number(b.id === personId) - Number(a.id === personId))
  const [person] = people
  if (person?.id !== personId) throw new ActRefusedError('the person is not here any more')
  if (person.state === 'erased') throw new ActRefusedError('the person is being erased already')
  const own = hood.links.filter(({ personId: of }) => of !== null)
  const holders = await store.keyHolders(keysOfPeople(people, own))
  const loose = await looseRecords(store, holders)
  const keys = new Set(keysOfPeople(people, own))
  const isTheirs = (link: Link): boolean => {
    const strong = link.keys.filter((key) => !key.startsWith('phone:'))
    const decisive = strong.length > 0 ? strong : link.keys
    const cells = rules.connections.get(link.connection)?.lens.get(link.fields)
    const named = cells !== undefined && people.some((one) => compareNames(cells, valuesOf(one)) !== 'unlike')
    return named && decisive.length > 0 && decisive.every((key) => keys.has(key))
  }
  return {
    people,
    hood: { ...hood, links: own },
    holders,
    theirs: loose.filter(isTheirs),
    undecided: loose.filter((link) => !isTheirs(link)),
  }
}

async function looseRecords(store: Store, holders: readonly KeyHolder[]): Promise<Link[]> {
  const waiting = holders.filter(({ personId, state }) => personId === null && state !== 'erased')
  const found = new Map<string, Link>()
  for (const [connection, some] of Map.groupBy(waiting, (holder) => holder.connection)) {
    const hood = await store.loadRecords(
      connection,
      some.map(({ recordId }) => recordId),
    )
    for (const link of hood.links) {
      if (link.personId === null) found.set(`${link.connection}\n${link.recordId}`, link)
    }
  }
  return [...found.values()]
}

function linksOf(whole: Whole): readonly Link[] {
  return whole.hood.links
}

/** Whoever else has one of their keys. */
function others({ people, holders, theirs }: Whole): KeyHolder[] {
  const own = new Set(people.map(({ id }) => id))
  const records = new Set(theirs.map(({ connection, recordId }) => `${connection}\n${recordId}`))
  return holders.filter(
    ({ personId, connection, recordId }) =>
      !(personId === null ? records.has(`${connection}\n${recordId}`) : own.has(personId)),
  )
}

/** What an operator may have written of people, in lower case: what is looked for in the reasons of acts. */
export function textsOf(people: readonly Person[]): string[] {
  const texts = people.flatMap((person) => {
    const values = valuesOf(person)
    const name = nameOf(values, '')
    const parts = ['name.given', 'name.middle', 'name.family'].flatMap((cell) => values[cell] ?? [])
    const told = Object.entries(person.cells).flatMap(([cell, { value }]) => {
      const field = fieldOf(cell)
      if (field === 'externalId') return typeof value === 'string' ? [value] : []
      if (field !== 'emails' && field !== 'phones') return []
      return [cell.slice(field.length + 1), ...(isElement(value) ? [String(value.value)] : [])]
    })
    const family = values['name.family']
    return [name, parts.join(' '), ...(typeof family === 'string' ? [family] : []), ...told]
  })
  // Shorter ones are in half of all sentences.
  return [...new Set(texts.map((text) => text.trim().toLowerCase()))].filter((text) => text.length >= 5)
}

export type { Certificate, Erasure }
