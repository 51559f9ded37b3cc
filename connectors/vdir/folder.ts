import { createHash, randomUUID } from 'node:crypto'
import { renameSync, statSync, type BigIntStats } from 'node:fs'
import { link, lstat, open, readdir, readFile, realpath, rename, stat, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { codeOf, folderFailure } from './errors.ts'

/** The largest file taken for a contact, photo and all. */
export const FILE_SIZE_MAX = 10 * 1024 * 1024

/**
 * How long after a change a file's times can still hide another one: file systems stamp with the tick of a clock (up to
 * 10 ms on ext4, 1 s on network shares, 2 s on FAT), so two edits of one size may look alike.
 */
const SETTLE_MS = 2_500

/** Temporary files that a crash left behind are taken away when they are this old. */
const LEFTOVER_MS = 60 * 60 * 1000

/** A file's bytes with the revision they have. */
export interface Snapshot {
  readonly bytes: Buffer
  readonly rev: string
  readonly stats: BigIntStats
}

/**
 * The folder as files: listing, revisions, and writes that are whole or not at all.
 *
 * A revision is the file's inode, size and times, which cost one stat and no reading; ctime is among them because tools can
 * set mtime back but not ctime. While a file is too young for its times to be trusted (or dated in the future), the hash of its
 * content is added. So a changed content always changes the revision; a file that settles changes it once more, which costs
 * one reading that finds nothing new.
 */
export class Folder {
  readonly path: string
  readonly #now: () => number

  constructor(path: string, now: () => number) {
    this.path = path
    this.#now = now
  }

  /** What tells this folder from another at the same path (an empty mount point). @throws FailureError where there is none */
  async identity(): Promise<string> {
    try {
      const stats = await stat(this.path, { bigint: true })
      if (!stats.isDirectory()) throw Object.assign(new Error('not a folder'), { code: 'ENOTDIR' })
      return `${stats.dev}:${stats.ino}`
    } catch (error) {
      throw folderFailure(error, this.path)
    }
  }

  /** The names of the files that are contacts, in order: `*.vcf`, without dotfiles and folders. @throws FailureError */
  async names(): Promise<string[]> {
    try {
      const entries = await readdir(this.path, { withFileTypes: true })
      return entries
        .filter((entry) => !entry.isDirectory() && isContactFile(entry.name))
        .map(({ name }) => name)
        .sort()
    } catch (error) {
      throw folderFailure(error, this.path)
    }
  }

  file(name: string): string {
    return join(this.path, name)
  }

  /** The revision of a file; reads it only where its times cannot be trusted yet. @throws the system's error */
  async rev(name: string, stats: BigIntStats): Promise<string> {
    return this.#settled(stats) || !isReadable(stats)
      ? statRev(stats)
      : youngRev(stats, await readFile(this.file(name)))
  }

  /** Whether the name is in the folder, even as a link that leads nowhere. @throws the system's error, but for "no such file" */
  async holds(name: string): Promise<boolean> {
    try {
      await lstat(this.file(name))
      return true
    } catch (error) {
      ignoreMissing(error)
      return false
    }
  }

  stats(name: string): Promise<BigIntStats> {
    return stat(this.file(name), { bigint: true })
  }

  /**
   * Reads a file together with its revision: stat before and after, so that both belong to one state.
   * @throws the system's error
   */
  async read(name: string): Promise<Snapshot> {
    const handle = await open(this.file(name), 'r')
    try {
      for (let attempt = 1; ; attempt += 1) {
        const before = await handle.stat({ bigint: true })
        if (!isReadable(before)) return { bytes: Buffer.alloc(0), rev: statRev(before), stats: before }
        const bytes = await readAll(handle, Number(before.size))
        const after = await handle.stat({ bigint: true })
        if (statRev(before) === statRev(after) && bytes.length === Number(after.size)) {
          return { bytes, rev: this.#settled(after) ? statRev(after) : youngRev(after, bytes), stats: after }
        }
        // Still being written: its revision is of no state it rests in, so that the next listing has it read again.
        if (attempt === 3) return { bytes, rev: youngRev(before, bytes), stats: after }
      }
    } finally {
      await handle.close()
    }
  }

  /** Whether a revision that was handed out earlier is still the file's. */
  isAt(rev: string, snapshot: Snapshot): boolean {
    return rev === (rev.includes('+') ? youngRev(snapshot.stats, snapshot.bytes) : statRev(snapshot.stats))
  }

  /**
   * Makes a file that was not there. It appears whole, or not at all.
   * @throws the system's error: EEXIST where a file of that name is there
   */
  async create(name: string, bytes: Buffer): Promise<void> {
    const temporary = await this.#writeTemporary(this.path, bytes, 0o644)
    try {
      await link(temporary, this.file(name))
    } catch (error) {
      if (!NO_HARD_LINKS.has(codeOf(error) ?? '')) throw error
      await this.#reserve(name)
      await rename(temporary, this.file(name))
      return
    } finally {
      await unlink(temporary).catch(ignoreMissing)
    }
  }

  /**
   * Puts new bytes in the place of a file, at once. A symbolic link stays one: what it leads to is replaced.
   * @returns false where the file is no longer the one of the snapshot; nothing is changed then
   */
  async replace(name: string, snapshot: Snapshot, bytes: Buffer): Promise<boolean> {
    const target = await realpath(this.file(name))
    const temporary = await this.#writeTemporary(dirname(target), bytes, Number(snapshot.stats.mode & 0o777n))
    try {
      // Both in one go, without giving way to anybody in between: what is left is the time of two system calls.
      if (statRev(statSync(target, { bigint: true })) !== statRev(snapshot.stats)) return false
      renameSync(temporary, target)
      return true
    } finally {
      await unlink(temporary).catch(ignoreMissing)
    }
  }

  /** Takes a file away. @throws the system's error */
  async remove(name: string): Promise<void> {
    await unlink(this.file(name))
  }

  /** Makes creations, replacements and removals outlive a power cut. Some file systems refuse and need no such thing. */
  async sync(): Promise<void> {
    const handle = await open(this.path, 'r').catch(() => undefined)
    await handle?.sync().catch(() => undefined)
    await handle?.close()
  }

  /** Takes away temporary files of runs that ended between writing and renaming. */
  async sweep(): Promise<void> {
    const names = await readdir(this.path).catch((): string[] => [])
    for (const name of names.filter((one) => one.startsWith(TEMPORARY) && one.endsWith('.tmp'))) {
      const stats = await this.stats(name).catch(() => undefined)
      if (stats && this.#now() - Number(stats.mtimeMs) > LEFTOVER_MS) await unlink(this.file(name)).catch(ignoreMissing)
    }
  }

  #settled(stats: BigIntStats): boolean {
    const newest = stats.ctimeMs > stats.mtimeMs ? stats.ctimeMs : stats.mtimeMs
    return this.#now() - Number(newest) > SETTLE_MS
  }

  async #writeTemporary(folder: string, bytes: Buffer, mode: number): Promise<string> {
    const path = join(folder, `${TEMPORARY}${randomUUID()}.tmp`)
    const handle = await open(path, 'wx', mode)
    try {
      await handle.writeFile(bytes)
      // The umask may have taken rights that the file before had.
      if (mode !== 0o644) await handle.chmod(mode)
      await handle.sync()
    } catch (error) {
      await unlink(path).catch(ignoreMissing)
      throw error
    } finally {
      await handle.close()
    }
    return path
  }

  /** Where there are no hard links: an empty file claims the name, and the whole one takes its place. */
  async #reserve(name: string): Promise<void> {
    const handle = await open(this.file(name), 'wx')
    await handle.close()
  }
}

