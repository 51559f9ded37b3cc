import { mkdir, readdir, readFile, rename, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'csv-parse/sync'
import { stringify } from 'csv-stringify/sync'
import { startCardDavSimulator, type CardDavSimulator } from '../../../connectors/carddav/simulator.ts'
import { Mirror } from './mirror.ts'
import { peopleOf, type Contact } from './people.ts'

const DAY_MS = 86_400_000
export const USERNAME = 'ada'
export const PASSWORD = 'lovelace'

/** A phone's export sometimes ends in the middle of a card. */
const BROKEN_CARD = 'IMG_0419.vcf'

/** The three places of the demo: a sheet, a folder of vCards, and a CardDAV server that runs as long as the demo. */
export interface Places {
  readonly dir: string
  readonly config: string
  readonly sheet: string
  readonly phone: string
  /** Where the server keeps its cards, so that they can be read and edited like the rest. */
  readonly office: string
  readonly server: CardDavSimulator
  readonly mirror: Mirror
}

/** Fills an empty folder with the sample data and the config, and starts the address book's server. */
export async function makePlaces(dir: string): Promise<Places> {
  const places = {
    dir,
    config: join(dir, 'kith.yaml'),
    sheet: join(dir, 'contacts.csv'),
    phone: join(dir, 'phone'),
    office: join(dir, 'office'),
  }
  const now_ms = Date.now()
  await Promise.all([mkdir(places.phone), mkdir(places.office)])
  await makeSheet(places.sheet, now_ms)
  await makePhone(places.phone, now_ms)
  let cardTime_ms: number | null = now_ms
  const server = await startCardDavSimulator({
    username: USERNAME,
    password: PASSWORD,
    books: [{ name: 'Office', path: 'office' }],
    now: () => cardTime_ms ?? Date.now(),
  })
  try {
    for (const [index, contact] of peopleOf('office').entries()) {
      cardTime_ms = now_ms - (6 + ((index * 37) % 290)) * DAY_MS
      server.put(fileName(contact), cardOf(contact, '4.0', `office-${index + 1}`))
    }
    cardTime_ms = null
    await writeFile(join(dir, 'office-password'), `${PASSWORD}\n`, { mode: 0o600 })
    await writeFile(places.config, configFor(server.url))
    const mirror = await Mirror.start(server, places.office)
    return { ...places, server, mirror }
  } catch (error) {
    await server.close()
    throw error
  }
}

export async function closePlaces(places: Places): Promise<void> {
  await places.mirror.stop()
  await places.server.close()
}

function configFor(url: string): string {
  return `# Three places that hold the same people. All that is not said here has a default.
connections:
  sheet: { app: csv, path: ./contacts.csv }
  phone: { app: vdir, path: ./phone }
  office:
    app: carddav
    url: ${url}
    username: ${USERNAME}
    password: file:./office-password
    poll: 1s

region: GB # 07700 900118 is +44 7700 900118
`
}

const COLUMNS: readonly (readonly [header: string, value: (contact: Contact) => string | undefined])[] = [
  ['First Name', ({ given }) => given],
  ['Last Name', ({ family }) => family],
  ['Company', ({ company }) => company],
  ['Job Title', ({ title }) => title],
  ['E-mail', ({ emails }) => emails?.[0]],
  ['E-mail 2', ({ emails }) => emails?.[1]],
  ['Mobile Phone', ({ mobile }) => mobile],
  ['Work Phone', ({ work }) => work],
  ['Home Phone', ({ home }) => home],
  ['Street', ({ address }) => address?.street],
  ['City', ({ address }) => address?.city],
  ['Postcode', ({ address }) => address?.postcode],
  ['Country', ({ address }) => address?.country],
  ['Birthday', ({ birthday }) => birthday],
  ['Notes', ({ note }) => note],
]

async function makeSheet(path: string, now_ms: number): Promise<void> {
  const rows = peopleOf('sheet').map((contact) => COLUMNS.map(([, value]) => quoted(value(contact) ?? '')).join(','))
  await writeFile(path, [COLUMNS.map(([header]) => header).join(','), ...rows, ''].join('\r\n'))
  await changedAt(path, now_ms - 120 * DAY_MS)
}

function quoted(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

async function makePhone(folder: string, now_ms: number): Promise<void> {
  const cards = peopleOf('phone').map((contact, index) => ({
    file: fileName(contact),
    text: cardOf(contact, '3.0', `phone-${index + 1}`),
  }))
  cards.push({
    file: 't-weber.vcf',
    text: cardOf({ given: 'T.', family: 'Weber', home: '+49 30 23125 014' }, '3.0', 'phone-90'),
  })
  const broken = cardOf({ given: 'Ferdinand', family: 'Roe', mobile: '07700 900777' }, '3.0', 'phone-91')
  cards.push({ file: BROKEN_CARD, text: broken.slice(0, broken.indexOf('TEL') + 7) })
  await Promise.all(
    cards.map(async ({ file, text }, index) => {
      await writeFile(join(folder, file), text)
      await changedAt(join(folder, file), now_ms - (2 + ((index * 29) % 360)) * DAY_MS)
    }),
  )
}

async function changedAt(path: string, time_ms: number): Promise<void> {
  await utimes(path, time_ms / 1000, time_ms / 1000)
}

function fileName({ given, family, emails }: Contact): string {
  const latin = (text: string): string =>
    text
      .normalize('NFD')
      .replace(/[^\p{ASCII}]/gu, '')
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, '-')
      .replace(/^-|-$/g, '')
  const own = latin([given, family].filter(Boolean).join(' '))
  return `${own.length > 2 ? own : latin(emails?.[0]?.split('@')[0] ?? 'card')}.vcf`
}

export function cardOf(contact: Contact, version: '3.0' | '4.0', uid: string): string {
  const { given = '', family = '', company, title, emails, mobile, work, home, address, birthday, note } = contact
  const text = (value: string): string => value.replace(/[\\;,]/g, '\\$&').replaceAll('\n', '\\n')
  const type = (word: string): string => (version === '3.0' ? word.toUpperCase() : word)
  const line = (name: string, value: string | undefined): string[] => (value === undefined ? [] : [`${name}:${value}`])
  const lines = [
    'BEGIN:VCARD',
    `VERSION:${version}`,
    `UID:${uid}`,
    `FN:${text([given, family].filter(Boolean).join(' '))}`,
    `N:${text(family)};${text(given)};;;`,
    ...line('ORG', company && text(company)),
    ...line('TITLE', title && text(title)),
    ...(emails ?? []).map((email) => `EMAIL:${email}`),
    ...line(`TEL;TYPE=${type('cell')}`, mobile),
    ...line(`TEL;TYPE=${type('work')}`, work),
    ...line(`TEL;TYPE=${type('home')}`, home),
    ...(address
      ? [`ADR:;;${[address.street, address.city, '', address.postcode, address.country].map(text).join(';')}`]
      : []),
    ...line('BDAY', version === '4.0' ? birthday?.replaceAll('-', '') : birthday),
    ...line('NOTE', note && text(note)),
    ...(contact.unmapped ?? []),
    'END:VCARD',
    '',
  ]
  return lines.join('\r\n')
}

/** Edits one cell of the sheet as a spreadsheet program does: the whole file is written anew. */
export async function editSheet(places: Places, email: string, column: string, value: string): Promise<void> {
  const rows = parse(await readFile(places.sheet, 'utf8'), { bom: true })
  const index = rows[0]?.indexOf(column) ?? -1
  const row = rows.find((cells) => cells.includes(email))
  if (!row || index < 0) throw notThere()
  row[index] = value
  await save(places.sheet, stringify(rows, { record_delimiter: 'windows' }))
}

export async function listCards(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => name.endsWith('.vcf'))
}

