import { FailureError } from '../../engine/core/failure.ts'
import type { PeopleClient } from './client.ts'
import { RefusedError } from './errors.ts'
import { groupNamed, labelsFrom } from './patch.ts'
import type { GroupNames } from './fields.ts'
import type { JsonObject } from '../../engine/core/json.ts'

/** A renamed label is heard about this late, at most, while the connection is read. */
const FRESH_MS = 10 * 60_000
/** System groups are few, and bear words in place of numbers. */
const SYSTEM_GROUP = /^contactGroups\/(?:all|blocked|chatBuddies|coworkers|family|friends|myContacts|starred)$/
/** More pages of groups than any account has. */
const PAGES_MAX = 100

/**
 * The user's own contact groups, which Google's pages call labels. System groups (My contacts, Starred) are none. Labels are not
 * in the change feed: they are listed on their own, seldom.
 */
export class Groups {
  readonly #client: PeopleClient
  readonly #now: () => number
  #names = new Map<string, string>()
  /** Groups that contacts are said to be in and that are in no listing: not asked about again. */
  readonly #nameless = new Set<string>()
  #listed_ms: number | undefined

  constructor(client: PeopleClient, now: () => number) {
    this.#client = client
    this.#now = now
  }

  get names(): GroupNames {
    return this.#names
  }

  /** Lists them where that was not done lately. */
  async refresh(signal: AbortSignal | undefined): Promise<void> {
    if (this.#listed_ms === undefined || this.#now() - this.#listed_ms >= FRESH_MS) await this.list(signal)
  }

  /** Lists them again where one of these has no name yet. */
  async learn(groups: Iterable<string>, signal: AbortSignal | undefined): Promise<void> {
    const unknown = [...groups].filter(
      (id) => !this.#names.has(id) && !this.#nameless.has(id) && !SYSTEM_GROUP.test(id),
    )
    if (unknown.length === 0) return
    await this.list(signal)
    for (const id of unknown) if (!this.#names.has(id)) this.#nameless.add(id)
  }

  async list(signal: AbortSignal | undefined): Promise<void> {
    const names = new Map<string, string>()
    let pageToken: string | undefined
    for (let pages = 0; pages < PAGES_MAX; pages++) {
      const page = await this.#client.groups(pageToken, signal)
      for (const { resourceName, name, groupType } of page.contactGroups ?? []) {
        if (groupType === 'USER_CONTACT_GROUP' && name !== undefined) names.set(resourceName, name)
      }
      pageToken = page.nextPageToken
      if (pageToken === undefined || pageToken === '') break
    }
    this.#names = names
    this.#listed_ms = this.#now()
  }

  /** Makes the labels that the changes name and that are not there. One that Google refuses is left out. */
  async ensure(changes: readonly JsonObject[], signal: AbortSignal | undefined): Promise<void> {
    const wanted = [...new Set(changes.flatMap((fields) => wantedLabels(fields)))]
    if (wanted.length === 0) return
    await this.refresh(signal)
    const missing = (): string[] => wanted.filter((label) => groupNamed(this.#names, label) === undefined)
    // Someone may have made it since: that is found out before it is made twice, or refused as a duplicate.
    if (missing().length > 0) await this.list(signal)
    for (const label of missing()) {
      if (groupNamed(this.#names, label) === undefined) await this.#create(label, signal)
    }
  }

  async #create(label: string, signal: AbortSignal | undefined): Promise<void> {
    try {
      const group = await this.#client.createGroup(label, signal)
      this.#names.set(group.resourceName, group.name ?? label)
    } catch (error) {
      if (error instanceof RefusedError && [400, 409].includes(error.refusal.http)) return
      if (!(error instanceof FailureError) || error.failure.kind !== 'uncertain') throw error
      // A label that is there or not there harms no one: the contacts' write was not sent, and is tried again.
      this.#listed_ms = undefined
      throw new FailureError({ ...error.failure, kind: 'transient' }, { cause: error })
    }
  }
}

function wantedLabels({ memberships }: JsonObject): string[] {
  if (memberships === undefined) return []
  try {
    return labelsFrom(memberships)
  } catch {
    // Refused where the record itself is put together, as its own failure.
    return []
  }
}
