import { styleText } from 'node:util'

/** What is printed, with colours where the output is a terminal. */
export interface Screen {
  /** Lines, indented by two; an empty text is an empty line. */
  say(...lines: string[]): void
  heading(text: string): void
  strong(text: string): string
  dim(text: string): string
  good(text: string): string
  warn(text: string): string
}

/** @param write where text goes; nothing is printed with `quiet` (the summary for scripts is then all there is) */
export function makeScreen(stream: NodeJS.WriteStream, quiet: boolean): Screen {
  const colours = stream.isTTY && process.env['NO_COLOR'] === undefined && process.env['TERM'] !== 'dumb'
  const style = (format: Parameters<typeof styleText>[0]) => (text: string) =>
    colours ? styleText(format, text, { validateStream: false }) : text
  const strong = style('bold')
  let number = 0
  const say = (...lines: string[]): void => {
    if (quiet) return
    for (const line of lines) stream.write(line === '' ? '\n' : `  ${line}\n`)
  }
  return {
    say,
    heading: (text) => say('', `${strong(`${++number}. ${text}`)}`, ''),
    strong,
    dim: style('dim'),
    good: style('green'),
    warn: style('yellow'),
  }
}

const WIDE = /[\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}]/u

/** How many columns a text takes on a terminal. */
export function columnsOf(text: string): number {
  let columns = 0
  for (const { segment } of new Intl.Segmenter().segment(text)) columns += WIDE.test(segment) ? 2 : 1
  return columns
}

/** The text, filled up or cut to a number of columns. */
export function fit(text: string, columns: number): string {
  const missing = columns - columnsOf(text)
  if (missing >= 0) return text + ' '.repeat(missing)
  let cut = ''
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    if (columnsOf(cut + segment) > columns - 1) break
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
