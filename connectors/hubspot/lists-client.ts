import type { Asking, Call } from './client.ts'
import { LIST_SCOPES } from './errors.ts'
import {
  CONTACTS,
  LIMITS,
  ListsById,
  ListSearchPage,
  MembershipsAnswer,
  MembershipsChanged,
  MembersPage,
  OneList,
} from './wire.ts'

const listsApi = () => import('@hubspot/api-client/lib/codegen/crm/lists/index.js')

type Signal = AbortSignal | undefined

/**
 * Requests of the Lists API (segments, as HubSpot's pages now say). A membership that is set twice is set once, so these writes are
 * tried again like readings.
 */
export class ListsClient {
  readonly #asking: Asking

  constructor(asking: Asking) {
    this.#asking = asking
  }

  /** Lists of all kinds of records: the official client (14.0.1) cannot ask for those of contacts only. */
  async search(offset: number, signal: Signal) {
    const request = { offset, count: LIMITS.lists_max, query: '' }
    return (
      await this.#asking.ask(reading('POST lists/search', signal), ListSearchPage, async (configuration) => {
        const { ListsApi, createConfiguration } = await listsApi()
        return await new ListsApi(createConfiguration(configuration)).doSearch(request)
      })
    ).data
  }

  /** Those among them that are there. */
  async byIds(ids: readonly string[], signal: Signal) {
    const { data } = await this.#asking.ask(reading('GET lists', signal), ListsById, async (configuration) => {
      const { ListsApi, createConfiguration } = await listsApi()
      return await new ListsApi(createConfiguration(configuration)).getAll([...ids])
    })
    return data.lists
  }

  /** @throws FailureError `gone` where there is none */
  async byName(name: string, signal: Signal) {
    const call = { ...reading('GET lists/object-type-id/{type}/name/{name}', signal), single: true }
    const { data } = await this.#asking.ask(call, OneList, async (configuration) => {
      const { ListsApi, createConfiguration } = await listsApi()
      return await new ListsApi(createConfiguration(configuration)).getByName(name, CONTACTS)
    })
    return data.list
  }

  async create(name: string, signal: Signal) {
    const call = { pattern: 'POST lists', write: true, part: true, scopes: LIST_SCOPES, signal }
    const { data } = await this.#asking.ask(call, OneList, async (configuration) => {
      const { ListsApi, createConfiguration } = await listsApi()
      const request = { name, objectTypeId: CONTACTS, processingType: 'MANUAL' }
      return await new ListsApi(createConfiguration(configuration)).create(request)
    })
    return data.list
  }

  /** One page of a list's members, by id. */
  async members(listId: string, after: string | undefined, signal: Signal) {
    const call = { ...reading('GET lists/{list}/memberships', signal), single: true }
    const { data } = await this.#asking.ask(call, MembersPage, async (configuration) => {
      const { MembershipsApi, createConfiguration } = await listsApi()
      return await new MembershipsApi(createConfiguration(configuration)).getPage(
        listId,
        after,
        undefined,
        LIMITS.members_max,
      )
    })
    return data
  }

  /** The lists that each of these contacts is in. */
  async memberships(ids: readonly string[], signal: Signal) {
    const call = reading('POST lists/records/memberships/batch/read', signal)
    const inputs = ids.map((recordId) => ({ objectTypeId: CONTACTS, recordId }))
    return (
      await this.#asking.post(call, MembershipsAnswer, '/crm/v3/lists/records/memberships/batch/read', { inputs })
    ).data
  }

  /** @returns the ids that HubSpot knows no contact of */
  async change(listId: string, add: readonly string[], remove: readonly string[], signal: Signal): Promise<string[]> {
    const call = {
      pattern: 'PUT lists/{list}/memberships/add-and-remove',
      write: false,
      single: true,
      part: true,
      scopes: ['crm.lists.write'],
      signal,
    }
    const { data } = await this.#asking.ask(call, MembershipsChanged, async (configuration) => {
      const { MembershipsApi, createConfiguration } = await listsApi()
      const request = { recordIdsToAdd: [...add], recordIdsToRemove: [...remove] }
      return await new MembershipsApi(createConfiguration(configuration)).addAndRemove(listId, request)
    })
    return data.recordIdsMissing ?? []
  }
}

function reading(pattern: string, signal: Signal): Call {
  return { pattern, write: false, scopes: ['crm.lists.read'], signal }
}
