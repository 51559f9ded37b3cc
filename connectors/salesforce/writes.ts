import { FailureError, failureFrom, type Failure } from '../../engine/core/failure.ts'
import type { JsonObject } from '../../engine/core/json.ts'
import type {
  CreateRequest,
  DeleteRequest,
  ReadAnswer,
  UpdateRequest,
  WriteOutcome,
  WriteRequest,
} from '../../engine/core/ports/connector.ts'
import type { Composite, Part } from './client.ts'
import { failureOfAnswer, failureOfRow } from './errors.ts'
import { objectOf } from './fields.ts'
import { answerFrom, idIn, notConnected, readRows, rowsById, type ReadParts } from './read.ts'
import { SaveResults, type SaveResult, type SObject, type Subrequest } from './wire.ts'

export interface WriteParts extends ReadParts {
  /** Whether creates go past the org's duplicate rules, as far as those let them. */
  readonly overrulesDuplicates: boolean
  readonly now: () => number
}

type Group = 'delete' | 'update' | 'create'
const GROUPS: readonly Group[] = ['delete', 'update', 'create']

/** What a request comes down to, before what Salesforce holds now is known. */
type Draft =
  | { readonly kind: 'settled'; readonly outcome: WriteOutcome }
  /** Done: the row is asked for by its id, or by Kith's key. */
  | { readonly kind: 'done'; readonly request: UpdateRequest | CreateRequest; readonly id: string | undefined }
  /** Refused, unless the row shows why. */
  | { readonly kind: 'refused'; readonly request: UpdateRequest | CreateRequest; readonly failure: Failure }

/** The rows that were read back: by id, and by Kith's key in small letters, as Salesforce does not tell case apart there. */
interface Held {
  readonly byId: ReadonlyMap<string, ReadAnswer>
  readonly byKey: ReadonlyMap<string, ReadAnswer>
}

/**
 * One batch of writes: one composite request, with a collection each for its deletes, updates and creates, and the reading back of
 * what can be named beforehand. Creates without a key of ours are read back by a second request.
 */
export class Batch {
  readonly #parts: WriteParts
  readonly #signal: AbortSignal | undefined
  readonly #target: SObject
  /** Set once something failed that would fail for every request: the rest is answered with it, unsent. */
  #halted: Failure | undefined
  #sent = false

  constructor(parts: WriteParts, signal: AbortSignal | undefined) {
    this.#parts = parts
    this.#signal = signal
    this.#target = parts.schema.objects[0] as SObject
  }

