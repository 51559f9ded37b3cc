import type { Json, JsonObject } from '../../../engine/core/json.ts'
import { startGoogleSimulator } from '../../../connectors/google/simulator.ts'
import type { Contact as Entry } from '../../../connectors/google/simulator-book.ts'
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
  text('given', 'names.givenName'),
  text('family', 'names.familyName'),
  text('company', 'organizations.name'),
  text('title', 'organizations.title'),
  text('email', 'emailAddresses[0]'),
  text('email2', 'emailAddresses[1]'),
  text('mobile', 'phoneNumbers (mobile)'),
  text('work', 'phoneNumbers (work)'),
  text('street', 'addresses.streetAddress'),
  text('city', 'addresses.city'),
  text('postcode', 'addresses.postalCode'),
  text('country', 'addresses.country'),
  text('birthday', 'birthdays'),
  text('note', 'biographies'),
  text('tags', 'memberships (labels)'),
]

const SECRETS = { accessToken: 'ya29.demo-access' }

type Item = { [part: string]: Json }
type Person = { readonly [field: string]: Json }

/** Where a row stands in a list: by its place, or by the type of the item. */
const PLACES: { readonly [row in Row]?: readonly [field: string, part: string] } = {
  given: ['names', 'givenName'],
  family: ['names', 'familyName'],
  company: ['organizations', 'name'],
  title: ['organizations', 'title'],
  street: ['addresses', 'streetAddress'],
  city: ['addresses', 'city'],
  postcode: ['addresses', 'postalCode'],
  country: ['addresses', 'country'],
  note: ['biographies', 'value'],
}

/** A Google account with its contacts. */
export async function openGoogle({ now, people }: Opened): Promise<{ account: Account; url: string }> {
  const simulator = await startGoogleSimulator({ accessToken: SECRETS.accessToken, now })
  const { book } = simulator
  const groupNamed = (name: string): string => {
    const known = book.groups().find((group) => group['name'] === name)
    return known ? String(known['resourceName']) : book.addGroup(name)
  }
  const groupNames = (): Map<string, JsonObject> =>
    new Map(book.groups().map((group) => [String(group['resourceName']), group]))
  const shown = ({ name: id, state }: Entry, names = groupNames()): AccountRecord => {
    const labels = itemsOf(state ?? {}, 'memberships').flatMap((item) => {
      const group = names.get(groupOf(item))
      return group?.['groupType'] === 'USER_CONTACT_GROUP' ? [String(group['name'])] : []
    })
    const values = filled({ ...valuesOf(state ?? {}), tags: labels.sort().join(', ') })
    return { id, name: calledBy(values), values, abilities: ['merge'] }
  }
  const living = (id: string): Entry => {
    const entry = book.contact(id, false)
    if (!entry?.state) throw new RefusedError('Google: the contact is not there any more')
    return entry
  }
  const memberships = (labels: readonly string[]): Json => [
    membership('contactGroups/myContacts'),
    ...labels.map((label) => membership(groupNamed(label))),
  ]
  const personOf = (values: RowValues): JsonObject => {
    let person: JsonObject = {}
    for (const [row, value] of Object.entries(values)) {
      if (row === 'tags') person = { ...person, memberships: memberships(listed(value)) }
      else person = { ...person, ...edited(person, row as Row, value) }
    }
    return person
  }
  for (const person of people) person.at(() => book.add(personOf(inGoogle(person))))
  return {
    url: simulator.rootUrl,
    account: {
      name: 'phones',
      product: 'Google Contacts',
      noun: 'contact',
      hears: 'polling',
      fields: FIELDS,
      abilities: ['merge'],
      records: () => {
        const names = groupNames()
        return book.all().map((entry) => shown(entry, names))
      },
      record: (id) => {
        const entry = book.contact(id, false)
        return entry?.state ? shown(entry) : undefined
      },
      edit: (id, row, value) => {
        const { name, state } = living(id)
        if (row === 'tags') return book.edit(name, { memberships: memberships(listed(value)) })
        book.edit(name, edited(state ?? {}, row, value))
      },
      add: (values) => book.add(personOf(values)),
      remove: (id) => book.remove(living(id).name),
      merge: (id, into) => {
        book.mergeDuplicates(living(id).name, living(into).name)
        return into
      },
      act: () => undefined,
      // It has no webhooks.
      follow: () => Promise.resolve(),
      close: () => simulator.close(),
    },
  }
}

export const GOOGLE = { secrets: SECRETS }

