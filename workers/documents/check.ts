import { z } from 'zod'
import type { Finding, Findings } from '../check-findings.ts'

const FindingDocument = z
  .object({
    message: z.string(),
    advice: z.string(),
    connection: z.string().optional(),
    file: z.string().optional().describe('Where it stands, where it stands in a file.'),
    line: z.int().optional(),
    column: z.int().optional(),
  })
  .meta({ id: 'Finding' })

/** What is wrong with a config and its connections. */
export const CheckDocument = z
  .object({
    ok: z.boolean().describe('There are no errors.'),
    connections: z.record(
      z.string(),
      z.object({
        app: z.string(),
        answered: z.boolean(),
        summary: z.string().nullable(),
        fields: z.int().describe('How many fields are mapped.'),
        lossy: z.record(z.string(), z.string()).describe('Fields of which the app cannot keep everything, and why.'),
      }),
    ),
    errors: z.array(FindingDocument),
    warnings: z.array(FindingDocument),
  })
  .meta({ id: 'Check' })

export function checkDocument({ connections, errors, warnings }: Findings): z.infer<typeof CheckDocument> {
  const lines = Object.entries(connections).map(([name, { lossy, ...line }]) => [
    name,
    { ...line, lossy: { ...lossy } },
  ])
  return {
    ok: errors.length === 0,
    connections: Object.fromEntries(lines) as z.infer<typeof CheckDocument>['connections'],
    errors: errors.map(findingDocument),
    warnings: warnings.map(findingDocument),
  }
}

function findingDocument({
  file,
  line,
  column,
  message,
  advice,
  connection,
}: Finding): z.infer<typeof FindingDocument> {
  return {
    ...(file === undefined ? {} : { file }),
    ...(line === undefined ? {} : { line }),
    ...(column === undefined ? {} : { column }),
    message,
    advice,
    ...(connection === undefined ? {} : { connection }),
  }
}
