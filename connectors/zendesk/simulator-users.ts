import type { HookEvent } from './simulator-hooks.ts'
import type { Identity, UserField } from './wire.ts'

/** A user as the account keeps it; the addresses are identities. */
export interface SimulatedUser {
  readonly id: number
  name: string
  phone: string | null
  shared_phone_number: boolean | null
  active: boolean
  role: string
  alias: string
  details: string
  notes: string
  tags: string[]
  external_id: string | null
  organization_id: number | null
  suspended: boolean
  user_fields: { [key: string]: unknown }
  readonly created_s: number
  updated_s: number
  /** What a deactivated user still shows as its address. */
  lastEmail: string | null
}

export interface UserInput {
  readonly id?: number
  readonly name?: string
  readonly email?: string | null
  readonly phone?: string | null
  readonly alias?: string | null
  readonly details?: string | null
  readonly notes?: string | null
  readonly tags?: readonly string[]
  readonly external_id?: string | null
  readonly organization_id?: number | null
  readonly suspended?: boolean
  readonly role?: string
  readonly user_fields?: { readonly [key: string]: unknown }
  readonly identities?: readonly { readonly type: string; readonly value: string }[]
}

export type NewUser = UserInput & { readonly name: string }

/** A request that the account refuses. */
export class Refusal extends Error {
  readonly status: number
  readonly body: object
  /** What a job says of it. */
  readonly sentence: string

  constructor(
    status: number,
    error: string,
    details?: { readonly [field: string]: readonly [description: string, code: string] },
  ) {
    super(error)
    this.name = error
    this.status = status
    const rows = Object.entries(details ?? {})
    this.sentence = rows.map(([field, [description]]) => `${field}: ${description}`).join(' ')
    this.body = {
      error,
      description: status === 404 ? 'Not found' : 'Record validation errors',
      ...(rows.length === 0
        ? {}
        : {
            details: Object.fromEntries(
              rows.map(([field, [description, code]]) => [field, [{ description, error: code }]]),
            ),
          }),
    }
  }
}

const E164 = /^\+[1-9]\d{6,14}$/
const ADDRESS = /^[^\s@]+@[^\s@]+\.[^\s@]+$/
const NAME_MAX = 255

/** The users of a simulated account, and what its rules make of changes; people's edits go the same way as the API's. */
export class SimulatedUsers {
  readonly organizations: { readonly id: number; readonly name: string }[] = []
  readonly fields: (UserField & { readonly id: number })[] = []
  readonly staff: SimulatedUser
  /** Whether a user who was merged away still shows its address: the vendor does not say. */
  mergedKeepEmail = false
  readonly #users = new Map<number, SimulatedUser>()
  readonly #identities = new Map<number, Identity>()
  readonly #now: () => number
  readonly #url: () => string
  readonly #announce: (event: HookEvent) => void
  #ids = 360_000_000

  constructor(now: () => number, url: () => string, announce: (event: HookEvent) => void) {
    this.#now = now
    this.#url = url
    this.#announce = announce
    this.staff = this.#make('The administrator', 'admin')
  }

  addStaff(email: string): void {
    this.#newIdentity(this.staff, 'email', email)
  }

