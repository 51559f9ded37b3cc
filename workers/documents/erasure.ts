import { z } from 'zod'
import type { Certificate, Erasure, Waiver } from '../../engine/core/erasure.ts'
import type { ErasureNews } from '../erasure-news.ts'
import type { ForgetPreview } from '../forget.ts'
import { FailureDocument, failureDocument, Time, timeOf } from './common.ts'

const RecordDocument = z.object({ connection: z.string(), recordId: z.string() })

/** What forgetting somebody would do. */
export const ForgetPreviewDocument = z
  .object({
    person: z.object({ id: z.string(), name: z.string() }),
    merged: z.int().describe('How many people were merged into them, who go too.'),
    records: z.array(
      RecordDocument.extend({
        how: z
          .enum(['erase', 'delete', 'bin', 'by hand'])
          .describe(
            "erase: for good, by the app's own call. delete: as records are deleted there. bin: it was deleted before, and goes " +
              "from the app's bin too. by hand: Kith cannot, or may not, delete there.",
          ),
      }),
    ),
    undecided: z.array(RecordDocument).describe("Records that may be theirs or another's: not touched. Decide first."),
    held: z
      .object({
        cells: z.int(),
        records: z.int(),
        log: z.int(),
        deliveries: z.int(),
        conflicts: z.int(),
        apart: z.int(),
        kept: z.int(),
      })
      .describe('How much there is of them in Kith, which goes.'),
    barred: z.int().describe('Addresses, numbers and external ids that are barred from now on.'),
    shared: z.int().describe('Those of them that others have too: barred together with the name only.'),
    consents: z.int().describe('Of how many of them the consent ledger knows something, which stays under a hash.'),
    backups: z.array(z.string()).describe('Backups made before, which may still have them.'),
    seen: z.string().describe('What the act takes: it is refused where something else would go by then.'),
  })
  .meta({ id: 'ForgetPreview' })

export function forgetPreviewDocument(
  preview: ForgetPreview,
  backups: readonly string[],
): z.infer<typeof ForgetPreviewDocument> {
  const { person, merged, records, undecided, held, barred, shared, consents, seen } = preview
  return {
    person: { ...person },
    merged,
    records: records.map((one) => ({ ...one })),
    undecided: undecided.map((one) => ({ ...one })),
    held: { ...held },
    barred,
    shared,
    consents,
    backups: [...backups],
    seen,
  }
}

/** What was done, app by app: ids and hashes only. */
export const CertificateDocument = z
  .object({
    erasure: z.string(),
    opened: Time,
    closed: Time,
    by: z.string(),
    records: z.array(
      z.object({
        connection: z.string(),
        record: z.string().describe("The keyed hash of the record's id."),
        outcome: z.enum(['erased', 'deleted', 'gone', 'waived']),
        at: Time,
      }),
    ),
    barred: z.array(z.string()).describe('Keyed hashes of what the person is barred by.'),
    purged: z.record(z.string(), z.int()).describe('What Kith itself had, and has no more.'),
  })
  .meta({ id: 'Certificate' })

export function certificateDocument(certificate: Certificate): z.infer<typeof CertificateDocument> {
  const { records, barred, purged, ...rest } = certificate
  return { ...rest, records: records.map((one) => ({ ...one })), barred: [...barred], purged: { ...purged } }
}

const WaiverDocument = z.object({ at: Time, by: z.string(), why: z.string() })

/** An erasure as it stands. */
export const ErasureDocument = z
  .object({
    id: z.string(),
    state: z
      .enum(['open', 'done', 'lifted'])
      .describe('open: not every app has answered. done: they have. lifted: the bar was a mistake.'),
    opened: Time,
    by: z.string(),
    why: z.string(),
    of: z.string().optional().describe('An earlier erasure, whose records had come back.'),
    records: z
      .array(
        RecordDocument.extend({
          state: z.enum(['answered', 'waived', 'waiting']),
          because: z.string().optional().describe('Why it waits.'),
          failure: FailureDocument.optional(),
        }),
      )
      .describe('Of an open one: where each record stands.'),
    waived: z.record(z.string(), WaiverDocument).describe('Connections that are not waited for.'),
    lifted: WaiverDocument.optional(),
    addedAgain: z
      .array(z.object({ connection: z.string(), record: z.string() }))
      .describe('Records that somebody has made of the person since: they take no part.'),
  })
  .meta({ id: 'Erasure' })

export function erasureDocument({ erasure, steps, back }: ErasureNews): z.infer<typeof ErasureDocument> {
  const { id, state, opened_ms, by, why, of, waived, lifted }: Erasure = erasure
  return {
    id,
    state,
    opened: timeOf(opened_ms),
    by,
    why,
    ...(of === undefined ? {} : { of }),
    records: steps.map(({ failure, ...step }) => ({
      ...step,
      ...(failure ? { failure: failureDocument(failure) } : {}),
    })),
    waived: Object.fromEntries(Object.entries(waived).map(([connection, waiver]) => [connection, waiverOf(waiver)])),
    ...(lifted ? { lifted: waiverOf(lifted) } : {}),
    addedAgain: back.map(({ connection, recordId }) => ({ connection, record: recordId })),
  }
}

function waiverOf({ at_ms, by, why }: Waiver): z.infer<typeof WaiverDocument> {
  return { at: timeOf(at_ms), by, why }
}
