import { afterEach, describe, expect, test } from '@jest/globals'
import {
  connectCardDav,
  carddav,
  type CardDav,
  type CardDavOptions,
  type CardDavTuning,
} from '../../connectors/carddav/index.ts'
import {
  startCardDavSimulator,
  type CardDavSimulator,
  type SimulatorOptions,
} from '../../connectors/carddav/simulator.ts'
import { FailureError, type Failure } from '../../engine/core/failure.ts'
import type { Json } from '../../engine/core/json.ts'
import type { FeedPage, WriteOutcome } from '../../engine/core/ports/connector.ts'

const USER = { username: 'ada', password: 'correct horse' }
const open: { close(): Promise<void> }[] = []

afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

function card(uid: string, name = `Person ${uid}`, more = ''): string {
  return `BEGIN:VCARD\r\nVERSION:3.0\r\nUID:${uid}\r\nFN:${name}\r\nN:${name};;;;\r\n${more}END:VCARD\r\n`
}

function cards(...uids: string[]): { [name: string]: string } {
  return Object.fromEntries(uids.map((uid) => [`${uid}.vcf`, card(uid)]))
}

async function server(options: Partial<SimulatorOptions> = {}): Promise<CardDavSimulator> {
  const simulator = await startCardDavSimulator({
    ...USER,
    books: [{ name: 'Contacts', cards: cards('a', 'b', 'c') }],
    ...options,
  })
  open.push(simulator)
  return simulator
}

function connect(url: string, options: Partial<CardDavOptions> = {}, tuning: CardDavTuning = {}): CardDav {
  const context = { connection: 'office', baseDir: '/', now: () => Date.now() }
  const patience = { retries_max: 1, retryPause_ms: 1, retryAfter_max_ms: 0, silence_max_ms: 5000, ...tuning }
  const connector = connectCardDav({ url, ...USER, vcard: '3.0', ...options }, context, patience)
  open.push(connector)
  return connector
}

interface Heard {
  readonly pages: readonly FeedPage[]
  readonly present: { [id: string]: string | null }
  readonly gone: string[]
  readonly cursor: Json | null
  readonly complete: boolean
}

async function hear(connector: CardDav, cursor: Json | null = null): Promise<Heard> {
  const pages: FeedPage[] = []
  for await (const page of connector.pull(cursor)) pages.push(page)
  const present: { [id: string]: string | null } = {}
  const gone: string[] = []
  for (const sighting of pages.flatMap((page) => page.sightings)) {
    if (sighting.kind === 'hint') present[sighting.id] = sighting.rev
    if (sighting.kind === 'gone') gone.push(sighting.id)
  }
  const complete = pages.at(-1)?.inventory?.complete ?? false
  return { pages, present, gone, cursor: pages.at(-1)?.cursor ?? null, complete }
}

async function failureOf(work: Promise<unknown>): Promise<Failure> {
  const error: unknown = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(FailureError)
  return (error as FailureError).failure
}

function written(outcome: WriteOutcome | undefined): {
  id: string
  rev: string | null
  fields: { [name: string]: Json }
} {
  expect(outcome).toMatchObject({ kind: 'written' })
  if (outcome?.kind !== 'written') throw new Error('not written')
  return outcome.record
}

function failed(outcome: WriteOutcome | undefined): Failure {
  expect(outcome).toMatchObject({ kind: 'failed' })
  if (outcome?.kind !== 'failed') throw new Error('not failed')
  return outcome.failure
}

