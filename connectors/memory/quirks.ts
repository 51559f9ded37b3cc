import { isBlank, type Json, type JsonObject } from '../../engine/core/json.ts'
import type { FieldInfo } from './wire.ts'

/** How the product behaves on its good days: the habits of real apps, as data. What it does on bad days is in faults.ts. */
export interface Quirks {
  /** Whether the change feed reports deletions, or every reading lists all there is. */
  readonly deletes: 'feed' | 'inventory'
  /** Whether the client chooses a new record's id, or has to search after a lost answer. */
  readonly createKey: 'id' | 'search'
  readonly revisions: boolean
  /** Writes may name the revision they were made over. Needs `revisions`. */
  readonly precondition: boolean
  readonly times: 'field' | 'record' | 'none'
  /** Feed and listing name records without their data. */
  readonly hints: boolean
  /** A delete can be an archive, from which a human takes the record back. */
  readonly archive: boolean
  /** A delete can be for good: not even in the archive afterwards. */
  readonly erase: boolean
  /** What a merge leaves: one of the two records, or a third one with a new id. */
  readonly mergeInto: 'winner' | 'new'
  /** No two records may hold the same e-mail address. */
  readonly uniqueEmails: boolean
  readonly rewrite: Rewrite
  /** A change shows in feed and listing only after so many more calls, and after so many milliseconds. */
  readonly feedLag: Lag
  /** The same for a new record in the search. */
  readonly searchLag: Lag
  /** What the app's clock is wrong by. */
  readonly clockSkew_ms: number
  readonly page_max: number
  readonly readBatch_max: number
  readonly writeBatch_max: number
  readonly writes_concurrent_max: number
}

export interface Lag {
  readonly calls: number
  readonly time_ms: number
}

/** What the app makes of the values it is given, by the API or by a human. */
export interface Rewrite {
  readonly trim?: boolean
  /** Fold the case of e-mail addresses and tags. */
  readonly emails?: 'lower'
  readonly tags?: 'lower'
  /** Keep digits only, in groups of three: "+49 30 1234567" becomes "+493-012-345-67". */
  readonly phones?: 'grouped'
  /** Longer notes are cut, silently. */
  readonly noteLength_max?: number
}

export const PLAIN: Quirks = {
  deletes: 'feed',
  createKey: 'id',
  revisions: true,
  precondition: true,
  times: 'record',
  hints: false,
  archive: false,
  erase: false,
  mergeInto: 'winner',
  uniqueEmails: false,
  rewrite: {},
  feedLag: { calls: 0, time_ms: 0 },
  searchLag: { calls: 0, time_ms: 0 },
  clockSkew_ms: 0,
  page_max: 100,
  readBatch_max: 100,
  writeBatch_max: 100,
  writes_concurrent_max: 4,
}

const text = (name: string, length_max?: number): FieldInfo =>
  length_max === undefined ? { name, type: 'text' } : { name, type: 'text', length_max }

export const FIELDS: readonly FieldInfo[] = [
  text('given', 200),
  text('family', 200),
  text('title', 200),
  text('organisation', 200),
  text('note'),
  text('birthday', 10),
  text('externalId', 64),
  { name: 'emails', type: 'list' },
  { name: 'phones', type: 'list' },
  { name: 'tags', type: 'list' },
]

/** Fields of an app that keeps consent; see `fields` in app.ts. */
export const CONSENT_FIELDS: readonly FieldInfo[] = [text('consent', 20), text('optedIn', 40)]

/** Why the app refuses a value, or undefined. `null` is always allowed: it blanks the field. */
export function refusal(info: FieldInfo, value: Json): string | undefined {
  if (value === null) return undefined
  if (info.type === 'text') {
    if (typeof value !== 'string') return 'not-text'
    return info.length_max !== undefined && value.length > info.length_max ? 'too-long' : undefined
  }
  if (!Array.isArray(value)) return 'not-a-list'
  for (const element of value) {
    const content = valueOf(element)
    if (content === undefined) return 'not-an-element'
    if (info.name === 'emails' && !content.includes('@')) return 'not-an-address'
  }
  return undefined
}

/** The value as the app keeps it: rewritten, blank as null, and frozen, so that one copy serves every reader. */
export function keep(field: string, value: Json, rewrite: Rewrite): Json {
  const kept = rewritten(field, value, rewrite)
  return isBlank(kept) ? null : frozen(kept)
}

/** The text of a list element; undefined for what is no element. */
export function valueOf(element: Json): string | undefined {
  if (typeof element !== 'object' || element === null || Array.isArray(element)) return undefined
  return typeof element['value'] === 'string' ? element['value'] : undefined
}

function rewritten(field: string, value: Json, rewrite: Rewrite): Json {
  if (Array.isArray(value)) {
    return value.map((element) => {
      const content = valueOf(element)
      return content === undefined
        ? element
        : { ...(element as JsonObject), value: elementText(field, content, rewrite) }
    })
  }
  if (typeof value !== 'string') return value
  const trimmed = rewrite.trim ? value.trim() : value
  return field === 'note' && rewrite.noteLength_max !== undefined ? cut(trimmed, rewrite.noteLength_max) : trimmed
}

function elementText(field: string, content: string, rewrite: Rewrite): string {
  const trimmed = rewrite.trim ? content.trim() : content
  if (field === 'emails' && rewrite.emails === 'lower') return trimmed.toLowerCase()
  if (field === 'tags' && rewrite.tags === 'lower') return trimmed.toLowerCase()
  if (field === 'phones' && rewrite.phones === 'grouped') return grouped(trimmed)
  return trimmed
}

function grouped(phone: string): string {
  const digits = phone.replace(/\D/g, '')
  if (digits === '') return phone
  return (phone.startsWith('+') ? '+' : '') + digits.replace(/(\d{3})(?=\d)/g, '$1-')
}

/** Cuts between characters, never through a surrogate pair. */
function cut(value: string, length_max: number): string {
  if (value.length <= length_max) return value
  const end = value.charCodeAt(length_max - 1)
  return value.slice(0, end >= 0xd800 && end <= 0xdbff ? length_max - 1 : length_max)
}

function frozen(value: Json): Json {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  if (Array.isArray(value)) return Object.freeze(value.map(frozen)) as Json[]
  const copy: JsonObject = {}
  for (const key of Object.keys(value)) copy[key] = frozen(value[key] ?? null)
  return Object.freeze(copy)
}
