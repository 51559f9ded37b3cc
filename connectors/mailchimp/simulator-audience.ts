import { createHash } from 'node:crypto'

/**
 * The members of a simulated Mailchimp audience: what the product does with them, whoever asks. It knows nothing of HTTP, and
 * shares nothing with the client.
 */

export type MemberStatus = 'subscribed' | 'unsubscribed' | 'cleaned' | 'pending' | 'transactional' | 'archived'

export interface SimulatedMergeField {
  readonly tag: string
  readonly name: string
  readonly type: 'text' | 'number' | 'address' | 'phone' | 'date' | 'birthday' | 'dropdown' | 'radio' | 'url' | 'zip'
  readonly required?: boolean
  readonly options?: { readonly phone_format?: 'US' | 'none'; readonly choices?: readonly string[] }
}

export interface SimulatedCategory {
  readonly id: string
  readonly title: string
  readonly interests: readonly { readonly id: string; readonly name: string }[]
}

export interface SimulatedMember {
  /** Stays, whatever becomes of the address. */
  readonly contactId: string
  readonly webId: number
  email: string
  status: MemberStatus
  /** Unsubscribed by the person, bounced, or under review: only the person undoes it. */
  inComplianceState: boolean
  mergeFields: Map<string, unknown>
  tags: Map<string, number>
  interests: Set<string>
  emailType: string
  language: string
  vip: boolean
  timestampOpt_ms: number | null
  /** When the person signed up with a form; null for members that others added. */
  timestampSignup_ms: number | null
  lastChanged_ms: number
  source: string
  /** Answers with something that is no member. */
  broken: boolean
}

/** Why Mailchimp refuses something: as a single request is answered, and as a batch names it. */
export interface Refusal {
  readonly refused: true
  readonly status: number
  readonly title: string
  readonly detail: string
  readonly errorCode: 'ERROR_CONTACT_EXISTS' | 'ERROR_GENERIC'
  readonly errors?: readonly { readonly field: string; readonly message: string }[]
}

/** What a request says of a member. */
export interface MemberInput {
  readonly email_address?: string
  readonly status?: MemberStatus
  readonly status_if_new?: MemberStatus
  readonly merge_fields?: { readonly [tag: string]: unknown }
  readonly interests?: { readonly [id: string]: boolean }
  readonly tags?: readonly string[]
  readonly email_type?: string
  readonly language?: string
  readonly vip?: boolean
}

export type Source = 'user' | 'admin' | 'api'

export interface AudienceEvent {
  readonly type: 'subscribe' | 'unsubscribe' | 'profile' | 'upemail' | 'cleaned'
  readonly source: Source
  readonly data: { readonly [name: string]: string }
}

export interface AudienceOptions {
  readonly now: () => number
  readonly mergeFields: readonly SimulatedMergeField[]
  readonly categories: readonly SimulatedCategory[]
  /** How long a listing takes to show a change. */
  readonly lag_ms: number
  /** Whether a batch that adds an archived member takes them back; else they count as there. */
  readonly readdsArchived: boolean
}

export const STANDARD_MERGE_FIELDS: readonly SimulatedMergeField[] = [
  { tag: 'FNAME', name: 'First Name', type: 'text' },
  { tag: 'LNAME', name: 'Last Name', type: 'text' },
  { tag: 'ADDRESS', name: 'Address', type: 'address' },
  { tag: 'PHONE', name: 'Phone Number', type: 'phone', options: { phone_format: 'none' } },
  { tag: 'BIRTHDAY', name: 'Birthday', type: 'birthday' },
  { tag: 'COMPANY', name: 'Company', type: 'text' },
]

const FAKE = /@(fake|mailinator|nowhere)\./i
const TEXT_MAX = 255

export class SimulatedAudience {
  readonly mergeFields: Map<string, SimulatedMergeField>
  readonly categories: readonly SimulatedCategory[]
  /** Addresses of which no more sign-ups are taken for now. */
  readonly limited = new Set<string>()
  onEvent: ((event: AudienceEvent) => void) | undefined
  readonly #options: AudienceOptions
  readonly #all = new Map<string, SimulatedMember>()
  readonly #byEmail = new Map<string, SimulatedMember>()
  /** What listings know: they are told late, in the order of the changes. */
  readonly #listed = new Map<string, SimulatedMember>()
  #pending: { at_ms: number; id: string; copy: SimulatedMember | null }[] = []
  readonly #forgotten = new Set<string>()
  readonly #tagIds = new Map<string, number>()
  #nextWebId = 387_850_457

  constructor(options: AudienceOptions) {
    this.#options = options
    this.mergeFields = new Map(options.mergeFields.map((field) => [field.tag, field]))
    this.categories = options.categories
  }

  get now_ms(): number {
    return this.#options.now()
  }

