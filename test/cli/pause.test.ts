import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, jest, test } from '@jest/globals'
import { z } from 'zod'
import { card, Folder } from './kith.ts'

jest.setTimeout(120_000)

const folder = new Folder({ KITH_OPERATOR: 'ada' })
folder.write(
  'contacts.csv',
  'First Name,Last Name,E-mail,Job Title\nAda,Lovelace,ada@example.org,\nBob,Stone,bob@example.org,\nCarl,Gauss,carl@example.org,\n',
)
folder.write('phone/ada.vcf', card({ given: 'Ada', family: 'Lovelace', email: 'ada@example.org' }))
folder.write('phone/bob.vcf', card({ given: 'Bob', family: 'Stone', email: 'bob@example.org' }))
folder.write('phone/carl.vcf', card({ given: 'Carl', family: 'Gauss', email: 'carl@example.org' }))
folder.write(
  'kith.yaml',
  'connections:\n  sheet: { app: csv, path: ./contacts.csv, poll: 1s }\n  phone: { app: vdir, path: ./phone, poll: 1s, deletes: propagate }\n',
)
afterAll(() => folder.remove())

const sheet = (): string => readFileSync(join(folder.path, 'contacts.csv'), 'utf8')
const phone = (): string =>
  readdirSync(join(folder.path, 'phone'))
    .map((file) => readFileSync(join(folder.path, 'phone', file), 'utf8'))
    .join('\n')

const statusShape = z.object({
  connections: z.record(
    z.string(),
    z.object({
      state: z.string(),
      pending: z.number(),
      pause: z.object({ by: z.string(), reason: z.string(), kept: z.number(), overdue: z.boolean() }).optional(),
    }),
  ),
})

async function statusOf(connection: string): Promise<z.infer<typeof statusShape>['connections'][string]> {
  const { out } = await folder.kith('status', '--json')
  const found = statusShape.parse(JSON.parse(out)).connections[connection]
  if (!found) throw new Error(`no ${connection} in the status`)
  return found
}

async function until(fact: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 30_000; !(await fact());) if (Date.now() > end) throw new Error('waited in vain')
}

