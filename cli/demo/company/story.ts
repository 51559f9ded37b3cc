import { fieldOf, isElement, type Catalogue } from '../../../engine/core/catalogue.ts'
import { consentKeysOf } from '../../../engine/core/consent.ts'
import { valuesOf, type Person } from '../../../engine/core/person.ts'
import type { Intent, Link, LogEntry, Store } from '../../../engine/core/ports/store.ts'
import { outcome } from '../../log.ts'
import { personName, reason, showValue, titles } from '../../words.ts'
import { collect } from '../agreement.ts'
import type { Account, AccountRecord } from './account.ts'

const FOUND_MAX = 60
const LOG_MAX = 60

/** A line of the search. */
export interface Found {
  readonly id: string
  readonly name: string
  readonly detail: string
  readonly accounts: readonly string[]
}

/** A person as each account has them, and why. */
export interface Story {
  readonly id: string
  readonly name: string
  readonly places: readonly Place[]
  /** What Kith holds of them: each value, whose it is and by which rule it stands. */
  readonly values: readonly { readonly title: string; readonly value: string; readonly why: string }[]
  /** Newest first. */
  readonly log: readonly Line[]
  /** Records that may be this person, or somebody else. */
  readonly doubtful: readonly Doubtful[]
}

export interface Place {
  readonly account: string
  readonly record: AccountRecord | null
  /** Why there is none. */
  readonly why: string
  /** What the account does not take, and waits for somebody. */
  readonly refused: string
}

export interface Line {
  readonly at_ms: number
  readonly kind: 'stands' | 'lost' | 'written'
  readonly account: string
  readonly title: string
  readonly text: string
  readonly why: string
}

export interface Doubtful {
  readonly account: string
  readonly record: AccountRecord | null
  readonly id: string
  readonly reason: string
  readonly candidates: readonly { readonly id: string; readonly name: string }[]
}

/** Tells the page of people: what the accounts show, read from the accounts, and what Kith knows of it. */
export class Stories {
  readonly #store: Store
  readonly #catalogue: Catalogue
  readonly #accounts: readonly Account[]

  constructor(store: Store, catalogue: Catalogue, accounts: readonly Account[]) {
    this.#store = store
    this.#catalogue = catalogue
    this.#accounts = accounts
  }

