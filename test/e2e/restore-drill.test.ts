import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, expect, jest, test } from '@jest/globals'
import pg from 'pg'
import { findCluster } from '../../engine/store/embedded/place.ts'
import { openStore } from '../../engine/store/postgres.ts'
import { card, Folder } from '../cli/kith.ts'
import { freshDatabase, type FreshDatabase } from '../support/postgres.ts'
import { startKith, until } from '../support/kithProcess.ts'

jest.setTimeout(120_000)

const folder = new Folder()
folder.write(
  'contacts.csv',
  'First Name,Last Name,E-mail,Job Title\nAda,Lovelace,ada@example.org,Countess\nBob,Stone,bob@example.org,\n',
)
folder.write('phone/ada.vcf', card({ given: 'Ada', family: 'Lovelace', email: 'ada@example.org' }))
folder.write('phone/carl.vcf', card({ given: 'Carl', family: 'Gauss', email: 'carl@example.org' }))

const databases: FreshDatabase[] = []
afterAll(async () => {
  await lose()
  folder.remove()
  for (const database of databases) await database.drop()
})

/** As root the cluster may lie elsewhere, and is lost with its folder. */
async function lose(): Promise<void> {
  const dataDir = join(folder.path, '.kith')
  const cluster = await findCluster(dataDir)
  if (!cluster.startsWith(dataDir)) rmSync(dirname(cluster), { recursive: true, force: true })
  rmSync(dataDir, { recursive: true, force: true })
}

const there = (): string[] => [
  readFileSync(join(folder.path, 'contacts.csv'), 'utf8'),
  ...readdirSync(join(folder.path, 'phone')).map((file) => readFileSync(join(folder.path, 'phone', file), 'utf8')),
]

test('the restore drill: sync, backup, lose the data directory, restore; the next plan says nothing to do (I2)', async () => {
  expect((await folder.kith('init', '--yes')).code).toBe(0)
  expect((await folder.kith('sync', '--approve')).code).toBe(0)
  const agreed = there()

  const made = await folder.kith('backup', 'kith.backup.gz')
  expect(made.code).toBe(0)
  expect(made.out).toContain('kith.backup.gz: 3 people, 6 records')
  expect(statSync(join(folder.path, 'kith.backup.gz')).mode & 0o777).toBe(0o600)
  const proven = await folder.kith('backup', 'verify', 'kith.backup.gz', '--json')
  expect(proven.code).toBe(0)
  expect(JSON.parse(proven.out)).toMatchObject({ restores: true, counts: { person: 3, link: 6 } })

  const refused = await folder.kith('restore', 'kith.backup.gz')
  expect(refused.code).toBe(1)
  expect(refused.err).toContain('there are data already: 3 people, 6 records. Nothing was changed')
  expect(refused.err).toContain('--to <connection>')

  await lose()
  const restored = await folder.kith('restore', 'kith.backup.gz')
  expect(restored).toMatchObject({ code: 0, out: expect.stringContaining('Restored as of') })
  expect(restored.out).toContain('The config is the one that was approved.')

  const plan = await folder.kith('plan')
  expect(plan).toMatchObject({ code: 0, out: expect.stringContaining('Nothing to do: all agree.') })
  const quiet = await folder.kith('sync', '--json')
  expect(quiet.code).toBe(0)
  for (const counts of Object.values((JSON.parse(quiet.out) as { connections: object }).connections)) {
    expect(counts).toMatchObject({ created: 0, updated: 0, deleted: 0 })
  }
  expect(there()).toEqual(agreed)

  const csv = await folder.kith('export', '--csv')
  expect(csv.out.split('\r\n')[0]).toBe('Kith id,First name,Last name,Job title,E-mail 1,E-mail 1 - Label,In')
  expect(csv.out).toContain('ada@example.org')
})

