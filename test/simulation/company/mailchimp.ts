import { startMailchimpSimulator } from '../../../connectors/mailchimp/simulator.ts'
import { isRefusal, type SimulatedMember } from '../../../connectors/mailchimp/simulator-audience.ts'
import type { Random } from '../random.ts'
import { digits, type Account, type Trait } from './account.ts'

const KEY = 'simulated-us1'
const SECRET = 'mailchimp-signing-secret'

const TAGS: { readonly [trait in Trait]?: string } = {
  given: 'FNAME',
  family: 'LNAME',
  organisation: 'COMPANY',
  title: 'JOBTITLE',
  phone: 'PHONE',
}

export async function mailchimpAccount(random: Random, now: () => number): Promise<Account> {
  const simulator = await startMailchimpSimulator({
    apiKey: KEY,
    now,
    mergeFields: [{ tag: 'JOBTITLE', name: 'Job title', type: 'text' }],
    lag_ms: random.below(30_000),
    archivedShown: random.chance(0.3),
    readdsArchived: random.chance(0.5),
  })
  const { audience, faults, hooks } = simulator
  const member = (id: string): SimulatedMember | undefined => audience.live().find(({ contactId }) => contactId === id)
  const text = ({ mergeFields }: SimulatedMember, tag: string): string => String(mergeFields.get(tag) ?? '')
  return {
    name: 'mailchimp',
    options: { audience: '9e67587f52', apiKey: KEY, webhookSecret: SECRET, basePath: simulator.url },
    mishaps: {
      limit: () => (faults.fail = { status: 429, times: 2 }),
      error: () => (faults.fail = { status: 500, times: 3 }),
      edge: () => (faults.fail = { status: 403, times: 1, bare: true }),
      lost: () => (faults.lostAnswers = 1),
      partial: () => (faults.partial = true),
      cut: () => (faults.cut = 0.5),
      revoked: () => (faults.keyRevoked = true),
    },
    ids: () => audience.live().map(({ contactId }) => contactId),
    see: (id) => {
      const one = member(id)
      if (!one) return null
      const phone = digits(text(one, 'PHONE'))
      const name = `${text(one, 'FNAME')} ${text(one, 'LNAME')}`.trim()
      return { name, title: text(one, 'JOBTITLE'), emails: [one.email], phones: phone === '' ? [] : [phone] }
    },
    add: (who, draws) => {
      if (who.email === null) return null
      const merge_fields = { FNAME: who.given, LNAME: who.family, PHONE: who.phone ?? '', JOBTITLE: who.title ?? '' }
      const status = draws.chance(0.8) ? ('subscribed' as const) : ('pending' as const)
      const made = audience.add({ email_address: who.email, status, merge_fields }, 'admin')
      return isRefusal(made) ? null : made.contactId
    },
    edit: (id, trait, value) => {
      const one = member(id)
      if (!one) return false
      if (trait === 'tag') {
        audience.tag(one, [{ name: value, status: 'active' }])
        return true
      }
      const tag = TAGS[trait]
      if (trait !== 'email' && tag === undefined) return false
      const input = trait === 'email' ? { email_address: value } : { merge_fields: { [tag ?? '']: value } }
      return !isRefusal(audience.update(one, input, 'admin'))
    },
    remove: (id) => member(id) !== undefined && audience.archive(id, 'admin') === undefined,
    // Only the person can come back from the archive.
    bringBack: () => null,
    merge: () => null,
    restrict: (id, how) => {
      const one = member(id)
      if (!one) return null
      if (how === 'bounce') audience.bounce(id)
      else audience.optOut(id)
      return one.email
    },
    loosen: (id) => {
      const one = member(id)
      return one !== undefined && !isRefusal(audience.update(one, { status: 'subscribed' }, 'admin'))
    },
    optIn: (address) => {
      if (!audience.find(address)) return false
      audience.signUp(address)
      return true
    },
    mailable: (id) => {
      const { status = 'archived' } = member(id) ?? {}
      return status === 'pending' || status === 'transactional' ? null : status === 'subscribed'
    },
    calm: () => {
      Object.assign(faults, { fail: null, lostAnswers: 0, partial: false, cut: null, keyRevoked: false })
    },
    hook: async (url) => void (await hooks.subscribe({ url, signingSecret: SECRET })),
    flushed: () => hooks.flushed(),
    calls: () => simulator.requests.length,
    close: () => simulator.close(),
  }
}
