import { ELSEWHERE, FAMILY, FIRMS, GIVEN, NOTES, SHORT, TAGS, TICKETS, TITLES, type Firm } from './names.ts'
import { Random } from './random.ts'

/** Someone as one account has them. */
export interface Contact {
  readonly given?: string
  readonly family?: string
  readonly company?: string
  readonly title?: string
  readonly emails?: readonly string[]
  readonly mobile?: string
  readonly work?: string
  readonly address?: {
    readonly street: string
    readonly city: string
    readonly postcode: string
    readonly country: string
  }
  readonly birthday?: string
  readonly note?: string
  readonly tags?: readonly string[]
  /** HubSpot's own, Salesforce's own, Zendesk's own: nobody else has them. */
  readonly stage?: string
  readonly source?: string
  readonly ticket?: string
  readonly optedOut?: boolean
  readonly status?: 'subscribed' | 'unsubscribed' | 'cleaned'
}

export const ACCOUNTS = ['crm', 'sales', 'newsletter', 'phones', 'desk'] as const
export type AccountName = (typeof ACCOUNTS)[number]

export type Roster = { readonly [account in AccountName]: readonly Contact[] }

/** Everybody but those of whom something special is told. */
const COUNT = 240

/** The people whom the demo itself edits, when nobody sits before it. */
export const CAST = {
  promoted: 'marta@okonkwo-webb.example',
  unsubscribing: 'zoe@brandt-optik.example',
  moving: 'amara@baobab-legal.example',
  disputed: 'aoife@loughpress.example',
  doubled: 'j.pike@tidewater.example',
} as const

/** What a company that sells bicycle parts has in its five accounts: the same people, not quite. Always the same ones. */
export function rosterOf(): Roster {
  const lists: { [account in AccountName]: Contact[] } = { crm: [], sales: [], newsletter: [], phones: [], desk: [] }
  const random = new Random(20_261_122)
  const put = (who: { readonly [account in AccountName]?: Contact }): void => {
    for (const account of ACCOUNTS) if (who[account]) lists[account].push(who[account])
  }
  for (const who of castOf()) put(who)
  for (const who of elsewhere()) put(who)
  for (const who of sharing()) put(who)
  const taken = new Set<string>()
  for (let index = 0; index < COUNT; index++) put(someone(index, random, taken))
  return lists
}

type Sightings = { readonly [account in AccountName]?: Contact }

/** One of the many: a customer, somebody who may become one, a reader, a friend, or somebody who once needed help. */
function someone(index: number, random: Random, taken: Set<string>): Sightings {
  const own = FIRMS.filter(({ shares }) => shares === undefined)
  const firm = random.pick(own)
  const [given, family] = freshName(firm, random, taken)
  const local = random.pick([
    latin(given),
    `${latin(given)}.${latin(family)}`,
    `${latin(given).slice(0, 1)}.${latin(family)}`,
  ])
  const full: Contact = {
    given,
    family,
    company: firm.name,
    title: random.pick(TITLES),
    // Made unlike any other by what follows the name, as mail servers do.
    emails: [`${local}${index < 60 ? '' : index}@${firm.domain}`],
    mobile: mobileOf(firm, index),
    ...(random.chance(0.45) ? { work: workOf(firm, index) } : {}),
    address: { street: firm.street, city: firm.city, postcode: firm.postcode, country: firm.country },
    ...(random.chance(0.3) ? { birthday: random.date() } : {}),
    ...(random.chance(0.3) ? { note: random.pick(NOTES) } : {}),
    ...(random.chance(0.4) ? { tags: [random.pick(TAGS)] } : {}),
  }
  const kind = random.pick(['customer', 'customer', 'customer', 'prospect', 'prospect', 'reader', 'friend', 'ticket'])
  const chances: { readonly [account in AccountName]: number } = {
    crm: { customer: 0.95, prospect: 0.9 }[kind] ?? 0.1,
    sales: { customer: 0.85, prospect: 0.45 }[kind] ?? 0,
    newsletter: { customer: 0.55, prospect: 0.5, reader: 1 }[kind] ?? 0.1,
    phones: { customer: 0.35, friend: 1 }[kind] ?? 0.08,
    desk: { customer: 0.5, ticket: 1 }[kind] ?? 0.05,
  }
  const is = (account: AccountName): boolean => random.chance(chances[account])
  const phoneOnly = kind === 'friend' && random.chance(0.5)
  return {
    ...(is('crm') ? { crm: inCrm(full, random) } : {}),
    ...(is('sales') ? { sales: inSales(full, random) } : {}),
    ...(is('newsletter') ? { newsletter: inNewsletter(full, random) } : {}),
    ...(is('phones') ? { phones: inPhones(full, random, phoneOnly) } : {}),
    ...(is('desk') ? { desk: inDesk(full, random) } : {}),
  }
}

