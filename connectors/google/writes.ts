import { FailureError, failureFrom, type Failure } from '../../engine/core/failure.ts'
import type {
  CreateRequest,
  DeleteRequest,
  UpdateRequest,
  WriteOutcome,
  WriteRequest,
} from '../../engine/core/ports/connector.ts'
import type { PeopleClient } from './client.ts'
import { failureOfStatus, isNotFound, RefusedError } from './errors.ts'
import { groupsOf, type FieldName } from './fields.ts'
import { KEY_NAME, keyOf, type Keys } from './find.ts'
import type { Groups } from './groups.ts'
import type { HeldPersons } from './held.ts'
import type { Journal } from './journal.ts'
import { etagIn, etagOf, parsePerson, recordOf, revOf, sourceOf } from './people.ts'
import { patchOf, wholeField, type Patch } from './patch.ts'
import type { Fetched, Reader } from './reader.ts'
import { CREATE_MAX, DELETE_MAX, UPDATE_MAX, type Person, type PersonResponse } from './wire.ts'

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

interface Creation {
  readonly request: CreateRequest
  readonly patch: Patch
}

interface Change {
  readonly request: UpdateRequest
  readonly person: Person
  readonly patch: Patch
}

type Body = { [field: string]: unknown }

/** One batch of writes: one request for its creates, one for its updates, one for its deletes, one after the other. */
export class Batch {
  readonly #parts: WriterParts
  readonly #signal: AbortSignal | undefined
  readonly #outcomes = new Map<string, WriteOutcome>()
  /** Set once something failed that would fail for every request: the rest is answered with it, unsent. */
  #halted: Failure | undefined

  constructor(parts: WriterParts, signal: AbortSignal | undefined) {
    this.#parts = parts
    this.#signal = signal
  }

