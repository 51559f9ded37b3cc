import { sameFields } from '../engine/core/diff.ts'
import { failureFrom } from '../engine/core/failure.ts'
import type { Connector, ReadAnswer } from '../engine/core/ports/connector.ts'
import type { Intent } from '../engine/core/ports/store.ts'
import type { Answered } from '../engine/core/settle.ts'
import type { ConnectionRules } from '../engine/core/rules.ts'
import type { Runtime } from './runtime.ts'

/**
 * The last look before something is written. Nobody is created who is there already; and where an app has no preconditions, the records are read once more just before they are written: an edit that Kith has not
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
  const { twice, rest } = await alreadyThere(runtime, rules, intents)
  if (connector.capabilities.precondition) return { moved: twice, still: rest }
  const again = await compare(runtime, rules, connector, rest, signal)
  return { moved: [...twice, ...again.moved], still: again.still }
}

/** A create that was planned before another one was known to be on its way: the person has a record by now. */
async function alreadyThere(
  runtime: Runtime,
  rules: ConnectionRules,
  intents: readonly Intent[],
): Promise<{ twice: Answered; rest: readonly Intent[] }> {
  const creates = intents.filter((intent) => intent.op === 'create')
  if (creates.length === 0) return { twice: [], rest: intents }
  const hood = await runtime.store.loadPeople(creates.map((intent) => intent.personId))
  const here = new Set(
    hood.links.filter((link) => link.connection === rules.name && link.state !== 'gone').map((link) => link.personId),
  )
  const isTwice = (intent: Intent): boolean => intent.op === 'create' && here.has(intent.personId)
  const twice = intents.filter(isTwice).map((intent) => [intent, { kind: 'overtaken' }] as const)
  return { twice, rest: intents.filter((intent) => !isTwice(intent)) }
}

async function compare(
  runtime: Runtime,
  rules: ConnectionRules,
  connector: Connector,
  intents: readonly Intent[],
  signal?: AbortSignal,
): Promise<{ moved: Answered; still: readonly Intent[] }> {
  const over = intents.filter((intent) => intent.recordId !== null)
  if (over.length === 0) return { moved: [], still: intents }
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
