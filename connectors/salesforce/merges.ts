import { z } from 'zod'
import { failureFrom, type Failure } from '../../engine/core/failure.ts'
import type { MergeOutcome, MergeRequest } from '../../engine/core/ports/connector.ts'
import { failureOfRow } from './errors.ts'
import { objectOf } from './fields.ts'
import { readRows, type ReadParts } from './read.ts'
import { soapBody } from './soap.ts'
import { RowError } from './wire.ts'

/** Of the fields of a record, where those of the call are in the partner API's own. */
const RECORD_NAMESPACE = 'urn:sobject.partner.soap.sforce.com'

const MergeResult = z.object({
  success: z.enum(['true', 'false']),
  id: z.string().optional(),
  mergedRecordIds: z.array(z.string()).default([]),
  errors: z.array(RowError).default([]),
})
const MergeResponse = z.object({ mergeResponse: z.object({ result: z.tuple([MergeResult]) }) })

/** Contacts go into contacts, and leads into leads. */
export function isMergeable(id: string, into: string): boolean {
  const object = objectOf(id)
  return object !== undefined && object === objectOf(into) && !isSame(id, into)
}

/**
 * Merges one record into another: only SOAP can. What the record that stands says, stands; the blanks in it are not filled by
 * Salesforce, and Kith writes them as it writes everything.
 */
export async function merge(
  parts: ReadParts,
  request: MergeRequest,
  now: () => number,
  signal: AbortSignal | undefined,
): Promise<MergeOutcome> {
  const { ref, id, into } = request
  if (!isMergeable(id, into)) return { ref, kind: 'failed', failure: unlike() }
  try {
    const asked = { pattern: 'POST Soap/u merge', write: true, signal }
    const message = {
      request: {
        masterRecord: { '@xmlns:so': RECORD_NAMESPACE, 'so:type': objectOf(into), 'so:Id': into },
        recordToMergeIds: [id],
      },
    }
    const answer = await parts.client.soap(asked, 'merge', message)
    const [{ success, id: stands, mergedRecordIds, errors }] = soapBody(asked, answer, MergeResponse, now())
      .mergeResponse.result
    if (success === 'false') return await refused(parts, request, failureOfRow(errors), signal)
    if (mergedRecordIds.some((merged) => isSame(merged, id))) return { ref, kind: 'merged', id, into: stands ?? into }
    return { ref, kind: 'failed', failure: notNamed() }
  } catch (error) {
    return { ref, kind: 'failed', failure: failureFrom(error) }
  }
}

/** Salesforce does not say which of the two it complains of; and an earlier try, whose answer was lost, may have done it. */
async function refused(
  parts: ReadParts,
  { ref, id }: MergeRequest,
  failure: Failure,
  signal: AbortSignal | undefined,
): Promise<MergeOutcome> {
  const [loser] = await readRows(parts, [id], signal)
  if (loser?.kind === 'merged') return { ref, kind: 'merged', id, into: loser.into }
  const isOther = failure.kind === 'gone' && loser?.kind !== 'gone'
  return { ref, kind: 'failed', failure: isOther ? standsNoMore(failure.code) : failure }
}

/** The last three characters of a long id only repeat the case of the others. */
function isSame(a: string, b: string): boolean {
  return a.slice(0, 15) === b.slice(0, 15)
}

function unlike(): Failure {
  return {
    kind: 'permanent',
    code: 'NOT-ALIKE',
    message: 'Salesforce merges contacts with contacts and leads with leads, and two different ones',
  }
}

function standsNoMore(code: string | undefined): Failure {
  return {
    kind: 'conflict',
    ...(code === undefined ? {} : { code }),
    message: 'The record that was to stand is no longer in Salesforce',
  }
}

function notNamed(): Failure {
  return {
    kind: 'uncertain',
    code: 'NOT-NAMED',
    message: "Salesforce's answer does not say that this record was merged",
  }
}
