import { sameFields } from '../engine/core/diff.ts'
import { failureFrom } from '../engine/core/failure.ts'
import type { Connector, ReadAnswer } from '../engine/core/ports/connector.ts'
import type { Intent } from '../engine/core/ports/store.ts'
import type { ConnectionRules } from '../engine/core/rules.ts'
import type { Answered } from './deliver.ts'
import type { Runtime } from './runtime.ts'

/**
 * Where an app has no preconditions, the records are read once more just before they are written: an edit that Kith has not
 * heard yet is then heard first, instead of being overwritten unseen. What is left of the race is the time of one request.
 *
 * @returns the intents that may be sent, and the answers for those whose records have moved on
 */
export async function lookAgain(
  runtime: Runtime,
  rules: ConnectionRules,
  connector: Connector,
  intents: readonly Intent[],
  signal?: AbortSignal,
): Promise<{ moved: Answered; still: readonly Intent[] }> {
  const over = intents.filter((intent) => intent.recordId !== null)
  if (connector.capabilities.precondition || over.length === 0) return { moved: [], still: intents }
  const ids = over.map((intent) => intent.recordId as string)
  const hood = await runtime.store.loadRecords(rules.name, ids)
  const shadows = new Map(
    hood.links.filter((link) => link.connection === rules.name).map((link) => [link.recordId, link.fields]),
  )
  const answers = new Map<string, ReadAnswer>()
  try {
    const max = connector.capabilities.readBatch_max
    for (let start = 0; start < ids.length; start += max) {
      for (const answer of await connector.read(ids.slice(start, start + max), signal))
        answers.set(idOf(answer), answer)
    }
  } catch (error) {
    const failure = failureFrom(error)
    const moved = intents.map((intent) => [intent, { kind: 'failed', failure }] as const)
    return { moved, still: [] }
  }
  const stands = (intent: Intent): boolean => {
    if (intent.recordId === null) return true
    const answer = answers.get(intent.recordId)
    const shadow = shadows.get(intent.recordId)
    return answer?.kind === 'record' && shadow !== undefined && sameFields(rules.lens, answer.record.fields, shadow)
  }
  const moved = intents.filter((intent) => !stands(intent)).map((intent) => [intent, { kind: 'overtaken' }] as const)
  return { moved, still: intents.filter(stands) }
}

function idOf(answer: ReadAnswer): string {
  return answer.kind === 'record' ? answer.record.id : answer.id
}
