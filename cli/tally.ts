import type { ConnectionConfig } from '../config/types.ts'
import type { ConnectionCounts } from '../engine/core/ports/store.ts'
import type { Events } from '../workers/runtime.ts'

/** What a run did to one connection. */
export interface Tallied {
  /** Records that its feed told of. */
  readonly read: number
  readonly created: number
  readonly updated: number
  readonly deleted: number
  /** Records of the connection that Kith keeps in agreement and did not have to write. */
  readonly unchanged: number
  /** Writes that the app refused, and records that cannot be read: they wait for the operator. */
  readonly parked: number
  /** Requests, or for files: readings and rewritings. */
  readonly apiCalls: number
}

interface Counter {
  read: number
  readonly created: Set<string>
  readonly updated: Set<string>
  readonly deleted: Set<string>
}

/** Counts what happens while a command runs. */
export class Tally {
  readonly events: Events
  /** For progress: writes that were planned and may be sent, and those that are answered. */
  planned = 0
  settled = 0
  read = 0
  readonly #counters = new Map<string, Counter>()
  readonly #open = new Set<string>()

  constructor() {
    this.events = {
      read: (connection, sightings) => {
        this.#counter(connection).read += sightings
        this.read += sightings
      },
      applied: () => undefined,
      planned: (intents) => {
        for (const { connection, personId, state } of intents) {
          if (state === 'pending') this.#open.add(`${connection}\n${personId}`)
        }
        this.planned = Math.max(this.planned, this.settled + this.#open.size)
      },
      settled: ({ connection, personId, op }, _answer, settlement) => {
        this.#open.delete(`${connection}\n${personId}`)
        this.settled++
        this.planned = Math.max(this.planned, this.settled)
        if (settlement?.state !== 'done') return
        const counter = this.#counter(connection)
        const into = op === 'create' ? counter.created : op === 'update' ? counter.updated : counter.deleted
        into.add(personId)
      },
    }
  }

  of({ name }: ConnectionConfig, counts: ConnectionCounts | undefined, apiCalls: number): Tallied {
    const { read, created, updated, deleted } = this.#counter(name)
    // Someone created and then corrected in one run is one new record.
    const corrected = [...updated].filter((id) => !created.has(id)).length
    const written = [...new Set([...created, ...updated])].filter((id) => !deleted.has(id)).length
    return {
      read,
      created: created.size,
      updated: corrected,
      deleted: deleted.size,
      unchanged: Math.max(0, (counts?.linked ?? 0) - written),
      parked: (counts?.parked ?? 0) + (counts?.broken ?? 0),
      apiCalls,
    }
  }

  #counter(connection: string): Counter {
    const known = this.#counters.get(connection)
    if (known) return known
    const counter: Counter = { read: 0, created: new Set(), updated: new Set(), deleted: new Set() }
    this.#counters.set(connection, counter)
    return counter
  }
}
