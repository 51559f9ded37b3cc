import { PERSON_STATE } from './catalogue.ts'
import type { Json, JsonObject } from './json.ts'
import type { Cell, Person } from './person.ts'
import type { Link } from './ports/store.ts'
import { compareStamps, type Stamp } from './stamp.ts'
import { changeOf, type Workspace } from './workspace.ts'

/** Why the merge or the deletion of a second record is held: it cannot be undone, so an operator says yes to each. */
export const DUPLICATE = 'duplicate: a second record goes away for good; see kith review'

/** Why a record, or its absence, takes no part: an operator dropped what a clean-up did to it. */
export const LEFT_OUT = 'left as it is after a clean-up'

/** Why a record that Kith will not link by itself waits for an operator. */
export const SECOND_RECORD = 'a second record of the same person'

/**
 * One person turns out to be another: the loser's values and links become the winner's. Of two values the later stands, the
 * other is kept in the log; where both have a record in one connection, the loser's record is left to an operator, for two
 * records of one person are a duplicate that only a human can judge.
 *
 * Whose word it was, what became of the winner's cells and which records the loser had is in the log: enough to split the two
 * again (undo.ts).
 *
 * @param stamp when, and by whose word: the connection's, or the operator's
 * @param duplicates `ask`: nobody has judged yet. `fold`: an operator has said that the two are one, so the loser's record is
 *   a second one of the winner, to be merged or deleted in its app
 */
export function absorbPerson(
  ws: Workspace,
  loserId: string,
  winnerId: string,
  stamp: Stamp,
  duplicates: 'ask' | 'fold' = 'ask',
): void {
  const loser = ws.person(loserId)
  const winner = ws.person(winnerId)
  if (!loser || !winner || loser.state === 'erased' || winner.state === 'erased') return
  const cells: { [cell: string]: Cell } = { ...winner.cells }
  const now_ms = stamp.at
  for (const { cell: key, kept, lost } of union(loser, winner)) {
    const origin = { personId: winnerId, recordId: null, now_ms }
    const ours = winner.cells[key]?.value ?? null
    if (kept.value !== ours) ws.log(changeOf(origin, key, ours, kept.value, kept.stamp, 'applied', kept.rule))
    cells[key] = kept
    if (lost && lost.value !== null && lost.value !== kept.value) {
      ws.log(changeOf(origin, key, kept.value, lost.value, lost.stamp, 'lost', 'latest'))
    }
  }
  // Somebody who lives does not go with whom they turn out to be: that they are put together is a sign of life.
  const revived = loser.state === 'live' && (winner.state === 'deleted' || winner.state === 'archived')
  if (revived) {
    const origin = { personId: winnerId, recordId: null, now_ms }
    ws.log(changeOf(origin, PERSON_STATE, winner.state, 'live', stamp, 'applied', 'act'))
  }
  ws.savePerson({ ...winner, cells, state: revived ? 'live' : winner.state } satisfies Person)
  ws.savePerson({ ...loser, state: 'merged', mergedInto: winnerId })
  const merged = mergedState(winnerId, ws.linksOf(loserId))
  ws.log(
    changeOf({ personId: loserId, recordId: null, now_ms }, PERSON_STATE, loser.state, merged, stamp, 'applied', 'act'),
  )
  // A record that is being created for the loser just now is not among its links yet.
  ws.markUnplanned(loserId)
  for (const link of ws.linksOf(loserId)) {
    // Its values are in the log, and the two records say what they said.
    for (const conflict of ws.conflictsOf(loserId, link.connection)) ws.saveConflict({ ...conflict, open: false })
    if (link.state === 'second') {
      ws.saveLink({ ...link, candidates: [winnerId] })
      continue
    }
    const rival = ws.linkIn(winnerId, link.connection)
    const duplicate = rival !== undefined && rival.state !== 'gone' && link.state !== 'gone'
    if (duplicate && duplicates === 'fold' && link.state === 'linked' && rival.state === 'linked') {
      ws.saveLink({ ...link, state: 'second', candidates: [winnerId], reason: SECOND_RECORD })
      ws.withdraw(loserId, link.connection)
      continue
    }
    ws.saveLink(
      duplicate
        ? {
            ...link,
            personId: null,
            state: 'ambiguous',
            candidates: [winnerId],
            reason: SECOND_RECORD,
          }
        : { ...link, personId: winnerId },
    )
    ws.withdraw(loserId, link.connection)
  }
}

/** In the log: into whom somebody was merged, and which records were theirs until then. */
export interface MergedState {
  readonly into: string
  readonly records: readonly { readonly connection: string; readonly record: string }[]
}

function mergedState(into: string, links: readonly Link[]): Json {
  const records = links
    .filter(({ state }) => state !== 'gone')
    .map(({ connection, recordId }) => ({ connection, record: recordId }))
  return { state: 'merged', into, records }
}

/** What the log says of a merge; null for any other value. */
export function mergedStateFrom(value: Json): MergedState | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null
  const { into, records } = value
  if (typeof into !== 'string' || !Array.isArray(records)) return null
  const named = records.map((one) => one as JsonObject)
  return {
    into,
    records: named.map((one) => ({ connection: String(one['connection']), record: String(one['record']) })),
  }
}

/** Cell by cell, what becomes of two people's values when they are one. */
export function union(loser: Person, winner: Person): { cell: string; kept: Cell; lost: Cell | undefined }[] {
  return Object.entries(loser.cells).map(([cell, theirs]) => {
    const ours = winner.cells[cell]
    const stands =
      !ours || ours.value === null || (theirs.value !== null && compareStamps(theirs.stamp, ours.stamp) > 0)
    return stands ? { cell, kept: theirs, lost: ours } : { cell, kept: ours, lost: theirs }
  })
}

/** Who somebody is by now, as far as it is known here; undefined where that is somebody who was not loaded. */
export function standing(ws: Workspace, personId: string): Person | undefined {
  let person = ws.person(personId)
  // A person is merged once: the chain ends.
  while (person?.state === 'merged' && person.mergedInto !== undefined) person = ws.person(person.mergedInto)
  return person
}
