import { FailureError, failureFrom, type Failure } from '../../engine/core/failure.ts'
import type { JsonObject } from '../../engine/core/json.ts'
import type {
  AppRecord,
  CreateRequest,
  DeleteRequest,
  UpdateRequest,
  WriteOutcome,
  WriteRequest,
} from '../../engine/core/ports/connector.ts'
import type { HubSpotClient } from './client.ts'
import { failureOfItem } from './errors.ts'
import { KEY_PROPERTY, propertiesFrom, recordFrom, same, type ContactFields } from './fields.ts'
import { withLists, NONE } from './list-fields.ts'
import { planLists, saysLists, settleLists, type ListPlan } from './list-writes.ts'
import type { Lists } from './lists.ts'
import { optOut, withoutOptOut } from './opt-out.ts'
import type { Reader } from './read.ts'
import { Contact, type BatchAnswer } from './wire.ts'

export interface WriterParts {
  readonly client: HubSpotClient
  readonly reader: Reader
  readonly lists: Lists
  /** The fields that records are to have. */
  readonly fields: readonly string[]
  /** The account's properties. */
  readonly account: ContactFields
}

/** One request as it is sent; the trace id is what a batch's errors name it by. */
interface Input<Request> {
  readonly request: Request
  readonly trace: string
  readonly properties: { [name: string]: string }
}

/** A batch that went through, at least in part: what HubSpot said of each. */
type Settle<Request> = (inputs: readonly Input<Request>[], answer: BatchAnswer) => WriteOutcome[]

/**
 * One batch of writes: one request for each address to be unsubscribed, then at most one each for its deletes, updates and
 * creates, one to read updates back, and one for each list that somebody joins or leaves.
 */
export class Batch {
  readonly #parts: WriterParts
  readonly #signal: AbortSignal | undefined
  /** Set once something failed that would fail for every request: the rest is answered with it, unsent. */
  #halted: Failure | undefined
  #sent = false

  constructor(parts: WriterParts, signal: AbortSignal | undefined) {
    this.#parts = parts
    this.#signal = signal
  }

