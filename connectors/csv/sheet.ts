import { hash } from 'node:crypto'
import { Readable } from 'node:stream'
import { CsvError, parse } from 'csv-parse'
import { parse as parseSync } from 'csv-parse/sync'
import type { AppRecord } from '../../engine/core/ports/connector.ts'
import type { JsonObject } from '../../engine/core/json.ts'
import {
  detectDelimiter,
  detectEol,
  rawCells,
  readingOptions,
  separatorLine,
  type Delimiter,
  type Dialect,
} from './dialect.ts'
import { decodeFile, type Encoding } from './encoding.ts'
import { unsettled, unusable } from './errors.ts'
import { unguard } from './guard.ts'
import { KITH_KEY, type CsvOptions } from './options.ts'

/** A column: its name made distinct, and its place. */
export interface Column {
  readonly name: string
  readonly index: number
}

/** One row that says something; blank lines and rows of empty cells are not among them. */
export interface Row {
  /** Where the row stands in the text, its line ending included. */
  readonly start: number
  readonly end: number
  /** How many cells it has. */
  readonly width: number
  /** What its key cell says; empty where the row has no key yet. */
  readonly key: string
  /** Fingerprint of its values, by column name: equal whatever the order of the columns. */
  readonly rev: string
  /** Of a keyless row with an e-mail address: that address's fingerprint. */
  readonly mail?: string
  /** The record id: the key, or a provisional one (identity.ts). */
  id: string
  /** Why it cannot be taken for a record. */
  trouble?: 'too-wide' | 'doubled'
}

/** A whole file, indexed: where its rows stand and what they are called, not what they say. */
export interface Sheet {
  /** UTF-8 without a byte order mark, whatever the file is stored in. */
  readonly text: Buffer
  readonly encoding: Encoding
  readonly dialect: Dialect
  readonly columns: readonly Column[]
  /** Where the header ends, its line ending included. */
  readonly headerEnd: number
  readonly headerStart: number
  readonly keyName: string
  /** The place of the key column; undefined in a sheet that has none yet. */
  readonly keyIndex: number | undefined
  readonly rows: readonly Row[]
  readonly modified_ms: number
}

const SLICE_BYTES = 64 * 1024

const DAMAGED = 'Kith reads it again by itself. If this stays, look at that line: a quote mark there has no partner.'

/**
 * Reads a file into an index. The ids of keyless rows are still empty.
 *
 * @param recent whether the file was saved a moment ago, so that a short last row may be half of one
 * @throws FailureError where the file as a whole cannot be trusted
 */
export async function readSheet(
  raw: Buffer,
  modified_ms: number,
  recent: boolean,
  options: Pick<CsvOptions, 'delimiter' | 'encoding' | 'key'>,
): Promise<Sheet> {
  const { text, encoding } = decodeFile(raw, options.encoding)
  const separator = separatorLine(text)
  const bodyStart = separator?.end ?? 0
  const body = text.subarray(bodyStart)
  const delimiter = separator?.delimiter ?? detectDelimiter(body, options.delimiter)
  const rows: Row[] = []
  let header: { columns: Column[]; start: number; end: number; keyIndex: number | undefined } | undefined
  for await (const { cells, start, end } of cellsOf(text, bodyStart, delimiter)) {
    if (cells.every((cell) => cell.trim() === '')) continue
    if (!header) {
      const columns = columnsOf(cells, () => lineAt(text, start))
      const keyIndex = columns.find(({ name }) => name === options.key)?.index
      header = { columns, start, end, keyIndex }
      continue
    }
    rows.push(rowOf(cells, start, end, header.columns, header.keyIndex, options.key))
  }
  if (!header) {
    throw unsettled('the file is empty', 'Kith waits until it has its header again, and concludes nothing meanwhile.')
  }
  const last = rows.at(-1)
  if (recent && last && last.end === text.length && last.width < header.columns.length && !endsLine(text)) {
    throw unsettled(
      `the file is being written or damaged, line ${lineAt(text, last.start)}: its last row stops half-way`,
      'Kith reads it again by itself in a moment.',
    )
  }
  const first = rawCells(text.subarray(header.start, header.end), delimiter)
  const dialect: Dialect = { delimiter, eol: detectEol(body), quoteAll: first.every(({ quoted }) => quoted) }
  return {
    text,
    encoding,
    dialect,
    columns: header.columns,
    headerStart: header.start,
    headerEnd: header.end,
    keyName: options.key,
    keyIndex: header.keyIndex,
    rows,
    modified_ms,
  }
}

async function* cellsOf(
  text: Buffer,
  from: number,
  delimiter: Delimiter,
): AsyncGenerator<{ cells: string[]; start: number; end: number }> {
  let start = from
  const slices = function* (): Generator<Buffer> {
    for (let at = from; at < text.length; at += SLICE_BYTES) yield text.subarray(at, at + SLICE_BYTES)
  }
  const parser = parse({ ...readingOptions(delimiter), info: true })
  const source = Readable.from(slices(), { objectMode: false })
  source.pipe(parser)
  try {
    for await (const item of parser as AsyncIterable<{ record: string[]; info: { bytes: number } }>) {
      const end = from + item.info.bytes
      const cells = item.record
      // A cell that begins with a quote mark is either `"""..."` or a quoted cell with text after its closing quote. The
      // latter may have swallowed rows, which would then look deleted.
      if (cells.some((cell) => cell.startsWith('"'))) assertQuotes(text, start, end, delimiter)
      yield { cells, start, end }
      start = end
    }
  } catch (error) {
    throw error instanceof CsvError ? damagedAt(text, from + Number(error['bytes'])) : error
  } finally {
    source.destroy()
    parser.destroy()
  }
}

