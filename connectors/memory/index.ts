import { z } from 'zod'
import { FailureError, type Failure } from '../../engine/core/failure.ts'
import type { Json } from '../../engine/core/json.ts'
import type {
  AppRecord,
  Capabilities,
  ConnectionReport,
  Connector,
  CreateRequest,
  FeedPage,
  MergeOutcome,
  MergeRequest,
  ReadAnswer,
  WriteOutcome,
  WriteRequest,
} from '../../engine/core/ports/connector.ts'
import type { App } from '../app.ts'
import type { MemoryApp } from './app.ts'
import { AppError, type Entry, type Place, type WriteItem, type WriteResult } from './wire.ts'

const options = z.strictObject({ name: z.string().min(1) })

/** The apps of this process, by name: what `app: memory` in a config finds its data in. */
export const memoryApps = new Map<string, MemoryApp>()

/** The reference connector: the smallest complete example, for tests and benches. Its product is a {@link MemoryApp}. */
export const memory: App<z.infer<typeof options>> = {
  name: 'memory',
  title: 'Memory (for tests)',
  options,
  secrets: [],
  account: ({ name }) => `memory:${name}`,
  connect({ name }, context) {
    const app = memoryApps.get(name)
    if (!app) {
      throw new FailureError({
        kind: 'permanent',
        message: `${context.connection}: this process has no memory app named ${name}.`,
        advice: 'The memory app is for tests and benches: put one into memoryApps first.',
      })
    }
    return new MemoryConnector(app)
  },
}

const placeSchema = z.object({ epoch: z.number(), seq: z.number() })

export class MemoryConnector implements Connector {
  readonly app = 'memory'
  readonly capabilities: Capabilities
  readonly find?: (create: CreateRequest, signal?: AbortSignal) => Promise<AppRecord[]>
  readonly #app: MemoryApp

  constructor(app: MemoryApp) {
    this.#app = app
    const { deletes, hints, createKey, precondition, times, archive, erase } = app.quirks
    const { readBatch_max, writeBatch_max, writes_concurrent_max } = app.quirks
    this.capabilities = {
      deletes,
      hints,
      createKey,
      precondition,
      times,
      readBatch_max,
      writeBatch_max,
      writes_concurrent_max,
      archive,
      erase,
      create: true,
      delete: true,
      merge: true,
    }
    if (createKey === 'search') this.find = (create, signal) => this.#find(create, signal)
  }

  async check(signal?: AbortSignal): Promise<ConnectionReport> {
    const { fields, count } = await this.#ask(() => this.#app.describe(signal))
    return {
      summary: `memory app '${this.#app.name}', ${count} records`,
      fields: fields.map((field) => ({ ...field, writable: true })),
      warnings: [],
    }
  }

  async *pull(cursor: Json | null, signal?: AbortSignal): AsyncGenerator<FeedPage> {
    const place = placeSchema.safeParse(cursor)
    if (this.capabilities.deletes === 'inventory' || !place.success) return yield* this.#inventory(signal)
    for (let at: Place | null = place.data; at !== null;) {
      const page = await this.#changes(at, signal)
      if (page === 'expired') return yield* this.#inventory(signal)
      yield { sightings: page.entries.map(sightingOf), cursor: { ...page.next } }
      at = page.more ? page.next : null
    }
  }

  async read(ids: readonly string[], signal?: AbortSignal): Promise<ReadAnswer[]> {
    const entries = await this.#ask(() => this.#app.read(ids, signal))
    return entries.map(answerOf)
  }

  async write(requests: readonly WriteRequest[], signal?: AbortSignal): Promise<WriteOutcome[]> {
    let results: WriteResult[]
    try {
      results = await this.#app.write(
        requests.map((request) => this.#item(request)),
        signal,
      )
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      if (error.status !== 0) throw new FailureError(failureOf(error), { cause: error })
      const failure = failureOf(error)
      return requests.map(({ ref }) => ({ ref, kind: 'failed', failure }))
    }
    const outcomes: WriteOutcome[] = []
    for (const [index, request] of requests.entries()) {
      const result = results[index] ?? { status: 503, code: 'no-result' }
      outcomes.push(await this.#outcome(request, result, signal))
    }
    return outcomes
  }

  async merge({ ref, id, into }: MergeRequest, signal?: AbortSignal): Promise<MergeOutcome> {
    try {
      const [result] = await this.#app.write([{ op: 'merge', id, into }], signal)
      if (result?.status === 301) return { ref, kind: 'merged', id, into: result.into }
      const { status, code } = result && 'code' in result ? result : ({ status: 503, code: 'no-result' } as const)
      return { ref, kind: 'failed', failure: refusalOf(status, code, undefined) }
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      return { ref, kind: 'failed', failure: failureOf(error) }
    }
  }

  async watch(hint: () => void): Promise<() => Promise<void>> {
    const stop = this.#app.subscribe(hint)
    return async () => stop()
  }

  /** Holds nothing open. */
  async close(): Promise<void> {}

  async *#inventory(signal?: AbortSignal): AsyncGenerator<FeedPage> {
    let feed: Place | undefined
    for (let from: number | null = 0; from !== null;) {
      const start: number = from
      const page = await this.#ask(() => this.#app.list(start, signal))
      // What changes while we list is heard from the feed afterwards: the place taken first is the one to go on from.
      feed ??= page.feed
      const sightings = page.entries.map(sightingOf)
      if (!page.whole) return yield { sightings, inventory: { complete: false } }
      if (page.next === null) yield { sightings, cursor: { ...feed }, inventory: { complete: true } }
      else yield { sightings, inventory: { complete: false } }
      from = page.next
    }
  }

