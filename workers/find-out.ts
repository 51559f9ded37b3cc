import { failureFrom, type Failure } from '../engine/core/failure.ts'
import type { Connector, CreateRequest } from '../engine/core/ports/connector.ts'
import type { Intent, Link } from '../engine/core/ports/store.ts'
import type { ConnectionRules } from '../engine/core/rules.ts'
import { judgeUncertain, type Answer, type Answered } from '../engine/core/settle.ts'
import type { Runtime } from './runtime.ts'

/**
 * Finds out what became of writes whose answers were lost (the worker died, the socket did). An update or a delete is read back; a create
 * is repeated where Kith chose the id, and searched for where the app did.
 */
export async function findOut(
  runtime: Runtime,
  rules: ConnectionRules,
  connector: Connector,
  intents: readonly Intent[],
  signal?: AbortSignal,
): Promise<Answered> {
  const updates = intents.filter((intent) => intent.op === 'update')
  const others = intents.filter((intent) => intent.op !== 'update')
  const answered: (readonly [Intent, Answer])[] = []
  for (const intent of others) answered.push([intent, await findOutOne(runtime, rules, connector, intent, signal)])
  answered.push(...(await readBack(runtime, rules, connector, updates, signal)))
  return answered
}

async function findOutOne(
  runtime: Runtime,
  rules: ConnectionRules,
  connector: Connector,
  intent: Intent,
  signal?: AbortSignal,
): Promise<Answer> {
  if (intent.op === 'create' && connector.capabilities.createKey === 'id') return { kind: 'not-written' }
  // That the record is not to be seen does not tell whether it is gone for good: it is asked for once more, which does no harm.
  if (intent.op === 'delete' && intent.erase && connector.capabilities.erase) return { kind: 'not-written' }
  try {
    if (intent.op === 'delete') return await isDeleted(connector, intent, signal)
    if (intent.op === 'merge') return await isMerged(connector, intent, signal)
    const request: CreateRequest = { op: 'create', ref: intent.id, key: intent.id, fields: intent.fields }
    const found = (await connector.find?.(request, signal)) ?? []
    const hood = await runtime.store.loadRecords(
      rules.name,
      found.map((record) => record.id),
    )
    const taken = new Map(hood.links.map((link) => [link.recordId, link.personId]))
    const ours = found.filter((record) => (taken.get(record.id) ?? intent.personId) === intent.personId)
    const [record] = ours
    if (!record) return { kind: 'not-written' }
    if (ours.length === 1) return { kind: 'written', record }
    const message = `${ours.length} records may be the one whose creation was not answered`
    return failed({ kind: 'permanent', message, advice: 'Merge them in the app, then run: kith parked retry' })
  } catch (error) {
    return stillUnknown(runtime, rules.name, error)
  }
}

async function isDeleted(connector: Connector, intent: Intent, signal?: AbortSignal): Promise<Answer> {
  const [answer] = await connector.read([intent.recordId as string], signal)
  return answer?.kind === 'gone' ? { kind: 'deleted' } : { kind: 'not-written' }
}

/** The record that was to end tells: it is gone, or leads to another, or is still there. */
async function isMerged(connector: Connector, intent: Intent, signal?: AbortSignal): Promise<Answer> {
  const [answer] = await connector.read([intent.recordId as string], signal)
  if (answer?.kind === 'merged') return { kind: 'merged', into: answer.into }
  return answer?.kind === 'gone' ? { kind: 'merged', into: intent.into as string } : { kind: 'not-written' }
}

async function readBack(
  runtime: Runtime,
  rules: ConnectionRules,
  connector: Connector,
  intents: readonly Intent[],
  signal?: AbortSignal,
): Promise<Answered> {
  if (intents.length === 0) return []
  const ids = intents.map((intent) => intent.recordId as string)
  const hood = await runtime.store.loadRecords(rules.name, ids)
  const links = new Map<string, Link>(
    hood.links.filter((link) => link.connection === rules.name).map((link) => [link.recordId, link]),
  )
  try {
    const answers = []
    const max = connector.capabilities.readBatch_max
    for (let start = 0; start < ids.length; start += max)
      answers.push(...(await connector.read(ids.slice(start, start + max), signal)))
    const byId = new Map(answers.map((answer) => [answer.kind === 'record' ? answer.record.id : answer.id, answer]))
    return intents.map((intent) => {
      const answer = byId.get(intent.recordId as string)
      if (answer?.kind !== 'record') return [intent, { kind: 'overtaken' }] as const
      return [intent, judgeUncertain(links.get(answer.record.id), intent, answer.record)] as const
    })
  } catch (error) {
    const answer = await stillUnknown(runtime, rules.name, error)
    return intents.map((intent) => [intent, answer] as const)
  }
}

function failed(failure: Failure): Answer {
  return { kind: 'failed', failure }
}

/** Asking failed too: we still do not know, and ask again when the next lease has run out. */
async function stillUnknown(runtime: Runtime, connection: string, error: unknown): Promise<Answer> {
  const failure = failureFrom(error)
  runtime.log.failure('could not find out', connection, failure)
  if (failure.kind === 'auth') await runtime.store.saveConnection(connection, { failure })
  return failed({ ...failure, kind: 'uncertain' })
}
