import type { Json, JsonObject } from '../../engine/core/json.ts'
import type { AppField } from '../../engine/core/ports/connector.ts'
import { labelOf } from './labels.ts'
import type { Person } from './wire.ts'

/**
 * A person of the People API as app fields. They bear Google's names. Where Google has a list and a contact one of the kind
 * that people mean (its name, its birthday, its company), the field speaks of that one.
 */

type Shape = 'name' | 'text' | 'list' | 'addresses' | 'organization' | 'date' | 'groups' | 'keyed'

interface FieldSpec {
  readonly shape: Shape
  readonly label: string
  readonly type: string
}

const FIELDS = {
  names: {
    shape: 'name',
    label: 'Name',
    type: 'object of givenName, familyName, middleName, honorificPrefix, honorificSuffix',
  },
  nicknames: { shape: 'text', label: 'Nickname', type: 'text' },
  emailAddresses: { shape: 'list', label: 'E-mail', type: 'list' },
  phoneNumbers: { shape: 'list', label: 'Phone', type: 'list' },
  addresses: { shape: 'addresses', label: 'Address', type: 'list' },
  organizations: { shape: 'organization', label: 'Company', type: 'object of name, department, title' },
  birthdays: { shape: 'date', label: 'Birthday', type: 'date' },
  urls: { shape: 'list', label: 'Website', type: 'list' },
  biographies: { shape: 'text', label: 'Notes', type: 'text of several lines' },
  memberships: { shape: 'groups', label: 'Labels', type: 'list of texts' },
  userDefined: { shape: 'keyed', label: 'Custom fields', type: 'object of texts, by the name of the field' },
  externalIds: { shape: 'keyed', label: 'External ids', type: 'object of texts, by type' },
} as const satisfies { readonly [name: string]: FieldSpec }

export type FieldName = keyof typeof FIELDS

export const FIELD_NAMES = Object.keys(FIELDS) as FieldName[]

export const APP_FIELDS: readonly AppField[] = FIELD_NAMES.map((name) => ({
  name,
  label: FIELDS[name].label,
  type: FIELDS[name].type,
  writable: true,
}))

export function isField(name: string): name is FieldName {
  return Object.hasOwn(FIELDS, name)
}

export function shapeOf(field: FieldName): Shape {
  return FIELDS[field].shape
}

/** One entry of a person's field: what it holds besides the parts that Kith speaks of is never lost. */
export type Item = { readonly [part: string]: unknown }

/** The entries that are the contact's own, and not its linked profile's. */
export function itemsOf(person: Person | null, field: FieldName | 'clientData'): readonly Item[] {
  const items = (person?.[field] ?? []) as readonly Item[]
  return items.filter((item) => {
    const { source } = (item['metadata'] ?? {}) as { source?: { type?: string } }
    return source?.type === undefined || source.type === 'CONTACT'
  })
}

export function textOf(item: Item | undefined, part: string): string {
  const value = item?.[part]
  return typeof value === 'string' ? value : ''
}

export const NAME_PARTS = ['givenName', 'familyName', 'middleName', 'honorificPrefix', 'honorificSuffix']
export const ORGANIZATION_PARTS = ['name', 'department', 'title']

/** Kith's parts of an address, and Google's. */
export const ADDRESS_PARTS: { readonly [part: string]: string } = {
  pobox: 'poBox',
  extended: 'extendedAddress',
  street: 'streetAddress',
  locality: 'city',
  region: 'region',
  postcode: 'postalCode',
  country: 'country',
}

/** Where the key and the value of a keyed field's entries stand. */
export const KEYED: { readonly [field: string]: string } = { userDefined: 'key', externalIds: 'type' }

/** Which of several organizations is meant: the present one, else the first. -1 where there is none. */
export function presentOrganization(items: readonly Item[]): number {
  const current = items.findIndex((item) => item['current'] === true)
  if (current >= 0) return current
  return items.length > 0 ? 0 : -1
}

/** Which nickname is meant: a plain one, not a maiden name or initials. -1 where there is none. */
export function plainNickname(items: readonly Item[]): number {
  return items.findIndex((item) => ['', 'DEFAULT'].includes(textOf(item, 'type')))
}

