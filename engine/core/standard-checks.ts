import type { Json } from './json.ts'

/**
 * - `e164`    a phone number spelled as +4930901820
 * - `phone`   a phone number that can be read as an international one, however it is spelled
 * - `email`   an address that a mail server would take
 * - `country` a country by its code of two capital letters
 * - `url`     a web address with its scheme
 * - `date`    an ISO date, or --MM-DD where the year is not known
 */
export type Format = 'e164' | 'phone' | 'email' | 'country' | 'url' | 'date'

export const FORMATS: readonly Format[] = ['e164', 'phone', 'email', 'country', 'url', 'date']

/** What a value is held against. Plain data: it is part of a config. */
export type Check =
  /** A new person without it waits. */
  | { readonly kind: 'required' }
  | { readonly kind: 'format'; readonly format: Format }
  /** A regular expression that the whole value fits. */
  | { readonly kind: 'pattern'; readonly source: string }
  | { readonly kind: 'allowed'; readonly values: readonly string[] }
  /** In characters. */
  | { readonly kind: 'length'; readonly min: number; readonly max: number }
  /** No spaces at the ends, none doubled, none that cannot be seen. */
  | { readonly kind: 'trim' }
  /** `title`: not all in capitals, not all in small letters; a spelling like McDonald or van der Berg is left alone. */
  | { readonly kind: 'case'; readonly letters: 'upper' | 'lower' | 'title' }

/** Readings that need a library, handed in so that the core stays pure. */
export interface Readings {
  /** E.164 where the number can be read, else something else. */
  phone(text: string): string
  /** ISO; undefined where it can be read in no way, or in several. */
  date(text: string): string | undefined
  /** The code of two letters for a country's name or code. */
  country(text: string): string | undefined
}

