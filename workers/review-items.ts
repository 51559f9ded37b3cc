import { createHash } from 'node:crypto'
import { Apartness, personSubject, recordSubject } from '../engine/core/apart.ts'
import { fieldOf, type CellKey, type Cells } from '../engine/core/catalogue.ts'
import { likeness, PROBABLE, type Evidence } from '../engine/core/duplicates.ts'
import { areApart, keysOf } from '../engine/core/identity.ts'
import type { Json } from '../engine/core/json.ts'
import { DUPLICATE, SECOND_RECORD, standing } from '../engine/core/people.ts'
import { nameOf, valuesOf, type Person } from '../engine/core/person.ts'
import type { Conflict, Intent, Link, LikelyPair, Store } from '../engine/core/ports/store.ts'
import type { Rules } from '../engine/core/rules.ts'
import { faultOf, STANDARD_HOLD } from '../engine/core/standard.ts'
import { Workspace } from '../engine/core/workspace.ts'
import { brakeHolds, isBrake } from './approve.ts'
import { withStanding } from './standing.ts'
import { batches } from './batches.ts'

/**
 * - `conflict`   two apps say different things about a field, and its policy is `manual`
 * - `match`      a record that may be one of several people
 * - `second`     a second record of a person in one connection
 * - `duplicate`  two people who are probably one
 * - `ending`     a second record that is to be merged or deleted in its app, which cannot be undone
 * - `delete`     a delete that a brake holds
 * - `deletions`  deletions heard from a connection and not believed
 * - `flip`       a field that goes back and forth between two values
 * - `incomplete` somebody new who lacks what the data standard requires
 */
export type ReviewKind =
  'conflict' | 'match' | 'second' | 'duplicate' | 'ending' | 'delete' | 'deletions' | 'flip' | 'incomplete'

export const REVIEW_KINDS: readonly ReviewKind[] = [
  'conflict',
  'match',
  'second',
  'duplicate',
  'ending',
  'delete',
  'deletions',
  'flip',
  'incomplete',
]

export interface ReviewPerson {
  readonly id: string
  readonly name: string
  /** 0 to 100, where the item is about who is who. */
  readonly score?: number
  readonly evidence?: readonly Evidence[]
}

/** One thing that waits for an operator. */
export interface ReviewItem {
  /** The same for the same question, however often it is asked. */
  readonly id: string
  readonly kind: ReviewKind
  /** One sentence: why it waits. */
  readonly cause: string
  /** What can be chosen; see {@link decideItem} of review.ts. */
  readonly choices: readonly string[]
  /** Items with the same text are alike: one decision fits all. */
  readonly like: string
  readonly connection?: string
  readonly recordId?: string
  /** The name that the record gives itself. */
  readonly recordName?: string
  /** Whom it is about: candidates, the two duplicates, the one person. */
  readonly people: readonly ReviewPerson[]
  readonly cell?: CellKey
  /** The two values, for `conflict` and `flip`. */
  readonly ours?: Json
  readonly theirs?: Json
  /** Who said the value that stands. */
  readonly oursBy?: string
  readonly intent?: Intent
  readonly count?: number
}

export interface ReviewFilter {
  readonly kind?: ReviewKind
  readonly connection?: string
}

/** What the work list is made from. */
export interface Inspection {
  readonly store: Store
  readonly rules: Rules
}

/** How many probable pairs are weighed, and how large a block of likely people may be: the work stays bounded. */
const PAIRS_MAX = 2000
const BLOCK_MAX = 12
const BATCH = 200

/** Everything that waits for an operator, kind by kind; within a kind in a stable order. */
export async function* reviewItems(at: Inspection, filter: ReviewFilter = {}): AsyncIterable<ReviewItem> {
  const wants = (...kinds: ReviewKind[]): boolean => filter.kind === undefined || kinds.includes(filter.kind)
  const fits = (item: ReviewItem): boolean =>
    wants(item.kind) && (filter.connection === undefined || item.connection === filter.connection)
  const sources: (() => AsyncIterable<ReviewItem>)[] = [
    ...(wants('conflict') ? [() => conflictItems(at)] : []),
    ...(wants('match', 'second') ? [() => recordItems(at, filter.connection)] : []),
    ...(wants('ending', 'delete', 'flip', 'incomplete') ? [() => heldItems(at, filter.connection)] : []),
    ...(wants('deletions') ? [() => deletionItems(at)] : []),
    ...(wants('duplicate') && filter.connection === undefined ? [() => duplicateItems(at)] : []),
  ]
  for (const source of sources) for await (const item of source()) if (fits(item)) yield item
}

/** The one item with this id, or whose id begins so. @returns several where the beginning fits several */
export async function findItems(at: Inspection, id: string, filter: ReviewFilter = {}): Promise<ReviewItem[]> {
  const found: ReviewItem[] = []
  for await (const item of reviewItems(at, filter)) {
    if (item.id === id) return [item]
    if (item.id.startsWith(id)) found.push(item)
  }
  return found
}

