import type { Act } from '../engine/core/act.ts'
import { fieldOf, isElement } from '../engine/core/catalogue.ts'
import {
  barredKeys,
  beginErasure,
  carry,
  excluder,
  keysOfPeople,
  recordKey,
  type Certificate,
  type Erasure,
  type Waiver,
} from '../engine/core/erasure.ts'
import { nameOf, valuesOf, type Person } from '../engine/core/person.ts'
import type { Holdings, Link, Neighbourhood, Store } from '../engine/core/ports/store.ts'
import type { Rules } from '../engine/core/rules.ts'
import { ActRefusedError, perform, record } from './acts.ts'
import { keepCopy } from './certificates.ts'
import { gather, type Whole } from './gather.ts'
import type { Runtime } from './runtime.ts'
import { Seen } from './seen.ts'

/** Who erases somebody, and on what ground. */
export type ForgetWish = Pick<Act, 'by' | 'why'>

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
  /** A digest of who and what is to go: {@link forget} refuses where that is something else by then. */
  readonly seen: string
}

/** What forgetting somebody would do. Changes nothing. @throws ActRefusedError when there is nobody to forget */
export async function previewForget(runtime: Runtime, personId: string): Promise<ForgetPreview> {
  const { store, rules } = runtime
  const whole = await gather(store, rules, personId)
  const person = whole.people[0] as Person
  const ids = whole.people.map(({ id }) => id)
  const keys = keysOfPeople(whole.people, whole.hood.links)
  return {
    person: { id: person.id, name: nameOf(valuesOf(person), person.id) },
    merged: ids.length - 1,
    records: [...whole.hood.links, ...whole.theirs].flatMap((link) => doomed(rules, link) ?? []),
    undecided: whole.undecided.map(({ connection, recordId }) => ({ connection, recordId })),
    held: await store.holdings(ids),
    barred: keys.length,
    shared: keys.filter((key) => whole.shared.has(key)).length,
    consents: (await store.consents(keys)).length,
    seen: await digestOf(runtime, whole),
  }
}

/** Of the people, of what becomes of which record, and of the keys that are barred; not of how much is known of them. */
async function digestOf({ store, rules }: Pick<Runtime, 'store' | 'rules'>, whole: Whole): Promise<string> {
  const links = whole.hood.links
  const records = [...links, ...whole.theirs].flatMap((link) => {
    const { connection, recordId, how } = doomed(rules, link) ?? {}
    return connection === undefined ? [] : [[connection, recordId, how].join('\n')]
  })
  const seen = new Seen()
  seen.add(whole.people.map(({ id }) => id).sort())
  seen.add(records.sort())
  seen.add(whole.undecided.map(recordKey).sort())
  seen.add((await store.fingerprints(keysOfPeople(whole.people, links))).sort())
  return seen.end()
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
 * @param wish with `seen`: what the preview showed
 * @throws ActRefusedError when there is nobody to forget, or not as it was shown
 */
export async function forget(
  runtime: Runtime,
  personId: string,
  { by, why, seen }: ForgetWish & { readonly seen?: string },
): Promise<Erasure> {
  const { store, rules } = runtime
  const id = runtime.newId()
  let whole: Whole | undefined
  let asSeen = true
  let people: readonly string[] = []
  const load = async (): Promise<Neighbourhood> => {
    whole = await gather(store, rules, personId)
    asSeen = seen === undefined || seen === (await digestOf(runtime, whole))
    return { ...whole.hood, links: [...whole.hood.links, ...whole.theirs] }
  }
  const begun = (act: Act): Erasure => ({ id, opened_ms: act.at_ms, by, why, people, state: 'open', waived: {} })
  const { act } = await perform(
    runtime,
    { by, why, kind: 'forget', about: { erasure: id } },
    load,
    (ws) => {
      if (!asSeen) return 'there is more of the person, or less, than what was shown'
      const { people: all, theirs } = whole as Whole
      people = [...beginErasure(ws, all, runtime.newId), ...theirs.map((link) => carry(ws, link, runtime.newId()))]
      return null
    },
    [],
    {
      facts: (at) => {
        const all = whole as Whole
        const keys = barredKeys(all.people, [...all.hood.links, ...all.theirs], all.shared)
        const unkeep = all.kept.map(({ connection, recordId, mark }) => ({ connection, recordId, mark }))
        return { erasure: { erasure: begun(at), keys }, ...(unkeep.length > 0 ? { unkeep } : {}) }
      },
    },
  )
  await runtime.queue.wakeSettle()
  return begun(act)
}

/**
 * Deletes records that somebody has made anew of a person who was erased: those that an erasure excludes.
 * @param wish with `seen`: how many records were shown
 * @throws ActRefusedError when there are none
 */
export async function forgetAgain(
  runtime: Runtime,
  erasure: Erasure,
  { by, why, seen }: ForgetWish & { readonly seen?: number },
): Promise<Erasure> {
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
      if (seen !== undefined && links.length !== seen) return `${links.length} records are there by now, not ${seen}`
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
  const { certificate } = erasure
  if (certificate) await keepCopy(runtime, { ...certificate, lifted: new Date(runtime.now()).toISOString() })
  await runtime.queue.wakeSettle()
}

/** The one erasure of that id. @throws ActRefusedError where there is none */
export async function erasureById(store: Store, id: string): Promise<Erasure> {
  const [erasure] = await store.erasures({ id, limit: 1 })
  if (!erasure) throw new ActRefusedError(`there is no erasure ${id}`)
  return erasure
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
