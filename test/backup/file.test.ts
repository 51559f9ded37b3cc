import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { Store } from '../../engine/core/ports/store.ts'
import { openStore } from '../../engine/store/postgres.ts'
import { backUp, backupName, FileThereError, type BackupReport } from '../../workers/backup.ts'
import { BackupError, totalOf, type BackupFault } from '../../workers/backup-file.ts'
import { readWhole, verifyBackup } from '../../workers/restore.ts'
import { consent, link, person, write } from '../store/sample.ts'
import { freshDatabase, service, type FreshDatabase } from '../support/postgres.ts'

const PEOPLE = 703

let folder: string
let database: FreshDatabase
let store: Store
let file: string
let report: BackupReport

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kith-backup-'))
  database = await freshDatabase()
  store = await openStore(database.url)
  await store.ensureConnections([{ name: 'crm', app: 'memory', mode: 'live' }])
  const ids = Array.from({ length: PEOPLE }, (_, index) => `p${index}`)
  const stamp = { at: 1, by: 'crm' }
  await write(store, {
    people: ids.map((id) => person(id)),
    links: ids.map((id) => link(id, { personId: id, state: 'linked' })),
    consents: [consent('email:p1@example.org', 'unsubscribed')],
    changes: ids.map((personId) => {
      const change = { personId, cell: 'note', before: null, after: 'x', stamp, recordId: personId }
      return { ...change, kind: 'applied' as const, rule: 'edit' as const, heard_ms: 1 }
    }),
  })
  file = join(folder, 'kith.backup.gz')
  report = await backUp({ databaseUrl: database.url, fingerprint: 'abc' }, file)
})

afterAll(async () => {
  await store.close()
  await database.drop()
  rmSync(folder, { recursive: true, force: true })
})

/** What reading a file to its end finds wrong with it. */
async function faultOf(path: string): Promise<BackupFault | 'none'> {
  try {
    await readWhole(path)
    return 'none'
  } catch (error) {
    if (error instanceof BackupError) return error.fault
    throw error
  }
}

