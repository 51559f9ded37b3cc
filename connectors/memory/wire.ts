import type { JsonObject } from '../../engine/core/json.ts'

/**
 * What the memory app says on its "wire": the words its API and its one client agree on. They are the app's own, as any
 * product's would be; index.ts is what turns them into Kith's.
 */

/** A contact as the API hands it out. Frozen, all the way down: it may be kept and compared, never changed. */
export interface MemoryRecord {
  readonly id: string
  /** null where the app keeps no revisions. */
  readonly rev: string | null
  readonly modified_ms?: number
  readonly fieldTimes_ms?: { readonly [field: string]: number }
  /** Every field of the app, blank ones as null. */
  readonly fields: JsonObject
}

/** One line of the change feed, of a listing, or of a read. */
export type Entry =
  | { readonly kind: 'record'; readonly record: MemoryRecord }
  | { readonly kind: 'head'; readonly id: string; readonly rev: string | null }
  | { readonly kind: 'deleted'; readonly id: string }
  | { readonly kind: 'merged'; readonly id: string; readonly into: string }
  | { readonly kind: 'unreadable'; readonly id: string; readonly rev: string | null }

/** A place in the change feed. `epoch` moves on when the app throws old places away. */
export interface Place {
  readonly epoch: number
  readonly seq: number
}

export interface ChangesPage {
  readonly entries: readonly Entry[]
  readonly next: Place
  readonly more: boolean
}

export interface ListPage {
  readonly entries: readonly Entry[]
  /** Where the next page starts; null when there is none. */
  readonly next: number | null
  /** The app vouches that this page is whole. */
  readonly whole: boolean
  /** A place in the feed that is no later than anything the listing shows. */
  readonly feed: Place
}

export type WriteItem =
  | { readonly op: 'create'; readonly id?: string; readonly fields: JsonObject }
  | { readonly op: 'update'; readonly id: string; readonly ifRev?: string; readonly fields: JsonObject }
  | {
      readonly op: 'delete'
      readonly id: string
      readonly ifRev?: string
      readonly archive: boolean
      readonly erase?: boolean
    }
  | { readonly op: 'merge'; readonly id: string; readonly into: string }

export type WriteResult =
  | { readonly status: 200; readonly record: MemoryRecord }
  | { readonly status: 204; readonly id: string }
  /** Merged: the id that stands now. */
  | { readonly status: 301; readonly id: string; readonly into: string }
  /** 404 not there, 409 `exists` or `email-taken`, 412 another revision, 422 refused data, 503 not done, try again. */
  | { readonly status: 404 | 409 | 412 | 422 | 503; readonly code: string; readonly field?: string }

export interface FieldInfo {
  readonly name: string
  readonly type: 'text' | 'list'
  readonly length_max?: number
}

export type Method = 'check' | 'changes' | 'list' | 'read' | 'write' | 'search'

/** A call that failed as a whole: 401, 410 (the place in the feed is gone), 429, 503. Status 0: the answer never came. */
export class AppError extends Error {
  override readonly name = 'AppError'
  readonly status: 0 | 401 | 410 | 429 | 503
  readonly retryAfter_ms: number | undefined

  constructor(status: AppError['status'], retryAfter_ms?: number) {
    super(`memory app: status ${status}`)
    this.status = status
    this.retryAfter_ms = retryAfter_ms
  }
}
