import { decideApply, type ApplyTerms, type Known } from './apply.ts'
import { valuesOf, type Person } from './person.ts'
import { diffRecord, mapped, sameFields } from './diff.ts'
import { bareLink, excluded, excluderOf, excludeTurned } from './erasure.ts'
import { compact, hearRecord, keepRewrites, withoutFailure } from './hear.ts'
import { matches, type Filter } from './include.ts'
import { keysOf } from './identity.ts'
import { sameJson, type JsonObject } from './json.ts'
import { LEFT_OUT } from './people.ts'
import { outstanding, planPerson } from './plan.ts'
import type { AppRecord } from './ports/connector.ts'
import type { Kept, Link } from './ports/store.ts'
import type { ConnectionRules, Rules } from './rules.ts'
import { changeOf, type Workspace } from './workspace.ts'

export type CleanUpTerms = ApplyTerms & Required<Pick<ApplyTerms, 'barred'>>

/** What a clean-up consists of. A record that others were merged into belongs to the merge. */
export type CleanUpGroup = 'edits' | 'merges' | 'deletes' | 'creates'

export const CLEAN_UP_GROUPS: readonly CleanUpGroup[] = ['edits', 'merges', 'deletes', 'creates']

/**
 * What becomes of a clean-up, or of a part of it.
 *
 * - `release` it goes on as changes that were heard
 * - `drop`    it stays in the app, and nobody else hears of it
 * - `revert`  the app is brought back to what it was
 */
export type CleanUpWay = 'release' | 'drop' | 'revert'

/** Which part of a clean-up is meant. */
export interface CleanUpPart {
  readonly groups: ReadonlySet<CleanUpGroup>
  /** Only these canonical fields of edits; null: whole records. */
  readonly fields: ReadonlySet<string> | null
  /** Only records that say this now, or (gone) said it before. */
  readonly filter: Filter | null
}

export const WHOLE: CleanUpPart = { groups: new Set(CLEAN_UP_GROUPS), fields: null, filter: null }

/** One record of a clean-up. */
export interface CleanUpItem {
  readonly kept: Kept
  readonly group: CleanUpGroup
}

/** The items in the order in which they are decided: merges before the records they led to, deletions last. */
export function cleanUpItems(kept: readonly Kept[], linkOf: (recordId: string) => Link | undefined): CleanUpItem[] {
  const winners = new Set(kept.flatMap(({ end }) => (end?.kind === 'merged' ? [end.into] : [])))
  const items = kept.map((one) => ({ kept: one, group: groupOf(one, linkOf(one.recordId), winners) }))
  return items.sort((a, b) => rank(a) - rank(b) || a.kept.mark - b.kept.mark)
}

function groupOf({ recordId, end }: Kept, link: Link | undefined, winners: ReadonlySet<string>): CleanUpGroup {
  if (end?.kind === 'merged' || winners.has(recordId)) return 'merges'
  if (end) return 'deletes'
  return link && link.state !== 'gone' ? 'edits' : 'creates'
}

function rank({ kept, group }: CleanUpItem): number {
  if (kept.end?.kind === 'merged') return 0
  return { merges: 1, edits: 2, creates: 3, deletes: 4 }[group]
}

/** Whether an item belongs to a part. Of a field, only edits tell. */
export function belongs(
  connection: ConnectionRules,
  part: CleanUpPart,
  item: CleanUpItem,
  link: Link | undefined,
): boolean {
  if (!part.groups.has(item.group)) return false
  const { record } = item.kept
  if (part.fields) {
    if (item.group !== 'edits' || !record || !link || link.personId === null) return false
    if (changedFields(connection.lens, part.fields, link, record).length === 0) return false
  }
  if (!part.filter) return true
  return matches(part.filter, connection.lens.get(record?.fields ?? link?.fields ?? {}))
}

/** The app fields behind some canonical fields in which a record differs from its shadow. */
function changedFields(
  lens: ConnectionRules['lens'],
  fields: ReadonlySet<string>,
  link: Link,
  record: AppRecord,
): string[] {
  const names = new Set([...fields].flatMap((field) => lens.sources.get(field) ?? []))
  return [...names].filter((name) => !sameJson(link.fields[name] ?? null, record.fields[name] ?? null))
}

