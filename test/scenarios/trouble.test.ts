import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { ConfigError } from '../../config/diagnostics.ts'
import { contact, type Contact } from '../support/contacts.ts'
import { standing, type YamlDocument } from '../support/household.ts'
import { human } from '../support/humans.ts'
import { until } from '../support/kithProcess.ts'
import { idOf } from '../support/places.ts'
import { NO_BRAKES, threePlaces, type ThreePlaces } from '../support/three-places.ts'

const PEOPLE = Array.from({ length: 12 }, (_, index) => human(index))
const ALAN = contact({ given: 'Alan', family: 'Turing', emails: ['alan@example.org'] })
/** Brakes as they are by default. */
const BRAKES = { brakes: {} }

describe('what goes wrong gets its word, and harms nothing', () => {
  let world: ThreePlaces
  const close: (() => Promise<void>)[] = []

  async function begin(people: Parameters<typeof threePlaces>[0], more: YamlDocument = {}): Promise<void> {
    world = await threePlaces(people, more)
    close.push(world.close)
  }

  afterEach(async () => {
    for (const each of close.splice(0)) await each()
  })

  function sizes(): number[] {
    return world.home.places.map((place) => place.all().size)
  }

  async function agree(count: number): Promise<Contact[]> {
    const [sheet = [], phone, office] = standing(world.home.places)
    expect(sheet).toHaveLength(count)
    expect(phone).toEqual(sheet)
    expect(office).toEqual(sheet)
    expect(await world.home.plan()).toEqual([])
    return sheet
  }

  describe('in twelve people who agree', () => {
    beforeEach(async () => {
      await begin({ sheet: PEOPLE }, BRAKES)
      await world.home.syncApproved()
      await agree(12)
    })

    test('an emptied address book: the deletions are held, and the people come back with their cards (I5)', async () => {
      const { office, home } = world
      const cards = [...office.server.cards]
      for (const [name] of cards) office.remove(name)
      await home.sync()
      expect(sizes()).toEqual([12, 12, 0])
      expect(await home.brakes()).toEqual([
        {
          connection: 'office',
          reason: 'brake: it reads empty, and held 12 records before',
          what: 'deletions',
          count: 12,
        },
      ])
      // Not recreated there either: nobody knows yet what it means.
      expect(await home.intents()).toEqual([])
      for (const [name, { text }] of cards) office.server.put(name, text)
      await home.sync()
      expect(await home.brakes()).toEqual([])
      await agree(12)
    })

    test('a book that lists nothing although its cards are there: nobody is deleted (I5)', async () => {
      const { office, home } = world
      office.server.expireTokens()
      office.server.faults.emptyListing = true
      await home.sync()
      expect(sizes()).toEqual([12, 12, 12])
      expect(await home.brakes()).toEqual([])
      office.server.faults.emptyListing = false
      await home.sync()
      await agree(12)
    })

    test.each([true, false])(
      'a listing cut short (cleanly: %s): a transient failure, and nobody is deleted (I5)',
      async (clean) => {
        const { office, sheet, home } = world
        await (await home.open()).store.resetCursor('office')
        office.server.faults.cut = { at: 0.5, clean }
        sheet.edit(idOf(sheet, 'human3@example.org'), 'title', 'Chancellor')
        await home.sync()
        expect(await home.failure('office')).toMatchObject({ kind: 'transient' })
        expect(sizes()).toEqual([12, 12, 12])
        // The others go on without it.
        expect(world.phone.all().get(idOf(world.phone, 'human3@example.org'))?.title).toBe('Chancellor')
        office.server.faults.cut = null
        await home.syncUntil(async () => (await home.failure('office')) === null)
        await home.syncUntil(() => office.all().get(idOf(office, 'human3@example.org'))?.title === 'Chancellor')
        await agree(12)
      },
    )

    test('a sheet that is not there any more: a word, and nobody is deleted (I5)', async () => {
      const { sheet, home } = world
      renameSync(sheet.path, `${sheet.path}.away`)
      await home.sync()
      const failure = await home.failure('sheet')
      expect(failure?.message).toMatch(/is gone/)
      expect(failure?.advice).toMatch(/Kith deletes nobody because of it/)
      expect([world.phone.all().size, world.office.all().size]).toEqual([12, 12])
      renameSync(`${sheet.path}.away`, sheet.path)
      await home.sync()
      expect(await home.failure('sheet')).toBeNull()
      await agree(12)
    })

    test('a folder that is not there any more: a word, and nobody is deleted (I5)', async () => {
      const { phone, home } = world
      renameSync(phone.path, `${phone.path}.away`)
      await home.sync()
      expect(await home.failure('phone')).not.toBeNull()
      expect([world.sheet.all().size, world.office.all().size]).toEqual([12, 12])
      renameSync(`${phone.path}.away`, phone.path)
      await home.sync()
      expect(await home.failure('phone')).toBeNull()
      await agree(12)
    })
  })

  test('a server that answers 500 half-way through the first sync: what is left is sent later, nobody twice (I4)', async () => {
    await begin({ sheet: PEOPLE })
    const { office, home } = world
    await home.plan()
    office.server.faults.failAfter = 5
    office.server.faults.fail = { status: 500, times: 1000, method: 'PUT' }
    // It goes on trying: in the meantime we look at what is left.
    const approving = home.approve()
    const failed = async (): Promise<boolean> => (await home.intents()).filter(({ failure }) => failure).length === 7
    await until(failed, 'seven refusals', 15_000)
    expect(office.all().size).toBe(5)
    for (const { connection, state, failure } of await home.intents()) {
      expect([connection, failure?.kind]).toEqual(['office', 'transient'])
      expect(['pending', 'sending']).toContain(state)
    }
    office.server.faults.fail = null
    await approving
    await home.syncUntil(async () => (await home.intents()).length === 0)
    await agree(12)
    expect(office.writes).toBeGreaterThanOrEqual(12)
  })

  test('a broken vCard among good ones is named and parked; the good ones go on, and it follows once it is mended', async () => {
    await begin({ phone: PEOPLE.slice(0, 3), office: [ALAN] })
    const { phone, home } = world
    const file = join(phone.path, 'broken.vcf')
    writeFileSync(file, 'BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Half A Card\r\nEMAIL:half@exam')
    await home.syncApproved()
    const broken = []
    for await (const link of (await home.open()).store.links({ broken: true })) broken.push(link)
    expect(broken).toMatchObject([{ connection: 'phone', recordId: 'broken.vcf', state: 'unreadable' }])
    expect(broken[0]?.failure?.message).not.toMatch(/half@exam/i)
    expect([world.sheet.all().size, world.office.all().size]).toEqual([4, 4])
    writeFileSync(
      file,
      'BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Half A Card\r\nN:Card;Half A;;;\r\nEMAIL:half@example.org\r\nEND:VCARD\r\n',
    )
    await home.sync()
    await agree(5)
  })

  test('a wrong password: refused credentials, told once and with what to do; the others go on without it', async () => {
    await begin(
      { sheet: PEOPLE.slice(0, 2), phone: PEOPLE.slice(1, 3), office: PEOPLE.slice(2, 4) },
      { connections: { office: { password: 'wrong' } } },
    )
    const { home, office } = world
    await home.syncApproved()
    const failure = await home.failure('office')
    expect(failure).toMatchObject({ kind: 'auth' })
    expect(JSON.stringify(home.told)).not.toContain('wrong')
    expect(office.all().size).toBe(2)
    expect([world.sheet.all().size, world.phone.all().size]).toEqual([3, 3])
    await home.shut()
    home.configure({ brakes: NO_BRAKES })
    await home.sync()
    expect(await home.failure('office')).toBeNull()
    await agree(4)
  })

  test('a config error names its file, line and column and what to write; nothing is opened or written', async () => {
    await begin({ sheet: [ALAN] }, { connections: { phone: { direcshun: 'in' } } })
    const stamps = world.sheet.stamps()
    const error: unknown = await world.home.open().catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(ConfigError)
    expect(String((error as Error).message)).toMatch(/kith\.yaml:\d+:\d+.*direcshun.*direction/s)
    expect(world.sheet.stamps()).toEqual(stamps)
    expect(sizes()).toEqual([1, 0, 0])
  })
})
