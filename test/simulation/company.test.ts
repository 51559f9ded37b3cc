import { describe, expect, test } from '@jest/globals'
import { runDay } from './company/day.ts'

/** More are run by `npm run soak -- --company --seeds 100`. */
const SEEDS = [1, 2, 3, 4]

describe('a day in a company of the five apps: humans, hooks lost and doubled, limits hit, tokens expiring', () => {
  test.each(SEEDS)(
    'seed %i ends in agreement, without duplicates, with no consent loosened and nothing lost (I1 to I5, I7)',
    async (seed) => {
      const day = await runDay(seed)
      // replay: npm run soak -- --company --seed <seed> --trace
      expect(day.violations).toEqual([])
      // A day on which nothing happens proves nothing.
      for (const what of ['human: merge', 'human: unsubscribe', 'human: remove', 'human: edit email'])
        expect([what, day.told[what] ?? 0]).not.toEqual([what, 0])
      for (const [what, least] of Object.entries({ heard: 50, lost: 10, doubled: 10, late: 10, forged: 10 }))
        expect(day.told[`hooks: ${what}`]).toBeGreaterThanOrEqual(least)
      expect(Object.keys(day.told).filter((what) => what.startsWith('failure: ')).length).toBeGreaterThan(2)
    },
    120_000,
  )
})
