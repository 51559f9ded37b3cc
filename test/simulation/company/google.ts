import { startGoogleSimulator } from '../../../connectors/google/simulator.ts'
import type { Json, JsonObject } from '../../../engine/core/json.ts'
import type { Random } from '../random.ts'
import { digits, refusedAs, type Account, type Trait } from './account.ts'

const CLIENT = { clientId: 'kith.apps.example', clientSecret: 'google-client-secret', refreshToken: '1//refresh' }

export async function googleAccount(random: Random, now: () => number): Promise<Account> {
  const simulator = await startGoogleSimulator({ ...CLIENT, now, lag_ms: random.below(180_000) })
  const { book, faults } = simulator
  const items = (id: string, field: string): JsonObject[] =>
    (book.contact(id, false)?.state?.[field] ?? []) as JsonObject[]
  const text = (id: string, field: string, part: string): string => String(items(id, field)[0]?.[part] ?? '')
  const alive = (id: string): boolean => book.all().some(({ name }) => name === id)
  const values = (id: string, field: string): string[] => items(id, field).map((item) => String(item['value'] ?? ''))
  return {
    name: 'google',
    options: { ...CLIENT, rootUrl: simulator.rootUrl, tokenUrl: simulator.tokenUrl },
    mishaps: {
      limit: () => (faults.fail = { http: 429, status: 'RESOURCE_EXHAUSTED', times: 2, retryAfter: '20' }),
      error: () => (faults.fail = { http: 503, status: 'UNAVAILABLE', times: 3 }),
      lost: () => (faults.lostAnswers = 1),
      broken: () => (faults.brokenListings = 1),
      cut: () => (faults.cutListings = 1),
      partial: () => (faults.partialFailure = true),
      nameless: () => (faults.refusals = 'nameless'),
      each: () => (faults.refusals = 'each'),
      stale: () => (faults.staleReads = true),
      expired: () => simulator.expireAccess(),
      resync: () => simulator.expireSyncTokens(),
      quota: () => (faults.quota = 20),
    },
    ids: () => book.all().map(({ name }) => name),
    see: (id) => {
      if (!alive(id)) return null
      return {
        name: `${text(id, 'names', 'givenName')} ${text(id, 'names', 'familyName')}`.trim(),
        title: text(id, 'organizations', 'title'),
        emails: values(id, 'emailAddresses'),
        phones: values(id, 'phoneNumbers').map(digits),
      }
    },
    add: (who) =>
      book.add({
        names: [{ givenName: who.given, familyName: who.family }],
        ...(who.email === null ? {} : { emailAddresses: [{ value: who.email, type: 'work' }] }),
        ...(who.phone === null ? {} : { phoneNumbers: [{ value: who.phone, type: 'mobile' }] }),
        ...(who.title === null ? {} : { organizations: [{ title: who.title }] }),
      }),
    edit: (id, trait, value) => {
      const change = alive(id) ? changeOf(trait, value, (field) => items(id, field)) : null
      if (!change) return false
      book.edit(id, change)
      return true
    },
    remove: (id) => alive(id) && refusedAs(false, () => (book.remove(id), true)),
    bringBack: (id) => (alive(id) ? null : refusedAs<string | null>(null, () => (book.restore(id), id))),
    merge: (loser, winner) => {
      book.mergeDuplicates(loser, winner)
      return { stands: winner, gone: [loser] }
    },
    restrict: () => null,
    loosen: () => false,
    optIn: () => false,
    mailable: () => null,
    calm: () => {
      Object.assign(faults, { fail: null, lostAnswers: 0, brokenListings: 0, cutListings: 0, partialFailure: false })
      Object.assign(faults, { refusals: 'named', staleReads: false, quota: Number.POSITIVE_INFINITY })
    },
    flushed: () => Promise.resolve(),
    calls: () => simulator.exchanges.filter(({ path }) => path !== '/token').length,
    close: () => simulator.close(),
  }
}

/** The fields that an edit replaces whole, as the editor of the web page does. */
function changeOf(trait: Trait, value: string, items: (field: string) => JsonObject[]): JsonObject | null {
  const [name = {}] = items('names')
  const [organisation = {}] = items('organizations')
  // What Google works out by itself is worked out anew.
  const { displayName: _1, displayNameLastFirst: _2, unstructuredName: _3, ...parts } = name
  const with_ = (field: string, item: Json): JsonObject => ({ [field]: [...items(field), item] })
  switch (trait) {
    case 'given':
      return { names: [{ ...parts, givenName: value }] }
    case 'family':
      return { names: [{ ...parts, familyName: value }] }
    case 'title':
      return { organizations: [{ ...organisation, title: value }] }
    case 'organisation':
      return { organizations: [{ ...organisation, name: value }] }
    case 'note':
      return { biographies: [{ value, contentType: 'TEXT_PLAIN' }] }
    case 'phone':
      return with_('phoneNumbers', { value, type: 'home' })
    case 'email':
      return with_('emailAddresses', { value, type: 'other' })
    case 'tag':
      return null
  }
}
