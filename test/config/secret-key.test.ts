import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { readSecretKeys } from '../../config/secret-key.ts'
import { failureFrom, type Failure } from '../../engine/core/failure.ts'

let folder = ''
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'kith-key-'))))
afterAll(() => rm(folder, { recursive: true, force: true }))

const key = randomBytes(32)
const old = randomBytes(32)

async function refusal(env: { [name: string]: string }): Promise<Failure> {
  try {
    await readSecretKeys(env, folder)
  } catch (error) {
    return failureFrom(error)
  }
  throw new Error('it was taken')
}

describe('the key that sign-ins are sealed with', () => {
  test.each([
    ['base64', key.toString('base64')],
    ['base64 without padding', key.toString('base64').replace(/=+$/, '')],
    ['base64 with the other alphabet', key.toString('base64url')],
    ['hex', key.toString('hex')],
    ['hex with capitals and a line end', `${key.toString('hex').toUpperCase()}\n`],
  ])('is read from %s', async (_form, text) => {
    const read = await readSecretKeys({ KITH_SECRET_KEY: text }, folder)
    expect(Buffer.from(read.key)).toEqual(key)
    expect(read.old).toEqual([])
  })

  test('is read from a file beside the config, and old keys from a list of both', async () => {
    await writeFile(join(folder, 'key'), `${key.toString('base64')}\n`)
    const env = { KITH_SECRET_KEY: 'file:./key', KITH_SECRET_KEY_OLD: `${old.toString('hex')}, file:./key,` }
    const read = await readSecretKeys(env, folder)
    expect(Buffer.from(read.key)).toEqual(key)
    expect(read.old.map((one) => Buffer.from(one))).toEqual([old, key])
  })

  test('that is not set says how to make one', async () => {
    expect(await refusal({})).toMatchObject({
      kind: 'auth',
      message: expect.stringContaining('KITH_SECRET_KEY is not set'),
      advice: expect.stringContaining('openssl rand -base64 32'),
    })
  })

  test.each(['correct horse battery staple', key.toString('base64').slice(4), `${key.toString('hex')}00`])(
    'that is none is refused, and nothing is said of it (I15)',
    async (text) => {
      const failure = await refusal({ KITH_SECRET_KEY: text })
      expect(failure.message).toContain('KITH_SECRET_KEY is not a key')
      expect(JSON.stringify(failure)).not.toContain(text)
    },
  )

  test('in a file that is not there, and an old key that is none, name the variable', async () => {
    expect((await refusal({ KITH_SECRET_KEY: 'file:./none' })).message).toContain('cannot be read (ENOENT)')
    const env = { KITH_SECRET_KEY: key.toString('hex'), KITH_SECRET_KEY_OLD: 'short' }
    expect((await refusal(env)).message).toContain('KITH_SECRET_KEY_OLD is not a key')
  })
})
