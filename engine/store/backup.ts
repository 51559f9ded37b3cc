import type pg from 'pg'
import type { JsonObject } from '../core/json.ts'
import {
  BackupRowError,
  NotEmptyError,
  SECTIONS,
  type BackupRow,
  type BackupStore,
  type Filling,
  type FillPurpose,
  type Section,
  type SectionCounts,
  type Snapshot,
} from '../core/ports/backup.ts'
import { adoptErasures } from './adopt.ts'
import { TABLES } from './backup-tables.ts'
import { Database, StatementError, translate, type Row } from './database.ts'
import { migrate } from './migrate.ts'
import { personFrom } from './rows.ts'
import { searchText } from './search.ts'
import { jsonToWire } from './wire.ts'

/** A copy is one transaction. */
const POOL_SIZE = 1

/** Rows fetched at once: what is in memory at any time. */
const PAGE_ROWS = 500

/**
 * The store as something that is copied whole. Brings the database up to this code first.
 *
 * @throws StoreUnavailableError when the database cannot be reached
 * @throws StoreFormatError when it is newer than this code
 */
export async function openBackupStore(url: string): Promise<BackupStore> {
  const database = new Database(url, POOL_SIZE)
  try {
    await migrate(database.pool)
  } catch (error) {
    await database.close()
    throw error
  }
  return {
    snapshot: () => takeSnapshot(database),
    fill: (purpose) => beginFilling(database, purpose),
    close: () => database.close(),
  }
}

/** A connection with a transaction of its own, until it ends. */
class Transaction {
  readonly #client: pg.PoolClient
  #ended = false

  constructor(client: pg.PoolClient) {
    this.#client = client
    // What breaks the connection is told by the statement under way.
    client.on('error', ignore)
  }

