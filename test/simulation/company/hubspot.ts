import { startHubSpotSimulator } from '../../../connectors/hubspot/simulator.ts'
import { isRefusal } from '../../../connectors/hubspot/simulator-contacts.ts'
import type { Random } from '../random.ts'
import { digits, type Account, type Trait } from './account.ts'

const TOKEN = 'pat-simulated'
const SECRET = 'hubspot-client-secret'
const PORTAL = 62_515

const PROPERTIES: { readonly [trait in Trait]?: string } = {
  given: 'firstname',
  family: 'lastname',
  title: 'jobtitle',
  organisation: 'company',
  phone: 'phone',
  email: 'email',
}

export async function hubspotAccount(random: Random, now: () => number): Promise<Account> {
  const key = {
    name: 'kith_key',
    label: 'Kith key',
    type: 'string' as const,
    fieldType: 'text',
    unique: true,
  }
  const simulator = await startHubSpotSimulator({
    token: TOKEN,
    now,
    properties: random.chance(0.5) ? [key] : [],
    searchLag_ms: random.below(20_000),
    mergeKeepsPrimary: random.chance(0.3),
    requests_max: 60 + random.below(60),
    searches_max: 4,
  })
  const { contacts, faults } = simulator
  const text = (id: string, name: string): string => contacts.resolve(id)?.properties.get(name) ?? ''
  const people = 'CRM_UI'
  return {
    name: 'hubspot',
    options: { token: TOKEN, clientSecret: SECRET, portal: String(PORTAL), basePath: simulator.url },
    mishaps: {
      limit: () => (faults.fail = { status: 429, times: 2, retryAfter: '7' }),
      error: () => (faults.fail = { status: 500, times: 3 }),
      lost: () => (faults.lostAnswers = 1),
      partial: () => (faults.partial = true),
      cut: () => (faults.cut = 0.6),
      revoked: () => (faults.tokenRevoked = true),
      silent: () => (faults.mergedLeftOut = true),
      whole: () => (faults.noMultiStatus = true),
    },
    ids: () => contacts.live().map(({ id }) => id),
    see: (id) => {
      if (!contacts.live().some((contact) => contact.id === id)) return null
      const emails = [text(id, 'email'), ...text(id, 'hs_additional_emails').split(';')].filter(Boolean)
      const phones = [text(id, 'phone'), text(id, 'mobilephone')].filter(Boolean).map(digits)
      const name = `${text(id, 'firstname')} ${text(id, 'lastname')}`.trim()
      return { name, title: text(id, 'jobtitle'), emails, phones }
    },
    add: (who) => {
      const given = {
        firstname: who.given,
        lastname: who.family,
        email: who.email,
        phone: who.phone,
        jobtitle: who.title,
      }
      const sent = Object.entries(given).filter((entry): entry is [string, string] => entry[1] !== null)
      const made = contacts.create(Object.fromEntries(sent), people)
      return isRefusal(made) ? null : made.id
    },
    edit: (id, trait, value) => {
      const name = PROPERTIES[trait]
      return name !== undefined && !isRefusal(contacts.update(id, { [name]: value }, people))
    },
    remove: (id) => {
      contacts.archive(id)
      return true
    },
    bringBack: (id) => {
      const archived = contacts.archived().find((contact) => contact.id === id)
      const address = archived?.properties.get('email') ?? ''
      // HubSpot itself merges the two then.
      if (!archived || (address !== '' && contacts.byValue('email', address))) return null
      contacts.restore(id)
      return id
    },
    merge: (loser, winner) => {
      const { id } = contacts.merge(winner, loser)
      return { stands: id, gone: [loser, winner].filter((one) => one !== id) }
    },
    restrict: (id, how) => {
      const address = text(id, 'email')
      if (how === 'bounce' || address === '') return null
      contacts.optOut(address)
      return address
    },
    // They come back by a click of their own, of which HubSpot tells nobody.
    loosen: (id) => {
      if (text(id, 'hs_email_optout') !== 'true') return false
      contacts.optIn(text(id, 'email'))
      return true
    },
    optIn: () => false,
    mailable: (id) => (text(id, 'hs_email_optout') === 'true' ? false : null),
    calm: () => {
      Object.assign(faults, { fail: null, lostAnswers: 0, partial: false, cut: null, tokenRevoked: false })
      Object.assign(faults, { mergedLeftOut: false, noMultiStatus: false })
    },
    hook: (url) => simulator.hook({ url, clientSecret: SECRET, portalId: PORTAL, pause_ms: 1 }),
    flushed: () => simulator.hooksDelivered(),
    calls: () => simulator.requests.length,
    close: () => simulator.close(),
  }
}
