import { readdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Household } from './household.ts'

/**
 * The backups that were made before now, in the folder of the config and beside it: each may have whoever is erased today. A backup
 * is never changed, for then it would prove nothing; it goes when its time has come.
 */
export async function backupsWith({ config }: Household): Promise<string[]> {
  const folder = config.backup?.folder ?? dirname(config.file)
  const names = await readdir(folder).catch(() => [] as string[])
  return names.filter((name) => name.endsWith('.backup.gz')).sort()
}
