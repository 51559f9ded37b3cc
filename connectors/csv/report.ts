import { lineAt, type Sheet } from './sheet.ts'

const DELIMITER_NAMES = {
  ',': 'separated by commas',
  ';': 'separated by semicolons',
  '\t': 'separated by tabs',
  '|': 'separated by bars',
} as const

/** A sheet in a few words, for people. */
export function summaryOf(sheet: Sheet, fields: number): string {
  const parts = [count(sheet.rows.length, 'row'), count(fields, 'column')]
  return [...parts, DELIMITER_NAMES[sheet.dialect.delimiter], sheet.encoding.name].join(', ')
}

/** What an operator should know of a sheet although it can be read. Names lines and columns, never what a cell says. */
export function warningsOf(sheet: Sheet): string[] {
  const warnings: string[] = []
  const keyless = sheet.rows.filter(({ key }) => key === '').length
  const wide = sheet.rows.filter(({ trouble }) => trouble === 'too-wide')
  const short = sheet.rows.filter(({ width, trouble }) => trouble === undefined && width < sheet.columns.length)
  const doubled = sheet.rows.filter(({ trouble }) => trouble === 'doubled')
  const renamed = sheet.columns.filter(({ name }) => / \(\d+\)$/.test(name) && isRenamed(sheet, name))
  if (keyless > 0) {
    warnings.push(`${count(keyless, 'row')} without a key in "${sheet.keyName}": Kith fills it in when it first writes`)
  }
  if (doubled.length > 0) warnings.push(`${places(sheet, doubled)}: a key is there twice, the rows are left alone`)
  if (wide.length > 0) warnings.push(`${places(sheet, wide)}: more cells than the header has, the rows are left alone`)
  if (short.length > 0)
    warnings.push(`${places(sheet, short)}: fewer cells than the header has, the rest counts as blank`)
  for (const { name } of renamed) warnings.push(`the header names a column twice: the later one is called "${name}"`)
  return warnings
}

function isRenamed(sheet: Sheet, name: string): boolean {
  const plain = name.replace(/ \(\d+\)$/, '')
  return sheet.columns.some((column) => column.name === plain)
}

function places(sheet: Sheet, rows: readonly { readonly start: number }[]): string {
  const lines = rows.slice(0, 5).map(({ start }) => lineAt(sheet.text, start))
  return `line ${lines.join(', ')}${rows.length > lines.length ? ` and ${rows.length - lines.length} more` : ''}`
}

function count(number: number, noun: string): string {
  return `${number.toLocaleString('en')} ${noun}${number === 1 ? '' : 's'}`
}