  async search(query: string): Promise<Found[]> {
    const people = (await this.#store.searchPeople(query, FOUND_MAX)).filter(({ state }) => state === 'live')
    const { links } = await this.#store.loadPeople(people.map(({ id }) => id))
    const homes = Map.groupBy(
      links.filter(({ state }) => state === 'linked'),
      ({ personId }) => personId,
    )
    return people.map((person) => {
      const { organisation, title } = valuesOf(person)
      const words = [title, organisation].filter((word) => typeof word === 'string').join(', ')
      return {
        id: person.id,
        name: personName(person, person.id),
        detail: words || addressOf(person),
        accounts: (homes.get(person.id) ?? []).map(({ connection }) => connection),
      }
    })
  }

  /** null for nobody; of somebody who was merged into another, that one's. */
  async of(id: string): Promise<Story | null> {
    const { people, links, intents } = await this.#store.loadPeople([id])
    const person = people.find((each) => each.id === id)
    if (!person) return null
    if (person.mergedInto !== undefined) return this.of(person.mergedInto)
    const own = links.filter((link) => link.personId === id)
    const open = intents.filter((intent) => intent.personId === id)
    const doubtful = (await this.doubtful()).filter(({ candidates }) => candidates.some((each) => each.id === id))
    return {
      id,
      name: personName(person, id),
      places: this.#accounts.map((account) => placeOf(account, person, own, open, doubtful)),
      values: await this.#values(person),
      log: await this.#log(id),
      doubtful,
    }
  }

  /** Whose record it is, once that is known. */
  async ownerOf(account: string, record: string): Promise<string | null> {
    const { links } = await this.#store.loadRecords(account, [record])
    return links.find((link) => link.connection === account && link.recordId === record)?.personId ?? null
  }

  /** What Kith leaves to a human. */
  async doubtful(): Promise<Doubtful[]> {
    // A second record is decided, and goes away once that is approved.
    const states = ['ambiguous', 'second'] as const
    const links = (await Promise.all(states.map((state) => collect(this.#store.links({ state }))))).flat()
    const { people } = await this.#store.loadPeople([...new Set(links.flatMap(({ candidates }) => candidates ?? []))])
    const byId = new Map(people.map((person) => [person.id, person]))
    return links.map(({ connection, recordId, state, reason: why, candidates }) => ({
      account: connection,
      id: recordId,
      record: this.#accounts.find(({ name }) => name === connection)?.record(recordId) ?? null,
      reason:
        state === 'second' ? 'you have said so: it goes away once you approve that with kith review' : (why ?? ''),
      candidates: (candidates ?? []).map((id) => ({ id, name: personName(byId.get(id), id) })),
    }))
  }

  async #values(person: Person): Promise<Story['values']> {
    const order = [...this.#catalogue.fields].map(({ name }) => name)
    const title = titles(this.#catalogue.fields)
    const cells = Object.entries(person.cells)
      .filter(([, { value }]) => value !== null)
      .sort(([a], [b]) => order.indexOf(fieldOf(a)) - order.indexOf(fieldOf(b)) || (a < b ? -1 : 1))
    const consents = await this.#store.consents(consentKeysOf(person))
    return [
      ...cells.map(([cell, { value, stamp, rule }]) => ({
        title: title(cell),
        value: showValue(value),
        why: reason(stamp, rule),
      })),
      ...consents.map(({ key, state, stamp }) => ({
        title: title('consent.email'),
        value: `${state} (${key.slice(key.indexOf(':') + 1)})`,
        why: reason(stamp, 'consent'),
      })),
    ]
  }

  async #log(personId: string): Promise<Line[]> {
    const title = titles(this.#catalogue.fields)
    const heard = await this.#store.log({ personId, limit: LOG_MAX })
    const sent = await this.#store.deliveries(personId, LOG_MAX)
    const lines = [
      ...heard.filter((entry) => entry.rule !== 'first' && entry.rule !== 'same').map((entry) => lineOf(entry, title)),
      ...sent.map(({ connection, op, cells, settled_ms }): Line => {
        const names = [...new Set(Object.keys(cells).map(title))].join(', ')
        const by = [...new Set(Object.values(cells).map(({ stamp }) => stamp.by))].join(', ')
        const text = op === 'create' ? 'new record' : op === 'update' ? names : 'taken out'
        return { at_ms: settled_ms, kind: 'written', account: connection, title: '', text, why: by && `from ${by}` }
      }),
    ]
    return lines.sort((a, b) => b.at_ms - a.at_ms).slice(0, LOG_MAX)
  }
}

function lineOf(entry: LogEntry, title: (cell: string) => string): Line {
  const { cell, before, after, stamp, rule, kind, heard_ms } = entry
  const [from, to] = [showValue(before), showValue(after)]
  const applied = kind === 'applied'
  return {
    at_ms: heard_ms,
    kind: applied ? 'stands' : 'lost',
    account: stamp.by,
    title: title(cell),
    text: applied && before !== null ? `${from} → ${to}` : to,
    why: applied ? reason(stamp, rule) : outcome(entry),
  }
}

function placeOf(
  account: Account,
  person: Person,
  links: readonly Link[],
  open: readonly Intent[],
  doubtful: readonly Doubtful[],
): Place {
  const own = links.filter(({ connection }) => connection === account.name)
  const linked = own.find(({ state }) => state === 'linked')
  const record = linked ? (account.record(linked.recordId) ?? null) : null
  const intent = open.find(({ connection }) => connection === account.name)
  const parked = intent?.state === 'parked' || intent?.state === 'held'
  const refused = parked ? (intent.failure?.message ?? intent.held ?? '') : ''
  if (record) return { account: account.name, record, why: '', refused }
  const why = ((): string => {
    if (refused !== '') return 'It was not taken there.'
    if (own.some(({ state }) => state === 'gone') || linked)
      return 'It was deleted here. The other accounts keep theirs (deletes: unlink, the default).'
    if (doubtful.some((each) => each.account === account.name))
      return 'Nothing is written here before somebody has decided about the record below.'
    if (intent) return 'On its way.'
    if (account.name === 'newsletter' && addressOf(person) === '')
      return 'Without an e-mail address nobody is a member (include: in kith.yaml).'
    return 'Not here.'
  })()
  return { account: account.name, record: null, why, refused }
}

function addressOf(person: Person): string {
  const email = Object.entries(valuesOf(person)).find(([cell, value]) => fieldOf(cell) === 'emails' && isElement(value))
  return email ? showValue(email[1]).replace(/ \(.*\)$/, '') : ''
}