describe('finding the address book', () => {
  test.each([
    ['the book itself', '/books/ada/Contacts/'],
    ['the book without its slash', '/books/ada/Contacts'],
    ['the principal, which is also the home set', '/books/ada/'],
    ['the root of the server', '/'],
    ['a page that is not there', '/some/page'],
  ])('works from %s', async (_what, path) => {
    const simulator = await server()
    const connector = connect(new URL(path, simulator.url).href)
    const report = await connector.check()
    expect(report.summary).toBe("address book 'Contacts', changes by sync-collection")
    expect(report.warnings).toEqual([])
    expect(Object.keys((await hear(connector)).present)).toEqual(['a.vcf', 'b.vcf', 'c.vcf'])
  })

  test('several books without book: fail with a list of them, and with book: the right one is read', async () => {
    const books = [
      { name: 'Family', cards: cards('f') },
      { name: 'Work & Co', path: 'work', cards: cards('w') },
    ]
    const simulator = await server({ books })
    const failure = await failureOf(connect(simulator.url).check())
    expect(failure).toMatchObject({ kind: 'permanent', code: 'WHICH-BOOK' })
    expect(failure.message).toContain("'Family' (/books/ada/Family/), 'Work & Co' (/books/ada/work/)")
    for (const book of ['Work & Co', 'work', '/books/ada/work/', '/books/ada/work']) {
      expect(Object.keys((await hear(connect(simulator.url, { book }))).present)).toEqual(['w.vcf'])
    }
    const wrong = await failureOf(connect(simulator.url, { book: 'Friends' }).check())
    expect(wrong.message).toContain("There are: 'Family'")
  })

  test('a wrong password is an auth failure with advice, is asked once, and is named nowhere (I15)', async () => {
    const simulator = await server()
    const connector = connect(simulator.bookUrl, { password: 'hunter2-secret' })
    const failure = await failureOf(connector.check())
    expect(failure).toMatchObject({ kind: 'auth', code: '401' })
    expect(failure.advice).toContain('kith check')
    expect(JSON.stringify(failure)).not.toMatch(/hunter2|ada/)
    expect(simulator.requests).toHaveLength(1)
  })

  test('a server that is no CardDAV server is said to be none', async () => {
    const simulator = await server()
    simulator.faults.fail = { status: 200, times: 99, body: '<!DOCTYPE html><html></html>' }
    expect(await failureOf(connect(simulator.url).check())).toMatchObject({ kind: 'permanent', code: '200' })
  })

  test('a home set on another host is refused by name: the password is not sent there', async () => {
    const simulator = await server()
    simulator.faults.hrefs = 'foreign'
    const failure = await failureOf(connect(simulator.url).check())
    expect(failure).toMatchObject({ kind: 'permanent', code: 'STRAY-HREF' })
    expect(failure.advice).toContain('elsewhere.example')
  })

  test('a book that may only be read gets a warning', async () => {
    const simulator = await server()
    simulator.faults.readOnly = true
    expect((await connect(simulator.url).check()).warnings).toEqual([expect.stringContaining('direction: in')])
  })

  test('options refuse a password in the url, another scheme and unknown names', () => {
    const good = { url: 'https://dav.example.org/', ...USER }
    expect(carddav.options.safeParse(good).success).toBe(true)
    for (const bad of [
      { url: 'https://ada:x@dav.example.org/' },
      { url: 'ftp://x/' },
      { pasword: 'x' },
      { vcard: '2.1' },
    ]) {
      expect(carddav.options.safeParse({ ...good, ...bad }).success).toBe(false)
    }
    expect(carddav.account(carddav.options.parse(good), { baseDir: '/' })).not.toContain(USER.password)
  })
})

