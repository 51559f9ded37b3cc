import { spawn, type ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { findCluster } from '../../engine/store/embedded/place.ts'

const KITH = new URL('../../cli/kith.ts', import.meta.url).pathname

/** A command of Kith in a process of its own. */
export interface KithProcess {
  readonly child: ChildProcess
  /** Its exit code; null when it was killed. */
  readonly ended: Promise<number | null>
  /** Everything that it printed so far. */
  text(): string
  /** Waits until it has printed this. @throws where it ends before */
  says(text: string, within_ms?: number): Promise<void>
  kill(signal: NodeJS.Signals): Promise<number | null>
}

/** Starts `kith <args>` in a folder, with nothing of the caller's own environment that could lead it elsewhere. */
export function startKith(
  args: readonly string[],
  dir: string,
  more: { readonly [name: string]: string },
): KithProcess {
  const { NODE_OPTIONS: _options, DATABASE_URL: _database, REDIS_URL: _redis, KITH_DATA: _data, ...env } = process.env
  const child = spawn(process.execPath, [KITH, ...args], {
    cwd: dir,
    env: { ...env, ...more },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let printed = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (printed += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (printed += text))
  const ended = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)))
  return {
    child,
    ended,
    text: () => printed,
    says: async (text, within_ms = 30_000) => {
      await until(
        () => {
          if (printed.includes(text)) return true
          if (child.exitCode !== null)
            throw new Error(`kith ${args.join(' ')} ended with ${child.exitCode}:\n${printed}`)
          return false
        },
        `"${text}" of kith ${args.join(' ')}`,
        within_ms,
      )
    },
    kill: async (signal) => {
      child.kill(signal)
      return ended
    },
  }
}

/** Waits for a fact, looking often. @throws when it does not come about in time */
export async function until(fact: () => boolean | Promise<boolean>, what: string, within_ms: number): Promise<void> {
  for (const end = Date.now() + within_ms; !(await fact());) {
    if (Date.now() > end) throw new Error(`waited ${within_ms} ms in vain for ${what}`)
    await pause(20)
  }
}

/** The process id of the Postgres that works on a data folder, or last did; null where none is known. */
export async function postgresOf(dataDir: string): Promise<number | null> {
  try {
    const [line = ''] = readFileSync(join(await findCluster(dataDir), 'postmaster.pid'), 'utf8').split('\n')
    return Number(line) || null
  } catch {
    return null
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    // A process that has ended and was not waited for is not alive.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}
