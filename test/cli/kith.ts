import { spawn, type ChildProcess } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ENTRY = fileURLToPath(new URL('../../cli/kith.ts', import.meta.url))

export interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

/** A folder with a household in it, and the real command line run there. */
export class Folder {
  readonly path: string
  readonly #env: { readonly [name: string]: string | undefined }
  readonly #running = new Set<ChildProcess>()

  constructor(env: { readonly [name: string]: string | undefined } = {}) {
    this.path = mkdtempSync(join(tmpdir(), 'kith-cli-'))
    // As root the database runs as another user, who has to pass through.
    chmodSync(this.path, 0o711)
    const { DATABASE_URL: _database, REDIS_URL: _redis, KITH_DATA: _data, ...clean } = process.env
    this.#env = { ...clean, NO_COLOR: '1', TZ: 'UTC', ...env }
  }

  write(file: string, text: string): void {
    const path = join(this.path, file)
    mkdirSync(join(path, '..'), { recursive: true })
    writeFileSync(path, text)
  }

  /** Runs a command to its end. */
  async kith(...words: string[]): Promise<Ended> {
    return this.start(...words).ended
  }

  /** Runs a command to its end in another environment. */
  async with(env: { readonly [name: string]: string | undefined }, ...words: string[]): Promise<Ended> {
    const running = this.#spawn(words, { ...this.#env, ...env })
    running.input(null)
    return running.ended
  }

  /** Starts a command that stays. */
  start(...words: string[]): Running {
    const running = this.talk(...words)
    running.input(null)
    return running
  }

  /** Starts a command that reads what it is told. */
  talk(...words: string[]): Running {
    return this.#spawn(words, this.#env)
  }

  /** Starts a command on a terminal of its own, made by util-linux's `script`. */
  terminal(...words: string[]): Running {
    const command = [process.execPath, ENTRY, ...words].map((word) => `'${word}'`).join(' ')
    // A terminal that nobody looks at has no size.
    const child = spawn('script', ['-qfec', `stty cols 120 rows 40; ${command}`, '/dev/null'], {
      cwd: this.path,
      env: this.#env,
      stdio: 'pipe',
    })
    return this.#run(child)
  }

  #spawn(words: readonly string[], env: { readonly [name: string]: string | undefined }): Running {
    return this.#run(spawn(process.execPath, [ENTRY, ...words], { cwd: this.path, env, stdio: 'pipe' }))
  }

  #run(child: ChildProcess): Running {
    this.#running.add(child)
    child.once('exit', () => this.#running.delete(child))
    return new Running(child)
  }

  remove(): void {
    for (const child of this.#running) child.kill('SIGKILL')
    rmSync(this.path, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 })
  }
}

/** A process under way. */
export class Running {
  readonly ended: Promise<Ended>
  readonly #child: ChildProcess
  #out = ''
  #err = ''
  readonly #waiting = new Set<() => void>()

  constructor(child: ChildProcess) {
    this.#child = child
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#out += text
      for (const look of this.#waiting) look()
    })
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#err += text
      for (const look of this.#waiting) look()
    })
    this.ended = new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code) => resolve({ code, out: this.#out, err: this.#err }))
    })
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }

  /** What it has printed so far. */
  get out(): string {
    return this.#out
  }

  get err(): string {
    return this.#err
  }

  /** Writes to its standard input; null ends that. */
  input(text: string | null): void {
    if (text === null) this.#child.stdin?.end()
    else this.#child.stdin?.write(text)
  }

  /** Resolves once the output contains the text; rejects when the process ends without it. */
  said(text: string): Promise<void> {
    return this.#until(text, () => this.#out)
  }

  /** The same of standard error. */
  complained(text: string): Promise<void> {
    return this.#until(text, () => this.#err)
  }

  #until(text: string, said: () => string): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        if (!said().includes(text)) return
        this.#waiting.delete(look)
        resolve()
      }
      this.#waiting.add(look)
      look()
      void this.ended.then(({ code, err }) => reject(new Error(`ended with ${code} before saying "${text}": ${err}`)))
    })
  }
}

export function card(fields: { given: string; family: string; email: string; phone?: string }): string {
  const lines = [
    'BEGIN:VCARD',
    'VERSION:3.0',
    `FN:${fields.given} ${fields.family}`,
    `N:${fields.family};${fields.given};;;`,
    `EMAIL:${fields.email}`,
    ...(fields.phone === undefined ? [] : [`TEL:${fields.phone}`]),
    'END:VCARD',
    '',
  ]
  return lines.join('\r\n')
}
