import * as realSync from 'node:fs'
import * as real from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import type { Connector } from '../../engine/core/ports/connector.ts'

/** The call that fails next, and with what. */
let fault: { call: 'access' | 'write' | 'link' | 'rename'; code: string } | null = null

function strike(call: string): void {
  if (fault?.call === call) throw Object.assign(new Error('injected'), { code: fault.code })
}

jest.unstable_mockModule('node:fs', () => ({
  ...realSync,
  renameSync: (from: string, to: string) => {
    strike('rename')
    realSync.renameSync(from, to)
  },
}))
jest.unstable_mockModule('node:fs/promises', () => ({
  ...real,
  access: async (path: string, mode: number) => {
    if (mode & realSync.constants.W_OK) strike('access')
    return real.access(path, mode)
  },
  link: async (from: string, to: string) => {
    strike('link')
    return real.link(from, to)
  },
  rename: async (from: string, to: string) => {
    strike('rename')
    return real.rename(from, to)
  },
  open: async (path: string, flags: string, mode?: number) => {
    const handle = await real.open(path, flags, mode)
    if (path.endsWith('.tmp')) {
      const write = handle.writeFile.bind(handle)
      handle.writeFile = async (...args: Parameters<typeof write>) => {
        strike('write')
        return write(...args)
      }
    }
    return handle
  },
}))
const { vdir } = await import('../../connectors/vdir/index.ts')

const CARD = 'BEGIN:VCARD\r\nVERSION:3.0\r\nUID:a\r\nFN:a\r\nEND:VCARD\r\n'
let folder: string
let connector: Connector

beforeEach(async () => {
  folder = await real.mkdtemp(join(tmpdir(), 'kith-vdir-'))
  connector = vdir.connect({ path: folder }, { connection: 'phone', baseDir: '/', now: Date.now })
  await real.writeFile(join(folder, 'a.vcf'), CARD)
})

afterEach(async () => {
  fault = null
  await connector.close()
  await real.rm(folder, { recursive: true })
})

const create = { op: 'create', ref: 'c', key: 'k', fields: { FN: 'k' } } as const
const update = { op: 'update', ref: 'u', id: 'a.vcf', rev: null, fields: { FN: 'b' } } as const

describe('a file system that refuses', () => {
  test.each(['EACCES', 'EROFS'])('a folder that may not be written (%s) is found by check', async (code) => {
    fault = { call: 'access', code }
    await expect(connector.check()).rejects.toMatchObject({
      failure: { kind: 'auth', code, advice: expect.any(String) },
    })
  })

  test.each([
    ['write', 'ENOSPC'],
    ['link', 'EIO'],
    ['rename', 'EIO'],
  ] as const)('when %s fails with %s nothing is changed or left behind, and it is tried again', async (call, code) => {
    fault = { call, code }
    const outcomes = await connector.write([create, update])
    const failures = outcomes.filter(({ kind }) => kind === 'failed')
    expect(failures.length).toBeGreaterThan(0)
    for (const failure of failures) expect(failure).toMatchObject({ failure: { kind: 'transient', code } })
    const names = await real.readdir(folder)
    expect(names.filter((name) => name.startsWith('.'))).toEqual([])
    expect(names.includes('k.vcf')).toBe(call === 'rename')
    expect((await real.readFile(join(folder, 'a.vcf'), 'utf8')) === CARD).toBe(call !== 'link')
    fault = null
    const again = await connector.write([create, update])
    expect(again).toMatchObject([
      { kind: 'written', record: { id: 'k.vcf', fields: { FN: 'k' } } },
      { kind: 'written', record: { id: 'a.vcf', fields: { FN: 'b' } } },
    ])
  })

  test('where there are no hard links a create is still exclusive, and whole', async () => {
    fault = { call: 'link', code: 'EPERM' }
    expect(await connector.write([create])).toMatchObject([{ kind: 'written', record: { fields: { UID: 'k' } } }])
    expect(await connector.write([{ ...create, fields: { FN: 'other' } }])).toMatchObject([
      { record: { fields: { FN: 'k' } } },
    ])
    expect(await connector.write([{ ...create, key: 'a', fields: { FN: 'b' } }])).toMatchObject([
      { record: { fields: { FN: 'a' } } },
    ])
    expect(await real.readdir(folder)).toEqual(['a.vcf', 'k.vcf'])
  })
})
