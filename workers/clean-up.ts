import { Apartness, personSubject, recordSubject } from '../engine/core/apart.ts'
import { judgeWrites } from '../engine/core/brakes.ts'
import {
  belongs,
  cleanUpItems,
  decideCleanUp,
  type CleanUpDecided,
  type CleanUpGroup,
  type CleanUpItem,
  type CleanUpPart,
  type CleanUpWay,
} from '../engine/core/clean-up.ts'
import { keysOf } from '../engine/core/identity.ts'
import type { JsonObject } from '../engine/core/json.ts'
import { decideMatch } from '../engine/core/match.ts'
import { planPerson } from '../engine/core/plan.ts'
import type { Act } from '../engine/core/act.ts'
import type { Baseline, Commit, Intent, Kept, KeyHolder, Link, Pause } from '../engine/core/ports/store.ts'
import type { ConnectionRules } from '../engine/core/rules.ts'
import { Workspace } from '../engine/core/workspace.ts'
import { ActRefusedError } from './acts.ts'
import {
  barredAmong,
  countedWith,
  decideWithBrakes,
  deletionsHeld,
  fieldBrakes,
  wakeAfter,
  type FieldBrakes,
} from './apply.ts'
import { consentsOf } from './consents.ts'
import { approvalHold, type Runtime } from './runtime.ts'
import { matchTerms, settleHousehold } from './settle.ts'
import { together, withStanding } from './standing.ts'

/** Records decided in one commit: large enough that a merge and what it led to are mostly in one. */
const ROUND = 500

/** A clean-up as it is known now. */
interface CleanUp {
  readonly pause: Pause
  readonly rules: ConnectionRules
  readonly items: readonly CleanUpItem[]
  readonly links: ReadonlyMap<string, Link>
}

/** The clean-up as an operator would tell it: `412 edited, 37 merged into 35, 120 deleted, 64 created`. */
export interface CleanUpCounts {
  readonly edited: number
  readonly merged: number
  /** How many records those were merged into. */
  readonly into: number
  readonly deleted: number
  readonly created: number
  /** In how many edited records each field says something else. */
  readonly fields: { readonly [field: string]: number }
}

/** What is to follow in one connection. */
export interface Following {
  readonly connection: string
  readonly creates: number
  readonly updates: number
  readonly deletes: number
  readonly merges: number
  /** Of all these, how many a brake or a missing approval will hold, and the sentences that say why. */
  readonly held: number
  readonly reasons: readonly string[]
  /** The first few, with the values. */
  readonly samples: readonly Intent[]
}

/** One record of a clean-up, with what it said before. */
export interface CleanUpSample {
  readonly recordId: string
  readonly group: CleanUpGroup
  readonly before: JsonObject | null
  readonly after: JsonObject | null
  readonly into?: string
}

export interface CleanUpPreview {
  readonly connection: string
  readonly pause: Pause
  readonly whole: CleanUpCounts
  /** The part that was asked about. */
  readonly part: CleanUpCounts
  readonly records: number
  readonly samples: readonly CleanUpSample[]
  readonly way: CleanUpWay
  /** What follows, the connection itself included. */
  readonly following: readonly Following[]
  /** Deletions that will be held instead of believed, and the brake's sentence. */
  readonly deletionsHeld: string | null
  /** What cannot be done, record by record. */
  readonly refused: CleanUpDecided['refused']
  /** Writes from elsewhere that wait for the connection. */
  readonly waiting: number
  /** The newest hearing that this preview knows of: what comes later was not seen. */
  readonly seen: number
}

const SAMPLES = 5

/** Shows a part of a clean-up and what would follow: the same decisions as {@link resolveCleanUp} makes, and nothing is kept of them. */
export async function previewCleanUp(
  runtime: Runtime,
  connection: string,
  way: CleanUpWay,
  part: CleanUpPart,
): Promise<CleanUpPreview> {
  const cleanUp = await load(runtime, connection)
  const { rules, links, pause } = cleanUp
  const items = cleanUp.items.filter((item) => belongs(rules, part, item, links.get(item.kept.recordId)))
  const held = way === 'release' ? await heldDeletions(runtime, connection, items) : null
  const planned = new Map<string, Intent>()
  const refused: CleanUpDecided['refused'][number][] = []
  let brakes = await fieldBrakes(runtime, rules)
  for (const round of rounds(items)) {
    const { ws, decided } = await decide(runtime, rules, round, way, part.fields, held, brakes)
    const commit = await foresee(runtime, ws)
    refused.push(...decided.refused)
    for (const intent of commit.intents ?? []) planned.set(`${intent.personId}\n${intent.connection}`, intent)
    for (const { personId, connection: where } of commit.withdrawn ?? []) planned.delete(`${personId}\n${where}`)
    brakes = { ...brakes, counts: countedWith(brakes.counts, commit.tallies ?? []) }
  }
  const counts = (await runtime.store.counts()).get(connection)
  const before = new Map<string, Baseline>()
  for await (const one of runtime.store.baseline(connection)) before.set(one.recordId, one)
  return {
    connection,
    pause,
    whole: countsOf(rules, cleanUp.items, links),
    part: countsOf(rules, items, links),
    records: items.length,
    samples: samplesOf(items, before),
    way,
    following: await followingOf(runtime, [...planned.values()]),
    deletionsHeld: held,
    refused,
    waiting: (counts?.pending ?? 0) + (counts?.held ?? 0),
    seen: Math.max(0, ...cleanUp.items.map(({ kept }) => kept.mark)),
  }
}

