import type { FastifyReply, FastifyRequest } from 'fastify'
import { mayDo, type AccessToken, type Role } from '../../engine/core/access.ts'
import { checkAccess } from '../../workers/access.ts'
import type { Household } from '../../workers/household.ts'
import { operationIdOf } from './openapi.ts'
import type { Api } from './route.ts'
import { Problem, ProblemError } from './problems.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Who may use the route; each has to say. `anybody`: needs no token. */
    role?: Role | 'anybody'
  }
  interface FastifyRequest {
    /** Who asks; null on a route that is for anybody. */
    access: AccessToken | null
  }
}

const REASONS = {
  unknown: 'this token is not known',
  expired: 'this token has expired',
  revoked: 'this token has been revoked',
} as const

/** Lets nobody through without a token of the role that the route asks for. Judged before the body is read. */
export function guard(api: Api, { access }: Pick<Household, 'access'>): void {
  api.decorateRequest('access', null)
  api.addHook('onRoute', (route) => {
    const role = route.config?.role
    if (role === undefined) throw new Error(`nobody has said who may use ${String(route.method)} ${route.url}`)
    if (role === 'anybody') return
    const response = { ...(route.schema?.response as object | undefined), '4xx': Problem, '5xx': Problem }
    const operationId = operationIdOf(String(route.method), route.url.slice(route.prefix.length))
    route.schema = { ...route.schema, operationId, security: [{ token: [role] }], response }
  })
  api.addHook('onRequest', async (request, reply) => {
    const { role } = request.routeOptions.config
    if (role === 'anybody') return
    const token = await tokenOf(access, request, reply)
    // A route without a role cannot be registered; one that is not there is told only to those who may look.
    if (!mayDo(token.role, role ?? 'viewer')) {
      throw new ProblemError(403, `this needs the role ${role}; ${token.name} is ${token.role}`)
    }
    request.access = token
  })
}

async function tokenOf(
  access: Household['access'],
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<AccessToken> {
  const [, secret] = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '') ?? []
  const answer = secret === undefined ? null : await checkAccess(access, secret, Date.now())
  if (answer?.kind === 'granted') return answer.token
  reply.header('www-authenticate', 'Bearer realm="kith"')
  throw new ProblemError(
    401,
    answer === null ? 'a token is missing' : REASONS[answer.why],
    'Send Authorization: Bearer <token>. Make one with: kith tokens add <name> --role viewer',
  )
}
