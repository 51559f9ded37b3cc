import type { Act } from '../../engine/core/act.ts'
import { strictest, type Consent } from '../../engine/core/consent.ts'
import { excluded, excluder, type Certificate, type Erasure, type Waiver } from '../../engine/core/erasure.ts'
import type { Failure } from '../../engine/core/failure.ts'
import { countedCause, type CountedCause } from '../../engine/core/health.ts'
import type { Json, JsonObject } from '../../engine/core/json.ts'
import type { Person } from '../../engine/core/person.ts'
import type {
  Apart,
  Baseline,
  Commit,
  CommitResult,
  Conflict,
  ConnectionCounts,
  ConnectionState,
  Holdings,
  Intent,
  IntentFilter,
  IntentState,
  Kept,
  KeyHolder,
  Link,
  LikelyPair,
  LinkState,
  LogEntry,
  Neighbourhood,
  Pause,
  Settlement,
  Store,
  Unplanned,
} from '../../engine/core/ports/store.ts'
import { keyedHash } from '../../engine/store/erasures.ts'
import { bucketOf, checkOpen, heldFor } from '../../engine/store/promises.ts'
import { searchQuery, searchText } from '../../engine/store/search.ts'
import { likelyPairs } from './likely-pairs.ts'

type Delivery = Intent & { answer: JsonObject | null; settled_ms: number }

/** What is open and what is under way for one person in one connection. */
interface Slot {
  open?: Intent
  sending?: { intent: Intent; lease_ms: number }
}

