import {
  foldRecord,
  keepPerson,
  linkRecord,
  resolveConflict,
  setCells,
  settleCell,
  tellApart,
  unfold,
  type Act,
  type Actor,
} from '../engine/core/act.ts'
import { personSubject } from '../engine/core/apart.ts'
import { fieldOf, type FieldDef } from '../engine/core/catalogue.ts'
import type { Json, JsonObject } from '../engine/core/json.ts'
import { DUPLICATE } from '../engine/core/people.ts'
import type { Intent, Neighbourhood } from '../engine/core/ports/store.ts'
import type { Workspace } from '../engine/core/workspace.ts'
import { ActRefusedError, perform, record } from './acts.ts'
import { brakeHolds, releaseBrakes } from './approve.ts'
import { mergeTwo } from './merge.ts'
import type { ReviewItem } from './review-items.ts'
import type { Runtime } from './runtime.ts'
import { together, withStanding } from './standing.ts'

/** What an operator chose, who they are, and why. */
export interface Decision {
  /** One of the item's choices. */
  readonly choose: string
  /** For `link` and `merge` where there are several people: which. */
  readonly person?: string
  /** For `value`. */
  readonly value?: string
  readonly by: string
  readonly why: string
}

/** What an item's choice means, in words. */
export const CHOICES: { readonly [choice: string]: string } = {
  ours: 'the value that stands is right; the other app is corrected',
  theirs: 'the other value is right, everywhere',
  value: 'another value is right, everywhere',
  link: 'the record is this person',
  new: 'the record is a person of their own',
  merge: 'the two are one: their values become one person, the second record is to go away',
  apart: 'these are different, and are never taken for one again',
  approve: 'let it happen',
  keep: 'nobody is deleted: the person stays where they still are',
}

/**
 * Decides one item, by the one way in. What follows in the apps is planned and delivered like anything else.
 *
 * @param runtime of a connected household
 * @throws ActRefusedError when it cannot be done: it is not waiting any more, or the choice does not fit
 */
export async function decideItem(runtime: Runtime, item: ReviewItem, decision: Decision): Promise<Act> {
  const { choose } = decision
  if (!item.choices.includes(choose)) {
    throw new ActRefusedError(`"${choose}" is no choice here; choose ${item.choices.join(', ')}`)
  }
  switch (item.kind) {
    case 'conflict':
      return decideConflict(runtime, item, decision)
    case 'match':
    case 'second':
      return decideRecord(runtime, item, decision)
    case 'duplicate':
      return decidePair(runtime, item, decision)
    case 'ending':
      return choose === 'approve'
        ? releaseHeld(runtime, item, decision, DUPLICATE)
        : undoEnding(runtime, item, decision)
    case 'delete':
      return choose === 'approve' ? releaseHeld(runtime, item, decision) : keepDeleted(runtime, item, decision)
    case 'deletions':
      return believe(runtime, item, decision)
    case 'incomplete':
      return releaseHeld(runtime, item, decision)
    case 'flip':
      return choose === 'approve' ? releaseHeld(runtime, item, decision) : settleFlip(runtime, item, decision)
  }
}

/** What an act was about: ids and names of fields, no values. */
function about(item: ReviewItem, decision: Decision, more: JsonObject = {}): JsonObject {
  return {
    item: item.id,
    kind: item.kind,
    choose: decision.choose,
    ...(item.connection === undefined ? {} : { connection: item.connection }),
    ...(item.recordId === undefined ? {} : { record: item.recordId }),
    ...(item.cell === undefined ? {} : { field: fieldOf(item.cell) }),
    people: item.people.map(({ id }) => id),
    ...more,
  }
}

async function act(
  runtime: Runtime,
  item: ReviewItem,
  decision: Decision,
  kind: string,
  load: () => Promise<Neighbourhood>,
  decide: (ws: Workspace, actor: Actor) => string | null,
): Promise<Act> {
  const { by, why } = decision
  return (await perform(runtime, { by, why, kind, about: about(item, decision) }, load, decide)).act
}

function personOf(item: ReviewItem): string {
  const [person] = item.people
  if (!person) throw new ActRefusedError('nobody is named')
  return person.id
}

function decideConflict(runtime: Runtime, item: ReviewItem, decision: Decision): Promise<Act> {
  const { choose } = decision
  const personId = personOf(item)
  const { cell, connection } = item as Required<Pick<ReviewItem, 'cell' | 'connection'>>
  const load = (): Promise<Neighbourhood> => runtime.store.loadPeople([personId])
  return act(runtime, item, decision, 'resolve', load, (ws, actor) => {
    if (!ws.conflict(personId, connection, cell)) return GONE
    if (choose === 'ours' || choose === 'theirs') {
      return resolveConflict(ws, runtime.rules, { personId, connection, cell }, choose, actor) ? null : GONE
    }
    setCells(ws, runtime.rules, personId, { [cell]: valueOf(runtime, item, decision) }, actor)
    return null
  })
}

/** A value that was typed, as its field keeps it. */
function valueOf({ rules }: Runtime, { cell = '' }: ReviewItem, { value }: Decision): Json {
  const field: FieldDef = rules.catalogue.field(fieldOf(cell))
  if (value === undefined) throw new ActRefusedError('name the value')
  if (value.trim() === '') return null
  if (field.set || field.type === 'address') {
    throw new ActRefusedError(`${field.name} is no single text: choose ours or theirs, or write it into an app`)
  }
  if (field.type === 'number' && !Number.isFinite(Number(value))) {
    throw new ActRefusedError(`${field.name} is a number`)
  }
  return field.type === 'number' ? Number(value) : field.type === 'boolean' ? value === 'true' : value
}

