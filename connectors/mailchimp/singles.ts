import { FailureError, failureFrom } from '../../engine/core/failure.ts'
import type { Json, JsonObject } from '../../engine/core/json.ts'
import type { DeleteRequest, UpdateRequest, WriteOutcome } from '../../engine/core/ports/connector.ts'
import type { Body, Shape } from './fields.ts'
import { archivedMeanwhile, failed } from './outcomes.ts'
import { UNREADABLE, type Reader, type Seen } from './reader.ts'

/** Writes of one member each. They throw what fails for reasons of the connection; the caller knows what was done before. */
export class Singles {
  readonly #reader: Reader
  readonly #shape: Shape
  readonly #signal: AbortSignal | undefined

  constructor(reader: Reader, shape: Shape, signal: AbortSignal | undefined) {
    this.#reader = reader
    this.#shape = shape
    this.#signal = signal
  }

  /**
   * An archiving is the delete: Mailchimp keeps what it knows, and an archived member may be added again. A permanent delete
   * would bar the address from ever being imported, which is an erasure's business. Archiving what is archived is done.
   */
  async archive({ ref, id }: DeleteRequest): Promise<WriteOutcome> {
    try {
      await this.#reader.client.archive(id, this.#signal)
    } catch (error) {
      const failure = failureFrom(error)
      if (failure.kind !== 'gone' && failure.code !== 'NOT-ARCHIVABLE') throw error
      const [answer] = await this.#reader.read([id], this.#signal)
      if (answer?.kind !== 'gone') return failed(ref, failure)
    }
    return { ref, kind: 'deleted', id }
  }

  /** For somebody who has asked to be forgotten; archived members too. A member who is not known any more is erased already. */
  async erase({ ref, id }: DeleteRequest): Promise<WriteOutcome> {
    const { client } = this.#reader
    try {
      await client.deletePermanently(id, this.#signal)
    } catch (error) {
      if (failureFrom(error).kind !== 'gone') throw error
      // A 404 of the audience is not one of the member (I5).
      await client.audience(this.#signal)
    }
    return { ref, kind: 'deleted', id }
  }

  /** The fields first: where they are refused, nothing was done. Tags have an address of their own, and answer nothing. */
  async update({ ref, id }: UpdateRequest, { json, tags }: Body): Promise<WriteOutcome> {
    // Tags that people added since we read the member are not ours to take away.
    const read = this.#reader.known(id)?.tags
    let seen = await this.#patch(id, json)
    if (seen.kind === 'archived') return failed(ref, archivedMeanwhile())
    if (seen.kind === 'broken') return failed(ref, UNREADABLE)
    if (tags !== undefined) {
      const now = (seen.member.tags ?? []).map(({ name }) => name)
      const held = read === undefined ? now : now.filter((tag) => read.includes(tag) || tags.includes(tag))
      seen = await this.#retag(id, held, tags, Object.keys(json).length > 0, seen)
    }
    if (seen.kind !== 'member') return failed(ref, archivedMeanwhile())
    return { ref, kind: 'written', record: seen.record }
  }

  /**
   * A create of somebody who is there is refused: unless they are archived, which is as good as not being there. They come
   * back as `transactional` where the request itself says nothing: Mailchimp does not tell what they had agreed to before
   * they were archived, and an unsubscribe must not be undone by the way.
   *
   * @param status what the request itself says, if anything
   */
  async bringBack(ref: string, email: string, json: JsonObject, status: Json | undefined): Promise<WriteOutcome> {
    const held = await this.#reader.member(email, this.#signal)
    if (held?.kind !== 'archived') {
      return failed(ref, {
        kind: 'permanent',
        code: 'MEMBER-EXISTS',
        message: 'A member of the audience has this e-mail address already',
        advice: 'Archive one of the two members in Mailchimp, or correct the address; then run: kith parked retry',
      })
    }
    const { tags, ...fields } = json
    const body = { ...fields, email_address: email, status: status ?? 'transactional' }
    let seen = this.#reader.see(await this.#reader.client.put(email, body, this.#signal), this.#shape)
    if (seen.kind === 'member' && Array.isArray(tags)) {
      const now = (seen.member.tags ?? []).map(({ name }) => name)
      seen = await this.#retag(seen.record.id, now, tags as string[], true, seen)
    }
    if (seen.kind !== 'member') return failed(ref, archivedMeanwhile())
    return { ref, kind: 'written', record: seen.record }
  }

  /** A member with nothing to patch is read: its tags are to be compared. */
  async #patch(id: string, json: JsonObject): Promise<Seen> {
    const { client } = this.#reader
    try {
      if (Object.keys(json).length > 0) return this.#see(await client.update(id, json, this.#signal))
      const answer = await this.#reader.member(id, this.#signal)
      if (answer) return answer
    } catch (error) {
      if (failureFrom(error).kind !== 'gone') throw error
    }
    // A 404 of the audience is not one of the member (I5).
    await client.audience(this.#signal)
    throw new FailureError({ kind: 'gone', code: '404', message: 'The member is no longer in the audience' })
  }

  /** @param begun something was written before: what fails now leaves the member written in part */
  async #retag(id: string, held: readonly string[], wanted: readonly string[], begun: boolean, before: Seen) {
    const has = (tags: readonly string[], tag: string): boolean =>
      tags.some((one) => one.toLowerCase() === tag.toLowerCase())
    const changes = [
      ...wanted.filter((tag) => !has(held, tag)).map((name) => ({ name, status: 'active' as const })),
      ...held.filter((tag) => !has(wanted, tag)).map((name) => ({ name, status: 'inactive' as const })),
    ]
    if (changes.length === 0) return before
    let done = begun
    try {
      await this.#reader.client.tag(id, changes, this.#signal)
      done = true
      const seen = await this.#reader.member(id, this.#signal)
      return seen ?? before
    } catch (error) {
      const failure = failureFrom(error)
      if (!done || failure.kind === 'permanent') throw error
      throw new FailureError({ ...failure, kind: 'uncertain' })
    }
  }

  #see(json: unknown): Seen {
    return this.#reader.see(json, this.#shape)
  }
}
