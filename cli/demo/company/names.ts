/**
 * What the demo's people are made of. All of them are invented; addresses end in `.example`, and numbers are from the ranges that
 * regulators keep free for films.
 */

export interface Firm {
  readonly name: string
  readonly domain: string
  readonly street: string
  readonly city: string
  readonly postcode: string
  readonly country: 'United Kingdom' | 'Germany' | 'France' | 'Ireland'
  /** Too small for addresses of its people's own: all of them share one. */
  readonly shares?: true
}

const firm = (
  name: string,
  domain: string,
  street: string,
  city: string,
  postcode: string,
  country: Firm['country'] = 'United Kingdom',
): Firm => ({ name, domain: `${domain}.example`, street, city, postcode, country })

export const FIRMS: readonly Firm[] = [
  firm('Pedal & Post', 'pedalpost', '14 Canal Street', 'Leeds', 'LS1 4AP'),
  firm('Riverside Cycles', 'riversidecycles', '3 Bridge Row', 'York', 'YO1 6DZ'),
  firm('The Spoke Room', 'spokeroom', '88 Argyle Lane', 'Bristol', 'BS2 8QN'),
  firm('Okonkwo & Webb', 'okonkwo-webb', '21 Harbour View', 'Cardiff', 'CF10 4GA'),
  firm('Tidewater Rowing Club', 'tidewater', 'The Boathouse', 'Henley', 'RG9 2LY'),
  firm('Northgate Hire', 'northgatehire', '7 Northgate', 'Chester', 'CH1 2HT'),
  firm('Wren Couriers', 'wrencouriers', '102 Mill Road', 'Cambridge', 'CB1 2BD'),
  firm('Fell & Moor Outdoors', 'fellandmoor', '5 Market Place', 'Keswick', 'CA12 5JG'),
  firm('Castle Bikes', 'castlebikes', '40 Castle Wynd', 'Edinburgh', 'EH1 2NG'),
  firm('Brightside School', 'brightside-school', '1 Brightside Lane', 'Sheffield', 'S9 2RX'),
  firm('Harbour Hotels', 'harbourhotels', '12 The Quay', 'Poole', 'BH15 1HJ'),
  firm('Baobab Legal', 'baobab-legal', '9 Temple Court', 'London', 'EC4Y 9DA'),
  firm('Meridian Health', 'meridianhealth', '66 Maze Hill', 'London', 'SE10 8XG'),
  firm('Lough Press', 'loughpress', '8 Quay Lane', 'Galway', 'H91 E2N7', 'Ireland'),
  firm('Liffey Wheels', 'liffeywheels', '31 Capel Street', 'Dublin', 'D01 V9Y5', 'Ireland'),
  firm('Brandt Optik', 'brandt-optik', 'Uferstraße 8', 'Berlin', '13357', 'Germany'),
  firm('Fahrrad Kiez', 'fahrradkiez', 'Sonnenallee 121', 'Berlin', '12045', 'Germany'),
  firm('Elbe Kuriere', 'elbekuriere', 'Am Sandtorkai 4', 'Hamburg', '20457', 'Germany'),
  firm('Stadtwerke Auental', 'auental', 'Wasserweg 2', 'Leipzig', '04109', 'Germany'),
  firm('Atelier Vélo', 'ateliervelo', '18 rue des Dames', 'Paris', '75017', 'France'),
  firm('Les Deux Roues', 'deuxroues', '4 quai Rambaud', 'Lyon', '69002', 'France'),
  { ...firm('Corner Cycles', 'cornercycles', '2 High Street', 'Lewes', 'BN7 1XE'), shares: true },
  { ...firm('Two Friends Repairs', 'twofriends', '19 Station Road', 'Hebden Bridge', 'HX7 6JE'), shares: true },
  { ...firm('Velo Müller', 'velomueller', 'Gartenweg 5', 'Potsdam', '14467', 'Germany'), shares: true },
]

