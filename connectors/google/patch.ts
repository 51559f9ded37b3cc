import { FailureError } from '../../engine/core/failure.ts'
import { canonicalJson, isBlank, type Json, type JsonObject } from '../../engine/core/json.ts'
import {
  addressOf,
  ADDRESS_PARTS,
  groupOf,
  isField,
  itemsOf,
  KEYED,
  NAME_PARTS,
  ORGANIZATION_PARTS,
  plainNickname,
  presentOrganization,
  shapeOf,
  textOf,
  type FieldName,
  type GroupNames,
  type Item,
} from './fields.ts'
import { labelOf, typeFor } from './labels.ts'
import { MY_CONTACTS, type Person } from './wire.ts'

/**
 * Changes to a person. Google replaces a field whole, so each changed field is written with all that it holds: entries and
 * parts that Kith does not speak of are carried over from the person as it stands.
 */

/** The changed fields, whole. An empty list clears a field. */
export type Patch = ReadonlyMap<FieldName, readonly Item[]>

/** What Google works out by itself, and ignores or refuses when it is sent. */
const OUTPUT_ONLY = ['metadata', 'formattedType', 'canonicalForm', 'displayNameLastFirst']

/**
 * The fields to write so that the person says `fields`; empty where it says so already.
 * @param groups the user's groups; those that `fields` names are among them
 * @throws FailureError (permanent) for a value that Google has no place for
 */
export function patchOf(current: Person | null, fields: JsonObject, groups: GroupNames): Patch {
  const patch = new Map<FieldName, readonly Item[]>()
  for (const [name, value] of Object.entries(fields)) {
    if (!isField(name)) throw refused(name, 'is no field of Google Contacts')
    const before = wholeField(current, name)
    const after = changed(current, name, before, value, groups)
    if (canonicalJson(before as Json[]) !== canonicalJson(after as Json[])) patch.set(name, after)
  }
  return patch
}

/** A field as it is written back unchanged. */
export function wholeField(person: Person | null, field: FieldName): readonly Item[] {
  const items = itemsOf(person, field)
  if (field === 'memberships') return items.flatMap((item) => (groupOf(item) === '' ? [] : [membership(groupOf(item))]))
  return items.map((item) => {
    const dropped = field === 'names' ? [...OUTPUT_ONLY, 'displayName'] : OUTPUT_ONLY
    const kept = Object.entries(item).filter(([part]) => !dropped.includes(part))
    const { sourcePrimary } = (item['metadata'] ?? {}) as { sourcePrimary?: boolean }
    return { ...Object.fromEntries(kept), ...(sourcePrimary === true ? { metadata: { sourcePrimary } } : {}) }
  })
}

/** The fields as Google is sent them. */
export function bodyOf(fields: ReadonlyMap<FieldName, readonly Item[]>): { [field: string]: Item[] } {
  return Object.fromEntries([...fields].map(([field, items]) => [field, [...items]]))
}

function membership(contactGroupResourceName: string): Item {
  return { contactGroupMembership: { contactGroupResourceName } }
}

function changed(
  current: Person | null,
  field: FieldName,
  items: readonly Item[],
  value: Json,
  groups: GroupNames,
): readonly Item[] {
  switch (shapeOf(field)) {
    case 'name': {
      const [name = {}] = items
      const parts = partsFrom(field, value, NAME_PARTS)
      if ([...parts].every(([part, text]) => textOf(name, part) === text)) return items
      // The whole name that went with the old parts would speak against the new ones.
      const now = setParts(without(name, ['unstructuredName']), parts)
      return now && isNamed(now) ? [now] : []
    }
    case 'organization': {
      const at = presentOrganization(items)
      const now = setParts(items[at], partsFrom(field, value, ORGANIZATION_PARTS))
      const said = now && Object.keys(without(now, ['type', 'current', 'metadata'])).length > 0 ? now : undefined
      return replaced(items, at, said)
    }
    case 'text': {
      const at = field === 'nicknames' ? plainNickname(items) : items.length > 0 ? 0 : -1
      const text = textFrom(field, value)
      if (text === textOf(items[at], 'value')) return items
      const plain = field === 'biographies' ? { contentType: 'TEXT_PLAIN' } : {}
      return replaced(items, at, text === '' ? undefined : { ...items[at], value: text, ...plain })
    }
    case 'date':
      return isBlank(value) ? [] : dateItems(field, items, textFrom(field, value))
    case 'list':
    case 'addresses':
      return listItems(field, items, value)
    case 'groups':
      return groupItems(current, items, value, groups)
    case 'keyed':
      return keyedItems(field, items, value)
  }
}

