import { FailureError } from '../../engine/core/failure.ts'
import type { HubSpotClient } from './client.ts'
import { failureOfItem } from './errors.ts'
import { same } from './fields.ts'
import { ACTIVE, isListField, NONE, sorted, STATIC, type ListField, type Memberships } from './list-fields.ts'
import { CONTACTS, LIMITS, type ListInfo } from './wire.ts'

/** A renamed list is heard about this late, at most, where only reads and writes go on. */
const FRESH_MS = 10 * 60_000
/** More pages of lists, or of a list's members, than any account has. */
const PAGES_MAX = 1000
/** Ids in the query of one request: a URL of more than some 16,000 characters is refused. */
const IDS_MAX = 100
/** For how long a list's change is looked at as perhaps our own write, and perhaps undone since. */
const WROTE_MS = 60 * 60_000

export interface ContactList {
  readonly id: string
  readonly name: string
  readonly field: ListField
  readonly size: number
  /** Another one whenever somebody has joined or left. */
  readonly mark: string
}

/** One membership as it is told. */
interface Told {
  readonly listId: string
  readonly lastAddedTimestamp?: number | undefined
}

/** For how long our own write is believed rather than an answer that shows it not yet. */
const LAG_MS = 60_000

/** What we lately made of one membership. */
interface Wrote {
  readonly member: boolean
  readonly at_ms: number
  answered: boolean
  /** Seen otherwise since: what is there now has to be read. */
  doubted: boolean
}

/** The account's lists of contacts, by id, and who is in them. Asks for nothing as long as no list field is selected. */
export class Lists {
  readonly #client: HubSpotClient
  readonly #now: () => number
  #fields: readonly ListField[] = []
  #all = new Map<string, ContactList>()
  /** Made by us, or asked for by id: the listing is a search, and may show them late. */
  readonly #late = new Map<string, { list: ContactList; until_ms: number }>()
  /** Contacts are said to be in them, and they are no lists of contacts that we may see: not asked about again. */
  readonly #nameless = new Set<string>()
  readonly #wrote = new Map<string, Map<string, Wrote>>()
  #listed_ms: number | undefined

  constructor(client: HubSpotClient, now: () => number) {
    this.#client = client
    this.#now = now
  }

  select(fields: readonly string[]): void {
    this.#fields = fields.filter(isListField).sort()
  }

  get fields(): readonly ListField[] {
    return this.#fields
  }

  get isOn(): boolean {
    return this.#fields.length > 0
  }

