import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { startHubSpotSimulator, type HubSpotSimulator } from '../../connectors/hubspot/simulator.ts'
import { isRefusal, type SimulatedContact } from '../../connectors/hubspot/simulator-contacts.ts'
import { contact, type Contact, type ScalarField } from '../support/contacts.ts'
import { TestHousehold } from '../support/household.ts'
import { idOf, Sheet, type Place } from '../support/places.ts'
import { NO_BRAKES } from '../support/three-places.ts'

const PROPERTIES: { readonly [field in ScalarField]: string } = {
  given: 'firstname',
  family: 'lastname',
  organisation: 'company',
  title: 'jobtitle',
  birthday: 'date_of_birth',
  note: 'message',
}

/** A simulated HubSpot account, as its people see it. */
class Crm implements Place {
  readonly name = 'crm'
  readonly config: Place['config']
  readonly #simulator: HubSpotSimulator

  constructor(simulator: HubSpotSimulator) {
    this.#simulator = simulator
    this.config = { app: 'hubspot', token: 'secret', basePath: simulator.url }
  }

  all(): Map<string, Contact> {
    return new Map(this.#simulator.contacts.live().map((one) => [one.id, seen(one)]))
  }

  add(who: Contact): void {
    const texts = Object.entries(PROPERTIES).map(([field, name]) => [name, who[field as ScalarField]])
    const [email = '', ...others] = who.emails
    const properties = {
      ...Object.fromEntries(texts),
      email,
      hs_additional_emails: others.join(';'),
      phone: who.phones[0] ?? '',
    }
    if (isRefusal(this.#simulator.contacts.create(properties, 'CRM_UI'))) throw new Error('refused')
  }

  edit(id: string, field: ScalarField, value: string): void {
    if (isRefusal(this.#simulator.contacts.update(id, { [PROPERTIES[field]]: value }, 'CRM_UI')))
      throw new Error('refused')
  }

  remove(id: string): void {
    this.#simulator.contacts.archive(id)
  }

  stamps(): Map<string, string> {
    return new Map(this.#simulator.contacts.live().map((one) => [one.id, JSON.stringify([...one.history])]))
  }
}

function seen({ properties }: SimulatedContact): Contact {
  const text = (name: string): string => properties.get(name) ?? ''
  const scalars = Object.fromEntries(Object.entries(PROPERTIES).map(([field, name]) => [field, text(name)]))
  const emails = [text('email'), ...text('hs_additional_emails').split(';')].filter((address) => address !== '')
  return contact({ ...scalars, emails, phones: [text('phone'), text('mobilephone')].filter((phone) => phone !== '') })
}

const ADA = contact({
  given: 'Ada',
  family: 'Lovelace',
  title: 'Analyst',
  emails: ['ada@example.org', 'ada@example.net'],
})
const GRACE = contact({
  given: 'Grace',
  family: 'Hopper',
  title: 'Admiral',
  emails: ['grace@example.org'],
  phones: ['+49 30 901820'],
})

describe('HubSpot and a sheet, through the engine', () => {
  let simulator: HubSpotSimulator
  let home: TestHousehold
  let crm: Crm
  let sheet: Sheet

  beforeEach(async () => {
    simulator = await startHubSpotSimulator({ token: 'secret' })
    const dir = TestHousehold.folder()
    crm = new Crm(simulator)
    crm.add(GRACE)
    crm.add(
      contact({ given: 'Ada', family: 'Lovelace', organisation: 'Analytical Engines', emails: ['ada@example.net'] }),
    )
    sheet = new Sheet('sheet', join(dir, 'contacts.csv'), [ADA])
    home = await TestHousehold.make(dir, [crm, sheet], { brakes: NO_BRAKES })
    await home.syncApproved()
  })
  afterEach(async () => {
    await home.close()
    await simulator.close()
  })

  const both = (email: string): Contact[] =>
    [crm, sheet].map((place) => place.all().get(idOf(place, email)) ?? contact({}))

  test('a first sync brings them together, matched by any of their addresses; a second writes nothing (I1, I2)', async () => {
    expect([crm.all().size, sheet.all().size]).toEqual([2, 2])
    for (const ada of both('ada@example.org'))
      expect(ada).toMatchObject({ given: 'Ada', title: 'Analyst', organisation: 'Analytical Engines' })
    expect(crm.all().get(idOf(crm, 'ada@example.org'))?.emails).toEqual(['ada@example.net', 'ada@example.org'])
    expect(both('grace@example.org')[1]).toMatchObject({ given: 'Grace', title: 'Admiral' })
    expect(await home.countedSync()).toEqual({ crm: 0, sheet: 0 })
    const asked = simulator.requests.length
    await home.sync()
    expect(simulator.requests.slice(asked).map(({ path }) => path)).toEqual(['/crm/v3/objects/contacts/search'])
  })

  test('an edit on either side is one write on the other, and the echo is none (I6)', async () => {
    home.deliveries.length = 0
    crm.edit(idOf(crm, 'ada@example.org'), 'title', 'Countess')
    await home.sync()
    expect(home.deliveries).toEqual([{ connection: 'sheet', op: 'update', state: 'done' }])
    home.deliveries.length = 0
    sheet.edit(idOf(sheet, 'grace@example.org'), 'title', 'Rear Admiral')
    await home.sync()
    expect(home.deliveries).toEqual([{ connection: 'crm', op: 'update', state: 'done' }])
    expect(both('ada@example.org').map(({ title }) => title)).toEqual(['Countess', 'Countess'])
    expect(both('grace@example.org').map(({ title }) => title)).toEqual(['Rear Admiral', 'Rear Admiral'])
    expect(await home.countedSync()).toEqual({ crm: 0, sheet: 0 })
  })

  test('after a merge in HubSpot the person lives on under the new id (I5)', async () => {
    crm.add(contact({ given: 'Augusta', family: 'King', emails: ['augusta@example.org'] }))
    await home.sync()
    simulator.contacts.merge(idOf(crm, 'ada@example.org'), idOf(crm, 'augusta@example.org'))
    await home.sync()
    crm.edit(idOf(crm, 'ada@example.org'), 'title', 'Countess')
    await home.sync()
    const adas = [...sheet.all().values()].filter(({ emails }) => emails.includes('ada@example.org'))
    expect(adas.map(({ title }) => title)).toContain('Countess')
    expect(crm.all().size).toBe(2)
    expect(await home.countedSync()).toEqual({ crm: 0, sheet: 0 })
  })
})

describe('the lists of HubSpot and the tags of a sheet, through the engine', () => {
  let simulator: HubSpotSimulator
  let home: TestHousehold
  let crm: Crm
  let sheet: Sheet

  beforeEach(async () => {
    simulator = await startHubSpotSimulator({ token: 'secret' })
    const dir = TestHousehold.folder()
    crm = new Crm(simulator)
    for (const who of [ADA, GRACE]) crm.add(who)
    sheet = new Sheet('sheet', join(dir, 'contacts.csv'), [ADA, { ...GRACE, note: 'Navy' }])
    const mapping = (tags: object): object => ({ mapping: { fields: { note: false, tags } } })
    home = await TestHousehold.make(dir, [crm, sheet], {
      brakes: NO_BRAKES,
      connections: {
        crm: mapping({ app: 'lists.static', transform: 'list' }),
        sheet: mapping({ app: 'Notes', transform: { split: ';' } }),
      },
    })
    simulator.lists.join(simulator.lists.add('Customers'), idOf(crm, 'ada@example.org'))
    await home.syncApproved()
  })
  afterEach(async () => {
    await home.close()
    await simulator.close()
  })

  const lists = (email: string): string[] => simulator.lists.of(idOf(crm, email))
  const tags = (email: string): string | undefined => sheet.all().get(idOf(sheet, email))?.note

  test('both have the tags of both after a first sync; a quiet pass is two requests (I1, I2)', async () => {
    expect([lists('ada@example.org'), lists('grace@example.org')]).toEqual([['Customers'], ['Navy']])
    expect([tags('ada@example.org'), tags('grace@example.org')]).toEqual(['Customers', 'Navy'])
    await home.sync()
    const asked = simulator.requests.length
    await home.sync()
    expect(simulator.requests.slice(asked).map(({ path }) => path)).toEqual([
      '/crm/v3/lists/search',
      '/crm/v3/objects/contacts/search',
    ])
  })

  test('joining, leaving and renaming a list changes the sheet; a tag in the sheet changes the lists; each once (I6)', async () => {
    const [navy, customers] = [simulator.lists.named('Navy'), simulator.lists.named('Customers')]
    if (!navy || !customers) throw new Error('a list is missing')
    simulator.lists.leave(customers, idOf(crm, 'ada@example.org'))
    simulator.lists.join(navy, idOf(crm, 'ada@example.org'))
    await home.sync()
    expect(tags('ada@example.org')).toBe('Navy')
    simulator.lists.rename(navy, 'US Navy')
    await home.sync()
    expect([tags('ada@example.org'), tags('grace@example.org')]).toEqual(['US Navy', 'US Navy'])
    sheet.edit(idOf(sheet, 'grace@example.org'), 'note', 'US Navy;COBOL')
    await home.sync()
    expect(lists('grace@example.org')).toEqual(['COBOL', 'US Navy'])
    expect(await home.countedSync()).toEqual({ crm: 0, sheet: 0 })
    expect([lists('ada@example.org'), tags('ada@example.org')]).toEqual([['US Navy'], 'US Navy'])
  })

  test('an edit whose list is locked at first is not done before its list is, and is done once (I4)', async () => {
    simulator.faults.fail = { status: 423, times: 1, path: /add-and-remove/ }
    home.deliveries.length = 0
    sheet.edit(idOf(sheet, 'grace@example.org'), 'note', 'COBOL;Navy')
    sheet.edit(idOf(sheet, 'grace@example.org'), 'title', 'Rear Admiral')
    await home.syncUntil(() => lists('grace@example.org').length === 2, 30_000)
    const states = home.deliveries.map(({ state }) => state)
    expect([states[0], states.filter((state) => state === 'done')]).toEqual(['pending', ['done']])
    expect(crm.all().get(idOf(crm, 'grace@example.org'))?.title).toBe('Rear Admiral')
    expect(await home.countedSync()).toEqual({ crm: 0, sheet: 0 })
  }, 60_000)
})
