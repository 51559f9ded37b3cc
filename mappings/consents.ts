import type { Channel, ConsentState } from '../engine/core/consent.ts'
import { isBlank, type Json, type JsonObject } from '../engine/core/json.ts'
import type { ConsentSlot } from '../engine/core/ports/lens.ts'
import { readPlace, type Place } from './places.ts'
import type { ConsentSpec } from './schema.ts'

/** The places of one consent field in a record. */
export interface ConsentPlaces {
  readonly state: Place
  readonly address: Place
  readonly optIn?: Place
}

/** Any value that is not blank and not named otherwise. */
const ANY = '*'

/**
 * One consent field as the core sees it.
 *
 * @param keyOf the ledger's key of an address as a human wrote it; null for a text that is none
 */
export function consentSlot(
  channel: Channel,
  spec: ConsentSpec,
  places: ConsentPlaces,
  keyOf: (address: string) => string | null,
): ConsentSlot {
  const read = (record: JsonObject, place: Place | undefined): Json => (place && readPlace(record, place)) ?? null
  const states = new Map<string, ConsentState>(Object.entries(spec.states))
  const writable = places.state.field?.writable !== false && places.state.path.length === 0
  return {
    channel,
    source: places.state.root,
    key(record) {
      const address = read(record, places.address)
      return typeof address === 'string' && address.trim() !== '' ? keyOf(address) : null
    },
    state(record) {
      const value = read(record, places.state)
      if (isBlank(value)) return null
      return states.get(String(value)) ?? states.get(ANY) ?? null
    },
    optIn_ms(record) {
      const value = read(record, places.optIn)
      const time = typeof value === 'number' ? value : typeof value === 'string' ? Date.parse(value) : NaN
      return Number.isFinite(time) ? time : null
    },
    put(state) {
      const value = spec.write?.[state]
      return value === undefined || !writable ? {} : { [places.state.root]: value }
    },
  }
}
