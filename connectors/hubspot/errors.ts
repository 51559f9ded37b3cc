import type { Failure } from '../../engine/core/failure.ts'
import { retryAfter_ms } from '../http-failures.ts'
import { ApiError } from './wire.ts'

/** What an error may say about a request. */
export interface Asked {
  readonly pattern: string
  readonly write: boolean
  /** It asks for one thing, by its id. */
  readonly single?: boolean
  /** What the call needs, for where HubSpot does not say what is missing; left out, the scopes of contacts. */
  readonly scopes?: readonly string[]
  /** What is asked for is one part of writing a contact: where the permission for it is lacking, that contact is parked. */
  readonly part?: boolean
  /** The token is of an app that somebody has signed in to, rather than of a service key or a private app. */
  readonly signedIn?: boolean
}

/** What Kith needs of contacts. */
export const CONTACT_SCOPES = [
  'crm.objects.contacts.read',
  'crm.objects.contacts.write',
  'crm.schemas.contacts.read',
] as const
export const LIST_SCOPES = ['crm.lists.read', 'crm.lists.write'] as const

/** HubSpot says since which day, not until when: an hour later it is asked again. */
const DAILY_PAUSE_MS = 60 * 60_000
/** The vendor asks for at least so much before a locked record is tried again. */
const LOCKED_PAUSE_MS = 2000

/** The error that a body holds; null where it is not one of HubSpot's own. */
export function apiError(json: unknown): ApiError | null {
  const parsed = ApiError.safeParse(json)
  const isOurs = parsed.success && (parsed.data.status === 'error' || parsed.data.category !== undefined)
  return isOurs ? parsed.data : null
}

/**
 * The failure that an answer of 400 or above means. HubSpot's message is never passed on: it quotes the values it refuses (I15).
 */
export function failureOfAnswer(
  asked: Asked,
  status: number,
  json: unknown,
  retryAfter: string | undefined,
  now_ms: number,
): Failure {
  const error = apiError(json)
  const code = error?.category ?? error?.errorType ?? String(status)
  const answered = (what: string): string => `${asked.pattern} was answered ${status}: ${what}`
  const wait_ms = retryAfter_ms(retryAfter, now_ms)
  const wait = wait_ms === undefined ? {} : { retryAfter_ms: wait_ms }
  switch (status) {
    case 401:
      return {
        kind: 'auth',
        code,
        message: answered('HubSpot refuses the token'),
        advice:
          asked.signedIn === true
            ? 'Sign in again: kith connect; then run: kith check'
            : 'Put a valid token of a service key or private app into token: in kith.yaml; then run: kith check',
      }
    case 403: {
      const parks = asked.part === true && code === 'MISSING_SCOPES'
      return {
        kind: parks ? 'permanent' : 'auth',
        code,
        message: answered('the token lacks a permission'),
        advice: `${scopeAdvice(asked, error)}; then run: ${parks ? 'kith parked retry' : 'kith check'}`,
      }
    }
    case 429:
      if (error?.policyName === 'DAILY' && wait_ms === undefined)
        return {
          kind: 'ratelimited',
          code,
          message: answered("the account's daily limit of API calls is used up"),
          retryAfter_ms: DAILY_PAUSE_MS,
        }
      return { kind: 'ratelimited', code, message: answered('too many requests for now'), ...wait }
    case 477:
      return { kind: 'ratelimited', code, message: answered('the account is being moved to another region'), ...wait }
    case 423:
      return {
        kind: 'ratelimited',
        code,
        message: answered('the records are locked for now'),
        retryAfter_ms: Math.max(wait_ms ?? 0, LOCKED_PAUSE_MS),
      }
    case 404:
      // Anything may answer 404: a gateway, or an API that is no more. Only HubSpot's own word on a record counts as gone (I5).
      if (error && (asked.single === true || error.context?.['ids'] !== undefined))
        return { kind: 'gone', code, message: answered('it is not there') }
      return {
        kind: 'permanent',
        code,
        message: answered('there is no such address'),
        advice: 'Leave basePath: out of kith.yaml, unless a proxy of yours stands before HubSpot; then run: kith check',
      }
    case 408:
    case 425:
      return { kind: 'transient', code, message: answered('not now'), ...wait }
  }
  if (status >= 500) {
    // A batch that HubSpot gave up on may be done in part.
    if (asked.write)
      return { kind: 'uncertain', code, message: answered('HubSpot failed, and does not say how far it came') }
    return { kind: 'transient', code, message: answered('HubSpot failed'), ...wait }
  }
  return refusal(error, code)
}

/**
 * Which scopes to give, and where. HubSpot names those of which one is enough, some for other kinds of data; of these, the ones
 * that Kith asks for are named, or all where there are none.
 */
