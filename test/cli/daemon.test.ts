import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, jest, test } from '@jest/globals'
import { card, Folder } from './kith.ts'

jest.setTimeout(60_000)

const folder = new Folder()
folder.write('contacts.csv', 'First Name,Last Name,E-mail\nAda,Lovelace,ada@example.org\n')
folder.write('phone/bob.vcf', card({ given: 'Bob', family: 'Stone', email: 'bob@example.org' }))
folder.write(
  'kith.yaml',
  'connections:\n  sheet: { app: csv, path: ./contacts.csv, poll: 1s }\n  phone: { app: vdir, path: ./phone, poll: 1s }\n',
)
afterAll(() => folder.remove())

test('the daemon waits for approval, refuses a second one, sends what approve releases, and drains on SIGTERM', async () => {
  const daemon = folder.start('start')
  await daemon.said('"held"')

  const second = await folder.kith('start')
  expect(second.code).toBe(1)
  expect(second.err).toContain('the daemon is at work on these data already')
  expect(second.err).toContain('stop the daemon first')
  expect((await folder.kith('sync')).err).toContain('the daemon is at work')

  const plan = await folder.kith('plan')
  expect(plan.code).toBe(2)
  expect(plan.out).toContain('2 writes wait for approval')
  const approved = await folder.kith('approve')
  expect(approved).toMatchObject({ code: 0, err: '' })
  expect(approved.out).toContain('The daemon sends them')
  await daemon.said('"op":"create","person"')

  const status = await folder.kith('status')
  expect(status.code).toBe(0)
  expect(status.out).toMatch(/At work: kith start, process \d+/)

  daemon.signal('SIGTERM')
  const { code, out, err } = await daemon.ended
  expect({ code, err }).toEqual({ code: 0, err: '' })
  const lines = out.trim().split('\n')
  const last = JSON.parse(lines.at(-1) ?? '') as { msg: string }
  expect(last.msg).toBe('stopped')
  // No personal value in a log (I15).
  expect(out).not.toMatch(/Ada|Lovelace|Bob|example\.org|\.vcf/)
  const sync = await folder.kith('sync')
  expect(sync.code).toBe(0)
  expect(readFileSync(join(folder.path, 'contacts.csv'), 'utf8')).toContain('Bob,Stone,bob@example.org')
})
