import { FailureError, failureFrom, type Failure, type FailureKind } from '../../engine/core/failure.ts'
import { isBlank, type JsonObject } from '../../engine/core/json.ts'
import type {
  CreateRequest,
  DeleteRequest,
  UpdateRequest,
  WriteOutcome,
  WriteRequest,
} from '../../engine/core/ports/connector.ts'
import type { HttpResponse } from '../http.ts'
import type { Sleep } from '../clock.ts'
import { parse, type Api, type Call } from './api.ts'
import { refusalOf, rowFailure } from './errors.ts'
import {
  emailsOf,
  furtherPhones,
  itemsOf,
  phonesOf,
  planIdentities,
  type IdentityPlan,
  type Item,
} from './identities.ts'
import { resultsOf } from './jobs.ts'
import { answerOf, idOf } from './reader.ts'
import { attributesOf, externalIdOf, nameless, nameOf, newUser, type Seen } from './records.ts'
import { JobSchema, OneIdentitySchema, OneUserSchema, type JobResult } from './wire.ts'

/** Done in Zendesk; what it holds now is read back for the whole batch at once. */
interface Done {
  readonly kind: 'done'
  readonly ref: string
  readonly id: string
}

type Result = WriteOutcome | Done

export interface WriterParts {
  readonly api: Api
  /** Pauses before each look at a job. */
  readonly pollPauses_ms: readonly number[]
  readonly sleep: Sleep
}

/** An update on its way: what is to be written beside the identities, and what follows when that is done. */
interface Draft {
  readonly request: UpdateRequest
  readonly attributes: JsonObject
  readonly plan: IdentityPlan
  /** The id of the identity to make primary. */
  readonly primaryId: number | undefined
}

/** Failures that are none of the record's. */
const WHOLE: ReadonlySet<FailureKind> = new Set(['auth', 'ratelimited', 'transient'])
const NO_PLAN: IdentityPlan = { add: [], remove: [] }
/** The body of a 429 that means one user, not the account (README, limits). */
const ONE_USER = /single unique user/i

/**
 * One batch of writes: creates, then updates, then deletes, each as one job where there is more than one. Jobs are settled row
 * by row.
 */
export class Batch {
  readonly #api: Api
  readonly #pauses_ms: readonly number[]
  readonly #sleep: Sleep
  readonly #signal: AbortSignal | undefined
  /** Set once something failed that would fail for every request: the rest is answered with it, unsent. */
  #halted: Failure | undefined
  /** Whether Zendesk may have done something: from then on nothing is thrown. */
  #sent = false

  constructor(parts: WriterParts, signal: AbortSignal | undefined) {
    this.#api = parts.api
    this.#pauses_ms = parts.pollPauses_ms
    this.#sleep = parts.sleep
    this.#signal = signal
  }

