import { sameFields } from '../engine/core/diff.ts'
import { isKnownAsErased, namedOrNot } from '../engine/core/erasure.ts'
import { failureFrom, type Failure } from '../engine/core/failure.ts'
import { keysOf } from '../engine/core/identity.ts'
import type { Connector, ReadAnswer } from '../engine/core/ports/connector.ts'
import { standing } from '../engine/core/people.ts'
import type { Intent, Link } from '../engine/core/ports/store.ts'
import type { Answered } from '../engine/core/settle.ts'
import type { ConnectionRules } from '../engine/core/rules.ts'
import { Workspace } from '../engine/core/workspace.ts'
import type { Runtime } from './runtime.ts'
import { withStanding } from './standing.ts'
import { takenAway, UNDO_DELETES } from './undo.ts'

/**
 * The last look before something is written. Nobody is created who is there already; and where an app has no preconditions, the records are read once more just before they are written: an edit that Kith has not
 * heard yet is then heard first, instead of being overwritten unseen. What is left of the race is the time of one request.
 *
 * @returns the intents that may be sent, and the answers for those whose records have moved on
 */
export async function lookAgain(
  runtime: Runtime,
  rules: ConnectionRules,
  connector: Connector,
  intents: readonly Intent[],
  signal?: AbortSignal,
): Promise<{ moved: Answered; still: readonly Intent[] }> {
  const { twice, rest } = await alreadyThere(runtime, rules, intents)
  const { refused, others } = await refuseErased(runtime, rules, rest)
  const waiting = new Set(await takenAway(runtime.store, others))
  const held = [...waiting].map((intent) => [intent, { kind: 'held', reason: UNDO_DELETES }] as const)
  const free = others.filter((intent) => !waiting.has(intent))
  const seconds = await stillSecond(runtime, rules, connector, free, signal)
  const moved = [...twice, ...refused, ...held, ...seconds.moved]
  if (connector.capabilities.precondition) return { moved, still: seconds.still }
  const again = await compare(runtime, rules, connector, seconds.still, signal)
  return { moved: [...moved, ...again.moved], still: again.still }
}

/** A create that was planned before another one was known to be on its way: the person has a record by now. */
async function alreadyThere(
  runtime: Runtime,
  rules: ConnectionRules,
  intents: readonly Intent[],
): Promise<{ twice: Answered; rest: readonly Intent[] }> {
  const creates = intents.filter((intent) => intent.op === 'create')
  if (creates.length === 0) return { twice: [], rest: intents }
  const hood = await runtime.store.loadPeople(creates.map((intent) => intent.personId))
  const here = new Set(
    hood.links.filter((link) => link.connection === rules.name && link.state !== 'gone').map((link) => link.personId),
  )
  const isTwice = (intent: Intent): boolean => intent.op === 'create' && here.has(intent.personId)
  const twice = intents.filter(isTwice).map((intent) => [intent, { kind: 'overtaken' }] as const)
  return { twice, rest: intents.filter((intent) => !isTwice(intent)) }
}

/**
 * Nobody is created by whom an app would know none but somebody erased (I7): a human elsewhere may have given their address to
 * a person who has no other. What humans write there is theirs, and goes no further.
 */
async function refuseErased(
  { store, rules: { catalogue } }: Runtime,
  { lens }: ConnectionRules,
  intents: readonly Intent[],
): Promise<{ refused: Answered; others: readonly Intent[] }> {
  const creates = intents
    .filter(({ op }) => op === 'create')
    .map((intent) => ({ intent, cells: lens.get(intent.fields) }))
  const known = creates.map(({ intent, cells }) => ({ intent, cells, keys: keysOf(cells, catalogue) }))
  const barred = await store.barred(known.flatMap(({ keys, cells }) => namedOrNot(keys, cells)))
  const erased = new Set(
    known.flatMap(({ intent, cells, keys }) => (isKnownAsErased(keys, cells, barred) ? intent : [])),
  )
  return {
    refused: [...erased].map((intent) => [intent, { kind: 'failed', failure: ALL_BARRED }] as const),
    others: intents.filter((intent) => !erased.has(intent)),
  }
}

const ALL_BARRED: Failure = {
  kind: 'permanent',
  message: 'everything that this person would be known by there is barred: it was somebody’s who was erased',
  advice: 'If it is somebody else, give them an address of their own, or lift the erasure; then run: kith parked retry',
}

/**
 * A second record goes away only while everything still is as an operator saw it: the record says what was heard of it, and the
 * person has another one there, which the app itself shows (I5). Asked of the app whatever preconditions it has.
 */
