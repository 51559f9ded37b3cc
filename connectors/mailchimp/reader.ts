import { FailureError, type Failure } from '../../engine/core/failure.ts'
import type { AppRecord, ReadAnswer } from '../../engine/core/ports/connector.ts'
import type { MailchimpClient } from './client.ts'
import { memberFields, recordFrom, sameAddress, type Shape } from './fields.ts'
import { Head, Member } from './wire.ts'

/** What a later write needs to know of a member: batches name members by their address. */
export interface Known {
  readonly email: string
  /** undefined where tags were not asked for. */
  readonly tags: readonly string[] | undefined
}

/** A member of an answer. */
export type Seen =
  | { readonly kind: 'member'; readonly member: Member; readonly record: AppRecord }
  /** Archived: no longer in the audience, although Mailchimp keeps what it knew. */
  | { readonly kind: 'archived'; readonly id: string; readonly lastChanged_ms: number }
  | { readonly kind: 'broken'; readonly id: string; readonly rev: string; readonly lastChanged_ms: number }

/** Members that a later write may ask about; the oldest are forgotten first. */
const KNOWN_MAX = 10_000
/** So many single reads are worth one page of a listing. */
const READS_PER_PAGE = 10

export const UNREADABLE: Failure = {
  kind: 'permanent',
  code: 'MALFORMED',
  message: 'Mailchimp answers with a member that cannot be read',
}

/** Reads members, and remembers what writes need to know of them. */
export class Reader {
  readonly client: MailchimpClient
  readonly #shape: (signal: AbortSignal | undefined) => Promise<Shape>
  readonly #known = new Map<string, Known>()
  /** How many members the audience has, as a listing last said. */
  #total: number | undefined

  constructor(client: MailchimpClient, shape: (signal: AbortSignal | undefined) => Promise<Shape>) {
    this.client = client
    this.#shape = shape
  }

  shape(signal: AbortSignal | undefined): Promise<Shape> {
    return this.#shape(signal)
  }

  known(id: string): Known | undefined {
    return this.#known.get(id)
  }

  /** @throws FailureError for what has not even an id */
  see(json: unknown, shape: Shape): Seen {
    const head = Head.safeParse(json)
    if (!head.success) {
      throw new FailureError({
        kind: 'transient',
        code: 'MALFORMED',
        message: 'Mailchimp answers with a member without an id',
      })
    }
    const { contact_id: id, status, last_changed: lastChanged_ms } = head.data
    if (status === 'archived') return { kind: 'archived', id, lastChanged_ms }
    const member = Member.safeParse(json)
    if (!member.success) return { kind: 'broken', id, rev: `broken ${lastChanged_ms}`, lastChanged_ms }
    this.#remember(member.data)
    return { kind: 'member', member: member.data, record: recordFrom(member.data, shape) }
  }

  /** How large the audience is: makes a listing the cheaper way to read many. */
  counted(total: number): void {
    this.#total = total
  }

  /**
   * One answer per id. `gone` rests on Mailchimp's own word on that member, and on the audience being there: a 404 of the
   * audience would make every member look gone (I5).
   */
  async read(ids: readonly string[], signal: AbortSignal | undefined): Promise<ReadAnswer[]> {
    const wanted = [...new Set(ids)]
    const shape = await this.#shape(signal)
    const found = await this.#listed(wanted, shape, signal)
    const rest = wanted.filter((id) => !found.has(id))
    const singles = await Promise.all(rest.map((id) => this.#one(id, shape, signal)))
    if (singles.includes(null)) await this.client.audience(signal)
    const answers = singles.map((seen, at): ReadAnswer => answerOf(seen, rest[at] ?? ''))
    return [...[...found].map(([id, seen]) => answerOf(seen, id)), ...answers]
  }

  /** @param who a contact id, or an address @returns the member, archived or not; null where there is none */
  async member(who: string, signal: AbortSignal | undefined): Promise<Seen | null> {
    return await this.#one(who, await this.#shape(signal), signal)
  }

  /** The addresses of all archived members, as they count as the same. */
  async archivedAddresses(signal: AbortSignal | undefined): Promise<Set<string>> {
    const found = new Set<string>()
    const count = this.client.list_max
    const fields = ['contact_id', 'status', 'last_changed', 'email_address']
    for (let offset = 0, total = 1; offset < total; offset += count) {
      const { data } = await this.client.members(
        { status: 'archived', count, offset, newestFirst: true, fields },
        signal,
      )
      total = data.total_items
      for (const json of data.members) {
        const { email_address: email } = Object(json) as { email_address?: unknown }
        if (typeof email === 'string') found.add(sameAddress(email))
      }
    }
    return found
  }

  /**
   * There is no reading by many ids: where many are asked for, the audience is listed instead, for as long as its pages cost
   * less than reading the rest one by one.
   */
  async #listed(ids: readonly string[], shape: Shape, signal: AbortSignal | undefined): Promise<Map<string, Seen>> {
    const found = new Map<string, Seen>()
    const { list_max: count } = this.client
    const wanted = new Set(ids)
    const fields = memberFields(shape)
    for (let offset = 0; ; offset += count) {
      const pagesLeft = Math.ceil(((this.#total ?? count) - offset) / count)
      if (pagesLeft < 1 || wanted.size - found.size < pagesLeft * READS_PER_PAGE) return found
      const { data } = await this.client.members({ count, offset, newestFirst: true, fields }, signal)
      this.#total = data.total_items
      for (const json of data.members) {
        const seen = this.see(json, shape)
        const id = idOf(seen)
        // Archived ones are asked for by themselves, like all that is missing here.
        if (wanted.has(id) && seen.kind !== 'archived') found.set(id, seen)
      }
    }
  }

  async #one(who: string, shape: Shape, signal: AbortSignal | undefined): Promise<Seen | null> {
    try {
      return this.see(await this.client.member(who, memberFields(shape), signal), shape)
    } catch (error) {
      if (error instanceof FailureError && error.failure.kind === 'gone') return null
      throw error
    }
  }

  #remember({ contact_id: id, email_address: email, tags }: Member): void {
    this.#known.delete(id)
    this.#known.set(id, { email, tags: tags?.map(({ name }) => name) })
    const [oldest] = this.#known.keys()
    if (this.#known.size > KNOWN_MAX && oldest !== undefined) this.#known.delete(oldest)
  }
}

export function idOf(seen: Seen): string {
  return seen.kind === 'member' ? seen.record.id : seen.id
}

function answerOf(seen: Seen | null, id: string): ReadAnswer {
  if (seen === null || seen.kind === 'archived') return { kind: 'gone', id }
  if (seen.kind === 'broken') return { kind: 'broken', id, rev: seen.rev, failure: UNREADABLE }
  return { kind: 'record', record: seen.record }
}
