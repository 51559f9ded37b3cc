import type { Json, JsonObject } from '../../engine/core/json.ts'
import { MY_CONTACTS } from './wire.ts'

/** A contact at some moment. `state` holds the person's fields as the API shows them; null: deleted. */
export interface Contact {
  readonly name: string
  readonly state: JsonObject | null
  readonly etag: string
  readonly updated_ms: number
  /** Names that it bore before. */
  readonly previous: readonly string[]
}

interface Version {
  readonly seq: number
  readonly at_ms: number
  readonly contact: Contact
}

const SYSTEM_GROUPS = ['myContacts', 'all', 'starred', 'friends', 'family', 'coworkers', 'chatBuddies', 'blocked']
const SINGLETONS = ['names', 'biographies', 'birthdays', 'genders']
/** The size of one contact that Google announced in 2011 (README). */
const CONTACT_BYTES_MAX = 128 * 1024

type Objection = readonly [status: string, message: string]

/**
 * The address book behind the simulated API. People see and edit it at once; the API's listings show it as it was a while ago:
 * every version of every contact is kept for that.
 */
export class AddressBook {
  readonly #now: () => number
  readonly #lag_ms: number
  readonly #versions = new Map<string, Version[]>()
  readonly #aliases = new Map<string, string>()
  readonly #groups = new Map<string, string>()
  readonly #broken = new Set<string>()
  #seq = 0
  #ids = 0
  #settled = 0

  constructor(now: () => number, lag_ms: number) {
    this.#now = now
    this.#lag_ms = lag_ms
  }

