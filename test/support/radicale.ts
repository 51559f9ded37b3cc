import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A real CardDAV server in a folder of its own. */
export interface Radicale {
  /** Its root. */
  readonly url: string
  readonly username: string
  readonly password: string
  /** The process, for those who measure it. */
  readonly pid: number
  /** Makes an address book with these cards and returns its address. Written to disk as Radicale keeps it. */
  addBook(name: string, cards?: { readonly [file: string]: string }): string
  close(): Promise<void>
}

const USER = 'ada'
const PASSWORD = 'Enchantress of Numbers'

/** Whether this machine has Radicale (Debian: `radicale`); without it tests are reported as skipped. */
export const hasRadicale = spawnSync('radicale', ['--version']).status === 0

/** Starts Radicale on loopback, in a temporary folder; ready to answer when this resolves. */
export async function startRadicale(): Promise<Radicale> {
  const folder = mkdtempSync(join(tmpdir(), 'kith-radicale-'))
  const port = await freePort()
  writeFileSync(join(folder, 'users'), `${USER}:${PASSWORD}\n`)
  const config = [
    '[server]',
    `hosts = 127.0.0.1:${port}`,
    '[auth]',
    'type = htpasswd',
    `htpasswd_filename = ${join(folder, 'users')}`,
    'htpasswd_encryption = plain',
    'delay = 0',
    '[storage]',
    `filesystem_folder = ${join(folder, 'data')}`,
    '[logging]',
    'level = error',
    '',
  ]
  writeFileSync(join(folder, 'config'), config.join('\n'))
  const child = spawn('radicale', ['--config', join(folder, 'config')], { stdio: ['ignore', 'ignore', 'inherit'] })
  const url = `http://127.0.0.1:${port}/`
  try {
    await answering(url, child)
  } catch (error) {
    await stop(child, folder)
    throw error
  }
  return {
    url,
    username: USER,
    password: PASSWORD,
    pid: child.pid ?? 0,
    addBook(name, cards = {}) {
      const book = join(folder, 'data', 'collection-root', USER, name)
      mkdirSync(book, { recursive: true })
      writeFileSync(join(book, '.Radicale.props'), JSON.stringify({ tag: 'VADDRESSBOOK', 'D:displayname': name }))
      for (const [file, text] of Object.entries(cards)) writeFileSync(join(book, file), text)
      return new URL(`/${USER}/${encodeURIComponent(name)}/`, url).href
    },
    close: () => stop(child, folder),
  }
}

async function stop(child: ChildProcess, folder: string): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await ended
  }
  rmSync(folder, { recursive: true, force: true })
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Radicale says nothing when it is ready: it is asked until it answers. */
async function answering(url: string, child: ChildProcess): Promise<void> {
  const until = Date.now() + 20_000
  while (Date.now() < until) {
    if (child.exitCode !== null) throw new Error(`radicale ended with ${child.exitCode}`)
    try {
      await (await fetch(url, { method: 'OPTIONS' })).arrayBuffer()
      return
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
  throw new Error('radicale did not answer within 20 s')
}
