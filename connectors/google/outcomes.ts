import type { Failure } from '../../engine/core/failure.ts'
import type { WriteOutcome, WriteRequest } from '../../engine/core/ports/connector.ts'
import type { PeopleClient } from './client.ts'
import type { FieldName } from './fields.ts'
import type { Keys } from './find.ts'
import type { Groups } from './groups.ts'
import type { HeldPersons } from './held.ts'
import type { Journal } from './journal.ts'
import { recordOf } from './people.ts'
import type { Reader } from './reader.ts'
import type { Person } from './wire.ts'

/** What writing needs. */
export interface WriterParts {
  readonly client: PeopleClient
  readonly reader: Reader
  readonly groups: Groups
  readonly journal: Journal
  readonly held: HeldPersons
  readonly keys: Keys
  readonly fields: readonly FieldName[]
  readonly mask: string
}

/** Failures after which the rest of a batch would only meet the same. */
const HALTING = new Set(['auth', 'ratelimited', 'transient'])

/** The outcomes of one batch, as they come in. */
export class Outcomes {
  readonly #parts: WriterParts
  readonly #byRef = new Map<string, WriteOutcome>()
  /** Set once something failed that would fail for every request: the rest is answered with it, unsent. */
  #halted: Failure | undefined

  constructor(parts: WriterParts) {
    this.#parts = parts
  }

  get halted(): Failure | undefined {
    return this.#halted
  }

  has(ref: string): boolean {
    return this.#byRef.has(ref)
  }

  of(ref: string): WriteOutcome {
    return this.#byRef.get(ref) ?? { ref, kind: 'failed', failure: UNANSWERED }
  }

  /** Google's answer: what the contact is now. */
  written(ref: string, person: Person, created: boolean): void {
    this.#parts.journal.wrote(person, created)
    this.unchanged(ref, person)
  }

  /** The contact says it already. */
  unchanged(ref: string, person: Person): void {
    const { held, fields, groups } = this.#parts
    held.remember(person)
    this.#byRef.set(ref, { ref, kind: 'written', record: recordOf(person, fields, groups.names) })
  }

  deleted(ref: string, id: string): void {
    this.#byRef.set(ref, { ref, kind: 'deleted', id })
  }

  fail(ref: string, failure: Failure): void {
    this.#byRef.set(ref, { ref, kind: 'failed', failure })
  }

  /** Fails those that have no outcome yet, with what would fail for the rest of the batch too. */
  failAll(requests: readonly WriteRequest[], failure: Failure): void {
    for (const { ref } of requests) if (!this.has(ref)) this.fail(ref, failure)
    if (HALTING.has(failure.kind)) this.#halted ??= failure
  }
}

/** Every part of `items` of that size. */
export function chunks<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, n) => items.slice(n * size, (n + 1) * size))
}

/** The two halves: how the one at fault is found where Google does not name it. */
export function halves<T>(items: readonly T[]): [T[], T[]] {
  const half = Math.ceil(items.length / 2)
  return [items.slice(0, half), items.slice(half)]
}

const UNANSWERED: Failure = {
  kind: 'uncertain',
  code: 'NO-ANSWER',
  message: 'Google gave no answer for this contact',
}

export const MOVED: Failure = {
  kind: 'conflict',
  code: 'FAILED_PRECONDITION',
  message: 'The contact was changed in Google since it was read',
}

export const GONE: Failure = {
  kind: 'gone',
  code: 'NOT_FOUND',
  message: 'The contact is no longer in Google Contacts',
}

export const NOT_THERE_YET: Failure = {
  kind: 'transient',
  code: 'NOT_FOUND',
  message: 'Google does not know the new contact everywhere yet',
}
