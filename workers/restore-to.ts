import type { Person } from '../engine/core/person.ts'
import type { BackupRow } from '../engine/core/ports/backup.ts'
import type { Link } from '../engine/core/ports/store.ts'
import type { Past } from '../engine/core/restore-act.ts'
import { linkFrom, personFrom } from '../engine/store/rows.ts'
import { searchQuery, searchText } from '../engine/store/search.ts'
import { openBackup, type BackupHeader, type Progress } from './backup-file.ts'
import { bringBack, previewBringBack, type BringBackWish, type BroughtBack, type Preview } from './bring-back.ts'
import type { Runtime } from './runtime.ts'

/** People decided about in one commit. */
const BATCH = 100

export interface RestoreToWish extends BringBackWish {
  readonly file: string
  /** Only people with one of these ids, names, addresses or numbers; null: everybody. */
  readonly people: readonly string[] | null
}

/**
 * What a restore to a connection would do; see {@link previewBringBack}.
 * @throws BackupError, or ActRefusedError where the connection cannot be restored to
 */
export async function* previewRestoreTo(
  runtime: Runtime,
  wish: RestoreToWish,
  progress: Progress = {},
): AsyncIterable<Preview> {
  const { batches } = await openPast(wish, progress)
  yield* previewBringBack(runtime, wish, batches)
}

/**
 * Brings records back to what a backup says of them; see {@link bringBack}.
 * @throws BackupError, ActRefusedError
 */
export async function restoreTo(
  runtime: Runtime,
  wish: RestoreToWish,
  who: { readonly by: string; readonly why: string },
  progress: Progress = {},
): Promise<BroughtBack> {
  const { header, batches } = await openPast(wish, progress)
  return bringBack(runtime, wish, { at_ms: header.at_ms, batches }, who, progress.signal)
}

/**
 * Those of a backup who had a record in the connection, in batches. The file is read whole first: nothing is begun on the word
 * of a damaged one, and who had which record stands behind the people in it.
 */
async function openPast(
  { file, connection, people }: RestoreToWish,
  progress: Progress,
): Promise<{ header: BackupHeader; batches: AsyncIterable<Past[]> }> {
  const records = new Map<string, { recordId: string; records: Pick<Link, 'connection' | 'recordId'>[] }>()
  const elsewhere = new Map<string, Pick<Link, 'connection' | 'recordId'>[]>()
  const reader = await openBackup(file, progress)
  try {
    for await (const { section, rows } of reader.batches()) {
      if (section === 'link') rows.forEach((row) => note(row, connection, records, elsewhere))
    }
  } finally {
    await reader.close()
  }
  for (const [personId, theirs] of records) theirs.records.push(...(elsewhere.get(personId) ?? []))
  return { header: reader.header, batches: pastOf(file, records, people, progress) }
}

function note(
  row: BackupRow,
  connection: string,
  records: Map<string, { recordId: string; records: Pick<Link, 'connection' | 'recordId'>[] }>,
  elsewhere: Map<string, Pick<Link, 'connection' | 'recordId'>[]>,
): void {
  const { state, personId, recordId, connection: name } = linkFrom({ ...NO_LINK, ...row })
  if (state !== 'linked' || personId === null) return
  const record = { connection: name, recordId }
  if (name === connection) records.set(personId, { recordId, records: [record] })
  else elsewhere.set(personId, [...(elsewhere.get(personId) ?? []), record])
}

/** A row leaves out what is null. */
const NO_LINK = {
  person_id: null,
  rev: null,
  modified_ms: null,
  field_times_ms: null,
  candidates: null,
  reason: null,
  failure: null,
}

async function* pastOf(
  file: string,
  records: ReadonlyMap<string, { recordId: string; records: Pick<Link, 'connection' | 'recordId'>[] }>,
  people: readonly string[] | null,
  progress: Progress,
): AsyncIterable<Past[]> {
  const reader = await openBackup(file, progress)
  try {
    let batch: Past[] = []
    for await (const { section, rows } of reader.batches()) {
      if (section !== 'person') continue
      for (const row of rows) {
        const theirs = records.get(row['id'] as string)
        if (!theirs) continue
        const person = personFrom({ merged_into: null, ...row })
        if (people !== null && !isNamed(person, people)) continue
        batch.push({ person, ...theirs })
        if (batch.length < BATCH) continue
        yield batch
        batch = []
      }
    }
    if (batch.length > 0) yield batch
  } finally {
    await reader.close()
  }
}

/** By id, or by a whole name, address or number, as they were in the backup. */
function isNamed(person: Person, words: readonly string[]): boolean {
  const text = searchText(person)
  return words.some((word) => word === person.id || text.includes(`\n${searchQuery(word)}\n`))
}
