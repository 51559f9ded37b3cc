import { ActRefusedError } from './acts.ts'
import { decideItem, type Decision } from './review.ts'
import { reviewItems, type Inspection, type ReviewFilter, type ReviewItem, type ReviewKind } from './review-items.ts'
import { skippedItems } from './review-skips.ts'
import type { Runtime } from './runtime.ts'

/** What waits, as far as it is shown. */
export interface ReviewList {
  readonly items: readonly ReviewItem[]
  /** How many there are in all, by kind; those left for later are not among them. */
  readonly counts: { readonly [kind in ReviewKind]?: number }
  readonly total: number
  /** Items left for later. */
  readonly later: number
}

/** @param all those left for later, too */
export async function listReview(
  at: Inspection,
  filter: ReviewFilter,
  { limit, all }: { readonly limit: number; readonly all: boolean },
): Promise<ReviewList> {
  const skipped = all ? new Set<string>() : await skippedItems(at.store)
  const items: ReviewItem[] = []
  const counts: { [kind in ReviewKind]?: number } = {}
  let [total, later] = [0, 0]
  for await (const item of reviewItems(at, filter)) {
    if (skipped.has(item.id)) {
      later++
      continue
    }
    total++
    counts[item.kind] = (counts[item.kind] ?? 0) + 1
    if (items.length < limit) items.push(item)
  }
  return { items, counts, total, later }
}

/** All items of which one decision would decide the same, this one among them. */
export async function alikeItems(at: Inspection, item: ReviewItem, filter: ReviewFilter): Promise<ReviewItem[]> {
  const alike: ReviewItem[] = []
  for await (const other of reviewItems(at, { ...filter, kind: item.kind })) {
    if (other.like === item.like) alike.push(other)
  }
  return alike
}

/** What came of one decision for several items. */
export interface Decided {
  /** The acts, by id. */
  readonly acts: readonly string[]
  readonly refused: readonly { readonly id: string; readonly why: string }[]
}

/** Decides each of them alike; one that cannot be is left, and the others are decided all the same. */
export async function decideItems(
  runtime: Runtime,
  items: readonly ReviewItem[],
  decision: Decision,
): Promise<Decided> {
  const acts: string[] = []
  const refused: { id: string; why: string }[] = []
  for (const item of items) {
    try {
      acts.push((await decideItem(runtime, item, decision)).id)
    } catch (error) {
      if (!(error instanceof ActRefusedError)) throw error
      refused.push({ id: item.id, why: error.message })
    }
  }
  return { acts, refused }
}
