import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, jest, test } from '@jest/globals'
import { parse } from 'csv-parse/sync'
import { Folder } from './kith.ts'

jest.setTimeout(90_000)

const folder = new Folder({ KITH_OPERATOR: 'grace' })
const CONNECTIONS = `connections:
  crm: { app: csv, path: ./crm.csv }
  sheet: { app: csv, path: ./sheet.csv }
approval: auto
region: DE
`
folder.write('kith.yaml', CONNECTIONS)
folder.write(
  'crm.csv',
  `First Name,Last Name,E-mail,Phone,Job Title,Shoe
ADA,Lovelace,Ada <ada@example.org>,030 901820,countess,39
Bob,Stone,bob@@example,12,Mason,
`,
)
folder.write('sheet.csv', 'First Name,Last Name,E-mail,Phone,Job Title\n')
afterAll(() => folder.remove())

const rows = (file: string): { [column: string]: string }[] =>
  parse(readFileSync(join(folder.path, file)), { columns: true }) as { [column: string]: string }[]
const row = (file: string, family: string): { [column: string]: string } | undefined =>
  rows(file).find((one) => one['Last Name'] === family)
const edit = (file: string, from: string, to: string): void => {
  const before = readFileSync(join(folder.path, file), 'utf8')
  expect(before).toContain(from)
  folder.write(file, before.replace(from, to))
}

interface Finding {
  readonly connection: string | null
  readonly rule: string
  readonly count: number
  readonly of: number
  readonly fixable: number
  readonly samples: readonly { readonly person: string | null; readonly values?: readonly string[] }[]
}

const finding = (found: readonly Finding[], rule: string, connection: string | null = 'crm'): Finding | undefined =>
  found.find((one) => one.rule === rule && one.connection === connection)

describe('kith audit', () => {
  test('says what is wrong, app by app, with counts and ids, and no values unless they are asked for (I15)', async () => {
    expect((await folder.kith('sync')).code).toBe(0)
    const { out, code } = await folder.kith('audit', '--json')
    expect(code).toBe(0)
    const { findings, records, people } = JSON.parse(out) as { findings: Finding[]; records: object; people: number }
    expect({ people, records }).toEqual({ people: 2, records: { crm: 2, sheet: 2 } })
    expect(finding(findings, 'emails.malformed')).toMatchObject({ count: 2, of: 2, fixable: 1 })
    expect(finding(findings, 'phones.malformed')).toMatchObject({ count: 1, of: 2, fixable: 0 })
    expect(finding(findings, 'unmapped Shoe')).toMatchObject({ count: 1, of: 2 })
    expect(out).not.toContain('@example')
    const shown = await folder.kith('audit', '--json', '--values', '--connection', 'crm', '--read', '0')
    const valued = (JSON.parse(shown.out) as { findings: Finding[] }).findings
    expect(finding(valued, 'emails.malformed')?.samples.map(({ values }) => values)).toEqual(
      expect.arrayContaining([['bob@@example']]),
    )
    expect(valued.every(({ connection }) => connection !== 'sheet')).toBe(true)
  })

  test('as a table for people, and as CSV for a spreadsheet', async () => {
    const { out } = await folder.kith('audit')
    expect(out).toContain('emails.malformed')
    expect(out).toContain('See what can be repaired: kith audit --fix')
    const csv = await folder.kith('audit', '--csv')
    const table = parse(csv.out, { columns: true }) as { [column: string]: string }[]
    expect(table.find(({ rule, connection }) => rule === 'phones.malformed' && connection === 'sheet')).toMatchObject({
      count: '1',
      of: '2',
    })
  })

  test('stale is who was not changed for so long in any app', async () => {
    const { out } = await folder.kith('audit', '--json', '--stale-months', '1')
    expect(finding((JSON.parse(out) as { findings: Finding[] }).findings, 'people.stale', null)).toBeUndefined()
  })

  test('what it can repair is shown, held until it is let go, and is one act', async () => {
    const preview = await folder.kith('audit', '--fix', 'emails.malformed')
    expect(preview).toMatchObject({ code: 2, out: expect.stringContaining('Nothing was done. Do it with: --yes') })
    expect(preview.out).toContain('Ada <ada@example.org> → ada@example.org')
    expect(row('crm.csv', 'Lovelace')?.['E-mail']).toBe('Ada <ada@example.org>')

    const done = await folder.kith('audit', '--fix', 'emails.malformed', '--yes', '--why', 'spring', '--json')
    expect(done.code).toBe(2)
    expect(JSON.parse(done.out)).toMatchObject({ people: 1, values: 1, held: 2 })
    // Not even a sync sends it before somebody said so.
    expect((await folder.kith('sync')).code).toBe(2)
    expect(row('crm.csv', 'Lovelace')?.['E-mail']).toBe('Ada <ada@example.org>')
    expect((await folder.kith('health', 'crm')).out).toContain('brake: repairs of kith audit')
    expect((await folder.kith('approve', '--brakes')).code).toBe(0)
    expect(row('crm.csv', 'Lovelace')?.['E-mail']).toBe('ada@example.org')
    expect(row('sheet.csv', 'Lovelace')?.['E-mail']).toBe('ada@example.org')
    expect((await folder.kith('audit', '--fix', 'emails.malformed')).out).toContain('Nothing to repair.')
  })

  test('a rule that is none is told, with those there are', async () => {
    const { code, err } = await folder.kith('audit', '--fix', 'emails.malfromed', '--yes')
    expect(code).toBe(1)
    expect(err).toContain('there is no rule named emails.malfromed that has a repair')
    expect(err).toContain('There are: emails.malformed, birthday.malformed.')
    expect(await folder.kith('audit', '--fix', '--connection', 'crm')).toMatchObject({
      code: 1,
      err: expect.stringContaining('--fix is about people'),
    })
    expect((await folder.kith('audit', '--connection', 'cmr')).err).toContain('there is no connection named cmr')
  })
})

