import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, jest, test } from '@jest/globals'
import { card, Folder } from './kith.ts'
import { approveShape, planShape, statusShape, syncShape } from './shapes.ts'

jest.setTimeout(60_000)

const folder = new Folder()
folder.write(
  'contacts.csv',
  'First Name,Last Name,E-mail,Job Title\nAda,Lovelace,ada@example.org,Countess\nBob,Stone,bob@example.org,\n',
)
folder.write('phone/ada.vcf', card({ given: 'Ada', family: 'Lovelace', email: 'ada@example.org' }))
folder.write('phone/carl.vcf', card({ given: 'Carl', family: 'Gauss', email: 'carl@example.org' }))
afterAll(() => folder.remove())

const read = (file: string): string => readFileSync(join(folder.path, file), 'utf8')
const cards = (): string =>
  readdirSync(join(folder.path, 'phone'))
    .map((file) => read(`phone/${file}`))
    .join('\n')

/** One story, told in order: each chapter stands on the one before. */
describe('a household on the embedded database', () => {
  test('init takes the sheet and the folder of vCards that lie there, and never overwrites', async () => {
    const first = await folder.kith('init', '--yes')
    expect(first).toMatchObject({ code: 0, err: '' })
    expect(read('kith.yaml')).toContain('$schema=./.kith/kith.schema.json')
    expect(JSON.parse(read('.kith/kith.schema.json'))).toHaveProperty('properties.connections')
    const again = await folder.kith('init', '--yes')
    expect(again.code).toBe(1)
    expect(again.err).toContain('--force')
  })

  test('check names what a mapping loses and finds no error', async () => {
    const { code, out } = await folder.kith('check')
    expect(out).toContain('sheet (csv) ok')
    expect(out).toContain('phone (vdir) ok')
    expect(out).toContain('loses: emails')
    expect(code).toBe(0)
  })

  test('plan shows each write with its reason, writes nothing, and exits 2: held for approval', async () => {
    const before = [read('contacts.csv'), cards()]
    const { code, out, err } = await folder.kith('plan', '--json')
    expect({ code, err }).toEqual({ code: 2, err: '' })
    const plan = planShape.parse(JSON.parse(out))
    expect(plan.held).toBe(true)
    expect(plan.operations).toHaveLength(3)
    expect(plan.operations).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ connection: 'phone', op: 'create', name: 'Bob Stone', held: 'approval' }),
        expect.objectContaining({ connection: 'phone', op: 'update', name: 'Ada Lovelace', record: 'ada.vcf' }),
        expect.objectContaining({ connection: 'sheet', op: 'create', name: 'Carl Gauss', held: 'approval' }),
      ]),
    )
    const update = plan.operations.find(({ op }) => op === 'update')
    expect(update?.fields).toEqual([
      { field: 'title', before: null, after: 'Countess', why: expect.stringMatching(/sheet, 20.*rule: first/) },
    ])
    expect([read('contacts.csv'), cards()]).toEqual(before)
  })

  test('approve sends exactly the plan (I11); the plan right after says nothing to do (I2)', async () => {
    const approved = await folder.kith('approve', '--json')
    expect(approved.code).toBe(0)
    const { released, connections } = approveShape.parse(JSON.parse(approved.out))
    expect(released).toBe(3)
    expect(connections['phone']).toMatchObject({ created: 1, updated: 1, deleted: 0, parked: 0 })
    expect(connections['sheet']).toMatchObject({ created: 1, updated: 0, deleted: 0, parked: 0 })
    expect(read('contacts.csv')).toContain('Carl,Gauss,carl@example.org')
    expect(cards()).toContain('TITLE:Countess')
    expect(cards()).toContain('EMAIL:bob@example.org')

    const { code, out } = await folder.kith('plan')
    expect(out).toContain('Nothing to do: all agree.')
    expect(code).toBe(0)
  })

  test('an edit in the sheet reaches the phone with the next sync, and the one after writes nothing', async () => {
    folder.write('contacts.csv', read('contacts.csv').replace('Bob,Stone,', 'Bob,Stoneman,'))
    const { code, out } = await folder.kith('sync', '--json')
    expect(code).toBe(0)
    const { connections, held } = syncShape.parse(JSON.parse(out))
    expect(held).toBe(false)
    expect(connections['phone']).toMatchObject({ created: 0, updated: 1, deleted: 0, unchanged: 2, parked: 0 })
    expect(connections['phone']?.apiCalls).toBeGreaterThan(0)
    expect(cards()).toContain('N:Stoneman;Bob')
    const quiet = syncShape.parse(JSON.parse((await folder.kith('sync', '--json')).out))
    for (const row of Object.values(quiet.connections))
      expect(row).toMatchObject({ created: 0, updated: 0, deleted: 0 })
  })

  test('status, people, why and log tell where everything stands', async () => {
    const status = await folder.kith('status', '--json')
    expect(status.code).toBe(0)
    const { connections } = statusShape.parse(JSON.parse(status.out))
    expect(connections['sheet']).toMatchObject({ app: 'csv', state: 'live', pending: 0, held: 0, parked: 0 })

    expect((await folder.kith('people', 'stone')).out).toMatch(/Bob Stoneman.*bob@example.org.*phone, sheet/)
    const why = await folder.kith('why', 'bob@example.org', 'name.family')
    expect(why.out).toMatch(/Last name: Stoneman\s+edited in sheet, /)
    expect(why.out).toMatch(/phone {2}update: Last name/)
    expect((await folder.kith('log', '--since', '1h', '--connection', 'sheet')).out).toMatch(
      /sheet {2}Bob Stoneman: Last name {2}Stone → Stoneman {2}stands/,
    )
    const unknown = await folder.kith('why', 'nobody@example.org')
    expect(unknown).toMatchObject({ code: 1, out: '' })
    expect(unknown.err).toContain('nobody here is called')
  })

  test('a broken vCard among good ones is parked by name, and the others go on (exit 3)', async () => {
    folder.write('phone/broken.vcf', 'BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Half')
    folder.write('phone/carl.vcf', card({ given: 'Carl Friedrich', family: 'Gauss', email: 'carl@example.org' }))
    const { code, out } = await folder.kith('sync')
    expect(read('contacts.csv')).toContain('Carl Friedrich,Gauss')
    expect(out).toContain('1 record parked')
    expect(code).toBe(3)
    const parked = await folder.kith('parked')
    expect(parked.out).toMatch(/phone {2}read broken\.vcf/)
    expect(parked.code).toBe(0)
  })

  test('a config that sends other things is planned anew before it can be approved', async () => {
    folder.write('kith.yaml', `${read('kith.yaml')}\nfields:\n  title: { owner: sheet }\n`)
    const { code, err } = await folder.kith('approve')
    expect(code).toBe(1)
    expect(err).toContain('the config has changed since the plan was made')
    expect(err).toContain('kith plan')
  })
})
