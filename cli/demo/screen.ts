import { width, type Output } from '../output.ts'

/** The demo's page: numbered chapters, everything indented by two. */
export class Screen {
  readonly #output: Output
  #chapter = 0

  constructor(output: Output) {
    this.#output = output
  }

  /** Lines; an empty text is an empty line. */
  say(...lines: string[]): void {
    for (const line of lines) void this.#output.say(line === '' ? '' : `  ${line}`)
  }

  heading(text: string): void {
    this.say('', this.strong(`${++this.#chapter}. ${text}`), '')
  }

  strong(text: string): string {
    return this.#output.bold(text)
  }

  dim(text: string): string {
    return this.#output.dim(text)
  }

  good(text: string): string {
    return this.#output.green(text)
  }

  warn(text: string): string {
    return this.#output.yellow(text)
  }
}

/** The text, filled up or cut to a number of columns. */
export function fit(text: string, columns: number): string {
  const missing = columns - width(text)
  if (missing >= 0) return text + ' '.repeat(missing)
  let cut = ''
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    if (width(cut + segment) > columns - 1) break
    cut += segment
  }
  return fit(`${cut}…`, columns)
}

/** `12 cards`, `1 card`. */
export function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`
}

/** `0.4 s`, `48 ms`. */
export function duration(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`
}

/** `a, b and c`. */
export function list(items: readonly string[]): string {
  return items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`
}
