import { consentKeyOf } from '../../engine/core/consent.ts'
import type { Person } from '../../engine/core/person.ts'
import type { Link } from '../../engine/core/ports/store.ts'
import type { Past } from '../../engine/core/restore-act.ts'
import {
  bringBack,
  BROUGHT_BACK,
  previewBringBack,
  type BringBackWish,
  type Preview,
} from '../../workers/bring-back.ts'
import type { Random } from './random.ts'
import type { World } from './world.ts'

/** Everybody as a backup would have them. */
interface Backup {
  readonly at_ms: number
  readonly people: readonly Person[]
  readonly links: readonly Link[]
}

const BACKUPS_MAX = 4
const BATCH = 5
const FIELDS = ['title', 'note', 'emails', 'phones', 'tags', 'name.given', 'organisation']

/**
 * Operators who make backups and bring one app back to what it was, by random numbers of their own. Some restores are checked
 * where they happen: they do what they have shown (I11), change what is meant and nobody's later word (I12), loosen no consent,
 * and bring nobody back who was erased (I7). Others run beside everything else, and may die in the middle.
 */
export class Restoring {
  readonly violations: string[] = []
  readonly #world: World
  readonly #random: Random
  #backups: Backup[] = []

  constructor(world: World, random: Random) {
    this.#world = world
    this.#random = random
  }

  due(): boolean {
    return this.#random.chance(0.06)
  }

  async something(): Promise<void> {
    const world = this.#world
    const random = this.#random
    if (this.#backups.length === 0 || random.chance(0.3)) return this.#backUp()
    const backup = random.pick(this.#backups)
    const wish = await this.#draw(backup)
    if (!wish) return
    world.note(`operator: brings back ${wish.connection} ${[...(wish.fields ?? [])].join()} of ${backup.at_ms}`)
    // Whoever lives again for it, or is a person of their own again, meets the same ends as a merge that a human makes.
    world.merges++
    if (random.chance(0.6)) return this.#checked(backup, wish)
    world.operate(`restore ${wish.connection}`, async (runtime) => {
      await bringBack(runtime, wish, { at_ms: backup.at_ms, batches: pastOf(backup, wish.connection) }, WHO)
    })
  }

  /** In fair weather an operator lets go what restores hold. */
  async finish(): Promise<void> {
    const released = await this.#world.store.release({}, BROUGHT_BACK)
    if (released > 0) this.#world.note(`operator: releases ${released} writes of restores`)
  }

  async #backUp(): Promise<void> {
    const { store, now_ms } = this.#world
    const links: Link[] = []
    for await (const link of store.links({})) links.push(link)
    if (links.length === 0) return
    // The oldest one stays: the longer ago, the more there is to bring back.
    const later = [...this.#backups.slice(1), { at_ms: now_ms, people: store.everybody(), links }]
    this.#backups = [...this.#backups.slice(0, 1), ...later.slice(-BACKUPS_MAX)]
  }

  /** A restore with something to bring back, where one is found soon. */
  async #draw(backup: Backup): Promise<BringBackWish | null> {
    const random = this.#random
    for (let attempt = 0; attempt < 6; attempt++) {
      const wish = {
        connection: random.pick([...this.#world.apps.keys()]),
        fields: random.chance(0.3) ? new Set([random.pick(FIELDS)]) : null,
        overEdits: random.chance(0.4),
      }
      const runtime = this.#world.runtimeWithoutGates()
      for await (const { part } of previewBringBack(runtime, wish, pastOf(backup, wish.connection)))
        if (part.back.length + part.again.length > 0 || random.chance(0.02)) return wish
    }
    return null
  }

  async #checked(backup: Backup, wish: BringBackWish): Promise<void> {
    const runtime = this.#world.runtimeWithoutGates()
    const { store } = this.#world
    const shown: Preview[] = []
    for await (const one of previewBringBack(runtime, wish, pastOf(backup, wish.connection))) shown.push(one)
    const [people, ledger] = [new Map(store.everybody().map((one) => [one.id, one])), store.ledger()]
    const log = (await store.log({ limit: 1 }))[0]?.id ?? 0
    const { act, values, created, left } = await bringBack(
      runtime,
      wish,
      { at_ms: backup.at_ms, batches: pastOf(backup, wish.connection) },
      WHO,
    )
    this.#world.note(`brought back: ${values} values, ${created} created, ${left} left`)
    if (store.ledger() !== ledger) this.violations.push(`I7 the restore ${act} has changed the consent ledger`)
    this.violations.push(...(await this.#strayed(wish, people)))
    const done = (await store.log({ limit: 1e6, fromId: log + 1 })).filter((entry) => entry.act === act)
    const wanted = shown.flatMap(({ part }) => part.back.map(({ cell }) => `${part.personId} ${cell}`)).sort()
    const told = done
      .flatMap(({ personId, cell }) => (cell.startsWith('person.') ? [] : [`${personId} ${cell}`]))
      .sort()
    if (JSON.stringify(wanted) !== JSON.stringify(told))
      this.violations.push(
        `I11 the restore ${act} did something else than it showed: ${wanted.join()} <> ${told.join()}`,
      )
  }

  /** What a restore has changed that it may not. */
  async #strayed({ connection, fields, overEdits }: BringBackWish, before: Map<string, Person>): Promise<string[]> {
    const world = this.#world
    const found: string[] = []
    const erased = new Set(
      (await world.store.erasures({ limit: 1000 })).flatMap(({ state, people }) => (state === 'lifted' ? [] : people)),
    )
    for (const person of world.store.everybody()) {
      const old = before.get(person.id)
      if (old === person) continue
      if (!old || erased.has(person.id) || old.state === 'erased') {
        found.push(`I7 a restore has made or changed ${person.id}, who ${old ? 'is erased' : 'was not there'}`)
        continue
      }
      const news: string[] = []
      for (const [cell, { value }] of Object.entries(person.cells)) {
        if (old.cells[cell] === person.cells[cell]) continue
        const key = value === null ? undefined : consentKeyOf(cell)
        if (key !== undefined) news.push(key)
        const by = old.cells[cell]?.stamp.by ?? connection
        if (by !== connection && !overEdits) found.push(`I12 a restore took back ${person.id} ${cell}, edited by ${by}`)
        if (fields && ![...fields].some((field) => cell === field || cell.startsWith(`${field}:`)))
          found.push(`I12 a restore took back ${person.id} ${cell}, which was not asked for`)
      }
      for (const key of (await world.store.barred(news)).keys()) found.push(`I7 a restore brought back ${key}`)
    }
    return found
  }
}

const WHO = { by: 'sim', why: 'drawn' }

async function* pastOf({ people, links }: Backup, connection: string): AsyncIterable<Past[]> {
  const past = people.flatMap((person): Past[] => {
    const own = links.filter(({ personId, state }) => personId === person.id && state === 'linked')
    const here = own.find((link) => link.connection === connection)
    return here ? [{ person, recordId: here.recordId, records: own }] : []
  })
  for (let start = 0; start < past.length; start += BATCH) yield past.slice(start, start + BATCH)
}
