import type { App } from '../connectors/app.ts'
import { apps as registry } from '../connectors/registry.ts'
import type { Connector } from '../engine/core/ports/connector.ts'

interface Counted {
  readonly requests: () => number
}

/**
 * Counts what Kith asks of each connection's app: requests where the connector counts them itself, else calls of its methods
 * (a file read, a file written).
 */
export class Meter {
  /** The registry's apps, counted. */
  readonly apps: ReadonlyMap<string, App>
  readonly #counted = new Map<string, Counted[]>()

  constructor(apps: ReadonlyMap<string, App> = registry) {
    this.apps = new Map([...apps].map(([name, app]) => [name, this.#metered(app)]))
  }

  /** Calls made for a connection so far. */
  calls(connection: string): number {
    return (this.#counted.get(connection) ?? []).reduce((sum, item) => sum + item.requests(), 0)
  }

  #metered(app: App): App {
    return {
      ...app,
      account: (options, context) => app.account(options, context),
      connect: (options, context) => {
        const connector = app.connect(options, context)
        const known = this.#counted.get(context.connection) ?? []
        this.#counted.set(context.connection, known)
        if (connector.stats) {
          known.push({ requests: () => connector.stats?.().requests ?? 0 })
          return connector
        }
        let calls = 0
        known.push({ requests: () => calls })
        return counting(connector, () => void calls++)
      },
    }
  }
}

function counting(connector: Connector, count: () => void): Connector {
  return {
    app: connector.app,
    get capabilities() {
      return connector.capabilities
    },
    check(signal) {
      count()
      return connector.check(signal)
    },
    pull(cursor, signal) {
      count()
      return connector.pull(cursor, signal)
    },
    read(ids, signal) {
      count()
      return connector.read(ids, signal)
    },
    write(requests, signal) {
      count()
      return connector.write(requests, signal)
    },
    // What a connector does not offer must not be there: the engine asks.
    ...(connector.select === undefined ? {} : { select: (fields) => connector.select?.(fields) }),
    ...(connector.find === undefined ? {} : { find: found(connector, count) }),
    ...(connector.watch === undefined ? {} : { watch: watched(connector) }),
    close: () => connector.close(),
  }
}

function found(connector: Connector, count: () => void): NonNullable<Connector['find']> {
  return async (create, signal) => {
    count()
    return (await connector.find?.(create, signal)) ?? []
  }
}

function watched(connector: Connector): NonNullable<Connector['watch']> {
  return async (hint, listener) => (await connector.watch?.(hint, listener)) ?? (() => Promise.resolve())
}