function assertQuotes(text: Buffer, start: number, end: number, delimiter: Delimiter): void {
  try {
    parseSync(text.subarray(start, end), { ...readingOptions(delimiter), relax_quotes: false })
  } catch {
    throw damagedAt(text, start)
  }
}

function damagedAt(text: Buffer, start: number): Error {
  return unsettled(
    `the file is being written or damaged, line ${lineAt(text, start)}: a quote mark is not closed properly`,
    DAMAGED,
  )
}

function endsLine(text: Buffer): boolean {
  const last = text.at(-1)
  return last === 10 || last === 13
}

/** The line number in an editor, counted from 1. */
export function lineAt(text: Buffer, offset: number): number {
  let line = 1
  const lf = text.includes(10) ? 10 : 13
  for (let at = text.indexOf(lf); at >= 0 && at < offset; at = text.indexOf(lf, at + 1)) line++
  return line
}

/** The header as distinct names: the second "Phone" is "Phone (2)", one without a name "Column 3". */
function columnsOf(cells: readonly string[], line: () => number): Column[] {
  const person = cells.findIndex(isEmail)
  if (person >= 0) {
    throw unusable(
      `line ${line()} should hold the names of the columns, but its cell ${person + 1} holds an e-mail address`,
      'Put a header line on top of the file: First Name, Last Name, E-mail and so on.',
    )
  }
  const plain = cells.map((cell, index) => cell.trim() || `Column ${index + 1}`)
  const taken = new Set(plain)
  const seen = new Set<string>()
  return plain.map((name, index) => {
    if (!seen.has(name)) {
      seen.add(name)
      return { name, index }
    }
    let number = 2
    while (taken.has(`${name} (${number})`)) number++
    const distinct = `${name} (${number})`
    taken.add(distinct)
    return { name: distinct, index }
  })
}

/** Whether a cell holds one e-mail address and nothing else. */
export function isEmail(text: string): boolean {
  return /^\s*[^\s@]+@[^\s@]+\.[^\s@]+\s*$/.test(text)
}

/** Whether a column is one of a record's fields. The key column that Kith adds is not: it is the id. */
export function isField(column: Column, keyName: string): boolean {
  return !(keyName === KITH_KEY && column.name === keyName)
}

function rowOf(
  cells: readonly string[],
  start: number,
  end: number,
  columns: readonly Column[],
  keyIndex: number | undefined,
  keyName: string,
): Row {
  const key = keyIndex === undefined ? '' : unguard((cells[keyIndex] ?? '').trim())
  const rev = revOf(valuesOf(cells, columns, keyName), cells.slice(columns.length))
  const mail = key === '' ? cells.map(unguard).find(isEmail) : undefined
  const named = mail === undefined ? {} : { mail: digest(mail.trim().toLowerCase(), 20) }
  const row: Row = { start, end, width: cells.length, key, rev, id: key, ...named }
  // An unquoted delimiter shifts every value behind it into a wrong column. Blank cells too many are a spreadsheet's habit.
  if (cells.slice(columns.length).some((cell) => cell.trim() !== '')) row.trouble = 'too-wide'
  return row
}

/** A row's values by column; blanks are null. */
export function valuesOf(cells: readonly string[], columns: readonly Column[], keyName: string): JsonObject {
  const fields: JsonObject = {}
  for (const column of columns) {
    if (isField(column, keyName)) fields[column.name] = unguard(cells[column.index] ?? '') || null
  }
  return fields
}

/** The revision of a row with these values: blanks and the order of the columns do not count. */
export function revOf(fields: JsonObject, beyond: readonly string[] = []): string {
  const said = Object.keys(fields)
    .filter((name) => fields[name] !== null)
    .sort()
    .map((name) => [name, fields[name]])
  const extra = beyond.some((cell) => cell !== '') ? [beyond] : []
  return digest(JSON.stringify([...said, ...extra]), 16)
}

/** A short fingerprint: `length` characters of 6 bits each. */
export function digest(text: string, length: number): string {
  return hash('sha256', text, 'base64url').slice(0, length)
}

/** The cells of consecutive rows `from` to `to` (exclusive), in one parse. */
export function cellsOfRows(sheet: Sheet, from: number, to: number): string[][] {
  const first = sheet.rows[from]
  const last = sheet.rows[to - 1]
  if (!first || !last) return []
  const parsed = parseSync(sheet.text.subarray(first.start, last.end), readingOptions(sheet.dialect.delimiter))
  return (parsed as unknown as string[][]).filter((cells) => cells.some((cell) => cell.trim() !== ''))
}

const PARSE_ROWS = 500

/** Up to so many rows of one stretch are quicker to parse one by one than with all the rows between them. */
const SINGLY_MAX = 20

/** The cells of some rows, given by ascending index. */
export function* cellsAt(sheet: Sheet, indexes: readonly number[]): Generator<readonly [number, string[]]> {
  for (let next = 0; next < indexes.length;) {
    const first = indexes[next] ?? 0
    let end = next
    while (end < indexes.length && (indexes[end] ?? 0) < first + PARSE_ROWS) end++
    const stretch = indexes.slice(next, end)
    next = end
    if (stretch.length <= SINGLY_MAX) {
      for (const index of stretch) yield [index, cellsOfRows(sheet, index, index + 1)[0] ?? []]
      continue
    }
    const parsed = cellsOfRows(sheet, first, (stretch.at(-1) ?? first) + 1)
    for (const index of stretch) yield [index, parsed[index - first] ?? []]
  }
}

/** The record that a row is. */
export function recordOf(sheet: Sheet, row: Row, cells: readonly string[]): AppRecord {
  const fields = valuesOf(cells, sheet.columns, sheet.keyName)
  return { id: row.id, rev: row.rev, modified_ms: sheet.modified_ms, fields }
}
