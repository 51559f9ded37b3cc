import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, jest, test } from '@jest/globals'
import { z } from 'zod'
import { card, Folder } from './kith.ts'

jest.setTimeout(120_000)

const folder = new Folder({ KITH_OPERATOR: 'grace' })
const header = 'First Name,Last Name,E-mail,Job Title,Organization\n'
const sheet = (title: string, organisation: string): string =>
  `${header}Ada,Lovelace,ada@example.org,${title},${organisation}\nBob,Stone,bob@example.org,Mason,Quarry\n`
folder.write('contacts.csv', sheet('Analyst', 'Engines'))
const config = (phone = '', more = ''): string =>
  `${more}connections:\n  sheet: { app: csv, path: ./contacts.csv }\n  phone: { app: vdir, path: ./phone${phone} }\n`
folder.write('kith.yaml', config())
mkdirSync(join(folder.path, 'phone'))
folder.write('phone/ada.vcf', card({ given: 'Ada', family: 'Lovelace', email: 'ada@example.org' }))
afterAll(() => folder.remove())

const read = (file: string): string => readFileSync(join(folder.path, file), 'utf8')

const change = z.strictObject({
  person: z.string(),
  name: z.string(),
  field: z.string(),
  before: z.json(),
  after: z.json(),
})
const undoShape = z.strictObject({
  state: z.enum(['preview', 'done', 'nothing']),
  act: z.string().nullable(),
  undone: z.array(change),
  left: z.array(
    z.strictObject({
      person: z.string(),
      name: z.string(),
      field: z.string(),
      value: z.json(),
      reason: z.enum(['edited', 'consent', 'merged', 'erased', 'gone', 'manual']),
      by: z.string().optional(),
      at: z.iso.datetime().optional(),
      note: z.string().optional(),
    }),
  ),
  writes: z.array(
    z.strictObject({
      connection: z.string(),
      op: z.string(),
      person: z.string(),
      record: z.string().nullable(),
      fields: z.array(z.strictObject({ field: z.string(), before: z.json(), after: z.json() })),
      held: z.string().nullable(),
    }),
  ),
  log_since: z.iso.datetime().nullable(),
})

