import { linkRecord, mergePeople, setCells, type Actor } from './act.ts'
import { fieldOf, PERSON_RECORD, PERSON_STATE, type CellKey } from './catalogue.ts'
import {
  channelOf,
  consentCell,
  consentKeyOf,
  consentKeysOf,
  isConsentCell,
  isRestrictive,
  type ConsentState,
} from './consent.ts'
import { setConsent } from './consent-act.ts'
import { withoutFailure } from './hear.ts'
import type { Json, JsonObject } from './json.ts'
import { revive } from './match.ts'
import { mergedStateFrom } from './people.ts'
import { valuesOf, type Cell, type Person } from './person.ts'
import type { Change, LogEntry } from './ports/store.ts'
import type { Rules } from './rules.ts'
import type { Stamp } from './stamp.ts'
import { changeOf, type Workspace } from './workspace.ts'

/** What of the log is to be undone. What is named holds together: a change has to fit all of it. */
export interface UndoTerms {
  /** Whether an entry of the log is meant. */
  readonly meant: (entry: LogEntry) => boolean
  /** Whether what is said now of a cell, without an entry of its own, would have been meant as well. */
  readonly meantStamp: (stamp: Stamp) => boolean
  /** Keys of people who were erased on request: nothing by which they would be known comes back. */
  readonly barred: ReadonlyMap<string, string>
  /** The act of this very undo: what it has done already is not done again, nor undone. */
  readonly undoId: string
  readonly actor: Actor
}

/** One value that goes back to what it was. */
export interface Undone {
  readonly personId: string
  readonly cell: CellKey
  readonly before: Json
  readonly after: Json
}

/**
 * Why a change that was meant is left as it is.
 * - `edited`  somebody has said something else since, or the same by themselves
 * - `consent` it would loosen consent: no undo does that (I7)
 * - `merged`  the person was merged into another since
 * - `erased`  the person was erased on request, or it would bring back an address of somebody who was
 * - `gone`    what it was about is not there any more
 * - `manual`  it has no way back here; `note` says what to do
 */
export type LeftReason = 'edited' | 'consent' | 'merged' | 'erased' | 'gone' | 'manual'

export interface Left {
  readonly personId: string
  readonly cell: CellKey
  /** What stands, and stays. */
  readonly value: Json
  readonly reason: LeftReason
  /** Who has said so since, and when. */
  readonly by?: Stamp
  readonly note?: string
}

export interface UndoReport {
  readonly undone: readonly Undone[]
  readonly left: readonly Left[]
}

/**
 * Takes back the changes that are meant, of these people: every field goes back to what stood before the first of its changes
 * that are meant, unless something else was said of it since; such fields are left as they are, and named (I12). The way back
 * is a change like any other: it is logged, and can be undone.
 *
 * @param people those whose changes are meant, loaded together with whomever they were merged into
 * @param history what was applied to them, as the log has it, from the first change that is meant up to now
 */
export function decideUndo(
  ws: Workspace,
  rules: Rules,
  people: readonly string[],
  history: readonly LogEntry[],
  terms: UndoTerms,
): UndoReport {
  const undone: Undone[] = []
  const left: Left[] = []
  // A person is taken back in one commit: whoever has been, before this undo was stopped, is done with.
  const done = new Set(history.filter(({ act }) => act === terms.undoId).map(({ personId }) => personId))
  const newest = history
    .filter(({ kind, personId }) => kind === 'applied' && !done.has(personId))
    .toSorted((a, b) => b.id - a.id)
  // First who is who: only then is it known whose values they are.
  for (const entry of newest) {
    if (!isAboutPerson(entry) || !terms.meant(entry)) continue
    const answer = undoState(ws, rules, entry, terms.actor)
    if (answer === null) undone.push(outcome(entry))
    else left.push({ ...about(entry), value: entry.after, ...answer })
  }
  const byPerson = Map.groupBy(
    newest.filter((entry) => !isAboutPerson(entry)),
    (entry) => entry.personId,
  )
  for (const personId of people) {
    const entries = byPerson.get(personId) ?? []
    const report = undoCells(ws, rules, personId, entries, terms)
    undone.push(...report.undone)
    left.push(...report.left)
  }
  return { undone, left }
}

