import type { Daemon } from '../workers/daemon.ts'
import type { Household } from '../workers/household.ts'
import type { Meter } from '../workers/meter.ts'
import type { Events, Log } from '../workers/runtime.ts'

/** What a daemon serves, as far as the daemon is concerned. */
export interface Served {
  attach(daemon: Daemon): void
  close(): Promise<void>
}

/** Tells several listeners of the work; more may come later. */
export class Telling {
  #events: Events

  constructor(events: Events) {
    this.#events = events
  }

  /** Puts another listener around the ones before. */
  wrap(around: (events: Events) => Events): void {
    this.#events = around(this.#events)
  }

  readonly events: Events = {
    read: (...told) => this.#events.read(...told),
    applied: (...told) => this.#events.applied(...told),
    planned: (...told) => this.#events.planned(...told),
    settled: (...told) => this.#events.settled(...told),
  }
}

/**
 * Serves what the config asks for: hooks, health and metrics (`server:`), the admin API (`admin:`). The code of what is not asked
 * for is not even loaded.
 * @throws ListenError
 */
export async function serve(
  household: Household,
  { meter, telling, log }: { readonly meter: Meter; readonly telling: Telling; readonly log: Log },
): Promise<Served> {
  const edge = household.config.server === null ? null : await serveEdge(household, meter, telling, log)
  try {
    const admin = household.config.admin === null ? null : await serveAdmin(household, log)
    return {
      attach(daemon) {
        edge?.attach(daemon)
        admin?.attach(daemon)
      },
      close: async () => void (await Promise.all([edge?.close(), admin?.close()])),
    }
  } catch (error) {
    await edge?.close()
    throw error
  }
}

async function serveEdge(household: Household, meter: Meter, telling: Telling, log: Log) {
  const [{ Edge }, { Metrics }] = await Promise.all([import('../server/edge.ts'), import('../server/metrics.ts')])
  const metrics = new Metrics()
  telling.wrap((events) => metrics.events(events))
  return Edge.open(household, { metrics, meter, log })
}

async function serveAdmin(household: Household, log: Log) {
  const { AdminApi } = await import('../server/admin.ts')
  return AdminApi.open(household, log)
}
