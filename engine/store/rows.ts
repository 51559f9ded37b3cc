import type { Act } from '../core/act.ts'
import type { Consent, ConsentEvent, ConsentState } from '../core/consent.ts'
import type { Failure } from '../core/failure.ts'
import type { Json, JsonObject } from '../core/json.ts'
import type { Cell, Person, Rule } from '../core/person.ts'
import type {
  Change,
  Conflict,
  ConnectionState,
  Intent,
  IntentState,
  Link,
  LinkState,
  LogEntry,
  Pause,
} from '../core/ports/store.ts'
import type { Row } from './database.ts'
import { searchText } from './search.ts'

/**
 * Rows and the core's words for them, both ways. A column that is null stands for a member that is absent. The `*_COLUMNS`
 * name what the readers of rows need; the writers make what `kith.commit` takes.
 */
export const PERSON_COLUMNS = 'id, version, state, merged_into, cells'
export const LINK_COLUMNS =
  'connection, record_id, person_id, state, fields, rev, modified_ms, field_times_ms, base_ms, rewrites, keys, candidates, reason, failure, recheck, version'
export const INTENT_COLUMNS =
  'id, connection, person_id, op, record_id, rev, archive, fields, cells, state, held, released, attempts, not_before_ms, planned_ms, failure, urgent'
export const CONFLICT_COLUMNS = 'person_id, cell, connection, record_id, ours, theirs, stamp_at, stamp_by'
export const CHANGE_COLUMNS =
  'id, person_id, cell, before, after, stamp_at, stamp_by, record_id, kind, rule, heard_ms, act, pass'

/** The columns of a table that a statement calls by another name. */
export function columnsOf(alias: string, columns: string): string {
  return columns.replaceAll(/\w+/g, (column) => `${alias}.${column}`)
}

export function personFrom(row: Row): Person {
  const person: Person = {
    id: row.id as string,
    version: row.version as number,
    cells: cellsFrom(row.cells as { [cell: string]: PackedCell }),
    state: row.state as Person['state'],
  }
  return row.merged_into === null ? person : { ...person, mergedInto: row.merged_into as string }
}

export function personRow(person: Person): Row {
  return {
    id: person.id,
    version: person.version,
    state: person.state,
    merged_into: person.mergedInto,
    cells: packed(person.cells),
    search: searchText(person),
  }
}

/**
 * A cell without the names of its members: value, stamp (time, connection), rule and, where there are any, flips. Cells are
 * most of what is stored and sent, and the names would be half of them.
 */
type PackedCell = readonly [Json, number, string, Rule, Cell['flips']?]

function packed(cells: Person['cells']): { [cell: string]: PackedCell } {
  const all: { [cell: string]: PackedCell } = {}
  for (const [name, { value, stamp, rule, flips }] of Object.entries(cells)) {
    all[name] = flips === undefined ? [value, stamp.at, stamp.by, rule] : [value, stamp.at, stamp.by, rule, flips]
  }
  return all
}

function cellsFrom(all: { [cell: string]: PackedCell }): Person['cells'] {
  const cells: { [cell: string]: Cell } = {}
  for (const [name, [value, at, by, rule, flips]] of Object.entries(all)) {
    const cell: Cell = { value, stamp: { at, by }, rule }
    cells[name] = flips === undefined ? cell : { ...cell, flips }
  }
  return cells
}

export function linkFrom(row: Row): Link {
  const link: { -readonly [key in keyof Link]: Link[key] } = {
    connection: row.connection as string,
    recordId: row.record_id as string,
    personId: row.person_id as string | null,
    state: row.state as LinkState,
    fields: row.fields as JsonObject,
    rev: row.rev as string | null,
    base_ms: row.base_ms as Link['base_ms'],
    rewrites: row.rewrites as Link['rewrites'],
    keys: row.keys as string[],
    recheck: row.recheck as boolean,
    version: row.version as number,
  }
  if (row.modified_ms !== null) link.modified_ms = row.modified_ms as number
  if (row.field_times_ms !== null) link.fieldTimes_ms = row.field_times_ms as { [field: string]: number }
  if (row.candidates !== null) link.candidates = row.candidates as string[]
  if (row.reason !== null) link.reason = row.reason as string
  if (row.failure !== null) link.failure = row.failure as unknown as Failure
  return link
}

export function linkRow(link: Link): Row {
  return {
    connection: link.connection,
    record_id: link.recordId,
    person_id: link.personId,
    state: link.state,
    fields: link.fields,
    rev: link.rev,
    modified_ms: link.modified_ms,
    field_times_ms: link.fieldTimes_ms,
    base_ms: link.base_ms,
    rewrites: link.rewrites,
    keys: link.keys,
    candidates: link.candidates,
    reason: link.reason,
    failure: link.failure,
    recheck: link.recheck,
    version: link.version,
  }
}

