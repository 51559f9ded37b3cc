import { RowRefusal, RequestRefusal, type SimulatedRow } from '../../../connectors/salesforce/simulator-org.ts'
import { startSalesforceSimulator } from '../../../connectors/salesforce/simulator.ts'
import { calledBy, filled, RefusedError, text, type Account, type AccountRecord, type Row } from './account.ts'
import type { Opened } from './accounts.ts'
import type { Contact } from './people.ts'

const FIELDS = [
  text('given', 'FirstName'),
  text('family', 'LastName'),
  text('company', 'Account.Name', { readOnly: 'the name of an account, which is a record of its own' }),
  text('title', 'Title'),
  text('email', 'Email'),
  text('mobile', 'MobilePhone'),
  text('work', 'Phone'),
  text('street', 'MailingStreet'),
  text('city', 'MailingCity'),
  text('postcode', 'MailingPostalCode'),
  text('country', 'MailingCountry'),
  text('birthday', 'Birthdate'),
  text('consent', 'HasOptedOutOfEmail', { kind: 'box' }),
  text('own', 'LeadSource', {
    kind: 'choice',
    choices: ['Web', 'Phone Inquiry', 'Partner Referral', 'Purchased List', 'Other'],
  }),
]

const COLUMN = new Map<Row, string>(
  FIELDS.filter(({ readOnly }) => readOnly === undefined).map(({ row, field }) => [row, field]),
)

const SECRETS = { accessToken: '00D-demo-session', webhookToken: 'salesforce-hook-7f3a9c21' }
const ORGANIZATION = '00DKith00000001MAA'

/** A Salesforce org with these contacts. */
export async function openSalesforce({ now, people }: Opened): Promise<{ account: Account; url: string }> {
  const simulator = await startSalesforceSimulator({
    accessToken: SECRETS.accessToken,
    organizationId: ORGANIZATION,
    keyField: 'Kith_Key__c',
    now,
  })
  const { org } = simulator
  const shown = (row: SimulatedRow): AccountRecord => {
    const accountId = row.values.get('AccountId')
    const read = (field: string): string | null => {
      const value =
        field === 'Account.Name'
          ? typeof accountId === 'string'
            ? org.get(accountId)?.values.get('Name')
            : null
          : row.values.get(field)
      return value == null || value === false ? null : String(value)
    }
    const values = filled(Object.fromEntries(FIELDS.map(({ row: name, field }) => [name, read(field)])))
    return { id: row.Id, name: calledBy(values), values, abilities: ['merge'] }
  }
  const columns = (values: { readonly [row in Row]?: string }): { [column: string]: unknown } =>
    Object.fromEntries(
      Object.entries(values).flatMap(([row, value]) => {
        const column = COLUMN.get(row as Row)
        if (column === undefined) return []
        return [[column, row === 'consent' ? value === 'true' : value === '' ? null : value]]
      }),
    )
  const living = (id: string): SimulatedRow | undefined => {
    const row = org.get(id)
    if (row?.masterId != null) return living(row.masterId)
    return row?.deleted === false ? row : undefined
  }
  const accounts = new Map<string, string>()
  const accountOf = (company: string | undefined): { [column: string]: string } => {
    if (company === undefined) return {}
    const id = accounts.get(company) ?? org.addAccount(company)
    accounts.set(company, id)
    return { AccountId: id }
  }
  for (const person of people) {
    person.at(() => org.create('Contact', { ...columns(inSalesforce(person)), ...accountOf(person.company) }))
  }
  return {
    url: simulator.url,
    account: {
      name: 'sales',
      product: 'Salesforce',
      noun: 'contact',
      hears: 'webhooks',
      fields: FIELDS,
      abilities: ['merge'],
      records: () => org.living().map(shown),
      record: (id) => {
        const row = living(id)
        return row && shown(row)
      },
      edit: (id, row, value) => void refusing(() => org.update(id, columns({ [row]: value }))),
      add: (values) => refusing(() => org.create('Contact', { ...columns(values), ...accountOf(values.company) }).Id),
      remove: (id) => org.remove(id),
      merge: (id, into) => org.merge(id, into),
      act: () => undefined,
      follow: (hooksUrl) => {
        const url = `${hooksUrl}/${SECRETS.webhookToken}`
        simulator.messages.subscribe({ url, organizationId: ORGANIZATION })
        return Promise.resolve()
      },
      close: () => simulator.close(),
    },
  }
}

export const SALESFORCE = { secrets: SECRETS, organizationId: ORGANIZATION }

function inSalesforce({ given, family, title, emails, mobile, work, address, birthday, optedOut, source }: Contact) {
  return filled({
    given,
    // No contact is without one.
    family: family ?? given,
    title,
    email: emails?.[0],
    mobile,
    work,
    street: address?.street,
    city: address?.city,
    postcode: address?.postcode,
    country: address?.country,
    birthday,
    consent: optedOut === true ? 'true' : null,
    own: source,
  })
}

function refusing<Result>(act: () => Result): Result {
  try {
    return act()
  } catch (error) {
    if (error instanceof RowRefusal) {
      const { message, statusCode } = error.error
      const fields = error.error.fields ?? []
      const what = message === statusCode ? statusCode.toLowerCase().replaceAll('_', ' ') : message
      throw new RefusedError(`Salesforce: ${what}${fields.length > 0 ? ` (${fields.join(', ')})` : ''}`)
    }
    if (error instanceof RequestRefusal) throw new RefusedError(`Salesforce: ${error.message}`)
    throw error
  }
}
