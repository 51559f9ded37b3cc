import { createHash } from 'node:crypto'
import type { FaultRates } from '../../connectors/memory/faults.ts'
import type { Quirks } from '../../connectors/memory/quirks.ts'
import type { Policy } from '../../engine/core/rules.ts'
import { BROUGHT_BACK } from '../../workers/bring-back.ts'
import { somethingUnsettled } from '../../workers/sweep.ts'
import { UNDO_CREATES, UNDO_DELETES } from '../../workers/undo.ts'
import { cardOf, editOf } from './household.ts'
import { violations, type Restriction, type Typed } from './invariants.ts'
import { decideConflicts, offeredAgain, operate } from './operators.ts'
import { Pausing } from './pauses.ts'
import { Erasing } from './erasing.ts'
import { Random } from './random.ts'
import { Restoring } from './restoring.ts'
import { Undoing } from './undoing.ts'
import { World, type AppPlan, type WorldPlan } from './world.ts'

/** What can go wrong in a run; a failing seed is shrunk by leaving parts of it out. */
export interface Weather {
  readonly faults: boolean
  readonly crashes: boolean
  readonly queueLoss: boolean
  readonly humans: boolean
  readonly operators: boolean
  readonly undos: boolean
  readonly pauses: boolean
  readonly erasures: boolean
  readonly restores: boolean
  readonly steps: number
}

export const STORM: Weather = {
  faults: true,
  crashes: true,
  queueLoss: true,
  humans: true,
  operators: true,
  undos: true,
  pauses: false,
  erasures: false,
  restores: false,
  steps: 260,
}

/** What a run can be made under, by name. What operators do less often has weathers of its own, and one in which all of it meets. */
export const WEATHERS = {
  storm: STORM,
  pauses: { ...STORM, operators: false, undos: false, pauses: true },
  erasures: { ...STORM, operators: false, undos: false, erasures: true },
  restores: { ...STORM, operators: false, undos: false, restores: true },
  everything: { ...STORM, pauses: true, erasures: true, restores: true },
} as const satisfies { readonly [name: string]: Weather }

export type WeatherName = keyof typeof WEATHERS

export interface Outcome {
  readonly seed: number
  readonly violations: readonly string[]
  /** Everything that happened, in order. */
  readonly trace: readonly string[]
  /** A digest of the trace (I14). */
  readonly digest: string
}

const RATES: FaultRates = {
  lost: 0.06,
  ratelimit: 0.03,
  unavailable: 0.05,
  cut: 0.05,
  empty: 0.02,
  stale: 0.03,
  expire: 0.03,
  partial: 0.05,
  double: 0.1,
  late: 0.1,
  reorder: 0.1,
}

/** One seeded run: a storm with humans in it, then fair weather to the end, then the invariants. */
export async function run(seed: number, weather: Weather = STORM): Promise<Outcome> {
  const random = new Random(seed)
  const world = new World(random, drawPlan(random))
  const found: string[] = []
  const typed = new Diary(world)
  const undoing = new Undoing(world, new Random(seed ^ 0x5eed))
  const pausing = new Pausing(world, new Random(seed ^ 0xca1f))
  const erasing = new Erasing(world, new Random(seed ^ 0xe7a5e))
  const restoring = new Restoring(world, new Random(seed ^ 0xbacc))
  try {
    await world.open()
    for (let index = 0; index < 10; index++) typed.add(random.pick([...world.apps.keys()]), index)
    await storm(world, typed, { undoing, pausing, erasing, restoring }, weather)
    await fairWeather(world, { undoing, pausing, restoring })
    found.push(...(await violations(world, typed.entries, typed.restrictions)))
    found.push(...(await offeredAgain(world)))
    found.push(...(await undoing.check()))
    found.push(...(await erasing.check()))
    found.push(...restoring.violations)
    found.push(...(await quiet(world)))
  } catch (error) {
    found.push(`the run broke: ${error instanceof Error ? error.stack : String(error)}`)
  }
  const digest = createHash('sha256').update(world.scheduler.trace.join('\n')).digest('hex')
  return { seed, violations: found, trace: world.scheduler.trace, digest }
}

function drawPlan(random: Random): WorldPlan {
  const count = 2 + random.below(2)
  const deletes = random.chance(0.3) ? random.pick(['propagate', 'archive', 'ignore'] as const) : 'unlink'
  const apps = Array.from({ length: count }, (_, index): AppPlan => ({
    name: `app${index}`,
    quirks: drawQuirks(random),
    consent: random.chance(0.6),
    rules: { deletes },
  }))
  return { apps, policies: drawPolicies(random) }
}

