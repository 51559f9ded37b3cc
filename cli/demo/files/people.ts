/**
 * The people of the demo. All of them are invented; addresses end in `.example`, and numbers are from the ranges that
 * regulators keep free for films. What they show: the same people under other spellings, an address shared by many, people
 * without one, several numbers, names in other scripts, values that differ, and two whom nobody can tell apart.
 */

export interface Contact {
  readonly given?: string
  readonly family?: string
  readonly company?: string
  readonly title?: string
  readonly emails?: readonly string[]
  readonly mobile?: string
  readonly work?: string
  readonly home?: string
  readonly address?: {
    readonly street: string
    readonly city: string
    readonly postcode: string
    readonly country: string
  }
  readonly birthday?: string
  readonly note?: string
  /** vCard lines that Kith maps nowhere, and leaves as they are. */
  readonly unmapped?: readonly string[]
}

/** What one place says of a person, over what all of them say; `true`: nothing else. */
type Variant = Contact | true

export interface Sample extends Contact {
  readonly sheet?: Variant
  readonly phone?: Variant
  readonly office?: Variant
}

export const PLACES = ['sheet', 'phone', 'office'] as const
export type Place = (typeof PLACES)[number]

/** Everyone whom a place holds, as it holds them. */
export function peopleOf(place: Place): Contact[] {
  return PEOPLE.flatMap((sample) => {
    const variant = sample[place]
    if (variant === undefined) return []
    const { sheet: _sheet, phone: _phone, office: _office, ...common } = sample
    return [variant === true ? common : { ...common, ...variant }]
  })
}

