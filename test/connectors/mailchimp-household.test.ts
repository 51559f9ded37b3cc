import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { startMailchimpSimulator, type MailchimpSimulator } from '../../connectors/mailchimp/simulator.ts'
import { isRefusal, type SimulatedMember } from '../../connectors/mailchimp/simulator-audience.ts'
import { contact, type Contact, type ScalarField } from '../support/contacts.ts'
import { TestHousehold } from '../support/household.ts'
import { idOf, Sheet, type Place } from '../support/places.ts'
import { NO_BRAKES } from '../support/three-places.ts'

const KEY = 'secret-us6'
const TAGS: { readonly [field in ScalarField]?: string } = {
  given: 'FNAME',
  family: 'LNAME',
  organisation: 'COMPANY',
  birthday: 'BIRTHDAY',
}

/** An audience, as marketers see it: one address each, no notes, birthdays without a year. */
class Newsletter implements Place {
  readonly name = 'newsletter'
  readonly simulator: MailchimpSimulator
  readonly config: Place['config']

  constructor(simulator: MailchimpSimulator) {
    this.simulator = simulator
    this.config = { app: 'mailchimp', audience: '9e67587f52', apiKey: KEY, basePath: simulator.url }
  }

  all(): Map<string, Contact> {
    return new Map(this.simulator.audience.live().map((member) => [member.contactId, seen(member)]))
  }

  add(who: Contact): void {
    const [email = ''] = who.emails
    const merge = Object.entries(TAGS).map(([field, tag]) => [tag, who[field as ScalarField]])
    const fields = { email_address: email, status: 'subscribed', merge_fields: Object.fromEntries(merge) } as const
    if (isRefusal(this.simulator.audience.add(fields, 'admin'))) throw new Error('refused')
    this.simulator.advance(61_000)
  }

  edit(id: string, field: ScalarField, value: string): void {
    const { audience } = this.simulator
    const merge_fields = { [TAGS[field] ?? '']: value }
    if (isRefusal(audience.update(audience.get(id), { merge_fields }, 'user'))) throw new Error('refused')
    this.simulator.advance(61_000)
  }

  remove(id: string): void {
    this.simulator.audience.archive(id, 'admin')
    this.simulator.advance(61_000)
  }

  stamps(): Map<string, string> {
    const members = this.simulator.audience.live()
    return new Map(members.map((one) => [one.contactId, JSON.stringify([one.email, one.status, ...one.mergeFields])]))
  }

  status(email: string): string | undefined {
    return this.simulator.audience.find(email)?.status
  }
}

function seen({ email, mergeFields }: SimulatedMember): Contact {
  const text = (tag: string): string => String(mergeFields.get(tag) ?? '')
  const scalars = Object.entries(TAGS).map(([field, tag]) => [field, text(tag)])
  const phone = text('PHONE')
  return contact({ ...Object.fromEntries(scalars), emails: [email], phones: phone === '' ? [] : [phone] })
}

const ADA = contact({
  given: 'Ada',
  family: 'Lovelace',
  organisation: 'Analytical Engines',
  birthday: '1815-12-10',
  emails: ['ada@example.org', 'ada@home.example'],
  phones: ['+4930901820'],
})
const GRACE = contact({ given: 'Grace', family: 'Hopper', emails: ['grace@example.org'] })

describe('a sheet and a newsletter', () => {
  let sheet: Sheet
  let newsletter: Newsletter
  let home: TestHousehold

  beforeEach(async () => {
    const dir = TestHousehold.folder()
    sheet = new Sheet('sheet', join(dir, 'contacts.csv'), [ADA])
    newsletter = new Newsletter(await startMailchimpSimulator({ apiKey: KEY }))
    newsletter.add(GRACE)
    newsletter.add(contact({ given: 'Ada', emails: ['ADA@home.example'] }))
    home = await TestHousehold.make(dir, [sheet, newsletter], { brakes: NO_BRAKES })
    await home.syncApproved()
  })
  afterEach(async () => {
    await home.close()
    await newsletter.simulator.close()
  })

  test('agree after the first sync, each member at the address it had, and have nothing more to write (I1, I2, I4)', async () => {
    expect([sheet.all().size, newsletter.all().size]).toEqual([2, 2])
    const ada = newsletter.all().get(idOf(newsletter, 'ada@home.example'))
    expect(ada).toMatchObject({ family: 'Lovelace', organisation: 'Analytical Engines', birthday: '12/10' })
    expect(sheet.all().get(idOf(sheet, 'ada@example.org'))?.birthday).toBe('1815-12-10')
    newsletter.simulator.advance(180_000)
    expect(await home.countedSync()).toEqual({ sheet: 0, newsletter: 0 })
    const asked = newsletter.simulator.requests.length
    await home.sync()
    expect(newsletter.simulator.requests.length - asked).toBe(1)
  })

  test('an edit on either side lives on the other (I6)', async () => {
    newsletter.edit(idOf(newsletter, 'grace@example.org'), 'organisation', 'Navy')
    await home.sync()
    expect(sheet.all().get(idOf(sheet, 'grace@example.org'))?.organisation).toBe('Navy')
    sheet.edit(idOf(sheet, 'ada@example.org'), 'given', 'Augusta')
    expect((await home.countedSync())['newsletter']).toBe(1)
    expect(newsletter.all().get(idOf(newsletter, 'ada@home.example'))?.given).toBe('Augusta')
  })

  test('what is written to a person who unsubscribed does not subscribe them again, nor does a new one count as asked (I7)', async () => {
    newsletter.simulator.audience.optOut(idOf(newsletter, 'ada@home.example'))
    newsletter.simulator.advance(61_000)
    sheet.edit(idOf(sheet, 'ada@example.org'), 'given', 'Augusta')
    sheet.add(contact({ given: 'Alan', emails: ['alan@example.org'] }))
    await home.sync()
    expect(newsletter.status('ada@home.example')).toBe('unsubscribed')
    expect(newsletter.all().get(idOf(newsletter, 'ada@home.example'))?.given).toBe('Augusta')
    expect(newsletter.status('alan@example.org')).toBe('transactional')
  })
})
