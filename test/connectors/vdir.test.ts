import { execFileSync } from 'node:child_process'
import {
  chmod,
  link,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { brokenFrom, failureOf } from '../../connectors/vdir/errors.ts'
import { Folder } from '../../connectors/vdir/folder.ts'
import { vdir } from '../../connectors/vdir/index.ts'
import type { Json, JsonObject } from '../../engine/core/json.ts'
import type {
  AppRecord,
  Connector,
  CreateRequest,
  FeedPage,
  ReadAnswer,
  Sighting,
  WriteOutcome,
} from '../../engine/core/ports/connector.ts'

let base: string
let folder: string
/** How far the connector's clock runs ahead: a file is settled when it is old enough by that clock. */
let ahead_ms: number
const open: Connector[] = []

beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'kith-vdir-'))
  folder = join(base, 'cards')
  await mkdir(folder)
  ahead_ms = 60_000
})

afterEach(async () => {
  await Promise.all(open.splice(0).map((connector) => connector.close()))
  await rm(base, { recursive: true, force: true })
})

function connect(): Connector {
  const context = { connection: 'phone', baseDir: base, now: () => Date.now() + ahead_ms }
  const connector = vdir.connect({ path: 'cards' }, context)
  open.push(connector)
  return connector
}

const card = (name: string, ...lines: string[]): string =>
  ['BEGIN:VCARD', 'VERSION:3.0', `UID:${name}`, `FN:${name}`, ...lines, 'END:VCARD', ''].join('\r\n')

const put = (name: string, text: string | Buffer): Promise<void> => writeFile(join(folder, name), text)
const get = (name: string): Promise<string> => readFile(join(folder, name), 'utf8')

async function pull(connector: Connector, cursor: Json | null = null): Promise<{ pages: FeedPage[]; cursor: Json }> {
  const pages: FeedPage[] = []
  for await (const page of connector.pull(cursor)) pages.push(page)
  return { pages, cursor: pages.at(-1)?.cursor ?? null }
}

const sightingsOf = ({ pages }: { pages: FeedPage[] }): Sighting[] => pages.flatMap((page) => [...page.sightings])

async function readOne(connector: Connector, id: string): Promise<ReadAnswer> {
  const [answer] = await connector.read([id])
  if (!answer) throw new Error('no answer')
  return answer
}

async function record(connector: Connector, id: string): Promise<AppRecord> {
  const answer = await readOne(connector, id)
  if (answer.kind !== 'record') throw new Error(`${id} is ${answer.kind}`)
  return answer.record
}

async function write(connector: Connector, request: Parameters<Connector['write']>[0][number]): Promise<WriteOutcome> {
  const [outcome] = await connector.write([request])
  if (!outcome) throw new Error('no outcome')
  return outcome
}

const create = (key: string, fields: JsonObject = { FN: 'Ada' }): CreateRequest => ({
  op: 'create',
  ref: key,
  key,
  fields,
})

