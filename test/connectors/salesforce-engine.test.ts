import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { startSalesforceSimulator, type SalesforceSimulator } from '../../connectors/salesforce/simulator.ts'
import type { SimulatedRow } from '../../connectors/salesforce/simulator-org.ts'
import { decideItem } from '../../workers/review.ts'
import { mergeTwo } from '../../workers/merge.ts'
import { reviewItems, type ReviewItem } from '../../workers/review-items.ts'
import { contact, type Contact, type ScalarField } from '../support/contacts.ts'
import { TestHousehold } from '../support/household.ts'
import { idOf, Sheet, type Place } from '../support/places.ts'
import { NO_BRAKES } from '../support/three-places.ts'

const COLUMNS: { readonly [field in ScalarField]?: string } = {
  given: 'FirstName',
  family: 'LastName',
  title: 'Title',
  birthday: 'Birthdate',
}

/** A simulated org, as its people see it: contacts without accounts, and leads. */
class Org implements Place {
  readonly name = 'crm'
  readonly config: Place['config']
  readonly #simulator: SalesforceSimulator

  constructor(simulator: SalesforceSimulator) {
    this.#simulator = simulator
    const keyField = 'Kith_Key__c'
    this.config = { app: 'salesforce', accessToken: 'secret', instanceUrl: simulator.url, keyField }
  }

