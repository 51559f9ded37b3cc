import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { run, WEATHERS, type WeatherName } from './chaos.ts'
import { shrink } from './shrink.ts'

const SEEDS = 1000
/** Of the weathers in which operators pause and clean up, forget people, bring back what was; and of all that at once. */
const FEWER_SEEDS = { pauses: 150, erasures: 150, restores: 100, everything: 400 } as const
/** By weather. */
const known = JSON.parse(readFileSync(join(import.meta.dirname, 'seeds.json'), 'utf8')) as {
  readonly storm: readonly number[]
  readonly everything: readonly number[]
}
const seeds = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1)

async function failing(seeds: Iterable<number>, weather: WeatherName = 'storm'): Promise<string[]> {
  const reports: string[] = []
  for (const seed of seeds) {
    const { violations } = await run(seed, WEATHERS[weather])
    if (violations.length > 0) reports.push(await shrink(seed, weather))
  }
  return reports
}

describe('a storm of faults, crashes and humans, then fair weather (I1 to I4, I9, I13)', () => {
  test.each(['storm', 'everything'] as const)(
    'every seed of %s that ever failed passes',
    async (weather) => {
      expect(await failing(known[weather], weather)).toEqual([])
    },
    60_000,
  )

  test(`${SEEDS} seeds pass`, async () => {
    expect(await failing(seeds(SEEDS))).toEqual([])
  }, 240_000)

  test.each(Object.entries(FEWER_SEEDS) as [keyof typeof FEWER_SEEDS, number][])(
    'seeds with %s pass (I7, I10 to I12): %s of them',
    async (weather, count) => {
      expect(await failing(seeds(count), weather)).toEqual([])
    },
    120_000,
  )
})

test('the same seed gives the same trace (I14)', async () => {
  for (const seed of [1, 2, 3]) expect((await run(seed)).digest).toBe((await run(seed)).digest)
  expect((await run(1)).digest).not.toBe((await run(2)).digest)
})