describe('hearing changes', () => {
  test('the first pull is a complete inventory; the next one hears edits and deletions only', async () => {
    const simulator = await server()
    const connector = connect(simulator.url)
    const first = await hear(connector)
    expect(first).toMatchObject({ complete: true, gone: [] })
    const etag = simulator.put('b.vcf', card('b', 'Bea'))
    simulator.put('d.vcf', card('d'))
    simulator.remove('a.vcf')
    const second = await hear(connector, first.cursor)
    expect(second.present).toEqual({ 'b.vcf': etag, 'd.vcf': expect.any(String) })
    expect(second.gone).toEqual(['a.vcf'])
    expect(second.pages.every((page) => page.inventory === undefined)).toBe(true)
  })

  test('a pass without changes is one small request, also in a new process (I2)', async () => {
    const simulator = await server()
    const { cursor } = await hear(connect(simulator.url))
    const before = simulator.requests.length
    const connector = connect(simulator.url)
    const again = await hear(connector, cursor)
    expect(again).toMatchObject({ present: {}, gone: [], cursor })
    expect(simulator.requests.slice(before)).toEqual([
      expect.objectContaining({ report: 'sync-collection', status: 207 }),
    ])
    expect(connector.stats()).toMatchObject({ requests: 1, retries: 0 })
    expect(connector.stats().bytesReceived).toBeLessThan(400)
  })

  test('an expired token falls back to a complete inventory', async () => {
    const simulator = await server()
    const connector = connect(simulator.url)
    const { cursor } = await hear(connector)
    simulator.expireTokens()
    simulator.remove('a.vcf')
    const again = await hear(connector, cursor)
    expect(Object.keys(again.present)).toEqual(['b.vcf', 'c.vcf'])
    expect(again).toMatchObject({ complete: true, gone: [] })
    expect((await hear(connector, again.cursor)).present).toEqual({})
  })

  test('a cursor of other options, or one that makes no sense, is read as none', async () => {
    const simulator = await server({
      books: [
        { name: 'One', cards: cards('a') },
        { name: 'Two', cards: cards('b') },
      ],
    })
    const one = await hear(connect(simulator.url, { book: 'One' }))
    const two = await hear(connect(simulator.url, { book: 'Two' }), one.cursor)
    expect(two).toMatchObject({ complete: true, present: { 'b.vcf': expect.any(String) } })
    expect(await hear(connect(simulator.url, { book: 'Two' }), 'nonsense')).toMatchObject({ complete: true })
  })

  test('answers cut short by the server (507) are read on with the token returned', async () => {
    const simulator = await server({ books: [{ name: 'Contacts', cards: cards('a', 'b', 'c', 'd', 'e') }] })
    simulator.faults.sync_max = 2
    const connector = connect(simulator.url)
    const first = await hear(connector)
    expect(Object.keys(first.present)).toEqual(['a.vcf', 'b.vcf', 'c.vcf', 'd.vcf', 'e.vcf'])
    expect(first.pages.map((page) => [page.inventory?.complete, page.cursor !== undefined])).toEqual([
      [false, false],
      [false, false],
      [true, true],
    ])
    for (const name of ['a', 'b', 'c']) simulator.put(`${name}.vcf`, card(name, 'New'))
    const second = await hear(connector, first.cursor)
    expect(second.pages).toHaveLength(2)
    // The first of the two pages is a place to go on from.
    expect(Object.keys((await hear(connector, second.pages[0]?.cursor ?? null)).present)).toEqual(['c.vcf'])
  })

  test('10,000 cards come in pages of at most 500, complete on the last only', async () => {
    const many = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`${i}.vcf`, 'x']))
    const simulator = await server({ books: [{ name: 'Contacts', cards: many }] })
    const { pages, present } = await hear(connect(simulator.url))
    expect(Object.keys(present)).toHaveLength(10_000)
    expect(pages).toHaveLength(20)
    expect(Math.max(...pages.map((page) => page.sightings.length))).toBe(500)
    expect(pages.map((page) => page.inventory?.complete)).toEqual([...Array.from({ length: 19 }, () => false), true])
    expect(pages.filter((page) => page.cursor !== undefined)).toHaveLength(1)
  })

  test('without sync-collection the ctag says that nothing changed, else all is listed', async () => {
    const simulator = await server()
    simulator.faults.syncCollection = false
    const connector = connect(simulator.url)
    expect((await connector.check()).summary).toContain('changes by listing')
    const first = await hear(connector)
    expect(first).toMatchObject({ complete: true, present: { 'a.vcf': expect.any(String) } })
    const before = simulator.requests.length
    expect((await hear(connect(simulator.url), first.cursor)).pages).toEqual([{ sightings: [], cursor: first.cursor }])
    expect(simulator.requests.length - before).toBe(1)
    simulator.remove('a.vcf')
    const second = await hear(connector, first.cursor)
    expect(second).toMatchObject({ complete: true, gone: [] })
    expect(Object.keys(second.present)).toEqual(['b.vcf', 'c.vcf'])
  })

  test('without sync-collection and without ctag every pass lists all', async () => {
    const simulator = await server()
    simulator.faults.syncCollection = false
    simulator.faults.ctag = false
    const connector = connect(simulator.url)
    const { cursor } = await hear(connector)
    expect(await hear(connector, cursor)).toMatchObject({ complete: true, present: { 'c.vcf': expect.any(String) } })
  })

  test.each([
    ['sync-collection', true, true],
    ['sync-collection', true, false],
    ['a listing', false, true],
    ['a listing', false, false],
  ])('%s that is cut off is a failure and never a short inventory (I5)', async (_what, syncCollection, clean) => {
    const simulator = await server()
    simulator.faults.syncCollection = syncCollection
    const connector = connect(simulator.url)
    await connector.check()
    for (const at of [0, 0.3, 0.6, 0.99]) {
      simulator.faults.cut = { at, clean }
      expect(await failureOf(hear(connector))).toMatchObject({ kind: 'transient' })
    }
  })

  test('an answer without sync token, or of another kind of XML, is a failure', async () => {
    const simulator = await server()
    const connector = connect(simulator.bookUrl)
    await connector.check()
    for (const body of ['<d:multistatus xmlns:d="DAV:"></d:multistatus>', '<html></html>', '', 'ok']) {
      simulator.faults.fail = { status: 207, times: 1, body }
      expect(await failureOf(hear(connector))).toMatchObject({ kind: 'transient' })
    }
  })

  test('a server answering 500 half-way fails the pass; pages handed out before stay valid', async () => {
    const simulator = await server({ books: [{ name: 'Contacts', cards: cards('a', 'b', 'c', 'd') }] })
    simulator.faults.sync_max = 2
    const connector = connect(simulator.bookUrl)
    await connector.check()
    simulator.faults.failAfter = 1
    simulator.faults.fail = { status: 500, times: 99 }
    const pages: FeedPage[] = []
    const pass = async (): Promise<void> => {
      for await (const page of connector.pull(null)) pages.push(page)
    }
    expect(await failureOf(pass())).toMatchObject({ kind: 'transient', code: '500' })
    expect(pages).toHaveLength(1)
    expect(pages[0]?.inventory).toEqual({ complete: false })
  })

  test('a book that is gone is a failure, and none of its cards is called gone (I5)', async () => {
    const simulator = await server()
    const connector = connect(simulator.bookUrl)
    const { cursor } = await hear(connector)
    simulator.faults.fail = { status: 404, times: 99 }
    expect(await failureOf(hear(connector, cursor))).toMatchObject({ kind: 'permanent', code: 'NO-BOOK' })
    expect(await failureOf(connector.read(['a.vcf']))).toMatchObject({ kind: 'permanent', code: 'NO-BOOK' })
    expect(await failureOf(connector.read(['a.vcf', 'b.vcf']))).toMatchObject({ kind: 'permanent', code: 'NO-BOOK' })
  })

  test('429 with Retry-After is ratelimited with that wait', async () => {
    const simulator = await server()
    const connector = connect(simulator.bookUrl)
    simulator.faults.fail = { status: 429, times: 1, retryAfter: '30' }
    expect(await failureOf(hear(connector))).toMatchObject({ kind: 'ratelimited', retryAfter_ms: 30_000 })
  })

  test('members that are no cards are left out', async () => {
    const simulator = await server()
    simulator.put('readme.txt', 'hello')
    expect(Object.keys((await hear(connect(simulator.url))).present)).toEqual(['a.vcf', 'b.vcf', 'c.vcf'])
  })

  test.each(['foreign', 'outside'] as const)(
    'hrefs that are %s to the book are refused, all of the answer',
    async (hrefs) => {
      const simulator = await server()
      const connector = connect(simulator.bookUrl)
      await connector.check()
      simulator.faults.hrefs = hrefs
      expect(await failureOf(hear(connector))).toMatchObject({ kind: 'permanent', code: 'STRAY-HREF' })
    },
  )

  test('absolute hrefs, spaces, slashes, percent signs and umlauts make one id each, and are read and written by it', async () => {
    const names = [
      'Jürgen Müller.vcf',
      'a b.vcf',
      'a/b.vcf',
      '100%.vcf',
      'q?x#y.vcf',
      "o'neil+co@x.vcf",
      '名前.vcf',
      '&<>".vcf',
    ]
    const simulator = await server({
      books: [{ name: 'Büro & Co', cards: Object.fromEntries(names.map((name, i) => [name, card(`u${i}`)])) }],
    })
    const byPath = await hear(connect(simulator.url))
    simulator.faults.hrefs = 'absolute'
    const connector = connect(simulator.url)
    const { present } = await hear(connector)
    expect(present).toEqual(byPath.present)
    expect(Object.keys(present)).toEqual(names.map((name) => encodeURIComponent(name)))
    const answers = await connector.read(Object.keys(present))
    expect(answers.map(({ kind }) => kind)).toEqual(names.map(() => 'record'))
    const updates = Object.entries(present).map(([id, rev]) => ({
      op: 'update' as const,
      ref: id,
      id,
      rev,
      fields: { TITLE: 'Chef' },
    }))
    for (const outcome of await connector.write(updates)) written(outcome)
    for (const name of names) expect(simulator.cards.get(name)?.text).toContain('TITLE:Chef')
  })
})

