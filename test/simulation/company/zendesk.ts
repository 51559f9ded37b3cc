import { startZendeskSimulator } from '../../../connectors/zendesk/simulator.ts'
import type { SimulatedUser } from '../../../connectors/zendesk/simulator-users.ts'
import type { Random } from '../random.ts'
import { digits, refusedAs, type Account, type Trait } from './account.ts'

const LOGIN = { email: 'admin@example.com', token: 'zendesk-token' }
const SECRET = 'zendesk-webhook-secret'

export async function zendeskAccount(random: Random, now: () => number): Promise<Account> {
  const simulator = await startZendeskSimulator({ ...LOGIN, now })
  const { users, faults, hooks } = simulator
  const limits = { requests_max: 60 + random.below(300), exports_max: 10, updates_max: 5 }
  Object.assign(faults, limits)
  const people = (): SimulatedUser[] => users.all().filter(({ active, role }) => active && role === 'end-user')
  const alive = (id: string): boolean => people().some((user) => String(user.id) === id)
  const done = (work: () => unknown): boolean =>
    refusedAs(false, () => {
      work()
      return true
    })
  return {
    name: 'zendesk',
    options: { ...LOGIN, subdomain: 'simulated', baseUrl: simulator.url, webhookSecret: SECRET },
    mishaps: {
      limit: () => (faults.fail = { status: 429, times: 2, retryAfter: '20' }),
      error: () => (faults.fail = { status: 503, times: 3 }),
      lost: () => (faults.lostAnswers = 1),
      dropped: () => (faults.droppedRequests = 2),
      cut: () => (faults.cutAnswers = 2),
      rows: () => (faults.failedRows = 1),
      queued: () => (faults.jobPolls = 3),
      broken: () => (faults.brokenJob = 'failed'),
      crowded: () => (faults.jobsQueued = 30),
      imports: () => (faults.bulkImports = false),
      pages: () => (faults.page_max = 3),
      bare: () => (faults.noSideloads = true),
      expired: () => simulator.expireCursors(),
      tight: () => (faults.requests_max = 12),
    },
    ids: () => people().map(({ id }) => String(id)),
    see: (id) => {
      const user = people().find((one) => String(one.id) === id)
      if (!user) return null
      const held = (kind: string): string[] =>
        users.identitiesOf(user.id).flatMap(({ type, value }) => (type === kind ? [value] : []))
      const phones = [...new Set([user.phone ?? '', ...held('phone_number')].map(digits).filter(Boolean))]
      return { name: user.name, title: null, emails: held('email'), phones }
    },
    add: (who) =>
      refusedAs<string | null>(null, () => {
        const email = who.email === null ? {} : { email: who.email }
        const phone = who.phone === null ? {} : { phone: who.phone }
        return String(users.add({ name: `${who.given} ${who.family}`, ...email, ...phone }).id)
      }),
    edit: (id, trait, value) => alive(id) && editUser(users, Number(id), trait, value, done),
    remove: (id) => alive(id) && done(() => users.remove(Number(id))),
    bringBack: () => null,
    merge: (loser, winner) =>
      done(() => users.merge(Number(loser), Number(winner))) ? { stands: winner, gone: [loser] } : null,
    restrict: () => null,
    loosen: () => false,
    optIn: () => false,
    mailable: () => null,
    calm: () => {
      Object.assign(faults, {
        fail: null,
        lostAnswers: 0,
        droppedRequests: 0,
        cutAnswers: 0,
        failedRows: 0,
        jobPolls: 0,
      })
      Object.assign(faults, { brokenJob: null, jobsQueued: 0, bulkImports: true, page_max: 1000, noSideloads: false })
      Object.assign(faults, limits)
    },
    hook: (url) => simulator.subscribe({ url, secret: SECRET }),
    flushed: () => hooks.flushed(),
    calls: () => simulator.traffic.length,
    close: () => simulator.close(),
  }
}

function editUser(
  users: Awaited<ReturnType<typeof startZendeskSimulator>>['users'],
  id: number,
  trait: Trait,
  value: string,
  done: (work: () => unknown) => boolean,
): boolean {
  const [first = '', ...rest] = users.find(id).name.split(' ')
  switch (trait) {
    case 'given':
      return done(() => users.edit(id, { name: [value, ...rest].join(' ') }))
    case 'family':
      return done(() => users.edit(id, { name: `${first} ${value}` }))
    case 'note':
      return done(() => users.edit(id, { notes: value }))
    case 'phone':
      return done(() => users.edit(id, { phone: value }))
    case 'email':
      return done(() => users.addIdentity(id, { type: 'email', value }))
    case 'tag':
      return done(() => users.edit(id, { tags: [...users.find(id).tags, value] }))
    case 'title':
    case 'organisation':
      return false
  }
}
