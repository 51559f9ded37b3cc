import { createHash, type Hash } from 'node:crypto'
import { once } from 'node:events'
import { createReadStream, createWriteStream } from 'node:fs'
import { open, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createGzip } from 'node:zlib'
import { z } from 'zod'
import {
  SECTIONS,
  type BackupRow,
  type Section,
  type SectionCounts,
  type Snapshot,
} from '../engine/core/ports/backup.ts'
import { TABLES } from '../engine/store/backup-tables.ts'

/**
 * The file of a backup: lines of JSON, gzipped, so that any machine of the next decades can read it without Kith.
 *
 *     {"kith":"backup","format":1,"at_ms":...,"config":"<fingerprint>","counts":{"person":2,...}}
 *     {"section":"person","rows":2}
 *     {"id":...}
 *     {"id":...}
 *     {"end":"person","sha256":"<of the two lines>"}
 *     ...
 *     {"end":"backup","sha256":"<of every line before>"}
 */
export const FORMAT = 1

/** Rows handed on at once: what is in memory at any time. */
const BATCH = 500
/** Text collected before it is compressed. */
const CHUNK_BYTES = 64 * 1024
/** A line is one row; a longer one is no backup of ours, whatever it says. */
const LINE_BYTES_MAX = 64 * 1024 * 1024

export interface BackupHeader {
  readonly format: number
  /** The moment that the backup shows. */
  readonly at_ms: number
  /** The fingerprint of the config it was made with. */
  readonly config: string
  readonly counts: SectionCounts
}

export type Digests = { readonly [section in Section]: string }

/**
 * - `unreadable` the file cannot be opened
 * - `foreign`    it is no backup of Kith
 * - `newer`      a newer Kith made it
 * - `truncated`  it ends too early
 * - `damaged`    it does not say what was written into it
 */
export type BackupFault = 'unreadable' | 'foreign' | 'newer' | 'truncated' | 'damaged'

/** A file that nothing can be restored from. The message says what is wrong and what to do, and holds no personal value. */
export class BackupError extends Error {
  override readonly name = 'BackupError'
  readonly fault: BackupFault

  constructor(fault: BackupFault, message: string) {
    super(message)
    this.fault = fault
  }
}

export interface Progress {
  readonly signal?: AbortSignal | undefined
  /** Called now and then. */
  readonly onProgress?: ((rows: number, total: number) => void) | undefined
}

export function totalOf(counts: SectionCounts): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0)
}

/** One row as it stands in the file: the same text for equal rows. */
export function lineOf(row: BackupRow): string {
  return `${JSON.stringify(row)}\n`
}

/**
 * Writes a snapshot into a file that only its owner can read: under another name until it is whole and on the disk, so that no
 * half file ever has the name.
 *
 * @returns its size
 * @throws the file system's error; nothing is left behind then
 */
export async function writeBackupFile(
  file: string,
  snapshot: Snapshot,
  header: Omit<BackupHeader, 'format' | 'counts'>,
  progress: Progress = {},
): Promise<number> {
  const part = partOf(file)
  try {
    const lines = chunks(linesOf(snapshot, header, progress))
    await pipeline(
      Readable.from(lines),
      createGzip(),
      createWriteStream(part, { flags: 'wx', mode: 0o600 }),
      abortedBy(progress),
    )
    await sync(part)
    const { size } = await stat(part)
    await rename(part, file)
    await sync(dirname(file))
    return size
  } catch (error) {
    await rm(part, { force: true })
    throw error
  }
}

function abortedBy({ signal }: Progress): { readonly signal?: AbortSignal } {
  return signal ? { signal } : {}
}

const PART = '.part'

/** The name of a backup that is being written; one that nobody writes any more is what a killed process left behind. */
export function partOf(file: string): string {
  return `${file}.${process.pid}-${Date.now().toString(36)}${PART}`
}

export function isPart(name: string): boolean {
  return name.endsWith(PART)
}

