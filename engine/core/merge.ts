import { isElement, type CellKey } from './catalogue.ts'
import type { Json, JsonObject } from './json.ts'
import type { Cell, Rule } from './person.ts'
import type { Policy } from './rules.ts'
import { compareStamps, type Stamp } from './stamp.ts'

/** One cell that a record says something new about. */
export interface Heard {
  readonly cell: CellKey
  /** null: the value was taken away. */
  readonly value: Json
  /** What the shadow said; undefined where there is no base (a record heard for the first time). */
  readonly base: Json | undefined
  readonly stamp: Stamp
}

/** What became of a heard value. */
export type Verdict =
  /** The person said so already; `cell` is set where only the stamp moves. */
  | { readonly kind: 'agreed'; readonly cell?: Cell }
  | { readonly kind: 'applied'; readonly cell: Cell; readonly lost?: Cell }
  /** The person's value stands, the heard one is kept in the log. */
  | { readonly kind: 'lost'; readonly rule: Rule }
  | { readonly kind: 'refused'; readonly rule: Rule }
  /** Both stay as they are until an operator decides. */
  | { readonly kind: 'conflict' }

export interface MergeTerms {
  readonly policy: Policy
  readonly equal: (a: Json, b: Json) => boolean
  /** Whether the owner (policy `owner`) has ever said anything about this field. */
  readonly ownerSpoke: boolean
  readonly now_ms: number
  /** How far back flips are counted. */
  readonly window_ms: number
}

/**
 * Merges one heard value into a person's cell: three-way by the shadow, then by the field's policy. Whatever the order in
 * which concurrent values are heard, the same one stands in the end (I8).
 *
 * A conflict is when the person has moved away from what the edit was made over, and the two differ.
 */
export function mergeCell(current: Cell | undefined, heard: Heard, terms: MergeTerms): Verdict {
  const { policy, equal } = terms
  const ours = current?.value ?? null
  if (equal(ours, heard.value)) {
    const raise = current && outranks(heard.stamp, current.stamp, policy)
    return raise ? { kind: 'agreed', cell: { ...current, stamp: heard.stamp } } : { kind: 'agreed' }
  }
  const moved = heard.base === undefined ? current !== undefined : !equal(ours, heard.base)

  if (policy.kind === 'owner' && terms.ownerSpoke && heard.stamp.by !== policy.connection) {
    return { kind: 'refused', rule: 'owner' }
  }
  if (policy.kind === 'fill' && ours !== null) {
    // Two fills of one blank that crossed: the earlier one stands, whichever is heard first.
    const crossed = moved && (heard.base === undefined || heard.base === null) && heard.value !== null
    if (!crossed || !outranks(heard.stamp, (current as Cell).stamp, policy)) return { kind: 'refused', rule: 'fill' }
  }
  if (!moved || current === undefined) {
    return { kind: 'applied', cell: next(current, heard, ours === null ? firstRule(policy, heard) : 'edit', terms) }
  }
  if (policy.kind === 'manual' && ours !== null) return { kind: 'conflict' }
  const rule = policy.kind === 'manual' ? 'latest' : policy.kind
  return outranks(heard.stamp, current.stamp, policy)
    ? { kind: 'applied', cell: next(current, heard, rule, terms), lost: current }
    : { kind: 'lost', rule }
}

/** Whether a value with stamp `a` stands against one with stamp `b` in a conflict. */
function outranks(a: Stamp, b: Stamp, policy: Policy): boolean {
  switch (policy.kind) {
    case 'prefer': {
      const place = (stamp: Stamp): number => {
        const index = policy.order.indexOf(stamp.by)
        return index < 0 ? policy.order.length : index
      }
      return place(a) !== place(b) ? place(a) < place(b) : compareStamps(a, b) > 0
    }
    case 'owner':
      if ((a.by === policy.connection) !== (b.by === policy.connection)) return a.by === policy.connection
      return compareStamps(a, b) > 0
    case 'fill':
      return compareStamps(a, b) < 0
    case 'latest':
    case 'manual':
      return compareStamps(a, b) > 0
  }
}

function firstRule(policy: Policy, heard: Heard): Rule {
  if (policy.kind === 'fill') return 'fill'
  if (policy.kind === 'owner' && heard.stamp.by === policy.connection) return 'owner'
  return heard.base === undefined ? 'first' : 'edit'
}

function next(current: Cell | undefined, heard: Heard, rule: Rule, terms: MergeTerms): Cell {
  const value = mergeElement(current?.value ?? null, heard)
  if (!current) return { value, stamp: heard.stamp, rule }
  const { flips } = current
  const fresh = flips !== undefined && terms.now_ms - flips.since_ms <= terms.window_ms
  if (fresh && terms.equal(flips.before, value)) {
    return {
      value,
      stamp: heard.stamp,
      rule,
      flips: { before: current.value, count: flips.count + 1, since_ms: flips.since_ms },
    }
  }
  return { value, stamp: heard.stamp, rule, flips: { before: current.value, count: 0, since_ms: terms.now_ms } }
}

/**
 * An element keeps every attribute that the record does not speak of, or did not change; a value keeps its first spelling,
 * for a set's key says already that the two are the same.
 */
function mergeElement(ours: Json, heard: Heard): Json {
  if (!isElement(heard.value) || !isElement(ours)) return heard.value
  const merged: { [key: string]: Json } = { ...(ours as JsonObject) }
  const base = isElement(heard.base) ? (heard.base as JsonObject) : {}
  for (const [key, value] of Object.entries(heard.value as JsonObject)) {
    if (key === 'value' || value === undefined) continue
    const changed = heard.base === undefined || base[key] !== value
    if (changed) merged[key] = value
  }
  return merged
}
