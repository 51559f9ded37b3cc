import { DatabaseSync } from 'node:sqlite'
import { DatabaseError } from './errors.ts'

/**
 * A lock on a file that the kernel gives back when its process ends, however it ends: no stale lock, no process id to be
 * fooled by. Node has no `flock`; SQLite, which is part of Node, takes its file lock through the kernel, so an empty
 * SQLite file under an open exclusive transaction is such a lock.
 */
export interface Lock {
  release(): void
}

/** Keeps the handles of held locks from being collected, which would release them. */
const held = new Set<DatabaseSync>()

/** Takes the lock, or returns null at once when another holder, in this process or any other, has it. */
export function tryLock(file: string): Lock | null {
  let handle: DatabaseSync | null = null
  try {
    handle = new DatabaseSync(file, { timeout: 0 })
    handle.exec('begin exclusive')
  } catch (error) {
    handle?.close()
    if (isBusy(error)) return null
    throw new DatabaseError(
      `The lock ${file} cannot be taken. The folder must be writable, and on a disk that can lock files (most network ` +
        'shares cannot): choose another folder with KITH_DATA.',
      { cause: error },
    )
  }
  const taken = handle
  held.add(taken)
  return {
    release: () => {
      if (held.delete(taken)) taken.close()
    },
  }
}

/** SQLite's result code SQLITE_BUSY: https://sqlite.org/rescode.html#busy */
function isBusy(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'errcode' in error && error.errcode === 5
}