async function* linesOf(
  snapshot: Snapshot,
  header: Omit<BackupHeader, 'format' | 'counts'>,
  { onProgress }: Progress,
): AsyncIterable<string> {
  const { counts } = snapshot
  const whole = createHash('sha256')
  const said = (line: object): string => {
    const text = `${JSON.stringify(line)}\n`
    whole.update(text)
    return text
  }
  let done = 0
  yield said({ kith: 'backup', format: FORMAT, ...header, counts })
  for (const section of SECTIONS) {
    yield said({ section, rows: counts[section] })
    const hash = createHash('sha256')
    for await (const row of snapshot.rows(section)) {
      const line = lineOf(row)
      hash.update(line)
      whole.update(line)
      yield line
      if (++done % BATCH === 0) onProgress?.(done, totalOf(counts))
    }
    yield said({ end: section, sha256: hash.digest('hex') })
  }
  yield `${JSON.stringify({ end: 'backup', sha256: whole.digest('hex') })}\n`
  onProgress?.(done, totalOf(counts))
}

async function* chunks(lines: AsyncIterable<string>): AsyncIterable<Buffer> {
  let parts: string[] = []
  let length = 0
  for await (const line of lines) {
    parts.push(line)
    length += line.length
    if (length < CHUNK_BYTES) continue
    yield Buffer.from(parts.join(''))
    parts = []
    length = 0
  }
  if (length > 0) yield Buffer.from(parts.join(''))
}

async function sync(path: string): Promise<void> {
  await using handle = await open(path, 'r')
  await handle.sync()
}

const headerSchema = z.object({
  kith: z.literal('backup'),
  format: z.int().min(1),
  at_ms: z.int(),
  config: z.string(),
  counts: z.strictObject(Object.fromEntries(SECTIONS.map((section) => [section, z.int().min(0)]))),
})
/** All that is asked of a newer Kith's file: that it says so. */
const anyHeaderSchema = z.object({ kith: z.literal('backup'), format: z.int().min(1) })

/** What a file hands out as it is read: who reads to the end has a whole, undamaged file. */
export interface BackupReader {
  readonly header: BackupHeader
  /** @throws BackupError as soon as something is wrong, and at the end for what is found out only there */
  batches(): AsyncIterable<{ readonly section: Section; readonly rows: readonly BackupRow[] }>
  /** Of each section, once everything was read. */
  digests(): Digests
  close(): Promise<void>
}

/** Opens a backup and reads its first line. @throws BackupError */
export async function openBackup(file: string, progress: Progress = {}): Promise<BackupReader> {
  const lines = new Lines(file)
  try {
    const header = headerFrom(await lines.next(), file)
    const digests: { [section in Section]?: string } = {}
    return {
      header,
      batches: () => batchesOf(lines, header, digests, progress),
      digests: () => digests as Digests,
      close: () => lines.close(),
    }
  } catch (error) {
    await lines.close()
    throw error
  }
}

function headerFrom(line: string | null, file: string): BackupHeader {
  const json = line === null ? undefined : jsonOf(line)
  const any = anyHeaderSchema.safeParse(json).data
  if (!any) throw new BackupError('foreign', `${file} is no backup of Kith. Name a file that kith backup has written.`)
  if (any.format > FORMAT) {
    throw new BackupError(
      'newer',
      `${file} was made by a newer Kith (format ${any.format}; this one reads up to ${FORMAT}). Update Kith, then try again.`,
    )
  }
  const header = headerSchema.safeParse(json).data
  if (!header) throw damaged(file, 'its first line')
  return header as unknown as BackupHeader
}

async function* batchesOf(
  lines: Lines,
  { counts }: BackupHeader,
  digests: { [section in Section]?: string },
  { signal, onProgress }: Progress,
): AsyncIterable<{ section: Section; rows: BackupRow[] }> {
  let done = 0
  for (const section of SECTIONS) {
    await expectLine(lines, { section, rows: counts[section] })
    const hash = createHash('sha256')
    const schema = TABLES[section].row
    for (let number = 0; number < counts[section];) {
      signal?.throwIfAborted()
      const rows: BackupRow[] = []
      while (rows.length < BATCH && number < counts[section]) {
        const line = await lines.wanted()
        number++
        hash.update(line).update('\n')
        const row = jsonOf(line)
        const judged = schema.safeParse(row)
        if (!judged.success) {
          const [issue] = judged.error.issues
          // The column alone: what is inside it may be somebody's address.
          const where = issue?.path[0] === undefined ? '' : `, ${String(issue.path[0])}`
          throw damaged(lines.file, `${section}, row ${number}${where}`)
        }
        rows.push(row as BackupRow)
      }
      done += rows.length
      onProgress?.(done, totalOf(counts))
      yield { section, rows }
    }
    const sha256 = hash.digest('hex')
    await expectLine(lines, { end: section, sha256 })
    digests[section] = sha256
  }
  const sha256 = lines.digest()
  await expectLine(lines, { end: 'backup', sha256 })
  if ((await lines.next()) !== null) throw damaged(lines.file, 'what follows its end')
}

