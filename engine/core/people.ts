import type { Cell, Person } from './person.ts'
import { compareStamps } from './stamp.ts'
import { changeOf, type Workspace } from './workspace.ts'

/** Why a record that Kith will not link by itself waits for an operator. */
export const SECOND_RECORD = 'a second record of the same person'

/**
 * One person turns out to be another: the loser's values and links become the winner's. Of two values the later stands, the
 * other is kept in the log; where both have a record in one connection, the loser's record is left to an operator, for two
 * records of one person are a duplicate that only a human can judge.
 */
export function absorbPerson(ws: Workspace, loserId: string, winnerId: string, now_ms: number): void {
  const loser = ws.person(loserId)
  const winner = ws.person(winnerId)
  if (!loser || !winner) return
  const cells: { [cell: string]: Cell } = { ...winner.cells }
  for (const [key, theirs] of Object.entries(loser.cells)) {
    const ours = cells[key]
    const stands =
      !ours || ours.value === null || (theirs.value !== null && compareStamps(theirs.stamp, ours.stamp) > 0)
    const [kept, lost] = stands ? [theirs, ours] : [ours, theirs]
    cells[key] = kept
    if (lost && lost.value !== null && lost.value !== kept.value) {
      const origin = { personId: winnerId, recordId: null, now_ms }
      ws.log(changeOf(origin, key, kept.value, lost.value, lost.stamp, 'lost', 'latest'))
    }
  }
  ws.savePerson({ ...winner, cells } satisfies Person)
  ws.savePerson({ ...loser, state: 'merged', mergedInto: winnerId })
  // A record that is being created for the loser just now is not among its links yet.
  ws.markUnplanned(loserId)
  for (const link of ws.linksOf(loserId)) {
    const rival = ws.linkIn(winnerId, link.connection)
    const duplicate = rival !== undefined && rival.state !== 'gone' && link.state !== 'gone'
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