function isAboutPerson({ cell }: Pick<Change, 'cell'>): boolean {
  return cell === PERSON_STATE || cell === PERSON_RECORD
}

function about({ personId, cell }: LogEntry): Pick<Left, 'personId' | 'cell'> {
  return { personId, cell }
}

function outcome(entry: LogEntry): Undone {
  return { ...about(entry), before: entry.after, after: entry.before }
}

/** null where it is undone, else why it is left. `logged`: it is undone, and what undid it has said so in the log. */
type Answer = Pick<Left, 'reason' | 'note'> | null | 'logged'

function undoState(ws: Workspace, rules: Rules, entry: LogEntry, actor: Actor): Exclude<Answer, 'logged'> {
  const person = ws.person(entry.personId)
  if (!person) return { reason: 'gone' }
  if (person.state === 'erased') return { reason: 'erased' }
  const answer =
    entry.cell === PERSON_RECORD
      ? undoRecord(ws, rules, person, entry, actor)
      : undoPerson(ws, rules, person, entry, actor)
  if (answer === 'logged') return null
  if (answer !== null) return answer
  const stamp = { at: Math.max(actor.at_ms, entry.stamp.at + 1), by: `operator:${actor.by}` }
  const origin = { personId: person.id, recordId: null, now_ms: actor.at_ms }
  ws.log(changeOf(origin, entry.cell, entry.after, entry.before, stamp, 'applied', 'act'))
  return null
}

/** A merge is split, somebody deleted lives again; and, for the undo of that, the other way round. */
function undoPerson(ws: Workspace, rules: Rules, person: Person, entry: LogEntry, actor: Actor): Answer {
  const merged = mergedStateFrom(entry.after)
  if (merged !== null) {
    if (person.state !== 'merged' || person.mergedInto !== merged.into) return { reason: 'edited' }
    const winner = ws.person(merged.into)
    if (winner?.state === 'erased') return { reason: 'erased' }
    if (!winner || winner.state === 'merged') return { reason: 'merged' }
    split(ws, person, winner, merged.records)
    return null
  }
  const again = mergedStateFrom(entry.before)
  if (again !== null) {
    const refused = mergePeople(ws, person.id, again.into, actor)
    return refused === null ? 'logged' : { reason: 'edited', note: refused }
  }
  if (person.state !== entry.after) return { reason: person.state === 'merged' ? 'merged' : 'edited' }
  if (isBusy(ws, rules, person.id)) return BUSY
  if (entry.before === 'live') revive(ws, person.id)
  else ws.savePerson({ ...person, state: entry.before === 'archived' ? 'archived' : 'deleted' })
  return null
}

/** The loser of a merge is a person again, and has the records back that were theirs and are still where the merge put them. */
function split(
  ws: Workspace,
  loser: Person,
  winner: Person,
  records: readonly { readonly connection: string; readonly record: string }[],
): void {
  const { mergedInto: _mergedInto, ...rest } = loser
  ws.savePerson({ ...rest, state: 'live' } satisfies Person)
  for (const { connection, record } of records) {
    const link = ws.link(connection, record)
    if (!link || link.state === 'gone') continue
    const second = link.state === 'second' && link.personId === loser.id
    const asked = link.state === 'ambiguous' && (link.candidates ?? []).includes(winner.id)
    const theirs = link.personId === winner.id
    if (!second && !asked && !theirs) continue
    const rival = ws.linkIn(loser.id, connection)
    if (rival && rival.recordId !== record && rival.state !== 'gone') continue
    const clean = second || asked ? withoutFailure(link) : link
    // What is written for the winner just now is the loser's to hear.
    const recheck = link.recheck || ws.sending(winner.id, connection) !== undefined
    ws.saveLink({ ...clean, personId: loser.id, state: second || asked ? 'linked' : link.state, recheck })
    for (const id of [loser.id, winner.id]) ws.withdraw(id, connection)
  }
  ws.touch(winner.id)
}

