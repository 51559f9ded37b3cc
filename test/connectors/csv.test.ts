import { chmod, mkdtemp, readdir, readFile, rename, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import iconv from 'iconv-lite'
import { csv } from '../../connectors/csv/index.ts'
import { identify } from '../../connectors/csv/identity.ts'
import { replaceFile, stateOf } from '../../connectors/csv/file.ts'
import { readSheet } from '../../connectors/csv/sheet.ts'
import { FailureError, type Failure } from '../../engine/core/failure.ts'
import type { Json, JsonObject } from '../../engine/core/json.ts'
import type {
  AppRecord,
  Connector,
  FeedPage,
  Sighting,
  WriteOutcome,
  WriteRequest,
} from '../../engine/core/ports/connector.ts'

let folder: string
let path: string
const opened: Connector[] = []

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kith-csv-'))
  path = join(folder, 'people.csv')
})

afterEach(async () => {
  await Promise.all(opened.splice(0).map((connector) => connector.close()))
  await rm(folder, { recursive: true, force: true })
})

function connect(options: Record<string, unknown> = {}): Connector {
  const connector = csv.connect(csv.options.parse({ path: 'people.csv', ...options }), {
    connection: 'sheet',
    baseDir: folder,
    now: Date.now,
  })
  opened.push(connector)
  return connector
}

/** Saves the sheet as if a minute ago, `age` seconds apart, so that its time alone tells one save from the next. */
let saves = 0
async function save(content: string | Buffer, to = path): Promise<void> {
  await writeFile(to, content)
  const then = Date.now() / 1000 - 3600 + ++saves
  await utimes(to, then, then)
}

const content = (): Promise<string> => readFile(path, 'utf8')

interface Pulled {
  pages: FeedPage[]
  sightings: Sighting[]
  records: AppRecord[]
  cursor: Json
}

async function pagesOf(connector: Connector, cursor: Json | null): Promise<FeedPage[]> {
  const pages: FeedPage[] = []
  for await (const page of connector.pull(cursor)) pages.push(page)
  return pages
}

async function pull(connector: Connector, cursor: Json | null = null): Promise<Pulled> {
  const pages = await pagesOf(connector, cursor)
  const sightings = pages.flatMap((page) => page.sightings)
  const records = sightings.flatMap((sighting) => (sighting.kind === 'record' ? [sighting.record] : []))
  const last = pages.at(-1)
  if (last?.cursor === undefined) throw new Error('the last page has no cursor')
  // Through text and back, as the store does it.
  return { pages, sightings, records, cursor: JSON.parse(JSON.stringify(last.cursor)) as Json }
}

async function failureOf(work: Promise<unknown>): Promise<Failure> {
  try {
    await work
  } catch (error) {
    if (error instanceof FailureError) return error.failure
    throw error
  }
  throw new Error('nothing failed')
}

const byField = (records: readonly AppRecord[], name: string): { [value: string]: string } =>
  Object.fromEntries(records.map(({ id, fields }) => [String(fields[name]), id]))

const update = (record: AppRecord | undefined, fields: JsonObject, ref = 'u'): WriteRequest => {
  if (!record) throw new Error('no such record')
  return { op: 'update', ref, id: record.id, rev: record.rev, fields }
}
const create = (key: string, fields: JsonObject): WriteRequest => ({ op: 'create', ref: key, key, fields })

const failed = (outcome: WriteOutcome | undefined): Failure => {
  if (outcome?.kind !== 'failed') throw new Error(`not failed: ${outcome?.kind}`)
  return outcome.failure
}

