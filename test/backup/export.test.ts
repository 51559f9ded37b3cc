import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { parse } from 'csv-parse/sync'
import type { Config } from '../../config/types.ts'
import type { Cell } from '../../engine/core/person.ts'
import type { Json } from '../../engine/core/json.ts'
import type { Store } from '../../engine/core/ports/store.ts'
import { openStore } from '../../engine/store/postgres.ts'
import { exportCsv, filterFrom, FilterError } from '../../workers/export.ts'
import { link, write } from '../store/sample.ts'
import { freshDatabase, type FreshDatabase } from '../support/postgres.ts'

const config = {
  region: 'DE',
  custom: [{ name: 'custom.shoe', type: 'text', set: false, title: 'Shoe' }],
} as unknown as Config

let database: FreshDatabase
let store: Store

const cell = (value: Json): Cell => ({ value, stamp: { at: 1, by: 'crm' }, rule: 'first' })

beforeAll(async () => {
  database = await freshDatabase()
  store = await openStore(database.url)
  await store.ensureConnections([{ name: 'crm', app: 'memory', mode: 'live' }])
  await write(store, {
    people: [
      {
        id: 'p1',
        version: 0,
        state: 'live',
        cells: {
          'name.given': cell('Ada "the Countess"'),
          'emails:ada@example.org': cell({ value: 'Ada@example.org', label: 'work' }),
          'emails:b@example.org': cell({ value: 'b@example.org', pref: true }),
          'phones:+491': cell({ value: '+49 1' }),
          'addresses:x': cell({ value: { street: '12 High Street\nFloor 2', country: 'UK' }, label: 'home' }),
          'tags:vip': cell({ value: 'VIP' }),
          'tags:new': cell({ value: 'new' }),
          'custom.shoe': cell('=HYPERLINK("http://evil.example","x")'),
          note: cell(null),
        },
      },
      { id: 'p2', version: 0, state: 'live', cells: { 'name.given': cell('@SUM(A1)'), nickname: cell('-2+3') } },
      { id: 'p3', version: 0, state: 'deleted', cells: { 'name.given': cell('Gone') } },
    ],
    links: [link('r1', { personId: 'p1', state: 'linked' }), link('r2', { personId: 'p2', state: 'gone' })],
  })
})

afterAll(async () => {
  await store.close()
  await database.drop()
})

async function exported(filter: string | null = null, bom = false): Promise<{ text: string; people: number }> {
  let text = ''
  const how = { filter: filter === null ? null : filterFrom(config, filter), bom }
  const people = await exportCsv({ config, databaseUrl: database.url }, how, (piece) => {
    text += piece
    return Promise.resolve()
  })
  return { text, people }
}

test('everybody who lives is one row, with a column for whatever anybody has', async () => {
  const { text, people } = await exported()
  expect(people).toBe(2)
  const rows = parse(text, { columns: true }) as { [column: string]: string }[]
  expect(rows).toHaveLength(2)
  expect(rows[0]).toEqual({
    'Kith id': 'p1',
    'First name': 'Ada "the Countess"',
    Nickname: '',
    'E-mail 1': 'b@example.org',
    'E-mail 1 - Label': '',
    'E-mail 2': 'Ada@example.org',
    'E-mail 2 - Label': 'work',
    'Phone 1': '+49 1',
    'Phone 1 - Label': '',
    'Address 1 - Street': '12 High Street\nFloor 2',
    'Address 1 - Extended Address': '',
    'Address 1 - PO Box': '',
    'Address 1 - City': '',
    'Address 1 - Region': '',
    'Address 1 - Postal Code': '',
    'Address 1 - Country': 'UK',
    'Address 1 - Label': 'home',
    Tags: 'new, VIP',
    Shoe: `'=HYPERLINK("http://evil.example","x")`,
    In: 'crm',
  })
})

test('no cell is run as a formula by a spreadsheet', async () => {
  const rows = parse((await exported()).text, { columns: true }) as { [column: string]: string }[]
  expect(rows[1]).toMatchObject({ 'First name': "'@SUM(A1)", Nickname: "'-2+3", In: '' })
  for (const row of rows) for (const value of Object.values(row)) expect(value).not.toMatch(/^[=@\t]/)
})

test('a filter leaves out whoever does not fit, in the words of the config', async () => {
  expect((await exported('tags: { has: vip }')).people).toBe(1)
  expect((await exported('{ emails: blank }')).people).toBe(1)
  expect((await exported('{ emails: present, tags: blank }')).people).toBe(0)
  expect(() => filterFrom(config, 'tag: present')).toThrow(FilterError)
  expect(() => filterFrom(config, 'tag: present')).toThrow('there is no field "tag"')
  expect(() => filterFrom(config, '{ tags: [')).toThrow('the filter is no YAML')
  expect(() => filterFrom(config, '7')).toThrow(FilterError)
})

test('with a byte order mark where that is asked for, and lines that end as RFC 4180 has it', async () => {
  const plain = (await exported()).text
  expect((await exported(null, true)).text).toBe(`\uFEFF${plain}`)
  expect(plain.endsWith('\r\n')).toBe(true)
})
