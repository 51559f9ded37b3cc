import { existsSync, rmSync } from 'node:fs'
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { openDatabase, type Database } from '../../engine/store/embedded/database.ts'
import { tryLock } from '../../engine/store/embedded/lock.ts'
import { ASK, service, type Answer } from './postgres.ts'

const PREFIX = 'kith-test-run-'
const TEMPLATE = 'kith_template'

/**
 * One Postgres for a whole test run, owned by jest's own process: started when a test first asks for it over a socket,
 * gone when the run ends, however it ends.
 */
export interface TestRun {
  stop(): Promise<void>
}

declare global {
  var kithTestRun: TestRun | undefined
}

export default async function setup(): Promise<void> {
  await sweep()
  const folder = await mkdtemp(join(tmpdir(), PREFIX))
  await chmod(folder, 0o711)
  // Held while the run lives, so that the sweep of another run leaves the folder alone.
  const alive = tryLock(join(folder, 'alive.lock'))
  let database: Promise<Database> | null = null
  let answer: Promise<Answer> | null = null

  const start = async (): Promise<Answer> => {
    try {
      database = openDatabase({ dataDir: join(folder, 'data'), exclusive: true, settings: SETTINGS })
      const { url } = await database
      return await makeTemplate(url)
    } catch (error) {
      return { error: error instanceof Error ? (error.stack ?? error.message) : String(error) }
    }
  }
  const listener: Server = createServer((socket) => {
    socket.on('error', () => undefined)
    void (answer ??= start()).then((found) => socket.end(JSON.stringify(found)))
  })
  const path = join(folder, 'ask')
  await new Promise<void>((resolve, reject) => {
    listener.once('error', reject)
    listener.listen(path, resolve)
  })
  listener.unref()
  process.env[ASK] = path

  const removeNow = () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  const stop = async () => {
    listener.close()
    await answer
    await (await database?.catch(() => null))?.close()
    alive?.release()
    await rm(folder, { recursive: true, force: true })
    for (const [signal, handler] of handlers) process.off(signal, handler)
    process.off('exit', removeNow)
  }
  // Ctrl-C does not reach jest's global teardown.
  const handlers = (['SIGINT', 'SIGTERM', 'SIGHUP'] as const).map((signal) => {
    const handler = () => void stop().finally(() => process.kill(process.pid, signal))
    process.once(signal, handler)
    return [signal, handler] as const
  })
  process.once('exit', removeNow)
  globalThis.kithTestRun = { stop }
}

/** A test's data need not survive the machine. */
const SETTINGS = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', max_connections: '100' }

/** A database with Kith's tables, from which each suite's own is copied. */
async function makeTemplate(url: string): Promise<Answer> {
  const serviceUrl = new URL(url)
  serviceUrl.pathname = '/postgres'
  await service(serviceUrl.href, `create database ${TEMPLATE} template template0`)
  const migrations = new URL('../../engine/store/migrate.ts', import.meta.url)
  if (existsSync(migrations)) {
    const { migrate } = (await import(migrations.href)) as { migrate: (pool: pg.Pool) => Promise<void> }
    const own = new URL(serviceUrl)
    own.pathname = `/${TEMPLATE}`
    const pool = new pg.Pool({ connectionString: own.href, max: 2 })
    try {
      await migrate(pool)
    } finally {
      await pool.end()
    }
  }
  return { serviceUrl: serviceUrl.href, template: TEMPLATE }
}

/** Folders of runs that were killed. A folder whose lock is held belongs to a run that lives. */
async function sweep(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const folder = join(tmpdir(), name)
    if (!name.startsWith(PREFIX) || !existsSync(join(folder, 'alive.lock'))) continue
    try {
      const lock = tryLock(join(folder, 'alive.lock'))
      if (lock === null) continue
      lock.release()
      await rm(folder, { recursive: true, force: true })
    } catch {
      // Another user's, or another run sweeps it just now.
    }
  }
}
