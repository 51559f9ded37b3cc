import { createHash } from 'node:crypto'
import { canonicalJson, isBlank, type Json, type JsonObject } from '../../engine/core/json.ts'
import type { AppField, AppRecord } from '../../engine/core/ports/connector.ts'
import { ID_PREFIXES, SOBJECTS, type Description, type FieldDescription, type Row, type SObject } from './wire.ts'

/**
 * Contacts and leads are one kind of record here. A field has the name that contacts have for it; where leads call the same
 * thing something else, this is what they call it.
 */
const COLUMNS: { readonly [name in SObject]: { readonly [field: string]: string } } = {
  // The name of the account, which is a row of its own: read, and never written.
  Contact: { Company: 'Account.Name' },
  Lead: {
    MailingStreet: 'Street',
    MailingCity: 'City',
    MailingState: 'State',
    MailingStateCode: 'StateCode',
    MailingPostalCode: 'PostalCode',
    MailingCountry: 'Country',
    MailingCountryCode: 'CountryCode',
  },
}

/** Read with every row. */
const OF_EVERY_ROW = ['Id', 'IsDeleted', 'MasterRecordId', 'SystemModstamp', 'LastModifiedDate', 'CreatedDate']
const OF_LEADS = ['IsConverted', 'ConvertedContactId']

/** Salesforce's own word where a required field is not known (web-to-lead writes it into Company). */
export const STAND_IN = '[not provided]'
/** What no row can be without. */
const REQUIRED: { readonly [name in SObject]: readonly string[] } = {
  Contact: ['LastName'],
  Lead: ['LastName', 'Company'],
}

/** Bookkeeping of Salesforce's, and parts of addresses put together, which are read part by part. */
const NOT_A_FIELD =
  /^(Id|IsDeleted|MasterRecordId|SystemModstamp|(Created|LastModified)(Date|ById)|Last(Activity|Viewed|Referenced)Date|IsConverted|Converted\w+|PhotoUrl)$/
const NOT_A_VALUE = new Set(['address', 'location', 'base64', 'complexvalue', 'anyType'])
/** The bounce is Salesforce's to find, although its API would let anyone write it. */
const READ_ONLY = /^(EmailBounced(Reason|Date)|IsEmailBounced)$/

interface Column {
  /** As SOQL has it: `Title`, `Account.Name`. */
  readonly path: string
  readonly description: FieldDescription
  readonly updateable: boolean
  readonly createable: boolean
}

/** What an org's contacts and leads have, by its own description. */
export class Schema {
  readonly objects: readonly SObject[]
  /** The unique field that takes Kith's own key, where the connection has one. */
  readonly keyField: string | undefined
  readonly #columns: ReadonlyMap<SObject, ReadonlyMap<string, Column>>

