import type { Certificate } from '../erasure.ts'
import type { JsonObject } from '../json.ts'

/**
 * What a backup holds, section by section, in the order in which it is written and restored: all that Kith knows, but for
 * sign-ins (they are secrets), writes not yet sent (they are planned anew), and what says how this one process is at work.
 */
export const SECTIONS = [
  'connection',
  'fact',
  'person',
  'link',
  'kept',
  'baseline',
  'conflict',
  'apart',
  'consent',
  'erasure',
  'barred',
  'act',
  'change',
  'delivery',
] as const

export type Section = (typeof SECTIONS)[number]

/** One row of a section: its columns by name, those left out that are null. */
export type BackupRow = JsonObject

export type SectionCounts = { readonly [section in Section]: number }

/** The store as it was at one moment, however long the reading takes and whoever works on it meanwhile. */
export interface Snapshot {
  readonly counts: SectionCounts
  /** The rows of one section, in an order that is always the same. Bounded memory: a page at a time. */
  rows(section: Section): AsyncIterable<BackupRow>
  close(): Promise<void>
}

/** A restore under way: one transaction, in which nobody else writes. What is not committed was never there. */
export interface Filling {
  /** Sections come in the order of {@link SECTIONS}. @throws BackupRowError for rows that cannot be kept */
  add(section: Section, rows: readonly BackupRow[]): Promise<void>
  /** What does not fit together in what was added, in words without any personal value; empty where all does. */
  misfits(): Promise<string[]>
  /**
   * After everything was added: erasures that the backup does not know, from their certificates. What they bar is barred, and
   * whoever of them is in the backup is to be erased once more (I7).
   * @returns how many people
   */
  eraseAgain(certificates: readonly Certificate[], now_ms: number): Promise<number>
  /** The end: all of it is there. */
  commit(): Promise<void>
  /** Takes everything back; after a commit it does nothing. */
  rollback(): Promise<void>
}

/**
 * - `resume`  to go on with: every connection is read before anything is matched or written there, and everybody is planned anew
 * - `compare` row for row what the backup holds, and nothing else, to be compared with it
 */
export type FillPurpose = 'resume' | 'compare'

/** The store, whole: copied out and put back. */
export interface BackupStore {
  snapshot(): Promise<Snapshot>
  /** @throws NotEmptyError where anything is there already */
  fill(purpose: FillPurpose): Promise<Filling>
  close(): Promise<void>
}

/** A restore is for an empty Kith; nothing was changed. */
export class NotEmptyError extends Error {
  override readonly name = 'NotEmptyError'
  /** What is there, by section. */
  readonly contents: Partial<SectionCounts>

  constructor(contents: Partial<SectionCounts>) {
    super('there are data already')
    this.contents = contents
  }
}

/** Rows that the store cannot keep: twice the same, or two records of one person in one connection. */
export class BackupRowError extends Error {
  override readonly name = 'BackupRowError'
}