/** What was decided: which records are done with, and which could not be. */
export interface CleanUpDecided {
  readonly done: readonly Kept[]
  readonly refused: readonly { readonly recordId: string; readonly why: string }[]
}

/**
 * Decides items of a clean-up, by the same rules as anything heard. Nothing here writes to an app: what is to follow in any of
 * them, the cleaned one included, is planned like everything else.
 *
 * @param fields only these canonical fields of edits; null: whole records
 * @param holders who holds the keys of new records: whom they may be, when they are left out
 */
export function decideCleanUp(
  ws: Workspace,
  rules: Rules,
  connection: ConnectionRules,
  items: readonly CleanUpItem[],
  way: CleanUpWay,
  fields: ReadonlySet<string> | null,
  holders: ReadonlyMap<string, readonly string[]>,
  terms: CleanUpTerms,
): CleanUpDecided {
  const refused: { recordId: string; why: string }[] = []
  const decided: CleanUpItem[] = []
  for (const item of items) {
    const why = way === 'revert' ? cannotRevert(ws, connection, item) : null
    if (why === null) decided.push(item)
    else refused.push({ recordId: item.kept.recordId, why })
  }
  const picked = new Map(decided.map((item) => [item, pick(ws, connection, item.kept, fields)]))
  if (way === 'release') {
    const sightings = decided.flatMap((item) => sightingsOf(item.kept, picked.get(item) ?? null))
    decideApply(ws, rules, connection, sightings, terms)
  } else {
    for (const item of decided) {
      const record = picked.get(item) ?? null
      if (way === 'drop') dropOne(ws, rules, connection, item, record, holders, terms)
      else revertOne(ws, rules, connection, item, record, terms)
    }
    for (const personId of ws.touchedPeople) planPerson(ws, rules, personId, terms)
  }
  const whole = (item: CleanUpItem): boolean => {
    if (fields === null || !item.kept.record) return true
    const link = ws.link(connection.name, item.kept.recordId)
    return link !== undefined && sameFields(connection.lens, link.fields, item.kept.record.fields)
  }
  return { done: decided.filter(whole).map((item) => item.kept), refused }
}

/** The record as far as it is decided now: of other fields it still says what its shadow says. */
function pick(
  ws: Workspace,
  connection: ConnectionRules,
  kept: Kept,
  fields: ReadonlySet<string> | null,
): AppRecord | null {
  const { record } = kept
  if (!record) return null
  // Where the app tells no time, the change is as old as its hearing, and not as its release.
  const timed = { ...record, modified_ms: record.modified_ms ?? kept.heard_ms }
  const link = ws.link(connection.name, record.id)
  if (fields === null || !link) return timed
  const names = changedFields(connection.lens, fields, link, record)
  const some = Object.fromEntries(names.map((name) => [name, record.fields[name] ?? null]))
  return { ...timed, fields: { ...link.fields, ...some } }
}

function sightingsOf({ recordId, end }: Kept, record: AppRecord | null): Known[] {
  const last: Known[] =
    end === null
      ? []
      : end.kind === 'gone'
        ? [{ kind: 'gone', id: recordId }]
        : [{ kind: 'merged', id: recordId, into: end.into }]
  return record ? [{ kind: 'record', record }, ...last] : last
}

/** What a record says that is not taken over is kept in the log (I3). */
function logRefused(
  ws: Workspace,
  rules: Rules,
  connection: ConnectionRules,
  link: Link,
  record: AppRecord,
  now_ms: number,
): Link['base_ms'] {
  const person = link.personId === null ? undefined : ws.person(link.personId)
  if (!person) return link.base_ms
  const { heard, blanks } = diffRecord(connection.lens, rules.catalogue, link, record, connection.name, now_ms)
  const base_ms: { [cell: string]: number } = { ...link.base_ms }
  for (const { cell, value, stamp } of [...heard, ...blanks]) {
    base_ms[cell] = stamp.at
    const origin = { personId: person.id, recordId: record.id, now_ms }
    ws.log(changeOf(origin, cell, person.cells[cell]?.value ?? null, value, stamp, 'refused', 'act'))
  }
  return base_ms
}

