import type { Act } from '../act.ts'
import type { CellKey } from '../catalogue.ts'
import type { Consent } from '../consent.ts'
import type { Failure } from '../failure.ts'
import type { Json, JsonObject } from '../json.ts'
import type { Person, Rule } from '../person.ts'
import type { Stamp } from '../stamp.ts'

/**
 * What Kith knows of one record of one connection: its shadow, and the person it is linked to.
 *
 * - `staged`    heard and not yet matched: it has no person
 * - `linked`    kept in agreement with its person
 * - `ambiguous` it may be one of several people (or a second record of one): an operator decides, nothing is written
 * - `missing`   gone from the app, and held by a brake: the deletion is not believed yet
 * - `unreadable` the app holds something that could never be read (`failure` says why)
 * - `gone`      deleted in the app; the row remembers whose it was, so that it is not created anew
 */
export type LinkState = 'staged' | 'linked' | 'ambiguous' | 'missing' | 'unreadable' | 'gone'

export interface Link {
  readonly connection: string
  readonly recordId: string
  readonly personId: string | null
  readonly state: LinkState
  /** The shadow: the mapped app fields, as they were when the app and Kith last agreed. */
  readonly fields: JsonObject
  readonly rev: string | null
  /** The app's time of the record's last change that was heard: tells an old copy of the record from a new one. */
  readonly modified_ms?: number
  /** The app's times of single fields; of use until the record is matched. */
  readonly fieldTimes_ms?: { readonly [field: string]: number }
  /**
   * The stamp time of the value behind each cell of the shadow; `*` stands for the cells not named. What an edit was made
   * over, in milliseconds.
   */
  readonly base_ms: { readonly [cell: CellKey]: number }
  /** What we sent and what the app made of it, for fields that the app rewrote: neither flows back nor is sent again. */
  readonly rewrites: { readonly [appField: string]: { readonly sent: Json; readonly got: Json } }
  /** What the record can be found by: `email:ada@example.org`, `phone:+49...`, `external:...`. */
  readonly keys: readonly string[]
  /** For `ambiguous`: the people it may be, and why it was left to an operator. */
  readonly candidates?: readonly string[]
  readonly reason?: string
  /** Set while the record cannot be read; its last good shadow stays. */
  readonly failure?: Failure
  /**
   * The record was heard while a write to it was under way, or a write met a newer revision: it is read again as soon as no
   * write is under way. Durable, so that the feed may go on meanwhile.
   */
  readonly recheck: boolean
  /** Compare-and-set key; 0 for a link not yet stored. */
  readonly version: number
}

/**
 * - `held`    waits for approval, or behind a brake
 * - `pending` may be sent
 * - `sending` claimed by a worker; if its lease runs out, its answer counts as lost
 * - `done`    answered by the app
 * - `parked`  refused by the app: needs an operator
 */
export type IntentState = 'held' | 'pending' | 'sending' | 'done' | 'parked'

export interface IntentCell {
  readonly before: Json
  readonly after: Json
  /** The stamp of the person's value, and the rule it stands by: the reason shown in plans. */
  readonly stamp: Stamp
  readonly rule: Rule
}

/** A write we have durably decided to make. At most one per person and connection is open (held, pending or parked). */
export interface Intent {
  readonly id: string
  readonly connection: string
  readonly personId: string
  readonly op: 'create' | 'update' | 'delete'
  /** null for a create. */
  readonly recordId: string | null
  readonly rev: string | null
  readonly archive: boolean
  /** The app fields to write: all of them for a create, the changed ones for an update. */
  readonly fields: JsonObject
  /** The same in canonical terms. */
  readonly cells: { readonly [cell: CellKey]: IntentCell }
  readonly state: IntentState
  /** Why it is held: `approval`, `observe`, or the brake's own sentence. */
  readonly held?: string
  /** An operator let it go: brakes do not stop it again, nor count it. */
  readonly released: boolean
  readonly attempts: number
  readonly notBefore_ms: number
  readonly planned_ms: number
  /** It tells an app whether somebody may be written to: such writes go before all others. */
  readonly urgent: boolean
  /** The last failure, if any. */
  readonly failure?: Failure
}

