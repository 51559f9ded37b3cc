import { isBlank, type Json, type JsonObject } from '../../engine/core/json.ts'
import type { AppField, AppRecord } from '../../engine/core/ports/connector.ts'
import { isListField } from './list-fields.ts'
import type { Contact, Property } from './wire.ts'

/**
 * All addresses of a contact as one list: the primary one (`email`) first, then the others (`hs_additional_emails`). Property
 * names have no dots, so that no account can have one of this name.
 */
export const EMAILS = 'email.all'
const PRIMARY = 'email'
const ADDITIONAL = 'hs_additional_emails'
export const MERGED = 'hs_merged_object_ids'

/** A property of this name that is unique lets Kith find its own creates without doubt. */
export const KEY_PROPERTY = 'kith_key'

/** The vendor's longest value of a text property. */
const LENGTH_MAX = 65_536

/** Consent is not written as if it were a field like others: what HubSpot lets the API write of it stays read-only here. */
const CONSENT =
  /^(hs_email_optout_|hs_email_bounce|hs_legal_basis$|hs_marketable_|hs_emailconfirmationstatus$|hs_whatsapp_|hs_sms_)/

/** The time of the contact itself, which changes with every change: it is in the revision. */
const NOT_A_FIELD = new Set(['lastmodifieddate', 'hs_lastmodifieddate'])

/** What an account's contacts have, by the properties it lists. */
export class ContactFields {
  readonly properties: ReadonlyMap<string, Property>

  constructor(properties: readonly Property[]) {
    const kept = properties.filter(({ name, archived }) => archived !== true && !NOT_A_FIELD.has(name))
    this.properties = new Map(kept.map((each) => [each.name, each]))
  }

  /** Whether creates can carry Kith's own key. */
  get hasKey(): boolean {
    return this.properties.get(KEY_PROPERTY)?.hasUniqueValue === true
  }

  get writesAdditional(): boolean {
    return this.isWritable(ADDITIONAL)
  }

  isWritable(name: string): boolean {
    const property = this.properties.get(name)
    if (!property || CONSENT.test(name)) return false
    // Read-only in itself; see opt-out.ts.
    if (name === 'hs_email_optout') return true
    return property.calculated !== true && property.modificationMetadata?.readOnlyValue !== true
  }

  /** As `kith check` and `kith fields` list them. */
  appFields(): AppField[] {
    const fields = [...this.properties.values()].map((property) => this.#appField(property))
    const all: AppField = {
      name: EMAILS,
      label: 'E-mail, primary and additional',
      type: 'list of e-mails',
      writable: true,
    }
    return this.properties.has(PRIMARY) ? [all, ...fields] : fields
  }

  #appField({ name, label, type, fieldType, options }: Property): AppField {
    const values = (options ?? []).filter(({ hidden }) => hidden !== true)
    return {
      name,
      label,
      type: fieldType === 'checkbox' ? 'enumeration, several separated by ;' : type,
      writable: this.isWritable(name),
      ...(values.length === 0
        ? {}
        : { options: values.map((option) => ({ value: option.value, label: option.label })) }),
      ...(type === 'string' ? { length_max: LENGTH_MAX } : {}),
    }
  }
}

/** The properties to ask for so that records hold these fields. */
export function propertiesFor(fields: readonly string[]): string[] {
  const names = fields
    .filter((field) => !isListField(field))
    .flatMap((field) => (field === EMAILS ? [PRIMARY, ADDITIONAL] : [field]))
  return [...new Set([...names, MERGED])]
}

/**
 * Equal exactly when nothing changed: HubSpot counts milliseconds, and notes every change of a contact there, but those of its lists
 * (see list-fields.ts).
 */
export function revOf(updatedAt_ms: number): string {
  return String(updatedAt_ms)
}

/** @param fields those asked for: what the answer does not name is blank */
export function recordFrom(contact: Contact, fields: readonly string[]): AppRecord {
  const times: { [field: string]: number } = {}
  const values: JsonObject = {}
  for (const field of fields) {
    if (isListField(field)) continue
    const sources = field === EMAILS ? [PRIMARY, ADDITIONAL] : [field]
    values[field] = field === EMAILS ? emailsOf(contact) : valueOf(contact, field)
    const known = sources.flatMap((name) => contact.propertiesWithHistory?.[name]?.[0]?.timestamp ?? [])
    if (known.length > 0) times[field] = Math.max(...known)
  }
  return {
    id: contact.id,
    rev: revOf(contact.updatedAt),
    modified_ms: contact.updatedAt,
    ...(contact.propertiesWithHistory === undefined ? {} : { fieldTimes_ms: times }),
    fields: values,
  }
}

function valueOf(contact: Contact, name: string): Json {
  const value = contact.properties[name] ?? null
  return value === '' ? null : value
}

function emailsOf(contact: Contact): Json {
  const primary = contact.properties[PRIMARY] ?? ''
  const others = listOf(contact.properties[ADDITIONAL])
  const all = [...(primary === '' ? [] : [primary]), ...others.filter((other) => !same(other, primary))]
  return all.length === 0 ? null : all
}

/** The ids that were merged into this contact, its own left out. */
export function mergedIds(contact: {
  readonly id: string
  readonly properties: { readonly [name: string]: string | null }
}): string[] {
  return listOf(contact.properties[MERGED]).filter((id) => id !== contact.id)
}

function listOf(text: string | null | undefined): string[] {
  return (text ?? '')
    .split(/[;,\s]+/)
    .map((item) => item.trim())
    .filter((item) => item !== '')
}

/** What to send for these fields; the empty text blanks a property. Properties that cannot be written are left out. */
export function propertiesFrom(fields: JsonObject, account: ContactFields | null): { [name: string]: string } {
  const properties: { [name: string]: string } = {}
  for (const [field, value] of Object.entries(fields)) {
    if (isListField(field)) continue
    if (field === EMAILS) Object.assign(properties, addressesFrom(value, account))
    else properties[field] = isBlank(value) ? '' : textOf(value)
  }
  return properties
}

function textOf(value: Json): string {
  if (Array.isArray(value)) return value.map(textOf).join(';')
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

function addressesFrom(value: Json, account: ContactFields | null): { [name: string]: string } {
  const [primary = '', ...others] = addressesIn(value)
  return {
    [PRIMARY]: primary,
    ...(account?.writesAdditional === false ? {} : { [ADDITIONAL]: others.join(';') }),
  }
}

/** The addresses in a list of texts, or of `{ value }`. */
function addressesIn(value: Json): string[] {
  return (Array.isArray(value) ? value : [value]).flatMap((item) => {
    const address = typeof item === 'object' && item !== null && !Array.isArray(item) ? item['value'] : item
    return typeof address === 'string' && address.trim() !== '' ? [address.trim()] : []
  })
}

/** The addresses that a new contact of these fields has, the primary one first. */
export function addressesOf(fields: JsonObject): string[] {
  const { [PRIMARY]: primary = '', [ADDITIONAL]: others = '' } = propertiesFrom(
    Object.fromEntries(Object.entries(fields).filter(([name]) => [EMAILS, PRIMARY, ADDITIONAL].includes(name))),
    null,
  )
  return [...new Set([primary, ...others.split(';')].filter((address) => address !== ''))]
}

export function same(a: string, b: string): boolean {
  return a.trim().normalize('NFC').toLowerCase() === b.trim().normalize('NFC').toLowerCase()
}