describe('reading', () => {
  const anna = { Name: 'Ännä', Note: 'two\nlines', Phone: null }
  const cases: [string, string | Buffer][] = [
    ['UTF-8 with a byte order mark', '\uFEFFName,Note,Phone\r\nÄnnä,"two\nlines",\r\n'],
    ['semicolons and LF', 'Name;Note;Phone\nÄnnä;"two\nlines";\n'],
    ['tabs', 'Name\tNote\tPhone\nÄnnä\t"two\nlines"\t\n'],
    ['bars', 'Name|Note|Phone\nÄnnä|"two\nlines"|\n'],
    ['the line that tells Excel the delimiter', 'sep=;\r\nName;Note;Phone\r\nÄnnä;"two\nlines";\r\n'],
    ['windows-1252', iconv.encode('Name;Note;Phone\r\nÄnnä;"two\nlines";\r\n', 'windows-1252')],
    [
      'UTF-16 with a mark',
      Buffer.concat([Buffer.from([0xff, 0xfe]), utf16('Name\tNote\tPhone\nÄnnä\t"two\nlines"\t\n')]),
    ],
    ['UTF-16 without one', utf16('Name\tNote\tPhone\nÄnnä\t"two\nlines"\t\n')],
    ['big-endian UTF-16', iconv.encode('\uFEFFName,Note,Phone\nÄnnä,"two\nlines",\n', 'utf-16be')],
    ['blank lines and rows of nothing', '\nName,Note,Phone\n\n,,\nÄnnä,"two\nlines"\n\n  ,\n'],
    ['no last line ending', 'Name,Note,Phone\nÄnnä,"two\nlines",'],
    ['blank cells too many', 'Name,Note,Phone\nÄnnä,"two\nlines",,,,\n'],
  ]
  test.each(cases)('understands %s', async (_, text) => {
    await save(text)
    const { records, pages } = await pull(connect())
    expect(records.map(({ fields }) => fields)).toEqual([anna])
    expect(pages.at(-1)?.inventory).toEqual({ complete: true })
  })

  test('keeps apart columns of one name, by place, and names those without a name', async () => {
    await save('Phone,Phone,Phone (2),,Phone\n1,2,3,4,5\n')
    const { records } = await pull(connect())
    expect(records[0]?.fields).toEqual({
      Phone: '1',
      'Phone (3)': '2',
      'Phone (2)': '3',
      'Column 4': '4',
      'Phone (4)': '5',
    })
    const report = await connect().check()
    expect(report.warnings).toContain('the header names a column twice: the later one is called "Phone (3)"')
  })

  test('takes a bare quote mark inside a cell for text', async () => {
    await save('Name,Note\nAnna,5" disk\n')
    expect((await pull(connect())).records[0]?.fields).toEqual({ Name: 'Anna', Note: '5" disk' })
  })

  const unreadable: [string, string | Buffer, RegExp][] = [
    ['a quote mark that is never closed', 'Name,Note\nAnna,x\nBea,"cut', /being written or damaged, line 3/],
    ['text after a closing quote mark, which swallowed rows', 'Name,Note\n"Anna,x\nBea,y\nCy"z,1\n', /damaged, line 2/],
    ['nothing at all', '', /the file is empty/],
    ['only a byte order mark', '\uFEFF', /the file is empty/],
    ['a character cut in two at its end', Buffer.from('Name\nÄnna\nZoë').subarray(0, -1), /middle of a character/],
    ['an odd number of bytes in UTF-16', utf16('\uFEFFName\nAnna\n').subarray(0, -1), /middle of a character/],
    ['no header', 'Anna,anna@example.org\nBea,bea@example.org\n', /line 1 should hold the names of the columns/],
    [
      'bytes that no encoding has',
      Buffer.from([0x4e, 0x0a, 0x81, 0x0a]),
      /line 2 holds bytes that are not windows-1252/,
    ],
  ]
  test.each(unreadable)('refuses a file with %s as a whole, never as an inventory (I5)', async (_, text, message) => {
    await save('Name,Note\nAnna,x\n')
    const connector = connect()
    const { cursor } = await pull(connector)
    await save(text)
    const failure = await failureOf(pull(connector, cursor))
    expect(failure.message).toMatch(message)
    expect(['transient', 'permanent']).toContain(failure.kind)
    expect(failure.message).not.toMatch(/anna|bea|example/i)
  })

  test('says which line is not UTF-8 where the config says that the file is', async () => {
    await save(iconv.encode('Name\nAnna\nÄnna\n', 'windows-1252'))
    const failure = await failureOf(pull(connect({ encoding: 'utf-8' })))
    expect(failure).toMatchObject({ kind: 'permanent', message: 'line 3 holds bytes that are not UTF-8' })
  })

  test('waits for the rest of a last row that stops half-way in a file saved this moment, and takes it later', async () => {
    await writeFile(path, 'Name,Note\nAnna,x\nBe')
    expect((await failureOf(pull(connect()))).message).toMatch(/line 3: its last row stops half-way/)
    await save('Name,Note\nAnna,x\nBe')
    expect((await pull(connect())).records).toHaveLength(2)
  })

  test('reports a row with cells too many as broken, and the rest as usual', async () => {
    await save('Kith ID,Name,City\na,Anna,Bonn\nb,Doe, Jane,Ulm\n')
    const connector = connect()
    const { sightings } = await pull(connector)
    expect(sightings.map(({ kind }) => kind)).toEqual(['record', 'broken'])
    expect(sightings[1]).toMatchObject({ id: 'b', failure: { message: 'line 3 has 4 cells, but the header names 3' } })
    const before = await content()
    const [outcome] = await connector.write([{ op: 'update', ref: 'u', id: 'b', rev: null, fields: { Name: 'x' } }])
    expect(failed(outcome).kind).toBe('permanent')
    expect(await content()).toBe(before)
  })

  test('hands out pages of at most 500 rows, the cursor on the last', async () => {
    await save(`Kith ID,Name\n${Array.from({ length: 1201 }, (_, n) => `id${n},n${n}`).join('\n')}\n`)
    const { pages, records } = await pull(connect())
    expect(pages.map(({ sightings }) => sightings.length)).toEqual([500, 500, 201])
    expect(pages.map(({ inventory }) => inventory?.complete)).toEqual([false, false, true])
    expect(pages.map(({ cursor }) => cursor !== undefined)).toEqual([false, false, true])
    expect(records[1200]).toMatchObject({ id: 'id1200', fields: { Name: 'n1200' } })
  })

  test('a header alone is a complete, empty inventory: the brake decides', async () => {
    await save('Name,Note\n')
    const { pages } = await pull(connect())
    expect(pages).toMatchObject([{ sightings: [], inventory: { complete: true } }])
  })

  test('an unchanged file is one empty page with the same cursor and is not read (I2)', async () => {
    await save('Name\nAnna\n')
    const connector = connect()
    const { cursor } = await pull(connector)
    const { atime } = await stat(path)
    await chmod(path, 0o000)
    const pages = await pagesOf(connect(), cursor)
    expect(pages).toEqual([{ sightings: [], cursor }])
    expect((await stat(path)).atime).toEqual(atime)
  })

  test('a file touched but not changed brings no records, and a new cursor', async () => {
    await save('Name\nAnna\n')
    const connector = connect()
    const first = await pull(connector)
    await save('Name\nAnna\n')
    const second = await pull(connector, first.cursor)
    expect(second.pages).toMatchObject([{ sightings: [] }])
    expect(second.pages[0]?.inventory).toBeUndefined()
    expect(second.cursor).not.toEqual(first.cursor)
  })

  test('two saves of one length within one tick of the clock are told apart by content', async () => {
    const now = new Date()
    await writeFile(path, 'Kith ID,Name\na,Anna\n')
    await utimes(path, now, now)
    const connector = connect()
    const { cursor } = await pull(connector)
    await writeFile(path, 'Kith ID,Name\na,Enna\n')
    await utimes(path, now, now)
    expect((await pull(connector, cursor)).records).toMatchObject([{ id: 'a', fields: { Name: 'Enna' } }])
  })

  test('a file that never was is an empty inventory; one that vanished is a failure (I5)', async () => {
    const connector = connect()
    const none = await pull(connector)
    expect(none.pages).toMatchObject([{ sightings: [], inventory: { complete: true } }])
    await save('Name\nAnna\n')
    const { cursor, records } = await pull(connector, none.cursor)
    expect(records).toHaveLength(1)
    await rm(path)
    for (const other of [connector, connect()]) {
      const failure = await failureOf(pull(other, cursor))
      expect(failure).toMatchObject({ kind: 'transient', message: `${path} is gone` })
    }
    expect((await failureOf(connector.read(['x']))).message).toMatch(/is gone/)
    const [outcome] = await connector.write([create('k', {})])
    expect(failed(outcome).message).toMatch(/is gone/)
    expect(await readdir(folder)).toEqual([])
  })

  test('a folder that is not there is said to be so', async () => {
    const connector = connect({ path: 'nowhere/people.csv' })
    expect(await failureOf(connector.check())).toMatchObject({ kind: 'transient', code: 'ENOENT' })
    expect(await failureOf(pull(connector))).toMatchObject({ kind: 'transient', code: 'ENOENT' })
  })

  test('the revision of a row holds when columns are moved or added, and rows are sorted', async () => {
    await save('Kith ID,Name,City\na,Anna,Bonn\nb,Bea,Ulm\n')
    const connector = connect()
    const first = await pull(connector)
    await save('City,Age,Name,Kith ID\nUlm,,Bea,b\nBonn,,Anna,a\n')
    const second = await pull(connector, first.cursor)
    const revs = ({ records }: Pulled): unknown => Object.fromEntries(records.map(({ id, rev }) => [id, rev]))
    expect(revs(second)).toEqual(revs(first))
  })
})

