import { FailureError, failureFrom, type Failure } from '../../engine/core/failure.ts'
import type { JsonObject } from '../../engine/core/json.ts'
import type {
  CreateRequest,
  DeleteRequest,
  UpdateRequest,
  WriteOutcome,
  WriteRequest,
} from '../../engine/core/ports/connector.ts'
import { failureOfItem } from './errors.ts'
import { addressless, bodyFrom, sameAddress, type Body, type Shape } from './fields.ts'
import { archivedMeanwhile, failed, lostTrack, moved } from './outcomes.ts'
import type { Reader, Seen } from './reader.ts'
import { Singles } from './singles.ts'
import type { BatchAnswer, Status } from './wire.ts'

/** A member of a batch. */
interface Item<Request extends WriteRequest = WriteRequest> {
  readonly request: Request
  readonly email: string
  readonly json: JsonObject
  readonly body: Body
}

/** How a new member is let in, where no field says so. */
export type NewMembers = Extract<Status, 'subscribed' | 'pending' | 'transactional'>

/**
 * One batch of writes: one request for its creates, and one for its updates. What a batch cannot do goes member by member: a
 * new address, a blank, a tag taken away, a status, an archiving.
 *
 * No batch carries a status for a member who is there: with one, it would undo what the person chose since we read it. A
 * create is never an update of somebody else (`update_existing: false`), and an update never a create (it has no status).
 */
export class Batch {
  readonly #reader: Reader
  readonly #shape: Shape
  readonly #newMembers: NewMembers
  readonly #singles: Singles
  readonly #signal: AbortSignal | undefined
  /** Set once something failed that would fail for every request: the rest is answered with it, unsent. */
  #halted: Failure | undefined
  #sent = false

  constructor(reader: Reader, shape: Shape, newMembers: NewMembers, signal: AbortSignal | undefined) {
    this.#reader = reader
    this.#shape = shape
    this.#newMembers = newMembers
    this.#singles = new Singles(reader, shape, signal)
    this.#signal = signal
  }

