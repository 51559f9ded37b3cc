import { createHash } from 'node:crypto'
import { z } from 'zod'
import { believeDeletion } from '../engine/core/apply.ts'
import { DUPLICATE } from '../engine/core/people.ts'
import { planPerson } from '../engine/core/plan.ts'
import type { Intent, Link } from '../engine/core/ports/store.ts'
import { STANDARD_HOLD } from '../engine/core/standard.ts'
import { Workspace } from '../engine/core/workspace.ts'
import { record } from './acts.ts'
import { wakeAfter } from './apply.ts'
import type { Household } from './household.ts'
import { consentsFor } from './consents.ts'
import { newId } from './new-id.ts'
import { APPROVED, approvalHold, type Runtime } from './runtime.ts'

/** The fact under which the store keeps which config the last whole plan was made with, and when it was whole. */
const PLANNED = 'plan'

const planSchema = z.object({ fingerprint: z.string(), at_ms: z.number() })

/** Why a write waits for an approval. */
const HOLD = 'approval'

/** How many deletions are believed in one commit. */
const ROUND = 100

/**
 * Brings the approval in line with the config's word for it: where every sync waits (`always`), an approval given once does
 * not hold on.
 */
export async function prepareApproval({ config, store }: Household): Promise<void> {
  if (config.approval === 'always' && (await store.getFact(APPROVED)) !== null) await store.setFact(APPROVED, null)
}

/** Remembers that the plan in the store is whole, and was made with the present config. */
export async function markPlanned({ store, fingerprint }: Household): Promise<void> {
  await store.setFact(PLANNED, { fingerprint, at_ms: Date.now() })
}

/**
 * Whether the plan in the store was made with the present config (`none`: there is no plan yet), and when it was whole.
 */
export async function planStanding({
  store,
  fingerprint,
}: Household): Promise<{ readonly standing: 'none' | 'other' | 'present'; readonly at_ms: number | null }> {
  const plan = planSchema.safeParse(await store.getFact(PLANNED)).data
  if (plan === undefined) return { standing: 'none', at_ms: null }
  return { standing: plan.fingerprint === fingerprint ? 'present' : 'other', at_ms: plan.at_ms }
}

export async function isApproved({ store, fingerprint }: Household): Promise<boolean> {
  return (await store.getFact(APPROVED)) === fingerprint
}

/** Who approves, and why. */
export interface Approver {
  readonly by: string
  readonly why: string
}

/** What an approval would release, at this moment. */
export interface Approvable {
  readonly writes: number
  /** Tells this plan from any other: with another config, or another write in it, it is another one. */
  readonly fingerprint: string
}

export async function approvable(household: Household): Promise<Approvable> {
  const { store, fingerprint } = household
  const hash = createHash('sha256').update(fingerprint)
  let writes = 0
  for await (const { id, held } of store.intents({ state: 'held', ...(await upTo(household)) })) {
    if (held !== HOLD) continue
    writes++
    hash.update(`\n${id}`)
  }
  return { writes, fingerprint: hash.digest('hex') }
}

/** What a daemon has planned since waits on: nobody has seen it. With `auto` nobody looks, so everything goes. */
async function upTo({ config, store }: Household): Promise<{ plannedUntil_ms?: number }> {
  const plan = planSchema.safeParse(await store.getFact(PLANNED)).data
  return plan && config.approval !== 'auto' ? { plannedUntil_ms: plan.at_ms } : {}
}

/**
 * Releases exactly what the last whole plan held for approval, and (unless the config asks every time) approves the config
 * with it.
 *
 * @param approver whose act it is; null where nobody was asked
 * @returns how many writes were released
 */
export async function approvePlan(household: Household, approver: Approver | null = null): Promise<number> {
  const { config, store, fingerprint } = household
  const until = await upTo(household)
  // Recorded first: whoever dies in between is asked once more, and nothing goes out that nobody has answered for.
  if (approver) {
    const { writes } = await approvable(household)
    await record({ store, now: Date.now, newId }, { ...approver, kind: 'approve', about: { writes } })
  }
  // First the writes, then the config: the other way round they would be held for good.
  const released = await store.release(until, HOLD)
  if (config.approval === 'always') return released
  await store.setFact(APPROVED, fingerprint)
  return released + (await store.release(until, HOLD))
}

