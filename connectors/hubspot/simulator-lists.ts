import type { SimulatedContact, SimulatedContacts } from './simulator-contacts.ts'

export type ProcessingType = 'MANUAL' | 'DYNAMIC' | 'SNAPSHOT'

/** A list (segment) of contacts, or of another kind of records, of which only the name is of interest. */
export interface SimulatedList {
  readonly id: string
  name: string
  processingType: ProcessingType
  readonly objectTypeId: string
  readonly createdAt_ms: number
  updatedAt_ms: number
  deletedAt_ms: number | null
  addedAt_ms: number | null
  removedAt_ms: number | null
  /** Contacts by id, with the time they joined. */
  readonly members: Map<string, number>
  /** Of a DYNAMIC list: who belongs into it. */
  readonly rule: ((properties: ReadonlyMap<string, string>) => boolean) | null
}

interface Answer {
  readonly status: number
  readonly json?: unknown
}

export interface ListFaults {
  /** The token lacks the scope for reading lists, or that for writing them. */
  listsForbidden: 'read' | 'write' | null
  /** The search for lists shows a new one only after so long. */
  listLag_ms: number
  /** The lists know nothing yet of these contacts. */
  strangers: readonly string[]
}

const PATH = '/crm/v3/lists/'
const CONTACTS = '0-1'
const NOT_THERE = 'List does not exist'

/** The lists of a simulated account, as its people see them and as the Lists API answers. Joining and leaving moves no contact's time. */
export class SimulatedLists {
  readonly all: SimulatedList[] = []
  readonly #contacts: SimulatedContacts
  readonly #faults: ListFaults
  #nextId = 11
  /** What answers show of who is where, while they lag behind; by list. */
  #stale: ReadonlyMap<string, ReadonlyMap<string, number>> | null = null

  constructor(contacts: SimulatedContacts, faults: ListFaults) {
    this.#contacts = contacts
    this.#faults = faults
  }

  add(
    name: string,
    processingType: ProcessingType = 'MANUAL',
    rule: SimulatedList['rule'] = null,
    objectTypeId = CONTACTS,
  ): SimulatedList {
    const now_ms = this.#contacts.now_ms
    const list: SimulatedList = {
      id: String(this.#nextId++),
      name,
      processingType,
      objectTypeId,
      createdAt_ms: now_ms,
      updatedAt_ms: now_ms,
      deletedAt_ms: null,
      addedAt_ms: null,
      removedAt_ms: null,
      members: new Map(),
      rule,
    }
    this.all.push(list)
    this.#process(list)
    return list
  }

  named(name: string): SimulatedList | undefined {
    return this.all.find((list) => list.name === name && list.deletedAt_ms === null)
  }

  rename(list: SimulatedList, name: string): void {
    list.name = name
    list.updatedAt_ms = this.#contacts.now_ms
  }

  remove(list: SimulatedList): void {
    list.deletedAt_ms = this.#contacts.now_ms
  }

  /** A human's hand, or a program's. */
  join(list: SimulatedList, contactId: string): void {
    if (list.members.has(contactId)) return
    list.members.set(contactId, this.#tick(list.addedAt_ms))
    list.addedAt_ms = list.members.get(contactId) ?? null
  }

  leave(list: SimulatedList, contactId: string): void {
    if (list.members.delete(contactId)) list.removedAt_ms = this.#tick(list.removedAt_ms)
  }

  /** While set, answers about members show what was there before. */
  set lagging(on: boolean) {
    this.#stale = on ? new Map(this.all.map(({ id, members }) => [id, new Map(members)])) : null
  }

  #shown({ id, members }: SimulatedList): ReadonlyMap<string, number> {
    return this.#stale ? (this.#stale.get(id) ?? new Map<string, number>()) : members
  }

  /** The names of the lists that a contact is in. */
  of(contactId: string): string[] {
    return this.#of(contactId)
      .map(({ name }) => name)
      .sort()
  }

  /** Whoever is archived is in no list; whoever was merged is in those of both. */
  settle(): void {
    for (const list of this.all) {
      this.#process(list)
      for (const id of list.members.keys()) {
        const stands = this.#contacts.resolve(id)
        if (stands?.id === id) continue
        this.leave(list, id)
        if (stands && list.rule === null) this.join(list, stands.id)
      }
    }
  }

  #process(list: SimulatedList): void {
    const { rule } = list
    if (!rule || (list.processingType === 'SNAPSHOT' && list.members.size > 0)) return
    const belongs = (contact: SimulatedContact): boolean => rule(contact.properties)
    for (const contact of this.#contacts.live()) {
      if (belongs(contact)) this.join(list, contact.id)
      else this.leave(list, contact.id)
    }
  }

