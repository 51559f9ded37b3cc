import type { Connector } from '../../../engine/core/ports/connector.ts'

export interface Watched {
  /** Between two steps of a job: humans may be quicker than Kith. */
  between(label: string): Promise<void>
  /** So many records were sent in one write. */
  wrote(count: number): void
}

/**
 * A connector whose every step lets humans in before it. Not just before a write where the app has no preconditions: what is typed
 * between the last look and the write is lost there, whoever writes (SPEC, the last look).
 */
export function watched(connector: Connector, world: Watched): Connector {
  const { app, capabilities } = connector
  const find = connector.find?.bind(connector)
  return {
    app,
    capabilities,
    check: (signal) => connector.check(signal),
    async *pull(cursor, signal) {
      await world.between(`${app} pull`)
      for await (const page of connector.pull(cursor, signal)) {
        yield page
        await world.between(`${app} page`)
      }
    },
    read: async (ids, signal) => {
      await world.between(`${app} read`)
      return await connector.read(ids, signal)
    },
    write: async (requests, signal) => {
      if (capabilities.precondition) await world.between(`${app} write`)
      world.wrote(requests.length)
      const outcomes = await connector.write(requests, signal)
      await world.between(`${app} wrote`)
      return outcomes
    },
    ...(find ? { find } : {}),
    close: () => connector.close(),
  }
}
