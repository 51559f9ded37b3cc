import { FailureError } from '../../engine/core/failure.ts'
import type { ReadAnswer } from '../../engine/core/ports/connector.ts'
import type { HubSpotClient } from './client.ts'
import { mergedIds, propertiesFor, recordFrom, revOf } from './fields.ts'
import { revWith, withLists, type Memberships } from './list-fields.ts'
import type { Lists } from './lists.ts'
import { Contact, Head, LIMITS, type BatchAnswer } from './wire.ts'

/** Reads contacts by id, with their history or without; and the lists that they are in, where those are read. */
export class Reader {
  readonly #client: HubSpotClient
  readonly #lists: Lists
  /** The fields that records are to have. */
  readonly #fields: (signal: AbortSignal | undefined) => Promise<readonly string[]>

  constructor(
    client: HubSpotClient,
    lists: Lists,
    fields: (signal: AbortSignal | undefined) => Promise<readonly string[]>,
  ) {
    this.#client = client
    this.#lists = lists
    this.#fields = fields
  }

  /** One answer per id, whether or not the vendor's batch speaks of it. */
  async read(ids: readonly string[], history: boolean, signal: AbortSignal | undefined): Promise<ReadAnswer[]> {
    const wanted = [...new Set(ids)]
    const fields = await this.#fields(signal)
    const size = history ? LIMITS.history_max : LIMITS.batch_max
    const batches = Array.from({ length: Math.ceil(wanted.length / size) }, (_, at) =>
      wanted.slice(at * size, (at + 1) * size),
    )
    const found = await Promise.all(batches.map((batch) => this.#batch(batch, fields, history, signal)))
    return await this.#withLists(found.flat(), signal)
  }

  /** The contacts that a unique property, or the e-mail address, has these values in. */
  async byValue(idProperty: string, values: readonly string[], signal: AbortSignal | undefined): Promise<ReadAnswer[]> {
    const fields = await this.#fields(signal)
    const properties = propertiesFor(fields)
    const { data } = await this.#client.batchRead(values, properties, false, idProperty, signal)
    const found = data.results.map((result) => answerFrom(result, fields)).filter((answer) => answer !== null)
    return await this.#withLists(found, signal)
  }

  async #withLists(answers: readonly ReadAnswer[], signal: AbortSignal | undefined): Promise<ReadAnswer[]> {
    const ids = answers.flatMap((answer) => (answer.kind === 'record' ? [answer.record.id] : []))
    const broken = answers.flatMap((answer) => (answer.kind === 'broken' ? [answer.id] : []))
    const memberships = await this.#lists.of([...ids, ...broken], signal)
    return answers.map((answer) => this.#withMemberships(answer, memberships))
  }

  #withMemberships(answer: ReadAnswer, all: ReadonlyMap<string, Memberships>): ReadAnswer {
    const { fields } = this.#lists
    if (answer.kind === 'record')
      return { kind: 'record', record: withLists(answer.record, all.get(answer.record.id), fields) }
    if (answer.kind !== 'broken' || answer.rev === null) return answer
    return { ...answer, rev: revWith(answer.rev, all.get(answer.id), fields) }
  }

  async #batch(
    ids: readonly string[],
    fields: readonly string[],
    history: boolean,
    signal: AbortSignal | undefined,
  ): Promise<ReadAnswer[]> {
    const { data } = await this.#client.batchRead(ids, propertiesFor(fields), history, undefined, signal)
    const found = new Map<string, ReadAnswer>()
    for (const result of data.results) {
      const answer = answerFrom(result, fields)
      if (!answer) continue
      found.set(answer.kind === 'record' ? answer.record.id : answer.id, answer)
      // An id that was merged away is answered with the contact that it became, and under the new id.
      const contact = Contact.safeParse(result)
      if (!contact.success) continue
      for (const id of mergedIds(contact.data)) {
        if (!found.has(id)) found.set(id, { kind: 'merged', id, into: contact.data.id })
      }
    }
    const gone = new Set(notFound(data))
    const answers: ReadAnswer[] = []
    for (const id of ids) {
      answers.push(found.get(id) ?? (gone.has(id) ? { kind: 'gone', id } : await this.#one(id, fields, signal)))
    }
    return answers
  }

  /** An id that a batch passes over in silence: asked for alone, HubSpot says what became of it. */
  async #one(id: string, fields: readonly string[], signal: AbortSignal | undefined): Promise<ReadAnswer> {
    const contact = await this.#client.read(id, propertiesFor(fields), signal)
    if (contact === null) return { kind: 'gone', id }
    const answer = answerFrom(contact, fields)
    if (!answer)
      throw new FailureError({ kind: 'transient', code: 'MALFORMED', message: 'HubSpot answered without a contact' })
    const into = answer.kind === 'record' ? answer.record.id : answer.id
    return into === id ? answer : { kind: 'merged', id, into }
  }
}

/** The ids that HubSpot itself says are not there. */
function notFound({ errors }: BatchAnswer): string[] {
  return (errors ?? []).flatMap(({ category, context }) =>
    category === 'OBJECT_NOT_FOUND' ? (context?.['ids'] ?? []) : [],
  )
}

/** null for what has not even an id. */
function answerFrom(
  result: unknown,
  fields: readonly string[],
): Exclude<ReadAnswer, { kind: 'gone' | 'merged' }> | null {
  const contact = Contact.safeParse(result)
  if (contact.success) return { kind: 'record', record: recordFrom(contact.data, fields) }
  const head = Head.safeParse(result)
  if (!head.success) return null
  return {
    kind: 'broken',
    id: head.data.id,
    rev: revOf(head.data.updatedAt),
    failure: { kind: 'permanent', code: 'MALFORMED', message: 'HubSpot answers with a contact that cannot be read' },
  }
}
