import { canonicalJson, isBlank, type Json, type JsonObject } from './json.ts'

/**
 * The canonical fields of a person, and what equality means for each. A set-valued field (emails, phones, tags) is kept
 * element by element: each element is a *cell* of its own, so that two apps may add to one set without a conflict.
 */
export type FieldType =
  'text' | 'multiline' | 'email' | 'phone' | 'address' | 'date' | 'url' | 'tag' | 'number' | 'boolean'

export const FIELD_TYPES: readonly FieldType[] = [
  'text',
  'multiline',
  'email',
  'phone',
  'address',
  'date',
  'url',
  'tag',
  'number',
  'boolean',
]

export interface FieldDef {
  readonly name: string
  readonly type: FieldType
  /** A set of elements rather than one value. */
  readonly set: boolean
  /** What people call it, for plans and messages. */
  readonly title: string
}

/**
 * One element of a set-valued field. `value` is as a human wrote it; an attribute left undefined is one that the app does
 * not speak of, and never erases what another app said.
 */
export interface Element {
  readonly value: Json
  readonly label?: string | null
  readonly pref?: boolean
}

/** The parts of a postal address; every part is optional. */
export interface Address {
  readonly pobox?: string
  readonly extended?: string
  readonly street?: string
  readonly locality?: string
  readonly region?: string
  readonly postcode?: string
  readonly country?: string
}

const scalar = (name: string, type: FieldType, title: string): FieldDef => ({ name, type, set: false, title })
const set = (name: string, type: FieldType, title: string): FieldDef => ({ name, type, set: true, title })

export const STANDARD_FIELDS: readonly FieldDef[] = [
  scalar('name.prefix', 'text', 'Prefix'),
  scalar('name.given', 'text', 'First name'),
  scalar('name.middle', 'text', 'Middle name'),
  scalar('name.family', 'text', 'Last name'),
  scalar('name.suffix', 'text', 'Suffix'),
  // Only where it differs from what the parts spell: "Mom", a company's name, a name that no one could split.
  scalar('name.display', 'text', 'Display name'),
  scalar('nickname', 'text', 'Nickname'),
  scalar('organisation', 'text', 'Organisation'),
  scalar('department', 'text', 'Department'),
  scalar('title', 'text', 'Job title'),
  // ISO date, or --MM-DD where the year is not known.
  scalar('birthday', 'date', 'Birthday'),
  scalar('note', 'multiline', 'Notes'),
  // A key that several apps share for the same person (a customer number): the strongest identifier.
  scalar('externalId', 'text', 'External id'),
  set('emails', 'email', 'E-mail'),
  set('phones', 'phone', 'Phone'),
  set('addresses', 'address', 'Address'),
  set('urls', 'url', 'Web page'),
  set('tags', 'tag', 'Tag'),
]

/** Not mapped as fields are, and never a person's cell: names for plans and the log. See consent.ts. */
export const CONSENT_FIELDS: readonly FieldDef[] = [
  scalar('consent.email', 'text', 'Consent to e-mail'),
  scalar('consent.phone', 'text', 'Consent to calls and texts'),
]

/**
 * Not cells either: names for the log's entries about the person as a whole, whose values are a state or (of a merge) a
 * {@link MergedState}, and a record that came to the person or went (`{connection, record}`). See undo.ts.
 */
export const PERSON_STATE = 'person.state'
export const PERSON_RECORD = 'person.record'
export const PERSON_FIELDS: readonly FieldDef[] = [
  scalar(PERSON_STATE, 'text', 'Person'),
  scalar(PERSON_RECORD, 'text', 'Record'),
]

/** Normal forms that need a library, handed in so that the core stays pure. */
export interface Normalisers {
  /** E.164 where the number can be read, else its digits. */
  phone(raw: string): string
}

/** A cell's name: the field's, or `field:normal-form` for one element of a set. */
export type CellKey = string

/** What a record or a person says, cell by cell. An absent cell is a blank one. Set cells hold an {@link Element}. */
export type Cells = { readonly [cell: CellKey]: Json }

