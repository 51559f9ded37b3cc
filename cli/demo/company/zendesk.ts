import { Refusal, type SimulatedUser, type UserInput } from '../../../connectors/zendesk/simulator-users.ts'
import { startZendeskSimulator } from '../../../connectors/zendesk/simulator.ts'
import {
  calledBy,
  filled,
  listed,
  RefusedError,
  text,
  type Account,
  type AccountRecord,
  type Row,
  type RowValues,
} from './account.ts'
import type { Opened } from './accounts.ts'
import type { Contact } from './people.ts'

const FIELDS = [
  text('given', 'name', { rows: 2 }),
  text('company', 'organization', { readOnly: 'the name of an organization, which is a row of its own' }),
  text('email', 'email'),
  text('email2', 'identities (email)'),
  text('mobile', 'phone'),
  text('work', 'identities (phone)', { readOnly: 'direct lines are added on another page of Zendesk' }),
  text('note', 'notes'),
  text('tags', 'tags'),
  text('own', 'details'),
]

const SECRETS = { token: 'zendesk-api-token', webhookSecret: 'zendesk-signing-secret' }
const ADMIN = 'admin@haldencycles.example'

/** A Zendesk account with these end users. */
export async function openZendesk({ now, people }: Opened): Promise<{ account: Account; url: string }> {
  const simulator = await startZendeskSimulator({ email: ADMIN, token: SECRETS.token, now })
  const { users, faults } = simulator
  // Five edits of one user in a minute are all that Zendesk takes: somebody who tries it out would only wait.
  faults.updates_max = 60
  faults.exports_max = 60
  const shown = (user: SimulatedUser): AccountRecord => {
    const identities = users.identitiesOf(user.id)
    const emails = identities.filter(({ type }) => type === 'email')
    const primary = emails.find((each) => each.primary === true) ?? emails[0]
    const lines = identities.filter(
      ({ type, value }) => type === 'phone_number' && digits(value) !== digits(user.phone),
    )
    const values = filled({
      given: user.name,
      company: users.organizations.find(({ id }) => id === user.organization_id)?.name,
      email: primary?.value,
      email2: emails
        .filter((each) => each !== primary)
        .map(({ value }) => value)
        .join(', '),
      mobile: user.phone,
      work: lines.map(({ value }) => value).join(', '),
      note: user.notes,
      tags: user.tags.join(', '),
      own: user.details,
    })
    return { id: String(user.id), name: calledBy(values), values, abilities: ['merge'] }
  }
  const isEndUser = ({ active, role }: SimulatedUser): boolean => active && role === 'end-user'
  const setEmail = (id: number, value: string): void => {
    const emails = users.identitiesOf(id).filter(({ type }) => type === 'email')
    const primary = emails.find((each) => each.primary === true) ?? emails[0]
    if (value !== '') {
      const there = emails.find((each) => each.value === value.trim().toLowerCase())
      users.makePrimary(id, (there ?? users.addIdentity(id, { type: 'email', value })).id)
    }
    if (primary && primary.value !== value.trim().toLowerCase()) users.removeIdentity(id, primary.id)
  }
  const setFurther = (id: number, value: string): void => {
    const further = users.identitiesOf(id).filter(({ type, primary }) => type === 'email' && primary !== true)
    const wanted = listed(value.toLowerCase())
    for (const each of further) if (!wanted.includes(each.value)) users.removeIdentity(id, each.id)
    for (const address of wanted) {
      if (!further.some((each) => each.value === address)) users.addIdentity(id, { type: 'email', value: address })
    }
  }
  const organizations = new Map<string, number>()
  const organizationOf = (name: string): number => {
    const id = organizations.get(name) ?? users.addOrganization(name)
    organizations.set(name, id)
    return id
  }
  const userOf = (values: RowValues): UserInput => ({
    name: [values.given, values.family].filter(Boolean).join(' '),
    ...(values.email === undefined ? {} : { email: values.email }),
    ...(values.mobile === undefined ? {} : { phone: values.mobile }),
    ...(values.note === undefined ? {} : { notes: values.note }),
    ...(values.tags === undefined ? {} : { tags: listed(values.tags) }),
    ...(values.own === undefined ? {} : { details: values.own }),
    ...(values.company === undefined ? {} : { organization_id: organizationOf(values.company) }),
  })
  for (const person of people) person.at(() => refusing(() => users.add(userOf(inZendesk(person)))))
  return {
    url: simulator.url,
    account: {
      name: 'desk',
      product: 'Zendesk',
      noun: 'end user',
      hears: 'webhooks',
      fields: FIELDS,
      abilities: ['merge'],
      records: () => users.all().filter(isEndUser).map(shown),
      record: (id) => {
        const user = users.get(Number(id))
        return user && isEndUser(user) ? shown(user) : undefined
      },
      edit: (id, row, value) => {
        const user = Number(id)
        refusing(() => {
          if (row === 'email') setEmail(user, value)
          else if (row === 'email2') setFurther(user, value)
          else users.edit(user, inputFor(row, value))
        })
      },
      add: (values) => String(refusing(() => users.add(userOf(values))).id),
      remove: (id) => void users.remove(Number(id)),
      merge: (id, into) => String(users.merge(Number(id), Number(into)).id),
      act: () => undefined,
      follow: (hooksUrl) => {
        simulator.subscribe({ url: hooksUrl, secret: SECRETS.webhookSecret })
        return Promise.resolve()
      },
      close: () => simulator.close(),
    },
  }
}

export const ZENDESK = { secrets: SECRETS, email: ADMIN }

function inputFor(row: Row, value: string): UserInput {
  if (row === 'given') return { name: value }
  if (row === 'mobile') return { phone: value }
  if (row === 'note') return { notes: value }
  if (row === 'tags') return { tags: listed(value) }
  return { details: value }
}

function inZendesk({ given, family, company, emails, mobile, work, note, tags, ticket }: Contact): RowValues {
  return filled({
    given,
    family,
    company,
    email: emails?.[0],
    mobile: mobile ?? work,
    note,
    tags: tags?.join(', '),
    own: ticket,
  })
}

function digits(number: string | null): string {
  return (number ?? '').replace(/\D/g, '')
}

function refusing<Result>(act: () => Result): Result {
  try {
    return act()
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    throw new RefusedError(`Zendesk: ${error.sentence || error.message}`)
  }
}
