import { isAscii, isUtf8 } from 'node:buffer'
import iconv from 'iconv-lite'
import { unsettled, unusable } from './errors.ts'
import type { CsvOptions } from './options.ts'

/** How the characters of a file are stored. Big-endian UTF-16 is only ever found by its byte order mark. */
export interface Encoding {
  readonly name: 'utf-8' | 'utf-16le' | 'utf-16be' | 'windows-1252'
  readonly bom: boolean
}

const MARKS: readonly { readonly name: Encoding['name']; readonly bytes: Buffer }[] = [
  { name: 'utf-8', bytes: Buffer.from([0xef, 0xbb, 0xbf]) },
  { name: 'utf-16le', bytes: Buffer.from([0xff, 0xfe]) },
  { name: 'utf-16be', bytes: Buffer.from([0xfe, 0xff]) },
]

const DAMAGED = 'Kith reads it again by itself. If this stays, save the file anew from the program that wrote it.'

/**
 * The text of a file as UTF-8 without a byte order mark, and how to go back. Going back gives the very bytes: a file whose
 * bytes would not survive the round trip is refused.
 *
 * @throws FailureError for bytes that are not of the encoding
 */
export function decodeFile(raw: Buffer, wanted: CsvOptions['encoding']): { text: Buffer; encoding: Encoding } {
  const encoding = detect(raw, wanted)
  const body = encoding.bom ? raw.subarray(markOf(encoding.name).length) : raw
  if (encoding.name === 'utf-8') {
    if (!isUtf8(body)) throw notOf('UTF-8', firstBadLine(body))
    return { text: body, encoding }
  }
  if (encoding.name !== 'windows-1252' && body.length % 2 === 1) {
    throw unsettled('the file is being written or damaged: it ends in the middle of a character', DAMAGED)
  }
  const text = iconv.decode(body, encoding.name, { stripBOM: false })
  const bad = encoding.name === 'windows-1252' ? text.indexOf('\uFFFD') : text.isWellFormed() ? -1 : 0
  if (bad >= 0) throw notOf(encoding.name, text.slice(0, bad).split('\n').length)
  return { text: Buffer.from(text, 'utf8'), encoding }
}

/** The bytes of a file: the reverse of {@link decodeFile}. */
export function encodeFile(text: Buffer, encoding: Encoding): Buffer {
  const body = encoding.name === 'utf-8' ? text : iconv.encode(text.toString('utf8'), encoding.name)
  return encoding.bom ? Buffer.concat([markOf(encoding.name), body]) : body
}

/** Whether a text can be stored in the encoding without losing a character. */
export function isRepresentable(text: string, encoding: Encoding): boolean {
  if (!text.isWellFormed()) return false
  return encoding.name !== 'windows-1252' || iconv.decode(iconv.encode(text, encoding.name), encoding.name) === text
}

function detect(raw: Buffer, wanted: CsvOptions['encoding']): Encoding {
  // A mark is the file's own word and beats the config: people re-save in another encoding without telling us.
  const mark = MARKS.find(({ bytes }) => raw.subarray(0, bytes.length).equals(bytes))
  if (mark) return { name: mark.name, bom: true }
  if (wanted !== 'auto') return { name: wanted, bom: false }
  if (looksLikeUtf16(raw)) return { name: 'utf-16le', bom: false }
  if (isUtf8(raw)) return { name: 'utf-8', bom: false }
  const cut = cutTail(raw)
  if (cut !== undefined && isUtf8(cut) && !isAscii(cut)) {
    // Taken for windows-1252, every umlaut in the file would turn into two odd letters, in every app.
    throw unsettled('the file is being written or damaged: it ends in the middle of a character', DAMAGED)
  }
  return { name: 'windows-1252', bom: false }
}

/** The bytes before a UTF-8 character that the end of the file cuts in two; undefined where there is none. */
function cutTail(raw: Buffer): Buffer | undefined {
  for (let back = 1; back <= Math.min(3, raw.length); back++) {
    const byte = raw[raw.length - back] ?? 0
    if (byte >= 0xc2 && byte <= 0xf4) return raw.subarray(0, raw.length - back)
    if (byte < 0x80) return undefined
  }
  return undefined
}

/** UTF-16 without a mark: a header of Latin letters has a zero in nearly every second byte, and in none of the others. */
function looksLikeUtf16(raw: Buffer): boolean {
  const sample = raw.subarray(0, Math.min(raw.length - (raw.length % 2), 128))
  if (sample.length < 4) return false
  let zeros = 0
  for (let at = 0; at < sample.length; at += 2) {
    if (sample[at] === 0) return false
    if (sample[at + 1] === 0) zeros++
  }
  return zeros >= (sample.length / 2) * 0.8
}

function firstBadLine(body: Buffer): number {
  let line = 1
  for (let start = 0; start < body.length; line++) {
    const newline = body.indexOf(10, start)
    const end = newline < 0 ? body.length : newline + 1
    if (!isUtf8(body.subarray(start, end))) return line
    start = end
  }
  return line
}

function markOf(name: Encoding['name']): Buffer {
  return MARKS.find((mark) => mark.name === name)?.bytes ?? Buffer.alloc(0)
}

function notOf(name: string, line: number): Error {
  return unusable(
    `line ${line} holds bytes that are not ${name}`,
    'Save the file as UTF-8, or name its encoding in kith.yaml.',
  )
}
