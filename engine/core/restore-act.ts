import { setCells, type Actor } from './act.ts'
import { fieldOf, PERSON_STATE, type CellKey } from './catalogue.ts'
import { consentKeyOf, consentKeysOf } from './consent.ts'
import { recordKey } from './erasure.ts'
import type { Json } from './json.ts'
import { standing } from './people.ts'
import type { Person } from './person.ts'
import type { Link } from './ports/store.ts'
import type { ConnectionRules, Rules } from './rules.ts'
import type { Stamp } from './stamp.ts'
import { changeOf, type Workspace } from './workspace.ts'

/** Somebody as a backup has them, and the records that were theirs then. */
export interface Past {
  readonly person: Person
  /** Their record in the connection that is brought back. */
  readonly recordId: string
  /** Every record that was linked to them, that one included. */
  readonly records: readonly Pick<Link, 'connection' | 'recordId'>[]
}

export interface RestoreTerms {
  /** Whose records are brought back. */
  readonly connection: ConnectionRules
  /** Only these fields, and nobody created again; null: everything. */
  readonly fields: ReadonlySet<string> | null
  /** Also what somebody else has said since. */
  readonly overEdits: boolean
}

/** Those terms, and what is known of the people at hand. */
export interface RestoreBatch extends RestoreTerms {
  /** Keys of people who were erased on request: nothing by which they would be known comes back. See {@link pastKeys}. */
  readonly barred: ReadonlyMap<string, string>
}

/** What has to be looked up of somebody in a backup, to tell what must not come back. */
export function pastKeys({ person, records }: Past): string[] {
  return [...consentKeysOf(person), ...records.map(recordKey)]
}

export interface CellBack {
  readonly cell: CellKey
  readonly now: Json
  readonly was: Json
  /** Whose word it is that stands now. */
  readonly by: Stamp | null
}

/**
 * - `merged`  the person was merged into another since
 * - `unknown` nobody here is that person any more: erased, or never known to this Kith
 * - `waits`   the record waits for an operator (a second record, an ambiguous one, a deletion not believed)
 */
export type LeftWhole = 'merged' | 'unknown' | 'waits'

/** What bringing one record back means. */
export interface PersonBack {
  readonly personId: string
  readonly recordId: string
  /** Values that become again what they were. */
  readonly back: readonly CellBack[]
  /** Values that others have changed since: left as they are, and named. */
  readonly left: readonly CellBack[]
  /** How many values do not come back, because they are of somebody who was erased. */
  readonly erased: number
  /** Connections where a record that was deleted since is created again. */
  readonly again: readonly string[]
  /** Why nothing at all is done. */
  readonly reason?: LeftWhole
}

/**
 * What differs between a person now and then, in the fields that a connection's records have. What that connection itself has
 * said since is taken back; what anybody else has said since is theirs, and left.
 */
export function compareWithPast(ws: Workspace, rules: Rules, past: Past, terms: RestoreBatch): PersonBack {
  const { connection, barred } = terms
  const nothing = { personId: past.person.id, recordId: past.recordId, back: [], left: [], erased: 0, again: [] }
  const link = ws.link(connection.name, past.recordId)
  // Somebody who was erased since, whoever has the record by now.
  if (link?.state === 'erased' || past.records.some((one) => barred.has(recordKey(one))))
    return { ...nothing, reason: 'unknown' }
  const there = link !== undefined && link.state !== 'gone'
  if (there && (link.state !== 'linked' || link.personId === null)) return { ...nothing, reason: 'waits' }
  // Whoever the record is of by now: an operator, or its app, may have said so since.
  const person = there ? standing(ws, link.personId ?? '') : ws.person(past.person.id)
  if (!person || person.state === 'erased') return { ...nothing, reason: 'unknown' }
  if (person.state === 'merged') return { ...nothing, personId: person.id, reason: 'merged' }
  const back: CellBack[] = []
  const left: CellBack[] = []
  let erased = 0
  for (const cell of new Set([...Object.keys(past.person.cells), ...Object.keys(person.cells)])) {
    if (!isBroughtBack(fieldOf(cell), rules, terms)) continue
    const current = person.cells[cell]
    const now = current?.value ?? null
    const was = past.person.cells[cell]?.value ?? null
    if (rules.catalogue.equal(cell, now, was)) continue
    const key = was === null ? undefined : consentKeyOf(cell)
    if (key !== undefined && barred.has(key)) {
      erased++
      continue
    }
    const own = current === undefined || current.stamp.by === connection.name
    const change: CellBack = { cell, now, was, by: current?.stamp ?? null }
    if (own || terms.overEdits) back.push(change)
    else left.push(change)
  }
  const again = terms.fields === null ? deletedSince(ws, rules, past, person, terms).map((it) => it.connection) : []
  return { ...nothing, personId: person.id, back, left, erased, again }
}

function isBroughtBack(field: string, rules: Rules, { connection, fields }: RestoreTerms): boolean {
  if (!rules.catalogue.has(field) || (fields !== null && !fields.has(field))) return false
  const mapped = connection.lens.fields.get(field)
  return mapped !== undefined && mapped.direction !== 'in'
}

/**
 * Records that were the person's then and are gone now. Of somebody who lives, only the one in the connection that is brought
 * back: that they have none elsewhere any more is another story. Of somebody who was deleted, all of them: they went together.
 */
function deletedSince(ws: Workspace, rules: Rules, past: Past, person: Person, terms: RestoreTerms): Link[] {
  const whole = person.state !== 'live'
  return past.records.flatMap(({ connection, recordId }) => {
    const wanted = whole || connection === terms.connection.name
    const link = ws.link(connection, recordId)
    if (!wanted || !rules.connections.get(connection)?.create || link?.state !== 'gone') return []
    // Somebody who has another record there by now needs none (I4).
    const other = ws.linkIn(person.id, connection)
    return link.personId === person.id && other?.state === 'gone' ? [link] : []
  })
}

/**
 * Brings one record back, through the person: their values become what they were, and whoever was deleted lives again. A record
 * that is gone is nobody's from now on, so that the plan creates one: at most one, as ever (I4).
 */
export function restorePerson(ws: Workspace, rules: Rules, past: Past, terms: RestoreBatch, actor: Actor): PersonBack {
  const compared = compareWithPast(ws, rules, past, terms)
  const { personId, back, again } = compared
  const person = ws.person(personId)
  if (!person || (back.length === 0 && again.length === 0)) return compared
  if (again.length > 0) {
    for (const link of deletedSince(ws, rules, past, person, terms)) ws.saveLink({ ...link, personId: null })
    if (person.state !== 'live') {
      const stamp: Stamp = { at: actor.at_ms, by: `operator:${actor.by}` }
      const origin = { personId, recordId: null, now_ms: actor.at_ms }
      ws.log(changeOf(origin, PERSON_STATE, person.state, 'live', stamp, 'applied', 'act'))
      ws.savePerson({ ...person, state: 'live' })
    }
    ws.touch(personId)
  }
  setCells(ws, rules, personId, Object.fromEntries(back.map(({ cell, was }) => [cell, was])), actor)
  return compared
}
