import type { Routes } from './server.ts'

/** What must be so before requests are of use; each answers in its own words why it is not, or null. */
export type Readiness = { readonly [part: string]: () => Promise<string | null> }

/** A part that does not answer is not ready. */
const ANSWER_MS_MAX = 2000

/**
 * `GET /healthz`: the process lives. `GET /readyz`: it can do its work (the database answers, the workers run). An app that does
 * not answer makes nobody less ready: `kith status` tells of it.
 */
export function healthRoutes(readiness: Readiness): Routes {
  return (server) => {
    server.get('/healthz', async () => ({ status: 'ok' }))
    server.get('/readyz', async (_request, reply) => {
      const parts = await Promise.all(
        Object.entries(readiness).map(async ([part, ask]) => [part, (await inTime(ask)) ?? 'ok'] as const),
      )
      const ready = parts.every(([, state]) => state === 'ok')
      return reply.code(ready ? 200 : 503).send({ status: ready ? 'ready' : 'not ready', ...Object.fromEntries(parts) })
    })
  }
}

async function inTime(ask: () => Promise<string | null>): Promise<string | null> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve('does not answer'), ANSWER_MS_MAX)
  })
  try {
    return await Promise.race([ask(), late])
  } catch {
    return 'does not answer'
  } finally {
    clearTimeout(timer)
  }
}
