import { contact, type Contact } from './contacts.ts'

const GIVEN = ['Ada', 'Grace', 'Zoë', 'Linus', 'Margaret', 'Søren', 'Barbara', 'Edsger', 'Katherine', 'Jürgen', 'Юлия']
const FAMILY = [
  'Lovelace',
  'Hopper',
  'Müller',
  'Hamilton',
  'Liskov',
  'Dijkstra',
  'Johnson',
  'Knuth',
  'Иванова',
  'García',
]
const TITLES = ['Engineer', 'Analyst', 'Head of Sales', 'Buyer', 'Chair']

/** The number of a switchboard: many people have it, so it tells nobody apart. */
const SWITCHBOARD = '+49 30 9990000'

/** Human number `index`, all that is to be known of them. */
export function human(index: number): Contact {
  const given = GIVEN[index % GIVEN.length] as string
  const family = FAMILY[(index * 3 + Math.floor(index / GIVEN.length)) % FAMILY.length] as string
  return contact({
    given,
    family,
    organisation: `Example ${index % 40} GmbH`,
    title: TITLES[index % TITLES.length] as string,
    birthday: `19${50 + (index % 50)}-0${1 + (index % 9)}-${10 + (index % 19)}`,
    note: index % 5 === 0 ? `met in ${1980 + (index % 40)};\nlikes "tea", milk and \\ sugar` : '',
    emails: [`human${index}@example.org`],
    phones: [`+49 30 ${5_550_000 + index}`, ...(index % 50 === 0 ? [SWITCHBOARD] : [])],
  })
}

/** One human as each of three places has them; null where they are not there. */
export interface Sightings {
  readonly sheet: Contact | null
  readonly phone: Contact | null
  readonly office: Contact | null
}

/**
 * Where human `index` is, and how they are written there: every place has its own spelling of addresses and numbers, its own
 * gaps, and facts that only it knows. Any two places share an address, or a number and a like name.
 */
export function sightings(index: number): Sightings {
  const who = human(index)
  const inAll = index % 7
  const isIn = (...kinds: number[]): boolean => kinds.includes(inAll)
  const noEmail = index % 11 === 0 && inAll !== 5
  const noPhone = index % 13 === 0 && !noEmail
  const noName = index % 17 === 0 && !noEmail && inAll !== 4
  const sheet = contact({
    ...(noName ? {} : { given: who.given, family: who.family }),
    organisation: who.organisation,
    emails: who.emails.map((address) => (index % 3 === 0 ? address.toUpperCase() : address)),
    phones: who.phones.map((number) => number.replace('+49 ', '0').replace('5550', '555-0')),
  })
  const phone = contact({
    given: who.given,
    family: who.family,
    title: who.title,
    birthday: who.birthday,
    emails: noEmail ? [] : who.emails,
    phones: who.phones,
  })
  const office = contact({
    // Somebody typed it without the dots.
    given: index % 19 === 0 ? who.given.normalize('NFD').replace(/\p{M}/gu, '') : who.given,
    family: who.family,
    note: who.note,
    birthday: who.birthday,
    emails: who.emails.map((address) => address.replace('human', 'Human')),
    phones: noPhone ? [] : who.phones.map((number) => number.replace('+49 30 ', '0049-30-')),
  })
  return {
    sheet: isIn(0, 1, 3, 4) ? sheet : null,
    phone: isIn(0, 1, 2, 5) ? phone : null,
    office: isIn(0, 2, 3, 6) ? office : null,
  }
}

/** What each place holds of the first `count` humans. */
export function overlapping(count: number): { [place in keyof Sightings]: Contact[] } {
  const all = Array.from({ length: count }, (_, index) => sightings(index))
  const of = (place: keyof Sightings): Contact[] => all.map((each) => each[place]).filter((who) => who !== null)
  return { sheet: of('sheet'), phone: of('phone'), office: of('office') }
}