const TEMPORARY = '.kith-'

const NO_HARD_LINKS: ReadonlySet<string> = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EXDEV'])

/** Whether a name is a contact's: what sync tools and editors hide or leave lying about is not. */
export function isContactFile(name: string): boolean {
  return !name.startsWith('.') && /\.vcf$/i.test(name) && !/[/\\\0]/.test(name)
}

/** An ordinary file of a size that a contact can have. Anything else is never opened for reading. */
export function isReadable(stats: BigIntStats): boolean {
  return stats.isFile() && stats.size <= BigInt(FILE_SIZE_MAX)
}

export function statRev(stats: BigIntStats): string {
  return `${stats.ino}-${stats.size}-${stats.mtimeNs}-${stats.ctimeNs}`
}

function youngRev(stats: BigIntStats, bytes: Buffer): string {
  return `${statRev(stats)}+${createHash('sha256').update(bytes).digest('base64url')}`
}

async function readAll(handle: Awaited<ReturnType<typeof open>>, size: number): Promise<Buffer> {
  // One byte more than expected shows a file that grew; a file without end is never read to its end.
  const buffer = Buffer.alloc(size + 1)
  let length = 0
  while (length < buffer.length) {
    const { bytesRead } = await handle.read(buffer, length, buffer.length - length, length)
    if (bytesRead === 0) break
    length += bytesRead
  }
  return buffer.subarray(0, length)
}

function ignoreMissing(error: unknown): void {
  if (codeOf(error) !== 'ENOENT') throw error
}