/** Edits the phone's card that holds `who`. */
export async function editPhoneCard(places: Places, who: string, edit: (card: string) => string): Promise<void> {
  for (const name of await listCards(places.phone)) {
    const file = join(places.phone, name)
    const card = await readFile(file, 'utf8')
    if (card.includes(who)) return save(file, changed(card, edit))
  }
  throw notThere()
}

/** Edits the address book's card that holds `who`, as another program of the office would. */
export function editOfficeCard(places: Places, who: string, edit: (card: string) => string): void {
  const found = [...places.server.cards].find(([, { text }]) => text.includes(who))
  places.server.put(found?.[0] ?? '', changed(found?.[1].text, edit))
}

/** Sets a line of a vCard; adds it where there is none. */
export function setLine(card: string, name: string, value: string): string {
  const line = new RegExp(`^${name}[:;].*$`, 'm')
  return line.test(card)
    ? card.replace(line, `${name}:${value}`)
    : card.replace('END:VCARD', `${name}:${value}\r\nEND:VCARD`)
}

function changed(before: string | undefined, edit: (text: string) => string): string {
  const after = before === undefined ? undefined : edit(before)
  if (after === undefined || after === before) throw notThere()
  return after
}

function notThere(): Error {
  return new Error('the demo cannot find what it wants to edit: was it edited by someone else meanwhile?')
}

/** As editors save: a new file in the place of the old one. */
async function save(path: string, text: string): Promise<void> {
  await writeFile(`${path}.saving`, text)
  await rename(`${path}.saving`, path)
}
