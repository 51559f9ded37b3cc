import { FailureError } from '../../engine/core/failure.ts'
import type { ReadAnswer } from '../../engine/core/ports/connector.ts'
import type { PeopleClient } from './client.ts'
import { failureOfStatus, isNotFound, malformed, RefusedError } from './errors.ts'
import type { Journal } from './journal.ts'
import { etagOf, parsePerson, type Parsed } from './people.ts'
import { READ_MAX, type PersonResponse } from './wire.ts'

export type Fetched = Parsed | (ReadAnswer & { readonly kind: 'gone' | 'merged' })

/** Reads persons by name, and takes what we wrote of late for the newer truth. */
export class Reader {
  readonly #client: PeopleClient
  readonly #journal: Journal

  constructor(client: PeopleClient, journal: Journal) {
    this.#client = client
    this.#journal = journal
  }

  /**
   * Reads any number of persons, one answer per id.
   * @throws FailureError for what fails as a whole
   */
  async fetch(
    ids: readonly string[],
    personFields: string,
    signal: AbortSignal | undefined,
  ): Promise<Map<string, Fetched>> {
    const wanted = [...new Set(ids)]
    const fetched = new Map<string, Fetched>()
    for (let start = 0; start < wanted.length; start += READ_MAX) {
      for (const one of await this.#batch(wanted.slice(start, start + READ_MAX), personFields, signal)) {
        fetched.set(one.id, one)
      }
    }
    return fetched
  }

  async #batch(ids: readonly string[], personFields: string, signal: AbortSignal | undefined): Promise<Fetched[]> {
    let responses: readonly PersonResponse[]
    try {
      responses = (await this.#client.batchGet(ids, personFields, signal)).responses ?? []
    } catch (error) {
      // Should one that is not there spoil the answer for all, each half is asked for by itself.
      const refused = error instanceof RefusedError && error.refusal.fromApi && [400, 404].includes(error.refusal.http)
      if (!refused) throw error
      const [only, ...rest] = ids
      if (only !== undefined && rest.length === 0) {
        if (error.refusal.status === 'NOT_FOUND') return [this.#lacking(only)]
        return [{ kind: 'broken', id: only, rev: null, failure: { ...error.failure, kind: 'permanent' } }]
      }
      const half = Math.ceil(ids.length / 2)
      return [
        ...(await this.#batch(ids.slice(0, half), personFields, signal)),
        ...(await this.#batch(ids.slice(half), personFields, signal)),
      ]
    }
    const answers = new Map<string, PersonResponse>()
    for (const response of responses) {
      const asked = response.requestedResourceName ?? parsePerson(response.person)?.id
      if (asked !== undefined) answers.set(asked, response)
    }
    return ids.map((id) => {
      const response = answers.get(id)
      if (!response) throw malformed('GET people:batchGet', 'it does not speak of all that was asked for', false)
      return this.#answer(id, response)
    })
  }

  #answer(id: string, { person, status, httpStatusCode }: PersonResponse): Fetched {
    if (isNotFound(status ?? {}) || httpStatusCode === 404) return this.#lacking(id)
    if ((status?.code ?? 0) !== 0) {
      const failure = failureOfStatus(status ?? {})
      // Not a fault of this record: the whole reading is tried again.
      if (failure.kind !== 'permanent') throw new FailureError(failure)
      return { kind: 'broken', id, rev: null, failure }
    }
    const parsed = parsePerson(person)
    if (!parsed) throw malformed('GET people:batchGet', 'it lacks a person', false)
    if (parsed.id !== id) return { kind: 'merged', id, into: parsed.id }
    if (parsed.kind === 'broken') return parsed
    const latest = this.#journal.latest(parsed.person)
    // A person without the contact is the profile that it was linked with: the contact is no more.
    if (latest === null || (etagOf(latest) === null && latest.metadata?.sources !== undefined))
      return { kind: 'gone', id }
    return { kind: 'person', id, person: latest }
  }

  /** What we created a moment ago may not have reached the readers: its absence says nothing yet. */
  #lacking(id: string): Fetched {
    const person = this.#journal.justCreated(id)
    return person ? { kind: 'person', id, person } : { kind: 'gone', id }
  }
}