  archived(): SimulatedMember[] {
    return [...this.#all.values()].filter(({ status }) => status === 'archived')
  }

  /** Those that people see in the audience. */
  live(): SimulatedMember[] {
    return [...this.#all.values()].filter(({ status }) => status !== 'archived')
  }

  /** By contact id, address, or the hash of the address; archived ones, too. */
  find(who: string): SimulatedMember | undefined {
    const found = this.#all.get(who) ?? this.#byEmail.get(who.toLowerCase())
    return found ?? [...this.#byEmail.values()].find(({ email }) => /^[0-9a-f]{32}$/.test(who) && hashOf(email) === who)
  }

  get(id: string): SimulatedMember {
    const member = this.#all.get(id)
    if (!member) throw new RangeError('no such member')
    return member
  }

  /** What listings show by now, in the order of the last change. */
  listed(): SimulatedMember[] {
    const now_ms = this.now_ms
    for (const { id, copy } of this.#pending.filter(({ at_ms }) => at_ms <= now_ms)) {
      if (copy) this.#listed.set(id, copy)
      else this.#listed.delete(id)
    }
    this.#pending = this.#pending.filter(({ at_ms }) => at_ms > now_ms)
    return [...this.#listed.values()].toSorted((a, b) => a.lastChanged_ms - b.lastChanged_ms)
  }

  /** A new member. An archived one comes back. */
  add(input: MemberInput, source: Source, skipRequired = false): SimulatedMember | Refusal {
    const email = (input.email_address ?? '').trim()
    const refusal = this.#addressRefusal(email) ?? this.#mergeRefusal(input, undefined, skipRequired)
    if (refusal) return refusal
    const there = this.#byEmail.get(email.toLowerCase())
    if (there && (there.status !== 'archived' || !this.#options.readdsArchived)) return exists(email)
    const status = input.status ?? input.status_if_new
    if (!status) return generic(`${email} needs a 'status' or 'status_if_new' field included`)
    if (there) return this.update(there, { ...input, status }, source, skipRequired)
    const member: SimulatedMember = {
      // The same ids in every run.
      contactId: createHash('md5').update(`contact ${this.#nextWebId}`).digest('hex'),
      webId: this.#nextWebId++,
      email,
      status,
      inComplianceState: status === 'cleaned',
      mergeFields: new Map(),
      tags: new Map(),
      interests: new Set(),
      emailType: input.email_type ?? 'html',
      language: input.language ?? '',
      vip: input.vip ?? false,
      timestampOpt_ms: status === 'subscribed' ? this.now_ms : null,
      timestampSignup_ms: null,
      lastChanged_ms: 0,
      source: source === 'api' ? 'API - Generic' : 'Admin Add',
      broken: false,
    }
    this.#all.set(member.contactId, member)
    this.#byEmail.set(email.toLowerCase(), member)
    this.#set(member, input)
    this.#touch(member)
    if (status === 'subscribed') this.#announce('subscribe', member, source)
    return member
  }

  /** @param blanks whether an empty text blanks a merge field; a batch takes it for nothing said */
  update(
    member: SimulatedMember,
    input: MemberInput,
    source: Source,
    skipRequired = false,
    blanks = true,
  ): SimulatedMember | Refusal {
    const email = input.email_address?.trim()
    const renamed = email !== undefined && email.toLowerCase() !== member.email.toLowerCase()
    const refusal =
      (renamed ? this.#addressRefusal(email) : undefined) ??
      (renamed && this.#byEmail.has(email.toLowerCase()) ? exists(email) : undefined) ??
      this.#statusRefusal(member, input.status) ??
      this.#mergeRefusal(input, member, skipRequired)
    if (refusal) return refusal
    const before = JSON.stringify(plain(member))
    const old = { email: member.email, status: member.status, hash: hashOf(member.email) }
    if (email !== undefined) {
      this.#byEmail.delete(member.email.toLowerCase())
      member.email = email
      this.#byEmail.set(email.toLowerCase(), member)
    }
    if (input.status) this.#setStatus(member, input.status)
    this.#set(member, input, blanks)
    // What changes nothing is no change.
    if (JSON.stringify(plain(member)) === before) return member
    this.#touch(member)
    if (renamed) {
      this.onEvent?.({
        type: 'upemail',
        source,
        data: { new_id: hashOf(member.email), new_email: member.email, old_email: old.email },
      })
    } else if (old.status !== member.status && ['subscribed', 'unsubscribed'].includes(member.status)) {
      this.#announce(member.status === 'subscribed' ? 'subscribe' : 'unsubscribe', member, source)
    } else this.#announce('profile', member, source)
    return member
  }

  tag(member: SimulatedMember, tags: readonly { readonly name: string; readonly status: string }[]): void {
    for (const { name, status } of tags) {
      const held = [...member.tags.keys()].find((tag) => tag.toLowerCase() === name.toLowerCase())
      if (status === 'inactive' && held !== undefined) member.tags.delete(held)
      if (status === 'active' && held === undefined) this.#addTag(member, name)
    }
    this.#touch(member)
  }

  archive(id: string, source: Source): Refusal | undefined {
    const member = this.get(id)
    if (['archived', 'pending', 'cleaned'].includes(member.status)) {
      const detail =
        'This list member cannot be removed. Can not archive a contact that is bounced, pending or archived'
      return { refused: true, status: 405, title: 'Method Not Allowed', detail, errorCode: 'ERROR_GENERIC' }
    }
    member.status = 'archived'
    this.#touch(member)
    this.#announce('unsubscribe', member, source)
    return undefined
  }

  /** For good: the address cannot be imported again, and no listing ever tells. */
  deletePermanently(id: string): void {
    const member = this.get(id)
    this.#all.delete(id)
    this.#byEmail.delete(member.email.toLowerCase())
    this.#forgotten.add(member.email.toLowerCase())
    this.#pending.push({ at_ms: this.now_ms + this.#options.lag_ms, id, copy: null })
    this.#announce('unsubscribe', member, 'admin')
  }

  /** The person clicks "unsubscribe" in an e-mail. */
  optOut(id: string): void {
    const member = this.get(id)
    member.status = 'unsubscribed'
    member.inComplianceState = true
    this.#touch(member)
    this.#announce('unsubscribe', member, 'user')
  }

  /** The person fills in the sign-up form: the one way out of a compliance state, and out of the archive. */
  signUp(email: string): SimulatedMember {
    this.#forgotten.delete(email.toLowerCase())
    const there = this.#byEmail.get(email.toLowerCase())
    const member = there ?? this.add({ email_address: email, status: 'subscribed' }, 'user')
    if (isRefusal(member)) throw new RangeError(member.detail)
    Object.assign(member, { inComplianceState: false, status: 'subscribed', source: 'Hosted Signup Form' })
    member.timestampSignup_ms = member.timestampOpt_ms = this.now_ms
    this.#touch(member)
    if (there) this.#announce('subscribe', member, 'user')
    return member
  }

  /** Its address bounced for good. */
  bounce(id: string): void {
    const member = this.get(id)
    member.status = 'cleaned'
    member.inComplianceState = true
    this.#touch(member)
    this.onEvent?.({ type: 'cleaned', source: 'user', data: { reason: 'hard', email: member.email } })
  }

  breakMember(id: string, broken: boolean): void {
    const member = this.get(id)
    member.broken = broken
    this.#touch(member)
  }

  #touch(member: SimulatedMember): void {
    member.lastChanged_ms = Math.floor(this.now_ms / 1000) * 1000
    const copy = { ...member, mergeFields: new Map(member.mergeFields), tags: new Map(member.tags) }
    copy.interests = new Set(member.interests)
    this.#pending.push({ at_ms: this.now_ms + this.#options.lag_ms, id: member.contactId, copy })
  }

  #set(member: SimulatedMember, input: MemberInput, blanks = true): void {
    for (const [tag, value] of Object.entries(input.merge_fields ?? {})) {
      // Tags that the audience does not have are passed over.
      if (!this.mergeFields.has(tag)) continue
      if (value !== '' && value !== null) member.mergeFields.set(tag, value)
      else if (blanks) member.mergeFields.delete(tag)
    }
    for (const [id, is] of Object.entries(input.interests ?? {})) {
      if (is) member.interests.add(id)
      else member.interests.delete(id)
    }
    for (const name of input.tags ?? []) {
      if (![...member.tags.keys()].some((tag) => tag.toLowerCase() === name.toLowerCase())) this.#addTag(member, name)
    }
    member.emailType = input.email_type ?? member.emailType
    member.language = input.language ?? member.language
    member.vip = input.vip ?? member.vip
  }

  #addTag(member: SimulatedMember, name: string): void {
    const id = this.#tagIds.get(name.toLowerCase()) ?? 50_000 + this.#tagIds.size
    this.#tagIds.set(name.toLowerCase(), id)
    member.tags.set(name, id)
  }

  #setStatus(member: SimulatedMember, status: MemberStatus): void {
    if (status === 'subscribed' && member.status !== 'subscribed') member.timestampOpt_ms = this.now_ms
    if (status === 'cleaned') member.inComplianceState = true
    member.status = status
  }

  #statusRefusal(member: SimulatedMember, status: MemberStatus | undefined): Refusal | undefined {
    if (status !== 'subscribed' || !member.inComplianceState) return undefined
    const reason = 'is in a compliance state due to unsubscribe, bounce, or compliance review and cannot be subscribed.'
    return { ...generic(`${member.email} ${reason}`), title: 'Member In Compliance State' }
  }

  #addressRefusal(email: string): Refusal | undefined {
    if (!/^[^@\s,;]+@[^@\s,;]+\.[^@\s,;]+$/.test(email)) return generic('Please provide a valid email address.')
    if (FAKE.test(email)) return generic(`${email} looks fake or invalid, please enter a real email address.`)
    if (this.limited.has(email.toLowerCase())) {
      return generic(`${email} has signed up to a lot of lists very recently; we're not allowing more signups for now`)
    }
    if (!this.#forgotten.has(email.toLowerCase())) return undefined
    const detail = `${email} was permanently deleted and cannot be re-imported. The contact must re-subscribe to get back on the list.`
    return { ...generic(detail), title: 'Forgotten Email Not Subscribed' }
  }

  #mergeRefusal(input: MemberInput, member: SimulatedMember | undefined, skipRequired: boolean): Refusal | undefined {
    const given = input.merge_fields ?? {}
    const errors = Object.entries(given).flatMap(([tag, value]) => {
      const field = this.mergeFields.get(tag)
      const message = field && value !== '' && value !== null ? wrong(field, value) : undefined
      return message === undefined ? [] : [{ field: tag, message }]
    })
    for (const { tag, required } of skipRequired || member ? [] : this.mergeFields.values()) {
      if (required === true && (given[tag] ?? '') === '') errors.push({ field: tag, message: 'Please enter a value' })
    }
    return errors.length === 0 ? undefined : { ...generic('Your merge fields were invalid.'), errors }
  }

  #announce(type: 'subscribe' | 'unsubscribe' | 'profile', member: SimulatedMember, source: Source): void {
    const merges = Object.fromEntries(
      [...member.mergeFields].flatMap(([tag, value]) => (typeof value === 'string' ? [[`merges][${tag}`, value]] : [])),
    ) as { [name: string]: string }
    const action: { [name: string]: string } =
      type === 'unsubscribe' ? { action: member.status === 'archived' ? 'archive' : 'unsub', reason: 'manual' } : {}
    const data = { id: hashOf(member.email), email: member.email, email_type: member.emailType, ...merges, ...action }
    this.onEvent?.({ type, source, data })
  }
}

export function isRefusal(result: SimulatedMember | Refusal): result is Refusal {
  return 'refused' in result
}

/** The old id of a member, which goes with the address. */
export function hashOf(email: string): string {
  return createHash('md5').update(email.toLowerCase()).digest('hex')
}

/** What a change shows in; its time is none of that. */
function plain(member: SimulatedMember): unknown {
  const { mergeFields, tags, interests } = member
  return { ...member, lastChanged_ms: 0, mergeFields: [...mergeFields], tags: [...tags], interests: [...interests] }
}

function generic(detail: string): Refusal {
  return { refused: true, status: 400, title: 'Invalid Resource', detail, errorCode: 'ERROR_GENERIC' }
}

function exists(email: string): Refusal {
  const detail = `${email} is already a list member. Use PUT to insert or update list members.`
  return { refused: true, status: 400, title: 'Member Exists', detail, errorCode: 'ERROR_CONTACT_EXISTS' }
}

function wrong({ type, options }: SimulatedMergeField, value: unknown): string | undefined {
  if (type === 'address') {
    const parts = Object(value) as { [part: string]: unknown }
    const isWhole = ['addr1', 'city', 'state', 'zip'].every(
      (part) => typeof parts[part] === 'string' && parts[part] !== '',
    )
    return isWhole ? undefined : 'Please enter a complete address'
  }
  if (type === 'number') return Number.isFinite(Number(value)) ? undefined : 'Please enter a number'
  if (typeof value !== 'string') return 'This value should be of type string'
  switch (type) {
    case 'text':
      return value.length > TEXT_MAX ? 'Please enter at most 255 characters' : undefined
    case 'birthday':
      return /^(0[1-9]|1[0-2])\/(0[1-9]|[12]\d|3[01])$/.test(value)
        ? undefined
        : 'Please enter month (01-12) and day (01-31)'
    case 'date':
      return /^\d{4}-\d\d-\d\d$/.test(value) ? undefined : 'Please enter a date'
    case 'phone':
      return options?.phone_format !== 'US' || /^\(?\d{3}\)?[ -]?\d{3}-?\d{4}$/.test(value)
        ? undefined
        : 'Please enter a complete phone number'
    case 'dropdown':
    case 'radio':
      return (options?.choices ?? []).includes(value) ? undefined : 'Please choose from the list'
    case 'zip':
      return /^\d{5}$/.test(value) ? undefined : 'Please enter a zip code'
    case 'url':
      return undefined
  }
}