/** A record that an operator said was somebody's waits again; one that was deleted in its app is made again. */
function undoRecord(ws: Workspace, rules: Rules, person: Person, entry: LogEntry, actor: Actor): Answer {
  const { connection: name, record } = named(entry.after ?? entry.before)
  const link = ws.link(name, record)
  const connection = rules.connections.get(name)
  if (!link || !connection) return { reason: 'gone' }
  if (entry.after === null) {
    if (link.state === 'ambiguous' || link.state === 'staged') {
      const refused = linkRecord(ws, rules, connection, record, person.id, actor)
      return refused === null ? 'logged' : { reason: 'edited', note: refused }
    }
    if (link.state !== 'gone' || link.personId !== person.id) return { reason: 'edited' }
    // A link that is nobody's keeps nobody from being created again.
    ws.saveLink({ ...link, personId: null })
    ws.touch(person.id)
    return null
  }
  if (link.state === 'gone') return { reason: 'gone' }
  if (link.personId !== person.id) return { reason: 'edited' }
  if (entry.recordId === null) return { reason: 'manual', note: 'delete the record in its app' }
  ws.saveLink({
    ...withoutFailure(link),
    personId: null,
    state: 'ambiguous',
    candidates: [person.id],
    reason: 'an operator took back who it is',
  })
  ws.withdraw(person.id, name)
  ws.touch(person.id)
  return null
}

function named(value: Json): { connection: string; record: string } {
  const { connection = '', record = '' } = (value ?? {}) as JsonObject
  return { connection: String(connection), record: String(record) }
}

function undoCells(
  ws: Workspace,
  rules: Rules,
  personId: string,
  entries: readonly LogEntry[],
  terms: UndoTerms,
): UndoReport {
  const person = ws.person(personId)
  const undone: Undone[] = []
  const left: Left[] = []
  const values: { [cell: CellKey]: Json } = {}
  for (const [cell, newest] of Map.groupBy(entries, (entry) => entry.cell)) {
    if (!newest.some((entry) => terms.meant(entry))) continue
    const value = person?.cells[cell]?.value ?? null
    if (!person || person.state === 'merged' || person.state === 'erased') {
      const reason = person?.state === 'merged' ? 'merged' : person ? 'erased' : 'gone'
      left.push({ personId, cell, value, reason })
    } else if (isConsentCell(cell)) {
      const report = undoConsent(ws, person, newest, terms)
      undone.push(...report.undone)
      left.push(...report.left)
    } else {
      const back = wayBack(rules, cell, person.cells[cell], newest, terms)
      const key = consentKeyOf(cell)
      if ('left' in back) left.push({ personId, cell, value, reason: 'edited', by: back.left })
      else if (key !== undefined && back.value !== null && terms.barred.has(key))
        left.push({ personId, cell, value, reason: 'erased' })
      else if (!rules.catalogue.equal(cell, value, back.value)) {
        values[cell] = back.value
        undone.push({ personId, cell, before: value, after: back.value })
      }
    }
  }
  if (!person || undone.length === 0) return { undone, left }
  if (Object.keys(values).length > 0 && saysNothing(person, values)) {
    if (!isBusy(ws, rules, personId)) return { undone: takeOut(ws, person, terms), left }
    return { undone: [], left: [...left, { personId, cell: PERSON_STATE, value: person.state, ...BUSY }] }
  }
  setCells(ws, rules, personId, values, terms.actor)
  return { undone, left }
}

