import { failureFrom, type Failure } from '../../engine/core/failure.ts'
import type { CreateRequest } from '../../engine/core/ports/connector.ts'
import { failureOfStatus, RefusedError } from './errors.ts'
import { KEY_NAME, keyOf } from './find.ts'
import { chunks, halves, type Outcomes, type WriterParts } from './outcomes.ts'
import { bodyOf, patchOf, type Patch } from './patch.ts'
import { parsePerson } from './people.ts'
import { CREATE_MAX, type PersonResponse } from './wire.ts'

interface Creation {
  readonly request: CreateRequest
  readonly patch: Patch
}

/** The creates of one batch. */
export class Creates {
  readonly #parts: WriterParts
  readonly #outcomes: Outcomes
  readonly #signal: AbortSignal | undefined

  constructor(parts: WriterParts, outcomes: Outcomes, signal: AbortSignal | undefined) {
    this.#parts = parts
    this.#outcomes = outcomes
    this.#signal = signal
  }

  async write(requests: readonly CreateRequest[]): Promise<void> {
    const ready = requests.flatMap((request): Creation[] => {
      try {
        return [{ request, patch: patchOf(null, request.fields, this.#parts.groups.names) }]
      } catch (error) {
        this.#outcomes.fail(request.ref, failureFrom(error))
        return []
      }
    })
    for (const part of chunks(ready, CREATE_MAX)) await this.#send(part)
  }

  async #send(items: readonly Creation[]): Promise<void> {
    if (items.length === 0) return
    const { client, keys, mask } = this.#parts
    const requests = items.map(({ request }) => request)
    if (this.#outcomes.halted) return this.#outcomes.failAll(requests, this.#outcomes.halted)
    for (const { key } of requests) keys.sent(key)
    let created: readonly PersonResponse[]
    try {
      const bodies = items.map(({ request, patch }) => ({
        ...bodyOf(patch),
        clientData: [{ key: KEY_NAME, value: request.key }],
      }))
      created = (await client.batchCreate(bodies, `clientData,${mask}`, this.#signal)).createdPeople ?? []
    } catch (error) {
      if (error instanceof RefusedError) return await this.#refused(items, error)
      const failure = failureFrom(error)
      // Google may have failed after it created: a second try could make a second contact.
      const doubtful = failure.kind === 'transient' && /^5\d\d$/.test(failure.code ?? '')
      return this.#outcomes.failAll(requests, doubtful ? { ...failure, kind: 'uncertain' } : failure)
    }
    this.#settle(items, created)
  }

  /** Answers are told apart by our key: nothing says that they come in the order of the request. */
  #settle(items: readonly Creation[], created: readonly PersonResponse[]): void {
    const byKey = new Map(items.map(({ request }) => [request.key, request]))
    for (const [index, { person, status }] of created.entries()) {
      const parsed = parsePerson(person)
      const key = parsed?.kind === 'person' ? keyOf(parsed.person) : undefined
      const request = key === undefined ? undefined : byKey.get(key)
      if (parsed?.kind === 'person' && request) {
        this.#parts.keys.answered(request.key)
        this.#outcomes.written(request.ref, parsed.person, true)
      } else if ((status?.code ?? 0) !== 0 && created.length === items.length) {
        this.#fail(items[index] as Creation, failureOfStatus(status ?? {}))
      }
    }
  }

  /**
   * Refused is refused whole, as the description has it. Those that Google names as the cause fail and the others are sent
   * again; where it names none, halves are, down to the one.
   */
  async #refused(items: readonly Creation[], { failure, refusal }: RefusedError): Promise<void> {
    if (!['permanent', 'conflict', 'gone'].includes(failure.kind)) {
      return this.#outcomes.failAll(
        items.map(({ request }) => request),
        failure,
      )
    }
    const rest = items.filter((item, index) => {
      const status = refusal.contacts.get(String(index))
      if (status) this.#fail(item, failureOfStatus(status))
      return !status
    })
    if (rest.length < items.length) return await this.#send(rest)
    const [only] = items
    if (only && items.length === 1) return this.#fail(only, failure)
    for (const half of halves(items)) await this.#send(half)
  }

  #fail({ request }: Creation, failure: Failure): void {
    this.#parts.keys.answered(request.key)
    this.#outcomes.fail(request.ref, asCreate(failure))
  }
}

/** A create has no record that could be changed or gone: what sounds like it is a refusal of its data. */
function asCreate(failure: Failure): Failure {
  return failure.kind === 'conflict' || failure.kind === 'gone' ? { ...failure, kind: 'permanent' } : failure
}
