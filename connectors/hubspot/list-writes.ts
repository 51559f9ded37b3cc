import { FailureError, failureFrom, type Failure } from '../../engine/core/failure.ts'
import { isBlank, type Json, type JsonObject } from '../../engine/core/json.ts'
import type { AppRecord, CreateRequest, WriteOutcome, WriteRequest } from '../../engine/core/ports/connector.ts'
import { ACTIVE, inLists, STATIC } from './list-fields.ts'
import type { ContactList, Lists } from './lists.ts'

/**
 * Which lists the contacts of a batch are to be in. Those that no list can be found or made for are refused before anything is written of
 * them, and the others are put into their lists once they are written.
 */
export interface ListPlan {
  readonly wanted: ReadonlyMap<string, readonly ContactList[]>
  readonly failures: ReadonlyMap<string, Failure>
}

type Saying = Extract<WriteRequest, { fields: JsonObject }>

/** Whether a write is about lists. */
export function saysLists(request: WriteRequest): request is Saying {
  return 'fields' in request && (request.fields[STATIC] !== undefined || request.fields[ACTIVE] !== undefined)
}

/** @throws FailureError for what concerns all of them; no contact was touched then */
export async function planLists(
  requests: readonly WriteRequest[],
  lists: Lists,
  signal: AbortSignal | undefined,
): Promise<ListPlan> {
  const names = new Map<string, readonly string[]>()
  const failures = new Map<string, Failure>()
  for (const { ref, fields } of requests.filter(saysLists)) {
    const said = namesIn(fields[STATIC] ?? null)
    if (fields[ACTIVE] !== undefined) failures.set(ref, readOnly())
    else if (said === null) failures.set(ref, malformed())
    else names.set(ref, said)
  }
  const known = await resolve(new Set([...names.values()].flat()), lists, signal)
  const wanted = new Map<string, readonly ContactList[]>()
  for (const [ref, said] of names) {
    const found = said.map((name) => known.get(name))
    const failure = found.map((one) => (one && 'kind' in one ? one : undefined)).find((one) => one !== undefined)
    if (failure) failures.set(ref, failure)
    else
      wanted.set(
        ref,
        found.flatMap((one) => (one && 'id' in one ? [one] : [])),
      )
  }
  return { wanted, failures }
}

/** Each name's static list, made where there is none; or why it cannot be had. */
async function resolve(
  names: ReadonlySet<string>,
  lists: Lists,
  signal: AbortSignal | undefined,
): Promise<Map<string, ContactList | Failure>> {
  const known = new Map<string, ContactList | Failure>()
  if (names.size === 0) return known
  await lists.refresh(signal)
  // Someone may have made it since: that is found out before it is made twice.
  if ([...names].some((name) => lists.named(name) === undefined)) await lists.list(signal)
  for (const name of names) {
    try {
      const list = lists.named(name) ?? (await lists.make(name, signal))
      known.set(name, list.field === ACTIVE ? keptByFilters(list) : list)
    } catch (error) {
      const failure = failureFrom(error)
      if (failure.kind !== 'permanent') throw error
      known.set(name, failure)
    }
  }
  return known
}

/**
 * Puts contacts that were written into their lists, one request for each list that changes. A contact of which a part failed is
 * not written: an update is then sent again as a whole, which does no harm; what a create still lacks, `find` adds.
 */
export async function settleLists(
  requests: readonly WriteRequest[],
  outcomes: readonly WriteOutcome[],
  { wanted }: ListPlan,
  lists: Lists,
  signal: AbortSignal | undefined,
): Promise<WriteOutcome[]> {
  const changes = new Map<string, Change>()
  const failures = new Map<string, Failure>()
  for (const outcome of outcomes) {
    const target = wanted.get(outcome.ref)
    if (outcome.kind !== 'written' || !target) continue
    const has = heldIn(outcome.record)
    const names = new Set(target.map(({ name }) => name))
    const leaves = has.filter((name) => !names.has(name)).map((name) => lists.named(name))
    for (const list of target) if (!has.includes(list.name)) changeOf(changes, list.id).add.push(outcome)
    for (const list of leaves) {
      if (list) changeOf(changes, list.id).remove.push(outcome)
      else failures.set(outcome.ref, outOfDate(lists))
    }
  }
  await send(changes, failures, lists, signal)
  const creates = new Set(requests.filter(({ op }) => op === 'create').map(({ ref }) => ref))
  return outcomes.map((outcome) => {
    const target = wanted.get(outcome.ref)
    if (outcome.kind !== 'written' || !target) return outcome
    const failure = failures.get(outcome.ref)
    const { ref, record } = outcome
    if (failure) return { ref, kind: 'failed', failure: creates.has(ref) ? halfDone(failure) : failure }
    const names = target.map(({ name }) => name)
    return { ref, kind: 'written', record: inLists(record, names, lists.fields) }
  })
}

interface Change {
  readonly add: Done[]
  readonly remove: Done[]
}
type Done = Extract<WriteOutcome, { kind: 'written' }>

