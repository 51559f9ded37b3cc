import { FailureError } from '../../engine/core/failure.ts'
import type { Card, ContentLine, Param, Version } from './lines.ts'
import { contentLines, isMark } from './lines.ts'
import { cleanText, decodeText, encodeText, plainValue, splitValue, writeLine } from './values.ts'

/** Parameters that say how the old value was encoded: a line written anew has its own. */
export const ENCODINGS: readonly string[] = ['ENCODING', 'CHARSET']

/** Lines that belong to the property they share a group with, and go when it goes. */
const SATELLITES: ReadonlySet<string> = new Set(['X-ABLABEL', 'X-ABADR'])

/** A field or value that a vCard cannot hold. The value stays out of the message (I15). */
export function refused(field: string, what: string): FailureError {
  return new FailureError({
    kind: 'permanent',
    message: `the field ${field} ${what}`,
    advice: 'Correct the mapping of this connection.',
  })
}

/** A card being changed: lines are taken away, put in, or written anew; the others keep their bytes. */
export class Draft {
  readonly version: Version
  readonly #eol: string
  #lines: ContentLine[]

  constructor(card: Card) {
    this.version = card.version
    this.#eol = card.eol
    this.#lines = [...card.lines]
  }

  get lines(): readonly ContentLine[] {
    return this.#lines
  }

  text(): string {
    return this.#lines.map(({ raw }) => raw).join('')
  }

  first(name: string): ContentLine | undefined {
    return this.#lines.find((line) => line.name === name)
  }

  all(name: string): ContentLine[] {
    return this.#lines.filter((line) => line.name === name)
  }

  /** Takes a line away, and its group's label where nothing else is left in the group. */
  remove(line: ContentLine): void {
    const alone = !this.sharesGroup(line)
    this.#lines = this.#lines.filter(
      (other) => other !== line && !(alone && SATELLITES.has(other.name) && sameGroup(other, line)),
    )
  }

  /** Takes away the first line of a property, and its alternatives. */
  removeFirst(name: string): void {
    const line = this.first(name)
    if (!line) return
    const altId = (other: ContentLine): string | undefined =>
      other.params.find((param) => param.name === 'ALTID')?.values[0]
    for (const other of this.all(name)) {
      if (other === line || (altId(line) !== undefined && altId(other) === altId(line))) this.remove(other)
    }
  }

  /** Whether another property, not just the label, is in the line's group. */
  sharesGroup(line: ContentLine): boolean {
    return this.#lines.some((other) => other !== line && !SATELLITES.has(other.name) && sameGroup(other, line))
  }

  /** A group name that the card does not use. */
  freshGroup(): string {
    const used = new Set(this.#lines.map((line) => line.group?.toLowerCase()))
    let number = 1
    while (used.has(`item${number}`)) number += 1
    return `item${number}`
  }

  /** Name and parameters as written, without how the value was encoded and without those named (`NAME` or `NAME=VALUE`). */
  head(name: string, line: ContentLine | undefined, drop: readonly string[] = []): string {
    if (!line) return name
    const dropped = (param: Param): boolean =>
      [...ENCODINGS, ...drop].some(
        (one) => one === param.name || one === `${param.name}=${param.values[0]?.toUpperCase()}`,
      )
    return headOf(
      line.group,
      line.spelling,
      line.params.filter((param) => !dropped(param)).map(({ raw }) => raw),
    )
  }

  /** Gives a property a value, in its line or in a new one; separators and escapes are in place. */
  setValue(name: string, line: ContentLine | undefined, encoded: string): ContentLine {
    return this.setLine(name, line, this.head(name, line), encoded)
  }

  setLine(name: string, line: ContentLine | undefined, head: string, encoded: string): ContentLine {
    const made = this.#make(head, encoded)
    if (line) this.#lines[this.#lines.indexOf(line)] = made
    else this.#lines.splice(this.#placeFor(name), 0, made)
    return made
  }

  /** Gives a line another group or other parameters; its value says what it said. */
  setHead(line: ContentLine, group: string | null, params: readonly string[]): ContentLine {
    return this.setLine(line.name, line, headOf(group, line.spelling, params), plainValue(line))
  }

  /** Puts a line right behind another. */
  insertAfter(line: ContentLine, head: string, encoded: string): void {
    this.#lines.splice(this.#lines.indexOf(line) + 1, 0, this.#make(head, encoded))
  }

  /**
   * A structured value with some of its parts changed; those that stay keep their writing, and so do parts that we do not
   * know. undefined where nothing changes.
   * @param wanted a text for each part, undefined for one to leave alone
   */
  structure(
    line: ContentLine | undefined,
    wanted: readonly (string | undefined)[],
    separators: string,
  ): string | undefined {
    const pieces = line ? splitValue(plainValue(line), ';') : []
    let changed = false
    const written = wanted.map((text, index) => {
      const piece = pieces[index] ?? ''
      if (text === undefined || decodeText(piece, this.version) === text) return piece
      changed = true
      return encodeText(cleanText(text), this.version, separators)
    })
    return changed ? [...written, ...pieces.slice(wanted.length)].join(';') : undefined
  }

  #make(head: string, encoded: string): ContentLine {
    const raw = writeLine(head, encoded, this.version, this.#eol)
    return { ...(contentLines(raw, this.version === '2.1')[0] as ContentLine), raw }
  }

  /** Behind the last line of the property (and what belongs to it), else before the end. */
  #placeFor(name: string): number {
    const last = this.#lines.findLastIndex((line) => line.name === name)
    if (last < 0) return this.#lines.findIndex((line) => isMark(line, 'END'))
    let at = last + 1
    while (SATELLITES.has(this.#lines[at]?.name ?? '')) at += 1
    return at
  }
}

/** The start of a line: group, name, parameters. */
function headOf(group: string | null, spelling: string, params: readonly string[]): string {
  return [`${group === null ? '' : `${group}.`}${spelling}`, ...params].join(';')
}

function sameGroup(a: ContentLine, b: ContentLine): boolean {
  return a.group !== null && b.group !== null && a.group.toLowerCase() === b.group.toLowerCase()
}
