import { createHash } from 'node:crypto'
import { canonicalJson, type Json, type JsonObject } from '../../engine/core/json.ts'
import type { AppField, AppRecord } from '../../engine/core/ports/connector.ts'

/**
 * The names of the lists that a contact is in, as two sets. Static lists (MANUAL, and SNAPSHOT, which is one once it was filled) have the
 * members that people and programs give them. Who is in an active one (DYNAMIC) HubSpot decides by its filters.
 */
export const STATIC = 'lists.static'
export const ACTIVE = 'lists.active'
export type ListField = typeof STATIC | typeof ACTIVE

export const LIST_FIELDS: readonly AppField[] = [
  { name: STATIC, label: 'Static lists', type: 'list of texts', writable: true },
  { name: ACTIVE, label: 'Active lists', type: 'list of texts', writable: false },
]

export function isListField(field: string): field is ListField {
  return field === STATIC || field === ACTIVE
}

/** What one contact's lists are. */
export interface Memberships {
  readonly names: { readonly [field in ListField]: readonly string[] }
  readonly ids: readonly string[]
  /** When it last joined one, by the field; HubSpot does not say when it left one. */
  readonly joined_ms: { readonly [field in ListField]?: number }
}

export const NONE: Memberships = { names: { [STATIC]: [], [ACTIVE]: [] }, ids: [], joined_ms: {} }

/** A contact's revision that moves with its lists too. @param memberships undefined where lists are not read */
export function revWith(rev: string, memberships: Memberships | undefined, fields: readonly ListField[]): string {
  return memberships === undefined ? rev : revIn(rev, namesIn(memberships, fields))
}

/** The record with the lists that it is in. */
export function withLists(
  record: AppRecord,
  memberships: Memberships | undefined,
  fields: readonly ListField[],
): AppRecord {
  if (memberships === undefined) return record
  const names = namesIn(memberships, fields)
  const joined: { [field: string]: number } = {}
  for (const field of fields) {
    const at_ms = memberships.joined_ms[field]
    if (at_ms !== undefined) joined[field] = at_ms
  }
  return {
    ...record,
    rev: revIn(record.rev ?? '', names),
    fields: { ...record.fields, ...names },
    ...(record.fieldTimes_ms === undefined ? {} : { fieldTimes_ms: { ...record.fieldTimes_ms, ...joined } }),
  }
}

/** The same record once it is in these static lists, and in no others. */
export function inLists(record: AppRecord, names: readonly string[], fields: readonly ListField[]): AppRecord {
  const changed: JsonObject = { ...record.fields, [STATIC]: listValue(sorted(names)) }
  const held = Object.fromEntries(fields.map((field) => [field, changed[field] ?? null]))
  return { ...record, rev: revIn((record.rev ?? '').replace(/\..*$/, ''), held), fields: changed }
}

function namesIn(memberships: Memberships, fields: readonly ListField[]): JsonObject {
  return Object.fromEntries(fields.map((field) => [field, listValue(memberships.names[field])]))
}

/** Of names and not of ids: a list that is renamed is another word on all its members. */
function revIn(rev: string, names: JsonObject): string {
  return `${rev}.${createHash('sha256').update(canonicalJson(names)).digest('base64url').slice(0, 12)}`
}

function listValue(names: readonly string[]): Json {
  return names.length === 0 ? null : [...names]
}

/** In an order that is the engine's own for the elements of a set. */
export function sorted(names: readonly string[]): string[] {
  const key = (name: string): string => name.toLowerCase()
  return [...new Set(names)].sort((a, b) => (key(a) === key(b) ? (a < b ? -1 : 1) : key(a) < key(b) ? -1 : 1))
}
