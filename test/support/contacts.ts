/** A contact as the tests read it: with their own eyes, and none of Kith's parsers. A blank is the empty text. */
export interface Contact {
  readonly given: string
  readonly family: string
  readonly organisation: string
  readonly title: string
  readonly birthday: string
  readonly note: string
  readonly emails: readonly string[]
  readonly phones: readonly string[]
}

export type ScalarField = Exclude<keyof Contact, 'emails' | 'phones'>

export const SCALARS: readonly ScalarField[] = ['given', 'family', 'organisation', 'title', 'birthday', 'note']

export function contact(values: Partial<Contact>): Contact {
  const blank = { given: '', family: '', organisation: '', title: '', birthday: '', note: '', emails: [], phones: [] }
  return { ...blank, ...values }
}

/** What counts as the same: addresses in small letters, numbers by their digits, both without their order. */
export function essence(who: Contact): Contact {
  return {
    ...who,
    emails: who.emails.map((address) => address.toLowerCase()).sort(),
    phones: who.phones.map(digitsOf).sort(),
  }
}

/** The digits of a number with its country code; numbers of these tests are German where they do not say. */
export function digitsOf(phone: string): string {
  const bare = phone.replace(/[^\d+]/g, '')
  if (bare.startsWith('+')) return bare.slice(1)
  if (bare.startsWith('00')) return bare.slice(2)
  return bare.startsWith('0') ? `49${bare.slice(1)}` : bare
}

/** The contacts of one place in an order that all places share. */
export function sorted(all: readonly Contact[]): Contact[] {
  return all.map(essence).sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
}

const LINES: { readonly [field in Exclude<ScalarField, 'given' | 'family'>]: string } = {
  organisation: 'ORG',
  title: 'TITLE',
  birthday: 'BDAY',
  note: 'NOTE',
}

/** A vCard as a phone writes it. */
export function vcardOf(who: Contact, uid: string, more: readonly string[] = []): string {
  const lines = ['BEGIN:VCARD', 'VERSION:3.0', `UID:${uid}`]
  lines.push(`FN:${escaped(`${who.given} ${who.family}`.trim())}`)
  lines.push(`N:${escaped(who.family)};${escaped(who.given)};;;`)
  for (const [field, name] of Object.entries(LINES)) {
    const value = who[field as keyof typeof LINES]
    if (value !== '') lines.push(`${name}:${escaped(value)}`)
  }
  for (const address of who.emails) lines.push(`EMAIL:${escaped(address)}`)
  for (const number of who.phones) lines.push(`TEL:${escaped(number)}`)
  return [...lines, ...more, 'END:VCARD', ''].join('\r\n')
}

/** What a vCard says, line by line. */
export function readVcard(text: string): Contact {
  const values = (name: string): string[] =>
    linesOf(text)
      .filter((line) => nameOf(line) === name)
      .map((line) => decoded(line.slice(0, valueStart(line)), line.slice(valueStart(line))))
  const first = (name: string): string => unescaped(values(name)[0] ?? '')
  const [family = '', given = ''] = partsOf(values('N')[0] ?? '')
  return {
    given,
    family,
    organisation: partsOf(values('ORG')[0] ?? '')[0] ?? '',
    title: first('TITLE'),
    birthday: first('BDAY').replace(/^(\d{4})(\d\d)(\d\d)$/, '$1-$2-$3'),
    note: first('NOTE'),
    emails: values('EMAIL').map(unescaped),
    phones: values('TEL').map((value) => unescaped(value).replace(/^tel:/, '')),
  }
}

/** Sets one line of a vCard, as an editor does that keeps all others; the empty text removes it. */
export function setInVcard(text: string, field: ScalarField, value: string): string {
  const lines = linesOf(text)
  if (field === 'given' || field === 'family') {
    const at = lines.findIndex((line) => nameOf(line) === 'N')
    const parts = partsOf(lines[at]?.slice(valueStart(lines[at] ?? '')) ?? '')
    parts[field === 'family' ? 0 : 1] = value
    lines[at] = `N:${parts.map(escaped).join(';')}`
    const display = lines.findIndex((line) => nameOf(line) === 'FN')
    lines[display] = `FN:${escaped(`${parts[1] ?? ''} ${parts[0] ?? ''}`.trim())}`
    return joined(lines)
  }
  const name = LINES[field]
  const at = lines.findIndex((line) => nameOf(line) === name)
  const line = `${name}:${escaped(value)}`
  if (value === '') return joined(lines.filter((_line, index) => index !== at))
  if (at < 0) lines.splice(lines.length - 1, 0, line)
  else lines[at] = line
  return joined(lines)
}

/** Adds a line before the end. */
export function addToVcard(text: string, line: string): string {
  const lines = linesOf(text)
  lines.splice(lines.length - 1, 0, line)
  return joined(lines)
}

/** Its lines, unfolded; empty ones left out. */
export function linesOf(text: string): string[] {
  return (
    text
      // A quoted-printable line goes on after an equals sign at its end (vCard 2.1).
      .replace(/^[^:\n]*QUOTED-PRINTABLE[^:\n]*:(?:.*=\r?\n)+/gim, (lines) => lines.replace(/=\r?\n/g, ''))
      .replace(/\r*\n[ \t]/g, '')
      .split(/\r*\n/)
      .filter((line) => line !== '')
  )
}

function decoded(head: string, value: string): string {
  if (!/QUOTED-PRINTABLE/i.test(head)) return value
  const bytes = value.replace(/=([0-9A-F]{2})/gi, (_all, hex: string) => String.fromCharCode(parseInt(hex, 16)))
  const charset = /CHARSET=([\w-]+)/i.exec(head)?.[1] ?? 'utf-8'
  return new TextDecoder(charset).decode(Buffer.from(bytes, 'latin1'))
}

/** The property that a line is of, without group and parameters. */
export function nameOf(line: string): string {
  return (/^(?:[\w-]+\.)?([\w-]+)/.exec(line)?.[1] ?? '').toUpperCase()
}

function joined(lines: readonly string[]): string {
  return [...lines, ''].join('\r\n')
}

/** Where the value begins: after the first colon that no quote mark encloses. */
function valueStart(line: string): number {
  let quoted = false
  for (let at = 0; at < line.length; at++) {
    if (line[at] === '"') quoted = !quoted
    if (line[at] === ':' && !quoted) return at + 1
  }
  return line.length
}

function partsOf(value: string): string[] {
  return value.split(/(?<!\\);/).map(unescaped)
}

function escaped(text: string): string {
  return text.replace(/[\\;,]/g, '\\$&').replace(/\n/g, '\\n')
}

function unescaped(text: string): string {
  return text.replace(/\\([\\;,:"nN])/g, (_all, sign: string) => (sign.toLowerCase() === 'n' ? '\n' : sign))
}
