import { z } from 'zod'
import type { Sighting } from '../../engine/core/ports/connector.ts'
import { ACTIVE, STATIC, type Memberships } from './list-fields.ts'
import type { ContactList, Lists } from './lists.ts'
import type { Reader } from './read.ts'
import { LIMITS } from './wire.ts'

/** So many memberships a cursor remembers, the smallest lists first, so that it can tell who has left. */
const REMEMBERED_MAX = 10_000
/** A list that is longer is not read for a change of its own: all contacts are listed instead, when their turn comes. */
const MEMBERS_MAX = 10 * LIMITS.members_max
/** What reading a list anew may cost: after the first page, one request in so many milliseconds. */
const PAGE_MS = 30_000

const ListState = z.strictObject({
  name: z.string(),
  field: z.enum([STATIC, ACTIVE]),
  mark: z.string(),
  /** When its members were last read. */
  read_ms: z.number(),
  /** Who was in it, see {@link encoded}; null where that is too much to remember. */
  members: z.string().nullable(),
})
type ListState = z.infer<typeof ListState>

export const ListStates = z.strictObject({
  /** The fields that were read: for others it is worth nothing. */
  fields: z.string(),
  lists: z.record(z.string(), ListState),
})
export type ListStates = z.infer<typeof ListStates>

export interface ListChanges {
  readonly sightings: readonly Sighting[]
  readonly states: ListStates
  /** Somebody joined or left, and who it was only a listing of all contacts can tell. */
  readonly owed: boolean
}

/**
 * Who has joined a list or left one: no contact's own time moves with that, and no search shows it. Each pass asks for all lists with
 * their sizes and the times of the last change (one request for 500), and reads the members of those that have changed.
 */
export class ListFeed {
  readonly #lists: Lists
  readonly #reader: Reader
  readonly #signal: AbortSignal | undefined

  constructor(lists: Lists, reader: Reader, signal: AbortSignal | undefined) {
    this.#lists = lists
    this.#reader = reader
    this.#signal = signal
  }

  fits(states: ListStates | null): boolean {
    return states?.fields === this.#lists.fields.join(' ')
  }

  /** @param told contacts that are announced in any case */
  async changes(states: ListStates, told: ReadonlySet<string>, now_ms: number): Promise<ListChanges> {
    const next: { [id: string]: ListState } = {}
    const touched = new Set<string>()
    let owed = false
    const all = new Map(this.#lists.selected.map((list) => [list.id, list]))
    for (const list of all.values()) {
      const before = states.lists[list.id]
      const look = await this.#look(list, before, now_ms)
      if (look.state) next[list.id] = look.state
      owed ||= look.owed
      for (const id of look.touched) touched.add(id)
    }
    for (const [id, { members }] of Object.entries(states.lists)) {
      if (all.has(id)) continue
      owed ||= members === null
      for (const member of decoded(members) ?? []) touched.add(member)
    }
    for (const id of told) touched.delete(id)
    const answers = await this.#reader.read([...touched], false, this.#signal)
    return {
      // What is gone or merged is told by those whose business it is.
      sightings: answers.flatMap((answer): Sighting[] =>
        answer.kind === 'record' ? [{ kind: 'hint', id: answer.record.id, rev: answer.record.rev }] : [],
      ),
      states: this.#states(next),
      owed,
    }
  }

  async #look(list: ContactList, before: ListState | undefined, now_ms: number): Promise<Look> {
    const renamed = before !== undefined && (before.name !== list.name || before.field !== list.field)
    if (before && !renamed && before.mark === list.mark) return { state: before, touched: [], owed: false }
    const { name, field, mark } = list
    const unknown: Look = { state: { name, field, mark, read_ms: now_ms, members: null }, touched: [], owed: true }
    if (list.size > MEMBERS_MAX) return unknown
    const old = before ? decoded(before.members) : []
    const pages = Math.ceil(Math.max(list.size, old?.length ?? 0) / LIMITS.members_max)
    // Not its turn yet: the mark stays what it was, and a later pass comes to it.
    if (before && now_ms - before.read_ms < (pages - 1) * PAGE_MS) return { state: before, touched: [], owed: false }
    const members = await this.#lists.members(list.id, this.#signal)
    if (members === null) return { touched: old ?? [], owed: old === null }
    if (members.length > MEMBERS_MAX) return unknown
    const { ours, doubted, unsure } = this.#lists.wrote(list.id, new Set(members))
    const moved = renamed ? [...members, ...(old ?? [])] : difference(members, old ?? members)
    const touched = [...moved.filter((id) => renamed || !ours.has(id)), ...doubted]
    const owed = old === null
    // Not told apart yet: our write that does not show, or a human's edit over it. The next pass looks once more.
    if (unsure) return { ...(before ? { state: before } : {}), touched, owed }
    return { state: { name, field, mark, read_ms: now_ms, members: encoded(members) }, touched, owed }
  }