const ID_BATCH = 1000
const COUNTED: ReadonlySet<LinkState> = new Set(['linked', 'staged', 'ambiguous', 'second', 'missing'])

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
  readonly #apart = new Map<string, Apart>()
  readonly #consents = new Map<string, Consent>()
  #marks = 0
  /** Connection, record id. */
  readonly #links = new Map<string, Map<string, Link>>()
  readonly #linksOfPerson = new Map<string, Set<Link>>()
  readonly #linksOfKey = new Map<string, Set<Link>>()
  readonly #staged = new Set<Link>()
  readonly #rechecks = new Set<Link>()
  readonly #ambiguous = new Set<Link>()
  readonly #second = new Set<Link>()
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
  /** Connection, record id. */
  readonly #kept = new Map<string, Map<string, Kept>>()
  readonly #erasures = new Map<string, Erasure>()
  /** By hash: the erasures that bar it. */
  readonly #barred = new Map<string, Set<string>>()
  readonly #baselines = new Map<string, readonly Baseline[]>()

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
    return [...new Set(keys)].flatMap((key) => {
      const consent = this.#consents.get(this.#consentKey(key))
      return consent ? { ...consent, key } : []
    })
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
    if (commit.erasure) this.#beginErasure(commit.erasure)
    const act = commit.act?.id ?? null
    for (const change of commit.changes ?? []) {
      const pass = act === null ? (this.#connections.get(change.stamp.by)?.pass ?? null) : null
      this.#log.push({ ...change, id: ++this.#logged, act, pass })
    }
    for (const conflict of commit.conflicts ?? []) this.#putConflict(conflict)
    for (const { personId, mark } of commit.planned ?? []) {
      if (this.#unplanned.get(personId) === mark) this.#unplanned.delete(personId)
    }
    if (commit.act && !this.#acts.some(({ id }) => id === act)) this.#acts.push(commit.act)
    for (const { connection, recordId } of commit.unkeep ?? []) this.#kept.get(connection)?.delete(recordId)
    for (const one of commit.keep ?? []) {
      const kept = nested(this.#kept, one.connection, () => new Map<string, Kept>())
      kept.set(one.recordId, { ...one, mark: ++this.#marks })
    }
    for (const pair of commit.apart ?? []) this.#apart.set(JSON.stringify([pair.a, pair.b]), pair)
    for (const consent of commit.consents ?? []) {
      const key = this.#consentKey(consent.key)
      const told = key === consent.key ? consent : { ...consent, key, events: [] }
      this.#consents.set(key, { ...told, version: (this.#consents.get(key)?.version ?? 0) + 1 })
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

  async beginPause(connection: string, pause: Omit<Pause, 'since_ms'>, act: Act): Promise<boolean> {
    const state = this.#connections.get(connection)
    if (!state || state.pause !== null) return false
    this.#patch(connection, { pause: { ...pause, since_ms: null } })
    this.#acts.push(act)
    return true
  }

  async settlePause(connection: string, id: string, now_ms: number): Promise<number | null> {
    const state = this.#connections.get(connection)
    if (!state?.pause || state.pause.id !== id) return null
    if (state.pause.since_ms !== null) return 0
    const underWay = [...this.#intentsById.values()].filter(
      (intent) => intent.connection === connection && intent.state === 'sending',
    )
    if (underWay.length > 0) return underWay.length
    const links = [...(this.#links.get(connection)?.values() ?? [])].sort(byRecord)
    this.#baselines.set(
      connection,
      links.map(({ recordId, personId, state: was, fields, rev, rewrites }) => {
        return { recordId, personId, state: was, fields, rev, rewrites }
      }),
    )
    this.#patch(connection, { pause: { ...state.pause, since_ms: now_ms }, pass: state.pass + 1, chunk: 0 })
    return 0
  }

  async endPause(connection: string, id: string): Promise<number | null> {
    const state = this.#connections.get(connection)
    if (!state?.pause || state.pause.id !== id) return null
    const waiting = this.#kept.get(connection)?.size ?? 0
    if (waiting > 0) return waiting
    this.#baselines.delete(connection)
    this.#patch(connection, { pause: null, pass: state.pass + 1, chunk: 0 })
    return 0
  }

  async *kept(connection: string, recordIds?: readonly string[]): AsyncIterable<Kept> {
    const all = [...(this.#kept.get(connection)?.values() ?? [])]
    const wanted = recordIds === undefined ? all : all.filter(({ recordId }) => recordIds.includes(recordId))
    yield* wanted.sort((a, b) => a.mark - b.mark)
  }

  async keptCount(connection: string): Promise<number> {
    return this.#kept.get(connection)?.size ?? 0
  }

  async *baseline(connection: string): AsyncIterable<Baseline> {
    yield* this.#baselines.get(connection) ?? []
  }

  async claim(connection: string, limit: number, now_ms: number, leaseEnd_ms: number): Promise<Intent[]> {
    const state = this.#connections.get(connection)
    if (state?.mode !== 'live' || state.pause !== null) return []
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
    for (const { released, op } of this.#select({ connection, state: 'pending' })) {
      if (!released && op !== 'merge') pending[op]++
    }
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

  async *intents(filter: IntentFilter, after?: Place): AsyncIterable<Intent> {
    yield* this.#select(filter)
      .filter((intent) => after === undefined || byConnection(after, intent) < 0)
      .sort(byConnection)
  }

  async *links(filter: Parameters<Store['links']>[0]): AsyncIterable<Link> {
    const all = [...this.#links.values()].flatMap((links) => [...links.values()])
    yield* all
      .filter((link) => filter.connection === undefined || link.connection === filter.connection)
      .filter((link) => filter.state === undefined || link.state === filter.state)
      .filter((link) => filter.broken === undefined || (link.failure !== undefined) === filter.broken)
      .filter((link) => filter.after === undefined || byRecord(link, filter.after) > 0)
      .sort(byRecord)
  }

  async *conflicts(): AsyncIterable<Conflict> {
    const all = [...this.#conflicts.values()].flatMap((conflicts) => [...conflicts.values()])
    yield* all.sort(
      (a, b) => order(a.personId, b.personId) || order(a.cell, b.cell) || order(a.connection, b.connection),
    )
  }

  async healthCounts(): ReturnType<Store['healthCounts']> {
    const all = new Map<string, { [cause in CountedCause]?: number }>()
    const live = [...this.#people.values()].filter(({ state }) => state === 'live')
    for (const connection of this.#connections.values()) {
      const counts: { [cause in CountedCause]?: number } = {}
      all.set(connection.name, counts)
      const add = (link: Link | null, person: Person | undefined): void => {
        const slot = person && this.#slots.get(person.id)?.get(connection.name)
        const conflicts = person ? [...(this.#conflicts.get(person.id)?.values() ?? [])] : []
        const cause = countedCause({
          link: link && { ...link, broken: link.failure !== undefined },
          intent: slot?.open ? { ...slot.open, held: slot.open.held ?? null } : null,
          sending: slot?.sending !== undefined,
          person: person?.state ?? null,
          unplanned: person !== undefined && this.#unplanned.has(person.id),
          conflict: conflicts.some((conflict) => conflict.connection === connection.name),
          connection: {
            mode: connection.mode,
            paused: connection.pause !== null,
            failing: connection.failure !== null,
          },
        })
        counts[cause] = (counts[cause] ?? 0) + 1
      }
      const links = [...(this.#links.get(connection.name)?.values() ?? [])].filter(({ state }) => state !== 'gone')
      for (const link of links) add(link, link.personId === null ? undefined : this.#people.get(link.personId))
      const there = new Set(links.map(({ personId }) => personId))
      for (const person of live) if (!there.has(person.id)) add(null, person)
    }
    return all
  }

  async livePeople({ after = '', ids, limit }: Parameters<Store['livePeople']>[0]): ReturnType<Store['livePeople']> {
    return [...this.#people.values()]
      .filter(({ id, state }) => state === 'live' && id > after && (ids === undefined || ids.includes(id)))
      .sort((a, b) => order(a.id, b.id))
      .slice(0, limit)
      .map(({ id }) => ({ id, unplanned: this.#unplanned.has(id) }))
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
      .filter((entry) => filter.people === undefined || filter.people.includes(entry.personId))
      .filter((entry) => filter.act === undefined || entry.act === filter.act)
      .filter((entry) => filter.pass === undefined || entry.pass === filter.pass)
      .filter((entry) => filter.beforeId === undefined || entry.id < filter.beforeId)
      .filter((entry) => filter.fromId === undefined || entry.id >= filter.fromId)
      .reverse()
      .slice(0, filter.limit)
  }

  async oldestLog(): Promise<number | null> {
    return this.#log[0]?.heard_ms ?? null
  }

  async acts(filter: Parameters<Store['acts']>[0]): Promise<Act[]> {
    return this.#acts
      .filter((act) => filter.id === undefined || act.id === filter.id)
      .filter((act) => filter.since_ms === undefined || act.at_ms >= filter.since_ms)
      .filter((act) => filter.kind === undefined || act.kind === filter.kind)
      .sort((a, b) => b.at_ms - a.at_ms || order(b.id, a.id))
      .slice(0, filter.limit)
  }

  async apart(subjects: readonly string[]): Promise<Apart[]> {
    const wanted = new Set(subjects)
    const found = [...this.#apart.values()].filter(({ a, b }) => wanted.has(a) || wanted.has(b))
    return found.sort((one, other) => order(one.a, other.a) || order(one.b, other.b))
  }

  async likelyPairs(limit: number, block_max: number): Promise<LikelyPair[]> {
    const live = [...this.#people.values()].filter((person) => person.state === 'live')
    const keysOfPerson = (id: string): string[] =>
      [...(this.#linksOfPerson.get(id) ?? [])].flatMap((link) => (link.state === 'linked' ? link.keys : []))
    return likelyPairs(
      live.map((person) => ({ person, keys: keysOfPerson(person.id) })),
      limit,
      block_max,
    )
  }

  async deliveries(personId: string, limit: number): ReturnType<Store['deliveries']> {
    return (this.#deliveries.get(personId) ?? []).toReversed().slice(0, limit)
  }

  async absorbed(people: readonly string[]): Promise<string[]> {
    const found = new Set<string>()
    for (let wave: readonly string[] = people; wave.length > 0;) {
      const into = new Set(wave)
      wave = [...this.#people.values()]
        .filter(({ id, mergedInto }) => mergedInto !== undefined && into.has(mergedInto) && !found.has(id))
        .map(({ id }) => id)
      for (const id of wave) found.add(id)
    }
    return [...found].sort(order)
  }

  async barred(keys: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const found = keys.flatMap((key): [string, string][] => {
      const [erasure] = [...(this.#barred.get(keyedHash(ERASURE_KEY, key)) ?? [])].sort(order)
      return erasure === undefined ? [] : [[key, erasure]]
    })
    return new Map(found)
  }

  async barredBy(erasure: string): Promise<string[]> {
    return [...this.#barred].flatMap(([hash, barring]) => (barring.has(erasure) ? [hash] : [])).sort(order)
  }

  async fingerprints(texts: readonly string[]): Promise<string[]> {
    return texts.map((text) => keyedHash(ERASURE_KEY, text))
  }

  async erasures(filter: Parameters<Store['erasures']>[0]): Promise<Erasure[]> {
    return [...this.#erasures.values()]
      .filter((erasure) => filter.id === undefined || erasure.id === filter.id)
      .filter((erasure) => filter.state === undefined || erasure.state === filter.state)
      .sort((a, b) => b.opened_ms - a.opened_ms || order(b.id, a.id))
      .slice(0, filter.limit)
  }

  async waive(id: string, connection: string, waiver: Waiver): Promise<boolean> {
    const erasure = this.#erasures.get(id)
    if (erasure?.state !== 'open') return false
    this.#erasures.set(id, { ...erasure, waived: { ...erasure.waived, [connection]: waiver } })
    return true
  }

  async holdings(people: readonly string[]): Promise<Holdings> {
    const links = people.flatMap((id) => [...(this.#linksOfPerson.get(id) ?? [])])
    const subjects = new Set(people.map((id) => `person:${id}`))
    return {
      cells: people.flatMap((id) => Object.keys(this.#people.get(id)?.cells ?? {})).length,
      records: links.length,
      log: this.#log.filter(({ personId }) => people.includes(personId)).length,
      deliveries: people.flatMap((id) => this.#deliveries.get(id) ?? []).length,
      conflicts: people.flatMap((id) => [...(this.#conflicts.get(id)?.keys() ?? [])]).length,
      apart: [...this.#apart.values()].filter(({ a, b }) => subjects.has(a) || subjects.has(b)).length,
      kept:
        links.filter((link) => this.#kept.get(link.connection)?.has(link.recordId)).length +
        [...this.#baselines.values()].flat().filter(({ personId }) => personId !== null && people.includes(personId))
          .length,
    }
  }

  async purge(id: string, certificate: Certificate, texts: readonly string[]): Promise<boolean> {
    const erasure = this.#erasures.get(id)
    if (erasure?.state !== 'open') return false
    const people = new Set(erasure.people)
    if ([...people].some((one) => [...(this.#slots.get(one)?.values() ?? [])].some((slot) => slot.sending)))
      return false
    this.#round++
    const links = [...people].flatMap((one) => [...(this.#linksOfPerson.get(one) ?? [])])
    const subjects = new Set([
      ...[...people].map((one) => `person:${one}`),
      ...links.map(({ connection, recordId }) => `record:${connection}/${recordId}`),
    ])
    for (const [key, { a, b }] of this.#apart) if (subjects.has(a) || subjects.has(b)) this.#apart.delete(key)
    for (const link of links) {
      const { connection, recordId } = link
      this.#kept.get(connection)?.delete(recordId)
      const baseline = this.#baselines.get(connection) ?? []
      this.#baselines.set(
        connection,
        baseline.filter((one) => one.recordId !== recordId),
      )
      if (link.state === 'gone') this.#dropLink(link)
      else this.#putLink({ ...excluded(link, id), version: link.version + 1 })
    }
    for (const [connection, baseline] of this.#baselines) {
      this.#baselines.set(
        connection,
        baseline.filter(({ personId }) => personId === null || !people.has(personId)),
      )
    }
    const waiting = [...this.#ambiguous].filter((link) => link.candidates?.some((one) => people.has(one)))
    for (const link of waiting) {
      const { candidates: _candidates, reason: _reason, ...rest } = link
      this.#putLink({ ...rest, state: 'staged', version: link.version + 1 })
    }
    const tells = (text: string): boolean => texts.some((one) => text.toLowerCase().includes(one))
    for (const link of [...this.#links.values()].flatMap((all) => [...all.values()])) {
      const own = texts.filter((one) => one.includes('@') || /\d{6}/.test(one))
      const said = JSON.stringify(link.fields).toLowerCase()
      if (link.state !== 'gone' || !own.some((one) => said.includes(one))) continue
      const { fieldTimes_ms: _times, ...rest } = link
      this.#putLink({ ...rest, fields: {}, base_ms: {}, rewrites: {}, version: link.version + 1 })
    }
    for (const one of people) {
      for (const slot of this.#slots.get(one)?.values() ?? []) if (slot.open) this.#intentsById.delete(slot.open.id)
      for (const map of [this.#slots, this.#deliveries, this.#conflicts, this.#unplanned, this.#people]) map.delete(one)
    }
    this.#log = this.#log.filter(({ personId }) => !people.has(personId))
    for (const [index, act] of this.#acts.entries()) {
      this.#acts[index] = {
        ...act,
        why: tells(act.why) ? GONE_TEXT : act.why,
        about: tells(JSON.stringify(act.about)) ? {} : act.about,
      }
    }
    for (const one of this.#erasures.values()) {
      if (tells(one.why)) this.#erasures.set(one.id, { ...one, why: GONE_TEXT })
    }
    this.#hashConsents(texts.flatMap((text) => [`email:${text}`, `phone:${text}`]))
    const { why } = this.#erasures.get(id) as Erasure
    this.#erasures.set(id, { ...erasure, why, state: 'done', certificate })
    return true
  }

  async liftErasure(id: string, waiver: Waiver): Promise<boolean> {
    const erasure = this.#erasures.get(id)
    if (erasure?.state !== 'done') return false
    this.#round++
    this.#erasures.set(id, { ...erasure, state: 'lifted', lifted: waiver })
    for (const [hash, barring] of this.#barred) {
      barring.delete(id)
      if (barring.size === 0) this.#barred.delete(hash)
    }
    for (const link of [...this.#links.values()].flatMap((links) => [...links.values()])) {
      if (link.state !== 'erased' || excluder(link) !== id) continue
      this.#putLink({ ...link, recheck: true, rev: null, version: link.version + 1 })
    }
    return true
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

  /** For the simulation's own eyes: whether a pause of the connection is acknowledged. */
  isPaused(connection: string): boolean {
    return this.#connections.get(connection)?.pause?.since_ms != null
  }

  /** For the simulation's own eyes: the write of this record that is under way. */
  sendingOp(connection: string, recordId: string): Intent['op'] | undefined {
    const intents = [...this.#slots.values()].flatMap((slots) => slots.get(connection)?.sending?.intent ?? [])
    return intents.find((intent) => intent.recordId === recordId)?.op
  }

  /** Everybody, whatever became of them. */
  everybody(): Person[] {
    return [...this.#people.values()]
  }

  /** What the ledger says of everybody's addresses, as one text. */
  ledger(): string {
    return JSON.stringify([...this.#consents])
  }

  /** Everything there is, as one text: to see whether something is in it. */
  dump(): string {
    const maps = [
      this.#facts,
      this.#people,
      this.#consents,
      this.#intentsById,
      this.#deliveries,
      this.#baselines,
      this.#apart,
      this.#erasures,
    ].map((map) => [...map])
    const links = [...this.#links.values(), ...this.#kept.values()].map((map) => [...map])
    const conflicts = [...this.#conflicts.values()].map((map) => [...map])
    return JSON.stringify([maps, links, conflicts, this.#acts, this.#log])
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
    under,
    keep = [],
    unkeep = [],
    erasure,
  }: Commit): boolean {
    if (erasure && (this.#erasures.get(erasure.erasure.id)?.state ?? 'open') !== 'open') return true
    if (under && keptUnder(this.#connections.get(under.connection)) !== under.pause) return true
    const markOf = (one: Pick<Kept, 'connection' | 'recordId'>): number =>
      this.#kept.get(one.connection)?.get(one.recordId)?.mark ?? 0
    if ([...keep, ...unkeep].some((one) => markOf(one) !== one.mark)) return true
    if (consentsSeen.some(({ key, version }) => (this.#consents.get(this.#consentKey(key))?.version ?? 0) !== version))
      return true
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
      for (const set of [this.#staged, this.#rechecks, this.#ambiguous, this.#second]) set.delete(before)
      if (link.state === 'erased') this.#keepNoLonger(link)
    }
    nested(this.#links, link.connection, () => new Map<string, Link>()).set(link.recordId, link)
    if (link.personId !== null) nested(this.#linksOfPerson, link.personId, () => new Set<Link>()).add(link)
    for (const key of link.keys) nested(this.#linksOfKey, key, () => new Set<Link>()).add(link)
    if (link.state === 'staged') this.#staged.add(link)
    if (link.state === 'ambiguous') this.#ambiguous.add(link)
    if (link.state === 'second') this.#second.add(link)
    if (link.recheck) this.#rechecks.add(link)
  }

  /** A record that takes no part is kept nowhere else either. */
  #keepNoLonger({ connection, recordId }: Link): void {
    this.#kept.get(connection)?.delete(recordId)
    const baseline = this.#baselines.get(connection)
    if (baseline)
      this.#baselines.set(
        connection,
        baseline.filter((one) => one.recordId !== recordId),
      )
  }

  #dropLink(link: Link): void {
    this.#putLink({ ...link, personId: null, keys: [], state: 'gone', recheck: false })
    this.#links.get(link.connection)?.delete(link.recordId)
  }

  #beginErasure({ erasure, keys }: NonNullable<Commit['erasure']>): void {
    const before = this.#erasures.get(erasure.id)
    this.#erasures.set(erasure.id, before ? { ...before, people: erasure.people } : erasure)
    for (const key of keys) nested(this.#barred, keyedHash(ERASURE_KEY, key), () => new Set<string>()).add(erasure.id)
    this.#round++
    this.#hashConsents(keys)
  }

  /** The name under which the ledger keeps an address. */
  #consentKey(key: string): string {
    if (this.#erasures.size === 0) return key
    const hash = keyedHash(ERASURE_KEY, key)
    return this.#barred.has(hash) || this.#consents.has(`erased:${hash}`) ? `erased:${hash}` : key
  }

  #hashConsents(keys: readonly string[]): void {
    for (const plain of keys) {
      const entry = this.#consents.get(plain)
      const key = this.#consentKey(plain)
      if (!entry || key === plain) continue
      this.#consents.delete(plain)
      const held = this.#consents.get(key)
      if (held && strictest(held.state, entry.state) === held.state) continue
      this.#consents.set(key, { ...entry, key, events: [], version: (held?.version ?? 0) + 1 })
    }
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
    for (const { candidates = [], connection } of [...this.#ambiguous, ...this.#second]) {
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
  pause: null,
}

/** The pause under which what is heard of a connection is kept; undefined for one that has no row. */
function keptUnder(state: ConnectionState | undefined): string | null | undefined {
  return state && (state.pause?.since_ms == null ? null : state.pause.id)
}

/** Any key does: nothing is ever taken from one simulated store to another. */
const ERASURE_KEY = Buffer.alloc(64, 7)
const GONE_TEXT = '(erased)'

const NO_COUNTS: ConnectionCounts = {
  linked: 0,
  staged: 0,
  ambiguous: 0,
  second: 0,
  missing: 0,
  erased: 0,
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

function byPlan(a: Pick<Intent, 'planned_ms' | 'id'>, b: Pick<Intent, 'planned_ms' | 'id'>): number {
  return a.planned_ms - b.planned_ms || order(a.id, b.id)
}

type Place = Pick<Intent, 'connection' | 'planned_ms' | 'id'>

function byConnection(a: Place, b: Place): number {
  return order(a.connection, b.connection) || byPlan(a, b)
}
