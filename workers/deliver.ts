import { judgeWrites } from '../engine/core/brakes.ts'
import type { Consent } from '../engine/core/consent.ts'
import { failureFrom, type Failure } from '../engine/core/failure.ts'
import type { Connector, WriteOutcome, WriteRequest } from '../engine/core/ports/connector.ts'
import type { ConnectionState, Intent, Neighbourhood } from '../engine/core/ports/store.ts'
import type { ConnectionRules } from '../engine/core/rules.ts'
import { bringsAddress, settleIntent, type Answer, type Answered } from '../engine/core/settle.ts'
import { Workspace } from '../engine/core/workspace.ts'
import { wakeAfter } from './apply.ts'
import { consentsOf } from './consents.ts'
import { findOut } from './find-out.ts'
import { lookAgain } from './look-again.ts'
import type { Runtime } from './runtime.ts'

/**
 * Sends what is due in one connection, in the app's own batches, until nothing is: find out about lost answers, look at the
 * brakes, claim, write, settle. Any number of workers may do this at once.
 */
export async function deliver(runtime: Runtime, name: string, signal?: AbortSignal): Promise<void> {
  const connector = runtime.connectors.get(name)
  const rules = runtime.rules.connections.get(name)
  const state = (await runtime.store.connections()).find((item) => item.name === name)
  if (!connector || !rules) return
  // A pause waits for what is under way, and the app may always be asked what became of it.
  if (state?.pause != null && mayRead(state)) return findOutLost(runtime, rules, connector, signal)
  if (!mayWrite(state)) return
  const lanes: Promise<void>[] = []
  // One more for each batch that came back full: for a single edit one lane asks the database once.
  const more = (): void => {
    if (lanes.length < connector.capabilities.writes_concurrent_max) {
      lanes.push(lane(runtime, rules, connector, more, signal))
    }
  }
  more()
  for (let ended = 0; ended < lanes.length;) {
    ended = lanes.length
    await Promise.allSettled(lanes)
  }
  await Promise.all(lanes)
}

/**
 * Only a live connection is written to, and one whose credentials were refused not before they are put right. Nor is one
 * before its first pass came through: whoever is created there may be there already (I4).
 */
export function mayWrite(state: ConnectionState | undefined): boolean {
  return state !== undefined && state.mode === 'live' && state.pause === null && mayRead(state)
}

function mayRead(state: ConnectionState): boolean {
  return state.scanned && state.failure?.kind !== 'auth'
}

/** Finds out about the answers that are lost by now, and writes nothing. */
async function findOutLost(
  runtime: Runtime,
  rules: ConnectionRules,
  connector: Connector,
  signal?: AbortSignal,
): Promise<void> {
  const { writeBatch_max } = connector.capabilities
  while (signal?.aborted !== true) {
    const leaseEnd_ms = runtime.now() + runtime.limits.lease_ms
    const lost = await runtime.store.claimExpired(rules.name, writeBatch_max, runtime.now(), leaseEnd_ms)
    if (lost.length === 0) return
    await settleAll(runtime, rules, await findOut(runtime, rules, connector, lost, signal))
  }
}

/** Holds what the brakes of a connection stop, before anything of it is sent. */
export async function applyBrakes(runtime: Runtime, rules: ConnectionRules): Promise<void> {
  const counts = await runtime.store.brakeCounts(rules.name, runtime.now() - rules.brakes.window_ms)
  for (const { op, reason } of judgeWrites(counts, rules.brakes)) {
    const held = await runtime.store.hold({ connection: rules.name, state: 'pending', op }, reason)
    if (held > 0) runtime.log.warn('brake', { connection: rules.name, op, held, reason })
  }
}