  /** What an inventory sees of the lists, beginning with how they stand before it. */
  inventory(): ListInventory {
    return new ListInventory(this.#lists.selected, (lists) => this.#states(lists))
  }

  /** The smallest lists are remembered first; of the others only that they have changed. */
  #states(lists: { readonly [id: string]: ListState }): ListStates {
    const sized = Object.entries(lists)
      .map(([id, state]) => ({ id, state, size: decoded(state.members)?.length ?? 0 }))
      .sort((a, b) => a.size - b.size)
    let total = 0
    const kept = sized.map(({ id, state, size }) => {
      total += size
      return [id, total > REMEMBERED_MAX ? { ...state, members: null } : state] as const
    })
    return { fields: this.#lists.fields.join(' '), lists: Object.fromEntries(kept) }
  }
}

interface Look {
  /** Left out for a list that is no more. */
  readonly state?: ListState
  readonly touched: readonly string[]
  readonly owed: boolean
}

/** Gathers the members of all lists while all contacts are listed, so that no list has to be read for it. */
export class ListInventory {
  readonly #lists: readonly ContactList[]
  readonly #members = new Map<string, string[]>()
  readonly #states: (lists: { readonly [id: string]: ListState }) => ListStates

  constructor(lists: readonly ContactList[], states: (lists: { readonly [id: string]: ListState }) => ListStates) {
    this.#lists = lists
    this.#states = states
  }

  add(memberships: ReadonlyMap<string, Memberships>): void {
    for (const [contact, { ids }] of memberships) {
      for (const id of ids) {
        const members = this.#members.get(id) ?? []
        members.push(contact)
        this.#members.set(id, members)
      }
    }
  }

  states(read_ms: number): ListStates {
    const state = ({ id, name, field, mark }: ContactList): [string, ListState] => {
      const members = this.#members.get(id) ?? []
      return [id, { name, field, mark, read_ms, members: members.length > MEMBERS_MAX ? null : encoded(members) }]
    }
    return this.#states(Object.fromEntries(this.#lists.map(state)))
  }
}

/** Those that are in one of the two only. */
function difference(a: readonly string[], b: readonly string[]): string[] {
  const [inA, inB] = [new Set(a), new Set(b)]
  return [...a.filter((id) => !inB.has(id)), ...b.filter((id) => !inA.has(id))]
}

/** Ids are numbers: in their order, each by its distance from the one before, in base 36. null where one is no number. */
function encoded(ids: readonly string[]): string | null {
  const numbers = [...new Set(ids.map(Number))].sort((a, b) => a - b)
  if (!numbers.every((id) => Number.isSafeInteger(id) && id >= 0)) return null
  return numbers.map((id, at) => (id - (numbers[at - 1] ?? 0)).toString(36)).join(' ')
}

function decoded(text: string | null): string[] | null {
  if (text === null) return null
  let id = 0
  return text === '' ? [] : text.split(' ').map((step) => String((id += Number.parseInt(step, 36))))
}
