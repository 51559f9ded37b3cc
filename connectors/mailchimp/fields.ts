import { createHash } from 'node:crypto'
import { FailureError } from '../../engine/core/failure.ts'
import { canonicalJson, isBlank, type Json, type JsonObject } from '../../engine/core/json.ts'
import type { AppField, AppRecord } from '../../engine/core/ports/connector.ts'
import { STATUSES, type Member, type MergeField } from './wire.ts'

/** The groups of one category, as one field: `groups.Interests`. */
export const GROUPS = 'groups.'
/** The vendor keeps no longer text in a merge field. */
const TEXT_MAX = 255
/** A postal address is taken whole or not at all. */
const ADDRESS_NEEDS = ['addr1', 'city', 'state', 'zip']
const ADDRESS_PARTS = ['addr1', 'addr2', 'city', 'state', 'zip', 'country']

const field = (
  name: string,
  label: string,
  type: string,
  writable: boolean,
  values: Iterable<string> = [],
): AppField => {
  const options = [...values].map((value) => ({ value }))
  return { name, label, type, writable, ...(options.length === 0 ? {} : { options }) }
}

/** What every member has. Merge tags are in capitals, so that none can have one of these names. */
const OWN_FIELDS: readonly AppField[] = [
  field('email_address', 'E-mail address', 'email', true),
  field(
    'status',
    'Subscription status',
    'text',
    true,
    STATUSES.filter((status) => status !== 'archived'),
  ),
  field('tags', 'Tags', 'list of tags', true),
  field('email_type', 'Format of e-mails', 'text', true, ['html', 'text']),
  field('language', 'Language', 'text', true),
  field('vip', 'VIP', 'boolean', true),
  field('timestamp_opt', 'Time of the opt-in', 'date and time', false),
  field('ip_opt', 'Address of the opt-in', 'text', false),
  field('timestamp_signup', 'Time of the sign-up', 'date and time', false),
  field('ip_signup', 'Address of the sign-up', 'text', false),
  field('unsubscribe_reason', 'Reason of the unsubscribe', 'text', false),
  field('marketing_permissions', 'Marketing permissions given', 'list of texts', false),
  field('source', 'Source', 'text', false),
]
const OWN = new Map(OWN_FIELDS.map((own) => [own.name, own]))
/** Sent beside the merge fields, under their own names. */
const PLAIN = new Set(['email_address', 'status', 'email_type', 'language', 'vip'])

/** The groups of one category. */
export interface Groups {
  readonly title: string
  /** The names by the ids that members are marked with. */
  readonly names: ReadonlyMap<string, string>
}

/** Which fields the records of an audience are to have. */
export interface Shape {
  readonly wanted: readonly string[]
  /** By the name of their field. */
  readonly groups: ReadonlyMap<string, Groups>
}

export function isMergeTag(name: string): boolean {
  return !OWN.has(name) && !name.startsWith(GROUPS)
}

/** As `kith check` and `kith fields` list them. */
export function appFields(mergeFields: readonly MergeField[], groups: ReadonlyMap<string, Groups>): AppField[] {
  const merged = mergeFields.map(({ tag, name, type, options }): AppField => {
    return { ...field(tag, name, type, true, options?.choices), ...(type === 'text' ? { length_max: TEXT_MAX } : {}) }
  })
  const grouped = [...groups].map(([name, { title, names }]) => field(name, title, 'groups', true, names.values()))
  return [...OWN_FIELDS, ...merged, ...grouped]
}

/** What of a member is asked for, so that records hold the fields of this shape. */
export function memberFields({ wanted }: Shape): string[] {
  const names = wanted.map((name) => (name.startsWith(GROUPS) ? 'interests' : isMergeTag(name) ? 'merge_fields' : name))
  return [...new Set(['contact_id', 'status', 'last_changed', 'email_address', ...names])]
}

/**
 * A member as a record. The revision is a hash of what it holds: `last_changed` counts whole seconds, within which two edits
 * would look like one.
 */
export function recordFrom(member: Member, { wanted, groups }: Shape): AppRecord {
  const fields = Object.fromEntries(wanted.map((name) => [name, valueOf(member, name, groups)]))
  return { id: member.contact_id, rev: revOf(fields), modified_ms: member.last_changed, fields }
}

function revOf(fields: JsonObject): string {
  return createHash('sha256').update(canonicalJson(fields)).digest('base64url').slice(0, 16)
}

function valueOf(member: Member, name: string, groups: ReadonlyMap<string, Groups>): Json {
  if (name.startsWith(GROUPS)) {
    const marked = Object.entries(member.interests ?? {}).flatMap(([id, is]) => (is ? [id] : []))
    return listOf(marked.flatMap((id) => groups.get(name)?.names.get(id) ?? []))
  }
  if (isMergeTag(name)) return mergeValue(member.merge_fields?.[name])
  if (name === 'tags') return listOf((member.tags ?? []).map((tag) => tag.name))
  if (name === 'marketing_permissions')
    return listOf((member.marketing_permissions ?? []).flatMap(({ text, enabled }) => (enabled ? [text] : [])))
  const value = (member as { readonly [name: string]: unknown })[name] as Json | undefined
  return isBlank(value) ? null : (value ?? null)
}

