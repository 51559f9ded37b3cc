import type { ConnectionState } from '../engine/core/ports/store.ts'
import type { Daemon } from './daemon.ts'
import { mayWrite } from './deliver.ts'
import { somethingUnsettled } from './sweep.ts'

export interface QuietOptions {
  /** Whether writes are waited for, or only plans. */
  readonly delivered: boolean
  /** false: what is known already is brought to its end, and nothing new is read. Default: true. */
  readonly reads?: boolean
  readonly signal?: AbortSignal
  /** Called now and then, for progress bars. */
  readonly onProgress?: () => void
}

const LOOK_MS = 25
const SOON_MS = 3_000

/**
 * Reads every connection once, and waits until nothing more happens by itself: what was read is applied, everybody is
 * matched and planned, and (where asked) what may be sent is sent. Writes that wait for a later time are not waited for.
 */
export async function runToQuiet(daemon: Daemon, options: QuietOptions): Promise<void> {
  const { runtime, queues } = daemon
  const before = new Map((await runtime.store.connections()).map((state) => [state.name, state]))
  const started_ms = runtime.now()
  const reads = options.reads !== false
  if (reads) for (const name of runtime.connectors.keys()) await queues.wakePull(name)
  for (let calm = 0; calm < 2;) {
    if (options.signal?.aborted) return
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
    options.onProgress?.()
    if (queues.running > 0) {
      calm = 0
      continue
    }
    const states = reads ? await runtime.store.connections() : []
    const read = states.every((state) =>
      wasRead(state, before.get(state.name), runtime.connectors.has(state.name), started_ms),
    )
    calm = read && (await atRest(daemon, options)) ? calm + 1 : 0
  }
}

function wasRead(
  state: ConnectionState,
  before: ConnectionState | undefined,
  known: boolean,
  started_ms: number,
): boolean {
  if (!known || state.mode === 'paused') return true
  if (state.failure !== null && state.pass > (before?.pass ?? 0)) return true
  return (state.lastRead_ms ?? 0) >= started_ms
}

async function atRest(daemon: Daemon, options: QuietOptions): Promise<boolean> {
  const { runtime, queues } = daemon
  if ((await queues.busy()) > 0) return false
  if (await somethingUnsettled(runtime)) {
    // What waits for somebody's answer (a create under way, a connection that cannot be read) stays unsettled for now.
    if (await waitsForOthers(daemon)) return !options.delivered || (await nothingDue(daemon))
    await queues.wakeSettle()
    return false
  }
  return !options.delivered || nothingDue(daemon)
}

async function waitsForOthers(daemon: Daemon): Promise<boolean> {
  const { store } = daemon.runtime
  const counts = [...(await store.counts()).values()]
  const waiting = counts.some((count) => count.sending > 0)
  const states = await store.connections()
  return waiting || states.some((state) => state.failure !== null)
}

async function nothingDue(daemon: Daemon): Promise<boolean> {
  const { runtime, queues } = daemon
  // A write that is tried again in a moment is waited for.
  const due = await runtime.store.due(runtime.now() + SOON_MS)
  const states = new Map((await runtime.store.connections()).map((state) => [state.name, state]))
  const sendable = due.filter((name) => runtime.connectors.has(name) && mayWrite(states.get(name)))
  for (const name of sendable) await queues.wakeDeliver(name)
  const counts = await runtime.store.counts()
  return sendable.length === 0 && [...counts.values()].every((count) => count.sending === 0)
}