export class Catalogue {
  readonly #fields: ReadonlyMap<string, FieldDef>
  readonly #mappable: readonly FieldDef[]
  readonly #normalisers: Normalisers

  /** @param custom fields beyond the standard ones; their names start with `custom.` */
  constructor(normalisers: Normalisers, custom: readonly FieldDef[] = []) {
    this.#normalisers = normalisers
    this.#mappable = [...STANDARD_FIELDS, ...custom]
    this.#fields = new Map([...this.#mappable, ...CONSENT_FIELDS, ...PERSON_FIELDS].map((field) => [field.name, field]))
  }

  /** The fields that a mapping can name. */
  get fields(): Iterable<FieldDef> {
    return this.#mappable
  }

  has(field: string): boolean {
    return this.#mappable.some(({ name }) => name === field)
  }

  /** @throws RangeError for a field that is not in the catalogue: configs are checked before they get here. */
  field(name: string): FieldDef {
    const def = this.#fields.get(name)
    if (!def) throw new RangeError(`no field named ${name} in the catalogue`)
    return def
  }

  /** The form under which two values of a field count as the same; the empty text for a blank. */
  normal(field: FieldDef, value: Json | undefined): string {
    if (isBlank(value) || value === undefined || value === null) return ''
    switch (field.type) {
      case 'email':
        return String(value).trim().normalize('NFC').toLowerCase()
      case 'phone':
        return this.#normalisers.phone(String(value))
      case 'tag':
        return squash(String(value)).toLowerCase()
      case 'url':
        return String(value).trim().replace(/\/+$/, '')
      case 'address':
        return normalAddress(value as JsonObject)
      case 'multiline':
        return String(value).normalize('NFC').replace(/\r\n?/g, '\n').trim()
      case 'number':
        return Number.isFinite(Number(value)) ? String(Number(value)) : String(value)
      case 'boolean':
        return String(value)
      case 'text':
      case 'date':
        return typeof value === 'string' ? squash(value) : canonicalJson(value)
    }
  }

  /** The cell that an element of a set belongs to. */
  elementCell(field: FieldDef, element: Element): CellKey {
    return `${field.name}:${this.normal(field, element.value)}`
  }

  /**
   * Whether two values of a cell are the same under the field's own equality. For elements of one set the key already says
   * that the values agree: what is left are the attributes, of which only those that both sides speak of are compared.
   */
  equal(cell: CellKey, a: Json | undefined, b: Json | undefined): boolean {
    const field = this.field(fieldOf(cell))
    if (!field.set) return this.normal(field, a) === this.normal(field, b)
    if (!isElement(a) || !isElement(b)) return !isElement(a) && !isElement(b)
    const labels = a.label === undefined || b.label === undefined || (a.label ?? null) === (b.label ?? null)
    const prefs = a.pref === undefined || b.pref === undefined || a.pref === b.pref
    return labels && prefs
  }
}

/** The field that a cell belongs to. */
export function fieldOf(cell: CellKey): string {
  const colon = cell.indexOf(':')
  return colon < 0 ? cell : cell.slice(0, colon)
}

export function isElement(value: Json | undefined): value is Json & Element & JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && 'value' in value
}

/** The elements of a set field among `cells`: preferred ones first, then by key, so that every reader sees one order. */
export function elementsOf(field: string, cells: Cells): Element[] {
  return Object.keys(cells)
    .filter((cell) => fieldOf(cell) === field && isElement(cells[cell]))
    .sort((a, b) => rank(cells[a]) - rank(cells[b]) || (a < b ? -1 : 1))
    .map((cell) => cells[cell] as unknown as Element)
}

function rank(value: Json | undefined): number {
  return isElement(value) && value.pref === true ? 0 : 1
}

function squash(text: string): string {
  return text.normalize('NFC').replace(/\s+/g, ' ').trim()
}

function normalAddress(address: JsonObject): string {
  const parts = ['pobox', 'extended', 'street', 'locality', 'region', 'postcode', 'country']
  return parts.map((part) => squash(String(address[part] ?? '')).toLowerCase()).join('|')
}
