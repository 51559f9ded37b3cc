import { z } from 'zod'
import type { Intent, Pause } from '../../engine/core/ports/store.ts'
import type { CleanUpPreview, CleanUpResolved } from '../clean-up.ts'
import type { PauseNews } from '../pause.ts'
import { Time, timeOf, timeOrNull, Value } from './common.ts'

/** A pause as it stands. */
export const PauseDocument = z
  .object({
    by: z.string(),
    reason: z.string(),
    since: Time,
    until: Time.nullable().describe('When it should be over. It never ends by itself.'),
    acknowledged: z.boolean().describe('No write is under way any more, and none can begin.'),
    overdue: z.boolean(),
    kept: z.int().describe('Records that wait for a decision.'),
  })
  .meta({ id: 'Pause' })

export function pauseDocument({ pause, overdue, kept }: PauseNews): z.infer<typeof PauseDocument> {
  return {
    by: pause.by,
    reason: pause.why,
    since: timeOf(pause.at_ms),
    until: timeOrNull(pause.until_ms),
    acknowledged: pause.since_ms !== null,
    overdue,
    kept,
  }
}

/** What came of asking for a pause. */
export const PausedDocument = z
  .object({
    id: z.string(),
    by: z.string(),
    reason: z.string(),
    until: Time.nullable(),
    begun: z.boolean().describe('false: it was in this pause already.'),
    acknowledged: z.boolean(),
    underWay: z.array(z.object({ id: z.string(), op: z.string(), record: z.string().nullable() })),
  })
  .meta({ id: 'Paused' })

export function pausedDocument(
  { id, by, why, until_ms }: Pause,
  begun: boolean,
  underWay: readonly Intent[],
): z.infer<typeof PausedDocument> {
  return {
    id,
    by,
    reason: why,
    until: timeOrNull(until_ms),
    begun,
    acknowledged: underWay.length === 0,
    underWay: underWay.map(({ id: write, op, recordId }) => ({ id: write, op, record: recordId })),
  }
}

const CleanUpCountsDocument = z
  .object({
    edited: z.int(),
    merged: z.int(),
    into: z.int().describe('How many records those were merged into.'),
    deleted: z.int(),
    created: z.int(),
    fields: z.record(z.string(), z.int()).describe('In how many edited records each field says something else.'),
  })
  .meta({ id: 'CleanUpCounts' })

const ResolvedDocument = z.object({
  act: z.string(),
  decided: z.int(),
  left: z.int().describe('Records that still wait for a decision.'),
  ended: z.boolean().describe('The pause is over, and the queue drains.'),
})

/** A clean-up, and what follows or would follow from a decision about it. */
export const CleanUpDocument = z
  .object({
    connection: z.string(),
    pause: z.object({ id: z.string(), by: z.string(), reason: z.string(), at: Time }),
    cleanUp: CleanUpCountsDocument,
    part: CleanUpCountsDocument.describe('The part that was asked about.'),
    way: z.enum(['release', 'drop', 'revert']),
    following: z.array(
      z.object({
        connection: z.string(),
        creates: z.int(),
        updates: z.int(),
        deletes: z.int(),
        merges: z.int(),
        held: z.int(),
        reasons: z.array(z.string()),
        samples: z.array(
          z.object({
            op: z.string(),
            person: z.string(),
            record: z.string().nullable(),
            fields: z.record(z.string(), Value),
            held: z.string().nullable(),
          }),
        ),
      }),
    ),
    samples: z.array(
      z.object({
        recordId: z.string(),
        group: z.string(),
        before: z.record(z.string(), Value).nullable(),
        after: z.record(z.string(), Value).nullable(),
        into: z.string().optional(),
      }),
    ),
    deletionsHeld: z.string().nullable().describe('Why deletions will be held instead of believed.'),
    refused: z.array(z.object({ recordId: z.string(), why: z.string() })),
    waiting: z.int().describe('Writes from elsewhere that wait for the connection.'),
    seen: z
      .int()
      .describe('The newest hearing that this knows of: a decision that names it leaves alone what came later.'),
    resolved: ResolvedDocument.nullable().describe('null: a preview, nothing was decided.'),
  })
  .meta({ id: 'CleanUp' })

export function cleanUpDocument(
  preview: CleanUpPreview,
  resolved: CleanUpResolved | null,
): z.infer<typeof CleanUpDocument> {
  const { connection, pause, whole, part, way, following, samples, deletionsHeld, refused, waiting, seen } = preview
  return {
    connection,
    pause: { id: pause.id, by: pause.by, reason: pause.why, at: timeOf(pause.at_ms) },
    cleanUp: whole,
    part,
    way,
    following: following.map(({ samples: intents, reasons, ...counts }) => ({
      ...counts,
      reasons: [...reasons],
      samples: intents.map(({ op, personId, recordId, fields, held }) => ({
        op,
        person: personId,
        record: recordId,
        fields: { ...fields },
        held: held ?? null,
      })),
    })),
    samples: [...samples],
    deletionsHeld,
    refused: [...refused],
    waiting,
    seen,
    resolved: resolved && {
      act: resolved.act.id,
      decided: resolved.decided,
      left: resolved.left,
      ended: resolved.ended,
    },
  }
}