function inGoogle(person: Contact): RowValues {
  const { given, family, company, title, emails = [], mobile, work, address, birthday, note, tags } = person
  return filled({
    given,
    family,
    company,
    title,
    email: emails[0],
    email2: emails[1],
    mobile,
    work,
    ...address,
    birthday,
    note,
    tags: tags?.join(', '),
  })
}

function valuesOf(person: Person): { [row in Row]?: string | null } {
  const phones = itemsOf(person, 'phoneNumbers')
  const emails = itemsOf(person, 'emailAddresses')
  const mobile = phones.findIndex(isMobile)
  const plain = Object.entries(PLACES).map(([row, [field, part]]) => [row, partOf(itemsOf(person, field)[0], part)])
  return {
    ...(Object.fromEntries(plain) as { [row in Row]?: string }),
    email: partOf(emails[0], 'value'),
    email2: emails
      .slice(1)
      .map((item) => partOf(item, 'value'))
      .join(', '),
    mobile: partOf(phones[mobile], 'value'),
    work: phones
      .filter((_, index) => index !== mobile)
      .map((item) => partOf(item, 'value'))
      .join(', '),
    birthday: dateText(itemsOf(person, 'birthdays')[0]),
  }
}

/** The fields that the editor of the web page would send for an edit of one of its boxes. */
function edited(person: Person, row: Row, value: string): JsonObject {
  const place = PLACES[row]
  if (place) {
    const [field, part] = place
    const [first = {}, ...others] = itemsOf(person, field)
    const { [part]: _, ...rest } = first
    const item = value === '' ? rest : { ...rest, [part]: value }
    const isEmpty = Object.keys(item).every((name) => ['metadata', 'formattedType', 'type'].includes(name))
    return { [field]: [...(isEmpty ? [] : [withoutWorkedOut(item)]), ...others] }
  }
  if (row === 'birthday') {
    const parts = /^(?:(\d{4})-|--)(\d{2})-(\d{2})$/.exec(value)
    if (value !== '' && !parts) throw new RefusedError('Google: a birthday is written as 1985-04-12')
    const [, year, month, day] = parts ?? []
    return {
      birthdays: parts
        ? [{ date: { ...(year ? { year: Number(year) } : {}), month: Number(month), day: Number(day) } }]
        : [],
    }
  }
  if (row === 'email' || row === 'email2') {
    const [first, ...others] = itemsOf(person, 'emailAddresses')
    if (row === 'email') {
      const kept = value === '' ? [] : [{ ...plainItem(first), value }]
      return { emailAddresses: [...kept, ...others.map(plainItem)] }
    }
    return { emailAddresses: [...(first ? [plainItem(first)] : []), ...listed(value).map((each) => ({ value: each }))] }
  }
  if (row !== 'mobile' && row !== 'work') throw new RefusedError('Google: it has no such field')
  const phones = itemsOf(person, 'phoneNumbers')
  const mobile = phones.findIndex(isMobile)
  const fresh = listed(value).map((number) => ({ value: number, type: row }))
  if (row === 'mobile') {
    return { phoneNumbers: [...fresh, ...phones.filter((_, index) => index !== mobile).map(plainItem)] }
  }
  const own = phones[mobile]
  return { phoneNumbers: [...(own ? [plainItem(own)] : []), ...fresh] }
}

function isMobile(item: Item): boolean {
  return item['type'] === 'mobile'
}

function itemsOf(person: Person, field: string): Item[] {
  const items = person[field]
  return Array.isArray(items) ? (items as Item[]) : []
}

function partOf(item: Item | undefined, part: string): string {
  const value = item?.[part]
  return typeof value === 'string' ? value : ''
}

/** An item without what Google adds to it. */
function plainItem(item: Item | undefined): Item {
  const { metadata: _metadata, formattedType: _type, canonicalForm: _form, ...plain } = item ?? {}
  return plain
}

function withoutWorkedOut(item: Item): Item {
  const { displayName: _a, displayNameLastFirst: _b, unstructuredName: _c, formattedValue: _d, ...rest } = item
  return plainItem(rest)
}

function dateText(item: Item | undefined): string {
  const { year, month, day } = Object(item?.['date']) as { year?: number; month?: number; day?: number }
  if (month === undefined || day === undefined) return ''
  const two = (part: number): string => String(part).padStart(2, '0')
  return `${year === undefined ? '-' : year}-${two(month)}-${two(day)}`
}

function membership(contactGroupResourceName: string): Json {
  return { contactGroupMembership: { contactGroupResourceName } }
}

function groupOf(item: Item): string {
  const { contactGroupResourceName = '' } = Object(item['contactGroupMembership']) as {
    contactGroupResourceName?: string
  }
  return contactGroupResourceName
}
