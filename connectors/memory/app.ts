import { sameJson, type JsonObject } from '../../engine/core/json.ts'
import { FaultPlan, type Fault } from './faults.ts'
import { ChangeFeed, isOver } from './feed.ts'
import { FIELDS, keep, PLAIN, refusal, type Quirks } from './quirks.ts'
import { termsOf, TermIndex } from './search.ts'
import {
  AppError,
  type ChangesPage,
  type Entry,
  type FieldInfo,
  type ListPage,
  type MemoryRecord,
  type Method,
  type Place,
  type WriteItem,
  type WriteResult,
} from './wire.ts'

export interface Call {
  readonly method: Method
  /** Records or ids named by the call. */
  readonly size: number
}

/**
 * Called around each API call: before anything is done, and after it is done but before the answer arrives. It may wait,
 * let a human edit something, or throw to crash the caller there; what it throws passes through the connector untouched.
 */
export type CallHook = (call: Call, when: 'before' | 'after') => Promise<void> | void

export interface MemoryAppOptions {
  readonly name: string
  /** Milliseconds since the epoch. The app has no clock of its own. */
  readonly now: () => number
  readonly quirks?: Partial<Quirks>
  /** Fields beyond the standard ones. */
  readonly fields?: readonly FieldInfo[]
}

interface Stored {
  record: MemoryRecord
  /** The revision before: what a stale read answers. */
  previous: MemoryRecord | null
  seq: number
  readonly createdSeq: number
  readonly slot: number
  readonly createdCall: number
  readonly created_ms: number
  readable: boolean
}

interface Tomb {
  readonly seq: number
  /** The record it was merged into; null for a plain deletion. */
  readonly into: string | null
  readonly archived: boolean
  readonly last: MemoryRecord
}

/**
 * A whole contact app in memory: "the product". Humans use `add`, `edit`, `remove` and `merge`; the connector uses the
 * asynchronous methods, which are its API. Everything is O(1) per record touched, and nothing in here asks the time or
 * draws a number by itself.
 */
export class MemoryApp {
  readonly name: string
  readonly quirks: Quirks
  readonly faults = new FaultPlan()
  onCall: CallHook | undefined
  /** Set while the app refuses the credentials. */
  revoked = false
  /** API calls so far. */
  calls = 0

  readonly #now: () => number
  #fields: Map<string, FieldInfo>
  readonly #records = new Map<string, Stored>()
  readonly #tombs = new Map<string, Tomb>()
  /** Ids in the order of creation; a deleted one leaves a hole, so that paging never slips. */
  readonly #slots: (string | undefined)[] = []
  readonly #feed: ChangeFeed
  #nextId = 1
  readonly #terms = new TermIndex()
  readonly #indexed: boolean
  readonly #listeners = new Set<() => void>()

  constructor(options: MemoryAppOptions) {
    this.name = options.name
    this.#now = options.now
    this.quirks = { ...PLAIN, ...options.quirks }
    if (this.quirks.precondition && !this.quirks.revisions) throw new RangeError('a precondition needs revisions')
    this.#fields = new Map([...FIELDS, ...(options.fields ?? [])].map((field) => [field.name, field]))
    this.#indexed = this.quirks.createKey === 'search' || this.quirks.uniqueEmails
    this.#feed = new ChangeFeed(this.quirks.feedLag)
  }

  // ---- what humans do -------------------------------------------------------------------------------------------

