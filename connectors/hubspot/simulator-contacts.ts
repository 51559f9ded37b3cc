/**
 * The contacts of a simulated HubSpot account: what the product does with them, whoever asks. It knows nothing of HTTP, and
 * shares nothing with the client.
 */

export interface SimulatedProperty {
  readonly name: string
  readonly label: string
  readonly type: 'string' | 'number' | 'date' | 'datetime' | 'enumeration' | 'bool'
  readonly fieldType: string
  readonly options?: readonly { label: string; value: string }[]
  readonly readOnly?: boolean
  readonly unique?: boolean
}

interface Version {
  readonly value: string
  readonly timestamp: string
  readonly sourceType: string
}

export interface SimulatedContact {
  readonly id: string
  readonly createdAt_ms: number
  updatedAt_ms: number
  archivedAt_ms: number | null
  properties: Map<string, string>
  readonly history: Map<string, Version[]>
  /** The contact that this one was merged into. */
  mergedInto: string | null
  /** Answers with something that is no contact. */
  broken: boolean
}

/** Why HubSpot refuses something. */
export interface Refusal {
  readonly status: number
  readonly category: string
  readonly message: string
  readonly context?: { readonly [name: string]: readonly string[] }
}

export interface ChangeEvent {
  readonly subscriptionType: string
  readonly objectId: number
  readonly propertyName?: string
  readonly propertyValue?: string
  readonly merge?: {
    readonly primaryObjectId: number
    readonly mergedObjectIds: readonly number[]
    readonly newObjectId: number
  }
}

const text = (name: string, label: string, more: Partial<SimulatedProperty> = {}): SimulatedProperty => ({
  name,
  label,
  type: 'string',
  fieldType: 'text',
  ...more,
})
const listed = (...values: string[]) =>
  values.map((label) => ({ label, value: label.toLowerCase().replaceAll(' ', '') }))

export const STANDARD_PROPERTIES: readonly SimulatedProperty[] = [
  text('email', 'Email'),
  text('firstname', 'First Name'),
  text('lastname', 'Last Name'),
  text('salutation', 'Salutation'),
  text('phone', 'Phone Number', { fieldType: 'phonenumber' }),
  text('mobilephone', 'Mobile Phone Number', { fieldType: 'phonenumber' }),
  text('fax', 'Fax Number'),
  text('company', 'Company Name'),
  text('jobtitle', 'Job Title'),
  text('address', 'Street Address'),
  text('city', 'City'),
  text('state', 'State/Region'),
  text('zip', 'Postal Code'),
  text('country', 'Country/Region'),
  text('website', 'Website URL'),
  text('date_of_birth', 'Date of birth'),
  text('message', 'Message', { fieldType: 'textarea' }),
  text('hs_additional_emails', 'Additional email addresses', { type: 'enumeration', fieldType: 'checkbox' }),
  text('lifecyclestage', 'Lifecycle Stage', {
    type: 'enumeration',
    fieldType: 'radio',
    options: listed('Subscriber', 'Lead', 'Opportunity', 'Customer'),
  }),
  text('hs_email_optout', 'Unsubscribed from all email', {
    type: 'bool',
    fieldType: 'booleancheckbox',
    readOnly: true,
  }),
  text('hs_object_id', 'Record ID', { type: 'number', fieldType: 'number', readOnly: true }),
  text('hs_merged_object_ids', 'Merged object IDs', { type: 'enumeration', fieldType: 'checkbox', readOnly: true }),
  text('createdate', 'Create Date', { type: 'datetime', fieldType: 'date', readOnly: true }),
  text('lastmodifieddate', 'Last Modified Date', { type: 'datetime', fieldType: 'date', readOnly: true }),
]

export interface ContactsOptions {
  readonly now: () => number
  readonly properties: readonly SimulatedProperty[]
  /** How long the search index takes to show a change. */
  readonly searchLag_ms: number
  /** The beta "Primary ID preservation": a merge keeps the primary contact's id. */
  readonly mergeKeepsPrimary: boolean
}

export class SimulatedContacts {
  readonly properties: Map<string, SimulatedProperty>
  readonly #options: ContactsOptions
  readonly #all = new Map<string, SimulatedContact>()
  /** What the search knows: it is told late, in the order of the changes. */
  readonly #index = new Map<string, SimulatedContact>()
  #pending: { at_ms: number; id: string; copy: SimulatedContact | null }[] = []
  #sorted: readonly SimulatedContact[] = []
  /** Who was last given each unique value. */
  readonly #holders = new Map<string, SimulatedContact>()
  readonly #optedOut = new Set<string>()
  #clock_ms = 0
  #nextId = 101
  onChange: ((event: ChangeEvent) => void) | undefined

