import { z } from 'zod'
import type { Store } from '../engine/core/ports/store.ts'

/** The fact under which the store keeps what an operator has left for later: ids of items, newest last. */
const SKIPPED = 'review left for later'

/** An old one that is forgotten is shown once more: that does no harm. */
const SKIPPED_MAX = 1000

const schema = z.array(z.string())

export async function skippedItems(store: Store): Promise<ReadonlySet<string>> {
  return new Set(schema.safeParse(await store.getFact(SKIPPED)).data ?? [])
}

/** The item waits on, out of sight until it is asked for. */
export async function skipItem(store: Store, id: string): Promise<void> {
  const others = [...(await skippedItems(store))].filter((other) => other !== id)
  await store.setFact(SKIPPED, [...others, id].slice(-SKIPPED_MAX))
}