function decideRecord(runtime: Runtime, item: ReviewItem, decision: Decision): Promise<Act> {
  const { store, rules, newId } = runtime
  const { connection: name, recordId } = item as Required<Pick<ReviewItem, 'connection' | 'recordId'>>
  const connection = rules.connections.get(name)
  if (!connection) throw new ActRefusedError(`${name} does not answer just now`)
  const chosen =
    decision.choose === 'link' || decision.choose === 'merge' ? chosenPerson(item, decision.person) : undefined
  const load = async (): Promise<Neighbourhood> => {
    const people = [...item.people.map(({ id }) => id), ...(chosen === undefined ? [] : [chosen])]
    return withStanding(
      store,
      together(await store.loadRecords(name, [recordId]), await store.loadPeople([...new Set(people)])),
    )
  }
  const kind = { link: 'link', new: 'link', merge: 'merge', apart: 'apart' }[decision.choose] ?? 'link'
  return act(runtime, item, decision, kind, load, (ws, actor) => {
    switch (decision.choose) {
      case 'link':
        return linkRecord(ws, rules, connection, recordId, chosen as string, actor)
      case 'merge':
        return foldRecord(ws, rules, connection, recordId, chosen as string, newId(), actor)
      case 'apart':
        return tellApart(ws, connection, recordId)
      default:
        return linkRecord(ws, rules, connection, recordId, newId(), actor)
    }
  })
}

function chosenPerson(item: ReviewItem, wanted: string | undefined): string {
  if (wanted !== undefined) return wanted
  const [only, ...others] = item.people
  if (!only || others.length > 0) throw new ActRefusedError('it may be several people: say which')
  return only.id
}

async function decidePair(runtime: Runtime, item: ReviewItem, decision: Decision): Promise<Act> {
  const [a, b] = item.people.map(({ id }) => id) as [string, string]
  if (decision.choose === 'merge') {
    const winner = decision.person ?? a
    if (winner !== a && winner !== b) throw new ActRefusedError('the one who stands is one of the two')
    const { by, why } = decision
    return mergeTwo(runtime, { winner, loser: winner === a ? b : a, keep: {} }, { by, why, about: { item: item.id } })
  }
  return act(
    runtime,
    item,
    decision,
    'apart',
    () => runtime.store.loadPeople([a, b]),
    (ws) => {
      ws.keepApart(personSubject(a), personSubject(b))
      return null
    },
  )
}

/** Lets one held write go. Who did it is recorded first: whoever dies in between lets it go again. */
async function releaseHeld(
  runtime: Runtime,
  item: ReviewItem,
  decision: Decision,
  reason = item.intent?.held,
): Promise<Act> {
  const { store } = runtime
  const { connection, personId, op } = item.intent as Intent
  const { by, why } = decision
  if (!(await isHeld(runtime, item.intent as Intent, reason))) throw new ActRefusedError(GONE)
  const done = await record(runtime, { by, why, kind: 'approve', about: about(item, decision) })
  await store.release({ connection, personId, op }, reason)
  await runtime.queue.wakeDeliver(connection)
  return done
}

async function isHeld({ store }: Runtime, { connection, personId, op }: Intent, reason?: string): Promise<boolean> {
  for await (const intent of store.intents({ connection, personId, op, state: 'held' })) {
    if (intent.held === reason) return true
  }
  return false
}

function undoEnding(runtime: Runtime, item: ReviewItem, decision: Decision): Promise<Act> {
  const { store, rules } = runtime
  const { connection: name, recordId } = item as Required<Pick<ReviewItem, 'connection' | 'recordId'>>
  const connection = rules.connections.get(name)
  if (!connection) throw new ActRefusedError(`${name} does not answer just now`)
  const load = async (): Promise<Neighbourhood> => withStanding(store, await store.loadRecords(name, [recordId]))
  return act(runtime, item, decision, 'apart', load, (ws) => unfold(ws, connection, recordId))
}

function keepDeleted(runtime: Runtime, item: ReviewItem, decision: Decision): Promise<Act> {
  const personId = personOf(item)
  return act(
    runtime,
    item,
    decision,
    'keep',
    () => runtime.store.loadPeople([personId]),
    (ws) => keepPerson(ws, personId),
  )
}

function settleFlip(runtime: Runtime, item: ReviewItem, decision: Decision): Promise<Act> {
  const personId = personOf(item)
  const { cell = '' } = item
  return act(
    runtime,
    item,
    decision,
    'resolve',
    () => runtime.store.loadPeople([personId]),
    (ws, actor) => {
      const current = ws.person(personId)?.cells[cell]
      if (!current?.flips) return GONE
      const { choose } = decision
      const value =
        choose === 'ours'
          ? current.value
          : choose === 'theirs'
            ? current.flips.before
            : valueOf(runtime, item, decision)
      settleCell(ws, runtime.rules, personId, cell, value, actor)
      return null
    },
  )
}

async function believe(runtime: Runtime, item: ReviewItem, decision: Decision): Promise<Act> {
  const holds = (await brakeHolds(runtime, item.connection)).filter((hold) => hold.what === 'deletions')
  if (holds.length === 0) throw new ActRefusedError(GONE)
  const { by, why } = decision
  const done = await record(runtime, { by, why, kind: 'approve', about: about(item, decision) })
  await releaseBrakes(runtime, holds)
  return done
}

const GONE = 'it does not wait for a decision any more'
