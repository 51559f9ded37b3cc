import { afterEach, describe, expect, test } from '@jest/globals'
import { contents, standing } from '../support/household.ts'
import { overlapping } from '../support/humans.ts'
import { idOf } from '../support/places.ts'
import { NO_BRAKES, threePlaces, type ThreePlaces } from '../support/three-places.ts'

let world: ThreePlaces
afterEach(() => world.close())

const stamps = (): unknown => world.home.places.map((place) => [...place.stamps()])

describe('the first sync of a config', () => {
  test('is held until approved, whatever is synced before; approve then does what plan showed, operation for operation (I11)', async () => {
    world = await threePlaces(overlapping(70))
    const { home } = world
    const before = stamps()
    const plan = await home.plan()
    expect(plan.length).toBeGreaterThan(100)
    expect(new Set(plan.map(({ held }) => held))).toEqual(new Set(['approval']))
    await home.sync()
    expect(stamps()).toEqual(before)
    expect(world.office.writes).toBe(0)
    // The plan does not change by being looked at again, nor with a restart.
    await home.shut()
    expect(contents(await home.plan())).toEqual(contents(plan))
    expect(await home.approve()).toBe(plan.length)
    expect(contents(home.done)).toEqual(contents(plan))
    expect(await home.intents()).toEqual([])
    expect(await home.plan()).toEqual([])
    const [sheet, phone, office] = standing(home.places)
    expect(phone).toEqual(sheet)
    expect(office).toEqual(sheet)
  }, 60_000)
})

describe("editing the YAML never looks like a user's edit", () => {
  async function approved(): Promise<void> {
    world = await threePlaces(overlapping(14))
    await world.home.syncApproved()
    await world.home.shut()
    world.home.changes.length = 0
  }

  async function replan(more: object): Promise<Awaited<ReturnType<typeof world.home.plan>>> {
    world.home.configure({ brakes: NO_BRAKES, ...more })
    return world.home.plan()
  }

  test('another policy: nothing is heard and nothing planned; edits are held until it is approved', async () => {
    await approved()
    expect(await replan({ fields: { title: { owner: 'sheet' }, note: 'manual' } })).toEqual([])
    expect(world.home.changes).toEqual([])
    const before = stamps()
    world.phone.edit(idOf(world.phone, 'human5@example.org'), 'note', 'something new')
    await world.home.sync()
    expect(world.office.stamps()).toEqual(new Map((before as [string, string][][])[2]))
    expect((await world.home.intents()).map(({ connection, held }) => [connection, held])).toEqual([
      ['office', 'approval'],
      ['sheet', 'approval'],
    ])
    // Nobody has seen them in a plan yet: approving lets only those go that somebody has.
    await world.home.approve()
    expect(await world.home.intents()).toHaveLength(2)
    await world.home.plan()
    await world.home.approve()
    expect(await world.home.intents()).toEqual([])
    expect(world.office.all().get(idOf(world.office, 'human5@example.org'))?.note).toBe('something new')
  })

  test('another mapping: what the columns hold is corrected by it, and nobody else hears of it', async () => {
    await approved()
    const swapped = { fields: { title: 'Company', organisation: 'Job Title' } }
    const plan = await replan({ connections: { sheet: { mapping: swapped } } })
    expect(world.home.changes).toEqual([])
    expect(new Set(plan.map(({ connection, op }) => `${connection} ${op}`))).toEqual(new Set(['sheet update']))
    const before = world.office.all().get(idOf(world.office, 'human5@example.org'))
    await world.home.approve()
    expect(world.office.all().get(idOf(world.office, 'human5@example.org'))).toEqual(before)
    const row = world.sheet.rows().find((each) => each['E-mail'] === 'human5@example.org')
    expect(row).toMatchObject({ Company: before?.title, 'Job Title': before?.organisation })
    expect(await world.home.plan()).toEqual([])
  })

  test('a field mapped from now on: its values are taken over as first values, and fill the others', async () => {
    await approved()
    const shoes = world.sheet.rows().map((row) => row['Shoe Size'] ?? '')
    const plan = await replan({
      custom: { shoe: 'number' },
      connections: {
        sheet: { mapping: { fields: { 'custom.shoe': 'Shoe Size' } } },
        office: { mapping: { fields: { 'custom.shoe': 'X-SHOE' } } },
      },
    })
    expect(new Set(world.home.changes.map(({ cell, stamp, rule }) => `${cell} ${stamp.by} ${rule}`))).toEqual(
      new Set(['custom.shoe sheet first']),
    )
    expect(new Set(plan.map(({ connection }) => connection))).toEqual(new Set(['office']))
    await world.home.approve()
    expect(world.sheet.rows().map((row) => row['Shoe Size'] ?? '')).toEqual(shoes)
    const written = [...world.office.server.cards.values()].flatMap(
      ({ text }) => /^X-SHOE:(.*)$/m.exec(text)?.[1]?.trim() ?? [],
    )
    expect(written.sort()).toEqual(shoes.filter((shoe) => shoe !== '').sort())
    expect(await world.home.plan()).toEqual([])
  })

  test('a field mapped no longer stays as it is everywhere', async () => {
    await approved()
    const before = standing(world.home.places)
    expect(await replan({ connections: { office: { mapping: { fields: { note: false } } } } })).toEqual([])
    world.office.edit(idOf(world.office, 'human5@example.org'), 'note', 'only here')
    await world.home.sync()
    expect(standing(world.home.places).slice(0, 2)).toEqual(before.slice(0, 2))
    expect(world.home.changes).toEqual([])
  })

  test('a new column in the sheet is filled without an edit', async () => {
    await approved()
    world.sheet.change((rows) => rows.forEach((row) => delete row['Notes']))
    const header = Object.keys(world.sheet.rows()[0] ?? {})
    expect(header).toContain('Notes')
    await world.home.sync()
    const notes = [...world.office.all().values()].filter(({ note }) => note !== '').length
    expect([...world.phone.all().values()].filter(({ note }) => note !== '')).toHaveLength(notes)
  })
})
