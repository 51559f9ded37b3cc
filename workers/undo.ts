import { z } from 'zod'
import { sameJson, type Json, type JsonObject } from '../engine/core/json.ts'
import { PERSON_RECORD, PERSON_STATE } from '../engine/core/catalogue.ts'
import { consentKeyOf, consentKeysOf, isConsentCell } from '../engine/core/consent.ts'
import { mergedStateFrom } from '../engine/core/people.ts'
import type { Rule } from '../engine/core/person.ts'
import { planPerson } from '../engine/core/plan.ts'
import type { Intent, LogEntry, Neighbourhood, Store } from '../engine/core/ports/store.ts'
import type { Stamp } from '../engine/core/stamp.ts'
import { concernsField, decideUndo, type UndoReport, type UndoTerms } from '../engine/core/undo.ts'
import { Workspace } from '../engine/core/workspace.ts'
import { ActRefusedError, perform, record } from './acts.ts'
import { consentsFor } from './consents.ts'
import { approvalHold, type Runtime } from './runtime.ts'
import { together, withStanding } from './standing.ts'

/** What is to be undone; what is named holds together. */
export interface UndoFilter {
  readonly act?: string
  /** One reading of one connection. */
  readonly run?: { readonly connection: string; readonly pass: number }
  readonly rule?: Rule
  readonly personId?: string
  readonly connection?: string
  readonly since_ms?: number
  readonly until_ms?: number
  /** A canonical field, or a family of them (`name`). */
  readonly field?: string
}

/** An undo with all that it needs to be carried on by another process, should this one die. */
export interface Undo {
  /** The one act that it is. */
  readonly id: string
  readonly filter: UndoFilter
  /** The command's own words: the same words carry on an undo that was stopped. */
  readonly asked: string
  /** What the log says later is not meant. */
  readonly upToId: number
  readonly by: string
  readonly why: string
  readonly begun_ms: number
}

/** Some people's part of an undo: what goes back, what is left, and what is then written where. */
export interface UndoPart extends UndoReport {
  readonly names: ReadonlyMap<string, JsonObject>
  readonly writes: readonly Intent[]
}

/** The fact under which the store keeps the undo that is under way. One at a time: two would take back each other's work. */
const UNDER_WAY = 'undo'

/** Why the creates and deletes that an undo leads to wait: they are looked at once more. */
export const UNDO_CREATES = 'brake: an undo makes records anew'
export const UNDO_DELETES = 'brake: an undo takes records away'

const LOG_PAGE = 1000

const undoSchema = z.object({
  id: z.string(),
  filter: z.object({
    act: z.string().optional(),
    run: z.object({ connection: z.string(), pass: z.number() }).optional(),
    rule: z.string().optional(),
    personId: z.string().optional(),
    connection: z.string().optional(),
    since_ms: z.number().optional(),
    until_ms: z.number().optional(),
    field: z.string().optional(),
  }),
  asked: z.string(),
  upToId: z.number(),
  by: z.string(),
  why: z.string(),
  begun_ms: z.number(),
})

/** The undo that was begun and not finished, or null. */
export async function undoUnderWay(store: Store): Promise<Undo | null> {
  return (undoSchema.safeParse(await store.getFact(UNDER_WAY)).data as Undo | undefined) ?? null
}

/**
 * Leaves an undo that was stopped as it is. What it has taken back stays so, and can be undone.
 * @returns the one that was stopped; null where none was, and nothing is recorded then
 */
export async function abandonUndo(
  runtime: Pick<Runtime, 'store' | 'now' | 'newId'>,
  wish: { readonly by: string; readonly why: string },
): Promise<Undo | null> {
  const stopped = await undoUnderWay(runtime.store)
  if (!stopped) return null
  await record(runtime, { ...wish, kind: 'abandon', about: { undo: stopped.id, asked: stopped.asked } })
  await runtime.store.setFact(UNDER_WAY, null)
  return stopped
}

/**
 * What an undo would be, from now on: nothing is begun yet. The one that was stopped, where it was asked for in the same words.
 * @throws ActRefusedError while another one is not finished
 */