/** What an operator decides about a clean-up. */
export interface CleanUpWish {
  readonly way: CleanUpWay
  readonly part: CleanUpPart
  readonly by: string
  readonly why: string
  /** Only what was heard up to here, as {@link CleanUpPreview.seen}: of what came later nobody has seen a preview. */
  readonly seen?: number
}

export interface CleanUpResolved {
  readonly act: Act
  /** Records decided. */
  readonly decided: number
  readonly refused: CleanUpDecided['refused']
  /** Records that still wait for a decision. */
  readonly left: number
  /** The pause is over, and the queue drains. */
  readonly ended: boolean
}

/**
 * Does with a part of a clean-up what the operator wants, round by round: each round is one commit, in which its records are kept
 * no longer. The pause ends with the last record; whatever dies in between leaves the rest pending, and the pause on.
 *
 * @throws ActRefusedError where there is no such pause
 */
export async function resolveCleanUp(
  runtime: Runtime,
  connection: string,
  wish: CleanUpWish,
): Promise<CleanUpResolved> {
  const cleanUp = await load(runtime, connection)
  const { rules, links } = cleanUp
  const { way, part, by, why, seen = Infinity } = wish
  const items = cleanUp.items.filter(
    (item) => item.kept.mark <= seen && belongs(rules, part, item, links.get(item.kept.recordId)),
  )
  const held = way === 'release' ? await heldDeletions(runtime, connection, items) : null
  const counts = countsOf(rules, items, links)
  const { edited, merged, deleted, created } = counts
  const about = { connection, pause: cleanUp.pause.id, way, edited, merged, deleted, created }
  const act: Act = { id: runtime.newId(), at_ms: runtime.now(), by, why, kind: 'resume', about }
  const refused: CleanUpDecided['refused'][number][] = []
  let decided = 0
  for (const round of rounds(items)) {
    const result = await resolveRound(runtime, rules, cleanUp.pause, round, wish, held, act)
    decided += result.done.length
    refused.push(...result.refused)
  }
  if (items.length === 0) await runtime.store.commit({ act, under: { connection, pause: cleanUp.pause.id } })
  const left = await endPause(runtime, connection, cleanUp.pause)
  return { act, decided, refused, left, ended: left === 0 }
}

/** Ends a pause of which nothing is left to decide. Before anything may be written, everybody who is new is matched. */
async function endPause(runtime: Runtime, connection: string, pause: Pause): Promise<number> {
  const { store, queue } = runtime
  if ((await store.keptCount(connection)) === 0) await settleHousehold(runtime)
  const left = await store.endPause(connection, pause.id)
  if (left === null) throw new ActRefusedError(`${connection} has been resumed by somebody else just now`)
  if (left === 0) {
    await queue.wakePull(connection)
    await queue.wakeDeliver(connection)
  }
  await queue.wakeSettle()
  return left
}

/** Gives up a pause that was never acknowledged: nothing was kept in it. */
export async function cancelPause(runtime: Runtime, connection: string, by: string, why: string): Promise<boolean> {
  const state = (await runtime.store.connections()).find(({ name }) => name === connection)
  if (!state?.pause || state.pause.since_ms !== null) return false
  const act = { id: runtime.newId(), at_ms: runtime.now(), by, why, kind: 'resume', about: { connection } }
  await runtime.store.commit({ act })
  return (await endPause(runtime, connection, state.pause)) === 0
}