export const GIVEN: { readonly [country in Firm['country']]: readonly string[] } = {
  'United Kingdom': [
    'Marta',
    'Jonathan',
    'Priya',
    'Callum',
    'Amara',
    'Thomas',
    'Elizabeth',
    'Ben',
    'Yusuf',
    'Catherine',
    'Daniel',
    'Grace',
    'Oliver',
    'Nadia',
    'Samuel',
    'Rachel',
    'Kofi',
    'Harriet',
    'Imran',
    'Lucy',
    'William',
    'Chloe',
    'Robert',
    'Fatima',
    'Alexander',
    'Megan',
    'Dev',
    'Rosa',
    'Edward',
    'Mei',
  ],
  Ireland: ['Aoife', 'Ciarán', 'Niamh', 'Séamus', 'Róisín', 'Oisín', 'Gráinne', 'Eoin'],
  Germany: ['Zoë', 'Jürgen', 'Anke', 'Björn', 'Käthe', 'Matthias', 'Emre', 'Sabine', 'Götz', 'Lena', 'Ulrich', 'Hanna'],
  France: ['Élodie', 'Jérôme', 'Camille', 'François', 'Inès', 'Théo', 'Margaux', 'Loïc'],
}

export const FAMILY: { readonly [country in Firm['country']]: readonly string[] } = {
  'United Kingdom': [
    'Okonkwo',
    'Pike',
    'Raman',
    'Fraser',
    'Diallo',
    'Hartley',
    'Whitcombe',
    'Ashworth',
    'Demir',
    'Sinclair',
    'Holt',
    'Mensah',
    'Pritchard',
    'Aziz',
    'Thornton',
    'Lovell',
    'Boateng',
    'Kerr',
    'Hussain',
    'Beckett',
    'Ramsay',
    'Quayle',
    'Ingram',
    'Noor',
    'Fairfax',
    'Bowen',
    'Patel',
    'Marlow',
    'Stokes',
    'Chan',
  ],
  Ireland: ['Ní Bhraonáin', 'O’Dowd', 'Mac Giolla', 'Fitzgerald', 'Kavanagh', 'Ó Sé', 'Devlin', 'Tierney'],
  Germany: ['Brandt', 'Weiß', 'Krüger', 'Öztürk', 'Lindner', 'Schäfer', 'Vogt', 'Großmann', 'Keller', 'Böhm', 'Arndt'],
  France: ['Lefèvre', 'Garnier', 'Béranger', 'Moreau', 'Dufour', 'Rousselle', 'Chevallier', 'Noël'],
}

/** Whose names other scripts are for: the same in all accounts that have them. */
export const ELSEWHERE: readonly { given: string; family: string; local: string; firm: string; mobile: string }[] = [
  { given: '結衣', family: '田中', local: 'yui.tanaka', firm: 'Hoshi Bikes', mobile: '+81 3-0000-0114' },
  { given: 'Олена', family: 'Шевченко', local: 'olena', firm: 'Veloprom', mobile: '+44 7700 900951' },
  { given: 'Γιώργος', family: 'Παπαδάκης', local: 'g.papadakis', firm: 'Kyklos', mobile: '+44 7700 900952' },
  { given: 'ليلى', family: 'حداد', local: 'layla.haddad', firm: 'Cedar Cycling', mobile: '+44 7700 900953' },
  { given: 'Иван', family: 'Петров', local: 'ivan.petrov', firm: 'Kolelo', mobile: '+44 7700 900954' },
  { given: '민준', family: '김', local: 'minjun.kim', firm: 'Hangang Cycles', mobile: '+44 7700 900955' },
]

/** As friends write it on their phones. */
export const SHORT: { readonly [given: string]: string } = {
  Jonathan: 'Jon',
  Thomas: 'Tom',
  Elizabeth: 'Eliza',
  Catherine: 'Cath',
  Daniel: 'Dan',
  Samuel: 'Sam',
  Alexander: 'Alex',
  Matthias: 'Matt',
}

export const TITLES: readonly string[] = [
  'Buyer',
  'Workshop manager',
  'Owner',
  'Head of purchasing',
  'Mechanic',
  'Accounts',
  'Fleet manager',
  'Office manager',
  'Managing director',
  'Store manager',
  'Marketing',
  'Facilities',
  'Head teacher',
  'Partner',
  'Procurement',
  'Operations',
]

export const NOTES: readonly string[] = [
  'Prefers to be called after ten',
  'Met at the spring fair',
  'Pays by invoice',
  'Asks for the paper catalogue',
  'Left-handed brakes only',
  'Has the spare key',
  'Speaks German and Turkish',
  'Delivery to the back entrance',
]

export const TICKETS: readonly string[] = [
  'Order 20418: one hub missing',
  'Warranty for a bent rack',
  'Asked about an invoice',
  'Wants a new login',
]

export const TAGS: readonly string[] = ['dealer', 'school', 'fleet', 'press', 'vip']