/** The names of the user's own groups, by resource name. */
export type GroupNames = ReadonlyMap<string, string>

/** The groups of a person, as labels; sorted, because Google promises no order. */
export function labelsOf(person: Person | null, groups: GroupNames): string[] {
  return itemsOf(person, 'memberships')
    .flatMap((item) => groups.get(groupOf(item)) ?? [])
    .sort()
}

/** The groups of a person, by resource name, the system's among them. */
export function groupsOf(person: Person | null): string[] {
  return itemsOf(person, 'memberships').map(groupOf).filter(Boolean)
}

export function groupOf(item: Item): string {
  const { contactGroupMembership } = item as { contactGroupMembership?: Item }
  return textOf(contactGroupMembership, 'contactGroupResourceName')
}

/** What the person says in each of the fields, null for the blank ones. */
export function fieldsOf(person: Person, fields: readonly FieldName[], groups: GroupNames): JsonObject {
  return Object.fromEntries(fields.map((field) => [field, fieldOf(person, field, groups)]))
}

function fieldOf(person: Person, field: FieldName, groups: GroupNames): Json {
  const items = itemsOf(person, field)
  switch (shapeOf(field)) {
    case 'name':
      return partsOf(items[0], NAME_PARTS)
    case 'organization':
      return partsOf(items[presentOrganization(items)], ORGANIZATION_PARTS)
    case 'text':
      return textOf(items[field === 'nicknames' ? plainNickname(items) : 0], 'value') || null
    case 'date':
      return dateOf(items[0])
    case 'groups':
      return orNull(labelsOf(person, groups))
    case 'list':
      return orNull(
        items
          .filter((item) => textOf(item, 'value') !== '')
          .map((item) => ({ value: textOf(item, 'value'), label: labelOf(field, textOf(item, 'type')) })),
      )
    case 'addresses':
      return orNull(
        items.flatMap((item) => {
          const value = addressOf(item)
          return value === null ? [] : [{ value, label: labelOf(field, textOf(item, 'type')) }]
        }),
      )
    case 'keyed':
      return keyedOf(items, KEYED[field] ?? 'key')
  }
}

function orNull(list: Json[]): Json {
  return list.length === 0 ? null : list
}

function partsOf(item: Item | undefined, names: readonly string[]): Json {
  const said = names.filter((name) => textOf(item, name) !== '')
  return said.length === 0 ? null : Object.fromEntries(said.map((name) => [name, textOf(item, name)]))
}

/** The parts of an address; where it has none, its whole text stands as the street. null for a blank one. */
export function addressOf(item: Item): JsonObject | null {
  const said = Object.entries(ADDRESS_PARTS).filter(([, theirs]) => textOf(item, theirs) !== '')
  if (said.length > 0) return Object.fromEntries(said.map(([ours, theirs]) => [ours, textOf(item, theirs)]))
  const whole = textOf(item, 'formattedValue')
  return whole === '' ? null : { street: whole }
}

/** `1985-04-12`, `--04-12` without a year; as it was typed where it is no whole date. */
function dateOf(item: Item | undefined): string | null {
  const { year = 0, month = 0, day = 0 } = (item?.['date'] ?? {}) as { year?: number; month?: number; day?: number }
  const two = (number: number): string => String(number).padStart(2, '0')
  if (month > 0 && day > 0) return `${year > 0 ? String(year).padStart(4, '0') : '-'}-${two(month)}-${two(day)}`
  if (year > 0) return month > 0 ? `${year}-${two(month)}` : String(year)
  return textOf(item, 'text') || null
}

/** Of several entries with one key the first counts. */
function keyedOf(items: readonly Item[], keyPart: string): Json {
  const said: JsonObject = {}
  for (const item of items) {
    const [key, value] = [textOf(item, keyPart), textOf(item, 'value')]
    if (key !== '' && value !== '' && !Object.hasOwn(said, key)) said[key] = value
  }
  return Object.keys(said).length === 0 ? null : said
}
