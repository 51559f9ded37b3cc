/**
 * When, and in which connection, a field's present value came to be. Totally ordered: by time, then by connection name,
 * so that every worker that compares two stamps decides alike (I8).
 */
export interface Stamp {
  /** Milliseconds since the epoch. */
  readonly at: number
  /** The connection's name, or `operator:<name>` for an act. */
  readonly by: string
}

/** Negative when `a` is older than `b`, positive when newer, 0 only for equal stamps. */
export function compareStamps(a: Stamp, b: Stamp): number {
  if (a.at !== b.at) return a.at - b.at
  return a.by < b.by ? -1 : a.by > b.by ? 1 : 0
}

/**
 * The stamp of a change heard from a connection. Vendor clocks are hints: a time in the future is cut to `now_ms`, and an
 * edit made over a known base is newer than that base whatever the clocks say.
 *
 * @param vendor_ms the app's own time for the field, or for the record; undefined where it has none
 * @param base_ms the stamp time of the value that the edit replaced; undefined where there was no known base
 */
export function stampOf(by: string, now_ms: number, vendor_ms: number | undefined, base_ms: number | undefined): Stamp {
  const claimed = Math.min(vendor_ms ?? now_ms, now_ms)
  return { at: base_ms === undefined ? claimed : Math.max(claimed, base_ms + 1), by }
}
