import { createHook } from 'node:async_hooks'

/**
 * Watches for sockets, file watchers, child processes and timers that are opened from now on and left open. Timers are
 * told one by one, because the test runner's own come and go; the rest by count.
 */
export class OpenHandles {
  readonly #before = countsNow()
  readonly #timers = new Map<number, NodeJS.Timeout>()
  readonly #hook = createHook({
    init: (id, type, _, resource) => void (type === 'Timeout' && this.#timers.set(id, resource as NodeJS.Timeout)),
    destroy: (id) => void this.#timers.delete(id),
  }).enable()

  /** Waits until all is closed, or `patience_ms` are over; returns what is still open, or the empty text. */
  async left(patience_ms: number): Promise<string> {
    this.#hook.disable()
    const deadline = performance.now() + patience_ms
    // Sockets take a turn or more of the event loop to close on both sides.
    while (this.#excess() !== '' && performance.now() < deadline) await new Promise((resolve) => setImmediate(resolve))
    return this.#excess()
  }

  #excess(): string {
    const more = [...countsNow()].filter(([name, count]) => count > (this.#before.get(name) ?? 0))
    const timers = [...this.#timers.values()].filter(isWaiting).length
    return [...more.map(([name]) => name), ...(timers > 0 ? [`${timers} timers`] : [])].join(', ')
  }
}

/** An unreferenced timer keeps nothing alive, and one that is cleared or has fired is no more. */
function isWaiting(timer: NodeJS.Timeout & { _destroyed?: boolean }): boolean {
  return timer.hasRef() && timer._destroyed !== true
}

function countsNow(): Map<string, number> {
  const counts = new Map<string, number>()
  for (const name of process.getActiveResourcesInfo()) counts.set(name, (counts.get(name) ?? 0) + 1)
  // Ours, the runner's, and what ends by itself within a turn.
  for (const passing of ['Immediate', 'Timeout', 'TickObject']) counts.delete(passing)
  return counts
}
