import type { Act } from '../act.ts'
import type { CellKey } from '../catalogue.ts'
import type { Consent } from '../consent.ts'
import type { Certificate, Erasure, Waiver } from '../erasure.ts'
import type { Failure } from '../failure.ts'
import type { CountedCause } from '../health.ts'
import type { Json, JsonObject } from '../json.ts'
import type { Person, Rule } from '../person.ts'
import type { Stamp } from '../stamp.ts'
import type { AppRecord } from './connector.ts'

/**
 * What Kith knows of one record of one connection: its shadow, and the person it is linked to.
 *
 * - `staged`    heard and not yet matched: it has no person
 * - `linked`    kept in agreement with its person
 * - `ambiguous` it may be one of several people (or a second record of one): an operator decides, nothing is written
 * - `second`    another record of somebody who has one there: it was folded into them by an operator, its values are theirs, and
 *   it waits to be merged or deleted in the app. It stays with the person that was merged away; `candidates` names the one
 *   who stands
 * - `missing`   gone from the app, and held by a brake: the deletion is not believed yet
 * - `unreadable` the app holds something that could never be read (`failure` says why)
 * - `gone`      deleted in the app; the row remembers whose it was, so that it is not created anew
 * - `erased`    of somebody who was erased: it takes no part, and nothing of it is kept; `reason` names the erasure
 */
export type LinkState = 'staged' | 'linked' | 'ambiguous' | 'second' | 'missing' | 'unreadable' | 'gone' | 'erased'

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
  readonly op: 'create' | 'update' | 'delete' | 'merge'
  /** null for a create. */
  readonly recordId: string | null
  readonly rev: string | null
  /** For a merge: the record that stands. */
  readonly into?: string
  readonly archive: boolean
  /** Of a delete: somebody has asked to be forgotten, so it is for good, where the app can. */
  readonly erase?: boolean
  /** The app fields to write: all of them for a create, the changed ones for an update. */
  readonly fields: JsonObject
  /** The same in canonical terms. */
  readonly cells: { readonly [cell: CellKey]: IntentCell }
  readonly state: IntentState
  /** Why it is held: `approval`, `observe`, the brake's own sentence, or (for a second record) {@link DUPLICATE} of people.ts. */
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
   * - `repaired`  the data standard made something else (`after`) of what was said (`before`)
   */
  readonly kind: 'applied' | 'lost' | 'refused' | 'rewritten' | 'repaired'
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
  /** An operator's pause, beside whatever the config says: nothing is claimed for sending while there is one. */
  readonly pause: Pause | null
}

/** An operator has stopped all writing to a connection, to clean up in its app. */
export interface Pause {
  /** Also that of the act. */
  readonly id: string
  readonly at_ms: number
  readonly by: string
  readonly why: string
  /** When it should be over. It never ends by itself: from then on it is told as overdue. */
  readonly until_ms: number | null
  /**
   * Since when no write is under way (I10), the baseline stands, and what is heard is kept for the operator instead of being
   * merged; null while writes are still waited for.
   */
  readonly since_ms: number | null
}

/** What was heard of one record during a pause, as far as it differs from the baseline: part of the clean-up. */
export interface Kept {
  readonly connection: string
  readonly recordId: string
  /** The record as it was last heard; null where only its end was. */
  readonly record: AppRecord | null
  /** What became of the record in the end; null while it is there. */
  readonly end: { readonly kind: 'gone' } | { readonly kind: 'merged'; readonly into: string } | null
  readonly heard_ms: number
  /** Compare-and-set key, and the order of hearing: never the same twice; 0 for what is not stored yet. */
  readonly mark: number
}

