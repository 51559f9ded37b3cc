import { decideApply, type Known } from '../engine/core/apply.ts'
import { keysToLookUp } from '../engine/core/erasure.ts'
import { saidBy } from '../engine/core/hear.ts'
import { keysOf } from '../engine/core/identity.ts'
import { judgeDeletions, judgeFields, type BrakeCounts } from '../engine/core/brakes.ts'
import type { AppRecord, Connector, Sighting } from '../engine/core/ports/connector.ts'
import { decideKeep, type KeepTerms } from '../engine/core/keep.ts'
import type { Commit, CommitResult, FeedStep, Kept, Neighbourhood, Tally, Store } from '../engine/core/ports/store.ts'
import type { ConnectionRules } from '../engine/core/rules.ts'
import { Workspace } from '../engine/core/workspace.ts'
import { consentsOf } from './consents.ts'
import { approvalHold, type Chunk, type Runtime } from './runtime.ts'

/**
 * After so many goes at a chunk an app that serves other revisions than it announces is taken at its word: the announcement
 * may be the older of the two.
 */
export const PATIENT_ATTEMPTS = 4

/** What became of a chunk; `early` wants to come back after the chunk before it. */
export type Applied = 'applied' | 'stale' | 'early'

/**
 * Applies one chunk of a pass: reads what was only announced, decides, commits in one transaction together with the cursor,
 * and wakes whoever has something to do now. Applying twice changes nothing more.
 *
 * @param patient wait (`early`) for an app that announces a newer revision than it serves yet; otherwise take what it serves
 * @param turn settles when the chunk before this one is done, as far as this process knows; see turns.ts
 * @throws FailureError when the app cannot be read: the chunk is to be tried again
 */
export async function applyChunk(
  runtime: Runtime,
  chunk: Chunk,
  patient: boolean,
  signal?: AbortSignal,
  turn?: Promise<unknown>,
): Promise<Applied> {
  const rules = runtime.rules.connections.get(chunk.connection)
  const connector = runtime.connectors.get(chunk.connection)
  if (!rules || !connector) return 'stale'
  const sightings = await withData(connector, chunk.sightings, signal)
  if (patient && servesOtherRevision(chunk, sightings)) return 'early'
  const { sightings: _sightings, deletionsHeld, pause, ...step } = chunk
  return applySightings(runtime, rules, sightings, deletionsHeld, { ...step, now_ms: runtime.now() }, { turn, pause })
}

/** What a decision waits for, or rests on. */
export interface Order {
  /** Settles when what must be committed before has been. */
  readonly turn?: Promise<unknown> | undefined
  /**
   * The versions of links from before their records were read; 0 for none. Where one has moved on since, the reading may be the
   * older of two, and the answer is `early`: read again.
   */
  readonly readOver?: ReadonlyMap<string, number>
  /** The same for what was kept of them in a pause. */
  readonly keptOver?: ReadonlyMap<string, number>
  /** The pause in which this was heard, or null for none; undefined: whatever the connection is in now. */
  readonly pause?: string | null | undefined
}

/** Whether a create is under way in a connection: what is not known there may be of its making. */
export async function isCreating(store: Pick<Store, 'intents'>, connection: string): Promise<boolean> {
  for await (const _intent of store.intents({ connection, state: 'sending', op: 'create' })) return true
  return false
}

/** The acknowledged pause of a connection: what is heard there is kept, and merged into nobody. */
export async function pauseOf(store: Pick<Store, 'connections'>, connection: string): Promise<string | null> {
  const state = (await store.connections()).find(({ name }) => name === connection)
  return state?.pause?.since_ms == null ? null : state.pause.id
}

/**
 * Hears sightings of one connection; with a `feed` step as part of a pass, without one as a reading in between.
 * @param held the brake's sentence where deletions among them are not to be believed
 */
