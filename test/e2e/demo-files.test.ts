import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { parse } from 'csv-parse/sync'
import { PEOPLE } from '../../cli/demo/files/people.ts'
import type { Summary } from '../../cli/demo/files/run.ts'
import { databaseState, Demos, portIsClosed, until, type Run } from '../support/demo-run.ts'

let demos: Demos
let folder: string

beforeAll(async () => {
  demos = await Demos.open()
  folder = demos.folder
})

afterEach(() => demos.killAll())

afterAll(() => demos.remove())

const kith = (...args: string[]): Run => demos.start('--files', ...args)

interface Row {
  readonly [column: string]: string
}

async function rowsOf(file: string): Promise<Row[]> {
  return parse(await readFile(file, 'utf8'), { bom: true, columns: true }) as Row[]
}

async function cardsIn(path: string): Promise<string[]> {
  const names = (await readdir(path)).filter((name) => name.endsWith('.vcf'))
  return Promise.all(names.map((name) => readFile(join(path, name), 'utf8')))
}

function valueIn(card: string, property: string): string | undefined {
  return new RegExp(`^${property}[^:\r\n]*:(.*?)\r?$`, 'm').exec(card)?.[1]
}

/** `Family, Given` of a card. */
function nameIn(card: string): string {
  const [family = '', given = ''] = (valueIn(card, 'N') ?? '').split(';')
  return `${family}, ${given}`
}

const nameOfRow = (row: Row): string => `${row['Last Name']}, ${row['First Name']}`

function cardOf(cards: readonly string[], name: string): string {
  const found = cards.filter((card) => nameIn(card) === name)
  expect(found).toHaveLength(1)
  return found[0] as string
}