  /** @throws FailureError only as long as nothing was done */
  async write(requests: readonly WriteRequest[]): Promise<WriteOutcome[]> {
    const results = [
      ...(await this.#stage(only(requests, 'create'), (all) => this.#creates(all))),
      ...(await this.#stage(only(requests, 'update'), (all) => this.#updates(all))),
      ...(await this.#stage(only(requests, 'delete'), (all) => this.#deletes(all))),
    ]
    const byRef = new Map((await this.#settle(results)).map((outcome) => [outcome.ref, outcome]))
    return requests.map(({ ref }) => byRef.get(ref) ?? failed(ref, NO_OUTCOME))
  }

  async #stage<R extends WriteRequest>(requests: R[], work: (requests: R[]) => Promise<Result[]>): Promise<Result[]> {
    const { length } = requests
    if (length === 0) return []
    if (this.#halted) return requests.map(({ ref }) => failed(ref, this.#halted as Failure))
    try {
      return await work(requests)
    } catch (error) {
      if (!this.#sent) throw error
      const failure = failureFrom(error)
      this.#consider(failure)
      return requests.map(({ ref }) => failed(ref, failure))
    }
  }

  #consider(failure: Failure): void {
    if (failure.kind === 'auth' || failure.kind === 'ratelimited') this.#halted = failure
  }

  /** One after the other, each with its own outcome. */
  async #each<T>(
    items: readonly T[],
    refOf: (item: T) => string,
    work: (item: T) => Promise<Result>,
  ): Promise<Result[]> {
    const results: Result[] = []
    for (const item of items) {
      const ref = refOf(item)
      if (this.#halted) {
        results.push(failed(ref, this.#halted))
        continue
      }
      try {
        results.push(await work(item))
      } catch (error) {
        const failure = failureFrom(error)
        const alone = items.length === 1 && !this.#sent && WHOLE.has(failure.kind)
        if (alone) throw error
        if (failure.code !== ONE_USER_CODE) this.#consider(failure)
        results.push(failed(ref, failure))
      }
    }
    return results
  }

  async #creates(requests: readonly CreateRequest[]): Promise<Result[]> {
    const oneByOne = (all: readonly CreateRequest[]): Promise<Result[]> =>
      this.#each(all, refOf, (each) => this.#create(each, 'all'))
    if (requests.length === 1) return await oneByOne(requests)
    const users = requests.map(({ key, fields }) => newUser(key, fields, 'all'))
    // 403: bulk imports are off until the account's owner asks for them.
    const rows = await this.#job('POST', 'users/create_many', { users }, [400, 403, 422])
    if (rows === 'refused') return await oneByOne(requests)
    const byIndex = new Map(rows.map((row, at) => [row.index ?? at, row]))
    const results: Result[] = []
    const open: CreateRequest[] = []
    for (const [at, request] of requests.entries()) {
      const row = byIndex.get(at)
      if (row && isGood(row) && row.id) results.push({ kind: 'done', ref: request.ref, id: String(row.id) })
      else open.push(request)
    }
    // What a row says of a failure is for people. Whether the user is there, its key says: an earlier try may have made it.
    const there = await this.#byKey(open).catch(() => undefined)
    for (const request of open) {
      const id = there?.get(externalIdOf(request.key).toLowerCase())
      const row = byIndex.get(requests.indexOf(request))
      if (id !== undefined) results.push({ kind: 'done', ref: request.ref, id })
      else if (!there) results.push(failed(request.ref, KEY_UNREAD))
      else if (hasFurtherPhones(request)) {
        results.push(...(await this.#each([request], refOf, (each) => this.#create(each, 'first'))))
      } else results.push(failed(request.ref, rowFailure(row)))
    }
    return results
  }

  /**
   * Repeatable: the external id follows from the key, and Zendesk refuses a second user with it.
   *
   * @param phones a further number that another user has makes Zendesk refuse the whole: then the user is made without them
   */
  async #create(request: CreateRequest, phones: 'all' | 'first'): Promise<Result> {
    const { ref } = request
    const user = newUser(request.key, request.fields, phones)
    const call: Call = { method: 'POST', path: 'users', pattern: 'users', body: { user }, accept: [400, 403, 422] }
    const response = await this.#send(call)
    if (response.status < 300) {
      const id = String(parse(response, call, OneUserSchema).user.id)
      if (phones === 'first')
        for (const value of furtherPhones(itemsOf(request.fields['phones']))) await this.#addPhone(id, value)
      return { kind: 'done', ref, id }
    }
    const id = (await this.#byKey([request])).get(externalIdOf(request.key).toLowerCase())
    if (id !== undefined) return { kind: 'done', ref, id }
    if (phones === 'all' && hasFurtherPhones(request)) return await this.#create(request, 'first')
    return failed(ref, refusalOf(response.status, response.body))
  }

  /** The ids of those users that are there already, by their external id in small letters: Zendesk does not tell case apart. */
  async #byKey(requests: readonly CreateRequest[]): Promise<Map<string, string>> {
    const seen = await this.#api.show(
      'external_ids',
      requests.map(({ key }) => externalIdOf(key)),
      this.#signal,
    )
    return new Map(
      seen.flatMap((each) => (each.kind === 'user' ? [[(each.user.external_id ?? '').toLowerCase(), idOf(each)]] : [])),
    )
  }

  async #updates(requests: readonly UpdateRequest[]): Promise<Result[]> {
    const current = await this.#current(requests.filter(needsCurrent))
    const drafts: Draft[] = []
    const results = await this.#each(requests, refOf, async (request) => {
      const draft = await this.#begin(request, current)
      drafts.push(draft)
      return { kind: 'done', ref: request.ref, id: request.id }
    })
    const written = await this.#attributes(drafts.filter(({ attributes }) => Object.keys(attributes).length > 0))
    const byRef = new Map(results.map((result) => [result.ref, result]))
    for (const result of written) byRef.set(result.ref, result)
    const rest = drafts.filter(({ request }) => byRef.get(request.ref)?.kind === 'done')
    for (const result of await this.#each(rest, refOfDraft, (draft) => this.#finish(draft)))
      byRef.set(result.ref, result)
    return [...byRef.values()]
  }

  /** The users whose addresses or numbers change, as they stand, in one request. */
  async #current(requests: readonly UpdateRequest[]): Promise<Map<string, Seen>> {
    const seen = await this.#api.show(
      'ids',
      requests.map(({ id }) => id),
      this.#signal,
    )
    return new Map(seen.map((each) => [idOf(each), each]))
  }

  /** What can be refused comes first, what cannot be taken back last. */
  async #begin(request: UpdateRequest, current: ReadonlyMap<string, Seen>): Promise<Draft> {
    const { id, fields } = request
    if (!isNumber(id)) throw gone()
    if (!needsCurrent(request)) {
      return { request, attributes: attributesOf(fields, ''), plan: NO_PLAN, primaryId: undefined }
    }
    const seen = current.get(id)
    if (!seen || seen.kind === 'inactive') throw gone()
    if (seen.kind !== 'user') throw unreadable(seen)
    const { user, identities } = seen
    const plan = planIdentities(user, identities, fields['emails'], fields['phones'])
    const ids = new Map(identities.filter(({ type }) => type === 'email').map((each) => [bare(each.value), each.id]))
    for (const { type, value } of plan.add) {
      if (type === 'phone_number') await this.#addPhone(id, value)
      else ids.set(bare(value), await this.#addEmail(id, value))
    }
    // Who has no name is called by an address or a number, and is called anew when that one goes.
    const known = {
      emails: valuesOf(emailsOf(user, identities)),
      phones: valuesOf(phonesOf(user, identities)),
      ...fields,
    }
    const named = 'name' in fields || nameOf(user, identities) !== null ? {} : { name: null }
    const attributes = attributesOf({ ...fields, ...named }, nameless(known))
    if (!('name' in fields) && attributes['name'] === user.name) delete attributes['name']
    return {
      request,
      attributes: { ...attributes, ...(plan.phone === undefined ? {} : { phone: plan.phone }) },
      plan,
      primaryId: plan.primary === undefined ? undefined : ids.get(bare(plan.primary)),
    }
  }

  /** The attributes of users: one by itself, several as a job. */
  async #attributes(drafts: readonly Draft[]): Promise<Result[]> {
    if (drafts.length === 0) return []
    if (drafts.length === 1) return await this.#each(drafts, refOfDraft, (draft) => this.#update(draft))
    const users = drafts.map(({ request, attributes }) => ({ id: Number(request.id), ...attributes }))
    let rows: readonly JobResult[] | 'refused'
    try {
      rows = await this.#job('PUT', 'users/update_many', { users }, [400, 422])
    } catch (error) {
      if (!this.#sent) throw error
      const failure = failureFrom(error)
      this.#consider(failure)
      return drafts.map(({ request }) => failed(request.ref, failure))
    }
    if (rows === 'refused') return await this.#each(drafts, refOfDraft, (draft) => this.#update(draft))
    const byId = new Map(rows.map((row) => [row.id, row]))
    const byIndex = new Map(rows.map((row) => [row.index, row]))
    return drafts.map(({ request }, at) => {
      const row = byId.get(Number(request.id)) ?? byIndex.get(at)
      if (row && isGood(row)) return { kind: 'done', ref: request.ref, id: request.id }
      return failed(request.ref, rowFailure(row))
    })
  }

  async #update({ request, attributes }: Draft): Promise<Result> {
    const call: Call = {
      method: 'PUT',
      path: `users/${encodeURIComponent(request.id)}`,
      pattern: 'users/{id}',
      body: { user: attributes },
      accept: [400, 403, 404, 422, 429],
    }
    const response = await this.#send(call)
    if (response.status === 404) throw gone()
    if (response.status === 429) {
      const one = ONE_USER.test(response.body)
      const failure = this.#api.rateFailure(response, one)
      throw new FailureError(one ? { ...failure, code: ONE_USER_CODE } : failure)
    }
    if (response.status >= 400) throw new FailureError(refusalOf(response.status, response.body))
    // Writing to a deleted user is answered as if all were well.
    if (parse(response, call, OneUserSchema).user['active'] === false) throw gone()
    return { kind: 'done', ref: request.ref, id: request.id }
  }

