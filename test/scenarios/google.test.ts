import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { startGoogleSimulator, type GoogleSimulator } from '../../connectors/google/simulator.ts'
import type { Json, JsonObject } from '../../engine/core/json.ts'
import { contact, sorted, type Contact, type ScalarField } from '../support/contacts.ts'
import { findings } from '../support/google.ts'
import { TestHousehold } from '../support/household.ts'
import { idOf, Sheet, type Place } from '../support/places.ts'

const LAG_MS = 5 * 60_000

/** A Google account, as people see it in their browser. */
class Phones implements Place {
  readonly name = 'phones'
  readonly config: Place['config']
  readonly #simulator: GoogleSimulator

  constructor(simulator: GoogleSimulator) {
    this.#simulator = simulator
    const { rootUrl, tokenUrl } = simulator
    this.config = { app: 'google', accessToken: '${GOOGLE_TOKEN}', rootUrl, tokenUrl }
  }

  all(): Map<string, Contact> {
    return new Map(this.#simulator.book.all().map(({ name, state }) => [name, contactOf(state ?? {})]))
  }

  add(who: Contact): void {
    this.#simulator.book.add({
      names: [{ givenName: who.given, familyName: who.family }],
      emailAddresses: who.emails.map((value) => ({ value })),
      phoneNumbers: who.phones.map((value) => ({ value, type: 'mobile' })),
      organizations: [{ name: who.organisation, title: who.title, jobDescription: 'as they said' }],
    })
  }

  edit(id: string, field: ScalarField, value: string): void {
    if (field !== 'note') throw new Error('only notes are edited here')
    this.#simulator.book.edit(id, { biographies: [{ value }] })
  }

  remove(id: string): void {
    this.#simulator.book.remove(id)
  }

  stamps(): Map<string, string> {
    return new Map(this.#simulator.book.all().map(({ name, etag }) => [name, etag]))
  }
}

function contactOf(state: JsonObject): Contact {
  const list = (field: string): JsonObject[] => (state[field] ?? []) as Json[] as JsonObject[]
  const text = (item: JsonObject | undefined, part: string): string => String(item?.[part] ?? '')
  const [name, organization, birthday] = [list('names')[0], list('organizations')[0], list('birthdays')[0]]
  const { year = 0, month = 0, day = 0 } = (birthday?.['date'] ?? {}) as { year?: number; month?: number; day?: number }
  const two = (number: number): string => String(number).padStart(2, '0')
  return {
    given: text(name, 'givenName'),
    family: text(name, 'familyName'),
    organisation: text(organization, 'name'),
    title: text(organization, 'title'),
    birthday: month === 0 ? '' : `${year}-${two(month)}-${two(day)}`,
    note: text(list('biographies')[0], 'value'),
    emails: list('emailAddresses').map((item) => text(item, 'value')),
    phones: list('phoneNumbers').map((item) => text(item, 'value')),
  }
}

const PEOPLE = Array.from({ length: 30 }, (_, n) =>
  contact({
    given: ['Ada', 'Żaneta', '美咲'][n % 3] ?? '',
    family: `Lovelace ${n}`,
    organisation: `Company ${n % 7}`,
    title: 'Analyst',
    birthday: n % 2 === 0 ? '1985-04-12' : '',
    emails: [`person.${n}@example.org`],
    phones: n % 3 === 0 ? [`+49 30 ${1_000_000 + n}`] : [],
  }),
)

describe('a sheet and a Google account whose listings lag', () => {
  let simulator: GoogleSimulator
  let sheet: Sheet
  let phones: Phones
  let home: TestHousehold

  beforeEach(async () => {
    simulator = await startGoogleSimulator({ accessToken: 'ya29.static', lag_ms: LAG_MS })
    const dir = TestHousehold.folder()
    sheet = new Sheet('sheet', join(dir, 'people.csv'), PEOPLE.slice(0, 20))
    phones = new Phones(simulator)
    for (const who of PEOPLE.slice(10)) phones.add({ ...who, birthday: '' })
    simulator.book.settle()
    home = await TestHousehold.make(dir, [sheet, phones], {}, { GOOGLE_TOKEN: 'ya29.static' })
    await home.syncApproved()
  })
  afterEach(async () => {
    await home.close()
    await simulator.close()
    const wrong = findings(simulator)
    if (wrong.length > 0) throw new Error(`not of Google's API: ${wrong.join('; ')}`)
  })

  test('end in agreement, with one request for all creates and one for all updates', async () => {
    expect(sorted([...phones.all().values()])).toEqual(sorted([...sheet.all().values()]))
    expect(phones.all().size).toBe(30)
    const writes = simulator.exchanges.filter(({ method }) => method === 'POST').map(({ path }) => path)
    expect(writes.toSorted()).toEqual(['/v1/people:batchCreateContacts', '/v1/people:batchUpdateContacts'])
    expect(await home.countedSync()).toEqual({ sheet: 0, phones: 0 })
  })

  test('an edit in one is one write in the other, and comes back to neither (I6), while listings still show the old', async () => {
    sheet.edit(idOf(sheet, 'person.3@example.org'), 'title', 'Countess')
    await home.sync()
    expect(phones.all().get(idOf(phones, 'person.3@example.org'))?.title).toBe('Countess')
    phones.edit(idOf(phones, 'person.15@example.org'), 'note', 'met in 1833')
    expect(await home.countedSync()).toEqual({ sheet: 0, phones: 0 })
    simulator.book.settle()
    // The row and the file itself.
    expect(await home.countedSync()).toEqual({ sheet: 2, phones: 0 })
    expect(sheet.all().get(idOf(sheet, 'person.15@example.org'))?.note).toBe('met in 1833')
    expect(await home.countedSync()).toEqual({ sheet: 0, phones: 0 })
    expect(sorted([...phones.all().values()])).toEqual(sorted([...sheet.all().values()]))
  })

  test('what Kith does not map stays in Google', () => {
    const jobs = simulator.book
      .all()
      .flatMap(({ state }) => (state?.['organizations'] ?? []) as JsonObject[])
      .filter((item) => item['jobDescription'] === 'as they said')
    expect(jobs).toHaveLength(20)
  })
})
