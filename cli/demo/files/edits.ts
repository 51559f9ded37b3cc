import { cardOf, editOfficeCard, editPhoneCard, editSheet, setLine, type Places } from './places.ts'

/** An edit that a human makes, and how it is told. */
export interface Edit {
  readonly told: string
  make(places: Places): Promise<void> | void
}

/** Made while nobody looks: some of them touch the same people, one of them the same field. */
export const EDITS_MEANWHILE: readonly Edit[] = [
  {
    told: 'sheet: Jon Pike has a new mobile number',
    make: (places) => editSheet(places, 'j.pike@tidewater.example', 'Mobile Phone', '07700 900877'),
  },
  {
    told: 'phone: Aoife Ní Bhraonáin is promoted',
    make: (places) =>
      editPhoneCard(places, 'aoife@loughpress.example', (card) => setLine(card, 'TITLE', 'Managing editor')),
  },
  {
    told: 'office: a new card, Ines Carvalho',
    make: ({ server }) => {
      const contact = {
        given: 'Ines',
        family: 'Carvalho',
        company: 'Atelier Sul',
        title: 'Illustrator',
        emails: ['ines@ateliersul.example'],
        mobile: '+351 912 345 690',
      }
      server.put('ines-carvalho.vcf', cardOf(contact, '4.0', 'office-200'))
    },
  },
  {
    told: 'sheet and phone: one person, two fields',
    make: async (places) => {
      await editSheet(places, 'marta@okonkwo-webb.example', 'Job Title', 'Partner')
      await editPhoneCard(places, 'marta@okonkwo-webb.example', (card) => setLine(card, 'NOTE', 'Call after ten'))
    },
  },
  {
    told: 'office, then phone: one person, the same field',
    make: async (places) => {
      editOfficeCard(places, 'zoe@brandt-optik.example', (card) => setLine(card, 'ORG', 'Brandt Optik GmbH'))
      await editPhoneCard(places, 'zoe@brandt-optik.example', (card) => setLine(card, 'ORG', 'Brandt und Söhne'))
    },
  },
]

/** Made one after the other while Kith runs. */
export const EDITS_LIVE: readonly (Edit & { readonly place: string; readonly email: string })[] = [
  {
    told: 'sheet: Amara Diallo becomes a partner',
    place: 'sheet',
    email: 'amara@baobab-legal.example',
    make: (places) => editSheet(places, 'amara@baobab-legal.example', 'Job Title', 'Partner'),
  },
  {
    told: 'phone: Hugo Lindqvist gets a note',
    place: 'phone',
    email: 'hugo.lindqvist@post.example',
    make: (places) =>
      editPhoneCard(places, 'hugo.lindqvist@post.example', (card) => setLine(card, 'NOTE', 'Has the spare key')),
  },
  {
    told: 'office: Noah Steiner has a title (this server is asked every second)',
    place: 'office',
    email: 'noah@steiner-bikes.example',
    make: (places) =>
      editOfficeCard(places, 'noah@steiner-bikes.example', (card) => setLine(card, 'TITLE', 'Frame builder')),
  },
]
