import { FailureError } from '../../engine/core/failure.ts'
import type { ReadAnswer } from '../../engine/core/ports/connector.ts'
import { parse, type Api, type Call } from './api.ts'
import { departed } from './feed.ts'
import { winnersOf } from './merges.ts'
import type { Seen } from './records.ts'
import { OneUserSchema } from './wire.ts'

/**
 * Reads users by id. One that a list lacks is asked for by itself: `gone` rests on Zendesk's own 404, or on its saying that
 * the user is inactive (I5).
 */
export async function readUsers(api: Api, ids: readonly string[], signal?: AbortSignal): Promise<ReadAnswer[]> {
  const wanted = [...new Set(ids)]
  // Not an id of Zendesk's: there is no such user.
  const numbers = wanted.filter((id) => /^\d{1,16}$/.test(id))
  const seen = await api.show('ids', numbers, signal)
  const listed = new Set(seen.map(idOf))
  const answers: ReadAnswer[] = wanted.filter((id) => !numbers.includes(id)).map((id) => ({ kind: 'gone', id }))
  for (const id of numbers.filter((each) => !listed.has(each))) {
    const single = await showOne(api, id, signal)
    if (single) seen.push(single)
    else answers.push({ kind: 'gone', id })
  }
  const inactive = seen.flatMap((each) => (each.kind === 'inactive' ? [each.user] : []))
  const winners = await winnersOf(api, inactive, seen, signal)
  for (const each of seen.filter((one) => wanted.includes(idOf(one)))) {
    answers.push(each.kind === 'inactive' ? departed(each.user, winners) : answerOf(each))
  }
  return answers
}

export function idOf(seen: Seen): string {
  return seen.kind === 'user' || seen.kind === 'inactive' ? String(seen.user.id) : seen.id
}

/** A user who is there. */
export function answerOf(seen: Exclude<Seen, { kind: 'inactive' }>): ReadAnswer {
  if (seen.kind === 'user') return { kind: 'record', record: seen.record }
  if (seen.kind === 'broken') return { kind: 'broken', id: seen.id, rev: null, failure: seen.failure }
  return { kind: 'broken', id: seen.id, rev: null, failure: STAFF }
}

const STAFF = {
  kind: 'permanent',
  code: 'STAFF',
  message: 'The user is an agent or administrator now; Kith keeps end users only',
  advice: 'Unlink the person from this user, or make the user an end user again in Zendesk',
} as const

async function showOne(api: Api, id: string, signal: AbortSignal | undefined): Promise<Seen | undefined> {
  const query = { include: api.include }
  const call: Call = { method: 'GET', path: `users/${id}`, pattern: 'users/{id}', query, accept: [404], signal }
  const response = await api.send(call)
  if (response.status === 404) return undefined
  const { user, ...related } = parse(response, call, OneUserSchema)
  if (String(user.id) !== id) {
    throw new FailureError({ kind: 'transient', code: 'OTHER', message: 'Zendesk answered with another user' })
  }
  const [seen] = await api.see({ users: [user], ...related }, signal)
  return seen
}
