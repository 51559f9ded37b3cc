import rateLimit from '@fastify/rate-limit'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { HOOK_BODY_BYTES_MAX, HOOK_RATE } from '../config/limits.ts'
import type { HookDesk, HookReceipt } from '../workers/hooks.ts'
import type { RefusalLog } from './refusals.ts'
import type { Routes } from './server.ts'

/** What became of a request; `limited`, `broken`: it never came to the desk. */
export type HookFate = HookReceipt['outcome'] | 'limited' | 'broken'

export interface HookRoutes {
  readonly desk: HookDesk
  /** The address under which the apps know the server, without a slash at its end: they sign it. */
  readonly publicUrl: () => string
  readonly refusals: RefusalLog
  /** Told of each request that was answered. */
  readonly told: (connection: string | null, outcome: HookFate, took_ms: number, records: number) => void
  readonly rate?: { readonly requests: number; readonly per_ms: number }
}

/** Whoever asks for what is not there shares one budget for each sender. */
const NO_CONNECTION = '-'

/**
 * `POST /hooks/<connection>`, and whatever else an app sends there (some ask with GET whether anybody is at home). Bodies are
 * taken as the bytes they are, whatever they call themselves: signatures are over bytes. Limits are by connection and sender, so
 * that a stranger's flood does not use up an app's share.
 */
export function hookRoutes({ desk, publicUrl, refusals, told, rate = HOOK_RATE }: HookRoutes): Routes {
  return async (server) => {
    const known = new Set(desk.connections)
    const connectionOf = (request: FastifyRequest): string | null => {
      const { connection } = request.params as { connection?: string }
      return connection !== undefined && known.has(connection) ? connection : null
    }
    await server.register(async (scope) => {
      await scope.register(rateLimit, {
        max: rate.requests,
        timeWindow: rate.per_ms,
        keyGenerator: (request) => `${connectionOf(request) ?? NO_CONNECTION} ${request.ip}`,
        onExceeded: (request) => {
          const connection = connectionOf(request)
          told(connection, 'limited', 0, 0)
          if (connection !== null) refusals.tell(connection, 'too many requests in a short time')
        },
      })
      scope.removeAllContentTypeParsers()
      scope.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: HOOK_BODY_BYTES_MAX }, (_request, body, done) =>
        done(null, body),
      )
      scope.addHook('onError', async (request, reply) => {
        if (reply.statusCode !== 429) told(connectionOf(request), 'broken', reply.elapsedTime, 0)
      })
      const receive = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
        const name = (request.params as { connection: string }).connection
        const receipt = await desk.receive(name, {
          method: request.method,
          url: `${publicUrl()}${request.raw.url ?? ''}`,
          headers: singleHeaders(request),
          body: Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0),
        })
        const connection = connectionOf(request)
        if (receipt.refused !== undefined && connection !== null) refusals.tell(connection, receipt.refused)
        told(connection, receipt.outcome, reply.elapsedTime, receipt.records)
        return answer(reply, receipt)
      }
      // Some apps are known by a secret in the path.
      for (const url of ['/hooks/:connection', '/hooks/:connection/*']) {
        scope.route({ method: ['GET', 'POST'], url, handler: receive })
      }
    })
  }
}

function answer(reply: FastifyReply, { answer: { status, headers, body } }: HookReceipt): FastifyReply {
  reply.code(status)
  for (const [name, value] of Object.entries(headers ?? {})) reply.header(name, value)
  if (body !== undefined && reply.getHeader('content-type') === undefined) reply.type('text/plain; charset=utf-8')
  return reply.send(body)
}

/** One value for each name: of a header that came twice, none; no app signs two ways at once. */
function singleHeaders({ headers }: FastifyRequest): { [name: string]: string | undefined } {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, typeof value === 'string' ? value : undefined]),
  )
}
