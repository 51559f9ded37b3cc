import type { Failure, FailureKind } from '../../engine/core/failure.ts'
import { retryAfter_ms } from '../http-failures.ts'
import { ApiErrors, type ApiError, type RowError } from './wire.ts'

/**
 * Salesforce's refusals as failures. Its messages quote the values they complain of ("invalid email address: ..."), so that only
 * its codes and the names of fields are passed on (I15).
 */

/** What an error may say about a request. */
export interface Asked {
  readonly pattern: string
  readonly write: boolean
}

/** The org's day is a rolling one, and room appears bit by bit. */
export const DAILY_PAUSE_MS = 15 * 60_000

/** Refusals that go away by themselves. */
const PASSING = new Set([
  'UNABLE_TO_LOCK_ROW',
  'SERVER_UNAVAILABLE',
  'QUERY_TIMEOUT',
  'QUERY_TOO_COMPLICATED',
  'REQUEST_RUNNING_TOO_LONG',
  'UNKNOWN_EXCEPTION',
  'PROCESSING_HALTED',
  'ALL_OR_NONE_OPERATION_ROLLED_BACK',
  'API_CURRENTLY_DISABLED',
  'INVALID_QUERY_LOCATOR',
])

const GONE = new Set(['ENTITY_IS_DELETED', 'NOT_FOUND', 'INVALID_ID_FIELD'])

/** Refusals that would meet every record alike. */
const OF_THE_LOGIN: { readonly [code: string]: string } = {
  INVALID_SESSION_ID: 'the session has expired or was revoked',
  INVALID_AUTH_HEADER: 'the token cannot be read',
  API_DISABLED_FOR_ORG: "the org's edition has no API",
  INSUFFICIENT_ACCESS: 'the user may not do this',
  INVALID_TYPE: 'the user may not see these objects',
  CLIENT_NOT_ACCESSIBLE_FOR_USER: 'the app is not allowed for this user',
}

/** What an operator can do about refusals of one record. */
const ADVICE: { readonly [code: string]: string } = {
  DUPLICATES_DETECTED:
    'A duplicate rule of the org takes it for someone who is there already: merge the two in Salesforce, or set duplicateRules: overrule in kith.yaml; then run: kith parked retry',
  DUPLICATE_VALUE:
    'Another record has this value in a field that must be unique: merge the two in Salesforce; then run: kith parked retry',
  REQUIRED_FIELD_MISSING:
    'The org demands a field that Kith does not fill: give it a default value in Salesforce, or map it; then run: kith parked retry',
  FIELD_CUSTOM_VALIDATION_EXCEPTION:
    'A validation rule of the org refuses it: correct the value in one of the apps; then run: kith parked retry',
  INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST:
    'The picklist does not have this value: add it in Salesforce, or translate it with a map transform; then run: kith parked retry',
  CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY:
    "The org's own automation refuses it: look at its triggers and flows; then run: kith parked retry",
  INSUFFICIENT_ACCESS_OR_READONLY:
    'The integration user may not change this record: give it the permission in Salesforce; then run: kith parked retry',
  STORAGE_LIMIT_EXCEEDED: "The org's data storage is full: make room in Salesforce. Kith tries again by itself.",
}

/** The refusals that a body holds; none where it is not one of Salesforce's own. */
export function errorsIn(json: unknown): readonly ApiError[] {
  const parsed = ApiErrors.safeParse(json)
  return parsed.success ? parsed.data : []
}