export async function applySightings(
  runtime: Runtime,
  connection: ConnectionRules,
  sightings: readonly Known[],
  held: string | null,
  feed?: FeedStep,
  order: Order = {},
): Promise<Applied> {
  const { store } = runtime
  const { turn, readOver, keptOver } = order
  const ids = [...new Set(sightings.flatMap(idsOf))]
  const records = sightings.flatMap((sighting) => (sighting.kind === 'record' ? [sighting.record] : []))
  const ends = sightings.some(({ kind }) => kind === 'gone' || kind === 'merged')
  const brakes = await fieldBrakes(runtime, connection)
  for (let attempt = 1; ; attempt++) {
    const pause = order.pause === undefined ? await pauseOf(store, connection.name) : order.pause
    // Before the records are loaded: a create that is answered in between is known then.
    const creating = ends && (await isCreating(store, connection.name))
    const hood = await store.loadRecords(connection.name, ids)
    if (readOver && movedOn(hood, connection.name, readOver, ids)) return 'early'
    const kept = pause === null ? [] : await keptOf(store, connection.name, ids)
    if (keptOver && keptAnew(kept, keptOver, ids)) return 'early'
    const [consents, barred] = await Promise.all([
      consentsOf(runtime, hood, connection, records),
      barredAmong(runtime, connection, records),
    ])
    const approval = await approvalHold(runtime)
    const terms = { now_ms: runtime.now(), newId: runtime.newId, held: approval, deletionsHeld: held, creating, barred }
    const decided =
      pause === null
        ? decideWithBrakes(brakes, connection, (heldFields) => {
            const ws = new Workspace(hood, consents)
            decideApply(ws, runtime.rules, connection, sightings, { ...terms, heldFields })
            return ws
          }).commit()
        : keepAll(new Workspace(hood, consents), runtime, connection, sightings, kept, { ...terms, ...brakes })
    // A pass ends with a pause; what is heard in between has to look.
    const commit = { ...decided, ...(feed ? { feed } : { under: { connection: connection.name, pause } }) }
    await turn
    const result = await store.commit(commit)
    if (result.kind !== 'lost' || attempt >= runtime.limits.mergeAttempts_max) {
      if (result.kind === 'committed') tell(runtime, connection.name, sightings, commit)
      return conclude(runtime, connection, commit, result, held, feed)
    }
  }
}

function keepAll(
  ws: Workspace,
  { rules }: Runtime,
  connection: ConnectionRules,
  sightings: readonly Known[],
  kept: readonly Kept[],
  terms: KeepTerms,
): Commit {
  const decided = decideKeep(ws, rules, connection, sightings, kept, terms)
  return { ...ws.commit(), ...decided }
}

/** Which of the keys of these records are barred by erasures. */
export async function barredAmong(
  { store, rules }: Pick<Runtime, 'store' | 'rules'>,
  connection: ConnectionRules,
  records: readonly AppRecord[],
): Promise<ReadonlyMap<string, string>> {
  const keys = records.flatMap(({ id, fields }) => {
    const cells = saidBy(rules, connection, fields)
    return keysToLookUp({ connection: connection.name, recordId: id, keys: keysOf(cells, rules.catalogue) }, cells)
  })
  return store.barred(keys)
}

/** Decides, and once more where what is decided trips a brake: one chunk could change a field everywhere before it is looked at. */
export function decideWithBrakes(
  brakes: FieldBrakes,
  connection: ConnectionRules,
  decide: (heldFields: ReadonlyMap<string, string>) => Workspace,
): Workspace {
  const ws = decide(brakes.heldFields)
  const heldFields = judgeFields(countedWith(brakes.counts, ws.commit().tallies ?? []), connection.brakes)
  return [...heldFields.keys()].some((field) => !brakes.heldFields.has(field)) ? decide(heldFields) : ws
}

/** The marks of what is kept of records in a pause, 0 where nothing is; see {@link Order.keptOver}. */
export async function keptMarksOf(
  store: Pick<Store, 'kept'>,
  connection: string,
  ids: readonly string[],
): Promise<Map<string, number>> {
  const marks = new Map(ids.map((id) => [id, 0]))
  for await (const { recordId, mark } of store.kept(connection, ids)) marks.set(recordId, mark)
  return marks
}

async function keptOf(store: Store, connection: string, ids: readonly string[]): Promise<Kept[]> {
  const kept: Kept[] = []
  if (ids.length > 0) for await (const one of store.kept(connection, ids)) kept.push(one)
  return kept
}

function keptAnew(kept: readonly Kept[], keptOver: ReadonlyMap<string, number>, ids: readonly string[]): boolean {
  const marks = new Map(kept.map(({ recordId, mark }) => [recordId, mark]))
  return ids.some((id) => keptOver.has(id) && keptOver.get(id) !== (marks.get(id) ?? 0))
}

function movedOn(
  { links }: Neighbourhood,
  connection: string,
  readOver: ReadonlyMap<string, number>,
  ids: readonly string[],
): boolean {
  const here = links.filter((link) => link.connection === connection)
  const versions = new Map(here.map((link) => [link.recordId, link.version]))
  return ids.some((id) => readOver.has(id) && readOver.get(id) !== (versions.get(id) ?? 0))
}

/** The version of each record's link, 0 where there is none: for {@link Order.readOver}. */
export async function versionsOf(
  store: Store,
  connection: string,
  ids: readonly string[],
): Promise<Map<string, number>> {
  const versions = new Map(ids.map((id) => [id, 0]))
  for (const link of (await store.loadRecords(connection, ids)).links) {
    if (link.connection === connection && versions.has(link.recordId)) versions.set(link.recordId, link.version)
  }
  return versions
}