async function lane(
  runtime: Runtime,
  rules: ConnectionRules,
  connector: Connector,
  more: () => void,
  signal?: AbortSignal,
): Promise<void> {
  const { store } = runtime
  const { writeBatch_max } = connector.capabilities
  while (!signal?.aborted) {
    const leaseEnd_ms = runtime.now() + runtime.limits.lease_ms
    const lost = await store.claimExpired(rules.name, writeBatch_max, runtime.now(), leaseEnd_ms)
    if (lost.length > 0) await settleAll(runtime, rules, await findOut(runtime, rules, connector, lost, signal))
    // Before every batch: what was planned while the last one was sent has not met the brakes yet.
    await applyBrakes(runtime, rules)
    const intents = await store.claim(rules.name, writeBatch_max, runtime.now(), leaseEnd_ms)
    if (intents.length === 0) return
    if (intents.length === writeBatch_max) more()
    const { moved, still } = await lookAgain(runtime, rules, connector, intents, signal)
    // A write reaches the app within its lease or never: whoever finds out afterwards, and whoever pauses then, relies on it.
    const left_ms = leaseEnd_ms - runtime.now()
    if (left_ms < runtime.limits.lease_ms / 2) return
    const answers = still.length > 0 ? await send(connector, still, within(left_ms, signal)) : []
    const failure = await settleAll(runtime, rules, [...moved, ...answers])
    await askAgain(runtime, rules, connector, answers, signal)
    if (failure) return stopFor(runtime, rules.name, failure)
  }
}

/**
 * Answers that were lost are found out about at once, where asking again is certain: not a create that must be searched for,
 * since a search may lag behind. That one, and whatever stays unknown, waits until its lease has run out.
 */
async function askAgain(
  runtime: Runtime,
  rules: ConnectionRules,
  connector: Connector,
  answers: Answered,
  signal?: AbortSignal,
): Promise<void> {
  const lost = answers.filter(([, answer]) => answer.kind === 'failed' && answer.failure.kind === 'uncertain')
  const sure = lost.filter(([intent]) => intent.op !== 'create' || connector.capabilities.createKey === 'id')
  if (sure.length === 0) return
  const intents = sure.map(([intent]) => intent)
  await settleAll(runtime, rules, await findOut(runtime, rules, connector, intents, signal))
}

/** A failure of the whole connection ends the lane: waiting is better than meeting it again with every batch. */
async function stopFor(runtime: Runtime, name: string, failure: Failure): Promise<void> {
  runtime.log.failure('delivery stopped', name, failure)
  await runtime.store.saveConnection(name, { failure })
  if (failure.kind !== 'auth') await runtime.queue.wakeDeliver(name, failure.retryAfter_ms ?? 1000)
}

function within(left_ms: number, signal?: AbortSignal): AbortSignal {
  const end = AbortSignal.timeout(left_ms)
  return signal ? AbortSignal.any([signal, end]) : end
}

async function send(connector: Connector, intents: readonly Intent[], signal?: AbortSignal): Promise<Answered> {
  const writes = intents.filter((intent) => intent.op !== 'merge')
  const answers = writes.length > 0 ? await sendBatch(connector, writes, signal) : []
  // One by one, as apps merge.
  const merged: (readonly [Intent, Answer])[] = []
  for (const intent of intents) {
    if (intent.op === 'merge') merged.push([intent, await sendMerge(connector, intent, signal)])
  }
  return [...answers, ...merged]
}

async function sendMerge(connector: Connector, intent: Intent, signal?: AbortSignal): Promise<Answer> {
  const { id: ref, recordId, into } = intent
  if (!connector.merge || recordId === null || into === undefined) {
    return { kind: 'failed', failure: { kind: 'bug', message: 'a merge was planned where the app cannot merge' } }
  }
  try {
    return await connector.merge({ ref, id: recordId, into }, signal)
  } catch (error) {
    return { kind: 'failed', failure: failureFrom(error) }
  }
}

async function sendBatch(connector: Connector, intents: readonly Intent[], signal?: AbortSignal): Promise<Answered> {
  let outcomes: WriteOutcome[]
  try {
    outcomes = await connector.write(intents.map(requestFor), signal)
  } catch (error) {
    const answer: Answer = { kind: 'failed', failure: failureFrom(error) }
    return intents.map((intent) => [intent, answer] as const)
  }
  const byRef = new Map(outcomes.map((outcome) => [outcome.ref, outcome]))
  const silent: Failure = { kind: 'uncertain', message: 'the app gave no answer for this record' }
  return intents.map((intent) => {
    const outcome = byRef.get(intent.id)
    return [intent, outcome ?? { kind: 'failed', failure: silent }] as const
  })
}