/** One story, told in order: each chapter stands on the one before. */
describe('a clean-up from the command line', () => {
  test('a pause needs a reason and a connection of the config; nothing that is not paused is resumed', async () => {
    expect(await folder.kith('sync', '--approve')).toMatchObject({ code: 0 })
    const reason = await folder.kith('pause', 'phone')
    expect([reason.code, reason.err]).toEqual([1, expect.stringContaining('a pause needs a reason')])
    const unknown = await folder.kith('pause', 'crm', '--reason', 'x')
    expect([unknown.code, unknown.err]).toEqual([1, expect.stringContaining('The config has: sheet, phone.')])
    const late = await folder.kith('pause', 'phone', '--reason', 'x', '--until', '2001-01-01')
    expect([late.code, late.err]).toEqual([1, expect.stringContaining('is no time to come')])
    const resume = await folder.kith('resume', 'phone')
    expect([resume.code, resume.err]).toEqual([1, expect.stringContaining('phone is not in a pause')])
    const both = await folder.kith('resume', 'phone', '--drop', '--release')
    expect([both.code, both.err]).toEqual([1, expect.stringContaining('choose one of')])
  })

  test('beside a daemon: acknowledged; what is heard is kept, what waits waits, also when the daemon is killed (I10)', async () => {
    const daemon = folder.start('start')
    await daemon.said('"started"')
    const { code, out } = await folder.kith('pause', 'phone', '--reason', 'Q3 clean-up', '--until', '3d')
    expect(out).toContain('phone is paused: no write to it is under way, and none can begin.')
    expect(out).toContain('3 records kept as they were')
    expect(code).toBe(0)
    folder.write('phone/ada.vcf', card({ given: 'Ada', family: 'King', email: 'ada@example.org' }))
    folder.write('phone/dora.vcf', card({ given: 'Dora', family: 'Maar', email: 'dora@example.org' }))
    rmSync(join(folder.path, 'phone', 'bob.vcf'))
    folder.write('contacts.csv', sheet().replace('carl@example.org,', 'carl@example.org,Professor'))
    const before = phone()
    await until(async () => {
      const { pause, pending } = await statusOf('phone')
      return pause?.kept === 3 && pending === 1
    })
    daemon.signal('SIGKILL')
    await daemon.ended
    expect(phone()).toBe(before)
    expect(sheet()).not.toMatch(/King|Dora/)
    const status = await folder.kith('status')
    expect(status.out).toMatch(
      /phone: paused for .* \(by ada: Q3 clean-up\); 3 records changed there wait: kith resume phone/,
    )
    expect(await statusOf('phone')).toMatchObject({ state: 'paused', pause: { by: 'ada', reason: 'Q3 clean-up' } })
    expect((await folder.kith('sync')).code).toBe(0)
    expect(phone()).toBe(before)
    expect(sheet()).not.toMatch(/King|Dora/)
  })

  test('resume tells the clean-up and what would follow, and decides nothing unasked', async () => {
    const before = [phone(), sheet()]
    const shown = await folder.kith('resume', 'phone')
    expect(shown.out).toContain('Since then: 1 edited, 1 deleted, 1 created.')
    expect(shown.out).toContain('1 write from elsewhere waits for phone')
    expect(shown.out).toMatch(/sheet: 1 to create, 1 to update, 1 to delete/)
    expect(shown.out).toContain('Nothing is decided yet')
    expect(shown.code).toBe(2)
    const unasked = await folder.kith('resume', 'phone', '--release')
    expect([unasked.code, unasked.out]).toEqual([2, expect.stringContaining('--yes')])
    const json = await folder.kith('resume', 'phone', '--json')
    expect(JSON.parse(json.out)).toMatchObject({
      cleanUp: { edited: 1, deleted: 1, created: 1 },
      following: [{ connection: 'sheet', creates: 1, updates: 1, deletes: 1 }],
      resolved: null,
    })
    const wrong = await folder.kith('resume', 'phone', '--drop', '--only', 'everything')
    expect([wrong.code, wrong.err]).toEqual([1, expect.stringContaining('a clean-up has no everything')])
    const filter = await folder.kith('resume', 'phone', '--drop', '--filter', '{shoe: present}')
    expect([filter.code, filter.err]).toEqual([1, expect.stringContaining('there is no field "shoe"')])
    expect([phone(), sheet()]).toEqual(before)
  })

  test('part by part, and then the queue drains', async () => {
    const drop = await folder.kith('resume', 'phone', '--drop', '--only', 'creates', '--yes')
    expect(drop.out).toContain('2 records still to be decided: phone stays paused')
    expect(drop.code).toBe(2)
    const revert = await folder.kith('resume', 'phone', '--revert', '--only', 'deletes', '--yes', '--json')
    expect(JSON.parse(revert.out)).toMatchObject({ resolved: { decided: 1, left: 1, ended: false } })
    const release = await folder.kith('resume', 'phone', '--release', '--yes', '--reason', 'looked at it')
    expect(release.out).toContain('phone goes on.')
    expect(release.code).toBe(0)
    expect((await folder.kith('sync')).code).toBe(0)
    expect(sheet()).toContain('Ada,King,ada@example.org')
    expect(sheet()).toContain('Bob,Stone,bob@example.org')
    expect(sheet()).not.toContain('Dora')
    expect(phone()).toContain('EMAIL:bob@example.org')
    expect(phone()).toContain('TITLE:Professor')
    expect(phone()).toContain('Dora')
    expect((await folder.kith('status')).out).not.toContain('paused for')
  })

  test('a pause past its end is loud, and does not end by itself; without a clean-up it ends at a word', async () => {
    expect((await folder.kith('pause', '--all', '--reason', 'audit', '--until', '1s')).code).toBe(0)
    await until(async () => (await statusOf('sheet')).pause?.overdue === true)
    expect((await folder.kith('status')).out).toMatch(/sheet: paused for .*, OVERDUE since/)
    folder.write('phone/carl.vcf', card({ given: 'Carl', family: 'Friedrich', email: 'carl@example.org' }))
    expect((await folder.kith('sync')).code).toBe(0)
    expect(sheet()).not.toContain('Friedrich')
    const sheetOn = await folder.kith('resume', 'sheet', '--yes')
    expect([sheetOn.code, sheetOn.out]).toEqual([0, expect.stringContaining('Nothing was changed there since.')])
    expect((await folder.kith('resume', 'phone', '--release', '--yes')).code).toBe(0)
    expect((await folder.kith('sync')).code).toBe(0)
    expect(sheet()).toContain('Carl,Friedrich')
  })
})