  /** @throws FailureError only where nothing was written, for one and the same reason */
  async write(requests: readonly WriteRequest[]): Promise<WriteOutcome[]> {
    const updates = requests.filter((request) => request.op === 'update')
    const creates = requests.filter((request) => request.op === 'create')
    const deletes = requests.filter((request) => request.op === 'delete')
    await this.#step([...updates, ...creates], () => this.#makeLabels([...updates, ...creates]))
    await this.#step(updates, () => this.#update(updates))
    await this.#step(creates, () => this.#create(creates))
    await this.#step(deletes, () => this.#delete(deletes))
    const outcomes = requests.map(({ ref }) => this.#outcomes.get(ref) ?? failed(ref, unanswered()))
    const halted = this.#halted
    if (halted && outcomes.every((outcome) => outcome.kind === 'failed' && outcome.failure === halted)) {
      throw new FailureError(halted)
    }
    return outcomes
  }

  /** What fails before anything of it is sent fails for all of it. */
  async #step(requests: readonly WriteRequest[], work: () => Promise<void>): Promise<void> {
    const open = requests.filter(({ ref }) => !this.#outcomes.has(ref))
    if (open.length === 0) return
    if (this.#halted) return this.#failAll(open, this.#halted)
    try {
      await work()
    } catch (error) {
      this.#failAll(open, failureFrom(error))
    }
  }

  #failAll(requests: readonly WriteRequest[], failure: Failure): void {
    for (const { ref } of requests) if (!this.#outcomes.has(ref)) this.#outcomes.set(ref, failed(ref, failure))
    if (['auth', 'ratelimited', 'transient'].includes(failure.kind)) this.#halted ??= failure
  }

  #fail(ref: string, failure: Failure): void {
    this.#outcomes.set(ref, failed(ref, failure))
  }

  async #makeLabels(requests: readonly (CreateRequest | UpdateRequest)[]): Promise<void> {
    await this.#parts.groups.ensure(
      requests.map(({ fields }) => fields),
      this.#signal,
    )
  }

  async #create(requests: readonly CreateRequest[]): Promise<void> {
    const ready = requests.flatMap((request): Creation[] => {
      try {
        return [{ request, patch: patchOf(null, request.fields, this.#parts.groups.names) }]
      } catch (error) {
        this.#fail(request.ref, failureFrom(error))
        return []
      }
    })
    for (const part of chunks(ready, CREATE_MAX)) await this.#sendCreates(part)
  }

  async #sendCreates(items: readonly Creation[]): Promise<void> {
    if (items.length === 0) return
    const { client, keys, mask } = this.#parts
    const requests = items.map(({ request }) => request)
    if (this.#halted) return this.#failAll(requests, this.#halted)
    for (const { key } of requests) keys.sent(key)
    let created: readonly PersonResponse[]
    try {
      const bodies = items.map(({ request, patch }) => ({
        ...bodyOf(patch),
        clientData: [{ key: KEY_NAME, value: request.key }],
      }))
      created = (await client.batchCreate(bodies, `clientData,${mask}`, this.#signal)).createdPeople ?? []
    } catch (error) {
      if (error instanceof RefusedError) {
        // Refused is refused whole: those that were not at fault are sent again without those that were.
        return await this.#apart(
          items,
          error,
          (_, index) => error.refusal.contacts.get(String(index)),
          (part) => this.#sendCreates(part),
        )
      }
      const failure = failureFrom(error)
      // Google may have failed after it created: a second try could make a second contact.
      const doubtful = failure.kind === 'transient' && /^5\d\d$/.test(failure.code ?? '')
      return this.#failAll(requests, doubtful ? { ...failure, kind: 'uncertain' } : failure)
    }
    this.#settleCreated(items, created)
  }

  /** Answers are told apart by our key: nothing says that they come in the order of the request. */
  #settleCreated(items: readonly Creation[], created: readonly PersonResponse[]): void {
    const byKey = new Map(items.map(({ request }) => [request.key, request]))
    for (const [index, { person, status }] of created.entries()) {
      const parsed = parsePerson(person)
      const key = parsed?.kind === 'person' ? keyOf(parsed.person) : undefined
      const request = key === undefined ? undefined : byKey.get(key)
      if (parsed?.kind === 'person' && request) {
        this.#parts.keys.answered(request.key)
        this.#written(request.ref, parsed.person, true)
      } else if ((status?.code ?? 0) !== 0 && created.length === items.length) {
        const { request: refused } = items[index] as Creation
        this.#parts.keys.answered(refused.key)
        this.#fail(refused.ref, asCreate(failureOfStatus(status ?? {})))
      }
    }
  }

  async #update(requests: readonly UpdateRequest[]): Promise<void> {
    const twice = new Set<string>()
    const single = requests.filter(({ id, ref }) => {
      if (twice.has(id)) this.#fail(ref, moved())
      return !twice.has(id) && twice.add(id)
    })
    const current = await this.#currentPersons(single)
    const ready = single.flatMap((request) => this.#changeFor(request, current.get(request.id)) ?? [])
    for (const part of chunks(ready, UPDATE_MAX)) await this.#sendUpdates(part)
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
    const read = await reader.fetch(unknown, mask, this.#signal)
    if (fields.includes('memberships')) {
      const all = [...persons.values(), ...read.values()]
      await groups.learn(
        all.flatMap((one) => (one.kind === 'person' ? groupsOf(one.person) : [])),
        this.#signal,
      )
    }
    return new Map([...persons, ...read])
  }

  #changeFor(request: UpdateRequest, current: Fetched | undefined): Change | undefined {
    const { fields, groups } = this.#parts
    const { ref, rev } = request
    try {
      if (!current) throw new FailureError({ kind: 'bug', message: 'a contact to update was not read' })
      if (current.kind === 'gone') throw new FailureError(goneNow())
      if (current.kind === 'broken') throw new FailureError({ ...current.failure, kind: 'permanent' })
      if (current.kind === 'merged') throw new FailureError(moved())
      const { person } = current
      if (rev !== null && rev !== revOf(person, fields, groups.names)) throw new FailureError(moved())
      const patch = patchOf(person, request.fields, groups.names)
      if (patch.size > 0) return { request, person, patch }
      this.#parts.held.remember(person)
      this.#outcomes.set(ref, { ref, kind: 'written', record: recordOf(person, fields, groups.names) })
    } catch (error) {
      this.#fail(ref, failureFrom(error))
    }
    return undefined
  }

  /**
   * One mask holds for all contacts of a request. A field that only some of them change is sent by the others as it stands:
   * each is written over its own etag, so that nothing newer can be undone by that.
   */
  async #sendUpdates(items: readonly Change[]): Promise<void> {
    if (items.length === 0) return
    const { client, mask } = this.#parts
    const requests = items.map(({ request }) => request)
    if (this.#halted) return this.#failAll(requests, this.#halted)
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
      if (!(error instanceof RefusedError)) return this.#failAll(requests, failureFrom(error))
      return await this.#apart(
        items,
        error,
        ({ request }) => error.refusal.contacts.get(request.id),
        (part) => this.#sendUpdates(part),
      )
    }
    for (const { request } of items) {
      const answer = results[request.id]
      if (answer) this.#settleUpdated(request, answer)
    }
  }

  #settleUpdated({ ref, id }: UpdateRequest, { person, status }: PersonResponse): void {
    if ((status?.code ?? 0) !== 0) return this.#fail(ref, this.#failureFor(id, status ?? {}))
    const parsed = parsePerson(person)
    if (parsed?.kind !== 'person') return
    if (parsed.id === id) return this.#written(ref, parsed.person, false)
    // The new values linked it with a profile, and it bears another name now: a read tells that it lives on there.
    this.#parts.journal.wrote(parsed.person, false)
    this.#fail(ref, moved())
  }

  #written(ref: string, person: Person, created: boolean): void {
    const { journal, held, fields, groups } = this.#parts
    journal.wrote(person, created)
    held.remember(person)
    this.#outcomes.set(ref, { ref, kind: 'written', record: recordOf(person, fields, groups.names) })
  }

  /**
   * A request was refused as a whole. Where Google names the contacts at fault, they fail and the others are sent again;
   * where it does not, halves are sent, down to the one.
   */
  async #apart<Item extends { readonly request: CreateRequest | UpdateRequest }>(
    items: readonly Item[],
    error: RefusedError,
    named: (item: Item, index: number) => ReturnType<RefusedError['refusal']['contacts']['get']>,
    again: (items: readonly Item[]) => Promise<void>,
  ): Promise<void> {
    const { failure } = error
    if (!['permanent', 'conflict', 'gone'].includes(failure.kind)) {
      return this.#failAll(
        items.map(({ request }) => request),
        failure,
      )
    }
    const rest = items.filter((item, index) => {
      const status = named(item, index)
      if (!status) return true
      const { request } = item
      this.#fail(
        request.ref,
        request.op === 'create' ? asCreate(failureOfStatus(status)) : this.#failureFor(request.id, status),
      )
      if (request.op === 'create') this.#parts.keys.answered(request.key)
      return false
    })
    if (rest.length < items.length) return await again(rest)
    const [only] = items
    if (only && items.length === 1) {
      const { request } = only
      if (request.op === 'create') {
        this.#parts.keys.answered(request.key)
        return this.#fail(request.ref, asCreate(failure))
      }
      return this.#fail(request.ref, failure.kind === 'gone' ? this.#failureFor(request.id, { code: 5 }) : failure)
    }
    const half = Math.ceil(items.length / 2)
    await again(items.slice(0, half))
    await again(items.slice(half))
  }

  /** Not found, what we created a moment ago is only not found yet. */
  #failureFor(id: string, status: { code?: number | undefined }): Failure {
    if (!isNotFound({ code: status.code })) return failureOfStatus({ code: status.code })
    return this.#parts.journal.justCreated(id) ? notThereYet() : goneNow()
  }

  /**
   * Google deletes without a precondition, so the contacts are looked at just before: what is left of the race is the time of
   * one request.
   */
  async #delete(requests: readonly DeleteRequest[]): Promise<void> {
    const { reader, journal, client, held } = this.#parts
    const current = await reader.fetch(
      requests.map(({ id }) => id),
      'metadata',
      this.#signal,
    )
    const doomed: DeleteRequest[] = []
    for (const request of requests) {
      const { ref, id, rev } = request
      const found = current.get(id)
      if (found?.kind === 'gone') this.#outcomes.set(ref, { ref, kind: 'deleted', id })
      else if (found?.kind === 'merged') this.#fail(ref, moved())
      else if (found?.kind === 'person' && rev !== null && etagOf(found.person) !== etagIn(rev))
        this.#fail(ref, moved())
      else doomed.push(request)
    }
    const send = async (items: readonly DeleteRequest[]): Promise<void> => {
      if (items.length === 0) return
      if (this.#halted) return this.#failAll(items, this.#halted)
      try {
        await client.batchDelete(
          items.map(({ id }) => id),
          this.#signal,
        )
      } catch (error) {
        const refused = error instanceof RefusedError && ['gone', 'permanent', 'conflict'].includes(error.failure.kind)
        if (!refused) return this.#failAll(items, failureFrom(error))
        if (items.length > 1) {
          const half = Math.ceil(items.length / 2)
          await send(items.slice(0, half))
          return await send(items.slice(half))
        }
        if (error.failure.kind !== 'gone') return this.#failAll(items, error.failure)
      }
      for (const { ref, id } of items) {
        const found = current.get(id)
        journal.deleted(id, found?.kind === 'person' ? etagOf(found.person) : null)
        held.forget(id)
        this.#outcomes.set(ref, { ref, kind: 'deleted', id })
      }
    }
    for (const part of chunks(doomed, DELETE_MAX)) await send(part)
  }
}

function bodyOf(patch: Patch): Body {
  return Object.fromEntries([...patch].map(([field, items]) => [field, [...items]]))
}

function chunks<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, n) => items.slice(n * size, (n + 1) * size))
}

function failed(ref: string, failure: Failure): WriteOutcome {
  return { ref, kind: 'failed', failure }
}

function moved(): Failure {
  return {
    kind: 'conflict',
    code: 'FAILED_PRECONDITION',
    message: 'The contact was changed in Google since it was read',
  }
}

function goneNow(): Failure {
  return { kind: 'gone', code: 'NOT_FOUND', message: 'The contact is no longer in Google Contacts' }
}

function notThereYet(): Failure {
  return { kind: 'transient', code: 'NOT_FOUND', message: 'Google does not know the new contact everywhere yet' }
}

function unanswered(): Failure {
  return { kind: 'uncertain', code: 'NO-ANSWER', message: 'Google gave no answer for this contact' }
}

/** A create has no record that could be changed or gone: what sounds like it is a refusal of its data. */
function asCreate(failure: Failure): Failure {
  return failure.kind === 'conflict' || failure.kind === 'gone' ? { ...failure, kind: 'permanent' } : failure
}