  /** @throws FailureError only as long as nothing was done */
  async write(requests: readonly WriteRequest[]): Promise<WriteOutcome[]> {
    const ours = requests.filter((request) => request.op === 'create' || this.#isOurs(request.id))
    const outcomes = requests.flatMap((request) => (ours.includes(request) ? [] : [notOurs(request)]))
    // A collection may change from one object to another nine times: all contacts come before all leads.
    outcomes.push(...(await this.#run(ours.toSorted((a, b) => this.#rank(a) - this.#rank(b)))))
    const byRef = new Map(outcomes.map((outcome) => [outcome.ref, outcome]))
    return requests.map(({ ref }) => byRef.get(ref) ?? failed(ref, lostTrack()))
  }

  #rank(request: WriteRequest): number {
    const object = request.op === 'create' ? this.#target : objectOf(request.id)
    return object === undefined ? -1 : this.#parts.schema.objects.indexOf(object)
  }

  #isOurs(id: string): boolean {
    const object = objectOf(id)
    return object !== undefined && this.#parts.schema.objects.includes(object)
  }

  async #run(requests: readonly WriteRequest[]): Promise<WriteOutcome[]> {
    if (requests.length === 0) return []
    if (this.#halted) return requests.map(({ ref }) => failed(ref, this.#halted as Failure))
    let composite: Composite
    try {
      composite = await this.#send(this.#writesOf(requests), this.#readsOf(requests))
    } catch (error) {
      return this.#failedWhole(requests, error)
    }
    this.#sent = true
    const drafts: Draft[] = []
    const outcomes: WriteOutcome[] = []
    for (const group of GROUPS) {
      const some = requests.filter(({ op }) => op === group)
      const part = composite.parts.get(group)
      if (part === undefined || part.status < 400) drafts.push(...this.#drafts(some, part))
      else outcomes.push(...(await this.#refusedGroup(some, part)))
    }
    const held = await this.#held(composite, drafts)
    return [...outcomes, ...drafts.map((draft) => this.#settle(draft, held))]
  }

  /** All in one; but where a text looks like a reference to another part, Salesforce would take it for one: those go alone. */
  async #send(writes: readonly Subrequest[], reads: readonly Subrequest[]): Promise<Composite> {
    const { client } = this.#parts
    if (!writes.some(({ body }) => JSON.stringify(body ?? null).includes('@{'))) {
      return await client.composite([...writes, ...reads], true, this.#signal)
    }
    const parts = new Map<string, Part>()
    for (const write of writes) parts.set(write.referenceId, await this.#sendAlone(write))
    const read =
      reads.length === 0 ? undefined : await client.composite(reads, false, this.#signal).catch(() => undefined)
    for (const [name, part] of read?.parts ?? []) parts.set(name, part)
    return { parts, serverNow_ms: read?.serverNow_ms ?? this.#parts.now() }
  }

  /** @throws FailureError only as long as nothing was done */
  async #sendAlone(write: Subrequest): Promise<Part> {
    try {
      const part = await this.#parts.client.alone(write, this.#signal)
      this.#sent = true
      return part
    } catch (error) {
      if (!this.#sent) throw error
      return { status: 500, body: null, failure: failureFrom(error) }
    }
  }

  #writesOf(requests: readonly WriteRequest[]): Subrequest[] {
    const { overrulesDuplicates } = this.#parts
    const deletes = requests.filter((request) => request.op === 'delete')
    const updates = requests.filter((request) => request.op === 'update')
    const creates = requests.filter((request) => request.op === 'create')
    const parts: Subrequest[] = []
    if (deletes.length > 0) {
      const path = `/composite/sobjects?allOrNone=false&ids=${deletes.map(({ id }) => id).join(',')}`
      parts.push({ method: 'DELETE', path, referenceId: 'delete' })
    }
    const changed = updates.flatMap((request) => this.#changed(request) ?? [])
    if (changed.length > 0) {
      parts.push({
        method: 'PATCH',
        path: '/composite/sobjects',
        referenceId: 'update',
        // Else every update of a lead would hand it to whom the assignment rules give new leads.
        httpHeaders: { 'Sforce-Auto-Assign': 'FALSE' },
        body: { allOrNone: false, records: changed },
      })
    }
    if (creates.length > 0) {
      parts.push({
        method: 'POST',
        path: '/composite/sobjects',
        referenceId: 'create',
        httpHeaders: { 'Sforce-Duplicate-Rule-Header': `allowSave=${overrulesDuplicates}` },
        body: { allOrNone: false, records: creates.map((request) => this.#created(request)) },
      })
    }
    return parts
  }

  /** The rows that can be named beforehand. */
  #readsOf(requests: readonly WriteRequest[]): Subrequest[] {
    const { schema } = this.#parts
    const creates = requests.filter((request) => request.op === 'create')
    const keys = schema.keyField === undefined ? [] : creates.map(({ key }) => key)
    return schema.objects.flatMap((object) => {
      const ids = requests.flatMap((request) =>
        request.op === 'update' && objectOf(request.id) === object ? [request.id] : [],
      )
      const some = object === this.#target ? keys : []
      return ids.length + some.length > 0 ? [rowsById(this.#parts, object, ids, some)] : []
    })
  }

  /** undefined where nothing is left to write: the object has none of the fields. */
  #changed({ id, fields }: UpdateRequest): JsonObject | undefined {
    const object = objectOf(id) as SObject
    const payload = this.#parts.schema.payload(object, fields, 'update')
    return Object.keys(payload).length === 0 ? undefined : { attributes: { type: object }, id, ...payload }
  }

  #created({ key, fields }: CreateRequest): JsonObject {
    const { schema } = this.#parts
    const ours = schema.keyField === undefined ? {} : { [schema.keyField]: key }
    return { attributes: { type: this.#target }, ...schema.payload(this.#target, fields, 'create'), ...ours }
  }

  /** What Salesforce says of each, in the order of the request. */
  #drafts(requests: readonly WriteRequest[], part: Part | undefined): Draft[] {
    const sent = requests.filter((request) => request.op !== 'update' || this.#changed(request) !== undefined)
    const unsent = requests.filter((request) => !sent.includes(request)) as UpdateRequest[]
    const parsed = SaveResults.safeParse(part?.body)
    const results = parsed.success && parsed.data.length === sent.length ? parsed.data : undefined
    return [
      ...unsent.map((request): Draft => ({ kind: 'done', request, id: request.id })),
      ...sent.map((request, at) => draftOf(request, results?.[at])),
    ]
  }

  /**
   * A collection that was refused as a whole: nothing of it was done. One record's value of a wrong kind is enough for that, so the
   * halves are sent; what is refused alone is refused for itself.
   */
  async #refusedGroup(requests: readonly WriteRequest[], part: Part): Promise<WriteOutcome[]> {
    const asked = { pattern: `composite/${requests[0]?.op ?? 'write'}`, write: true }
    const failure = part.failure ?? failureOfAnswer(asked, part.status, part.body, undefined, this.#parts.now())
    if (failure.kind !== 'permanent' || requests.length === 1) {
      if (failure.kind === 'auth' || failure.kind === 'ratelimited') this.#halted = failure
      return requests.map(({ ref }) => failed(ref, failure))
    }
    const half = Math.ceil(requests.length / 2)
    return [...(await this.#run(requests.slice(0, half))), ...(await this.#run(requests.slice(half)))]
  }

  /** null where it could not be read back: then nobody knows what was made of it. */
  async #held(composite: Composite, drafts: readonly Draft[]): Promise<Held | null> {
    const { client, schema } = this.#parts
    const byId = new Map<string, ReadAnswer>()
    const byKey = new Map<string, ReadAnswer>()
    try {
      for (const object of schema.objects.filter((each) => composite.parts.has(`read${each}`))) {
        for (const record of await client.rowsOf(composite, `read${object}`, this.#signal)) {
          const answer = answerFrom(this.#parts, object, record)
          byId.set(idIn(answer), answer)
          const key = (record as { readonly [column: string]: unknown })[schema.keyField ?? '']
          if (typeof key === 'string') byKey.set(key.toLowerCase(), answer)
        }
      }
      const made = drafts.flatMap((draft) => (draft.kind === 'done' && draft.id !== undefined ? [draft.id] : []))
      const missing = made.filter((id) => !byId.has(id))
      if (missing.length > 0) {
        for (const answer of await readRows(this.#parts, missing, this.#signal)) byId.set(idIn(answer), answer)
      }
      return { byId, byKey }
    } catch (error) {
      if (error instanceof FailureError) return null
      throw error
    }
  }

  #settle(draft: Draft, held: Held | null): WriteOutcome {
    if (draft.kind === 'settled') return draft.outcome
    const { request } = draft
    const { ref } = request
    if (draft.kind === 'refused') {
      // A create that was done before is refused for its key, and answered with what became of it.
      const key = request.op === 'create' ? request.key.toLowerCase() : undefined
      const earlier = key === undefined ? undefined : held?.byKey.get(key)
      if (draft.failure.code === 'DUPLICATE_VALUE' && earlier) return written(ref, earlier)
      if (draft.failure.code === 'DUPLICATE_VALUE' && key !== undefined && !held) return failed(ref, unread())
      const shown = request.op === 'update' ? held?.byId.get(request.id) : undefined
      return failed(ref, shown?.kind === 'merged' ? moved() : draft.failure)
    }
    const answer = draft.id === undefined ? undefined : held?.byId.get(draft.id)
    return answer ? written(ref, answer) : failed(ref, unread())
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
}

function draftOf(request: WriteRequest, result: SaveResult | undefined): Draft {
  const { ref } = request
  if (!result) return { kind: 'settled', outcome: failed(ref, lostTrack()) }
  if (request.op === 'delete') return { kind: 'settled', outcome: deleted(request, result) }
  if (!result.success) return { kind: 'refused', request, failure: failureOfRow(result.errors) }
  return { kind: 'done', request, id: result.id ?? (request.op === 'update' ? request.id : undefined) }
}

function deleted({ ref, id }: DeleteRequest, { success, errors }: SaveResult): WriteOutcome {
  if (success) return { ref, kind: 'deleted', id }
  const failure = failureOfRow(errors)
  return failure.kind === 'gone' ? { ref, kind: 'deleted', id } : failed(ref, failure)
}

function written(ref: string, answer: ReadAnswer): WriteOutcome {
  switch (answer.kind) {
    case 'record':
      return { ref, kind: 'written', record: answer.record }
    case 'broken':
      return failed(ref, answer.failure)
    case 'merged':
      return failed(ref, moved())
    case 'gone':
      return failed(ref, gone())
  }
}

/** An id that no row can have, or one of an object that this connection does not include (any more). */
function notOurs(request: UpdateRequest | DeleteRequest | CreateRequest): WriteOutcome {
  const { ref } = request
  const id = request.op === 'create' ? '' : request.id
  const object = objectOf(id)
  if (object !== undefined) return failed(ref, notConnected(object))
  return request.op === 'delete' ? { ref, kind: 'deleted', id } : failed(ref, gone())
}

function failed(ref: string, failure: Failure): WriteOutcome {
  return { ref, kind: 'failed', failure }
}

function gone(): Failure {
  return { kind: 'gone', code: 'GONE', message: 'The record is no longer in Salesforce' }
}

function moved(): Failure {
  return {
    kind: 'conflict',
    code: 'MERGED',
    message: 'The record was merged into another one, or converted, in Salesforce',
  }
}

function lostTrack(): Failure {
  return {
    kind: 'uncertain',
    code: 'NOT-NAMED',
    message: "Salesforce's answer does not say what became of this record",
  }
}

function unread(): Failure {
  return { kind: 'uncertain', code: 'READ-BACK', message: 'The record was written, and could not be read back' }
}
