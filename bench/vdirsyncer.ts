import { execFile, spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Account } from './bare-client.ts'

const run = promisify(execFile)

export const hasVdirsyncer = spawnSync('vdirsyncer', ['--version']).status === 0

/** vdirsyncer on a pair of address books, with a state of its own in `folder`. */
export class Vdirsyncer {
  readonly #config: string

  constructor(folder: string, left: string, right: string, { username, password }: Account) {
    mkdirSync(join(folder, 'status'), { recursive: true })
    this.#config = join(folder, 'vdirsyncer.conf')
    const storage = (name: string, url: string): string[] => [
      `[storage ${name}]`,
      'type = "carddav"',
      `url = "${url}"`,
      `username = "${username}"`,
      `password = "${password}"`,
      '',
    ]
    const lines = [
      '[general]',
      `status_path = "${join(folder, 'status')}"`,
      '',
      '[pair books]',
      'a = "left"',
      'b = "right"',
      'collections = null',
      'conflict_resolution = "a wins"',
      '',
      ...storage('left', left),
      ...storage('right', right),
    ]
    writeFileSync(this.#config, lines.join('\n'))
  }

  async discover(): Promise<void> {
    await this.#run('discover')
  }

  /** One command, its start included. */
  async sync(): Promise<{ wall_ms: number; cpu_ms: number }> {
    return this.#run('sync')
  }

  async #run(command: string): Promise<{ wall_ms: number; cpu_ms: number }> {
    // The shell knows what its child cost; Node does not say.
    const script = 'TIMEFORMAT="%R %U %S"; time vdirsyncer -v ERROR -c "$0" "$1"'
    const { stderr } = await run('bash', ['-c', script, this.#config, command], { maxBuffer: 2 ** 26 })
    const [wall = 0, user = 0, system = 0] = (stderr.trim().split('\n').at(-1) ?? '').split(' ').map(Number)
    return { wall_ms: wall * 1000, cpu_ms: (user + system) * 1000 }
  }
}