/** The shadow takes over what the record says, as agreed; `rewrites` say what of it differs from the person on purpose. */
function takeOver(
  ws: Workspace,
  rules: Rules,
  connection: ConnectionRules,
  link: Link,
  record: AppRecord,
  rewritesFor: (fields: JsonObject, person: Person | undefined) => Link['rewrites'],
  now_ms: number,
): void {
  const base_ms = logRefused(ws, rules, connection, link, record, now_ms)
  const fields = mapped(connection.lens, record.fields)
  const person = link.personId === null ? undefined : ws.person(link.personId)
  ws.saveLink({
    ...withoutFailure(link),
    state: 'linked',
    fields,
    rev: record.rev,
    base_ms,
    rewrites: rewritesFor(fields, person),
    keys: keysOf(connection.lens.get(fields), rules.catalogue),
    recheck: false,
    ...(record.modified_ms === undefined ? {} : { modified_ms: record.modified_ms }),
  })
  // Whoever plans them at the same time goes by the shadow of before, and has lost.
  if (person) ws.savePerson(person)
}

function dropOne(
  ws: Workspace,
  rules: Rules,
  connection: ConnectionRules,
  { kept }: CleanUpItem,
  record: AppRecord | null,
  holders: ReadonlyMap<string, readonly string[]>,
  { now_ms, barred }: CleanUpTerms,
): void {
  const link = ws.link(connection.name, kept.recordId)
  if (kept.end) {
    if (!link || link.state === 'gone') return
    if (record) logRefused(ws, rules, connection, link, record, now_ms)
    return leave(ws, connection, link)
  }
  if (!record) return
  const mine = link?.personId !== null && link?.personId !== undefined && link.state !== 'gone' ? link : undefined
  if (!mine || mine.state === 'second')
    return leaveOut(ws, rules, connection, link, record, holders.get(record.id) ?? [], barred)
  if (barred.size > 0 && excludeTurned(ws, rules, connection, mine, record, barred)) return
  takeOver(
    ws,
    rules,
    connection,
    mine,
    record,
    (fields, person) => {
      const rewrites = { ...keepRewrites(mine.rewrites, fields) }
      if (!person) return rewrites
      const { lens } = connection
      // What others have changed since waits for the app, and goes there.
      const waiting = outstanding(lens, valuesOf(person), mine.fields, mine.rewrites)
      for (const [name, sent] of Object.entries(lens.put(valuesOf(person), fields))) {
        if (waiting[name] === undefined) rewrites[name] = { sent, got: fields[name] ?? null }
      }
      return rewrites
    },
    now_ms,
  )
}

/** The record is gone, and nobody else hears of it: as where deletions are unlinked. */
function leave(ws: Workspace, connection: ConnectionRules, link: Link): void {
  ws.saveLink({ ...withoutFailure(link), state: 'gone', keys: [], recheck: false, reason: LEFT_OUT })
  if (link.personId === null) return
  for (const conflict of ws.conflictsOf(link.personId, connection.name)) ws.saveConflict({ ...conflict, open: false })
  ws.touch(link.personId)
}

/** A record that nobody else hears of, and that nobody is created beside: an operator may still say who it is. */
function leaveOut(
  ws: Workspace,
  rules: Rules,
  connection: ConnectionRules,
  link: Link | undefined,
  record: AppRecord,
  candidates: readonly string[],
  barred: CleanUpTerms['barred'],
): void {
  const fields = mapped(connection.lens, record.fields)
  const erasure = excluderOf(rules, connection, record, link, barred)
  if (erasure !== undefined) return ws.saveLink(excluded(bareLink(connection.name, record, link), erasure))
  ws.saveLink({
    connection: connection.name,
    recordId: record.id,
    base_ms: {},
    rewrites: {},
    version: 0,
    ...(link ? withoutFailure(link) : {}),
    personId: null,
    state: 'ambiguous',
    candidates,
    reason: LEFT_OUT,
    fields,
    keys: keysOf(connection.lens.get(fields), rules.catalogue),
    rev: record.rev,
    recheck: false,
    ...(record.modified_ms === undefined ? {} : { modified_ms: record.modified_ms }),
    ...(record.fieldTimes_ms === undefined ? {} : { fieldTimes_ms: record.fieldTimes_ms }),
  })
  // Whoever it may be is not created beside it.
  for (const id of candidates) ws.markUnplanned(id)
}

