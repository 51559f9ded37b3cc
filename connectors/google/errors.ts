import { FailureError, type Failure, type FailureKind } from '../../engine/core/failure.ts'
import { errorSchema, statusSchema, type Status } from './wire.ts'

/**
 * Google's errors in Kith's words. Google's own message is never passed on: it quotes what it was sent (I15). Only its codes
 * and the names of fields are.
 */

/** An answer that was no success, as far as it could be read. */
export interface Refusal {
  readonly http: number
  /** The name of the canonical code: FAILED_PRECONDITION. */
  readonly status: string
  /** ErrorInfo.reason: EXPIRED_SYNC_TOKEN, RATE_LIMIT_EXCEEDED, SERVICE_DISABLED, ... */
  readonly reason: string | null
  /** The fields that BadRequest.fieldViolations names. */
  readonly fields: readonly string[]
  /** The contacts of a batch that are named as the cause: by resource name, or by index for creates. */
  readonly contacts: ReadonlyMap<string, Status>
  /** Whether it came from Google's API at all, rather than from whoever answers at another address. */
  readonly fromApi: boolean
}

/** A failure with what Google said about it, for whoever knows what was asked. */
export class RefusedError extends FailureError {
  readonly refusal: Refusal

  constructor(refusal: Refusal, pattern: string) {
    super(failureOfRefusal(refusal, pattern))
    this.refusal = refusal
  }
}

/** google.rpc.Code by number. */
const CODES: { readonly [code: number]: string } = {
  1: 'CANCELLED',
  2: 'UNKNOWN',
  3: 'INVALID_ARGUMENT',
  4: 'DEADLINE_EXCEEDED',
  5: 'NOT_FOUND',
  6: 'ALREADY_EXISTS',
  7: 'PERMISSION_DENIED',
  8: 'RESOURCE_EXHAUSTED',
  9: 'FAILED_PRECONDITION',
  10: 'ABORTED',
  11: 'OUT_OF_RANGE',
  12: 'UNIMPLEMENTED',
  13: 'INTERNAL',
  14: 'UNAVAILABLE',
  15: 'DATA_LOSS',
  16: 'UNAUTHENTICATED',
}

const BATCH_DETAILS = /google\.people\.v1\.Batch(?:Create|Update)ContactsErrorDetails$/

export function refusalOf(http: number, body: unknown): Refusal {
  const parsed = errorSchema.safeParse(body)
  const error = parsed.success ? parsed.data.error : undefined
  const details = error?.details ?? []
  const info = details.find((detail) => detail['@type']?.endsWith('google.rpc.ErrorInfo'))
  const reason = info?.['reason']
  return {
    http,
    status: error?.status ?? String(http),
    reason: typeof reason === 'string' ? reason : null,
    fields: details.flatMap((detail) => violatedFields(detail['fieldViolations'])),
    contacts: new Map(
      details
        .filter((detail) => BATCH_DETAILS.test(detail['@type'] ?? ''))
        .flatMap((detail) => contactErrors(detail['contactErrors'])),
    ),
    fromApi: error !== undefined,
  }
}

function violatedFields(violations: unknown): string[] {
  if (!Array.isArray(violations)) return []
  return violations.flatMap((each: unknown) => {
    const field = (Object(each) as { field?: unknown }).field
    // A path of our own making: letters, digits, dots and brackets. Anything else might quote a value.
    return typeof field === 'string' && /^[\w.[\]]{1,100}$/.test(field) ? [field] : []
  })
}

function contactErrors(errors: unknown): [string, Status][] {
  if (typeof errors !== 'object' || errors === null) return []
  return Object.entries(errors).flatMap(([name, status]): [string, Status][] => {
    const parsed = statusSchema.safeParse(status)
    return parsed.success && (parsed.data.code ?? 0) !== 0 ? [[name, parsed.data]] : []
  })
}

export function isExpiredCursor({ http, reason }: Refusal): boolean {
  return http === 400 && reason === 'EXPIRED_SYNC_TOKEN'
}

