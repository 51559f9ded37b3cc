import type { Certificate } from '../core/erasure.ts'
import type { Row } from './database.ts'

/** Runs a statement in the transaction of a restore. */
export type Run = (text: string, params?: readonly unknown[], name?: string) => Promise<Row[]>

/** Why somebody is erased once more, in the list of erasures. */
const WHY = 'they were in a backup from before they were erased'

/**
 * Erasures that a backup does not know yet, from their certificates: what they bar is barred again, and whoever of them is in the
 * backup is to be erased once more, by the one way that there is: every app is asked, what Kith has is purged, and there is a
 * certificate. The hashes are of this store: their key is in every backup.
 *
 * @returns how many people are erased once more
 */
export async function adoptErasures(run: Run, certificates: readonly Certificate[], now_ms: number): Promise<number> {
  const known = new Set((await run('select id from kith.erasure')).map(({ id }) => id))
  const news = certificates.filter(({ erasure }) => !known.has(erasure))
  for (const certificate of news) {
    const { erasure, opened, by, barred } = certificate
    await run(
      `insert into kith.erasure (id, opened_ms, actor, why, people, state, waived, certificate)
values ($1, $2, $3, 'known from its certificate', '{}', 'done', '{}', $4)`,
      [erasure, Date.parse(opened), by, JSON.stringify(certificate)],
      'an erasure',
    )
    await run(
      'insert into kith.barred (hash, erasure) select distinct hash, $2 from unnest($1::text[]) b(hash) on conflict do nothing',
      [[...barred], erasure],
      'what an erasure bars',
    )
  }
  if (news.length === 0) return 0
  await run(HASH_CONSENTS)
  const found = await run(THEIRS, [news.map(({ erasure }) => erasure)])
  for (const [of, rows] of Map.groupBy(found, ({ erasure }) => erasure as string)) {
    const people = rows.map(({ id }) => id as string)
    const by = news.find(({ erasure }) => erasure === of)?.by ?? 'kith'
    await run(
      `insert into kith.erasure (id, opened_ms, actor, why, people, state, of, waived)
values ($1, $2, $3, $4, $5, 'open', $6, '{}')`,
      [`${of}-${now_ms.toString(36)}`, now_ms, by, WHY, people, of],
      'an erasure',
    )
    for (const statement of ERASED) await run(statement, [people])
  }
  return found.length
}

/** What the ledger has under the names of addresses that are barred by now. */
const HASH_CONSENTS = `select kith.hash_consents(array(
  select c.key from kith.consent c where exists (select 1 from kith.barred b where b.hash = kith.keyed_hash(c.key))))`

/**
 * Whose record it is that an erasure bars by its id; whoever has records, and in them no address that is not barred; and whoever
 * was merged into those. Each once, for the first erasure that names them.
 */
const THEIRS = `with recursive hit as (
  select l.person_id as id, b.erasure from kith.link l
  join kith.barred b on b.hash = kith.keyed_hash('record:' || l.connection || '/' || l.record_id)
  where l.person_id is not null and b.erasure = any ($1)
  union
  select k.person_id, k.erasure from (
    select l.person_id, min(b.erasure) as erasure, count(*) as keys, count(b.erasure) as barred
    from kith.link l cross join lateral unnest(l.keys) k(key)
    left join lateral (select min(erasure) as erasure from kith.barred
      where hash = kith.keyed_hash(k.key) and erasure = any ($1)) b on true
    where l.person_id is not null and l.state <> 'gone' and k.key not like 'phone:%' group by l.person_id) k
  where k.barred = k.keys
), merged as (
  select id, erasure from hit
  union
  select p.id, m.erasure from kith.person p join merged m on p.merged_into = m.id
)
select id, min(erasure) as erasure from merged group by id order by id`

/** As beginErasure of engine/core/erasure.ts leaves them: theirs, and to be deleted, one record after the other. */
const ERASED = [
  `update kith.person set state = 'erased', version = version + 1 where id = any ($1)`,
  `update kith.link l set state = case when o.place = 1 then 'linked' else 'missing' end, candidates = null, reason = null,
  failure = null, version = l.version + 1
from (
  select connection, record_id, row_number() over (
    partition by person_id, connection order by state <> 'linked', record_id) as place
  from kith.link where person_id = any ($1) and state <> 'gone') o
where l.connection = o.connection and l.record_id = o.record_id`,
  'delete from kith.conflict where person_id = any ($1)',
]
