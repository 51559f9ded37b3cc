import { hash } from 'node:crypto'
import { watch } from 'node:fs'
import { access, constants } from 'node:fs/promises'
import { basename, dirname, resolve } from 'node:path'
import { FailureError, failureFrom, type Failure } from '../../engine/core/failure.ts'
import type { Json } from '../../engine/core/json.ts'
import type {
  Capabilities,
  ConnectionReport,
  Connector,
  FeedPage,
  ReadAnswer,
  WriteOutcome,
  WriteRequest,
} from '../../engine/core/ports/connector.ts'
import type { ConnectContext } from '../app.ts'
import { cursorFrom, type Cursor } from './cursor.ts'
import { printRow } from './dialect.ts'
import { encodeFile } from './encoding.ts'
import { fileFailure, unsettled, unusable } from './errors.ts'
import { mtime_ms, openedBy, readWhole, replaceFile, resolved, sameState, stateOf, type FileState } from './file.ts'
import { identify, MEMORY_ROWS_MAX, type Identified, type Memory } from './identity.ts'
import { DEFAULT_COLUMNS, KITH_KEY, type CsvOptions } from './options.ts'
import { summaryOf, warningsOf } from './report.ts'
import { rewrite } from './rewrite.ts'
import { cellsAt, isField, readSheet, type Sheet } from './sheet.ts'
import { absent, inventory, sightingOf } from './sightings.ts'

/** File times are coarse (4 ms on Linux, 2 s on FAT): a file saved this shortly ago may be saved again unseen. */
const RACY_MS = 3_000

/** A last row without a line ending is taken for half written only this long after the save. */
const RECENT_MS = 10_000

/** A sheet larger than this is not kept in memory between calls. */
const CACHE_BYTES_MAX = 32 * 1024 * 1024

/** How often a batch is done over because somebody saved the file meanwhile. */
const REWRITES_MAX = 5

/** A save is several events: the file is read when they have come to rest. A half-written one is heard again at its end. */
const WATCH_DEBOUNCE_MS = 40

interface Loaded {
  readonly sheet: Sheet
  readonly identified: Identified
  readonly state: FileState
  readonly hash: string
  readonly racy: boolean
}

/** The connector of one CSV file; see README.md for what it does to the file and what it does not. */
export class CsvConnector implements Connector {
  readonly app = 'csv'
  readonly capabilities: Capabilities = {
    deletes: 'inventory',
    hints: false,
    createKey: 'id',
    precondition: true,
    times: 'record',
    readBatch_max: 500,
    writeBatch_max: 500,
    writes_concurrent_max: 1,
    archive: false,
    create: true,
    delete: true,
  }

  readonly #options: CsvOptions
  readonly #context: ConnectContext
  readonly #path: string
  /** The keyless rows of the last pull, so that `read` and `write` call them by the same ids. */
  #memory: Memory = []
  /** The content of the last pull: only of this one the ids of all keyless rows are certain. */
  #pulled: string | undefined
  /** Whether this process has seen the file: a file that is missing now is then gone, not new. */
  #seen = false
  #cached: Loaded | undefined
  /** The file as Kith itself left it: whole, however fresh. */
  #written: FileState | undefined
  /** Writes come one after the other. */
  #writing: Promise<unknown> = Promise.resolve()
  readonly #watching = new Set<() => Promise<void>>()

  constructor(options: CsvOptions, context: ConnectContext) {
    this.#options = options
    this.#context = context
    this.#path = resolve(context.baseDir, options.path)
  }

