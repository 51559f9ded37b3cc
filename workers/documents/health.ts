import { z } from 'zod'
import { HEALTH_STATES, type HealthState } from '../../engine/core/health.ts'
import type { HealthCounts, HealthLine } from '../health.ts'

export const HealthStateWord = z
  .enum(HEALTH_STATES as [HealthState, ...HealthState[]])
  .describe(
    'in-sync: it says what the person says. waiting: Kith goes on by itself. excluded: the rules leave it alone. held: an operator ' +
      'lets it go. parked: the app refused a write. ambiguous: whose it is, an operator says. unreadable: it cannot be read.',
  )

/** One record, or the place of a person who has none, and how it stands. */
export const HealthDocument = z
  .object({
    connection: z.string(),
    record: z.string().nullable(),
    person: z.string().nullable(),
    name: z.string().nullable(),
    state: HealthStateWord,
    cause: z.string(),
    why: z.string(),
    command: z.string().nullable().describe('What moves it on; null where nothing has to be done.'),
  })
  .meta({ id: 'Health' })

export function healthDocument(line: HealthLine): z.infer<typeof HealthDocument> {
  const { connection, record, person, name, state, cause, why, command } = line
  return { connection, record, person, name, state, cause, why, command }
}

/** How many records stand how. */
export const HealthCountsDocument = z
  .object({
    connections: z.record(
      z.string(),
      z.object({
        states: z.record(HealthStateWord, z.int()),
        causes: z.record(z.string(), z.int()).describe('Only those that occur.'),
      }),
    ),
  })
  .meta({ id: 'HealthCounts' })

export function healthCountsDocument(counts: readonly HealthCounts[]): z.infer<typeof HealthCountsDocument> {
  const connections = counts.map(({ connection, states, causes }) => {
    return [connection, { states: { ...states }, causes: { ...causes } as { [cause: string]: number } }] as const
  })
  return { connections: Object.fromEntries(connections) }
}

/** Where a page of records ended. */
export const HealthPositionDocument = z.union([
  z.strictObject({ person: z.string() }),
  z.strictObject({
    state: z.enum(['staged', 'ambiguous', 'second', 'unreadable', 'erased']),
    connection: z.string(),
    record: z.string(),
  }),
])
