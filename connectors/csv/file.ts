import { randomUUID } from 'node:crypto'
import { open, realpath, rm, stat, access } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { renameSync, statSync, type BigIntStats } from 'node:fs'
import { codeOf, unsettled } from './errors.ts'

/** What tells one state of a file from another without reading it. */
export interface FileState {
  readonly size: number
  readonly mtime_ns: string
  readonly ino: string
}

/** A whole file, read in one piece. */
export interface Snapshot {
  readonly raw: Buffer
  readonly state: FileState
}

/** Above this a sheet is not a sheet of people, and a rewrite of it would take a machine's memory. */
export const FILE_BYTES_MAX = 256 * 1024 * 1024

export function sameState(a: FileState, b: FileState): boolean {
  return a.size === b.size && a.mtime_ns === b.mtime_ns && a.ino === b.ino
}

export function mtime_ms(state: FileState): number {
  return Number(BigInt(state.mtime_ns) / 1_000_000n)
}

/** The file's present state; undefined where there is no file, although its folder is there. */
export async function stateOf(path: string): Promise<FileState | undefined> {
  try {
    return stateFrom(await stat(path, { bigint: true }))
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
    await stat(dirname(path))
    return undefined
  }
}

/**
 * Reads a file whole, and only if it kept still meanwhile.
 * @returns undefined where there is none
 */
export async function readWhole(path: string): Promise<Snapshot | undefined> {
  const before = await stateOf(path)
  if (!before) return undefined
  if (before.size > FILE_BYTES_MAX) {
    throw unsettled(`the file is larger than ${FILE_BYTES_MAX} bytes`, 'Split the sheet, or correct the path.')
  }
  const handle = await open(path, 'r')
  try {
    const raw = await handle.readFile()
    const after = stateFrom(await handle.stat({ bigint: true }))
    if (!sameState(before, after) || raw.length !== after.size) {
      throw unsettled('the file was being written while Kith read it', 'Kith reads it again by itself.')
    }
    return { raw, state: after }
  } finally {
    await handle.close()
  }
}

/**
 * Puts new content in the place of a file, whole or not at all, with the mode and owner of the old one. The new content is on
 * disk before it takes the place.
 *
 * Not `write-file-atomic`: the last look at the file has to come between writing the new one and renaming it, which that
 * library does in one go.
 *
 * @param expected the state the new content was made from; undefined: there was no file
 * @returns the state of the new file; undefined, and nothing is changed, where somebody saved the file in between
 */
export async function replaceFile(
  path: string,
  content: Buffer,
  expected: FileState | undefined,
): Promise<FileState | undefined> {
  const target = await resolved(path)
  const old = await stat(target).catch(() => undefined)
  const temp = join(dirname(target), `.${basename(target)}.${randomUUID()}.kith`)
  try {
    const handle = await open(temp, 'wx', old ? old.mode & 0o7777 : 0o666)
    let state: FileState
    try {
      await handle.writeFile(content)
      if (old) {
        // Whoever may not give files away keeps the file as their own: that is no reason to lose the write.
        await handle.chown(old.uid, old.gid).catch(() => undefined)
        await handle.chmod(old.mode & 0o7777)
      }
      await handle.sync()
      state = stateFrom(await handle.stat({ bigint: true }))
    } finally {
      await handle.close()
    }
    // Both in one go, without giving way to anybody in between: what is left is the time of two system calls.
    const now = statSync(target, { bigint: true, throwIfNoEntry: false })
    if (expected ? !now || !sameState(stateFrom(now), expected) : now !== undefined) return undefined
    renameSync(temp, target)
    await syncFolder(dirname(target))
    return state
  } finally {
    await rm(temp, { force: true })
  }
}

/** The editor that has the file open, by the lock file it lays beside it; undefined where none does. */
export async function openedBy(path: string): Promise<{ editor: string; lock: string } | undefined> {
  const target = await resolved(path)
  const locks = [
    { editor: 'LibreOffice', lock: join(dirname(target), `.~lock.${basename(target)}#`) },
    { editor: 'Excel', lock: join(dirname(target), `~$${basename(target)}`) },
  ]
  for (const found of locks) {
    const there = await access(found.lock).then(
      () => true,
      () => false,
    )
    if (there) return found
  }
  return undefined
}

/** The file behind symbolic links, so that a rename replaces the file and not the link to it. */
export async function resolved(path: string): Promise<string> {
  return realpath(path).catch(() => path)
}

async function syncFolder(folder: string): Promise<void> {
  // Windows opens no folders; the rename itself is safe there.
  const handle = await open(folder, 'r').catch(() => undefined)
  await handle?.sync().catch(() => undefined)
  await handle?.close()
}

function stateFrom(stats: BigIntStats): FileState {
  return { size: Number(stats.size), mtime_ns: String(stats.mtimeNs), ino: String(stats.ino) }
}