/** Every line but the rows is known beforehand, from the header and the rows. */
async function expectLine(lines: Lines, expected: { readonly [key: string]: unknown }): Promise<void> {
  if ((await lines.wanted()) === JSON.stringify(expected)) return
  const what =
    'section' in expected
      ? `the beginning of ${String(expected['section'])}`
      : `the checksum of ${String(expected['end'])}`
  throw damaged(lines.file, what)
}

function damaged(file: string, what: string): BackupError {
  return new BackupError(
    'damaged',
    `${file} is damaged (${what}). Use another backup; kith backup verify says whether it is whole.`,
  )
}

function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

/** The lines of a gzipped file, one after the other; never more than a piece of it in memory. */
class Lines {
  readonly file: string
  readonly #source
  readonly #text
  readonly #iterator: AsyncIterator<Buffer>
  readonly #hash: Hash = createHash('sha256')
  readonly #decoder = new TextDecoder('utf-8', { fatal: true })
  #rest: Buffer = Buffer.alloc(0)
  #started = false
  #failure: unknown

  constructor(file: string) {
    this.file = file
    this.#source = createReadStream(file)
    this.#text = createGunzip()
    // Told to whoever reads, whenever that is.
    this.#text.on('error', () => undefined)
    this.#iterator = this.#text[Symbol.asyncIterator]() as AsyncIterator<Buffer>
    this.#source.once('error', (error) => {
      this.#failure = error
      this.#text.destroy(error)
    })
    this.#source.pipe(this.#text)
  }

  /** The next line, or null at the end of the file. */
  async next(): Promise<string | null> {
    for (let from = 0; ;) {
      const end = this.#rest.indexOf(0x0a, from)
      if (end >= 0) {
        const line = this.#rest.subarray(0, end + 1)
        this.#rest = this.#rest.subarray(end + 1)
        this.#hash.update(line)
        return this.#decode(line.subarray(0, -1))
      }
      if (this.#rest.length > LINE_BYTES_MAX) throw this.#broken(undefined)
      from = this.#rest.length
      const piece = await this.#read()
      if (piece === null) {
        if (this.#rest.length > 0) throw this.#broken('Z_BUF_ERROR')
        return null
      }
      this.#rest = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece])
    }
  }

  /** A line that must be there. */
  async wanted(): Promise<string> {
    const line = await this.next()
    if (line === null) throw this.#broken('Z_BUF_ERROR')
    return line
  }

  /** Of every line so far. */
  digest(): string {
    return this.#hash.copy().digest('hex')
  }

  async close(): Promise<void> {
    this.#text.destroy()
    if (this.#source.closed) return
    this.#source.destroy()
    await once(this.#source, 'close')
  }

  async #read(): Promise<Buffer | null> {
    try {
      const { value, done } = await this.#iterator.next()
      if (done === true) return null
      this.#started = true
      return value
    } catch (error) {
      throw this.#broken((this.#failure ?? error) as NodeJS.ErrnoException)
    }
  }

  #decode(line: Buffer): string {
    try {
      return this.#decoder.decode(line)
    } catch {
      throw this.#broken(undefined)
    }
  }

  #broken(cause: 'Z_BUF_ERROR' | NodeJS.ErrnoException | undefined): BackupError {
    const code = typeof cause === 'object' ? cause.code : cause
    if (this.#failure !== undefined) {
      return new BackupError(
        'unreadable',
        `${this.file} cannot be read (${code ?? 'unknown'}). Check its path and permissions.`,
      )
    }
    if (!this.#started) {
      return new BackupError('foreign', `${this.file} is no backup of Kith. Name a file that kith backup has written.`)
    }
    if (code !== 'Z_BUF_ERROR') return damaged(this.file, 'its compression')
    return new BackupError(
      'truncated',
      `${this.file} ends too early: it was not copied whole, or the disk was full. Copy it again, or use another backup.`,
    )
  }
}