describe('pulling', () => {
  test('lists every contact once, in pages, and nothing that is no contact', async () => {
    await Promise.all(Array.from({ length: 501 }, (_, index) => put(`c${index}.vcf`, card(`c${index}`))))
    await put('UPPER.VCF', card('u'))
    await put('.hidden.vcf', card('h'))
    await put('.kith-x.tmp', card('t'))
    await put('notes.txt', 'x')
    await mkdir(join(folder, 'sub.vcf'))
    const heard = await pull(connect())
    expect(heard.pages.map(({ sightings, inventory }) => [sightings.length, inventory])).toEqual([
      [500, { complete: false }],
      [2, { complete: true }],
    ])
    expect(heard.pages[0]).not.toHaveProperty('cursor')
    expect(new Set(sightingsOf(heard).map((sighting) => sighting.kind))).toEqual(new Set(['hint']))
  })

  test('a quiet folder says nothing, and no file is read (I2)', async () => {
    await put('a.vcf', card('a'))
    const first = await pull(connect())
    const before = await stat(join(folder, 'a.vcf'), { bigint: true })
    await utimes(join(folder, 'a.vcf'), new Date(0), new Date(Number(before.mtimeMs)))
    const second = await pull(connect(), (await pull(connect(), first.cursor)).cursor)
    expect(second.pages).toEqual([{ sightings: [], cursor: second.cursor }])
    // The access time moves when a file is read (relatime: it was older than the modification).
    expect((await stat(join(folder, 'a.vcf'))).atimeMs).toBe(0)
  })

  test('a hint has the revision that reading then has, and every edit gives another', async () => {
    await put('a.vcf', card('a'))
    const connector = connect()
    const first = await pull(connector)
    const rev = (await record(connector, 'a.vcf')).rev
    expect(sightingsOf(first)).toEqual([{ kind: 'hint', id: 'a.vcf', rev }])
    await put('a.vcf', card('b'))
    const second = await pull(connector, first.cursor)
    expect(sightingsOf(second)).toEqual([{ kind: 'hint', id: 'a.vcf', rev: (await record(connector, 'a.vcf')).rev }])
    expect(sightingsOf(second)).not.toEqual(sightingsOf(first))
  })

  test('an edit of the same size and the same times is heard while the file is young: its content is its revision', async () => {
    ahead_ms = 0
    await put('a.vcf', card('a'))
    const connector = connect()
    const first = await pull(connector)
    const { mtime } = await stat(join(folder, 'a.vcf'))
    await put('a.vcf', card('b'))
    await utimes(join(folder, 'a.vcf'), mtime, mtime)
    const second = await pull(connector, first.cursor)
    expect(sightingsOf(first)).toMatchObject([{ rev: expect.stringContaining('+') }])
    expect(sightingsOf(second)).toMatchObject([{ rev: (await record(connector, 'a.vcf')).rev }])
    expect(sightingsOf(second)).not.toEqual(sightingsOf(first))
  })

  test('an edit whose modification time was set back is heard when the file is old, too', async () => {
    await put('a.vcf', card('a'))
    const connector = connect()
    const first = await pull(connector)
    const { mtime } = await stat(join(folder, 'a.vcf'))
    // Two ticks of the file system's clock apart, as any two edits are once the first is settled.
    const tick = join(base, 'tick')
    await writeFile(tick, '')
    const then = (await stat(tick, { bigint: true })).ctimeNs
    do await writeFile(tick, 'x')
    while ((await stat(tick, { bigint: true })).ctimeNs === then)
    await put('a.vcf', card('b'))
    await utimes(join(folder, 'a.vcf'), mtime, mtime)
    expect(sightingsOf(await pull(connector, first.cursor))).toHaveLength(1)
  })

  test('a folder that is gone, or is a file, fails with advice and is never an empty inventory (I5)', async () => {
    await put('a.vcf', card('a'))
    const connector = connect()
    const { cursor } = await pull(connector)
    await rm(folder, { recursive: true })
    const failure = {
      failure: { kind: 'transient', message: `the folder ${folder} is gone`, advice: expect.any(String) },
    }
    await expect(pull(connector, cursor)).rejects.toMatchObject(failure)
    await expect(connector.read(['a.vcf'])).rejects.toMatchObject(failure)
    await expect(connector.check()).rejects.toMatchObject(failure)
    await expect(connector.write([create('k')])).rejects.toMatchObject(failure)
    await writeFile(folder, '')
    await expect(pull(connector, cursor)).rejects.toMatchObject({ failure: { message: `${folder} is not a folder` } })
  })

  test('another, empty folder in its place (a disk not mounted) is no deletion, neither heard, read nor written (I5)', async () => {
    await put('a.vcf', card('a'))
    const connector = connect()
    const { cursor } = await pull(connector)
    await rename(folder, join(base, 'away'))
    await mkdir(folder)
    const failure = {
      failure: { kind: 'transient', message: expect.stringContaining('not the one that was read before') },
    }
    await expect(pull(connector, cursor)).rejects.toMatchObject(failure)
    await expect(pull(connect(), cursor)).rejects.toMatchObject(failure)
    await expect(connector.read(['a.vcf'])).rejects.toMatchObject(failure)
    await expect(connector.write([create('k')])).rejects.toMatchObject(failure)
    // A process that never read the folder knows no better.
    await expect(connect().read(['a.vcf'])).rejects.toMatchObject(failure)
    const outcome = await write(connect(), { op: 'delete', ref: 'r', id: 'a.vcf', rev: null, archive: false })
    expect(outcome).toMatchObject({ kind: 'failed', ...failure })
    expect(await readdir(folder)).toEqual([])
  })

  test('the same folder, emptied, is an empty inventory: the brakes judge it', async () => {
    await put('a.vcf', card('a'))
    const connector = connect()
    const { cursor } = await pull(connector)
    await unlink(join(folder, 'a.vcf'))
    expect((await pull(connector, cursor)).pages).toMatchObject([{ sightings: [], inventory: { complete: true } }])
    expect(await readOne(connector, 'a.vcf')).toEqual({ kind: 'gone', id: 'a.vcf' })
  })

  test('a cursor of another shape reads everything once more', async () => {
    await put('a.vcf', card('a'))
    expect(sightingsOf(await pull(connect(), { old: 1 }))).toHaveLength(1)
    expect(sightingsOf(await pull(connect(), 'x'))).toHaveLength(1)
  })
})