function tell(runtime: Runtime, connection: string, sightings: readonly Known[], commit: Commit): void {
  const touched = new Set(
    (commit.links ?? []).filter((link) => link.connection === connection).map((link) => link.recordId),
  )
  const unchanged = sightings.filter((sighting) => !idsOf(sighting).some((id) => touched.has(id))).length
  runtime.events.applied(connection, sightings.length, unchanged, commit.changes ?? [])
  if (commit.intents && commit.intents.length > 0) runtime.events.planned(commit.intents)
}

async function conclude(
  runtime: Runtime,
  connection: ConnectionRules,
  commit: Commit,
  result: CommitResult,
  deletionsHeld: string | null,
  feed?: FeedStep,
): Promise<Applied> {
  if (result.kind === 'lost') throw new Error('a chunk lost its compare-and-set too often; it is tried again')
  if (result.kind !== 'committed') return result.kind
  const missing = (commit.links ?? []).some((link) => link.state === 'missing')
  if (missing) await runtime.store.saveConnection(connection.name, { held: deletionsHeld })
  await wakeAfter(runtime, commit, feed?.last ?? false)
  return 'applied'
}

/** Wakes whoever has something to do after a commit. */
export async function wakeAfter(runtime: Runtime, commit: Commit, passEnded: boolean): Promise<void> {
  const pending = new Set(
    (commit.intents ?? []).filter((intent) => intent.state === 'pending').map((intent) => intent.connection),
  )
  await Promise.all([...pending].map((connection) => runtime.queue.wakeDeliver(connection)))
  const toMatch = (commit.links ?? []).some((link) => link.state === 'staged' || link.recheck)
  const toPlan = (commit.unplanned ?? []).length > 0 || (commit.consents ?? []).length > 0
  if (passEnded || toMatch || toPlan) await runtime.queue.wakeSettle()
}

/** Sightings with their data: what was only announced is read now, in the app's own batches. */
async function withData(connector: Connector, sightings: readonly Sighting[], signal?: AbortSignal): Promise<Known[]> {
  const hints = sightings.filter((sighting) => sighting.kind === 'hint').map((sighting) => sighting.id)
  const known: Known[] = sightings.filter((sighting) => sighting.kind !== 'hint')
  for (let start = 0; start < hints.length; start += connector.capabilities.readBatch_max) {
    known.push(...(await connector.read(hints.slice(start, start + connector.capabilities.readBatch_max), signal)))
  }
  return known
}

/** Whether the app has announced a revision of a record and, asked for it, answers with another: an old copy, or a newer one. */
function servesOtherRevision(chunk: Chunk, answers: readonly Known[]): boolean {
  const announced = new Map<string, string>()
  for (const sighting of chunk.sightings) {
    if (sighting.kind === 'hint' && sighting.rev !== null) announced.set(sighting.id, sighting.rev)
  }
  return answers.some((answer) => {
    if (answer.kind !== 'record' || answer.record.rev === null) return false
    const rev = announced.get(answer.record.id)
    return rev !== undefined && rev !== answer.record.rev
  })
}

function idsOf(sighting: Known): string[] {
  if (sighting.kind === 'record') return [sighting.record.id]
  return sighting.kind === 'merged' ? [sighting.id, sighting.into] : [sighting.id]
}

export interface FieldBrakes {
  readonly counts: BrakeCounts
  readonly heldFields: ReadonlyMap<string, string>
}

/** Fields that were changed from a connection in too many records. */
export async function fieldBrakes(runtime: Runtime, { name, brakes }: ConnectionRules): Promise<FieldBrakes> {
  const counts = await runtime.store.brakeCounts(name, runtime.now() - brakes.window_ms)
  return { counts, heldFields: judgeFields(counts, brakes) }
}

/** The brake's sentence where so many deletions heard at once are not to be believed, or null. */
export async function deletionsHeld(runtime: Runtime, name: string, heard: number): Promise<string | null> {
  const rules = runtime.rules.connections.get(name)
  if (!rules || heard === 0) return null
  const counts = await runtime.store.brakeCounts(name, runtime.now() - rules.brakes.window_ms)
  return judgeDeletions(heard, counts, rules.brakes)
}

export function countedWith(counts: BrakeCounts, tallies: readonly Tally[]): BrakeCounts {
  const tallied = { ...counts.tallied }
  for (const { what, count } of tallies) tallied[what] = (tallied[what] ?? 0) + count
  return { ...counts, tallied }
}