  all(): Map<string, Contact> {
    return new Map(this.#simulator.org.living().map((row) => [row.Id, seen(row)]))
  }

  add(who: Contact): void {
    const texts = Object.entries(COLUMNS).map(([field, name]) => [name, who[field as ScalarField] || null])
    const [email = null] = who.emails
    this.#simulator.org.create('Contact', { ...Object.fromEntries(texts), Email: email, Phone: who.phones[0] ?? null })
  }

  edit(id: string, field: ScalarField, value: string): void {
    this.#simulator.org.update(id, { [COLUMNS[field] ?? '']: value })
  }

  remove(id: string): void {
    this.#simulator.org.remove(id)
  }

  stamps(): Map<string, string> {
    return new Map(this.#simulator.org.living().map((row) => [row.Id, JSON.stringify([...row.values])]))
  }
}

function seen({ values }: SimulatedRow): Contact {
  const text = (name: string): string => String(values.get(name) ?? '')
  const scalars = Object.fromEntries(Object.entries(COLUMNS).map(([field, name]) => [field, text(name)]))
  const given = (...names: string[]): string[] => names.map(text).filter((value) => value !== '')
  return contact({ ...scalars, emails: given('Email'), phones: given('Phone', 'MobilePhone') })
}

const ADA = contact({ given: 'Ada', family: 'Lovelace', title: 'Analyst', emails: ['ada@example.org'] })
const GRACE = contact({ given: 'Grace', family: 'Hopper', emails: ['grace@example.org'], phones: ['+49 30 901820'] })
const NAMELESS = contact({ emails: ['info@example.org'] })

describe('Salesforce and a sheet, through the engine', () => {
  let simulator: SalesforceSimulator
  let home: TestHousehold
  let crm: Org
  let sheet: Sheet

  beforeEach(async () => {
    simulator = await startSalesforceSimulator({ accessToken: 'secret', keyField: 'Kith_Key__c' })
    const dir = TestHousehold.folder()
    crm = new Org(simulator)
    crm.add(GRACE)
    simulator.org.create('Lead', {
      FirstName: 'Ada',
      LastName: 'Lovelace',
      Company: 'Engines',
      Email: 'ada@example.org',
    })
    sheet = new Sheet('sheet', join(dir, 'contacts.csv'), [ADA, NAMELESS])
    home = await TestHousehold.make(dir, [crm, sheet], { brakes: NO_BRAKES })
    await home.syncApproved()
  })
  afterEach(async () => {
    await home.close()
    await simulator.close()
  })

  test('a first sync brings them together; a second writes nothing, and is one call (I1, I2)', async () => {
    expect([crm.all().size, sheet.all().size]).toEqual([3, 3])
    const ada = sheet.all().get(idOf(sheet, 'ada@example.org'))
    expect(ada).toMatchObject({ title: 'Analyst', organisation: 'Engines' })
    expect(crm.all().get(idOf(crm, 'ada@example.org'))).toMatchObject({ title: 'Analyst' })
    // Salesforce's stand-in for a missing last name is nobody's name.
    expect(sheet.all().get(idOf(sheet, 'info@example.org'))).toMatchObject({ given: '', family: '' })
    expect(await home.countedSync()).toEqual({ crm: 0, sheet: 0 })
    const asked = simulator.traffic.length
    await home.sync()
    // A description, as commands begin anew; and the pass.
    expect(simulator.traffic.length - asked).toBeLessThanOrEqual(2)
  })

  test('an edit on either side is one write on the other, and the echo is none (I6)', async () => {
    home.deliveries.length = 0
    crm.edit(idOf(crm, 'grace@example.org'), 'title', 'Admiral')
    await home.sync()
    expect(home.deliveries).toEqual([{ connection: 'sheet', op: 'update', state: 'done' }])
    home.deliveries.length = 0
    sheet.edit(idOf(sheet, 'ada@example.org'), 'title', 'Countess')
    await home.sync()
    expect(home.deliveries).toEqual([{ connection: 'crm', op: 'update', state: 'done' }])
    expect(crm.all().get(idOf(crm, 'ada@example.org'))?.title).toBe('Countess')
    expect(await home.countedSync()).toEqual({ crm: 0, sheet: 0 })
  })

  describe('two people who are made one', () => {
    const by = { by: 'ada', why: 'a test' }
    const runtime = async () => (await home.daemon()).runtime
    const personOf = async (email: string): Promise<string> =>
      (await (await runtime()).store.searchPeople(email, 1))[0]?.id ?? ''
    /** Makes them one; what is then left to approve in Salesforce. */
    const mergedInto = async (winner: string, loser: string): Promise<ReviewItem> => {
      const wish = { winner: await personOf(winner), loser: await personOf(loser), keep: {} }
      await mergeTwo(await runtime(), wish, by)
      await home.sync()
      const endings: ReviewItem[] = []
      for await (const item of reviewItems(await runtime(), { kind: 'ending' })) endings.push(item)
      const ours = endings.filter(({ connection }) => connection === 'crm')
      expect(ours).toHaveLength(1)
      return ours[0] as ReviewItem
    }

    test('are merged in Salesforce where both are contacts, also where the answer is lost (I5)', async () => {
      const [grace, info] = [idOf(crm, 'grace@example.org'), idOf(crm, 'info@example.org')]
      const ending = await mergedInto('grace@example.org', 'info@example.org')
      expect(ending.intent).toMatchObject({ op: 'merge', recordId: info, into: grace, state: 'held' })
      await decideItem(await runtime(), ending, { choose: 'approve', ...by })
      simulator.faults.lostAnswers = 1
      await home.syncUntil(() => simulator.org.get(info)?.deleted === true)
      expect(simulator.org.get(info)?.masterId).toBe(grace)
      const calls = simulator.traffic.filter(({ path }) => path.includes('/Soap/'))
      expect(calls).toHaveLength(1)
      await home.sync()
      expect((await home.intents()).filter(({ connection }) => connection === 'crm')).toEqual([])
      expect((await home.countedSync())['crm']).toBe(0)
    })

    test('leave a lead beside a contact to the recycle bin, as Salesforce merges no such two', async () => {
      const lead = idOf(crm, 'ada@example.org')
      const ending = await mergedInto('grace@example.org', 'ada@example.org')
      expect(ending.intent).toMatchObject({ op: 'delete', archive: true, recordId: lead, state: 'held' })
      await decideItem(await runtime(), ending, { choose: 'approve', ...by })
      await home.syncUntil(() => simulator.org.get(lead)?.deleted === true)
      expect(simulator.org.get(lead)?.masterId).toBeNull()
      expect(simulator.traffic.some(({ path }) => path.includes('/Soap/'))).toBe(false)
      expect(crm.all().get(idOf(crm, 'grace@example.org'))?.title).toBe('Analyst')
    })
  })

  test('after a lead was converted the person lives on as the contact (I5)', async () => {
    simulator.org.convert(idOf(crm, 'ada@example.org'))
    await home.sync()
    expect([crm.all().size, sheet.all().size]).toEqual([3, 3])
    crm.edit(idOf(crm, 'ada@example.org'), 'title', 'Countess')
    await home.sync()
    expect(sheet.all().get(idOf(sheet, 'ada@example.org'))?.title).toBe('Countess')
    expect(await home.countedSync()).toEqual({ crm: 0, sheet: 0 })
  })
})