describe('reading', () => {
  test('gives the fields, the time of the change, and file names as they are', async () => {
    const names = ['e\u0301.vcf', '\u00E9.vcf', 'a b#%?.vcf']
    for (const name of names) await put(name, card('x', 'X-OWN:1', 'TEL;TYPE=CELL:123'))
    const connector = connect()
    const ids = sightingsOf(await pull(connector)).map((sighting) => ('id' in sighting ? sighting.id : ''))
    expect(new Set(ids)).toEqual(new Set(names))
    const one = await record(connector, names[0] ?? '')
    expect(one.fields).toMatchObject({ FN: 'x', 'X-OWN': '1', TEL: [{ value: '123', label: 'mobile', pref: false }] })
    expect(one.modified_ms).toBe(Math.trunc((await stat(join(folder, names[0] ?? ''))).mtimeMs))
  })

  test('what cannot be read is broken by name, and the good ones are read all the same', async () => {
    await put('good.vcf', card('g'))
    await put('empty.vcf', '')
    await put('cut.vcf', card('c').slice(0, 40))
    await put('two.vcf', card('c') + card('d'))
    await put('binary.vcf', Buffer.from(Array.from({ length: 512 }, (_, index) => index % 256)))
    await put('huge.vcf', '')
    await truncate(join(folder, 'huge.vcf'), 11 * 1024 * 1024)
    await symlink(join(base, 'nowhere'), join(folder, 'dangling.vcf'))
    execFileSync('mkfifo', [join(folder, 'pipe.vcf')])
    const connector = connect()
    const sightings = sightingsOf(await pull(connector))
    expect(sightings).toHaveLength(8)
    const broken = (one: { kind: string; id?: string }): string[] => (one.kind === 'broken' ? [one.id ?? ''] : [])
    expect(sightings.flatMap(broken)).toEqual(['dangling.vcf', 'huge.vcf', 'pipe.vcf'])
    const answers = await connector.read(sightings.map((sighting) => ('id' in sighting ? sighting.id : '')))
    const said = Object.fromEntries(
      answers.map((one) => ['id' in one ? one.id : 'good.vcf', 'failure' in one ? one.failure.message : one.kind]),
    )
    expect(said).toEqual({
      'good.vcf': 'record',
      'empty.vcf': 'not a vCard: line 1: BEGIN:VCARD is missing',
      'cut.vcf': 'not a vCard: line 5: the text ends before END:VCARD (cut short, or still being written)',
      'two.vcf': 'not a vCard: line 6: a second card begins; one contact per file',
      'binary.vcf': expect.stringMatching(/^not a vCard: line \d/),
      'huge.vcf': 'larger than 10 MB',
      'dangling.vcf': 'the name leads to no file: a broken link, or a name that is not UTF-8',
      'pipe.vcf': 'not an ordinary file',
    })
    expect((await connector.check()).warnings).toHaveLength(7)
  })

  test('a file still being written is heard again when it is whole', async () => {
    await put('a.vcf', card('a').slice(0, 30))
    const connector = connect()
    const first = await pull(connector)
    expect((await readOne(connector, 'a.vcf')).kind).toBe('broken')
    await put('a.vcf', card('a'))
    expect(sightingsOf(await pull(connector, first.cursor))).toHaveLength(1)
    expect((await record(connector, 'a.vcf')).fields['FN']).toBe('a')
  })

  test.each(['../escape.vcf', 'sub/a.vcf', '.hidden.vcf', 'a.txt'])('no id leads out of the folder: %s', async (id) => {
    await put('keep.vcf', card('k'))
    await writeFile(join(base, 'escape.vcf'), card('e'))
    const connector = connect()
    expect(await readOne(connector, id)).toEqual({ kind: 'gone', id })
    const outcome = await write(connector, { op: 'delete', ref: 'r', id, rev: null, archive: false })
    expect(outcome).toMatchObject({ kind: 'failed', failure: { kind: 'gone' } })
    expect(await readFile(join(base, 'escape.vcf'), 'utf8')).toBe(card('e'))
  })
})

