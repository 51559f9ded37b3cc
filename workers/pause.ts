import type { Intent, Pause, Store } from '../engine/core/ports/store.ts'
import { ActRefusedError } from './acts.ts'
import { deliver } from './deliver.ts'
import type { Runtime } from './runtime.ts'

/** What an operator wants stopped, and why. */
export interface PauseWish {
  readonly by: string
  readonly why: string
  readonly until_ms: number | null
}

/**
 * Stops all writing to a connection: from now on no process claims anything there. What is under way is still to be waited for;
 * see {@link settlePause}. A connection that is in a pause already stays in that one.
 */
export async function beginPause(
  { store, newId, now }: Pick<Runtime, 'store' | 'newId' | 'now'>,
  connection: string,
  { by, why, until_ms }: PauseWish,
): Promise<{ readonly pause: Pause; readonly begun: boolean }> {
  const [id, at_ms] = [newId(), now()]
  const about = { connection, ...(until_ms === null ? {} : { until_ms }) }
  const begun = await store.beginPause(
    connection,
    { id, at_ms, by, why, until_ms },
    { id, at_ms, by, why, kind: 'pause', about },
  )
  const state = (await store.connections()).find(({ name }) => name === connection)
  if (!state?.pause) throw new ActRefusedError(`${connection} has been resumed by somebody else just now`)
  return { pause: state.pause, begun }
}

/**
 * Acknowledges a pause if nothing is under way any more: after that not one write reaches the app (I10), the baseline stands, and
 * what is heard is kept. Answers that are lost by now are found out about first.
 *
 * @returns how many writes are under way; 0 once it is acknowledged
 */
export async function settlePause(runtime: Runtime, connection: string, signal?: AbortSignal): Promise<number> {
  const { store, queue } = runtime
  const state = (await store.connections()).find(({ name }) => name === connection)
  if (!state?.pause) throw new ActRefusedError(`${connection} has been resumed by somebody else just now`)
  if (state.pause.since_ms !== null) return 0
  const settled = await store.settlePause(connection, state.pause.id, runtime.now())
  if (settled === 0) {
    // A pass that was under way ended with it.
    await queue.wakePull(connection)
    return 0
  }
  await deliver(runtime, connection, signal)
  const left = await store.settlePause(connection, state.pause.id, runtime.now())
  if (left === null) throw new ActRefusedError(`${connection} has been resumed by somebody else just now`)
  if (left === 0) await queue.wakePull(connection)
  return left
}

export interface PauseWait {
  /** How long to wait for what is under way. A write that is not answered is found out about when its lease has run out. */
  readonly timeout_ms: number
  readonly signal?: AbortSignal
  /** Told how many writes are under way, now and then. */
  readonly onWaiting?: (underWay: number) => void
}

const LOOK_MS = 250

/** Waits until a pause is acknowledged. @returns what is still under way; empty: it is acknowledged */
export async function waitForPause(
  runtime: Runtime,
  connection: string,
  { timeout_ms, signal, onWaiting }: PauseWait,
): Promise<Intent[]> {
  const end_ms = runtime.now() + timeout_ms
  for (;;) {
    const underWay = await settlePause(runtime, connection, signal)
    if (underWay === 0) return []
    if (runtime.now() >= end_ms || signal?.aborted === true) break
    onWaiting?.(underWay)
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
  }
  const left: Intent[] = []
  for await (const intent of runtime.store.intents({ connection, state: 'sending' })) left.push(intent)
  return left
}

/** A pause as an operator is told of it. */
export interface PauseNews {
  readonly connection: string
  readonly pause: Pause
  /** Records that the clean-up is about, as far as it was heard. */
  readonly kept: number
  /** Past its `until`. */
  readonly overdue: boolean
  /** Overdue, or so old that it may have been forgotten. */
  readonly loud: boolean
}

/** Every pause there is, oldest first. */
export async function pauses(
  { store, now }: { readonly store: Pick<Store, 'connections' | 'keptCount'>; readonly now: () => number },
  forgottenAfter_ms: number,
): Promise<PauseNews[]> {
  const found: PauseNews[] = []
  for (const { name, pause } of await store.connections()) {
    if (!pause) continue
    const overdue = pause.until_ms !== null && now() > pause.until_ms
    const loud = overdue || (pause.until_ms === null && now() - pause.at_ms > forgottenAfter_ms)
    found.push({ connection: name, pause, kept: await store.keptCount(name), overdue, loud })
  }
  return found.sort((a, b) => a.pause.at_ms - b.pause.at_ms)
}