  /** Everything there is, as people see it. */
  all(): Contact[] {
    return [...this.#versions.values()].flatMap((versions) => {
      const { contact } = versions.at(-1) as Version
      return contact.state === null ? [] : [contact]
    })
  }

  /** The last line that listings show by now. */
  horizon(): number {
    const until_ms = this.#now() - this.#lag_ms
    if (this.#lag_ms === 0) return this.#seq
    let horizon = this.#settled
    for (const versions of this.#versions.values()) {
      for (const { seq, at_ms } of versions) if (at_ms <= until_ms) horizon = Math.max(horizon, seq)
    }
    return horizon
  }

  /** The delay is over: listings show everything. */
  settle(): void {
    this.#settled = this.#seq
  }

  /** The contacts whose last change up to `end` came after `after`, in the order of these changes. */
  changes(after: number, end: number): { seq: number; contact: Contact }[] {
    return [...this.#versions.values()]
      .flatMap((versions) => versions.findLast(({ seq }) => seq <= end) ?? [])
      .filter(({ seq }) => seq > after)
      .toSorted((a, b) => a.seq - b.seq)
  }

  count(end: number): number {
    return this.changes(0, end).filter(({ contact }) => contact.state !== null).length
  }

  /** The contact by its name, or one that it bore before; undefined where there never was one. */
  contact(name: string, lagging: boolean): Contact | undefined {
    const versions = this.#versions.get(this.#aliases.get(name) ?? name)
    const end = lagging ? this.horizon() : this.#seq
    return versions?.findLast(({ seq }) => seq <= end)?.contact
  }

  add(person: JsonObject): string {
    this.#ids += 1
    const name = `people/c${1000 + this.#ids}`
    const memberships = (person['memberships'] as Json[] | undefined) ?? [
      { contactGroupMembership: { contactGroupResourceName: MY_CONTACTS } },
    ]
    this.#put(name, { ...person, memberships }, [])
    return name
  }

  /** Replaces the named fields whole, as the API and the editor of the web page do. */
  edit(name: string, fields: JsonObject): void {
    const contact = this.#live(name)
    this.#put(contact.name, { ...contact.state, ...fields }, contact.previous)
  }

  remove(name: string): void {
    const { previous } = this.#live(name)
    this.#put(name, null, previous)
  }

  /** Takes a contact out of the bin. */
  restore(name: string): void {
    const version = this.#versions.get(name)?.findLast(({ contact }) => contact.state !== null)
    if (!version) throw new RangeError(`the simulator never had ${name}`)
    this.#put(name, version.contact.state, version.contact.previous)
  }

  /** The contact is linked with its person's profile, and is known by the profile's name from then on. */
  link(name: string): string {
    const contact = this.#live(name)
    this.#ids += 1
    const next = `people/c9${1000 + this.#ids}`
    this.#put(name, null, [])
    this.#rename(name, next)
    this.#put(next, contact.state, [...contact.previous, name])
    return next
  }

  /** One contact turns out to be the person that another one is linked with: it lives on in that one. */
  join(loser: string, winner: string): void {
    const [lost, kept] = [this.#live(loser), this.#live(winner)]
    this.#put(loser, null, [])
    this.#rename(loser, winner)
    this.#put(winner, kept.state, [...kept.previous, ...lost.previous, loser])
  }

  /** "Merge and fix" of the web page: one contact is deleted, the other has the e-mails and numbers of both. */
  mergeDuplicates(loser: string, winner: string): void {
    const [lost, kept] = [this.#live(loser), this.#live(winner)]
    const both = (field: string): Json[] => [kept, lost].flatMap(({ state }) => (state?.[field] as Json[]) ?? [])
    this.#put(loser, null, lost.previous)
    this.edit(winner, { emailAddresses: both('emailAddresses'), phoneNumbers: both('phoneNumbers') })
  }

  /** The API hands out nonsense for it from now on; returns how to mend it. */
  break(name: string): () => void {
    const { state, previous } = this.#live(name)
    this.#broken.add(name)
    this.#put(name, state, previous)
    return () => {
      this.#broken.delete(name)
      this.#put(name, state, previous)
    }
  }

  groups(): JsonObject[] {
    const system = SYSTEM_GROUPS.map((name) => this.#group(`contactGroups/${name}`, name, 'SYSTEM_CONTACT_GROUP'))
    return [...system, ...[...this.#groups].map(([id, name]) => this.#group(id, name, 'USER_CONTACT_GROUP'))]
  }

  addGroup(name: string): string {
    this.#ids += 1
    const id = `contactGroups/${(1000 + this.#ids).toString(16)}`
    this.#groups.set(id, name)
    return id
  }

  /** Its members do not change by that, in Google's eyes. */
  renameGroup(id: string, name: string): void {
    this.#groups.set(id, name)
  }

  removeGroup(id: string): void {
    for (const name of this.members(id)) {
      const memberships = (this.#live(name).state?.['memberships'] ?? []) as Json[]
      this.edit(name, { memberships: memberships.filter((item) => groupIn(item) !== id) })
    }
    this.#groups.delete(id)
  }

  members(id: string): string[] {
    return this.all()
      .filter(({ state }) => ((state?.['memberships'] ?? []) as Json[]).some((item) => groupIn(item) === id))
      .map(({ name }) => name)
  }

  /** Why an update may not be made over what it was made for. */
  collision(name: string, sent: JsonObject): Objection | undefined {
    const contact = this.contact(name, false)
    if (!contact || contact.state === null) return ['NOT_FOUND', 'Requested entity was not found.']
    const { sources = [] } = (sent['metadata'] ?? {}) as { sources?: { type?: string; etag?: string }[] }
    const source = sources.find(({ type }) => type === 'CONTACT')
    if (!source) return ['INVALID_ARGUMENT', 'Request must set person.metadata.sources with a CONTACT source.']
    return source.etag === `#${contact.etag}=`
      ? undefined
      : [
          'FAILED_PRECONDITION',
          'Request person.metadata.sources.etag is different than the current one. Clear local cache.',
        ]
  }

  /** Why the API refuses these fields, if it does. */
  objection(fields: JsonObject, name: string | null): Objection | undefined {
    const refused = (message: string): Objection => ['INVALID_ARGUMENT', message]
    for (const field of SINGLETONS) {
      if (listOf(fields[field]).length > 1) return refused(`Cannot have more than one person.${field} per source.`)
    }
    for (const item of listOf(fields['userDefined'])) {
      if (!item['key'] || !item['value']) return refused('person.user_defined must have key and value.')
    }
    const groups = listOf(fields['memberships']).map(groupIn)
    const known = new Set(this.groups().map(({ resourceName }) => resourceName))
    if (groups.some((group) => !known.has(group))) return refused('Contact group not found.')
    if (name !== null && fields['memberships'] !== undefined && groups.length === 0) {
      return refused('A contact must have at least one contact group membership.')
    }
    const whole = name === null ? fields : { ...this.contact(name, false)?.state, ...fields }
    const long = Buffer.byteLength(JSON.stringify(whole)) > CONTACT_BYTES_MAX
    return long ? refused(`Contact is too large: ${JSON.stringify(fields).slice(0, 200)}`) : undefined
  }

  #live(name: string): Contact {
    const contact = this.contact(name, false)
    if (!contact || contact.state === null) throw new RangeError(`the simulator has no ${name}`)
    return contact
  }

  #rename(name: string, next: string): void {
    for (const [alias, target] of this.#aliases) if (target === name) this.#aliases.set(alias, next)
    this.#aliases.set(name, next)
  }

  #put(name: string, fields: JsonObject | null, previous: readonly string[]): void {
    this.#seq += 1
    const versions = this.#versions.get(name) ?? []
    const at_ms = this.#now()
    const last_ms = versions.at(-1)?.contact.updated_ms ?? 0
    const state = fields && (this.#broken.has(name) ? { ...fields, names: 'no list at all' } : shown(fields, name))
    const etag = Buffer.from(`${name} ${this.#seq}`).toString('base64url')
    const contact = { name, state, etag, updated_ms: Math.max(at_ms, last_ms + 1), previous }
    this.#versions.set(name, [...versions, { seq: this.#seq, at_ms, contact }])
  }

  #group(resourceName: string, name: string, groupType: string): JsonObject {
    return { resourceName, name, formattedName: name, groupType, memberCount: this.members(resourceName).length }
  }
}

function listOf(field: Json | undefined): JsonObject[] {
  return Array.isArray(field) ? (field as JsonObject[]) : []
}

function groupIn(item: Json): string {
  const { contactGroupMembership } = item as { contactGroupMembership?: { contactGroupResourceName?: string } }
  return contactGroupMembership?.contactGroupResourceName ?? ''
}

/** The fields with what Google works out by itself. */
function shown(fields: JsonObject, name: string): JsonObject {
  const source = { type: 'CONTACT', id: name.slice('people/c'.length) }
  const state: JsonObject = {}
  for (const [field, value] of Object.entries(fields)) {
    const items = listOf(value)
    if (items.length === 0) continue
    const marked = items.findIndex((item) => ((item['metadata'] ?? {}) as JsonObject)['sourcePrimary'] === true)
    const primary = Math.max(0, marked)
    state[field] = items.map((item, index) => {
      const metadata = { ...(index === primary ? { primary: true, sourcePrimary: true } : {}), source }
      return { ...item, ...workedOut(field, item), metadata: field === 'memberships' ? { source } : metadata }
    })
  }
  return state
}

function workedOut(field: string, item: JsonObject): JsonObject {
  const text = (part: string): string => (typeof item[part] === 'string' ? item[part] : '')
  const join = (...parts: string[]): string => parts.filter(Boolean).join(' ')
  const formatted: JsonObject = text('type') === '' ? {} : { formattedType: text('type') }
  switch (field) {
    case 'names': {
      const parts = ['honorificPrefix', 'givenName', 'middleName', 'familyName', 'honorificSuffix'].map(text)
      const displayName = join(...parts) || text('unstructuredName')
      const displayNameLastFirst = [text('familyName'), join(text('givenName'), text('middleName'))]
        .filter(Boolean)
        .join(', ')
      return { displayName, displayNameLastFirst, unstructuredName: text('unstructuredName') || displayName }
    }
    case 'phoneNumbers': {
      const digits = text('value').replace(/[^+\d]/g, '')
      return { ...formatted, ...(/^\+\d{8,}$/.test(digits) ? { canonicalForm: digits } : {}) }
    }
    case 'addresses': {
      const lines = ['streetAddress', 'extendedAddress', 'poBox', 'postalCode', 'city', 'region', 'country'].map(text)
      return { ...formatted, formattedValue: text('formattedValue') || lines.filter(Boolean).join('\n') }
    }
    case 'birthdays': {
      const { year = 0, month = 0, day = 0 } = (item['date'] ?? {}) as { year?: number; month?: number; day?: number }
      // A zero is not written, as protocol buffers have it.
      const date = Object.fromEntries(Object.entries({ year, month, day }).filter(([, number]) => number !== 0))
      return item['date'] === undefined
        ? {}
        : { date, text: text('text') || [month, day, year].filter(Boolean).join('/') }
    }
    case 'memberships': {
      const contactGroupResourceName = groupIn(item)
      const contactGroupId = contactGroupResourceName.slice('contactGroups/'.length)
      return { contactGroupMembership: { contactGroupId, contactGroupResourceName } }
    }
    case 'emailAddresses':
    case 'urls':
    case 'externalIds':
    case 'organizations':
      return formatted
    default:
      return {}
  }
}
