import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, chmod } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import {
  BackupRowError,
  SECTIONS,
  type BackupStore,
  type Filling,
  type FillPurpose,
  type Section,
  type SectionCounts,
} from '../engine/core/ports/backup.ts'
import { openBackupStore } from '../engine/store/backup.ts'
import { makeScratch } from '../engine/store/scratch.ts'
import { openDatabase } from '../engine/store/embedded/database.ts'
import { BackupError, openBackup, totalOf, type BackupHeader, type Digests, type Progress } from './backup-file.ts'
import { digestsOf } from './backup.ts'
import { readCertificates, standing } from './certificates.ts'
import type { Household } from './household.ts'
import { APPROVED } from './runtime.ts'

export interface RestoreReport {
  readonly header: BackupHeader
  /** Whether the config that is here is the one that was approved when the backup was made: else the first writes wait. */
  readonly approved: boolean
  /** Connections of the backup that the config does not name: what is known of them waits until it does. */
  readonly unnamed: readonly string[]
  /** People in the backup who were erased since it was made: every app is asked once more, and then nothing of them is left. */
  readonly erasedAgain: number
}

/** The backup is of other apps than the config names; nothing was changed. */
export class OtherAppsError extends Error {
  override readonly name = 'OtherAppsError'
}

/**
 * Puts everything back into an empty Kith, in one transaction: whoever dies in the middle has an empty Kith still. Afterwards
 * each connection is read from where the backup stood, matched and planned anew before anything is written there.
 *
 * Whoever was erased since the backup was made is barred again, and erased again where they are in it: by the certificates of
 * those erasures, in the data folder, or in a folder `erasures` beside the backup.
 *
 * @throws BackupError for a file that nothing can be restored from, NotEmptyError where there is anything already,
 *   CertificateError for a certificate that cannot be read, OtherAppsError where a connection is of another app by now; nothing was changed then
 */
export async function restoreAll(household: Household, file: string, progress: Progress = {}): Promise<RestoreReport> {
  const certificates = [
    ...(await readCertificates(household.certificates)),
    ...(await readCertificates(join(dirname(file), 'erasures'))),
  ]
  const store = await openBackupStore(household.databaseUrl)
  try {
    const apps = new Map<string, string>()
    const look = (section: Section, rows: readonly { readonly [column: string]: unknown }[]): void => {
      if (section === 'connection') for (const row of rows) apps.set(row['name'] as string, row['app'] as string)
      if (section === 'connection') refuseOtherApps(household, apps)
    }
    let erasedAgain = 0
    const { header } = await fill(store, file, 'resume', progress, look, async (filling) => {
      erasedAgain = await filling.eraseAgain(standing(certificates), Date.now())
    })
    const named = new Set(household.config.connections.map(({ name }) => name))
    return {
      header,
      approved: (await household.store.getFact(APPROVED)) === household.fingerprint,
      unnamed: [...apps.keys()].filter((name) => !named.has(name)),
      erasedAgain,
    }
  } finally {
    await store.close()
  }
}

function refuseOtherApps({ config }: Household, apps: ReadonlyMap<string, string>): void {
  for (const { name, app } of config.connections) {
    const was = apps.get(name)
    if (was === undefined || was === app) continue
    throw new OtherAppsError(`${name} is ${app} in the config, and was ${was} when the backup was made`)
  }
}

export interface Verified {
  readonly header: BackupHeader
  readonly rows: number
}

/**
 * Proves that a backup restores: reads it whole, restores it into a database that is made for this and dropped afterwards,
 * and compares row by row what is there then with what the file says. The household's own data are not touched.
 *
 * @param databaseUrl a Postgres on which a database may be made; without it one is started for this
 * @throws BackupError saying what is wrong with the file
 */
export async function verifyBackup(
  file: string,
  databaseUrl: string | undefined,
  progress: Progress = {},
): Promise<Verified> {
  // What can be told from the file alone is told before anything is started.
  const { header, digests } = await readWhole(file, progress)
  await inScratch(databaseUrl, async (url) => {
    const store = await openBackupStore(url)
    try {
      await fill(store, file, 'compare', progress)
      const restored = await digestsOf(store, progress)
      compare(file, header.counts, digests, restored)
    } finally {
      await store.close()
    }
  })
  return { header, rows: totalOf(header.counts) }
}

/** Reads a backup to its end. @throws BackupError */
export async function readWhole(
  file: string,
  progress: Progress = {},
): Promise<{ header: BackupHeader; digests: Digests }> {
  const reader = await openBackup(file, progress)
  try {
    for await (const { rows } of reader.batches()) void rows
    return { header: reader.header, digests: reader.digests() }
  } finally {
    await reader.close()
  }
}

async function fill(
  store: BackupStore,
  file: string,
  purpose: FillPurpose,
  progress: Progress,
  look: (section: Section, rows: readonly { readonly [column: string]: unknown }[]) => void = () => undefined,
  last: (filling: Filling) => Promise<void> = () => Promise.resolve(),
): Promise<{ header: BackupHeader }> {
  const reader = await openBackup(file, progress)
  try {
    const filling = await store.fill(purpose)
    try {
      for await (const { section, rows } of reader.batches()) {
        look(section, rows)
        await filling.add(section, rows)
      }
      const misfits = await filling.misfits()
      if (misfits.length > 0) throw disagreeing(file, misfits.join('; '))
      await last(filling)
      progress.signal?.throwIfAborted()
      await filling.commit()
      return { header: reader.header }
    } catch (error) {
      throw error instanceof BackupRowError ? disagreeing(file, error.message) : error
    } finally {
      await filling.rollback()
    }
  } finally {
    await reader.close()
  }
}

function disagreeing(file: string, what: string): BackupError {
  return new BackupError('damaged', `${file} does not agree with itself: ${what}. Use another backup.`)
}

function compare(
  file: string,
  counts: SectionCounts,
  digests: Digests,
  restored: { readonly counts: SectionCounts; readonly digests: Digests },
): void {
  for (const section of SECTIONS) {
    if (restored.counts[section] !== counts[section] || restored.digests[section] !== digests[section]) {
      throw new BackupError('damaged', `${file} does not restore: ${section} is not what it was. Use another backup.`)
    }
  }
}

/** A database for one thing, dropped afterwards: beside the operator's own where that may be, else on a server of its own. */
async function inScratch(databaseUrl: string | undefined, work: (url: string) => Promise<void>): Promise<void> {
  const scratch = databaseUrl === undefined || databaseUrl === '' ? null : await makeScratch(databaseUrl, scratchName())
  if (scratch) {
    try {
      return await work(scratch.url)
    } finally {
      await scratch.drop()
    }
  }
  const dataDir = await mkdtemp(join(tmpdir(), 'kith-verify-'))
  // As root the server runs as another user, who has to pass through.
  await chmod(dataDir, 0o711)
  try {
    // Nothing here outlives the moment: it need not reach the disk.
    const settings = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }
    const database = await openDatabase({ dataDir, exclusive: true, settings })
    try {
      await work(database.url)
    } finally {
      await database.close()
    }
  } finally {
    await rm(dataDir, { recursive: true, force: true })
  }
}

function scratchName(): string {
  return `kith_verify_${randomBytes(6).toString('hex')}`
}