  async run(text: string, params: readonly unknown[] = [], name = 'the backup'): Promise<Row[]> {
    try {
      return (await this.#client.query<Row>(text, [...params])).rows
    } catch (error) {
      throw translate(error, name)
    }
  }

  /** Gives the connection back; a transaction that is still open is taken back. */
  async end(): Promise<void> {
    if (this.#ended) return
    this.#ended = true
    const broken = await this.#client.query('rollback').then(
      () => false,
      () => true,
    )
    this.#client.off('error', ignore)
    this.#client.release(broken)
  }
}

async function begin(database: Database, how: string): Promise<Transaction> {
  const client = await database.pool.connect().catch((error: unknown) => {
    throw translate(error, 'the connection')
  })
  const transaction = new Transaction(client)
  try {
    await transaction.run(`begin ${how}`)
  } catch (error) {
    await transaction.end()
    throw error
  }
  return transaction
}

/** Repeatable read: every statement sees the database as it was at the first one. */
async function takeSnapshot(database: Database): Promise<Snapshot> {
  const transaction = await begin(database, 'isolation level repeatable read, read only')
  try {
    const counts = await countsOf(transaction)
    return {
      counts,
      rows: (section) => rowsOf(transaction, section),
      close: () => transaction.end(),
    }
  } catch (error) {
    await transaction.end()
    throw error
  }
}

async function countsOf(transaction: Transaction): Promise<SectionCounts> {
  const counts = SECTIONS.map((section) => {
    return `(select count(*) from kith.${section}${conditionOf(section)}) as ${section}`
  })
  const [row] = await transaction.run(`select ${counts.join(', ')}`)
  return row as SectionCounts
}

async function* rowsOf(transaction: Transaction, section: Section): AsyncIterable<BackupRow> {
  const { columns, key } = TABLES[section]
  const names = Object.keys(columns).join(', ')
  const select = `select ${names} from kith.${section}${conditionOf(section)} order by ${key}`
  await transaction.run(`declare rows no scroll cursor for ${select}`)
  try {
    for (;;) {
      const page = await transaction.run(`fetch forward ${PAGE_ROWS} from rows`)
      for (const row of page) yield withoutNulls(row)
      if (page.length < PAGE_ROWS) return
    }
  } finally {
    await transaction.run('close rows').catch(ignore)
  }
}

function conditionOf(section: Section): string {
  const { where } = TABLES[section]
  return where === undefined ? '' : ` where ${where}`
}

function withoutNulls(row: Row): BackupRow {
  const kept: { [column: string]: unknown } = {}
  for (const [column, value] of Object.entries(row)) if (value !== null) kept[column] = value
  return kept as JsonObject
}

/** Whatever an empty Kith has too: connections are there as soon as a config is read, and facts with them. */
const ALWAYS_THERE: ReadonlySet<Section> = new Set(['connection', 'fact'])

async function contentsOf(transaction: Transaction): Promise<Partial<SectionCounts>> {
  const counts = await countsOf(transaction)
  return Object.fromEntries(
    SECTIONS.filter((it) => !ALWAYS_THERE.has(it) && counts[it] > 0).map((it) => [it, counts[it]]),
  )
}

async function beginFilling(database: Database, purpose: FillPurpose): Promise<Filling> {
  const transaction = await begin(database, '')
  try {
    // Whoever reads goes on reading; whoever wants to write waits, and then meets versions that have moved on.
    await transaction.run(`lock table ${SECTIONS.map((it) => `kith.${it}`).join(', ')}, kith.intent in exclusive mode`)
    const contents = await contentsOf(transaction)
    if (Object.keys(contents).length > 0) throw new NotEmptyError(contents)
    await transaction.run('set constraints all deferred')
    // What a new database knows by itself stays where the backup says nothing of it; in a comparison it is in the way.
    if (purpose === 'compare') await transaction.run('delete from kith.fact')
  } catch (error) {
    await transaction.end()
    throw error
  }
  return {
    add: (section, rows) => add(transaction, section, rows),
    misfits: () => misfits(transaction),
    eraseAgain: (certificates, now_ms) =>
      adoptErasures((text, params, name) => transaction.run(text, params, name), certificates, now_ms),
    commit: () => commit(transaction, purpose),
    rollback: () => transaction.end(),
  }
}

/** What a config has put there before the backup came takes the backup's word. */
const OVERWRITTEN: { readonly [section in Section]?: string } = { connection: 'name', fact: 'name' }

async function add(transaction: Transaction, section: Section, rows: readonly BackupRow[]): Promise<void> {
  if (rows.length === 0) return
  const { columns } = TABLES[section]
  const names = Object.keys(columns)
  // What people are searched by is no part of a backup: it follows from their values, and each Kith has its own way with it.
  const more = section === 'person' ? { search: 'text' } : {}
  const types = Object.entries({ ...columns, ...more }).map(([name, type]) => `${name} ${type}`)
  const all = [...names, ...Object.keys(more)].join(', ')
  const over = OVERWRITTEN[section]
  const sets = names.filter((name) => name !== over).map((name) => `${name} = excluded.${name}`)
  const clash = over === undefined ? '' : ` on conflict (${over}) do update set ${sets.join(', ')}`
  const given = section === 'person' ? rows.map(withSearch) : rows
  const insert = `insert into kith.${section} (${all}) overriding system value
select ${all} from json_to_recordset($1) as r(${types.join(', ')})${clash}`
  try {
    await transaction.run(insert, [jsonToWire(given)], `the rows of ${section}`)
  } catch (error) {
    throw asRowError(error, section)
  }
}

function withSearch(row: BackupRow): Row {
  return { ...row, search: searchText(personFrom({ merged_into: null, ...row })) }
}

/** What is wrong with the rows themselves, and not with the database. */
function asRowError(error: unknown, section: Section): unknown {
  if (!(error instanceof StatementError)) return error
  // Class 23: a row is there twice. Class 22: a value that its column cannot hold.
  const wrong = error.code.startsWith('23') ? 'two rows are the same' : 'a value does not fit its column'
  return /^2[23]/.test(error.code) ? new BackupRowError(`${section}: ${wrong}`) : error
}

/** What one section says of another, and what to call it when that is not there. */
const REFERENCES: readonly { readonly of: string; readonly from: string; readonly missing: string }[] = [
  {
    of: 'records are linked to people who are not there',
    from: 'kith.link l',
    missing: 'l.person_id is not null and not exists (select from kith.person p where p.id = l.person_id)',
  },
  {
    of: 'records are of connections that are not there',
    from: 'kith.link l',
    missing: 'not exists (select from kith.connection c where c.name = l.connection)',
  },
  {
    of: 'records are linked and have no person',
    from: 'kith.link l',
    missing: `l.state = 'linked' and l.person_id is null`,
  },
  {
    of: 'people were merged into people who are not there',
    from: 'kith.person m',
    missing:
      '(m.merged_into is not null and not exists (select from kith.person p where p.id = m.merged_into)) or ' +
      `(m.merged_into is null and m.state = 'merged')`,
  },
  {
    of: 'conflicts are about people who are not there',
    from: 'kith.conflict c',
    missing: 'not exists (select from kith.person p where p.id = c.person_id)',
  },
]

async function misfits(transaction: Transaction): Promise<string[]> {
  const found: string[] = []
  for (const { of, from, missing } of REFERENCES) {
    const [row] = await transaction.run(`select count(*) as count from ${from} where ${missing}`)
    const count = row?.['count'] as number
    if (count > 0) found.push(`${count} ${of}`)
  }
  try {
    await transaction.run('set constraints all immediate')
  } catch (error) {
    if (!(error instanceof StatementError) || !error.code.startsWith('23')) throw error
    found.push('a person has two records in one connection')
  }
  return found
}

/** Every connection is read to its end before anybody is matched, planned or written there: see mayWrite and everyoneHeard. */
const RESUME = [
  'update kith.connection set scanned = false, failure = null',
  'insert into kith.unplanned (person_id) select id from kith.person on conflict (person_id) do update set mark = excluded.mark',
]

const READY = [
  `insert into kith.count (connection, what, delta)
select connection, 'records', count(*) from kith.link where kith.is_record(state) group by connection`,
  ...[
    ['change', 'id'],
    ['delivery', 'number'],
    ['kept', 'mark'],
  ].map(([section, number]) => {
    return `select setval(pg_get_serial_sequence('kith.${section}', '${number}'), max(${number})) from kith.${section} having max(${number}) is not null`
  }),
]

async function commit(transaction: Transaction, purpose: FillPurpose): Promise<void> {
  for (const statement of [...READY, ...(purpose === 'resume' ? RESUME : [])]) await transaction.run(statement)
  await transaction.run('commit')
  await transaction.end()
}

function ignore(): void {}
