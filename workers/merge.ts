import { mergePeople, setCells, type Act, type Actor } from '../engine/core/act.ts'
import { Apartness, personSubject } from '../engine/core/apart.ts'
import type { CellKey } from '../engine/core/catalogue.ts'
import type { Json, JsonObject } from '../engine/core/json.ts'
import { union } from '../engine/core/people.ts'
import { planPerson } from '../engine/core/plan.ts'
import { nameOf, valuesOf, type Cell, type Person } from '../engine/core/person.ts'
import type { Apart, Intent, Link, Neighbourhood } from '../engine/core/ports/store.ts'
import { Workspace } from '../engine/core/workspace.ts'
import { ActRefusedError, perform } from './acts.ts'
import { consentsFor } from './consents.ts'
import { approvalHold, type Runtime } from './runtime.ts'
import { together, withStanding } from './standing.ts'

/** Two people who are one: who stands, and which values shall stand whatever the times say. */
export interface MergeWish {
  readonly winner: string
  readonly loser: string
  readonly keep: { readonly [cell: CellKey]: Json }
}

export interface MergedCell {
  readonly cell: CellKey
  /** What each of the two says; null for a blank. */
  readonly winner: Cell | null
  readonly loser: Cell | null
  readonly stands: Json
  /** `only` one of them says it, both say the `same`, the `later` stands, or the operator chose (`kept`). */
  readonly why: 'only' | 'same' | 'later' | 'kept'
}

/** What becomes of one record of the person who is merged away. */
export interface MergedRecord {
  readonly connection: string
  readonly recordId: string
  /**
   * `moves`: it is the other person's now. `merge`, `delete`: a second record there, to be merged or deleted once approved.
   * `stays`: a second record that Kith can neither merge nor delete. `asked`: an operator is asked about it.
   */
  readonly what: 'moves' | 'merge' | 'delete' | 'stays' | 'asked'
  /** For `merge`: the record that stands. */
  readonly into?: string
}

export interface MergePreview {
  readonly winner: { readonly id: string; readonly name: string }
  readonly loser: { readonly id: string; readonly name: string }
  readonly cells: readonly MergedCell[]
  readonly records: readonly MergedRecord[]
  /** What would be planned at once; the rest follows from it. */
  readonly writes: readonly Intent[]
  /** An operator has told the two apart before. */
  readonly toldApart: boolean
}

/**
 * What merging two people would do: field by field which value stands and why, and what follows in each app. Writes nothing.
 * @throws ActRefusedError when it cannot be done
 */
export async function previewMerge(runtime: Runtime, wish: MergeWish): Promise<MergePreview> {
  const { rules } = runtime
  const { hood, pairs } = await load(runtime, wish)
  const before = new Workspace(hood)
  const [winner, loser] = [before.person(wish.winner), before.person(wish.loser)]
  if (!winner || !loser) throw new ActRefusedError('there is no such person')
  const ws = new Workspace(hood, await consentsFor(runtime, hood))
  const actor: Actor = { at_ms: runtime.now(), by: 'preview' }
  const refused = decide(runtime, ws, wish, pairs, actor)
  if (refused !== null) throw new ActRefusedError(refused)
  const held = await approvalHold(runtime)
  const terms = { now_ms: actor.at_ms, newId: runtime.newId, held, heldFields: new Map<string, string>() }
  for (const personId of ws.touchedPeople) planPerson(ws, rules, personId, terms)
  const writes = ws.commit().intents ?? []
  const named = (person: Person) => ({ id: person.id, name: nameOf(valuesOf(person), person.id) })
  const links = before.linksOf(wish.loser).filter((link) => link.state !== 'gone' && link.state !== 'second')
  return {
    winner: named(winner),
    loser: named(loser),
    cells: cellsOf(runtime, winner, loser, wish),
    records: links.map((link) => recordOf(ws, link)),
    writes,
    toldApart: new Apartness(pairs).has(personSubject(wish.winner), personSubject(wish.loser)),
  }
}

/** Makes two people one. What cannot be undone in an app waits there for approval. @throws ActRefusedError */
export async function mergeTwo(
  runtime: Runtime,
  wish: MergeWish,
  { by, why, about = {} }: { readonly by: string; readonly why: string; readonly about?: JsonObject },
): Promise<Act> {
  const { winner, loser, keep } = wish
  let pairs: readonly Apart[] = []
  const done = await perform(
    runtime,
    { by, why, kind: 'merge', about: { ...about, people: [winner, loser], kept: Object.keys(keep).length } },
    async () => {
      const loaded = await load(runtime, wish)
      pairs = loaded.pairs
      return loaded.hood
    },
    (ws, actor) => decide(runtime, ws, wish, pairs, actor),
  )
  return done.act
}

async function load(
  { store }: Runtime,
  { winner, loser }: MergeWish,
): Promise<{ hood: Neighbourhood; pairs: readonly Apart[] }> {
  const hood = together(await store.loadPeople([winner]), await store.loadPeople([loser]))
  return { hood: await withStanding(store, hood), pairs: await store.apart([personSubject(loser)]) }
}

function decide(
  { rules }: Runtime,
  ws: Workspace,
  { winner, loser, keep }: MergeWish,
  pairs: readonly Apart[],
  actor: Actor,
): string | null {
  const refused = mergePeople(ws, loser, winner, actor)
  if (refused !== null) return refused
  if (Object.keys(keep).length > 0) setCells(ws, rules, winner, keep, actor)
  // Whoever the one was told apart from, the other is too.
  for (const { a, b } of pairs) {
    const other = a === personSubject(loser) ? b : a
    if (other !== personSubject(winner)) ws.keepApart(personSubject(winner), other)
  }
  return null
}

function cellsOf({ rules }: Runtime, winner: Person, loser: Person, { keep }: MergeWish): MergedCell[] {
  const from = new Map(union(loser, winner).map((item) => [item.cell, item]))
  const cells = [...new Set([...Object.keys(winner.cells), ...Object.keys(loser.cells), ...Object.keys(keep)])].sort()
  return cells.flatMap((cell) => {
    const [ours, theirs] = [blankless(winner.cells[cell]), blankless(loser.cells[cell])]
    const kept = keep[cell]
    const stands = kept === undefined ? ((from.get(cell)?.kept ?? winner.cells[cell])?.value ?? null) : kept
    if (!ours && !theirs && kept === undefined) return []
    const same = ours && theirs && rules.catalogue.equal(cell, ours.value, theirs.value)
    const why = kept === undefined ? (same ? 'same' : ours && theirs ? 'later' : 'only') : 'kept'
    return [{ cell, winner: ours, loser: theirs, stands, why } satisfies MergedCell]
  })
}

function blankless(cell: Cell | undefined): Cell | null {
  return cell && cell.value !== null ? cell : null
}

function recordOf(ws: Workspace, { connection, recordId }: Link): MergedRecord {
  const link = ws.link(connection, recordId)
  const at = { connection, recordId }
  if (link?.state === 'ambiguous') return { ...at, what: 'asked' }
  if (link?.state !== 'second' || link.personId === null) return { ...at, what: 'moves' }
  const intent = ws.openIntent(link.personId, connection)
  if (intent?.op === 'merge' && intent.into !== undefined) return { ...at, what: 'merge', into: intent.into }
  return { ...at, what: intent?.op === 'delete' ? 'delete' : 'stays' }
}