function inCrm(full: Contact, random: Random): Contact {
  const { note: _note, tags: _tags, emails, ...rest } = full
  return {
    ...rest,
    // Entered after a telephone call.
    ...(random.chance(0.05) ? {} : { emails: emails ?? [] }),
    stage: random.pick(['lead', 'opportunity', 'customer', 'customer']),
  }
}

function inSales(full: Contact, random: Random): Contact {
  const { note: _note, tags: _tags, birthday: _birthday, emails, mobile, address, ...rest } = full
  return {
    ...rest,
    ...(emails ? { emails: emails.map((email) => (random.chance(0.25) ? capitalised(email) : email)) } : {}),
    ...(mobile === undefined ? {} : { mobile: international(mobile) }),
    ...(address && random.chance(0.7) ? { address } : {}),
    // Somebody typed the title in another way, earlier or later.
    ...(full.title !== undefined && random.chance(0.2) ? { title: `${full.title} (acting)` } : {}),
    source: random.pick(['Web', 'Phone Inquiry', 'Partner Referral']),
    optedOut: random.chance(0.04),
  }
}

function inNewsletter({ given, family, company, title, emails, tags }: Contact, random: Random): Contact {
  const status = random.chance(0.09) ? 'unsubscribed' : random.chance(0.05) ? 'cleaned' : 'subscribed'
  return {
    // Forms are filled in without accents.
    ...(given === undefined ? {} : { given: random.chance(0.3) ? bare(given) : given }),
    ...(family === undefined ? {} : { family: random.chance(0.3) ? bare(family) : family }),
    ...(company !== undefined && random.chance(0.5) ? { company } : {}),
    ...(title !== undefined && random.chance(0.3) ? { title } : {}),
    ...(tags ? { tags } : {}),
    emails: emails ?? [],
    status,
  }
}

function inPhones(full: Contact, random: Random, phoneOnly: boolean): Contact {
  const { title: _title, address, emails, given = '', ...rest } = full
  return {
    ...rest,
    given: random.chance(0.5) ? (SHORT[given] ?? given) : given,
    ...(phoneOnly ? {} : { emails: emails ?? [] }),
    ...(address && random.chance(0.2) ? { address } : {}),
  }
}

function inDesk({ given, family, company, emails, mobile, note, tags }: Contact, random: Random): Contact {
  return {
    ...(given === undefined ? {} : { given }),
    ...(family === undefined ? {} : { family }),
    ...(company === undefined ? {} : { company }),
    emails: emails ?? [],
    ...(mobile !== undefined && random.chance(0.6) ? { mobile: international(mobile) } : {}),
    ...(note !== undefined && random.chance(0.3) ? { note } : {}),
    ...(tags ? { tags } : {}),
    ticket: random.pick(TICKETS),
  }
}

/** Those whom the demo edits, and a few in whom something can be seen. */
function castOf(): Sightings[] {
  const marta = { given: 'Marta', family: 'Okonkwo', company: 'Okonkwo & Webb', emails: [CAST.promoted] }
  const zoe = { given: 'Zoë', family: 'Brandt', company: 'Brandt Optik', emails: [CAST.unsubscribing] }
  const amara = { given: 'Amara', family: 'Diallo', company: 'Baobab Legal', emails: [CAST.moving] }
  const aoife = { given: 'Aoife', family: 'Ní Bhraonáin', company: 'Lough Press', emails: [CAST.disputed] }
  const jon = { given: 'Jonathan', family: 'Pike', company: 'Tidewater Rowing Club', emails: [CAST.doubled] }
  return [
    {
      crm: { ...marta, title: 'Architect', mobile: '07700 900118', stage: 'customer' },
      sales: { ...marta, title: 'Senior architect', mobile: '+44 7700 900118', work: '020 7946 0018', source: 'Web' },
      newsletter: { ...marta, tags: ['dealer'], status: 'subscribed' },
      phones: { ...marta, mobile: '+44 (0)7700 900118', birthday: '1984-06-02', note: 'Call after ten' },
      desk: { ...marta, mobile: '+447700900118', ticket: 'Order 20418: one hub missing' },
    },
    {
      crm: { ...zoe, title: 'Optician', work: '+49 30 23125 114', stage: 'customer' },
      sales: { ...zoe, given: 'Zoe', title: 'Optician', source: 'Partner Referral' },
      newsletter: { ...zoe, given: 'Zoe', status: 'subscribed' },
      phones: { ...zoe, mobile: '+49 171 3920011' },
    },
    {
      crm: { ...amara, title: 'Solicitor', mobile: '07700 900412', stage: 'opportunity' },
      newsletter: { ...amara, status: 'subscribed' },
      phones: { ...amara, mobile: '07700 900412' },
      desk: { ...amara, ticket: 'Wants a new login' },
    },
    {
      crm: { ...aoife, title: 'Editor', stage: 'lead' },
      phones: { ...aoife, mobile: '+353 85 012 3456' },
      newsletter: { ...aoife, given: 'Aoife', family: 'Ni Bhraonain', status: 'subscribed' },
    },
    // One human, twice in the CRM: there they have to be merged, which Kith leaves to a human.
    {
      crm: { ...jon, title: 'Coach', mobile: '07700 900231', stage: 'customer' },
      phones: { ...jon, given: 'Jon', mobile: '07700 900231' },
      sales: { ...jon, emails: ['J.Pike@tidewater.example'], source: 'Web' },
    },
    {
      crm: {
        given: 'Jonathan',
        family: 'Pike',
        emails: ['jonathan.pike@post.example'],
        mobile: '07700 900231',
        stage: 'lead',
      },
    },
  ]
}

