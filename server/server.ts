import type { AddressInfo } from 'node:net'
import { fastify, type FastifyInstance } from 'fastify'
import { SERVER_CONNECTIONS_MAX, SERVER_HEADERS_MS_MAX, SERVER_REQUEST_MS_MAX } from '../config/limits.ts'

/** Where to listen; port 0: any that is free. */
export interface Address {
  readonly host: string
  readonly port: number
}

/** One idea of the server's, with its routes. */
export type Routes = (server: FastifyInstance) => void | Promise<void>

/** How patient the server is; tests make it impatient. */
export interface Patience {
  /** How long a request's headers may take, and the whole of it. */
  readonly headers_ms: number
  readonly request_ms: number
}

const PATIENCE: Patience = { headers_ms: SERVER_HEADERS_MS_MAX, request_ms: SERVER_REQUEST_MS_MAX }

export interface RunningServer {
  /** Where it listens: `http://127.0.0.1:5484`. */
  readonly url: string
  /** Takes no more requests, and lets those under way come to an end. */
  close(): Promise<void>
}

/** The address cannot be listened on. The message says why, and what to do. */
export class ListenError extends Error {
  override readonly name = 'ListenError'
}

/**
 * The HTTP edge: what all routes share. Requests are not logged: an address may hold a secret, and a body personal data (I15).
 *
 * @param section of kith.yaml, which says where
 * @throws ListenError
 */
export async function startServer(
  { host, port }: Address,
  routes: readonly Routes[],
  { patience = PATIENCE, section = 'server' }: { readonly patience?: Patience; readonly section?: string } = {},
): Promise<RunningServer> {
  const server = fastify({
    logger: false,
    // A reverse proxy on this machine says who asks; nobody else is believed.
    trustProxy: 'loopback',
    return503OnClosing: true,
    // An e-mail address may be this long, and is part of an address of the admin API.
    routerOptions: { maxParamLength: 320 },
    forceCloseConnections: 'idle',
    requestTimeout: patience.request_ms,
    http: {
      headersTimeout: patience.headers_ms,
      requestTimeout: patience.request_ms,
      // Node looks for those who dawdle this often, by itself only twice a minute.
      connectionsCheckingInterval: Math.min(1000, patience.headers_ms),
    },
  })
  server.server.maxConnections = SERVER_CONNECTIONS_MAX
  server.setNotFoundHandler((_request, reply) => reply.code(404).send({ error: 'not found' }))
  server.setErrorHandler((error, _request, reply) => {
    const status = statusOf(error)
    // Its message may quote the request.
    return reply.code(status).send({ error: status < 500 ? 'the request is refused' : 'something went wrong' })
  })
  for (const each of routes) await server.register(each)
  try {
    await server.listen({ host, port })
  } catch (error) {
    await server.close()
    throw notListening(error, { host, port }, section)
  }
  const { port: bound } = server.server.address() as AddressInfo
  return { url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}`, close: () => server.close() }
}

function statusOf(error: unknown): number {
  const { statusCode } = Object(error) as { statusCode?: unknown }
  return typeof statusCode === 'number' && statusCode >= 400 && statusCode < 600 ? statusCode : 500
}

function notListening(error: unknown, { host, port }: Address, section: string): ListenError {
  const { code } = Object(error) as { code?: unknown }
  const where = `${host}, port ${port}`
  const why =
    code === 'EADDRINUSE'
      ? `another program listens there already. Stop it, or choose another port`
      : code === 'EACCES'
        ? 'ports below 1024 are not for everybody. Choose another port, and let a reverse proxy stand before it'
        : code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND'
          ? 'this machine has no such address. Choose another host'
          : `${typeof code === 'string' ? code : 'unknown error'}`
  return new ListenError(`the server cannot listen on ${where}: ${why} (${section}: in kith.yaml)`, { cause: error })
}