/** From what stands now back through the changes that are meant, as far as one follows the other without a word in between. */
function wayBack(
  rules: Rules,
  cell: CellKey,
  current: Cell | undefined,
  newest: readonly LogEntry[],
  { meant, meantStamp }: UndoTerms,
): { readonly value: Json } | { readonly left: Stamp } {
  const [last] = newest
  const stands = current?.value ?? null
  if (!last || !meant(last)) return { left: last?.stamp ?? { at: 0, by: 'kith' } }
  const stamp = current?.stamp ?? last.stamp
  let value = last.after
  for (const entry of newest) {
    if (!meant(entry) || !rules.catalogue.equal(cell, value, entry.after)) break
    value = entry.before
  }
  const moved = !rules.catalogue.equal(cell, stands, last.after)
  // Somebody else has said the same since, of which there is no entry: it is their word by now.
  const agreed = stamp.by !== last.stamp.by && !meantStamp(stamp)
  return (moved || agreed) && !rules.catalogue.equal(cell, stands, value) ? { left: stamp } : { value }
}

/** Whether nothing would be left of somebody: all that is said of them came with what is undone. */
function saysNothing(person: Person, values: { readonly [cell: CellKey]: Json }): boolean {
  if (person.state !== 'live') return false
  return Object.keys(valuesOf(person)).every((cell) => values[cell] === null)
}

const BUSY = {
  reason: 'manual',
  note: 'something is being written for them just now: undo it again in a moment',
} as const satisfies Pick<Left, 'reason' | 'note'>

/**
 * Whether a write of somebody is under way, or a record about to be read again. What is to be made anew or taken away for them
 * could not be planned now, and would be planned later, when nobody holds it any more.
 */
function isBusy(ws: Workspace, rules: Rules, personId: string): boolean {
  return [...rules.connections.keys()].some(
    (name) => ws.sending(personId, name) !== undefined || ws.linkIn(personId, name)?.recheck === true,
  )
}

/** Whoever came to be by what is undone is not emptied, but taken out: they keep their values, for the undo of the undo. */
function takeOut(ws: Workspace, person: Person, { actor }: UndoTerms): Undone[] {
  const stamp = { at: actor.at_ms, by: `operator:${actor.by}` }
  ws.savePerson({ ...person, state: 'deleted' })
  const origin = { personId: person.id, recordId: null, now_ms: actor.at_ms }
  ws.log(changeOf(origin, PERSON_STATE, 'live', 'deleted', stamp, 'applied', 'act'))
  return [{ personId: person.id, cell: PERSON_STATE, before: 'live', after: 'deleted' }]
}

/** Consent goes back to something stricter, never to something looser: that takes the person's own word (I7). */
function undoConsent(ws: Workspace, person: Person, newest: readonly LogEntry[], terms: UndoTerms): UndoReport {
  const undone: Undone[] = []
  const left: Left[] = []
  for (const entry of newest) {
    if (!terms.meant(entry)) continue
    const { personId, cell } = entry
    const [before, after] = [entry.before as ConsentState | null, entry.after as ConsentState | null]
    if (before === null || !isRestrictive(before) || (after !== null && isRestrictive(after))) {
      left.push({ personId, cell, value: entry.after, reason: 'consent' })
      continue
    }
    const keys = consentKeysOf(person).filter((key) => consentCell(channelOf(key)) === cell)
    const key = keys.find((one) => {
      const events = ws.consent(one)?.events ?? []
      return events.some(({ stamp, state }) => state === after && stamp.at === entry.stamp.at)
    })
    const wish = { state: before, optIn_ms: null, note: 'undo' }
    const refused =
      key === undefined ? 'its address is not the person’s any more' : setConsent(ws, key, wish, terms.actor)
    if (refused !== null) {
      left.push({ personId, cell, value: entry.after, reason: 'edited', note: refused })
      continue
    }
    const stamp = { at: terms.actor.at_ms, by: `operator:${terms.actor.by}` }
    const origin = { personId, recordId: null, now_ms: terms.actor.at_ms }
    ws.log(changeOf(origin, cell, after, before, stamp, 'applied', 'consent'))
    undone.push({ personId, cell, before: after, after: before })
  }
  return { undone, left }
}

/** The field of a change, as a filter names it. */
export function concernsField(field: string, cell: CellKey): boolean {
  const name = fieldOf(cell)
  return name === field || name.startsWith(`${field}.`)
}