const E164 = /^\+[1-9]\d{6,14}$/
const READABLE_PHONE = /^\+[1-9]\d{6,14}(;ext=\d+)?$/
const EMAIL_MAX = 254
const LOCAL_MAX = 64
const EMAIL =
  /^[^\s@<>()[\]\\,;:"]+@(?:[\p{L}\p{N}](?:[\p{L}\p{N}\p{M}-]{0,61}[\p{L}\p{N}\p{M}])?\.)+[\p{L}\p{N}-]{2,63}$/u
const DATE = /^(?:\d{4}-|--)(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])$/
const URL =
  /^https?:\/\/[^\s/?#.]+(?:\.[^\s/?#.]+)+(?:[/?#]\S*)?$|^https?:\/\/(?:localhost|\[[0-9a-f:]+\])(?::\d+)?(?:[/?#]\S*)?$/iu

/** Whether a value meets a check. What is no text (a list, a truth value) meets every check that is about text. */
export function meets(check: Check, value: Json, readings: Readings): boolean {
  if (typeof value !== 'string' && typeof value !== 'number') return true
  const text = String(value)
  switch (check.kind) {
    case 'required':
      return text.trim() !== ''
    case 'format':
      return fits(check.format, text, readings)
    case 'pattern':
      return new RegExp(`^(?:${check.source})$`, 'u').test(text)
    case 'allowed':
      return check.values.includes(text)
    case 'length': {
      const length = Array.from(text).length
      return length >= check.min && length <= check.max
    }
    case 'trim':
    case 'case':
      return mended(check, text, readings) === text
  }
}

function fits(format: Format, text: string, readings: Readings): boolean {
  switch (format) {
    case 'e164': {
      const normal = readings.phone(text)
      // An extension has no place in E.164: such a number is left as it was written.
      return text === normal ? E164.test(text) : normal.includes(';ext=') && READABLE_PHONE.test(normal)
    }
    case 'phone':
      return READABLE_PHONE.test(readings.phone(text))
    case 'email':
      return isEmail(text)
    case 'country':
      return readings.country(text) === text
    case 'url':
      return URL.test(text)
    case 'date':
      return DATE.test(text)
  }
}

export function isEmail(text: string): boolean {
  const [local = ''] = text.split('@')
  return text.length <= EMAIL_MAX && local.length <= LOCAL_MAX && !/^\.|\.\.|\.$/.test(local) && EMAIL.test(text)
}

/** Whether a check has a repair at all. */
export function canMend(check: Check): boolean {
  if (check.kind === 'format') return check.format !== 'phone'
  return check.kind === 'trim' || check.kind === 'case' || check.kind === 'allowed' || check.kind === 'length'
}

/**
 * The text as the check wants it; undefined where it cannot be repaired. Says the same to a human, but for `length`, which cuts:
 * what was said stays in the log.
 */
export function mended(check: Check, text: string, readings: Readings): string | undefined {
  const found = attempt(check, text, readings)
  return found === undefined || found.trim() === '' ? undefined : found
}

function attempt(check: Check, text: string, readings: Readings): string | undefined {
  switch (check.kind) {
    case 'trim':
      return trimmed(text)
    case 'case':
      return check.letters === 'upper'
        ? text.toUpperCase()
        : check.letters === 'lower'
          ? text.toLowerCase()
          : titled(text)
    case 'allowed': {
      const folded = fold(text)
      return check.values.find((value) => value === text) ?? check.values.find((value) => fold(value) === folded)
    }
    case 'length':
      return Array.from(text)
        .slice(0, check.max)
        .join('')
        .replace(/[\s\u200d]+$/u, '')
    case 'format':
      return attemptFormat(check.format, text, readings)
    case 'pattern':
    case 'required':
      return undefined
  }
}

function attemptFormat(format: Format, text: string, readings: Readings): string | undefined {
  switch (format) {
    case 'e164': {
      const normal = readings.phone(text)
      return E164.test(normal) ? normal : undefined
    }
    case 'email': {
      const found = addressIn(text)
      return found !== undefined && isEmail(found) ? found : undefined
    }
    case 'country':
      return readings.country(text)
    case 'url': {
      const bare = trimmed(text)
      const whole = /^[a-z][a-z0-9+.-]*:/i.test(bare) ? bare : `https://${bare.replace(/^\/+/, '')}`
      return URL.test(whole) ? whole : undefined
    }
    case 'date':
      return DATE.test(text) ? text : readings.date(text)
    case 'phone':
      return undefined
  }
}

/** The one address in `mailto:ada@example.org`, `Ada <ada@example.org>`, `ada@example.org;`. */
function addressIn(text: string): string | undefined {
  const bracketed = /<\s*([^<>\s]+)\s*>/.exec(text)?.[1]
  return (bracketed ?? text)
    .normalize('NFC')
    .replace(UNSEEN, '')
    .trim()
    .replace(/^mailto:/i, '')
    .replace(/^["'(]+|["').,;:]+$/g, '')
    .trim()
}

const UNSEEN = /[\u200b-\u200d\u2060\ufeff\u00ad]/g

function trimmed(text: string): string {
  return text
    .replace(/[\u200b\u2060\ufeff\u00ad]/g, '')
    .split('\n')
    .map((line) => line.replace(/\s+/gu, ' ').trim())
    .join('\n')
    .trim()
}

/** Each word with a capital, where the whole is in one case; anything else is somebody's own spelling. */
function titled(text: string): string {
  if (text !== text.toUpperCase() && text !== text.toLowerCase()) return text
  return text.toLowerCase().replace(/(^|[^\p{L}\p{M}\p{N}'’])(\p{L})/gu, (_all, before: string, letter: string) => {
    return before + letter.toUpperCase()
  })
}

function fold(text: string): string {
  return text.normalize('NFC').replace(/\s+/gu, ' ').trim().toLowerCase()
}

/** What a check asks for, in words that follow "is not": `a phone number as +4930901820`. */
export function wanted(check: Check): string {
  switch (check.kind) {
    case 'required':
      return 'there'
    case 'format':
      return FORMAT_WORDS[check.format]
    case 'pattern':
      return `as ${check.source}`
    case 'allowed':
      return `one of ${check.values.join(', ')}`
    case 'length': {
      const { min, max } = check
      if (max === Infinity || max >= Number.MAX_SAFE_INTEGER) return `at least ${min} characters long`
      return min === 0 ? `at most ${max} characters long` : `${min} to ${max} characters long`
    }
    case 'trim':
      return 'free of stray spaces'
    case 'case':
      return { upper: 'in capitals', lower: 'in small letters', title: 'spelled with capitals where words begin' }[
        check.letters
      ]
  }
}

const FORMAT_WORDS: { readonly [format in Format]: string } = {
  e164: 'a phone number as +4930901820',
  phone: 'a phone number with its country',
  email: 'an e-mail address',
  country: 'a country code as DE',
  url: 'a web address as https://example.org',
  date: 'a date as 1985-04-12',
}
