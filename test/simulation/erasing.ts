import { consentKeysOf, strictest, type ConsentState } from '../../engine/core/consent.ts'
import { isKnownAsErased, recordKey } from '../../engine/core/erasure.ts'
import type { JsonObject } from '../../engine/core/json.ts'
import type { Person } from '../../engine/core/person.ts'
import { compareNames, keysOf } from '../../engine/core/identity.ts'
import type { Commit, Link } from '../../engine/core/ports/store.ts'
import { erasureById, excludedBy, forget, forgetAgain, lift } from '../../workers/forget.ts'
import type { Random } from './random.ts'
import type { World } from './world.ts'

/** Somebody whom an operator has erased: as they were at that moment. */
interface Erased {
  readonly erasure: string
  readonly records: readonly Pick<Link, 'connection' | 'recordId'>[]
  /** What a human has typed of them and nobody else has. */
  readonly tokens: readonly string[]
  readonly consents: ReadonlyMap<string, ConsentState>
}

/**
 * Operators who erase people, and humans who add them again, by random numbers of their own. Watches the store: whatever is
 * committed is seen here, also where the process dies with the next step.
 */
export class Erasing {
  readonly #world: World
  readonly #random: Random
  readonly #erased = new Map<string, Erased>()
  /** `app id` of records that Kith has made, as it made them. */
  readonly #made = new Map<string, JsonObject>()

  constructor(world: World, random: Random) {
    this.#world = world
    this.#random = random
    const { store } = world
    const [commit, claim, claimExpired] = [
      store.commit.bind(store),
      store.claim.bind(store),
      store.claimExpired.bind(store),
    ]
    store.commit = async (facts) => {
      const before = facts.erasure ? await this.#consents(facts) : new Map<string, ConsentState>()
      const result = await commit(facts)
      if (result.kind === 'committed' && facts.erasure) await this.#note(facts, before)
      if (result.kind === 'committed') this.#noteMade(facts)
      return result
    }
    // What Kith deletes for an erasure it may delete (I5).
    store.claim = async (...args) => this.#approve(await claim(...args))
    store.claimExpired = async (...args) => this.#approve(await claimExpired(...args))
  }

  due(): boolean {
    return this.#random.chance(0.012)
  }

  async something(): Promise<void> {
    const world = this.#world
    const random = this.#random
    const done = await world.store.erasures({ state: 'done', limit: 10 })
    if (done.length > 0 && random.chance(0.1)) {
      const { id } = random.pick(done)
      return world.operate(`lifts ${id}`, async (runtime) => {
        await lift(runtime, await erasureById(runtime.store, id), { by: 'sim', why: 'a mistake' })
      })
    }
    if (done.length > 0 && random.chance(0.4)) {
      const { id } = random.pick(done)
      if ((await excludedBy(world.store, id)).length > 0) {
        return world.operate(`forgets ${id} again`, async (runtime) => {
          await forgetAgain(runtime, await erasureById(runtime.store, id), { by: 'sim', why: 'again' })
        })
      }
    }
    const people = await world.store.searchPeople('', 100)
    if (people.length === 0) return
    const { id } = random.pick(people)
    world.operate(`forgets ${id}`, async (runtime) => void (await forget(runtime, id, { by: 'sim', why: 'drawn' })))
  }

  /** Somebody erased whom a human adds again: the number of the human, or null for nobody yet. */
  again(): number | null {
    const numbers = [...this.#erased.values()].flatMap(({ tokens }) =>
      tokens.flatMap((token) => /^human(\d+)@/.exec(token)?.[1] ?? []),
    )
    return numbers.length > 0 && this.#random.chance(0.04) ? Number(this.#random.pick(numbers)) : null
  }

