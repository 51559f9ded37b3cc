import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import pg from 'pg'
import {
  NotEmptyError,
  SECTIONS,
  type BackupRow,
  type BackupStore,
  type FillPurpose,
  type Section,
} from '../../engine/core/ports/backup.ts'
import type { Store } from '../../engine/core/ports/store.ts'
import { NOT_IN_A_BACKUP, TABLES } from '../../engine/store/backup-tables.ts'
import { openBackupStore } from '../../engine/store/backup.ts'
import { openStore } from '../../engine/store/postgres.ts'
import { freshDatabase, type FreshDatabase } from '../support/postgres.ts'
import { consent, everything, intent, link, person, tally, write } from './sample.ts'

let database: FreshDatabase
let store: Store
let backups: BackupStore
let admin: pg.Pool

beforeAll(async () => {
  database = await freshDatabase()
  store = await openStore(database.url)
  backups = await openBackupStore(database.url)
  admin = new pg.Pool({ connectionString: database.url, max: 1 })
  admin.on('error', () => undefined)
})

afterAll(async () => {
  await backups.close()
  await store.close()
  await admin.end()
  await database.drop()
})

async function rowsOf(from: BackupStore): Promise<Map<Section, BackupRow[]>> {
  const all = new Map<Section, BackupRow[]>()
  const snapshot = await from.snapshot()
  try {
    for (const section of SECTIONS) {
      const rows: BackupRow[] = []
      for await (const row of snapshot.rows(section)) rows.push(row)
      all.set(section, rows)
      expect(rows).toHaveLength(snapshot.counts[section])
    }
  } finally {
    await snapshot.close()
  }
  return all
}

async function fillFrom(rows: ReadonlyMap<Section, readonly BackupRow[]>, purpose: FillPurpose): Promise<void> {
  const filling = await backups.fill(purpose)
  try {
    for (const section of SECTIONS) await filling.add(section, rows.get(section) ?? [])
    expect(await filling.misfits()).toEqual([])
    await filling.commit()
  } finally {
    await filling.rollback()
  }
}

async function empty(): Promise<void> {
  const { rows } = await admin.query<{ name: string }>(
    `select tablename as name from pg_tables where schemaname = 'kith' and tablename not in ('migration', 'matching')`,
  )
  await admin.query(`truncate ${rows.map(({ name }) => `kith.${name}`).join(', ')} restart identity`)
}

/** Something of everything, with the texts that are hard to keep. */
async function populate(names: readonly string[]): Promise<void> {
  await store.ensureConnections([
    { name: 'crm', app: 'memory', mode: 'live' },
    { name: 'phones', app: 'memory', mode: 'observe' },
  ])
  const pass = await store.startPass('crm')
  const feed = {
    connection: 'crm',
    pass,
    chunk: 1,
    cursor: { at: [1, 'x'] },
    last: true,
    readWith: 'first\nlast',
    now_ms: 7,
  }
  const people = names.map((name, index) => {
    const one = person(`p${index}`)
    return {
      ...one,
      cells: { ...one.cells, note: { value: name, stamp: { at: index, by: 'crm' }, rule: 'edit' as const } },
    }
  })
  const links = names.map((name, index) =>
    link(`r${index}`, {
      personId: `p${index}`,
      state: 'linked',
      fields: { name, nothing: null, deep: { 2: 'b', 1: ['a', null, 1.5] } },
      modified_ms: 1_700_000_000_000 + index,
      rewrites: { name: { sent: name, got: name.trim() } },
    }),
  )
  const stamp = { at: 3, by: 'crm' }
  const [first = ''] = names
  await write(store, {
    feed,
    people,
    links: [...links, link('lost', { connection: 'phones', failure: { kind: 'permanent', message: 'unreadable' } })],
    changes: names.map((name, index) => {
      const change = { personId: `p${index}`, cell: 'note', before: null, after: name, stamp, recordId: `r${index}` }
      return { ...change, kind: 'applied' as const, rule: 'edit' as const, heard_ms: index }
    }),
    conflicts: [
      {
        personId: 'p0',
        cell: 'note',
        connection: 'crm',
        recordId: 'r0',
        ours: first,
        theirs: null,
        theirsStamp: stamp,
        open: true,
      },
    ],
    consents: [consent(`email:${first}`, 'unsubscribed')],
    act: { id: 'a1', at_ms: 5, by: 'ada', why: first, kind: 'set', about: { count: 1 } },
    apart: [{ a: 'person:p0', b: `record:crm/${first}` }],
    intents: [intent('i1', { personId: 'p0' })],
    tallies: [tally('created', 3, 60_000)],
  })
  const [sent] = await store.claim('crm', 1, 200, 300)
  if (sent)
    await write(store, { settlements: [{ intentId: sent.id, state: 'done', answer: { id: first }, now_ms: 9 }] })
  await admin.query(
    `insert into kith.kept (connection, record_id, record, gone, heard_ms) values ('crm', 'r9', '{"id":"r9"}', false, 4)`,
  )
  await admin.query(
    `insert into kith.baseline (connection, record_id, state, fields, rewrites) values ('crm', 'r9', 'linked', '{}', '{}')`,
  )
  await admin.query(
    `insert into kith.erasure (id, opened_ms, actor, why, people, state, waived) values ('e1', 1, 'ada', '', '{p7}', 'done', '{}')`,
  )
  await admin.query(`insert into kith.barred (hash, erasure) values ('abc', 'e1')`)
  await store.setFact('approved', 'abc')
  await store.setFact('leader', { pid: 1 })
}

