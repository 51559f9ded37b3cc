import type { Log } from '../workers/runtime.ts'
import type { Household } from '../workers/household.ts'
import { HookDesk, type Wakened } from '../workers/hooks.ts'
import type { Meter } from '../workers/meter.ts'
import { listeningTo } from '../workers/watches.ts'
import { healthRoutes } from './health.ts'
import { hookRoutes } from './hooks.ts'
import { Metrics } from './metrics.ts'
import { RefusalLog } from './refusals.ts'
import { startServer, type RunningServer } from './server.ts'

/**
 * The HTTP edge of one household: what `kith start` serves beside its work. It listens before the apps are reached, so that no
 * hook meets a closed door while the daemon starts: what is announced waits in the inbox.
 */
export class Edge {
  readonly url: string
  readonly #server: RunningServer
  readonly #desk: HookDesk
  #atWork = false
  #closed: Promise<void> | undefined

  /**
   * @returns null where the config has no `server:`
   * @throws ListenError
   */
  static async open(household: Household, parts: { metrics: Metrics; meter: Meter; log: Log }): Promise<Edge | null> {
    const { server: config, connections } = household.config
    if (config === null) return null
    const { metrics, meter, log } = parts
    const desk = HookDesk.of(household, log)
    let edge: Edge | undefined
    const server = await startServer(config, [
      hookRoutes({
        desk,
        publicUrl: () => config.publicUrl ?? edge?.url ?? '',
        refusals: new RefusalLog(log),
        told: (connection, outcome, took_ms, records) => metrics.hook(connection, outcome, took_ms, records),
      }),
      healthRoutes({
        database: async () => {
          await household.store.getFact('installation')
          return null
        },
        workers: () => Promise.resolve(edge?.isAtWork === true ? null : 'not at work'),
      }),
      metrics.routes({
        store: household.store,
        connections: connections.map(({ name }) => name),
        calls: (connection) => meter.calls(connection),
        listening: async (connection) => {
          const standing = await listeningTo(household.store, connection)
          return standing === null ? null : standing.failure === null
        },
      }),
    ])
    edge = new Edge(server, desk)
    log.info('listening', { address: edge.url, hooks: desk.connections.map((name) => `/hooks/${name}`).join(', ') })
    return edge
  }

  private constructor(server: RunningServer, desk: HookDesk) {
    this.#server = server
    this.#desk = desk
    this.url = server.url
  }

  get isAtWork(): boolean {
    return this.#atWork
  }

  /** The workers have started: hooks wake them from now on. */
  attach(daemon: Wakened): void {
    this.#desk.attach(daemon)
    this.#atWork = true
  }

  /** Takes no more requests. The workers are still there, and are woken no more. */
  close(): Promise<void> {
    this.#atWork = false
    return (this.#closed ??= this.#server.close().then(() => this.#desk.detach()))
  }
}