  all(): SimulatedUser[] {
    return [...this.#users.values()]
  }

  get(id: number): SimulatedUser | undefined {
    return this.#users.get(id)
  }

  /** @throws Refusal */
  find(id: number): SimulatedUser {
    const user = this.#users.get(id)
    if (!user) throw new Refusal(404, 'RecordNotFound')
    return user
  }

  identitiesOf(userId: number): Identity[] {
    return [...this.#identities.values()].filter(({ user_id }) => user_id === userId)
  }

  /** What a search for an address finds. */
  withEmail(query: string): SimulatedUser[] {
    const wanted = /^email:"?([^"]*)"?$/.exec(query)?.[1]?.toLowerCase()
    const ids = new Set(
      [...this.#identities.values()].flatMap(({ value, user_id }) => (value.toLowerCase() === wanted ? [user_id] : [])),
    )
    return this.all().filter(({ id, active }) => active && ids.has(id))
  }

  addField(field: Pick<UserField, 'key' | 'type' | 'title'>): void {
    this.fields.push({ id: ++this.#ids, active: true, ...field })
  }

  addOrganization(name: string): number {
    const id = ++this.#ids
    this.organizations.push({ id, name })
    return id
  }

  /** @throws Refusal */
  add(input: UserInput): SimulatedUser {
    const name = input.name?.trim() ?? ''
    this.#checkName(name)
    const identities = [
      ...(blank(input.email) ? [] : [{ type: 'email', value: input.email ?? '' }]),
      ...(input.identities ?? []),
    ]
    for (const { type, value } of identities) this.#checkIdentity(type, value, undefined)
    this.#checkExternal(input.external_id, undefined)
    const user = this.#make(name, input.role ?? 'end-user')
    for (const { type, value } of identities) this.#newIdentity(user, type, value)
    this.#assign(user, { ...input, name })
    this.#tell(user, 'created', {})
    return user
  }

  /** @throws Refusal */
  edit(id: number, input: UserInput): SimulatedUser {
    const user = this.#living(id)
    if (input.name !== undefined) this.#checkName(input.name.trim())
    this.#checkExternal(input.external_id, id)
    const before = JSON.stringify(this.shown(user))
    if (!blank(input.email) && !this.#holds(id, input.email ?? ''))
      this.addIdentity(id, { type: 'email', value: input.email ?? '' })
    this.#assign(user, input)
    if (JSON.stringify(this.shown(user)) !== before) {
      this.#touch(user)
      this.#tell(user, 'details_changed', { current: '', previous: '' })
    }
    return user
  }

  /** Softly: the row stays, its addresses are free again. @throws Refusal */
  remove(id: number): SimulatedUser {
    const user = this.#living(id)
    user.lastEmail = this.#primaryEmail(id)
    for (const identity of this.identitiesOf(id)) this.#identities.delete(identity.id)
    user.active = false
    user.external_id = null
    this.#touch(user)
    this.#tell(user, 'deleted', {})
    return user
  }

  /** For good, after a soft deletion: nothing of it is left to be listed. */
  erase(id: number): void {
    if (this.find(id).active) throw new Refusal(422, 'RecordInvalid')
    this.#users.delete(id)
  }

  /** @returns the winner. @throws Refusal */
  merge(loserId: number, winnerId: number): SimulatedUser {
    const [loser, winner] = [this.#living(loserId), this.#living(winnerId)]
    if (loser.role !== 'end-user' || winner.role !== 'end-user') throw new Refusal(422, 'RecordInvalid')
    loser.lastEmail = this.mergedKeepEmail ? this.#primaryEmail(loserId) : null
    for (const identity of this.identitiesOf(loserId)) {
      this.#identities.set(identity.id, { ...identity, user_id: winnerId, primary: false })
    }
    loser.active = false
    loser.external_id = null
    this.#touch(loser)
    this.#touch(winner)
    this.#tell(winner, 'merged', { user: { id: String(loserId) } })
    return winner
  }

  /** @throws Refusal */
  addIdentity(userId: number, { type, value }: Pick<Identity, 'type' | 'value'>): Identity {
    const user = this.#living(userId)
    this.#checkIdentity(type, value, userId)
    const identity = this.#newIdentity(user, type, value)
    this.#touch(user)
    this.#tell(user, 'identity_created', { identity: { id: String(identity.id), type } })
    return identity
  }

  makePrimary(userId: number, identityId: number): Identity[] {
    const user = this.#living(userId)
    const chosen = this.#identity(userId, identityId)
    for (const each of this.identitiesOf(userId).filter(({ type }) => type === chosen.type)) {
      this.#identities.set(each.id, { ...each, primary: each.id === identityId })
    }
    this.#touch(user)
    this.#tell(user, 'identity_changed', { identity: { id: String(identityId), type: chosen.type } })
    return this.identitiesOf(userId)
  }

  /** A number that goes stays on the profile: the vendor says so. */
  removeIdentity(userId: number, identityId: number): void {
    const user = this.#living(userId)
    const gone = this.#identity(userId, identityId)
    this.#identities.delete(identityId)
    const next = this.identitiesOf(userId).find(({ type }) => type === gone.type)
    if (gone.primary === true && next) this.#identities.set(next.id, { ...next, primary: true })
    this.#touch(user)
    this.#tell(user, 'identity_deleted', { identity: { id: String(identityId), type: gone.type } })
  }

  /** As it is sent. */
  shown(user: SimulatedUser): object {
    return {
      id: user.id,
      url: `${this.#url()}/api/v2/users/${user.id}.json`,
      name: user.name,
      email: user.active ? this.#primaryEmail(user.id) : user.lastEmail,
      created_at: iso(user.created_s),
      updated_at: iso(user.updated_s),
      time_zone: 'Berlin',
      iana_time_zone: 'Europe/Berlin',
      phone: user.phone,
      shared_phone_number: user.shared_phone_number,
      photo: null,
      locale_id: 1,
      locale: 'en-US',
      organization_id: user.organization_id,
      role: user.role,
      verified: false,
      external_id: user.external_id,
      tags: [...user.tags],
      alias: user.alias,
      active: user.active,
      shared: false,
      shared_agent: false,
      last_login_at: null,
      details: user.details,
      notes: user.notes,
      role_type: null,
      custom_role_id: null,
      moderator: false,
      ticket_restriction: 'requested',
      only_private_comments: false,
      restricted_agent: true,
      suspended: user.suspended,
      user_fields: this.#fieldsOf(user),
    }
  }

  #fieldsOf(user: SimulatedUser): object {
    return Object.fromEntries(
      this.fields.map(({ key, type }) => [key, user.user_fields[key] ?? (type === 'checkbox' ? false : null)]),
    )
  }

  #make(name: string, role: string): SimulatedUser {
    const now_s = Math.floor(this.#now() / 1000)
    const user: SimulatedUser = {
      id: ++this.#ids,
      name,
      phone: null,
      shared_phone_number: null,
      active: true,
      role,
      alias: '',
      details: '',
      notes: '',
      tags: [],
      external_id: null,
      organization_id: null,
      suspended: false,
      user_fields: {},
      created_s: now_s,
      updated_s: now_s,
      lastEmail: null,
    }
    this.#users.set(user.id, user)
    return user
  }

  #assign(user: SimulatedUser, input: UserInput): void {
    if (input.name !== undefined) user.name = input.name.trim()
    if (input.alias !== undefined) user.alias = input.alias ?? ''
    if (input.details !== undefined) user.details = input.details ?? ''
    if (input.notes !== undefined) user.notes = input.notes ?? ''
    if (input.tags !== undefined)
      user.tags = [...new Set(input.tags.flatMap((tag) => tag.toLowerCase().split(/\s+/)))].filter(Boolean)
    if (input.external_id !== undefined) user.external_id = input.external_id
    if (input.organization_id !== undefined) user.organization_id = input.organization_id
    if (input.suspended !== undefined) user.suspended = input.suspended
    if (input.role !== undefined) user.role = input.role
    if (input.user_fields !== undefined) this.#assignFields(user, input.user_fields)
    if (input.phone !== undefined) this.#setPhone(user, input.phone ?? '')
  }

  /** Keys that no field has are passed over; dates come back as midnight. */
  #assignFields(user: SimulatedUser, given: { readonly [key: string]: unknown }): void {
    for (const { key, type } of this.fields) {
      if (!Object.hasOwn(given, key)) continue
      const value = given[key] ?? null
      user.user_fields[key] =
        type === 'date' && typeof value === 'string' ? `${value.slice(0, 10)}T00:00:00+00:00` : value
    }
  }

  /** A number of one user alone is a direct line, and an identity; any other is shared. */
  #setPhone(user: SimulatedUser, phone: string): void {
    const before = this.identitiesOf(user.id).find(({ type, value }) => type === 'phone_number' && value === user.phone)
    if (before && before.value !== phone) this.#identities.delete(before.id)
    user.phone = phone === '' ? null : phone
    if (phone === '') user.shared_phone_number = null
    else {
      const number = phone.replace(/[\s()./-]/g, '')
      const owner = [...this.#identities.values()].find(
        ({ type, value }) => type === 'phone_number' && value === number,
      )
      user.shared_phone_number = !E164.test(number) || (owner !== undefined && owner.user_id !== user.id)
      if (!user.shared_phone_number && !owner) this.#newIdentity(user, 'phone_number', number)
    }
  }

  #newIdentity(user: SimulatedUser, type: string, value: string): Identity {
    const identity: Identity = {
      id: ++this.#ids,
      user_id: user.id,
      type,
      value: type === 'email' ? value.trim().toLowerCase() : value,
      verified: false,
      primary: !this.identitiesOf(user.id).some((each) => each.type === type),
      created_at: iso(Math.floor(this.#now() / 1000)),
    }
    this.#identities.set(identity.id, identity)
    return identity
  }

  #identity(userId: number, identityId: number): Identity {
    const identity = this.#identities.get(identityId)
    if (identity?.user_id !== userId) throw new Refusal(404, 'RecordNotFound')
    return identity
  }

  #living(id: number): SimulatedUser {
    const user = this.find(id)
    if (!user.active) throw new Refusal(404, 'RecordNotFound')
    return user
  }

