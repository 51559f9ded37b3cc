import { expect } from '@jest/globals'
import type { MergeOutcome } from '../../engine/core/ports/connector.ts'
import { fill, type World } from './harness.ts'
import type { Bench } from './suite.ts'

/** Merges by the connector, where the app can: what the outcome says, and what reading says afterwards. */
export function describeMerging(bench: Bench): void {
  const { harness } = bench
  const cannot = !harness.capabilities.merge && 'the app cannot merge'

  bench.group('merging two records', () => {
    bench.test('ends the one and answers with the id that stands', cannot, async (world) => {
      const [loser = '', winner = ''] = await fill(harness, world, 2)
      expect(world.connector.mergeable?.(loser, winner) ?? true).toBe(true)
      const into = standing(await merge(world, loser, winner))
      await world.settle?.()
      const there = (await world.human.list()).map(({ id }) => id)
      expect(there).toContain(into)
      expect(there).not.toContain(loser)
      const [answer] = await world.connector.read([into])
      expect(answer).toMatchObject({ kind: 'record', record: { id: into } })
      if (into !== winner) {
        // Whoever is linked to the record that was to stand must be led to the one that does.
        expect(await world.connector.read([winner])).toEqual([{ kind: 'merged', id: winner, into }])
      }
    })

    bench.test('can be found out about: the one that ended says merged or gone', cannot, async (world) => {
      const [loser = '', winner = ''] = await fill(harness, world, 2)
      expect(await kindOf(world, loser)).toBe('record')
      standing(await merge(world, loser, winner))
      await world.settle?.()
      expect(['merged', 'gone']).toContain(await kindOf(world, loser))
    })

    bench.test(
      'says uncertain where the answer was lost, and was done',
      cannot || bench.lacks('loseNextAnswer'),
      async (world) => {
        const [loser = '', winner = ''] = await fill(harness, world, 2)
        await world.connector.read([loser])
        await world.faults?.loseNextAnswer?.()
        const outcome = await merge(world, loser, winner)
        expect(outcome).toMatchObject({ kind: 'failed', failure: { kind: 'uncertain' } })
        await world.clear?.()
        await world.settle?.()
        expect(['merged', 'gone']).toContain(await kindOf(world, loser))
      },
    )

    bench.test('of a record that is not there is refused, and ends nothing', cannot, async (world) => {
      const [gone = '', winner = ''] = await fill(harness, world, 2)
      await world.human.remove(gone)
      await world.settle?.()
      const outcome = await merge(world, gone, winner)
      expect(outcome.kind).toBe('failed')
      expect(outcome.kind === 'failed' && ['gone', 'permanent'].includes(outcome.failure.kind)).toBe(true)
      expect(await kindOf(world, winner)).toBe('record')
      for (const secret of harness.secrets) expect(JSON.stringify(outcome)).not.toContain(secret)
    })
  })
}

async function merge({ connector }: World, loser: string, winner: string): Promise<MergeOutcome> {
  if (!connector.merge) throw new Error('the connector declares merge, and has none')
  const outcome = await connector.merge({ ref: 'm', id: loser, into: winner })
  expect(outcome.ref).toBe('m')
  return outcome
}

function standing(outcome: MergeOutcome): string {
  if (outcome.kind !== 'merged') throw new Error(`expected a merge, not ${JSON.stringify(outcome)}`)
  return outcome.into
}

async function kindOf({ connector }: World, id: string): Promise<string | undefined> {
  const [answer] = await connector.read([id])
  return answer?.kind
}