function drawPolicies(random: Random): { readonly [field: string]: Policy } {
  const policies: { [field: string]: Policy } = {}
  if (random.chance(0.3)) policies['title'] = { kind: 'prefer', order: ['app1'] }
  if (random.chance(0.2)) policies['organisation'] = { kind: 'owner', connection: 'app0' }
  if (random.chance(0.2)) policies['birthday'] = { kind: 'fill' }
  if (random.chance(0.2)) policies['note'] = { kind: 'manual' }
  return policies
}

function drawQuirks(random: Random): Partial<Quirks> {
  const precondition = random.chance(0.6)
  return {
    deletes: random.chance(0.6) ? 'feed' : 'inventory',
    createKey: random.chance(0.5) ? 'id' : 'search',
    revisions: precondition || random.chance(0.5),
    precondition,
    times: random.pick(['field', 'record', 'none']),
    hints: random.chance(0.5),
    mergeInto: random.pick(['winner', 'new']),
    rewrite: random.chance(0.4)
      ? { trim: true, emails: 'lower', tags: 'lower', phones: 'grouped', noteLength_max: 14 }
      : {},
    clockSkew_ms: random.chance(0.3) ? random.below(600_000) - 300_000 : 0,
    page_max: 2 + random.below(12),
    readBatch_max: 1 + random.below(10),
    writeBatch_max: 1 + random.below(10),
    writes_concurrent_max: 1 + random.below(3),
  }
}

/** Those who do what only operators do, each by random numbers of their own. */
interface Operators {
  readonly undoing: Undoing
  readonly pausing: Pausing
  readonly erasing: Erasing
  readonly restoring: Restoring
}

async function storm(
  world: World,
  typed: Diary,
  { undoing, pausing, erasing, restoring }: Operators,
  weather: Weather,
): Promise<void> {
  const { random } = world
  for (const app of world.apps.values()) {
    // Without a precondition nobody can tell an old copy from a new one before writing over it.
    const rates = app.quirks.precondition ? RATES : { ...RATES, stale: 0 }
    if (weather.faults) app.faults.rates(rates, () => random.next())
  }
  world.queueFaults = weather.queueLoss
  world.wakeAllPulls()
  for (let step = 0; step < weather.steps; step++) {
    const worked = await world.step()
    if (weather.humans && random.chance(0.06)) typed.something()
    if (weather.operators && random.chance(0.02)) await operate(world)
    if (weather.pauses && pausing.due()) await pausing.something()
    if (weather.erasures && erasing.due()) await erasing.something()
    const again = weather.erasures && weather.humans ? erasing.again() : null
    if (again !== null) typed.add(random.pick([...world.apps.keys()]), again)
    // Drawn by numbers of their own: whoever replays a seed without undos meets the same storm.
    if (weather.undos && undoing.due()) await undoing.something()
    if (weather.restores && restoring.due()) await restoring.something()
    if (weather.crashes && random.chance(0.01)) world.crash(random.chance(0.5))
    if (weather.queueLoss && random.chance(0.005)) world.loseQueue()
    if (weather.humans && random.chance(0.002)) await world.changePolicies(drawPolicies(random))
    if (weather.faults && random.chance(0.01))
      world.app(random.pick([...world.apps.keys()])).revoked = random.chance(0.5)
    if (!worked || random.chance(0.02)) {
      world.advance(random.below(20_000))
      if (random.chance(0.5)) world.wakeAllPulls()
      else await world.sweep()
    }
  }
}

/** Faults end; whoever was asleep wakes up; all is done when a whole round finds nothing to do. */
export async function fairWeather(
  world: World,
  { undoing, pausing, restoring }: Partial<Operators> = {},
): Promise<void> {
  world.queueFaults = false
  for (const app of world.apps.values()) {
    app.faults.clear()
    app.revoked = false
  }
  for (let round = 0; round < 60; round++) {
    world.writes.clear()
    await decideConflicts(world)
    await undoing?.finish()
    await restoring?.finish()
    world.wakeAllPulls()
    await pausing?.finish()
    await world.drain()
    await world.sweep()
    await world.drain()
    const paused = (await world.store.connections()).some(({ pause }) => pause !== null)
    const rest =
      !paused && !(await waitsForOperator(world)) && (await world.store.due(Number.MAX_SAFE_INTEGER)).length === 0
    if (rest && world.writes.size === 0 && round > 0 && !(await somethingUnsettled(world.runtimeWithoutGates()))) return
    world.advance(16 * 60_000)
  }
  const { store } = world
  const left = {
    paused: (await store.connections()).flatMap(({ name, pause }) => (pause ? [name] : [])),
    due: await store.due(Number.MAX_SAFE_INTEGER),
    writes: [...world.writes],
    unplanned: await store.unplanned(5),
    rechecks: await store.rechecks(5),
    staged: (await store.staged(5)).links,
  }
  throw new Error(`I1 the world does not come to rest: ${JSON.stringify(left)}`)
}