  async check(signal?: AbortSignal): Promise<ConnectionReport> {
    signal?.throwIfAborted()
    return this.#told(async () => {
      await access(dirname(await resolved(this.#path)), constants.W_OK | constants.R_OK)
      const loaded = await this.#load(this.#memory)
      if (!loaded) {
        const fields = this.#newColumns().filter((name) => isField({ name, index: 0 }, this.#options.key))
        return {
          summary: `${basename(this.#path)}: not there yet; Kith creates it at its first write`,
          fields: fields.map((name) => this.#field(name)),
          warnings: [],
        }
      }
      await access(this.#path, constants.W_OK | constants.R_OK)
      const { sheet } = loaded
      const fields = sheet.columns.filter((column) => isField(column, sheet.keyName))
      return {
        summary: `${basename(this.#path)}: ${summaryOf(sheet, fields.length)}`,
        fields: fields.map(({ name }) => this.#field(name)),
        warnings: [...warningsOf(sheet), ...(await this.#openWarning())],
      }
    })
  }

  async *pull(stored: Json | null, signal?: AbortSignal): AsyncGenerator<FeedPage> {
    signal?.throwIfAborted()
    const reading = this.#reading()
    const parsed = cursorFrom(stored)
    // Another key or encoding in the config: what was remembered under the old one does not hold.
    const cursor = parsed?.reading === reading ? parsed : undefined
    const state = await this.#told(() => stateOf(this.#path))
    if (!state) {
      if (parsed?.file || this.#seen) throw this.#gone()
      yield {
        sightings: [],
        cursor: { v: 1, file: null, reading, keyless: [] } satisfies Cursor,
        inventory: { complete: true },
      }
      return
    }
    const file = cursor?.file
    if (cursor && file && !file.racy && sameState(file, state)) {
      this.#recall(cursor.keyless, file.hash)
      yield { sightings: [], cursor: stored as Json }
      return
    }
    const loaded = await this.#told(() => this.#load(cursor?.keyless ?? this.#memory))
    if (!loaded) throw this.#gone()
    const { sheet, identified } = loaded
    const keyed = sheet.keyIndex !== undefined
    if (file?.keyed === true && !keyed) {
      throw unusable(
        `the header has no column "${this.#options.key}" any more`,
        `Put the column back with its values (undo, or a backup): without it every row would look new. Or name another key column in kith.yaml.`,
      )
    }
    const unkeyed = sheet.rows.filter(({ key }) => key === '').length
    this.#memory = identified.memory
    this.#pulled = loaded.hash
    this.#keep({ ...loaded, identified: { ...identified, fresh: Math.max(0, unkeyed - MEMORY_ROWS_MAX) } })
    const next: Cursor = {
      v: 1,
      file: { ...loaded.state, hash: loaded.hash, racy: loaded.racy, keyed },
      reading,
      keyless: [...identified.memory],
    }
    if (file && file.hash === loaded.hash) {
      yield { sightings: [], cursor: next }
      return
    }
    yield* inventory(sheet, identified, next, signal)
  }

  async read(ids: readonly string[], signal?: AbortSignal): Promise<ReadAnswer[]> {
    signal?.throwIfAborted()
    const loaded = await this.#told(() => this.#load(this.#memory))
    if (!loaded) throw this.#gone()
    this.#keep(loaded)
    const { sheet, identified } = loaded
    const wanted = new Set(ids)
    const answers = new Map<string, ReadAnswer>()
    const found = sheet.rows.flatMap(({ id }, index) => (wanted.has(id) ? [index] : []))
    for (const [index, cells] of cellsAt(sheet, found)) {
      answers.set(sheet.rows[index]?.id ?? '', sightingOf(sheet, index, cells))
    }
    const merged = new Map(identified.merged.map(({ id, into }) => [id, into]))
    return ids.map((id) => answers.get(id) ?? absent(id, merged.get(id), identified.fresh > 0))
  }

  async write(requests: readonly WriteRequest[], signal?: AbortSignal): Promise<WriteOutcome[]> {
    signal?.throwIfAborted()
    const turn = this.#writing.then(() => this.#writeBatch(requests))
    this.#writing = turn.catch(() => undefined)
    return turn
  }

  async watch(hint: () => void): Promise<() => Promise<void>> {
    const target = await resolved(this.#path)
    const name = basename(target)
    let timer: NodeJS.Timeout | undefined
    // The folder, not the file: editors save by putting a new file in the place of the old one.
    const watcher = await this.#told(async () => watch(dirname(target), { persistent: false }))
    watcher.on('change', (_, changed) => {
      if (changed !== null && String(changed) !== name) return
      clearTimeout(timer)
      timer = setTimeout(hint, WATCH_DEBOUNCE_MS).unref()
    })
    // A folder that goes away ends the hints; the next pull says what is wrong.
    watcher.on('error', () => watcher.close())
    const stop = async (): Promise<void> => {
      clearTimeout(timer)
      watcher.close()
      this.#watching.delete(stop)
    }
    this.#watching.add(stop)
    return stop
  }

  async close(): Promise<void> {
    await Promise.all([...this.#watching].map((stop) => stop()))
    await this.#writing
    this.#cached = undefined
  }

  async #writeBatch(requests: readonly WriteRequest[]): Promise<WriteOutcome[]> {
    try {
      const open = await openedBy(this.#path)
      if (open) {
        return allFailed(requests, {
          kind: 'transient',
          message: `the file is open in ${open.editor}, which would overwrite what Kith writes`,
          advice: `Close the file; Kith goes on by itself. If nobody has it open, remove ${basename(open.lock)} beside it.`,
        })
      }
      for (let attempt = 1; attempt <= REWRITES_MAX; attempt++) {
        const outcomes = await this.#writeOnce(requests)
        if (outcomes) return outcomes
      }
      return allFailed(requests, { kind: 'transient', message: 'somebody saves the file all the time' })
    } catch (error) {
      // The file is replaced as a whole or not at all, so an error means that nothing was written.
      return allFailed(requests, failureFrom(fileFailure(error, this.#path)))
    }
  }

  /** @returns undefined where the file was saved by somebody else in between, and nothing was written */
  async #writeOnce(requests: readonly WriteRequest[]): Promise<WriteOutcome[] | undefined> {
    const loaded = await this.#load(this.#memory, 'fresh')
    if (!loaded && (this.#seen || requests.some(({ op }) => op !== 'create'))) throw this.#gone()
    const sheet = loaded?.sheet ?? (await this.#newSheet())
    this.#requireKey(sheet)
    const certain = loaded !== undefined && loaded.hash === this.#pulled
    const { text, outcomes } = rewrite(sheet, loaded?.identified ?? { fresh: 0 }, requests, certain)
    if (text === undefined) return [...outcomes]
    this.#cached = undefined
    const written = await replaceFile(this.#path, encodeFile(text, sheet.encoding), loaded?.state)
    if (!written) return undefined
    this.#seen = true
    this.#written = written
    const modified_ms = mtime_ms(written)
    return outcomes.map((outcome) =>
      outcome.kind === 'written' ? { ...outcome, record: { ...outcome.record, modified_ms } } : outcome,
    )
  }

  /**
   * Reads the file, and parses it unless the one in memory says the same. Where its time is to be trusted it is not even
   * read; `fresh` reads it in any case, for a write must not build on a guess.
   */
  async #load(memory: Memory, mode: 'cached' | 'fresh' = 'cached'): Promise<Loaded | undefined> {
    const cached = this.#cached
    if (mode === 'cached' && cached && !cached.racy && memory === this.#memory) {
      const state = await stateOf(this.#path)
      if (state && sameState(state, cached.state)) return cached
    }
    const whole = await readWhole(this.#path)
    if (!whole) return undefined
    this.#seen = true
    const now = this.#context.now()
    const saved = mtime_ms(whole.state)
    const ours = this.#written !== undefined && sameState(this.#written, whole.state)
    const recent = !ours && Math.abs(now - saved) < RECENT_MS
    const fingerprint = hash('sha256', whole.raw, 'base64url')
    const fresh = { state: whole.state, hash: fingerprint, racy: saved > now - RACY_MS }
    if (cached?.hash === fingerprint && memory === this.#memory) {
      return { ...cached, ...fresh, sheet: { ...cached.sheet, modified_ms: saved } }
    }
    const sheet = await readSheet(whole.raw, saved, recent, this.#options)
    this.#requireKey(sheet)
    return { ...fresh, sheet, identified: identify(sheet, memory) }
  }

  /** What another process, or this one before a restart, knew of the file as it is now. */
  #recall(memory: Memory, pulled: string): void {
    if (this.#pulled === pulled) return
    this.#memory = memory
    this.#pulled = pulled
    this.#seen = true
    this.#cached = undefined
  }

  #keep(loaded: Loaded): void {
    this.#cached = loaded.sheet.text.length <= CACHE_BYTES_MAX ? loaded : undefined
  }

  /** Only Kith's own key column is added to a sheet; one that the config names has to be there. */
  #requireKey(sheet: Sheet): void {
    if (sheet.keyIndex !== undefined || sheet.keyName === KITH_KEY) return
    throw unusable(
      `the header has no column "${sheet.keyName}", which kith.yaml names as the key`,
      `Add the column, or correct \`key\` in kith.yaml. Without \`key\`, Kith adds a column "${KITH_KEY}".`,
    )
  }

  #newColumns(): readonly string[] {
    const columns = this.#options.columns ?? DEFAULT_COLUMNS
    return columns.includes(this.#options.key) ? columns : [...columns, this.#options.key]
  }

  /** A new file as Excel opens it without questions: a byte order mark, CRLF, and a comma unless the config says otherwise. */
  async #newSheet(): Promise<Sheet> {
    const { delimiter, encoding } = this.#options
    const name = encoding === 'auto' ? 'utf-8' : encoding
    const dialect = { delimiter: delimiter === 'auto' ? ',' : delimiter, eol: '\r\n', quoteAll: false } as const
    const header = printRow(
      this.#newColumns().map((text) => ({ text, quoted: false })),
      dialect,
    )
    const raw = encodeFile(Buffer.from(header + dialect.eol), { name, bom: name !== 'windows-1252' })
    return readSheet(raw, this.#context.now(), false, { ...this.#options, delimiter: dialect.delimiter })
  }

  #field(name: string): ConnectionReport['fields'][number] {
    return { name, type: 'text', writable: name !== this.#options.key }
  }

  /** What a cursor's meaning depends on besides the file. */
  #reading(): string {
    const { key, delimiter, encoding } = this.#options
    return JSON.stringify([key, delimiter, encoding])
  }

  async #openWarning(): Promise<string[]> {
    const open = await openedBy(this.#path)
    return open ? [`the file is open in ${open.editor}: Kith reads it, and writes once it is closed`] : []
  }

  #gone(): FailureError {
    return unsettled(
      `${this.#path} is gone`,
      'Put the file back, mount its disk, or correct the path in kith.yaml. Kith deletes nobody because of it.',
    )
  }

  async #told<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw fileFailure(error, this.#path)
    }
  }
}

function allFailed(requests: readonly WriteRequest[], failure: Failure): WriteOutcome[] {
  return requests.map(({ ref }) => ({ ref, kind: 'failed', failure }))
}