/** The list with the entry at `at` replaced, added where `at` is -1, or taken out. */
function replaced(items: readonly Item[], at: number, item: Item | undefined): readonly Item[] {
  if (at < 0) return item ? [...items, item] : items
  if (!item) return items.filter((_, index) => index !== at)
  return items.map((each, index) => (index === at ? item : each))
}

function isNamed(item: Item): boolean {
  return Object.keys(item).some(
    (part) => (NAME_PARTS.includes(part) || part.startsWith('phonetic')) && textOf(item, part) !== '',
  )
}

function without(item: Item, parts: readonly string[]): Item {
  return Object.fromEntries(Object.entries(item).filter(([part]) => !parts.includes(part)))
}

function setParts(item: Item | undefined, parts: ReadonlyMap<string, string>): Item | undefined {
  const next: { [part: string]: unknown } = { ...item }
  for (const [part, text] of parts) {
    if (text === '') delete next[part]
    else next[part] = text
  }
  return Object.keys(next).length === 0 ? undefined : next
}

/** The named parts of an object; all of them blank for null. A part that is not named is left as it is. */
function partsFrom(field: FieldName, value: Json, names: readonly string[]): ReadonlyMap<string, string> {
  if (isBlank(value)) return new Map(names.map((name) => [name, '']))
  const parts = objectFrom(field, value)
  for (const part of Object.keys(parts)) if (!names.includes(part)) throw refused(field, `has no part ${short(part)}`)
  return new Map(Object.entries(parts).map(([part, text]) => [part, textFrom(field, text)]))
}

function objectFrom(field: string, value: Json): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw refused(field, 'must be an object')
  return value
}

function textFrom(field: string, value: Json): string {
  if (value === null) return ''
  if (typeof value === 'object') throw refused(field, 'holds something that is no text')
  return String(value)
}

function dateItems(field: FieldName, items: readonly Item[], text: string): readonly Item[] {
  const [, year = '', month = '', day = ''] = /^(\d{4}|-)-(\d\d)-(\d\d)$/.exec(text.trim()) ?? []
  const date = { year: year === '-' ? 0 : Number(year), month: Number(month), day: Number(day) }
  if (month === '' || date.month < 1 || date.month > 12 || date.day < 1 || date.day > 31)
    throw refused(field, 'is no date (YYYY-MM-DD, or --MM-DD without the year)')
  const before = (items[0]?.['date'] ?? {}) as { year?: number; month?: number; day?: number }
  const same = (before.year ?? 0) === date.year && before.month === date.month && before.day === date.day
  // Google has the date as a text too; the old one's would contradict the new one.
  return same ? items : [{ ...without(items[0] ?? {}, ['text']), date }]
}

interface Wanted {
  readonly value: string | JsonObject
  /** Left out: what the entry has stays. */
  readonly label?: string | null
}

/** Entries by what they say: each wanted one is given the entry that says it, else one of the same label, else a new one. */
function listItems(field: FieldName, items: readonly Item[], value: Json): readonly Item[] {
  const wanted = wantedFrom(field, value)
  const free = new Set(items)
  const given = new Map<Wanted, Item>()
  for (const alike of [sameEntry, sameValue, sameLabel]) {
    for (const one of wanted) {
      if (given.has(one)) continue
      const match = Array.from(free).find((item) => alike(field, item, one))
      if (!match) continue
      free.delete(match)
      given.set(one, match)
    }
  }
  return wanted.map((one) => entryFor(field, given.get(one), one))
}

function wantedFrom(field: FieldName, value: Json): Wanted[] {
  if (isBlank(value)) return []
  if (!Array.isArray(value)) throw refused(field, 'must be a list')
  return value.flatMap((item): Wanted[] => {
    const element = typeof item === 'string' ? { value: item } : objectFrom(field, item)
    const { value: raw = null, label } = element
    if (isBlank(raw)) return []
    const said = label === undefined ? {} : { label: label === null ? null : textFrom(field, label) }
    if (shapeOf(field) !== 'addresses') return [{ value: textFrom(field, raw), ...said }]
    const parts = Object.entries(objectFrom(field, raw)).filter(([, text]) => !isBlank(text))
    for (const [part] of parts) if (!ADDRESS_PARTS[part]) throw refused(field, `has no part ${short(part)}`)
    return [{ value: Object.fromEntries(parts.map(([part, text]) => [part, textFrom(field, text)])), ...said }]
  })
}

