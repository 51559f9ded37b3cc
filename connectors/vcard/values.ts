import { decodeBytes } from './charset.ts'
import { isQuotedPrintable, type ContentLine, type Version } from './lines.ts'

/**
 * How values are written inside a line. Three layers: quoted-printable (vCard 2.1), the separators of lists and structures,
 * and the escapes of text.
 */

/** The value with quoted-printable and its charset taken off, in characters that a vCard may hold; separators and escapes still in it. */
export function plainValue(line: ContentLine): string {
  if (!isQuotedPrintable(line)) return cleanText(line.value)
  const charset = line.params.find((param) => param.name === 'CHARSET')?.values[0]
  const bytes: Buffer[] = []
  // Characters outside of quoted-printable do occur (a lazy writer): they stand for themselves.
  for (const [piece] of line.value.matchAll(/(?:=[0-9A-Fa-f]{2})+|[^=]+|=/g)) {
    bytes.push(/^=./.test(piece) ? Buffer.from(piece.replaceAll('=', ''), 'hex') : Buffer.from(piece, 'utf8'))
  }
  return cleanText(decodeBytes(Buffer.concat(bytes), charset))
}

/** Cuts at a separator that is not escaped; the pieces stay as written. */
export function splitValue(value: string, separator: ';' | ','): string[] {
  const pieces: string[] = []
  let from = 0
  for (let at = 0; at < value.length; at += 1) {
    if (value[at] === '\\') at += 1
    else if (value[at] === separator) {
      pieces.push(value.slice(from, at))
      from = at + 1
    }
  }
  pieces.push(value.slice(from))
  return pieces
}

/**
 * Takes the escapes off. In 2.1 only separators and the backslash itself are escaped (`C:\new` is a path there). Needless
 * escapes that real programs write (`http\://`, `\"`) are taken off too.
 */
export function decodeText(value: string, version: Version): string {
  if (!value.includes('\\')) return value
  if (version === '2.1') return value.replace(/\\([\\;:,])/g, '$1')
  return value.replace(/\\([\\;:,"nN])/g, (_, char: string) => (char === 'n' || char === 'N' ? '\n' : char))
}

/**
 * Puts the escapes on.
 * @param separators what would cut the value where it stands: `;` in a structure, `,` in a list, both, or none
 */
export function encodeText(text: string, version: Version, separators: string): string {
  let out = ''
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at] as string
    if (char === '\\') {
      // In 2.1 a backslash is doubled only where it would be read as an escape: other readers show it as it stands.
      const next = text[at + 1]
      out += version !== '2.1' || next === undefined || '\\;:,'.includes(next) ? '\\\\' : '\\'
    } else if (char === '\n') out += version === '2.1' ? '\n' : '\\n'
    else out += separators.includes(char) ? `\\${char}` : char
  }
  return out
}

/** What is escaped in a text that stands alone: vCard 3.0 demands it of both separators, 4.0 of the comma only. */
export function textSeparators(version: Version): string {
  return { '2.1': '', '3.0': ';,', '4.0': ',' }[version]
}

/** What a vCard can hold of a text: line ends are line feeds, other control characters and broken surrogates go. */
export function cleanText(text: string): string {
  return text
    .replace(/\r\n?/g, '\n')
    .replace(/[^\P{Cc}\t\n]/gu, '')
    .toWellFormed()
}

/**
 * The physical lines of a property: folded at 75 octets without splitting a character. In 2.1 whatever is not short plain
 * ASCII becomes quoted-printable, whose soft breaks, unlike 2.1's folding, every reader understands.
 *
 * @param head the property's name and parameters
 * @param value separators and escapes in place
 */
export function writeLine(head: string, value: string, version: Version, eol: string): string {
  // A line end can still be in a value that was quoted-printable, which some programs write in 3.0 too.
  if (version !== '2.1') return fold(`${head}:${value.replaceAll('\n', '\\n')}`, eol)
  const ascii = /^[ -~\t]*$/.test(value)
  if (ascii && head.length + value.length < LINE_MAX) return `${head}:${value}${eol}`
  return quotedPrintable(`${head}${ascii ? '' : ';CHARSET=UTF-8'};ENCODING=QUOTED-PRINTABLE:`, value, eol)
}

/** Octets of a line without its end (RFC 6350, 3.2). */
const LINE_MAX = 75

function fold(line: string, eol: string): string {
  let out = ''
  let octets = 0
  for (const char of line) {
    const size = Buffer.byteLength(char, 'utf8')
    if (octets + size > LINE_MAX) {
      out += `${eol} `
      octets = 1
    }
    out += char
    octets += size
  }
  return out + eol
}

function quotedPrintable(head: string, value: string, eol: string): string {
  const last = value.length - 1
  let out = head
  let octets = head.length
  let index = 0
  for (const char of value) {
    const plain = /^[!-<>-~]$/.test(char) || (char === ' ' && index !== last)
    const bytes = char === '\n' ? Buffer.from('\r\n') : Buffer.from(char, 'utf8')
    const code = plain
      ? char
      : Array.from(bytes, (byte) => `=${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('')
    if (octets + code.length > LINE_MAX) {
      out += `=${eol}`
      octets = 0
    }
    out += code
    octets += code.length
    index += char.length
  }
  return out + eol
}
