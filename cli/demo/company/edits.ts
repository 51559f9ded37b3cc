import type { Account, AccountRecord, RowValues } from './account.ts'
import { CAST } from './people.ts'

/** Something that shows in an account when an edit has arrived there. */
export interface Arrival {
  readonly account: string
  /** How it is told: `Title = Partner`. */
  readonly what: string
  readonly is: () => boolean
}

/** An edit that a human makes in one of the accounts, and what is to be seen in the others. */
export interface Edit {
  readonly told: string
  make(): void
  readonly arrivals: readonly Arrival[]
}

export type Accounts = ReadonlyMap<string, Account>

/** Two humans edit one field while Kith is not running: the later edit stands, and the other is kept. */
export function editsMeanwhile(accounts: Accounts): Edit[] {
  const { record, edit } = handles(accounts)
  const { disputed } = CAST
  return [
    {
      told: 'crm: Aoife Ní Bhraonáin is "Managing editor"',
      make: () => edit('crm', disputed, 'title', 'Managing editor'),
      arrivals: [],
    },
    {
      told: 'phones: no, she is "Editor in chief"',
      make: () => edit('phones', disputed, 'title', 'Editor in chief'),
      arrivals: ['crm', 'sales', 'newsletter'].map((account) => ({
        account,
        what: 'job title = Editor in chief',
        is: () => record(account, disputed)?.values.title === 'Editor in chief',
      })),
    },
  ]
}

/** Made one after the other while Kith runs. */
export function editsLive(accounts: Accounts): Edit[] {
  const { record, edit, of } = handles(accounts)
  const { promoted, unsubscribing, moving, doubled } = CAST
  const ines = 'ines@ateliersul.example'
  const mobile = '+44 7700 900877'
  const digits = (text = ''): string => text.replace(/\D/g, '').replace(/^0/, '44')
  return [
    {
      told: 'crm: Marta Okonkwo becomes a partner',
      make: () => edit('crm', promoted, 'title', 'Partner'),
      arrivals: ['sales', 'newsletter', 'phones'].map((account) => ({
        account,
        what: 'job title = Partner',
        is: () => record(account, promoted)?.values.title === 'Partner',
      })),
    },
    {
      told: 'newsletter: Zoë Brandt clicks "unsubscribe"',
      make: () => of('newsletter').act(record('newsletter', unsubscribing)?.id ?? '', 'unsubscribe'),
      arrivals: [
        {
          account: 'crm',
          what: 'hs_email_optout is ticked',
          is: () => record('crm', unsubscribing)?.values.consent === 'true',
        },
        {
          account: 'sales',
          what: 'HasOptedOutOfEmail is ticked',
          is: () => record('sales', unsubscribing)?.values.consent === 'true',
        },
      ],
    },
    {
      told: 'phones: Amara Diallo has a new mobile number (Google has no webhooks; it is asked every second)',
      make: () => edit('phones', moving, 'mobile', mobile),
      arrivals: ['crm', 'sales', 'desk'].map((account) => ({
        account,
        what: `mobile = ${mobile}`,
        is: () => {
          const { mobile: first, work } = record(account, moving)?.values ?? {}
          return [first, work].some((number) => digits(number) === digits(mobile))
        },
      })),
    },
    {
      told: 'desk: somebody new writes in, Ines Carvalho',
      make: () => void of('desk').add({ given: 'Ines', family: 'Carvalho', email: ines, mobile: '+351 912 345 690' }),
      arrivals: ['crm', 'sales', 'newsletter', 'phones'].map((account) => ({
        account,
        what: 'a new record',
        is: () => record(account, ines) !== undefined,
      })),
    },
    {
      told: 'crm: the two records of Jonathan Pike are merged',
      make: () => {
        const [own, other] = [record('crm', doubled), record('crm', 'jonathan.pike@post.example')]
        of('crm').merge(other?.id ?? '', own?.id ?? '')
      },
      arrivals: ['phones', 'desk'].map((account) => ({
        account,
        what: 'has both addresses',
        is: () => {
          const { email, email2 = '' } = record(account, doubled)?.values ?? {}
          return [email, email2].join().includes('jonathan.pike@post.example')
        },
      })),
    },
  ]
}

function handles(accounts: Accounts) {
  const of = (account: string): Account => {
    const found = accounts.get(account)
    if (!found) throw new Error(`the demo has no account ${account}`)
    return found
  }
  // To look through a whole account takes its time, and it is looked at often.
  const known = new Map<string, string>()
  const record = (account: string, email: string): AccountRecord | undefined => {
    const there = of(account).record(known.get(`${account} ${email}`) ?? '')
    if (there) return there
    const found = of(account)
      .records()
      .find(({ values }) => addressesIn(values).includes(email))
    if (found) known.set(`${account} ${email}`, found.id)
    return found
  }
  return {
    of,
    record,
    edit: (account: string, email: string, row: Parameters<Account['edit']>[1], value: string): void => {
      const found = record(account, email)
      if (!found) throw new Error('the demo cannot find whom it wants to edit: was the record edited meanwhile?')
      of(account).edit(found.id, row, value)
    },
  }
}

function addressesIn({ email, email2 }: RowValues): string[] {
  return [email, email2]
    .join()
    .toLowerCase()
    .split(/[,;] ?/)
}
