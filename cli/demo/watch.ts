import { setTimeout as pause } from 'node:timers/promises'
import type { Catalogue } from '../../engine/core/catalogue.ts'
import type { Store } from '../../engine/core/ports/store.ts'
import { collect } from './agreement.ts'
import type { Journal } from './journal.ts'
import type { Screen } from './screen.ts'
import { showGone, showHappenings } from './show.ts'

export interface Watched {
  readonly journal: Journal
  readonly store: Store
  readonly catalogue: Catalogue
  readonly screen: Screen
  /** Changes are shown together when nothing more has happened for this long. */
  readonly rest_ms: number
  /** Records whose end is no news any more. */
  readonly gone: Set<string>
}

/** Shows every change as it happens, until the signal. */
export async function watchChanges(watched: Watched, signal: AbortSignal): Promise<void> {
  const { journal, store, catalogue, screen, rest_ms, gone } = watched
  let { told } = journal
  try {
    for (;;) {
      await journal.until((latest) => latest.told > told, signal)
      while (told !== journal.told) {
        told = journal.told
        await pause(rest_ms, undefined, { signal })
      }
      const happenings = journal.take()
      const deleted = (await collect(store.links({ state: 'gone' }))).filter(({ recordId }) => !gone.has(recordId))
      for (const { recordId } of deleted) gone.add(recordId)
      if (happenings.length + deleted.length > 0) screen.say(screen.dim(new Date().toTimeString().slice(0, 8)))
      await showHappenings(screen, catalogue, store, happenings, (edit) => edit.at_ms)
      await showGone(screen, store, deleted)
    }
  } catch (error) {
    if (!signal.aborted) throw error
  }
}
