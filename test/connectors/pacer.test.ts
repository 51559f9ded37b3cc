import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { createPacer, type Pacer, type PacerOptions } from '../../connectors/pacer.ts'

/** A clock that stands still until it is told to go on to the next sleeper. */
class Clock {
  now_ms = 0
  readonly #sleepers: { at: number; wake: () => void }[] = []

  readonly now = (): number => this.now_ms

  readonly sleep = (ms: number, signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      const sleeper = { at: this.now_ms + ms, wake: resolve }
      this.#sleepers.push(sleeper)
      signal.addEventListener('abort', () => {
        this.#sleepers.splice(this.#sleepers.indexOf(sleeper), 1)
        resolve()
      })
    })

  get sleeping(): number {
    return this.#sleepers.length
  }

  /** Runs all that can run, going on in time whenever nothing else can. */
  async runDry(): Promise<void> {
    for (;;) {
      await new Promise(setImmediate)
      const next = this.#sleepers.sort((a, b) => a.at - b.at).shift()
      if (!next) return
      this.now_ms = Math.max(this.now_ms, next.at)
      next.wake()
    }
  }
}

function pacerOn(clock: Clock, options: Partial<PacerOptions> = {}): Pacer {
  return createPacer({
    requests: 3,
    interval_ms: 1000,
    concurrent_max: 100,
    now: clock.now,
    sleep: clock.sleep,
    ...options,
  })
}

describe('a rate budget', () => {
  test('is divided among the processes that draw on it, and whole again when they leave', async () => {
    const clock = new Clock()
    let sharers = 3
    const pacer = pacerOn(clock, { requests: 7, sharers: () => sharers })
    const starts: number[] = []
    const rush = async (count: number): Promise<void> => {
      const runs = Array.from({ length: count }, () => pacer.run(() => Promise.resolve(starts.push(clock.now()))))
      await clock.runDry()
      await Promise.all(runs)
    }
    await rush(5)
    expect(starts).toEqual([0, 0, 1000, 1000, 2000])
    sharers = 1
    clock.now_ms += 5000
    starts.length = 0
    await rush(8)
    expect(starts.filter((at) => at === starts[0])).toHaveLength(7)
  })

  test('lets the budget through at once, and the rest when its window has passed, in order', async () => {
    const clock = new Clock()
    const pacer = pacerOn(clock)
    const starts: [number, number][] = []
    const runs = [0, 1, 2, 3, 4, 5, 6].map((n) => pacer.run(() => Promise.resolve(starts.push([n, clock.now()]))))
    await clock.runDry()
    await Promise.all(runs)
    expect(starts).toEqual([
      [0, 0],
      [1, 0],
      [2, 0],
      [3, 1000],
      [4, 1000],
      [5, 1000],
      [6, 2000],
    ])
  })

  test('never lets more than its share through in any window, and never more than so many at once', async () => {
    const options = fc.record({
      requests: fc.integer({ min: 1, max: 12 }),
      interval_ms: fc.integer({ min: 1, max: 500 }),
      concurrent_max: fc.integer({ min: 1, max: 5 }),
      share: fc.double({ min: 0.05, max: 1, noNaN: true }),
    })
    const work = fc.array(fc.integer({ min: 0, max: 300 }), { minLength: 1, maxLength: 40 })
    await fc.assert(
      fc.asyncProperty(options, work, async (budget, durations_ms) => {
        const clock = new Clock()
        const pacer = pacerOn(clock, budget)
        const starts: number[] = []
        let running = 0
        let most = 0
        const done = durations_ms.map((ms) =>
          pacer.run(async () => {
            starts.push(clock.now())
            most = Math.max(most, ++running)
            await clock.sleep(ms, new AbortController().signal)
            running--
          }),
        )
        await clock.runDry()
        await Promise.all(done)
        const allowed = Math.max(1, Math.floor(budget.requests * budget.share))
        expect(starts).toHaveLength(durations_ms.length)
        expect(most).toBeLessThanOrEqual(budget.concurrent_max)
        const gaps = starts.slice(allowed).map((later, index) => later - (starts[index] ?? 0))
        expect(Math.min(budget.interval_ms, ...gaps)).toBe(budget.interval_ms)
      }),
      { numRuns: 40 },
    )
  })

  test('starts nothing while it cools down, and a shorter pause does not cut a longer one', async () => {
    const clock = new Clock()
    const pacer = pacerOn(clock)
    pacer.cool(5000)
    pacer.cool(10)
    const at = pacer.run(() => Promise.resolve(clock.now()))
    await clock.runDry()
    expect(await at).toBe(5000)
  })

  test('a failing piece of work gives its place back', async () => {
    const clock = new Clock()
    const pacer = pacerOn(clock, { concurrent_max: 1 })
    const first = pacer.run(() => Promise.reject(new Error('no')))
    const second = pacer.run(() => Promise.resolve('yes'))
    await expect(first).rejects.toThrow('no')
    expect(await second).toBe('yes')
  })

  test('who is stopped while waiting leaves the line, and no timer stays behind', async () => {
    const clock = new Clock()
    const pacer = pacerOn(clock, { requests: 1 })
    await pacer.run(() => Promise.resolve())
    const stop = new AbortController()
    const waiting = pacer.run(() => Promise.resolve(), stop.signal)
    const reason = new Error('stopped')
    expect(clock.sleeping).toBe(1)
    stop.abort(reason)
    await expect(waiting).rejects.toBe(reason)
    expect(clock.sleeping).toBe(0)
    await expect(pacer.run(() => Promise.resolve(), stop.signal)).rejects.toBe(reason)
  })

  test('a budget without sense is refused', () => {
    for (const bad of [{ share: 0 }, { share: 1.5 }, { requests: 0 }, { interval_ms: 0 }, { concurrent_max: 0 }]) {
      expect(() => pacerOn(new Clock(), bad)).toThrow(RangeError)
    }
  })
})
