import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { amRoot, chooseAccount } from './account.ts'
import { findBinaries } from './binaries.ts'
import { checkVersion, initCluster, NAME, password } from './cluster.ts'
import { codeOf, DatabaseError, messageOf } from './errors.ts'
import type { Lock } from './lock.ts'
import { readNotice, writeNotice } from './notice.ts'
import { exists, findCluster, layout, placeCluster, ROOT_CACHES } from './place.ts'
import { clearLeftovers, freePort, startServer, type Server, type ServerOptions } from './server.ts'

export interface OwnerOptions {
  /** The real path. */
  readonly dataDir: string
  readonly settings: Readonly<Record<string, string>>
  readonly onLog: (line: string) => void
  /** Set when somebody already uses the database under this port; null leaves it open. */
  readonly port: number | null
}

/** What the owner of a data folder holds: the lock and the running server. */
export interface Owned {
  readonly url: string
  close(): Promise<void>
}

/** The address of Kith's database on an embedded server. */
export function urlOf(port: number, secret: string, database = NAME): string {
  return `postgres://${NAME}:${secret}@127.0.0.1:${port}/${database}`
}

/**
 * Takes the folder over as its owner: makes the cluster if there is none, ends what an earlier owner left, starts the
 * server and keeps it up. If that fails the lock is given back and nothing is left running.
 */
export async function own(lock: Lock, options: OwnerOptions): Promise<Owned> {
  try {
    return await takeOver(lock, options)
  } catch (error) {
    lock.release()
    throw error
  }
}

async function takeOver(lock: Lock, options: OwnerOptions): Promise<Owned> {
  const { dataDir, onLog } = options
  const before = await readNotice(dataDir)
  const usual = before === null || before.port === 0 ? null : before.port
  await writeNotice(dataDir, { state: 'starting', port: usual ?? 0 })

  let cluster = await findCluster(dataDir)
  const account = await chooseAccount(cluster)
  const binaries = await findBinaries(account, amRoot() ? ROOT_CACHES : [join(dataDir, 'programs')])
  const old = await exists(join(cluster, 'PG_VERSION'))
  const secret = await password(layout(dataDir).password, old)
  if (old) {
    await checkVersion(cluster, binaries)
    await clearLeftovers(cluster, account, onLog)
  } else {
    if (cluster === layout(dataDir).cluster) cluster = await placeCluster(dataDir, account)
    await initCluster(cluster, secret, { binaries, account, sync: options.settings['fsync'] !== 'off' })
  }

  const wanted = options.port ?? usual
  const how = { cluster, binaries, account, settings: options.settings, onLog }
  let server = await startOnFreePort(how, wanted, options.port !== null)
  const url = urlOf(server.port, secret)
  const announce = () => writeNotice(dataDir, { state: 'ready', port: server.port })
  try {
    await ensureDatabase(url, urlOf(server.port, secret, 'postgres'))
    await announce()
  } catch (error) {
    await server.stop()
    throw error
  }

  const closing = new AbortController()
  // A server that dies while it is owned (killed, out of memory) is started again under the same address.
  const kept = (async () => {
    for (;;) {
      const lines = await server.gone
      if (closing.signal.aborted) return
      onLog(`Postgres has ended unexpectedly and is started again: ${lines.at(-1) ?? 'it said nothing'}`)
      await writeNotice(dataDir, { state: 'starting', port: server.port })
      const next = await restart({ ...how, port: server.port }, closing.signal)
      if (next === null) return
      server = next
      await announce()
    }
  })()
  kept.catch((error: unknown) => onLog(`Postgres is not started again: ${messageOf(error)}`))

  let closed: Promise<void> | null = null
  const close = async () => {
    closing.abort()
    try {
      await server.stop()
      await kept.catch(() => undefined)
      await writeNotice(dataDir, { state: 'stopped', port: server.port })
    } finally {
      lock.release()
    }
  }
  return { url, close: () => (closed ??= close()) }
}

/** A port that was free a moment ago may be taken by now: try a few. */
async function startOnFreePort(
  how: Omit<ServerOptions, 'port'>,
  wanted: number | null,
  fixed: boolean,
): Promise<Server> {
  for (let attempt = 1; ; attempt++) {
    const port = fixed && wanted !== null ? wanted : await freePort(attempt === 1 ? wanted : null)
    try {
      return await startServer({ ...how, port })
    } catch (error) {
      const taken = error instanceof DatabaseError && error.message.includes('Address already in use')
      if (!taken || attempt === 5) throw error
      if (fixed) await pause(200 * attempt)
    }
  }
}

/** Tries until the server is up again, or the owner closes. */
async function restart(options: ServerOptions, closing: AbortSignal): Promise<Server | null> {
  for (let wait_ms = 50; !closing.aborted; wait_ms = Math.min(2000, wait_ms * 2)) {
    try {
      await clearLeftovers(options.cluster, options.account, options.onLog)
      const server = await startServer(options)
      if (!closing.aborted) return server
      await server.stop()
    } catch (error) {
      options.onLog(messageOf(error))
    }
    await pause(wait_ms, undefined, { signal: closing, ref: false }).catch(() => undefined)
  }
  return null
}

/** Tries the database, and makes it when there is none: the first start, or one that was killed before this. */
async function ensureDatabase(url: string, serviceUrl: string): Promise<void> {
  const refusal = await query(url, 'select 1').then(() => null, codeOf)
  if (refusal === null) return
  if (refusal === '28P01') {
    throw new DatabaseError(
      'The password file beside the data does not belong to them. Bring the right one back, with the data it came with.',
    )
  }
  // 3D000: no such database. Anything else goes up from the second attempt.
  if (refusal === '3D000') await query(serviceUrl, `create database ${NAME}`)
  await query(url, 'select 1')
}

async function query(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 30_000 })
  client.on('error', () => undefined)
  try {
    await client.connect()
    await client.query(sql)
  } finally {
    await client.end().catch(() => undefined)
  }
}
