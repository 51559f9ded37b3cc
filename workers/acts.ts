import type { Act, Actor } from '../engine/core/act.ts'
import type { JsonObject } from '../engine/core/json.ts'
import { planPerson } from '../engine/core/plan.ts'
import type { Commit, Neighbourhood } from '../engine/core/ports/store.ts'
import { Workspace } from '../engine/core/workspace.ts'
import { wakeAfter } from './apply.ts'
import { consentsFor } from './consents.ts'
import { approvalHold, type Runtime } from './runtime.ts'

/** What an operator wants done: who, why, and what it is about. */
export interface Wish {
  readonly by: string
  readonly why: string
  readonly kind: string
  readonly about: JsonObject
}

/** What a decision may need besides. */
export interface Performance {
  /** The id of the act, where it takes more than one commit: it is recorded once. */
  readonly id?: string
  /** Why everything that it plans waits for an operator, whatever else is approved. */
  readonly held?: string
  /** What is committed with it besides what was decided: asked after the decision. */
  readonly facts?: (act: Act) => Pick<Commit, 'erasure' | 'unkeep'>
  /** Looks at what was planned, before it is committed. */
  readonly planned?: (ws: Workspace) => void
}

/** It cannot be done, and nothing was; the sentence says why. */
export class ActRefusedError extends Error {
  override readonly name = 'ActRefusedError'
}

/**
 * Does what an operator wants, by the one way in: decided over what is loaded, committed with its record, planned and sent like
 * any change. Decided anew when somebody else was quicker.
 *
 * @param load what the decision is about
 * @param decide changes the workspace; answers why it cannot be done, or null
 * @param addresses whose consent the decision asks for, besides those of the people loaded
 * @throws ActRefusedError when it cannot be done
 */
export async function perform(
  runtime: Runtime,
  wish: Wish,
  load: () => Promise<Neighbourhood>,
  decide: (ws: Workspace, actor: Actor) => string | null,
  addresses: readonly string[] = [],
  { id, held: waits, planned, facts }: Performance = {},
): Promise<{ act: Act; commit: Commit }> {
  const { store, rules } = runtime
  for (let attempt = 1; ; attempt++) {
    const act: Act = { id: id ?? runtime.newId(), at_ms: runtime.now(), ...wish }
    const hood = await load()
    const ws = new Workspace(hood, await consentsFor(runtime, hood, addresses))
    const refused = decide(ws, act)
    if (refused !== null) throw new ActRefusedError(refused)
    const held = waits ?? (await approvalHold(runtime))
    const terms = { now_ms: act.at_ms, newId: runtime.newId, held, heldFields: new Map<string, string>() }
    for (const personId of ws.touchedPeople) planPerson(ws, rules, personId, terms)
    planned?.(ws)
    const commit: Commit = { ...ws.commit(), ...facts?.(act), act }
    if ((await store.commit(commit)).kind === 'committed') {
      runtime.events.planned(commit.intents ?? [])
      await wakeAfter(runtime, commit, false)
      return { act, commit }
    }
    if (attempt >= runtime.limits.mergeAttempts_max) {
      throw new ActRefusedError('the people are changing just now; try again')
    }
  }
}

/** Records that an operator let something go that was decided already: nothing else is written with it. */
export async function record(runtime: Pick<Runtime, 'store' | 'now' | 'newId'>, wish: Wish): Promise<Act> {
  const act: Act = { id: runtime.newId(), at_ms: runtime.now(), ...wish }
  await runtime.store.commit({ act })
  return act
}
