import type { Json, JsonObject } from '../../engine/core/json.ts'
import { ENCODINGS, refused, type Draft } from './draft.ts'
import { ADDRESS_PARTS, blankElement, readElement, type CardElement } from './fields.ts'
import { canonicalLabel, groupLabels, isLabelWord, isPreferred, labelOf, labelText, typesFor } from './labels.ts'
import type { ContentLine, Param, Version } from './lines.ts'
import { cleanText, encodeText, textSeparators } from './values.ts'

/** An element as it shall be. A label or preference left undefined says nothing: what the card has stays. */
interface Wanted {
  readonly value: CardElement['value']
  readonly label?: string | null
  readonly pref?: boolean
}

/**
 * Makes a list field (EMAIL, TEL, URL, ADR) say these elements. Each is given the line that already says it; what is left
 * over is paired by label, so that a corrected number stays in its place with its parameters; the rest is taken away or added.
 */
export function patchList(draft: Draft, name: string, value: Json): void {
  const wanted = wantedElements(name, value)
  const labels = groupLabels(draft.lines)
  const lines = draft.all(name).map((line) => ({ line, element: readElement(line, labels, draft.version) }))
  const free = new Set(lines.filter(({ element }) => !blankElement(element.value)))
  const left = new Set(wanted)
  const pairs: { line: ContentLine; element: CardElement; wanted: Wanted }[] = []
  for (const alike of [sameElement, sameValue, sameLabel]) {
    for (const one of left) {
      const match = Array.from(free).find(({ element }) => alike(element, one))
      if (!match) continue
      free.delete(match)
      left.delete(one)
      pairs.push({ ...match, wanted: one })
    }
  }
  for (const { line } of free) draft.remove(line)
  for (const { line, element, wanted: one } of pairs) {
    let now = line
    if (!sameValue(element, one)) now = setElementValue(draft, now, one.value)
    now = setPreferred(draft, now, one.pref)
    setLabel(draft, now, one.label)
  }
  for (const one of left) {
    const line = setElementValue(draft, name, one.value)
    setLabel(draft, setPreferred(draft, line, one.pref), one.label)
  }
}

function wantedElements(name: string, value: Json): Wanted[] {
  if (value === null) return []
  if (!Array.isArray(value)) throw refused(name, 'must be a list')
  return value.map((item) => wantedElement(name, item)).filter((one) => !blankElement(one.value))
}

function wantedElement(name: string, item: Json): Wanted {
  if (typeof item === 'string') return wantedElement(name, { value: item })
  if (typeof item !== 'object' || item === null || Array.isArray(item))
    throw refused(name, 'holds no {value, label, pref}')
  const { value = null, label, pref } = item
  return {
    value: name === 'ADR' ? wantedAddress(value) : wantedText(name, value).trim(),
    ...(label === undefined ? {} : { label: label === null ? null : canonicalLabel(wantedText(name, label)) }),
    ...(pref === undefined || pref === null ? {} : { pref: pref === true }),
  }
}

function wantedText(name: string, value: Json): string {
  if (value === null) return ''
  if (typeof value === 'object') throw refused(name, 'holds something that is no text')
  return cleanText(String(value))
}

function wantedAddress(value: Json): { [part: string]: string } {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw refused('ADR', 'holds no address in its parts')
  const address: JsonObject = value
  return Object.fromEntries(ADDRESS_PARTS.map((part) => [part, wantedText('ADR', address[part] ?? null)]))
}

function sameValue(element: CardElement, wanted: Wanted): boolean {
  const { value } = element
  if (typeof value === 'string' || typeof wanted.value === 'string') return value === wanted.value
  const address = wanted.value
  return ADDRESS_PARTS.every((part) => value[part] === address[part])
}

function sameLabel(element: CardElement, wanted: Wanted): boolean {
  return wanted.label === undefined || wanted.label === element.label
}

function sameElement(element: CardElement, wanted: Wanted): boolean {
  const pref = wanted.pref === undefined || wanted.pref === element.pref
  return pref && sameLabel(element, wanted) && sameValue(element, wanted)
}

/** Writes the value into the line, or into a new line of the property named. */
function setElementValue(draft: Draft, where: ContentLine | string, value: CardElement['value']): ContentLine {
  const line = typeof where === 'string' ? undefined : where
  const name = typeof where === 'string' ? where : where.name
  // A number or address written as a URI becomes plain text: its scheme is no part of what people write.
  // An address printed on the label, or a place on the map, was the old address's.
  const head = draft.head(name, line, name === 'URL' ? [] : name === 'ADR' ? ['LABEL', 'GEO'] : ['VALUE'])
  if (typeof value === 'string')
    return draft.setLine(name, line, head, encodeText(value, draft.version, separators(draft, name)))
  const parts = ADDRESS_PARTS.map((part) => value[part] ?? '')
  return draft.setLine(name, line, head, draft.structure(line, parts, ';,') ?? parts.join(';'))
}

/** A web address is no text: its commas and semicolons are its own. */
function separators(draft: Draft, name: string): string {
  return name === 'URL' ? '' : textSeparators(draft.version)
}

function setPreferred(draft: Draft, line: ContentLine, pref: boolean | undefined): ContentLine {
  if (pref === undefined || pref === isPreferred(line)) return line
  const params = withoutTypes(line.params, (word) => word.toLowerCase() === 'pref')
  const rest = params.filter((param) => !(/^PREF=/i.test(param) && (pref || /^PREF="?1"?$/i.test(param))))
  const mark = { '2.1': 'PREF', '3.0': 'TYPE=PREF', '4.0': 'PREF=1' }[draft.version]
  return draft.setHead(line, line.group, pref ? [...rest, mark] : rest)
}

function setLabel(draft: Draft, line: ContentLine, label: string | null | undefined): void {
  const beside = groupLabels(draft.lines)
  if (label === undefined || label === labelOf(line, beside, draft.version)) return
  const bare = withoutTypes(line.params, isLabelWord)
  const types = label === null ? [] : typesFor(line.name, label)
  const shared = draft.sharesGroup(line)
  const labelLine = line.group === null ? undefined : beside.get(line.group.toLowerCase())
  if (types) {
    // The group goes only where its label speaks for others too.
    const group = labelLine && shared ? null : line.group
    if (labelLine && !shared) draft.remove(labelLine)
    draft.setHead(line, group, [...bare, ...types.map((type) => typeParam(type, draft.version))])
    return
  }
  const encoded = encodeText(labelText(label ?? ''), draft.version, textSeparators(draft.version))
  const group = line.group === null || shared ? draft.freshGroup() : line.group
  const made = draft.setHead(line, group, bare)
  if (labelLine && !shared) draft.setValue('X-ABLabel', labelLine, encoded)
  else draft.insertAfter(made, `${group}.X-ABLabel`, encoded)
}

function typeParam(type: string, version: Version): string {
  return version === '2.1' ? type.toUpperCase() : version === '3.0' ? `TYPE=${type.toUpperCase()}` : `TYPE=${type}`
}

/** The parameters as written, without encodings and the TYPE words that `drop` says; a parameter that loses none stays as it is. */
function withoutTypes(params: readonly Param[], drop: (word: string) => boolean): string[] {
  return params.flatMap((param) => {
    if (ENCODINGS.includes(param.name)) return []
    if (param.name !== 'TYPE' || !param.values.some(drop)) return [param.raw]
    const kept = param.values.filter((word) => !drop(word))
    return kept.length === 0 ? [] : [`${param.raw.split('=')[0]}=${kept.join(',')}`]
  })
}