function sameValue(field: FieldName, item: Item, { value }: Wanted): boolean {
  if (typeof value === 'string') return textOf(item, 'value') === value
  const address = addressOf(item)
  return address !== null && canonicalJson(address) === canonicalJson(value) && shapeOf(field) === 'addresses'
}

function sameLabel(field: FieldName, item: Item, { label }: Wanted): boolean {
  return label === undefined || labelOf(field, textOf(item, 'type')) === label
}

function sameEntry(field: FieldName, item: Item, wanted: Wanted): boolean {
  return sameLabel(field, item, wanted) && sameValue(field, item, wanted)
}

function entryFor(field: FieldName, item: Item | undefined, wanted: Wanted): Item {
  const { value, label } = wanted
  const now = item && sameValue(field, item, wanted) ? item : withValue(item ?? {}, value)
  if (item && sameLabel(field, item, wanted)) return now
  if (label === undefined || label === null || label.trim() === '') return without(now, ['type'])
  return { ...now, type: typeFor(field, label) }
}

function withValue(item: Item, value: Wanted['value']): Item {
  // The name beside an address belongs to the old one.
  if (typeof value === 'string') return { ...without(item, ['displayName']), value }
  const parts = Object.entries(ADDRESS_PARTS)
  const moved = textOf(item, 'country') === (value['country'] ?? '') ? [] : ['countryCode']
  const kept = without(item, ['formattedValue', ...moved, ...parts.map(([, theirs]) => theirs)])
  const said = parts.flatMap(([ours, theirs]) => (value[ours] === undefined ? [] : [[theirs, value[ours]]]))
  return { ...kept, ...(Object.fromEntries(said) as Item) }
}

/** The user's groups among the memberships become those named; the others (My contacts, Starred) stay. */
function groupItems(current: Person | null, items: readonly Item[], value: Json, groups: GroupNames): readonly Item[] {
  const wanted = labelsFrom(value).map((label) => {
    const found = groupNamed(groups, label)
    if (found === undefined) throw refused('memberships', 'names a label that could not be made')
    return found
  })
  const others = items.filter((item) => !groups.has(groupOf(item)))
  const kept = items.filter((item) => wanted.includes(groupOf(item)))
  const added = wanted.filter((name) => !items.some((item) => groupOf(item) === name)).map(membership)
  // A new contact that is in a label alone would not be in the address book. And none may be in no group at all.
  const home = current === null || (others.length === 0 && wanted.length === 0)
  const inHome = others.some((item) => groupOf(item) === MY_CONTACTS)
  return [...(home && !inHome ? [membership(MY_CONTACTS)] : []), ...others, ...kept, ...added]
}

/** The labels that a value names, each once. @throws FailureError (permanent) */
export function labelsFrom(value: Json): string[] {
  if (isBlank(value)) return []
  if (!Array.isArray(value)) throw refused('memberships', 'must be a list')
  const labels = value.map((item) =>
    typeof item === 'object' && item !== null && !Array.isArray(item) ? (item['value'] ?? null) : item,
  )
  return [...new Set(labels.map((label) => textFrom('memberships', label).trim()).filter(Boolean))]
}

/** The group of that name: exactly, else whatever the case. */
export function groupNamed(groups: GroupNames, label: string): string | undefined {
  const all = [...groups]
  return (all.find(([, name]) => name === label) ??
    all.find(([, name]) => name.trim().toLowerCase() === label.trim().toLowerCase()))?.[0]
}

function keyedItems(field: FieldName, items: readonly Item[], value: Json): readonly Item[] {
  const keyPart = KEYED[field] ?? 'key'
  if (value === null) return []
  let next = items
  for (const [key, raw] of Object.entries(objectFrom(field, value))) {
    if (key.trim() === '') throw refused(field, 'has an entry without a name')
    const at = next.findIndex((item) => textOf(item, keyPart) === key)
    const text = textFrom(field, raw)
    if (text === textOf(next[at], 'value')) continue
    // All of that name go: a second one, unseen so far, would come to light in its place.
    if (text === '') next = next.filter((item) => textOf(item, keyPart) !== key)
    else next = replaced(next, at, { ...next[at], [keyPart]: key, value: text })
  }
  return next
}

/** A name out of a mapping, cut to a length fit for a message. */
function short(name: string): string {
  return name.slice(0, 40)
}

function refused(field: string, why: string): FailureError {
  return new FailureError({
    kind: 'permanent',
    code: 'VALUE',
    message: `The field ${short(field)} ${why}`,
    advice: 'Correct the mapping, or the value in one of the apps; then run: kith parked retry',
  })
}
