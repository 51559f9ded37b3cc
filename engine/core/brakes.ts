/** How much is too much: a share of the connection's records, but never less than `min`. */
export interface BrakeLimit {
  readonly share: number
  readonly min: number
}

/** The brakes of one connection. */
export interface BrakeLimits {
  /** Records created by us within the window. */
  readonly creates: BrakeLimit
  /** Records deleted, by us or (heard) by others, within the window. */
  readonly deletes: BrakeLimit
  /** Records in which one field was changed from this connection within the window. */
  readonly fieldShare: BrakeLimit
  /** How far back the brakes look. */
  readonly window_ms: number
  /** How often a field may go back and forth between two values within the window. */
  readonly flips_max: number
}

/** A side that held at least so many records and suddenly reads empty is not believed. */
const EMPTY_FROM = 3

export function allowed(limit: BrakeLimit, records: number): number {
  return Math.max(limit.min, Math.floor(limit.share * records))
}

/** What the brakes know of one connection. */
export interface BrakeCounts {
  readonly pending: { readonly create: number; readonly update: number; readonly delete: number }
  readonly tallied: { readonly [what: string]: number }
  readonly records: number
}

/** Which operations to hold before anything of them is sent, and the sentence that says why. */
export function judgeWrites(counts: BrakeCounts, limits: BrakeLimits): { op: 'create' | 'delete'; reason: string }[] {
  const verdicts: { op: 'create' | 'delete'; reason: string }[] = []
  const creates = counts.pending.create + (counts.tallied['created'] ?? 0)
  const creates_max = allowed(limits.creates, counts.records)
  if (counts.pending.create > 0 && creates > creates_max) {
    verdicts.push({ op: 'create', reason: `brake: ${creates} creates within the window, ${creates_max} are allowed` })
  }
  const deletes = counts.pending.delete + (counts.tallied['deleted'] ?? 0)
  const deletes_max = allowed(limits.deletes, counts.records)
  if (counts.pending.delete > 0 && deletes > deletes_max) {
    verdicts.push({ op: 'delete', reason: `brake: ${deletes} deletes within the window, ${deletes_max} are allowed` })
  }
  return verdicts
}

/**
 * Whether deletions heard from a connection are believed.
 * @param heard how many are heard at once
 * @returns the sentence that says why not, or null
 */
export function judgeDeletions(heard: number, counts: BrakeCounts, limits: BrakeLimits): string | null {
  if (heard === 0) return null
  if (counts.records >= EMPTY_FROM && heard >= counts.records) {
    return `brake: it reads empty, and held ${counts.records} records before`
  }
  const total = heard + (counts.tallied['gone'] ?? 0)
  const max = allowed(limits.deletes, counts.records + (counts.tallied['gone'] ?? 0))
  return total > max ? `brake: ${total} records deleted there within the window, ${max} are believed` : null
}

/**
 * The fields that were changed from a connection in too many records at once.
 * @returns field name to the sentence that says why
 */
export function judgeFields(counts: BrakeCounts, limits: BrakeLimits): ReadonlyMap<string, string> {
  const max = allowed(limits.fieldShare, counts.records)
  const held = new Map<string, string>()
  for (const [what, count] of Object.entries(counts.tallied)) {
    if (!what.startsWith('field:') || count <= max) continue
    const field = what.slice('field:'.length)
    held.set(field, `brake: ${field} was changed in ${count} records within the window, ${max} are allowed`)
  }
  return held
}