/** How many writes wait for `kith approve`, those that were planned since the last whole plan among them. */
export async function waitingForApproval({ store }: Pick<Household, 'store'>): Promise<number> {
  const counts = await store.counts()
  if ([...counts.values()].every((item) => item.held === 0)) return 0
  let waiting = 0
  for await (const { held } of store.intents({ state: 'held' })) if (!isBrake(held) && held !== DUPLICATE) waiting++
  return waiting
}

/** What the brakes hold in one connection, for one reason. */
export interface BrakeHold {
  readonly connection: string
  /** The brake's sentence. */
  readonly reason: string
  readonly what: Intent['op'] | 'deletions'
  readonly count: number
}

/** Everything that brakes hold: writes, and deletions that were heard and not believed. */
export async function brakeHolds({ store }: Pick<Household, 'store'>, connection?: string): Promise<BrakeHold[]> {
  const found = new Map<string, BrakeHold>()
  const add = (at: string, reason: string, what: BrakeHold['what']): void => {
    const key = `${at}\n${reason}\n${what}`
    found.set(key, { connection: at, reason, what, count: (found.get(key)?.count ?? 0) + 1 })
  }
  const only = connection === undefined ? {} : { connection }
  for await (const intent of store.intents({ ...only, state: 'held' })) {
    if (isBrake(intent.held)) add(intent.connection, intent.held ?? '', intent.op)
  }
  for await (const link of store.links({ ...only, state: 'missing' })) {
    add(link.connection, link.reason ?? 'brake: deletions', 'deletions')
  }
  return [...found.values()]
}

/** Whether a write waits for a brake, or for the data standard: either way an operator lets it go. */
export function isBrake(held: string | undefined): boolean {
  return held !== undefined && (held.startsWith('brake:') || held.startsWith(STANDARD_HOLD))
}

/**
 * Lets go what the brakes hold, as named by {@link brakeHolds}: releases the writes, and believes the deletions. What the
 * deletions lead to elsewhere is planned, and meets the brakes there: nobody has seen that yet.
 *
 * @param runtime of a connected household
 * @param approver whose act it is; null where it is a part of another act
 * @returns how many writes were released and how many deletions believed
 */
export async function releaseBrakes(
  runtime: Runtime,
  holds: readonly BrakeHold[],
  approver: Approver | null = null,
): Promise<number> {
  if (approver) {
    const held = holds.map(({ connection, what, count }) => ({ connection, what, count }))
    await record(runtime, { ...approver, kind: 'release', about: { held } })
  }
  let released = 0
  for (const { connection, reason, what } of holds) {
    if (what === 'deletions') continue
    released += await runtime.store.release({ connection, op: what }, reason)
    await runtime.queue.wakeDeliver(connection)
  }
  const connections = new Set(holds.filter((hold) => hold.what === 'deletions').map((hold) => hold.connection))
  for (const connection of connections) released += await believeMissing(runtime, connection)
  return released
}

async function believeMissing(runtime: Runtime, connection: string): Promise<number> {
  const ids: string[] = []
  for await (const link of runtime.store.links({ connection, state: 'missing' })) ids.push(link.recordId)
  let believed = 0
  for (let start = 0; start < ids.length; start += ROUND) {
    believed += await believeRound(runtime, connection, ids.slice(start, start + ROUND))
  }
  await runtime.store.saveConnection(connection, { held: null })
  return believed
}

async function believeRound(runtime: Runtime, connection: string, ids: readonly string[]): Promise<number> {
  const rules = runtime.rules.connections.get(connection)
  if (!rules) return 0
  for (let attempt = 1; ; attempt++) {
    const hood = await runtime.store.loadRecords(connection, ids)
    const ws = new Workspace(hood, await consentsFor(runtime, hood))
    const missing = ids
      .map((id) => ws.link(connection, id))
      .filter((link): link is Link => link?.state === 'missing' && link.personId !== null)
    const now_ms = runtime.now()
    for (const link of missing) believeDeletion(ws, rules, link, now_ms)
    const held = await approvalHold(runtime)
    const terms = { now_ms, newId: runtime.newId, held, heldFields: new Map<string, string>() }
    for (const personId of ws.touchedPeople) planPerson(ws, runtime.rules, personId, terms)
    const commit = ws.commit()
    if ((await runtime.store.commit(commit)).kind === 'committed') {
      runtime.events.planned(commit.intents ?? [])
      await wakeAfter(runtime, commit, false)
      return missing.length
    }
    if (attempt >= runtime.limits.mergeAttempts_max) throw new Error('the records are changing just now; try again')
  }
}
