import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import pg from 'pg'
import { freshDatabase, type FreshDatabase } from '../support/postgres.ts'
import { Folder } from './kith.ts'

jest.setTimeout(120_000)

let database: FreshDatabase
let folder: Folder

const CSV = 'First Name,Last Name,E-mail,Phone,Job Title\n'
const CONFIG = `connections:
  crm: { app: csv, path: ./crm.csv }
  news: { app: csv, path: ./news.csv }
  phone: { app: vdir, path: ./phone }
approval: auto
`
/** What only she has said. */
const HERS = ['ada@example.org', 'Lovelace', '4930123456']

beforeAll(async () => {
  database = await freshDatabase()
  folder = new Folder({ KITH_OPERATOR: 'grace', DATABASE_URL: database.url })
  folder.write('kith.yaml', CONFIG)
  folder.write(
    'crm.csv',
    `${CSV}Ada,Lovelace,ada@example.org,+49 30 123456,Countess\nBob,Stone,bob@example.org,,Mason\n`,
  )
  folder.write('news.csv', CSV)
  folder.write('phone/.keep', '')
})
afterAll(async () => {
  folder.remove()
  await database.drop()
})

const text = (file: string): string => readFileSync(join(folder.path, file), 'utf8')
const cards = (): string =>
  readdirSync(join(folder.path, 'phone'))
    .filter((name) => name.endsWith('.vcf'))
    .map((name) => text(`phone/${name}`))
    .join('')

/** Every place in the whole database, Kith's tables and the queue's, where one of the texts is. */
async function placesOf(texts: readonly string[]): Promise<string[]> {
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  try {
    const { rows: tables } = await client.query<{ name: string }>(
      `select format('%I.%I', schemaname, tablename) as name from pg_tables
where schemaname not in ('pg_catalog', 'information_schema') order by 1`,
    )
    expect(tables.length).toBeGreaterThan(15)
    const found: string[] = []
    for (const { name } of tables) {
      const { rows } = await client.query<{ row: string }>(`select t::text as row from ${name} t`)
      for (const { row } of rows)
        if (texts.some((one) => row.toLowerCase().includes(one.toLowerCase()))) found.push(name)
    }
    return found
  } finally {
    await client.end()
  }
}

describe('kith forget (I7)', () => {
  let erasure = ''

  test('shows what will go, and does nothing without a yes', async () => {
    expect((await folder.kith('sync', '--approve')).code).toBe(0)
    expect(await placesOf(HERS)).toContain('kith.person')
    const { code, out } = await folder.kith('forget', 'ada@example.org')
    expect(code).toBe(2)
    for (const part of ['Ada Lovelace', 'crm', 'news', 'phone', 'Kith has of them, and purges', 'Nothing was done']) {
      expect(out).toContain(part)
    }
    expect(await folder.kith('forget', 'ada@example.org', '--yes')).toMatchObject({
      code: 1,
      err: expect.stringContaining('an operator says why'),
    })
    expect(text('crm.csv')).toContain('Lovelace')
  })

  test('an app that cannot answer keeps the erasure open, and says so', async () => {
    folder.write('kith.yaml', CONFIG.replace('./news.csv }', './news.csv, direction: in }'))
    const begun = await folder.kith('forget', 'ada@example.org', '--why', 'Lovelace has asked', '--yes', '--json')
    expect(begun.code).toBe(0)
    erasure = (JSON.parse(begun.out) as { erasure: string }).erasure
    await folder.kith('sync')
    expect(text('crm.csv')).not.toContain('Lovelace')
    expect(cards()).not.toContain('Lovelace')
    expect(text('news.csv')).toContain('Lovelace')
    const status = await folder.kith('status')
    expect(status).toMatchObject({ code: 3, out: expect.stringContaining('1 erasure not finished') })
    const list = await folder.kith('forget', '--list')
    expect(list.code).toBe(3)
    expect(list.out).toContain('delete it by hand')
    expect((await folder.kith('forget', '--certificate', erasure)).code).toBe(3)
  })

  test('once all have answered, nothing of the person is left anywhere in the database', async () => {
    folder.write('news.csv', text('news.csv').replace(/^.*Lovelace.*\n/m, ''))
    await folder.kith('sync')
    expect(await placesOf(HERS)).toEqual([])
    expect(text('crm.csv')).toContain('Stone')
    const certificate = await folder.kith('forget', '--certificate', erasure)
    expect(certificate.code).toBe(0)
    const told = JSON.parse(certificate.out) as { records: { connection: string; outcome: string }[] }
    expect(told.records.map(({ connection, outcome }) => `${connection} ${outcome}`).toSorted()).toEqual([
      'crm deleted',
      'news gone',
      'phone deleted',
    ])
    for (const value of HERS) expect(certificate.out.toLowerCase()).not.toContain(value.toLowerCase())
    expect(existsSync(join(folder.path, '.kith', 'erasures', `erasure-${erasure}.json`))).toBe(true)
    expect((await folder.kith('status')).code).toBe(0)
  })

  test('added again in one app, the person is created in no other, and is offered for deletion again', async () => {
    folder.write('kith.yaml', CONFIG)
    folder.write('crm.csv', `${text('crm.csv')}Ada,Lovelace,ADA@example.org,,Countess\n`)
    await folder.kith('sync')
    await folder.kith('sync')
    expect(text('news.csv') + cards()).not.toContain('Lovelace')
    expect(await placesOf(HERS)).toEqual([])
    const list = await folder.kith('forget', '--list')
    expect(list).toMatchObject({ code: 0, out: expect.stringContaining('1 record of the person was added again') })
    const again = await folder.kith('forget', '--again', erasure, '--why', 'still wanted', '--yes')
    expect(again.code).toBe(0)
    await folder.kith('sync')
    expect(text('crm.csv')).not.toContain('Lovelace')
    expect(await placesOf(HERS)).toEqual([])
  })

  test('a mistaken bar is lifted with a reason: whoever is added from then on is like any', async () => {
    expect((await folder.kith('forget', '--lift', erasure, '--yes')).code).toBe(1)
    expect((await folder.kith('forget', '--lift', erasure, '--why', 'another Ada', '--yes')).code).toBe(0)
    expect(text('news.csv')).not.toContain('Lovelace')
    folder.write('crm.csv', `${text('crm.csv')}Ada,Lovelace,ada@example.org,,Countess\n`)
    await folder.kith('sync')
    expect(text('news.csv')).toContain('Lovelace')
  })

  test('killed in the middle, the erasure is brought to its end by whoever comes next', async () => {
    const begun = await folder.kith('forget', 'ada@example.org', '--why', 'asked again', '--yes', '--json')
    const { erasure: id } = JSON.parse(begun.out) as { erasure: string }
    const running = folder.start('sync')
    // The first app has deleted her, the last has not been asked or not answered.
    for (let look = 0; look < 2_000 && text('crm.csv').includes('Lovelace'); look++) {
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    running.signal('SIGKILL')
    await running.ended
    for (let turn = 0; turn < 5; turn++) {
      await folder.kith('sync')
      if ((await folder.kith('forget', '--certificate', id)).code === 0) break
    }
    expect((await folder.kith('forget', '--certificate', id)).code).toBe(0)
    expect(text('crm.csv') + text('news.csv') + cards()).not.toContain('Lovelace')
    expect(await placesOf(HERS)).toEqual([])
  })
})
