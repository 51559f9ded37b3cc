import { decideApply, type Known } from '../engine/core/apply.ts'
import { judgeDeletions, judgeFields, type BrakeCounts } from '../engine/core/brakes.ts'
import type { Connector, Sighting } from '../engine/core/ports/connector.ts'
import type { Commit, CommitResult, FeedStep, Neighbourhood, Tally } from '../engine/core/ports/store.ts'
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
  const { sightings: _sightings, deletionsHeld, ...step } = chunk
  return applySightings(runtime, rules, sightings, deletionsHeld, { ...step, now_ms: runtime.now() }, { turn })
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
  { turn, readOver }: Order = {},
): Promise<Applied> {
  const { store } = runtime
  const ids = [...new Set(sightings.flatMap(idsOf))]
  const records = sightings.flatMap((sighting) => (sighting.kind === 'record' ? [sighting.record] : []))
  const brakes = await fieldBrakes(runtime, connection)
  for (let attempt = 1; ; attempt++) {
    const hood = await store.loadRecords(connection.name, ids)
    if (readOver && movedOn(hood, connection.name, readOver, ids)) return 'early'
    const consents = await consentsOf(runtime, hood, connection, records)
    const approval = await approvalHold(runtime)
    const terms = { now_ms: runtime.now(), newId: runtime.newId, held: approval, deletionsHeld: held }
    const decide = (heldFields: ReadonlyMap<string, string>): Workspace => {
      const decided = new Workspace(hood, consents)
      decideApply(decided, runtime.rules, connection, sightings, { ...terms, heldFields })
      return decided
    }
    let ws = decide(brakes.heldFields)
    // What is heard now counts too, or one chunk could change a field everywhere before its brake is looked at.
    const heldFields = judgeFields(countedWith(brakes.counts, ws.commit().tallies ?? []), connection.brakes)
    if ([...heldFields.keys()].some((field) => !brakes.heldFields.has(field))) ws = decide(heldFields)
    const commit = { ...ws.commit(), ...(feed ? { feed } : {}) }
    await turn
    const result = await store.commit(commit)
    if (result.kind !== 'lost' || attempt >= runtime.limits.mergeAttempts_max) {
      if (result.kind === 'committed') tell(runtime, connection.name, sightings, commit)
      return conclude(runtime, connection, commit, result, held, feed)
    }
  }
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

/** Fields that were changed from a connection in too many records. */
async function fieldBrakes(
  runtime: Runtime,
  { name, brakes }: ConnectionRules,
): Promise<{ counts: BrakeCounts; heldFields: ReadonlyMap<string, string> }> {
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

function countedWith(counts: BrakeCounts, tallies: readonly Tally[]): BrakeCounts {
  const tallied = { ...counts.tallied }
  for (const { what, count } of tallies) tallied[what] = (tallied[what] ?? 0) + count
  return { ...counts, tallied }
}
