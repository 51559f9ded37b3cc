import { isRefusal, type Refusal, type SimulatedContact } from '../../../connectors/hubspot/simulator-contacts.ts'
import { startHubSpotSimulator } from '../../../connectors/hubspot/simulator.ts'
import {
  calledBy,
  filled,
  RefusedError,
  text,
  type Ability,
  type Account,
  type AccountRecord,
  type Row,
} from './account.ts'
import type { Opened } from './accounts.ts'
import type { Contact } from './people.ts'

const FIELDS = [
  text('given', 'firstname'),
  text('family', 'lastname'),
  text('company', 'company'),
  text('title', 'jobtitle'),
  text('email', 'email'),
  text('email2', 'hs_additional_emails'),
  text('mobile', 'mobilephone'),
  text('work', 'phone'),
  text('street', 'address'),
  text('city', 'city'),
  text('postcode', 'zip'),
  text('country', 'country'),
  text('birthday', 'date_of_birth'),
  text('consent', 'hs_email_optout', { kind: 'box', readOnly: 'the person decides, by a link in a mail' }),
  text('own', 'lifecyclestage', { kind: 'choice', choices: ['subscriber', 'lead', 'opportunity', 'customer'] }),
]

const PROPERTY = new Map<Row, string>(FIELDS.map(({ row, field }) => [row, field]))

const SECRETS = { token: 'pat-demo-4f1c', clientSecret: 'hubspot-client-secret' }
const PORTAL = 8675309

/** A HubSpot account with these contacts. */
export async function openHubSpot({ now, people }: Opened): Promise<{ account: Account; url: string }> {
  const simulator = await startHubSpotSimulator({ token: SECRETS.token, now })
  const { contacts } = simulator
  const properties = (values: { readonly [row in Row]?: string }): { [name: string]: string } =>
    Object.fromEntries(
      Object.entries(values).flatMap(([row, value]) => {
        const name = PROPERTY.get(row as Row)
        return name === undefined ? [] : [[name, value]]
      }),
    )
  const shown = (contact: SimulatedContact): AccountRecord => {
    const values = filled(
      Object.fromEntries(FIELDS.map(({ row, field }) => [row, contact.properties.get(field) ?? null])),
    )
    const mail: Ability[] = values.email === undefined ? [] : [values.consent === 'true' ? 'subscribe' : 'unsubscribe']
    return { id: contact.id, name: calledBy(values), values, abilities: ['merge', ...mail] }
  }
  for (const person of people) person.at(() => done(contacts.create(properties(inHubSpot(person)), 'IMPORT')))
  return {
    url: simulator.url,
    account: {
      name: 'crm',
      product: 'HubSpot',
      noun: 'contact',
      hears: 'webhooks',
      fields: FIELDS,
      abilities: ['merge', 'unsubscribe', 'subscribe'],
      records: () => contacts.live().map(shown),
      record: (id) => {
        const contact = contacts.resolve(id)
        return contact && shown(contact)
      },
      edit: (id, row, value) => {
        done(
          contacts.update(
            id,
            properties({ [row]: row === 'email2' ? value.replaceAll(/\s*[,;]\s*/g, ';') : value }),
            'CRM_UI',
          ),
        )
      },
      add: (values) => done(contacts.create(properties(values), 'CRM_UI')).id,
      remove: (id) => contacts.archive(id),
      merge: (id, into) => contacts.merge(into, id).id,
      act: (id, ability) => {
        const email = contacts.resolve(id)?.properties.get('email') ?? ''
        if (ability === 'unsubscribe') contacts.optOut(email)
        if (ability === 'subscribe') contacts.optIn(email)
      },
      follow: (hooksUrl) => {
        simulator.hook({ url: hooksUrl, clientSecret: SECRETS.clientSecret, portalId: PORTAL })
        return Promise.resolve()
      },
      close: () => simulator.close(),
    },
  }
}

export const HUBSPOT = { secrets: SECRETS, portal: PORTAL }

function inHubSpot({ given, family, company, title, emails = [], mobile, work, address, birthday, stage }: Contact) {
  const [email, ...further] = emails
  return filled({
    given,
    family,
    company,
    title,
    email,
    email2: further.join(';'),
    mobile,
    work,
    street: address?.street,
    city: address?.city,
    postcode: address?.postcode,
    country: address?.country,
    birthday,
    own: stage,
  })
}

function done(result: SimulatedContact | Refusal): SimulatedContact {
  if (!isRefusal(result)) return result
  const reasons = [...result.message.matchAll(/"error":"([A-Z_]+)"/g)].map(([, code = '']) =>
    code.toLowerCase().replaceAll('_', ' '),
  )
  throw new RefusedError(`HubSpot: ${reasons.length > 0 ? reasons.join(', ') : result.message}`)
}
