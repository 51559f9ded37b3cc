import type { Commit, CommitResult, Conflict, Link, Settlement } from '../core/ports/store.ts'
import type { Person } from '../core/person.ts'
import { type Database, type Param, StatementError } from './database.ts'
import { bucketOf, checkOpen, heldFor } from './promises.ts'
import { actRow, changeRow, conflictRow, consentRow, intentRow, linkRow, personRow } from './rows.ts'

const COMMIT = {
  name: 'commit',
  text: 'select kith.commit($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20) as result',
}

/** See migrations/0002-commit.ts for what happens in which order. Each batch is sorted, so that two commits never deadlock. */
export async function commit(database: Database, commit: Commit): Promise<CommitResult> {
  commit.intents?.forEach(checkOpen)
  const { feed, people = [], links = [], settlements = [] } = commit
  const peopleById = people.toSorted((a, b) => order(a.id, b.id))
  const linksByKey = links.toSorted(byRecord)
  const [newPeople, knownPeople] = [peopleById.filter(isNew), peopleById.filter(isKnown)]
  const [newLinks, knownLinks] = [linksByKey.filter(isNew), linksByKey.filter(isKnown)]
  const seen = seenWith(commit.seen ?? [], knownPeople)
  const open = settlements.filter(({ state }) => state !== 'done' && state !== 'superseded')
  const counts = [newPeople, knownPeople, newLinks, knownLinks, seen, open].map((set) => String(set.length))
  const params: Param[] = [
    feed ? { json: { ...feed, has_cursor: 'cursor' in feed, read_with: feed.readWith } } : null,
    commit.matchRound ?? null,
    batch(newPeople.map(personRow)),
    batch(knownPeople.map(personRow)),
    batch(newLinks.map(linkRow)),
    batch(knownLinks.map(linkRow)),
    batch(commit.changes?.map(changeRow)),
    batch(commit.conflicts?.toSorted(byCell).map(conflictRow)),
    batch(commit.withdrawn?.toSorted(byPerson).map((one) => ({ person_id: one.personId, connection: one.connection }))),
    batch(commit.intents?.toSorted(byPerson).map(intentRow)),
    batch(settlements.toSorted((a, b) => order(a.intentId, b.intentId)).map(settlementRow)),
    texts(settlements.map((settlement) => settlement.intentId)),
    batch(commit.planned?.map(({ personId, mark }) => ({ person_id: personId, mark }))),
    texts(commit.unplanned),
    batch(tallyRows(commit)),
    batch(seen),
    batch(commit.consents?.toSorted(byKey).map(consentRow)),
    batch(commit.consentsSeen),
    commit.act ? { json: actRow(commit.act) } : null,
  ]
  if (params.every((param) => param === null)) return { kind: 'committed' }
  try {
    const { rows } = await database.run(COMMIT, [counts, ...params])
    return { kind: rows[0]?.result as CommitResult['kind'] }
  } catch (error) {
    if (error instanceof StatementError && error.lost) return { kind: 'lost' }
    throw error
  }
}

/** The people looked at, and those to be written with them; empty where nobody is only looked at. */
function seenWith(
  seen: NonNullable<Commit['seen']>,
  written: readonly Person[],
): { readonly id: string; readonly version: number }[] {
  if (seen.length === 0) return []
  const ids = new Set(written.map((person) => person.id))
  return [...seen.filter((one) => !ids.has(one.id)), ...written]
    .map(({ id, version }) => ({ id, version }))
    .sort((a, b) => order(a.id, b.id))
}

function settlementRow(settlement: Settlement): { [column: string]: unknown } {
  return {
    id: settlement.intentId,
    state: settlement.state,
    failure: settlement.failure,
    held: settlement.state === 'held' ? heldFor(settlement) : undefined,
    not_before_ms: settlement.notBefore_ms,
    answer: settlement.answer,
    now_ms: settlement.now_ms,
  }
}

/** One row by connection, subject and minute: a statement may touch a row once. */
function tallyRows({ tallies = [] }: Commit): { [column: string]: unknown }[] {
  const sums = new Map<string, { connection: string; what: string; bucket_ms: number; count: number }>()
  for (const { connection, what, count, at_ms } of tallies) {
    const bucket_ms = bucketOf(at_ms)
    const key = JSON.stringify([connection, what, bucket_ms])
    const sum = sums.get(key)
    if (sum) sum.count += count
    else sums.set(key, { connection, what, bucket_ms, count })
  }
  return [...sums].toSorted(([a], [b]) => order(a, b)).map(([, sum]) => sum)
}

function batch(rows: readonly unknown[] | undefined): Param {
  return rows === undefined || rows.length === 0 ? null : { json: rows }
}

function texts(list: readonly string[] | undefined): Param {
  return list === undefined || list.length === 0 ? null : [...new Set(list)].sort(order)
}

function isNew(one: { readonly version: number }): boolean {
  return one.version === 0
}

function isKnown(one: { readonly version: number }): boolean {
  return one.version !== 0
}

function byRecord(a: Link, b: Link): number {
  return order(a.connection, b.connection) || order(a.recordId, b.recordId)
}

function byPerson(a: { personId: string; connection: string }, b: { personId: string; connection: string }): number {
  return order(a.personId, b.personId) || order(a.connection, b.connection)
}

function byCell(a: Conflict, b: Conflict): number {
  return byPerson(a, b) || order(a.cell, b.cell)
}

function byKey(a: { key: string }, b: { key: string }): number {
  return order(a.key, b.key)
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