test('an app is brought back to a backup from the command line: seen first, held for approval, then sent', async () => {
  const agreed = there()
  folder.write('contacts.csv', readFileSync(join(folder.path, 'contacts.csv'), 'utf8').replaceAll('Countess', 'Wrong'))
  expect((await folder.kith('sync')).code).toBe(0)
  expect(there().join('')).not.toContain('Countess')

  const shown = await folder.kith('restore', 'kith.backup.gz', '--to', 'sheet')
  expect(shown).toMatchObject({ code: 2, err: expect.stringContaining('the same command with --yes') })
  expect(shown.out).toContain('Job title: Wrong → Countess')
  const done = await folder.kith('restore', 'kith.backup.gz', '--to', 'sheet', '--yes', '--why', 'a slip')
  expect(done).toMatchObject({ code: 2, out: expect.stringContaining('Brought back: 1 value of 1 person.') })
  expect(there().join('')).not.toContain('Countess')
  expect((await folder.kith('approve', '--brakes')).code).toBe(0)
  expect(there()).toEqual(agreed)
})

const CROWD = 10_000

/** Many people, made by the database itself. */
async function crowd(url: string): Promise<void> {
  await (await openStore(url)).close()
  await query(
    url,
    `insert into kith.connection (name, app, mode, scanned) values ('sheet', 'csv', 'live', true) on conflict do nothing;
insert into kith.person (id, version, state, cells, search)
  select 'p' || n, 1, 'live', json_build_object('note', json_build_array(repeat(md5(n::text), 10), 1, 'sheet', 'first')), ''
  from generate_series(1, ${CROWD}) n;
insert into kith.link (connection, record_id, person_id, state, fields, base_ms, rewrites, keys, recheck, version)
  select 'sheet', 'r' || n, 'p' || n, 'linked', json_build_object('Note', md5(n::text)), '{}', '{}', '{}', false, 1
  from generate_series(1, ${CROWD}) n`,
  )
}

async function query(url: string, sql: string): Promise<pg.QueryResult> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return await client.query(sql)
  } finally {
    await client.end()
  }
}

test('killed in the middle of a backup and of a restore, nothing half done counts (I9)', async () => {
  const [full, bare] = [await freshDatabase(), await freshDatabase()]
  databases.push(full, bare)
  await crowd(full.url)
  const env = { ...process.env, NO_COLOR: '1' }
  const file = join(folder.path, 'big.backup.gz')
  const parts = (): string[] => readdirSync(folder.path).filter((name) => name.endsWith('.part'))

  const writing = startKith(['backup', 'big.backup.gz'], folder.path, { DATABASE_URL: full.url })
  await until(() => parts().some((name) => statSync(join(folder.path, name)).size > 0), 'a part of the backup', 30_000)
  await writing.kill('SIGKILL')
  expect(readdirSync(folder.path)).not.toContain('big.backup.gz')
  const whole = await folder.with({ ...env, DATABASE_URL: full.url }, 'backup', 'big.backup.gz')
  expect(whole.code).toBe(0)

  for (const section of ['person', 'link']) {
    const restoring = startKith(['restore', file], folder.path, { DATABASE_URL: bare.url })
    const under = `select from pg_stat_activity where datname = current_database() and query like 'insert into kith.${section} %'`
    await until(async () => (await query(bare.url, under)).rowCount === 1, `the rows of ${section}`, 30_000)
    await restoring.kill('SIGKILL')
    await until(async () => (await query(bare.url, under)).rowCount === 0, 'the end of its connection', 30_000)
    expect((await query(bare.url, 'select from kith.person')).rowCount).toBe(0)
    expect((await query(bare.url, 'select from kith.link')).rowCount).toBe(0)
  }
  const restored = await folder.with({ ...env, DATABASE_URL: bare.url }, 'restore', file)
  expect(restored.code).toBe(0)
  expect((await query(bare.url, 'select from kith.person')).rowCount).toBe(CROWD)
  expect((await query(bare.url, 'select from kith.unplanned')).rowCount).toBe(CROWD)
})
