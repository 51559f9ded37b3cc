import { isBlank, type Json, type JsonObject } from '../../engine/core/json.ts'
import { readDate, styleOf, writeDate } from './dates.ts'
import { Draft, refused } from './draft.ts'
import {
  cardFields,
  LIST_FIELDS,
  NAME_PARTS,
  NO_FIELDS,
  omittedYear,
  readBirthday,
  readCategories,
  readOrganisation,
  readText,
  withoutTail,
} from './fields.ts'
import { parseCard, type ContentLine, type Version } from './lines.ts'
import { patchList } from './lists.ts'
import { cleanText, encodeText, plainValue, splitValue, textSeparators } from './values.ts'

/**
 * The card with only these fields changed; every line that need not change keeps its bytes. A field that already says the
 * value is not touched. null (or a blank) removes a property: the occurrence that {@link cardFields} reads, and its
 * alternatives in other languages (ALTID); further ones, which Kith never read, stay.
 *
 * vCards must have a formatted name: FN as null becomes what the other fields spell. N as null becomes an empty one where
 * the version demands it. REV is left as it is: it is the writing program's, and nothing here may know the time.
 *
 * In N, parts that are not named stay. In a list, an element that the card already has keeps its line; order is the card's.
 *
 * @throws FailureError (permanent) for a text that is no vCard, or a field or value that a vCard cannot hold
 */
export function patchCard(text: string, fields: JsonObject): string {
  const draft = new Draft(parseCard(text))
  patchDraft(draft, fields)
  return draft.text()
}

/**
 * A card of its own, in the version given. Where the fields have no formatted name, it is spelt from the others.
 * @param uid the card's UID; `fields.UID` is ignored
 */
export function newCard(uid: string, fields: JsonObject, version: '3.0' | '4.0'): string {
  const id = encodeText(cleanText(uid), version, textSeparators(version))
  const name = version === '3.0' ? 'N:;;;;\r\n' : ''
  const empty = `BEGIN:VCARD\r\nVERSION:${version}\r\nUID:${id}\r\nFN:\r\n${name}END:VCARD\r\n`
  const draft = new Draft(parseCard(empty))
  const { UID: _, ...rest } = fields
  patchDraft(draft, rest)
  if (isBlank(readFormattedName(draft))) patchText(draft, 'FN', spelledName(draft))
  return draft.text()
}

function patchDraft(draft: Draft, fields: JsonObject): void {
  const names = Object.keys(fields)
  for (const name of names) if (name.toUpperCase() !== 'FN') patchField(draft, name.toUpperCase(), fields[name] ?? null)
  // Last, for a name that is taken away falls back to what the others now say.
  for (const name of names)
    if (name.toUpperCase() === 'FN') patchFormattedName(draft, textOf('FN', fields[name] ?? null))
}

function patchField(draft: Draft, name: string, value: Json): void {
  if (!/^[A-Z0-9-]+$/.test(name)) throw refused(name, 'is no name of a vCard property')
  if (NO_FIELDS.has(name)) throw refused(name, 'cannot be written')
  if (LIST_FIELDS.has(name)) patchList(draft, name, value)
  else if (name === 'CATEGORIES') patchCategories(draft, textsOf(name, value))
  else if (name === 'ORG') patchOrganisation(draft, textsOf(name, value))
  else if (name === 'N') patchName(draft, value)
  else if (name === 'BDAY') patchBirthday(draft, textOf(name, value))
  else patchText(draft, name, textOf(name, value))
}

function textOf(field: string, value: Json): string {
  if (value === null) return ''
  if (typeof value === 'object') throw refused(field, 'must be a text')
  return cleanText(String(value))
}

function textsOf(field: string, value: Json): string[] {
  if (value === null) return []
  if (!Array.isArray(value)) throw refused(field, 'must be a list of texts')
  return value.map((item) => textOf(field, item))
}

const TEXTS: ReadonlySet<string> = new Set(['FN', 'NICKNAME', 'TITLE', 'ROLE', 'NOTE', 'UID', 'BDAY'])

/** In a property that we do not know a semicolon may be a structure's: only what would be wrong in any version is escaped. */
function separatorsOf(name: string, version: Version): string {
  return TEXTS.has(name) || version === '2.1' ? textSeparators(version) : ','
}

function patchText(draft: Draft, name: string, wanted: string): void {
  const line = draft.first(name)
  if (line ? readText(line, draft.version) === wanted : wanted === '') return
  if (wanted === '') draft.removeFirst(name)
  else draft.setValue(name, line, encodeText(wanted, draft.version, separatorsOf(name, draft.version)))
}

function patchFormattedName(draft: Draft, wanted: string): void {
  if (wanted.trim() !== '') return patchText(draft, 'FN', wanted)
  if (isBlank(readFormattedName(draft))) return
  draft.setValue(
    'FN',
    draft.first('FN'),
    encodeText(spelledName(draft), draft.version, separatorsOf('FN', draft.version)),
  )
}

function readFormattedName(draft: Draft): string | null {
  const line = draft.first('FN')
  return line ? readText(line, draft.version) : null
}