  /** @returns the new record's id. @throws RangeError where the app refuses the values */
  add(fields: JsonObject, id?: string): string {
    return done(this.#create(id, fields)).id
  }

  /** Changes the named fields. @throws RangeError where the app refuses, or there is no such record */
  edit(id: string, fields: JsonObject): void {
    done(this.#update(id, undefined, fields))
  }

  /** @throws RangeError where there is no such record */
  remove(id: string): void {
    this.#bury(id, this.#there(id), null, false)
  }

  /**
   * Merges two records: the winner's values stand, its blanks are filled from the loser. Where the app makes a third record
   * of the two, both old ids lead there.
   *
   * @returns the id that stands in the end
   */
  merge(loserId: string, winnerId: string): string {
    const loser = this.#there(loserId).record.fields
    const winner = this.#there(winnerId).record.fields
    const fields: JsonObject = {}
    for (const name of this.#fields.keys()) fields[name] = winner[name] ?? loser[name] ?? null
    if (this.quirks.mergeInto === 'winner') {
      this.#bury(loserId, this.#there(loserId), winnerId, false)
      this.edit(winnerId, fields)
      return winnerId
    }
    const id = this.#freshId()
    this.#bury(loserId, this.#there(loserId), id, false)
    this.#bury(winnerId, this.#there(winnerId), id, false)
    return this.add(fields, id)
  }

  /** Where an id leads by now: a merged one to what it became; undefined where there is nothing any more. */
  leadsTo(id: string): string | undefined {
    if (this.#records.has(id)) return id
    const tomb = this.#tombs.get(id)
    return tomb && this.#survivor(tomb)
  }

  /** The records that a human could take back. */
  archived(): string[] {
    return [...this.#tombs].flatMap(([id, tomb]) => (tomb.archived ? [id] : []))
  }

  /** Takes an archived record back. */
  restore(id: string): void {
    const tomb = this.#tombs.get(id)
    if (!tomb?.archived) throw new RangeError(`record ${id} is not in the archive`)
    this.add(tomb.last.fields, id)
  }

  /** Opens and saves the record without a change: a new revision and a line in the feed, and not one other value. */
  touch(id: string): void {
    const stored = this.#there(id)
    this.#settle(id, stored, stored.record.fields, [])
  }

  /** The record's data become unreadable, or readable again. */
  breakRecord(id: string, readable = false): void {
    const stored = this.#there(id)
    stored.readable = readable
    this.touch(id)
  }

  /** A field is removed from the product: its values are lost, and no record changes its revision. */
  dropField(name: string): void {
    this.#fields = new Map([...this.#fields].filter(([field]) => field !== name))
    for (const stored of this.#records.values()) {
      const { [name]: _, ...fields } = stored.record.fields
      stored.record = Object.freeze({ ...stored.record, fields: Object.freeze(fields) })
    }
  }

  /** Every place in the feed handed out so far is thrown away. */
  expireCursors(): void {
    this.#feed.expire()
  }

  get size(): number {
    return this.#records.size
  }

  /** The record as it stands, or undefined. */
  peek(id: string): MemoryRecord | undefined {
    return this.#records.get(id)?.record
  }

  /** Every record as it stands. */
  *all(): Generator<MemoryRecord> {
    for (const stored of this.#records.values()) yield stored.record
  }

  /** Calls `listener` after every change; returns how to stop. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  // ---- the API --------------------------------------------------------------------------------------------------

  /** The account: its fields and how many records it holds. */
  async describe(signal?: AbortSignal): Promise<{ fields: FieldInfo[]; count: number }> {
    return this.#call('check', 0, signal, () => ({ fields: [...this.#fields.values()], count: this.#records.size }))
  }

  /** What changed after `place`, oldest first. @throws AppError 410 where the place is no longer known */
  async changes(place: Place, signal?: AbortSignal): Promise<ChangesPage> {
    return this.#call('changes', 0, signal, (fault) => {
      if (fault?.kind === 'expire') this.expireCursors()
      if (!this.#feed.knows(place)) throw new AppError(410)
      const horizon = this.#feed.horizon(this.calls, this.#now())
      const page_max = fault?.kind === 'cut' ? Math.floor(this.quirks.page_max / 2) : this.quirks.page_max
      let entries: Entry[] = []
      let seq = place.seq
      while (seq < horizon && entries.length < page_max) {
        const id = this.#feed.after(seq)
        seq += 1
        const last = (this.#records.get(id) ?? this.#tombs.get(id))?.seq ?? 0
        // A later line says the same and more; it counts only when it can be seen already.
        if (last !== seq && last <= horizon) continue
        entries.push(this.#entry(id))
      }
      // More changes are on their way; only the order and number of the lines is at fault.
      if (fault?.kind === 'reorder') entries.reverse()
      if (fault?.kind === 'double') {
        for (const entry of entries) this.#append(idOf(entry))
        entries = entries.flatMap((entry) => [entry, entry])
      }
      if (fault?.kind === 'late') {
        const late = entries.splice(0, Math.ceil(entries.length / 2))
        for (const entry of late) this.#append(idOf(entry))
      }
      return { entries, next: this.#feed.place(seq), more: seq < horizon }
    })
  }

  /** All records, in the order they were created. */
  async list(from: number, signal?: AbortSignal): Promise<ListPage> {
    return this.#call('list', 0, signal, (fault) => {
      const horizon = this.#feed.horizon(this.calls, this.#now())
      const feed = this.#feed.place(horizon)
      if (fault?.kind === 'empty' && from === 0) return { entries: [], next: null, whole: true, feed }
      const entries: Entry[] = []
      const page_max = fault?.kind === 'cut' ? Math.floor(this.quirks.page_max / 2) : this.quirks.page_max
      let slot = from
      for (; slot < this.#slots.length && entries.length < page_max; slot++) {
        const id = this.#slots[slot]
        const stored = id === undefined ? undefined : this.#records.get(id)
        if (id !== undefined && stored && stored.createdSeq <= horizon) entries.push(this.#entry(id))
      }
      if (fault?.kind === 'cut') return { entries, next: null, whole: false, feed }
      return { entries, next: slot < this.#slots.length ? slot : null, whole: true, feed }
    })
  }

  async read(ids: readonly string[], signal?: AbortSignal): Promise<Entry[]> {
    return this.#call('read', ids.length, signal, (fault) => ids.map((id) => this.#answer(id, fault?.kind === 'stale')))
  }

  /** Carries out each item on its own; one result per item, in their order. */
  async write(items: readonly WriteItem[], signal?: AbortSignal): Promise<WriteResult[]> {
    return this.#call('write', items.length, signal, (fault) => {
      const committed = fault?.kind === 'lost' ? (fault.committed ?? items.length) : items.length
      return items.slice(0, committed).map((item, index) => {
        if (fault?.kind === 'partial' && index % 2 === 0) return { status: 503, code: 'busy' }
        return this.#write(item)
      })
    })
  }

  /** Records that share the strongest thing said in `fields`: external id, else e-mail, else phone, else the whole name. */
  async search(fields: JsonObject, signal?: AbortSignal): Promise<Entry[]> {
    return this.#call('search', 1, signal, () => {
      const found = this.#terms.find(fields)
      return found.filter((id) => this.#searchable(id)).map((id) => this.#answer(id, false))
    })
  }

  async #call<T>(
    method: Method,
    size: number,
    signal: AbortSignal | undefined,
    act: (fault: Fault | undefined) => T,
  ): Promise<T> {
    this.calls += 1
    if (this.onCall) await this.onCall({ method, size }, 'before')
    signal?.throwIfAborted()
    if (this.revoked) throw new AppError(401)
    const fault = this.faults.strike(method)
    if (fault?.kind === 'ratelimit') throw new AppError(429, fault.retryAfter_ms)
    if (fault?.kind === 'unavailable') throw new AppError(503)
    const answer = act(fault)
    if (this.onCall) await this.onCall({ method, size }, 'after')
    if (fault?.kind === 'lost') throw new AppError(0)
    return answer
  }

  // ---- the inside -----------------------------------------------------------------------------------------------

  #write(item: WriteItem): WriteResult {
    switch (item.op) {
      case 'create':
        return this.#create(item.id, item.fields)
      case 'update':
        return this.#update(item.id, item.ifRev, item.fields)
      case 'delete': {
        const stored = this.#records.get(item.id)
        const erase = item.erase === true && this.quirks.erase
        if (erase) this.#empty(item.id)
        if (!stored) return { status: 404, code: 'not-found' }
        if (item.ifRev !== undefined && item.ifRev !== stored.record.rev) return { status: 412, code: 'other-revision' }
        this.#bury(item.id, stored, null, !erase && item.archive && this.quirks.archive)
        if (erase) this.#empty(item.id)
        return { status: 204, id: item.id }
      }
      case 'merge':
        if (!this.#records.has(item.id) || !this.#records.has(item.into)) return { status: 404, code: 'not-found' }
        return { status: 301, id: item.id, into: this.merge(item.id, item.into) }
    }
  }

  #create(wanted: string | undefined, values: JsonObject): WriteResult {
    const refused = this.#refusal(wanted, values)
    if (refused) return refused
    // An id that was merged away stays taken; one that was deleted may be used again, as on a file server.
    const taken = wanted !== undefined && (this.#records.has(wanted) || this.#tombs.get(wanted)?.into)
    if (taken) return { status: 409, code: 'exists' }
    const id = wanted ?? this.#freshId()
    const fields: JsonObject = {}
    for (const name of this.#fields.keys()) fields[name] = keep(name, values[name] ?? null, this.quirks.rewrite)
    this.#tombs.delete(id)
    const stored: Stored = {
      record: { id, rev: null, fields: {} },
      previous: null,
      seq: 0,
      createdSeq: this.#feed.length + 1,
      slot: this.#slots.push(id) - 1,
      createdCall: this.calls,
      created_ms: this.#now(),
      readable: true,
    }
    this.#records.set(id, stored)
    this.#settle(id, stored, fields, Object.keys(fields))
    stored.previous = null
    return { status: 200, record: stored.record }
  }

  #update(id: string, ifRev: string | undefined, values: JsonObject): WriteResult {
    const stored = this.#records.get(id)
    if (!stored) return { status: 404, code: 'not-found' }
    if (ifRev !== undefined && ifRev !== stored.record.rev) return { status: 412, code: 'other-revision' }
    if (!stored.readable) return { status: 422, code: 'unreadable' }
    const refused = this.#refusal(id, values)
    if (refused) return refused
    const before = stored.record.fields
    const changed: JsonObject = {}
    for (const name of Object.keys(values)) {
      const kept = keep(name, values[name] ?? null, this.quirks.rewrite)
      if (!sameJson(kept, before[name])) changed[name] = kept
    }
    const names = Object.keys(changed)
    if (names.length > 0) this.#settle(id, stored, { ...before, ...changed }, names)
    return { status: 200, record: stored.record }
  }

  /** Makes `fields` the record's, with a new revision, new times, and a line in the feed. */
  #settle(id: string, stored: Stored, fields: JsonObject, changed: readonly string[]): void {
    const { revisions, times, clockSkew_ms } = this.quirks
    stored.seq = this.#append(id)
    if (this.#indexed) this.#terms.move(id, stored.record.fields, fields)
    stored.previous = stored.record
    const at_ms = this.#now() + clockSkew_ms
    const record: MemoryRecord = {
      id,
      // The sequence number: it never comes back, not even for a record that was deleted and made anew.
      rev: revisions ? String(stored.seq) : null,
      ...(times === 'none' ? {} : { modified_ms: at_ms }),
      ...(times === 'field' ? { fieldTimes_ms: timesWith(stored.record.fieldTimes_ms, changed, at_ms) } : {}),
      fields: Object.freeze(fields),
    }
    stored.record = Object.freeze(record)
    this.#announce()
  }

  #bury(id: string, stored: Stored, into: string | null, archived: boolean): void {
    this.#records.delete(id)
    this.#slots[stored.slot] = undefined
    if (this.#indexed) this.#terms.move(id, stored.record.fields, {})
    this.#tombs.set(id, { seq: this.#feed.length + 1, into, archived, last: stored.record })
    this.#append(id)
    this.#announce()
  }

  /** What is left of a deleted record is its id. */
  #empty(id: string): void {
    const tomb = this.#tombs.get(id)
    if (tomb) this.#tombs.set(id, { ...tomb, archived: false, last: { ...tomb.last, fields: {} } })
  }

  #refusal(id: string | undefined, values: JsonObject): WriteResult | undefined {
    for (const name of Object.keys(values)) {
      const info = this.#fields.get(name)
      if (!info) return { status: 422, code: 'no-such-field', field: name }
      const code = refusal(info, values[name] ?? null)
      if (code !== undefined) return { status: 422, code, field: name }
    }
    if (!this.quirks.uniqueEmails || values['emails'] === undefined) return undefined
    const taken = termsOf({ emails: values['emails'] }).some((term) => this.#terms.heldByOther(term, id))
    return taken ? { status: 409, code: 'email-taken', field: 'emails' } : undefined
  }

  /** Writes a line into the feed; returns its sequence number, counted from 1. */
  #append(id: string): number {
    const seq = this.#feed.append(id, this.calls, this.#now())
    const known = this.#records.get(id)
    if (known) known.seq = seq
    else {
      const tomb = this.#tombs.get(id)
      if (tomb && tomb.seq !== seq) this.#tombs.set(id, { ...tomb, seq })
    }
    return seq
  }

  #searchable(id: string): boolean {
    const stored = this.#records.get(id)
    if (!stored) return false
    return isOver(this.quirks.searchLag, this.calls - stored.createdCall, this.#now() - stored.created_ms)
  }

  /** A record as feed and listing show it: without data, where the app only hints. */
  #entry(id: string): Entry {
    const stored = this.#records.get(id)
    if (stored?.readable && this.quirks.hints) return { kind: 'head', id, rev: stored.record.rev }
    return this.#answer(id, false)
  }

  #answer(id: string, stale: boolean): Entry {
    const stored = this.#records.get(id)
    if (stored) {
      if (!stored.readable) return { kind: 'unreadable', id, rev: stored.record.rev }
      return { kind: 'record', record: (stale && stored.previous) || stored.record }
    }
    const tomb = this.#tombs.get(id)
    if (stale && tomb) return { kind: 'record', record: tomb.last }
    const into = tomb && this.#survivor(tomb)
    return into === undefined ? { kind: 'deleted', id } : { kind: 'merged', id, into }
  }

