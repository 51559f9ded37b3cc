import { z } from 'zod'
import type { ParkedLine } from '../listing.ts'
import { FailureDocument, failureDocument } from './common.ts'

/** A write that an app refused, or a record that cannot be read. */
export const ParkedDocument = z
  .object({
    connection: z.string(),
    op: z.enum(['create', 'update', 'delete', 'merge', 'read']).describe('read: a record that cannot be read.'),
    person: z.string().nullable(),
    name: z.string(),
    record: z.string().nullable(),
    cause: z.string(),
    failure: FailureDocument.nullable(),
  })
  .meta({ id: 'Parked' })

export function parkedDocument(line: ParkedLine): z.infer<typeof ParkedDocument> {
  const { connection, op, person, name, record, cause, failure } = line
  return { connection, op, person, name, record, cause, failure: failure ? failureDocument(failure) : null }
}