  async #finish({ request, plan, primaryId }: Draft): Promise<Result> {
    const { id, ref } = request
    if (primaryId !== undefined) {
      const path = `users/${id}/identities/${primaryId}/make_primary`
      await this.#send({ method: 'PUT', path, pattern: 'users/{id}/identities/{id}/make_primary' })
    }
    for (const identityId of plan.remove) {
      const path = `users/${id}/identities/${identityId}`
      await this.#send({ method: 'DELETE', path, pattern: 'users/{id}/identities/{id}', accept: [404] })
    }
    return { kind: 'done', ref, id }
  }

  /** @returns the identity's id */
  async #addEmail(id: string, value: string): Promise<number> {
    const { call, response } = await this.#addIdentity(id, { type: 'email', value, skip_verify_email: true })
    if (response.status === 404) throw gone()
    if (response.status >= 400) throw new FailureError(refusalOf(response.status, response.body))
    return parse(response, call, OneIdentitySchema).identity.id
  }

  /** Numbers may be shared by people, and Zendesk's direct lines may not: such a number stays out (README, phones). */
  async #addPhone(id: string, value: string): Promise<void> {
    await this.#addIdentity(id, { type: 'phone_number', value })
  }

  async #addIdentity(id: string, identity: JsonObject): Promise<{ call: Call; response: HttpResponse }> {
    const call: Call = {
      method: 'POST',
      path: `users/${id}/identities`,
      pattern: 'users/{id}/identities',
      body: { identity },
      accept: [400, 404, 422],
    }
    return { call, response: await this.#send(call) }
  }

  async #deletes(requests: readonly DeleteRequest[]): Promise<Result[]> {
    const known = requests.filter(({ id }) => isNumber(id))
    const unknown = requests.filter((request) => !known.includes(request))
    const results: Result[] = unknown.map(({ ref, id }) => ({ ref, kind: 'deleted', id }))
    const erased = known.filter(({ erase }) => erase === true)
    const numbered = known.filter(({ erase }) => erase !== true)
    if (erased.length > 0) results.push(...(await this.#each(erased, refOf, (each) => this.#erase(each))))
    if (numbered.length === 0) return results
    const oneByOne = (): Promise<Result[]> => this.#each(numbered, refOf, (each) => this.#delete(each))
    if (numbered.length === 1) return [...results, ...(await oneByOne())]
    const path = `users/destroy_many?ids=${numbered.map(({ id }) => id).join(',')}`
    const rows = await this.#job('DELETE', path, undefined, [400, 404, 422])
    if (rows === 'refused') return [...results, ...(await oneByOne())]
    const byId = new Map(rows.map((row) => [row.id, row]))
    const open = numbered.filter(({ id }) => !isGood(byId.get(Number(id))))
    const left = await this.#left(open).catch(() => undefined)
    for (const { ref, id } of numbered) {
      const isOpen = open.some((each) => each.ref === ref)
      if (!isOpen || left?.has(id) === false) results.push({ ref, kind: 'deleted', id })
      else results.push(failed(ref, left ? rowFailure(byId.get(Number(id))) : KEY_UNREAD))
    }
    return results
  }

  async #delete({ ref, id }: DeleteRequest): Promise<Result> {
    const path = `users/${id}`
    const accept = [400, 403, 404, 422]
    const response = await this.#send({ method: 'DELETE', path, pattern: 'users/{id}', accept })
    if (response.status < 300 || response.status === 404) return { ref, kind: 'deleted', id }
    const left = await this.#left([{ id }])
    return left.has(id) ? failed(ref, refusalOf(response.status, response.body)) : { ref, kind: 'deleted', id }
  }

  /** For good: Zendesk erases only who is deleted already. Whoever is in neither list was erased before. */
  async #erase(request: DeleteRequest): Promise<Result> {
    const { ref, id } = request
    const deleted = await this.#delete(request)
    if (deleted.kind === 'failed') return deleted
    const pattern = 'deleted_users/{id}'
    const response = await this.#send({
      method: 'DELETE',
      path: `deleted_users/${id}`,
      pattern,
      accept: [403, 404, 422],
    })
    if (response.status < 300 || response.status === 404) return { ref, kind: 'deleted', id }
    return failed(ref, refusalOf(response.status, response.body))
  }

  /** Which of these are still there. */
  async #left(requests: readonly { readonly id: string }[]): Promise<Set<string>> {
    const ids = requests.map(({ id }) => id)
    const seen = await this.#api.show('ids', ids, this.#signal)
    return new Set(seen.filter(({ kind }) => kind !== 'inactive').map(idOf))
  }

  async #job(
    method: 'POST' | 'PUT' | 'DELETE',
    path: string,
    body: JsonObject | undefined,
    refusals: readonly number[],
  ): Promise<readonly JobResult[] | 'refused'> {
    const pattern = path.split('?')[0] ?? path
    const call: Call = { method, path, pattern, ...(body ? { body } : {}), accept: refusals }
    const response = await this.#send(call)
    if (refusals.includes(response.status)) return 'refused'
    const { job_status } = parse(response, call, JobSchema)
    return await resultsOf(this.#api, job_status, this.#pauses_ms, this.#sleep, this.#signal)
  }

  async #send(call: Call): Promise<HttpResponse> {
    try {
      const response = await this.#api.send({ ...call, signal: this.#signal })
      if (response.status < 300) this.#sent = true
      return response
    } catch (error) {
      if (failureFrom(error).kind === 'uncertain') this.#sent = true
      throw error
    }
  }

  async #settle(results: readonly Result[]): Promise<WriteOutcome[]> {
    const ids = [...new Set(results.flatMap((result) => (result.kind === 'done' ? [result.id] : [])))]
    let held: ReadonlyMap<string, Seen> = new Map()
    try {
      held = new Map((await this.#api.show('ids', ids, this.#signal)).map((seen) => [idOf(seen), seen]))
    } catch (error) {
      // The writes are done; what Zendesk made of them is not known. That is what `uncertain` is for.
      if (!(error instanceof FailureError)) throw error
      return results.map((result) => (result.kind === 'done' ? failed(result.ref, UNREAD) : result))
    }
    return results.map((result) => (result.kind === 'done' ? readBack(result, held.get(result.id)) : result))
  }
}

