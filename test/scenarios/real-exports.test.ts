import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { parse } from 'csv-parse/sync'
import { stringify } from 'csv-stringify/sync'
import { digitsOf, nameOf, readVcard, type Contact } from '../support/contacts.ts'
import { TestHousehold } from '../support/household.ts'
import { Book, Folder, type Place } from '../support/places.ts'
import { hasRadicale, startRadicale } from '../support/radicale.ts'
import { NO_BRAKES } from '../support/three-places.ts'

const DATA = new URL('../../../shared/data/vcards/', import.meta.url).pathname
const there = existsSync(DATA)
const suite = there ? describe : describe.skip
const note = there ? '' : ' (skipped: ../shared/data/vcards is not there)'

/** The properties that Kith maps; all others are none of its business, in whatever group and with whatever parameters. */
const MAPPED = new Set('N FN NICKNAME ORG TITLE BDAY NOTE EMAIL TEL ADR URL CATEGORIES'.split(' '))
/** What Kith may say of its own writing. */
const OURS = new Set(['REV', 'PRODID'])

const NAMES = ['First Name', 'Last Name', 'Name', 'Company', 'Job Title', 'Birthday', 'Notes', 'Street', 'City', 'Tags']
const EMAILS = ['E-mail', 'E-mail 2', 'E-mail 3', 'E-mail 4']
const PHONES = ['Phone', 'Phone 2', 'Phone 3', 'Phone 4']

/** The cards of all exports, each a text of its own; one character for each byte, so that nothing is decoded on the way. */
function exported(): Map<string, string> {
  const files = readdirSync(DATA).filter((name) => name.endsWith('.vcf'))
  const cards = files.sort().flatMap((name) => {
    const text = readFileSync(join(DATA, name), 'latin1')
    return text.match(/BEGIN:VCARD[\s\S]*?END:VCARD[^\S\n]*(?:\r?\n|$)/gi) ?? []
  })
  return new Map(cards.map((text, index) => [`card-${String(index).padStart(2, '0')}.vcf`, text]))
}

/** The lines of a card, byte for byte and with their continuations, that Kith has no business with. */
function unmapped(text: string): string[] {
  const lines = text.match(/^[^ \t\r\n][^\n]*\n?(?:[ \t][^\n]*\n?)*/gm) ?? []
  return lines.filter((line) => !MAPPED.has(nameOf(line)) && !OURS.has(nameOf(line)))
}

/** The address book of a test, on whichever server. */
interface Server {
  readonly place: Pick<Place, 'name' | 'config'>
  texts(): Promise<string[]>
  close(): Promise<void>
}

async function simulated(): Promise<Server> {
  const place = await Book.open('office')
  return {
    place,
    texts: () => Promise.resolve([...place.server.cards.values()].map(({ text }) => text)),
    close: () => place.server.close(),
  }
}