describe('a backup of the store', () => {
  test('holds every column of every table, or says why not', async () => {
    const { rows } = await admin.query<{ table: string; column: string; type: string }>(
      `select c.table_name as table, c.column_name as column,
         case when c.data_type = 'ARRAY' then 'text[]' else c.data_type end as type
       from information_schema.columns c where c.table_schema = 'kith'`,
    )
    const there = Map.groupBy(rows, (row) => row.table)
    const forgotten = [...there.keys()].filter((table) => !(table in TABLES) && !(table in NOT_IN_A_BACKUP))
    expect({ forgotten }).toEqual({ forgotten: [] })
    for (const section of SECTIONS) {
      const columns = Object.fromEntries((there.get(section) ?? []).map(({ column, type }) => [column, type]))
      // What people are searched by follows from the rest.
      if (section === 'person') delete columns['search']
      expect({ section, columns }).toEqual({ section, columns: TABLES[section].columns })
    }
  })

  test('comes back row for row, whatever the texts in it', async () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('\0', '\ud800', '\uffff0000', '"\\\n\r\u2028', '__proto__', '😀', ' '),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(text, { minLength: 1, maxLength: 8 }), async (names) => {
        await empty()
        await populate(names)
        const before = await rowsOf(backups)
        for (const [section, rows] of before) {
          expect(rows.length).toBeGreaterThan(0)
          for (const row of rows) expect(TABLES[section].row.safeParse(row).error).toBeUndefined()
        }
        await empty()
        // As a file has it.
        const read = new Map(
          [...before].map(([section, rows]) => [section, JSON.parse(JSON.stringify(rows)) as BackupRow[]]),
        )
        await fillFrom(read, 'compare')
        expect(await rowsOf(backups)).toEqual(before)
      }),
      { numRuns: 8 },
    )
  })

  test('leaves out what is secret, what was not sent yet, and who is at work', async () => {
    await empty()
    await populate(['Ada'])
    await admin.query(`insert into kith.token (connection, sealed) values ('crm', 'sealed text')`)
    const all = JSON.stringify([...(await rowsOf(backups))])
    expect(all).not.toContain('sealed text')
    expect(all).not.toContain('leader')
    expect(all).toContain('approved')
  })

  test('goes on where it stood: read before anything is written, everybody planned anew, numbers never given twice', async () => {
    await empty()
    await populate(['Ada', 'Bob'])
    const [newest] = await store.log({ limit: 1 })
    const rows = await rowsOf(backups)
    const counts = (await store.brakeCounts('crm', 0)).records
    await empty()
    await fillFrom(rows, 'resume')
    const states = await store.connections()
    expect(states.map(({ name, scanned, readWith }) => ({ name, scanned, readWith }))).toEqual([
      { name: 'crm', scanned: false, readWith: 'first\nlast' },
      { name: 'phones', scanned: false, readWith: null },
    ])
    expect(states[0]?.cursor).toEqual({ at: [1, 'x'] })
    expect((await store.unplanned(9)).map(({ personId }) => personId)).toEqual(['p0', 'p1'])
    expect((await store.brakeCounts('crm', 0)).records).toBe(counts)
    expect((await store.searchPeople('ada', 9)).map(({ id }) => id)).toEqual(['p0', 'p1'])
    const change = {
      personId: 'p0',
      cell: 'note',
      before: null,
      after: 'x',
      stamp: { at: 1, by: 'crm' },
      recordId: null,
    }
    await write(store, { changes: [{ ...change, kind: 'applied', rule: 'edit', heard_ms: 1 }] })
    expect((await store.log({ limit: 1 }))[0]?.id).toBe((newest?.id ?? 0) + 1)
  })

  test('is of one moment, whoever writes meanwhile', async () => {
    await empty()
    await populate(['Ada'])
    const snapshot = await backups.snapshot()
    try {
      await write(store, { people: [person('later')] })
      const ids: unknown[] = []
      for await (const row of snapshot.rows('person')) ids.push(row['id'])
      expect(ids).toEqual(['p0'])
      expect(snapshot.counts.person).toBe(1)
    } finally {
      await snapshot.close()
    }
  })

  test('is refused where there is anything already, and nothing is changed', async () => {
    await empty()
    await populate(['Ada'])
    const before = await everything(store, ['p0'])
    await expect(backups.fill('resume')).rejects.toBeInstanceOf(NotEmptyError)
    expect(await everything(store, ['p0'])).toEqual(before)
  })

  test('that is given up leaves nothing behind, and what does not fit together is named without names', async () => {
    await empty()
    await populate(['Ada Lovelace'])
    const rows = await rowsOf(backups)
    await empty()
    const filling = await backups.fill('resume')
    for (const section of SECTIONS) {
      await filling.add(section, section === 'person' ? [] : (rows.get(section) ?? []))
    }
    const misfits = await filling.misfits()
    expect(misfits).toEqual([
      '1 records are linked to people who are not there',
      '1 conflicts are about people who are not there',
    ])
    await filling.rollback()
    expect([...(await rowsOf(backups)).values()].flat()).toEqual([])
  })

  test('with two records of one person in one connection is no backup (I4)', async () => {
    await empty()
    await populate(['Ada'])
    const rows = await rowsOf(backups)
    const [first] = rows.get('link') ?? []
    await empty()
    const filling = await backups.fill('resume')
    try {
      for (const section of SECTIONS) await filling.add(section, rows.get(section) ?? [])
      await filling.add('link', [{ ...first, record_id: 'another' }])
      expect(await filling.misfits()).toEqual(['a person has two records in one connection'])
    } finally {
      await filling.rollback()
    }
  })
})