async function* conflictItems({ store, rules }: Inspection): AsyncIterable<ReviewItem> {
  for await (const conflicts of batches<Conflict>(store.conflicts(), BATCH)) {
    const people = await peopleOf(
      store,
      conflicts.map((conflict) => conflict.personId),
    )
    for (const { personId, cell, connection, recordId, theirs } of conflicts) {
      const person = people.get(personId)
      const field = fieldOf(cell)
      const current = person?.cells[cell]
      const held = rules.standard?.door(connection).holds(cell, theirs)
      yield {
        id: idOf('conflict', personId, cell, connection),
        kind: 'conflict',
        cause: held
          ? `what ${connection} says about ${field} ${faultOf(held)}, and the standard holds such values`
          : `${connection} says something else about ${field} than stands, and ${field} is decided by hand`,
        choices: ['ours', 'theirs', 'value'],
        like: `conflict ${connection} ${field}${held ? ` ${held.id}` : ''}`,
        connection,
        recordId,
        people: [named(personId, person)],
        cell,
        ours: current?.value ?? null,
        theirs,
        ...(current ? { oursBy: current.stamp.by } : {}),
      }
    }
  }
}

async function* recordItems(at: Inspection, connection?: string): AsyncIterable<ReviewItem> {
  const filter = { state: 'ambiguous' as const, ...(connection === undefined ? {} : { connection }) }
  for await (const links of batches(at.store.links(filter), BATCH)) {
    const people = await peopleOf(
      at.store,
      links.flatMap((link) => link.candidates ?? []),
    )
    for (const link of links) yield recordItem(at.rules, link, people)
  }
}

function recordItem(rules: Rules, link: Link, people: ReadonlyMap<string, Person>): ReviewItem {
  const { connection, recordId, reason = 'it may be several people', candidates = [] } = link
  const second = reason.startsWith(SECOND_RECORD)
  const lens = rules.connections.get(connection)?.lens
  const cells: Cells = lens?.get(link.fields) ?? {}
  return {
    id: idOf('record', connection, recordId),
    kind: second ? 'second' : 'match',
    cause: reason,
    choices: second ? ['merge', 'new', 'apart'] : ['link', 'new', 'apart'],
    like: `${second ? 'second' : 'match'} ${connection} ${second ? SECOND_RECORD : reason}`,
    connection,
    recordId,
    recordName: nameOf(cells, recordId),
    people: candidates
      .map((id) => {
        const person = people.get(id)
        const alike = person && lens ? likeness(cells, valuesOf(person), rules.catalogue, rules.match) : undefined
        return { ...named(id, person), ...alike }
      })
      .sort((one, other) => (other.score ?? 0) - (one.score ?? 0)),
  }
}

async function* heldItems({ store, rules }: Inspection, connection?: string): AsyncIterable<ReviewItem> {
  const filter = { state: 'held' as const, ...(connection === undefined ? {} : { connection }) }
  for await (const intents of batches(store.intents(filter), BATCH)) {
    const waiting = intents.filter((intent) => intent.held === DUPLICATE || isBrake(intent.held))
    if (waiting.length === 0) continue
    const hood = await withStanding(store, await store.loadPeople(waiting.map((intent) => intent.personId)))
    const ws = new Workspace(hood)
    for (const intent of waiting) {
      const item =
        intent.held === DUPLICATE
          ? endingItem(ws, intent)
          : intent.held?.startsWith(STANDARD_HOLD)
            ? incompleteItem(ws, intent)
            : intent.op === 'delete'
              ? deleteItem(ws, intent)
              : flipItem(ws, rules, intent)
      if (item) yield item
    }
  }
}

function endingItem(ws: Workspace, intent: Intent): ReviewItem {
  const { connection, recordId, personId, op, into } = intent
  const second = ws.link(connection, recordId ?? '')
  const winner = standing(ws, second?.candidates?.[0] ?? personId)
  const what = op === 'merge' ? `merged into ${into}` : intent.archive ? 'archived' : 'deleted'
  return {
    id: idOf('ending', connection, recordId ?? ''),
    kind: 'ending',
    cause: `a second record of the same person is to be ${what} there, which cannot be undone; its values are kept`,
    choices: ['approve', 'apart'],
    like: `ending ${connection} ${op}`,
    connection,
    ...(recordId === null ? {} : { recordId }),
    people: [named(winner?.id ?? personId, winner)],
    intent,
  }
}

function deleteItem(ws: Workspace, intent: Intent): ReviewItem {
  const { connection, recordId, personId, held = '' } = intent
  return {
    id: idOf('delete', connection, personId),
    kind: 'delete',
    cause: `to be deleted there, and held; ${held}`,
    choices: ['approve', 'keep'],
    like: `delete ${connection}`,
    connection,
    ...(recordId === null ? {} : { recordId }),
    people: [named(personId, ws.person(personId))],
    intent,
  }
}

