import type { Actor } from '../engine/core/act.ts'
import { planPerson } from '../engine/core/plan.ts'
import type { Person } from '../engine/core/person.ts'
import type { Intent, Neighbourhood } from '../engine/core/ports/store.ts'
import {
  compareWithPast,
  pastKeys,
  restorePerson,
  type Past,
  type PersonBack,
  type RestoreBatch,
  type RestoreTerms,
} from '../engine/core/restore-act.ts'
import { Workspace } from '../engine/core/workspace.ts'
import { ActRefusedError, perform } from './acts.ts'
import { consentsFor } from './consents.ts'
import type { Runtime } from './runtime.ts'
import { together, withStanding } from './standing.ts'

/**
 * Why the writes of a restore wait: as a brake's do, so that they go on waiting however often these people are planned anew,
 * until an operator says: kith approve <connection>.
 */
export const BROUGHT_BACK = 'brake: brought back from a backup'

/** What of one connection's records is to be what it was. */
export interface BringBackWish {
  readonly connection: string
  /** Only these canonical fields; null: all of them. */
  readonly fields: ReadonlySet<string> | null
  /** Also what others than the connection itself have changed since. */
  readonly overEdits: boolean
}

/** One person's part, and what would be written for them, where. */
export interface Preview {
  readonly name: Person
  readonly part: PersonBack
  readonly writes: readonly Intent[]
}

/**
 * What bringing records back would do, person by person, and what it would leave; nothing is changed. What differs by what has
 * not been read yet is not in it: read first.
 *
 * @param batches everybody who had a record in the connection then; each batch is decided in one commit
 * @throws ActRefusedError where the connection cannot be restored to
 */
export async function* previewBringBack(
  runtime: Runtime,
  wish: BringBackWish,
  batches: AsyncIterable<readonly Past[]>,
): AsyncIterable<Preview> {
  const terms = termsOf(runtime, wish)
  for await (const batch of batches) {
    const { hood, barred } = await load(runtime, terms, batch)
    const ws = new Workspace(hood, await consentsFor(runtime, hood))
    const actor: Actor = { at_ms: runtime.now(), by: 'preview' }
    const all = { ...terms, barred }
    const parts = batch.map((past) => ({ past, part: restorePerson(ws, runtime.rules, past, all, actor) }))
    const plan = {
      now_ms: actor.at_ms,
      newId: runtime.newId,
      held: BROUGHT_BACK,
      heldFields: new Map<string, string>(),
    }
    for (const id of ws.touchedPeople) planPerson(ws, runtime.rules, id, plan)
    const writes = Map.groupBy(ws.commit().intents ?? [], (intent) => intent.personId)
    for (const { past, part } of parts) {
      if (isQuiet(part)) continue
      yield { name: past.person, part, writes: writes.get(part.personId) ?? [] }
    }
  }
}

export interface BroughtBack {
  /** The act that all of it is recorded under. */
  readonly act: string
  readonly people: number
  readonly values: number
  readonly created: number
  readonly left: number
}

/**
 * Does it, as an act of an operator's: the people's values become what they were, and what is to be written for that in any
 * app waits for `kith approve`. In commits of some people each; doing it once more goes on where it was ended.
 *
 * @param at_ms the moment that is brought back
 * @throws ActRefusedError
 */
export async function bringBack(
  runtime: Runtime,
  wish: BringBackWish,
  { at_ms, batches }: { readonly at_ms: number; readonly batches: AsyncIterable<readonly Past[]> },
  { by, why }: { readonly by: string; readonly why: string },
  signal?: AbortSignal,
): Promise<BroughtBack> {
  const terms = termsOf(runtime, wish)
  const act = runtime.newId()
  const about = { connection: wish.connection, backup: new Date(at_ms).toISOString() }
  const sum = { act, people: 0, values: 0, created: 0, left: 0 }
  for await (const batch of batches) {
    signal?.throwIfAborted()
    const now = await load(runtime, terms, batch)
    const before = new Workspace(now.hood)
    const concerned = batch.filter((past) => {
      const part = compareWithPast(before, runtime.rules, past, { ...terms, barred: now.barred })
      sum.left += part.left.length + part.erased + (part.reason === undefined ? 0 : 1)
      return part.back.length > 0 || part.again.length > 0
    })
    if (concerned.length === 0) continue
    let parts: PersonBack[] = []
    let barred: RestoreBatch['barred'] = now.barred
    await perform(
      runtime,
      { by, why, kind: 'restore', about },
      async () => {
        const loaded = await load(runtime, terms, concerned)
        barred = loaded.barred
        return loaded.hood
      },
      (ws, actor) => {
        parts = concerned.map((past) => restorePerson(ws, runtime.rules, past, { ...terms, barred }, actor))
        return null
      },
      [],
      { id: act, held: BROUGHT_BACK },
    )
    const done = parts.filter((part) => part.back.length > 0 || part.again.length > 0)
    sum.people += done.length
    sum.values += done.reduce((count, part) => count + part.back.length, 0)
    sum.created += done.reduce((count, part) => count + part.again.length, 0)
  }
  return sum
}

function isQuiet({ back, left, erased, again, reason }: PersonBack): boolean {
  return back.length + left.length + erased + again.length === 0 && reason === undefined
}

function termsOf({ rules }: Runtime, { connection: name, fields, overEdits }: BringBackWish): RestoreTerms {
  const connection = rules.connections.get(name)
  if (!connection)
    throw new ActRefusedError(`${name} cannot be restored to: it is not in the config, or does not answer`)
  if (connection.direction === 'in') throw new ActRefusedError(`nothing is ever written to ${name} (direction: in)`)
  return { connection, fields, overEdits }
}

/** First the people: an erasure that begins meanwhile makes the commit lose, or its keys are found barred. */
async function load(
  runtime: Runtime,
  { connection: { name } }: RestoreTerms,
  batch: readonly Past[],
): Promise<{ hood: Neighbourhood; barred: RestoreBatch['barred'] }> {
  const { store } = runtime
  const records = await store.loadRecords(
    name,
    batch.map((past) => past.recordId),
  )
  const people = await store.loadPeople(batch.map((past) => past.person.id))
  const hood = await withStanding(store, together(records, people))
  return { hood, barred: await store.barred(batch.flatMap(pastKeys)) }
}