  #tick(before_ms: number | null): number {
    return Math.max(this.#contacts.now_ms, (before_ms ?? 0) + 1)
  }

  #of(contactId: string): SimulatedList[] {
    return this.all.filter((list) => list.deletedAt_ms === null && list.members.has(contactId))
  }

  #shownOf(contactId: string): SimulatedList[] {
    return this.all.filter((list) => list.deletedAt_ms === null && this.#shown(list).has(contactId))
  }

  /** Undefined for what is not about lists. */
  answer(method: string, url: URL, body: unknown): Answer | undefined {
    if (!`${url.pathname}/`.startsWith(PATH)) return undefined
    this.settle()
    const parts = url.pathname.slice(PATH.length).split('/').map(decodeURIComponent)
    const route = `${method} ${parts.map((part) => (/^\d+$/.test(part) ? '{id}' : part)).join('/')}`
    const writes = ['PUT', 'DELETE'].includes(method) || route === 'POST '
    if (this.#faults.listsForbidden === 'read' || (this.#faults.listsForbidden === 'write' && writes))
      return forbidden(writes ? 'crm.lists.write' : 'crm.lists.read')
    const input = Object(body) as { [name: string]: unknown }
    if (route === 'POST ') return this.#create(input)
    if (route === 'GET ') return { status: 200, json: { lists: this.#byIds(url.searchParams).map(listJson) } }
    if (route === 'POST search') return this.#search(input)
    if (route === 'POST records/memberships/batch/read') return this.#memberships(input)
    if (method === 'GET' && parts[0] === 'object-type-id' && parts[2] === 'name') {
      const found = this.all.find(
        (list) => list.name === parts[3] && list.objectTypeId === parts[1] && list.deletedAt_ms === null,
      )
      return found ? { status: 200, json: { list: listJson(found) } } : refused(404, 'OBJECT_NOT_FOUND', NOT_THERE)
    }
    const list = this.all.find(({ id, deletedAt_ms }) => id === parts[0] && deletedAt_ms === null)
    if (!list) return refused(404, 'OBJECT_NOT_FOUND', NOT_THERE)
    if (route === 'GET {id}/memberships') return this.#members(list, url.searchParams)
    if (route === 'PUT {id}/memberships/add-and-remove') return this.#change(list, input)
    return refused(404, 'OBJECT_NOT_FOUND', 'resource not found')
  }

  #create(input: { [name: string]: unknown }): Answer {
    const [name, kind] = [String(input['name'] ?? ''), String(input['objectTypeId'])]
    if (name.trim() === '') return refused(400, 'VALIDATION_ERROR', 'name must not be blank')
    if (this.all.some((list) => list.name === name && list.deletedAt_ms === null))
      return refused(400, 'VALIDATION_ERROR', `Lists must have unique names: ${name}`, 'ILS.DUPLICATE_LIST_NAMES')
    return { status: 200, json: { list: listJson(this.add(name, 'MANUAL', null, kind)) } }
  }

  #byIds(query: URLSearchParams): SimulatedList[] {
    const ids = query.getAll('listIds').flatMap((value) => value.split(','))
    return this.all.filter(({ id, deletedAt_ms }) => ids.includes(id) && deletedAt_ms === null)
  }

  #search(input: { [name: string]: unknown }): Answer {
    const [offset, count] = [Number(input['offset'] ?? 0), Number(input['count'] ?? 20)]
    if (count > 500) return refused(400, 'VALIDATION_ERROR', 'count must be at most 500')
    const shown_ms = this.#contacts.now_ms - this.#faults.listLag_ms
    const found = this.all.filter((list) => list.deletedAt_ms === null && list.createdAt_ms <= shown_ms)
    const lists = found.slice(offset, offset + count).map((list) => ({
      ...(listJson(list) as object),
      additionalProperties: {
        hs_list_size: String(list.members.size),
        hs_list_reference_count: '0',
        ...(list.addedAt_ms === null ? {} : { hs_last_record_added_at: String(list.addedAt_ms) }),
        ...(list.removedAt_ms === null ? {} : { hs_last_record_removed_at: String(list.removedAt_ms) }),
      },
    }))
    const end = offset + lists.length
    return { status: 200, json: { total: found.length, offset: end, hasMore: end < found.length, lists } }
  }

  #memberships(input: { [name: string]: unknown }): Answer {
    const inputs = (input['inputs'] ?? []) as { objectTypeId: string; recordId: string }[]
    if (inputs.length > 100) return refused(400, 'VALIDATION_ERROR', 'at most 100 inputs')
    if (inputs.some(({ objectTypeId }) => objectTypeId !== CONTACTS))
      return refused(400, 'VALIDATION_ERROR', 'unknown kind of record')
    const results = inputs.map(({ objectTypeId, recordId }) => ({
      objectTypeId,
      recordId,
      recordListMemberships: this.#shownOf(recordId).map((list) => {
        const at = new Date(this.#shown(list).get(recordId) ?? 0).toISOString()
        return { listId: list.id, listVersion: 1, firstAddedTimestamp: at, lastAddedTimestamp: at, isPublicList: true }
      }),
    }))
    const at = new Date(this.#contacts.now_ms).toISOString()
    return { status: 200, json: { status: 'COMPLETE', results, startedAt: at, completedAt: at } }
  }

  #members(list: SimulatedList, query: URLSearchParams): Answer {
    const limit = Number(query.get('limit') ?? 100)
    if (limit > 250) return refused(400, 'VALIDATION_ERROR', 'limit must be at most 250')
    const after = Number(query.get('after') ?? 0)
    const rest = [...this.#shown(list)].filter(([id]) => Number(id) > after).sort(([a], [b]) => Number(a) - Number(b))
    const page = rest.slice(0, limit)
    const results = page.map(([recordId, at_ms]) => ({
      recordId,
      membershipTimestamp: new Date(at_ms).toISOString(),
    }))
    const next = rest.length > limit ? { paging: { next: { after: page.at(-1)?.[0] } } } : {}
    return { status: 200, json: { total: list.members.size, results, ...next } }
  }

  #change(list: SimulatedList, input: { [name: string]: unknown }): Answer {
    if (list.processingType === 'DYNAMIC')
      return refused(400, 'VALIDATION_ERROR', `${list.name} is not a list that can be changed`, 'ILS.INVALID_LIST_TYPE')
    const [add, remove] = ['recordIdsToAdd', 'recordIdsToRemove'].map((key) => (input[key] ?? []) as string[])
    const known = (id: string): boolean => this.#contacts.resolve(id)?.id === id && !this.#faults.strangers.includes(id)
    const [recordsIdsAdded, recordIdsRemoved] = [(add ?? []).filter(known), (remove ?? []).filter(known)]
    const recordIdsMissing = [...(add ?? []), ...(remove ?? [])].filter((id) => !known(id))
    for (const id of recordsIdsAdded) this.join(list, id)
    for (const id of recordIdsRemoved) this.leave(list, id)
    // Empty ones are left out.
    const all = Object.entries({ recordsIdsAdded, recordIdsRemoved, recordIdsMissing })
    return { status: 200, json: Object.fromEntries(all.filter(([, ids]) => ids.length > 0)) }
  }
}

function listJson(list: SimulatedList): unknown {
  const iso = (at_ms: number): string => new Date(at_ms).toISOString()
  return {
    listId: list.id,
    listVersion: 1,
    name: list.name,
    objectTypeId: list.objectTypeId,
    processingType: list.processingType,
    processingStatus: 'COMPLETE',
    createdAt: iso(list.createdAt_ms),
    updatedAt: iso(list.updatedAt_ms),
    createdById: '1',
  }
}

function forbidden(scope: string): Answer {
  const context = { requiredGranularScopes: [scope, 'cms.membership.access_groups.write'] }
  const message = "This app hasn't been granted all required scopes to make this call."
  const errors = [{ message: 'One or more of the following scopes are required.', context }]
  return {
    status: 403,
    json: { status: 'error', message, correlationId: 'simulated', errors, category: 'MISSING_SCOPES' },
  }
}

function refused(status: number, category: string, message: string, subCategory?: string): Answer {
  const more = subCategory === undefined ? {} : { subCategory }
  return { status, json: { status: 'error', category, message, correlationId: 'simulated', ...more } }
}
