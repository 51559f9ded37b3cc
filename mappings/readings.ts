import { getCountries } from 'libphonenumber-js/min'
import type { Readings } from '../engine/core/standard-checks.ts'
import { readDate } from './dates.ts'
import { phoneNormaliser } from './normalise.ts'

/** Languages in which countries are named where an app keeps their names. */
const LANGUAGES = ['en', 'de', 'fr', 'es', 'it', 'nl', 'pt']

/** Names in daily use that the standard's own list does not have. */
const NICKNAMES: { readonly [name: string]: string } = {
  usa: 'US',
  'u s a': 'US',
  'u s': 'US',
  'united states of america': 'US',
  uk: 'GB',
  'great britain': 'GB',
  england: 'GB',
  scotland: 'GB',
  holland: 'NL',
  'czech republic': 'CZ',
}

/**
 * How numbers, dates and countries are read, for the data standard.
 *
 * @param defaultRegion the ISO country code that numbers without a country prefix belong to
 */
export function readings(defaultRegion: string | undefined): Readings {
  const numbers = phoneNormaliser(defaultRegion)
  return { phone: (text) => numbers.phone(text), date: (text) => readDate(text) ?? undefined, country: countryOf }
}

let names: ReadonlyMap<string, string> | undefined

/** The code of a country written as a code, or by its name in one of a few languages; undefined for anything else. */
function countryOf(text: string): string | undefined {
  names ??= countryNames()
  return names.get(folded(text))
}

function countryNames(): Map<string, string> {
  const codes: readonly string[] = getCountries().filter((code) => /^[A-Z]{2}$/.test(code))
  const all = new Map<string, string>(Object.entries(NICKNAMES))
  for (const language of LANGUAGES) {
    const spoken = new Intl.DisplayNames([language], { type: 'region', fallback: 'none' })
    for (const code of codes) {
      const name = spoken.of(code)
      if (name !== undefined && !all.has(folded(name))) all.set(folded(name), code)
    }
  }
  for (const code of codes) all.set(folded(code), code)
  return all
}

function folded(text: string): string {
  return text
    .normalize('NFD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, ' ')
    .trim()
}
