import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from '@jest/globals'
import { openStore } from '../../engine/store/postgres.ts'
import type { Store } from '../../engine/core/ports/store.ts'
import { freshDatabase } from '../support/postgres.ts'
import { Folder } from '../cli/kith.ts'

const PEOPLE = 500
/** How often a kill that came too late is tried again. */
const GOES_MAX = 6

const endings: (() => unknown)[] = []
afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end()
})

const HEADER = 'First Name,Last Name,E-mail,Job Title\n'
const sheet = (title: string): string =>
  HEADER +
  Array.from({ length: PEOPLE }, (_, n) => `Given${n},Family${n},human${n}@example.org,${title} ${n}\n`).join('')
const BRAKE = '{ share: 1, min: 100000 }'
const CONFIG = `approval: auto
brakes: { creates: ${BRAKE}, deletes: ${BRAKE}, field: ${BRAKE}, flips: 1000 }
connections:
  left: { app: csv, path: ./left.csv }
  right: { app: csv, path: ./right.csv }
`

async function takenBack(store: Store, act: string): Promise<string[]> {
  return (await store.log({ act, limit: PEOPLE * 3 })).map(({ personId, cell }) => `${personId} ${cell}`)
}

/** Begins an undo and kills it when some of it is done, and not all. One that was too quick is undone, which is as good. */
async function killedMidway(folder: Folder, store: Store): Promise<{ words: string[]; act: string; title: string }> {
  let words = ['--run', 'last', '--connection', 'left']
  for (let go = 0; go < GOES_MAX; go++) {
    const known = new Set((await store.acts({ kind: 'undo', limit: 99 })).map(({ id }) => id))
    const newest = async (): Promise<string | undefined> =>
      (await store.acts({ kind: 'undo', limit: 9 })).find(({ id }) => !known.has(id))?.id
    const undo = folder.start('undo', ...words, '--yes')
    const ending = { seen: false }
    void undo.ended.then(() => (ending.seen = true))
    let act: string | undefined
    while (act === undefined && !ending.seen) act = await newest()
    undo.signal('SIGKILL')
    await undo.ended
    if (act === undefined) throw new Error(`it ended before it began: ${undo.out} ${undo.err}`)
    const done = (await takenBack(store, act)).length
    if (done > 0 && done < PEOPLE) return { words, act, title: go % 2 === 0 ? 'Analyst' : 'Countess' }
    words = ['--act', act]
  }
  throw new Error('every kill came too late')
}

test('an undo killed with SIGKILL in the middle is carried on by the same command: one act, nothing twice, all taken back (I9, I12)', async () => {
  const database = await freshDatabase()
  endings.push(() => database.drop())
  const folder = new Folder({ DATABASE_URL: database.url, KITH_OPERATOR: 'grace' })
  endings.push(() => folder.remove())
  folder.write('kith.yaml', CONFIG)
  folder.write('left.csv', sheet('Analyst'))
  folder.write('right.csv', sheet('Analyst'))
  expect((await folder.kith('sync')).code).toBe(0)
  folder.write('left.csv', sheet('Countess'))
  expect((await folder.kith('sync')).code).toBe(0)
  expect(readFileSync(join(folder.path, 'right.csv'), 'utf8')).toContain('Countess 7')
  const store = await openStore(database.url)
  endings.push(() => store.close())

  const { words, act, title } = await killedMidway(folder, store)
  const other = await folder.kith('undo', '--since', '1h')
  expect(other).toMatchObject({ code: 1, err: expect.stringContaining('is not finished') })
  const acts = await store.acts({ kind: 'undo', limit: 99 })
  const carried = await folder.kith('undo', ...words, '--yes')
  expect(carried).toMatchObject({ code: 0, out: expect.stringContaining('This carries on the undo begun') })
  const all = await takenBack(store, act)
  expect(all).toHaveLength(PEOPLE)
  expect(new Set(all).size).toBe(PEOPLE)
  expect(await store.acts({ kind: 'undo', limit: 99 })).toEqual(acts)
  expect((await folder.kith('sync')).code).toBe(0)
  for (const file of ['left.csv', 'right.csv']) {
    expect(readFileSync(join(folder.path, file), 'utf8').match(new RegExp(`,${title} \\d+`, 'g'))).toHaveLength(PEOPLE)
  }
}, 300_000)
