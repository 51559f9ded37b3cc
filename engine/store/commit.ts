import type { Commit, CommitResult, Conflict, Link, Settlement } from '../core/ports/store.ts'
import type { Person } from '../core/person.ts'
import { type Database, type Param, type Statement, StatementError } from './database.ts'
import { erasureRow } from './erasures.ts'
import { keptRow } from './pauses.ts'
import { bucketOf, checkOpen, heldFor } from './promises.ts'
import { actRow, changeRow, conflictRow, consentRow, intentRow, linkRow, personRow } from './rows.ts'

const COMMIT = {
  name: 'commit',
  text: 'select kith.commit($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, kith.consent_rows($18), kith.consent_rows($19), $20) as result',
}

/** How many parameters `kith.commit` takes. */
const PARAMS = 20

/** What a commit holds besides what `kith.commit` knows. */
interface More {
  readonly apart: boolean
  readonly under: boolean
  readonly keep: boolean
  readonly erasure: boolean
}

/** One statement and so one transaction: what loses takes everything else back with it. */
function statementFor({ apart, under, keep, erasure }: More): Statement {
  let next = PARAMS + 1
  const call = COMMIT.text.slice('select '.length, -' as result'.length)
  const told = apart
    ? `with told as (
  insert into kith.apart (a, b) select * from unnest($${next++}::text[], $${next++}::text[]) on conflict do nothing
)
`
    : ''
  const gated = under ? `case when kith.decided_under($${next++}) then ${call} end` : call
  const kept = keep ? `kith.keep(${gated}, $${next++}, $${next++})` : gated
  const begun = erasure ? `case when kith.begin_erasure($${next++}, $${next++}) then ${kept} end` : kept
  const words = [apart && 'Apart', under && 'Under', keep && 'Keep', erasure && 'Erasure']
  return { name: ['commit', ...words].filter(Boolean).join(''), text: `${told}select ${begun} as result` }
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
  const pairs = commit.apart ?? []
  const keep = batch(commit.keep?.toSorted(byRecord).map(keptRow))
  const unkeep = batch(
    commit.unkeep
      ?.toSorted(byRecord)
      .map(({ connection, recordId, mark }) => ({ connection, record_id: recordId, mark })),
  )
  const { erasure } = commit
  const more = {
    apart: pairs.length > 0,
    under: commit.under !== undefined,
    keep: keep !== null || unkeep !== null,
    erasure: erasure !== undefined,
  }
  if (params.every((param) => param === null) && !more.apart && !more.keep && !more.erasure)
    return { kind: 'committed' }
  if (more.apart) {
    params.push(
      pairs.map(({ a }) => a),
      pairs.map(({ b }) => b),
    )
  }
  if (commit.under) params.push({ json: commit.under })
  if (more.keep) params.push(keep, unkeep)
  if (erasure) params.push({ json: erasureRow(erasure.erasure) }, [...erasure.keys])
  try {
    const statement = more.apart || more.under || more.keep || more.erasure ? statementFor(more) : COMMIT
    const { rows } = await database.run(statement, [counts, ...params])
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

function byRecord(a: Pick<Link, 'connection' | 'recordId'>, b: Pick<Link, 'connection' | 'recordId'>): number {
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