/** What a call as a whole was refused with. */
export function failureOfRefusal(refusal: Refusal, pattern: string): Failure {
  const { http, status, reason, fields } = refusal
  const code = reason === null ? status : `${status} ${reason}`
  const answered = (what: string): string => `${pattern} was answered ${http} ${code}: ${what}`
  if (!refusal.fromApi && http !== 401) {
    return {
      // A proxy's word, or a wrong address's: it says nothing of any contact.
      kind: 'transient',
      code,
      message: answered('this is not the People API'),
      advice: 'Check rootUrl in kith.yaml (leave it out for Google), and any proxy; then run: kith check',
    }
  }
  if (reason === 'RATE_LIMIT_EXCEEDED' || status === 'RESOURCE_EXHAUSTED' || http === 429) {
    return { kind: 'ratelimited', code, message: answered("the account's quota is used up for now") }
  }
  if (reason === 'SERVICE_DISABLED') {
    return {
      kind: 'auth',
      code,
      message: answered('the People API is not enabled in the Google Cloud project of the OAuth client'),
      advice: 'Enable the People API for the project (console.cloud.google.com, APIs & Services); then run: kith check',
    }
  }
  if (reason === 'ACCESS_TOKEN_SCOPE_INSUFFICIENT') {
    return {
      kind: 'auth',
      code,
      message: answered('the sign-in does not cover contacts'),
      advice: 'Sign in again with the scope https://www.googleapis.com/auth/contacts; then run: kith check',
    }
  }
  if (http === 401) {
    return {
      kind: 'auth',
      code,
      message: answered('Google refuses the access token'),
      advice:
        'An access token lasts an hour: give clientId, clientSecret and refreshToken instead, or a fresh one; then run: kith check',
    }
  }
  if (http === 403) {
    return {
      kind: 'auth',
      code,
      message: answered('the account may not do this'),
      advice: 'Sign in with an account that may edit its contacts; then run: kith check',
    }
  }
  return { ...failureOfCode(status, fields), code, message: answered(wordsOf(status, fields)) }
}

/** What one contact of a batch was refused with. */
export function failureOfStatus({ code = 2 }: Status): Failure {
  const status = CODES[code] ?? 'UNKNOWN'
  return { ...failureOfCode(status, []), code: status, message: `Google Contacts: ${wordsOf(status, [])}` }
}

export function isNotFound({ code }: Status): boolean {
  return code === 5
}

const KINDS: { readonly [status: string]: FailureKind } = {
  INVALID_ARGUMENT: 'permanent',
  OUT_OF_RANGE: 'permanent',
  UNIMPLEMENTED: 'permanent',
  ALREADY_EXISTS: 'permanent',
  FAILED_PRECONDITION: 'conflict',
  ABORTED: 'transient',
  NOT_FOUND: 'gone',
  RESOURCE_EXHAUSTED: 'ratelimited',
  UNAUTHENTICATED: 'auth',
  PERMISSION_DENIED: 'permanent',
}

function failureOfCode(status: string, fields: readonly string[]): Pick<Failure, 'kind' | 'advice'> {
  const kind = KINDS[status] ?? (/^4\d\d$/.test(status) ? 'permanent' : 'transient')
  return kind === 'permanent' && fields.length > 0
    ? {
        kind,
        advice: `Correct ${fields.join(', ')} in one of the apps; or run: kith parked retry, or: kith parked drop`,
      }
    : { kind }
}

function wordsOf(status: string, fields: readonly string[]): string {
  const where = fields.length > 0 ? ` (${fields.join(', ')})` : ''
  switch (status) {
    case 'FAILED_PRECONDITION':
      return 'the contact was changed since it was read'
    case 'NOT_FOUND':
      return 'it is not there'
    case 'INVALID_ARGUMENT':
    case 'OUT_OF_RANGE':
      return `the contact's data are refused${where}`
    case 'RESOURCE_EXHAUSTED':
      return "the account's quota is used up for now"
    case 'ABORTED':
    case 'UNAVAILABLE':
    case 'DEADLINE_EXCEEDED':
    case 'INTERNAL':
    case 'UNKNOWN':
      return 'Google did not get to it'
    default:
      return `Google refuses it${where}`
  }
}

/** An answer that is not what the People API says: cut short, or of another service. */
export function malformed(pattern: string, what: string, write: boolean): FailureError {
  return new FailureError({
    kind: write ? 'uncertain' : 'transient',
    code: 'MALFORMED',
    message: `The answer to ${pattern} is not whole: ${what}`,
  })
}
