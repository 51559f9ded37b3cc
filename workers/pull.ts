import { FailureError, failureFrom } from '../engine/core/failure.ts'
import type { Json } from '../engine/core/json.ts'
import type { Connector, ReadAnswer, Sighting } from '../engine/core/ports/connector.ts'
import { applyChunk, deletionsHeld, isCreating } from './apply.ts'
import type { Chunk, Runtime } from './runtime.ts'

/**
 * Reads what is new in one connection's feed and hands it on in chunks; the durable cursor moves only when a chunk is
 * committed. What Kith knows already by its revision (the echo of its own writes, for the most part) goes no further.
 *
 * A failure is kept with the connection for `kith status`; pages read before it stay good.
 */
export async function pullConnection(runtime: Runtime, name: string, signal?: AbortSignal): Promise<void> {
  const { store } = runtime
  const look = async () => (await store.connections()).find((item) => item.name === name)
  const before = await look()
  const connector = runtime.connectors.get(name)
  const rules = runtime.rules.connections.get(name)
  if (!before || !connector || !rules || before.mode === 'paused') return
  const readWith = rules.lens.appFields.join('\n')
  try {
    const number = await store.startPass(name)
    // Only now: a pause that begins or ends from here on ends this pass.
    const state = (await look()) ?? before
    const pause = state.pause?.since_ms == null ? null : state.pause.id
    // A mapping that reads other fields than before has to see every record once more, known revision or not.
    const anew = state.readWith !== null && state.readWith !== readWith
    const pass = new Pass(runtime, name, number, readWith, anew, pause)
    await readPass(runtime, connector, pass, anew ? null : state.cursor, signal)
    if (state.failure) await store.saveConnection(name, { failure: null })
    if (state.held !== null && (await store.counts()).get(name)?.missing === 0)
      await store.saveConnection(name, { held: null })
  } catch (error) {
    if (signal?.aborted) return
    const failure = failureFrom(error)
    runtime.log.failure('pull failed', name, failure)
    await store.saveConnection(name, { failure })
    if (!(error instanceof FailureError)) throw error
  }
}

async function readPass(
  runtime: Runtime,
  connector: Connector,
  pass: Pass,
  cursor: Json | null,
  signal?: AbortSignal,
): Promise<void> {
  let inventory: { seen: Set<string>; complete: boolean } | null = null
  for await (const page of connector.pull(cursor, signal)) {
    if (page.inventory) {
      inventory ??= { seen: new Set(), complete: false }
      pass.holdCursor()
      for (const sighting of page.sightings) inventory.seen.add(idOf(sighting))
      inventory.complete = page.inventory.complete
    }
    await pass.add(pass.anew ? page.sightings : await withoutEchoes(runtime, pass, page.sightings), page.cursor)
  }
  if (inventory && !inventory.complete) {
    throw new FailureError({ kind: 'transient', message: 'The app did not list its records to the end.' })
  }
  if (inventory) {
    const missing = await confirmMissing(runtime, connector, pass, inventory.seen, signal)
    await pass.add(missing, undefined)
    // A record that is not listed and can be read: one of the two answers lags behind, so everything is listed again.
    if (missing.some((sighting) => sighting.kind === 'record')) pass.forgetCursor()
    // Nothing at all is as easily a slip of the app's as the truth, and cheap to be told again.
    if (inventory.seen.size === 0) pass.forgetCursor()
  }
  await pass.end()
}

function idOf(sighting: Sighting): string {
  return sighting.kind === 'record' ? sighting.record.id : sighting.id
}

/** Leaves out records whose revision is the one we know: nothing changed there. In a pause we know what is kept, too. */
async function withoutEchoes(
  runtime: Runtime,
  { connection, pause, sent }: Pass,
  sightings: readonly Sighting[],
): Promise<Sighting[]> {
  if (sightings.length === 0) return []
  const ids = sightings.map(idOf)
  // Before what is known is looked up: a create that is answered in between is known then.
  const creating = sightings.some(({ kind }) => kind === 'gone') && (await isCreating(runtime.store, connection))
  const known = new Map(await runtime.store.known(connection, ids))
  if (pause !== null) {
    for await (const { recordId, record, end } of runtime.store.kept(connection, ids)) {
      const { broken = false } = known.get(recordId) ?? {}
      known.set(recordId, { rev: record?.rev ?? null, state: end ? 'gone' : 'linked', broken })
    }
  }
  const news = sightings.filter((sighting) => {
    const entry = known.get(idOf(sighting))
    // An older reading of it is on its way: the later word, echo or not, has to come after it.
    if (sent.has(idOf(sighting))) return true
    if (sighting.kind === 'gone') return entry === undefined ? creating : entry.state !== 'gone'
    if (sighting.kind === 'merged' || !entry) return true
    const rev = sighting.kind === 'record' ? sighting.record.rev : sighting.rev
    const same = rev !== null && entry.rev === rev && entry.state !== 'gone' && entry.state !== 'missing'
    return !same || (sighting.kind === 'broken') !== entry.broken
  })
  runtime.events.read(connection, sightings.length, sightings.length - news.length)
  return news
}

