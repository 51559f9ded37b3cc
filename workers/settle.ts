import { MATCH_ROUND_MAX } from '../config/limits.ts'
import { Apartness, recordSubject } from '../engine/core/apart.ts'
import { keysToLookUp } from '../engine/core/erasure.ts'
import { FailureError } from '../engine/core/failure.ts'
import { judgeFields } from '../engine/core/brakes.ts'
import { saidBy } from '../engine/core/hear.ts'
import { decideMatch, type MatchTerms } from '../engine/core/match.ts'
import { planPerson } from '../engine/core/plan.ts'
import type { Link } from '../engine/core/ports/store.ts'
import { Workspace } from '../engine/core/workspace.ts'
import { applySightings, deletionsHeld, isCreating, keptMarksOf, versionsOf, wakeAfter } from './apply.ts'
import { consentsFor } from './consents.ts'
import { tendErasures } from './erasures.ts'
import { approvalHold, type Runtime } from './runtime.ts'
import { withStanding } from './standing.ts'
import { takenAway, UNDO_DELETES } from './undo.ts'

/**
 * Brings the household in order: reads again what is to be read again, finds out who staged records are, and plans the
 * people whose plan is to be made anew. Nothing is planned before everybody is matched.
 */
export async function settleHousehold(runtime: Runtime, signal?: AbortSignal): Promise<void> {
  await rereadRecords(runtime, signal)
  if (await everyoneHeard(runtime)) {
    await matchStaged(runtime, signal)
    await planUnplanned(runtime, signal)
  }
  await tendErasures(runtime)
}

/**
 * Matching waits for the first pass of every connection: only then is it known which identifiers many people share, and who
 * has two records. A connection that cannot be read is not waited for.
 */
export async function everyoneHeard(runtime: Runtime): Promise<boolean> {
  const states = await runtime.store.connections()
  return states.every(
    (state) =>
      state.scanned || state.failure !== null || state.mode === 'paused' || !runtime.rules.connections.has(state.name),
  )
}

async function rereadRecords(runtime: Runtime, signal?: AbortSignal): Promise<void> {
  const { store } = runtime
  const stale = await store.rechecks(MATCH_ROUND_MAX)
  const byConnection = Map.groupBy(stale, (item) => item.connection)
  for (const [name, items] of byConnection) {
    const connector = runtime.connectors.get(name)
    const rules = runtime.rules.connections.get(name)
    if (!connector || !rules) continue
    const ids = items.map((item) => item.recordId)
    const max = connector.capabilities.readBatch_max
    try {
      for (let start = 0; start < ids.length; start += max) {
        const batch = ids.slice(start, start + max)
        // What the feed tells meanwhile is newer than what is read here.
        const readOver = await versionsOf(store, name, batch)
        const keptOver = await keptMarksOf(store, name, batch)
        const answers = await connector.read(batch, signal)
        const gone = answers.filter((answer) => answer.kind === 'gone').length
        const held = await deletionsHeld(runtime, name, gone)
        const applied = await applySightings(runtime, rules, answers, held, undefined, { readOver, keptOver })
        if (applied === 'early') await runtime.queue.wakeSettle()
      }
    } catch (error) {
      if (!(error instanceof FailureError)) throw error
      // The others do not wait for an app that cannot be read.
      runtime.log.failure('reading again failed', name, error.failure)
      await store.saveConnection(name, { failure: error.failure })
    }
  }
}

async function matchStaged(runtime: Runtime, signal?: AbortSignal): Promise<void> {
  let after: { connection: string; recordId: string } | undefined
  let lost = 0
  while (!signal?.aborted) {
    const { links, round } = await runtime.store.staged(MATCH_ROUND_MAX, after)
    const last = links.at(-1)
    if (!last) return
    if (await matchRound(runtime, links, round)) after = { connection: last.connection, recordId: last.recordId }
    else if (++lost > runtime.limits.mergeAttempts_max) return runtime.queue.wakeSettle()
  }
}

