import { createHash } from 'node:crypto'
import { mkdir, readdir, rm, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { SECTIONS, type SectionCounts } from '../engine/core/ports/backup.ts'
import type { BackupStore } from '../engine/core/ports/backup.ts'
import { openBackupStore } from '../engine/store/backup.ts'
import { isPart, lineOf, writeBackupFile, type Digests, type Progress } from './backup-file.ts'
import type { Household } from './household.ts'

export interface BackupReport {
  /** The absolute path. */
  readonly file: string
  readonly at_ms: number
  readonly bytes: number
  readonly counts: SectionCounts
}

/** A backup is not written over a file that is there, unless that is wanted. */
export class FileThereError extends Error {
  override readonly name = 'FileThereError'
}

/** A part that nobody has written to for so long was left behind by a process that was killed. */
const PART_LEFT_MS = 3_600_000

/**
 * Writes a backup of everything that is known at this moment, whoever is at work meanwhile.
 *
 * @param file its path; the folder is made where it is not there
 * @throws FileThereError, the file system's error, or StoreUnavailableError; no file is left behind then
 */
export async function backUp(
  household: Pick<Household, 'databaseUrl' | 'fingerprint'>,
  file: string,
  options: Progress & { readonly overwrite?: boolean | undefined } = {},
): Promise<BackupReport> {
  const path = resolve(file)
  const folder = join(path, '..')
  // What is in it is personal data: a folder that is made for it is its owner's alone.
  await mkdir(folder, { recursive: true, mode: 0o700 })
  if (options.overwrite !== true && (await isThere(path))) throw new FileThereError(`${file} is there already`)
  await removeLeftParts(folder)
  const store = await openBackupStore(household.databaseUrl)
  try {
    const at_ms = Date.now()
    const snapshot = await store.snapshot()
    try {
      const bytes = await writeBackupFile(path, snapshot, { at_ms, config: household.fingerprint }, options)
      return { file: path, at_ms, bytes, counts: snapshot.counts }
    } finally {
      await snapshot.close()
    }
  } finally {
    await store.close()
  }
}

/** `kith-20261122T040112Z.backup.gz`: in the order of their names they are in the order of time. */
export function backupName(at_ms: number, scheduled = false): string {
  const stamp = new Date(at_ms).toISOString().replace(/[-:]|\.\d+/g, '')
  return `kith-${scheduled ? 'auto-' : ''}${stamp}.backup.gz`
}

const SCHEDULED = /^kith-auto-\d{8}T\d{6}Z\.backup\.gz$/

/** Whether the daemon makes backups of such a name. */
export function isScheduled(name: string): boolean {
  return SCHEDULED.test(name)
}

/** The scheduled backups of a folder, oldest first. One that an operator made is nobody else's to delete. */
export async function scheduledBackups(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch(() => [] as string[])
  return names.filter(isScheduled).sort()
}

/** What is in a store, section by section, in the terms of a backup's file. */
export async function digestsOf(
  store: BackupStore,
  progress: Progress = {},
): Promise<{ counts: SectionCounts; digests: Digests }> {
  const snapshot = await store.snapshot()
  try {
    const digests: { [section: string]: string } = {}
    for (const section of SECTIONS) {
      const hash = createHash('sha256')
      for await (const row of snapshot.rows(section)) hash.update(lineOf(row))
      progress.signal?.throwIfAborted()
      digests[section] = hash.digest('hex')
    }
    return { counts: snapshot.counts, digests: digests as Digests }
  } finally {
    await snapshot.close()
  }
}

async function removeLeftParts(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!isPart(name) || !name.startsWith('kith-')) continue
    const path = join(folder, name)
    const found = await stat(path).catch(() => null)
    if (found && Date.now() - found.mtimeMs > PART_LEFT_MS) await rm(path, { force: true })
  }
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
