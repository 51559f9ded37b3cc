import { comparable } from './simulator-soql.ts'
import { fieldsOf, type SimulatedField } from './simulator-fields.ts'
import { SOBJECTS, type RowError, type SObject } from './wire.ts'

export interface SimulatedRow {
  readonly Id: string
  readonly object: SObject | 'Account'
  deleted: boolean
  masterId: string | null
  convertedContactId: string | null
  readonly created_ms: number
  modified_ms: number
  modstamp_ms: number
  readonly values: Map<string, Value>
}

export type Value = string | number | boolean | null

/** What a person or a program types in. */
export interface Values {
  readonly [column: string]: unknown
}

/** A refusal of one record. */
export class RowRefusal extends Error {
  readonly error: RowError

  constructor(statusCode: string, fields: readonly string[] = [], message = statusCode) {
    super(message)
    this.error = { statusCode, message, fields: [...fields] }
  }
}

/** A refusal of a request as a whole, for something that is no record's own fault. */
export class RequestRefusal extends Error {
  readonly errorCode: string
  readonly status: number

  constructor(errorCode: string, message: string, status = 400) {
    super(message)
    this.errorCode = errorCode
    this.status = status
  }
}

const PREFIXES: { readonly [name in SimulatedRow['object']]: string } = { Contact: '003', Lead: '00Q', Account: '001' }
const TEXTS = new Set(['string', 'textarea', 'phone', 'email', 'url', 'picklist', 'multipicklist'])
/** Salesforce's own checks are about so strict. */
const EMAIL = /^[^\s@]+@[^\s@]+\.[^\s@]+$/
const DAY_MS = 24 * 60 * 60_000
const RECYCLE_BIN_MS = 15 * DAY_MS

export interface OrgOptions {
  readonly now: () => number
  /** Fields that contacts and leads both have. */
  readonly custom: readonly SimulatedField[]
  /** Called after every change of a contact or lead that would set off a flow. */
  readonly changed: (row: SimulatedRow) => void
}

/** The people of a simulated org, as its users see them and as its API writes them. */
export class SimulatedOrg {
  readonly #options: OrgOptions
  readonly #rows = new Map<string, SimulatedRow>()
  readonly #fields: ReadonlyMap<SObject, readonly SimulatedField[]>
  #count = 0
  /** A rule that finds people by their e-mail address: off, with a warning, or blocking. */
  duplicateRule: 'off' | 'warn' | 'block' = 'off'
  /** Whom the active assignment rule hands leads to. */
  assignedOwner: string | null = null

  constructor(options: OrgOptions) {
    this.#options = options
    this.#fields = new Map(SOBJECTS.map((object) => [object, fieldsOf(object, options.custom)]))
  }

  fields(object: SObject): readonly SimulatedField[] {
    return this.#fields.get(object) ?? []
  }

  /** All rows of an object, those in the recycle bin too, in the order they were made. */
  rows(object: SObject): SimulatedRow[] {
    const oldest_ms = this.#options.now() - RECYCLE_BIN_MS
    return [...this.#rows.values()].filter(
      (row) => row.object === object && !(row.deleted && row.modstamp_ms < oldest_ms),
    )
  }

  /** What people see in the lists: neither deleted nor converted. */
  living(): SimulatedRow[] {
    return SOBJECTS.flatMap((object) => this.rows(object)).filter(
      ({ deleted, convertedContactId }) => !deleted && convertedContactId === null,
    )
  }

  get(id: string): SimulatedRow | undefined {
    return this.#rows.get(id)
  }

  addAccount(name: string): string {
    return this.#add('Account', new Map([['Name', name]])).Id
  }

