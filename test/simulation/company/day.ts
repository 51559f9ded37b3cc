import { createHash } from 'node:crypto'
import { Random } from '../random.ts'
import { findings } from './check.ts'
import { Staff } from './staff.ts'
import { CompanyWorld } from './world.ts'

export interface Day {
  readonly seed: number
  /** What is wrong in the end; empty in a healthy company. */
  readonly violations: readonly string[]
  readonly trace: readonly string[]
  /** A digest of the trace (I14). */
  readonly digest: string
  /** That it was a day at all: acts of humans, hooks, failures and writes, by kind. */
  readonly told: { readonly [what: string]: number }
}

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const HOURS = 24
/** Fair weather lasts so long at least, so that retries, sweeps and owed listings have their turn. */
const ROUNDS_MIN = 12
const ROUNDS_MAX = 200
const ROUND_MS = 11 * MINUTE_MS

/** One seeded day of a company, from the first sync to the evening; then fair weather to the end, then the invariants. */
export async function runDay(seed: number): Promise<Day> {
  const random = new Random(seed)
  const world = new CompanyWorld(random)
  const staff = new Staff(world, random)
  const violations: string[] = []
  const chance = Math.random
  // Pauses before a retry are drawn, too: from the seed here.
  Math.random = () => random.next()
  try {
    await world.open()
    staff.moveIn()
    await storm(world, staff, random)
    await fairWeather(world)
    violations.push(...(await findings(world, staff)), ...(await oneMorePass(world)))
  } catch (error) {
    violations.push(`the day broke: ${error instanceof Error ? error.stack : String(error)}`)
  } finally {
    Math.random = chance
    await world.close()
  }
  const digest = createHash('sha256').update(world.trace.join('\n')).digest('hex')
  return { seed, violations, trace: world.trace, digest, told: told(world, staff) }
}

/** The day as it comes: humans, hooks, limits, mishaps. */
async function storm(world: CompanyWorld, staff: Staff, random: Random): Promise<void> {
  const { clock } = world
  const accounts = [...world.accounts.values()]
  const end_ms = clock.now() + HOURS * HOUR_MS
  world.stormy = true
  world.interrupt = () => staff.act()
  // Most records are made in the first sync: some of its answers get lost.
  for (const account of accounts) if (random.chance(0.7)) account.mishaps['lost']?.()
  for (let hour = 0; clock.now() < end_ms;) {
    clock.advance(20_000 + random.below(80_000))
    if (random.chance(0.09)) staff.act()
    if (random.chance(0.05)) {
      const account = random.pick(accounts)
      const name = random.pick(Object.keys(account.mishaps))
      world.note(`mishap in ${account.name}: ${name}`)
      account.mishaps[name]?.()
    }
    if (random.chance(0.25)) random.pick(accounts).calm()
    const hours = Math.floor((end_ms - clock.now()) / HOUR_MS)
    if (hours !== hour) {
      hour = hours
      // Access tokens last an hour.
      for (const name of ['google', 'salesforce']) world.account(name).mishaps['expired']?.()
    }
    await world.work()
  }
  world.stormy = false
  for (const account of accounts) account.calm()
}

async function fairWeather(world: CompanyWorld): Promise<void> {
  for (let round = 0, calm = 0; calm < 3 || round < ROUNDS_MIN; round++) {
    if (round === ROUNDS_MAX) throw new Error('I1 the company does not come to rest')
    // What only a listing of everything finds has its turn once a day.
    world.clock.advance(round === 2 ? 25 * HOUR_MS : ROUND_MS)
    world.writes.clear()
    world.wakeAllPulls()
    await world.work()
    await world.work()
    calm = world.writes.size === 0 && (await world.atRest()) ? calm + 1 : 0
  }
}

/** I2: once more over a company at rest: one call in each account, and nothing written. */
async function oneMorePass(world: CompanyWorld): Promise<string[]> {
  // An app whose feed tells no deletions looks for them every quarter of an hour: that is done just before.
  world.clock.advance(16 * MINUTE_MS)
  world.wakeAllPulls()
  await world.drain()
  world.clock.advance(5 * MINUTE_MS)
  world.writes.clear()
  const before = new Map([...world.accounts].map(([name, account]) => [name, account.calls()]))
  world.wakeAllPulls()
  await world.drain()
  const found = [...world.writes].map(([name, count]) => `I2 a quiet pass wrote ${count} records in ${name}`)
  for (const [name, account] of world.accounts) {
    const calls = account.calls() - (before.get(name) ?? 0)
    if (calls !== 1) found.push(`I2 a quiet pass made ${calls} calls in ${name}`)
  }
  return found
}

function told(world: CompanyWorld, staff: Staff): Day['told'] {
  const named = (prefix: string, counts: Iterable<readonly [string, number]>): [string, number][] =>
    [...counts].map(([what, count]) => [`${prefix} ${what}`, count])
  return Object.fromEntries([
    ...named('human:', staff.acts),
    ...named('hooks:', Object.entries(world.hooks)),
    ...named('failure:', world.failures),
    ...named(
      'calls:',
      [...world.accounts].map(([name, account]) => [name, account.calls()] as const),
    ),
    ['slept, s', Math.round(world.clock.slept_ms / 1000)],
  ])
}
