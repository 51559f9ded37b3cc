import type { Api } from './api.ts'
import { same } from './identities.ts'
import type { Seen } from './records.ts'
import { UsersSchema, type User } from './wire.ts'

/** Merging is done by hand, one by one. More deletions than this at once are a clean-up, and none is looked into. */
const LOOKUPS_MAX = 50

/**
 * Where deactivated users went. Zendesk's API has no word for a merge: the loser turns inactive, and its addresses move to
 * the winner. An address is one user's alone, so that one which the loser had, and which stands at another user since
 * before the loser was deactivated, has moved there by a merge. Where the inactive row no longer tells an address, nothing
 * can be said (README, merges).
 *
 * @param page users of the same answer, who often are the winners
 * @returns the winner's id by the loser's
 * @throws FailureError
 */
export async function winnersOf(
  api: Api,
  losers: readonly User[],
  page: readonly Seen[],
  signal: AbortSignal | undefined,
): Promise<Map<number, number>> {
  const winners = new Map<number, number>()
  const addressed = losers.filter(({ email }) => typeof email === 'string' && email !== '')
  for (const loser of addressed) {
    const winner = winnerIn(page, loser)
    if (winner !== undefined) winners.set(loser.id, winner)
  }
  const open = addressed.filter(({ id }) => !winners.has(id))
  if (open.length > LOOKUPS_MAX) return winners
  for (const loser of open) {
    const answer = await api.ask(
      {
        method: 'GET',
        path: 'users/search',
        pattern: 'users/search',
        query: { query: `email:"${(loser.email ?? '').replaceAll('"', '')}"`, include: 'identities' },
        signal,
      },
      UsersSchema,
    )
    const winner = winnerIn(await api.see(answer, signal), loser)
    if (winner !== undefined) winners.set(loser.id, winner)
  }
  return winners
}

function winnerIn(users: readonly Seen[], loser: User): number | undefined {
  const deactivated_ms = Date.parse(loser.updated_at ?? '')
  for (const seen of users) {
    if (seen.kind !== 'user' || seen.user.id === loser.id) continue
    const moved = seen.identities.some(
      ({ type, value, created_at }) =>
        type === 'email' && same(value, loser.email ?? '') && Date.parse(created_at ?? '') < deactivated_ms,
    )
    if (moved) return seen.user.id
  }
  return undefined
}
