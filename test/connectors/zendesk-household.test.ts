import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { startZendeskSimulator, type ZendeskSimulator } from '../../connectors/zendesk/simulator.ts'
import { contact, type Contact, type ScalarField } from '../support/contacts.ts'
import { standing, TestHousehold } from '../support/household.ts'
import { idOf, Sheet, type Place } from '../support/places.ts'
import { NO_BRAKES } from '../support/three-places.ts'

const EMAIL = 'admin@acme.example'
const TOKEN = 'sesame'

/** A support desk, as agents see it: names in one piece, no job titles, no birthdays. */
class Desk implements Place {
  readonly name = 'desk'
  readonly simulator: ZendeskSimulator
  readonly config: Place['config']

  constructor(simulator: ZendeskSimulator) {
    this.simulator = simulator
    this.config = { app: 'zendesk', subdomain: 'acme', email: EMAIL, token: TOKEN, baseUrl: simulator.url }
  }

  all(): Map<string, Contact> {
    const { users } = this.simulator
    const people = users.all().filter(({ active, role }) => active && role === 'end-user')
    return new Map(
      people.map(({ id, name, notes, phone }) => {
        const [given = '', family = ''] = name.split(' ')
        const numbers = users.identitiesOf(id).filter(({ type }) => type === 'phone_number')
        const emails = users.identitiesOf(id).filter(({ type }) => type === 'email')
        const phones = [...new Set([...(phone === null ? [] : [phone]), ...numbers.map(({ value }) => value)])]
        return [String(id), contact({ given, family, note: notes, emails: emails.map(({ value }) => value), phones })]
      }),
    )
  }

  add({ given, family, note, emails }: Contact): void {
    const identities = emails.map((value) => ({ type: 'email', value }))
    this.simulator.users.add({ name: `${given} ${family}`, notes: note, identities })
    this.simulator.advance(61_000)
  }

  edit(id: string, field: ScalarField, value: string): void {
    if (field !== 'note') throw new Error(`the desk has no ${field}`)
    this.simulator.users.edit(Number(id), { notes: value })
    this.simulator.advance(61_000)
  }

  remove(id: string): void {
    this.simulator.users.remove(Number(id))
    this.simulator.advance(61_000)
  }

  stamps(): Map<string, string> {
    const { users } = this.simulator
    return new Map(users.all().map((user) => [String(user.id), JSON.stringify([user, users.identitiesOf(user.id)])]))
  }
}

const ADA = contact({
  given: 'Ada',
  family: 'Lovelace',
  note: 'first',
  emails: ['ada@example.org', 'ada@home.example'],
  phones: ['+4930901820', '+491711234567'],
})
const GRACE = contact({ given: 'Grace', family: 'Hopper', emails: ['grace@example.org'] })
const NAMELESS = contact({ emails: ['info@acme.example'] })

describe('a sheet and a support desk', () => {
  let sheet: Sheet
  let desk: Desk
  let home: TestHousehold

  beforeEach(async () => {
    const dir = TestHousehold.folder()
    sheet = new Sheet('sheet', join(dir, 'contacts.csv'), [ADA, NAMELESS])
    desk = new Desk(await startZendeskSimulator({ email: EMAIL, token: TOKEN }))
    // Kith paces its exports itself; that the account's clock is put forward is no reason to count them anew.
    desk.simulator.faults.exports_max = Infinity
    desk.add(GRACE)
    desk.add(contact({ given: 'Ada', family: 'Lovelace', emails: ['ADA@example.org'] }))
    home = await TestHousehold.make(dir, [sheet, desk], { brakes: NO_BRAKES })
    await home.syncApproved()
  })
  afterEach(async () => {
    await home.close()
    await desk.simulator.close()
  })

  test('agree after the first sync, and have nothing more to write (I1, I2, I4)', async () => {
    const [inSheet, atDesk] = standing([sheet, desk])
    expect(atDesk).toHaveLength(3)
    const addresses = (all: readonly Contact[] = []): string[] => all.map(({ emails }) => emails.join(' ')).toSorted()
    expect(addresses(atDesk)).toEqual(addresses(inSheet))
    const ada = desk.all().get(idOf(desk, 'ada@example.org'))
    expect(ada).toMatchObject({ note: 'first', emails: ['ada@example.org', 'ada@home.example'] })
    expect(new Set(ada?.phones)).toEqual(new Set(ADA.phones))
    expect(sheet.all().get(idOf(sheet, 'info@acme.example'))).toMatchObject({ given: '', family: '' })
    desk.simulator.advance(61_000)
    expect(await home.countedSync()).toEqual({ sheet: 0, desk: 0 })
  })

  test('an edit on either side lives on the other (I6)', async () => {
    desk.edit(idOf(desk, 'grace@example.org'), 'note', 'calls on Mondays')
    // The row, and the file that it stands in.
    expect(await home.countedSync()).toEqual({ sheet: 2, desk: 0 })
    expect(sheet.all().get(idOf(sheet, 'grace@example.org'))?.note).toBe('calls on Mondays')
    sheet.edit(idOf(sheet, 'ada@example.org'), 'given', 'Augusta')
    expect((await home.countedSync())['desk']).toBe(1)
    expect(desk.all().get(idOf(desk, 'ada@example.org'))?.given).toBe('Augusta')
  })
})