describe('who a row is', () => {
  const HEADER = 'Name,E-mail,City,Phone\n'
  const ROWS = ['Anna,anna@x.org,Bonn,1\n', 'Bea,,Ulm,2\n', 'Cy,cy@x.org,Kiel,3\n', 'Dan,,Bonn,4\n']
  const edits: [string, string[], string[]][] = [
    ['all line endings are changed', ROWS.map((row) => row.replace('\n', '\r\n')), ['Anna', 'Bea', 'Cy', 'Dan']],
    ['rows are put in another order', [3, 1, 0, 2].map((n) => ROWS[n] ?? ''), ['Dan', 'Bea', 'Anna', 'Cy']],
    ['a cell is edited', ROWS.with(1, 'Bea,,Ulm,99\n'), ['Anna', 'Bea', 'Cy', 'Dan']],
    [
      'most of a row is edited, the e-mail address not',
      ROWS.with(0, 'A,anna@x.org,B,9\n'),
      ['Anna', 'Bea', 'Cy', 'Dan'],
    ],
    ['the e-mail address is edited', ROWS.with(0, 'Anna,a@y.org,Bonn,1\n'), ['Anna', 'Bea', 'Cy', 'Dan']],
    ['most of a row is edited where it stands', ROWS.with(1, 'Beatrix,,Ulm,77\n'), ['Anna', 'Bea', 'Cy', 'Dan']],
    ['a row is put in above', ['Zoe,,Rom,5\n', ...ROWS], ['new', 'Anna', 'Bea', 'Cy', 'Dan']],
    ['a row is deleted', ROWS.toSpliced(1, 1), ['Anna', 'Cy', 'Dan']],
    ['a row is replaced by another person', ROWS.with(1, 'Zoe,z@x.org,Rom,5\n'), ['Anna', 'new', 'Cy', 'Dan']],
    ['a row is copied', [...ROWS, ROWS[1] ?? ''], ['Anna', 'Bea', 'Cy', 'Dan', 'new']],
    [
      'one is edited, one deleted, one new, and all sorted',
      ['Dan,,Berlin,4\n', 'Cy,cy@x.org,Kiel,3\n', 'Zoe,,Rom,5\n', 'Anna,anna@x.org,Köln,1\n'],
      ['Dan', 'Cy', 'new', 'Anna'],
    ],
  ]
  test.each(edits)('keyless rows keep their ids when %s', async (_, rows, expected) => {
    await save(HEADER + ROWS.join(''))
    const first = await pull(connect())
    const names = Object.fromEntries(first.records.map(({ id, fields }) => [id, String(fields['Name'])]))
    await save(HEADER + rows.join(''))
    // Another process: all it has is the cursor.
    const second = await pull(connect(), first.cursor)
    expect(second.records.map(({ id }) => names[id] ?? 'new')).toEqual(expected)
    expect(new Set(second.records.map(({ id }) => id)).size).toBe(rows.length)
    expect(await content()).toBe(HEADER + rows.join(''))
  })

  test('a pull writes nothing into the file, so that observing stays observing', async () => {
    await save(HEADER + ROWS.join(''))
    await pull(connect())
    await connect().check()
    expect(await content()).toBe(HEADER + ROWS.join(''))
    expect(await readdir(folder)).toEqual(['people.csv'])
  })

  test('the first write puts the ids into the file, and rows keep them whatever is edited then', async () => {
    await save(HEADER + ROWS.join(''))
    const connector = connect()
    const first = await pull(connector)
    const ids = byField(first.records, 'Name')
    const [outcome] = await connector.write([update(first.records[1], { Phone: '22' })])
    expect(outcome).toMatchObject({ kind: 'written', record: { id: ids['Bea'], fields: { Phone: '22', Name: 'Bea' } } })
    expect(await content()).toBe(
      `Name,E-mail,City,Phone,Kith ID\nAnna,anna@x.org,Bonn,1,${ids['Anna']}\nBea,,Ulm,22,${ids['Bea']}\n` +
        `Cy,cy@x.org,Kiel,3,${ids['Cy']}\nDan,,Bonn,4,${ids['Dan']}\n`,
    )
    const second = await pull(connector, first.cursor)
    expect(byField(second.records, 'Name')).toEqual(ids)
    expect(second.records.map(({ rev }, index) => rev === first.records[index]?.rev)).toEqual([true, false, true, true])
    await save((await content()).replace('Anna,anna@x.org,Bonn,1', 'Q,q@q.org,Q,0'))
    const third = await pull(connect(), second.cursor)
    expect(third.records[0]).toMatchObject({ id: ids['Anna'], fields: { Name: 'Q' } })
  })

  test('a process that never read the sheet writes to a keyless row by what it said, and leaves other keys alone', async () => {
    await save(HEADER + ROWS.join(''))
    const first = await pull(connect())
    await save(HEADER + ROWS.with(1, 'Bea,,Ulm,99\n').join(''))
    const second = await pull(connect(), first.cursor)
    const bea = second.records[1]
    const stranger = connect()
    const [outcome] = await stranger.write([update(bea, { City: 'Trier' })])
    expect(outcome).toMatchObject({ kind: 'written', record: { id: bea?.id, fields: { City: 'Trier' } } })
    const empty = (row: number): string => `${ROWS[row]?.trimEnd()},\n`
    expect(await content()).toBe(
      // No row is shorter than the header: strict readers refuse such a sheet.
      `Name,E-mail,City,Phone,Kith ID\n${empty(0)}Bea,,Trier,99,${bea?.id}\n${empty(2)}${empty(3)}`,
    )
    const third = await pull(connect(), second.cursor)
    expect(byField(third.records, 'Name')).toEqual(byField(first.records, 'Name'))
  })

  test('after a restart the cursor alone is enough to write to an edited keyless row and to fill in every key', async () => {
    await save(HEADER + ROWS.join(''))
    const first = await pull(connect())
    const ids = byField(first.records, 'Name')
    await save(HEADER + ROWS.with(1, 'Bea,,Ulm,99\n').join(''))
    const second = await pull(connect(), first.cursor)
    const restarted = connect()
    await pagesOf(restarted, second.cursor)
    expect(await restarted.read([ids['Bea'] ?? ''])).toMatchObject([{ kind: 'record', record: second.records[1] }])
    expect(await restarted.write([update(second.records[0], { City: 'Rom' })])).toMatchObject([{ kind: 'written' }])
    const third = await pull(connect(), second.cursor)
    expect(byField(third.records, 'Name')).toEqual(ids)
    expect(await content()).toContain(`Bea,,Ulm,99,${ids['Bea']}\n`)
  })

  test('a process that never read the sheet does not call an edited keyless row gone (I5)', async () => {
    await save(HEADER + ROWS.join(''))
    const first = await pull(connect())
    await save(HEADER + ROWS.with(1, 'Bea,,Ulm,99\n').join(''))
    const bea = first.records[1]
    const stranger = connect()
    expect(await stranger.read([bea?.id ?? ''])).toMatchObject([{ kind: 'broken', failure: { kind: 'transient' } }])
    const outcomes = await stranger.write([
      update(bea, { City: 'x' }),
      { op: 'delete', ref: 'd', id: bea?.id ?? '', rev: bea?.rev ?? null, archive: false },
    ])
    expect(outcomes.map((outcome) => failed(outcome).kind)).toEqual(['conflict', 'conflict'])
  })

  test('a deleted row is gone when read after the pull that missed it, keyed or not', async () => {
    await save(HEADER + ROWS.join(''))
    const connector = connect()
    const first = await pull(connector)
    await save(HEADER + ROWS.toSpliced(1, 1).join(''))
    await pull(connector, first.cursor)
    const id = first.records[1]?.id ?? ''
    expect(await connector.read([id, 'never-was'])).toEqual([
      { kind: 'gone', id },
      { kind: 'gone', id: 'never-was' },
    ])
  })

  test('a key typed in by hand merges the provisional id into it: never a delete and a create', async () => {
    await save('No,Name,City\n1,Anna,Bonn\n,Bea,Ulm\n')
    const first = await pull(connect({ key: 'No' }))
    const provisional = first.records[1]?.id
    await save('No,Name,City\n1,Anna,Bonn\n2,Bea,Ulm\n')
    const connector = connect({ key: 'No' })
    const second = await pull(connector, first.cursor)
    expect(second.sightings).toMatchObject([
      { kind: 'merged', id: provisional, into: '2' },
      { kind: 'record', record: { id: '1', fields: { No: '1' } } },
      { kind: 'record', record: { id: '2', fields: { No: '2' } } },
    ])
    expect(await connector.read([provisional ?? ''])).toEqual([{ kind: 'merged', id: provisional, into: '2' }])
  })

  test('a row copied with its key leaves both broken, naming the lines, and untouched', async () => {
    await save('Kith ID,Name\na,Anna\nb,Bea\na,Anna\n')
    const connector = connect()
    const { sightings } = await pull(connector)
    expect(sightings.map(({ kind }) => kind)).toEqual(['broken', 'record'])
    expect(sightings[0]).toMatchObject({ id: 'a', failure: { message: /lines 2 and 4 have the same key/ } })
    expect(await connector.read(['a'])).toMatchObject([{ kind: 'broken', id: 'a' }])
    const outcomes = await connector.write([
      { op: 'update', ref: '1', id: 'a', rev: null, fields: { Name: 'x' } },
      { op: 'delete', ref: '2', id: 'a', rev: null, archive: false },
      create('a', { Name: 'y' }),
    ])
    expect(outcomes.map((outcome) => failed(outcome).kind)).toEqual(['permanent', 'permanent', 'permanent'])
  })

  test('a header that lost the key column is refused: every row would look new', async () => {
    await save('Kith ID,Name\na,Anna\n')
    const connector = connect()
    const { cursor } = await pull(connector)
    await save('Name\nAnna\n')
    expect(await failureOf(pull(connector, cursor))).toMatchObject({
      kind: 'permanent',
      message: 'the header has no column "Kith ID" any more',
    })
  })

  test('a key column that the config names has to be there, and is never changed by a mapping', async () => {
    await save('No,Name\n1,Anna\n')
    expect((await failureOf(pull(connect({ key: 'Nr' })))).message).toMatch(/no column "Nr"/)
    const connector = connect({ key: 'No' })
    const { records } = await pull(connector)
    const outcomes = await connector.write([update(records[0], { No: '2' }), create('k1', { Name: 'Bea' })])
    expect(failed(outcomes[0]).message).toMatch(/the column "No" is the key/)
    expect(outcomes[1]).toMatchObject({ kind: 'written', record: { id: 'k1', fields: { No: 'k1', Name: 'Bea' } } })
    expect(await content()).toBe('No,Name\n1,Anna\nk1,Bea\n')
  })

  test('what is remembered holds fingerprints only, and is bounded (I15)', async () => {
    await save(HEADER + ROWS.join(''))
    const { cursor } = await pull(connect())
    expect(JSON.stringify(cursor)).not.toMatch(/anna|bea|x\.org|bonn/i)
    const many = `Name\n${Array.from({ length: 10_050 }, (_, n) => `n${n}`).join('\n')}\n`
    const sheet = await readSheet(Buffer.from(many), 0, false, csv.options.parse({ path: 'x' }) as never)
    expect(identify(sheet, []).memory).toHaveLength(10_000)
  })
})

