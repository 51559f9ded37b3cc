import type { Failure } from '../failure.ts'
import type { Json, JsonObject } from '../json.ts'

/**
 * The contract between the engine and one app. A connector speaks records; it never sees a person. Everything it declares
 * in {@link Capabilities} is tested by the conformance suite.
 *
 * Failure semantics, for every method: what fails as a whole (no network, refused credentials) throws a FailureError; what
 * fails for one record is an answer for that record, and the others go on.
 */
export interface Connector {
  readonly app: string
  readonly capabilities: Capabilities

  /**
   * Tries the connection out: reachable, credentials accepted, the address book or file there and writable. Changes nothing.
   * @throws FailureError with the advice that `kith check` prints
   */
  check(signal?: AbortSignal): Promise<ConnectionReport>

  /**
   * Names the app fields that the mapping reads or writes: records need hold no others. Called before anything is read;
   * never called, all known fields are meant.
   */
  select?(fields: readonly string[]): void

  /** Traffic since the connector was opened: what `kith sync` and the bench report. */
  stats?(): ConnectorStats

  /**
   * Reads what has changed since `cursor`, page by page; without a cursor, everything. Ends when there is nothing more for
   * now. Reading twice from one cursor is always allowed and gives at least the same changes again.
   *
   * Where the app's feed cannot tell deletions (see {@link Capabilities.deletes}), or the cursor has expired, the pages
   * are an *inventory*: all records there are, each at least as a hint; the last page says `complete`. An app that can tell
   * that nothing at all has changed may say so with one empty page instead.
   *
   * @throws FailureError; pages already handed out stay valid
   */
  pull(cursor: Json | null, signal?: AbortSignal): AsyncIterable<FeedPage>

  /**
   * Reads records by id, at most {@link Capabilities.readBatch_max} at once. One answer per id, in any order. `gone` is
   * said only where the app itself says that the record is not there.
   */
  read(ids: readonly string[], signal?: AbortSignal): Promise<ReadAnswer[]>

  /**
   * Writes at most {@link Capabilities.writeBatch_max} records. One outcome per request, with the request's `ref`. An update
   * changes the named fields only and leaves all else in the app as it stands.
   *
   * A create that is repeated (`createKey` is `id`) and finds its record there answers with the record as it stands, even
   * if a human has edited it since. Times may be left out of an outcome's record.
   *
   * A request whose answer was lost is `uncertain`, and so is a whole batch whose answer was lost: it must not throw then.
   */
  write(requests: readonly WriteRequest[], signal?: AbortSignal): Promise<WriteOutcome[]>

  /**
   * Looks for records that carry one of the given values, to find out what became of an uncertain create. Needed where
   * `createKey` is `search`.
   */
  find?(create: CreateRequest, signal?: AbortSignal): Promise<AppRecord[]>

  /**
   * Whether these two can be merged, as far as their ids tell: an app may hold people in several kinds of record. Left out, any two
   * can.
   */
  mergeable?(id: string, into: string): boolean

  /**
   * Merges two records into one; there exactly where {@link Capabilities.merge} is declared. Like a write: refused for these two,
   * or its answer lost, is an outcome.
   */
  merge?(request: MergeRequest, signal?: AbortSignal): Promise<MergeOutcome>

  /**
   * Calls `hint` whenever the app itself announces a change (a file was saved, a push arrived); returns how to stop.
   * Hints only hasten the next pull: they may be lost or doubled. Where listening fails, or ends, the connector takes it up again by
   * itself, with growing pauses, until it is stopped or closed.
   *
   * @param listener for apps that name the records, remember what was heard, or are listened to over a network
   */
  watch?(hint: () => void, listener?: Listener): Promise<() => Promise<void>>

  /** Ends open sockets, watchers and timers. The connector is not used afterwards. */
  close(): Promise<void>
}

/** Who listens to an app's own announcements. */
export interface Listener {
  /**
   * These records have changed: they are read by their ids, and the feed is pulled a little later. Durable when it resolves; where it
   * rejects, nothing was taken, and they may be told again.
   */
  changed(ids: readonly string[]): Promise<void>
  /** What {@link Listener.keep} was last called with, by whichever process; null for nothing. */
  place(): Promise<Json | null>
  /** Where the next watch can go on from. */
  keep(place: Json): Promise<void>
  /** How listening stands: why nothing is heard at present, or null as soon as something would be. Told again only when it changes. */
  stands(failure: Failure | null): void
}

export interface ConnectorStats {
  readonly requests: number
  readonly bytesSent: number
  readonly bytesReceived: number
}

export interface Capabilities {
  /**
   * How deletions are heard: `feed`, the change feed reports them; `inventory`, every pull lists all records, and what is
   * missing is read directly before it is believed.
   */
  readonly deletes: 'feed' | 'inventory'
  /** Whether the app's feed may announce a change without its data; the engine then reads the record by id. */
  readonly hints: boolean
  /**
   * What makes a create safe to repeat after a lost answer: `id`, Kith chooses the record's id and a second create is
   * refused as a duplicate; `search`, {@link Connector.find} tells whether it happened.
   */
  readonly createKey: 'id' | 'search'
  /** Whether writes carry a precondition, so that an edit made between our read and our write is answered `conflict`. */
  readonly precondition: boolean
  /** Whether records say when each field was changed, when the record was changed, or neither. */
  readonly times: 'field' | 'record' | 'none'
  readonly readBatch_max: number
  readonly writeBatch_max: number
  /** How many write batches may be under way at once. */
  readonly writes_concurrent_max: number
  /** Whether a delete can be an archive, from which people can take the record back. */
  readonly archive: boolean
  /** Whether records can be created by us at all. */
  readonly create: boolean
  readonly delete: boolean
  /**
   * Whether a delete can be for good ({@link DeleteRequest.erase}): not to be taken back by people in the app, and no copy in a bin;
   * false where it is left out.
   */
  readonly erase?: boolean
  /**
   * Whether the app can merge two records into one; false where it is left out. Afterwards reading the one that ended says
   * `merged` or `gone`: that is how a merge whose answer was lost is found out about.
   */
  readonly merge?: boolean
  /** App fields without which no record can be created: whoever has none is not created there, and is no failure. */
  readonly requires?: readonly string[]
}