  constructor(objects: readonly SObject[], descriptions: readonly Description[], keyField?: string) {
    this.objects = objects
    this.keyField = keyField
    this.#columns = new Map(
      objects.map((object) => {
        const found = descriptions.find(({ name }) => name === object)
        return [object, columnsOf(object, found?.fields ?? [])]
      }),
    )
  }

  column(object: SObject, field: string): Column | undefined {
    return this.#columns.get(object)?.get(field)
  }

  /** As `kith check` and `kith fields` list them. */
  appFields(): AppField[] {
    const names = new Set(this.objects.flatMap((object) => [...(this.#columns.get(object)?.keys() ?? [])]))
    return [...names].map((name) => {
      const having = this.objects.filter((object) => this.column(object, name))
      const columns = having.flatMap((object) => this.column(object, name) ?? [])
      const [{ description } = { description: { label: name, type: 'string' } as FieldDescription }] = columns
      const options = optionsOf(columns.map((column) => column.description))
      const lengths = columns.flatMap((column) => (isText(column.description) ? (column.description.length ?? []) : []))
      const only = having.length === this.objects.length ? '' : ` (${having.map(plural).join()} only)`
      return {
        name,
        label: `${description.label}${only}`,
        type: typeOf(description),
        writable: name !== this.keyField && columns.some(({ updateable }) => updateable),
        ...(lengths.length === 0 ? {} : { length_max: Math.min(...lengths) }),
        ...(options.length === 0 ? {} : { options }),
      }
    })
  }

  /** The columns to ask for so that records hold these fields. */
  columnsFor(object: SObject, fields: readonly string[]): string[] {
    const paths = fields.flatMap((field) => this.column(object, field)?.path ?? [])
    const key = this.keyField === undefined ? [] : [this.keyField]
    return [...new Set([...OF_EVERY_ROW, ...(object === 'Lead' ? OF_LEADS : []), ...key, ...paths])]
  }

  /** @param fields those asked for: what the object does not have is blank */
  record(object: SObject, row: Row, fields: readonly string[]): AppRecord {
    const values: JsonObject = {}
    for (const field of fields) {
      const column = this.column(object, field)
      values[field] = column === undefined ? null : read(row, column.path)
    }
    return {
      id: row.Id,
      rev: revOf(row.SystemModstamp, values),
      // The modstamp also moves when Salesforce itself touches the row: the edit then was earlier.
      modified_ms: row.LastModifiedDate,
      fields: values,
    }
  }

  /**
   * What to send for these fields. Those that the object has not, or that cannot be written, are left out: what Salesforce
   * then answers with shows it.
   */
  payload(object: SObject, fields: JsonObject, op: 'create' | 'update'): JsonObject {
    const payload: JsonObject = {}
    for (const [field, value] of Object.entries(fields)) {
      const column = this.column(object, field)
      if (!column || field === this.keyField || !(op === 'create' ? column.createable : column.updateable)) continue
      const sent = written(column, value)
      if (sent !== undefined && !(op === 'create' && sent === null)) payload[column.path] = sent
    }
    for (const name of REQUIRED[object]) {
      if (op === 'create' ? payload[name] === undefined : payload[name] === null) payload[name] = STAND_IN
    }
    return payload
  }
}

/** Which object an id is of; undefined for none of ours. */
export function objectOf(id: string): SObject | undefined {
  return /^[0-9A-Za-z]{15,18}$/.test(id) ? SOBJECTS.find((object) => id.startsWith(ID_PREFIXES[object])) : undefined
}

/** What people call several of them. */
export function plural(object: SObject): string {
  return `${object.toLowerCase()}s`
}

/** SystemModstamp counts whole seconds, and two edits fit into one: what the row says is part of its revision. */
function revOf(modstamp_ms: number, values: JsonObject): string {
  return createHash('sha256')
    .update(`${modstamp_ms} ${canonicalJson(values)}`)
    .digest('base64url')
    .slice(0, 16)
}

function columnsOf(object: SObject, descriptions: readonly FieldDescription[]): ReadonlyMap<string, Column> {
  const names = new Map(Object.entries(COLUMNS[object]).map(([field, path]) => [path, field]))
  const columns = new Map<string, Column>()
  for (const description of descriptions) {
    if (NOT_A_FIELD.test(description.name) || NOT_A_VALUE.has(description.type)) continue
    const isWritable = !READ_ONLY.test(description.name)
    columns.set(names.get(description.name) ?? description.name, {
      path: description.name,
      description,
      updateable: isWritable && description.updateable === true,
      createable: isWritable && description.createable === true,
    })
  }
  if (object === 'Contact' && columns.has('AccountId')) {
    const description: FieldDescription = { name: 'Company', label: 'Account Name', type: 'string', length: 255 }
    columns.set('Company', { path: 'Account.Name', description, updateable: false, createable: false })
  }
  return columns
}

function isText({ type, length }: FieldDescription): boolean {
  return length !== undefined && length > 0 && ['string', 'textarea', 'phone', 'email', 'url'].includes(type)
}

function typeOf({ type }: FieldDescription): string {
  return type === 'multipicklist' ? 'multipicklist, several separated by ;' : type
}

/** The values that people can choose now, by what the API calls them; of both objects where both have the field. */
function optionsOf(descriptions: readonly FieldDescription[]): NonNullable<AppField['options']> {
  const listed = descriptions.flatMap(({ picklistValues }) => (picklistValues ?? []).filter(({ active }) => active))
  const labels = new Map(listed.toReversed().map(({ value, label }) => [value, label]))
  return [...new Set(listed.map(({ value }) => value))].map((value) => {
    const label = labels.get(value) ?? null
    return { value, ...(label === null ? {} : { label }) }
  })
}

function read(row: Row, path: string): Json {
  let value: unknown = row
  for (const part of path.split('.')) value = (value as { readonly [name: string]: unknown } | null | undefined)?.[part]
  if (value === undefined || value === '' || value === STAND_IN) return null
  return value as Json
}

/** undefined: better not sent. */
function written({ description }: Column, value: Json): Json | undefined {
  const { type } = description
  // A box is ticked or not: blank says nothing about it, and must not untick an opt-out.
  if (isBlank(value)) return type === 'boolean' ? undefined : null
  if (type === 'boolean') return typeof value === 'boolean' ? value : String(value).toLowerCase() === 'true'
  if (['int', 'double', 'currency', 'percent', 'long'].includes(type)) {
    const number = Number(value)
    return Number.isFinite(number) ? number : String(value)
  }
  if (Array.isArray(value)) return value.map(String).join(';')
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}