  #holds(id: number, email: string): boolean {
    return this.identitiesOf(id).some(({ type, value }) => type === 'email' && value === email.toLowerCase())
  }

  #primaryEmail(id: number): string | null {
    const emails = this.identitiesOf(id).filter(({ type }) => type === 'email')
    return (emails.find(({ primary }) => primary === true) ?? emails[0])?.value ?? null
  }

  #checkName(name: string): void {
    if (name === '')
      throw new Refusal(422, 'RecordInvalid', { name: ['Name: is too short (minimum is 1 characters)', 'BlankValue'] })
    if (name.length > NAME_MAX) throw new Refusal(422, 'RecordInvalid', { name: ['Name: is too long', 'TooLong'] })
  }

  #checkIdentity(type: string, value: string, userId: number | undefined): void {
    const field = type === 'email' ? 'email' : 'phone_number'
    const right = type === 'email' ? ADDRESS.test(value) : E164.test(value)
    if (!right)
      throw new Refusal(422, 'RecordInvalid', {
        [field]: [`Email: ${value} is not properly formatted`, 'InvalidFormat'],
      })
    const owner = [...this.#identities.values()].find(
      (each) => each.type === type && each.value === value.trim().toLowerCase(),
    )
    if (!owner) return
    const whose = owner.user_id === userId ? 'this user' : 'another user'
    throw new Refusal(422, 'RecordInvalid', {
      [field]: [`Email: ${value} is already being used by ${whose}`, 'DuplicateValue'],
    })
  }

  #checkExternal(externalId: string | null | undefined, userId: number | undefined): void {
    if (externalId === undefined || externalId === null) return
    const taken = this.all().some(
      (user) => user.id !== userId && user.external_id?.toLowerCase() === externalId.toLowerCase(),
    )
    if (taken) throw new Refusal(422, 'RecordInvalid', { name: ['External has already been taken', 'DuplicateValue'] })
  }

  #touch(user: SimulatedUser): void {
    user.updated_s = Math.floor(this.#now() / 1000)
  }

  #tell(user: SimulatedUser, what: string, event: object): void {
    const detail = {
      created_at: iso(user.created_s),
      email: this.#primaryEmail(user.id) ?? '',
      external_id: user.external_id ?? '',
      default_group_id: '0',
      id: String(user.id),
      organization_id: String(user.organization_id ?? 0),
      role: user.role,
      updated_at: iso(user.updated_s),
    }
    this.#announce({ type: `zen:event-type:user.${what}`, userId: user.id, detail, event })
  }
}

function blank(text: string | null | undefined): boolean {
  return text === null || text === undefined || text.trim() === ''
}

function iso(s: number): string {
  return new Date(s * 1000).toISOString().replace('.000Z', 'Z')
}