  /** @throws RowRefusal */
  create(
    object: SObject,
    values: Values,
    how: { allowSave?: boolean; assign?: boolean; at_ms?: number } = {},
  ): SimulatedRow {
    const typed = this.#typed(object, values, 'createable')
    for (const name of object === 'Lead' ? ['LastName', 'Company'] : ['LastName']) {
      if ((typed.get(name) ?? null) === null) throw new RowRefusal('REQUIRED_FIELD_MISSING', [name])
    }
    this.#checkUnique(object, undefined, typed)
    this.#checkDuplicates(object, typed, how.allowSave === true)
    const defaults = object === 'Lead' ? [['Status', 'Open - Not Contacted'] as const] : []
    const boxes = this.fields(object).filter(({ type, createable }) => type === 'boolean' && createable === true)
    const row = this.#add(
      object,
      new Map<string, Value>([...boxes.map(({ name }) => [name, false] as const), ...defaults, ...typed]),
      how.at_ms,
    )
    if (object === 'Lead' && how.assign === true && this.assignedOwner !== null)
      row.values.set('OwnerId', this.assignedOwner)
    this.#options.changed(row)
    return row
  }

  /** @throws RowRefusal */
  update(id: string, values: Values, how: { assign?: boolean } = {}): SimulatedRow {
    const row = this.#rows.get(id)
    if (!row || row.object === 'Account')
      throw new RowRefusal('INVALID_CROSS_REFERENCE_KEY', [], 'invalid cross reference id')
    if (row.deleted) throw new RowRefusal('ENTITY_IS_DELETED', [], 'entity is deleted')
    if (row.convertedContactId !== null) throw new RowRefusal('CANNOT_UPDATE_CONVERTED_LEAD')
    const typed = this.#typed(row.object, values, 'updateable')
    for (const name of row.object === 'Lead' ? ['LastName', 'Company'] : ['LastName']) {
      if (typed.get(name) === null) throw new RowRefusal('REQUIRED_FIELD_MISSING', [name])
    }
    this.#checkUnique(row.object, id, typed)
    for (const [name, value] of typed) row.values.set(name, value)
    if (row.object === 'Lead' && how.assign === true && this.assignedOwner !== null)
      row.values.set('OwnerId', this.assignedOwner)
    this.#touch(row)
    return row
  }

  /** @throws RowRefusal */
  remove(id: string): void {
    const row = this.#rows.get(id)
    if (!row) throw new RowRefusal('INVALID_CROSS_REFERENCE_KEY', [], 'invalid cross reference id')
    if (row.deleted) throw new RowRefusal('ENTITY_IS_DELETED', [], 'entity is deleted')
    row.deleted = true
    this.#touch(row)
  }

  undelete(id: string): void {
    const row = this.#expect(id)
    row.deleted = false
    row.masterId = null
    this.#touch(row)
  }

  /** Takes a row out of the recycle bin for good, or deletes it past it: no trace is left. */
  erase(id: string): void {
    this.#rows.delete(id)
  }

  /** @returns the id that stands */
  merge(loser: string, winner: string): string {
    const [from, into] = [this.#expect(loser), this.#expect(winner)]
    if (from.object !== into.object) throw new Error('only records of one object are merged')
    from.deleted = true
    from.masterId = winner
    for (const [name, value] of from.values) if ((into.values.get(name) ?? null) === null) into.values.set(name, value)
    this.#touch(from)
    this.#touch(into)
    return winner
  }

  /**
   * As programs merge: the values of the one that stands stay as they are.
   * @throws RowRefusal where nothing was done
   */
  mergeInto(object: SObject, master: string, losers: readonly string[]): void {
    const rows = [master, ...losers].map((id) => {
      const row = this.#rows.get(id)
      if (row?.object !== object || losers.includes(master)) {
        throw new RowRefusal('INVALID_CROSS_REFERENCE_KEY', [], `invalid cross reference id ${id}`)
      }
      if (row.deleted) throw new RowRefusal('ENTITY_IS_DELETED', [], 'entity is deleted')
      if (row.convertedContactId !== null) throw new RowRefusal('CANNOT_UPDATE_CONVERTED_LEAD')
      return row
    })
    const [into, ...ended] = rows as [SimulatedRow, ...SimulatedRow[]]
    for (const row of ended) {
      row.deleted = true
      row.masterId = into.Id
      this.#touch(row)
    }
    this.#touch(into)
  }

  /** Turns a lead into a contact of an account. @returns the contact's id */
  convert(id: string): string {
    const lead = this.#expect(id)
    const account = this.addAccount(String(lead.values.get('Company')))
    const names: { readonly [column: string]: string } = Object.fromEntries(
      ['Street', 'City', 'State', 'PostalCode', 'Country'].map((part) => [part, `Mailing${part}`]),
    )
    const known = new Set(
      this.fields('Contact')
        .filter(({ createable }) => createable)
        .map(({ name }) => name),
    )
    const taken = [...lead.values].map(([name, value]) => [names[name] ?? name, value] as const)
    const values = new Map<string, Value>(taken.filter(([name]) => known.has(name)))
    // A field that must be unique goes with the lead.
    for (const { name, unique } of this.fields('Contact')) if (unique === true) values.delete(name)
    const contact = this.#add('Contact', values.set('AccountId', account))
    lead.convertedContactId = contact.Id
    lead.values.set('Status', 'Closed - Converted')
    this.#touch(lead)
    this.#options.changed(contact)
    return contact.Id
  }

  /** Salesforce itself touches the row: nobody has edited it. */
  touchBySystem(id: string): void {
    this.#expect(id).modstamp_ms = this.#options.now()
  }

  #expect(id: string): SimulatedRow {
    const row = this.#rows.get(id)
    if (!row) throw new Error(`the org has no ${id}`)
    return row
  }

  #add(object: SimulatedRow['object'], values: Map<string, Value>, at_ms = this.#options.now()): SimulatedRow {
    const row: SimulatedRow = {
      Id: idOf(PREFIXES[object], ++this.#count),
      object,
      deleted: false,
      masterId: null,
      convertedContactId: null,
      created_ms: at_ms,
      modified_ms: at_ms,
      modstamp_ms: at_ms,
      values,
    }
    this.#rows.set(row.Id, row)
    return row
  }

  #touch(row: SimulatedRow): void {
    row.modified_ms = this.#options.now()
    row.modstamp_ms = row.modified_ms
    this.#options.changed(row)
  }

  /** @throws RequestRefusal for what is no field, or no value of its kind: that is a mistake of the whole request */
  #typed(object: SObject, values: Values, may: 'createable' | 'updateable'): Map<string, Value> {
    const typed = new Map<string, Value>()
    for (const [name, value] of Object.entries(values)) {
      const field = this.fields(object).find((each) => each.name === name)
      if (!field) throw new RequestRefusal('INVALID_FIELD', `No such column '${name}' on sobject of type ${object}`)
      const kept = this.#kept(field, value)
      if (field[may] !== true) throw new RowRefusal('INVALID_FIELD_FOR_INSERT_UPDATE', [name])
      typed.set(name, kept)
    }
    return typed
  }

  #kept(field: SimulatedField, value: unknown): Value {
    const { name, type, length = 0 } = field
    const wrong = (): RequestRefusal =>
      new RequestRefusal(
        'JSON_PARSER_ERROR',
        `Cannot deserialize instance of ${type} from value ${JSON.stringify(value)}`,
      )
    if (type === 'boolean') {
      if (typeof value !== 'boolean') throw wrong()
      return value
    }
    if (value === null) return null
    if (type === 'date' || type === 'datetime') {
      if (typeof value !== 'string' || !/^\d{4}-\d\d-\d\d(T|$)/.test(value)) throw wrong()
      return value
    }
    if (type === 'int' || type === 'double') {
      if (typeof value !== 'number') throw wrong()
      return value
    }
    if (typeof value !== 'string') throw wrong()
    // Blanks at either end are cut off, and what is left of nothing is null.
    const text = TEXTS.has(type) ? value.trim() : value
    if (text === '') return null
    if (length > 0 && text.length > length)
      throw new RowRefusal('STRING_TOO_LONG', [name], `${name}: data value too large: ${text}`)
    if (type === 'email' && !EMAIL.test(text)) {
      throw new RowRefusal('INVALID_EMAIL_ADDRESS', [name], `${name}: invalid email address: ${text}`)
    }
    if (field.restricted === true && !field.picklistValues?.some((each) => each.value === text)) {
      const message = `bad value for restricted picklist field: ${text}`
      throw new RowRefusal('INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST', [name], message)
    }
    return text
  }

  #checkUnique(object: SObject, id: string | undefined, typed: ReadonlyMap<string, Value>): void {
    for (const { name, unique } of this.fields(object)) {
      const value = typed.get(name) ?? null
      if (unique !== true || value === null) continue
      const other = this.rows(object).find(
        (row) => !row.deleted && row.Id !== id && comparable(row.values.get(name)) === comparable(value),
      )
      const message = `duplicate value found: ${name} duplicates value on record with id: ${other?.Id ?? ''}`
      if (other) throw new RowRefusal('DUPLICATE_VALUE', [], message)
    }
  }

  #checkDuplicates(object: SObject, typed: ReadonlyMap<string, Value>, allowSave: boolean): void {
    const email = comparable(typed.get('Email'))
    if (this.duplicateRule === 'off' || email === null || (this.duplicateRule === 'warn' && allowSave)) return
    const isThere = this.living().some((row) => row.object === object && comparable(row.values.get('Email')) === email)
    if (isThere) throw new RowRefusal('DUPLICATES_DETECTED', [], 'Use one of these records?')
  }
}

/** An id of 18 characters: the last three say which of the others are capitals. */
export function idOf(prefix: string, n: number): string {
  const short = `${prefix}Kith${n.toString(36).padStart(8, '0')}`
  const sums = [0, 5, 10].map((start) =>
    [0, 1, 2, 3, 4].reduce((sum, at) => sum + (/[A-Z]/.test(short.charAt(start + at)) ? 2 ** at : 0), 0),
  )
  return `${short}${sums.map((sum) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ012345'[sum]).join('')}`
}
