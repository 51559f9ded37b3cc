import type { AxiosError } from 'axios'
import type { Failure } from '../engine/core/failure.ts'

/** What a failure may say about a request. */
export interface RequestWords {
  readonly method: string
  readonly pattern: string
  readonly write: boolean
}

/** How the certificate of a server can be wrong, by Node's code, and what to do. */
const CERTIFICATE_FAULTS: { readonly [code: string]: string } = {
  DEPTH_ZERO_SELF_SIGNED_CERT: 'is self-signed. Trust it with NODE_EXTRA_CA_CERTS=/path/to/it.pem',
  SELF_SIGNED_CERT_IN_CHAIN: 'comes from an authority of its own. Trust that with NODE_EXTRA_CA_CERTS=/path/to/ca.pem',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    'comes without its intermediate certificates. Ask whoever runs the server to send the chain',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    'comes from an unknown authority. Trust that with NODE_EXTRA_CA_CERTS=/path/to/ca.pem',
  CERT_HAS_EXPIRED: 'has expired. Ask whoever runs the server to renew it',
  CERT_NOT_YET_VALID: 'is not valid yet. Check the clock of this machine and of the server',
  ERR_TLS_CERT_ALTNAME_INVALID: 'is for another host name. Use the name in the certificate as the url',
}

/** Errors that come before the first byte of a request is sent. */
const BEFORE_SENDING = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EPROTO',
  ...Object.keys(CERTIFICATE_FAULTS),
])

const UNREACHABLE: { readonly [code: string]: string } = {
  ECONNREFUSED: 'nothing listens there',
  ENOTFOUND: 'no such host name',
  EAI_AGAIN: 'the host name could not be looked up',
  EHOSTUNREACH: 'the host cannot be reached',
  ENETUNREACH: 'the network cannot be reached',
  EPROTO: 'the server does not speak TLS there',
  ETIMEDOUT: 'the server stayed silent',
}

/** The failure of an exchange that ended without an answer. */
export function brokenExchange(request: RequestWords, error: AxiosError, sent: boolean): Failure {
  const code = error.code ?? 'UNKNOWN'
  const fault = CERTIFICATE_FAULTS[code]
  if (fault !== undefined) {
    const [what = '', ...advice] = fault.split('. ')
    return {
      kind: 'transient',
      code: `CERTIFICATE ${code}`,
      message: `${request.method} ${request.pattern} was not sent: the server's certificate ${what}`,
      advice: `${advice.join('. ')}.`,
    }
  }
  const reason = UNREACHABLE[code] ?? `the connection broke (${code})`
  if (request.write && sent && !BEFORE_SENDING.has(code)) {
    return {
      kind: 'uncertain',
      code,
      message: `The answer to ${request.method} ${request.pattern} was lost: ${reason}`,
    }
  }
  return { kind: 'transient', code, message: `${request.method} ${request.pattern} got no answer: ${reason}` }
}

/** A write with an answer too long to read was done for all that we know. */
export function oversized(request: RequestWords): Failure {
  return {
    kind: request.write ? 'uncertain' : 'permanent',
    code: 'TOO-LONG',
    message: `The answer to ${request.method} ${request.pattern} is longer than Kith reads`,
  }
}

/** A redirect that is not followed: away from the origin, or of a write. Only the other host is named. */
export function refusedRedirect(request: RequestWords, status: number, from: URL, to: URL | undefined): Failure {
  const elsewhere = to !== undefined && to.host !== from.host
  const where = elsewhere ? `to the host ${to.host}` : 'to another address'
  return {
    kind: 'permanent',
    code: String(status),
    message: `${request.method} ${request.pattern} was redirected ${where}, where Kith does not send the credentials unasked`,
    advice: elsewhere
      ? `If ${to.host} is right, put its address into url: in kith.yaml; then run: kith check`
      : 'Put the address that the server uses today into url: in kith.yaml; then run: kith check',
  }
}

/**
 * The failure that a status means.
 *
 * A gateway's 502 or 504 to a write tells nothing about the server behind it: the write may be done. Any other 5xx counts as
 * "not done", as the app says so itself.
 */
export function failureOfStatus(
  request: RequestWords,
  status: number,
  retryAfter: string | undefined,
  options: { readonly forbidden: 'auth' | 'permanent'; readonly now_ms: number },
): Failure {
  const code = String(status)
  const answered = (what: string): string => `${request.method} ${request.pattern} was answered ${status}: ${what}`
  const wait_ms = retryAfter_ms(retryAfter, options.now_ms)
  const wait = wait_ms === undefined ? {} : { retryAfter_ms: wait_ms }
  if (status === 429 || (status === 503 && wait_ms !== undefined)) {
    return { kind: 'ratelimited', code, message: answered('too many requests for now'), ...wait }
  }
  if (status === 401) {
    const advice =
      'Check the user name and password in kith.yaml (many servers want an app password); then run: kith check'
    return { kind: 'auth', code, message: answered('the server refuses the credentials'), advice }
  }
  if (status === 403) return { kind: options.forbidden, code, message: answered('this is not allowed') }
  if (status === 407) {
    return { kind: 'auth', code, message: answered('the proxy wants credentials'), advice: 'Check HTTPS_PROXY.' }
  }
  if (status === 404 || status === 410) return { kind: 'gone', code, message: answered('it is not there') }
  if (status === 409 || status === 412) return { kind: 'conflict', code, message: answered('it has changed') }
  if (status === 408 || status === 423 || status === 425) {
    return { kind: 'transient', code, message: answered('not now'), ...wait }
  }
  if (status === 501 || status === 505)
    return { kind: 'permanent', code, message: answered('the server cannot do this') }
  if (status === 507) {
    const advice = 'The account on the server is full: make room there. Kith tries again by itself.'
    return { kind: 'transient', code, message: answered('no room left'), advice }
  }
  if (request.write && (status === 502 || status === 504)) {
    return { kind: 'uncertain', code, message: answered('a gateway lost the answer') }
  }
  if (status >= 500) return { kind: 'transient', code, message: answered('the server failed'), ...wait }
  return { kind: 'permanent', code, message: answered('the server refuses it') }
}

/** Retry-After in milliseconds: seconds or a date (RFC 9110 10.2.3); undefined where it is absent or cannot be read. */
export function retryAfter_ms(value: string | undefined, now_ms: number): number | undefined {
  if (value === undefined) return undefined
  if (/^\s*\d+\s*$/.test(value)) return Math.min(Number(value) * 1000, DAY_MS)
  const at = Date.parse(value)
  return Number.isNaN(at) ? undefined : Math.min(Math.max(0, at - now_ms), DAY_MS)
}

const DAY_MS = 24 * 60 * 60_000