  /** @throws FailureError only as long as nothing was done */
  async write(requests: readonly WriteRequest[]): Promise<WriteOutcome[]> {
    const outcomes = [
      ...(await this.#delete(requests.filter((request) => request.op === 'delete'))),
      ...(await this.#update(requests.filter((request) => request.op === 'update'))),
      ...(await this.#create(requests.filter((request) => request.op === 'create'))),
    ]
    const byRef = new Map(outcomes.map((outcome) => [outcome.ref, outcome]))
    return requests.map(({ ref }) => byRef.get(ref) ?? failed(ref, lostTrack()))
  }

  async #delete(requests: readonly DeleteRequest[]): Promise<WriteOutcome[]> {
    return await this.#each(requests, (request) =>
      request.erase ? this.#singles.erase(request) : this.#singles.archive(request),
    )
  }

  async #update(requests: readonly UpdateRequest[]): Promise<WriteOutcome[]> {
    const { ready, outcomes } = this.#prepared(requests)
    const items = ready.map(({ request, body }) => ({ request, body, ...this.#batchable(request, body) }))
    const batched = items.filter((item): item is Item<UpdateRequest> => item.email !== undefined)
    // A batch of one gains nothing, and by its id a member is named without doubt.
    const singles = batched.length < 2 ? items : items.filter(({ email }) => email === undefined)
    outcomes.push(...(await this.#each(singles, ({ request, body }) => this.#singles.update(request, body))))
    if (batched.length < 2) return outcomes
    const settled = await this.#batches(batched, true)
    const unclear = new Set(settled.flatMap(({ ref, outcome }) => (outcome === 'ask' ? [ref] : [])))
    outcomes.push(...settled.flatMap(({ outcome }) => (outcome === 'ask' ? [] : [outcome])))
    // A refusal without a reason may be of a member who is gone, or has another address by now: by its id it is told.
    const again = batched.filter(({ request }) => unclear.has(request.ref))
    outcomes.push(...(await this.#each(again, ({ request, body }) => this.#singles.update(request, body))))
    return outcomes
  }

  /** The member as a batch takes it; no address where it has to be written by itself. */
  #batchable({ id, fields }: UpdateRequest, { json, tags, blanks }: Body): { email?: string; json: JsonObject } {
    const known = this.#reader.known(id)
    if (!known || blanks || 'email_address' in fields || 'status' in fields) return { json }
    if (tags === undefined) return { email: known.email, json }
    // A batch adds tags. Taking some away is possible only for all members of a batch at once.
    const held = known.tags
    if (!held || held.some((tag) => !hasTag(tags, tag))) return { json }
    return { email: known.email, json: { ...json, tags: tags.filter((tag) => !hasTag(held, tag)) } }
  }

  async #create(requests: readonly CreateRequest[]): Promise<WriteOutcome[]> {
    const { ready, outcomes } = this.#prepared(requests)
    const items: Item<CreateRequest>[] = []
    for (const { request, body } of ready) {
      const email = body.json['email_address']
      if (typeof email !== 'string') {
        outcomes.push(failed(request.ref, addressless().failure))
        continue
      }
      const given = { status: this.#newMembers, email_type: 'html', ...withoutBlanks(body.json) }
      const json = body.tags === undefined ? given : { ...given, tags: [...body.tags] }
      items.push({ request, body, email, json })
    }
    const archived = await this.#archivedAmong(items)
    const settled = await this.#batches(
      items.filter((item) => !archived.has(item)),
      false,
    )
    const taken = new Set(settled.flatMap(({ ref, outcome }) => (isTaken(outcome) ? [ref] : [])))
    outcomes.push(...settled.flatMap(({ ref, outcome }) => (outcome === 'ask' || taken.has(ref) ? [] : [outcome])))
    const again = items.filter((item) => archived.has(item) || taken.has(item.request.ref))
    const bringBack = ({ request, email, json, body }: Item): Promise<WriteOutcome> =>
      this.#singles.bringBack(request.ref, email, json, body.json['status'])
    return [...outcomes, ...(await this.#each(again, bringBack))]
  }

  /**
   * Where new members are let in as more than `transactional`, those who are archived must not come back with them: nobody can
   * say whether they had unsubscribed before.
   */
  async #archivedAmong(items: readonly Item[]): Promise<Set<Item>> {
    if (this.#newMembers === 'transactional' || items.length === 0) return new Set()
    try {
      const addresses = await this.#reader.archivedAddresses(this.#signal)
      return new Set(items.filter(({ email }) => addresses.has(sameAddress(email))))
    } catch (error) {
      if (!this.#sent) throw error
      this.#halted = failureFrom(error)
      return new Set()
    }
  }

  /** The bodies of requests; one that cannot be written at all is answered at once. */
  #prepared<Request extends UpdateRequest | CreateRequest>(requests: readonly Request[]) {
    const ready: { request: Request; body: Body }[] = []
    const outcomes: WriteOutcome[] = []
    for (const request of requests) {
      try {
        ready.push({ request, body: bodyFrom(request.fields, this.#shape) })
      } catch (error) {
        outcomes.push(failed(request.ref, failureFrom(error)))
      }
    }
    return { ready, outcomes }
  }

  /** One batch after the other, so that no two members of one batch have the same address: Mailchimp refuses such a batch. */
  async #batches(items: readonly Item[], updateExisting: boolean): Promise<Settled[]> {
    const settled: Settled[] = []
    for (let rest = items; rest.length > 0;) {
      const round = new Map(rest.toReversed().map((item) => [sameAddress(item.email), item]))
      const part = rest.filter((item) => round.get(sameAddress(item.email)) === item)
      settled.push(...(await this.#send(part, updateExisting)))
      rest = rest.filter((item) => !part.includes(item))
    }
    return settled
  }

  /**
   * Where Mailchimp refuses a batch as a whole, nothing was written, and the halves are sent: what is refused alone is refused
   * for itself.
   */
  async #send(items: readonly Item[], updateExisting: boolean): Promise<Settled[]> {
    const { client } = this.#reader
    try {
      const members = items.map(({ json, email }) => ({ ...json, email_address: email }))
      const answer = await this.#guarded(() => client.batch(members, updateExisting, this.#signal))
      return this.#settle(items, answer)
    } catch (error) {
      const { kind } = failureFrom(error)
      if ((kind !== 'permanent' && kind !== 'gone') || items.length === 1) {
        const outcomes = this.#failedWhole(
          items.map(({ request }) => request),
          error,
        )
        return outcomes.map((outcome) => ({ ref: outcome.ref, outcome }))
      }
      const half = Math.ceil(items.length / 2)
      const first = await this.#send(items.slice(0, half), updateExisting)
      return [...first, ...(await this.#send(items.slice(half), updateExisting))]
    }
  }

  #settle(items: readonly Item[], answer: BatchAnswer): Settled[] {
    const done = new Map<string, Seen>()
    for (const json of [...answer.new_members, ...answer.updated_members]) {
      const email = addressOf(json)
      if (email !== undefined) done.set(sameAddress(email), this.#reader.see(json, this.#shape))
    }
    const refused = new Map(answer.errors.map((error) => [sameAddress(error.email_address), error]))
    return items.map(({ request, email }): Settled => {
      const { ref } = request
      const error = refused.get(sameAddress(email))
      if (error) {
        const failure = failureOfItem(error)
        return { ref, outcome: request.op === 'update' && isVague(failure) ? 'ask' : failed(ref, failure) }
      }
      const seen = done.get(sameAddress(email))
      if (!seen) return { ref, outcome: failed(ref, lostTrack()) }
      return { ref, outcome: writtenAs(request, seen) }
    })
  }

  /** One request after the other answers for itself; the pacer says how many go at once. */
  async #each<T extends WriteRequest | { readonly request: WriteRequest }>(
    all: readonly T[],
    write: (one: T) => Promise<WriteOutcome>,
  ): Promise<WriteOutcome[]> {
    const [first, ...others] = all
    if (first === undefined) return []
    const one = async (item: T): Promise<WriteOutcome[]> => {
      try {
        return [await this.#guarded(() => write(item))]
      } catch (error) {
        return this.#failedWhole([requestOf(item)], error)
      }
    }
    // What fails for the first for reasons of the connection fails for all, and is then told as a whole.
    return [...(await one(first)), ...(await Promise.all(others.map(one))).flat()]
  }

  async #guarded<T>(work: () => Promise<T>): Promise<T> {
    if (this.#halted) throw new FailureError(this.#halted)
    const result = await work()
    this.#sent = true
    return result
  }

  #failedWhole(requests: readonly WriteRequest[], error: unknown): WriteOutcome[] {
    const failure = failureFrom(error)
    const forAll = failure.kind === 'auth' || failure.kind === 'ratelimited'
    if ((forAll || failure.kind === 'transient') && !this.#sent) throw error
    if (forAll) this.#halted = failure
    // Something may have been done: whatever comes after must not be thrown.
    this.#sent = true
    return requests.map(({ ref }) => failed(ref, failure))
  }
}

/** `ask`: the batch does not tell what is wrong; the member itself is to be asked. */
interface Settled {
  readonly ref: string
  readonly outcome: WriteOutcome | 'ask'
}

function writtenAs(request: WriteRequest, seen: Seen): WriteOutcome {
  const { ref } = request
  if (seen.kind === 'archived') return failed(ref, archivedMeanwhile())
  if (seen.kind === 'broken') return failed(ref, lostTrack())
  // The address went to another member since it was read.
  if (request.op === 'update' && seen.record.id !== request.id) return failed(ref, moved())
  return { ref, kind: 'written', record: seen.record }
}

function requestOf(item: WriteRequest | { readonly request: WriteRequest }): WriteRequest {
  return 'request' in item ? item.request : item
}

function addressOf(json: unknown): string | undefined {
  const { email_address: email } = Object(json) as { email_address?: unknown }
  return typeof email === 'string' ? email : undefined
}

function withoutBlanks(json: JsonObject): JsonObject {
  const merge = Object.entries(Object(json['merge_fields']) as JsonObject).filter(([, value]) => value !== '')
  const rest = Object.entries(json).filter(([name, value]) => name !== 'merge_fields' && value !== '')
  return Object.fromEntries(merge.length === 0 ? rest : [...rest, ['merge_fields', Object.fromEntries(merge)]])
}

function hasTag(tags: readonly string[], tag: string): boolean {
  return tags.some((one) => one.toLowerCase() === tag.toLowerCase())
}

function isTaken(outcome: WriteOutcome | 'ask'): boolean {
  return outcome !== 'ask' && outcome.kind === 'failed' && outcome.failure.code === 'MEMBER-EXISTS'
}

function isVague({ kind, code }: Failure): boolean {
  return kind === 'permanent' && (code === undefined || /^(ERROR_|UNKNOWN)/.test(code))
}
