import { readdirSync, readFileSync } from 'node:fs'

/** What a bench reads from the system: processor time and memory of processes, and sums over several runs. */

/** Linux counts processor time in ticks of 10 ms: short steps are measured over several rounds. */
const TICK_MS = 10

interface Stat {
  readonly parent: number
  /** Processor time of the process, and of its children that have ended and were waited for. */
  readonly own_ms: number
  readonly children_ms: number
}

function statOf(pid: number): Stat | null {
  try {
    // The name in brackets may hold spaces; the fields after it are counted from the third (proc_pid_stat(5)).
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? []
    const field = (number: number): number => Number(fields[number - 3])
    return {
      parent: field(4),
      own_ms: (field(14) + field(15)) * TICK_MS,
      children_ms: (field(16) + field(17)) * TICK_MS,
    }
  } catch {
    return null
  }
}

/** Processor time of a process and of all its children, living and gone: a Postgres with its backends. */
export function familyCpu_ms(pid: number): number {
  const stats = new Map<number, Stat>()
  for (const name of readdirSync('/proc')) {
    const stat = /^\d+$/.test(name) ? statOf(Number(name)) : null
    if (stat) stats.set(Number(name), stat)
  }
  const sum = (member: number): number => {
    const { own_ms, children_ms } = stats.get(member) ?? { own_ms: 0, children_ms: 0 }
    const children = [...stats].filter(([, { parent }]) => parent === member)
    return own_ms + children_ms + children.reduce((all, [child]) => all + sum(child), 0)
  }
  return sum(pid)
}

/** The most memory that a process ever held, in MiB. */
export function peak_mib(pid: number): number {
  const found = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(found?.[1] ?? 0) / 1024
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5)
}

/** The value that `share` of all values do not exceed. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN
}

/** Runs `work` and answers how long it took, in milliseconds. */
export async function wall_ms(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await work()
  return performance.now() - start
}