describe('writing', () => {
  test('rows that are not written keep their very bytes; others their quoting, order and unknown columns', async () => {
    const text =
      '\uFEFFKith ID;Name;"City";Extra\r\n"a";"Anna";Bonn;=1+1\r\n\r\nb ;  Bea ;"Ulm ""x""";5" disk\nc;Cy\r\n;;;;\r\nd;Dan;x;y'
    await save(text)
    const connector = connect()
    const { records } = await pull(connector)
    const outcomes = await connector.write([
      update(records[0], { City: 'Köln; am Rhein' }),
      update(records[2], { Extra: 'e' }),
      create('e', { Name: 'Eve', City: 'two\nlines' }),
    ])
    expect(outcomes.map(({ kind }) => kind)).toEqual(['written', 'written', 'written'])
    expect(await content()).toBe(
      '\uFEFFKith ID;Name;"City";Extra\r\n"a";"Anna";"Köln; am Rhein";=1+1\r\n\r\nb ;  Bea ;"Ulm ""x""";5" disk\nc;Cy;;e\r\n;;;;\r\nd;Dan;x;y\r\ne;Eve;"two\nlines";',
    )
    const after = await pull(connector)
    const written = outcomes.flatMap((outcome) => (outcome.kind === 'written' ? [outcome.record] : []))
    for (const record of written) expect(after.records).toContainEqual(record)
  })

  test('a sheet that quotes every cell goes on doing so', async () => {
    await save('"Kith ID","Name"\n"a","Anna"\n')
    await connect().write([create('b', { Name: 'Bea' })])
    expect(await content()).toBe('"Kith ID","Name"\n"a","Anna"\n"b","Bea"\n')
  })

  test.each(['windows-1252', 'utf-16le'])('stays in %s', async (encoding) => {
    const mark = encoding === 'utf-16le' ? '\uFEFF' : ''
    await save(iconv.encode(`${mark}Kith ID;Name\r\na;Ännä €\r\n`, encoding))
    await connect().write([create('b', { Name: 'Zoë' })])
    expect(iconv.decode(await readFile(path), encoding, { stripBOM: false })).toBe(
      `${mark}Kith ID;Name\r\na;Ännä €\r\nb;Zoë\r\n`,
    )
  })

  test('a name that the encoding cannot store fails alone, with the advice to save as UTF-8', async () => {
    await save(iconv.encode('Kith ID;Name\r\na;Ännä\r\n', 'windows-1252'))
    const outcomes = await connect().write([create('b', { Name: 'Анна' }), create('c', { Name: 'Cy' })])
    expect(failed(outcomes[0])).toMatchObject({ kind: 'permanent', advice: /UTF-8/ })
    expect(failed(outcomes[0]).message).not.toMatch(/Анна/)
    expect(outcomes[1]?.kind).toBe('written')
  })

  test.each([
    ['a column that the header lacks', { Shoe: '42' }, /no column "Shoe"/],
    ['a value that is no text', { Name: 7 }, /"Name" is not a text/],
  ])('%s fails that record and no other', async (_, fields, message) => {
    await save('Kith ID,Name\na,Anna\n')
    const outcomes = await connect().write([create('b', fields), create('c', { Name: 'Cy' })])
    expect(failed(outcomes[0])).toMatchObject({ kind: 'permanent', message: expect.stringMatching(message) })
    expect(outcomes[1]?.kind).toBe('written')
  })

  test('a row edited since it was read is a conflict, a deleted one gone, the rest is written', async () => {
    await save('Kith ID,Name\na,Anna\nb,Bea\nc,Cy\nd,Dan\n')
    const connector = connect()
    const { records } = await pull(connector)
    await save('Kith ID,Name\na,Annika\nc,Cy\nd,Dan\n')
    const outcomes = await connector.write([
      update(records[0], { Name: 'x' }),
      update(records[1], { Name: 'x' }),
      update(records[2], { Name: 'Cyril' }),
      { op: 'delete', ref: 'd', id: 'd', rev: records[3]?.rev ?? null, archive: false },
      { op: 'delete', ref: 'b', id: 'b', rev: records[1]?.rev ?? null, archive: false },
    ])
    expect(outcomes.map((outcome) => (outcome.kind === 'failed' ? outcome.failure.kind : outcome.kind))).toEqual([
      'conflict',
      'gone',
      'written',
      'deleted',
      'deleted',
    ])
    expect(await content()).toBe('Kith ID,Name\na,Annika\nc,Cyril\n')
  })

  test('a create sent again is answered with the row that is there, edited or not, and not doubled (I4)', async () => {
    await save('Kith ID,Name\n')
    await connect().write([create('k', { Name: 'Anna' })])
    const again = connect()
    expect(await again.write([create('k', { Name: 'Anna' })])).toMatchObject([{ kind: 'written', record: { id: 'k' } }])
    await save('Kith ID,Name\nk,Annika\n')
    expect(await again.write([create('k', { Name: 'Anna' })])).toMatchObject([
      { kind: 'written', record: { id: 'k', fields: { Name: 'Annika' } } },
    ])
    expect(await content()).toBe('Kith ID,Name\nk,Annika\n')
  })

  test('a batch that changes nothing does not touch the file', async () => {
    await save('Name\nAnna\n')
    const connector = connect()
    const { records } = await pull(connector)
    const before = await stat(path)
    expect(await connector.write([update(records[0], { Name: 'Anna' })])).toMatchObject([{ kind: 'written' }])
    expect(await stat(path)).toEqual(before)
  })

  test('a file that is not there is created with its header, and read back', async () => {
    const connector = connect({ columns: ['Name', 'Stadt'] })
    expect((await connector.check()).fields.map(({ name }) => name)).toEqual(['Name', 'Stadt'])
    await connector.write([create('k', { Name: 'Änna' })])
    expect(await content()).toBe('\uFEFFName,Stadt,Kith ID\r\nÄnna,,k\r\n')
    expect((await pull(connector)).records).toMatchObject([{ id: 'k', fields: { Name: 'Änna', Stadt: null } }])
    const other = connect({ path: 'other.csv' })
    expect((await other.check()).fields.map(({ name }) => name)).toContain('E-mail 2')
  })

  test('keeps the mode of the file and the link to it, and leaves nothing beside it', async () => {
    await save('Kith ID,Name\na,Anna\n', join(folder, 'real.csv'))
    await chmod(join(folder, 'real.csv'), 0o640)
    await symlink('real.csv', path)
    await connect().write([create('b', { Name: 'Bea' })])
    expect((await stat(path)).mode & 0o777).toBe(0o640)
    expect(await readFile(join(folder, 'real.csv'), 'utf8')).toBe('Kith ID,Name\na,Anna\nb,Bea\n')
    expect((await readdir(folder)).sort()).toEqual(['people.csv', 'real.csv'])
  })

  test('a save between our read and our write is never overwritten (I3)', async () => {
    await save('Name\nAnna\n')
    const seen = await stateOf(path)
    await save('Name\nAnnika\n')
    expect(await replaceFile(path, Buffer.from('Name\nours\n'), seen)).toBeUndefined()
    expect(await replaceFile(path, Buffer.from('Name\nours\n'), undefined)).toBeUndefined()
    expect(await content()).toBe('Name\nAnnika\n')
    expect(await readdir(folder)).toEqual(['people.csv'])
  })

  test('edits that race with saves by an editor all stay (I3)', async () => {
    await save('Kith ID,Name,Count\nhuman,Ada,0\n')
    const connector = connect()
    let done = false
    const writes = (async () => {
      const outcomes: WriteOutcome[] = []
      for (let n = 0; n < 30; n++) outcomes.push(...(await connector.write([create(`k${n}`, { Name: `n${n}` })])))
      done = true
      return outcomes
    })()
    // The editor reads, changes its own row and puts the file in place, unless it was changed meanwhile, as editors ask.
    let saved = 0
    while (!done) {
      const seen = await stateOf(path)
      const text = (await content()).replace(/human,Ada,\d+/, `human,Ada,${saved + 1}`)
      if (await replaceFile(path, Buffer.from(text), seen)) saved++
    }
    const outcomes = await writes
    const { records } = await pull(connector)
    expect(records.find(({ id }) => id === 'human')?.fields['Count']).toBe(String(saved))
    const there = new Set(records.map(({ id }) => id))
    const wrong = outcomes.filter((outcome) =>
      outcome.kind === 'written' ? !there.has(outcome.record.id) : failed(outcome).kind !== 'transient',
    )
    expect(wrong).toEqual([])
    expect(outcomes.some(({ kind }) => kind === 'written')).toBe(true)
    expect(saved).toBeGreaterThan(0)
  })

  test.each(['.~lock.people.csv#', '~$people.csv'])('waits while an editor holds the file open (%s)', async (lock) => {
    await save('Kith ID,Name\na,Anna\n')
    await writeFile(join(folder, lock), '')
    const connector = connect()
    expect((await connector.check()).warnings.join()).toMatch(/is open in/)
    expect(failed((await connector.write([create('b', { Name: 'Bea' })]))[0])).toMatchObject({
      kind: 'transient',
      message: expect.stringMatching(/is open in (LibreOffice|Excel)/),
    })
    await rm(join(folder, lock))
    expect((await connector.write([create('b', { Name: 'Bea' })]))[0]?.kind).toBe('written')
  })

  test('a damaged file is not written to', async () => {
    await save('Kith ID,Name\na,"Anna\n')
    const [outcome] = await connect().write([create('b', { Name: 'Bea' })])
    expect(failed(outcome)).toMatchObject({ kind: 'transient', message: expect.stringMatching(/line 2/) })
    expect(await content()).toBe('Kith ID,Name\na,"Anna\n')
  })

  test('a row with a cell too many stays so when the key column is added', async () => {
    await save('Name,City\nDoe, Jane,Ulm\nAnna,Bonn')
    const connector = connect()
    await connector.write([create('k', { Name: 'Bea' })])
    expect(await content()).toBe('Name,City,Kith ID\nDoe, Jane,,Ulm\nAnna,Bonn,\nBea,,k')
    expect((await pull(connector)).sightings.map(({ kind }) => kind)).toEqual(['broken', 'record', 'record'])
  })
})

