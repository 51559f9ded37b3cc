import { randomUUID } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { parse } from 'csv-parse/sync'
import { stringify } from 'csv-stringify/sync'
import { startCardDavSimulator, type CardDavSimulator } from '../../connectors/carddav/simulator.ts'
import { MemoryApp } from '../../connectors/memory/app.ts'
import { memoryApps } from '../../connectors/memory/index.ts'
import type { Quirks } from '../../connectors/memory/quirks.ts'
import { readVcard, SCALARS, setInVcard, vcardOf, type Contact, type ScalarField } from './contacts.ts'

/**
 * A place where humans keep contacts, seen with their eyes: what stands there, and edits as people make them. None of it goes
 * through Kith's own readers.
 */
export interface Place {
  readonly name: string
  /** Its entry in kith.yaml. */
  readonly config: { readonly [option: string]: unknown }
  /** Every record there, by the place's own id for it. */
  all(): Map<string, Contact>
  add(who: Contact): void
  edit(id: string, field: ScalarField, value: string): void
  remove(id: string): void
  /** Every record's raw content and state on disk: it differs exactly where something was written, by whomever. */
  stamps(): Map<string, string>
}

/** The id of the one record that has this address. @throws where there is none, or more than one */
export function idOf(place: Place, email: string): string {
  const found = [...place.all()].filter(([, who]) => who.emails.some((address) => address.toLowerCase() === email))
  if (found.length !== 1) throw new Error(`${place.name} has ${found.length} records of ${email}`)
  return found[0]?.[0] as string
}

/** How many records were written, added or removed between two looks. */
export function written(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): number {
  const names = new Set([...before.keys(), ...after.keys()])
  return [...names].filter((name) => before.get(name) !== after.get(name)).length
}

export const HEADER = [
  'First Name',
  'Last Name',
  'Company',
  'Job Title',
  'Birthday',
  'Notes',
  'E-mail',
  'E-mail 2',
  'Phone',
  'Phone 2',
  'Shoe Size',
] as const

const COLUMNS: { readonly [field in ScalarField]: (typeof HEADER)[number] } = {
  given: 'First Name',
  family: 'Last Name',
  organisation: 'Company',
  title: 'Job Title',
  birthday: 'Birthday',
  note: 'Notes',
}

interface Row {
  [column: string]: string
}

/** A CSV sheet. Its ids are Kith's keys where a row has one, else the number of the row. */
export class Sheet implements Place {
  readonly name: string
  readonly path: string
  readonly config: Place['config']

  constructor(name: string, path: string, people: readonly Contact[] = []) {
    this.name = name
    this.path = path
    this.config = { app: 'csv', path }
    const rows = people.map((who, index) => ({ ...rowOf(who), 'Shoe Size': String(36 + (index % 12)) }))
    writeFileSync(
      path,
      stringify(rows, { header: true, columns: [...HEADER], record_delimiter: 'windows', quoted_string: true }),
    )
  }

  all(): Map<string, Contact> {
    return new Map(
      this.rows().map((row, index) => {
        const text = (column: string): string => row[column] ?? ''
        const filled = (...columns: string[]): string[] => columns.map(text).filter((value) => value !== '')
        const who: Contact = {
          given: text('First Name'),
          family: text('Last Name'),
          organisation: text('Company'),
          title: text('Job Title'),
          birthday: text('Birthday'),
          note: text('Notes').replaceAll('\r\n', '\n'),
          emails: filled('E-mail', 'E-mail 2'),
          phones: filled('Phone', 'Phone 2'),
        }
        return [idOfRow(row, index), who]
      }),
    )
  }

  rows(): Row[] {
    return parse(readFileSync(this.path), { bom: true, columns: true }) as Row[]
  }

  add(who: Contact): void {
    this.change((rows) => rows.push({ ...rowOf(who), 'Shoe Size': '40' }))
  }