export async function prepareUndo(
  { store, newId, now }: Pick<Runtime, 'store' | 'newId' | 'now'>,
  filter: UndoFilter,
  wish: { readonly asked: string; readonly by: string; readonly why: string },
): Promise<Undo> {
  const stopped = await undoUnderWay(store)
  if (stopped?.asked === wish.asked) return stopped
  if (stopped) throw new ActRefusedError(`another undo (${stopped.asked}) was begun and is not finished`)
  const [newest] = await store.log({ limit: 1 })
  return { id: newId(), filter, upToId: newest?.id ?? 0, begun_ms: now(), ...wish }
}

/** The newest reading that changed anybody, of one connection or of any; null where the log knows of none. */
export async function lastRun(store: Store, connection?: string): Promise<UndoFilter['run'] | null> {
  const only = connection === undefined ? {} : { connection }
  for await (const entry of entries(store, only)) {
    if (entry.kind === 'applied' && entry.pass !== null) return { connection: entry.stamp.by, pass: entry.pass }
  }
  return null
}

/** Shows what an undo does, part by part, without doing it. */
export async function* previewUndo(runtime: Runtime, undo: Undo): AsyncIterable<UndoPart> {
  const { store, rules } = runtime
  for await (const chunk of chunksOf(store, undo, runtime.limits.chunk_max)) {
    const { hood, history, addresses, barred } = await load(store, chunk)
    const ws = new Workspace(hood, await consentsFor(runtime, hood, addresses))
    const now_ms = runtime.now()
    const report = decideUndo(ws, rules, chunk.people, history, termsOf(undo, now_ms, barred))
    const held = await approvalHold(runtime)
    const terms = { now_ms, newId: runtime.newId, held, heldFields: new Map<string, string>() }
    for (const personId of ws.touchedPeople) planPerson(ws, rules, personId, terms)
    holdCreatesAndDeletes(ws)
    yield { ...report, ...seen(ws, hood) }
  }
}

/**
 * Does an undo as one act, some people at a time. May be stopped at any moment and begun again: whoever is done with is left
 * as he is.
 *
 * @param onPart called when a part is committed
 */
export async function performUndo(
  runtime: Runtime,
  undo: Undo,
  onPart: (part: UndoPart) => void = () => undefined,
): Promise<void> {
  const { store, rules } = runtime
  if (!sameJson((await store.getFact(UNDER_WAY)) ?? null, undo as unknown as Json))
    await store.setFact(UNDER_WAY, undo as unknown as Json)
  const wish = { by: undo.by, why: undo.why, kind: 'undo', about: aboutOf(undo) }
  for await (const chunk of chunksOf(store, undo, runtime.limits.chunk_max)) {
    let history: readonly LogEntry[] = []
    let barred: ReadonlyMap<string, string> = new Map()
    let hood: Neighbourhood
    let report: UndoReport = { undone: [], left: [] }
    // Known only when the people are: filled with each loading.
    const addresses: string[] = []
    let part: UndoPart | undefined
    try {
      await perform(
        runtime,
        wish,
        async () => {
          const loaded = await load(store, chunk)
          history = loaded.history
          barred = loaded.barred
          addresses.splice(0, Infinity, ...loaded.addresses)
          return (hood = loaded.hood)
        },
        (ws, actor) => {
          report = decideUndo(ws, rules, chunk.people, history, termsOf(undo, actor.at_ms, barred))
          return report.undone.length > 0 ? null : NOTHING_HERE
        },
        addresses,
        {
          id: undo.id,
          planned: (ws) => {
            holdCreatesAndDeletes(ws)
            part = { ...report, ...seen(ws, hood) }
          },
        },
      )
      if (part) onPart(part)
    } catch (error) {
      if (!(error instanceof ActRefusedError) || error.message !== NOTHING_HERE) throw error
      onPart({ ...report, names: new Map(), writes: [] })
    }
  }
  await store.setFact(UNDER_WAY, null)
}

const NOTHING_HERE = 'nothing of it is left to undo here'

function termsOf(undo: Undo, now_ms: number, barred: UndoTerms['barred']): UndoTerms {
  return {
    meant: (entry) => isMeant(undo, entry),
    meantStamp: (stamp) => isStampMeant(undo.filter, stamp),
    barred,
    undoId: undo.id,
    actor: { at_ms: now_ms, by: undo.by },
  }
}