describe('writing', () => {
  test('a create makes a whole file under its key, and a second one answers with the first (I4)', async () => {
    const connector = connect()
    const first = await write(
      connector,
      create('key-1', { FN: 'Ada', TEL: [{ value: '1', label: 'work', pref: false }] }),
    )
    expect(first).toMatchObject({ kind: 'written', record: { id: 'key-1.vcf', fields: { UID: 'key-1', FN: 'Ada' } } })
    expect(await write(connect(), create('key-1', { FN: 'Other' }))).toEqual(first)
    expect(await readdir(folder)).toEqual(['key-1.vcf'])
  })

  test('many creates of one key at once make one file and agree', async () => {
    const connectors = Array.from({ length: 8 }, connect)
    const outcomes = await Promise.all(connectors.map((connector) => connector.write([create('k'), create('k')])))
    expect(outcomes.flat()).toHaveLength(16)
    for (const outcome of outcomes.flat())
      expect(outcome).toMatchObject({ kind: 'written', record: { fields: { UID: 'k' } } })
    expect(await readdir(folder)).toEqual(['k.vcf'])
  })

  test('a create never takes the place of another contact’s file', async () => {
    await put('k.vcf', card('somebody else'))
    expect(await write(connect(), create('k'))).toMatchObject({
      kind: 'failed',
      failure: { kind: 'permanent', code: 'EEXIST' },
    })
    expect(await get('k.vcf')).toBe(card('somebody else'))
  })

  test('an empty file under the key is what a crash left where there are no hard links: it is filled', async () => {
    await put('k.vcf', '')
    expect(await write(connect(), create('k'))).toMatchObject({ kind: 'written', record: { fields: { UID: 'k' } } })
  })

  test('a key that is no file name is refused', async () => {
    expect(await write(connect(), create('../k'))).toMatchObject({ kind: 'failed', failure: { kind: 'bug' } })
    expect(await readdir(base)).toEqual(['cards'])
  })

  test('an update changes its fields, keeps every other byte and the file’s mode, and gives the new revision', async () => {
    await put('a.vcf', card('a', 'X-odd:1', 'PHOTO;ENCODING=b:AA', ' BB'))
    await chmod(join(folder, 'a.vcf'), 0o640)
    const connector = connect()
    const before = await record(connector, 'a.vcf')
    const outcome = await write(connector, {
      op: 'update',
      ref: 'r',
      id: 'a.vcf',
      rev: before.rev,
      fields: { FN: 'Ada' },
    })
    expect(outcome).toEqual({ ref: 'r', kind: 'written', record: await record(connector, 'a.vcf') })
    expect(await get('a.vcf')).toBe(card('a', 'X-odd:1', 'PHOTO;ENCODING=b:AA', ' BB').replace('FN:a', 'FN:Ada'))
    expect((await stat(join(folder, 'a.vcf'))).mode & 0o777).toBe(0o640)
    expect(await readdir(folder)).toEqual(['a.vcf'])
  })

  test('an update that changes nothing leaves the file as it is', async () => {
    await put('a.vcf', card('a'))
    const before = await stat(join(folder, 'a.vcf'), { bigint: true })
    const outcome = await write(connect(), { op: 'update', ref: 'r', id: 'a.vcf', rev: null, fields: { FN: 'a' } })
    expect(outcome).toMatchObject({ kind: 'written', record: { fields: { FN: 'a' } } })
    expect(await stat(join(folder, 'a.vcf'), { bigint: true })).toMatchObject({
      ino: before.ino,
      mtimeNs: before.mtimeNs,
    })
  })

  test('a file that changed since it was read is a conflict, for update and delete, however young it is', async () => {
    for (const age of [0, 60_000]) {
      ahead_ms = age
      await put('a.vcf', card('a'))
      const connector = connect()
      const { rev } = await record(connector, 'a.vcf')
      await put('a.vcf', card('human'))
      const update = await write(connector, { op: 'update', ref: 'r', id: 'a.vcf', rev, fields: { TITLE: 'x' } })
      const remove = await write(connector, { op: 'delete', ref: 'r', id: 'a.vcf', rev, archive: false })
      expect([update, remove]).toMatchObject([{ failure: { kind: 'conflict' } }, { failure: { kind: 'conflict' } }])
      expect(await get('a.vcf')).toBe(card('human'))
    }
  })

  test('a file that changes between being read and being replaced is not replaced', async () => {
    await put('a.vcf', card('a'))
    const files = new Folder(folder, () => Date.now() + ahead_ms)
    const snapshot = await files.read('a.vcf')
    await put('a.vcf', card('human edit'))
    expect(await files.replace('a.vcf', snapshot, Buffer.from(card('kith')))).toBe(false)
    expect(await get('a.vcf')).toBe(card('human edit'))
    expect(await readdir(folder)).toEqual(['a.vcf'])
  })

  test('a revision taken while the file was young still holds when it is old', async () => {
    ahead_ms = 0
    const outcome = await write(connect(), create('k'))
    const rev = outcome.kind === 'written' ? outcome.record.rev : null
    expect(rev).toContain('+')
    ahead_ms = 60_000
    const later = await write(connect(), { op: 'update', ref: 'r', id: 'k.vcf', rev, fields: { TITLE: 'x' } })
    expect(later).toMatchObject({
      kind: 'written',
      record: { rev: expect.not.stringContaining('+'), fields: { TITLE: 'x' } },
    })
  })

  test('update of a missing file is gone; delete of one is done', async () => {
    await put('b.vcf', card('b'))
    await put('a.vcf', card('a'))
    const connector = connect()
    const { rev } = await record(connector, 'a.vcf')
    const remove = { op: 'delete', ref: 'r', id: 'a.vcf', rev, archive: false } as const
    expect(await write(connector, remove)).toEqual({ ref: 'r', kind: 'deleted', id: 'a.vcf' })
    expect(await write(connector, remove)).toEqual({ ref: 'r', kind: 'deleted', id: 'a.vcf' })
    const update = await write(connector, { op: 'update', ref: 'r', id: 'a.vcf', rev, fields: { FN: 'x' } })
    expect(update).toMatchObject({ kind: 'failed', failure: { kind: 'gone' } })
    expect(await readdir(folder)).toEqual(['b.vcf'])
  })

  test('one bad request fails alone', async () => {
    await put('bad.vcf', 'not a card')
    await put('good.vcf', card('g'))
    const outcomes = await connect().write([
      { op: 'update', ref: '1', id: 'bad.vcf', rev: null, fields: { FN: 'x' } },
      { op: 'update', ref: '2', id: 'good.vcf', rev: null, fields: { EMAIL: 'no list' } },
      { op: 'update', ref: '3', id: 'good.vcf', rev: null, fields: { FN: 'x' } },
    ])
    expect(outcomes).toMatchObject([
      { ref: '1', failure: { kind: 'permanent' } },
      { ref: '2', failure: { kind: 'permanent' } },
      { ref: '3', kind: 'written' },
    ])
    expect(await get('bad.vcf')).toBe('not a card')
  })

  test('two updates of one file in one batch both hold', async () => {
    await put('a.vcf', card('a'))
    await connect().write([
      { op: 'update', ref: '1', id: 'a.vcf', rev: null, fields: { TITLE: 'x' } },
      { op: 'update', ref: '2', id: 'a.vcf', rev: null, fields: { NOTE: 'y' } },
    ])
    expect((await record(connect(), 'a.vcf')).fields).toMatchObject({ TITLE: 'x', NOTE: 'y' })
  })

  test('what was not begun when Kith stops is to be tried again, and not written', async () => {
    const outcomes = await connect().write([create('k')], AbortSignal.abort())
    expect(outcomes).toMatchObject([{ ref: 'k', kind: 'failed', failure: { kind: 'transient' } }])
    expect(await readdir(folder)).toEqual([])
  })

  test('a symbolic link stays one, and a Latin-1 card keeps its bytes', async () => {
    const latin = Buffer.from(card('x', 'NOTE:Gr\u00FC\u00DFe'), 'latin1')
    await writeFile(join(base, 'real.vcf'), latin)
    await symlink(join(base, 'real.vcf'), join(folder, 'a.vcf'))
    const outcome = await write(connect(), { op: 'update', ref: 'r', id: 'a.vcf', rev: null, fields: { FN: 'y' } })
    expect(outcome).toMatchObject({ kind: 'written', record: { fields: { FN: 'y', NOTE: 'Grüße' } } })
    expect(await readFile(join(base, 'real.vcf'), 'latin1')).toBe(latin.toString('latin1').replace('FN:x', 'FN:y'))
  })

  test('a crash between writing and renaming leaves no contact, and the next run takes the rest away (I9)', async () => {
    await put('a.vcf', card('a'))
    await put('.kith-old.tmp', card('half').slice(0, 20))
    await put('.kith-young.tmp', card('half'))
    await put('.other.tmp', 'x')
    await utimes(join(folder, '.kith-old.tmp'), new Date(0), new Date(0))
    await utimes(join(folder, '.other.tmp'), new Date(0), new Date(0))
    const connector = connect()
    expect(sightingsOf(await pull(connector))).toHaveLength(1)
    expect(await readdir(folder)).toHaveLength(4)
    await connector.write([create('k')])
    expect(new Set(await readdir(folder))).toEqual(new Set(['.kith-young.tmp', '.other.tmp', 'a.vcf', 'k.vcf']))
  })

  test('a crash right after linking leaves the whole contact, and the create replays (I4, I9)', async () => {
    const done = await write(connect(), create('k'))
    await link(join(folder, 'k.vcf'), join(folder, '.kith-left.tmp'))
    const again = await write(connect(), create('k'))
    expect(again).toMatchObject({
      kind: 'written',
      record: { id: 'k.vcf', fields: done.kind === 'written' ? done.record.fields : {} },
    })
  })

  test('a thousand files are written, listed and read quickly', async () => {
    const connector = connect()
    const keys = Array.from({ length: 1000 }, (_, index) => `k${index}`)
    const started = performance.now()
    for (let from = 0; from < keys.length; from += 100) {
      const outcomes = await connector.write(keys.slice(from, from + 100).map((key) => create(key)))
      expect(outcomes.every(({ kind }) => kind === 'written')).toBe(true)
    }
    const heard = await pull(connector)
    const ids = keys.map((key) => `${key}.vcf`)
    for (let from = 0; from < ids.length; from += 200) await connector.read(ids.slice(from, from + 200))
    expect(sightingsOf(heard)).toHaveLength(1000)
    expect((await pull(connector, heard.cursor)).pages).toHaveLength(1)
    // Some hundred times what it takes on a laptop: this catches work that grows with the square, not a slow disk.
    expect(performance.now() - started).toBeLessThan(20_000)
  })
})