  /** Where a chain of merges ends; undefined where it ends in a deletion. */
  #survivor(tomb: Tomb): string | undefined {
    let into = tomb.into
    for (let next = tomb.into; next !== null;) {
      into = next
      if (this.#records.has(next)) return next
      next = this.#tombs.get(next)?.into ?? null
    }
    return into !== null && this.#records.has(into) ? into : undefined
  }

  #freshId(): string {
    return `${this.name}-${this.#nextId++}`
  }

  #there(id: string): Stored {
    const stored = this.#records.get(id)
    if (!stored) throw new RangeError(`${this.name} has no record ${id}`)
    return stored
  }

  #announce(): void {
    for (const listener of this.#listeners) listener()
  }
}

function done(result: WriteResult): MemoryRecord {
  if (result.status === 200) return result.record
  throw new RangeError(`the app refuses: ${'code' in result ? result.code : result.status}`)
}

function idOf(entry: Entry): string {
  return entry.kind === 'record' ? entry.record.id : entry.id
}

function timesWith(
  before: { readonly [field: string]: number } | undefined,
  changed: readonly string[],
  at_ms: number,
): { readonly [field: string]: number } {
  const times: { [field: string]: number } = { ...before }
  for (const field of changed) times[field] = at_ms
  return Object.freeze(times)
}
