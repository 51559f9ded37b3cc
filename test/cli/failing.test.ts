import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { freshDatabase, type FreshDatabase } from '../support/postgres.ts'
import { card, Folder } from './kith.ts'
import { planShape, statusShape, syncShape } from './shapes.ts'

jest.setTimeout(60_000)

let database: FreshDatabase
let folder: Folder
const people = ['Ada Lovelace', 'Bob Stone', 'Carl Gauss', 'Dora Maar', 'Emmy Noether'].map((name) => name.split(' '))

beforeAll(async () => {
  database = await freshDatabase()
  folder = new Folder({ DATABASE_URL: database.url })
  const rows = people.map(([given, family]) => `${given},${family},${given?.toLowerCase()}@example.org`)
  folder.write('contacts.csv', ['First Name,Last Name,E-mail', ...rows, ''].join('\n'))
  folder.write('phone/zoe.vcf', card({ given: 'Zoe', family: 'Zed', email: 'zoe@example.org' }))
  folder.write('kith.yaml', GOOD)
})
afterAll(async () => {
  folder.remove()
  await database.drop()
})

const GOOD = 'connections:\n  sheet: { app: csv, path: ./contacts.csv }\n  phone: { app: vdir, path: ./phone }\n'
const read = (file: string): string => readFileSync(join(folder.path, file), 'utf8')

describe('wrong input', () => {
  test('no config: says where it was looked for and how to write one', async () => {
    const { code, err, out } = await folder.kith('plan', '--config', 'nowhere.yaml')
    expect(err).toMatch(/^nowhere\.yaml:1:1: .*kith init/)
    expect({ code, out }).toEqual({ code: 1, out: '' })
  })

  test('a config error is told as file:line:column with what to write instead, never as a stack trace', async () => {
    folder.write('bad.yaml', 'connections:\n  sheet: { app: csv, pth: ./contacts.csv }\n')
    for (const command of ['check', 'plan']) {
      const { code, err } = await folder.kith(command, '--config', 'bad.yaml')
      expect(err).toMatch(/bad\.yaml:2:22: .*pth.*Did you mean "path"\?/)
      expect(err).not.toMatch(/\n {4}at /)
      expect(code).toBe(1)
    }
    const { out, code } = await folder.kith('check', '--config', 'bad.yaml', '--json')
    expect(code).toBe(1)
    expect(JSON.parse(out)).toMatchObject({
      ok: false,
      errors: [
        { line: 2, column: 3 },
        { line: 2, column: 22 },
      ],
    })
  })

  test('a mapping that names a column which is not there is told at its place', async () => {
    const mapping = '    mapping:\n      fields:\n        title: Position Held\n'
    folder.write('mapped.yaml', `connections:\n  sheet:\n    app: csv\n    path: ./contacts.csv\n${mapping}`)
    const { code, err } = await folder.kith('check', '--config', 'mapped.yaml')
    expect(err).toMatch(/mapped\.yaml:7:\d+: the account has no field named "Position Held"/)
    expect(code).toBe(1)
  })

  test('a secret written out in the config is warned about, and never shown', async () => {
    const office =
      'connections:\n  office: { app: carddav, url: "http://127.0.0.1:9/", username: ada, password: hunter2 }\n'
    folder.write('secret.yaml', office)
    const { code, out, err } = await folder.kith('check', '--config', 'secret.yaml')
    expect(out).toMatch(/warning secret\.yaml:2:\d+: .*OFFICE_PASSWORD/)
    expect(out + err).not.toContain('hunter2')
    expect(err).toContain('office failed')
    expect(code).toBe(1)
  })

  test('an unknown command or option exits 1 and shows how', async () => {
    expect(await folder.kith('plann')).toMatchObject({ code: 1, err: expect.stringContaining('plan') })
    expect(await folder.kith('log', '--since', 'yesterday')).toMatchObject({
      code: 1,
      err: expect.stringContaining('a duration'),
    })
  })

  test('a database that is not there is told with its cause, and never with its password', async () => {
    const elsewhere = new Folder({ DATABASE_URL: 'postgres://kith:hunter2@127.0.0.1:9/kith' })
    try {
      elsewhere.write('contacts.csv', 'First Name\nAda\n')
      elsewhere.write('kith.yaml', 'connections:\n  sheet: { app: csv, path: ./contacts.csv }\n')
      const { code, err } = await elsewhere.kith('status')
      expect(code).toBe(1)
      expect(err).toContain('DATABASE_URL (127.0.0.1:9/kith) cannot be reached')
      expect(err).not.toContain('hunter2')
    } finally {
      elsewhere.remove()
    }
  })
})

describe('a household that meets damage', () => {
  test('the first sync is held (exit 2), and --approve sends it (exit 0)', async () => {
    const held = await folder.kith('sync', '--json')
    expect(held.code).toBe(2)
    expect(syncShape.parse(JSON.parse(held.out)).held).toBe(true)
    const { code, out } = await folder.kith('sync', '--approve', '--json')
    expect(code).toBe(0)
    expect(syncShape.parse(JSON.parse(out)).connections['phone']).toMatchObject({ created: 5 })
  })

  test('a damaged sheet gives its sentence and advice, harms nothing, and the other side is read on (exit 1)', async () => {
    const whole = read('contacts.csv')
    folder.write('contacts.csv', `${whole}"Frank,Half\n`)
    const damaged = read('contacts.csv')
    const { code, err, out } = await folder.kith('sync', '--json')
    expect(code).toBe(1)
    expect(err).toMatch(/sheet failed: .*quot/i)
    expect(syncShape.parse(JSON.parse(out)).connections['phone']).toMatchObject({ deleted: 0, created: 0 })
    expect(read('contacts.csv')).toBe(damaged)
    const status = statusShape.parse(JSON.parse((await folder.kith('status', '--json')).out))
    expect(status.connections['sheet']).toMatchObject({ state: 'failed', failure: { kind: 'transient' } })
    folder.write('contacts.csv', whole)
    expect((await folder.kith('sync')).code).toBe(0)
  })

  test('an emptied sheet is not believed: a brake holds the deletions until they are approved by name', async () => {
    folder.write('kith.yaml', GOOD.replace('./contacts.csv', './contacts.csv, deletes: propagate'))
    await folder.kith('plan')
    await folder.kith('approve')
    const [header] = read('contacts.csv').split(/\r?\n/)
    folder.write('contacts.csv', `${header}\n`)
    const { code, out } = await folder.kith('plan', '--json')
    expect(code).toBe(2)
    expect(planShape.parse(JSON.parse(out))).toMatchObject({ operations: [], held: true })
    const status = await folder.kith('status')
    expect(status.out).toMatch(/sheet: 6 deletions held; brake: it reads empty/)

    const approved = await folder.kith('approve', 'sheet', '--by', 'grace', '--why', 'they have left')
    expect(approved.out).toContain('6 deletions held')
    expect(approved.out).toContain('6 records released')
    expect((await folder.kith('acts', '--kind', 'release')).out).toContain(
      'grace: release sheet: 6 deletions  "they have left"',
    )
    const after = planShape.parse(JSON.parse((await folder.kith('plan', '--json')).out))
    expect(after.operations).toEqual([])
    expect((await folder.kith('people')).out).toContain('There is nobody yet')
  })
})
