import { z } from 'zod'
import type { Mending, MendingPreview } from '../audit-fix.ts'
import type { Audit } from '../audit.ts'
import { Value } from './common.ts'

/** What is wrong with the data. */
export const AuditDocument = z
  .object({
    people: z.int(),
    records: z.record(z.string(), z.int()).describe('Records looked at, by connection.'),
    findings: z.array(
      z.object({
        connection: z.string().nullable().describe('null: among people, wherever they are.'),
        rule: z.string().describe('What a repair takes.'),
        title: z.string(),
        count: z.int(),
        of: z.int().describe('Of how many records, or people.'),
        fixable: z.int().describe('How many of them can be repaired.'),
        samples: z.array(
          z.object({
            record: z.string().nullable(),
            person: z.string().nullable(),
            values: z.array(z.string()).optional().describe('What it says; only where values were asked for.'),
          }),
        ),
        next: z.string(),
      }),
    ),
    notes: z.array(z.string()).describe('What could not be looked at, and why.'),
  })
  .meta({ id: 'Audit' })

export function auditDocument({ people, records, findings, notes }: Audit): z.infer<typeof AuditDocument> {
  return {
    people,
    records: { ...records },
    findings: findings.map(({ samples, ...finding }) => ({
      ...finding,
      samples: samples.map(({ values, ...sample }) => ({ ...sample, ...(values ? { values: [...values] } : {}) })),
    })),
    notes: [...notes],
  }
}

/** What a repair would do, and what would follow in the apps. */
export const RepairPreviewDocument = z
  .object({
    people: z.int(),
    values: z.int(),
    writes: z
      .array(z.object({ connection: z.string(), op: z.enum(['create', 'update', 'delete', 'merge']), count: z.int() }))
      .describe('What follows in each app. It is held until an operator lets it go.'),
    samples: z.array(
      z.object({
        person: z.string(),
        field: z.string(),
        before: Value,
        after: Value,
        rules: z.array(z.string()).describe('Those that ask for it.'),
      }),
    ),
    seen: z.string().describe('What the act takes: it is refused where something else would be repaired by then.'),
  })
  .meta({ id: 'RepairPreview' })

export function repairPreviewDocument(
  { people, values, writes, seen }: MendingPreview,
  samples: readonly Mending[],
): z.infer<typeof RepairPreviewDocument> {
  return {
    people,
    values,
    writes: writes.map((one) => ({ ...one })),
    samples: samples.map(({ rules, ...one }) => ({ ...one, rules: [...rules] })),
    seen,
  }
}
