import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { connectCardDav, type CardDav, type CardDavOptions } from '../../connectors/carddav/index.ts'
import { failureFrom } from '../../engine/core/failure.ts'
import type { Json, JsonObject } from '../../engine/core/json.ts'
import type { AppRecord, Sighting, WriteOutcome } from '../../engine/core/ports/connector.ts'
import { hasRadicale, startRadicale, type Radicale } from '../support/radicale.ts'

const suite = hasRadicale ? describe : describe.skip
const note = hasRadicale ? '' : ' (skipped: the program radicale is not installed)'

function card(uid: string, name: string): string {
  return `BEGIN:VCARD\r\nVERSION:3.0\r\nUID:${uid}\r\nFN:${name}\r\nN:${name};;;;\r\nitem1.X-ABLabel:Büro\r\nEND:VCARD\r\n`
}

suite(`a real Radicale${note}`, () => {
  let radicale: Radicale
  const connectors: CardDav[] = []

  beforeAll(async () => {
    radicale = await startRadicale()
  })
  afterEach(async () => {
    for (const connector of connectors.splice(0)) await connector.close()
  })
  afterAll(async () => {
    await radicale.close()
  })

  function connect(options: Partial<CardDavOptions> = {}): CardDav {
    const { url, username, password } = radicale
    const context = { connection: 'office', baseDir: '/', now: () => Date.now() }
    const connector = connectCardDav({ url, username, password, vcard: '3.0', ...options }, context)
    connectors.push(connector)
    return connector
  }

  async function hear(
    connector: CardDav,
    cursor: Json | null,
  ): Promise<{ sightings: Sighting[]; cursor: Json | null; complete: boolean }> {
    const sightings: Sighting[] = []
    let last: { cursor?: Json; inventory?: { complete: boolean } } = {}
    for await (const page of connector.pull(cursor)) {
      sightings.push(...page.sightings)
      last = page
    }
    return { sightings, cursor: last.cursor ?? null, complete: last.inventory?.complete ?? false }
  }

  function recordOf(outcome: WriteOutcome | undefined): AppRecord {
    expect(outcome).toMatchObject({ kind: 'written' })
    return (outcome as WriteOutcome & { kind: 'written' }).record
  }

  test('is found from its root, and says which books it has', async () => {
    radicale.addBook('Family')
    const only = await connect({ book: 'Family' }).check()
    expect(only).toMatchObject({ summary: "address book 'Family', changes by sync-collection", warnings: [] })
    radicale.addBook('Work')
    const failure = failureFrom(
      await connect()
        .check()
        .catch((error: unknown) => error),
    )
    expect(failure.message).toContain("'Family' (/ada/Family/)")
    expect(failure.message).toContain("'Work' (/ada/Work/)")
    expect((await connect({ url: `${radicale.url}ada/Work/` }).check()).summary).toContain("'Work'")
  })

  test('refuses a wrong password: an auth failure', async () => {
    const failure = failureFrom(
      await connect({ password: 'wrong' })
        .check()
        .catch((error: unknown) => error),
    )
    expect(failure).toMatchObject({ kind: 'auth', code: '401' })
  })

  test('full pull, create, echo, edit, delete, and a quiet pass of one request (I2)', async () => {
    const url = radicale.addBook('Round', { 'Jürgen M.vcf': card('j', 'Jürgen'), 'b.vcf': card('b', 'Bea') })
    const connector = connect({ url })
    const first = await hear(connector, null)
    expect(first.complete).toBe(true)
    expect(
      first.sightings.map((sighting) => ('id' in sighting ? sighting.id : '')).sort((a, b) => (a < b ? -1 : 1)),
    ).toEqual(['J%C3%BCrgen%20M.vcf', 'b.vcf'])
    const answers = await connector.read(['J%C3%BCrgen%20M.vcf', 'b.vcf', 'none.vcf'])
    expect(answers).toContainEqual({ kind: 'gone', id: 'none.vcf' })
    const jurgen = answers.find((answer) => answer.kind === 'record' && answer.record.fields['FN'] === 'Jürgen')
    // Radicale tells no times in reports; Last-Modified of a GET is where it comes from.
    expect(jurgen).toMatchObject({ record: { modified_ms: expect.any(Number) } })

    const rev = jurgen?.kind === 'record' ? jurgen.record.rev : null
    const outcomes = await connector.write([
      { op: 'create', ref: '1', key: 'kith-1', fields: { FN: 'Neu; mit, Zeichen', TITLE: 'Dr' } },
      { op: 'update', ref: '2', id: 'J%C3%BCrgen%20M.vcf', rev, fields: { TITLE: 'Chef' } },
    ])
    const created = recordOf(outcomes[0])
    const updated = recordOf(outcomes[1])
    const echo = await hear(connector, first.cursor)
    expect(echo.sightings).toContainEqual({ kind: 'hint', id: created.id, rev: created.rev })
    expect(echo.sightings).toContainEqual({ kind: 'hint', id: updated.id, rev: updated.rev })
    expect(echo.sightings).toHaveLength(2)

    const stale = await connector.write([{ op: 'update', ref: '3', id: updated.id, rev, fields: { TITLE: 'Lost' } }])
    expect(stale[0]).toMatchObject({ kind: 'failed', failure: { kind: 'conflict' } })
    const replayed = await connector.write([
      { op: 'create', ref: '4', key: 'kith-1', fields: { FN: 'Neu; mit, Zeichen' } },
    ])
    expect(recordOf(replayed[0])).toMatchObject({ id: created.id, rev: created.rev })
    const deleted = await connector.write([{ op: 'delete', ref: '5', id: 'b.vcf', rev: null, archive: false }])
    expect(deleted[0]).toMatchObject({ kind: 'deleted' })
    const twice = await connector.write([{ op: 'delete', ref: '6', id: 'b.vcf', rev: '"x"', archive: false }])
    expect(twice[0]).toMatchObject({ kind: 'deleted' })

    const after = await hear(connector, echo.cursor)
    expect(after.sightings).toEqual([{ kind: 'gone', id: 'b.vcf' }])
    const fresh = connect({ url })
    expect((await hear(fresh, after.cursor)).sightings).toEqual([])
    expect(fresh.stats().requests).toBe(1)
  })

  test('a token that it does not know leads to a complete inventory', async () => {
    const url = radicale.addBook('Tokens', { 'a.vcf': card('a', 'A') })
    const connector = connect({ url })
    const { cursor } = await hear(connector, null)
    const bad = { ...(cursor as JsonObject), token: 'http://radicale.org/ns/sync/0123456789abcdef' }
    expect(await hear(connector, bad)).toMatchObject({ complete: true, sightings: [{ id: 'a.vcf' }] })
  })

  test('keeps our UID under another name: the create is found there and not doubled (I4)', async () => {
    const url = radicale.addBook('Moved', { 'elsewhere.vcf': card('kith-9', 'Once') })
    const outcome = await connect({ url }).write([{ op: 'create', ref: '1', key: 'kith-9', fields: { FN: 'Once' } }])
    expect(recordOf(outcome[0])).toMatchObject({ id: 'elsewhere.vcf' })
  })

  test('holds the fields that the outcome says, although it rewrites cards and answers with a strong etag', async () => {
    const url = radicale.addBook('Rewritten')
    const connector = connect({ url })
    const fields = { FN: 'Ada, Countess; of\\Lovelace', N: null, NOTE: 'one\ntwo, three; four', TITLE: 'Größte' }
    const writes = Array.from({ length: 50 }, (_, i) => ({
      op: 'create' as const,
      ref: `${i}`,
      key: `k${i}`,
      fields,
    }))
    const records = (await connector.write(writes)).map(recordOf)
    const held = await connector.read(records.map(({ id }) => id))
    const byId = new Map(
      held.flatMap((answer) => (answer.kind === 'record' ? [[answer.record.id, answer.record] as const] : [])),
    )
    for (const record of records) {
      expect(byId.get(record.id)?.rev).toBe(record.rev)
      expect(byId.get(record.id)?.fields).toEqual(record.fields)
    }
  })
})
