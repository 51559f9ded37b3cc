import { Apartness, personSubject, recordSubject } from '../engine/core/apart.ts'
import { consentKeysOf } from '../engine/core/consent.ts'
import { bareLink, keysOfPeople, recordKey } from '../engine/core/erasure.ts'
import { saidBy } from '../engine/core/hear.ts'
import { compareNames, keysOf } from '../engine/core/identity.ts'
import type { JsonObject } from '../engine/core/json.ts'
import { valuesOf, type Person } from '../engine/core/person.ts'
import type { AppRecord } from '../engine/core/ports/connector.ts'
import type { Kept, KeyHolder, Link, Neighbourhood, Store } from '../engine/core/ports/store.ts'
import type { Rules } from '../engine/core/rules.ts'
import { ActRefusedError } from './acts.ts'

/** Somebody with all that there is of them. */
export interface Whole {
  readonly people: readonly Person[]
  /** Their own records among its links. */
  readonly hood: Neighbourhood
  /** Records that wait to be matched, or that an operator is asked about, and carry nothing but theirs. */
  readonly theirs: readonly Link[]
  /** Records that may be theirs, and may be another's: nobody but an operator can tell. */
  readonly undecided: readonly Link[]
  /** What a pause keeps of those that are theirs. */
  readonly kept: readonly Kept[]
  /** Of their keys those that somebody else has too, with a record or without one. */
  readonly shared: ReadonlySet<string>
}

/** How many of those are looked at who have a given address or number, best first. */
const NAMESAKES_MAX = 50

/** Everything there is of a person. @throws ActRefusedError when there is nobody to forget */
export async function gather(store: Store, rules: Rules, personId: string): Promise<Whole> {
  const merged = await store.absorbed([personId])
  const hood = await store.loadPeople([personId, ...merged])
  const people = hood.people.toSorted((a, b) => Number(b.id === personId) - Number(a.id === personId))
  const [person] = people
  if (person?.id !== personId) throw new ActRefusedError('the person is not here any more')
  if (person.state === 'erased') throw new ActRefusedError('the person is being erased already')
  // Half of somebody: what they had is the other's by now, and would stay there.
  if (person.state === 'merged') throw new ActRefusedError('the person was merged into another: forget that one')
  const own = hood.links.filter(({ personId: of }) => of !== null)
  const keys = new Set(keysOfPeople(people, own))
  const heard = await heardInPauses(store, rules, keys)
  const known = new Set(heard.map(({ link }) => recordKey(link)))
  const loose = (await looseRecords(store, keys)).filter((link) => !known.has(recordKey(link)))
  const waiting = [...loose, ...heard.map(({ link }) => link)]
  const isTheirs = await judgeOf(store, rules, people, keys, waiting)
  // What a human has put together is not taken for theirs.
  const kept = heard.filter(({ link, fields, merged: made }) => !made && isTheirs(link, fields))
  const theirs = [...loose.filter((link) => isTheirs(link, link.fields)), ...kept.map(({ link }) => link)]
  const undecided = waiting.filter((link) => !theirs.includes(link))
  return {
    people,
    hood: { ...hood, links: own },
    theirs,
    undecided,
    kept: kept.map((one) => one.kept),
    shared: await sharedKeys(store, people, keys, theirs, undecided),
  }
}

/** Tells whether a record that is nobody's carries nothing but their keys, and no name that is another's. */
async function judgeOf(
  store: Store,
  rules: Rules,
  people: readonly Person[],
  keys: ReadonlySet<string>,
  waiting: readonly Link[],
): Promise<(link: Link, fields: JsonObject) => boolean> {
  const records = waiting.map(({ connection, recordId }) => recordSubject(connection, recordId))
  const apart = new Apartness(await store.apart(records))
  const persons = people.map(({ id }) => personSubject(id))
  return ({ connection, recordId, keys: carried }, fields) => {
    // An operator has said that it is not.
    if (apart.between([recordSubject(connection, recordId)], persons)) return false
    const strong = carried.filter((key) => !key.startsWith('phone:'))
    const decisive = strong.length > 0 ? strong : carried
    const cells = rules.connections.get(connection)?.lens.get(fields)
    const named = cells !== undefined && people.some((one) => compareNames(cells, valuesOf(one)) !== 'unlike')
    return named && decisive.length > 0 && decisive.every((key) => keys.has(key))
  }
}

