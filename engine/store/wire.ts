import type { Json } from '../core/json.ts'

/**
 * Postgres keeps no U+0000 in text or JSON, and UTF-8 has no place for half a surrogate pair; apps hand us both. At the
 * edge of the store such a character becomes {@link MARK} and its four hex digits, and comes back as it was: a shadow must
 * say exactly what the app said, or every reading would differ from it. MARK (a noncharacter, which no text uses) is
 * written the same way.
 */
const MARK = '\uFFFF'
// oxlint-disable-next-line no-control-regex -- U+0000 is what this is about
const UNSTORABLE = /[\0\uFFFF]|[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/g
const ESCAPED = /\uFFFF([0-9a-f]{4})/g

export function textToWire(text: string): string {
  if (text.isWellFormed() && !text.includes('\0') && !text.includes(MARK)) return text
  return text.replace(UNSTORABLE, (unit) => MARK + unit.charCodeAt(0).toString(16).padStart(4, '0'))
}

export function textFromWire(text: string): string {
  if (!text.includes(MARK)) return text
  return text.replace(ESCAPED, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}

/** The JSON text of a value, as Postgres takes it. Members that are undefined are left out. */
export function jsonToWire(value: unknown): string {
  const text = JSON.stringify(value)
  // JSON.stringify writes halves of surrogate pairs as \udXXX, and whole ones as they are.
  if (!text.includes('\\u0000') && !text.includes('\\ud') && !text.includes(MARK)) return text
  return JSON.stringify(mapText(JSON.parse(text) as Json, textToWire))
}

export function jsonFromWire(text: string): Json {
  const value = JSON.parse(text) as Json
  return text.includes(MARK) ? mapText(value, textFromWire) : value
}

function mapText(value: Json, map: (text: string) => string): Json {
  if (typeof value === 'string') return map(value)
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map((item) => mapText(item, map))
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [map(key), mapText(item, map)]))
}