export function intentFrom(row: Row): Intent {
  // A merge writes no fields: in their place stands what it goes into.
  const merge = row.op === 'merge' ? { into: (row.fields as JsonObject)['into'] as string } : null
  // Nor does a delete: there stands that it is for good.
  const erase = row.op === 'delete' && (row.fields as JsonObject)['erase'] === true ? { erase: true } : null
  const intent: { -readonly [key in keyof Intent]: Intent[key] } = {
    id: row.id as string,
    connection: row.connection as string,
    personId: row.person_id as string,
    op: row.op as Intent['op'],
    recordId: row.record_id as string | null,
    rev: row.rev as string | null,
    archive: row.archive as boolean,
    ...merge,
    ...erase,
    fields: merge || erase ? {} : (row.fields as JsonObject),
    cells: row.cells as Intent['cells'],
    state: row.state as IntentState,
    released: row.released as boolean,
    attempts: row.attempts as number,
    notBefore_ms: row.not_before_ms as number,
    planned_ms: row.planned_ms as number,
    // What was delivered does not remember it.
    urgent: row.urgent === true,
  }
  if (row.held !== null) intent.held = row.held as string
  if (row.failure !== null) intent.failure = row.failure as unknown as Failure
  return intent
}

export function intentRow(intent: Intent): Row {
  return {
    id: intent.id,
    connection: intent.connection,
    person_id: intent.personId,
    op: intent.op,
    record_id: intent.recordId,
    rev: intent.rev,
    archive: intent.archive,
    fields: intent.op === 'merge' ? { into: intent.into } : intent.erase ? { erase: true } : intent.fields,
    cells: intent.cells,
    state: intent.state,
    held: intent.held,
    released: intent.released,
    attempts: intent.attempts,
    not_before_ms: intent.notBefore_ms,
    planned_ms: intent.planned_ms,
    urgent: intent.urgent,
    failure: intent.failure,
  }
}

export function actFrom(row: Row): Act {
  return {
    id: row.id as string,
    at_ms: row.at_ms as number,
    by: row.actor as string,
    why: row.why as string,
    kind: row.kind as string,
    about: row.about as JsonObject,
  }
}

export function actRow({ id, at_ms, by, why, kind, about }: Act): Row {
  return { id, at_ms, actor: by, why, kind, about }
}

export function consentFrom(row: Row): Consent {
  return {
    key: row.key as string,
    state: row.state as ConsentState,
    stamp: { at: row.stamp_at as number, by: row.stamp_by as string },
    optIn_ms: row.opt_in_ms as number | null,
    restricted_ms: row.restricted_ms as number | null,
    events: row.events as unknown as ConsentEvent[],
    version: row.version as number,
  }
}

export function consentRow(consent: Consent): Row {
  return {
    key: consent.key,
    state: consent.state,
    stamp_at: consent.stamp.at,
    stamp_by: consent.stamp.by,
    opt_in_ms: consent.optIn_ms,
    restricted_ms: consent.restricted_ms,
    events: consent.events,
  }
}

export function conflictFrom(row: Row): Conflict {
  return {
    personId: row.person_id as string,
    cell: row.cell as string,
    connection: row.connection as string,
    recordId: row.record_id as string,
    ours: row.ours as Json,
    theirs: row.theirs as Json,
    theirsStamp: { at: row.stamp_at as number, by: row.stamp_by as string },
    open: true,
  }
}

export function conflictRow(conflict: Conflict): Row {
  return {
    person_id: conflict.personId,
    cell: conflict.cell,
    connection: conflict.connection,
    record_id: conflict.recordId,
    ours: conflict.ours,
    theirs: conflict.theirs,
    stamp_at: conflict.theirsStamp.at,
    stamp_by: conflict.theirsStamp.by,
    open: conflict.open,
  }
}

export function logEntryFrom(row: Row): LogEntry {
  return {
    id: row.id as number,
    personId: row.person_id as string,
    cell: row.cell as string,
    before: row.before as Json,
    after: row.after as Json,
    stamp: { at: row.stamp_at as number, by: row.stamp_by as string },
    recordId: row.record_id as string | null,
    kind: row.kind as Change['kind'],
    rule: row.rule as Change['rule'],
    heard_ms: row.heard_ms as number,
    act: row.act as string | null,
    pass: row.pass as number | null,
  }
}

export function changeRow(change: Change): Row {
  return {
    person_id: change.personId,
    cell: change.cell,
    before: change.before,
    after: change.after,
    stamp_at: change.stamp.at,
    stamp_by: change.stamp.by,
    record_id: change.recordId,
    kind: change.kind,
    rule: change.rule,
    heard_ms: change.heard_ms,
  }
}

export function connectionFrom(row: Row): ConnectionState {
  return {
    name: row.name as string,
    app: row.app as string,
    mode: row.mode as ConnectionState['mode'],
    cursor: row.cursor as Json,
    readWith: row.read_with as string | null,
    pass: row.pass as number,
    chunk: row.chunk as number,
    scanned: row.scanned as boolean,
    lastRead_ms: row.last_read_ms as number | null,
    failure: row.failure as unknown as Failure | null,
    held: row.held as string | null,
    pause: pauseFrom(row),
  }
}

function pauseFrom(row: Row): Pause | null {
  if (row.pause === null) return null
  return { ...(row.pause as Omit<Pause, 'since_ms'>), since_ms: row.paused_ms as number | null }
}