export const PEOPLE: readonly Sample[] = [
  {
    given: 'Marta',
    family: 'Okonkwo',
    company: 'Okonkwo & Webb',
    title: 'Architect',
    emails: ['marta@okonkwo-webb.example'],
    sheet: { mobile: '07700 900118' },
    phone: { mobile: '+44 7700 900118', birthday: '1984-06-02', unmapped: ['X-SOCIALPROFILE;TYPE=chat:marta.o'] },
    office: { mobile: '+44 (0)7700 900118', work: '020 7946 0018', title: 'Senior Architect' },
  },
  {
    given: 'Jonathan',
    family: 'Pike',
    company: 'Tidewater Rowing Club',
    emails: ['j.pike@tidewater.example'],
    mobile: '07700 900231',
    sheet: { title: 'Coach' },
    phone: { given: 'Jon', emails: ['J.Pike@Tidewater.example'], mobile: '+447700900231' },
  },
  {
    given: 'Zoë',
    family: 'Brandt',
    company: 'Brandt Optik',
    emails: ['zoe@brandt-optik.example'],
    work: '+49 30 23125 114',
    sheet: { given: 'Zoe' },
    phone: { mobile: '+49 171 3920011' },
    office: { address: { street: 'Uferstraße 8', city: 'Berlin', postcode: '13357', country: 'Germany' } },
  },
  {
    given: 'Søren',
    family: 'Kjær',
    company: 'Nordlys Film',
    title: 'Producer',
    emails: ['soren@nordlys.example'],
    phone: { given: 'Soren', family: 'Kjaer', mobile: '+45 20 12 34 56' },
    office: true,
  },
  {
    given: 'Aoife',
    family: 'Ní Bhraonáin',
    company: 'Lough Press',
    title: 'Editor',
    emails: ['aoife@loughpress.example'],
    sheet: { work: '+353 20 911 1234' },
    phone: { mobile: '+353 85 012 3456' },
    office: { emails: ['aoife@loughpress.example', 'aoife.nib@post.example'] },
  },
  {
    given: '結衣',
    family: '田中',
    company: 'Hoshi Ceramics',
    emails: ['yui.tanaka@hoshi.example'],
    phone: { mobile: '+81 90-1234-5678' },
    office: { title: 'Designer' },
  },
  {
    given: 'Ольга',
    family: 'Смирнова',
    emails: ['olga.smirnova@severpost.example'],
    sheet: { given: 'Olga', family: 'Smirnova', company: 'Sever Post' },
    phone: { mobile: '+7 912 345-67-89' },
  },
  { given: 'Νίκος', family: 'Παπαδάκης', mobile: '+30 691 234 5678', emails: ['nikos@aktihouse.example'], phone: true },
  { given: '민준', family: '김', company: 'Haneul Studio', emails: ['minjun@haneul.example'], office: true },
  // One mailbox for the whole bakery: it tells nobody apart.
  {
    given: 'Rosa',
    family: 'Delgado',
    company: 'Harbour Bakery',
    title: 'Owner',
    emails: ['info@harbour-bakery.example'],
    mobile: '07700 900401',
    sheet: true,
    phone: { title: 'Baker', mobile: '+44 7700 900401' },
  },
  {
    given: 'Tom',
    family: 'Ashworth',
    company: 'Harbour Bakery',
    emails: ['info@harbour-bakery.example'],
    mobile: '07700 900402',
    sheet: true,
    phone: { given: 'Tommy' },
  },
  {
    given: 'Priya',
    family: 'Nair',
    company: 'Harbour Bakery',
    title: 'Deliveries',
    emails: ['info@harbour-bakery.example'],
    mobile: '07700 900403',
    sheet: true,
  },
  // Two brothers with one landline. The phone knows a "T. Weber" by nothing but that number.
  {
    given: 'Thomas',
    family: 'Weber',
    emails: ['thomas@weber-holzbau.example'],
    home: '+49 30 23125 014',
    sheet: { company: 'Weber Holzbau' },
    office: true,
  },
  {
    given: 'Tobias',
    family: 'Weber',
    emails: ['tobias@weber-holzbau.example'],
    home: '+49 30 23125 014',
    sheet: { company: 'Weber Holzbau' },
    office: true,
  },
  // No e-mail address: found by the number and a like name.
  { given: 'Nan', home: '01632 960214', phone: { birthday: '--04-12' } },
  {
    given: 'Helen',
    family: 'Moss',
    mobile: '07700 900512',
    sheet: { title: 'Dentist' },
    phone: { mobile: '+44 7700 900512' },
  },
  {
    given: 'Graham',
    family: 'Tull',
    mobile: '07700 900513',
    sheet: { family: 'Tulle', mobile: '07700900513' },
    phone: { title: 'Plumber' },
  },
  { given: 'Keiko', family: 'Arai', mobile: '07700 900514', note: 'Piano teacher', phone: true },
  // The rest of a life.
  {
    given: 'Amara',
    family: 'Diallo',
    company: 'Baobab Legal',
    title: 'Solicitor',
    emails: ['amara@baobab-legal.example'],
    sheet: true,
    office: { work: '020 7946 0125' },
  },
  {
    given: 'Ben',
    family: 'Hartley',
    emails: ['ben.hartley@post.example'],
    mobile: '07700 900601',
    sheet: true,
    phone: true,
  },
  {
    given: 'Carla',
    family: 'Ferri',
    company: 'Studio Ferri',
    emails: ['carla@studioferri.example'],
    sheet: { note: 'Met at the book fair' },
    office: true,
  },
  { given: 'Dmitri', family: 'Volkov', emails: ['dmitri.v@post.example'], mobile: '07700 900603', phone: true },
  {
    given: 'Elif',
    family: 'Yılmaz',
    company: 'Bosphorus Textiles',
    title: 'Buyer',
    emails: ['elif@bosphorus-tx.example'],
    sheet: { family: 'Yilmaz' },
    office: true,
  },
  {
    given: 'Fergus',
    family: 'McAllister',
    emails: ['fergus@glenroy.example'],
    company: 'Glenroy Farm',
    mobile: '07700 900605',
    sheet: true,
    phone: { family: 'MacAllister' },
  },
  {
    given: 'Grace',
    family: 'Adeyemi',
    title: 'Accountant',
    company: 'Adeyemi & Partners',
    emails: ['grace@adeyemi.example'],
    office: { birthday: '1979-11-23' },
    sheet: true,
  },
  {
    given: 'Hugo',
    family: 'Lindqvist',
    emails: ['hugo.lindqvist@post.example'],
    mobile: '+46 70 174 06 05',
    phone: true,
    office: true,
  },
  {
    given: 'Isabel',
    family: 'Fonseca',
    company: 'Casa Fonseca',
    emails: ['isabel@casafonseca.example'],
    sheet: { address: { street: 'Rua das Flores 31', city: 'Porto', postcode: '4050-265', country: 'Portugal' } },
    phone: { mobile: '+351 912 345 678' },
  },
  {
    given: 'Jakub',
    family: 'Nowák',
    emails: ['jakub@nowak-tools.example'],
    sheet: { family: 'Nowak', company: 'Nowák Tools' },
    office: { work: '+420 601 123 456' },
  },
  {
    given: 'Karin',
    family: 'Vogel',
    emails: ['karin.vogel@post.example', 'kv@chorverein.example'],
    phone: { mobile: '+49 171 3920025' },
    sheet: { emails: ['kv@chorverein.example'] },
  },
  {
    given: 'Liam',
    family: "O'Shea",
    title: 'Electrician',
    mobile: '07700 900610',
    emails: ['liam@oshea-electric.example'],
    sheet: true,
  },
  {
    given: 'Mei',
    family: 'Lin',
    company: 'Jade Garden',
    emails: ['mei@jadegarden.example'],
    work: '020 7946 0310',
    sheet: true,
  },
  { given: 'Noah', family: 'Steiner', emails: ['noah@steiner-bikes.example'], company: 'Steiner Bikes', office: true },
  {
    given: 'Olivia',
    family: 'Grant',
    title: 'Head teacher',
    company: 'Fernhill School',
    emails: ['o.grant@fernhill.example'],
    sheet: { work: '020 7946 0322' },
    phone: { work: '+44 20 7946 0322', mobile: '07700 900613' },
  },
  {
    given: 'Pavel',
    family: 'Dvořák',
    emails: ['pavel@dvorak.example'],
    mobile: '07700 900614',
    phone: true,
    office: { family: 'Dvorak' },
  },
  {
    given: 'Quentin',
    family: 'Lefèvre',
    company: 'Lefèvre Vins',
    emails: ['quentin@lefevre-vins.example'],
    work: '+33 1 99 00 12 34',
    office: true,
  },
  {
    given: 'Ruth',
    family: 'Abramson',
    emails: ['ruth.abramson@post.example'],
    birthday: '1951-03-30',
    phone: { mobile: '07700 900616' },
  },
  {
    given: 'Sanjay',
    family: 'Mehta',
    company: 'Mehta Pharmacy',
    title: 'Pharmacist',
    emails: ['sanjay@mehta-pharmacy.example'],
    sheet: { work: '020 7946 0417' },
    office: true,
  },
  {
    given: 'Tilda',
    family: 'Ekström',
    emails: ['tilda@ekstrom.example'],
    mobile: '+46 70 174 06 12',
    phone: { note: 'Allergic to nuts' },
    office: true,
  },
  {
    given: 'Ursula',
    family: 'Baumann',
    emails: ['u.baumann@post.example'],
    sheet: { note: 'Choir, alto' },
    phone: { mobile: '+49 171 3920033' },
  },
  {
    given: 'Yusuf',
    family: 'Karim',
    company: 'Karim Motors',
    emails: ['yusuf@karim-motors.example'],
    mobile: '07700 900620',
    sheet: true,
    phone: true,
    office: { title: 'Mechanic' },
  },
]
