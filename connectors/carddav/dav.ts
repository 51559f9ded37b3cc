import { FailureError } from '../../engine/core/failure.ts'
import type { HttpClient, HttpResponse } from '../http.ts'
import { parseMultistatus, type Multistatus } from './wire.ts'

export interface DavQuestion {
  readonly method: 'PROPFIND' | 'REPORT'
  readonly url: string
  readonly depth: 0 | 1
  readonly body: string
  /** How errors call the resource. */
  readonly pattern: string
  /** Statuses that the caller understands; they come back as `refused`. */
  readonly accept?: readonly number[]
  readonly signal: AbortSignal | undefined
}

export type DavAnswer =
  | { readonly kind: 'multistatus'; readonly url: string; readonly multistatus: Multistatus }
  | { readonly kind: 'refused'; readonly status: number; readonly body: string }

/**
 * Asks a DAV question. Any answer but a whole multistatus, or a status that the caller accepts, is a failure.
 * @throws FailureError
 */
export async function ask(http: HttpClient, question: DavQuestion): Promise<DavAnswer> {
  const response = await http.send({
    method: question.method,
    url: question.url,
    pattern: question.pattern,
    headers: { Depth: String(question.depth), 'Content-Type': 'application/xml; charset=utf-8' },
    body: question.body,
    write: false,
    ...(question.accept ? { accept: question.accept } : {}),
    signal: question.signal,
  })
  if (response.status < 200 || response.status > 299) {
    return { kind: 'refused', status: response.status, body: response.body }
  }
  if (response.status !== 207) throw notDav(question, response)
  return { kind: 'multistatus', url: response.url, multistatus: parseMultistatus(response.body) }
}

function notDav(question: DavQuestion, response: HttpResponse): FailureError {
  return new FailureError({
    kind: 'permanent',
    code: String(response.status),
    message: `${question.method} ${question.pattern} was answered ${response.status} where CardDAV answers 207: this is no CardDAV server`,
    advice: 'Check url: in kith.yaml; then run: kith check',
  })
}
