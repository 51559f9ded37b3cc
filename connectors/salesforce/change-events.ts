import { objectOf } from './fields.ts'
import { API_CLIENT, ChangeEvent, type BayeuxMessage, type SObject } from './wire.ts'

/** What some change events come to. */
export interface Announced {
  /** Records that others than Kith have changed. */
  readonly records: readonly string[]
  /** Whether there was more than can be named: the feed has to be asked. */
  readonly pull: boolean
  /** The last event of each channel. */
  readonly replayIds: { readonly [channel: string]: number }
}

/**
 * Reads change events for nothing but which records they are about. Of what Kith wrote itself nothing is said: the answer to the write
 * was read with it. What cannot be read, and what names no records, is a reason to ask the feed.
 */
export function announcedBy(events: readonly BayeuxMessage[], objects: readonly SObject[]): Announced {
  const records = new Set<string>()
  const replayIds: { [channel: string]: number } = {}
  let pull = false
  for (const { channel, data } of events) {
    const parsed = ChangeEvent.safeParse(data)
    if (!parsed.success) {
      pull = true
      continue
    }
    const { event, payload } = parsed.data
    replayIds[channel] = event.replayId
    const { entityName, changeType, recordIds = [], changeOrigin } = payload.ChangeEventHeader
    // A channel of the org's own may carry other objects as well.
    if (!objects.some((object) => object === entityName) || isOurs(changeOrigin)) continue
    const named = changeType === 'GAP_OVERFLOW' ? [] : recordIds
    const ids = named.filter((id) => isOf(objects, id))
    for (const id of ids) records.add(id)
    // No ids at all, or one that stands for many: 003*
    if (ids.length === 0 || ids.length < named.length) pull = true
  }
  return { records: [...records], pull, replayIds }
}

function isOf(objects: readonly SObject[], id: string): boolean {
  const object = objectOf(id)
  return object !== undefined && objects.includes(object)
}

function isOurs(origin: string | undefined): boolean {
  return origin?.split(';').includes(`client=${API_CLIENT}`) ?? false
}
