import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { BACKUP_RETRY_MS } from '../config/limits.ts'
import type { BackupConfig } from '../config/types.ts'
import type { Json } from '../engine/core/json.ts'
import { backUp, backupName, scheduledBackups } from './backup.ts'
import type { Household } from './household.ts'
import type { Log } from './runtime.ts'

/** The fact under which the store keeps how the scheduled backups stand. */
const BACKUPS = 'backups'

const standingSchema = z.object({
  last: z.object({ file: z.string(), at_ms: z.number(), bytes: z.number() }).nullable(),
  failure: z.object({ message: z.string(), at_ms: z.number() }).nullable(),
})

/** How the scheduled backups stand: the last one that was made, and why there has been none since, if that failed. */
export interface BackupStanding {
  readonly last: { readonly file: string; readonly at_ms: number; readonly bytes: number } | null
  readonly failure: { readonly message: string; readonly at_ms: number } | null
}

export async function backupStanding({ store }: Pick<Household, 'store'>): Promise<BackupStanding> {
  return standingSchema.safeParse(await store.getFact(BACKUPS)).data ?? { last: null, failure: null }
}

/** When the next one is to be made; what was missed is made at once. */
export function nextBackup_ms({ last, failure }: BackupStanding, every_ms: number): number {
  const due_ms = last === null ? 0 : last.at_ms + every_ms
  return failure === null ? due_ms : Math.max(due_ms, failure.at_ms + Math.min(BACKUP_RETRY_MS, every_ms))
}

/** Whether there should have been one by now: the last one is older than two of its turns. */
export function isOverdue({ last }: BackupStanding, every_ms: number, now_ms: number): boolean {
  return last !== null && now_ms - last.at_ms > 2 * every_ms
}

/**
 * Makes a backup if one is due, and lets the oldest go. A failure is kept for `kith status` and told to the log; the next turn
 * tries again.
 */
export async function backUpWhenDue(
  household: Pick<Household, 'store' | 'databaseUrl' | 'fingerprint'>,
  { every_ms, keep, folder }: BackupConfig,
  log: Log,
  now_ms: number,
  signal?: AbortSignal,
): Promise<void> {
  const standing = await backupStanding(household)
  if (now_ms < nextBackup_ms(standing, every_ms)) return
  const remember = (next: BackupStanding): Promise<void> => household.store.setFact(BACKUPS, next as unknown as Json)
  try {
    const file = join(folder, backupName(now_ms, true))
    const { bytes } = await backUp(household, file, { signal, overwrite: true })
    await remember({ last: { file, at_ms: now_ms, bytes }, failure: null })
    log.info('backup', { file, bytes })
    const all = await scheduledBackups(folder)
    for (const name of all.slice(0, -keep)) await rm(join(folder, name), { force: true })
  } catch (error) {
    if (signal?.aborted) return
    const message = sayWhy(error, folder)
    log.warn('backup failed', { reason: message, next: 'it is tried again' })
    await remember({ ...standing, failure: { message, at_ms: now_ms } })
  }
}

function sayWhy(error: unknown, folder: string): string {
  const { code, message } = error as NodeJS.ErrnoException
  if (typeof code === 'string' && /^E[A-Z]+$/.test(code)) return `the folder ${folder} cannot be written to (${code})`
  return message
}

/** Looks every now and then whether a backup is due, in a process that leads. */
export class BackupClock {
  readonly #ending = new AbortController()
  #timer: NodeJS.Timeout | undefined
  #underWay = Promise.resolve()

  /** @param look_ms time between two looks */
  constructor(household: Household, config: BackupConfig, log: Log, look_ms: number) {
    const { signal } = this.#ending
    const turn = (): void => {
      this.#underWay = backUpWhenDue(household, config, log, Date.now(), signal)
        // The database is away: the sweep says so, and the next turn looks again.
        .catch(() => undefined)
        .then(() => {
          if (!signal.aborted) this.#timer = setTimeout(turn, look_ms)
        })
    }
    turn()
  }

  /** One that is being made is given up; nothing of it is left. */
  async stop(): Promise<void> {
    this.#ending.abort()
    clearTimeout(this.#timer)
    await this.#underWay
  }
}