function incompleteItem(ws: Workspace, intent: Intent): ReviewItem {
  const { connection, personId, held = '' } = intent
  return {
    id: idOf('incomplete', connection, personId),
    kind: 'incomplete',
    cause: `somebody new waits to be created there; ${held}`,
    choices: ['approve'],
    like: `incomplete ${connection} ${held}`,
    connection,
    people: [named(personId, ws.person(personId))],
    intent,
  }
}

/** undefined for a write that another brake holds: that one is about many records, and is let go with `kith approve`. */
function flipItem(ws: Workspace, rules: Rules, intent: Intent): ReviewItem | undefined {
  const { connection, recordId, personId } = intent
  const person = ws.person(personId)
  const flips_max = rules.connections.get(connection)?.brakes.flips_max ?? Infinity
  const cell = Object.keys(intent.cells).find((key) => (person?.cells[key]?.flips?.count ?? 0) >= flips_max)
  const current = cell === undefined ? undefined : person?.cells[cell]
  if (cell === undefined || !current?.flips || !intent.held?.includes('goes back and forth')) return undefined
  return {
    id: idOf('flip', personId, cell, connection),
    kind: 'flip',
    cause: `${fieldOf(cell)} went back and forth between two values ${current.flips.count} times`,
    choices: ['ours', 'theirs', 'value', 'approve'],
    like: `flip ${connection} ${fieldOf(cell)}`,
    connection,
    ...(recordId === null ? {} : { recordId }),
    people: [named(personId, person)],
    cell,
    ours: current.value,
    theirs: current.flips.before,
    oursBy: current.stamp.by,
    intent,
  }
}

async function* deletionItems({ store }: Inspection): AsyncIterable<ReviewItem> {
  for (const { connection, reason, what, count } of await brakeHolds({ store })) {
    if (what !== 'deletions') continue
    yield {
      id: idOf('deletions', connection, reason),
      kind: 'deletions',
      cause: `${count} deletions were heard there and not believed; ${reason}`,
      choices: ['approve'],
      like: `deletions ${connection}`,
      connection,
      people: [],
      count,
    }
  }
}

/** People who are probably one, the likeliest first. */
async function* duplicateItems({ store, rules }: Inspection): AsyncIterable<ReviewItem> {
  const pairs = await store.likelyPairs(PAIRS_MAX, BLOCK_MAX)
  const items: (ReviewItem & { score: number })[] = []
  for (let start = 0; start < pairs.length; start += BATCH) {
    items.push(...(await weigh(store, rules, pairs.slice(start, start + BATCH))))
  }
  items.sort((one, other) => other.score - one.score || (one.id < other.id ? -1 : 1))
  for (const { score: _score, ...item } of items) yield item
}

async function weigh(
  store: Store,
  rules: Rules,
  pairs: readonly LikelyPair[],
): Promise<(ReviewItem & { score: number })[]> {
  const hood = await store.loadPeople([...new Set(pairs.flatMap(({ a, b }) => [a, b]))])
  const people = new Map(hood.people.map((person) => [person.id, person]))
  const links = Map.groupBy(hood.links, (link) => link.personId)
  const subjects = (id: string): string[] => [
    personSubject(id),
    ...(links.get(id) ?? []).map((link) => recordSubject(link.connection, link.recordId)),
  ]
  const apart = new Apartness(await store.apart([...people.keys()].flatMap(subjects)))
  return pairs.flatMap(({ a, b }) => {
    const [one, other] = [people.get(a), people.get(b)]
    if (!one || !other || apart.between(subjects(a), subjects(b))) return []
    if (areApart(rules.match, keysOf(valuesOf(one), rules.catalogue), keysOf(valuesOf(other), rules.catalogue)))
      return []
    const { score, evidence } = likeness(valuesOf(one), valuesOf(other), rules.catalogue, rules.match)
    if (score < PROBABLE) return []
    const told = evidence.filter(({ weight }) => weight > 0).map(({ text }) => text)
    return [
      {
        id: idOf('duplicate', a, b),
        kind: 'duplicate' as const,
        cause: `two people who are probably one: ${told.join(', ')}`,
        choices: ['merge', 'apart'],
        like: `duplicate ${told.join(', ')}`,
        people: [
          { ...named(a, one), score, evidence },
          { ...named(b, other), score, evidence },
        ],
        score,
      },
    ]
  })
}

function named(id: string, person: Person | undefined): ReviewPerson {
  return { id, name: person ? nameOf(valuesOf(person), id) : id }
}

async function peopleOf(store: Store, ids: readonly string[]): Promise<ReadonlyMap<string, Person>> {
  const wanted = [...new Set(ids)]
  const { people } = wanted.length === 0 ? { people: [] } : await store.loadPeople(wanted)
  return new Map(people.map((person) => [person.id, person]))
}

/** Short enough to be typed; eight letters of 32 tell a million questions apart well enough, and a clash is asked about. */
function idOf(...subject: readonly string[]): string {
  const digest = createHash('sha256').update(JSON.stringify(subject)).digest()
  return Array.from(digest.subarray(0, 8), (byte) => ALPHABET[byte % 32]).join('')
}

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'
