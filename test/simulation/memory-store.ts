import type { Act } from '../../engine/core/act.ts'
import type { Consent } from '../../engine/core/consent.ts'
import type { Failure } from '../../engine/core/failure.ts'
import type { Json, JsonObject } from '../../engine/core/json.ts'
import type { Person } from '../../engine/core/person.ts'
import type {
  Commit,
  CommitResult,
  Conflict,
  ConnectionCounts,
  ConnectionState,
  Intent,
  IntentFilter,
  IntentState,
  KeyHolder,
  Link,
  LinkState,
  LogEntry,
  Neighbourhood,
  Settlement,
  Store,
  Unplanned,
} from '../../engine/core/ports/store.ts'
import { bucketOf, checkOpen, heldFor } from '../../engine/store/promises.ts'
import { searchQuery, searchText } from '../../engine/store/search.ts'

type Delivery = Intent & { answer: JsonObject | null; settled_ms: number }

/** What is open and what is under way for one person in one connection. */
interface Slot {
  open?: Intent
  sending?: { intent: Intent; lease_ms: number }
}

const ID_BATCH = 1000
const COUNTED: ReadonlySet<LinkState> = new Set(['linked', 'staged', 'ambiguous', 'missing'])

/**
 * The store of the simulation: the same promises as Postgres, kept by one suite (test/store), with no clock, no randomness
 * and no copying. Each call does its work at once, before it returns its promise: calls never interleave. What comes in
 * and goes out is never changed in place, by either side.
 */
export class MemoryStore implements Store {
  readonly #connections = new Map<string, ConnectionState>()
  readonly #facts = new Map<string, Json>()
  readonly #people = new Map<string, Person>()
  readonly #unplanned = new Map<string, number>()
  readonly #acts: Act[] = []
  readonly #consents = new Map<string, Consent>()
  #marks = 0
  /** Connection, record id. */
  readonly #links = new Map<string, Map<string, Link>>()
  readonly #linksOfPerson = new Map<string, Set<Link>>()
  readonly #linksOfKey = new Map<string, Set<Link>>()
  readonly #staged = new Set<Link>()
  readonly #rechecks = new Set<Link>()
  readonly #ambiguous = new Set<Link>()
  /** Person id, connection. */
  readonly #slots = new Map<string, Map<string, Slot>>()
  readonly #intentsById = new Map<string, Intent>()
  readonly #deliveries = new Map<string, Delivery[]>()
  /** Person id, cell and connection. */
  readonly #conflicts = new Map<string, Map<string, Conflict>>()
  #log: LogEntry[] = []
  #logged = 0
  readonly #tallies = new Map<string, { connection: string; what: string; bucket_ms: number; count: number }>()
  #round = 0

