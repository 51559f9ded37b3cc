import { COMMIT_ATTEMPTS_MAX, HOOK_SEEN_MS } from '../config/limits.ts'
import { failureFrom } from '../engine/core/failure.ts'
import type { AnnouncedRecord, Inbox } from '../engine/core/ports/inbox.ts'
import type { Connector, ReadAnswer } from '../engine/core/ports/connector.ts'
import type { ConnectionRules } from '../engine/core/rules.ts'
import { applySightings, keptMarksOf, versionsOf } from './apply.ts'
import type { Runtime } from './runtime.ts'

/**
 * Hears the records that hooks have announced: reads them by their ids, in the app's own batches, and applies them beside the
 * passes over the feed. What waits stays in the inbox until it was applied.
 *
 * A hook only hastens what the feed would tell. So it says nothing here that the feed might not say: that a record is gone, or
 * that one Kith has never met cannot be read (it may be none of ours), is left to the feed, which is asked at once.
 */
export async function hearAnnounced(runtime: Runtime, inbox: Inbox, name: string, signal?: AbortSignal): Promise<void> {
  const connector = runtime.connectors.get(name)
  const rules = runtime.rules.connections.get(name)
  if (!connector || !rules) return
  const { readBatch_max } = connector.capabilities
  try {
    for (let full = true; full && signal?.aborted !== true;) {
      const [states, batch] = await Promise.all([runtime.store.connections(), inbox.waiting(name, readBatch_max)])
      const state = states.find((item) => item.name === name)
      // Before its first pass has come through, all of it is being read anyway.
      if (batch.length === 0 || !state?.scanned || state.mode === 'paused') return
      await hearBatch(runtime, rules, connector, batch, state.pause?.since_ms != null, signal)
      await inbox.heard(name, batch)
      // Whatever was announced meanwhile has its own wake.
      full = batch.length === readBatch_max
    }
  } catch (error) {
    if (signal?.aborted === true) return
    // They wait on; the sweep comes back to them, and the cursor finds what they are about.
    runtime.log.failure('announced records could not be read', name, failureFrom(error))
  }
}

/** Read anew where a record has moved on between the reading and the decision: the older of two readings is no edit. */
async function hearBatch(
  runtime: Runtime,
  rules: ConnectionRules,
  connector: Connector,
  batch: readonly AnnouncedRecord[],
  paused: boolean,
  signal?: AbortSignal,
): Promise<void> {
  const { store, queue } = runtime
  const ids = batch.map(({ recordId }) => recordId)
  for (let attempt = 1; attempt <= COMMIT_ATTEMPTS_MAX; attempt++) {
    const known = await versionsOf(store, rules.name, ids)
    const keptOver = paused ? await keptMarksOf(store, rules.name, ids) : undefined
    const answers = await connector.read(ids, signal)
    const told = answers.filter((answer) => isForUs(answer, known))
    if (answers.some(({ kind }) => kind === 'gone')) await queue.wakePull(rules.name)
    const applied = await applySightings(runtime, rules, told, null, undefined, {
      readOver: known,
      ...(keptOver ? { keptOver } : {}),
    })
    if (applied !== 'early') return
  }
  throw new Error('announced records were changed by others too often while they were read; they are read again')
}

function isForUs(answer: ReadAnswer, known: ReadonlyMap<string, number>): boolean {
  if (answer.kind === 'gone') return false
  return answer.kind === 'record' || (known.get(answer.id) ?? 0) > 0
}

/** Wakes those for whose announced records the wake was lost, and forgets what is too old to be of use. */
export async function sweepInbox(
  inbox: Inbox,
  queues: { wakeAnnounced(connection: string): Promise<void> },
  now_ms: number,
): Promise<void> {
  for (const connection of await inbox.connections()) await queues.wakeAnnounced(connection)
  await inbox.prune(now_ms - HOOK_SEEN_MS)
}

/**
 * Reads what hooks have announced to this process, here and now: a turn in the queue would take as long as the reading. One reading
 * for each connection at a time; what is announced meanwhile goes together into the next.
 */
export class Ear {
  readonly #hear: (connection: string, signal: AbortSignal) => Promise<void>
  readonly #ending = new AbortController()
  /** Connections that are being read; true where they are to be read once more. */
  readonly #again = new Map<string, boolean>()
  readonly #underWay = new Set<Promise<void>>()

  /** @param hear reads what waits; does not throw */
  constructor(hear: (connection: string, signal: AbortSignal) => Promise<void>) {
    this.#hear = hear
  }

  wake(connection: string): void {
    if (this.#ending.signal.aborted) return
    if (this.#again.has(connection)) return void this.#again.set(connection, true)
    const reading = this.#read(connection).finally(() => this.#underWay.delete(reading))
    this.#underWay.add(reading)
  }

  async stop(): Promise<void> {
    this.#ending.abort()
    await Promise.all(this.#underWay)
  }

  async #read(connection: string): Promise<void> {
    const { signal } = this.#ending
    try {
      do {
        this.#again.set(connection, false)
        await this.#hear(connection, signal)
      } while (this.#again.get(connection) === true && !signal.aborted)
    } finally {
      this.#again.delete(connection)
    }
  }
}