describe('kith demo --files', () => {
  test('brings a sheet, a phone and an address book to agreement, and every edit to the others', async () => {
    const dir = join(folder, 'whole')
    const run = kith('--json', '--dir', dir)
    expect(await run.ended).toBe(0)
    const summary = JSON.parse(run.stdout) as Summary
    const rows = await rowsOf(summary.files.sheet)
    const office = await cardsIn(summary.files.office)
    const phone = await cardsIn(summary.files.phone)

    // Everyone is there once: the two brothers that one card may be are not made anew on the phone.
    const names = rows.map(nameOfRow).sort()
    expect(names).toHaveLength(PEOPLE.length + 1)
    expect(new Set(names).size).toBe(names.length)
    expect(office.map(nameIn).sort()).toEqual(names)
    const undecided = ['Weber, Thomas', 'Weber, Tobias']
    const readable = phone.filter((card) => card.includes('END:VCARD')).map(nameIn)
    expect(readable.sort()).toEqual([...names.filter((name) => !undecided.includes(name)), 'Weber, T.'].sort())
    expect(phone).toHaveLength(readable.length + 1)
    expect(summary.agreement).toMatchObject({ agrees: true, people: names.length, everywhere: names.length - 2 })

    // One field after the other, read from the files.
    const same = (name: string, column: string, property: string): string => {
      const inSheet = rows.find((row) => nameOfRow(row) === name)?.[column]
      for (const cards of [phone, office]) expect(valueIn(cardOf(cards, name), property)).toBe(inSheet)
      return inSheet ?? ''
    }
    expect(same('Okonkwo, Marta', 'Job Title', 'TITLE')).toBe('Partner')
    expect(same('Okonkwo, Marta', 'Notes', 'NOTE')).toBe('Call after ten')
    expect(same('Ní Bhraonáin, Aoife', 'Job Title', 'TITLE')).toBe('Managing editor')
    expect(same('Pike, Jon', 'Mobile Phone', 'TEL;TYPE=CELL')).toBe('07700 900877')
    expect(same('Carvalho, Ines', 'Company', 'ORG')).toBe('Atelier Sul')
    expect(same('田中, 結衣', 'E-mail', 'EMAIL')).toBe('yui.tanaka@hoshi.example')
    expect(cardOf(phone, 'Okonkwo, Marta')).toContain('X-SOCIALPROFILE;TYPE=chat:marta.o')

    // The same field on two sides: the later one stands, the other is kept (I3).
    expect(same('Brandt, Zoë', 'Company', 'ORG')).toBe('Brandt und Söhne')
    const loser = { person: 'Zoë Brandt', field: 'organisation', value: 'Brandt Optik GmbH', from: 'office' }
    expect(summary.lost).toContainEqual(expect.objectContaining(loser))
    expect(summary.lost).toHaveLength(1)

    // Nothing runs any more, and nothing went wrong beneath.
    expect(await portIsClosed(summary.server.url)).toBe(true)
    expect(await databaseState(dir)).toBe('stopped')
    expect(await readdir(dir)).not.toContain('kith.log')

    // Told to people: no colours and no cursor movements outside a terminal, and not too wide.
    // oxlint-disable-next-line no-control-regex -- control characters are what must not be there
    expect(run.stderr).not.toMatch(/[\u001b\r]/)
    const wide = run.stderr.split('\n').filter((line) => line.length > 100)
    expect(wide.filter((line) => !line.includes(dir))).toEqual([])
  }, 90_000)

  test('with --watch, follows edits within two seconds and stops cleanly on Ctrl-C', async () => {
    const dir = join(folder, 'watched')
    const run = kith('--watch', '--dir', dir)
    await until(run, () => run.stdout.includes('Your turn'))
    const sheet = join(dir, 'contacts.csv')
    const told = run.stdout.length

    const card = join(dir, 'phone', 'ben-hartley.vcf')
    await writeFile(card, (await readFile(card, 'utf8')).replace('END:VCARD', 'NOTE:Left-handed\r\nEND:VCARD'))
    const fromPhone_ms = await until(run, async () => {
      const row = (await rowsOf(sheet)).find((each) => nameOfRow(each) === 'Hartley, Ben')
      return row?.['Notes'] === 'Left-handed'
    })
    expect(fromPhone_ms).toBeLessThan(2000)

    // The server's cards are files too; it is asked every second.
    const stored = join(dir, 'office', 'noah-steiner.vcf')
    await writeFile(stored, (await readFile(stored, 'utf8')).replace(/^TITLE.*$/m, 'TITLE:Welder\r'))
    const fromOffice_ms = await until(run, async () => {
      const row = (await rowsOf(sheet)).find((each) => nameOfRow(each) === 'Steiner, Noah')
      return row?.['Job Title'] === 'Welder'
    })
    expect(fromOffice_ms).toBeLessThan(4000)
    await until(run, () => /Left-handed/.test(run.stdout.slice(told)) && /Welder/.test(run.stdout.slice(told)))

    const server = /http:\/\/127\.0\.0\.1:\d+\/books\S*/.exec(run.stdout)?.[0] ?? ''
    run.child.kill('SIGINT')
    expect(await run.ended).toBe(0)
    expect(await portIsClosed(server)).toBe(true)
    expect(await databaseState(dir)).toBe('stopped')
  }, 90_000)

  test('stopped in the middle, it takes away what it made, its database included', async () => {
    const dir = join(folder, 'stopped')
    const run = kith('--dir', dir)
    await until(run, () => run.stdout.includes('kith approve'))
    run.child.kill('SIGINT')
    expect(await run.ended).toBe(130)
    expect(await readdir(folder)).not.toContain('stopped')
  }, 90_000)

  test('leaves a folder alone that is not empty', async () => {
    const dir = join(folder, 'full')
    await mkdir(dir)
    await writeFile(join(dir, 'contacts.csv'), 'mine\n')
    const run = kith('--dir', dir)
    expect(await run.ended).toBe(1)
    expect(run.stderr).toContain('not empty')
    expect(await readdir(dir)).toEqual(['contacts.csv'])
  })
})
