import { chmod, mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'

/** The demo's folder, and how to take it away again. */
export interface Folder {
  readonly path: string
  /** Removes what the demo put there, its database included; the folder itself only where the demo made it. */
  remove(): Promise<void>
}

/** A folder that the demo cannot use. */
export class FolderError extends Error {
  override readonly name = 'FolderError'
}

/** Makes a temporary folder, or takes an empty one. @throws FolderError */
export async function makeFolder(wanted: string | undefined): Promise<Folder> {
  if (wanted === undefined) {
    const path = await mkdtemp(join(tmpdir(), 'kith-demo-'))
    // Root lends the database an account of its own, which has to pass through here; what is inside stays closed to it.
    if (process.getuid?.() === 0) await chmod(path, 0o711)
    return { path, remove: () => clear(path, true) }
  }
  const path = resolve(wanted)
  try {
    const made = await mkdir(path, { recursive: true })
    if ((await readdir(path)).length > 0) throw new FolderError(`${path} is not empty. Name a new folder with --dir.`)
    return { path, remove: () => clear(path, made !== undefined) }
  } catch (error) {
    if (error instanceof FolderError) throw error
    const { code } = error as { code?: string }
    throw new FolderError(`${path} cannot be used (${code ?? 'unknown error'}). Name another folder with --dir.`, {
      cause: error,
    })
  }
}

/**
 * Where the database is, if not in the folder: where root's folder is closed to others, Kith finds it a place of its own and
 * leaves a note.
 */
export async function databaseElsewhere(path: string): Promise<string | null> {
  try {
    const note = JSON.parse(await readFile(join(path, '.kith', 'postgres.json'), 'utf8')) as { cluster?: unknown }
    return typeof note.cluster === 'string' ? dirname(note.cluster) : null
  } catch {
    return null
  }
}

async function clear(path: string, whole: boolean): Promise<void> {
  const elsewhere = await databaseElsewhere(path)
  if (elsewhere !== null) await rm(elsewhere, { recursive: true, force: true })
  if (whole) return rm(path, { recursive: true, force: true, maxRetries: 3 })
  for (const name of await readdir(path)) await rm(join(path, name), { recursive: true, force: true, maxRetries: 3 })
}
