/**
 * Birthdays. Kith's form is `YYYY-MM-DD`, or `--MM-DD` where the year is not known; vCards write either with or without
 * dashes, with a time behind it, or (Apple) with a made-up year and a parameter that says so.
 */

/** How a card writes its date, so that a new one is written alike. */
export interface DateStyle {
  readonly dashes: boolean
  /** The year that stands for "not known" (X-APPLE-OMIT-YEAR). */
  readonly omitYear: string | null
  /** A midnight behind the date (`T00:00:00Z`); an actual time of day is not kept, for it was the old date's. */
  readonly time: string
}

const DATE = /^(\d{4}|--)-?(\d{2})-?(\d{2})(T.*)?$/i

/** The date in Kith's form; undefined for what is no full date. */
export function readDate(text: string, omitYear: string | null): string | undefined {
  const [, year = '', month = '', day = ''] = DATE.exec(text.trim()) ?? []
  if (!(Number(month) >= 1 && Number(month) <= 12 && Number(day) >= 1 && Number(day) <= 31)) return undefined
  return year === '--' || year === omitYear ? `--${month}-${day}` : `${year}-${month}-${day}`
}

export function styleOf(text: string, omitYear: string | null): DateStyle {
  const time = /T00(:?00(:?00)?)?(\.0+)?Z?$/i.exec(text.trim())?.[0] ?? ''
  return { dashes: /^(\d{4}|-)-\d{2}-/.test(text.trim()), omitYear, time }
}

/** A date in Kith's form in the card's style. */
export function writeDate(date: string, style: DateStyle): string {
  const [, year = '', month = '', day = ''] = DATE.exec(date) ?? []
  if (year === '--' && style.omitYear === null) return `--${month}${style.dashes ? '-' : ''}${day}`
  const dash = style.dashes ? '-' : ''
  return `${year === '--' ? style.omitYear : year}${dash}${month}${dash}${day}${style.time}`
}