  /** I7: nobody who was erased is anywhere again by Kith, nothing is left of them here, and every erasure came to its end. */
  async check(): Promise<string[]> {
    const world = this.#world
    const found: string[] = []
    const all = await world.store.erasures({ limit: 1000 })
    for (const { id, state } of all) if (state === 'open') found.push(`I7 the erasure ${id} is still open`)
    const done = new Set(all.flatMap(({ id, state }) => (state === 'done' ? [id] : [])))
    for (const { erasure, records } of this.#erased.values()) {
      if (!done.has(erasure)) continue
      for (const record of records) {
        if (world.app(record.connection).peek(record.recordId)) found.push(`I7 ${recordKey(record)} is still there`)
      }
    }
    found.push(...(await this.#recreated()), ...(await this.#left(done)))
    return found
  }

  /** Records that Kith has made of somebody who is known by nothing that is not barred. */
  async #recreated(): Promise<string[]> {
    const world = this.#world
    const found: string[] = []
    for (const name of world.apps.keys()) {
      const lens = world.rules.connections.get(name)?.lens
      for (const id of world.idsOf(name)) {
        if (!lens || world.humanMade.has(`${name} ${id}`)) continue
        const keys = keysOf(lens.get(world.app(name).peek(id)?.fields ?? {}), world.rules.catalogue)
        const strong = keys.filter((key) => !key.startsWith('phone:'))
        const decisive = strong.length > 0 ? strong : keys
        const barred = await world.store.barred(decisive)
        if (decisive.length > 0 && decisive.every((key) => barred.has(key))) {
          const { state, person } = await this.#standing(name, id)
          // They came with an address of their own, which a human has taken away since.
          if (person && (await this.#isSomebody(person))) continue
          // Made of somebody who had no address, and a human has given them this one elsewhere: under their own name it is theirs.
          if (await this.#isOwn(name, id)) continue
          // Made before, or under way when they were erased, and heard of only afterwards: it takes no part, and is offered.
          if (state !== 'erased')
            found.push(
              `I7 ${name} ${id} (${state}) was made of somebody who was erased: ${JSON.stringify([...barred])}`,
            )
        }
      }
    }
    return found
  }

  /** Whether a record was made of somebody who was not barred then, and still has their name. */
  async #isOwn(name: string, id: string): Promise<boolean> {
    const { connections, catalogue } = this.#world.rules
    const [lens, made] = [connections.get(name)?.lens, this.#made.get(`${name} ${id}`)]
    if (!lens || !made) return false
    const [then, now] = [lens.get(made), lens.get(this.#world.app(name).peek(id)?.fields ?? {})]
    const keys = keysOf(then, catalogue)
    if (isKnownAsErased(keys, then, await this.#world.store.barred(keys))) return false
    return ['same', 'near', 'alike'].includes(compareNames(then, now))
  }

  #noteMade({ links = [], settlements = [] }: Commit): void {
    const done = new Set(settlements.flatMap(({ answer }) => answer?.['id'] ?? []))
    for (const { connection, recordId, version, fields } of links)
      if (version === 0 && done.has(recordId)) this.#made.set(`${connection} ${recordId}`, fields)
  }

  async #standing(name: string, id: string): Promise<{ state: string; person: Person | undefined }> {
    const hood = await this.#world.store.loadRecords(name, [id])
    const link = hood.links.find(({ connection, recordId }) => connection === name && recordId === id)
    return { state: link?.state ?? 'unknown', person: hood.people.find((one) => one.id === link?.personId) }
  }

  /** What only they had said is nowhere in the store; unless a human has put it into somebody else's record. */
  async #left(done: ReadonlySet<string>): Promise<string[]> {
    const world = this.#world
    const found: string[] = []
    const text = world.store.dump()
    const apps = [...world.apps.values()].map((app) => JSON.stringify([...app.all()])).join('\n')
    for (const { erasure, tokens, consents } of this.#erased.values()) {
      if (!done.has(erasure)) continue
      // Where people were put together and taken apart again, what one has said is in the other's history.
      for (const token of world.merges === 0 ? tokens : []) {
        const whole = new RegExp(`${token.replaceAll('.', '\\.')}(?!\\d)`)
        if (whole.test(apps) || !whole.test(text)) continue
        const holders = world.store.everybody().filter((person) => whole.test(JSON.stringify(person.cells)))
        // Whoever came with an address of their own besides is somebody, as far as anybody can tell.
        const known = await Promise.all(holders.map((person) => this.#isSomebody(person)))
        if (holders.length > 0 && known.every(Boolean)) continue
        const at = text.search(whole)
        const where = holders.map(({ id, state }) => `${id} (${state})`).join() || text.slice(at - 300, at + 60)
        found.push(`I7 "${token}" of ${erasure} is left in the store: ${where}`)
      }
      for (const [key, state] of consents) {
        const [entry] = await world.store.consents([key])
        const loosened = strictest(entry?.state, state) !== entry?.state && (entry?.optIn_ms ?? 0) === 0
        if (loosened) found.push(`I7 ${key} was ${state} when erased, and is ${entry?.state ?? 'unknown'}`)
      }
    }
    return found
  }

  async #isSomebody(person: Person): Promise<boolean> {
    const keys = consentKeysOf(person)
    const barred = await this.#world.store.barred(keys)
    return keys.some((key) => !barred.has(key))
  }

  #approve<Claimed extends { connection: string; recordId: string | null; erase?: boolean }>(
    intents: Claimed[],
  ): Claimed[] {
    for (const { connection, recordId, erase } of intents) {
      if (!erase) continue
      this.#world.approved.add(`${connection} ${recordId}`)
      // Also of a record that became known only after the act: the answer to a create that was under way.
      this.#world.erased.add(`${connection} ${recordId}`)
    }
    return intents
  }

  async #consents(facts: Commit): Promise<Map<string, ConsentState>> {
    const keys = facts.erasure?.keys.filter((key) => key.startsWith('email:') && !key.includes('\n')) ?? []
    const found = await this.#world.store.consents(keys)
    return new Map(found.map(({ key, state }) => [key, state]))
  }

  async #note(
    { erasure, people = [], links = [] }: Commit,
    consents: ReadonlyMap<string, ConsentState>,
  ): Promise<void> {
    if (!erasure) return
    const world = this.#world
    const { id } = erasure.erasure
    const said = JSON.stringify(people.map(({ cells }) => cells))
    const tokens = new Set(
      said.match(/\b(?:human\d+@example\.org|new\d+@example\.org|Org \d+|note \d+|tag\d+)\b/g) ?? [],
    )
    const records = links
      .filter(({ state }) => state !== 'gone')
      .map(({ connection, recordId }) => ({ connection, recordId }))
    for (const { connection, recordId } of links) world.erased.add(`${connection} ${recordId}`)
    // Also what had gone by then, and was nobody's any more: its human's words were in the person's log, and go with it.
    for (const { stamp, recordId } of await world.store.log({ people: erasure.erasure.people, limit: 1e6 }))
      if (recordId !== null) world.erased.add(`${stamp.by} ${recordId}`)
    this.#erased.set(id, { erasure: id, records, tokens: [...new Set(tokens)], consents })
  }
}
