import { createHash } from 'node:crypto'
import { access, constants } from 'node:fs/promises'
import { FailureError, failureFrom, type Failure } from '../../engine/core/failure.ts'
import type { Json } from '../../engine/core/json.ts'
import type {
  AppRecord,
  Capabilities,
  ConnectionReport,
  Connector,
  CreateRequest,
  DeleteRequest,
  FeedPage,
  ReadAnswer,
  Sighting,
  UpdateRequest,
  WriteOutcome,
  WriteRequest,
} from '../../engine/core/ports/connector.ts'
import { cardFields, decodeFile, encodeFile, newCard, parseCard, patchCard, VCARD_FIELDS } from '../vcard/index.ts'
import { brokenFrom, codeOf, failureOf, folderFailure } from './errors.ts'
import { FILE_SIZE_MAX, Folder, isContactFile, isReadable, statRev, type Snapshot } from './folder.ts'
import { watchFolder } from './watch.ts'

const PAGE_MAX = 500

/** How many files are looked at at once: enough to keep a disk or a network share busy. */
const PARALLEL_MAX = 32

/** How many files `check` reads through to count those that are broken. */
const CHECKED_MAX = 2_000

/** What stands in a file name for bytes that are not UTF-8: such a file cannot be opened by its name. */
const NOT_UTF8 = '\uFFFD'

/** Where a pass ended: which folder it was, what it held, and how much. */
interface Cursor {
  readonly folder: string
  readonly digest: string
  readonly count: number
}

/**
 * A folder of vCards. A record's id is its file's name.
 *
 * A pass costs one listing and one stat per file; only when something in the listing changed does it hand out an inventory,
 * of hints, and the engine reads the files whose revision it does not know. A folder that is not there, or another empty one in
 * its place (a disk not mounted), fails the pass: it is never an empty inventory (I5).
 */
export class VdirConnector implements Connector {
  readonly app = 'vdir'
  readonly capabilities: Capabilities = {
    deletes: 'inventory',
    hints: true,
    createKey: 'id',
    precondition: true,
    times: 'record',
    readBatch_max: 200,
    writeBatch_max: 100,
    writes_concurrent_max: 1,
    archive: false,
    create: true,
    delete: true,
  }
  readonly #folder: Folder
  readonly #path: string
  /** The folder in which contacts were last seen: an absence means something only there. */
  #identity: string | null = null
  #swept = false
  readonly #stops = new Set<() => Promise<void>>()

  constructor(path: string, now: () => number) {
    this.#path = path
    this.#folder = new Folder(path, now)
  }

