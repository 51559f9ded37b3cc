import type { Failure, FailureKind } from '../../engine/core/failure.ts'
import { retryAfter_ms } from '../http-failures.ts'
import { Problem, type BatchError } from './wire.ts'

/** What an error may say about a request. */
export interface Asked {
  readonly pattern: string
  readonly write: boolean
  /** It asks for one member, by its id. */
  readonly single?: boolean
}

/** A refusal of one member, in words that hold nothing of the member's. */
interface Refusal {
  readonly kind?: FailureKind
  readonly code: string
  readonly message: string
  readonly advice: string
}

/**
 * Mailchimp names few of its refusals: single requests carry a title, batches `ERROR_GENERIC`, and the reason is a sentence
 * in both. The sentences are the vendor's own (README.md); one that is not known is a refusal all the same, with less to say.
 */
const REFUSALS: readonly (readonly [RegExp, Refusal])[] = [
  [
    /compliance state/i,
    {
      code: 'COMPLIANCE-STATE',
      message: 'The member unsubscribed, bounced or is under review: Mailchimp lets no program subscribe them again',
      advice:
        'Only the person can undo this, with a sign-up form or a confirmation e-mail. Run: kith parked drop, to leave it so',
    },
  ],
  [
    /permanently deleted|forgotten email/i,
    {
      code: 'FORGOTTEN',
      message: 'The address was deleted permanently from this audience, and cannot be imported again',
      advice: 'Only the person can come back, with a sign-up form. Run: kith parked drop',
    },
  ],
  [
    /a lot of lists very recently/i,
    {
      kind: 'transient',
      code: 'SIGNUPS-LIMITED',
      message: 'Mailchimp takes no further sign-ups of this address for now',
      advice: 'Kith tries again by itself.',
    },
  ],
  [
    /fake or invalid|valid email address/i,
    {
      code: 'INVALID-EMAIL',
      message: 'Mailchimp takes the e-mail address for fake or invalid (field email_address)',
      advice: 'Correct the address in one of the apps; then run: kith parked retry',
    },
  ],
  [
    /already a list member|member exists|already in (the|this) list/i,
    {
      code: 'MEMBER-EXISTS',
      message: 'Another member of the audience has this e-mail address',
      advice: 'Archive one of the two members in Mailchimp, or correct the address; then run: kith parked retry',
    },
  ],
  [
    /cannot be removed|can ?not archive/i,
    {
      code: 'NOT-ARCHIVABLE',
      message: 'Mailchimp archives no member that bounced or has not confirmed yet',
      advice: 'Delete the member in Mailchimp by hand, or run: kith parked drop',
    },
  ],
  [
    /merge fields were invalid|merge_fields/i,
    {
      code: 'MERGE-FIELD',
      message: 'Mailchimp refuses a merge field',
      advice: "Correct the value, or the field's settings in the audience; then run: kith parked retry",
    },
  ],
]

/** The problem that a body holds; null where it is not one of Mailchimp's own. */
export function problemOf(json: unknown): Problem | null {
  const parsed = Problem.safeParse(json)
  return parsed.success ? parsed.data : null
}

/**
 * The failure that an answer of 400 or above means. Mailchimp's sentences are never passed on: they quote addresses (I15).
 */
export function failureOfAnswer(
  asked: Asked,
  status: number,
  json: unknown,
  retryAfter: string | undefined,
  now_ms: number,
): Failure {
  const problem = problemOf(json)
  const code = problem ? codeOf(problem.title) : String(status)
  const answered = (what: string): string => `${asked.pattern} was answered ${status}: ${what}`
  const wait_ms = retryAfter_ms(retryAfter, now_ms)
  const wait = wait_ms === undefined ? {} : { retryAfter_ms: wait_ms }
  // At very high volume Mailchimp's edge answers 403 and no JSON: that is a limit, not a right that is lacking.
  if (status === 429 || (status === 403 && problem === null))
    return { kind: 'ratelimited', code, message: answered('too many requests at once'), ...wait }
  if (status === 401 || status === 403) {
    return {
      kind: 'auth',
      code,
      message: answered(status === 401 ? 'Mailchimp refuses the key' : 'the account or the user may not do this'),
      advice:
        'Put a valid API key into apiKey: in kith.yaml (with its ending, as -us6), or sign in again; then run: kith check',
    }
  }
  if (status === 404) {
    // Anything may answer 404: a gateway, a wrong address. Only Mailchimp's own word on one member counts as gone (I5).
    if (problem && asked.single === true) return { kind: 'gone', code, message: answered('it is not there') }
    return {
      kind: 'permanent',
      code,
      message: answered('there is no such audience or address'),
      advice:
        "Put the audience's id into audience: in kith.yaml (Audience, Settings, Audience ID); then run: kith check",
    }
  }
  if (status === 408 || status === 423 || status === 425)
    return { kind: 'transient', code, message: answered('not now') }
  if (status >= 500) {
    if (asked.write)
      return { kind: 'uncertain', code, message: answered('Mailchimp failed, and does not say how far it came') }
    return { kind: 'transient', code, message: answered('Mailchimp failed'), ...wait }
  }
  const fields = (problem?.errors ?? []).map(({ field }) => field)
  return refusal(`${problem?.title ?? ''}: ${problem?.detail ?? ''}`, code, fields)
}

/** The failure of one member of a batch. */
export function failureOfItem({ error, error_code, field }: BatchError): Failure {
  const said = error_code === 'ERROR_CONTACT_EXISTS' ? 'member exists' : (error ?? '')
  return refusal(said, error_code ?? 'UNKNOWN', [field])
}

function refusal(said: string, code: string, fields: readonly (string | undefined)[]): Failure {
  const names = [...new Set(fields.flatMap((field) => nameOf(field)))].slice(0, 5)
  const known = REFUSALS.find(([pattern]) => pattern.test(said))?.[1]
  if (known) {
    const where = known.code === 'MERGE-FIELD' && names.length > 0 ? `: ${names.join(', ')}` : ''
    return { kind: 'permanent', ...known, message: known.message + where }
  }
  const what = names.length === 0 ? 'the member' : names.map((name) => `the field ${name}`).join(', ')
  return { kind: 'permanent', code, message: `Mailchimp refuses ${what}` }
}

/** `merge_fields.BIRTHDAY` and `members.item:3.merge_fields.BIRTHDAY` are the field BIRTHDAY. */
function nameOf(field: string | undefined): string[] {
  const name = (field ?? '').split('.').at(-1) ?? ''
  return /^[A-Za-z0-9_]{1,40}$/.test(name) ? [name] : []
}

/** "Member In Compliance State" as a code. */
function codeOf(title: string): string {
  return title
    .toUpperCase()
    .replace(/[^A-Z0-9]+/g, '-')
    .slice(0, 40)
}
