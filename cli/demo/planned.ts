import type { Intent, Link, Store } from '../../engine/core/ports/store.ts'
import { collect } from './agreement.ts'

/** What `kith demo --json` says of the plan. */
export interface PlanSummary {
  readonly create: number
  readonly update: number
  readonly undecided: number
  readonly unreadable: number
}

/** The first plan, as it waits for approval. */
export interface Planned {
  readonly intents: readonly Intent[]
  readonly undecided: readonly Link[]
  readonly unreadable: readonly Link[]
  /** How many people the linked records are. */
  readonly people: number
  readonly summary: PlanSummary
}

export async function readPlan(store: Store): Promise<Planned> {
  const intents = await collect(store.intents({}))
  const undecided = await collect(store.links({ state: 'ambiguous' }))
  const unreadable = await collect(store.links({ broken: true }))
  const people = new Set((await collect(store.links({ state: 'linked' }))).map((link) => link.personId)).size
  const number = (op: string): number => intents.filter((intent) => intent.op === op).length
  const summary = {
    create: number('create'),
    update: number('update'),
    undecided: undecided.length,
    unreadable: unreadable.length,
  }
  return { intents, undecided, unreadable, people, summary }
}