async function real(): Promise<Server> {
  const radicale = await startRadicale()
  const url = radicale.addBook('Contacts')
  const { username, password } = radicale
  const headers = { Authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`, Depth: '1' }
  return {
    place: { name: 'office', config: { app: 'carddav', url, username, password: '${OFFICE_PASSWORD}' } },
    texts: async () => {
      const listing = await (await fetch(url, { method: 'PROPFIND', headers })).text()
      const hrefs = [...listing.matchAll(/<href>([^<]*\.vcf)<\/href>/g)].map((match) => match[1] as string)
      return Promise.all(hrefs.map(async (href) => (await fetch(new URL(href, url), { headers })).text()))
    },
    close: () => radicale.close(),
  }
}

function rowsOf(path: string): { [column: string]: string }[] {
  return parse(readFileSync(path), { bom: true, columns: true }) as { [column: string]: string }[]
}

const what = 'real exports of phones and programs go from a folder to CardDAV to a sheet, and back'

suite(`${what}, over the CardDAV simulator${note}`, () => {
  test('nothing is lost, and what Kith does not map stays byte for byte', async () => {
    expect(await thereAndBack(simulated)).toBeGreaterThan(8)
  }, 60_000)
})

const suiteWithRadicale = there && hasRadicale ? describe : describe.skip
const noRadicale = hasRadicale ? note : ' (skipped: the program radicale is not installed)'

suiteWithRadicale(`${what}, over a real Radicale${noRadicale}`, () => {
  test('nothing is lost, and what Kith does not map stays byte for byte', async () => {
    expect(await thereAndBack(real)).toBeGreaterThan(8)
  }, 60_000)
})

function plain(text: string): string {
  return text.replaceAll('\r\n', '\n').trim()
}

/** What cards say of those who have an address, in one order; a number that stands there twice is one number. */
function said(cards: readonly Contact[]): string[] {
  return cards
    .filter(({ emails }) => emails.length > 0)
    .map(({ given, family, organisation, title, emails, phones, note }) =>
      JSON.stringify([
        given,
        family,
        organisation,
        title,
        plain(note),
        emails.toSorted(),
        [...new Set(phones.map(digitsOf))].sort(),
      ]),
    )
    .sort()
}

/** @returns how many cards went there and back */
async function thereAndBack(open: () => Promise<Server>): Promise<number> {
  const dir = TestHousehold.folder()
  const phone = new Folder('phone', join(dir, 'phone'))
  const originals = exported()
  expect(originals.size).toBeGreaterThan(8)
  for (const [name, text] of originals) writeFileSync(join(phone.path, name), text, 'latin1')
  const bytes = (name: string): string => readFileSync(join(phone.path, name), 'latin1')
  const path = join(dir, 'contacts.csv')
  const sheet = { name: 'sheet', config: { app: 'csv', path, columns: [...NAMES, ...EMAILS, ...PHONES] } }
  const server = await open()
  const places = [phone, server.place, sheet] as unknown as Place[]
  const home = await TestHousehold.make(dir, places, { brakes: NO_BRAKES, region: 'US' })
  try {
    await home.syncApproved()
    const { store } = await home.open()
    const linked: string[] = []
    const waiting: string[] = []
    for await (const { recordId } of store.links({ connection: 'phone', state: 'linked' })) linked.push(recordId)
    for await (const { recordId } of store.links({ connection: 'phone', state: 'ambiguous' })) waiting.push(recordId)
    // Whoever is not linked waits for an operator, by name; nobody is dropped, nobody unreadable.
    expect([...linked, ...waiting].sort()).toEqual([...originals.keys()])
    expect(linked.length).toBeGreaterThan(waiting.length)
    const counts = await store.counts()
    for (const name of ['phone', 'office', 'sheet'])
      expect({ name, ...counts.get(name) }).toMatchObject({
        name,
        linked: linked.length,
        parked: 0,
        held: 0,
        broken: 0,
      })

    // There: the server's card and the sheet's row say what the file says.
    const copies = (await server.texts()).map(readVcard)
    const rows = rowsOf(path)
    expect([copies.length, rows.length]).toEqual([linked.length, linked.length])
    const files = linked.map((id) => readVcard(readFileSync(join(phone.path, id), 'utf8')))
    expect(said(copies)).toEqual(said(files))
    for (const { emails, title, note } of files) {
      const [email] = emails
      if (email === undefined) continue
      const same = rows.filter((row) => EMAILS.some((column) => row[column] === email))
      expect(same.map((row) => [row['Job Title'], plain(row['Notes'] ?? '')])).toContainEqual([title, plain(note)])
    }
    for (const id of originals.keys()) expect({ id, text: bytes(id) }).toEqual({ id, text: originals.get(id) })

    // And back: edits in the sheet reach the files, and nothing else in the files moves.
    const edited = rows.map((row, index) => ({ ...row, 'Job Title': `Title ${index}` }))
    writeFileSync(
      path,
      stringify(edited, { header: true, bom: true, record_delimiter: 'windows', quoted_string: true }),
    )
    await home.sync()
    const titles = linked.map((id) => readVcard(readFileSync(join(phone.path, id), 'utf8')).title)
    expect(titles.sort()).toEqual(edited.map((row) => row['Job Title']).sort())
    const onServer = (await server.texts()).map((text) => readVcard(text).title)
    expect(onServer.sort()).toEqual(titles)
    for (const id of linked)
      expect({ id, lines: unmapped(bytes(id)) }).toEqual({ id, lines: unmapped(originals.get(id) as string) })
    for (const id of waiting) expect({ id, text: bytes(id) }).toEqual({ id, text: originals.get(id) })
    expect(await home.plan()).toEqual([])
    return linked.length
  } finally {
    await home.close()
    await server.close()
  }
}
