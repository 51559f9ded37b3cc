/**
 * What can go wrong with an app, as data. The kinds are total: every failure is one of them, and each has one action.
 *
 * - `transient`   a socket error or an unknown 5xx: nothing was done, try again with a growing pause
 * - `ratelimited` the app asked us to wait: try again after `retryAfter_ms`
 * - `auth`        the credentials are refused: the connection stops and says so
 * - `conflict`    the record moved under our precondition: read it again, merge, plan anew
 * - `gone`        the record is no longer there: hear the deletion
 * - `permanent`   the app refuses this record's data: park it with cause and fix, go on with the rest
 * - `uncertain`   the answer to a write was lost: find out what became of it before anything else
 * - `bug`         our own mistake: park it, keep the details
 */
export type FailureKind = 'transient' | 'ratelimited' | 'auth' | 'conflict' | 'gone' | 'permanent' | 'uncertain' | 'bug'

export interface Failure {
  readonly kind: FailureKind
  /** One sentence an operator understands. It names no secret and no personal value (I15). */
  readonly message: string
  /** What the app called it: an HTTP status, an error code. */
  readonly code?: string
  /** What to do about it, where the connector knows better than the kind's general advice. */
  readonly advice?: string
  /** How long the app asked us to wait. */
  readonly retryAfter_ms?: number
}

/** A {@link Failure} on its way up. Connectors throw nothing else on purpose; whatever else arrives is a `bug`. */
export class FailureError extends Error {
  override readonly name = 'FailureError'
  readonly failure: Failure

  constructor(failure: Failure, options?: { cause?: unknown }) {
    super(failure.message, options)
    this.failure = failure
  }
}

/** Any thrown thing as a failure. */
export function failureFrom(error: unknown): Failure {
  if (error instanceof FailureError) return error.failure
  // Not by instanceof: an error of another realm is an error all the same.
  const { name, message } = Object(error) as { name?: unknown; message?: unknown }
  return { kind: 'bug', message: typeof message === 'string' ? `${String(name)}: ${message}` : 'an unknown error' }
}

/** What happens to an intent that met a failure. */
export type Reaction = 'retry' | 'wait' | 'stop-connection' | 'reread' | 'hear-deletion' | 'park' | 'find-out'

const REACTIONS: { readonly [kind in FailureKind]: Reaction } = {
  transient: 'retry',
  ratelimited: 'wait',
  auth: 'stop-connection',
  conflict: 'reread',
  gone: 'hear-deletion',
  permanent: 'park',
  uncertain: 'find-out',
  bug: 'park',
}

export function reactionTo(kind: FailureKind): Reaction {
  return REACTIONS[kind]
}

const ADVICE: { readonly [kind in FailureKind]: string } = {
  transient: 'Kith tries again by itself.',
  ratelimited: 'Kith waits as the app asked, then goes on.',
  auth: 'Check the credentials in kith.yaml, then run: kith check',
  conflict: 'Kith reads the record again and merges.',
  gone: 'The record was deleted in the app; Kith follows the delete policy.',
  permanent: 'Correct the value in one of the apps; or run: kith parked retry, or: kith parked drop',
  uncertain: 'Kith finds out what became of the write before it tries again.',
  bug: 'This is a mistake in Kith. Please report it; then run: kith parked retry',
}

/** The sentence that tells an operator what to do next. */
export function adviceFor(failure: Failure): string {
  return failure.advice ?? ADVICE[failure.kind]
}

/** The pause before attempt number `attempt` (1 for the first retry), in milliseconds: doubling, from 1 s to 15 min. */
export function backoff_ms(attempt: number): number {
  return Math.min(1000 * 2 ** Math.max(0, attempt - 1), 15 * 60_000)
}

/** Attempts after which a write that keeps failing with a transient error is parked: about a day of trying. */
export const ATTEMPTS_MAX = 100
