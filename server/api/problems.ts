import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { hasZodFastifySchemaValidationErrors, isResponseSerializationError } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { StoreUnavailableError } from '../../engine/core/ports/store.ts'
import { ActRefusedError } from '../../workers/acts.ts'
import type { Log } from '../../workers/runtime.ts'

/** What a request that fails is answered with: `application/problem+json` (RFC 9457). */
export const Problem = z
  .object({
    title: z.string(),
    status: z.int(),
    detail: z.string().describe('What is wrong, in one sentence.'),
    advice: z.string().optional().describe('What to do next.'),
    errors: z
      .array(z.object({ at: z.string().describe('A JSON pointer into the request.'), message: z.string() }))
      .optional(),
  })
  .meta({ id: 'Problem' })

type ProblemStatus = 400 | 401 | 403 | 404 | 409 | 413 | 415 | 429 | 500 | 503

const TITLES: { readonly [status in ProblemStatus]: string } = {
  400: 'The request is wrong',
  401: 'Who are you?',
  403: 'Not with this token',
  404: 'Not found',
  409: 'It cannot be done now',
  413: 'The request is too large',
  415: 'Not JSON',
  429: 'Too many requests',
  500: 'Something went wrong',
  503: 'Not ready',
}

/** Ends a request with a problem. Its sentences are Kith's own, and hold no secret. */
export class ProblemError extends Error {
  override readonly name = 'ProblemError'
  readonly status: ProblemStatus
  readonly advice: string | undefined

  constructor(status: ProblemStatus, detail: string, advice?: string) {
    super(detail)
    this.status = status
    this.advice = advice
  }
}

export function notFound(detail: string, advice?: string): ProblemError {
  return new ProblemError(404, detail, advice)
}

/** Answers whatever a handler threw. What nobody foresaw is logged by its name, and told to nobody else (I15). */
export function problemHandler(log: Log) {
  return (error: FastifyError, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    if (hasZodFastifySchemaValidationErrors(error)) {
      const where = error.validationContext === 'body' ? '' : `/${error.validationContext ?? ''}`
      const errors = error.validation.map(({ instancePath, message }) => ({
        at: `${where}${instancePath}`,
        message: message ?? 'is wrong',
      }))
      const [first] = errors
      return send(reply, 400, first ? `${first.at || 'the body'}: ${first.message}` : 'it does not fit', { errors })
    }
    if (error instanceof ProblemError) {
      return send(reply, error.status, error.message, error.advice === undefined ? {} : { advice: error.advice })
    }
    if (error instanceof ActRefusedError) {
      return send(reply, 409, error.message, { advice: 'Nothing was done. Look at how it stands, and decide anew.' })
    }
    if (error instanceof StoreUnavailableError) {
      return send(reply, 503, 'the database cannot be reached', { advice: 'Try again in a moment.' })
    }
    const status = error.statusCode
    if (status === 429) return send(reply, 429, 'too many requests in a short time', { advice: 'Wait a minute.' })
    if (status === 413) return send(reply, 413, 'the body is too large')
    if (status === 415) return send(reply, 415, 'the body must be JSON', { advice: 'content-type: application/json' })
    if (status !== undefined && status >= 400 && status < 500)
      return send(reply, 400, 'the body cannot be read as JSON')
    const cause = isResponseSerializationError(error) ? 'answer does not fit its description' : error.name
    log.warn('admin request failed', { route: request.routeOptions.url ?? '-', error: cause })
    return send(reply, 500, 'something went wrong', { advice: "The daemon's log says what." })
  }
}

export function send(
  reply: FastifyReply,
  status: ProblemStatus,
  detail: string,
  more: Pick<z.infer<typeof Problem>, 'advice' | 'errors'> = {},
): FastifyReply {
  const problem: z.infer<typeof Problem> = { title: TITLES[status], status, detail, ...more }
  // As text: a route describes its own answers, not this one.
  return reply
    .code(status)
    .type('application/problem+json; charset=utf-8')
    .serializer(String)
    .send(JSON.stringify(problem))
}