/** Why an app cannot be brought back in this, or null. */
function cannotRevert(ws: Workspace, connection: ConnectionRules, { kept, group }: CleanUpItem): string | null {
  if (connection.direction === 'in') return 'nothing is written to this connection'
  const link = ws.link(connection.name, kept.recordId)
  if (kept.end) return connection.create ? null : 'nobody is created in this connection'
  if (group === 'creates') return connection.canDelete ? null : 'nothing can be deleted in this app'
  return link?.personId === null ? 'the record belongs to nobody yet: see kith review' : null
}

function revertOne(
  ws: Workspace,
  rules: Rules,
  connection: ConnectionRules,
  { kept, group }: CleanUpItem,
  record: AppRecord | null,
  terms: CleanUpTerms,
): void {
  const { now_ms } = terms
  const link = ws.link(connection.name, kept.recordId)
  if (kept.end) {
    if (!link || link.state === 'gone') return
    if (record) logRefused(ws, rules, connection, link, record, now_ms)
    const { personId } = link
    // It was nobody's yet: nobody is created anew for it.
    if (personId === null) return ws.saveLink({ ...withoutFailure(link), state: 'gone', keys: [], recheck: false })
    const winner = kept.end.kind === 'merged' ? ws.link(connection.name, kept.end.into) : undefined
    if (kept.end.kind === 'merged' && !winner) adopt(ws, link, kept.end.into)
    // Without a record there, the person is created anew.
    ws.saveLink({ ...withoutFailure(link), state: 'gone', personId: null, keys: [], recheck: false })
    return ws.touch(personId)
  }
  if (!record) return
  if (group !== 'creates' && link && link.personId !== null && link.state !== 'gone') {
    return takeOver(ws, rules, connection, link, record, (fields) => keepRewrites(link.rewrites, fields), now_ms)
  }
  remove(ws, rules, connection, link, record, terms)
}

/** A merge made a record of its own: it becomes that of the first person that was merged, whose values it gets back. */
function adopt(ws: Workspace, loser: Link, into: string): void {
  ws.saveLink({ ...withoutFailure(loser), recordId: into, rev: null, version: 0, state: 'linked', recheck: true })
}

/** A record that came with the clean-up goes away again. Whoever it is, is not anybody whom Kith knows. */
function remove(
  ws: Workspace,
  rules: Rules,
  connection: ConnectionRules,
  link: Link | undefined,
  record: AppRecord,
  { now_ms, newId, barred }: CleanUpTerms,
): void {
  // It takes no part in anything: kith forget offers it to be deleted.
  const erasure = excluderOf(rules, connection, record, link, barred)
  if (erasure !== undefined) return ws.saveLink(excluded(bareLink(connection.name, record, link), erasure))
  const fields = mapped(connection.lens, record.fields)
  const personId = newId()
  ws.savePerson({ id: personId, version: 0, cells: {}, state: 'deleted' } satisfies Person)
  const own: Link = {
    connection: connection.name,
    recordId: record.id,
    rewrites: {},
    version: link?.version ?? 0,
    personId,
    state: 'linked',
    fields,
    rev: record.rev,
    base_ms: compact({}),
    keys: [],
    recheck: false,
  }
  ws.saveLink(own)
  hearRecord(ws, rules, connection, own, record, now_ms, true)
  // Nobody is matched with it.
  const heard = ws.link(connection.name, record.id) as Link
  ws.saveLink({ ...heard, keys: [] })
}