describe('a data standard', () => {
  test('repairs, warns and holds at the door, and says so in status, why and health', async () => {
    folder.write(
      'kith.yaml',
      `${CONNECTIONS}standard:
  phones: { format: e164, do: fix }
  name.given: { case: title, do: fix }
  title: { allowed: [Countess, Mason], do: fix, else: hold }
  note: { length: 5 }
  emails: { required: true, do: hold, in: [sheet] }
`,
    )
    expect((await folder.kith('sync')).code).toBe(0)
    // Spelling is the app's as long as both say the same; now the standard asks for its own.
    expect(row('crm.csv', 'Lovelace')).toMatchObject({ Phone: '+4930901820', 'First Name': 'ADA' })
    const fixed = await folder.kith('audit', '--fix', '--yes')
    expect(fixed.out).toContain('ADA → Ada')
    expect((await folder.kith('approve', '--brakes')).code).toBe(0)
    expect(row('crm.csv', 'Lovelace')).toMatchObject({ 'First Name': 'Ada', 'Job Title': 'Countess' })

    edit('crm.csv', 'Mason', 'King')
    edit('crm.csv', 'Countess', 'COUNTESS')
    folder.write('sheet.csv', `${readFileSync(join(folder.path, 'sheet.csv'), 'utf8')}Eve,Nomail,,030 901821,,\n`)
    expect((await folder.kith('sync')).code).toBe(2)
    expect(row('crm.csv', 'Lovelace')?.['Job Title']).toBe('Countess')
    expect(row('sheet.csv', 'Stone')?.['Job Title']).toBe('Mason')
    expect(row('crm.csv', 'Stone')?.['Job Title']).toBe('King')
    expect(row('crm.csv', 'Nomail')).toBeUndefined()
    expect(row('sheet.csv', 'Nomail')?.['Phone']).toBe('+4930901821')

    const status = await folder.kith('status')
    expect(status.out).toContain('crm: 1 create held; standard: E-mail is missing')
    expect(status.out).toContain('held 1: kith review')
    expect(status.out).toMatch(/Records: \d+ in-sync, 2 held\. Why: kith health/)
    const why = await folder.kith('why', 'bob')
    expect(why.out).toContain('King from crm')
    expect(why.out).toContain('held by the standard; title.allowed: it is not one of Countess, Mason')
    expect(why.out).toContain('crm  held: standard: Job title held as it was said there  kith review')
    expect((await folder.kith('why', 'ada', 'title')).out).toContain('COUNTESS from crm')
    const health = await folder.kith('health', 'crm', '--json')
    const causes = (JSON.parse(health.out) as { records: { cause: string }[] }).records.map(({ cause }) => cause)
    expect(causes.toSorted()).toEqual(['agrees', 'standard', 'standard'])
    expect((await folder.kith('health', 'crm', '--state', 'healthy')).err).toContain(
      '"healthy" is no state of a record',
    )
  })

  test('lets go what an operator lets go: the value with kith review, the person with kith review or approve', async () => {
    const listed = await folder.kith('review', '--list', '--json')
    const items = (JSON.parse(listed.out) as { items: { id: string; kind: string; cause: string }[] }).items
    const value = items.find(({ kind }) => kind === 'conflict')
    const person = items.find(({ kind }) => kind === 'incomplete')
    expect(value?.cause).toContain('the standard holds such values')
    expect((await folder.kith('review', value?.id ?? '', '--choose', 'theirs', '--why', 'a king', '--yes')).code).toBe(
      0,
    )
    expect((await folder.kith('review', person?.id ?? '', '--choose', 'approve', '--why', 'ok', '--yes')).code).toBe(0)
    expect((await folder.kith('sync')).code).toBe(0)
    expect(row('sheet.csv', 'Stone')?.['Job Title']).toBe('King')
    expect(row('crm.csv', 'Nomail')?.['Phone']).toBe('+4930901821')
    // And then there is peace.
    const again = await folder.kith('sync', '--json')
    expect(again.code).toBe(0)
    const { connections } = JSON.parse(again.out) as { connections: { [name: string]: { [what: string]: number } } }
    for (const counts of Object.values(connections))
      expect(counts).toMatchObject({ created: 0, updated: 0, deleted: 0 })
    const overview = await folder.kith('health', '--json')
    expect(JSON.parse(overview.out)).toMatchObject({
      connections: { crm: { states: { 'in-sync': 3, held: 0 } }, sheet: { states: { 'in-sync': 3, held: 0 } } },
    })
  })

  test('with a mistake is told by kith check, with its place', async () => {
    folder.write('kith.yaml', `${CONNECTIONS}standard:\n  phones: { format: e146 }\n`)
    const { code, err } = await folder.kith('check')
    expect(code).toBe(1)
    expect(err).toContain('kith.yaml:7:21: "standard.phones.format" must be e164')
    expect(err).toContain('Did you mean "e164"?')
  })
})
