import type { JsonObject } from '../engine/core/json.ts'

/** Made-up people, always the same ones: person number `n` with a name, two addresses of mail, a number, a firm and a note. */

const GIVEN = ['Ada', 'Grace', 'Alan', 'Zoë', 'Linus', 'Margaret', 'Barbara', 'Edsger', 'Katherine', 'Łukasz', '美咲']
const FAMILY = ['Lovelace', 'Hopper', 'Turing', 'Müller', 'Hamilton', 'Liskov', 'Dijkstra', 'Johnson', 'Wójcik', '佐藤']
const FIRMS = ['Analytical Engines', 'Compilers & Sons', 'Bletchley Press', 'Apollo Guidance', 'Abstraction Ltd']
const TITLES = ['Analyst', 'Head of Sales', 'Engineer', 'Buyer', 'Chair', 'Partner']

interface Invented {
  readonly given: string
  readonly family: string
  readonly firm: string
  readonly title: string
  readonly mails: readonly [string, string]
  readonly phone: string
  readonly note: string
}

function invented(n: number): Invented {
  const pick = (list: readonly string[], step: number): string => list[Math.floor(n / step) % list.length] ?? ''
  return {
    given: pick(GIVEN, 1),
    // The number keeps names apart, so that nobody is taken for anybody else.
    family: `${pick(FAMILY, GIVEN.length)} ${n}`,
    firm: pick(FIRMS, 3),
    title: pick(TITLES, 2),
    mails: [`person.${n}@example.org`, `p${n}@home.example.net`],
    phone: `+4930${String(10_000_000 + n)}`,
    note: `Met at the fair, stand ${n % 97}. Prefers mail in the morning.`,
  }
}

/** The person as the memory app holds it. */
export function memoryFields(n: number): JsonObject {
  const { given, family, firm, title, mails, phone, note } = invented(n)
  return {
    given,
    family,
    organisation: firm,
    title,
    note,
    emails: [
      { value: mails[0], label: 'work', pref: true },
      { value: mails[1], label: 'home' },
    ],
    phones: [{ value: phone, label: 'mobile' }],
  }
}

/** The person as a card, about 400 bytes; `title` in the place of the person's own. */
export function card(n: number, title?: string): string {
  const who = invented(n)
  const lines = [
    'BEGIN:VCARD',
    'VERSION:3.0',
    `UID:${uid(n)}`,
    `FN:${who.given} ${who.family}`,
    `N:${who.family};${who.given};;;`,
    `ORG:${who.firm}`,
    `TITLE:${title ?? who.title}`,
    `EMAIL;TYPE=work,pref:${who.mails[0]}`,
    `EMAIL;TYPE=home:${who.mails[1]}`,
    `TEL;TYPE=cell:${who.phone}`,
    `NOTE:${who.note}`,
    'X-SHOE-SIZE:42',
    'END:VCARD',
    '',
  ]
  return lines.join('\r\n')
}

export function uid(n: number): string {
  return `bench-${String(n).padStart(6, '0')}`
}

/** `count` cards by file name, from person number `from` on. */
export function cards(count: number, from = 0): { [file: string]: string } {
  return Object.fromEntries(
    Array.from({ length: count }, (_, index) => [`${uid(from + index)}.vcf`, card(from + index)]),
  )
}

/** A line of a sheet with the headings of {@link SHEET_HEADINGS}. */
export function sheetRow(n: number, title?: string): string {
  const who = invented(n)
  return [uid(n), who.given, who.family, who.firm, title ?? who.title, who.mails[0], who.phone].join(',')
}

export const SHEET_HEADINGS = 'Kith ID,First Name,Last Name,Company,Job Title,Email,Phone'
