import { fieldOf, type Catalogue } from '../engine/core/catalogue.ts'
import type { Json } from '../engine/core/json.ts'
import { planPerson } from '../engine/core/plan.ts'
import type { Intent } from '../engine/core/ports/store.ts'
import { canMend } from '../engine/core/standard-checks.ts'
import { repairPerson, repairsOf } from '../engine/core/standard-act.ts'
import { valueIn, type Repair, type Standard } from '../engine/core/standard.ts'
import { Workspace } from '../engine/core/workspace.ts'
import { ActRefusedError, perform } from './acts.ts'
import { cleaningStandard } from './audit.ts'
import { consentsFor } from './consents.ts'
import { peoplePages } from './health.ts'
import type { Household } from './household.ts'
import type { Runtime } from './runtime.ts'
import { Seen } from './seen.ts'
import { withStanding } from './standing.ts'

/** Why the writes of a clean-up wait: an operator has seen what is repaired, and lets go what follows in the apps. */
export const CLEANED = 'brake: repairs of kith audit'

/** People repaired in one commit. */
const ROUND = 100

/** One value that a clean-up would repair. */
export interface Mending {
  readonly person: string
  readonly field: string
  readonly before: Json
  readonly after: Json
  /** The rules that ask for it. */
  readonly rules: readonly string[]
}

/** What follows in one app. */
export interface MendingWrites {
  readonly connection: string
  readonly op: Intent['op']
  readonly count: number
}

/** There is nothing by that name to repair. */
export class NoSuchRuleError extends Error {
  override readonly name = 'NoSuchRuleError'
  /** What there is. */
  readonly known: readonly string[]

  constructor(rule: string, known: readonly string[]) {
    super(`there is no rule named ${rule} that has a repair`)
    this.known = known
  }
}

/** @throws NoSuchRuleError where the rule is none, or has no repair */
function standardFor(household: Household, rule: string | undefined): Standard {
  const mendable = ({ rules }: Standard): string[] => rules.filter(({ check }) => canMend(check)).map(({ id }) => id)
  const standard = cleaningStandard(household, rule)
  if (rule !== undefined && mendable(standard).length === 0) {
    throw new NoSuchRuleError(rule, [...new Set(mendable(cleaningStandard(household)))])
  }
  return standard
}

export interface MendingPreview {
  readonly people: number
  readonly values: number
  readonly writes: readonly MendingWrites[]
  /** A digest of every repair: {@link performMending} refuses where it would be other ones by then. */
  readonly seen: string
}

/** The digest of what would be repaired at this moment. */
async function digestNow(household: Household, standard: Standard, catalogue: Catalogue): Promise<string> {
  const seen = new Seen()
  for await (const { hood } of peoplePages(household)) {
    for (const person of hood.people) {
      if (person.state !== 'live') continue
      for (const repair of repairsOf(person, standard, catalogue)) seen.add(mendingOf(person.id, repair))
    }
  }
  return seen.end()
}

/**
 * What a clean-up would repair, person by person, and (when all is told) what would follow in the apps. Writes nothing.
 *
 * @param runtime of a connected household
 * @param tell called for each value
 */
export async function previewMending(
  household: Household,
  runtime: Runtime,
  rule: string | undefined,
  tell: (mending: Mending) => Promise<void>,
  signal?: AbortSignal,
): Promise<MendingPreview> {
  const standard = standardFor(household, rule)
  const { catalogue } = runtime.rules
  const writes = new Map<string, MendingWrites>()
  const seen = new Seen()
  let [people, values] = [0, 0]
  for await (const { hood } of peoplePages(household)) {
    if (signal?.aborted) break
    const wanted = hood.people.filter((person) => repairsOf(person, standard, catalogue).length > 0)
    if (wanted.length === 0) continue
    const known = await withStanding(runtime.store, hood)
    const ws = new Workspace(known, await consentsFor(runtime, known))
    const now_ms = runtime.now()
    const terms = { now_ms, newId: runtime.newId, held: CLEANED, heldFields: new Map<string, string>() }
    for (const { id } of wanted) {
      people++
      for (const repair of repairPerson(ws, id, standard, catalogue, { at_ms: now_ms, by: 'preview' })) {
        values++
        const mending = mendingOf(id, repair)
        seen.add(mending)
        await tell(mending)
      }
      planPerson(ws, runtime.rules, id, terms)
    }
    for (const { connection, op } of ws.commit().intents ?? []) {
      const key = `${connection}\n${op}`
      writes.set(key, { connection, op, count: (writes.get(key)?.count ?? 0) + 1 })
    }
  }
  return { people, values, writes: [...writes.values()], seen: seen.end() }
}

function mendingOf(person: string, { from, to, before, after, by }: Repair): Mending {
  const rules = [...new Set(by.map(({ id }) => id))]
  return { person, field: fieldOf(from === to ? to : from), before: valueIn(before), after: valueIn(after), rules }
}

/**
 * Repairs what the preview showed, as one act. What follows in the apps is planned and held until an operator lets it go.
 * @param wish with `seen`: of the preview
 * @throws ActRefusedError where it would not be what was shown
 * @returns how many people were repaired; no act where nobody was
 */
export async function performMending(
  household: Household,
  runtime: Runtime,
  rule: string | undefined,
  { by, why, seen }: { readonly by: string; readonly why: string; readonly seen?: string },
  signal?: AbortSignal,
): Promise<{ readonly act: string | null; readonly people: number; readonly held: number }> {
  const standard = standardFor(household, rule)
  const { store, rules } = runtime
  if (seen !== undefined && seen !== (await digestNow(household, standard, rules.catalogue))) {
    throw new ActRefusedError('what there is to repair is not what was shown any more')
  }
  const act = runtime.newId()
  const wish = { by, why, kind: 'audit', about: { rule: rule ?? 'all' } }
  let [people, held] = [0, 0]
  const mend = async (ids: readonly string[]): Promise<void> => {
    let mended = 0
    const { commit } = await perform(
      runtime,
      wish,
      async () => withStanding(store, await store.loadPeople(ids)),
      (ws, actor) => {
        mended = 0
        for (const id of ids) {
          const repairs = repairPerson(ws, id, standard, rules.catalogue, actor)
          if (repairs.length > 0) mended++
        }
        return null
      },
      [],
      { id: act, held: CLEANED },
    )
    people += mended
    held += (commit.intents ?? []).filter((intent) => intent.held === CLEANED).length
  }
  let round: string[] = []
  for await (const { hood } of peoplePages(household)) {
    for (const person of hood.people) {
      if (repairsOf(person, standard, rules.catalogue).length === 0) continue
      round.push(person.id)
      if (round.length < ROUND) continue
      await mend(round)
      round = []
    }
    if (signal?.aborted) break
  }
  if (round.length > 0) await mend(round)
  return { act: people > 0 ? act : null, people, held }
}