  async #changes(place: Place, signal?: AbortSignal) {
    try {
      return await this.#app.changes(place, signal)
    } catch (error) {
      if (error instanceof AppError && error.status === 410) return 'expired' as const
      throw raised(error)
    }
  }

  async #find(create: CreateRequest, signal?: AbortSignal): Promise<AppRecord[]> {
    const entries = await this.#ask(() => this.#app.search(create.fields, signal))
    return entries.flatMap((entry) => (entry.kind === 'record' ? [entry.record] : []))
  }

  #item(request: WriteRequest): WriteItem {
    if (request.op === 'create') {
      return this.capabilities.createKey === 'id'
        ? { op: 'create', id: request.key, fields: request.fields }
        : { op: 'create', fields: request.fields }
    }
    const ifRev = this.capabilities.precondition && request.rev !== null ? { ifRev: request.rev } : {}
    return request.op === 'update'
      ? { op: 'update', id: request.id, fields: request.fields, ...ifRev }
      : {
          op: 'delete',
          id: request.id,
          archive: request.archive,
          ...(request.erase ? { erase: true } : {}),
          ...ifRev,
        }
  }

  async #outcome(request: WriteRequest, result: WriteResult, signal?: AbortSignal): Promise<WriteOutcome> {
    const { ref } = request
    if (result.status === 200) return { ref, kind: 'written', record: result.record }
    if (result.status === 204) return { ref, kind: 'deleted', id: result.id }
    if (result.status === 404 && request.op === 'delete') return { ref, kind: 'deleted', id: request.id }
    if (result.status === 409 && result.code === 'exists' && request.op === 'create') {
      return this.#replayed(request, signal)
    }
    if (result.status === 301) return { ref, kind: 'failed', failure: refusalOf(422, 'merged', undefined) }
    return { ref, kind: 'failed', failure: refusalOf(result.status, result.code, result.field) }
  }

  /** The key is ours alone, so the record that has it is the one an earlier attempt made: answer with what it holds now. */
  async #replayed({ ref, key }: CreateRequest, signal?: AbortSignal): Promise<WriteOutcome> {
    try {
      const [entry] = await this.#app.read([key], signal)
      if (entry?.kind === 'record') return { ref, kind: 'written', record: entry.record }
      return { ref, kind: 'failed', failure: refusalOf(422, entry?.kind ?? 'unreadable', undefined) }
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      // The other outcomes of the batch are known and must not be lost with this one.
      return { ref, kind: 'failed', failure: { ...failureOf(error), kind: 'uncertain' } }
    }
  }

  async #ask<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call()
    } catch (error) {
      throw raised(error)
    }
  }
}

function sightingOf(entry: Entry) {
  return entry.kind === 'head' ? ({ kind: 'hint', id: entry.id, rev: entry.rev } as const) : answerOf(entry)
}

function answerOf(entry: Entry): ReadAnswer {
  switch (entry.kind) {
    case 'record':
    case 'merged':
      return entry
    case 'deleted':
      return { kind: 'gone', id: entry.id }
    case 'unreadable':
    case 'head':
      return { kind: 'broken', id: entry.id, rev: entry.rev, failure: refusalOf(422, 'unreadable', undefined) }
  }
}

/** What is not the app's own word (a crash of the simulation, an abort) passes as it is. */
function raised(error: unknown): unknown {
  return error instanceof AppError ? new FailureError(failureOf(error), { cause: error }) : error
}

/** A call that failed as a whole. */
function failureOf(error: AppError): Failure {
  const code = String(error.status)
  switch (error.status) {
    case 401:
      return {
        kind: 'auth',
        message: 'The memory app refuses the credentials.',
        code,
        advice: 'Let the app accept them again, then run: kith check',
      }
    case 429: {
      const message = 'The memory app asks to wait.'
      return error.retryAfter_ms === undefined
        ? { kind: 'ratelimited', message, code }
        : { kind: 'ratelimited', message, code, retryAfter_ms: error.retryAfter_ms }
    }
    case 0:
      return { kind: 'uncertain', message: 'The answer of the memory app was lost.', code: 'lost' }
    case 410:
    case 503:
      return { kind: 'transient', message: 'The memory app cannot answer now.', code }
  }
}

/** One record that was not written. */
function refusalOf(status: 404 | 409 | 412 | 422 | 503, code: string, field: string | undefined): Failure {
  switch (status) {
    case 404:
      return { kind: 'gone', message: 'The record is no longer in the memory app.', code }
    case 412:
      return { kind: 'conflict', message: 'The record was changed in the memory app meanwhile.', code }
    case 503:
      return { kind: 'transient', message: 'The memory app did not get to this record.', code }
    case 409:
    case 422: {
      const what = field === undefined ? 'the record' : `the field ${field}`
      return { kind: 'permanent', message: `The memory app refuses ${what}: ${code}.`, code }
    }
  }
}
