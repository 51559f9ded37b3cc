import type { Cells } from '../catalogue.ts'
import type { Channel, ConsentState } from '../consent.ts'
import type { JsonObject } from '../json.ts'

export type Direction = 'both' | 'in' | 'out'

/** How a lens treats one canonical field. */
export interface LensField {
  /** `in`: from the app to Kith only; `out`: from Kith to the app only. */
  readonly direction: Direction
  /** Whether a blank in the app is a value (`erase`) or says nothing (`keep`, the default: blanks never erase). */
  readonly blank: 'keep' | 'erase'
  /** Why a value may come back other than it was put (the app has no place for all of it); undefined where it never does. */
  readonly lossy?: string
}

/** Where a record keeps whether one of its addresses may be written to. */
export interface ConsentSlot {
  readonly channel: Channel
  /** The app field that holds the state. */
  readonly source: string
  /** The address that it is about, as its key in the ledger; null where the record has none. */
  key(fields: JsonObject): string | null
  /** null: the record does not say. */
  state(fields: JsonObject): ConsentState | null
  /** When the person opted in, as the app can prove it, in milliseconds. */
  optIn_ms(fields: JsonObject): number | null
  /** The app fields that say so; empty where the app does not let us. */
  put(state: ConsentState): JsonObject
}

/**
 * A compiled mapping between an app's fields and canonical ones. Pure. Its laws, kept by property tests for every shipped
 * mapping:
 *
 * - `put` touches only app fields that the lens maps, and only where the app's present value says something else:
 *   `put(get(a), a)` is empty;
 * - `get({...a, ...put(x, a)})` says `x` for every mapped field that is not lossy;
 * - a round trip settles in one step: putting again after `put` changes nothing, lossy or not.
 */
export interface Lens {
  /** The canonical fields it speaks of, by name. */
  readonly fields: ReadonlyMap<string, LensField>
  /** The app fields it reads or writes: only these are stored in a shadow. */
  readonly appFields: readonly string[]
  /** Consent is no field of a person: it has its own rules (core/consent.ts). */
  readonly consents: readonly ConsentSlot[]
  /** The app fields behind each canonical field: for the apps that tell when a single field was changed. */
  readonly sources: ReadonlyMap<string, readonly string[]>

  /** What an app's fields say, in canonical cells; a blank field has no cell. An app field that is absent is not known. */
  get(fields: JsonObject): Cells

  /**
   * Whether the app fields behind a canonical field are known in `fields`: a field that is mapped only since yesterday is
   * not in yesterday's shadow, and its first reading is no edit.
   */
  knows(field: string, fields: JsonObject): boolean

  /**
   * The app fields to change so that the app says what `cells` say, null for those to blank; empty when it says so already.
   * @param current the app's present fields, or null to create a record
   */
  put(cells: Cells, current: JsonObject | null): JsonObject
}
