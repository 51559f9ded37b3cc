import { FailureError, type Failure } from '../../engine/core/failure.ts'

/** A file that cannot be trusted at this moment: half written, emptied, gone. Nothing is concluded from it. */
export function unsettled(message: string, advice: string): FailureError {
  return new FailureError({ kind: 'transient', message, advice })
}

/** A file that a human has to put right. */
export function unusable(message: string, advice: string): FailureError {
  return new FailureError({ kind: 'permanent', message, advice })
}

/** What the operating system said about a file, as a failure. Whatever else was thrown passes through. */
export function fileFailure(error: unknown, path: string): unknown {
  const code = codeOf(error)
  if (error instanceof FailureError || code === undefined || !/^E[A-Z0-9]+$/.test(code)) return error
  return new FailureError(described(code, path), { cause: error })
}

/** The operating system's word for an error (ENOENT). Not by `instanceof`: Node's own errors come from outside a test's realm. */
export function codeOf(error: unknown): string | undefined {
  const code: unknown = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : undefined
}

function described(code: string, path: string): Failure {
  switch (code) {
    case 'EACCES':
    case 'EPERM':
      return {
        kind: 'auth',
        code,
        message: `${path} may not be read or written by this user`,
        advice: 'Give the user that runs Kith access to the file and to its folder, then run: kith check',
      }
    case 'EROFS':
      return { kind: 'auth', code, message: `${path} is on a read-only disk`, advice: 'Make the disk writable.' }
    case 'EISDIR':
      return { kind: 'permanent', code, message: `${path} is a folder`, advice: 'Name a CSV file in kith.yaml.' }
    case 'ENOENT':
    case 'ENOTDIR':
      return {
        kind: 'transient',
        code,
        message: `the folder of ${path} is not there`,
        advice: 'Create the folder, mount the disk, or correct the path in kith.yaml.',
      }
    case 'ENOSPC':
    case 'EDQUOT':
      return { kind: 'transient', code, message: `no room left to write ${path}`, advice: 'Free some disk space.' }
    default:
      return { kind: 'transient', code, message: `${path}: the disk answered ${code}` }
  }
}