  /** Of the selected kinds. */
  get selected(): ContactList[] {
    return [...this.#all.values()].filter(({ field }) => this.#fields.includes(field))
  }

  async list(signal: AbortSignal | undefined): Promise<void> {
    const all = new Map<string, ContactList>()
    let offset = 0
    for (let pages = 0; ; pages++) {
      const page = await this.#client.lists.search(offset, signal)
      for (const info of page.lists) {
        const list = listFrom(info)
        if (list) all.set(list.id, list)
      }
      if (!page.hasMore) break
      if (page.offset <= offset || pages === PAGES_MAX) throw new FailureError(circling('listing of lists'))
      offset = page.offset
    }
    const now_ms = this.#now()
    for (const [id, { list, until_ms }] of this.#late) {
      if (all.has(id) || until_ms < now_ms) this.#late.delete(id)
      else all.set(id, list)
    }
    for (const id of all.keys()) this.#nameless.delete(id)
    this.#all = all
    this.#listed_ms = now_ms
  }

  async refresh(signal: AbortSignal | undefined): Promise<void> {
    if (this.#listed_ms === undefined || this.#now() - this.#listed_ms >= FRESH_MS) await this.list(signal)
  }

  /** What is known of the lists is out of date. @param gone a list that is no more */
  forget(gone?: string): void {
    this.#listed_ms = undefined
    if (gone === undefined) return
    this.#late.delete(gone)
    this.#all.delete(gone)
  }

  /** Which lists these contacts are in; nothing for all where no list field is selected. */
  async of(ids: readonly string[], signal: AbortSignal | undefined): Promise<ReadonlyMap<string, Memberships>> {
    const found = new Map<string, Memberships>()
    if (!this.isOn || ids.length === 0) return found
    await this.refresh(signal)
    const wanted = [...new Set(ids)]
    const said: { recordId: string; lists: readonly Told[] }[] = []
    for (let at = 0; at < wanted.length; at += LIMITS.memberships_max) {
      const answer = await this.#client.lists.memberships(wanted.slice(at, at + LIMITS.memberships_max), signal)
      // One contact in no list for an error's sake would lose its tags everywhere.
      const error = (answer.errors ?? []).find(({ category }) => category !== 'OBJECT_NOT_FOUND')
      if (error) throw new FailureError(failureOfItem(error))
      for (const { recordId, recordListMemberships } of answer.results)
        said.push({ recordId, lists: recordListMemberships })
    }
    await this.#learn(new Set(said.flatMap(({ lists }) => lists.map(({ listId }) => listId))), signal)
    for (const { recordId, lists } of said) found.set(recordId, this.#membershipsIn(recordId, lists))
    for (const id of wanted) if (!found.has(id)) found.set(id, this.#membershipsIn(id, []))
    return found
  }

  #membershipsIn(recordId: string, told: readonly Told[]): Memberships {
    const lists = this.#withOurs(recordId, told)
    if (lists.length === 0) return NONE
    const known = lists.flatMap(({ listId, lastAddedTimestamp }) => {
      const list = this.#all.get(listId)
      return list && this.#fields.includes(list.field) ? [{ ...list, joined_ms: lastAddedTimestamp }] : []
    })
    const names = (field: ListField): string[] =>
      sorted(known.filter((list) => list.field === field).map(({ name }) => name))
    const joined_ms: { [field in ListField]?: number } = {}
    for (const { field, joined_ms: at } of known) {
      if (at !== undefined) joined_ms[field] = Math.max(joined_ms[field] ?? 0, at)
    }
    return { names: { [STATIC]: names(STATIC), [ACTIVE]: names(ACTIVE) }, ids: known.map(({ id }) => id), joined_ms }
  }

  /** An answer that does not know of our own write of a moment ago would pass for a human's edit. */
  #withOurs(recordId: string, told: readonly Told[]): readonly Told[] {
    const has = new Map(told.map((one) => [one.listId, one]))
    for (const [listId, wrote] of this.#wrote) {
      const entry = wrote.get(recordId)
      if (!entry?.answered || this.#now() - entry.at_ms > LAG_MS) continue
      if (!entry.member) has.delete(listId)
      else if (!has.has(listId)) has.set(listId, { listId, lastAddedTimestamp: entry.at_ms })
    }
    return [...has.values()]
  }

  async #learn(ids: ReadonlySet<string>, signal: AbortSignal | undefined): Promise<void> {
    const unknown = [...ids].filter((id) => !this.#all.has(id) && !this.#nameless.has(id))
    for (let at = 0; at < unknown.length; at += IDS_MAX) {
      const part = unknown.slice(at, at + IDS_MAX)
      for (const info of await this.#client.lists.byIds(part, signal)) this.#keep(listFrom(info))
      for (const id of part) if (!this.#all.has(id)) this.#nameless.add(id)
    }
  }

  #keep(list: ContactList | undefined): void {
    if (!list) return
    this.#all.set(list.id, list)
    this.#late.set(list.id, { list, until_ms: this.#now() + FRESH_MS })
  }

  /** The list of that name: exactly, else whatever the case. */
  named(name: string): ContactList | undefined {
    const all = [...this.#all.values()]
    return all.find((list) => list.name === name) ?? all.find((list) => same(list.name, name))
  }

  /**
   * The static list of that name, made where there is none.
   * @throws FailureError; `permanent` where HubSpot has it for something else, or refuses the name
   */
  async make(name: string, signal: AbortSignal | undefined): Promise<ContactList> {
    try {
      const made = listFrom(await this.#client.lists.create(name, signal))
      if (!made) throw new FailureError(refused('HubSpot made a list that is none of contacts'))
      this.#keep(made)
      return made
    } catch (error) {
      if (!(error instanceof FailureError)) throw error
      const { failure } = error
      // Names are unique: somebody was quicker, or the listing does not show it yet.
      if (failure.code === DUPLICATE) return await this.#existing(name, signal)
      // A list that is there or not there harms no one, and the contact's write was not sent.
      if (failure.kind === 'uncertain') throw new FailureError({ ...failure, kind: 'transient' }, { cause: error })
      if (failure.kind !== 'permanent' || failure.code === 'MISSING_SCOPES') throw error
      throw new FailureError({ ...failure, message: 'HubSpot makes no list of a name that the contact is to be in' })
    }
  }

  async #existing(name: string, signal: AbortSignal | undefined): Promise<ContactList> {
    try {
      const found = listFrom(await this.#client.lists.byName(name, signal))
      if (found) {
        this.#keep(found)
        return found
      }
    } catch (error) {
      if (!(error instanceof FailureError) || error.failure.kind !== 'gone') throw error
    }
    throw new FailureError(refused('HubSpot has the name of a list for something that is no list of contacts'))
  }

  /** @returns the ids that HubSpot knows no contact of */
  async change(
    listId: string,
    add: readonly string[],
    remove: readonly string[],
    signal: AbortSignal | undefined,
  ): Promise<ReadonlySet<string>> {
    const at_ms = this.#now()
    const wrote = this.#wrote.get(listId) ?? new Map<string, Wrote>()
    this.#wrote.set(listId, wrote)
    for (const id of add) wrote.set(id, { member: true, at_ms, answered: false, doubted: false })
    for (const id of remove) wrote.set(id, { member: false, at_ms, answered: false, doubted: false })
    const missing = new Set(await this.#client.lists.change(listId, add, remove, signal))
    for (const id of [...add, ...remove]) {
      const entry = wrote.get(id)
      if (entry && !missing.has(id)) entry.answered = true
    }
    return missing
  }

  /**
   * Of our own lately written memberships, those that stand as we wrote them, and those that do not: whoever joined by us and left by
   * people's hand before we looked was never seen in the list.
   * @returns also whether any of the latter may only not show yet, so that the list has to be looked at again
   */
  wrote(
    listId: string,
    members: ReadonlySet<string>,
  ): { ours: ReadonlySet<string>; doubted: ReadonlySet<string>; unsure: boolean } {
    const [ours, doubted] = [new Set<string>(), new Set<string>()]
    const wrote = this.#wrote.get(listId) ?? new Map<string, Wrote>()
    let unsure = false
    for (const [id, entry] of wrote) {
      const age_ms = this.#now() - entry.at_ms
      const stands = entry.member === members.has(id)
      if (age_ms > WROTE_MS) wrote.delete(id)
      else if (stands && entry.answered && !entry.doubted) ours.add(id)
      else {
        // Within the lag, it is not known whose doing it is.
        if (age_ms <= LAG_MS) unsure ||= !stands
        else entry.doubted ||= !stands
        doubted.add(id)
      }
    }
    return { ours, doubted, unsure }
  }

  /** The ids of all members; null for a list that is no more. */
  async members(listId: string, signal: AbortSignal | undefined): Promise<string[] | null> {
    const members: string[] = []
    let after: string | undefined
    for (let pages = 0; pages < PAGES_MAX; pages++) {
      try {
        const page = await this.#client.lists.members(listId, after, signal)
        members.push(...page.results.map(({ recordId }) => recordId))
        const next = page.paging?.next?.after
        if (next === undefined) return members
        if (next === after) break
        after = next
      } catch (error) {
        if (error instanceof FailureError && error.failure.kind === 'gone') return null
        throw error
      }
    }
    throw new FailureError(circling("listing of a list's members"))
  }
}

/** What HubSpot calls a second list of one name. */
const DUPLICATE = 'ILS.DUPLICATE_LIST_NAMES'

function listFrom(info: ListInfo): ContactList | undefined {
  if (info.objectTypeId !== CONTACTS || (info.deletedAt ?? null) !== null) return undefined
  const more = info.additionalProperties ?? {}
  const [size, ...times] = ['hs_list_size', 'hs_last_record_added_at', 'hs_last_record_removed_at'].map(
    (name) => more[name] ?? '',
  )
  return {
    id: info.listId,
    name: info.name,
    field: info.processingType === 'DYNAMIC' ? ACTIVE : STATIC,
    size: Number(size) || 0,
    mark: [size, ...times].join(' '),
  }
}

function refused(message: string) {
  const advice = 'Rename the list in HubSpot, or change the tag; then run: kith parked retry'
  return { kind: 'permanent' as const, code: 'LIST-NAME', message, advice }
}

function circling(what: string) {
  return { kind: 'transient' as const, code: 'CIRCLE', message: `HubSpot's ${what} does not come to an end` }
}