/** One entry of the change log: one field of one person, and what became of it. */
export interface Change {
  readonly personId: string
  readonly cell: CellKey
  readonly before: Json
  readonly after: Json
  readonly stamp: Stamp
  /** The record the value was heard from; null for an act. */
  readonly recordId: string | null
  /**
   * - `applied`   the value is the person's now
   * - `lost`      another value stands; this one is kept here
   * - `refused`   the policy, the direction or the blank rule says that this app may not change the field
   * - `rewritten` the app made something else of what we sent
   */
  readonly kind: 'applied' | 'lost' | 'refused' | 'rewritten'
  readonly rule: Rule
  readonly heard_ms: number
}

/** Two values of one cell between which a person must choose (`manual`). One per person, cell and connection is open. */
export interface Conflict {
  readonly personId: string
  readonly cell: CellKey
  readonly connection: string
  readonly recordId: string
  /** The person's value, and the record's. */
  readonly ours: Json
  readonly theirs: Json
  readonly theirsStamp: Stamp
  readonly open: boolean
}

/** Everything needed to decide about some records or people. */
export interface Neighbourhood {
  readonly people: readonly Person[]
  /** The links asked for, and every other link of the people. */
  readonly links: readonly Link[]
  /** Open and `sending` intents of the people. */
  readonly intents: readonly Intent[]
  readonly conflicts: readonly Conflict[]
  /** Connections in which a record not yet matched, or ambiguous, may be this person: nothing is created there. */
  readonly suspected: ReadonlyMap<string, ReadonlySet<string>>
}

/** Who holds a key. */
export interface KeyHolder {
  readonly key: string
  readonly connection: string
  readonly recordId: string
  readonly personId: string | null
  readonly state: LinkState
}

/** Where a connection's reading stands. */
export interface ConnectionState {
  readonly name: string
  readonly app: string
  readonly mode: 'observe' | 'live' | 'paused'
  readonly cursor: Json | null
  /** The app fields that the last whole pass has read; others mean that everything is read once more. null: none yet. */
  readonly readWith: string | null
  /** The pass under way or last made, and its last chunk applied. */
  readonly pass: number
  readonly chunk: number
  /** Whether a pass has ever come to its end: matching waits for the first pass of every connection. */
  readonly scanned: boolean
  readonly lastRead_ms: number | null
  /** What keeps the connection from being read or written, if anything. */
  readonly failure: Failure | null
  /** Why deletions heard from it are held (a brake's sentence), if they are. */
  readonly held: string | null
}

/** A step of a pass: chunk number `chunk` of pass `pass`; a cursor where the feed can go on from there. */
export interface FeedStep {
  readonly connection: string
  readonly pass: number
  readonly chunk: number
  readonly cursor?: Json
  /** The pass is at its end. */
  readonly last: boolean
  /** With `last`: the app fields that the pass has read. */
  readonly readWith?: string
  readonly now_ms: number
}

/** What happened to an intent that was claimed. */
export interface Settlement {
  readonly intentId: string
  /** `pending`: to be tried again, not before `notBefore_ms`. `superseded`: taken back for a newer plan. */
  readonly state: 'done' | 'pending' | 'parked' | 'held' | 'superseded'
  readonly failure?: Failure
  readonly notBefore_ms?: number
  /** What the app answered, for `kith why`: the record id and the revision. */
  readonly answer?: JsonObject
  readonly now_ms: number
}

/**
 * Facts that become true together, or not at all. Every version named is a compare-and-set: if a single one has moved on,
 * nothing is written. Nor is anything where it would leave a person with two `linked` records in one connection (I4): two
 * deciders that each gave him one must not both win.
 */
