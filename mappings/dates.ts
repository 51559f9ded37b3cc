/**
 * Dates as people and apps write them, to and from ISO: `1985-04-12`, or `--04-12` where the year is not known. Only
 * spellings that can be read in one way are: 03/04/1985 is not, unless a format says which is the day.
 */

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const DAYS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

/** The ISO date that the text says, null for a text that says "no date", undefined where it cannot be read. */
export function readDate(text: string): string | null | undefined {
  const trimmed = text.trim()
  let m = /^(\d{4})-(\d\d)-(\d\d)(?:[T ].*)?$/.exec(trimmed) ?? /^(\d{4})(\d\d)(\d\d)$/.exec(trimmed)
  m ??= /^(\d{4})[/.](\d{1,2})[/.](\d{1,2})$/.exec(trimmed)
  if (m) return isoDate(m[1], m[2], m[3])
  m = /^--(\d\d)-?(\d\d)$/.exec(trimmed)
  if (m) return isoDate(undefined, m[1], m[2])
  // Outlook writes 0/0/00 for no date.
  if (/^0{1,2}\/0{1,2}\/0{2,4}$/.test(trimmed)) return null
  // Dots are day first wherever they are used at all.
  m = /^(\d{1,2})\. ?(\d{1,2})\. ?(\d{4})$/.exec(trimmed)
  if (m) return isoDate(m[3], m[2], m[1])
  m = /^(\d{1,2})[/-](\d{1,2})[/-](\d{4})$/.exec(trimmed)
  if (m) {
    const [first, second] = [Number(m[1]), Number(m[2])]
    if (first === second || first > 12) return isoDate(m[3], m[2], m[1])
    return second > 12 ? isoDate(m[3], m[1], m[2]) : undefined
  }
  m = /^(\d{1,2})\.? (\p{L}{3,9})\.?,? (\d{4})$/u.exec(trimmed)
  if (m) return isoDate(m[3], monthNumber(m[2]), m[1])
  m = /^(\p{L}{3,9})\.? (\d{1,2}),? (\d{4})$/u.exec(trimmed)
  if (m) return isoDate(m[3], monthNumber(m[1]), m[2])
  return undefined
}

function monthNumber(word: string | undefined): string | undefined {
  const index = MONTHS.indexOf((word ?? '').slice(0, 3).toLowerCase())
  return index < 0 ? undefined : String(index + 1)
}

function isoDate(year: string | undefined, month: string | undefined, day: string | undefined): string | undefined {
  const [m, d] = [Number(month), Number(day)]
  if (!(m >= 1 && m <= 12) || !(d >= 1 && d <= (DAYS[m - 1] ?? 0))) return undefined
  if (m === 2 && d === 29 && year !== undefined && !isLeap(Number(year))) return undefined
  return `${year === undefined ? '-' : year}-${String(m).padStart(2, '0')}-${String(d).padStart(2, '0')}`
}

function isLeap(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
}

/** A date format made ready: `read` gives ISO or undefined, `write` undefined where the format has no place for the date. */
export interface DateFormat {
  read(text: string): string | undefined
  write(iso: string): string | undefined
}

/**
 * Reads a format of `YYYY`, `MM`, `DD`, `M`, `D` and what stands between them.
 * @throws RangeError where the day or the month is missing or doubled
 */
export function dateFormat(format: string): DateFormat {
  const order: string[] = []
  const source = format.replace(/YYYY|MM|DD|M|D|[^YMD]+|./g, (token) => {
    if (!/^(YYYY|MM?|DD?)$/.test(token)) return token.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&')
    order.push(token[0] ?? '')
    return token === 'YYYY' ? '(\\d{4})' : token.length === 2 ? '(\\d\\d)' : '(\\d{1,2})'
  })
  if (!order.includes('M') || !order.includes('D') || new Set(order).size !== order.length)
    throw new RangeError(`the date format "${format}" must name the month (MM or M) and the day (DD or D) once`)
  const pattern = new RegExp(`^${source}$`)
  const hasYear = order.includes('Y')
  return {
    read(text) {
      const found = pattern.exec(text.trim())
      if (!found) return undefined
      const part = (letter: string): string | undefined => found[order.indexOf(letter) + 1]
      return isoDate(hasYear ? part('Y') : undefined, part('M'), part('D'))
    },
    write(iso) {
      const found = /^(\d{4}|-)-(\d\d)-(\d\d)$/.exec(iso)
      if (!found || (hasYear && found[1] === '-')) return undefined
      const [, year = '', month = '', day = ''] = found
      return format.replace(/YYYY|MM|DD|M|D/g, (token) =>
        token === 'YYYY' ? year : (token.startsWith('M') ? month : day).replace(token.length === 1 ? /^0/ : /^$/, ''),
      )
    },
  }
}
