import type { Failure } from '../../engine/core/failure.ts'
import { sameJson, type JsonObject } from '../../engine/core/json.ts'
import type {
  CreateRequest,
  DeleteRequest,
  UpdateRequest,
  WriteOutcome,
  WriteRequest,
} from '../../engine/core/ports/connector.ts'
import { printRow, rawCells, type RawCell } from './dialect.ts'
import { isRepresentable } from './encoding.ts'
import { guard } from './guard.ts'
import { PROVISIONAL, type Identified } from './identity.ts'
import { isField, lineAt, revOf, valuesOf, type Row, type Sheet } from './sheet.ts'

export interface Rewritten {
  /** The whole new text; undefined where nothing has to be written. */
  readonly text: Buffer | undefined
  /** What to answer once the text is in place. The records' time of change is still that of the old file. */
  readonly outcomes: readonly WriteOutcome[]
}

/** A row in the making. */
interface Draft {
  readonly id: string
  /** undefined: a new row, to be put at the end. */
  readonly row: Row | undefined
  cells: RawCell[]
  rev: string
  state: 'same' | 'changed' | 'deleted'
}

/**
 * Applies a batch to a sheet, purely. Rows that no request speaks of keep their very bytes, but for the cell of a key column that is
 * new; of a changed row, the cells that are not changed keep theirs.
 *
 * @param fillKeys whether the rows without a key get theirs in the same go: only where their ids are certain
 */
export function rewrite(
  sheet: Sheet,
  identified: Pick<Identified, 'fresh'>,
  requests: readonly WriteRequest[],
  fillKeys: boolean,
): Rewritten {
  const batch = new Batch(sheet, identified.fresh > 0)
  const outcomes = requests.map((request) => batch.apply(request))
  return { text: batch.changed ? print(sheet, batch.drafts(), fillKeys) : undefined, outcomes }
}

class Batch {
  readonly #sheet: Sheet
  /** Whether a provisional id that is not found may belong to a row that was edited out of recognition. */
  readonly #unsure: boolean
  readonly #rows: Map<string, Row>
  readonly #drafts = new Map<string, Draft>()
  readonly #fields: ReadonlyMap<string, number>