async function resolveRound(
  runtime: Runtime,
  rules: ConnectionRules,
  pause: Pause,
  items: readonly CleanUpItem[],
  { way, part }: CleanUpWish,
  held: string | null,
  act: Act,
): Promise<CleanUpDecided> {
  const { store } = runtime
  const ids = items.map(({ kept }) => kept.recordId)
  let round = items
  for (let attempt = 1; ; attempt++) {
    const brakes = await fieldBrakes(runtime, rules)
    const { ws, decided } = await decide(runtime, rules, round, way, part.fields, held, brakes)
    const unkeep = decided.done.map(({ connection, recordId, mark }) => ({ connection, recordId, mark }))
    const commit: Commit = { ...ws.commit(), unkeep, act, under: { connection: rules.name, pause: pause.id } }
    const { kind } = await store.commit(commit)
    if (kind === 'committed') {
      const missing = (commit.links ?? []).some((link) => link.state === 'missing')
      if (missing) await store.saveConnection(rules.name, { held })
      runtime.events.applied(rules.name, round.length, 0, commit.changes ?? [])
      runtime.events.planned(commit.intents ?? [])
      await wakeAfter(runtime, commit, false)
      return decided
    }
    if (attempt >= runtime.limits.mergeAttempts_max) {
      throw new ActRefusedError('the records are changing just now; try again')
    }
    // What was heard anew meanwhile is left for the next look.
    const marks = new Map<string, number>()
    for await (const one of store.kept(rules.name, ids)) marks.set(one.recordId, one.mark)
    round = round.filter(({ kept }) => marks.get(kept.recordId) === kept.mark)
  }
}

async function load(runtime: Runtime, connection: string): Promise<CleanUp> {
  const { store } = runtime
  const rules = runtime.rules.connections.get(connection)
  const pause = (await store.connections()).find(({ name }) => name === connection)?.pause
  if (!pause) throw new ActRefusedError(`${connection} is not in a pause`)
  if (pause.since_ms === null) throw new ActRefusedError(`the pause of ${connection} is not acknowledged yet`)
  if (!rules) throw new ActRefusedError(`${connection} cannot be reached now, so nothing can be decided about it`)
  const kept: Kept[] = []
  for await (const one of store.kept(connection)) kept.push(one)
  const links = new Map<string, Link>()
  for (let start = 0; start < kept.length; start += ROUND) {
    const ids = kept.slice(start, start + ROUND).map(({ recordId }) => recordId)
    for (const link of (await store.loadRecords(connection, ids)).links) {
      if (link.connection === connection) links.set(link.recordId, link)
    }
  }
  return { pause, rules, items: cleanUpItems(kept, (id) => links.get(id)), links }
}

function* rounds(items: readonly CleanUpItem[]): Iterable<CleanUpItem[]> {
  for (let start = 0; start < items.length; start += ROUND) yield items.slice(start, start + ROUND)
}

async function heldDeletions(
  runtime: Runtime,
  connection: string,
  items: readonly CleanUpItem[],
): Promise<string | null> {
  return deletionsHeld(runtime, connection, items.filter(({ kept }) => kept.end?.kind === 'gone').length)
}

/** Decides one round in a workspace of its own. */
async function decide(
  runtime: Runtime,
  rules: ConnectionRules,
  items: readonly CleanUpItem[],
  way: CleanUpWay,
  fields: ReadonlySet<string> | null,
  deletions: string | null,
  brakes: FieldBrakes,
): Promise<{ ws: Workspace; decided: CleanUpDecided }> {
  const { store } = runtime
  const ids = items.flatMap(({ kept }) => [kept.recordId, ...(kept.end?.kind === 'merged' ? [kept.end.into] : [])])
  const records = items.flatMap(({ kept }) => kept.record ?? [])
  const asked = await store.loadRecords(rules.name, [...new Set(ids)])
  const keys = new Map(
    records.map((record) => [record.id, keysOf(rules.lens.get(record.fields), runtime.rules.catalogue)]),
  )
  const holders = await store.keyHolders([...new Set([...keys.values()].flat())])
  const apart = new Apartness(await store.apart(records.map(({ id }) => recordSubject(rules.name, id))))
  const holdersOf = new Map(
    [...keys].map(([id, own]) => {
      const people = holders.filter((holder) => own.includes(holder.key)).flatMap(({ personId }) => personId ?? [])
      const record = recordSubject(rules.name, id)
      return [id, [...new Set(people)].filter((one) => !apart.has(record, personSubject(one)))] as const
    }),
  )
  const others = holders.flatMap(({ personId }) => personId ?? [])
  const hood = await withStanding(store, together(asked, await store.loadPeople([...new Set(others)])))
  const consents = await consentsOf(runtime, hood, rules, records)
  const terms = {
    now_ms: runtime.now(),
    newId: runtime.newId,
    held: await approvalHold(runtime),
    deletionsHeld: deletions,
    barred: await barredAmong(runtime, rules, records),
  }
  let decided: CleanUpDecided = { done: [], refused: [] }
  const ws = decideWithBrakes(brakes, rules, (heldFields) => {
    const workspace = new Workspace(hood, consents)
    decided = decideCleanUp(workspace, runtime.rules, rules, items, way, fields, holdersOf, { ...terms, heldFields })
    return workspace
  })
  return { ws, decided }
}

