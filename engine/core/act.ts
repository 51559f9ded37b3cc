import { personSubject, recordSubject } from './apart.ts'
import { PERSON_RECORD, type CellKey } from './catalogue.ts'
import { hearRecord, withoutFailure } from './hear.ts'
import type { Json, JsonObject } from './json.ts'
import { recordOf, revive } from './match.ts'
import { absorbPerson, standing } from './people.ts'
import type { Cell, Person } from './person.ts'
import type { Conflict, Link } from './ports/store.ts'
import type { ConnectionRules, Rules } from './rules.ts'
import type { Stamp } from './stamp.ts'
import { changeOf, type Workspace } from './workspace.ts'

/**
 * Something an operator did. It enters by the same door as an app's change: decided in a workspace, merged with an operator's
 * stamp, committed together with its record, planned and delivered like anything else. Nothing here writes to an app.
 */
export interface Act {
  readonly id: string
  readonly at_ms: number
  /** Who; `operator:<name>` is their stamp. */
  readonly by: string
  readonly why: string
  /** What kind of act: `set`, `resolve`, `link`, `merge`, `undo`, `restore`, `pause`, `consent`, `forget`... */
  readonly kind: string
  /** What it was about, for the list of acts: ids and counts, no values of people. */
  readonly about: JsonObject
}

export type Actor = Pick<Act, 'at_ms' | 'by'>

/** The stamp of what an operator decides: later than what stands, whatever the clocks say. */
export function actStamp(actor: Actor, current: Cell | undefined): Stamp {
  return { at: Math.max(actor.at_ms, (current?.stamp.at ?? 0) + 1), by: `operator:${actor.by}` }
}

/**
 * Sets cells of a person, null to take a value away. What stood there is kept in the log; open conflicts about the cells end.
 * A cell that says so already is left as it is.
 */
export function setCells(
  ws: Workspace,
  rules: Rules,
  personId: string,
  values: { readonly [cell: CellKey]: Json },
  actor: Actor,
): void {
  const person = ws.person(personId)
  if (!person) return
  const cells: { [cell: CellKey]: Cell } = {}
  const origin = { personId, recordId: null, now_ms: actor.at_ms }
  for (const [key, value] of Object.entries(values)) {
    endConflicts(ws, rules, personId, key)
    const current = person.cells[key]
    const ours = current?.value ?? null
    if (rules.catalogue.equal(key, ours, value)) continue
    const stamp = actStamp(actor, current)
    cells[key] = { value, stamp, rule: 'act' }
    ws.log(changeOf(origin, key, ours, value, stamp, 'applied', 'act'))
  }
  if (Object.keys(cells).length > 0) ws.savePerson({ ...person, cells: { ...person.cells, ...cells } } satisfies Person)
  else ws.touch(personId)
}

/** Decides a conflict: the person's value stands, or the record's does. The other one is in the log. */
export function resolveConflict(
  ws: Workspace,
  rules: Rules,
  conflict: Pick<Conflict, 'personId' | 'connection' | 'cell'>,
  choice: 'ours' | 'theirs',
  actor: Actor,
): boolean {
  const open = ws.conflict(conflict.personId, conflict.connection, conflict.cell)
  const person = ws.person(conflict.personId)
  if (!open || !person) return false
  const value = choice === 'theirs' ? open.theirs : (person.cells[open.cell]?.value ?? null)
  setCells(ws, rules, open.personId, { [open.cell]: value }, actor)
  return true
}

function endConflicts(ws: Workspace, rules: Rules, personId: string, cell: CellKey): void {
  for (const name of rules.connections.keys()) {
    const conflict = ws.conflict(personId, name, cell)
    if (conflict) ws.saveConflict({ ...conflict, open: false })
  }
}

/**
 * Says who a record that waits for an operator is: links it to a person who has no record in that connection, or makes a new
 * person of it.
 *
 * @param personId of a person in the workspace, or a new id
 * @returns why it cannot be done, or null
 */
export function linkRecord(
  ws: Workspace,
  rules: Rules,
  connection: ConnectionRules,
  recordId: string,
  personId: string,
  actor: Actor,
): string | null {
  const link = ws.link(connection.name, recordId)
  if (!link || (link.state !== 'ambiguous' && link.state !== 'staged'))
    return 'the record does not wait for a decision any more'
  const rival = ws.linkIn(personId, connection.name)
  if (rival && rival.state !== 'gone') return `the person already has the record ${rival.recordId} there`
  const person = ws.person(personId)
  if (person?.state === 'merged') return 'the person was merged into another'
  if (person?.state === 'erased') return 'the person is being erased'
  if (!person) ws.savePerson({ id: personId, version: 0, cells: {}, state: 'live' } satisfies Person)
  revive(ws, personId)
  const linked: Link = { ...withoutFailure(link), personId, state: 'linked' }
  ws.saveLink(linked)
  const origin = { personId, recordId, now_ms: actor.at_ms }
  const came = { connection: connection.name, record: recordId }
  ws.log(changeOf(origin, PERSON_RECORD, null, came, actStamp(actor, undefined), 'applied', 'act'))
  hearRecord(ws, rules, connection, linked, recordOf(link), actor.at_ms, true)
  if (link.recheck) ws.saveLink({ ...(ws.link(connection.name, recordId) as Link), recheck: true })
  ws.withdraw(personId, connection.name)
  ws.markUnplanned(personId)
  return null
}

