import type { Json } from '../../engine/core/json.ts'
import type { Person } from '../../engine/core/person.ts'
import type { LogEntry } from '../../engine/core/ports/store.ts'
import { ActRefusedError } from '../../workers/acts.ts'
import {
  abandonUndo,
  performUndo,
  prepareUndo,
  previewUndo,
  undoUnderWay,
  UNDO_CREATES,
  UNDO_DELETES,
  type Undo,
  type UndoFilter,
  type UndoPart,
} from '../../workers/undo.ts'
import type { Random } from './random.ts'
import type { World } from './world.ts'

/**
 * Operators who take things back at random moments. An undo is checked where it happens: it does what it has shown (I11), and
 * every field that was not edited since is as it was, every other as it is (I12). Some undos run beside everything else and
 * may die in the middle; the same command carries them on.
 */
export class Undoing {
  readonly violations: string[] = []
  readonly #world: World
  readonly #random: Random
  /** Every undo that was begun. */
  readonly #begun: Undo[] = []

  constructor(world: World, random: Random) {
    this.#world = world
    this.#random = random
  }

  /** Whether an operator takes something back now. */
  due(): boolean {
    return this.#random.chance(0.01)
  }

  /** Something at random: an undo of a run, an act, a person, a connection or a time; or an undo of an undo. */
  async something(): Promise<void> {
    const filter = await this.#draw()
    if (!filter) return
    const stopped = await undoUnderWay(this.#world.store)
    const undo = stopped ?? (await this.#prepared(filter))
    this.#world.note(`operator: undoes ${undo.asked}`)
    this.#begun.push(undo)
    // What an undo splits, makes anew or sets free again meets the same ends as a merge that a human makes.
    this.#world.merges++
    if (stopped === null && this.#random.chance(0.6)) return this.#checked(undo)
    if (this.#world.scheduler.runs('undo')) return
    this.#world.scheduler.start('undo', async (task) => {
      try {
        await performUndo(this.#world.runtime(task), undo)
      } catch (error) {
        if (!(error instanceof ActRefusedError)) throw error
      }
    })
  }

  /** In fair weather what was begun is finished, and an operator lets go what undos hold. */
  async finish(): Promise<void> {
    const { store } = this.#world
    const stopped = await undoUnderWay(store)
    if (stopped && this.#random.chance(0.1))
      await abandonUndo(this.#world.runtimeWithoutGates(), { by: 'grace', why: 'enough' })
    else if (stopped) await performUndo(this.#world.runtimeWithoutGates(), stopped)
    await this.#approveDeletes()
    const released = (await store.release({}, UNDO_CREATES)) + (await store.release({}, UNDO_DELETES))
    if (released > 0) this.#world.note(`operator: releases ${released} writes of undos`)
  }

  /** What no undo may have done, whenever it was stopped: one way back for each value, over nobody's later word. */
  async check(): Promise<string[]> {
    const all = await this.#world.store.log({ limit: 1e6 })
    const log = all.filter(({ kind }) => kind === 'applied').reverse()
    // Only a merge sets one value against another: what it brought was not taken back. Its own entry may be gone with an erasure.
    const won = new Set(all.flatMap((one) => (one.kind === 'lost' ? `${one.act} ${one.personId} ${one.cell}` : [])))
    const found = [...this.violations]
    for (const undo of new Map(this.#begun.map((one) => [one.id, one])).values()) {
      const done = new Set<string>()
      // Whoever somebody is merged into anew gets their values with it, also what an act of before had set: none is taken back there.
      const remerged = new Set(
        log.filter(({ act, cell }) => act === undo.id && cell === 'person.state').flatMap(({ after }) => intoOf(after)),
      )
      for (const [index, entry] of log.entries()) {
        if (entry.act !== undo.id || entry.cell.startsWith('person.') || entry.cell.startsWith('consent.')) continue
        if (remerged.has(entry.personId) || won.has(`${undo.id} ${entry.personId} ${entry.cell}`)) continue
        const key = `${entry.personId} ${entry.cell}`
        // A merge that is made anew brings values, which then go their own way.
        if (done.has(key) && entry.rule === 'act') found.push(`I12 undo ${undo.id} took ${key} back twice`)
        if (entry.rule !== 'act') continue
        done.add(key)
        const last = log.slice(0, index).findLast((one) => one.personId === entry.personId && one.cell === entry.cell)
        if (last && last.act !== undo.id && !isMeant(undo, last))
          found.push(`I12 undo ${undo.id} took back ${key}, edited since by ${last.stamp.by}`)
      }
    }
    return found
  }

  async #checked(undo: Undo): Promise<void> {
    const runtime = this.#world.runtimeWithoutGates()
    const shown: UndoPart[] = []
    for await (const part of previewUndo(runtime, undo)) shown.push(part)
    const log = (await this.#world.store.log({ limit: 1e6 })).filter(({ kind }) => kind === 'applied').reverse()
    const before = await this.#people(log)
    const done: UndoPart[] = []
    await performUndo(runtime, undo, (part) => void done.push(part))
    const after = await this.#people(log)
    if (contents(shown) !== contents(done)) {
      this.violations.push(
        `I11 undo ${undo.asked} did something else than it showed: ${contents(shown)} <> ${contents(done)}`,
      )
    }
    // Whom a write is under way for is not taken out, and said so.
    const busy = done.flatMap(({ left }) => left.flatMap((one) => (one.cell === 'person.state' ? [one.personId] : [])))
    this.violations.push(...this.#strayed(undo, log, before, after, busy))
  }

  #strayed(
    undo: Undo,
    log: readonly LogEntry[],
    before: ReadonlyMap<string, Person>,
    after: ReadonlyMap<string, Person>,
    busy: readonly string[],
  ): string[] {
    const { catalogue } = this.#world.rules
    const found: string[] = []
    const aboutPeople = log.filter((entry) => entry.cell.startsWith('person.') && isMeant(undo, entry))
    const others = new Set([...busy, ...aboutPeople.flatMap((entry) => [entry.personId, ...namesIn(entry)])])
    const byPerson = Map.groupBy(log, (entry) => entry.personId)
    for (const [id, person] of before) {
      const now = after.get(id)
      // Whose very being is at stake has other rules.
      if (!now || others.has(id) || person.state !== 'live' || now.state !== 'live') continue
      const history = Map.groupBy(byPerson.get(id) ?? [], (entry) => entry.cell)
      for (const cell of new Set([...Object.keys(person.cells), ...Object.keys(now.cells)])) {
        const stood = person.cells[cell]
        const is = now.cells[cell]?.value ?? null
        const entries = history.get(cell) ?? []
        const last = entries.at(-1)
        const untouched = catalogue.equal(cell, stood?.value ?? null, is)
        if (!last || !isMeant(undo, last)) {
          if (!untouched) found.push(`I12 undo ${undo.asked} changed ${id} ${cell}, which is not meant`)
          continue
        }
        if (!catalogue.equal(cell, stood?.value ?? null, last.after) || stood?.stamp.by !== last.stamp.by) continue
        const start = entries.findLastIndex(
          (entry, index) =>
            !isMeant(undo, entry) || !follows(catalogue.equal.bind(catalogue), entry, entries[index + 1]),
        )
        const first = entries[start + 1]
        const wanted = first && isMeant(undo, first) ? first.before : last.after
        if (!catalogue.equal(cell, is, wanted)) {
          found.push(
            `I12 undo ${undo.asked} left ${id} ${cell} at ${JSON.stringify(is)} instead of ${JSON.stringify(wanted)}`,
          )
        }
      }
    }
    return found
  }

  async #people(log: readonly LogEntry[]): Promise<Map<string, Person>> {
    const { people } = await this.#world.store.loadPeople([...new Set(log.map((entry) => entry.personId))])
    return new Map(people.map((person) => [person.id, person]))
  }

  async #prepared(filter: UndoFilter): Promise<Undo> {
    const wish = { asked: `${JSON.stringify(filter)} ${this.#begun.length}`, by: 'sim', why: 'drawn' }
    return prepareUndo(this.#world.runtimeWithoutGates(), filter, wish)
  }

  async #draw(): Promise<UndoFilter | null> {
    const { store, now_ms } = this.#world
    const random = this.#random
    const log = (await store.log({ limit: 200 })).filter(({ kind }) => kind === 'applied')
    if (log.length === 0) return null
    const entry = random.pick(log)
    switch (random.below(6)) {
      case 0:
        return { since_ms: now_ms - random.below(40_000) }
      case 1:
        return { connection: entry.stamp.by, since_ms: entry.heard_ms, until_ms: entry.heard_ms + random.below(20_000) }
      case 2:
        return { personId: entry.personId }
      case 3:
        return { personId: entry.personId, connection: entry.stamp.by }
      case 4:
        return entry.pass === null ? null : { run: { connection: entry.stamp.by, pass: entry.pass } }
      default: {
        const acts = await store.acts({ limit: 20 })
        return acts.length === 0 ? { rule: 'latest' } : { act: random.pick(acts).id }
      }
    }
  }

  /** Records of people whom an undo has taken out go away by an operator's word. */
  async #approveDeletes(): Promise<void> {
    const { store } = this.#world
    const log = await store.log({ limit: 1e6 })
    const taken = new Set(
      log
        .filter(({ cell, act, after }) => act !== null && cell === 'person.state' && after !== 'live')
        .map((one) => one.personId),
    )
    for await (const link of store.links({})) {
      if (link.personId !== null && taken.has(link.personId))
        this.#world.approved.add(`${link.connection} ${link.recordId}`)
    }
  }
}

type Equal = (cell: string, a: Json, b: Json) => boolean

/** Whether the next change of a cell was made over what this one said. */
function follows(equal: Equal, entry: LogEntry, next: LogEntry | undefined): boolean {
  return next === undefined || equal(entry.cell, entry.after, next.before)
}

function namesIn({ before, after }: LogEntry): string[] {
  return [before, after].flatMap(intoOf)
}

/** Into whom somebody was merged, where a value of the log says so. */
function intoOf(value: Json): string[] {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && typeof value['into'] === 'string'
    ? [value['into']]
    : []
}

function isMeant({ filter, upToId }: Undo, entry: LogEntry): boolean {
  const { act, run, rule, personId, connection, since_ms = 0, until_ms = Infinity } = filter
  const alone = personId !== undefined && connection === undefined && filter.since_ms === undefined
  return (
    entry.id <= upToId &&
    (act === undefined || entry.act === act) &&
    (run === undefined || (entry.stamp.by === run.connection && entry.pass === run.pass)) &&
    (rule === undefined || entry.rule === rule) &&
    (personId === undefined || entry.personId === personId) &&
    (connection === undefined || entry.stamp.by === connection) &&
    entry.heard_ms >= since_ms &&
    entry.heard_ms <= until_ms &&
    !(alone && entry.rule === 'first')
  )
}

function contents(parts: readonly UndoPart[]): string {
  return JSON.stringify(
    parts.map(({ undone, left, writes }) => [
      undone,
      left,
      writes.map(({ connection, op, personId, recordId, fields, held }) => [
        connection,
        op,
        personId,
        recordId,
        fields,
        held ?? '',
      ]),
    ]),
  )
}
