import { join } from 'node:path'
import { afterEach, describe, expect, test } from '@jest/globals'
import type { Quirks } from '../../connectors/memory/quirks.ts'
import { audit, type AuditFinding } from '../../workers/audit.ts'
import { performMending, previewMending, type Mending } from '../../workers/audit-fix.ts'
import { countHealth, healthLines } from '../../workers/health.ts'
import { contact, type Contact } from '../support/contacts.ts'
import { TestHousehold, type YamlDocument } from '../support/household.ts'
import { Crm, idOf, Sheet } from '../support/places.ts'
import { NO_BRAKES } from '../support/three-places.ts'

const ADA = contact({ given: 'ADA', family: 'Lovelace', emails: ['ada@example.org'], phones: ['(030) 90 18 20'] })
const BOB = contact({ given: 'Bob', family: 'Stone', title: 'King', emails: ['bob@example.org'] })
const EVE = contact({ given: 'Eve', family: 'Nomail', phones: ['030 901821'] })

const STANDARD: YamlDocument = {
  phones: { format: 'e164', do: 'fix' },
  'name.given': { case: 'title', do: 'fix' },
  title: { allowed: ['Countess', 'Mason'], do: 'hold', in: ['crm'] },
  emails: { required: true, do: 'hold' },
}

let close: (() => Promise<void>) | undefined
afterEach(async () => {
  await close?.()
  close = undefined
})

interface Pair {
  readonly home: TestHousehold
  readonly crm: Crm
  readonly sheet: Sheet
}

async function pair(people: readonly Contact[], more: YamlDocument, quirks: Partial<Quirks> = {}): Promise<Pair> {
  const dir = TestHousehold.folder()
  const crm = new Crm('crm', people, quirks)
  const sheet = new Sheet('sheet', join(dir, 'sheet.csv'))
  const home = await TestHousehold.make(dir, [crm, sheet], { brakes: NO_BRAKES, ...more })
  close = () => home.close().finally(() => crm.close())
  await home.syncApproved()
  return { home, crm, sheet }
}

const named = (place: Crm | Sheet, family: string): Contact | undefined =>
  [...place.all().values()].find((who) => who.family === family)

async function quiet({ home }: Pair): Promise<void> {
  expect(await home.countedSync()).toEqual({ crm: 0, sheet: 0 })
}

describe('a CRM and a sheet under a standard', () => {
  test('what the CRM says is repaired, held and required at the door; then nothing is written any more (I2, I3)', async () => {
    const world = await pair([ADA, BOB, EVE], { standard: STANDARD })
    const { home, crm, sheet } = world
    expect(named(sheet, 'Lovelace')).toMatchObject({ given: 'Ada', phones: ['+4930901820'] })
    expect(named(crm, 'Lovelace')).toMatchObject({ given: 'Ada', phones: ['+4930901820'] })
    expect(named(sheet, 'Stone')?.title).toBe('')
    expect(named(crm, 'Stone')?.title).toBe('King')
    expect(named(sheet, 'Nomail')).toBeUndefined()
    const repaired = (await home.log()).filter(({ kind }) => kind === 'repaired')
    expect(repaired.map(({ before }) => before)).toEqual(expect.arrayContaining(['ADA']))
    expect((await home.brakes()).map(({ connection, reason }) => [connection, reason])).toEqual([
      ['sheet', 'standard: E-mail is missing'],
    ])
    await quiet(world)

    // Counted by the database, and one by one: the same.
    const household = await home.open()
    const [counts] = await countHealth(household)
    const lines = []
    for await (const line of healthLines(household, { connection: 'crm' })) lines.push(line)
    expect(counts?.states).toMatchObject({ 'in-sync': 2, held: 1 })
    expect(lines.filter(({ state }) => state === 'held')).toMatchObject([{ cause: 'standard', command: 'kith review' }])
    const [, there] = await countHealth(household)
    expect(there?.states).toMatchObject({ 'in-sync': 2, held: 1, excluded: 0 })

    // Whoever gets what was missing goes on by themselves.
    const [id] = [...crm.all()].find(([, who]) => who.family === 'Nomail') ?? []
    crm.app.edit(id ?? '', { emails: [{ value: 'eve@example.org' }] })
    await home.sync()
    expect(named(sheet, 'Nomail')).toMatchObject({ emails: ['eve@example.org'], phones: ['+4930901821'] })
    crm.edit(idOf(crm, 'bob@example.org'), 'title', 'Mason')
    await home.sync()
    expect(named(sheet, 'Stone')?.title).toBe('Mason')
    await quiet(world)
  })

  test('an app that spells numbers its own way and the standard do not play ping-pong (I1, I6)', async () => {
    const world = await pair([ADA], { standard: STANDARD }, { rewrite: { phones: 'grouped' } })
    const { home, crm, sheet } = world
    expect(named(crm, 'Lovelace')?.phones).toEqual(['+493-090-182-0'])
    expect(named(sheet, 'Lovelace')?.phones).toEqual(['+4930901820'])
    await quiet(world)
    sheet.edit(idOf(sheet, 'ada@example.org'), 'note', 'hello')
    expect(await home.countedSync()).toEqual({ crm: 1, sheet: 0 })
    await quiet(world)
  })

  test('without one, an audit says what is wrong, and a clean-up waits until it is let go (I11)', async () => {
    const wrong = contact({ given: 'Ida', family: 'Wrong', emails: ['Ida <ida@example.org>'] })
    const world = await pair([ADA, wrong], {})
    const { home, crm, sheet } = world
    const household = await home.open()
    const options = { stale_ms: 1e12, samples_max: 2, values: false, read_max: 10, now_ms: Date.now() }
    const { findings } = await audit(household, options)
    const found = (rule: string, connection: string): AuditFinding | undefined =>
      findings.find((one) => one.rule === rule && one.connection === connection)
    expect(found('emails.malformed', 'crm')).toMatchObject({ count: 1, of: 2, fixable: 1 })
    expect(found('emails.malformed', 'sheet')).toMatchObject({ count: 1, of: 2, fixable: 1 })
    expect(JSON.stringify(findings)).not.toContain('example.org')

    const daemon = await home.daemon()
    const told: Mending[] = []
    const preview = await previewMending(household, daemon.runtime, undefined, async (one) => void told.push(one))
    expect(told).toMatchObject([{ before: 'Ida <ida@example.org>', after: 'ida@example.org', field: 'emails' }])
    const mended = await performMending(household, daemon.runtime, undefined, { by: 'grace', why: 'test' })
    expect(mended).toMatchObject({ people: 1, held: preview.writes.reduce((sum, { count }) => sum + count, 0) })
    await home.sync()
    expect(named(crm, 'Wrong')?.emails).toEqual(['Ida <ida@example.org>'])
    await home.approveBrakes()
    await home.sync()
    expect([named(crm, 'Wrong')?.emails, named(sheet, 'Wrong')?.emails]).toEqual([
      ['ida@example.org'],
      ['ida@example.org'],
    ])
    await quiet(world)
    const [act] = await household.store.acts({ kind: 'audit', limit: 5 })
    expect(act).toMatchObject({ by: 'grace', why: 'test', about: { rule: 'all' } })
  })
})
