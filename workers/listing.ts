import { fieldOf, type Cells } from '../engine/core/catalogue.ts'
import { DUPLICATE } from '../engine/core/people.ts'
import type { Json } from '../engine/core/json.ts'
import type { Conflict, Intent, IntentFilter, Link, Neighbourhood, Store } from '../engine/core/ports/store.ts'
import { nameFromCells, personName, reasonInFull } from './words.ts'
import { batches } from './batches.ts'

/** What the store holds open, with the people's names, as it is printed: streamed, however much there is. */

const BATCH = 200

export interface OperationLine {
  readonly connection: string
  readonly op: Intent['op']
  readonly person: string
  readonly name: string
  readonly record?: string
  readonly fields: readonly {
    readonly field: string
    readonly before: Json
    readonly after: Json
    readonly why: string
  }[]
  /** For a merge: the record that stands. */
  readonly into?: string
  /** For a delete. */
  readonly why?: string
  /** Why it waits, where it does. */
  readonly held?: string
}

export interface Operation {
  readonly intent: Intent
  readonly name: string
  readonly line: OperationLine
}

/** Which planned writes are listed. */
export type OperationFilter = Pick<IntentFilter, 'connection' | 'op' | 'personId'> & { readonly held?: boolean }

/**
 * Writes that are planned: held or pending, not those that the app has refused.
 * @param after the last one seen, to page on
 */
export async function* operationsOf(
  store: Store,
  filter: OperationFilter = {},
  after?: Pick<Intent, 'connection' | 'planned_ms' | 'id'>,
): AsyncIterable<Operation> {
  for await (const intents of batches(open(store, filter, after), BATCH)) {
    // A new record says by itself whom it is of; the others are looked up.
    const hood = await people(
      store,
      intents.filter((intent) => intent.op !== 'create').map((intent) => intent.personId),
    )
    for (const intent of intents) yield operation(intent, hood)
  }
}

async function* open(
  store: Store,
  { held, ...filter }: OperationFilter,
  after?: Pick<Intent, 'connection' | 'planned_ms' | 'id'>,
): AsyncIterable<Intent> {
  const state = held === undefined ? {} : { state: held ? ('held' as const) : ('pending' as const) }
  for await (const intent of store.intents({ ...filter, ...state }, after)) if (intent.state !== 'parked') yield intent
}

function operation(intent: Intent, hood: Names): Operation {
  const { connection, op, personId, recordId, cells } = intent
  const after: Cells = Object.fromEntries(Object.entries(cells).map(([cell, change]) => [cell, change.after]))
  const name = op === 'create' ? nameFromCells(after, personId) : hood.name(personId)
  const fields = Object.entries(cells).map(([cell, change]) => ({
    field: fieldOf(cell),
    before: change.before,
    after: change.after,
    why: reasonInFull(change.stamp, change.rule),
  }))
  const line: OperationLine = {
    connection,
    op,
    person: personId,
    name,
    ...(recordId === null ? {} : { record: recordId }),
    fields,
    ...(intent.into === undefined ? {} : { into: intent.into }),
    ...(op === 'delete' && intent.held !== DUPLICATE ? { why: hood.deletedIn(personId, connection) } : {}),
    ...(intent.held === undefined ? {} : { held: intent.held }),
  }
  return { intent, name, line }
}

export interface AmbiguousLine {
  readonly connection: string
  readonly record: string
  readonly reason: string
  readonly candidates: readonly { readonly id: string; readonly name: string }[]
}

/** Records that may be one of several people, or a second record of one. */
export async function* ambiguousOf(store: Store): AsyncIterable<AmbiguousLine> {
  for await (const links of batches(store.links({ state: 'ambiguous' }), BATCH)) {
    const hood = await people(
      store,
      links.flatMap((link) => link.candidates ?? []),
    )
    for (const { connection, recordId, reason = 'it may be several people', candidates = [] } of links) {
      yield { connection, record: recordId, reason, candidates: candidates.map((id) => ({ id, name: hood.name(id) })) }
    }
  }
}

export interface ConflictLine {
  readonly person: string
  readonly name: string
  readonly field: string
  readonly connection: string
  readonly record: string
  readonly ours: Json
  readonly theirs: Json
}

/** Values between which a person must choose. */
export async function* conflictsOf(store: Store): AsyncIterable<ConflictLine> {
  for await (const conflicts of batches<Conflict>(store.conflicts(), BATCH)) {
    const hood = await people(
      store,
      conflicts.map((conflict) => conflict.personId),
    )
    for (const { personId, cell, connection, recordId, ours, theirs } of conflicts) {
      yield {
        person: personId,
        name: hood.name(personId),
        field: fieldOf(cell),
        connection,
        record: recordId,
        ours,
        theirs,
      }
    }
  }
}

export interface ParkedLine {
  readonly connection: string
  /** A write that the app refused, or a record that cannot be read. */
  readonly op: Intent['op'] | 'read'
  readonly person: string | null
  readonly name: string
  readonly record: string | null
  readonly cause: string
  readonly failure: Intent['failure'] | null
}

/** What waits for an operator: writes that an app refused, and records that cannot be read. */
export async function* parkedOf(
  store: Store,
  filter: { connection?: string; personId?: string } = {},
): AsyncIterable<ParkedLine> {
  for await (const intents of batches(store.intents({ ...filter, state: 'parked' }), BATCH)) {
    const hood = await people(
      store,
      intents.map((intent) => intent.personId),
    )
    for (const { connection, op, personId, recordId, failure } of intents) {
      const cause = failure?.message ?? 'the app refused it'
      yield {
        connection,
        op,
        person: personId,
        name: hood.name(personId),
        record: recordId,
        cause,
        failure: failure ?? null,
      }
    }
  }
  const { connection, personId } = filter
  for await (const links of batches(
    store.links({ ...(connection === undefined ? {} : { connection }), broken: true }),
    BATCH,
  )) {
    const wanted = links.filter(
      (link) => link.state !== 'gone' && (personId === undefined || link.personId === personId),
    )
    const hood = await people(
      store,
      wanted.flatMap((link) => link.personId ?? []),
    )
    for (const link of wanted) {
      yield {
        connection: link.connection,
        op: 'read',
        person: link.personId,
        name: link.personId === null ? '' : hood.name(link.personId),
        record: link.recordId,
        cause: link.failure?.message ?? 'it cannot be read',
        failure: link.failure ?? null,
      }
    }
  }
}

interface Names {
  name(personId: string): string
  deletedIn(personId: string, except: string): string
}

async function people(store: Store, ids: readonly string[]): Promise<Names> {
  const wanted = [...new Set(ids)]
  const hood: Pick<Neighbourhood, 'people' | 'links'> =
    wanted.length === 0 ? { people: [], links: [] } : await store.loadPeople(wanted)
  const known = new Map(hood.people.map((person) => [person.id, person]))
  const gone = Map.groupBy(
    hood.links.filter((link: Link) => link.state === 'gone'),
    (link) => link.personId,
  )
  return {
    name: (id) => personName(known.get(id), id),
    deletedIn: (id, except) => {
      const where = (gone.get(id) ?? []).map((link) => link.connection).filter((name) => name !== except)
      return where.length > 0 ? `deleted in ${[...new Set(where)].join(', ')}` : 'deleted by an operator'
    },
  }
}
