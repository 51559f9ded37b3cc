import { FailureError, failureFrom } from '../../engine/core/failure.ts'
import type { Sleep } from '../clock.ts'
import type { Api } from './api.ts'
import { JobSchema, type Job, type JobResult } from './wire.ts'

/** How long to wait before each look at a job; the last one is repeated. */
export const POLL_PAUSES_MS = [300, 700, 1500, 3000, 5000]
/** After so many looks, some 15 minutes, the job is given up: what became of its rows is not known. */
const POLLS_MAX = 180

/**
 * Waits for a job's end.
 *
 * @returns one result per row, in no order to rely on
 * @throws FailureError `uncertain`: once a job was accepted, nothing else can be said before it has answered
 */
export async function resultsOf(
  api: Api,
  accepted: Job,
  pauses_ms: readonly number[],
  sleep: Sleep,
  signal: AbortSignal | undefined,
): Promise<readonly JobResult[]> {
  let job = accepted
  for (let looks = 0; job.status === 'queued' || job.status === 'working'; looks++) {
    if (looks === POLLS_MAX) throw lost('it did not end in time')
    try {
      await sleep(pauses_ms[Math.min(looks, pauses_ms.length - 1)] ?? 0, signal)
      const id = encodeURIComponent(job.id)
      const pattern = 'job_statuses/{id}'
      job = (await api.ask({ method: 'GET', path: `job_statuses/${id}`, pattern, signal }, JobSchema)).job_status
    } catch (error) {
      throw lost(signal?.aborted ? 'Kith was stopped' : `its status could not be read (${failureFrom(error).kind})`)
    }
  }
  if (job.status !== 'completed' || !Array.isArray(job.results)) {
    throw lost(`its status is ${job.status.replace(/\W/g, '')}`)
  }
  return job.results
}

function lost(why: string): FailureError {
  return new FailureError({
    kind: 'uncertain',
    code: 'JOB',
    message: `Zendesk accepted the job, and what became of it is not known: ${why}`,
  })
}