/** What to call a card that has no formatted name: the name's parts, the organisation, the nickname, an address, a number. */
function spelledName(draft: Draft): string {
  const card = parseCard(draft.text())
  const { N, ORG, NICKNAME, EMAIL, TEL } = cardFields(card, ['N', 'ORG', 'NICKNAME', 'EMAIL', 'TEL'])
  const name = N as { [part: string]: string } | null
  const parts = ['prefix', 'given', 'additional', 'family', 'suffix'].map((part) => name?.[part]?.trim() ?? '')
  const first = (list: Json | undefined): string => {
    const item = Array.isArray(list) ? list[0] : undefined
    return typeof item === 'string' ? item : String((item as JsonObject | undefined)?.['value'] ?? '')
  }
  const spellings = [parts.filter(Boolean).join(' '), first(ORG), String(NICKNAME ?? ''), first(EMAIL), first(TEL)]
  return spellings.find((text) => text.trim() !== '') ?? ''
}

function patchName(draft: Draft, value: Json): void {
  const { version } = draft
  if (value !== null && (typeof value !== 'object' || Array.isArray(value)))
    throw refused('N', 'must be a name in its parts')
  const line = draft.first('N')
  if (isBlank(value) && (value === null || NAME_PARTS.every((part) => part in value))) {
    if (line && plainValue(line).replaceAll(';', '') === '') return
    if (version === '4.0') draft.removeFirst('N')
    else if (line) draft.setValue('N', line, ';;;;')
    return
  }
  const parts = value as JsonObject
  const wanted = NAME_PARTS.map((part) => (parts[part] === undefined ? undefined : textOf('N', parts[part] ?? null)))
  const encoded = draft.structure(line, wanted, ';,')
  if (encoded !== undefined) draft.setValue('N', line, encoded)
}

function patchOrganisation(draft: Draft, units: readonly string[]): void {
  const wanted = withoutTail(units)
  const line = draft.first('ORG')
  const current = line ? readOrganisation(line, draft.version) : []
  if (current.length === wanted.length && current.every((unit, index) => unit === wanted[index])) return
  if (wanted.length === 0) return draft.removeFirst('ORG')
  // Units beyond the wanted ones go; those that stay keep their writing.
  const pieces = line ? splitValue(plainValue(line), ';') : []
  const encoded = wanted.map((unit, index) =>
    current[index] === unit ? (pieces[index] ?? '') : encodeText(unit, draft.version, ';,'),
  )
  draft.setValue('ORG', line, encoded.join(';'))
}

function patchCategories(draft: Draft, items: readonly string[]): void {
  const wanted = new Set(items.map((item) => item.trim()).filter(Boolean))
  const { version } = draft
  const missing = new Set(wanted)
  for (const line of draft.all('CATEGORIES')) for (const item of readCategories(line, version)) missing.delete(item)
  const added = Array.from(missing, (item) => encodeText(item, version, ';,'))
  const lines = draft.all('CATEGORIES')
  for (const line of lines) {
    const pieces = splitValue(plainValue(line), ',')
    const kept = pieces.filter((_, index) => {
      const [item] = readCategories({ ...line, params: [], value: pieces[index] ?? '' }, version)
      return item === undefined || wanted.has(item)
    })
    const more = line === lines[0] ? added : []
    if (kept.length === pieces.length && more.length === 0) continue
    const said = [...kept.filter((piece) => piece.trim() !== ''), ...more]
    if (said.length === 0) draft.remove(line)
    else draft.setValue('CATEGORIES', line, said.join(','))
  }
  if (lines.length === 0 && added.length > 0) draft.setValue('CATEGORIES', undefined, added.join(','))
}

function patchBirthday(draft: Draft, wanted: string): void {
  const { version } = draft
  const line = draft.first('BDAY')
  if (line ? (readBirthday(line, version) ?? '') === wanted : wanted === '') return
  if (wanted === '') return draft.removeFirst('BDAY')
  const date = readDate(wanted, null)
  if (date === undefined) {
    // No date: a text says it ("circa 1800"), and says that it is one.
    const head = draft.head('BDAY', line, ['VALUE', 'X-APPLE-OMIT-YEAR'])
    draft.setLine('BDAY', line, `${head};VALUE=text`, encodeText(wanted, version, separatorsOf('BDAY', version)))
    return
  }
  const style = birthdayStyle(line, version)
  const yearless = date.startsWith('--')
  // vCard 3.0 knows no date without a year; Apple's way of saying it is a valid date for everybody else.
  const keepsDashes = line !== undefined && plainValue(line).trim().startsWith('--')
  const omitYear =
    yearless && version !== '4.0' && !keepsDashes ? (style.omitYear ?? '1604') : yearless ? style.omitYear : null
  const text = writeDate(date, { ...style, omitYear })
  const drop = ['X-APPLE-OMIT-YEAR', 'VALUE=TEXT', ...(/T/i.test(text) ? [] : DATE_TIMES)]
  const head = draft.head('BDAY', line, drop)
  draft.setLine('BDAY', line, omitYear === null ? head : `${head};X-APPLE-OMIT-YEAR=${omitYear}`, text)
}

/** Value types that would be wrong for a date alone. */
const DATE_TIMES = ['VALUE=DATE-TIME', 'VALUE=DATE-AND-OR-TIME']

function birthdayStyle(line: ContentLine | undefined, version: Version): ReturnType<typeof styleOf> {
  if (line && readDate(plainValue(line), null) !== undefined) return styleOf(plainValue(line), omittedYear(line))
  // RFC 6350 allows only the form without dashes; in the older versions both are right and the dashes are usual.
  return { dashes: version !== '4.0', omitYear: null, time: '' }
}