/** @returns false when somebody else matched meanwhile: look again */
async function matchRound(runtime: Runtime, links: readonly Link[], round: number): Promise<boolean> {
  const { store } = runtime
  const keys = [...new Set(links.flatMap((link) => link.keys))]
  const holders = await store.keyHolders(keys)
  const people = [...new Set(holders.map((holder) => holder.personId).filter((id) => id !== null))]
  const hood = await withStanding(store, await store.loadPeople(people))
  const ws = new Workspace({ ...hood, links: [...hood.links, ...links] })
  decideMatch(ws, runtime.rules, links, holders, await matchTerms(runtime, links))
  const commit = { ...ws.commit(), matchRound: round }
  if ((await store.commit(commit)).kind !== 'committed') return false
  // Nothing new was heard; what the records said when they were heard is now their people's.
  const byConnection = Map.groupBy(commit.changes ?? [], (change) => change.stamp.by)
  for (const [connection, changes] of byConnection) runtime.events.applied(connection, 0, 0, changes)
  return true
}

/** What is known that matching these records goes by. */
export async function matchTerms(runtime: Runtime, links: readonly Link[]): Promise<MatchTerms> {
  const { store } = runtime
  const records = links.map((link) => recordSubject(link.connection, link.recordId))
  const lookUp = links.flatMap((link) => {
    const connection = runtime.rules.connections.get(link.connection)
    return connection ? keysToLookUp(link, saidBy(runtime.rules, connection, link.fields)) : []
  })
  return {
    now_ms: runtime.now(),
    newId: runtime.newId,
    creating: await connectionsCreating(runtime),
    apart: new Apartness(await store.apart(records)),
    barred: await store.barred(lookUp),
  }
}

async function connectionsCreating(runtime: Runtime): Promise<Set<string>> {
  const creating = new Set<string>()
  for (const name of runtime.rules.connections.keys()) if (await isCreating(runtime.store, name)) creating.add(name)
  return creating
}

async function planUnplanned(runtime: Runtime, signal?: AbortSignal): Promise<void> {
  const { store } = runtime
  let heldFields: ReadonlyMap<string, string> | undefined
  let lost = 0
  while (!signal?.aborted) {
    const flags = await store.unplanned(MATCH_ROUND_MAX)
    if (flags.length === 0) return
    const ids = flags.map((flag) => flag.personId)
    // A plan that is made anew must not slip past the brake that held it.
    heldFields ??= await brakedFields(runtime)
    const hood = await withStanding(store, await store.loadPeople(ids))
    const ws = new Workspace(hood, await consentsFor(runtime, hood))
    const held = await approvalHold(runtime)
    const terms = { now_ms: runtime.now(), newId: runtime.newId, held, heldFields, withStanding: true as const }
    for (const id of ids) planPerson(ws, runtime.rules, id, terms)
    await holdUndone(runtime, ws)
    const commit = ws.commit()
    const result = await store.commit({ ...commit, planned: flags })
    if (result.kind === 'committed') {
      runtime.events.planned(commit.intents ?? [])
      await wakeAfter(runtime, commit, false)
    } else if (++lost > runtime.limits.mergeAttempts_max) return runtime.queue.wakeSettle()
  }
}

/** What an undo takes away waits for one more look, also where it could be planned only now. */
async function holdUndone({ store }: Runtime, ws: Workspace): Promise<void> {
  for (const intent of await takenAway(store, ws.commit().intents ?? [])) {
    ws.intend({ ...intent, state: 'held', held: UNDO_DELETES })
  }
}

/** The fields that are behind a brake now, whichever connection they were changed from. */
async function brakedFields({ store, rules, now }: Runtime): Promise<ReadonlyMap<string, string>> {
  const braked = new Map<string, string>()
  for (const { name, brakes } of rules.connections.values()) {
    const counts = await store.brakeCounts(name, now() - brakes.window_ms)
    for (const [field, reason] of judgeFields(counts, brakes)) braked.set(field, reason)
  }
  return braked
}