describe('checking', () => {
  test('says what is there, and changes nothing', async () => {
    await put('a.vcf', card('a'))
    expect(await connect().check()).toMatchObject({ summary: `folder ${folder}, 1 card`, warnings: [] })
    expect(await readdir(folder)).toEqual(['a.vcf'])
  })

  test('a folder or file that Kith may not write or read has the right word', async () => {
    await put('a.vcf', card('a'))
    await put('b.vcf', card('b'))
    await chmod(join(folder, 'b.vcf'), 0)
    await chmod(folder, 0o555)
    await chmod(base, 0o755)
    // Root may do everything: the test steps down for as long as it asks.
    const root = process.getuid?.() === 0
    if (root) process.seteuid?.(65_534)
    try {
      const connector = connect()
      expect(await write(connector, create('k'))).toMatchObject({ kind: 'failed', failure: { kind: 'auth' } })
      expect(await connector.read(['b.vcf'])).toMatchObject([
        { kind: 'broken', failure: { kind: 'permanent', code: 'EACCES' } },
      ])
      expect(await connector.read(['a.vcf'])).toMatchObject([{ kind: 'record' }])
    } finally {
      if (root) process.seteuid?.(0)
      await chmod(folder, 0o755)
    }
  })

  test.each([
    ['ENOSPC', 'transient'],
    ['EDQUOT', 'transient'],
    ['EIO', 'transient'],
    ['EROFS', 'auth'],
    ['ENAMETOOLONG', 'permanent'],
  ])('%s is %s', (code, kind) => {
    expect(failureOf(Object.assign(new Error('x'), { code }), 'cannot write the file')).toMatchObject({ kind, code })
    expect(brokenFrom(Object.assign(new Error('x'), { code })).kind).not.toBe('auth')
  })

  test('the options are strict, and the account is the folder', () => {
    expect(vdir.options.safeParse({ path: 'x', extra: 1 }).success).toBe(false)
    expect(vdir.options.safeParse({}).success).toBe(false)
    expect(vdir.account({ path: './cards/' }, { baseDir: base })).toBe(folder)
  })
})

describe('watching', () => {
  test('a saved card is hinted at once, a temporary file is not, and stopping ends it', async () => {
    const connector = connect()
    let hints = 0
    let heard = (): void => {}
    const next = (): Promise<void> => new Promise((resolve) => (heard = resolve))
    const stop = await connector.watch?.(() => {
      hints += 1
      heard()
    })
    const first = next()
    await put('.kith-x.tmp', 'x')
    await put('a.vcf', card('a'))
    await first
    expect(hints).toBe(1)
    await stop?.()
    await put('b.vcf', card('b'))
    const other = connect()
    const told = new Promise<void>((resolve) => void other.watch?.(resolve))
    await put('c.vcf', card('c'))
    await told
    expect(hints).toBe(1)
  })

  test('a folder that is not there is watched for, not an error', async () => {
    await rm(folder, { recursive: true })
    const stop = await connect().watch?.(() => {})
    expect(stop).toBeInstanceOf(Function)
    await stop?.()
  })
})
