import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { z } from 'zod'
import { freshDatabase, type FreshDatabase } from '../support/postgres.ts'
import { Folder } from './kith.ts'

jest.setTimeout(120_000)

// The database of all tests: starting one for each command would take most of the time.
let database: FreshDatabase
let folder: Folder
const card = (uid: string, lines: readonly string[]): string =>
  ['BEGIN:VCARD', 'VERSION:3.0', `UID:${uid}`, ...lines, 'END:VCARD', ''].join('\r\n')
beforeAll(async () => {
  database = await freshDatabase()
  folder = new Folder({ KITH_OPERATOR: 'grace', DATABASE_URL: database.url })
  folder.write(
    'contacts.csv',
    [
      'First Name,Last Name,Email,Phone,Organization,Title',
      'Ada,Lovelace,ada@example.org,+4930123456,Engines,CTO',
      'Ada,Lovelase,ada@other.example,,Engines,Head',
      'Tom,Jones,tom@example.org,+4930777777,,',
      '',
    ].join('\n'),
  )
  folder.write(
    'phone/1.vcf',
    card('1', ['N:Lovelace;Ada;;;', 'FN:Ada Lovelace', 'EMAIL:ada@example.org', 'TITLE:Chair']),
  )
  folder.write(
    'phone/2.vcf',
    card('2', ['N:Lovelace;Ada;;;', 'FN:Ada Lovelace', 'EMAIL:ada@example.org', 'NOTE:met in 1833']),
  )
  folder.write('phone/3.vcf', card('3', ['N:Jones;Thomas;;;', 'FN:Thomas Jones', 'TEL:+4930777777']))
  folder.write(
    'kith.yaml',
    `# my people
connections:
  sheet: { app: csv, path: ./contacts.csv }
  phone: { app: vdir, path: ./phone }
approval: auto
fields:
  title: manual # ask me
`,
  )
})
afterAll(async () => {
  folder.remove()
  await database.drop()
})

const read = (file: string): string => readFileSync(join(folder.path, file), 'utf8')
const cards = (): string[] => readdirSync(join(folder.path, 'phone')).map((file) => read(`phone/${file}`))

const List = z.object({
  items: z.array(
    z.object({
      id: z.string().regex(/^[0-9a-z]{8}$/),
      kind: z.string(),
      cause: z.string().min(1),
      connection: z.string().nullable(),
      people: z.array(z.object({ id: z.string(), name: z.string(), score: z.number().optional() }).loose()),
      choices: z.array(z.object({ choose: z.string(), command: z.string(), meaning: z.string().min(1) })),
    }),
  ),
  total: z.number(),
  counts: z.record(z.string(), z.number()),
  later: z.number(),
})

async function list(...words: string[]): Promise<z.infer<typeof List>> {
  const { code, out, err } = await folder.kith('review', '--json', ...words)
  expect({ code, err }).toEqual({ code: 0, err: '' })
  return List.parse(JSON.parse(out))
}

async function idOf(kind: string): Promise<string> {
  const { items } = await list('--kind', kind)
  return items[0]?.id ?? ''
}

