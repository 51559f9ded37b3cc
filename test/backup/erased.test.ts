import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from '@jest/globals'
import { backUp } from '../../workers/backup.ts'
import { CertificateError } from '../../workers/certificates.ts'
import { erasureById, forget, lift } from '../../workers/forget.ts'
import { restoreAll } from '../../workers/restore.ts'
import { human } from '../support/humans.ts'
import { idOf, type Place } from '../support/places.ts'
import { service } from '../support/postgres.ts'
import { threePlaces, type ThreePlaces } from '../support/three-places.ts'

const COUNT = 6
const WHO = { by: 'grace', why: 'asked for' }

let three: ThreePlaces | undefined
afterEach(async () => {
  await three?.close()
  three = undefined
})

const emailOf = (index: number): string => (human(index).emails[0] ?? '').toLowerCase()
const has = (place: Place, index: number): boolean => {
  try {
    return idOf(place, emailOf(index)) !== ''
  } catch {
    return false
  }
}

/** Everybody is everywhere and in a backup; then human 2 is erased, everywhere. */
async function erasedSince(): Promise<{ at: ThreePlaces; file: string; erasure: string }> {
  const at = await threePlaces({ sheet: Array.from({ length: COUNT }, (_, index) => human(index)) })
  three = at
  const { home } = at
  await home.syncApproved()
  const file = join(home.dir, 'kith.backup.gz')
  await backUp(await home.open(), file)
  const { runtime } = await home.daemon()
  const [person] = await runtime.store.searchPeople(emailOf(2), 1)
  const { id } = await forget(runtime, person?.id ?? '', WHO)
  await home.sync()
  expect((await runtime.store.erasures({ id, limit: 1 }))[0]?.state).toBe('done')
  expect(home.places.map((place) => has(place, 2))).toEqual([false, false, false])
  return { at, file, erasure: id }
}

async function lose({ home }: ThreePlaces): Promise<void> {
  const { databaseUrl } = await home.open()
  await home.shut()
  await service(databaseUrl, 'drop schema if exists kith cascade')
  await service(databaseUrl, 'drop schema if exists bullmq cascade')
}

test.each<[string, boolean]>([
  ['in the data folder', false],
  ['beside the backup', true],
])(
  'whoever was erased since the backup was made is erased once more, by the certificate %s (I7)',
  async (_where, beside) => {
    const { at, file, erasure } = await erasedSince()
    const { home } = at
    const { certificates } = await home.open()
    if (beside) renameSync(certificates, join(home.dir, 'erasures'))
    await lose(at)
    expect((await restoreAll(await home.open(), file)).erasedAgain).toBe(1)
    await home.shut()
    await home.sync()
    const { store } = await home.open()
    expect(home.places.map((place) => has(place, 2))).toEqual([false, false, false])
    expect(home.places.map((place) => has(place, 3))).toEqual([true, true, true])
    expect(await store.searchPeople(emailOf(2), 1)).toEqual([])
    const all = await store.erasures({ limit: 5 })
    expect(all.map(({ state, of }) => ({ state, of }))).toEqual([
      { state: 'done', of: erasure },
      { state: 'done', of: undefined },
    ])
    // Nobody brings them back: a record that somebody adds anew takes no part.
    at.sheet.add(human(2))
    await home.sync()
    expect(has(at.phone, 2)).toBe(false)
    expect((await store.counts()).get('sheet')?.erased).toBe(1)
  },
)

test('an erasure that was lifted bars nobody after a restore; a damaged certificate is no restore at all', async () => {
  const { at, file, erasure } = await erasedSince()
  const { home } = at
  const { runtime } = await home.daemon()
  await lift(runtime, await erasureById(runtime.store, erasure), WHO)
  const { certificates } = await home.open()
  await lose(at)
  const damaged = join(certificates, 'erasure-x.json')
  mkdirSync(certificates, { recursive: true })
  writeFileSync(damaged, '{"erasure": "x"')
  await expect(restoreAll(await home.open(), file)).rejects.toBeInstanceOf(CertificateError)
  rmSync(damaged)
  expect(readdirSync(certificates)).toHaveLength(1)
  expect((await restoreAll(await home.open(), file)).erasedAgain).toBe(0)
  expect(await (await home.open()).store.erasures({ limit: 5 })).toEqual([])
})
