import { unwatchFile, watch, watchFile, type FSWatcher, type StatsListener } from 'node:fs'
import { basename } from 'node:path'
import { isContactFile } from './folder.ts'

/** One save is several events: they are told as one. */
const DEBOUNCE_MS = 20

/** How often the folder's own times are looked at where the system cannot tell (a network share, no inotify watches left). */
const POLL_MS = 2_000

/**
 * Calls `hint` soon after files of the folder change; returns how to stop. Never fails, and never keeps the process alive:
 * hints only hasten the next pull.
 */
export function watchFolder(path: string, hint: () => void): () => Promise<void> {
  let timer: NodeJS.Timeout | undefined
  let watcher: FSWatcher | undefined
  let polling: StatsListener | undefined
  let stopped = false

  const soon = (): void => {
    if (stopped || timer !== undefined) return
    timer = setTimeout(() => {
      timer = undefined
      hint()
    }, DEBOUNCE_MS)
    timer.unref()
  }
  const poll = (): void => {
    watcher?.close()
    watcher = undefined
    if (stopped || polling !== undefined) return
    polling = () => soon()
    watchFile(path, { interval: POLL_MS, persistent: false }, polling)
  }
  try {
    watcher = watch(path, { persistent: false }, (event, name) => {
      // The folder itself was moved or removed: a watcher stays with what it was, polling with the path.
      if (event === 'rename' && name === basename(path)) {
        soon()
        poll()
        return
      }
      // Our own temporary files and other programs' are no news; a missing name may be anything.
      if (name === null || isContactFile(name)) soon()
    })
    watcher.on('error', poll)
  } catch {
    poll()
  }
  return async () => {
    stopped = true
    clearTimeout(timer)
    watcher?.close()
    if (polling !== undefined) unwatchFile(path, polling)
  }
}