/** One story, told in order: each chapter stands on the one before. */
describe('what waits for an operator', () => {
  test('review lists it, with cause, evidence and the commands that decide it', async () => {
    await folder.kith('sync')
    const { total, counts, items } = await list()
    expect(counts).toEqual({ conflict: 1, second: 1, match: 1, duplicate: 1 })
    expect(items).toHaveLength(total)
    expect(items.map(({ id }) => id)).toEqual((await list()).items.map(({ id }) => id))
    const { code, out } = await folder.kith('review')
    expect(code).toBe(0)
    for (const { id, choices } of items) {
      for (const { choose } of choices) expect(out).toContain(`kith review ${id} --choose ${choose}`)
    }
    expect(out).toContain('+ the same part before the @')
    const status = await folder.kith('status')
    expect(status.out).toContain('kith review')
  })

  test('what is not there, or no choice, is refused with what to do next', async () => {
    const missing = await folder.kith('review', 'zzzzzzzz', '--choose', 'ours')
    expect(missing).toMatchObject({ code: 1 })
    expect(missing.err).toContain('kith review --list')
    const id = await idOf('conflict')
    const wrong = await folder.kith('review', id, '--choose', 'merge')
    expect(wrong).toMatchObject({ code: 1 })
    expect(wrong.err).toContain('Choose ours, theirs, value.')
    expect((await folder.kith('review', '--kind', 'nonsense')).code).toBe(1)
  })

  test('an item that is left for later is out of sight, and waits on', async () => {
    const id = await idOf('match')
    expect((await folder.kith('review', 'skip', id)).code).toBe(0)
    expect((await list()).later).toBe(1)
    expect((await list('--kind', 'match')).items).toEqual([])
    expect((await list('--kind', 'match', '--all')).items.map((item) => item.id)).toEqual([id])
  })

  test('a rule is shown; without a terminal it is not written, and nothing half decided, without --yes', async () => {
    const id = await idOf('conflict')
    const shown = await folder.kith('review', id, '--choose', 'theirs', '--rule', '--write')
    expect(shown.code).toBe(2)
    expect(shown.out).toContain('-   title: manual # ask me')
    expect(shown.out).toMatch(/\+ {3}title: \{ prefer: \[ (sheet|phone) \] \} # ask me/)
    expect(read('kith.yaml')).toContain('title: manual # ask me')
    expect((await list('--kind', 'conflict')).total).toBe(1)
  })

  test('a conflict is decided, and the rule written beside its comment; the record says who and why', async () => {
    const id = await idOf('conflict')
    const { code, out } = await folder.kith(
      'review',
      id,
      '--choose',
      'theirs',
      '--why',
      'asked her',
      '--rule',
      '--write',
      '--yes',
    )
    expect(code).toBe(0)
    expect(out).toContain('Written into')
    expect(read('kith.yaml')).toMatch(/title: \{ prefer: \[ \w+ \] \} # ask me/)
    expect(read('kith.yaml')).toContain('# my people')
    const acts = await folder.kith('acts')
    expect(acts.out).toContain('grace')
    expect(acts.out).toContain('asked her')
    expect((await list('--kind', 'conflict')).total).toBe(0)
  })

  test('a second record is folded in; it goes away only when that is approved, and its values stay (I5)', async () => {
    expect((await folder.kith('review', await idOf('second'), '--choose', 'merge')).code).toBe(0)
    await folder.kith('sync')
    expect(cards()).toHaveLength(4)
    expect((await folder.kith('status')).out).toContain('kith review --kind ending')
    const id = await idOf('ending')
    expect((await folder.kith('review', id, '--choose', 'approve')).code).toBe(0)
    await folder.kith('sync')
    expect(cards()).toHaveLength(3)
    expect(cards().filter((text) => text.includes('met in 1833'))).toHaveLength(1)
    expect((await list('--kind', 'ending')).total).toBe(0)
  })

  test('merge shows what it would do and does nothing without a yes', async () => {
    const { code, out } = await folder.kith('merge', 'ada@example.org', 'ada@other.example', '--keep', 'title=Countess')
    expect(code).toBe(2)
    expect(out).toContain('Job title: Countess  you chose it')
    expect(out).toContain('is deleted there, its values kept')
    expect(out).toContain('Nothing was done. Do it with: --yes')
    expect((await folder.kith('merge', 'ada@example.org', 'ada@example.org')).code).toBe(1)
    const wrong = await folder.kith('merge', 'ada@example.org', 'ada@other.example', '--keep', 'shoes=42')
    expect(wrong.err).toContain('there is no field named shoes')
  })

  test('two people are merged, then their records, one yes for all alike', async () => {
    const { code, out } = await folder.kith(
      'merge',
      'ada@example.org',
      'ada@other.example',
      '--keep',
      'title=Countess',
      '--yes',
      '--json',
    )
    expect(code).toBe(0)
    const { merged, act } = z.object({ merged: z.boolean(), act: z.string() }).parse(JSON.parse(out))
    expect({ merged, act: act !== '' }).toEqual({ merged: true, act: true })
    await folder.kith('approve')
    await folder.kith('sync')
    for (const id of (await list('--kind', 'ending')).items.map((item) => item.id)) {
      expect((await folder.kith('review', '--all-like', id, '--choose', 'approve', '--yes')).code).toBe(0)
    }
    await folder.kith('sync')
    expect(read('contacts.csv')).not.toContain('Lovelase')
    expect(cards().filter((text) => text.includes('Ada'))).toHaveLength(1)
    expect(cards().join('')).toContain('ada@other.example')
    expect(cards().join('')).toContain('TITLE:Countess')
    const people = await folder.kith('people', 'lovel')
    expect(people.out.match(/Lovelace/g)).toHaveLength(1)
  })

  test('apart is for good: the record is a person of its own, and not asked about again', async () => {
    const { items } = await list('--kind', 'match', '--all')
    expect((await folder.kith('review', items[0]?.id ?? '', '--choose', 'apart')).code).toBe(0)
    await folder.kith('sync')
    await folder.kith('sync')
    expect((await list('--all')).total).toBe(0)
  })
})
