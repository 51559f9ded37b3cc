import { createHash } from 'node:crypto'
import { FailureError, type Failure } from '../../engine/core/failure.ts'
import { canonicalJson, isBlank, type Json, type JsonObject } from '../../engine/core/json.ts'
import type { AppField, AppRecord } from '../../engine/core/ports/connector.ts'
import { emailsOf, furtherPhones, itemsOf, phonesOf, primaryOf, same } from './identities.ts'
import { ROLE_END_USER, UserSchema, type Identity, type Listed, type User, type UserField, type Users } from './wire.ts'

/** The external id by which a user made by Kith is known again. */
const KEY_PREFIX = 'kith:'
const CUSTOM = 'user_fields.'
/** The name of someone without a name, an address and a number. */
const NAMELESS = '-'
/** Kinds of custom field that people cannot say in text. */
const UNWRITABLE_TYPES = new Set(['lookup'])

const field = (name: string, label: string, type: string, writable: boolean): AppField => ({
  name,
  label,
  type,
  writable,
})

export const STANDARD_FIELDS: readonly AppField[] = [
  { ...field('name', 'Name', 'text', true), length_max: 255 },
  field('emails', 'Email addresses', 'identities', true),
  field('phones', 'Phone numbers', 'phone and identities', true),
  field('alias', 'Alias', 'text', true),
  field('details', 'Details', 'textarea', true),
  field('notes', 'Notes', 'textarea', true),
  field('tags', 'Tags', 'tags', true),
  field('external_id', 'External ID', 'text', false),
  field('organization', 'Organization', 'text', false),
  field('organization_id', 'Organization ID', 'integer', false),
  field('locale', 'Locale', 'text', false),
  field('time_zone', 'Time zone', 'text', false),
  field('suspended', 'Suspended', 'checkbox', false),
  field('verified', 'Verified', 'checkbox', false),
  field('created_at', 'Created at', 'date', false),
]

const WRITABLE_TEXTS = ['alias', 'details', 'notes']

export function customField({ key, title, type, active, custom_field_options }: UserField): AppField {
  const options = (custom_field_options ?? []).map(({ name, value }) => ({ value, label: name }))
  return {
    ...field(CUSTOM + key, title, type, active !== false && !UNWRITABLE_TYPES.has(type)),
    ...(options.length === 0 ? {} : { options }),
  }
}

/** Which related rows must come along for the fields that are asked for. */
export function sideloadsFor(fields: ReadonlySet<string> | undefined): string[] {
  const wants = (name: string): boolean => fields === undefined || fields.has(name)
  return [
    // A name that only repeats an address or a number is no name: see `nameOf`.
    ...(wants('emails') || wants('phones') || wants('name') ? ['identities'] : []),
    ...(wants('organization') ? ['organizations'] : []),
  ]
}

/** A user of an answer: readable, not an end user's, or broken. */
export type Seen =
  | { readonly kind: 'user'; readonly user: User; readonly identities: readonly Identity[]; readonly record: AppRecord }
  /** Deleted, softly: what is left of it. */
  | { readonly kind: 'inactive'; readonly user: User }
  | { readonly kind: 'staff'; readonly id: string }
  | { readonly kind: 'broken'; readonly id: string; readonly failure: Failure }

/** The users of an answer with what came along. */
export function seenIn(answer: Users, fields: ReadonlySet<string> | undefined): Seen[] {
  const identities = Map.groupBy(answer.identities ?? [], ({ user_id }) => user_id)
  const names = new Map((answer.organizations ?? []).map(({ id, name }) => [id, name]))
  return answer.users.map((listed) => seen(listed, identities.get(listed.id) ?? [], names, fields))
}

function seen(
  listed: Listed,
  identities: readonly Identity[],
  organizations: ReadonlyMap<number, string>,
  fields: ReadonlySet<string> | undefined,
): Seen {
  const parsed = UserSchema.safeParse(listed)
  if (!parsed.success) {
    const names = [...new Set(parsed.error.issues.map(({ path }) => String(path[0] ?? 'user')))]
    const message = `Zendesk's answer about the user cannot be read: ${names.join(', ')}`
    return { kind: 'broken', id: String(listed.id), failure: { kind: 'permanent', code: 'UNREADABLE', message } }
  }
  const user = parsed.data
  if (user.active === false) return { kind: 'inactive', user }
  if (user.role !== ROLE_END_USER) return { kind: 'staff', id: String(user.id) }
  const organization = organizations.get(user.organization_id ?? -1) ?? null
  return { kind: 'user', user, identities, record: recordOf(user, identities, organization, fields) }
}

/**
 * A user as a record. The revision is a hash of what it holds: `updated_at` counts whole seconds, within which two edits
 * would look like one, and moves for reasons that are none of ours.
 */
