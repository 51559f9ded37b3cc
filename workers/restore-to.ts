import type { Actor } from '../engine/core/act.ts'
import { planPerson } from '../engine/core/plan.ts'
import type { Person } from '../engine/core/person.ts'
import type { BackupRow } from '../engine/core/ports/backup.ts'
import type { Intent, Link, Neighbourhood } from '../engine/core/ports/store.ts'
import {
  compareWithPast,
  restorePerson,
  type Past,
  type PersonBack,
  type RestoreTerms,
} from '../engine/core/restore-act.ts'
import type { ConnectionRules } from '../engine/core/rules.ts'
import { Workspace } from '../engine/core/workspace.ts'
import { linkFrom, personFrom } from '../engine/store/rows.ts'
import { searchQuery, searchText } from '../engine/store/search.ts'
import { ActRefusedError, perform } from './acts.ts'
import { openBackup, type BackupHeader, type Progress } from './backup-file.ts'
import { consentsFor } from './consents.ts'
import type { Runtime } from './runtime.ts'
import { together, withStanding } from './standing.ts'

/**
 * Why the writes of a restore wait: as a brake's do, so that they go on waiting however often these people are planned anew,
 * until an operator says: kith approve <connection>.
 */
export const BROUGHT_BACK = 'brake: brought back from a backup'

/** People decided about in one commit. */
const BATCH = 100

export interface RestoreToWish {
  readonly file: string
  readonly connection: string
  /** Only these canonical fields; null: all of them. */
  readonly fields: ReadonlySet<string> | null
  /** Only people with one of these ids, names, addresses or numbers; null: everybody. */
  readonly people: readonly string[] | null
  /** Also what others than the connection itself have changed since. */
  readonly overEdits: boolean
}

/** One person's part, and what would be written for them, where. */
export interface Preview {
  readonly name: Person
  readonly part: PersonBack
  readonly writes: readonly Intent[]
}

/**
 * What a restore to a connection would do, person by person, and what it would leave; nothing is changed. What differs by what
 * has not been read yet is not in it: read first.
 *
 * @throws BackupError, or ActRefusedError where the connection cannot be restored to
 */
export async function* previewRestoreTo(
  runtime: Runtime,
  wish: RestoreToWish,
  progress: Progress = {},
): AsyncIterable<Preview> {
  const terms = termsOf(runtime, wish)
  const { batches } = await openPast(wish, progress)
  for await (const batch of batches) {
    const hood = await load(runtime, terms.connection, batch)
    const ws = new Workspace(hood, await consentsFor(runtime, hood))
    const actor: Actor = { at_ms: runtime.now(), by: 'preview' }
    const parts = batch.map((past) => ({ past, part: restorePerson(ws, runtime.rules, past, terms, actor) }))
    const plan = {
      now_ms: actor.at_ms,
      newId: runtime.newId,
      held: BROUGHT_BACK,
      heldFields: new Map<string, string>(),
    }
    for (const id of ws.touchedPeople) planPerson(ws, runtime.rules, id, plan)
    const writes = Map.groupBy(ws.commit().intents ?? [], (intent) => intent.personId)
    for (const { past, part } of parts) {
      if (isQuiet(part)) continue
      yield { name: past.person, part, writes: writes.get(part.personId) ?? [] }
    }
  }
}

export interface RestoredTo {
  /** The act that all of it is recorded under. */
  readonly act: string
  readonly people: number
  readonly values: number
  readonly created: number
  readonly left: number
}

/**
 * Does it, as an act of an operator's: the people's values become what they were, and what is to be written for that in any
 * app waits for `kith approve`. In commits of some people each; doing it once more goes on where it was ended.
 *
 * @throws BackupError, ActRefusedError
 */
export async function restoreTo(
  runtime: Runtime,
  wish: RestoreToWish,
  { by, why }: { readonly by: string; readonly why: string },
  progress: Progress = {},
): Promise<RestoredTo> {
  const terms = termsOf(runtime, wish)
  const { header, batches } = await openPast(wish, progress)
  const act = runtime.newId()
  const about = { connection: wish.connection, backup: new Date(header.at_ms).toISOString() }
  const sum = { act, people: 0, values: 0, created: 0, left: 0 }
  for await (const batch of batches) {
    progress.signal?.throwIfAborted()
    const hood = await load(runtime, terms.connection, batch)
    const before = new Workspace(hood)
    const concerned = batch.filter((past) => {
      const part = compareWithPast(before, runtime.rules, past, terms)
      sum.left += part.left.length + (part.reason === undefined ? 0 : 1)
      return part.back.length > 0 || part.again.length > 0
    })
    if (concerned.length === 0) continue
    let parts: PersonBack[] = []
    await perform(
      runtime,
      { by, why, kind: 'restore', about },
      () => load(runtime, terms.connection, concerned),
      (ws, actor) => {
        parts = concerned.map((past) => restorePerson(ws, runtime.rules, past, terms, actor))
        return null
      },
      [],
      { id: act, held: BROUGHT_BACK },
    )
    const done = parts.filter((part) => part.back.length > 0 || part.again.length > 0)
    sum.people += done.length
    sum.values += done.reduce((count, part) => count + part.back.length, 0)
    sum.created += done.reduce((count, part) => count + part.again.length, 0)
  }
  return sum
}

function isQuiet({ back, left, again, reason }: PersonBack): boolean {
  return back.length + left.length + again.length === 0 && reason === undefined
}

function termsOf({ rules }: Runtime, { connection: name, fields, overEdits }: RestoreToWish): RestoreTerms {
  const connection = rules.connections.get(name)
  if (!connection)
    throw new ActRefusedError(`${name} cannot be restored to: it is not in the config, or does not answer`)
  if (connection.direction === 'in') throw new ActRefusedError(`nothing is ever written to ${name} (direction: in)`)
  return { connection, fields, overEdits }
}

async function load(runtime: Runtime, { name }: ConnectionRules, batch: readonly Past[]): Promise<Neighbourhood> {
  const { store } = runtime
  const records = await store.loadRecords(
    name,
    batch.map((past) => past.recordId),
  )
  const people = await store.loadPeople(batch.map((past) => past.person.id))
  return withStanding(store, together(records, people))
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