async function stillSecond(
  runtime: Runtime,
  rules: ConnectionRules,
  connector: Connector,
  intents: readonly Intent[],
  signal?: AbortSignal,
): Promise<{ moved: Answered; still: readonly Intent[] }> {
  const ending = intents.filter((intent) => intent.op === 'delete' || intent.op === 'merge')
  if (ending.length === 0) return { moved: [], still: intents }
  const { store } = runtime
  const hood = await withStanding(store, await store.loadPeople(ending.map((intent) => intent.personId)))
  const ws = new Workspace(hood)
  const asked = ending.filter(
    (intent) => intent.op === 'merge' || ws.link(rules.name, intent.recordId ?? '')?.state === 'second',
  )
  if (asked.length === 0) return { moved: [], still: intents }
  const mains = new Map(asked.map((intent) => [intent.id, mainOf(ws, rules, intent)]))
  const ids = asked.flatMap((intent) => [intent.recordId as string, mains.get(intent.id)?.recordId ?? []].flat())
  let answers: Map<string, ReadAnswer>
  try {
    answers = await readAll(connector, ids, signal)
  } catch (error) {
    const failure = failureFrom(error)
    const failed = asked.map((intent) => [intent, { kind: 'failed', failure }] as const)
    return { moved: failed, still: intents.filter((intent) => !asked.includes(intent)) }
  }
  const isThere = (link: Link | undefined): boolean => {
    const answer = link && answers.get(link.recordId)
    return answer?.kind === 'record' && sameFields(rules.lens, answer.record.fields, (link as Link).fields)
  }
  const stands = (intent: Intent): boolean => {
    const second = ws.link(rules.name, intent.recordId as string)
    const main = mains.get(intent.id)
    if (second?.state !== 'second' || !isThere(second)) return false
    if (main === undefined) return ended(ws, second)
    return answers.get(main.recordId)?.kind === 'record' && (intent.op === 'delete' || intent.into === main.recordId)
  }
  const gone = new Set(asked.filter((intent) => !stands(intent)))
  return {
    moved: [...gone].map((intent) => [intent, { kind: 'overtaken' }] as const),
    still: intents.filter((intent) => !gone.has(intent)),
  }
}

/** The record that stands for the person whose second record goes away; undefined where there is none. */
function mainOf(ws: Workspace, rules: ConnectionRules, intent: Intent): Link | undefined {
  const second = ws.link(rules.name, intent.recordId ?? '')
  const winner = standing(ws, second?.candidates?.[0] ?? intent.personId)
  const main = winner && ws.linkIn(winner.id, rules.name)
  return main?.state === 'linked' && main.recordId !== intent.recordId ? main : undefined
}

/** Whoever was deleted elsewhere leaves no second record behind. */
function ended(ws: Workspace, second: Link): boolean {
  const state = standing(ws, second.candidates?.[0] ?? '')?.state
  return state === 'deleted' || state === 'archived'
}

async function readAll(
  connector: Connector,
  ids: readonly string[],
  signal?: AbortSignal,
): Promise<Map<string, ReadAnswer>> {
  const answers = new Map<string, ReadAnswer>()
  const max = connector.capabilities.readBatch_max
  const wanted = [...new Set(ids)]
  for (let start = 0; start < wanted.length; start += max) {
    for (const answer of await connector.read(wanted.slice(start, start + max), signal))
      answers.set(idOf(answer), answer)
  }
  return answers
}

async function compare(
  runtime: Runtime,
  rules: ConnectionRules,
  connector: Connector,
  intents: readonly Intent[],
  signal?: AbortSignal,
): Promise<{ moved: Answered; still: readonly Intent[] }> {
  const over = intents.filter((intent) => intent.recordId !== null && intent.op !== 'merge')
  if (over.length === 0) return { moved: [], still: intents }
  const ids = over.map((intent) => intent.recordId as string)
  const hood = await runtime.store.loadRecords(rules.name, ids)
  const shadows = new Map(
    hood.links.filter((link) => link.connection === rules.name).map((link) => [link.recordId, link.fields]),
  )
  let answers: Map<string, ReadAnswer>
  try {
    answers = await readAll(connector, ids, signal)
  } catch (error) {
    const failure = failureFrom(error)
    const moved = intents.map((intent) => [intent, { kind: 'failed', failure }] as const)
    return { moved, still: [] }
  }
  const stands = (intent: Intent): boolean => {
    if (intent.recordId === null || intent.op === 'merge') return true
    const answer = answers.get(intent.recordId)
    // Whoever is erased goes whatever they say by now; only what they say about consent is to be heard before.
    if (intent.erase && answer?.kind !== 'record') return true
    const shadow = shadows.get(intent.recordId)
    return answer?.kind === 'record' && shadow !== undefined && sameFields(rules.lens, answer.record.fields, shadow)
  }
  const moved = intents.filter((intent) => !stands(intent)).map((intent) => [intent, { kind: 'overtaken' }] as const)
  return { moved, still: intents.filter(stands) }
}

function idOf(answer: ReadAnswer): string {
  return answer.kind === 'record' ? answer.record.id : answer.id
}