  edit(id: string, field: ScalarField, value: string): void {
    this.change((rows) => {
      const row = rows.find((item, index) => idOfRow(item, index) === id)
      if (!row) throw new Error(`the sheet has no row ${id}`)
      row[COLUMNS[field]] = value
    })
  }

  remove(id: string): void {
    this.change((rows) => {
      const at = rows.findIndex((item, index) => idOfRow(item, index) === id)
      if (at < 0) throw new Error(`the sheet has no row ${id}`)
      rows.splice(at, 1)
    })
  }

  stamps(): Map<string, string> {
    const { ino, mtimeNs } = statSync(this.path, { bigint: true })
    const rows = this.rows().map((row, index) => [idOfRow(row, index), JSON.stringify(row)] as const)
    return new Map([...rows, ['the file itself', `${ino} ${mtimeNs}`]])
  }

  /** As an editor saves; made over from the start where the file was saved by another in between. */
  change(edit: (rows: Row[]) => void): void {
    for (;;) {
      const state = stateOf(this.path)
      const header = (parse(readFileSync(this.path), { bom: true, to: 1 }) as string[][])[0] ?? []
      const rows = this.rows()
      edit(rows)
      const text = stringify(rows, { header: true, columns: header, record_delimiter: 'windows', quoted_string: true })
      if (replace(this.path, text, state)) return
    }
  }
}

/** A folder of vCards; a record's id is its file's name. */
export class Folder implements Place {
  readonly name: string
  readonly path: string
  readonly config: Place['config']

  constructor(name: string, path: string, people: readonly Contact[] = []) {
    this.name = name
    this.path = path
    this.config = { app: 'vdir', path }
    mkdirSync(path, { recursive: true })
    for (const [index, who] of people.entries()) {
      const file = `c${String(index).padStart(4, '0')}`
      writeFileSync(join(path, `${file}.vcf`), vcardOf(who, `${name}-${file}`))
    }
  }

  all(): Map<string, Contact> {
    return new Map([...this.texts()].map(([name, text]) => [name, readVcard(text)]))
  }

  texts(): Map<string, string> {
    const names = readdirSync(this.path).filter((name) => name.endsWith('.vcf') && !name.startsWith('.'))
    return new Map(names.sort().map((name) => [name, readFileSync(join(this.path, name), 'utf8')]))
  }

  add(who: Contact): void {
    const id = randomUUID()
    replace(join(this.path, `${id}.vcf`), vcardOf(who, id), undefined)
  }

  edit(id: string, field: ScalarField, value: string): void {
    this.change(id, (text) => setInVcard(text, field, value))
  }

  change(id: string, edit: (text: string) => string): void {
    const path = join(this.path, id)
    for (;;) {
      const state = stateOf(path)
      if (replace(path, edit(readFileSync(path, 'utf8')), state)) return
    }
  }

  remove(id: string): void {
    unlinkSync(join(this.path, id))
  }

  stamps(): Map<string, string> {
    const names = [...this.texts().keys()]
    return new Map(names.map((name) => [name, stateOf(join(this.path, name)) ?? 'gone']))
  }
}

export const USERNAME = 'ada'
export const PASSWORD = 'Enchantress of Numbers'

/** An address book on a CardDAV server in this process; a record's id is the card's name. */
export class Book implements Place {
  readonly name: string
  readonly server: CardDavSimulator

  static async open(name: string, people: readonly Contact[] = []): Promise<Book> {
    const cards = people.map((who, index) => {
      const id = `${name}-${String(index).padStart(4, '0')}`
      return [`${id}.vcf`, vcardOf(who, id)] as const
    })
    const books = [{ name: 'Contacts', cards: Object.fromEntries(cards) }]
    return new Book(name, await startCardDavSimulator({ username: USERNAME, password: PASSWORD, books }))
  }

  private constructor(name: string, server: CardDavSimulator) {
    this.name = name
    this.server = server
  }

  get config(): Place['config'] {
    return { app: 'carddav', url: this.server.url, username: USERNAME, password: '${OFFICE_PASSWORD}' }
  }