async function send(
  changes: ReadonlyMap<string, Change>,
  failures: Map<string, Failure>,
  lists: Lists,
  signal: AbortSignal | undefined,
): Promise<void> {
  let halted: Failure | undefined
  for (const [listId, { add, remove }] of changes) {
    const all = [...add, ...remove]
    try {
      if (halted) throw new FailureError(halted)
      const ids = (done: readonly Done[]): string[] => done.map(({ record }) => record.id)
      const missing = await lists.change(listId, ids(add), ids(remove), signal)
      // A contact of a moment ago may not be known there yet.
      for (const { ref, record } of all) if (missing.has(record.id)) failures.set(ref, notYet())
    } catch (error) {
      const failure = understood(failureFrom(error), listId, lists)
      if (['auth', 'ratelimited'].includes(failure.kind)) halted = failure
      for (const { ref } of all) failures.set(ref, failure)
    }
  }
}

/**
 * A create that was found again, in all its lists by now.
 * @throws FailureError where that did not succeed: then it is asked for once more
 */
export async function completed(
  create: CreateRequest,
  found: readonly AppRecord[],
  lists: Lists,
  signal: AbortSignal | undefined,
): Promise<AppRecord[]> {
  const [record] = found
  if (!lists.isOn || !record || found.length > 1 || isBlank(create.fields[STATIC])) return [...found]
  const { wanted, failures } = await planLists([create], lists, signal)
  const failure = failures.get(create.ref)
  if (failure) throw new FailureError(asAccess(failure))
  const target = (wanted.get(create.ref) ?? []).map(({ name }) => name)
  // What people have added since stays.
  const names = [...new Set([...heldIn(record), ...target])]
  const whole = new Map([[create.ref, names.flatMap((name) => lists.named(name) ?? [])]])
  const outcome: WriteOutcome = { ref: create.ref, kind: 'written', record }
  const plan = { wanted: whole, failures }
  const [settled] = await settleLists([], [outcome], plan, lists, signal)
  if (settled?.kind === 'failed') throw new FailureError(asAccess(settled.failure))
  return settled?.kind === 'written' ? [settled.record] : [...found]
}

/** A permission that is lacking is told as one of the connection, where there is no write to park for it. */
function asAccess(failure: Failure): Failure {
  return failure.code === 'MISSING_SCOPES' ? { ...failure, kind: 'auth' } : failure
}

function changeOf(changes: Map<string, Change>, listId: string): Change {
  const change = changes.get(listId) ?? { add: [], remove: [] }
  changes.set(listId, change)
  return change
}

function heldIn(record: AppRecord): string[] {
  return namesIn(record.fields[STATIC] ?? null) ?? []
}

/** The names in a list of texts, or of `{ value }`; null where it is no such list. */
function namesIn(value: Json): string[] | null {
  if (isBlank(value)) return []
  if (!Array.isArray(value)) return null
  const names = value.map((item) => (isObject(item) ? (item['value'] ?? null) : item))
  if (!names.every((name) => typeof name === 'string')) return null
  return [...new Set(names.map((name) => name.trim()).filter((name) => name !== ''))]
}

function isObject(item: Json): item is JsonObject {
  return typeof item === 'object' && item !== null && !Array.isArray(item)
}

/** The names of lists are people's own words, so that a list is named by its id (I15). */
function understood(failure: Failure, listId: string, lists: Lists): Failure {
  if (failure.kind === 'gone') return outOfDate(lists, listId)
  if (failure.kind !== 'permanent' || failure.code === 'MISSING_SCOPES') return failure
  lists.forget()
  return { ...failure, message: `HubSpot refuses to change the members of the list ${listId}` }
}

function outOfDate(lists: Lists, gone?: string): Failure {
  lists.forget(gone)
  return { kind: 'transient', code: 'LIST-GONE', message: 'A list of the contact was deleted or renamed meanwhile' }
}

function keptByFilters({ id }: ContactList): Failure {
  return {
    kind: 'permanent',
    code: 'LIST-ACTIVE',
    message: `The contact is to be in the list ${id}, which is an active one: HubSpot fills it by its filters`,
    advice: 'Take the tag away, or rename the list in HubSpot or make it a static one; then run: kith parked retry',
  }
}

function halfDone(failure: Failure): Failure {
  return {
    ...failure,
    kind: 'uncertain',
    message: `The contact was created, and may not be in all its lists yet: ${failure.message}`,
  }
}

function notYet(): Failure {
  return { kind: 'transient', code: 'NOT-YET', message: 'The lists of HubSpot do not know the contact yet' }
}

function readOnly(): Failure {
  return {
    kind: 'permanent',
    code: 'READ-ONLY',
    message: `HubSpot refuses the field ${ACTIVE}: it fills active lists itself`,
  }
}

function malformed(): Failure {
  return { kind: 'permanent', code: 'MALFORMED', message: `The field ${STATIC} must be a list of texts` }
}