/**
 * Two people are one: values and links of the loser become the winner's. Where both have a record in one connection, the
 * loser's is a second record of the same person: it is to be merged or deleted there, once an operator has said yes to that.
 */
export function mergePeople(ws: Workspace, loserId: string, winnerId: string, actor: Actor): string | null {
  const [loser, winner] = [ws.person(loserId), ws.person(winnerId)]
  if (!loser || !winner || loserId === winnerId) return 'name two different people'
  if (loser.state === 'merged' || winner.state === 'merged') return 'one of the two was merged already'
  if (loser.state === 'erased' || winner.state === 'erased') return 'one of the two is being erased'
  absorbPerson(ws, loserId, winnerId, { at: actor.at_ms, by: `operator:${actor.by}` }, 'fold')
  ws.markUnplanned(winnerId)
  return null
}

/**
 * A record that waits is a second one of a person: what it says becomes the person's, and the record is to go away.
 *
 * @param newId the id of the person that the record is for a moment, whose history it keeps
 */
export function foldRecord(
  ws: Workspace,
  rules: Rules,
  connection: ConnectionRules,
  recordId: string,
  personId: string,
  newId: string,
  actor: Actor,
): string | null {
  const main = ws.linkIn(personId, connection.name)
  if (main?.state !== 'linked') return 'the person has no other record there: link it'
  return linkRecord(ws, rules, connection, recordId, newId, actor) ?? mergePeople(ws, newId, personId, actor)
}

/** A record that waits is none of the people that it may be: it is matched anew without them, now and ever after. */
export function tellApart(ws: Workspace, connection: ConnectionRules, recordId: string): string | null {
  const link = ws.link(connection.name, recordId)
  if (!link || link.state !== 'ambiguous') return 'the record does not wait for a decision any more'
  const record = recordSubject(connection.name, recordId)
  for (const personId of link.candidates ?? []) ws.keepApart(record, personSubject(personId))
  ws.saveLink({ ...withoutFailure(link), state: 'staged' })
  return null
}

/** A second record that was to go away is somebody's own after all: it is matched anew, without the one it was taken for. */
export function unfold(ws: Workspace, connection: ConnectionRules, recordId: string): string | null {
  const link = ws.link(connection.name, recordId)
  if (!link || link.state !== 'second' || link.personId === null) return 'the record is no second one any more'
  if (ws.sending(link.personId, connection.name)) return 'it is going away just now'
  const winner = standing(ws, link.candidates?.[0] ?? '')
  if (winner) ws.keepApart(recordSubject(connection.name, recordId), personSubject(winner.id))
  ws.withdraw(link.personId, connection.name)
  ws.saveLink({ ...withoutFailure(link), personId: null, state: 'staged' })
  return null
}

/** The value that stands is the one, and its going back and forth is over: the brake that held it lets go. */
export function settleCell(
  ws: Workspace,
  rules: Rules,
  personId: string,
  cell: CellKey,
  value: Json,
  actor: Actor,
): void {
  const person = ws.person(personId)
  const current = person?.cells[cell]
  if (!person || !current || !rules.catalogue.equal(cell, current.value, value)) {
    return setCells(ws, rules, personId, { [cell]: value }, actor)
  }
  const settled: Cell = { value: current.value, stamp: actStamp(actor, current), rule: 'act' }
  ws.savePerson({ ...person, cells: { ...person.cells, [cell]: settled } })
  // The brake holds the write that is open; the plan made now takes its place.
  for (const name of rules.connections.keys()) {
    if (ws.openIntent(personId, name)?.held?.startsWith('brake:')) ws.withdraw(personId, name)
  }
}

/** Somebody who was to be deleted everywhere is to stay where they are. */
export function keepPerson(ws: Workspace, personId: string): string | null {
  const person = ws.person(personId)
  if (person?.state !== 'deleted' && person?.state !== 'archived') return 'the person is not to be deleted any more'
  ws.savePerson({ ...person, state: 'live' })
  return null
}
