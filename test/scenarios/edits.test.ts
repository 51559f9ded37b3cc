import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { contact } from '../support/contacts.ts'
import { standing } from '../support/household.ts'
import { idOf, type Place } from '../support/places.ts'
import { threePlaces, type ThreePlaces } from '../support/three-places.ts'

const ADA = contact({ given: 'Ada', family: 'Lovelace', title: 'Analyst', emails: ['ada@example.org'] })
const GRACE = contact({ given: 'Grace', family: 'Hopper', title: 'Admiral', emails: ['grace@example.org'] })

describe('people edit in several places between two passes', () => {
  let world: ThreePlaces

  beforeEach(async () => {
    world = await threePlaces({ sheet: [ADA], phone: [GRACE] })
    await world.home.syncApproved()
  })
  afterEach(() => world.close())

  const edit = (place: Place, ...change: [Parameters<Place['edit']>[1], string]): void =>
    place.edit(idOf(place, 'ada@example.org'), ...change)

  function adas(): ReturnType<typeof standing>[number] {
    return world.home.places.map((place) => place.all().get(idOf(place, 'ada@example.org')) ?? contact({}))
  }

  test('different fields of one card: every edit lives everywhere', async () => {
    edit(world.sheet, 'organisation', 'Analytical Engines')
    edit(world.phone, 'title', 'Countess')
    edit(world.office, 'note', 'met in 1833')
    await world.home.sync()
    for (const ada of adas())
      expect(ada).toMatchObject({ organisation: 'Analytical Engines', title: 'Countess', note: 'met in 1833' })
    expect(await world.home.countedSync()).toEqual({ sheet: 0, phone: 0, office: 0 })
  })

  test('the same field: the later edit stands everywhere, and the earlier is in the log (I3)', async () => {
    edit(world.phone, 'title', 'Poet')
    await new Promise((resolve) => setTimeout(resolve, 1100)) // file times and HTTP dates are coarse
    edit(world.office, 'title', 'Programmer')
    await world.home.sync()
    expect(adas().map(({ title }) => title)).toEqual(['Programmer', 'Programmer', 'Programmer'])
    const lost = (await world.home.log()).filter(({ cell, kind }) => cell === 'title' && kind === 'lost')
    expect(lost).toMatchObject([{ after: 'Poet', stamp: { by: 'phone' }, rule: 'latest' }])
  })

  test('one edit makes one write in each other place and none where it was made (I6)', async () => {
    for (const [place, value] of [
      [world.sheet, 'Dr.'],
      [world.phone, 'Prof.'],
      [world.office, 'Dame'],
    ] as const) {
      edit(place, 'title', value)
      world.home.deliveries.length = 0
      const writes = world.office.writes
      const count = await world.home.countedSync()
      const others = world.home.places.filter((other) => other !== place).map(({ name }) => name)
      expect(world.home.deliveries).toHaveLength(2)
      expect(world.home.deliveries).toEqual(
        expect.arrayContaining(others.map((connection) => ({ connection, op: 'update', state: 'done' }))),
      )
      expect(count['phone']).toBe(place === world.phone ? 0 : 1)
      expect(count['office']).toBe(place === world.office ? 0 : 1)
      // Of the sheet, the row and the file itself.
      expect(count['sheet']).toBe(place === world.sheet ? 0 : 2)
      expect(world.office.writes - writes).toBe(place === world.office ? 0 : 1)
      expect(await world.home.countedSync()).toEqual({ sheet: 0, phone: 0, office: 0 })
    }
  })

  test('a burst of edits to one card is one write elsewhere', async () => {
    for (const title of ['A', 'B', 'C']) edit(world.phone, 'title', title)
    edit(world.phone, 'note', 'one more')
    const writes = world.office.writes
    await world.home.sync()
    expect(world.office.writes - writes).toBe(1)
    expect(adas()[2]).toMatchObject({ title: 'C', note: 'one more' })
  })

  test('what Kith does not map stays as it was, in the sheet and in the card', async () => {
    const shoes = world.sheet.rows().map((row) => row['Shoe Size'])
    const id = idOf(world.phone, 'ada@example.org')
    world.phone.change(id, (text) =>
      text.replace('END:VCARD', 'X-PET;TYPE=cat:Puff\r\nitem1.X-ABLabel:Büro\r\nEND:VCARD'),
    )
    edit(world.office, 'title', 'Countess')
    await world.home.sync()
    expect(world.sheet.rows().map((row) => row['Shoe Size'])).toEqual(shoes)
    expect(world.phone.texts().get(id)).toContain('X-PET;TYPE=cat:Puff\r\nitem1.X-ABLabel:Büro\r\n')
    expect(adas()[1]?.title).toBe('Countess')
  })

  test('an edit made while Kith was not running is heard at the next start', async () => {
    await world.home.shut()
    edit(world.sheet, 'family', 'King')
    await world.home.sync()
    expect(adas().map(({ family }) => family)).toEqual(['King', 'King', 'King'])
  })

  test('a new person in one place is made once in each other one (I4)', async () => {
    world.phone.add(contact({ given: 'Alan', family: 'Turing', phones: ['030 1234567'] }))
    await world.home.sync()
    const [sheet, phone, office] = standing(world.home.places)
    expect(sheet).toHaveLength(3)
    expect(phone).toEqual(sheet)
    expect(office).toEqual(sheet)
    expect(await world.home.countedSync()).toEqual({ sheet: 0, phone: 0, office: 0 })
  })
})
