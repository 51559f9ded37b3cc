import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { databaseElsewhere } from '../../cli/demo/folder.ts'

const KITH = new URL('../../cli/kith.ts', import.meta.url).pathname
const WAIT_MS = 60_000

/** A demo under way, in a process of its own. */
export interface Run {
  readonly child: ChildProcess
  readonly ended: Promise<number | null>
  stdout: string
  stderr: string
}

/** Demos in folders of their own, and how to take them away again. */
export class Demos {
  /** Closed to others, as mkdtemp makes it: as root, the database then has to find a place of its own. */
  readonly folder: string
  readonly #running = new Set<Run>()

  static async open(): Promise<Demos> {
    return new Demos(await mkdtemp(join(tmpdir(), 'kith-demo-test-')))
  }

  private constructor(folder: string) {
    this.folder = folder
  }

  start(...args: string[]): Run {
    // Nothing of the operator's own is used: these would fail.
    const { NODE_OPTIONS: _options, ...env } = process.env
    const own = { ...env, DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none', REDIS_URL: 'redis://127.0.0.1:1' }
    const child = spawn(process.execPath, [KITH, 'demo', ...args], { env: own, stdio: ['ignore', 'pipe', 'pipe'] })
    const ended = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)))
    const run: Run = { child, ended, stdout: '', stderr: '' }
    child.stdout.setEncoding('utf8').on('data', (text: string) => (run.stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (run.stderr += text))
    this.#running.add(run)
    void ended.then(() => this.#running.delete(run))
    return run
  }

  async killAll(): Promise<void> {
    for (const run of this.#running) {
      run.child.kill('SIGKILL')
      await run.ended
    }
  }

  async remove(): Promise<void> {
    await this.killAll()
    for (const name of await readdir(this.folder)) {
      const elsewhere = await databaseElsewhere(join(this.folder, name))
      if (elsewhere !== null) await rm(elsewhere, { recursive: true, force: true })
    }
    await rm(this.folder, { recursive: true, force: true })
  }
}

/** Waits for a fact, looking often; the run's own end is the end of all waiting. @returns how long it took */
export async function until(run: Run, fact: () => boolean | Promise<boolean>): Promise<number> {
  const started_ms = performance.now()
  while (!(await fact())) {
    if (run.child.exitCode !== null)
      throw new Error(`it ended with ${run.child.exitCode}:\n${run.stdout}\n${run.stderr}`)
    if (performance.now() - started_ms > WAIT_MS) throw new Error(`waited in vain:\n${run.stdout}\n${run.stderr}`)
    await pause(5)
  }
  return performance.now() - started_ms
}

/** The address of the page, once the demo has told it. */
export async function pageOf(run: Run): Promise<string> {
  const told = (): string | undefined => /Open (http:\/\/127\.0\.0\.1:\d+)/.exec(run.stdout)?.[1]
  await until(run, () => told() !== undefined)
  return told() ?? ''
}

export async function portIsClosed(url: string): Promise<boolean> {
  return fetch(url).then(
    () => false,
    () => true,
  )
}

export async function databaseState(dir: string): Promise<unknown> {
  return (JSON.parse(await readFile(join(dir, '.kith', 'server.json'), 'utf8')) as { state: unknown }).state
}
