import { parsePhoneNumberFromString, type CountryCode } from 'libphonenumber-js/min'
import type { Normalisers } from '../engine/core/catalogue.ts'

const CACHE_MAX = 50_000

/**
 * Phone numbers in their normal form: E.164 (`+493012345`, an extension as `;ext=12`) where the number can be read, else its
 * digits with a leading `+` kept; a text without digits stands for itself. Kept in a cache: the same numbers come by often.
 *
 * @param defaultRegion the ISO country code that numbers without a country prefix belong to; undefined: they stay digits
 * @throws RangeError for something that is no ISO country code
 */
export function phoneNormaliser(defaultRegion: string | undefined): Normalisers {
  const region = defaultRegion?.toUpperCase()
  if (region !== undefined && !/^[A-Z]{2}$/.test(region))
    throw new RangeError(
      `the default region must be a two-letter country code such as DE or US, not "${defaultRegion}"`,
    )
  const cache = new Map<string, string>()
  return {
    phone(raw) {
      const known = cache.get(raw)
      if (known !== undefined) return known
      const normal = normalPhone(raw, region as CountryCode | undefined)
      if (cache.size >= CACHE_MAX) cache.clear()
      cache.set(raw, normal)
      return normal
    },
  }
}

function normalPhone(raw: string, region: CountryCode | undefined): string {
  // Half-width forms of digits and signs.
  const text = raw.normalize('NFKC').trim().replace(/^tel:/i, '')
  const number = parsePhoneNumberFromString(
    text,
    region === undefined ? {} : { defaultCountry: region, extract: false },
  )
  if (number?.isPossible()) return number.number + (number.ext === undefined ? '' : `;ext=${number.ext}`)
  const digits = text.replace(/\D+/g, '')
  if (digits === '') return text.toLowerCase().replace(/\s+/g, ' ')
  // A leading 00 is the plus of most countries, but not of all: without a region it stays as written.
  return text.startsWith('+') ? `+${digits}` : digits
}
