import { FailureError, failureFrom, type Failure } from '../../engine/core/failure.ts'
import type { UpdateRequest } from '../../engine/core/ports/connector.ts'
import { failureOfStatus, isNotFound, RefusedError } from './errors.ts'
import { groupsOf } from './fields.ts'
import { chunks, GONE, halves, MOVED, NOT_THERE_YET, type Outcomes, type WriterParts } from './outcomes.ts'
import { bodyOf, patchOf, wholeField, type Patch } from './patch.ts'
import { etagIn, parsePerson, revOf, sourceOf } from './people.ts'
import type { Fetched } from './reader.ts'
import { UPDATE_MAX, type Person, type PersonResponse, type Status } from './wire.ts'

interface Change {
  readonly request: UpdateRequest
  readonly person: Person
  readonly patch: Patch
}

/** The updates of one batch. */
export class Updates {
  readonly #parts: WriterParts
  readonly #outcomes: Outcomes
  readonly #signal: AbortSignal | undefined

  constructor(parts: WriterParts, outcomes: Outcomes, signal: AbortSignal | undefined) {
    this.#parts = parts
    this.#outcomes = outcomes
    this.#signal = signal
  }

  async write(requests: readonly UpdateRequest[]): Promise<void> {
    const first = new Map<string, UpdateRequest>()
    for (const request of requests) {
      // The second change to one contact is over a revision that the first makes an old one.
      if (first.has(request.id)) this.#outcomes.fail(request.ref, MOVED)
      else first.set(request.id, request)
    }
    const single = [...first.values()]
    const current = await this.#currentPersons(single)
    const ready = single.flatMap((request) => this.#changeFor(request, current.get(request.id)) ?? [])
    for (const part of chunks(ready, UPDATE_MAX)) await this.#send(part)
  }

  /** The persons to be changed: from memory where exactly that revision was lately read, else all the others in one request. */
  async #currentPersons(requests: readonly UpdateRequest[]): Promise<Map<string, Fetched>> {
    const { held, reader, groups, fields, mask } = this.#parts
    const persons = new Map<string, Fetched>()
    const unknown: string[] = []
    for (const { id, rev } of requests) {
      const person = rev === null ? undefined : held.recall(id, etagIn(rev))
      if (person) persons.set(id, { kind: 'person', id, person })
      else unknown.push(id)
    }
    for (const [id, one] of await reader.fetch(unknown, mask, this.#signal)) persons.set(id, one)
    if (fields.includes('memberships')) {
      await groups.learn(
        [...persons.values()].flatMap((one) => (one.kind === 'person' ? groupsOf(one.person) : [])),
        this.#signal,
      )
    }
    return persons
  }

  #changeFor(request: UpdateRequest, current: Fetched | undefined): Change | undefined {
    const { fields, groups } = this.#parts
    const { ref, rev } = request
    try {
      if (!current) throw new FailureError({ kind: 'bug', message: 'a contact to update was not read' })
      if (current.kind === 'gone') throw new FailureError(GONE)
      if (current.kind === 'broken') throw new FailureError({ ...current.failure, kind: 'permanent' })
      if (current.kind === 'merged') throw new FailureError(MOVED)
      const { person } = current
      if (rev !== null && rev !== revOf(person, fields, groups.names)) throw new FailureError(MOVED)
      const patch = patchOf(person, request.fields, groups.names)
      if (patch.size > 0) return { request, person, patch }
      this.#outcomes.unchanged(ref, person)
    } catch (error) {
      this.#outcomes.fail(ref, failureFrom(error))
    }
    return undefined
  }

  /**
   * One mask holds for all contacts of a request. A field that only some of them change is sent by the others as it stands:
   * each is written over its own etag, so that nothing newer can be undone by that.
   */
  async #send(items: readonly Change[]): Promise<void> {
    if (items.length === 0) return
    const { client, mask } = this.#parts
    const requests = items.map(({ request }) => request)
    if (this.#outcomes.halted) return this.#outcomes.failAll(requests, this.#outcomes.halted)
    const fields = [...new Set(items.flatMap(({ patch }) => [...patch.keys()]))].sort()
    const contacts = Object.fromEntries(
      items.map(({ request, person, patch }) => {
        const whole = new Map(fields.map((field) => [field, patch.get(field) ?? wholeField(person, field)]))
        const { type, id, etag } = sourceOf(person) ?? {}
        return [request.id, { ...bodyOf(whole), resourceName: request.id, metadata: { sources: [{ type, id, etag }] } }]
      }),
    )
    let results: { readonly [name: string]: PersonResponse }
    try {
      results = (await client.batchUpdate(contacts as never, fields.join(','), mask, this.#signal)).updateResult ?? {}
    } catch (error) {
      if (error instanceof RefusedError) return await this.#refused(items, error)
      return this.#outcomes.failAll(requests, failureFrom(error))
    }
    for (const { request } of items) {
      const answer = results[request.id]
      if (answer) this.#settle(request, answer)
    }
  }

  #settle({ ref, id }: UpdateRequest, { person, status }: PersonResponse): void {
    if ((status?.code ?? 0) !== 0) return this.#outcomes.fail(ref, this.#failureFor(id, status ?? {}))
    const parsed = parsePerson(person)
    if (parsed?.kind !== 'person') return
    if (parsed.id === id) return this.#outcomes.written(ref, parsed.person, false)
    // The new values linked it with a profile, and it bears another name now: a read tells that it lives on there.
    this.#parts.journal.wrote(parsed.person, false)
    this.#outcomes.fail(ref, MOVED)
  }

  /**
   * Refused as a whole: contacts that Google names as the cause fail, and the others are sent again; where it names none,
   * halves are, down to the one. Should some of it have been done all the same, its etag has moved, and no more is.
   */
  async #refused(items: readonly Change[], { failure, refusal }: RefusedError): Promise<void> {
    if (!['permanent', 'conflict', 'gone'].includes(failure.kind)) {
      return this.#outcomes.failAll(
        items.map(({ request }) => request),
        failure,
      )
    }
    const rest = items.filter(({ request: { ref, id } }) => {
      const status = refusal.contacts.get(id)
      if (status) this.#outcomes.fail(ref, this.#failureFor(id, status))
      return !status
    })
    if (rest.length < items.length) return await this.#send(rest)
    const [only] = items
    if (only && items.length === 1) {
      const { ref, id } = only.request
      return this.#outcomes.fail(ref, failure.kind === 'gone' ? this.#absence(id) : failure)
    }
    for (const half of halves(items)) await this.#send(half)
  }

  #failureFor(id: string, status: Status): Failure {
    return isNotFound(status) ? this.#absence(id) : failureOfStatus(status)
  }

  /** What we created a moment ago is only not found yet. */
  #absence(id: string): Failure {
    return this.#parts.journal.justCreated(id) ? NOT_THERE_YET : GONE
  }
}
