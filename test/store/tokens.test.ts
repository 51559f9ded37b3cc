import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import pg from 'pg'
import { failureFrom } from '../../engine/core/failure.ts'
import { StoreUnavailableError } from '../../engine/core/ports/store.ts'
import type { Tokens, TokenStore } from '../../engine/core/ports/tokens.ts'
import { Seal } from '../../engine/store/seal.ts'
import { openTokenStore } from '../../engine/store/tokens.ts'
import { freshDatabase, type FreshDatabase } from '../support/postgres.ts'

const key = randomBytes(32)
const other = randomBytes(32)

const tokens = (name: string): Tokens => ({
  access: `access-${name}`,
  accessEnds_ms: 1_800_000,
  refresh: `refresh-${name}`,
  issued_ms: 0,
  clientId: 'client',
  scopes: ['read'],
  account: { id: '42' },
})

describe('a seal', () => {
  test('opens what it sealed, whatever it is, and never seals twice alike', () => {
    const seal = new Seal(key)
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string(), (text, name) => {
        const sealed = seal.seal(text, name)
        expect(seal.open(sealed, name)).toBe(text.toWellFormed())
        expect(seal.seal(text, name)).not.toBe(sealed)
      }),
      { numRuns: 50 },
    )
  })

  test('opens nothing that was changed, moved to another name, or sealed with another key', () => {
    const seal = new Seal(key)
    const sealed = seal.seal('secret', 'crm')
    expect(() => seal.open(sealed, 'desk')).toThrow('broken')
    expect(() => new Seal(other).open(sealed, 'crm')).toThrow('other key')
    expect(() => seal.open('nonsense', 'crm')).toThrow('other key')
    const at = sealed.lastIndexOf('.') + 1
    for (let i = at; i < sealed.length - 1; i++) {
      const changed = `${sealed.slice(0, i)}${sealed[i] === 'A' ? 'B' : 'A'}${sealed.slice(i + 1)}`
      expect(() => seal.open(changed, 'crm')).toThrow('broken')
    }
    expect(() => seal.open(sealed.slice(0, at + 8), 'crm')).toThrow('broken')
  })

  test('opens what an old key sealed, and seals with the new one', () => {
    const both = new Seal(other, [key])
    expect(both.open(new Seal(key).seal('secret', 'crm'), 'crm')).toBe('secret')
    expect(new Seal(other).open(both.seal('secret', 'crm'), 'crm')).toBe('secret')
  })
})

describe('the token store', () => {
  let database: FreshDatabase
  const open = (secret = key, old: Uint8Array[] = []): TokenStore =>
    openTokenStore(database.url, () => Promise.resolve(new Seal(secret, old)))
  beforeAll(async () => void (database = await freshDatabase()))
  afterAll(() => database.drop())

  const rows = async (): Promise<{ connection: string; sealed: string }[]> => {
    const client = new pg.Client({ connectionString: database.url })
    await client.connect()
    try {
      return (await client.query<{ connection: string; sealed: string }>('select connection, sealed from kith.token'))
        .rows
    } finally {
      await client.end()
    }
  }

  test('keeps tokens, changes them, and forgets them', async () => {
    const store = open()
    expect(await store.load('a')).toBeNull()
    await store.put('a', tokens('1'))
    expect(await open().load('a')).toEqual(tokens('1'))
    expect(
      await store.change('a', (kept) => Promise.resolve({ ...tokens('2'), scopes: kept?.scopes ?? null })),
    ).toEqual(tokens('2'))
    expect(await store.load('a')).toEqual(tokens('2'))
    await store.put('a', null)
    expect(await store.load('a')).toBeNull()
  })

  test('holds no token in clear (I15)', async () => {
    await open().put('clear', tokens('very-secret'))
    const stored = JSON.stringify(await rows())
    expect(stored).toContain('clear')
    expect(stored).not.toContain('very-secret')
    expect(stored).not.toContain('42')
  })

  test('lets one at a time change them, over several processes: each is given what the one before made', async () => {
    await open().put('turns', tokens('0'))
    let inside = 0
    const turn = (): Promise<Tokens> =>
      open().change('turns', async (kept) => {
        expect(++inside).toBe(1)
        await new Promise((resolve) => setImmediate(resolve))
        inside--
        return tokens(String(Number(kept?.access.replace('access-', '')) + 1))
      })
    const made = await Promise.all(Array.from({ length: 6 }, turn))
    expect(new Set(made.map(({ access }) => access)).size).toBe(6)
    expect((await open().load('turns'))?.access).toBe('access-6')
  })

  test('lets one connection be changed while another one is', async () => {
    const done = Promise.withResolvers<void>()
    const first = open().change('left', async () => {
      await done.promise
      return tokens('left')
    })
    await open().change('right', () => Promise.resolve(tokens('right')))
    done.resolve()
    await first
    expect((await open().load('right'))?.access).toBe('access-right')
  })

  test('changes nothing when what was to be decided fails, and lets the next one in', async () => {
    await open().put('failing', tokens('1'))
    await expect(open().change('failing', () => Promise.reject(new Error('no')))).rejects.toThrow('no')
    expect(await open().change('failing', (kept) => Promise.resolve(kept ?? tokens('none')))).toEqual(tokens('1'))
  })

  test('says of another key what to do, opens with it as an old key, and can be signed in to again', async () => {
    await open().put('keys', tokens('1'))
    const failure = failureFrom(
      await open(other)
        .load('keys')
        .catch((error: unknown) => error),
    )
    expect(failure).toMatchObject({
      kind: 'auth',
      code: 'WRONG-KEY',
      message: expect.stringContaining('KITH_SECRET_KEY'),
    })
    expect(failure.advice).toContain('KITH_SECRET_KEY_OLD')
    expect(failure.advice).toContain('kith connect keys')
    expect(await open(other, [key]).load('keys')).toEqual(tokens('1'))
    await open(other).put('keys', tokens('2'))
    expect(await open(other).load('keys')).toEqual(tokens('2'))
  })

  test('tells a row that was moved from one that is its own', async () => {
    await open().put('mine', tokens('1'))
    const client = new pg.Client({ connectionString: database.url })
    await client.connect()
    await client.query(
      "insert into kith.token (connection, sealed) select 'stolen', sealed from kith.token where connection = 'mine'",
    )
    await client.end()
    const failure = failureFrom(
      await open()
        .load('stolen')
        .catch((error: unknown) => error),
    )
    expect(failure).toMatchObject({ kind: 'auth', code: 'BROKEN-SEAL' })
  })

  test('asks for its key anew after it was wrong, and says so when the database is gone', async () => {
    let secret: Uint8Array | undefined
    const store = openTokenStore(database.url, () =>
      secret ? Promise.resolve(new Seal(secret)) : Promise.reject(new Error('no key yet')),
    )
    await expect(store.load('a')).rejects.toThrow('no key yet')
    secret = key
    expect(await store.load('a')).toBeNull()
    const nowhere = openTokenStore('postgres://kith@127.0.0.1:1/none', () => Promise.resolve(new Seal(key)))
    await expect(nowhere.load('a')).rejects.toThrow(StoreUnavailableError)
  })
})