describe('reading cards', () => {
  test('comes in one request, with etag, time and fields; a missing card is gone', async () => {
    const simulator = await server({ now: () => Date.UTC(2024, 4, 6, 7, 8, 9) })
    const connector = connect(simulator.bookUrl)
    await connector.check()
    const before = simulator.requests.length
    const answers = await connector.read(['a.vcf', 'b.vcf', 'nobody.vcf'])
    expect(simulator.requests.slice(before)).toEqual([expect.objectContaining({ report: 'addressbook-multiget' })])
    expect(answers).toContainEqual({ kind: 'gone', id: 'nobody.vcf' })
    const a = answers.find((answer) => answer.kind === 'record' && answer.record.id === 'a.vcf')
    expect(a).toMatchObject({
      record: {
        rev: simulator.cards.get('a.vcf')?.etag,
        modified_ms: Date.UTC(2024, 4, 6, 7, 8, 9),
        fields: { FN: 'Person a' },
      },
    })
  })

  test('a server that tells no times in reports is asked card by card while it is few, else REV is taken', async () => {
    const simulator = await server({ now: () => Date.UTC(2024, 0, 1) })
    simulator.faults.times = false
    for (let i = 0; i < 12; i++) simulator.put(`r${i}.vcf`, card(`r${i}`, 'R', 'REV:20200102T030405Z\r\n'))
    const connector = connect(simulator.bookUrl)
    const few = await connector.read(['a.vcf', 'b.vcf'])
    expect(few).toEqual([
      expect.objectContaining({ record: expect.objectContaining({ modified_ms: Date.UTC(2024, 0, 1) }) }),
      expect.objectContaining({ record: expect.objectContaining({ modified_ms: Date.UTC(2024, 0, 1) }) }),
    ])
    const many = await connector.read(Array.from({ length: 12 }, (_, i) => `r${i}.vcf`))
    expect(many[0]).toMatchObject({ record: { modified_ms: Date.UTC(2020, 0, 2, 3, 4, 5) } })
  })

  test('a server without multiget is asked card by card', async () => {
    const simulator = await server()
    simulator.faults.multiget = false
    const connector = connect(simulator.bookUrl)
    const answers = await connector.read(['a.vcf', 'b.vcf', 'nobody.vcf'])
    expect(answers.map(({ kind }) => kind).sort()).toEqual(['gone', 'record', 'record'])
  })

  test('one broken card is named and the others are read', async () => {
    const simulator = await server()
    simulator.put('broken.vcf', 'BEGIN:VCARD\r\nVERSION:3.0\r\nFN:half')
    const answers = await connect(simulator.bookUrl).read(['a.vcf', 'broken.vcf', 'b.vcf'])
    expect(answers.filter(({ kind }) => kind === 'record')).toHaveLength(2)
    expect(answers).toContainEqual(expect.objectContaining({ kind: 'broken', id: 'broken.vcf' }))
  })

  test('one card that the server chokes on spoils neither the batch nor itself silently', async () => {
    const simulator = await server()
    const connector = connect(simulator.bookUrl)
    await connector.check()
    simulator.faults.multiget = false
    simulator.faults.fail = { status: 500, times: 2, method: 'GET', path: /b\.vcf$/ }
    const answers = await connector.read(['a.vcf', 'b.vcf', 'c.vcf'])
    expect(answers.filter(({ kind }) => kind === 'record')).toHaveLength(2)
    expect(answers).toContainEqual(expect.objectContaining({ kind: 'broken', id: 'b.vcf' }))
  })
})