  /** @throws FailureError only as long as nothing was done */
  async write(all: readonly WriteRequest[]): Promise<WriteOutcome[]> {
    const optedOut = await optOut(all, this.#parts, this.#signal)
    const allowed = all.filter(({ ref }) => !optedOut.has(ref))
    const plan = await this.#planLists(allowed)
    const failures = new Map([...optedOut, ...plan.failures])
    const requests = allowed.filter(({ ref }) => !failures.has(ref))
    const written = [
      ...[...failures].map(([ref, failure]) => failed(ref, failure)),
      ...(await this.#erase(requests.filter((request) => request.op === 'delete' && request.erase === true))),
      ...(await this.#archive(requests.filter((request) => request.op === 'delete').filter(({ erase }) => !erase))),
      ...(await this.#update(requests.filter((request) => request.op === 'update'))),
      ...(await this.#create(requests.filter((request) => request.op === 'create'))),
    ]
    const outcomes = await settleLists(requests, written, plan, this.#parts.lists, this.#signal)
    const byRef = new Map(outcomes.map((outcome) => [outcome.ref, outcome]))
    return all.map(({ ref }) => byRef.get(ref) ?? failed(ref, lostTrack()))
  }

  async #planLists(requests: readonly WriteRequest[]): Promise<ListPlan> {
    const saying = requests.filter(saysLists)
    if (saying.length === 0) return { wanted: new Map(), failures: new Map() }
    try {
      return await planLists(saying, this.#parts.lists, this.#signal)
    } catch (error) {
      const failures = this.#failedWhole(saying, error).map(({ ref }) => [ref, failureFrom(error)] as const)
      return { wanted: new Map(), failures: new Map(failures) }
    }
  }

  /** One by one, as HubSpot takes them. What is not there any more is answered as done. */
  async #erase(requests: readonly WriteRequest[]): Promise<WriteOutcome[]> {
    const outcomes: WriteOutcome[] = []
    for (const request of requests) {
      if (request.op !== 'delete') continue
      const { ref, id } = request
      try {
        await this.#send(() => this.#parts.client.gdprDelete(id, this.#signal))
        outcomes.push({ ref, kind: 'deleted', id })
      } catch (error) {
        if (failureFrom(error).kind === 'gone') outcomes.push({ ref, kind: 'deleted', id })
        else outcomes.push(...this.#failedWhole([request], error))
      }
    }
    return outcomes
  }

  /** Archiving what is archived, or was never there, is answered as done. */
  async #archive(requests: readonly DeleteRequest[]): Promise<WriteOutcome[]> {
    if (requests.length === 0) return []
    try {
      await this.#send(() =>
        this.#parts.client.batchArchive(
          requests.map(({ id }) => id),
          this.#signal,
        ),
      )
      return requests.map(({ ref, id }) => ({ ref, kind: 'deleted', id }))
    } catch (error) {
      return this.#failedWhole(requests, error)
    }
  }

  async #update(requests: readonly UpdateRequest[]): Promise<WriteOutcome[]> {
    const inputs = requests
      .map((request) => this.#input(request, request.fields))
      .filter(({ properties }) => Object.keys(properties).length > 0)
    const sent = new Set(inputs.map(({ request }) => request.ref))
    // What was only unsubscribed is done already.
    const written = requests.filter(({ ref }) => !sent.has(ref)).map(({ id }) => id)
    const outcomes = await this.#batch(
      inputs,
      (part) =>
        this.#parts.client.batchUpdate(
          part.map(({ request, trace, properties }) => ({ id: request.id, properties, objectWriteTraceId: trace })),
          this.#signal,
        ),
      (part, answer) => {
        const refused = refusals(part, answer)
        written.push(...part.filter(({ trace }) => !refused.has(trace)).map(({ request }) => request.id))
        return part.flatMap(({ request, trace }) => {
          const failure = refused.get(trace)
          return failure ? [failed(request.ref, failure)] : []
        })
      },
    )
    const settled = new Set(outcomes.map(({ ref }) => ref))
    const done = requests.filter(({ ref }) => !settled.has(ref))
    return [...outcomes, ...(await this.#readBack(done, new Set(written)))]
  }

  /** An answer to an update names the changed properties only, and a human may have changed others meanwhile. */
  async #readBack(requests: readonly UpdateRequest[], written: ReadonlySet<string>): Promise<WriteOutcome[]> {
    if (requests.length === 0) return []
    try {
      const answers = await this.#parts.reader.read(
        requests.map(({ id }) => id),
        false,
        this.#signal,
      )
      const byId = new Map(answers.map((answer) => [answer.kind === 'record' ? answer.record.id : answer.id, answer]))
      return requests.map(({ ref, id }) => {
        const answer = byId.get(id)
        if (answer?.kind === 'record' && written.has(id)) return { ref, kind: 'written', record: answer.record }
        if (answer?.kind === 'gone') return failed(ref, failureOfItem({ category: 'OBJECT_NOT_FOUND' }))
        if (answer?.kind === 'broken') return failed(ref, answer.failure)
        // A contact that was merged away is passed over in silence.
        if (answer?.kind === 'merged') return failed(ref, moved())
        return failed(ref, lostTrack())
      })
    } catch (error) {
      const failure = failureFrom(error)
      return requests.map(({ ref }) => failed(ref, { ...failure, kind: failure.kind === 'bug' ? 'bug' : 'uncertain' }))
    }
  }

  async #create(requests: readonly CreateRequest[]): Promise<WriteOutcome[]> {
    const { account, client } = this.#parts
    const inputs = requests.map((request) => {
      const input = this.#input(request, request.fields)
      // A new contact is blank where nothing is said.
      const given = Object.fromEntries(Object.entries(input.properties).filter(([, value]) => value !== ''))
      return { ...input, properties: account.hasKey ? { ...given, [KEY_PROPERTY]: request.key } : given }
    })
    return await this.#batch(
      inputs,
      (part) =>
        client.batchCreate(
          part.map(({ trace, properties }) => ({ properties, objectWriteTraceId: trace })),
          this.#signal,
        ),
      (part, answer) => this.#settleCreates(part, answer),
    )
  }

  #settleCreates(inputs: readonly Input<CreateRequest>[], answer: BatchAnswer): WriteOutcome[] {
    const refused = refusals(inputs, answer)
    const open = new Map(inputs.filter(({ trace }) => !refused.has(trace)).map((input) => [input.trace, input]))
    const outcomes = inputs.flatMap(({ request, trace }) => {
      const failure = refused.get(trace)
      return failure ? [failed(request.ref, failure)] : []
    })
    for (const result of answer.results) {
      const contact = Contact.safeParse(result)
      if (!contact.success) continue
      const input = inputOf(contact.data, open)
      if (!input) continue
      open.delete(input.trace)
      outcomes.push({ ref: input.request.ref, kind: 'written', record: this.#created(contact.data) })
    }
    // What is neither told as done nor as refused may be done.
    return [...outcomes, ...[...open.values()].map(({ request }) => failed(request.ref, lostTrack()))]
  }

  /** The answer to a create names every property that the new contact has. */
  #created(contact: Contact): AppRecord {
    const { fields, lists } = this.#parts
    // Nobody is in a list before the lists know of them.
    return withLists(recordFrom(contact, fields), lists.isOn ? NONE : undefined, lists.fields)
  }

  /**
   * Sends the inputs. Where HubSpot refuses them as a whole (an account without partial answers, a property that the whole
   * batch names wrongly), nothing was written, and the halves are sent: what is refused alone is refused for itself.
   */
  async #batch<Request extends WriteRequest>(
    inputs: readonly Input<Request>[],
    send: (part: readonly Input<Request>[]) => Promise<{ data: BatchAnswer }>,
    settle: Settle<Request>,
  ): Promise<WriteOutcome[]> {
    if (inputs.length === 0) return []
    if (this.#halted) return inputs.map(({ request }) => failed(request.ref, this.#halted as Failure))
    try {
      const { data } = await this.#send(() => send(inputs))
      return settle(inputs, data)
    } catch (error) {
      const failure = failureFrom(error)
      const isRefused = failure.kind === 'permanent' || failure.kind === 'gone'
      if (!isRefused || inputs.length === 1) {
        return this.#failedWhole(
          inputs.map(({ request }) => request),
          error,
        )
      }
      const half = Math.ceil(inputs.length / 2)
      const first = await this.#batch(inputs.slice(0, half), send, settle)
      return [...first, ...(await this.#batch(inputs.slice(half), send, settle))]
    }
  }

  async #send<T>(work: () => Promise<T>): Promise<T> {
    if (this.#halted) throw new FailureError(this.#halted)
    const result = await work()
    this.#sent = true
    return result
  }

  #failedWhole(requests: readonly WriteRequest[], error: unknown): WriteOutcome[] {
    const failure = failureFrom(error)
    const forAll = failure.kind === 'auth' || failure.kind === 'ratelimited' || failure.kind === 'transient'
    if (forAll && !this.#sent) throw error
    if (forAll) this.#halted = failure
    // Something may have been done: whatever comes after must not be thrown.
    this.#sent = true
    return requests.map(({ ref }) => failed(ref, failure))
  }

  #input<Request extends WriteRequest>(request: Request, fields: JsonObject): Input<Request> {
    return { request, trace: request.ref, properties: propertiesFrom(withoutOptOut(fields), this.#parts.account) }
  }
}

/** What each refused input was refused for: named by its trace id, or by the record's. */
function refusals(inputs: readonly Input<WriteRequest>[], { errors }: BatchAnswer): Map<string, Failure> {
  const refused = new Map<string, Failure>()
  const byId = new Map(inputs.flatMap(({ request, trace }) => ('id' in request ? [[request.id, trace] as const] : [])))
  for (const error of errors ?? []) {
    const traces = error.context?.['objectWriteTraceId'] ?? []
    const ids = error.context?.['ids'] ?? []
    const named = [...traces, ...ids.flatMap((id) => byId.get(id) ?? [])]
    for (const trace of named) refused.set(trace, failureOfItem(error))
  }
  return refused
}

/** Which input became this contact: by the trace id, or where HubSpot does not repeat it, by what was sent. */
function inputOf(contact: Contact, open: ReadonlyMap<string, Input<CreateRequest>>): Input<CreateRequest> | undefined {
  if (contact.objectWriteTraceId !== undefined) return open.get(contact.objectWriteTraceId)
  const alike = [...open.values()].filter(({ properties }) =>
    Object.entries(properties).every(([name, value]) => same(contact.properties[name] ?? '', value)),
  )
  return alike.length === 1 ? alike[0] : undefined
}

function failed(ref: string, failure: Failure): WriteOutcome {
  return { ref, kind: 'failed', failure }
}

function lostTrack(): Failure {
  return { kind: 'uncertain', code: 'NOT-NAMED', message: "HubSpot's answer does not say what became of this contact" }
}

function moved(): Failure {
  return { kind: 'conflict', code: 'MERGED', message: 'The contact was merged into another one in HubSpot' }
}
