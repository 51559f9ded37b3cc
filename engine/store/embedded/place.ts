import { createHash, randomBytes } from 'node:crypto'
import { chmod, mkdir, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { z } from 'zod'
import { amRoot, canReach, type Account } from './account.ts'
import { ownFolder } from './binaries.ts'
import { DatabaseError, folderError } from './errors.ts'

/** The files Kith keeps in a data folder, beside the cluster itself. */
export const layout = (dataDir: string) => ({
  lock: join(dataDir, 'owner.lock'),
  notice: join(dataDir, 'server.json'),
  password: join(dataDir, 'password'),
  cluster: join(dataDir, 'postgres'),
  pointer: join(dataDir, 'postgres.json'),
})

/** Where root puts programs and data that the lent account cannot reach in their own place; the first usable one. */
export const ROOT_CACHES = ['/var/cache/kith', '/var/tmp/kith']
const ROOT_DATA = ['/var/lib/kith', '/var/tmp/kith']

/**
 * Says where the cluster of a data folder is, when the account cannot reach the folder. The id ties the two together, so
 * that a copied folder never shares its cluster with the original.
 */
const POINTER = z.object({ cluster: z.string(), id: z.string() })
/** The other end, beside the cluster. */
const HOME = z.object({ dataDir: z.string(), id: z.string() })

/**
 * Makes the data folder if it is missing, and returns its real path. Root makes it so that the lent account can pass
 * through it; its files stay closed.
 */
export async function prepareFolder(dataDir: string): Promise<string> {
  try {
    const made = await mkdir(dataDir, { recursive: true })
    if (made !== undefined) await chmod(dataDir, amRoot() ? 0o711 : 0o700)
    return await realpath(dataDir)
  } catch (error) {
    throw folderError(dataDir, error)
  }
}

/** The cluster's folder, whether it exists yet or not; to be asked by the owner only. */
export async function findCluster(dataDir: string): Promise<string> {
  const files = layout(dataDir)
  const pointer = await readJson(files.pointer, POINTER)
  if (pointer === null) return files.cluster
  const homeFile = homeOf(pointer.cluster)
  const home = await readJson(homeFile, HOME)
  if (home === null || home.id !== pointer.id) {
    throw new DatabaseError(
      `The data of ${dataDir} should be in ${pointer.cluster}, and are not. Bring that folder back; or, to start ` +
        `without them, delete ${dataDir}.`,
    )
  }
  if (home.dataDir !== dataDir) {
    const other = await readJson(layout(home.dataDir).pointer, POINTER)
    if (other?.id === pointer.id) {
      throw new DatabaseError(
        `${dataDir} is a copy of ${home.dataDir}, and both name the same data in ${pointer.cluster}. Delete the copy.`,
      )
    }
    await writeJson(homeFile, { dataDir, id: pointer.id })
  }
  return pointer.cluster
}

/**
 * Decides where a new cluster goes: in the data folder, or, when the account cannot reach that (root in a folder closed
 * to others), in a folder of its own under /var, with a pointer left in the data folder.
 */
export async function placeCluster(dataDir: string, account: Account): Promise<string> {
  const files = layout(dataDir)
  if (await canReach(account, dataDir)) return files.cluster
  const id = randomBytes(8).toString('hex')
  const name = `${createHash('sha256').update(dataDir).digest('hex').slice(0, 12)}-${id}`
  for (const root of ROOT_DATA) {
    const folder = join(root, name)
    const usable = await ownFolder(root)
      .then(() => ownFolder(folder))
      .then(() => canReach(account, folder))
      .catch(() => false)
    if (!usable) {
      await rm(folder, { recursive: true, force: true })
      continue
    }
    const cluster = join(folder, basename(files.cluster))
    // The home first: a pointer is never left without it.
    await writeJson(homeOf(cluster), { dataDir, id })
    await writeJson(files.pointer, { cluster, id })
    return cluster
  }
  throw new DatabaseError(
    `The account ${account?.name ?? 'of this user'} cannot enter ${dataDir}, and neither ${ROOT_DATA.join(' nor ')} can ` +
      'be used instead. Choose a folder that others may enter with KITH_DATA, or name a Postgres with DATABASE_URL.',
  )
}

function homeOf(cluster: string): string {
  return join(dirname(cluster), 'home.json')
}

export async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

/** The file's content, or null when it is missing, half-written or of another shape. */
export async function readJson<T>(file: string, schema: z.ZodType<T>): Promise<T | null> {
  const text = await readFile(file, 'utf8').catch(() => null)
  if (text === null) return null
  try {
    return schema.safeParse(JSON.parse(text)).data ?? null
  } catch {
    return null
  }
}

/** Replaces the file in one step: a reader sees the old content or the new. To be called by the owner only. */
export async function writeJson(file: string, content: unknown): Promise<void> {
  const next = `${file}.next`
  await writeFile(next, JSON.stringify(content), { mode: 0o600, flush: true })
  await rename(next, file)
}