export function recordOf(
  user: User,
  identities: readonly Identity[],
  organization: string | null,
  asked: ReadonlySet<string> | undefined,
): AppRecord {
  const emails = emailsOf(user, identities)
  const phones = phonesOf(user, identities)
  const all: JsonObject = {
    name: nameOf(user, identities),
    emails: listOf(emails),
    phones: listOf(phones),
    alias: textOf(user.alias),
    details: textOf(user.details),
    notes: textOf(user.notes),
    tags: isBlank(user.tags) ? null : [...(user.tags ?? [])],
    external_id: user.external_id?.startsWith(KEY_PREFIX) ? null : textOf(user.external_id),
    organization,
    organization_id: user.organization_id ?? null,
    locale: textOf(user.locale),
    time_zone: textOf(user.time_zone),
    suspended: user.suspended ?? null,
    verified: user.verified ?? null,
    created_at: textOf(user.created_at),
  }
  for (const [key, value] of Object.entries(user.user_fields ?? {})) all[CUSTOM + key] = customValue(value)
  const modified_ms = Date.parse(user.updated_at ?? '')
  return {
    id: String(user.id),
    rev: createHash('sha256').update(canonicalJson(all)).digest('base64url').slice(0, 22),
    ...(Number.isNaN(modified_ms) ? {} : { modified_ms }),
    fields: asked ? Object.fromEntries(Object.entries(all).filter(([name]) => asked.has(name))) : all,
  }
}

/** Zendesk lets no one be without a name. One that only repeats an address or number was put there for want of another. */
export function nameOf(user: User, identities: readonly Identity[]): string | null {
  const name = textOf(user.name)
  if (name === NAMELESS) return null
  const known = [...emailsOf(user, identities), ...phonesOf(user, identities)]
  return name !== null && known.some(({ value }) => same(value, name)) ? null : name
}

function listOf(items: readonly { readonly value: string; readonly pref: boolean }[]): Json {
  return items.length === 0 ? null : items.map(({ value, pref }) => ({ value, pref }))
}

function textOf(text: string | null | undefined): string | null {
  return isBlank(text) ? null : (text ?? null)
}

/** Dates come as midnight in UTC. */
function customValue(value: Json): Json {
  if (typeof value !== 'string') return value
  const date = /^(\d{4}-\d{2}-\d{2})T00:00:00(?:\.0+)?(?:Z|[+-]00:?00)$/.exec(value)
  return date?.[1] ?? textOf(value)
}

/** The attributes to send for these fields; those that are identities are left to others. */
export function attributesOf(fields: JsonObject, nameless: string): JsonObject {
  const attributes: JsonObject = {}
  const custom: JsonObject = {}
  for (const [name, value] of Object.entries(fields)) {
    if (name === 'emails' || name === 'phones') continue
    if (name === 'name') attributes[name] = isBlank(value) ? nameless : value
    else if (name === 'tags') attributes[name] = tagsOf(value)
    else if (WRITABLE_TEXTS.includes(name)) attributes[name] = isBlank(value) ? '' : value
    else if (name.startsWith(CUSTOM)) custom[name.slice(CUSTOM.length)] = isBlank(value) ? null : value
    else throw new FailureError({ kind: 'bug', message: `The Zendesk field ${bareName(name)} cannot be written` })
  }
  if (Object.keys(custom).length > 0) attributes['user_fields'] = custom
  return attributes
}

/** A new user, all in one: the first address and number on the user itself, the others as identities. */
export function newUser(key: string, fields: JsonObject, phones: 'all' | 'first'): JsonObject {
  const emails = itemsOf(fields['emails'])
  const numbers = itemsOf(fields['phones'])
  const email = primaryOf(emails)
  const phone = primaryOf(numbers)
  const identities = [
    ...emails.filter(({ value }) => value !== email).map(({ value }) => ({ type: 'email', value })),
    ...(phones === 'all' ? furtherPhones(numbers).map((value) => ({ type: 'phone_number', value })) : []),
  ]
  return {
    ...attributesOf({ name: null, ...fields }, nameless(fields)),
    external_id: externalIdOf(key),
    role: ROLE_END_USER,
    skip_verify_email: true,
    ...(email === undefined ? {} : { email }),
    ...(phone === undefined ? {} : { phone }),
    ...(identities.length === 0 ? {} : { identities }),
  }
}

/** What stands in for a name: an address or number, which is then no name when it is read. */
export function nameless(fields: JsonObject): string {
  return primaryOf(itemsOf(fields['emails'])) ?? primaryOf(itemsOf(fields['phones'])) ?? NAMELESS
}

export function externalIdOf(key: string): string {
  return KEY_PREFIX + key
}

/** Tags have no spaces, and come back in small letters. */
function tagsOf(value: Json): string[] {
  const tags = (Array.isArray(value) ? value : []).flatMap((tag) => (typeof tag === 'string' ? [tag.trim()] : []))
  return [...new Set(tags.filter(Boolean).map((tag) => tag.replace(/\s+/g, '_').toLowerCase()))]
}

function bareName(name: string): string {
  return name.replace(/[^\w.-]/g, '').slice(0, 60)
}
