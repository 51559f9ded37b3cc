import {
  bareLink,
  ERASED,
  excluded,
  excluderOf,
  isToErase,
  recordKey,
  type Certificate,
  type CertifiedRecord,
  type Erasure,
} from '../engine/core/erasure.ts'
import type { Failure } from '../engine/core/failure.ts'
import type { ConnectionState, Intent, Link, Neighbourhood } from '../engine/core/ports/store.ts'
import type { Rules } from '../engine/core/rules.ts'
import { barredAmong } from './apply.ts'
import { batches } from './batches.ts'
import { keepCopy } from './certificates.ts'
import { textsOf } from './forget.ts'
import type { Runtime } from './runtime.ts'

/** How many erasures are looked at in one go: more are rarely open, and none is forgotten for it. */
const OPEN_MAX = 100

/** Rows of a pause that are looked at together. */
const KEPT_BATCH = 500

/** Where one record of an open erasure stands. */
export interface ErasureStep {
  readonly connection: string
  readonly recordId: string
  readonly state: 'answered' | 'waived' | 'waiting'
  /** Why it waits: a sentence for the operator. */
  readonly because?: string
  /** What the app said last, where it has refused. */
  readonly failure?: Failure
}

/** Where an open erasure stands, record by record. */
export async function erasureSteps(
  { store, rules }: Pick<Runtime, 'store' | 'rules'>,
  erasure: Erasure,
): Promise<ErasureStep[]> {
  const hood = await store.loadPeople(erasure.people)
  const states = new Map((await store.connections()).map((state) => [state.name, state]))
  const steps = hood.links.map((link) => stepOf(rules, states, hood, erasure, link))
  // A record that is being created just now is not known by an id yet.
  const blind = hood.intents.filter((intent) => intent.recordId === null)
  return [...steps, ...blind.map(creating)]
}

function creating({ connection, id }: Intent): ErasureStep {
  return { connection, recordId: id, state: 'waiting', because: 'a create of it is under way' }
}

function stepOf(
  rules: Rules,
  states: ReadonlyMap<string, ConnectionState>,
  hood: Neighbourhood,
  erasure: Erasure,
  link: Link,
): ErasureStep {
  const { connection, recordId } = link
  const to = rules.connections.get(connection)
  const intent = hood.intents.find((one) => one.personId === link.personId && one.connection === connection)
  const answered = !isToErase(link, to !== undefined && to.canErase && to.direction !== 'in')
  if (answered && intent?.state !== 'sending') return { connection, recordId, state: 'answered' }
  if (erasure.waived[connection]) return { connection, recordId, state: 'waived' }
  const failure = intent?.failure
  const because = obstacle(to, states.get(connection)) ?? failure?.message ?? 'it is on its way'
  return { connection, recordId, state: 'waiting', because, ...(failure ? { failure } : {}) }
}

type Connection = Rules['connections'] extends ReadonlyMap<string, infer One> ? One : never

/** Why nothing can be deleted in a connection now; undefined where it can. */
function obstacle(to: Connection | undefined, state: ConnectionState | undefined): string | undefined {
  if (to === undefined) return state?.failure?.message ?? 'the connection is not in the config, or does not answer'
  if (to.direction === 'in') return 'Kith may not write there (direction: in): delete it by hand'
  if (!to.canDelete) return 'the app lets nobody delete by its API: delete it by hand'
  if (state?.pause) return 'the connection is paused'
  if (state && state.mode !== 'live') return `the connection is in mode ${state.mode}`
  return state?.failure?.message
}

/**
 * Brings to their end the erasures whose apps have all answered: the certificate is made, the store is purged. Doing it twice, or in
 * two places at once, does it once.
 * @returns the certificates made
 */
export async function tendErasures(runtime: Runtime): Promise<Certificate[]> {
  const { store } = runtime
  const made: Certificate[] = []
  for (const erasure of await store.erasures({ state: 'open', limit: OPEN_MAX })) {
    const steps = await erasureSteps(runtime, erasure)
    if (steps.some(({ state }) => state === 'waiting')) continue
    if (!(await excludeKept(runtime))) {
      await runtime.queue.wakeSettle()
      continue
    }
    const hood = await store.loadPeople(erasure.people)
    const certificate = await certify(runtime, erasure, hood, steps)
    if (!(await store.purge(erasure.id, certificate, textsOf(hood.people)))) continue
    made.push(certificate)
    runtime.log.info('erased', { erasure: erasure.id, records: certificate.records.length })
    await keepCopy(runtime, certificate)
  }
  return made
}