/** Of their keys, and what else their records carry, those that somebody else has. */
async function sharedKeys(
  store: Store,
  people: readonly Person[],
  keys: ReadonlySet<string>,
  theirs: readonly Link[],
  undecided: readonly Link[],
): Promise<ReadonlySet<string>> {
  const all = new Set([...keys, ...theirs.flatMap((link) => link.keys)])
  const others = othersAmong(people, await store.keyHolders([...all]), theirs)
  return new Set([
    ...others.map(({ key }) => key),
    ...undecided.flatMap((link) => link.keys),
    ...(await keysOfOthers(store, people, all)),
  ])
}

/** A record that was heard in a pause only, and is nobody's. */
interface HeardInPause {
  readonly kept: Kept
  /** Nothing of what it says but its keys. */
  readonly link: Link
  readonly fields: JsonObject
  /** Others were merged into it, in the same pause. */
  readonly merged: boolean
}

/** Records with one of these keys that wait for the end of a pause: nobody has them yet, and the apps have them. */
async function heardInPauses(store: Store, rules: Rules, keys: ReadonlySet<string>): Promise<HeardInPause[]> {
  const found: HeardInPause[] = []
  for (const { name, pause } of await store.connections()) {
    const connection = rules.connections.get(name)
    if (!connection || pause?.since_ms == null) continue
    const news: { kept: Kept; record: AppRecord; held: string[] }[] = []
    const winners = new Set<string>()
    for await (const kept of store.kept(name)) {
      if (kept.end?.kind === 'merged') winners.add(kept.end.into)
      if (!kept.record || kept.end) continue
      const held = keysOf(saidBy(rules, connection, kept.record.fields), rules.catalogue)
      if (held.some((key) => keys.has(key))) news.push({ kept, record: kept.record, held })
    }
    const ids = news.map(({ record }) => record.id)
    const links = new Map((await store.loadRecords(name, ids)).links.map((link) => [recordKey(link), link]))
    for (const { kept, record, held } of news) {
      const before = links.get(recordKey({ connection: name, recordId: record.id }))
      if (before && before.personId !== null) continue
      const link = { ...bareLink(name, record, before), keys: held }
      found.push({ kept, link, fields: record.fields, merged: winners.has(record.id) })
    }
  }
  return found
}

/** Those of the keys that somebody else has, who may have no record just now. */
async function keysOfOthers(store: Store, people: readonly Person[], keys: ReadonlySet<string>): Promise<string[]> {
  const own = new Set(people.map(({ id }) => id))
  const found: string[] = []
  for (const key of keys) {
    const same = await store.searchPeople(key.slice(key.indexOf(':') + 1), NAMESAKES_MAX)
    if (same.some((one) => !own.has(one.id) && presentKeysOf(one).includes(key))) found.push(key)
  }
  return found
}

/** Records that wait to be matched, or that an operator is asked about, and have one of these keys. */
async function looseRecords(store: Store, keys: ReadonlySet<string>): Promise<Link[]> {
  const holders = await store.keyHolders([...keys])
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

/** Whoever else has a record with one of their keys. */
function othersAmong(people: readonly Person[], holders: readonly KeyHolder[], theirs: readonly Link[]): KeyHolder[] {
  const own = new Set(people.map(({ id }) => id))
  const records = new Set(theirs.map(recordKey))
  return holders.filter((holder) =>
    holder.personId === null ? !records.has(recordKey(holder)) : !own.has(holder.personId),
  )
}

/** The addresses and numbers that somebody has now. */
function presentKeysOf(person: Person): string[] {
  const cells = Object.entries(person.cells).filter(([, { value }]) => value !== null)
  return consentKeysOf({ ...person, cells: Object.fromEntries(cells) })
}
