import { FailureError } from '../../engine/core/failure.ts'

/**
 * The content-line layer: a card is a list of property lines, each with its exact bytes beside what they say. All that is
 * lossless about patching rests on this: a line that nobody touches is written back as it was read.
 *
 * It is our own because a parser that gives values only (ical.js, which the tests use as a second opinion) drops folding,
 * letter case, line ends and the order of parameters, refuses a whole card for one odd date, and does not know vCard 2.1.
 */
export type Version = '2.1' | '3.0' | '4.0'

export interface Param {
  /** Upper case. `TYPE` for the bare words of vCard 2.1 that are types. */
  readonly name: string
  /** As written, quotes taken off. */
  readonly values: readonly string[]
  /** As written, without the leading semicolon: what an untouched parameter is written back as. */
  readonly raw: string
}

export interface ContentLine {
  /** Upper case; the empty text for a line that says nothing (blank lines, a card within a card). */
  readonly name: string
  /** As written; null where there is none. */
  readonly group: string | null
  readonly params: readonly Param[]
  /** Unfolded, otherwise as written: escapes and quoted-printable still in it. */
  readonly value: string
  /** The property's name as written: `Fn` stays `Fn` when its line is rewritten. */
  readonly spelling: string
  /** The exact text of all its physical lines, line ends included. */
  readonly raw: string
  /** Where it starts in the text, counted from 1. */
  readonly number: number
}

export interface Card {
  readonly version: Version
  /** Everything between the start and the end of the text, BEGIN and END included. Joined, the `raw`s are the text. */
  readonly lines: readonly ContentLine[]
  /** The card's own line end. */
  readonly eol: string
}

/** One line of the text as it stands: `text` without its line end. */
interface Physical {
  readonly text: string
  readonly raw: string
}

const BOM = '\uFEFF'

/** A failure for text that is no vCard: it names the line, never what stands there (I15). */
export function notACard(line: number, what: string): FailureError {
  return new FailureError({
    kind: 'permanent',
    message: `not a vCard: line ${line}: ${what}`,
    advice: 'Repair the card in the app it comes from, or take it away; it is read again when it changes.',
  })
}

/**
 * Reads one card.
 * @throws FailureError (permanent) that names the line, for text that is not exactly one vCard 2.1, 3.0 or 4.0
 */
export function parseCard(text: string): Card {
  const lines = contentLines(text)
  const first = lines.findIndex((line) => line.name !== '')
  const begin = lines[first]
  if (!begin || !isMark(begin, 'BEGIN')) throw notACard(begin?.number ?? 1, 'BEGIN:VCARD is missing')
  const end = lines.findIndex((line) => isMark(line, 'END'))
  const last = lines[end < 0 ? lines.length - 1 : end] as ContentLine
  const second = lines.find((line, index) => index > first && (end < 0 || index < end) && isMark(line, 'BEGIN'))
  if (second) throw notACard(second.number, 'a second BEGIN:VCARD before the first card ends')
  if (end < 0) throw notACard(last.number, CUT_SHORT)
  const after = lines.slice(end + 1).find((line) => line.name !== '')
  if (after && isMark(after, 'BEGIN')) throw notACard(after.number, 'a second card begins; one contact per file')
  if (after) throw notACard(after.number, 'text after END:VCARD')
  return { version: versionOf(lines), lines, eol: /\r{0,3}\n|\r/.exec(begin.raw)?.[0] ?? '\r\n' }
}

/**
 * Cuts a text that holds several cards into one text per card, with the blank lines behind it; a card inside another
 * (AGENT) stays where it is.
 * @throws FailureError (permanent) for text outside of cards, or a card that does not end
 */
