import { XMLParser, XMLValidator } from 'fast-xml-parser'
import { isJWTToken } from 'jsforce/lib/util/jwt.js'
import { z } from 'zod'
import { FailureError, type Failure } from '../../engine/core/failure.ts'
import type { HttpResponse } from '../http.ts'
import { failureOfAnswer, type Asked } from './errors.ts'
import { API_VERSION } from './wire.ts'

/**
 * The little of Salesforce's SOAP API that is needed: what REST has no call for. jsforce writes the envelopes; what comes back is
 * read here, as its own reader makes the best of half an answer.
 */

/** From this version on, SOAP takes tokens that are JWTs; before, it says of them that the session is none. */
const API_VERSION_OF_JWT = '68.0'

/** Faults after which nobody knows how far Salesforce came. Any other is a refusal of the whole call. */
const UNSURE = /^(UNKNOWN_EXCEPTION|SERVER_UNAVAILABLE|QUERY_TIMEOUT|REQUEST_RUNNING_TOO_LONG|Server)$/

/** Texts only: no attributes, no prefixes, no entities beyond the five. */
const parser = new XMLParser({
  ignoreAttributes: true,
  removeNSPrefix: true,
  parseTagValue: false,
  processEntities: false,
  isArray: (name) => ['result', 'errors', 'fields', 'mergedRecordIds'].includes(name),
})

const Envelope = z.object({ Envelope: z.object({ Body: z.unknown() }) })
const Fault = z.object({ Fault: z.object({ faultcode: z.string(), faultstring: z.string().optional() }) })

export function soapPath(token: string): string {
  return `/services/Soap/u/${versionFor(token)}`
}

export function versionFor(token: string): string {
  return isJWTToken(token) ? API_VERSION_OF_JWT : API_VERSION
}

/** Whether the session in the envelope was refused: then nothing was done. */
export function isSessionRefused({ status, body }: HttpResponse): boolean {
  return status >= 400 && faultIn(bodyOf(body))?.code === 'INVALID_SESSION_ID'
}

/**
 * What stands in the body of an answer.
 * @throws FailureError for a fault, and for what is not whole
 */
export function soapBody<T>(asked: Asked, answer: HttpResponse, form: z.ZodType<T>, now_ms: number): T {
  const body = bodyOf(answer.body)
  const fault = faultIn(body)
  if (fault) throw new FailureError(failureOfFault(asked, answer.status, fault, now_ms))
  if (answer.status >= 400) {
    const retryAfter = answer.header('retry-after')
    throw new FailureError(failureOfAnswer(asked, answer.status, null, retryAfter, now_ms))
  }
  const parsed = form.safeParse(body)
  if (parsed.success) return parsed.data
  const kind = asked.write ? 'uncertain' : 'transient'
  const message = `The answer to ${asked.pattern} is not whole, or not Salesforce's`
  throw new FailureError({ kind, code: 'MALFORMED', message })
}

/** null for what is no whole envelope. */
function bodyOf(text: string): unknown {
  if (XMLValidator.validate(text) !== true) return null
  const parsed = Envelope.safeParse(parser.parse(text))
  return parsed.success ? parsed.data.Envelope.Body : null
}

interface SoapFault {
  readonly code: string
  readonly message: string | undefined
}

function faultIn(body: unknown): SoapFault | null {
  const parsed = Fault.safeParse(body)
  if (!parsed.success) return null
  const { faultcode, faultstring } = parsed.data.Fault
  return { code: faultcode.replace(/^\w+:/, ''), message: faultstring }
}

function failureOfFault(asked: Asked, status: number, { code, message }: SoapFault, now_ms: number): Failure {
  if (UNSURE.test(code)) return failureOfAnswer(asked, status, [{ errorCode: code }], undefined, now_ms)
  // That the user may not do this one thing does not end the sign-in.
  if (code === 'INSUFFICIENT_ACCESS') {
    const advice = 'Give the integration user the permission in Salesforce; then run: kith parked retry'
    return { kind: 'permanent', code, message: `${asked.pattern} was refused: the user may not do this`, advice }
  }
  const error = { errorCode: code, ...(message === undefined ? {} : { message }) }
  return failureOfAnswer(asked, 400, [error], undefined, now_ms)
}