  async ensureConnections(
    wanted: readonly { name: string; app: string; mode: ConnectionState['mode'] }[],
  ): Promise<void> {
    for (const { name, app, mode } of wanted) {
      if (!this.#connections.has(name)) this.#connections.set(name, { ...FRESH, name, app, mode })
    }
  }

  async connections(): Promise<ConnectionState[]> {
    return [...this.#connections.values()].sort((a, b) => order(a.name, b.name))
  }

  async startPass(connection: string): Promise<number> {
    const state = this.#connections.get(connection)
    if (!state) throw new RangeError(`no connection named ${connection} in the store`)
    const pass = state.pass + 1
    this.#connections.set(connection, { ...state, pass, chunk: 0 })
    return pass
  }

  async resetCursor(connection: string): Promise<void> {
    this.#patch(connection, { cursor: null })
  }

  async saveConnection(connection: string, patch: Parameters<Store['saveConnection']>[1]): Promise<void> {
    this.#patch(connection, patch)
  }

  async getFact(name: string): Promise<Json | null> {
    return this.#facts.get(name) ?? null
  }

  async setFact(name: string, value: Json): Promise<void> {
    this.#facts.set(name, value)
  }

  async loadRecords(connection: string, recordIds: readonly string[]): Promise<Neighbourhood> {
    const asked = [...new Set(recordIds)].flatMap((id) => this.#link(connection, id) ?? [])
    const people = new Set(asked.flatMap((link) => link.personId ?? []))
    return this.#neighbourhood(
      people,
      asked.filter((link) => link.personId === null),
    )
  }

  async loadPeople(personIds: readonly string[]): Promise<Neighbourhood> {
    return this.#neighbourhood(new Set(personIds), [])
  }

  async known(connection: string, recordIds: readonly string[]): ReturnType<Store['known']> {
    const found = recordIds.flatMap((id) => this.#link(connection, id) ?? [])
    return new Map(
      found.map((link) => [link.recordId, { rev: link.rev, state: link.state, broken: link.failure !== undefined }]),
    )
  }

  async *knownIds(connection: string): AsyncIterable<string[]> {
    const links = [...(this.#links.get(connection)?.values() ?? [])].filter((link) => link.state !== 'gone')
    const ids = links.map((link) => link.recordId).sort(order)
    for (let from = 0; from < ids.length; from += ID_BATCH) yield ids.slice(from, from + ID_BATCH)
  }

  async staged(
    limit: number,
    after?: { connection: string; recordId: string },
  ): Promise<{ links: Link[]; round: number }> {
    const links = [...this.#staged].sort(byRecord).filter((link) => after === undefined || byRecord(link, after) > 0)
    return { links: links.slice(0, limit), round: this.#round }
  }

  async rechecks(limit: number): Promise<{ connection: string; recordId: string }[]> {
    const links = [...this.#rechecks].filter((link) => !this.#underWay(link)).sort(byRecord)
    return links.slice(0, limit).map(({ connection, recordId }) => ({ connection, recordId }))
  }

  async keyHolders(keys: readonly string[]): Promise<KeyHolder[]> {
    const holders = [...new Set(keys)].sort(order).map((key) =>
      [...(this.#linksOfKey.get(key) ?? [])]
        .filter((link) => link.state !== 'gone')
        .sort(byRecord)
        .map(({ connection, recordId, personId, state }) => ({ key, connection, recordId, personId, state })),
    )
    return holders.flat()
  }

  async unplanned(limit: number): Promise<Unplanned[]> {
    const idle = [...this.#unplanned].filter(
      ([id]) => ![...(this.#slots.get(id)?.values() ?? [])].some((slot) => slot.sending),
    )
    return idle
      .sort(([a], [b]) => order(a, b))
      .slice(0, limit)
      .map(([personId, mark]) => ({ personId, mark }))
  }

  async replanAll(): Promise<number> {
    for (const id of this.#people.keys()) this.#flag(id)
    return this.#people.size
  }

  async consents(keys: readonly string[]): Promise<Consent[]> {
    return [...new Set(keys)].flatMap((key) => this.#consents.get(key) ?? [])
  }

  async commit(commit: Commit): Promise<CommitResult> {
    commit.intents?.forEach(checkOpen)
    const step = this.#feedStep(commit)
    if (step !== 'committed') return { kind: step }
    if (this.#loses(commit)) return { kind: 'lost' }

    const { feed } = commit
    if (feed) {
      this.#patch(feed.connection, {
        chunk: feed.chunk,
        failure: null,
        ...('cursor' in feed ? { cursor: feed.cursor ?? null } : {}),
        ...(feed.last
          ? {
              scanned: true,
              lastRead_ms: feed.now_ms,
              ...(feed.readWith === undefined ? {} : { readWith: feed.readWith }),
            }
          : {}),
      })
    }
    if (commit.matchRound !== undefined) this.#round++
    for (const person of commit.people ?? []) this.#people.set(person.id, { ...person, version: person.version + 1 })
    for (const link of commit.links ?? []) this.#putLink({ ...link, version: link.version + 1 })
    for (const { personId, connection } of commit.withdrawn ?? []) this.#setOpen(personId, connection, undefined)
    for (const intent of commit.intents ?? []) this.#setOpen(intent.personId, intent.connection, intent)
    const settlements = (commit.settlements ?? []).toSorted((a, b) => order(a.intentId, b.intentId))
    for (const settlement of settlements) this.#settle(settlement)
    for (const change of commit.changes ?? []) this.#log.push({ ...change, id: ++this.#logged })
    for (const conflict of commit.conflicts ?? []) this.#putConflict(conflict)
    for (const { personId, mark } of commit.planned ?? []) {
      if (this.#unplanned.get(personId) === mark) this.#unplanned.delete(personId)
    }
    if (commit.act) this.#acts.push(commit.act)
    for (const consent of commit.consents ?? []) {
      this.#consents.set(consent.key, { ...consent, version: (this.#consents.get(consent.key)?.version ?? 0) + 1 })
    }
    const keys = (commit.consents ?? []).map(({ key }) => key)
    const concerned = (await this.keyHolders(keys)).flatMap(({ personId }) => personId ?? [])
    for (const id of new Set([...(commit.unplanned ?? []), ...concerned])) this.#flag(id)
    for (const { connection, what, count, at_ms } of commit.tallies ?? []) {
      const bucket_ms = bucketOf(at_ms)
      const key = JSON.stringify([connection, what, bucket_ms])
      const before = this.#tallies.get(key)?.count ?? 0
      this.#tallies.set(key, { connection, what, bucket_ms, count: before + count })
    }
    return { kind: 'committed' }
  }

  async claim(connection: string, limit: number, now_ms: number, leaseEnd_ms: number): Promise<Intent[]> {
    return this.#sendable(connection, now_ms)
      .sort(byUrgency)
      .slice(0, limit)
      .map((intent) => this.#send(intent, leaseEnd_ms))
  }

  async claimExpired(connection: string, limit: number, now_ms: number, leaseEnd_ms: number): Promise<Intent[]> {
    return this.#expired(connection, now_ms)
      .sort((a, b) => a.lease_ms - b.lease_ms || byPlan(a.intent, b.intent))
      .slice(0, limit)
      .map(({ intent }) => this.#send(intent, leaseEnd_ms))
      .sort(byUrgency)
  }

  async expireLeases(connections: readonly string[]): Promise<void> {
    for (const slots of this.#slots.values()) {
      for (const [connection, slot] of slots) {
        if (slot.sending && connections.includes(connection)) slot.sending = { ...slot.sending, lease_ms: 0 }
      }
    }
  }

  async due(now_ms: number): Promise<string[]> {
    const names = new Set<string>()
    for (const slots of this.#slots.values()) for (const connection of slots.keys()) names.add(connection)
    return [...names]
      .filter((name) => this.#sendable(name, now_ms).length > 0 || this.#expired(name, now_ms).length > 0)
      .sort(order)
  }

  async brakeCounts(connection: string, since_ms: number): ReturnType<Store['brakeCounts']> {
    const pending = { create: 0, update: 0, delete: 0 }
    for (const intent of this.#select({ connection, state: 'pending' })) if (!intent.released) pending[intent.op]++
    const tallied: { [what: string]: number } = {}
    for (const tally of this.#tallies.values()) {
      if (tally.connection !== connection || tally.bucket_ms < bucketOf(since_ms)) continue
      tallied[tally.what] = (tallied[tally.what] ?? 0) + tally.count
    }
    const links = [...(this.#links.get(connection)?.values() ?? [])]
    return { pending, tallied, records: links.filter((link) => COUNTED.has(link.state)).length }
  }

  async hold(filter: IntentFilter, reason: string): Promise<number> {
    return this.#move(
      'pending',
      filter,
      (intent) => !intent.released,
      (intent) => ({ ...intent, state: 'held', held: reason }),
    )
  }

  async release(filter: IntentFilter, reason?: string): Promise<number> {
    return this.#move(
      'held',
      filter,
      (intent) => reason === undefined || intent.held === reason,
      (intent) => {
        const { held: _held, ...rest } = intent
        return { ...rest, state: 'pending', released: true }
      },
    )
  }

  async retryParked(filter: IntentFilter): Promise<number> {
    return this.#move(
      'parked',
      filter,
      () => true,
      (intent) => ({ ...intent, state: 'pending', attempts: 0, notBefore_ms: 0 }),
    )
  }

  async dropParked(filter: IntentFilter): Promise<number> {
    return this.#move(
      'parked',
      filter,
      () => true,
      () => undefined,
    )
  }

  async *intents(filter: IntentFilter): AsyncIterable<Intent> {
    yield* this.#select(filter).sort((a, b) => order(a.connection, b.connection) || byPlan(a, b))
  }

  async *links(filter: Parameters<Store['links']>[0]): AsyncIterable<Link> {
    const all = [...this.#links.values()].flatMap((links) => [...links.values()])
    yield* all
      .filter((link) => filter.connection === undefined || link.connection === filter.connection)
      .filter((link) => filter.state === undefined || link.state === filter.state)
      .filter((link) => filter.broken === undefined || (link.failure !== undefined) === filter.broken)
      .sort(byRecord)
  }

  async *conflicts(): AsyncIterable<Conflict> {
    const all = [...this.#conflicts.values()].flatMap((conflicts) => [...conflicts.values()])
    yield* all.sort(
      (a, b) => order(a.personId, b.personId) || order(a.cell, b.cell) || order(a.connection, b.connection),
    )
  }

  async counts(): ReturnType<Store['counts']> {
    const all = new Map<string, { -readonly [what in keyof ConnectionCounts]: number }>()
    const of = (connection: string) => {
      const counts = all.get(connection) ?? { ...NO_COUNTS }
      all.set(connection, counts)
      return counts
    }
    for (const name of this.#connections.keys()) of(name)
    for (const link of [...this.#links.values()].flatMap((links) => [...links.values()])) {
      if (link.state === 'gone') continue
      if (link.state !== 'unreadable') of(link.connection)[link.state]++
      if (link.failure) of(link.connection).broken++
    }
    for (const { connection, state } of this.#intentsById.values()) if (state !== 'done') of(connection)[state]++
    return all
  }

  async searchPeople(text: string, limit: number): Promise<Person[]> {
    const query = searchQuery(text)
    return [...this.#people.values()]
      .filter((person) => person.state === 'live' || (query !== '' && person.id.toLowerCase() === query))
      .map((person) => ({ person, rank: rankOf(query, searchText(person)) }))
      .filter(({ rank }) => rank < NO_MATCH)
      .sort((a, b) => a.rank - b.rank || order(a.person.id, b.person.id))
      .slice(0, limit)
      .map(({ person }) => person)
  }

  async log(filter: Parameters<Store['log']>[0]): Promise<LogEntry[]> {
    return this.#log
      .filter((entry) => filter.personId === undefined || entry.personId === filter.personId)
      .filter((entry) => filter.connection === undefined || entry.stamp.by === filter.connection)
      .filter((entry) => filter.cell === undefined || entry.cell === filter.cell)
      .filter((entry) => filter.since_ms === undefined || entry.heard_ms >= filter.since_ms)
      .filter((entry) => filter.until_ms === undefined || entry.heard_ms <= filter.until_ms)
      .filter((entry) => filter.rule === undefined || entry.rule === filter.rule)
      .filter((entry) => filter.beforeId === undefined || entry.id < filter.beforeId)
      .reverse()
      .slice(0, filter.limit)
  }

  async acts(filter: Parameters<Store['acts']>[0]): Promise<Act[]> {
    return this.#acts
      .filter((act) => filter.id === undefined || act.id === filter.id)
      .filter((act) => filter.since_ms === undefined || act.at_ms >= filter.since_ms)
      .filter((act) => filter.kind === undefined || act.kind === filter.kind)
      .sort((a, b) => b.at_ms - a.at_ms || order(b.id, a.id))
      .slice(0, filter.limit)
  }

  async deliveries(personId: string, limit: number): ReturnType<Store['deliveries']> {
    return (this.#deliveries.get(personId) ?? []).toReversed().slice(0, limit)
  }

  async prune(before_ms: number): Promise<number> {
    const log = this.#log.filter((entry) => entry.heard_ms >= before_ms)
    let pruned = this.#log.length - log.length
    this.#log = log
    for (const [personId, deliveries] of this.#deliveries) {
      const kept = deliveries.filter((delivery) => delivery.settled_ms >= before_ms)
      pruned += deliveries.length - kept.length
      this.#deliveries.set(personId, kept)
    }
    for (const [key, tally] of this.#tallies) if (tally.bucket_ms < before_ms) this.#tallies.delete(key)
    return pruned
  }

  async close(): Promise<void> {}

  #patch(name: string, patch: Partial<ConnectionState>): void {
    const state = this.#connections.get(name)
    if (state) this.#connections.set(name, { ...state, ...patch })
  }

  #feedStep({ feed }: Commit): 'committed' | 'stale' | 'early' {
    if (!feed) return 'committed'
    const state = this.#connections.get(feed.connection)
    if (!state || feed.pass < state.pass || (feed.pass === state.pass && feed.chunk <= state.chunk)) return 'stale'
    return feed.pass === state.pass && feed.chunk === state.chunk + 1 ? 'committed' : 'early'
  }

  #flag(personId: string): void {
    this.#unplanned.set(personId, ++this.#marks)
  }

  #loses({
    matchRound,
    people = [],
    seen = [],
    links = [],
    intents = [],
    withdrawn = [],
    consentsSeen = [],
  }: Commit): boolean {
    if (consentsSeen.some(({ key, version }) => (this.#consents.get(key)?.version ?? 0) !== version)) return true
    if (matchRound !== undefined && matchRound !== this.#round) return true
    if ([...people, ...seen].some((person) => (this.#people.get(person.id)?.version ?? 0) !== person.version))
      return true
    if (links.some((link) => (this.#link(link.connection, link.recordId)?.version ?? 0) !== link.version)) return true
    if (this.#linksTwice(links)) return true
    // An id that another intent has: what was to be replaced is under way by now.
    return intents.some((intent) => {
      const holder = this.#intentsById.get(intent.id)
      if (!holder) return false
      const freed = [...withdrawn, intent].some(
        (one) => one.personId === holder.personId && one.connection === holder.connection,
      )
      return holder.state === 'sending' || !freed
    })
  }

  /** Whether a person would have two linked records in one connection. */
  #linksTwice(links: readonly Link[]): boolean {
    const coming = new Map(links.map((link) => [`${link.connection}\n${link.recordId}`, link]))
    return links.some((link) => {
      if (link.state !== 'linked' || link.personId === null) return false
      const kept = [...(this.#linksOfPerson.get(link.personId) ?? [])].filter(
        (other) => !coming.has(`${other.connection}\n${other.recordId}`),
      )
      const rivals = [...kept, ...links].filter(
        (other) => other.state === 'linked' && other.personId === link.personId && other.connection === link.connection,
      )
      return rivals.length > 1
    })
  }

  #link(connection: string, recordId: string): Link | undefined {
    return this.#links.get(connection)?.get(recordId)
  }

  #putLink(link: Link): void {
    const before = this.#link(link.connection, link.recordId)
    if (before) {
      if (before.personId !== null) this.#linksOfPerson.get(before.personId)?.delete(before)
      for (const key of before.keys) this.#linksOfKey.get(key)?.delete(before)
      for (const set of [this.#staged, this.#rechecks, this.#ambiguous]) set.delete(before)
    }
    nested(this.#links, link.connection, () => new Map<string, Link>()).set(link.recordId, link)
    if (link.personId !== null) nested(this.#linksOfPerson, link.personId, () => new Set<Link>()).add(link)
    for (const key of link.keys) nested(this.#linksOfKey, key, () => new Set<Link>()).add(link)
    if (link.state === 'staged') this.#staged.add(link)
    if (link.state === 'ambiguous') this.#ambiguous.add(link)
    if (link.recheck) this.#rechecks.add(link)
  }

  #underWay(link: Link): boolean {
    if (link.personId !== null && this.#slots.get(link.personId)?.get(link.connection)?.sending) return true
    return [...this.#slots.values()].some(
      (slots) => slots.get(link.connection)?.sending?.intent.recordId === link.recordId,
    )
  }

  #neighbourhood(personIds: ReadonlySet<string>, unlinked: readonly Link[]): Neighbourhood {
    const ids = [...personIds]
    const linked = ids.flatMap((id) => [...(this.#linksOfPerson.get(id) ?? [])])
    const suspected = new Map<string, Set<string>>()
    const suspect = (id: string, connection: string) => nested(suspected, id, () => new Set<string>()).add(connection)
    if (this.#staged.size > 0) {
      for (const { personId, keys } of linked) {
        for (const other of keys.flatMap((key) => [...(this.#linksOfKey.get(key) ?? [])])) {
          if (personId !== null && other.state === 'staged') suspect(personId, other.connection)
        }
      }
    }
    for (const { candidates = [], connection } of this.#ambiguous) {
      for (const id of candidates) if (personIds.has(id)) suspect(id, connection)
    }
    const slots = ids.flatMap((id) => [...(this.#slots.get(id)?.values() ?? [])])
    return {
      people: ids.flatMap((id) => this.#people.get(id) ?? []),
      links: [...linked, ...unlinked],
      intents: slots.flatMap(({ open, sending }) => [...(open ? [open] : []), ...(sending ? [sending.intent] : [])]),
      conflicts: ids.flatMap((id) => [...(this.#conflicts.get(id)?.values() ?? [])]),
      suspected,
    }
  }

  #slot(personId: string, connection: string): Slot {
    const slots = nested(this.#slots, personId, () => new Map<string, Slot>())
    return nested(slots, connection, () => ({}))
  }

  #setOpen(personId: string, connection: string, intent: Intent | undefined): void {
    const slot = this.#slot(personId, connection)
    if (slot.open) this.#intentsById.delete(slot.open.id)
    delete slot.open
    if (intent) {
      slot.open = intent
      this.#intentsById.set(intent.id, intent)
    }
    this.#tidy(personId, connection, slot)
  }

  /** Forgets a slot that holds nothing, so that what is looked through stays small. */
  #tidy(personId: string, connection: string, slot: Slot): void {
    if (slot.open || slot.sending) return
    const slots = this.#slots.get(personId)
    slots?.delete(connection)
    if (slots?.size === 0) this.#slots.delete(personId)
  }

  #send(intent: Intent, lease_ms: number): Intent {
    const slot = this.#slot(intent.personId, intent.connection)
    if (slot.open?.id === intent.id) delete slot.open
    const sending: Intent = { ...intent, state: 'sending', attempts: intent.attempts + 1 }
    slot.sending = { intent: sending, lease_ms }
    this.#intentsById.set(intent.id, sending)
    return sending
  }

  #settle(settlement: Settlement): void {
    const intent = this.#intentsById.get(settlement.intentId)
    if (intent?.state !== 'sending') return
    const { personId, connection } = intent
    const slot = this.#slot(personId, connection)
    delete slot.sending
    this.#intentsById.delete(intent.id)
    if (settlement.state === 'done') {
      nested(this.#deliveries, personId, () => []).push(delivered(intent, settlement))
    } else if (settlement.state !== 'superseded' && !slot.open) {
      this.#setOpen(personId, connection, reopened(intent, settlement.state, settlement))
    }
    this.#tidy(personId, connection, slot)
  }

  #putConflict(conflict: Conflict): void {
    const conflicts = nested(this.#conflicts, conflict.personId, () => new Map<string, Conflict>())
    const key = JSON.stringify([conflict.cell, conflict.connection])
    if (conflict.open) conflicts.set(key, conflict)
    else conflicts.delete(key)
  }

  #sendable(connection: string, now_ms: number): Intent[] {
    const found: Intent[] = []
    for (const slots of this.#slots.values()) {
      const slot = slots.get(connection)
      if (slot?.open?.state === 'pending' && !slot.sending && slot.open.notBefore_ms <= now_ms) found.push(slot.open)
    }
    return found
  }

  #expired(connection: string, now_ms: number): { intent: Intent; lease_ms: number }[] {
    const found: { intent: Intent; lease_ms: number }[] = []
    for (const slots of this.#slots.values()) {
      const sending = slots.get(connection)?.sending
      if (sending && sending.lease_ms <= now_ms) found.push(sending)
    }
    return found
  }

  #select(filter: IntentFilter): Intent[] {
    return [...this.#intentsById.values()]
      .filter((intent) => (filter.state === undefined ? intent.state !== 'sending' : intent.state === filter.state))
      .filter((intent) => filter.connection === undefined || intent.connection === filter.connection)
      .filter((intent) => filter.personId === undefined || intent.personId === filter.personId)
      .filter((intent) => filter.op === undefined || intent.op === filter.op)
      .filter((intent) => filter.plannedUntil_ms === undefined || intent.planned_ms <= filter.plannedUntil_ms)
  }

  #move(
    from: IntentState,
    filter: IntentFilter,
    condition: (intent: Intent) => boolean,
    change: (intent: Intent) => Intent | undefined,
  ): number {
    if (filter.state !== undefined && filter.state !== from) return 0
    const found = this.#select({ ...filter, state: from }).filter(condition)
    for (const intent of found) this.#setOpen(intent.personId, intent.connection, change(intent))
    return found.length
  }
}

const FRESH: Omit<ConnectionState, 'name' | 'app' | 'mode'> = {
  cursor: null,
  readWith: null,
  pass: 0,
  chunk: 0,
  scanned: false,
  lastRead_ms: null,
  failure: null,
  held: null,
}

const NO_COUNTS: ConnectionCounts = {
  linked: 0,
  staged: 0,
  ambiguous: 0,
  missing: 0,
  broken: 0,
  pending: 0,
  sending: 0,
  held: 0,
  parked: 0,
}

function delivered(intent: Intent, { failure, answer, now_ms }: Settlement): Delivery {
  const { failure: _, held: __, ...rest } = intent
  return { ...rest, ...withFailure(failure), state: 'done', answer: answer ?? null, settled_ms: now_ms }
}

function reopened(intent: Intent, state: 'pending' | 'parked' | 'held', settlement: Settlement): Intent {
  const { held: _, ...rest } = intent
  return {
    ...rest,
    state,
    ...(state === 'held' ? { held: heldFor(settlement) } : {}),
    ...withFailure(settlement.failure),
    notBefore_ms: settlement.notBefore_ms ?? intent.notBefore_ms,
  }
}

function withFailure(failure: Failure | undefined): { failure?: Failure } {
  return failure ? { failure } : {}
}

const NO_MATCH = 3

function rankOf(query: string, text: string): number {
  if (query === '' || text.includes(`\n${query}\n`)) return 0
  if (text.includes(`\n${query}`)) return 1
  return text.includes(query) ? 2 : NO_MATCH
}

function nested<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key)
  if (value === undefined) map.set(key, (value = make()))
  return value
}

/** By code point, as Postgres sorts; JavaScript's own order puts surrogates before U+E000. */
function order(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let at = 0; at < length; at++) {
    const x = a.charCodeAt(at)
    const y = b.charCodeAt(at)
    if (x !== y) return (isSurrogate(x) ? x + 0x10000 : x) - (isSurrogate(y) ? y + 0x10000 : y)
  }
  return a.length - b.length
}

function isSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdfff
}

function byRecord(a: { connection: string; recordId: string }, b: { connection: string; recordId: string }): number {
  return order(a.connection, b.connection) || order(a.recordId, b.recordId)
}

function byUrgency(a: Intent, b: Intent): number {
  return Number(b.urgent) - Number(a.urgent) || byPlan(a, b)
}

function byPlan(a: Intent, b: Intent): number {
  return a.planned_ms - b.planned_ms || order(a.id, b.id)
}