/** Whether an undo or a restore has led to a write that nobody has let go yet. */
async function waitsForOperator({ store }: World): Promise<boolean> {
  const reasons = new Set<string | undefined>([UNDO_CREATES, UNDO_DELETES, BROUGHT_BACK])
  for await (const { held } of store.intents({ state: 'held' })) if (reasons.has(held)) return true
  return false
}

/** I2: once more over a world at rest: nothing is written, nothing planned, no record read again. */
async function quiet(world: World): Promise<string[]> {
  world.writes.clear()
  world.calls.clear()
  world.wakeAllPulls()
  await world.drain()
  const found: string[] = []
  for (const [name, count] of world.writes) found.push(`I2 a quiet pass wrote ${count} records in ${name}`)
  return found
}

/** What the humans do, and what of it must not be lost. */
class Diary {
  readonly #world: World
  #entries: Typed[] = []
  #restrictions: Restriction[] = []
  #serial = 0

  constructor(world: World) {
    this.#world = world
  }

  get entries(): readonly Typed[] {
    return this.#entries
  }

  /** Restrictions that stand in a record as a human left it, and that nobody has opted out of since. */
  get restrictions(): readonly Restriction[] {
    return this.#restrictions
  }

  add(name: string, index: number): void {
    const id = this.#world.app(name).add(cardOf(index, this.#world.random))
    this.#world.humanMade.add(`${name} ${id}`)
    this.#note(name, id)
  }

  something(): void {
    const { random } = this.#world
    const name = random.pick([...this.#world.apps.keys()])
    const app = this.#world.app(name)
    const ids = this.#world.idsOf(name)
    if (ids.length === 0 || random.chance(0.15)) return this.add(name, random.below(24))
    const id = random.pick(ids)
    if (random.chance(0.08)) {
      this.#world.note(`human in ${name}: removes ${id}`)
      this.#forget(name, id)
      app.remove(id)
      this.#world.humanRemoved.add(`${name} ${id}`)
    } else if (random.chance(0.06) && ids.length > 1) {
      const winner = random.pick(ids.filter((other) => other !== id))
      this.#forget(name, id)
      this.#forget(name, winner)
      this.#world.merges++
      this.#world.humanMerges++
      this.#world.note(`human in ${name}: merges ${id} into ${winner}`)
      for (const merged of [id, winner]) this.#world.humanRemoved.add(`${name} ${merged}`)
      this.#world.humanMade.add(`${name} ${app.merge(id, winner)}`)
    } else if (this.#world.keepsConsent(name) && random.chance(0.2)) {
      this.#consent(name, id)
    } else {
      const before = app.peek(id)?.fields ?? {}
      const exposed = this.#world.exposed(name, id)
      app.edit(id, editOf(before, ++this.#serial, random))
      if (exposed) this.#forget(name, id)
      else this.#note(name, id)
    }
  }

  /** Somebody unsubscribes, or bounces; or subscribes again, with a proof or without one. */
  #consent(name: string, id: string): void {
    const { random, now_ms } = this.#world
    const proven = random.chance(0.3)
    const state = proven ? 'subscribed' : random.pick(['unsubscribed', 'bounced', 'complained', 'subscribed', null])
    this.#world.advance(1)
    const optedIn = proven ? { optedIn: new Date(now_ms + 1).toISOString() } : {}
    this.#world.app(name).edit(id, { consent: state, ...optedIn })
    this.#note(name, id)
    const lens = this.#world.rules.connections.get(name)?.lens
    const key = lens?.consents[0]?.key(this.#world.app(name).peek(id)?.fields ?? {}) ?? null
    if (key === null) return
    if (proven) this.#restrictions = this.#restrictions.filter((one) => one.key !== key)
    else if (state !== null && state !== 'subscribed') this.#restrictions.push({ app: name, id, key })
  }

  /** The record says something new: that is what must not vanish. What it said before may, for its own human changed it. */
  #note(name: string, id: string): void {
    const lens = this.#world.rules.connections.get(name)?.lens
    const record = this.#world.app(name).peek(id)
    if (!lens || !record) return
    this.#world.note(`human in ${name}: ${id} ${JSON.stringify(record.fields)}`)
    this.#forget(name, id)
    this.#entries.push({ app: name, id, cells: lens.get(record.fields) })
  }

  #forget(name: string, id: string): void {
    this.#restrictions = this.#restrictions.filter((one) => one.app !== name || one.id !== id)
    // What Kith has merged into the record is the record's now.
    const stands = (old: string): string => this.#world.app(name).leadsTo(old) ?? old
    this.#entries = this.#entries.filter((entry) => entry.app !== name || (entry.id !== id && stands(entry.id) !== id))
  }
}
