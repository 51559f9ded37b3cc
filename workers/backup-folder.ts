import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { isScheduled } from './backup.ts'

/** A backup in the folder that the config names. */
export interface BackupFile {
  readonly name: string
  readonly bytes: number
  readonly written_ms: number
  /** Made by the daemon, which deletes it again in its time. */
  readonly scheduled: boolean
}

/** What a backup may be called by somebody who cannot see the folder: no path, nothing hidden, nothing that is deleted in turn. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.backup\.gz$/

export function isBackupName(name: string): boolean {
  return NAME.test(name) && !name.includes('..') && !isScheduled(name)
}

/** The backups of a folder, newest first: files alone, whose names are {@link isBackupName} or scheduled ones. No link is followed. */
export async function backupsIn(folder: string): Promise<BackupFile[]> {
  const names = await readdir(folder).catch(() => [] as string[])
  const found: BackupFile[] = []
  for (const name of names) {
    const scheduled = isScheduled(name)
    if (!scheduled && !isBackupName(name)) continue
    // One that goes meanwhile is not there.
    const stats = await lstat(join(folder, name)).catch(() => null)
    if (stats?.isFile()) found.push({ name, bytes: stats.size, written_ms: Math.floor(stats.mtimeMs), scheduled })
  }
  return found.toSorted((a, b) => b.written_ms - a.written_ms || (a.name < b.name ? 1 : -1))
}
