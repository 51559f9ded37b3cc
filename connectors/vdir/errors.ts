import { FailureError, type Failure, type FailureKind } from '../../engine/core/failure.ts'

/** What the operating system's codes mean here. Whatever is not named is `transient`: disks and network shares recover. */
const KINDS: { readonly [code: string]: readonly [FailureKind, string, string?] } = {
  EACCES: [
    'auth',
    'permission denied',
    'Give the user that runs Kith the right to read and write the folder and its files.',
  ],
  EPERM: [
    'auth',
    'operation not permitted',
    'Give the user that runs Kith the right to read and write the folder and its files.',
  ],
  EROFS: ['auth', 'the file system is read-only', 'Mount it for writing, or set `direction: in` for this connection.'],
  ENOSPC: ['transient', 'the disk is full', 'Make room on the disk; the write is tried again.'],
  EDQUOT: ['transient', 'the disk quota is used up', 'Make room; the write is tried again.'],
  ENAMETOOLONG: ['permanent', 'the file name is too long'],
  ELOOP: ['permanent', 'a symbolic link leads in a circle', 'Repair or remove the link.'],
  EISDIR: ['permanent', 'it is a folder, not a file'],
}

/** The system's code of a failed call; told by its shape, for errors may come from another realm (a test runner's, a worker's). */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

/** A failed system call as a failure; the file is named by the record it belongs to, not here. */
export function failureOf(error: unknown, doing: string): Failure {
  if (error instanceof FailureError) return error.failure
  const code = codeOf(error)
  if (code === undefined) throw error
  const [kind, what, advice] = KINDS[code] ?? ['transient', `the operating system says ${code}`]
  return { kind, message: `${doing}: ${what}`, code, ...(advice === undefined ? {} : { advice }) }
}

/**
 * What a single record's failure to be read says: whatever the cause, the record is parked and the others go on. A
 * permission that is missing on one file must not stop the connection.
 */
export function brokenFrom(error: unknown): Failure {
  if (codeOf(error) === 'ENOENT') {
    return {
      kind: 'permanent',
      message: 'the name leads to no file: a broken link, or a name that is not UTF-8',
      code: 'ENOENT',
      advice: 'Repair the link, rename the file, or take it away.',
    }
  }
  const failure = failureOf(error, 'cannot read the file')
  return failure.kind === 'auth' ? { ...failure, kind: 'permanent' } : failure
}

/** The folder itself is not as it should be: nothing can be read or written. */
export function folderFailure(error: unknown, path: string): FailureError {
  const code = codeOf(error)
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new FailureError({
      kind: 'transient',
      message: code === 'ENOENT' ? `the folder ${path} is gone` : `${path} is not a folder`,
      code,
      advice: 'Create the folder, mount its disk, or correct `path`. Nothing is taken for deleted meanwhile.',
    })
  }
  return new FailureError(failureOf(error, `cannot use the folder ${path}`), { cause: error })
}