  async check(signal?: AbortSignal): Promise<ConnectionReport> {
    await this.#folder.identity()
    const names = await this.#folder.names()
    try {
      await access(this.#path, constants.R_OK | constants.W_OK | constants.X_OK)
    } catch (error) {
      throw folderFailure(error, this.#path)
    }
    const answers = await parallel(names.slice(0, CHECKED_MAX), (id) => this.#read(id), signal)
    const broken = answers.filter((answer) => answer.kind === 'broken')
    return {
      summary: `folder ${this.#path}, ${names.length} ${names.length === 1 ? 'card' : 'cards'}`,
      fields: VCARD_FIELDS,
      warnings: broken.map(({ id, failure }) => `${id}: ${failure.message}`),
    }
  }

  async *pull(cursor: Json | null, signal?: AbortSignal): AsyncGenerator<FeedPage, void, undefined> {
    const before = readCursor(cursor)
    const folder = await this.#folder.identity()
    const sightings = await this.#list(signal)
    // Looked at again after listing: a disk that was taken away meanwhile must not read as empty.
    if ((await this.#folder.identity()) !== folder) throw this.#swapped()
    if (sightings.length === 0 && before !== null && before.count > 0 && before.folder !== folder) throw this.#swapped()
    this.#identity = folder
    const digest = digestOf(sightings)
    const now = { folder, digest, count: sightings.length }
    if (before !== null && before.digest === digest) {
      yield { sightings: [], cursor: now }
      return
    }
    for (let from = 0; from === 0 || from < sightings.length; from += PAGE_MAX) {
      signal?.throwIfAborted()
      const page = sightings.slice(from, from + PAGE_MAX)
      const complete = from + PAGE_MAX >= sightings.length
      yield { sightings: page, inventory: { complete }, ...(complete ? { cursor: now } : {}) }
    }
  }

  async read(ids: readonly string[], signal?: AbortSignal): Promise<ReadAnswer[]> {
    const answers = await parallel(ids, (id) => this.#read(id), signal)
    if (answers.some(({ kind }) => kind === 'gone')) await this.#provePresence()
    if (answers.some(({ kind }) => kind === 'record')) this.#identity ??= await this.#folder.identity()
    return answers
  }

  async write(requests: readonly WriteRequest[], signal?: AbortSignal): Promise<WriteOutcome[]> {
    const folder = await this.#folder.identity()
    // Nothing is written into the empty mount point of a disk that is away.
    if (this.#identity !== null && folder !== this.#identity) throw this.#swapped()
    if (!this.#swept) await this.#folder.sweep()
    this.#swept = true
    // One after the other where they speak of one file; requests of a batch rarely do.
    const chains = new Map<string, Promise<unknown>>()
    const outcomes = await parallel(requests, (request) => {
      const id = request.op === 'create' ? fileOf(request) : request.id
      const outcome = (chains.get(id) ?? Promise.resolve()).then(() => this.#write(request, signal))
      chains.set(id, outcome)
      return outcome
    })
    await this.#folder.sync()
    if (outcomes.some(({ kind }) => kind === 'written')) this.#identity ??= folder
    return outcomes
  }

  async watch(hint: () => void): Promise<() => Promise<void>> {
    const stop = watchFolder(this.#path, hint)
    this.#stops.add(stop)
    return async () => {
      this.#stops.delete(stop)
      await stop()
    }
  }

  async close(): Promise<void> {
    await Promise.all(Array.from(this.#stops, (stop) => stop()))
    this.#stops.clear()
  }

  async #list(signal?: AbortSignal): Promise<Sighting[]> {
    const sightings = await parallel(
      await this.#folder.names(),
      async (id): Promise<Sighting | null> => {
        try {
          const stats = await this.#folder.stats(id)
          const unreadable = whyUnreadable(stats)
          if (unreadable) return { kind: 'broken', id, rev: statRev(stats), failure: unreadable }
          return { kind: 'hint', id, rev: await this.#folder.rev(id, stats) }
        } catch (error) {
          // Gone since the listing: the next one says so.
          if (!id.includes(NOT_UTF8) && !(await this.#folder.holds(id))) return null
          return { kind: 'broken', id, rev: null, failure: brokenFrom(error) }
        }
      },
      signal,
    )
    return sightings.filter((sighting) => sighting !== null)
  }

  async #read(id: string): Promise<ReadAnswer> {
    if (!isContactFile(id)) return { kind: 'gone', id }
    let snapshot: Snapshot
    try {
      // A pipe or a device must not be opened: reading it may never end.
      const stats = await this.#folder.stats(id)
      const unreadable = whyUnreadable(stats)
      if (unreadable) return { kind: 'broken', id, rev: statRev(stats), failure: unreadable }
      snapshot = await this.#folder.read(id)
    } catch (error) {
      if (!id.includes(NOT_UTF8) && !(await this.#folder.holds(id))) return { kind: 'gone', id }
      return { kind: 'broken', id, rev: null, failure: brokenFrom(error) }
    }
    try {
      return { kind: 'record', record: recordOf(id, snapshot) }
    } catch (error) {
      if (!(error instanceof FailureError)) throw error
      return { kind: 'broken', id, rev: snapshot.rev, failure: error.failure }
    }
  }

  async #write(request: WriteRequest, signal?: AbortSignal): Promise<WriteOutcome> {
    // What was written before the stop keeps its outcome; the rest was not begun.
    if (signal?.aborted) return failed(request, { kind: 'transient', message: 'not written: Kith is stopping' })
    try {
      if (request.op === 'create') return await this.#create(request)
      if (!isContactFile(request.id))
        return failed(request, { kind: 'gone', message: 'no file of this folder has that name' })
      return request.op === 'update' ? await this.#update(request) : await this.#delete(request)
    } catch (error) {
      const known = error instanceof FailureError || codeOf(error) !== undefined
      return failed(request, known ? failureOf(error, 'cannot write the file') : failureFrom(error))
    }
  }

  async #create(request: CreateRequest): Promise<WriteOutcome> {
    const id = fileOf(request)
    if (!isContactFile(id)) return failed(request, { kind: 'bug', message: 'the key of a create is no file name' })
    const bytes = Buffer.from(newCard(request.key, request.fields, '3.0'), 'utf8')
    try {
      await this.#folder.create(id, bytes)
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error
      return this.#replay(request, id, bytes)
    }
    return this.#written(request, id)
  }

  /** The file is there: ours from an attempt whose answer was lost, or somebody else's. */
  async #replay(request: CreateRequest, id: string, bytes: Buffer): Promise<WriteOutcome> {
    const snapshot = await this.#folder.read(id)
    // An empty file is what a crash leaves where names are claimed without hard links; nobody's contact is in it.
    if (snapshot.bytes.length === 0 && snapshot.stats.size === 0n) {
      if (await this.#folder.replace(id, snapshot, bytes)) return this.#written(request, id)
      return failed(request, moved)
    }
    const answer = await this.#read(id)
    if (answer.kind === 'record' && answer.record.fields['UID'] === request.key) {
      return { ref: request.ref, kind: 'written', record: answer.record }
    }
    return failed(request, {
      kind: 'permanent',
      message: 'a file of that name is there already and is another contact',
      code: 'EEXIST',
      advice: 'Give the file another name, or remove it, and try again.',
    })
  }

  async #update(request: UpdateRequest): Promise<WriteOutcome> {
    let snapshot: Snapshot
    try {
      const unreadable = whyUnreadable(await this.#folder.stats(request.id))
      if (unreadable) return failed(request, unreadable)
      snapshot = await this.#folder.read(request.id)
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error
      await this.#provePresence()
      return failed(request, { kind: 'gone', message: 'the file is no longer there', code: 'ENOENT' })
    }
    if (request.rev !== null && !this.#folder.isAt(request.rev, snapshot)) return failed(request, moved)
    const { text, encoding } = decodeFile(snapshot.bytes)
    const patched = patchCard(text, request.fields)
    // Nothing to change: the file keeps its times, and nobody else is told of a change.
    if (patched === text) return { ref: request.ref, kind: 'written', record: recordOf(request.id, snapshot) }
    const bytes = encodeFile({ text: patched, encoding })
    if (!(await this.#folder.replace(request.id, snapshot, bytes))) return failed(request, moved)
    return this.#written(request, request.id)
  }

  async #delete(request: DeleteRequest): Promise<WriteOutcome> {
    const done: WriteOutcome = { ref: request.ref, kind: 'deleted', id: request.id }
    try {
      if (request.rev !== null) {
        const stats = await this.#folder.stats(request.id)
        const same = isReadable(stats)
          ? this.#folder.isAt(request.rev, await this.#folder.read(request.id))
          : request.rev === statRev(stats)
        if (!same) return failed(request, moved)
      }
      await this.#folder.remove(request.id)
      return done
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error
      await this.#provePresence()
      return done
    }
  }

  /** What the folder holds now. The write is done: if it cannot be read back, only the next pass can say what became of it. */
  async #written(request: CreateRequest | UpdateRequest, id: string): Promise<WriteOutcome> {
    const answer = await this.#read(id).catch((error: unknown) => ({ kind: 'lost' as const, error }))
    if (answer.kind === 'record') return { ref: request.ref, kind: 'written', record: answer.record }
    return failed(request, {
      kind: 'uncertain',
      message: 'written, but changed by another program before it could be read back',
    })
  }

  /**
   * Makes sure that a file's absence means something: the folder is there, and is the one read before. A process
   * that has not seen any contact yet believes no absence in a folder without any contact, which may be an empty mount point (I5).
   * @throws FailureError
   */
  async #provePresence(): Promise<void> {
    const folder = await this.#folder.identity()
    if (this.#identity === null ? (await this.#folder.names()).length === 0 : folder !== this.#identity)
      throw this.#swapped()
  }

  #swapped(): FailureError {
    return new FailureError({
      kind: 'transient',
      message: `the folder ${this.#path} is not the one that was read before, and its contacts are not there`,
      advice:
        'Mount its disk, or put the files back. Nothing is taken for deleted meanwhile. If it was emptied on purpose, put one contact there.',
    })
  }
}

const moved: Failure = { kind: 'conflict', message: 'the file was changed since it was read' }

function failed(request: WriteRequest, failure: Failure): WriteOutcome {
  return { ref: request.ref, kind: 'failed', failure }
}

function fileOf(request: CreateRequest): string {
  return `${request.key}.vcf`
}

function recordOf(id: string, snapshot: Snapshot): AppRecord {
  const fields = cardFields(parseCard(decodeFile(snapshot.bytes).text))
  return { id, rev: snapshot.rev, modified_ms: Number(snapshot.stats.mtimeMs), fields }
}

function whyUnreadable(stats: Parameters<typeof isReadable>[0]): Failure | undefined {
  if (!stats.isFile())
    return { kind: 'permanent', message: 'not an ordinary file', advice: 'Move it out of the folder.' }
  if (isReadable(stats)) return undefined
  return {
    kind: 'permanent',
    message: `larger than ${FILE_SIZE_MAX / 1024 / 1024} MB`,
    advice: 'Make its photo smaller, or move the file out of the folder.',
  }
}

function digestOf(sightings: readonly Sighting[]): string {
  const hash = createHash('sha256')
  for (const sighting of sightings)
    hash.update(`${sighting.kind}/${'id' in sighting ? sighting.id : ''}/${'rev' in sighting ? sighting.rev : ''}\n`)
  return hash.digest('base64url')
}

/** A cursor of another shape (an older Kith's) is none: everything is read once more. */
function readCursor(cursor: Json | null): Cursor | null {
  if (cursor === null || typeof cursor !== 'object' || Array.isArray(cursor)) return null
  const { folder, digest, count } = cursor
  if (typeof folder !== 'string' || typeof digest !== 'string' || typeof count !== 'number') return null
  return { folder, digest, count }
}

/** Results in the order of the items, with at most {@link PARALLEL_MAX} under way. */
async function parallel<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
  signal?: AbortSignal,
): Promise<Result[]> {
  const results: Result[] = []
  let next = 0
  const run = async (): Promise<void> => {
    while (next < items.length) {
      signal?.throwIfAborted()
      const index = next
      next += 1
      results[index] = await work(items[index] as Item)
    }
  }
  await Promise.all(Array.from({ length: Math.min(PARALLEL_MAX, items.length) }, run))
  return results
}
