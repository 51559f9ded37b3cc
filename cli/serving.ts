import type { Household } from '../workers/household.ts'
import type { Wakened } from '../workers/hooks.ts'
import type { Meter } from '../workers/meter.ts'
import type { Events, Log } from '../workers/runtime.ts'

/** What a daemon serves, as far as the daemon is concerned. */
export interface Served {
  attach(daemon: Wakened): void
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
 * Serves what the config's `server:` asks for; null where there is none, and then the server's code is not even loaded.
 * @throws ListenError
 */
export async function serve(
  household: Household,
  parts: { readonly meter: Meter; readonly telling: Telling; readonly log: Log },
): Promise<Served | null> {
  if (household.config.server === null) return null
  const [{ Edge }, { Metrics }] = await Promise.all([import('../server/edge.ts'), import('../server/metrics.ts')])
  const metrics = new Metrics()
  parts.telling.wrap((events) => metrics.events(events))
  return Edge.open(household, { metrics, meter: parts.meter, log: parts.log })
}