  constructor(options: ContactsOptions) {
    this.#options = options
    this.properties = new Map(options.properties.map((property) => [property.name, property]))
  }

  /** The account's clock; no two changes have the same millisecond unless {@link frozen} says so. */
  #tick(): number {
    this.#clock_ms = Math.max(this.#options.now(), this.#clock_ms + (this.frozen ? 0 : 1))
    return this.#clock_ms
  }

  /** While set, changes share one millisecond, as those of an import do. */
  frozen = false

  get now_ms(): number {
    return Math.max(this.#options.now(), this.#clock_ms)
  }

  /** Those that people see. */
  live(): SimulatedContact[] {
    return [...this.#all.values()].filter((contact) => contact.archivedAt_ms === null && contact.mergedInto === null)
  }

  archived(): SimulatedContact[] {
    return [...this.#all.values()].filter((contact) => contact.archivedAt_ms !== null)
  }

  /** The contact that an id leads to: of a merged one, what it became. */
  resolve(id: string): SimulatedContact | undefined {
    const contact = this.#all.get(id)
    if (contact?.mergedInto != null) return this.resolve(contact.mergedInto)
    return contact?.archivedAt_ms === null ? contact : undefined
  }

  /** The contact that people see which holds a unique value, or an e-mail address. */
  byValue(idProperty: string, value: string): SimulatedContact | undefined {
    const wanted = idProperty === 'email' ? value.trim().toLowerCase() : value
    const holder = this.#holders.get(`${idProperty} ${wanted}`)
    if (!holder || holder.archivedAt_ms !== null || holder.mergedInto !== null || !this.#all.has(holder.id))
      return undefined
    const holds = this.#unique(holder.properties).includes(`${idProperty} ${wanted}`)
    return holds ? holder : undefined
  }

  /** What of these no two contacts may have. */
  #unique(properties: ReadonlyMap<string, string>): string[] {
    const own = [...properties].filter(([name]) => this.properties.get(name)?.unique === true)
    return [
      ...addressesOf(properties).map((address) => `email ${address}`),
      ...own.map(([name, value]) => `${name} ${value}`),
    ]
  }

  /** What the search shows by now, the latest change last. */
  indexed(): readonly SimulatedContact[] {
    const due = this.#pending.filter(({ at_ms }) => at_ms <= this.now_ms)
    if (due.length === 0) return this.#sorted
    this.#pending = this.#pending.filter(({ at_ms }) => at_ms > this.now_ms)
    for (const { id, copy } of due) {
      // At the end of the map, so that it all but has the order of the changes.
      this.#index.delete(id)
      if (copy) this.#index.set(id, copy)
    }
    this.#sorted = [...this.#index.values()].sort((a, b) => a.updatedAt_ms - b.updatedAt_ms)
    return this.#sorted
  }

  /** @returns the contact, or why there is none */
  create(given: { readonly [name: string]: string }, sourceType: string): SimulatedContact | Refusal {
    const properties = normalised(given)
    if (!['email', 'firstname', 'lastname'].some((name) => (properties[name] ?? '') !== ''))
      return {
        status: 400,
        category: 'VALIDATION_ERROR',
        message: 'At least one of email, firstname or lastname is needed',
      }
    const refusal = this.#refusal(properties, undefined)
    if (refusal) return refusal
    const now_ms = this.#tick()
    const contact: SimulatedContact = {
      id: String(this.#nextId++),
      createdAt_ms: now_ms,
      updatedAt_ms: now_ms,
      archivedAt_ms: null,
      properties: new Map(),
      history: new Map(),
      mergedInto: null,
      broken: false,
    }
    this.#all.set(contact.id, contact)
    this.#set(contact, { ...properties, hs_object_id: contact.id }, now_ms, sourceType)
    this.#touched(contact)
    this.onChange?.({ subscriptionType: 'contact.creation', objectId: Number(contact.id) })
    this.#showOptOut(contact)
    return contact
  }

  update(id: string, given: { readonly [name: string]: string }, sourceType: string): SimulatedContact | Refusal {
    const contact = this.#all.get(id)
    if (!contact || contact.archivedAt_ms !== null || contact.mergedInto !== null) return notFound([id])
    const properties = normalised(given)
    const refusal = this.#refusal(properties, contact)
    if (refusal) return refusal
    const changed = Object.entries(properties).filter(([name, value]) => (contact.properties.get(name) ?? '') !== value)
    // A value set to what it was is no change.
    if (changed.length === 0) return contact
    const now_ms = this.#tick()
    this.#set(contact, Object.fromEntries(changed), now_ms, sourceType)
    contact.updatedAt_ms = now_ms
    this.#touched(contact)
    for (const [propertyName, propertyValue] of changed)
      this.onChange?.({ subscriptionType: 'contact.propertyChange', objectId: Number(id), propertyName, propertyValue })
    this.#showOptOut(contact)
    return contact
  }

  /** Somebody leaves all e-mail: kept by address, whether or not there is a contact, and shown by those that have it. */
  optOut(address: string): void {
    this.#optedOut.add(address.trim().toLowerCase())
    for (const contact of this.live()) this.#showOptOut(contact)
  }

  /** They come back, through a form or a click of their own: no program can do that with the API that Kith speaks. */
  optIn(address: string): void {
    this.#optedOut.delete(address.trim().toLowerCase())
    for (const contact of this.live()) this.#showOptOut(contact)
  }

  #showOptOut(contact: SimulatedContact): void {
    const gone = this.#optedOut.has((contact.properties.get('email') ?? '').toLowerCase())
    const shown = contact.properties.get('hs_email_optout') === 'true'
    if (gone === shown || !this.properties.has('hs_email_optout')) return
    const now_ms = this.#tick()
    this.#set(contact, { hs_email_optout: gone ? 'true' : 'false' }, now_ms, 'EMAIL')
    contact.updatedAt_ms = now_ms
    this.#touched(contact)
    const change = { propertyName: 'hs_email_optout', propertyValue: gone ? 'true' : 'false' }
    this.onChange?.({ subscriptionType: 'contact.propertyChange', objectId: Number(contact.id), ...change })
  }

  archive(id: string): void {
    const contact = this.#all.get(id)
    if (!contact || contact.archivedAt_ms !== null || contact.mergedInto !== null) return
    // lastmodifieddate does not move: only archivedAt tells.
    contact.archivedAt_ms = this.#tick()
    this.#forget(contact)
    this.onChange?.({ subscriptionType: 'contact.deletion', objectId: Number(id) })
  }

  restore(id: string): void {
    const contact = this.#all.get(id)
    if (!contact) return
    contact.archivedAt_ms = null
    this.#tick()
    this.#touched(contact)
    this.onChange?.({ subscriptionType: 'contact.restore', objectId: Number(id) })
  }

  /** For good: the contact is not even in the archive afterwards. */
  gdprDelete(id: string): void {
    const contact = this.#all.get(id)
    if (!contact) return
    this.#all.delete(id)
    this.#tick()
    this.#forget(contact)
    this.onChange?.({ subscriptionType: 'contact.privacyDeletion', objectId: Number(id) })
  }

  /** @returns the contact that stands; by default a third one, with an id of its own */
  merge(primaryId: string, otherId: string): SimulatedContact {
    const [primary, other] = [this.#all.get(primaryId), this.#all.get(otherId)]
    if (!primary || !other) throw new RangeError('no such contact')
    const now_ms = this.#tick()
    const addresses = [...new Set([...addressesOf(primary.properties), ...addressesOf(other.properties)])]
    const earlier = [primary, other].flatMap((each) => (each.properties.get('hs_merged_object_ids') ?? '').split(';'))
    const keeps = this.#options.mergeKeepsPrimary
    const stands: SimulatedContact = keeps
      ? primary
      : {
          id: String(this.#nextId++),
          createdAt_ms: now_ms,
          updatedAt_ms: now_ms,
          archivedAt_ms: null,
          properties: new Map([...other.properties, ...primary.properties]),
          history: new Map([...other.history, ...primary.history]),
          mergedInto: null,
          broken: false,
        }
    const losers = keeps ? [other] : [primary, other]
    const merged = [...earlier, ...losers.map(({ id }) => id)].filter((id) => id !== '')
    const [email = '', ...others] = addresses
    this.#all.set(stands.id, stands)
    const system = {
      hs_object_id: stands.id,
      hs_merged_object_ids: merged.join(';'),
      email,
      hs_additional_emails: others.join(';'),
    }
    this.#set(stands, system, now_ms, 'MERGE_OBJECTS')
    stands.updatedAt_ms = now_ms
    for (const loser of losers) {
      loser.mergedInto = stands.id
      this.#forget(loser)
    }
    this.#touched(stands)
    this.onChange?.({
      subscriptionType: 'contact.merge',
      objectId: Number(stands.id),
      merge: { primaryObjectId: Number(primaryId), mergedObjectIds: [Number(otherId)], newObjectId: Number(stands.id) },
    })
    return stands
  }

  /** Why these properties would be refused, if they were sent. */
  refusalOf(id: string | undefined, given: { readonly [name: string]: string }): Refusal | undefined {
    return this.#refusal(normalised(given), id === undefined ? undefined : this.#all.get(id))
  }

  breakContact(id: string, broken: boolean): void {
    const contact = this.#all.get(id)
    if (!contact) return
    contact.broken = broken
    contact.updatedAt_ms = this.#tick()
    this.#touched(contact)
  }

  #set(
    contact: SimulatedContact,
    properties: { readonly [name: string]: string },
    now_ms: number,
    sourceType: string,
  ): void {
    for (const [name, value] of Object.entries(properties)) {
      if (value === '') contact.properties.delete(name)
      else contact.properties.set(name, value)
      const version = { value, timestamp: new Date(now_ms).toISOString(), sourceType }
      contact.history.set(name, [version, ...(contact.history.get(name) ?? [])])
    }
    for (const value of this.#unique(contact.properties)) this.#holders.set(value, contact)
  }

  #touched(contact: SimulatedContact): void {
    const copy = { ...contact, properties: new Map(contact.properties) }
    this.#pending.push({ at_ms: this.now_ms + this.#options.searchLag_ms, id: contact.id, copy })
  }

  #forget(contact: SimulatedContact): void {
    this.#pending.push({ at_ms: this.now_ms + this.#options.searchLag_ms, id: contact.id, copy: null })
  }

  #refusal(
    properties: { readonly [name: string]: string },
    contact: SimulatedContact | undefined,
  ): Refusal | undefined {
    const problems = Object.entries(properties).flatMap(([name, value]) => {
      const error = this.#wrong(name, value)
      return error === undefined ? [] : [{ isValid: false, message: `${value} was refused`, error, name }]
    })
    if (problems.length > 0) {
      const message = `Property values were not valid: ${JSON.stringify(problems)}`
      return { status: 400, category: 'VALIDATION_ERROR', message }
    }
    const taken = addressesOf(new Map(Object.entries(properties)))
      .map((address) => this.byValue('email', address))
      .find((other) => other !== undefined && other !== contact)
    if (taken) return conflict(`Contact already exists. Existing ID: ${taken.id}`)
    for (const [name, value] of Object.entries(properties)) {
      if (this.properties.get(name)?.unique !== true || value === '') continue
      const other = this.byValue(name, value)
      if (other && other !== contact) return conflict(`The value of ${name} is taken. Existing ID: ${other.id}`)
    }
    return undefined
  }

  #wrong(name: string, value: string): string | undefined {
    const property = this.properties.get(name)
    if (!property) return 'PROPERTY_DOESNT_EXIST'
    if (property.readOnly === true) return 'READ_ONLY_VALUE'
    if (value === '') return undefined
    if (value.length > 65_536) return 'VALUE_TOO_LONG'
    if (name === 'email' && !/^[^@\s;]+@[^@\s;]+\.[^@\s;]+$/.test(value)) return 'INVALID_EMAIL'
    if (property.type === 'number' && Number.isNaN(Number(value))) return 'INVALID_NUMBER'
    if (property.options && !value.split(';').every((one) => property.options?.some((option) => option.value === one)))
      return 'INVALID_OPTION'
    return undefined
  }
}

export function notFound(ids: readonly string[]): Refusal {
  return {
    status: 404,
    category: 'OBJECT_NOT_FOUND',
    message: 'Could not get some CONTACT objects, they may be deleted or not exist. Check that ids are valid.',
    context: { ids },
  }
}

export function isRefusal(result: SimulatedContact | Refusal): result is Refusal {
  return 'status' in result
}

function conflict(message: string): Refusal {
  return { status: 409, category: 'CONFLICT', message }
}

/** HubSpot folds the case of addresses. */
function normalised(given: { readonly [name: string]: string }): { [name: string]: string } {
  return Object.fromEntries(
    Object.entries(given).map(([name, value]) =>
      name === 'email' || name === 'hs_additional_emails' ? [name, value.trim().toLowerCase()] : [name, value],
    ),
  )
}

function addressesOf(properties: ReadonlyMap<string, string>): string[] {
  const others = (properties.get('hs_additional_emails') ?? '').split(';')
  return [properties.get('email') ?? '', ...others]
    .map((address) => address.trim().toLowerCase())
    .filter((address) => address !== '')
}