export interface Commit {
  /** The person as it shall be; `version` is the one that was read. */
  readonly people?: readonly Person[]
  readonly links?: readonly Link[]
  readonly changes?: readonly Change[]
  /** Opened, moved on, or closed. */
  readonly conflicts?: readonly Conflict[]
  /** Open intents: each takes the place of the one that was open for its person and connection. */
  readonly intents?: readonly Intent[]
  /** Open intents that are no longer wanted. */
  readonly withdrawn?: readonly { readonly personId: string; readonly connection: string }[]
  readonly settlements?: readonly Settlement[]
  readonly feed?: FeedStep
  /** People whose plan must be made anew: new links, new rules, a write whose end could not be foreseen. */
  readonly unplanned?: readonly string[]
  /** Flags whose plan is made now. One that was raised again meanwhile stays. */
  readonly planned?: readonly Unplanned[]
  /** People that the decision rests on without changing them: they must not have moved on either. */
  readonly seen?: readonly { readonly id: string; readonly version: number }[]
  /** The matching round this commit was decided in: two workers that match at once cannot both win. */
  readonly matchRound?: number
  /** Counters for the brakes: how often something happened in a connection. */
  readonly tallies?: readonly Tally[]
  /** What an operator did to make this happen. */
  readonly act?: Act
  /** Entries of the consent ledger. Everybody who holds such an address is marked for planning. */
  readonly consents?: readonly Consent[]
  /** Addresses that the decision rests on: their entries must not have moved on. Version 0: there was none. */
  readonly consentsSeen?: readonly { readonly key: string; readonly version: number }[]
}

/** A flag that a person's plan is to be made; `mark` grows each time the flag is raised. */
export interface Unplanned {
  readonly personId: string
  readonly mark: number
}

export interface Tally {
  readonly connection: string
  /** `field:<name>` records in which the field changed; `created`, `deleted`: writes made by us; `gone`: deletions heard. */
  readonly what: string
  readonly count: number
  readonly at_ms: number
}

export type CommitResult =
  | { readonly kind: 'committed' }
  /** A version moved on: load again, decide again. */
  | { readonly kind: 'lost' }
  /** The pass went on without this chunk (it was applied before, or a newer pass has begun): drop it. */
  | { readonly kind: 'stale' }
  /** An earlier chunk is not applied yet: come back in a moment. */
  | { readonly kind: 'early' }

export interface IntentFilter {
  readonly connection?: string
  readonly personId?: string
  readonly state?: IntentState
  readonly op?: Intent['op']
  /** Only what was planned by then. */
  readonly plannedUntil_ms?: number
}

export interface ConnectionCounts {
  readonly linked: number
  readonly staged: number
  readonly ambiguous: number
  readonly missing: number
  readonly broken: number
  readonly pending: number
  readonly sending: number
  readonly held: number
  readonly parked: number
}

export interface LogEntry extends Change {
  readonly id: number
}

/**
 * The database, as the engine sees it. Two implementations pass one test suite: Postgres, and the memory store of the
 * simulation. Every method may be called by many workers at once, in many processes.
 *
 * @throws StoreUnavailableError from any method when the database cannot be reached; nothing of the call was done, or all.
 */
export interface Store {
  /** Makes sure that the connections of the config have a row; others are left alone and reported by `connections`. */
  ensureConnections(wanted: readonly { name: string; app: string; mode: ConnectionState['mode'] }[]): Promise<void>
  connections(): Promise<ConnectionState[]>
  /** Starts a new pass and returns its number: chunks of older passes are stale from now on. */
  startPass(connection: string): Promise<number>
  /** Forgets the cursor (it expired): the next pass reads everything. */
  resetCursor(connection: string): Promise<void>
  saveConnection(
    connection: string,
    patch: Partial<Pick<ConnectionState, 'mode' | 'failure' | 'held' | 'lastRead_ms'>>,
  ): Promise<void>
  /** Small facts of the whole installation: the approved config's fingerprint, the data's format. */
  getFact(name: string): Promise<Json | null>
  setFact(name: string, value: Json): Promise<void>

  /** The links of these records, their people, and all that is needed to decide about them. */
  loadRecords(connection: string, recordIds: readonly string[]): Promise<Neighbourhood>
  loadPeople(personIds: readonly string[]): Promise<Neighbourhood>
  /** What is known of these records: to tell an echo by its revision. */
  known(
    connection: string,
    recordIds: readonly string[],
  ): Promise<ReadonlyMap<string, { rev: string | null; state: LinkState; broken: boolean }>>
  /** Every record id of a connection that is not gone, in batches. */
  knownIds(connection: string): AsyncIterable<string[]>

