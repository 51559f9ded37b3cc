import { z } from 'zod'
import { approvable, brakeHolds, isApproved, planStanding, waitingForApproval, type BrakeHold } from '../approve.ts'
import type { Household } from '../household.ts'
import type { AmbiguousLine, ConflictLine, OperationLine } from '../listing.ts'
import { summarisePlan, type PlanSummary } from '../plan-summary.ts'
import { Time, timeOrNull, Value } from './common.ts'

export const OpWord = z.enum(['create', 'update', 'delete', 'merge'])

/** One write that is planned. */
export const OperationDocument = z
  .object({
    connection: z.string(),
    op: OpWord,
    person: z.string(),
    name: z.string(),
    record: z.string().optional(),
    fields: z.array(z.object({ field: z.string(), before: Value, after: Value, why: z.string() })),
    into: z.string().optional().describe('Of a merge: the record that stands.'),
    why: z.string().optional().describe('Of a delete.'),
    held: z.string().optional().describe('Why it waits, where it does: approval, or the sentence of a brake.'),
  })
  .meta({ id: 'Operation' })

export function operationDocument({ fields, ...line }: OperationLine): z.infer<typeof OperationDocument> {
  return { ...line, fields: [...fields] }
}

/** A record that may be one of several people, or a second record of one. */
export const AmbiguousDocument = z
  .object({
    connection: z.string(),
    record: z.string(),
    reason: z.string(),
    candidates: z.array(z.object({ id: z.string(), name: z.string() })),
  })
  .meta({ id: 'Ambiguous' })

export function ambiguousDocument({ candidates, ...line }: AmbiguousLine): z.infer<typeof AmbiguousDocument> {
  return { ...line, candidates: [...candidates] }
}

/** Two values between which a person must choose. */
export const ConflictDocument = z
  .object({
    person: z.string(),
    name: z.string(),
    field: z.string(),
    connection: z.string(),
    record: z.string(),
    ours: Value,
    theirs: Value,
  })
  .meta({ id: 'Conflict' })

export function conflictDocument(line: ConflictLine): z.infer<typeof ConflictDocument> {
  return { ...line }
}

/** The whole plan in a few lines. */
export const PlanSummaryDocument = z
  .object({
    count: z.int().describe('Writes in all; those that an app has refused are not among them.'),
    configChanged: z
      .boolean()
      .describe('The config is another than the one that was approved: what it changes is no edit of anybody.'),
    connections: z.array(
      z.object({
        connection: z.string(),
        ops: z.partialRecord(OpWord, z.int()),
        fields: z.array(
          z.object({
            field: z.string(),
            count: z.int().describe('Records in which it changes.'),
            samples: z.array(
              z.object({
                personId: z.string(),
                cell: z.string(),
                change: z.looseObject({ before: Value, after: Value }),
              }),
            ),
          }),
        ),
      }),
    ),
  })
  .meta({ id: 'PlanSummary' })

export function planSummaryDocument({ connections, ...sums }: PlanSummary): z.infer<typeof PlanSummaryDocument> {
  return {
    ...sums,
    connections: connections.map(({ connection, ops, fields }) => ({
      connection,
      ops: { ...ops },
      fields: fields.map(({ field, count, samples }) => ({
        field,
        count,
        samples: samples.map(({ personId, cell, change }) => ({ personId, cell, change: { ...change } })),
      })),
    })),
  }
}

/** What a brake holds in one connection. */
export const BrakeDocument = z
  .object({
    connection: z.string(),
    reason: z.string().describe("The brake's own sentence."),
    what: z
      .enum([...OpWord.options, 'deletions'])
      .describe('deletions: heard from there, and not believed. Everything else: writes to there.'),
    count: z.int(),
  })
  .meta({ id: 'Brake' })

export function brakeDocument({ connection, reason, what, count }: BrakeHold): z.infer<typeof BrakeDocument> {
  return { connection, reason, what, count }
}

/** How the plan stands. */
export const PlanDocument = z
  .object({
    standing: z
      .enum(['none', 'other', 'present'])
      .describe('none: nothing was planned whole yet. other: with another config than the one in force.'),
    planned: Time.nullable().describe('When the last whole plan was made.'),
    planning: z.boolean().describe('A plan is being made just now: see POST /plan.'),
    approved: z.boolean().describe('The config in force is approved: what is planned is sent by itself.'),
    approve: z
      .object({ writes: z.int(), fingerprint: z.string().describe('Names this plan to POST /plan/approve.') })
      .describe('What an approval would release.'),
    waiting: z
      .int()
      .describe('Writes that wait for an approval; more than those were planned since the last whole plan.'),
    held: z.boolean().describe('Something waits for an approval, or behind a brake.'),
    summary: PlanSummaryDocument,
    ambiguous: z.int().describe('Records that may be one of several people: see GET /review.'),
    conflicts: z.int(),
    brakes: z.array(BrakeDocument),
  })
  .meta({ id: 'Plan' })

/** Asks no app. */
export async function planDocument(household: Household, planning: boolean): Promise<z.infer<typeof PlanDocument>> {
  const { store } = household
  const { standing, at_ms } = await planStanding(household)
  const waiting = await waitingForApproval(household)
  const brakes = (await brakeHolds(household)).map(brakeDocument)
  const ambiguous = [...(await store.counts()).values()].reduce((sum, counts) => sum + counts.ambiguous, 0)
  let conflicts = 0
  for await (const conflict of store.conflicts()) conflicts += conflict.open ? 1 : 0
  return {
    standing,
    planned: timeOrNull(at_ms),
    planning,
    approved: await isApproved(household),
    approve: await approvable(household),
    waiting,
    held: waiting > 0 || brakes.length > 0,
    summary: planSummaryDocument(await summarisePlan(household)),
    ambiguous,
    conflicts,
    brakes,
  }
}