export function splitCards(text: string): string[] {
  const cards: string[] = []
  let open: string[] | null = null
  let number = 1
  for (const line of contentLines(text)) {
    number = line.number
    if (isMark(line, 'BEGIN')) {
      if (open) throw notACard(number, 'a second BEGIN:VCARD before the first card ends')
      open = []
    }
    if (open) open.push(cards.length === 0 && open.length === 0 ? line.raw.replace(BOM, '') : line.raw)
    else if (line.name !== '') throw notACard(number, 'text outside of a card')
    else if (cards.length > 0) cards.push(`${cards.pop()}${line.raw}`)
    if (open && isMark(line, 'END')) {
      cards.push(open.join(''))
      open = null
    }
  }
  if (open) throw notACard(number, CUT_SHORT)
  if (cards.length === 0) throw notACard(1, 'BEGIN:VCARD is missing')
  return cards
}

/** One line's values of a parameter, in lower case. */
export function paramValues(line: ContentLine, name: string): string[] {
  return line.params.filter((param) => param.name === name).flatMap((param) => param.values.map((v) => v.toLowerCase()))
}

/** Whether the value is written in quoted-printable. */
export function isQuotedPrintable(line: Pick<ContentLine, 'params'>): boolean {
  return line.params.some((param) => param.name === 'ENCODING' && /^quoted-printable$/i.test(param.values[0] ?? ''))
}

/** Whether the line is `BEGIN:VCARD`, or `END:VCARD`. */
export function isMark(line: ContentLine, mark: 'BEGIN' | 'END'): boolean {
  return line.name === mark && line.value.trim().toUpperCase() === 'VCARD'
}

/**
 * The property lines of a text. It may start with a byte order mark, which stays with the first line's bytes.
 * @param legacy whether to unfold as vCard 2.1 does
 */
export function contentLines(text: string, legacy = /^version[ \t]*:[ \t]*2\.1/im.test(text)): ContentLine[] {
  const physical = physicalLines(text)
  const lines: ContentLine[] = []
  let at = 0
  while (at < physical.length) {
    const start = at
    const first = physical[at] as Physical
    at += 1
    const head = (start === 0 ? first.text.replace(BOM, '') : first.text).trimEnd()
    if (head === '') {
      lines.push(silent(first.raw, start + 1))
      continue
    }
    if (/^[ \t]/.test(first.text)) throw notACard(start + 1, 'a continuation with no line before it')
    // The line is put together before it is read: a fold may fall inside a parameter.
    let logical = start === 0 ? first.text.replace(BOM, '') : first.text
    let pieces = cut(logical)
    const quotedPrintable = (): boolean =>
      pieces !== undefined && isQuotedPrintable({ params: pieces.head.slice(1).map(readParam) })
    let soft = quotedPrintable()
    while (at < physical.length) {
      const next = (physical[at] as Physical).text
      const tail = soft ? logical.trimEnd() : logical
      if (soft && tail.endsWith('=')) logical = tail.slice(0, -1) + next
      // vCard 2.1 folds at white space and keeps it (RFC 822); later versions insert one character, which goes.
      else if (/^[ \t]/.test(next)) logical += legacy ? next : next.slice(1)
      else break
      at += 1
      if (pieces === undefined) {
        pieces = cut(logical)
        soft = quotedPrintable()
      }
    }
    if (soft) logical = logical.trimEnd().replace(/=$/, '')
    const line = readLine(logical, start + 1)
    if (!line) throw notACard(start + 1, whyUnread(logical, lines, at >= physical.length))
    if (isBase64(line)) {
      // Some programs do not indent the lines of a photo.
      while (at < physical.length && /^[A-Za-z0-9+/=]+[ \t]*$/.test((physical[at] as Physical).text)) at += 1
    } else if (line.name === 'AGENT' && line.value.trim() === '') {
      at = pastInnerCard(physical, at)
    }
    const raw = physical.slice(start, at).reduce((all, { raw: part }) => all + part, '')
    lines.push({ ...line, raw })
  }
  return lines
}

function physicalLines(text: string): Physical[] {
  return Array.from(text.matchAll(/([^\r\n]*)(\r{0,3}\n|\r|$)/g), ([raw, line = '']) => ({ text: line, raw })).filter(
    ({ raw }) => raw !== '',
  )
}

function silent(raw: string, number: number): ContentLine {
  return { name: '', group: null, params: [], value: '', spelling: '', raw, number }
}

