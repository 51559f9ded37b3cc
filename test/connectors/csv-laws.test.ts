import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { printRow, printRows, rawCells, type Delimiter } from '../../connectors/csv/dialect.ts'
import { decodeFile, encodeFile, isRepresentable, type Encoding } from '../../connectors/csv/encoding.ts'
import { guard, unguard } from '../../connectors/csv/guard.ts'
import { identify } from '../../connectors/csv/identity.ts'
import { rewrite } from '../../connectors/csv/rewrite.ts'
import { cellsOfRows, readSheet, recordOf, type Sheet } from '../../connectors/csv/sheet.ts'

const tricky = fc.array(
  fc.constantFrom('"', ',', ';', '\t', '|', '\n', '\r\n', '\r', "'", '=', '+', '-', '@', ' ', 'ä', '1', 'x'),
)
const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 12 }).map((value) => value.replaceAll('\0', '')),
  tricky.map((parts) => parts.join('')),
)

describe('formula injection', () => {
  test('the guard round-trips every text', () => {
    fc.assert(fc.property(text, (value) => expect(unguard(guard(value))).toBe(value)))
  })

  test('no guarded text begins as a formula, unless it is a sign and digits', () => {
    fc.assert(
      fc.property(text, (value) => {
        expect(guard(value)).not.toMatch(/^\s*[=@]|^[\t\r\n]|^\s*[+-].*[^\d \u00a0().\-/]/)
      }),
    )
  })

  test.each([
    ['+49 30 123', '+49 30 123'],
    ['+1 (555) 010-2030', '+1 (555) 010-2030'],
    ['-12.5', '-12.5'],
    ['-', '-'],
    ["'t Hooft", "'t Hooft"],
    ["''", "''"],
    ['=1+1', "'=1+1"],
    [' =1+1', "' =1+1"],
    ['@SUM(A1)', "'@SUM(A1)"],
    ["-2+3+cmd|' /C calc'!A0", "'-2+3+cmd|' /C calc'!A0"],
    ["'=1", "''=1"],
    ['\tx', "'\tx"],
    ['a=b', 'a=b'],
  ])('%j is written as %j', (value, written) => {
    expect(guard(value)).toBe(written)
    expect(unguard(written)).toBe(value)
  })
})

const encodings: Encoding[] = [
  { name: 'utf-8', bom: true },
  { name: 'utf-8', bom: false },
  { name: 'utf-16le', bom: true },
  { name: 'utf-16be', bom: true },
  { name: 'windows-1252', bom: false },
]

describe('what is written is what is read', () => {
  const dialect = fc.record({
    delimiter: fc.constantFrom<Delimiter>(',', ';', '\t', '|'),
    eol: fc.constantFrom('\r\n' as const, '\n' as const, '\r' as const),
    quoteAll: fc.boolean(),
  })

  test('of every cell, its text and its quoting', () => {
    const cell = fc.record({ text, quoted: fc.boolean() })
    fc.assert(
      fc.property(fc.array(cell, { minLength: 2, maxLength: 6 }), dialect, (cells, style) => {
        const line = printRow(cells, style)
        const again = rawCells(Buffer.from(line + style.eol), style.delimiter)
        expect(again.map((one) => one.text)).toEqual(cells.map((one) => one.text))
        expect(printRow(again, style)).toBe(line)
      }),
    )
  })

  test('of many rows at once, as of one after the other', () => {
    const rows = fc.array(fc.array(text, { minLength: 2, maxLength: 6 }), { maxLength: 5 })
    fc.assert(
      fc.property(rows, dialect, (many, style) => {
        const one = (values: readonly string[]): string =>
          printRow(
            values.map((value) => ({ text: value, quoted: false })),
            style,
          ) + style.eol
        expect(printRows(many, style)).toBe(many.map(one).join(''))
      }),
    )
  })

  test('of a whole sheet, in every encoding, and rows not written keep their bytes', async () => {
    const rows = fc.array(fc.tuple(text, text, text), { maxLength: 6 })
    await fc.assert(
      fc.asyncProperty(
        rows,
        rows,
        dialect,
        fc.constantFrom(...encodings),
        fc.array(fc.nat(5), { maxLength: 3 }),
        async (there, added, style, encoding, doomed) => {
          const plain = (value: string): boolean => isRepresentable(value, encoding)
          const kept = there.filter((row) => row.every(plain))
          const fresh = added.filter((row) => row.every(plain))
          const lines = kept.map(([a, b, c], n) => {
            const cells = [`id${n}`, a, b, c].map((value) => ({ text: value, quoted: false }))
            return printRow(cells, style) + style.eol
          })
          const header = printRow(
            ['Kith ID', 'A', 'B', 'C'].map((name) => ({ text: name, quoted: false })),
            style,
          )
          const before = await sheetOf(header + style.eol + lines.join(''), encoding, style.delimiter)
          const deleted = [...new Set(doomed.filter((n) => n < kept.length))]
          const result = rewrite(
            before,
            identify(before, []),
            [
              ...fresh.map(([A, B, C], n) => ({ op: 'create' as const, ref: '', key: `n${n}`, fields: { A, B, C } })),
              ...deleted.map((n) => ({ op: 'delete' as const, ref: '', id: `id${n}`, rev: null, archive: false })),
            ],
            true,
          )
          expect(result.outcomes.filter(({ kind }) => kind === 'failed')).toEqual([])
          const after = result.text?.toString() ?? before.text.toString()
          const stays = header + style.eol + lines.filter((_, n) => !deleted.includes(n)).join('')
          expect(after.startsWith(stays)).toBe(true)
          const again = await sheetOf(after, encoding, style.delimiter)
          const records = cellsOfRows(again, 0, again.rows.length).map((cells, n) => {
            const row = again.rows[n]
            return row && recordOf(again, row, cells)
          })
          const read = new Map(records.map((record) => [record?.id, record]))
          fresh.forEach(([A, B, C], n) => {
            expect(read.get(`n${n}`)?.fields).toEqual({ A: A || null, B: B || null, C: C || null })
          })
          const written = result.outcomes.flatMap((outcome) => (outcome.kind === 'written' ? [outcome.record] : []))
          for (const record of written) expect(read.get(record.id)).toEqual(record)
          expect(again.rows).toHaveLength(kept.length - deleted.length + fresh.length)
        },
      ),
    )
  })

  test('of every file, its bytes, in every encoding', () => {
    fc.assert(
      fc.property(text, fc.constantFrom(...encodings), (value, encoding) => {
        fc.pre(isRepresentable(value, encoding))
        const raw = encodeFile(Buffer.from(`Name\n${value}`), encoding)
        const wanted = encoding.name === 'utf-16be' ? 'auto' : encoding.name
        const back = decodeFile(raw, wanted)
        expect(back.text.toString()).toBe(`Name\n${value}`)
        expect(encodeFile(back.text, back.encoding)).toEqual(raw)
      }),
    )
  })
})

async function sheetOf(content: string, encoding: Encoding, delimiter: Delimiter): Promise<Sheet> {
  const wanted = encoding.name === 'utf-16be' ? 'auto' : encoding.name
  const sheet = await readSheet(encodeFile(Buffer.from(content), encoding), 0, false, {
    delimiter,
    encoding: wanted,
    key: 'Kith ID',
  })
  identify(sheet, [])
  return sheet
}