function scopeAdvice({ scopes = CONTACT_SCOPES, signedIn = false }: Asked, error: ApiError | null): string {
  const missing = missingScopes(error)
  const known = [...CONTACT_SCOPES, ...LIST_SCOPES, ...scopes]
  const ours = missing.filter((scope) => known.includes(scope))
  const named = missing.length === 0 ? scopes : ours.length > 0 ? ours : missing.slice(0, 5)
  const one =
    missing.length > 0 && named.length > 1 ? 'one of the scopes' : named.length > 1 ? 'the scopes' : 'the scope'
  const list = `${one} ${named.join(', ')}`
  if (!signedIn) return `Give the service key or private app ${list}`
  const lists = named.some((scope) => scope.startsWith('crm.lists.')) ? ', put lists: true into kith.yaml' : ''
  return `Add ${list} to the app in its settings at HubSpot${lists}, and sign in again: kith connect`
}

/** The names that the body gives, in one of three places; scopes are words and no data of a person's. */
function missingScopes(error: ApiError | null): string[] {
  const contexts = [error?.context, ...(error?.errors ?? []).map(({ context }) => context)]
  const named = ['requiredGranularScopes', 'missingScopes', 'requiredScopes'].map((key) =>
    contexts.flatMap((context) => context?.[key] ?? []).filter((scope) => /^[a-z0-9._-]{1,80}$/i.test(scope)),
  )
  return [...new Set(named.find((scopes) => scopes.length > 0) ?? [])]
}

/** The failure of one record of a batch. */
export function failureOfItem(error: ApiError): Failure {
  const code = error.category ?? error.errorType ?? 'UNKNOWN'
  if (code === 'OBJECT_NOT_FOUND') {
    return { kind: 'gone', code, message: 'The contact is no longer in HubSpot' }
  }
  if (code.startsWith('RATE_LIMIT')) {
    return { kind: 'ratelimited', code, message: 'HubSpot did not get to this contact: too many requests for now' }
  }
  if (TRANSIENT.has(code)) return { kind: 'transient', code, message: 'HubSpot did not get to this contact' }
  return refusal(error, code)
}

const TRANSIENT = new Set(['INTERNAL_ERROR', 'SERVICE_UNAVAILABLE', 'TIMEOUT', 'LOCKED', 'SERVER_TIMEOUT'])

function refusal(error: ApiError | null, code: string): Failure {
  if (code === 'CONFLICT') {
    const existing = /Existing ID: (\d+)/.exec(error?.message ?? '')?.[1]
    const other = existing === undefined ? 'Another contact' : `The contact ${existing}`
    return {
      kind: 'permanent',
      code,
      message: `${other} in HubSpot has the e-mail address, or another unique value, already`,
      advice: 'Merge the two contacts in HubSpot, or correct the address; then run: kith parked retry',
    }
  }
  const fields = refusedFields(error)
  const what = fields.length === 0 ? 'the contact' : fields.join(', ')
  const { subCategory = '' } = error ?? {}
  return { kind: 'permanent', code: isWord(subCategory) ? subCategory : code, message: `HubSpot refuses ${what}` }
}

/** The names of what is refused, each with HubSpot's reason, and never a value. */
function refusedFields(error: ApiError | null): string[] {
  const listed = /^[^:]*: (\[.*\])$/s.exec(error?.message ?? '')?.[1]
  const named = (listed === undefined ? [] : problems(listed)).map(({ name, error: reason }) =>
    fieldWithReason(name, reason),
  )
  for (const { context, code } of error?.errors ?? []) {
    for (const name of context?.['propertyName'] ?? []) named.push(fieldWithReason(name, code))
  }
  return [...new Set(named)].slice(0, 5)
}

/** A name of HubSpot's own making, rather than what somebody typed. */
function isWord(text: string): boolean {
  return /^[A-Za-z0-9_.]{1,80}$/.test(text)
}

function fieldWithReason(name: string, reason: string | undefined): string {
  const field = isWord(name) ? `the field ${name}` : 'a field'
  return reason !== undefined && isWord(reason) ? `${field} (${reason})` : field
}

/** The list inside "Property values were not valid: [...]". */
function problems(text: string): { name: string; error?: string }[] {
  try {
    const list: unknown = JSON.parse(text)
    if (!Array.isArray(list)) return []
    return list.flatMap((item: unknown) => {
      const { name, error } = Object(item) as { name?: unknown; error?: unknown }
      if (typeof name !== 'string') return []
      return [typeof error === 'string' ? { name, error } : { name }]
    })
  } catch {
    return []
  }
}
