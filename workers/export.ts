import { setImmediate } from 'node:timers/promises'
import { parse } from 'yaml'
import { compileInclude, IncludeShape } from '../config/include.ts'
import type { Config } from '../config/types.ts'
import { guard } from '../connectors/csv/guard.ts'
import { printRows, type Dialect } from '../connectors/csv/dialect.ts'
import { elementsOf, type Address, type Cells, type Element, type FieldDef } from '../engine/core/catalogue.ts'
import { matches, type Filter } from '../engine/core/include.ts'
import { isBlank, type Json } from '../engine/core/json.ts'
import { valuesOf } from '../engine/core/person.ts'
import type { Snapshot } from '../engine/core/ports/backup.ts'
import { openBackupStore } from '../engine/store/backup.ts'
import { linkFrom, personFrom } from '../engine/store/rows.ts'
import { batches } from './batches.ts'
import { catalogueOf } from './connect.ts'
import type { Household } from './household.ts'

/** As RFC 4180 has it. */
const DIALECT: Dialect = { delimiter: ',', eol: '\r\n', quoteAll: false }
const BOM = '\uFEFF'
/** Rows handed on at once. */
const BATCH = 200

/** The filter is not one; the sentence says where and why. */
export class FilterError extends Error {
  override readonly name = 'FilterError'
}

/**
 * The filter of an export, in the words of `include:` in kith.yaml: `tags: { has: customer }`.
 * @throws FilterError
 */
export function filterFrom(config: Config, text: string): Filter {
  let document: unknown
  try {
    document = parse(text)
  } catch {
    throw new FilterError('the filter is no YAML')
  }
  const shape = IncludeShape.safeParse(document)
  if (!shape.success || typeof document !== 'object') {
    const issue = shape.error?.issues[0]
    const where = issue && issue.path.length > 0 ? `${issue.path.join('.')}: ` : ''
    throw new FilterError(`the filter is none: ${where}${issue?.message ?? 'it must be a map of fields'}`)
  }
  const fields = new Map([...catalogueOf(config).fields].map((field) => [field.name, field]))
  const { filter, problems } = compileInclude(shape.data, fields)
  const [problem] = problems
  if (problem) throw new FilterError(`${problem.message}. ${problem.advice}`)
  return filter
}

/**
 * Everybody who lives, one row each, as they are at this moment: a column for each field that anybody has, and what several
 * values there are in columns of their own (`E-mail 1`, `E-mail 2`), named so that Kith and other programs know them again.
 * No cell is run as a formula.
 *
 * @param write takes pieces of the file, one after the other
 * @returns how many people there are in it
 */
export async function exportCsv(
  household: Pick<Household, 'config' | 'databaseUrl'>,
  options: { readonly filter: Filter | null; readonly bom: boolean },
  write: (text: string) => Promise<void>,
): Promise<number> {
  const store = await openBackupStore(household.databaseUrl)
  try {
    const snapshot = await store.snapshot()
    try {
      const people = (): AsyncIterable<Exported> => peopleOf(snapshot, options.filter)
      // Twice through: only then is it known which columns there are, and memory stays what it is.
      const columns = await columnsOf(catalogueOf(household.config).fields, people())
      const places = await placesOf(snapshot)
      const heading = textOfRows([['Kith id', ...columns.map((column) => column.title), 'In']])
      await write(`${options.bom ? BOM : ''}${heading}`)
      let count = 0
      for await (const batch of batches(people(), BATCH)) {
        const rows = batch.map(({ id, cells }) => {
          return [id, ...columns.map((column) => column.value(cells)), places.get(id) ?? '']
        })
        await write(textOfRows(rows))
        count += batch.length
        // Others have their turn, too, where nobody has to be waited for.
        await setImmediate()
      }
      return count
    } finally {
      await snapshot.close()
    }
  } finally {
    await store.close()
  }
}

interface Exported {
  readonly id: string
  readonly cells: Cells
}

async function* peopleOf(snapshot: Snapshot, filter: Filter | null): AsyncIterable<Exported> {
  for await (const found of snapshot.rows('person')) {
    const person = personFrom({ merged_into: null, ...found })
    const cells = valuesOf(person)
    if (person.state === 'live' && (filter === null || matches(filter, cells))) yield { id: person.id, cells }
  }
}

/** The connections that have a record of each person: `crm, phones`. */
async function placesOf(snapshot: Snapshot): Promise<ReadonlyMap<string, string>> {
  const places = new Map<string, string>()
  // Few lists are many people's: each is in memory once.
  const known = new Map<string, string>()
  for await (const found of snapshot.rows('link')) {
    const { personId, connection, state } = linkFrom({ person_id: null, ...found })
    if (personId === null || state !== 'linked') continue
    const before = places.get(personId)
    const list = before === undefined ? connection : `${before}, ${connection}`
    if (!known.has(list)) known.set(list, list)
    places.set(personId, known.get(list) ?? list)
  }
  return places
}

interface Column {
  readonly title: string
  value(cells: Cells): string
}

async function columnsOf(fields: Iterable<FieldDef>, people: AsyncIterable<Exported>): Promise<Column[]> {
  const used = new Map<string, number>()
  const all = [...fields]
  for await (const { cells } of people) {
    for (const { name, set } of all) {
      const count = set ? elementsOf(name, cells).length : isBlank(cells[name]) ? 0 : 1
      if (count > (used.get(name) ?? 0)) used.set(name, count)
    }
  }
  return all.flatMap((field) => columnsFor(field, used.get(field.name) ?? 0))
}

function columnsFor(field: FieldDef, most: number): Column[] {
  const { name, title, type, set } = field
  if (most === 0) return []
  if (!set) return [{ title, value: (cells) => textOf(cells[name]) }]
  if (type === 'tag') {
    // Tags have no order and no label: one cell, as every program has them.
    const tags = (cells: Cells): string =>
      elementsOf(name, cells)
        .map(({ value }) => textOf(value))
        .join(', ')
    return [{ title: 'Tags', value: tags }]
  }
  const numbers = Array.from({ length: most }, (_, index) => index)
  return numbers.flatMap((index): Column[] => {
    const element = (cells: Cells): Element | undefined => elementsOf(name, cells)[index]
    const numbered = `${title} ${index + 1}`
    const label: Column = { title: `${numbered} - Label`, value: (cells) => textOf(element(cells)?.label) }
    if (type !== 'address') return [{ title: numbered, value: (cells) => textOf(element(cells)?.value) }, label]
    const parts = ADDRESS_PARTS.map(([part, word]): Column => {
      return {
        title: `${numbered} - ${word}`,
        value: (cells) => textOf((element(cells)?.value as Address | undefined)?.[part]),
      }
    })
    return [...parts, label]
  })
}

/** As Google's own export calls them. */
const ADDRESS_PARTS: readonly (readonly [keyof Address, string])[] = [
  ['street', 'Street'],
  ['extended', 'Extended Address'],
  ['pobox', 'PO Box'],
  ['locality', 'City'],
  ['region', 'Region'],
  ['postcode', 'Postal Code'],
  ['country', 'Country'],
]

function textOf(value: Json | undefined): string {
  if (value === undefined || value === null) return ''
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

function textOfRows(rows: readonly (readonly string[])[]): string {
  return printRows(
    rows.map((values) => values.map(guard)),
    DIALECT,
  )
}