function elsewhere(): Sightings[] {
  return ELSEWHERE.map(({ given, family, local, firm, mobile }, index) => {
    const email = `${local}@${latin(firm.split(' ')[0] ?? '')}.example`
    const who = { given, family, company: firm, emails: [email], mobile }
    return {
      crm: { ...who, title: TITLES[index] ?? '', stage: 'customer' },
      ...(index % 2 === 0 ? { phones: who } : { desk: { ...who, ticket: TICKETS[0] ?? '' } }),
      ...(index % 3 === 0 ? { newsletter: { ...who, status: 'subscribed' as const } } : {}),
    }
  })
}

/** Small firms have one mailbox for all. Nobody can tell who reads the newsletter there: Kith asks. */
function sharing(): Sightings[] {
  return FIRMS.filter(({ shares }) => shares).flatMap((firm, index): Sightings[] => {
    const email = `info@${firm.domain}`
    const [given, other] = [GIVEN[firm.country][index * 3] ?? '', GIVEN[firm.country][index * 3 + 1] ?? '']
    const family = FAMILY[firm.country][index + 4] ?? ''
    const company = firm.name
    return [
      {
        crm: { given, family, company, emails: [email], work: workOf(firm, 900 + index), stage: 'customer' },
        phones: { given, family, company, emails: [email], mobile: mobileOf(firm, 600 + index) },
      },
      {
        phones: {
          given: other,
          family: FAMILY[firm.country][index + 7] ?? '',
          company,
          mobile: mobileOf(firm, 620 + index),
        },
      },
      ...(index === 0 ? [{ newsletter: { company, emails: [email], status: 'subscribed' as const } }] : []),
    ]
  })
}

function freshName({ country }: Firm, random: Random, taken: Set<string>): [given: string, family: string] {
  for (;;) {
    const given = random.pick(GIVEN[country])
    const family = random.pick(FAMILY[country])
    const key = `${given} ${family}`
    // Small countries have fewer names than people: two of a name are only too real, three would be too many.
    if (!taken.has(key) || random.chance(0.02)) {
      taken.add(key)
      return [given, family]
    }
    if (GIVEN[country].length * FAMILY[country].length <= [...taken].length) return [given, family]
  }
}

/** Numbers that nobody has: Ofcom, Bundesnetzagentur, ComReg and Arcep keep these for films. */
function mobileOf({ country }: Firm, index: number): string {
  const three = String(index % 1000).padStart(3, '0')
  switch (country) {
    case 'Germany':
      return `+49 171 39200${three.slice(1)}${index % 10}`
    case 'France':
      return `+33 6 39 98 ${three.slice(0, 1)}${index % 10} ${three.slice(1)}`
    case 'Ireland':
      return `+353 85 012 3${three}`
    case 'United Kingdom':
      return `07700 900${three}`
  }
}

function workOf({ country }: Firm, index: number): string {
  const three = String(index % 1000).padStart(3, '0')
  switch (country) {
    case 'Germany':
      return `+49 30 23125 ${three}`
    case 'France':
      return `+33 1 99 00 ${three.slice(0, 1)}${index % 10} ${three.slice(1)}`
    case 'Ireland':
      return `+353 20 911 1${three}`
    case 'United Kingdom':
      return `020 7946 0${three}`
  }
}

function international(number: string): string {
  return number.startsWith('0') ? `+44 ${number.slice(1)}` : number
}

function capitalised(email: string): string {
  return email.charAt(0).toUpperCase() + email.slice(1)
}

/** Without accents, as people type on keyboards that have none. */
function bare(text: string): string {
  return text.normalize('NFD').replace(/\p{M}/gu, '').replaceAll('ß', 'ss')
}

function latin(text: string): string {
  return bare(text)
    .toLowerCase()
    .replace(/[^a-z]/g, '')
}
