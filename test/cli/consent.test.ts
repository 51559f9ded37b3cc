import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, jest, test } from '@jest/globals'
import { Folder } from './kith.ts'

jest.setTimeout(60_000)

const folder = new Folder({ KITH_OPERATOR: 'grace' })
const MAPPING = `
      fields: {}
      consent:
        email:
          app: Mail
          address: E-mail
          states: { yes: subscribed, no: unsubscribed }
          write: { unsubscribed: no, subscribed: yes, bounced: no, complained: no }`
folder.write(
  'kith.yaml',
  `connections:
  crm:
    app: csv
    path: ./crm.csv
    mapping:${MAPPING}
  news:
    app: csv
    path: ./news.csv
    include: { title: { is: Countess } }
    mapping:${MAPPING}
  phone: { app: vdir, path: ./phone }
approval: auto
`,
)
folder.write(
  'crm.csv',
  'First Name,Last Name,E-mail,Job Title,Mail\nAda,Lovelace,Ada@Example.org,Countess,\nBob,Stone,bob@example.org,Mason,yes\n',
)
folder.write('news.csv', 'First Name,Last Name,E-mail,Job Title,Mail\nAda,Lovelace,ada@example.org,Countess,yes\n')
folder.write('phone/.keep', '')
afterAll(() => folder.remove())

const row = (file: string, name: string): string =>
  readFileSync(join(folder.path, file), 'utf8')
    .split('\n')
    .find((line) => line.includes(name)) ?? ''
const edit = (file: string, from: string, to: string): void =>
  folder.write(file, readFileSync(join(folder.path, file), 'utf8').replace(from, to))

describe('kith consent (I7)', () => {
  test('what one app knows of an address stands in the others, whatever the filters say', async () => {
    expect((await folder.kith('sync', '--approve')).code).toBe(0)
    edit('crm.csv', 'Countess,', 'Countess,no')
    expect((await folder.kith('sync')).code).toBe(0)
    expect(row('news.csv', 'Ada')).toMatch(/,no\b/)
    const { out } = await folder.kith('consent', 'ADA@example.org', '--json')
    expect(JSON.parse(out)).toMatchObject({
      address: 'ada@example.org',
      channel: 'email',
      state: 'unsubscribed',
      by: 'crm',
    })
  })

  test('a value set back by hand is no consent: it is corrected, and the story says so', async () => {
    edit('news.csv', ',no', ',yes')
    expect((await folder.kith('sync')).code).toBe(0)
    expect(row('news.csv', 'Ada')).toMatch(/,no\b/)
    const { out } = await folder.kith('consent', 'ada@example.org')
    expect(out).toContain('is unsubscribed, by crm')
    expect(out).toContain('news said subscribed')
    expect(out).toContain('refused: it would have loosened what stands')
  })

  test('an operator tightens with a reason, and loosens only with the person’s own later opt-in', async () => {
    const noReason = await folder.kith('consent', 'bob@example.org', '--set', 'complained')
    expect(noReason).toMatchObject({ code: 1, err: expect.stringContaining('an operator says why') })
    const tightened = await folder.kith('consent', 'bob@example.org', '--set', 'complained', '--why', 'wrote to us')
    expect(tightened).toMatchObject({ code: 0, out: expect.stringContaining('operator grace said complained') })
    expect((await folder.kith('sync')).code).toBe(0)
    expect(row('crm.csv', 'Bob')).toMatch(/,no\b/)

    const loosen = (...more: string[]) =>
      folder.kith('consent', 'bob@example.org', '--set', 'subscribed', '--why', 'form', ...more)
    expect(await loosen()).toMatchObject({ code: 1, err: expect.stringContaining("only the person's own opt-in") })
    expect(await loosen('--opted-in', '2020-01-01')).toMatchObject({
      code: 1,
      err: expect.stringContaining('is not from after'),
    })
    expect(await loosen('--opted-in', '2999-01-01')).toMatchObject({
      code: 1,
      err: expect.stringContaining('no time in the past'),
    })
    expect((await loosen('--opted-in', new Date().toISOString())).code).toBe(0)
    expect((await folder.kith('sync')).code).toBe(0)
    expect(row('crm.csv', 'Bob')).toMatch(/,yes\b/)
  })

  test('what is no address, or no state, is told apart', async () => {
    expect(await folder.kith('consent', 'Ada')).toMatchObject({
      code: 1,
      err: expect.stringContaining('neither an e-mail'),
    })
    const wrong = await folder.kith('consent', 'a@b.org', '--set', 'maybe', '--why', 'x')
    expect(wrong).toMatchObject({ code: 1, err: expect.stringContaining('is no state of consent') })
    expect((await folder.kith('consent', 'nobody@example.org')).out).toContain(
      'Nothing was told about nobody@example.org',
    )
  })
})
