import { InvalidArgumentError } from 'commander'
import { parseDuration_ms } from '../config/values.ts'

/** Parsers of option values; what they refuse, commander reports with the option's name. */

export function wholeNumber(text: string): number {
  const number = Number(text)
  if (!Number.isInteger(number) || number < 1 || number > 100_000) {
    throw new InvalidArgumentError('It must be a whole number from 1 to 100000.')
  }
  return number
}

/** A time in the past: `2h` or `3d` ago, or a date. In milliseconds since the epoch. */
export function since(text: string): number {
  const ago_ms = parseDuration_ms(text)
  if (ago_ms !== undefined) return Date.now() - ago_ms
  const at_ms = /^\d{4}-\d\d/.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(at_ms)) throw new InvalidArgumentError('It must be a duration (30m, 2h, 7d) or a date (2026-11-22).')
  return at_ms
}