describe('writing cards', () => {
  test('create, update and delete; the feed then shows exactly the revisions that the outcomes gave', async () => {
    const simulator = await server()
    const connector = connect(simulator.bookUrl)
    const { cursor } = await hear(connector)
    const rev = (id: string): string => simulator.cards.get(id)?.etag ?? ''
    const gone = rev('b.vcf')
    const outcomes = await connector.write([
      { op: 'create', ref: '1', key: 'new-1', fields: { FN: 'Neu' } },
      { op: 'update', ref: '2', id: 'a.vcf', rev: rev('a.vcf'), fields: { FN: 'Änne' } },
      { op: 'delete', ref: '3', id: 'b.vcf', rev: gone, archive: false },
    ])
    const created = written(outcomes[0])
    const updated = written(outcomes[1])
    expect(created).toMatchObject({ id: 'new-1.vcf', fields: { FN: 'Neu' } })
    expect(outcomes[2]).toEqual({ ref: '3', kind: 'deleted', id: 'b.vcf' })
    expect(simulator.cards.get('new-1.vcf')?.text).toContain('UID:new-1')
    expect(simulator.cards.get('a.vcf')?.text).toContain('FN:Änne')
    const echo = await hear(connector, cursor)
    expect(echo.present).toEqual({ [created.id]: created.rev, [updated.id]: updated.rev })
    expect(echo.gone).toEqual(['b.vcf'])
  })

  test('what Kith does not map survives an update, byte for byte', async () => {
    const simulator = await server()
    const more = 'item1.X-ABLabel:Büro\r\nX-THING;A="b:c":one\\, two\r\nPHOTO;ENCODING=b:AAAA\r\n'
    const etag = simulator.put('a.vcf', card('a', 'A', more))
    const connector = connect(simulator.bookUrl)
    await connector.read(['a.vcf', 'b.vcf'])
    written((await connector.write([{ op: 'update', ref: '1', id: 'a.vcf', rev: etag, fields: { TITLE: 'Dr' } }]))[0])
    expect(simulator.cards.get('a.vcf')?.text).toContain(more)
  })

  test('an update right after a read costs one PUT, and later ones of a batch share one multiget', async () => {
    const simulator = await server()
    const connector = connect(simulator.bookUrl)
    const answers = await connector.read(['a.vcf', 'b.vcf', 'c.vcf'])
    const update = (title: string, revs: ReadonlyMap<string, string | null>) =>
      [...revs].map(([id, rev]) => ({ op: 'update' as const, ref: id, id, rev, fields: { TITLE: title } }))
    const revs = new Map(
      answers.map((answer) => (answer.kind === 'record' ? [answer.record.id, answer.record.rev] : ['', null])),
    )
    let before = simulator.requests.length
    const first = await connector.write(update('One', revs))
    expect(simulator.requests.slice(before).map(({ method }) => method)).toEqual(['PUT', 'PUT', 'PUT'])
    before = simulator.requests.length
    await connector.write(update('Two', new Map(first.map(written).map(({ id, rev }) => [id, rev]))))
    expect(simulator.requests.slice(before).map(({ method }) => method)).toEqual(['REPORT', 'PUT', 'PUT', 'PUT'])
  })

  test('an edit made meanwhile is a conflict, before and behind the PUT, and is not overwritten (I3)', async () => {
    const simulator = await server()
    const connector = connect(simulator.bookUrl)
    const [answer] = await connector.read(['a.vcf'])
    const rev = answer?.kind === 'record' ? answer.record.rev : null
    simulator.put('a.vcf', card('a', 'Human'))
    const update = { op: 'update' as const, ref: '1', id: 'a.vcf', rev, fields: { FN: 'Kith' } }
    // The first try comes from memory and is refused by If-Match; the second, in a new process, sees it beforehand.
    for (const each of [connector, connect(simulator.bookUrl)]) {
      expect(failed((await each.write([update]))[0])).toMatchObject({ kind: 'conflict' })
    }
    const outcome = await connector.write([{ op: 'delete', ref: '2', id: 'a.vcf', rev, archive: false }])
    expect(failed(outcome[0])).toMatchObject({ kind: 'conflict' })
    expect(simulator.cards.get('a.vcf')?.text).toContain('FN:Human')
  })

  test('a card that is gone: an update says gone, a delete is done', async () => {
    const simulator = await server()
    const rev = simulator.cards.get('a.vcf')?.etag ?? null
    simulator.remove('a.vcf')
    const outcomes = await connect(simulator.bookUrl).write([
      { op: 'update', ref: '1', id: 'a.vcf', rev, fields: { FN: 'X' } },
      { op: 'delete', ref: '2', id: 'a.vcf', rev, archive: false },
    ])
    expect(failed(outcomes[0])).toMatchObject({ kind: 'gone' })
    expect(outcomes[1]).toEqual({ ref: '2', kind: 'deleted', id: 'a.vcf' })
  })

  test('a write whose answer is lost is uncertain, and the create replays to the same card (I4)', async () => {
    const simulator = await server()
    const connector = connect(simulator.bookUrl)
    await connector.check()
    const create = { op: 'create' as const, ref: '1', key: 'k-1', fields: { FN: 'Once' } }
    simulator.faults.lostAnswers = 1
    expect(failed((await connector.write([create]))[0])).toMatchObject({ kind: 'uncertain' })
    const again = written((await connector.write([create]))[0])
    expect(again).toMatchObject({ id: 'k-1.vcf', rev: simulator.cards.get('k-1.vcf')?.etag, fields: { FN: 'Once' } })
    expect(simulator.cards.size).toBe(4)
  })

  test('a create that the server moved to another address is found by its UID, and never doubled (I4)', async () => {
    const simulator = await server()
    simulator.put('chosen-by-server.vcf', card('k-1', 'Once'))
    const outcome = await connect(simulator.bookUrl).write([
      { op: 'create', ref: '1', key: 'k-1', fields: { FN: 'Once' } },
    ])
    expect(written(outcome[0])).toMatchObject({ id: 'chosen-by-server.vcf' })
    expect(simulator.cards.size).toBe(4)
  })

  test('another card at the address of a create is not taken for ours', async () => {
    const simulator = await server()
    simulator.put('k-1.vcf', card('someone-else'))
    const outcome = await connect(simulator.bookUrl).write([
      { op: 'create', ref: '1', key: 'k-1', fields: { FN: 'Once' } },
    ])
    expect(failed(outcome[0])).toMatchObject({ kind: 'permanent' })
  })

  test.each(['none', 'weak'] as const)(
    'with %s etag in the answer, all cards of a batch are read back in one request',
    async (putEtag) => {
      const simulator = await server()
      simulator.faults.putEtag = putEtag
      const connector = connect(simulator.bookUrl)
      await connector.check()
      const before = simulator.requests.length
      const creates = ['k1', 'k2'].map((key) => ({ op: 'create' as const, ref: key, key, fields: { FN: key } }))
      const outcomes = await connector.write(creates)
      expect(outcomes.map((outcome) => written(outcome).rev)).toEqual(
        ['k1', 'k2'].map((key) => simulator.cards.get(`${key}.vcf`)?.etag),
      )
      expect(simulator.requests.slice(before).map(({ method }) => method)).toEqual(['PUT', 'PUT', 'REPORT'])
    },
  )

  test('a server that rewrites cards: the outcome is what the server holds', async () => {
    const simulator = await server()
    simulator.faults.rewrite = (text) => text.replace(/FN:.*/, (line) => line.toUpperCase())
    const outcome = await connect(simulator.bookUrl).write([
      { op: 'create', ref: '1', key: 'k', fields: { FN: 'Quiet' } },
    ])
    expect(written(outcome[0]).fields).toMatchObject({ FN: 'QUIET' })
  })

  test('a patch that changes nothing sends nothing', async () => {
    const simulator = await server()
    const connector = connect(simulator.bookUrl)
    await connector.read(['a.vcf'])
    const before = simulator.requests.length
    const rev = simulator.cards.get('a.vcf')?.etag ?? null
    expect(
      written((await connector.write([{ op: 'update', ref: '1', id: 'a.vcf', rev, fields: { FN: 'Person a' } }]))[0])
        .rev,
    ).toBe(rev)
    expect(simulator.requests).toHaveLength(before)
  })

  test('one refused card does not stop its batch', async () => {
    const simulator = await server()
    const connector = connect(simulator.bookUrl)
    await connector.check()
    simulator.faults.fail = {
      status: 403,
      times: 1,
      path: /k1\.vcf$/,
      body: '<C:error xmlns:C="DAV:"><X:max-resource-size xmlns:X="urn:ietf:params:xml:ns:carddav"/></C:error>',
    }
    const creates = ['k0', 'k1', 'k2'].map((key) => ({ op: 'create' as const, ref: key, key, fields: { FN: key } }))
    const outcomes = await connector.write(creates)
    expect(failed(outcomes[1])).toMatchObject({ kind: 'permanent', message: expect.stringContaining('too large') })
    written(outcomes[0])
    written(outcomes[2])
  })

  test.each([
    ['refused rights', { status: 403, times: 99, method: 'PUT' }, 'auth'],
    ['a rate limit', { status: 429, times: 99, method: 'PUT', retryAfter: '7' }, 'ratelimited'],
  ])('%s end the batch: what was not sent yet is not sent', async (_what, fail, kind) => {
    const simulator = await server()
    const connector = connect(simulator.bookUrl)
    await connector.check()
    simulator.faults.fail = fail
    const before = simulator.requests.length
    const creates = Array.from({ length: 50 }, (_, i) => ({
      op: 'create' as const,
      ref: `${i}`,
      key: `k${i}`,
      fields: { FN: 'x' },
    }))
    const outcomes = await connector.write(creates)
    expect(outcomes.map((outcome) => failed(outcome).kind)).toEqual(creates.map(() => kind))
    expect(simulator.requests.length - before).toBeLessThanOrEqual(4)
  })

  test('a server that goes away in the middle: sent ones are uncertain, the rest are not sent', async () => {
    const simulator = await server()
    const connector = connect(simulator.bookUrl)
    await connector.check()
    simulator.faults.droppedRequests = 99
    const creates = Array.from({ length: 50 }, (_, i) => ({
      op: 'create' as const,
      ref: `${i}`,
      key: `k${i}`,
      fields: { FN: 'x' },
    }))
    const kinds = (await connector.write(creates)).map((outcome) => failed(outcome).kind)
    expect(kinds.slice(0, 3)).toEqual(['uncertain', 'uncertain', 'uncertain'])
    expect(kinds.filter((kind) => kind === 'transient').length).toBeGreaterThanOrEqual(44)
  })

  test('a stopped write that was sent is uncertain', async () => {
    const simulator = await server()
    const connector = connect(simulator.bookUrl)
    await connector.check()
    simulator.faults.slow_ms = 60_000
    const stop = new AbortController()
    const writing = connector.write([{ op: 'create', ref: '1', key: 'k', fields: { FN: 'x' } }], stop.signal)
    while (!simulator.requests.some(({ method }) => method === 'PUT')) await new Promise(setImmediate)
    stop.abort()
    expect(failed((await writing)[0])).toMatchObject({ kind: 'uncertain' })
  })
})
