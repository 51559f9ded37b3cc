import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals'
import type { Store } from '../../engine/core/ports/store.ts'
import { openStore } from '../../engine/store/postgres.ts'
import { backUp, backupName, scheduledBackups } from '../../workers/backup.ts'
import { backupStanding, backUpWhenDue, isOverdue, nextBackup_ms } from '../../workers/backup-clock.ts'
import { Daemon } from '../../workers/daemon.ts'
import { readWhole } from '../../workers/restore.ts'
import type { Log } from '../../workers/runtime.ts'
import { person, write } from '../store/sample.ts'
import { TestHousehold } from '../support/household.ts'
import { human } from '../support/humans.ts'
import { until } from '../support/kithProcess.ts'
import { Sheet } from '../support/places.ts'
import { freshDatabase, type FreshDatabase } from '../support/postgres.ts'

const HOUR_MS = 3_600_000
const NOON = Date.UTC(2026, 10, 22, 12)

let database: FreshDatabase
let store: Store
let folder: string
let household: { readonly store: Store; readonly databaseUrl: string; readonly fingerprint: string }

beforeAll(async () => {
  database = await freshDatabase()
  store = await openStore(database.url)
  await write(store, { people: [person('p1')] })
  household = { store, databaseUrl: database.url, fingerprint: 'abc' }
  folder = mkdtempSync(join(tmpdir(), 'kith-schedule-'))
})

beforeEach(async () => {
  await store.setFact('backups', null)
  rmSync(folder, { recursive: true, force: true })
})

afterAll(async () => {
  await store.close()
  await database.drop()
  rmSync(folder, { recursive: true, force: true })
})

const told: string[] = []
const log: Log = {
  info: (event) => void told.push(event),
  warn: (event, facts) => void told.push(`${event}: ${String(facts?.['reason'])}`),
  failure: () => undefined,
}

const turn = (now_ms: number, every_ms = HOUR_MS, keep = 3): Promise<void> =>
  backUpWhenDue(household, { every_ms, keep, folder }, log, now_ms)

test('one is made at each turn, none in between, and the oldest goes', async () => {
  for (let hour = 0; hour < 5; hour++) {
    await turn(NOON + hour * HOUR_MS)
    await turn(NOON + hour * HOUR_MS + HOUR_MS / 2)
  }
  expect(readdirSync(folder)).toEqual([2, 3, 4].map((hour) => backupName(NOON + hour * HOUR_MS, true)))
  expect((await backupStanding(household)).last?.at_ms).toBe(NOON + 4 * HOUR_MS)
  const { header } = await readWhole(join(folder, backupName(NOON + 4 * HOUR_MS, true)))
  expect(header.counts.person).toBe(1)
})

test('what was missed is caught up with one', async () => {
  await turn(NOON)
  await turn(NOON + 30 * HOUR_MS)
  expect(readdirSync(folder)).toEqual([backupName(NOON, true), backupName(NOON + 30 * HOUR_MS, true)])
})

test('a backup that an operator made, and whatever else is there, is never deleted', async () => {
  const own = join(folder, backupName(NOON - 1))
  await backUp(household, own)
  writeFileSync(join(folder, 'notes.txt'), '')
  for (let hour = 0; hour < 3; hour++) await turn(NOON + hour * HOUR_MS, HOUR_MS, 1)
  expect(readdirSync(folder).sort()).toEqual(
    [backupName(NOON - 1), backupName(NOON + 2 * HOUR_MS, true), 'notes.txt'].sort(),
  )
})

test('a failure is told, kept for kith status, and tried again; what was there stays', async () => {
  await turn(NOON)
  told.length = 0
  const blocked = join(folder, 'blocked')
  writeFileSync(blocked, '')
  const config = { every_ms: HOUR_MS, keep: 3, folder: join(blocked, 'backups') }
  await backUpWhenDue(household, config, log, NOON + HOUR_MS)
  expect(told).toEqual([expect.stringMatching(/^backup failed: the folder .* cannot be written to \(ENOTDIR\)$/)])
  const standing = await backupStanding(household)
  expect(standing.last?.at_ms).toBe(NOON)
  expect(standing.failure?.at_ms).toBe(NOON + HOUR_MS)
  // Not at once, and not only at the next turn.
  expect(nextBackup_ms(standing, HOUR_MS)).toBe(NOON + HOUR_MS + 10 * 60_000)
  await turn(NOON + HOUR_MS + 60_000)
  expect((await backupStanding(household)).failure).not.toBeNull()
  await turn(NOON + HOUR_MS + 10 * 60_000)
  expect(await backupStanding(household)).toMatchObject({
    last: { at_ms: NOON + HOUR_MS + 10 * 60_000 },
    failure: null,
  })
})

test('one that should long have been made is overdue', async () => {
  expect(isOverdue({ last: null, failure: null }, HOUR_MS, NOON)).toBe(false)
  const last = { file: 'x', at_ms: NOON, bytes: 1 }
  expect(isOverdue({ last, failure: null }, HOUR_MS, NOON + 2 * HOUR_MS)).toBe(false)
  expect(isOverdue({ last, failure: null }, HOUR_MS, NOON + 2 * HOUR_MS + 1)).toBe(true)
})

test('what a killed process left half written is cleared away, what is being written is not', async () => {
  mkdirSync(folder)
  chmodSync(folder, 0o700)
  const [left, young] = [`${backupName(NOON)}.1-a.part`, `${backupName(NOON)}.2-b.part`]
  for (const name of [left, young]) writeFileSync(join(folder, name), '')
  utimesSync(join(folder, left), 0, 0)
  await turn(NOON)
  expect(readdirSync(folder).sort()).toEqual([backupName(NOON, true), young].sort())
})

test('the daemon makes them by itself while it leads, and a backup that it is about does not keep it from stopping', async () => {
  const dir = TestHousehold.folder()
  const sheet = new Sheet('sheet', join(dir, 'contacts.csv'), [human(1)])
  const home = await TestHousehold.make(dir, [sheet], { backup: { every: '1h', keep: 2, folder: './backups' } })
  try {
    const daemon = await Daemon.start(await home.open(), { leads: true })
    try {
      const made = async (): Promise<boolean> => (await scheduledBackups(join(dir, 'backups'))).length === 1
      await until(made, 'a scheduled backup', 20_000)
    } finally {
      await daemon.stop()
    }
    expect(home.told.map(({ event }) => event)).toContain('backup')
    expect((await backupStanding(await home.open())).failure).toBeNull()
  } finally {
    await home.close()
  }
})
