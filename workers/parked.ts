import type { JsonObject } from '../engine/core/json.ts'
import type { Store } from '../engine/core/ports/store.ts'
import { ActRefusedError, record } from './acts.ts'
import { parkedOf, type ParkedLine } from './listing.ts'
import type { Runtime } from './runtime.ts'

/** Which of what is parked: that of one connection, of one person, or all. */
export interface ParkedFilter {
  readonly connection?: string
  readonly personId?: string
}

export interface ParkedList {
  readonly parked: readonly ParkedLine[]
  readonly more: boolean
  /** How many writes there are in all: what an act on them names. Records that cannot be read are not among them. */
  readonly writes: number
}

/** What is parked, as far as it is shown. */
export async function listParked(store: Store, filter: ParkedFilter, limit: number): Promise<ParkedList> {
  const parked: ParkedLine[] = []
  const writes = await parkedWrites(store, filter)
  for await (const line of parkedOf(store, filter)) {
    if (parked.length === limit) return { parked, more: true, writes }
    parked.push(line)
  }
  return { parked, more: false, writes }
}

async function parkedWrites(store: Store, filter: ParkedFilter): Promise<number> {
  let number = 0
  for await (const _intent of store.intents({ ...filter, state: 'parked' })) number++
  return number
}

export interface ParkedWish {
  readonly by: string
  readonly why: string
  /** How many writes were seen: with any other number by now, nothing is done. */
  readonly seen?: number
}

/**
 * Tries writes that apps have refused once more, or gives them up. An act where there are any.
 *
 * @returns how many there were
 * @throws ActRefusedError where there are others than were seen
 */
export async function actOnParked(
  desk: Pick<Runtime, 'store' | 'now' | 'newId'>,
  what: 'retry' | 'drop',
  filter: ParkedFilter,
  { by, why, seen }: ParkedWish,
): Promise<number> {
  const { store } = desk
  if (seen !== undefined) {
    const writes = await parkedWrites(store, filter)
    if (writes !== seen) throw new ActRefusedError(`${writes} writes are parked by now, not ${seen}`)
  }
  const number = what === 'retry' ? await store.retryParked(filter) : await store.dropParked(filter)
  if (number === 0) return 0
  const { connection, personId } = filter
  const about: JsonObject = {
    [what === 'retry' ? 'retried' : 'dropped']: number,
    ...(connection === undefined ? {} : { connection }),
    ...(personId === undefined ? {} : { person: personId }),
  }
  await record(desk, { by, why, kind: 'parked', about })
  return number
}