export function requestFor(intent: Intent): WriteRequest {
  const { id: ref, fields, rev, archive, erase } = intent
  if (intent.op === 'create' || intent.recordId === null) return { op: 'create', ref, key: ref, fields }
  if (intent.op === 'update') return { op: 'update', ref, id: intent.recordId, rev, fields }
  return { op: 'delete', ref, id: intent.recordId, rev, archive, ...(erase ? { erase } : {}) }
}

const SETTLE_ATTEMPTS_MAX = 50

/**
 * Settles answers in one transaction; when a person or link moved on meanwhile, decides again.
 * @returns the failure that concerns the whole connection, if there was one
 */
export async function settleAll(runtime: Runtime, rules: ConnectionRules, answers: Answered): Promise<Failure | null> {
  if (answers.length === 0) return null
  for (let attempt = 1; ; attempt++) {
    const hood = await loadFor(runtime, rules, answers)
    const ws = new Workspace(hood, await toldOfNews(runtime, rules, hood, answers))
    const settled = answers.map(([intent, answer]) => {
      const settlement = settleIntent(ws, runtime.rules, rules, intent, answer, { now_ms: runtime.now() })
      return { intent, answer, settlement }
    })
    const settlements = settled.map((item) => item.settlement).filter((item) => item !== null)
    const commit = { ...ws.commit(), settlements }
    const result = await runtime.store.commit(commit)
    if (result.kind !== 'committed') {
      // Left unsettled, the answers count as lost, and are found out about when the lease has run out.
      if (attempt >= SETTLE_ATTEMPTS_MAX) {
        throw new Error('answers could not be settled; they are found out about later')
      }
      continue
    }
    for (const { intent, answer, settlement } of settled) runtime.events.settled(intent, answer, settlement)
    await wakeAfter(runtime, commit, false)
    return wholeFailure(answers)
  }
}

/** What the ledger says of records that are new, or have a new address: it was told to nobody who had them. */
async function toldOfNews(
  runtime: Runtime,
  rules: ConnectionRules,
  hood: Neighbourhood,
  answers: Answered,
): Promise<Consent[]> {
  const shadows = new Map(
    hood.links.filter(({ connection }) => connection === rules.name).map(({ recordId, fields }) => [recordId, fields]),
  )
  const news = answers.flatMap(([intent, answer]) => {
    if (answer.kind !== 'written') return []
    const { record } = answer
    const before = shadows.get(record.id) ?? {}
    const sent = { ...record, fields: { ...before, ...intent.fields } }
    return bringsAddress(rules, intent, before) ? [record, sent] : []
  })
  return news.length > 0 ? consentsOf(runtime, hood, rules, news) : []
}

function wholeFailure(answers: Answered): Failure | null {
  for (const [, answer] of answers) {
    if (answer.kind !== 'failed') continue
    const { kind } = answer.failure
    if (kind === 'auth' || kind === 'ratelimited') return answer.failure
  }
  const failed = answers.filter(([, answer]) => answer.kind === 'failed' && answer.failure.kind === 'transient')
  const [first] = failed
  return failed.length === answers.length && first?.[1].kind === 'failed' ? first[1].failure : null
}

async function loadFor(runtime: Runtime, rules: ConnectionRules, answers: Answered): Promise<Neighbourhood> {
  const people = await runtime.store.loadPeople(answers.map(([intent]) => intent.personId))
  const known = new Set(people.links.map((link) => `${link.connection}\n${link.recordId}`))
  // Records that are new, or that a merge has given to somebody else meanwhile.
  const others = answers
    .flatMap(([intent, answer]) => [
      answer.kind === 'written' ? answer.record.id : intent.recordId,
      intent.into ?? null,
    ])
    .filter((id) => id !== null && !known.has(`${rules.name}\n${id}`))
  if (others.length === 0) return people
  const records = await runtime.store.loadRecords(rules.name, others as string[])
  const strangers = records.links.filter((link) => !known.has(`${link.connection}\n${link.recordId}`))
  return { ...people, links: [...people.links, ...strangers] }
}
