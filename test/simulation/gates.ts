import type { Commit, Store } from '../../engine/core/ports/store.ts'

/**
 * The store behind gates: before each call another task may go first, and after it (its work done) the process may die.
 * Streams pass a gate for each thing they yield.
 */
export function gatedStore(store: Store, gate: (label: string) => Promise<void>): Store {
  return new Proxy(store, {
    get(target, name: keyof Store) {
      const method = target[name].bind(target) as (...args: unknown[]) => unknown
      if (STREAMS.has(name))
        return (...args: unknown[]) => gatedStream(method(...args) as AsyncIterable<unknown>, name, gate)
      return async (...args: unknown[]) => {
        await gate(`${name}?`)
        const result = await method(...args)
        if (WRITES.has(name)) await gate(`${name}! ${told(name, args, result)}`)
        return result
      }
    },
  })
}

/** What a trace says of a call: of a commit the step of its pass, and what became of it. */
function told(name: string, args: readonly unknown[], result: unknown): string {
  const { feed } = (name === 'commit' ? args[0] : {}) as Commit
  return name === 'commit' ? JSON.stringify({ ...(feed ? { feed } : {}), result }) : ''
}

const STREAMS = new Set(['knownIds', 'intents', 'links', 'conflicts', 'kept', 'baseline'])
const WRITES = new Set([
  'commit',
  'claim',
  'claimExpired',
  'startPass',
  'saveConnection',
  'hold',
  'beginPause',
  'settlePause',
  'endPause',
])

async function* gatedStream(
  source: AsyncIterable<unknown>,
  name: string,
  gate: (label: string) => Promise<void>,
): AsyncGenerator<unknown> {
  await gate(`${name}?`)
  yield* source
}
