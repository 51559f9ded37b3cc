import { isRefusal, type Refusal, type SimulatedMember } from '../../../connectors/mailchimp/simulator-audience.ts'
import { startMailchimpSimulator } from '../../../connectors/mailchimp/simulator.ts'
import {
  calledBy,
  filled,
  listed,
  RefusedError,
  text,
  type Ability,
  type Account,
  type AccountRecord,
  type Row,
} from './account.ts'
import type { Opened } from './accounts.ts'

const FIELDS = [
  text('given', 'FNAME'),
  text('family', 'LNAME'),
  text('company', 'COMPANY'),
  text('title', 'JOBTITLE'),
  text('email', 'email_address'),
  text('work', 'PHONE'),
  text('street', 'ADDRESS', { rows: 4, readOnly: 'taken whole or not at all; it asks for a state, too' }),
  text('birthday', 'BIRTHDAY'),
  text('tags', 'tags'),
  text('consent', 'status', { kind: 'state', readOnly: 'the person decides, by a link in a mail' }),
]

const TAG = new Map<Row, string>([
  ['given', 'FNAME'],
  ['family', 'LNAME'],
  ['company', 'COMPANY'],
  ['title', 'JOBTITLE'],
  ['work', 'PHONE'],
  ['birthday', 'BIRTHDAY'],
])

const SECRETS = { apiKey: '0123456789abcdef-us6', webhookSecret: 'mailchimp-signing-secret' }
const AUDIENCE = '9e67587f52'

/** A Mailchimp account with one audience, and these people in it. */
export async function openMailchimp({ now, people }: Opened): Promise<{ account: Account; url: string }> {
  const simulator = await startMailchimpSimulator({
    apiKey: SECRETS.apiKey,
    audience: AUDIENCE,
    now,
    mergeFields: [{ tag: 'JOBTITLE', name: 'Job Title', type: 'text' }],
  })
  const { audience } = simulator
  const shown = (member: SimulatedMember): AccountRecord => {
    const merge = (tag: string): string | null => {
      const value = member.mergeFields.get(tag)
      return typeof value === 'string' ? value : null
    }
    const values = filled({
      ...Object.fromEntries([...TAG].map(([row, tag]) => [row, merge(tag)])),
      street: addressText(member.mergeFields.get('ADDRESS')),
      email: member.email,
      tags: [...member.tags.keys()].join(', '),
      consent: member.status === 'cleaned' ? 'cleaned (bounced)' : member.status,
    })
    const abilities: Ability[] = member.status === 'subscribed' ? ['unsubscribe', 'bounce'] : ['subscribe']
    return { id: member.contactId, name: calledBy(values), values, abilities }
  }
  const merges = (values: { readonly [row in Row]?: string }): { [tag: string]: string } =>
    Object.fromEntries(
      Object.entries(values).flatMap(([row, value]) => {
        const tag = TAG.get(row as Row)
        return tag === undefined ? [] : [[tag, value]]
      }),
    )
  const setTags = (member: SimulatedMember, value: string): void => {
    const wanted = listed(value)
    const gone = [...member.tags.keys()].filter((tag) => !wanted.includes(tag))
    audience.tag(member, [
      ...gone.map((name) => ({ name, status: 'inactive' })),
      ...wanted.map((name) => ({ name, status: 'active' })),
    ])
  }
  for (const person of people) {
    person.at(() => {
      const [email_address = ''] = person.emails ?? []
      const { status = 'subscribed' } = person
      const { given, family, company, title, work, birthday } = person
      const day = birthday?.slice(5).replace('-', '/')
      const merge_fields = merges(filled({ given, family, company, title, work, birthday: day }))
      const tags = person.tags ?? []
      const member = done(audience.add({ email_address, status: 'subscribed', merge_fields, tags }, 'admin'))
      if (status === 'unsubscribed') audience.optOut(member.contactId)
      if (status === 'cleaned') audience.bounce(member.contactId)
    })
  }
  return {
    url: simulator.url,
    account: {
      name: 'newsletter',
      product: 'Mailchimp',
      noun: 'member',
      hears: 'webhooks',
      fields: FIELDS,
      abilities: ['unsubscribe', 'subscribe', 'bounce'],
      records: () => audience.live().map(shown),
      record: (id) => {
        const member = audience.find(id)
        return member && member.status !== 'archived' ? shown(member) : undefined
      },
      edit: (id, row, value) => {
        const member = audience.get(id)
        if (row === 'tags') return setTags(member, value)
        const input = row === 'email' ? { email_address: value } : { merge_fields: merges({ [row]: value }) }
        done(audience.update(member, input, 'admin'))
      },
      add: (values) => {
        const { email = '' } = values
        const input = { email_address: email, status: 'subscribed' as const, merge_fields: merges(values) }
        const member = done(audience.add(input, 'admin'))
        audience.signUp(email)
        return member.contactId
      },
      remove: (id) => void audience.archive(id, 'admin'),
      merge: (id) => id,
      act: (id, ability) => {
        if (ability === 'unsubscribe') audience.optOut(id)
        if (ability === 'bounce') audience.bounce(id)
        if (ability === 'subscribe') audience.signUp(audience.get(id).email)
      },
      follow: async (hooksUrl) => {
        const sources = ['user', 'admin'] as const
        await simulator.hooks.subscribe({ url: hooksUrl, signingSecret: SECRETS.webhookSecret, sources })
      },
      close: () => simulator.close(),
    },
  }
}

export const MAILCHIMP = { secrets: SECRETS, audience: AUDIENCE }

function addressText(address: unknown): string {
  const { addr1, city, state, zip, country } = Object(address) as { [part: string]: string | undefined }
  return [addr1, city, state, zip, country].filter(Boolean).join(', ')
}

function done(result: SimulatedMember | Refusal): SimulatedMember {
  if (!isRefusal(result)) return result
  const details = result.errors?.map(({ field, message }) => `${field}: ${message}`) ?? []
  throw new RefusedError(`Mailchimp: ${details.length > 0 ? details.join('; ') : result.detail}`)
}
