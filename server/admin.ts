import rateLimit from '@fastify/rate-limit'
import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod'
import { ADMIN_RATE } from '../config/limits.ts'
import type { Daemon } from '../workers/daemon.ts'
import type { Household } from '../workers/household.ts'
import type { Log } from '../workers/runtime.ts'
import { guard } from './api/gate.ts'
import { describe } from './api/openapi.ts'
import { ProblemError, problemHandler, send } from './api/problems.ts'
import type { Api, House } from './api/route.ts'
import { routes } from './api/routes.ts'
import { startServer, type Routes, type RunningServer } from './server.ts'

export const API_PREFIX = '/api/v1'

/** The admin API of one household, served beside its work: everything that operators do from the command line. */
export class AdminApi {
  readonly url: string
  readonly #server: RunningServer
  readonly #house: { daemon: Daemon | null }

  /**
   * @returns null where the config has no `admin:`
   * @throws ListenError
   */
  static async open(household: Household, log: Log): Promise<AdminApi | null> {
    const { admin } = household.config
    if (admin === null) return null
    const house: { daemon: Daemon | null } = { daemon: null }
    const daemon = (): Daemon => {
      if (house.daemon) return house.daemon
      throw new ProblemError(503, 'the daemon is starting, or stopping', 'Try again in a moment.')
    }
    const server = await startServer(admin, [apiRoutes({ household, daemon }, log)], { section: 'admin' })
    log.info('admin api', { address: `${server.url}${API_PREFIX}` })
    return new AdminApi(server, house)
  }

  private constructor(server: RunningServer, house: { daemon: Daemon | null }) {
    this.#server = server
    this.#house = house
    this.url = server.url
  }

  /** The workers have started: acts can be done from now on. */
  attach(daemon: Daemon): void {
    this.#house.daemon = daemon
  }

  /** Takes no more requests, and lets those under way come to their end. */
  async close(): Promise<void> {
    await this.#server.close()
    this.#house.daemon = null
  }
}

/** Everything under {@link API_PREFIX}. */
export function apiRoutes(house: House, log: Log): Routes {
  return (server) =>
    void server.register(
      async (scope) => {
        const api: Api = scope.withTypeProvider<ZodTypeProvider>()
        api.removeContentTypeParser('text/plain')
        api.setValidatorCompiler(validatorCompiler)
        api.setSerializerCompiler(serializerCompiler)
        api.setErrorHandler(problemHandler(log))
        api.setNotFoundHandler((request, reply) =>
          send(reply, 404, `there is nothing at ${request.method} ${request.url}`),
        )
        await api.register(rateLimit, {
          max: ADMIN_RATE.requests,
          timeWindow: ADMIN_RATE.per_ms,
        })
        api.addHook('onSend', async (_request, reply) => {
          void reply.headers({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' })
        })
        api.addHook('onResponse', async ({ access, method, routeOptions }, { statusCode }) => {
          if (method === 'GET' || method === 'HEAD') return
          log.info('admin request', {
            by: access?.name ?? null,
            method,
            route: routeOptions.url ?? '-',
            status: statusCode,
          })
        })
        guard(api, house.household)
        await describe(api)
        for (const add of routes) add(api, house)
      },
      { prefix: API_PREFIX },
    )
}
