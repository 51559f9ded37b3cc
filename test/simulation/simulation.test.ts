import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { run, WEATHERS, type WeatherName } from './chaos.ts'
import { shrink } from './shrink.ts'

const SEEDS = 1000
/** Of the weathers in which operators pause and clean up, or forget people. */
const FEWER_SEEDS = 150
const known = JSON.parse(readFileSync(join(import.meta.dirname, 'seeds.json'), 'utf8')) as number[]

async function failing(seeds: Iterable<number>, weather: WeatherName = 'storm'): Promise<string[]> {
  const reports: string[] = []
  for (const seed of seeds) {
    const { violations } = await run(seed, WEATHERS[weather])
    if (violations.length > 0) reports.push(await shrink(seed, weather))
  }
  return reports
}

describe('a storm of faults, crashes and humans, then fair weather (I1 to I4, I9, I13)', () => {
  test('every seed that ever failed passes', async () => {
    expect(await failing(known)).toEqual([])
  }, 60_000)

  test(`${SEEDS} seeds pass`, async () => {
    expect(await failing(Array.from({ length: SEEDS }, (_, index) => index + 1))).toEqual([])
  }, 240_000)

  test.each(['pauses', 'erasures'] as const)(
    `${FEWER_SEEDS} seeds with %s pass (I7, I10)`,
    async (weather) => {
      expect(
        await failing(
          Array.from({ length: FEWER_SEEDS }, (_, index) => index + 1),
          weather,
        ),
      ).toEqual([])
    },
    120_000,
  )
})

test('the same seed gives the same trace (I14)', async () => {
  for (const seed of [1, 2, 3]) expect((await run(seed)).digest).toBe((await run(seed)).digest)
  expect((await run(1)).digest).not.toBe((await run(2)).digest)
})