/** What settling would make of a decision: everybody who is new is matched, and everybody concerned planned. */
async function foresee(runtime: Runtime, ws: Workspace): Promise<Commit> {
  const { store, rules } = runtime
  const staged = (ws.commit().links ?? []).filter((link) => link.state === 'staged')
  const stored = await store.keyHolders([...new Set(staged.flatMap((link) => link.keys))])
  decideMatch(ws, rules, staged, asDecided(stored, ws), await matchTerms(runtime, staged))
  const held = await approvalHold(runtime)
  const terms = { now_ms: runtime.now(), newId: runtime.newId, held, heldFields: new Map<string, string>() }
  for (const id of ws.commit().unplanned ?? []) planPerson(ws, rules, id, terms)
  return ws.commit()
}

/** Who holds a key, once this is decided. */
function asDecided(holders: readonly KeyHolder[], ws: Workspace): KeyHolder[] {
  return holders.flatMap((holder) => {
    const link = ws.link(holder.connection, holder.recordId)
    if (!link) return [holder]
    if (link.state === 'gone' || !link.keys.includes(holder.key)) return []
    return [{ ...holder, personId: link.personId, state: link.state }]
  })
}

function countsOf(
  rules: ConnectionRules,
  items: readonly CleanUpItem[],
  links: ReadonlyMap<string, Link>,
): CleanUpCounts {
  const of = (group: CleanUpGroup): CleanUpItem[] => items.filter((item) => item.group === group)
  const merged = of('merges').flatMap(({ kept }) => (kept.end?.kind === 'merged' ? [kept.end.into] : []))
  const fields: { [field: string]: number } = {}
  for (const { kept } of of('edits')) {
    const shadow = links.get(kept.recordId)?.fields ?? {}
    for (const [field, sources] of rules.lens.sources) {
      const differs = sources.some(
        (name) => JSON.stringify(shadow[name] ?? null) !== JSON.stringify(kept.record?.fields[name] ?? null),
      )
      if (differs) fields[field] = (fields[field] ?? 0) + 1
    }
  }
  return {
    edited: of('edits').length,
    merged: merged.length,
    into: new Set(merged).size,
    deleted: of('deletes').length,
    created: of('creates').length,
    fields,
  }
}

function samplesOf(items: readonly CleanUpItem[], before: ReadonlyMap<string, Baseline>): CleanUpSample[] {
  const samples: CleanUpSample[] = []
  for (const group of ['edits', 'merges', 'deletes', 'creates'] as const) {
    for (const { kept } of items.filter((item) => item.group === group).slice(0, SAMPLES)) {
      samples.push({
        recordId: kept.recordId,
        group,
        before: before.get(kept.recordId)?.fields ?? null,
        after: kept.end ? null : (kept.record?.fields ?? null),
        ...(kept.end?.kind === 'merged' ? { into: kept.end.into } : {}),
      })
    }
  }
  return samples
}

async function followingOf(runtime: Runtime, planned: readonly Intent[]): Promise<Following[]> {
  const following: Following[] = []
  for (const rules of runtime.rules.connections.values()) {
    const intents = planned.filter(({ connection }) => connection === rules.name)
    if (intents.length === 0) continue
    const of = (op: Intent['op']): Intent[] => intents.filter((intent) => intent.op === op)
    const counts = await runtime.store.brakeCounts(rules.name, runtime.now() - rules.brakes.window_ms)
    const fresh = (op: 'create' | 'update' | 'delete'): number =>
      counts.pending[op] + of(op).filter(({ state }) => state === 'pending').length
    const pending = { create: fresh('create'), update: fresh('update'), delete: fresh('delete') }
    const verdicts = judgeWrites({ ...counts, pending }, rules.brakes)
    const reasons = new Set(verdicts.map(({ reason }) => reason))
    const braked = (intent: Intent): boolean => intent.state === 'held' || verdicts.some(({ op }) => op === intent.op)
    for (const { held } of intents) if (held !== undefined) reasons.add(held)
    following.push({
      connection: rules.name,
      creates: of('create').length,
      updates: of('update').length,
      deletes: of('delete').length,
      merges: of('merge').length,
      held: intents.filter(braked).length,
      reasons: [...reasons],
      samples: intents.slice(0, SAMPLES),
    })
  }
  return following
}
