import type { Failure } from '../../engine/core/failure.ts'
import type { WriteOutcome } from '../../engine/core/ports/connector.ts'

export function failed(ref: string, failure: Failure): WriteOutcome {
  return { ref, kind: 'failed', failure }
}

export function lostTrack(): Failure {
  return { kind: 'uncertain', code: 'NOT-NAMED', message: "Mailchimp's answer does not say what became of this member" }
}

export function archivedMeanwhile(): Failure {
  return { kind: 'gone', code: 'ARCHIVED', message: 'The member is archived in Mailchimp' }
}

export function moved(): Failure {
  return { kind: 'conflict', code: 'MOVED', message: 'The address belongs to another member of the audience by now' }
}
