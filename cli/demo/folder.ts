import { chmod, mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { OperatorError } from '../errors.ts'

/** The demo's folder, and how to take it away again. */
export interface Folder {
  readonly path: string
  /** Removes what the demo put there, its database included; the folder itself only where the demo made it. */
  remove(): Promise<void>
}

/** Makes a temporary folder, or takes an empty one. @throws OperatorError */
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
    if ((await readdir(path)).length > 0) throw new OperatorError(`${path} is not empty`, ADVICE)
    return { path, remove: () => clear(path, made !== undefined) }
  } catch (error) {
    if (error instanceof OperatorError) throw error
    throw new OperatorError(`${path} cannot be used (${codeOf(error)})`, ADVICE)
  }
}

const ADVICE = 'Name a new or empty folder with --dir.'

function codeOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : 'unknown error'
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