/** The failure that an answer, or the answer to one part of a composite request, of 400 or above means. */
export function failureOfAnswer(
  asked: Asked,
  status: number,
  json: unknown,
  retryAfter: string | undefined,
  now_ms: number,
): Failure {
  const [error] = errorsIn(json)
  const code = error === undefined ? String(status) : bare(error.errorCode)
  const answered = (what: string): string => `${asked.pattern} was answered ${status}: ${what}`
  const wait_ms = retryAfter_ms(retryAfter, now_ms)
  const wait = wait_ms === undefined ? {} : { retryAfter_ms: wait_ms }
  if (code === 'REQUEST_LIMIT_EXCEEDED' || status === 429) {
    // "TotalRequests Limit exceeded." is the day's allocation; others are of the moment.
    if (/TotalRequests/i.test(error?.message ?? '') && wait_ms === undefined) {
      const message = answered("the org's API calls of 24 hours are used up")
      return { kind: 'ratelimited', code, message, retryAfter_ms: DAILY_PAUSE_MS }
    }
    return { kind: 'ratelimited', code, message: answered('too many requests for now'), ...wait }
  }
  const refusedLogin = OF_THE_LOGIN[code] ?? (status === 401 ? 'Salesforce refuses the token' : undefined)
  if (refusedLogin !== undefined || status === 403) {
    return { kind: 'auth', code, message: answered(refusedLogin ?? 'the user may not do this'), advice: LOGIN_ADVICE }
  }
  if (PASSING.has(code) && status < 500) return { kind: 'transient', code, message: answered('not now'), ...wait }
  if (status === 503 && wait_ms !== undefined) {
    return { kind: 'ratelimited', code, message: answered('Salesforce asks to wait'), ...wait }
  }
  if (status >= 500) {
    // A request that Salesforce gave up on may be done in part.
    if (asked.write)
      return { kind: 'uncertain', code, message: answered('Salesforce failed, and does not say how far it came') }
    return { kind: 'transient', code, message: answered('Salesforce failed') }
  }
  if (status === 404 && error === undefined) {
    const advice = 'Check instanceUrl: in kith.yaml; then run: kith check'
    return { kind: 'permanent', code, message: answered('there is no such address'), advice }
  }
  return { kind: 'permanent', code, message: answered(`Salesforce refuses it (${code})`) }
}

const LOGIN_ADVICE =
  'Check the token or the client credentials in kith.yaml, and that the user may use the API and see contacts and leads; then run: kith check'

/** The failure of one record of a collection. */
export function failureOfRow(errors: readonly RowError[]): Failure {
  const [error] = errors
  if (!error) return { kind: 'transient', code: 'NO-REASON', message: 'Salesforce refuses the record without a reason' }
  const code = bare(error.statusCode)
  const fields = (error.fields ?? []).map(bare).filter(Boolean)
  const advice = ADVICE[code]
  const more = advice === undefined ? {} : { advice }
  const kind = kindOfRow(code, fields)
  switch (kind) {
    case 'gone':
      return { kind, code, message: 'The record is no longer in Salesforce' }
    case 'conflict':
      return { kind, code, message: 'The lead was converted in Salesforce' }
    case 'transient':
    case 'ratelimited':
      return { kind, code, message: `Salesforce did not get to this record (${code})`, ...more }
    default: {
      const what = fields.length === 0 ? 'the record' : `the field ${fields.slice(0, 5).join(', ')}`
      return { kind, code, message: `Salesforce refuses ${what} (${code})`, ...more }
    }
  }
}

function kindOfRow(code: string, fields: readonly string[]): FailureKind {
  if (GONE.has(code)) return 'gone'
  // Of a lookup field where one is named; of the record itself where none is.
  if (code === 'INVALID_CROSS_REFERENCE_KEY' && fields.length === 0) return 'gone'
  if (code === 'CANNOT_UPDATE_CONVERTED_LEAD') return 'conflict'
  if (code === 'REQUEST_LIMIT_EXCEEDED') return 'ratelimited'
  if (PASSING.has(code) || code === 'STORAGE_LIMIT_EXCEEDED') return 'transient'
  return 'permanent'
}

/** A name of Salesforce's own, never a sentence. */
function bare(name: string): string {
  return name.replace(/[^\w.-]/g, '').slice(0, 80)
}