/**
 * What was kept in a pause before it was known whose it is: records that are nobody's and fall under an erasure take no part, and
 * nothing of them is kept.
 * @returns false where they are changing just now: try again
 */
async function excludeKept(runtime: Runtime): Promise<boolean> {
  const { store, rules } = runtime
  for (const { name, pause } of await store.connections()) {
    const connection = rules.connections.get(name)
    if (!connection || pause?.since_ms == null) continue
    for await (const batch of batches(store.kept(name), KEPT_BATCH)) {
      const records = batch.flatMap(({ record }) => record ?? [])
      const barred = await barredAmong(runtime, connection, records)
      if (barred.size === 0) continue
      const ids = records.map(({ id }) => id)
      const links = new Map((await store.loadRecords(name, ids)).links.map((link) => [recordKey(link), link]))
      const out = batch.flatMap((kept) => {
        const link = links.get(recordKey(kept))
        if (!kept.record || (link && link.personId !== null)) return []
        const erasure = excluderOf(rules, connection, kept.record, link, barred)
        return erasure === undefined ? [] : [{ kept, link: excluded(bareLink(name, kept.record, link), erasure) }]
      })
      if (out.length === 0) continue
      const unkeep = out.map(({ kept: { recordId, mark } }) => ({ connection: name, recordId, mark }))
      const { kind } = await store.commit({ links: out.map(({ link }) => link), unkeep })
      if (kind !== 'committed') return false
    }
  }
  return true
}

async function certify(
  runtime: Runtime,
  erasure: Erasure,
  hood: Neighbourhood,
  steps: readonly ErasureStep[],
): Promise<Certificate> {
  const { store } = runtime
  const now = new Date(runtime.now()).toISOString()
  const answers = await answersOf(runtime, erasure)
  const links = hood.links.toSorted((a, b) => (recordKey(a) < recordKey(b) ? -1 : 1))
  const hashes = await store.fingerprints(links.map(recordKey))
  const waived = (link: Link): boolean =>
    steps.some(
      ({ connection, recordId, state }) =>
        state === 'waived' && connection === link.connection && recordId === link.recordId,
    )
  const records = links.map((link, index): CertifiedRecord => {
    const { connection } = link
    const hash = hashes[index] as string
    if (waived(link)) {
      const at_ms = erasure.waived[connection]?.at_ms ?? runtime.now()
      return { connection, record: hash, outcome: 'waived', at: new Date(at_ms).toISOString() }
    }
    const answer = answers.get(recordKey(link))
    if (!answer || link.reason !== ERASED) return { connection, record: hash, outcome: 'gone', at: now }
    return { connection, record: hash, ...answer }
  })
  return {
    erasure: erasure.id,
    opened: new Date(erasure.opened_ms).toISOString(),
    closed: now,
    by: erasure.by,
    records,
    barred: await store.barredBy(erasure.id),
    purged: { ...(await store.holdings(erasure.people)) },
  }
}

/** What each app has answered, and when. */
async function answersOf(
  { store }: Runtime,
  erasure: Erasure,
): Promise<ReadonlyMap<string, Pick<CertifiedRecord, 'outcome' | 'at'>>> {
  const answers = new Map<string, Pick<CertifiedRecord, 'outcome' | 'at'>>()
  for (const personId of erasure.people) {
    for (const { connection, recordId, erase, answer, settled_ms } of await store.deliveries(personId, 1000)) {
      if (!erase || recordId === null || answers.has(recordKey({ connection, recordId }))) continue
      const outcome = answer?.['outcome'] === 'erased' ? 'erased' : 'deleted'
      answers.set(recordKey({ connection, recordId }), { outcome, at: new Date(settled_ms).toISOString() })
    }
  }
  return answers
}
