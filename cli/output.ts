import { once } from 'node:events'

/** What a command prints, and where: one JSON document, or text for people. Colours only where people look. */
export class Output {
  readonly json: boolean
  readonly #colour: boolean

  constructor(options: { json: boolean; colour: boolean }) {
    this.json = options.json
    const wanted = options.colour && (process.env['NO_COLOR'] ?? '') === '' && process.env['TERM'] !== 'dumb'
    this.#colour = wanted && !options.json && process.stdout.isTTY === true
  }

  /** For people. Beside JSON it goes to standard error, which is then all theirs. */
  say(text = ''): Promise<void> {
    return write(this.json ? process.stderr : process.stdout, `${text}\n`)
  }

  /** What went wrong, and progress. */
  complain(text: string): Promise<void> {
    return write(process.stderr, `${text}\n`)
  }

  /** A piece of the JSON document. */
  raw(text: string): Promise<void> {
    return write(process.stdout, text)
  }

  /** The whole JSON document. */
  print(document: unknown): Promise<void> {
    return this.raw(`${JSON.stringify(document, null, 2)}\n`)
  }

  bold = (text: string): string => this.#paint(1, text)
  dim = (text: string): string => this.#paint(2, text)
  red = (text: string): string => this.#paint(31, text)
  green = (text: string): string => this.#paint(32, text)
  yellow = (text: string): string => this.#paint(33, text)

  #paint(code: number, text: string): string {
    return this.#colour ? `\u001b[${code}m${text}\u001b[0m` : text
  }
}

async function write(stream: NodeJS.WriteStream, text: string): Promise<void> {
  if (!stream.write(text)) await once(stream, 'drain')
}

/** Rows under a heading, as wide as they need to be; the last column is not padded. */
export function table(heading: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = heading.map((title, column) =>
    Math.max(...[title, ...rows.map((row) => row[column] ?? '')].map(width)),
  )
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => cell + ' '.repeat(Math.max(0, (widths[column] ?? 0) - width(cell))))
      .join('  ')
      .trimEnd()
  return [heading, ...rows].map(line).join('\n')
}

/** Columns on a terminal: colours take none, East Asian letters two. */
export function width(text: string): number {
  // oxlint-disable-next-line no-control-regex -- colours are written with control characters
  const plain = text.replace(/\u001b\[\d+m/g, '')
  let columns = 0
  for (const letter of plain)
    columns += /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\uff00-\uff60]/.test(letter) ? 2 : 1
  return columns
}

/** `now`, `12 s ago`, `5 min ago`, `3 h ago`, `2 days ago`. */
export function ago(at_ms: number | null, now_ms: number): string {
  if (at_ms === null) return 'never'
  const seconds = Math.round((now_ms - at_ms) / 1000)
  if (seconds < 2) return 'now'
  if (seconds < 100) return `${seconds} s ago`
  if (seconds < 100 * 60) return `${Math.round(seconds / 60)} min ago`
  if (seconds < 48 * 3600) return `${Math.round(seconds / 3600)} h ago`
  return `${Math.round(seconds / 86_400)} days ago`
}

/** A time as people read it, in their own zone: `2026-11-22 00:53`. */
export function clock(at_ms: number): string {
  const date = new Date(at_ms)
  const two = (part: number): string => String(part).padStart(2, '0')
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}`
}

/** `1 record`, `1,204 records`. */
export function count(number: number, one: string, many = `${one}s`): string {
  return `${number.toLocaleString('en-GB')} ${number === 1 ? one : many}`
}

/** Items as one JSON array, written as they come: the memory stays flat however many there are. */
export async function printArray(output: Output, items: AsyncIterable<unknown>): Promise<void> {
  let first = true
  await output.raw('[')
  for await (const item of items) {
    await output.raw(`${first ? '\n' : ',\n'}    ${JSON.stringify(item)}`)
    first = false
  }
  await output.raw(first ? ']' : '\n  ]')
}