/** One record as Kith knew it when a pause was acknowledged. */
export type Baseline = Pick<Link, 'recordId' | 'personId' | 'state' | 'fields' | 'rev' | 'rewrites'>

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
  /** Decided while the connection was in this pause (its id), acknowledged, or in none (null): if that is over, it is lost. */
  readonly under?: { readonly connection: string; readonly pause: string | null }
  /** Heard during a pause. `mark` is the one that was read, as a compare-and-set. */
  readonly keep?: readonly Kept[]
  /** Kept no longer: decided, or taken back in the app itself. */
  readonly unkeep?: readonly Pick<Kept, 'connection' | 'recordId' | 'mark'>[]
  /**
   * An erasure that begins or goes on, and the keys that are barred by it from now on; what the ledger says of those is kept
   * under their hashes.
   */
  readonly erasure?: { readonly erasure: Erasure; readonly keys: readonly string[] }
  /** Pairs of people, or of a record and a person, that an operator knows to be different. */
  readonly apart?: readonly Apart[]
  /** Entries of the consent ledger. Everybody who holds such an address is marked for planning. */
  readonly consents?: readonly Consent[]
  /** Addresses that the decision rests on: their entries must not have moved on. Version 0: there was none. */
  readonly consentsSeen?: readonly { readonly key: string; readonly version: number }[]
}

/**
 * Two that are known to be different: `person:<id>`, or `record:<connection>/<record id>`. Kept for good; the smaller text
 * comes first.
 */
export interface Apart {
  readonly a: string
  readonly b: string
}

/** Two people who may be one, and what brought them together. */
export interface LikelyPair {
  readonly a: string
  readonly b: string
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
  readonly second: number
  readonly missing: number
  /** Records of people who were erased, which somebody has added again. */
  readonly erased: number
  readonly broken: number
  readonly pending: number
  readonly sending: number
  readonly held: number
  readonly parked: number
}

/** How much of somebody there is in the store. */
export interface Holdings {
  /** Values of cells, former ones included. */
  readonly cells: number
  readonly records: number
  readonly log: number
  readonly deliveries: number
  readonly conflicts: number
  /** What operators said about them. */
  readonly apart: number
  /** What was kept of their records while a connection was paused. */
  readonly kept: number
}

export interface LogEntry extends Change {
  readonly id: number
  /** The act that made the change, or null. */
  readonly act: string | null
  /** The pass of the connection in which it was heard, or null for an act. */
  readonly pass: number | null
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

  /** Begins a pause: from now on nothing is claimed there, in any process. false: the connection is in one already. */
  beginPause(connection: string, pause: Omit<Pause, 'since_ms'>, act: Act): Promise<boolean>
  /**
   * Acknowledges a pause, unless a write is under way: takes the baseline, and begins a pass, so that chunks on their way are
   * heard anew, under the pause. Doing it twice changes nothing.
   *
   * @returns how many writes are under way: 0 says that it is acknowledged; null that there is no such pause
   */
  settlePause(connection: string, id: string, now_ms: number): Promise<number | null>
  /**
   * Ends a pause of which nothing is kept any more: forgets the baseline and begins a pass.
   * @returns how many records are still kept: 0 says that it has ended; null that there is no such pause
   */
  endPause(connection: string, id: string): Promise<number | null>
  /** What is kept of a connection, or of some of its records, in the order of hearing. */
  kept(connection: string, recordIds?: readonly string[]): AsyncIterable<Kept>
  keptCount(connection: string): Promise<number>
  /** The connection's records as they were when its pause was acknowledged; empty without one. */
  baseline(connection: string): AsyncIterable<Baseline>