function isMeant({ filter, upToId, id }: Undo, entry: LogEntry): boolean {
  if (entry.kind !== 'applied' || entry.id > upToId || entry.act === id) return false
  const { act, run, rule, personId, connection, since_ms, until_ms, field } = filter
  return (
    (act === undefined || entry.act === act) &&
    (run === undefined || (entry.pass === run.pass && entry.stamp.by === run.connection)) &&
    (rule === undefined ? entry.rule !== 'first' || meansFirst(filter) : entry.rule === rule) &&
    (personId === undefined || entry.personId === personId) &&
    (connection === undefined || entry.stamp.by === connection) &&
    (since_ms === undefined || entry.heard_ms >= since_ms) &&
    (until_ms === undefined || entry.heard_ms <= until_ms) &&
    (field === undefined || concernsField(field, entry.cell))
  )
}

/**
 * Whether also what was said of somebody at first is meant: where a reading, an act or a time is named. Of a person or a field
 * alone, what is meant are the changes since.
 */
function meansFirst({ act, run, since_ms, until_ms, connection }: UndoFilter): boolean {
  return [act, run, since_ms, until_ms, connection].some((named) => named !== undefined)
}

function isStampMeant({ act, run, rule, connection, since_ms, until_ms }: UndoFilter, stamp: Stamp): boolean {
  if (act !== undefined || run !== undefined || rule !== undefined) return false
  return (
    (connection === undefined || stamp.by === connection) &&
    (since_ms === undefined || stamp.at >= since_ms) &&
    (until_ms === undefined || stamp.at <= until_ms)
  )
}

function aboutOf({ filter, asked }: Undo): JsonObject {
  return { asked, ...(JSON.parse(JSON.stringify(filter)) as JsonObject) }
}

interface Chunk {
  readonly people: readonly string[]
  /** The oldest of their changes that is meant. */
  readonly fromId: number
}

/** Those whose changes are meant, in the order of their ids; who was merged with whom stays together. */
async function* chunksOf(store: Store, undo: Undo, people_max: number): AsyncIterable<Chunk> {
  const oldest = new Map<string, number>()
  const groups = new Groups()
  const { act, run, rule, personId, connection, since_ms, until_ms } = undo.filter
  const filter = {
    ...(act === undefined ? {} : { act }),
    ...(run === undefined ? {} : { connection: run.connection, pass: run.pass }),
    ...(rule === undefined ? {} : { rule }),
    ...(personId === undefined ? {} : { personId }),
    ...(connection === undefined || run !== undefined ? {} : { connection }),
    ...(since_ms === undefined ? {} : { since_ms }),
    ...(until_ms === undefined ? {} : { until_ms }),
  }
  for await (const entry of entries(store, filter, undo.upToId + 1)) {
    if (!isMeant(undo, entry)) continue
    oldest.set(entry.personId, entry.id)
    for (const value of [entry.before, entry.after]) {
      const merged = mergedStateFrom(value)
      if (merged) groups.join(entry.personId, merged.into)
    }
  }
  let people: string[] = []
  let fromId = Infinity
  for (const group of groups.of([...oldest.keys()].sort())) {
    people.push(...group)
    fromId = Math.min(fromId, ...group.map((id) => oldest.get(id) ?? Infinity))
    if (people.length < people_max) continue
    yield { people, fromId }
    people = []
    fromId = Infinity
  }
  if (people.length > 0) yield { people, fromId }
}

/** Sets of people that are decided about together. */
class Groups {
  readonly #leader = new Map<string, string>()

  join(one: string, other: string): void {
    this.#leader.set(this.#find(one), this.#find(other))
  }

  of(ids: readonly string[]): Iterable<string[]> {
    return Map.groupBy(ids, (id) => this.#find(id)).values()
  }

  #find(id: string): string {
    const leader = this.#leader.get(id)
    return leader === undefined || leader === id ? id : this.#find(leader)
  }
}

