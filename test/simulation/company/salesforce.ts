import { startSalesforceSimulator } from '../../../connectors/salesforce/simulator.ts'
import type { Random } from '../random.ts'
import { digits, refusedAs, type Account, type Trait } from './account.ts'

const CLIENT = { id: 'kith-app', secret: 'salesforce-client-secret' }
const WORD = 'a-word-in-the-address'
const ORG = '00DKith00000001MAA'

const COLUMNS: { readonly [trait in Trait]?: string } = {
  given: 'FirstName',
  family: 'LastName',
  title: 'Title',
  phone: 'Phone',
  email: 'Email',
}

export async function salesforceAccount(random: Random, now: () => number): Promise<Account> {
  const keyField = random.chance(0.5) ? 'Kith_Key__c' : undefined
  const simulator = await startSalesforceSimulator({
    client: CLIENT,
    organizationId: ORG,
    now,
    ...(keyField ? { keyField } : {}),
  })
  const { org, faults, messages } = simulator
  const value = (id: string, name: string): string => String(org.get(id)?.values.get(name) ?? '')
  const alive = (id: string): boolean => org.living().some(({ Id }) => Id === id)
  const done = (work: () => unknown): boolean =>
    refusedAs(false, () => {
      work()
      return true
    })
  return {
    name: 'salesforce',
    options: {
      clientId: CLIENT.id,
      clientSecret: CLIENT.secret,
      grant: 'client_credentials',
      loginUrl: simulator.url,
      organizationId: ORG,
      webhookToken: WORD,
      ...(keyField ? { keyField } : {}),
    },
    mishaps: {
      limit: () =>
        (faults.fail = { status: 403, times: 1, errorCode: 'REQUEST_LIMIT_EXCEEDED', message: 'TotalRequests' }),
      error: () => (faults.fail = { status: 500, times: 3 }),
      busy: () => (faults.fail = { status: 503, times: 2, retryAfter: '5' }),
      lost: () => (faults.lostAnswers = 1),
      dropped: () => (faults.droppedRequests = 2),
      partial: () => (faults.partial = true),
      cut: () => (faults.cut = 0.5),
      expired: () => simulator.expireSessions(),
      pages: () => (faults.page_max = 3),
      uncounted: () => (faults.countTimesOut = true),
      used: () => Object.assign(faults.usage, { used: 85_000 }),
    },
    ids: () => org.living().map(({ Id }) => Id),
    see: (id) => {
      if (!alive(id)) return null
      const phones = ['Phone', 'MobilePhone', 'HomePhone', 'OtherPhone'].map((name) => digits(value(id, name)))
      return {
        name: `${value(id, 'FirstName')} ${value(id, 'LastName')}`.trim(),
        title: value(id, 'Title'),
        emails: [value(id, 'Email')].filter(Boolean),
        phones: phones.filter(Boolean),
      }
    },
    add: (who, draws) => {
      const row = { FirstName: who.given, LastName: who.family, Email: who.email, Phone: who.phone, Title: who.title }
      const isLead = draws.chance(0.3)
      return refusedAs<string | null>(null, () =>
        isLead ? org.create('Lead', { ...row, Company: 'Some Company' }).Id : org.create('Contact', row).Id,
      )
    },
    edit: (id, trait, text) => {
      const name = COLUMNS[trait]
      return name !== undefined && done(() => org.update(id, { [name]: text }))
    },
    remove: (id) => done(() => org.remove(id)),
    bringBack: (id) =>
      org.get(id)?.deleted === true && org.get(id)?.masterId === null && done(() => org.undelete(id)) ? id : null,
    merge: (loser, winner) => {
      if (org.get(loser)?.object !== org.get(winner)?.object) return null
      org.merge(loser, winner)
      return { stands: winner, gone: [loser] }
    },
    restrict: (id, how) => {
      const address = value(id, 'Email')
      const mark = how === 'bounce' ? { EmailBouncedDate: new Date(now()).toISOString() } : { HasOptedOutOfEmail: true }
      return address !== '' && done(() => org.update(id, mark)) ? address : null
    },
    loosen: (id) => done(() => org.update(id, { HasOptedOutOfEmail: false, EmailBouncedDate: null })),
    optIn: () => false,
    mailable: (id) =>
      value(id, 'HasOptedOutOfEmail') === 'true' || value(id, 'EmailBouncedDate') !== '' ? false : null,
    calm: () => {
      Object.assign(faults, { fail: null, lostAnswers: 0, droppedRequests: 0, partial: false, cut: null })
      Object.assign(faults, { page_max: 2000, countTimesOut: false })
      Object.assign(faults.usage, { used: 0 })
    },
    hook: (url) => messages.subscribe({ url: `${url}/${WORD}`, organizationId: ORG, pause_ms: 1, tries_max: 3 }),
    flushed: () => messages.settled(),
    calls: () => simulator.traffic.filter(({ path }) => !path.startsWith('/services/oauth2/')).length,
    close: () => simulator.close(),
  }
}
