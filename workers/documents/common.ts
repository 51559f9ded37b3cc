import { z } from 'zod'
import { adviceFor, type Failure } from '../../engine/core/failure.ts'

/**
 * What operators are told as data: the same for `--json` and over HTTP. A document is a zod schema, which describes the admin API
 * and is held against every answer of it, and a function that makes one.
 */

/** A value of a field as apps have it: text, number, truth value, null, or an element of a set ({value, label, pref}). */
export const Value = z
  .unknown()
  .meta({ id: 'Value', description: 'A text, a number, true or false, null, or an object.' })

export const Time = z.iso.datetime().describe('ISO 8601, in UTC.')

export function timeOf(at_ms: number): string {
  return new Date(at_ms).toISOString()
}

export function timeOrNull(at_ms: number | null | undefined): string | null {
  return at_ms === null || at_ms === undefined ? null : timeOf(at_ms)
}

/** Why a connection or a record fails, and what to do about it. */
export const FailureDocument = z
  .object({
    kind: z.string(),
    message: z.string(),
    advice: z.string(),
    code: z.string().optional().describe('What the app called it.'),
  })
  .meta({ id: 'Failure' })

export function failureDocument(failure: Failure): z.infer<typeof FailureDocument> {
  const { kind, message, code } = failure
  return { kind, message, advice: adviceFor(failure), ...(code === undefined ? {} : { code }) }
}