  all(): Map<string, Contact> {
    return new Map([...this.server.cards].map(([name, { text }]) => [name, readVcard(text)]))
  }

  add(who: Contact): void {
    const id = randomUUID()
    this.server.put(`${id}.vcf`, vcardOf(who, id))
  }

  edit(id: string, field: ScalarField, value: string): void {
    const card = this.server.cards.get(id)
    if (!card) throw new Error(`the book has no card ${id}`)
    this.server.put(id, setInVcard(card.text, field, value))
  }

  remove(id: string): void {
    this.server.remove(id)
  }

  stamps(): Map<string, string> {
    return new Map([...this.server.cards].map(([name, { etag }]) => [name, etag]))
  }

  /** Requests that change something, so far. */
  get writes(): number {
    return this.server.requests.filter(({ method }) => method === 'PUT' || method === 'DELETE').length
  }
}

/** A product in this process, for what files and servers cannot do: field times, archives. A record's id is the app's. */
export class Crm implements Place {
  readonly name: string
  readonly app: MemoryApp
  readonly config: Place['config']

  constructor(name: string, people: readonly Contact[] = [], quirks: Partial<Quirks> = {}) {
    this.name = name
    this.app = new MemoryApp({ name: `${name}-${randomUUID()}`, now: Date.now, quirks })
    memoryApps.set(this.app.name, this.app)
    this.config = { app: 'memory', name: this.app.name }
    for (const who of people) this.add(who)
  }

  all(): Map<string, Contact> {
    return new Map(
      [...this.app.all()].map(({ id, fields }) => {
        const text = (field: string): string => (typeof fields[field] === 'string' ? fields[field] : '')
        const list = (field: string): string[] =>
          ((fields[field] ?? []) as { value: string }[]).map(({ value }) => value)
        const { given, family, organisation, title, birthday, note } = Object.fromEntries(
          SCALARS.map((field) => [field, text(field)]),
        ) as { [field in ScalarField]: string }
        const who = { given, family, organisation, title, birthday, note }
        return [id, { ...who, emails: list('emails'), phones: list('phones') }]
      }),
    )
  }

  add(who: Contact): void {
    const scalars = SCALARS.map((field) => [field, who[field] || null])
    const set = (values: readonly string[]): { value: string }[] => values.map((value) => ({ value }))
    this.app.add({ ...Object.fromEntries(scalars), emails: set(who.emails), phones: set(who.phones) })
  }

  edit(id: string, field: ScalarField, value: string): void {
    this.app.edit(id, { [field]: value || null })
  }

  remove(id: string): void {
    this.app.remove(id)
  }

  stamps(): Map<string, string> {
    return new Map([...this.app.all()].map(({ id, rev, fields }) => [id, `${rev} ${JSON.stringify(fields)}`]))
  }

  close(): void {
    memoryApps.delete(this.app.name)
  }
}

function rowOf(who: Contact): Row {
  const scalars = Object.entries(COLUMNS).map(([field, column]) => [column, who[field as ScalarField]])
  const [email = '', email2 = ''] = who.emails
  const [phone = '', phone2 = ''] = who.phones
  return { ...Object.fromEntries(scalars), 'E-mail': email, 'E-mail 2': email2, Phone: phone, 'Phone 2': phone2 }
}

function idOfRow(row: Row, index: number): string {
  return row['Kith ID'] || `row ${index + 1}`
}

function stateOf(path: string): string | undefined {
  const stats = statSync(path, { bigint: true, throwIfNoEntry: false })
  return stats && `${stats.ino} ${stats.mtimeNs} ${stats.size}`
}

/** Saves as editors do, unless the file was saved by another since it was read. Nothing else runs in between. */
function replace(path: string, text: string, state: string | undefined): boolean {
  const saving = `${path}.${randomUUID()}.saving`
  writeFileSync(saving, text)
  if (existsSync(path) && stateOf(path) !== state) {
    rmSync(saving)
    return false
  }
  renameSync(saving, path)
  return true
}
