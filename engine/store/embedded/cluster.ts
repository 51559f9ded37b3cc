import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chown, mkdtemp, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { credentials, environment, type Account } from './account.ts'
import type { Binaries } from './binaries.ts'
import { DatabaseError, folderError, programError } from './errors.ts'

/** The superuser of the cluster, and the name of Kith's database. */
export const NAME = 'kith'

const STAGING = 'staging-'

/** The cluster's password: made on first use, in a file that only its owner can read. */
export async function password(file: string, clusterExists: boolean): Promise<string> {
  const known = await readPassword(file)
  if (known !== null) return known
  if (clusterExists) {
    throw new DatabaseError(`The file ${file} is missing; without it the database cannot be opened. Bring it back.`)
  }
  const made = randomBytes(24).toString('base64url')
  try {
    const handle = await open(file, 'w', 0o600)
    await handle.writeFile(made)
    await handle.sync()
    await handle.close()
  } catch (error) {
    throw folderError(dirname(file), error)
  }
  return made
}

export async function readPassword(file: string): Promise<string | null> {
  const text = await readFile(file, 'utf8').catch(() => '')
  return text === '' ? null : text
}

export interface InitOptions {
  readonly binaries: Binaries
  readonly account: Account
  /** Whether the new files must survive a power cut. */
  readonly sync: boolean
}

/**
 * Makes the cluster, whole or not at all: it is built beside its place and renamed. To be called by the owner only.
 * The character order is Postgres' own C.UTF-8, so that no locale of the host plays a part.
 */
export async function initCluster(cluster: string, secret: string, how: InitOptions): Promise<void> {
  const { account } = how
  const parent = dirname(cluster)
  await removeStaging(parent)
  let staging: string | null = null
  try {
    staging = await mkdtemp(join(parent, STAGING))
    const secretFile = join(staging, 'password')
    await writeFile(secretFile, secret, { mode: 0o600 })
    if (account !== null) {
      for (const path of [secretFile, staging]) await chown(path, account.uid, account.gid)
    }
    await initdb(join(staging, 'cluster'), secretFile, how)
    await rename(join(staging, 'cluster'), cluster)
    await sync(parent)
  } catch (error) {
    throw error instanceof DatabaseError ? error : folderError(parent, error)
  } finally {
    if (staging !== null) await rm(staging, { recursive: true, force: true })
  }
}

/** What an initdb that was killed left behind. */
async function removeStaging(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    if (name.startsWith(STAGING)) await rm(join(parent, name), { recursive: true, force: true })
  }
}

async function initdb(folder: string, secretFile: string, how: InitOptions): Promise<void> {
  const child = spawn(
    join(how.binaries.root, 'bin', 'initdb'),
    [
      `--pgdata=${folder}`,
      `--username=${NAME}`,
      `--pwfile=${secretFile}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      '--locale=C',
      '--no-instructions',
      ...(how.sync ? [] : ['--no-sync']),
    ],
    { ...credentials(how.account), cwd: '/', env: environment(), stdio: ['ignore', 'pipe', 'pipe'] },
  )
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  }
  const code = await new Promise<number | string | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (status, signal) => resolve(status ?? signal))
  })
  if (code !== 0) {
    const lines = output.split('\n').filter((line) => /error|fatal|could not|detail|hint|denied/i.test(line))
    throw programError(`Postgres could not make its data folder in ${dirname(folder)} (initdb: ${code})`, lines)
  }
}

/** Makes the entries of a folder last. */
async function sync(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Refuses a cluster of another major version: its files cannot be read by these programs. */
export async function checkVersion(cluster: string, binaries: Binaries): Promise<void> {
  const text = await readFile(join(cluster, 'PG_VERSION'), 'utf8').catch((error: unknown) => {
    throw folderError(cluster, error)
  })
  const major = Number.parseInt(text, 10)
  if (major === binaries.major) return
  throw new DatabaseError(
    `The data in ${cluster} were made by Postgres ${major}; this Kith ships Postgres ${binaries.major}, which cannot read ` +
      `them. Use the Kith that made them, or run a Postgres ${major} on them and name it with DATABASE_URL.`,
  )
}
