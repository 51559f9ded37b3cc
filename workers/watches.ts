import { z } from 'zod'
import { failureFrom, type Failure, type FailureKind } from '../engine/core/failure.ts'
import type { Json } from '../engine/core/json.ts'
import type { Connector, Listener } from '../engine/core/ports/connector.ts'
import type { Store } from '../engine/core/ports/store.ts'
import type { Announcer } from './announcer.ts'
import type { Connected } from './connect.ts'
import type { Log } from './runtime.ts'

export interface WatchParts {
  readonly connected: () => readonly Connected[]
  readonly store: Pick<Store, 'getFact' | 'setFact'>
  readonly announcer: Announcer
  readonly wakePull: (connection: string) => Promise<void>
  readonly log: Log
  readonly now: () => number
}

interface Watched {
  readonly connector: Connector
  readonly stop: () => Promise<void>
}

/**
 * Lets the apps' own announcements wake the workers: a file was saved, a change event came. Watches each connection's connector once,
 * and another as soon as it was opened anew. Only whoever leads watches, so that nothing is listened to twice.
 */
export class Watches {
  readonly #parts: WatchParts
  readonly #watched = new Map<string, Watched>()
  readonly #standings = new Map<string, Promise<void>>()
  #turn: Promise<void> = Promise.resolve()
  #ended = false

  constructor(parts: WatchParts) {
    this.#parts = parts
  }

  /** Watches what is connected now, and nothing else. What cannot be watched is told to the log, and polled like all others. */
  refresh(): Promise<void> {
    return (this.#turn = this.#turn.then(() => this.#refresh()))
  }

  async stop(): Promise<void> {
    this.#ended = true
    await this.#turn
    await Promise.all([...this.#watched.keys()].map((name) => this.#leave(name)))
  }

  async #refresh(): Promise<void> {
    const wanted = this.#ended ? [] : this.#parts.connected().filter(isWatched)
    const present = new Map(wanted.map(({ config, connector }) => [config.name, connector]))
    for (const [name, { connector }] of this.#watched) if (present.get(name) !== connector) await this.#leave(name)
    for (const [name, connector] of present) if (!this.#watched.has(name)) await this.#watch(name, connector)
    for (const { config } of this.#parts.connected()) if (!present.has(config.name)) this.#note(config.name, null)
  }

  async #watch(name: string, connector: Connector): Promise<void> {
    const hint = (): void => void this.#parts.wakePull(name).catch(() => undefined)
    // What an earlier process has left behind is no longer so.
    this.#note(name, null)
    try {
      const stop = await connector.watch?.(hint, this.#listener(name))
      if (stop) this.#watched.set(name, { connector, stop })
    } catch (error) {
      this.#parts.log.failure('not watched', name, failureFrom(error))
    }
  }

  async #leave(name: string): Promise<void> {
    const watched = this.#watched.get(name)
    this.#watched.delete(name)
    await watched?.stop()
    this.#note(name, null)
    await this.#standings.get(name)
  }

  #listener(name: string): Listener {
    const { store, announcer, log, now } = this.#parts
    return {
      changed: async (records) => void (await announcer.take(name, { records }, [])),
      place: () => store.getFact(placeFact(name)),
      keep: (place) => store.setFact(placeFact(name), place),
      stands: (failure) => {
        if (failure) log.failure('changes are not heard at once', name, failure)
        else log.info('changes are heard at once', { connection: name })
        this.#note(name, { since_ms: now(), failure })
      },
    }
  }

  /** For `kith status` and the metrics; one after the other, so that the last word is the last. */
  #note(name: string, standing: Standing | null): void {
    const { store, log } = this.#parts
    const before = this.#standings.get(name) ?? Promise.resolve()
    const noted = before.then(async () => {
      if (standing === null && (await store.getFact(standingFact(name))) === null) return
      await store.setFact(standingFact(name), standing as unknown as Json)
    })
    this.#standings.set(
      name,
      noted.catch((error: unknown) => log.warn('not noted', { connection: name, error: failureFrom(error).message })),
    )
  }
}

/** How listening to an app's announcements stands. */
export interface Standing {
  readonly since_ms: number
  /** Why nothing is heard at present; null where it is. */
  readonly failure: Failure | null
}

/** null where the connection is not listened to over a network, or by nobody. */
export async function listeningTo(store: Pick<Store, 'getFact'>, connection: string): Promise<Standing | null> {
  const parsed = standingSchema.safeParse(await store.getFact(standingFact(connection)))
  return parsed.success ? (parsed.data as Standing) : null
}

const kind = z.custom<FailureKind>((value) => typeof value === 'string')
const standingSchema = z.object({
  since_ms: z.number(),
  failure: z.object({ kind, message: z.string(), advice: z.string().optional() }).nullable(),
})

function isWatched({ config, connector, rules }: Connected): boolean {
  return rules !== null && connector.watch !== undefined && config.mode !== 'paused'
}

function placeFact(connection: string): string {
  return `place in the changes of ${connection}`
}

function standingFact(connection: string): string {
  return `listening to ${connection}`
}