function mergeValue(value: string | number | null | { readonly [part: string]: string | undefined } | undefined): Json {
  if (typeof value !== 'object' || value === null) return isBlank(value) ? null : (value ?? null)
  const parts = Object.entries(value).flatMap(([part, text]): [string, string][] =>
    text === undefined || isBlank(text) ? [] : [[part, text]],
  )
  return parts.length === 0 ? null : Object.fromEntries(parts)
}

function listOf(items: readonly string[]): Json {
  return items.length === 0 ? null : items.toSorted()
}

/** What to send for some fields. */
export interface Body {
  /** As a single update takes it, and a member of a batch. */
  readonly json: JsonObject
  /** All the tags that the member is to have; undefined where they are not spoken of. */
  readonly tags: readonly string[] | undefined
  /** Something is blanked: a batch takes that for "not said". */
  readonly blanks: boolean
}

/** @throws FailureError where a field cannot be written, for this member alone */
export function bodyFrom(fields: JsonObject, { groups }: Shape): Body {
  const json: JsonObject = {}
  const merge: JsonObject = {}
  const interests: JsonObject = {}
  let tags: string[] | undefined
  let blanks = false
  for (const [name, value] of Object.entries(fields)) {
    if (name === 'tags') {
      tags = texts(value)
      continue
    }
    if (name.startsWith(GROUPS)) {
      Object.assign(interests, marksFrom(name, texts(value), groups))
      continue
    }
    if (!isMergeTag(name) && !PLAIN.has(name)) throw unwritable(name)
    if (name === 'email_address' && isBlank(value)) throw addressless()
    if (isBlank(value)) blanks = true
    if (PLAIN.has(name)) json[name] = isBlank(value) ? '' : value
    else {
      const sent = mergeJson(value)
      if (sent !== undefined) merge[name] = sent
    }
  }
  if (Object.keys(merge).length > 0) json['merge_fields'] = merge
  if (Object.keys(interests).length > 0) json['interests'] = interests
  return { json, tags, blanks }
}

/** undefined for an address that Mailchimp would refuse, and with it all else of the member: what it holds stays. */
function mergeJson(value: Json): Json | undefined {
  if (isBlank(value)) return ''
  if (Array.isArray(value)) return texts(value).join(', ')
  if (typeof value !== 'object' || value === null) return value
  if (ADDRESS_NEEDS.some((part) => isBlank(value[part]))) return undefined
  return Object.fromEntries(ADDRESS_PARTS.map((part) => [part, isBlank(value[part]) ? '' : String(value[part])]))
}

/** Every group of the category, marked or not. */
function marksFrom(name: string, chosen: readonly string[], groups: ReadonlyMap<string, Groups>): JsonObject {
  const names = [...(groups.get(name)?.names ?? [])]
  const known = new Set(names.map(([, group]) => group.toLowerCase()))
  const wanted = new Set(chosen.map((group) => group.toLowerCase()))
  if ([...wanted].some((group) => !known.has(group))) {
    throw new FailureError({
      kind: 'permanent',
      code: 'UNKNOWN-GROUP',
      message: `The field ${name} is given a group that the audience does not have`,
      advice: 'Make the group in Mailchimp, or map the value to one of its groups; then run: kith parked retry',
    })
  }
  return Object.fromEntries(names.map(([id, group]) => [id, wanted.has(group.toLowerCase())]))
}

/** The texts in a list of texts, or of `{ value }`. */
function texts(value: Json): string[] {
  const items = (Array.isArray(value) ? value : [value]).map((item) =>
    typeof item === 'object' && item !== null && !Array.isArray(item) ? item['value'] : item,
  )
  return [...new Set(items.flatMap((item) => (typeof item === 'string' && item.trim() !== '' ? [item.trim()] : [])))]
}

/** Names of groups are the audience's own words, and fields may be named so. */
function unwritable(name: string): FailureError {
  return new FailureError({ kind: 'bug', message: `The Mailchimp field ${name.slice(0, 40)} cannot be written` })
}

export function addressless(): FailureError {
  return new FailureError({
    kind: 'permanent',
    code: 'NO-EMAIL',
    message: 'Mailchimp keeps no one without an e-mail address',
    advice:
      'Give the person an address in one of the apps; or leave such people out of this connection (include: in kith.yaml)',
  })
}

/** Under which Mailchimp knows two addresses for one. */
export function sameAddress(email: string): string {
  return email.trim().toLowerCase()
}