function readBack({ ref }: Done, seen: Seen | undefined): WriteOutcome {
  if (!seen || seen.kind === 'inactive') return failed(ref, gone().failure)
  const answer = answerOf(seen)
  if (answer.kind === 'record') return { ref, kind: 'written', record: answer.record }
  return failed(ref, unreadable(seen).failure)
}

const ONE_USER_CODE = '429 one user'

const UNREAD: Failure = {
  kind: 'uncertain',
  code: 'READ-BACK',
  message: 'The user was written, and could not be read back',
}

const KEY_UNREAD: Failure = {
  kind: 'uncertain',
  code: 'LOOK-UP',
  message: 'Zendesk reports a failure, and whether the user is there could not be read',
}

const NO_OUTCOME: Failure = { kind: 'bug', message: 'a write to Zendesk came to no outcome' }

function failed(ref: string, failure: Failure): WriteOutcome {
  return { ref, kind: 'failed', failure }
}

function gone(): FailureError {
  return new FailureError({ kind: 'gone', code: '404', message: 'The user is no longer in Zendesk' })
}

function unreadable(seen: Seen): FailureError {
  const answer = seen.kind === 'inactive' || seen.kind === 'user' ? undefined : answerOf(seen)
  return answer?.kind === 'broken' ? new FailureError(answer.failure) : gone()
}

function isGood(row: JobResult | undefined): boolean {
  if (!row || row.success === false || (row.error !== undefined && row.error !== null)) return false
  return !/fail|error/i.test(row.status ?? '')
}

/** Whether the update depends on what the user has now. */
function needsCurrent({ fields }: UpdateRequest): boolean {
  return 'emails' in fields || 'phones' in fields || ('name' in fields && isBlank(fields['name']))
}

function valuesOf(items: readonly Item[]): string[] {
  return items.map(({ value }) => value)
}

function bare(address: string): string {
  return address.trim().toLowerCase()
}

function isNumber(id: string): boolean {
  return /^\d{1,16}$/.test(id)
}

function hasFurtherPhones({ fields }: CreateRequest): boolean {
  return furtherPhones(itemsOf(fields['phones'])).length > 0
}

function refOf({ ref }: WriteRequest): string {
  return ref
}

function refOfDraft({ request }: Draft): string {
  return request.ref
}

function only<Op extends WriteRequest['op']>(
  requests: readonly WriteRequest[],
  op: Op,
): Extract<WriteRequest, { op: Op }>[] {
  return requests.filter((request): request is Extract<WriteRequest, { op: Op }> => request.op === op)
}
