import iconv from 'iconv-lite'

/** A file's text and how it was written, so that it can be written back byte for byte. */
export interface CardFile {
  readonly text: string
  readonly encoding: string
}

/**
 * The text of a file of vCards: UTF-8 (or UTF-16 where it says so itself), else what its CHARSET parameters name, else
 * Windows-1252, which is what old programs wrote without a word. Every byte comes back from {@link encodeFile}.
 */
export function decodeFile(bytes: Buffer): CardFile {
  const encoding = encodingOf(bytes)
  return { text: iconv.decode(bytes, encoding, { stripBOM: false }), encoding }
}

/** The bytes of a text: in the file's own encoding where that can hold it, else in UTF-8. */
export function encodeFile(file: CardFile): Buffer {
  const bytes = iconv.encode(file.text, file.encoding)
  return iconv.decode(bytes, file.encoding, { stripBOM: false }) === file.text ? bytes : Buffer.from(file.text, 'utf8')
}

/** Decodes the bytes of a quoted-printable value. Without a charset, or with an unknown one: as {@link decodeFile} would. */
export function decodeBytes(bytes: Buffer, charset: string | undefined): string {
  if (charset !== undefined && iconv.encodingExists(charset) && !/^(utf-?8|us-ascii)$/i.test(charset)) {
    return iconv.decode(bytes, charset)
  }
  return isUtf8(bytes) ? bytes.toString('utf8') : iconv.decode(bytes, 'windows-1252')
}

function encodingOf(bytes: Buffer): string {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return 'utf16le'
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return 'utf16be'
  if (isUtf8(bytes)) return 'utf8'
  const named = Array.from(bytes.toString('latin1').matchAll(/;charset="?([\w.:-]+)/gi), ([, name = '']) => name)
  const charset = named.find((name) => iconv.encodingExists(name) && !/^(utf-?8|us-ascii)$/i.test(name))
  const candidates = charset === undefined ? ['windows-1252'] : [charset, 'windows-1252']
  // Latin-1 maps every byte to a character and back: the last resort that loses nothing.
  return candidates.find((name) => iconv.encode(iconv.decode(bytes, name), name).equals(bytes)) ?? 'latin1'
}

function isUtf8(bytes: Buffer): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    return true
  } catch {
    return false
  }
}