  /**
   * Staged links after a given one, in the order of connection name and record id, and the matching round to name in the
   * commit.
   */
  staged(limit: number, after?: { connection: string; recordId: string }): Promise<{ links: Link[]; round: number }>
  /** Records to be read again that have no write under way (`sending`). */
  rechecks(limit: number): Promise<{ connection: string; recordId: string }[]>
  /** All records that hold one of the keys, gone ones left out. */
  keyHolders(keys: readonly string[]): Promise<KeyHolder[]>
  /** People whose plan is to be made, and who have no write under way, by id. */
  unplanned(limit: number): Promise<Unplanned[]>
  /** Marks everybody for planning: the rules have changed. Returns how many. */
  replanAll(): Promise<number>

  /** What the consent ledger says of these addresses; an address without an entry is not in the answer. */
  consents(keys: readonly string[]): Promise<Consent[]>

  commit(commit: Commit): Promise<CommitResult>

  /**
   * Claims up to `limit` pending intents of one connection for sending: urgent ones first, then the oldest, none whose person has one under way
   * in that connection, none before its time. Claimed intents are `sending`, with one more attempt, until `leaseEnd_ms`.
   */
  claim(connection: string, limit: number, now_ms: number, leaseEnd_ms: number): Promise<Intent[]>
  /** `sending` intents whose lease has run out: their answers are lost. Claims them anew until `leaseEnd_ms`. */
  claimExpired(connection: string, limit: number, now_ms: number, leaseEnd_ms: number): Promise<Intent[]>
  /** Lets every lease in these connections run out now: for a worker that knows that it is the only one. */
  expireLeases(connections: readonly string[]): Promise<void>
  /** Connections that have something to send or to find out about now. */
  due(now_ms: number): Promise<string[]>
  /**
   * Pending intents by operation, released ones left out, what was tallied since `since_ms`, and how many records the
   * connection has (linked, staged, ambiguous, missing): what the brakes look at.
   */
  brakeCounts(
    connection: string,
    since_ms: number,
  ): Promise<{
    pending: { create: number; update: number; delete: number }
    tallied: { [what: string]: number }
    records: number
  }>
  /** Puts pending intents that no operator has released behind a brake; returns how many. */
  hold(filter: IntentFilter, reason: string): Promise<number>
  /** Lets held intents go and marks them released; returns how many. `reason`: only those held for it. */
  release(filter: IntentFilter, reason?: string): Promise<number>
  /** Parked intents: try again now, or give them up. */
  retryParked(filter: IntentFilter): Promise<number>
  dropParked(filter: IntentFilter): Promise<number>

  /** Open intents, in the order of connection and plan. */
  intents(filter: IntentFilter): AsyncIterable<Intent>
  /** Links in a given state, or (`broken`) that cannot be read. */
  links(filter: { connection?: string; state?: LinkState; broken?: boolean }): AsyncIterable<Link>
  conflicts(): AsyncIterable<Conflict>
  counts(): Promise<ReadonlyMap<string, ConnectionCounts>>
  /** People whose names, addresses, numbers or id contain the text, best first; all of them for the empty text. */
  searchPeople(text: string, limit: number): Promise<Person[]>
  /** The change log, newest first. `connection`: whose word it was; `operator:<name>` for an act. */
  log(filter: {
    personId?: string
    connection?: string
    cell?: CellKey
    since_ms?: number
    until_ms?: number
    rule?: Rule
    /** Only older entries than this one: to page on. */
    beforeId?: number
    limit: number
  }): Promise<LogEntry[]>
  /** What operators did, newest first. */
  acts(filter: { id?: string; since_ms?: number; kind?: string; limit: number }): Promise<Act[]>
  /** Settled intents of a person, newest first: what was sent where, and what the app answered. */
  deliveries(personId: string, limit: number): Promise<(Intent & { answer: JsonObject | null; settled_ms: number })[]>
  /** Removes log entries and settled intents from before `before_ms`; returns how many. */
  prune(before_ms: number): Promise<number>

  close(): Promise<void>
}

/** The database cannot be reached. */
export class StoreUnavailableError extends Error {
  override readonly name = 'StoreUnavailableError'
}