/** vCard 2.1 writes an agent as a card after an empty AGENT line: it belongs to that line and is never looked into. */
function pastInnerCard(physical: readonly Physical[], from: number): number {
  const mark = (index: number): string => (physical[index]?.text ?? '').replace(/\s/g, '').toUpperCase()
  let at = from
  while (at < physical.length && mark(at) === '') at += 1
  if (mark(at) !== 'BEGIN:VCARD') return from
  let depth = 0
  for (; at < physical.length; at += 1) {
    if (mark(at) === 'BEGIN:VCARD') depth += 1
    if (mark(at) === 'END:VCARD') depth -= 1
    if (depth === 0) return at + 1
  }
  return at
}

function isBase64(line: Pick<ContentLine, 'params'>): boolean {
  return line.params.some((param) => param.name === 'ENCODING' && /^(b|base64)$/i.test(param.values[0] ?? ''))
}

const CUT_SHORT = 'the text ends before END:VCARD (cut short, or still being written)'

function whyUnread(logical: string, before: readonly ContentLine[], last: boolean): string {
  if (before.every(({ name }) => name === '')) return 'BEGIN:VCARD is missing'
  if (last) return CUT_SHORT
  return cut(logical) ? 'no property name' : 'no colon between a property and its value'
}

function readLine(logical: string, number: number): ContentLine | undefined {
  const pieces = cut(logical)
  if (!pieces) return undefined
  const [head = '', ...params] = pieces.head
  const dot = head.lastIndexOf('.')
  const spelling = head.slice(dot + 1).trim()
  if (!/^[A-Za-z0-9_-]+$/.test(spelling)) return undefined
  return {
    name: spelling.toUpperCase(),
    group: dot < 0 ? null : head.slice(0, dot).trim(),
    params: params.map(readParam),
    value: pieces.value,
    spelling,
    raw: '',
    number,
  }
}

interface Pieces {
  /** The name, and each parameter. */
  readonly head: readonly string[]
  readonly value: string
}

/** Cuts at the semicolons and the first colon outside of quotes; undefined where there is no colon. A lone quote is a letter. */
function cut(logical: string): Pieces | undefined {
  return cutAt(logical, true) ?? cutAt(logical, false)
}

function cutAt(logical: string, quotes: boolean): Pieces | undefined {
  const head: string[] = []
  let from = 0
  let quoted = false
  for (let at = 0; at < logical.length; at += 1) {
    const char = logical[at]
    if (char === '"' && quotes) quoted = !quoted
    else if (quoted) continue
    else if (char === ';' || char === ':') {
      head.push(logical.slice(from, at))
      from = at + 1
      if (char === ':') return { head, value: logical.slice(from) }
    }
  }
  return undefined
}

/** The bare words of vCard 2.1 that are not types. */
const BARE: { readonly [word: string]: string } = {
  'QUOTED-PRINTABLE': 'ENCODING',
  BASE64: 'ENCODING',
  '8BIT': 'ENCODING',
  '7BIT': 'ENCODING',
  INLINE: 'VALUE',
  URL: 'VALUE',
  'CONTENT-ID': 'VALUE',
}

function readParam(raw: string): Param {
  const equals = raw.indexOf('=')
  if (equals < 0) return { name: BARE[raw.trim().toUpperCase()] ?? 'TYPE', values: [raw.trim()], raw }
  const name = raw.slice(0, equals).trim().toUpperCase()
  const values: string[] = []
  // A quoted list ("work,voice") is a list all the same: the RFC's own example writes it so.
  for (const value of raw
    .slice(equals + 1)
    .replaceAll('"', '')
    .split(','))
    values.push(value.trim())
  return { name, values, raw }
}

function versionOf(lines: readonly ContentLine[]): Version {
  const line = lines.find(({ name }) => name === 'VERSION')
  const version = line?.value.trim()
  // Programs that leave it out write what every reader of their time took for 3.0; quoted-printable is read by parameter.
  if (line === undefined) return '3.0'
  if (version === '2.1' || version === '3.0' || version === '4.0') return version
  throw notACard(line.number, 'VERSION is none of 2.1, 3.0 and 4.0')
}