  constructor(sheet: Sheet, unsure: boolean) {
    this.#sheet = sheet
    this.#unsure = unsure
    this.#rows = new Map(sheet.rows.map((row) => [row.id, row]))
    this.#fields = new Map(
      sheet.columns.filter((column) => isField(column, sheet.keyName)).map(({ name, index }) => [name, index]),
    )
  }

  get changed(): boolean {
    return this.#drafts.values().some(({ state }) => state !== 'same')
  }

  drafts(): Draft[] {
    return [...this.#drafts.values()]
  }

  apply(request: WriteRequest): WriteOutcome {
    const answer = this.#answer(request)
    return 'kind' in answer && answer.kind !== 'written' && answer.kind !== 'deleted'
      ? { ref: request.ref, kind: 'failed', failure: answer }
      : ({ ref: request.ref, ...answer } as WriteOutcome)
  }

  #answer(request: WriteRequest): Answer {
    const refusal = request.op === 'delete' ? undefined : this.#refuse(request)
    if (refusal) return refusal
    switch (request.op) {
      case 'create':
        return this.#create(request)
      case 'update':
        return this.#update(request)
      case 'delete':
        return this.#delete(request)
    }
  }

  #create({ key, fields }: CreateRequest): Answer {
    const there = this.#find(key, null)
    if (there && there.state !== 'deleted') {
      if (there.row?.trouble) return this.#troubled(there.row)
      // The key is unique to this create: the row is ours, from an earlier try, and maybe edited since.
      return this.#written(there)
    }
    if (!isRepresentable(key, this.#sheet.encoding)) return unstorable(this.#sheet.keyName, this.#sheet)
    const draft: Draft = { id: key, row: undefined, cells: [], rev: '', state: 'changed' }
    this.#set(draft, fields)
    this.#drafts.set(key, draft)
    return this.#written(draft)
  }

  #update({ id, rev, fields }: UpdateRequest): Answer {
    const draft = this.#find(id, rev)
    if (!draft || draft.state === 'deleted') return this.#missing(id)
    if (draft.row?.trouble) return this.#troubled(draft.row)
    if (rev !== null && rev !== draft.rev) return moved(id)
    const now = this.#values(draft)
    const differing = Object.entries(fields).filter(([name, value]) => !sameJson(now[name], blankToNull(value)))
    if (differing.length > 0) {
      this.#set(draft, Object.fromEntries(differing))
      draft.state = 'changed'
    }
    return this.#written(draft)
  }

  #delete({ id, rev }: DeleteRequest): Answer {
    const draft = this.#find(id, rev)
    if (draft?.state === 'deleted') return { kind: 'deleted', id }
    if (!draft) return this.#unsureOf(id) ? this.#missing(id) : { kind: 'deleted', id }
    if (draft.row?.trouble === 'doubled') return this.#troubled(draft.row)
    if (rev !== null && rev !== draft.rev) return moved(id)
    draft.state = 'deleted'
    return { kind: 'deleted', id }
  }

  #find(id: string, rev: string | null): Draft | undefined {
    const known = this.#drafts.get(id)
    if (known) return known
    const row = this.#rows.get(id) ?? (rev === null || !this.#unsureOf(id) ? undefined : this.#byRev(id, rev))
    if (!row) return undefined
    const cells = rawCells(this.#sheet.text.subarray(row.start, row.end), this.#sheet.dialect.delimiter)
    const draft: Draft = { id, row, cells, rev: row.rev, state: 'same' }
    this.#drafts.set(id, draft)
    return draft
  }

  /** A process that has not read the sheet before knows a keyless row by what it said when the change was planned. */
  #byRev(id: string, rev: string): Row | undefined {
    const alike = this.#sheet.rows.filter((row) => row.key === '' && row.rev === rev && !this.#drafts.has(row.id))
    const row = alike.length === 1 ? alike[0] : undefined
    if (!row) return undefined
    this.#rows.delete(row.id)
    this.#rows.set(id, row)
    return row
  }

  #unsureOf(id: string): boolean {
    return this.#unsure && id.startsWith(PROVISIONAL)
  }

  #missing(id: string): Failure {
    if (this.#unsureOf(id)) {
      return { kind: 'conflict', message: `row ${id} has no key in the file yet and was edited since Kith read it` }
    }
    return { kind: 'gone', message: `the file has no row ${id} any more` }
  }

  #troubled(row: Row): Failure {
    return troubleOf(this.#sheet, row)
  }

  #refuse(request: CreateRequest | UpdateRequest): Failure | undefined {
    for (const [name, value] of Object.entries(request.fields)) {
      if (name === this.#sheet.keyName) {
        const id = request.op === 'create' ? request.key : request.id
        if (value === id || (request.op === 'create' && value === null)) continue
        return {
          kind: 'permanent',
          message: `the column "${name}" is the key of the sheet and cannot be changed`,
          advice: 'Take the column out of the mapping, or make it direction: in.',
        }
      }
      if (!this.#fields.has(name)) {
        return {
          kind: 'permanent',
          message: `the sheet has no column "${name}"`,
          advice: `Add the column "${name}" to the header, or take it out of the mapping; then run: kith parked retry`,
        }
      }
      if (value === null) continue
      if (typeof value !== 'string' || value.includes('\0')) {
        return { kind: 'permanent', message: `the value for the column "${name}" is not a text that a cell can hold` }
      }
      if (!isRepresentable(value, this.#sheet.encoding)) return unstorable(name, this.#sheet)
    }
    return undefined
  }

  #set(draft: Draft, fields: JsonObject): void {
    for (const [name, value] of Object.entries(fields)) {
      const index = this.#fields.get(name)
      if (index === undefined || name === this.#sheet.keyName) continue
      setCell(draft.cells, index, guard(typeof value === 'string' ? value : ''))
    }
  }

  /** What the row says once the batch is written. */
  #values(draft: Draft): JsonObject {
    const texts = draft.cells.map(({ text }) => text)
    const { keyIndex } = this.#sheet
    // A row that is written gets its key in the same go, and a named key column is one of its fields.
    if (keyIndex !== undefined && draft.state === 'changed') texts[keyIndex] = guard(draft.id)
    return valuesOf(texts, this.#sheet.columns, this.#sheet.keyName)
  }

  #written(draft: Draft): Answer {
    const fields = this.#values(draft)
    if (draft.state === 'changed') draft.rev = revOf(fields)
    return { kind: 'written', record: { id: draft.id, rev: draft.rev, modified_ms: this.#sheet.modified_ms, fields } }
  }
}

type Answer =
  | { readonly kind: 'written'; readonly record: Extract<WriteOutcome, { kind: 'written' }>['record'] }
  | { readonly kind: 'deleted'; readonly id: string }
  | Failure

/** Why a row cannot be taken for a record, and what to do about it. */
export function troubleOf(sheet: Sheet, row: Row): Failure {
  if (row.trouble === 'too-wide') {
    return {
      kind: 'permanent',
      message: `line ${lineAt(sheet.text, row.start)} has ${row.width} cells, but the header names ${sheet.columns.length}`,
      advice: 'A cell there probably holds a delimiter: put the cell in double quotes, or name the missing columns.',
    }
  }
  const lines = sheet.rows.filter(({ key }) => key === row.key).map(({ start }) => lineAt(sheet.text, start))
  return {
    kind: 'permanent',
    message: `lines ${lines.join(' and ')} have the same key in the column "${sheet.keyName}"`,
    advice: 'Is one of them a copy? Empty its key cell, and Kith takes it for a new row; or delete the row.',
  }
}

function moved(id: string): Failure {
  return { kind: 'conflict', message: `row ${id} was edited since Kith read it` }
}

function unstorable(column: string, sheet: Sheet): Failure {
  return {
    kind: 'permanent',
    message: `the value for the column "${column}" has letters that ${sheet.encoding.name} cannot store`,
    advice: 'Save the sheet as UTF-8 (in Excel: "CSV UTF-8"), then run: kith parked retry',
  }
}

function blankToNull(value: JsonObject[string] | undefined): JsonObject[string] {
  return value === '' || value === undefined ? null : value
}

function setCell(cells: RawCell[], index: number, text: string): void {
  while (cells.length <= index) cells.push({ text: '', quoted: false })
  cells[index] = { text, quoted: cells[index]?.quoted === true }
}

/** The new text: what is not touched is copied as it stands. */
function print(sheet: Sheet, drafts: readonly Draft[], fillKeys: boolean): Buffer {
  const { text, dialect } = sheet
  const byRow = new Map(drafts.flatMap((draft) => (draft.row ? [[draft.row, draft] as const] : [])))
  const chunks: Buffer[] = []
  let at = 0
  const replace = (start: number, end: number, content: string | undefined): void => {
    chunks.push(text.subarray(at, start))
    if (content !== undefined) chunks.push(Buffer.from(content + eolOf(text.subarray(start, end))))
    at = end
  }
  if (sheet.keyIndex === undefined) {
    replace(sheet.headerStart, sheet.headerEnd, withCell(sheet, sheet.headerStart, sheet.headerEnd, sheet.keyName))
  }
  for (const row of sheet.rows) {
    const draft = byRow.get(row)
    if (draft?.state === 'deleted') replace(row.start, row.end, undefined)
    else if (draft?.state === 'changed') replace(row.start, row.end, printCells(sheet, draft.cells, draft.id))
    else if (row.key === '' && fillKeys) replace(row.start, row.end, keyed(sheet, row, row.id))
    // No row may be shorter than the header: strict readers refuse such a sheet. And a cell beyond the old header must not
    // slide under the new column and be taken for a key.
    else if (sheet.keyIndex === undefined) replace(row.start, row.end, keyed(sheet, row, ''))
  }
  chunks.push(text.subarray(at))
  const added = drafts.filter(({ row, state }) => row === undefined && state === 'changed')
  return added.length === 0 ? Buffer.concat(chunks) : append(Buffer.concat(chunks), added, sheet, eolOf(text) !== '')

  function append(body: Buffer, rows: readonly Draft[], of: Sheet, closed: boolean): Buffer {
    const lines = rows.map((draft) => printCells(of, draft.cells, draft.id)).join(dialect.eol)
    return Buffer.concat([
      body,
      Buffer.from((eolOf(body) === '' ? dialect.eol : '') + lines + (closed ? dialect.eol : '')),
    ])
  }
}

/** A row with its key put in, by the shortest way that leaves its other bytes alone. */
function keyed(sheet: Sheet, row: Row, key: string): string {
  const atEnd = sheet.keyIndex === undefined || sheet.keyIndex === sheet.columns.length - 1
  if (atEnd && row.width === (sheet.keyIndex ?? sheet.columns.length))
    return withCell(sheet, row.start, row.end, guard(key))
  return printCells(sheet, rawCells(sheet.text.subarray(row.start, row.end), sheet.dialect.delimiter), key)
}

function withCell(sheet: Sheet, start: number, end: number, cell: string): string {
  const line = sheet.text.subarray(start, end)
  const body = line.subarray(0, line.length - eolOf(line).length).toString('utf8')
  return body + sheet.dialect.delimiter + printRow([{ text: cell, quoted: false }], sheet.dialect)
}

function printCells(sheet: Sheet, cells: readonly RawCell[], key: string): string {
  const line = [...cells]
  const index = sheet.keyIndex ?? sheet.columns.length
  while (line.length < Math.max(index, sheet.columns.length)) line.push({ text: '', quoted: false })
  const cell = { text: guard(key), quoted: sheet.keyIndex !== undefined && line[index]?.quoted === true }
  line.splice(index, sheet.keyIndex === undefined ? 0 : 1, cell)
  return printRow(line, sheet.dialect)
}

function eolOf(line: Buffer): string {
  if (line.at(-1) === 10) return line.at(-2) === 13 ? '\r\n' : '\n'
  return line.at(-1) === 13 ? '\r' : ''
}