describe('the rest', () => {
  test('check counts, names the fields and warns of what it saw, by line and never by value (I15)', async () => {
    await save('Kith ID;Name;Phone;Phone\na;Anna;1;2\na;Anna;1;2\nc;Cy\nd;Dan;1;2;3\n;Eve;1;2\n')
    const report = await connect().check()
    expect(report.summary).toBe('people.csv: 5 rows, 3 columns, separated by semicolons, utf-8')
    expect(report.fields.map(({ name, writable }) => [name, writable])).toEqual([
      ['Name', true],
      ['Phone', true],
      ['Phone (2)', true],
    ])
    expect(report.warnings).toEqual([
      '1 row without a key in "Kith ID": Kith fills it in when it first writes',
      'line 2, 3: a key is there twice, the rows are left alone',
      'line 5: more cells than the header has, the rows are left alone',
      'line 4: fewer cells than the header has, the rest counts as blank',
      'the header names a column twice: the later one is called "Phone (2)"',
    ])
  })

  test('options are strict, and one file under two spellings is one account', () => {
    expect(csv.options.safeParse({ path: 'x', colour: 'red' }).success).toBe(false)
    expect(csv.options.safeParse({ path: 'x', columns: ['A', 'A'] }).success).toBe(false)
    const account = (path: string): string => csv.account(csv.options.parse({ path }), { baseDir: '/srv' })
    expect(account('./a.csv')).toBe(account('/srv/b/../a.csv'))
  })

  test('a save in the folder gives a hint, also by an editor that puts a new file in place', async () => {
    await save('Name\nAnna\n')
    const connector = connect()
    for (const change of [
      () => save('Name\nBea\n'),
      async () => {
        await save('Name\nCy\n', join(folder, 'temp'))
        await rename(join(folder, 'temp'), path)
      },
    ]) {
      const { promise, resolve } = Promise.withResolvers<void>()
      const stop = await connector.watch?.(resolve)
      await change()
      expect(await promise).toBeUndefined()
      await stop?.()
    }
  })
})

function utf16(text: string): Buffer {
  return Buffer.from(text, 'utf16le')
}
