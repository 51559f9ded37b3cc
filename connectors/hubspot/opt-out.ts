import { failureFrom, type Failure } from '../../engine/core/failure.ts'
import { isBlank, type Json, type JsonObject } from '../../engine/core/json.ts'
import type { WriteRequest } from '../../engine/core/ports/connector.ts'
import type { HubSpotClient } from './client.ts'
import { EMAILS } from './fields.ts'
import type { Reader } from './read.ts'

/**
 * "Unsubscribed from all email" of a contact. The property is read-only: it follows what was told of the contact's primary
 * address, which is done through another API, address by address, and which HubSpot keeps for the address even where
 * there is no contact. Only tightened: v3 of that API refuses to subscribe anybody again, and Kith does not ask v4.
 */
export const OPT_OUT = 'hs_email_optout'

export interface OptOutParts {
  readonly client: HubSpotClient
  readonly reader: Reader
}

/**
 * Unsubscribes the addresses of all requests that say so, before anything else is written: a contact that could not be
 * unsubscribed is not written at all.
 *
 * @returns the failures, by request; what is not among them may be written
 */
export async function optOut(
  requests: readonly WriteRequest[],
  { client, reader }: OptOutParts,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, Failure>> {
  const failures = new Map<string, Failure>()
  const asking = requests.filter(saysOptOut)
  const wanted = asking.filter((request) => isOptOut(request.fields[OPT_OUT] ?? null))
  for (const { ref } of asking) if (!wanted.some((one) => one.ref === ref)) failures.set(ref, notLoosened())
  const addresses = await addressesOf(wanted, reader, signal)
  let halted: Failure | undefined
  for (const { ref } of wanted) {
    const address = addresses.get(ref)
    if (address === undefined) continue
    try {
      if (halted === undefined) await client.unsubscribeAll(address, signal)
    } catch (error) {
      const failure = understood(failureFrom(error))
      if (failure.kind !== 'permanent') halted = failure
      failures.set(ref, failure)
    }
    if (halted !== undefined) failures.set(ref, halted)
  }
  return failures
}

/** The fields without what was done apart. */
export function withoutOptOut(fields: JsonObject): JsonObject {
  const { [OPT_OUT]: _optOut, ...rest } = fields
  return rest
}

type Saying = Extract<WriteRequest, { fields: JsonObject }>

function saysOptOut(request: WriteRequest): request is Saying {
  return 'fields' in request && !isBlank(request.fields[OPT_OUT])
}

function isOptOut(value: Json): boolean {
  return value === true || value === 'true'
}

/** The primary address that each contact has, or will have; a contact without one has nothing to unsubscribe. */
async function addressesOf(
  requests: readonly Saying[],
  reader: Reader,
  signal: AbortSignal | undefined,
): Promise<Map<string, string>> {
  const addresses = new Map<string, string>()
  const unknown: Extract<Saying, { op: 'update' }>[] = []
  for (const request of requests) {
    const address = primaryOf(request.fields)
    if (address !== undefined) addresses.set(request.ref, address)
    else if (request.op === 'update') unknown.push(request)
  }
  if (unknown.length === 0) return addresses
  const answers = await reader.read(
    unknown.map(({ id }) => id),
    false,
    signal,
  )
  for (const answer of answers) {
    if (answer.kind !== 'record') continue
    const address = primaryOf(answer.record.fields)
    for (const { ref, id } of unknown) if (id === answer.record.id && address !== undefined) addresses.set(ref, address)
  }
  return addresses
}

function primaryOf(fields: JsonObject): string | undefined {
  const [first] = Array.isArray(fields[EMAILS]) ? fields[EMAILS] : [fields['email']]
  return typeof first === 'string' && first.trim() !== '' ? first.trim() : undefined
}

function understood(failure: Failure): Failure {
  if (failure.code !== 'MISSING_SCOPES') return failure
  return { ...failure, message: 'The token may not unsubscribe anybody' }
}

function notLoosened(): Failure {
  return {
    kind: 'permanent',
    code: 'NOT-LOOSENED',
    message: 'HubSpot subscribes nobody again whom it was told to leave alone',
  }
}