  /**
   * Claims up to `limit` pending intents of one connection for sending, unless it is not `live` or in a pause (I10): urgent ones first, then the oldest, none whose person has one under way
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

  /** Open intents, in the order of connection, planning time and id; those after a given one, to page on. */
  intents(filter: IntentFilter, after?: Pick<Intent, 'connection' | 'planned_ms' | 'id'>): AsyncIterable<Intent>
  /**
   * Links in a given state, or (`broken`) that cannot be read, in the order of connection and record id.
   * `after`: only those that come after this one.
   */
  links(filter: {
    connection?: string
    state?: LinkState
    broken?: boolean
    after?: { readonly connection: string; readonly recordId: string }
  }): AsyncIterable<Link>
  conflicts(): AsyncIterable<Conflict>
  counts(): Promise<ReadonlyMap<string, ConnectionCounts>>
  /**
   * How records stand, by {@link countedCause}: every record that is not gone, and for every live person without one in a
   * connection the place where it would be. Only causes that occur.
   */
  healthCounts(): Promise<ReadonlyMap<string, { readonly [cause in CountedCause]?: number }>>
  /** Live people in the order of their ids, and whether their plan is to be made: to go through everybody, page by page. */
  livePeople(filter: {
    readonly after?: string
    readonly ids?: readonly string[]
    readonly limit: number
  }): Promise<{ readonly id: string; readonly unplanned: boolean }[]>
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
    /** Any of these people. */
    people?: readonly string[]
    act?: string
    pass?: number
    /** Only older entries than this one: to page on. */
    beforeId?: number
    /** Only this entry and newer ones. */
    fromId?: number
    limit: number
  }): Promise<LogEntry[]>
  /** When the oldest entry of the log was heard, in milliseconds; null for an empty log. What is older was pruned. */
  oldestLog(): Promise<number | null>
  /** What is known to be different from these. */
  apart(subjects: readonly string[]): Promise<Apart[]>
  /**
   * Live people who share a number, an address, the part of it before the @, a name, or an organisation and a piece of a name:
   * who may be one. Found by blocks of at most `block_max` people, the strongest kind first; a larger block says nothing.
   */
  likelyPairs(limit: number, block_max: number): Promise<LikelyPair[]>
  /** What operators did, newest first. */
  acts(filter: { id?: string; since_ms?: number; kind?: string; limit: number }): Promise<Act[]>
  /** Settled intents of a person, newest first: what was sent where, and what the app answered. */
  deliveries(personId: string, limit: number): Promise<(Intent & { answer: JsonObject | null; settled_ms: number })[]>
  /** Everybody who was merged into one of these people, or into one of those. */
  absorbed(people: readonly string[]): Promise<string[]>
  /** Which of these keys are barred, and by which erasure: see barredKeys in erasure.ts. */
  barred(keys: readonly string[]): Promise<ReadonlyMap<string, string>>
  /** The hashes of what an erasure bars, in order. */
  barredBy(erasure: string): Promise<string[]>
  /** Hashes of texts under the store's own key, in their order. The same text always has the same one here, and elsewhere another. */
  fingerprints(texts: readonly string[]): Promise<string[]>
  /** Newest first. */
  erasures(filter: { id?: string; state?: Erasure['state']; limit: number }): Promise<Erasure[]>
  /** Says of an open erasure that a connection is not waited for. */
  waive(erasure: string, connection: string, waiver: Waiver): Promise<boolean>
  /** What there is of these people, by what it is, for the preview: counts only. */
  holdings(people: readonly string[]): Promise<Holdings>
  /**
   * The end of an erasure: all that there is of its people goes, and the certificate stays. Records that are still there (in a
   * connection that was waived) stay as `erased`. What operators wrote about the people goes where one of `texts` is in it.
   *
   * @returns false where it is not the time: the erasure is not open, or a write of theirs is under way
   */
  purge(erasure: string, certificate: Certificate, texts: readonly string[]): Promise<boolean>
  /**
   * The bar of an erasure ends; what else it barred stays barred. Records that it had excluded are read again, and are like any.
   * @returns false where the erasure is not done
   */
  liftErasure(erasure: string, waiver: Waiver): Promise<boolean>
  /** Removes log entries and settled intents from before `before_ms`; returns how many. */
  prune(before_ms: number): Promise<number>

  close(): Promise<void>
}

/** The database cannot be reached. */
export class StoreUnavailableError extends Error {
  override readonly name = 'StoreUnavailableError'
}
