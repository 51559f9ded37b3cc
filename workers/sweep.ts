import type { ConnectionState } from '../engine/core/ports/store.ts'
import type { Runtime } from './runtime.ts'

/** When each connection is to be read again: what a daemon knows besides the store. */
export interface Schedule {
  readonly poll_ms: ReadonlyMap<string, number>
  /** The last attempt of this process to read a connection, successful or not. */
  readonly attempted_ms: Map<string, number>
}

/**
 * Finds what lost wakes and dead workers left behind, and what time has made due. Everything it starts could have been
 * started by a wake; so it may run anywhere, at any time, twice.
 */
export async function sweep(runtime: Runtime, schedule: Schedule): Promise<void> {
  const { store, queue } = runtime
  const now_ms = runtime.now()
  for (const state of await store.connections()) {
    if (isDue(state, schedule, now_ms)) {
      schedule.attempted_ms.set(state.name, now_ms)
      await queue.wakePull(state.name)
    }
  }
  for (const connection of await store.due(now_ms)) await queue.wakeDeliver(connection)
  if (await somethingUnsettled(runtime)) await queue.wakeSettle()
}

function isDue(state: ConnectionState, schedule: Schedule, now_ms: number): boolean {
  const poll_ms = schedule.poll_ms.get(state.name)
  if (poll_ms === undefined || state.mode === 'paused') return false
  const last = Math.max(state.lastRead_ms ?? 0, schedule.attempted_ms.get(state.name) ?? 0)
  return now_ms - last >= poll_ms
}

/** Whether records wait to be matched or read again, or people to be planned. */
export async function somethingUnsettled(runtime: Runtime): Promise<boolean> {
  const { store } = runtime
  if ((await store.rechecks(1)).length > 0 || (await store.unplanned(1)).length > 0) return true
  return (await store.staged(1)).links.length > 0
}