function written(name: string, content: Buffer): string {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

test('a backup is one file that only its owner can read, and nothing beside it', () => {
  expect(report).toMatchObject({
    file,
    counts: { person: PEOPLE, link: PEOPLE, change: PEOPLE, consent: 1, connection: 1 },
  })
  expect(statSync(file).mode & 0o777).toBe(0o600)
  expect(statSync(file).size).toBe(report.bytes)
  expect(readdirSync(folder)).toEqual(['kith.backup.gz'])
  // Any machine can read it without Kith.
  const [header = ''] = gunzipSync(readFileSync(file)).toString('utf8').split('\n')
  expect(JSON.parse(header)).toMatchObject({ kith: 'backup', format: 1, config: 'abc', at_ms: report.at_ms })
})

test('a file that is there is written over only when that is wanted', async () => {
  const before = readFileSync(file)
  const again = backUp({ databaseUrl: database.url, fingerprint: 'abc' }, file)
  await expect(again).rejects.toBeInstanceOf(FileThereError)
  expect(readFileSync(file)).toEqual(before)
  const other = join(folder, 'over', backupName(Date.now()))
  await backUp({ databaseUrl: database.url, fingerprint: 'abc' }, other)
  await backUp({ databaseUrl: database.url, fingerprint: 'abc' }, other, { overwrite: true })
  expect(await faultOf(other)).toBe('none')
  expect(statSync(join(folder, 'over')).mode & 0o777).toBe(0o700)
})

test('a backup that was interrupted leaves no file', async () => {
  const path = join(folder, 'interrupted.backup.gz')
  const ending = new AbortController()
  const onProgress = (): void => ending.abort()
  const options = { signal: ending.signal, onProgress }
  await expect(backUp({ databaseUrl: database.url, fingerprint: 'abc' }, path, options)).rejects.toThrow(/abort/i)
  expect(readdirSync(folder).filter((name) => name.includes('interrupted'))).toEqual([])
})

test('a whole backup is proven to restore, and the proof leaves no database behind', async () => {
  const { header, rows } = await verifyBackup(file, database.url)
  expect(header.at_ms).toBe(report.at_ms)
  expect(rows).toBe(totalOf(report.counts))
  await expect(
    service(
      database.url,
      `do $$ begin if exists (select from pg_database where datname like 'kith\\_verify%') then raise 'left'; end if; end $$`,
    ),
  ).resolves.toBeUndefined()
})

test('a backup from before this Kith knew some fact is whole all the same', async () => {
  const lines = gunzipSync(readFileSync(file)).toString('utf8').split('\n').slice(0, -2)
  // As it would be without facts: checksums and counts to match.
  const from = lines.findIndex((line) => line.startsWith('{"section":"fact"'))
  const to = lines.findIndex((line) => line.startsWith('{"end":"fact"'))
  const nothing = createHash('sha256').digest('hex')
  const without = [
    ...lines.slice(0, from).map((line) => line.replace(/"fact":\d+/, '"fact":0')),
    '{"section":"fact","rows":0}',
    `{"end":"fact","sha256":"${nothing}"}`,
    ...lines.slice(to + 1),
  ].map((line) => `${line}\n`)
  const end = { end: 'backup', sha256: createHash('sha256').update(without.join('')).digest('hex') }
  const older = written('older.gz', gzipSync(`${without.join('')}${JSON.stringify(end)}\n`))
  expect((await verifyBackup(older, database.url)).header.counts.fact).toBe(0)
})

test('without a server of one’s own the proof runs on one that is started for it', async () => {
  expect((await verifyBackup(file, undefined)).rows).toBe(totalOf(report.counts))
})

test('each kind of wrong file is called what it is', async () => {
  const whole = readFileSync(file)
  const lines = gunzipSync(whole).toString('utf8').split('\n')
  const [header = '', ...rest] = lines
  const packed = (first: string): Buffer => gzipSync([first, ...rest].join('\n'))
  expect(await faultOf(join(folder, 'nowhere'))).toBe('unreadable')
  expect(await faultOf(folder)).toBe('unreadable')
  expect(await faultOf(written('empty', Buffer.alloc(0)))).toBe('foreign')
  expect(await faultOf(written('text', Buffer.from('name,email\nAda,ada@example.org\n')))).toBe('foreign')
  expect(await faultOf(written('other.gz', gzipSync('{"hello":1}\n')))).toBe('foreign')
  expect(await faultOf(written('newer.gz', packed(header.replace('"format":1', '"format":2'))))).toBe('newer')
  expect(await faultOf(written('half.gz', whole.subarray(0, whole.length / 2)))).toBe('truncated')
  expect(await faultOf(written('cut.gz', gzipSync(lines.slice(0, 900).join('\n') + '\n')))).toBe('truncated')
  expect(await faultOf(written('more.gz', gzipSync(lines.join('\n') + '{}\n')))).toBe('damaged')
})

test('a row that was changed is found by its checksum, and named without what is in it (I15)', async () => {
  const text = gunzipSync(readFileSync(file)).toString('utf8')
  const forged = written('forged.gz', gzipSync(text.replace('p7@Example.org', 'p7@Evil.org')))
  await expect(verifyBackup(forged, database.url)).rejects.toThrow('is damaged (the checksum of person)')
  const broken = written(
    'broken.gz',
    gzipSync(text.replace('"value":"p7@Example.org"', '"value":1').replace('"cells":{', '"cells":[], "x":{')),
  )
  const error = await readWhole(broken).catch((thrown: unknown) => thrown as Error)
  expect((error as Error).message).toMatch(/is damaged \(person, row 1/)
  expect((error as Error).message).not.toContain('xample')
})

test('wherever a file is cut or a byte is changed, it is never taken for whole', async () => {
  const whole = readFileSync(file)
  const position = fc.nat({ max: whole.length - 1 })
  await fc.assert(
    fc.asyncProperty(position, fc.integer({ min: 1, max: 255 }), async (at, change) => {
      const cut = await faultOf(written('cut', whole.subarray(0, at)))
      expect(['foreign', 'truncated']).toContain(cut)
      const flipped = Buffer.from(whole)
      flipped[at] = (flipped[at] ?? 0) ^ change
      const fault = await faultOf(written('flipped', flipped))
      // Time, system and name in gzip's own heading say nothing about the content.
      expect(at > 9 ? fault : 'in the heading').not.toBe('none')
    }),
    { numRuns: 20 },
  )
})
