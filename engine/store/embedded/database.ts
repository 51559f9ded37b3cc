import { Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { readPassword } from './cluster.ts'
import { codeOf, DatabaseError, DataInUseError, messageOf } from './errors.ts'
import { tryLock } from './lock.ts'
import { readNotice } from './notice.ts'
import { tryOutside } from './outside.ts'
import { own, urlOf } from './owner.ts'
import { layout, prepareFolder } from './place.ts'

export { DatabaseError, DataInUseError } from './errors.ts'

export interface DatabaseOptions {
  /** DATABASE_URL: a Postgres of the operator's own. Without it Kith runs one itself. */
  readonly databaseUrl?: string | undefined
  /** Where the embedded one keeps its data: `.kith`, or KITH_DATA. Made when missing. */
  readonly dataDir: string
  /** Own the data or fail, instead of joining the one who does. */
  readonly exclusive?: boolean
  /** Lines of the server's log, and what is done about it. No personal value is in them (I15). */
  readonly onLog?: (line: string) => void
  /** Settings of the embedded server that take the place of Kith's own: for tests. */
  readonly settings?: Readonly<Record<string, string>>
}

/** An open database; the address stays good until `close`, though connections may break off meanwhile. */
export interface Database {
  readonly url: string
  /** Whether this process runs the server. A guest becomes the owner when the owner goes and the guest stays. */
  readonly owner: boolean
  /** Stops the server if this process owns it, leaves it alone otherwise. */
  close(): Promise<void>
}

/**
 * Opens Kith's database: the one that DATABASE_URL names, or an embedded Postgres on a folder of its own.
 *
 * The first process on a folder owns the server; later ones join it as guests. The server ends with its owner, however
 * that one ends. A guest that is still there then takes the folder over and starts the server again under the same
 * address, so that `kith status` may own a server that `kith start` has joined, and leave.
 *
 * @throws DatabaseError with the cause and what to do about it
 * @throws DataInUseError when `exclusive` is asked for and another process owns the data
 */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  if (options.databaseUrl !== undefined && options.databaseUrl !== '') {
    await tryOutside(options.databaseUrl)
    return { url: options.databaseUrl, owner: false, close: async () => undefined }
  }
  if (process.platform === 'win32') {
    throw new DatabaseError('On Windows Kith needs a Postgres of your own: name it with DATABASE_URL.')
  }
  return openEmbedded({ ...options, dataDir: await prepareFolder(options.dataDir) })
}

/** How long a guest waits for an owner that says nothing new; a crash recovery can take its time. */
const OWNER_WAIT_MS = 120_000

/** How a process takes part in an embedded database at one time. */
interface Part {
  readonly owner: boolean
  readonly url: string
  /** Settles when a guest has lost the server. Never for the owner, who brings it back. */
  readonly lost: Promise<void>
  leave(): Promise<void>
}

async function openEmbedded(options: DatabaseOptions): Promise<Database> {
  const onLog = options.onLog ?? (() => undefined)
  const closing = new AbortController()
  let part = await takePart(options, null, closing.signal)
  const { url } = part
  const port = Number(new URL(url).port)

  const aborted = new Promise<void>((resolve) => closing.signal.addEventListener('abort', () => resolve()))
  const followed = (async () => {
    for (;;) {
      await Promise.race([part.lost, aborted])
      if (closing.signal.aborted) return
      await part.leave()
      onLog('the owner of the database has gone; joining or taking over')
      for (let wait_ms = 50; ; wait_ms = Math.min(2000, wait_ms * 2)) {
        try {
          part = await takePart(options, port, closing.signal)
          if (part.url === url) break
          onLog('the database has another address now: waiting for the old one')
          await part.leave()
        } catch (error) {
          if (closing.signal.aborted) return
          onLog(messageOf(error))
        }
        await Promise.race([pause(wait_ms, undefined, { ref: false }), aborted])
        if (closing.signal.aborted) return
      }
    }
  })()

  let closed: Promise<void> | null = null
  const close = async () => {
    closing.abort()
    if (!part.owner) {
      await part.leave()
      await followed
    }
    // A guest that was just taking over is the owner by now, and leaves as such.
    await part.leave()
  }
  return {
    url,
    get owner() {
      return part.owner
    },
    close: () => (closed ??= close()),
  }
}

/** Becomes the owner if there is none, else a guest of the one there is; waits for one that is starting or ending. */
async function takePart(options: DatabaseOptions, port: number | null, closing: AbortSignal): Promise<Part> {
  const { dataDir } = options
  const end = Date.now() + OWNER_WAIT_MS
  for (;;) {
    closing.throwIfAborted()
    const lock = tryLock(layout(dataDir).lock)
    if (lock !== null) {
      const { settings = {}, onLog = () => undefined } = options
      const owned = await own(lock, { dataDir, settings, onLog, port })
      return { owner: true, url: owned.url, lost: new Promise(() => undefined), leave: () => owned.close() }
    }
    if (options.exclusive === true) throw new DataInUseError(dataDir, await ownerPid(dataDir))
    const guest = await join(dataDir)
    if (guest !== null) return guest
    if (Date.now() > end) {
      const pid = await ownerPid(dataDir)
      throw new DatabaseError(
        `The data in ${dataDir} are held by process ${pid ?? 'unknown'}, whose database does not answer. Look at what ` +
          'it says, or stop it.',
      )
    }
    await pause(20)
  }
}

/** Joins the owner's server, or returns null when it is not (or no longer) to be had. */
async function join(dataDir: string): Promise<Part | null> {
  const notice = await readNotice(dataDir)
  const secret = await readPassword(layout(dataDir).password)
  if (notice?.state !== 'ready' || secret === null) return null
  const url = urlOf(notice.port, secret)
  // This one connection is the guest's eye on the server. The password proves both sides to each other (SCRAM), so a
  // stranger on a port that was used before is found out.
  const socket = new Socket()
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: 5000,
    application_name: 'kith guest',
    stream: () => socket,
  })
  const lost = new Promise<void>((resolve) => {
    client.once('end', resolve)
    client.on('error', () => resolve())
  })
  try {
    await client.connect()
    await client.query('select 1')
  } catch {
    socket.destroy()
    return null
  }
  socket.unref()
  return {
    owner: false,
    url,
    lost,
    leave: async () => {
      socket.ref()
      await client.end().catch(() => undefined)
    },
  }
}

/** Who holds the lock. The holder writes its name down just after taking it, so a name of the past is read once more. */
async function ownerPid(dataDir: string): Promise<number | null> {
  for (let attempt = 0; attempt < 10; attempt++) {
    const notice = await readNotice(dataDir)
    if (notice !== null && notice.state !== 'stopped' && isAlive(notice.pid)) return notice.pid
    await pause(20)
  }
  return null
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return codeOf(error) === 'EPERM'
  }
}
