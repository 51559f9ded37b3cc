import { z } from 'zod'
import { SECTIONS, type SectionCounts } from '../../engine/core/ports/backup.ts'
import type { BackupConfig } from '../../config/types.ts'
import type { BackupReport } from '../backup.ts'
import { nextBackup_ms, type BackupStanding } from '../backup-clock.ts'
import type { BackupFault } from '../backup-file.ts'
import type { BackupFile } from '../backup-folder.ts'
import type { Verified } from '../restore.ts'
import { Time, timeOf } from './common.ts'

const Counts = z.record(z.enum(SECTIONS as readonly [string, ...string[]]), z.int()).describe('Rows, by what they are.')

/** A backup that was made. */
export const BackupDocument = z
  .object({ file: z.string(), bytes: z.int(), counts: Counts, at: Time.describe('The moment that it shows.') })
  .meta({ id: 'Backup' })

/** @param file as it is told to whoever asked for it */
export function backupDocument({ at_ms, bytes, counts }: BackupReport, file: string): z.infer<typeof BackupDocument> {
  return { file, bytes, counts: countsOf(counts), at: timeOf(at_ms) }
}

/** Whether a backup restores. */
export const VerifiedDocument = z
  .object({
    file: z.string(),
    restores: z.boolean(),
    at: Time.optional(),
    rows: z.int().optional(),
    counts: Counts.optional(),
    fault: z.enum(['unreadable', 'foreign', 'newer', 'truncated', 'damaged']).optional(),
    reason: z.string().optional().describe('Why it does not, and what to do.'),
  })
  .meta({ id: 'Verified' })

export function verifiedDocument(file: string, { header, rows }: Verified): z.infer<typeof VerifiedDocument> {
  return { file, restores: true, at: timeOf(header.at_ms), rows, counts: countsOf(header.counts) }
}

export function faultyDocument(file: string, fault: BackupFault, reason: string): z.infer<typeof VerifiedDocument> {
  return { file, restores: false, fault, reason }
}

function countsOf(counts: SectionCounts): { [section: string]: number } {
  return { ...counts }
}

/** The backups of the folder that the config names, and how the scheduled ones stand. */
export const BackupsDocument = z
  .object({
    scheduled: z
      .object({
        everySeconds: z.int(),
        keep: z.int().describe('How many scheduled ones are kept.'),
        next: Time.describe('When the next one is due; a time that has passed: at the next look.'),
        last: z.object({ file: z.string(), at: Time, bytes: z.int() }).nullable(),
        failure: z.object({ message: z.string(), at: Time }).nullable().describe('Why there has been none since.'),
      })
      .nullable()
      .describe('null: the config has no section backup:, and no folder for backups.'),
    files: z
      .array(z.object({ file: z.string(), bytes: z.int(), written: Time, scheduled: z.boolean() }))
      .describe('Newest first.'),
    total: z.int(),
  })
  .meta({ id: 'Backups' })

export function backupsDocument(
  config: BackupConfig | null,
  { last, failure }: BackupStanding,
  files: readonly BackupFile[],
  limit: number,
): z.infer<typeof BackupsDocument> {
  return {
    scheduled: config && {
      everySeconds: Math.round(config.every_ms / 1000),
      keep: config.keep,
      next: timeOf(nextBackup_ms({ last, failure }, config.every_ms)),
      last: last && { file: last.file.replace(/^.*[\\/]/, ''), at: timeOf(last.at_ms), bytes: last.bytes },
      failure: failure && { message: failure.message, at: timeOf(failure.at_ms) },
    },
    files: files.slice(0, limit).map(({ name, bytes, written_ms, scheduled }) => {
      return { file: name, bytes, written: timeOf(written_ms), scheduled }
    }),
    total: files.length,
  }
}