async function load(
  store: Store,
  { people, fromId }: Chunk,
): Promise<{
  hood: Neighbourhood
  history: readonly LogEntry[]
  addresses: readonly string[]
  barred: ReadonlyMap<string, string>
}> {
  // First the people: what is heard meanwhile then makes the commit lose, and is not overlooked.
  let hood = await withStanding(store, await store.loadPeople(people))
  const history: LogEntry[] = []
  for await (const entry of entries(store, { people, fromId })) history.push(entry)
  const others = history.flatMap(({ before, after }) =>
    [before, after].flatMap((value) => mergedStateFrom(value)?.into ?? []),
  )
  if (others.length > 0) hood = together(hood, await withStanding(store, await store.loadPeople([...new Set(others)])))
  for (const [connection, records] of recordsNamed(history)) {
    hood = together(hood, await store.loadRecords(connection, [...records]))
  }
  // Consent is looked up only where some of it was told.
  const addresses = history.some(({ cell }) => isConsentCell(cell)) ? hood.people.flatMap(consentKeysOf) : []
  const keys = [...new Set(history.flatMap(({ cell }) => consentKeyOf(cell) ?? []))]
  return { hood, history, addresses, barred: await store.barred(keys) }
}

/** Records of merges and deletions that may be nobody's now. */
function recordsNamed(history: readonly LogEntry[]): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>()
  const add = (connection: string, record: string): void => {
    found.set(connection, (found.get(connection) ?? new Set()).add(record))
  }
  for (const { cell, before, after } of history) {
    for (const value of [before, after]) {
      for (const { connection, record } of mergedStateFrom(value)?.records ?? []) add(connection, record)
      const named = cell === PERSON_RECORD ? (value as JsonObject | null) : null
      if (named) add(String(named['connection']), String(named['record']))
    }
  }
  return found
}

async function* entries(
  store: Store,
  filter: Omit<Parameters<Store['log']>[0], 'limit' | 'beforeId'>,
  beforeId?: number,
): AsyncIterable<LogEntry> {
  for (let before = beforeId; ;) {
    const page = await store.log({ ...filter, ...(before === undefined ? {} : { beforeId: before }), limit: LOG_PAGE })
    yield* page
    before = page.at(-1)?.id
    if (before === undefined || page.length < LOG_PAGE) return
  }
}

/** Log entries looked at to tell how somebody came to be deleted: the newest of each is wanted. */
const STATES_MAX = 2000

/**
 * Those of some deletes that an undo has led to, and no operator has let go: their people were taken out by an undo. They may have
 * been planned anywhere since: a record that was just being made then is known only later.
 */
export async function takenAway(store: Store, intents: readonly Intent[]): Promise<Intent[]> {
  const deletes = intents.filter(({ op, state, released }) => op === 'delete' && state !== 'held' && !released)
  if (deletes.length === 0) return []
  const people = [...new Set(deletes.map(({ personId }) => personId))]
  const log = await store.log({ people, cell: PERSON_STATE, limit: STATES_MAX })
  // Newest first: what is set last is what stands.
  const lastAct = new Map(log.toReversed().map(({ personId, act }) => [personId, act]))
  const undos = new Set<string>()
  for (const id of new Set(lastAct.values())) {
    const [act] = id === null ? [] : await store.acts({ id, limit: 1 })
    if (act?.kind === 'undo') undos.add(act.id)
  }
  return deletes.filter(({ personId }) => undos.has(lastAct.get(personId) ?? ''))
}

/** What an undo makes anew, and what it takes away, is looked at once more before it is sent. */
function holdCreatesAndDeletes(ws: Workspace): void {
  for (const intent of ws.commit().intents ?? []) {
    if (intent.op === 'create') ws.intend({ ...intent, state: 'held', held: UNDO_CREATES, released: false })
    if (intent.op === 'delete') ws.intend({ ...intent, state: 'held', held: UNDO_DELETES, released: false })
  }
}

function seen(ws: Workspace, hood: Neighbourhood): Pick<UndoPart, 'names' | 'writes'> {
  const names = new Map<string, JsonObject>()
  for (const { id } of hood.people) {
    const cells = ws.person(id)?.cells ?? {}
    names.set(
      id,
      Object.fromEntries(Object.entries(cells).flatMap(([cell, { value }]) => (value === null ? [] : [[cell, value]]))),
    )
  }
  return { names, writes: ws.commit().intents ?? [] }
}
