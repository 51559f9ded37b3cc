import { parse } from 'csv-parse/sync'
import { stringify } from 'csv-stringify/sync'
import type { Options } from 'csv-parse'
import type { CsvOptions } from './options.ts'

export type Delimiter = ',' | ';' | '\t' | '|'

/** How a file writes its cells, so that what Kith adds looks like the rest. */
export interface Dialect {
  readonly delimiter: Delimiter
  readonly eol: '\r\n' | '\n' | '\r'
  /** Every cell in quotes, also where none are needed. */
  readonly quoteAll: boolean
}

/** One cell as it stands in the file. */
export interface RawCell {
  readonly text: string
  readonly quoted: boolean
}

const DELIMITERS: readonly Delimiter[] = [',', ';', '\t', '|']
const SAMPLE_BYTES = 64 * 1024
const SAMPLE_ROWS = 50

/**
 * How csv-parse is asked to read. Quotes in the middle of a bare cell (5" disk) are text, as in Excel. All line endings count
 * at once, because a file edited on two systems has both.
 */
export function readingOptions(delimiter: Delimiter): Options {
  return {
    delimiter,
    record_delimiter: ['\r\n', '\n', '\r'],
    relax_column_count: true,
    relax_quotes: true,
    skip_empty_lines: false,
    bom: false,
  }
}

/** Where the rows begin: Excel's own first line `sep=;` names the delimiter and is no row. */
export function separatorLine(text: Buffer): { delimiter: Delimiter; end: number } | undefined {
  const match = /^"?sep=([,;\t|])"?(\r\n|\n|\r)/i.exec(text.subarray(0, 16).toString('latin1'))
  return match ? { delimiter: match[1] as Delimiter, end: match[0].length } : undefined
}

/** The delimiter under which the first rows agree best on their number of cells; a comma where there is only one column. */
export function detectDelimiter(text: Buffer, wanted: CsvOptions['delimiter']): Delimiter {
  if (wanted !== 'auto') return wanted
  let best: { delimiter: Delimiter; score: number; width: number } = { delimiter: ',', score: 0, width: 1 }
  for (const delimiter of DELIMITERS) {
    const rows = sample(text, delimiter)
    const width = rows[0]?.length ?? 0
    if (width < 2) continue
    const score = rows.filter((row) => row.length === width).length / rows.length
    if (score > best.score || (score === best.score && width > best.width)) best = { delimiter, score, width }
  }
  return best.delimiter
}

function sample(text: Buffer, delimiter: Delimiter): string[][] {
  const rows: string[][] = []
  try {
    parse(text.subarray(0, SAMPLE_BYTES), {
      ...readingOptions(delimiter),
      skip_empty_lines: true,
      to: SAMPLE_ROWS,
      on_record: (record: string[]) => {
        rows.push(record)
        return null
      },
    })
  } catch {
    // The sample may end inside a quoted cell: the rows before it are enough to choose by. A damaged file fails later.
  }
  return rows
}

/** The line ending of the first line; CRLF (RFC 4180) where the file has but one. */
export function detectEol(text: Buffer): Dialect['eol'] {
  const lf = text.indexOf(10)
  if (lf < 0) return text.includes(13) ? '\r' : '\r\n'
  return lf > 0 && text[lf - 1] === 13 ? '\r\n' : '\n'
}

/** The cells of one row, with their quoting. */
export function rawCells(row: Buffer, delimiter: Delimiter): RawCell[] {
  const rows = parse(row, {
    ...readingOptions(delimiter),
    cast: (text, { quoting }) => ({ text, quoted: quoting }),
  }) as unknown as RawCell[][]
  return rows[0] ?? []
}

/** One row as text, without its line ending. Cells that were quoted stay so; others are where they must be. */
export function printRow(cells: readonly RawCell[], dialect: Dialect): string {
  const quoted = (index: number): boolean => dialect.quoteAll || cells[index]?.quoted === true
  // Said outright: csv-stringify by itself leaves a line feed bare in a file of CRLF lines, but every reader ends a row there.
  const needed = (value: string): boolean => /["\r\n]/.test(value) || value.includes(dialect.delimiter)
  return stringify([cells.map(({ text }) => text)], {
    delimiter: dialect.delimiter,
    record_delimiter: dialect.eol,
    eof: false,
    cast: {
      string: (value, { index }) => ({ value, quoted: needed(value) || quoted(index), quoted_empty: quoted(index) }),
    },
  })
}

/** Rows as text, each with its line ending; a cell is quoted where it must be. Many rows at once cost little more than one. */
export function printRows(rows: readonly (readonly string[])[], { delimiter, eol, quoteAll }: Dialect): string {
  return stringify(rows as string[][], {
    delimiter,
    record_delimiter: eol,
    eof: true,
    quoted: quoteAll,
    quoted_empty: quoteAll,
    // As above: every reader ends a row at a bare line feed.
    quoted_match: /[\r\n]/,
  })
}
