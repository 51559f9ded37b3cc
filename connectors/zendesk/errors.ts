import type { Failure } from '../../engine/core/failure.ts'
import { ErrorSchema, type ErrorBody, type JobResult } from './wire.ts'

/**
 * Zendesk's refusals as failures. Its sentences quote the values they complain of ("Email: ... is already being used by
 * another user"), so that only the names of fields and the kind of complaint are passed on (I15).
 */

/** What a record's fields are called here, by Zendesk's names in `details`. */
const FIELD_NAMES: { readonly [name: string]: string } = {
  email: 'emails',
  value: 'emails or phones',
  identities: 'emails or phones',
  phone: 'phones',
  phone_number: 'phones',
}

/** Errors of one row of a job that go away by themselves. */
const PASSING = /conflict|timeout|timedout|unavailable|lock|internal|throttl|ratelimit|toomany/i
const MISSING = /notfound|not_found/i

export function errorOf(body: string): ErrorBody | null {
  try {
    const parsed = ErrorSchema.safeParse(JSON.parse(body))
    return parsed.success ? parsed.data : null
  } catch {
    return null
  }
}

/** The failure that a 400, 403 or 422 about one record means. */
export function refusalOf(status: number, body: string): Failure {
  if (status === 403) return { kind: 'permanent', code: '403', message: 'Zendesk does not let Kith change this user' }
  const error = errorOf(body)
  const name = typeof error?.error === 'string' ? error.error : undefined
  const complaints = Object.entries(error?.details ?? {}).map(([field, found]) =>
    complaint(field, found.map(({ error: code, description }) => `${code ?? ''} ${description ?? ''}`).join(' ')),
  )
  return {
    kind: 'permanent',
    code: name === undefined ? String(status) : `${status} ${bare(name)}`,
    message:
      complaints.length === 0
        ? `Zendesk refuses the user (${status})`
        : `Zendesk refuses the user: ${complaints.join('; ')}`,
  }
}

/** The failure of one row of a job. */
export function rowFailure(result: JobResult | undefined): Failure {
  if (!result) {
    return { kind: 'transient', code: 'NO-RESULT', message: 'Zendesk finished the job without a word on this user' }
  }
  const error = typeof result.error === 'string' ? result.error : ''
  const details = textOf(result.details ?? result.errors)
  const code = bare(error === '' ? (result.status ?? 'Failed') : error)
  if (MISSING.test(error)) return { kind: 'gone', code, message: 'The user is no longer in Zendesk' }
  if (PASSING.test(error)) return { kind: 'transient', code, message: 'Zendesk did not get to this user' }
  const field = /^\s*(?:\{"|\[\{")?([a-z_]+)"?\s*:/i.exec(details)?.[1]?.toLowerCase()
  const about = field === undefined ? kindOfComplaint(details) : complaint(field, details)
  return { kind: 'permanent', code, message: `Zendesk refuses the user: ${about}` }
}

function complaint(field: string, text: string): string {
  return `${FIELD_NAMES[field] ?? bare(field)} ${kindOfComplaint(text)}`
}

function kindOfComplaint(text: string): string {
  if (/duplicate|already (?:being used|been taken)/i.test(text)) return 'already belongs to another user'
  if (/blank|too short/i.test(text)) return 'must not be blank'
  if (/too long/i.test(text)) return 'is too long'
  if (/format|not valid|invalid/i.test(text)) return 'is not valid'
  return 'is refused'
}

/** A name of Zendesk's own, never a sentence. */
function bare(name: string): string {
  return name.replace(/[^\w.-]/g, '').slice(0, 40)
}

function textOf(value: unknown): string {
  if (value === undefined || value === null) return ''
  return typeof value === 'string' ? value : JSON.stringify(value)
}
