import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse } from 'csv-parse/sync'
import { stringify } from 'csv-stringify/sync'
import { csv } from '../../connectors/csv/index.ts'
import type { JsonObject } from '../../engine/core/json.ts'
import type { World } from './harness.ts'
import { describeConnector } from './suite.ts'

const COLUMNS = ['Customer', 'First Name', 'Last Name', 'Job Title', 'E-mail', 'Phone', 'Notes']

/** A file as another program reads and writes it: with parser and printer of their own. */
interface Style {
  readonly delimiter: string
  readonly bom: boolean
  readonly eol: '\n' | '\r\n'
}

/** What a spreadsheet shows of a cell that was kept from being a formula. */
function shown(cell: string): string {
  return cell.replace(/^'(?=\s*[=+\-@\t\r\n])/, '')
}

async function start({ delimiter, bom, eol }: Style): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'kith-csv-'))
  const path = join(folder, 'contacts.csv')
  let added = 0
  let whole: Buffer | undefined
  const load = async (): Promise<string[][]> =>
    parse(await readFile(path), { delimiter, bom: true, relax_column_count: true })
  const save = async (rows: string[][]): Promise<void> =>
    writeFile(path, stringify(rows, { delimiter, bom, record_delimiter: eol, quoted_match: /[\r\n]/ }))
  const change = async (id: string, edit: (row: string[]) => string[][]): Promise<void> => {
    const rows = await load()
    if (!rows.some(([key]) => key === id)) throw new Error(`the sheet has no row ${id}`)
    await save(rows.flatMap((row) => (row[0] === id ? edit(row) : [row])))
  }
  const cell = (fields: JsonObject, column: string, before = ''): string =>
    column in fields ? String(fields[column] ?? '') : before
  const addAll = async (all: readonly JsonObject[]): Promise<string[]> => {
    const rows = all.map((fields) => {
      added += 1
      return [`C-${added}`, ...COLUMNS.slice(1).map((column) => cell(fields, column))]
    })
    await save([...(await load()), ...rows])
    return rows.map(([id = '']) => id)
  }
  await save([COLUMNS])

  return {
    connector: csv.connect(csv.options.parse({ path: 'contacts.csv', key: 'Customer' }), {
      connection: 'sheet',
      baseDir: folder,
      now: Date.now,
    }),
    human: {
      add: async (fields) => (await addAll([fields]))[0] ?? '',
      addAll,
      edit: (id, fields) => change(id, (row) => [row.map((text, at) => cell(fields, COLUMNS[at] ?? '', text))]),
      remove: (id) => change(id, () => []),
      list: async () => {
        const [header = [], ...rows] = await load()
        return rows.map((row) => ({
          id: row[header.indexOf('Customer')] ?? '',
          fields: Object.fromEntries(header.map((column, at) => [column, shown(row[at] ?? '')])),
        }))
      },
    },
    faults: {
      // Caught in the middle of another program's saving.
      truncateListing: async () => {
        whole = await readFile(path)
        await writeFile(path, whole.subarray(0, Math.floor(whole.length * 0.6)))
      },
      breakRecord: async (id) => {
        await change(id, (row) => [[...row, 'one', 'too', 'many']])
        return () => change(id, (row) => [row.slice(0, COLUMNS.length)])
      },
    },
    clear: async () => {
      if (whole) await writeFile(path, whole)
      whole = undefined
    },
    stop: () => rm(folder, { recursive: true }),
  }
}

const styles: readonly (readonly [string, Style])[] = [
  ['commas, as LibreOffice saves', { delimiter: ',', bom: false, eol: '\n' }],
  ['semicolons and a byte order mark, as Excel saves', { delimiter: ';', bom: true, eol: '\r\n' }],
]

for (const [name, style] of styles) {
  describeConnector(`csv (${name})`, {
    capabilities: {
      deletes: 'inventory',
      hints: false,
      createKey: 'id',
      precondition: true,
      times: 'record',
      readBatch_max: 500,
      writeBatch_max: 500,
      writes_concurrent_max: 1,
      archive: false,
      create: true,
      delete: true,
    },
    faults: ['truncateListing', 'breakRecord'],
    start: () => start(style),
    sample: (n) => ({
      'First Name': ['Ada', 'Żółć', '李', "D'Arcy", 'محمد'][n % 5] ?? '',
      'Last Name': n % 3 === 1 ? 'von, und; zu' : `Lovelace ${n}`,
      'E-mail': `person.${n}@example.org`,
      Phone: n % 2 === 0 ? `+49 30 ${1000000 + n}` : null,
      'Job Title': n % 4 === 3 ? null : `No. ${n} "quoted"`,
      Notes: n % 4 === 2 ? 'two\nlines' : null,
    }),
    editable: 'Job Title',
    bystander: 'First Name',
    multiline: 'Notes',
    many: 1100,
    secrets: [],
    refused: () => ({ 'First Name': 'Private', 'Shoe Size': 'a private value' }),
  })
}