/** One story, told in order: each chapter stands on the one before. */
describe('kith undo, acts, backtest', () => {
  let act = ''

  test('a household in agreement, and a mistake in the sheet that spreads', async () => {
    expect((await folder.kith('sync', '--approve', '--why', 'it is all new')).code).toBe(0)
    expect((await folder.kith('acts', '--kind', 'approve')).out).toMatch(
      /grace: approve \d+ writes? {2}"it is all new"/,
    )
    folder.write('contacts.csv', sheet('Countess', 'Analytical Engines'))
    expect((await folder.kith('sync')).code).toBe(0)
    expect(read('phone/ada.vcf')).toContain('TITLE:Countess')
  })

  test('says what is to be named, and what is wrong with what is', async () => {
    const nothing = await folder.kith('undo')
    expect(nothing).toMatchObject({ code: 1, err: expect.stringContaining('say what to undo') })
    expect((await folder.kith('undo', '--act', 'nope')).err).toContain('See: kith acts')
    expect((await folder.kith('undo', '--run', 'nope')).err).toContain('crm:12')
    expect((await folder.kith('undo', '--run', 'last', '--field', 'shoe')).err).toContain('The fields are')
    expect((await folder.kith('undo', '--since', 'soon')).err).toContain('--since soon')
    expect((await folder.kith('undo', '--help')).out).toContain('Consent is never loosened')
  })

  test('shows what would go back, and does nothing where it cannot ask (exit 2)', async () => {
    const { code, out, err } = await folder.kith('undo', '--run', 'last')
    expect(code).toBe(2)
    expect(out).toContain('Job title: Countess → Analyst')
    expect(out).toContain('→ phone: update')
    expect(out).toContain('2 changes of 1 person would go back.')
    expect(out).toContain('The log reaches back to')
    expect(err).toContain('--yes')
    expect(read('phone/ada.vcf')).toContain('TITLE:Countess')
    const json = await folder.kith(
      'undo',
      '--connection',
      'sheet',
      '--since',
      '1h',
      '--field',
      'title',
      '--person',
      'ada@example.org',
      '--json',
    )
    expect(json.code).toBe(2)
    // The first reading is within the hour as well.
    expect(undoShape.parse(JSON.parse(json.out))).toMatchObject({
      state: 'preview',
      undone: [{ before: 'Countess', after: null }],
    })
  })

  test('takes back with --yes, is one act with who and why, and what follows is sent', async () => {
    const { code, out } = await folder.kith('undo', '--run', 'last', '--yes', '--why', 'wrong list', '--json')
    expect(code).toBe(0)
    const undo = undoShape.parse(JSON.parse(out))
    expect(undo).toMatchObject({ state: 'done', left: [] })
    expect(
      undo.undone.map(({ field, after }) => [field, after]).toSorted((a, b) => (String(a) < String(b) ? -1 : 1)),
    ).toEqual([
      ['organisation', 'Engines'],
      ['title', 'Analyst'],
    ])
    act = undo.act ?? ''
    const acts = await folder.kith('acts')
    expect(acts.out).toContain(`${act}  grace: undo --run last  "wrong list"`)
    expect((await folder.kith('sync')).code).toBe(0)
    expect(read('phone/ada.vcf')).toContain('TITLE:Analyst')
    expect(read('contacts.csv')).toContain('Ada,Lovelace,ada@example.org,Analyst,Engines')
    expect((await folder.kith('log')).out).toContain(`act ${act}`)
  })

  test('an undo of the undo brings it back; what was edited since is left and named (I12)', async () => {
    folder.write('contacts.csv', sheet('Baroness', 'Engines'))
    expect((await folder.kith('sync')).code).toBe(0)
    const { code, out } = await folder.kith('undo', '--act', act, '--yes')
    expect(code).toBe(0)
    expect(out).toContain('1 change left as it is:')
    expect(out).toMatch(/Ada Lovelace, Job title: Baroness {2}\(said by sheet/)
    expect((await folder.kith('sync')).code).toBe(0)
    expect(read('contacts.csv')).toContain('Ada,Lovelace,ada@example.org,Baroness,Analytical Engines')
    expect(await folder.kith('undo', '--act', act)).toMatchObject({
      code: 0,
      out: expect.stringContaining('nothing to take back'),
    })
  })

  test('backtest tells what another YAML would have done, writes nothing, and says what it cannot tell', async () => {
    folder.write('new.yaml', config('', 'fields: { title: { owner: phone } }\n'))
    const present = await folder.kith('backtest', '--days', '7')
    expect(present).toMatchObject({ code: 0, out: expect.stringContaining('Nothing would have ended otherwise.') })
    expect(present.out).toContain('What this cannot tell')
    const before = (await folder.kith('status', '--json')).out
    const { code, out, err } = await folder.kith('backtest', '--days', '1', '--config', 'new.yaml', '--json')
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(JSON.parse(out)).toMatchObject({
      config: 'new.yaml',
      changes: expect.any(Number),
      unknown: { connections: [] },
    })
    expect((await folder.kith('status', '--json')).out).toBe(before)
    expect((await folder.kith('plan')).out).toContain('Nothing to do: all agree.')
  })

  test('plan says in a few lines what a change of the config would do, before the list', async () => {
    folder.write('kith.yaml', config(', mapping: { fields: { title: ROLE } }'))
    const { code, out } = await folder.kith('plan')
    expect(code).toBe(2)
    expect(out).toContain('The config is another than the one that was approved. With it:')
    expect(out).toMatch(/phone: \d+ to update/)
    expect(out).toMatch(/Job title in \d+ records? {2}such as/)
  })
})
