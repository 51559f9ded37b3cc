import type { Random } from './random.ts'

interface Waiting {
  readonly task: number
  readonly label: string
  resume(): void
}

/**
 * Runs tasks one step at a time, in an order drawn from the seed. A step ends where the task asks at a gate (before and after
 * every call of a port); there another task may go first, a human may edit something, or the whole process may die, whose
 * tasks then simply never go on.
 */
export class Scheduler {
  readonly #random: Random
  #waiting: Waiting[] = []
  #running = new Map<number, string>()
  #tasks = 0
  /** Everything that happened, for the comparison of two runs. */
  readonly trace: string[] = []
  failure: unknown

  constructor(random: Random) {
    this.#random = random
  }

  /** Waits until the scheduler lets this task go on. */
  gate(task: number, label: string): Promise<void> {
    return new Promise((resolve) => this.#waiting.push({ task, label, resume: resolve }))
  }

  start(label: string, run: (task: number) => Promise<void>): void {
    const task = ++this.#tasks
    this.#running.set(task, label)
    const ended = (error?: unknown): void => {
      if (!this.#running.delete(task)) return
      if (error !== undefined) this.failure ??= error
    }
    run(task).then(() => ended(), ended)
  }

  get running(): number {
    return this.#running.size
  }

  runs(label: string): boolean {
    return [...this.#running.values()].includes(label)
  }

  /** The process dies: no task of it ever takes another step. */
  crash(): void {
    this.trace.push('crash')
    this.#waiting = []
    this.#running.clear()
  }

  /** One task goes on to its next gate. @returns false when none can */
  async step(): Promise<boolean> {
    await settled()
    if (this.#waiting.length === 0) return false
    const [next] = this.#waiting.splice(this.#random.below(this.#waiting.length), 1)
    this.trace.push(`${next?.label}`)
    next?.resume()
    await settled()
    return true
  }
}

/** All that can go on by itself has gone on: nothing in the simulation waits for a timer or a socket. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