/** What `check` found. */
export interface ConnectionReport {
  /** What was found, for people: "address book 'Contacts', 1,204 cards". No secret, no personal value. */
  readonly summary: string
  /** The fields that records of this account have. A field that the mapping names and that is not here is an error. */
  readonly fields: readonly AppField[]
  /** What an operator should know although it works: "12 rows have no name". */
  readonly warnings: readonly string[]
}

export interface AppField {
  readonly name: string
  readonly label?: string
  /** The app's own word for the type; for people. */
  readonly type: string
  readonly writable: boolean
  /** Longest text the field keeps; the mapping checks against it. */
  readonly length_max?: number
  /** The values it can have, where the app lists them: as the app stores them, and what people see. */
  readonly options?: readonly { readonly value: string; readonly label?: string }[]
}

/** A contact as the app holds it: the app's own field names and values. */
export interface AppRecord {
  readonly id: string
  /** The app's revision (etag, content hash): equal exactly when nothing changed. null where the app has none. */
  readonly rev: string | null
  /** The app's time of the last change to the record, in milliseconds; undefined where it has none. */
  readonly modified_ms?: number
  /** The app's time of the last change to single fields, in milliseconds. */
  readonly fieldTimes_ms?: { readonly [field: string]: number }
  /** Every field that was asked for (see {@link Connector.select}); one that is not here is blank. */
  readonly fields: JsonObject
}

/** One thing heard from an app's feed. */
export type Sighting =
  /** The record as it is now. */
  | { readonly kind: 'record'; readonly record: AppRecord }
  /** "This record is there, at this revision", without its data. */
  | { readonly kind: 'hint'; readonly id: string; readonly rev: string | null }
  /** The feed says: deleted. */
  | { readonly kind: 'gone'; readonly id: string }
  /** The app merged one record into another: the loser's id is dead, its links move on. Never a delete plus a create. */
  | { readonly kind: 'merged'; readonly id: string; readonly into: string }
  /** The record is there and cannot be read: it is parked by name, and counts as seen. */
  | { readonly kind: 'broken'; readonly id: string; readonly rev: string | null; readonly failure: Failure }

export interface FeedPage {
  readonly sightings: readonly Sighting[]
  /** Where to go on after this page. Left out where a page is no place to go on from (the pass is then read anew). */
  readonly cursor?: Json
  /**
   * Set on the pages of an inventory. `complete` is true on the last page only, and only when the app vouched that all
   * pages were whole; what was not seen by then is read directly, and what is gone is gone.
   */
  readonly inventory?: { readonly complete: boolean }
}

export type ReadAnswer =
  | { readonly kind: 'record'; readonly record: AppRecord }
  | { readonly kind: 'gone'; readonly id: string }
  | { readonly kind: 'merged'; readonly id: string; readonly into: string }
  | { readonly kind: 'broken'; readonly id: string; readonly rev: string | null; readonly failure: Failure }

export interface CreateRequest {
  readonly op: 'create'
  readonly ref: string
  /** Unique to this create, stable over its retries, safe in a file name: the id, or part of it, where `createKey` is `id`. */
  readonly key: string
  readonly fields: JsonObject
}

export interface UpdateRequest {
  readonly op: 'update'
  readonly ref: string
  readonly id: string
  /** The revision that the change was made over; null where none is known. */
  readonly rev: string | null
  /** Only the fields to change; null blanks one. */
  readonly fields: JsonObject
}

export interface DeleteRequest {
  readonly op: 'delete'
  readonly ref: string
  readonly id: string
  readonly rev: string | null
  /** Archive rather than delete, where the app can. */
  readonly archive: boolean
  /**
   * Somebody has asked to be forgotten. Where {@link Capabilities.erase} is declared, the delete is by the app's own call for that,
   * for good, and also of a record that lies in the app's bin already; it may be repeated, and is `deleted` then too. Elsewhere it is
   * a delete like any.
   */
  readonly erase?: boolean
}

/**
 * Two records of one person become one: what the app keeps beside the fields (history, deals, tickets) goes over to `into`,
 * and `id` is no more. It cannot be undone.
 */
export interface MergeRequest {
  readonly ref: string
  /** The record that ends. */
  readonly id: string
  /** The record that stands. */
  readonly into: string
}

export type WriteRequest = CreateRequest | UpdateRequest | DeleteRequest

export type WriteOutcome =
  /** Done; `record` is what the app now holds (read back where the app may have rewritten it). */
  | { readonly ref: string; readonly kind: 'written'; readonly record: AppRecord }
  /** The delete is done, or there was nothing left to delete. */
  | { readonly ref: string; readonly kind: 'deleted'; readonly id: string }
  | { readonly ref: string; readonly kind: 'failed'; readonly failure: Failure }

export type MergeOutcome =
  /** Done; `into` is the id that stands now, which may be a third one. */
  | { readonly ref: string; readonly kind: 'merged'; readonly id: string; readonly into: string }
  | { readonly ref: string; readonly kind: 'failed'; readonly failure: Failure }