/** Reads directly what a complete inventory did not show: only what is then said to be gone is gone (I5). */
async function confirmMissing(
  runtime: Runtime,
  connector: Connector,
  { connection, pause }: Pass,
  seen: ReadonlySet<string>,
  signal?: AbortSignal,
): Promise<Sighting[]> {
  const unseen = new Set<string>()
  for await (const ids of runtime.store.knownIds(connection)) for (const id of ids) if (!seen.has(id)) unseen.add(id)
  if (pause !== null) {
    for await (const { recordId, end } of runtime.store.kept(connection)) {
      if (end) unseen.delete(recordId)
      else if (!seen.has(recordId)) unseen.add(recordId)
    }
  }
  const missing = [...unseen]
  const answers: ReadAnswer[] = []
  for (let start = 0; start < missing.length; start += connector.capabilities.readBatch_max) {
    answers.push(...(await connector.read(missing.slice(start, start + connector.capabilities.readBatch_max), signal)))
  }
  return answers
}

/** Numbers and sends the chunks of one pass. */
class Pass {
  readonly connection: string
  /** Everything is heard once more. */
  readonly anew: boolean
  /** The pause in which it was begun; what it hears is kept. */
  readonly pause: string | null
  /** Records of which something was passed on, to be applied at any time. */
  readonly sent = new Set<string>()
  readonly #runtime: Runtime
  readonly #number: number
  readonly #readWith: string
  #held: boolean
  #chunks = 0
  #cursor: Json | undefined
  /** The chunk that is not sent yet: it may turn out to be the last one. */
  #newest: Pick<Chunk, 'sightings' | 'deletionsHeld' | 'cursor'> | null = null
  /** Deletions heard in this pass so far, and what the brake says of them. */
  #gone = 0
  #deletionsHeld: string | null = null

  constructor(
    runtime: Runtime,
    connection: string,
    number: number,
    readWith: string,
    anew: boolean,
    pause: string | null,
  ) {
    this.#runtime = runtime
    this.pause = pause
    this.connection = connection
    this.anew = anew
    this.#held = anew
    this.#number = number
    this.#readWith = readWith
  }

  async add(sightings: readonly Sighting[], cursor: Json | undefined): Promise<void> {
    const { chunk_max } = this.#runtime.limits
    for (const sighting of sightings) this.sent.add(idOf(sighting))
    await this.#judgeDeletions(sightings)
    for (let start = 0; start < sightings.length; start += chunk_max) {
      await this.#flush()
      const isLast = start + chunk_max >= sightings.length
      const part = { sightings: sightings.slice(start, start + chunk_max), deletionsHeld: this.#deletionsHeld }
      this.#newest = isLast && !this.#held && cursor !== undefined ? { ...part, cursor } : part
    }
    if (cursor !== undefined) this.#cursor = cursor
  }

  /** Looks at the brake for all deletions of the pass together, before the first of them is believed. */
  async #judgeDeletions(sightings: readonly Sighting[]): Promise<void> {
    const gone = sightings.filter((sighting) => sighting.kind === 'gone').length
    // In a pause nothing is believed yet.
    if (gone === 0 || this.pause !== null) return
    this.#gone += gone
    this.#deletionsHeld = await deletionsHeld(this.#runtime, this.connection, this.#gone)
  }

  /** Only the end of the pass is a place to go on from. */
  holdCursor(): void {
    this.#held = true
  }

  forgetCursor(): void {
    this.#cursor = undefined
  }

  /** The last chunk carries the cursor even where the last pages brought nothing new. */
  async end(): Promise<void> {
    const { connection, pause } = this
    const cursor = this.#cursor === undefined ? {} : { cursor: this.#cursor }
    const step = {
      connection,
      pass: this.#number,
      chunk: ++this.#chunks,
      last: true,
      ...cursor,
      readWith: this.#readWith,
    }
    if (this.#newest) {
      const { sightings, deletionsHeld } = this.#newest
      const chunk = { ...step, sightings, deletionsHeld, pause }
      return this.#chunks > 1 ? this.#runtime.queue.apply(chunk) : this.#applyHere(chunk)
    }
    // Nothing to decide, so nothing to queue, unless chunks of this pass are on their way.
    if (this.#chunks > 1) return this.#runtime.queue.apply({ ...step, sightings: [], deletionsHeld: null, pause })
    await this.#runtime.store.commit({ feed: { ...step, now_ms: this.#runtime.now() } })
  }

  /** A pass of one chunk is applied at once: an edit just announced saves a turn in the queue, which tries again what fails. */
  async #applyHere(chunk: Chunk): Promise<void> {
    const applied = await applyChunk(this.#runtime, chunk, true).catch(() => 'early')
    if (applied === 'early') await this.#runtime.queue.apply(chunk)
  }

  /** Sends the newest chunk, now that it is known not to be the last one. */
  async #flush(): Promise<void> {
    if (!this.#newest) return
    const { connection, pause } = this
    const chunk = { ...this.#newest, pause }
    this.#newest = null
    await this.#runtime.queue.apply({ connection, pass: this.#number, chunk: ++this.#chunks, last: false, ...chunk })
  }
}
