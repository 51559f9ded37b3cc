import { z } from 'zod'
import type { FateDifference, ValueDifference, WriteDifference } from '../../engine/core/backtest.ts'
import { fieldOf } from '../../engine/core/catalogue.ts'
import type { BacktestGround } from '../backtest.ts'
import { Time, timeOf, timeOrNull, Value } from './common.ts'
import { OpWord } from './plan.ts'

const Fate = z.enum(['applied', 'lost', 'refused', 'conflict', 'unheard'])

const ValueLine = z.object({
  person: z.string(),
  name: z.string(),
  field: z.string(),
  recorded: Value,
  instead: Value,
  rule: z.string(),
})

const WriteLine = z.object({
  person: z.string(),
  name: z.string(),
  field: z.string().nullable().describe('null: of a record created.'),
  connection: z.string(),
  op: OpWord,
  recorded: Value.optional().describe('Left out: it was not written.'),
  instead: Value.optional().describe('Left out: it would not have been written.'),
})

const OutcomeLine = z.object({
  person: z.string(),
  name: z.string(),
  field: z.string(),
  connection: z.string(),
  value: Value,
  heard_ms: z.int(),
  recorded: Fate,
  instead: Fate,
  rule: z.string(),
})

/** What would have ended otherwise under another config. */
export const BacktestDocument = z
  .object({
    config: z.string(),
    since: Time,
    changes: z.int().describe('How many were replayed.'),
    people: z.int().describe('Of whom something would have ended otherwise.'),
    values: z.array(ValueLine).describe('Values that another one would stand for now.'),
    writes: z.array(WriteLine).describe('Writes that would not have been made, or only then, or otherwise.'),
    outcomes: z.array(OutcomeLine).describe('Changes that would have ended otherwise.'),
    unknown: z
      .object({
        log_since: Time.nullable(),
        not_replayed: z.int().describe('Deletions, merges, matches and changes of consent.'),
        connections: z.array(z.string()).describe('Whose fields are not known: what came from them is not judged.'),
        unread_fields: z.record(z.string(), z.array(z.string())).describe('Mapped now, and read by nobody yet.'),
      })
      .describe('What this cannot tell.'),
  })
  .meta({ id: 'Backtest' })

type Named<Item> = Item & { readonly name: string }

export interface BacktestTold {
  readonly from_ms: number
  readonly changes: number
  readonly people: number
  readonly unjudged: number
  readonly values: readonly Named<ValueDifference>[]
  readonly writes: readonly Named<WriteDifference>[]
  readonly fates: readonly Named<FateDifference>[]
}

export function backtestDocument(
  { config, logFrom_ms, unknown, unread }: BacktestGround,
  { from_ms, changes, people, unjudged, values, writes, fates }: BacktestTold,
): z.infer<typeof BacktestDocument> {
  const unread_fields = Object.fromEntries(Object.entries(unread).map(([name, fields]) => [name, [...fields]]))
  return {
    config: config.file,
    since: timeOf(from_ms),
    changes,
    people,
    values: values.map(lineOf),
    writes: writes.map(({ personId, cell, ...rest }) => {
      return { person: personId, field: cell === null ? null : fieldOf(cell), ...rest }
    }),
    outcomes: fates.map(lineOf),
    unknown: {
      log_since: timeOrNull(logFrom_ms),
      not_replayed: unjudged,
      connections: [...unknown],
      unread_fields,
    },
  }
}

function lineOf<Item extends { readonly personId: string; readonly cell: string }>({
  personId,
  cell,
  ...rest
}: Item): Omit<Item, 'personId' | 'cell'> & { person: string; field: string } {
  return { person: personId, field: fieldOf(cell), ...rest }
}
