import { z } from 'zod'
import { fieldOf } from '../../engine/core/catalogue.ts'
import type { MergePreview } from '../merge.ts'
import { Value } from './common.ts'
import { OpWord } from './plan.ts'

const One = z.object({ id: z.string(), name: z.string() })

/** What making two people one does. */
export const MergeDocument = z
  .object({
    winner: One.describe('Who stands.'),
    loser: One.describe('Who becomes the first one.'),
    fields: z.array(
      z.object({
        field: z.string(),
        first: Value,
        second: Value,
        stands: Value,
        why: z.enum(['only', 'same', 'later', 'kept']),
      }),
    ),
    records: z.array(
      z.object({
        connection: z.string(),
        record: z.string(),
        what: z
          .enum(['moves', 'merge', 'delete', 'stays', 'asked'])
          .describe(
            "moves: it is the other person's. merge, delete: a second record, which goes away once approved. stays: a second one that " +
              'is left alone. asked: an operator is asked about it.',
          ),
        into: z.string().optional().describe('With merge: the record that stands.'),
      }),
    ),
    writes: z.array(
      z.object({
        connection: z.string(),
        op: OpWord,
        record: z.string().nullable(),
        into: z.string().optional(),
        held: z.string().nullable(),
        fields: z.array(z.string()),
      }),
    ),
    toldApart: z.boolean().describe('An operator has told the two apart before.'),
  })
  .meta({ id: 'Merge' })

export function mergeDocument(preview: MergePreview): z.infer<typeof MergeDocument> {
  const { winner, loser, cells, records, writes, toldApart } = preview
  return {
    winner,
    loser,
    fields: cells.map(({ cell, winner: ours, loser: theirs, stands, why }) => ({
      field: fieldOf(cell),
      first: ours?.value ?? null,
      second: theirs?.value ?? null,
      stands,
      why,
    })),
    records: records.map(({ recordId, ...rest }) => ({ ...rest, record: recordId })),
    writes: writes.map(({ connection, op, recordId, into, held, cells: planned }) => ({
      connection,
      op,
      record: recordId,
      ...(into === undefined ? {} : { into }),
      held: held ?? null,
      fields: Object.keys(planned).map(fieldOf),
    })),
    toldApart,
  }
}
